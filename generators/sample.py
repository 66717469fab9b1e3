"""Samples: a generated capture together with its octets, its truth and its text."""

from __future__ import annotations

from collections.abc import Iterator
from hashlib import sha256
from pathlib import Path

from mptcp_oracle.generators.emit import emit
from mptcp_oracle.generators.notation import text

from mptcp_oracle.facts import Fact, write
from mptcp_oracle.model.capture import Capture
from mptcp_oracle.model.observable import observable
from mptcp_oracle.model.trace import Planted, Trace
from mptcp_oracle.version import __version__

__all__ = ["Sample"]


class Sample:
    """A generated capture. As text it is its frames in packetdrill's notation.

    Attributes:
        capture: The capture as a value: trace, frames, layout, vantage, defects.
    """

    __slots__ = ("_octets", "capture")

    def __init__(self, capture: Capture) -> None:
        self.capture = capture
        self._octets: bytes | None = None

    @property
    def octets(self) -> bytes:
        """The capture file, pcap or pcapng; made when first asked for."""
        if self._octets is None:
            self._octets = emit(self.capture)
        return self._octets

    @property
    def truth(self) -> Iterator[Fact]:
        """What this capture lets one know, in the vocabulary of :mod:`mptcp_oracle.facts`."""
        return observable(self.capture)

    @property
    def trace(self) -> Trace:
        """What the hosts sent and what arrived, captured or not."""
        return self.capture.trace

    @property
    def planted(self) -> tuple[Planted, ...]:
        """The faults in it."""
        return self.capture.trace.planted

    def write(self, folder: Path | str, name: str = "sample") -> tuple[Path, Path]:
        """Write the capture and, beside it, its truth as JSONL.

        Args:
            folder: Where; made if it is not there.
            name: Of both files, without their endings.

        Returns:
            The paths of capture and truth.
        """
        place = Path(folder)
        place.mkdir(parents=True, exist_ok=True)
        capture = place / f"{name}.{self.capture.layout.file}"
        capture.write_bytes(self.octets)
        truth = place / f"{name}.truth.jsonl"
        with truth.open("w", encoding="utf-8") as file:
            write(
                file, self.truth, capture=capture.name, sha256=sha256(self.octets).hexdigest(),
                version=__version__, tool="mptcp-oracle generators",
            )  # fmt: skip
        return capture, truth

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Sample) and self.capture == other.capture

    def __hash__(self) -> int:
        return hash(self.octets)

    def __str__(self) -> str:
        return text(self.capture)

    def __repr__(self) -> str:
        return f"<capture of {len(self.capture.frames)} frames\n{self}>"
