"""What probing found, as text, as JSON, and as a capture a rule."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

from mptcp_oracle.live.active.probing import Probe
from mptcp_oracle.live.pcapng import to_pcapng
from mptcp_oracle.live.peer.target import Target
from mptcp_oracle.verdict import COUNTS, Outcome, counted
from mptcp_oracle.version import __version__

__all__ = ["body", "capture_name", "line", "status", "summary", "write_capture"]

SCHEMA = 1
FAILED, UNDECIDED = 1, 4


def capture_name(probe: Probe) -> str:
    """The name of a probe's capture file."""
    variant = f"-{probe.rule.variant}" if probe.rule.variant else ""
    return f"{probe.rule.number}{variant}.pcapng"


def write_capture(probe: Probe, folder: Path, target: Target) -> Path:
    """Write a probe's packets; a comment says what they show.

    Raises:
        OSError: It cannot be written.
    """
    path = folder / capture_name(probe)
    path.write_bytes(
        to_pcapng(
            probe.log.pcap(probe.started),
            interface="probe0",
            packet_filter="",
            system=f"{target.name} {target.version}",
            program=f"mptcp-oracle {__version__}",
            comment=f"{probe.rule.name}: {probe.verdict.why}",
            received=None,
            dropped=None,
        )
    )
    return path


def line(probe: Probe) -> str:
    """One line for people."""
    verdict = probe.verdict
    word = "expected" if verdict.waived else verdict.count.replace("_", " ")
    return f"{word:13} {probe.rule.name}: {probe.reaction}"


def body(probes: Sequence[Probe], target: Target) -> dict[str, Any]:
    """All of it, ready for JSON."""
    return {
        "schema": SCHEMA,
        "target": {"name": target.name, "version": target.version},
        "counts": counted(each.verdict for each in probes),
        "probes": [_row(each) for each in probes],
    }


def _row(probe: Probe) -> dict[str, Any]:
    rule, verdict = probe.rule, probe.verdict
    return {
        "requirement": verdict.requirement,
        "number": rule.number,
        "variant": rule.variant or None,
        "stimulus": rule.stimulus,
        "allowed": list(rule.allowed),
        "reaction": probe.reaction,
        "outcome": str(verdict.outcome),
        "severity": verdict.severity,
        "host": verdict.host,
        "frames": list(verdict.frames),
        "waived": verdict.waived,
        "seconds": round(probe.seconds, 3),
        "packets": probe.log.lines,
    }


def status(probes: Iterable[Probe], *, should: bool) -> int:
    """The exit status: 1 for violations that are not waived, 4 if nothing was decided."""
    verdicts = [each.verdict for each in probes]
    counts = counted(verdicts)
    if counts["fail"] or (should and counts["warn"]):
        return FAILED
    decided = any(each.outcome in (Outcome.PASS, Outcome.FAIL) for each in verdicts)
    return 0 if decided else UNDECIDED


def summary(probes: Sequence[Probe]) -> str:
    """How many of each there were."""
    counts = counted(each.verdict for each in probes)
    waived = sum(each.verdict.waived is not None for each in probes)
    words = [f"{counts[name]} {name.replace('_', ' ')}" for name in COUNTS if counts[name]]
    return ", ".join([*words, *([f"{waived} expected"] if waived else [])]) or "nothing was probed"
