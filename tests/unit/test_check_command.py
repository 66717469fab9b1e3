"""``mptcp-oracle check`` and ``explain``: what they say, and their exit statuses."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from mptcp_oracle.spec import catalogue
from mptcp_oracle.verdict import COUNTS
from tests.common.checkout import ROOT
from tests.common.command import run
from tests.common.judged import REQUIREMENT, faulty, octets
from tests.common.tiny import SYN_PCAP

CLEAN = ROOT / "corpus/kernel/bulk-two-paths.pcapng"
ONLY = ("--only", REQUIREMENT)
WAIVERS = f"""
schema = 1
target = "tester"
[[waiver]]
requirement = "{REQUIREMENT}"
kind = "deviation"
reason = "it sets what it likes"
reference = "none"
"""


@pytest.fixture
def capture(tmp_path: Path) -> Path:
    """A capture in which one host breaks one requirement."""
    path = tmp_path / "faulty.pcapng"
    path.write_bytes(octets())
    return path


def frames() -> set[int]:
    """The frames that show the fault."""
    return set(faulty().evidence)


def test_a_violation_is_told_with_its_frame(capture: Path) -> None:
    """The text names requirement, level, host and frame, and the exit status is 1."""
    done = run("check", *ONLY, capture)
    assert done.returncode == 1
    assert "violations" in done.stdout
    assert f"{REQUIREMENT} (MUST, RFC 8684 section 3.6)" in done.stdout
    assert any(f"frame {frame}:" in done.stdout for frame in frames())
    assert faulty().host in done.stdout


def test_a_clean_capture_conforms() -> None:
    """A capture that keeps the requirements asked for gives exit status 0 and says how many."""
    done = run("check", "--only", "8684-3-", CLEAN)
    assert done.returncode == 0, done.stdout
    assert "RFC 8684: 2 of" in done.stdout or "RFC 8684: 3 of" in done.stdout
    assert "violations" not in done.stdout


def test_nothing_to_judge_is_a_status_of_its_own(tmp_path: Path) -> None:
    """A capture without anything to judge gives 4, with --allow nothing of the kind."""
    path = tmp_path / "syn.pcap"
    path.write_bytes(SYN_PCAP)
    done = run("check", *ONLY, path)
    assert done.returncode == 4
    assert "not exercised" in done.stdout or "nothing to judge" in done.stdout


def test_json_has_every_verdict(capture: Path) -> None:
    """One line a capture, with counts and verdicts; --all adds what is not exercised."""
    done = run("check", "--json", *ONLY, capture, CLEAN)
    first, second = (json.loads(line) for line in done.stdout.splitlines())
    assert (first["schema"], first["capture"]["name"]) == (1, str(capture))
    assert tuple(first["counts"]) == COUNTS
    assert first["counts"]["fail"] == 1
    failed = [each for each in first["verdicts"] if each["outcome"] == "fail"]
    (found,) = failed
    assert (found["requirement"], found["number"]) == (REQUIREMENT, "8684-3.6-03")
    assert (found["host"], found["severity"]) == (faulty().host, "violation")
    assert set(found["frames"]) <= frames()
    assert found["waived"] is None
    assert second["counts"]["fail"] == 0
    every = json.loads(run("check", "--json", "--all", *ONLY, CLEAN).stdout)
    assert every["counts"] == second["counts"]
    assert len(every["verdicts"]) == sum(every["counts"].values())


def test_ktap_is_for_kernel_test_runners(capture: Path) -> None:
    """One test a requirement: not ok for violations, SKIP with the reason for what is undecided."""
    done = run("check", "--ktap", "--only", "8684-3.6", "--all", capture)
    lines = done.stdout.splitlines()
    assert lines[0] == "KTAP version 1"
    tests = [line for line in lines[2:] if not line.startswith("#")]
    assert lines[1] == f"1..{len(tests)}"
    (bad,) = [line for line in tests if line.startswith("not ok")]
    assert bad.endswith(REQUIREMENT)
    assert any(line.startswith("# ") and str(capture) in line for line in lines)
    assert all(line.startswith(("ok ", "not ok ")) for line in tests)
    assert done.returncode == 1


def test_bisect_speaks_gits_language(capture: Path, tmp_path: Path) -> None:
    """0 for a pass, 1 for a failure, 125 for everything else."""
    assert run("check", "--bisect", *ONLY, capture).returncode == 1
    assert run("check", "--bisect", "--only", "8684-3-option-layout", CLEAN).returncode == 0
    assert run("check", "--bisect", *ONLY, CLEAN).returncode == 125
    assert run("check", "--bisect", *ONLY, tmp_path / "gone.pcap").returncode == 125
    # Wrong usage must not convict a commit either: git takes 2 for a bad one.
    assert run("check", "--bisect", CLEAN).returncode == 125
    assert run("check", "--bisect", "--only", "8684-3.2-hmak", CLEAN).returncode == 125
    assert run("check", "--bisect", "--bogus", CLEAN).returncode == 125


def test_ktap_does_not_hide_what_cannot_be_read(tmp_path: Path) -> None:
    """A lost capture is no skipped suite: the runner is told to bail out."""
    done = run("check", "--ktap", "--only", "8684-3.6", CLEAN, tmp_path / "gone.pcap")
    assert done.stdout.splitlines()[-1].startswith("Bail out!")
    assert done.returncode == 3
    assert "Bail out!" not in run("check", "--ktap", "--only", "8684-3.6", CLEAN).stdout


def test_a_capture_that_is_cut_says_so(tmp_path: Path) -> None:
    """What the file has lost stands above the verdicts."""
    path = tmp_path / "cut.pcapng"
    path.write_bytes(Path(CLEAN).read_bytes()[:-200])
    done = run("check", "--only", "8684-3.6", path)
    assert any(line.startswith("! ") for line in done.stdout.splitlines()[1:3])


def test_a_waiver_makes_a_failure_expected(capture: Path, tmp_path: Path) -> None:
    """With a waiver for that host the run is green; without a target, or for another, it is not."""
    waivers = tmp_path / "waivers.toml"
    waivers.write_text(WAIVERS)
    addresses = {flow.ends[("initiator", "listener").index(faulty().host)].address
                 for flow in faulty().capture.trace.subflows}  # fmt: skip
    target = "tester=" + ",".join(map(str, addresses))
    done = run("check", *ONLY, "--waivers", waivers, "--target", target, capture)
    assert done.returncode == 0, done.stdout
    assert "expected: deviation: it sets what it likes" in " ".join(done.stdout.split())
    other = run("check", *ONLY, "--waivers", waivers, "--target", "tester=192.0.2.1", capture)
    assert other.returncode == 1
    without = run("check", *ONLY, "--waivers", waivers, capture)
    assert without.returncode == 2
    assert "--target tester" in without.stderr
    strict = run(
        "check", *ONLY, "--strict-waivers", "--waivers", waivers, "--target", "tester", CLEAN
    )
    assert strict.returncode == 1
    assert "applies to nothing" in strict.stderr


def test_one_end_can_be_judged_alone(capture: Path) -> None:
    """With --host the other end's failures do not count."""
    guilty = faulty().host
    other = "listener" if guilty == "initiator" else "initiator"
    assert run("check", *ONLY, "--host", guilty, capture).returncode == 1
    assert run("check", *ONLY, "--host", other, capture).returncode in (0, 4)


