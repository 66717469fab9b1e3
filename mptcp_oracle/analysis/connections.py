"""Connections: which subflows belong together, found by the *owner* of the token.

An MP_JOIN names the connection by the token of the host that it is sent to (RFC 8684 section
3.2). Tokens are unique on one host only, so a token alone decides nothing where two hosts use the
same one: the join HMACs do, and where they cannot be checked, the addresses. A joined subflow whose
SYN is not in the capture is recognised by its 64-bit data sequence numbers. The order of frames
plays no part, since a capture of several interfaces may show a join before its handshake.
"""

from __future__ import annotations

from bisect import bisect_right
from collections import defaultdict
from collections.abc import Iterable

from mptcp_oracle import crypto
from mptcp_oracle.analysis.entities import Connection, Host, Mismatch, Subflow
from mptcp_oracle.analysis.joins import check_join, owner_by_hmac
from mptcp_oracle.analysis.subflows import Handshake
from mptcp_oracle.options import MpCapable, MpJoinSyn
from mptcp_oracle.wire.segments import Wire

__all__ = ["Assembly", "assemble"]

#: How far a 64-bit DSN may be from the IDSN to prove, by itself, that it belongs to it. The
#: chance that an unrelated number is that near is 2**-28.
NEAR = 1 << 36
MASK = 0xFFFFFFFFFFFFFFFF

#: How many connections that share an address with a stray join are tried by HMAC.
MOST_TRIED = 256

#: Owners of one token looked at before and after a join.
MOST_OWNERS = 16


class Assembly:
    """Connections while they are put together.

    Attributes:
        connections: Known ones, by first frame. unattached: One pseudo-connection, with negative
            id, for each subflow whose connection is not in the capture.
    """

    def __init__(self, wire: Wire) -> None:
        self.wire = wire
        self.connections: list[Connection] = []
        self.unattached: list[Connection] = []
        self.by_token: defaultdict[int, list[tuple[Connection, int]]] = defaultdict(list)
        self.by_address: defaultdict[str, list[Connection]] = defaultdict(list)
        self.shakes: dict[int, Handshake] = {}

    def attach(self, connection: Connection, shake: Handshake, opener: int | None) -> None:
        """Make a subflow part of a connection; ``opener`` is the role of its SYN's sender."""
        subflow = shake.subflow
        subflow.connection, subflow.opener = connection, opener
        subflow.version = connection.version
        first, other = subflow.halves
        subflow.halves = (other, first) if opener == 1 else (first, other)
        connection.subflows.append(subflow)
        for endpoint in (subflow.source, subflow.destination):
            known = self.by_address[endpoint.address]
            if not known or known[-1] is not connection:
                known.append(connection)


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
    strays = [shake for shake in joins if not _join_by_token(build, shake)]
    strays = [shake for shake in strays if not _join_by_hmac(build, shake)]
    strays = [shake for shake in strays if not _join_by_numbers(build, shake)]
    for shake in strays:
        connection = Connection(
            id=-1 - len(build.unattached),
            version=_own_version(shake),
            hosts=(
                Host(role="initiator", endpoint=shake.subflow.source),
                Host(role="listener", endpoint=shake.subflow.destination),
            ),
        )
        build.attach(connection, shake, 0 if shake.opener is not None else None)
        build.unattached.append(connection)
        if shake.is_join:
            shake.subflow.join = check_join(shake, connection)
    for connection in build.connections:
        connection.subflows.sort(key=lambda flow: flow.id)
    return build


def _own_version(shake: Handshake) -> int | None:
    """The version that the messages of one stream alone show."""
    for message in (shake.synack, shake.ack, shake.syn):
        if message is not None and isinstance(message[1], MpCapable):
            return message[1].version
    return None


