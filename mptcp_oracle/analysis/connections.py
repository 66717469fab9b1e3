"""Connections: one for each initial subflow, with its hosts' keys; joined subflows attached.

What an initial subflow's MP_CAPABLEs say makes a connection (RFC 8684 section 3.1);
:mod:`mptcp_oracle.analysis.owners` finds the connection of each joined subflow.
"""

from __future__ import annotations

from collections.abc import Iterable

from mptcp_oracle import crypto
from mptcp_oracle.analysis.entities import Connection, Host, Mismatch
from mptcp_oracle.analysis.joins import check_join
from mptcp_oracle.analysis.owners import Found, Owners, syn_token
from mptcp_oracle.analysis.subflows import Handshake
from mptcp_oracle.options import MpCapable
from mptcp_oracle.wire.segments import Wire

__all__ = ["Assembly", "assemble"]


class Assembly:
    """Connections while they are put together.

    Attributes:
        connections: Known ones, by first frame. unattached: One pseudo-connection, with negative
            id, for each subflow whose connection is not in the capture.
        shakes: The handshake of each stream. owners: Finds the connections of joins.
    """

    def __init__(self, wire: Wire) -> None:
        self.wire = wire
        self.connections: list[Connection] = []
        self.unattached: list[Connection] = []
        self.shakes: dict[int, Handshake] = {}
        self.owners = Owners(wire)

    def attach(self, connection: Connection, shake: Handshake, role: int) -> None:
        """Make a subflow part of a connection; ``role`` is that of its source."""
        subflow = shake.subflow
        subflow.connection, subflow.source_role = connection, role
        subflow.opener = None if shake.opener is None else role
        subflow.version = connection.version
        first, other = subflow.halves
        subflow.halves = (other, first) if role == 1 else (first, other)
        connection.subflows.append(subflow)
        if connection.id >= 0:
            ends = (subflow.source.address, subflow.destination.address)
            self.owners.place(connection, *ends, role)


def assemble(wire: Wire, shakes: Iterable[Handshake]) -> Assembly:
    """Put connections together.

    Args:
        wire: The capture's columns.
        shakes: Its MPTCP streams, by first frame.

    Returns:
        Every subflow in exactly one connection or pseudo-connection.
    """
    build = Assembly(wire)
    joins: list[Handshake] = []
    for shake in shakes:
        build.shakes[shake.subflow.stream] = shake
        if shake.subflow.kind == "initial":
            _begin(build, shake)
        else:
            joins.append(shake)
    for search in (build.owners.by_token, build.owners.by_proof, build.owners.by_numbers):
        strays = []
        for shake in joins:
            found = search(shake)
            if found is None:
                strays.append(shake)
            else:
                _join(build, shake, found)
        joins = strays
    for shake in joins:
        connection = Connection(
            id=-1 - len(build.unattached),
            version=_own_version(wire, shake),
            hosts=(
                Host(role="initiator", endpoint=shake.subflow.source),
                Host(role="listener", endpoint=shake.subflow.destination),
            ),
        )
        build.attach(connection, shake, 0)
        build.unattached.append(connection)
        if shake.is_join:
            shake.subflow.join = check_join(wire, shake, connection)
    for connection in build.connections:
        connection.subflows.sort(key=lambda flow: flow.id)
    return build


def _join(build: Assembly, shake: Handshake, found: Found) -> None:
    """Attach a joined subflow, and name its token if it is wrong."""
    connection, subflow = found.connection, shake.subflow
    build.attach(connection, shake, found.source)
    if subflow.kind is None:
        subflow.kind = "joined"
    subflow.join = check_join(build.wire, shake, connection)
    unanswered = (
        shake.syn_row is not None
        and shake.synack_row is None
        and shake.ack is None
        and not (shake.answered or shake.begun)
    )
    subflow.established = subflow.join.result not in ("refused", "invalid") and not unanswered
    token, expected = syn_token(shake), connection.hosts[1 - found.source].token
    if token is not None and expected not in (None, token) and shake.syn is not None:
        connection.mismatches.append(
            Mismatch(
                what="token",
                host=connection.hosts[found.source].role,
                frame=build.wire.segments["frame"][shake.syn[0].row],
                expected=f"{expected:08x}",
                seen=f"{token:08x}",
                why=found.wrong_token or "the token is not the receiver's",
                section="3.2",
            )
        )


