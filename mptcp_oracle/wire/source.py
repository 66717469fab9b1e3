"""Turn whatever a caller calls a capture into octets at hand."""

from __future__ import annotations

import hashlib
import io
import mmap
import os
import stat
import struct
import sys
from collections.abc import Callable, Iterable, Iterator
from decimal import Decimal
from fractions import Fraction
from itertools import chain
from typing import Any, Protocol

from mptcp_oracle.errors import CaptureError, UsageError
from mptcp_oracle.wire.compression import compression, expand
from mptcp_oracle.wire.contents import IN_MEMORY, Contents, Digest
from mptcp_oracle.wire.spool import Spool
from mptcp_oracle.wire.tally import Tally

__all__ = ["Frame", "Readable", "Source", "contents_of"]

Frame = tuple[float | int | Fraction | Decimal, bytes]
"""A time in seconds since the epoch and the octets of one frame."""


class Readable(Protocol):
    """A file or stream opened for octets."""

    def read(self, size: int, /) -> bytes | None:
        """Return at most ``size`` octets, none at the end."""


Source = str | os.PathLike[str] | bytes | bytearray | memoryview | Readable | Iterable[Frame]
"""A path (``-`` is standard input), octets, a binary file, or frames."""

_PIECE = 1 << 16
_FILE_HEADER = struct.Struct("<IHHiIII")
_RECORD_HEADER = struct.Struct("<IIII")
_BILLION = 1_000_000_000


def contents_of(
    source: Source, *, linktype: int | None, name: str | None, limit: int, tally: Tally
) -> tuple[str, Contents]:
    """Open a source.

    Args:
        source: See :data:`Source`.
        linktype: The frames' link type; given exactly if ``source`` is an iterable of frames.
        name: What to call it; by default its path, or what it is.
        limit: Most octets that a stream or compressed data may take.
        tally: Takes the damage met while decompressing.

    Returns:
        The name and the octets.

    Raises:
        CaptureError: There is nothing to read, or it is larger than the limit.
        UsageError: ``source`` is nothing that holds a capture, or the link type does not fit it.
    """
    is_path = isinstance(source, str | os.PathLike)
    is_octets = isinstance(source, bytes | bytearray | memoryview)
    is_file = hasattr(source, "read")
    if is_path or is_octets or is_file:
        if linktype is not None:
            raise UsageError(
                "a link type is only given with an iterable of frames",
                hint="a capture file states its own",
            )
    elif linktype is None and isinstance(source, Iterable):
        raise UsageError("an iterable of frames needs a link type", hint="Ethernet is linktype=1")
    if is_octets:
        return _of_octets(source, name or "octets", limit, tally)
    if is_path:
        return _of_path(source, name, limit, tally)
    if is_file:
        label = name or _label(source)
        return label, _of_file(source, label, limit, tally)
    if isinstance(source, Iterable):
        label = name or "frames"
        return label, _of_frames(source, linktype or 0, label, limit)
    raise UsageError(
        f"a {type(source).__name__} is no capture",
        hint="give a path, bytes, a binary file, or an iterable of (time, octets)",
    )


def _label(file: Any) -> str:
    name = getattr(file, "name", None)
    return name if isinstance(name, str) else "stream"


def _of_octets(source: Any, name: str, limit: int, tally: Tally) -> tuple[str, Contents]:
    octets = source if isinstance(source, bytes) else bytes(source)
    digest = Digest.of_octets(octets)
    kind = compression(octets[:4])
    if kind is None:
        return name, Contents(octets, digest)
    pieces = (octets[at : at + _PIECE] for at in range(0, len(octets), _PIECE))
    return name, Contents(_unpacked(pieces, kind, name, limit, tally), digest)


def _of_path(source: Any, name: str | None, limit: int, tally: Tally) -> tuple[str, Contents]:
    path = os.fspath(source)
    if not isinstance(path, str):
        raise UsageError(
            "a path is text", hint="os.fsdecode() gives it; bytes are taken as the capture itself"
        )
    if path == "-":
        if sys.stdin is None:
            raise CaptureError("there is no standard input to read", file=name or path)
        return name or "-", _of_file(sys.stdin.buffer, name or "-", limit, tally)
    label = name or path
    try:
        with open(path, "rb", buffering=0) as file:
            return label, _of_file(file, label, limit, tally)
    except (OSError, ValueError) as error:
        raise CaptureError(
            "the capture cannot be opened",
            cause=getattr(error, "strerror", None) or str(error),
            hint=_opening_hint(error),
            file=label,
        ) from error


def _opening_hint(error: Exception) -> str | None:
    if isinstance(error, FileNotFoundError):
        return "check the path; - reads standard input"
    if isinstance(error, IsADirectoryError):
        return "name the files in it"
    if isinstance(error, PermissionError):
        return "captures made by root often belong to root: change their owner or mode"
    return None


