"""Which row shows a fallback, over hand-made columns: each condition by itself, from both sides.

RFC 8684 section 3.7: plain TCP begins where a host sends octets without any mapping, the other one
accepts them, and no option of MPTCP comes after. A missing option proves nothing while the frame
that had it may be missing, so everything before must be in the capture.
"""

from __future__ import annotations

from array import array
from types import SimpleNamespace
from typing import Any

import pytest

from mptcp_oracle.analysis import fallback
from mptcp_oracle.facts import CLASSES
from mptcp_oracle.options import Dss, MpPrio, Option
from tests.common.columns import ROWS, table, wire

ACK, SYN, RST, FIN = 0x10, 0x02, 0x04, 0x01
DUPLICATE, CUT, MPTCP = 0x0200, 0x0400, 0x8000
NEW, UNMAPPED = 1 << CLASSES.index("first_seen"), 1 << CLASSES.index("unmapped")


class Plane:
    """A data plane of one stream: half 0 is the one that is asked about, half 1 the other.

    Args:
        rows: For each segment what is not usual of it; by default each is one octet of half 0,
            without mapping, right behind the one before. ``piece`` is where the piece of mapping
            under it begins, if there is one, ``until`` where that ends.
    """

    def __init__(self, *rows: dict[str, Any]) -> None:
        place = 1
        columns: dict[str, list[int]] = {name: [] for name in (
            "half", "flags", "sequence", "length", "kind", "piece", "frame",
        )}  # fmt: skip
        starts, ends = [], []
        for at, given in enumerate(rows):
            row = dict(given)
            starts.append(row.get("piece", 0))
            ends.append(row.pop("until", 1 << 20))
            entry = {
                "half": 0, "flags": ACK, "sequence": place, "length": 1, "kind": UNMAPPED,
                "frame": 100 + at,
            } | row | {"piece": at if "piece" in row else -1}  # fmt: skip
            if entry["half"] == 0:
                place = entry["sequence"] + entry["length"]
            for name, held in columns.items():
                held.append(entry[name])
        self.wire = wire(halves=4, rows=len(rows))
        layout = ROWS | {"kind": "B", "piece": "i"}
        self.wire.segments = table(layout, len(rows), **columns)
        self.pieces = table({"start": "q", "end": "q"}, len(rows), start=starts, end=ends)
        self.piece_first = [0, *[len(rows)] * 4]
        mine = [at for at, half in enumerate(columns["half"]) if half == 0]
        self.wire.halves["first_row"][0] = mine[0] if mine else -1
        self.wire.halves["last_row"][0] = mine[-1] if mine else -1
        self.fresh = array("I", [at for at in mine if columns["length"][at]])
        self.fresh_first = array("I", [0] * 4)
        self.fresh_count = array("I", [len(self.fresh), 0, 0, 0])
        self.fillers: dict[int, list[int]] = {}
        self.firsts = [-1] * 4
        self.isn_from = array("B", [1, 1, 1, 1])
        self.acked = array("q", [1 << 20] * 4)
        self.block_low = array("q", [1, 1, 1, 1])
        self.mptcp_row = array("i", [-1] * 4)
        self.unmapped_row = array("i", [-1] * 4)
        self.offered: dict[int, int] = {}

    def gap_fillers(self) -> dict[int, list[int]]:
        """Rows that filled a gap."""
        return self.fillers

    def first_rows(self) -> list[int]:
        """First plain rows."""
        return self.firsts


def flow(syn_data: tuple[int, int] = (0, 0), **fields: Any) -> Any:
    """The stream of the plane, as subflow."""
    given = {"halves": (0, 1), "syn_data": syn_data, "established": True, "stream": 0}
    return SimpleNamespace(**given | fields)


# -------------------------------------------------------------------- a plain segment


@pytest.mark.parametrize("bit", range(16))
def test_which_flags_a_plain_segment_has_not(bit: int) -> None:
    """SYN, an option of MPTCP, and options that were cut show that it need not be plain."""
    plane: Any = Plane({}, {"flags": 1 << bit})
    assert fallback._is_plain(plane, 0, 1) == (1 << bit not in (SYN, CUT, MPTCP))


def test_what_comes_after_a_plain_segment() -> None:
    """An option of MPTCP of the same sender may lie before it, and neither on it nor after it."""
    plane: Any = Plane(*[{}] * 4)
    for last in range(-1, 4):
        plane.mptcp_row[0] = last
        assert [fallback._is_plain(plane, 0, row) for row in range(4)] == [
            last < row for row in range(4)
        ]


