"""Streams, checksums and scheduler observations over hand-made tables of the data plane.

What the engine's loops would have filled in is written down; the expectations are counted by hand
or, for streams, octet by octet.
"""

from __future__ import annotations

import random
from array import array
from functools import partial
from types import SimpleNamespace
from typing import Any

import pytest

from mptcp_oracle.analysis import checksums, schedulers, streams
from mptcp_oracle.analysis.entities import Connection, Host, Subflow
from mptcp_oracle.errors import UsageError
from mptcp_oracle.facts import CLASSES
from mptcp_oracle.wire.segments import Endpoint
from tests.common.columns import MAPS, table, wire


def flow(stream: int = 0, **fields: Any) -> Subflow:
    """A subflow of a stream."""
    given = {"kind": "joined" if stream else "initial", "opener": 0} | fields
    return Subflow(
        id=stream, stream=stream, source=Endpoint("a", 1), destination=Endpoint("b", 2),
        halves=(2 * stream, 2 * stream + 1), **given,
    )  # fmt: skip


def connection(*flows: Subflow, **fields: Any) -> Connection:
    """A connection of subflows."""
    hosts = (Host(role="initiator"), Host(role="listener"))
    return Connection(id=0, version=1, hosts=hosts, subflows=list(flows), **fields)


# -------------------------------------------------------------------- octets of a subflow

TEXT = bytes(range(256)) * 4


class Octets:
    """A plane of segments whose payload stands in a capture, one behind the other.

    Args:
        rows: Subflow sequence number, octets, octets captured.
        runs: What the interval map holds, in order: space, begin, end, owner, and what to subtract
            from a DSN for the owner's own number.
    """

    def __init__(
        self, *rows: tuple[int, int, int], runs: tuple[tuple[int, int, int, int, int], ...] = (),
        fresh: tuple[list[int], ...] | None = None,
    ) -> None:  # fmt: skip
        offsets = [50 + sum(row[2] for row in rows[:at]) + 3 * at for at in range(len(rows))]
        self.wire = wire(
            halves=8, rows=len(rows), sequence=[row[0] for row in rows],
            length=[row[1] for row in rows], captured=[row[2] for row in rows], offset=offsets,
        )  # fmt: skip
        self.wire.capture = SimpleNamespace(data=memoryview(TEXT))
        self.offsets = offsets
        held = [list(range(len(rows)))] if fresh is None else list(fresh)
        held += [[]] * (8 - len(held))
        self.fresh = array("I", [row for each in held for row in each])
        self.fresh_first = array("I", [sum(map(len, held[:at])) for at in range(8)])
        self.fresh_count = array("I", [len(each) for each in held])
        self.base = array("q", [0, 0, 0, 0])
        self.direction = array("i", [0, 1, 0, 1, 2, 3, 2, 3])
        self.piece_first = array("I", [0] * 9)
        self.pieces: dict[str, list[int]] = {"end": []}
        self._runs = sorted(runs)
        self.classifier = SimpleNamespace(carriers=lambda: self)

    def at(self, space: int, place: int) -> int:
        """The first interval of a space that ends after a place; 0 if there is none."""
        for number, run in enumerate(self._runs):
            if run[0] == space and run[2] > place:
                return number + 1
        return 0

    def next_of(self, node: int) -> int:
        """The interval behind another one in its space."""
        following = self._runs[node : node + 1]
        return node + 1 if following and following[0][0] == self._runs[node - 1][0] else 0

    def source(self, node: int) -> tuple[int, int, int, int]:
        """Begin, end, owner, and what to subtract."""
        return self._runs[node - 1][1:]


def joined(pieces: Any) -> bytes:
    """Views as octets."""
    return b"".join(map(bytes, pieces))


