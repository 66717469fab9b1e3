"""What a copy on another subflow is taken for, one rule and one bound at a time."""

from __future__ import annotations

from types import SimpleNamespace

import pytest

from tests.common.scenery import Map, Row, Scene
from tests.common.scenes import classified

MS = 1_000_000
START = 10**12
REINJECTION, REDUNDANT, UNCLASSIFIED = "reinjection", "redundant", "unclassified"
NAMES = ("first", "again", "remap", REINJECTION, REDUNDANT, UNCLASSIFIED, "probe", "unmapped")


class Play:
    """Subflows whose even halves send the same data; each method is one segment at a time.

    Times are nanoseconds after the start. What a half sends follows what it sent before.
    """

    def __init__(self, *, sender: bool = True, quick: int = 0, rtt: tuple[int, ...] = ()) -> None:
        rtts = [0] * 6
        rtts[: 2 * len(rtt) : 2] = rtt
        self.scene = Scene(
            direction=[0, 1] * 3, rtt=rtts, at_sender=[sender] * 6, isn=[7] * 6, quick=[quick, 0]
        )
        self.next = [1] * 6

    def data(self, half: int, dsn: int, octets: int, at: int, *, skip: int = 0) -> int:
        """Octets under a mapping of their own, behind a gap; the row."""
        start = self.next[half] + skip
        self.next[half] = start + octets
        self.scene.pieces.setdefault(half, []).append((start, start + octets, len(self.scene.maps)))
        self.scene.maps.append(Map(start, dsn, octets))
        return self.row(half, at, sequence=start, length=octets)

    def row(self, half: int, at: int, **fields: int) -> int:
        """Any segment; the row."""
        self.scene.rows.append(Row(time=START + at, half=half, **fields))
        return len(self.scene.rows) - 1

    def ack(self, half: int, at: int, upto: int, data: int | None = None) -> None:
        """An acknowledgment of sequence numbers, and of data."""
        self.row(half, at, ack=7 + upto, **({} if data is None else {"data_ack": data}))

    def ends(self, half: int) -> None:
        """From the next row on a half has ended."""
        self.scene.triggers.append((len(self.scene.rows), half, 0))

    def kinds(self, loops: SimpleNamespace) -> list[str]:
        """By row: the classes of its octets."""
        return [
            " ".join(name for bit, name in enumerate(NAMES) if kinds >> bit & 1)
            for kinds in classified(loops, self.scene).kinds
        ]


@pytest.mark.parametrize(
    ("rtt", "lag", "silent"),
    [
        (0, 200 * MS - 1, False), (0, 200 * MS, True), (100 * MS, 200 * MS - 1, False),
        (100 * MS, 200 * MS, True), (100 * MS + 1, 200 * MS + 1, False),
        (100 * MS + 1, 200 * MS + 2, True), (150 * MS, 300 * MS - 1, False),
        (150 * MS, 300 * MS, True),
    ],
)  # fmt: skip
@pytest.mark.parametrize("sender", [True, False])
def test_silence_of_a_time_out_and_two_round_trips_is_a_reason(
    loops: SimpleNamespace, rtt: int, lag: int, silent: bool, sender: bool
) -> None:
    """A copy is a reinjection if its original stayed unacknowledged that long, and not before."""
    play = Play(sender=sender, rtt=(rtt, 0))
    play.data(0, 1, 10, 0)
    row = play.data(2, 1, 10, lag)
    assert play.kinds(loops)[row] == (REINJECTION if silent else UNCLASSIFIED)


@pytest.mark.parametrize(("acked", "kind"), [(10, REINJECTION), (11, UNCLASSIFIED)])
def test_silence_ends_with_the_acknowledgment_of_the_last_octet(
    loops: SimpleNamespace, acked: int, kind: str
) -> None:
    """Of a segment that was acknowledged as a whole a time-out is no reason to copy it."""
    play = Play()
    play.data(0, 1, 10, 0)
    play.ack(1, MS, acked)
    row = play.data(2, 1, 10, 300 * MS)
    assert play.kinds(loops)[row] == kind


