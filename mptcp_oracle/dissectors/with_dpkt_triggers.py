"""Where dpkt has to differ: triggers of its known differences, from our facts and the capture."""

from __future__ import annotations

from collections.abc import Iterator

from mptcp_oracle.dissectors.case import Place
from mptcp_oracle.dissectors.dissector import Value
from mptcp_oracle.dissectors.packets import COOKED, COOKED_V2
from mptcp_oracle.dissectors.with_dpkt_fields import MPTCP

__all__ = ["cut_option", "short_length", "tag_behind_cooked", "vxlan"]

END, NOP = 0, 1
FIXED = 20
"""Octets of a TCP header before its options."""


def tag_behind_cooked(place: Place) -> bool:
    """The frame of a cooked capture has a VLAN tag."""
    return bool(place.ours) and _tagged(place)


def vxlan(place: Place) -> bool:
    """The segment is in a VXLAN datagram."""
    return bool(place.ours) and _tunnelled(place) and not _tagged(place)


def cut_option(place: Place) -> bool:
    """The capture ends in an MPTCP option."""
    return _captured(place) and any(
        kind == MPTCP and length > size for kind, length, size in _walked(place)
    )


def short_length(place: Place) -> bool:
    """Length 0 or 1 of some option changes what follows."""
    segment = place.segment
    return (
        segment is not None
        and not segment.options_cut
        and not _hidden(place)
        and any(length < 2 for _, length, _ in _walked(place))
        and as_read(place) != place.ours
    )


def as_read(place: Place) -> tuple[Value, ...]:
    """The MPTCP options as dpkt splits the octets of the header."""
    octets = place.view.headers.get(place.frame, b"")[FIXED:]
    found: list[Value] = []
    for kind, length, _ in _walked(place):
        if kind == MPTCP:
            found.append(octets[2 : max(2, length)].hex())
        octets = octets[1:] if kind in (END, NOP) else octets[max(2, length) :]
    return tuple(found)


def _walked(place: Place) -> Iterator[tuple[int, int, int]]:
    """Kind and Length of each option that dpkt sees, and how many octets there are from it on."""
    octets = place.view.headers.get(place.frame, b"")[FIXED:]
    while octets:
        kind = octets[0]
        if kind in (END, NOP):
            yield kind, 2, len(octets)
            octets = octets[1:]
            continue
        if len(octets) < 2:
            return
        yield kind, octets[1], len(octets)
        octets = octets[max(2, octets[1]) :]


def _captured(place: Place) -> bool:
    segment = place.segment
    return segment is not None and bool(segment.options_cut) and not _hidden(place)


def _hidden(place: Place) -> bool:
    """Whether dpkt does not come to the TCP header."""
    return _tagged(place) or _tunnelled(place)


def _tagged(place: Place) -> bool:
    link, layers = place.view.layers.get(place.frame, (0, ()))
    return link in (COOKED, COOKED_V2) and layers[:1] in (("802.1Q",), ("802.1ad",))


def _tunnelled(place: Place) -> bool:
    _, layers = place.view.layers.get(place.frame, (0, ()))
    return any(each.startswith("vxlan") for each in layers)
