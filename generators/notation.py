"""Traces and captures as text, one line a segment, in packetdrill's notation.

A line reads like a packetdrill script's: time since the line before, ``>`` for what the initiator
sends and ``<`` for what the listener does, flags (``.`` is ACK), relative sequence numbers with
the payload, acknowledgment, window, and the options as :func:`mptcp_oracle.options.notation` has
them. In front stand what packetdrill has no need of: the number of the segment or frame, and the
subflow. Behind ``//`` stands the truth of it: which DSNs the payload has and why it was sent,
and what became of the segment.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator

from mptcp_oracle.model.capture import Capture, Frame, Noise
from mptcp_oracle.model.trace import ACK, FIN, PSH, RST, SYN, Range, Sent, Trace
from mptcp_oracle.options import notation

__all__ = ["lines", "segment_text", "text"]

LETTERS = ((FIN, "F"), (SYN, "S"), (RST, "R"), (PSH, "P"), (0x20, "U"), (0x40, "E"), (0x80, "W"))


def text(of: Trace | Capture) -> str:
    """All of a trace or capture, with a last line break."""
    return "".join(f"{line}\n" for line in lines(of))


def lines(of: Trace | Capture) -> Iterator[str]:
    """A trace's segments in order of sending, or a capture's frames, behind who is who."""
    if isinstance(of, Trace):
        yield from _ends(of)
        yield from _segments(of)
    else:
        layout = of.layout
        defects = ", ".join(of.defects) or "none"
        tunnel = f" in {layout.tunnel}" if layout.tunnel else ""
        tags = "".join(f", VLAN {tag}" for tag in layout.vlans)
        yield f"// {layout.file}, {layout.link}{tunnel}{tags}; {of.vantage}; defects: {defects}"
        yield from _ends(of.trace)
        yield from _frames(of)


def segment_text(segment: Sent) -> str:
    """One segment without its time and place: ``> P. 1:101(100) ack 1 win 502 <dss ...>``."""
    octets = len(segment.payload)
    words = [
        "<" if segment.host else ">",
        _flags(segment.flags),
        f"{segment.sequence}:{segment.sequence + octets}({octets})",
    ]
    if segment.ack is not None:
        words.append(f"ack {segment.ack}")
    words.append(f"win {segment.window}")
    if segment.options:
        words.append(f"<{', '.join(map(notation, segment.options))}>")
    return " ".join(words)


def _ends(trace: Trace) -> Iterator[str]:
    for connection in trace.connections:
        keys = " ".join(f"{host.key:016x}" for host in connection.hosts)
        idsns = " ".join(str(host.base) for host in connection.hosts)
        end = connection.fallback or connection.closed or "goes on"
        yield (
            f"// connection {connection.number}: version {connection.version}, keys {keys}, "
            f"IDSNs {idsns}, {end}"
        )
    for flow in trace.subflows:
        one, other = (f"{end.address} port {end.port}" for end in flow.ends)
        kind = "initial" if flow.initial else "joined"
        by = ("initiator", "listener")[flow.opener]
        yield (
            f"// s{flow.number} of connection {flow.connection}: {kind}, {one} - {other}, "
            f"opened by the {by}, {flow.outcome}"
        )
    for fault in trace.planted:
        where = ", ".join(map(str, fault.segments))
        yield f"// fault {fault.name} of host {fault.host} in segments {where}"


def _segments(trace: Trace) -> Iterator[str]:
    arrived = Counter(delivery.segment.number for delivery in trace.deliveries)
    altered = {
        delivery.segment.number
        for delivery in trace.deliveries
        if delivery.segment is not trace.segments[delivery.segment.number]
        and delivery.segment != trace.segments[delivery.segment.number]
    }
    before = 0
    for segment in trace.segments:
        times = arrived[segment.number]
        fate = [] if times == 1 else ["never arrives"] if times == 0 else [f"arrives {times} times"]
        fate += ["altered on the way"] if segment.number in altered else []
        yield _line(segment.number, segment.time - before, segment, fate)
        before = segment.time


def _frames(capture: Capture) -> Iterator[str]:
    before = capture.frames[0].time if capture.frames else 0
    for number, frame in enumerate(capture.frames, start=1):
        gap, before = frame.time - before, frame.time
        if isinstance(frame, Noise):
            yield f"{number:4} {_gap(gap)} // {len(frame.packet)} octets of other traffic"
            continue
        yield _line(number, gap, frame.segment, list(_marks(frame)))


def _marks(frame: Frame) -> Iterator[str]:
    yield f"segment {frame.segment.number}"
    if frame.again:
        yield "the same packet again"
    if frame.interface:
        yield f"interface {frame.interface}"


def _line(number: int, gap: int, segment: Sent, notes: list[str]) -> str:
    truth = [_range(part) for part in segment.ranges] + notes
    said = f" // {'; '.join(truth)}" if truth else ""
    return f"{number:4} {_gap(gap)} s{segment.subflow} {segment_text(segment)}{said}"


def _gap(nanoseconds: int) -> str:
    return f"{nanoseconds / 1e9:+.6f}"


def _flags(flags: int) -> str:
    letters = "".join(letter for bit, letter in LETTERS if flags & bit)
    return letters + ("." if flags & ACK else "") or "-"


def _range(part: Range) -> str:
    cause = part.cause + (f" after {part.trigger}" if part.trigger else "")
    if part.dsn is None:
        return f"{part.octets} octets {cause}"
    return f"dsn {part.dsn}:{part.dsn + part.octets} {cause}"
