"""pcapng files (draft-ietf-opsawg-pcapng): sections, interfaces, comments, damage.

The records loop reads packet blocks and skips blocks of no interest; it hands blocks that
describe the file to this module.  Behind damage reading goes on at the next section header, if
there is one: no other place in a pcapng file can be told from packet octets.
"""

from __future__ import annotations

import re
import struct
from array import array
from collections.abc import Iterator
from typing import Literal, NamedTuple

from mptcp_oracle.errors import CaptureError
from mptcp_oracle.wire.batches import Frames
from mptcp_oracle.wire.interfaces import Comment, Interface
from mptcp_oracle.wire.reader import SPAN, Reader
from mptcp_oracle.wire.tally import Tally

__all__ = ["MAGIC", "MOST_COMMENTS", "MOST_COMMENT_OCTETS", "MOST_INTERFACES", "PcapngReader"]

MAGIC = b"\x0a\x0d\x0d\x0a"
"""First four octets of a section header, the same in either byte order."""

MOST_INTERFACES = 1 << 16
MOST_COMMENTS = 100_000
MOST_COMMENT_OCTETS = 16 << 20
"""What is kept of a file at most; what is beyond is counted in a note."""

_ORDERS = {b"\x4d\x3c\x2b\x1a": "<", b"\x1a\x2b\x3c\x4d": ">"}
_SECTION_HEAD = re.compile(rb"\x0a\x0d\x0d\x0a.{4}(?:\x4d\x3c\x2b\x1a|\x1a\x2b\x3c\x4d)", re.DOTALL)
_HEAD = 12
_SMALLEST = {"section": 28, "interface": 20, "statistics": 24}
_INTERFACE_BLOCK = 1
_COMMENT = 1
_IF_NAME, _IF_DESCRIPTION, _IF_TSRESOL, _IF_FCSLEN, _IF_TSOFFSET = 2, 3, 9, 13, 14
_DROPS = (5, 7)
_MOST = (1 << 62) - 1
_BILLION = 1_000_000_000


class _Clock(NamedTuple):
    """How to make nanoseconds of an interface's ticks, as the records loop takes it."""

    unit: str
    factor: int
    ticks: int


def _clock(resolution: int) -> _Clock:
    """Read if_tsresol: the exponent of 1/10, or of 1/2 if the highest bit is set."""
    exponent = resolution & 0x7F
    if resolution & 0x80:
        return _Clock("BINARY", exponent, 2**exponent)
    if exponent <= 9:
        return _Clock("MULTIPLY", 10 ** (9 - exponent), 10**exponent)
    if exponent <= 27:
        return _Clock("DIVIDE", 10 ** (exponent - 9), 10**exponent)
    # 64 bits of such ticks are less than two nanoseconds
    return _Clock("MULTIPLY", 0, 10**exponent)


