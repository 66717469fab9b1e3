"""Random sequences: they find what is wrong, make it small, and find nothing in what is right."""

from __future__ import annotations

import json
import os
import re
from pathlib import Path

import pytest
from click.testing import CliRunner
from hypothesis import given
from hypothesis import strategies as st

import mptcp_oracle
from mptcp_oracle.live.active.command import probe_command
from mptcp_oracle.live.peer import kernel
from mptcp_oracle.live.peer.kernel import KernelTarget
from mptcp_oracle.live.peer.target import Settings
from mptcp_oracle.live.stack import StackTarget
from mptcp_oracle.live.stateful import campaign, falling, report
from mptcp_oracle.live.stateful.campaign import KNOWN, Finding, run
from mptcp_oracle.live.stateful.packetdrill import script
from mptcp_oracle.live.stateful.play import FindingError
from mptcp_oracle.live.stateful.sequence import EVENTS, Plan, Played, drawn, play, reductions
from mptcp_oracle.live.stateful.tracker import Tracker, pairs
from mptcp_oracle.model.tables import CONNECTION
from tests.common.checkout import ROOT
from tests.common.machine import unavailable

PAGE = ROOT / "docs" / "stateful.md"


def played(*steps: tuple[str, int], faults: frozenset[str] = frozenset(), **plan: bool) -> Played:
    """A sequence played to our own stack."""
    target = StackTarget(Settings(), faults)
    target.listen()
    return play(Plan(steps=steps, **plan), target, "test", telling=True)


def test_nothing_is_found_in_what_is_right() -> None:
    """Our own stack has no finding, neither by events nor by the rules for captures."""
    found = run(StackTarget, count=150, seed=1)
    assert [each.kind for each in found.findings] == []
    assert found.sequences == 150
    assert len(found.taken) > 40
    assert found.events.keys() > {"join", "data-redundant", "wrong-hmac", "told-of-failure"}


@pytest.mark.parametrize(
    ("fault", "steps"),
    [
        ("unknown-token-answered", {"unknown-token": 0}),
        ("short-dsn-refused", {"data-short-numbers": 1}),
        ("rst-ends-connection", {"join": 0, "unmapped": 0}),
    ],
)
def test_a_fault_is_found_and_made_small(fault: str, steps: dict[str, int]) -> None:
    """A campaign against a wrong stack ends in the fewest events that show the fault."""
    found = run(lambda it: StackTarget(it, frozenset({fault})), count=200, seed=2)
    smallest = min((each.played.plan.steps for each in found.findings), key=len)
    assert dict(smallest) == steps
    assert all(each.played.log.lines for each in found.findings)


def test_what_the_rules_for_captures_find_is_a_finding() -> None:
    """What no event looks at is found by the rules: resets that give no reason."""
    found = run(lambda it: StackTarget(it, frozenset({"resets-without-reason"})), count=150, seed=1)
    assert {each.kind[:5] for each in found.findings} == {"8684-"}


@given(octets=st.binary(min_size=1, max_size=40))
def test_any_octets_are_a_sequence(octets: bytes) -> None:
    """Octets that were drawn are a sequence of known events."""
    plan = drawn(octets)
    assert len(plan.steps) == (len(octets) - 1) // 2
    assert {name for name, _ in plan.steps} <= EVENTS.keys()


def test_reductions_are_smaller() -> None:
    """Each reduction has fewer steps, smaller numbers or simpler settings; the least has none."""
    plan = Plan(steps=(("data", 3), ("join", 1), ("write", 0)), calls=True, checksum=True)

    def size(it: Plan) -> tuple[int, int, int]:
        return len(it.steps), it.calls + it.checksum, sum(number for _, number in it.steps)

    found = list(reductions(plan))
    assert found
    assert all(size(each) < size(plan) for each in found)
    assert all(number >= 0 for each in found for _, number in each.steps)
    assert list(reductions(Plan(steps=()))) == []


def test_events_whose_condition_does_not_hold_are_left_out() -> None:
    """Without a second subflow there is none to reset, and after the end nothing is sent."""
    done = played(("reset", 0), ("data-fin", 0), ("data", 0), ("finish", 0), ("write", 0))
    assert done.finding is None
    assert dict(done.events) == {"data-fin": 1, "finish": 1}


