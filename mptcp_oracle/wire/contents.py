"""Where a capture's octets live: in memory if they are few, else mapped from a file.

A regular file is mapped with the size it had when it was opened; what is appended later is not
read.  A mapped page of a file that somebody cuts short cannot be read any more, and the kernel
answers with SIGBUS, which no Python program survives.  Two things keep that away: files up to
:data:`IN_MEMORY` are read at once, and :meth:`Contents.left` asks the file for its size before
each batch.  A file that is cut in the very moment of reading can still end the process.
"""

from __future__ import annotations

import hashlib
import io
import mmap
import os
import threading
from collections.abc import Callable

__all__ = ["CHUNK", "IN_MEMORY", "Contents", "Digest"]

IN_MEMORY = 4 << 20
"""Sources of at most this many octets are held in memory."""

CHUNK = 16 << 20
"""Octets hashed in one step: long enough that the hashing thread rarely needs the GIL."""


class Digest:
    """The SHA-256 of a source's octets as they were given, computed beside the analysis."""

    def __init__(self, compute: Callable[[threading.Event], str], *, background: bool) -> None:
        self._compute = compute
        self._stop = threading.Event()
        self._value: str | None = None
        self._error: OSError | None = None
        self._thread: threading.Thread | None = None
        if background:
            # A daemon, so that a hash in progress never delays the end of the process.
            self._thread = threading.Thread(target=self._run, name="sha256", daemon=True)
            self._thread.start()

    @classmethod
    def of_octets(cls, octets: bytes | memoryview) -> Digest:
        """Hash octets in memory, when asked."""
        return cls(lambda _: hashlib.sha256(octets).hexdigest(), background=False)

    @classmethod
    def known(cls, value: str) -> Digest:
        """A digest that was computed while the octets came in."""
        return cls(lambda _: value, background=False)

    @classmethod
    def of_file(cls, descriptor: int, size: int) -> Digest:
        """Hash the first ``size`` octets of an open file, at once and in a thread.

        Takes over the descriptor, whose position is neither used nor moved.
        """

        def compute(stop: threading.Event) -> str:
            try:
                found = hashlib.sha256()
                buffer = memoryview(bytearray(min(CHUNK, size) or 1))
                done = 0
                while done < size and not stop.is_set():
                    read = os.preadv(descriptor, [buffer[: size - done]], done)
                    if not read:
                        break
                    found.update(buffer[:read])
                    done += read
                return found.hexdigest()
            finally:
                os.close(descriptor)

        return cls(compute, background=True)

    def _run(self) -> None:
        try:
            self._value = self._compute(self._stop)
        except OSError as error:
            self._error = error

    def hexdigest(self) -> str:
        """The digest; waits for the thread.

        Raises:
            OSError: The file could not be read again.
            ValueError: The capture was closed before the digest was complete.
        """
        if self._thread is not None:
            self._thread.join()
        elif self._value is None:
            self._run()
        if self._error is not None:
            raise self._error
        if self._value is None or self._stop.is_set():
            raise ValueError("the capture was closed before its SHA-256 was complete")
        return self._value

    def close(self) -> None:
        """Let the thread end after its current chunk; a digest already complete stays."""
        if self._thread is not None and self._thread.is_alive():
            self._stop.set()


class Contents:
    """A capture's octets.

    Attributes:
        data: The octets; valid until :meth:`close`.
        size: Their number, fixed when the source was opened.
        digest: The SHA-256 of the source as it was given (compressed if it was).
    """

    def __init__(
        self,
        octets: bytes | memoryview | mmap.mmap,
        digest: Digest,
        *,
        file: io.FileIO | None = None,
    ) -> None:
        """Hold octets.

        Args:
            octets: What to hold.
            digest: Its digest, closed together with it.
            file: The file that is mapped, if others can change it; closed together with it.
        """
        self._mapping = octets if isinstance(octets, mmap.mmap) else None
        self._file = file
        self._dropped = 0
        self.data = memoryview(octets).cast("B")
        self.size = len(self.data)
        self.digest = digest
        if self._mapping is not None:
            self._mapping.madvise(mmap.MADV_SEQUENTIAL)

    def left(self) -> int:
        """Octets that can still be read: ``size``, or less if the file was cut short since."""
        if self._file is None:
            return self.size
        return min(self.size, os.fstat(self._file.fileno()).st_size)

    def drop(self, position: int) -> None:
        """Give mapped pages before ``position`` back; reading them again brings them back."""
        if self._mapping is None:
            return
        end = position - position % mmap.PAGESIZE
        if end > self._dropped:
            self._mapping.madvise(mmap.MADV_DONTNEED, self._dropped, end - self._dropped)
            self._dropped = end

    def close(self) -> None:
        """Release the octets and stop hashing.  Views that are still in use keep them alive."""
        self.digest.close()
        if self._file is not None:
            self._file.close()
            self._file = None
        try:
            self.data.release()
            if self._mapping is not None:
                self._mapping.close()
        except BufferError:
            pass  # somebody still looks at them: they go when the last view goes
        self._mapping = None
