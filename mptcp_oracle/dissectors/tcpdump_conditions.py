"""When a known difference of tcpdump's holds: conditions on one difference, as narrow as can be."""

from __future__ import annotations

from mptcp_oracle.dissectors.case import Case

__all__ = [
    "after_bad_option",
    "first_data_length",
    "first_data_with_checksum",
    "options_cut",
    "plain_tcp",
    "reset_option",
]


def plain_tcp(case: Case) -> bool:
    """The frame is of no MPTCP subflow, and no MPTCP option stands in it."""
    return case.segment is None and "mptcp.option" not in case.said[case.frame]


def first_data_with_checksum(case: Case) -> bool:
    """An MP_CAPABLE with data and a checksum, whose values are missing, or that is called bad."""
    if not _first_data(case, checksum=True):
        return False
    return case.kind == ("invented" if case.field == "mptcp.bad" else "missing")


def first_data_length(case: Case) -> bool:
    """An MP_CAPABLE with data, whose Data-Level Length is the only one that is missing."""
    segment = case.segment
    return (
        segment is not None
        and not case.theirs
        and _first_data(case, checksum=False)
        and not any(option["dll"] is not None for option in segment.options("dss"))
    )


def reset_option(case: Case) -> bool:
    """Each name that differs is that of an MP_TCPRST."""
    pairs = zip(case.theirs, case.ours, strict=False)
    return len(case.theirs) == len(case.ours) and all(
        theirs == ours or (theirs, ours) == ("unknown", "tcprst") for theirs, ours in pairs
    )


def after_bad_option(case: Case) -> bool:
    """It says nothing, and called an option of the segment bad."""
    return not case.theirs and "mptcp.bad" in case.said[case.frame]


def options_cut(case: Case) -> bool:
    """It says nothing, and the snap length cuts the options."""
    segment = case.segment
    return not case.theirs and segment is not None and bool(segment.fact["options_cut"])


def _first_data(case: Case, *, checksum: bool) -> bool:
    """Whether an MP_CAPABLE with data is in the segment, with a checksum or without."""
    return case.segment is not None and any(
        option["data_length"] is not None and (option["checksum"] is not None) == checksum
        for option in case.segment.options("mp_capable")
    )
