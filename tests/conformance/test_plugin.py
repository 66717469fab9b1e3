"""The suite as its users run it: a pytest process of its own over captures."""

from __future__ import annotations

import os
import subprocess
import sys
import xml.etree.ElementTree as ET
from pathlib import Path

import pytest

from mptcp_oracle.pytest_plugin import OPTIONS
from tests.common.checkout import ROOT
from tests.common.judged import REQUIREMENT, faulty, octets
from tests.common.tiny import SYN_PCAP

CLEAN = ROOT / "corpus/kernel/bulk-two-paths.pcapng"
SUITE = ROOT / "conformance"
RESET = SUITE / "test_s3_6_reset.py"


@pytest.fixture
def capture(tmp_path: Path) -> Path:
    """A capture in which one host breaks one requirement."""
    path = tmp_path / "faulty.pcapng"
    path.write_bytes(octets())
    return path


def suite(
    *arguments: str | Path, folder: Path = ROOT, more: tuple[str, ...] = ()
) -> subprocess.CompletedProcess[str]:
    """Run pytest as a user does."""
    kept = {k: v for k, v in os.environ.items() if not k.startswith("PYTEST_")}
    return subprocess.run(
        [sys.executable, "-m", "pytest", "-p", "no:cacheprovider", "-q", *more,
         *map(str, arguments)],
        capture_output=True, text=True, cwd=folder, timeout=300, check=False,
        env=kept | {"COLUMNS": "200"},
    )  # fmt: skip


def test_a_violation_fails_its_test(capture: Path) -> None:
    """The requirement's test fails with the argument; the summary has it first."""
    done = suite(RESET, "--pcap", capture)
    assert done.returncode == 1, done.stdout
    assert f"test_requirement[{REQUIREMENT}-faulty]" in done.stdout
    assert f"mptcp-oracle explain {capture} {REQUIREMENT}" in done.stdout
    summary = done.stdout.partition("conformance of Multipath TCP")[2]
    assert summary.index("violations:") < summary.index(REQUIREMENT) < summary.index("RFC 8684:")


def test_a_clean_capture_passes() -> None:
    """A recording of Linux passes what it exercises; its sidecar says that it is one of Linux."""
    done = suite(SUITE / "test_s3_options.py", "--pcap", CLEAN)
    assert done.returncode == 0, done.stdout
    assert "passed" in done.stdout


def test_junit_has_requirement_level_and_frames(capture: Path, tmp_path: Path) -> None:
    """Each test case of the report carries what was judged and the frames that show it."""
    report = tmp_path / "report.xml"
    suite(RESET, "--pcap", capture, f"--junitxml={report}")
    cases = {
        case.get("name"): {item.get("name"): item.get("value") for item in case.iter("property")}
        for case in ET.parse(report).iter("testcase")
    }
    found = cases[f"test_requirement[{REQUIREMENT}-faulty]"]
    assert found["requirement"] == REQUIREMENT
    assert found["level"] == "MUST"
    assert set(map(int, (found["frames"] or "").split())) & set(faulty().evidence)
    assert found["outcome"] == "fail"


def test_junit_has_what_fails_a_run_beside_requirements(capture: Path, tmp_path: Path) -> None:
    """A capture that cannot be read or shows nothing, and waivers left over, are failed cases."""
    report, bad, empty = (tmp_path / name for name in ("report.xml", "bad.pcap", "empty.pcap"))
    bad.write_bytes(b"no capture")
    empty.write_bytes(SYN_PCAP[:24])
    given = ("--pcap", capture, "--pcap", bad, "--pcap", empty)
    done = suite(SUITE, *given, "--requirement", "8684-3.5-", "--strict-waivers",
                 "--target", "linux", f"--junitxml={report}")  # fmt: skip
    assert done.returncode == 1
    failed = {
        str(case.get("name")): case.find("failure") is not None
        for case in ET.parse(report).iter("testcase")
    }
    checks = {name[9:-1]: failed[name] for name in failed if name.startswith("test_run[")}
    assert checks == {"faulty": False, "bad": True, "empty": True, "waivers": True}


def test_requirements_can_be_chosen(capture: Path) -> None:
    """Only tests of requirements whose id or number begins so are made; a wrong one is refused."""
    done = suite(SUITE, "--pcap", capture, "--requirement", "8684-3.6-03")
    assert done.returncode == 1
    assert "1 failed" in done.stdout
    assert suite(SUITE, "--pcap", capture, "--requirement", "8684-99").returncode == 4


def test_an_empty_capture_fails_the_run(tmp_path: Path) -> None:
    """A given capture in which nothing could be judged fails, unless that is allowed."""
    path = tmp_path / "empty.pcap"
    path.write_bytes(SYN_PCAP[:24])
    done = suite(RESET, "--pcap", path)
    assert done.returncode == 1
    assert "nothing could be judged" in done.stdout
    allowed = suite(RESET, "--pcap", path, "--allow-empty")
    assert allowed.returncode in (0, 5)
    assert "nothing could be judged" not in allowed.stdout


def test_one_test_a_connection(capture: Path) -> None:
    """With --by-connection the connections of a capture have tests of their own."""
    done = suite(RESET, "--pcap", capture, "--by-connection")
    assert f"[{REQUIREMENT}-faulty-connection-0]" in done.stdout


