"""The facts of a trace say everything that the trace knows."""

from __future__ import annotations

import io
import json
from collections.abc import Iterator
from dataclasses import asdict, fields, is_dataclass
from functools import cache
from types import GeneratorType
from typing import Any

import pytest

from mptcp_oracle import Trace, analyze, facts
from mptcp_oracle.analysis.entities import (
    AddressEvent,
    Connection,
    DataFin,
    Event,
    Host,
    JoinCheck,
    Scheduler,
    Subflow,
    SubflowEnd,
)
from mptcp_oracle.wire.notes import Note
from tests.common.checkout import ROOT
from tests.common.conversation import Conversation

KERNEL = ROOT / "corpus" / "kernel"
RECORDINGS = sorted(path.name for path in KERNEL.glob("*.pcap*"))
MADE = ROOT / "tests" / "data" / "generated"
GENERATED = sorted(path.name for path in MADE.glob("*.pcap*"))

#: Attributes whose keys have other names: how to find their value in a fact.
ELSEWHERE: dict[type, dict[str, Any]] = {
    Connection: {
        "id": lambda fact: fact["connection"],
        "hosts": lambda fact: ["initiator", "listener"] if fact["initiator"]["role"] else None,
        "checksums": lambda fact: list(fact["checksums"].values()),
        "events": lambda fact: fact["events"],
    },
    Host: {
        "endpoint": lambda fact: [fact["address"], fact["port"]],
        "scheduler": None,  # an observation
    },
    Subflow: {
        "id": lambda fact: fact["subflow"],
        "opener": lambda fact: fact["opened_by"],
        "source_role": lambda fact: fact["source"]["role"],
        "halves": None,  # where the two directions are in the columns
        "octets": lambda fact: [fact["source"]["octets"], fact["destination"]["octets"]],
        "address_ids": lambda fact: fact["source"]["address_id"],
        "isn_from": lambda fact: fact["source"]["isn_from"],
        "syn_data": lambda fact: fact["source"]["syn_data"],
        "backup": lambda fact: fact["source"]["backup"],
    },
    Scheduler: {
        "redundant": lambda fact: fact["value"],
        "reordered": None,  # observations of their own
        "on_backup": None,
    },
    Event: {"options": None},  # in the fact of the segment
}
#: Attributes that only make other ones.
INNER = {"teller", "_events"}


@cache
def told(name: str) -> tuple[list[facts.Fact], Trace]:
    """The facts of a recording, or of a generated capture, and its trace."""
    trace = analyze((MADE if name in GENERATED else KERNEL) / name)
    return list(trace.facts()), trace


def of(name: str, kind: str) -> list[facts.Fact]:
    """The facts of one kind."""
    return [fact for fact in told(name)[0] if fact["fact"] == kind]


def walk(value: Any) -> Iterator[dict[str, Any]]:
    """Every object inside a fact, itself included."""
    if isinstance(value, dict):
        yield value
        for inner in value.values():
            yield from walk(inner)
    elif isinstance(value, list):
        for inner in value:
            yield from walk(inner)


def missing(item: object, fact: facts.Fact) -> list[str]:
    """The attributes of a value that its fact does not show."""
    assert is_dataclass(item)
    elsewhere = ELSEWHERE.get(type(item), {})
    names = {field.name for field in fields(item)} - INNER
    if isinstance(item, Connection):
        names.add("events")
    return sorted(name for name in names if name not in elsewhere and name not in fact)


