"""A judgement: what its lists and its counts say of one another."""

from __future__ import annotations

from collections import Counter

import pytest
from mptcp_oracle.generators.emit import emit

from mptcp_oracle.model.choices import Counted
from mptcp_oracle.model.compose import DEEP, compose
from mptcp_oracle.oracle import Judgement, judge
from mptcp_oracle.verdict import Outcome, counted


def judged(number: int, **settings: str) -> Judgement:
    """A judgement on a generated capture."""
    return judge(emit(compose(Counted(number, "judgement"), DEEP)), name="sample", **settings)


@pytest.mark.parametrize("number", range(24))
@pytest.mark.parametrize("host", [None, "initiator", "listener", "an address", "10.9.9.9"])
def test_lists_and_counts_agree(number: int, host: str | None) -> None:
    """What is kept is counted as often as it is listed, for the hosts that are judged."""
    settings = {} if host is None else {"host": host}
    with judged(number) as found:
        if host == "an address":
            flows = found.trace.subflows
            settings["host"] = flows[0].source.address if flows else "10.0.0.1"
    with judged(number, **settings) as found:
        every = list(found.verdicts(everything=True))
        told = list(found.verdicts())
        assert [each for each in every if each.outcome is not Outcome.NOT_EXERCISED] == told
        rest = [each for each in told if each.outcome is not Outcome.PASS]
        assert list(found.verdicts(passes=False)) == rest
        kept = Counter(each.requirement for each in told if each.outcome is Outcome.PASS)
        assert found.passed() == kept
        assert found.counts == counted(every)
        numbers = [each.connection for each in told]
        assert numbers == sorted(numbers, key=lambda each: (each < 0, abs(each)))


@pytest.mark.parametrize("only", [("8684-3.2",), ("6824",), ("8684-3.1-10", "8684-3.3")])
def test_only_some(only: tuple[str, ...]) -> None:
    """Prefixes choose from the whole, in its order."""
    for number in range(12):
        with judged(number) as found:
            rows = [each for each in found.verdicts() if each.requirement in _chosen(found, only)]
            assert list(found.verdicts(only=only)) == rows
            kept = Counter(each.requirement for each in rows if each.outcome is Outcome.PASS)
            assert found.passed(only=only) == kept
            every = list(found.verdicts(everything=True, only=only))
            assert found.unexercised(only=only) == len(every) - len(rows)


def _chosen(found: Judgement, only: tuple[str, ...]) -> set[str]:
    """Ids of the requirements that prefixes choose."""
    from mptcp_oracle.spec import catalogue

    return {
        each.id
        for each in catalogue().values()
        if each.id.startswith(only) or each.number.startswith(only)
    }
