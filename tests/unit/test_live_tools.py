"""Outside programs: what is missing is said with a hint, what fails is said with its words."""

from __future__ import annotations

from pathlib import Path

import pytest

from mptcp_oracle.errors import AdapterError
from mptcp_oracle.live import tools
from mptcp_oracle.live.tools import TOOLS, Commands, Tool, missing_needs


def test_missing_programs_are_named_with_their_packages(tmp_path: Path) -> None:
    """With no program on the path, each gives an error with cause and installation hint."""
    found = {str(error.message): error for error in missing_needs(str(tmp_path))}
    for tool in TOOLS:
        error = found[f"the program {tool.name} is missing"]
        assert error.cause
        assert error.hint is not None
        assert tool.package in error.hint


def test_nft_is_needed_by_packet_filters_alone(tmp_path: Path) -> None:
    """What loses and changes no packet is recorded without nft, and its hint says so."""
    for tool in TOOLS:
        if tool.name != "nft":
            (tmp_path / tool.name).write_text("#!/bin/sh\n")
            (tmp_path / tool.name).chmod(0o755)
    lacking = [error for error in missing_needs(str(tmp_path)) if "nft" in error.message]
    assert len(lacking) == 1
    assert "without packet filters" in str(lacking[0])
    found = missing_needs(str(tmp_path), filters=False)
    assert not [error for error in found if "program" in error.message]


def test_every_missing_need_says_what_still_works(monkeypatch: pytest.MonkeyPatch) -> None:
    """Without root, MPTCP or Linux, captures that are there can still be judged."""
    monkeypatch.setattr("os.geteuid", lambda: 1000)
    monkeypatch.setattr("pathlib.Path.exists", lambda self: False)
    root, kernel = missing_needs()[:2]
    assert "MPTCP" in kernel.message
    monkeypatch.setattr("platform.system", lambda: "Darwin")
    for error in (root, kernel, *missing_needs()):
        assert "can be judged" in str(error.hint)


def test_a_missing_program_has_no_version(monkeypatch: pytest.MonkeyPatch) -> None:
    """The sidecar of a recording that did without a program says so."""
    monkeypatch.setattr(tools, "environment", lambda: {"PATH": "/nowhere"})
    monkeypatch.setattr(
        tools, "TOOLS", (Tool(name="x", purpose="", package="", version=("no-such-program",)),)
    )
    assert tools.tool_versions() == {"x": "not installed"}


def test_another_user_needs_root(monkeypatch: pytest.MonkeyPatch) -> None:
    """Without root the first complaint says so and how to get it."""
    monkeypatch.setattr("os.geteuid", lambda: 1000)
    first = missing_needs()[0]
    assert "root" in first.message
    assert first.hint is not None
    assert "sudo" in first.hint


def test_another_system_cannot_record(monkeypatch: pytest.MonkeyPatch) -> None:
    """Elsewhere than on Linux there is one complaint, about the system."""
    monkeypatch.setattr("platform.system", lambda: "Darwin")
    assert [error.message for error in missing_needs()] == ["recording needs a Linux kernel"]


def test_commands_are_kept_as_a_shell_takes_them() -> None:
    """Arguments are quoted and standard input is a here-document."""
    commands = Commands()
    assert commands.run("cat", text="one\ntwo\n") == "one\ntwo\n"
    commands.run("echo", "a b")
    commands.run("true", quiet=True)
    assert commands.lines == ["cat <<'END'\none\ntwo\nEND", "echo 'a b'"]


def test_a_failing_command_tells_its_own_words() -> None:
    """Exit status and error output are in the error."""
    with pytest.raises(AdapterError, match="exit status 3") as caught:
        Commands().run("sh", "-c", "echo no such thing >&2; exit 3")
    assert caught.value.cause == "no such thing"


def test_a_missing_command_is_an_adapter_error() -> None:
    """A program that is not there gives no traceback of another kind."""
    with pytest.raises(AdapterError, match="cannot be started"):
        Commands().run("no-such-program-here")


def test_a_hanging_command_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    """No command may take for ever."""
    monkeypatch.setattr(tools, "COMMAND_LIMIT", 0.05)
    with pytest.raises(AdapterError, match="did not end"):
        Commands().run("sleep", "5")
