"""Planted faults: the table is sound, and planting changes a trace at its evidence alone."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import pytest

from mptcp_oracle.encode import encode, pad
from mptcp_oracle.errors import UsageError
from mptcp_oracle.model.choices import Counted
from mptcp_oracle.model.faults import AREAS, EXCEPTED, FAULTS, NEEDS, Fault, fault, tripping
from mptcp_oracle.model.planting import soil
from mptcp_oracle.model.trace import Sent, Trace
from mptcp_oracle.options import Dss, MpCapable
from tests.common.checkout import ROOT
from tests.common.script import story

WIDE = (1 << 64) - 1
EDITS = [each for each in FAULTS.values() if each.kind == "edit"]


def stories(version: int) -> Iterator[Trace]:
    """Hand-made traces of one version."""
    yield story(version)
    yield story(version, ends=False)
    yield story(version, checksum=True, resent=True)
    if version:
        yield story(early=20)
    for plain in ("synack", "third"):
        yield story(version, plain=plain)


def grounds(each: Fault, version: int) -> Iterator[Trace]:
    """Hand-made traces; generated ones, if none of those has a place for a fault."""
    found = False
    for trace in stories(version):
        found = found or bool(each.places(trace))
        yield trace
    made = 0
    for seed in range(0 if found else 400):
        alone = replace(each, v0=()) if version else replace(each, v1=())
        trace = soil(alone, Counted(seed, each.name))
        if each.places(trace):
            made += 1
            yield trace
        if made == 2:
            return


def consistent(trace: Trace) -> None:
    """Check that a trace's labels are true of each other and of its options."""
    assert [sent.number for sent in trace.segments] == list(range(len(trace.segments)))
    assert [sent.time for sent in trace.segments] == sorted(sent.time for sent in trace.segments)
    arrivals = [arrival.time for arrival in trace.deliveries]
    assert arrivals == sorted(arrivals)
    for arrival in trace.deliveries:
        assert arrival.time > trace.segments[arrival.segment.number].time
    for sent in trace.segments:
        pad(encode(option) for option in sent.options)
        assert sum(part.octets for part in sent.ranges) in (0, len(sent.payload))
        at = sent.sequence + (sent.flags & 2 > 0)
        for part in sent.ranges:
            assert part.sequence == at
            at += part.octets
        connection = trace.connections[trace.subflows[sent.subflow].connection]
        own, peer = connection.hosts[sent.host], connection.hosts[1 - sent.host]
        seen = [option for option in sent.options if isinstance(option, Dss)]
        acks = [each for each in seen if each.data_ack is not None]
        assert bool(acks) == (sent.data_ack is not None)
        for each in acks:
            mask = WIDE >> 64 - 8 * each.data_ack_size
            assert each.data_ack == (peer.base + (sent.data_ack or 0)) & mask
        maps = [each for each in seen if each.dsn is not None]
        capable = [
            option
            for option in sent.options
            if isinstance(option, MpCapable) and option.data_length is not None
        ]
        assert bool(maps or capable) == (sent.mapping is not None)
        if sent.mapping is None:
            continue
        for each in maps:
            mask = WIDE >> 64 - 8 * each.dsn_size
            assert each.dsn == (own.base + sent.mapping.dsn) & mask
            assert each.dll == sent.mapping.octets + sent.mapping.fin
            assert (each.checksum is not None) == (sent.mapping.checksum is not None)
        for first in capable:
            assert first.data_length == sent.mapping.octets
            assert sent.mapping.by_capable


@pytest.mark.parametrize("name", FAULTS)
def test_a_fault_is_described_completely(name: str) -> None:
    """Each fault has a sentence, known needs, and one to three requirements of its versions."""
    each = FAULTS[name]
    assert each.meaning.endswith(".")
    assert set(each.needs) <= set(NEEDS)
    assert each.versions
    for version, prefix in ((1, "8684-"), (0, "6824-")):
        ids = each.requirements(version)
        assert len(ids) <= 3
        assert len(set(ids)) == len(ids)
        assert all(one.startswith(prefix) for one in ids)
        assert all(each in tripping(one) for one in ids)


