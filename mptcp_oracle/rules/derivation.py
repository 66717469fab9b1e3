"""What follows from keys: tokens and initial data sequence numbers (RFC 8684 sections 3.1, 3.2)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

from mptcp_oracle import crypto
from mptcp_oracle.analysis.entities import Connection, Subflow
from mptcp_oracle.facts import CLASSES
from mptcp_oracle.options import MpCapable, MpJoinSyn, notation
from mptcp_oracle.rules.case import INCOMPLETE, Case
from mptcp_oracle.rules.context import Context
from mptcp_oracle.rules.rule import Rule

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Array = NDArray[Any]
    Mask = NDArray[np.bool_]

__all__ = ["RULES", "doubtful", "turned"]

TOKEN = {1: "8684-3.1-token-derivation", 0: "6824-3.1-token-from-key"}
BYTE_ORDER = "8684-3.1-key-network-byte-order"
RIGHTMOST = "8684-3.1-idsn-rightmost-octets"
IDSN = {
    1: ("8684-3.1-idsn-derivation", "8684-3.3.1-idsn-from-key"),
    0: ("8684-3.1-idsn-derivation", "6824-3.1-idsn-sha1-truncation"),
}
MASK = (1 << 64) - 1
#: Octets that a connection may have sent at once, and for each nanosecond that it lasted: a
#: terabyte, and a terabyte a second. Numbers farther above an IDSN do not count from it.
AT_ONCE, A_NANOSECOND = 1 << 40, 1 << 10
#: Bits of a declared mapping's ``flags``: DSN of 8 octets, DATA_FIN, implied by MP_CAPABLE.
WIDE, FIN, IMPLIED = 0x08, 0x10, 0x40
PROBE = 1 << CLASSES.index("zero_window_probe")

# ---------------------------------------------------------------------------- keys


def doubtful(case: Case, *roles: int) -> str:
    """Why the keys of some hosts are not known for certain; empty if they are.

    A key is certain if its host itself showed it, in a segment that is not damaged, and no
    MP_CAPABLE of the handshake says otherwise.
    """
    initial = case.connection.initial
    if initial is None:
        return "the handshake of the connection is not captured"
    shake = case.shake(initial)
    opener = [each for each in (shake.syn, shake.ack, shake.changed) if each is not None]
    offers = [each for each in shake.syns if isinstance(each, MpCapable)]
    thirds = [each for _, each in opener if isinstance(each, MpCapable)]
    shown = (
        {each.sender_key for each in (*offers, *thirds)},
        {each.sender_key for _, each in shake.synacks if isinstance(each, MpCapable)}
        | {each.receiver_key for each in thirds},
    )
    for role in roles:
        host = case.hosts[role]
        if shown[role] - {None, host.key}:
            return f"the {host.role} has another key elsewhere in the handshake"
        if not any(
            isinstance(each, MpCapable)
            and each.sender_key == host.key
            and not case.context.integrity.damaged(raw.row)
            for raw, each in (shake.synacks if role else opener)
        ):
            return f"the key of the {host.role} is not known from that host itself"
    return ""


def turned(case: Case, subflow: Subflow) -> bool:
    """Whether the capture contradicts who opened a joined subflow, as the analysis has it.

    A join whose answer is signed with the keys in the wrong order looks like one that the other
    host opened with its own token; but a capture is made at one host.
    """
    check, initial = subflow.join, case.connection.initial
    if check is None or check.token_right is not False or initial is None:
        return False
    here, there = case.context.tap(initial), case.context.tap(subflow)
    return here is not None and there is not None and here != there


def _reversed(key: int) -> int:
    return int.from_bytes(key.to_bytes(8, "big"), "little")


def _number(octets: bytes) -> int:
    return int.from_bytes(octets, "big")


# -------------------------------------------------------------------------- tokens


class Slip(NamedTuple):
    """A usual mistake in a derivation: what was done, and the requirement it breaks besides."""

    cause: str
    besides: str | None = None


REVERSED = Slip("the key is hashed in little-endian order", BYTE_ORDER)
OWN = Slip("it is the joiner's own")


def token_slips(key: int, own: int | None, version: int) -> dict[int, Slip]:
    """Tokens that mistakes make of the receiver's key, or of the sender's own."""
    digest = crypto.key_digest(key, version)
    found = {
        crypto.token(key, 1 - version): Slip(f"it is made with the hash of version {1 - version}"),
        _number(digest[-4:]): Slip("it is the right end of the digest"),
        int.from_bytes(digest[:4], "little"): Slip("its octets are in the wrong order"),
        crypto.token(_reversed(key), version): REVERSED,
    }
    if own is not None:
        found[crypto.token(own, version)] = OWN
    return found


def tokens(case: Case) -> None:
    """The token on a join's SYN is that of the host that it is sent to (section 3.2)."""
    version = case.version or 0
    for signal, option in case.of(MpJoinSyn):
        subflow = signal.subflow
        if subflow.kind != "joined":
            continue
        role = signal.role ^ turned(case, subflow)
        joiner, owner = case.hosts[role], case.hosts[1 - role]
        if owner.key is None or owner.token is None:
            for each in (TOKEN[version], BYTE_ORDER):
                case.unseen(each, role, signal.row, why=f"the {owner.role}'s key is not captured")
            continue
        if option.token == owner.token:
            case.right(TOKEN[version], role)
            case.right(BYTE_ORDER, role)
            continue
        slip = token_slips(owner.key, joiner.key, version).get(option.token)
        why = (
            f"{notation(option)}: the key of the {owner.role} gives {owner.token:08x}"
            f"{'' if slip is None else f'; {slip.cause}'}"
        )
        lacking = doubtful(case, 1 - role) or _stray(case, subflow, slip)
        for each in (TOKEN[version], *([slip.besides] if slip and slip.besides else [])):
            if lacking:
                case.doubt(each, role, signal.row, why=f"{why}; {lacking}", subflow=subflow)
            else:
                case.wrong(each, role, signal.row, why=why, subflow=subflow)


