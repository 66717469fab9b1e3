"""Trials: bulk transfers by every scheduler policy, and what the analyzer makes of them.

A trial's truth is the policy that sent it and the intention of each octet sent; both are known by
construction, neither is on the wire. Sets of parameters are kept apart: one to tune the
analyzer's thresholds with, one to score it, and a small one for tests.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from itertools import product
from types import MappingProxyType

from mptcp_oracle.generators.emit import emit

from mptcp_oracle import analyze
from mptcp_oracle.model.capture import Capture, Frame, Layout
from mptcp_oracle.model.choices import Counted
from mptcp_oracle.model.driver import Limits
from mptcp_oracle.model.policies_schedulers import SCHEDULERS, transfer
from mptcp_oracle.model.settings import Settings
from mptcp_oracle.model.trace import Trace
from mptcp_oracle.model.vantage import Tap, tap

__all__ = ["KINDS", "SETS", "VANTAGES", "Result", "Trial", "score", "trials"]

MS = 1_000_000
EPOCH = 1_700_000_000_000_000_000
#: Where the tap is: the sender is the initiator.
VANTAGES = MappingProxyType({"sender": "initiator", "receiver": "listener", "between": "middle"})
LAYOUT = Layout(link="sll2", directions=True, snap_length=160)
PATIENT = Limits(segments=6000, time=900_000_000_000, events=60_000)

KINDS: Mapping[str, str] = MappingProxyType(
    {
        "lowest_rtt": "negative",
        "round_robin": "negative",
        "backup_aware": "negative",
        "data_timeout": "negative",
        "aggressive_timeout": "negative",
        "after_loss": "negative",
        "opportunistic": "negative",
        "subflow_end": "negative",
        "address_removed": "negative",
        "redundant": "full",
        "redundant_unacked": "unacked",
        "redundant_backup_aware": "backup",
        "redundant_start": "start",
    }
)
"""What each policy is: no redundant scheduler, or which kind of one."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Grid:
    """Parameters of a set of trials: their product is run.

    Attributes:
        seeds: Seeds. losses: Parts of a thousand lost. ratios: Delay of the second path in
            that of the first. delays: Nanoseconds one way of the first path. sizes: Octets of a
            segment. lengths: Segments of data. timeout: Factor on the policies' own time-outs.
        rate: Octets a second of every path.
    """

    seeds: tuple[int, ...]
    losses: tuple[int, ...]
    ratios: tuple[int, ...]
    delays: tuple[int, ...]
    sizes: tuple[int, ...]
    lengths: tuple[int, ...]
    timeout: float
    rate: int


SETS: Mapping[str, Grid] = MappingProxyType(
    {
        "tuning": Grid(
            seeds=(1, 2, 3), losses=(0, 10, 30), ratios=(1, 4, 20), delays=(10 * MS,),
            sizes=(1400,), lengths=(10, 30, 100, 300), timeout=1.0, rate=4_000_000,
        ),
        "scoring": Grid(
            seeds=(101, 102), losses=(0, 5, 20, 50), ratios=(1, 2, 10, 50),
            delays=(3 * MS, 40 * MS), sizes=(1180,), lengths=(10, 30, 100, 300), timeout=0.7,
            rate=2_500_000,
        ),
        "sample": Grid(
            seeds=(211,), losses=(0, 50), ratios=(1, 50), delays=(23 * MS,), sizes=(1300,),
            lengths=(10, 100), timeout=0.9, rate=3_000_000,
        ),
    }
)  # fmt: skip
"""The sets by name: thresholds were chosen on the first, the second is what they are scored on,
and the third is a small one for tests. No two share a seed, a delay, a size or a rate."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Trial:
    """One transfer."""

    policy: str
    seed: int
    loss: int
    ratio: int
    delay: int
    size: int
    length: int
    timeout: float
    rate: int

    def run(self) -> Trace:
        """The transfer itself."""
        policy = SCHEDULERS[self.policy]
        return transfer(
            replace(policy, timeout=round(policy.timeout * self.timeout)),
            Counted(
                self.seed, f"{self.policy} {self.loss} {self.ratio} {self.delay} {self.length}"
            ),
            segments=self.length,
            loss=self.loss,
            delays=[self.delay * factor for factor in (1, self.ratio, 1 + self.ratio // 2)],
            rate=self.rate,
            settings=Settings(seed=self.seed, largest=self.size),
            limits=PATIENT,
        )


def trials(grid: Grid, policies: tuple[str, ...] = tuple(KINDS)) -> Iterator[Trial]:
    """Every trial of a set."""
    for policy, seed, loss, ratio, delay, size, length in product(
        policies, grid.seeds, grid.losses, grid.ratios, grid.delays, grid.sizes, grid.lengths
    ):
        yield Trial(
            policy=policy, seed=seed, loss=loss, ratio=ratio, delay=delay, size=size,
            length=length, timeout=grid.timeout, rate=grid.rate,
        )  # fmt: skip


@dataclass(frozen=True, slots=True, kw_only=True)
class Result:
    """What the analyzer said of one trial at one vantage.

    Attributes:
        redundant: Of the initiator's scheduler: true, false or ``None``.
        both: Whether the tap saw a tenth of the new octets, or more, on two subflows.
        octets: Payload octets of copies by the sender's intention and the class given.
    """

    trial: Trial
    vantage: str
    redundant: bool | None
    both: bool
    why: str
    octets: Counter[tuple[str, str]]


def score(trial: Trial) -> list[Result]:
    """Run a trial, capture it at every vantage, and analyze the captures."""
    trace = trial.run()
    results = []
    for name, vantage in VANTAGES.items():
        where = Tap(vantage=vantage, epoch=EPOCH)
        frames = tap(trace, where, Counted(trial.seed, "tap"))
        results.append(_judged(trial, name, Capture(trace=trace, frames=frames, layout=LAYOUT)))
    return results


def _judged(trial: Trial, vantage: str, capture: Capture) -> Result:
    causes = _causes(capture)
    octets: Counter[tuple[str, str]] = Counter()
    redundant, both, why = None, False, "nothing"
    with analyze(emit(capture)) as found:
        for fact in found.facts():
            if fact["fact"] == "transmission" and fact["class"] in CLASSES:
                octets[causes.get((fact["frame"], fact["sequence"]), "new"), fact["class"]] += fact[
                    "octets"
                ]
            elif fact["fact"] == "observation" and (fact["what"], fact["host"]) == OBSERVED:
                redundant, why = fact["value"], fact["why"]
                both = (fact["share"] or 0) >= 0.1
    return Result(
        trial=trial, vantage=vantage, redundant=redundant, both=both, why=why, octets=octets
    )


CLASSES = ("reinjection", "redundant", "unclassified")
OBSERVED = ("scheduler", "initiator")


def _causes(capture: Capture) -> dict[tuple[int, int], str]:
    """The sender's intention of each range, by frame and sequence number."""
    found = {}
    for number, frame in enumerate(capture.frames, start=1):
        assert isinstance(frame, Frame)
        for piece in frame.segment.ranges:
            found[number, piece.sequence] = piece.cause
    return found
