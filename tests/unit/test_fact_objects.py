"""Every key of every fact, from entities and table rows written by hand.

The vocabulary is that of ``docs/facts.md``: ``null`` with a reason in ``unknown`` is not known,
without one there is no such thing.
"""

from __future__ import annotations

from array import array
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from mptcp_oracle.analysis import described, serialise
from mptcp_oracle.analysis.entities import (
    AddressEvent,
    Connection,
    DataFin,
    Event,
    Host,
    JoinCheck,
    Mismatch,
    Scheduler,
    Subflow,
    SubflowEnd,
)
from mptcp_oracle.encode import encode, pad
from mptcp_oracle.facts import CLASSES, KEYS
from mptcp_oracle.options import Dss, MpPrio
from mptcp_oracle.wire.columns import FLAG_BITS
from mptcp_oracle.wire.notes import Note
from mptcp_oracle.wire.segments import Endpoint
from tests.common.columns import ROWS, table, wire

WIDE = 1 << 64
SENT = dict(zip(CLASSES, (100, 2, 3, 25, 5, 6, 7, 8), strict=True))


def plane(**fields: Any) -> Any:
    """A data plane of directions 4 and 5, halves 0 and 1."""
    given = {
        "direction": array("i", [4, 5]), "base": [0] * 4 + [70, -5],
        "base_from": [""] * 4 + ["key", "mappings"], "high_known": [True] * 6,
        "isn_from": array("B", [1, 4]), "vague": array("B", [0, 0]),
        "totals": array("q", [0] * 16 + [40, 10, 20, 9, 1, 2, 3, 4]),
    }  # fmt: skip
    return SimpleNamespace(**given | fields)


def trace(**fields: Any) -> Any:
    """A trace of one subflow."""
    return SimpleNamespace(
        plane=plane(**fields), direction=lambda item, role: 4 + role,
        wire=SimpleNamespace(halves={"isn": [1234, 5678]}),
    )  # fmt: skip


def flow(**fields: Any) -> Subflow:
    """A joined subflow."""
    given = {
        "id": 3, "stream": 8, "kind": "joined", "source": Endpoint("10.0.0.1", 1),
        "destination": Endpoint("10.0.0.2", 2), "halves": (0, 1), "opener": 0,
    }  # fmt: skip
    return Subflow(**given | fields)


def connection(*flows: Subflow, **fields: Any) -> Connection:
    """A connection of which little is known."""
    hosts = (
        Host(role="initiator", transmissions=dict(SENT)),
        Host(role="listener", transmissions=dict.fromkeys(CLASSES, 0)),
    )
    given = {"id": 2, "version": 1, "hosts": hosts, "subflows": list(flows)}
    return Connection(**given | fields)


def shape(fact: dict[str, Any], kind: str) -> None:
    """The keys of a fact are those of the vocabulary, in its order."""
    assert list(fact) == list(KEYS[kind])


# -------------------------------------------------------------------- connections


def test_a_connection_with_everything() -> None:
    """Each attribute has its key."""
    one = connection(flow(id=3), flow(id=5), checksum=True, state="fallback", why="so",
                     state_frame=9, fallback="synack", checksums=(7, 8, 9))  # fmt: skip
    one.teller = lambda: [
        Event(frame=4, time=1_700_000_000_000_000_005, subflow=3, host=None, what="SYN")
    ]
    one.addresses = [AddressEvent(frame=1, subflow=3, host="listener", what="add", address_id=4)]
    one.mismatches = [Mismatch(what="token", host=None, frame=2, expected="a", seen="b", why="c",
                               section="3.2")]  # fmt: skip
    one.notes = [Note(code="x", text="y", count=2, frame=None)]
    fact = described.connection(trace(), one)
    shape(fact, "connection")
    hosts = fact.pop("initiator"), fact.pop("listener")
    assert [host["role"] for host in hosts] == ["initiator", "listener"]
    assert fact == {
        "fact": "connection", "connection": 2, "version": 1, "checksum": True, "state": "fallback",
        "state_frame": 9, "why": "so", "fallback": "synack", "subflows": [3, 5],
        "checksums": {"right": 7, "wrong": 8, "incomplete": 9},
        "events": [{"frame": 4, "time": "1700000000.000000005", "subflow": 3, "host": None,
                    "what": "SYN"}],
        "addresses": [{"frame": 1, "subflow": 3, "host": "listener", "what": "add",
                       "address_id": 4, "address": None, "port": None, "hmac": None}],
        "mismatches": [{"what": "token", "host": None, "frame": 2, "expected": "a", "seen": "b",
                        "why": "c", "section": "3.2"}],
        "notes": [{"code": "x", "text": "y", "count": 2, "frame": None}], "unknown": {},
    }  # fmt: skip


