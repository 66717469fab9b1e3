"""Joins: what the messages of MP_JOIN in the capture show of a subflow, and whether it went on."""

from __future__ import annotations

from mptcp_oracle import crypto
from mptcp_oracle.facts import Fact
from mptcp_oracle.model.observed_frames import Flow
from mptcp_oracle.model.observed_groups import Group
from mptcp_oracle.model.observed_handshakes import Handshake, sets_up
from mptcp_oracle.model.trace import RST, SYN
from mptcp_oracle.options import MpJoinAck, MpJoinSyn, MpJoinSynAck

__all__ = ["established", "join_of"]


def join_of(group: Group, flow: Flow, shake: Handshake) -> Fact | None:
    """What the three messages of a join show (RFC 8684 section 3.2); ``None`` of other subflows."""
    if flow is group.initial or (group.id < 0 and shake.kind != "joined"):
        return None
    truth = flow.truth
    option = shake.syn[1] if shake.syn is not None else None
    token = option.token if isinstance(option, MpJoinSyn) else None
    fact: Fact = {
        "token": None if token is None else f"{token:08x}",
        "token_right": None,
        "synack_hmac": None,
        "ack_hmac": None,
        "result": "unknown",
    }
    if group.id < 0 or shake.opener is None:
        return fact
    version = group.truth.version
    opener, owner = truth.opener, 1 - truth.opener
    keys = [host.key for host in group.truth.hosts]
    if token is not None and group.keys[owner]:
        fact["token_right"] = token == crypto.token(keys[owner], version)
    if shake.syn is not None and shake.synack is not None and all(group.keys):
        nonces = {"sender_nonce": truth.nonces[owner], "receiver_nonce": truth.nonces[opener]}
        right = crypto.join_synack_hmac(
            version=version, sender_key=keys[owner], receiver_key=keys[opener], **nonces
        )
        answer = shake.synack[1]
        fact["synack_hmac"] = isinstance(answer, MpJoinSynAck) and answer.hmac == right
        if shake.ack is not None and isinstance(shake.ack[1], MpJoinAck):
            right = crypto.join_ack_hmac(
                version=version,
                sender_key=keys[opener],
                receiver_key=keys[owner],
                sender_nonce=truth.nonces[opener],
                receiver_nonce=truth.nonces[owner],
            )
            fact["ack_hmac"] = shake.ack[1].hmac == right
    checks = (fact["token_right"], fact["synack_hmac"], fact["ack_hmac"])
    if False in checks:
        fact["result"] = "invalid"
    elif _refused(flow, shake):
        fact["result"] = "refused"
    elif fact["synack_hmac"] and fact["ack_hmac"]:
        fact["result"] = "valid"
    return fact


def _refused(flow: Flow, shake: Handshake) -> bool:
    """Whether a RST answered a join, and no frame shows that it went on.

    So does a SYN/ACK without MP_JOIN.
    """
    owner = [seen for seen in flow.fresh if seen.segment.host != flow.truth.opener]
    if shake.synack is None and any(
        seen.segment.flags & SYN and not any(map(sets_up, seen.whole)) and not seen.cut
        for seen in owner
    ):
        return True
    return any(seen.segment.flags & RST for seen in owner) and not _went_on(flow)


def _went_on(flow: Flow) -> bool:
    """Whether a frame is there of what comes after the handshake of a join."""
    return not all(
        seen.segment.flags & (SYN | RST) or any(isinstance(each, MpJoinAck) for each in seen.whole)
        for seen in flow.fresh
    )


def established(group: Group, flow: Flow, shake: Handshake) -> bool:
    """Whether a join may have carried data: neither seen to fail, nor a SYN without answer."""
    if group.id < 0 or flow is group.initial:
        return True
    join = join_of(group, flow, shake)
    if join is not None and join["result"] in ("refused", "invalid"):
        return False
    answered = shake.first_synack is not None or shake.ack is not None or _went_on(flow)
    return answered or shake.first_syn is None
