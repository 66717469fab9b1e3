"""What each option changes in a connection's story, and what the classifier is told of it.

Hand-made signals; rows are segments, row ``n`` is in frame ``100 + n`` and at ``n`` milliseconds.
RFC 8684 sections 3.3.8 (priority), 3.4.1 and 3.4.2 (addresses), 3.5 (fast close), appendix B (data
on a SYN); RFC 6824 section 3.3.8 (an MP_PRIO that names an Address ID).
"""

from __future__ import annotations

import hmac
from dataclasses import replace
from ipaddress import ip_address
from types import SimpleNamespace
from typing import Any

import pytest

from mptcp_oracle.analysis import story
from mptcp_oracle.analysis.entities import Connection, Host, Subflow
from mptcp_oracle.analysis.signals import Raw, Signals
from mptcp_oracle.analysis.subflows import Handshake
from mptcp_oracle.encode import encode
from mptcp_oracle.options import (
    AddAddr,
    Dss,
    MpCapable,
    MpFastclose,
    MpJoinSyn,
    MpJoinSynAck,
    MpPrio,
    MpTcprst,
    Option,
    RemoveAddr,
)
from mptcp_oracle.wire.segments import Endpoint
from tests.common.columns import CONTROLS, table, wire

FIN, SYN, RST, ACK = 0x01, 0x02, 0x04, 0x10
A, B = 0x0102030405060708, 0xDEADBEEFCAFEBABE
Row = tuple[int, int, "Option | tuple[Option, ...] | None"]


class Tale:
    """A connection with subflows of streams 0, 1 ..., each opened by the initiator.

    Args:
        rows: For each segment: half, flags, option.
        starts: First frame of each subflow.
    """

    def __init__(
        self, *rows: Row, starts: tuple[int, ...] = (100,), version: int | None = 1,
        keys: tuple[int | None, int | None] = (A, B), **columns: list[int],
    ) -> None:  # fmt: skip
        self.wire = wire(
            halves=2 * len(starts), rows=len(rows), half=[row[0] for row in rows],
            flags=[row[1] for row in rows], frame=list(range(100, 100 + len(rows))),
            time=[1_000_000 * at for at in range(len(rows))], **columns,
        )  # fmt: skip
        self.connection = Connection(
            id=0, version=version,
            hosts=(Host(role="initiator", key=keys[0]), Host(role="listener", key=keys[1])),
        )  # fmt: skip
        self.shakes: dict[int, Handshake] = {}
        for stream, start in enumerate(starts):
            flow = Subflow(
                id=stream, stream=stream, kind="joined" if stream else "initial", opener=0,
                source=Endpoint("a", 1), destination=Endpoint("b", 2), first_frame=start,
                halves=(2 * stream, 2 * stream + 1), connection=self.connection,
            )  # fmt: skip
            self.connection.subflows.append(flow)
            self.shakes[stream] = Handshake(flow)
            flow.established = False
        options: dict[int, list[Raw]] = {}
        events: dict[int, list[Raw]] = {}
        for at, (half, flags, option) in enumerate(rows):
            held = option if isinstance(option, tuple) else (option,)
            for each in held:
                if each is not None:
                    octets = encode(each)
                    options.setdefault(half >> 1, []).append(Raw(at, half, flags, 0, octets))
            if flags & (FIN | SYN | RST):
                events.setdefault(half >> 1, []).append(Raw(at, half, flags, 0, b""))
        self.signals: Any = SimpleNamespace(options=options, events=events)

    def tell(self) -> list[tuple[int, int, str]]:
        """The triggers that come of it."""
        build: Any = SimpleNamespace(wire=self.wire, shakes=self.shakes)
        found = story.tell(build, self.signals, self.connection)
        return [(trigger.row, trigger.half, trigger.kind) for trigger in found]

    def flow(self, stream: int) -> Subflow:
        """A subflow."""
        return self.connection.subflows[stream]


def sign(row: int) -> Any:
    """Where a message stands."""
    return SimpleNamespace(row=row)


# -------------------------------------------------------------------- when a subflow is usable


