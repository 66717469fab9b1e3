"""The search: one run of captures compared, and one difference made small. Work for a process."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from hashlib import sha256
from itertools import accumulate
from pathlib import Path
from typing import Any, Self

from mptcp_oracle.analysis.trace import analyze
from mptcp_oracle.diff import asked
from mptcp_oracle.dissectors.case import Case
from mptcp_oracle.dissectors.dissector import CrashError, Dissector, Field, Quick, Running
from mptcp_oracle.dissectors.explaining import explain
from mptcp_oracle.dissectors.known import Known
from mptcp_oracle.dissectors.rows import gathered
from mptcp_oracle.dissectors.shrinking import shrunk
from mptcp_oracle.dissectors.view import View
from mptcp_oracle.errors import AdapterError
from mptcp_oracle.hunt.finding import MINIMAL, Finding
from mptcp_oracle.hunt.kind import Kind, outline, witnesses
from mptcp_oracle.hunt.quarry import Quarry, together
from mptcp_oracle.report.rewriting import commented

__all__ = ["Compared", "Search", "Sighting"]

PCAPNG = b"\x0a\x0d\x0d\x0a"
ATTEMPTS, SLOW = 160, 12
"""Parts of a capture that are tried to make one difference small, or what takes too long."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Sighting:
    """A kind that was seen.

    Attributes:
        kind: The kind. number: The capture. depth: Frames of it up to the difference.
        count: How often it was seen in all.
    """

    kind: Kind
    number: int
    depth: int
    count: int = 1

    def with_more(self, other: Sighting) -> Sighting:
        """The one of the two that is likely to be smaller, and the sum of both counts."""
        best = min(self, other, key=lambda each: (each.depth, each.number))
        return replace(best, count=self.count + other.count)

    def to_json(self) -> dict[str, Any]:
        """The sighting as JSON has it."""
        numbers = {"number": self.number, "depth": self.depth, "count": self.count}
        return {"kind": self.kind.to_json(), **numbers}

    @classmethod
    def from_json(cls, found: Mapping[str, Any]) -> Self:
        """The sighting of which :meth:`to_json` speaks."""
        numbers = {name: int(found[name]) for name in ("number", "depth", "count")}
        return cls(kind=Kind.from_json(found["kind"]), **numbers)


@dataclass(slots=True, kw_only=True)
class Compared:
    """What a dissector said of one capture.

    Attributes:
        view: Our facts. frames: Frames of the capture.
        differences: Field, difference, and what explains it. crash: How it broke down.
    """

    view: View
    frames: int
    differences: list[tuple[Field, Case, Known | None]]
    crash: CrashError | None


