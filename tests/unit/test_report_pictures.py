"""The pictures in the documents are those that the code makes now."""

from __future__ import annotations

import json

import pytest

from mptcp_oracle.pictures import palette
from tests.pictures import FOLDER, MADE, PICTURES, digests


def test_pictures_are_not_stale() -> None:
    """What each was made from has not changed; else run ``python -m tests.pictures``."""
    assert json.loads(MADE.read_text()) == digests()


def test_a_stale_picture_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    """The check can fail: another colour of a subflow makes all pictures with it stale."""
    monkeypatch.setattr(palette, "COLOURS", ("#123456", *palette.COLOURS[1:]))
    now, then = digests(), json.loads(MADE.read_text())
    assert all(now[name] != then[name] for name in then)


def test_pictures_are_there_small_and_shown() -> None:
    """The folder holds the listed pictures and no other, each small, and a document shows it."""
    text = (FOLDER.parent / "report.md").read_text()
    names = {each.file for each in PICTURES}
    assert {each.name for each in FOLDER.iterdir()} == names | {MADE.name}
    for name in names:
        assert (FOLDER / name).stat().st_size < 200_000
        assert f"(pictures/{name})" in text
