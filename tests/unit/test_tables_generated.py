"""Tables and lookups of generated conversations against what their script says, octet by octet.

The scripts are stranger than kernels: mappings longer than segments or shorter, late, overlapping
and contradicting, several in one segment, on three subflows in both directions; segments of any
size anywhere; packets that the capture holds twice.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from mptcp_oracle import analyze
from mptcp_oracle.analysis.copies import count_copies, earlier_below
from mptcp_oracle.analysis.ground import unwrapped
from mptcp_oracle.options import Option
from tests.common.conversation import Conversation, Mapping
from tests.common.octets import Declared, Sent, account_of


@dataclass(frozen=True)
class Step:
    """One segment of a script; the numbers are small, so that much overlaps."""

    flow: int
    role: int
    start: int
    octets: int
    mappings: tuple[tuple[int, int, int], ...]
    twice: bool
    infinite: bool


STEPS = st.lists(
    st.builds(
        Step,
        flow=st.integers(0, 2),
        role=st.integers(0, 1),
        start=st.integers(1, 40),
        octets=st.integers(0, 12),
        mappings=st.lists(
            st.tuples(st.integers(1, 40), st.integers(1, 60), st.integers(1, 15)), max_size=2
        ).map(tuple),
        twice=st.sampled_from([False, False, False, True]),
        infinite=st.sampled_from([False] * 15 + [True]),
    ),
    max_size=25,
)


@given(steps=STEPS)
def test_any_script_is_told_octet_by_octet(steps: list[Step]) -> None:
    """Ranges, announcements, carriers and copies are those of the script."""
    talk = Conversation()
    talk.opened()
    talk.joined()
    talk.joined()
    declared: list[Declared] = []
    sent: list[Sent] = []
    newest: dict[tuple[int, int], Mapping] = {}
    for step in steps:
        flow = talk.flows[step.flow]
        half = 2 * step.flow + step.role
        options: list[Option | None] = []
        frame = talk.tape.last + 1
        for ssn, dsn, dll in step.mappings:
            mapping = Mapping(dsn=dsn, ssn=ssn, dll=0 if step.infinite else dll)
            options.append(talk.dss(step.role, mapping))
            if newest.get((step.flow, step.role)) != mapping:
                newest[step.flow, step.role] = mapping
                declared.append(
                    Declared(
                        frame=frame, half=half, direction=step.role, start=ssn, dsn=dsn,
                        octets=None if step.infinite else dll,
                    )
                )  # fmt: skip
        # A byte of its own makes every segment another one, whatever else is equal.
        payload = bytes([len(sent) & 255]) * step.octets
        assert flow.segment(step.role, 0x18, *options, payload=payload, seq=step.start) == frame
        events = [(frame, False)]
        if step.twice:
            events.append((talk.tape.again(), True))
        for number, silent in events:
            if step.octets:
                sent.append(
                    Sent(
                        frame=number, half=half, direction=step.role, start=step.start,
                        octets=step.octets, silent=silent,
                    )
                )  # fmt: skip
    account = account_of(declared, sent)
    with analyze(talk.tape.pcap()) as trace:
        assert len(trace.connections) == 1
        for segment in sent:
            view = trace.frame(segment.frame)
            assert view.duplicate == segment.silent
            dsns: list[int | None] = []
            announced: list[int | None] = []
            for part in view.ranges:
                assert part.sequence == segment.start + len(dsns)
                if part.dsn is None:
                    dsns += [None] * part.octets
                else:
                    assert part.dsn_end == part.dsn + part.octets
                    dsns += range(part.dsn, part.dsn_end)
                announced += [part.announced] * part.octets
            assert dsns == account.dsns[segment.frame]
            owners = account.owner[segment.frame]
            assert announced == [None if n is None else declared[n].frame for n in owners]
            earlier = account.earlier[segment.frame]
            if not segment.silent and all(part.kind != "zero_window_probe" for part in view.ranges):
                assert {carrier.frame for carrier in view.previous} == earlier
                assert view.copies == len(earlier)
                row = np.flatnonzero(trace.segments.frame == segment.frame)[0]
                assert trace.segments.copies[row] == len(earlier)
                assert trace.segments.previous[row] == max(earlier, default=0)
        assert set(np.flatnonzero(trace.mappings.conflict).tolist()) == account.conflicts
        for role, direction in enumerate(("initiator", "listener")):
            for dsn in range(1, 80, 7):
                octet = trace.octet(0, direction, dsn)
                carried = [each.frame for each in octet.carried if not each.duplicate]
                assert carried == account.carried.get((role, dsn), [])
                assert [each.frame for each in octet.announced] == [
                    each.frame
                    for each in declared
                    if each.direction == role
                    and each.dsn <= dsn
                    and (each.octets is None or dsn < each.dsn + each.octets)
                ]


RUNS = st.lists(
    st.tuples(
        st.integers(0, 2),
        st.lists(st.tuples(st.integers(-20, 40), st.integers(1, 9)), max_size=3),
    ),
    max_size=40,
)


@given(rows=RUNS)
def test_copies_are_counted_exactly(rows: list[tuple[int, list[tuple[int, int]]]]) -> None:
    """For any runs of octets the number of earlier overlapping rows is that of comparing all."""
    sets = [
        {octet for start, size in runs for octet in range(start, start + size)} for _, runs in rows
    ]
    flat = [
        (row, space, start, start + size)
        for row, (space, runs) in enumerate(rows)
        for start, size in runs
    ]
    columns = [np.array(column, dtype=np.int64) for column in zip(*flat, strict=True)]
    row, space, start, end = columns or [np.empty(0, dtype=np.int64)] * 4
    expected = [
        sum(rows[at][0] == rows[other][0] and bool(sets[at] & sets[other]) for other in range(at))
        for at in range(len(rows))
    ]
    assert count_copies(row, space, start, end, len(rows)).tolist() == expected


@given(pairs=st.lists(st.tuples(st.integers(-9, 9), st.integers(-9, 9)), max_size=50))
def test_earlier_points_are_counted_exactly(pairs: list[tuple[int, int]]) -> None:
    """The count in doubling blocks is that of comparing each bound with each earlier point."""
    points, bounds = (np.array([pair[at] for pair in pairs], dtype=np.int64) for at in (0, 1))
    expected = [sum(p < bounds[at] for p in points[:at]) for at in range(len(pairs))]
    assert earlier_below(points, bounds).tolist() == expected


@given(
    start=st.integers(0, 2**40),
    steps=st.lists(st.tuples(st.integers(0, 1), st.integers(-(2**31) + 1, 2**31 - 1))),
)
def test_numbers_are_unwrapped_group_by_group(start: int, steps: list[tuple[int, int]]) -> None:
    """Numbers that move by less than half the space come back, less what the first one hides."""
    now = [start, start + 17]
    hidden = [value - value % 2**32 for value in now]
    first = [True, True]
    group, low, expected = [], [], []
    for which, step in steps:
        now[which] += 0 if first[which] else step
        first[which] = False
        group.append(which)
        low.append(now[which] % 2**32)
        expected.append(now[which] - hidden[which])
    assert unwrapped(np.array(group, dtype=np.int32), np.array(low)).tolist() == expected
