"""What single segments show of TCP itself: each case written octet by octet."""

from __future__ import annotations

import pytest

from mptcp_oracle.analysis.integrity import Integrity
from mptcp_oracle.analysis.trace import analyze
from tests.common.conversation import Conversation
from tests.common.tape import ACK, SYN

#: Octets before the TCP header of a frame of the tape.
BEFORE = {4: 34, 6: 54}
ADDRESSES = {4: ("10.0.0.1", "10.0.0.2"), 6: ("fd00::1", "fd00::2")}
URG = 0x20


def naive(octets: bytes) -> int:
    """The ones' complement sum of 16-bit words, as RFC 1071 has it."""
    total = 0
    for at in range(0, len(octets), 2):
        total += int.from_bytes(octets[at : at + 2].ljust(2, b"\0"), "big")
        total = (total & 0xFFFF) + (total >> 16)
    return total


def changed(talk: Conversation, at: int, octets: bytes, frame: int = -1) -> None:
    """Put other octets into a frame of the tape."""
    time, held = talk.tape.frames[frame]
    talk.tape.frames[frame] = (time, held[:at] + octets + held[at + len(octets) :])


def pseudo(frame: bytes, version: int) -> int:
    """The sum of the pseudo-header of a frame's segment."""
    addresses = frame[26:34] if version == 4 else frame[22:54]
    size = len(frame) - BEFORE[version]
    return naive(addresses + bytes([0, 6]) + size.to_bytes(2, "big"))


def grade(talk: Conversation, *, snap_length: int = 262_144, row: int = -1) -> tuple[bool, bool]:
    """Whether a segment is damaged, and whether it is intact."""
    with analyze(talk.tape.pcap(snap_length=snap_length)) as trace:
        row += trace.wire.segments.rows if row < 0 else 0
        found = Integrity(trace)
        assert found.damaged(row) == Integrity(trace).damaged(row)
        return found.damaged(row), found.intact(row)


@pytest.mark.parametrize("version", [4, 6])
@pytest.mark.parametrize("size", [0, 1, 2, 5, 40])
def test_checksums(version: int, size: int) -> None:
    """Right as it is; wrong if one octet of header, option or payload is another."""
    talk = Conversation()
    flow = talk.opened(addresses=ADDRESSES[version])
    flow.data(0, bytes(range(7, 7 + size))) if size else flow.ack(1)
    assert grade(talk) == (False, True)
    frame = talk.tape.frames[-1][1]
    tcp = BEFORE[version]
    for at in (tcp + 5, tcp + 15, tcp + 19, tcp + 31, len(frame) - 1):
        changed(talk, at, bytes([frame[at] ^ 1]))
        assert grade(talk) == (True, False)
        changed(talk, at, frame[at : at + 1])
    assert grade(talk, row=0) == (False, True)


@pytest.mark.parametrize("version", [4, 6])
def test_checksums_to_be_filled_in(version: int) -> None:
    """The pseudo-header's sum alone, its complement or nothing: the interface has yet to sum."""
    talk = Conversation()
    talk.opened(addresses=ADDRESSES[version]).data(0, b"payload")
    part, field = pseudo(talk.tape.frames[-1][1], version), BEFORE[version] + 16
    for value in (0, part, part ^ 0xFFFF):
        changed(talk, field, value.to_bytes(2, "big"))
        assert grade(talk) == (False, False)
    for value in (1, part + 1, part - 1, (part ^ 0xFFFF) + 1):
        changed(talk, field, value.to_bytes(2, "big"))
        assert grade(talk) == (True, False)


def test_pseudo_header_that_sums_to_nothing() -> None:
    """A sum of all ones is a filled-in field as well: 0 is how some write it."""
    talk = Conversation()
    flow = talk.opened()
    frame = flow.data(0, b"payload")
    rest = 0xFFFF - pseudo(talk.tape.frames[frame - 1][1], 4)
    high, low = divmod(0x0A00 + rest, 1 << 16)
    assert not high
    talk = Conversation()
    address = f"{low >> 8}.{low & 255}.0.1"
    talk.opened(addresses=(address, "10.0.0.2")).data(0, b"payload")
    assert pseudo(talk.tape.frames[-1][1], 4) == 0xFFFF
    for value in (0xFFFF, 0):
        changed(talk, BEFORE[4] + 16, value.to_bytes(2, "big"))
        assert grade(talk) == (False, False)


@pytest.mark.parametrize("cut", [1, 7, 8])
def test_parts_of_segments(cut: int) -> None:
    """Of a segment that was cut nothing is known."""
    talk = Conversation()
    talk.opened().data(0, b"payload")
    length = len(talk.tape.frames[-1][1])
    assert grade(talk, snap_length=length) == (False, True)
    changed(talk, length - cut - 1, b"\xaa")
    assert grade(talk) == (True, False)
    assert grade(talk, snap_length=length - cut) == (False, False)


@pytest.mark.parametrize("pointer", [0, 1, 0x1234])
def test_urgent(pointer: int) -> None:
    """The pointer counts with flag URG alone."""
    talk = Conversation()
    flow = talk.opened()
    flow.data(0, b"payload")
    changed(talk, BEFORE[4] + 18, pointer.to_bytes(2, "big"))
    flow.data(0, b"payload")
    changed(talk, BEFORE[4] + 13, bytes([ACK | URG]))
    changed(talk, BEFORE[4] + 18, pointer.to_bytes(2, "big"))
    with analyze(talk.tape.pcap()) as trace:
        last = trace.wire.segments.rows - 1
        assert Integrity(trace).urgent(last - 1) is None
        assert Integrity(trace).urgent(last) == pointer