def _stray(case: Case, subflow: Subflow, slip: Slip | None) -> str:
    """Why a join with a wrong token may be none of this host; empty if it is one."""
    check = subflow.join
    synack, third = (None, None) if check is None else (check.synack_hmac, check.ack_hmac)
    if third:
        return ""
    if slip is None:
        return "" if synack else "nothing shows that the join belongs to this connection"
    if slip is not OWN:
        fits = synack or (synack is None and third is None)
        return "" if fits else "its HMACs do not fit the keys of this connection either"
    # Or else it is right, and the other host joined.
    initial = case.connection.initial
    if initial is None or case.context.tap(subflow) is not None:
        return ""
    ends = {initial.source.address: 0, initial.destination.address: 1}
    joiner = subflow.source_role
    shown = ends.get(subflow.source.address), ends.get(subflow.destination.address)
    return "" if joiner == shown[0] or 1 - joiner == shown[1] else "who sent it is not certain"


# --------------------------------------------------------------------------- IDSNs


def idsn_slips(key: int, peer: int | None, version: int) -> dict[int, Slip]:
    """IDSNs that mistakes make of a host's own key, or of its peer's."""
    digest = crypto.key_digest(key, version)
    found = {
        _number(digest[at : at + 8]): Slip(
            f"they count from octets {at} to {at + 7} of the digest", RIGHTMOST
        )
        for at in range(len(digest) - 8)
    }
    found[crypto.idsn(key, 1 - version)] = Slip(
        f"they count from an IDSN made with the hash of version {1 - version}"
    )
    found[crypto.idsn(_reversed(key), version)] = REVERSED
    found[(crypto.idsn(key, version) - 1) & MASK] = Slip(
        "the IDSN is given to the first octet of data instead of the SYN"
    )
    if peer is not None:
        found[crypto.idsn(peer, version)] = Slip("they count from the peer's IDSN")
    return found


