"""What a trace hands out, and how an analysis goes about it: order, progress, and cleaning up."""

from __future__ import annotations

import gc
import sys
from types import SimpleNamespace
from typing import Any

import pytest

from mptcp_oracle import analyze
from mptcp_oracle.analysis import trace as module
from mptcp_oracle.analysis.dataplane import Trigger
from mptcp_oracle.analysis.entities import Connection, Host, Mismatch, Subflow
from mptcp_oracle.analysis.trace import Trace
from mptcp_oracle.errors import UsageError
from mptcp_oracle.wire.notes import Note
from mptcp_oracle.wire.segments import Endpoint
from tests.common.conversation import Conversation
from tests.common.tape import Tape


def flow(number: int) -> Subflow:
    """A subflow."""
    return Subflow(
        id=number, stream=number, kind=None, source=Endpoint("a", 1),
        destination=Endpoint("b", 2), halves=(2 * number, 2 * number + 1),
    )  # fmt: skip


def group(
    number: int, *flows: int, tokens: tuple[int | None, int | None] = (None, None)
) -> Connection:
    """A connection of subflows."""
    hosts = (Host(role="initiator", token=tokens[0]), Host(role="listener", token=tokens[1]))
    return Connection(id=number, version=1, hosts=hosts, subflows=[flow(each) for each in flows])


def made(*groups: Connection, strays: tuple[Connection, ...] = (), **wire: Any) -> Trace:
    """A trace of connections and strays."""
    given = {"skipped": 0, "skipped_frame": None} | wire
    capture = SimpleNamespace(notes=[Note(code="x", text="y", count=1, frame=1)], closed=False)
    capture.close = lambda: setattr(capture, "closed", True)
    build = SimpleNamespace(shakes={}, connections=list(groups), unattached=list(strays))
    columns: Any = SimpleNamespace(capture=capture, **given)
    plane: Any = SimpleNamespace(spilled=0, direction=list(range(100, 200)))
    signals: Any = object()
    assembly: Any = build
    return Trace(columns, signals, assembly, plane)


def test_subflows_are_in_order_of_their_ids() -> None:
    """Whatever they belong to; strays come after connections."""
    trace = made(group(0, 3, 0), group(1, 2), strays=(group(-1, 4), group(-2, 1)))
    assert [each.id for each in trace.subflows] == [0, 1, 2, 3, 4]
    assert [each.id for each in trace.unattached] == [4, 1]
    assert [each.id for each in trace.groups()] == [0, 1, -1, -2]


def test_connections_by_number() -> None:
    """From 0; others are refused with how many there are."""
    trace = made(group(0, 0), group(1, 1))
    assert [trace.connection(number).id for number in (0, 1)] == [0, 1]
    for number in (-1, 2, 7):
        with pytest.raises(UsageError, match=f"there is no connection {number}") as raised:
            trace.connection(number)
        assert "the capture has 2," in (raised.value.hint or "")


def test_connections_by_token() -> None:
    """Of either host; several may have one token."""
    trace = made(
        group(0, 0, tokens=(7, 8)), group(1, 1, tokens=(9, 7)), group(2, 2, tokens=(None, 9))
    )
    found = {token: [each.id for each in trace.by_token(token)] for token in (7, 8, 9, 10)}
    assert found == {7: [0, 1], 8: [0], 9: [1, 2], 10: []}


def test_directions_in_the_tables_of_the_data_plane() -> None:
    """Those of the halves of a connection's first subflow."""
    trace = made(group(0, 3, 5))
    assert [trace.direction(trace.connections[0], role) for role in (0, 1)] == [106, 107]


def test_notes_of_the_capture_and_of_reading_it() -> None:
    """Each with its count and first frame; without such segments there is no note."""
    first = Note(code="x", text="y", count=1, frame=1)
    assert made().notes == [first]
    trace = made(skipped=3, skipped_frame=9)
    trace.plane.spilled = 4
    assert [(note.code, note.count, note.frame) for note in trace.notes] == [
        ("x", 1, 1), ("bad-tcp-header", 3, 9), ("too-many-mappings", 4, None),
    ]  # fmt: skip
    assert trace.capture.notes == [first]


def test_a_trace_is_closed_by_its_context() -> None:
    """And hands out itself."""
    trace = made()
    with trace as inside:
        assert inside is trace
        assert not trace.capture.closed
    assert trace.capture.closed


def test_lookups_take_a_connection_or_its_number() -> None:
    """And refuse what there is not."""
    talk = Conversation()
    talk.opened().data(0, b"hello")
    with analyze(talk.tape.pcap()) as trace:
        one = trace.connections[0]
        assert trace.octet(one, "initiator", 1) == trace.octet(0, "initiator", 1)
        (carrier,) = trace.carriers(one, "initiator", 1, 9)
        assert trace.carriers(0, "initiator", 1, 9) == (carrier,)
        assert (trace.octet(one, "initiator", 1).carried, carrier.frame) == ((carrier,), 4)
        assert trace.frame(4).ranges[0].octets == 5
        assert bytes(next(trace.stream(one, "initiator"))) == b"hello"
        assert bytes(next(trace.stream(0, "initiator"))) == b"hello"
        assert trace.segments is trace.segments
        for wrong in (1, -1):
            with pytest.raises(UsageError, match="no connection"):
                trace.octet(wrong, "initiator", 1)


