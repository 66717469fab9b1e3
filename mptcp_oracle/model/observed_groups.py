"""Groups: connections whose set-up is in the capture, and subflows that have none there.

A connection is known by an MP_CAPABLE of its initial subflow. A joined subflow belongs to it if
the token of its SYN is there and so is the key that the token follows from; without the SYN, if
8-octet numbers of both hosts fit their keys, or one number does and an address is that of another
subflow (docs/decisions/0005-identity.md). What is left is a group of its own.
"""

from __future__ import annotations

from collections.abc import Iterator

from mptcp_oracle import crypto
from mptcp_oracle.model.observed_frames import Flow
from mptcp_oracle.model.observed_handshakes import Handshake, sets_up
from mptcp_oracle.model.trace import ACK, RST, SYN, ConnectionTruth, Trace
from mptcp_oracle.options import Dss, MpCapable, MpJoinSyn

__all__ = ["Group", "groups_of"]

MASK = 0xFFFFFFFFFFFFFFFF
#: How far beyond an IDSN an 8-octet number may be and still show whose it is.
NEAR = 1 << 36


class Group:
    """A connection as far as the capture knows it, or a subflow without one.

    Attributes:
        id: Its number; negative for a subflow without connection.
        truth: The connection's truth. flows: Its subflows in the capture, by id.
        initial: Its initial subflow, if it is known as such.
        swap: 1 if the role that the capture gives to a host is not its true one: a subflow
            without connection has its source as initiator.
        version: The MPTCP version. keys: By true role: whether the key is in the capture.
        shift: By true role: the label of the DSN that is shown as 0; ``None`` if no DSN or
            DATA_ACK of that host is shown. absolute: Whether 64-bit numbers of it are known.
    """

    def __init__(self, number: int, truth: ConnectionTruth, flows: list[Flow]) -> None:
        self.id = number
        self.truth = truth
        self.flows = flows
        self.initial: Flow | None = None
        self.swap = 0
        self.version: int | None = None
        self.keys = [False, False]
        self.shift: list[int | None] = [None, None]
        self.absolute = [False, False]

    def capables(self, shakes: dict[int, Handshake]) -> Iterator[tuple[int, MpCapable]]:
        """The MP_CAPABLEs that count (last SYN, SYN/ACK, third packet), with their senders."""
        if self.initial is not None:
            shake = shakes[self.initial.id]
            for message in (shake.syn, shake.synack, shake.ack):
                if message is not None and isinstance(message[1], MpCapable):
                    yield message[0].segment.host, message[1]

    def base(self, role: int) -> int:
        """The 64-bit number that the shown relative DSNs of a host count from."""
        return (self.truth.hosts[role].base + (self.shift[role] or 0)) & MASK

    def shown(self, role: int, dsn: int) -> int:
        """A DSN of a host as the facts have it."""
        return dsn - (self.shift[role] or 0)

    def number(self, role: int, dsn: int) -> str | None:
        """A DSN of a host as 64-bit number, if the capture knows it."""
        if not self.absolute[role]:
            return None
        return str((self.truth.hosts[role].base + dsn) & MASK)


def groups_of(trace: Trace, flows: list[Flow], shakes: dict[int, Handshake]) -> list[Group]:
    """Every subflow in one group: connections first, then subflows without one."""
    known: dict[int, Group] = {}
    for flow in flows:
        if shakes[flow.id].kind == "initial":
            truth = trace.connections[flow.truth.connection]
            group = known[truth.number] = Group(len(known), truth, [flow])
            group.initial = flow
            _read_keys(group, shakes)
    places = {number: _places(group.flows) for number, group in known.items()}
    rest = [flow for flow in flows if shakes[flow.id].kind != "initial"]
    for proven in (_by_token, _by_numbers):
        left = []
        for flow in rest:
            number = flow.truth.connection
            if number in known and proven(known[number], flow, shakes[flow.id], places[number]):
                known[number].flows.append(flow)
                places[number] |= _places([flow])
            else:
                left.append(flow)
        rest = left
    found = list(known.values())
    for count, flow in enumerate(rest, start=1):
        group = Group(-count, trace.connections[flow.truth.connection], [flow])
        opener = shakes[flow.id].opener
        group.swap = flow.seen[0].segment.host if opener is None else opener
        found.append(group)
    for group in found:
        group.flows.sort(key=lambda flow: flow.id)
        for role in (0, 1):
            _count_from(group, role)
    return found


