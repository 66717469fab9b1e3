"""The page about differences is what the tables say."""

from __future__ import annotations

from tests.adapters.page import PAGE, render


def test_the_page_is_the_table() -> None:
    """The page for Wireshark users is made from the tables (python -m tests.adapters.page)."""
    assert PAGE.read_text() == render()
