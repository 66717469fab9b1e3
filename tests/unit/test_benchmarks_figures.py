"""The benchmark measures what runs, alone, and says rightly what that means."""

from __future__ import annotations

import json
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest
from click.testing import CliRunner

from benchmarks import __main__ as command
from benchmarks import picturing, programs
from benchmarks.cache import Made
from benchmarks.measure import Figures, Run, compare, run
from benchmarks.report import Result, judge, render, slopes, to_json
from benchmarks.stages import profile, show
from benchmarks.subjects import SUBJECTS, Budget
from mptcp_oracle.errors import AdapterError
from tests.common.checkout import ROOT
from tests.common.machine import tool

CAPTURE = ROOT / "corpus/kernel/bulk-two-paths.pcapng"
MILLION = 1_000_000


# --- measuring --------------------------------------------------------------------------------


def python(program: str) -> list[str]:
    """A command line that runs a few lines of Python."""
    return [sys.executable, "-I", "-S", "-c", program]


def test_a_run_is_measured() -> None:
    """Time, processor time, peak memory and anonymous memory are those of the command."""
    hungry = "import time; held = b'x' * 60_000_000; time.sleep(0.2)"
    found = run(python(hungry), watch=True)
    assert 0.2 <= found.seconds < 20
    assert 0 < found.processor < found.seconds + 1
    assert 60 * MILLION <= found.anonymous <= found.peak < 120 * MILLION


def test_the_measuring_process_counts_for_nothing() -> None:
    """However large the process that measures, a small command is measured small."""
    held = b"x" * 120_000_000
    assert run(python("pass")).peak < 60 * MILLION
    assert len(held) == 120_000_000


def test_anonymous_memory_is_only_watched_when_asked_for() -> None:
    """A timed run is not disturbed by looking at its memory."""
    assert run(python("pass")).anonymous == 0


def test_a_run_that_fails_is_an_error() -> None:
    """A command that fails is never a measurement; its last words are the cause."""
    with pytest.raises(AdapterError, match="exit status 3") as caught:
        run(python("import sys; print('no such field', file=sys.stderr); sys.exit(3)"))
    assert caught.value.cause == "no such field"


def test_a_run_has_no_configuration_of_the_user(monkeypatch: pytest.MonkeyPatch) -> None:
    """Wireshark's configuration folder is an empty one, and bytecode is always used."""
    monkeypatch.setenv("WIRESHARK_CONFIG_DIR", str(ROOT))
    monkeypatch.setenv("PYTHONDONTWRITEBYTECODE", "1")
    check = (
        "import os; assert os.listdir(os.environ['WIRESHARK_CONFIG_DIR']) == ['stderr'];"
        "assert 'PYTHONDONTWRITEBYTECODE' not in os.environ"
    )
    run(python(check))


def test_both_programs_run_in_turn(tmp_path: Path) -> None:
    """After one run to be watched, both commands alternate until each has had its rounds."""
    log = tmp_path / "log"
    a, b = (python(f"open({str(log)!r}, 'a').write({name!r})") for name in "ab")
    ours, other = compare(a, b, rounds=(3, 2), progress=lambda words: None)
    assert log.read_text() == "a" + "ab" + "ab" + "a"
    assert (len(ours.runs), len(other.runs)) == (3, 2)


# --- judging ----------------------------------------------------------------------------------


