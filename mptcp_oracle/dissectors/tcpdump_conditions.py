"""When a known difference of tcpdump's holds: conditions on one difference, as narrow as can be."""

from __future__ import annotations

from mptcp_oracle.dissectors.case import Case
from mptcp_oracle.dissectors.tcpdump_triggers import as_read

__all__ = ["cut_header", "plain_tcp", "read_so"]


def plain_tcp(case: Case) -> bool:
    """The frame is of no MPTCP subflow, and no MPTCP option stands in it."""
    return case.segment is None and "mptcp.option" not in case.said[case.frame]


def read_so(case: Case) -> bool:
    """It says what follows from its own ways of reading options, and nothing else.

    Of a header that the snap length cuts facts list some options: it may show more.
    """
    if case.segment is not None and case.segment.options_cut:
        theirs = iter(case.theirs)
        return all(each in theirs for each in as_read(case))
    return case.theirs == as_read(case)


def cut_header(case: Case) -> bool:
    """The snap length cuts the header."""
    return case.segment is not None and bool(case.segment.options_cut) and read_so(case)
