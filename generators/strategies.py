"""Hypothesis strategies of MPTCP connections, captures of them, faults and malformed options.

Everything is drawn choice by choice, so that a failure shrinks to few frames: fewer connections,
segments, subflows and octets, no losses, no defects, plain Ethernet. Every argument is by keyword
and has a default under which everything legal is met. See docs/generators.md.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from dataclasses import replace
from typing import TypeAlias

from hypothesis import reject
from hypothesis.strategies import DrawFn, SearchStrategy, composite
from mptcp_oracle.generators.damage import damaged
from mptcp_oracle.generators.drawn import Drawn, drawn
from mptcp_oracle.generators.malformed import FLAWS, PLACES, malform, malformed_option
from mptcp_oracle.generators.sample import Sample

from mptcp_oracle.errors import UsageError
from mptcp_oracle.model.capture import FORMATS, LINKS, VANTAGES, Capture, Frame, Layout
from mptcp_oracle.model.choices import Choices
from mptcp_oracle.model.compose import ENDS, capture_of
from mptcp_oracle.model.defects import DEFECTS
from mptcp_oracle.model.drawing import defect_names, layout_of, network_of, settings_of, tap_of
from mptcp_oracle.model.driver import Limits, Policy, drive
from mptcp_oracle.model.faults import FAULTS, fault
from mptcp_oracle.model.interleave import interleave
from mptcp_oracle.model.planting import PLANS, planted
from mptcp_oracle.model.policies import Profile, Wanderer
from mptcp_oracle.model.policies_schedulers import SCHEDULERS, Scheduler
from mptcp_oracle.model.settings import one_family
from mptcp_oracle.model.trace import Trace
from mptcp_oracle.options import Flaw, Malformed

__all__ = [
    "BEHAVIOURS",
    "captures",
    "connections",
    "damaged_captures",
    "faults",
    "malformed_captures",
    "malformed_options",
]

_Change: TypeAlias = Callable[[Capture, Choices], Capture]

WANDERING = "wandering"
BEHAVIOURS = (WANDERING, *SCHEDULERS)
"""What hosts can be like: random legal behaviour, or a bulk transfer under a scheduler."""

BYTE_ORDERS = ("little", "big")

MS = 1_000_000
#: Most milliseconds between the beginnings of two connections in one capture.
LATEST = 400
#: Payload octets that a scheduler sends for each segment that was asked for.
OCTETS_EACH = 700
#: How often a trace is made anew for a fault that finds no place, before Hypothesis is told.
TRIES = 8


def connections(
    *,
    versions: Sequence[int] = (1, 0),
    subflows: tuple[int, int] = (1, 5),
    segments: tuple[int, int] = (1, 40),
    behaviours: Sequence[str] = (WANDERING,),
    middleboxes: bool = True,
) -> SearchStrategy[Trace]:
    """One connection: what its hosts sent, what arrived, and the truth about it.

    Args:
        versions: MPTCP versions that the initiator may offer.
        subflows: How many subflows the hosts open, least and most.
        segments: After how many segments the hosts begin to close, least and most.
        behaviours: Names of :data:`BEHAVIOURS`.
        middleboxes: Whether the network may change segments, not only lose them.

    Raises:
        UsageError: An argument names what there is not, or is empty.
    """
    make = _Traces(versions, subflows, segments, behaviours, middleboxes)
    return drawn(lambda choices: make(choices, 0))


def captures(
    *,
    count: tuple[int, int] = (1, 3),
    versions: Sequence[int] = (1, 0),
    subflows: tuple[int, int] = (1, 5),
    segments: tuple[int, int] = (1, 40),
    behaviours: Sequence[str] = (WANDERING,),
    middleboxes: bool = True,
    vantages: Sequence[str] = ("middle", "initiator", "listener", "both"),
    defects: Collection[str] = tuple(DEFECTS),
    links: Sequence[str] = LINKS,
    formats: Sequence[str] = FORMATS,
    byte_orders: Sequence[str] = BYTE_ORDERS,
    layouts: Sequence[Layout] | None = None,
) -> SearchStrategy[Sample]:
    """Captures of connections, interleaved if they are several, each with its truth.

    Args:
        count: Connections in a capture, least and most.
        versions: MPTCP versions that the initiators may offer.
        subflows: How many subflows the hosts of a connection open, least and most.
        segments: After how many segments they begin to close, least and most.
        behaviours: Names of :data:`BEHAVIOURS`.
        middleboxes: Whether the network may change segments, not only lose them.
        vantages: Where the tap may be, names of :data:`~mptcp_oracle.model.capture.VANTAGES`.
        defects: What may be wrong with the capture, names of
            :data:`~mptcp_oracle.model.defects.DEFECTS`; none for perfect captures.
        links: Link types that it may be written with.
        formats: File formats that it may be written in.
        byte_orders: Byte orders of the file's own fields, ``little`` or ``big``.
        layouts: The only layouts to choose from, in place of the three above.

    Raises:
        UsageError: An argument names what there is not, or is empty.
    """
    make = _Captures(
        _Traces(versions, subflows, segments, behaviours, middleboxes),
        count, vantages, defects, links, formats, byte_orders, layouts,
    )  # fmt: skip
    return drawn(make)


def malformed_options(
    *,
    flaws: Sequence[Flaw] = FLAWS,
    versions: Sequence[int] = (1, 0),
    places: Sequence[str] = PLACES,
) -> SearchStrategy[Malformed]:
    """MPTCP options that a receiver has to ignore; ``raw`` are the octets from the Kind on.

    Args:
        flaws: What may be wrong with them.
        versions: Versions of the connection that they would belong to.
        places: Kinds of segments that would carry them: ``data``, ``ack``, ``syn``, ``synack``.

    Raises:
        UsageError: An argument names what there is not, or is empty.
    """
    _known("flaw", flaws, FLAWS)
    _known("version", versions, (0, 1))
    _known("place", places, PLACES)
    return drawn(
        lambda choices: malformed_option(
            choices, version=choices.pick(versions), place=choices.pick(places), flaws=flaws
        )
    )


def malformed_captures(*, of: SearchStrategy[Sample] | None = None) -> SearchStrategy[Sample]:
    """Captures in which up to three segments carry a malformed option; they have no truth.

    Args:
        of: The captures to begin with; any by default.
    """
    return _changed(of, malform)


def damaged_captures(
    *,
    of: SearchStrategy[Sample] | None = None,
    tcp_checksums: bool = True,
    dss_checksums: bool = True,
) -> SearchStrategy[Sample]:
    """Captures in which up to four frames were damaged octet by octet; they have no truth.

    Args:
        of: The captures to begin with; any by default.
        tcp_checksums: Whether damaged frames have a right TCP checksum; else a wrong one.
        dss_checksums: Likewise their DSS checksums, where they have one.
    """
    return _changed(
        of,
        lambda capture, choices: damaged(
            capture, choices, tcp_checksums=tcp_checksums, dss_checksums=dss_checksums
        ),
    )


def _changed(of: SearchStrategy[Sample] | None, change: _Change) -> SearchStrategy[Sample]:
    samples = captures() if of is None else of

    @composite
    def made(draw: DrawFn) -> Sample:
        return Sample(change(draw(samples).capture, Drawn(draw)))

    return made()


def faults(
    *,
    names: Sequence[str] | None = None,
    versions: Sequence[int] = (1, 0),
    vantages: Sequence[str] = VANTAGES,
    defects: Collection[str] = (),
) -> SearchStrategy[Sample]:
    """Captures of connections in which one host deviates once from the RFCs.

    ``planted`` of the sample names the fault, who is to blame, the requirements that it breaks
    and the segments that are the evidence; its truth is that of what was sent. Captures that do
    not hold the evidence are not made. A rare fault is found a place for by trying, which
    Hypothesis may call too much filtering: suppress that health check.

    Args:
        names: Names of :data:`~mptcp_oracle.model.faults.FAULTS`; all by default.
        versions: MPTCP versions that the initiator may offer.
        vantages: Where the tap may be.
        defects: What may be wrong with the capture besides; nothing by default.

    Raises:
        UsageError: An argument names what there is not, or is empty; or no such fault is one in
            these versions.
    """
    traces = _Traces(versions, (1, 5), (1, 40), (WANDERING,), False)
    captured = _Captures(
        traces, (1, 1), vantages, defects, LINKS, FORMATS, BYTE_ORDERS, None
    )  # fmt: skip
    found = [fault(name) for name in (FAULTS if names is None else names)]
    wanted = [each for each in found if set(each.versions) & set(versions)]
    if not wanted:
        raise UsageError(
            f"no fault is given that version {' or '.join(map(str, versions))} can have",
            hint=f"choose from {', '.join(FAULTS)}",
        )
    plan = replace(PLANS[False], versions=tuple(versions))

    def make(choices: Choices) -> Sample:
        trace = planted(choices.pick(wanted), choices, plan=plan, tries=TRIES)
        if trace is None:
            return reject()
        sample = captured.of(trace, choices)
        frames = [each for each in sample.capture.frames if isinstance(each, Frame)]
        shown = {frame.segment.number for frame in frames}
        seen = all(number in shown for each in sample.planted for number in each.segments)
        return sample if seen else reject()

    return drawn(make)


class _Traces:
    """What makes one connection of choices."""

    def __init__(
        self,
        versions: Sequence[int],
        subflows: tuple[int, int],
        segments: tuple[int, int],
        behaviours: Sequence[str],
        middleboxes: bool,
    ) -> None:
        _known("version", versions, (0, 1))
        _known("behaviour", behaviours, BEHAVIOURS)
        _between("subflows", subflows, 1, 8)
        _between("segments", segments, 1, 100_000)
        self.versions, self.behaviours = tuple(versions), tuple(behaviours)
        self.subflows, self.segments = subflows, segments
        self.middleboxes = middleboxes

    def __call__(self, choices: Choices, index: int) -> Trace:
        """One connection; ``index`` keeps those of one capture apart."""
        settings = settings_of(choices, index, self.versions)
        network = network_of(choices, boxes=self.middleboxes)
        most = self.segments[1]
        limits = Limits(segments=most + max(20, most // 4))
        name = choices.pick(self.behaviours)
        if name == WANDERING:
            policy: Policy = self._wanderer()
        else:
            settings, policy = one_family(settings), self._scheduler(SCHEDULERS[name], choices)
        return drive(settings, policy, network, choices, limits)

    def _wanderer(self) -> Wanderer:
        low, high = self.subflows
        counts = tuple(range(low, high + 1))
        return Wanderer(profile=Profile(length=self.segments, subflows=counts, ends=ENDS))

    def _scheduler(self, scheduler: Scheduler, choices: Choices) -> Scheduler:
        """A transfer that takes about as many segments as were asked for."""
        low, high = self.subflows
        octets = OCTETS_EACH * choices.integer(*self.segments)
        count = choices.integer(low, high)
        joins = (*scheduler.joins, *(False for _ in range(count)))[: max(1, count - 1)]
        return replace(scheduler, octets=octets, joins=joins, beginning=max(1, octets // 3))


class _Captures:
    """What makes a capture of choices."""

    def __init__(
        self,
        traces: _Traces,
        count: tuple[int, int],
        vantages: Sequence[str],
        defects: Collection[str],
        links: Sequence[str],
        formats: Sequence[str],
        byte_orders: Sequence[str],
        layouts: Sequence[Layout] | None,
    ) -> None:
        _between("connections", count, 1, 200)
        _known("vantage", vantages, VANTAGES)
        _known("defect", defects, tuple(DEFECTS), empty=True)
        _known("link type", links, LINKS)
        _known("file format", formats, FORMATS)
        _known("byte order", byte_orders, BYTE_ORDERS)
        for layout in layouts or ():
            layout.check()
        self.traces, self.count = traces, count
        self.vantages = tuple((1, name) for name in vantages)
        self.defects = frozenset(defects)
        self.links, self.formats = tuple(links), tuple(formats)
        self.byte_orders = tuple(byte_orders)
        self.layouts = None if layouts is None else tuple(layouts)

    def __call__(self, choices: Choices) -> Sample:
        low, high = self.count
        count = low
        while count < high and choices.chance(1, 3):
            count += 1
        traces = [self.traces(choices, index) for index in range(count)]
        offsets = [0, *(MS * choices.integer(0, LATEST) for _ in traces[1:])]
        return self.of(interleave(traces, offsets), choices)

    def of(self, trace: Trace, choices: Choices) -> Sample:
        """A capture of a trace."""
        where = tap_of(choices, self.vantages)
        names = defect_names(choices, where.vantage) if self.defects else ()
        names = tuple(name for name in names if name in self.defects)
        return Sample(capture_of(trace, where, names, self._layout(choices), choices))

    def _layout(self, choices: Choices) -> Layout:
        if self.layouts is not None:
            return choices.pick(self.layouts)
        layout = layout_of(choices)
        if layout.link not in self.links:
            layout = replace(layout, link=choices.pick(self.links))
        if layout.file not in self.formats:
            layout = replace(layout, file=choices.pick(self.formats))
        if BYTE_ORDERS[layout.big_endian] not in self.byte_orders:
            layout = replace(layout, big_endian=not layout.big_endian)
        taggable = layout.link in ("ethernet", "sll", "sll2")
        return layout if taggable else replace(layout, vlans=())


def _known(
    what: str, given: Collection[object], offered: Collection[object], *, empty: bool = False
) -> None:
    """Refuse what there is not.

    Raises:
        UsageError: Something is not offered, or nothing is given.
    """
    wrong = [each for each in given if each not in offered]
    if wrong or not (given or empty):
        raise UsageError(
            f"there is no {what} {wrong[0]!r}" if wrong else f"no {what} is given",
            hint=f"choose from {', '.join(map(str, offered))}",
        )


def _between(what: str, given: tuple[int, int], least: int, most: int) -> None:
    """Refuse a range that is empty or goes beyond the limits.

    Raises:
        UsageError: It does.
    """
    low, high = given
    if not least <= low <= high <= most:
        raise UsageError(
            f"{what} from {low} to {high}", hint=f"least and most, from {least} to {most}"
        )
