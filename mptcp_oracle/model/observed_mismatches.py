"""Mismatches: values on the wire that are not what the keys give (docs/facts.md)."""

from __future__ import annotations

from collections.abc import Iterator

from mptcp_oracle import crypto
from mptcp_oracle.facts import ROLES, Fact
from mptcp_oracle.model.observed_frames import Flow, Seen
from mptcp_oracle.model.observed_groups import Group
from mptcp_oracle.model.observed_handshakes import Handshake, syn_data
from mptcp_oracle.model.trace import SYN
from mptcp_oracle.options import AddAddr, Dss, MpCapable, MpJoinAck, MpJoinSyn, MpJoinSynAck

__all__ = ["mismatches"]

MASK = 0xFFFFFFFFFFFFFFFF


def mismatches(group: Group, shakes: dict[int, Handshake], fresh: list[Seen]) -> list[Fact]:
    """The mismatches of a group, by frame."""
    if group.id < 0 or group.version not in (0, 1):
        return []
    found = [*_keys(group, shakes), *_addresses(group, fresh), *_numbers(group, shakes)]
    for flow in group.flows:
        found += _join(group, flow, shakes[flow.id])
    found.sort(key=lambda fact: int(fact["frame"]))
    return found


def _fact(
    group: Group, what: str, host: int, frame: int, expected: str, seen: str, section: str
) -> Fact:
    return {
        "what": what,
        "host": ROLES[host ^ group.swap],
        "frame": frame,
        "expected": expected,
        "seen": seen,
        "why": "",
        "section": section,
    }


def _keys(group: Group, shakes: dict[int, Handshake]) -> Iterator[Fact]:
    """Keys that are not those of the messages before."""
    if group.initial is None:
        return
    said: list[int | None] = [None, None]  # the initiator's key, and what it holds for the other's
    changed = False
    for seen in group.initial.fresh:
        for option in seen.whole:
            if not isinstance(option, MpCapable):
                continue
            if seen.segment.host == 1:
                if said[1] is None:
                    said[1] = option.sender_key
                continue
            third = option.receiver_key is not None
            if third and changed:
                continue
            for place, key in enumerate((option.sender_key, option.receiver_key)):
                before = said[place]
                if None not in (before, key) and before != key:
                    changed = changed or third
                    yield _fact(
                        group, "echoed_key", 0, seen.number,
                        f"{before:016x}", f"{key:016x}", "3.1",
                    )  # fmt: skip
                said[place] = key if key is not None else before


def _join(group: Group, flow: Flow, shake: Handshake) -> Iterator[Fact]:
    """A token or an HMAC that the keys do not give."""
    if shake.syn is None or not isinstance(shake.syn[1], MpJoinSyn):
        return
    opener, syn = flow.truth.opener, shake.syn[1]
    hosts, version = group.truth.hosts, group.version
    assert version is not None
    if group.keys[1 - opener]:
        token = crypto.token(hosts[1 - opener].key, version)
        if token != syn.token:
            yield _fact(
                group, "token", opener, shake.syn[0].number,
                f"{token:08x}", f"{syn.token:08x}", "3.2",
            )  # fmt: skip
    if shake.synack is None or not all(group.keys):
        return
    synack = shake.synack[1]
    if not isinstance(synack, MpJoinSynAck):
        return
    nonces = (syn.nonce, synack.nonce) if opener == 0 else (synack.nonce, syn.nonce)
    checks = [(1 - opener, _first_like(flow, shake.synack[0], synack), synack.hmac)]
    if shake.ack is not None and isinstance(shake.ack[1], MpJoinAck):
        checks.append((opener, shake.ack[0].number, shake.ack[1].hmac))
    for sender, frame, hmac in checks:
        digest = crypto.join_digest(
            version=version,
            sender_key=hosts[sender].key,
            receiver_key=hosts[1 - sender].key,
            sender_nonce=nonces[sender],
            receiver_nonce=nonces[1 - sender],
        )
        right = digest[: len(hmac)]
        if right != hmac:
            yield _fact(group, "join_hmac", sender, frame, right.hex(), hmac.hex(), "3.2")


def _first_like(flow: Flow, message: Seen, option: MpJoinSynAck) -> int:
    """The first frame of a flow with the same SYN/ACK."""
    for seen in flow.fresh:
        if seen.segment.flags & SYN and option in seen.whole:
            return seen.number
    return message.number


def _addresses(group: Group, fresh: list[Seen]) -> Iterator[Fact]:
    """HMACs of ADD_ADDRs that the keys do not give."""
    if not all(group.keys):
        return
    for seen in fresh:
        for option in seen.whole:
            if not isinstance(option, AddAddr) or option.hmac is None:
                continue
            host = seen.segment.host
            right = crypto.add_addr_hmac(
                sender_key=group.truth.hosts[host].key,
                receiver_key=group.truth.hosts[1 - host].key,
                address_id=option.address_id,
                address=option.address,
                port=option.port,
            )
            if right != option.hmac:
                yield _fact(
                    group, "add_addr_hmac", host, seen.number,
                    right.hex(), option.hmac.hex(), "3.4.1",
                )  # fmt: skip


def _numbers(group: Group, shakes: dict[int, Handshake]) -> Iterator[Fact]:
    """A first DSN that the key does not give: of other numbers, or of the SYN's own octet."""
    flow = group.initial
    if flow is None:
        return
    for host in (0, 1):
        truth, shake = group.truth.hosts[host], shakes[flow.id]
        if not group.keys[host]:
            continue
        assert group.version is not None
        idsn = crypto.idsn(truth.key, group.version)
        first = 1 + syn_data(shake, host)
        for seen in flow.fresh:
            mapping = seen.mapping
            dss = next((each for each in seen.whole if isinstance(each, Dss)), None)
            if (
                seen.segment.host != host
                or mapping is None
                or dss is None
                or dss.dsn is None
                or not mapping.sequence <= first < mapping.sequence + mapping.octets
            ):
                continue
            before = mapping.dsn + first - mapping.sequence - 1
            shown = (truth.base + before) & MASK
            if truth.base != idsn:
                shown = truth.base
            elif before >= 0:
                break
            text = f"{shown:016x}" if dss.dsn_size == 8 else f"{shown & 0xFFFFFFFF:08x}"
            yield _fact(group, "idsn", host, seen.number, f"{idsn:016x}", text, "3.1")
            break
