"""Faults of MP_FAIL and of what answers it (RFC 8684 section 3.7, RFC 6824 section 3.6)."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

from mptcp_oracle.model.fault import Fault
from mptcp_oracle.model.faults_edit import Draft, Place
from mptcp_oracle.model.faults_flow import LATER, acknowledgment, early, living
from mptcp_oracle.model.faults_places import connection_of, has, option_of, subflow_of
from mptcp_oracle.model.trace import RST, Mapping, Sent, Trace
from mptcp_oracle.options import MpFail, Option

__all__ = ["FAULTS"]

WIDE = (1 << 64) - 1


def _infinite(sent: Sent) -> bool:
    return sent.mapping is not None and sent.mapping.infinite


def _first_fails(trace: Trace) -> Iterator[tuple[Sent, Mapping]]:
    """The first MP_FAIL of each connection, and the mapping that failed."""
    seen: set[int] = set()
    for sent in trace.segments:
        option, connection = option_of(sent, MpFail), connection_of(trace, sent)
        if option is None or connection.number in seen:
            continue
        seen.add(connection.number)
        start = (option.dsn - connection.hosts[1 - sent.host].base) & WIDE
        for each in trace.segments[: sent.number]:
            mapping = each.mapping
            if mapping is not None and each.host != sent.host and mapping.dsn == start:
                yield sent, mapping
                break


def _fails(trace: Trace) -> Iterator[Place]:
    for sent, _ in _first_fails(trace):
        yield Place(host=sent.host, segments=(sent.number,))


def _wrong_start(draft: Draft, place: Place) -> None:
    """The DSN of the MP_FAIL is not where a mapping starts."""
    key = place.segments[0]
    _, peer = draft.hosts_of(key)
    starts = {
        (peer.base + sent.mapping.dsn) & WIDE
        for sent in draft.trace.segments
        if sent.mapping is not None and sent.host != place.host
    }
    more = draft.choices.integer(1, 50)

    def moved(option: Option) -> Option:
        if not isinstance(option, MpFail):
            return option
        dsn = (option.dsn + more) & WIDE
        while dsn in starts:
            dsn = (dsn + 1) & WIDE
        return replace(option, dsn=dsn)

    draft.options(key, moved)
    draft.blame(key)


def _failed_once(trace: Trace) -> Iterator[Place]:
    """MP_FAILs after which their sender may acknowledge what failed, and which had one copy.

    After data on the SYN nothing would prove which data is acknowledged.
    """
    for sent, failed in _first_fails(trace):
        connection = subflow_of(trace, sent).connection
        carriers = {
            each.subflow
            for each in trace.segments[: sent.number]
            if each.host != sent.host
            and subflow_of(trace, each).connection == connection
            and any(
                part.dsn is not None
                and part.dsn < failed.dsn + failed.octets
                and failed.dsn < part.dsn + part.octets
                for part in each.ranges
            )
        }
        open_ = living(trace, connection, sent.host, sent.number)
        if carriers == {sent.subflow} and failed.octets and open_ and not early(trace, sent):
            where = sent.subflow if sent.subflow in open_ else open_[0]
            last = [
                each.number
                for each in trace.segments[: sent.number + 1]
                if (each.subflow, each.host) == (where, sent.host)
            ]
            yield Place(host=sent.host, segments=(sent.number, last[-1]))


def _failed_acked(draft: Draft, place: Place) -> None:
    """A DATA_ACK of the data that failed; the trace ends with it."""
    key, last = place.segments
    sent = draft.sent(key)
    failed = next(mapping for each, mapping in _first_fails(draft.trace) if each.number == key)
    subflow = draft.sent(last).subflow
    draft.cut(key)
    wrong = acknowledgment(draft, subflow, sent.host, data_ack=failed.dsn + failed.octets)
    draft.blame(draft.insert(key, wrong))


def _answers(trace: Trace) -> Iterator[Place]:
    """The MP_FAILs by which a host answers the first, which was not on a RST; the subflow stays."""
    for first, _ in _first_fails(trace):
        arrived = [each.time for each in trace.deliveries if each.segment.number == first.number]
        if first.flags & RST or not arrived:
            continue
        flow = [sent for sent in trace.segments if sent.subflow == first.subflow]
        own = [sent for sent in flow if sent.host != first.host]
        found = [sent for sent in own if has(sent, MpFail)]
        ended = {sent.host for sent in flow if sent.flags & RST}
        seen = ended <= {first.host} if any(_infinite(sent) for sent in own) else not ended
        if found and found[0].time >= arrived[0] and seen:
            yield Place(host=1 - first.host, segments=tuple(sent.number for sent in found))


def _unanswered(draft: Draft, place: Place) -> None:
    """No MP_FAIL at all, though its sender is there for long."""
    for key in place.segments:
        draft.options(key, lambda each: None if isinstance(each, MpFail) else each)
        draft.blame(key)
    subflow = draft.sent(place.segments[0]).subflow
    if not any(draft.sent(key).flags & RST for key in draft.order):
        last = acknowledgment(draft, subflow, place.host)
        draft.append(replace(last, options=(), data_ack=None), gap=10 * LATER)


FAULTS = (
    Fault(
        name="fail-inside-mapping",
        meaning="The DSN of an MP_FAIL is not where the mapping that failed starts.",
        v1=("8684-3.7-09",),
        v0=("6824-3.6-11",),
        needs=("fail",),
        find=_fails,
        edit=_wrong_start,
    ),
    Fault(
        name="failed-data-acknowledged",
        meaning="The sender of an MP_FAIL DATA_ACKs what failed.",
        v1=("8684-3.7-11",),
        v0=("6824-3.6-13",),
        needs=("fail",),
        find=_failed_once,
        edit=_failed_acked,
    ),
    Fault(
        name="fail-unanswered",
        meaning="An MP_FAIL that is not on a RST gets no MP_FAIL in answer.",
        v1=("8684-3.7-14",),
        needs=("fail",),
        find=_answers,
        edit=_unanswered,
        arranges=True,
    ),
)