def test_two_runs_are_compared(capture: Path, tmp_path: Path) -> None:
    """A baseline tells what is new and what is fixed; only new failures give exit status 1."""
    before, after = tmp_path / "before.json", tmp_path / "after.json"
    before.write_text(run("check", "--json", *ONLY, capture).stdout)
    same = run("check", "--baseline", before, *ONLY, capture)
    assert same.returncode == 0
    assert "0 new, 0 fixed, 1 unchanged" in same.stdout
    body = json.loads(before.read_text())
    for each in body["verdicts"]:
        each["outcome"] = "pass"
    after.write_text(json.dumps(body) + "\n")
    worse = run("check", "--baseline", after, *ONLY, capture)
    assert worse.returncode == 1
    assert f"new    {REQUIREMENT} {faulty().host}" in worse.stdout
    after.write_text("{}\n")
    assert run("check", "--baseline", after, *ONLY, capture).returncode == 2


def test_what_is_fixed_is_told(capture: Path, tmp_path: Path) -> None:
    """What failed before and is kept now is fixed, in text and beside JSON."""
    passes = json.loads(run("check", "--json", capture).stdout)
    kept = next(each for each in passes["verdicts"] if each["outcome"] == "pass")
    others = [each for each in passes["verdicts"] if each["requirement"] != kept["requirement"]]
    passes["verdicts"] = [*others, {**kept, "outcome": "fail", "severity": "violation"}]
    before = tmp_path / "before.json"
    before.write_text(json.dumps(passes) + "\n")
    for options in ((), ("--json",)):
        done = run("check", "--baseline", before, *options, capture)
        told = done.stderr if options else done.stdout
        assert f"fixed  {kept['requirement']} {kept['host']}" in told
        assert ", 1 fixed, " in told
    refused = run("check", "--baseline", before, "--ktap", capture)
    assert refused.returncode == 2
    assert "--baseline and --ktap exclude each other" in refused.stderr


