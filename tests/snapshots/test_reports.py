"""Whole reports, compared with how they looked when somebody last read and accepted them.

After a change that is meant, renew them, read the difference, and commit both together::

    MPTCP_ORACLE_RENEW=1 python -m pytest tests/snapshots; git diff tests/snapshots
"""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from mptcp_oracle.analysis.trace import analyze
from mptcp_oracle.report.detail import details
from mptcp_oracle.report.layout import Page
from mptcp_oracle.report.text import overview
from tests.common.checkout import ROOT

HERE = Path(__file__).parent
RENEW = bool(os.environ.get("MPTCP_ORACLE_RENEW"))

#: Name of the snapshot: recording, columns, whether in detail.
REPORTS = {
    "overview": ("bulk-two-paths.pcapng", 140, False),
    "overview-80-columns": ("bulk-two-paths.pcapng", 80, False),
    "many-connections": ("short-connections.pcapng", 140, False),
    "detail": ("add-address.pcapng", 140, True),
    "detail-80-columns": ("join-over-limit.pcapng", 80, True),
}


@pytest.mark.parametrize("name", REPORTS)
def test_reports_look_as_accepted(name: str) -> None:
    """The report on a recording is, character by character, the one that was accepted."""
    recording, columns, in_detail = REPORTS[name]
    page = Page(width=columns)
    with analyze(ROOT / "corpus/kernel" / recording, name=recording) as trace:
        if in_detail:
            lines = list(details(trace, trace.connections, trace.unattached, page))
        else:
            lines = list(overview(trace, page, 10))
    shown = "".join(f"{line}\n" for line in lines)
    path = HERE / f"{name}.txt"
    if RENEW:
        path.write_text(shown)
    assert shown == path.read_text()


def test_every_snapshot_is_used() -> None:
    """No text lies about that no test reads."""
    assert {path.stem for path in HERE.glob("*.txt")} == set(REPORTS)
