"""Volume: the equation over very many captures, batch by batch, and what they were like.

A batch is one run of Hypothesis under a seed of its own: Hypothesis remembers every choice of a
run, so a single one over 100,000 captures would take gigabytes and ever more time.
"""

from __future__ import annotations

import os
import resource
import time
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor, as_completed
from dataclasses import dataclass, field, fields
from multiprocessing import get_context

import hypothesis
from hypothesis import HealthCheck, Phase, given, settings
from mptcp_oracle.generators import Sample

from mptcp_oracle.model.choices import Counted
from mptcp_oracle.model.compose import compose
from mptcp_oracle.model.tables import TRANSITIONS
from tests.common.watched import watched
from tests.proof.equal import check, plan_of, samples

__all__ = ["BATCH", "Tally", "batch", "sizing", "volume"]

BATCH = 1_000
"""Captures of one run of Hypothesis, which begins with fifty that are as simple as can be."""


@dataclass(slots=True)
class Tally:
    """Sums over captures.

    Attributes:
        captures: How many.
        segments, frames: Captures by how many segments were sent, and how many frames they have.
        damaged: Those with a defect. wide: Those with a connection of three subflows or more.
        kinds: Captures by kinds of things, ``link sll`` and the like.
        transitions: Captures by transitions of the model that were taken in them.
        seeds: Seeds of the batches by process. failures: Seed to what was wrong.
        seconds: Of processor time. peak: Octets of memory of the largest process.
    """

    captures: int = 0
    segments: Counter[int] = field(default_factory=Counter)
    frames: Counter[int] = field(default_factory=Counter)
    damaged: int = 0
    wide: int = 0
    kinds: Counter[str] = field(default_factory=Counter)
    transitions: Counter[str] = field(default_factory=Counter)
    seeds: dict[int, list[int]] = field(default_factory=dict)
    failures: dict[int, str] = field(default_factory=dict)
    seconds: float = 0.0
    peak: int = 0

    def add(self, sample: Sample) -> None:
        """Count one capture."""
        capture, trace = sample.capture, sample.trace
        self.captures += 1
        self.segments[len(trace.segments)] += 1
        self.frames[len(capture.frames)] += 1
        self.damaged += bool(capture.defects)
        of = Counter(flow.connection for flow in trace.subflows)
        self.wide += max(of.values(), default=0) >= 3
        self.transitions.update(set(trace.transitions))
        self.kinds.update(set(_kinds(sample)))

    def merge(self, other: Tally) -> None:
        """Count another tally's captures too."""
        for each in fields(self):
            mine, theirs = getattr(self, each.name), getattr(other, each.name)
            if each.name == "peak":
                self.peak = max(mine, theirs)
            elif each.name == "seeds":
                for process, seeds in theirs.items():
                    self.seeds.setdefault(process, []).extend(seeds)
            elif isinstance(mine, int | float):
                setattr(self, each.name, mine + theirs)
            else:
                mine.update(theirs)

    def lines(self) -> Iterator[str]:
        """The tally as text."""
        whole = max(self.captures, 1)
        for turn, (_, seeds) in enumerate(sorted(self.seeds.items()), start=1):
            shown = ", ".join(f"{low}-{high}" for low, high in _runs(sorted(seeds)))
            yield f"process {turn}: {len(seeds)} batches, seeds {shown}"
        yield (
            f"{self.captures} captures; median {_median(self.segments)} segments sent, "
            f"{_median(self.frames)} frames captured"
        )
        yield f"with a capture defect: {self.damaged / whole:.1%}"
        yield f"with a connection of three subflows or more: {self.wide / whole:.1%}"
        groups: dict[str, list[str]] = {}
        for kind, count in sorted(self.kinds.items(), key=lambda item: (-item[1], item[0])):
            name, _, value = kind.partition(" ")
            groups.setdefault(name, []).append(f"{value} {count / whole:.1%}")
        for name, values in sorted(groups.items()):
            yield f"{name}: {', '.join(values)}"
        taken = [name for name in TRANSITIONS if self.transitions[name]]
        yield f"transitions taken: {len(taken)} of {len(TRANSITIONS)}"
        rare = sorted(taken, key=lambda name: self.transitions[name])[:8]
        yield f"rarest: {', '.join(f'{name} in {self.transitions[name]}' for name in rare)}"
        for name in TRANSITIONS:
            if not self.transitions[name]:
                each = TRANSITIONS[name]
                states = " or ".join(each.states) or "any state"
                yield f"not taken: {name}, in {states}: {each.event}"
        yield f"processor time of a capture: {1000 * self.seconds / whole:.1f} ms"
        yield f"peak memory of a process: {self.peak / 1e6:.0f} MB"
        yield f"failures: {len(self.failures)}"


