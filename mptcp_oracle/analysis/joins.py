"""Join checks: tokens and the HMACs of both messages (RFC 8684 section 3.2)."""

from __future__ import annotations

from mptcp_oracle import crypto
from mptcp_oracle.analysis.entities import Connection, JoinCheck
from mptcp_oracle.analysis.subflows import Handshake
from mptcp_oracle.options import MpJoinAck, MpJoinSyn, MpJoinSynAck

__all__ = ["check_join", "hmac_checks", "owner_by_hmac"]


def hmac_checks(
    shake: Handshake, connection: Connection, opener: int
) -> tuple[tuple[bool, bytes] | None, tuple[bool, bytes] | None]:
    """Check the HMACs of a join as if host ``opener`` of ``connection`` had opened it.

    Returns:
        For SYN/ACK and third packet: whether it is right and what is expected, or ``None`` if the
        message, a nonce or a key is missing.
    """
    syn = shake.syn[1] if shake.syn else None
    synack = shake.synack[1] if shake.synack else None
    ack = shake.ack[1] if shake.ack else None
    joiner, owner = connection.hosts[opener], connection.hosts[1 - opener]
    version = connection.version
    if (
        not isinstance(syn, MpJoinSyn)
        or not isinstance(synack, MpJoinSynAck)
        or joiner.key is None
        or owner.key is None
        or version not in (0, 1)
    ):
        return None, None
    expected = crypto.join_synack_hmac(
        version=version,
        sender_key=owner.key,
        receiver_key=joiner.key,
        sender_nonce=synack.nonce,
        receiver_nonce=syn.nonce,
    )
    first = (expected == synack.hmac, expected)
    if not isinstance(ack, MpJoinAck):
        return first, None
    expected = crypto.join_ack_hmac(
        version=version,
        sender_key=joiner.key,
        receiver_key=owner.key,
        sender_nonce=syn.nonce,
        receiver_nonce=synack.nonce,
    )
    return first, (expected == ack.hmac, expected)


def owner_by_hmac(shake: Handshake, connection: Connection, opener: int) -> bool | None:
    """Whether any HMAC of the join proves that it belongs to the connection.

    ``None`` if none can be checked.
    """
    results = [check[0] for check in hmac_checks(shake, connection, opener) if check is not None]
    return any(results) if results else None


def check_join(shake: Handshake, connection: Connection) -> JoinCheck:
    """What the capture shows of a join, once its connection is known."""
    syn = shake.syn[1] if shake.syn else None
    token = syn.token if isinstance(syn, MpJoinSyn) else None
    opener = shake.subflow.opener
    if opener is None or connection.id < 0:
        return JoinCheck(
            token=token, token_right=None, synack_hmac=None, ack_hmac=None, result="unknown"
        )
    owner = connection.hosts[1 - opener]
    synack, ack = hmac_checks(shake, connection, opener)
    right = None if token is None or owner.token is None else token == owner.token
    checks = [check[0] for check in (synack, ack) if check is not None]
    if right is False or False in checks:
        result = "invalid"
    elif shake.refused is not None and not shake.answered:
        result = "refused"
    elif synack is not None and ack is not None:
        result = "valid"
    else:
        result = "unknown"
    return JoinCheck(
        token=token,
        token_right=right,
        synack_hmac=synack[0] if synack else None,
        ack_hmac=ack[0] if ack else None,
        result=result,
    )
