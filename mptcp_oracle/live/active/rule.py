"""What an active rule is: a stimulus, the reactions that the RFC allows, and the script."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

from mptcp_oracle.live.active.stage import Stage
from mptcp_oracle.live.peer.segment import Segment
from mptcp_oracle.live.peer.target import Settings
from mptcp_oracle.spec import Requirement, by_id
from mptcp_oracle.verdict import Outcome

__all__ = ["NO_ANSWER", "ActiveRule", "Reaction", "seen"]

NO_ANSWER = "no answer in time"
"""The reaction of an implementation that keeps silent where it has to say something."""


@dataclass(frozen=True, slots=True)
class Reaction:
    """How an implementation reacted.

    Attributes:
        words: One of the sentences of its rule.
        segments: What shows it; nothing where something is missing.
    """

    words: str
    segments: tuple[Segment, ...] = ()


def seen(words: str, *segments: Segment | None) -> Reaction:
    """A reaction and the segments that show it, those that did not come left out."""
    return Reaction(words, tuple(each for each in segments if each is not None))


@dataclass(frozen=True, slots=True, kw_only=True)
class ActiveRule:
    """One active rule.

    Attributes:
        number: The requirement's number in the inventory.
        variant: What tells it from other rules of the requirement; empty for the first.
        stimulus: What the raw peer does.
        allowed: The reactions that the RFC allows. wrong: Those that break the requirement.
        aside: Reactions after which nothing can be said, because what the requirement is about
            did not come up.
        script: Plays it and tells which reaction came.
        fault: The fault of our own stack (:mod:`mptcp_oracle.live.stack`) that makes it fail.
        settings: How the implementation is to be set up.
        note: What is to be known for reading the table.
    """

    number: str
    stimulus: str
    allowed: tuple[str, ...]
    wrong: tuple[str, ...]
    script: Callable[[Stage], Reaction] = field(repr=False)
    fault: str
    variant: str = ""
    aside: tuple[str, ...] = ()
    settings: Settings = field(default_factory=Settings)
    note: str = ""

    @property
    def requirement(self) -> Requirement:
        """The requirement that it is about."""
        return by_id(self.number)

    @property
    def name(self) -> str:
        """Its name, which no other rule has: the requirement's id, and the variant."""
        return self.requirement.id + (f"/{self.variant}" if self.variant else "")

    def outcome(self, reaction: Reaction) -> Outcome:
        """What a reaction says of the requirement.

        Raises:
            ValueError: The reaction is none of the rule's.
        """
        if reaction.words in self.allowed:
            return Outcome.PASS
        if reaction.words in self.wrong:
            return Outcome.FAIL
        if reaction.words in self.aside:
            return Outcome.NOT_EXERCISED
        raise ValueError(f"{self.name} knows no reaction {reaction.words!r}")
