"""When a known difference of dpkt's holds: conditions on one difference, as narrow as can be."""

from __future__ import annotations

from mptcp_oracle.dissectors.case import Case
from mptcp_oracle.dissectors.with_dpkt_triggers import as_read

__all__ = ["cut_header", "payload_cut", "plain_tcp", "read_so", "without_ack"]

ACK = 0x10


def plain_tcp(case: Case) -> bool:
    """The frame is of no MPTCP subflow, and dpkt sees no MPTCP option in its segment."""
    return case.segment is None and case.said[case.frame].get("tcp.option30") == ()


def without_ack(case: Case) -> bool:
    """It gives the acknowledgment number of a segment without flag ACK, by facts and by itself."""
    flags = case.said[case.frame].get("tcp.flags")
    return (
        case.kind == "invented"
        and case.segment is not None
        and flags == (str(case.segment.flags),)
        and not case.segment.flags & ACK
    )


def payload_cut(case: Case) -> bool:
    """It counts the octets of payload that are in the capture, and there are more on the wire."""
    if case.segment is None:
        return False
    captured, payload = (case.segment.fact[name] for name in ("captured", "payload"))
    return captured < payload and case.theirs == (captured,) and case.ours == (payload,)


def read_so(case: Case) -> bool:
    """It gives what follows from how it splits the octets of the header, and nothing else."""
    return case.theirs == as_read(case)


def cut_header(case: Case) -> bool:
    """The capture ends in the options."""
    return case.segment is not None and bool(case.segment.options_cut) and read_so(case)
