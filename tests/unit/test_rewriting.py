"""Captures written again with comments: every packet the same, every comment at its frame."""

from __future__ import annotations

import gzip
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from mptcp_oracle.generators.emit import emit

from mptcp_oracle.model.capture import Layout
from mptcp_oracle.report.annotate import comments, summary
from mptcp_oracle.report.rewriting import commented
from mptcp_oracle.verdict import Outcome, Verdict
from mptcp_oracle.wire.capture import open_capture
from tests.common import captures as c
from tests.common.checkout import ROOT
from tests.common.command import run
from tests.common.judged import REQUIREMENT, faulty, octets
from tests.common.machine import tool
from tests.common.script import story

#: How the comment begins that generated captures have.
LICENCE = "SPDX"
LAYOUTS = {
    "pcapng": Layout(),
    "pcapng, big-endian": Layout(big_endian=True),
    "pcapng, microseconds, directions": Layout(nanoseconds=False, directions=True),
    "pcap": Layout(file="pcap"),
    "pcap, big-endian": Layout(file="pcap", big_endian=True),
    "pcap, microseconds": Layout(file="pcap", nanoseconds=False),
    "pcap, cut": Layout(file="pcap", snap_length=90),
}


def capture_with(layout: Layout) -> bytes:
    """A capture of one connection in some layout."""
    from mptcp_oracle.model.choices import Counted
    from mptcp_oracle.model.compose import capture_of
    from mptcp_oracle.model.vantage import Tap

    return emit(capture_of(story(), Tap(vantage="initiator"), (), layout, Counted(0)))


def rewritten(data: bytes, texts: dict[int, str], note: str = "whole file") -> bytes:
    """The capture with comments."""
    return b"".join(commented(memoryview(data), texts, note))


def packets(data: bytes) -> Iterator[tuple[object, ...]]:
    """What a reader sees of each segment, its place in the file aside."""
    with open_capture(data, name="capture") as capture:
        for batch in capture.packets():
            for i in range(batch.n):
                at, held = batch.tcp[i], batch.captured[i]
                yield (
                    batch.frame[i], batch.time[i], batch.length[i], batch.direction[i],
                    bytes(capture.data[at : at + held]),
                )  # fmt: skip


@pytest.mark.parametrize("layout", LAYOUTS.values(), ids=LAYOUTS)
def test_packets_stay_as_they_are(layout: Layout) -> None:
    """Frame numbers, times, directions and octets are the same, with comments and without."""
    data = capture_with(layout)
    before = list(packets(data))
    assert before
    for texts in ({}, {1: "one", 3: "thr\u00e9e"}, {n: "x" * n for n in range(1, 40)}):
        assert list(packets(rewritten(data, texts))) == before


@pytest.mark.parametrize("layout", LAYOUTS.values(), ids=LAYOUTS)
def test_comments_are_at_their_frames(layout: Layout) -> None:
    """The comments that a reader finds are those that were given, and the one on the file."""
    texts = {1: "first", 4: "two\nlines"}
    with open_capture(rewritten(capture_with(layout), texts), name="capture") as capture:
        for _ in capture.packets():
            pass
        found = [
            (each.scope, each.frame, each.text)
            for each in capture.comments
            if not each.text.startswith(LICENCE)
        ]
    assert found == [
        ("section", None, "whole file"),
        *(("packet", *item) for item in texts.items()),
    ]


def test_old_comments_stay() -> None:
    """A frame that has a comment already keeps it beside the new one."""
    once = rewritten(capture_with(Layout()), {2: "old"}, "first")
    twice = rewritten(once, {2: "new"}, "second")
    with open_capture(twice, name="capture") as capture:
        for _ in capture.packets():
            pass
        texts = [each.text for each in capture.comments if not each.text.startswith(LICENCE)]
    assert texts == ["second", "first", "new", "old"]


def test_what_is_behind_damage_is_copied() -> None:
    """A file that ends inside a block or a record is written up to there, nothing is invented."""
    for layout in (Layout(), Layout(file="pcap")):
        data = capture_with(layout)
        short = data[: len(data) - 7]
        assert list(packets(rewritten(short, {1: "x"}))) == list(packets(short))
    block = c.section() + c.interface() + b"\x06\0\0\0\x03\0\0\0" + bytes(20)
    assert rewritten(block, {}, "").endswith(bytes(20))


def test_failures_become_comments() -> None:
    """Each failure stands at each of its frames; passes and doubts stand nowhere."""

    def verdict(outcome: Outcome, *frames: int, waived: str | None = None) -> Verdict:
        return Verdict(
            requirement=REQUIREMENT, outcome=outcome, severity="violation", host="listener",
            connection=0, frames=frames, why="because", waived=waived,
        )  # fmt: skip

    found = comments(
        [
            verdict(Outcome.FAIL, 3, 5),
            verdict(Outcome.FAIL, 5, waived="known"),
            verdict(Outcome.INCONCLUSIVE, 6),
            verdict(Outcome.PASS),
        ]
    )
    text = f"{REQUIREMENT} (listener): because"
    assert found == {3: f"violation: {text}", 5: f"violation: {text}\nexpected: {text}"}
    assert summary([verdict(Outcome.FAIL, 3)], {"fail": 1}).splitlines()[1:] == [REQUIREMENT]


def test_wireshark_shows_the_comments(tmp_path: Path) -> None:
    """Tshark finds the comments at the frames of the evidence, and the packets unchanged."""
    tshark = tool("tshark")
    capture, judged = tmp_path / "faulty.pcapng", tmp_path / "judged.pcapng"
    capture.write_bytes(octets())
    done = run("annotate", capture, "-o", judged)
    assert done.returncode == 0, done.stderr
    command = [tshark, "-r", judged, "-Y", "frame.comment", "-T", "fields", "-e", "frame.number"]
    shown = subprocess.run(command, capture_output=True, text=True, check=True).stdout.split()
    assert {int(each) for each in shown} & set(faulty().evidence)
    assert list(packets(judged.read_bytes())) == list(packets(octets()))
    dumps = [
        subprocess.run([tshark, "-r", path, "-x"], capture_output=True, check=True).stdout
        for path in (capture, judged)
    ]
    assert dumps[0] == dumps[1]


def test_a_packed_capture_can_be_annotated(tmp_path: Path) -> None:
    """A compressed capture, or one on standard input, is written as a plain pcapng file."""
    packed = tmp_path / "faulty.pcapng.gz"
    packed.write_bytes(gzip.compress(octets()))
    out = tmp_path / "out.pcapng"
    assert run("annotate", packed, "-o", out).returncode == 0
    assert list(packets(out.read_bytes())) == list(packets(octets()))
    piped = tmp_path / "piped.pcapng"
    assert run("annotate", "-", "-o", piped, given=octets()).returncode == 0
    assert piped.read_bytes() == out.read_bytes()


def test_a_capture_is_not_overwritten(tmp_path: Path) -> None:
    """Input and output must not be one file; folders are refused; what cannot be read is told."""
    capture = tmp_path / "faulty.pcapng"
    capture.write_bytes(octets())
    assert run("annotate", capture, "-o", capture).returncode == 2
    assert capture.read_bytes() == octets()
    assert run("annotate", tmp_path, "-o", tmp_path / "x").returncode == 2
    assert run("annotate", ROOT / "README.md", "-o", tmp_path / "x").returncode == 3
    nowhere = run("annotate", capture, "-o", tmp_path / "no" / "x")
    assert nowhere.returncode == 3
    assert str(tmp_path / "no" / "x") in nowhere.stderr
