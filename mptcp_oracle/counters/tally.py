"""What a capture shows of one host, counted as the kernel counts: by handshake or by segment.

Each fact is a function of one TCP stream, as its host has it; the facts of a host are their sums.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass

from mptcp_oracle.analysis.signals import ACK, RST
from mptcp_oracle.analysis.trace import Trace
from mptcp_oracle.counters.data import DATA
from mptcp_oracle.counters.streams import Stream, streams
from mptcp_oracle.options import (
    AddAddr,
    MpCapable,
    MpFail,
    MpFastclose,
    MpJoinAck,
    MpJoinSyn,
    MpJoinSynAck,
    MpPrio,
    MpTcprst,
    RemoveAddr,
)

__all__ = ["FACTS", "Fact", "meaning", "side", "tally"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Fact:
    """One number that a capture tells of a host.

    Attributes:
        meaning: What is counted, for people.
        side: ``sent``: of what the host sent alone, so that a capture made elsewhere shows at most
            as much; ``received``: of what reached it, so that one shows at least as much;
            ``both``: of both, for a capture at the host only.
        count: How many a stream has.
    """

    meaning: str
    side: str
    count: Callable[[Stream], int]


def tally(trace: Trace, role_of: dict[int, int]) -> dict[str, int]:
    """Every fact of one host.

    Args:
        trace: The trace.
        role_of: The host's role in each of its subflows, by the subflow's id.
    """
    own = list(streams(trace, role_of))
    found = {name: sum(map(fact.count, own)) for name, fact in FACTS.items()}
    return found | {name: fact(trace, own) for name, (_, _, fact) in DATA.items()}


def meaning(name: str) -> str:
    """What a fact counts, for people."""
    return FACTS[name].meaning if name in FACTS else DATA[name][0]


def side(name: str) -> str:
    """The side of a fact, see :class:`Fact`."""
    return FACTS[name].side if name in FACTS else DATA[name][1]


def _some(found: Iterable[object]) -> int:
    """1 if there is any."""
    return int(any(True for _ in found))


def _many(found: Iterable[object]) -> int:
    return sum(1 for _ in found)


# --- MP_CAPABLE ------------------------------------------------------------------------------


def _capable_syns(stream: Stream, *, mine: bool) -> list[int]:
    """Rows of SYNs with an MP_CAPABLE of version 1."""
    return [
        each.row
        for each, option in stream.of(MpCapable, mine=mine, syn=True)
        if option.version == 1 and not each.flags & ACK
    ]


def _capable_opened(stream: Stream) -> int:
    return int(stream.opened and bool(_capable_syns(stream, mine=True)))


def _capable_answer(stream: Stream, *, mine: bool) -> bool:
    """Whether the first SYN/ACK has MP_CAPABLE."""
    return any(each.row == stream.first_answer for each, _ in stream.of(MpCapable, mine=mine))


def _last_syn_capable(stream: Stream) -> bool:
    """Whether the last own SYN before the SYN/ACK has MP_CAPABLE."""
    before = [row for row, mine, _ in stream.syns if mine and row < (stream.first_answer or 0)]
    return bool(before) and before[-1] in _capable_syns(stream, mine=True)


def _capable_accepted(stream: Stream) -> int:
    return int(bool(_capable_opened(stream)) and _capable_answer(stream, mine=False))


def _capable_declined(stream: Stream) -> int:
    plain = stream.first_answer is not None and not _capable_answer(stream, mine=False)
    return int(stream.opened and plain and _last_syn_capable(stream))


def _capable_given_up(stream: Stream) -> int:
    offers = _capable_syns(stream, mine=True)
    plain = [row for row, mine, _ in stream.syns if mine and row not in offers]
    return int(stream.opened and bool(offers) and any(row > offers[0] for row in plain))


def _blackhole(stream: Stream) -> int:
    answered = stream.first_answer is not None and not _last_syn_capable(stream)
    return int(bool(_capable_given_up(stream)) and answered)


def _capable_answered(stream: Stream) -> int:
    return _some(stream.of(MpCapable, mine=True, syn=True)) if not stream.opened else 0


def _capable_third(stream: Stream) -> int:
    answered = bool(_capable_answered(stream))
    return int(answered and bool(_some(stream.of(MpCapable, mine=False, syn=False))))


def _capable_third_missing(stream: Stream) -> int:
    if not _capable_answered(stream):
        return 0
    row = stream.first_plain_row(mine=False)
    with_option = (each.row for each, _ in stream.of(MpCapable, mine=False, syn=False))
    return int(row is not None and row not in with_option)


# --- MP_JOIN ---------------------------------------------------------------------------------


def _joins(stream: Stream, *, backup: bool = False, port: bool = False) -> bool:
    """Whether a stream is a join that counts: of any kind, of flag B, or of another port."""
    if port and not stream.other_port:
        return False
    return not backup or _backup_of(stream, stream.opened)


def _backup_of(stream: Stream, opened: bool) -> bool:
    """Whether what the other end's handshake says has flag B."""
    kind: type[MpJoinSyn | MpJoinSynAck] = MpJoinSynAck if opened else MpJoinSyn
    return any(option.backup for _, option in stream.of(kind, mine=False))