# -------------------------------------------------------------------- the first payload


@pytest.mark.parametrize(("known", "expected"), [(0, None), (1, 0), (2, 0), (3, 0), (4, None)])
def test_the_first_payload_needs_a_handshake(known: int, expected: int | None) -> None:
    """Where numbers begin is proved by a SYN, a SYN/ACK or the third packet, not by mappings."""
    plane: Any = Plane({"length": 5})
    plane.isn_from[0] = known
    assert fallback._plain_begin(plane, flow(), 0) == expected


@pytest.mark.parametrize(("acked", "expected"), [(0, None), (1, None), (2, 0), (3, 0)])
def test_the_first_payload_has_to_be_acknowledged(acked: int, expected: int | None) -> None:
    """At least its first octet: an acknowledgment of 1 is that of the SYN alone."""
    plane: Any = Plane({"length": 5})
    plane.acked[0] = acked
    assert fallback._plain_begin(plane, flow(), 0) == expected


@pytest.mark.parametrize(
    ("row", "expected"),
    [
        ({"length": 5}, 0),
        ({"sequence": 2}, None),
        ({"sequence": 0}, None),
        ({"kind": NEW}, None),
        ({"kind": NEW | UNMAPPED, "length": 9}, 0),
        ({"kind": 0}, None),
        ({"flags": ACK | MPTCP}, None),
        ({"flags": ACK | FIN}, 0),
    ],
)
def test_what_the_first_payload_is(row: dict[str, int], expected: int | None) -> None:
    """It begins with the first octet of the subflow, which is under no mapping and new."""
    plane: Any = Plane(row)
    assert fallback._plain_begin(plane, flow(), 0) == expected


def test_the_first_payload_of_each_role() -> None:
    """Each host's is sought on its own half."""
    plane: Any = Plane({"half": 1, "length": 3})
    plane.fresh, plane.fresh_count = array("I", [0]), array("I", [0, 1, 0, 0])
    assert fallback._plain_begin(plane, flow(), 0) is None
    assert fallback._plain_begin(plane, flow(), 1) == 0


def test_the_first_payload_behind_data_on_the_syn() -> None:
    """What lies before it the SYN carried; where that ends is where it has to begin."""
    rows = [{"sequence": 1, "length": 7, "flags": SYN}, {"sequence": 8, "length": 5}]
    plane: Any = Plane(*rows)
    assert fallback._plain_begin(plane, flow((7, 0)), 0) == 1
    assert fallback._plain_begin(plane, flow((6, 0)), 0) is None
    assert fallback._plain_begin(plane, flow((0, 7)), 0) is None
    plane.acked[0] = 8
    assert fallback._plain_begin(plane, flow((7, 0)), 0) is None
    plane.acked[0] = 9
    assert fallback._plain_begin(plane, flow((7, 0)), 0) == 1


def test_the_first_payload_may_have_filled_a_gap() -> None:
    """Out of order, it stands among those that were carried first but below the highest one."""
    late = {"sequence": 5, "length": 4}, {"half": 1}, {"sequence": 1, "length": 4}
    plane: Any = Plane(*late)
    plane.fresh, plane.fresh_count[0] = array("I", [0]), 1
    assert fallback._plain_begin(plane, flow(), 0) is None
    plane.fillers = {1: [2]}
    assert fallback._plain_begin(plane, flow(), 0) is None
    plane.fillers = {0: [2]}
    assert fallback._plain_begin(plane, flow(), 0) == 2
    # With all options understood, the one in order comes before the one that filled a gap.
    plane = Plane({"sequence": 1, "length": 4}, {}, {"sequence": 1, "length": 4})
    plane.fresh, plane.fresh_count[0], plane.fillers = array("I", [0]), 1, {0: [2]}
    assert fallback._plain_begin(plane, flow(), 0) == 0
    plane.mptcp_row[0] = 1
    assert fallback._plain_begin(plane, flow(), 0) == 2


def test_the_first_payload_is_sought_among_those_of_its_half() -> None:
    """Carriers of other halves stand before and behind its own."""
    plane: Any = Plane({"sequence": 1}, {"sequence": 1}, {"sequence": 1})
    plane.fresh = array("I", [0, 1, 2])
    plane.fresh_first, plane.fresh_count = array("I", [1, 0, 2, 3]), array("I", [1, 1, 1, 0])
    assert fallback._plain_begin(plane, flow(), 0) == 1
    plane.fresh_count[0] = 0
    assert fallback._plain_begin(plane, flow(), 0) is None


