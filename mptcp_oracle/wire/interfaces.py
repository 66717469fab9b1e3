"""What a capture says about the interfaces it was taken on, and the comments people left in it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

__all__ = ["Comment", "Interface"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Interface:
    """One interface of a capture.

    Attributes:
        linktype: LINKTYPE number of its frames.
        snaplen: Most octets captured of a frame; 0 if there is no limit or it is not stated.
        name: Such as ``eth0``, or ``None``.
        description: Free text, or ``None``.
        section: Number of the pcapng section it belongs to, from 0.
        ticks: Time stamp units in a second.
        offset: Seconds to add to its time stamps.
        fcs: Octets of frame check sequence at the end of each frame.
    """

    linktype: int
    snaplen: int
    name: str | None = None
    description: str | None = None
    section: int = 0
    ticks: int = 1_000_000
    offset: int = 0
    fcs: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Comment:
    """A comment in a pcapng file.

    Attributes:
        scope: What it is about.
        frame: The frame (1-based) if it is about one, else ``None``.
        text: The comment; octets that are not UTF-8 are replaced.
    """

    scope: Literal["section", "interface", "statistics", "packet"]
    frame: int | None
    text: str
