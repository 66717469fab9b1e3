"""The API's page of examples runs, and says what is public."""

from __future__ import annotations

import re
from importlib.util import find_spec
from typing import Any

import pytest

import mptcp_oracle
from tests.common.checkout import ROOT

PAGE = ROOT / "docs" / "api.md"
BLOCK = re.compile(r"^```python(?: requires=(\w+))?\n(.*?)^```", re.DOTALL | re.MULTILINE)


def blocks() -> list[tuple[str | None, str]]:
    """The page's examples: the package that each needs, if any, and its text in its place."""
    text = PAGE.read_text()
    return [
        (match[1], "\n" * text.count("\n", 0, match.start(2)) + match[2])
        for match in BLOCK.finditer(text)
    ]


def test_the_examples_run(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Every example runs after those before it; what a missing package needs is left out."""
    monkeypatch.chdir(ROOT)
    names: dict[str, Any] = {}
    ran = 0
    for package, text in blocks():
        if package is None or find_spec(package) is not None:
            exec(compile(text, str(PAGE), "exec"), names)
            ran += 1
    assert ran >= 12
    said = capsys.readouterr().out
    assert "first_seen" in said
    assert "reinjection" in said


def test_every_example_is_found() -> None:
    """No fenced example of the page escapes the test."""
    assert PAGE.read_text().count("```python") == len(blocks())


@pytest.mark.parametrize("package", ["pandas", "pyarrow"])
def test_columns_are_what_data_frames_take(package: str) -> None:
    """Columns are contiguous one-dimensional arrays of plain types, which pandas and Arrow take."""
    with mptcp_oracle.analyze(ROOT / "corpus" / "kernel" / "loss-reinjection.pcapng") as trace:
        for table in (trace.segments, trace.mappings, trace.transmissions):
            for column in table.columns().values():
                assert column.ndim == 1
                assert column.flags.c_contiguous
                assert column.dtype.kind in "iub"
                assert column.dtype.isnative
    assert any(needs == package for needs, _ in blocks())


def test_every_public_class_says_what_it_holds() -> None:
    """Each public name has a docstring; each dataclass names its attributes in it."""
    for name in mptcp_oracle.__all__:
        item = getattr(mptcp_oracle, name)
        if not isinstance(item, type):
            continue
        text = item.__doc__ or ""
        assert text, name
        for attribute in getattr(item, "__dataclass_fields__", {}):
            assert attribute.startswith("_") or re.search(rf"\b{attribute}\b", text), (
                name,
                attribute,
            )
