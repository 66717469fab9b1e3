"""What dpkt says of TCP segments, in our facts: a table, one row a field."""

from __future__ import annotations

from collections.abc import Iterable
from ipaddress import ip_address

from mptcp_oracle.dissectors.dissector import Field, Ours, Read, Value
from mptcp_oracle.dissectors.values import end, segment_fact
from mptcp_oracle.dissectors.view import Segment, View

__all__ = ["ERROR", "FIELDS", "MPTCP", "OPTIONS"]

MPTCP = 30
"""The kind of MPTCP's TCP option."""

ERROR = "dpkt.error"
"""The field that names an exception of dpkt's that is not one of its own."""

OPTIONS = "tcp.opts"
"""All octets of the options: not compared, but conditions look at them."""


def _address(text: str) -> Value:
    """An address in its one canonical form."""
    return str(ip_address(text))


def _values(_: View, segment: Segment) -> Iterable[Value]:
    """The octets behind kind and Length of every option: dpkt does not give the Length."""
    return [item["raw"][4:] for item in segment.listed]


def _nothing(_: View, segment: Segment) -> Iterable[Value]:
    """No frame is a reason for an exception."""
    return ()


def _row(name: str, fact: str, ours: Ours, read: Read = int, section: str = "") -> Field:
    return Field(name=name, section=section or "RFC 9293 3.1", fact=fact, ours=ours, read=read)


FIELDS: tuple[Field, ...] = (
    _row("ip.src", "subflow.source, destination: address", end("address", sender=True), _address),
    _row("ip.dst", "subflow.source, destination: address", end("address", sender=False), _address),
    _row("tcp.sport", "subflow.source, destination: port", end("port", sender=True)),
    _row("tcp.dport", "subflow.source, destination: port", end("port", sender=False)),
    _row("tcp.flags", "segment.flags", segment_fact("flags")),
    _row("tcp.seq", "segment.sequence_raw", segment_fact("sequence_raw")),
    _row("tcp.ack", "segment.ack_raw", segment_fact("ack_raw")),
    _row("tcp.win", "segment.window", segment_fact("window")),
    _row("tcp.length", "segment.payload", segment_fact("payload")),
    _row("tcp.option30", "segment.options[].raw", _values, str, section="3"),
    _row(ERROR, "none", _nothing, str),
)
