"""The scenario table: every row is complete, possible, and says why it is there."""

from __future__ import annotations

import dataclasses
import json
import re
from collections.abc import Iterator

import pytest
from mptcp_oracle.generators.corpus import FLAGS, SLUG
from mptcp_oracle.generators.schema import schema_errors

from mptcp_oracle.live import scenario as steps
from mptcp_oracle.live.events import EVENTS
from mptcp_oracle.live.scenario import Endpoint, Expect, Filter, Plan, Scenario, Vantage, to_json
from mptcp_oracle.live.scenarios import SCENARIOS, TABLES
from mptcp_oracle.live.tester import ACTS
from tests.common.checkout import ROOT

ROWS = tuple(item for table in TABLES for item in table)


def endpoints(item: Scenario) -> Iterator[Endpoint]:
    """Every endpoint that a scenario mentions."""
    yield from item.client.endpoints
    yield from item.server.endpoints
    yield from (step.endpoint for step in item.script if isinstance(step, steps.AddEndpoint))


def interfaces(item: Scenario) -> set[str]:
    """The interfaces that exist at the capture point."""
    sides = {"client": ("c",), "router": ("rc", "rs"), "server": ("s",)}[item.vantage.host]
    return {"any"} | {f"{side}{lane + 1}" for side in sides for lane in range(item.plan.lanes)}


def faults(item: Scenario) -> Iterator[str]:
    """What is wrong with a row of the table."""
    if SLUG.fullmatch(item.name) is None:
        yield "its name is no slug"
    if len(item.why) < 40 or not item.why.endswith("."):
        yield "it does not say why"
    if set(item.flags) - set(FLAGS) or len(set(item.flags)) != len(item.flags):
        yield "it has unknown or repeated flags"
    if ("truncated-frames" in item.flags) == ("full-payload" in item.flags):
        yield "its flags do not say whether frames are whole"
    if ("truncated-frames" in item.flags) != (item.vantage.snaplen < 1514):
        yield "its flags and its snap length differ"
    if ("no-offload" in item.flags) == item.plan.offloads:
        yield "its flags and its offloads differ"
    if ("ipv6" in item.flags) != (6 in item.plan.families):
        yield "its flags and its families differ"
    if ("many-connections" in item.flags) != (item.connections > 1):
        yield "its flags and its number of connections differ"
    acts = [step.name for step in item.script if isinstance(step, steps.Act)]
    if not set(acts) <= set(ACTS):
        yield "the tester does not know an act"
    if ("tester" in item.flags) != bool(acts):
        yield "its flags do not say whether a tester plays in it"
    if not isinstance(item.script[0], steps.Connect) and acts[:1] != [next(iter(ACTS))]:
        yield "its script does not begin with a connection"
    if any(not 1 <= point.lane <= item.plan.lanes for point in endpoints(item)):
        yield "an endpoint is on no lane"
    if item.vantage.interface not in interfaces(item):
        yield "its capture point does not exist"
    names = {entry.name for entry in item.filters}
    switched = {step.name for step in item.script if isinstance(step, steps.SwitchFilter)}
    if switched - names:
        yield "a step switches a filter that is not there"
    if {entry.name for entry in item.filters if not entry.active} - switched:
        yield "a filter is never switched on"
    ids = {point.address_id for point in endpoints(item)} | {0}
    for step in item.script:
        if isinstance(step, steps.RemoveEndpoint | steps.SetBackup) and step.address_id not in ids:
            yield "a step names an Address ID that is not there"
        if isinstance(step, steps.Await) and step.event not in EVENTS.values():
            yield "a step waits for an unknown event"
        if isinstance(step, steps.Kill) and not 1 <= step.lane <= item.plan.lanes:
            yield "a step kills a subflow on no lane"
        if isinstance(step, steps.Send) and step.piece is not None and step.piece < 1:
            yield "a step writes pieces of nothing"
        if isinstance(step, steps.Link) and not 1 <= step.lane <= item.plan.lanes:
            yield "a step names a lane that is not there"
    if item.vantage.late != any(isinstance(step, steps.BeginCapture) for step in item.script):
        yield "a late capture never begins, or another one begins twice"
    if any(re.fullmatch(r"[A-Z]\w+", entry.counter) is None for entry in item.expects):
        yield "an expected counter is no counter's name"


