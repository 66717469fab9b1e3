"""The browser that tests of pages share."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.common.browser import Browser


@pytest.fixture(scope="session")
def browser() -> Iterator[Browser]:
    """Headless Chromium; without it tests are skipped."""
    found = Browser()
    yield found
    found.close()
