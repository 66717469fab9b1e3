"""Records a scenario: builds its world, plays it under capture, writes file and sidecar."""

from __future__ import annotations

import dataclasses
import hashlib
import json
import os
import platform
import time
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

from mptcp_oracle.errors import AdapterError
from mptcp_oracle.generators.capture_scan import LINKTYPES, scan_capture
from mptcp_oracle.live.dialogue import Dialogue
from mptcp_oracle.live.namespaces import Namespaces
from mptcp_oracle.live.pcapng import to_pcapng
from mptcp_oracle.live.scenario import Scenario, to_json
from mptcp_oracle.live.sidecar import (
    counter_changes,
    describe_connection,
    describe_host,
    header,
    stream_faults,
)
from mptcp_oracle.live.sniffer import FILTER, CaptureCounts, Sniffer
from mptcp_oracle.live.tools import Commands, require_needs, tool_versions
from mptcp_oracle.live.topology import Topology

__all__ = ["Recording", "record"]

ROLES = ("client", "router", "server")


@dataclass(frozen=True, slots=True, kw_only=True)
class Recording:
    """A finished recording.

    Attributes:
        scenario: What was played, with the amounts that were used.
        capture: The capture file.
        sidecar: The JSON beside it.
        seconds: Wall-clock time of the attempt that was kept.
        attempts: How many attempts it took.
        frames: Number of frames in the capture.
        missing: What the recording lacks: expected counters that did not move (``host:
            counter``), streams that were not read as the scenario wants it, frames that the
            capture program lost; empty if it shows what the scenario claims.
    """

    scenario: Scenario
    capture: Path
    sidecar: Path
    seconds: float
    attempts: int
    frames: int
    missing: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class _Take:
    """One attempt, in memory."""

    pcap: bytes
    counts: CaptureCounts
    body: dict[str, object]
    missing: tuple[str, ...]
    seconds: float


def _silent(text: str) -> None:
    """Progress that nobody wants."""


def record(
    scenario: Scenario,
    folder: Path,
    *,
    octets: int | None = None,
    snaplen: int | None = None,
    rate: int | None = None,
    seed: int = 0,
    attempts: int = 3,
    keep_pcap: bool = False,
    progress: Callable[[str], None] = _silent,
) -> Recording:
    """Record a scenario in fresh namespaces.

    What depends on chance (loss, timing) may fail to happen; then the scenario is played again
    with the next seed, up to ``attempts`` times, and the last attempt is kept with
    :attr:`Recording.missing` set.

    Args:
        scenario: From :mod:`mptcp_oracle.live.scenarios`, or one's own.
        folder: Where ``<name>.pcapng`` (or ``.pcap``) and ``<name>.json`` go; made if needed.
        octets: Octets that a share of 1.0 means; default: the scenario's own.
        snaplen: Octets kept of each frame; default: the scenario's own.
        rate: Mbit/s of each path, each way; default: the scenario's own.
        seed: Decides the octets of the streams.
        attempts: Upper bound of attempts.
        keep_pcap: Write the capture program's pcap file unchanged, not pcapng.
        progress: Called with a few words at each step.

    Raises:
        AdapterError: A need is not met, a command failed, or a step did not come to its end.
            Nothing is written then, and no namespace is left.
    """
    require_needs(filters=bool(scenario.filters))
    if snaplen is not None:
        vantage = dataclasses.replace(scenario.vantage, snaplen=snaplen)
        scenario = dataclasses.replace(scenario, vantage=vantage)
    if rate is not None:
        plan = dataclasses.replace(scenario.plan, rate_mbit=rate)
        scenario = dataclasses.replace(scenario, plan=plan)
    if octets is not None:
        scenario = dataclasses.replace(scenario, octets=octets)
    for attempt in range(1, max(1, attempts) + 1):
        take = _play(scenario, seed + attempt - 1, progress)
        if not take.missing:
            break
        progress(f"missing: {', '.join(take.missing)}")
    return _write(scenario, take, folder, attempt, keep_pcap or scenario.keep_pcap)