def test_every_attribute_of_the_trace_is_in_the_facts() -> None:
    """No attribute of a connection, host, subflow or what they hold is forgotten."""
    met: set[type] = set()
    for name in RECORDINGS:
        lines, trace = told(name)
        connections = {fact["connection"]: fact for fact in lines if fact["fact"] == "connection"}
        flows = {fact["subflow"]: fact for fact in lines if fact["fact"] == "subflow"}
        observed = {
            (fact["connection"], fact["host"]): fact
            for fact in lines
            if fact["fact"] == "observation" and fact["what"] == "scheduler"
        }
        pairs: list[tuple[Any, facts.Fact]] = []
        for group in trace.groups():
            fact = connections.pop(group.id)
            pairs.append((group, fact))
            for host in group.hosts:
                pairs.append((host, fact[host.role]))
                if host.scheduler is not None:
                    pairs.append((host.scheduler, observed[group.id, host.role]))
                if host.data_fin is not None:
                    pairs.append((host.data_fin, fact[host.role]["data_fin"]))
            for key in ("events", "addresses", "mismatches", "notes"):
                pairs += zip(getattr(group, key), fact[key], strict=True)
            for flow in group.subflows:
                line = flows.pop(flow.id)
                assert line["connection"] == group.id
                pairs.append((flow, line))
                pairs += zip(flow.notes, line["notes"], strict=True)
                pairs += [(each, line[key]) for key in ("join", "end")
                          if (each := getattr(flow, key)) is not None]  # fmt: skip
        assert not connections
        assert not flows
        for item, fact in pairs:
            assert not missing(item, fact), type(item)
            met.add(type(item))
            for attribute, find in ELSEWHERE.get(type(item), {}).items():
                assert hasattr(item, attribute)
                if find is not None:
                    find(fact)
    assert met >= {
        AddressEvent, Connection, DataFin, Event, Host, JoinCheck, Note, Scheduler, Subflow,
        SubflowEnd,
    }  # fmt: skip


def test_a_forgotten_attribute_is_found() -> None:
    """The check can fail: a fact without one of the attributes is reported."""
    fact = of("loss-reinjection.pcapng", "connection")[0]
    item = told("loss-reinjection.pcapng")[1].connections[0]
    assert missing(item, fact) == []
    assert missing(item, {key: fact[key] for key in fact if key != "fallback"}) == ["fallback"]


@pytest.mark.parametrize("name", RECORDINGS)
def test_connections_and_hosts_are_told_as_they_are(name: str) -> None:
    """Keys, tokens and numbers have their forms, and every value is the trace's."""
    _, trace = told(name)
    for group, fact in zip(trace.groups(), of(name, "connection"), strict=True):
        assert (fact["version"], fact["checksum"]) == (group.version, group.checksum)
        assert (fact["state"], fact["why"]) == (group.state, group.why)
        assert fact["state"] in facts.STATES
        assert fact["fallback"] in (None, *facts.FALLBACKS)
        assert fact["subflows"] == [flow.id for flow in group.subflows]
        assert list(fact["checksums"].values()) == list(group.checksums)
        assert fact["addresses"] == [asdict(event) for event in group.addresses]
        assert [event["frame"] for event in fact["events"]] == [e.frame for e in group.events]
        for host in group.hosts:
            line = fact[host.role]
            assert line["role"] == host.role
            assert host.endpoint is not None
            assert (line["address"], line["port"]) == (host.endpoint.address, host.endpoint.port)
            if host.key is not None:
                assert len(line["key"]) == 16
                assert int(line["key"], 16) == host.key
            if host.token is not None:
                assert line["token"] == f"{host.token:08x}"
            if host.idsn is not None:
                assert line["idsn"] == line["base"] == str(host.idsn)
            assert line["transmissions"] == host.transmissions
            assert tuple(line["transmissions"]) == facts.CLASSES
            assert (line["octets"], line["acknowledged"]) == (host.octets, host.acknowledged)


