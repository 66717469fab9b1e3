"""``mptcp-oracle diff``: right ones agree, wrong ones are shown, broken ones are clear errors."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import time
from functools import cache
from pathlib import Path
from typing import Any

import pytest
from click.testing import Result

import mptcp_oracle
from mptcp_oracle.dissectors.dissector import CrashError
from mptcp_oracle.dissectors.known import catalogue, read_known
from mptcp_oracle.dissectors.program import Program
from mptcp_oracle.dissectors.shrinking import shrunk
from mptcp_oracle.dissectors.tcpdump import TcpDump, words
from mptcp_oracle.errors import AdapterError, UsageError
from mptcp_oracle.report.rewriting import commented
from tests.adapters.captures import captured
from tests.common.checkout import ROOT
from tests.common.command import COMMAND
from tests.common.command_line import fake, run, said
from tests.common.explained import unexplained, used
from tests.common.machine import tool

CORPUS = ROOT / "corpus"
SMALL = CORPUS / "kernel" / "close-without-data.pcapng"


def diff(*arguments: str | Path) -> Result:
    """Run the command."""
    return run("diff", *arguments)


@cache
def of_corpus(name: str) -> tuple[int, list[dict[str, Any]]]:
    """Exit status and bodies of a dissector's comparison over all recordings."""
    result = diff("--with", name, "--json", CORPUS / "kernel", CORPUS / "tester")
    return result.exit_code, [json.loads(line) for line in result.stdout.splitlines()]


# --- those that are right ----------------------------------------------------------------------


@pytest.mark.parametrize("name", ["tshark", "tcpdump"])
def test_everything_that_a_dissector_says_of_the_corpus_is_known(name: str) -> None:
    """On all recordings every difference is explained by the catalogue."""
    tool(name)
    status, bodies = of_corpus(name)
    assert (status, unexplained(bodies)) == (0, [])
    assert len(bodies) > 60
    assert all(each["counts"]["crash"] == 0 for each in bodies)
    assert sum(each["counts"]["agree"] for each in bodies) > 80_000


@pytest.mark.parametrize("name", ["tshark"])
def test_every_known_difference_occurs(name: str) -> None:
    """One without trigger and capture that no recording shows any more is noticed: it was fixed."""
    tool(name)
    _, bodies = of_corpus(name)
    slugs = captured()
    assert used(bodies) >= {
        each.id for each in catalogue(name) if not each.trigger and f"{name}-{each.id}" not in slugs
    }


def test_the_oracles_own_facts_agree(tmp_path: Path) -> None:
    """A document that says what the oracle says has no difference, and leaves nothing unclaimed."""
    document = tmp_path / "own.jsonl"
    with document.open("w") as file:
        subprocess.run(
            [sys.executable, "-m", "mptcp_oracle.cli", "facts", SMALL], stdout=file, check=True
        )
    result = diff("--with", f"facts:{document}", "--json", SMALL)
    counts = json.loads(result.stdout)["counts"]
    assert result.exit_code == 0
    assert counts["agree"] > 300
    assert (counts["differ"], counts["no_claim"], counts["crash"]) == (0, 0, 0)


def test_what_a_document_does_not_state_is_no_claim() -> None:
    """A dissector that knows flags only is compared in these, and the rest is counted."""
    result = diff("--with", fake("partial"), "--json", SMALL)
    counts = json.loads(result.stdout)["counts"]
    assert result.exit_code == 0
    assert 0 < counts["agree"] < 50 < counts["no_claim"]


# --- those that are wrong ----------------------------------------------------------------------


def test_a_wrong_dissector_is_shown_where_it_is_wrong() -> None:
    """Field, frames, both values and the RFC's section stand in the report; the status is 1."""
    result = diff("--with", fake("always_wrong"), SMALL)
    assert result.exit_code == 1
    assert "segment.data_ack (RFC 8684 section 3.3.2): says something else" in result.output
    assert "the dissector says 2, the oracle 1" in result.output
    told = json.loads(diff("--with", fake("always_wrong"), "--json", SMALL).stdout)
    (difference,) = told["differences"]
    assert (difference["field"], difference["kind"], difference["known"]) == (
        "segment.data_ack", "other", None,
    )  # fmt: skip
    assert difference["dissector"] == [each + 1 for each in difference["oracle"]]


