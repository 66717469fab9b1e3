"""What keys sign: the HMACs of joins and of ADD_ADDR (RFC 8684 sections 3.2 and 3.4.1)."""

from __future__ import annotations

from typing import NamedTuple

from mptcp_oracle import crypto
from mptcp_oracle.analysis.entities import Subflow
from mptcp_oracle.analysis.signals import RST
from mptcp_oracle.analysis.subflows import MOST_REPEATS, Handshake
from mptcp_oracle.options import AddAddr, MpJoinAck, MpJoinSyn, MpJoinSynAck, notation
from mptcp_oracle.rules.case import Case, Signal
from mptcp_oracle.rules.derivation import doubtful, turned
from mptcp_oracle.rules.rule import Rule

__all__ = ["RULES"]

SYNACK = {1: "8684-3.2-join-synack-hmac", 0: "6824-3.2-join-synack-hmac"}
THIRD = {1: "8684-3.2-join-ack-hmac", 0: "6824-3.2-join-ack-hmac"}
ADD_ADDR = "8684-3.4.1-add-addr-hmac"

Pair = tuple[int, int]
"""Keys or nonces of two hosts: first of the one that sends an HMAC, then of its peer."""


def _cause(digests: dict[str, bytes], seen: bytes, *, right: bool = False) -> str:
    """What was done wrong, if one of some digests, by what is wrong with it, gives an HMAC.

    The left end of a digest is due, or its ``right`` end.
    """
    if not any(seen):
        return "it is nothing but zeros"
    size = len(seen)
    for cause, digest in digests.items():
        ends = digest[:size], digest[-size:]
        due, other = ends[::-1] if right else ends
        if seen == due and cause:
            return cause
        if seen == other and not cause:
            return f"it is the {'left' if right else 'right'} end of the HMAC"
    return ""


# --------------------------------------------------------------------------- joins


def _digest(version: int, keys: Pair, nonces: Pair) -> bytes:
    return crypto.join_digest(
        version=version,
        sender_key=keys[0],
        receiver_key=keys[1],
        sender_nonce=nonces[0],
        receiver_nonce=nonces[1],
    )


def _mistakes(version: int, keys: Pair, nonces: Pair) -> dict[str, bytes]:
    """Digests that the usual mistakes give; without one under an empty name."""
    swapped, turned = (keys[1], keys[0]), (nonces[1], nonces[0])
    return {
        "": _digest(version, keys, nonces),
        "its keys are in the wrong order": _digest(version, swapped, nonces),
        "its nonces are in the wrong order": _digest(version, keys, turned),
        "it is the HMAC that the peer has to send": _digest(version, swapped, turned),
        f"it is made with the hash of version {1 - version}": _digest(1 - version, keys, nonces),
    }


def _nonces(shake: Handshake) -> list[Pair]:
    """The pairs of nonces that a join's HMACs may be over, the joiner's first; latest first."""
    return [
        (syn.nonce, synack.nonce)
        for _, synack in reversed(shake.synacks)
        for syn in reversed(shake.syns)
        if isinstance(syn, MpJoinSyn) and isinstance(synack, MpJoinSynAck)
    ]


def joins(case: Case) -> None:
    """Both HMACs of a join are made of the keys and nonces of both hosts (section 3.2)."""
    doubts: dict[tuple[int, bool], str] = {}
    for signal, synack in case.of(MpJoinSynAck):
        if signal.role != signal.subflow.source_role:
            # Its own nonce is beside it.
            pairs = [
                (mine, theirs)
                for theirs, mine in _nonces(case.shake(signal.subflow))
                if mine == synack.nonce
            ]
            _check(case, SYNACK[case.version or 0], signal, synack.hmac, pairs, doubts)
    for signal, third in case.of(MpJoinAck):
        if signal.role == signal.subflow.source_role:
            pairs = _nonces(case.shake(signal.subflow))
            _check(case, THIRD[case.version or 0], signal, third.hmac, pairs, doubts)


def _check(
    case: Case,
    requirement: str,
    signal: Signal,
    hmac: bytes,
    pairs: list[Pair],
    doubts: dict[tuple[int, bool], str],
) -> None:
    """One HMAC of a join, which may be over some pairs of nonces.

    ``doubts`` holds what is known of subflows already, see :func:`_unsure`.
    """
    subflow, version = signal.subflow, case.version or 0
    if subflow.kind != "joined":
        return
    role = signal.role ^ turned(case, subflow)
    own, peer = case.hosts[role].key, case.hosts[1 - role].key
    if own is None or peer is None or not pairs:
        missing = "a nonce" if own is not None and peer is not None else "a key"
        case.unseen(requirement, role, signal.row, why=f"{missing} is not captured")
        return
    keys, size = (own, peer), len(hmac)
    wanted = [_digest(version, keys, pair)[:size] for pair in pairs]
    if hmac in wanted:
        case.right(requirement, role)
        return
    causes = (_cause(_mistakes(version, keys, pair), hmac) for pair in pairs)
    cause = next((each for each in causes if each), "")
    why = (
        f"{notation(signal.option)}: the keys of the connection and the nonces of the join give "
        f"{wanted[0].hex()}{cause and '; ' + cause}"
    )
    explained = bool(cause) and any(hmac)
    known = subflow.id, explained
    if known not in doubts:
        doubts[known] = _unsure(case, subflow, explained=explained)
    lacking = doubts[known]
    if lacking:
        case.doubt(requirement, role, signal.row, why=f"{why}; {lacking}", subflow=subflow)
    else:
        case.wrong(requirement, role, signal.row, why=why, subflow=subflow)


