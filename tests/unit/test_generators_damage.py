"""Damaged captures: the checksums of damaged frames are right or wrong, as they were asked for."""

from __future__ import annotations

import struct
from collections import Counter
from ipaddress import ip_address

import pytest
from mptcp_oracle.generators.damage import CHANGES, Packet, damaged
from mptcp_oracle.generators.emit import emit

from mptcp_oracle import crypto
from mptcp_oracle.model.capture import Capture, Layout, Noise
from mptcp_oracle.model.choices import Counted
from mptcp_oracle.options import Dss
from mptcp_oracle.wire.mptcp import decode_option, walk
from tests.common.hostile import examine
from tests.common.plain_captures import capture_of
from tests.common.script import story


def capture(version: int = 1) -> Capture:
    """A small capture with DSS checksums."""
    return capture_of(story(version, checksum=True), Layout(timestamps=True))


def tcp_of(packet: bytes) -> tuple[bytes, bytes]:
    """Pseudo-header addresses and TCP segment of an IP packet."""
    if packet[0] >> 4 == 4:
        assert struct.unpack_from("!H", packet, 2)[0] == len(packet)
        assert crypto.ones_sum(packet[:20]) in (0, 0xFFFF)
        return packet[12:20], packet[20:]
    assert struct.unpack_from("!H", packet, 4)[0] == len(packet) - 40
    return packet[8:40], packet[40:]


def tcp_checksum_holds(packet: bytes) -> bool:
    """Whether the TCP checksum of an IP packet is right."""
    ends, segment = tcp_of(packet)
    pseudo = ends + struct.pack("!II", len(segment), 6)
    return crypto.ones_sum(pseudo + segment) in (0, 0xFFFF)


@pytest.mark.parametrize("right", [True, False])
def test_tcp_checksums_are_as_asked_for(right: bool) -> None:
    """Every damaged frame has a right TCP checksum, or every one a wrong one."""
    whole = capture()
    packets = [
        frame.packet
        for number in range(150)
        for frame in damaged(whole, Counted(3, str(number)), tcp_checksums=right).frames
        if isinstance(frame, Noise)
    ]
    assert len(packets) > 200
    assert {tcp_checksum_holds(packet) for packet in packets} == {right}


@pytest.mark.parametrize("right", [True, False])
def test_dss_checksums_are_as_asked_for(right: bool) -> None:
    """Payload, DSN and SSN of a mapping change together with its checksum, or it is wrong."""
    whole = capture()
    base = {
        str(end.address): whole.trace.connections[0].hosts[role].base
        for flow in whole.trace.subflows
        for role, end in enumerate(flow.ends)
    }
    held = Counter[bool]()
    for number in range(900):
        choices = Counted(4, str(number))
        changed = damaged(whole, choices, dss_checksums=right, most=1)
        for frame in changed.frames:
            if not isinstance(frame, Noise):
                continue
            ends, segment = tcp_of(frame.packet)
            size = (segment[12] >> 4) * 4
            if size < 20 or size > len(segment):
                continue
            for option in walk(segment[20:size]):
                value = decode_option(option.raw, syn=False, ack=True, payload=1, version=None)
                payload = segment[size:]
                if (
                    isinstance(value, Dss)
                    and value.checksum is not None
                    and value.dsn is not None
                    and value.ssn is not None
                    and value.dll == len(payload) + value.data_fin > 0
                ):
                    origin = base[str(ip_address(ends[: len(ends) // 2]))]
                    dsn = value.dsn
                    if value.dsn_size == 4:
                        dsn |= origin >> 32 << 32
                    held[
                        crypto.dss_checksum_holds(
                            dsn, value.ssn, value.dll, value.checksum, payload
                        )
                    ] += 1
    assert held[right] > 40
    assert held[right] >= 20 * held[not right], held


def test_every_change_is_made_and_changes_octets() -> None:
    """No entry of the table is dead, and nearly every damage shows in the file."""
    whole = capture()
    before = emit(whole)
    different = sum(
        emit(damaged(whole, Counted(5, str(number)))) != before for number in range(100)
    )
    assert different > 95
    assert len(CHANGES) >= 8


def test_damaged_captures_are_read_in_both_engines() -> None:
    """Damaged captures give a result like any octets, and none is refused."""
    for version in (0, 1):
        for number in range(20):
            octets = emit(damaged(capture(version), Counted(6, str(number)), most=8))
            for kind in ("plain", ""):
                assert not examine(octets, kind, derived=False).error


def test_the_same_choices_make_the_same_damage() -> None:
    """A damaged capture is a function of capture and choices."""
    whole = capture()
    assert emit(damaged(whole, Counted(1))) == emit(damaged(whole, Counted(1)))
    empty = Capture(trace=whole.trace, frames=(), layout=whole.layout)
    assert damaged(empty, Counted(1)) == empty


def test_a_dss_whose_flags_announce_too_much_has_only_what_is_there() -> None:
    """Numbers beyond the octets of a malformed option are none that could be changed."""
    whole = capture()
    segment = next(each for each in whole.trace.segments if each.options and not each.payload)
    for size in range(4, 25, 4):
        option = bytes((30, size, 0x20, 0x0F, *range(size - 4)))
        head = bytearray(40)
        head[0], head[32] = 0x45, (20 + size) // 4 << 4
        packet = Packet(bytes(head) + option, segment)
        assert all(at + octets <= 40 + size for at, octets in packet.numbers)
        assert len(packet.numbers) == sum(size >= 4 + need for need in (8, 16, 20, 22))
