"""Both sides of a comparison in stretches: packed or not, lines or words, here or elsewhere."""

from __future__ import annotations

import dataclasses
import os
import signal
import subprocess
import sys
import time
from collections.abc import Mapping
from concurrent.futures.process import BrokenProcessPool
from functools import partial
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mptcp_oracle.analysis.trace import analyze
from mptcp_oracle.diff import Comparison, cases, compare, heard
from mptcp_oracle.dissectors import blocks, explaining
from mptcp_oracle.dissectors.blocks import Blocks
from mptcp_oracle.dissectors.dissector import Words
from mptcp_oracle.dissectors.explaining import Ahead, ahead
from mptcp_oracle.dissectors.known import catalogue
from mptcp_oracle.dissectors.lines import Line, packed, unpacked
from mptcp_oracle.dissectors.proofs import number_shown
from mptcp_oracle.dissectors.rows import gathered
from mptcp_oracle.dissectors.sides import read
from mptcp_oracle.dissectors.tshark import TShark
from mptcp_oracle.dissectors.tshark_fields import FIELDS
from mptcp_oracle.dissectors.values import first_declaring
from mptcp_oracle.dissectors.view import View
from mptcp_oracle.errors import AdapterError
from tests.common.checkout import ROOT
from tests.common.conversation import Conversation
from tests.common.machine import tool
from tests.common.tape import ACK, Tape

CAPTURE = ROOT / "corpus" / "kernel" / "bulk-two-paths.pcapng"

KNOWN = partial(catalogue, "tshark")


def results(found: Comparison) -> tuple[object, ...]:
    """What a comparison says, without the objects that it says it of."""
    groups = [
        (key, each.known and each.known.id, each.count, each.frames, str(each.first))
        for key, each in found.groups.items()
    ]
    return found.equal, found.no_claim, groups


@pytest.fixture
def few(monkeypatch: pytest.MonkeyPatch) -> None:
    """Two blocks are kept as objects."""
    monkeypatch.setattr(blocks, "LIVE", 2)