def test_a_connection_without_handshake() -> None:
    """Version and checksum have their reasons, the latter its own if there is one."""
    none = "no MP_CAPABLE in the capture"
    fact = described.connection(trace(), connection(version=None))
    assert fact["unknown"] == {"version": none, "checksum": none}
    one = connection(unknown={"checksum": "half of it"})
    assert described.connection(trace(), one)["unknown"] == {"checksum": "half of it"}
    assert described.connection(trace(), connection(checksum=False))["unknown"] == {}


def host(role: int = 0, version: int | None = 1, at: Any = None, **fields: Any) -> dict[str, Any]:
    """The fact of a host."""
    one = connection(version=version)
    for name, value in fields.items():
        setattr(one.hosts[role], name, value)
    fact: dict[str, Any] = described._host(at or trace(), one, role)
    shape(fact, "host")
    return fact


def test_a_host_with_everything() -> None:
    """Keys and tokens are hexadecimal with all their digits, 64-bit numbers decimal text."""
    fact = host(
        endpoint=Endpoint("::1", 7), key=0xAB, token=0xC, idsn=WIDE - 1, base=-3, c_flag=False,
        octets=5, data_fin=DataFin(frame=1, dsn=2, acknowledged=True), acknowledged=1,
    )  # fmt: skip
    assert fact == {
        "role": "initiator", "address": "::1", "port": 7, "key": "00000000000000ab",
        "token": "0000000c", "idsn": str(WIDE - 1), "base": str(WIDE - 3), "c_flag": False,
        "octets": 5, "transmissions": SENT,
        "data_fin": {"frame": 1, "dsn": 2, "acknowledged": True}, "acknowledged": 1, "unknown": {},
    }  # fmt: skip


def test_a_host_of_which_nothing_is_known() -> None:
    """Every key that is null has its reason, but for those of which there may be none."""
    fact = host(1)
    for key in ("address", "port", "key", "token", "idsn", "c_flag", "data_fin", "acknowledged"):
        assert fact[key] is None
    none = "no key in the capture"
    assert fact["unknown"] == {
        "key": none, "token": none, "idsn": none,
        "acknowledged": "no DATA_ACK beyond the first octet in the capture",
        "c_flag": "no MP_CAPABLE of this host in the capture",
    }  # fmt: skip
    assert fact["base"] == "0"
    known = host(unknown={"key": "a", "token": "b", "idsn": "c"})["unknown"]
    assert (known["key"], known["token"], known["idsn"]) == ("a", "b", "c")
    assert "c_flag" not in host(version=0)["unknown"]
    assert "c_flag" in host(version=None)["unknown"]
    assert "c_flag" not in host(c_flag=True)["unknown"]


@pytest.mark.parametrize(
    ("source", "high", "why"),
    [
        ("key", True, None), ("mappings", True, None),
        ("mappings", False, "only 4-octet numbers in the capture"),
        ("", True, "neither key nor data sequence number in the capture"),
        ("", False, "neither key nor data sequence number in the capture"),
    ],
)  # fmt: skip
def test_the_base_of_a_host(source: str, high: bool, why: str | None) -> None:
    """What its relative numbers count from, if all of it is known."""
    for role in (0, 1):
        sources, highs = ["key"] * 6, [True] * 6
        sources[4 + role], highs[4 + role] = source, high
        fact = host(role, at=trace(base_from=sources, high_known=highs), base=9)
        assert fact["base"] == ("9" if why is None else None)
        assert fact["unknown"].get("base") == why


