"""Faults of the DATA_FIN and of its DATA_ACK (RFC 8684 and 6824, section 3.3.3)."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import replace

from mptcp_oracle.model.fault import Fault, Find
from mptcp_oracle.model.faults_announcements import told_until
from mptcp_oracle.model.faults_edit import Draft, Place
from mptcp_oracle.model.faults_flow import (
    LATER,
    acknowledgment,
    checked,
    dss,
    early,
    free,
    fresh,
    in_order,
    living,
    mptcp_only,
    plain_dss,
    remapped,
    whole,
)
from mptcp_oracle.model.faults_places import (
    Test,
    anything,
    arrivals,
    connection_of,
    lacks,
    subflow_of,
)
from mptcp_oracle.model.trace import ACK, FIN, RST, Mapping, Sent, Trace
from mptcp_oracle.options import Dss, Option, RemoveAddr

__all__ = ["FAULTS", "fin_dsn"]

MOST = 60
"""Octets of data that is sent too late, at most."""
FAR = 1_000
"""DSNs that a DATA_FIN leaves out, at most."""


def _first_fins(where: Test = anything) -> Find:
    """The first DATA_FIN of each host, if its segment does not end the subflow too."""

    def find(trace: Trace) -> Iterator[Place]:
        seen: set[tuple[int, int]] = set()
        for sent in trace.segments:
            if sent.mapping is None or not sent.mapping.fin or not mptcp_only(trace, sent):
                continue
            key = subflow_of(trace, sent).connection, sent.host
            if key not in seen and not sent.flags & (FIN | RST) and where(trace, sent):
                yield Place(host=sent.host, segments=(sent.number,))
            seen.add(key)

    return find


def _alone(_trace: Trace, sent: Sent) -> bool:
    """Whether a DATA_FIN has no data with it."""
    return not sent.payload and sent.mapping is not None and not sent.mapping.octets


def _after_rest(trace: Trace, sent: Sent) -> bool:
    """Whether a DATA_FIN stands alone, and its sender knew that all its data had arrived.

    What waits for an acknowledgment, or a full window, may keep other data back until after it.
    After data on the SYN nothing would prove where the data ends.
    """
    connection = subflow_of(trace, sent).connection
    ends: dict[int, int] = {}
    for each in trace.segments[: sent.number]:
        if each.host == sent.host and subflow_of(trace, each).connection == connection:
            end = each.sequence + len(each.payload)
            ends[each.subflow] = max(ends.get(each.subflow, 0), end if each.payload else 0)
    heard: dict[int, int] = {}
    window = 0
    for delivery in trace.deliveries:
        each = delivery.segment
        if (
            each.host != sent.host
            and delivery.time < sent.time
            and subflow_of(trace, each).connection == connection
        ):
            heard[each.subflow] = max(heard.get(each.subflow, 0), each.ack or 0)
            window = each.window
    arrived = all(end <= heard.get(number, 0) for number, end in ends.items())
    return arrived and window >= FAR and _alone(trace, sent) and not early(trace, sent)


def _alone_checked(trace: Trace, sent: Sent) -> bool:
    return _alone(trace, sent) and checked(connection_of(trace, sent))


def _all_alone(trace: Trace) -> Iterator[Place]:
    """All DATA_FINs without data of each host."""
    for connection in trace.connections:
        for host in (0, 1):
            found = tuple(
                sent.number
                for sent in trace.segments
                if sent.host == host
                and connection_of(trace, sent) is connection
                and sent.mapping is not None
                and sent.mapping.fin
                and _alone(trace, sent)
            )
            if found and connection.fallback is None:
                yield Place(host=host, segments=found)


def _more_data(draft: Draft, place: Place) -> None:
    """New data after the DATA_FIN; the trace ends with it."""
    key = place.segments[0]
    sent = draft.sent(key)
    draft.cut(key)
    octets = draft.choices.integer(2, MOST)
    draft.blame(draft.append(fresh(draft, sent.subflow, sent.host, octets)))


def _with_room(trace: Trace, sent: Sent) -> bool:
    return free(trace, sent, MOST)


def _other_fin(draft: Draft, place: Place) -> None:
    """The DATA_FIN once more, farther on."""
    key = place.segments[0]
    sent = draft.sent(key)
    mapping = sent.mapping
    assert mapping is not None
    dsn = mapping.dsn + mapping.octets + draft.choices.integer(1, 1_000)
    other = Mapping(
        sequence=0, dsn=dsn, octets=0, fin=True, checksum=None if mapping.checksum is None else True
    )
    option = dss(draft, sent.host, draft.connection_of(key), other, data_ack=sent.data_ack)
    again = replace(
        sent,
        sequence=sent.sequence + len(sent.payload),
        flags=ACK,
        options=(option,),
        payload=b"",
        mapping=other,
        ranges=(),
        copied=False,
    )
    draft.blame(draft.insert(key, again))


def _with_fin(trace: Trace, sent: Sent) -> bool:
    """Whether a DATA_FIN ends the mapping of all the data of its segment, new at least 2 octets."""
    return (
        whole(trace, sent)
        and len(sent.payload) > 1
        and all(part.cause == "new" for part in sent.ranges)
        and not early(trace, sent)
    )


def _uncounted(draft: Draft, place: Place) -> None:
    """The Data-Level Length leaves the DATA_FIN out; the trace ends with it."""
    key = place.segments[0]
    sent = draft.sent(key)
    mapping = sent.mapping
    assert mapping is not None
    draft.cut(key)
    less = replace(mapping, octets=mapping.octets - 1)
    last = sent.ranges[-1]
    split = (
        replace(last, octets=last.octets - 1),
        replace(last, sequence=last.sequence + last.octets - 1, octets=1, dsn=None,
                cause="unmapped"),
    )  # fmt: skip
    ranges = (*sent.ranges[:-1], *(part for part in split if part.octets))
    draft.change(
        key,
        lambda each: replace(
            remapped(draft, each, less, payload=each.payload[:-1]), ranges=ranges
        ),
    )  # fmt: skip
    draft.blame(key)


def _placed(draft: Draft, place: Place) -> None:
    """DATA_FINs without data have the subflow sequence number that would be next."""
    for key in place.segments:
        sent = draft.sent(key)
        mapping = sent.mapping
        assert mapping is not None
        at = replace(mapping, sequence=sent.sequence)
        moved = remapped(draft, sent, at, payload=b"")
        draft.set(key, options=moved.options, mapping=moved.mapping)
        draft.blame(key)


def _wrong_sum(draft: Draft, place: Place) -> None:
    key = place.segments[0]
    mapping = draft.sent(key).mapping
    assert mapping is not None
    flip = 1 << draft.choices.integer(0, 15)
    draft.cut(key)
    draft.options(
        key,
        plain_dss(
            lambda each: (
                each if each.checksum is None else replace(each, checksum=each.checksum ^ flip)
            )
        ),
    )
    draft.set(key, mapping=replace(mapping, checksum=False))
    draft.blame(key)


def _farther(draft: Draft, place: Place) -> None:
    """The DATA_FIN leaves DSNs out; the trace ends with it."""
    key = place.segments[0]
    mapping = draft.sent(key).mapping
    assert mapping is not None
    draft.cut(key)
    far = replace(mapping, dsn=mapping.dsn + draft.choices.integer(1, FAR))
    draft.change(key, lambda each: remapped(draft, each, far, payload=b""))
    draft.blame(key)


def fin_dsn(trace: Trace, connection: int, host: int, until: int | None = None) -> int | None:
    """The DSN of the DATA_FIN of a host, if it has sent one."""
    for sent in trace.segments[:until]:
        mapping = sent.mapping
        if (
            mapping is not None
            and mapping.fin
            and sent.host == host
            and subflow_of(trace, sent).connection == connection
        ):
            return mapping.dsn + mapping.octets
    return None


def _fin_acks(trace: Trace) -> Iterator[Place]:
    """Pure ACKs of a DATA_FIN."""
    for sent in trace.segments:
        if sent.flags == ACK and not sent.payload and sent.mapping is None and sent.data_ack:
            connection = subflow_of(trace, sent).connection
            fin = fin_dsn(trace, connection, 1 - sent.host, sent.number)
            if fin is not None and sent.data_ack == fin + 1 and mptcp_only(trace, sent):
                yield Place(host=sent.host, segments=(sent.number,))


def _ack_beyond(draft: Draft, place: Place) -> None:
    """The DATA_ACK is beyond the DATA_FIN; the trace ends with it."""
    key = place.segments[0]
    sent = draft.sent(key)
    more = draft.choices.integer(1, 1_000)
    draft.cut(key)

    def change(option: Option) -> Option:
        if not isinstance(option, Dss) or option.data_ack is None:
            return option
        mask = (1 << 8 * option.data_ack_size) - 1
        return replace(option, data_ack=(option.data_ack + more) & mask)

    draft.options(key, change)
    draft.set(key, data_ack=(sent.data_ack or 0) + more)
    draft.blame(key)


def _nothing_missing(trace: Trace) -> Iterator[Place]:
    """DATA_FINs without data that arrived, when all data before them was DATA_ACKed."""
    arrived = {each.segment.number for each in trace.deliveries}
    for place in _first_fins(_alone)(trace):
        fin = trace.segments[place.segments[0]]
        mapping, connection = fin.mapping, subflow_of(trace, fin).connection
        said = [
            sent
            for sent in trace.segments[: fin.number]
            if sent.host != fin.host and subflow_of(trace, sent).connection == connection
        ]
        if (
            fin.number in arrived
            and lacks(trace, fin, RemoveAddr)
            and told_until(trace, fin)
            and said
            and all(sent.window for sent in _last_of_each(said))
            and in_order(trace, fin, arrivals(trace))
            and mapping is not None
            and max((sent.data_ack or 1 for sent in said), default=1) == mapping.dsn
            and fin.subflow in living(trace, connection, 1 - fin.host, fin.number)
        ):
            yield Place(host=1 - fin.host, segments=(fin.number,))


def _last_of_each(segments: list[Sent]) -> Iterable[Sent]:
    """The last segment of each subflow."""
    return {sent.subflow: sent for sent in segments}.values()


def _never_acked(draft: Draft, place: Place) -> None:
    """The DATA_FIN comes again and again, and what its receiver says does not cover it."""
    key = place.segments[0]
    fin = draft.sent(key)
    draft.cut(key)
    for turn in range(3):
        answer = acknowledgment(draft, fin.subflow, place.host)
        draft.blame(draft.append(answer, gap=LATER))
        if turn < 2:
            draft.append(fin, gap=LATER)


FAULTS = (
    Fault(
        name="data-after-data-fin",
        meaning="New data follows the DATA_FIN of its sender.",
        v1=("8684-3.3-09", "8684-D-01", "8684-3.3.3-05"),
        v0=("6824-3.3-14", "6824-C-10", "6824-3.3.3-14"),
        needs=("data_fin",),
        find=_first_fins(_with_room),
        edit=_more_data,
    ),
    Fault(
        name="data-fin-moves",
        meaning="A second DATA_FIN has another DSN than the first.",
        v1=("8684-3.3-09", "8684-D-01", "8684-3.3.3-05"),
        v0=("6824-3.3-14", "6824-C-10", "6824-3.3.3-14"),
        needs=("data_fin",),
        find=_first_fins(),
        edit=_other_fin,
    ),
    Fault(
        name="data-fin-not-counted",
        meaning="The Data-Level Length of a mapping with DATA_FIN counts its data only.",
        v1=("8684-3.3.3-02",),
        v0=("6824-3.3.3-11",),
        needs=("data_fin_on_data",),
        find=_first_fins(_with_fin),
        edit=_uncounted,
    ),
    Fault(
        name="data-fin-with-place",
        meaning="DATA_FINs without data have a subflow sequence number other than 0.",
        v1=("8684-3.3.3-03",),
        v0=("6824-3.3.3-12",),
        needs=("data_fin",),
        find=_all_alone,
        edit=_placed,
    ),
    Fault(
        name="data-fin-checksum-wrong",
        meaning="The checksum of a DATA_FIN without data is wrong.",
        v1=("8684-3.3.3-04", "8684-3.3.1-05"),
        v0=("6824-3.3.3-13", "6824-3.3.1-13"),
        needs=("data_fin", "checksum"),
        find=_first_fins(_alone_checked),
        edit=_wrong_sum,
    ),
    Fault(
        name="data-fin-too-far",
        meaning="The DSN of a DATA_FIN is not the one after the last data.",
        v1=("8684-3.3.3-05",),
        v0=("6824-3.3.3-14",),
        needs=("data_fin",),
        find=_first_fins(_after_rest),
        edit=_farther,
    ),
    Fault(
        name="data-ack-beyond-data-fin",
        meaning="The DATA_ACK of a DATA_FIN is beyond it.",
        v1=("8684-3.3.3-06", "8684-3.3.1-11", "8684-3.3.2-01"),
        v0=("6824-3.3.3-15", "6824-3.3.1-18", "6824-3.3.2-10"),
        needs=("data_fin",),
        find=_fin_acks,
        edit=_ack_beyond,
    ),
    Fault(
        name="data-fin-never-acknowledged",
        meaning="A DATA_FIN that completes the data gets no DATA_ACK.",
        v1=("8684-3.3.3-06",),
        v0=("6824-3.3.3-15",),
        needs=("data_fin", "unannounced"),
        find=_nothing_missing,
        edit=_never_acked,
        arranges=True,
    ),
)
