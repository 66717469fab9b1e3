"""Scenarios of ``mptcp-oracle generate``: each one plays, and shows what it is there for."""

from __future__ import annotations

import re
from collections.abc import Callable

import pytest
from mptcp_oracle.generators.generating import Case, capture_case
from mptcp_oracle.generators.listing import MEANINGS
from mptcp_oracle.generators.ordering import Order, order
from mptcp_oracle.generators.scenarios import SCENARIOS
from mptcp_oracle.generators.script import Script

from mptcp_oracle.model.capture import Frame
from mptcp_oracle.model.observable import observable
from mptcp_oracle.model.policies_schedulers import SCHEDULERS
from mptcp_oracle.model.trace import FIN, RST, SYN, Trace
from mptcp_oracle.options import (
    AddAddr,
    Dss,
    MpCapable,
    MpFail,
    MpFastclose,
    MpJoinSyn,
    MpPrio,
    MpTcprst,
    RemoveAddr,
)

SCRIPTS = [name for name, each in SCENARIOS.items() if isinstance(each.behaviour, Script)]


def ordered(name: str, version: int, seed: int = 0) -> Order:
    """An order of one scenario."""
    return order(seed=seed, scenarios=[name], versions=[version])


def played(name: str, version: int | None = None, seed: int = 0) -> Case:
    """The first case of a scenario."""
    version = SCENARIOS[name].versions[0] if version is None else version
    return capture_case(ordered(name, version, seed), 0)


def has(kind: type) -> Callable[[Trace], bool]:
    """Whether a trace has an option of this kind."""
    return lambda trace: any(
        isinstance(option, kind) for segment in trace.segments for option in segment.options
    )


def sends(cause: str) -> Callable[[Trace], bool]:
    """Whether a trace has payload that was sent for this reason."""
    return lambda trace: any(
        each.cause == cause for segment in trace.segments for each in segment.ranges
    )


def closed(how: str | None) -> Callable[[Trace], bool]:
    """Whether the connection ended so."""
    return lambda trace: trace.connections[0].closed == how


def fell(how: str) -> Callable[[Trace], bool]:
    """Whether the connection fell back so."""
    return lambda trace: trace.connections[0].fallback == how


def outcome(how: str) -> Callable[[Trace], bool]:
    """Whether the last subflow came to this."""
    return lambda trace: trace.subflows[-1].outcome == how


def count(flag: int, at_least: int) -> Callable[[Trace], bool]:
    """Whether so many segments have a flag."""
    return lambda trace: sum(bool(each.flags & flag) for each in trace.segments) >= at_least


def lost(trace: Trace) -> bool:
    """Whether a segment never arrived."""
    return len({each.segment.number for each in trace.deliveries}) < len(trace.segments)


def took(transition: str) -> Callable[[Trace], bool]:
    """Whether a transition of the model was taken."""
    return lambda trace: transition in trace.transitions


def narrow(trace: Trace) -> bool:
    """Whether a 4-octet DSN is beyond a multiple of 2^32 that an earlier one was before."""
    seen = [
        option.dsn
        for segment in trace.segments
        for option in segment.options
        if isinstance(option, Dss) and option.dsn is not None and segment.host == 1
    ]
    return any(dsn & 0xFFFFFFFF > 1 << 31 for dsn in seen) and any(
        dsn & 0xFFFFFFFF < 1 << 31 for dsn in seen
    )