@pytest.mark.parametrize(
    ("fields", "row"),
    [
        ({"ack": (sign(5), None), "synack_row": 3}, 5), ({"synack_row": 3}, 3),
        ({"synack_row": 0}, 0), ({}, 2),
    ],
)  # fmt: skip
def test_from_which_row_on_a_subflow_is_usable(fields: dict[str, Any], row: int) -> None:
    """From its third packet, or else its SYN/ACK, or else its first segment; if it is at all."""
    tale = Tale(half_first_row=[7, 2])
    for name, value in fields.items():
        setattr(tale.shakes[0], name, value)
    assert tale.tell() == []
    tale.flow(0).established = True
    assert tale.tell() == [(row, 0, "regular"), (row, 1, "regular")]


def test_a_half_that_was_never_seen_has_no_first_row() -> None:
    """The other one has; row 0 is a row."""
    for firsts, row in (([-1, 4], 4), ([0, -1], 0), ([0, 4], 0), ([6, 5], 5)):
        tale = Tale(half_first_row=firsts)
        tale.flow(0).established = True
        assert tale.tell() == [(row, 0, "regular"), (row, 1, "regular")]


def test_the_initial_subflow_has_address_id_0_at_both_ends() -> None:
    """Whatever its messages are (RFC 8684 section 3.4.1)."""
    tale = Tale(starts=(100, 101))
    tale.tell()
    assert [flow.address_ids for flow in tale.connection.subflows] == [[0, 0], [None, None]]
    assert [flow.backup for flow in tale.connection.subflows] == [[None, None]] * 2


@pytest.mark.parametrize("opener", [0, 1])
def test_a_join_tells_address_ids_and_priorities(opener: int) -> None:
    """Those of the SYN are its sender's; a backup flag asks the other host to keep off."""
    for first, second in ((True, False), (False, True), (True, True), (False, False)):
        tale = Tale(starts=(100, 101))
        flow, shake = tale.flow(1), tale.shakes[1]
        flow.source_role, flow.established, shake.synack_row = opener, True, 9
        syn = MpJoinSyn(address_id=3, token=1, nonce=1, backup=first)
        synack = MpJoinSynAck(address_id=8, hmac=bytes(8), nonce=1, backup=second)
        shake.syn, shake.synack = (sign(1), syn), (sign(2), synack)
        triggers = tale.tell()
        ids, flags = [3, 8], [first, second]
        asked = [second, first]
        if opener == 1:
            ids, flags, asked = ids[::-1], flags[::-1], asked[::-1]
        assert (flow.address_ids, flow.backup) == (ids, flags)
        assert triggers == [
            (9, 2 + role, "backup" if asked[role] else "regular") for role in (0, 1)
        ]


def test_messages_of_an_initial_subflow_tell_no_address_ids() -> None:
    """An MP_CAPABLE has none, nor has a message that is missing."""
    tale = Tale(starts=(100, 101))
    tale.shakes[1].syn = (sign(1), MpCapable(version=1))
    tale.tell()
    assert tale.flow(1).address_ids == [None, None]


# -------------------------------------------------------------------- data on a SYN


def accepted(
    *, length: int = 9, ack: int = 1001 + 4, isn: int = 1000, known: int = 1,
    syn: int | None = 0, synack: int | None = 1, opener: int | None = 0, half: int = 0,
) -> tuple[int, int]:  # fmt: skip
    """How much of each role's SYN data was accepted."""
    tale = Tale(
        (half, SYN, None), (1 - half, SYN | ACK, None), (half, ACK, None), length=[length, 0, 0],
        ack=[0, ack % (1 << 32), 0], half_isn=[isn] * 2, half_isn_from=[known, 9] if half == 0
        else [9, known],
    )  # fmt: skip
    shake, flow = tale.shakes[0], tale.flow(0)
    shake.syn_row, shake.synack_row, flow.opener = syn, synack, opener
    tale.tell()
    return flow.syn_data


@pytest.mark.parametrize(
    ("ack", "octets"), [(1001, 0), (1002, 1), (1009, 8), (1010, 9), (1011, 0), (1000, 0), (5, 0)]
)
def test_the_synack_accepts_data_of_the_syn(ack: int, octets: int) -> None:
    """As many octets as it acknowledges beyond the SYN, if there were so many."""
    assert accepted(ack=ack) == (octets, 0)
    assert accepted(ack=ack, opener=1, half=1) == (0, octets)
    assert accepted(ack=ack - 1003, isn=(1 << 32) - 3) == (octets, 0)


def test_without_syn_or_synack_no_data_was_accepted() -> None:
    """Nor without data, or where the opener or its initial number is not known."""
    assert accepted() == (4, 0)
    for settings in (
        {"length": 0}, {"known": 0}, {"known": 2}, {"known": 3}, {"syn": None}, {"synack": None},
        {"opener": None},
    ):  # fmt: skip
        assert accepted(**settings) == (0, 0)  # type: ignore[arg-type]


