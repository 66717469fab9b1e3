"""Every kind of source gives the same capture, within its limits."""

from __future__ import annotations

import hashlib
import io
import os
import random
import subprocess
import sys
import threading
import zlib
from collections.abc import Iterator
from decimal import Decimal
from fractions import Fraction
from pathlib import Path
from typing import Any

import pytest

from mptcp_oracle.errors import CaptureError, UsageError
from mptcp_oracle.wire import contents
from mptcp_oracle.wire.capture import open_capture
from mptcp_oracle.wire.compression import zstd
from mptcp_oracle.wire.spool import SPOOL_LIMIT, spool_limit
from tests.common import captures as c
from tests.common.reading import read

SEGMENT = c.tcp(bytes(range(256)))
FRAME = c.ethernet(c.ipv4(SEGMENT))
FILE = c.pcap(c.records(*[FRAME] * 5))
WHOLE = read(FILE)
SHA = hashlib.sha256(FILE).hexdigest()


class Pipe(io.RawIOBase):
    """A stream that hands out a few octets at a time, and knows nothing else."""

    def __init__(self, octets: bytes, step: int = 1000) -> None:
        self._rest = octets
        self._step = step

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        piece = self._rest[: min(self._step, len(buffer))]
        self._rest = self._rest[len(piece) :]
        buffer[: len(piece)] = piece
        return len(piece)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """The capture as a file whose name says nothing."""
    file = tmp_path / "notes.txt"
    file.write_bytes(FILE)
    return file


