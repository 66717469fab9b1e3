"""Read a capture into segment columns: the way from octets to rows, batch by batch."""

from __future__ import annotations

import ipaddress
import os
from array import array
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from mptcp_oracle.engine import loops
from mptcp_oracle.wire.capture import Capture, Packets
from mptcp_oracle.wire.columns import Columns

__all__ = ["Endpoint", "Wire", "read"]

BATCH = 8192

ROWS = {
    "frame": "I", "time": "q", "half": "i", "flags": "H", "sequence": "q", "ack": "I",
    "window": "H", "length": "I", "captured": "I", "offset": "q", "header": "B", "dss": "B",
    "data_ack": "q", "mapping": "i",
}  # fmt: skip
MAPS = {
    "row": "I", "half": "i", "dsn": "q", "ssn": "I", "length": "H", "checksum": "H", "flags": "B",
}  # fmt: skip
CONTROLS = {"row": "I", "offset": "q", "size": "B"}
STREAMS = {"kind": "B", "realm": "q", "hash": "I", "key": "q", "older": "i", "standing": "B"}
HALVES = {
    "port": "H", "base": "I", "top": "q", "seen": "B", "isn": "I", "isn_from": "B",
    "last_map": "i", "first_row": "i", "last_row": "i", "count": "I", "mptcp": "B",
    "first_dsn": "q", "first_data_ack": "q",
}  # fmt: skip
BATCH_COLUMNS = {
    "head": "B", "marks": "B", "first_dss": "q", "second_dss": "q", "capable": "q",
    "digest": "I", "half": "i", "sequence": "q", "row": "i",
}  # fmt: skip
#: Recent segments among which duplicates made by the capture are sought.
CACHE = 1 << 15

Progress = Callable[[int, int], None]


@dataclass(frozen=True, slots=True, order=True)
class Endpoint:
    """One end of a TCP stream.

    Attributes:
        address: IPv4 or IPv6 address as text.
        port: TCP port.
    """

    address: str
    port: int

    def __str__(self) -> str:
        host = f"[{self.address}]" if ":" in self.address else self.address
        return f"{host}:{self.port}"


class Wire:
    """A capture as columns: what was on the wire, before any meaning beyond TCP's.

    Attributes:
        capture: The open capture; payload octets are read from it when asked for.
        segments: One row a TCP segment, in capture order.
        mappings: One row a declared mapping (consecutive repeats once).
        controls: One row an MPTCP option of the control plane: its segment's row, its offset in
            the capture and its octets.
        streams: One row a TCP stream. halves: two rows a stream, one a direction.
        events: Rows of segments of MPTCP streams with FIN, SYN or RST.
        frames: Frames in the capture. skipped: segments whose TCP header is impossible.
    """

    def __init__(self, capture: Capture) -> None:
        self.capture = capture
        self.segments = Columns(ROWS)
        self.mappings = Columns(MAPS)
        self.controls = Columns(CONTROLS)
        self.streams = Columns(STREAMS)
        self.halves = Columns(HALVES, {"last_map": -1, "first_row": -1, "last_row": -1})
        self.addresses = array("q")
        self.events = array("I")
        self.frames = 0
        self.skipped = 0
        self.skipped_frame: int | None = None

    def endpoint(self, half: int) -> Endpoint:
        """The endpoint that sends this half of a stream."""
        at = 4 * (half >> 1) + 2 * (half & 1)
        high = self.addresses[at] & 0xFFFFFFFFFFFFFFFF
        low = self.addresses[at + 1] & 0xFFFFFFFFFFFFFFFF
        address: ipaddress.IPv4Address | ipaddress.IPv6Address
        if self.streams["kind"][half >> 1] == 4:
            address = ipaddress.IPv4Address(low)
        else:
            address = ipaddress.IPv6Address((high << 64) | low)
        return Endpoint(str(address), self.halves["port"][half])


