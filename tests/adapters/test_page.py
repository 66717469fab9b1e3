"""The pages about differences are what the tables say."""

from __future__ import annotations

import pytest

from mptcp_oracle.dissectors.known import CONDITIONS
from tests.adapters.page import PAGES, Page


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_the_page_is_the_table(page: Page) -> None:
    """Each page is made from the tables (python -m tests.adapters.page)."""
    assert page.path.read_text() == page.render()


def test_every_catalogue_has_a_page() -> None:
    """No dissector with a catalogue is left out."""
    assert {each.name for each in PAGES} == CONDITIONS.keys()