@pytest.mark.parametrize("name", RECORDINGS)
def test_subflows_are_told_by_their_ends(name: str) -> None:
    """What belongs to one end of a subflow is told there, whoever opened it."""
    _, trace = told(name)
    for flow, fact in zip(trace.subflows, of(name, "subflow"), strict=True):
        for end, key, role in (
            (flow.source, "source", flow.source_role),
            (flow.destination, "destination", 1 - flow.source_role),
        ):
            line = fact[key]
            assert (line["address"], line["port"]) == (end.address, end.port)
            assert line["octets"] == flow.octets[role]
            assert line["address_id"] == flow.address_ids[role]
            assert line["backup"] == flow.backup[role]
            assert line["syn_data"] == flow.syn_data[role]
            assert line["role"] in (None, facts.ROLES[role])
        assert (fact["vantage"], fact["vantage_known"]) == flow.vantage
        assert fact["kind"] == flow.kind
        if flow.join is not None:
            assert fact["join"]["result"] in facts.JOINS
            assert fact["join"]["result"] == flow.join.result
            assert flow.join.token is None or int(fact["join"]["token"], 16) == flow.join.token
        if flow.end is not None:
            assert fact["end"] == asdict(flow.end)
            assert fact["end"]["how"] in facts.ENDS


@pytest.mark.parametrize("name", RECORDINGS + GENERATED)
def test_segments_agree_with_the_lookups(name: str) -> None:
    """A segment's fact is what looking its frame up gives."""
    _, trace = told(name)
    lines = of(name, "segment")
    assert [line["frame"] for line in lines] == trace.segments.frame.tolist()
    for fact in lines:
        view = trace.frame(fact["frame"])
        assert fact["options"] == [facts.of_option(option) for option in view.options]
        for key in ("connection", "subflow", "sender", "flags", "window", "payload", "captured",
                    "duplicate", "options_cut", "copies", "data_ack"):  # fmt: skip
            assert fact[key] == getattr(view, key), key
        assert fact["from"] == ("source" if view.from_source else "destination")
        assert fact["sequence"] in (None, view.sequence)
        assert fact["ack"] in (None, view.ack)
        assert fact["previous"] == max((each.frame for each in view.previous), default=None)
        assert sum(part["octets"] for part in fact["ranges"]) == view.payload
        if any(part["sequence"] is None for part in fact["ranges"]):
            continue  # not told: where the subflow began is not known
        shown = [
            (part["sequence"] + at, part["announced"], part["dsn"] and part["dsn"] + at)
            for part in fact["ranges"]
            for at in range(part["octets"])
        ]
        assert shown == [
            (part.sequence + at, part.announced, part.dsn and part.dsn + at)
            for part in view.ranges
            for at in range(part.octets)
        ]
        if fact["data_ack_absolute"] is not None:
            assert fact["data_ack_absolute"] == str(view.data_ack_absolute)
        if fact["ranges"] and fact["ranges"][0]["absolute"] is not None:
            assert fact["ranges"][0]["absolute"] == str(view.ranges[0].absolute)


@pytest.mark.parametrize("name", RECORDINGS)
def test_transmissions_follow_their_segment(name: str) -> None:
    """Transmissions come right after their segment and are the table's rows."""
    lines, trace = told(name)
    frame = None
    found = []
    for fact in lines:
        if fact["fact"] == "segment":
            frame = fact["frame"]
        elif fact["fact"] == "transmission":
            assert fact["frame"] == frame
            found.append(
                (fact["frame"], facts.CLASSES.index(fact["class"]), fact["octets"],
                 -1 if fact["dsn"] is None else fact["dsn"], fact["subflow"])
            )  # fmt: skip
            assert fact["needed"] is None or fact["class"] in facts.COPIES
    moves = trace.transmissions
    columns = (moves.frame, moves.kind, moves.octets, moves.dsn, moves.subflow)
    assert found == list(zip(*(column.tolist() for column in columns), strict=True))


@pytest.mark.parametrize("name", RECORDINGS)
def test_null_and_unknown_are_told_apart(name: str) -> None:
    """A reason is given only for keys that are there and null, and every one has words."""
    for line in told(name)[0]:
        for fact in walk(line):
            for key, why in fact.get("unknown", {}).items():
                inside = [part for part in fact.get("ranges", []) if key in part]
                values = [fact[key]] if key in fact else [part[key] for part in inside]
                assert values, key
                assert None in values or key == "options", key
                assert why


