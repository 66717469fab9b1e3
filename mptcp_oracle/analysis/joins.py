"""Join checks: tokens and the HMACs of both messages (RFC 8684 section 3.2)."""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

from mptcp_oracle import crypto
from mptcp_oracle.analysis.entities import ROLES, Connection, JoinCheck, Mismatch
from mptcp_oracle.analysis.subflows import Handshake
from mptcp_oracle.options import MpJoinAck, MpJoinSyn, MpJoinSynAck
from mptcp_oracle.wire.segments import Wire

__all__ = ["Proof", "check_join", "hmac_checks", "owner_by_hmac"]


class Proof(NamedTuple):
    """One HMAC of a join: where it is, what it should be, what it is."""

    row: int
    expected: bytes
    seen: bytes

    @property
    def right(self) -> bool:
        """Whether both are the same."""
        return self.expected == self.seen


def hmac_checks(
    shake: Handshake, connection: Connection, opener: int
) -> tuple[Proof | None, Proof | None]:
    """Check the HMACs of a join as if host ``opener`` of ``connection`` had opened it.

    A SYN or SYN/ACK may be sent again with another nonce; the pair that makes an HMAC right
    counts, else the latest.

    Returns:
        For SYN/ACK and third packet: the proof, or ``None`` if the message, a nonce or a key is
        missing.
    """
    joiner, owner = connection.hosts[opener].key, connection.hosts[1 - opener].key
    if joiner is None or owner is None or connection.version not in (0, 1):
        return None, None
    best: tuple[Proof | None, Proof | None] = (None, None)
    for proofs in _pairs(shake, connection.version, joiner, owner):
        if best[0] is None or (best[1] is not None and proofs[1] and proofs[1].right):
            best = proofs
        if proofs[0].right:
            return proofs
    return best


def _pairs(
    shake: Handshake, version: int, joiner: int, owner: int
) -> Iterator[tuple[Proof, Proof | None]]:
    """The proofs under each pair of nonces, the latest first."""
    ack = shake.ack
    for synack_raw, synack in reversed(shake.synacks):
        for syn in reversed(shake.syns):
            if not isinstance(syn, MpJoinSyn) or not isinstance(synack, MpJoinSynAck):
                continue
            expected = crypto.join_synack_hmac(
                version=version,
                sender_key=owner,
                receiver_key=joiner,
                sender_nonce=synack.nonce,
                receiver_nonce=syn.nonce,
            )
            first, second = Proof(synack_raw.row, expected, synack.hmac), None
            if ack is not None and isinstance(ack[1], MpJoinAck):
                expected = crypto.join_ack_hmac(
                    version=version,
                    sender_key=joiner,
                    receiver_key=owner,
                    sender_nonce=syn.nonce,
                    receiver_nonce=synack.nonce,
                )
                second = Proof(ack[0].row, expected, ack[1].hmac)
            yield first, second


def owner_by_hmac(shake: Handshake, connection: Connection, opener: int) -> bool | None:
    """Whether any HMAC of the join proves that it belongs to the connection.

    ``None`` if none can be checked.
    """
    results = [proof.right for proof in hmac_checks(shake, connection, opener) if proof is not None]
    return any(results) if results else None


def _refused(shake: Handshake) -> bool:
    """Whether a RST answered the handshake and nothing shows that it succeeded.

    So does a SYN/ACK without MP_JOIN.
    """
    if shake.refused is not None and not shake.answered and not shake.begun:
        return True
    return not shake.synacks and shake.plain_synack is not None


def check_join(wire: Wire, shake: Handshake, connection: Connection) -> JoinCheck:
    """What the capture shows of a join, once its connection is known; names wrong HMACs there."""
    syn = shake.syn[1] if shake.syn else None
    token = syn.token if isinstance(syn, MpJoinSyn) else None
    opener = shake.subflow.opener
    if opener is None or connection.id < 0:
        return JoinCheck(
            token=token, token_right=None, synack_hmac=None, ack_hmac=None, result="unknown"
        )
    owner = connection.hosts[1 - opener]
    synack, ack = hmac_checks(shake, connection, opener)
    for sender, proof in ((1 - opener, synack), (opener, ack)):
        if proof is not None and not proof.right:
            connection.mismatches.append(
                Mismatch(
                    what="join_hmac",
                    host=ROLES[sender],
                    frame=wire.segments["frame"][proof.row],
                    expected=proof.expected.hex(),
                    seen=proof.seen.hex(),
                    why="the HMAC does not fit the keys and nonces of the join",
                    section="3.2",
                )
            )
    right = None if token is None or owner.token is None else token == owner.token
    if right is False or any(proof is not None and not proof.right for proof in (synack, ack)):
        result = "invalid"
    elif _refused(shake):
        result = "refused"
    elif synack is not None and ack is not None:
        result = "valid"
    else:
        result = "unknown"
    return JoinCheck(
        token=token,
        token_right=right,
        synack_hmac=synack.right if synack else None,
        ack_hmac=ack.right if ack else None,
        result=result,
    )
