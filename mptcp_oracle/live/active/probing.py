"""Probing: playing active rules against an implementation, and what comes of it."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass

from mptcp_oracle.live.active.rule import ActiveRule
from mptcp_oracle.live.active.stage import Stage
from mptcp_oracle.live.peer.link import Log
from mptcp_oracle.live.peer.peer import Peer, StalledError
from mptcp_oracle.live.peer.target import Settings, Target
from mptcp_oracle.rules.waivers import Waivers
from mptcp_oracle.verdict import Outcome, Verdict

__all__ = ["MakeTarget", "Probe", "probe", "rules"]

MakeTarget = Callable[[Settings], Target]
"""Makes an implementation that is set up in some way; it is entered for each rule."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Probe:
    """What playing one rule gave.

    Attributes:
        rule: The rule. verdict: What is said of the requirement; its frames are those of the log.
        reaction: The reaction in the rule's words; what went wrong, if there was none.
        log: Every packet. seconds: How long it took. started: When, in seconds since 1970.
    """

    rule: ActiveRule
    verdict: Verdict
    reaction: str
    log: Log
    seconds: float
    started: float


def rules(prefix: str = "") -> tuple[ActiveRule, ...]:
    """The active rules, in the order of the RFC; those whose requirement begins with a prefix."""
    from mptcp_oracle.live.active.table import RULES

    return tuple(
        each for each in RULES if each.number.startswith(prefix) or each.name.startswith(prefix)
    )


def probe(rule: ActiveRule, make: MakeTarget, waivers: Waivers | None = None) -> Probe:
    """Play one rule.

    Args:
        rule: The rule.
        make: Makes the implementation.
        waivers: Known failures of it.

    Raises:
        AdapterError: The implementation cannot be set up. What it does, or fails to do, once it
            is there is a verdict.
    """
    started, began = time.monotonic(), time.time()
    log, words = Log(), ""
    frames: tuple[int, ...] = ()
    role, outcome = "listener", Outcome.INCONCLUSIVE
    target = make(rule.settings)
    if target.lacks:
        words, outcome = f"not to be set up so: {target.lacks}", Outcome.NOT_EXERCISED
    else:
        with target:
            peer = Peer(target.link, rule.settings.family, seed=rule.name)
            log, stage = peer.log, Stage(peer, target)
            try:
                reaction = rule.script(stage)
                words, outcome = reaction.words, rule.outcome(reaction)
                shown = {each.frame for each in reaction.segments if each.frame}
                frames = tuple(sorted(shown | set(stage.evidence)))
            except StalledError as error:
                words = str(error)
                frames = (len(log.frames),) if log.frames else ()
            finally:
                role = stage.role
                peer.leave()
    verdict = Verdict(
        requirement=rule.requirement.id,
        outcome=outcome,
        severity=rule.requirement.severity,
        host=role,
        connection=0,
        frames=frames if outcome is not Outcome.PASS else (),
        why=f"{rule.stimulus}: {words}",
        seen=int(outcome is Outcome.PASS),
    )
    if waivers is not None:
        verdict = waivers.applied(verdict, (str(target.address),))
    return Probe(
        rule=rule,
        verdict=verdict,
        reaction=words,
        log=log,
        seconds=time.monotonic() - started,
        started=began,
    )