def test_options_of_events_are_in_their_segments() -> None:
    """The options behind a line of the story are those of the segment in that frame."""
    for name in ("loss-reinjection.pcapng", "remove-address.pcapng", "fast-close-unread.pcapng"):
        segments = {fact["frame"]: fact for fact in of(name, "segment")}
        _, trace = told(name)
        for connection in trace.connections:
            for event in connection.events:
                for option in event.options:
                    assert facts.of_option(option) in segments[event.frame]["options"]


def test_large_numbers_are_text() -> None:
    """No integer of a fact needs more than 53 bits, which is what JSON readers keep."""
    for name in RECORDINGS:
        for line in told(name)[0]:
            for fact in walk(line):
                for key, value in fact.items():
                    assert not isinstance(value, int) or abs(value) < 1 << 53, key


def test_facts_come_one_by_one() -> None:
    """Facts are generated, and writing them all gives a document that reads back equal."""
    lines, trace = told("bulk-two-paths.pcapng")
    assert isinstance(trace.facts(), GeneratorType)
    file = io.StringIO()
    capture = trace.capture
    facts.write(file, trace.facts(), capture=capture.name, sha256=capture.sha256, version="1")
    text = file.getvalue().splitlines()
    assert len(text) == len(lines) + 2
    document = facts.read(text)
    assert document.facts == json.loads(json.dumps(lines))
    assert document.footer["sha256"] == trace.capture.sha256()


def test_many_segments_come_in_chunks(monkeypatch: pytest.MonkeyPatch) -> None:
    """The size of the chunks in which columns are read changes nothing."""
    from mptcp_oracle.analysis import serialise

    lines, trace = told("loss-reinjection.pcapng")
    monkeypatch.setattr(serialise, "CHUNK", 7)
    assert list(trace.facts()) == lines


def test_a_stray_subflow_stands_for_its_connection() -> None:
    """An unattached subflow has a negative connection; nothing about its keys is known."""
    (connection,) = of("joined-path-only.pcapng", "connection")
    (flow,) = of("joined-path-only.pcapng", "subflow")
    assert connection["connection"] == flow["connection"] == -1
    assert connection["unknown"]["version"] == "no MP_CAPABLE in the capture"
    assert connection["listener"]["unknown"]["token"] == "no key in the capture"
    assert flow["join"]["token"]


def test_without_a_handshake_reasons_are_given() -> None:
    """Sequence numbers and roles that a missing handshake would tell are unknown, with why."""
    talk = Conversation(wide=(False, False))
    with talk.lost():
        flow = talk.opened()
    for at in range(3):
        flow.data(0, b"data" * at)
    flow.segment(1, 0x10, talk.dss(1, dack=talk.next_dsn[0]))
    with analyze(talk.tape.pcap()) as trace:
        lines = list(trace.facts())
    connection, flow_fact = lines[0], lines[1]
    assert connection["initiator"]["unknown"]["base"] == "only 4-octet numbers in the capture"
    assert flow_fact["opened_by"] is None
    assert flow_fact["unknown"]["kind"]
    segments = [line for line in lines if line["fact"] == "segment"]
    assert segments[0]["sender"] is None
    assert segments[0]["unknown"]["sender"]
    assert {segment["from"] for segment in segments} == {"source", "destination"}
    assert segments[-1]["unknown"]["data_ack_absolute"]
    assert segments[-1]["unknown"]["sequence"] == "no SYN in the capture"


def test_ranges_end_where_another_mapping_begins() -> None:
    """A segment under two mappings in a row has two ranges, each with its own announcement."""
    talk = Conversation()
    flow = talk.opened()
    first = flow.data(0, b"abcd")
    second = flow.data(0, b"efgh")
    both = flow.segment(0, 0x10, payload=b"abcdefgh", seq=1)
    with analyze(talk.tape.pcap()) as trace:
        (fact,) = [line for line in trace.facts() if line.get("frame") == both and "ranges" in line]
    assert [(part["dsn"], part["dsn_end"], part["announced"]) for part in fact["ranges"]] == [
        (1, 5, first),
        (5, 9, second),
    ]
