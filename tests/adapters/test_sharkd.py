"""sharkd as a quicker tshark: the same words, and clear errors when it breaks down."""

from __future__ import annotations

import stat
from collections.abc import Iterator
from pathlib import Path

import pytest

from mptcp_oracle.dissectors import sharkd
from mptcp_oracle.dissectors.dissector import CrashError, Words
from mptcp_oracle.dissectors.sharkd import Sharkd
from mptcp_oracle.dissectors.tshark import TShark
from mptcp_oracle.errors import AdapterError
from tests.common.checkout import ROOT
from tests.common.machine import tool, unavailable

KERNEL = ROOT / "corpus" / "kernel"
#: Found in each further pass over a capture anew; sharkd makes one more than tshark.
EVERY_PASS = "mptcp.reinjection_of"


@pytest.fixture(name="quick")
def _quick() -> Iterator[Sharkd]:
    """The sharkd of the installed tshark."""
    tool("tshark")
    found = TShark().quicker()
    if found is None:
        unavailable("sharkd is not installed beside tshark")
    yield found
    found.close()


def values(tshark: TShark, words: Words) -> dict[str, list[object]]:
    """The words as values, without the field of which sharkd says something else."""
    return {
        row.name: [row.read(text) for text in words[row.name]]
        for row in tshark.fields
        if row.name in words and row.name != EVERY_PASS
    }


@pytest.mark.parametrize(
    "name", ["loss-reinjection", "fast-close-by-client", "add-address-ipv6-port"]
)
def test_it_says_what_tshark_says_in_two_passes(name: str, quick: Sharkd) -> None:
    """Every field of every frame, read as tshark's is."""
    tshark = TShark(passes=2)
    capture = KERNEL / f"{name}.pcapng"
    theirs = {frame: values(tshark, words) for frame, words in tshark.frames(capture)}
    assert {frame: values(tshark, words) for frame, words in quick.frames(capture)} == theirs
    assert sum(map(len, theirs.values())) > 500


def test_it_is_started_again_after_it_ended(quick: Sharkd) -> None:
    """A crash is told as one, and the next capture is answered."""
    capture = KERNEL / "fast-close-by-client.pcapng"
    before = list(quick.frames(capture))
    process = quick._process
    assert process is not None
    process.kill()
    process.wait()
    with pytest.raises(CrashError, match="sharkd crashed"):
        list(quick.frames(capture))
    assert list(quick.frames(capture)) == before


def test_one_capture_after_the_other_is_answered_by_one_process(quick: Sharkd) -> None:
    """Nothing of one capture stays for the next."""
    captures = [KERNEL / "fast-close-by-client.pcapng", KERNEL / "loss-reinjection.pcapng"]
    first = [list(quick.frames(each)) for each in captures]
    process = quick._process
    assert [list(quick.frames(each)) for each in captures] == first
    assert quick._process is process


def test_another_process_is_started_now_and_then(
    quick: Sharkd, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What it keeps of captures does not pile up."""
    monkeypatch.setattr(sharkd, "LOADS", 2)
    capture, processes = KERNEL / "fast-close-by-client.pcapng", []
    for _ in range(5):
        assert len(list(quick.frames(capture))) > 10
        processes.append(quick._process)
    assert [processes[0] is each for each in processes] == [True, True, False, False, False]
    assert processes[2] is processes[3] is not processes[4]


@pytest.mark.parametrize(
    ("script", "words"),
    [
        ("read line; echo nonsense; sleep 100", "no table"),
        ("sleep 100", "took too long"),
        ('read line; echo \'{"error": "what?"}\'; sleep 100', "refused a request"),
        ("exit 3", "crashed"),
    ],
)
def test_what_it_cannot_say_is_a_clear_error(script: str, words: str, tmp_path: Path) -> None:
    """Nonsense, silence, a refusal, an end."""
    program = tmp_path / "sharkd"
    program.write_text(f"#!/bin/sh\n{script}\n")
    program.chmod(program.stat().st_mode | stat.S_IXUSR)
    quick = Sharkd(
        path=str(program), preferences={"a.b": "TRUE"}, words={}, asked=("frame.number",),
        known=frozenset(), patience=0.5, number="1.0", fields=(), folders=(),
    )  # fmt: skip
    with pytest.raises(AdapterError, match=words):
        list(quick.frames(KERNEL / "fast-close-by-client.pcapng"))
    assert quick._process is None


def test_without_it_tshark_is_asked(tmp_path: Path) -> None:
    """A build tree without sharkd has no quicker form."""
    program = tmp_path / "tshark"
    program.write_text("#!/bin/sh\n")
    program.chmod(program.stat().st_mode | stat.S_IXUSR)
    assert TShark(path=str(program)).quicker() is None