# -------------------------------------------------------------------- sent again behind a SYN


def again(*rows: dict[str, Any], first: int = 3, offered: int = 5, begin: int = 0) -> int | None:
    """The row that sends octet ``first`` again, after a SYN that offered some octets."""
    plane: Any = Plane(*rows)
    plane.offered = {0: offered} if offered >= 0 else {}
    plane.firsts[0] = begin
    return fallback._sent_again(plane, 0, first)


@pytest.mark.parametrize(
    ("first", "offered", "expected"),
    [(3, 2, None), (3, 3, 0), (3, 4, 0), (1, 0, None), (1, 1, 0), (1, -1, None)],
)
def test_only_what_the_syn_offered_is_sent_again(
    first: int, offered: int, expected: int | None
) -> None:
    """Octets 1 to ``offered`` were on the SYN; without any, nothing is sent again."""
    row = {"sequence": first, "length": 2}
    assert again(row, first=first, offered=offered) == expected


@pytest.mark.parametrize(
    ("row", "expected"),
    [
        ({"sequence": 3, "length": 1}, 0),
        ({"sequence": 3, "length": 900}, 0),
        ({"sequence": 3, "length": 0}, None),
        ({"sequence": 2, "length": 2}, None),
        ({"sequence": 2, "length": 1}, None),
        ({"sequence": 4, "length": 1}, None),
        ({"sequence": 3, "piece": 3}, None),
        ({"sequence": 3, "piece": 2}, None),
        ({"sequence": 3, "length": 9, "piece": 4}, 0),
    ],
)
def test_what_sends_an_octet_again(row: dict[str, int], expected: int | None) -> None:
    """A segment that begins with it, and no mapping over it."""
    assert again(row) == expected


def test_the_first_that_covers_the_octet_decides() -> None:
    """Those that do not have it are passed over; of those that have it only the first counts."""
    wanted = {"sequence": 3, "length": 2}
    assert again({"sequence": 4}, {"sequence": 1, "length": 2}, wanted) == 2
    assert again({"sequence": 2, "length": 2}, wanted) is None
    assert again({"sequence": 3, "piece": 3}, wanted) is None
    assert again(wanted, wanted) == 0
    assert again({"sequence": 1, "length": 1}, wanted) == 1


@pytest.mark.parametrize(
    "other",
    [{"flags": SYN}, {"flags": RST}, {"flags": ACK | DUPLICATE}, {"half": 1}, {"half": 2}],
)
def test_who_sends_an_octet_again(other: dict[str, int]) -> None:
    """SYNs, resets, copies that the capture made, and other halves send nothing again."""
    covering = {"sequence": 2, "length": 2}
    assert again(covering | other, {"sequence": 3, "length": 2}) == 1
    assert again({"sequence": 3, "length": 2} | other) is None


def test_where_an_octet_sent_again_is_sought(monkeypatch: pytest.MonkeyPatch) -> None:
    """From the half's first segment that is no SYN on, among so many segments."""
    rows = [{"sequence": 9}] * 3 + [{"sequence": 3}]
    assert again(*rows) == 3
    assert again(*rows, begin=3) == 3
    assert again(*rows, begin=4) is None
    assert again(*rows, begin=-1) == 3
    for most, expected in ((2, None), (3, None), (4, 3), (5, 3)):
        monkeypatch.setattr(fallback, "MOST_SEARCHED", most)
        assert again(*rows) == expected
        assert again(*rows, begin=4 - most) == (3 if most < 5 else expected)


def rest(*rows: dict[str, Any], first: int = 3, offered: int = 5) -> int:
    """The row that sends an octet from ``first`` on again, which the SYN had, without a mapping."""
    plane: Any = Plane(*rows)
    plane.offered[0] = offered
    plane.firsts[0] = 0
    return fallback._unmapped_again(plane, 0, first)


