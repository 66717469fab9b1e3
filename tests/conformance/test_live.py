"""``--live``: scenarios are recorded for the run, judged, compared, and nothing is left behind."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from mptcp_oracle.conformance.live import Live, Result, chosen, make

from mptcp_oracle.errors import AdapterError, UsageError
from mptcp_oracle.live import batch
from mptcp_oracle.live.batch import Done, record_many
from mptcp_oracle.live.namespaces import PREFIX, RUN_FOLDER
from mptcp_oracle.live.scenarios import SCENARIOS
from mptcp_oracle.live.tools import missing_needs
from tests.common.checkout import ROOT

NEEDS = missing_needs()
needs_root = pytest.mark.skipif(
    bool(NEEDS) and os.environ.get("CI") != "true", reason="; ".join(map(str, NEEDS))
)
SUITE = ROOT / "conformance"
QUICK = "close-without-data"
KERNEL = ROOT / "corpus" / "kernel"


def pytest_line(*arguments: str) -> list[str]:
    """The command line of a run of the suite."""
    return [sys.executable, "-m", "pytest", "-p", "no:cacheprovider", "-q", *arguments]


def live(*arguments: str, folder: Path) -> subprocess.CompletedProcess[str]:
    """Run the suite as a user does, with its temporary files in a folder of their own."""
    return subprocess.run(
        pytest_line(str(SUITE), "--live", *arguments),
        capture_output=True,
        text=True,
        cwd=ROOT,
        timeout=120,
        check=False,
        env=os.environ | {"TMPDIR": str(folder), "COLUMNS": "200"},
    )


def parent_of(pid: int) -> int | None:
    """The process that started another; ``None`` if that is gone."""
    try:
        return int(Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[1])
    except OSError:
        return None


def namespaces() -> Iterator[tuple[str, int]]:
    """The recorder's namespaces, each with the process that made it."""
    for path in RUN_FOLDER.iterdir() if RUN_FOLDER.exists() else ():
        if path.name.startswith(PREFIX):
            yield path.name, int(path.name.removeprefix(PREFIX).split("-")[0])


@needs_root
def test_a_scenario_is_recorded_judged_and_compared(tmp_path: Path) -> None:
    """Its recording, each comparison, and the requirements are tests; nothing stays behind."""
    done = live("--scenario", QUICK, "-rA", folder=tmp_path)
    assert done.returncode == 0, done.stdout
    assert f"test_recording[{QUICK}]" in done.stdout
    for check in ("connections", "subflows", "streams", "numbers", "octets", "counters"):
        assert f"test_agreement[{QUICK}-{check}]" in done.stdout
    assert f"[8684-3.1-capable-on-syn-length-{QUICK}]" in done.stdout or "8684-3.1" in done.stdout
    assert "1 scenarios were recorded" in done.stdout
    assert list(tmp_path.iterdir()) == []


@needs_root
def test_recordings_can_be_kept(tmp_path: Path) -> None:
    """With a folder, capture and sidecar stay there, and the run says where."""
    kept = tmp_path / "kept"
    done = live("--scenario", QUICK, "--live-folder", str(kept), folder=tmp_path)
    assert done.returncode == 0, done.stdout
    assert f"the recordings are in {kept}" in done.stdout
    assert sorted(path.name for path in kept.iterdir()) == [f"{QUICK}.json", f"{QUICK}.pcapng"]


@needs_root
def test_a_violation_is_kept_to_be_looked_at(tmp_path: Path) -> None:
    """Where something fails (here: Linux's deviation, not waived), the recordings stay."""
    done = live(
        "--scenario",
        "announced-before-data",
        "--requirement",
        "8684-3.1-capable-on-first-data",
        "--target",
        "linux=192.0.2.1",
        "--should",
        folder=tmp_path,
    )
    assert done.returncode == 1, done.stdout
    assert "the recordings are in" in done.stdout
    (left,) = tmp_path.iterdir()
    assert (left / "announced-before-data.pcapng").exists()


@pytest.mark.parametrize(
    "arguments",
    [
        ("--live", "--pcap", "x.pcap"),
        ("--live", "--scenario", "no-such-thing"),
        ("--scenario", QUICK),
        ("--live-folder", "somewhere"),
        ("--live", "-n", "1"),
    ],
    ids=" ".join,
)
def test_options_that_make_no_sense_are_refused(arguments: tuple[str, ...]) -> None:
    """Wrong usage ends the run before anything is recorded."""
    done = subprocess.run(
        pytest_line(str(SUITE / "test_live.py"), *arguments),
        capture_output=True,
        text=True,
        cwd=ROOT,
        timeout=120,
        check=False,
    )
    assert done.returncode == 4, done.stdout + done.stderr