# -------------------------------------------------------------------- addresses

ADDRESS = ip_address("192.0.2.10")


def announced(keys: tuple[int, int], address: str, number: int, port: int | None) -> bytes:
    """The HMAC of an ADD_ADDR, with the standard library."""
    secret = keys[0].to_bytes(8, "big") + keys[1].to_bytes(8, "big")
    message = bytes([number]) + ip_address(address).packed + (port or 0).to_bytes(2, "big")
    return hmac.digest(secret, message, "sha256")[-8:]


@pytest.mark.parametrize("role", [0, 1])
@pytest.mark.parametrize("port", [None, 443])
def test_announcements_are_told_and_checked(role: int, port: int | None) -> None:
    """With address, port and Address ID; a wrong HMAC is named with the right one."""
    keys = (A, B) if role == 0 else (B, A)
    right = announced(keys, "192.0.2.10", 7, port)
    for seen, holds in ((right, True), (bytes(8), False)):
        option = AddAddr(address_id=7, address=ADDRESS, port=port, hmac=seen)
        tale = Tale((0, ACK, None), (role, ACK, option))
        assert tale.tell() == []
        (event,) = tale.connection.addresses
        assert (event.frame, event.subflow, event.host, event.what) == (
            101, 0, ("initiator", "listener")[role], "add",
        )  # fmt: skip
        assert (event.address_id, event.address, event.port) == (7, "192.0.2.10", port)
        assert event.hmac is holds
        assert [
            (each.what, each.host, each.frame, each.expected, each.seen, each.section)
            for each in tale.connection.mismatches
        ] == ([] if holds else [
            ("add_addr_hmac", event.host, 101, right.hex(), bytes(8).hex(), "3.4.1"),
        ])  # fmt: skip


@pytest.mark.parametrize("keys", [(None, B), (A, None), (None, None)])
def test_without_keys_an_announcement_is_not_checked(keys: tuple[int | None, int | None]) -> None:
    """Neither right nor wrong."""
    for role in (0, 1):
        tale = Tale((role, ACK, AddAddr(address_id=7, address=ADDRESS, hmac=bytes(8))), keys=keys)
        tale.tell()
        assert [event.hmac for event in tale.connection.addresses] == [None]
        assert tale.connection.mismatches == []


def test_echoes_have_no_hmac() -> None:
    """And are told as what they are."""
    tale = Tale((1, ACK, AddAddr(echo=True, address_id=7, address=ADDRESS)))
    tale.tell()
    (event,) = tale.connection.addresses
    assert (event.what, event.hmac, event.host) == ("echo", None, "listener")


def joined(tale: Tale, *ids: tuple[int, int, int]) -> Tale:
    """Give joined subflows their Address IDs: stream, initiator's, listener's."""
    for stream, ours, theirs in ids:
        shake = tale.shakes[stream]
        shake.syn = (sign(0), MpJoinSyn(address_id=ours, token=1, nonce=1))
        shake.synack = (sign(0), MpJoinSynAck(address_id=theirs, hmac=bytes(8), nonce=1))
    return tale


def test_withdrawn_addresses_end_the_halves_that_use_them() -> None:
    """The sender's halves of subflows with that Address ID which began before; told once each."""
    rows: list[Row] = [
        (0, ACK, None), (0, ACK, None), (0, ACK, None),
        (0, ACK, RemoveAddr(address_ids=(5, 6))), (1, ACK, RemoveAddr(address_ids=(5,))),
        (0, ACK, RemoveAddr(address_ids=(5,))), (0, ACK, None),
        (0, ACK, RemoveAddr(address_ids=(5, 0))),
    ]  # fmt: skip
    tale = joined(
        Tale(*rows, starts=(100, 101, 102, 106, 103)), (1, 5, 9), (2, 5, 5), (3, 5, 9), (4, 6, 9)
    )
    assert tale.tell() == [
        (3, 2, "end"), (3, 4, "end"), (3, 8, "end"), (4, 5, "end"), (7, 6, "end"), (7, 0, "end"),
    ]  # fmt: skip
    assert [
        (event.frame, event.host, event.what, event.address_id)
        for event in tale.connection.addresses
    ] == [
        (103, "initiator", "remove", 5), (103, "initiator", "remove", 6),
        (104, "listener", "remove", 5), (105, "initiator", "remove", 5),
        (107, "initiator", "remove", 5), (107, "initiator", "remove", 0),
    ]  # fmt: skip
    assert {(event.address, event.port, event.hmac, event.subflow)
            for event in tale.connection.addresses} == {(None, None, None, 0)}  # fmt: skip


