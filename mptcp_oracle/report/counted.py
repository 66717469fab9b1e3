"""Kernel counters beside a capture, for ``mptcp-oracle check --nstat``: as text and as JSON."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from mptcp_oracle.analysis.trace import Trace
from mptcp_oracle.counters.comparing import Contradiction, compare
from mptcp_oracle.counters.host import Host, host_of
from mptcp_oracle.counters.reading import changes, read
from mptcp_oracle.counters.table import TABLE
from mptcp_oracle.counters.tally import meaning, tally
from mptcp_oracle.errors import UsageError
from mptcp_oracle.report.layout import plural, printable
from mptcp_oracle.rules.context import networks

__all__ = ["Counted", "count", "read_counters"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Counted:
    """What the counters of a host say of a capture that was made there.

    Attributes:
        host: The host. compared: How many counters packets say anything of.
        contradictions: What cannot be. doubts: What cannot be if the capture lacks nothing.
    """

    host: Host
    compared: int
    contradictions: tuple[Contradiction, ...]
    doubts: tuple[Contradiction, ...]

    def lines(self) -> Iterator[str]:
        """For people."""
        where = ", ".join(self.host.addresses) or "this host"
        yield f"kernel counters of {printable(where)}: {plural(self.compared, 'counter')} compared"
        if not (self.contradictions or self.doubts):
            yield "  no contradiction"
        for each in self.contradictions:
            yield f"  contradiction: {_words(each)}"
        for each in self.doubts:
            yield f"  doubtful: {_words(each)}"
        if self.doubts:
            reasons = "; ".join(self.host.gaps)
            yield f"  (the capture may lack something: {reasons}; if it lacks nothing, say --whole)"

    def body(self) -> dict[str, object]:
        """For programs."""
        return {
            "addresses": list(self.host.addresses),
            "compared": self.compared,
            "gaps": list(self.host.gaps),
            "contradictions": [_json(each) for each in self.contradictions],
            "doubts": [_json(each) for each in self.doubts],
        }


def read_counters(files: Sequence[str]) -> dict[str, int]:
    """The changes of the counters: in one file, or between two.

    Raises:
        UsageError: A file cannot be read or is no list of counters, or there are more than two.
    """
    if len(files) > 2:
        raise UsageError(
            "--nstat takes one file of changes, or two readings",
            cause=f"{len(files)} were given",
        )
    readings = [read(path) for path in files]
    return readings[0] if len(readings) == 1 else changes(*readings)


def count(
    trace: Trace, counters: dict[str, int], *, local: Sequence[str], whole: bool | None
) -> Counted:
    """Compare counters with a capture.

    Args:
        trace: The capture's trace.
        counters: Changes of MPTcpExt counters by name.
        local: Addresses or networks of the host, if somebody said so.
        whole: Whether somebody said that the capture lacks nothing.

    Raises:
        UsageError: Nobody knows whose counters these are.
    """
    host = host_of(trace, local=networks(local), whole=whole)
    found = compare(counters, tally(trace, host.roles))
    certain = [each for each in found if each.proven or not host.gaps]
    bounded = [row for row in TABLE if row.counter in counters and (row.least or row.most)]
    return Counted(
        host=host,
        compared=len(bounded),
        contradictions=tuple(certain),
        doubts=tuple(each for each in found if each not in certain),
    )


def _words(found: Contradiction) -> str:
    return f"{found.why}: {meaning(found.fact)}"


def _json(found: Contradiction) -> dict[str, object]:
    return {
        "counter": found.row.counter,
        "counted": found.counted,
        "bound": "least" if found.proven else "most",
        "shown": found.shown,
        "fact": found.fact,
        "why": _words(found),
    }