def _read_keys(group: Group, shakes: dict[int, Handshake]) -> None:
    offer: int | None = None
    for sender, option in group.capables(shakes):
        if option.sender_key is not None:
            group.keys[sender] = True
        if option.receiver_key is not None:
            group.keys[1 - sender] = True
        if sender == 0 and option.receiver_key is None:
            offer = option.version
        elif group.version is None:
            # The SYN/ACK decides; without it the third packet says what it said.
            group.version = option.version
    if group.version is None and (offer == 0 or not _answered(group.flows[0])):
        group.version = offer


def _answered(flow: Flow) -> bool:
    """Whether an offer was answered, as far as the capture knows.

    Anything but the initiator's SYNs and RSTs may be due to an answer, unless a SYN/ACK without
    MPTCP is there.
    """
    if any(
        seen.segment.flags & (SYN | ACK) == SYN | ACK
        and not seen.cut
        and not any(map(sets_up, seen.whole))
        for seen in flow.fresh
    ):
        return False
    return any(seen.segment.host or not seen.segment.flags & (SYN | RST) for seen in flow.fresh)


def _places(flows: list[Flow]) -> set[object]:
    return {end.address for flow in flows for end in flow.truth.ends}


def _by_token(group: Group, flow: Flow, shake: Handshake, _: set[object]) -> bool:
    """Whether the SYN's token is that of a key in the capture."""
    return (
        shake.syn is not None
        and isinstance(shake.syn[1], MpJoinSyn)
        and group.keys[1 - flow.truth.opener]
        and group.version in (0, 1)
    )


def _by_numbers(group: Group, flow: Flow, shake: Handshake, places: set[object]) -> bool:
    """Whether a subflow without SYN has 8-octet numbers that fit the keys in the capture."""
    if shake.syn is not None:
        return False
    proofs = 0
    for sender in (0, 1):
        for role, dsn in _first_numbers(flow, sender):
            if dsn is not None and group.keys[role]:
                host = group.truth.hosts[role]
                idsn = crypto.idsn(host.key, group.truth.version)
                if (host.base + dsn - idsn) & MASK >= NEAR:
                    return False
                proofs += 1
    return proofs > 1 or (proofs == 1 and bool(places & _places([flow])))


def _first_numbers(
    flow: Flow, sender: int, size: int = 8
) -> tuple[tuple[int, int | None], tuple[int, int | None]]:
    """The first DSN and the first DATA_ACK that a host shows with so many octets.

    Returns:
        Each with the role of the host whose data it counts.
    """
    dsn: int | None = None
    acked: int | None = None
    for seen in flow.fresh:
        if seen.segment.host != sender:
            continue
        for option in seen.whole:
            if not isinstance(option, Dss):
                continue
            if dsn is None and option.dsn_size == size and seen.mapping is not None:
                dsn = seen.mapping.dsn
            if acked is None and option.data_ack_size == size:
                acked = seen.data_ack
    return (sender, dsn), (1 - sender, acked)


def _count_from(group: Group, role: int) -> None:
    """Where a host's shown DSNs count from: its IDSN, else the lowest of the first numbers."""
    if group.keys[role] and group.version in (0, 1):
        group.shift[role], group.absolute[role] = 0, True
        return
    wide: list[int] = []
    short: list[tuple[int, int]] = []
    for flow in sorted(group.flows, key=lambda flow: flow.seen[0].number):
        own, other = _first_numbers(flow, role)[0][1], _first_numbers(flow, 1 - role)[1][1]
        wide += [each - 1 for each in (own, other) if each is not None]
        own, other = _first_numbers(flow, role, 4)[0][1], _first_numbers(flow, 1 - role, 4)[1][1]
        short += [(order, each) for order, each in ((0, own), (1, other)) if each is not None]
    if wide:
        group.shift[role], group.absolute[role] = min(wide), True
    elif short:
        group.shift[role] = min(short, key=lambda entry: entry[0])[1] - 1
