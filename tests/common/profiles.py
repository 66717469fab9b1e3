"""How long properties search: Hypothesis profiles, and examples of the large properties.

``MPTCP_ORACLE_PROFILE`` names one: *quick* is the test command's, *ci* the same with the same
examples each time, *deep* is for a night, *hunting* for as long as somebody lets it; *mutation*
is for the tests that mutants are tried against.
"""

from __future__ import annotations

import os

from hypothesis import HealthCheck, Phase, settings

from tests.common.machine import in_ci

__all__ = ["EXAMPLES", "SHARE", "examples", "profile", "register", "shares"]

EXAMPLES: dict[str, dict[str, int]] = {
    "equal": {"quick": 300, "deep": 20_000, "hunting": 1_000_000},
    "invariant": {"quick": 150, "deep": 20_000, "hunting": 1_000_000},
    "faults": {"quick": 2, "deep": 40, "hunting": 400},
    "total": {"quick": 150, "deep": 20_000, "hunting": 1_000_000},
    "sound": {"quick": 100, "deep": 20_000, "hunting": 1_000_000},
    "honest": {"quick": 60, "deep": 20_000, "hunting": 1_000_000},
    "complete": {"quick": 1, "deep": 20, "hunting": 200},
}
"""Examples of each property over generated captures; profiles not named here take *quick*'s."""

SHARE = 1_000
"""Most examples of one run of Hypothesis over generated captures."""


def profile() -> str:
    """The profile's name."""
    return os.environ.get("MPTCP_ORACLE_PROFILE") or ("ci" if in_ci() else "quick")


def examples(what: str) -> int:
    """How many examples one share of a property tries under this profile."""
    return min(_whole(what), SHARE)


def shares(what: str) -> range:
    """The shares of a property's examples: runs of Hypothesis of their own.

    Hypothesis remembers every choice of a run, so a run of very many captures takes gigabytes.
    """
    return range(-(-_whole(what) // SHARE))


def _whole(what: str) -> int:
    table = EXAMPLES[what]
    return table.get(profile(), table["quick"])


def register() -> None:
    """Make the profiles known to Hypothesis, and load the one that was asked for.

    Raises:
        InvalidArgument: There is none of this name.
    """
    # A shared machine makes single examples slow without making anything wrong: no deadlines.
    settings.register_profile(
        "quick", deadline=None, suppress_health_check=[HealthCheck.too_slow], print_blob=True
    )
    quick = settings.get_profile("quick")
    settings.register_profile("ci", quick, derandomize=True)
    settings.register_profile("deep", quick, max_examples=2_000)
    settings.register_profile("hunting", quick, max_examples=20_000)
    # Tests that mutants are tried against: the same few examples each time, and no shrinking.
    settings.register_profile(
        "mutation",
        settings.get_profile("ci"),
        max_examples=40,
        database=None,
        phases=[Phase.explicit, Phase.generate],
    )
    settings.load_profile(profile())
