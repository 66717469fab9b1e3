"""The comparison of two accounts of a capture: it leaves out what it says, and nothing else."""

from __future__ import annotations

import copy
from typing import Any

import pytest

from mptcp_oracle.facts import KEYS, KINDS, Fact
from mptcp_oracle.model.observable import observable
from tests.common.agreement import COPY, LEFT_OUT, canonical, differences
from tests.unit.test_observable import conversation


@pytest.fixture(scope="module")
def truth() -> list[Fact]:
    """The facts of a whole conversation."""
    return list(observable(conversation().capture()))


def places(value: Any, path: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    """The way to every plain value of a fact."""
    inner = value.items() if isinstance(value, dict) else enumerate(value)
    found: list[tuple[Any, ...]] = []
    for key, item in inner:
        nested = isinstance(item, dict | list)
        found += places(item, (*path, key)) if nested else [(*path, key)]
    return found


def changed(fact: Fact, path: tuple[Any, ...]) -> Fact:
    """A fact with one value replaced."""
    result = copy.deepcopy(fact)
    target: Any = result
    for key in path[:-1]:
        target = target[key]
    value = target[path[-1]]
    target[path[-1]] = value + 1 if type(value) is int else "something else"
    return result


def test_every_value_counts_unless_it_is_left_out(truth: list[Fact]) -> None:
    """Another value anywhere is a difference, or has a reason in the table."""
    free = {name.partition(".")[2] for name in LEFT_OUT} | {"vantage"}
    for at, fact in enumerate(truth):
        for path in places(fact):
            if path[0] in ("fact", "unknown") or "unknown" in path:
                continue
            other = [*truth[:at], changed(fact, path), *truth[at + 1 :]]
            assert bool(differences(other, truth)) == (path[-1] not in free), path


def test_a_missing_or_an_additional_fact_is_a_difference(truth: list[Fact]) -> None:
    """Each fact has to be there, in its place."""
    assert differences(truth, truth) == []
    for at in range(len(truth)):
        less = [*truth[:at], *truth[at + 1 :]]
        assert differences(less, truth)
        assert differences(truth, less)
    turned = [truth[0], truth[2], truth[1], *truth[3:]]
    assert differences(turned, truth) == ["the facts are equal, but not in the same order"]


def test_unknown_keys_count_and_reasons_do_not(truth: list[Fact]) -> None:
    """Known and unknown is compared, and the wording is not."""
    for at, fact in enumerate(truth):
        for wording, equal in (("another reason", True), (None, False)):
            other = copy.deepcopy(fact)
            if wording is None:
                other["unknown"]["sequence_raw"] = "never"
            else:
                other["unknown"] = dict.fromkeys(other["unknown"], wording)
            assert (differences([*truth[:at], other, *truth[at + 1 :]], truth) == []) is equal


def test_classes_of_copies_are_one() -> None:
    """What a copy was sent for is the sender's intention; two of them in a row are one."""
    script = conversation()
    truth = list(observable(script.capture()))
    (at,) = [i for i, fact in enumerate(truth) if fact.get("class") == "reinjection"]
    whole = truth[at]
    one = {**whole, "class": "unclassified", "octets": 15, "dsn_end": 16}
    two = {**whole, "class": "redundant", "octets": 25, "sequence": whole["sequence"] + 15,
           "dsn": 16}  # fmt: skip
    assert differences([*truth[:at], one, two, *truth[at + 1 :]], truth) == []
    assert canonical(truth)["transmission", (12, 0)]["class"] == COPY
    gap = {**two, "dsn": 17}
    assert differences([*truth[:at], one, gap, *truth[at + 1 :]], truth)


def test_a_guessed_vantage_does_not_count() -> None:
    """Unless frames say who captured them, the vantage is a guess of the analyzer."""
    truth = list(observable(conversation().capture()))
    (at, *_) = [i for i, fact in enumerate(truth) if fact["fact"] == "subflow"]
    guess = {**truth[at], "vantage": "source"}
    known = {**guess, "vantage_known": True}
    assert differences([*truth[:at], guess, *truth[at + 1 :]], truth) == []
    assert differences([*truth[:at], known, *truth[at + 1 :]], truth)


def test_what_is_left_out_exists_and_has_a_reason() -> None:
    """Each entry of the table names a key or a kind of the vocabulary, and says why."""
    for name, why in LEFT_OUT.items():
        owner, _, key = name.partition(".")
        assert (key in KEYS[owner]) if key else (owner in KINDS)
        assert why