def _own_version(wire: Wire, shake: Handshake) -> int | None:
    """The version that the messages of one stream alone show.

    A SYN only offers one, and a lower one may be the answer: it counts if nothing was answered.
    """
    for message in (shake.synack, shake.ack):
        if message is not None and isinstance(message[1], MpCapable):
            return message[1].version
    if shake.syn is None or not isinstance(shake.syn[1], MpCapable):
        return None
    offer = shake.syn[1].version
    silent = not wire.halves["count"][shake.subflow.halves[1]] and not shake.begun
    return offer if offer == 0 or silent or shake.plain_synack is not None else None


def _begin(build: Assembly, shake: Handshake) -> None:
    """Make a connection of an initial subflow."""
    version = _own_version(build.wire, shake)
    syn = shake.syn[1] if shake.syn and isinstance(shake.syn[1], MpCapable) else None
    synack = shake.synack[1] if shake.synack and isinstance(shake.synack[1], MpCapable) else None
    ack = shake.ack[1] if shake.ack and isinstance(shake.ack[1], MpCapable) else None
    subflow = shake.subflow
    initiator = Host(role="initiator", endpoint=subflow.source)
    listener = Host(role="listener", endpoint=subflow.destination)
    connection = Connection(id=len(build.connections), version=version, hosts=(initiator, listener))
    frame = build.wire.segments["frame"]

    initiator.key = ack.sender_key if ack else None
    if initiator.key is None and syn is not None:
        initiator.key = syn.sender_key
    listener.key = synack.sender_key if synack else None
    keys = [each.sender_key for _, each in shake.synacks if isinstance(each, MpCapable)]
    if ack is not None and ack.receiver_key is not None:
        if listener.key is None or ack.receiver_key in keys:
            listener.key = ack.receiver_key
        elif shake.ack is not None:
            connection.mismatches.append(
                Mismatch(
                    what="echoed_key",
                    host="initiator",
                    frame=frame[shake.ack[0].row],
                    expected=f"{listener.key:016x}",
                    seen=f"{ack.receiver_key:016x}",
                    why="the third packet does not echo the key of the SYN/ACK",
                    section="3.1",
                )
            )
    _changed_keys(build, connection, shake)
    for host in connection.hosts:
        if host.key is not None and version in (0, 1):
            host.token = crypto.token(host.key, version)
            host.idsn = crypto.idsn(host.key, version)
        else:
            reason = "no key in the capture" if host.key is None else f"version {version}"
            host.unknown |= dict.fromkeys(("key", "token", "idsn"), reason)
            if host.key is not None:
                del host.unknown["key"]
    initiator.c_flag = _flag_c(ack or syn)
    listener.c_flag = _flag_c(synack)
    offers = [option.checksum_required for option in (syn, synack, ack) if option is not None]
    if any(offers):
        connection.checksum = True
    elif (syn is not None and synack is not None) or ack is not None:
        connection.checksum = False
    else:
        connection.unknown["checksum"] = "no complete handshake in the capture"
    build.connections.append(connection)
    build.attach(connection, shake, 0)
    build.owners.add(connection)


def _flag_c(option: MpCapable | None) -> bool | None:
    if option is None or option.version == 0:
        return None
    return option.address_closed


def _changed_keys(build: Assembly, connection: Connection, shake: Handshake) -> None:
    """Name a key of the initiator's that is not what it sent before (RFC 8684 section 3.1)."""
    shown = [shake.syn, shake.ack, shake.changed]
    before: int | None = None
    for message in shown:
        if message is None or not isinstance(message[1], MpCapable):
            continue
        key = message[1].sender_key
        if None not in (before, key) and before != key:
            connection.mismatches.append(
                Mismatch(
                    what="echoed_key",
                    host="initiator",
                    frame=build.wire.segments["frame"][message[0].row],
                    expected=f"{before:016x}",
                    seen=f"{key:016x}",
                    why="the initiator's key changed during the connection",
                    section="3.1",
                )
            )
        before = key if key is not None else before
    if shake.changed is not None and shake.ack is not None:
        echo, after = shake.ack[1], shake.changed
        if isinstance(echo, MpCapable) and echo.receiver_key != after[1].receiver_key:
            connection.mismatches.append(
                Mismatch(
                    what="echoed_key",
                    host="initiator",
                    frame=build.wire.segments["frame"][after[0].row],
                    expected=f"{echo.receiver_key:016x}",
                    seen=f"{after[1].receiver_key:016x}",
                    why="the echoed key changed during the connection",
                    section="3.1",
                )
            )
