"""Dissectors that are right but for one change, in this process: quick to ask."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from mptcp_oracle import facts
from mptcp_oracle.analysis.trace import analyze
from mptcp_oracle.dissectors.dissector import CrashError, Field, Words
from mptcp_oracle.dissectors.facts_fields import FIELDS, stated
from mptcp_oracle.errors import AdapterError

__all__ = ["Fake", "breaking", "higher"]

Change = Callable[[facts.Fact], facts.Fact]


@dataclass(frozen=True, kw_only=True)
class Fake:
    """Says what the oracle says, every fact changed by a function."""

    change: Change
    name: str = "fake"
    fields: tuple[Field, ...] = FIELDS
    silent: bool = False

    def version(self) -> str:
        """Always the same."""
        return "1.0"

    def claims(self) -> frozenset[str]:
        """All fields."""
        return frozenset(each.name for each in self.fields)

    def reproduce(self, capture: str, field: str) -> str:
        """A command that does not exist."""
        return f"fake {capture} {field}"

    def frames(self, capture: Path) -> Iterator[tuple[int, Words]]:
        """What it says of each frame."""
        with analyze(capture) as trace:
            told = [self.change(fact) for fact in trace.facts()]
        yield from stated(told).items()


def higher(least: int) -> Change:
    """A mistake: DATA_ACKs from a relative number on are one too high."""

    def change(fact: facts.Fact) -> facts.Fact:
        if fact.get("data_ack") is None or fact["data_ack"] < least:
            return fact
        return {**fact, "data_ack": fact["data_ack"] + 1}

    return change


def breaking(option: str, *, late: bool = False, status: int = -11) -> Change:
    """A breakdown on an option: a crash, or that it does not end."""

    def change(fact: facts.Fact) -> facts.Fact:
        if any(each["option"] == option for each in fact.get("options", ())):
            if late:
                raise AdapterError("fake took too long", cause="1 s", late=True)
            raise CrashError("fake crashed", cause="SIGSEGV", status=status, said="at 0x1\nmore")
        return fact

    return change