@needs_root
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGKILL], ids=str)
def test_what_ends_the_run_leaves_nothing(number: signal.Signals, tmp_path: Path) -> None:
    """Ctrl-C, SIGTERM and even SIGKILL of the run: no namespace and no process is left."""
    arguments = pytest_line(
        str(SUITE), "--live", "--scenario", "zero-window", "--scenario", "path-*"
    )
    with subprocess.Popen(
        arguments,
        cwd=ROOT,
        env=os.environ | {"TMPDIR": str(tmp_path)},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    ) as process:
        workers: set[int] = set()
        until = time.monotonic() + 60
        while len(workers) < 2 and time.monotonic() < until:
            workers |= {pid for _, pid in namespaces() if parent_of(pid) == process.pid}
            time.sleep(0.02)
        assert len(workers) == 2
        process.send_signal(number)
        assert process.wait(timeout=60) != 0
    until = time.monotonic() + 60
    while any(map(left, workers)) and time.monotonic() < until:
        time.sleep(0.05)
    assert not [name for name, pid in namespaces() if pid in workers]
    assert not any(map(left, workers))
    if number is not signal.SIGKILL:
        assert list(tmp_path.iterdir()) == []


def left(pid: int) -> bool:
    """Whether a process is still there, or any namespace that it made."""
    return parent_of(pid) is not None or any(maker == pid for _, maker in namespaces())


@needs_root
def test_a_worker_that_dies_is_one_scenario_lost(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The scenario of a dead worker is an error, and the others are recorded by a new one."""
    marker = tmp_path / "once"
    program = (
        "import os, sys; from pathlib import Path; marker = Path(sys.argv[1])\n"
        "if not marker.exists():\n"
        "    marker.touch(); sys.stdin.readline(); os._exit(9)\n"
        "from mptcp_oracle.live.worker import main; main()"
    )
    monkeypatch.setattr(batch, "WORKER", (sys.executable, "-c", program, str(marker)))
    done = list(record_many([QUICK, "server-closes-first"], tmp_path / "out", jobs=1))
    assert [each.name for each in done] == [QUICK, "server-closes-first"]
    assert "ended with status 9" in str(done[0].error)
    assert done[1].error is None
    assert done[1].capture is not None


def test_a_recording_without_what_it_claims_fails(tmp_path: Path) -> None:
    """An error and a counter that did not move are complaints; what needs nft is skipped."""
    made = Live(
        folder=tmp_path,
        kept=True,
        done=[Done(name="a", error="no way"), Done(name="b", missing=("server: MPFailTx",))],
        skipped={"c": "the program nft is missing"},
    )
    found = {each.name: each for each in made.recordings()}
    assert found["a"].complaints == ("no way",)
    assert "server: MPFailTx" in found["b"].complaints[0]
    assert found["c"].skipped
    assert made.captures == []


def test_a_disagreement_fails(tmp_path: Path) -> None:
    """A sidecar that says something else than the capture makes the agreement's test fail."""
    for suffix in ("json", "pcapng"):
        (tmp_path / f"x.{suffix}").write_bytes((KERNEL / f"bulk-two-paths.{suffix}").read_bytes())
    sidecar = json.loads((tmp_path / "x.json").read_text())
    sidecar["capture"]["file"] = "x.pcapng"
    sidecar["hosts"]["client"]["counters"]["MPTcpExt"]["MPJoinSynTx"] = 7
    (tmp_path / "x.json").write_text(json.dumps(sidecar))
    done = Done(name="x", capture=tmp_path / "x.pcapng", sidecar=tmp_path / "x.json")
    found = {each.name: each for each in Live(folder=tmp_path, kept=True, done=[done]).agreements()}
    assert [name for name, each in found.items() if each.complaints] == ["x-counters"]
    (tmp_path / "x.json").write_text("{")
    (broken,) = Live(folder=tmp_path, kept=True, done=[done]).agreements()
    assert "no sidecar" in broken.complaints[0]


def test_scenarios_are_chosen_by_patterns() -> None:
    """All by default, those of any pattern else, in the order of the table."""
    assert chosen([]) == list(SCENARIOS)
    assert chosen(["fast-close-*", QUICK])[0] == QUICK
    with pytest.raises(UsageError, match="no-such"):
        chosen(["no-such"])


def test_without_root_the_run_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    """What is missing is named, and what works without it."""
    monkeypatch.setattr("os.geteuid", lambda: 1000)
    with pytest.raises(AdapterError) as caught:
        make([QUICK], None)
    assert "root" in str(caught.value)
    assert "can be judged without" in str(caught.value)


@needs_root
def test_without_nft_what_needs_no_filter_is_recorded(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Only the scenarios that lose, strip or change packets are skipped, with the reason."""
    which = shutil.which
    monkeypatch.setattr(
        shutil, "which", lambda name, **how: None if name == "nft" else which(name, **how)
    )
    made = make([QUICK, "path-cut"], str(tmp_path / "made"))
    found = {each.name: each for each in made.recordings()}
    assert "nft" in str(found["path-cut"].skipped)
    assert found[QUICK] == Result(name=QUICK)
    assert [Path(path).stem for path in made.captures] == [QUICK]
