"""Where the numbers of a half begin and where its mappings lie, over hand-made columns.

Data on a SYN is outside the data sequence space (RFC 8684 appendix B), yet the subflow sequence
numbers of mappings count it by the text of section 3.3.1 and do not by that of appendix B. Both
readings are met, so that a mapping after such data may lie where its number says or as many octets
further on as the SYN/ACK accepted.
"""

from __future__ import annotations

from array import array
from types import SimpleNamespace
from typing import Any

import pytest

from mptcp_oracle.analysis import origins
from tests.common.columns import MAPS, table, wire

ACK, SYN, RST, FIN = 0x10, 0x02, 0x04, 0x01
BY_CAPABLE, DATA_FIN = 0x40, 0x10
#: How a half's initial sequence number is known: not, own SYN, the peer's SYN/ACK, third packet,
#: not surely.
UNKNOWN, OWN, SYNACK, THIRD, UNSURE = 0, 1, 2, 3, 4


def plane(halves: int = 4, rows: int = 0, **columns: list[int]) -> Any:
    """A data plane whose halves belong to MPTCP, and of which nothing is known yet."""
    held = wire(halves=halves, rows=rows, **columns)
    held.events = array("I", range(rows))
    return SimpleNamespace(
        wire=held, direction=array("i", range(halves)),
        isn_from=array("B", held.halves["isn_from"]), shift=array("q", [0] * halves),
        skew=array("q", [77] * halves), first_skew=array("q", [77] * halves),
        placed=array("B", [1] * halves), vague=array("B", [0] * halves), offered={},
    )  # fmt: skip


def connection(
    *flows: tuple[tuple[int, int], tuple[int, int]], initial: tuple[int, int] | None = (0, 1)
) -> Any:
    """A connection of subflows: their halves, and what was accepted of each role's SYN data."""
    subflows = [
        SimpleNamespace(
            halves=halves, syn_data=accepted, sides=lambda halves=halves: iter(enumerate(halves))
        )
        for halves, accepted in flows
    ]
    first = None if initial is None else SimpleNamespace(halves=initial)
    return SimpleNamespace(subflows=subflows, initial=first)


# -------------------------------------------------------------------- data on SYNs


@pytest.mark.parametrize(
    ("flags", "length", "half", "found"),
    [
        (SYN, 5, 0, {0: 5}),
        (SYN, 1, 2, {2: 1}),
        (SYN | FIN | 0xC0, 5, 1, {1: 5}),
        (SYN, 0, 0, {}),
        (SYN | ACK, 5, 0, {}),
        (ACK, 5, 0, {}),
        (RST, 5, 0, {}),
        (FIN, 5, 0, {}),
        (SYN, 5, 3, {}),
    ],
)
def test_octets_on_syns(flags: int, length: int, half: int, found: dict[int, int]) -> None:
    """A SYN without ACK may carry data; that of a SYN/ACK and of others is none on a SYN."""
    made = plane(rows=1, flags=[flags], length=[length], half=[half])
    made.direction[3] = -1
    assert origins._syn_payload(made) == found


def test_the_first_syn_with_octets_counts() -> None:
    """A SYN that is sent again may have given up its data, or have other data."""
    made = plane(rows=5, flags=[SYN] * 5, length=[0, 7, 9, 3, 0], half=[0, 0, 0, 2, 2])
    assert origins._syn_payload(made) == {0: 7, 2: 3}
    made.wire.events = array("I", [2, 4])
    assert origins._syn_payload(made) == {0: 9}


@pytest.mark.parametrize("known", range(5))
def test_which_initial_subflows_lack_their_syn(known: int) -> None:
    """Those whose initiator's number is known from the SYN/ACK alone."""
    made = plane(half_isn_from=[known, 1, SYNACK, SYNACK])
    groups = [connection(initial=(0, 1)), connection(initial=None), connection(initial=(3, 2))]
    expected = [0, 3] if known == SYNACK else [3]
    assert list(origins._without_syn(made, groups)) == expected


# -------------------------------------------------------------------- mappings that fill segments


