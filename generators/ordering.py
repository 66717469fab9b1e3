"""Orders: what is to be generated, as recipes for cases by number."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from difflib import get_close_matches
from itertools import product
from typing import TypeVar

from mptcp_oracle.generators.scenario import Scenario
from mptcp_oracle.generators.scenarios import SCENARIOS

from mptcp_oracle.errors import UsageError
from mptcp_oracle.model.capture import FORMATS, VANTAGES
from mptcp_oracle.model.fault import Fault
from mptcp_oracle.model.faults import FAULTS
from mptcp_oracle.model.policies import Wanderer
from mptcp_oracle.model.policies_schedulers import SCHEDULERS, Scheduler

__all__ = ["Order", "Recipe", "order"]

T = TypeVar("T")


@dataclass(frozen=True, slots=True, kw_only=True)
class Recipe:
    """What one case is made of; ``None`` leaves a thing to the scenario.

    Attributes:
        scenario: The scenario, ``named`` by the user or not.
        fault: A fault to plant. version: Offered by the initiator. subflows: How many to open.
        scheduler: A name of :data:`SCHEDULERS`. vantage: Where the tap is.
    """

    scenario: Scenario
    named: bool = True
    fault: Fault | None = None
    version: int | None = None
    subflows: int | None = None
    scheduler: str | None = None
    vantage: str | None = None

    @property
    def slug(self) -> str:
        """What files of the case are called."""
        words = [self.scenario.name] if self.named or self.fault is None else []
        words += [self.scheduler.replace("_", "-")] if self.scheduler else []
        words += [self.fault.name] if self.fault else []
        return "-".join(words)


@dataclass(frozen=True, slots=True, kw_only=True)
class Order:
    """What is to be generated.

    Attributes:
        seed: What everything follows from. recipes: Case ``n`` is made by recipe ``n`` modulo
            their number.
        malformed: Whether segments get malformed options. file: A file format, or ``None``.
    """

    seed: int
    recipes: tuple[Recipe, ...]
    malformed: bool = False
    file: str | None = None

    def recipe(self, number: int) -> Recipe:
        """The recipe of a case."""
        return self.recipes[number % len(self.recipes)]


def order(
    *,
    seed: int = 0,
    scenarios: Sequence[str] = (),
    faults: Sequence[str] = (),
    versions: Sequence[int] = (),
    subflows: Sequence[int] = (),
    schedulers: Sequence[str] = (),
    vantages: Sequence[str] = (),
    malformed: bool = False,
    file: str | None = None,
) -> Order:
    """An order, with a recipe for each combination of what is given.

    Args:
        seed: What everything follows from.
        scenarios: Names of scenarios; here and below ``all`` stands for all of them.
        faults: Names of faults to plant.
        versions: MPTCP versions to offer.
        subflows: How many to open.
        schedulers: Names of schedulers.
        vantages: Where the tap may be.
        malformed: Whether segments get malformed options.
        file: A file format.

    Raises:
        UsageError: A name is unknown, or no combination makes sense.
    """
    named = _names("scenario", scenarios, SCENARIOS)
    wrong = _names("fault", faults, FAULTS)
    busy = _names("scheduler", schedulers, SCHEDULERS)
    for what, given, known in (
        ("vantage", vantages, VANTAGES),
        ("format", [file] if file else [], FORMATS),
    ):
        _names(what, given, known)
    usual = "bulk" if busy and not wrong else "anything"
    recipes = []
    reasons: dict[str, None] = {}
    for scenario, fault, scheduler, version, count, vantage in product(
        named or [usual], _any(wrong), _any(busy), _any(versions),
        _any(subflows), _any(vantages),
    ):  # fmt: skip
        recipe = Recipe(
            scenario=SCENARIOS[scenario],
            named=bool(named),
            fault=None if fault is None else FAULTS[fault],
            version=version,
            subflows=count,
            scheduler=scheduler,
            vantage=vantage,
        )
        reason = _senseless(recipe)
        if reason is None:
            recipes.append(recipe)
        else:
            reasons[reason] = None
    if not recipes:
        raise UsageError(
            next(iter(reasons)), hint="mptcp-oracle generate --list says what there is"
        )
    return Order(seed=seed, recipes=tuple(recipes), malformed=malformed, file=file)


def _any(given: Sequence[T]) -> Sequence[T | None]:
    """What was given, or ``None`` alone."""
    return given or [None]


def _names(what: str, given: Sequence[str], known: Collection[str]) -> list[str]:
    """The names, each once; ``all`` for all of them.

    Raises:
        UsageError: One is unknown.
    """
    if "all" in given:
        return list(known)
    for name in given:
        if name not in known:
            near = (
                get_close_matches(name, known, 3, 0.5)
                or ([each for each in known if name in each][:3])
            )
            hint = f"did you mean {' or '.join(near)}?" if near else f"--list shows every {what}"
            raise UsageError(f"there is no {what} {name!r}", hint=hint)
    return list(dict.fromkeys(given))


def _senseless(recipe: Recipe) -> str | None:
    """Why a combination makes no sense, if it does not."""
    scenario, fault = recipe.scenario, recipe.fault
    random = isinstance(scenario.behaviour, Wanderer | Scheduler)
    if recipe.version is not None and recipe.version not in scenario.versions:
        return f"the scenario {scenario.name} is not one of version {recipe.version}"
    if not random and (recipe.scheduler or recipe.subflows):
        return f"the scenario {scenario.name} is a script, which has its own subflows and data"
    if fault is None:
        return None
    versions = scenario.versions if recipe.version is None else (recipe.version,)
    if not set(versions) & set(fault.versions):
        offered = " and ".join(map(str, fault.versions))
        return f"the fault {fault.name} is one of version {offered}"
    seen = {where for places in fault.vantages.values() for where in places}
    if recipe.vantage is not None and recipe.vantage not in seen:
        return f"the fault {fault.name} is not sure to be seen from vantage {recipe.vantage}"
    return None
