"""How tcpdump reads MPTCP options otherwise than the oracle: one function for each of its ways.

Each gets an option's fact and the segment's flags, and gives the fact as tcpdump has it; where it
has nothing to say, the same one. From these follow where tcpdump differs, and what it says there.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping

from mptcp_oracle.dissectors.view import Segment, View
from mptcp_oracle.facts import Fact

__all__ = ["BEHIND_BAD", "WAYS", "called_bad", "read"]

SYN, ACK = 0x02, 0x10
CAPABLE, JOIN, DSS, ADD_ADDR, REMOVE_ADDR, PRIO, FAIL, FASTCLOSE, TCPRST = range(9)
#: The Lengths that it takes of subtypes on any segment.
LENGTHS: Mapping[int, Collection[int]] = {
    ADD_ADDR: (8, 10, 16, 18, 20, 22, 28, 30),
    REMOVE_ADDR: range(4, 256),
    PRIO: (3, 4),
    FAIL: (12,),
    FASTCLOSE: (12,),
}
#: What a DSS has behind its flags: the flag that says so, the one that makes it wide, and sizes.
WIDE, NARROW = 8, 4
FIN, MAP, WIDE_DSN, ACKED, WIDE_ACK = 0x10, 0x04, 0x08, 0x01, 0x02

BEHIND_BAD = "behind_bad"
"""The way of all options at once: nothing is read behind one that is called bad."""


def _subtype(item: Fact) -> int:
    """The subtype, or -1 if the option has no good Length."""
    raw = bytes.fromhex(item["raw"])
    return raw[2] >> 4 if len(raw) > 2 and raw[1] == len(raw) else -1


def called_bad(item: Fact, flags: int) -> bool:
    """Whether tcpdump calls an option bad: by its Length, the flags of the segment, and no more."""
    raw = bytes.fromhex(item["raw"])
    size, syn, ack = len(raw), bool(flags & SYN), bool(flags & ACK)
    subtype = _subtype(item)
    if subtype == CAPABLE:
        return size not in ((4, 12) if syn else (20, 22) if ack else ())
    if subtype == JOIN:
        return not ((size == 12 and syn) or (size == 16 and syn and ack) or (size == 24 and ack))
    if subtype == DSS:
        return syn or _shown(raw)[1]
    return subtype < 0 or (subtype in LENGTHS and size not in LENGTHS[subtype])


def _shown(raw: bytes) -> tuple[Fact, bool]:
    """What is shown of a DSS, and whether it is called bad then: it may be shown in part."""
    shown: Fact = dict.fromkeys(("data_ack", "dsn", "ssn", "dll", "checksum"))
    shown |= {"option": "dss", "raw": raw.hex(), "data_fin": False}
    if len(raw) < 4:
        return shown, True
    flags, at = raw[3], 4
    shown["data_fin"] = bool(flags & FIN)
    wanted = []
    if flags & ACKED:
        wanted.append(("data_ack", WIDE if flags & WIDE_ACK else NARROW))
    if flags & MAP:
        wanted += [("dsn", WIDE if flags & WIDE_DSN else NARROW), ("ssn", 4), ("dll", 2)]
        wanted.append(("checksum", 2))
    for name, size in wanted:
        if len(raw) - at < size:
            return shown, name != "checksum" or at != len(raw)
        shown[name] = int.from_bytes(raw[at : at + size], "big")
        at += size
    return shown, at != len(raw)


# ---- ways -----------------------------------------------------------------------------------


def _bad(item: Fact) -> Fact:
    """An option that is called bad, with nothing said of it but name and Length."""
    return {"option": "malformed", "raw": item["raw"]}


def _accepted(item: Fact, flags: int, subtypes: tuple[int, ...], reasons: tuple[str, ...]) -> Fact:
    """A malformed option as what its Length allows, if tcpdump takes it."""
    if (
        item["option"] != "malformed"
        or item.get("reason") not in reasons
        or _subtype(item) not in subtypes
        or called_bad(item, flags)
    ):
        return item
    reading: Fact = item.get("reading") or {"option": "unknown", "raw": item["raw"]}
    return reading


def first_data_checksum(item: Fact, flags: int) -> Fact:
    """An MP_CAPABLE with Data-Level Length and checksum, 24 octets, is called bad."""
    first = _subtype(item) == CAPABLE and len(item["raw"]) == 48 and not flags & SYN
    return _bad(item) if first else item


def first_data_length(item: Fact, flags: int) -> Fact:
    """The Data-Level Length of an MP_CAPABLE of 22 octets is not shown."""
    told: Fact = item.get("reading") or item
    if told["option"] != "mp_capable" or told["data_length"] is None or called_bad(item, flags):
        return item
    shorter = told | {"data_length": None}
    return shorter if told is item else item | {"reading": shorter}


def reset_unknown(item: Fact, _: int) -> Fact:
    """MP_TCPRST has no name, and no Length is wrong for it."""
    if _subtype(item) != TCPRST:
        return item
    return {"option": "unknown", "raw": item["raw"][:4] + "f" + item["raw"][5:]}


def capable_forms(item: Fact, flags: int) -> Fact:
    """An MP_CAPABLE is taken whose Length its version does not have on this kind of segment."""
    return _accepted(item, flags, (CAPABLE,), ("misplaced", "layout"))


def join_forms(item: Fact, flags: int) -> Fact:
    """An MP_JOIN is taken whose Length belongs to another segment of the handshake."""
    return _accepted(item, flags, (JOIN,), ("misplaced",))


def other_version(item: Fact, flags: int) -> Fact:
    """An option is taken in the form that it has in the other version of MPTCP."""
    return _accepted(item, flags, (ADD_ADDR, PRIO), ("wrong-version",))


def address_forms(item: Fact, flags: int) -> Fact:
    """An ADD_ADDR is taken with neither echo nor HMAC, or with both."""
    return _accepted(item, flags, (ADD_ADDR,), ("layout",))


def reserved_bits(item: Fact, _: int) -> Fact:
    """The four bits before an Address ID are one number: reserved bits change what it says."""
    told: Fact = item.get("reading") or item
    if told["option"] != "add_addr":
        return item
    nibble = int(item["raw"][5], 16)
    seen = {"version": {0: 1, 1: 1, 4: 0, 6: 0}.get(nibble), "echo": nibble == 1}
    if all(told[name] == value for name, value in seen.items()):
        return item
    return told | seen if told is item else item | {"reading": told | seen}


def kind_behind_length(item: Fact, _: int) -> Fact:
    """Of an option without a good Length nothing is said but that it is bad."""
    return {"option": "malformed", "raw": item["raw"][:4]} if _subtype(item) < 0 else item


def shown_in_part(item: Fact, flags: int) -> Fact:
    """A DSS that is called bad is shown as far as it goes."""
    if _subtype(item) != DSS or flags & SYN:
        return item
    shown, bad = _shown(bytes.fromhex(item["raw"]))
    return _bad(item) | {"reading": shown} if bad else item


def not_shown(item: Fact, flags: int) -> Fact:
    """A malformed option that is called bad is not shown; facts have what its Length allows."""
    hidden = item["option"] == "malformed" and item.get("reading") and called_bad(item, flags)
    return _bad(item) if hidden and _subtype(item) != DSS else item


def stricter(item: Fact, flags: int) -> Fact:
    """A DSS on a SYN, or a form of MP_CAPABLE of an unknown version, is called bad."""
    if item["option"] == "malformed" or not called_bad(item, flags):
        return item
    return item if first_data_checksum(item, flags) is not item else _bad(item)


def unknown_version(item: Fact, flags: int) -> Fact:
    """Of an MP_CAPABLE of an unknown version nothing but that is shown."""
    if item["option"] != "mp_capable" or item["version"] < 2 or called_bad(item, flags):
        return item
    return {"option": "unknown", "raw": item["raw"]}


WAYS: Mapping[str, Callable[[Fact, int], Fact]] = {
    each.__name__: each
    for each in (
        first_data_checksum,
        first_data_length,
        reset_unknown,
        capable_forms,
        join_forms,
        other_version,
        address_forms,
        reserved_bits,
        kind_behind_length,
        shown_in_part,
        not_shown,
        stricter,
        unknown_version,
    )
}
"""The ways, by name; read together they are applied in this order."""


def read(view: View, frame: int, way: str | None = None) -> Segment | None:
    """A segment as tcpdump reads it.

    Args:
        view: Our facts.
        frame: The segment's.
        way: One of :data:`WAYS`, or :data:`BEHIND_BAD`; all of them by default.

    Returns:
        The segment; ``None`` if this way makes no difference to its options.
    """
    readings = view.derived("tcpdump's readings", lambda: _readings(view))
    return readings.get((frame, way))


def _readings(view: View) -> dict[tuple[int, str | None], Segment]:
    found: dict[tuple[int, str | None], Segment] = {}
    for frame, segment in view.segments.items():
        flags, options = segment.flags, segment.listed
        ends = next((at for at, item in enumerate(options, 1) if called_bad(item, flags)), None)
        own: dict[str | None, list[Fact]] = {}
        every = options
        for name, way in WAYS.items():
            seen = [way(item, flags) for item in options]
            every = [way(item, flags) for item in every]
            if seen != options:
                own[name] = seen
        if ends is not None and ends < len(options):
            own[BEHIND_BAD] = options[:ends]
            every = every[:ends]
        if own:
            own[None] = every
            for key, items in own.items():
                found[frame, key] = segment.having(items)
    return found
