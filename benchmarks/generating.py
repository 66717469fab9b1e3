"""What it costs to write generated captures: ours beside scapy building every packet, and memory.

The captures are those of :mod:`benchmarks.synthetic` as values of the model, so that both ways
have the same segments; they must also give the same octets.
"""

from __future__ import annotations

import sys
import time
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import chain
from typing import Any

from mptcp_oracle.generators.emit import assemble, packets, way_of, write

from benchmarks.measure import run
from benchmarks.report import table
from benchmarks.synthetic import BEGIN, HALF_TRIP, MASK32, SEGMENTS_PER_CONNECTION, Talk
from mptcp_oracle.errors import OracleError
from mptcp_oracle.model.capture import Capture, Frame, Layout
from mptcp_oracle.model.tcp_options import OptionSpace
from mptcp_oracle.model.trace import (
    ACK,
    FIN,
    SYN,
    ConnectionTruth,
    Delivery,
    Endpoint,
    HostTruth,
    Sent,
    SubflowTruth,
    Trace,
)
from mptcp_oracle.options import Option

__all__ = ["LEAST", "Cost", "Memory", "costs", "made", "memory", "show", "to_json"]

LEAST = 5.0
"""How many times faster than scapy a segment must be written, at least."""

LAYOUTS = {
    "Ethernet": Layout(),
    "Ethernet, timestamps": Layout(timestamps=True),
    "Ethernet, cut at 120 octets, pcap": Layout(file="pcap", snap_length=120),
    "SLL2, directions": Layout(link="sll2", directions=True),
    "two VLAN tags, GRE": Layout(vlans=(100, 7), tunnel="gre"),
    "VXLAN": Layout(tunnel="vxlan"),
}
ROUNDS = 5


class Told(Talk):
    """A connection of the synthetic capture as values of the model.

    Args:
        ordinal: Which one. segments: Where its segments are added.
    """

    def __init__(self, ordinal: int, segments: list[Sent]) -> None:
        super().__init__(ordinal)
        self._segments = segments

    def truths(self) -> tuple[ConnectionTruth, list[SubflowTruth]]:
        """The connection and its subflows."""
        hosts = [
            HostTruth(key=side.key, checksum=False, c_flag=False, base=side.send_dsn - 1)
            for side in self.sides
        ]
        subflows = [
            SubflowTruth(
                number=2 * self.ordinal + lane,
                connection=self.ordinal,
                initial=lane == 0,
                opener=0,
                ends=(_end(ports[0].address, ports[0].port), _end(ports[1].address, ports[1].port)),
                isns=(ports[0].isn, ports[1].isn),
            )
            for lane, ports in enumerate(self.subflows)
        ]
        truth = ConnectionTruth(number=self.ordinal, version=1, hosts=(hosts[0], hosts[1]))
        return truth, subflows

    def _send(self, subflow: int, role: int, flags: int, option: Option, payload: int = 0) -> None:
        port, peer = self.subflows[subflow][role], self.subflows[subflow][1 - role]
        self._segments.append(
            Sent(
                number=len(self._segments),
                time=self.now,
                subflow=2 * self.ordinal + subflow,
                host=role,
                sequence=(port.next - port.isn) & MASK32,
                ack=(peer.next - peer.isn) & MASK32 if flags & ACK else None,
                flags=flags,
                window=0xFFFF,
                options=(option,),
                payload=bytes(payload),
            )
        )
        port.next = (port.next + payload + bool(flags & (SYN | FIN))) & MASK32
        self.now += HALF_TRIP


def _end(address: Any, port: int) -> Endpoint:
    return Endpoint(address=address, port=port)


