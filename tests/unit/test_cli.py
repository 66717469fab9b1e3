"""The command line: what it accepts, what it says, and its exit status."""

from __future__ import annotations

import gzip
import json
import os
import shutil
import subprocess
from pathlib import Path

import pytest
from click.testing import CliRunner

from mptcp_oracle import __version__
from mptcp_oracle.cli import COMMANDS, cli
from mptcp_oracle.report.schema import ANALYZE
from tests.common.checkout import ROOT
from tests.common.command import COMMAND, plain_environment, run
from tests.common.conversation import Conversation
from tests.common.tiny import SYN_PCAP

CAPTURE = ROOT / "corpus/kernel/bulk-two-paths.pcapng"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A folder with two captures under odd names, one of them packed, and other files."""
    (tmp_path / "b.capture").write_bytes(SYN_PCAP)
    (tmp_path / "deeper").mkdir()
    (tmp_path / "deeper" / "a.pcap.gz").write_bytes(gzip.compress(SYN_PCAP))
    (tmp_path / "notes.txt").write_text("no capture")
    (tmp_path / ".hidden.pcap").write_bytes(SYN_PCAP)
    return tmp_path


def two_connections() -> bytes:
    """A capture with two connections, which have different keys."""
    first = Conversation()
    first.opened().data(0, b"one")
    second = Conversation(first.tape, keys=(0xABCDEF, 0xFEDCBA))
    second.opened(ports=(41_000, 80)).data(1, b"two")
    return first.tape.pcap()


def test_every_command_has_help_with_examples() -> None:
    """``--help`` of the program and of each command shows examples."""
    runner = CliRunner()
    for arguments in ([], *([name] for name in COMMANDS)):
        done = runner.invoke(cli, [*arguments, "--help"])
        assert done.exit_code == 0, done.output
        assert "Examples:" in done.output
        assert "mptcp-oracle" in done.output


def test_the_help_lists_every_command_without_importing_it() -> None:
    """The list of commands comes from a table."""
    done = CliRunner().invoke(cli, ["--help"])
    for name, (_, text) in COMMANDS.items():
        assert f"  {name} " in done.output
        assert text in done.output


def test_the_version_is_the_packages() -> None:
    """``--version`` names program and version."""
    assert run("--version").stdout == f"mptcp-oracle {__version__}\n"


@pytest.mark.parametrize(
    "arguments",
    [
        (),
        ("analyse", "x"),
        ("analyze",),
        ("analyze", "--nonsense", "x"),
        ("analyze", "--connection", "one", "x"),
        ("analyze", "--connection", "-1", "x"),
        ("analyze", "--token", "xyz", "x"),
        ("analyze", "--token", "123456789", "x"),
        ("analyze", "--token", "", "x"),
        ("analyze", "--limit", "-1", "x"),
        ("analyze", "-", "-"),
        ("facts",),
        ("facts", "one", "two"),
        ("facts", "tests"),
    ],
)
def test_wrong_usage_is_explained(arguments: tuple[str, ...]) -> None:
    """Arguments that make no sense give words on standard error and exit status 2."""
    done = run(*arguments)
    assert done.returncode == 2
    assert done.stdout == ""
    assert done.stderr


def test_options_that_exclude_each_other_are_refused() -> None:
    """One connection is chosen by number or by token, and by number in one capture only."""
    both = run("analyze", "--connection", "0", "--token", "1", CAPTURE)
    assert (both.returncode, both.stdout) == (2, "")
    assert both.stderr.startswith("error: ")
    several = run("analyze", "--connection", "0", CAPTURE, CAPTURE)
    assert (several.returncode, several.stdout) == (2, "")
    assert "hint: --token" in several.stderr


@pytest.mark.parametrize(
    ("name", "octets", "words"),
    [
        ("missing.pcap", None, "No such file"),
        ("empty.pcap", b"", "empty"),
        ("text.pcap", b"10:00:00 IP 10.0.0.1 > 10.0.0.2: tcp\n" * 9, "text"),
        ("cut.pcap", SYN_PCAP[:9], "header"),
    ],
)
def test_what_is_no_capture_is_named(
    tmp_path: Path, name: str, octets: bytes | None, words: str
) -> None:
    """A file that cannot be read gives its name and the cause, and exit status 3."""
    path = tmp_path / name
    if octets is not None:
        path.write_bytes(octets)
    for command in (("analyze",), ("analyze", "--json"), ("facts",)):
        done = run(*command, path)
        assert done.returncode == 3
        assert done.stdout == ""
        assert done.stderr.startswith(f"error: {path}: ")
        assert words in done.stderr


def test_one_bad_file_does_not_stop_the_others(tmp_path: Path) -> None:
    """Of several captures the readable ones are analyzed, and the exit status is 3 in the end."""
    bad = tmp_path / "bad"
    bad.write_text("text")
    done = run("analyze", "--json", CAPTURE, bad, CAPTURE)
    assert done.returncode == 3
    names = [json.loads(line)["capture"]["name"] for line in done.stdout.splitlines()]
    assert names == [str(CAPTURE)] * 2
    assert str(bad) in done.stderr


def test_a_folder_stands_for_its_captures(folder: Path) -> None:
    """Captures of a folder are found by content, below it too, in the order of their paths."""
    done = run("analyze", "--json", folder)
    assert (done.returncode, done.stderr) == (0, "")
    names = [json.loads(line)["capture"]["name"] for line in done.stdout.splitlines()]
    assert names == [str(folder / "b.capture"), str(folder / "deeper/a.pcap.gz")]


def test_a_folder_without_captures_is_wrong_usage(tmp_path: Path) -> None:
    """A folder in which nothing begins like a capture is an error, not an empty result."""
    (tmp_path / "notes.txt").write_text("no capture")
    done = run("analyze", tmp_path)
    assert (done.returncode, done.stdout) == (2, "")
    assert "no capture in this folder" in done.stderr


def test_a_dash_reads_standard_input() -> None:
    """``-`` gives the same as the file, but for the name."""
    octets = CAPTURE.read_bytes()
    piped, named = run("analyze", "--json", "-", given=octets), run("analyze", "--json", CAPTURE)
    assert piped.returncode == named.returncode == 0
    found, expected = json.loads(piped.stdout), json.loads(named.stdout)
    assert found["capture"].pop("name") == "-"
    assert expected["capture"].pop("name") == str(CAPTURE)
    assert found == expected


def test_nothing_on_standard_input_is_an_error() -> None:
    """An empty stream is an empty capture."""
    done = run("analyze", "-")
    assert done.returncode == 3
    assert "empty" in done.stderr


@pytest.mark.parametrize("options", [["--limit", "0"], ["--json"], ["--connection", "0"]])
def test_a_reader_that_leaves_is_no_error(tmp_path: Path, options: list[str]) -> None:
    """When the output's reader ends first, so does the command: silently, with status 141."""
    path = tmp_path / "x.pcap"
    path.write_bytes(two_connections())
    reading, writing = os.pipe()
    os.close(reading)
    try:
        done = subprocess.run(
            [*COMMAND, "analyze", *options, str(path)],
            stdout=writing,
            stderr=subprocess.PIPE,
            timeout=60,
            check=False,
        )
    finally:
        os.close(writing)
    assert (done.returncode, done.stderr) == (141, b"")


