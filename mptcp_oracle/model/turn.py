"""A turn: one step of the world in the making.

A :class:`Turn` gathers what an event changes and what is sent because of it; nothing else in the
model is mutable. It is the one place where segments are made.
"""

from __future__ import annotations

from mptcp_oracle import crypto
from mptcp_oracle.errors import OracleError
from mptcp_oracle.model.settings import content
from mptcp_oracle.model.trace import ACK, FIN, PSH, SYN, Mapping, Range, Sent
from mptcp_oracle.model.world import MPTCP, Half, Host, Path, Subflow, World, changed
from mptcp_oracle.options import Dss, MpCapable, Option

__all__ = ["IllegalEvent", "Turn"]

WIDE = (1 << 64) - 1
NARROW = (1 << 32) - 1


class IllegalEvent(OracleError):  # noqa: N818 (named for what it says)
    """The event is not possible in this world, or no host may do this."""


class Turn:
    """One step in the making.

    Attributes:
        world: Before the step. settings: Its settings. now: Virtual time in nanoseconds.
        version, checksum: As in :class:`~mptcp_oracle.model.world.World`, changeable.
        hosts, paths, halves: By role; by subflow; by subflow and role.
        flight, sent: Segments in flight; segments that this step sent.
        transitions: Ids of the transitions taken.
    """

    __slots__ = (
        "checksum", "flight", "halves", "hosts", "now", "number", "paths", "sent", "settings",
        "shown", "transitions", "version", "world",
    )  # fmt: skip

    def __init__(self, world: World, now: int) -> None:
        self.world, self.settings, self.now = world, world.settings, now
        self.version, self.checksum = world.version, world.checksum
        self.hosts: list[Host] = list(world.hosts)
        self.paths: list[Path] = [each.path for each in world.subflows]
        self.halves: list[list[Half]] = [list(each.halves) for each in world.subflows]
        self.flight = list(world.flight)
        self.number, self.shown = world.number, world.shown
        self.sent: list[Sent] = []
        self.transitions: list[str] = []

    def world_after(self, taken: tuple[int, ...]) -> World:
        """The world with all the changes of this turn."""
        old = self.world.subflows
        subflows = []
        for number, (path, (first, second)) in enumerate(zip(self.paths, self.halves, strict=True)):
            if number < len(old):
                was = old[number]
                if was.path is path and was.halves[0] is first and was.halves[1] is second:
                    subflows.append(was)
                    continue
            subflows.append(Subflow(path=path, halves=(first, second)))
        return World(
            settings=self.settings,
            version=self.version,
            checksum=self.checksum,
            hosts=(self.hosts[0], self.hosts[1]),
            subflows=tuple(subflows),
            flight=tuple(self.flight),
            number=self.number,
            shown=self.shown,
            taken=taken,
        )

    def host(self, role: int, **changes: object) -> Host:
        """A host, changed."""
        self.hosts[role] = host = changed(self.hosts[role], **changes)
        return host

    def half(self, subflow: int, role: int, **changes: object) -> Half:
        """A half of a subflow, changed."""
        halves = self.halves[subflow]
        halves[role] = half = changed(halves[role], **changes)
        return half

    def path(self, subflow: int, **changes: object) -> Path:
        """What is fixed about a subflow, changed."""
        self.paths[subflow] = path = changed(self.paths[subflow], **changes)
        return path

    def took(self, *transitions: str) -> None:
        """Note transitions."""
        self.transitions.extend(transitions)

    def shows(self, what: str, number: int) -> None:
        """Note a segment that helps to show how the connection became plain TCP."""
        self.shown = (*self.shown, (what, number))

    def take(self, number: int) -> Sent:
        """The segment of this number, out of flight."""
        for at, segment in enumerate(self.flight):
            if segment.number == number:
                del self.flight[at]
                return segment
        raise IllegalEvent(f"no segment {number} is in flight")

    def absolute(self, role: int, relative: int) -> int:
        """A host's relative DSN as the 64-bit number on the wire."""
        return (self.hosts[role].base + relative) & WIDE

    def width(self, subflow: int, role: int, wanted: int, *, mapped: bool = False) -> int:
        """The width of the DATA_ACK that a host puts into a segment if it wants this one.

        0 if it may not send one. Where the peer has not yet seen a DATA_ACK for data of this
        subflow one is put in unasked (RFC 8684 section 3.7); one of 4 octets becomes one of 8
        if data with a 64-bit DSN is to be acknowledged (section 3.3.2). ``mapped`` says that
        the segment has a mapping; it then has a DATA_ACK too as long as the initiator cannot
        know that its key arrived. Until then the initiator sends nothing bare, which the listener
        could take for a third packet without MP_CAPABLE.
        """
        host = self.hosts[role]
        if host.state not in MPTCP:
            return 0
        if not wanted:
            half, peer = self.halves[subflow][role], self.halves[subflow][1 - role]
            unaware = (mapped or role == 0) and not self.hosts[0].peer_knows
            sure = half.rcv_nxt <= 1 + self.paths[subflow].syn_data[1 - role]
            if (peer.confirmed or sure) and not unaware:
                return 0
            wanted = 4
        return 8 if host.wide else wanted

    def send(
        self,
        subflow: int,
        role: int,
        flags: int = ACK,
        *options: Option | None,
        sequence: int | None = None,
        payload: bytes = b"",
        mapping: Mapping | None = None,
        data_ack: int | None = None,
        ranges: tuple[Range, ...] = (),
        copied: bool = False,
    ) -> Sent:
        """Send a segment: it gets into flight, and acknowledges all that its host received.

        ``sequence`` is by default the next one of the half, which it does not change.
        """
        host, half = self.hosts[role], self.halves[subflow][role]
        window = host.edge - host.rcv_nxt
        segment = Sent(
            number=self.number,
            time=self.now,
            subflow=subflow,
            host=role,
            sequence=half.snd_nxt if sequence is None else sequence,
            ack=half.rcv_nxt if flags & ACK else None,
            flags=flags,
            window=window if 0 <= window <= 65_535 else 65_535 if window > 0 else 0,
            options=tuple(each for each in options if each is not None),
            payload=payload,
            mapping=mapping,
            data_ack=data_ack,
            ranges=ranges,
            copied=copied,
        )
        self.number += 1
        self.sent.append(segment)
        self.flight.append(segment)
        if flags & ACK and half.owed:
            self.half(subflow, role, owed=False)
        if data_ack is not None and (host.owed or host.said < data_ack):
            self.host(role, owed=False, said=max(data_ack, host.said))
        return segment

    def ack(
        self, subflow: int, role: int, *options: Option | None, flags: int = ACK, width: int = 0
    ) -> Sent:
        """Send a segment without payload, with a DATA_ACK of this width if it may have one."""
        width = self.width(subflow, role, width)
        dss, data_ack = self.dss(role, width)
        return self.send(subflow, role, flags, dss, *options, data_ack=data_ack)

    def dss(
        self,
        role: int,
        width: int,
        mapping: Mapping | None = None,
        dsn_width: int = 8,
        subflow: int = 0,
        octets: bytes | None = None,
    ) -> tuple[Dss | None, int | None]:
        """A DSS, ``None`` if it would say nothing, and its relative DATA_ACK.

        ``octets`` are those of the mapping where they do not follow from its DSN.
        """
        if not width and mapping is None:
            return None, None
        host = self.hosts[role]
        flags, ack, relative = 0, None, None
        if width:
            relative = host.rcv_nxt
            ack = self.absolute(1 - role, relative) & (WIDE if width == 8 else NARROW)
            flags = 0x03 if width == 8 else 0x01
        if mapping is None:
            return Dss(flags=flags, data_ack=ack), relative
        absolute = (host.base + mapping.dsn) & WIDE
        flags |= (0x0C if dsn_width == 8 else 0x04) | (0x10 if mapping.fin else 0)
        ssn = self.ssn(mapping, subflow, role)
        option = Dss(
            flags=flags,
            data_ack=ack,
            dsn=absolute if dsn_width == 8 else absolute & NARROW,
            ssn=ssn,
            dll=mapping.octets + mapping.fin,
            checksum=self.checksum_of(role, mapping, ssn, octets),
        )
        return option, relative

    def ssn(self, mapping: Mapping, subflow: int, role: int) -> int:
        """The subflow sequence number of a mapping as it is on the wire."""
        settings = self.settings
        if settings.ssn_after_fast_open or not mapping.sequence:
            return mapping.sequence
        return mapping.sequence - self.paths[subflow].syn_data[role]

    def checksum_of(
        self, role: int, mapping: Mapping, ssn: int, octets: bytes | None = None
    ) -> int | None:
        """The DSS checksum of a mapping, if checksums are in use (RFC 8684 section 3.3.1)."""
        if not self.checksum:
            return None
        if mapping.infinite:
            return 0
        if octets is None:
            octets = content(self.settings.seed, role, mapping.dsn, mapping.octets)
        flip = self.settings.deviations[role].checksum_flip
        dll = mapping.octets + mapping.fin
        return crypto.dss_checksum(self.absolute(role, mapping.dsn), ssn, dll, octets) ^ flip

    def mapping(
        self, role: int, *, sequence: int, dsn: int, octets: int, fin: bool = False
    ) -> Mapping:
        """A new mapping of a host."""
        right = not self.settings.deviations[role].checksum_flip if self.checksum else None
        return Mapping(sequence=sequence, dsn=dsn, octets=octets, fin=fin, checksum=right)

    def capable(self, role: int, form: str, mapping: Mapping | None = None) -> MpCapable:
        """An MP_CAPABLE: ``syn``, ``synack``, ``ack``, or ``data`` with its mapping."""
        settings = self.settings
        flags = 0x01
        wants = settings.checksum[role] or (form in ("ack", "data") and self.checksum)
        if wants:
            flags |= 0x80
        version = settings.version if form == "syn" else self.version
        if settings.c_flag[role] and version == 1:
            flags |= 0x20
        last = form in ("ack", "data")
        flip = settings.deviations[role].echoed_key_flip if last else 0
        checksum = None
        if mapping is not None:
            checksum = self.checksum_of(role, mapping, self.ssn(mapping, 0, role))
        return MpCapable(
            version=version,
            flags=flags,
            sender_key=None if form == "syn" and version == 1 else settings.keys[role],
            receiver_key=settings.keys[1 - role] ^ flip if last else None,
            data_length=None if mapping is None else mapping.octets,
            checksum=checksum,
        )

    def segment_flags(self, push: bool, fin: bool = False) -> int:
        """Flags of a segment with payload."""
        return ACK | (PSH if push else 0) | (FIN if fin else 0)

    def others(self, subflow: int, role: int, states: frozenset[str]) -> bool:
        """Whether another subflow has a half of this host in one of these states."""
        return any(
            halves[role].state in states
            for number, halves in enumerate(self.halves)
            if number != subflow
        )


def space(flags: int, payload: int) -> int:
    """Sequence numbers that a segment takes."""
    return payload + bool(flags & SYN) + bool(flags & FIN)
