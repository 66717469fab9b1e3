"""What can be probed: an implementation behind a link, with an application on it."""

from __future__ import annotations

from dataclasses import dataclass
from types import TracebackType
from typing import Protocol, Self

from mptcp_oracle.live.peer.link import Link
from mptcp_oracle.options import Address

__all__ = ["Application", "Settings", "Target"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """How an implementation is to be set up.

    Attributes:
        family: 4 or 6.
        checksum: ``off`` (not asked for), ``required``, or ``never`` (refused).
        subflows: How many subflows it takes beside the initial one.
    """

    family: int = 4
    checksum: str = "off"
    subflows: int = 8


class Application(Protocol):
    """The application's side of one connection."""

    @property
    def eof(self) -> bool:
        """Whether the peer's stream has ended."""

    @property
    def error(self) -> str:
        """The error of the last call, if it failed."""

    def write(self, octets: bytes) -> int:
        """Write as much as is taken at once; how much that was."""

    def read(self) -> bytes:
        """All that is there to be read."""

    def finish(self) -> None:
        """End the own direction."""

    def abort(self) -> None:
        """Close at once, whatever was not sent or read."""

    def close(self) -> None:
        """Close both directions."""


class Target(Protocol):
    """An implementation under test; a context manager."""

    @property
    def name(self) -> str:
        """What it is called in waiver files."""

    @property
    def settings(self) -> Settings:
        """How it is set up."""

    @property
    def lacks(self) -> str:
        """Which of its settings it does not have, in words; nothing if it has all."""

    @property
    def link(self) -> Link:
        """Where its packets go."""

    @property
    def version(self) -> str:
        """Its version."""

    @property
    def address(self) -> Address:
        """Its address."""

    def listen(self) -> None:
        """Wait for connections at :data:`~mptcp_oracle.live.peer.peer.PORT`."""

    def accept(self) -> Application | None:
        """The next accepted connection, or ``None``."""

    def connect(self, address: Address, port: int) -> Application:
        """Begin to connect."""

    def __enter__(self) -> Self: ...

    def __exit__(
        self,
        kind: type[BaseException] | None,
        value: BaseException | None,
        trace: TracebackType | None,
    ) -> None: ...
