"""Opening, reading twice, closing; what is no capture; files that change meanwhile."""

from __future__ import annotations

import hashlib
import io
import mmap
import os
import struct
import time
from pathlib import Path
from types import SimpleNamespace

import pytest

from mptcp_oracle.errors import CaptureError, UsageError
from mptcp_oracle.wire import contents, source
from mptcp_oracle.wire.capture import open_capture
from mptcp_oracle.wire.links import LINK_LAYERS, link_name, supported
from mptcp_oracle.wire.tally import TEXTS
from tests.common import captures as c
from tests.common.reading import read

SEGMENT = c.tcp(bytes(1000))
FRAME = c.ethernet(c.ipv4(SEGMENT))
FILE = c.pcap(c.records(*[FRAME] * 9))
ERF = struct.pack("<QBB", 1, 2, 4) + struct.pack("!HHH", 64, 0, 48) + bytes(48)

NO_CAPTURES = {
    "empty": (b"", "is empty", "no octets"),
    "text": (b"12:00:01.5 IP 10.0.0.1.80 > 10.0.0.2: Flags [S]\n", "no pcap", "like text"),
    "text, Latin": ("Zusammenfassung für Ä\n".encode() * 40, "no pcap", "like text"),
    "json": (b'\n [{"_index": "packets"}]', "no pcap", "JSON"),
    "xml": (b"\xef\xbb\xbf<?xml version='1.0'?><pdml>", "no pcap", "XML"),
    "web page": (b"<!DOCTYPE html><html>", "no pcap", "web page"),
    "lfs": (b"version https://git-lfs.github.com/spec/v1\n", "no pcap", "Git LFS"),
    "snoop": (b"snoop\0\0\0\0\0\0\x02\0\0\0\x04", "no pcap", "snoop"),
    "erf": (ERF * 4, "no pcap", "ERF"),
    "xz": (b"\xfd7zXZ\0\0\x04", "no pcap", "xz"),
    "zip": (b"PK\x03\x04\x14\0", "no pcap", "zip"),
    "gzip twice": (c.gzipped(c.gzipped(FILE)), "no pcap", "compressed twice"),
    "binary": (bytes(range(128, 255)), "no pcap", "begins with 80 81 82"),
    "zeros": (bytes(100), "no pcap", "begins with 00 00"),
    "two octets": (FILE[:2], "no pcap", "only 2 octets"),
}


@pytest.mark.parametrize("name", NO_CAPTURES)
def test_what_is_no_capture_is_described(name: str) -> None:
    """The error names the file and says what it looks like."""
    octets, message, cause = NO_CAPTURES[name]
    with pytest.raises(CaptureError, match=message) as caught:
        open_capture(octets, name="given.pcap")
    assert cause in str(caught.value.cause)
    assert str(caught.value).startswith("given.pcap: ")


def test_files_that_cannot_be_opened_are_errors(tmp_path: Path) -> None:
    """Missing files, folders, and impossible names say so, with a hint where there is one."""
    for path, cause in (
        (tmp_path / "missing.pcap", "No such file"),
        (tmp_path, "Is a directory"),
        (tmp_path / "x" / "y", "No such file"),
        ("nul\0l", "null"),
    ):
        with pytest.raises(CaptureError, match="cannot be opened") as caught:
            open_capture(path)
        assert cause in str(caught.value.cause)
        assert caught.value.data["file"] == str(path)


def test_a_file_without_permission_is_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    """A file that may not be read says what to change."""

    def refuse(*_: object, **__: object) -> None:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr("builtins.open", refuse)
    with pytest.raises(CaptureError, match="cannot be opened") as caught:
        open_capture("x.pcap")
    assert "owner or mode" in str(caught.value.hint)


