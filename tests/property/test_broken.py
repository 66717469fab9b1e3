"""Each broken analyzer is caught by the equation of facts and truth, within the quick profile."""

from __future__ import annotations

import re
import zlib
from collections.abc import Callable, Iterator
from types import CodeType

import pytest
from mptcp_oracle.generators import Sample

from mptcp_oracle.model.choices import Counted
from mptcp_oracle.model.compose import SMALL, compose
from tests.common.agreement import differences
from tests.common.broken import MISTAKES, Edit, Mistake, broken, function_at
from tests.common.checkout import ROOT
from tests.common.profiles import EXAMPLES
from tests.proof.equal import disagreement, facts_of

CONNECTIONS = "mptcp_oracle.analysis.connections"
QUICK = EXAMPLES["equal"]["quick"]
SEED = 5
"""Of the captures; the table in the documentation has how many it took with this one."""


def examples_until_caught(mistake: Mistake) -> int | None:
    """How many captures the equation needs to find a mistake; ``None`` if the quick ones do not."""
    stream = zlib.crc32(mistake.name.encode())
    for tried in range(1, QUICK + 1):
        sample = Sample(compose(Counted(SEED, f"broken {stream} {tried}"), SMALL))
        with broken(mistake):
            wrong = differs(sample)
        if wrong and not differs(sample):
            return tried
    return None


def differs(sample: Sample) -> bool:
    """Whether facts and truth differ, or the analyzer falls over."""
    try:
        return bool(disagreement(sample))
    except Exception:
        return True


@pytest.mark.parametrize("mistake", MISTAKES, ids=lambda mistake: mistake.name)
def test_a_broken_analyzer_is_caught(
    mistake: Mistake, record_property: Callable[[str, object], None]
) -> None:
    """The equation fails for it within the examples of the quick profile."""
    number = examples_until_caught(mistake)
    assert number is not None, f"{QUICK} captures do not show it: {mistake.name}"
    record_property("examples", number)
    print(f"{mistake.name}: caught after {number} captures")


def test_the_analyzer_as_it_is_is_not_caught() -> None:
    """What is caught is the mistake: running the same text from a changed place is none."""
    edit = Edit(f"{CONNECTIONS}:_begin", "if any(offers):", "if any(offers) is True:")
    same = Mistake("none", "Nobody.", (edit,))
    with broken(same):
        for number in range(10):
            sample = Sample(compose(Counted(41, str(number)), SMALL))
            assert differences(facts_of(sample.octets), sample.truth) == []


def states() -> Iterator[CodeType]:
    """The code of every function that a mistake changes."""
    for mistake in MISTAKES:
        for edit in mistake.edits:
            yield function_at(edit.where).__code__


def interrupted(mistake: Mistake, before: list[CodeType]) -> None:
    """Raise while an analyzer is broken."""
    with broken(mistake):
        assert list(states()) != before
        raise KeyError


def test_mistakes_end_with_their_context() -> None:
    """Afterwards every function is what it was, even if something was raised inside."""
    before = list(states())
    for mistake in MISTAKES:
        with pytest.raises(KeyError):
            interrupted(mistake, before)
    assert list(states()) == before


def test_a_mistake_follows_the_analyzer() -> None:
    """A mistake whose place in the text is gone says so."""
    gone = Mistake("gone", "Nobody.", (Edit(f"{CONNECTIONS}:_begin", "no such text", ""),))
    with pytest.raises(AssertionError, match="gone: 0 times"), broken(gone):
        pass


def test_the_page_lists_every_mistake() -> None:
    """The table in the documentation has each mistake, who would make it, and a count."""
    page = (ROOT / "docs" / "proof.md").read_text()
    rows = re.findall(r"^\| (.+) \| (Who .+) \| (\d+) \|$", page, re.MULTILINE)
    assert [row[:2] for row in rows] == [(each.name, each.who) for each in MISTAKES]
    assert all(0 < int(row[2]) <= QUICK for row in rows)
    assert f"has {len(MISTAKES)} analyzers" in page


def test_mistakes_are_told_apart() -> None:
    """Names are unique, and each mistake says who would make it in one sentence."""
    assert len({mistake.name for mistake in MISTAKES}) == len(MISTAKES) >= 14
    assert all(each.who.startswith("Who ") and each.who.endswith(".") for each in MISTAKES)
