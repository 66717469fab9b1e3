"""Sidecars: what lies beside a capture of the corpus, and how it is held against the capture.

A recording of the kernel has its provenance there, by the schema of the corpus; a generated
capture its truth, in the vocabulary of :mod:`mptcp_oracle.facts`, whose header says where it
comes from; a capture that shows a dissector's known difference the record of the hunt's finding.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from mptcp_oracle.generators.capture_scan import LINKTYPES, CaptureScan
from mptcp_oracle.generators.schema import schema_errors

from mptcp_oracle import facts
from mptcp_oracle.errors import TruthError, UsageError

__all__ = ["LICENCE", "TRUTH", "Sidecar", "linktypes", "parsed", "sidecar_of"]

LICENCE = "CC0-1.0"
TRUTH, FOUND = ".truth.jsonl", ".finding.json"


@dataclass(frozen=True, slots=True, kw_only=True)
class Sidecar:
    """A kind of sidecars.

    Attributes:
        ending: Of its file, after the slug.
        problems: From its octets, name, the capture's octets, their scan and the corpus' schema
            to what is wrong, a line each.
        provenance: From its octets and name to where the capture comes from, in one line.
        told: From its octets and name to what it says of itself: ``name``, ``why``, ``flags``
            and ``shipped``, as far as it does.
    """

    ending: str
    problems: Callable[[bytes, Path, bytes, CaptureScan, Mapping[str, object]], list[str]]
    provenance: Callable[[bytes, Path], str]
    told: Callable[[bytes, Path], Mapping[str, object]]


def sidecar_of(family: str) -> Sidecar:
    """The kind of sidecars that the captures of a family have."""
    return KINDS.get(family, RECORDED)


def linktypes(scan: CaptureScan) -> tuple[str, ...]:
    """The names of a capture's link types."""
    return tuple(LINKTYPES.get(number, str(number)) for number in scan.linktypes)


def parsed(octets: bytes, path: Path) -> object:
    """JSON.

    Raises:
        UsageError: It is none.
    """
    try:
        return json.loads(octets)
    except ValueError as error:
        raise UsageError("the sidecar is no JSON", cause=str(error), file=path) from error


def _recorded_problems(
    about: bytes, path: Path, octets: bytes, scan: CaptureScan, schema: Mapping[str, object]
) -> list[str]:
    """Where a recording's provenance is not by the schema, or speaks of another capture."""
    body = parsed(about, path)
    problems = schema_errors(body, schema)
    if problems:
        return problems
    assert isinstance(body, dict)
    capture = body["capture"]
    found = {
        "sha256": hashlib.sha256(octets).hexdigest(),
        "size": len(octets),
        "frames": scan.frames,
        "format": scan.format,
        "linktypes": list(linktypes(scan)),
    }
    return [
        f"capture.{name} is {capture[name]!r}, the file says {value!r}"
        for name, value in found.items()
        if capture[name] != value
    ]


def _recorded_provenance(about: bytes, path: Path) -> str:
    """Tool, scenario, kernel, capture program."""
    body: Any = parsed(about, path)
    tool, kernel, capture = body["tool"], body["kernel"], body["capture"]
    return (
        f"{tool['name']} {tool['version']} record {body['scenario']['name']}, "
        f"{kernel['system']} {kernel['release']}, {capture['program']}"
    )


def _recorded_told(about: bytes, path: Path) -> Mapping[str, object]:
    """What the provenance says of its scenario."""
    body = parsed(about, path)
    scenario = body.get("scenario") if isinstance(body, dict) else None
    return scenario if isinstance(scenario, dict) else {}


def _document(about: bytes, path: Path) -> facts.Document:
    try:
        return facts.read(about.decode().splitlines(), name=path.name)
    except (TruthError, UnicodeDecodeError) as error:
        raise UsageError("the truth cannot be read", cause=str(error), file=path) from error


def _generated(header: Mapping[str, object]) -> Mapping[str, object]:
    found = header.get("generated")
    return found if isinstance(found, dict) else {}


def _truth_problems(
    about: bytes, path: Path, octets: bytes, scan: CaptureScan, _: Mapping[str, object]
) -> list[str]:
    """Where the truth of a generated capture does not say so, or is about another one."""
    document = _document(about, path)
    origin = _generated(document.header)
    expected = {
        "capture": (document.header["capture"], path.name.removesuffix(TRUTH) + f".{scan.format}"),
        "generated.license": (origin.get("license"), LICENCE),
        "sha256": (document.footer["sha256"], hashlib.sha256(octets).hexdigest()),
    }
    return _mismatches(expected)


def _truth_provenance(about: bytes, path: Path) -> str:
    header = _document(about, path).header
    return f"{header['tool']} {header['version']}, generated"


def _truth_told(about: bytes, path: Path) -> Mapping[str, object]:
    return _generated(_document(about, path).header)


def _mismatches(expected: Mapping[str, tuple[object, object]]) -> list[str]:
    """Where what is said by name differs from what is right."""
    return [
        f"{name} is {said!r}, not {right!r}"
        for name, (said, right) in expected.items()
        if said != right
    ]


def _found_problems(
    about: bytes, path: Path, octets: bytes, scan: CaptureScan, _: Mapping[str, object]
) -> list[str]:
    """Where the record of a finding is none, or is about another difference or capture."""
    body = parsed(about, path)
    if not isinstance(body, dict) or not isinstance(body.get("dissector"), dict):
        return ["it is no record of a finding"]
    slug = f"{body['dissector'].get('name')}-{body.get('known')}"
    expected = {
        "the name of dissector and known difference": (slug, path.name.removesuffix(FOUND)),
        "sha256": (body.get("sha256"), hashlib.sha256(octets).hexdigest()),
        "frames": (body.get("frames"), scan.frames),
    }
    return _mismatches(expected)


def _found_provenance(about: bytes, path: Path) -> str:
    body: Any = parsed(about, path)
    dissector = body["dissector"]
    return (
        f"{body['tool']} hunt --seed {body['seed']}, capture {body['number']}; "
        f"{dissector['name']} {dissector['version']}"
    )


def _found_told(about: bytes, path: Path) -> Mapping[str, object]:
    body: Any = parsed(about, path)
    return {"name": f"{body['dissector']['name']}-{body['known']}"}


RECORDED = Sidecar(
    ending=".json",
    problems=_recorded_problems,
    provenance=_recorded_provenance,
    told=_recorded_told,
)

KINDS: Mapping[str, Sidecar] = {
    "regression": Sidecar(
        ending=TRUTH,
        problems=_truth_problems,
        provenance=_truth_provenance,
        told=_truth_told,
    ),
    "dissectors": Sidecar(
        ending=FOUND,
        problems=_found_problems,
        provenance=_found_provenance,
        told=_found_told,
    ),
}
"""Kinds by family; every other one has recordings."""
