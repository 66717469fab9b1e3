"""Moments: a connection's control events, sorted into the kinds that the pictures label."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any

from mptcp_oracle.analysis.entities import Connection, Event
from mptcp_oracle.analysis.trace import Trace
from mptcp_oracle.options import (
    AddAddr,
    Dss,
    Malformed,
    MpCapable,
    MpFail,
    MpFastclose,
    MpJoinSyn,
    MpPrio,
    MpTcprst,
    RemoveAddr,
)
from mptcp_oracle.report.words import RESET_REASONS

__all__ = ["KINDS", "Kind", "Moment", "ends", "moments"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Kind:
    """A kind of event.

    Attributes:
        name: What legends call it. symbol: Its mark (plotly's name), ``pen``: matplotlib's,
            ``glyph``: in text.
        line: Whether a line through the pictures shows when it was.
    """

    name: str
    symbol: str
    pen: str
    glyph: str
    line: bool = True


KINDS = {
    "open": Kind(name="handshake, FIN", symbol="line-ns-open", pen="|", glyph="|", line=False),
    "join": Kind(name="join", symbol="triangle-right", pen=">", glyph="▶"),
    "address": Kind(name="address signal", symbol="pentagon", pen="p", glyph="⬟"),
    "priority": Kind(name="priority", symbol="bowtie", pen="d", glyph="⋈"),
    "data_fin": Kind(name="DATA_FIN", symbol="square", pen="s", glyph="■"),
    "fast_close": Kind(name="fast close", symbol="star", pen="*", glyph="★"),
    "fallback": Kind(name="fallback, MP_FAIL", symbol="triangle-down", pen="v", glyph="▼"),
    "reset": Kind(name="reset", symbol="x", pen="X", glyph="✖"),
    "malformed": Kind(name="malformed option", symbol="diamond-x", pen="D", glyph="❖"),
}
"""The kinds in the order of legends."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Moment:
    """One event of a connection.

    Attributes:
        frame: Where. time: In nanoseconds since the epoch. subflow: Its id.
        host: Role of the sender, ``None`` if not known. kind: A key of :data:`KINDS`.
        label: Very short, ``""`` if it only deserves a mark. what: In packetdrill's notation.
    """

    frame: int
    time: int
    subflow: int
    host: str | None
    kind: str
    label: str
    what: str


def _add_addr(option: AddAddr) -> str:
    return f"echo {option.address_id}" if option.echo else f"ADD_ADDR {option.address_id}"


def _remove_addr(option: RemoveAddr) -> str:
    return "REMOVE_ADDR " + ",".join(map(str, option.address_ids))


def _reset(option: MpTcprst) -> str:
    return f"RST: {RESET_REASONS.get(option.reason, option.reason)}"


def _dss(option: Dss) -> tuple[str, str] | None:
    if option.data_fin:
        return "data_fin", "DATA_FIN"
    return ("fallback", "infinite mapping") if option.dll == 0 else None


#: What an option makes of its event; the first row that fits any option of an event decides.
_OPTIONS: tuple[tuple[type[Any], Callable[[Any], tuple[str, str] | None]], ...] = (
    (MpFastclose, lambda _: ("fast_close", "fast close")),
    (MpFail, lambda _: ("fallback", "MP_FAIL")),
    (MpTcprst, lambda option: ("reset", _reset(option))),
    (RemoveAddr, lambda option: ("address", _remove_addr(option))),
    (AddAddr, lambda option: ("address", _add_addr(option))),
    (MpPrio, lambda option: ("priority", "backup" if option.backup else "regular")),
    (MpJoinSyn, lambda _: ("join", "join")),
    (Dss, _dss),
    (Malformed, lambda _: ("malformed", "malformed")),
    (MpCapable, lambda _: ("open", "")),
)


def moments(group: Connection, trace: Trace) -> list[Moment]:
    """The events of a connection in capture order, with where it fell back, if it did.

    Args:
        group: The connection.
        trace: What it is from.
    """
    found = [_moment(event) for event in group.events]
    frame = group.state_frame
    if group.fallback is None or frame is None:
        return found
    label = f"fallback ({group.fallback.replace('_', ' ')})"
    at = bisect_left(found, frame, key=lambda each: each.frame)
    if at < len(found) and found[at].frame == frame:
        found[at] = replace(found[at], kind="fallback", label=label)
        return found
    ground = trace.ground
    row = int(ground.column("frame").searchsorted(frame))
    half = int(ground.column("half")[row])
    fallen = Moment(
        frame=frame, time=int(ground.column("time")[row]),
        subflow=int(ground.of_half["subflow"][half]), host=None, kind="fallback", label=label,
        what=group.why,
    )  # fmt: skip
    return [*found[:at], fallen, *found[at:]]


def _moment(event: Event) -> Moment:
    kind, label = _kind(event)
    return Moment(
        frame=event.frame, time=event.time, subflow=event.subflow, host=event.host,
        kind=kind, label=label, what=event.what,
    )  # fmt: skip


def _kind(event: Event) -> tuple[str, str]:
    for wanted, told in _OPTIONS:
        for option in event.options:
            if isinstance(option, wanted):
                found = told(option)
                if found is not None:
                    return found
    return ("reset", "RST") if "RST" in event.what.partition(",")[0] else ("open", "")


def ends(items: Sequence[Moment], most: int) -> tuple[list[Moment], int, list[Moment]]:
    """The first and the last ones of a long list, and how many are left out between them.

    Args:
        items: All.
        most: So many are shown in all.
    """
    if len(items) <= most:
        return list(items), 0, []
    half = most // 2
    return list(items[:half]), len(items) - 2 * half, list(items[-half:])
