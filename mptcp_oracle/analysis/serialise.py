"""A trace as facts: its one-way serialisation, for JSONL, truth files and comparisons.

See :mod:`mptcp_oracle.facts` for the vocabulary. Facts come one by one: connections, subflows,
then every segment with its transmissions in capture order, then observations; nothing is kept.
Options are decoded from the capture while their segment is emitted.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import cached_property
from typing import TYPE_CHECKING, Any

from mptcp_oracle.analysis import described
from mptcp_oracle.analysis.entities import ROLES, Subflow
from mptcp_oracle.analysis.transmissions import NEEDED, SPURIOUS, UNKNOWN
from mptcp_oracle.constants import KIND_MPTCP
from mptcp_oracle.facts import CLASSES, Fact, of_option
from mptcp_oracle.options import Option
from mptcp_oracle.wire.columns import FLAG_BITS
from mptcp_oracle.wire.mptcp import decode_option, of_kind

if TYPE_CHECKING:
    from mptcp_oracle.analysis.parts import Parts
    from mptcp_oracle.analysis.trace import Trace

__all__ = ["SegmentFacts", "facts", "options_of", "raw_options"]

MASK = 0xFFFFFFFFFFFFFFFF
SYN, RST, ACK = 0x02, 0x04, 0x10
#: Rows whose columns are turned into Python numbers at a time.
CHUNK = 4096
OPTIONS_CUT = FLAG_BITS["options_cut"]


def facts(trace: Trace) -> Iterator[Fact]:
    """Everything that a trace knows, fact by fact.

    Args:
        trace: An open trace.

    Yields:
        Facts in the vocabulary of :mod:`mptcp_oracle.facts`; each is a new object.
    """
    groups = list(trace.groups())
    for group in groups:
        yield described.connection(trace, group)
    numbers = {flow.id: group.id for group in groups for flow in group.subflows}
    for flow in trace.subflows:
        yield described.subflow(trace, flow, numbers[flow.id])
    yield from SegmentFacts(trace).facts()
    for group in groups:
        yield from described.observations(trace, group)


def options_of(trace: Trace, row: int, version: int | None) -> list[Option]:
    """The MPTCP options of a segment, decoded from the capture, in their order.

    Args:
        trace: An open trace.
        row: A row of the segment columns.
        version: MPTCP version of its connection, ``None`` if unknown.

    Returns:
        Their values. Of a header that the snap length cut, only what is whole and not merely a
        DSS.
    """
    rows = trace.wire.segments
    flags, payload = rows["flags"][row], rows["length"][row]
    syn, ack = bool(flags & SYN), bool(flags & ACK)
    return [
        decode_option(raw, syn=syn, ack=ack, payload=payload, version=version)
        for raw in raw_options(trace, row)
    ]


def raw_options(trace: Trace, row: int) -> list[bytes]:
    """The octets of those options."""
    flags, offset, header = trace.wire.segments.of("flags", "offset", "header")
    if flags[row] & OPTIONS_CUT:
        return trace.ground.controls(row)
    end = offset[row]
    return of_kind(bytes(trace.capture.data[end - header[row] + 20 : end]), KIND_MPTCP)


class SegmentFacts:
    """The facts of segments and transmissions, one after the other or of those asked for."""

    def __init__(self, trace: Trace) -> None:
        """Take an open trace."""
        self.trace = trace
        rows = trace.wire.segments
        self.half, self.flags, self.acks = rows["half"], rows["flags"], rows["ack"]
        self.offset, self.header = rows["offset"], rows["header"]
        self.data = trace.capture.data
        self.subflows = {flow.id: flow for flow in trace.subflows}
        self.first_frame = trace.mappings.frame
        self.sure = [bool(known) for known in trace.plane.isn_from]

    def facts(self) -> Iterator[Fact]:
        """Each segment, followed by its transmissions."""
        trace = self.trace
        table, moves, parts, rows = (
            trace.segments,
            trace.transmissions,
            trace.ground.parts,
            trace.ground.rows,
        )
        columns, move_columns = table.columns(), moves.columns()
        for low in range(0, len(rows), CHUNK):
            chunk = rows[low : low + CHUNK]
            bounds = [chunk[0], chunk[-1] + 1]
            segments = _records(columns, slice(low, low + CHUNK))
            ranges = _grouped(parts.row, _cuts(parts), bounds)
            sent = _grouped(moves.row, move_columns, bounds)
            for row, segment in zip(chunk.tolist(), segments, strict=True):
                yield self.segment(row, segment, ranges.get(row, []))
                for move in sent.get(row, ()):
                    yield self.transmission(row, move)

    def one(self, index: int) -> Fact:
        """The fact of the segment with this index in the table of segments."""
        table, starts, cuts = self._tables
        row = int(self.trace.ground.rows[index])
        low, high = starts.searchsorted((row, row + 1)).tolist()
        record = {name: values[index].item() for name, values in table.items()}
        return self.segment(row, record, _records(cuts, slice(low, high)))

    def options(self, index: int) -> list[Fact]:
        """The options of that segment, as its fact has them."""
        row = int(self.trace.ground.rows[index])
        version = self.subflows[int(self.trace.segments.subflow[index])].version
        return [of_option(option) for option in options_of(self.trace, row, version)]

    def raws(self, index: int) -> list[bytes]:
        """Their octets."""
        return raw_options(self.trace, int(self.trace.ground.rows[index]))

    @cached_property
    def _tables(self) -> tuple[dict[str, Any], Any, dict[str, Any]]:
        """The table of segments, and the rows of parts of payload with what facts say of them."""
        parts = self.trace.ground.parts
        return self.trace.segments.columns(), parts.row, _cuts(parts)

    def segment(self, row: int, segment: Fact, ranges: list[Fact]) -> Fact:
        """The fact of one segment."""
        half, at = self.half[row], self.offset[row] - self.header[row]
        flow = self.subflows[segment["subflow"]]
        base, why = self.base(half)
        other, why_other = self.base(half, back=True)
        has_ack = bool(segment["flags"] & ACK)
        cut = bool(self.flags[row] & OPTIONS_CUT)
        fact: Fact = {
            "fact": "segment",
            "frame": segment["frame"],
            "time": described.seconds(segment["time"]),
            "connection": segment["connection"],
            "subflow": segment["subflow"],
            **_sender(segment),
            "duplicate": segment["duplicate"],
            "outgoing": (False, True, None)[segment["outgoing"]],
            "flags": segment["flags"],
            "sequence": segment["sequence"] if self.sure[half] else None,
            "sequence_raw": int.from_bytes(self.data[at + 4 : at + 8], "big"),
            "ack": segment["ack"] if has_ack and self.sure[half ^ 1] else None,
            "ack_raw": self.acks[row] if has_ack else None,
            "window": segment["window"],
            "payload": segment["payload"],
            "captured": segment["captured"],
            "options": [of_option(option) for option in options_of(self.trace, row, flow.version)],
            "options_cut": cut,
            "data_ack": segment["data_ack"] if segment["has_data_ack"] else None,
            "data_ack_absolute": None,
            "ranges": [self.range(item, base, known=self.sure[half]) for item in _joined(ranges)],
            "previous": segment["previous"] or None,
            "copies": segment["copies"],
            "unknown": {},
        }
        unknown = fact["unknown"]
        if segment["has_data_ack"]:
            fact["data_ack_absolute"] = _absolute(segment["data_ack"], other)
            if other is None:
                unknown["data_ack_absolute"] = why_other
        if base is None and any(item["dsn"] is not None for item in fact["ranges"]):
            unknown["absolute"] = why
        if fact["sequence"] is None:
            unknown["sequence"] = "no SYN in the capture"
        if has_ack and fact["ack"] is None:
            unknown["ack"] = "no SYN of the other end in the capture"
        if fact["outgoing"] is None:
            unknown["outgoing"] = "the capture does not say"
        if any(item["dsn"] is None for item in fact["ranges"]):
            unknown |= self.no_mapping(flow, half, segment["flags"])
        if cut:
            unknown["options"] = "cut off by the snap length"
        if fact["sender"] is None:
            unknown["sender"] = described.NO_ROLE
        return fact

    def range(self, item: Fact, base: int | None, *, known: bool) -> Fact:
        """One range of payload under one mapping, or under none."""
        mapped = item["mapping"] >= 0
        dsn = item["start"] + item["delta"]
        return {
            "sequence": item["start"] if known else None,
            "octets": item["end"] - item["start"],
            "dsn": dsn if mapped else None,
            "dsn_end": item["end"] + item["delta"] if mapped else None,
            "absolute": _absolute(dsn, base) if mapped else None,
            "announced": int(self.first_frame[item["mapping"]]) if mapped else None,
        }

    def no_mapping(self, flow: Subflow, half: int, flags: int) -> dict[str, str]:
        """Why octets have no DSN, unless they can have none.

        Those of a SYN and of a RST have none (RFC 8684 appendix B), nor after a fallback. Others
        may have one, though no frame of the capture shows it.
        """
        if flags & (SYN | RST) or (flow.connection is not None and flow.connection.fallback):
            return {}
        if self.trace.plane.vague[half]:
            return {"dsn": "where its mapping begins is not known exactly"}
        return {"dsn": "no mapping of it is in the capture"}

    def transmission(self, row: int, move: Fact) -> Fact:
        """The fact of one transmission."""
        half = self.half[row]
        base, why = self.base(half)
        mapped = move["mapped"]
        needed = move["needed"]
        fact: Fact = {
            "fact": "transmission",
            "frame": move["frame"],
            "connection": move["connection"],
            "subflow": move["subflow"],
            **_sender(move),
            "class": CLASSES[move["kind"]],
            "sequence": move["sequence"] if self.sure[half] else None,
            "octets": move["octets"],
            "dsn": move["dsn"] if mapped else None,
            "dsn_end": move["dsn_end"] if mapped else None,
            "absolute": _absolute(move["dsn"], base) if mapped else None,
            "needed": {NEEDED: True, SPURIOUS: False}.get(needed),
            "unknown": {},
        }
        if not self.sure[half]:
            fact["unknown"]["sequence"] = "no SYN in the capture"
        if not mapped:
            flow = self.subflows[move["subflow"]]
            fact["unknown"] |= self.no_mapping(flow, half, self.flags[row])
        if needed == UNKNOWN:
            fact["unknown"]["needed"] = "acknowledgments neither prove nor exclude it"
        if mapped and base is None:
            fact["unknown"]["absolute"] = why
        if fact["sender"] is None:
            fact["unknown"]["sender"] = described.NO_ROLE
        return fact

    def base(self, half: int, *, back: bool = False) -> tuple[int | None, str]:
        """What DSNs of a half count from, or why that is not known; ``back``: its DATA_ACKs."""
        direction = self.trace.plane.direction[half] ^ int(back)
        if self.trace.plane.high_known[direction]:
            return self.trace.plane.base[direction], ""
        return None, described.NO_BASE[0]


def _records(columns: dict[str, Any], chosen: slice) -> list[Fact]:
    """Rows of a table as objects."""
    lists = [values[chosen].tolist() for values in columns.values()]
    return [dict(zip(columns, values, strict=True)) for values in zip(*lists, strict=True)]


def _cuts(parts: Parts) -> dict[str, Any]:
    """What a fact says of a range, as columns."""
    return {name: getattr(parts, name) for name in ("start", "end", "mapping", "delta")}


def _grouped(rows: Any, columns: dict[str, Any], bounds: list[int]) -> dict[int, list[Fact]]:
    """Entries of a table whose segments lie in ``bounds``, by row of their segment."""
    first, last = rows.searchsorted(bounds)
    found: dict[int, list[Fact]] = {}
    chosen = slice(first, last)
    for row, record in zip(rows[chosen].tolist(), _records(columns, chosen), strict=True):
        found.setdefault(row, []).append(record)
    return found


def _joined(ranges: list[Fact]) -> list[Fact]:
    """Ranges of one segment, without the cuts between classes under one mapping."""
    found: list[Fact] = []
    for item in ranges:
        if found and found[-1]["mapping"] == item["mapping"]:
            found[-1] = {**found[-1], "end": item["end"]}
        else:
            found.append(item)
    return found


def _sender(record: Fact) -> Fact:
    """Who sent a segment, by role and by end of the subflow."""
    return {
        "sender": None if record["sender"] < 0 else ROLES[record["sender"]],
        "from": "source" if record["from_source"] else "destination",
    }


def _absolute(relative: int, base: int | None) -> str | None:
    return None if base is None else str((base + relative) & MASK)