def test_a_full_disk_is_named() -> None:
    """Output that cannot be written is an error with its cause."""
    with open("/dev/full", "wb") as full:
        done = subprocess.run(
            [*COMMAND, "analyze", str(CAPTURE)],
            stdout=full,
            stderr=subprocess.PIPE,
            timeout=60,
            check=False,
        )
    assert done.returncode == 3
    assert done.stderr == b"error: No space left on device\n"


def test_closed_streams_are_no_traceback() -> None:
    """Without standard streams the command still ends in an orderly way."""
    shell = 'exec "$0" -m mptcp_oracle.cli analyze - <&- >&- 2>&-'
    done = subprocess.run(
        ["bash", "-c", shell, COMMAND[0]], capture_output=True, timeout=60, check=False
    )
    assert (done.returncode, done.stdout, done.stderr) == (3, b"", b"")


def test_no_mptcp_is_a_finding(tmp_path: Path) -> None:
    """A capture without MPTCP gives one clear sentence and exit status 0."""
    path = tmp_path / "plain.pcap"
    path.write_bytes(SYN_PCAP[:24])
    done = run("analyze", path)
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout == f"no MPTCP in {path} (0 frames, 0 TCP segments)\n"


def test_a_connection_is_chosen_by_number(tmp_path: Path) -> None:
    """``--connection`` tells of that one only; a number that does not exist is wrong usage."""
    path = tmp_path / "two.pcap"
    path.write_bytes(two_connections())
    second = run("analyze", "--connection", "1", path)
    assert second.returncode == 0
    assert "0000000000abcdef" in second.stdout
    assert "0102030405060708" not in second.stdout
    third = run("analyze", "--connection", "2", path)
    assert (third.returncode, third.stdout) == (2, "")
    assert "there is no connection 2" in third.stderr
    assert "the capture has 2" in third.stderr


def test_a_connection_is_chosen_by_either_token(tmp_path: Path) -> None:
    """``--token`` finds the connection of either host, with or without 0x, in any capture."""
    path = tmp_path / "two.pcap"
    path.write_bytes(two_connections())
    for token in Conversation(keys=(0xABCDEF, 0xFEDCBA)).token:
        for text in (f"{token:08x}", f"0x{token:X}"):
            done = run("analyze", "--json", "--token", text, CAPTURE, path)
            assert done.returncode == 0, done.stderr
            (line,) = done.stdout.splitlines()
            assert [found["id"] for found in json.loads(line)["connections"]] == [1]
    none = run("analyze", "--token", "00000001", CAPTURE, path)
    assert (none.returncode, none.stdout) == (2, "")
    assert "no connection with token 00000001" in none.stderr


