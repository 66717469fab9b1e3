"""Segments and their transmissions as facts, out of the labels of their frames."""

from __future__ import annotations

from collections.abc import Iterator

from mptcp_oracle.facts import Fact
from mptcp_oracle.model.observed_connections import View, seconds
from mptcp_oracle.model.observed_frames import Seen, option_fact
from mptcp_oracle.model.observed_payload import Announced, Part
from mptcp_oracle.model.trace import RST, SYN
from mptcp_oracle.options import Dss, Option

__all__ = ["segment", "transmissions"]

MASK_32 = 0xFFFFFFFF
REASON = "no frame that shows it is in the capture"


def segment(view: View, seen: Seen) -> Fact:
    """The fact of one frame."""
    group, flow, sent = view.group, seen.flow, seen.segment
    host, other = sent.host, 1 - sent.host
    shake = view.shakes[flow.id]
    data_ack = seen.data_ack
    fact: Fact = {
        "fact": "segment",
        "frame": seen.number,
        "time": seconds(seen.time),
        "connection": group.id,
        "subflow": flow.id,
        **_sender(view, seen),
        "duplicate": seen.again,
        "outgoing": seen.outgoing,
        "flags": sent.flags,
        "sequence": _relative(sent.sequence, shake.origin[host]),
        "sequence_raw": (flow.truth.isns[host] + sent.sequence) & MASK_32,
        "ack": None if sent.ack is None else _relative(sent.ack, shake.origin[other]),
        "ack_raw": None if sent.ack is None else (flow.truth.isns[other] + sent.ack) & MASK_32,
        "window": sent.window,
        "payload": len(sent.payload),
        "captured": seen.captured,
        "options": _options(seen),
        "options_cut": seen.cut,
        "data_ack": None if data_ack is None else group.shown(other, data_ack),
        "data_ack_absolute": None if data_ack is None else group.number(other, data_ack),
        "ranges": [_range(view, seen, *each) for each in view.payload.ranges(seen)],
        "previous": view.payload.previous.get(seen.number),
        "copies": view.payload.copies.get(seen.number, 0),
    }
    missing = [key for key in ("sequence", "sender", "outgoing") if fact[key] is None]
    if sent.ack is not None and fact["ack"] is None:
        missing.append("ack")
    if data_ack is not None and fact["data_ack_absolute"] is None:
        missing.append("data_ack_absolute")
    if not group.absolute[host] and any(each["dsn"] is not None for each in fact["ranges"]):
        missing.append("absolute")
    if _unmapped(view, seen) and any(each["dsn"] is None for each in fact["ranges"]):
        missing.append("dsn")
    if seen.cut:
        missing.append("options")
    fact["unknown"] = dict.fromkeys(missing, REASON)
    return fact


def transmissions(view: View, seen: Seen) -> Iterator[Fact]:
    """The facts of what one frame carried: one for each run of octets of one class."""
    for low, high, part in _runs(view.payload.parts.get(seen.number, [])):
        group, host = view.group, seen.segment.host
        origin = view.shakes[seen.flow.id].origin[host]
        dsn = None if part.under is None else low + part.under.delta
        fact: Fact = {
            "fact": "transmission",
            "frame": seen.number,
            "connection": group.id,
            "subflow": seen.flow.id,
            **_sender(view, seen),
            "class": part.name,
            "sequence": _relative(low, origin),
            "octets": high - low,
            "dsn": None if dsn is None else group.shown(host, dsn),
            "dsn_end": None if dsn is None else group.shown(host, dsn + high - low),
            "absolute": None if dsn is None else group.number(host, dsn),
            "needed": None,
        }
        missing = [key for key in ("sequence", "sender") if fact[key] is None]
        if dsn is not None and fact["absolute"] is None:
            missing.append("absolute")
        if dsn is None and _unmapped(view, seen):
            missing.append("dsn")
        fact["unknown"] = dict.fromkeys(missing, REASON)
        yield fact


def _runs(parts: list[Part]) -> Iterator[tuple[int, int, Part]]:
    """Neighbours of one class with consecutive DSNs as one."""
    run: tuple[int, int, Part] | None = None
    for part in parts:
        if run is not None and run[2].name == part.name and _place(run[2]) == _place(part):
            run = (run[0], part.high, run[2])
            continue
        if run is not None:
            yield run
        run = (part.low, part.high, part)
    if run is not None:
        yield run


def _place(part: Part) -> int | None:
    return None if part.under is None else part.under.delta


def _range(view: View, seen: Seen, low: int, high: int, under: Announced | None) -> Fact:
    group, host = view.group, seen.segment.host
    dsn = None if under is None else low + under.delta
    return {
        "sequence": _relative(low, view.shakes[seen.flow.id].origin[host]),
        "octets": high - low,
        "dsn": None if dsn is None else group.shown(host, dsn),
        "dsn_end": None if dsn is None else group.shown(host, dsn + high - low),
        "absolute": None if dsn is None else group.number(host, dsn),
        "announced": None if under is None else under.frame,
    }


def _options(seen: Seen) -> list[Fact]:
    """Its options; of a header that is cut only those that are whole and more than a plain DSS."""
    if not seen.cut:
        return [option_fact(option) for option in seen.whole]
    return [option_fact(option) for option in seen.whole if not seen.again and _controls(option)]


def _controls(option: Option) -> bool:
    """Whether an option is more than a DATA_ACK and a mapping with an end."""
    return not isinstance(option, Dss) or option.data_fin or option.dll == 0


def _unmapped(view: View, seen: Seen) -> bool:
    """Whether octets without a mapping in the capture may have one that is not in it."""
    return view.fallback is None and not seen.segment.flags & (SYN | RST)


def _sender(view: View, seen: Seen) -> Fact:
    shake, host = view.shakes[seen.flow.id], seen.segment.host
    source = seen.flow.seen[0].segment.host if shake.opener is None else shake.opener
    return {
        "sender": view.named(host, seen),
        "from": "source" if host == source else "destination",
    }


def _relative(label: int, origin: int | None) -> int | None:
    return None if origin is None else label - origin