def _play(scenario: Scenario, seed: int, progress: Callable[[str], None]) -> _Take:
    """One attempt from empty namespaces to empty namespaces."""
    begin = time.monotonic()
    commands = Commands()
    with TemporaryDirectory(prefix="mptcp-oracle-") as scratch, Namespaces(ROLES, commands) as own:
        progress("network")
        topology = Topology(scenario.plan, own)
        topology.build(scenario.client, scenario.server)
        before = {role: own[role].counters() for role in ROLES}
        for item in scenario.filters:
            if item.active:
                topology.switch_filter(item, True)
        target = Path(scratch, "capture.pcap")
        watched = own[scenario.vantage.host]
        sniffer = Sniffer(watched, scenario.vantage, target, commands)
        captured = ExitStack()
        dialogue = Dialogue(
            scenario, topology, scenario.octets, seed, lambda: captured.enter_context(sniffer)
        )
        try:
            with captured:
                if not scenario.vantage.late:
                    captured.enter_context(sniffer)
                start = time.time_ns()
                dialogue.play(progress)
                counts = sniffer.stop()
                end = time.time_ns()
            changes = {role: counter_changes(before[role], own[role].counters()) for role in ROLES}
            body = {
                **header(start, end),
                "seed": seed,
                "scenario": to_json(scenario),
                "tools": tool_versions(),
                "commands": commands.lines,
                "hosts": {role: describe_host(own[role], changes[role]) for role in ROLES},
                "connections": [
                    describe_connection(talk, dialogue.client_events, dialogue.server_events)
                    for talk in dialogue.conversations
                ],
                "events": {
                    "client": [event.to_json() for event in dialogue.client_events.events],
                    "server": [event.to_json() for event in dialogue.server_events.events],
                },
            }
        finally:
            dialogue.close()
        missing = [
            f"{item.host}: {item.counter}"
            for item in scenario.expects
            if changes[item.host]["MPTcpExt"].get(item.counter, 0) < item.least
        ]
        missing += stream_faults(scenario.streams, dialogue.conversations)
        if counts.dropped:
            missing.append(f"{counts.dropped} frames, dropped by the capture")
        return _Take(
            pcap=target.read_bytes(),
            counts=counts,
            body=body,
            missing=tuple(missing),
            seconds=time.monotonic() - begin,
        )


def _write(
    scenario: Scenario, take: _Take, folder: Path, attempts: int, keep_pcap: bool
) -> Recording:
    """Put capture and sidecar into the folder, each whole or not at all."""
    versions = take.body["tools"]
    assert isinstance(versions, dict)
    octets = take.pcap
    if not keep_pcap:
        octets = to_pcapng(
            take.pcap,
            interface=scenario.vantage.interface,
            packet_filter=FILTER,
            system=f"{platform.system()} {platform.release()}",
            program=str(versions["tcpdump"]),
            comment=f"mptcp-oracle record {scenario.name} ({scenario.vantage.host})",
            received=take.counts.received,
            dropped=take.counts.dropped,
        )
    scan = scan_capture(octets)
    if scan.frames == 0:
        raise AdapterError(f"scenario {scenario.name}: the capture is empty")
    suffix = scan.format
    capture = folder / f"{scenario.name}.{suffix}"
    body = {
        **take.body,
        "attempts": attempts,
        "missing": list(take.missing),
        "capture": {
            "file": capture.name,
            "sha256": hashlib.sha256(octets).hexdigest(),
            "size": len(octets),
            "format": scan.format,
            "frames": scan.frames,
            "linktypes": [LINKTYPES.get(link, str(link)) for link in scan.linktypes],
            "snaplen": scenario.vantage.snaplen,
            "host": scenario.vantage.host,
            "interface": scenario.vantage.interface,
            "program": versions["tcpdump"],
            "filter": FILTER,
            "captured": take.counts.captured,
            "received": take.counts.received,
            "dropped": take.counts.dropped,
        },
    }
    folder.mkdir(parents=True, exist_ok=True)
    sidecar = folder / f"{scenario.name}.json"
    _replace(capture, octets)
    _replace(sidecar, (json.dumps(body, indent=1) + "\n").encode())
    return Recording(
        scenario=scenario,
        capture=capture,
        sidecar=sidecar,
        seconds=take.seconds,
        attempts=attempts,
        frames=scan.frames,
        missing=take.missing,
    )


def _replace(path: Path, octets: bytes) -> None:
    """Write a file under a passing name and move it into place."""
    passing = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        passing.write_bytes(octets)
        passing.replace(path)
    finally:
        passing.unlink(missing_ok=True)
