"""``mptcp-oracle hunt``: what it finds, says, keeps and goes on with."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from click.testing import Result

from mptcp_oracle.analysis.trace import analyze
from mptcp_oracle.dissectors.known import catalogue, covering
from mptcp_oracle.dissectors.tshark import TShark
from mptcp_oracle.hunt.chase import Orders, search
from tests.common.command_line import fake, run, said
from tests.common.machine import tool


def hunt(*arguments: str | Path) -> Result:
    """Run the command."""
    return run("hunt", *arguments)


def test_a_wrong_dissector_is_found_out(tmp_path: Path) -> None:
    """Every DATA_ACK is one too high: few frames show it, and the report says both values."""
    folder = tmp_path / "hunt"
    result = hunt("--with", fake("always_wrong"), "--captures", 4, "--findings", 1, "-o", folder)
    assert result.exit_code == 1, said(result)
    name, record = only_record(folder)
    assert name == "001-segment-data-ack-other"
    assert f"{name}: " in result.output
    assert record["kind"]["field"] == "segment.data_ack"
    assert record["dissector_says"][0] == record["oracle_says"][0] + 1
    assert record["frames"] <= 4
    with analyze(folder / name / "minimal.pcapng") as trace:
        assert trace.capture.frames == record["frames"]


def only_record(folder: Path) -> tuple[str, dict[str, object]]:
    """Name and record of the first finding."""
    path = min(folder.glob("0*/finding.json"))
    record: dict[str, object] = json.loads(path.read_text())
    return path.parent.name, record


@pytest.mark.slow
def test_the_findings_do_not_depend_on_the_processes(tmp_path: Path) -> None:
    """One process and two find the same, in the same order; a hunt that goes on finds it too."""
    records = []
    for jobs in (1, 2):
        folder = tmp_path / f"jobs{jobs}"
        steps = ((30, 2),) if jobs == 1 else ((30, 1), (30, 2))
        for captures, findings in steps:
            budget = ("--captures", captures, "--findings", findings)
            result = hunt("--with", fake("always_wrong"), *budget, "--jobs", jobs, "-o", folder)
            assert result.exit_code == 1, said(result)
        records.append({path.parent.name: path.read_text() for path in folder.glob("0*/*.json")})
    assert records[0] == records[1]
    assert len(records[0]) == 2


def test_a_right_dissector_is_left_alone(tmp_path: Path) -> None:
    """What says little, but nothing wrong, leaves an empty log and exit status 0."""
    result = hunt("--with", fake("partial"), "--captures", 6, "--json", "-q", "-o", tmp_path / "h")
    assert result.exit_code == 0, said(result)
    assert result.output == ""
    assert json.loads((tmp_path / "h" / "hunt.json").read_text())["captures"] == 6


def test_a_crash_is_announced_but_not_told(tmp_path: Path) -> None:
    """The terminal names the private folder only; --reported moves the finding."""
    folder = tmp_path / "hunt"
    result = hunt("--with", fake("crashes"), "--captures", 1, "-o", folder)
    assert result.exit_code == 1, said(result)
    assert "001-crash: see the folder `private`" in result.output
    assert "SIGSEGV" not in result.output
    assert (folder / "private" / "001-crash" / "minimal.pcapng").is_file()
    moved = hunt("--reported", "001-crash", "-o", folder)
    assert moved.exit_code == 0, said(moved)
    assert (folder / "001-crash" / "minimal.pcapng").is_file()


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ((), "no dissector is named"),
        (("--with", "wireshark2"), "there is no dissector"),
        (("--with", "facts:x.jsonl"), "about one capture"),
        (("--with", "cmd:/nowhere/tool"), "is not there"),
        (("--with", "tcpdump", "--time", "soon"), "is no duration"),
        (("--with", "tcpdump", "--two-pass"), "only tshark makes two passes"),
        (("--reported", "001-crash"), "no private finding"),
    ],
)
def test_wrong_usage_is_explained(arguments: tuple[str, ...], words: str, tmp_path: Path) -> None:
    """Each mistake of the caller has a sentence of its own."""
    result = hunt(*arguments, "-o", tmp_path / "hunt")
    assert result.exit_code != 0
    assert words in said(result)


@pytest.mark.parametrize(
    ("kind", "words"), [("fails", "cannot read that"), ("nonsense", "no document of facts")]
)
def test_a_dissector_that_does_not_work_ends_the_hunt(
    kind: str, words: str, tmp_path: Path
) -> None:
    """What fails on every capture is no finding, but a clear error."""
    result = hunt("--with", fake(kind), "--captures", 3, "-o", tmp_path / "hunt")
    assert result.exit_code != 0
    assert words in said(result)


def test_a_hunt_that_is_interrupted_goes_on(tmp_path: Path) -> None:
    """After SIGINT the log is there, and the same command takes it up."""
    folder = tmp_path / "hunt"
    program = "from mptcp_oracle.cli import main; main()"
    command = [sys.executable, "-c", program, "hunt", "--with", fake("always_wrong")]
    command += ["--captures", "100000", "--jobs", "2", "-o", str(folder)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT) as process:
        deadline = time.monotonic() + 120
        while not (folder / "hunt.json").exists() and process.poll() is None:
            assert time.monotonic() < deadline
            time.sleep(0.1)
        process.send_signal(signal.SIGINT)
        assert process.stdout is not None
        output = process.stdout.read().decode()
    assert "the same command goes on" in output, output
    assert "Traceback" not in output
    captures = json.loads((folder / "hunt.json").read_text())["captures"]
    assert captures > 0
    result = hunt(
        "--with", fake("always_wrong"), "--captures", captures, "--findings", 1, "-o", folder
    )
    assert result.exit_code == 1, said(result)


def test_hunts_share_what_they_find(tmp_path: Path) -> None:
    """The second hunt has the finding before it has looked at a capture of its own."""
    shared = ("--with", fake("always_wrong"), "--database", tmp_path / "shared", "--findings", 1)
    first = hunt(*shared, "--captures", 4, "-o", tmp_path / "one")
    assert first.exit_code == 1, said(first)
    second = hunt(*shared, "--seed", 9, "--captures", 4, "-o", tmp_path / "two")
    assert second.exit_code == 1, said(second)
    assert json.loads((tmp_path / "two" / "hunt.json").read_text())["captures"] == 0
    assert only_record(tmp_path / "two")[1]["seed"] == 9
    assert only_record(tmp_path / "one")[1]["kind"] == only_record(tmp_path / "two")[1]["kind"]


def test_two_passes_have_known_differences_of_their_own(tmp_path: Path) -> None:
    """What is seen with one pass only is not taken for known with two."""
    tool("tshark")
    for passes in (1, 2):
        found = search(Orders(name="tshark", seed=0, passes=passes), tmp_path)
        assert found.known == covering(catalogue("tshark"), found.version, passes)
    assert covering(catalogue("tshark"), found.version, 1) != found.known


def test_tshark_is_hunted(tmp_path: Path) -> None:
    """From an empty catalogue a few captures already show several kinds, each in few frames."""
    tool("tshark")
    folder = tmp_path / "hunt"
    budget = ("--captures", 24, "--findings", 4, "--jobs", 2)
    result = hunt("--with", "tshark", "--no-known", *budget, "-o", folder)
    assert result.exit_code == 1, said(result)
    records = [json.loads(path.read_text()) for path in sorted(folder.glob("0*/finding.json"))]
    assert len(records) >= 4
    assert len({each["kind"]["field"] for each in records}) >= 3
    for each, place in zip(records, sorted(folder.glob("0*")), strict=True):
        said_again = dict(TShark().dissect(place / "minimal.pcapng", [each["kind"]["field"]]))
        assert each["kind"]["field"] in said_again.get(each["frame"], {}) or (
            each["kind"]["how"] == "missing"
        )