@pytest.mark.parametrize(
    ("sender", "ended", "kind"),
    [
        (True, 60 * MS, REINJECTION), (True, 0, REINJECTION), (False, 10 * MS, REINJECTION),
        (False, 10 * MS + 1, UNCLASSIFIED), (False, 60 * MS, UNCLASSIFIED),
    ],
)  # fmt: skip
def test_the_end_of_a_subflow_is_a_reason_once_it_can_be_known(
    loops: SimpleNamespace, sender: bool, ended: int, kind: str
) -> None:
    """At the sender at once, elsewhere a round trip of the other subflow later."""
    play = Play(sender=sender, rtt=(0, 50 * MS))
    play.data(0, 1, 10, 0)
    play.ends(0)
    play.row(-1, ended)
    row = play.data(2, 1, 10, 60 * MS)
    assert play.kinds(loops)[row] == kind


@pytest.mark.parametrize(
    ("sender", "lost", "kind"),
    [
        (True, 19 * MS, UNCLASSIFIED), (True, 20 * MS, REINJECTION), (True, 70 * MS, REINJECTION),
        (False, 20 * MS - 1, UNCLASSIFIED), (False, 20 * MS, REINJECTION),
        (False, 20 * MS + 1, UNCLASSIFIED),
    ],
)  # fmt: skip
def test_a_retransmission_since_the_original_is_a_reason(
    loops: SimpleNamespace, sender: bool, lost: int, kind: str
) -> None:
    """TCP retransmitted on the original's subflow after it, as far as the copy can answer it."""
    play = Play(sender=sender, rtt=(0, 50 * MS))
    play.data(0, 1, 10, 0)
    again = {"sequence": 1, "length": 10}
    if lost < 20 * MS:
        play.row(0, lost, **again)
    play.data(0, 11, 10, 20 * MS)
    if lost >= 20 * MS:
        play.row(0, lost, **again)
    row = play.data(2, 11, 10, 70 * MS)
    assert play.kinds(loops)[row] == kind


@pytest.mark.parametrize(("sender", "kind"), [(True, REINJECTION), (False, UNCLASSIFIED)])
def test_a_copy_that_fills_a_gap_may_be_late(
    loops: SimpleNamespace, sender: bool, kind: str
) -> None:
    """Away from the sender a segment behind later ones is no answer to what happened since."""
    play = Play(sender=sender)
    play.data(0, 1, 10, 0)
    play.data(2, 11, 10, MS, skip=10)
    play.scene.pieces[2].insert(0, (1, 11, len(play.scene.maps)))
    play.scene.maps.append(Map(1, 1, 10))
    row = play.row(2, 400 * MS, sequence=1, length=10)
    assert play.kinds(loops)[row] == kind


@pytest.mark.parametrize(
    ("age", "kind"),
    [(0, REDUNDANT), (MS - 1, REDUNDANT), (MS, UNCLASSIFIED), (9 * MS, UNCLASSIFIED)],
)
def test_the_newest_octets_copied_at_once_are_redundant(
    loops: SimpleNamespace, age: int, kind: str
) -> None:
    """Sooner than any timer strikes; a little later it may have been one."""
    play = Play(quick=10 * MS)
    play.data(0, 1, 10, 0)
    row = play.data(2, 1, 10, age)
    assert play.kinds(loops)[row] == kind


