"""The vocabulary: what is emitted, what the table says and what the page says are one thing."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import fields
from typing import Any

import pytest

from mptcp_oracle import analyze, facts
from mptcp_oracle.options import Dss
from tests.common.checkout import ROOT

RECORDINGS = sorted((ROOT / "corpus" / "kernel").glob("*.pcap*"))
PAGE = (ROOT / "docs" / "facts.md").read_text()
JSON = {"integer": int, "number": int | float, "text": str, "boolean": bool}
SHAPES = {"key": r"[0-9a-f]{16}", "token": r"[0-9a-f]{8}", "hex": r"([0-9a-f]{2})*|[0-9a-f]+",
          "absolute": r"\d{1,20}", "time": r"\d+\.\d{9}"}  # fmt: skip


def wrong(value: Any, form: str, where: str) -> Iterator[str]:
    """Every way in which a value is not of its form."""
    if value is None:
        if form[-1] not in "?*":
            yield f"{where}: null"
        return
    form = form.rstrip("?*")
    if form.startswith("["):
        for item in value:
            yield from wrong(item, form[1:-1], where)
    elif form in facts.KEYS:
        yield from wrong_object(value, form, where)
    elif form in facts.FORMS:
        kind = JSON[facts.FORMS[form]]
        right = isinstance(value, kind) and (kind is bool or not isinstance(value, bool))
        if not right or (form in SHAPES and not re.fullmatch(SHAPES[form], value)):
            yield f"{where}: {value!r} is no {form}"
    elif form in ("counts", "transmissions"):
        if tuple(value) != (facts.KINDS if form == "counts" else facts.CLASSES):
            yield f"{where}: {list(value)}"
    elif form == "unknown":
        if not all(isinstance(why, str) and why for why in value.values()):
            yield f"{where}: {value}"
    elif form == "option":
        if value["option"] not in facts.OPTIONS.values():
            yield f"{where}: {value}"
    elif form == "lag":
        if not (len(value) == 2 and all(isinstance(item, int) for item in value)):
            yield f"{where}: {value}"
    else:
        yield f"{where}: no form {form!r}"


def wrong_object(value: dict[str, Any], name: str, where: str) -> Iterator[str]:
    """Every way in which an object is not what the vocabulary says."""
    keys = facts.KEYS[name]
    expected = set(keys)
    if name == "observation" and value["what"] != "scheduler":
        expected -= {"lags", "thresholds"}
    if set(value) != expected:
        yield f"{where}: keys {sorted(set(value) ^ expected)}"
    for key in expected & set(value):
        yield from wrong(value[key], keys[key], f"{where}.{key}")
    may = {key for key, form in keys.items() if form.endswith("*")} | {"options", "absolute", "dsn"}
    for key in value.get("unknown", {}):
        if key not in may:
            yield f"{where}: {key} is never unknown"


@pytest.mark.parametrize("path", RECORDINGS, ids=lambda path: path.stem)
def test_every_fact_keeps_to_the_vocabulary(path: Any) -> None:
    """Each object of each fact has exactly its keys, and each value its form."""
    with analyze(path) as trace:
        found = [
            problem
            for fact in trace.facts()
            for problem in wrong_object(fact, fact["fact"], fact["fact"])
        ]
    assert not found[:5]


def test_a_fact_outside_the_vocabulary_is_found() -> None:
    """The check can fail: a missing key, another key and a wrong form are each reported."""
    with analyze(RECORDINGS[0]) as trace:
        fact = next(fact for fact in trace.facts() if fact["fact"] == "segment")
    assert not list(wrong_object(fact, "segment", ""))
    for changed in (
        {key: value for key, value in fact.items() if key != "frame"},
        {**fact, "more": 1},
        {**fact, "frame": "1"},
        {**fact, "frame": True},
        {**fact, "frame": None},
        {**fact, "time": "1"},
        {**fact, "unknown": {"frame": "why"}},
        {**fact, "ranges": [{}]},
    ):
        assert list(wrong_object(changed, "segment", ""))


def tables() -> dict[str, list[list[str]]]:
    """The page's tables by heading: the cells of each row, the head aside."""
    found: dict[str, list[list[str]]] = {}
    for section in re.split(r"^## ", PAGE, flags=re.MULTILINE)[1:]:
        lines = section.splitlines()
        rows = [re.split(r"(?<!\\)\|", line)[1:-1] for line in lines if line.startswith("|")]
        found[lines[0].strip()] = [[cell.strip() for cell in row] for row in rows[2:]]
    return found


def test_the_page_lists_the_vocabulary() -> None:
    """docs/facts.md has every object with every key and form, in the same order."""
    pages = tables()
    assert [name for name in pages if name not in {"Forms", "Options"}] != []
    shown = {
        name: {row[0].strip("`"): row[1].strip("`") for row in rows}
        for name, rows in pages.items()
        if name not in {"Forms", "Options"}
    }
    assert shown == facts.KEYS
    for name, keys in facts.KEYS.items():
        assert list(shown[name]) == list(keys), name


def test_the_page_says_when_a_value_is_not_known() -> None:
    """A reason stands beside every key that may be unknown, and beside no other."""
    for name, rows in tables().items():
        if name in {"Forms", "Options"}:
            continue
        for key, form, meaning, reason in rows:
            assert meaning, (name, key)
            may = form.strip("`").endswith("*") or key == "`options`"
            assert bool(reason) == may, (name, key)


def test_the_page_lists_forms_and_words() -> None:
    """Forms with their JSON types, and all the words of the vocabulary, are on the page."""
    shown = {row[0].strip("`"): row[1] for row in tables()["Forms"]}
    assert shown == facts.FORMS
    words = (facts.STATES, facts.FALLBACKS, facts.ENDS, facts.JOINS, facts.CLASSES, facts.ROLES,
             facts.OBSERVATIONS)  # fmt: skip
    for word in (word for group in words for word in group):
        assert f"`{word}`" in PAGE, word


def test_the_page_lists_the_options() -> None:
    """Every option is on the page with its fields."""
    shown = {row[0].strip("`"): set(re.findall(r"`(\w+)`", row[1])) for row in tables()["Options"]}
    expected = {
        name: {field.name for field in fields(kind)} - {"raw"}
        for kind, name in facts.OPTIONS.items()
    }
    expected[facts.OPTIONS[Dss]] |= {"data_ack_size", "dsn_size", "data_fin"}
    assert shown == expected