def test_a_stray_join_is_found_by_its_token(tmp_path: Path) -> None:
    """``--token`` also finds a subflow whose connection is not in the capture."""
    talk = Conversation()
    with talk.lost():
        talk.opened()
    talk.joined()
    path = tmp_path / "stray.pcap"
    path.write_bytes(talk.tape.pcap())
    done = run("analyze", "--token", f"{talk.token[1]:08x}", path)
    assert done.returncode == 0
    assert f"joins the connection with token {talk.token[1]:08x}" in " ".join(done.stdout.split())


@pytest.mark.parametrize(
    ("error", "words"),
    [
        (MemoryError(), "not enough memory\nhint: "),
        (OSError(5, "Input/output error"), "Input/output error"),
    ],
)
def test_what_the_machine_refuses_is_named(
    monkeypatch: pytest.MonkeyPatch, error: Exception, words: str
) -> None:
    """Too little memory or a failing disk is told with the capture's name; the next one is read."""

    def refuse(name: str, **_: object) -> None:
        raise error

    monkeypatch.setattr("mptcp_oracle.analysis.trace.analyze", refuse)
    done = CliRunner().invoke(cli, ["analyze", "one", "two"])
    assert done.exit_code == 3
    assert done.stderr.count(words) == 2
    assert "error: one: " in done.stderr
    assert "error: two: " in done.stderr


def test_a_warning_is_a_note() -> None:
    """That the plain engine runs is said in one line, and the result is there all the same."""
    code = (
        "import sys; sys.modules['mptcp_oracle.engine.compiled.packets'] = None\n"
        f"from mptcp_oracle.cli import main; main(['analyze', {str(CAPTURE)!r}])"
    )
    environment = plain_environment({})
    environment.pop("MPTCP_ORACLE_ENGINE", None)
    done = subprocess.run(
        [COMMAND[0], "-c", code],
        capture_output=True,
        text=True,
        timeout=60,
        env=environment,
        check=True,
    )
    assert done.stdout == run("analyze", CAPTURE).stdout
    (line,) = done.stderr.splitlines()
    assert line.startswith("note: mptcp-oracle runs its plain engine")


def test_json_needs_no_terminal_library_and_no_arrays() -> None:
    """``analyze --json`` starts without rich, NumPy, scapy, Hypothesis and pytest."""
    done = subprocess.run(
        [COMMAND[0], "-X", "importtime", *COMMAND[1:], "analyze", "--json", str(CAPTURE)],
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
    )
    times = [line for line in done.stderr.splitlines() if line.startswith("import time:")]
    imported = {line.rpartition("|")[2].strip().partition(".")[0] for line in times}
    assert {"click", "json", "mptcp_oracle"} <= imported
    assert not imported & {"rich", "numpy", "scapy", "hypothesis", "pytest"}


def test_the_schema_is_printable() -> None:
    """``--json-schema`` prints the schema, without any capture."""
    done = run("analyze", "--json-schema")
    assert done.returncode == 0
    assert json.loads(done.stdout) == ANALYZE


def test_facts_are_lines_between_header_and_footer() -> None:
    """``facts`` prints JSON lines, from a file and from standard input alike."""
    named, piped = run("facts", CAPTURE), run("facts", "-", given=CAPTURE.read_bytes())
    assert named.returncode == piped.returncode == 0
    lines = [json.loads(line) for line in named.stdout.splitlines()]
    assert [lines[0]["fact"], lines[-1]["fact"]] == ["header", "footer"]
    assert lines[0]["version"] == __version__
    assert named.stdout.splitlines()[1:] == piped.stdout.splitlines()[1:]


def test_odd_names_are_harmless(tmp_path: Path) -> None:
    """Escape codes and undecodable octets in a name are printed as escapes, in any locale."""
    path = os.fsencode(tmp_path) + b"/x\x1b[31m\xff.pcap"
    shutil.copy(CAPTURE, path)
    for arguments in (["analyze"], ["analyze", "--json"], ["facts"]):
        done = subprocess.run(
            [*COMMAND, *arguments, path],
            capture_output=True,
            env={**os.environ, "LC_ALL": "C", "PYTHONIOENCODING": "ascii"},
            timeout=60,
            check=False,
        )
        assert (done.returncode, done.stderr) == (0, b"")
        assert b"\x1b" not in done.stdout
        assert done.stdout.isascii()
    broken = os.fsencode(tmp_path) + b"/y\x1b[31m\xff.pcap"
    with open(broken, "wb"):
        pass
    done = subprocess.run([*COMMAND, "analyze", broken], capture_output=True, check=False)
    assert done.returncode == 3
    assert rb"y\x1b[31m\udcff.pcap: the capture is empty" in done.stderr
