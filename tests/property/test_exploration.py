"""All that small connections can reach, and the page that says so."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import pytest

from mptcp_oracle.model import invariants
from mptcp_oracle.model.choices import Counted
from mptcp_oracle.model.compose import DEEP, compose
from mptcp_oracle.model.events import Connect, Deliver, Event, Finish, Join, Send
from mptcp_oracle.model.exploration import SMALL, Bound, explore
from mptcp_oracle.model.invariants import INVARIANTS, Invariant, violations
from mptcp_oracle.model.settings import Settings
from mptcp_oracle.model.step import Step, step
from mptcp_oracle.model.trace import Mapping
from mptcp_oracle.model.world import World, changed, opening
from mptcp_oracle.options import MpJoinSyn
from tests.common.watched import BrokenInvariantError, watched
from tests.exploration.page import PAGE, Row, rows_of, written


@pytest.mark.parametrize("bound", SMALL, ids=lambda bound: bound.name)
def test_every_reachable_world_keeps_every_invariant(bound: Bound) -> None:
    """Exploring a small bound finds no violation, and what the page says it found."""
    found = explore(bound.settings)
    assert not found.broken
    assert found.complete
    assert Row.of(bound, found).line() in rows_of(PAGE.read_text(encoding="utf-8"))


def test_the_page_is_made_of_the_tables() -> None:
    """The page of the model is what its tables and its own rows of exploration give."""
    page = PAGE.read_text(encoding="utf-8")
    assert page == written(rows_of(page)), "python -m tests.exploration --renew"


def test_exploration_finds_a_violation_and_the_shortest_way_to_it() -> None:
    """A check that objects to the SYN/ACK is reported with the two events that lead there."""

    def check(before: World, outcome: Step) -> list[str]:
        return ["no"] if outcome.world.hosts[1].state == "M_SYN_RCVD" else []

    found = explore(Settings(bounds=(("Lose", 0), ("Repeat", 0), ("Retransmit", 0))), most=9,
                    check=check)  # fmt: skip
    _, way = found.broken[0]
    assert [type(event).__name__ for event in way] == ["Connect", "Deliver"]
    assert not found.complete


def _after(*events: Event | None) -> tuple[World, Step]:
    """The world before the last of some events, and its outcome; ``None`` delivers the oldest."""
    world = opening(Settings())
    for event in events[:-1]:
        world = step(world, event or Deliver(number=world.flight[0].number)).world
    last = events[-1] or Deliver(number=world.flight[0].number)
    return world, step(world, last)


OPEN = (Connect(), None, None, None)
SENT = (*OPEN, Send(host=0, subflow=0, octets=100))
ARRIVED = (*SENT, None)
CLOSING = (*ARRIVED, Finish(host=0, subflow=0))
ANSWERED = (*ARRIVED, Send(host=1, subflow=0, octets=9), None, Send(host=0, subflow=0, octets=50))


def _host(outcome: Step, role: int, **changes: object) -> Step:
    hosts = list(outcome.world.hosts)
    hosts[role] = changed(hosts[role], **changes)
    return replace(outcome, world=changed(outcome.world, hosts=tuple(hosts)))


def _half(outcome: Step, role: int, **changes: object) -> Step:
    subflow = outcome.world.subflows[0]
    halves = list(subflow.halves)
    halves[role] = changed(halves[role], **changes)
    first = changed(subflow, halves=tuple(halves))
    subflows = (first, *outcome.world.subflows[1:])
    return replace(outcome, world=changed(outcome.world, subflows=subflows))


def _segment(outcome: Step, **changes: object) -> Step:
    return replace(outcome, sent=(replace(outcome.sent[0], **changes),))  # type: ignore[arg-type]


def _piece(outcome: Step, **changes: object) -> Step:
    piece = replace(outcome.sent[0].ranges[0], **changes)  # type: ignore[arg-type]
    return _segment(outcome, ranges=(piece,))


def _elsewhere(outcome: Step) -> Step:
    """The mapping of the segment sent covers earlier octets too, and gives them other DSNs."""
    mapping = outcome.sent[0].mapping
    assert mapping is not None
    return _segment(outcome, mapping=Mapping(sequence=1, dsn=5_001, octets=mapping.octets))


def _join(outcome: Step, **changes: object) -> Step:
    option = outcome.sent[0].options[0]
    assert isinstance(option, MpJoinSyn)
    return _segment(outcome, options=(replace(option, **changes),))  # type: ignore[arg-type]


JOINED = (*ANSWERED, None, Join(host=0, local=1, remote=0))
PLANTED: dict[str, tuple[tuple[Event | None, ...], Callable[[Step], Step]]] = {
    "stream": (ARRIVED, lambda done: _host(done, 1, rcv_nxt=999)),
    "kept data": (ARRIVED, lambda done: _host(done, 1, received=((50, 60),))),
    "forward": (ANSWERED, lambda done: _host(done, 0, snd_una=0)),
    "subflow": (ARRIVED, lambda done: _half(done, 1, rcv_nxt=999)),
    "DATA_FIN": (CLOSING, lambda done: _host(done, 1, fin_heard=7)),
    "finished": (CLOSING, lambda done: _host(done, 0, state="M_TIME_WAIT")),
    "immutable": ((*SENT, Send(host=0, subflow=0, octets=50)), _elsewhere),
    "content": (SENT, lambda done: _segment(done, payload=bytes(100))),
    "mapped": (SENT, lambda done: _piece(done, dsn=2)),
    "acknowledgments": (ANSWERED, lambda done: _segment(done, data_ack=99)),
    "window": (SENT, lambda done: _host(done, 0, limit=50)),
    "new once": (ANSWERED, lambda done: _piece(done, dsn=1)),
    "DSNs": ((*CLOSING, None), lambda done: _host(done, 0, snd_nxt=999)),
    "fourth packet": (SENT, lambda done: done),
    "joins": (JOINED, lambda done: _join(done, token=1)),
    "plain TCP": (ANSWERED, lambda done: done),
    "tables": (SENT, lambda done: _half(done, 0, state="TIME_WAIT")),
}
#: Changes of the world before the step, where the step itself is as it was.
BEFORE: dict[str, Callable[[World], World]] = {
    "fourth packet": lambda world: (
        _half(Step(world=world, sent=(), transitions=()), 0, state="PRE_ESTABLISHED").world
    ),
    "plain TCP": lambda world: (
        _host(Step(world=world, sent=(), transitions=()), 0, state="TCP").world
    ),
}


@pytest.mark.parametrize("invariant", INVARIANTS, ids=lambda each: each.name)
def test_every_invariant_can_be_broken(invariant: Invariant) -> None:
    """A step that was tampered with breaks the invariant, and the step itself does not."""
    name = invariant.name
    events, tamper = PLANTED[name]
    before, outcome = _after(*events)
    assert violations(before, outcome) == []
    before = BEFORE.get(name, lambda world: world)(before)
    found = [sentence.partition(":")[0] for sentence in violations(before, tamper(outcome))]
    assert name in found


def test_generated_runs_keep_every_invariant() -> None:
    """No step of a few hundred composed captures breaks an invariant."""
    with watched():
        for number in range(150):
            compose(Counted(11, f"watched {number}"), DEEP)


def test_a_watched_run_stops_at_a_violation(monkeypatch: pytest.MonkeyPatch) -> None:
    """A run whose SYN/ACK breaks an invariant does not go on."""
    silent = replace(
        INVARIANTS[0], broken=lambda before, outcome: iter(["no"] * bool(outcome.sent))
    )
    monkeypatch.setattr(invariants, "INVARIANTS", (silent,))
    with watched(), pytest.raises(BrokenInvariantError, match="stream: no; Connect"):
        compose(Counted(11, "watched"), DEEP)
