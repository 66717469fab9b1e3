"""The context of the rules: which rows are in use, and which come first, against naive accounts."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pytest
from mptcp_oracle.generators.emit import emit

from mptcp_oracle.analysis import ordering
from mptcp_oracle.analysis.trace import analyze
from mptcp_oracle.model.choices import Counted
from mptcp_oracle.model.compose import DEEP, compose
from mptcp_oracle.rules.context import Context
from mptcp_oracle.rules.ledger import Ledger

DUPLICATE = 0x0200


@pytest.fixture(params=range(24))
def context(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Iterator[Context]:
    """The context of a generated capture, with blocks so small that it has several."""
    monkeypatch.setattr(ordering, "BLOCK", 7)
    with analyze(emit(compose(Counted(request.param, "context"), DEEP))) as trace:
        yield Context(trace, Ledger((), 2 * len(list(trace.groups()))), (), True)


def test_in_use(context: Context) -> None:
    """A row is in use if its connection is judged and not yet plain TCP; no duplicate is."""
    trace = context.trace
    columns = trace.wire.segments
    for row, found in enumerate(context.in_use.tolist()):
        direction = trace.plane.direction[columns["half"][row]]
        judged = 0 <= direction < 2 * len(trace.connections)
        mptcp = judged and row < context.plain_from[direction]
        assert found == (mptcp and not columns["flags"][row] & DUPLICATE)


@pytest.mark.parametrize("every", [1, 3, 50])
def test_first_of(context: Context, every: int) -> None:
    """The first of some rows of each half is found, wherever it is; duplicates do not count."""
    columns = context.trace.wire.segments
    mine = np.arange(columns.rows) * 7 % 11 % every == 0
    expected = [columns.rows] * context.trace.wire.halves.rows
    for row in reversed(range(columns.rows)):
        if mine[row] and not columns["flags"][row] & DUPLICATE:
            expected[columns["half"][row]] = row
    assert context.first_of(mine) == expected
