"""Planted faults of data, closing and fallback: what they plant is wrong, by the labels alone."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from mptcp_oracle import crypto
from mptcp_oracle.model.choices import Counted
from mptcp_oracle.model.faults import fault
from mptcp_oracle.model.planting import planted
from mptcp_oracle.model.trace import FIN, RST, SYN, Sent, Trace
from mptcp_oracle.options import Dss, MpFail, MpFastclose, MpJoinSyn

WIDE = (1 << 64) - 1
URG = 0x20


def guilty(trace: Trace) -> Sent:
    """The last segment of the evidence."""
    return trace.segments[trace.planted[-1].segments[-1]]


def dss_of(sent: Sent) -> Dss:
    """The DSS of a segment."""
    return next(option for option in sent.options if isinstance(option, Dss))


def before(trace: Trace, *, host: int, subflow: int | None = None) -> list[Sent]:
    """What a host had sent before the evidence ends, perhaps on one subflow."""
    return [
        sent
        for sent in trace.segments[: guilty(trace).number]
        if sent.host == host and subflow in (None, sent.subflow)
    ]


def right_sum(trace: Trace) -> bool:
    """Whether the checksum of the evidence, whose payload is its mapping's, is right."""
    sent = guilty(trace)
    assert sent.mapping is not None
    own = trace.connections[0].hosts[sent.host]
    dss = dss_of(sent)
    dsn = (own.base + sent.mapping.dsn) & WIDE
    return dss.checksum == crypto.dss_checksum(dsn, dss.ssn or 0, dss.dll or 0, sent.payload)


def highest_mapped(trace: Trace, host: int) -> int:
    """The DSN after all that a host had mapped before the evidence."""
    ends = [
        sent.mapping.dsn + sent.mapping.octets + sent.mapping.fin
        for sent in before(trace, host=host)
        if sent.mapping is not None
    ]
    return max(ends, default=1)


def room(trace: Trace) -> tuple[int, int]:
    """Octets by which the evidence is beyond the windows of its subflow and of its connection."""
    sent = guilty(trace)
    assert sent.mapping is not None
    theirs = before(trace, host=1 - sent.host)
    edge = max((each.ack or 0) + each.window for each in theirs if each.subflow == sent.subflow)
    limit = max((each.data_ack or 1) + each.window for each in theirs)
    end = sent.sequence + len(sent.payload)
    return end - edge, sent.mapping.dsn + sent.mapping.octets - limit


def moved_right_edge(trace: Trace) -> bool:
    """Whether the right edge of the evidence is left of an earlier one."""
    sent = guilty(trace)
    edge = (sent.data_ack or 0) + sent.window
    earlier = before(trace, host=sent.host)
    return any((each.data_ack or 0) + each.window > edge for each in earlier if each.data_ack)


def two_mappings(trace: Trace) -> bool:
    """Whether an octet of the evidence has a DSN by an earlier mapping that is another one."""
    sent = guilty(trace)
    assert sent.mapping is not None
    shift = sent.mapping.dsn - sent.mapping.sequence
    return any(
        each.mapping is not None
        and each.mapping.sequence == sent.mapping.sequence
        and each.mapping.dsn - each.mapping.sequence != shift
        for each in before(trace, host=sent.host, subflow=sent.subflow)
    )


def other_octets(trace: Trace) -> bool:
    """Whether a DSN of the evidence had another octet before."""
    sent = guilty(trace)
    seen: dict[int, int] = {}
    for each in before(trace, host=sent.host):
        at = 0
        for part in each.ranges:
            for octet in range(part.octets if part.dsn is not None else 0):
                seen.setdefault((part.dsn or 0) + octet, each.payload[at + octet])
            at += part.octets
    at = 0
    for part in sent.ranges:
        for octet in range(part.octets):
            value = sent.payload[at + octet]
            if part.dsn is not None and seen.get(part.dsn + octet, value) != value:
                return True
        at += part.octets
    return False


def fins(trace: Trace, host: int) -> int:
    """FINs and RSTs of a host on the subflow of the evidence."""
    subflow = guilty(trace).subflow
    return sum(
        (sent.subflow, sent.host) == (subflow, host) and sent.flags & (FIN | RST) > 0
        for sent in trace.segments
    )


def outstanding(trace: Trace) -> bool:
    """Whether data of the host to blame is not DATA_ACKed at the evidence."""
    sent = guilty(trace)
    acked = max((each.data_ack or 1 for each in before(trace, host=1 - sent.host)), default=1)
    return acked < highest_mapped(trace, sent.host)


def last_key(trace: Trace) -> int:
    """The key of the evidence's MP_FASTCLOSE."""
    options = guilty(trace).options
    return next(option.key for option in options if isinstance(option, MpFastclose))


