"""View: one connection as the pictures see it, with its directions, names, events and verdicts."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cached_property
from typing import TYPE_CHECKING, Any

from mptcp_oracle.analysis.entities import ROLES, Connection, Subflow
from mptcp_oracle.facts import CLASSES
from mptcp_oracle.pictures.moments import Moment, moments
from mptcp_oracle.pictures.rates import MOST_BINS, Bins, bins
from mptcp_oracle.pictures.series import MOST_FLOWS, Direction, Readings
from mptcp_oracle.verdict import Outcome, Verdict

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Array = NDArray[Any]

__all__ = ["View"]

#: Bins of a connection with hardly any data.
LEAST_BINS = 30


class View:
    """A connection, or what stands for that of an unattached subflow (a negative id).

    Attributes:
        readings: The trace's tables. group: The connection. verdicts: Those on it, but passes.
    """

    def __init__(
        self, readings: Readings, group: Connection, verdicts: Sequence[Verdict] = ()
    ) -> None:
        self.readings = readings
        self.group = group
        self.verdicts = list(verdicts)

    @cached_property
    def directions(self) -> tuple[Direction, Direction]:
        """What each host sends."""
        return self.readings.direction(self.group, 0), self.readings.direction(self.group, 1)

    @cached_property
    def busy(self) -> list[Direction]:
        """The directions in which any payload was sent."""
        return [each for each in self.directions if len(each.sent)]

    @cached_property
    def moments(self) -> list[Moment]:
        """Its events."""
        return moments(self.group, self.readings.trace)

    @property
    def attached(self) -> bool:
        """Whether it is a connection whose hosts have roles."""
        return self.group.id >= 0

    @cached_property
    def roles(self) -> tuple[str, str]:
        """What its hosts are called."""
        if self.attached:
            return ROLES
        ends = ("source", "destination")
        return ends if self.group.subflows[0].source_role == 0 else (ends[1], ends[0])

    @cached_property
    def places(self) -> dict[int, int]:
        """Each subflow's place among :attr:`shown` by its id: its colour, and its lane."""
        return {flow.id: min(at, MOST_FLOWS - 1) for at, flow in enumerate(self.flows)}

    @property
    def flows(self) -> list[Subflow]:
        """Its subflows."""
        return self.group.subflows

    @property
    def shown(self) -> list[Subflow]:
        """The subflows that pictures tell apart; the last one stands for all later ones, too."""
        return self.flows[:MOST_FLOWS]

    def name(self, flow: Subflow) -> str:
        """What pictures call one of :attr:`shown`."""
        later = self.places[flow.id] == MOST_FLOWS - 1 and len(self.flows) > MOST_FLOWS
        return f"subflow {flow.id}" + (" and later" if later else "")

    @cached_property
    def duration(self) -> float:
        """Seconds from its first to its last segment."""
        last = max(flow.last_frame for flow in self.flows)
        return max(self.seconds(last), 0.0)

    @property
    def span(self) -> list[float]:
        """What the time axes show: all of it, and a little room on both sides."""
        room = 0.02 * (self.duration or 1.0)
        return [-room, self.duration + room]

    @cached_property
    def bins(self) -> Bins:
        """Parts of its time for rates: not many more than there is to count."""
        sent = max((len(each.sent) for each in self.busy), default=0)
        return bins(self.duration, min(MOST_BINS, max(LEAST_BINS, 2 * sent)))

    def seconds(self, frame: int) -> float:
        """When a frame was captured, in seconds since the connection's first frame."""
        readings = self.readings
        time = int(readings.times[readings.row(frame)])
        return (time - readings.origin(self.group)) * 1e-9

    @cached_property
    def evidence(self) -> Array:
        """The frames that failures name; they are drawn whatever is left out."""
        import numpy as np

        frames = [
            frame for each in self.verdicts if each.outcome is Outcome.FAIL for frame in each.frames
        ]
        return np.unique(np.array(frames, np.int64))

    def failures(self, mark: str) -> list[Verdict]:
        """Failures of one of two kinds.

        Args:
            mark: ``violation`` for violations and warnings, ``note`` for notes and what is waived.
        """
        grave = ("fail", "warn")
        return [
            each
            for each in self.verdicts
            if each.outcome is Outcome.FAIL
            and (each.count in grave and each.waived is None) == (mark == "violation")
        ]

    def totals(self, direction: Direction) -> dict[int, dict[str, int]]:
        """Octets by subflow (of :attr:`shown`) and class."""
        import numpy as np

        sent = direction.sent
        ids = np.array([flow.id for flow in self.shown])
        key = ids.searchsorted(sent.subflow) * len(CLASSES) + sent.kind
        size = len(ids) * len(CLASSES)
        sums = np.bincount(key, weights=sent.octets, minlength=size).reshape(len(ids), -1)
        return {
            flow.id: {name: int(row[at]) for at, name in enumerate(CLASSES) if row[at]}
            for flow, row in zip(self.shown, sums, strict=True)
        }
