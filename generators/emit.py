"""Captures into capture files. Nothing but this module uses scapy.

scapy builds one packet of each shape (link, VLAN tags, tunnel, IP version); every segment is that
packet with the fields that differ patched by :mod:`mptcp_oracle.generators.packets`, which is many
times faster and gives the same octets. What a capture becomes depends on the capture alone: the
same octets on every machine.

- MAC addresses follow from the IP addresses, TTL and hop limit are 64 less the frame's hops, the
  IP identification is the frame's (``None``: 0), *Don't Fragment* is set, flow labels are 0.
- Option spaces are those of :mod:`mptcp_oracle.model.tcp_options`.
- A tunnel runs over IPv4 between two fixed addresses, its ends beside the hosts. VLAN tags are
  outside of it; the first of several is a service tag (IEEE 802.1ad).
- Without nanoseconds times are cut to microseconds (:meth:`Layout.stamped`).
- Other traffic has a link header and the VLAN tags, but never runs through the tunnel.

Generated captures are public domain (CC0-1.0). A pcapng file says so; a pcap file has no place.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from functools import lru_cache
from ipaddress import IPv4Address, IPv6Address
from typing import Any, BinaryIO

from mptcp_oracle.generators.file_pcap import Pcap
from mptcp_oracle.generators.file_pcapng import Pcapng
from mptcp_oracle.generators.packets import (
    OUTER,
    Build,
    Template,
    Way,
    filled,
    flow,
    hardware_address,
    packet_type,
)

from mptcp_oracle.errors import UsageError
from mptcp_oracle.model.capture import Capture, Frame, Layout, Noise
from mptcp_oracle.model.tcp_options import OptionSpace
from mptcp_oracle.model.trace import Address, Endpoint, Sent
from mptcp_oracle.version import __version__

__all__ = ["LICENSE", "assemble", "emit", "opening", "packets", "records", "way_of", "write"]

LICENSE = "CC0-1.0"
"""SPDX identifier of every generated capture's licence."""

LINK_TYPES = {"null": 0, "ethernet": 1, "raw": 101, "loop": 108, "sll": 113, "sll2": 276}
LIFETIME = 64
MOST_FLOWS = 1024
VXLAN_PORTS, VXLAN_NETWORK = (49_152, 4789), 42
ETHERTYPE = {4: 0x0800, 6: 0x86DD}
C_TAG, S_TAG = 0x8100, 0x88A8
ARPHRD_ETHER = 1
DONT_FRAGMENT = 2
# Address families in BSD's loopback headers: IPv6 as macOS (NULL) and OpenBSD (LOOP) have it.
FAMILIES = {"null": {4: 2, 6: 30}, "loop": {4: 2, 6: 24}}
LINK_OCTETS = {"ethernet": 14, "raw": 0, "sll": 16, "sll2": 20, "null": 4, "loop": 4}
# Where a link header has hardware addresses, and whether they are the source's.
LINK_MACS = {
    "ethernet": ((0, False), (6, True)),
    "sll": ((6, True),),
    "sll2": ((12, True),),
}
NOBODY: dict[int, Address] = {4: IPv4Address(0), 6: IPv6Address(0)}
NOTHING = Sent(number=0, time=0, subflow=0, host=0, sequence=0, ack=None, flags=0, window=0)
MASK_32 = 0xFFFF_FFFF


def emit(capture: Capture, *, comment: str | None = None) -> bytes:
    """The octets of a capture's file, in the format that its layout names.

    Args:
        capture: The capture.
        comment: Added to the section header of a pcapng file; pcap has no place for it.

    Raises:
        UsageError: Its layout contradicts itself, or a segment fits in no packet (options beyond
            40 octets, a packet beyond 65535, a number too large for its field); it names the
            frame.
    """
    return b"".join(_parts(capture, comment))


def write(capture: Capture, file: BinaryIO, *, comment: str | None = None) -> None:
    """Write a capture's file, as :func:`emit` gives it, without holding all of it in memory.

    Raises:
        UsageError: As for :func:`emit`; what came before is written then.
    """
    for part in _parts(capture, comment):
        file.write(part)


def packets(capture: Capture) -> Iterator[tuple[int, bytes, int]]:
    """Each frame's time (ns) and octets as the file holds them, and its original length.

    Raises:
        UsageError: As for :func:`emit`.
    """
    layout = capture.layout
    for frame, octets in _frames(capture):
        yield layout.stamped(frame.time), octets[: layout.snap_length], len(octets)


def _parts(capture: Capture, comment: str | None) -> Iterator[bytes]:
    """The file header, then each frame's record."""
    interfaces = 1 + max((each.interface for each in capture.frames), default=0)
    yield opening(capture.layout, interfaces=interfaces, comment=comment)
    yield from records(capture)


def opening(layout: Layout, *, interfaces: int = 1, comment: str | None = None) -> bytes:
    """What a capture file begins with, before the records of its frames.

    Args:
        layout: How it is written.
        interfaces: How many interfaces there are; a pcap file has no place for more than one.
        comment: Added to the section header of a pcapng file.

    Raises:
        UsageError: The layout contradicts itself.
    """
    return _file(layout, interfaces, comment).opening


