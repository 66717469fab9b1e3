"""Captures with damaged octets: fields set to what they should not be, checksums at will.

A damaged frame is the frame's own packet with one thing in it changed. Afterwards its lengths and
its IPv4 header are right again, and its TCP checksum and the DSS checksum in it (RFC 8684 section
3.3.1) are as the caller wants them: updated by what changed (RFC 1624), or wrong for certain. The
labels of damaged frames are gone, so such a capture has no truth; what it is good for is to show
that a reader survives it, and believes no more than it may.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from mptcp_oracle.generators.emit import packets

from mptcp_oracle.constants import (
    DSS_ACK,
    DSS_ACK8,
    DSS_DSN8,
    DSS_MAP,
    KIND_END,
    KIND_MPTCP,
    KIND_NOP,
    Subtype,
)
from mptcp_oracle.model.capture import Capture, Frame, Layout, Noise
from mptcp_oracle.model.choices import Choices
from mptcp_oracle.model.trace import Sent

__all__ = ["CHANGES", "damaged"]

MOST = 0xFFFF
#: By how much numbers move.
STEPS = (1, -1, 4, -7, 100, 1448, 1 << 16, 1 << 31, -(1 << 31), 1 << 40, 1 << 62, 1 << 63)
EXTREMES = (0, 1, 2, 3, 4, 0x10, 0x1E, 0x7F, 0x80, 0xFE, 0xFF)


class Packet:
    """An IP packet with a TCP segment while it is being damaged.

    Attributes:
        octets: The packet. tcp, payload: Where its TCP header and its payload begin.
        options: Offset and size of each of its MPTCP options.
        numbers: Offset and size of each number in a DSS: DATA_ACK, DSN, SSN, Data-Level Length.
        check: Offset of a DSS checksum, or ``None``.
    """

    def __init__(self, octets: bytes, segment: Sent) -> None:
        self.octets = bytearray(octets)
        self.tcp = 20 if octets[0] >> 4 == 4 else 40
        self.payload = self.tcp + (octets[self.tcp + 12] >> 4) * 4
        self.options = list(self._walk())
        self.numbers: list[tuple[int, int]] = []
        self.check: int | None = None
        self._covered: list[tuple[int, int, int]] = []  # from, until, what is even in the sum
        self._delta = 0
        for at, size in self.options:
            self._understand(at, size)
        mapping = segment.mapping
        if self.check is not None and mapping is not None:
            begin = self.payload + mapping.sequence - segment.sequence
            self._covered.append((begin, begin + mapping.octets, begin))

    def _walk(self) -> list[tuple[int, int]]:
        found, at = [], self.tcp + 20
        while at + 1 < self.payload and self.octets[at] != KIND_END:
            size = 1 if self.octets[at] == KIND_NOP else self.octets[at + 1]
            if size < 1 or at + size > self.payload:
                break
            if self.octets[at] == KIND_MPTCP and size > 2:
                found.append((at, size))
            at += size
        return found

    def _understand(self, at: int, size: int) -> None:
        """Note the numbers and the checksum of a DSS, or of an MP_CAPABLE with data."""
        subtype = self.octets[at + 2] >> 4
        if subtype == Subtype.MP_CAPABLE and size == 24:
            self.check = at + 22
            self._covered.append((at + 20, at + 22, at))
        if subtype != Subtype.DSS or size < 4:
            return
        flags, spot = self.octets[at + 3], at + 4
        numbers: list[tuple[int, int]] = []
        if flags & DSS_ACK:
            width = 8 if flags & DSS_ACK8 else 4
            numbers.append((spot, width))
            spot += width
        if flags & DSS_MAP:
            width = 8 if flags & DSS_DSN8 else 4
            numbers += [(spot, width), (spot + width, 4), (spot + width + 4, 2)]
            end = spot + width + 6
            if end + 2 == at + size and self.check is None:
                self.check = end
                self._covered.append((spot, end, at))
        # Its flags may announce more than a malformed one has.
        self.numbers += [each for each in numbers if sum(each) <= at + size]

    def put(self, at: int, value: bytes) -> None:
        """Write octets, and remember what that does to the DSS checksum."""
        for place, new in enumerate(value, start=at):
            for low, high, even in self._covered:
                if low <= place < high:
                    weight = 1 if (place - even) & 1 else 256
                    self._delta += weight * (new - self.octets[place])
            self.octets[place] = new

    def cut(self, octets: int) -> None:
        """Leave so much of the payload."""
        end = self.payload + octets
        self.put(end, bytes(len(self.octets) - end))
        del self.octets[end:]

    def seal(self, tcp_checksum: bool, dss_checksum: bool) -> bytes:
        """The packet with right lengths, and with checksums right or wrong."""
        octets, tcp = self.octets, self.tcp
        if self.check is not None:
            old = int.from_bytes(octets[self.check : self.check + 2], "big")
            new = (old - self._delta) % MOST if dss_checksum else (old - self._delta + 1) % MOST
            octets[self.check : self.check + 2] = new.to_bytes(2, "big")
        if tcp == 20:
            octets[2:4] = len(octets).to_bytes(2, "big")
            octets[10:12] = bytes(2)
            octets[10:12] = (-_sum(octets[:20]) % MOST).to_bytes(2, "big")
            ends = octets[12:20]
        else:
            octets[4:6] = (len(octets) - 40).to_bytes(2, "big")
            ends = octets[8:40]
        octets[tcp + 16 : tcp + 18] = bytes(2)
        total = _sum(ends) + 6 + len(octets) - tcp + _sum(octets[tcp:])
        shown = -total % MOST if tcp_checksum else (-total + 1) % MOST
        octets[tcp + 16 : tcp + 18] = shown.to_bytes(2, "big")
        return bytes(octets)


def _sum(octets: bytes | bytearray) -> int:
    """Sum of 16-bit words modulo 65535, an odd last octet padded."""
    total = int.from_bytes(octets, "big") % MOST
    return total << 8 if len(octets) & 1 else total


def _number(packet: Packet, choices: Choices) -> None:
    """A number of a DSS, moved."""
    if packet.numbers:
        _moved(packet, choices, *choices.pick(packet.numbers))


def _sequence(packet: Packet, choices: Choices) -> None:
    """The sequence or the acknowledgment number, moved."""
    _moved(packet, choices, packet.tcp + choices.pick((4, 8)), 4)


def _moved(packet: Packet, choices: Choices, at: int, size: int) -> None:
    old = int.from_bytes(packet.octets[at : at + size], "big")
    new = (old + choices.pick(STEPS)) % (1 << 8 * size)
    packet.put(at, new.to_bytes(size, "big"))


def _option_octet(packet: Packet, choices: Choices) -> None:
    """Any octet of an MPTCP option but its kind: length, subtype, flags, what follows."""
    if packet.options:
        at, size = choices.pick(packet.options)
        spot = at + choices.integer(1, size - 1)
        packet.put(spot, bytes([choices.pick(EXTREMES) ^ choices.pick((0, 1, 0x10))]))


def _flags(packet: Packet, choices: Choices) -> None:
    """A TCP flag turned over."""
    at = packet.tcp + 13
    packet.put(at, bytes([packet.octets[at] ^ 1 << choices.integer(0, 4)]))


def _window(packet: Packet, choices: Choices) -> None:
    """A window shut, or as open as can be."""
    packet.put(packet.tcp + 14, choices.pick((b"\0\0", b"\xff\xff")))


def _header_length(packet: Packet, choices: Choices) -> None:
    """A data offset that options or payload do not fit."""
    packet.put(packet.tcp + 12, bytes([choices.integer(0, 15) << 4]))


def _payload_octet(packet: Packet, choices: Choices) -> None:
    """An octet of payload: for certain another one."""
    octets = len(packet.octets) - packet.payload
    if octets > 0:
        at = packet.payload + choices.integer(0, octets - 1)
        packet.put(at, bytes([packet.octets[at] ^ choices.integer(1, 255)]))


def _less_payload(packet: Packet, choices: Choices) -> None:
    """Payload that ends sooner."""
    octets = len(packet.octets) - packet.payload
    if octets > 0:
        packet.cut(choices.integer(0, octets - 1))


CHANGES: dict[str, Callable[[Packet, Choices], None]] = {
    "payload octet": _payload_octet,
    "DSS number": _number,
    "sequence number": _sequence,
    "option octet": _option_octet,
    "less payload": _less_payload,
    "flag": _flags,
    "window": _window,
    "header length": _header_length,
}
"""What can be done to a packet, by name."""


def damaged(
    capture: Capture,
    choices: Choices,
    *,
    tcp_checksums: bool = True,
    dss_checksums: bool = True,
    most: int = 4,
) -> Capture:
    """A capture with up to ``most`` damaged frames, each damaged at least once.

    Args:
        capture: The capture; a tunnel around it is taken away.
        choices: Where the damage comes from.
        tcp_checksums: Whether damaged frames have a right TCP checksum; else a wrong one.
        dss_checksums: Whether a DSS checksum in a damaged frame is right; else it is wrong. One
            in another frame that maps the damaged octets is left as it is.
        most: At most so many changes are made; at least one is if there is a frame.
    """
    wanted = capture.layout
    frames = [at for at, frame in enumerate(capture.frames) if isinstance(frame, Frame)]
    if not frames:
        return capture
    plain = Layout(link="raw", timestamps=wanted.timestamps, timestamp_first=wanted.timestamp_first)
    result: list[Frame | Noise] = list(capture.frames)
    octets = [each for _, each, _ in packets(replace(capture, layout=plain))]
    done: dict[int, Packet] = {}
    for _ in range(choices.integer(1, most)):
        at = choices.pick(frames)
        frame = capture.frames[at]
        assert isinstance(frame, Frame)
        packet = done.setdefault(at, Packet(octets[at], frame.segment))
        choices.pick(tuple(CHANGES.values()))(packet, choices)
    for at, packet in done.items():
        sealed = packet.seal(tcp_checksums, dss_checksums)
        before = capture.frames[at]
        result[at] = Noise(packet=sealed, time=before.time, interface=before.interface)
    return replace(capture, frames=tuple(result), layout=replace(wanted, tunnel=""))
