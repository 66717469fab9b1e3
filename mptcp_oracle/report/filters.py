"""Wireshark display filters that show one subflow, or one connection."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable

from mptcp_oracle.analysis.entities import Connection, Subflow
from mptcp_oracle.analysis.trace import Trace

__all__ = ["Filters", "frames_filter"]


class Filters:
    """Display filters for the subflows of one capture.

    They are made of addresses and ports, because ``tcp.stream`` counts differently from version to
    version. Where the same addresses and ports serve several TCP connections, one after another,
    the range of frames is added.
    """

    def __init__(self, trace: Trace) -> None:
        self._reused = _reused(trace)

    def subflow(self, flow: Subflow) -> str:
        """A filter for all frames of a subflow."""
        family = "ipv6" if ":" in flow.source.address else "ip"
        terms = [f"{family}.addr == {end.address}" for end in (flow.source, flow.destination)]
        terms += [f"tcp.port == {end.port}" for end in (flow.source, flow.destination)]
        if flow.stream in self._reused:
            terms.append(f"frame.number >= {flow.first_frame}")
            terms.append(f"frame.number <= {flow.last_frame}")
        return " && ".join(terms)

    def connection(self, connection: Connection) -> str:
        """A filter for all frames of all subflows of a connection."""
        filters = [self.subflow(flow) for flow in connection.subflows]
        return filters[0] if len(filters) == 1 else " || ".join(f"({text})" for text in filters)


def _reused(trace: Trace) -> set[int]:
    """The MPTCP streams whose addresses and ports another TCP stream has, too."""
    hashes = trace.wire.streams["hash"][: trace.wire.streams.rows]
    wanted = {hashes[flow.stream] for flow in trace.subflows}
    counts = Counter(filter(wanted.__contains__, hashes))
    common = {value for value, count in counts.items() if count > 1}
    streams = defaultdict(list)
    for stream, value in enumerate(hashes) if common else ():
        if value in common:
            streams[_ends(trace, stream)].append(stream)
    return {stream for same in streams.values() if len(same) > 1 for stream in same}


def _ends(trace: Trace, stream: int) -> tuple[int, ...]:
    """Addresses and ports of a stream, the same for both orders of its ends."""
    ends = trace.wire.addresses[4 * stream : 4 * stream + 4]
    ports = trace.wire.halves["port"][2 * stream : 2 * stream + 2]
    one, other = (*ends[:2], ports[0]), (*ends[2:], ports[1])
    return (*one, *other) if one <= other else (*other, *one)


def frames_filter(frames: Iterable[int]) -> str:
    """A filter for some frames, by number."""
    return " || ".join(f"frame.number == {frame}" for frame in frames)
