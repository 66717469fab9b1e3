"""The quarry: captures by number, each a function of the seed and its number alone."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from mptcp_oracle.generators.malformed import malform
from mptcp_oracle.generators.sample import Sample
from mptcp_oracle.model.choices import Counted
from mptcp_oracle.model.compose import DEEP, compose
from mptcp_oracle.report.rewriting import commented

__all__ = ["RUN", "Quarry", "together"]

RUN = 24
"""Captures that a dissector gets in one run, since starting it takes longer than reading one."""

#: Connections of a capture at most: so far apart are the addresses of two captures of a run.
APART = len(DEEP.connections)
#: One capture of so many has malformed options.
MALFORMED = 4


@dataclass(frozen=True, slots=True)
class Quarry:
    """The captures of a seed: with and without capture defects, malformed options in some."""

    seed: int

    def sample(self, number: int) -> Sample:
        """A capture, pcap or pcapng.

        Args:
            number: Which, from 0; captures of one run have addresses of their own.
        """
        choices = Counted(self.seed, f"hunt {number}")
        bad = choices.integer(0, MALFORMED - 1) == MALFORMED - 1
        capture = compose(choices, DEEP, first=number % RUN * APART)
        return Sample(malform(capture, choices) if bad else capture)

    def octets(self, number: int) -> bytes:
        """The file of a capture."""
        return self.sample(number).octets


def together(captures: Sequence[bytes]) -> bytes:
    """Captures as one, a pcapng section each; their frames follow one another."""
    return b"".join(b"".join(commented(memoryview(each), {}, "")) for each in captures)
