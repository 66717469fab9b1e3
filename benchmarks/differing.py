"""What a comparison costs: ``diff`` beside the dissector alone, in turn on the same captures."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from benchmarks.cache import Made
from benchmarks.measure import Figures, compare
from benchmarks.report import table
from mptcp_oracle.dissectors.tshark import TShark

__all__ = ["BUDGET", "TOO_LONG", "Cost", "costs", "show"]

BUDGET = 3.0
"""``diff`` may take so many times as long as the dissector alone."""

#: Captures that take a quarter of an hour and show no more than the others.
TOO_LONG = ("repeat-10m",)
#: Exit statuses of ``diff``: nothing new, something new.
COMPARED = (0, 1)


@dataclass(frozen=True, slots=True, kw_only=True)
class Cost:
    """The figures of both programs on one capture.

    Attributes:
        name: The capture. segments: How many it has. alone: tshark with the arguments that
            ``diff`` gives it. compared: ``diff --with tshark``.
    """

    name: str
    segments: int
    alone: Figures
    compared: Figures

    @property
    def ratio(self) -> float:
        """Time of ``diff`` by that of the dissector alone."""
        return self.compared.seconds / self.alone.seconds


def costs(
    program: str,
    dissector: str,
    captures: Sequence[tuple[str, Made]],
    rounds: int,
    progress: Callable[[str], None],
) -> list[Cost]:
    """Run both programs in turn on each capture.

    Raises:
        AdapterError: A program failed.
    """
    tshark, found = TShark(path=dissector), []
    for name, made in captures:
        progress(f"{name}: {made.segments} segments")
        compared, alone = compare(
            [program, "diff", "--with", f"tshark={dissector}", str(made.path)],
            tshark.command(made.path),
            rounds=(rounds, rounds),
            progress=progress,
            fine=COMPARED,
        )
        found.append(Cost(name=name, segments=made.segments, alone=alone, compared=compared))
    return found


def show(found: Sequence[Cost]) -> str:
    """The table."""
    head = ("capture", "segments", "tshark s", "diff s", "ratio", "diff CPU s",
            "tshark MB", "diff MB", f"<= {BUDGET:g} x")  # fmt: skip
    rows = [
        (
            each.name,
            f"{each.segments:,}",
            f"{each.alone.seconds:.2f}",
            f"{each.compared.seconds:.2f}",
            f"{each.ratio:.2f}",
            f"{each.compared.processor:.2f}",
            f"{each.alone.peak / 1e6:.0f}",
            f"{each.compared.peak / 1e6:.0f}",
            "yes" if each.ratio <= BUDGET else "NO",
        )
        for each in found
    ]
    return "\n".join(table([head, *rows]))
