"""Columns of a capture written by hand, for tests of what is made of them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from types import SimpleNamespace
from typing import Any

from mptcp_oracle.wire.columns import Columns
from mptcp_oracle.wire.segments import CONTROLS, HALVES, MAPS, ROWS, STREAMS

__all__ = ["CONTROLS", "HALVES", "MAPS", "ROWS", "STREAMS", "table", "wire"]


def table(layout: Mapping[str, str], rows: int, **columns: Sequence[int]) -> Columns:
    """A table of zeros but for some columns."""
    made = Columns(layout)
    made.reserve(rows)
    made.rows = rows
    made.trim()
    for name, values in columns.items():
        for at, value in enumerate(values):
            made[name][at] = value
    return made


def wire(halves: int = 2, rows: int = 0, **columns: Sequence[int]) -> Any:
    """Columns of a capture; those named ``half_...`` are of halves, others of segments."""
    of_halves = {name[5:]: held for name, held in columns.items() if name.startswith("half_")}
    of_rows = {name: held for name, held in columns.items() if not name.startswith("half_")}
    return SimpleNamespace(
        segments=table(ROWS, rows, **of_rows),
        halves=table(HALVES, halves, **of_halves),
        mappings=table(MAPS, 0),
        streams=table(STREAMS, halves // 2),
    )
