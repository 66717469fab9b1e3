"""What the packet loop says of frames, against the naive dissector."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

from tests.common import captures as c
from tests.common.layers import Found, dissect
from tests.common.reading import Segment, read

__all__ = ["compare"]


def _value(segment: Segment) -> dict[str, object]:
    """What the loop says of a segment, in the terms of the dissector."""
    return {
        "octets": segment.octets, "length": segment.length, "domain": segment.domain,
        "direction": segment.direction, "fragment": segment.fragment, "ifindex": segment.ifindex,
        "family": 4 if segment.source.version == 4 else 6, "source": segment.source.packed,
        "destination": segment.destination.packed, "ttl": segment.ttl, "ip_id": segment.ip_id,
    }  # fmt: skip


def compare(linktype: int, records: Sequence[c.Record]) -> Counter[str]:
    """Each frame gives the dissector's segment or is counted for its reason; the counts."""
    reading = read(c.pcap(records, linktype=linktype))
    found = {segment.frame: _value(segment) for segment in reading.segments}
    notes: Counter[str] = Counter()
    firsts: dict[str, int] = {}
    for number, record in enumerate(records, 1):
        wire = len(record.octets) if record.wire is None else record.wire
        result, beyond = dissect(linktype, record.octets, wire)
        if isinstance(result, Found):
            expected = {"octets": result.octets, "length": result.length, **result.facts}
            assert found.pop(number) == expected, (number, record)
            result = ""
        if beyond and not result:
            result = "ip-length-beyond-frame"
        if result:
            notes[result] += 1
            firsts.setdefault(result, number)
    assert not found
    assert reading.notes == {code: (count, firsts[code]) for code, count in notes.items()}
    return notes
