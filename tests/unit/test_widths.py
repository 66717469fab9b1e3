"""Data under DSNs of 8 octets alone, against a naive account."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mptcp_oracle.analysis.trace import analyze
from mptcp_oracle.analysis.widths import LongData
from tests.common.conversation import Conversation, Mapping

MAPPINGS = st.lists(
    st.tuples(
        st.integers(0, 1), st.integers(-3, 24), st.integers(0, 9), st.booleans(), st.booleans()
    ),
    max_size=12,
)


def told(mappings: list[tuple[int, int, int, bool, bool]]) -> tuple[Conversation, list[set[int]]]:
    """A conversation with these mappings, and the octets of each host that only long ones cover."""
    talk = Conversation(wide=(True, True))
    flow = talk.opened()
    long: list[set[int]] = [set(), set()]
    short: list[set[int]] = [set(), set()]
    for at, (role, dsn, octets, wide, fin) in enumerate(mappings):
        talk.wide = (wide, wide)
        if not octets and not fin:
            continue
        mapping = Mapping(dsn=dsn, ssn=1 + 100 * at, dll=octets + fin, fin=fin)
        flow.data(role, bytes(octets), mapping=mapping, seq=1 + 100 * at, dack=None)
        (long if wide else short)[role].update(range(dsn, dsn + octets) if dsn > 0 else ())
    return talk, [long[role] - short[role] for role in (0, 1)]


@given(mappings=MAPPINGS)
def test_long_data(mappings: list[tuple[int, int, int, bool, bool]]) -> None:
    """Bounds and counts are those of the sets of octets."""
    talk, expected = told([(0, 40, 1, True, False), (1, 40, 1, True, False), *mappings])
    with analyze(talk.tape.pcap()) as trace:
        long = LongData(trace.ground)
        for role in (0, 1):
            direction = trace.direction(trace.connections[0], role)
            assert long.lowest[direction] == min(expected[role], default=0)
            assert long.highest[direction] == max(expected[role], default=-1) + 1
            low, high = (
                each.reshape(-1) for each in np.meshgrid(np.arange(-2, 45), np.arange(-2, 45))
            )
            counts = long.between(np.full(len(low), direction), low, high)
            keep = low <= high
            assert counts[keep].tolist() == [
                len(expected[role] & set(range(a, b)))
                for a, b in zip(low[keep], high[keep], strict=True)
            ]


def test_without_any():
    """Where there is none, there is none between any bounds."""
    talk = Conversation(wide=(False, False))
    flow = talk.opened()
    flow.data(0, b"short")
    with analyze(talk.tape.pcap()) as trace:
        long = LongData(trace.ground)
        assert (long.lowest == long.highest).all()
        high = np.array([9, 1 << 50])
        assert long.between(np.array([0, 1]), np.array([1, 1]), high).tolist() == [0, 0]


@pytest.mark.parametrize("far", [(1 << 40) - 3, 1 << 40])
def test_absurd_numbers(far):
    """Mappings that reach beyond all plausible numbers are none."""
    talk = Conversation()
    flow = talk.opened()
    flow.data(0, b"abc", dsn=1)
    flow.data(0, b"xyz", dsn=far)
    flow.data(0, b"xyz", dsn=far - 7)
    with analyze(talk.tape.pcap()) as trace:
        long = LongData(trace.ground)
        direction = trace.direction(trace.connections[0], 0)
        near = far - 7 + 3 < 1 << 40
        assert long.lowest[direction] == 1
        assert long.highest[direction] == (far - 4 if near else 4)
        assert long.between(np.array([direction]), np.array([2]), np.array([1 << 41])).tolist() == [
            5 if near else 2
        ]
