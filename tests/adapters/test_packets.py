"""What stands before the TCP header is seen under every link header and in every tunnel."""

from __future__ import annotations

from dataclasses import replace
from itertools import product
from pathlib import Path

import pytest
from mptcp_oracle.generators.emit import emit

from mptcp_oracle.dissectors.packets import packets
from mptcp_oracle.dissectors.view import View
from mptcp_oracle.model.capture import LINKS, Layout
from tests.common import captures as c
from tests.common.plain_captures import capture_of, conversation, trace_of

NUMBERS = {"ethernet": 1, "raw": 101, "sll": 113, "sll2": 276, "null": 0, "loop": 108}
TAGS = {(): (), (7,): ("802.1Q",), (8, 9): ("802.1ad", "802.1Q")}
TUNNELS = {"": (), "gre": ("gre",), "ipip": ("ipip",), "vxlan": ("vxlan:49152",)}


@pytest.mark.parametrize("link", LINKS)
def test_the_layers_are_those_that_were_written(link: str, tmp_path: Path) -> None:
    """Link type, tags and tunnel of every frame, over IPv4 and IPv6, in pcap and pcapng."""
    tagged = TAGS if link in ("ethernet", "sll", "sll2") else {(): ()}
    for vlans, tunnel, version, file in product(tagged, TUNNELS, (4, 6), ("pcap", "pcapng")):
        layout = replace(Layout(), file=file, link=link, vlans=vlans, tunnel=tunnel)
        path = tmp_path / "case"
        path.write_bytes(emit(capture_of(trace_of(conversation(), version=version), layout)))
        found = [(each.frame, each.link, each.layers) for each in packets(path)]
        expected = NUMBERS[link], (*TAGS[vlans], *TUNNELS[tunnel])
        assert found == [(number, *expected) for number in range(1, len(found) + 1)]
        assert found
        assert View((), path).layers[1] == expected


def test_a_frame_of_anything_has_layers(tmp_path: Path) -> None:
    """Cut headers, an IP header without a length, and unknown link types end the walk."""
    endless = b"\x40" + bytes(8) + b"\4" + bytes(300)
    frames = c.records(b"", b"\x45", endless, c.ethernet(b"", 0x8100), c.ethernet(b"\0\1", 0x88A8))
    for link in (0, 1, 101, 108, 113, 147, 276):
        path = tmp_path / "odd.pcap"
        path.write_bytes(c.pcap(frames, linktype=link))
        assert len([each.layers for each in packets(path)]) == len(frames)


def test_what_is_no_packet_is_a_frame_without_link(tmp_path: Path) -> None:
    """A journal entry has a number, as in Wireshark; without a capture there are no layers."""
    (record,) = c.records(c.ethernet(c.ipv4(c.tcp())))
    path = tmp_path / "journal.pcapng"
    path.write_bytes(c.section() + c.interface() + c.block(9, b"__CURSOR=1\n") + c.enhanced(record))
    assert [(each.frame, each.link) for each in packets(path)] == [(1, -1), (2, c.ETHERNET)]
    assert View(()).layers == {}
