"""The table: each counter of Linux's MPTcpExt group, and which facts of a capture bound it.

A counter is *equal* to a fact, or a fact is the *least* or the *most* that it can be; or nothing in
packets bounds it. The facts are those of :mod:`mptcp_oracle.counters.tally`, of one host whose
every packet is in the capture. Read in the source of Linux 6.12 (``net/mptcp``) and held against
recordings of Linux 6.18.
"""

from __future__ import annotations

from dataclasses import dataclass

__all__ = ["TABLE", "Row", "relation"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """One counter.

    Attributes:
        counter: Its name in the group MPTcpExt. why: When it is counted, and why these facts.
        least: The fact that it is never below, or ``None``. most: That it is never above.
    """

    counter: str
    why: str
    least: str | None = None
    most: str | None = None


def relation(row: Row) -> str:
    """What a row says, in two words at most: how the counter is to the fact."""
    if row.least is None and row.most is None:
        return "not comparable"
    if row.least == row.most:
        return "equal"
    if row.most is None:
        return "upper bound"
    return "lower bound" if row.least is None else "between"


def _equal(counter: str, fact: str, why: str) -> Row:
    return Row(counter=counter, least=fact, most=fact, why=why)


def _unseen(counter: str, why: str) -> Row:
    return Row(counter=counter, why=why)


TABLE: tuple[Row, ...] = (
    Row(
        counter="MPCapableSYNRX",
        least="capable_answered",
        most="capable_syns_received",
        why="one a handshake, however often the SYN is repeated, and only at MPTCP listeners",
    ),
    _equal(
        "MPCapableSYNTX", "capable_opened", "one a connect(), however often the SYN is repeated"
    ),
    _equal("MPCapableSYNACKRX", "capable_accepted", "one a connection that was opened"),
    Row(
        counter="MPCapableACKRX",
        most="capable_thirds_received",
        why="counted when the application accepts the connection, which it may not have done yet",
    ),
    _equal(
        "MPCapableFallbackACK",
        "capable_thirds_missing",
        "the first packet behind the SYN/ACK has no MP_CAPABLE (kernels before 6.10 also count "
        "plain connections to an MPTCP listener)",
    ),
    _equal("MPCapableFallbackSYNACK", "capable_declined", "a SYN/ACK without MP_CAPABLE came"),
    Row(
        counter="MPCapableSYNTXDrop",
        least="capable_given_up",
        why="also counted if the connection times out before a plain SYN is sent",
    ),
    _unseen("MPCapableSYNTXDisabled", "the SYN is plain: nothing shows that MPTCP was wanted"),
    _unseen("MPCapableEndpAttempt", "which ports are endpoints of their own, packets do not say"),
    _unseen("MPFallbackTokenInit", "the SYN is plain: nothing shows that MPTCP was wanted"),
    Row(
        counter="MPTCPRetrans",
        least="resent",
        why="one a piece that is queued again: pieces grow together in a queue, are cut into "
        "segments, or never leave; but where data was sent again, at least one piece was (other "
        "schedulers than Linux's own may send copies unasked)",
    ),
    Row(
        counter="MPJoinNoTokenFound",
        most="join_syns_declined",
        why="one a SYN whose token is unknown; a port without an MPTCP listener counts nothing",
    ),
    Row(
        counter="MPJoinSynRx",
        least="join_answered",
        most="join_syns_received",
        why="one a handshake, however often the SYN is repeated, and only at MPTCP listeners",
    ),
    Row(
        counter="MPJoinSynBackupRx",
        least="join_answered_backup",
        most="join_syns_received_backup",
        why="as MPJoinSynRx, of SYNs with flag B",
    ),
    Row(
        counter="MPJoinSynAckRx",
        least="join_synacks_right",
        most="join_synacks_possible",
        why="one a join whose SYN/ACK has a right HMAC; without keys the capture cannot tell",
    ),
    Row(
        counter="MPJoinSynAckBackupRx",
        least="join_synacks_right_backup",
        most="join_synacks_possible_backup",
        why="as MPJoinSynAckRx, of SYN/ACKs with flag B",
    ),
    Row(
        counter="MPJoinSynAckHMacFailure",
        least="join_synacks_wrong",
        most="join_synacks_doubtful",
        why="one a join whose SYN/ACK has a wrong HMAC; without keys the capture cannot tell",
    ),
    Row(
        counter="MPJoinAckRx",
        least="join_thirds_valid",
        most="join_thirds_possible",
        why="one a join that was taken: with a right HMAC, and not over a limit",
    ),
    Row(
        counter="MPJoinAckHMacFailure",
        least="join_thirds_wrong",
        most="join_thirds_doubtful",
        why="one a third packet with a wrong HMAC; without keys the capture cannot tell",
    ),
    Row(
        counter="MPJoinRejected",
        most="join_thirds_reset",
        why="the path manager refuses a join after its third packet, and sends a RST",
    ),
    _equal("MPJoinSynTx", "join_opened", "one a join, however often the SYN is repeated"),
    _unseen("MPJoinSynTxCreatSkErr", "no packet is sent"),
    _unseen("MPJoinSynTxBindErr", "no packet is sent"),
    _unseen("MPJoinSynTxConnectErr", "no packet is sent"),
    _unseen("DSSNotMatching", "which mapping is the current one depends on the receiver's reading"),
    Row(
        counter="DSSCorruptionFallback",
        most="fallbacks",
        why="a mapping that cannot be used, on the only subflow: the connection falls back",
    ),
    Row(
        counter="DSSCorruptionReset",
        most="resets_sent",
        why="a mapping that cannot be used, on one of several subflows: it is reset",
    ),
    _equal("InfiniteMapTx", "infinite_sent", "one a subflow; the mapping is repeated on segments"),
    _equal("InfiniteMapRx", "infinite_received", "one a subflow, which is plain TCP from there on"),
    _unseen("DSSNoMatchTCP", "which mapping is the current one depends on the receiver's reading"),
    Row(
        counter="DataCsumErr",
        most="checksums_wrong",
        why="after the first one the subflow is reset, or plain TCP: later ones are not looked at",
    ),
    Row(
        counter="OFOQueueTail",
        most="segments_out_of_order",
        why="receive offload and queues make one piece of several segments, and subflows are not "
        "read in the order of the capture",
    ),
    Row(counter="OFOQueue", most="segments_out_of_order", why="as OFOQueueTail"),
    Row(counter="OFOMerge", most="segments_out_of_order", why="as OFOQueueTail"),
    Row(
        counter="NoDSSInWindow",
        most="payloads_received",
        why="one a piece beyond the window that the receiver has at that moment",
    ),
    Row(
        counter="DuplicateData",
        most="segments_if_copied",
        why="one a piece that had been received under another subflow sequence number; none if "
        "nothing was",
    ),
    _equal("AddAddr", "add_addrs_right", "one an ADD_ADDR that is no echo, if its HMAC is right"),
    _equal("AddAddrTx", "add_addrs_sent", "one an ADD_ADDR that is no echo, repetitions too"),
    _unseen("AddAddrTxDrop", "no packet is sent"),
    _equal("EchoAdd", "echoes_received", "one an echo"),
    _equal("EchoAddTx", "echoes_sent", "one an echo"),
    _unseen("EchoAddTxDrop", "no packet is sent"),
    _equal("PortAdd", "ports_received", "one an ADD_ADDR with a port, echo or not"),
    Row(
        counter="AddAddrDrop",
        most="add_addrs_received",
        why="an announcement that the path manager, still busy with another, did not take",
    ),
    Row(
        counter="MPJoinPortSynRx",
        least="join_ports_answered",
        most="join_port_syns_received",
        why="as MPJoinSynRx, of SYNs to another port than the connection's",
    ),
    Row(
        counter="MPJoinPortSynAckRx",
        least="join_port_synacks_right",
        most="join_port_synacks_possible",
        why="as MPJoinSynAckRx, of SYN/ACKs from another port than the connection's",
    ),
    Row(
        counter="MPJoinPortAckRx",
        least="join_port_thirds_valid",
        most="join_port_thirds_received",
        why="one a third packet to another port than the connection's, if its HMAC is right",
    ),
    Row(
        counter="MismatchPortSynRx",
        most="join_port_syns_received",
        why="a SYN to another port than the connection's that was not announced",
    ),
    Row(
        counter="MismatchPortAckRx",
        most="join_port_thirds_received",
        why="a third packet to another port than the connection's that was not announced",
    ),
    Row(
        counter="RmAddr",
        most="removed_ids_received",
        why="one an Address ID; a removal that comes while another is worked on is dropped",
    ),
    Row(counter="RmAddrDrop", most="removals_received", why="one a REMOVE_ADDR"),
    _equal("RmAddrTx", "removals_sent", "one a REMOVE_ADDR, however many Address IDs it lists"),
    _unseen("RmAddrTxDrop", "no packet is sent"),
    _unseen("RmSubflow", "why a subflow is closed, packets do not say"),
    _equal("MPPrioTx", "prios_sent", "one an MP_PRIO"),
    _equal("MPPrioRx", "prios_received", "one an MP_PRIO"),
    _equal("MPFailTx", "fails_sent", "one an MP_FAIL"),
    Row(
        counter="MPFailRx",
        most="fails_received",
        why="one an MP_FAIL that reaches a subflow which is still there",
    ),
    _equal("MPFastcloseTx", "fast_closes_sent", "one an MP_FASTCLOSE"),
    Row(
        counter="MPFastcloseRx",
        most="fast_closes_received",
        why="one an MP_FASTCLOSE with the right key that reaches a subflow which is still there",
    ),
    Row(
        counter="MPRstTx",
        most="reset_reasons_sent",
        why="one an MP_TCPRST, but not where a join is refused before it is a subflow",
    ),
    Row(
        counter="MPRstRx",
        most="reset_reasons_received",
        why="one an MP_TCPRST that reaches a subflow which is still there",
    ),
    _unseen("SubflowStale", "by the sender's own timers"),
    _unseen("SubflowRecover", "by the sender's own timers"),
    _unseen("SndWndShared", "by the sender's own state between packets"),
    _unseen("RcvWndShared", "by the receiver's own state between packets"),
    _unseen("RcvWndConflictUpdate", "by the receiver's own state between packets"),
    _unseen("RcvWndConflict", "by the receiver's own state between packets"),
    _unseen("MPCurrEstab", "a level, not a count"),
    _equal("Blackhole", "blackholes", "a plain SYN was answered after those with MP_CAPABLE"),
    Row(
        counter="MPCapableDataFallback",
        most="fallbacks",
        why="the connection falls back with its first data; which check failed, packets do not say",
    ),
    _unseen("MD5SigFallback", "the SYN is plain: nothing shows that MPTCP was wanted"),
    Row(
        counter="DssFallback",
        most="fallbacks",
        why="the connection falls back because a DSS is missing or bad; which check failed, "
        "packets do not say",
    ),
    _unseen("SimultConnectFallback", "whether both ends opened at once is not followed here"),
    _unseen("FallbackFailed", "nothing falls back"),
    _equal("WinProbe", "probes_sent", "one a probe of a closed window, TCP's repetitions aside"),
)
"""The counters of Linux 6.18, in its order of reading."""
