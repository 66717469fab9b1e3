"""Explaining differences by what is known, beside the comparison that finds them.

What tshark says follows from a state that is replayed from the beginning of the capture. With a
long capture and a second processor another process does that, and begins with it while the
dissector runs.
"""

from __future__ import annotations

import multiprocessing
import os
import signal
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property
from multiprocessing.connection import wait
from pathlib import Path
from threading import Thread
from typing import Protocol, TypeAlias

from mptcp_oracle.analysis.trace import analyze
from mptcp_oracle.dissectors.case import Case, Caused
from mptcp_oracle.dissectors.dissector import Words
from mptcp_oracle.dissectors.known import Known
from mptcp_oracle.dissectors.rows import TraceView
from mptcp_oracle.dissectors.sides import Side
from mptcp_oracle.dissectors.tshark_replay import replay
from mptcp_oracle.dissectors.view import View
from mptcp_oracle.errors import OracleError

__all__ = ["Ahead", "Answer", "Beside", "Explainer", "Here", "ahead", "case_of", "explain"]

Answer: TypeAlias = Callable[[], list[int | None]]
"""Gives, for each frame that was asked about, the place of the known difference, or ``None``."""

LONG = 2_000_000
"""Octets of a capture from which on another process is worth its start."""

AHEAD: Mapping[str, Callable[[View], object]] = {"tshark": replay}
"""By dissector: what takes long and needs nothing that the dissector says."""

ELSEWHERE = -1
"""Stands for what the other process cannot explain: frames of no segment of ours."""


class Explainer(Protocol):
    """What explains differences, at once or later."""

    def submit(self, field: str, sides: Sequence[Side]) -> Answer:
        """Ask what explains it, for each frame where a field's sides differ."""


@contextmanager
def ahead(name: str, known: Callable[[], Sequence[Known]], capture: Path) -> Iterator[Ahead | None]:
    """A process that prepares to explain what a dissector says of a capture, if that is worth it.

    Args:
        name: What the command line calls the dissector.
        known: Gives known differences, tried in order.
        capture: The capture.
    """
    long = capture.is_file() and capture.stat().st_size >= LONG
    if name not in AHEAD or not long or processors() < 2 or not known():
        yield None
        return
    fork = multiprocessing.get_context("fork")
    arguments = (known(), capture, AHEAD[name])
    with ProcessPoolExecutor(1, fork, initializer=_begin, initargs=arguments) as pool:
        try:
            pool.submit(_prepare)
        except OSError:  # no more processes; what they would spare is time
            yield None
            return
        try:
            yield Ahead(pool)
        finally:
            pool.shutdown(cancel_futures=True)


def processors() -> int:
    """How many processors there are for processes that begin as copies of this one."""
    fork = "fork" in multiprocessing.get_all_start_methods()
    return len(os.sched_getaffinity(0)) if fork and hasattr(os, "sched_getaffinity") else 1


def explain(case: Case, known: Iterable[Known]) -> Known | None:
    """The first known difference that holds, or ``None``."""
    return next((each for each in known if each.explains(case)), None)


def case_of(field: str, side: Side, view: View, said: Mapping[int, Words]) -> Case:
    """The case of a field and a frame."""
    frame, theirs, ours = side
    return Case(
        frame=frame,
        field=field,
        theirs=theirs,
        ours=ours,
        segment=view.segments.get(frame),
        view=view,
        said=said,
    )


class Here:
    """Explains at once."""

    def __init__(self, known: Sequence[Known], view: View, said: Mapping[int, Words]) -> None:
        """Take known differences, our facts of a capture and what the dissector says of it."""
        self._known, self._view, self._said = known, view, said
        self._about: dict[str, list[int]] = {}

    def submit(self, field: str, sides: Sequence[Side]) -> Answer:
        """Explain it now."""
        found = self.places(field, sides)
        return lambda: found

    def places(self, field: str, sides: Sequence[Side]) -> list[int | None]:
        """For each frame the place of the first known difference that explains it."""
        return [self.place(field, side) for side in sides]

    def place(self, field: str, side: Side) -> int | None:
        """The place of the first known difference that explains one."""
        if field not in self._about:
            self._about[field] = [at for at, each in enumerate(self._known) if each.about(field)]
        case, causes = case_of(field, side, self._view, self._said), dict[object, str | None]()
        for at in self._about[field]:
            trigger, holds = self._known[at].foresees, self._known[at].holds
            if isinstance(trigger, Caused):
                # All of a dissector's ask for the same.
                if trigger.find not in causes:
                    causes[trigger.find] = trigger.find(case)
                foreseen = causes[trigger.find] == trigger.cause
            else:
                foreseen = trigger(case)
            if foreseen and holds(case):
                return at
        return None


@dataclass(frozen=True, slots=True)
class Beside:
    """Explains in another process."""

    ahead: Ahead
    here: Here

    def submit(self, field: str, sides: Sequence[Side]) -> Answer:
        """Have it explained, or explain it when asked, should the other process be gone."""
        try:
            asked = self.ahead.pool.submit(_places, field, sides)
        except BrokenProcessPool:
            return lambda: self.here.places(field, sides)

        def answer() -> list[int | None]:
            try:
                found = asked.result()
            except Exception:  # if it is no matter of that process alone, it shows here, too
                return self.here.places(field, sides)
            return [
                self.here.place(field, side) if place == ELSEWHERE else place
                for side, place in zip(sides, found, strict=True)
            ]

        return answer


@dataclass(frozen=True, slots=True)
class Ahead:
    """A process that has begun."""

    pool: ProcessPoolExecutor


# ---- in the other process ------------------------------------------------------------------


@dataclass(frozen=True)
class _Prepared:
    """What the other process has."""

    known: Sequence[Known]
    capture: Path
    prepare: Callable[[View], object]

    @cached_property
    def explainer(self) -> tuple[View, Here]:
        """Facts of the capture, and what explains by them."""
        # The trace stays open as long as the process lives.
        view = TraceView(analyze(self.capture), self.capture)
        self.prepare(view)
        return view, Here(self.known, view, _Untold())


class _Untold(Mapping[int, Words]):
    """What the dissector says, of which the other process knows nothing."""

    def __getitem__(self, frame: int) -> Words:
        raise OracleError("what the dissector says is not known here")

    def __iter__(self) -> Iterator[int]:
        raise OracleError("what the dissector says is not known here")

    def __len__(self) -> int:
        raise OracleError("what the dissector says is not known here")


_prepared: _Prepared | None = None


def _begin(known: Sequence[Known], capture: Path, prepare: Callable[[View], object]) -> None:
    """End at once when the user interrupts, or when there is nobody left to explain to."""
    global _prepared
    signal.signal(signal.SIGINT, signal.SIG_DFL)
    Thread(target=_outlive, daemon=True).start()
    _prepared = _Prepared(known, capture, prepare)


def _outlive() -> None:
    """End with the process that began this one."""
    parent = multiprocessing.parent_process()
    if parent is not None:
        wait([parent.sentinel])
        os._exit(1)


def _prepare() -> None:
    """Begin with what takes long; a process that cannot is no use, and would try each time."""
    assert _prepared is not None
    try:
        _ = _prepared.explainer
    except BaseException:
        os._exit(1)


def _places(field: str, sides: Sequence[Side]) -> list[int | None]:
    """The explanations."""
    assert _prepared is not None
    view, here = _prepared.explainer
    return [here.place(field, side) if side[0] in view.segments else ELSEWHERE for side in sides]
