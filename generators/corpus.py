"""The corpus: recorded and made captures with their provenance, written only by this tool.

Layout: ``<corpus>/<family>/<slug>.<pcap|pcapng>`` with its sidecar beside it (``<slug>.json``, for
generated captures ``<slug>.truth.jsonl``, for known differences ``<slug>.finding.json``),
``index.toml`` with one entry a capture, sorted by family and slug, and ``schema.json`` for the
sidecars of recordings. :func:`check` accepts nothing that :func:`add` could not have written.
"""

from __future__ import annotations

import hashlib
import json
import re
import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

from mptcp_oracle.generators.capture_scan import scan_capture
from mptcp_oracle.generators.corpus_sidecars import LICENCE, linktypes, parsed, sidecar_of

from mptcp_oracle.errors import CaptureError, UsageError

__all__ = [
    "FLAGS",
    "LICENCE",
    "SHIPPED_LIMIT",
    "Entry",
    "add",
    "check",
    "read_index",
    "remove",
    "shipped",
    "write_index",
]

INDEX = "index.toml"
SCHEMA = "schema.json"
#: What makes the folder a package, so that the installed one has its shipped part.
PACKAGE = "__init__.py"
INDEX_SCHEMA = 1
# Octets that all shipped captures and sidecars may have together.
SHIPPED_LIMIT = 2_000_000
SLUG = re.compile(r"[a-z0-9]+(-[a-z0-9]+)*")

