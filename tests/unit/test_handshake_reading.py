"""What the set-up options and flags of one stream say, over hand-made signals.

A stream has halves 4 and 5; half 4 sent its first segment. Each row is a segment: who sent it, with
which flags, with which option.
"""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest

from mptcp_oracle.analysis import subflows
from mptcp_oracle.analysis.entities import Subflow
from mptcp_oracle.analysis.signals import Raw
from mptcp_oracle.analysis.subflows import Handshake
from mptcp_oracle.encode import encode
from mptcp_oracle.options import (
    Dss,
    MpCapable,
    MpJoinAck,
    MpJoinSyn,
    MpJoinSynAck,
    MpPrio,
    Option,
)
from mptcp_oracle.wire.segments import Endpoint
from tests.common.columns import wire

FIN, SYN, RST, PSH, ACK = 0x01, 0x02, 0x04, 0x08, 0x10
DUPLICATE, CUT = 0x0200, 0x0400
US, THEM = 4, 5

A, B = 0x1111, 0x2222
OFFER = MpCapable(version=1)
OLD_OFFER = MpCapable(version=0, sender_key=A)
ANSWER = MpCapable(version=1, sender_key=B)
THIRD = MpCapable(version=1, sender_key=A, receiver_key=B)
JOIN = MpJoinSyn(address_id=1, token=2, nonce=3)
JOINED = MpJoinSynAck(address_id=4, hmac=bytes(8), nonce=5)
PROVED = MpJoinAck(hmac=bytes(20))

Row = tuple[int, int, Option | bytes | None]


def stream(
    *rows: Row, payload: int = 0, count: tuple[int, int] | None = None, times: Any = None,
    marks: tuple[int, int] = (0, 0),
) -> tuple[Any, Any]:  # fmt: skip
    """Columns and signals of a stream; events are rows with SYN, FIN or RST."""
    made = wire(
        halves=6, rows=len(rows), half=[row[0] for row in rows], flags=[row[1] for row in rows],
        time=list(times or range(len(rows))),
    )  # fmt: skip
    counted = count or tuple(sum(row[0] == half for row in rows) for half in (US, THEM))
    made.halves["count"][US], made.halves["count"][THEM] = counted
    made.halves["mptcp"][US], made.halves["mptcp"][THEM] = marks
    options, events = [], []
    for at, (half, flags, option) in enumerate(rows):
        low = flags & 0x1FF
        if option is not None:
            octets = option if isinstance(option, bytes) else encode(option)
            options.append(Raw(at, half, low, payload, octets))
        if low & (SYN | FIN | RST):
            events.append(Raw(at, half, low, payload, b""))
    return made, SimpleNamespace(options={2: options}, events={2: events})


def read(*rows: Row, **settings: Any) -> Handshake:
    """The handshake of a stream."""
    made, signals = stream(*rows, **settings)
    subflow = Subflow(
        id=0, stream=2, kind=None, source=Endpoint("us", 1), destination=Endpoint("them", 2),
        halves=(US, THEM),
    )  # fmt: skip
    return subflows._read(made, signals, Handshake(subflow))


def rows_of(shake: Handshake) -> tuple[int | None, ...]:
    """The rows of SYN, SYN/ACK, third packet, and a later one with other keys."""
    messages: tuple[Any, ...] = (shake.syn, shake.synack, shake.ack, shake.changed)
    return tuple(None if message is None else message[0].row for message in messages)


# -------------------------------------------------------------------- which message is which


@pytest.mark.parametrize("options", [(OFFER, ANSWER, THIRD), (JOIN, JOINED, PROVED)])
def test_three_packets(options: tuple[Option, ...]) -> None:
    """Each message is found in its packet, and who opened the subflow is its source."""
    shake = read((US, SYN, options[0]), (THEM, SYN | ACK, options[1]), (US, ACK, options[2]))
    assert rows_of(shake) == (0, 1, 2, None)
    assert (shake.syn_row, shake.synack_row, shake.opener) == (0, 1, US)
    assert [shake.syn and shake.syn[1], shake.synack and shake.synack[1]] == list(options[:2])
    assert (shake.syns, [each for _, each in shake.synacks]) == ([options[0]], [options[1]])
    assert (shake.plain_syn, shake.plain_synack, shake.refused) == (None, None, None)
    assert shake.subflow.kind == ("initial" if options[0] is OFFER else "joined")
    assert shake.is_join is (options[0] is JOIN)
    assert shake.subflow.halves == (US, THEM)
    assert str(shake.subflow.source) == "us:1"


