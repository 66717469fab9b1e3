"""Handshakes with any MP_CAPABLE on SYN, SYN/ACK, third packet and first data."""

from __future__ import annotations

from typing import Any

from mptcp_oracle.options import MpCapable, Option
from tests.common.conversation import KEYS, Conversation, Flow
from tests.common.tape import ACK, PSH

__all__ = ["PLACES", "A", "B", "C", "H", "form", "hello"]

A, B, C, H = 0x80, 0x40, 0x20, 0x01
PLACES = ("syn", "synack", "ack", "data")
"""The packets, in their order."""


def form(name: str, version: int = 1, flags: int = H) -> MpCapable:
    """The MP_CAPABLE of a packet: ``data`` with a length and, if flag A is set, a checksum."""
    keys: dict[str, Any] = {}
    if name != "syn" or version == 0:
        keys["sender_key"] = KEYS[name == "synack"]
    if name in ("ack", "data"):
        keys["receiver_key"] = KEYS[1]
    if name == "data" and version:
        keys |= {"data_length": 5, "checksum": 1 if flags & A else None}
    return MpCapable(version=version, flags=flags, **keys)


def hello(version: int = 1, **given: Option | bytes | None) -> tuple[Conversation, Flow]:
    """A handshake and first data; some packets may be given, or missing (``None``)."""
    talk = Conversation(version=version)
    flow = talk.flow()
    options = {name: form(name, version) for name in PLACES} | given
    steps = {
        "syn": lambda option: flow.syn(option),
        "synack": lambda option: flow.synack(option),
        "ack": lambda option: flow.third(option),
        "data": lambda option: flow.segment(0, ACK | PSH, option, payload=b"first"),
    }
    for name in PLACES:
        if name == "data" and version == 0 and "data" not in given:
            continue
        if options[name] is None:
            with talk.lost():
                steps[name](form(name, version))
        else:
            steps[name](options[name])
    return talk, flow