# -------------------------------------------------------------------- subflows


def test_a_subflow_with_everything() -> None:
    """Its ends have what belongs to each; round trips are seconds."""
    one = flow(
        version=1, first_frame=1, last_frame=9, frames=5, round_trip=1_500_000_000,
        vantage=("source", True), join=JoinCheck(token=0xF, token_right=True, synack_hmac=None,
        ack_hmac=False, result="invalid"), end=SubflowEnd(how="fin", by=None, reason=3, frame=8),
        notes=[Note(code="x", text="y", count=1, frame=2)], address_ids=[1, None],
        backup=[None, True], syn_data=(4, 0), octets=(6, 7), opener=1, source_role=1,
    )  # fmt: skip
    fact = described.subflow(trace(), one, 77)
    shape(fact, "subflow")
    ends = fact.pop("source"), fact.pop("destination")
    assert fact == {
        "fact": "subflow", "subflow": 3, "connection": 77, "stream": 8, "kind": "joined",
        "version": 1, "opened_by": "listener", "first_frame": 1, "last_frame": 9, "frames": 5,
        "round_trip": 1.5, "vantage": "source", "vantage_known": True, "established": True,
        "join": {"token": "0000000f", "token_right": True, "synack_hmac": None, "ack_hmac": False,
                 "result": "invalid"},
        "end": {"how": "fin", "by": None, "reason": 3, "frame": 8},
        "notes": [{"code": "x", "text": "y", "count": 1, "frame": 2}], "unknown": {},
    }  # fmt: skip
    assert ends == (
        {"role": "listener", "address": "10.0.0.1", "port": 1, "address_id": None, "backup": True,
         "isn": 5678, "isn_from": "mappings", "syn_data": 0, "octets": 7,
         "unknown": {"address_id": "not in the capture's part of the handshake"}},
        {"role": "initiator", "address": "10.0.0.2", "port": 2, "address_id": 1, "backup": None,
         "isn": 1234, "isn_from": "handshake", "syn_data": 4, "octets": 6,
         "unknown": {"backup": "never stated in the capture"}},
    )  # fmt: skip


def test_a_subflow_of_which_nothing_is_known() -> None:
    """Every null has its reason, but for join and end, of which there is none."""
    one = flow(kind=None, opener=None)
    fact = described.subflow(trace(isn_from=array("B", [0, 0]), vague=array("B", [1, 0])), one, -1)
    assert fact["unknown"] == {
        "kind": "no MPTCP handshake in the capture", "version": "no MP_CAPABLE in the capture",
        "opened_by": "no SYN in the capture",
        "round_trip": "no complete handshake in the capture",
        "vantage": "neither packet types nor the handshake's timing show it",
    }  # fmt: skip
    assert (fact["join"], fact["end"], fact["opened_by"], fact["round_trip"]) == (None,) * 4
    first, second = fact["source"], fact["destination"]
    assert (first["isn"], first["isn_from"], first["role"]) == (None, None, None)
    assert first["unknown"]["role"] == described.NO_ROLE
    assert first["unknown"]["isn"] == "mappings do not prove it"
    assert second["unknown"]["isn"] == "no SYN in the capture"


@pytest.mark.parametrize(
    ("code", "word"),
    [(0, None), (1, "handshake"), (2, "handshake"), (3, "handshake"), (4, "mappings")],
)
def test_how_an_initial_number_is_known(code: int, word: str | None) -> None:
    """By the codes of the columns."""
    for side in (0, 1):
        codes = array("B", [1, 1])
        codes[side] = code
        fact = described._end(trace(isn_from=codes), flow(), side)
        assert fact["isn_from"] == word
        assert fact["isn"] == (None if word is None else (1234, 5678)[side])
        assert described._end(trace(isn_from=codes), flow(), 1 - side)["isn_from"] == "handshake"


# -------------------------------------------------------------------- observations


