"""Link types: what each interface's frames begin with, as the engine's packets loop needs it."""

from __future__ import annotations

__all__ = ["LINK_LAYERS", "link_name", "supported"]

LINK_LAYERS = {
    0: "loopback",
    1: "ethernet",
    9: "ppp",
    12: "raw",
    14: "raw",
    50: "ppp",
    101: "raw",
    104: "ppp",
    108: "loopback",
    113: "cooked",
    228: "raw",
    229: "raw",
    276: "cooked-2",
}
"""LINKTYPE number (as registered for pcap and pcapng) -> a layer of the engine's ``LAYERS``."""

_NAMES = {
    0: "BSD loopback (NULL)",
    1: "Ethernet",
    9: "PPP",
    12: "raw IP",
    14: "raw IP",
    50: "PPP in HDLC framing",
    101: "raw IP",
    104: "Cisco HDLC",
    105: "IEEE 802.11",
    108: "OpenBSD loopback (LOOP)",
    113: "Linux cooked v1 (SLL)",
    119: "Prism 802.11",
    127: "802.11 with radiotap",
    147: "user-defined 0",
    187: "Bluetooth HCI H4",
    189: "USB (Linux)",
    201: "Bluetooth HCI H4 with direction",
    220: "USB (Linux, padded)",
    228: "raw IPv4",
    229: "raw IPv6",
    239: "netfilter log (NFLOG)",
    253: "netlink",
    276: "Linux cooked v2 (SLL2)",
}


def supported(linktype: int) -> bool:
    """Whether frames of this link type can be read."""
    return linktype in LINK_LAYERS


def link_name(linktype: int) -> str:
    """The link type for people, such as ``105 (IEEE 802.11)``."""
    name = _NAMES.get(linktype)
    return f"{linktype} ({name})" if name else str(linktype)