def made(connections: int, layout: Layout) -> Capture:
    """A capture of so many connections, in order of time, in the middle of the way."""
    segments: list[Sent] = []
    truths = []
    for ordinal in range(connections):
        told = Told(ordinal, segments)
        truths.append(told.truths())
        told.play()
    trace = Trace(
        connections=tuple(connection for connection, _ in truths),
        subflows=tuple(chain.from_iterable(subflows for _, subflows in truths)),
        segments=tuple(segments),
        deliveries=tuple(
            Delivery(time=each.time + HALF_TRIP // 2, segment=each) for each in segments
        ),
    )
    frames = [
        Frame(segment=each, time=each.time, ip_id=each.number & 0xFFFF, hops=1)
        for each in sorted(segments, key=lambda segment: segment.time)
    ]
    assert not frames or frames[0].time >= BEGIN
    return Capture(trace=trace, frames=tuple(frames), layout=layout)


@dataclass(frozen=True, slots=True, kw_only=True)
class Cost:
    """Writing one capture.

    Attributes:
        name: Of its layout. segments: How many.
        ours, scapy: Seconds of processor time for all of them; ours is the shortest of several.
    """

    name: str
    segments: int
    ours: float
    scapy: float

    @property
    def ratio(self) -> float:
        """How many times faster ours is."""
        return self.scapy / self.ours


def costs(connections: int) -> list[Cost]:
    """Both ways for every layout.

    Raises:
        OracleError: They do not give the same octets.
    """
    return [_cost(name, made(connections, layout)) for name, layout in LAYOUTS.items()]


def _cost(name: str, capture: Capture) -> Cost:
    layout = capture.layout
    spaces = OptionSpace(capture.trace, layout)

    def slowly() -> list[bytes]:
        return [
            assemble(
                layout,
                way_of(capture, frame),
                frame.segment,
                spaces.octets(frame.segment),
                frame.ip_id or 0,
            )[: layout.snap_length]
            for frame in capture.frames
            if isinstance(frame, Frame)
        ]

    if [octets for _, octets, _ in packets(capture)] != slowly():
        raise OracleError(f"{name}: patched packets are not those that scapy builds")
    return Cost(
        name=name,
        segments=len(capture.frames),
        ours=min(_timed(lambda: deque(packets(capture), maxlen=0)) for _ in range(ROUNDS)),
        scapy=_timed(slowly),
    )


def _timed(work: Callable[[], object]) -> float:
    begin = time.process_time()
    work()
    return time.process_time() - begin


@dataclass(frozen=True, slots=True, kw_only=True)
class Memory:
    """Octets of memory for each of many connections.

    Attributes:
        connections: How many. segments: Of each.
        values: For trace and capture. written: For both and for writing the file.
    """

    connections: int
    segments: int
    values: float
    written: float


def memory(connections: int) -> Memory:
    """What a connection costs in processes of their own, by the growth of anonymous memory."""

    def anonymous(count: int, what: str) -> int:
        command = [sys.executable, "-m", "benchmarks.generating", str(count), what]
        return run(command, watch=True).anonymous

    def growth(what: str) -> float:
        return (anonymous(connections, what) - anonymous(1, what)) / max(1, connections - 1)

    return Memory(
        connections=connections,
        segments=SEGMENTS_PER_CONNECTION,
        values=growth("make"),
        written=growth("write"),
    )


def show(found: Sequence[Cost], held: Memory | None) -> str:
    """The figures as text, the table in Markdown."""
    rows = [("layout", "segments", "ours us/segment", "scapy us/segment", "ratio", "met")]
    rows += [
        (
            each.name,
            f"{each.segments:,}",
            f"{each.ours / each.segments * 1e6:.1f}",
            f"{each.scapy / each.segments * 1e6:.0f}",
            f"{each.ratio:.0f}",
            "yes" if each.ratio >= LEAST else "NO",
        )
        for each in found
    ]
    lines = table(rows)
    if held is not None:
        lines += [
            "",
            f"{held.connections:,} connections of {held.segments} segments: "
            f"{held.values / 1e3:.1f} kB of memory for each, {held.written / 1e3:.1f} kB while "
            "they are written.",
        ]
    return "\n".join(lines)


def to_json(found: Sequence[Cost], held: Memory | None) -> dict[str, object]:
    """Everything that was measured."""
    return {
        "layouts": [
            {
                "name": each.name,
                "segments": each.segments,
                "ours": each.ours,
                "scapy": each.scapy,
                "ratio": each.ratio,
            }
            for each in found
        ],
        "memory": held
        and {
            "connections": held.connections,
            "segments": held.segments,
            "values": held.values,
            "written": held.written,
        },
    }


def _alone(count: int, what: str) -> None:
    """Make a capture in this process, and write it if asked to."""
    capture = made(count, Layout())
    if what == "write":
        with open("/dev/null", "wb") as nowhere:
            write(capture, nowhere)


if __name__ == "__main__":
    _alone(int(sys.argv[1]), sys.argv[2])
