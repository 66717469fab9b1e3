"""Which mutants to try: a seeded sample, stratified by stratum, module and function."""

from __future__ import annotations

import random
from collections.abc import Mapping, Sequence

from tests.mutation.population import Module, Mutant, Site

__all__ = ["allocate", "draw"]

#: No stratum gets less than this share of the sample, unless it has fewer sites.
LEAST = 0.12


def allocate(sites: Mapping[str, int], wanted: int) -> dict[str, int]:
    """How many of each stratum: in proportion to its sites, but never too few.

    Args:
        sites: Stratum to the number of its sites.
        wanted: Size of the sample.

    Returns:
        Numbers that add up to ``wanted``, or to all sites if there are fewer.
    """
    least = {name: min(count, round(LEAST * wanted)) for name, count in sites.items()}
    chosen = dict(least)
    open_ = {name for name in sites if sites[name] > least[name]}
    while open_ and sum(chosen.values()) < wanted:
        rest = wanted - sum(chosen[name] for name in sites if name not in open_)
        total = sum(sites[name] for name in open_)
        share = {name: rest * sites[name] / total for name in open_}
        short = {name for name in open_ if share[name] < least[name]}
        if not short:
            ordered = sorted(open_, key=lambda name: (-sites[name], name))
            for name in ordered:
                chosen[name] = min(sites[name], round(share[name]))
            # What rounding left goes to the largest stratum.
            largest = ordered[0]
            rest = wanted - sum(chosen[name] for name in sites if name != largest)
            chosen[largest] = min(sites[largest], rest)
            break
        open_ -= short
    return chosen


def draw(
    modules: Mapping[str, Sequence[Module]], wanted: int, seed: int
) -> dict[str, list[Mutant]]:
    """Mutants to try, by stratum.

    Sites are taken at equal distances from all of a stratum's in the order of the text, from a
    drawn start, so that each function is sampled as often as its number of sites says; at a site
    each mutant has the same chance.

    Args:
        modules: The population.
        wanted: How many in all.
        seed: Equal seeds draw equal samples of equal texts.
    """
    sites = {name: [site for each in held for site in each.sites] for name, held in modules.items()}
    numbers = allocate({name: len(held) for name, held in sites.items()}, wanted)
    return {name: _systematic(sites[name], numbers[name], f"{seed}/{name}") for name in sites}


def _systematic(sites: Sequence[Site], number: int, seed: str) -> list[Mutant]:
    generator = random.Random(seed)
    if not number:
        return []
    step = len(sites) / number
    start = generator.random() * step
    places = [min(len(sites) - 1, int(start + step * index)) for index in range(number)]
    return [generator.choice(sites[place].mutants) for place in places]