def test_a_baseline_forgives_what_was_there_before(tmp_path: Path) -> None:
    """With an earlier run beside it only what is new fails."""
    before = diff("--with", fake("always_wrong"), "--json", SMALL)
    old = tmp_path / "old.json"
    old.write_text(before.stdout)
    same = diff("--with", fake("always_wrong"), "--baseline", old, SMALL)
    assert (same.exit_code, same.output.splitlines()[-1]) == (0, "0 new")
    clean = diff("--with", fake("partial"), "--json", SMALL)
    old.write_text(clean.stdout)
    worse = diff("--with", fake("always_wrong"), "--baseline", old, SMALL)
    assert worse.exit_code == 1
    assert "new: segment.data_ack other" in worse.output


def test_ones_own_catalogue_explains(tmp_path: Path) -> None:
    """A user's entry makes a difference known, with its argument."""
    path = tmp_path / "mine.toml"
    path.write_text(
        'schema = 1\ndissector = "cmd"\n[[known]]\nid = "one-too-high"\ntitle = "one too high"\n'
        'fields = ["segment.data_ack"]\ncondition = "other"\nright = "facts"\nsection = "3.3.2"\n'
        'why = "It counts from one."\n'
    )
    result = diff("--with", fake("always_wrong"), "--known", path, SMALL)
    assert result.exit_code == 0
    assert "one-too-high, " in result.output


ENTRY = (
    'schema = 1\ndissector = "cmd"\n[[known]]\nid = "a"\ntitle = "a"\nfields = ["*"]\n'
    'condition = "other"\nright = "both"\nsection = "3"\nwhy = "a"\n'
)


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("", "no catalogue"),
        ("x", "no TOML"),
        ('schema = 1\ndissector = "cmd"\n[[known]]\nid = "a"\n', "entry 1 is not as it should be"),
        (ENTRY.replace("other", "sometimes"), "condition 'sometimes', which does not exist"),
        (ENTRY.replace('"both"', '"nobody"'), "right 'nobody', which does not exist"),
        (ENTRY + 'trigger = "never"\n', "trigger 'never', which does not exist"),
        (ENTRY.replace("cmd", "tshark") + 'trigger = "never"\n', "trigger 'never'"),
        (ENTRY + 'passes = "3"\n', "passes '3', which does not exist"),
        (ENTRY + "cause = 3\n", "values that are no text"),
        (ENTRY + ENTRY[ENTRY.index("[[") :], "entry 2 is not .*the id 'a' stands twice"),
    ],
)
def test_a_catalogue_that_is_not_in_order(tmp_path: Path, text: str, complaint: str) -> None:
    """What is wrong with it is said, with file and entry."""
    path = tmp_path / "mine.toml"
    path.write_text(text)
    with pytest.raises(UsageError) as caught:
        read_known([path])
    error = caught.value
    assert re.search(complaint, f"{error.message}: {error.cause} {error.hint}")


def test_an_entry_may_be_about_some_runs_only(tmp_path: Path) -> None:
    """With how many passes a difference is seen; its cause is itself if nothing else is said."""
    path = tmp_path / "mine.toml"
    path.write_text(ENTRY + 'passes = "2"\n')
    (known,) = read_known([path])
    assert [known.covers("1", passes) for passes in (1, 2)] == [False, True]
    assert (known.cause, known.trigger) == ("a", "")


# --- those that break --------------------------------------------------------------------------


def test_a_crash_is_a_finding() -> None:
    """A signal is no failure of the run: it is reported as a crash, with status 1."""
    result = diff("--with", fake("crashes"), SMALL)
    assert result.exit_code == 1, said(result)
    assert "crashed" in result.output
    assert "SIGSEGV" in result.output


