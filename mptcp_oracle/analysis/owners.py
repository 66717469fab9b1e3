"""Owners: which connection a joined subflow belongs to.

An MP_JOIN names the connection by the token of the host that it is sent to (RFC 8684 section
3.2). Tokens are unique on one host only, so a token alone decides nothing where two hosts use the
same one: the join HMACs do, and where they cannot be checked, the addresses. A token that nobody
owns may be a right one wrongly made. A joined subflow whose SYN is not in the capture is
recognised by its 64-bit data sequence numbers. The order of frames plays no part, since a capture
of several interfaces may show a join before its handshake.

Captures are hostile: what is tried for one subflow is bounded, and indexes replace searches.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections import defaultdict
from collections.abc import Callable
from dataclasses import dataclass, field

from mptcp_oracle import crypto
from mptcp_oracle.analysis.entities import Connection
from mptcp_oracle.analysis.joins import owner_by_hmac
from mptcp_oracle.analysis.subflows import Handshake
from mptcp_oracle.options import MpJoinSyn
from mptcp_oracle.wire.segments import Wire

__all__ = ["Found", "Owners", "syn_token"]

MASK = 0xFFFFFFFFFFFFFFFF
#: How far a 64-bit DSN may be above the IDSN and still belong to it. The chance that an unrelated
#: number is that near is 2**-28.
NEAR = 1 << 36
#: Most owners of one token, and most neighbours of a stray join, that are looked at.
MOST_TRIED = 256
#: So many owners of equal tokens are looked at in a capture; from then on the nearest ones only.
MOST_EQUAL = 100_000
NEAREST = 8
#: Most connections tried by HMAC for all stray joins of a capture together.
MOST_TRIALS = 100_000
#: Most hosts looked at for one stray's numbers.
MOST_NUMBERS = 64

Owner = tuple[Connection, int]


@dataclass(frozen=True, slots=True)
class Found:
    """The connection of a subflow, the role that its source has there, and what was odd."""

    connection: Connection
    source: int
    wrong_token: str | None = None


@dataclass(slots=True)
class Addresses:
    """Addresses that each host of a connection has used as an end of a subflow."""

    of: tuple[set[str], set[str]] = field(default_factory=lambda: (set(), set()))


def syn_token(shake: Handshake) -> int | None:
    """The token of a join's SYN, if it is in the capture."""
    if shake.syn is not None and isinstance(shake.syn[1], MpJoinSyn):
        return shake.syn[1].token
    return None