@pytest.mark.parametrize("captured", [0, 1, 5, 9, 10])
def test_octets_of_a_segment(captured: int) -> None:
    """Those that were captured, of those that are asked for."""
    plane: Any = Octets((1, 3, 3), (101, 10, captured))
    at = plane.offsets[1]
    for start in range(99, 113):
        for end in range(start, 114):
            held = TEXT[at + start - 101 : at + min(end - 101, captured)] if start >= 101 else b""
            pieces = list(streams._row_octets(plane, 1, start, end))
            assert joined(pieces) == (held if start - 101 < captured else b"")
            assert len(pieces) == (1 if joined(pieces) else 0)


@pytest.mark.parametrize("seed", range(12))
def test_octets_of_a_half(seed: int) -> None:
    """From a place on, from the segments that carried them first, up to the first gap."""
    draw = random.Random(seed)
    rows, place = [], 1
    for _ in range(draw.randrange(8)):
        size = draw.randrange(1, 6)
        start = place - draw.choice((0, 0, 0, 1, 2)) if rows else place
        rows.append((start, size + place - start, size + place - start - draw.choice((0, 0, 0, 1))))
        place += size + draw.choice((0, 0, 0, 0, 2))
    others = [(900, 5, 5)]
    plane: Any = Octets(
        *others, *rows, *others,
        fresh=([0], list(range(1, len(rows) + 1)), [len(rows) + 1]),
    )  # fmt: skip
    for start in range(place + 2):
        for end in range(start, place + 3):
            expected = b""
            octet, at = start, 1
            while octet < end and at <= len(rows):
                first, size, captured = rows[at - 1]
                if first + size <= octet:
                    at += 1
                    continue
                if first > octet or octet >= first + captured:
                    break
                expected += TEXT[plane.offsets[at] + octet - first :][:1]
                octet += 1
            assert joined(streams._subflow_octets(plane, 1, start, end)) == expected, (start, end)
            assert joined(streams._carried_octets(plane, 1, start, end)) == expected
    assert joined(streams._carried_octets(plane, -1, 900, 903)) == TEXT[50:53]
    assert (
        joined(streams._carried_octets(plane, -2 - len(rows), 902, 999))
        == (TEXT[plane.offsets[-1] + 2 :][:3])
    )


def in_order(plane: Any, space: int, expected: int) -> tuple[bytes, bool]:
    """Octets of a space, and whether they had no gap."""
    found, run = [], streams._in_order(plane, space, expected)
    while True:
        try:
            found.append(next(run))
        except StopIteration as end:
            return joined(found), end.value


def test_octets_of_a_space_in_order() -> None:
    """Interval behind interval, each from its owner, up to the first that is missing."""
    rows = (101, 9, 9), (201, 9, 9)
    first, second = TEXT[50:59], TEXT[62:71]
    whole = (0, 1, 5, 0, -100), (0, 5, 9, -2, -196), (1, 1, 4, -1, -100)
    plane: Any = Octets(*rows, runs=whole, fresh=([0],))
    assert in_order(plane, 0, 1) == (first[:4] + second[:4], True)
    assert in_order(plane, 0, 3) == (first[2:4] + second[:4], True)
    assert in_order(plane, 0, 5) == (second[:4], True)
    assert in_order(plane, 0, 9) == (b"", True)
    assert in_order(plane, 1, 1) == (first[:3], True)
    assert in_order(plane, 2, 1) == (b"", True)
    assert in_order(plane, 0, 0) == (b"", False)
    short: Any = Octets(*rows, runs=((0, 1, 2, 0, -100), (0, 2, 3, -2, -199)), fresh=([0],))
    assert in_order(short, 0, 1) == (first[:1] + second[:1], True)
    assert in_order(short, 0, 2) == (second[:1], True)
    gap: Any = Octets(*rows, runs=(whole[0], (0, 6, 9, -2, -196)), fresh=([0],))
    assert in_order(gap, 0, 1) == (first[:4], False)
    assert in_order(gap, 0, 6) == (second[1:4], True)
    # What its owner has not captured is missing as well.
    cut: Any = Octets((101, 9, 2), rows[1], runs=whole, fresh=([0],))
    assert in_order(cut, 0, 1) == (first[:2], False)