@pytest.fixture(params=["memory", "mapped"])
def _place(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """Hold everything in memory, or map everything."""
    if request.param == "mapped":
        for module in ("contents", "source", "spool"):
            monkeypatch.setattr(f"mptcp_oracle.wire.{module}.IN_MEMORY", 0)


@pytest.mark.usefixtures("_place")
def test_all_sources_give_the_same_capture(path: Path) -> None:
    """Paths, octets, files, streams and compressed forms of them all read alike."""
    with path.open("rb") as file, path.open("rb", buffering=0) as raw:
        sources: list[Any] = [path, str(path), file, raw, io.BytesIO(FILE), Pipe(FILE, 3)]
        sources += [FILE, bytearray(FILE), memoryview(FILE), io.BufferedReader(Pipe(FILE))]
        for source in sources:
            assert read(source) == WHOLE


@pytest.mark.usefixtures("_place")
def test_the_digest_is_that_of_the_source(path: Path, tmp_path: Path) -> None:
    """SHA-256 speaks of the octets as given: compressed if they were compressed."""
    packed = tmp_path / "packed"
    packed.write_bytes(c.gzipped(FILE))
    for source, octets in (
        (path, FILE),
        (FILE, FILE),
        (Pipe(FILE), FILE),
        (packed, packed.read_bytes()),
        (packed.read_bytes(), packed.read_bytes()),
        (Pipe(packed.read_bytes()), packed.read_bytes()),
    ):
        with open_capture(source) as capture:
            assert capture.sha256() == hashlib.sha256(octets).hexdigest()
            assert capture.sha256() == hashlib.sha256(octets).hexdigest()


def test_a_file_that_was_partly_read_goes_on_from_there(path: Path) -> None:
    """An open file is taken from its position on."""
    path.write_bytes(b"prefix" + FILE)
    with path.open("rb") as file:
        assert file.read(6) == b"prefix"
        assert read(file) == WHOLE


PACKED = {
    "gzip": c.gzipped(FILE),
    "gzip, members": c.gzipped(FILE[:100], FILE[100:101], b"", FILE[101:]),
    "gzip, padded": c.gzipped(FILE) + bytes(1000),
    "zstd": zstd.compress(FILE),
    "zstd, frames": zstd.compress(FILE[:100]) + zstd.compress(b"") + zstd.compress(FILE[100:]),
    "zstd, skippable": b"\x51\x2a\x4d\x18\x04\0\0\0skip" + zstd.compress(FILE),
}


@pytest.mark.parametrize("name", PACKED)
@pytest.mark.parametrize("step", [1, 7, 100_000])
def test_compressed_captures_are_unpacked(name: str, step: int) -> None:
    """Captures in gzip and zstd are recognised by their content, in one piece or in many."""
    assert read(PACKED[name]) == WHOLE
    assert read(Pipe(PACKED[name], step)) == WHOLE


@pytest.mark.parametrize("pack", [c.gzipped, zstd.compress], ids=["gzip", "zstd"])
def test_compressed_captures_may_be_cut_anywhere(pack: Any) -> None:
    """What a cut compressed file still holds is read, and the cut is noted."""
    noise = random.Random(1)
    payloads = [noise.randbytes(60_000) for _ in range(5)]
    file = c.pcap(c.records(*[c.ethernet(c.ipv4(c.tcp(each))) for each in payloads]))
    whole, packed = read(file), pack(file[: len(file) // 2]) + pack(file[len(file) // 2 :])
    found = set()
    for size in range(4, len(packed), 997):
        try:
            reading = read(packed[:size])
        except CaptureError:  # not even the capture's own header came out
            continue
        assert reading.notes["truncated-compression"] == (1, None)
        assert reading.segments == whole.segments[: reading.frames]
        found.add(reading.frames)
    assert len(found) >= 2


def test_damaged_compression_is_noted() -> None:
    """What came before the damage is read; what follows another member's end is named."""
    packed = bytearray(c.gzipped(FILE, FILE[24:]))
    packed[len(c.gzipped(FILE)) + 12] ^= 0xFF
    assert read(bytes(packed)).notes["bad-compression"][0] == 1
    assert read(c.gzipped(FILE) + b"rubbish").notes == {"trailing-octets": (1, None)}
    assert read(zstd.compress(FILE) + b"ru").notes == {"trailing-octets": (1, None)}
    assert read(c.gzipped(FILE) + bytes(200_000) + b"x").notes == {"trailing-octets": (1, None)}


def test_nothing_to_unpack_is_an_error() -> None:
    """Compressed emptiness, and compression that is broken from the start, are no captures."""
    for packed in (c.gzipped(b""), c.gzipped(FILE)[:11], b"\x28\xb5\x2f\xfd" + b"\xff" * 40):
        with pytest.raises(CaptureError, match="nothing could be decompressed") as caught:
            read(packed, name="x.gz")
        assert caught.value.cause
        assert caught.value.data["file"] == "x.gz"


def test_a_frame_that_asks_for_much_memory_is_refused() -> None:
    """A zstd frame whose window is above 128 MiB is an error, not an allocation."""
    options: dict[int, int] = {zstd.CompressionParameter.window_log: 28}
    packer = zstd.ZstdCompressor(options=options)
    packed = packer.compress(FILE) + packer.flush()
    assert read(zstd.compress(FILE) + packed).notes["bad-compression"] == (1, None)
    with pytest.raises(CaptureError, match="nothing could be decompressed") as caught:
        read(packed)
    assert "memory" in str(caught.value.cause)


def test_damage_in_a_stream_does_not_change_its_digest() -> None:
    """What follows the damage is not analyzed, and still belongs to the source."""
    packed = c.gzipped(FILE) + b"rubbish" + bytes(300_000)
    with open_capture(Pipe(packed, 1 << 16)) as capture:
        assert capture.sha256() == hashlib.sha256(packed).hexdigest()


def test_an_unreadable_compressed_file_is_closed(tmp_path: Path) -> None:
    """A compressed file that holds nothing leaves no thread or descriptor behind."""
    file = tmp_path / "x.gz"
    file.write_bytes(c.gzipped(b""))
    before = set(os.listdir("/proc/self/fd"))
    with pytest.raises(CaptureError, match="nothing could be decompressed"):
        open_capture(file)
    for thread in threading.enumerate():
        if thread.name == "sha256":
            thread.join()
    assert set(os.listdir("/proc/self/fd")) == before


def test_a_small_input_cannot_take_much_space() -> None:
    """What unpacks to more than the limit is refused, and the error says how to raise it."""
    bomb = zlib.compressobj(wbits=31)
    packed = bomb.compress(FILE + bytes(30_000_000)) + bomb.flush()
    for source in (packed, Pipe(FILE + bytes(30_000_000), 1 << 16)):
        with pytest.raises(CaptureError, match="more than 10000000 octets") as caught:
            open_capture(source, spool_limit=10_000_000)
        assert "MPTCP_ORACLE_SPOOL_LIMIT" in str(caught.value.hint)
    with open_capture(packed, spool_limit=40_000_000) as capture:
        assert capture.size == len(FILE) + 30_000_000


def test_the_limit_comes_from_caller_or_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    """The caller's number wins, then the variable with its suffix, then 16 GiB."""
    assert spool_limit(None) == SPOOL_LIMIT == 16 << 30
    for text, value in (("2000", 2000), ("3k", 3072), ("64G", 64 << 30), ("1T", 1 << 40)):
        monkeypatch.setenv("MPTCP_ORACLE_SPOOL_LIMIT", text)
        assert (spool_limit(None), spool_limit(5)) == (value, 5)
    for text in ("lots", "-1", "0", "G", "1.5G", "²"):
        monkeypatch.setenv("MPTCP_ORACLE_SPOOL_LIMIT", text)
        with pytest.raises(UsageError, match="is no size"):
            open_capture(Pipe(FILE))
    with pytest.raises(UsageError, match="positive"):
        spool_limit(0)


def test_a_full_temporary_folder_is_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    """Without room to unpack, the error names the folder and TMPDIR."""

    def refuse(**_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("tempfile.TemporaryFile", refuse)
    with pytest.raises(CaptureError, match="temporary file") as caught:
        open_capture(Pipe(FILE + bytes(contents.IN_MEMORY), 1 << 16))
    assert "No space left" in str(caught.value.cause)
    assert "TMPDIR" in str(caught.value.hint)


def test_streams_leave_no_file_behind(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The temporary file has no name while it is used."""
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    with open_capture(Pipe(FILE + bytes(contents.IN_MEMORY), 1 << 16)) as capture:
        assert list(tmp_path.iterdir()) == []
        assert bytes(capture.data[: len(FILE)]) == FILE


def test_standard_input_is_a_source(path: Path) -> None:
    """A dash reads standard input, from a pipe as from a file."""
    code = (
        "from tests.common.reading import read; r = read('-');"
        "print(r.format, r.frames, len(r.segments))"
    )
    command = [sys.executable, "-c", code]
    piped = subprocess.run(command, input=c.gzipped(FILE), capture_output=True, check=True)
    assert piped.stdout == b"pcap 5 5\n"
    with path.open("rb") as file:
        direct = subprocess.run(command, stdin=file, capture_output=True, check=True)
    assert direct.stdout == b"pcap 5 5\n"


def test_standard_input_may_be_replaced(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever stands in for standard input is read as octets."""
    monkeypatch.setattr("sys.stdin", io.TextIOWrapper(io.BytesIO(FILE)))
    with open_capture("-") as capture:
        assert (capture.name, capture.size) == ("-", len(FILE))


def test_a_named_pipe_is_a_source(tmp_path: Path) -> None:
    """A path may be a FIFO, as process substitution gives it."""
    fifo = tmp_path / "fifo"
    os.mkfifo(fifo)
    writer = threading.Thread(target=fifo.write_bytes, args=(FILE,))
    writer.start()
    assert read(fifo) == WHOLE
    writer.join()


TIMES = [1700000000.25, 1700000000, Fraction(17 * 10**17 + 1, 10**9), Decimal("1700000000.5"), 0.0]


@pytest.mark.parametrize("octets", [bytes, bytearray, memoryview])
def test_frames_are_a_source(octets: Any) -> None:
    """Frames with a link type need no file; their times are kept to the nanosecond."""
    packet = c.ipv4(SEGMENT)
    reading = read(((time, octets(packet)) for time in TIMES), linktype=101)
    assert [each.octets for each in reading.segments] == [SEGMENT] * 5
    assert [each.time for each in reading.segments] == [
        1_700_000_000_250_000_000,
        1_700_000_000_000_000_000,
        1_700_000_000_000_000_001,
        1_700_000_000_500_000_000,
        0,
    ]
    assert reading.interfaces[0].linktype == 101


def test_no_frames_are_a_capture_of_nothing() -> None:
    """An iterable without frames gives an empty capture, not an error."""
    assert read([], linktype=1).frames == 0


def test_an_error_in_the_callers_iterable_is_the_callers() -> None:
    """What the iterable raises comes out unchanged."""

    def broken() -> Iterator[tuple[float, bytes]]:
        yield 1.0, FRAME
        raise KeyError("mine")

    with pytest.raises(KeyError, match="mine"):
        open_capture(broken(), linktype=1)


class Named:
    """A path given in octets."""

    def __init__(self, name: bytes) -> None:
        self._name = name

    def __fspath__(self) -> bytes:
        return self._name


WRONG: dict[str, tuple[Any, dict[str, Any], str]] = {
    "number": (42, {}, "a int is no capture"),
    "none": (None, {}, "a NoneType is no capture"),
    "no link type": ([(1.0, FRAME)], {}, "needs a link type"),
    "link type with a file": (FILE, {"linktype": 1}, "only given with an iterable"),
    "link type too large": ([], {"linktype": 65536}, "below 65536"),
    "path in bytes": (Named(b"x.pcap"), {}, "a path is text"),
    "text file": (io.StringIO("text"), {}, "open as text"),
    "octets alone": ([FRAME], {"linktype": 1}, "frame 1 is no pair"),
    "text frame": ([(1.0, FRAME), (1.0, "text")], {"linktype": 1}, "frame 2 is no pair"),
    "number as octets": ([(1.0, 7)], {"linktype": 1}, "frame 1 is no pair"),
    "time before the epoch": ([(-1.0, FRAME)], {"linktype": 1}, "frame 1 is no pair"),
    "time beyond 32 bits": ([(2.0**32, FRAME)], {"linktype": 1}, "frame 1 is no pair"),
    "no time": ([(float("nan"), FRAME)], {"linktype": 1}, "frame 1 is no pair"),
}


@pytest.mark.parametrize("name", WRONG)
def test_what_is_no_source_is_a_usage_error(name: str) -> None:
    """Arguments that make no sense are refused with what to do instead."""
    source, given, message = WRONG[name]
    with pytest.raises(UsageError, match=message) as caught:
        open_capture(source, **given)
    assert caught.value.hint or caught.value.cause
