"""The constants of MPTCP options on the wire: kinds, subtypes, flag masks, sizes, names.

Flag masks are of the octet or nibble that their docstring names; sizes are in octets. Numbers
are those of RFC 8684 section 7 and the figures of its section 3; RFC 6824 agrees unless said.
"""

from __future__ import annotations

from enum import IntEnum

__all__ = [
    "ADD_ADDR_ECHO",
    "ADD_ADDR_HMAC_SIZE",
    "BACKUP",
    "CAPABLE_ADDRESS_CLOSED",
    "CAPABLE_CHECKSUM",
    "CAPABLE_EXTENSION",
    "CAPABLE_HMAC",
    "DSS_ACK",
    "DSS_ACK8",
    "DSS_DATA_FIN",
    "DSS_DSN8",
    "DSS_MAP",
    "JOIN_ACK_HMAC_SIZE",
    "JOIN_SYNACK_HMAC_SIZE",
    "KIND_END",
    "KIND_MPTCP",
    "KIND_NOP",
    "NAMES",
    "OPTION_SPACE",
    "RESET_REASONS",
    "RESET_TRANSIENT",
    "Subtype",
]

KIND_END = 0
KIND_NOP = 1
KIND_MPTCP = 30
OPTION_SPACE = 40
"""Octets that a TCP header has for all its options."""

CAPABLE_CHECKSUM = 0x80
"""MP_CAPABLE flag A: DSS checksums are required."""
CAPABLE_EXTENSION = 0x40
"""MP_CAPABLE flag B: must be 0, reserved for extensions."""
CAPABLE_ADDRESS_CLOSED = 0x20
"""MP_CAPABLE flag C of version 1: open no subflow to this address and port."""
CAPABLE_HMAC = 0x01
"""MP_CAPABLE flag H: HMAC-SHA256 in version 1, HMAC-SHA1 in version 0."""

BACKUP = 0x01
"""Flag B in the low nibble of octet 2 of MP_JOIN (SYN, SYN/ACK) and MP_PRIO."""
ADD_ADDR_ECHO = 0x01
"""Flag E in the low nibble of octet 2 of a version 1 ADD_ADDR."""

DSS_ACK = 0x01
"""DSS flag A: a DATA_ACK is there."""
DSS_ACK8 = 0x02
"""DSS flag a: the DATA_ACK has 8 octets, not 4."""
DSS_MAP = 0x04
"""DSS flag M: DSN, subflow sequence number, Data-Level Length (and checksum) are there."""
DSS_DSN8 = 0x08
"""DSS flag m: the DSN has 8 octets, not 4."""
DSS_DATA_FIN = 0x10
"""DSS flag F: DATA_FIN."""

RESET_TRANSIENT = 0x01
"""MP_TCPRST flag T: the condition is expected to pass."""

JOIN_SYNACK_HMAC_SIZE = 8
JOIN_ACK_HMAC_SIZE = 20
ADD_ADDR_HMAC_SIZE = 8


class Subtype(IntEnum):
    """The subtypes of TCP option 30 (RFC 8684 section 7.2)."""

    MP_CAPABLE = 0x0
    MP_JOIN = 0x1
    DSS = 0x2
    ADD_ADDR = 0x3
    REMOVE_ADDR = 0x4
    MP_PRIO = 0x5
    MP_FAIL = 0x6
    MP_FASTCLOSE = 0x7
    MP_TCPRST = 0x8
    MP_EXPERIMENTAL = 0xF


NAMES: dict[int, str] = {
    Subtype.MP_CAPABLE: "Multipath Capable",
    Subtype.MP_JOIN: "Join Connection",
    Subtype.DSS: "Data Sequence Signal",
    Subtype.ADD_ADDR: "Add Address",
    Subtype.REMOVE_ADDR: "Remove Address",
    Subtype.MP_PRIO: "Change Subflow Priority",
    Subtype.MP_FAIL: "TCP Fallback",
    Subtype.MP_FASTCLOSE: "Fast Close",
    Subtype.MP_TCPRST: "TCP Reset",
    Subtype.MP_EXPERIMENTAL: "Private Experiment",
}
"""Subtype to what Wireshark calls it (the last one, which it does not name, excepted)."""

RESET_REASONS: dict[int, str] = {
    0: "Unspecified error",
    1: "MPTCP-specific error",
    2: "Lack of resources",
    3: "Administratively prohibited",
    4: "Too much outstanding data",
    5: "Unacceptable performance",
    6: "Middlebox interference",
}
"""MP_TCPRST reason code to its registered name (RFC 8684 section 7.4)."""
