"""The errors that users of mptcp-oracle can meet, and where each arises.

A run goes through four doors, and each has its own class, so that a program can tell
"your capture is unreadable" from "your truth file is wrong" without reading text:

1. the capture is opened and read: :class:`CaptureError`, with file, frame and offset;
2. a truth or facts file is read: :class:`TruthError`;
3. another program (tshark, tcpdump, ``ip``) is asked: :class:`AdapterError`;
4. the caller asked for something that makes no sense: :class:`UsageError`.

None of them ever speaks about the protocol: a host that breaks RFC 8684 is a finding in the
result, never an exception.
"""

from __future__ import annotations

__all__ = ["AdapterError", "CaptureError", "OracleError", "TruthError", "UsageError"]


class OracleError(Exception):
    """Base class; catch this to catch everything the project raises on purpose.

    Attributes:
        message: What went wrong, one sentence without a final stop.
        cause: Why, as far as known, or ``None``.
        hint: What the reader can do next, or ``None``.
        data: Machine-readable details, such as ``file``, ``frame`` (1-based) and ``offset``
            (octets from the start of the file).
    """

    def __init__(
        self,
        message: str,
        *,
        cause: str | None = None,
        hint: str | None = None,
        **data: object,
    ) -> None:
        super().__init__(message)
        self.message = message
        self.cause = cause
        self.hint = hint
        self.data = data

    def __str__(self) -> str:
        place = [str(self.data["file"])] if self.data.get("file") is not None else []
        if self.data.get("frame") is not None:
            place.append(f"frame {self.data['frame']}")
        if self.data.get("offset") is not None:
            place.append(f"offset {self.data['offset']}")
        text = ": ".join([*place, self.message])
        if self.cause:
            text += f" ({self.cause})"
        if self.hint:
            text += f"\nhint: {self.hint}"
        return text


class CaptureError(OracleError):
    """A capture cannot be read at all: missing, empty, no capture format, over a limit.

    Damage *inside* a capture is no error: what can be read is analyzed, and the damage is a note.
    """


class TruthError(OracleError):
    """A truth or facts file is not what it says: no footer, wrong schema, a malformed line."""


class AdapterError(OracleError):
    """An outside program is missing, failed, or printed what its adapter does not understand."""


class UsageError(OracleError):
    """The request itself is wrong: contradictory arguments, an unknown connection number."""