@pytest.mark.parametrize("role", [0, 1])
def test_where_plain_tcp_goes_on(role: int) -> None:
    """Behind the last mapping of its half; without any, behind the data of the SYN."""
    plane: Any = Octets()
    one = flow(1, syn_data=(4, 6))
    assert streams._after_mapped(plane, one, role) == (5, 7)[role]
    plane.pieces["end"] = [70, 80, 90, 95]
    plane.piece_first = array("I", [0, 1, 1, 3, 4, 4, 4, 4, 4])
    assert streams._after_mapped(plane, one, role) == (90, 95)[role]
    plane.piece_first = array("I", [0, 1, 2, 2, 2, 4, 4, 4, 4])
    assert streams._after_mapped(plane, one, role) == (5, 7)[role]


def stream(
    *, state: str = "open", lone: bool = True, gap: bool = False, data: int = 0,
    kind: str = "initial",
) -> bytes:  # fmt: skip
    """What the initiator sent: SYN data, four mapped octets, and three in plain TCP."""
    rows = (1, 2, 2), (101, 9, 9), (201, 9, 9)
    begin = 2 if gap else 1
    runs = (0, begin, 5, -2, -100), (4, 105, 108, -3, 100 - 200), (5, 1, 9, -3, -200)
    plane: Any = Octets(*rows, runs=runs, fresh=([0],))
    plane.pieces["end"], plane.piece_first = [105], array("I", [0] + [1] * 8)
    flows = [flow(0, kind=kind, syn_data=(data, 0)), flow(1, established=not lone)]
    return joined(streams.stream(plane, connection(*flows, state=state), "initiator"))


def test_a_whole_stream() -> None:
    """Data of the SYN first, then what is mapped, and after a fallback what is not."""
    syn, mapped, plain = TEXT[50:52], TEXT[55:59], TEXT[67 + 4 : 67 + 7]
    assert stream() == mapped
    assert stream(data=2) == syn + mapped
    assert stream(data=1) == syn[:1] + mapped
    assert stream(data=2, kind="joined") == mapped
    assert stream(state="fallback") == mapped + plain
    assert stream(state="fallback", data=2) == syn + mapped + plain
    assert stream(state="fallback", lone=False) == mapped
    assert stream(state="closed") == mapped
    assert stream(state="fallback", gap=True) == b""


def test_plain_tcp_on_a_subflow_that_joined() -> None:
    """It is that of the only subflow that was established, in whichever direction."""
    rows = (201, 9, 9), (301, 9, 9)
    for role, direction in enumerate(("initiator", "listener")):
        space = 4 + 2 + role
        plane: Any = Octets(*rows, runs=((role, 1, 3, -1, -200), (space, 101, 104, -2, -200)))
        plane.pieces["end"], plane.piece_first = [101], array("I", [0] * 3 + [role ^ 1] + [1] * 5)
        one = connection(flow(0, established=False), flow(1), state="fallback")
        assert joined(streams.stream(plane, one, direction)) == TEXT[50:52] + TEXT[62:65]


def test_streams_of_both_directions() -> None:
    """Each host's own; other words are refused at once, with what there is."""
    rows = (101, 9, 9), (201, 9, 9)
    runs = (0, 1, 5, -1, -100), (1, 1, 4, -2, -200)
    plane: Any = Octets(*rows, runs=runs)
    one = connection(flow(0), flow(1))
    assert joined(streams.stream(plane, one, "initiator")) == TEXT[50:54]
    assert joined(streams.stream(plane, one, "listener")) == TEXT[62:65]
    with pytest.raises(UsageError, match="no direction 'up'"):
        streams.stream(plane, one, "up")


# -------------------------------------------------------------------- checksums


