"""Series, thinning, rates: arrays of pictures against naive accounts of the same."""

from __future__ import annotations

import hashlib
from collections import defaultdict
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mptcp_oracle.analysis.trace import analyze
from mptcp_oracle.facts import CLASSES
from mptcp_oracle.pictures.dsn import drawn
from mptcp_oracle.pictures.files import drawing
from mptcp_oracle.pictures.library import plotly_js
from mptcp_oracle.pictures.packing import packed, script_json
from mptcp_oracle.pictures.rates import binned, bins, round_trips, waiting
from mptcp_oracle.pictures.sequence import sequence
from mptcp_oracle.pictures.series import Readings, Sent
from mptcp_oracle.pictures.thinning import changes, kept, slots_of
from mptcp_oracle.pictures.view import View
from tests.common.checkout import ROOT
from tests.common.conversation import Conversation
from tests.common.report_page import unpacked

KERNEL = ROOT / "corpus/kernel"
DIGEST = "d396c0d59e2844a167dc4aca8469fe1653060cb105f4d7cbd47b3c7788b1e750"

ranges = st.lists(
    st.tuples(st.integers(0, 50), st.integers(1, 500), st.integers(1, 60)), min_size=1, max_size=80
)


@given(points=ranges, slots=st.integers(1, 12), ordered=st.booleans())
def test_thinning_keeps_the_extremes_of_every_slot(
    points: list[tuple[int, int, int]], slots: int, ordered: bool
) -> None:
    """First, last, lowest and highest of each slot are kept, and at most four points of it."""
    points = sorted(points, key=lambda each: each[0]) if ordered else points
    time = np.array([each[0] for each in points], float)
    low = np.array([each[1] for each in points])
    high = low + np.array([each[2] for each in points])
    found = kept(time, low, high, most=0, slots=slots).tolist()
    assert found == sorted(set(found))
    slot = slots_of(time, slots).tolist()
    assert set(slot) <= set(range(slots))
    for each in set(slot):
        rows = [row for row, at in enumerate(slot) if at == each]
        mine = [row for row in found if slot[row] == each]
        assert {rows[0], rows[-1]} <= set(mine)
        assert len(mine) <= 4
        assert min(low[mine]) == min(low[rows])
        assert max(high[mine]) == max(high[rows])


def test_few_points_are_not_thinned() -> None:
    """Up to the number that is allowed, every point stays."""
    time = np.arange(10.0)
    assert kept(time, time, time, most=10).tolist() == list(range(10))
    assert len(kept(time, time, time, most=9, slots=1)) == 2


@given(st.lists(st.integers(0, 5), max_size=30))
def test_a_line_of_steps_keeps_its_changes(steps: list[int]) -> None:
    """From the points that are kept the line can be drawn as it was, up to its last point."""
    values = np.cumsum(np.array(steps, np.int64))
    at = changes(values)
    again = [values[at[at <= row][-1]] for row in range(len(values))]
    assert again == values.tolist()
    assert not len(values) or at[-1] == len(values) - 1


def sent(rows: list[tuple[float, int, int]]) -> Sent:
    """Transmissions that are first seen: time, first DSN, octets."""
    time, dsn, octets = (np.array(column) for column in zip(*rows, strict=True))
    zeros = np.zeros(len(rows), np.int64)
    return Sent(
        time=time.astype(float), frame=zeros, subflow=zeros, dsn=dsn, dsn_end=dsn + octets,
        octets=octets, kind=zeros,
    )  # fmt: skip


@given(
    order=st.permutations(range(12)), sizes=st.lists(st.integers(1, 9), min_size=12, max_size=12)
)
def test_waiting_octets_are_those_behind_a_gap(order: list[int], sizes: list[int]) -> None:
    """After each arrival: what has arrived, less what can be passed on, counted octet by octet."""
    starts = np.cumsum([1, *sizes])[:-1].tolist()
    found = waiting(sent([(at, starts[each], sizes[each]) for at, each in enumerate(order)]))
    arrived: set[int] = set()
    for at, each in enumerate(order):
        arrived.update(range(starts[each], starts[each] + sizes[each]))
        ready = 1
        while ready in arrived:
            ready += 1
        assert found[at] == len(arrived) - (ready - 1)


@pytest.mark.parametrize("duration", [0.0, 1e-7, 0.0173, 1.0, 3.3, 1e5])
def test_bins_are_round_and_cover_everything(duration: float) -> None:
    """Bins have a width of 1, 2 or 5 times a power of ten, are few, and miss no octet."""
    parts = bins(duration)
    assert f"{parts.width:e}"[0] in "125"
    assert parts.count <= 200
    assert parts.count * parts.width >= duration
    rows = sent([(0.0, 1, 5), (duration / 3, 6, 7), (duration, 13, 11)])
    assert binned(rows, parts, np.ones(3, bool)).sum() == 23