def test_three_packets_of_version_0() -> None:
    """There the SYN has a key as well; what tells it from a SYN/ACK is flag ACK."""
    answer = MpCapable(version=0, sender_key=B)
    third = MpCapable(version=0, sender_key=A, receiver_key=B)
    shake = read((US, SYN, OLD_OFFER), (THEM, SYN | ACK, answer), (US, ACK, third))
    assert rows_of(shake) == (0, 1, 2, None)


def test_where_the_capture_begins_with_the_other_end() -> None:
    """The opener becomes the source, by whatever message or flag it shows."""
    for rows in (
        [(THEM, SYN, OFFER)],
        [(US, SYN | ACK, ANSWER)],
        [(THEM, ACK, THIRD)],
        [(US, ACK, None), (THEM, SYN, None)],
        [(US, SYN | ACK, None)],
        [(US, SYN | ACK, JOINED)],
        [(THEM, ACK, PROVED)],
    ):
        shake = read(*rows)
        assert shake.opener == THEM
        assert shake.subflow.halves == (THEM, US)
        assert (str(shake.subflow.source), str(shake.subflow.destination)) == ("them:2", "us:1")
    shake = read((US, ACK, Dss.of(data_ack=1)), (US, FIN | ACK, None))
    assert (shake.opener, shake.subflow.halves, shake.subflow.kind) == (None, (US, THEM), None)


def test_messages_of_the_wrong_host_are_left_out() -> None:
    """Once it is known who opened it, the other host sends no SYN and no third packet."""
    shake = read(
        (US, SYN, OFFER), (THEM, SYN, OLD_OFFER), (US, SYN | ACK, ANSWER), (THEM, ACK, THIRD)
    )
    assert rows_of(shake) == (0, None, None, None)
    assert (shake.syns, shake.synacks) == ([OFFER], [])
    shake = read(
        (THEM, SYN, OFFER), (US, SYN, OLD_OFFER), (THEM, SYN | ACK, ANSWER), (US, ACK, THIRD)
    )
    assert rows_of(shake) == (0, None, None, None)


def test_messages_of_the_other_kind_are_left_out() -> None:
    """The first set-up option says whether it is an initial or a joined subflow."""
    shake = read((US, SYN, OFFER), (THEM, SYN | ACK, JOINED), (US, ACK, PROVED))
    assert (rows_of(shake), shake.subflow.kind) == ((0, None, None, None), "initial")
    # Their packets are no plain ones, all the same.
    assert (shake.plain_synack, shake.synack_row) == (None, 1)
    shake = read((US, SYN, OFFER), (THEM, SYN | ACK, JOINED), (US, ACK, THIRD))
    assert rows_of(shake) == (0, None, 2, None)
    shake = read((US, SYN, JOIN), (THEM, SYN | ACK, ANSWER))
    assert (rows_of(shake), shake.subflow.kind) == ((0, None, None, None), "joined")


@pytest.mark.parametrize("option", [Dss.of(data_ack=1), MpPrio(backup=True)])
def test_options_that_set_nothing_up(option: Option) -> None:
    """A DSS or MP_PRIO says nothing of the handshake, and makes a SYN no SYN of MPTCP."""
    shake = read((US, SYN, option), (THEM, SYN | ACK, option))
    assert (rows_of(shake), shake.subflow.kind) == ((None,) * 4, None)
    assert (shake.plain_syn, shake.plain_synack) == (0, 1)


def test_misplaced_options_are_no_messages() -> None:
    """An MP_JOIN of a third packet on a SYN is none; nor is an MP_CAPABLE of a SYN/ACK."""
    shake = read((US, SYN, PROVED), (THEM, SYN | ACK, JOIN))
    assert (rows_of(shake), shake.subflow.kind) == ((None,) * 4, None)
    shake = read((US, SYN, ANSWER), (THEM, ACK, OFFER))
    assert (rows_of(shake), shake.subflow.kind) == ((None,) * 4, None)


def test_a_third_packet_in_no_layout_of_its_version_is_none() -> None:
    """Version 0 has no MP_CAPABLE with a Data-Level Length (RFC 6824 section 3.1)."""
    keys = A.to_bytes(8, "big") + B.to_bytes(8, "big")
    for size in (20, 22, 24):
        octets = bytes([30, size, 0, 1]) + keys + bytes(size - 20)
        assert rows_of(read((US, ACK, octets)))[2] == (0 if size == 20 else None)