def records(capture: Capture) -> Iterator[bytes]:
    """The record of each frame, as it stands in the file; captures of one layout can be joined.

    Raises:
        UsageError: As for :func:`emit`.
    """
    layout = capture.layout
    record = _file(layout, 0, None).record
    for number, (frame, octets) in enumerate(_frames(capture), start=1):
        outgoing = frame.outgoing if isinstance(frame, Frame) else None
        try:
            yield record(frame.time, octets, frame.interface, outgoing)
        except struct.error as error:
            raise UsageError(
                f"time {frame.time} does not fit in a {layout.file} file",
                cause=str(error), frame=number,
            ) from error  # fmt: skip


def _file(layout: Layout, interfaces: int, comment: str | None) -> Pcap | Pcapng:
    """The parts of a file in the layout's format."""
    layout.check()
    link = LINK_TYPES[layout.link]
    if layout.file == "pcap":
        return Pcap(layout, link)
    program = f"mptcp-oracle {__version__}"
    return Pcapng(
        layout,
        link,
        interfaces=interfaces,
        program=program,
        comments=[
            f"SPDX-License-Identifier: {LICENSE}. Synthetic, generated by {program}.",
            *([comment] if comment else []),
        ],
    )


def _frames(capture: Capture) -> Iterator[tuple[Frame | Noise, bytes]]:
    """Each frame and the whole of its packet."""
    layout = capture.layout
    layout.check()
    spaces = OptionSpace(capture.trace, layout)
    flows: dict[tuple[int, int, int, int, bool | None], Build] = {}
    number = 0
    try:
        for frame in capture.frames:
            number += 1
            if isinstance(frame, Noise):
                yield frame, _other(layout, frame)
                continue
            segment = frame.segment
            key = segment.subflow, segment.host, frame.hops, frame.interface, frame.outgoing
            build = flows.get(key)
            if build is None:
                if len(flows) >= MOST_FLOWS:
                    flows.clear()
                build = flows[key] = _flow(capture, frame)
            yield frame, build(segment, spaces.octets(segment), frame.ip_id or 0)
    except struct.error as error:
        raise UsageError(
            "a number does not fit in its field", cause=str(error), frame=number
        ) from error
    except UsageError as error:
        error.data.setdefault("frame", number)
        raise


def _flow(capture: Capture, frame: Frame) -> Build:
    """The packets of a frame's flow."""
    layout, way = capture.layout, way_of(capture, frame)
    version = way.source.address.version
    template = _template(layout.link, layout.big_endian, len(layout.vlans), layout.tunnel, version)
    return flow(template, way, layout.vlans)


def way_of(capture: Capture, frame: Frame) -> Way:
    """What the packets of a frame's flow have in common.

    Raises:
        UsageError: No packet survives so many hops, or there is no such interface.
    """
    if not 0 <= frame.hops < LIFETIME or frame.interface < 0:
        raise UsageError(f"a packet cannot have {frame.hops} hops and interface {frame.interface}")
    subflow, host = capture.trace.subflows[frame.segment.subflow], frame.segment.host
    return Way(
        source=subflow.ends[host],
        destination=subflow.ends[1 - host],
        isns=(subflow.isns[host], subflow.isns[1 - host]),
        host=host,
        lifetime=LIFETIME - frame.hops,
        outgoing=frame.outgoing,
        interface=frame.interface,
    )


@lru_cache(maxsize=256)
def _template(link: str, big_endian: bool, tags: int, tunnel: str, version: int) -> Template:
    """A packet of a shape, built by scapy; what a flow or a segment decides is to be patched."""
    layout = Layout(link=link, big_endian=big_endian, vlans=(0,) * tags, tunnel=tunnel)
    nobody = Endpoint(address=NOBODY[version], port=0)
    octets = assemble(layout, Way(source=nobody, destination=nobody))
    behind = layout.before_tcp(version)
    if len(octets) != behind + 20:
        raise AssertionError(f"scapy built {len(octets)} octets, not {behind + 20}")
    ip = behind - (20 if version == 4 else 40)
    outer = LINK_OCTETS[link] + 4 * tags if tunnel else None
    macs = [(at, of_source, bool(tunnel)) for at, of_source in LINK_MACS.get(link, ())]
    if tunnel == "vxlan":
        macs += [(ip - 14, False, False), (ip - 8, True, False)]
    return Template(
        octets=octets,
        version=version,
        ip=ip,
        macs=tuple(macs),
        vlans=tuple(LINK_OCTETS[link] + 4 * tag for tag in range(tags)),
        kind={"sll": 1, "sll2": 10}.get(link),
        index=4 if link == "sll2" else None,
        outer=outer,
        udp=None if tunnel != "vxlan" or outer is None else outer + 20,
    )