def _begin(build: Assembly, shake: Handshake) -> None:
    """Make a connection of an initial subflow."""
    version = _own_version(shake)
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
    if ack is not None and ack.receiver_key is not None:
        if listener.key is None or ack.receiver_key in shake.synack_keys:
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
    if ack is not None and syn is not None and syn.sender_key not in (None, ack.sender_key):
        connection.mismatches.append(
            Mismatch(
                what="echoed_key",
                host="initiator",
                frame=frame[shake.ack[0].row] if shake.ack else subflow.first_frame,
                expected=f"{syn.sender_key:016x}",
                seen=f"{ack.sender_key:016x}",
                why="the initiator's key changed between SYN and third packet",
                section="3.1",
            )
        )
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
    for role, host in enumerate(connection.hosts):
        if host.token is not None:
            build.by_token[host.token].append((connection, role))


def _flag_c(option: MpCapable | None) -> bool | None:
    if option is None or option.version == 0:
        return None
    return option.address_closed


def _syn_token(shake: Handshake) -> int | None:
    if shake.syn is not None and isinstance(shake.syn[1], MpJoinSyn):
        return shake.syn[1].token
    return None


def _join_by_token(build: Assembly, shake: Handshake) -> bool:
    """Attach a join to the connection that owns its token."""
    token = _syn_token(shake)
    if token is None:
        return False
    owners = build.by_token.get(token, [])
    if len(owners) > 1:
        owners = _choose(build, shake, owners)
    if len(owners) != 1:
        return False
    connection, role = owners[0]
    # The SYN goes to the owner of the token, so its sender is the other host: unless the HMACs
    # say that the joiner put in its own token.
    opener = 1 - role
    if owner_by_hmac(shake, connection, opener) is False and owner_by_hmac(shake, connection, role):
        return False
    build.attach(connection, shake, opener)
    shake.subflow.join = check_join(shake, connection)
    return True


def _choose(
    build: Assembly, shake: Handshake, owners: list[tuple[Connection, int]]
) -> list[tuple[Connection, int]]:
    """Choose among several owners of one token: by HMAC, then VLAN, addresses and time.

    Tokens are unique among the *current* connections of one host only, so the owner that began
    last before the join is nearest; a few around it are looked at.
    """
    realm = build.wire.streams["realm"]
    flow = shake.subflow
    place = bisect_right(owners, flow.first_frame, key=lambda own: own[0].subflows[0].first_frame)
    near = owners[max(0, place - MOST_OWNERS) : place + MOST_OWNERS]

    def likeness(own: tuple[Connection, int]) -> tuple[bool, bool, bool]:
        connection, role = own
        owner, joiner = connection.hosts[role].endpoint, connection.hosts[1 - role].endpoint
        return (
            realm[connection.subflows[0].stream] == realm[flow.stream],
            owner is not None and owner.address == flow.destination.address,
            joiner is not None and joiner.address == flow.source.address,
        )

    def nearness(own: tuple[Connection, int]) -> tuple[bool, int]:
        began = own[0].subflows[0].first_frame
        return began <= flow.first_frame, -abs(began - flow.first_frame)

    ranked = sorted(near, key=lambda own: (*likeness(own), *nearness(own)), reverse=True)
    unchecked = []
    for own in ranked:
        verified = owner_by_hmac(shake, own[0], 1 - own[1])
        if verified:
            return [_first_without(build, shake, own, near)]
        if verified is None:
            unchecked.append(own)
    if len(unchecked) > 1 and likeness(unchecked[0]) == likeness(unchecked[1]):
        return unchecked
    return unchecked[:1]


def _first_without(
    build: Assembly,
    shake: Handshake,
    own: tuple[Connection, int],
    near: list[tuple[Connection, int]],
) -> tuple[Connection, int]:
    """Among copies of one connection, the first that does not have this very join yet.

    A capture on both sides of an address translator, or of one that was replayed, shows a
    connection several times, with the same keys; its joins go to the copies in their order.
    """
    keys = [host.key for host in own[0].hosts]
    for copy in near:
        if copy[1] == own[1] and [host.key for host in copy[0].hosts] == keys:
            if not any(
                _syn_nonce(build.shakes[flow.stream]) == _syn_nonce(shake)
                for flow in copy[0].subflows
            ):
                return copy
    return own