# -------------------------------------------------------------------- priorities


@pytest.mark.parametrize("role", [0, 1])
@pytest.mark.parametrize("backup", [False, True])
def test_a_priority_asks_the_other_host(role: int, backup: bool) -> None:
    """It applies to what the receiver sends on the subflow that carries it."""
    tale = Tale((0, ACK, None), (2 + role, ACK, MpPrio(backup=backup)), starts=(100, 100))
    assert tale.tell() == [(1, 3 - role, "backup" if backup else "regular")]
    assert tale.flow(1).backup[role] is backup
    assert tale.flow(1).backup[1 - role] is None
    assert tale.flow(0).backup == [None, None]


def test_a_priority_of_version_0_may_name_an_address() -> None:
    """Of the sender's; it applies to all subflows of that Address ID that have begun."""
    rows: list[Row] = [
        (0, ACK, None), (0, ACK, None), (0, ACK, MpPrio(backup=True, address_id=5)),
        (1, ACK, MpPrio(backup=True, address_id=5)), (0, ACK, MpPrio(backup=False, address_id=77)),
        (0, ACK, MpPrio(backup=False)), (0, ACK, MpPrio(backup=True, address_id=0)),
    ]  # fmt: skip
    ids = (1, 5, 9), (2, 5, 5), (3, 5, 5)
    tale = joined(Tale(*rows, starts=(100, 101, 102, 104), version=0), *ids)
    assert tale.tell() == [
        (2, 3, "backup"), (2, 5, "backup"), (3, 4, "backup"), (5, 1, "regular"), (6, 1, "backup"),
    ]  # fmt: skip
    # In version 1 such an option is malformed; where the version is not known, it names nothing.
    tale = joined(Tale(*rows, starts=(100, 101, 102, 104), version=None), *ids)
    assert [each[:2] for each in tale.tell()] == [(2, 1), (3, 0), (4, 1), (5, 1), (6, 1)]
    tale = joined(Tale(*rows, starts=(100, 101, 102, 104)), *ids)
    assert tale.tell() == [(5, 1, "regular")]
    assert [note.code for note in tale.connection.notes] == ["malformed-option-wrong-version"]
    assert (tale.connection.notes[0].count, tale.connection.notes[0].frame) == (4, 102)


def test_of_many_subflows_of_an_address_the_newest(monkeypatch: pytest.MonkeyPatch) -> None:
    """A priority may touch so many."""
    monkeypatch.setattr(story, "MOST_TOUCHED", 2)
    rows: list[Row] = [(0, ACK, MpPrio(backup=True, address_id=5))]
    tale = joined(Tale(*rows, starts=(100,) * 4, version=0), (1, 5, 9), (2, 5, 9), (3, 5, 9))
    assert tale.tell() == [(0, 5, "backup"), (0, 7, "backup")]


# -------------------------------------------------------------------- fast close


@pytest.mark.parametrize("role", [0, 1])
def test_a_fast_close_ends_what_its_sender_sends(role: int) -> None:
    """On every subflow, with the receiver's key; the first one counts."""
    key = (B, A)[role]
    rows: list[Row] = [
        (0, ACK, None), (2 + role, ACK, MpFastclose(key=key)), (3 - role, ACK, MpFastclose(key=A)),
        (1 - role, ACK, MpFastclose(key=(A, B)[role])),
    ]  # fmt: skip
    rows[2] = (0, ACK, None)
    tale = Tale(*rows, starts=(100, 100))
    assert tale.tell() == [(1, role, "end"), (1, 2 + role, "end")]
    assert (tale.connection.state, tale.connection.state_frame) == ("fast_closed", 101)
    assert tale.connection.why == f"MP_FASTCLOSE by the {('initiator', 'listener')[role]}"
    assert tale.connection.notes == []