def filled(
    *mappings: tuple[int, int, int, int, int], asked: set[int] | None = None, shift: int = 0
) -> dict[tuple[int, bool], set[int]]:
    """Where mappings begin: half, length, flags, and where their segments begin and end."""
    made = plane()
    made.shift[0] = shift
    columns = {
        name: [each[at] for each in mappings] for at, name in enumerate(("half", "length", "flags"))
    }
    made.wire.mappings = table(MAPS, len(mappings), **columns)
    low, high = (array("q", [each[at] for each in mappings]) for at in (3, 4))
    return origins._filled(made, {0, 2} if asked is None else asked, low, high)


def test_mappings_that_fill_their_segments() -> None:
    """Where segments begin and end with a mapping, its place is theirs; else nothing is said."""
    assert filled() == {}
    assert filled((0, 5, 0, 8, 8)) == {(0, False): {8}}
    assert filled((0, 5, 0, 8, 9)) == {(0, False): set()}
    assert filled((0, 5, 0, 9, 8)) == {(0, False): set()}
    assert filled((1, 5, 0, 8, 8), (3, 5, 0, 8, 8)) == {}
    assert filled((0, 5, 0, 8, 8), shift=-3) == {(0, False): {5}}
    assert filled((0, 5, 0, 8, 8), (0, 5, 0, 8, 8), (0, 5, 0, 0, 0)) == {(0, False): {0, 8}}
    assert filled(
        (0, 5, BY_CAPABLE, 8, 8), (0, 5, 0, 2, 2), (2, 5, 0x2F, 1, 1), (2, 4, BY_CAPABLE, 1, 7)
    ) == {(0, True): {8}, (0, False): {2}, (2, False): {1}, (2, True): set()}


@pytest.mark.parametrize(
    ("length", "flags", "counts"),
    [(1, DATA_FIN, False), (2, DATA_FIN, True), (1, 0, True), (1, 0xEF, True), (0, DATA_FIN, True)],
)
def test_a_data_fin_alone_has_no_place(length: int, flags: int, counts: bool) -> None:
    """A mapping of one octet that is the DATA_FIN covers no payload."""
    assert ((0, bool(flags & BY_CAPABLE)) in filled((0, length, flags, 3, 3))) == counts


# -------------------------------------------------------------------- the place of mappings


def placed(
    shown: set[int] | None,
    first: set[int] | None,
    *,
    offered: int | None,
    answered: bool = True,
    accepted: int = 0,
) -> tuple[int, int] | None:
    """By how much SYN data moves the mappings of half 0, and that of an MP_CAPABLE.

    Args:
        shown: Where mappings of DSS options begin; ``None`` if there is none.
        first: Where that of an MP_CAPABLE begins, likewise.
        offered: Octets on its SYN; ``None`` if the SYN is missing.
        answered: Whether the SYN/ACK is in the capture.
        accepted: How many it acknowledged.

    Returns:
        Both, or ``None`` if that is not known.
    """
    made = plane(half_isn_from=[OWN, OWN if answered else THIRD, OWN, OWN])
    found: dict[tuple[int, bool], set[int]] = {(2, False): {99}, (2, True): {98}}
    found |= {} if shown is None else {(0, False): set(shown)}
    found |= {} if first is None else {(0, True): set(first)}
    groups = [connection(((2, 3), (4, 0))), connection(((0, 1), (accepted, 1)))]
    origins._place(made, groups, {} if offered is None else {0: offered}, {0}, found)
    assert list(made.skew[1:]) == list(made.first_skew[1:]) == [77] * 3
    if made.placed[0]:
        assert made.vague[0] == 0
        return made.skew[0], made.first_skew[0]
    assert (made.vague[0], made.skew[0], made.first_skew[0]) == (1, 77, 77)
    return None


@pytest.mark.parametrize(
    ("shown", "expected"),
    [
        (None, (0, 0)),
        (set(), (0, 0)),
        ({0}, (0, 0)),
        ({0, 5}, (0, 0)),
        ({5}, (5, 0)),
        ({5, 6}, None),
    ],
)
def test_without_its_syn(shown: set[int] | None, expected: tuple[int, int] | None) -> None:
    """Most SYNs have no data: unless all mappings agree on some, there was none."""
    for first in (None, set(), {3}, {3, 4}):
        for answered in (True, False):
            assert placed(shown, first, offered=None, answered=answered, accepted=9) == expected


