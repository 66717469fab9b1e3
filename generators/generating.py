"""Generating: cases by number, each a capture that follows from the seed and its number alone."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from dataclasses import dataclass, replace

from mptcp_oracle.generators.arranging import arranged, inclined
from mptcp_oracle.generators.malformed import malform
from mptcp_oracle.generators.ordering import Order, Recipe
from mptcp_oracle.generators.scenario import Scenario
from mptcp_oracle.generators.scenarios import SCENARIOS
from mptcp_oracle.generators.script import Script

from mptcp_oracle.errors import OracleError, UsageError
from mptcp_oracle.model.capture import VANTAGES, Capture, Frame, Layout
from mptcp_oracle.model.choices import Choices, Counted
from mptcp_oracle.model.compose import capture_of
from mptcp_oracle.model.drawing import (
    EPOCH,
    WRAPPING,
    defect_names,
    layout_of,
    network_of,
    settings_of,
    tap_of,
)
from mptcp_oracle.model.driver import Policy, drive
from mptcp_oracle.model.fault import Fault
from mptcp_oracle.model.interleave import interleave
from mptcp_oracle.model.policies import Wanderer
from mptcp_oracle.model.policies_schedulers import SCHEDULERS, Scheduler
from mptcp_oracle.model.settings import Settings, drawn, one_family
from mptcp_oracle.model.trace import Trace
from mptcp_oracle.model.turn import IllegalEvent
from mptcp_oracle.model.vantage import Tap

__all__ = ["Case", "capture_case", "guilty", "trace_case"]

MS = 1_000_000
#: Most milliseconds between the beginnings of two connections of a case.
LATEST = 400
#: How often random behaviour is tried before a fault is planted elsewhere, or given up.
TRIES, STUBBORN = 4, 40
#: Connections in a file with addresses of their own; further ones differ in their ports.
NETS = 256
#: Wherever weights of vantage points are not given.
ANYWHERE = ((3, "middle"), (3, "initiator"), (3, "listener"), (2, "both"))


@dataclass(frozen=True, slots=True, kw_only=True)
class Case:
    """One case.

    Attributes:
        number: Its number, from 0. recipe: What it was made by.
        scenario: The scenario that was played; for a fault it may be another than asked for.
        capture: The capture. told: Whether its labels are true; with malformed options not.
    """

    number: int
    recipe: Recipe
    scenario: Scenario
    capture: Capture
    told: bool = True


def capture_case(wanted: Order, number: int) -> Case:
    """One case as a capture of its own.

    Raises:
        UsageError: No trace has a place for its fault.
    """
    recipe = wanted.recipe(number)
    choices = Counted(wanted.seed, f"case {number}")
    for scenario in _stages(recipe, choices):
        trace = _traced(recipe, scenario, choices, 0, crowd=True)
        if trace is None:
            continue
        host = trace.planted[0].host if trace.planted else None
        where = _tap(recipe, scenario, choices, host)
        layout = _layout(wanted, recipe, scenario, choices)
        names = scenario.defects
        if names is None:
            names = () if recipe.fault else defect_names(choices, where.vantage)
        others = scenario.others
        if others is None:
            others = choices.weighted(((7, 0), (1, 5)))
        capture = capture_of(trace, where, names, layout, choices, others=others)
        if all(guilty(capture)) or not trace.planted:
            if wanted.malformed:
                capture = malform(capture, choices)
            return Case(
                number=number, recipe=recipe, scenario=scenario, capture=capture,
                told=not wanted.malformed,
            )  # fmt: skip
    raise _placeless(recipe)


def trace_case(wanted: Order, number: int) -> tuple[Trace, int, Scenario]:
    """One case as a trace of connections that differ from those of all other cases of a file.

    Returns:
        The trace, nanoseconds after which it begins, and the scenario that was played.

    Raises:
        UsageError: No trace has a place for its fault.
    """
    recipe = wanted.recipe(number)
    choices = Counted(wanted.seed, f"case {number}")
    for scenario in _stages(recipe, choices):
        trace = _traced(recipe, scenario, choices, 2 * number, crowd=False)
        if trace is not None:
            return trace, choices.integer(0, 5 * LATEST) * MS, scenario
    raise _placeless(recipe)


def _placeless(recipe: Recipe) -> OracleError:
    assert recipe.fault is not None
    words = f"no trace of the scenario {recipe.scenario.name} has" if recipe.named else "there was"
    return UsageError(
        f"{words} {'a' if recipe.named else 'no'} place for the fault {recipe.fault.name}",
        cause="it needs " + ", ".join(recipe.fault.needs) if recipe.fault.needs else None,
        hint="leave the scenario, the subflows or the vantage open",
    )


def guilty(capture: Capture) -> Iterator[tuple[int, ...]]:
    """Of each planted fault, the frames (1-based) that are the evidence; none if one is missing."""
    for planted in capture.trace.planted:
        wanted = set(planted.segments)
        found = [
            (at, frame.segment.number)
            for at, frame in enumerate(capture.frames, 1)
            if isinstance(frame, Frame) and frame.segment.number in wanted
        ]
        whole = wanted <= {number for _, number in found}
        yield tuple(at for at, _ in found) if whole else ()


def _stages(recipe: Recipe, choices: Choices) -> Iterator[Scenario]:
    """The scenarios to try in turn: for a fault as many as it may take, else one."""
    if recipe.fault is None:
        yield recipe.scenario
        return
    wanders = isinstance(recipe.scenario.behaviour, Wanderer)
    patience = STUBBORN if recipe.named or recipe.scheduler or recipe.subflows else TRIES
    yield from [recipe.scenario] * (patience if wanders else TRIES)
    if patience == TRIES and not recipe.named:
        versions = set(recipe.fault.versions)
        if recipe.version is not None:
            versions &= {recipe.version}
        fitting = [
            each for each in SCENARIOS.values()
            if versions & set(each.versions) and not isinstance(each.behaviour, Wanderer)
        ]  # fmt: skip
        start = choices.integer(0, len(fitting) - 1)
        yield from fitting[start:]
        yield from fitting[:start]
        yield from [recipe.scenario] * STUBBORN


def _traced(
    recipe: Recipe, scenario: Scenario, choices: Choices, index: int, *, crowd: bool
) -> Trace | None:
    """A trace with the fault in it, if there is one; ``None`` if it has no place."""
    if recipe.fault is None:
        weights = scenario.connections if crowd else (1,)
        count = choices.weighted([(weight, at) for at, weight in enumerate(weights, 1)])
        try:
            traces = [
                _drive(recipe, scenario, choices, _settings(recipe, scenario, choices, index + at))
                for at in range(count)
            ]
        except IllegalEvent as error:
            raise _defect(error) from error
        offsets = [0, *(choices.integer(0, LATEST) * MS for _ in traces[1:])]
        return interleave(traces, offsets)
    try:
        return _faulty(recipe, recipe.fault, scenario, choices, index)
    except IllegalEvent as error:
        # What is arranged for a fault may leave no room for the lines of a script.
        if isinstance(scenario.behaviour, Script):
            return None
        raise _defect(error) from error


def _defect(error: IllegalEvent) -> OracleError:
    return OracleError(
        "the model refuses an event of its own",
        cause=error.message,
        hint="this is a defect of mptcp-oracle: please report the command, and try another seed",
    )


def _faulty(
    recipe: Recipe, fault: Fault, scenario: Scenario, choices: Choices, index: int
) -> Trace | None:
    """A trace with a fault in it, or ``None`` if it has no place."""
    host = choices.pick(fault.hosts)
    settings = arranged(_settings(recipe, scenario, choices, index), fault.needs)
    if fault.pair is not None or "two_connections" in fault.needs:
        other = arranged(_settings(recipe, scenario, choices, index + 1), fault.needs)
        if fault.pair is not None:
            settings, other = fault.pair(settings, other, host)
        both = [_drive(recipe, scenario, choices, each) for each in (settings, other)]
        trace = interleave(both, (0, choices.integer(1, LATEST) * MS))
    else:
        settings = fault.deviant(settings, host)
        trace = _drive(recipe, scenario, choices, settings)
    places = fault.places(trace)
    if fault.kind == "deviation":
        places = tuple(place for place in places if place.host == host)
    return fault.plant(trace, choices, place=choices.pick(places)) if places else None


def _settings(recipe: Recipe, scenario: Scenario, choices: Choices, index: int) -> Settings:
    """The settings of one connection; ``index`` keeps those of a file apart."""
    fault, versions = recipe.fault, scenario.versions
    if recipe.version is not None:
        versions = (recipe.version,)
    if fault is not None:
        versions = tuple(each for each in versions if each in fault.versions)
    if scenario.settings is None:
        settings = settings_of(choices, index % NETS, versions)
    else:
        settings = _plain_settings(choices, index, versions[0])
        settings = scenario.settings(settings, index)
    if recipe.scheduler or isinstance(scenario.behaviour, Scheduler):
        settings = one_family(settings)
    if recipe.subflows:
        most = max(recipe.subflows, settings.subflows)
        settings = replace(settings, subflows=most, accepts=most, c_flag=(False, False))
    return _apart(settings, index) if index >= NETS else settings


def _plain_settings(choices: Choices, index: int, version: int) -> Settings:
    """Settings without surprises."""
    seed = choices.bits(32) << 8 | index % NETS
    net = index % NETS << 16
    hosts = [
        tuple(first + net + (path << 8) for first in pair)
        for path, pair in enumerate(zip(*_FIRST, strict=True))
    ]
    return Settings(
        version=version,
        answers=version,
        keys=(drawn(seed, "key 0", 64), drawn(seed, "key 1", 64)),
        addresses=(tuple(pair[0] for pair in hosts), tuple(pair[1] for pair in hosts)),
        ports=(choices.integer(32_768, 49_151), 80),
        seed=seed,
        unit=1400,
    )


_FIRST = tuple(tuple(Settings().addresses[role][0] for _ in range(3)) for role in (0, 1))


def _apart(settings: Settings, index: int) -> Settings:
    """Settings whose ports are those of no other connection with the same addresses."""
    group = index // NETS
    wrapping = {key for keys in WRAPPING.values() for key in keys}
    keys = [
        drawn(settings.seed, f"key {role} of {group}", 64) if key in wrapping else key
        for role, key in enumerate(settings.keys)
    ]
    first, second = settings.extra_ports
    return replace(
        settings,
        keys=(keys[0], keys[1]),
        ports=(10_000 + group, 2_000 + group),
        extra_ports=(
            tuple(port + group for port in first), tuple(port + group for port in second)
        ),
    )  # fmt: skip


def _drive(recipe: Recipe, scenario: Scenario, choices: Choices, settings: Settings) -> Trace:
    """One connection."""
    network = scenario.network or network_of(choices, boxes=recipe.fault is None)
    policy = _policy(recipe, scenario, choices)
    limits = scenario.limits
    if isinstance(policy, Scheduler):
        limits = replace(limits, segments=2_000)
    return drive(settings, policy, network, choices, limits)


def _policy(recipe: Recipe, scenario: Scenario, choices: Choices) -> Policy:
    """How the hosts behave."""
    policy = scenario.behaviour
    if recipe.scheduler:
        octets = policy.octets if isinstance(policy, Scheduler) else None
        policy = SCHEDULERS[recipe.scheduler]
        if octets is None:
            octets = 700 * choices.integer(36, 90)
        policy = replace(policy, octets=octets, beginning=octets // 3)
    if recipe.fault and isinstance(policy, Wanderer):
        policy = inclined(policy, recipe.fault.needs)
    if recipe.subflows and isinstance(policy, Wanderer):
        policy = replace(policy, profile=replace(policy.profile, subflows=(recipe.subflows,)))
    elif recipe.subflows and isinstance(policy, Scheduler):
        joins = (*policy.joins, *[False] * recipe.subflows)[: recipe.subflows - 1]
        policy = replace(policy, joins=joins)
    return policy


def _tap(recipe: Recipe, scenario: Scenario, choices: Choices, host: int | None) -> Tap:
    """The tap; ``host`` is the one to blame, if any."""
    sure: Collection[str] = VANTAGES
    if recipe.fault is not None and host is not None:
        sure = recipe.fault.vantages[host]
    wanted = recipe.vantage or scenario.vantage
    if wanted and not recipe.vantage and wanted not in sure:
        wanted = ""
    weights = tuple(each for each in ANYWHERE if each[1] in sure)
    if scenario.vantage:
        vantage = wanted or choices.weighted(weights)
        return Tap(vantage=vantage, epoch=EPOCH, ids=(1, 30_000))
    return tap_of(choices, ((1, wanted),) if wanted else weights)


def _layout(wanted: Order, recipe: Recipe, scenario: Scenario, choices: Choices) -> Layout:
    """How the capture is written."""
    layout = scenario.layout
    if layout is None:
        layout = layout_of(choices)
        if recipe.fault is not None:
            layout = replace(layout, snap_length=262_144)
    return replace(layout, file=wanted.file) if wanted.file else layout