def read(capture: Capture, progress: Progress | None = None) -> Wire:
    """Read every TCP segment of a capture.

    Args:
        capture: An open capture.
        progress: Called after each batch with the octets done and the octets in all.

    Returns:
        The columns, trimmed to what they hold.
    """
    engine = loops()
    wire = Wire(capture)
    batch = {
        name: array(code, bytes(array(code).itemsize * BATCH))
        for name, code in BATCH_COLUMNS.items()
    }
    most = engine.options.CONTROL_PER_SEGMENT * BATCH
    control_packet, control_at = array("I", bytes(4 * most)), array("q", bytes(8 * most))
    control_size = array("B", bytes(most))
    slots = array("i", [-1]) * (1 << 12)
    cache = array("I", bytes(16 * CACHE))
    seed = int.from_bytes(os.urandom(4), "big")
    data = capture.data
    rows, maps, halves = wire.segments, wire.mappings, wire.halves

    for packets in capture.packets(BATCH):
        n = packets.n
        controls = engine.options.walk(
            data, n, packets.tcp, packets.captured, packets.length,
            batch["head"], batch["marks"], batch["first_dss"], batch["second_dss"],
            batch["capable"], batch["digest"], control_packet, control_at, control_size,
        )  # fmt: skip
        slots = _locate(engine, wire, packets, batch, slots, seed)
        rows.reserve(n)
        maps.reserve(2 * n)
        rows.rows, maps.rows = engine.segments.append(
            data, n, rows.rows, maps.rows,
            packets.frame, packets.time, packets.tcp, packets.captured, packets.length,
            packets.ip_id, packets.ttl, packets.direction, packets.interface, packets.fragment,
            *batch.values(),
            *rows.of(*ROWS), *maps.of(*MAPS),
            *halves.of("last_map", "first_row", "last_row", "count"),
            *halves.of("mptcp", "first_dsn", "first_data_ack"),
            cache,
        )  # fmt: skip
        _keep_controls(wire, batch, controls, control_packet, control_at, control_size)
        for i in range(n) if 0 in batch["head"][:n] else ():
            if batch["head"][i] == 0:
                wire.skipped += 1
                wire.skipped_frame = wire.skipped_frame or packets.frame[i]
        if progress is not None:
            progress(packets.position, len(data))

    wire.frames = capture.frames
    for table in (rows, maps, wire.controls, wire.streams, halves):
        table.trim()
    _find_events(engine, wire)
    return wire


def _locate(
    engine: Any,
    wire: Wire,
    packets: Packets,
    batch: dict[str, array[int]],
    slots: array[int],
    seed: int,
) -> array[int]:
    """Run the stream loop, growing the stream tables and the hash table as it asks."""
    streams, halves = wire.streams, wire.halves
    done, n = 0, packets.n
    while True:
        done, streams.rows = engine.streams.locate(
            wire.capture.data, seed, done, n, packets.tcp, packets.length, packets.source,
            packets.destination, packets.family, packets.domain,
            batch["head"], batch["marks"], batch["capable"], batch["half"], batch["sequence"],
            slots, streams.rows, wire.addresses, halves["port"],
            *streams.of("kind", "realm", "hash"),
            *halves.of("base", "top", "seen", "isn", "isn_from"),
            *streams.of("key", "older", "standing"),
        )  # fmt: skip
        halves.rows = 2 * streams.rows
        if done >= n:
            return slots
        streams.reserve(max(256, streams.rows >> 1))
        halves.reserve(2 * streams.room - halves.rows)
        wire.addresses.frombytes(bytes(8 * (4 * streams.room - len(wire.addresses))))
        if streams.room * 2 >= len(slots):
            slots = array("i", [-1]) * (4 * len(slots))
            engine.streams.rehash(streams.rows, *streams.of("hash", "standing"), slots)


def _keep_controls(
    wire: Wire,
    batch: dict[str, array[int]],
    count: int,
    packet: array[int],
    at: array[int],
    size: array[int],
) -> None:
    """Keep the control options of a batch, without those of capture duplicates."""
    controls, row, flags = wire.controls, batch["row"], wire.segments["flags"]
    controls.reserve(count)
    into_row, into_offset, into_size = controls.of("row", "offset", "size")
    kept = controls.rows
    for i in range(count):
        r = row[packet[i]]
        if not flags[r] & 0x0200:
            into_row[kept] = r
            into_offset[kept] = at[i]
            into_size[kept] = size[i]
            kept += 1
    controls.rows = kept


def _find_events(engine: Any, wire: Wire) -> None:
    """Find the segments with FIN, SYN or RST of the streams that carry MPTCP."""
    rows = wire.segments
    arguments = (rows.rows, rows["half"], rows["flags"], wire.halves["mptcp"], 7)
    wire.events.frombytes(bytes(4 * engine.segments.marked(*arguments, array("I"))))
    engine.segments.marked(*arguments, wire.events)
