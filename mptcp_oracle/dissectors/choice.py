"""The dissectors by their names on the command line."""

from __future__ import annotations

from collections.abc import Callable

from mptcp_oracle.dissectors.dissector import Dissector
from mptcp_oracle.dissectors.documents import Command, FactsFile
from mptcp_oracle.dissectors.program import PATIENCE
from mptcp_oracle.dissectors.tcpdump import TcpDump
from mptcp_oracle.dissectors.tshark import TShark
from mptcp_oracle.dissectors.with_dpkt import Dpkt
from mptcp_oracle.errors import UsageError

__all__ = ["NAMES", "chosen"]

NAMES = ("tshark[=PATH]", "tcpdump[=PATH]", "dpkt", "facts:FILE", 'cmd:"COMMAND"')
"""What may be asked for."""


def chosen(text: str, *, passes: int = 1, patience: float = PATIENCE) -> Dissector:
    """The dissector that a text names.

    Args:
        text: One of :data:`NAMES`.
        passes: 2 for tshark's second pass.
        patience: Seconds until a run is given up.

    Raises:
        UsageError: There is no such dissector.
    """
    name, _, path = text.partition("=")
    programs: dict[str, Callable[[], Dissector]] = {
        "tshark": lambda: TShark(path=path or None, passes=passes, patience=patience),
        "tcpdump": lambda: TcpDump(path=path or None, patience=patience),
    }
    if passes != 1 and name != "tshark":
        raise UsageError("only tshark makes two passes")
    if name in programs:
        return programs[name]()
    if text == "dpkt":
        return Dpkt(patience=patience)
    kind, _, rest = text.partition(":")
    if kind == "facts" and rest:
        return FactsFile(path=rest)
    if kind == "cmd" and rest:
        return Command(command=rest, patience=patience)
    raise UsageError(f"there is no dissector {text!r}", hint=f"choose {', '.join(NAMES)}")
