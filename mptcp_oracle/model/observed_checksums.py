"""DSS checksums: each mapping that the capture announces, against the octets that it holds."""

from __future__ import annotations

from mptcp_oracle import crypto
from mptcp_oracle.facts import Fact
from mptcp_oracle.model.observed_frames import Seen
from mptcp_oracle.model.observed_groups import Group
from mptcp_oracle.model.observed_payload import Payload
from mptcp_oracle.model.observed_spans import Spans
from mptcp_oracle.model.trace import RST, Mapping
from mptcp_oracle.options import Dss, MpCapable

__all__ = ["count_checksums"]

MASK = 0xFFFFFFFFFFFFFFFF


def count_checksums(
    group: Group, payload: Payload, fresh: list[Seen], *, in_use: bool
) -> tuple[Fact, Fact | None]:
    """How many mappings have a right, a wrong and an incompletely captured checksum.

    The second value is the note that wrong ones get. If those over payload are all wrong, it was
    probably rewritten after the capture.

    Args:
        group: The group.
        payload: Its payload.
        fresh: Its frames, without copies made by the capture.
        in_use: Whether the connection may use checksums.
    """
    counts = {"right": 0, "wrong": 0, "incomplete": 0}
    if not in_use:
        return counts, None
    contents: dict[tuple[int, int], Spans[tuple[int, bytes]]] = {}
    done: set[tuple[object, ...]] = set()
    kept, first_wrong = False, None
    checked = [seen for seen in fresh if seen.mapping and _checksum(seen) is not None]
    if checked:
        contents = _contents(fresh)
    for seen in checked:
        mapping, role = seen.mapping, seen.segment.host
        total = _checksum(seen)
        if mapping is None or total is None or mapping.infinite or not group.absolute[role]:
            continue
        half = seen.flow.id, role
        key = (half, mapping.sequence, mapping.dsn, mapping.octets, mapping.fin, total, _ssn(seen))
        if key not in done:
            done.add(key)
            held = contents.get(half, Spans())
            placed = payload.halves[half].placed
            result = _check(group, mapping, role, _ssn(seen), total, held, placed=placed)
            counts[result] += 1
            kept = kept or (result == "right" and mapping.octets > 0)
            if result == "wrong" and first_wrong is None:
                first_wrong = seen.number
    if first_wrong is None:
        return counts, None
    code = "anonymised" if counts["wrong"] > 1 and not kept else "wrong-checksum"
    return counts, {"code": code, "text": "", "count": 1, "frame": first_wrong}


def _checksum(seen: Seen) -> int | None:
    for option in seen.whole:
        if isinstance(option, Dss | MpCapable) and option.checksum is not None:
            return option.checksum
    return None


def _ssn(seen: Seen) -> int:
    for option in seen.whole:
        if isinstance(option, Dss) and option.ssn is not None:
            return option.ssn
    return 1


def _contents(fresh: list[Seen]) -> dict[tuple[int, int], Spans[tuple[int, bytes]]]:
    """The octets of each half as they were sent first, as far as they were captured."""
    contents: dict[tuple[int, int], Spans[tuple[int, bytes]]] = {}
    for seen in fresh:
        octets = seen.segment.payload
        if octets and not seen.segment.flags & RST:
            spans = contents.setdefault((seen.flow.id, seen.segment.host), Spans())
            held = (seen.start, octets[: seen.captured])
            spans.fill(seen.start, seen.start + len(octets), held)
    return contents


def _check(
    group: Group,
    mapping: Mapping,
    role: int,
    ssn: int,
    total: int,
    held: Spans[tuple[int, bytes]],
    *,
    placed: bool,
) -> str:
    """One mapping's checksum: ``right``, ``wrong`` or ``incomplete``."""
    pieces = []
    if mapping.octets:
        if not placed:
            return "incomplete"
        first = mapping.sequence
        for low, high, piece in held.parts(first, first + mapping.octets):
            if piece is None or high - piece[0] > len(piece[1]):
                return "incomplete"
            pieces.append(piece[1][low - piece[0] : high - piece[0]])
    right = crypto.dss_checksum(
        (group.truth.hosts[role].base + mapping.dsn) & MASK,
        ssn,
        mapping.octets + mapping.fin,
        *pieces,
    )
    return "right" if right == total else "wrong"
