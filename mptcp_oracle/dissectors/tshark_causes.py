"""Why tshark says what it says: for each difference that its replayed state foresees, one cause.

Every function gets a :class:`~mptcp_oracle.dissectors.tshark_spots.Spot` and gives the name of the
first thing on the way from the octets to the value that went wrong; the triggers of the catalogue
ask for these names.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from mptcp_oracle.dissectors.dissector import Field, Value
from mptcp_oracle.dissectors.sides import Side, read, settled
from mptcp_oracle.dissectors.tshark_fields import FIELDS
from mptcp_oracle.dissectors.tshark_numbers import base, dsn, missing, option_number, related
from mptcp_oracle.dissectors.tshark_replay import replay, spoken
from mptcp_oracle.dissectors.tshark_spots import Spot, out_of_place, silent, streams_of, twice
from mptcp_oracle.dissectors.view import Segment, View

__all__ = ["FORETOLD", "Foretold", "foretold", "replayed"]


ROWS = {each.name: each for each in FIELDS}
#: How much of what is foreseen is kept.
KEPT = 10_000
#: Why there may be no analysis of TCP, either.
UNREAD = ("cut", "malformed", "option bug")


@dataclass(slots=True, eq=False)
class Foretold:
    """A difference that is foreseen: its cause, and what tshark says."""

    cause: str
    theirs: tuple[Value, ...]


def foretold(view: View, field: str, frame: int) -> Foretold | None:
    """The difference that is foreseen for a field in a frame, if one is; kept for a while."""
    known: dict[tuple[str, int], Foretold | None] = view.derived("tshark foretold", dict)
    if (field, frame) not in known:
        if len(known) > KEPT:
            known.clear()
        known[field, frame] = _foretold(view, field, frame)
    return known[field, frame]


def replayed(view: View, field: str, frame: int) -> tuple[Value, ...]:
    """What tshark says of a field in a frame by its replayed state."""
    segment = view.segments.get(frame)
    return () if segment is None else _side(view, ROWS[field], segment)[1]


def _foretold(view: View, field: str, frame: int) -> Foretold | None:
    cause, segment = FORETOLD.get(field), view.segments.get(frame)
    if cause is None or segment is None:
        return None
    _, theirs, ours = _side(view, ROWS[field], segment)
    if theirs == ours:
        return None
    note = replay(view).notes[frame]
    spot = Spot(view=view, segment=segment, note=note, field=field, theirs=theirs, ours=ours)
    return Foretold(_blurred(spot) or cause(spot), theirs)


def _side(view: View, row: Field, segment: Segment) -> Side:
    """Tshark's values of a field of a segment by its replayed state, and ours."""
    played, frame = replay(view), segment.frame
    words = spoken(view, frame) if row.name in OPTION_ROWS else played.said[frame]
    theirs = read(row, words.get(row.name, ()), lambda: played.begins)
    ours = tuple(row.ours(view, segment))
    if row.unordered:
        theirs = settled(row, view, {frame: theirs}).get(frame, ())
        ours = settled(row, view, {frame: ours}).get(frame, ())
    side = (frame, theirs, ours)
    return played.names.named(side) if row.names else side


def _blurred(spot: Spot) -> str:
    """Behind options that are cut, what tshark has made of them is not certain."""
    sure = spot.note.silent or spot.field.startswith("tcp.")
    return "blurred" if spot.note.blurred and not sure else ""


# ---- which connection ----------------------------------------------------------------------


def _membership(spot: Spot) -> str:
    if why := silent(spot):
        return why
    connection = spot.note.connection
    assert connection is not None
    if twice(spot.view, spot.segment):
        return "twice"
    if spot.segment.connection["connection"] < 0:
        if spot.field == "mptcp.master":
            return "unknown-master"
        return "unlisted" if not spot.theirs else "same-token"
    if spot.field == "mptcp.master" and connection.master is None and not spot.note.stream.failed:
        return "unknown-master"
    if connection.made[1] == "option" and spot.note.stream not in connection.streams:
        if spot.note.stream.failed:
            return "token"
        return "unlisted" if spot.field == "mptcp.analysis.subflows" else "orphan"
    if spot.field == "mptcp.analysis.subflows":
        return "token" if any(stream.failed for stream in streams_of(spot)) else "orphan"
    if spot.field == "mptcp.stream" and connection.made[1] == "token":
        return "orphan"
    return "master" if spot.field == "mptcp.master" else out_of_place(spot) or "membership?"


