"""Outside vectors for keys, HMACs, checksums and whole options, and how to read their fields."""

from __future__ import annotations

import json
from ipaddress import IPv4Address, IPv6Address, ip_address
from pathlib import Path
from typing import Any

__all__ = ["VECTORS", "address", "number", "octets"]

VECTORS: dict[str, Any] = json.loads(
    (Path(__file__).parents[1] / "data" / "vectors.json").read_text(encoding="utf-8")
)
"""The vectors by section; numbers are hex strings in network byte order unless JSON numbers."""


def number(text: str) -> int:
    """The unsigned number that hex digits say."""
    return int(text, 16)


def octets(text: str) -> bytes:
    """The octets that hex digits say."""
    return bytes.fromhex(text)


def address(text: str) -> IPv4Address | IPv6Address:
    """The IP address in its usual notation."""
    return ip_address(text)
