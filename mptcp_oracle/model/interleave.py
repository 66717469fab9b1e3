"""Several traces as one, and other traffic beside them.

Connections of different traces keep their own truth; only the numbers change and the clocks are
set against each other.
"""

from __future__ import annotations

import struct
from collections.abc import Sequence
from dataclasses import replace

from mptcp_oracle.errors import UsageError
from mptcp_oracle.model.capture import Noise
from mptcp_oracle.model.choices import Choices
from mptcp_oracle.model.trace import ACK, Delivery, Sent, Trace

__all__ = ["interleave", "noise"]

Key = tuple[int, int, int]  # time, trace, number or turn


def interleave(traces: Sequence[Trace], offsets: Sequence[int]) -> Trace:
    """One trace of all connections, in order of time.

    Args:
        traces: The traces. Their addresses and ports must not collide; that is up to the caller.
        offsets: Nanoseconds by which each trace's clock is behind the common one.

    Raises:
        UsageError: There are not as many offsets as traces.
    """
    if len(traces) != len(offsets):
        raise UsageError("interleave needs one offset for each trace")
    if len(traces) == 1 and offsets[0] == 0:
        return traces[0]
    order = sorted(
        (segment.time + offset, at, segment.number)
        for at, (trace, offset) in enumerate(zip(traces, offsets, strict=True))
        for segment in trace.segments
    )
    numbers = {(at, old): new for new, (_, at, old) in enumerate(order)}
    first_subflow, first_connection = [0], [0]
    for trace in traces:
        first_subflow.append(first_subflow[-1] + len(trace.subflows))
        first_connection.append(first_connection[-1] + len(trace.connections))

    def moved(at: int, segment: Sent) -> Sent:
        return replace(
            segment,
            number=numbers[at, segment.number],
            time=segment.time + offsets[at],
            subflow=segment.subflow + first_subflow[at],
        )

    segments = tuple(moved(at, traces[at].segments[old]) for _, at, old in order)
    arrivals: list[tuple[Key, Delivery]] = []
    connections, subflows, planted = [], [], []
    transitions: list[str] = []
    for at, trace in enumerate(traces):
        for turn, delivery in enumerate(trace.deliveries):
            old = delivery.segment
            same = old is trace.segments[old.number]
            # What nobody altered stays the same object: stages compare by identity first.
            new = segments[numbers[at, old.number]] if same else moved(at, old)
            time = delivery.time + offsets[at]
            arrivals.append(((time, at, turn), Delivery(time=time, segment=new)))
        for connection in trace.connections:
            shown = tuple(
                frozenset(numbers[at, number] for number in numbers_of)
                for numbers_of in connection.fallback_shown
            )
            number = connection.number + first_connection[at]
            connections.append(replace(connection, number=number, fallback_shown=shown))
        subflows += [
            replace(
                subflow,
                number=subflow.number + first_subflow[at],
                connection=subflow.connection + first_connection[at],
            )
            for subflow in trace.subflows
        ]
        planted += [
            replace(fault, segments=tuple(numbers[at, number] for number in fault.segments))
            for fault in trace.planted
        ]
        transitions += trace.transitions
    arrivals.sort(key=_moment)
    return Trace(
        connections=tuple(connections),
        subflows=tuple(subflows),
        segments=segments,
        deliveries=tuple(delivery for _, delivery in arrivals),
        transitions=tuple(transitions),
        planted=tuple(planted),
    )


def _moment(arrival: tuple[Key, Delivery]) -> Key:
    return arrival[0]


def noise(choices: Choices, count: int, start: int, end: int) -> tuple[Noise, ...]:
    """Packets of UDP and of plain TCP connections, between two times, in order.

    Their addresses (RFC 5737's third block, RFC 3849's) are not those of any connection.
    """
    packets = []
    for turn in range(count):
        time = start + (end - start) * (turn + 1) // (count + 1)
        stream = choices.integer(0, 3)
        octets = bytes(choices.integer(0, 40))
        if stream == 0:
            packet = _ipv4(17, _udp(octets), turn)
        elif stream == 1:
            packet = _ipv6(17, _udp(octets))
        elif stream == 2:
            packet = _ipv4(6, _tcp(turn, octets, 4321), turn)
        else:
            packet = _ipv6(6, _tcp(turn, octets, 4322))
        packets.append(Noise(packet=packet, time=time, stream=stream - 2 if stream > 1 else None))
    return tuple(packets)


def _udp(payload: bytes) -> bytes:
    # A checksum of 0 is none, which IPv6 allows for tunnels (RFC 6935); nobody verifies it here.
    return struct.pack("!HHHH", 53, 5353, 8 + len(payload), 0) + payload


def _tcp(turn: int, payload: bytes, port: int) -> bytes:
    head = struct.pack("!HHIIBBHHH", port, 80, 1000 + 41 * turn, 1, 5 << 4, ACK, 1000, 0, 0)
    return head + payload


def _ipv4(protocol: int, payload: bytes, turn: int) -> bytes:
    source, destination = bytes((203, 0, 113, 1)), bytes((203, 0, 113, 2))
    words = struct.pack("!BBHHHBBH", 0x45, 0, 20 + len(payload), turn + 1, 0, 64, protocol, 0)
    total = sum(struct.unpack("!10H", words + source + destination))
    total = (total & 0xFFFF) + (total >> 16)
    checksum = ~((total & 0xFFFF) + (total >> 16)) & 0xFFFF
    return b"".join((words[:10], checksum.to_bytes(2, "big"), source, destination, payload))


def _ipv6(protocol: int, payload: bytes) -> bytes:
    prefix = bytes.fromhex("20010db8ffff000000000000000000")
    head = struct.pack("!IHBB", 6 << 28, len(payload), protocol, 64)
    return head + prefix + b"\x01" + prefix + b"\x02" + payload
