"""Recording the local kernel: a small scenario end to end, and what is left after a failure."""

from __future__ import annotations

import dataclasses
import hashlib
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from click.testing import CliRunner
from mptcp_oracle.generators import corpus
from mptcp_oracle.generators.capture_scan import scan_capture
from mptcp_oracle.generators.schema import schema_errors

from mptcp_oracle.errors import AdapterError
from mptcp_oracle.live import dialogue, namespaces, recorder
from mptcp_oracle.live.command import record_command
from mptcp_oracle.live.scenario import Close, Connect, Drain, Eof, Expect, Filter, Scenario, Send
from mptcp_oracle.live.scenarios import SCENARIOS
from mptcp_oracle.live.scripts import ONE_LANE
from mptcp_oracle.live.tools import missing_needs
from tests.common.checkout import ROOT
from tests.common.machine import unavailable

SMALL = Scenario(
    name="small",
    why="A connection with a few octets each way, for the tests of the recorder itself.",
    plan=ONE_LANE,
    script=(
        Connect(),
        Send("client"),
        Drain("client"),
        Send("server", 0.5),
        Drain("server"),
        Close("client"),
        Eof("server"),
    ),
    octets=2_000,
    flags=("no-offload", "full-payload"),
)


@pytest.fixture(autouse=True)
def _needs() -> None:
    """Root, programs and kernel MPTCP; an automated run must have them."""
    for error in missing_needs():
        unavailable(error.message)


def own(pid: int | None = None) -> list[str]:
    """The namespaces that a process has made and not removed."""
    start = f"{namespaces.PREFIX}{os.getpid() if pid is None else pid}-"
    if not namespaces.RUN_FOLDER.exists():
        return []
    return [path.name for path in namespaces.RUN_FOLDER.iterdir() if path.name.startswith(start)]


def test_a_small_scenario_is_recorded(tmp_path: Path) -> None:
    """Capture and sidecar are there, fit each other and the schema, and nothing else is left."""
    done = recorder.record(SMALL, tmp_path / "new")
    assert sorted(path.name for path in (tmp_path / "new").iterdir()) == [
        "small.json",
        "small.pcapng",
    ]
    body = json.loads(done.sidecar.read_bytes())
    assert schema_errors(body, json.loads((ROOT / "corpus/schema.json").read_text())) == []
    octets = done.capture.read_bytes()
    assert body["capture"]["sha256"] == hashlib.sha256(octets).hexdigest()
    assert scan_capture(octets).frames == body["capture"]["frames"] == done.frames > 8
    assert done.missing == ()
    assert own() == []


def test_the_sidecar_knows_the_connection(tmp_path: Path) -> None:
    """Tokens, addresses, streams and counters are those of the one connection that was made."""
    body = json.loads(recorder.record(SMALL, tmp_path).sidecar.read_bytes())
    (connection,) = body["connections"]
    initiator, listener = connection["initiator"], connection["listener"]
    assert initiator["written"] == listener["read"]
    assert listener["written"] == initiator["read"]
    assert (initiator["written"]["octets"], listener["written"]["octets"]) == (2_000, 1_000)
    assert initiator["token"] != listener["token"]
    assert initiator["mptcp_info"]["write_seq"] == listener["mptcp_info"]["rcv_nxt"]
    for end, host in ((initiator, "client"), (listener, "server")):
        (created,) = [item for item in body["events"][host] if item["event"] == "CREATED"]
        assert created["token"] == end["token"]
        assert (created["local_address"], created["local_port"]) == (end["address"], end["port"])
    assert [item["initial"] for item in connection["subflows"]["initiator"]] == [True]
    assert body["hosts"]["server"]["counters"]["MPTcpExt"]["MPCapableACKRX"] == 1
    for host in ("client", "server"):
        timeout = body["hosts"][host]["sysctls"].get("net.mptcp.add_addr_timeout", "1")
        assert timeout == "1"  # the default outlives a recording
    for end in (initiator, listener):
        (subflow,) = end["subflows_before_close"]
        assert subflow["octets_sent"] == end["written"]["octets"]
        assert subflow["octets_received"] == end["read"]["octets"]
    assert body["time"]["start_ns"] < body["time"]["end_ns"]
    assert [action["call"] for action in initiator["close"]] == ["close()"]


