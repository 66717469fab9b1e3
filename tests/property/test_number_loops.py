"""The loop that makes numbers relative and 64 bits wide, against Python's endless integers."""

from __future__ import annotations

from array import array
from dataclasses import dataclass
from types import SimpleNamespace

from hypothesis import given
from hypothesis import strategies as st

from mptcp_oracle import engine
from tests.common.numbers import signed

ABSURD = 2**40


@dataclass(frozen=True)
class Said:
    """A segment: its half, how far its DSN and DATA_ACK are from what is known, in what form."""

    half: int
    ahead: int
    back: int
    wide: bool
    wide_ack: bool
    mapping: bool
    ack: bool
    first: bool
    length: int
    ssn: int


STEPS = st.one_of(st.integers(-3, 3000), st.integers(-(2**31) + 1, 2**31 - 1))
SEGMENTS = st.lists(
    st.builds(
        Said, half=st.integers(0, 5), ahead=STEPS, back=STEPS, wide=st.booleans(),
        wide_ack=st.booleans(), mapping=st.booleans(), ack=st.booleans(),
        first=st.sampled_from([False] * 7 + [True]), length=st.integers(0, 65535),
        ssn=st.integers(-2000, 2000),
    ),
    max_size=30,
)  # fmt: skip
NUMBERS = st.tuples(*[st.integers(-(2**63), 2**63 - 1)] * 2)
#: Halves 0 to 3 are two subflows of a connection, 4 and 5 a stream without MPTCP.
DIRECTION = (0, 1, 0, 1, -1, -1)


@given(
    said=SEGMENTS, idsn=NUMBERS, shift=st.integers(-1, 1), skew=st.integers(0, 99),
    first_skew=st.integers(0, 99), data=st.data(),
)  # fmt: skip
def test_numbers_are_the_nearest_to_what_is_known(
    said: list[Said], idsn: tuple[int, int], shift: int, skew: int, first_skew: int,
    data: st.DataObject,
) -> None:  # fmt: skip
    """Narrow numbers follow the highest known one of their direction, wide ones are exact."""
    known, columns = [1, 1], _columns(len(said))
    expected_dsn, expected_start, expected_ack = [], [], []
    maps = 0
    for row, each in enumerate(said):
        direction = DIRECTION[each.half]
        columns["half"][row] = each.half
        columns["sequence"][row] = sequence = row * 700
        moved = sequence + shift
        if each.mapping and direction >= 0:
            dsn = 1 if each.first else known[direction] + each.ahead
            wire = 1 if each.first else _wire(dsn, idsn[direction], each.wide)
            start = moved + each.ssn
            columns["map_row"][maps] = row
            columns["map_dsn"][maps] = wire
            columns["map_ssn"][maps] = (start - (first_skew if each.first else skew)) % 2**32
            columns["map_length"][maps] = each.length
            columns["map_flags"][maps] = 0x40 * each.first | 8 * (each.wide and not each.first)
            expected_dsn.append(dsn)
            expected_start.append(start)
            if known[direction] < dsn + each.length < known[direction] + ABSURD:
                known[direction] = dsn + each.length
            maps += 1
        if each.ack and direction >= 0:
            other = 1 - direction
            ack = known[other] + each.back
            columns["dss"][row] = 1 | 2 * each.wide_ack
            columns["data_ack"][row] = _wire(ack, idsn[other], each.wide_ack)
            if known[other] < ack < known[other] + ABSURD:
                known[other] = ack
            expected_ack.append(ack)
        else:
            expected_ack.append(0)
    reference = array("q", [1, 1])
    names = ("half", "sequence", "dss", "data_ack", "map_row", "map_half", "map_dsn", "map_ssn",
             "map_length", "map_flags", "map_start")  # fmt: skip
    _loops(data).mappings.absolute(
        len(said), maps, *(columns[name] for name in names), array("i", DIRECTION),
        array("q", [shift] * 6), array("q", [skew] * 6), array("q", [first_skew] * 6),
        array("q", idsn), reference,
    )  # fmt: skip
    assert list(columns["map_dsn"][:maps]) == expected_dsn
    assert list(columns["map_start"][:maps]) == expected_start
    assert list(columns["data_ack"]) == expected_ack
    assert list(columns["sequence"]) == [row * 700 + shift for row in range(len(said))]
    assert list(reference) == known


def _wire(relative: int, idsn: int, wide: bool) -> int:
    """A relative number as the segment loop hands it over: 64 bits signed, or 32 unsigned."""
    return signed(relative + idsn, 64) if wide else (relative + idsn) % 2**32


def _columns(rows: int) -> dict[str, array[int]]:
    codes = {
        "half": "i", "sequence": "q", "dss": "B", "data_ack": "q", "map_row": "I",
        "map_half": "i", "map_dsn": "q", "map_ssn": "I", "map_length": "H", "map_flags": "B",
        "map_start": "q",
    }  # fmt: skip
    return {name: array(code, bytes(array(code).itemsize * rows)) for name, code in codes.items()}


def _loops(data: st.DataObject) -> SimpleNamespace:
    """Either form of the loops, if both are there."""
    kinds = [kind for kind in engine.KINDS if kind == "plain" or engine.available()]
    return engine.loops(data.draw(st.sampled_from(kinds)))
