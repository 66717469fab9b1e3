"""Where tcpdump has to differ: triggers of its known differences, from our facts alone."""

from __future__ import annotations

from collections.abc import Callable

from mptcp_oracle.constants import KIND_MPTCP
from mptcp_oracle.dissectors.case import Place
from mptcp_oracle.dissectors.dissector import Value
from mptcp_oracle.dissectors.packets import COOKED, COOKED_V2
from mptcp_oracle.dissectors.tcpdump_fields import FIELDS
from mptcp_oracle.dissectors.tcpdump_reading import BEHIND_BAD, called_bad, read
from mptcp_oracle.dissectors.view import View
from mptcp_oracle.wire.mptcp import walk

__all__ = [
    "address_forms",
    "another_kind",
    "behind_bad",
    "capable_forms",
    "cut_options",
    "ends_at_bad",
    "first_data_checksum",
    "first_data_length",
    "join_forms",
    "kind_behind_length",
    "not_shown",
    "other_version",
    "reserved_bits",
    "reset_unknown",
    "service_tag",
    "shown_in_part",
    "stricter",
    "unknown_version",
    "vxlan_port",
]

ROWS = {each.name: each for each in FIELDS}
BCM_LI = "vxlan:49152"
"""A VXLAN datagram whose source port is that of another protocol."""


def service_tag(place: Place) -> bool:
    """The frame of a cooked capture has a service VLAN tag."""
    return bool(place.ours) and _tagged(place.view, place.frame)


def vxlan_port(place: Place) -> bool:
    """The segment is in a VXLAN datagram from port 49152."""
    return (
        bool(place.ours)
        and BCM_LI in _layers(place.view, place.frame)
        and not _tagged(place.view, place.frame)
    )


def cut_options(place: Place) -> bool:
    """The snap length cuts the options, and the length of the payload is known."""
    segment = place.segment
    return (
        segment is not None
        and bool(place.ours)
        and bool(segment.options_cut)
        and not _hidden(place)
    )


def another_kind(place: Place) -> bool:
    """A TCP option that is not MPTCP's has a bad Length, and the snap length has not cut it."""
    if place.segment is None or place.segment.options_cut or _hidden(place):
        return False
    header = place.view.headers.get(place.frame, b"")
    options = walk(header[20:])
    return any(option.malformed and option.kind != KIND_MPTCP for option in options)


def ends_at_bad(place: Place) -> bool:
    """An option is called bad, in options that are whole."""
    segment = place.segment
    return (
        segment is not None
        and bool(place.ours)
        and not segment.options_cut
        and not _hidden(place)
        and (another_kind(place) or any(called_bad(item, segment.flags) for item in segment.listed))
    )


def as_read(place: Place, way: str | None = None) -> tuple[Value, ...]:
    """What tcpdump makes of a field, reading options in one way of its own, or in all."""
    segment = read(place.view, place.frame, way)
    return place.ours if segment is None else tuple(ROWS[place.field].ours(place.view, segment))


def _reads(way: str) -> Callable[[Place], bool]:
    def trigger(place: Place) -> bool:
        ours = place.ours  # two ways may make up for each other
        return not _hidden(place) and as_read(place, way) != ours != as_read(place)

    return trigger


behind_bad = _reads(BEHIND_BAD)
first_data_checksum = _reads("first_data_checksum")
first_data_length = _reads("first_data_length")
reset_unknown = _reads("reset_unknown")
capable_forms = _reads("capable_forms")
join_forms = _reads("join_forms")
other_version = _reads("other_version")
address_forms = _reads("address_forms")
reserved_bits = _reads("reserved_bits")
kind_behind_length = _reads("kind_behind_length")
shown_in_part = _reads("shown_in_part")
not_shown = _reads("not_shown")
stricter = _reads("stricter")
unknown_version = _reads("unknown_version")


def _hidden(place: Place) -> bool:
    """Whether tcpdump does not come to the TCP header."""
    return _tagged(place.view, place.frame) or BCM_LI in _layers(place.view, place.frame)


def _layers(view: View, frame: int) -> tuple[str, ...]:
    return view.layers.get(frame, (0, ()))[1]


def _tagged(view: View, frame: int) -> bool:
    link, layers = view.layers.get(frame, (0, ()))
    return link in (COOKED, COOKED_V2) and "802.1ad" in layers