@pytest.mark.parametrize("slug", ["loss-reinjection", "zero-window"])
def test_lines_are_the_highest_so_far(slug: str) -> None:
    """DATA_ACK lines and totals are what a walk over all frames finds."""
    with analyze(str(KERNEL / f"{slug}.pcapng")) as trace:
        view = View(Readings(trace), trace.connections[0])
        for direction in view.directions:
            other = ("listener", "initiator")[direction.role]
            top, wanted = 0, []
            totals: defaultdict[int, defaultdict[str, int]] = defaultdict(lambda: defaultdict(int))
            for number in trace.segments.frame.tolist():
                segment = trace.frame(number)
                if segment.duplicate:
                    continue
                if segment.sender == other and (segment.data_ack or 0) > top:
                    top = segment.data_ack or 0
                    wanted.append((number, top))
                if segment.sender not in (other, None):
                    for each in segment.ranges:
                        if each.kind is not None:
                            totals[segment.subflow][each.kind] += each.octets
            line = direction.data_ack
            found = list(zip(line.frame.tolist(), line.value.tolist(), strict=True))
            assert found[: len(wanted)] == wanted
            sums = {key: value for key, value in view.totals(direction).items() if value}
            assert sums == totals
            window = dict(zip(direction.window.time.tolist(), direction.window.value, strict=True))
            assert max(window.values()) >= top


def test_round_trips_are_those_of_the_handshake() -> None:
    """At the sender, no round trip is shorter than the path, nor seen where data arrives."""
    with analyze(str(KERNEL / "bulk-two-paths-no-offload.pcapng")) as trace:
        view = View(Readings(trace), trace.connections[0])
        for flow in view.flows:
            for direction in view.directions:
                trips = round_trips(direction, flow)
                if flow.captured_at(1 - direction.role):
                    assert trips is None
                    continue
                assert trips is not None
                assert trips.whole
                assert len(trips.seconds) > 3
                assert trips.seconds.min() >= 0.2 * flow.round_trip * 1e-9


@given(
    st.lists(st.integers(-(2**31), 2**53), max_size=9)
    | st.lists(st.integers(0, 255), max_size=9)
    | st.lists(st.integers(0, 2**32 - 1), max_size=9)
)
def test_packing_loses_nothing(values: list[int]) -> None:
    """What is unpacked is what was packed, whatever type was chosen."""
    assert unpacked(packed(np.array(values, np.int64))).tolist() == values


def test_packing_keeps_tables() -> None:
    """A table of several columns keeps its shape."""
    table = np.arange(12).reshape(4, 3)
    assert unpacked(packed(table)).tolist() == table.tolist()
    assert packed(table)["shape"] == "4, 3"


@given(st.text())
def test_json_cannot_leave_its_element(text: str) -> None:
    """No text in the data can end the script element that it stands in, or begin a comment."""
    import json

    found = script_json({text: [text]})
    assert not set("<>&\u2028\u2029") & set(found)
    assert json.loads(found) == {text: [text]}


def test_the_library_is_the_published_one() -> None:
    """The bundle of plotly.js is unchanged, and nothing in it can end its element."""
    path = ROOT / "mptcp_oracle/pictures/plotly-gl2d.min.js"
    assert hashlib.sha256(path.read_bytes()).hexdigest() == DIGEST
    assert "</script" not in plotly_js()


def test_every_class_has_a_mark() -> None:
    """All classes of transmissions that have DSNs can be drawn, each by a mark of its own."""
    from mptcp_oracle.pictures.palette import COLOURS, DARK, LINES, MARKS

    assert set(MARKS) == set(CLASSES) - {"unmapped"}
    for name in ("symbol", "glyph", "pen", "xplot"):
        values: list[Any] = [getattr(mark, name) for mark in MARKS.values()]
        assert len(set(values)) == len(values)
    assert {*COLOURS, *LINES.values()} <= set(DARK)


def test_many_subflows_share_the_last_lane() -> None:
    """Beyond 24 subflows the later ones are drawn as the last, and no octet is lost."""
    talk = Conversation()
    flows = [talk.opened(), *(talk.joined() for _ in range(29))]
    for flow in flows:
        flow.data(0, b"hello")
    with analyze(talk.tape.pcap()) as trace:
        view = View(Readings(trace), trace.connections[0])
        assert len(view.flows) == 30
        assert [view.name(flow) for flow in view.shown][-1] == "subflow 23 and later"
        totals = view.totals(view.directions[0])
        octets = sum(view.group.hosts[0].transmissions.values())
        assert sum(sum(each.values()) for each in totals.values()) == octets
        assert sum(totals[23].values()) == 7 * sum(totals[22].values())
        chosen = drawn(view, view.directions[0]).chosen
        assert {subflow for subflow, _ in chosen} <= set(range(24))
        lanes = sequence(view)["lanes"]
        assert [lane["name"] for lane in lanes][-1] == "subflow 7 and later"
        for kind in ("dsn", "sequence"):
            assert drawing(view, kind, "many", "svg").startswith(b"<?xml")
