"""Greetings: the MP_CAPABLE options of a connection and where they stand (RFC 8684 section 3.1)."""

from __future__ import annotations

from typing import NamedTuple

from mptcp_oracle.analysis.signals import ACK, SYN
from mptcp_oracle.constants import Subtype
from mptcp_oracle.options import Flaw, Malformed, MpCapable, Unknown, notation
from mptcp_oracle.rules.case import Case, Signal

__all__ = ["BROKEN", "Greeting", "Shape", "greetings", "is_capable"]

#: Flaws of an option that no version and no place could have: its octets say nothing for sure.
BROKEN = (Flaw.CUT_OFF, Flaw.LENGTH_OCTET)
#: What a packet is, by its flags SYN and ACK.
FORMS = {SYN: "syn", SYN | ACK: "synack"}


class Shape(NamedTuple):
    """One MP_CAPABLE but for its keys.

    Attributes:
        role: Who sent it. form: ``syn``, ``synack``, ``ack``, or ``data`` with payload.
        version: Its own version. flags: Its flags A to H. size: Its Length.
        readable: Whether the Length is one that any MP_CAPABLE has.
    """

    role: int
    form: str
    version: int
    flags: int
    size: int
    readable: bool


class Greeting(NamedTuple):
    """One MP_CAPABLE where it stands; ``value`` is what it says, if it is readable."""

    signal: Signal
    shape: Shape
    value: MpCapable | None

    @property
    def text(self) -> str:
        """It in words."""
        return notation(self.signal.option)


def is_capable(signal: Signal) -> bool:
    """Whether an option is an MP_CAPABLE, however odd."""
    option = signal.option
    if isinstance(option, Malformed | Unknown):
        return option.subtype == Subtype.MP_CAPABLE
    return isinstance(option, MpCapable)


def greetings(case: Case) -> list[Greeting]:
    """The MP_CAPABLEs of a connection that can be read, in capture order."""
    found = []
    for signal in case.signals:
        option = signal.option
        value: MpCapable | None = None
        if isinstance(option, MpCapable):
            value = option
        elif not isinstance(option, Malformed | Unknown) or not is_capable(signal):
            continue
        elif isinstance(option, Malformed):
            if option.reason in BROKEN:
                continue
            value = option.reading if isinstance(option.reading, MpCapable) else None
        raw = option.raw
        flags = raw[3] if len(raw) > 3 else 0
        form = FORMS.get(signal.flags & (SYN | ACK)) or ("data" if signal.payload else "ack")
        shape = Shape(signal.role, form, raw[2] & 0x0F, flags, len(raw), value is not None)
        found.append(Greeting(signal, shape, value))
    return found
