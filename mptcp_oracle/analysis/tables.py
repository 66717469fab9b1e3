"""The data plane as tables: NumPy columns of segments; mappings and transmissions build on it.

``pandas.DataFrame(table.columns())`` and ``pyarrow.table(table.columns())`` take them as they are.
Columns are attributes, read-only, made when they are first asked for, and kept; those that the
engine filled share its memory. Frame numbers are 1-based, times are nanoseconds since the epoch,
everything else is octets or counts; ranges are half-open; DSNs and sequence numbers are relative
(the first octet is 1) and a method gives the absolute ones.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, NamedTuple, overload

from mptcp_oracle.analysis.copies import count_copies
from mptcp_oracle.analysis.ground import Ground
from mptcp_oracle.analysis.parts import DUPLICATE, has_bit

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Array = NDArray[Any]
    Unsigned = NDArray[np.uint64]

__all__ = ["Column", "SegmentTable", "Table", "computed"]

SYN = 0x02


class Column(NamedTuple):
    """What a column holds.

    Attributes:
        name: Its name. dtype: NumPy's name of its type.
        meaning: What it is, with its unit. absent: What a cell without a value holds, or ``""``.
    """

    name: str
    dtype: str
    meaning: str
    absent: str


class computed:  # noqa: N801 - a decorator
    """A column as a method of its table: computed once, of a fixed type, read-only."""

    def __init__(self, dtype: str, absent: str = "") -> None:
        self.dtype = dtype
        self.absent = absent

    def __call__(self, function: Callable[[Any], Array]) -> computed:
        """Take the method that computes the column."""
        self.function = function
        self.__doc__ = function.__doc__
        self.name = function.__name__
        return self

    @overload
    def __get__(self, table: None, owner: type[Table]) -> computed: ...
    @overload
    def __get__(self, table: Table, owner: type[Table]) -> Array: ...
    def __get__(self, table: Table | None, owner: type[Table]) -> computed | Array:
        """The column's values; seen from the class, the column itself."""
        import numpy as np

        if table is None:
            return self
        values = np.asarray(self.function(table), dtype=self.dtype)
        if values.flags.writeable:
            values.flags.writeable = False
        # From now on the attribute is the array itself.
        table.__dict__[self.name] = values
        return values

    @property
    def description(self) -> Column:
        """What the column holds."""
        text = " ".join((self.__doc__ or "").split())
        return Column(self.name, self.dtype, text, self.absent)


class Table:
    """Columns of equal length; ``len()`` is the number of rows.

    Attributes:
        ground: What it is computed from.
    """

    def __init__(self, ground: Ground) -> None:
        self.ground = ground

    @classmethod
    def describe(cls) -> tuple[Column, ...]:
        """What each column holds, in order."""
        return tuple(item.description for item in vars(cls).values() if isinstance(item, computed))

    def columns(self) -> dict[str, Array]:
        """All columns by name; computes those that nobody asked for yet."""
        return {item.name: getattr(self, item.name) for item in self.describe()}

    def __len__(self) -> int:
        return len(getattr(self, self.describe()[0].name))