def test_observations_of_a_host() -> None:
    """Four of them, with octets, shares and reasons of their own."""
    one = connection()
    one.hosts[0].scheduler = Scheduler(
        redundant=True, share=0.5, why="because", lags=((0, 3), (2, 4)), reordered=0.1, on_backup=9
    )
    facts = list(described.observations(trace(), one))
    assert [fact["what"] for fact in facts] == ["scheduler", "reinjection", "reordering", "backup"]
    assert {(fact["fact"], fact["connection"], fact["host"]) for fact in facts} == {
        ("observation", 2, "initiator")
    }
    assert [(fact["value"], fact["octets"], fact["share"]) for fact in facts] == [
        (True, 40, 0.5), (True, 25, 0.25), (True, 10, 0.1), (True, 20, 0.2),
    ]  # fmt: skip
    assert [fact["unknown"] for fact in facts] == [{}] * 4
    assert facts[0]["lags"] == [[0, 3], [2, 4]]
    assert facts[0]["thresholds"] == {
        "redundant_share": 0.02, "redundant_octets": 4000, "least_octets": 10000,
    }  # fmt: skip
    assert facts[0]["why"] == "because"
    assert [fact["why"].split()[:3] for fact in facts[1:]] == [
        ["25", "of", "100"], ["10", "of", "100"], ["20", "of", "100"],
    ]  # fmt: skip
    assert not any("lags" in fact or "thresholds" in fact for fact in facts[1:])


def test_observations_without_data() -> None:
    """Shares of nothing are not known; what did not happen is false."""
    one = connection()
    one.hosts[1].scheduler = Scheduler(redundant=None, share=None, why="no data")
    facts = list(described.observations(trace(totals=array("q", [0] * 24)), one))
    assert [(fact["host"], fact["value"], fact["share"]) for fact in facts] == [
        ("listener", None, None), ("listener", False, None), ("listener", False, None),
        ("listener", False, None),
    ]  # fmt: skip
    none = "no data under a mapping"
    assert [fact["unknown"] for fact in facts] == [
        {"value": "no data", "share": none}, {"share": none}, {"share": none}, {"share": none},
    ]  # fmt: skip
    assert list(described.observations(trace(), connection())) == []
    sent = dict.fromkeys(CLASSES, 0) | {"first_seen": 1, "reinjection": 1}
    one.hosts[1].transmissions = sent
    facts = list(described.observations(trace(), one))
    assert [(fact["value"], fact["octets"], fact["share"]) for fact in facts[1:]] == [
        (True, 1, 1.0), (True, 2, None), (True, 3, 3.0),
    ]  # fmt: skip
    few = trace(totals=array("q", [0] * 20 + [1] * 4))
    assert [fact["value"] for fact in described.observations(few, one)][1:] == [True] * 3


@pytest.mark.parametrize(
    ("time", "text"),
    [
        (0, "0.000000000"), (1, "0.000000001"), (999_999_999, "0.999999999"),
        (1_000_000_000, "1.000000000"), (1_700_000_000_123_456_789, "1700000000.123456789"),
    ],
)  # fmt: skip
def test_times_are_seconds_with_nine_decimals(time: int, text: str) -> None:
    """No nanosecond is lost."""
    assert described.seconds(time) == text


# -------------------------------------------------------------------- segments


def segments(**fields: Any) -> Any:
    """What emits the facts of segments: three rows, of half 0, 1 and 0."""
    option = pad([encode(MpPrio(backup=True)), encode(Dss.of(data_ack=1))])
    header = bytes(range(20)) + option
    data = b"****" + header + b"payload"
    offset = 4 + len(header)
    held = wire(halves=2)
    held.segments = table(
        ROWS, 3, half=[0, 1, 0], flags=[0x10, 0x10, 0x10 | FLAG_BITS["options_cut"]],
        offset=[offset] * 3, header=[len(header)] * 3, ack=[77, 78, 79],
    )  # fmt: skip
    made: Any = object.__new__(serialise.SegmentFacts)
    one = connection()
    known = flow(version=1, connection=one)
    made.trace = SimpleNamespace(
        plane=plane(**fields), wire=held, capture=SimpleNamespace(data=data),
        ground=SimpleNamespace(controls=lambda row: [encode(MpPrio(backup=False))]),
    )  # fmt: skip
    made.data, made.subflows = data, {3: known}
    for name, column in (
        ("half", "half"), ("flags", "flags"), ("acks", "ack"), ("offset", "offset"),
        ("header", "header"),
    ):  # fmt: skip
        setattr(made, name, held.segments[column])
    made.first_frame = np.array([11, 22, 33])
    made.sure = [bool(each) for each in made.trace.plane.isn_from]
    return made


