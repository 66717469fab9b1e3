"""The captures on disk: made when they are first wanted, reused while their description fits."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from benchmarks.subjects import SUBJECTS, Subject

__all__ = ["Made", "default_folder", "obtain"]

#: Raise it when captures are made differently, and old ones are made anew.
RECIPE = 1


@dataclass(frozen=True, slots=True, kw_only=True)
class Made:
    """A capture that is there.

    Attributes:
        path: The pcap file. segments: TCP segments in it. octets: Its size.
    """

    path: Path
    segments: int
    octets: int


def default_folder() -> Path:
    """Where captures are kept: ``mptcp-oracle/benchmarks`` in the user's cache folder."""
    base = os.environ.get("XDG_CACHE_HOME") or str(Path.home() / ".cache")
    return Path(base, "mptcp-oracle", "benchmarks")


def obtain(subject: Subject, folder: Path, progress: Callable[[str], None]) -> Made:
    """A subject's capture, made now unless the folder has one that fits.

    Args:
        subject: What to make.
        folder: Where captures are; made if needed.
        progress: Told what is going on.

    Raises:
        AdapterError: A recording is needed and this machine cannot record.
    """
    source = None
    if subject.kind == "repeat":
        (original,) = (each for each in SUBJECTS if each.name == subject.source)
        source = obtain(original, folder, progress)
    path = folder / f"{subject.name}.pcap"
    wanted = _description(subject, source)
    found = _read(path)
    if found is not None and {**found, **wanted} == found:
        return Made(path=path, segments=int(str(found["segments"])), octets=path.stat().st_size)
    progress(f"{subject.name}: making {path}")
    folder.mkdir(parents=True, exist_ok=True)
    passing = path.with_name(f".{subject.name}.{os.getpid()}")
    try:
        segments = _make(subject, source, passing, progress)
        octets = passing.stat().st_size
        passing.replace(path)
    finally:
        passing.unlink(missing_ok=True)
    found = {**wanted, "segments": segments, "octets": octets}
    _beside(path).write_text(json.dumps(found, indent=1) + "\n")
    return Made(path=path, segments=segments, octets=octets)


def _make(
    subject: Subject, source: Made | None, target: Path, progress: Callable[[str], None]
) -> int:
    """Write the capture and count its segments."""
    if subject.kind == "many":
        from benchmarks.synthetic import write_many

        return write_many(target, subject.connections)
    if source is not None:
        from benchmarks.repeat import repeat

        return repeat(source.path, target, subject.times)
    from benchmarks.recording import record_bulk

    return record_bulk(
        target, subject.segments, full_payload=subject.kind == "payload", progress=progress
    )


def _description(subject: Subject, source: Made | None) -> dict[str, object]:
    """What a capture on disk must say of itself to be this subject's."""
    return {
        "recipe": RECIPE,
        "kind": subject.kind,
        "wanted": subject.segments,
        "connections": subject.connections,
        "times": subject.times,
        "source": [source.segments, source.octets] if source is not None else None,
    }


def _beside(path: Path) -> Path:
    return path.with_suffix(".json")


def _read(path: Path) -> dict[str, object] | None:
    """A capture's description, if it is there and the file is as large as it says."""
    try:
        found = json.loads(_beside(path).read_text())
        if path.stat().st_size == found["octets"]:
            return dict(found)
    except (OSError, ValueError, KeyError, TypeError):
        pass
    return None