@pytest.mark.parametrize(
    ("rows", "expected"),
    [
        ([{"sequence": 3, "length": 2}], 0),
        ([{"sequence": 5}], 0),
        ([{"sequence": 6, "length": 9}], -1),
        ([{"sequence": 1, "length": 2}], -1),
        ([{"sequence": 1, "length": 3}], 0),
        ([{"sequence": 3, "length": 2, "piece": 3, "until": 5}], -1),
        ([{"sequence": 3, "length": 2, "piece": 1, "until": 9}], -1),
        ([{"sequence": 3, "length": 2, "piece": 3, "until": 4}], 0),
        ([{"sequence": 3, "length": 2, "piece": 4, "until": 5}], 0),
        ([{"sequence": 3, "length": 9, "piece": 3, "until": 6}], -1),
        ([{"sequence": 3, "length": 9, "piece": 3, "until": 5}], 0),
        ([{"sequence": 3, "piece": 3, "until": 4}, {"sequence": 4, "length": 2}], 1),
        ([{"sequence": 3, "length": 2, "flags": SYN}, {"sequence": 4}], 1),
    ],
)
def test_what_sends_the_rest_of_a_syn_without_mapping(
    rows: list[dict[str, int]], expected: int
) -> None:
    """The first segment with an octet that the SYN had, behind what was accepted, unmapped."""
    assert rest(*rows) == expected


def test_mappings_side_by_side_cover_the_rest_of_a_syn() -> None:
    """Pieces without a gap between them leave nothing uncovered; another half's do not count."""
    pieces = [{"sequence": 3, "length": 3, "piece": 3, "until": 4}, {"piece": 4, "until": 6}]
    assert rest(*pieces) == -1
    plane: Any = Plane(*pieces)
    plane.offered[0], plane.firsts[0] = 5, 0
    plane.piece_first = [0, 1, 2, 2, 2]
    assert fallback._unmapped_again(plane, 0, 3) == 0