RECORD = {
    "subflow": 3, "frame": 9, "time": 5, "connection": 2, "sender": 0, "from_source": True,
    "duplicate": False, "outgoing": -1, "flags": 0x10, "sequence": 40, "ack": 50, "window": 60,
    "payload": 0, "captured": 0, "data_ack": -1, "has_data_ack": False, "previous": 0, "copies": 0,
}  # fmt: skip
PART = {"start": 40, "end": 45, "mapping": 1, "delta": 100}


def test_a_segment_with_everything() -> None:
    """Each column has its key, and the numbers of the wire stand beside the relative ones."""
    emitter = segments()
    record = RECORD | {
        "outgoing": 0, "duplicate": True, "data_ack": 6, "has_data_ack": True, "previous": 4,
        "copies": 2, "payload": 5, "captured": 3, "sender": 1, "from_source": False,
    }  # fmt: skip
    fact = emitter.segment(0, record, [PART])
    shape(fact, "segment")
    options = fact.pop("options")
    assert [each["option"] for each in options] == ["mp_prio", "dss"]
    assert fact == {
        "fact": "segment", "frame": 9, "time": "0.000000005", "connection": 2, "subflow": 3,
        "sender": "listener", "from": "destination", "duplicate": True, "outgoing": False,
        "flags": 0x10, "sequence": 40, "sequence_raw": 0x04050607, "ack": 50, "ack_raw": 77,
        "window": 60, "payload": 5, "captured": 3, "options_cut": False, "data_ack": 6,
        "data_ack_absolute": "1",
        "ranges": [{"sequence": 40, "octets": 5, "dsn": 140, "dsn_end": 145, "absolute": "210",
                    "announced": 22}],
        "previous": 4, "copies": 2, "unknown": {},
    }  # fmt: skip


def test_a_segment_of_which_little_is_known() -> None:
    """Without initial numbers, roles, and all 64 bits; each null has its reason."""
    emitter = segments(isn_from=array("B", [0, 0]), high_known=[False] * 6)
    record = RECORD | {"sender": -1, "data_ack": 6, "has_data_ack": True}
    fact = emitter.segment(0, record, [PART, PART | {"start": 45, "end": 46, "mapping": -1}])
    narrow = "only 4-octet numbers in the capture"
    assert fact["unknown"] == {
        "data_ack_absolute": narrow, "absolute": narrow, "sequence": "no SYN in the capture",
        "ack": "no SYN of the other end in the capture", "outgoing": "the capture does not say",
        "dsn": "no mapping of it is in the capture", "sender": described.NO_ROLE,
    }  # fmt: skip
    for key in ("sequence", "ack", "outgoing", "sender", "data_ack_absolute", "previous"):
        assert fact[key] is None
    assert (fact["ack_raw"], fact["data_ack"], fact["from"]) == (77, 6, "source")
    assert fact["ranges"] == [
        {"sequence": None, "octets": 5, "dsn": 140, "dsn_end": 145, "absolute": None,
         "announced": 22},
        {"sequence": None, "octets": 1, "dsn": None, "dsn_end": None, "absolute": None,
         "announced": None},
    ]  # fmt: skip


def test_absolute_numbers_are_missed_only_where_octets_have_numbers() -> None:
    """Those of octets under no mapping are not there to be known."""
    emitter = segments(high_known=[False] * 6)
    mapped = emitter.segment(0, RECORD, [PART])["unknown"]
    unmapped = emitter.segment(0, RECORD, [PART | {"mapping": -1}])["unknown"]
    assert ("absolute" in mapped, "dsn" in mapped) == (True, False)
    assert ("absolute" in unmapped, "dsn" in unmapped) == (False, True)


