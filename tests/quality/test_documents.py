"""The documents keep their promises: commands, links and public names exist."""

from __future__ import annotations

import re
import shlex

import pytest

import mptcp_oracle
from tests.common.checkout import ROOT, tracked

DOCUMENTS = [path for path in tracked() if path.suffix == ".md"]
COMMAND = re.compile(r"<!-- command: (\w+) -->\n```sh\n(.*?)\n```", re.DOTALL)


def commands() -> dict[str, str]:
    """The marked commands of the README by name."""
    return dict(COMMAND.findall((ROOT / "README.md").read_text()))


def test_the_readme_has_its_two_commands_on_one_line_each() -> None:
    """Analyzing and testing are one line each, and each makes its own virtual environment."""
    assert commands().keys() == {"analyze", "test"}
    for command in commands().values():
        assert "\n" not in command
        assert command.startswith("python3 -m venv ")


def test_the_readme_analyzes_a_capture_that_is_there() -> None:
    """The capture in the README's first command is part of the repository."""
    capture = shlex.split(commands()["analyze"])[-1]
    assert capture in {str(path) for path in tracked()}


@pytest.mark.parametrize("document", DOCUMENTS, ids=str)
def test_links_between_files_lead_somewhere(document: object) -> None:
    """Every relative link in a document names a file or folder that exists."""
    text = (ROOT / str(document)).read_text()
    targets = [target.partition("#")[0] for target in re.findall(r"\]\(([^)\s]+)\)", text)]
    local = [target for target in targets if target and "://" not in target]
    folder = (ROOT / str(document)).parent
    assert not [target for target in local if not (folder / target).exists()]


@pytest.mark.parametrize("name", mptcp_oracle.__all__)
def test_every_public_name_exists(name: str) -> None:
    """Each name in ``__all__`` can be imported, and ``dir()`` shows it before it is."""
    assert name in dir(mptcp_oracle)
    assert getattr(mptcp_oracle, name) is not None


def test_an_unknown_name_is_an_attribute_error() -> None:
    """Asking the package for a name it does not have fails as for any module."""
    with pytest.raises(AttributeError, match="has no attribute 'analyse'"):
        _ = mptcp_oracle.analyse
