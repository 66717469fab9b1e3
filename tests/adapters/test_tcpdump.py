"""tcpdump as a dissector: its lines are read rightly, its differences are where they have to be.

Every entry of the catalogue is shown by a capture of a few frames, made here.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

import pytest

from mptcp_oracle import diff
from mptcp_oracle.analysis.trace import analyze
from mptcp_oracle.dissectors.known import catalogue
from mptcp_oracle.dissectors.rows import gathered
from mptcp_oracle.dissectors.tcpdump import TcpDump, words
from mptcp_oracle.dissectors.tcpdump_fields import FIELDS
from mptcp_oracle.dissectors.view import View
from mptcp_oracle.errors import AdapterError
from tests.common import captures as c
from tests.common.machine import tool
from tests.triggers import tally

SYN, RST, PSH, ACK = 0x02, 0x04, 0x08, 0x10
KEYS = "0102030405060708", "1112131415161718"
CAPABLE = f"1e140101{KEYS[0]}{KEYS[1]}"
DSS = "1e0820010000002a"
HELLO = (
    c.tcp(sequence=1, flags=SYN, options=bytes.fromhex("1e040101")),
    c.tcp(source=80, destination=40000, sequence=1, ack=2, flags=SYN | ACK,
          options=bytes.fromhex(f"1e0c0101{KEYS[1]}")),
    c.tcp(sequence=2, ack=2, options=bytes.fromhex(CAPABLE)),
)  # fmt: skip
"""A handshake of version 1."""
Frame = Callable[[bytes], bytes]


def plain(segment: bytes) -> bytes:
    """Ethernet and IPv4."""
    return c.ethernet(c.ipv4(segment))


def made(
    options: str = DSS,
    *,
    flags: int = ACK,
    payload: bytes = b"",
    frame: Frame = plain,
    link: int = c.ETHERNET,
    most: int = 1 << 16,
) -> bytes:
    """A handshake and one segment more, whose options, flags and payload are given."""
    last = c.tcp(payload, sequence=2, ack=2, flags=flags, options=bytes.fromhex(options))
    records = c.records(*(frame(each) for each in (*HELLO, last)))
    records[-1] = c.cut(records[-1], most)
    return c.pcap(records, linktype=link)


def service_tag(segment: bytes) -> bytes:
    """A cooked frame with a service tag."""
    return c.cooked(b"\0\7\x08\0" + c.ipv4(segment), 0x88A8)


def from_port(port: int) -> Frame:
    """VXLAN whose datagrams come from a port."""

    def frame(segment: bytes) -> bytes:
        datagram = c.udp(c.vxlan(plain(segment)))
        return c.ethernet(c.ipv4(port.to_bytes(2, "big") + datagram[2:], protocol=c.UDP))

    return frame


#: By known difference a capture that has it, and the fields in which it does.
LAST = ("mptcp.ack", "mptcp.length", "mptcp.option")
EVERY = (*LAST, "mptcp.key", "mptcp.peer_key", "mptcp.version",
         "tcp.ack", "tcp.flags", "tcp.length", "tcp.seq", "tcp.win")  # fmt: skip
SHOWN: dict[str, tuple[bytes, Sequence[str]]] = {
    "service-tag-in-cooked-capture": (
        made(frame=service_tag, link=c.COOKED), EVERY,
    ),
    "vxlan-taken-for-bcm-li": (made(frame=from_port(49152)), EVERY),
    "payload-length-behind-cut-options": (
        made("1e140101" + KEYS[0] + KEYS[1], payload=b"12345", most=70), ("tcp.length",),
    ),
    "first-data-with-checksum-called-bad": (
        made(f"1e180181{KEYS[0]}{KEYS[1]}0005abcd", payload=b"12345"),
        ("mptcp.bad", "mptcp.checksum", "mptcp.csum", "mptcp.key", "mptcp.len", "mptcp.peer_key",
         "mptcp.version"),
    ),
    "first-data-length-not-shown": (
        made(f"1e160101{KEYS[0]}{KEYS[1]}0005", payload=b"12345"), ("mptcp.len",),
    ),
    "reset-option-unknown": (made("1e048003", flags=RST | ACK), ("mptcp.option",)),
    "line-ends-at-bad-option": (made("1e0560ffff000000"), ("tcp.length",)),
    "options-behind-a-bad-one": (made("1e0660ffffff" + DSS), LAST),
    "form-of-mp-capable-not-checked": (made(CAPABLE, payload=b"12345"), ("mptcp.bad",)),
    "form-of-mp-join-not-checked": (
        made("1e0c10010000000100000002", flags=SYN | ACK), ("mptcp.bad",),
    ),
    "form-of-the-other-version": (made("1e04510100000000"), ("mptcp.bad",)),
    "form-of-add-addr-not-checked": (made("1e0830010a000001"), ("mptcp.bad",)),
    "reserved-bits-of-add-addr": (
        made("1e103a010a0000010102030405060708"), ("mptcp.version",),
    ),
    "kind-of-an-option-with-a-bad-length": (made("1e2c2001"), ("mptcp.length", "mptcp.option")),
    "bad-dss-shown-in-part": (made("1e0a20010000002affff"), ("mptcp.ack",)),
    "fields-of-a-misplaced-option": (
        made("1e0c10010000000100000002"), ("mptcp.id", "mptcp.nonce", "mptcp.token"),
    ),
    "out-of-place-called-bad": (
        made(DSS, flags=SYN), ("mptcp.ack", "mptcp.bad"),
    ),
    "option-of-another-kind-is-bad": (made(DSS + "5c1d0101"), ("mptcp.bad",)),
    "plain-tcp": (
        c.pcap(c.records(plain(c.tcp(flags=SYN)))),
        ("tcp.flags", "tcp.length", "tcp.seq", "tcp.win"),
    ),
    "whole-options-of-a-cut-header": (made(DSS + "080a" + 16 * "0", most=66), LAST),
    "unknown-version-not-shown": (
        made(f"1e0c0201{KEYS[0]}", flags=SYN), ("mptcp.key", "mptcp.version"),
    ),
}  # fmt: skip


def view_of(path: Path) -> View:
    """Our facts of a capture."""
    with analyze(path) as trace:
        return gathered(trace, path)


@pytest.mark.parametrize("name", SHOWN)
def test_a_known_difference_is_where_it_has_to_be(name: str, tmp_path: Path) -> None:
    """It is in the fields that it is about, where its trigger foresees it, and nothing is new."""
    tool("tcpdump")
    path = tmp_path / "case.pcap"
    path.write_bytes(SHOWN[name][0])
    view, said, every = view_of(path), dict(TcpDump().frames(path)), catalogue("tcpdump")
    groups = diff.compare(FIELDS, said, view, every).groups
    assert {field for field, cause in groups if cause == name} == set(SHOWN[name][1])
    found = tally.compare(TcpDump(), said, view, every, "a capture")
    assert not found.new
    assert not found.missed(every)
    (entry,) = (each for each in every if each.id == name)
    score = found.score(name)
    assert not entry.trigger or score.enough
    assert not entry.trigger or score.predicted == score.right == score.actual


def test_a_frame_in_a_frame_is_read(tmp_path: Path) -> None:
    """VXLAN from any other port: the segment stands on a line of its own, and nothing differs."""
    tool("tcpdump")
    path = tmp_path / "vxlan.pcap"
    path.write_bytes(made(frame=from_port(49153)))
    said = dict(TcpDump().frames(path))
    assert said[4]["mptcp.ack"] == ("42",)
    found = tally.compare(TcpDump(), said, view_of(path), catalogue("tcpdump"), "a capture")
    assert not found.new
    assert not any(each.predicted for each in found.places.values())


def test_every_known_difference_is_shown() -> None:
    """There is a capture for each entry of the catalogue, so that one that is mended is noticed."""
    assert SHOWN.keys() == {each.id for each in catalogue("tcpdump")}


@pytest.mark.parametrize("links", [(c.RAW, c.RAW), (c.ETHERNET, c.RAW), (c.RAW, c.ETHERNET)])
def test_a_capture_that_is_refused_is_read_by_link_types(
    links: tuple[int, int], tmp_path: Path
) -> None:
    """A second interface is refused if it has another link type, or raw IP; all frames count."""
    tool("tcpdump")
    heads: dict[int, Frame] = {c.ETHERNET: plain, c.RAW: c.ipv4}
    segments = [c.tcp(sequence=number, flags=SYN) for number in range(1, 5)]
    records = c.records(*(heads[links[at % 2]](each) for at, each in enumerate(segments)))
    blocks = [c.enhanced(replace(each, interface=at % 2)) for at, each in enumerate(records)]
    path = tmp_path / "two.pcapng"
    path.write_bytes(c.section() + b"".join(map(c.interface, links)) + b"".join(blocks))
    with pytest.raises(AdapterError, match="different from the type of the first"):
        list(TcpDump().program.lines("-r", str(path)))
    found = [(frame, told["tcp.seq"]) for frame, told in TcpDump().frames(path)]
    assert found == [(number, (str(number),)) for number in range(1, 5)]


def test_frames_have_the_numbers_of_the_file(tmp_path: Path) -> None:
    """Journal entries, which tcpdump passes over, count; also in a capture that it refuses."""
    tool("tcpdump")
    one, two = c.records(*(plain(c.tcp(sequence=at, flags=SYN)) for at in (1, 2)))
    journal = c.block(9, b"__CURSOR=1")
    for interfaces in (c.interface(), c.interface() + c.interface(c.RAW)):
        path = tmp_path / "journal.pcapng"
        blocks = (c.section(), interfaces, journal, c.enhanced(one), journal, c.enhanced(two))
        path.write_bytes(b"".join(blocks))
        found = [(frame, told["tcp.seq"]) for frame, told in TcpDump().frames(path)]
        assert found == [(2, ("1",)), (4, ("2",))]


@pytest.mark.parametrize(
    ("end", "expected"),
    [
        ("options [mptcp 8 dss ack 7,nop], length 5: HTTP", {"mptcp.ack": ("7",),
         "tcp.length": ("5",)}),
        ("options [mptcp 8 dss ack 7,TS [|mptcp]>", {"mptcp.ack": ("7",)}),
        ("options [mptcp 8 dss ack 7, [|tcp]", {"mptcp.ack": ("7",)}),
        ("options [mptcp [|mptcp]>", {}),
        ("options [mptcp 8 dss ack 7,[bad opt]]", {"mptcp.ack": ("7",), "mptcp.bad": ("bad",)}),
        ("options [[bad opt]", {"mptcp.bad": ("bad",)}),
        ("length 5: HTTP: GET /, options [mptcp 8 dss ack 7", {"tcp.length": ("5",)}),
    ],
)  # fmt: skip
def test_a_line_is_read_up_to_where_tcpdump_gave_up(
    end: str, expected: dict[str, tuple[str, ...]]
) -> None:
    """Options are read however the line ends, and the payload is none of them."""
    found = words(f"IP 10.0.0.1.4 > 10.0.0.2.80: Flags [.], ack 2, win 9, {end}")
    names = {"mptcp.ack", "mptcp.bad", "tcp.length"}
    assert {name: value for name, value in found.items() if name in names} == expected