class SegmentTable(Table):
    """One row a segment of an MPTCP subflow, in capture order.

    Segments that the capture holds twice have a row each; the later one is a ``duplicate``, and
    counts for nothing else.
    """

    def _raw(self, name: str) -> Array:
        """A column of the engine: its own memory if every segment is in the table."""
        values = self.ground.column(name)
        whole = len(self.ground.rows) == len(values)
        return values if whole else values[self.ground.rows]

    def _of_half(self, name: str) -> Array:
        return self.ground.of_half[name][self._raw("half")]

    @computed("uint32")
    def frame(self) -> Array:
        """Frame number, 1-based."""
        return self._raw("frame")

    @computed("int64")
    def time(self) -> Array:
        """Time of capture in nanoseconds since the epoch."""
        return self._raw("time")

    @computed("int32")
    def connection(self) -> Array:
        """Id of the connection; negative: stands for that of an unattached subflow."""
        return self._of_half("connection")

    @computed("int32")
    def subflow(self) -> Array:
        """Id of the subflow."""
        return self._of_half("subflow")

    @computed("int8", "-1: roles not known")
    def sender(self) -> Array:
        """Who sent it: 0 the initiator, 1 the listener."""
        return self._of_half("sender")

    @computed("bool")
    def from_source(self) -> Array:
        """Whether the end that is the subflow's ``source`` sent it."""
        return self._of_half("from_source")

    @computed("uint16")
    def flags(self) -> Array:
        """TCP flags, nine bits, FIN is 1."""
        return self._raw("flags") & 0x1FF

    @computed("int64")
    def sequence(self) -> Array:
        """Sequence number relative to the ISN, in octets; without one, to the first segment's."""
        # The engine has the place of the payload, which is one behind a SYN.
        place, flags = self._raw("sequence"), self._raw("flags")
        behind = has_bit(flags, SYN) & (self._raw("length") > 0)
        return place - behind if behind.any() else place

    @computed("int64", "-1: no flag ACK, or the peer's ISN is not known")
    def ack(self) -> Array:
        """Acknowledgment number relative to the peer's ISN, in octets."""
        return self.ground.relative_ack[self.ground.rows]

    @computed("uint16")
    def window(self) -> Array:
        """Window field, unscaled."""
        return self._raw("window")

    @computed("uint32")
    def payload(self) -> Array:
        """Octets of payload on the wire."""
        return self._raw("length")

    @computed("uint32")
    def captured(self) -> Array:
        """Octets of payload in the capture."""
        return self._raw("captured")

    @computed("int8", "-1: the capture does not say")
    def outgoing(self) -> Array:
        """1 if the capturing host sent it, 0 if it received it."""
        import numpy as np

        flags = self._raw("flags")
        return np.where(flags & 0x2000, 1, np.where(flags & 0x4000, 0, -1))

    @computed("bool")
    def duplicate(self) -> Array:
        """Whether the capture holds the same segment before, as captures of "any" do."""
        return has_bit(self._raw("flags"), DUPLICATE)

    @computed("bool")
    def has_data_ack(self) -> Array:
        """Whether it carries a DATA_ACK."""
        return has_bit(self._raw("dss"), 1)

    @computed("int64", "-1 where ``has_data_ack`` is false")
    def data_ack(self) -> Array:
        """Relative DATA_ACK."""
        import numpy as np

        return np.where(self.has_data_ack, self._raw("data_ack"), -1)

    @computed("bool")
    def mapped(self) -> Array:
        """Whether a mapping covers any of its payload."""
        import numpy as np

        found = np.zeros(self.ground.wire.segments.rows, np.bool_)
        found[self.ground.parts.row[self._first]] = True
        return found[self.ground.rows]

    @computed("int64", "-1 where ``mapped`` is false")
    def dsn(self) -> Array:
        """Relative DSN of its first mapped octet."""
        parts = self.ground.parts
        return self._spread(parts.start + parts.delta)

    @computed("int64", "-1 where ``mapped`` is false")
    def dsn_end(self) -> Array:
        """One past the last of the consecutive DSNs that begin with ``dsn``."""
        import numpy as np

        parts, first = self.ground.parts, self._first
        stop = np.ones(len(parts), np.bool_)
        stop[:-1] = (parts.row[1:] != parts.row[:-1]) | (parts.delta[1:] != parts.delta[:-1])
        stop[:-1] |= parts.mapping[1:] < 0
        last = np.flatnonzero(stop)
        found = np.zeros(len(parts), np.int64)
        found[first] = (parts.end + parts.delta)[last[last.searchsorted(first)]]
        return self._spread(found)

    @computed("int32", "-1: none")
    def mapping(self) -> Array:
        """Row of the mapping table that covers its first mapped octet."""
        return self._spread(self.ground.parts.mapping)

    @computed("int32", "-1: none")
    def declares(self) -> Array:
        """Row of the mapping table that its own option declares or repeats."""
        return self._raw("mapping")

    @computed("uint32", "0: none")
    def announced(self) -> Array:
        """First frame that announced ``mapping``."""
        import numpy as np

        row = self.ground.mapping("row")
        if not len(row):
            return np.zeros(len(self.mapping), np.uint32)
        frame = self.ground.column("frame")[row]
        return np.where(self.mapping >= 0, frame[self.mapping], 0)

    @computed("uint32", "0: none")
    def previous(self) -> Array:
        """Frame of the nearest earlier segment that carried any of its DSNs."""
        import numpy as np

        row = self._raw("previous").astype(np.int64)
        frame = self.ground.column("frame")
        return np.where(row > 0, frame[row - 1], 0) if len(frame) else row

    @computed("uint32")
    def copies(self) -> Array:
        """How many earlier segments carried any of its DSNs."""
        parts, mine = self.ground.parts, self.ground.carries
        row = parts.row[mine]
        counts = count_copies(
            row,
            self.ground.direction[row],
            (parts.start + parts.delta)[mine],
            (parts.end + parts.delta)[mine],
            self.ground.wire.segments.rows,
        )
        return counts[self.ground.rows]

    @computed("uint8", "0: no payload, or a duplicate")
    def kind(self) -> Array:
        """Its transmission classes, bit ``1 << i`` for ``facts.CLASSES[i]``."""
        return self._raw("kind")

    @property
    def _first(self) -> Array:
        """Index of the first mapped part of each segment that has one."""
        import numpy as np

        mapped = np.flatnonzero(self.ground.parts.mapping >= 0)
        row = self.ground.parts.row[mapped]
        return mapped[np.flatnonzero(np.diff(row, prepend=-1))]

    def _spread(self, values: Array) -> Array:
        """A value of each segment's first mapped part; -1 where there is none."""
        import numpy as np

        found = np.full(self.ground.wire.segments.rows, -1, np.int64)
        first = self._first
        found[self.ground.parts.row[first]] = values[first]
        return found[self.ground.rows]

    def absolute_dsn(self) -> Unsigned:
        """Absolute 64-bit DSN of each segment's first mapped octet; 0 where nothing is mapped."""
        return self._absolute(self.dsn, self.mapped, 0)

    def absolute_data_ack(self) -> Unsigned:
        """Absolute 64-bit DATA_ACK of each segment; 0 where there is none."""
        return self._absolute(self.data_ack, self.has_data_ack, 1)

    def _absolute(self, relative: Array, known: Array, other: int) -> Unsigned:
        import numpy as np

        base = self.ground.base[self.ground.direction[self.ground.rows] ^ other]
        return np.where(known, base + relative.astype(np.uint64), np.uint64(0))