class Owners:
    """Indexes over the connections of a capture, and the search in them.

    Attributes:
        trials: Connections tried by HMAC for stray joins so far.
        equal: Owners of equal tokens looked at so far, beside the first of each token.
    """

    def __init__(self, wire: Wire) -> None:
        self.wire = wire
        self.trials = 0
        self.equal = 0
        self._by_token: defaultdict[int, list[Owner]] = defaultdict(list)
        self._by_place: defaultdict[tuple[int, str], list[Owner]] = defaultdict(list)
        self._by_address: defaultdict[str, dict[int, Connection]] = defaultdict(dict)
        self._addresses: dict[int, Addresses] = {}
        self._slips: dict[str, dict[int, list[Found]]] = {}
        self._numbers: list[tuple[int, int, int, Connection]] | None = None
        self._connections: list[Connection] = []
        self._joined: set[tuple[int, int | None]] = set()

    def add(self, connection: Connection) -> None:
        """Enter a connection with its initial subflow, already attached."""
        self._connections.append(connection)
        flow = connection.subflows[0]
        for role, host in enumerate(connection.hosts):
            if host.token is None:
                continue
            owner = (connection, role)
            self._by_token[host.token].append(owner)
            address = (flow.source, flow.destination)[role].address
            self._by_place[host.token, address].append(owner)

    def place(self, connection: Connection, source: str, destination: str, role: int) -> None:
        """Note the addresses of a subflow whose source has a role."""
        known = self._addresses.setdefault(connection.id, Addresses())
        known.of[role].add(source)
        known.of[1 - role].add(destination)
        for address in (source, destination):
            self._by_address[address][connection.id] = connection

    # ------------------------------------------------------------------ by token

    def by_token(self, shake: Handshake) -> Found | None:
        """The connection whose host owns the token of the SYN."""
        token = syn_token(shake)
        owners = () if token is None else self._candidates(token, shake)
        results: dict[tuple[int | None, ...], bool | None] = {}
        judged: list[tuple[Owner, bool | None]] = []
        for connection, role in owners:
            keys = tuple(host.key for host in connection.hosts)
            known = (connection.version, role, *keys)
            if known not in results:
                results[known] = owner_by_hmac(shake, connection, 1 - role)
            judged.append(((connection, role), results[known]))
        verified = [own for own, right in judged if right]
        left = verified or [own for own, right in judged if right is None]
        left = left or [own for own, _ in judged]
        left = self._narrow(shake, left, same=bool(verified))
        if not left or (len(left) > 1 and not verified):
            return None
        connection, role = self._copy(shake, left)
        # The SYN goes to the owner of the token, so its sender is the other host: unless the
        # HMACs, or addresses, say that the joiner put in its own token.
        if not verified:
            right = owner_by_hmac(shake, connection, role)
            backwards = self._backwards(shake, connection, role)
            if (
                backwards
                if right is None
                else right and not self._forwards(shake, connection, role)
            ):
                return Found(connection, role, "the token is the joiner's own")
        return Found(connection, 1 - role)

    def _copy(self, shake: Handshake, owners: list[Owner]) -> Owner:
        """Among copies of one connection, the first that does not have this very join yet.

        A capture on both sides of an address translator shows a connection twice at the same
        time, with the same keys: its joins go to the copies in their order.
        """
        syn = shake.syn
        nonce = syn[1].nonce if syn is not None and isinstance(syn[1], MpJoinSyn) else None
        free = [own for own in owners if (own[0].id, nonce) not in self._joined]
        own = free[0] if free else owners[-1]
        self._joined.add((own[0].id, nonce))
        return own

    def _candidates(self, token: int, shake: Handshake) -> list[Owner]:
        """The owners of a token; of very many only those that are near in place and time."""
        owners = self._by_token.get(token, [])
        most = MOST_TRIED if self.equal < MOST_EQUAL else NEAREST
        self.equal += max(0, min(len(owners), most) - 1)
        if len(owners) <= most:
            return owners
        flow = shake.subflow
        for address in (flow.destination.address, flow.source.address):
            here = self._by_place.get((token, address))
            if here:
                owners = here
                break
        at = bisect_right(owners, flow.first_frame, key=lambda own: own[0].subflows[0].first_frame)
        low = max(0, min(at + most // 32, len(owners)) - most)
        return owners[low : low + most]

    def _narrow(self, shake: Handshake, owners: list[Owner], *, same: bool) -> list[Owner]:
        """Choose among several owners of one token by VLAN, addresses and time.

        Time comes first among copies of one connection (``same`` keys), addresses first among
        different ones, since a capture of several interfaces may show frames out of order.
        """
        realm, flow = self.wire.streams["realm"], shake.subflow
        place: list[Callable[[Owner], bool]] = [
            lambda own: flow.destination.address in self._addresses[own[0].id].of[own[1]],
            lambda own: flow.source.address in self._addresses[own[0].id].of[1 - own[1]],
        ]
        when: list[Callable[[Owner], bool]] = [
            lambda own: own[0].subflows[0].first_frame <= flow.first_frame,
            lambda own: flow.first_frame <= own[0].subflows[0].last_frame,
        ]
        tests = [
            lambda own: realm[own[0].subflows[0].stream] == realm[flow.stream],
            *(when + place if same else place + when),
        ]
        for test in tests:
            if len(owners) < 2:
                break
            narrowed = [own for own in owners if test(own)]
            if narrowed:
                owners = narrowed
            elif same and test is when[1]:
                owners = [own for own in owners if own[0] is owners[-1][0]]
        return owners

    def _backwards(self, shake: Handshake, connection: Connection, role: int) -> bool:
        """Whether the SYN came *from* the host that owns its token, going by addresses."""
        source, destination = shake.subflow.source.address, shake.subflow.destination.address
        own, other = (
            self._addresses[connection.id].of[role],
            self._addresses[connection.id].of[1 - role],
        )
        return destination not in own and (source in own or destination in other)

    def _forwards(self, shake: Handshake, connection: Connection, role: int) -> bool:
        """Whether the SYN went *to* the host that owns its token, going by addresses."""
        source, destination = shake.subflow.source.address, shake.subflow.destination.address
        own = self._addresses[connection.id].of[role]
        return destination in own and source not in own

    # ------------------------------------------------------------------ by slip or HMAC

    def by_proof(self, shake: Handshake) -> Found | None:
        """The connection whose token was made in a wrong way, or whose keys made the HMACs."""
        token, flow = syn_token(shake), shake.subflow
        if token is None:
            return None
        slips = [
            found
            for address in dict.fromkeys((flow.destination.address, flow.source.address))
            for found in self._slips_at(address).get(token, ())
        ]
        for found in slips[:MOST_TRIED]:
            if owner_by_hmac(shake, found.connection, found.source):
                return found
        if len({(id(found.connection), found.source) for found in slips}) == 1:
            return slips[0]
        if shake.synack is None:
            return None
        for connection in self._neighbours(shake):
            if self.trials >= MOST_TRIALS:
                return None
            self.trials += 1
            for opener in (0, 1):
                if owner_by_hmac(shake, connection, opener):
                    why = "the token is not the receiver's, yet the HMACs are"
                    return Found(connection, opener, why)
        return None

    def _slips_at(self, address: str) -> dict[int, list[Found]]:
        """Tokens that the usual mistakes give, for the connections of an address."""
        if address not in self._by_address:
            return {}
        if address not in self._slips:
            table: defaultdict[int, list[Found]] = defaultdict(list)
            for connection in self._by_address[address].values():
                for role, host in enumerate(connection.hosts):
                    if host.key is None or connection.version not in (0, 1):
                        continue
                    for token, why in _slips(host.key, connection.version):
                        table[token].append(Found(connection, 1 - role, why))
            self._slips[address] = table
        return self._slips[address]

    def _neighbours(self, shake: Handshake) -> list[Connection]:
        """Connections that share an address with a subflow, the nearest in time first."""
        flow = shake.subflow
        found: dict[int, Connection] = {}
        for address in (flow.source.address, flow.destination.address):
            here = self._by_address.get(address, {})
            if len(here) <= MOST_TRIED:
                found |= here
                continue
            begun = list(here)[-MOST_TRIED:]
            found |= {number: here[number] for number in begun}
        return sorted(
            found.values(), key=lambda each: abs(each.subflows[0].first_frame - flow.first_frame)
        )[:MOST_TRIED]

    # ------------------------------------------------------------------ by numbers

    def by_numbers(self, shake: Handshake) -> Found | None:
        """The connection that the 8-octet DSNs and DATA_ACKs of a subflow without SYN fit.

        Two fitting numbers prove it; one does if the subflow shares an address.
        """
        if syn_token(shake) is not None:
            return None
        flow = shake.subflow
        mptcp, dsn, data_ack = self.wire.halves.of("mptcp", "first_dsn", "first_data_ack")
        shown: list[tuple[int, int]] = []
        for side, half in enumerate(flow.halves):
            shown += [(dsn[half] & MASK, side)] if mptcp[half] & 2 else []
            shown += [(data_ack[half] & MASK, 1 - side)] if mptcp[half] & 4 else []
        best: list[Found] = []
        most = 0
        candidates = dict.fromkeys(found for each in shown for found in self._near(each))
        for connection, source in candidates:
            proofs = _fitting(shown, connection, source)
            here = self._addresses[connection.id].of
            ends = (flow.source.address, flow.destination.address)
            shared = sum(end in here[0] | here[1] for end in ends)
            if proofs == 0 or (proofs == 1 and not shared):
                continue
            score = 4 * proofs + shared
            best = [*best, Found(connection, source)] if score == most else best
            if score > most:
                best, most = [Found(connection, source)], score
        return best[0] if len(best) == 1 else None

    def _near(self, shown: tuple[int, int]) -> list[tuple[Connection, int]]:
        """Hosts whose IDSN is not far below a number; the role is the subflow's source's."""
        if self._numbers is None:
            self._numbers = sorted(
                (host.idsn, connection.id, role, connection)
                for connection in self._connections
                for role, host in enumerate(connection.hosts)
                if host.idsn is not None
            )
        number, side = shown
        table: list[tuple[int, int, int, Connection]] = []
        for value in (number, number + MASK + 1):
            low = bisect_left(self._numbers, value - NEAR + 1, key=lambda entry: entry[0])
            high = bisect_right(self._numbers, value, key=lambda entry: entry[0])
            table += self._numbers[max(low, high - MOST_NUMBERS) : high]
        return [(connection, role ^ side) for _, _, role, connection in table]


def _slips(key: int, version: int) -> list[tuple[int, str]]:
    """Tokens that the usual mistakes give for the receiver's key, each with its cause."""
    digest = crypto.key_digest(key, version)
    swapped = int.from_bytes(key.to_bytes(8, "big"), "little")
    return [
        (crypto.token(key, 1 - version), "derived with the other version's hash"),
        (int.from_bytes(digest[-4:], "big"), "taken from the least significant end of the digest"),
        (int.from_bytes(digest[:4], "little"), "in the wrong byte order"),
        (crypto.token(swapped, version), "hashed from the key in the wrong byte order"),
    ]


def _fitting(shown: list[tuple[int, int]], connection: Connection, source: int) -> int:
    """How many numbers fit a connection; 0 if any contradicts it."""
    proofs = 0
    for number, side in shown:
        idsn = connection.hosts[source ^ side].idsn
        if idsn is None:
            continue
        if (number - idsn) & MASK >= NEAR:
            return 0
        proofs += 1
    return proofs