def test_carriers_of_a_half_for_its_checksums() -> None:
    """Those in order, with those that filled gaps among them, by sequence number, then row."""
    made = wire(halves=6, rows=7, sequence=[10, 40, 20, 5, 20, 30, 1])
    plane: Any = SimpleNamespace(
        wire=made, placed=array("B", [1, 1, 0]), fresh=array("I", [6, 0, 1, 5]),
        fresh_first=array("I", [0, 1, 0]), fresh_count=array("I", [1, 3, 2]),
        gap_fillers=lambda: {1: [4, 2, 3], 5: [6]},
    )  # fmt: skip
    assert list(checksums._carriers(plane, 0)) == [6]
    assert list(checksums._carriers(plane, 1)) == [3, 0, 2, 4, 5, 1]
    assert list(checksums._carriers(plane, 2)) == []


FIN, SUMMED, BY_CAPABLE, WIDE = 0x10, 0x20, 0x40, 0x08


def mapping(**fields: int) -> dict[str, int]:
    """A mapping of five octets with a checksum."""
    return {"start": 1, "dsn": 1, "ssn": 1, "length": 5, "checksum": 9, "flags": SUMMED} | fields


def columns_of(mappings: list[dict[str, int]], rows: int) -> Any:
    """Columns of mappings and of the rows that declared them; row ``n`` is in frame ``100 + n``."""
    made = wire(halves=8, rows=rows, frame=list(range(100, 100 + rows)))
    names = sorted({name for each in mappings for name in each}) or ["start"]
    made.mappings = table(
        MAPS | {"start": "q"}, len(mappings),
        **{name: [each.get(name, 0) for each in mappings] for name in names},
    )  # fmt: skip
    made.capture = SimpleNamespace(data=b"the capture")
    return made


@pytest.mark.parametrize(
    ("changes", "repeats"),
    [
        ([{}], []),
        ([{}, {}], [1]),
        ([{}, {}, {}], [1, 2]),
        # How wide its DSN is, and which option it stands in, says nothing else.
        ([{}, {"flags": SUMMED | WIDE}, {"flags": SUMMED | BY_CAPABLE}], [1, 2]),
        ([{}, {"dsn": 2}], []),
        ([{}, {"ssn": 2}], []),
        ([{}, {"length": 4}], []),
        ([{}, {"checksum": 8}], []),
        ([{}, {"flags": SUMMED | FIN}], []),
        ([{}, {"flags": 0}], []),
        ([{}, {"start": 2}], []),
        # Any that was declared before at this place, not only the one right before.
        ([{}, {"checksum": 8}, {}], [2]),
        ([{}, {"checksum": 8}, {}, {"checksum": 8}, {"checksum": 7}], [2, 3]),
        ([{}, {"start": 2}, {"start": 2, "dsn": 7}, {"start": 2}], [3]),
        ([{}, {}, {"start": 2}, {"start": 3}, {"start": 3}], [1, 4]),
        ([{}, {"dsn": 9}, {"start": 2, "dsn": 7}, {"start": 2}], []),
    ],
)
def test_which_mappings_repeat_others(changes: list[dict[str, int]], repeats: list[int]) -> None:
    """Those that say the same of the same octets as one before."""
    held = [mapping(**change) for change in changes]
    plane: Any = SimpleNamespace(wire=columns_of(held, 1), map_order=array("I", range(len(held))))
    assert checksums._repeats(plane, 0, len(held)) == set(repeats)
    # The order is that of places, whatever row of the table a mapping is.
    turned = [{"dsn": 99, "start": 0}, *held[::-1], {"dsn": 99, "start": 0}]
    last = len(held)
    plane = SimpleNamespace(
        wire=columns_of(turned, 1), map_order=array("I", [0, *range(last, 0, -1), last + 1])
    )
    assert checksums._repeats(plane, 1, last + 1) == {last - at for at in repeats}
    assert checksums._repeats(plane, 1, 1) == set()


RIGHT, WRONG, PART, NONE = 1, 2, 3, 0


