"""The tables of transitions and the code that takes them."""

from __future__ import annotations

import re

from mptcp_oracle.model.tables import ADDRESSES, CONNECTION, DATA, SUBFLOW, TRANSITIONS
from tests.common.checkout import ROOT

ID = re.compile(r'"([CSDAN]\d\d)"')


def _taken() -> set[str]:
    """Ids in the model's code, the tables aside."""
    folder = ROOT / "mptcp_oracle" / "model"
    modules = ("aborting", "closing", "falling", "handshake", "joining", "plain", "receiving",
               "repeating", "sending", "signalling", "windows")  # fmt: skip
    return {found for name in modules for found in ID.findall((folder / f"{name}.py").read_text())}


def test_tables_and_code_name_the_same_transitions() -> None:
    """Every id in a table is taken somewhere in the code, and every id there is in a table."""
    assert _taken() == set(TRANSITIONS)


def test_an_id_names_one_transition() -> None:
    """No id is used twice."""
    assert len(TRANSITIONS) == sum(map(len, (CONNECTION, SUBFLOW, DATA, ADDRESSES)))


def test_every_transition_says_where_it_comes_from() -> None:
    """It has an event, and a section of the RFC."""
    for each in TRANSITIONS.values():
        assert each.event, each.id
        assert each.section, each.id
