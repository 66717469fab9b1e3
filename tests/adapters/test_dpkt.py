"""dpkt as a dissector: what it says is read rightly, what it says wrongly is known or found."""

from __future__ import annotations

import json
import struct
import sys
from functools import cache
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from mptcp_oracle.analysis.trace import analyze
from mptcp_oracle.cli import cli
from mptcp_oracle.diff import compare
from mptcp_oracle.dissectors.dissector import CrashError, Words
from mptcp_oracle.dissectors.known import catalogue
from mptcp_oracle.dissectors.rows import gathered
from mptcp_oracle.dissectors.with_dpkt import Dpkt, said
from mptcp_oracle.dissectors.with_dpkt_fields import FIELDS
from mptcp_oracle.errors import AdapterError, UsageError
from tests.common import captures as c
from tests.common.checkout import ROOT
from tests.common.explained import unexplained, used
from tests.common.machine import unavailable
from tests.triggers import tally

CORPUS = ROOT / "corpus"
SMALL = CORPUS / "kernel" / "close-without-data.pcapng"
HEADERS = CORPUS / "kernel" / "headers-only.pcap"
CUT = CORPUS / "kernel" / "options-cut.pcapng"
PLAIN = CORPUS / "kernel" / "fallback-syn-stripped-server-view.pcapng"

MP_CAPABLE = bytes.fromhex("1e0c0181deadbeefcafebabe")
NOTHING_IN_MPLS = c.ethernet(struct.pack("!I", 1 << 8), 0x8847)
"""An MPLS label with nothing behind it: dpkt looks at its first octet all the same."""
UNREACHABLE, UNREACHABLE_6 = b"\3\1" + bytes(6), b"\1\0" + bytes(6)


@pytest.fixture(autouse=True)
def _installed(request: pytest.FixtureRequest) -> None:
    """Without dpkt only what happens without it can be tested."""
    if request.function is not test_a_missing_dpkt_is_a_clear_error and find_spec("dpkt") is None:
        unavailable("dpkt is not installed")


def diff(*arguments: str | Path) -> Result:
    """Run the command."""
    return CliRunner().invoke(cli, ["diff", "--with", "dpkt", *map(str, arguments)])


def differences(*arguments: str | Path) -> list[dict[str, Any]]:
    """The differences that nothing explains."""
    body = json.loads(diff("--json", *arguments).stdout)
    return [each for _, each in unexplained([body])]


@cache
def of_corpus() -> tuple[int, list[dict[str, Any]]]:
    """Exit status and bodies of the comparison over all of the corpus."""
    result = diff("--json", *(CORPUS / name for name in ("kernel", "tester", "regression")))
    return result.exit_code, [json.loads(line) for line in result.stdout.splitlines()]


# --- the corpus --------------------------------------------------------------------------------


def test_everything_that_dpkt_says_of_the_corpus_is_known() -> None:
    """On all captures every difference is explained, and dpkt speaks of every segment."""
    status, bodies = of_corpus()
    assert (status, unexplained(bodies)) == (0, [])
    assert len(bodies) > 80
    assert all(each["counts"]["no_claim"] == each["counts"]["crash"] == 0 for each in bodies)
    assert sum(each["counts"]["agree"] for each in bodies) > 80_000


def test_every_known_difference_occurs() -> None:
    """A known difference that no capture shows any more is noticed: dpkt was fixed."""
    _, bodies = of_corpus()
    recorded = {each.id for each in catalogue("dpkt") if each.capture}
    assert used(bodies) == recorded
    assert recorded | MADE.keys() == {each.id for each in catalogue("dpkt")}


@pytest.mark.parametrize("entry", [each for each in catalogue("dpkt") if each.capture])
def test_a_known_difference_is_shown_by_its_capture(entry: Any) -> None:
    """The capture that an entry names has that difference."""
    _, bodies = of_corpus()
    (body,) = (each for each in bodies if f"/{entry.capture}.pcap" in each["capture"]["name"])
    assert entry.id in {each["known"] for each in body["differences"]}


SYN = bytes.fromhex("1e040101")
DSS = bytes.fromhex("1e0820010000002a")


def made(frame: bytes, link: int, size: int = 1 << 16) -> bytes:
    """A capture of one frame, of which so many octets were captured."""
    return c.pcap([c.cut(*c.records(frame), size)], linktype=link)


def segment(options: bytes) -> bytes:
    """A SYN of an MPTCP connection with more options."""
    return c.tcp(flags=2, options=SYN + options)


