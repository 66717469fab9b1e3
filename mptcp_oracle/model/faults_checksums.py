"""Faults of the checksums of DSS mappings (RFC 8684 and 6824, sections 3.3 and 3.3.1)."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace

from mptcp_oracle import crypto
from mptcp_oracle.model.fault import Edit, Fault
from mptcp_oracle.model.faults_edit import Draft, Place, fits
from mptcp_oracle.model.faults_flow import data_places, plain_dss
from mptcp_oracle.model.faults_places import (
    carriers,
    connection_of,
    mapped,
    option_of,
    subflow_of,
)
from mptcp_oracle.model.settings import Deviations, Settings
from mptcp_oracle.model.trace import Mapping, Sent, Trace
from mptcp_oracle.options import Dss

__all__ = ["FAULTS"]

WIDE, NARROW = (1 << 64) - 1, (1 << 32) - 1

Total = Callable[[Draft, Sent, Mapping, Dss], int]


def _has_checksum(_trace: Trace, sent: Sent) -> bool:
    dss = option_of(sent, Dss)
    return dss is not None and dss.checksum is not None


def _no_checksum(trace: Trace, sent: Sent) -> bool:
    dss = option_of(sent, Dss)
    bare = dss is not None and dss.dsn is not None and dss.checksum is None
    return bare and dss is not None and fits(sent, replace(dss, checksum=0))


def _sum(draft: Draft, sent: Sent, mapping: Mapping, dss: Dss) -> int:
    """The right checksum."""
    own = draft.connections[draft.subflows[sent.subflow].connection].hosts[sent.host]
    dsn, dll = (own.base + mapping.dsn) & WIDE, mapping.octets + mapping.fin
    return crypto.dss_checksum(dsn, dss.ssn or 0, dll, mapped(draft.trace, sent) or b"")


def _summed(total: Total | None, *, right: bool = False) -> Edit:
    """Give the mapping of a segment another checksum, or none; with it the trace ends."""

    def edit(draft: Draft, place: Place) -> None:
        key = place.segments[0]
        sent = draft.sent(key)
        mapping = sent.mapping
        assert mapping is not None

        def change(option: Dss) -> Dss:
            value = None if total is None else total(draft, sent, mapping, option)
            return replace(option, checksum=value)

        draft.cut(key)
        draft.options(key, plain_dss(change))
        draft.set(key, mapping=replace(mapping, checksum=None if total is None else right))
        draft.blame(key)

    return edit


def _off(draft: Draft, sent: Sent, mapping: Mapping, dss: Dss) -> int:
    """A wrong checksum, as an error of the program or of the data makes it."""
    own = draft.connections[draft.subflows[sent.subflow].connection].hosts[sent.host]
    octets, dll = mapped(draft.trace, sent) or b"", mapping.octets + mapping.fin
    dsn, ssn, right = (own.base + mapping.dsn) & WIDE, dss.ssn or 0, dss.checksum or 0
    wrong = [
        crypto.dss_checksum(0, 0, 0, octets),
        right ^ 0xFFFF,
        right ^ 1 << draft.choices.integer(0, 15),
        (right & 0xFF) << 8 | right >> 8,
        crypto.dss_checksum(dsn, ssn + draft.subflows[sent.subflow].isns[sent.host] & NARROW, dll,
                            octets),
        0,
    ]  # fmt: skip
    return draft.choices.pick([each for each in wrong if not _same(each, right)])


def _same(one: int, other: int) -> bool:
    """Whether two checksums are equal as ones' complement numbers: 0 and 0xFFFF are both 0."""
    return one % 0xFFFF == other % 0xFFFF


def _narrow(draft: Draft, sent: Sent, mapping: Mapping, dss: Dss) -> int:
    """The checksum over a DSN of 4 octets."""
    dll = mapping.octets + mapping.fin
    octets = mapped(draft.trace, sent) or b""
    return crypto.dss_checksum(dss.dsn or 0, dss.ssn or 0, dll, octets)


