"""The page on generators: its examples run, and its tables name what there is."""

from __future__ import annotations

import inspect
import re
from typing import Any

import pytest
from mptcp_oracle.generators import BEHAVIOURS

from mptcp_oracle import generators
from mptcp_oracle.model.defects import DEFECTS
from tests.common.checkout import ROOT

PAGE = ROOT / "docs" / "generators.md"
TEXT = PAGE.read_text()
BLOCK = re.compile(r"^```python\n(.*?)^```", re.DOTALL | re.MULTILINE)
STRATEGIES = (
    "captures",
    "connections",
    "damaged_captures",
    "faults",
    "malformed_captures",
    "malformed_options",
)


def test_the_examples_run() -> None:
    """Every example runs, the tests in them included."""
    names: dict[str, Any] = {}
    found = list(BLOCK.finditer(TEXT))
    for match in found:
        place = "\n" * TEXT.count("\n", 0, match.start(1))
        exec(compile(place + match[1], str(PAGE), "exec"), names)
    assert len(found) == 2


def test_the_example_fails_for_a_wrong_reader() -> None:
    """The example is a test: with a reader that takes a NOP for the end it fails."""
    (first, _) = (match[1] for match in BLOCK.finditer(TEXT))
    wrong = first.replace("options[0] != 0", "options[0] > 1")
    assert wrong != first
    with pytest.raises(AssertionError):
        exec(compile(wrong, str(PAGE), "exec"), {})


@pytest.mark.parametrize("name", STRATEGIES)
def test_the_table_has_every_argument(name: str) -> None:
    """Each strategy is in the table with its own arguments, all of them by keyword."""
    (row,) = re.findall(rf"^\| `{name}\(\)` \| .* \| (.*) \|$", TEXT, re.MULTILINE)
    parameters = inspect.signature(getattr(generators, name)).parameters
    assert {each.kind for each in parameters.values()} == {inspect.Parameter.KEYWORD_ONLY}
    said = set(re.findall(r"`(\w+)`", row))
    if "those of `connections()`" in row:
        said |= set(inspect.signature(generators.connections).parameters)
    assert said == set(parameters)
    explained = {
        argument
        for line in re.findall(r"^\| ((?:`\w+`(?:, )?)+) \| .* \| ", TEXT, re.MULTILINE)
        for argument in re.findall(r"`(\w+)`", line)
    }
    assert set(parameters) - explained <= {"of", "tcp_checksums", "dss_checksums"}


def test_what_the_page_names_is_there() -> None:
    """Schedulers and defects that the page mentions exist."""
    named = {"lowest_rtt", "round_robin", "redundant", "backup_aware", "wandering"}
    assert named <= set(BEHAVIOURS)
    assert {"single_holes", "late_start", "second_interface", "merge"} <= set(DEFECTS)


@pytest.mark.parametrize("name", generators.__all__)
def test_every_public_name_exists(name: str) -> None:
    """Each public name can be imported, and ``dir()`` shows it before it is."""
    assert name in dir(generators)
    assert getattr(generators, name) is not None


def test_an_unknown_name_is_an_attribute_error() -> None:
    """Asking for a name that there is not fails as for any module."""
    with pytest.raises(AttributeError, match="has no attribute 'capture'"):
        _ = generators.capture
