"""The page for Wireshark users is complete, and what it names exists."""

from __future__ import annotations

import re
from dataclasses import fields

import pytest

import mptcp_oracle
from mptcp_oracle import facts
from mptcp_oracle.dissectors.tshark import TShark
from mptcp_oracle.options import Dss
from tests.common.checkout import ROOT
from tests.common.machine import tool

PAGE = (ROOT / "docs" / "wireshark.md").read_text()
ROWS = [
    [cell.strip() for cell in line.split("|")[1:-1]]
    for line in PAGE.splitlines()
    if re.match(r"\| `(mptcp|tcp\.options)\b", line)
]
NAMED = {row[0].strip("`") for row in ROWS}

OPTION_FIELDS = {
    name: {field.name for field in fields(kind)} for kind, name in facts.OPTIONS.items()
}
OPTION_FIELDS[facts.OPTIONS[Dss]] |= {"data_ack_size", "dsn_size", "data_fin"}


def test_every_field_of_wireshark_is_on_the_page() -> None:
    """The page has a row for each MPTCP field that the installed tshark knows."""
    tool("tshark")
    known = {
        line.split("\t")[2]
        for line in TShark().program.lines("-G", "fields")
        if line.startswith(("F\t", "P\t"))
    }
    mine = {name for name in known if re.match(r"(mptcp$|mptcp\.|tcp\.options\.mptcp\.)", name)}
    assert len(mine) > 40
    assert mine <= NAMED
    assert len(ROWS) == len(NAMED)


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row[0].strip("`"))
def test_the_facts_of_a_row_exist(row: list[str]) -> None:
    """Each key and option field that a row names is in the vocabulary."""
    found = 0
    for name, key in re.findall(r"`(\w+)\.(\w+)`", "|".join(row[2:])):
        if name in OPTION_FIELDS:
            assert key in OPTION_FIELDS[name], (name, key)
            found += 1
        elif name in facts.KEYS:
            # The API's expressions look alike: they may name an attribute instead.
            assert key in facts.KEYS[name] or hasattr(
                getattr(mptcp_oracle, name.title(), None), key
            ), (name, key)
            found += 1
    assert found or row[2] == "`option`"


def test_the_expressions_of_the_page_work() -> None:
    """Each expression of the API's column gives a value on a recorded capture."""
    with mptcp_oracle.analyze(ROOT / "corpus" / "kernel" / "loss-reinjection.pcapng") as trace:
        table = trace.segments
        frame = int(table.frame[(table.copies > 0) & (table.declares >= 0)][0])
        names = {
            "trace": trace,
            "connection": trace.connections[0],
            "segment": trace.frame(frame),
            "direction": "initiator",
            "start": 1,
            "end": 2,
            "n": 1,
        }
        expressions = {row[3] for row in ROWS if len(row) == 5}
        expressions |= set(re.findall(r"API `[^`]+`(?:, `[^`]+`)*", PAGE))
        tried = 0
        for text in expressions:
            for expression in re.findall(r"`([^`]+)`", text):
                value = eval(expression, {}, names)
                assert value is not None, expression
                tried += 1
        assert tried > 15
