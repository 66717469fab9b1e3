"""The story of each connection: its control-plane events in capture order, and what they change.

Address advertisement and removal, priorities and SYN data are read here, before the data plane
runs, because its classifier wants to know when subflows became usable, became backup or ended.
"""

from __future__ import annotations

from bisect import bisect_right
from itertools import groupby

from mptcp_oracle import crypto
from mptcp_oracle.analysis.connections import Assembly
from mptcp_oracle.analysis.dataplane import Trigger
from mptcp_oracle.analysis.entities import ROLES, AddressEvent, Connection, Event, Mismatch, Subflow
from mptcp_oracle.analysis.signals import ACK, FIN, RST, SYN, Raw, Signals
from mptcp_oracle.options import (
    AddAddr,
    Dss,
    Malformed,
    MpFastclose,
    MpJoinSyn,
    MpJoinSynAck,
    MpPrio,
    Option,
    RemoveAddr,
    notation,
)

__all__ = ["tell"]

#: Options that change something besides set-up and data.
TELLING = (AddAddr, RemoveAddr, MpPrio, MpFastclose, Malformed)

#: Subflows that one version 0 MP_PRIO may touch; a bound against hostile captures.
MOST_TOUCHED = 256


def tell(build: Assembly, signals: Signals, connection: Connection) -> list[Trigger]:
    """Fill in a connection's events, addresses, Address IDs and priorities.

    Args:
        build: The assembled connections.
        signals: The capture's control plane.
        connection: The one to tell of; changed.

    Returns:
        What the data plane's classifier has to know, unordered.
    """
    return _Teller(build, signals, connection).tell()