def test_a_fast_close_with_another_key() -> None:
    """It changes nothing, and is noted with both; without a key to compare it counts."""
    tale = Tale((0, ACK, MpFastclose(key=A)), (1, ACK, MpFastclose(key=0xAB)))
    assert tale.tell() == []
    assert tale.connection.state == "open"
    (note,) = tale.connection.notes
    assert (note.code, note.count, note.frame) == ("fastclose-key", 2, 100)
    assert note.text == f"MP_FASTCLOSE with key {A:016x}, the receiver's is {B:016x}"
    tale = Tale((0, ACK, MpFastclose(key=B + 1)), (1, ACK, MpFastclose(key=A - 1)))
    assert (tale.tell(), tale.connection.state) == ([], "open")
    tale = Tale((0, ACK, MpFastclose(key=A)), keys=(A, None))
    assert tale.tell() == [(0, 0, "end")]


def test_options_are_told_in_the_order_of_rows() -> None:
    """Not subflow by subflow; options of set-up and data change nothing here."""
    rows: list[Row] = [
        (0, ACK, MpPrio(backup=True)), (2, ACK, MpPrio(backup=True)), (0, ACK, Dss.of(data_ack=1)),
        (0, ACK, MpPrio(backup=False)), (3, ACK, MpPrio(backup=False)),
        (1, RST, MpTcprst(reason=1)),
    ]  # fmt: skip
    tale = Tale(*rows, starts=(100, 100))
    assert tale.tell() == [
        (0, 1, "backup"), (1, 3, "backup"), (3, 1, "regular"), (4, 2, "regular"),
    ]  # fmt: skip


# -------------------------------------------------------------------- the events


def told(*rows: Row, starts: tuple[int, ...] = (100,)) -> list[tuple[int, int, int, Any, str]]:
    """Frame, time, subflow, host and text of each event."""
    tale = Tale(*rows, starts=starts)
    tale.tell()
    events = tale.connection.events
    assert tale.connection.events is events
    return [(each.frame, each.time, each.subflow, each.host, each.what) for each in events]


@pytest.mark.parametrize(
    ("flags", "text"),
    [
        (SYN, "SYN"), (SYN | ACK, "SYN/ACK"), (FIN | ACK, "FIN"), (RST, "RST"), (RST | ACK, "RST"),
        (SYN | FIN, "SYN+FIN"), (SYN | FIN | ACK, "SYN/ACK+FIN"), (FIN | RST, "FIN+RST"),
        (SYN | FIN | RST, "SYN+FIN+RST"), (SYN | RST | ACK, "SYN/ACK+RST"),
    ],
)  # fmt: skip
def test_flags_in_words(flags: int, text: str) -> None:
    """Flag ACK shows beside SYN only."""
    assert told((1, flags, None)) == [(100, 0, 0, "listener", text)]


def test_events_of_all_subflows() -> None:
    """In the order of rows, flags before options, each segment once."""
    prio, alone = MpPrio(backup=True), MpFastclose(key=B)
    assert told(
        (0, SYN, MpCapable(version=1)), (2, SYN, None), (0, ACK, None), (1, SYN | ACK, None),
        (3, ACK, prio), (0, RST | ACK, alone), starts=(100, 101),
    ) == [
        (100, 0, 0, "initiator", "SYN, mp_capable v1 flags [H]"),
        (101, 1_000_000, 1, "initiator", "SYN"),
        (103, 3_000_000, 0, "listener", "SYN/ACK"),
        (104, 4_000_000, 1, "listener", "mp_prio backup"),
        (105, 5_000_000, 0, "initiator", f"RST, mp_fastclose key={B:016x}"),
    ]  # fmt: skip


def test_a_data_fin_that_is_repeated_is_told_once_a_half() -> None:
    """Unless the segment has something else to tell."""
    fin = Dss.of(dsn=9, dll=1, data_fin=True)
    text = "dss dsn8=9 ssn=0 dll=1 fin"
    assert told((0, ACK, fin), (0, ACK, fin), (1, ACK, fin), (2, ACK, fin), (0, FIN | ACK, fin),
                (2, ACK, fin), starts=(100, 100)) == [
        (100, 0, 0, "initiator", text), (102, 2_000_000, 0, "listener", text),
        (103, 3_000_000, 1, "initiator", text), (104, 4_000_000, 0, "initiator", "FIN"),
    ]  # fmt: skip


def test_what_stands_beside_a_repeated_data_fin_is_told() -> None:
    """All options of a segment are one event, in their order."""
    fin, prio = Dss.of(dsn=9, dll=1, data_fin=True), MpPrio(backup=True)
    found = told((0, ACK, (fin, prio)), (0, ACK, (fin, prio)), (0, RST, (prio, fin)))
    assert [text for *_, text in found] == [
        "dss dsn8=9 ssn=0 dll=1 fin, mp_prio backup", "mp_prio backup", "RST, mp_prio backup",
    ]  # fmt: skip


