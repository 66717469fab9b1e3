"""Campaigns: very many sequences in batches, judged, watched, and every finding made small."""

from __future__ import annotations

import io
import os
import re
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from mptcp_oracle.errors import AdapterError
from mptcp_oracle.live.active.command import own_waivers
from mptcp_oracle.live.active.probing import MakeTarget
from mptcp_oracle.live.peer.link import Log
from mptcp_oracle.live.peer.target import Settings, Target
from mptcp_oracle.live.stateful import falling, legal
from mptcp_oracle.live.stateful.sequence import Plan, Played, drawn, play, reductions
from mptcp_oracle.oracle import judge
from mptcp_oracle.rules.waivers import Waivers

__all__ = ["KNOWN", "Campaign", "Finding", "Watch", "run"]

BATCH = 250
STEPS = 14
MOST_TRIES = 300
PATIENCE = 50
TROUBLE = re.compile(r"\b(WARNING|BUG|KASAN|UBSAN|Oops|Call Trace|possible circular locking)\b")
KNOWN = {
    legal.REMOVED_LATE: "Linux: one REMOVE_ADDR of a connection waits for its worker; what comes "
    "before that has run is dropped, and counted as RmAddrDrop",
    falling.STALLED: "Linux: once a subflow brought octets that are none of the stream (data "
    "mapped a second time, or beyond the window), a fallback to TCP acknowledges what follows and "
    "never delivers it: it waits in the connection's out-of-order queue. Its sender, who clears "
    "its buffer by subflow ACKs alone then (RFC 8684 section 3.7), has lost it",
}
"""Findings that are known, with their reason."""
TAINT = Path("/proc/sys/kernel/tainted")


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """Something wrong, made small.

    Attributes:
        kind: What. played: The smallest sequence that shows it. number: How many sequences showed
            it before it was made small.
    """

    kind: str
    played: Played
    number: int

    @property
    def known(self) -> str:
        """Why it is expected, if it is."""
        return KNOWN.get(self.kind, "")


@dataclass(slots=True)
class Campaign:
    """What a campaign found.

    Attributes:
        sequences, events: How many were played, events by name. seconds: How long that took.
        taken: Transitions of the model by state. findings: By kind.
        frames: Packets of all sequences.
    """

    sequences: int = 0
    frames: int = 0
    seconds: float = 0.0
    events: Counter[str] = field(default_factory=Counter)
    taken: Counter[tuple[str, str]] = field(default_factory=Counter)
    findings: list[Finding] = field(default_factory=list)

    def body(self) -> dict[str, Any]:
        """All of it, ready for JSON."""
        return {
            "sequences": self.sequences,
            "seconds": round(self.seconds, 1),
            "packets": self.frames,
            "events": dict(self.events.most_common()),
            "transitions": [[*pair, number] for pair, number in sorted(self.taken.items())],
            "findings": [
                {
                    "kind": each.kind,
                    "sequences": each.number,
                    "known": each.known or None,
                    "steps": [list(step) for step in each.played.plan.steps],
                    "calls": each.played.plan.calls,
                    "checksum": each.played.plan.checksum,
                    "packets": each.played.log.lines,
                }
                for each in self.findings
            ],
        }

    @property
    def rate(self) -> float:
        """Sequences a second."""
        return self.sequences / self.seconds if self.seconds else 0.0


def run(
    make: MakeTarget,
    *,
    count: int,
    seed: int = 0,
    family: int = 4,
    limit: float = float("inf"),
    told: Callable[[Campaign], None] = lambda _campaign: None,
) -> Campaign:
    """Play sequences until there were so many.

    Args:
        make: Makes the implementation, anew for each batch.
        count: How many sequences.
        seed: Decides all of them.
        family: 4 or 6.
        limit: Seconds after which no further batch begins.
        told: Called after each batch.
    """
    campaign = Campaign()
    watch = Watch()
    kinds: dict[str, list[Played]] = {}
    batch = 0
    while campaign.sequences < count and campaign.seconds < limit:
        began = time.monotonic()
        wanted = min(BATCH, count - campaign.sequences)
        settings = Settings(family=family)
        with make(settings) as target:
            target.listen()
            baseline = target.sockets() if hasattr(target, "sockets") else None
            played = [
                play(plan, target, f"{seed}/{batch}/{number}")
                for number, plan in enumerate(plans(wanted, seed * 1_000_003 + batch))
            ]
            leaked = _leak(target, baseline)
        for each in played:
            campaign.events += each.events
            campaign.taken += each.taken
            campaign.frames += len(each.log.frames)
            if each.finding is not None:
                kinds.setdefault(each.finding, []).append(each)
        for kind, each in _judged(played, target):
            kinds.setdefault(kind, []).append(each)
        trouble = watch.trouble() or leaked
        if trouble:
            kinds.setdefault(trouble, []).append(played[-1])
        campaign.sequences += len(played)
        campaign.seconds += time.monotonic() - began
        batch += 1
        told(campaign)
    watch.close()
    for kind, found in kinds.items():
        campaign.findings.append(_small(kind, found, make, Settings(family=family)))
    return campaign