def _join_opened(stream: Stream) -> int:
    return _some(stream.of(MpJoinSyn, mine=True))


def _join_syns(stream: Stream, **which: bool) -> int:
    return _many(stream.of(MpJoinSyn, mine=False)) if _joins(stream, **which) else 0


def _join_answered(stream: Stream, **which: bool) -> int:
    return _some(stream.of(MpJoinSynAck, mine=True)) if _joins(stream, **which) else 0


def _join_declined(stream: Stream) -> int:
    return 0 if _join_answered(stream) else _join_syns(stream)


def _join_synack(stream: Stream, *, right: tuple[bool | None, ...], **which: bool) -> int:
    """A SYN/ACK with MP_JOIN that came, if its HMAC is right, wrong, or not to be checked."""
    check = stream.subflow.join
    if check is None or check.synack_hmac not in right or not _joins(stream, **which):
        return 0
    return _some(stream.of(MpJoinSynAck, mine=False))


def _join_third(stream: Stream, *, right: tuple[bool | None, ...], **which: bool) -> int:
    """Likewise the third packet."""
    check = stream.subflow.join
    if check is None or check.ack_hmac not in right or not _joins(stream, **which):
        return 0
    return _some(stream.of(MpJoinAck, mine=False))


def _join_valid(stream: Stream, **which: bool) -> int:
    check = stream.subflow.join
    return _join_third(stream, right=(True,), **which) if check and check.result == "valid" else 0


def _join_reset(stream: Stream) -> int:
    return _some(stream.of(MpJoinAck, mine=False)) if stream.resets else 0


# --- addresses and the rest ------------------------------------------------------------------


def _announced(stream: Stream, *, mine: bool, echo: bool) -> int:
    return sum(option.echo == echo for _, option in stream.of(AddAddr, mine=mine))


def _right_announcement(stream: Stream) -> int:
    """Announcements that came and whose HMAC is not wrong."""
    wrong = {each.frame for each in stream.connection.addresses if each.hmac is False}
    found = stream.of(AddAddr, mine=False)
    return sum(not option.echo and each.frame not in wrong for each, option in found)


def _ports(stream: Stream) -> int:
    wrong = {each.frame for each in stream.connection.addresses if each.hmac is False}
    found = stream.of(AddAddr, mine=False)
    return sum(option.port is not None and each.frame not in wrong for each, option in found)


def _removed_ids(stream: Stream) -> int:
    return sum(len(option.address_ids) for _, option in stream.of(RemoveAddr, mine=False))