def test_the_capture_programs_own_file_can_be_kept(tmp_path: Path) -> None:
    """With keep_pcap the file is classic pcap, and the snap length is the one asked for."""
    done = recorder.record(SMALL, tmp_path, keep_pcap=True, snaplen=100)
    scan = scan_capture(done.capture.read_bytes())
    assert (scan.format, scan.snaplen, done.capture.name) == ("pcap", 100, "small.pcap")


def test_what_did_not_happen_is_tried_again_and_said(tmp_path: Path) -> None:
    """An expectation that fails uses every attempt, and the recording says what is missing."""
    hopeless = dataclasses.replace(
        SMALL, expects=(Expect(host="server", counter="MPFailTx", least=1),)
    )
    done = recorder.record(hopeless, tmp_path, attempts=2)
    assert done.attempts == 2
    assert done.missing == ("server: MPFailTx",)
    assert json.loads(done.sidecar.read_bytes())["missing"] == ["server: MPFailTx"]


def ignored(words: str) -> None:
    """Progress that nobody wants."""


def interrupted(words: str) -> None:
    """Progress that is interrupted in the middle of the script."""
    if words.endswith("Drain"):
        raise KeyboardInterrupt


BROKEN: dict[str, tuple[Scenario, type[BaseException], Callable[[str], None]]] = {
    "a filter that nft refuses": (
        dataclasses.replace(SMALL, filters=(Filter(name="wrong", rules=("no such rule",)),)),
        AdapterError,
        ignored,
    ),
    "a step that never ends": (
        dataclasses.replace(SMALL, script=(Connect(), Eof("server"))),
        AdapterError,
        ignored,
    ),
    "no server to be reached": (
        dataclasses.replace(SMALL, filters=(Filter(name="cut", rules=("drop",)),)),
        AdapterError,
        ignored,
    ),
    "Ctrl-C": (SMALL, KeyboardInterrupt, interrupted),
}


