"""tshark reads generated captures of every shape as what they are."""

from __future__ import annotations

from dataclasses import replace
from itertools import product
from pathlib import Path

from mptcp_oracle.generators.emit import emit

from mptcp_oracle.dissectors.tshark import TShark
from mptcp_oracle.model.capture import LINKS, Layout
from tests.common.machine import tool
from tests.common.plain_captures import BEGIN, capture_of, conversation, trace_of

PREFERENCES = {
    "ip.check_checksum": "TRUE",
    "tcp.check_checksum": "TRUE",
    "tcp.desegment_tcp_streams": "FALSE",
    "udp.check_checksum": "TRUE",
}
FIELDS = (
    *("frame.protocols", "frame.time_epoch", "_ws.malformed", "_ws.expert.severity"),
    *("ip.checksum.status", "tcp.checksum.status", "tcp.seq_raw"),
    *(
        "tcp.len",
        "vlan.id",
        "ieee8021ad.id",
        "tcp.options.timestamp.tsval",
        "frame.packet_flags_direction",
    ),
)
ERROR = 0x0080_0000
#: Names in tshark's list of layers that are no layers of the packet.
UNTOLD = {"ethertype", "data"}
LINK_NAMES = {"ethernet": "eth", "sll2": "sll", "loop": "null"}
TUNNEL_NAMES = {
    "": (), "gre": ("ip", "gre"), "ipip": ("ip",),
    "vxlan": ("ip", "udp", "vxlan", "eth"),
}  # fmt: skip
TAG_NAMES = {0: (), 1: ("vlan",), 2: ("ieee8021ad", "vlan"), 3: ("ieee8021ad", "vlan", "vlan")}


def test_tshark_reads_every_shape(tmp_path: Path) -> None:
    """Each shape has the layers that were meant, right checksums, and nothing malformed."""
    tagged = ((), (7,), (8, 9), (1, 2, 3))
    shapes = [
        (replace(order, link=link, vlans=vlans, tunnel=tunnel), version)
        for link in LINKS
        for vlans in (tagged if link in ("ethernet", "sll", "sll2") else ((),))
        for tunnel, version in product(TUNNEL_NAMES, (4, 6))
        for order in (
            Layout(timestamps=True, directions=True),
            Layout(big_endian=True, nanoseconds=False, timestamp_first=False),
        )
    ]
    captures = [
        capture_of(trace_of(conversation(), version=version), layout) for layout, version in shapes
    ]
    # Sections of one file, so that one run of tshark reads them all.
    file = tmp_path / "shapes.pcapng"
    file.write_bytes(b"".join(emit(each) for each in captures))
    tool("tshark")
    found = dict(TShark(preferences=PREFERENCES).dissect(file, FIELDS))
    assert len(found) == sum(len(each.frames) for each in captures)
    frames = iter(found.values())
    for made, (layout, version) in zip(captures, shapes, strict=True):
        expected = (
            LINK_NAMES.get(layout.link, layout.link),
            *TAG_NAMES[len(layout.vlans)],
            *TUNNEL_NAMES[layout.tunnel],
            *("ip" if version == 4 else "ipv6", "tcp", "mptcp"),
        )
        for segment in made.trace.segments:
            row = next(frames)
            names = row["frame.protocols"][0].split(":")
            assert tuple(name for name in names if name not in UNTOLD) == expected, layout
            assert "_ws.malformed" not in row
            severities = row.get("_ws.expert.severity", ())
            assert all(int(each) < ERROR for each in severities), row
            assert {*row["tcp.checksum.status"], *row.get("ip.checksum.status", ())} == {"1"}
            isn = made.trace.subflows[0].isns[segment.host]
            assert row["tcp.seq_raw"] == (str((isn + segment.sequence) & 0xFFFF_FFFF),)
            assert row["tcp.len"] == (str(len(segment.payload)),)
            tags = row.get("ieee8021ad.id", ()) + row.get("vlan.id", ())
            assert tuple(map(int, tags)) == layout.vlans
            assert ("tcp.options.timestamp.tsval" in row) == layout.timestamps
            time = layout.stamped(BEGIN + segment.time)
            assert row["frame.time_epoch"] == (f"{time // 10**9}.{time % 10**9:09}",)
            if layout.directions:
                flag = int(row["frame.packet_flags_direction"][0], 16)
                assert flag == (2 if segment.host == 0 else 1)