def test_the_tracker_refuses_what_the_table_does_not_have() -> None:
    """A transition from a state that the model does not list is an error of the event."""
    tracker = Tracker("M_LISTEN")
    tracker.take("C02")
    assert tracker.state == "M_SYN_RCVD"
    with pytest.raises(ValueError, match=r"C14 .* does not start from M_SYN_RCVD"):
        tracker.take("C14")
    tracker.leave("C07")
    assert tracker.ended
    assert ("C02", "M_LISTEN") in pairs()
    assert len(pairs()) == sum(len(each.states) for each in CONNECTION)


def test_a_hung_implementation_ends_in_a_finding() -> None:
    """If nothing answers, the sequence ends and says so."""

    class Deaf(StackTarget):
        def send(self, packet: bytes) -> None:
            del packet

    target = Deaf()
    target.listen()
    done = play(Plan(steps=(("data", 0),)), target, "test")
    assert done.finding == "the implementation does not answer a right MP_CAPABLE"


LINE = re.compile(
    r"""
      //.* | --tolerance_usecs=\d+ | `\.\./common/defaults\.sh`
    | [ +]0[ ]\w+\(.*\)[ ]=[ ]\d+
    | \+0[ ][<>][ ][SFRPU.]+[ ]\d+:\d+\(\d+\)([ ]ack[ ]\d+)?([ ]win[ ]\d+)?([ ]<(?P<options>.*)>)?
    """,
    re.VERBOSE,
)
OPTION = re.compile(
    r"""
      mss[ ]\d+ | nop
    | mpcapable[ ]v1[ ]flags\[(flag_[abch],?)+\][ ](nokey | key\[skey\] | key\[ckey=\d+,[ ]skey\]
        | key\[skey,[ ]ckey\][ ]mpcdatalen[ ]\d+)
    | dss([ ]dack[48]=\d+)?([ ]dsn[48]=\d+[ ]ssn=\d+[ ]dll=\d+)?[ ](nocs|cs=\d+)([ ]fin)?
    | mp_prio[ ]backup=[01] | mp_fail[ ]dsn8=\d+ | mp_reset[ ]\d+ | mp_fastclose
    """,
    re.VERBOSE,
)


def wrong_lines(text: str) -> list[str]:
    """The lines that are no packetdrill."""
    found = []
    for line in text.splitlines():
        match = LINE.fullmatch(line)
        words = (match["options"] if match else None) or ""
        options = re.split(r",[ ](?![^\[]*\])", words) if words else []
        if line and (match is None or not all(map(OPTION.fullmatch, options))):
            found.append(line)
    return found


def test_a_sequence_is_a_packetdrill_script() -> None:
    """Calls and packets in order, in the notation of packetdrill's MPTCP branch."""
    done = played(("write", 3), ("priority", 1), ("data-fin", 0), ("finish", 0))
    text = script(done)
    assert text is not None
    assert wrong_lines(text) == []
    lines = text.splitlines()
    third = "+0 < . 1:1(0) ack 1 win 65535 <mpcapable v1 flags[flag_h] key[ckey="
    assert any(line.startswith(third) for line in lines)
    assert "+0 > P. 1:35(34) ack 51 <dss dack8=51 dsn8=1 ssn=1 dll=34 nocs, nop, nop>" in lines
    assert lines.index("+0 accept(3, ..., ...) = 4") < lines.index("+0 write(4, ..., 34) = 34")
    assert any("dsn8=35 ssn=0 dll=1 nocs fin" in line for line in lines)


def test_what_packetdrill_cannot_say_has_no_script() -> None:
    """A second subflow, or an implementation that connects, needs more than one scripted peer."""
    assert script(played(("join", 0))) is None
    assert script(played(("data", 0), calls=True)) is None


def test_a_line_that_is_no_packetdrill_is_found() -> None:
    """The check can fail: a word that the notation does not have is reported."""
    assert wrong_lines("+0 < . 1:1(0) ack 1 <dss dack8=x nocs>") != []
    assert wrong_lines("+0 accept(3) -> 4") != []