def _options(
    kind: type[object], *, mine: bool, reset: bool | None = None
) -> Callable[[Stream], int]:
    """How many options of a kind there are, on any segment or only on (or off) RSTs."""

    def count(stream: Stream) -> int:
        found = stream.of(kind, mine=mine)
        return sum(reset in (None, bool(each.flags & RST)) for each, _ in found)

    return count


RIGHT, POSSIBLE = (True,), (True, None)
WRONG, DOUBTFUL = (False,), (False, None)


def _fact(meaning: str, side: str, count: Callable[..., int], **how: object) -> Fact:
    return Fact(meaning=meaning, side=side, count=lambda stream: count(stream, **how))


FACTS: dict[str, Fact] = {
    "capable_opened": _fact(
        "connections that the host opened with MP_CAPABLE", "sent", _capable_opened
    ),
    "capable_accepted": _fact(
        "connections that the host opened and whose SYN and first SYN/ACK have MP_CAPABLE",
        "both",
        _capable_accepted,
    ),
    "capable_declined": _fact(
        "connections whose last SYN has MP_CAPABLE and whose first SYN/ACK has not",
        "both",
        _capable_declined,
    ),
    "capable_given_up": _fact(
        "connections with a plain SYN behind one with MP_CAPABLE", "sent", _capable_given_up
    ),
    "blackholes": _fact(
        "connections with SYNs with MP_CAPABLE and a plain one behind, which was answered",
        "both",
        _blackhole,
    ),
    "capable_syns_received": _fact(
        "SYNs with MP_CAPABLE that came",
        "received",
        lambda stream: len(_capable_syns(stream, mine=False)),
    ),
    "capable_answered": _fact(
        "handshakes that the host answered with MP_CAPABLE", "sent", _capable_answered
    ),
    "capable_thirds_received": _fact(
        "handshakes answered with MP_CAPABLE in which a third packet with MP_CAPABLE came",
        "both",
        _capable_third,
    ),
    "capable_thirds_missing": _fact(
        "handshakes answered with MP_CAPABLE whose first packet behind the SYN has none",
        "both",
        _capable_third_missing,
    ),
    "join_opened": _fact("joins that the host opened", "sent", _join_opened),
    "join_syns_received": _fact("SYNs with MP_JOIN that came", "received", _join_syns),
    "join_syns_received_backup": _fact(
        "SYNs with MP_JOIN that came, where one has flag B", "received", _join_syns, backup=True
    ),
    "join_port_syns_received": _fact(
        "SYNs with MP_JOIN that came to another port", "received", _join_syns, port=True
    ),
    "join_syns_declined": _fact(
        "SYNs with MP_JOIN that the host did not answer with MP_JOIN", "both", _join_declined
    ),
    "join_answered": _fact("joins that the host answered with MP_JOIN", "sent", _join_answered),
    "join_answered_backup": _fact(
        "joins with flag B that the host answered with MP_JOIN", "both", _join_answered, backup=True
    ),
    "join_ports_answered": _fact(
        "joins to another port that the host answered with MP_JOIN",
        "both",
        _join_answered,
        port=True,
    ),
    "join_synacks_right": _fact(
        "joins in which a SYN/ACK with a right HMAC came", "both", _join_synack, right=RIGHT
    ),
    "join_synacks_possible": _fact(
        "joins in which a SYN/ACK with an HMAC that is not wrong came",
        "received",
        _join_synack,
        right=POSSIBLE,
    ),
    "join_synacks_right_backup": _fact(
        "joins in which a SYN/ACK with flag B and a right HMAC came",
        "both",
        _join_synack,
        right=RIGHT,
        backup=True,
    ),
    "join_synacks_possible_backup": _fact(
        "joins in which a SYN/ACK with flag B and an HMAC that is not wrong came",
        "received",
        _join_synack,
        right=POSSIBLE,
        backup=True,
    ),
    "join_port_synacks_right": _fact(
        "joins in which a SYN/ACK of another port with a right HMAC came",
        "both",
        _join_synack,
        right=RIGHT,
        port=True,
    ),
    "join_port_synacks_possible": _fact(
        "joins in which a SYN/ACK of another port with an HMAC that is not wrong came",
        "received",
        _join_synack,
        right=POSSIBLE,
        port=True,
    ),
    "join_synacks_wrong": _fact(
        "joins in which a SYN/ACK with a wrong HMAC came", "both", _join_synack, right=WRONG
    ),
    "join_synacks_doubtful": _fact(
        "joins in which a SYN/ACK came whose HMAC is not known to be right",
        "received",
        _join_synack,
        right=DOUBTFUL,
    ),
    "join_thirds_valid": _fact("joins to the host that are valid", "both", _join_valid),
    "join_port_thirds_valid": _fact(
        "joins to another port of the host that are valid", "both", _join_valid, port=True
    ),
    "join_thirds_possible": _fact(
        "joins in which a third packet with an HMAC that is not wrong came",
        "received",
        _join_third,
        right=POSSIBLE,
    ),
    "join_port_thirds_received": _fact(
        "joins in which a third packet came to another port",
        "received",
        _join_third,
        right=(True, None, False),
        port=True,
    ),
    "join_thirds_wrong": _fact(
        "joins in which a third packet with a wrong HMAC came", "both", _join_third, right=WRONG
    ),
    "join_thirds_doubtful": _fact(
        "joins in which a third packet came whose HMAC is not known to be right",
        "received",
        _join_third,
        right=DOUBTFUL,
    ),
    "join_thirds_reset": _fact(
        "joins in which a third packet came and the host sent a RST", "both", _join_reset
    ),
    "add_addrs_right": _fact(
        "ADD_ADDRs that came, no echoes, with an HMAC that is not wrong",
        "received",
        _right_announcement,
    ),
    "add_addrs_received": _fact(
        "ADD_ADDRs that came, no echoes", "received", _announced, mine=False, echo=False
    ),
    "add_addrs_sent": _fact(
        "ADD_ADDRs that the host sent, no echoes", "sent", _announced, mine=True, echo=False
    ),
    "echoes_received": _fact(
        "echoes of ADD_ADDR that came", "received", _announced, mine=False, echo=True
    ),
    "echoes_sent": _fact(
        "echoes of ADD_ADDR that the host sent", "sent", _announced, mine=True, echo=True
    ),
    "ports_received": _fact("ADD_ADDRs with a port that came, echoes too", "received", _ports),
    "removals_sent": _fact(
        "REMOVE_ADDRs that the host sent", "sent", _options(RemoveAddr, mine=True)
    ),
    "removals_received": _fact(
        "REMOVE_ADDRs that came", "received", _options(RemoveAddr, mine=False)
    ),
    "removed_ids_received": _fact(
        "Address IDs in REMOVE_ADDRs that came", "received", _removed_ids
    ),
    "prios_sent": _fact("MP_PRIOs that the host sent", "sent", _options(MpPrio, mine=True)),
    "prios_received": _fact("MP_PRIOs that came", "received", _options(MpPrio, mine=False)),
    "fails_sent": _fact("MP_FAILs that the host sent", "sent", _options(MpFail, mine=True)),
    "fails_received": _fact("MP_FAILs that came", "received", _options(MpFail, mine=False)),
    "fast_closes_sent": _fact(
        "MP_FASTCLOSEs that the host sent", "sent", _options(MpFastclose, mine=True)
    ),
    "fast_closes_received": _fact(
        "MP_FASTCLOSEs that came", "received", _options(MpFastclose, mine=False)
    ),
    "reset_reasons_sent": _fact(
        "MP_TCPRSTs that the host sent", "both", _options(MpTcprst, mine=True)
    ),
    "reset_reasons_received": _fact(
        "MP_TCPRSTs that came", "received", _options(MpTcprst, mine=False)
    ),
    "resets_sent": _fact(
        "subflows on which the host sent a RST", "both", lambda stream: int(stream.resets)
    ),
}