class PcapngReader(Reader):
    """Frames of a pcapng file."""

    format = "pcapng"

    def __init__(self, data: memoryview, tally: Tally, name: str) -> None:
        """Read the first section header.

        Args:
            data: The file, beginning with :data:`MAGIC`.
            tally: Takes what is odd.
            name: The file, for errors.

        Raises:
            CaptureError: The first section header cannot be read.
        """
        super().__init__(data, tally)
        self._order = "<"
        self._table = array("q")
        self._first = 0
        self._sections = 0
        self._comment_octets = 0
        self._searching = False
        self._dropped: dict[tuple[int, int], int] = {}
        self._stated: set[int] = set()
        cause = self._begin_section(len(data))
        if cause is not None:
            raise CaptureError(
                "the pcapng section header cannot be read", cause=cause, file=name, offset=0
            )

    def fill(self, frames: Frames, end: int) -> int:
        """Read the next batch, see :meth:`Reader.fill`."""
        beyond = self.position + SPAN
        count = 0
        while not (count or self.done or self.position >= beyond):
            if self._searching:
                self._search(end)
            else:
                count = self._read(frames, end)
        return count

    def _read(self, frames: Frames, end: int) -> int:
        """Read packet blocks up to the next block that is none, and that one too."""
        count: int = self._loop.pcapng_blocks(
            self.data,
            end,
            self.position + SPAN,
            frames.size,
            self._order == ">",
            self._table,
            self._first,
            len(self.interfaces) - self._first,
            self._state,
            frames.offset,
            frames.captured,
            frames.wire,
            frames.time,
            frames.interface,
            frames.direction,
            frames.ifindex,
            frames.marks,
        )
        self._look_at_marks(frames, count)
        self.frames += count
        status = self.status
        if status == self._codes["FINISHED"]:
            self.done = True
        elif status == self._codes["BLOCK"]:
            self._describe(end)
        elif status == self._codes["CUT"]:
            self._resume(
                "truncated-file",
                f"the file ends inside a block at offset {self.position}, "
                f"behind frame {self.frames}",
            )
        elif status == self._codes["DAMAGED"]:
            self._resume(
                "bad-block",
                f"the lengths of the block at offset {self.position}, behind frame "
                f"{self.frames}, are impossible",
            )
        return count

    def _resume(self, code: str, text: str) -> None:
        """Count damage at the position and look for a section header behind it."""
        self.tally.count(code, self.frames + 1, text=text)
        self._searching = True
        self.position += 1

    def _search(self, end: int) -> None:
        """Look through one span for a whole section header; go on there, else in the next."""
        begin = self.position
        beyond = min(end, begin + SPAN)
        with self.data[begin : min(end, beyond + _HEAD)] as span:
            for found in _SECTION_HEAD.finditer(span):
                if self._section_size(begin + found.start(), end) is not None:
                    self.position = begin + found.start()
                    self._searching = False
                    return
        self.position = beyond
        self.done = beyond == end

    def _describe(self, end: int) -> None:
        """Read the block at the position, which holds no frame."""
        if self.data[self.position : self.position + 4] == MAGIC:
            cause = self._begin_section(end)
            if cause is not None:
                self._resume("bad-section", f"{cause} (offset {self.position})")
            return
        kind, size = struct.unpack_from(self._order + "II", self.data, self.position)
        if kind == _INTERFACE_BLOCK:
            self._add_interface(size)
        else:  # the records loop hands over no other block than interface statistics
            self._add_statistics(size)
        self.position += size

    def _section_size(self, at: int, end: int) -> int | None:
        """Length of the section header at ``at``, or ``None`` if it is not whole."""
        order = _ORDERS.get(bytes(self.data[at + 8 : at + 12]))
        if order is None or end - at < _SMALLEST["section"]:
            return None
        (size,) = struct.unpack_from(order + "I", self.data, at + 4)
        if size < _SMALLEST["section"] or size % 4 or size > end - at:
            return None
        (again,) = struct.unpack_from(order + "I", self.data, at + size - 4)
        return int(size) if again == size else None

    def _begin_section(self, end: int) -> str | None:
        """Enter the section whose header is at the position; the cause if it cannot be read."""
        at = self.position
        order = _ORDERS.get(bytes(self.data[at + 8 : at + 12]))
        if order is None:
            return "the section header's byte-order magic is wrong"
        size = self._section_size(at, end)
        if size is None:
            return "the section header's length is impossible"
        major, minor = struct.unpack_from(order + "HH", self.data, at + 12)
        if major != 1:
            return f"the section has pcapng version {major}.{minor}, only 1.x is known"
        self._order = order
        self._first = len(self.interfaces)
        self._sections += 1
        for code, value in self._options(at + 24, at + size - 4):
            if code == _COMMENT:
                self._add_comment("section", None, value)
        self.position = at + size
        return None

    def _add_interface(self, size: int) -> None:
        """Read the interface description block at the position."""
        at = self.position
        if len(self.interfaces) >= MOST_INTERFACES:
            self.tally.count("too-many-interfaces")
            return
        if size < _SMALLEST["interface"]:
            # It still takes a number, so that the numbers of the others keep their meaning.
            self.tally.count("bad-interface", text=f"the interface at offset {at} is cut")
            self._append(Interface(linktype=0xFFFF, snaplen=0, section=self._sections - 1), 6)
            return
        linktype, _, snaplen = struct.unpack_from(self._order + "HHI", self.data, at + 8)
        texts: dict[int, str] = {}
        numbers = {_IF_TSRESOL: 6, _IF_FCSLEN: 0, _IF_TSOFFSET: 0}
        for code, value in self._options(at + 16, at + size - 4):
            if code == _COMMENT:
                self._add_comment("interface", None, value)
            elif code in (_IF_NAME, _IF_DESCRIPTION):
                texts.setdefault(code, bytes(value).rstrip(b"\0").decode("utf-8", "replace"))
            elif code in (_IF_TSRESOL, _IF_FCSLEN) and len(value) == 1:
                numbers[code] = value[0]
            elif code == _IF_TSOFFSET and len(value) == 8:
                (numbers[code],) = struct.unpack(self._order + "q", value)
        resolution = numbers[_IF_TSRESOL]
        fcs = numbers[_IF_FCSLEN]
        self._append(
            Interface(
                linktype=linktype,
                snaplen=snaplen,
                name=texts.get(_IF_NAME),
                description=texts.get(_IF_DESCRIPTION),
                section=self._sections - 1,
                ticks=_clock(resolution).ticks,
                offset=numbers[_IF_TSOFFSET],
                # Written in octets by some and in bits by others; no link has 8 octets of it.
                fcs=fcs if fcs < 8 else fcs // 8,
            ),
            resolution,
        )

    def _append(self, interface: Interface, resolution: int) -> None:
        clock = _clock(resolution)
        offset = max(-_MOST, min(_MOST, interface.offset * _BILLION))
        self.add_interface(interface)
        self._table.extend((interface.snaplen, self._codes[clock.unit], clock.factor, offset))

    def _add_statistics(self, size: int) -> None:
        """Read the interface statistics block at the position: did the host drop frames?"""
        if size < _SMALLEST["statistics"]:
            self.tally.count("bad-block", self.frames + 1)
            return
        (which,) = struct.unpack_from(self._order + "I", self.data, self.position + 8)
        dropped = 0
        for code, value in self._options(self.position + 20, self.position + size - 4):
            if code == _COMMENT:
                self._add_comment("statistics", None, value)
            elif code in _DROPS and len(value) == 8:
                dropped += struct.unpack(self._order + "Q", value)[0]
                self._stated.add(self._first + which)
        # The numbers count from the beginning of the capture, so that a later block includes
        # what an earlier one said of the same interface.
        more = dropped - self._dropped.get((self._first, which), 0)
        if more > 0:
            self._dropped[self._first, which] = dropped
            self.tally.count("packets-dropped", times=more)

    @property
    def whole(self) -> bool:
        """Whether interface statistics say of each interface that nothing was dropped."""
        stated = self._stated.issuperset(range(len(self.interfaces)))
        return stated and bool(self.interfaces) and not self._dropped

    def _options(
        self, at: int, end: int, *, counted: bool = False
    ) -> Iterator[tuple[int, memoryview]]:
        """Code and value of each option in ``[at, end)``; ``counted``: damage is known already."""
        while end - at >= 4:
            code, size = struct.unpack_from(self._order + "HH", self.data, at)
            at += 4
            if code == 0:
                return
            if size > end - at:
                break
            yield code, self.data[at : at + size]
            at += (size + 3) & ~3
        if at != end and not counted:
            self.tally.count("bad-option")

    def _add_comment(
        self,
        scope: Literal["section", "interface", "statistics", "packet"],
        frame: int | None,
        octets: memoryview,
    ) -> None:
        self._comment_octets += len(octets)
        if len(self.comments) >= MOST_COMMENTS or self._comment_octets > MOST_COMMENT_OCTETS:
            self.tally.count("comments-dropped", frame)
            return
        text = bytes(octets).decode("utf-8", "replace")
        self.comments.append(Comment(scope=scope, frame=frame, text=text))

    def _look_at_marks(self, frames: Frames, count: int) -> None:
        """Follow up what the records loop only marked; most batches have no mark at all."""
        marks = frames.marks[:count].tobytes()
        if not marks.strip(b"\0"):
            return
        codes = self._codes
        for found in re.finditer(rb"[^\0]", marks):
            i = found.start()
            mark = marks[i]
            frame = self.frames + i + 1
            if mark & codes["NO_TIME"]:
                self.tally.count("no-timestamp", frame)
            if mark & codes["BAD_OPTIONS"]:
                self.tally.count("bad-option", frame)
            if mark & codes["HAS_COMMENT"]:
                begin = frames.offset[i]
                (size,) = struct.unpack_from(self._order + "I", self.data, begin - 24)
                end = begin - 28 + size - 4
                at = begin + ((frames.captured[i] + 3) & ~3)
                for code, value in self._options(at, end, counted=True):
                    if code == _COMMENT:
                        self._add_comment("packet", frame, value)