@pytest.mark.parametrize(
    ("accepted", "shown", "expected"),
    [
        (0, None, (0, 0)),
        (0, set(), (0, 0)),
        (0, {0, 5}, (0, 0)),
        (5, None, (5, 5)),
        (5, set(), None),
        (5, {5}, (5, 5)),
        (5, {0}, (0, 5)),
        (5, {0, 5}, None),
        (5, {3}, None),
        (5, {3, 5}, (5, 5)),
        (5, {0, 3}, (0, 5)),
    ],
)
def test_with_syn_and_synack(
    accepted: int, shown: set[int] | None, expected: tuple[int, int] | None
) -> None:
    """The SYN/ACK says how much; mappings say whether they count it, an MP_CAPABLE never does."""
    for first in (None, set(), {0}, {5}, {3, 4}):
        assert placed(shown, first, offered=9, accepted=accepted) == expected


@pytest.mark.parametrize(
    ("shown", "first", "expected"),
    [
        # One place, within what the SYN offered, and the same for the MP_CAPABLE.
        ({3}, None, (3, 3)),
        ({0}, None, (0, 0)),
        ({9}, None, (9, 9)),
        ({10}, None, None),
        ({-1}, None, None),
        (None, {3}, (3, 3)),
        (set(), {3}, (3, 3)),
        (None, {10}, None),
        ({3}, {3}, (3, 3)),
        ({3}, {4}, (3, 4)),
        ({3}, {10}, None),
        ({10}, {3}, None),
        # Numbers that count SYN data are at 0, and say nothing of an MP_CAPABLE that is there.
        ({0}, {4}, (0, 4)),
        ({0}, set(), None),
        ({3}, set(), (3, 3)),
        # Several places are none.
        ({3, 4}, None, None),
        (None, {3, 4}, None),
        ({3}, {3, 4}, None),
        ({3, 10}, None, (3, 3)),
        (None, {4, 11}, (4, 4)),
        (None, None, None),
        (set(), set(), None),
    ],
)
def test_with_a_syn_and_no_synack(
    shown: set[int] | None, first: set[int] | None, expected: tuple[int, int] | None
) -> None:
    """Between nothing and all of what the SYN offered was accepted: mappings have to say."""
    for accepted in (0, 5):
        assert placed(shown, first, offered=9, answered=False, accepted=accepted) == expected


# -------------------------------------------------------------------- all halves


class Loop:
    """Stands for the engine: keeps what it was asked, and answers as it is told."""

    def __init__(self, answer: list[int], inferred: list[int], ends: list[int]) -> None:
        self.answer, self.inferred, self.ends = answer, inferred, ends
        self.asked: list[Any] = []

    def infer(self, *given: Any) -> None:
        """The loop's signature: rows, mappings, columns, then what is filled in."""
        low, high, wanted, shift, hinted, inferred, first = given[-7:]
        self.asked.append([given[0], given[1], list(wanted), list(shift), list(hinted)])
        assert (list(inferred), list(first)) == ([0] * len(wanted), [0] * len(wanted))
        assert list(low) == list(high) == [0] * given[1]
        for at, value in enumerate(self.answer):
            wanted[at], inferred[at] = value, self.inferred[at]
        for at, value in enumerate(self.ends):
            low[at] = high[at] = value


def find(
    monkeypatch: pytest.MonkeyPatch,
    made: Any,
    groups: list[Any],
    answer: tuple[list[int], list[int], list[int]] = ([], [], []),
) -> list[Any]:
    """Run it; returns what the loop was asked."""
    loop = Loop(*answer)
    monkeypatch.setattr(origins, "loops", lambda: SimpleNamespace(origins=loop))
    origins.find(made, groups)
    return loop.asked


def test_what_the_handshake_tells_needs_no_loop(monkeypatch: pytest.MonkeyPatch) -> None:
    """Numbers are then shifted by how far the first one seen is from the initial one."""
    made = plane(
        halves=6, half_isn_from=[OWN, SYNACK, THIRD, OWN, OWN, OWN],
        half_base=[100, 50, 3, 0xFFFF_FFFF, 1 << 31, (1 << 31) - 1],
        half_isn=[99, 60, 0xFFFF_FFFE, 1, 0, 0],
    )  # fmt: skip
    made.direction[5] = -1
    made.placed = array("B", [0] * 6)
    assert find(monkeypatch, made, []) == []
    assert list(made.shift) == [1, -10, 5, -2, -(1 << 31), 0]
    assert list(made.isn_from) == [OWN, SYNACK, THIRD, OWN, OWN, OWN]
    assert list(made.placed) == [1, 1, 1, 1, 1, 0]
    made = plane(half_isn_from=[OWN] * 4, half_base=[(1 << 31) - 1] * 4)
    made.direction[0] = -1
    find(monkeypatch, made, [])
    assert list(made.shift) == [0] + [(1 << 31) - 1] * 3


