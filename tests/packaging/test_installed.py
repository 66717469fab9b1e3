"""The wheel, installed far from the checkout, with and without a compiler."""

from __future__ import annotations

import shutil
import sys
from pathlib import Path

import pytest

from mptcp_oracle import __version__, engine
from tests.common.distribution import Installation, build
from tests.common.machine import unavailable
from tests.common.tiny import SYN_PCAP

pytestmark = pytest.mark.slow

KIND = "import mptcp_oracle.engine as e; print(e.loops().kind); print(e.loops().kind)"
NOTICE = "mptcp-oracle runs its plain engine"


def test_the_package_imports_from_the_wheel(installation: Installation) -> None:
    """The installed package is the one imported, and says the version it was built as."""
    done = installation.run("-c", "import mptcp_oracle as m; print(m.__version__, m.__file__)")
    version, path = done.stdout.split()
    assert version == __version__
    assert Path(path).is_relative_to(installation.site)


@pytest.mark.parametrize("name", ["generators", "conformance", "tests"])
def test_generic_names_stay_free(installation: Installation, name: str) -> None:
    """Installing the wheel claims no generic import name."""
    done = installation.run("-c", f"import {name}")
    assert "ModuleNotFoundError" in done.stderr


def test_the_generators_are_part_of_the_package(installation: Installation) -> None:
    """The mapped folder is importable under the package's own name."""
    done = installation.run("-c", "import mptcp_oracle.generators as g; print(g.__name__)")
    assert done.stdout.strip() == "mptcp_oracle.generators", done.stderr


def test_the_command_line_starts(installation: Installation) -> None:
    """The installed script shows its help, with the commands in it."""
    done = installation.run("mptcp-oracle", "--help")
    assert done.returncode == 0, done.stderr
    assert "analyze" in done.stdout


def test_both_engines_give_the_same_analysis(installation: Installation) -> None:
    """The installed compiled and plain engines print the same JSON for a capture."""
    if not engine.available():
        unavailable("the compiled engine is not installed")
    capture = installation.folder / "syn.pcap"
    capture.write_bytes(SYN_PCAP)
    compiled, plain = (
        installation.run("mptcp-oracle", "analyze", "--json", capture, MPTCP_ORACLE_ENGINE=kind)
        for kind in engine.KINDS
    )
    assert compiled.returncode == plain.returncode == 0, compiled.stderr + plain.stderr
    assert compiled.stdout == plain.stdout
    assert compiled.stdout.startswith("{")


def compilers_gone(folder: Path) -> dict[str, str]:
    """An environment whose PATH has a few programs and no compiler."""
    folder.mkdir()
    for name in ("env", "git", "sh"):
        if path := shutil.which(name):
            (folder / name).symlink_to(path)
    return {"PATH": str(folder), "MPTCP_ORACLE_BUILD": "auto"}


@pytest.mark.parametrize("failure", ["no compiler on PATH", "a compiler that fails"])
def test_without_a_compiler_the_plain_engine_is_installed(
    source: Path, tmp_path: Path, failure: str
) -> None:
    """Without a working compiler the install succeeds and runs plain, with one notice."""
    broken = {"CC": "/bin/false", "MPTCP_ORACLE_BUILD": "auto"}
    absent = compilers_gone(tmp_path / "programs")
    environment = absent if failure == "no compiler on PATH" else broken
    wheel = build(source, tmp_path / "out", "wheel", **environment)
    done = Installation(tmp_path / "venv", wheel).run("-c", KIND)
    assert done.stdout.split() == ["plain", "plain"]
    assert done.stderr.count(NOTICE) == 1


def test_demanding_the_compiled_engine_where_it_is_absent_is_an_error(
    source: Path, tmp_path: Path
) -> None:
    """A plain install names cause and cure when the compiled engine is demanded."""
    wheel = build(source, tmp_path / "out", "wheel", MPTCP_ORACLE_BUILD="plain")
    installed = Installation(tmp_path / "venv", wheel)
    demanded = installed.run("-c", KIND, MPTCP_ORACLE_ENGINE="compiled")
    assert "UsageError: the compiled engine cannot be used" in demanded.stderr
    assert "hint: install a C compiler" in demanded.stderr
    accepted = installed.run("-c", KIND, MPTCP_ORACLE_ENGINE="plain")
    assert (accepted.stdout.split(), accepted.stderr) == (["plain", "plain"], "")


def test_an_unknown_engine_is_an_error(installation: Installation) -> None:
    """A misspelt engine is refused with the names that exist."""
    done = installation.run("-c", KIND, MPTCP_ORACLE_ENGINE="fast")
    assert "UsageError: there is no engine 'fast'" in done.stderr
    assert "choose compiled or plain" in done.stderr


def test_the_installation_runs_this_python(installation: Installation) -> None:
    """The environment under test has the interpreter that runs the tests."""
    done = installation.run("-c", "import sys; print(sys.version)")
    assert done.stdout.strip() == sys.version.strip()