def test_other_options_before_a_message() -> None:
    """They are passed over, whatever comes after them."""
    prio = MpPrio(backup=True)
    shake = read((US, ACK, prio), (US, SYN, OFFER), (US, ACK, prio), (US, ACK, THIRD))
    assert rows_of(shake) == (1, None, 3, None)


def test_a_third_packet_that_offload_put_together_with_data() -> None:
    """MP_CAPABLE with both keys on a segment with data still is the third packet."""
    shake = read((US, ACK, THIRD), payload=9)
    assert rows_of(shake) == (None, None, 0, None)
    assert shake.ack is not None
    assert shake.ack[1] == THIRD
    first = MpCapable(version=1, sender_key=A, receiver_key=B, data_length=3)
    assert rows_of(read((US, ACK, first), payload=9)) == (None, None, 0, None)
    assert rows_of(read((US, ACK, first), payload=0)) == (None, None, 0, None)


def test_both_keys_on_a_syn_are_no_third_packet() -> None:
    """Nobody has the other one's key when it sends a SYN or a SYN/ACK with MP_CAPABLE version 1."""
    for flags in (SYN, SYN | ACK):
        assert rows_of(read((US, flags, THIRD))) == (None, None, None, None)


# -------------------------------------------------------------------- repeated messages


def test_the_last_syn_and_the_first_third_packet_count() -> None:
    """What is sent again replaces a SYN, and does not replace a third packet."""
    other = MpJoinSyn(address_id=1, token=2, nonce=9)
    again = MpJoinAck(hmac=bytes(19) + b"\1")
    shake = read((US, SYN, JOIN), (US, SYN, other), (US, ACK, PROVED), (US, ACK, again))
    assert rows_of(shake) == (1, None, 2, None)
    assert shake.syns == [JOIN, other]
    assert (shake.syn_row, shake.ack and shake.ack[1]) == (0, PROVED)


def test_the_last_synack_before_the_third_packet_counts() -> None:
    """After it, a SYN/ACK counts only if there was none before."""
    other = MpJoinSynAck(address_id=4, hmac=bytes(8), nonce=6)
    before = read((THEM, SYN | ACK, JOINED), (THEM, SYN | ACK, other), (US, ACK, PROVED))
    assert rows_of(before) == (None, 1, 2, None)
    after = read((THEM, SYN | ACK, JOINED), (US, ACK, PROVED), (THEM, SYN | ACK, other))
    assert rows_of(after) == (None, 0, 1, None)
    assert [each for _, each in after.synacks] == [JOINED, other]
    assert after.synack_row == 0
    behind = read((US, ACK, PROVED), (THEM, SYN | ACK, JOINED), (THEM, SYN | ACK, other))
    assert rows_of(behind) == (None, 1, 0, None)


def test_so_many_different_messages_are_kept() -> None:
    """Four SYNs and four SYN/ACKs that differ; equal ones are one."""
    syns = [MpJoinSyn(address_id=1, token=2, nonce=at) for at in range(6)]
    answers = [MpJoinSynAck(address_id=1, hmac=bytes(8), nonce=at) for at in range(6)]
    rows: list[Row] = [(US, SYN, each) for each in [syns[0], *syns]]
    rows += [(THEM, SYN | ACK, each) for each in [answers[0], *answers]]
    shake = read(*rows)
    assert shake.syns == syns[:4]
    assert [(raw.row, each) for raw, each in shake.synacks] == [
        (7, answers[0]), (9, answers[1]), (10, answers[2]), (11, answers[3]),
    ]  # fmt: skip
    assert rows_of(shake)[:2] == (6, 13)


@pytest.mark.parametrize(
    ("keys", "changed"), [((A, B), False), ((A, 7), True), ((7, B), True), ((B, A), True)]
)
def test_keys_that_change_later(keys: tuple[int, int], changed: bool) -> None:
    """The first later MP_CAPABLE with another key of either host is kept."""
    first = MpCapable(version=1, sender_key=A, receiver_key=B, data_length=1)
    later = MpCapable(version=1, sender_key=keys[0], receiver_key=keys[1], data_length=1)
    last = MpCapable(version=1, sender_key=8, receiver_key=9, data_length=1)
    shake = read((US, ACK, first), (US, ACK, later), (US, ACK, last), payload=1)
    assert rows_of(shake) == (None, None, 0, 1 if changed else 2)
    assert rows_of(read((US, ACK, PROVED), (US, ACK, later)))[3] is None


# -------------------------------------------------------------------- flags