def test_only_subflows_that_there_are_can_be_explained(capture: Path) -> None:
    """A connection, or an unattached subflow, has to be in the capture."""
    for number in ("7", "-7"):
        done = run("explain", f"--connection={number}", capture, *ONLY[1:2])
        assert done.returncode == 2
        assert f"there is no connection {number}" in done.stderr


def test_an_unreadable_capture_does_not_stop_the_others(capture: Path, tmp_path: Path) -> None:
    """What cannot be read is said, the rest judged, and the exit status is 3."""
    broken = tmp_path / "broken.pcap"
    broken.write_bytes(b"nothing")
    done = run("check", *ONLY, broken, capture)
    assert done.returncode == 3
    assert "broken.pcap" in done.stderr
    assert REQUIREMENT in done.stdout


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (("--only", "8684-9.9"), "no requirement"),
        (("--json", "--ktap"), "exclude each other"),
        (("--local", "here"), "no address"),
        (("--target", "linux"), "no waivers for"),
        (("--target", "linux=10.1.1"), "no address of a target"),
        (("--host", "initator"), "no host"),
    ],
)
def test_wrong_usage_is_told(arguments: tuple[str, ...], says: str) -> None:
    """Each contradiction or unknown name gives exit status 2 and a hint."""
    done = run("check", *arguments, CLEAN)
    assert done.returncode == 2
    assert says in done.stderr


def test_a_verdict_is_explained(capture: Path) -> None:
    """The explanation quotes the RFC, shows the frame with its options, and how to find it."""
    done = run("explain", capture, "8684-3.6-03")
    assert done.returncode == 0
    row = catalogue()[REQUIREMENT]
    text = " ".join(done.stdout.split())
    assert row.quotes[0] in text
    assert "FAIL (violation)" in text
    assert any(f"{frame}: " in done.stdout for frame in frames())
    assert "mp_tcprst" in text
    assert "Wireshark: ip" in text


def test_an_explanation_can_be_mailed(capture: Path) -> None:
    """With --mail it is ASCII of 72 columns, with the version and the capture's digest."""
    done = run("explain", "--mail", capture, REQUIREMENT)
    assert done.returncode == 0
    assert done.stdout.isascii()
    assert max(map(len, done.stdout.splitlines())) <= 72 or "SHA-256" in done.stdout
    assert "judged by mptcp-oracle" in done.stdout
    assert "SHA-256" in done.stdout


def test_what_is_not_exercised_has_no_explanation(capture: Path) -> None:
    """It says so, with exit status 4; an unknown requirement or connection is wrong usage."""
    assert run("explain", CLEAN, REQUIREMENT).returncode == 4
    assert run("explain", CLEAN, "8684-9").returncode == 2
    assert run("explain", "--connection", "7", capture, REQUIREMENT).returncode == 2