def figures(seconds: float, peak: int = 100 * MILLION, anonymous: int = 0) -> Figures:
    """Figures of a better and a worse run."""
    runs = [
        Run(seconds=2 * seconds, processor=seconds, peak=peak // 2, anonymous=0),
        Run(seconds=seconds, processor=seconds, peak=peak, anonymous=0),
    ]
    return Figures(runs=runs, anonymous=anonymous)


def result(name: str, segments: int, ours: Figures, other: Figures, **budget: float) -> Result:
    """A result of one of the captures, with another budget if one is given."""
    subject = next(each for each in SUBJECTS if each.name == name)
    if budget:
        subject = replace(subject, budget=Budget(**budget))  # type: ignore[arg-type]
    return Result(subject=subject, segments=segments, octets=0, ours=ours, tshark=other)


def test_the_best_time_and_the_worst_memory_count() -> None:
    """Of several runs the shortest time is taken, and the largest peak."""
    found = result("bulk-1k", 1_000, figures(0.1), figures(2.0, 400 * MILLION))
    assert found.speed == pytest.approx(20.0)
    assert found.memory == pytest.approx(0.25)


@pytest.mark.parametrize(("seconds", "met"), [(1.0, True), (1.01, False)])
def test_speed_is_judged(seconds: float, met: bool) -> None:
    """A budget of speed is met from its ratio on."""
    found = result("bulk-1m", MILLION, figures(seconds), figures(50.0), speed=50.0)
    assert judge(found, [found]) == [(">= 50 x", met)]


@pytest.mark.parametrize(("peak", "met"), [(100, True), (101, False)])
def test_memory_is_judged(peak: int, met: bool) -> None:
    """A budget of memory is met up to its share."""
    mine, other = figures(1.0, peak * MILLION), figures(1.0, 400 * MILLION)
    found = result("bulk-1m", MILLION, mine, other, memory=0.25)
    assert judge(found, [found]) == [("<= 0.25 of memory", met)]


@pytest.mark.parametrize(("anonymous", "met"), [(1_000, True), (1_001, False)])
def test_growth_is_judged(anonymous: int, met: bool) -> None:
    """Octets for a further segment are counted from the smaller capture; without it, unknown."""
    small = result("bulk-1m", MILLION, figures(1.0, anonymous=100 * MILLION), figures(1.0))
    mine = figures(1.0, anonymous=anonymous * MILLION)
    large = result("repeat-10m", 10 * MILLION, mine, figures(80.0))
    assert judge(large, [small, large])[1] == ("<= 100 octets/segment", met)
    assert judge(large, [large])[1] == ("<= 100 octets/segment", None)


def test_growth_is_shown_from_size_to_size() -> None:
    """Each capture of the growth series is compared with the next smaller one measured."""
    sizes = [
        result("bulk-100k", 100_000, figures(0.2, anonymous=20 * MILLION), figures(1.0)),
        result("bulk-1m", 1_100_000, figures(0.5, anonymous=100 * MILLION), figures(1.0)),
    ]
    ((before, after, time, octets),) = slopes(sizes)
    assert (before, after) == ("bulk-100k", "bulk-1m")
    assert time == pytest.approx(300.0)
    assert octets == pytest.approx(80.0)


def test_the_report_has_a_row_for_each_capture() -> None:
    """The text has one row a capture with its verdict, and JSON says the same."""
    where: dict[str, str | int | float] = {
        "cores": 2, "model": "m", "kernel": "k", "python": "3", "mptcp-oracle": "o",
        "engine": "compiled", "tshark": "t", "load": 0.0,
    }  # fmt: skip
    results = [
        result("bulk-1k", 1_000, figures(0.1), figures(0.2)),
        result("bulk-200k", 200_000, figures(1.0), figures(2.0)),
        result("repeat-10m", 10 * MILLION, figures(1.0), figures(80.0)),
        result("many-20k", 740_000, figures(1.0), figures(2.0)),
    ]
    table = [line for line in render(results, where).splitlines() if line.count("|") > 10]
    rows = {line.split("|")[1].strip(): line for line in table}
    assert "| yes " in rows["bulk-1k"]
    assert "| NO " in rows["bulk-200k"]
    assert "yes, not measured" in rows["repeat-10m"]
    assert "| none" in rows["many-20k"]
    body = json.loads(json.dumps(to_json(results, where)))
    assert [each["name"] for each in body["captures"]] == [each.subject.name for each in results]
    assert body["captures"][1]["budget"] == [{"demand": ">= 20 x", "met": False}]
    assert body["captures"][0]["ours"]["seconds"] == [0.2, 0.1]


# --- the programs -----------------------------------------------------------------------------


def test_this_tshark_takes_the_command() -> None:
    """Every preference is accepted, and version 4.0, which budgets name, has every field."""
    program = tool("tshark")
    fields = programs.known_fields(program)
    said = subprocess.run([program, "--version"], capture_output=True, text=True, check=True)
    if said.stdout.startswith("TShark (Wireshark) 4.0."):
        assert fields == programs.FIELDS
    assert run(programs.tshark(program, CAPTURE, fields)).peak > 0


def test_fields_that_tshark_lacks_are_left_out(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A field that this tshark does not know is not asked for."""
    known = programs.FIELDS
    monkeypatch.setattr(programs, "FIELDS", (*known, "mptcp.no_such_field"))
    assert programs.known_fields(tool("tshark")) == known


def test_a_missing_program_is_an_error() -> None:
    """A program that is nowhere is named."""
    with pytest.raises(AdapterError, match="no-such-program"):
        programs.find("no-such-program", None)


def test_a_given_program_is_taken() -> None:
    """A path on the command line is preferred to what is installed."""
    assert programs.find("tshark", sys.executable) == sys.executable


# --- commands ---------------------------------------------------------------------------------


def test_the_captures_are_listed() -> None:
    """Each capture has a line."""
    done = CliRunner().invoke(command.main, ["list"])
    assert done.exit_code == 0
    assert [line.split()[0] for line in done.stdout.splitlines()] == [
        each.name for each in SUBJECTS
    ]


@pytest.mark.parametrize(("speed", "status"), [(0.0001, 0), (100_000.0, 1)])
def test_a_run_measures_and_judges(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, speed: float, status: int
) -> None:
    """Running prints what was measured and fails when a budget was not met."""
    tool("tshark")
    subject = replace(SUBJECTS[0], budget=Budget(speed=speed))
    made = Made(path=CAPTURE, segments=100, octets=CAPTURE.stat().st_size)
    monkeypatch.setattr(command, "SUBJECTS", (subject,))
    monkeypatch.setattr(command, "obtain", lambda subject, folder, progress: made)
    words = ["--cache", str(tmp_path), "run", subject.name, "--rounds", "1", "--json"]
    done = CliRunner().invoke(command.main, words)
    assert done.exit_code == status, done.stderr
    (found,) = json.loads(done.stdout)["captures"]
    assert found["name"] == subject.name
    assert found["ours"]["anonymous"] > MILLION
    assert len(found["tshark"]["seconds"]) == 1


def test_stages_are_profiled() -> None:
    """The profile counts every engine loop that an analysis runs, and names its segments."""
    found = profile(CAPTURE)
    names = {name for name in found.steps if name.startswith("engine ")}
    for loop in ("records", "packets", "options", "streams", "segments", "mappings"):
        assert any(name.startswith(f"engine {loop}.") for name in names), loop
    assert "engine transmissions.run" in names
    assert found.segments > 100
    text = show(found)
    assert text.startswith(f"{found.segments:,} segments")
    assert len(text.splitlines()) == 2 + len(found.steps)


# --- reports ----------------------------------------------------------------------------------


def test_a_report_keeps_to_its_budgets_or_not() -> None:
    """Time beside check, size, and the time to open each decide; the table says so."""
    check = Run(seconds=1.0, processor=1.0, peak=MILLION, anonymous=0)
    good = picturing.Cost(
        name="bulk", segments=10, check=check, report=replace(check, processor=1.9),
        octets=9_999_999, opened=2.9,
    )  # fmt: skip
    bad = [
        replace(good, report=replace(check, processor=2.1)),
        replace(good, octets=picturing.LARGEST),
        replace(good, opened=picturing.LATEST),
    ]
    assert good.met
    assert not any(each.met for each in bad)
    lines = picturing.show([good, *bad]).splitlines()
    assert [line.split("|")[-2].strip() for line in lines[2:]] == ["yes", "NO", "NO", "NO"]
