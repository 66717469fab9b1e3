"""The peer's stream at one connection of the stack: mappings, checksums, and order."""

from __future__ import annotations

from typing import TYPE_CHECKING

from mptcp_oracle import crypto
from mptcp_oracle.constants import DSS_ACK, DSS_ACK8
from mptcp_oracle.live.peer.segment import MASK_32, URG, Segment
from mptcp_oracle.live.stack.subflow import INTERFERENCE, MPTCP_ERROR, WINDOW, Subflow
from mptcp_oracle.options import Dss, MpCapable, MpFail
from mptcp_oracle.seq import extend, signed_distance

if TYPE_CHECKING:
    from mptcp_oracle.live.stack.session import Session

__all__ = ["Incoming"]

MASK_64 = (1 << 64) - 1


class Incoming:
    """The peer's stream; DSNs are relative, the first octet has 1.

    Attributes:
        expected: DSN of what it gets next. fin: DSN of the peer's DATA_FIN, 0 without one.
        ended: Whether all of the stream is there.
    """

    def __init__(self, session: Session) -> None:
        self.session = session
        self.expected, self.fin, self.ended = 1, 0, False
        self._inbox = bytearray()
        self._pending: dict[int, int] = {}
        self._maps: dict[Subflow, list[tuple[int, int, int, int]]] = {}
        self._held: dict[tuple[Subflow, int], bytearray] = {}
        self._low, self._wraps = -1, 0

    def read(self) -> bytes:
        """Give what arrived."""
        found = bytes(self._inbox)
        self._inbox.clear()
        return found

    def map(self, flow: Subflow, option: Dss, segment: Segment) -> None:
        """Note the mapping of a DSS."""
        if option.dsn is None or option.ssn is None or option.dll is None:
            return
        stray = option.flags & DSS_ACK8 and not option.flags & DSS_ACK
        if stray and "size-flags-heeded" in self.session.faults:
            return
        wrong = (option.checksum is not None) != self.session.checksum
        if wrong and option.dll and "checksum-presence-not-checked" not in self.session.faults:
            flow.reset(MPTCP_ERROR)
            return
        dsn = self._dsn(option.dsn, option.dsn_size)
        if dsn is None:
            return
        if not option.dll:
            self.session.fall_back()
            return
        if option.data_fin:
            self.fin = dsn + option.dll - 1
            self._advance()
            if not segment.payload:
                flow.acknowledge()
        if option.dll - option.data_fin:
            self._note(flow, option.ssn, dsn, option.dll, option.checksum)

    def map_first(self, flow: Subflow, option: MpCapable) -> None:
        """Note the mapping of an MP_CAPABLE with data."""
        if option.data_length:
            if self.session.next > 1 and "crossing-data-refused" in self.session.faults:
                return
            self._note(flow, 1, 1, option.data_length, option.checksum)

    def _note(self, flow: Subflow, ssn: int, dsn: int, length: int, checksum: int | None) -> None:
        maps = self._maps.setdefault(flow, [])
        made = (ssn, dsn, length, -1 if checksum is None else checksum)
        if made in maps and ssn == 1 and "capable-mapping-once" in self.session.faults:
            maps.remove(made)
        else:
            maps.append(made)

    def _dsn(self, value: int, size: int) -> int | None:
        """A DSN as a relative one."""
        near = (self.session.peer_base + self.expected) & MASK_64
        if size == 4:
            if "short-dsn-refused" in self.session.faults:
                return None
            if "short-dsn-not-promoted" in self.session.faults:
                return signed_distance(
                    (self.session.peer_base & ~MASK_32) | value, self.session.peer_base, 64
                )
            if "every-wrap-counts" in self.session.faults:
                self._wraps += value < self._low
                self._low = value
                high = (self.session.peer_base & ~MASK_32) + (self._wraps << 32)
                return signed_distance((high | value) & MASK_64, self.session.peer_base, 64)
        return signed_distance(extend(value, 8 * size, near), self.session.peer_base, 64)

    def arrived(self, flow: Subflow, place: int, segment: Segment) -> bool:
        """Take payload of a subflow; whether the subflow acknowledges it."""
        payload = segment.payload
        if self.session.plain:
            self._inbox += payload
            return True
        if segment.flags & URG and "urgent-data-dropped" in self.session.faults:
            return True
        for ssn, dsn, length, checksum in reversed(self._maps.get(flow, [])):
            if ssn <= place < ssn + length:
                if checksum >= 0 and self.session.checksum:
                    return self._checked(flow, (ssn, dsn, length, checksum), place, payload)
                self._receive(dsn + place - ssn, payload)
                return True
        flow.unmapped += len(payload)
        if "unmapped-data-not-acked" in self.session.faults:
            return False
        if flow.unmapped > WINDOW and "unmapped-data-for-ever" not in self.session.faults:
            flow.reset(INTERFERENCE)
        return True

    def _checked(
        self, flow: Subflow, mapping: tuple[int, int, int, int], place: int, payload: bytes
    ) -> bool:
        """Take payload of a mapping with a checksum, once all of it is there."""
        ssn, dsn, length, checksum = mapping
        held = self._held.setdefault((flow, ssn), bytearray())
        if place - ssn == len(held):
            held += payload
        if len(held) < length - (dsn + length - 1 == self.fin):
            return True
        del self._held[flow, ssn]
        absolute = (self.session.peer_base + dsn) & MASK_64
        if crypto.dss_checksum_holds(absolute, ssn, length, checksum, held):
            self._receive(dsn, bytes(held))
            return True
        self._fail(flow, dsn, absolute)
        return flow.state != "CLOSED"

    def _fail(self, flow: Subflow, dsn: int, absolute: int) -> None:
        """A checksum failed (RFC 8684 section 3.7)."""
        option = MpFail(dsn=absolute)
        others = [x for x in self.session.flows if x is not flow and x.state == "ESTABLISHED"]
        gaps = bool(self._pending) or dsn > self.expected
        if (others and "failed-subflow-kept" not in self.session.faults) or (
            gaps and not others and "gaps-do-not-count" not in self.session.faults
        ):
            flow.reset(INTERFERENCE, option)
        elif "failed-checksum-untold" in self.session.faults:
            self.session.fall_back()
        else:
            flow.acknowledge(option)

    def _receive(self, dsn: int, payload: bytes) -> None:
        if dsn >= self.expected + WINDOW:
            if "every-dsn-taken" in self.session.faults:
                self.expected = dsn + len(payload)
            return
        late = "later-data-wins" in self.session.faults
        for place, octet in enumerate(payload, start=dsn):
            if place >= self.expected and (late or place not in self._pending):
                self._pending[place] = octet
        self._advance()

    def _advance(self) -> None:
        while self.expected in self._pending:
            self._inbox.append(self._pending.pop(self.expected))
            self.expected += 1
        if self.fin and self.expected == self.fin:
            self.expected += 1
            self.ended = True