def verified(
    monkeypatch: pytest.MonkeyPatch, *given: tuple[dict[str, int], int], used: bool | None = True,
    high: bool = True, halves: tuple[int, ...] | None = None, again: bool = False,
) -> tuple[tuple[int, int, int], list[tuple[str, str, int | None]], list[int]]:  # fmt: skip
    """Check mappings whose results are given; counts, notes and the halves that were checked."""
    held = [mapping(row=at, start=10 * at) | each for at, (each, _) in enumerate(given)]
    places = halves or (0,) * len(given)
    order = sorted(range(len(given)), key=lambda at: (places[at], at))
    made = columns_of(held, len(given) + 1)
    firsts = array("I", [sum(place < half for place in places) for half in range(9)])
    plane: Any = SimpleNamespace(
        wire=made, checksum=array("B", [9] * len(given)) if again else array("B"),
        map_first=firsts, map_order=array("I", order), placed=array("B", [0] * 8),
        direction=array("i", [2, 3, 2, 3, 0, 1, 0, 1]), base=array("q", [5, 6, 7, 8]),
        high_known=[True, True, high, True],
    )  # fmt: skip
    asked: list[int] = []

    def verify(data: bytes, half: int, first: Any, maps: Any, *rest: Any) -> None:
        assert (data, first, maps) == (b"the capture", plane.map_first, plane.map_order)
        assert rest[-2] == plane.base[plane.direction[half]]
        assert rest[-1] is plane.checksum
        assert len(rest) == 13
        asked.append(half)
        for at in range(firsts[half], firsts[half + 1]):
            rest[-1][order[at]] = given[order[at]][1]

    monkeypatch.setattr(
        checksums, "loops", lambda: SimpleNamespace(checksums=SimpleNamespace(verify=verify))
    )
    one = connection(flow(0), flow(1))
    one.checksum = used
    checksums.verify(plane, one)
    notes = [(note.code, note.text, note.frame) for note in one.notes]
    return one.checksums, notes, asked


def test_checksums_are_counted_and_noted(monkeypatch: pytest.MonkeyPatch) -> None:
    """Right, wrong, incomplete, with the first frame of a wrong one; repeated ones count once."""
    check = partial(verified, monkeypatch)
    assert check() == ((0, 0, 0), [], [])
    assert check(({}, RIGHT), ({}, PART), ({}, RIGHT), ({}, NONE)) == ((2, 0, 1), [], [0])
    mixed = ({}, RIGHT), ({"row": 3}, WRONG), ({"row": 2}, WRONG), ({"row": 3}, WRONG)
    text = "3 DSS checksums are wrong, 1 are right"
    assert check(*mixed) == ((1, 3, 0), [("wrong-checksum", text, 102)], [0])
    again = {"start": 5, "row": 1}
    assert check((again, RIGHT), (again, RIGHT), (again | {"dsn": 7}, WRONG), (again, RIGHT)) == (
        (1, 1, 0), [("wrong-checksum", "1 DSS checksums are wrong, 1 are right", 101)], [0],
    )  # fmt: skip


def test_checksums_that_are_all_wrong(monkeypatch: pytest.MonkeyPatch) -> None:
    """Several, and none right but of a DATA_FIN alone: the payload was rewritten."""
    alone, with_data = {"length": 1, "flags": SUMMED | FIN}, {"length": 2, "flags": SUMMED | FIN}

    def code(*given: tuple[dict[str, int], int], **more: Any) -> tuple[Any, ...] | None:
        notes = verified(monkeypatch, *given, **more)[1]
        return notes[0][::2] if notes else None

    assert code(({}, WRONG), ({}, WRONG)) == ("anonymised", 100)
    assert code(({}, PART), ({}, WRONG), ({}, WRONG)) == ("anonymised", 101)
    assert code(({}, WRONG), ({}, WRONG), (alone, RIGHT)) == ("anonymised", 100)
    assert code(({}, WRONG), ({}, WRONG), (with_data, RIGHT)) == ("wrong-checksum", 100)
    assert code(({}, WRONG), ({}, WRONG), ({"length": 1}, RIGHT)) == ("wrong-checksum", 100)
    assert code(({}, WRONG)) == ("wrong-checksum", 100)
    assert code(({}, RIGHT), ({}, WRONG), halves=(1, 0)) == ("wrong-checksum", 101)
    assert code(({}, WRONG), ({}, WRONG), ({}, RIGHT), halves=(0, 0, 3)) == ("wrong-checksum", 100)
    text = verified(monkeypatch, ({}, WRONG), ({}, WRONG))[1][0][1]
    assert text.startswith("all 2 DSS checksums over payload are wrong")


