"""Transitions: every step that a connection, a subflow or its data can take, as data.

Names of connection states are those of RFC 8684 appendix D (``M_...``), completed with set-up,
fallback and fast close; those of subflows are TCP's and ``PRE_ESTABLISHED`` (section 3.2). What
is not in a table does not happen. Sections are those of RFC 8684; ``v0`` names that of RFC 6824
where it is another one.
"""

from __future__ import annotations

from dataclasses import dataclass

__all__ = ["ADDRESSES", "CONNECTION", "DATA", "SUBFLOW", "TRANSITIONS", "Transition"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Transition:
    """One line of a table.

    Attributes:
        id: ``C..`` of a connection's host, ``S..`` of a subflow's half, ``D..`` of data,
            ``A..`` of addresses and priorities, ``N..`` of the network.
        states: States that it starts from; empty where the state does not matter.
        event: What happens. action: What the host does. state: Where it leads; empty: same.
        section: Of RFC 8684. v0: Of RFC 6824, where it differs.
        versions: The versions that have it.
    """

    id: str
    states: tuple[str, ...]
    event: str
    action: str
    state: str
    section: str
    v0: str = ""
    versions: tuple[int, ...] = (0, 1)


def _lines(*lines: tuple[str, str, str, str, str, str]) -> tuple[Transition, ...]:
    return tuple(
        Transition(
            id=name,
            states=tuple(states.split()),
            event=event,
            action=action,
            state=state,
            section=section.partition("|")[0],
            v0=section.partition("|")[2],
        )
        for name, states, event, action, state, section in lines
    )


CONNECTION = _lines(
    ("C01", "M_CLOSED", "connect", "SYN with MP_CAPABLE", "M_SYN_SENT", "3.1"),
    ("C02", "M_LISTEN", "SYN with MP_CAPABLE", "SYN/ACK with MP_CAPABLE", "M_SYN_RCVD", "3.1"),
    ("C03", "M_LISTEN", "SYN without MP_CAPABLE, or host without MPTCP", "plain SYN/ACK", "TCP",
     "3.1"),
    ("C04", "M_SYN_SENT", "SYN/ACK with MP_CAPABLE", "third packet with MP_CAPABLE, or with first "
     "data", "M_ESTAB_NEW", "3.1"),
    ("C05", "M_SYN_SENT TCP", "SYN/ACK without MP_CAPABLE, or of an unknown version",
     "plain third packet", "TCP", "3.1"),
    ("C06", "M_SYN_RCVD", "third packet or first data with MP_CAPABLE", "", "M_ESTAB_NEW", "3.1"),
    ("C07", "M_SYN_RCVD", "first segment without MPTCP options", "", "TCP", "3.1"),
    ("C08", "M_ESTAB_NEW", "DSS with DATA_ACK", "joins are allowed", "M_ESTAB", "3.1"),
    ("C09", "M_ESTAB_NEW", "data with a mapping", "joins are allowed", "M_ESTAB", "3.1"),
    ("C10", "M_ESTAB_NEW M_ESTAB M_CLOSE_WAIT", "own data acknowledged without DATA_ACK, one "
     "subflow", "", "M_INF", "3.7|3.6"),
    ("C11", "M_ESTAB_NEW", "data without mapping, one subflow", "", "TCP", "3.7|3.6"),
    ("C12", "M_ESTAB_NEW M_ESTAB", "application closes", "DATA_FIN", "M_FIN_WAIT_1", "3.3.3"),
    ("C13", "M_ESTAB_NEW M_ESTAB", "DATA_FIN, nothing missing before it", "owes DATA_ACK",
     "M_CLOSE_WAIT", "3.3.3"),
    ("C14", "M_FIN_WAIT_1", "DATA_ACK of DATA_FIN", "", "M_FIN_WAIT_2", "3.3.3"),
    ("C15", "M_FIN_WAIT_1", "DATA_FIN, nothing missing", "owes DATA_ACK", "M_CLOSING", "3.3.3"),
    ("C16", "M_FIN_WAIT_1", "DATA_FIN and DATA_ACK of DATA_FIN at once", "owes DATA_ACK",
     "M_TIME_WAIT", "3.3.3"),
    ("C17", "M_FIN_WAIT_2", "DATA_FIN, nothing missing", "owes DATA_ACK", "M_TIME_WAIT", "3.3.3"),
    ("C18", "M_CLOSING", "DATA_ACK of DATA_FIN", "", "M_TIME_WAIT", "3.3.3"),
    ("C19", "M_CLOSE_WAIT", "application closes", "DATA_FIN", "M_LAST_ACK", "3.3.3"),
    ("C20", "M_LAST_ACK", "DATA_ACK of DATA_FIN", "", "M_CLOSED", "3.3.3"),
    ("C21", "M_TIME_WAIT", "last subflow closed", "", "M_CLOSED", "3.3.3"),
    ("C22", "M_FIN_WAIT_1 M_CLOSING M_LAST_ACK", "DATA_FIN not acknowledged", "DATA_FIN again", "",
     "3.3.3"),
    ("C23", "", "DATA_FIN again", "owes DATA_ACK", "", "3.3.3"),
    ("C25", "M_ESTAB M_FIN_WAIT_1 M_FIN_WAIT_2 M_CLOSING M_CLOSE_WAIT M_LAST_ACK",
     "application aborts", "ACK with MP_FASTCLOSE on one subflow, RST on the others",
     "M_FASTCLOSE_WAIT", "3.5"),
    ("C26", "M_ESTAB M_FIN_WAIT_1 M_FIN_WAIT_2 M_CLOSING M_CLOSE_WAIT M_LAST_ACK",
     "application aborts", "RST with MP_FASTCLOSE on all subflows", "M_CLOSED", "3.5"),
    ("C27", "M_FASTCLOSE_WAIT", "RST", "", "M_CLOSED", "3.5"),
    ("C28", "M_FASTCLOSE_WAIT", "MP_FASTCLOSE with the right key", "RST", "M_CLOSED", "3.5"),
    ("C29", "M_FASTCLOSE_WAIT", "no RST came", "MP_FASTCLOSE again, at last on a RST",
     "M_FASTCLOSE_WAIT M_CLOSED", "3.5"),
    ("C30", "", "ACK with MP_FASTCLOSE, key right", "RST on all subflows", "M_CLOSED", "3.5"),
    ("C31", "", "RST with MP_FASTCLOSE, key right", "RST on the others", "M_CLOSED", "3.5"),
    ("C32", "M_ESTAB_NEW M_ESTAB", "checksum wrong, one subflow, nothing missing",
     "ACK with MP_FAIL", "M_FAIL_SENT", "3.7|3.6"),
    ("C33", "", "MP_FAIL on an ACK, one subflow", "MP_FAIL (version 1)", "M_INF", "3.7|3.6"),
    ("C34", "M_FAIL_SENT", "infinite mapping", "", "M_INF", "3.7|3.6"),
    ("C35", "M_INF", "application sends", "data with an infinite mapping", "TCP", "3.7|3.6"),
    ("C36", "", "infinite mapping", "no DATA_ACK from now on", "M_INF", "3.7|3.6"),
    ("C38", "M_FAIL_SENT", "MP_FAIL on an ACK", "", "M_INF", "3.7|3.6"),
    ("C39", "M_SYN_SENT", "no SYN/ACK came", "SYN without MP_CAPABLE", "TCP", "3.9.3|3.8.3"),
    ("C24", "", "last subflow closed before both DATA_FINs were acknowledged",
     "waits for a join (break-before-make)", "", "3.3.3"),
)  # fmt: skip
"""Of each host's view of the connection."""

SUBFLOW = _lines(
    ("S01", "CLOSED", "opens a subflow", "SYN with MP_CAPABLE or MP_JOIN", "SYN_SENT", "3.2"),
    ("S02", "LISTEN", "SYN with MP_JOIN, token known", "SYN/ACK with MP_JOIN", "SYN_RCVD", "3.2"),
    ("S03", "LISTEN", "SYN with MP_JOIN, token unknown or refused", "RST", "CLOSED", "3.2"),
    ("S04", "SYN_SENT", "SYN/ACK with MP_JOIN, HMAC right", "third packet", "PRE_ESTABLISHED",
     "3.2"),
    ("S05", "SYN_SENT", "SYN/ACK without MP_JOIN, or HMAC wrong", "RST", "CLOSED", "3.2"),
    ("S06", "SYN_RCVD", "third packet, HMAC right", "fourth packet", "ESTABLISHED", "3.2"),
    ("S07", "SYN_RCVD", "third packet without MP_JOIN, HMAC wrong, or refused", "RST", "CLOSED",
     "3.2"),
    ("S08", "PRE_ESTABLISHED", "no fourth packet came", "third packet again", "", "3.2"),
    ("S09", "PRE_ESTABLISHED", "any acceptable segment", "may send data", "ESTABLISHED", "3.2"),
    ("S10", "", "own data acknowledged without DATA_ACK, more than one subflow", "RST", "CLOSED",
     "3.7|3.6"),
    ("S11", "", "data without mapping", "RST", "CLOSED", "3.7|3.6"),
    ("S13", "", "checksum wrong, other subflows exist or data is missing", "RST with MP_FAIL",
     "CLOSED", "3.7|3.6"),
    ("S14", "", "RST in the window", "", "CLOSED", "3.3.3"),
    ("S15", "ESTABLISHED CLOSE_WAIT", "host ends its half", "FIN", "FIN_WAIT_1 LAST_ACK",
     "3.3.3"),
    ("S16", "", "host changes a priority", "MP_PRIO", "", "3.3.8"),
    ("S17", "", "fast close", "RST", "CLOSED", "3.5"),
    ("S18", "", "host resets the subflow", "RST, perhaps with MP_TCPRST", "CLOSED", "3.6"),
    ("S19", "LISTEN", "SYN of the initial subflow", "SYN/ACK", "SYN_RCVD", "3.1"),
    ("S20", "SYN_RCVD", "third packet of the initial subflow", "", "ESTABLISHED", "3.1"),
    ("S29", "SYN_SENT", "SYN/ACK of the initial subflow", "third packet", "ESTABLISHED", "3.1"),
    ("S21", "ESTABLISHED FIN_WAIT_1 FIN_WAIT_2", "FIN, nothing missing before it", "owes ACK",
     "CLOSE_WAIT CLOSING TIME_WAIT", "3.3.3"),
    ("S22", "SYN_SENT", "RST in answer to the SYN", "", "CLOSED", "3.2"),
    ("S23", "CLOSED", "segment for a subflow that is closed", "RST", "", "3.3.3"),
    ("S24", "SYN_SENT", "no SYN/ACK came", "SYN again", "", "3.1"),
    ("S25", "SYN_RCVD", "no third packet came", "SYN/ACK again", "", "3.1"),
    ("S26", "FIN_WAIT_1 CLOSING LAST_ACK", "FIN not acknowledged", "FIN again", "", "3.3.3"),
    ("S38", "FIN_WAIT_1 CLOSING LAST_ACK", "ACK of the FIN", "", "FIN_WAIT_2 TIME_WAIT CLOSED",
     "3.3.3"),
    ("S39", "", "host loses the address of a subflow", "", "GONE", "3.4.2"),
    ("S40", "ESTABLISHED CLOSE_WAIT", "host ends its half", "FIN on its last data",
     "FIN_WAIT_1 LAST_ACK", "3.3.3"),
    ("S27", "ESTABLISHED CLOSE_WAIT", "host asks whether a subflow works", "keep-alive probe", "",
     "3.4.2"),
    ("S31", "LISTEN", "SYN with data (TCP Fast Open)", "SYN/ACK acknowledges it", "SYN_RCVD",
     "B"),
    ("S28", "LISTEN", "SYN with MP_JOIN at a host that does not know it", "plain SYN/ACK",
     "SYN_RCVD", "3.2"),
)  # fmt: skip
"""Of each host's half of a subflow."""

DATA = _lines(
    ("D01", "", "new data", "mapping of exactly the payload", "", "3.3.1"),
    ("D02", "", "new data", "mapping longer than the payload", "", "3.3.1"),
    ("D03", "", "data under a mapping announced before", "no mapping repeated", "", "3.3.1"),
    ("D04", "", "data under a mapping announced before", "mapping repeated", "", "3.3.1"),
    ("D05", "", "payload under two mappings", "the second one is announced", "", "3.3.1"),
    ("D06", "", "mapping in advance", "on an ACK", "", "3.3.1"),
    ("D07", "", "first data of the initiator", "MP_CAPABLE with data", "", "3.1"),
    ("D08", "", "last data", "mapping with DATA_FIN", "", "3.3.3"),
    ("D09", "", "DATA_FIN", "together with the FIN of the last subflow in use", "", "3.3.3"),
    ("D10", "", "TCP retransmission", "several segments as one", "", "3.3.6"),
    ("D11", "", "TCP retransmission", "part of a segment", "", "3.3.6"),
    ("D12", "", "data again on its subflow", "mapping at new sequence numbers", "", "3.3.6"),
    ("D13", "", "data again on another subflow", "reinjection", "", "3.3.6"),
    ("D14", "", "data also on another subflow", "redundant copy", "", "3.3.6"),
    ("D15", "", "acknowledgment is due", "ACK with DATA_ACK", "", "3.3.2"),
    ("D16", "", "acknowledgment is due", "ACK without DATA_ACK", "", "3.3.2"),
    ("D17", "", "nothing is due", "duplicate ACK", "", "3.3.2"),
    ("D18", "", "data beyond a gap of the stream", "kept", "", "3.3.2"),
    ("D19", "", "data that was received before", "ignored", "", "3.3.1"),
    ("D20", "", "payload beyond a gap of the subflow", "kept", "", "3.3.1"),
    ("D21", "", "payload that the subflow received before", "ignored", "", "3.3.6"),
    ("D22", "", "TCP retransmission", "mapping now with the DATA_FIN", "", "3.3.1"),
    ("D23", "", "TCP retransmission", "a segment as it was", "", "3.3.6"),
    ("D24", "", "application stops reading", "", "", "3.3.4"),
    ("D25", "", "application reads again", "ACK with the new window", "", "3.3.4"),
    ("D26", "", "peer's window is closed", "probe of one octet under an old DSN", "", "3.3.5"),
    ("D27", "", "segment after the host's MP_FASTCLOSE", "ignored", "", "3.5"),
    ("D28", "", "data after a fallback", "payload without options", "", "3.7|3.6"),
    ("D29", "", "data after the host's MP_FAIL", "not DATA_ACKed", "", "3.7|3.6"),
    ("D30", "", "data on the SYN was accepted", "data before the third packet, no DATA_ACK", "",
     "B"),
    ("N03", "", "middlebox strips MPTCP options", "", "", "3.7|3.6"),
    ("N04", "", "middlebox changes payload", "", "", "3.7|3.6"),
    ("N01", "", "network doubles a segment", "", "", "3.3.6"),
    ("N02", "", "network loses a segment", "", "", "3.3.6"),
)  # fmt: skip
"""Of data, acknowledgments and the network."""

ADDRESSES = _lines(
    ("A01", "", "host has another address", "ADD_ADDR", "", "3.4.1"),
    ("A02", "", "no echo came", "ADD_ADDR again", "", "3.4.1"),
    ("A03", "", "ADD_ADDR, HMAC right or none in version 0", "may join; owes echo", "", "3.4.1"),
    ("A04", "", "ADD_ADDR came", "echo", "", "3.4.1"),
    ("A05", "", "host lost an address", "REMOVE_ADDR", "", "3.4.2"),
    ("A06", "", "ADD_ADDR, HMAC wrong", "ignored", "", "3.4.1"),
    ("A07", "", "echo", "ADD_ADDR need not be repeated", "", "3.4.1"),
    ("A08", "", "REMOVE_ADDR", "address not joined, its subflows not used", "", "3.4.2"),
    ("A09", "", "MP_PRIO", "flag B of the peer", "", "3.3.8"),
)  # fmt: skip
"""Of addresses and priorities."""

TRANSITIONS: dict[str, Transition] = {
    each.id: each for each in (*CONNECTION, *SUBFLOW, *DATA, *ADDRESSES)
}
"""All of them by id."""