#: By known difference a capture that has it, for those that no recording has.
MADE = {
    "tag-in-cooked-capture": made(c.cooked(b"\0\7\x08\0" + c.ipv4(segment(b"")), 0x8100), c.COOKED),
    "vxlan-not-read": made(
        c.ipv4(c.udp(c.vxlan(c.ethernet(c.ipv4(segment(b""))))), protocol=c.UDP), c.RAW
    ),
    "length-below-two-taken-for-two": made(c.ipv4(segment(bytes.fromhex("1e0120ff"))), c.RAW),
    "whole-options-of-a-cut-header": made(
        c.ipv4(segment(DSS + b"\x08\x0a" + bytes(8))), c.RAW, 20 + 20 + 4 + 8 + 2
    ),
}


@pytest.mark.parametrize("name", MADE)
def test_a_known_difference_is_where_it_has_to_be(name: str, tmp_path: Path) -> None:
    """It is there, its trigger foresees it where it is, and nothing is new."""
    path = tmp_path / "case.pcap"
    path.write_bytes(MADE[name])
    with analyze(path) as trace:
        view = gathered(trace, path)
    every, told = catalogue("dpkt"), dict(Dpkt().frames(path))
    assert name in {cause for _, cause in compare(FIELDS, told, view, every, silent=False).groups}
    found = tally.compare(Dpkt(), told, view, every, "a capture")
    assert not found.new
    assert not found.missed(every)


# --- what is wrong is found --------------------------------------------------------------------


@cache
def right(capture: Path) -> list[tuple[int, Words]]:
    """What dpkt says of a capture."""
    return list(Dpkt().frames(capture))


def planted(
    monkeypatch: pytest.MonkeyPatch, capture: Path, frame: int, field: str, values: list[str]
) -> None:
    """Make dpkt say something else in one frame of one capture."""
    told = dict(right(capture))
    told[frame] = {**told[frame], field: tuple(values)}
    monkeypatch.setattr(Dpkt, "frames", lambda self, path: iter(told.items()))
    monkeypatch.setattr(Dpkt, "version", lambda self: "1.9.8")


@pytest.mark.parametrize(
    ("capture", "frame", "field", "values", "kind"),
    [
        (SMALL, 4, "ip.src", ["10.1.1.2"], "other"),
        (SMALL, 4, "ip.dst", ["fd00::1"], "other"),
        (SMALL, 4, "tcp.sport", ["1"], "other"),
        (SMALL, 4, "tcp.dport", ["1"], "other"),
        (SMALL, 4, "tcp.flags", ["17"], "other"),
        (SMALL, 4, "tcp.seq", ["1"], "other"),
        (SMALL, 4, "tcp.ack", ["1"], "other"),
        (SMALL, 4, "tcp.ack", [], "missing"),
        (SMALL, 4, "tcp.win", ["1"], "other"),
        (SMALL, 4, "tcp.length", ["1"], "other"),
        (SMALL, 4, "tcp.option30", [], "missing"),
        (SMALL, 4, "tcp.option30", ["201d01c12037445b"], "other"),
        (SMALL, 4, "dpkt.error", ["IndexError"], "invented"),
        (HEADERS, 4, "tcp.length", ["25"], "other"),
        (CUT, 32, "tcp.option30", ["200fc151f58f"], "invented"),
        (CUT, 32, "tcp.option30", ["200fc151f5"], "invented"),
        (CUT, 32, "tcp.option30", ["200fc151f58e", "200fc151f58e"], "invented"),
        (PLAIN, 4, "tcp.option30", [MP_CAPABLE.hex()], "invented"),
    ],
)
def test_a_planted_wrong_word_is_a_difference(
    monkeypatch: pytest.MonkeyPatch,
    capture: Path,
    frame: int,
    field: str,
    values: list[str],
    kind: str,
) -> None:
    """One wrong value in one frame is found there, and no known difference explains it."""
    planted(monkeypatch, capture, frame, field, values)
    result = diff("--json", capture)
    found = {each["field"]: each for _, each in unexplained([json.loads(result.stdout)])}
    assert result.exit_code == 1
    assert (found[field]["frame"], found[field]["kind"]) == (frame, kind)


def test_flags_that_are_wrong_explain_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    """The number without flag ACK is known only where both sides see no such flag."""
    planted(monkeypatch, SMALL, 1, "tcp.flags", ["18"])
    assert [each["field"] for each in differences(SMALL)] == ["tcp.flags", "tcp.ack"]


