"""Summaries of what was generated: counts by kind, and what of the model was not met."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from textwrap import wrap

from mptcp_oracle.generators.generating import Case

from mptcp_oracle.facts import OPTIONS
from mptcp_oracle.model.capture import Capture, Frame
from mptcp_oracle.model.faults import FAULTS
from mptcp_oracle.model.tables import TRANSITIONS
from mptcp_oracle.model.trace import CAUSES

__all__ = ["Tally", "of_capture", "of_case", "show", "to_json"]

STATES = tuple(
    dict.fromkeys(
        each.state for each in TRANSITIONS.values() if each.state and " " not in each.state
    )
)
"""States that one transition or another leads to for sure."""

KNOWN: dict[str, tuple[str, ...]] = {
    "options": tuple(dict.fromkeys(OPTIONS.values())),
    "data is": CAUSES,
    "states": STATES,
    "transitions": tuple(TRANSITIONS),
    "faults": tuple(FAULTS),
}
"""Of what is counted, all that there is; what is missing from it is worth a line."""


@dataclass(slots=True)
class Tally:
    """What was made.

    Attributes:
        cases, connections, subflows, frames, octets: How many; octets are those of the files.
        counts: How often each value of each subject was met.
    """

    cases: int = 0
    connections: int = 0
    subflows: int = 0
    frames: int = 0
    octets: int = 0
    counts: dict[str, Counter[str]] = field(default_factory=dict)

    def count(self, subject: str, values: Iterable[str]) -> None:
        """Count values of a subject."""
        self.counts.setdefault(subject, Counter()).update(values)

    def add(self, other: Tally) -> None:
        """Count also what another tally has."""
        self.cases += other.cases
        self.connections += other.connections
        self.subflows += other.subflows
        self.frames += other.frames
        self.octets += other.octets
        for subject, values in other.counts.items():
            self.count(subject, ())
            self.counts[subject].update(values)

    def missing(self, subject: str) -> list[str]:
        """What there is of a subject and was not met."""
        found: Mapping[str, int] = self.counts.get(subject, {})
        return [each for each in KNOWN.get(subject, ()) if each not in found]


def of_case(case: Case, octets: int) -> Tally:
    """A case alone."""
    tally = of_capture(case.capture, octets)
    tally.cases = 1
    tally.counts["scenarios"] = Counter([case.scenario.name])
    return tally


def of_capture(capture: Capture, octets: int) -> Tally:
    """A capture and the trace behind it, without its scenarios."""
    trace, layout = capture.trace, capture.layout
    tally = Tally(
        connections=len(trace.connections),
        subflows=len(trace.subflows),
        frames=len(capture.frames),
        octets=octets,
    )
    taken = set(trace.transitions)
    tally.count("scenarios", ())
    tally.count("versions", (str(each.version) for each in trace.connections))
    tally.count("connections end", map(_end, (each.closed for each in trace.connections)))
    tally.count("fallbacks", (each.fallback for each in trace.connections if each.fallback))
    tally.count("subflows are", (each.outcome for each in trace.subflows))
    tally.count("vantages", [capture.vantage])
    tally.count("files", [f"{layout.file} {layout.link}"])
    tally.count("defects", capture.defects or ["none"])
    tally.count("options", _options(capture))
    tally.count("data is", _causes(capture))
    tally.count("faults", (each.name for each in trace.planted))
    tally.count(
        "states",
        (state for state in STATES if any(TRANSITIONS[each].state == state for each in taken)),
    )
    tally.count("transitions", trace.transitions)
    return tally


def _end(closed: str | None) -> str:
    return closed or "open"


def _options(capture: Capture) -> Iterator[str]:
    for frame in capture.frames:
        if isinstance(frame, Frame):
            for option in frame.segment.options:
                yield OPTIONS[type(option)]


def _causes(capture: Capture) -> Iterator[str]:
    for segment in capture.trace.segments:
        for each in segment.ranges:
            yield each.cause


def show(tally: Tally, width: int = 100) -> str:
    """A tally as text: a line for each subject, and one for what is missing."""
    lines = [
        f"{tally.cases:,} cases: {tally.connections:,} connections, {tally.subflows:,} subflows, "
        f"{tally.frames:,} frames, {tally.octets:,} octets"
    ]
    for subject, values in tally.counts.items():
        if not values:
            continue
        missing = tally.missing(subject)
        if len(values) <= MOST_SHOWN:
            words = [f"{name} {count:,}" for name, count in values.most_common()]
        else:
            words = [f"{len(values)} of {len(values) + len(missing)}"] if missing else [
                f"{len(values)}"]  # fmt: skip
        lines += _rows(subject, words, width)
        if missing and len(missing) <= MOST_MISSING:
            lines += _rows("  not met", [_named(each) for each in missing], width)
    return "\n".join(lines)


MOST_SHOWN, MOST_MISSING = 24, 40
MARGIN = 17


def _named(name: str) -> str:
    """A transition's id with its event; other names as they are."""
    known = TRANSITIONS.get(name)
    return f"{name} ({known.event})" if known else name


def _rows(title: str, words: list[str], width: int) -> Iterator[str]:
    for at, line in enumerate(wrap(", ".join(words), max(20, width - MARGIN))):
        yield f"{title if at == 0 else '':<{MARGIN}}{line}"


def to_json(tally: Tally) -> dict[str, object]:
    """A tally as JSON values."""
    return {
        "cases": tally.cases,
        "connections": tally.connections,
        "subflows": tally.subflows,
        "frames": tally.frames,
        "octets": tally.octets,
        "counts": {subject: dict(values) for subject, values in tally.counts.items()},
        "missing": {subject: tally.missing(subject) for subject in KNOWN},
    }