def _unsure(case: Case, subflow: Subflow, *, explained: bool) -> str:
    """Why a wrong HMAC is no proof: keys or nonces may be others; empty if it is one.

    If it is ``explained`` by a mistake, keys and nonces are those that it was made of.
    """
    shake, check = case.shake(subflow), subflow.join
    lacking = doubtful(case, 0, 1)
    proofs = () if check is None else (check.synack_hmac, check.ack_hmac)
    if lacking or explained or True in proofs:
        return lacking
    token = shake.syn[1].token if shake.syn and isinstance(shake.syn[1], MpJoinSyn) else None
    owner = case.hosts[1 - subflow.source_role ^ turned(case, subflow)]
    if token is None or token != owner.token or len(case.context.owners[token]) > 1:
        return "nothing shows for certain that the join belongs to this connection"
    if len(shake.syns) >= MOST_REPEATS or len(shake.synacks) >= MOST_REPEATS:
        return "there are too many different messages to try all nonces"
    joiner = subflow.halves[subflow.source_role]
    reset = any(raw.half == joiner and raw.flags & RST for raw in case.events(subflow))
    if case.context.whole or (reset and shake.ack is None):
        # All SYNs are there, or the joiner itself did not take it.
        return ""
    return "it may be over the nonce of another SYN, which was not captured"


# ------------------------------------------------------------------------ ADD_ADDR


def addresses(case: Case) -> None:
    """The HMAC of an ADD_ADDR is made of its ID, address and port (section 3.4.1)."""
    wrong: list[Forgery] = []
    for signal, option in case.of(AddAddr):
        role = signal.role
        if option.echo or option.hmac is None:
            continue
        own, peer = case.hosts[role].key, case.hosts[1 - role].key
        if own is None or peer is None:
            case.unseen(ADD_ADDR, role, signal.row, why="a key is not captured")
            continue
        digest = _add_addr(option, (own, peer))
        size = len(option.hmac)
        if digest[-size:] == option.hmac:
            case.right(ADD_ADDR, role)
        else:
            cause = _cause(_misread(option, (own, peer), digest), option.hmac, right=True)
            wrong.append(Forgery(signal, cause, digest[-size:].hex()))
    # What is explained comes first.
    for forgery in sorted(wrong, key=lambda each: not each.cause):
        _forged(case, forgery)


class Forgery(NamedTuple):
    """An ADD_ADDR with a wrong HMAC: where, what was done wrong if that is known, the right one."""

    signal: Signal
    cause: str
    due: str


def _add_addr(option: AddAddr, keys: Pair, *, port: int | None = None) -> bytes:
    return crypto.add_addr_digest(
        sender_key=keys[0],
        receiver_key=keys[1],
        address_id=option.address_id,
        address=option.address,
        port=option.port if port is None else port,
    )


def _misread(option: AddAddr, keys: Pair, digest: bytes) -> dict[str, bytes]:
    """Digests that the usual mistakes give; without one under an empty name."""
    port = option.port or 0
    turned = (port & 0xFF) << 8 | port >> 8
    return {
        "": digest,
        "its keys are in the wrong order": _add_addr(option, (keys[1], keys[0])),
        "the port is left out of it": _add_addr(option, keys, port=0),
        "the octets of the port are in the wrong order": _add_addr(option, keys, port=turned),
    }


def _forged(case: Case, forgery: Forgery) -> None:
    """Accuse the sender of an ADD_ADDR whose HMAC is not what it should be."""
    signal, cause = forgery.signal, forgery.cause
    subflow, role = signal.subflow, signal.role
    why = (
        f"{notation(signal.option)}: the keys of the connection give {forgery.due}"
        f"{cause and '; ' + cause}"
    )
    lacking = doubtful(case, 0, 1)
    if not lacking and not cause and not case.sent_here(subflow, role):
        lacking = "somebody on the way may have changed the address"
    if lacking:
        case.doubt(ADD_ADDR, role, signal.row, why=f"{why}; {lacking}", subflow=subflow)
    else:
        case.wrong(ADD_ADDR, role, signal.row, why=why, subflow=subflow)


RULES: tuple[Rule, ...] = (
    Rule(
        requirements=(*SYNACK.values(), *THIRD.values()),
        judge=joins,
        on=(MpJoinSynAck, MpJoinAck),
    ),
    Rule(requirements=(ADD_ADDR,), judge=addresses, versions=(1,), on=(AddAddr,)),
)
