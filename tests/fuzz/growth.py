"""How time and memory grow with floods of one thing: ``python -m tests.fuzz.growth [FRAMES]``.

Each flood is analyzed at some size and at twice that size, in processes of their own; the last
column is the ratio of the times, which is about 2 where they grow in line with the capture. A
shared machine makes single ratios wrong: look again before believing one.
"""

from __future__ import annotations

import resource
import sys
import time
from collections.abc import Callable
from multiprocessing import get_context
from multiprocessing.connection import Connection

from mptcp_oracle.analysis.entities import ROLES
from mptcp_oracle.analysis.trace import analyze
from mptcp_oracle.report.json import document
from tests.common import floods

FLOODS: dict[str, Callable[[int], bytes]] = {
    "connections": lambda frames: floods.connections(frames // 3),
    "joins, known token": lambda frames: floods.joins(frames, known=True),
    "joins, unknown tokens": lambda frames: floods.joins(frames, known=False),
    "joins, one token of many": lambda frames: floods.equal_tokens(frames // 6),
    "REMOVE_ADDR": floods.removals,
    "REMOVE_ADDR of many subflows": floods.removals_of_many,
    "one 4-tuple": floods.reused_tuple,
    "long checksummed mappings": floods.long_mappings,
    "nested mappings": floods.nested_mappings,
    "scattered copies": floods.scattered_copies,
    "single octets": floods.single_octets,
}


def _measure(pipe: Connection, name: str, frames: int) -> None:
    octets = FLOODS[name](frames)
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    began = time.process_time()
    with analyze(octets) as trace:
        for _ in document(trace):
            pass
        for connection in trace.connections[:100]:
            for role in ROLES:
                for _ in trace.stream(connection, role):
                    pass
        analyzed = time.process_time() - began
        count = sum(1 for _ in trace.facts())
    facts = time.process_time() - began - analyzed
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before
    pipe.send((analyzed, facts, peak // 1024, count))


def measure(name: str, frames: int) -> tuple[float, float, int, int]:
    """Seconds for analysis, JSON and streams; for facts; MB on top of the file; facts."""
    context = get_context("spawn")
    near, far = context.Pipe(duplex=False)
    process = context.Process(target=_measure, args=(far, name, frames))
    process.start()
    far.close()
    found: tuple[float, float, int, int] = near.recv()
    process.join()
    return found


def main() -> None:
    """Measure every flood and print a table."""
    frames = int(sys.argv[1]) if len(sys.argv) > 1 else 20_000
    print(f"{'flood':30} {'frames':>8} {'analysis s':>10} {'facts s':>8} {'MB':>6} {'ratio':>6}")
    for name in FLOODS:
        before = 0.0
        for size in (frames, 2 * frames):
            analyzed, facts, megabytes, _ = measure(name, size)
            ratio = f"{(analyzed + facts) / before:6.1f}" if before else ""
            before = analyzed + facts
            line = f"{name:30} {size:8} {analyzed:10.2f} {facts:8.2f} {megabytes:6} {ratio}"
            print(line.rstrip(), flush=True)


if __name__ == "__main__":
    main()
