"""The fault of a join after MP_FAIL on the only subflow (RFC 8684 section 3.7, 6824 3.6)."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

from mptcp_oracle import crypto
from mptcp_oracle.model.fault import Fault
from mptcp_oracle.model.faults_edit import Draft, Place
from mptcp_oracle.model.faults_flow import acknowledgment, dss, fresh, next_dsn, said
from mptcp_oracle.model.faults_places import connection_of, has, new_join, option_of, subflow_of
from mptcp_oracle.model.trace import ACK, RST, SYN, Sent, Trace
from mptcp_oracle.options import Dss, MpFail, MpFastclose, MpJoinAck, MpJoinSyn, MpJoinSynAck

__all__ = ["FAULTS"]


def _only_subflow_failed(trace: Trace) -> Iterator[Place]:
    """RSTs with MP_FAIL that arrived, on subflows beside which no other had begun.

    Their receiver may join: a DSS of the peer had come before.
    """
    arrived = {each.segment.number for each in trace.deliveries}
    for sent in trace.segments:
        connection = connection_of(trace, sent)
        if not (sent.flags & RST and has(sent, MpFail) and sent.number in arrived):
            continue
        before = trace.segments[: sent.number]
        mine = [each for each in before if connection_of(trace, each) is connection]
        over = {each.subflow for each in mine if each.flags & RST}
        begun = {each.subflow for each in mine} - over
        closing = any(
            (each.mapping is not None and each.mapping.fin) or has(each, MpFastclose)
            for each in mine
        )
        if (
            begun == {sent.subflow}
            and subflow_of(trace, sent).initial
            and any(
                (each.segment.subflow, each.segment.host) == (sent.subflow, sent.host)
                and has(each.segment, Dss)
                and each.segment.number < sent.number
                for each in trace.deliveries
            )
            and not closing
            and connection.fallback is None
            and not connection.hosts[sent.host].c_flag
        ):
            yield Place(host=1 - sent.host, segments=(sent.number,))


def _joins_as_ever(draft: Draft, place: Place) -> None:
    """A join, and on it new data under a mapping that ends."""
    subflow, dsn = _rejoined(draft, place)
    draft.blame(draft.append(fresh(draft, subflow, place.host, 40, dsn=dsn)))


def _joins_and_falls_back(draft: Draft, place: Place) -> None:
    """A join, and on it data under an infinite mapping from what failed on."""
    option = option_of(draft.sent(place.segments[0]), MpFail)
    assert option is not None
    base = draft.connection_of(place.segments[0]).hosts[place.host].base
    subflow, _ = _rejoined(draft, place)
    failed = (option.dsn - base) & (1 << 64) - 1
    data = fresh(draft, subflow, place.host, 40, dsn=failed)
    mapping = data.mapping
    assert mapping is not None
    endless = replace(mapping, octets=0, infinite=True, checksum=None)
    options = tuple(
        replace(each, dll=0, checksum=None) if isinstance(each, Dss) else each
        for each in data.options
    )
    draft.blame(draft.append(replace(data, mapping=endless, options=options)))


def _rejoined(draft: Draft, place: Place) -> tuple[int, int]:
    """Establish another subflow after the reset: its number, and the next DSN of its opener."""
    key, host = place.segments[0], place.host
    connection, ends = draft.connection_of(key), draft.subflows[draft.sent(key).subflow].ends
    draft.cut(key)
    dsn = next_dsn(draft, connection.number, host)
    taken = {end.port for each in draft.subflows for end in each.ends}
    port = next(port for port in range(50_600, 60_000) if port not in taken)
    source = replace(ends[host], port=port)
    last = draft.order[-1]
    syn = draft.sent(
        new_join(draft, last, opener=host, target=ends[1 - host], source=source, address_id=0)
    )
    key = draft.order[draft.order.index(last) + 1]
    draft.remove(key)
    truth = draft.subflows[syn.subflow]
    mine, theirs = draft.choices.bits(32), draft.choices.bits(32)
    nonces = (mine, theirs) if host == 0 else (theirs, mine)
    isn = truth.isns[host], draft.choices.bits(32)
    draft.subflow(
        syn.subflow,
        outcome="established",
        nonces=nonces,
        isns=isn if host == 0 else (isn[1], isn[0]),
    )
    keys = connection.hosts[host].key, connection.hosts[1 - host].key
    options = tuple(
        replace(each, nonce=mine) if isinstance(each, MpJoinSyn) else each for each in syn.options
    )
    draft.append(replace(syn, options=options))
    synack = MpJoinSynAck(
        address_id=0,
        hmac=crypto.join_synack_hmac(
            version=connection.version,
            sender_key=keys[1],
            receiver_key=keys[0],
            sender_nonce=theirs,
            receiver_nonce=mine,
        ),
        nonce=theirs,
    )
    answer = replace(syn, host=1 - host, ack=1, flags=SYN | ACK, options=(synack,))
    draft.append(answer)
    third = MpJoinAck(
        hmac=crypto.join_ack_hmac(
            version=connection.version,
            sender_key=keys[0],
            receiver_key=keys[1],
            sender_nonce=mine,
            receiver_nonce=theirs,
        )
    )
    draft.append(replace(syn, sequence=1, ack=1, flags=ACK, options=(third,)))
    fourth = _plain(draft, syn.subflow, 1 - host, connection.number)
    draft.append(fourth)
    return syn.subflow, dsn


def _plain(draft: Draft, subflow: int, host: int, connection: int) -> Sent:
    """The fourth packet."""
    reached = said(draft, connection, host)
    sent = acknowledgment(draft, subflow, host)
    option = dss(draft, host, draft.connections[connection], None, data_ack=reached)
    return replace(sent, options=(option,), data_ack=reached)


FAULTS = (
    Fault(
        name="finite-mapping-after-fail",
        meaning="After an MP_FAIL on the RST of the only subflow data goes on as if nothing was.",
        v1=("8684-3.7-16",),
        v0=("6824-3.6-16",),
        needs=("fail_reset",),
        find=_only_subflow_failed,
        edit=_joins_as_ever,
        lawful=_joins_and_falls_back,
        arranges=True,
    ),
)
