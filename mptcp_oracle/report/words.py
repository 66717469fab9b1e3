"""What people read about connections and subflows: short phrases, each with its frame."""

from __future__ import annotations

from collections.abc import Iterator

from mptcp_oracle.analysis.entities import (
    ROLES,
    Connection,
    Host,
    Mismatch,
    Scheduler,
    Subflow,
    SubflowEnd,
)
from mptcp_oracle.report.layout import number
from mptcp_oracle.wire.notes import Note

__all__ = [
    "RESET_REASONS",
    "STATES",
    "ends",
    "label",
    "mismatch",
    "note",
    "other_octets",
    "outcome",
    "pair",
    "scheduler",
    "subflow_remark",
    "unattached_remark",
]

STATES = {
    "open": "open",
    "closed": "closed by DATA_FIN",
    "fast_closed": "fast-closed",
    "fallback": "fell back to TCP",
    "timed_out": "timed out",
}

#: MP_TCPRST reason codes (RFC 8684 section 3.6).
RESET_REASONS = {
    0: "unspecified error",
    1: "MPTCP-specific error",
    2: "lack of resources",
    3: "administratively prohibited",
    4: "too much outstanding data",
    5: "unacceptable performance",
    6: "middlebox interference",
}

_REDUNDANT = {True: "redundant", False: "not redundant", None: "redundancy not known"}
_OTHERS = {
    "remap": "sent again on the same subflow under a new mapping (remap)",
    "unclassified": "copied to another subflow without a visible reason (unclassified)",
    "zero_window_probe": "in zero-window probes",
    "unmapped": "under no mapping (unmapped)",
}
_VALUES = {
    "token": "token",
    "idsn": "initial data sequence number",
    "echoed_key": "key",
    "join_hmac": "MP_JOIN HMAC",
    "add_addr_hmac": "ADD_ADDR HMAC",
}


def ends(flow: Subflow) -> tuple[str, str]:
    """A subflow's endpoints: the initiator's, then the listener's."""
    pair = (str(flow.source), str(flow.destination))
    return pair if flow.opener in (0, None) else (pair[1], pair[0])


def pair(flow: Subflow) -> str:
    """``initiator's end -> listener's end``."""
    return " -> ".join(ends(flow))


def label(flow: Subflow) -> str:
    """The id of a subflow (a star marks the initial one), who opened it, how its join went."""
    if flow.kind == "initial":
        return f"*{flow.id} initial"
    words = f" {flow.id} {flow.kind or 'subflow'}"
    if flow.opener == 1:
        words += " by listener"
    if flow.join is not None:
        words += f" ({flow.join.result if flow.join.result != 'unknown' else 'unchecked'})"
    return words


def outcome(connection: Connection) -> str:
    """The state of a connection at the end of the capture, and why."""
    words = STATES[connection.state]
    if connection.why and connection.state != "closed":
        words += f": {connection.why}"
    return words + _in_frame(connection.state_frame)


def subflow_remark(flow: Subflow) -> str:
    """How a subflow ended, its Address IDs, its priority."""
    words = [_ended(flow.end, flow.last_frame)]
    if flow.kind != "initial":
        shown = ["?" if value is None else str(value) for value in flow.address_ids]
        words.append(f"Address IDs {shown[0]} -> {shown[1]}")
    askers = [role for role, asked in zip(ROLES, flow.backup, strict=True) if asked]
    if askers:
        words.append(f"backup, asked by {' and '.join(askers)}")
    return "; ".join(words)


def unattached_remark(flow: Subflow) -> str:
    """What is known of a subflow whose connection is not."""
    words = [_ended(flow.end, flow.last_frame, roles=False)]
    if flow.join is not None and flow.join.token is not None:
        words.append(f"joins the connection with token {flow.join.token:08x}")
    return "; ".join(words)


def _ended(end: SubflowEnd | None, last_frame: int, *, roles: bool = True) -> str:
    if end is None:
        return f"open, last seen in frame {last_frame}"
    by = f" by {end.by}" if end.by is not None and roles else ""
    if end.how == "reset":
        reason = ""
        if end.reason is not None:
            reason = f", reason {end.reason}: {RESET_REASONS.get(end.reason, 'unassigned')}"
        return f"RST{by}{_in_frame(end.frame)}{reason}"
    return f"FIN{by}{' only' if end.how == 'half_fin' else ''}{_in_frame(end.frame)}"


def _in_frame(frame: int | None) -> str:
    return "" if frame is None else f" (frame {frame})"


def mismatch(found: Mismatch) -> str:
    """Both values, who sent the wrong one and where, and the likely cause."""
    who = found.host or "a host"
    what = _VALUES.get(found.what, found.what)
    return (
        f"frame {found.frame}: {what} of the {who} is {found.seen}, expected {found.expected}: "
        f"{found.why} (RFC 8684 section {found.section})"
    )


def note(found: Note) -> str:
    """An oddity, how often it was met and where first."""
    where = "" if found.frame is None else f"frame {found.frame}: "
    return where + found.text + (f" ({number(found.count)} in all)" if found.count > 1 else "")


def other_octets(connection: Connection, host: Host) -> str:
    """What else a host sent: copies neither reinjected nor redundant, octets without mapping."""
    told = _OTHERS
    if connection.state == "fallback":
        told = _OTHERS | {"unmapped": "as plain TCP"}
    found = [
        f"{number(host.transmissions[name])} {text}"
        for name, text in told.items()
        if host.transmissions.get(name)
    ]
    return f"other octets by the {host.role}: {', '.join(found)}" if found else ""


def scheduler(host: Host) -> str:
    """The observation of a host's scheduler."""
    seen = host.scheduler or Scheduler(redundant=None, share=None, why="not looked at")
    words = f"scheduler of the {host.role}: {_REDUNDANT[seen.redundant]} ({seen.why})"
    return words + "".join(f"; {more}" for more in _more(seen))


def _more(seen: Scheduler) -> Iterator[str]:
    if seen.reordered:
        yield f"{seen.reordered:.1%} of the octets sent below the highest DSN so far"
    if seen.on_backup:
        yield f"{number(seen.on_backup)} octets on a backup subflow while a regular one was alive"