def test_which_halves_are_checked(monkeypatch: pytest.MonkeyPatch) -> None:
    """Those with mappings and all 64 bits of the DSN, unless no checksums are used."""
    given = [({}, RIGHT)] * 3
    assert verified(monkeypatch, *given, halves=(0, 3, 6))[::2] == ((2, 0, 0), [0, 3])
    assert verified(monkeypatch, *given, halves=(1, 2, 3))[::2] == ((3, 0, 0), [1, 2, 3])
    assert verified(monkeypatch, *given, halves=(0, 1, 2), high=False)[::2] == ((1, 0, 0), [1])
    assert verified(monkeypatch, *given, used=None)[0] == (3, 0, 0)
    assert verified(monkeypatch, *given, used=False) == ((0, 0, 0), [], [])
    assert verified(monkeypatch, *given, again=True)[0] == (3, 0, 0)


# -------------------------------------------------------------------- schedulers


def observed(
    role: int = 0, *, flows: int = 2, here: bool = True, shared: int = 0, behind: int = 0,
    backup: int = 0, lags: dict[int, int] | None = None, state: str = "open",
    established: tuple[bool, ...] = (), **octets: int,
) -> tuple[Any, Host, Connection]:  # fmt: skip
    """The observation of a role whose first subflow carried so many octets of each class."""
    held = [flow(at) for at in range(flows)]
    for at, one in enumerate(held):
        one.established = established[at] if established else True
        # The capture was made at this host, or at the other one.
        one.vantage = (("source", "destination")[role if here else 1 - role], True)
    group = connection(*held, state=state)
    counted = array("q", [0] * (8 * 2 * flows))
    for name, number in octets.items():
        counted[8 * role + CLASSES.index(name)] = number
    # What other directions have is nothing of this one.
    totals, spread = array("q", [999_999] * 16), array("q", [999] * 128)
    direction = 2 + role
    spread[32 * direction : 32 * direction + 32] = array("q", [0] * 32)
    totals[4 * direction : 4 * direction + 4] = array("q", [shared, behind, backup, 777])
    for bucket, number in (lags or {}).items():
        spread[32 * direction + bucket] = number
    plane: Any = SimpleNamespace(
        direction=array("i", [2, 3] * flows), octets=counted, totals=totals, lags=spread
    )
    schedulers.observe(plane, group)
    return group.hosts[role].scheduler, group.hosts[role], group


@pytest.mark.parametrize("role", [0, 1])
@pytest.mark.parametrize(
    ("settings", "redundant", "why"),
    [
        ({"first_seen": 0}, None, "no data under a mapping"),
        ({"flows": 1}, False, "one subflow only"),
        ({"established": (True, False)}, False, "one subflow only"),
        ({"first_seen": 9_999, "shared": 50}, None, "9999 octets are too few to tell"),
        ({"first_seen": 1}, None, "1 octets are too few to tell"),
        ({"first_seen": 10_000}, False,
         "0.0% of 10000 octets were carried by two subflows or more"),
        ({"shared": 25_000, "here": False}, None,
         "25.0% of 100000 octets were carried by two subflows or more; which copy was sent first "
         "shows only at the sender"),
        ({"shared": 1, "redundant": 3_999, "first_seen": 10_000}, None,
         "3999 octets were copied before anything was known about the first copy"),
        ({"shared": 1, "redundant": 4_000, "first_seen": 10_000}, True,
         "40.0% of 10000 octets were copied to another subflow within one round trip, before "
         "anything was known about the first copy"),
        ({"shared": 1, "redundant": 4_000, "first_seen": 200_000}, True, None),
        ({"shared": 1, "redundant": 4_000, "first_seen": 200_001}, None, None),
        ({"shared": 1, "redundant": 4_001, "first_seen": 200_050}, True, None),
        ({"shared": 1, "redundant": 1}, None,
         "1 octets were copied before anything was known about the first copy"),
        ({"shared": 1_000, "reinjection": 9}, False,
         "1.0% of 100000 octets were carried by two subflows or more, 9 of them after a loss, a "
         "time-out or a subflow's end"),
        ({"shared": 1, "reinjection": 8, "unclassified": 4}, False, None),
        ({"shared": 1, "reinjection": 8, "unclassified": 5}, None,
         "5 octets were copied without a visible reason"),
        ({"shared": 1}, False, None),
    ],
)  # fmt: skip
def test_what_is_said_of_a_scheduler(
    settings: dict[str, Any], redundant: bool | None, why: str | None, role: int
) -> None:
    """Each rule by itself, at its limits: 10,000 new octets, 4,000 copied ones, 2 %."""
    found, _, _ = observed(role, **({"first_seen": 100_000} | settings))
    assert found.redundant is redundant
    assert why is None or found.why == why