def _narrow_differs(trace: Trace, sent: Sent) -> bool:
    """Whether the upper half of a mapping's DSN counts, and is not on the wire."""
    dss, mapping = option_of(sent, Dss), sent.mapping
    if dss is None or mapping is None or dss.checksum is None or dss.dsn_size != 4:
        return False
    base = connection_of(trace, sent).hosts[sent.host].base
    return not _same((base + mapping.dsn & WIDE) >> 32, 0) and mapped(trace, sent) is not None


def _wrong_possible(trace: Trace, sent: Sent) -> bool:
    return _has_checksum(trace, sent) and mapped(trace, sent) is not None


def _infinite(_trace: Trace, sent: Sent) -> bool:
    dss = option_of(sent, Dss)
    infinite = sent.mapping is not None and sent.mapping.infinite
    return infinite and dss is not None and dss.checksum is not None


def _infinite_sum(draft: Draft, place: Place) -> None:
    value = draft.choices.integer(1, 0xFFFE)
    for key in place.segments:
        mapping = draft.sent(key).mapping
        assert mapping is not None
        draft.options(key, plain_dss(lambda each: replace(each, checksum=value)))
        draft.set(key, mapping=replace(mapping, checksum=False))
        draft.blame(key)


def _never_right(_settings: Settings, _host: int) -> Deviations:
    return Deviations(checksum_flip=0x2F81)


def _first_wrong(trace: Trace) -> Iterator[Place]:
    """The first mapping of a host whose checksum it got wrong, alone on its segment.

    Hosts that send a DATA_FIN without data get its checksum wrong, too: that is another fault.
    """
    seen = {
        (subflow_of(trace, sent).connection, sent.host)
        for sent in trace.segments
        if sent.mapping is not None and sent.mapping.fin and not sent.mapping.octets
    }
    for sent in trace.segments:
        key = subflow_of(trace, sent).connection, sent.host
        mapping = sent.mapping
        if mapping is not None and mapping.checksum is False and not mapping.infinite:
            if key not in seen and mapped(trace, sent) is not None:
                yield Place(host=sent.host, segments=(sent.number,))
            seen.add(key)


FAULTS = (
    Fault(
        name="checksum-missing",
        meaning="A mapping has no checksum although the hosts agreed on checksums.",
        v1=("8684-3.3-06", "8684-3.1-35", "8684-3.3-01"),
        v0=("6824-3.3-12", "6824-3.1-13", "6824-3.3-10"),
        needs=("data", "checksum"),
        find=data_places(_has_checksum),
        edit=_summed(None),
    ),
    Fault(
        name="mapping-with-unasked-checksum",
        meaning="A mapping has a checksum although the hosts agreed on none.",
        v1=("8684-3.3-06", "8684-3.3-01"),
        v0=("6824-3.3-12", "6824-3.3-10"),
        needs=("data", "no_checksum"),
        find=data_places(_no_checksum),
        edit=_summed(_sum, right=True),
    ),
    Fault(
        name="checksum-wrong",
        meaning="The checksum of a mapping is wrong.",
        v1=("8684-3.3.1-05",),
        v0=("6824-3.3.1-13",),
        needs=("data", "checksum"),
        find=data_places(_wrong_possible),
        edit=_summed(_off),
    ),
    Fault(
        name="checksum-never-right",
        meaning="All checksums of a host are wrong.",
        v1=("8684-3.3.1-05",),
        v0=("6824-3.3.1-13",),
        needs=("data", "checksum"),
        find=_first_wrong,
        deviate=_never_right,
    ),
    Fault(
        name="checksum-of-short-number",
        meaning="The checksum of a mapping covers only the lower half of its DSN.",
        v1=("8684-3.3.1-06", "8684-3.3.1-05"),
        v0=("6824-3.3.1-14", "6824-3.3.1-13"),
        needs=("data", "checksum", "short_dsn"),
        find=data_places(_narrow_differs),
        edit=_summed(_narrow),
    ),
    Fault(
        name="infinite-mapping-with-checksum",
        meaning="An infinite mapping has a checksum that is not 0.",
        v1=("8684-3.3.1-22",),
        v0=("6824-3.3.1-25",),
        needs=("infinite", "checksum"),
        find=carriers(Dss, where=_infinite),
        edit=_infinite_sum,
    ),
)
