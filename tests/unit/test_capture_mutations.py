"""Damaged captures give a result or a clean error, the same under both engines."""

from __future__ import annotations

import struct

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from mptcp_oracle import engine
from mptcp_oracle.errors import CaptureError
from tests.common import captures as c
from tests.common.cuts import CUTS
from tests.common.machine import unavailable
from tests.common.reading import Reading, read


def originals() -> list[bytes]:
    """Files of every format, with frames of every kind."""
    comment = c.option(1, b"note") + c.option(2, struct.pack("<I", 1)) + c.option(0, b"")
    clock = c.option(9, b"\xa0") + c.option(14, struct.pack("<q", 7)) + c.option(0, b"")
    files = []
    for linktype in sorted({linktype for linktype, _ in CUTS.values()}):
        frames = c.records(*[frame for kind, frame in CUTS.values() if kind == linktype])
        files.append(c.pcap(frames, linktype=linktype, order=">", nano=True))
        files.append(c.pcap(frames, linktype=linktype, modified=True))
        files.append(c.pcapng(frames, linktype=linktype, order=">"))
        mixed = c.section() + c.interface(linktype, options=clock)
        for each in frames:
            mixed += c.enhanced(c.Record(octets=each.octets, options=comment))
            mixed += c.simple(each) + c.obsolete(each) + c.block(5, bytes(12))
        files.append(mixed + mixed)
    return files


ORIGINALS = originals()
INTERESTING = [0, 1, 3, 4, 5, 0x45, 0x60, 0x7F, 0x80, 0xFE, 0xFF]


@st.composite
def damaged(draw: st.DrawFn) -> bytes:
    """One of the originals with a few octets changed, taken out, put in, or cut off."""
    file = bytearray(draw(st.sampled_from(ORIGINALS)))
    for _ in range(draw(st.integers(1, 6))):
        at = draw(st.integers(0, len(file) - 1))
        how = draw(st.sampled_from(["octet", "word", "remove", "insert", "cut"]))
        if how == "octet":
            file[at] = draw(st.sampled_from(INTERESTING) | st.integers(0, 255))
        elif how == "word":
            file[at : at + 4] = draw(st.binary(min_size=4, max_size=4))
        elif how == "remove":
            del file[at : at + draw(st.integers(1, 40))]
        elif how == "insert":
            file[at:at] = draw(st.binary(min_size=1, max_size=40))
        else:
            del file[at + 1 :]
        if not file:
            break
    return bytes(file)


def outcome(file: bytes, kind: str, batch: int) -> Reading | str:
    """The reading under one engine, or the text of its error."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("MPTCP_ORACLE_ENGINE", kind)
        try:
            return read(file, batch=batch)
        except CaptureError as error:
            return str(error)


@given(file=damaged(), batch=st.sampled_from([1, 3, 64]))
@example(file=b"\n\r\r\n", batch=1)
def test_damage_reads_alike_under_both_engines(file: bytes, batch: int) -> None:
    """Segments, notes, comments and errors are equal, and nothing else is raised."""
    if not engine.available():
        unavailable("the compiled engine is not installed")
    assert outcome(file, "plain", batch) == outcome(file, "compiled", batch)


@given(file=damaged())
def test_damage_never_invents_octets(file: bytes) -> None:
    """Each segment found lies inside the file, with at least its fixed header, in frame order."""
    reading = outcome(file, "plain", 64)
    if isinstance(reading, str):
        return
    numbers = [each.frame for each in reading.segments]
    assert numbers == sorted(set(numbers))
    assert all(1 <= number <= reading.frames for number in numbers)
    for each in reading.segments:
        assert 20 <= len(each.octets) <= each.length
        assert each.octets in file
        assert each.interface < len(reading.interfaces)
    assert all(count > 0 for count, _ in reading.notes.values())
