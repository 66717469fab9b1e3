"""What the octets alone say: conditions of explanations, recomputed without the analysis.

An explanation that gives our side right has to show it from what the hosts sent: the options of
the announcing frame, the keys of the handshake, sequence numbers. Facts are used here only for
options, flags and sequence numbers.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from mptcp_oracle import crypto, seq
from mptcp_oracle.dissectors.case import Case
from mptcp_oracle.dissectors.view import Segment, View
from mptcp_oracle.facts import ROLES, Fact

__all__ = ["earlier", "keys_of", "number_shown"]

WIDE = (1 << 64) - 1


def earlier(view: View, case: Case, *names: str) -> Iterator[tuple[Segment, Fact]]:
    """Options with these names of the case's subflow, up to and with its frame."""
    if case.segment is None:
        return
    for frame in sorted({each for name in names for each in view.signals.get(name, ())}):
        segment = view.segments[frame]
        if frame <= case.frame and segment.subflow["subflow"] == case.segment.subflow["subflow"]:
            for item in segment.options(*names):
                yield segment, item


def keys_of(view: View, connection: int) -> Mapping[str, int]:
    """By role: the first key that the MP_CAPABLEs of a connection show."""
    return view.derived("keys", lambda: _keys(view)).get(connection, {})


def _keys(view: View) -> dict[int, dict[str, int]]:
    found: dict[int, dict[str, int]] = {}
    for frame in view.signals.get("mp_capable", ()):
        segment = view.segments[frame]
        if segment.sender is None:
            continue
        for item in segment.listed:
            if item["option"] == "mp_capable" and item["sender_key"] is not None:
                keys = found.setdefault(segment.connection["connection"], {})
                keys.setdefault(segment.sender, int(item["sender_key"], 16))
    return found


def _idsn(case: Case, other: bool = False) -> int | None:
    """The IDSN that follows from the key of the sender, or of the other host."""
    segment = case.segment
    if segment is None or segment.sender is None:
        return None
    known: dict[tuple[int, str, bool], int | None] = case.view.derived("idsns", dict)
    whose = (segment.connection["connection"], segment.sender, other)
    if whose not in known:
        role = ROLES[ROLES.index(segment.sender) ^ other]
        key, version = keys_of(case.view, whose[0]).get(role), segment.connection["version"]
        shown = key is not None and version in (0, 1)
        known[whose] = crypto.idsn(key or 0, version) if shown else None
    return known[whose]


def number_shown(case: Case) -> bool:
    """Whether our number of a case follows from the options.

    So it does wherever we say nothing, no key shows what to count from, or the field has no
    number that would count from an IDSN.
    """
    field = case.field
    if not case.ours or _idsn(case, other=field == "mptcp.ack") is None:
        return True
    if field == "mptcp.ack":
        return _data_ack_shown(case)
    if field == "mptcp.dss.dsn":
        return _mapping_shown(case)
    if field in ("mptcp.dsn", "mptcp.rawdsn64"):
        return _idsn_shown(case) or _dsn_shown(case)
    return True


def _idsn_shown(case: Case) -> bool:
    """Whether our DSN of a SYN with MP_CAPABLE is the IDSN: the SYN comes before the data."""
    segment, idsn = case.segment, _idsn(case)
    if segment is None or not segment.syn or not any(segment.options("mp_capable")):
        return False
    return case.ours == ((idsn if case.field == "mptcp.rawdsn64" else 0),)


def _dsn_shown(case: Case) -> bool:
    """Whether our DSN of the first mapped octet follows from the option that maps it.

    RFC 8684 section 3.3.1: the DSN at subflow sequence number ``ssn`` is ``dsn``, and both count
    on from there; the first octet of a connection has DSN IDSN + 1. Accepted data of a SYN are
    left out of account (appendix B.3), but by some hosts not of subflow sequence numbers; where the
    SYN is not captured, nobody knows how many there were, and a mapping that comes with its first
    octet shows where it begins.
    """
    segment, idsn = case.segment, _idsn(case)
    item = None if segment is None else next(segment.mapped(), None)
    if segment is None or idsn is None or item is None or item["sequence"] is None:
        return False
    announcer = case.view.segments[item["announced"]]
    if announcer.options_cut:
        return True
    place, early = item["sequence"], segment.end["syn_data"]
    numbers = {idsn + place - early for _ in announcer.options("mp_capable")}
    for option in announcer.options("dss"):
        if option["dsn"] is not None:
            dsn = int(option["dsn"])
            dsn = seq.extend(dsn, 32, idsn) if option["dsn_size"] == 4 else dsn
            numbers |= {dsn + place - option["ssn"], dsn + place - early - option["ssn"]}
            begins = next(announcer.mapped(), None)
            if begins is not None and begins["sequence"] is not None:
                numbers.add(dsn + place - begins["sequence"])
    less = 0 if case.field == "mptcp.rawdsn64" else idsn
    return case.ours in {((number - less) & WIDE,) for number in numbers}


def _mapping_shown(case: Case) -> bool:
    """Whether our relative DSN of a declared mapping is the option's, less the IDSN."""
    segment, idsn = case.segment, _idsn(case)
    if segment is None or idsn is None:
        return False
    wanted = []
    for option in segment.options("dss"):
        if option["dsn"] is not None:
            dsn = int(option["dsn"])
            dsn = seq.extend(dsn, 32, idsn) if option["dsn_size"] == 4 else dsn
            wanted.append((dsn - idsn) & WIDE)
    return case.ours == tuple(wanted)


def _data_ack_shown(case: Case) -> bool:
    """Whether our relative DATA_ACK is the option's, less the other host's IDSN."""
    segment, idsn = case.segment, _idsn(case, other=True)
    if segment is None or idsn is None or len(case.ours) != 1:
        return False
    for option in segment.options("dss"):
        if option["data_ack"] is not None:
            bits = 8 * option["data_ack_size"]
            wanted = (int(case.ours[0]) + idsn) % (1 << bits)
            return bool(wanted == int(option["data_ack"]))
    return bool(segment.options_cut)
