"""Why tshark's numbers and mappings differ: what counts from where, and what is mapped by what.

Every function gets a :class:`~mptcp_oracle.dissectors.tshark_spots.Spot` and gives the name of the
first thing on the way from the octets to the value that went wrong.
"""

from __future__ import annotations

from mptcp_oracle import seq
from mptcp_oracle.dissectors.tshark_spots import Spot, out_of_place, silent, streams_of, twice
from mptcp_oracle.dissectors.tshark_state import Mapping as Mapped
from mptcp_oracle.dissectors.tshark_state import Side
from mptcp_oracle.dissectors.values import first_declaring
from mptcp_oracle.dissectors.view import View

__all__ = ["base", "dsn", "missing", "option_number", "related"]

WIDE, SHORT = (1 << 64) - 1, (1 << 32) - 1


def base(spot: Spot, side: Side | None, *, other: bool) -> str:
    """What is wrong with what numbers count from, or nothing."""
    segment = spot.segment
    base, host = segment.base(other=other), segment.host(other=other)
    if side is None or (side.base == base and base is not None):
        return ""
    if twice(spot.view, segment):
        return "twice"
    if side.refused:
        return "half"
    if side.key is None and (host is None or host["key"] is None):
        return "no-key"
    if side.key is None:
        if spot.note.stream.failed:
            return "token"
        return "orphan" if _apart(spot) else "keyless"
    if side.base == segment.base(other=not other):
        return "joined-again" if spot.note.joins > 1 else "joined-by-other"
    return out_of_place(spot) or "base?"


def option_number(spot: Spot) -> str:
    """DATA_ACK, and DSN of a mapping."""
    if spot.note.silent == "cut":
        return "options-cut"
    if spot.note.silent == "option bug" or (not spot.theirs and spot.note.silent == "malformed"):
        return silent(spot)
    ack = spot.field == "mptcp.ack"
    wrong = base(spot, spot.note.peer if ack else spot.note.saw, other=ack)
    if wrong:
        return wrong
    if len(spot.theirs) > len(spot.ours):
        return "layout"
    for option in spot.segment.options("dss"):
        size = option["data_ack_size"] if ack else option["dsn_size"]
        if size:
            return _width(size, extended=bool(option["flags"] & 2))
    return "option?"


def _width(size: int, *, extended: bool) -> str:
    """Whether tshark takes a DSN for wider than it is, or narrower, or fails to widen it."""
    if (size == 8) != extended:
        return "width"
    return "wrap" if size == 4 else "width?"


def dsn(spot: Spot) -> str:
    """The DSN of the first octet."""
    note, segment = spot.note, spot.segment
    if why := silent(spot):
        return why
    if note.silent == "bug":
        return "assertion"
    if segment.syn:
        if not any(segment.options("mp_capable")):
            return "join-syn"
        return "lost" if note.lost else base(spot, note.saw, other=False) or "dsn?"
    if not segment.payload:
        return "lost" if note.lost else "empty"
    if note.lost:
        return "lost"
    if note.mapping is None:
        return _unmapped(spot)
    wrong = _mapped(spot, note.mapping)
    return wrong or base(spot, note.saw, other=False) or "dsn?"


def _mapped(spot: Spot, mapping: Mapped) -> str:
    """What is wrong with the mapping by which tshark computed a DSN, or nothing."""
    item = next(spot.segment.mapped(), None)
    if item is None or item["absolute"] is None:
        return "" if item is not None else _spurious(spot, mapping)
    wanted = int(item["absolute"])
    size = mapping_size(spot.view, mapping)
    own = spot.note.own
    begin = (spot.segment.number - (own.base or 0) & SHORT) - mapping.low
    absolute = mapping.dsn if size == 8 else seq.extend(mapping.dsn, 32, wanted)
    if (absolute + begin) & WIDE != wanted:
        return _spurious(spot, mapping)
    side = spot.note.saw
    if (size == 8) != mapping.extended:
        same = side is not None and wanted & ~SHORT == side.base & ~SHORT
        return "width" if size == 4 or not same else ""
    if size == 4 and side is not None and not base(spot, side, other=False):
        return "wrap"
    return ""