@dataclass(kw_only=True)
class Search:
    """Compares captures of a quarry with what a dissector says.

    Attributes:
        quarry: The captures. dissector: Who is asked. version: Its version.
        known: Known differences, which are passed over. catalogue: Those that are only named.
        folder: For files that the dissector reads.
    """

    quarry: Quarry
    dissector: Dissector
    version: str
    known: Sequence[Known]
    catalogue: Sequence[Known]
    folder: Path

    @cached_property
    def quick(self) -> Running | None:
        """The dissector's quicker form, which is asked first about parts of a capture."""
        return self.dissector.quicker() if isinstance(self.dissector, Quick) else None

    def close(self) -> None:
        """End what runs beside."""
        if "quick" in self.__dict__ and self.quick is not None:
            self.quick.close()

    def run(self, numbers: Sequence[int]) -> tuple[list[Sighting], list[Finding]]:
        """Compare captures, all in one run of the dissector; alone, if that run breaks down.

        Returns:
            The kinds seen, and crashes, made small.
        """
        samples = [self.quarry.sample(number) for number in numbers]
        captures = [each.octets for each in samples]
        if not getattr(self.dissector, "mixed", True):
            return self._alone(numbers, captures)
        try:
            whole = self.compared(together(captures))
        except AdapterError:
            whole = None
        if whole is None or whole.crash is not None:
            return self._alone(numbers, captures)
        starts = [0, *accumulate(len(each.capture.frames) for each in samples)]
        seen: dict[Kind, Sighting] = {}
        for _, case, known in whole.differences:
            if known is None:
                at = bisect_left(starts, case.frame) - 1
                sighting = Sighting(
                    kind=Kind.of(case), number=numbers[at], depth=case.frame - starts[at]
                )
                _add(seen, sighting)
        return list(seen.values()), []

    def _alone(
        self, numbers: Sequence[int], captures: Sequence[bytes]
    ) -> tuple[list[Sighting], list[Finding]]:
        """The same, with one run for each capture.

        Raises:
            AdapterError: The dissector fails on every one of them.
        """
        seen: dict[Kind, Sighting] = {}
        broken: list[tuple[int, bytes, AdapterError]] = []
        for number, octets in zip(numbers, captures, strict=True):
            try:
                one = self.compared(octets)
            except AdapterError as error:
                broken.append((number, octets, error))
                continue
            if one.crash is not None:
                broken.append((number, octets, one.crash))
            for _, case, known in one.differences:
                if known is None:
                    _add(seen, Sighting(kind=Kind.of(case), number=number, depth=case.frame))
        if len(broken) == len(captures) > 1 and all(_how(each[2]) == "fails" for each in broken):
            raise broken[0][2]
        return list(seen.values()), [self.broken(*each) for each in broken]

    def compared(self, octets: bytes, by: Dissector | None = None) -> Compared:
        """Compare one capture.

        Args:
            octets: The capture.
            by: Who is asked instead of the dissector.

        Raises:
            AdapterError: The dissector does not run, fails, or takes too long.
        """
        path = self.folder / f"part.{'pcapng' if octets[:4] == PCAPNG else 'pcap'}"
        path.write_bytes(octets)
        with analyze(path) as trace:
            view, frames = gathered(trace, path), trace.capture.frames
        differences: list[tuple[Field, Case, Known | None]] = []
        _, crash = asked(
            by or self.dissector,
            path,
            view,
            self.known,
            watch=lambda row, case, known: differences.append((row, case, known)),
        )
        return Compared(view=view, frames=frames, differences=differences, crash=crash)

    def small(self, kind: Kind, number: int) -> Finding | None:
        """The fewest frames of a capture that show a kind; ``None`` if it does not show it alone.

        A part shows it if both sides say the same of the same frame as in the whole capture: what
        is left shows the same mistake, and not another one of the same field.
        """
        octets = self.quarry.octets(number)
        whole = self.compared(octets)
        shown = (
            (row, case)
            for row, case, known in whole.differences
            if known is None and Kind.of(case) == kind
        )
        row, case = next(shown, (None, None))
        if row is None or case is None:
            return None

        def of(
            frames: Sequence[int], by: Dissector = self.dissector
        ) -> tuple[Compared, Case] | None:
            """The part and the difference in it, if it is there."""
            try:
                part = self.compared(cut(octets, frames), by)
            except AdapterError:
                return None
            for each, other, explained in part.differences:
                if (
                    each is row
                    and explained is None
                    and frames[other.frame - 1] == case.frame
                    and other.kind == case.kind
                    and witnesses(row, other, frames) == witnesses(row, case)
                ):
                    return part, other
            return None

        frames: tuple[int, ...] = ()
        if quick := self.quick:
            frames = _smallest(_candidates(whole, case), lambda each: of(each, quick) is not None)
        left = of(frames) if frames else None
        if left is None:
            frames = _smallest(_candidates(whole, case), lambda each: of(each) is not None)
            left = of(frames) if frames else None
        if left is None:
            return None
        return self.finding(row, left[1], left[0], cut(octets, frames), number, kind)

    def again(self, other: Finding) -> Finding | None:
        """What another hunt has found, if it shows here too."""
        part = self.compared(other.octets)
        for row, case, _ in part.differences:
            if case.frame == other.frame and Kind.of(case) == other.kind:
                return self.finding(row, case, part, other.octets, other.number, other.kind)
        return None

    def finding(
        self, row: Field, case: Case, part: Compared, octets: bytes, number: int, kind: Kind
    ) -> Finding:
        """A difference in a capture, with all that a report says of it."""
        here = [other for _, other, _ in part.differences if other.frame == case.frame]
        kinds = {kind, *(Kind.of(other) for other in here)}
        explained = explain(case, self.catalogue)
        return Finding(
            kind=Kind.of(case),
            kinds=tuple(sorted(kinds)),
            frame=case.frame,
            frames=part.frames,
            theirs=case.theirs,
            ours=case.ours,
            section=row.section,
            fact=row.fact,
            options=() if case.segment is None else tuple(case.segment.written()),
            known=explained.id if explained else None,
            why=explained.why if explained else "",
            outline=outline(part.view, part.frames, case.frame, Kind.of(case).around),
            dissector=self.dissector.name,
            version=self.version,
            reproduce=self.dissector.reproduce(MINIMAL, row.name),
            seed=self.quarry.seed,
            number=number,
            octets=octets,
        )

    def broken(self, number: int, octets: bytes, error: AdapterError) -> Finding:
        """The fewest frames on which the dissector breaks down in the same way."""
        how = _how(error)

        def breaks(frames: Sequence[int]) -> bool:
            try:
                crash: AdapterError | None = self.compared(cut(octets, frames)).crash
            except AdapterError as other:
                crash = other
            return crash is not None and (_how(crash), crash.message, crash.data.get("status")) == (
                how,
                error.message,
                error.data.get("status"),
            )

        with analyze(octets) as trace:
            every = range(1, trace.capture.frames + 1)
        frames = _smallest([every], breaks, SLOW if how == "hang" else ATTEMPTS) or tuple(every)
        said = str(error.data.get("said") or error.cause or "")
        kind = Kind("", how, error.cause or error.message)
        return Finding(
            kind=kind,
            kinds=(kind,),
            frame=0,
            frames=len(frames),
            theirs=(said,),
            ours=(),
            section="",
            fact="",
            options=(),
            known=None,
            why="",
            outline=f"{how} {_digest(error.message, *said.splitlines()[:1])}",
            dissector=self.dissector.name,
            version=self.version,
            reproduce=self.dissector.reproduce(MINIMAL, self.dissector.fields[0].name),
            seed=self.quarry.seed,
            number=number,
            octets=cut(octets, frames),
        )