def test_what_a_segment_does_not_have() -> None:
    """No flag ACK, no DATA_ACK: there is nothing to be known."""
    emitter = segments(isn_from=array("B", [0, 0]))
    fact = emitter.segment(0, RECORD | {"flags": 0x02, "outgoing": 1}, [])
    assert fact["unknown"] == {"sequence": "no SYN in the capture"}
    assert (fact["ack"], fact["ack_raw"], fact["data_ack"], fact["ranges"]) == (None,) * 3 + ([],)
    assert fact["outgoing"] is True


def test_numbers_of_each_half() -> None:
    """A half's own initial number tells sequence numbers, the other's acknowledgments."""
    emitter = segments(isn_from=array("B", [1, 0]))
    first, second = emitter.segment(0, RECORD, []), emitter.segment(1, RECORD, [])
    assert [(each["sequence"], each["ack"]) for each in (first, second)] == [(40, None), (None, 50)]
    assert (first["ack_raw"], second["ack_raw"]) == (77, 78)
    record = RECORD | {"data_ack": 6, "has_data_ack": True}
    assert emitter.segment(0, record, [])["data_ack_absolute"] == str(6 - 5)
    assert emitter.segment(1, record, [])["data_ack_absolute"] == str(6 + 70)
    assert emitter.segment(1, record | {"data_ack": 1}, [PART])["ranges"][0]["absolute"] == "135"


def test_a_header_that_was_cut() -> None:
    """What is whole of its options is told, and that some may be missing."""
    fact = segments().segment(2, RECORD, [])
    assert (fact["options_cut"], fact["unknown"]["options"]) == (True, "cut off by the snap length")
    assert [each["option"] for each in fact["options"]] == ["mp_prio"]


@pytest.mark.parametrize(
    ("flags", "fallback", "vague", "why"),
    [
        (0x10, None, 0, "no mapping of it is in the capture"),
        (0x10, None, 1, "where its mapping begins is not known exactly"),
        (0x02, None, 0, None), (0x12, None, 1, None), (0x04, None, 0, None), (0x14, None, 1, None),
        (0x10, "synack", 0, None), (0x10, "synack", 1, None),
    ],
)  # fmt: skip
def test_why_octets_have_no_dsn(flags: int, fallback: str | None, vague: int, why: Any) -> None:
    """Those of a SYN or RST, or after a fallback, can have none."""
    emitter = segments(vague=array("B", [0, vague]))
    emitter.subflows[3].connection.fallback = fallback
    expected = {} if why is None else {"dsn": why}
    assert emitter.no_mapping(emitter.subflows[3], 1, flags) == expected
    if vague == 0:
        emitter.trace.plane.vague = array("B", [1, 0])
        assert emitter.no_mapping(emitter.subflows[3], 1, flags) == expected
    if fallback is None:
        emitter.subflows[3].connection = None
        assert emitter.no_mapping(emitter.subflows[3], 1, flags) == expected


MOVE = {
    "frame": 9, "connection": 2, "subflow": 3, "sender": 0, "from_source": True, "kind": 3,
    "sequence": 40, "octets": 5, "dsn": 140, "dsn_end": 145, "mapped": True, "needed": 1,
}  # fmt: skip


def test_a_transmission_with_everything() -> None:
    """Its class has a name, and whether it was needed is yes or no."""
    fact = segments().transmission(0, MOVE)
    shape(fact, "transmission")
    assert fact == {
        "fact": "transmission", "frame": 9, "connection": 2, "subflow": 3, "sender": "initiator",
        "from": "source", "class": "reinjection", "sequence": 40, "octets": 5, "dsn": 140,
        "dsn_end": 145, "absolute": "210", "needed": True, "unknown": {},
    }  # fmt: skip
    assert segments().transmission(1, MOVE)["absolute"] == "135"