# Every flag that an entry may carry, explained once.
FLAGS: dict[str, str] = {
    "backup": "A subflow is backup, or its priority changes (MP_PRIO).",
    "checksum": "DSS checksums are in use.",
    "checksum-failure": "Payload was changed on the way, so a DSS checksum fails.",
    "duplicate-frames": "The capture point sees the same packet more than once.",
    "fallback": "The connection continues as plain TCP.",
    "fastclose": "An end aborts the connection (MP_FASTCLOSE).",
    "full-payload": "Frames are kept whole, so streams can be compared octet for octet.",
    "half-close": "One direction ends long before the other.",
    "ipv6": "IPv6 is used.",
    "join": "At least one joined subflow (MP_JOIN).",
    "join-refused": "A join is answered by a reset.",
    "loss": "Packets are lost on the way.",
    "add-address": "An address is announced (ADD_ADDR).",
    "remove-address": "An address is withdrawn (REMOVE_ADDR).",
    "many-connections": "More than one connection.",
    "no-offload": "Segmentation and receive offloads are off.",
    "offload": "Segmentation offload: segments are larger than a wire would carry.",
    "reinjection": "Data of one subflow is sent again on another.",
    "reset-reason": "A reset says why (MP_TCPRST).",
    "stripped-options": "A middlebox removed MPTCP options.",
    "tcp-fast-open": "Data travels inside the SYN (TCP Fast Open).",
    "tester": "The initiator is a tester that breaks rules on purpose.",
    "truncated-frames": "The snap length cuts frames.",
    "tuple-reuse": "The same addresses and ports serve one connection after another.",
    "zero-window": "A receiver closes its window.",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """One capture of the corpus, as ``index.toml`` has it.

    Attributes:
        slug: Stable name, unique within the family; lower case and hyphens.
        family: Folder: ``kernel`` for recordings of a real kernel, ``regression`` for generated
            captures on which the analyzer was wrong once.
        file: Path of the capture below the corpus folder, with ``/``.
        sidecar: Path of its provenance or truth below the corpus folder.
        sha256, sidecar_sha256: Digests of both files, in hex.
        size: Octets of the capture.
        frames: Frames of the capture.
        linktypes: Names of its link types.
        licence: SPDX identifier.
        flags: Keys of :data:`FLAGS`, sorted.
        shipped: Part of the selection inside the installed package.
        provenance: Where it comes from, one line.
        why: Why it is here, one sentence or more.
    """

    slug: str
    family: str
    file: str
    sidecar: str
    sha256: str
    sidecar_sha256: str
    size: int
    frames: int
    linktypes: tuple[str, ...]
    licence: str
    flags: tuple[str, ...]
    shipped: bool
    provenance: str
    why: str

    @property
    def key(self) -> tuple[str, str]:
        """What the index is sorted by."""
        return self.family, self.slug


def read_index(corpus: Path) -> list[Entry]:
    """The entries of ``index.toml`` in file order; empty if there is no index yet.

    Raises:
        UsageError: The index is no TOML, has another schema, or an entry with missing or
            unknown keys.
    """
    path = corpus / INDEX
    if not path.exists():
        return []
    try:
        index = tomllib.loads(path.read_text(encoding="utf-8"))
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise UsageError("the corpus index is damaged", cause=str(error), file=path) from error
    if index.get("schema") != INDEX_SCHEMA:
        raise UsageError(
            "the corpus index has another layout",
            cause=f"schema {index.get('schema')}, not {INDEX_SCHEMA}",
            file=path,
        )
    return [_entry(row, path) for row in index.get("entry", [])]


def write_index(corpus: Path, entries: Sequence[Entry]) -> None:
    """Write ``index.toml``, sorted, with every flag explained."""
    (corpus / INDEX).write_text(_render(entries), encoding="utf-8")


def add(
    corpus: Path,
    capture: Path,
    sidecar: Path,
    *,
    slug: str,
    why: str,
    family: str = "kernel",
    flags: Sequence[str] = (),
    shipped: bool = False,
) -> Entry:
    """Copy a capture and its sidecar into the corpus and list them; replaces the same slug.

    Args:
        corpus: The corpus folder, with its ``schema.json``.
        capture: A complete pcap or pcapng file.
        sidecar: Its provenance, valid by the schema, or its truth; about exactly this capture.
        slug: Stable name.
        why: Why the corpus needs it.
        family: Folder to put it in.
        flags: Keys of :data:`FLAGS`.
        shipped: Make it part of the installed package.

    Raises:
        UsageError: Slug, family or flag is not allowed, or the sidecar does not fit.
        CaptureError: The capture cannot be read.
    """
    for name, text in (("slug", slug), ("family", family)):
        if SLUG.fullmatch(text) is None:
            raise UsageError(f"{name} {text!r} is not lower case words joined by hyphens")
    unknown = sorted(set(flags) - set(FLAGS))
    if unknown:
        raise UsageError(f"no such flag: {', '.join(unknown)}", hint=f"known: {', '.join(FLAGS)}")
    if not why.strip():
        raise UsageError("an entry needs a reason", hint="say in a sentence what it is good for")
    octets, about = _read(capture), _read(sidecar)
    scan = scan_capture(octets, str(capture))
    kind = sidecar_of(family)
    beside = f"{family}/{slug}{kind.ending}"
    problems = kind.problems(about, Path(beside), octets, scan, _schema(corpus))
    if problems:
        raise UsageError("the sidecar does not fit", cause="; ".join(problems[:5]), file=sidecar)
    folder = corpus / family
    folder.mkdir(parents=True, exist_ok=True)
    previous = [item for item in read_index(corpus) if item.key == (family, slug)]
    for item in previous:
        (corpus / item.file).unlink(missing_ok=True)
    file = f"{family}/{slug}.{scan.format}"
    (corpus / file).write_bytes(octets)
    (corpus / beside).write_bytes(about)
    entry = Entry(
        slug=slug,
        family=family,
        file=file,
        sidecar=beside,
        sha256=hashlib.sha256(octets).hexdigest(),
        sidecar_sha256=hashlib.sha256(about).hexdigest(),
        size=len(octets),
        frames=scan.frames,
        linktypes=linktypes(scan),
        licence=LICENCE,
        flags=tuple(sorted(set(flags))),
        shipped=shipped,
        provenance=kind.provenance(about, Path(beside)),
        why=" ".join(why.split()),
    )
    others = [item for item in read_index(corpus) if item.key != entry.key]
    write_index(corpus, [*others, entry])
    return entry


def remove(corpus: Path, slug: str, family: str = "kernel") -> None:
    """Take an entry and its files out of the corpus.

    Raises:
        UsageError: There is no such entry.
    """
    entries = read_index(corpus)
    gone = [item for item in entries if item.key == (family, slug)]
    if not gone:
        raise UsageError(f"the corpus has no entry {family}/{slug}")
    for item in gone:
        (corpus / item.file).unlink(missing_ok=True)
        (corpus / item.sidecar).unlink(missing_ok=True)
    write_index(corpus, [item for item in entries if item.key != (family, slug)])


def shipped(corpus: Path) -> list[Entry]:
    """The selection that is part of the installed package."""
    return [item for item in read_index(corpus) if item.shipped]


def check(corpus: Path) -> list[str]:
    """Everything that is wrong with the corpus, one line each; empty if it is in order.

    Checked are: the index (sorted, unique, exactly as the tool writes it), every file (listed,
    present, digest, size, frames, link types), every sidecar (schema, and about its capture),
    and the size of the shipped selection.
    """
    try:
        entries = read_index(corpus)
        schema = _schema(corpus)
    except UsageError as error:
        return [str(error)]
    problems: list[str] = []
    path = corpus / INDEX
    if not path.exists():
        problems.append(f"{INDEX}: missing")
    elif path.read_text(encoding="utf-8") != _render(entries):
        problems.append(f"{INDEX}: not as the tool writes it (sorted by family and slug)")
    keys = [item.key for item in entries]
    problems += [
        f"{family}/{slug}: listed {keys.count((family, slug))} times"
        for family, slug in sorted(set(keys))
        if keys.count((family, slug)) > 1
    ]
    for entry in entries:
        problems += [
            f"{entry.family}/{entry.slug}: {text}" for text in _faults(corpus, entry, schema)
        ]
    listed = {item.file for item in entries} | {item.sidecar for item in entries}
    listed |= {INDEX, SCHEMA, PACKAGE}
    present = {
        str(item.relative_to(corpus).as_posix())
        for item in corpus.rglob("*")
        if item.is_file() and item.parent.name != "__pycache__"
    }
    problems += [f"{name}: not listed in {INDEX}" for name in sorted(present - listed)]
    weight = sum(
        (corpus / name).stat().st_size
        for item in entries
        if item.shipped
        for name in (item.file, item.sidecar)
        if (corpus / name).exists()
    )
    if weight > SHIPPED_LIMIT:
        problems.append(f"shipped entries have {weight} octets, more than {SHIPPED_LIMIT}")
    return problems


def _faults(corpus: Path, entry: Entry, schema: Mapping[str, object]) -> list[str]:
    """What is wrong with one entry."""
    stem = f"{entry.family}/{entry.slug}"
    problems: list[str] = []
    kind = sidecar_of(entry.family)
    named = entry.file in (f"{stem}.pcap", f"{stem}.pcapng")
    if not named or entry.sidecar != stem + kind.ending:
        return ["its files have other names than its slug"]
    if SLUG.fullmatch(entry.slug) is None or SLUG.fullmatch(entry.family) is None:
        problems.append("slug or family is not lower case words joined by hyphens")
    if set(entry.flags) - set(FLAGS) or list(entry.flags) != sorted(set(entry.flags)):
        problems.append("flags unknown, repeated or unsorted")
    if entry.licence != LICENCE:
        problems.append(f"licence {entry.licence} is not {LICENCE}")
    if not entry.why.strip():
        problems.append("no reason given")
    contents: dict[str, bytes] = {}
    for name, digest in ((entry.file, entry.sha256), (entry.sidecar, entry.sidecar_sha256)):
        try:
            contents[name] = (corpus / name).read_bytes()
        except OSError:
            problems.append(f"{name} is missing")
            continue
        if hashlib.sha256(contents[name]).hexdigest() != digest:
            problems.append(f"{name} has another SHA-256 than the index says")
    if problems or len(contents) < 2:
        return problems
    octets = contents[entry.file]
    try:
        scan = scan_capture(octets, entry.file)
        about = contents[entry.sidecar]
        found = kind.problems(about, Path(entry.sidecar), octets, scan, schema)
    except (CaptureError, UsageError) as error:
        return [*problems, str(error)]
    if (entry.size, entry.frames, entry.linktypes) != (
        len(octets),
        scan.frames,
        linktypes(scan),
    ):
        problems.append("size, frames or link types differ from the index")
    return [*problems, *(f"sidecar {text}" for text in found)]


def _read(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise UsageError("cannot be read", cause=error.strerror, file=path) from error


def _schema(corpus: Path) -> dict[str, object]:
    schema = parsed(_read(corpus / SCHEMA), corpus / SCHEMA)
    if not isinstance(schema, dict):
        raise UsageError("the sidecar schema is no object", file=corpus / SCHEMA)
    return schema


def _entry(row: object, path: Path) -> Entry:
    names = {item.name for item in fields(Entry)}
    if not isinstance(row, dict) or set(row) != names:
        found = set(row) if isinstance(row, dict) else set()
        raise UsageError(
            "an entry of the corpus index is malformed",
            cause=f"missing {sorted(names - found)}, unknown {sorted(found - names)}",
            file=path,
        )
    values: dict[str, Any] = {
        name: tuple(value) if isinstance(value, list) else value for name, value in row.items()
    }
    return Entry(**values)


def _render(entries: Sequence[Entry]) -> str:
    """The index as TOML; the one writer, so that equal entries give equal octets."""
    lines = [
        "# Written by `mptcp-oracle corpus add`; edited by nobody.",
        f"schema = {INDEX_SCHEMA}",
        "",
        "# What the flags of the entries mean.",
        "[flags]",
        *(f"{json.dumps(name)} = {json.dumps(text)}" for name, text in sorted(FLAGS.items())),
    ]
    for entry in sorted(entries, key=lambda item: item.key):
        lines += ["", "[[entry]]"]
        for item in fields(Entry):
            value = getattr(entry, item.name)
            # JSON's strings, integers, booleans and flat arrays of strings are TOML as well.
            lines.append(
                f"{item.name} = {json.dumps(list(value) if isinstance(value, tuple) else value)}"
            )
    return "\n".join(lines) + "\n"