def test_plain_syns_and_synacks() -> None:
    """The first of each without set-up option is plain, unless its options were cut."""
    shake = read(
        (US, SYN, OFFER), (US, SYN | CUT, None), (US, SYN, None), (US, SYN, None),
        (THEM, SYN | ACK, ANSWER), (THEM, SYN | ACK | CUT, None), (THEM, SYN | ACK, None),
        (THEM, SYN | ACK, None),
    )  # fmt: skip
    assert (shake.plain_syn, shake.plain_synack) == (2, 6)
    assert (shake.syn_row, shake.synack_row) == (0, 4)
    shake = read((US, SYN, None), (THEM, SYN | ACK, None))
    assert (shake.plain_syn, shake.plain_synack, shake.opener) == (0, 1, US)
    shake = read((US, SYN | CUT, None), (THEM, SYN | ACK | CUT, None))
    assert (shake.plain_syn, shake.plain_synack) == (None, None)
    assert (shake.syn_row, shake.synack_row) == (0, 1)


@pytest.mark.parametrize("flags", [FIN | ACK, RST, RST | ACK])
def test_fins_and_resets_are_no_syns(flags: int) -> None:
    """They say neither who opened the subflow nor when."""
    shake = read((THEM, flags, None))
    assert (shake.opener, shake.syn_row, shake.synack_row, shake.plain_syn) == (None,) * 4


def test_the_first_reset_of_the_other_host_refuses() -> None:
    """That of the opener refuses nothing."""
    shake = read((US, SYN, JOIN), (US, RST, None), (THEM, RST | ACK, None), (THEM, RST, None))
    assert shake.refused == 2
    assert read((US, SYN, JOIN), (US, RST, None)).refused is None
    assert read((US, SYN, JOIN), (THEM, FIN | ACK, None)).refused is None
    assert read((THEM, RST, None)).refused == 0
    assert read((THEM, SYN, JOIN), (THEM, RST, None), (US, RST, None)).refused == 2


@pytest.mark.parametrize(
    ("rows", "count", "expected"),
    [
        ([(US, SYN, JOIN), (THEM, SYN | ACK, JOINED), (US, ACK, PROVED)], (2, 1), (False, False)),
        ([(US, SYN, JOIN), (THEM, SYN | ACK, JOINED), (US, ACK, PROVED)], (3, 1), (True, False)),
        ([(US, SYN, JOIN), (THEM, SYN | ACK, JOINED), (US, ACK, PROVED)], (2, 2), (False, True)),
        ([(US, SYN, OFFER), (THEM, SYN | ACK, ANSWER), (US, ACK, THIRD)], (2, 1), (True, False)),
        ([(US, SYN, JOIN), (THEM, RST | ACK, None), (US, RST, None)], (2, 1), (False, False)),
        ([(US, FIN | ACK, None), (THEM, FIN | ACK, None)], (1, 1), (True, True)),
        ([(US, SYN, JOIN), (US, ACK, PROVED), (US, ACK, PROVED)], (3, 0), (False, False)),
        ([(US, SYN, JOIN), (US, SYN | ACK, PROVED)], (2, 0), (False, False)),
        ([(THEM, SYN, JOIN), (THEM, ACK, PROVED), (US, RST, None)], (1, 2), (False, False)),
        ([(US, SYN, JOIN), (US, ACK, JOINED)], (2, 0), (True, False)),
    ],
)
def test_who_sent_more_than_the_handshake(
    rows: list[Row], count: tuple[int, int], expected: tuple[bool, bool]
) -> None:
    """SYNs, resets and the third packets of a join are signs; all else shows that it went on."""
    shake = read(*rows, count=count)
    assert (shake.begun, shake.answered) == expected


# -------------------------------------------------------------------- vantage and round trip


@pytest.mark.parametrize("own", [0, 32, 64, 96, 31])
@pytest.mark.parametrize("other", [0, 32, 64, 96, 31])
def test_packet_types_show_the_vantage(own: int, other: int) -> None:
    """Sent by us (32) or received by us (64); at both ends, as of one machine, they show none."""
    shake = read((US, SYN, OFFER), (THEM, SYN | ACK, ANSWER), (US, ACK, THIRD), marks=(own, other))
    at_source = bool(own & 32 or other & 64)
    at_destination = bool(other & 32 or own & 64)
    if at_source != at_destination:
        expected = ("source" if at_source else "destination", True)
    elif at_source:
        expected = (None, False)
    else:
        expected = (None, False)  # the middle of the handshake's time
    assert shake.subflow.vantage == expected
    assert shake.subflow.round_trip == 2


SHAKEN = [(US, SYN, OFFER), (THEM, SYN | ACK, ANSWER), (US, ACK, THIRD)]


