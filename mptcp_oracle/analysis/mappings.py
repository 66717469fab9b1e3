"""Declared mappings as a table (RFC 8684 section 3.3.1)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from mptcp_oracle.analysis.parts import column, has_bit
from mptcp_oracle.analysis.tables import Table, computed

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Array = NDArray[Any]
    Unsigned = NDArray[np.uint64]

__all__ = ["MappingTable"]


class MappingTable(Table):
    """One row a declared mapping, in capture order; a repetition right after it is no new one.

    A segment's ``mapping`` and ``declares`` are row numbers of this table.
    """

    def _raw(self, name: str) -> Array:
        return self.ground.mapping(name)

    def _of_half(self, name: str) -> Array:
        return self.ground.of_half[name][self._raw("half")]

    def _bit(self, bit: int) -> Array:
        return has_bit(self._raw("flags"), bit)

    @computed("uint32")
    def frame(self) -> Array:
        """Frame that declared it first, 1-based."""
        return self.ground.column("frame")[self._raw("row")]

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
        """Who declared it: 0 the initiator, 1 the listener."""
        return self._of_half("sender")

    @computed("bool")
    def from_source(self) -> Array:
        """Whether the end that is the subflow's ``source`` declared it."""
        return self._of_half("from_source")

    @computed("int64")
    def dsn(self) -> Array:
        """Relative DSN of its first octet."""
        return self._raw("dsn")

    @computed("uint32")
    def ssn(self) -> Array:
        """Subflow sequence number as the option has it, relative to the ISN modulo 2**32."""
        return self._raw("ssn")

    @computed("int64")
    def start(self) -> Array:
        """Subflow sequence number of its first octet, unwrapped, as ``sequence`` of segments."""
        return self._raw("start")

    @computed("uint16")
    def length(self) -> Array:
        """Data-level length as the option has it, the octet of a DATA_FIN included."""
        return self._raw("length")

    @computed("int64")
    def octets(self) -> Array:
        """Octets of payload it maps; 0 also for an infinite mapping."""
        length = self._raw("length").astype("int64")
        return length - ((length > 0) & self.data_fin)

    @computed("int64")
    def dsn_end(self) -> Array:
        """One past the relative DSN of its last octet; ``dsn`` if it maps none."""
        return self.dsn + self.octets

    @computed("bool")
    def data_fin(self) -> Array:
        """Whether it ends with a DATA_FIN."""
        return self._bit(0x10)

    @computed("bool")
    def infinite(self) -> Array:
        """Whether it is the infinite mapping of a fallback (RFC 8684 section 3.7)."""
        empty: Array = self._raw("length") == 0
        return empty & ~self.data_fin

    @computed("uint8", "0: implied by MP_CAPABLE")
    def dsn_size(self) -> Array:
        """Octets of the DSN on the wire, 4 or 8."""
        import numpy as np

        return np.where(self._bit(0x40), 0, np.where(self._bit(0x08), 8, 4))

    @computed("bool")
    def has_checksum(self) -> Array:
        """Whether it carries a checksum."""
        return self._bit(0x20)

    @computed("uint16", "0 where ``has_checksum`` is false")
    def checksum(self) -> Array:
        """The checksum as the option has it."""
        return self._raw("checksum")

    @computed("uint8")
    def check(self) -> Array:
        """The checksum's check: 0 not checked, 1 right, 2 wrong, 3 payload incomplete."""
        import numpy as np

        checked = column(self.ground.plane.checksum)
        return checked if len(checked) else np.zeros(len(self.frame), np.uint8)

    @computed("bool")
    def conflict(self) -> Array:
        """Whether it gives an octet another DSN than the mapping that covered it first.

        False for an infinite mapping.
        """
        return _conflicts(self)

    def absolute_dsn(self) -> Unsigned:
        """Absolute 64-bit DSN of each mapping's first octet."""
        import numpy as np

        direction = self.ground.half_direction[self._raw("half")]
        found: Unsigned = self.ground.base[direction] + self.dsn.astype(np.uint64)
        return found


def _conflicts(table: MappingTable) -> Array:
    """Which finite mappings cover an octet that an earlier one gave another DSN.

    The pieces say which mapping covered each octet first; consecutive pieces with one distance
    between DSN and sequence number are a run, and a mapping agrees if it lies in one run of its
    own distance.
    """
    import numpy as np

    ground = table.ground
    start, octets = table.start, table.octets
    delta = table.dsn - start
    low, high, owner = (column(values) for values in ground.plane.pieces.of("start", "end", "map"))
    half = ground.mapping("half")
    halves, deltas = half[owner], delta[owner]
    run = np.zeros(len(owner), np.int64)
    run[1:] = np.cumsum((halves[1:] != halves[:-1]) | (deltas[1:] != deltas[:-1]))
    result = np.zeros(len(half), np.bool_)
    mine = np.flatnonzero(octets > 0)
    begin, end = start[mine], start[mine] + octets[mine]
    # Places of all halves in one order: by half, then by how the sequence numbers compare.
    sizes = (len(mine), len(mine), len(low), len(high))
    places, ranks = np.unique(np.concatenate((begin, end, low, high)), return_inverse=True)
    ranks += np.concatenate((half[mine], half[mine], halves, halves)).astype(np.int64) * len(places)
    begin, end, low, high = np.split(ranks, np.cumsum(sizes[:-1]))
    first = high.searchsorted(begin, side="right")
    last = low.searchsorted(end) - 1
    mine, first, last = (values[first <= last] for values in (mine, first, last))
    result[mine] = (run[first] != run[last]) | (deltas[first] != delta[mine])
    return result