def test_a_dss_with_reserved_bits_tells_only_more_than_data() -> None:
    """An infinite mapping or a DATA_FIN is told with them, a mapping of data or a DATA_ACK not."""
    for option, tells in (
        (Dss.of(dsn=9, dll=5), False), (Dss.of(data_ack=9), False), (Dss.of(dsn=9, dll=0), True),
        (Dss.of(dsn=9, dll=1, data_fin=True), True), (Dss.of(dsn=9, dll=0, data_fin=True), True),
    ):  # fmt: skip
        found = told((0, ACK, replace(option, reserved=3)))
        assert [text.endswith("reserved=0x3") for *_, text in found] == [True] * tells


def test_events_have_the_options_behind_them() -> None:
    """Those that are shown, as values."""
    tale = Tale((0, SYN, MpCapable(version=1)), (0, FIN, None))
    tale.tell()
    assert [event.options for event in tale.connection.events] == [(MpCapable(version=1),), ()]


# -------------------------------------------------------------------- signals


def test_signals_are_grouped_by_stream() -> None:
    """Options with their octets, events with their flags, both with the payload's size."""
    prio, fail = encode(MpPrio(backup=True)), encode(MpTcprst(reason=2))
    data = b"....." + prio + b"--" + fail
    made = wire(
        halves=6, rows=4, half=[5, 0, 4, 1], flags=[0x8211, 0x8010, 0x8012, 0xFFFF],
        length=[7, 0, 3, 9],
    )  # fmt: skip
    made.capture = SimpleNamespace(data=memoryview(data))
    made.controls = table(CONTROLS, 3, row=[0, 1, 2], offset=[5, 10, 5], size=[3, 4, 3])
    made.events = [0, 2, 3]
    signals = Signals(made)

    def shown(held: dict[int, list[Raw]]) -> dict[int, list[Any]]:
        return {
            stream: [
                (raw.row, raw.half, raw.flags, raw.payload, raw.raw, raw.subtype) for raw in raws
            ]
            for stream, raws in held.items()
        }

    assert shown(signals.options) == {
        2: [(0, 5, 0x011, 7, prio, 5), (2, 4, 0x012, 3, prio, 5)], 0: [(1, 0, 0x010, 0, fail, 8)],
    }  # fmt: skip
    assert shown(signals.events) == {
        2: [(0, 5, 0x011, 7, b"", -1), (2, 4, 0x012, 3, b"", -1)],
        0: [(3, 1, 0x1FF, 9, b"", -1)],
    }
    assert [raw.row for raw in signals.of(2, 5)] == [0, 2]
    nowhere = (2, 8), (2, 4), (0, 5), (1, 5), (7, 5)
    assert [list(signals.of(*place)) for place in nowhere] == [[]] * 5


@pytest.mark.parametrize(("size", "subtype"), [(0, -1), (1, -1), (2, -1), (3, 5), (4, 5)])
def test_a_subtype_stands_in_the_third_octet(size: int, subtype: int) -> None:
    """If there is one."""
    assert Raw(0, 0, 0, 0, b"\x1e\x04\x5f\x00"[:size]).subtype == subtype


def test_options_are_decoded_under_the_version_of_their_connection() -> None:
    """Once for each version; those that say their version themselves, once."""
    add = AddAddr(address_id=1, address=ADDRESS, hmac=bytes(8))
    signal = Raw(0, 0, ACK, 0, encode(add))
    first = signal.decode(1)
    assert first == add
    assert signal.decode(1) is first
    assert signal.decode(0) != add
    assert signal.decode(None) == add
    for option, flags, payload in (
        (MpCapable(version=1), SYN, 0), (MpCapable(version=1, sender_key=1), SYN | ACK, 0),
        (MpJoinSyn(address_id=1, token=1, nonce=1), SYN, 0),
        (MpCapable(version=1, sender_key=1, receiver_key=2, data_length=3), ACK, 3),
        (Dss.of(data_ack=1), ACK, 0),
    ):  # fmt: skip
        signal = Raw(0, 0, flags, payload, encode(option))
        found = signal.decode(None)
        assert found == option
        assert signal.decode(0) is signal.decode(1) is found