def plans(count: int, seed: int) -> list[Plan]:
    """Random sequences, drawn by Hypothesis.

    Args:
        count: How many.
        seed: Decides which.

    Raises:
        AdapterError: Hypothesis is not installed.
    """
    try:
        from hypothesis import HealthCheck, Phase, given, settings
        from hypothesis import seed as seeded
        from hypothesis import strategies as st
    except ModuleNotFoundError as error:
        raise AdapterError(
            "random sequences need Hypothesis",
            cause=str(error),
            hint="pip install 'mptcp-oracle[generate]'",
        ) from error

    made: list[Plan] = []

    @seeded(seed)
    @settings(
        max_examples=count,
        phases=[Phase.generate],
        database=None,
        deadline=None,
        suppress_health_check=list(HealthCheck),
    )
    @given(octets=st.binary(min_size=5, max_size=1 + 2 * STEPS))
    def draw(octets: bytes) -> None:
        made.append(drawn(octets))

    draw()
    return made


def _judged(played: list[Played], target: Target) -> Iterator[tuple[str, Played]]:
    """The failures of the implementation by the rules for captures, and whose they are."""
    whole, owner = Log(), []
    for each in played:
        whole.frames += each.log.frames
        owner += [each] * len(each.log.frames)
    for why, frame in failures(whole, target, own_waivers(target)):
        yield why, owner[frame - 1]


def failures(log: Log, target: Target, waivers: Waivers) -> Iterator[tuple[str, int]]:
    """What the rules for captures hold against the implementation, and a frame of each."""
    address = str(target.address)
    with judge(
        io.BytesIO(log.pcap()), local=[address], whole=True, waivers=waivers, host=address
    ) as judgement:
        for verdict in judgement.verdicts(passes=False):
            if verdict.count in ("fail", "warn") and verdict.waived is None and verdict.frames:
                yield f"{verdict.requirement}", verdict.frames[-1]


def _small(kind: str, found: list[Played], make: MakeTarget, settings: Settings) -> Finding:
    """The smallest sequence that still shows a finding."""
    best = min(found, key=lambda each: len(each.plan.steps))
    again = _shows(kind, best.plan, make, settings)
    if again is None:  # what depends on more than the sequence, such as the kernel's log
        return Finding(kind=kind, played=best, number=len(found))
    best, tries, smaller = again, 0, True
    while smaller and tries < MOST_TRIES:
        smaller = False
        for plan in reductions(best.plan):
            tries += 1
            each = _shows(kind, plan, make, settings)
            if each is not None:
                best, smaller = each, True
                break
            if tries >= MOST_TRIES:
                break
    return Finding(kind=kind, played=best, number=len(found))


def _shows(kind: str, plan: Plan, make: MakeTarget, settings: Settings) -> Played | None:
    """The sequence as played anew, if it shows a finding."""
    with make(settings) as target:
        target.listen()
        each = play(plan, target, "small", telling=True)
        if each.finding == kind:
            return each
        judged = failures(each.log, target, own_waivers(target))
        return each if any(why == kind for why, _ in judged) else None


def _leak(target: Target, baseline: Mapping[str, int] | None) -> str:
    """Which sockets are left over, in words."""
    if baseline is None or not hasattr(target, "sockets"):
        return ""
    for _ in range(PATIENCE):
        more = {
            name: number - baseline.get(name, 0)
            for name, number in target.sockets().items()
            if number > baseline.get(name, 0)
        }
        if not more:
            return ""
        time.sleep(0.1)
    return "sockets are left over: " + ", ".join(sorted(more))


def open_log() -> int | None:
    """The kernel's log from now on; ``None`` if it cannot be read."""
    try:
        made = os.open("/dev/kmsg", os.O_RDONLY | os.O_NONBLOCK)
        os.lseek(made, 0, os.SEEK_END)
    except OSError:
        return None
    return made


class Watch:
    """The kernel's log and taint, watched."""

    def __init__(self) -> None:
        self._taint = self._tainted()
        self._log = open_log()

    def close(self) -> None:
        """Let go of the log."""
        if self._log is not None:
            os.close(self._log)
            self._log = None

    def _tainted(self) -> str:
        return TAINT.read_text().strip() if TAINT.exists() else ""

    def trouble(self) -> str:
        """What the kernel complained of since the last time; nothing if it did not."""
        taint, self._taint = self._taint, self._tainted()
        if taint != self._taint:
            return f"the kernel's taint changed from {taint} to {self._taint}"
        while self._log is not None:
            try:
                line = os.read(self._log, 1 << 13).decode("utf-8", "replace")
            except BlockingIOError:
                break
            except OSError:
                continue  # lines were overwritten before they were read
            if TROUBLE.search(line):
                return f"the kernel says: {line.partition(';')[2].splitlines()[0]}"
        return ""