@pytest.mark.parametrize(
    ("needed", "value", "reason"),
    [(1, True, False), (0, False, False), (-1, None, True), (-2, None, False)],
)  # fmt: skip
def test_whether_a_transmission_was_needed(needed: int, value: bool | None, reason: bool) -> None:
    """What is no copy has no answer, and no reason for it."""
    fact = segments().transmission(0, MOVE | {"needed": needed})
    assert fact["needed"] is value
    assert ("needed" in fact["unknown"]) is reason


def test_a_transmission_of_which_little_is_known() -> None:
    """Each null has its reason; without a mapping there is no absolute number to know."""
    emitter = segments(isn_from=array("B", [0, 1]), high_known=[False] * 6)
    fact = emitter.transmission(0, MOVE | {"sender": -1, "from_source": False})
    assert fact["unknown"] == {
        "sequence": "no SYN in the capture", "absolute": "only 4-octet numbers in the capture",
        "sender": described.NO_ROLE,
    }  # fmt: skip
    assert (fact["sequence"], fact["absolute"], fact["sender"], fact["from"]) == (
        None, None, None, "destination",
    )  # fmt: skip
    fact = emitter.transmission(1, MOVE | {"mapped": False})
    assert fact["unknown"] == {"dsn": "no mapping of it is in the capture"}
    assert (fact["dsn"], fact["dsn_end"], fact["absolute"], fact["sequence"]) == (
        None, None, None, 40,
    )  # fmt: skip
    emitter.flags[1] = 0x02
    assert emitter.transmission(1, MOVE | {"mapped": False})["unknown"] == {}


def test_what_numbers_count_from() -> None:
    """A half's own base, or for its DATA_ACKs that of the other direction."""
    emitter = segments(high_known=[True] * 5 + [False])
    assert emitter.base(0) == (70, "")
    assert emitter.base(0, back=True) == (None, "only 4-octet numbers in the capture")
    assert emitter.base(1) == (None, "only 4-octet numbers in the capture")
    assert emitter.base(1, back=True) == (70, "")


# -------------------------------------------------------------------- rows of tables


def test_ranges_without_the_cuts_between_classes() -> None:
    """Those under one mapping, one behind the other, are one; the first one's values stay."""
    parts = [
        {"start": 1, "end": 3, "mapping": 0, "delta": 5},
        {"start": 3, "end": 4, "mapping": 0, "delta": 5},
        {"start": 4, "end": 9, "mapping": 0, "delta": 5},
        {"start": 9, "end": 10, "mapping": -1, "delta": 0},
        {"start": 10, "end": 12, "mapping": 0, "delta": 5},
    ]
    before = [dict(part) for part in parts]
    assert serialise._joined(parts) == [
        {"start": 1, "end": 9, "mapping": 0, "delta": 5},
        {"start": 9, "end": 10, "mapping": -1, "delta": 0},
        {"start": 10, "end": 12, "mapping": 0, "delta": 5},
    ]
    assert parts == before
    assert serialise._joined([]) == []


def test_entries_are_grouped_by_their_segment() -> None:
    """Those whose row lies in the bounds, in their order."""
    rows = np.array([1, 3, 3, 4, 8, 8, 9])
    columns = {"a": np.arange(7), "b": np.arange(7) * 10}

    def grouped(*bounds: int) -> dict[int, list[int]]:
        found = serialise._grouped(rows, columns, list(bounds))
        assert all(each["b"] == 10 * each["a"] for held in found.values() for each in held)
        return {row: [each["a"] for each in held] for row, held in found.items()}

    assert grouped(0, 10) == {1: [0], 3: [1, 2], 4: [3], 8: [4, 5], 9: [6]}
    assert grouped(3, 8) == {3: [1, 2], 4: [3]}
    assert grouped(2, 9) == {3: [1, 2], 4: [3], 8: [4, 5]}
    assert grouped(5, 8) == {}
    assert serialise._records(columns, slice(2, 4)) == [{"a": 2, "b": 20}, {"a": 3, "b": 30}]


