"""Faults of MP_FASTCLOSE and MP_TCPRST (RFC 8684 sections 3.5 and 3.6, RFC 6824 section 3.5)."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

from mptcp_oracle.model.fault import Fault
from mptcp_oracle.model.faults_closing import fin_dsn
from mptcp_oracle.model.faults_edit import Draft, Place
from mptcp_oracle.model.faults_flow import (
    LATER,
    acknowledgment,
    dss_heard,
    early,
    free,
    fresh,
    in_order,
    living,
)
from mptcp_oracle.model.faults_places import (
    arrivals,
    connection_of,
    has,
    is_syn,
    lacks,
    new_join,
    option_of,
    subflow_of,
)
from mptcp_oracle.model.settings import Deviations, Settings
from mptcp_oracle.model.trace import ACK, FIN, RST, SYN, Delivery, Sent, Trace
from mptcp_oracle.options import AddAddr, Dss, MpFastclose, MpTcprst, Option

__all__ = ["FAULTS"]

MOST = 60
"""Octets of data that is sent too late, at most."""


def _right(trace: Trace, sent: Sent) -> bool:
    """Whether a segment has an MP_FASTCLOSE with the key of its receiver."""
    option = option_of(sent, MpFastclose)
    connection = connection_of(trace, sent)
    return option is not None and option.key == connection.hosts[1 - sent.host].key


def _first(trace: Trace) -> Iterator[Sent]:
    """The first MP_FASTCLOSE in each connection."""
    seen: set[int] = set()
    for sent in trace.segments:
        connection = subflow_of(trace, sent).connection
        if connection not in seen and _right(trace, sent):
            seen.add(connection)
            yield sent


def _aborts(trace: Trace) -> Iterator[Place]:
    for sent in _first(trace):
        yield Place(host=sent.host, segments=(sent.number,))


def _on_ack(trace: Trace) -> Iterator[Place]:
    """The first MP_FASTCLOSE in each connection, if it is not on a RST."""
    for sent in _first(trace):
        if not sent.flags & RST:
            yield Place(host=sent.host, segments=(sent.number,))


def _with_data_left(trace: Trace) -> Iterator[Place]:
    """Those after which new data could follow on the subflow, if it were not for them."""
    for place in _on_ack(trace):
        sent = trace.segments[place.segments[0]]
        connection = subflow_of(trace, sent).connection
        over = fin_dsn(trace, connection, sent.host, sent.number + 1) is not None
        if not over and free(trace, sent, MOST):
            yield place


def _others(trace: Trace, sent: Sent) -> list[int]:
    """Other subflows on which the sender of a segment could still send before it."""
    connection = subflow_of(trace, sent).connection
    open_ = living(trace, connection, sent.host, sent.number - 1)
    return [number for number in open_ if number != sent.subflow]


def _on_ack_of_several(trace: Trace) -> Iterator[Place]:
    for place in _on_ack(trace):
        sent = trace.segments[place.segments[0]]
        if _others(trace, sent) and lacks(trace, sent, AddAddr):
            yield place


def _wrong_key(draft: Draft, place: Place) -> None:
    """Another key; the trace ends with it."""
    key = place.segments[0]
    own, peer = draft.hosts_of(key)
    swapped = int.from_bytes(peer.key.to_bytes(8, "big"), "little")
    wrong = [own.key, swapped, peer.key ^ 1 << draft.choices.integer(0, 63), 0]
    chosen = draft.choices.pick([each for each in wrong if each != peer.key])
    draft.cut(key)
    draft.options(
        key, lambda each: replace(each, key=chosen) if isinstance(each, MpFastclose) else each
    )
    draft.blame(key)


def _alone(draft: Draft, place: Place) -> None:
    """The MP_FASTCLOSE is lost, and its sender stays on another subflow."""
    key = place.segments[0]
    sent = draft.sent(key)
    other = draft.choices.pick(_others(draft.trace, sent))
    draft.cut(key)
    draft.lose(key)
    draft.blame(key, draft.append(acknowledgment(draft, other, sent.host), gap=5 * LATER))


def _resets(trace: Trace) -> Iterator[Place]:
    """RSTs on several subflows, all with MP_FASTCLOSE, of one host, and a second one that works."""
    arrived = arrivals(trace)
    for first in _first(trace):
        found = [
            sent
            for sent in trace.segments
            if sent.flags & RST
            and sent.host == first.host
            and connection_of(trace, sent) is connection_of(trace, first)
            and _right(trace, sent)
        ]
        working = {
            sent.subflow
            for sent in found
            if _works(trace, sent, arrived)
            and any(
                each.time < first.time
                and each.segment.subflow == sent.subflow
                and each.segment.host != sent.host
                and not each.segment.flags & SYN
                for each in trace.deliveries
            )
        }
        if first in found and working - {first.subflow}:
            yield Place(host=first.host, segments=tuple(sent.number for sent in found))


def _once(draft: Draft, place: Place) -> None:
    """MP_FASTCLOSE stays on the RST of one subflow."""
    first = draft.sent(place.segments[0]).subflow
    for key in place.segments:
        if draft.sent(key).subflow != first:
            draft.options(key, _without)
            draft.blame(key)


def _without(option: Option) -> Option | None:
    return None if isinstance(option, MpFastclose) else option


def _answers(trace: Trace, *, reset: bool) -> Iterator[Place]:
    """The first RST that answers the first MP_FASTCLOSE, on its subflow or (``reset``) another.

    A RST that TCP may not have accepted proves nothing.
    """
    arrived = arrivals(trace)
    for fast in _first(trace):
        if bool(fast.flags & RST) != reset or fast.number not in arrived:
            continue
        for sent in trace.segments[fast.number :]:
            if (
                sent.host != fast.host
                and not (reset and _uncertain(trace, fast))
                and sent.flags & (RST | ACK) == RST | ACK
                and sent.time >= arrived[fast.number]
                and (sent.subflow != fast.subflow) == reset
                and connection_of(trace, sent) is connection_of(trace, fast)
                and _works(trace, sent, arrived)
                and in_order(trace, fast, arrived)
            ):
                yield Place(host=sent.host, segments=(sent.number,))
                break


def _uncertain(trace: Trace, reset: Sent) -> bool:
    """Whether data on the SYN, or a FIN before it, leaves open that TCP accepts a RST."""
    before = trace.segments[: reset.number]
    half = reset.subflow, reset.host
    return early(trace, reset) or any(
        sent.flags & FIN and (sent.subflow, sent.host) == half for sent in before
    )


def _works(trace: Trace, sent: Sent, arrived: dict[int, int]) -> bool:
    """Whether the sender of a segment had not ended its half, nor heard of a RST, before it."""
    if subflow_of(trace, sent).outcome != "established":
        return False
    talked = False
    for each in trace.segments[: sent.number]:
        if each.subflow != sent.subflow:
            continue
        own = each.host == sent.host
        talked = talked or (own and has(each, Dss))
        if own and each.flags & (RST | FIN):
            return False
        if each.flags & RST and arrived.get(each.number, sent.time) < sent.time:
            return False
    return talked


def _answers_to_ack(trace: Trace) -> Iterator[Place]:
    return _answers(trace, reset=False)


def _answers_to_reset(trace: Trace) -> Iterator[Place]:
    return _answers(trace, reset=True)


def _fin_instead(draft: Draft, place: Place) -> None:
    """A FIN where a RST has to be; the trace ends with it."""
    key = place.segments[0]
    sent = draft.sent(key)
    draft.cut(key)
    like = acknowledgment(draft, sent.subflow, sent.host)
    draft.set(
        key,
        flags=FIN | ACK,
        options=like.options,
        data_ack=like.data_ack,
        window=like.window,
    )
    draft.blame(key)


def _goes_on(draft: Draft, place: Place) -> None:
    """New data right after the MP_FASTCLOSE, on the same subflow; the trace ends with it."""
    key = place.segments[0]
    sent = draft.sent(key)
    draft.cut(key)
    data = fresh(draft, sent.subflow, sent.host, draft.choices.integer(2, MOST))
    draft.blame(draft.insert(key, data))


def _on_reset(draft: Draft, place: Place) -> None:
    key = place.segments[0]
    draft.cut(key)
    draft.set(key, flags=RST | ACK)
    draft.blame(key)


def _given_up(trace: Trace) -> Iterator[Place]:
    """Resets for good of a subflow, and the next segment that their receiver sends elsewhere."""
    for delivery in trace.deliveries:
        reset = trace.segments[delivery.segment.number]
        option, connection = option_of(reset, MpTcprst), connection_of(trace, reset)
        if option is None or option.transient or has(reset, MpFastclose) or not reset.flags & RST:
            continue
        if connection.fallback is not None:
            continue
        peer = 1 - reset.host
        truth = subflow_of(trace, reset)
        if connection.hosts[reset.host].c_flag and truth.initial:
            continue
        if truth.outcome != "established" or _joined_again(trace, delivery, peer):
            continue
        if _failed_before(trace, delivery, peer):
            continue
        for sent in trace.segments:
            if connection_of(trace, sent) is not connection or sent.time <= delivery.time:
                continue
            over = [fin_dsn(trace, connection.number, each, sent.number) for each in (0, 1)]
            if has(sent, AddAddr, MpFastclose) or None not in over:
                break
            if (
                sent.host == peer
                and not is_syn(sent)
                and dss_heard(trace, sent)
                and not sent.flags & RST
                and sent.subflow in living(trace, connection.number, peer, sent.number)
            ):
                yield Place(host=peer, segments=(sent.number, reset.number))
                break


def _joined_again(trace: Trace, reset: Delivery, host: int) -> bool:
    """Whether a host joins between the addresses of a subflow after it was reset, anyway."""
    truth = subflow_of(trace, reset.segment)
    addresses = [end.address for end in truth.ends]
    return any(
        sent.time > reset.time
        and sent.host == host
        and is_syn(sent)
        and each.connection == truth.connection
        and [end.address for end in each.ends] == addresses
        for sent in trace.segments
        for each in (subflow_of(trace, sent),)
    )


def _failed_before(trace: Trace, reset: Delivery, host: int) -> bool:
    """Whether a host had itself reset the subflow, or a join of it to the address was refused."""
    truth = subflow_of(trace, reset.segment)
    return any(
        sent.flags & RST
        and sent.time <= reset.time
        and (
            (sent.subflow == truth.number and sent.number != reset.segment.number)
            or (
                each.connection == truth.connection
                and each.opener == host
                and each.outcome != "established"
                and each.ends[1 - host].address == truth.ends[1 - host].address
            )
        )
        for sent in trace.segments
        for each in (subflow_of(trace, sent),)
    )


def _tries_again(draft: Draft, place: Place) -> None:
    """A join between the addresses of the subflow that was reset."""
    after, reset = place.segments
    truth = draft.subflows[draft.sent(reset).subflow]
    taken = {end.port for each in draft.subflows for end in each.ends}
    port = next(port for port in range(50_300, 60_000) if port not in taken)
    initial = next(
        each for each in draft.subflows if each.initial and each.connection == truth.connection
    )
    target = truth.ends[1 - place.host]
    if truth.opener != place.host:
        target = replace(target, port=initial.ends[1 - place.host].port)
    draft.blame(
        new_join(
            draft,
            after,
            opener=place.host,
            target=target,
            source=replace(truth.ends[place.host], port=port),
            address_id=0 if truth.initial else truth.address_ids[place.host],
        )
    )


def _other_key(_settings: Settings, _host: int) -> Deviations:
    return Deviations(fastclose_key_flip=0x0102_0408_1020_4080)


def _unheard(trace: Trace) -> Iterator[Place]:
    """All MP_FASTCLOSEs of a host with a wrong key, which have no effect."""
    for connection in trace.connections:
        for host in (0, 1):
            found = tuple(
                sent.number
                for sent in trace.segments
                if sent.host == host
                and connection_of(trace, sent) is connection
                and has(sent, MpFastclose)
                and not _right(trace, sent)
            )
            if found:
                yield Place(host=host, segments=found)


FAULTS = (
    Fault(
        name="fastclose-with-wrong-key",
        meaning="An MP_FASTCLOSE has not the key of its receiver.",
        v1=("8684-3.5-01",),
        v0=("6824-3.5-10",),
        needs=("fastclose",),
        find=_aborts,
        edit=_wrong_key,
    ),
    Fault(
        name="fastclose-unheard",
        meaning="A host that closes fast never has the right key, and is not heard.",
        v1=("8684-3.5-01",),
        v0=("6824-3.5-10",),
        needs=("fastclose",),
        find=_unheard,
        deviate=_other_key,
    ),
    Fault(
        name="fastclose-on-one-ack-alone",
        meaning="After an MP_FASTCLOSE on an ACK the other subflows are not reset.",
        v1=("8684-3.5-02",),
        v0=("6824-3.5-01",),
        needs=("fastclose", "join", "unannounced"),
        find=_on_ack_of_several,
        edit=_alone,
        at_sender=True,
    ),
    Fault(
        name="fastclose-on-one-reset-alone",
        meaning="Of the RSTs that close a connection fast only one has an MP_FASTCLOSE.",
        v1=("8684-3.5-03",),
        needs=("fastclose_reset", "join"),
        find=_resets,
        edit=_once,
    ),
    Fault(
        name="fastclose-on-reset",
        meaning="In version 0 an MP_FASTCLOSE stands on a RST.",
        v0=("6824-3.5-01",),
        needs=("fastclose",),
        find=_on_ack,
        edit=_on_reset,
    ),
    Fault(
        name="fastclose-answered-by-fin",
        meaning="An MP_FASTCLOSE on an ACK is answered by a FIN.",
        v1=("8684-3.5-04",),
        v0=("6824-3.5-02",),
        needs=("fastclose",),
        find=_answers_to_ack,
        edit=_fin_instead,
    ),
    Fault(
        name="fastclose-reset-answered-by-fin",
        meaning="After an MP_FASTCLOSE on a RST another subflow is ended by a FIN.",
        v1=("8684-3.5-05",),
        needs=("fastclose_reset", "join"),
        find=_answers_to_reset,
        edit=_fin_instead,
    ),
    Fault(
        name="data-after-fastclose",
        meaning="New data follows the MP_FASTCLOSE of its sender.",
        v1=("8684-3.5-09",),
        v0=("6824-3.5-14",),
        needs=("fastclose",),
        find=_with_data_left,
        edit=_goes_on,
    ),
    Fault(
        name="join-after-permanent-reset",
        meaning="A path is joined again although its subflow was reset for good.",
        v1=("8684-3.6-06",),
        needs=("tcprst",),
        find=_given_up,
        edit=_tries_again,
        at_sender=True,
    ),
)
