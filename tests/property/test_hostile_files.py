"""Hostile files one by one: what each of them has to give, not only that nothing breaks."""

from __future__ import annotations

import fcntl
import gzip
import os
import signal
import struct
import subprocess
import sys
import termios
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from mptcp_oracle.analysis.trace import analyze
from mptcp_oracle.errors import CaptureError
from mptcp_oracle.wire.capture import open_capture
from tests.common import captures as c
from tests.common import floods
from tests.common.bases import FRAMES, beginning
from tests.common.conversation import Conversation
from tests.common.files import LENGTHS
from tests.common.frames import locate
from tests.common.hostile import examine
from tests.common.tape import Tape

KERNEL = Path(__file__).parents[2] / "corpus" / "kernel"
ENGINES = pytest.mark.usefixtures("each_engine")


def handshake() -> list[c.Record]:
    """A small conversation as raw IP packets."""
    talk = Conversation(Tape("raw"))
    flow = talk.opened()
    flow.data(0, b"hello")
    return [c.Record(octets=octets, time=time) for time, octets in talk.tape.frames]


@pytest.mark.parametrize(
    "octets",
    [b"", b"\n", b"GET / HTTP/1.1\r\n\r\n", "Ein Text über nichts.\n".encode() * 100, bytes(5_000)],
    ids=["empty", "newline", "request", "text", "zeros"],
)
def test_what_is_no_capture_is_refused_by_name(octets: bytes, tmp_path: Path) -> None:
    """An empty file, a text or zeros give one error that names the file, and no trace."""
    path = tmp_path / "no-capture.pcapng"
    path.write_bytes(octets)
    with pytest.raises(CaptureError) as caught:
        analyze(path)
    assert "no-capture.pcapng" in str(caught.value)


@ENGINES
@pytest.mark.parametrize("length", LENGTHS)
@pytest.mark.parametrize("place", ["head", "tail", "captured"])
def test_a_hostile_length_of_a_block_costs_no_frame_before_it(place: str, length: int) -> None:
    """Whatever a pcapng length says, all frames before that block are there, and it is noted."""
    records = handshake()
    before = c.section() + c.interface(c.RAW) + b"".join(map(c.enhanced, records))
    block = bytearray(c.enhanced(records[-1]))
    at = {"head": 4, "tail": len(block) - 4, "captured": 20}[place]
    if struct.unpack_from("<I", block, at)[0] == length:
        pytest.skip("this is the right length")
    struct.pack_into("<I", block, at, length)
    with analyze(before + bytes(block) + b"".join(map(c.enhanced, records))) as trace:
        assert trace.wire.frames >= len(records)
        assert len(trace.connections) == 1
        segments = trace.wire.segments
        assert list(segments["frame"][: len(records)]) == list(range(1, len(records) + 1))
        shorter = place == "captured" and length < len(records[-1].octets)
        assert trace.notes or shorter


@ENGINES
@pytest.mark.parametrize("tags", [1, 2, 3, 100, 300])
def test_vlan_stacks_end_somewhere(tags: int) -> None:
    """A few tags are looked through; hundreds are noted, and the frames around them are read."""
    (syn, *rest) = [each.octets for each in handshake()]
    frames = [c.ethernet(syn, tags=[(0x8100, 5)] * tags), *map(c.ethernet, rest)]
    with analyze(c.pcap(c.records(*frames))) as trace:
        noted = {note.code: note.frame for note in trace.notes}
        assert trace.wire.segments.rows == len(frames) - bool(noted)
        assert (list(noted.values()) == [1]) == (tags >= 100)


@pytest.mark.parametrize("layers", [1, 5, 100, 1_000])
def test_gzip_bombs_meet_the_limit(layers: int) -> None:
    """A member that unpacks to a thousand times its size stops at the limit, with a clean error."""
    octets = gzip.compress(c.pcap(handshake(), linktype=c.RAW), mtime=0)
    octets += gzip.compress(bytes(1 << 20), 9, mtime=0) * layers
    if layers == 1:
        with open_capture(octets, spool_limit=4 << 20) as capture:
            assert capture.size > 1 << 20
    else:
        with pytest.raises(CaptureError) as caught:
            open_capture(octets, spool_limit=4 << 20).close()
        assert caught.value.hint


