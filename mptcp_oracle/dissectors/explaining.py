"""Explaining differences by what is known, beside the comparison that finds them.

What tshark says follows from a state that is replayed from the beginning of the capture. With a
long capture and a second processor that is done in another process, while fields are compared.
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
from typing import Protocol, TypeAlias

from mptcp_oracle.dissectors.case import Case
from mptcp_oracle.dissectors.dissector import Words
from mptcp_oracle.dissectors.known import Known
from mptcp_oracle.dissectors.sides import Side
from mptcp_oracle.dissectors.view import View

__all__ = ["Answer", "Explainer", "case_of", "explain", "explaining"]

Answer: TypeAlias = Callable[[], list[int | None]]
"""Gives, for each frame that was asked about, the place of the known difference, or ``None``."""

LONG = 20_000
"""Segments from which on another process is worth its start."""


class Explainer(Protocol):
    """What explains differences, at once or later."""

    def submit(self, field: str, sides: Sequence[Side]) -> Answer:
        """Ask what explains it, for each frame where a field's sides differ."""


@contextmanager
def explaining(
    known: Sequence[Known], view: View, said: Mapping[int, Words]
) -> Iterator[Explainer]:
    """An explainer for one capture.

    Args:
        known: Known differences, tried in order.
        view: Our facts of the capture.
        said: The dissector's words, by frame.
    """
    here = _Here(known, view, said)
    if processors() < 2 or not known or len(view.segments) < LONG:
        yield here
        return
    global _inherited
    _inherited = here
    fork = multiprocessing.get_context("fork")
    with ProcessPoolExecutor(1, mp_context=fork, initializer=_begin) as pool:
        try:
            yield _Beside(pool, here)
        finally:
            pool.shutdown(cancel_futures=True)
            _inherited = None


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


class _Here:
    """Explains at once."""

    def __init__(self, known: Sequence[Known], view: View, said: Mapping[int, Words]) -> None:
        self._known, self._view, self._said = known, view, said
        self._about: dict[str, list[int]] = {}

    def submit(self, field: str, sides: Sequence[Side]) -> Answer:
        """Explain it now."""
        found = self.places(field, sides)
        return lambda: found

    def places(self, field: str, sides: Sequence[Side]) -> list[int | None]:
        """For each frame the place of the first known difference that explains it."""
        return [self._place(field, side) for side in sides]

    def _place(self, field: str, side: Side) -> int | None:
        if field not in self._about:
            self._about[field] = [at for at, each in enumerate(self._known) if each.about(field)]
        case = case_of(field, side, self._view, self._said)
        for at in self._about[field]:
            if self._known[at].foresees(case) and self._known[at].holds(case):
                return at
        return None


#: What another process has from this one when it begins.
_inherited: _Here | None = None


@dataclass(frozen=True, slots=True)
class _Beside:
    """Explains in another process."""

    pool: ProcessPoolExecutor
    here: _Here

    def submit(self, field: str, sides: Sequence[Side]) -> Answer:
        """Have it explained, or explain it when asked, should the other process be gone."""
        try:
            asked = self.pool.submit(_places, field, sides)
        except BrokenProcessPool:
            return lambda: self.here.places(field, sides)

        def answer() -> list[int | None]:
            try:
                return asked.result()
            except BrokenProcessPool:
                return self.here.places(field, sides)

        return answer


def _begin() -> None:
    """In the other process: end at once when the user interrupts."""
    signal.signal(signal.SIGINT, signal.SIG_DFL)


def _places(field: str, sides: Sequence[Side]) -> list[int | None]:
    """In the other process: the explanations."""
    assert _inherited is not None
    return _inherited.places(field, sides)
