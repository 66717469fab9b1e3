"""Undo gzip (RFC 1952) and zstd (RFC 8878), member by member, without trusting either."""

from __future__ import annotations

import sys
import zlib
from collections.abc import Callable, Iterable, Iterator
from typing import Protocol

if sys.version_info >= (3, 14):
    from compression import zstd  # pragma: no cover
else:
    from backports import zstd

__all__ = ["COMPRESSIONS", "Damage", "compression", "expand", "zstd"]

Damage = Callable[[str, str], None]
"""Called with the code of a note and a sentence when compressed data is cut or broken."""

_PIECE = 1 << 20
"""Most octets that one step may expand to."""


class _Decompressor(Protocol):
    """What :class:`zstd.ZstdDecompressor` offers; the gzip one is made to match."""

    @property
    def eof(self) -> bool: ...
    @property
    def needs_input(self) -> bool: ...
    @property
    def unused_data(self) -> bytes: ...
    def decompress(self, data: bytes, max_length: int = -1) -> bytes: ...


class _Gunzip:
    """One gzip member."""

    def __init__(self) -> None:
        self._inner = zlib.decompressobj(wbits=31)
        self.needs_input = True

    @property
    def eof(self) -> bool:
        return self._inner.eof

    @property
    def unused_data(self) -> bytes:
        return self._inner.unused_data

    def decompress(self, data: bytes, max_length: int = -1) -> bytes:
        piece = self._inner.decompress(self._inner.unconsumed_tail + data, max_length)
        self.needs_input = not self._inner.unconsumed_tail and len(piece) < max_length
        return piece


def _is_gzip(head: bytes) -> bool:
    return head[:3] == b"\x1f\x8b\x08"


def _is_zstd(head: bytes) -> bool:
    data = head[:4] == b"\x28\xb5\x2f\xfd"
    skippable = head[1:4] == b"\x2a\x4d\x18" and 0x50 <= head[0] <= 0x5F
    return data or skippable


COMPRESSIONS: dict[str, tuple[Callable[[bytes], bool], Callable[[], _Decompressor]]] = {
    "gzip": (_is_gzip, _Gunzip),
    "zstd": (_is_zstd, zstd.ZstdDecompressor),
}
"""Name -> how to recognise a member by its first four octets, and how to read one."""


def compression(head: bytes) -> str | None:
    """Name the compression that data beginning with ``head`` (4 octets suffice) is in."""
    for name, (recognise, _) in COMPRESSIONS.items():
        if len(head) >= 4 and recognise(head):
            return name
    return None


def expand(chunks: Iterable[bytes], name: str, damage: Damage) -> Iterator[bytes]:
    """Decompress a stream of one or more members.

    Args:
        chunks: The compressed octets, in pieces of any size.
        name: A key of :data:`COMPRESSIONS`.
        damage: Called at most once, when the data is cut, broken, or followed by something else.

    Yields:
        Pieces of at most 1 MiB.
    """
    recognise, make = COMPRESSIONS[name]
    source = iter(chunks)
    data = next(source, b"")
    while True:
        member = make()
        try:
            while not member.eof:
                if not data and member.needs_input:
                    data = next(source, b"")
                    if not data:
                        damage("truncated-compression", f"the {name} data ends early")
                        return
                piece = member.decompress(data, _PIECE)
                data = b""
                if piece:
                    yield piece
        except (zlib.error, zstd.ZstdError) as error:
            damage("bad-compression", f"the {name} data is damaged: {error}")
            return
        data = member.unused_data
        while len(data) < 4 and (more := next(source, b"")):
            data += more
        if not data:
            return
        if not recognise(data[:4]):
            if data.strip(b"\0") or any(more.strip(b"\0") for more in source):
                damage("trailing-octets", f"octets behind the {name} data were ignored")
            return