# --- what dpkt refuses -------------------------------------------------------------------------


def test_an_exception_of_another_kind_is_what_dpkt_says(tmp_path: Path) -> None:
    """It has a field of its own, and is a difference that is shown with its name."""
    assert said(NOTHING_IN_MPLS, c.ETHERNET) == {"dpkt.error": ["IndexError"]}
    path = tmp_path / "mpls.pcap"
    segment = c.tcp(flags=2, options=bytes.fromhex("1e040181"))
    path.write_bytes(c.pcap(c.records(c.ethernet(c.ipv4(segment)), NOTHING_IN_MPLS)))
    (difference,) = differences(path)
    assert (difference["field"], difference["frame"], difference["dissector"]) == (
        "dpkt.error", 2, ["IndexError"],
    )  # fmt: skip


@pytest.mark.parametrize(
    ("frame", "link"),
    [
        (b"", c.RAW),
        (b"\x45", c.RAW),
        (c.ethernet(b"")[:9], c.ETHERNET),
        (c.ipv4(c.tcp()), 147),
    ],
    ids=[
        "empty",
        "one octet",
        "link",
        "unknown",
    ],
)
def test_of_what_it_cannot_read_it_says_nothing(frame: bytes, link: int) -> None:
    """Cut headers, and link types that it is not asked about."""
    assert said(frame, link) == {}


@pytest.mark.parametrize(
    ("frame", "link"),
    [
        (c.ethernet(c.ipv4(c.tcp()[:19])), c.ETHERNET),
        (c.ethernet(c.ipv4(c.udp(b"x"), protocol=c.UDP)), c.ETHERNET),
        (c.ipv4(UNREACHABLE + c.ipv4(c.tcp()), protocol=c.ICMP), c.RAW),
        (c.ipv6(UNREACHABLE_6 + c.ipv6(c.tcp()), header=58), c.RAW),
    ],
    ids=["TCP header", "UDP", "ICMP", "ICMPv6"],
)
def test_a_frame_without_a_segment_is_said_to_have_none(frame: bytes, link: int) -> None:
    """Other protocols, quotations, and what is no TCP header for it."""
    assert said(frame, link) == {each.name: [] for each in FIELDS if each.name != "dpkt.error"}


# --- what dpkt reads ---------------------------------------------------------------------------


def raw(packet: bytes, _: int) -> bytes:
    """No link header."""
    return packet


def tagged(packet: bytes, kind: int) -> bytes:
    """Ethernet with two VLAN tags."""
    return c.ethernet(packet, kind, tags=[(0x88A8, 7), (0x8100, 8)])


def loopback(packet: bytes, kind: int) -> bytes:
    """A header with the address family, 30 for IPv6."""
    return struct.pack("=I", 2 if kind == 0x0800 else 30) + packet


@pytest.mark.parametrize(
    ("head", "link"),
    [
        (loopback, c.NULL),
        (c.ethernet, c.ETHERNET),
        (tagged, c.ETHERNET),
        (c.cooked, c.COOKED),
        (c.cooked_2, c.COOKED_2),
        (raw, 12),
        (raw, c.RAW),
    ],
)
def test_the_link_header_changes_nothing(head: Any, link: int) -> None:
    """Of a segment the same is said under every link header, over IPv4 and over IPv6."""
    segment = c.tcp(b"five!", flags=0x18, options=b"\x01\x01" + MP_CAPABLE)
    expected = {
        "tcp.sport": ["40000"], "tcp.dport": ["80"], "tcp.flags": ["24"], "tcp.seq": ["1000"],
        "tcp.ack": ["2000"], "tcp.win": ["99"], "tcp.length": ["5"],
        "tcp.opts": ["0101" + MP_CAPABLE.hex() + "0000"],
        "tcp.option30": [MP_CAPABLE[2:].hex()],
    }  # fmt: skip
    ends = {"ip.src": [c.CLIENT4], "ip.dst": [c.SERVER4]}
    assert said(head(c.ipv4(segment), 0x0800), link) == {**ends, **expected}
    ends = {"ip.src": [c.CLIENT6], "ip.dst": [c.SERVER6]}
    assert said(head(c.ipv6(segment), 0x86DD), link) == {**ends, **expected}


def test_an_authentication_header_is_passed() -> None:
    """The addresses are those of the IP packet, whatever stands before the segment."""
    packet = c.ipv4(c.authentication(c.tcp()), protocol=51)
    assert said(packet, c.RAW)["ip.src"] == [c.CLIENT4]


