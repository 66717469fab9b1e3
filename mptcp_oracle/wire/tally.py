"""Count what is odd while a capture is read, and say it in one sentence each."""

from __future__ import annotations

from collections.abc import Iterator

from mptcp_oracle.wire.notes import Note

__all__ = ["TEXTS", "Tally"]

TEXTS = {
    # the source
    "file-shrank": "the file became shorter while it was read; only what was left is analyzed",
    "truncated-compression": "the compressed data ends early; what it held until there is analyzed",
    "bad-compression": "the compressed data is damaged; what it held until there is analyzed",
    "trailing-octets": "octets behind the end of the compressed data were ignored",
    # the file format
    "truncated-file": "the file ends inside a frame",
    "bad-record": "a packet record contradicts its own length; its octets were ignored",
    "bad-block": "a pcapng block has an impossible length or its two lengths differ",
    "bad-section": "a pcapng section header cannot be read",
    "bad-interface": "a pcapng interface description cannot be read",
    "bad-option": "the options of a pcapng block end in the middle of one",
    "unknown-interface": "frames name an interface that the file does not describe",
    "too-many-interfaces": "interfaces beyond the limit were ignored, with their frames",
    "no-timestamp": "frames without a time stamp were given the time of the frame before them",
    "packets-dropped": "frames that the capturing host says it dropped",
    "comments-dropped": "comments beyond the limit were not kept",
    # the frames
    "unknown-linktype": "frames with a link type that is not supported were skipped",
    "link-header-cut": "frames were captured too short to hold their link-layer header",
    "ip-header-cut": "frames were captured too short to hold their IP header",
    "tunnel-header-cut": "frames were captured too short to hold their tunnel header",
    "tcp-header-cut": "segments of which less than the fixed TCP header of 20 octets was captured",
    "bad-ip-version": "packets whose IP version contradicts the header before them",
    "bad-ip-length": "packets with an impossible IP header or total length",
    "bad-tcp-length": "packets too short for the TCP header that they should hold",
    "non-first-fragment": "IP fragments behind the first one, whose payload is not analyzed",
    "too-many-headers": "frames with too many nested headers",
    "ip-length-beyond-frame": (
        "packets whose IP length reaches beyond the frame; they are taken as cut while captured"
    ),
}
"""Code of a note -> the sentence that explains it."""


class Tally:
    """Counts by code, each with the first frame that gave reason and its own words, if any."""

    def __init__(self) -> None:
        self._found: dict[str, tuple[int, int | None, str]] = {}

    def count(
        self, code: str, frame: int | None = None, *, times: int = 1, text: str | None = None
    ) -> None:
        """Count an oddity.

        Args:
            code: A key of :data:`TEXTS`.
            frame: The frame (1-based) that shows it, or ``None``.
            times: How often.
            text: A more exact sentence, kept if it is the first of its code.
        """
        before = self._found.get(code)
        if before is None:
            self._found[code] = (times, frame, text or TEXTS[code])
        else:
            self._found[code] = (before[0] + times, before[1], before[2])

    def __iter__(self) -> Iterator[Note]:
        for code, (count, frame, text) in self._found.items():
            yield Note(code=code, text=text, count=count, frame=frame)