@pytest.mark.parametrize("role", [0, 1])
def test_numbers_beside_an_observation(role: int) -> None:
    """Shares of the new octets, and the lags of copies by the binary logarithm."""
    lags = {0: 4, 1: 5, 5: 6, 31: 7}
    found, _, _ = observed(
        role, first_seen=50_000, shared=12_500, behind=5_000, backup=70, lags=lags
    )
    assert (found.share, found.reordered, found.on_backup) == (0.25, 0.1, 70)
    assert found.lags == ((0, 4), (2, 5), (32, 6), (1 << 31, 7))
    found, _, _ = observed(first_seen=100, shared=300)
    assert found.share == 1.0
    found, _, _ = observed()
    assert (found.share, found.reordered, found.on_backup, found.lags) == (None, None, 0, ())


def test_all_subflows_have_to_be_captured_at_the_sender() -> None:
    """Those that were established."""
    for index in (0, 1):
        held = [flow(0), flow(1)]
        held[index].vantage, held[1 - index].vantage = ("destination", True), ("source", True)
        group = connection(*held)
        counted = array("q", [0] * 32)
        counted[0], counted[2 + 8 * 2] = 20_000, 0
        plane: Any = SimpleNamespace(
            direction=array("i", [0, 1, 0, 1]), octets=counted,
            totals=array("q", [9] * 8), lags=array("q", [0] * 64),
        )  # fmt: skip
        schedulers.observe(plane, group)
        assert "only at the sender" in (group.hosts[0].scheduler or found_nothing()).why


def found_nothing() -> Any:
    """There should have been an observation."""
    raise AssertionError


def test_octets_are_summed_by_class_and_by_subflow() -> None:
    """A host's over its subflows; a subflow's without retransmissions and probes."""
    group = connection(flow(0), flow(1))
    group.subflows[1].halves = (3, 2)
    counted = array("q", [10 ** (at // 8) * (1 + at % 8) for at in range(32)])
    plane: Any = SimpleNamespace(
        direction=array("i", [0, 1, 1, 0]), octets=counted, totals=array("q", [0] * 8),
        lags=array("q", [0] * 64),
    )  # fmt: skip
    schedulers.observe(plane, group)
    first, second = group.hosts
    assert list(first.transmissions.items()) == [
        (name, 1001 * (1 + at)) for at, name in enumerate(CLASSES)
    ]
    assert list(second.transmissions.values()) == [110 * (1 + at) for at in range(8)]
    assert (first.octets, second.octets) == (1001, 110)
    left_out = {"tcp_retransmission", "zero_window_probe"}
    rest = sum(1 + at for at, name in enumerate(CLASSES) if name not in left_out)
    assert [one.octets for one in group.subflows] == [(rest, 10 * rest), (1000 * rest, 100 * rest)]
    group.state = "fallback"
    schedulers.observe(plane, group)
    plain = 1 + CLASSES.index("unmapped")
    assert (first.octets, second.octets) == (1001 + 1001 * plain, 110 + 110 * plain)
