"""Hold a stream of unknown length: in memory first, then in an unlinked temporary file."""

from __future__ import annotations

import mmap
import os
import tempfile
from contextlib import suppress
from typing import IO

from mptcp_oracle.errors import CaptureError, UsageError
from mptcp_oracle.wire.contents import IN_MEMORY

__all__ = ["SPOOL_LIMIT", "SPOOL_VARIABLE", "Spool", "spool_limit"]

SPOOL_LIMIT = 16 << 30
"""Most octets that a stream or a compressed file may expand to, unless the caller says more."""

SPOOL_VARIABLE = "MPTCP_ORACLE_SPOOL_LIMIT"
"""Environment variable with another default, in octets or with a suffix K, M, G or T."""

_SUFFIXES = {"K": 1 << 10, "M": 1 << 20, "G": 1 << 30, "T": 1 << 40}


def spool_limit(given: int | None) -> int:
    """The limit in octets: what the caller gave, else the environment's, else the default.

    Raises:
        UsageError: It is no positive number.
    """
    if given is not None:
        if given <= 0:
            raise UsageError("spool_limit is a positive number of octets", cause=f"got {given!r}")
        return given
    text = os.environ.get(SPOOL_VARIABLE, "").strip()
    if not text:
        return SPOOL_LIMIT
    digits, factor = text, 1
    if text[-1].upper() in _SUFFIXES:
        digits, factor = text[:-1], _SUFFIXES[text[-1].upper()]
    if not (digits.isascii() and digits.isdigit()) or int(digits) == 0:
        raise UsageError(
            f"{SPOOL_VARIABLE} is no size",
            cause=f"it is {text!r}",
            hint="write octets, such as 20000000000, or 32G",
        )
    return int(digits) * factor


class Spool:
    """Octets that arrive in pieces, later to be read as one."""

    def __init__(self, name: str, limit: int) -> None:
        """Begin an empty spool.

        Args:
            name: The source, for errors.
            limit: Most octets to hold.
        """
        self._name = name
        self._limit = limit
        self._memory = bytearray()
        self._file: IO[bytes] | None = None
        self.size = 0

    def add(self, piece: bytes | memoryview) -> None:
        """Append octets.

        Raises:
            CaptureError: The limit is exceeded, or the temporary folder is full.
        """
        self.size += len(piece)
        if self.size > self._limit:
            raise CaptureError(
                f"more than {self._limit} octets would have to be held in a temporary file",
                cause="streams and compressed captures are unpacked first, under a limit",
                hint=f"raise it with {SPOOL_VARIABLE}=64G or spool_limit=, "
                "or unpack to a regular file, which needs no copy",
                file=self._name,
                limit=self._limit,
            )
        try:
            if self._file is None and self.size > IN_MEMORY:
                # closed by finish() or close()
                self._file = tempfile.TemporaryFile(  # noqa: SIM115
                    prefix="mptcp-oracle-"
                )
                self._file.write(self._memory)
                self._memory = bytearray()
            if self._file is None:
                self._memory += piece
            else:
                self._file.write(piece)
        except OSError as error:
            raise self._full(error) from error

    def finish(self) -> bytes | mmap.mmap:
        """Everything that was added.  The temporary file lives as long as its mapping.

        Raises:
            CaptureError: The temporary folder is full.
        """
        if self._file is None:
            return bytes(self._memory)
        try:
            self._file.flush()
            return mmap.mmap(self._file.fileno(), self.size, access=mmap.ACCESS_READ)
        except OSError as error:
            raise self._full(error) from error
        finally:
            self.close()

    def close(self) -> None:
        """Give up the temporary file; a mapping of it stays valid."""
        if self._file is not None:
            with suppress(OSError):  # what could not be written was reported already
                self._file.close()

    def _full(self, error: OSError) -> CaptureError:
        return CaptureError(
            "the capture cannot be unpacked to a temporary file",
            cause=f"{error.strerror or error} in {tempfile.gettempdir()}",
            hint="free space there, or set TMPDIR to a folder with room",
            file=self._name,
        )
