"""The kernel's own counters of every recording beside what its capture shows."""

from __future__ import annotations

import json
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import pytest

from mptcp_oracle.counters.comparing import compare
from mptcp_oracle.counters.page import render
from mptcp_oracle.counters.table import TABLE, relation
from mptcp_oracle.counters.tally import FACTS, meaning, side
from mptcp_oracle.live.agreement import Recorded, counted, recorded
from tests.common.checkout import ROOT
from tests.corpus.counters_page import PAGE

SIDECARS = sorted(
    path for family in ("kernel", "tester") for path in (ROOT / "corpus" / family).glob("*.json")
)


@dataclass(frozen=True)
class Near:
    """The counters and the facts of the host at which a recording was made."""

    counters: dict[str, int]
    facts: dict[str, int]


@cache
def near(name: str) -> Near:
    """What is compared of a recording."""
    path = next(each for each in SIDECARS if each.stem == name)
    with recorded(path) as case:
        found = next(each for each in counted(case) if not each.far)
    return Near(counters=found.counters, facts=found.facts)


@pytest.mark.parametrize("path", SIDECARS, ids=lambda path: path.stem)
def test_counters_and_capture_do_not_contradict_each_other(path: Path) -> None:
    """Of both hosts of each recording, no counter is beyond what the capture shows."""
    with recorded(path) as case:
        assert list(case.counter_complaints()) == []


def compared(case: Recorded) -> int:
    """How many hosts of a recording are compared."""
    return len(list(counted(case)))


def test_most_recordings_are_compared_at_both_hosts() -> None:
    """The check is not empty: nearly every recording is compared at the host of its capture."""
    hosts = [0, 0]
    for path in SIDECARS:
        with recorded(path) as case:
            for each in counted(case):
                hosts[each.far] += 1
    assert hosts[0] >= 55
    assert hosts[1] >= 50


def test_the_table_knows_every_counter_of_the_recordings() -> None:
    """No recording has a counter that the table leaves out, and none is in it twice."""
    names = [row.counter for row in TABLE]
    assert len(names) == len(set(names))
    for path in SIDECARS:
        hosts: dict[str, Any] = json.loads(path.read_text())["hosts"]
        for host in ("client", "server"):
            assert set(hosts[host]["counters"]["MPTcpExt"]) <= set(names)


#: Recordings in which a counter moves, whose row says that it is equal to a fact.
MOVED = {
    "MPCapableSYNTX": "bulk-two-paths",
    "MPCapableSYNACKRX": "bulk-two-paths",
    "MPCapableFallbackACK": "fallback-synack-stripped-server-view",
    "MPCapableFallbackSYNACK": "fallback-syn-stripped",
    "MPJoinSynTx": "fullmesh",
    "InfiniteMapTx": "checksum-failure-one-subflow",
    "InfiniteMapRx": "checksum-failure-server-view",
    "AddAddr": "add-address",
    "AddAddrTx": "client-announces",
    "EchoAdd": "client-announces",
    "EchoAddTx": "add-address",
    "PortAdd": "add-address-port",
    "RmAddrTx": "remove-address",
    "MPPrioTx": "priority-change",
    "MPFailTx": "checksum-failure-one-subflow",
    "MPFastcloseTx": "fast-close-by-client",
    "Blackhole": "syn-black-hole",
    "WinProbe": "zero-window",
}


@pytest.mark.parametrize("counter", MOVED)
def test_an_equal_counter_moves_and_a_wrong_one_is_found(counter: str) -> None:
    """The counter is the fact, which is not zero; one more or less is a contradiction."""
    row = next(each for each in TABLE if each.counter == counter)
    assert relation(row) == "equal"
    found = near(MOVED[counter])
    assert row.least is not None
    value = found.counters[counter]
    assert value == found.facts[row.least] > 0
    for wrong in (value - 1, value + 1):
        (told,) = compare(found.counters | {counter: wrong}, found.facts)
        assert (told.row, told.counted, told.proven) == (row, wrong, wrong < value)
        assert counter in told.why


def test_equal_rows_without_a_recording_are_few() -> None:
    """Only what the recordings' capture points do not show is asserted without one."""
    equal = {row.counter for row in TABLE if relation(row) == "equal"}
    assert equal - set(MOVED) == {"MPPrioRx"}


@pytest.mark.parametrize("row", TABLE, ids=lambda row: row.counter)
def test_every_bound_can_fail(row: object) -> None:
    """A counter below the least, or above the most, of its facts is a contradiction."""
    from mptcp_oracle.counters.table import Row

    assert isinstance(row, Row)
    facts = dict.fromkeys((name for each in TABLE for name in (each.least, each.most) if name), 1)
    below = compare({row.counter: 0}, facts)
    above = compare({row.counter: 2}, facts)
    assert len(below) == (row.least is not None)
    assert len(above) == (row.most is not None)
    assert compare({row.counter: 1}, facts) == []


def test_every_fact_is_used_and_explained() -> None:
    """The table uses each fact, and each has words and a side."""
    used = {name for row in TABLE for name in (row.least, row.most) if name}
    assert set(FACTS) <= used
    assert all(meaning(name) and side(name) in ("sent", "received", "both") for name in used)


def test_the_page_is_the_table() -> None:
    """The documentation is made from the table (python -m tests.corpus.counters_page)."""
    assert PAGE.read_text() == render()
