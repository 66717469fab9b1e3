"""The command ``mptcp-oracle generate``: what it accepts, says and refuses."""

from __future__ import annotations

import json
import re
import shlex
from pathlib import Path

import pytest
from click.testing import CliRunner, Result
from mptcp_oracle.generators import generate_command as module
from mptcp_oracle.generators.generate_command import EXAMPLES, generate_command
from mptcp_oracle.generators.scenarios import SCENARIOS

from mptcp_oracle.errors import OracleError
from mptcp_oracle.model.faults import FAULTS
from mptcp_oracle.model.policies_schedulers import SCHEDULERS
from tests.common.command import run


def invoked(*arguments: str | Path) -> Result:
    """The command's result; errors of the project are for its caller to show."""
    return CliRunner().invoke(generate_command, [str(each) for each in arguments])


def test_it_writes_captures_and_says_what_is_in_them(tmp_path: Path) -> None:
    """A run writes its files and prints where, and the table of what was made."""
    done = invoked("--scenario", "request", "--count", "2", "-o", tmp_path / "new")
    assert done.exit_code == 0, done.output
    assert done.output.startswith(f"{tmp_path / 'new' / 'index.jsonl'} lists")
    assert "2 cases: 2 connections, 2 subflows, 30 frames" in done.output
    assert "not met" in done.output
    assert {path.name for path in (tmp_path / "new").iterdir()} == {
        "index.jsonl", "request-0.pcapng", "request-0.truth.jsonl", "request-1.pcapng",
        "request-1.truth.jsonl",
    }  # fmt: skip


def test_the_summary_as_json(tmp_path: Path) -> None:
    """With --json the summary is one object, with the folder and the seed."""
    done = invoked("--scenario", "request", "--seed", "7", "--json", "-o", tmp_path / "new")
    told = json.loads(done.stdout)
    assert told["seed"] == 7
    assert told["cases"] == 1
    assert told["folder"] == str(tmp_path / "new")
    assert told["missing"]["transitions"]


def test_without_a_count_each_combination_is_made_once(tmp_path: Path) -> None:
    """Names that are given several times, and options that combine, make one case each."""
    done = invoked(
        "--scheduler", "redundant", "--scheduler", "round-robin", "--version", "1", "--version",
        "0", "--json", "-o", tmp_path / "new",
    )  # fmt: skip
    assert json.loads(done.stdout)["cases"] == 4


def test_the_list_has_everything() -> None:
    """--list names each scenario, scheduler and fault with a reason, --json the same."""
    text = invoked("--list").output
    for name in (*SCENARIOS, *SCHEDULERS, *FAULTS):
        assert re.search(rf"^  {re.escape(name)}( |$)", text, re.MULTILINE), name
    told = json.loads(invoked("--list", "--json").output)
    assert list(told["scenarios"]) == list(SCENARIOS)
    assert list(told["schedulers"]) == list(SCHEDULERS)
    assert list(told["faults"]) == list(FAULTS)
    assert all(each["meaning"] and each["requirements"] for each in told["faults"].values())


def test_a_misspelt_name_is_an_error_with_the_nearest(tmp_path: Path) -> None:
    """A wrong name ends with exit status 2, a line for a person, and no folder."""
    done = run("generate", "--scenario", "jion", "-o", tmp_path / "new")
    assert done.returncode == 2
    assert done.stderr == "error: there is no scenario 'jion'\nhint: did you mean join?\n"
    assert not (tmp_path / "new").exists()


def test_a_used_folder_is_kept(tmp_path: Path) -> None:
    """A folder with something in it ends with exit status 2, unless it is forced."""
    (tmp_path / "mine").write_text("")
    done = run("generate", "--scenario", "request", "-o", tmp_path)
    assert done.returncode == 2
    assert "not empty" in done.stderr
    assert "--force" in done.stderr
    assert run("generate", "--scenario", "request", "-o", tmp_path, "--force").returncode == 0


def test_a_folder_that_cannot_be_written_is_said(tmp_path: Path) -> None:
    """If a file cannot be written, the error names it."""
    (tmp_path / "request-0.pcapng").mkdir()
    done = invoked("--scenario", "request", "-o", tmp_path, "--force")
    assert isinstance(done.exception, OracleError)
    assert "cannot be written" in str(done.exception)
    assert "request-0.pcapng" in str(done.exception)


def test_without_scapy_it_says_what_to_install(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where scapy is not installed, the error names the extra that brings it."""
    monkeypatch.setattr(module, "find_spec", lambda name: None)
    done = invoked("-o", tmp_path / "new")
    assert isinstance(done.exception, OracleError)
    assert "pip install 'mptcp-oracle[generate]'" in str(done.exception)


def test_progress_is_on_standard_error_and_can_be_silenced(
    capsys: pytest.CaptureFixture[str],
) -> None:
    """Long work is reported now and then on standard error, quick work and --quiet are not."""
    times = iter([0.0, 1.0, 20.0, 21.0, 40.0])
    with module._Progress(quiet=False, clock=lambda: next(times)) as watch:
        for done in range(1, 5):
            watch(done, 4)
    assert capsys.readouterr().err == "2 of 4 cases\n4 of 4 cases\n"
    times = iter([0.0, 99.0])
    with module._Progress(quiet=True, clock=lambda: next(times)) as watch:
        watch(1, 4)
    assert capsys.readouterr().err == ""


EXAMPLE = [line.strip() for line in EXAMPLES.splitlines() if line.startswith("  mptcp-oracle")]


@pytest.mark.parametrize("line", EXAMPLE)
def test_each_example_of_the_help_works(line: str, tmp_path: Path) -> None:
    """The examples can be pasted; here with few cases and one process."""
    words = shlex.split(line)
    assert words[:2] == ["mptcp-oracle", "generate"]
    done = invoked(*words[2:], "--count", "2", "--jobs", "1", "-o", tmp_path / "new")
    assert done.exit_code == 0, done.output