def test_findings_are_written(tmp_path: Path) -> None:
    """A capture that the analyzer reads, and a script."""
    done = played(("unknown-token", 0), faults=frozenset({"unknown-token-answered"}))
    assert done.finding == "an unknown token is not refused"
    report.write_finding(Finding(kind=done.finding, played=done, number=1), tmp_path)
    done = played(("data-again", 0))
    report.write_finding(Finding(kind="No reason, at all!", played=done, number=1), tmp_path)
    assert {path.name for path in tmp_path.iterdir()} == {
        "an-unknown-token-is-not-refused.pcapng",
        "no-reason-at-all.pcapng",
        "no-reason-at-all.pkt",
    }
    with mptcp_oracle.analyze(tmp_path / "no-reason-at-all.pcapng") as trace:
        assert trace.capture.frames == len(done.log.frames)


def test_the_command_plays_sequences(tmp_path: Path) -> None:
    """--sequences tells findings and figures; its status says whether there are unknown ones."""
    done = CliRunner().invoke(probe_command, ["--target", "stack", "--sequences", "60"])
    assert done.exit_code == 0, done.output
    assert done.output.startswith("60 sequences, ")
    arguments = ["--target", "stack:fastclose-key-not-checked", "--sequences", "120"]
    done = CliRunner().invoke(probe_command, [*arguments, "-o", str(tmp_path)])
    assert done.exit_code == 1
    assert "    wrong-key " in done.output
    assert list(tmp_path.glob("*.pcapng"))


def test_a_known_finding_is_expected() -> None:
    """What is known is told with its reason."""
    done = played(("data", 0))
    each = Finding(kind=falling.STALLED, played=done, number=2)
    found = campaign.Campaign(sequences=5, seconds=1.0, findings=[each])
    assert each.known == KNOWN[falling.STALLED]
    assert next(iter(report.lines(found))) == f"expected: {falling.STALLED} (2 sequences)"


def test_the_kernel_log_is_watched(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A change of the taint, and a line of the log that speaks of a bug, are trouble."""
    taint = tmp_path / "tainted"
    taint.write_text("0\n")
    monkeypatch.setattr(campaign, "TAINT", taint)
    read, write = os.pipe()
    os.set_blocking(read, False)
    monkeypatch.setattr(campaign, "open_log", lambda: read)
    watch = campaign.Watch()
    assert watch.trouble() == ""
    os.write(write, b"4,1,2,-;WARNING: CPU: 0 PID: 1 at net/mptcp/protocol.c:1\n")
    assert watch.trouble() == "the kernel says: WARNING: CPU: 0 PID: 1 at net/mptcp/protocol.c:1"
    taint.write_text("512\n")
    assert watch.trouble() == "the kernel's taint changed from 0 to 512"
    os.close(read)
    os.close(write)


def test_left_over_sockets_are_a_finding(monkeypatch: pytest.MonkeyPatch) -> None:
    """A batch that leaves sockets behind says so."""
    numbers = iter(range(100))

    class Leaking(StackTarget):
        def sockets(self) -> dict[str, int]:
            return {"MPTCP": next(numbers)}

    monkeypatch.setattr(campaign, "PATIENCE", 2)
    found = run(Leaking, count=3, seed=1)
    assert [each.kind for each in found.findings] == ["sockets are left over: MPTCP"]


def test_the_kernel_survives_sequences() -> None:
    """The local kernel has no unknown finding in some sequences, in both families."""
    for error in kernel.missing():
        unavailable(error.message)
    for family in (4, 6):
        found = run(KernelTarget, count=60, seed=3, family=family)
        assert [each.kind for each in found.findings if not each.known] == []


def test_a_finding_names_its_kind() -> None:
    """The kind of a finding is its message."""
    assert FindingError("a kind").kind == str(FindingError("a kind")) == "a kind"


def test_the_page_is_what_was_found() -> None:
    """The page of the campaign is written from what it found, word for word."""
    found = json.loads((PAGE.parent / "stateful" / "found.json").read_text("utf-8"))
    text = PAGE.read_text("utf-8")
    assert report.page(text.partition(report.MARK)[0], found) == text
    folder = PAGE.parent / "stateful"
    names = {report.slug(each["kind"]) for each in found["findings"]}
    assert {path.stem for path in folder.glob("*.pcapng")} == names
    scripts = list(folder.glob("*.pkt"))
    assert scripts
    assert all(wrong_lines(path.read_text("utf-8")) == [] for path in scripts)
    assert all(each["known"] for each in found["findings"])