def _of_file(file: Any, name: str, limit: int, tally: Tally) -> Contents:
    descriptor = _regular(file)
    if descriptor is not None:
        size = os.fstat(descriptor).st_size
        kind = compression(os.pread(descriptor, 4, 0))
        if kind is None and size > IN_MEMORY:
            return _mapped(descriptor, size, name)
        pieces: Iterator[bytes] = _positioned(descriptor, size)
        if kind is not None:
            digest = Digest.of_file(os.dup(descriptor), size)
            try:
                return Contents(_unpacked(pieces, kind, name, limit, tally), digest)
            except BaseException:
                digest.close()
                raise
        octets = b"".join(pieces)
        return Contents(octets, Digest.of_octets(octets))

    found = hashlib.sha256()
    pieces = _hashed(_read(file, name), found.update)
    head = b""
    while len(head) < 4 and (piece := next(pieces, b"")):
        head += piece
    pieces = chain([head], pieces)
    kind = compression(head[:4])
    if kind is not None:
        unpacked = _unpacked(pieces, kind, name, limit, tally)
        for _ in pieces:  # what follows damage still belongs to the digest
            pass
        return Contents(unpacked, Digest.known(found.hexdigest()))
    return Contents(_spooled(pieces, name, limit), Digest.known(found.hexdigest()))


def _regular(file: Any) -> int | None:
    """The descriptor of a regular file that is still at its beginning."""
    try:
        descriptor = file.fileno()
        if stat.S_ISREG(os.fstat(descriptor).st_mode) and file.tell() == 0:
            return int(descriptor)
    except (AttributeError, OSError, ValueError):
        pass
    return None


def _mapped(descriptor: int, size: int, name: str) -> Contents:
    try:
        mapping = mmap.mmap(descriptor, size, access=mmap.ACCESS_READ)
    except (OSError, ValueError) as error:
        raise CaptureError(
            "the capture cannot be mapped into memory",
            cause=str(error),
            hint="pipe it through standard input",
            file=name,
        ) from error
    digest = Digest.of_file(os.dup(descriptor), size)
    return Contents(mapping, digest, file=io.FileIO(os.dup(descriptor)))


def _positioned(descriptor: int, size: int) -> Iterator[bytes]:
    at = 0
    while at < size and (piece := os.pread(descriptor, min(_PIECE, size - at), at)):
        yield piece
        at += len(piece)


def _read(file: Any, name: str) -> Iterator[bytes]:
    # read1 hands over what is there; a plain read would wait for a full piece
    read: Callable[[int], Any] = getattr(file, "read1", file.read)
    while True:
        try:
            piece = read(_PIECE)
        except OSError as error:
            raise CaptureError(
                "the stream cannot be read", cause=error.strerror or str(error), file=name
            ) from error
        if isinstance(piece, str):
            raise UsageError("the file is open as text", hint='open it with mode "rb"')
        if not piece:
            return
        yield bytes(piece)


def _hashed(pieces: Iterable[bytes], update: Callable[[bytes], None]) -> Iterator[bytes]:
    for piece in pieces:
        update(piece)
        yield piece


def _spooled(pieces: Iterable[bytes], name: str, limit: int) -> bytes | mmap.mmap:
    spool = Spool(name, limit)
    try:
        for piece in pieces:
            spool.add(piece)
        return spool.finish()
    finally:
        spool.close()


def _unpacked(
    pieces: Iterable[bytes], kind: str, name: str, limit: int, tally: Tally
) -> bytes | mmap.mmap:
    def damage(code: str, text: str) -> None:
        tally.count(code, text=text)

    octets = _spooled(expand(pieces, kind, damage), name, limit)
    if not octets:
        reason = next((note.text for note in tally), f"the {kind} data holds no octets")
        raise CaptureError("nothing could be decompressed", cause=reason, file=name)
    return octets


def _of_frames(frames: Iterable[Any], linktype: int, name: str, limit: int) -> Contents:
    """Write frames as a nanosecond pcap and read that: one path for all."""
    if not 0 <= linktype < 1 << 16:
        raise UsageError(
            "a link type is a number below 65536", cause=f"got {linktype!r}", hint="Ethernet is 1"
        )
    spool = Spool(name, limit)
    found = hashlib.sha256()
    try:
        for piece in _as_pcap(frames, linktype):
            found.update(piece)
            spool.add(piece)
        return Contents(spool.finish(), Digest.known(found.hexdigest()))
    finally:
        spool.close()


def _as_pcap(frames: Iterable[Any], linktype: int) -> Iterator[bytes]:
    yield _FILE_HEADER.pack(0xA1B23C4D, 2, 4, 0, 0, 0, linktype)
    for number, frame in enumerate(frames, 1):
        try:
            when, given = frame
            octets = bytes(memoryview(given))
            seconds, fraction = _instant(when)
            header = _RECORD_HEADER.pack(seconds, fraction, len(octets), len(octets))
        except (TypeError, ValueError, OverflowError, struct.error) as error:
            raise UsageError(
                f"frame {number} is no pair of a time and octets",
                cause=f"{error}",
                hint="give seconds since the epoch, 0 to 2^32, and bytes",
                frame=number,
            ) from error
        yield header + octets


def _instant(when: Any) -> tuple[int, int]:
    """Seconds and nanoseconds, rounded to the nearest."""
    if isinstance(when, float):
        seconds = int(when)
        return divmod(seconds * _BILLION + round((when - seconds) * _BILLION), _BILLION)
    return divmod(round(Fraction(when) * _BILLION), _BILLION)
