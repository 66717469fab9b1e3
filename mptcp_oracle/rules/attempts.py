"""Attempts to join: which SYNs they are, and what may be said of several of them together."""

from __future__ import annotations

from bisect import bisect_right
from functools import cached_property, lru_cache
from ipaddress import ip_address
from typing import NamedTuple

from mptcp_oracle.analysis.entities import Subflow
from mptcp_oracle.options import AddAddr, MpJoinSyn
from mptcp_oracle.rules.case import Case, Signal
from mptcp_oracle.wire.segments import Endpoint

__all__ = [
    "Attempt",
    "View",
    "attempts",
    "between",
    "end_of",
    "late",
    "plain",
]


def end_of(subflow: Subflow, role: int) -> Endpoint:
    """A host's end of a subflow."""
    return subflow.source if role == subflow.source_role else subflow.destination


@lru_cache(maxsize=4096)
def plain(address: str) -> str:
    """An address, as IPv4 if it is one that IPv6 carries."""
    parsed = ip_address(address)
    mapped = getattr(parsed, "ipv4_mapped", None)
    return str(parsed if mapped is None else mapped)


class Attempt(NamedTuple):
    """One attempt to join: a subflow, and the SYN that began it.

    Attributes:
        signal: The first captured SYN with its option. subflow, role: Its subflow, and who joins.
        option: The MP_JOIN of the SYN.
    """

    signal: Signal
    subflow: Subflow
    role: int
    option: MpJoinSyn


def attempts(case: Case) -> list[Attempt]:
    """The joins of a connection, in the order of their first captured SYNs."""
    found: dict[int, Attempt] = {}
    for signal, option in case.of(MpJoinSyn):
        flow = signal.subflow
        if flow.kind == "joined" and flow.source_role == signal.role and not late(case, signal):
            found.setdefault(flow.id, Attempt(signal, flow, signal.role, option))
    return list(found.values())


def late(case: Case, signal: Signal) -> bool:
    """Whether the connection had become plain TCP before."""
    return case.over is not None and signal.row >= case.over


class View:
    """What a capture shows of the hosts of a connection; each question is answered once."""

    def __init__(self, case: Case) -> None:
        self.case = case
        self._witnessed: dict[int, bool] = {}

    def witnessed(self, role: int) -> bool:
        """Whether all that a host sent, on any captured subflow, is in the capture."""
        if role not in self._witnessed:
            self._witnessed[role] = self.case.witnessed_all(role)
        return self._witnessed[role]

    @cached_property
    def renamed(self) -> bool:
        """Whether an anonymiser may have changed the addresses in headers, and not in options.

        Nobody said which address is the capturing host's, and of those that were announced none
        is in any header.
        """
        announced = {plain(str(option.address)) for _, option in self.case.of(AddAddr)}
        if self.case.context.local or not announced:
            return False
        ends = [end for flow in self.case.subflows for end in (flow.source, flow.destination)]
        return announced.isdisjoint(plain(end.address) for end in ends)


def between(case: Case, rows: list[int], first: int, last: int) -> bool:
    """Whether any of some rows, in order, may have been sent between two others."""
    at = bisect_right(rows, first)
    near = rows[max(0, at - 1) : at + 1] + rows[bisect_right(rows, last) :][:1]
    return any(not case.before(row, first) and not case.before(last, row) for row in near)
