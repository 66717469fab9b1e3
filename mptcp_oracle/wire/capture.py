"""Read a capture: from a source to batches of TCP segments.

>>> from mptcp_oracle.wire.capture import open_capture
>>> with open_capture("eth0.pcapng") as capture:  # doctest: +SKIP
...     for packets in capture.packets():
...         for i in range(packets.n):
...             print(packets.frame[i], packets.length[i])

What is no capture raises :class:`~mptcp_oracle.errors.CaptureError` when it is opened.  Damage
inside one is counted in :attr:`Capture.notes`, and everything that can be read is.
"""

from __future__ import annotations

from array import array
from collections.abc import Iterator
from contextlib import suppress
from types import TracebackType
from typing import Literal, Self

from mptcp_oracle.engine import loops
from mptcp_oracle.errors import CaptureError, UsageError
from mptcp_oracle.wire.batches import Frames, Packets
from mptcp_oracle.wire.contents import Contents
from mptcp_oracle.wire.formats import reader_for
from mptcp_oracle.wire.interfaces import Comment, Interface
from mptcp_oracle.wire.links import link_name, supported
from mptcp_oracle.wire.notes import Note
from mptcp_oracle.wire.source import Frame, Source, contents_of
from mptcp_oracle.wire.spool import SPOOL_LIMIT, spool_limit
from mptcp_oracle.wire.tally import Tally

__all__ = [
    "BATCH",
    "SPOOL_LIMIT",
    "Capture",
    "Comment",
    "Frame",
    "Interface",
    "Packets",
    "Source",
    "open_capture",
]

BATCH = 8192
"""Most frames in a batch, unless the caller says otherwise."""

_MOST_BATCH = 1 << 20
_UNKNOWN_LINK = "unknown-linktype"