@pytest.mark.parametrize("each", EDITS, ids=lambda each: each.name)
def test_an_edit_leaves_a_true_trace(each: Fault) -> None:
    """Planting an edit gives a consistent trace that differs from the clean one at its evidence."""
    planted = 0
    for version in each.versions:
        for trace in grounds(each, version):
            consistent(trace)
            for number, place in enumerate(each.places(trace)):
                faulty = each.plant(trace, Counted(number, each.name), place=place)
                consistent(faulty)
                # An offer of version 1 may be answered with version 0.
                subflow = trace.subflows[trace.segments[place.segments[0]].subflow]
                spoken = trace.connections[subflow.connection].version
                assert faulty.planted[-1].requirements == each.requirements(spoken)
                assert faulty.planted[-1].host == place.host
                evidence = set(faulty.planted[-1].segments)
                assert evidence
                kept = {_body(trace, sent) for sent in trace.segments}
                changed = {s.number for s in faulty.segments if _body(faulty, s) not in kept}
                assert each.arranges or changed <= evidence
                planted += 1
    assert planted


def _body(trace: Trace, sent: Sent) -> tuple[object, ...]:
    """A segment without its number and time, and with its subflow's ends for its number."""
    return replace(sent, number=0, time=0, subflow=0), trace.subflows[sent.subflow].ends


def decidable() -> set[str]:
    """Ids of the requirements that a capture can decide, with keys or without."""
    lines = (ROOT / "tests" / "data" / "requirements.tsv").read_text(encoding="utf-8").splitlines()
    rows = [line.split("\t") for line in lines[1:]]
    return {row[0] for row in rows if row[1] in ("P", "P-A")}


def test_every_requirement_has_a_fault_or_a_reason() -> None:
    """Each requirement that a capture can decide is tripped by a fault, or excepted, never both."""
    tripped = {one for each in FAULTS.values() for one in (*each.v1, *each.v0)}
    assert tripped & EXCEPTED.keys() == set()
    assert tripped | EXCEPTED.keys() == decidable()
    assert len(decidable()) == 233


def test_a_forgotten_requirement_is_noticed() -> None:
    """The count can fail: without the one fault that trips a requirement it is missing."""
    left = [each for each in FAULTS.values() if each.name != "reset-flags"]
    tripped = {one for each in left for one in (*each.v1, *each.v0)}
    assert decidable() - tripped - EXCEPTED.keys() == {"8684-3.6-03"}


def test_a_label_that_lies_is_noticed() -> None:
    """The check of traces can fail: a DATA_ACK one higher on the wire than in its label."""
    trace = story()
    sent = next(each for each in trace.segments if each.data_ack is not None)
    wrong = replace(sent, data_ack=(sent.data_ack or 0) - 1)
    segments = tuple(wrong if each is sent else each for each in trace.segments)
    with pytest.raises(AssertionError):
        consistent(replace(trace, segments=segments))


def test_names_of_faults_are_distinct() -> None:
    """No two areas have a fault of the same name, and no reason is empty."""
    assert sum(len(area) for area in AREAS.values()) == len(FAULTS)
    assert all(reason for reason in EXCEPTED.values())


def test_an_unknown_fault_is_refused() -> None:
    """Asking for a fault that does not exist names those that do."""
    with pytest.raises(UsageError, match="no fault"):
        fault("no-such-fault")


def test_a_trace_without_a_place_is_refused() -> None:
    """Planting a fault in a trace that lacks what it needs says what is missing."""
    empty = replace(story(), segments=(), deliveries=())
    with pytest.raises(UsageError, match="no place"):
        fault("dss-reserved-bits").plant(empty, Counted(1))