def is_join(trace: Trace) -> bool:
    """Whether the evidence is a SYN of a join."""
    sent = guilty(trace)
    return sent.flags == SYN and any(isinstance(option, MpJoinSyn) for option in sent.options)


def starts(trace: Trace) -> set[int]:
    """Absolute DSNs where mappings of the peer of the host to blame start."""
    host = 1 - trace.planted[-1].host
    base = trace.connections[0].hosts[host].base
    return {
        (base + sent.mapping.dsn) & WIDE
        for sent in trace.segments
        if sent.host == host and sent.mapping is not None
    }


def fail_dsn(trace: Trace) -> int:
    """The DSN of the evidence's MP_FAIL."""
    options = guilty(trace).options
    return next(option.dsn for option in options if isinstance(option, MpFail))


def infinite_before(trace: Trace) -> bool:
    """Whether the host to blame had declared an infinite mapping."""
    sent = guilty(trace)
    return any(
        each.mapping is not None and each.mapping.infinite for each in before(trace, host=sent.host)
    )


WRONG: dict[str, Callable[[Trace], bool]] = {
    "mapping-with-unasked-checksum": right_sum,
    "checksum-wrong": lambda trace: not right_sum(trace),
    "checksum-of-short-number": lambda trace: not right_sum(trace),
    "mapping-changed": two_mappings,
    "mapping-in-advance": lambda trace: not guilty(trace).payload,
    "data-unmapped": lambda trace: all(part.dsn is None for part in guilty(trace).ranges),
    "mapping-interrupted-by-urgent-data": lambda trace: (
        guilty(trace).flags & URG > 0 and 0 < guilty(trace).urgent < len(guilty(trace).payload)
    ),
    "data-ack-of-unsent-data": lambda trace: (
        (guilty(trace).data_ack or 0) > highest_mapped(trace, 1 - guilty(trace).host)
    ),
    "data-ack-falls": lambda trace: (
        any(
            (each.data_ack or 0) > (guilty(trace).data_ack or 0)
            for each in before(trace, host=guilty(trace).host, subflow=guilty(trace).subflow)
        )
        and not moved_right_edge(trace)
    ),
    "data-ack-too-short": lambda trace: dss_of(guilty(trace)).data_ack_size == 4,
    "window-shrinks": moved_right_edge,
    "windows-exceeded": lambda trace: min(room(trace)) > 0,
    "subflow-window-exceeded": lambda trace: room(trace)[0] > 0 >= room(trace)[1],
    "connection-window-exceeded": lambda trace: room(trace)[1] > 0 >= room(trace)[0],
    "copy-of-other-octets": other_octets,
    "retransmission-of-other-octets": other_octets,
    "data-after-data-fin": lambda trace: any(
        each.mapping is not None and each.mapping.fin
        for each in before(trace, host=guilty(trace).host)
    ),
    "data-fin-not-counted": lambda trace: dss_of(guilty(trace)).dll == len(guilty(trace).payload),
    "data-fin-with-place": lambda trace: (dss_of(guilty(trace)).ssn or 0) > 0,
    "data-ack-beyond-data-fin": lambda trace: (
        (guilty(trace).data_ack or 0) > highest_mapped(trace, 1 - guilty(trace).host)
    ),
    "last-subflow-ends-early": lambda trace: (
        fins(trace, guilty(trace).host) > 0 and outstanding(trace)
    ),
    "data-fin-with-fin-too-early": lambda trace: (
        guilty(trace).flags & FIN > 0 and outstanding(trace)
    ),
    "subflow-left-open": lambda trace: fins(trace, 0) == fins(trace, 1) == 0,
    "fin-left-out": lambda trace: (
        fins(trace, guilty(trace).host) == 0 and fins(trace, 1 - guilty(trace).host) > 0
    ),
    "join-after-close": is_join,
    "fastclose-with-wrong-key": lambda trace: (
        last_key(trace) != trace.connections[0].hosts[1 - guilty(trace).host].key
    ),
    "fastclose-answered-by-fin": lambda trace: guilty(trace).flags & (FIN | RST) == FIN,
    "data-after-fastclose": lambda trace: len(guilty(trace).payload) > 0,
    "join-after-permanent-reset": is_join,
    "fail-inside-mapping": lambda trace: fail_dsn(trace) not in starts(trace),
    "mapping-after-infinite-mapping": infinite_before,
    "join-after-fallback": lambda trace: is_join(trace) and infinite_before(trace),
}
"""What is wrong with the evidence of each fault, where its labels tell."""


@pytest.mark.parametrize("name", WRONG)
def test_what_is_planted_is_wrong(name: str) -> None:
    """The evidence of a fault is what its sentence says, in several traces."""
    for seed in range(3):
        trace = planted(fault(name), Counted(seed, f"wrong {name}"))
        assert trace is not None
        assert WRONG[name](trace)
