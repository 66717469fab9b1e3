"""Recognise a capture by its first octets, and say what else a file looks like."""

from __future__ import annotations

from mptcp_oracle.errors import CaptureError
from mptcp_oracle.wire.compression import compression
from mptcp_oracle.wire.pcap import MAGICS, PcapReader
from mptcp_oracle.wire.pcapng import MAGIC, PcapngReader
from mptcp_oracle.wire.reader import Reader
from mptcp_oracle.wire.tally import Tally

__all__ = ["reader_for"]

_CONVERT = "convert it: editcap -F pcapng OLD NEW"
_UNPACK = "decompress it first; only gzip and zstd are read directly"
_FETCH = "download the capture itself"
_OTHERS = (
    (b"BZh", "bzip2-compressed data", _UNPACK),
    (b"\xfd7zXZ\x00", "xz-compressed data", _UNPACK),
    (b"\x04\x22\x4d\x18", "lz4-compressed data", _UNPACK),
    (b"PK\x03\x04", "a zip archive", _UNPACK),
    (b"7z\xbc\xaf\x27\x1c", "a 7z archive", _UNPACK),
    (b"snoop\x00\x00\x00", "a Solaris snoop capture", _CONVERT),
    (b"RTSS", "a Network Monitor 1 capture", _CONVERT),
    (b"GMBU", "a Network Monitor 2 capture", _CONVERT),
    (b"XCP\x00", "a NetXray capture", _CONVERT),
    (b"TRSNIFF data", "a Sniffer capture", _CONVERT),
    (b"\xac\x01\x00\x1c", "an Ixia capture", _CONVERT),
    (b"\x1c\x00\x01\xac", "an Ixia capture", _CONVERT),
    (b"\x7fELF", "a program", None),
    (b"version https://git-lfs", "a Git LFS pointer, not the file itself", "run git lfs pull"),
    (b"<!doctype html", "a web page", _FETCH),
    (b"<html", "a web page", _FETCH),
    (b"<?xml", "XML", "PDML cannot be read back: use the capture that it was made from"),
    (b"{", "JSON", "use the capture that it was made from"),
    (b"[", "JSON", "use the capture that it was made from"),
)
"""First octets (of text in lower case) -> what a file is, and what to do about it."""


def reader_for(data: memoryview, tally: Tally, name: str) -> Reader:
    """The reader for a capture, chosen by its content, whatever the file is called.

    Args:
        data: The capture.
        tally: Takes what is odd while it is read.
        name: The file, for errors.

    Raises:
        CaptureError: It is empty, no capture, or its file header cannot be read.
    """
    if not len(data):
        raise CaptureError(
            "the capture is empty",
            cause="it has no octets",
            hint="was the recording stopped before its first packet was written?",
            file=name,
        )
    head = bytes(data[:4])
    if head in MAGICS:
        return PcapReader(data, tally, name)
    if head == MAGIC:
        return PcapngReader(data, tally, name)
    what, hint = _describe(data)
    raise CaptureError(
        "this is no pcap or pcapng capture", cause=what, hint=hint, file=name, offset=0
    )


def _describe(data: memoryview) -> tuple[str, str | None]:
    head = bytes(data[:64])
    kind = compression(head[:4])
    if kind is not None:
        return f"it is {kind}-compressed twice", "decompress it once"
    text = head.lstrip(b"\xef\xbb\xbf \t\r\n").lower()
    for start, what, hint in _OTHERS:
        if head.startswith(start) or (start.isascii() and text.startswith(start)):
            return f"it looks like {what}", hint
    if any(head.startswith(magic[:size]) for magic in MAGICS for size in (len(head),)):
        return f"it has only {len(head)} octets", None
    if _is_text(bytes(data[:512])):
        line = bytes(data[:40]).decode("utf-8", "replace").splitlines()
        return f"it looks like text: {(line or [''])[0]!r}", "write captures with tcpdump -w FILE"
    if _is_erf(data):
        return "it looks like an Endace ERF capture", _CONVERT
    return f"it begins with {head[:16].hex(' ')}", None


def _is_text(head: bytes) -> bool:
    try:
        text = head.decode("utf-8")
    except UnicodeDecodeError as error:
        if error.start < len(head) - 3:
            return False
        text = head[: error.start].decode("utf-8")
    return all(char.isprintable() or char in "\t\r\n\f\x1b" for char in text)


def _is_erf(data: memoryview) -> bool:
    """ERF has no magic: three records in a row must have a known type and lengths that fit."""
    at = 0
    for _ in range(3):
        if at + 16 > len(data):
            return at == len(data)
        kind = data[at + 8] & 0x7F
        size = int.from_bytes(data[at + 10 : at + 12], "big")
        if not 1 <= kind <= 48 or size < 16:
            return False
        at += size
    return True