@pytest.mark.parametrize("name", BROKEN)
def test_a_failure_leaves_nothing(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whatever fails in the middle, no namespace, no file and no capture program is left."""
    monkeypatch.setattr(dialogue, "STEP_LIMIT", 0.3)
    broken, error, progress = BROKEN[name]
    with pytest.raises(error):
        recorder.record(broken, tmp_path, progress=progress)
    assert own() == []
    assert list(tmp_path.iterdir()) == []
    listing = subprocess.run(["ps", "-eo", "ppid,comm"], capture_output=True, text=True, check=True)
    assert f"{os.getpid()} tcpdump" not in " ".join(listing.stdout.split())


def test_a_second_capture_program_failure_leaves_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A capture program that cannot start is an error with its own words."""
    monkeypatch.setattr("mptcp_oracle.live.sniffer.FILTER", "no such filter")
    with pytest.raises(AdapterError, match="does not begin to capture") as caught:
        recorder.record(SMALL, tmp_path)
    assert caught.value.cause
    assert own() == []


@contextmanager
def recording(folder: Path) -> Iterator[subprocess.Popen[bytes]]:
    """The command in the middle of a recording."""
    program = (
        "from mptcp_oracle.live.command import record_command; "
        f"record_command(['zero-window', '-o', {str(folder)!r}])"
    )
    with subprocess.Popen([sys.executable, "-c", program], stderr=subprocess.PIPE) as process:
        assert process.stderr is not None
        for line in process.stderr:
            if b"Settle" in line:
                break
        yield process


def test_termination_removes_the_namespaces(tmp_path: Path) -> None:
    """SIGTERM in the middle of the command ends it with 143 and leaves no namespace."""
    with recording(tmp_path) as process:
        time.sleep(0.1)
        assert len(own(process.pid)) == 3
        process.send_signal(signal.SIGTERM)
        process.communicate(timeout=20)
        assert process.returncode == 143
    assert own(process.pid) == []
    assert list(tmp_path.iterdir()) == []


def test_the_command_records_and_says_where(tmp_path: Path) -> None:
    """The path is on standard output, progress on standard error; the corpus takes the files."""
    result = CliRunner().invoke(record_command, ["close-without-data", "-o", str(tmp_path)])
    assert result.exit_code == 0, result.output
    assert result.stdout == f"{tmp_path}/close-without-data.pcapng\n"
    assert "close-without-data: network" in result.stderr
    folder = tmp_path / "corpus"
    folder.mkdir()
    (folder / "schema.json").write_bytes((ROOT / "corpus/schema.json").read_bytes())
    corpus.add(
        folder,
        tmp_path / "close-without-data.pcapng",
        tmp_path / "close-without-data.json",
        slug="close-without-data",
        why=SCENARIOS["close-without-data"].why,
    )
    assert corpus.check(folder) == []


def test_the_command_says_what_it_cannot_do(monkeypatch: pytest.MonkeyPatch) -> None:
    """Wrong usage ends with 2, an unmet need with 3, and both say what to do."""
    for arguments in ([], ["--all", "close-without-data"], ["no-such-scenario"]):
        result = CliRunner().invoke(record_command, arguments)
        assert result.exit_code == 2
        assert "--list" in result.stderr
    monkeypatch.setattr("os.geteuid", lambda: 1000)
    result = CliRunner().invoke(record_command, ["close-without-data"])
    assert result.exit_code == 3
    assert "sudo" in result.stderr


def test_the_command_lists_without_needs(monkeypatch: pytest.MonkeyPatch) -> None:
    """Anybody may list the scenarios."""
    monkeypatch.setattr("os.geteuid", lambda: 1000)
    result = CliRunner().invoke(record_command, ["--list"])
    assert result.exit_code == 0
    for name in SCENARIOS:
        assert f"{name}  (" in result.stdout


def test_the_command_records_several_at_a_time(tmp_path: Path) -> None:
    """With --jobs every scenario is recorded by a process of its own, and each path is printed."""
    names = ["close-without-data", "server-closes-first"]
    result = CliRunner().invoke(record_command, [*names, "--jobs", "2", "-o", str(tmp_path)])
    assert result.exit_code == 0, result.output
    assert sorted(result.stdout.split()) == [f"{tmp_path}/{name}.pcapng" for name in names]
    for name in names:
        assert f"{name}: " in result.stderr
        assert (tmp_path / f"{name}.json").exists()


def test_one_scenario_that_fails_does_not_stop_the_others(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of several scenarios the broken one is told and exit status 3, the others are recorded."""
    broken = dataclasses.replace(SMALL, filters=(Filter(name="wrong", rules=("no such rule",)),))
    monkeypatch.setitem(SCENARIOS, "small", broken)
    result = CliRunner().invoke(
        record_command, ["small", "close-without-data", "-q", "-o", str(tmp_path)]
    )
    assert result.exit_code == 3
    assert "no such rule" in result.stderr or "nft" in result.stderr
    assert (tmp_path / "close-without-data.pcapng").exists()
    assert own() == []


def test_a_killed_recorder_leaves_no_capture_program(tmp_path: Path) -> None:
    """SIGKILL leaves namespaces, which are named in the manual, but nothing that goes on."""
    with recording(tmp_path) as process:
        (sniffer,) = _children(process.pid, "tcpdump")
        process.kill()
        process.communicate(timeout=20)
    try:
        until = time.monotonic() + 10
        while Path(f"/proc/{sniffer}").exists() and time.monotonic() < until:
            time.sleep(0.02)
        assert not Path(f"/proc/{sniffer}").exists()
    finally:
        for name in own(process.pid):
            subprocess.run(["ip", "netns", "delete", name], check=True)


def _children(parent: int, name: str) -> list[int]:
    """The processes of a name that another one started."""
    listing = subprocess.run(
        ["ps", "-eo", "pid,ppid,comm"], capture_output=True, text=True, check=True
    )
    rows = [line.split() for line in listing.stdout.splitlines()[1:]]
    return [int(row[0]) for row in rows if (int(row[1]), row[2]) == (parent, name)]