@pytest.mark.parametrize("slug", ["checksums-two-paths", "checksums-offload", "add-address"])
def test_anonymised_captures_accuse_nobody(slug: str) -> None:
    """Rewritten addresses and zeroed payload break every checksum: a note says so, no mismatch."""
    (path,) = KERNEL.glob(f"{slug}.pcap*")
    base = beginning(slug, path.read_bytes(), 4 * FRAMES)
    records = [anonymised(base.linktype, each) for each in base.records]
    with analyze(c.pcap(records, linktype=base.linktype, nano=True)) as trace:
        (connection,) = trace.connections
        assert [found.what for found in connection.mismatches] == []
        _, wrong, _ = connection.checksums
        codes = {note.code for note in connection.notes}
        assert ("anonymised" in codes) == (wrong > 1)
        assert "wrong-checksum" not in codes
        assert all(flow.join is None or flow.join.result == "valid" for flow in connection.subflows)


def anonymised(linktype: int, record: c.Record) -> c.Record:
    """The record with other addresses and no payload, as anonymisers leave it."""
    place = locate(linktype, record.octets)
    if place is None:
        return record
    frame = bytearray(record.octets)
    ends = (
        range(place.ip + 12, place.ip + 20) if place.family == 4 else range(place.ip + 8, place.tcp)
    )
    for at in ends:
        frame[at] ^= 0x5A
    frame[place.payload :] = bytes(len(frame) - place.payload)
    return replace(record, octets=bytes(frame))


@ENGINES
def test_a_capture_cut_anywhere_keeps_what_is_before_the_cut(each_engine: str) -> None:
    """Each cut of a file gives as many segments as whole records, in order, and says it is cut."""
    records = handshake()
    octets = c.pcap(records, linktype=c.RAW)
    ends = [24]
    for each in records:
        ends.append(ends[-1] + 16 + len(each.octets))
    for cut in range(24, len(octets)):
        whole = sum(end <= cut for end in ends) - 1
        with analyze(octets[:cut]) as trace:
            assert trace.wire.segments.rows >= whole
            assert bool(trace.notes) == (cut not in ends)
    assert examine(octets[:24], each_engine).connections == 0


# ------------------------------------------------------------------ Ctrl-C


def interrupted(
    arguments: list[str], ready: Callable[[int], bool], stdin: int | None = None
) -> tuple[int, str, float]:
    """Run the command and press Ctrl-C as soon as it is ready.

    Args:
        arguments: The command's.
        ready: Whether it is in the middle of it, by its process number.
        stdin: A descriptor.

    Returns:
        Exit status, standard error, and seconds from Ctrl-C to the end.
    """
    process = subprocess.Popen(
        [sys.executable, "-m", "mptcp_oracle.cli", *arguments],
        stdin=stdin,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.default_int_handler),
    )
    with process:
        deadline = time.monotonic() + 60
        while not ready(process.pid):
            assert process.poll() is None, process.communicate()[1]
            assert time.monotonic() < deadline, "it never got ready"
            time.sleep(0.02)
        process.send_signal(signal.SIGINT)
        began = time.monotonic()
        _, errors = process.communicate(timeout=60)
        return process.returncode, errors, time.monotonic() - began


def used(pid: int) -> float:
    """Seconds of processor time of a process so far."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def waiting(pipe: int) -> int:
    """Octets in a pipe that nobody has read yet."""
    return int.from_bytes(fcntl.ioctl(pipe, termios.FIONREAD, bytes(4)), sys.byteorder)


@pytest.mark.slow
@pytest.mark.parametrize("output", [[], ["--json"]], ids=["text", "json"])
def test_an_interrupt_ends_an_analysis_at_once(output: list[str], tmp_path: Path) -> None:
    """Ctrl-C in the middle of a large capture: status 130, no traceback, within a few seconds."""
    path = tmp_path / "large.pcap"
    path.write_bytes(floods.connections(60_000))
    status, errors, seconds = interrupted(
        ["analyze", *output, str(path)], lambda pid: used(pid) > 1.2
    )
    assert status == 130
    assert "Traceback" not in errors
    assert seconds < 10


def test_an_interrupt_ends_the_wait_for_a_stream() -> None:
    """Ctrl-C while standard input gives nothing: status 130, no traceback."""
    reader, writer = os.pipe()
    try:
        os.write(writer, c.pcap(handshake(), linktype=c.RAW))
        status, errors, _ = interrupted(["analyze", "-"], lambda _: not waiting(reader), reader)
    finally:
        os.close(reader)
        os.close(writer)
    assert status == 130
    assert "Traceback" not in errors