def test_what_is_asked_of_the_loop(monkeypatch: pytest.MonkeyPatch) -> None:
    """To infer what no handshake tells of what was seen, and to look where SYN data may be."""
    made = plane(
        halves=7, rows=3, half=[4, 5, 6], flags=[SYN] * 3, length=[2, 2, 2],
        half_isn_from=[UNKNOWN, UNKNOWN, UNSURE, UNSURE, OWN, OWN, UNKNOWN],
        half_seen=[1, 0, 1, 0, 1, 1, 1], half_base=[0, 0, 30, 40, 0, 0, 0],
        half_isn=[9, 9, 20, 60, 0, 0, 9],
    )  # fmt: skip
    made.direction[6] = -1
    made.wire.mappings = table(MAPS, 2)
    made.placed = array("B", [0] * 7)
    asked = find(monkeypatch, made, [connection(((4, 5), (0, 0)), initial=None)])
    assert asked == [[3, 2, [1, 0, 1, 0, 5, 5, 0], [0, 0, 10, -20, 0, 0, 0], [0, 0, 4, 4, 0, 0, 0]]]
    assert made.offered == {4: 2, 5: 2}
    # What a third packet alone says is not sure, whatever comes of it.
    assert list(made.isn_from) == [UNKNOWN] * 4 + [OWN, OWN, UNKNOWN]
    assert list(made.placed) == [0, 0, 0, 0, 1, 1, 0]


def test_the_answers_of_the_loop(monkeypatch: pytest.MonkeyPatch) -> None:
    """2 is inferred, 6 inferred but for an MP_CAPABLE; 1, 3 and 4 leave it to the first number."""
    made = plane(
        halves=6, half_isn_from=[UNKNOWN] * 6, half_seen=[1] * 6,
        half_base=[1000, 2000, 3, 4000, 5000, 6000], half_isn=[7] * 6,
    )  # fmt: skip
    made.placed, made.shift = array("B", [0] * 6), array("q", [9] * 6)
    answer = [1, 2, 6, 3, 4, 0], [5, 50, 5, 5, 5, 5], []
    find(monkeypatch, made, [], answer)
    assert list(made.isn_from) == [0, 4, 4, 0, 0, 0]
    assert list(made.shift) == [0, 50, 5, 0, 0, 9]
    assert list(made.placed) == [0, 1, 0, 0, 0, 0]
    assert list(made.vague) == [0, 0, 1, 1, 1, 0]
    assert list(made.wire.halves["isn"]) == [1000, 1950, 0xFFFF_FFFE, 4000, 5000, 7]


def test_syn_data_is_placed_last(monkeypatch: pytest.MonkeyPatch) -> None:
    """What the loop filled in for mappings is read after it ran."""
    made = plane(
        rows=1, half=[0], flags=[SYN], length=[9], half_isn_from=[OWN, OWN, OWN, OWN],
        half_base=[11, 0, 0, 0], half_isn=[10, 0, 0, 0],
    )  # fmt: skip
    made.wire.mappings = table(MAPS, 2, half=[0, 1], length=[5, 5])
    group = connection(((0, 1), (5, 0)))
    asked = find(monkeypatch, made, [group], ([5, 0, 0, 0], [0] * 4, [4, 0]))
    assert asked[0][2] == [5, 0, 0, 0]
    assert (made.skew[0], made.first_skew[0], made.placed[0], made.vague[0]) == (5, 5, 1, 0)
    assert list(made.skew[1:]) == [77] * 3
    # Halves without a SYN that could have had data are looked at as well.
    made = plane(half_isn_from=[SYNACK, OWN, OWN, OWN])
    made.wire.mappings = table(MAPS, 1, half=[0], length=[5])
    asked = find(monkeypatch, made, [group], ([5, 0, 0, 0], [0] * 4, [6]))
    assert asked[0][2] == [5, 0, 0, 0]
    assert (made.skew[0], made.first_skew[0]) == (6, 0)
    assert made.offered == {}