SHOWS: dict[str, tuple[Callable[[Trace], bool], ...]] = {
    "request": (closed("data_fin"), lambda trace: len(trace.segments) == 15),
    "no-data": (closed("data_fin"), lambda trace: not any(s.payload for s in trace.segments)),
    "capable-with-data": (took("D07"), closed("data_fin")),
    "checksums": (lambda trace: all(host.checksum for host in trace.connections[0].hosts),),
    "version-negotiated": (lambda trace: trace.connections[0].version == 0, has(MpJoinSyn)),
    "syn-lost": (took("S24"), lost),
    "synack-lost": (took("S25"), lost),
    "third-lost": (took("S25"), lost, closed("data_fin")),
    "unanswered": (count(SYN, 4), outcome("unanswered")),
    "dsn-wrap": (narrow, closed("data_fin")),
    "sequence-wrap": (lambda trace: min(trace.subflows[0].isns) > (1 << 32) - 1100,),
    "join": (has(MpJoinSyn), outcome("established")),
    "join-announced": (has(AddAddr), outcome("established")),
    "join-by-listener": (lambda trace: trace.subflows[1].opener == 1, outcome("established")),
    "join-refused": (took("S03"), outcome("refused")),
    "join-refused-late": (took("S07"), outcome("refused")),
    "join-answered-plainly": (took("S28"), outcome("refused")),
    "join-third-lost": (took("S08"), lost, outcome("established")),
    "announcement-lost": (took("A02"), lost),
    "address-withdrawn": (has(RemoveAddr), closed("data_fin")),
    "priority": (has(MpPrio),),
    "eight-subflows": (lambda trace: len(trace.subflows) == 8, outcome("established")),
    "join-other-family": (
        lambda trace: {flow.ends[0].address.version for flow in trace.subflows} == {4, 6},
    ),
    "long-mappings": (took("D02"), took("D03"), took("D04")),
    "two-mappings-in-a-segment": (took("D05"),),
    "mapping-in-advance": (took("D06"),),
    "path-cut": (sends("reinjection"), lost, closed("data_fin")),
    "redundant-copies": (sends("redundant"), lambda trace: not lost(trace)),
    "remapped": (sends("remap"), sends("retransmission"), lost),
    "retransmitted": (took("D10"), took("D11"), lost),
    "closed-window": (sends("probe"), closed("data_fin")),
    "keep-alive": (took("S27"),),
    "bulk-lossy": (lost, closed("data_fin")),
    "bulk-opportunistic": (sends("reinjection"),),
    "bulk-redundant": (sends("redundant"),),
    "closed-at-once": (took("C15"), took("C18"), closed("data_fin")),
    "half-closed": (took("C19"), closed("data_fin")),
    "data-fin-with-data": (took("D08"), closed("data_fin")),
    "data-fin-repeated": (took("C22"), lost, closed("data_fin")),
    "data-fin-on-fin": (took("D09"), closed("data_fin")),
    "fast-close": (has(MpFastclose), took("C25"), closed("fastclose")),
    "fast-close-reset": (has(MpFastclose), has(MpTcprst), took("C26"), closed("fastclose")),
    "first-subflow-ends": (count(FIN, 4), closed("data_fin")),
    "subflow-reset": (count(RST, 1), closed("data_fin")),
    "break-before-make": (took("C24"), closed("data_fin")),
    "subflows-end-without-data-fin": (closed("subflows"),),
    "left-open": (closed(None),),
    "fallback-plain-listener": (fell("synack"),),
    "fallback-syn-stripped": (took("N03"), took("C03")),
    "fallback-synack-stripped": (took("N03"),),
    "fallback-third-stripped": (fell("third_packet"),),
    "fallback-unmapped-data": (took("C11"),),
    "checksum-infinite-mapping": (has(MpFail), fell("infinite_mapping")),
    "checksum-subflow-reset": (has(MpFail), sends("reinjection"), closed("data_fin")),
    "checksum-last-subflow-reset": (took("S13"), took("C24"), closed("data_fin")),
    "join-stripped": (outcome("refused"),),
    "fast-open": (lambda trace: trace.subflows[0].syn_data[0] > 0, closed("data_fin")),
}
"""What the traces of scenarios must have."""


@pytest.mark.parametrize("name", SCENARIOS)
def test_a_scenario_says_why_it_is_there(name: str) -> None:
    """Each scenario has a name of words, a paragraph of why, and versions."""
    scenario = SCENARIOS[name]
    assert re.fullmatch(r"[a-z]+(-[a-z]+)*", name)
    assert len(scenario.why) > 80
    assert scenario.why.endswith(".")
    assert scenario.versions in ((1, 0), (1,), (0,))


@pytest.mark.parametrize("name", SCENARIOS)
def test_a_scenario_plays_in_each_version(name: str) -> None:
    """Each scenario gives a capture with truth in each of its versions, whatever the seed."""
    for version in SCENARIOS[name].versions:
        for seed in (1, 2):
            capture = played(name, version, seed).capture
            assert sum(isinstance(frame, Frame) for frame in capture.frames) >= 1
            assert {"connection", "subflow", "segment"} <= {
                fact["fact"] for fact in observable(capture)
            }


@pytest.mark.parametrize("name", SHOWS)
def test_a_scenario_shows_what_it_is_there_for(name: str) -> None:
    """The trace of a scripted scenario has what its paragraph speaks of, whatever the sizes."""
    for version in SCENARIOS[name].versions:
        for seed in (3, 4, 5):
            trace = played(name, version, seed).capture.trace
            assert all(shows(trace) for shows in SHOWS[name]), (version, seed)


def test_most_scripts_are_held_to_what_they_show() -> None:
    """Scripts about connections have their claims in the table; those about taps need none."""
    free = {name for name in SCRIPTS if name not in SHOWS}
    assert free <= {
        "checksum-asked-by-listener", "join-same-address", "join-port", "initial-address-closed",
        "address-ids", "widths", "any-interface", "headers-only", "options-cut", "offload",
        "late-start", "holes", "both-hosts", "vxlan", "old-file",
    }  # fmt: skip


@pytest.mark.parametrize("name", SCRIPTS)
def test_a_script_comes_to_its_end(name: str) -> None:
    """A script is not cut off by the limits of the driver."""
    trace = played(name).capture.trace
    assert len(trace.segments) < SCENARIOS[name].limits.segments
    assert trace.segments[-1].time < SCENARIOS[name].limits.time


def test_connections_of_a_scenario_differ() -> None:
    """Another seed gives other keys, ports and sizes, not only other octets."""
    first, second = (played("join", 1, seed).capture.trace for seed in (1, 2))
    keys = [{host.key for host in trace.connections[0].hosts} for trace in (first, second)]
    assert not keys[0] & keys[1]
    sizes = [[len(each.payload) for each in trace.segments] for trace in (first, second)]
    assert sizes[0] != sizes[1]


def test_an_option_of_the_handshake_is_seen() -> None:
    """The check can fail: what a trace does not have is not found in it."""
    trace = played("request").capture.trace
    assert has(MpCapable)(trace)
    assert not has(MpFail)(trace)
    assert not sends("redundant")(trace)
    assert not lost(trace)


def test_each_scheduler_has_a_sentence() -> None:
    """The list of schedulers has a sentence for each one, and for no other."""
    assert MEANINGS.keys() == SCHEDULERS.keys()
    assert all(text.endswith(".") for text in MEANINGS.values())