def _kinds(sample: Sample) -> Iterator[str]:
    """What a capture is like, in words that begin with what they are about."""
    capture, trace = sample.capture, sample.trace
    layout = capture.layout
    yield f"connections {len(trace.connections)}"
    yield f"vantage {capture.vantage}"
    yield f"link {layout.link}"
    yield f"file {layout.file}"
    yield f"tunnel {layout.tunnel or 'none'}"
    yield f"vlans {len(layout.vlans)}"
    yield f"snap-length {'whole' if layout.snap_length > 65_535 else layout.snap_length}"
    yield f"defects {len(capture.defects)}"
    for defect in capture.defects:
        yield f"defect {defect}"
    for connection in trace.connections:
        yield f"version {connection.version}"
        yield f"end {connection.fallback or connection.closed or 'open'}"
        if any(host.checksum for host in connection.hosts):
            yield "checksums in-use"
    for flow in trace.subflows:
        yield f"family IPv{flow.ends[0].address.version}"
        yield f"subflow {flow.outcome if flow.initial else 'join-' + flow.outcome}"
        if flow.opener:
            yield "subflow opened-by-listener"


def _median(counts: Counter[int]) -> int:
    """The middle value, of an even number of them the lower one."""
    left = (sum(counts.values()) + 1) // 2
    for value in sorted(counts):
        left -= counts[value]
        if left <= 0:
            return value
    return 0


def _runs(numbers: list[int]) -> Iterator[tuple[int, int]]:
    """First and last of each run of consecutive numbers."""
    begin = 0
    for at, number in enumerate(numbers):
        if at + 1 == len(numbers) or numbers[at + 1] != number + 1:
            yield numbers[begin], number
            begin = at + 1


def sizing(count: int, jobs: int) -> tuple[int, int]:
    """How many batches, all of one size, make at least so many captures; and that size.

    Every process gets the same number of batches.
    """
    batches = max(1, -(-count // BATCH))
    batches = min(-(-batches // jobs) * jobs, count)
    return batches, -(-count // batches)


def batch(
    seed: int, count: int, profile: str, choices: str = "drawn", *, shrink: bool = True
) -> Tally:
    """So many captures under one seed; the first failure ends it.

    Args:
        seed: Of the batch.
        count: How many captures; another number gives other captures.
        profile: ``quick`` or ``deep``: what they are like.
        choices: ``drawn`` by Hypothesis, or ``counted``: by a hash, which is quicker.
        shrink: Whether to make a failing capture small, which runs the batch again.
    """
    tally, began = Tally(seeds={os.getpid(): [seed]}), time.process_time()
    shrink = shrink and choices == "drawn"
    try:
        if choices == "counted":
            _count(seed, count, profile, tally)
        else:
            _run(seed, count, profile, tally, [Phase.generate])
    except Exception as error:
        found: Exception = error
        if shrink:
            try:
                _run(seed, count, profile, Tally(), [Phase.generate, Phase.shrink])
            except Exception as smaller:
                found = smaller
        notes = getattr(found, "__notes__", [])
        tally.failures[seed] = "\n".join([f"{type(found).__name__}: {found}", *notes])
    tally.seconds = time.process_time() - began
    tally.peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
    return tally


def _count(seed: int, count: int, profile: str, tally: Tally) -> None:
    for number in range(count):
        with watched():
            sample = Sample(compose(Counted(seed, f"proof {number}"), plan_of(profile)))
        tally.add(sample)
        check(sample, f"seed-{seed}")


def _run(seed: int, count: int, profile: str, tally: Tally, phases: list[Phase]) -> None:
    @hypothesis.seed(seed)
    @settings(
        max_examples=count, database=None, deadline=None, derandomize=False, phases=phases,
        suppress_health_check=list(HealthCheck), report_multiple_bugs=False, print_blob=False,
    )  # fmt: skip
    @given(sample=samples(plan_of(profile)))
    def holds(sample: Sample) -> None:
        tally.add(sample)
        check(sample, f"seed-{seed}")

    holds()


def volume(
    seed: int,
    count: int,
    jobs: int,
    profile: str,
    choices: str = "drawn",
    *,
    every: float = 20.0,
) -> Iterator[Tally]:
    """Run batches in several processes.

    Args:
        seed: Where the batches' seeds begin; run ``n`` of it begins at ``n * 1_000_000``.
        count: Captures in all, at least.
        jobs: Processes.
        profile: ``quick`` or ``deep``.
        choices: ``drawn`` or ``counted``, see :func:`batch`.
        every: Seconds between two tallies.

    Yields:
        The tally so far, now and then, and last the whole one.
    """
    batches, size = sizing(count, jobs)
    total, said = Tally(), time.monotonic()
    with ProcessPoolExecutor(max_workers=jobs, mp_context=get_context("spawn")) as pool:
        waiting = [
            pool.submit(batch, 1_000_000 * seed + turn, size, profile, choices, shrink=False)
            for turn in range(batches)
        ]
        for done in as_completed(waiting):
            total.merge(done.result())
            if time.monotonic() - said >= every:
                said = time.monotonic()
                yield total
    yield total
