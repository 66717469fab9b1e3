"""The property that any octets have: a result that can be used in full, or one clean error.

:func:`examine` analyzes octets and then uses the trace in every way that the package offers;
:func:`compare` does so under both engines. What escapes is a defect, whatever the octets were.
"""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from hashlib import sha256
from types import FrameType
from typing import Any

from mptcp_oracle.analysis.entities import ROLES
from mptcp_oracle.analysis.trace import Trace, analyze
from mptcp_oracle.engine import KINDS
from mptcp_oracle.errors import OracleError
from tests.common.equality import Parts, differences, parts

__all__ = ["LIMIT", "Outcome", "TooSlow", "compare", "engine_form", "examine", "within"]

#: Seconds after which one analysis counts as hanging: hundreds of times what small ones take.
LIMIT = 20.0


class TooSlow(BaseException):
    """A case took longer than its limit; nothing that catches errors can catch this."""


@dataclass(slots=True)
class Outcome:
    """What became of one case.

    Attributes:
        connections: How many were found. error: Kind of a clean error, or ``""``.
        parts: For comparison. seconds: How long it took.
    """

    connections: int = 0
    mappings: int = 0
    copies: int = 0
    error: str = ""
    parts: Parts = field(default_factory=dict)
    seconds: float = 0.0


@contextmanager
def engine_form(kind: str) -> Iterator[None]:
    """Inside, every analysis runs on this form of the engine."""
    before = os.environ.get("MPTCP_ORACLE_ENGINE")
    os.environ["MPTCP_ORACLE_ENGINE"] = kind  # empty counts as unset
    try:
        yield
    finally:
        if before is None:
            del os.environ["MPTCP_ORACLE_ENGINE"]
        else:
            os.environ["MPTCP_ORACLE_ENGINE"] = before


@contextmanager
def within(seconds: float) -> Iterator[None]:
    """Raise :class:`TooSlow` inside when the time is over (at the next Python instruction)."""

    def over(_: int, __: FrameType | None) -> None:
        raise TooSlow(f"not done after {seconds} s")

    before = signal.signal(signal.SIGALRM, over)
    signal.setitimer(signal.ITIMER_REAL, seconds)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)


def examine(octets: bytes, kind: str, *, derived: bool = True) -> Outcome:
    """Analyze octets under one engine and use all that comes out.

    Args:
        octets: A capture, or anything.
        kind: The form of the engine; ``""`` takes the one that the package would take.
        derived: Also what is computed from the tables alone, without the engine: NumPy tables,
            facts and the text reports.
    """
    began = time.perf_counter()
    outcome = Outcome()
    with engine_form(kind), within(LIMIT):
        try:
            with analyze(octets, name="case") as trace:
                outcome.connections = len(trace.connections)
                outcome.mappings = trace.wire.mappings.rows
                outcome.copies = sum(trace.plane.totals[3::4])
                outcome.parts = parts(trace)
                outcome.parts.update(_streams(trace))
                outcome.parts["json"] = _digest(_json(trace))
                if derived:
                    _use(trace)
        except OracleError as error:
            outcome.error = f"{type(error).__name__}: {error.message}"
            outcome.parts["error"] = str(error)
            assert outcome.parts["error"].isprintable() or "\n" in outcome.parts["error"]
    outcome.seconds = time.perf_counter() - began
    return outcome


def compare(octets: bytes) -> tuple[dict[str, Outcome], list[str]]:
    """Examine octets under both engines: the outcomes, and what differs between them."""
    outcomes = {kind: examine(octets, kind, derived=kind == "compiled") for kind in KINDS}
    first, second = (outcomes[kind].parts for kind in KINDS)
    return outcomes, differences(first, second)


def _digest(pieces: Iterator[str]) -> str:
    found = sha256()
    for piece in pieces:
        found.update(piece.encode(errors="surrogatepass"))
    return found.hexdigest()


def _streams(trace: Trace) -> Parts:
    """Octets and digests of all streams; none is longer than the payload in the capture."""
    most = sum(trace.wire.segments["captured"])
    found = {}
    for connection in trace.groups():
        for role in ROLES:
            octets, digest = 0, sha256()
            for piece in trace.stream(connection, role):
                assert len(piece) > 0, "an empty piece of a stream"
                octets += len(piece)
                digest.update(piece)
                assert octets <= most, "a stream longer than all payload"
            found[f"stream {connection.id} {role}"] = f"{octets} {digest.hexdigest()}"
    return found


def _json(trace: Trace) -> Iterator[str]:
    from mptcp_oracle.report.json import document

    yield from document(trace)
    yield from document(trace, trace.connections, trace.unattached)


def _use(trace: Trace) -> None:
    """Tables, lookups, facts and text reports: nothing raises, all has the right size."""
    from mptcp_oracle.report.detail import details
    from mptcp_oracle.report.layout import Page
    from mptcp_oracle.report.text import overview

    for page in (Page(width=80), Page(colour=True)):
        assert all(isinstance(line, str) for line in overview(trace, page))
    chosen = details(trace, trace.connections, trace.unattached, Page(), all_events=True)
    assert all(isinstance(line, str) for line in chosen)
    for name in ("segments", "mappings", "transmissions"):
        table: Any = getattr(trace, name)
        assert all(len(column) == len(table) for column in table.columns().values())
    assert len(trace.segments.absolute_dsn()) == len(trace.segments)
    assert len(trace.segments.absolute_data_ack()) == len(trace.segments)
    assert len(trace.mappings.absolute_dsn()) == len(trace.mappings)
    assert len(trace.transmissions.absolute_dsn()) == len(trace.transmissions)
    counted = sum(fact["fact"] == "segment" for fact in trace.facts())
    assert counted == len(trace.segments)
    _look_up(trace)


def _look_up(trace: Trace) -> None:
    """A few frames and data octets, from the ends and the middle, and some that are not there."""
    frames = trace.segments.frame.tolist()
    for frame in {*frames[:3], *frames[len(frames) // 2 :][:3], *frames[-3:]}:
        assert trace.frame(frame).frame == frame
    for connection in trace.connections[:2]:
        for role, host in zip(ROLES, connection.hosts, strict=True):
            for dsn in (-(1 << 62), 0, 1, host.octets, host.octets + 1, 1 << 62):
                found = trace.octet(connection, role, dsn)
                assert trace.carriers(connection, role, dsn, dsn + 1) == found.carried
            assert len(trace.carriers(connection, role, -(1 << 62), 1 << 62)) >= 0
