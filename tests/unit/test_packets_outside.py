"""What another dissector finds in the same files: frame numbers, times, flows, lengths."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from tests.common import captures as c
from tests.common.cuts import CUTS
from tests.common.machine import tool
from tests.common.reading import read

FIELDS = ("frame.number", "frame.time_epoch", "ip.src", "ipv6.src", "tcp.len", "tcp.seq_raw")
ORDINARY = sorted(set(CUTS) - {"jumbo", "route", "fragment"})
"""Left out: a jumbo length that the frame is too short for, and what tshark sees no TCP in."""


def tshark(file: Path) -> list[dict[str, str]]:
    """The innermost values of the fields, for each frame in which tshark sees TCP."""
    command = [tool("tshark"), "-r", str(file), "-Y", "tcp", "-T", "fields", "-E", "occurrence=l"]
    for field in FIELDS:
        command += ["-e", field]
    command += ["-o", "tcp.desegment_tcp_streams:false"]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    rows = (line.split("\t") for line in done.stdout.splitlines())
    return [dict(zip(FIELDS, row, strict=True)) for row in rows]


@pytest.mark.parametrize("linktype", sorted({CUTS[name][0] for name in ORDINARY}))
@pytest.mark.parametrize("form", ["pcap", "pcapng"])
def test_tshark_sees_the_same_segments(linktype: int, form: str, tmp_path: Path) -> None:
    """Numbers, times, payload lengths and source addresses are those that tshark prints."""
    octets = [frame for kind, frame in (CUTS[name] for name in ORDINARY) if kind == linktype]
    frames = c.records(*octets)
    file = tmp_path / f"x.{form}"
    file.write_bytes((c.pcap if form == "pcap" else c.pcapng)(frames, linktype=linktype))
    theirs = tshark(file)
    ours = read(file).segments
    assert len(ours) == len(octets)
    for segment, row in zip(ours, theirs, strict=True):
        seconds, _, fraction = row["frame.time_epoch"].partition(".")
        assert segment.frame == int(row["frame.number"])
        assert segment.time == int(seconds) * 10**9 + int(fraction.ljust(9, "0"))
        assert segment.length - (segment.octets[12] >> 4) * 4 == int(row["tcp.len"])
        assert int.from_bytes(segment.octets[4:8], "big") == int(row["tcp.seq_raw"])
        assert str(segment.source) in {row["ip.src"], row["ipv6.src"]}


def test_tshark_numbers_frames_alike(tmp_path: Path) -> None:
    """Journal entries and custom blocks take a frame number, other blocks do not."""
    packet = c.enhanced(c.Record(octets=CUTS["ethernet"][1]))
    file = tmp_path / "x.pcapng"
    blocks = [packet, c.block(9, b"__REALTIME_TIMESTAMP=1\nMESSAGE=hi\n"), packet]
    blocks += [c.block(0xBAD, bytes(8)), packet, c.block(0x777, bytes(8)), packet]
    file.write_bytes(c.section() + c.interface() + b"".join(blocks))
    theirs = [int(row["frame.number"]) for row in tshark(file)]
    assert [each.frame for each in read(file).segments] == theirs == [1, 3, 5, 6]
