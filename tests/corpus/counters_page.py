"""Writes ``docs/counters.md`` from the table: ``python -m tests.corpus.counters_page``."""

from __future__ import annotations

from mptcp_oracle.counters.page import render
from tests.common.checkout import ROOT

__all__ = ["PAGE"]

PAGE = ROOT / "docs" / "counters.md"

if __name__ == "__main__":
    PAGE.write_text(render())
