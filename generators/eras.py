"""One file of many cases: eras of interleaved connections, one after the other.

Connections of an era run side by side; eras follow each other, so that memory holds one era only,
however many there are. Each era is written to files of its own, which are joined in the end: what
an era says of itself is counted from 0 and moved to its place then.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from hashlib import sha256
from itertools import chain
from pathlib import Path
from typing import Any

from mptcp_oracle.generators.case_files import Written, about, planted, write_truth
from mptcp_oracle.generators.emit import opening, records
from mptcp_oracle.generators.generating import trace_case
from mptcp_oracle.generators.malformed import malform
from mptcp_oracle.generators.moving import Shift, moved
from mptcp_oracle.generators.ordering import Order
from mptcp_oracle.generators.scenario import PLAIN, Scenario
from mptcp_oracle.generators.summary import Tally, of_capture

from mptcp_oracle.errors import UsageError
from mptcp_oracle.facts import Fact
from mptcp_oracle.model.capture import VANTAGES, Capture, Frame, Layout
from mptcp_oracle.model.choices import Counted
from mptcp_oracle.model.compose import capture_of
from mptcp_oracle.model.drawing import EPOCH, defect_names
from mptcp_oracle.model.interleave import interleave
from mptcp_oracle.model.observable import observable
from mptcp_oracle.model.vantage import Tap

__all__ = ["ERA", "Era", "eras", "join", "play_era", "sweep", "vantage"]

#: Cases in an era, and nanoseconds between the beginnings of two; no connection lives as long.
ERA, SPAN = 64, 600_000_000_000
#: Octets that are copied at once.
PIECE = 1 << 20
#: Parts of an era's truth, in the order of the whole file's.
PARTS = ("connections", "unattached", "subflows", "rest")


@dataclass(frozen=True, slots=True, kw_only=True)
class Era:
    """What is known of an era once it is written.

    Attributes:
        number: From 0. frames, streams, subflows: How many. connections: How many that are
            known as such. unattached: Subflows without one.
        interfaces: How many it needs.
        planted: The faults in it, frames counted from 1 in the era.
        tally: What is in it.
    """

    number: int
    frames: int
    streams: int
    subflows: int
    connections: int
    unattached: int
    interfaces: int
    planted: Sequence[dict[str, Any]]
    tally: Tally


def eras(count: int) -> range:
    """The numbers of the eras of so many cases."""
    return range(-(-count // ERA))


def vantage(wanted: Order) -> str:
    """Where the tap of the file is.

    Raises:
        UsageError: The order asks for several vantage points.
    """
    given = {recipe.vantage for recipe in wanted.recipes if recipe.vantage}
    if len(given) > 1:
        raise UsageError("one file has one vantage point", hint="say --many, or one --vantage")
    if given:
        return given.pop()
    if any(recipe.fault and recipe.fault.at_sender for recipe in wanted.recipes):
        return "both"
    usual = {recipe.scenario.vantage for recipe in wanted.recipes}
    if len(usual) == 1 and (only := usual.pop()):
        return only
    return Counted(wanted.seed, "file").pick(VANTAGES)


def _only(wanted: Order) -> Scenario | None:
    """The scenario of all cases, if they have one in common."""
    scenarios = {recipe.scenario.name: recipe.scenario for recipe in wanted.recipes}
    return next(iter(scenarios.values())) if len(scenarios) == 1 else None


def _layout(wanted: Order) -> Layout:
    """How the file is written."""
    only = _only(wanted)
    layout = (only.layout if only else None) or PLAIN
    return replace(layout, file=wanted.file) if wanted.file else layout


def _capture(wanted: Order, number: int, count: int) -> tuple[Capture, Tally]:
    """The capture of an era, and what it was made of."""
    cases = range(number * ERA, min(count, (number + 1) * ERA))
    played = [trace_case(wanted, case) for case in cases]
    trace = interleave([each[0] for each in played], [each[1] for each in played])
    choices = Counted(wanted.seed, f"era {number}")
    where = Tap(vantage=vantage(wanted), epoch=EPOCH + number * SPAN, ids=(1, 30_000))
    only = _only(wanted)
    defects: tuple[str, ...] = ()
    if only and not any(recipe.fault for recipe in wanted.recipes):
        defects = only.defects if only.defects is not None else (
            defect_names(choices, where.vantage))  # fmt: skip
    capture = capture_of(trace, where, defects, _layout(wanted), choices)
    if wanted.malformed:
        capture = malform(capture, choices, most=3 * len(cases))
    tally = Tally(cases=len(cases))
    tally.count("scenarios", (scenario.name for _, _, scenario in played))
    return capture, tally


def _spool(folder: Path, number: int, part: str) -> Path:
    return folder / f".era-{number}.{part}"


def play_era(wanted: Order, number: int, count: int, folder: Path) -> Era:
    """Make an era of ``count`` cases in all, and write it to hidden files in a folder.

    Raises:
        UsageError: No trace has a place for a fault, or several vantage points are asked for.
        OSError: A file cannot be written.
    """
    capture, tally = _capture(wanted, number, count)
    octets = 0
    with _spool(folder, number, "records").open("wb") as file:
        for record in records(capture):
            octets += file.write(record)
    counts = dict.fromkeys(PARTS, 0)
    if not wanted.malformed:
        files = {
            part: _spool(folder, number, part).open("w", encoding="utf-8", newline="\n")
            for part in PARTS
        }
        try:
            for fact in observable(capture):
                part = _part(fact)
                counts[part] += 1
                files[part].write(json.dumps(fact, ensure_ascii=False, separators=(",", ":")))
                files[part].write("\n")
        finally:
            for each in files.values():
                each.close()
    tally.add(of_capture(capture, octets))
    return Era(
        number=number,
        frames=len(capture.frames),
        streams=len({f.segment.subflow for f in capture.frames if isinstance(f, Frame)}),
        subflows=counts["subflows"],
        connections=counts["connections"],
        unattached=counts["unattached"],
        interfaces=1 + max((each.interface for each in capture.frames), default=0),
        planted=planted(capture),
        tally=tally,
    )


def _part(fact: Fact) -> str:
    if fact["fact"] == "connection":
        return "connections" if fact["connection"] >= 0 else "unattached"
    return "subflows" if fact["fact"] == "subflow" else "rest"


def join(wanted: Order, played: Sequence[Era], folder: Path) -> Written:
    """Join eras to one capture with one truth.

    Raises:
        OSError: A file cannot be written.
    """
    slugs = sorted({recipe.slug for recipe in wanted.recipes})
    name = slugs[0] if len(slugs) == 1 else "several"
    layout, digest, tally = _layout(wanted), sha256(), Tally()
    file = folder / f"{name}-all.{layout.file}"
    for era in played:
        tally.add(era.tally)
    interfaces = max((era.interfaces for era in played), default=1)
    comment = f"seed {wanted.seed}, cases 0 to {tally.cases - 1}: {', '.join(slugs[:8])}"
    head = opening(layout, interfaces=interfaces, comment=comment)
    tally.octets += len(head)
    with file.open("wb") as out:
        for piece in chain((head,), _pieces(folder, played)):
            digest.update(piece)
            out.write(piece)
    guilty: list[dict[str, Any]] = []
    for era, shift in _shifts(played):
        guilty += [
            {**each, "frames": [shift.frames + frame for frame in each["frames"]]}
            for each in era.planted
        ]
    origin = about(
        wanted,
        cases=tally.cases,
        scenarios=sorted({recipe.scenario.name for recipe in wanted.recipes}),
        malformed=wanted.malformed,
        vantage=vantage(wanted),
        planted=guilty,
    )
    truth = None if wanted.malformed else f"{name}-all.truth.jsonl"
    if truth:
        write_truth(folder / truth, _facts(folder, played), file.name, digest.hexdigest(), origin)
    line = {"capture": file.name, "truth": truth, "sha256": digest.hexdigest(),
            "octets": tally.octets, "frames": tally.frames, "connections": tally.connections,
            "subflows": tally.subflows, **origin}  # fmt: skip
    return Written(line=line, tally=tally)


def sweep(folder: Path, numbers: Iterable[int]) -> None:
    """Remove what eras were written to, whether or not they were joined."""
    for number in numbers:
        for part in ("records", *PARTS):
            _spool(folder, number, part).unlink(missing_ok=True)


def _pieces(folder: Path, played: Iterable[Era]) -> Iterator[bytes]:
    """The records of all eras, in pieces of a bearable size."""
    for era in played:
        with _spool(folder, era.number, "records").open("rb") as file:
            while piece := file.read(PIECE):
                yield piece


def _shifts(played: Iterable[Era]) -> Iterator[tuple[Era, Shift]]:
    """Each era with what came before it."""
    before = Shift()
    for era in played:
        yield era, before
        before = Shift(
            frames=before.frames + era.frames,
            streams=before.streams + era.streams,
            subflows=before.subflows + era.subflows,
            connections=before.connections + era.connections,
            unattached=before.unattached + era.unattached,
        )


def _facts(folder: Path, played: Sequence[Era]) -> Iterator[Fact]:
    """The truth of the whole file."""
    for part in PARTS:
        for era, shift in _shifts(played):
            with _spool(folder, era.number, part).open(encoding="utf-8") as file:
                for line in file:
                    yield moved(json.loads(line), shift)