@pytest.mark.parametrize(
    ("age", "acknowledged", "kind"),
    [
        (10 * MS - 1, 1, REDUNDANT), (10 * MS, 1, UNCLASSIFIED), (9 * MS, 10, REDUNDANT),
        (9 * MS, 11, UNCLASSIFIED), (9 * MS, 12, UNCLASSIFIED), (10 * MS, 11, REINJECTION),
        (10 * MS - 1, 11, UNCLASSIFIED), (10 * MS, 12, UNCLASSIFIED), (10 * MS, 10, UNCLASSIFIED),
    ],
)  # fmt: skip
def test_a_copy_that_goes_on_within_a_round_trip_is_redundant(
    loops: SimpleNamespace, age: int, acknowledged: int, kind: str
) -> None:
    """If it is behind the first octets without DATA_ACK; those are reinjected after a trip."""
    play = Play(quick=10 * MS)
    play.data(2, 1, 10, 0)
    play.data(0, 11, 10, 0)
    play.data(0, 21, 5, 0)
    play.ack(5, 1, 1, acknowledged)
    row = play.data(2, 11, 10, age)
    assert play.kinds(loops)[row] == kind


@pytest.mark.parametrize("again", [False, True])
def test_the_age_of_a_copy_counts_from_the_first_carrier(
    loops: SimpleNamespace, again: bool
) -> None:
    """Whoever carried the octets since: their first copy is old enough to be reinjected."""
    play = Play(quick=10 * MS)
    play.data(4, 201, 10, 0)
    play.data(0, 1, 10, 0)
    rows = [play.data(2, 1, 10, MS)]
    if again:
        rows.append(play.data(0, 1, 10, 15 * MS))
    else:
        play.data(0, 11, 10, 15 * MS)
    rows.append(play.data(4, 1, 10, 16 * MS))
    kinds = play.kinds(loops)
    assert [kinds[row] for row in rows] == [UNCLASSIFIED, *[REINJECTION] * (1 + again)]


def test_the_first_data_of_a_subflow_is_no_reinjection_of_the_first_octets(
    loops: SimpleNamespace,
) -> None:
    """Octets without DATA_ACK on a subflow that had carried nothing may have been duplicated."""
    play = Play(quick=10 * MS)
    play.data(0, 1, 10, 0)
    fresh = play.data(2, 1, 10, 20 * MS)
    used = Play(quick=10 * MS)
    used.data(2, 11, 10, 0)
    used.data(0, 1, 10, 0)
    row = used.data(2, 1, 10, 20 * MS)
    assert play.kinds(loops)[fresh] == UNCLASSIFIED
    assert used.kinds(loops)[row] == REINJECTION


def test_a_run_of_copies_that_began_with_old_octets_shows_nothing_until_it_is_up_to_date(
    loops: SimpleNamespace,
) -> None:
    """It may answer a timer; behind the newest octets a copy that goes on is redundant again."""
    play = Play(quick=20 * MS)
    for dsn in (1, 11, 21, 31):
        play.data(0, dsn, 10, 0)
    rows = [play.data(2, dsn, 10, at * MS) for dsn, at in ((11, 5), (21, 6), (31, 7))]
    play.data(0, 41, 10, 8 * MS)
    play.data(0, 51, 10, 8 * MS)
    rows += [play.data(2, dsn, 10, at * MS) for dsn, at in ((41, 10), (51, 11))]
    kinds = play.kinds(loops)
    assert [kinds[row] for row in rows] == [UNCLASSIFIED] * 3 + [REDUNDANT] * 2


@pytest.mark.parametrize("sender", [True, False])
def test_after_copies_without_a_reason_a_reason_proves_nothing(
    loops: SimpleNamespace, sender: bool
) -> None:
    """A direction that was seen to copy at once may copy anything."""
    play = Play(sender=sender, quick=10 * MS)
    play.data(0, 1, 10, 0)
    first = play.data(2, 1, 10, 100)
    play.data(0, 11, 10, 20 * MS)
    row = play.data(2, 11, 10, 320 * MS)
    kinds = play.kinds(loops)
    assert kinds[first] == (REDUNDANT if sender else UNCLASSIFIED)
    assert kinds[row] == UNCLASSIFIED