def _spurious(spot: Spot, mapping: Mapped) -> str:
    """Why tshark's mapping is not the one that maps the first octet."""
    if mapping.option == "mp_capable" and mapping.low != 1:
        return "capable"
    if _after_syn_data(spot):
        return "syn-data"
    return "data-fin" if with_data_fin(spot.view, mapping) else "overlap"


def _after_syn_data(spot: Spot) -> bool:
    """Whether the sender's SYN had data."""
    ends = spot.view.derived("syn data", lambda: _syn_data(spot.view))
    return (spot.segment.subflow["subflow"], spot.segment.origin) in ends


def _syn_data(view: View) -> set[tuple[int, str]]:
    return {
        (segment.subflow["subflow"], segment.origin)
        for segment in view.segments.values()
        if segment.syn and segment.payload
    } | {
        (number, end)
        for number, subflow in view.subflows.items()
        for end in ("source", "destination")
        if subflow[end]["syn_data"]
    }


def with_data_fin(view: View, mapping: Mapped) -> bool:
    """Whether the last number of a mapping is a DATA_FIN's."""
    options = view.segments[mapping.frame].options("dss")
    return mapping.option == "dss" and any(each["data_fin"] for each in options)


def _apart(spot: Spot) -> bool:
    """Whether tshark keeps the stream apart from the connection that facts put it into."""
    own = spot.note.stream.mptcp
    return any(stream.mptcp is not None and stream.mptcp is not own for stream in streams_of(spot))


def _unmapped(spot: Spot) -> str:
    """Why tshark finds no mapping."""
    item = next(spot.segment.mapped(), None)
    if item is None:
        return "unmapped?"
    announcer = spot.view.segments[item["announced"]]
    if _infinite(spot.view, announcer.frame):
        return "infinite"
    if spot.note.passed[0]:
        return "passed-over"
    if _after_syn_data(spot):
        return "syn-data"
    return "later" if announcer.frame > spot.segment.frame else "overlap"


def _infinite(view: View, frame: int) -> bool:
    """Whether a frame announces an infinite mapping."""
    options = view.segments[frame].options("dss")
    return any(each["dll"] == 0 and not each["data_fin"] for each in options)


def mapping_size(view: View, mapping: Mapped) -> int:
    """Octets of the DSN of a mapping that tshark has stored."""
    if mapping.option == "mp_capable":
        return 8
    options = view.segments[mapping.frame].options("dss")
    return next((int(each["dsn_size"]) for each in options if each["dsn_size"]), 8)


# ---- mappings ------------------------------------------------------------------------------


def missing(spot: Spot) -> str:
    """The complaint that there is no mapping."""
    if why := silent(spot):
        return why
    if not spot.segment.payload:
        return "empty"
    if spot.note.lost:
        return "lost"
    if spot.theirs:
        return _unmapped(spot)
    return _spurious(spot, spot.note.mapping) if spot.note.mapping else "missing?"


def related(spot: Spot) -> str:
    """The frames that announced the mappings."""
    if why := silent(spot):
        return why
    if spot.note.lost:
        return "lost"
    if not spot.theirs:
        return _unmapped(spot)
    if spot.note.passed[0]:
        return "passed-over"
    if any(int(frame) > spot.segment.frame for frame in spot.ours):
        return "later"
    if any(_infinite(spot.view, int(frame)) for frame in set(spot.ours) - set(spot.theirs)):
        return "infinite"
    for each in spot.note.every:
        if each.option == "mp_capable" and each.low != 1:
            return "capable"
    if _after_syn_data(spot):
        return "syn-data"
    extra = set(spot.theirs) - set(spot.ours)
    if any(
        first_declaring(spot.view).get(each.frame, each.frame) in extra
        and with_data_fin(spot.view, each)
        for each in spot.note.every
    ):
        return "data-fin"
    return "overlap"