def test_strays_count_from_directions_of_their_own() -> None:
    """Two directions a connection, pseudo-connections among them."""
    tape = Tape()
    talk = Conversation(tape)
    talk.opened()
    Conversation(tape, keys=(7, 8)).opened(ports=(9, 10))
    Conversation(tape, keys=(9, 10)).flow(ports=(11, 12)).join()
    with analyze(tape.pcap()) as trace:
        assert len(trace.connections) == 2
        assert len(trace.unattached) == 1
        assert len(trace.plane.base) == 6
        assert [trace.direction(each, role) for each in trace.groups() for role in (0, 1)] == [
            0, 1, 2, 3, 4, 5,
        ]  # fmt: skip


@pytest.mark.parametrize("was_on", [False, True])
@pytest.mark.parametrize("fails", [False, True])
def test_the_interpreter_is_left_as_it_was(was_on: bool, fails: bool) -> None:
    """The collector and the interval between threads, whatever happens in between."""
    on, interval = gc.isenabled(), sys.getswitchinterval()
    try:
        (gc.enable if was_on else gc.disable)()
        sys.setswitchinterval(0.0123)
        try:
            with module.at_full_speed():
                assert not gc.isenabled()
                assert 0 < sys.getswitchinterval() < 0.005
                if fails:
                    raise KeyError
        except KeyError:
            assert fails
        assert gc.isenabled() is was_on
        assert sys.getswitchinterval() == pytest.approx(0.0123)
    finally:
        (gc.enable if on else gc.disable)()
        sys.setswitchinterval(interval)


def test_a_failing_analysis_closes_its_capture(monkeypatch: pytest.MonkeyPatch) -> None:
    """And lets the error through; one that succeeds leaves it open."""
    closed: list[int] = []
    capture = SimpleNamespace(close=lambda: closed.append(1))
    monkeypatch.setattr(module, "open_capture", lambda source, **given: (given, capture)[1])
    monkeypatch.setattr(module, "_analyze", lambda *given: given)
    assert module.analyze(b"") == (capture, None)
    assert closed == []

    def fail(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(module, "_analyze", fail)
    with pytest.raises(KeyboardInterrupt):
        module.analyze(b"")
    assert closed == [1]


def test_progress_is_told_now_and_then() -> None:
    """At the first of every 1,024 groups; each group is handed on."""
    groups: Any = list(range(2_050))
    told: list[tuple[int, int]] = []
    found: Any = module._counted(groups, lambda *done: told.append(done))
    assert list(found) == groups
    assert told == [(0, 2_050), (1_024, 2_050), (2_048, 2_050)]
    assert list(module._counted(groups, None)) == groups
    assert list(module._counted([], lambda *done: told.append(done))) == []
    assert len(told) == 3


def test_the_steps_of_an_analysis(monkeypatch: pytest.MonkeyPatch) -> None:
    """Stories first, then the data plane with all triggers by row, then how everything ended."""
    one, stray = group(0, 0, 1), group(-1, 2)
    build = SimpleNamespace(connections=[one], unattached=[stray], shakes={})
    wire: Any = type("Columns", (), {"capture": "capture"})()
    plane = SimpleNamespace()
    done: list[tuple[Any, ...]] = []
    told: list[tuple[int, int]] = []

    def trigger(row: int) -> Trigger:
        return Trigger(row=row, half=0, kind="end")

    def wrong(frame: int) -> Mismatch:
        return Mismatch(what="", host=None, frame=frame, expected="", seen="", why="", section="")

    def tell(_: Any, __: Any, held: Connection) -> list[Trigger]:
        done.append(("tell", held.id))
        held.mismatches += [wrong(9), wrong(3), wrong(5)]
        return [trigger(9), trigger(4)]

    def end(_: Any, __: Any, held: Connection, subflow: Subflow) -> list[Trigger]:
        done.append(("end", held.id, subflow.id))
        return [trigger(7 - subflow.id)]

    def run(columns: Any, groups: Any, triggers: Any, progress: Any) -> Any:
        done.append(
            ("plane", columns, [each.id for each in groups], [each.row for each in triggers])
        )
        return plane

    for where, name, value in (
        (module, "read", lambda capture, progress: wire), (module, "Signals", lambda _: "signals"),
        (module, "find_subflows", lambda *given: given), (module, "run_data_plane", run),
        (module, "assemble", lambda columns, shakes: {(columns, "signals"): build}[shakes]),
        (module.story, "tell", tell), (module.closing, "end_subflow", end),
        (module.closing, "close", lambda *given: done.append(("close", given[2], given[3].id))),
        (module.schedulers, "observe", lambda *given: done.append(("observe", given[1].id))),
        (module.checksums, "verify", lambda *given: done.append(("verify", given[1].id))),
    ):  # fmt: skip
        monkeypatch.setattr(where, name, value)
    capture: Any = "capture"
    trace = module._analyze(capture, lambda *given: told.append(given))
    assert done == [
        ("tell", 0), ("end", 0, 0), ("end", 0, 1), ("tell", -1), ("end", -1, 2),
        ("plane", wire, [0, -1], [4, 4, 5, 6, 7, 9, 9]),
        ("close", plane, 0), ("observe", 0), ("verify", 0),
        ("close", plane, -1), ("observe", -1), ("verify", -1),
    ]  # fmt: skip
    assert [each.frame for each in one.mismatches] == [3, 5, 9]
    assert [each.frame for each in stray.mismatches] == [3, 5, 9]
    assert told == [(0, 2), (0, 2)]
    assert (trace.plane, trace.signals, trace.connections) == (plane, "signals", [one])
