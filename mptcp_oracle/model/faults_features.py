"""Faults of TCP's own features: Fast Open (RFC 8684 appendix B) and urgent data (3.3.1)."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

from mptcp_oracle.model.fault import Fault
from mptcp_oracle.model.faults_edit import Draft, Place
from mptcp_oracle.model.faults_flow import (
    checked,
    data_places,
    free,
    mptcp_only,
    remapped,
    whole,
)
from mptcp_oracle.model.faults_mapping import announced
from mptcp_oracle.model.faults_places import (
    connection_of,
    option_of,
    subflow_of,
)
from mptcp_oracle.model.trace import (
    SYN,
    Range,
    Sent,
    Trace,
)
from mptcp_oracle.options import (
    Dss,
)

__all__ = ["FAULTS"]

URG = 0x20


def _interruptible(trace: Trace, sent: Sent) -> bool:
    """Whether there is room for one octet more in data whose checksum nobody has told before."""
    return (
        len(sent.payload) > 2
        and sent.flags & URG == 0
        and free(trace, sent, 1)
        and not announced(trace, sent)
    )


def _interrupted(draft: Draft, place: Place) -> None:
    """An urgent octet amid the payload, which the mapping does not count; the trace ends."""
    key = place.segments[0]
    sent = draft.sent(key)
    mapping = sent.mapping
    assert mapping is not None
    at = draft.choices.integer(1, len(sent.payload) - 1)
    payload = sent.payload[:at] + b"!" + sent.payload[at:]
    last = sent.ranges[-1]
    behind = Range(sequence=last.sequence + last.octets, octets=1, dsn=None, cause="unmapped")
    draft.cut(key)
    draft.change(
        key,
        lambda each: replace(
            remapped(draft, each, mapping, payload=payload[:-1]),
            flags=each.flags | URG,
            urgent=at + 1,
            payload=payload,
            ranges=(*sent.ranges, behind),
        ),
    )
    draft.blame(key)


def _within_urgent(draft: Draft, place: Place) -> None:
    """Urgent octets, which the mapping counts like all others."""
    key = place.segments[0]
    sent = draft.sent(key)
    draft.set(key, flags=sent.flags | URG, urgent=draft.choices.integer(1, len(sent.payload)))
    draft.blame(key)


def _first_inside(trace: Trace, sent: Sent) -> bool:
    """Whether data is the initiator's first on the initial subflow, under a DSS."""
    mapping, truth = sent.mapping, subflow_of(trace, sent)
    return (
        truth.initial
        and sent.host == 0
        and whole(trace, sent)
        and mapping is not None
        and mapping.dsn == 1
        and sent.sequence == 1 + truth.syn_data[0]
        and not any(
            each.payload and not each.flags & SYN
            for each in trace.segments[: sent.number]
            if (each.subflow, each.host) == (sent.subflow, 0)
        )
    )


def _opened_fast(trace: Trace) -> Iterator[Place]:
    """The first data after a SYN with data that was accepted, without checksums."""
    for sent in trace.segments:
        if (
            _first_inside(trace, sent)
            and mptcp_only(trace, sent)
            and subflow_of(trace, sent).syn_data[0] > 0
            and not checked(connection_of(trace, sent))
            and len(sent.payload) > 1
        ):
            yield Place(host=0, segments=(sent.number,))


def _misplaced(draft: Draft, place: Place) -> None:
    """The mapping begins some octets after the data; the trace ends with it."""
    key = place.segments[0]
    sent = draft.sent(key)
    mapping = sent.mapping
    assert mapping is not None
    ssn = (option_of(sent, Dss) or Dss(flags=0)).ssn or 0
    accepted = draft.subflows[sent.subflow].syn_data[0]
    steps = [each for each in range(1, len(sent.payload)) if ssn + each not in (1, 1 + accepted)]
    more = draft.choices.pick(steps or [len(sent.payload)])
    moved = remapped(
        draft,
        sent,
        replace(mapping, sequence=mapping.sequence + more),
        payload=b"",
        ssn=ssn + more,
    )
    first = Range(sequence=sent.sequence, octets=more, dsn=None, cause="unmapped")
    rest = Range(sequence=sent.sequence + more, octets=len(sent.payload) - more, dsn=mapping.dsn)
    draft.cut(key)
    parts = tuple(part for part in (first, rest) if part.octets)
    draft.set(key, options=moved.options, mapping=moved.mapping, ranges=parts)
    draft.blame(key)


FAULTS = (
    Fault(
        name="mapping-interrupted-by-urgent-data",
        meaning="An urgent octet stands inside a mapping that does not count it.",
        v1=("8684-3.3.1-08",),
        v0=("6824-3.3.1-15",),
        needs=("data",),
        find=data_places(_interruptible),
        edit=_interrupted,
        lawful=_within_urgent,
    ),
    Fault(
        name="first-mapping-misplaced",
        meaning="After a SYN with data the first mapping begins amid the data it goes with.",
        v1=("8684-B-02",),
        needs=("syn_data", "no_checksum", "plain_first"),
        find=_opened_fast,
        edit=_misplaced,
    ),
)
