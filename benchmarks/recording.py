"""Records the real captures: bulk transfers of the local kernel between network namespaces.

Two paths, offloads off everywhere, data both ways at once, closed by DATA_FIN; the recorder and
its conditions (root, MPTCP in the kernel, tcpdump) are those of ``mptcp-oracle record``.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from pathlib import Path
from tempfile import TemporaryDirectory

from benchmarks.pcap import SNAPLEN
from mptcp_oracle.errors import AdapterError
from mptcp_oracle.live.recorder import record
from mptcp_oracle.live.scenario import Drain, Host, Plan, Scenario, Send, Step, Subflows, Vantage
from mptcp_oracle.live.scripts import CHECKSUMS, DATA_FIN, HELLO, JOINING

__all__ = ["FULL_PAYLOAD", "RATE", "record_bulk"]

#: Rate of each path in Mbit/s, high enough to be quick, low enough that no frame is missed.
RATE = 150
FULL_PAYLOAD = 65_600
# The application writes in rounds, so that it holds at most about two of them in memory.
ROUND = 40_000_000
# Octets each way for one segment in the capture: a guess to begin with.
OCTETS_PER_SEGMENT = 600
ATTEMPTS = 6
# How many segments more than asked for are still accepted, as a share.
MARGIN = 0.08


def record_bulk(
    target: Path,
    segments: int,
    *,
    full_payload: bool = False,
    progress: Callable[[str], None],
) -> int:
    """Record a connection with at least so many segments.

    How many segments a transfer takes depends on the kernel's mood, so the recording is repeated
    with another amount of data until the number fits.

    Args:
        target: The pcap file to write.
        segments: The least number of segments; at most 8 % more are taken.
        full_payload: Keep whole frames, and let both ends ask for DSS checksums; else frames are
            cut at 120 octets.
        progress: Told what is going on.

    Returns:
        Frames in the capture.

    Raises:
        AdapterError: This machine cannot record, or no attempt gave the number of segments
            without losing frames.
    """
    octets = segments * OCTETS_PER_SEGMENT
    for attempt in range(1, ATTEMPTS + 1):
        scenario = _scenario(target.stem, octets, full_payload)
        with TemporaryDirectory(dir=target.parent) as folder:
            done = record(scenario, Path(folder), keep_pcap=True, attempts=1)
            lost = f", {', '.join(done.missing)}" if done.missing else ""
            progress(f"attempt {attempt}: {octets} octets each way, {done.frames} frames{lost}")
            if not lost and segments <= done.frames <= (1 + MARGIN) * segments:
                done.capture.replace(target)
                return done.frames
        octets = round(octets * (1 + MARGIN / 2) * segments / done.frames)
    raise AdapterError(
        f"no attempt gave a capture of {segments} segments",
        hint="is the machine busy? try again when it is not",
    )


def _scenario(name: str, octets: int, full_payload: bool) -> Scenario:
    rounds = max(1, -(-octets // ROUND))
    steps: list[Step] = []
    for done in range(1, rounds + 1):
        # All but half a round is read before the next one is written: the paths never idle.
        share = 1 - 0.5 / done
        steps += [Send("client", 1 / rounds), Send("server", 1 / rounds)]
        steps += [Drain("client", share), Drain("server", share)]
    host = Host(sysctls=CHECKSUMS if full_payload else ())
    return Scenario(
        name=name,
        why="A bulk transfer for the benchmark.",
        plan=Plan(lanes=2, rate_mbit=RATE, offloads=False),
        client=dataclasses.replace(JOINING, sysctls=host.sysctls),
        server=host,
        vantage=Vantage(snaplen=FULL_PAYLOAD if full_payload else SNAPLEN),
        octets=octets,
        script=(*HELLO, Subflows(2), *steps, Drain("client"), Drain("server"), *DATA_FIN),
    )