class Capture:
    """An open capture.  Use it as a context manager, or call :meth:`close`.

    Attributes:
        name: What the caller called it, or its path.
        data: All its octets (unpacked, if they were compressed), read-only.
        format: ``"pcap"`` or ``"pcapng"``.
    """

    def __init__(self, name: str, contents: Contents, source_notes: Tally) -> None:
        """Take over opened contents; :func:`open_capture` is the way to get here.

        Raises:
            CaptureError: They are no capture.
        """
        self.name = name
        self.data = contents.data
        self._contents = contents
        self._source_notes = source_notes
        self._engine = loops()
        self._closed = False
        self._begin()
        self.format: Literal["pcap", "pcapng"] = self._reader.format

    def _begin(self) -> None:
        self._tally = Tally()
        self._shrank = False
        end = self._end()
        self._reader = reader_for(self.data[:end], self._tally, self.name)
        reasons = len(self._engine.packets.REASONS)
        self._counts = array("q", bytes(8 * reasons))
        self._firsts = array("q", bytes(8 * reasons))

    @property
    def size(self) -> int:
        """Octets of :attr:`data`, fixed when the capture was opened."""
        return self._contents.size

    @property
    def frames(self) -> int:
        """Frames read so far, whatever they held."""
        return self._reader.frames

    @property
    def interfaces(self) -> list[Interface]:
        """The interfaces described so far; columns refer to them by index."""
        return self._reader.interfaces

    @property
    def comments(self) -> list[Comment]:
        """The comments met so far, in the order of the file."""
        return self._reader.comments

    @property
    def whole(self) -> bool:
        """Whether the file states of each interface that the capturing host dropped no frame."""
        return self._reader.whole

    @property
    def notes(self) -> list[Note]:
        """What was odd so far: the source first, then the file format, then the frames."""
        frames = Tally()
        for code, count, first in zip(
            self._engine.packets.REASONS, self._counts, self._firsts, strict=True
        ):
            if count:
                frames.count(code, first, times=count, text=self._text(code))
        return [*self._source_notes, *self._tally, *frames]

    def _text(self, code: str) -> str | None:
        if code != _UNKNOWN_LINK:
            return None
        types = sorted({item.linktype for item in self.interfaces if not supported(item.linktype)})
        names = ", ".join(link_name(linktype) for linktype in types[:5])
        return f"frames with a link type that is not supported were skipped: {names}"

    def sha256(self) -> str:
        """Hexadecimal SHA-256 of the source as it was given (compressed, if it was).

        Waits for the thread that has been computing it since the capture was opened.

        Raises:
            CaptureError: The source can no longer be read, or the capture was closed too early.
        """
        try:
            return self._contents.digest.hexdigest()
        except (OSError, ValueError) as error:
            raise CaptureError(
                "the capture's SHA-256 cannot be computed", cause=str(error), file=self.name
            ) from error

    def packets(self, batch: int = BATCH) -> Iterator[Packets]:
        """Read the capture from its beginning, batch by batch.

        Each call begins anew, and with it the counts, comments and notes.

        Args:
            batch: Most frames in a batch.

        Yields:
            The same object again and again, filled anew: copy what must last.  A batch may hold
            no segment; the last one has ``position == size`` unless reading ended at damage.

        Raises:
            UsageError: ``batch`` is not in ``[1, 2^20]``, or the capture is closed.
        """
        if self._closed:
            raise UsageError("the capture is closed", hint="read it inside its with statement")
        if not 1 <= batch <= _MOST_BATCH:
            raise UsageError(f"a batch has 1 to {_MOST_BATCH} frames", cause=f"got {batch}")
        if self.frames or self._reader.done:
            self._begin()
        return self._batches(batch)

    def _batches(self, batch: int) -> Iterator[Packets]:
        reader = self._reader
        frames = Frames(batch)
        packets = Packets(batch)
        columns = [getattr(packets, name) for name, _ in Packets.COLUMNS]
        find_segments = self._engine.packets.find_segments
        while not reader.done:
            before = reader.frames
            packets.frames = reader.fill(frames, min(self._end(), len(reader.data)))
            packets.position = reader.position
            packets.n = find_segments(
                self.data,
                packets.frames,
                before + 1,
                frames.offset,
                frames.captured,
                frames.wire,
                frames.time,
                frames.interface,
                frames.direction,
                frames.ifindex,
                reader.links,
                reader.checks,
                self._counts,
                self._firsts,
                *columns,
            )
            yield packets
            self._contents.drop(reader.position)

    def _end(self) -> int:
        """Octets that can be read now: less than its size if it was cut short."""
        end = self._contents.left()
        if end < self.size and not self._shrank:
            self._shrank = True
            self._tally.count("file-shrank")
        return end

    def close(self) -> None:
        """Release the file and stop hashing.  What was counted stays readable."""
        self._closed = True
        with suppress(BufferError):
            self._reader.data.release()
        self._contents.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()


def open_capture(
    source: Source,
    *,
    linktype: int | None = None,
    name: str | None = None,
    spool_limit: int | None = None,
) -> Capture:
    """Open a capture: pcap or pcapng, plain or compressed with gzip or zstd.

    A regular file is mapped, not copied, with the size it has now.  Everything else that is
    larger than 4 MiB is first held in an unlinked temporary file (in ``TMPDIR``).

    Args:
        source: A path (``"-"`` is standard input), the capture's octets, a binary file, or an
            iterable of (time in seconds since the epoch, octets of the frame).
        linktype: Link type of an iterable's frames, such as 1 for Ethernet or 101 for raw IP.
        name: What to call the capture in results and errors.
        spool_limit: Most octets to hold of a stream or unpacked data; by default 16 GiB, or what
            the environment variable ``MPTCP_ORACLE_SPOOL_LIMIT`` says.

    Raises:
        CaptureError: It is missing, empty, no capture, or exceeds the limit.
        UsageError: ``source`` is nothing that holds a capture, or an argument does not fit it.
    """
    tally = Tally()
    label, contents = contents_of(
        source, linktype=linktype, name=name, limit=_limit(spool_limit), tally=tally
    )
    try:
        return Capture(label, contents, tally)
    except BaseException:
        contents.close()
        raise


_limit = spool_limit
