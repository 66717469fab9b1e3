"""``mptcp-oracle check --nstat``: whose counters, what contradicts, and the exit statuses."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.common.checkout import ROOT
from tests.common.command import run

KERNEL = ROOT / "corpus" / "kernel"
#: Requirements that the capture keeps, so that only counters decide.
ONLY = ("--only", "8684-3-")


def counters(folder: Path, name: str, **changed: int) -> Path:
    """A file as nstat writes it, of the client of a recording, with some counters changed."""
    sidecar = json.loads((KERNEL / f"{name}.json").read_text())
    moved = sidecar["hosts"]["client"]["counters"]["MPTcpExt"] | changed
    path = folder / f"{name}-{len(list(folder.iterdir()))}.txt"
    lines = (f"MPTcpExt{key:<24} {value:<18} 0.0\n" for key, value in moved.items() if value)
    path.write_text("#kernel\n" + "".join(lines))
    return path


def test_right_counters_conform(tmp_path: Path) -> None:
    """The counters of the host itself contradict nothing: exit status 0, and they are named."""
    file = counters(tmp_path, "bulk-two-paths")
    done = run("check", *ONLY, "--nstat", file, KERNEL / "bulk-two-paths.pcapng")
    assert done.returncode == 0, done.stdout
    assert "kernel counters of 10.1.1.1, 10.1.2.1" in done.stdout
    assert "no contradiction" in done.stdout


@pytest.mark.parametrize(("value", "word"), [(0, "at least"), (2, "at most")])
def test_a_wrong_counter_is_a_contradiction(tmp_path: Path, value: int, word: str) -> None:
    """One join too few or too many: exit status 1, and the text and the JSON say which."""
    file = counters(tmp_path, "bulk-two-paths", MPJoinSynTx=value)
    capture = KERNEL / "bulk-two-paths.pcapng"
    done = run("check", *ONLY, "--nstat", file, capture)
    assert done.returncode == 1
    assert f"contradiction: MPJoinSynTx is {value}, and by the capture {word} 1" in done.stdout
    done = run("check", *ONLY, "--json", "--nstat", file, capture)
    assert done.returncode == 1
    (told,) = json.loads(done.stdout)["counters"]["contradictions"]
    assert (told["counter"], told["counted"], told["shown"]) == ("MPJoinSynTx", value, 1)


def test_a_capture_that_may_lack_something_makes_doubts(tmp_path: Path) -> None:
    """Too big a counter beside one interface's capture is a doubt; with --whole it counts."""
    file = counters(tmp_path, "initial-path-only")
    capture = KERNEL / "initial-path-only.pcapng"
    where = ("--local", "10.1.1.1", "--nstat", file, capture)
    done = run("check", *ONLY, *where)
    assert done.returncode == 0, done.stdout
    assert "doubtful: MPJoinSynTx is 1" in done.stdout
    assert "it may not be of all interfaces" in done.stdout
    done = run("check", *ONLY, "--whole", *where)
    assert done.returncode == 1
    assert "contradiction: MPJoinSynTx is 1" in done.stdout


def test_two_readings_are_subtracted(tmp_path: Path) -> None:
    """With two files, what was counted between them decides."""
    before = tmp_path / "before.json"
    before.write_text('{"kernel": {"MPTcpExtMPJoinSynTx": 5, "MPTcpExtMPCapableSYNTX": 7}}')
    moved = json.loads((KERNEL / "bulk-two-paths.json").read_text())
    counts = moved["hosts"]["client"]["counters"]["MPTcpExt"]
    after = counters(
        tmp_path,
        "bulk-two-paths",
        MPJoinSynTx=counts["MPJoinSynTx"] + 5,
        MPCapableSYNTX=counts["MPCapableSYNTX"] + 7,
    )
    files = ("--nstat", before, "--nstat", after)
    assert run("check", *ONLY, *files, KERNEL / "bulk-two-paths.pcapng").returncode == 0


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("--nstat", "missing", "bulk-two-paths.pcapng"), "missing: the counters cannot be read"),
        (("--nstat", "FILE", "bulk-two-paths.pcapng", "fullmesh.pcapng"), "single capture"),
        (("--nstat", "FILE", "router-any.pcapng"), "--local"),
        (("--nstat", "FILE", "--ktap", "bulk-two-paths.pcapng"), "exclude each other"),
        (("--nstat", "FILE") * 3 + ("bulk-two-paths.pcapng",), "two readings"),
    ],
    ids=["missing", "two captures", "no host", "ktap", "three files"],
)
def test_what_makes_no_sense_is_refused(
    tmp_path: Path, arguments: tuple[str, ...], words: str
) -> None:
    """Wrong usage ends with 2 and says what is wrong."""
    file = str(counters(tmp_path, "bulk-two-paths"))
    given = [
        str(KERNEL / each) if each.endswith(".pcapng") else each.replace("FILE", file)
        for each in arguments
    ]
    done = run("check", *ONLY, *given)
    assert done.returncode == 2
    assert words in done.stderr