def test_what_is_not_exercised_can_fail(capture: Path) -> None:
    """With --fail-not-exercised a requirement that no capture touches is a failure."""
    asked = ("--requirement", "8684-3.5-")
    assert suite(SUITE, "--pcap", capture, *asked).returncode in (0, 5)
    done = suite(SUITE, "--pcap", capture, *asked, "--fail-not-exercised")
    assert done.returncode == 1
    assert "no capture exercises it" in done.stdout


def test_several_captures_and_patterns(capture: Path, tmp_path: Path) -> None:
    """--pcap repeats and takes folders and patterns, relative to where pytest was started."""
    (tmp_path / "other.pcapng").write_bytes(octets())
    (tmp_path / "conftest.py").write_text("")
    for given in (("--pcap", tmp_path), ("--pcap", "*.pcapng"),
                  ("--pcap", capture, "--pcap", "other.pcapng")):  # fmt: skip
        done = suite(RESET, *given, folder=tmp_path)
        assert "-faulty]" in done.stdout, done.stdout + done.stderr
        assert "-other]" in done.stdout
    assert suite(RESET, "--pcap", "*.cap", folder=tmp_path).returncode == 4
    gone = suite(RESET, "--pcap", tmp_path / "gone.pcap")
    assert gone.returncode == 1
    assert "gone.pcap" in gone.stdout


def test_the_suite_is_found_by_its_package(capture: Path, tmp_path: Path) -> None:
    """``--pyargs mptcp_oracle.conformance`` runs it from anywhere."""
    done = suite("--pyargs", "mptcp_oracle.conformance", "--pcap", capture,
                 "--requirement", "8684-3.6-03", folder=tmp_path)  # fmt: skip
    assert "1 failed" in done.stdout, done.stdout + done.stderr


def test_beside_other_plugins(capture: Path) -> None:
    """Under pytest-xdist and pytest-cov the same tests fail, and the summary is whole."""
    pytest.importorskip("xdist")
    pytest.importorskip("pytest_cov")
    done = suite(RESET, "--pcap", capture, more=("-n", "2", "--cov=mptcp_oracle.conformance"))
    assert done.returncode == 1
    assert f"[{REQUIREMENT}-faulty]" in done.stdout
    assert "violations:" in done.stdout
    assert "were decided" in done.stdout
    assert done.stdout.count("were decided") == 2


def test_an_option_that_is_taken_gets_a_prefix(tmp_path: Path) -> None:
    """A plugin that has --host already keeps it; ours is --mptcp-host then."""
    (tmp_path / "taken.py").write_text(
        "def pytest_addoption(parser):\n    parser.addoption('--host', help='theirs')\n"
    )
    # A plugin that is named on the command line is loaded before those that are installed.
    command = [sys.executable, "-m", "pytest", "-p", "taken", "--help"]
    done = subprocess.run(
        command, capture_output=True, text=True, cwd=tmp_path, check=False,
        env=os.environ | {"PYTHONPATH": str(tmp_path)},
    )  # fmt: skip
    assert "--mptcp-host" in done.stdout, done.stderr
    assert "theirs" in done.stdout


def test_every_option_is_explained() -> None:
    """``pytest --help`` has all options of the suite."""
    text = suite("--help").stdout
    for name, _ in OPTIONS:
        assert name in text


def test_other_tests_are_left_alone(tmp_path: Path) -> None:
    """A fixture named ``finding`` in somebody else's tests is not touched."""
    (tmp_path / "test_mine.py").write_text(
        "import pytest\n\n@pytest.fixture\ndef finding():\n    return 1\n\n"
        "def test_it(finding):\n    assert finding == 1\n"
    )
    done = suite(tmp_path / "test_mine.py", folder=tmp_path)
    assert done.returncode == 0, done.stdout
    assert "conformance of Multipath TCP" not in done.stdout


def test_a_checkout_finds_its_parts_without_being_installed(tmp_path: Path) -> None:
    """The suite, the generators and the corpus lie beside the package in a checkout."""
    libraries = [each for each in sys.path if each.endswith("-packages")]
    code = (
        f"import sys; sys.path[:0] = {[str(ROOT), *libraries]!r}\n"
        "import mptcp_oracle.conformance.session, mptcp_oracle.generators.corpus\n"
        "print(mptcp_oracle.conformance.session.__file__)\n"
    )
    done = subprocess.run(
        [sys.executable, "-I", "-S", "-c", code], capture_output=True, text=True, check=False,
        cwd=tmp_path,
    )  # fmt: skip
    assert done.stdout.strip() == str(SUITE / "session.py"), done.stderr


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (("--target", "nosuch"), "no waivers for 'nosuch'"),
        (("--target", "linux=10.1.1"), "no address of a target"),
        (("--waivers", str(SUITE / "waivers" / "linux.toml")), "said to be their target"),
    ],
)
def test_waivers_that_can_apply_to_nothing_are_refused(
    arguments: tuple[str, ...], says: str, capture: Path
) -> None:
    """As `check` does, the suite refuses waivers without a target, and targets without waivers."""
    done = suite(RESET, "--pcap", capture, *arguments)
    assert done.returncode == 4, done.stdout
    assert says in done.stdout + done.stderr