def test_a_device_that_fails_is_an_error() -> None:
    """A read error in the middle of a stream names the stream."""

    class Broken(io.RawIOBase):
        name = "tape"

        def read(self, _: int = -1) -> bytes:
            raise OSError(5, "Input/output error")

    with pytest.raises(CaptureError, match="cannot be read") as caught:
        open_capture(Broken())
    assert caught.value.data["file"] == "tape"


@pytest.mark.usefixtures("_mapped")
def test_a_refused_mapping_is_an_error(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where a file or a spool cannot be mapped, the error says so."""

    def refuse(*_: object, **__: object) -> None:
        raise OSError(12, "Cannot allocate memory")

    monkeypatch.setattr("mmap.mmap", refuse)
    with pytest.raises(CaptureError, match="cannot be mapped") as caught:
        open_capture(path)
    assert "Cannot allocate" in str(caught.value.cause)
    monkeypatch.setattr("mptcp_oracle.wire.spool.IN_MEMORY", 0)
    with pytest.raises(CaptureError, match="temporary file"):
        open_capture(io.BufferedReader(io.BytesIO(FILE)))


def test_a_missing_standard_input_is_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    """A process without standard input cannot read a capture from it."""
    monkeypatch.setattr("sys.stdin", None)
    with pytest.raises(CaptureError, match="no standard input"):
        open_capture("-")


def test_a_capture_can_be_read_again() -> None:
    """Each call of packets() begins anew, with counts and notes of its own."""
    with open_capture(FILE[:-1]) as capture:
        for _ in range(3):
            assert sum(packets.n for packets in capture.packets()) == 8
            assert capture.frames == 8
            assert [(note.code, note.count, note.frame) for note in capture.notes] == [
                ("truncated-file", 1, 9)
            ]


def test_progress_is_told_in_octets() -> None:
    """Positions rise with each batch, up to the size of the capture."""
    with open_capture(FILE, name="nine") as capture:
        positions = [packets.position for packets in capture.packets(4)]
        assert positions == sorted(positions)
        assert positions[-1] == capture.size == len(FILE)
        assert capture.name == "nine"


@pytest.mark.parametrize("batch", [0, -1, 1 << 21])
def test_impossible_batches_are_refused(batch: int) -> None:
    """A batch has at least one frame and at most 2^20."""
    with open_capture(FILE) as capture, pytest.raises(UsageError, match="a batch has"):
        capture.packets(batch)


@pytest.fixture
def _mapped(monkeypatch: pytest.MonkeyPatch) -> None:
    """Map every regular file, however small."""
    monkeypatch.setattr(source, "IN_MEMORY", 0)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """A capture in a file."""
    file = tmp_path / "x.pcap"
    file.write_bytes(FILE)
    return file


@pytest.mark.usefixtures("_mapped")
def test_octets_appended_later_are_not_read(path: Path) -> None:
    """The size is fixed when the file is opened."""
    with open_capture(path) as capture:
        with path.open("ab") as file:
            file.write(FILE[24:])
        assert sum(packets.n for packets in capture.packets()) == 9
        assert capture.size == len(FILE)
        assert capture.notes == []


@pytest.mark.usefixtures("_mapped")
def test_a_file_cut_short_meanwhile_is_read_as_far_as_it_goes(path: Path) -> None:
    """Between batches the file may shrink: the rest is read, and the loss noted once."""
    with open_capture(path) as capture:
        batches = capture.packets(2)
        assert next(batches).n == 2
        os.truncate(path, 24 + 5 * (16 + len(FRAME)) + 3)
        assert sum(packets.n for packets in batches) == 3
        assert [(note.code, note.frame) for note in capture.notes] == [
            ("file-shrank", None),
            ("truncated-file", 6),
        ]
        batches = capture.packets(2)
        path.write_bytes(FILE + FILE)
        assert sum(packets.n for packets in batches) == 5
        os.truncate(path, 0)
        with pytest.raises(CaptureError, match="is empty"):
            capture.packets()


@pytest.mark.usefixtures("_mapped")
def test_mapped_pages_are_given_back(path: Path) -> None:
    """Pages behind the batch can be dropped and still be read again."""
    path.write_bytes(c.pcap(c.records(*[FRAME] * 100)))
    with open_capture(path) as capture:
        for packets in capture.packets(10):
            assert bytes(capture.data[packets.tcp[0] :][: len(SEGMENT)]) == SEGMENT
        assert capture._contents._dropped == capture.size - capture.size % mmap.PAGESIZE
        assert bytes(capture.data[:4]) == FILE[:4]


@pytest.mark.usefixtures("_mapped")
def test_closing_with_views_in_use_is_no_error(path: Path) -> None:
    """A view taken before keeps its octets after the capture was closed."""
    capture = open_capture(path)
    view = capture.data[:4]
    capture.close()
    capture.close()
    assert bytes(view) == FILE[:4]
    assert capture.frames == 0
    assert capture.notes == []
    with pytest.raises(UsageError, match="is closed"):
        capture.packets()


@pytest.mark.usefixtures("_mapped")
def test_a_closed_capture_stops_hashing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Closing does not wait for the digest of a large file, and asking for it then is an error."""
    large = tmp_path / "large.pcap"
    with large.open("wb") as file:
        file.write(FILE)
        file.truncate(1 << 30)
    monkeypatch.setattr(contents, "CHUNK", 1 << 20)
    started = time.monotonic()
    capture = open_capture(large)
    capture.close()
    assert time.monotonic() - started < 0.5
    with pytest.raises(CaptureError, match="SHA-256 cannot be computed"):
        capture.sha256()


def test_a_digest_ends_with_the_file(path: Path) -> None:
    """A file that became shorter is hashed as far as it goes."""
    digest = contents.Digest.of_file(os.open(path, os.O_RDONLY), len(FILE) + 1000)
    assert digest.hexdigest() == hashlib.sha256(FILE).hexdigest()


@pytest.mark.usefixtures("_mapped")
def test_an_unreadable_digest_is_an_error(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A read error while hashing is told when the digest is asked for."""

    def fail(*_: object) -> int:
        raise OSError(5, "Input/output error")

    monkeypatch.setattr("os.preadv", fail)
    with open_capture(path) as capture, pytest.raises(CaptureError, match="SHA-256") as caught:
        capture.sha256()
    assert "Input/output error" in str(caught.value.cause)


def test_every_reason_has_a_sentence(loops: SimpleNamespace) -> None:
    """Each reason that the packets loop counts is explained, and each link layer exists."""
    assert set(loops.packets.REASONS) <= set(TEXTS)
    assert set(LINK_LAYERS.values()) < set(loops.packets.LAYERS)
    assert (supported(1), supported(105)) == (True, False)
    assert (link_name(113), link_name(999)) == ("113 (Linux cooked v1 (SLL))", "999")


def test_long_frames_end_a_batch(monkeypatch: pytest.MonkeyPatch) -> None:
    """A batch spans a bounded number of octets, however many frames it could still take."""
    for module in ("pcap", "pcapng"):
        monkeypatch.setattr(f"mptcp_oracle.wire.{module}.SPAN", 3000)
    for file in (FILE, c.pcapng(c.records(*[FRAME] * 9))):
        with open_capture(file) as capture:
            sizes = [packets.n for packets in capture.packets()]
            assert [size for size in sizes if size] == [3, 3, 3]


def test_damage_is_searched_in_bounded_steps(monkeypatch: pytest.MonkeyPatch) -> None:
    """Looking for the next section goes span by span and finds it across their borders."""
    start = c.section() + c.interface()
    for span in range(40, 80):
        monkeypatch.setattr("mptcp_oracle.wire.pcapng.SPAN", span)
        packet = c.enhanced(c.Record(octets=FRAME))
        reading = read(start + c.block(6, bytes(500), length=6) + start + packet)
        assert len(reading.segments) == 1