def _how(error: AdapterError) -> str:
    """How a dissector broke down: ``crash``, ``hang``, or it ``fails``."""
    if isinstance(error, CrashError):
        return "crash"
    return "hang" if error.data.get("late") else "fails"


def _digest(*words: str) -> str:
    """What tells one breakdown from another, and nobody what it is."""
    return sha256("\n".join(words).encode()).hexdigest()[:16]


def cut(octets: bytes, frames: Sequence[int]) -> bytes:
    """Some frames of a capture, as pcapng."""
    return b"".join(commented(memoryview(octets), {}, "", frozenset(frames)))


def _add(seen: dict[Kind, Sighting], sighting: Sighting) -> None:
    before = seen.get(sighting.kind)
    seen[sighting.kind] = sighting if before is None else before.with_more(sighting)


def _candidates(whole: Compared, case: Case) -> Iterator[Sequence[int]]:
    """Parts of a capture that are likely to show a difference, the smaller first."""
    before = range(1, case.frame + 1)
    if case.segment is None:
        yield (case.frame,)
    else:
        mine = case.segment.connection["connection"]
        of = whole.view.segments
        yield [each for each in before if each in of and of[each].connection["connection"] == mine]
    yield before
    yield range(1, whole.frames + 1)


def _smallest(
    candidates: Iterable[Sequence[int]],
    shows: Callable[[tuple[int, ...]], bool],
    attempts: int = ATTEMPTS,
) -> tuple[int, ...]:
    """The first candidate that shows something, made small; nothing if none does."""
    for each in candidates:
        if shows(tuple(each)):
            return shrunk(each, shows, attempts)
    return ()