def assemble(
    layout: Layout, way: Way, segment: Sent = NOTHING, options: bytes = b"", ip_id: int = 0
) -> bytes:
    """One packet, built by scapy from the first octet to the last.

    This is what templates are made by, and, slow as it is, what says whether a packet that was
    patched is right.

    Args:
        layout: How captures are written.
        way: What the packets of the flow have in common.
        segment: What TCP says.
        options: Its option space.
        ip_id: IP identification.
    """
    from scapy.layers.inet import TCP
    from scapy.packet import Raw

    body = options + segment.payload
    tcp = TCP(
        sport=way.source.port,
        dport=way.destination.port,
        seq=(way.isns[0] + segment.sequence) & MASK_32,
        ack=0 if segment.ack is None else (way.isns[1] + segment.ack) & MASK_32,
        dataofs=5 + len(options) // 4,
        reserved=segment.flags >> 9,
        flags=segment.flags & 0x1FF,
        window=segment.window,
        urgptr=segment.urgent,
        options=[],
    )
    packet = _ip(way.source.address, way.destination.address, way.lifetime, ip_id) / tcp
    return bytes(_outside(layout, way, packet / Raw(body) if body else packet))


def _ip(source: Address, destination: Address, lifetime: int, ip_id: int, proto: int = 6) -> Any:
    from scapy.layers.inet import IP
    from scapy.layers.inet6 import IPv6

    src, dst = str(source), str(destination)
    if source.version == 6:
        return IPv6(version=6, tc=0, fl=0, nh=proto, hlim=lifetime, src=src, dst=dst)
    return IP(
        version=4,
        tos=0,
        id=ip_id,
        flags=DONT_FRAGMENT,
        frag=0,
        ttl=lifetime,
        proto=proto,
        src=src,
        dst=dst,
    )


def _outside(layout: Layout, way: Way, packet: Any) -> Any:
    """A packet with its tunnel, VLAN tags and link header in front."""
    from scapy.layers.inet import UDP
    from scapy.layers.l2 import GRE, Ether
    from scapy.layers.vxlan import VXLAN

    version = way.source.address.version
    macs = [hardware_address(each.address.packed) for each in (way.source, way.destination)]
    if not layout.tunnel:
        return _linked(layout, way, macs, version, packet)
    ends = OUTER if way.host == 0 else OUTER[::-1]
    source, destination = (IPv4Address(each) for each in ends)
    if layout.tunnel == "ipip":
        outer = _ip(source, destination, LIFETIME, 0, proto=4 if version == 4 else 41)
    elif layout.tunnel == "gre":
        outer = _ip(source, destination, LIFETIME, 0, proto=47) / GRE(proto=ETHERTYPE[version])
    else:
        sport, dport = VXLAN_PORTS
        outer = _ip(source, destination, LIFETIME, 0, proto=17)
        outer /= UDP(sport=sport, dport=dport, chksum=0) / VXLAN(flags=8, vni=VXLAN_NETWORK)
        outer /= Ether(src=_text(macs[0]), dst=_text(macs[1]), type=ETHERTYPE[version])
    return _linked(layout, way, [hardware_address(each) for each in ends], 4, outer / packet)


def _linked(layout: Layout, way: Way, macs: list[bytes], version: int, packet: Any) -> Any:
    """A packet with an IP header of this version behind VLAN tags and link header."""
    from scapy.layers.l2 import CookedLinux, CookedLinuxV2, Dot1AD, Dot1Q, Ether
    from scapy.packet import Raw

    kinds = [S_TAG] * (len(layout.vlans) > 1) + [C_TAG] * len(layout.vlans)
    kinds = [*kinds[: len(layout.vlans)], ETHERTYPE[version]]
    for at in reversed(range(len(layout.vlans))):
        tag = Dot1AD if kinds[at] == S_TAG else Dot1Q
        packet = tag(prio=0, dei=0, vlan=layout.vlans[at], type=kinds[at + 1]) / packet
    if layout.link == "raw":
        return packet
    if layout.link == "ethernet":
        return Ether(src=_text(macs[0]), dst=_text(macs[1]), type=kinds[0]) / packet
    if layout.link in FAMILIES:
        # NULL has the byte order of the capturing host, LOOP that of the network.
        order = "<I" if layout.link == "null" and not layout.big_endian else ">I"
        return Raw(struct.pack(order, FAMILIES[layout.link][version])) / packet
    cooked: dict[str, Any] = {
        "pkttype": packet_type(way.outgoing),
        "lladdrtype": ARPHRD_ETHER,
        "lladdrlen": 6,
        "src": macs[0],
        "proto": kinds[0],
    }
    if layout.link == "sll":
        return CookedLinux(**cooked) / packet
    return CookedLinuxV2(reserved=0, ifindex=way.interface + 1, **cooked) / packet


def _text(mac: bytes) -> str:
    return mac.hex(":")


def _other(layout: Layout, noise: Noise) -> bytes:
    """A packet of other traffic behind VLAN tags and link header."""
    version = 6 if noise.packet[:1] >= b"\x60" else 4
    template = _template(layout.link, layout.big_endian, len(layout.vlans), "", version)
    nobody = Endpoint(address=NOBODY[version], port=0)
    way = Way(source=nobody, destination=nobody, interface=noise.interface)
    return filled(template, way, layout.vlans)[: template.ip] + noise.packet
