"""Small traces made by hand, for tests of the stages behind the model."""

from __future__ import annotations

from ipaddress import ip_address

from mptcp_oracle.model.trace import (
    ACK,
    ConnectionTruth,
    Delivery,
    Endpoint,
    HostTruth,
    Mapping,
    Range,
    Sent,
    SubflowTruth,
    Trace,
)
from mptcp_oracle.options import Dss

MS = 1_000_000


def data(
    number: int,
    time: int,
    sequence: int,
    octets: int,
    *,
    subflow: int = 0,
    host: int = 0,
    dsn: int | None = None,
    whole: tuple[int, int] | None = None,
) -> Sent:
    """A segment with payload under a mapping: its own, or ``whole`` = (sequence, octets)."""
    first, length = whole or (sequence, octets)
    start = first if dsn is None else dsn
    return Sent(
        number=number,
        time=time,
        subflow=subflow,
        host=host,
        sequence=sequence,
        ack=1,
        flags=ACK,
        window=1000,
        options=(Dss.of(data_ack=1, dsn=start, ssn=first, dll=length),),
        payload=bytes(range(octets)),
        mapping=Mapping(sequence=first, dsn=start, octets=length),
        data_ack=1,
        ranges=(Range(sequence=sequence, octets=octets, dsn=start + sequence - first),),
    )


def ack(number: int, time: int, acked: int, *, subflow: int = 0, host: int = 1) -> Sent:
    """A segment without payload or options."""
    return Sent(
        number=number,
        time=time,
        subflow=subflow,
        host=host,
        sequence=1,
        ack=acked,
        flags=ACK,
        window=1000,
    )


def trace(*segments: Sent, delay: int = 10 * MS, lost: tuple[int, ...] = ()) -> Trace:
    """A connection of two subflows, the second one over IPv6; all arrives but what is lost."""
    hosts = tuple(HostTruth(key=key, checksum=False, c_flag=False, base=key) for key in (1, 2))
    deliveries = [
        Delivery(time=segment.time + delay, segment=segment)
        for segment in segments
        if segment.number not in lost
    ]
    deliveries.sort(key=lambda delivery: delivery.time)
    return Trace(
        connections=(
            ConnectionTruth(
                number=0,
                version=1,
                hosts=(hosts[0], hosts[1]),
                fallback="no_mapping",
                fallback_shown=(frozenset({0}), frozenset({1, 2})),
            ),
        ),
        subflows=tuple(
            SubflowTruth(
                number=number,
                connection=0,
                initial=number == 0,
                opener=0,
                ends=(
                    Endpoint(address=ip_address(source), port=1000 + number),
                    Endpoint(address=ip_address(destination), port=80),
                ),
                isns=(0, 0),
            )
            for number, (source, destination) in enumerate(
                (("192.0.2.1", "192.0.2.2"), ("2001:db8::1", "2001:db8::2"))
            )
        ),
        segments=segments,
        deliveries=tuple(deliveries),
        transitions=("C01",),
    )


def exchange(octets: int = 100, subflow: int = 0) -> Trace:
    """Three segments of data and three acknowledgments of them."""
    return trace(
        data(0, 1 * MS, 1, octets, subflow=subflow),
        data(1, 2 * MS, 1 + octets, octets, subflow=subflow),
        data(2, 3 * MS, 1 + 2 * octets, octets, subflow=subflow),
        ack(3, 12 * MS, 1 + octets, subflow=subflow),
        ack(4, 13 * MS, 1 + 2 * octets, subflow=subflow),
        ack(5, 14 * MS, 1 + 3 * octets, subflow=subflow),
    )