class Numbers:
    """The declared mappings of all connections, and how far their DSNs are from the IDSN + 1.

    Attributes:
        row, half, direction, length: Of each mapping that shows its DSN and is not infinite.
        past: Its DSN less the IDSN + 1.
        place: Octets of data before it on the initial subflow; -1 elsewhere, and for a DATA_FIN
            without data. first: Whether there are none. exact: Whether they are as many as
            ``past``, so that all that was sent went over this subflow, in order.
        wide: Whether the DSN has 8 octets.
        far: Whether no connection gets so far, or it is below the IDSN + 1.
        known: By direction: whether the IDSN is known.
    """

    def __init__(self, context: Context) -> None:
        import numpy as np

        trace, ground = context.trace, context.trace.ground
        count = 2 * len(context.connections)
        idsn: Array = np.zeros(count, np.uint64)
        self.known: Mask = np.zeros(count, np.bool_)
        begun: Array = np.zeros(count, np.int64)
        initial: Array = np.full(trace.wire.halves.rows, -1, np.int64)
        for number, connection in enumerate(context.connections):
            for role, host in enumerate(connection.hosts):
                if host.idsn is not None:
                    idsn[2 * number + role] = host.idsn
                    self.known[2 * number + role] = True
            flow = connection.initial
            if flow is not None:
                shake = trace.shakes[flow.stream]
                start = shake.syn_row if shake.syn_row is not None else shake.synack_row
                for role, half in flow.sides():
                    initial[half] = flow.syn_data[role]
                    begun[2 * number + role] = -1 if start is None else start
        of_half, flags = ground.mapping("half"), ground.mapping("flags")
        direction = ground.half_direction[of_half]
        infinite = (ground.mapping("length") == 0) & (flags & FIN == 0)
        chosen = np.flatnonzero(
            (direction >= 0) & (direction < count) & (flags & IMPLIED == 0) & ~infinite
        )
        if len(chosen):
            kind = ground.column("kind")[ground.mapping("row")[chosen]]
            chosen = chosen[kind & PROBE == 0]
        self.row = ground.mapping("row")[chosen].astype(np.int64)
        self.half = of_half[chosen]
        self.direction = direction[chosen]
        shift = (ground.base[:count] - idsn).astype(np.int64)
        self.past = ground.mapping("dsn")[chosen] + shift[self.direction] - 1
        self.length = ground.mapping("length")[chosen]
        self.wide = flags[chosen] & WIDE != 0
        accepted = initial[self.half]
        placed = (accepted >= 0) & (ground.mapping("ssn")[chosen] != 0)
        self.place = np.where(placed, ground.mapping("start")[chosen] - 1 - accepted, -1)
        # Whether subflow sequence numbers count accepted data of the SYN is not settled (B.3): a
        # mapping that is right if they do not is right.
        ssn, sequence = ground.mapping("ssn")[chosen], ground.column("sequence")[self.row]
        other = placed & (accepted > 0) & (ssn == self.past + 1) & (ssn + accepted <= sequence)
        self.first = (self.place == 0) & ~other
        self.exact = ((self.place >= 0) & (self.place == self.past)) | other
        time = ground.column("time")
        since = begun[self.direction]
        took = np.where(since >= 0, time[self.row] - time[since], np.int64(1) << 50)
        most = AT_ONCE + np.clip(took, 0, 1 << 50) * A_NANOSECOND
        self.far = (self.past < 0) | (self.past > most)


def numbers(context: Context) -> None:
    """The first octet of data has the IDSN of its sender's key + 1 (sections 3.1 and 3.3.1)."""
    import numpy as np

    if not context.trace.wire.mappings.rows:
        return
    found = Numbers(context)
    directions = 2 * len(context.connections)
    seen = np.zeros(directions, np.bool_)
    seen[found.direction] = True
    bad, good = (np.zeros(directions, np.bool_) for _ in range(2))
    bad[found.direction[found.first & (found.past != 0)]] = True
    # Of each direction the first DSN of 8 octets.
    wide = np.flatnonzero(found.wide)
    _, at = np.unique(found.direction[wide], return_index=True)
    earliest = wide[at]
    bad[found.direction[earliest[found.far[earliest]]]] = True
    good[found.direction[earliest[~found.far[earliest]]]] = True
    good[found.direction[found.exact | (found.first & (found.past == 0))]] = True
    order = np.argsort(found.direction, kind="stable")
    bounds = found.direction[order].searchsorted(np.arange(directions + 1))
    for direction in np.flatnonzero(seen).tolist():
        connection, role = context.connections[direction >> 1], direction & 1
        if connection.version not in (0, 1):
            continue
        if not found.known[direction]:
            why = f"the {connection.hosts[role].role}'s key is not captured"
        elif bad[direction]:
            mine = order[bounds[direction] : bounds[direction + 1]]
            _accuse(context, connection, direction, found, mine)
            continue
        else:
            why = "what was captured has DSNs of 4 octets only, and not the first"
        for each in (*IDSN[connection.version], BYTE_ORDER, RIGHTMOST):
            if found.known[direction] and good[direction]:
                context.ledger.right(each, direction)
            else:
                context.ledger.unseen(each, direction, why)


