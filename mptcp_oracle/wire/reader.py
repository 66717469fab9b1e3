"""What the readers of both file formats share: the way through the records loop."""

from __future__ import annotations

from abc import ABC, abstractmethod
from array import array
from types import ModuleType
from typing import Literal

from mptcp_oracle.engine import loops
from mptcp_oracle.wire.batches import Frames
from mptcp_oracle.wire.interfaces import Comment, Interface
from mptcp_oracle.wire.links import LINK_LAYERS
from mptcp_oracle.wire.tally import Tally

__all__ = ["SPAN", "Reader"]

SPAN = 64 << 20
"""Octets of a capture after which a batch ends, however few frames it has: it bounds how many
mapped pages are held at once."""


class Reader(ABC):
    """Frames of an open capture, batch by batch.

    Attributes:
        format: Name of the file format.
        frames: Frames read.
        done: Whether nothing more can be read.
        interfaces: The interfaces described so far.
        links: For each of them the layer its frames begin with, for the packets loop.
        checks: For each of them the octets of frame check sequence, for the packets loop.
        comments: The comments met so far.
        tally: Takes what is odd.
    """

    format: Literal["pcap", "pcapng"]

    def __init__(self, data: memoryview, tally: Tally) -> None:
        engine = loops()
        self._loop: ModuleType = engine.records
        self._codes: dict[str, int] = engine.records.CODES
        self._layers: tuple[str, ...] = engine.packets.LAYERS
        self._state = array("q", bytes(8 * engine.records.STATE_SLOTS))
        self.data = data
        self.tally = tally
        self.frames = 0
        self.done = False
        self.interfaces: list[Interface] = []
        self.links = array("B")
        self.checks = array("B")
        self.comments: list[Comment] = []

    @property
    def whole(self) -> bool:
        """Whether the file states that the capturing host dropped no frame."""
        return False

    @property
    def position(self) -> int:
        """Octets consumed."""
        return int(self._state[self._codes["POSITION"]])

    @position.setter
    def position(self, value: int) -> None:
        self._state[self._codes["POSITION"]] = value

    @property
    def status(self) -> int:
        """Why the records loop came back."""
        return int(self._state[self._codes["STATUS"]])

    def add_interface(self, interface: Interface) -> None:
        """Append an interface."""
        layer = LINK_LAYERS.get(interface.linktype, "unknown")
        self.interfaces.append(interface)
        self.links.append(self._layers.index(layer))
        self.checks.append(interface.fcs)

    @abstractmethod
    def fill(self, frames: Frames, end: int) -> int:
        """Read the next batch.

        Args:
            frames: Columns to fill.
            end: Octets of the data that can be read.

        Returns:
            The number of frames, which may be 0 before the end.
        """
