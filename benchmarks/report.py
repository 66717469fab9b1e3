"""Turns figures into verdicts on the budgets, a table, and JSON."""

from __future__ import annotations

import os
import platform
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

from benchmarks.measure import Figures
from benchmarks.subjects import Subject

__all__ = ["Result", "judge", "machine", "render", "slopes", "table", "to_json"]

HEAD = (
    *("capture", "segments", "ours s", "tshark s", "ratio", "CPU ratio"),
    *("ours MB", "tshark MB", "ratio", "anon. MB", "budget", "met"),
)
#: The captures by which growth is judged, in order of size.
GROWTH = ("bulk-100k", "bulk-200k", "bulk-1m", "repeat-10m")


@dataclass(frozen=True, slots=True, kw_only=True)
class Result:
    """The measurement of one capture.

    Attributes:
        subject: What was measured. segments, octets: Of the capture.
        ours, tshark: The figures.
    """

    subject: Subject
    segments: int
    octets: int
    ours: Figures
    tshark: Figures

    @property
    def speed(self) -> float:
        """How many times faster than tshark."""
        return self.tshark.seconds / self.ours.seconds

    @property
    def processor(self) -> float:
        """The ratio of processor times, which a busy machine disturbs less."""
        return self.tshark.processor / self.ours.processor

    @property
    def memory(self) -> float:
        """Our peak memory as a share of tshark's."""
        return self.ours.peak / self.tshark.peak


def judge(result: Result, results: Sequence[Result]) -> list[tuple[str, bool | None]]:
    """Each demand of a result's budget in words, and whether it is met.

    ``None`` is no verdict: the capture to compare with was not measured.
    """
    budget = result.subject.budget
    verdicts: list[tuple[str, bool | None]] = []
    if budget.speed is not None:
        verdicts.append((f">= {budget.speed:g} x", result.speed >= budget.speed))
    if budget.memory is not None:
        verdicts.append((f"<= {budget.memory:g} of memory", result.memory <= budget.memory))
    if budget.octets is not None:
        smaller = [each for each in results if each.subject.name == budget.smaller]
        met = slope(smaller[0], result)[1] <= budget.octets if smaller else None
        verdicts.append((f"<= {budget.octets:g} octets/segment", met))
    return verdicts


def slope(smaller: Result, larger: Result) -> tuple[float, float]:
    """Nanoseconds and octets of anonymous memory that each further segment takes."""
    more = larger.segments - smaller.segments
    return (
        (larger.ours.seconds - smaller.ours.seconds) * 1e9 / more,
        (larger.ours.anonymous - smaller.ours.anonymous) / more,
    )


def slopes(results: Sequence[Result]) -> list[tuple[str, str, float, float]]:
    """Growth from each size to the next: both names, ns and octets for a further segment."""
    found = {each.subject.name: each for each in results}
    sizes = [found[name] for name in GROWTH if name in found]
    return [
        (small.subject.name, large.subject.name, *slope(small, large))
        for small, large in pairwise(sizes)
    ]


def machine(oracle: str, tshark: str) -> dict[str, str | int | float]:
    """Where and with what the figures were made."""
    model = "unknown"
    for line in Path("/proc/cpuinfo").read_text().splitlines():
        if line.startswith("model name"):
            model = line.split(":", 1)[1].strip()
            break
    engine = "from mptcp_oracle.engine import loops; print(loops().kind)"
    return {
        "cores": len(os.sched_getaffinity(0)),
        "model": model,
        "kernel": f"{platform.system()} {platform.release()}",
        "python": platform.python_version(),
        "mptcp-oracle": _first_line([oracle, "--version"]),
        "engine": _first_line([sys.executable, "-c", engine]),
        "tshark": _first_line([tshark, "--version"]),
        "load": os.getloadavg()[0],
    }


def _first_line(command: list[str]) -> str:
    done = subprocess.run(command, capture_output=True, text=True, check=True, timeout=60)
    return (done.stdout.strip().splitlines() or ["unknown"])[0]


def render(results: Sequence[Result], where: dict[str, str | int | float]) -> str:
    """The report as text, its tables in Markdown."""
    rows = [HEAD, *(_row(each, results) for each in results)]
    lines = [
        f"{where['mptcp-oracle']} ({where['engine']} engine, Python {where['python']}) and "
        f"{where['tshark']}",
        f"on {where['cores']} cores of {where['model']}, {where['kernel']}, "
        f"load {where['load']:.1f} at the start",
        "",
        *table(rows),
        "",
        "Shortest time and largest resident set of so many runs of ours and tshark in turn: "
        + ", ".join(
            f"{each.subject.name} {len(each.ours.runs)} and {len(each.tshark.runs)}"
            for each in results
        )
        + ".",
    ]
    growth = slopes(results)
    if growth:
        lines += [
            "",
            *table(
                [("from", "to", "ns/further segment", "octets/further segment")]
                + [(a, b, f"{time:.0f}", f"{octets:.0f}") for a, b, time, octets in growth]
            ),
        ]
    return "\n".join(lines)


def _row(result: Result, results: Sequence[Result]) -> tuple[str, ...]:
    verdicts = judge(result, results)
    words = {True: "yes", False: "NO", None: "not measured"}
    return (
        result.subject.name,
        f"{result.segments:,}",
        f"{result.ours.seconds:.3f}",
        f"{result.tshark.seconds:.2f}",
        f"{result.speed:.1f}",
        f"{result.processor:.1f}",
        f"{result.ours.peak / 1e6:.0f}",
        f"{result.tshark.peak / 1e6:.0f}",
        f"{result.memory:.3f}",
        f"{result.ours.anonymous / 1e6:.0f}",
        ", ".join(demand for demand, _ in verdicts) or "none",
        ", ".join(words[met] for _, met in verdicts) or "-",
    )


def table(rows: Sequence[tuple[str, ...]]) -> list[str]:
    """Lines of a Markdown table whose first row is its head."""
    widths = [max(len(row[i]) for row in rows) for i in range(len(rows[0]))]
    lines = [
        "| " + " | ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)) + " |"
        for row in rows
    ]
    lines.insert(1, "|" + "|".join("-" * (width + 2) for width in widths) + "|")
    return lines


def to_json(results: Sequence[Result], where: dict[str, str | int | float]) -> dict[str, object]:
    """Everything that was measured."""
    return {
        "machine": where,
        "captures": [
            {
                "name": each.subject.name,
                "what": each.subject.what,
                "segments": each.segments,
                "octets": each.octets,
                "speed": each.speed,
                "processor": each.processor,
                "memory": each.memory,
                "ours": _figures(each.ours),
                "tshark": _figures(each.tshark),
                "budget": [{"demand": demand, "met": met} for demand, met in judge(each, results)],
            }
            for each in results
        ],
        "growth": [
            {"from": a, "to": b, "nanoseconds": time, "octets": octets}
            for a, b, time, octets in slopes(results)
        ],
    }


def _figures(figures: Figures) -> dict[str, object]:
    return {
        "seconds": [each.seconds for each in figures.runs],
        "processor": [each.processor for each in figures.runs],
        "peak": [each.peak for each in figures.runs],
        "anonymous": figures.anonymous or None,
    }