def test_a_sanitizers_report_is_a_crash() -> None:
    """A build with sanitizers ends with a status of its own choice; what it wrote tells."""
    result = diff("--with", fake("sanitizer"), SMALL)
    assert result.exit_code == 1, said(result)
    assert json.loads(diff("--with", fake("sanitizer"), "--json", SMALL).stdout)["crash"]


@pytest.mark.parametrize(
    ("kind", "complaint"),
    [
        ("silent", "no document of facts"),
        ("nonsense", "no document of facts"),
        ("fails", "cannot read that"),
        ("endless", "a line of more than"),
    ],
)
def test_a_broken_dissector_is_a_clear_error(kind: str, complaint: str) -> None:
    """Nonsense, silence and failures are errors of the dissector: status 3, and the cause."""
    result = diff("--with", fake(kind), SMALL)
    assert result.exit_code == 3, said(result)
    assert complaint in result.output


def test_a_dissector_that_hangs_is_given_up() -> None:
    """It and what it has started are killed when its time is over."""
    begin = time.monotonic()
    result = diff("--with", fake("hangs"), "--patience", "2", SMALL)
    assert result.exit_code == 3
    assert "took too long" in result.output
    assert time.monotonic() - begin < 60


def test_the_callers_environment_is_passed_on(monkeypatch: pytest.MonkeyPatch) -> None:
    """Settings of sanitizers and the like reach the program."""
    monkeypatch.setenv("ASAN_OPTIONS", "abort_on_error=1")
    text = "import os; print(os.environ['ASAN_OPTIONS'])"
    assert list(Program(command=(sys.executable, "-c", text)).lines()) == ["abort_on_error=1"]


@pytest.mark.parametrize("options", [[], ["--json"]])
def test_a_reader_that_leaves_is_no_error(options: list[str]) -> None:
    """When the output's reader ends first, so does the command: silently, with status 141."""
    tool("tshark")
    reading, writing = os.pipe()
    os.close(reading)
    try:
        done = subprocess.run(
            [*COMMAND, "diff", "--with", "tshark", *options, str(SMALL)],
            stdout=writing,
            stderr=subprocess.PIPE,
            timeout=60,
            check=False,
        )
    finally:
        os.close(writing)
    assert (done.returncode, done.stderr) == (141, b"")


def test_a_program_that_is_not_there() -> None:
    """The error names it and says what to do."""
    result = diff("--with", "tshark=/nowhere/tshark", SMALL)
    assert isinstance(result.exception, AdapterError)
    assert "/nowhere/tshark is not there" in str(result.exception)
    assert "--with tshark=PATH" in str(result.exception)


@pytest.mark.parametrize("name", ["wireshark", "facts:", "cmd:", "tcpdump:4"])
def test_an_unknown_dissector_is_wrong_usage(name: str) -> None:
    """The names that there are stand in the error."""
    result = diff("--with", name, SMALL)
    assert isinstance(result.exception, UsageError)
    assert "tshark[=PATH]" in str(result.exception)


def lying(tmp_path: Path, version: str) -> Path:
    """A program that calls itself tshark of a version, and is the real one but for that."""
    path = tmp_path / "tshark"
    path.write_text(
        f'#!/bin/sh\nif [ "$1" = --version ]; then echo "TShark (Wireshark) {version}"; exit; fi\n'
        f'exec {tool("tshark")} "$@"\n'
    )
    path.chmod(0o755)
    return path


def test_what_a_version_claims_decides(tmp_path: Path) -> None:
    """A version is what the program says; one that says none is refused."""
    result = diff("--with", f"tshark={lying(tmp_path, '99.1.2')}", SMALL)
    assert result.exit_code == 0
    assert "tshark 99.1.2" in result.output
    result = diff("--with", f"tshark={lying(tmp_path, 'of tomorrow')}", SMALL)
    assert isinstance(result.exception, AdapterError)
    assert "does not say its version" in str(result.exception)