def _accuse(
    context: Context, connection: Connection, direction: int, found: Numbers, mine: Array
) -> None:
    """DSNs that do not seem to count from the IDSN; ``mine`` are the mappings of the direction."""
    import numpy as np

    role = direction & 1
    case = Case(context, direction >> 1, connection)
    host, peer = connection.hosts[role], connection.hosts[1 - role]
    assert host.key is not None
    assert host.idsn is not None
    assert connection.version is not None
    first = mine[found.first[mine] & (found.past[mine] != 0)]
    at = int(first[0]) if len(first) else int(mine[found.wide[mine]][0])
    row, past = int(found.row[at]), int(found.past[at])
    if np.any((found.past[mine] == 0) & (found.half[mine] != found.half[at])):
        # Another subflow had the first octet of data.
        for each in (*IDSN[connection.version], BYTE_ORDER, RIGHTMOST):
            context.ledger.right(each, direction)
        return
    subflow = next(flow for flow in connection.subflows if found.half[at] in flow.halves)
    shown = (host.idsn + past - int(found.place[at])) & MASK
    slips = idsn_slips(host.key, peer.key, connection.version)
    if not found.wide[at]:
        slips = {key & 0xFFFFFFFF: slip for key, slip in slips.items()}
        shown &= 0xFFFFFFFF
    slip = slips.get(shown) if found.place[at] >= 0 else None
    if past == found.place[at] + subflow.syn_data[role] > 0:
        slip = Slip(f"they count the {past} octets that the SYN carried, too")
    width = 8 if found.wide[at] else 4
    why = (
        f"the key of the {host.role} gives IDSN {host.idsn}, so that "
        f"{'the first octet of data has' if found.first[at] else 'data follows from'} DSN "
        f"{(host.idsn + 1) & MASK}; it is {(host.idsn + 1 + past) & MASK} here, in {width} octets"
        f"{'' if slip is None else f': {slip.cause}'}"
    )
    lacking = doubtful(case, role) or _lacking(case, subflow, role, found, mine, at, slip)
    broken = [*IDSN[connection.version], *([slip.besides] if slip and slip.besides else [])]
    for each in broken:
        if lacking:
            case.doubt(each, role, row, why=f"{why}; {lacking}", subflow=subflow)
        else:
            case.wrong(each, role, row, why=why, subflow=subflow)


def _lacking(
    case: Case,
    subflow: Subflow,
    role: int,
    found: Numbers,
    mine: Array,
    at: int,
    slip: Slip | None,
) -> str:
    """What a proof lacks that a mapping does not count from the IDSN; empty if nothing."""
    earlier = mine[(found.row[mine] < found.row[at]) & (found.half[mine] != found.half[at])]
    if len(earlier):
        return "another subflow had data before"
    tap = case.context.tap(subflow)
    if found.past[at] == -1 and found.length[at] == 1 and (tap is None or not case.context.whole):
        return "it may be the probe of a window whose closing was not captured"
    if slip is not None:
        return ""
    if not found.wide[at]:
        return "4 octets of it tell nothing for certain"
    near = mine[found.wide[mine] & ~found.far[mine]]
    if not found.far[at]:
        return f"data before it may have gone over another subflow; {INCOMPLETE}"
    return "other DSNs of the host do count from it" if len(near) else ""


RULES: tuple[Rule, ...] = (
    Rule(requirements=(*TOKEN.values(), BYTE_ORDER), judge=tokens, on=(MpJoinSyn,)),
    Rule(requirements=(*dict.fromkeys((*IDSN[1], *IDSN[0])), BYTE_ORDER, RIGHTMOST), sweep=numbers),
)