@pytest.mark.parametrize(
    ("new", "again", "expected"),
    [(-1, None, None), (1, None, 1), (-1, 0, 0), (1, 0, 0), (0, 1, 0)],
)
def test_plain_tcp_begins_with_what_is_new_or_sent_again(
    new: int, again: int | None, expected: int | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The first of both rows counts, if there is any."""
    plane: Any = Plane({"kind": NEW}, {"kind": NEW})
    plane.unmapped_row[0] = new
    monkeypatch.setattr(fallback, "_unmapped_again", lambda *_: -1 if again is None else again)
    assert fallback._plain_from(plane, flow(), 0) == expected


def test_the_first_payload_that_is_sent_again_decides() -> None:
    """If what the SYN had comes again, it is plain or it is not, whatever else there is."""
    plane: Any = Plane({"sequence": 1, "length": 5, "flags": SYN}, {"sequence": 1, "length": 5})
    plane.offered, plane.firsts[0] = {0: 5}, 1
    assert fallback._plain_begin(plane, flow(), 0) == 1
    plane.wire.segments["kind"][1] = 0
    assert fallback._plain_begin(plane, flow(), 0) == 1
    plane.wire.segments["flags"][1] |= MPTCP
    assert fallback._plain_begin(plane, flow(), 0) is None


# -------------------------------------------------------------------- from a row on


def goes_on(**change: Any) -> int | None:
    """The row from which plain TCP goes on: row 2 of four, if nothing of it is changed."""
    plane: Any = Plane({"kind": NEW}, {"half": 1, "kind": NEW}, {"sequence": 9, "length": 4}, {})
    plane.unmapped_row[0] = 2
    for name, value in change.items():
        if name == "flags":
            plane.wire.segments["flags"][2] |= value
        elif name == "other":
            plane.mptcp_row[1] = value
        elif name == "kind":
            plane.wire.segments["kind"][0] = value
        elif name == "syn":
            plane.wire.segments["flags"][0] |= SYN
        elif name == "fillers":
            plane.fillers = value
        elif name != "syn_data":
            getattr(plane, name)[0] = value
    return fallback._plain_from(plane, flow(change.get("syn_data", (0, 0))), 0)


@pytest.mark.parametrize(
    ("change", "goes"),
    [
        ({}, True),
        ({"unmapped_row": -1}, False),
        ({"isn_from": 0}, False),
        ({"isn_from": 2}, True),
        ({"isn_from": 3}, True),
        ({"isn_from": 4}, False),
        ({"block_low": 0}, True),
        ({"block_low": 2}, False),
        ({"block_low": 6, "syn_data": (5, 0)}, True),
        ({"block_low": 7, "syn_data": (5, 0)}, False),
        ({"block_low": 6, "syn_data": (0, 5)}, False),
        ({"acked": 8}, False),
        ({"acked": 9}, False),
        ({"acked": 10}, True),
        ({"mptcp_row": 1}, True),
        ({"mptcp_row": 2}, False),
        ({"mptcp_row": 3}, False),
        ({"other": 1}, True),
        ({"other": 2}, False),
        ({"other": 3}, False),
        ({"flags": CUT}, False),
        ({"flags": FIN}, True),
        ({"kind": UNMAPPED}, False),
        ({"kind": UNMAPPED | NEW}, False),
        ({"kind": UNMAPPED, "syn": True}, True),
        ({"fillers": {0: [1]}}, True),
        ({"fillers": {1: [0]}}, True),
    ],
)
def test_plain_tcp_goes_on_from_a_row(change: dict[str, Any], goes: bool) -> None:
    """All before is known and mapped, the row is accepted, and nobody speaks MPTCP after it."""
    assert goes_on(**change) == (2 if goes else None)


@pytest.mark.parametrize("bit", range(16))
def test_which_flags_let_plain_tcp_go_on(bit: int) -> None:
    """Only options that were cut may have said that there was a mapping."""
    assert goes_on(flags=1 << bit) == (None if 1 << bit == CUT else 2)


def test_unmapped_octets_that_filled_a_gap_before() -> None:
    """They count as well as those in order; those behind the row do not."""
    plane: Any = Plane({"kind": NEW}, {}, {"sequence": 9, "length": 4}, {})
    plane.unmapped_row[0] = 2
    plane.fresh, plane.fresh_count[0] = array("I", [0, 2]), 2
    assert fallback._plain_from(plane, flow(), 0) == 2
    plane.fillers = {0: [3]}
    assert fallback._plain_from(plane, flow(), 0) == 2
    plane.fillers = {0: [1]}
    assert fallback._plain_from(plane, flow(), 0) is None
    # Half 1 may stand before it among the carriers.
    plane.fresh, plane.fresh_first[0], plane.fillers = array("I", [1, 0, 2]), 1, {}
    assert fallback._plain_from(plane, flow(), 0) == 2
    plane.fresh_first[0] = 0
    assert fallback._plain_from(plane, flow(), 0) is None
    plane.fresh, plane.fresh_first[0] = array("I", [0, 0, 1, 2]), 2
    assert fallback._plain_from(plane, flow(), 0) is None


def test_plain_tcp_of_the_other_half_counts_its_own_data_on_the_syn() -> None:
    """The half decides whose numbers are meant."""
    plane: Any = Plane({"half": 1, "kind": UNMAPPED})
    plane.unmapped_row[1], plane.block_low[1] = 0, 6
    assert fallback._plain_from(plane, flow((5, 0)), 1) is None
    assert fallback._plain_from(plane, flow((0, 5)), 1) == 0


# -------------------------------------------------------------------- the third packet


@pytest.mark.parametrize("flags", [SYN, SYN | ACK, RST, RST | ACK, ACK | DUPLICATE])
def test_the_first_segment_after_the_syn(flags: int) -> None:
    """It is the initiator's, no SYN, no reset, and no copy that the capture made."""
    plane: Any = Plane({"flags": flags}, {"half": 1}, {}, {})
    assert fallback._first_segment(plane, flow()) == 2
    plane = Plane({}, {"half": 1}, {})
    assert fallback._first_segment(plane, flow()) == 0
    assert fallback._first_segment(plane, flow(halves=(1, 0))) is None


def test_where_the_first_segment_is_sought(monkeypatch: pytest.MonkeyPatch) -> None:
    """Near the SYN first; only if the half goes on far behind it, in the whole capture."""
    rows = [{"half": 1}, {"flags": SYN}, {"half": 1}, {"half": 1}, {}]
    for most, near in ((2, False), (3, False), (4, True), (5, True)):
        monkeypatch.setattr(fallback, "MOST_LOOKED_AT", most)
        plane: Any = Plane(*rows)
        assert fallback._first_segment(plane, flow()) == (4 if near else None)
        plane.firsts[0] = 0
        assert fallback._first_segment(plane, flow()) == (4 if near else 0)
        plane.firsts[0] = 77
        assert fallback._first_segment(plane, flow()) == (4 if near else 77)
    monkeypatch.setattr(fallback, "MOST_LOOKED_AT", 4)
    plane = Plane({"half": 1}, {"flags": SYN}, {"half": 1}, {"half": 1})
    plane.firsts[0] = 77
    assert fallback._first_segment(plane, flow()) is None
    plane.wire.halves["first_row"][0] = plane.wire.halves["last_row"][0] = -1
    assert fallback._first_segment(plane, flow()) is None


def shaken(
    *,
    third: dict[str, Any] | None = None,
    data: dict[str, Any] | None = None,
    mptcp: int = 0,
    last: int = -1,
    acked: tuple[int, int] = (9, 0),
    **fields: Any,
) -> Any:
    """The fallback that a handshake shows: SYN, SYN/ACK, plain third packet, plain data."""
    empty = {"length": 0, "kind": 0}
    rows: list[dict[str, Any]] = [{"flags": SYN} | empty, {"half": 1} | empty]
    rows += [] if third == {"half": 1} else [empty | (third or {})]
    plane: Any = Plane(*rows, {"length": 4} if data is None else data)
    plane.wire.halves["mptcp"][0] = mptcp
    plane.mptcp_row[0] = last
    plane.acked = array("q", [*acked, 0, 0])
    given = {"ack": None, "synack": object(), "plain_synack": None, "plain_syn": None}
    shake = SimpleNamespace(**given | fields)
    build: Any = SimpleNamespace(shakes={0: shake}, wire=plane.wire)
    return fallback._handshake_fallback(build, plane, flow())


def test_a_handshake_that_falls_back_at_each_packet() -> None:
    """At a SYN sent again without MP_CAPABLE, at such a SYN/ACK, or at such a third packet."""
    plain = {"synack": None, "plain_synack": 1}
    assert shaken(**plain, plain_syn=3)[::2] == ("syn", 103)
    assert shaken(**plain, plain_syn=0)[::2] == ("syn", 100)
    assert shaken(**plain)[::2] == ("synack", 101)
    assert shaken(synack=None, plain_synack=0)[::2] == ("synack", 100)
    assert shaken(synack=None) is None
    assert shaken(synack=None, plain_syn=0) is None
    assert shaken(ack=object()) is None
    assert shaken()[::2] == ("third_packet", 102)


@pytest.mark.parametrize("bit", range(8))
def test_which_options_of_the_initiator_show_that_it_speaks_mptcp(bit: int) -> None:
    """Numbers of a DSS, mapped or acknowledged, in 4 octets or 8 (bits 1 to 4)."""
    found = shaken(mptcp=1 << bit)
    assert (found is None) == (bit in (1, 2, 3, 4))


@pytest.mark.parametrize(
    ("change", "falls"),
    [
        ({"flags": ACK | CUT}, False),
        ({"flags": ACK | MPTCP}, False),
        ({"flags": ACK | FIN}, True),
    ],
)
def test_what_the_third_packet_must_not_have(change: dict[str, int], falls: bool) -> None:
    """An option of MPTCP, or options that the snap length cut."""
    assert (shaken(third=change) is not None) == falls


def test_what_has_to_follow_the_third_packet() -> None:
    """Plain first payload of either host, and no option of the initiator's behind it."""
    assert [shaken(last=last) is None for last in range(-1, 4)] == [
        False, False, False, False, True,
    ]  # fmt: skip
    assert shaken(acked=(1, 0)) is None
    assert shaken(data={"length": 4, "kind": NEW}) is None
    assert shaken(data={"length": 4, "sequence": 2}) is None


def test_without_a_segment_after_the_syn_nothing_fell_back() -> None:
    """The third packet may be missing."""
    assert shaken(third={"half": 1}, data={"half": 1}) is None


# -------------------------------------------------------------------- infinite mappings


class Sign:
    """An option where it stands."""

    def __init__(self, row: int, option: Option) -> None:
        self.row, self._option = row, option

    def decode(self, version: int | None) -> Option:
        """Its value."""
        assert version == 1
        return self._option


INFINITE = Dss.of(dsn=1, ssn=1, dll=0)


def infinite(*streams: list[tuple[int, Option]]) -> int | None:
    """The row of the first infinite mapping on some subflows."""

    def of(stream: int, subtype: int) -> list[Sign]:
        assert subtype == 2
        return [Sign(row, option) for row, option in streams[stream]]

    signals: Any = SimpleNamespace(of=of)
    flows = [SimpleNamespace(stream=stream) for stream in range(len(streams))]
    connection: Any = SimpleNamespace(subflows=flows, version=1)
    return fallback._infinite(signals, connection)


def test_the_first_infinite_mapping_of_all_subflows() -> None:
    """A Data-Level Length of 0 without DATA_FIN; the earliest row counts, row 0 too."""
    ends = Dss.of(dsn=1, dll=0, data_fin=True)
    usual = Dss.of(dsn=1, ssn=1, dll=1)
    acknowledges = Dss.of(data_ack=0)
    assert infinite([]) is None
    assert infinite() is None
    assert infinite([(3, ends), (4, usual), (5, acknowledges), (6, MpPrio(backup=True))]) is None
    assert infinite([(3, usual), (7, INFINITE), (9, INFINITE)]) == 7
    assert infinite([(7, INFINITE)], [(5, INFINITE), (8, INFINITE)]) == 5
    assert infinite([(7, usual)], [(0, INFINITE)]) == 0


# -------------------------------------------------------------------- all together


def test_the_only_established_subflow() -> None:
    """With two of them no fallback is possible, and refused joins are none."""
    one, two, refused = flow(), flow(), flow(established=False)

    def lone(*flows: Any) -> Any:
        connection: Any = SimpleNamespace(subflows=list(flows))
        return fallback.lone_subflow(connection)

    assert lone() is None
    assert lone(refused) is None
    assert lone(one) is one
    assert lone(refused, two, refused) is two
    assert lone(one, two) is None


def whole(
    *rows: dict[str, Any], number: int = 0, signs: list[tuple[int, Option]] | None = None,
    shake: Any = None, **fields: Any,
) -> Any:  # fmt: skip
    """The fallback of a connection with one subflow, whose handshake is in order."""
    plane: Any = Plane(*rows)
    for name, value in fields.items():
        setattr(plane, name, value)
    subflow = flow(kind="initial")
    connection: Any = SimpleNamespace(
        initial=subflow if number == 0 else None, subflows=[subflow], id=number, version=1
    )
    shakes = {0: shake or SimpleNamespace(ack=object())}
    build: Any = SimpleNamespace(shakes=shakes, wire=plane.wire)
    signals: Any = SimpleNamespace(of=lambda *_: [Sign(*sign) for sign in signs or []])
    found = fallback.fallback_of(build, signals, plane, connection)
    return found if found is None else found[::2]


def test_the_first_row_of_either_host_is_told() -> None:
    """Where both hosts begin with plain TCP, or go on with it, the earlier row is the place."""
    both = {"half": 1, "sequence": 1, "length": 2}, {"sequence": 1, "length": 2}
    carriers = {
        "fresh": array("I", [1, 0]),
        "fresh_first": array("I", [0, 1, 2, 2]),
        "fresh_count": array("I", [1, 1, 0, 0]),
    }
    assert whole(*both, **carriers) == ("no_mapping", 100)
    assert whole(*both, **carriers, acked=array("q", [9, 1, 0, 0])) == ("no_mapping", 101)
    assert whole(*both, **carriers, acked=array("q", [1, 9, 0, 0])) == ("no_mapping", 100)
    assert whole(*both, **carriers, acked=array("q", [1, 1, 0, 0])) is None
    later = {"kind": NEW, "length": 8}, {"half": 1, "sequence": 9}, {"sequence": 9}
    plain = array("i", [2, 1, -1, -1])
    assert whole(*later, unmapped_row=plain) == ("no_mapping", 101)
    assert whole(*later, unmapped_row=array("i", [2, -1, -1, -1])) == ("no_mapping", 102)


def test_the_handshake_comes_first_and_then_an_infinite_mapping() -> None:
    """Each says more than plain payload does."""
    plain = {"sequence": 1, "length": 2}
    shake = SimpleNamespace(ack=None, synack=None, plain_synack=0, plain_syn=None)
    endless = [(0, INFINITE)]
    assert whole(plain, {}, signs=endless, shake=shake) == ("synack", 100)
    assert whole(plain, {}, shake=shake) == ("synack", 100)
    assert whole({}, plain, signs=endless) == ("infinite_mapping", 100)
    assert whole(plain, signs=endless, number=-1) == ("infinite_mapping", 100)


def test_only_whole_connections_fall_back() -> None:
    """A subflow whose connection is not in the capture is not judged; any other one is."""
    plain = {"sequence": 1, "length": 2}
    assert [whole(plain, number=number) for number in (-2, -1, 0, 1, 2)] == [
        None, None, ("no_mapping", 100), ("no_mapping", 100), ("no_mapping", 100),
    ]  # fmt: skip
