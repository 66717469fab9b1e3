"""Captures put together by hand, for tests of how captures become files.

No model is asked: one connection, one subflow, a few segments with the options that matter.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from ipaddress import ip_address

from mptcp_oracle.model.capture import Capture, Frame, Layout
from mptcp_oracle.model.trace import (
    ACK,
    FIN,
    PSH,
    SYN,
    ConnectionTruth,
    Delivery,
    Endpoint,
    HostTruth,
    Sent,
    SubflowTruth,
    Trace,
)
from mptcp_oracle.options import Dss, MpCapable, Option

__all__ = ["BEGIN", "KEYS", "capture_of", "conversation", "trace_of"]

BEGIN = 1_700_000_000_123_456_789
KEYS = (0x0102030405060708, 0x1112131415161718)
MILLISECOND = 1_000_000
ENDS = {
    4: (Endpoint(address=ip_address("10.0.0.1"), port=40_000),
        Endpoint(address=ip_address("10.0.9.2"), port=5201)),
    6: (Endpoint(address=ip_address("2001:db8::1"), port=40_000),
        Endpoint(address=ip_address("2001:db8:9::2"), port=5201)),
}  # fmt: skip


def trace_of(
    segments: Iterable[Sent],
    *,
    version: int = 4,
    isns: tuple[int, int] = (0xFFFF_FF00, 77),
    trip: int = 5 * MILLISECOND,
) -> Trace:
    """A trace of one subflow; every segment arrives after ``trip`` nanoseconds."""
    sent = tuple(replace(each, number=number) for number, each in enumerate(segments))
    hosts = tuple(HostTruth(key=key, checksum=False, c_flag=False, base=0) for key in KEYS)
    return Trace(
        connections=(ConnectionTruth(number=0, version=1, hosts=(hosts[0], hosts[1])),),
        subflows=(
            SubflowTruth(
                number=0, connection=0, initial=True, opener=0, ends=ENDS[version], isns=isns
            ),
        ),
        segments=sent,
        deliveries=tuple(Delivery(time=each.time + trip, segment=each) for each in sent),
    )


def capture_of(trace: Trace, layout: Layout) -> Capture:
    """Every segment of a trace as one frame, with IP identifications from 100 on."""
    frames = tuple(
        Frame(
            segment=each,
            time=BEGIN + each.time,
            ip_id=100 + each.number,
            hops=each.host,
            outgoing=each.host == 0,
        )
        for each in trace.segments
    )
    return Capture(trace=trace, frames=frames, layout=layout)


def conversation() -> tuple[Sent, ...]:
    """A handshake, data of odd and even length each way, acknowledgments, and a FIN."""
    third = MpCapable(version=1, sender_key=KEYS[0], receiver_key=KEYS[1])
    rows: tuple[tuple[int, int, int | None, int, Option, bytes], ...] = (
        (0, 0, None, SYN, MpCapable(version=1), b""),
        (1, 0, 1, SYN | ACK, MpCapable(version=1, sender_key=KEYS[1]), b""),
        (0, 1, 1, ACK, third, b""),
        (0, 1, 1, PSH | ACK, replace(third, data_length=5), b"hello"),
        (1, 1, 6, ACK, Dss.of(data_ack=6), b""),
        (1, 1, 6, PSH | ACK, Dss.of(data_ack=6, dsn=9, ssn=1, dll=300), bytes(range(150)) * 2),
        (0, 6, 301, ACK, Dss.of(data_ack=309), b""),
        (0, 6, 301, FIN | ACK, Dss.of(data_ack=309), b""),
    )
    return tuple(
        Sent(
            number=number, time=number * 10 * MILLISECOND, subflow=0, host=host,
            sequence=sequence, ack=ack, flags=flags, window=1000 + number,
            options=(option,), payload=payload,
        )
        for number, (host, sequence, ack, flags, option, payload) in enumerate(rows)
    )  # fmt: skip
