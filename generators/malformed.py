"""Malformed options, and captures whose octets were damaged on purpose.

What a receiver must ignore is made here by the table of what each subtype may look like (RFC 8684
section 3, RFC 6824 section 3), and captures are damaged octet by octet with their checksums kept
right, so that the damage gets past whoever checks, or made wrong. All of it is chosen by
:class:`~mptcp_oracle.model.choices.Choices`; the strategies around it are in
:mod:`mptcp_oracle.generators.strategies`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from mptcp_oracle.constants import KIND_MPTCP, OPTION_SPACE, Subtype
from mptcp_oracle.encode import encode
from mptcp_oracle.model.capture import Capture, Frame
from mptcp_oracle.model.choices import Choices
from mptcp_oracle.model.tcp_options import OptionSpace
from mptcp_oracle.model.trace import Sent
from mptcp_oracle.options import Flaw, Malformed

__all__ = ["FLAWS", "PLACES", "flawed_at", "malform", "malformed_option"]

FLAWS = (Flaw.LAYOUT, Flaw.CUT_OFF, Flaw.LENGTH_OCTET, Flaw.MISPLACED, Flaw.WRONG_VERSION)
"""What can be wrong with an option, in the order in which examples get simpler."""

PLACES = ("data", "ack", "syn", "synack")
"""Kinds of segments: with payload, without, SYN, SYN with ACK."""

SIZES: dict[int, tuple[int, ...]] = {
    Subtype.MP_CAPABLE: (4, 12, 20, 22, 24),
    Subtype.MP_JOIN: (12, 16, 24),
    Subtype.ADD_ADDR: (8, 10, 16, 18, 20, 22, 28, 30),
    Subtype.REMOVE_ADDR: tuple(range(4, OPTION_SPACE + 1)),
    Subtype.MP_PRIO: (3, 4),
    Subtype.MP_FAIL: (12,),
    Subtype.MP_FASTCLOSE: (12,),
    Subtype.MP_TCPRST: (4,),
}
"""Lengths of any layout of each subtype; those of a DSS follow from its flags."""

FITTING: dict[tuple[int, int, str], tuple[int, ...]] = {
    (Subtype.MP_CAPABLE, 1, "syn"): (4,),
    (Subtype.MP_CAPABLE, 1, "synack"): (12,),
    (Subtype.MP_CAPABLE, 1, "ack"): (20,),
    (Subtype.MP_CAPABLE, 1, "data"): (22, 24),
    (Subtype.MP_CAPABLE, 0, "syn"): (12,),
    (Subtype.MP_CAPABLE, 0, "synack"): (12,),
    (Subtype.MP_CAPABLE, 0, "ack"): (20,),
    (Subtype.MP_CAPABLE, 0, "data"): (20,),
    (Subtype.MP_JOIN, 1, "syn"): (12,),
    (Subtype.MP_JOIN, 1, "synack"): (16,),
    (Subtype.MP_JOIN, 1, "ack"): (24,),
    (Subtype.MP_JOIN, 1, "data"): (24,),
}
"""Lengths that belong on a segment, by subtype, version and place; of a join in both versions."""

#: Subtypes that have a layout of this flaw; misplaced lengths and other versions' layouts are few.
WITH_LAYOUT = (Subtype.DSS, *SIZES)


def malformed_option(
    choices: Choices,
    *,
    flaws: Sequence[Flaw] = FLAWS,
    version: int = 1,
    place: str = "data",
    room: int = OPTION_SPACE,
) -> Malformed:
    """An MPTCP option that a receiver has to ignore.

    Args:
        choices: Where it comes from.
        flaws: What may be wrong with it; one of them is.
        version: Version of the connection, 0 or 1.
        place: The kind of segment that is to carry it, one of :data:`PLACES`.
        room: Most octets it may have, at least 4.

    Returns:
        A value that :func:`mptcp_oracle.encode.encode` writes as it is. Its ``reading`` is left
        out. If it is cut off, or has a length octet below 2, nothing may stand behind it.
    """
    flaw = choices.pick([flaw for flaw in flaws if _possible(flaw, version, place, room)])
    raw = _MAKERS[flaw](choices, version, place, room)
    return Malformed(reason=flaw, subtype=raw[2] >> 4 if len(raw) > 2 else None, raw=raw)


def _possible(flaw: Flaw, version: int, place: str, room: int) -> bool:
    """Whether an option can have this flaw here."""
    if flaw == Flaw.WRONG_VERSION:
        return room >= (4 if version == 1 else 16)
    if flaw == Flaw.MISPLACED:
        return room >= 4 and bool(_misplaced_sizes(version, place, room))
    return room >= 4


def _option(choices: Choices, subtype: int, size: int, nibble: int, third: int | None) -> bytes:
    """An option of a size with anything in it, but for the nibble and the octet after it."""
    head = bytes([KIND_MPTCP, size & 0xFF, subtype << 4 | nibble])
    if size > 3 and third is not None:
        head += bytes([third])
    return (head + _filler(choices, size - len(head)))[: max(size, 3)]


def _filler(choices: Choices, size: int) -> bytes:
    """Octets without a meaning: one choice for all of them."""
    return choices.bits(8 * size).to_bytes(size, "big") if size > 0 else b""


def dss_sizes(flags: int) -> tuple[int, ...]:
    """Lengths of a DSS with these flags (RFC 8684 figure 9); with a mapping a checksum may be."""
    size = 4
    if flags & 0x01:
        size += 8 if flags & 0x02 else 4
    if not flags & 0x04:
        return (size,)
    size += 14 if flags & 0x08 else 10
    return (size, size + 2)


def _layout(choices: Choices, version: int, _place: str, room: int) -> bytes:
    """A length that no layout of the subtype has, with these flags."""
    subtype = choices.pick(WITH_LAYOUT)
    flags = choices.integer(0, 255)
    sizes = dss_sizes(flags) if subtype == Subtype.DSS else SIZES[subtype]
    wrong = [size for size in range(3, room + 1) if size not in sizes]
    if not wrong:
        subtype, wrong = Subtype.MP_TCPRST, [3]
    nibble = choices.integer(0, 15)
    if subtype == Subtype.MP_CAPABLE:
        nibble = version
    return _option(choices, subtype, choices.pick(wrong), nibble, flags)


def _cut_off(choices: Choices, _version: int, _place: str, room: int) -> bytes:
    """Fewer octets than the Length says; perhaps too few for a subtype."""
    size = choices.integer(1, room)
    said = choices.integer(max(size + 1, 3), 255)
    raw = bytes([KIND_MPTCP, said]) + _filler(choices, size - 2)
    return raw[:size]


def _length_octet(choices: Choices, _version: int, _place: str, room: int) -> bytes:
    """A Length below 3: of 2, which leaves no subtype, or of 0 or 1, which ends all reading."""
    said = choices.integer(0, 2)
    size = 2 if said == 2 else choices.integer(3, room)
    return bytes([KIND_MPTCP, said]) + _filler(choices, size - 2)


def _misplaced_sizes(version: int, place: str, room: int) -> list[tuple[int, int]]:
    """Subtype and length of layouts of this version that belong on another kind of segment."""
    found: list[tuple[int, int]] = []
    for subtype in (Subtype.MP_CAPABLE, Subtype.MP_JOIN):
        key = 1 if subtype == Subtype.MP_JOIN else version
        sizes = SIZES[subtype] if subtype == Subtype.MP_JOIN or version == 1 else (12, 20)
        fitting = FITTING[subtype, key, place]
        found += [(subtype, size) for size in sizes if size not in fitting and size <= room]
    return found


def _misplaced(choices: Choices, version: int, place: str, room: int) -> bytes:
    subtype, size = choices.pick(_misplaced_sizes(version, place, room))
    nibble = version if subtype == Subtype.MP_CAPABLE else choices.integer(0, 15)
    return _option(choices, subtype, size, nibble, choices.integer(0, 255))


def _wrong_version(choices: Choices, version: int, _place: str, room: int) -> bytes:
    """An ADD_ADDR or MP_PRIO as the other version has it."""
    if version == 0:
        size = choices.pick([size for size in (16, 18, 28, 30) if size <= room])
        return _option(choices, Subtype.ADD_ADDR, size, choices.integer(0, 7) << 1, None)
    sizes = [size for size in (4, 8, 10, 20, 22) if size <= room]
    size = choices.pick(sizes)
    if size == 4:
        return _option(choices, Subtype.MP_PRIO, size, choices.integer(0, 15), None)
    return _option(choices, Subtype.ADD_ADDR, size, 4 if size < 20 else 6, None)


_MAKERS = {
    Flaw.LAYOUT: _layout,
    Flaw.CUT_OFF: _cut_off,
    Flaw.LENGTH_OCTET: _length_octet,
    Flaw.MISPLACED: _misplaced,
    Flaw.WRONG_VERSION: _wrong_version,
}


def flawed_at(segment: Sent) -> str:
    """The place, of :data:`PLACES`, that a segment is."""
    if segment.flags & 0x02:
        return "synack" if segment.flags & 0x10 else "syn"
    return "data" if segment.payload else "ack"


def malform(capture: Capture, choices: Choices, *, most: int = 3) -> Capture:
    """A capture in which some segments carry a malformed option beside their own or instead.

    Every frame of a segment changes alike, and TCP checksums are right; a DSS that has to go
    takes its mapping along. The labels of the segments stay what they were, so it has no truth.

    Args:
        capture: The capture.
        choices: Where the options come from.
        most: At most so many segments change; at least one does if there is any.
    """
    frames = [frame for frame in capture.frames if isinstance(frame, Frame)]
    if not frames:
        return capture
    space = OptionSpace(capture.trace, capture.layout)
    changed: dict[int, Sent] = {}
    for _ in range(choices.integer(1, most)):
        segment = choices.pick(frames).segment
        changed[id(segment)] = _with_malformed(capture, segment, space, choices)
    return replace(
        capture,
        frames=tuple(
            replace(frame, segment=changed[id(frame.segment)])
            if isinstance(frame, Frame) and id(frame.segment) in changed
            else frame
            for frame in capture.frames
        ),
    )


def _with_malformed(capture: Capture, segment: Sent, space: OptionSpace, choices: Choices) -> Sent:
    """The segment with one malformed option, its own where they fit."""
    flow = capture.trace.subflows[segment.subflow]
    version = capture.trace.connections[flow.connection].version
    used = len(space.octets(segment))
    keep = segment.options if used <= OPTION_SPACE - 8 and choices.chance(1, 2) else ()
    kept = sum(len(encode(option)) for option in keep)
    room = OPTION_SPACE - kept
    # An option without an end swallows what follows, so it stands last.
    option = malformed_option(
        choices, version=min(version, 1), place=flawed_at(segment), room=min(room, 40)
    )
    return replace(segment, options=(*keep, option), mapping=None, data_ack=None)