def test_octets_of_several_segments() -> None:
    """What the first of the given segments have, and nothing unless all is there."""
    talk = Conversation()
    flow = talk.opened()
    first = flow.data(0, b"abcdef")
    flow.data(0, b"ghij")
    flow.data(0, b"CDEFGH", dsn=3, seq=3)
    with analyze(talk.tape.pcap()) as trace:
        found = Integrity(trace)
        rows = [first - 1, first, first + 1]
        assert found.octets(rows, 1, 11) == b"abcdefghij"
        assert found.octets(rows[::-1], 1, 11) == b"abCDEFGHij"
        assert found.octets([rows[2], rows[0]], 1, 9) == b"abCDEFGH"
        assert found.octets([rows[0], rows[2]], 1, 9) == b"abcdefGH"
        assert found.octets(rows[:2], 4, 8) == b"defg"
        assert found.octets([rows[1]], 7, 11) == b"ghij"
        for some, start, end in ((rows, 0, 11), (rows, 1, 12), (rows[:1], 1, 8), (rows[2:], 2, 9),
                                 ([rows[0]], 7, 9), ([], 1, 2)):  # fmt: skip
            assert found.octets(some, start, end) is None
        assert found.octets([], 5, 5) == b""


def test_octets_of_long_segments() -> None:
    """Segments that lie end to end leave nothing between them, however large the numbers."""
    talk = Conversation()
    flow = talk.opened()
    rows = [flow.data(0, bytes([at] * 500)) - 1 for at in range(4)]
    with analyze(talk.tape.pcap()) as trace:
        found = Integrity(trace).octets(rows[::-1], 251, 1_801)
    assert found == bytes([0] * 250 + [1] * 500 + [2] * 500 + [3] * 300)


def test_octets_that_were_cut() -> None:
    """Octets that a snap length took are not there."""
    talk = Conversation()
    flow = talk.opened()
    frame = flow.data(0, b"abcdef")
    length = len(talk.tape.frames[-1][1])
    with analyze(talk.tape.pcap(snap_length=length - 2)) as trace:
        assert Integrity(trace).octets([frame - 1], 1, 5) == b"abcd"
        assert Integrity(trace).octets([frame - 1], 1, 6) is None


@pytest.mark.parametrize(
    ("first", "second", "expected"),
    [
        (b"\x01\x03\x03\x07", b"\x01\x03\x03\x02", [7, 2]),
        (b"\x03\x03\x0f\x00", b"\x03\x03\x0e\x00", [14, 14]),
        (b"\x01\x03\x03\x00", b"\x01\x03\x03\x05", [0, 5]),
        (b"", b"\x01\x03\x03\x05", [0, 0]),
        (b"\x01\x03\x03\x05", b"", [0, 0]),
        (b"\x03\x04\x05\x05", b"\x01\x03\x03\x05", [0, 0]),
        (b"\x03\x02\x01\x01", b"\x01\x03\x03\x05", [0, 0]),
    ],
)
def test_window_scales(first: bytes, second: bytes, expected: list[int]) -> None:
    """Of both SYNs, or of none."""
    talk = Conversation()
    flow = talk.flow()
    flow.segment(0, SYN, flow.capable("syn"), first, seq=0)
    flow.segment(1, SYN | ACK, flow.capable("synack"), second, seq=0)
    flow.third()
    flow.data(0, b"payload")
    with analyze(talk.tape.pcap()) as trace:
        found = Integrity(trace)
        assert [found.window_scale(half) for half in (0, 1)] == expected
        assert [found.window_scale(half) for half in (0, 1)] == expected


@pytest.mark.parametrize("missing", [0, 1])
def test_window_scale_without_both_syns(missing: int) -> None:
    """Without one of the SYNs nothing is known of either scale."""
    talk = Conversation()
    flow = talk.flow()
    scale = b"\x01\x03\x03\x07"
    if missing == 0:
        with talk.lost():
            flow.segment(0, SYN, flow.capable("syn"), scale, seq=0)
        flow.segment(1, SYN | ACK, flow.capable("synack"), scale, seq=0)
    else:
        flow.segment(0, SYN, flow.capable("syn"), scale, seq=0)
        with talk.lost():
            flow.segment(1, SYN | ACK, flow.capable("synack"), scale, seq=0)
    flow.third()
    flow.data(0, b"payload")
    with analyze(talk.tape.pcap()) as trace:
        assert [Integrity(trace).window_scale(half) for half in (0, 1)] == [None, None]


def test_window_scale_of_a_cut_syn() -> None:
    """A SYN whose options were cut may have had one."""
    talk = Conversation()
    flow = talk.flow()
    flow.segment(0, SYN, flow.capable("syn"), bytes([1] * 16), b"\x01\x03\x03\x07", seq=0)
    flow.segment(1, SYN | ACK, flow.capable("synack"), b"\x01\x03\x03\x07", seq=0)
    flow.third()
    length = len(talk.tape.frames[0][1])
    for less, expected in ((0, [7, 7]), (4, [None, None])):
        with analyze(talk.tape.pcap(snap_length=length - less)) as trace:
            assert [Integrity(trace).window_scale(half) for half in (0, 1)] == expected