def test_entries_are_for_versions() -> None:
    """An entry that a later version has fixed does not explain that version's differences."""
    entry = catalogue("tshark")[0]
    fixed = type(entry)(**{**{name: getattr(entry, name) for name in entry.__slots__},
                           "since": "4.0", "fixed_by": "4.2"})  # fmt: skip
    versions = ("3.6.2", "4.0.0", "4.0.17", "4.2.0", "unknown")
    assert [fixed.covers(each) for each in versions] == [False, True, True, False, True]


def test_crashes_have_their_status_and_words() -> None:
    """Who keeps crashes finds signal and last words in the error's data."""
    program = Program(
        command=(sys.executable, "-c", "import os,sys; print(1); sys.stdout.flush(); os.abort()")
    )
    lines = program.lines()
    assert next(lines) == "1"
    with pytest.raises(CrashError) as caught:
        list(lines)
    assert caught.value.cause == "SIGABRT"
    assert caught.value.data["status"] == -6


# --- tcpdump's words ---------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (
            "IP 10.0.0.1.1 > 10.0.0.2.2: Flags [S], seq 7, win 64240, options [mss 1460,"
            "mptcp 4 capable v1], length 0",
            {
                "tcp.flags": ("S",), "tcp.seq": ("7",), "tcp.win": ("64240",),
                "tcp.length": ("0",), "mptcp.option": ("capable",), "mptcp.length": ("4",),
                "mptcp.version": ("1",),
            },
        ),
        (
            "IP6 ::1.1 > ::2.2: Flags [P.], seq 7:17, ack 5, win 63, options [nop,nop,"
            "mptcp 22 capable v1 {0xa,0xb},nop,nop,mptcp 3 prio non-backup], length 10",
            {
                "tcp.flags": ("P.",), "tcp.seq": ("7",), "tcp.ack": ("5",), "tcp.win": ("63",),
                "tcp.length": ("10",), "mptcp.option": ("capable", "prio"),
                "mptcp.length": ("22", "3"), "mptcp.version": ("1",), "mptcp.key": ("0xa",),
                "mptcp.peer_key": ("0xb",), "mptcp.backup": ("non-backup",),
            },
        ),
        (
            "IP 10.0.0.1.1 > 10.0.0.2.2: Flags [.], ack 5, win 63, options "
            "[mptcp 28 dss fin ack 4 seq 9 subseq 0 len 1 csum 0xabcd], length 0",
            {
                "tcp.flags": (".",), "tcp.ack": ("5",), "tcp.win": ("63",), "tcp.length": ("0",),
                "mptcp.option": ("dss",), "mptcp.length": ("28",), "mptcp.fin": ("fin",),
                "mptcp.ack": ("4",), "mptcp.seq": ("9",), "mptcp.subseq": ("0",),
                "mptcp.len": ("1",), "mptcp.checksum": ("0xabcd",),
            },
        ),
        (
            "IP 10.0.0.1.1 > 10.0.0.2.2: Flags [.], ack 5, win 63, options "
            "[mptcp 24 capable[bad opt]]",
            {
                "tcp.flags": (".",), "tcp.ack": ("5",), "tcp.win": ("63",),
                "mptcp.option": ("capable",), "mptcp.length": ("24",), "mptcp.bad": ("bad",),
            },
        ),
        (
            "IP 10.0.0.1.1 > 10.0.0.2.2: Flags [.], ack 5, win 63, options "
            "[mptcp 18 add-addr v1 id 1 10.2.2.1:5002 hmac 0x1f,mptcp 5 rem-addr id 7 8], length 0",
            {
                "tcp.flags": (".",), "tcp.ack": ("5",), "tcp.win": ("63",), "tcp.length": ("0",),
                "mptcp.option": ("add-addr", "rem-addr"), "mptcp.length": ("18", "5"),
                "mptcp.version": ("1",), "mptcp.id": ("1", "7", "8"),
                "mptcp.address": ("10.2.2.1:5002",), "mptcp.hmac": ("0x1f",),
            },
        ),
        ("ARP, Request who-has 10.0.0.1 tell 10.0.0.2, length 28", {}),
    ],
    ids=["syn", "first data", "dss", "bad", "addresses", "no TCP"],
)  # fmt: skip
def test_tcpdumps_words(text: str, expected: dict[str, tuple[str, ...]]) -> None:
    """Each option's words are those of that option, in their order."""
    assert words(text) == expected