@pytest.mark.parametrize(
    ("far", "expected"),
    [
        (0, "destination"), (199, "destination"), (200, "destination"), (201, None), (500, None),
        (799, None), (800, "source"), (801, "source"), (1000, "source"),
    ],
)  # fmt: skip
def test_the_time_of_the_handshake_suggests_the_vantage(far: int, expected: str | None) -> None:
    """The gap before the SYN/ACK is at least 80 %, or at most 20 %, of the round trip."""
    shake = read(*SHAKEN, times=(5000, 5000 + far, 6000))
    assert shake.subflow.vantage == (expected, False)
    assert shake.subflow.round_trip == 1000


@pytest.mark.parametrize(("whole", "trip"), [(-1, 0), (0, 0), (1, 1)])
def test_a_round_trip_takes_time(whole: int, trip: int) -> None:
    """Clocks that were set back show none."""
    shake = read(*SHAKEN, times=(5000, 5000, 5000 + whole))
    assert shake.subflow.round_trip == trip
    assert shake.subflow.vantage == (("destination", False) if trip else (None, False))


@pytest.mark.parametrize(
    ("extra", "guessed"),
    [
        ((US, SYN, OFFER), False), ((THEM, SYN | ACK, ANSWER), False),
        ((US, SYN | DUPLICATE, None), True), ((THEM, SYN | ACK | DUPLICATE, None), True),
        ((US, ACK, None), True), ((US, RST, None), True), ((THEM, FIN | ACK, None), True),
    ],
)  # fmt: skip
def test_messages_sent_again_show_no_vantage(extra: Row, guessed: bool) -> None:
    """Unless it is the capture that holds them twice: they may have waited anywhere."""
    shake = read(*SHAKEN, extra, times=(0, 900, 1000, 1100))
    assert shake.subflow.vantage == (("source", False) if guessed else (None, False))
    assert shake.subflow.round_trip == 1000


@pytest.mark.parametrize("order", [(1, 0, 2), (0, 2, 1), (2, 1, 0), (1, 2, 0), (2, 0, 1)], ids=str)
def test_messages_out_of_order_show_no_round_trip(order: tuple[int, int, int]) -> None:
    """SYN, SYN/ACK and third packet have to follow each other in the capture."""
    shake = read(*[SHAKEN[at] for at in order], times=(0, 900, 1000))
    assert (shake.subflow.round_trip, shake.subflow.vantage) == (0, (None, False))


@pytest.mark.parametrize("missing", range(3))
def test_messages_that_are_missing_show_no_round_trip(missing: int) -> None:
    """All three are needed, the third one with its option."""
    rows = [(half, flags, option) for half, flags, option in SHAKEN]
    rows[missing] = (US, ACK, None)
    shake = read(*rows, times=(0, 900, 1000))
    assert (shake.subflow.round_trip, shake.subflow.vantage) == (0, (None, False))


# -------------------------------------------------------------------- all streams


def test_streams_with_mptcp_are_subflows() -> None:
    """By their first frames, with their segments counted; a stream without MPTCP is none."""
    made = wire(
        halves=8, rows=8, half=[6, 1, 3, 0, 7, 6, 3, 1], frame=[11, 12, 13, 14, 15, 16, 17, 18],
        half_mptcp=[1, 0, 0x7E, 0x7E, 0, 0, 8, 3], half_count=[1, 2, 0, 2, 0, 0, 5, 7],
        half_first_row=[3, 1, -1, 2, -1, -1, 0, 4], half_last_row=[3, 7, -1, 6, -1, -1, 5, 4],
    )  # fmt: skip
    made.endpoint = lambda half: Endpoint("end", half)
    signals: Any = SimpleNamespace(options={}, events={})
    found = [shake.subflow for shake in subflows.find_subflows(made, signals)]
    assert [(flow.id, flow.stream, flow.halves) for flow in found] == [
        (0, 0, (1, 0)), (1, 3, (6, 7)),
    ]  # fmt: skip
    assert [(flow.source.port, flow.destination.port) for flow in found] == [(1, 0), (6, 7)]
    assert [(flow.first_frame, flow.last_frame, flow.frames) for flow in found] == [
        (12, 18, 3), (11, 16, 12),
    ]  # fmt: skip
    # One half may be silent.
    made.halves["mptcp"][3] = 1
    (alone,) = [
        shake.subflow for shake in subflows.find_subflows(made, signals)
        if shake.subflow.stream == 1
    ]  # fmt: skip
    assert (alone.halves, alone.first_frame, alone.last_frame, alone.frames) == ((3, 2), 13, 17, 2)