@given(pairs=st.lists(st.tuples(st.integers(1, 5_000), st.integers() | st.text(max_size=3))))
def test_blocks_are_a_dictionary(pairs: list[tuple[int, int | str]]) -> None:
    """Whatever the order of frames, packed or not, they hold what was put in, in order."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(blocks, "LIVE", 1)
        found: Blocks[int | str] = Blocks()
        for frame, value in pairs:
            found.put(frame, value)
        wanted = dict(sorted(dict(pairs).items()))
        assert list(found.items()) == list(wanted.items())
        assert list(found) == list(wanted)
        assert list(found.values()) == list(wanted.values())
        assert len(found) == len(wanted)
        assert all(found[frame] == found.get(frame) == value for frame, value in wanted.items())
        assert found.get(5_001) is None
        assert 5_001 not in found


def test_a_line_is_its_words() -> None:
    """Cells without text say nothing; others have one value or several."""
    line = Line(("one", "two", "three"), "1\t\t3;4")
    assert dict(line) == {"one": ("1",), "three": ("3", "4")}
    assert line.get("two") is None
    assert line.get("four", ()) == ()
    assert line["three"] == ("3", "4")
    assert unpacked(packed(line)) == line
    assert unpacked(packed(dict(line))) == dict(line)


@pytest.mark.usefixtures("few")
def test_lines_and_words_have_the_same_sides() -> None:
    """A table of lines is read like the words of each frame."""
    tool("tshark")
    said, _ = heard(TShark(), CAPTURE)
    assert any(isinstance(each, Line) for each in said.values())
    words = {frame: dict(each) for frame, each in said.items()}
    with analyze(CAPTURE) as trace:
        view = gathered(trace, CAPTURE)
    for row in FIELDS:
        one, other = (
            [(case.frame, case.theirs, case.ours) for case in cases(row, each, view)]
            for each in (said, words)
        )
        assert one == other, row.name


@pytest.fixture
def two(monkeypatch: pytest.MonkeyPatch) -> None:
    """Two processors, and every capture is a long one."""
    monkeypatch.setattr(explaining, "LONG", 1)
    monkeypatch.setattr(explaining, "processors", lambda: 2)


def explained(beside: Ahead | None, said: Mapping[int, Words]) -> tuple[View, Comparison]:
    """The comparison of the capture, and the facts that it took."""
    with analyze(CAPTURE) as trace:
        view = gathered(trace, CAPTURE)
    return view, compare(FIELDS, said, view, catalogue("tshark"), ahead=beside)


@pytest.mark.usefixtures("few", "two")
def test_another_process_explains_alike() -> None:
    """Groups, counts and frames are the same wherever differences are explained."""
    tool("tshark")
    said, _ = heard(TShark(), CAPTURE)
    here, found = explained(None, said)
    with ahead("tshark", KNOWN, CAPTURE) as beside:
        assert beside is not None
        there, other = explained(beside, said)
    assert results(found) == results(other)
    assert found.groups
    assert "tshark" in here._derived
    assert "tshark" not in there._derived


@pytest.mark.usefixtures("two")
def test_a_process_that_dies_is_done_without(monkeypatch: pytest.MonkeyPatch) -> None:
    """Should the other process be killed, everything is explained in this one."""
    tool("tshark")
    said, _ = heard(TShark(), CAPTURE)
    monkeypatch.setattr(explaining, "_begin", lambda *_: os.kill(os.getpid(), signal.SIGKILL))
    with ahead("tshark", KNOWN, CAPTURE) as beside:
        assert beside is not None
        _, found = explained(beside, said)
    assert results(found) == results(explained(None, said)[1])


@pytest.mark.usefixtures("two")
def test_a_process_that_must_know_more_is_done_without(monkeypatch: pytest.MonkeyPatch) -> None:
    """What the dissector says is known in this process only; who asks for it is answered here."""
    asking = dataclasses.replace(
        catalogue("tshark")[0], fields=("*",), holds=lambda case: bool(case.said[case.frame])
    )
    said, _ = heard(TShark(), CAPTURE)
    with ahead("tshark", lambda: [asking], CAPTURE) as beside, analyze(CAPTURE) as trace:
        assert beside is not None
        found = compare(FIELDS, said, gathered(trace), [asking], ahead=beside)
    assert found.groups
    assert not found.new


def test_the_process_beside_ends_with_this_one(tmp_path: Path) -> None:
    """A command that is killed leaves no process behind, whatever kills it."""
    program = tmp_path / "program.py"
    program.write_text(
        "import os, sys, time\n"
        "from pathlib import Path\n"
        "from mptcp_oracle.dissectors import explaining\n"
        "from mptcp_oracle.dissectors.known import catalogue\n"
        "explaining.LONG, explaining.processors = 1, lambda: 2\n"
        f"capture, known = Path({str(CAPTURE)!r}), lambda: catalogue('tshark')\n"
        "with explaining.ahead('tshark', known, capture) as it:\n"
        "    it.pool.submit(os.getpid).result()\n"
        "    print(it.pool.submit(os.getpid).result(), flush=True)\n"
        "    time.sleep(60)\n"
    )
    with subprocess.Popen([sys.executable, program], stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        beside = int(process.stdout.readline())
        process.kill()
    for _ in range(200):
        try:
            os.kill(beside, 0)
        except ProcessLookupError:
            return
        time.sleep(0.05)
    os.kill(beside, signal.SIGKILL)
    pytest.fail("it still runs")


@pytest.mark.usefixtures("two")
def test_a_process_that_cannot_prepare_ends(monkeypatch: pytest.MonkeyPatch) -> None:
    """It does not try again for each question; everything is explained in this process."""
    tool("tshark")
    said, _ = heard(TShark(), CAPTURE)

    def fail(_: View) -> None:
        raise RecursionError

    monkeypatch.setattr(explaining, "AHEAD", {"tshark": fail})
    with ahead("tshark", KNOWN, CAPTURE) as beside:
        assert beside is not None
        _, found = explained(beside, said)
        with pytest.raises(BrokenProcessPool):
            beside.pool.submit(os.getpid).result()
    assert results(found) == results(explained(None, said)[1])


@pytest.mark.usefixtures("two")
def test_a_process_that_does_not_begin_is_done_without(monkeypatch: pytest.MonkeyPatch) -> None:
    """Where no more processes are to be had, nothing is lost but time."""

    def refuse(*_: object) -> None:
        raise BlockingIOError

    monkeypatch.setattr(explaining.ProcessPoolExecutor, "submit", refuse)
    with ahead("tshark", KNOWN, CAPTURE) as beside:
        assert beside is None


@pytest.mark.parametrize("name", ["mptcp.dsn", "tcp.flags", "mptcp.related_mapping"])
def test_what_is_no_value_is_a_clear_error(name: str) -> None:
    """The error has the field and the text."""
    row = next(each for each in FIELDS if each.name == name)
    with pytest.raises(AdapterError, match=f"{name} is no value") as error:
        read(row, ("7", "x7x"), dict)
    assert "x7x" in str(error.value.cause)


def test_nothing_is_begun_in_vain(monkeypatch: pytest.MonkeyPatch, two: None) -> None:
    """Not for other dissectors, nor without a catalogue or a second processor, nor if short."""
    for name, entries in (("tcpdump", KNOWN), ("tshark", tuple)):
        with ahead(name, entries, CAPTURE) as beside:
            assert beside is None
    with ahead("tshark", KNOWN, Path("none.pcap")) as beside:
        assert beside is None
    monkeypatch.setattr(explaining, "processors", lambda: 1)
    with ahead("tshark", KNOWN, CAPTURE) as beside:
        assert beside is None


def test_fields_that_a_version_does_not_know_are_left_out() -> None:
    """Tshark refuses all fields for one that is new; the others are asked for then."""
    tool("tshark")
    new = dataclasses.replace(FIELDS[0], name="tcp.options.mptcp.of_the_future")
    dissector = TShark(fields=(*FIELDS, new))
    said = dict(dissector.frames(Path(CAPTURE)))
    assert new.name not in dissector.claims()
    assert FIELDS[0].name in dissector.claims()
    assert {frame: dict(each) for frame, each in said.items()} == {
        frame: dict(each) for frame, each in TShark().frames(Path(CAPTURE))
    }


@pytest.mark.parametrize("version", [0, 1, 2, 15])
def test_keys_of_any_version_can_be_compared(version: int, tmp_path: Path) -> None:
    """Also of versions without a known hash; data of an MP_CAPABLE are mapped but in version 0."""
    tape = Tape()
    flow = Conversation(tape).flow()
    capable = bytes([30, 24, version, 0x01]) + bytes(range(18)) + bytes([0, 4])
    for _ in range(2):
        flow.segment(0, ACK, capable, payload=b"data", seq=1)
    path = tmp_path / "capable.pcap"
    path.write_bytes(tape.pcap())
    with analyze(path) as trace:
        view = gathered(trace, path)
    assert first_declaring(view) == ({2: 1} if version else {})
    for row in FIELDS:
        found = list(cases(row, {}, view))
        assert all(number_shown(case) in (True, False) for case in found)
    assert compare(FIELDS, {}, view, catalogue("tshark")).groups