GOOD = Scenario(
    name="a-row",
    why="A row that is in order, from which each broken row differs in one point.",
    script=(steps.Connect(),),
    flags=("full-payload",),
)


@pytest.mark.parametrize("item", ROWS, ids=lambda item: item.name)
def test_a_row_is_in_order(item: Scenario) -> None:
    """Every scenario is possible in its own network and says why it is there."""
    assert list(faults(item)) == []


def test_the_row_that_the_broken_ones_differ_from_is_in_order() -> None:
    """The starting point of the planted mistakes has none itself."""
    assert list(faults(GOOD)) == []


@pytest.mark.parametrize(
    "change",
    [
        {"name": "Not A Slug"},
        {"why": "Because."},
        {"flags": ("full-payload", "no-such-flag")},
        {"flags": ()},
        {"flags": ("truncated-frames",)},
        {"plan": Plan(offloads=False)},
        {"plan": Plan(families=(6,))},
        {"connections": 2},
        {"script": (steps.Send("client"),)},
        {"client": steps.Host(endpoints=(Endpoint(lane=3, flags=("subflow",)),))},
        {"vantage": Vantage(interface="s1")},
        {"script": (steps.Connect(), steps.SwitchFilter("nowhere"))},
        {"script": (steps.Act("connect"), steps.Act("sing")), "flags": ("full-payload", "tester")},
        {"script": (steps.Act("connect"),)},
        {"script": (steps.Act("data"),), "flags": ("full-payload", "tester")},
        {"filters": (Filter(name="idle", rules=("drop",), active=False),)},
        {"script": (steps.Connect(), steps.RemoveEndpoint("client", 4))},
        {"script": (steps.Connect(), steps.Await("client", "NEVER"))},
        {"script": (steps.Connect(), steps.Link(3, up=False))},
        {"script": (steps.Connect(), steps.Kill("client", 3))},
        {"script": (steps.Connect(), steps.Send("client", 1.0, 0))},
        {"script": (steps.Connect(), steps.BeginCapture())},
        {"vantage": Vantage(late=True)},
        {"expects": (Expect(host="client", counter="a counter"),)},
    ],
    ids=str,
)
def test_a_planted_mistake_is_found(change: dict[str, object]) -> None:
    """The check can fail: each of these mistakes is reported, and nothing else is."""
    assert len(list(faults(dataclasses.replace(GOOD, **change)))) == 1  # type: ignore[arg-type]


def test_names_are_unique() -> None:
    """No two scenarios share a name, which is also the name of their files."""
    assert len(SCENARIOS) == len(ROWS)


def test_the_table_is_large_enough() -> None:
    """There are many scenarios, some at each capture point, and each proves what it claims."""
    assert len(ROWS) >= 100
    assert {item.vantage.host for item in ROWS} == {"client", "router", "server"}
    assert all(item.expects for item in ROWS)
    assert {item.streams for item in ROWS} == {"whole", "cut", "changed"}


def test_the_table_covers_every_flag() -> None:
    """Every flag that the corpus explains is shown by at least one scenario."""
    assert {flag for item in ROWS for flag in item.flags} == set(FLAGS)


@pytest.mark.parametrize("item", ROWS, ids=lambda item: item.name)
def test_a_row_is_written_as_the_schema_says(item: Scenario) -> None:
    """The JSON form of every scenario fits the sidecar's schema, and nothing is lost in JSON."""
    schema = json.loads((ROOT / "corpus/schema.json").read_text())
    body = json.loads(json.dumps(to_json(item)))
    part = {**schema["properties"]["scenario"], "$defs": schema["$defs"]}
    assert schema_errors(body, part) == []
    assert [entry["step"] for entry in body["script"]] == [
        type(step).__name__ for step in item.script
    ]