@pytest.mark.parametrize("sender", [True, False])
@pytest.mark.parametrize(("back", "kind"), [(1, UNCLASSIFIED), (0, REINJECTION)])
def test_a_clock_that_goes_back_gives_no_reason(
    loops: SimpleNamespace, sender: bool, back: int, kind: str
) -> None:
    """A copy with an earlier time than its original answers nothing, not even an end."""
    play = Play(sender=sender)
    play.data(0, 1, 10, MS)
    play.ends(0)
    play.scene.rows.append(Row(time=START, half=-1))
    row = play.data(2, 1, 10, MS - back)
    assert play.kinds(loops)[row] == kind


@pytest.mark.parametrize(
    ("lag", "bucket"),
    [(0, 0), (1999, 0), (2000, 1), (3999, 1), (4000, 2), (1024_000, 10), (1 << 62, 31)],
)
def test_lags_are_counted_by_their_binary_logarithm(
    loops: SimpleNamespace, lag: int, bucket: int
) -> None:
    """Octets of copies by the microseconds that passed since the previous carrier."""
    play = Play()
    play.data(0, 1, 10, -START)
    play.data(2, 1, 7, lag - START)
    told = classified(loops, play.scene)
    assert told.lags == [7 * (at == bucket) for at in range(64)]
    assert told.totals[3] == 7


@pytest.mark.parametrize(
    ("took", "sender", "known", "quick"),
    [
        (5 * MS, True, 0, 5 * MS), (5 * MS, True, 6 * MS, 5 * MS), (5 * MS, True, 4 * MS, 4 * MS),
        (5 * MS, False, 0, 0), (0, True, 0, 0), (1, True, 0, 1), (-1, True, 7, 7),
    ],
)  # fmt: skip
def test_the_quickest_round_trip_is_measured_at_the_sender(
    loops: SimpleNamespace, took: int, sender: bool, known: int, quick: int
) -> None:
    """From a new segment to the acknowledgment of its last octet; partial ones do not count."""
    play = Play(sender=sender, quick=known)
    play.data(0, 1, 10, 0)
    play.ack(1, took - 1, 10)
    play.ack(1, took, 11)
    play.data(0, 11, 10, 50 * MS)
    play.row(0, 51 * MS, sequence=11, length=10)
    play.ack(1, 51 * MS + 1, 21)
    assert classified(loops, play.scene).quick == [quick, 0]


@pytest.mark.parametrize(
    ("place", "kind", "fills"),
    [(3, "probe", True), (7, "again", False), (9, "probe", True), (14, "again", False),
     (20, "again", False), (21, "probe", False), (30, "probe", False)],
)  # fmt: skip
@pytest.mark.parametrize("gap", [True, False])
def test_a_probe_is_one_old_octet_at_a_number_that_was_not_sent(
    loops: SimpleNamespace, place: int, kind: str, fills: bool, gap: bool
) -> None:
    """Against a shut window, alone under its mapping; elsewhere it is sent again by TCP."""
    play = Play()
    play.data(0, 1, 3, 0, skip=5)
    if not gap:
        play.scene.rows.pop()
        kind, fills = {7: ("probe", True)}.get(place, (kind, fills))
    play.data(0, 4, 11, 1, skip=1)
    play.row(1, 2, window=0, ack=7, data_ack=15)
    at = len(play.scene.maps)
    play.scene.maps.append(Map(place, 2, 1))
    pieces = [each for each in play.scene.pieces[0] if not each[0] <= place < each[1]]
    play.scene.pieces[0] = sorted([*pieces, (place, place + 1, at)])
    row = play.row(0, 3, sequence=place, length=1)
    told = classified(loops, play.scene)
    assert play.kinds(loops)[row] == kind
    assert (row in told.fillers) == fills


def test_rows_that_fill_gaps_are_told_however_many(loops: SimpleNamespace) -> None:
    """Segments that come in the opposite order fill gaps, all but the first of them."""
    play = Play()
    play.scene.rows += [
        Row(time=START + at, half=0, sequence=1 + 3 * (400 - at), length=3) for at in range(400)
    ]
    told = classified(loops, play.scene)
    assert told.fillers == [*range(1, 400)]
    assert told.runs[0] == (4, 1204)
    assert told.previous == [0] * 400
