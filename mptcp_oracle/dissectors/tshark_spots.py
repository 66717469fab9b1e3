"""A value of tshark's that is foreseen to differ, and what many causes have in common."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass

from mptcp_oracle.dissectors.dissector import Value
from mptcp_oracle.dissectors.proofs import keys_of
from mptcp_oracle.dissectors.tshark_flows import Stream
from mptcp_oracle.dissectors.tshark_replay import replay
from mptcp_oracle.dissectors.tshark_state import Note
from mptcp_oracle.dissectors.view import Segment, View

__all__ = ["Spot", "out_of_place", "silent", "streams_of", "twice"]


@dataclass(slots=True, kw_only=True, eq=False)
class Spot:
    """A value that is foreseen to differ.

    Attributes:
        view: All our facts. segment: The segment. note: tshark's state there.
        field: The field. theirs: What tshark says, as foreseen. ours: What it should be.
    """

    view: View
    segment: Segment
    note: Note
    field: str
    theirs: tuple[Value, ...]
    ours: tuple[Value, ...]


def silent(spot: Spot) -> str:
    """Why there is no analysis at all."""
    return {"bug": "", "option bug": "token"}.get(spot.note.silent, spot.note.silent)


def out_of_place(spot: Spot) -> str:
    """Whether the connection has an MP_CAPABLE or MP_JOIN that is malformed."""
    strange = spot.view.derived("strange", lambda: _strange(spot.view))
    return "out-of-place" if spot.segment.connection["connection"] in strange else ""


def _strange(view: View) -> set[int]:
    segments = {frame: view.segments[frame] for each in view.signals.values() for frame in each}
    return {
        segment.connection["connection"]
        for segment in segments.values()
        for option in segment.listed
        if option["option"] == "malformed" and option["subtype"] in (0, 1)
    }


def twice(view: View, segment: Segment) -> bool:
    """Whether another connection of the capture has the same keys."""
    shared = view.derived("keys of several", lambda: _shared(view))
    return segment.connection["connection"] in shared


def _shared(view: View) -> set[int]:
    holders: dict[tuple[tuple[str, int], ...], list[int]] = {}
    for number in view.connections:
        if keys := keys_of(view, number):
            holders.setdefault(tuple(sorted(keys.items())), []).append(number)
    return {number for several in holders.values() if len(several) > 1 for number in several}


def streams_of(spot: Spot) -> Collection[Stream]:
    """Tshark's streams that facts put into the connection of a segment."""
    every = spot.view.derived("tshark streams", lambda: _streams(spot.view))
    return every[spot.segment.connection["connection"]]


def _streams(view: View) -> dict[int, set[Stream]]:
    notes = replay(view).notes
    found: dict[int, set[Stream]] = {}
    for frame, segment in view.segments.items():
        found.setdefault(segment.connection["connection"], set()).add(notes[frame].stream)
    return found