class _Teller:
    """One connection's story while it is told."""

    def __init__(self, build: Assembly, signals: Signals, connection: Connection) -> None:
        self.build = build
        self.signals = signals
        self.connection = connection
        self.rows = build.wire.segments
        self.triggers: list[Trigger] = []
        self.by_address_id: dict[tuple[int, int], list[Subflow]] = {}
        # Without those whose address was withdrawn, so that nothing is withdrawn twice.
        self.standing: dict[tuple[int, int], list[Subflow]] = {}

    def tell(self) -> list[Trigger]:
        entries: list[tuple[Raw, Subflow, Option]] = []
        version = self.connection.version
        for subflow in self.connection.subflows:
            self.open(subflow)
            for raw in self.signals.options.get(subflow.stream, ()):
                option = raw.decode(version)
                if isinstance(option, TELLING):
                    entries.append((raw, subflow, option))
        entries.sort(key=lambda entry: entry[0].row)
        for raw, subflow, option in entries:
            role = subflow.halves.index(raw.half)
            self.option(raw.row, self.rows["frame"][raw.row], subflow, role, option)
        self.connection.teller = self.events
        return self.triggers

    def events(self) -> list[Event]:
        """The connection's events in capture order."""
        entries: list[tuple[Raw, Subflow]] = []
        for subflow in self.connection.subflows:
            entries += [(raw, subflow) for raw in self.signals.options.get(subflow.stream, ())]
            entries += [(raw, subflow) for raw in self.signals.events.get(subflow.stream, ())]
        entries.sort(key=lambda entry: entry[0].row)
        data_fins: set[int] = set()
        events = []
        for row, group in groupby(entries, key=lambda entry: entry[0].row):
            found = list(group)
            event = self.segment(row, found[0][1], [raw for raw, _ in found], data_fins)
            if event is not None:
                events.append(event)
        return events

    def open(self, subflow: Subflow) -> None:
        """What the handshake of a subflow says about its ends, and when it became usable."""
        shake = self.build.shakes[subflow.stream]
        opener = subflow.source_role
        if subflow.kind == "initial":
            subflow.address_ids = [0, 0]
        for message, role in ((shake.syn, opener), (shake.synack, 1 - opener)):
            if message is not None and isinstance(message[1], MpJoinSyn | MpJoinSynAck):
                subflow.address_ids[role] = message[1].address_id
                subflow.backup[role] = message[1].backup
        for role, address_id in enumerate(subflow.address_ids):
            if address_id is not None:
                for index in (self.by_address_id, self.standing):
                    index.setdefault((role, address_id), []).append(subflow)
        self.accept_syn_data(subflow)
        if not subflow.established:
            return
        usable = shake.ack[0].row if shake.ack is not None else shake.synack_row
        if usable is None:
            first = self.build.wire.halves["first_row"]
            usable = min(first[half] for half in subflow.halves if first[half] >= 0)
        for role, half in subflow.sides():
            asked = bool(subflow.backup[1 - role])
            self.triggers.append(
                Trigger(row=usable, half=half, kind="backup" if asked else "regular")
            )

    def accept_syn_data(self, subflow: Subflow) -> None:
        """SYN data that the SYN/ACK accepted lies outside the data sequence space (RFC 8684 B)."""
        shake = self.build.shakes[subflow.stream]
        if shake.syn_row is None or shake.synack_row is None or subflow.opener is None:
            return
        carried = self.rows["length"][shake.syn_row]
        half = self.rows["half"][shake.syn_row]
        if carried and self.build.wire.halves["isn_from"][half] == 1:
            isn = self.build.wire.halves["isn"][half]
            accepted = (self.rows["ack"][shake.synack_row] - isn - 1) & 0xFFFFFFFF
            if accepted <= carried:
                data = [0, 0]
                data[subflow.opener] = accepted
                subflow.syn_data = (data[0], data[1])

    def segment(
        self, row: int, subflow: Subflow, raws: list[Raw], data_fins: set[int]
    ) -> Event | None:
        """One segment of the story; a repeated DATA_FIN alone tells nothing new."""
        half, flags = raws[0].half, raws[0].flags
        words = _flags_text(flags) if flags & (SYN | FIN | RST) else []
        shown = []
        for option in (raw.decode(self.connection.version) for raw in raws if raw.raw):
            if isinstance(option, Dss):
                if not option.data_fin and option.dll != 0 and option.reserved:
                    continue  # it only carries data
                if option.data_fin and half in data_fins:
                    continue
                if option.data_fin:
                    data_fins.add(half)
            shown.append(option)
        words += [notation(option) for option in shown]
        if not words:
            return None
        return Event(
            frame=self.rows["frame"][row],
            time=self.rows["time"][row],
            subflow=subflow.id,
            host=subflow.role_name(subflow.halves.index(half)),
            what=", ".join(words),
            options=tuple(shown),
        )

    def option(self, row: int, frame: int, subflow: Subflow, role: int, option: Option) -> None:
        """What one option changes."""
        if isinstance(option, AddAddr):
            self.add_address(frame, subflow, role, option)
        elif isinstance(option, RemoveAddr):
            self.remove_addresses(row, frame, subflow, role, option)
        elif isinstance(option, MpPrio):
            self.prioritise(row, subflow, role, option)
        elif isinstance(option, MpFastclose):
            self.fastclose(row, frame, role, option)
        elif isinstance(option, Malformed):
            self.connection.note(
                f"malformed-option-{option.reason}",
                f"an MPTCP option that a receiver has to ignore ({option.reason})",
                frame,
            )

    def add_address(self, frame: int, subflow: Subflow, role: int, option: AddAddr) -> None:
        """An announcement or its echo, and whether its HMAC is right (RFC 8684 3.4.1)."""
        hosts = self.connection.hosts
        right = None
        sender, receiver = hosts[role].key, hosts[1 - role].key
        if option.hmac is not None and sender is not None and receiver is not None:
            expected = crypto.add_addr_hmac(
                sender_key=sender,
                receiver_key=receiver,
                address_id=option.address_id,
                address=option.address,
                port=option.port,
            )
            right = expected == option.hmac
            if not right:
                self.connection.mismatches.append(
                    Mismatch(
                        what="add_addr_hmac",
                        host=ROLES[role],
                        frame=frame,
                        expected=expected.hex(),
                        seen=option.hmac.hex(),
                        why="the HMAC does not fit address, port and keys",
                        section="3.4.1",
                    )
                )
        self.connection.addresses.append(
            AddressEvent(
                frame=frame,
                subflow=subflow.id,
                host=ROLES[role],
                what="echo" if option.echo else "add",
                address_id=option.address_id,
                address=str(option.address),
                port=option.port,
                hmac=right,
            )
        )

    def remove_addresses(
        self, row: int, frame: int, subflow: Subflow, role: int, option: RemoveAddr
    ) -> None:
        """Addresses withdrawn: the subflows that use them may be treated as gone."""
        for address_id in option.address_ids:
            self.connection.addresses.append(
                AddressEvent(
                    frame=frame,
                    subflow=subflow.id,
                    host=ROLES[role],
                    what="remove",
                    address_id=address_id,
                )
            )
            key = (role, address_id)
            begun, later = self.begun(self.standing.get(key, []), row)
            for other in begun:
                self.triggers.append(Trigger(row=row, half=other.halves[role], kind="end"))
            if begun:
                self.standing[key] = later

    def begun(self, flows: list[Subflow], row: int) -> tuple[list[Subflow], list[Subflow]]:
        """Of subflows in order those that began before a row, and those that began later."""
        frame = self.rows["frame"][row]
        at = bisect_right(flows, frame, key=lambda flow: flow.first_frame)
        return flows[:at], flows[at:]

    def prioritise(self, row: int, subflow: Subflow, role: int, option: MpPrio) -> None:
        """B asks the peer, and applies to one subflow, or in version 0 to an Address ID."""
        touched = [subflow]
        if option.address_id is not None and self.connection.version == 0:
            named = self.by_address_id.get((role, option.address_id), [])
            touched, _ = self.begun(named, row)
            touched = touched[-MOST_TOUCHED:]
        for other in touched:
            other.backup[role] = option.backup
            kind = "backup" if option.backup else "regular"
            self.triggers.append(Trigger(row=row, half=other.halves[1 - role], kind=kind))

    def fastclose(self, row: int, frame: int, role: int, option: MpFastclose) -> None:
        """MP_FASTCLOSE carries the receiver's key (RFC 8684 section 3.5)."""
        key = self.connection.hosts[1 - role].key
        if key is not None and key != option.key:
            self.connection.note(
                "fastclose-key",
                f"MP_FASTCLOSE with key {option.key:016x}, the receiver's is {key:016x}",
                frame,
            )
            return
        if self.connection.state == "fast_closed":
            return
        self.connection.state = "fast_closed"
        self.connection.state_frame = frame
        self.connection.why = f"MP_FASTCLOSE by the {ROLES[role]}"
        for subflow in self.connection.subflows:
            self.triggers.append(Trigger(row=row, half=subflow.halves[role], kind="end"))


def _flags_text(flags: int) -> list[str]:
    """The handshake flags of a segment as Wireshark users say them."""
    names = [name for bit, name in ((SYN, "SYN"), (FIN, "FIN"), (RST, "RST")) if flags & bit]
    if flags & SYN and flags & ACK:
        names[0] = "SYN/ACK"
    return ["+".join(names)]
