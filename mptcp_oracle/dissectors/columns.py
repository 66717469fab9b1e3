"""What a table of a dissector's should have in it, by our facts: a column of texts a field.

Where a dissector's texts are those that are expected, which costs next to nothing to find out,
nothing else has to be looked at; elsewhere the facts of a frame are compared, value by value. So a
column may be silent about whatever is seldom, and it must never have a text for a value that is
not the one of the facts.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Sequence
from functools import cached_property
from typing import TYPE_CHECKING, Any, TypeAlias

from mptcp_oracle.constants import DSS_ACK, DSS_ACK8, DSS_DSN8, DSS_MAP, KIND_MPTCP, KIND_NOP
from mptcp_oracle.wire.columns import FLAG_BITS

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from mptcp_oracle.dissectors.rows import TraceView

    Array = NDArray[Any]

__all__ = ["UNSURE", "Chunk", "Column", "Key", "written"]

UNSURE = "\t"
"""Stands where a column does not say what is expected; between tabs no dissector can say it."""

SYN, RST, DATA_FIN = 0x02, 0x04, 0x10
FIXED = 20
#: Octets of a DSS beside its numbers; of a mapping without its DSN; of a checksum.
HEAD, MAPPED, SUM = 4, 6, 2
DSS = 2


class Chunk:
    """A part ``[low, high)`` of a trace's table of segments, as arrays of equal length.

    Attributes:
        view: Our facts of the trace. low, high: The part. rows: Rows of the segment columns.
    """

    def __init__(self, view: TraceView, low: int, high: int) -> None:
        """Take the facts of an open trace and a part of its table."""
        self.view, self.trace, self.low, self.high = view, view.trace, low, high
        self.rows = view.trace.ground.rows[low:high]
        self._texts: dict[Column, list[str]] = {}
        self._keys: dict[Key, Sequence[Hashable]] = {}

    def __len__(self) -> int:
        return self.high - self.low

    def texts(self, column: Column) -> list[str]:
        """A column's texts, found once."""
        if column not in self._texts:
            self._texts[column] = column(self)
        return self._texts[column]

    def keys(self, key: Key) -> Sequence[Hashable]:
        """What a field's values follow from, found once."""
        if key not in self._keys:
            self._keys[key] = key(self)
        return self._keys[key]

    def of(self, name: str) -> Array:
        """A column of the table of segments."""
        values: Array = getattr(self.trace.segments, name)[self.low : self.high]
        return values

    def raw(self, name: str) -> Array:
        """A column of the engine."""
        return self.trace.ground.column(name)[self.rows]

    def number(self, at: Array, octets: int) -> Array:
        """Numbers of so many octets in the capture, each beginning at an offset."""
        import numpy as np

        found = np.zeros(len(at), np.uint64)
        for place in range(octets):
            found = found << np.uint64(8) | self._data[at + place]
        return found

    @cached_property
    def frames(self) -> list[int]:
        """The frames."""
        found: list[int] = self.of("frame").tolist()
        return found

    @cached_property
    def half(self) -> Array:
        """The half of each: what one end of a subflow sends."""
        return self.raw("half")

    @cached_property
    def tcp(self) -> Array:
        """The offset of each TCP header in the capture."""
        return self.raw("offset") - self.raw("header")

    @cached_property
    def special(self) -> Array:
        """Which have other MPTCP options than one DSS of an ordinary form, or may have."""
        return self._walked[0]

    @cached_property
    def dss(self) -> Array:
        """The flags of its one DSS, 0x100 without one."""
        return self._walked[1]

    def has(self, bits: int) -> Array:
        """Which have a DSS with these flags."""
        found: Array = (self.dss & (0x100 | bits)) == bits
        return found

    @cached_property
    def data_ack(self) -> Array:
        """The DATA_ACK on the wire."""
        return self._wide(self._place + HEAD, DSS_ACK, DSS_ACK8)

    @cached_property
    def dsn(self) -> Array:
        """The DSN of the mapping on the wire."""
        return self._wide(self._mapping, DSS_MAP, DSS_DSN8)

    @cached_property
    def ssn(self) -> Array:
        """The subflow sequence number of the mapping."""
        return self._behind(0, 4)

    @cached_property
    def length(self) -> Array:
        """The data-level length of the mapping."""
        return self._behind(4, 2)

    @cached_property
    def checksum(self) -> Array:
        """The checksum, and -1 where there is none."""
        import numpy as np

        found = np.full(len(self), -1, np.int64)
        some = np.flatnonzero(self._summed)
        found[some] = self.number(self._mapping[some] + self._width(DSS_DSN8)[some] + MAPPED, SUM)
        return found

    @cached_property
    def direction(self) -> Array:
        """The direction of each: what a host of a connection sends."""
        found: Array = self.trace.ground.direction[self.rows]
        return found

    @cached_property
    def base(self) -> Array:
        """What its sender's absolute DSNs count from, where that is known."""
        found: Array = self.trace.ground.base[self.direction]
        return found

    @cached_property
    def _data(self) -> Array:
        import numpy as np

        return np.frombuffer(self.trace.capture.data, np.uint8)

    @cached_property
    def _walked(self) -> tuple[Array, Array, Array, Array]:
        """Which are special, the flags of the others' DSS, its place, and if it has a checksum."""
        import numpy as np

        data, flags = self._data, self.raw("flags")
        at, end = self.tcp + FIXED, self.raw("offset")
        special = (flags & (SYN | RST | FLAG_BITS["options_cut"])) != 0
        place, count = np.full(len(self), -1, np.int64), np.zeros(len(self), np.int64)
        live = np.flatnonzero(~special & (at < end))
        at = at[live]
        while len(live):
            kind = data[at]
            alone = kind == KIND_NOP
            whole = alone | (at + 1 < end[live]) & (kind != 0)
            size = np.where(alone, 1, data[np.where(whole & ~alone, at + 1, 0)])
            good = alone | whole & (size >= 2) & (at + size <= end[live])
            special[live[~good & (kind != 0)]] = True
            mine = good & (kind == KIND_MPTCP)
            place[live[mine]] = at[mine]
            count[live[mine]] += 1
            on = good & (at + size < end[live])
            live, at = live[on], (at + size)[on]
        special |= count > 1
        dss, summed = np.full(len(self), 0x100, np.int64), np.zeros(len(self), np.bool_)
        some = np.flatnonzero((count == 1) & ~special)
        at = place[some]
        size = data[at + 1].astype(np.int64)
        # Options are as long as they say; one of two octets has neither subtype nor flags.
        read = np.where(size >= HEAD, at, 0)
        found = data[read + 3].astype(np.int64)
        wanted = HEAD + _width(found, DSS_ACK, DSS_ACK8) + _width(found, DSS_MAP, DSS_DSN8)
        mapped = (found & DSS_MAP) != 0
        wanted += np.where(mapped, MAPPED, 0)
        good = (size >= HEAD) & (data[read + 2] == DSS << 4) & (found <= 0x1F)
        good &= mapped | (found & (DSS_DSN8 | DATA_FIN) == 0)
        good &= (found & DSS_ACK != 0) | (found & DSS_ACK8 == 0)
        good &= (size == wanted) | mapped & (size == wanted + SUM)
        special[some[~good]] = True
        dss[some[good]] = found[good]
        summed[some[good]] = (size != wanted)[good]
        return special, dss, place, summed

    @cached_property
    def _place(self) -> Array:
        return self._walked[2]

    @cached_property
    def _summed(self) -> Array:
        return self._walked[3]

    @cached_property
    def _mapping(self) -> Array:
        """Where the DSN stands."""
        found: Array = self._place + HEAD + self._width(DSS_ACK8)
        return found

    def _width(self, long: int) -> Array:
        """Octets of the DATA_ACK, or of the DSN, of each DSS."""
        return _width(self.dss, DSS_ACK if long == DSS_ACK8 else DSS_MAP, long)

    def _wide(self, at: Array, present: int, long: int) -> Array:
        """A number of 4 or 8 octets, 0 where there is none."""
        import numpy as np

        found = np.zeros(len(self), np.uint64)
        for octets, bits in ((4, 0), (8, long)):
            some = np.flatnonzero(self.has(present) & (self.dss & long == bits))
            found[some] = self.number(at[some], octets)
        return found

    def _behind(self, place: int, octets: int) -> Array:
        """A number behind the DSN, 0 where there is none."""
        import numpy as np

        found = np.zeros(len(self), np.uint64)
        some = np.flatnonzero(self.has(DSS_MAP))
        found[some] = self.number((self._mapping + self._width(DSS_DSN8))[some] + place, octets)
        return found


Column: TypeAlias = Callable[[Chunk], list[str]]
"""Gives the text that is expected for each segment; none if that is no value at all."""

Key: TypeAlias = Callable[[Chunk], Sequence[Hashable]]
"""Gives for each segment what its values follow from; equal keys have equal values."""


def written(
    values: Array, where: Array | None = None, write: Callable[[int], str] = str
) -> list[str]:
    """Numbers as texts, where there are any; nothing elsewhere."""
    texts = list(map(write, values.tolist()))
    if where is not None and not where.all():
        for at in (~where).nonzero()[0].tolist():
            texts[at] = ""
    return texts


def _width(flags: Array, present: int, long: int) -> Array:
    import numpy as np

    found: Array = np.where(flags & present, np.where(flags & long, 8, 4), 0)
    return found