def _reinjection(spot: Spot) -> str:
    """The earlier frames with the same data."""
    if why := silent(spot):
        return why
    if spot.note.silent == "bug":
        return "assertion"
    if why := _misplaced(spot.view, spot.segment.frame):
        return why
    if spot.note.passed[1]:
        return "passed-over"
    played = replay(spot.view)
    left_out = sorted(set(spot.ours) - set(spot.theirs))
    for frame in left_out:
        if why := _misplaced(spot.view, int(frame)):
            return why
        note = played.notes[int(frame)]
        if note.stream.mptcp is not spot.note.stream.mptcp:
            return "token" if note.stream.failed or spot.note.stream.failed else "orphan"
        if note.side is not spot.note.side:
            joins = max(note.joins, spot.note.joins)
            return "joined-again" if joins > 1 else "joined-by-other"
    added = [spot.view.segments[int(frame)] for frame in sorted(set(spot.theirs) - set(spot.ours))]
    for each in added:
        if why := _misplaced(spot.view, each.frame):
            return why
    whose = [spot.segment, *([] if left_out else added)]
    several = any(len(list(each.mapped())) > 1 for each in whose)
    return "contiguous" if several else "carrier"


def _misplaced(view: View, frame: int) -> str:
    """Why tshark places a segment elsewhere in the data; that no key is known moves all alike."""
    found = foretold(view, "mptcp.rawdsn64", frame)
    return "" if found is None or found.cause == "no-key" else found.cause


# ---- TCP -----------------------------------------------------------------------------------


def _counted(spot: Spot) -> str:
    """Relative sequence numbers."""
    flow = spot.note.own if spot.field == "tcp.seq" else spot.note.other
    return "counted?" if flow.syn else "guessed"


def _again(spot: Spot) -> str:
    """What is sent again."""
    if spot.note.silent in UNREAD:
        return silent(spot)
    if not spot.theirs:
        said = replay(spot.view).said[spot.segment.frame]
        if "tcp.analysis.out_of_order" in said:
            return "early"
        if "tcp.analysis.zero_window_probe" in said:
            return "probed-again"
        if spot.segment.payload == 1:
            return "keep-alive"
        return "zero" if spot.note.zero else "unseen"
    if spot.segment.fact["duplicate"]:
        return "captured-twice"
    if not spot.segment.payload:
        return "control"
    return "late"


def _probe(spot: Spot) -> str:
    if spot.note.silent in UNREAD:
        return silent(spot)
    return "probed-again" if spot.theirs else "probed-data"


def _bug(spot: Spot) -> str:
    return silent(spot) or "assertion"


def _derived(spot: Spot) -> str:
    """Token and IDSN of an MP_CAPABLE."""
    if spot.note.silent == "cut":
        return "options-cut"
    if not spot.theirs and silent(spot) in ("malformed", "token"):
        return silent(spot)
    if twice(spot.view, spot.segment):
        return "twice"
    if spot.note.saw is not None and spot.note.saw.refused:
        return "half"
    if any(each["option"] == "malformed" for each in spot.segment.listed) and (
        why := out_of_place(spot)
    ):
        return why
    return base(spot, spot.note.saw, other=False) or out_of_place(spot) or "derived?"


# ---- options -------------------------------------------------------------------------------


def _option(spot: Spot) -> str:
    """The fields of options."""
    if spot.segment.options_cut:
        return "options-cut"
    if len(spot.theirs) < len(spot.ours) and silent(spot) in ("malformed", "token"):
        return silent(spot)
    reasons = {each.get("reason") for each in spot.segment.listed} - {None}
    for reason in ("layout", "wrong-version"):
        if reason in reasons:
            return reason
    if any(each["option"] == "unknown" for each in spot.segment.listed):
        return "layout"
    if spot.field == "mptcp.connection.echoed_key_mismatch":
        return out_of_place(spot) or "option?"
    if spot.field in ("tcp.options.mptcp.echo", "tcp.options.mptcp.ipver"):
        return "wrong-version"
    return "option?"


OPTION_ROWS = frozenset(
    name for name in ROWS if name.startswith("tcp.options.mptcp.") or name == "mptcp.rm_addr.count"
)
"""Fields that follow from the octets of options."""

FORETOLD: Mapping[str, Callable[[Spot], str]] = {
    **dict.fromkeys(("mptcp.stream", "mptcp.master", "mptcp.analysis.subflows"), _membership),
    **dict.fromkeys(("mptcp.ack", "mptcp.dss.dsn"), option_number),
    **dict.fromkeys(("mptcp.dsn", "mptcp.rawdsn64"), dsn),
    "mptcp.dss.missing_mapping": missing,
    "mptcp.related_mapping": related,
    "mptcp.reinjection_of": _reinjection,
    **dict.fromkeys(("tcp.seq", "tcp.ack"), _counted),
    "tcp.analysis.retransmission": _again,
    "tcp.analysis.zero_window_probe": _probe,
    "_ws.malformed.dissector_bug": _bug,
    **dict.fromkeys(("mptcp.expected_token", "mptcp.expected_idsn"), _derived),
    **dict.fromkeys(OPTION_ROWS, _option),
    "mptcp.connection.echoed_key_mismatch": _option,
    "mptcp.dss.infinite_mapping": _option,
}
"""By field, what gives the cause of a difference."""