def _syn_nonce(shake: Handshake) -> int | None:
    if shake.syn is not None and isinstance(shake.syn[1], MpJoinSyn):
        return shake.syn[1].nonce
    return None


def _neighbours(build: Assembly, shake: Handshake) -> list[Connection]:
    """Connections that share an address with a subflow, in the order of their frames."""
    found = {
        id(connection): connection
        for endpoint in (shake.subflow.source, shake.subflow.destination)
        for connection in build.by_address.get(endpoint.address, ())[-MOST_TRIED:]
    }
    return list(found.values())


def _join_by_hmac(build: Assembly, shake: Handshake) -> bool:
    """Attach a join whose token fits nothing to the connection whose keys its HMACs need."""
    token = _syn_token(shake)
    if token is None:
        return False
    for connection in _neighbours(build, shake):
        for opener in (0, 1):
            right = owner_by_hmac(shake, connection, opener)
            why = _wrong_token(token, connection, opener)
            if not (right or (right is None and why and not why.startswith("the token"))):
                continue
            build.attach(connection, shake, opener)
            shake.subflow.join = check_join(shake, connection)
            expected = connection.hosts[1 - opener].token
            if expected is not None and expected != token and shake.syn is not None:
                connection.mismatches.append(
                    Mismatch(
                        what="token",
                        host=connection.hosts[opener].role,
                        frame=build.wire.segments["frame"][shake.syn[0].row],
                        expected=f"{expected:08x}",
                        seen=f"{token:08x}",
                        why=why or "the token is not the receiver's, yet the HMACs are",
                        section="3.2",
                    )
                )
            return True
    return False


def _wrong_token(token: int, connection: Connection, opener: int) -> str | None:
    """How a wrong token may have come about, if one of the usual slips gives it."""
    joiner, owner = connection.hosts[opener], connection.hosts[1 - opener]
    if token == joiner.token:
        return "the token is the joiner's own"
    if owner.key is None or connection.version not in (0, 1):
        return None
    digest = crypto.key_digest(owner.key, connection.version)
    swapped = int.from_bytes(owner.key.to_bytes(8, "big"), "little")
    slips = {
        crypto.token(owner.key, 1 - connection.version): "derived with the other version's hash",
        int.from_bytes(digest[-4:], "big"): "taken from the least significant end of the digest",
        int.from_bytes(digest[:4], "little"): "in the wrong byte order",
        crypto.token(swapped, connection.version): "hashed from the key in the wrong byte order",
    }
    return slips.get(token)


def _join_by_numbers(build: Assembly, shake: Handshake) -> bool:
    """Attach a subflow without its SYN by its 8-octet DSNs and DATA_ACKs."""
    if _syn_token(shake) is not None:
        return False
    found = []
    for connection in _neighbours(build, shake):
        for opener in (0, 1):
            proof = _numbers_fit(build.wire, shake.subflow, connection, opener)
            if proof:
                found.append((proof, connection, opener))
    found.sort(key=lambda item: -item[0])
    if not found or (len(found) > 1 and found[0][0] == found[1][0]):
        return False
    _, connection, opener = found[0]
    build.attach(connection, shake, opener)
    if shake.subflow.kind is None:
        shake.subflow.kind = "joined"
    shake.subflow.join = check_join(shake, connection)
    return True


def _numbers_fit(wire: Wire, subflow: Subflow, connection: Connection, opener: int) -> int:
    """How many 64-bit numbers of a subflow prove that it is part of a connection.

    0 if none does, or if any contradicts.
    """
    mptcp, dsn, data_ack = wire.halves.of("mptcp", "first_dsn", "first_data_ack")
    proofs = 0
    for side, half in enumerate(subflow.halves):
        sender = connection.hosts[opener if side == 0 else 1 - opener]
        receiver = connection.hosts[1 - opener if side == 0 else opener]
        for bit, number, host in ((2, dsn[half], sender), (4, data_ack[half], receiver)):
            if not mptcp[half] & bit or host.idsn is None:
                continue
            if (number - host.idsn) & MASK >= NEAR:
                return 0
            proofs += 1
    return proofs