def test_a_line_without_a_number_is_refused(tmp_path: Path) -> None:
    """What is not tcpdump's is an error of the adapter, with the line."""
    path = tmp_path / "tcpdump"
    path.write_text("#!/bin/sh\necho hello\n")
    path.chmod(0o755)
    with pytest.raises(AdapterError, match="no numbered line"):
        list(TcpDump(path=os.fspath(path)).frames(SMALL))


# --- the fewest frames -------------------------------------------------------------------------


def test_a_difference_is_shown_by_the_fewest_frames(tmp_path: Path) -> None:
    """One frame of a whole capture is enough for what one option says, and its comment tells."""
    tool("tcpdump")
    capture = CORPUS / "kernel" / "fast-close-by-client.pcapng"
    folder = tmp_path / "minimal"
    result = diff("--with", "tcpdump", "--no-known", "--shrink", folder, capture)
    assert result.exit_code == 1
    names = sorted(path.name for path in folder.iterdir())
    assert names == [
        "fast-close-by-client-mptcp-len-missing.pcapng",
        "fast-close-by-client-mptcp-option-other.pcapng",
    ]
    for name in names:
        with mptcp_oracle.analyze(folder / name) as trace:
            assert trace.capture.frames == 1
        assert b"the oracle" in (folder / name).read_bytes()
        again = diff("--with", "tcpdump", "--no-known", "--json", folder / name)
        assert len(json.loads(again.stdout)["differences"]) == 1


def test_only_files_are_shrunk() -> None:
    """A document of facts cannot be asked about a part of its capture."""
    result = diff("--with", "facts:x.jsonl", "--shrink", "x", SMALL)
    assert isinstance(result.exception, UsageError)


@pytest.mark.parametrize("wanted", [{3}, {0, 19}, {7, 8, 9}, set(range(0, 20, 2)), set(range(20))])
def test_shrinking_keeps_what_is_needed_and_nothing_else(wanted: set[int]) -> None:
    """Whatever set of items is needed, that set is found, in its order."""
    assert shrunk(range(20), lambda part: wanted <= set(part)) == tuple(sorted(wanted))


def test_shrinking_ends_with_its_budget() -> None:
    """Never more questions than allowed; what is found until then still shows it."""
    asked: list[tuple[int, ...]] = []

    def shows(part: tuple[int, ...]) -> bool:
        asked.append(part)
        return sum(part) >= 100

    found = shrunk(range(1, 100), shows, budget=3)
    assert len(asked) == 3
    assert sum(found) >= 100
    assert shrunk((1,), lambda part: True) == (1,)


@pytest.mark.parametrize("name", ["kernel/close-without-data.pcapng", "kernel/headers-only.pcap"])
def test_chosen_frames_stay_octet_for_octet(name: str, tmp_path: Path) -> None:
    """A part of a capture has those frames, unchanged, and no others."""
    with mptcp_oracle.analyze(CORPUS / name) as whole:
        data, rows = whole.capture.data, whole.wire.segments
        kept = [frame for frame in rows["frame"] if frame % 3 == 0]
        octets = b"".join(commented(data, {kept[0]: "here"}, "a part", kept))
        times = [rows["time"][at] for at, frame in enumerate(rows["frame"]) if frame in kept]
    path = tmp_path / "part.pcapng"
    path.write_bytes(octets)
    with mptcp_oracle.analyze(path) as part:
        assert part.capture.frames == len(kept)
        assert list(part.wire.segments["time"]) == times
