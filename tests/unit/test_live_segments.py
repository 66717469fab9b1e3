"""The raw peer's core: octets, subflows and connections, without any link."""

from __future__ import annotations

from dataclasses import replace
from ipaddress import ip_address

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mptcp_oracle import crypto
from mptcp_oracle.live.peer import Connection, Flow, Segment, packed, parsed
from mptcp_oracle.live.peer.segment import ACK, FIN, PSH, RST, SYN, URG
from mptcp_oracle.options import Dss, MpCapable, MpFastclose, MpPrio, MpTcprst, RemoveAddr

PAIRS = {
    4: (ip_address("10.99.1.9"), ip_address("10.99.0.1")),
    6: (ip_address("fd99::1:9"), ip_address("fd99::1")),
}
OPTIONS = st.sampled_from(
    [
        (),
        (MpFastclose(key=2**64 - 1),),
        (MpPrio(backup=True), RemoveAddr(address_ids=(1, 2, 3))),
        (Dss.of(data_ack=5, dsn=9, ssn=1, dll=3, checksum=7), MpTcprst(reason=6)),
    ]
)


def segment(family: int = 4, **changes: object) -> Segment:
    """A segment of the peer."""
    source, destination = PAIRS[family]
    made = Segment(
        source=source, destination=destination, source_port=40_000, destination_port=5_201,
        sequence=1,
    )  # fmt: skip
    return replace(made, **changes)  # type: ignore[arg-type]


@given(
    family=st.sampled_from([4, 6]),
    flags=st.sampled_from([ACK, ACK | PSH, RST | ACK, FIN | ACK, ACK | URG]),
    numbers=st.tuples(*[st.integers(0, 2**32 - 1)] * 2),
    window=st.integers(0, 65_535),
    options=OPTIONS,
    payload=st.binary(max_size=50),
)
def test_what_is_packed_is_parsed(
    family: int, flags: int, numbers: tuple[int, int], window: int, options: tuple[object, ...],
    payload: bytes,
) -> None:  # fmt: skip
    """A segment comes back from its packet as it was, in both families."""
    made = segment(
        family, flags=flags, sequence=numbers[0], acknowledgment=numbers[1], window=window,
        urgent=1 if flags & URG else 0, options=options, payload=payload,
    )  # fmt: skip
    found = parsed(packed(made))
    assert found is not None
    assert replace(found, others=b"") == made


@pytest.mark.parametrize("family", [4, 6])
def test_checksums_are_right(family: int) -> None:
    """The TCP checksum over the pseudo-header, and IPv4's own, add up."""
    packet = packed(segment(family, payload=b"odd"))
    head = 20 if family == 4 else 40
    pair = packet[12:20] if family == 4 else packet[8:40]
    body = packet[head:]
    pseudo = pair + len(body).to_bytes(4, "big") + (6).to_bytes(4, "big")
    assert crypto.ones_sum(pseudo + body) == 0xFFFF
    assert family == 6 or crypto.ones_sum(packet[:20]) == 0xFFFF


@given(packet=st.binary(max_size=80), first=st.sampled_from([b"", b"\x45", b"\x60"]))
def test_any_octets_can_be_parsed(packet: bytes, first: bytes) -> None:
    """Whatever comes from a link is a segment or nothing."""
    assert parsed(first + packet) is None or parsed(first + packet)


def flow() -> Flow:
    """A subflow that has its SYN and SYN/ACK behind it, near the end of the number space."""
    source, destination = PAIRS[4]
    made = Flow(local=(source, 40_000), remote=(destination, 5_201), isn=2**32 - 3)
    made.segment(SYN)
    answer = segment(
        source=destination, destination=source, source_port=5_201, destination_port=40_000,
        flags=SYN | ACK, sequence=2**32 - 1, acknowledgment=2**32 - 2,
    )  # fmt: skip
    assert made.is_mine(answer)
    made.take(answer)
    return made


def test_a_subflow_counts_over_the_wrap() -> None:
    """Numbers wrap at 2**32, relative ones do not."""
    made = flow()
    assert (made.place, made.expected) == (1, 0)
    sent = made.segment(ACK, payload=b"12345")
    assert (sent.sequence, made.place, made.next) == (2**32 - 2, 6, 3)
    again = made.segment(ACK, payload=b"12345", place=1)
    assert (again.sequence, made.place) == (sent.sequence, 6)


def test_a_subflow_takes_what_is_in_order() -> None:
    """Only what continues the stream moves the acknowledgment; repeats and gaps do not."""
    made, source = flow(), PAIRS[4][1]
    for sequence, expected in ((10, 0), (0, 5), (0, 5), (3, 8)):
        made.take(segment(source=source, sequence=sequence, payload=b"abcde"))
        assert made.expected == expected


def connection(*, checksum: bool = False) -> Connection:
    """A connection whose keys are known."""
    made = Connection(0x3D9A2, checksum=checksum)
    made.learn(0x1122334455667788)
    made.flows.append(flow())
    return made


def test_the_first_data_maps_itself() -> None:
    """MP_CAPABLE has length and checksum only with data, as negotiated."""
    assert connection().capable() == MpCapable(
        version=1, sender_key=0x3D9A2, receiver_key=0x1122334455667788
    )
    option = connection(checksum=True).capable(b"data")
    assert option.data_length == 4
    base = crypto.idsn(0x3D9A2, 1)
    assert option.checksum is not None
    assert crypto.dss_checksum_holds(base + 1, 1, 4, option.checksum, b"data")


def test_short_numbers_are_the_lower_halves() -> None:
    """4-octet DSNs and DATA_ACKs are what is left of 64 bits, and are read back so."""
    made = connection()
    made.sent = 2_000  # beyond the wrap of the lower half
    option = made.dss(made.flows[0], b"x", dsn_size=4, ack_size=4)
    assert option.dsn == (made.base + 2_000) & 0xFFFF_FFFF
    assert option.data_ack == (made.peer_base + 1) & 0xFFFF_FFFF
    acked = Dss.of(data_ack=option.dsn, data_ack_size=4)
    assert made.data_acks(segment(options=(acked,))) == [2_000]


def test_data_out_of_order_is_acknowledged_when_the_gap_closes() -> None:
    """The DATA_ACK waits for what is missing, and then covers DATA_FIN too."""
    made, source = connection(), PAIRS[4][1]
    only = made.flows[0]
    for first, payload, fin, due in ((4, b"def", True, 1), (1, b"abc", False, 8)):
        option = Dss.of(dsn=(made.peer_base + first) % 2**64, ssn=first, dll=3 + fin, data_fin=fin)
        each = segment(source=source, sequence=first - 1, options=(option,), payload=payload)
        only.take(each)
        made.take(only, each)
        assert made.got == due
    assert bytes(made.content) == b"abcdef"


def test_a_wrong_hmac_differs_from_the_right_one() -> None:
    """What is wrong on purpose is wrong in one bit."""
    made = connection()
    only = made.flows[0]
    right, wrong = made.join_ack(only).hmac, made.join_ack(only, wrong=True).hmac
    assert int.from_bytes(right) ^ int.from_bytes(wrong) == 1
    address = PAIRS[6][0]
    assert made.add_addr(5, address) != made.add_addr(5, address, wrong=True)