@pytest.mark.parametrize("order", ["<", ">"])
def test_frames_have_the_numbers_of_the_file(tmp_path: Path, order: str) -> None:
    """Simple packets and custom blocks, which dpkt passes over, are counted all the same."""
    first, second, third, fourth = c.records(
        *(c.ethernet(c.ipv4(c.tcp(sequence=number))) for number in (1, 2, 3, 4))
    )
    path = tmp_path / "blocks.pcapng"
    path.write_bytes(
        c.section(order)
        + c.interface(order=order)
        + c.simple(first, order)
        + c.enhanced(second, order)
        + c.block(0xBAD, b"\0\0\x7f\xff", order)
        + c.obsolete(third, order)
        + c.block(5, bytes(12), order)
        + c.enhanced(fourth, order)
    )
    found = {frame: words["tcp.seq"] for frame, words in Dpkt().frames(path)}
    assert found == {2: ("2",), 4: ("3",), 5: ("4",)}


@pytest.mark.parametrize("name", ["close-without-data.pcapng", "headers-only.pcap"])
def test_a_file_that_is_cut_off_is_read_up_to_there(tmp_path: Path, name: str) -> None:
    """Of the frames before the cut the same is said, and it is no failure."""
    whole = list(Dpkt().frames(CORPUS / "kernel" / name))
    path = tmp_path / name
    path.write_bytes((CORPUS / "kernel" / name).read_bytes()[:1000])
    part = list(Dpkt().frames(path))
    assert 2 < len(part) < len(whole)
    assert part[:-1] == whole[: len(part) - 1]


# --- when it breaks ----------------------------------------------------------------------------


def test_a_missing_dpkt_is_a_clear_error(monkeypatch: pytest.MonkeyPatch) -> None:
    """The error says what is missing, and how to get it."""
    monkeypatch.setitem(sys.modules, "dpkt", None)
    result = diff(SMALL)
    assert isinstance(result.exception, AdapterError)
    assert "dpkt is not there" in str(result.exception)
    assert "pip install dpkt" in str(result.exception)


def test_a_file_that_dpkt_does_not_open(tmp_path: Path) -> None:
    """It is an error of the dissector, with dpkt's words, and the others are compared."""
    path = tmp_path / "packed.pcap.gz"
    path.write_bytes(c.gzipped(SMALL.read_bytes()))
    result = diff(path, SMALL)
    assert result.exit_code == 3
    assert "dpkt failed (exit status 1; dpkt does not open it: ValueError" in result.output
    assert "11 frames" in result.output


def another(monkeypatch: pytest.MonkeyPatch, folder: Path, reading: str) -> None:
    """Put another dpkt in the way of the real one; it does something else when it reads."""
    (folder / "dpkt.py").write_text(
        "import os, types\n__version__ = '9.9.9'\nclass Error(Exception): pass\n"
        f"pcap = types.SimpleNamespace(UniversalReader=lambda file: {reading})\n"
    )
    monkeypatch.setenv("PYTHONPATH", str(folder))


def test_a_crash_of_the_library_is_one_of_the_dissector(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """It ends the program in between and nothing else, and is reported with its signal."""
    another(monkeypatch, tmp_path, "os.abort()")
    assert Dpkt().version() == "9.9.9"
    with pytest.raises(CrashError):
        list(Dpkt().frames(SMALL))
    result = diff(SMALL)
    assert result.exit_code == 1
    assert "SIGABRT" in result.output


def test_what_the_library_prints_is_no_word(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """A line that is not the program's own is an error, with the line."""
    another(monkeypatch, tmp_path, "print('hello')")
    with pytest.raises(AdapterError, match="hello"):
        list(Dpkt().frames(SMALL))


def test_a_module_in_the_current_folder_is_not_dpkt(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """Captures may lie beside a file of that name."""
    (tmp_path / "dpkt.py").write_text("raise SystemExit('not me')")
    monkeypatch.chdir(tmp_path)
    assert Dpkt().version()[0].isdecimal()


@pytest.mark.parametrize("name", ["dpkt=1.9.8", "dpkt:file"])
def test_it_takes_no_path(name: str) -> None:
    """There is one dpkt, that of the interpreter."""
    result = CliRunner().invoke(cli, ["diff", "--with", name, str(SMALL)])
    assert isinstance(result.exception, UsageError)