@pytest.mark.parametrize(
    ("relative", "base", "text"),
    [(1, 5, "6"), (1, None, None), (-7, 5, str(WIDE - 2)), (3, -2, "1"), (2, WIDE - 1, "1")],
)
def test_absolute_numbers(relative: int, base: int | None, text: str | None) -> None:
    """Modulo 2**64, as text; without a base there is none."""
    assert serialise._absolute(relative, base) == text


@pytest.mark.parametrize(("number", "word"), [(-1, None), (0, "initiator"), (1, "listener")])
@pytest.mark.parametrize("source", [True, False])
def test_who_sent_something(number: int, word: str | None, source: bool) -> None:
    """By role, if it is known, and by end."""
    assert serialise._sender({"sender": number, "from_source": source}) == {
        "sender": word, "from": "source" if source else "destination",
    }  # fmt: skip


# -------------------------------------------------------------------- entities


@pytest.mark.parametrize(
    ("vantage", "source_role", "initiator", "listener"),
    [
        ("source", 0, True, False), ("destination", 0, False, True), ("source", 1, False, True),
        ("destination", 1, True, False), (None, 0, False, False), (None, 1, False, False),
    ],
)  # fmt: skip
def test_at_whose_host_a_subflow_was_captured(
    vantage: str | None, source_role: int, initiator: bool, listener: bool
) -> None:
    """At the end that the vantage names, whichever role it has."""
    one = flow(vantage=(vantage, True), source_role=source_role)
    assert [one.captured_at(role) for role in (0, 1)] == [initiator, listener]


@pytest.mark.parametrize(
    ("opener", "number", "known"),
    [(0, None, True), (1, None, True), (None, None, False), (None, -1, False), (None, 0, True),
     (None, 1, True), (0, -1, True)],
)  # fmt: skip
def test_names_of_roles(opener: int | None, number: int | None, known: bool) -> None:
    """They are known by the SYN, or by the connection."""
    one = flow(opener=opener, connection=None if number is None else connection(id=number))
    assert [one.role_name(role) for role in (0, 1)] == (
        ["initiator", "listener"] if known else [None, None]
    )
    assert list(one.sides()) == [(0, 0), (1, 1)]


def test_notes_are_counted_by_their_code() -> None:
    """The first text and frame stay."""
    one = connection()
    one.note("a", "first", 5)
    one.note("b", "other")
    one.note("a", "second", 3)
    one.note("a", "third", 9)
    assert one.notes == [
        Note(code="a", text="first", count=3, frame=5),
        Note(code="b", text="other", count=1, frame=None),
    ]  # fmt: skip


def test_hosts_and_the_initial_subflow_of_a_connection() -> None:
    """By role; the first of the initial kind, if there is one."""
    joined, first, other = flow(id=1), flow(id=2, kind="initial"), flow(id=3, kind="initial")
    one = connection(joined, first, other)
    assert (one.initiator.role, one.listener.role) == ("initiator", "listener")
    assert one.initial is first
    assert connection(joined).initial is None
    assert connection().events == []


def test_events_are_told_once() -> None:
    """When they are first asked for."""
    told: list[int] = []
    one = connection()
    one.teller = lambda: told.append(1) or []
    assert one.events is one.events
    assert told == [1]


def test_entities_begin_without_knowledge() -> None:
    """What nothing told yet is unknown, absent or zero, and shared by nobody."""
    one, other = flow(), flow()
    assert one.address_ids == one.backup == [None, None]
    assert one.address_ids is not other.address_ids
    assert one.backup is not other.backup
    assert (one.octets, one.syn_data, one.isn_from) == ((0, 0), (0, 0), (None, None))
    assert (one.round_trip, one.vantage, one.source_role) == (0, (None, False), 0)
    assert (one.first_frame, one.last_frame, one.frames, one.established) == (0, 0, 0, True)
    host = Host(role="initiator")
    assert (host.base, host.octets) == (0, 0)
    made = connection()
    assert (made.state, made.why, made.checksums) == ("open", "", (0, 0, 0))
    assert "teller" not in repr(made)
    assert "_events" not in repr(made)
    assert "connection" not in repr(one)
    assert Scheduler(redundant=None, share=None, why="").on_backup == 0
