"""How subflows and connections ended, over hand-made columns and signals.

RFC 9293 sections 3.6 and 3.10.7.4 (FIN, RST), RFC 8684 sections 3.1 (first mapping), 3.3.3
(DATA_FIN), 3.5 (fast close) and 3.6 (MP_TCPRST).
"""

from __future__ import annotations

from array import array
from types import SimpleNamespace
from typing import Any

import pytest

from mptcp_oracle.analysis import closing
from mptcp_oracle.analysis.entities import Connection, DataFin, Host, Mismatch, Subflow, SubflowEnd
from mptcp_oracle.analysis.signals import Raw
from mptcp_oracle.encode import encode
from mptcp_oracle.options import Dss, MpPrio, MpTcprst, Option
from mptcp_oracle.wire.segments import Endpoint
from tests.common.columns import MAPS, table, wire

FIN, SYN, RST, ACK = 0x01, 0x02, 0x04, 0x10
SECOND = 1_000_000_000
MEGA = 1 << 20


def subflow(stream: int = 0, *, kind: str = "initial", **fields: Any) -> Subflow:
    """A subflow of a stream."""
    return Subflow(
        id=stream, stream=stream, kind=kind, source=Endpoint("a", 1),
        destination=Endpoint("b", 2), halves=(2 * stream, 2 * stream + 1), opener=0, **fields,
    )  # fmt: skip


def connection(*flows: Subflow, idsns: tuple[int | None, int | None] = (None, None)) -> Connection:
    """A connection of subflows."""
    hosts = (Host(role="initiator", idsn=idsns[0]), Host(role="listener", idsn=idsns[1]))
    return Connection(id=0, version=1, hosts=hosts, subflows=list(flows))


class Signs:
    """Options and events by stream.

    Args:
        rows: Stream, half, flags, option of each row; rows with SYN, FIN or RST are events.
    """

    def __init__(self, *rows: tuple[int, int, Option | None]) -> None:
        self.options: dict[int, list[Raw]] = {}
        self.events: dict[int, list[Raw]] = {}
        for at, (half, flags, option) in enumerate(rows):
            if option is not None:
                raw = Raw(at, half, flags, 0, encode(option))
                self.options.setdefault(half >> 1, []).append(raw)
            if flags & (SYN | FIN | RST):
                self.events.setdefault(half >> 1, []).append(Raw(at, half, flags, 0, b""))

    def of(self, stream: int, subtype: int) -> list[Raw]:
        """The options of a subtype in a stream."""
        return [raw for raw in self.options.get(stream, []) if raw.subtype == subtype]


# -------------------------------------------------------------------- the end of a subflow


def ended(
    *rows: tuple[int, int, Option | None], flow: Subflow | None = None, **columns: list[int]
) -> tuple[tuple[Any, ...] | None, list[tuple[int, int]], list[tuple[str, int | None]]]:
    """How a subflow ended, the triggers as row and half, and the notes as code and frame."""
    made = wire(
        halves=4, rows=len(rows), half=[row[0] for row in rows], flags=[row[1] for row in rows],
        frame=list(range(100, 100 + len(rows))),
        **{name: held if name[:5] == "half_" else held[: len(rows)]
           for name, held in columns.items()},
    )  # fmt: skip
    made.halves["last_row"][0] = max([at for at, row in enumerate(rows) if row[0] == 0], default=-1)
    made.halves["last_row"][1] = max([at for at, row in enumerate(rows) if row[0] == 1], default=-1)
    one = subflow() if flow is None else flow
    group = connection(one)
    build: Any = SimpleNamespace(wire=made)
    signals: Any = Signs(*rows)
    triggers = closing.end_subflow(build, signals, group, one)
    assert {trigger.kind for trigger in triggers} <= {"end"}
    end = one.end and (one.end.how, one.end.by, one.end.reason, one.end.frame)
    places = [(trigger.row, trigger.half) for trigger in triggers]
    return end, places, [(note.code, note.frame) for note in group.notes]


PLAIN = (0, ACK, None)


def test_an_open_subflow() -> None:
    """SYNs and data end nothing."""
    assert ended((0, SYN, None), (1, SYN | ACK, None), PLAIN) == (None, [], [])


def test_fins() -> None:
    """The first FIN says by whom; both make it whole, repeated ones of one host do not."""
    ours, theirs = (0, FIN | ACK, None), (1, FIN | ACK, None)
    assert ended(PLAIN, ours) == (("half_fin", "initiator", None, 101), [(1, 0)], [])
    assert ended(theirs) == (("half_fin", "listener", None, 100), [(0, 1)], [])
    assert ended(ours, ours) == (("half_fin", "initiator", None, 100), [(0, 0), (1, 0)], [])
    assert ended(ours, ours, theirs) == (
        ("fin", "initiator", None, 100), [(0, 0), (1, 0), (2, 1)], []
    )  # fmt: skip
    assert ended(theirs, ours) == (("fin", "listener", None, 100), [(0, 1), (1, 0)], [])


def test_resets() -> None:
    """A RST ends both halves; after a FIN it still does, after both it changes nothing."""
    ours, theirs = (0, FIN | ACK, None), (1, FIN | ACK, None)
    reset = (1, RST | ACK, None)
    both = [(1, 0), (1, 1)]
    assert ended(PLAIN, reset) == (("reset", "listener", None, 101), both, [])
    assert ended(PLAIN, (0, RST, None)) == (("reset", "initiator", None, 101), both, [])
    assert ended(ours, reset, theirs) == (("reset", "listener", None, 101), [(0, 0), *both], [])
    assert ended(ours, theirs, reset) == (
        ("fin", "initiator", None, 100), [(0, 0), (1, 1)], []
    )  # fmt: skip
    assert ended(ours, theirs, (1, RST | FIN, None)) == (
        ("fin", "initiator", None, 100), [(0, 0), (1, 1), (2, 1)], []
    )  # fmt: skip
    # What follows a RST is not looked at.
    assert ended(reset, theirs, (0, RST, None)) == (
        ("reset", "listener", None, 100), [(0, 0), (0, 1)], []
    )  # fmt: skip


def test_reasons_are_those_of_the_reset_itself() -> None:
    """An MP_TCPRST on another segment, or another option on the RST, gives no reason."""
    why = MpTcprst(reason=3)
    assert ended(PLAIN, (1, RST | ACK, why))[0] == ("reset", "listener", 3, 101)
    assert ended(PLAIN, (1, RST | ACK, MpTcprst(reason=0)))[0] == ("reset", "listener", 0, 101)
    assert ended((1, ACK, why), (1, RST | ACK, None))[0] == ("reset", "listener", None, 101)
    assert ended((1, RST | ACK, None), (1, RST | ACK, why))[0] == ("reset", "listener", None, 100)
    assert ended((1, RST | ACK, MpPrio(backup=True)))[0] == ("reset", "listener", None, 100)
    assert ended((1, RST | ACK, why), (0, RST | ACK, MpTcprst(reason=9)))[0] == (
        "reset", "listener", 3, 100,
    )  # fmt: skip


def test_names_of_roles_are_those_of_the_subflow() -> None:
    """Where nothing tells who is who, the end has no host; halves are in the order of roles."""
    unknown = subflow()
    unknown.opener = None
    assert ended((1, FIN, None), flow=unknown)[0] == ("half_fin", None, None, 100)
    turned = subflow()
    turned.halves = (1, 0)
    assert ended((1, FIN, None), flow=turned)[:2] == (
        ("half_fin", "initiator", None, 100), [(0, 1)]
    )  # fmt: skip


@pytest.mark.parametrize(
    ("waited", "beyond", "goes_on"),
    [
        (SECOND, 0, False), (SECOND + 1, 0, True), (0, MEGA, False), (0, MEGA + 1, True),
        (0, -(1 << 40), False), (-SECOND, 0, False), (0, 0, False),
    ],
)  # fmt: skip
def test_a_reset_that_did_not_end_its_sender(waited: int, beyond: int, goes_on: bool) -> None:
    """It was none if its sender goes on for more than a second, or its number is far outside."""
    rows = [PLAIN, (0, RST, None), (0, ACK, None)]
    columns = {"time": [0, 5000, 5000 + waited], "sequence": [1, 70 + beyond, 90]}
    found = ended(*rows, **columns, half_top=[70, 9])
    if goes_on:
        assert found == (None, [], [("reset-without-effect", 101)])
    else:
        assert found == (("reset", "initiator", None, 101), [(1, 0), (1, 1)], [])


def test_a_reset_with_nothing_after_it() -> None:
    """Whatever its number is, and however long other hosts go on, it ended its sender."""
    far = {"sequence": [1, 5 * MEGA, 1, 1], "time": [0, 0, 9 * SECOND, 9 * SECOND]}
    reset = (0, RST, None)
    both = [(1, 0), (1, 1)]
    assert ended(PLAIN, reset, **far) == (("reset", "initiator", None, 101), both, [])
    assert ended(PLAIN, reset, (1, ACK, None), **far)[0] == ("reset", "initiator", None, 101)
    # The last segment being a RST, its sender did not go on.
    assert ended(PLAIN, reset, (0, RST, None), **far)[0] == ("reset", "initiator", None, 101)
    assert ended(PLAIN, reset, PLAIN, reset, **far)[0] == ("reset", "initiator", None, 101)
    assert ended(PLAIN, reset, PLAIN, PLAIN, **far)[0] is None


def test_a_reset_that_is_the_last_of_very_many_segments() -> None:
    """Nothing comes after it in row 300 either."""
    rows = [PLAIN] * 300 + [(0, RST, None)]
    found = ended(*rows, sequence=[1] * 300 + [5 * MEGA], half_top=[70, 9])
    assert found == (("reset", "initiator", None, 400), [(300, 0), (300, 1)], [])


def test_after_a_reset_without_effect_the_subflow_goes_on() -> None:
    """The FINs, or a reset that counts, come later; resets without effect are one note."""
    late = {"time": [0, 0, 2 * SECOND, 4 * SECOND, 6 * SECOND], "sequence": [1] * 5}
    rows = [PLAIN, (0, RST, None), (0, RST, None), (1, FIN | ACK, None), (0, FIN | ACK, None)]
    assert ended(*rows, **late) == (
        ("fin", "listener", None, 103), [(3, 1), (4, 0)], [("reset-without-effect", 101)]
    )  # fmt: skip


# -------------------------------------------------------------------- DATA_FINs


class Plane:
    """A data plane with one mapping a row, or none."""

    def __init__(self, made: Any, **fields: Any) -> None:
        self.wire = made
        self.direction = array("i", [0, 1, 0, 1])
        self.base = array("q", [1000, 2000])
        self.dack_top = array("q", [1, 1])
        self.isn_from = array("B", [1] * 4)
        for name, value in fields.items():
            setattr(self, name, value)


def finished(
    *rows: tuple[int, int, Option | None], top: tuple[int, int] = (1, 1), role: int = 0,
    marks: list[int] | None = None, mapping: list[int] | None = None,
    maps: list[tuple[int, int, int]] | None = None, turned: bool = False,
) -> tuple[tuple[int, int, bool] | None, int | None]:  # fmt: skip
    """The DATA_FIN of a role as frame, DSN, whether acknowledged; and what was acknowledged."""
    made = wire(
        halves=4, rows=len(rows), frame=list(range(100, 100 + len(rows))),
        mapping=mapping or [-1] * len(rows), half_mptcp=marks or [0] * 4,
    )  # fmt: skip
    held = maps or []
    made.mappings = table(
        MAPS, len(held), ssn=[each[0] for each in held], length=[each[1] for each in held],
        dsn=[each[2] for each in held],
    )  # fmt: skip
    flows = [subflow(1, kind="joined"), subflow(0)] if turned else [subflow(0), subflow(1)]
    group = connection(*flows)
    plane: Any = Plane(made, dack_top=array("q", top))
    signals: Any = Signs(*rows)
    closing._data_fin(plane, signals, group, role, role)
    fin = group.hosts[role].data_fin
    assert group.hosts[1 - role].data_fin is None
    return fin and (fin.frame, fin.dsn, fin.acknowledged), group.hosts[role].acknowledged


def dss(dsn: int, dll: int, *, fin: bool = True, ssn: int = 0) -> Dss:
    """A mapping."""
    return Dss.of(dsn=dsn, dll=dll, ssn=ssn, data_fin=fin)


def test_no_data_fin() -> None:
    """Mappings, acknowledgments and other options are none, nor is one of the other host."""
    rows = [
        (0, ACK, dss(1001, 5, fin=False)), (0, ACK, Dss.of(data_ack=1, data_fin=True)),
        (0, ACK, MpPrio(backup=True)), (1, ACK, dss(2001, 1)),
    ]  # fmt: skip
    assert finished(*rows) == (None, None)
    assert finished(*rows, role=1) == ((103, 1, False), None)


@pytest.mark.parametrize(
    ("dsn", "dll", "own"),
    [(1001, 1, 1), (1001, 6, 6), (1051, 1, 51), (1051, 2, 52), (1001, 0, 1)],
)
def test_the_dsn_of_a_data_fin(dsn: int, dll: int, own: int) -> None:
    """It is the last one of its mapping (RFC 8684 section 3.3.3)."""
    assert finished((0, ACK, dss(dsn, dll)))[0] == (100, own, False)


@pytest.mark.parametrize(("top", "known"), [(5, False), (6, False), (7, True), (70, True)])
def test_a_data_fin_is_acknowledged_beyond_itself(top: int, known: bool) -> None:
    """A DATA_ACK of its own DSN still expects it."""
    assert finished((0, ACK, dss(1001, 6)), top=(top, 99))[0] == (100, 6, known)
    assert finished((1, ACK, dss(2001, 6)), top=(99, top), role=1)[0] == (100, 6, known)


def test_the_first_data_fin_of_all_subflows() -> None:
    """By its row, in whatever order the subflows are."""
    first, second = (2, ACK, dss(1001, 3)), (0, ACK, dss(1001, 4))
    for turned in (False, True):
        assert finished(first, second, turned=turned)[0] == (100, 3, False)
        assert finished(second, first, turned=turned)[0] == (100, 4, False)
        assert finished(PLAIN, first, first, second, turned=turned)[0] == (101, 3, False)
        assert finished((0, ACK, dss(1001, 9, fin=False)), second, first, turned=turned)[0] == (
            101, 4, False,
        )  # fmt: skip


@pytest.mark.parametrize(
    ("ssn", "dll", "at", "own"),
    [
        (7, 4, 0, 53), (7, 4, 1, 4), (7, 5, 0, 5), (7, 3, 0, 3), (8, 4, 0, 4), (6, 4, 0, 4),
        (7, 4, -1, 4),
    ],
)  # fmt: skip
def test_the_data_plane_reads_the_number_of_its_mapping(
    ssn: int, dll: int, at: int, own: int
) -> None:
    """If it is the option's own mapping; a DSN of four octets means what it found."""
    rows = [(0, ACK, dss(1001, dll, ssn=ssn))]
    found = finished(*rows, mapping=[at], maps=[(7, 4, 50), (9, 9, 9)])
    assert found[0] == (100, own, False)


def test_what_was_acknowledged() -> None:
    """It is known once the other host sent a DATA_ACK in any width, on any subflow."""
    for mark, known in ((0x01, False), (0x02, False), (0x04, True), (0x08, False), (0x10, True),
                        (0x20, False), (0xEB, False)):  # fmt: skip
        expected = 5 if known else None
        assert finished(marks=[0, mark, 0, 0], top=(5, 6))[1] == expected
        assert finished(marks=[0, 0, 0, mark], top=(5, 6))[1] == expected
        assert finished(marks=[mark, 0, mark, 0], top=(5, 6))[1] is None
        assert finished(marks=[mark, 0, 0, 0], top=(6, 5), role=1)[1] == expected


@pytest.mark.parametrize(
    ("dsn", "base", "relative"),
    [
        (1001, 1000, 1),
        (0, 1000, -1000),
        (3, -2, 5),
        ((1 << 64) - 1, -2, 1),
        (0, -(1 << 63), -(1 << 63)),
    ],
)
def test_numbers_relative_to_a_base(dsn: int, base: int, relative: int) -> None:
    """Without a mapping of its own in the data plane, modulo 2**64."""
    made = wire(rows=1, mapping=[-1])
    plane: Any = Plane(made, base=array("q", [0, base]))
    assert closing._relative(plane, Dss.of(dsn=dsn, dll=1), 1, 0) == relative


# -------------------------------------------------------------------- the first mapping

WIDE, BY_CAPABLE = 0x08, 0x40


def begins(
    dsn: int = 1, *, start: int = 1, pieces: list[tuple[int, int]] | None = None,
    syn_data: tuple[int, int] = (0, 0), flags: int = WIDE, idsn: int | None = 1000,
    known: int = 1, kind: str = "initial", flows: int = 1, named: Mismatch | None = None,
    role: int = 0, base: int = 1000,
) -> tuple[list[tuple[Any, ...]], list[tuple[str, str, int | None]]]:  # fmt: skip
    """Mismatches and notes of a first mapping at subflow sequence number ``start``."""
    made = wire(rows=3, frame=[7, 8, 9])
    made.mappings = table(
        MAPS | {"start": "q"}, 2, dsn=[99, dsn], start=[99, start], flags=[0, flags], row=[0, 2]
    )
    held = [(start, start + 10)] if pieces is None else pieces
    firsts = array("I", [0, 0, 0, 0, 0])
    half = role
    for at in range(half + 1, 5):
        firsts[at] = len(held)
    columns = {
        "start": [each[0] for each in held], "end": [each[1] for each in held],
        "map": [1] * len(held),
    }  # fmt: skip
    bases = array("q", [5] * 6)
    bases[4 + role] = base
    isns = array("B", [0] * 4)
    isns[half] = known
    plane: Any = Plane(
        made, pieces=SimpleNamespace(of=lambda *names: [columns[name] for name in names]),
        piece_first=firsts, isn_from=isns, base=bases, direction=array("i", [4, 5, 4, 5]),
    )  # fmt: skip
    idsns = (idsn, None) if role == 0 else (None, idsn)
    group = connection(
        subflow(0, kind=kind, syn_data=syn_data),
        *[subflow(1, kind="joined")] * (flows - 1), idsns=idsns,
    )  # fmt: skip
    group.mismatches += [] if named is None else [named]
    closing._first_mapping(plane, group, role)
    found = group.mismatches[0 if named is None else 1 :]
    return (
        [(each.what, each.host, each.frame, each.expected, each.seen) for each in found],
        [(note.code, note.text, note.frame) for note in group.notes],
    )


def wrong(seen: int, *, host: str = "initiator", digits: int = 16, expected: int = 1000) -> Any:
    """The mismatch of an IDSN."""
    return [("idsn", host, 9, f"{expected:016x}", f"{seen:0{digits}x}")], []


@pytest.mark.parametrize("role", [0, 1])
def test_the_first_octet_has_the_dsn_after_the_idsn(role: int) -> None:
    """One octet earlier, or many, it does not follow from the key; later it may be another's."""
    host = ("initiator", "listener")[role]
    assert begins(1, role=role) == ([], [])
    assert begins(0, role=role) == wrong(999, host=host)
    assert begins(-500, role=role) == wrong(499, host=host)
    assert begins(2, role=role) == (
        [], [("late-first-dsn", f"the {host}'s first octet here is DSN IDSN + 2, not IDSN + 1", 9)]
    )  # fmt: skip
    assert begins(2, role=role, flows=2) == ([], [])
    assert begins(0, role=role, flows=2) == wrong(999, host=host)


def test_numbers_before_the_idsn_are_shown_as_they_are_on_the_wire() -> None:
    """In 64 bits, or in 32 if the mapping has four octets."""
    assert begins(-1000, base=999, idsn=999) == wrong((1 << 64) - 2, expected=999)
    assert begins(0, flags=0, base=1 << 33) == wrong(0xFFFF_FFFF, digits=8)
    assert begins(0, flags=0x37, base=(7 << 32) + 5) == wrong(4, digits=8)
    assert begins(0, flags=BY_CAPABLE, base=1 << 33) == wrong((1 << 33) - 1)


def test_narrow_numbers_that_wrapped_are_right() -> None:
    """A number of four octets that is right in its 32 bits says no more."""
    for wraps in (-1, 1, 5):
        assert begins(1 + (wraps << 32), flags=0) == ([], [])
    assert begins(1 - (1 << 32), flags=WIDE)[0]
    assert begins(1 - (1 << 32), flags=BY_CAPABLE)[0]
    assert begins(2 - (1 << 32), flags=0)[0]
    assert begins(-(1 << 32), flags=0)[0]


def test_where_the_mapping_of_the_first_octet_begins() -> None:
    """It may begin before that octet, and has to cover it."""
    assert begins(0, start=0, pieces=[(0, 9)]) == ([], [])
    assert begins(-3, start=-3, pieces=[(-3, 9)]) == ([], [])
    assert begins(-2, start=-3, pieces=[(-3, 9)])[1]
    assert begins(-4, start=-3, pieces=[(-3, 9)]) == wrong(999)
    assert begins(-3, start=-3, pieces=[(-3, 2)]) == ([], [])
    assert begins(-9, start=1, pieces=[(1, 2)])[0]
    assert begins(-9, start=1, pieces=[(0, 1)]) == ([], [])
    assert begins(-9, start=2, pieces=[(2, 9)]) == ([], [])
    assert begins(-9, start=2, pieces=[]) == ([], [])
    assert begins(-9, start=1, pieces=[(1, 4), (4, 8)])[0]


def test_data_on_the_syn_lies_before_the_first_octet() -> None:
    """It has no DSN: the first octet is the one behind it (RFC 8684 appendix B)."""
    assert begins(1, start=6, pieces=[(6, 9)], syn_data=(5, 0)) == ([], [])
    assert begins(0, start=6, pieces=[(6, 9)], syn_data=(5, 0))[0]
    assert begins(0, start=7, pieces=[(7, 9)], syn_data=(5, 0)) == ([], [])
    assert begins(0, start=6, pieces=[(6, 9)], syn_data=(0, 5)) == ([], [])
    assert begins(-4, start=1, pieces=[(1, 9)], syn_data=(5, 0)) == ([], [])
    assert begins(1, start=6, pieces=[(6, 9)], syn_data=(9, 5), role=1) == ([], [])


@pytest.mark.parametrize(("known", "judged"), [(0, 0), (1, 1), (2, 1), (3, 1), (4, 0)])
def test_only_numbers_of_the_handshake_are_judged(known: int, judged: int) -> None:
    """What was inferred from mappings cannot contradict them."""
    assert len(begins(0, known=known)[0]) == judged


def test_what_is_not_judged() -> None:
    """A host whose IDSN is not known, or already called wrong; a joined subflow alone."""
    already = Mismatch(
        what="idsn", host="initiator", frame=1, expected="", seen="", why="", section="3.1"
    )
    other = Mismatch(
        what="idsn", host="listener", frame=1, expected="", seen="", why="", section="3.1"
    )
    token = Mismatch(
        what="token", host="initiator", frame=1, expected="", seen="", why="", section="3.2"
    )
    assert begins(0, idsn=None) == begins(0, kind="joined") == ([], [])
    assert begins(0, named=already) == begins(9, named=already) == ([], [])
    assert begins(0, named=other)[0]
    assert begins(0, named=token)[0]
    assert begins(0, named=already, role=1)[0]
    assert begins(0, named=other, role=1) == ([], [])
    assert begins(9, named=other)[1]


# -------------------------------------------------------------------- the state


def settled(
    fins: tuple[DataFin | None, DataFin | None] = (None, None), *,
    monkeypatch: pytest.MonkeyPatch, state: str = "open", fell: Any = None,
    ends: tuple[bool, ...] = (False,), heard: int = 1, syn: int | None = 0, begun: bool = False,
    kind: str = "initial",
) -> tuple[str, str | None, str, int | None]:  # fmt: skip
    """State, fallback, reason and frame of a connection."""
    end = SubflowEnd(how="fin", by=None, reason=None, frame=1)
    flows = [subflow(at, kind=kind if at == 0 else "joined") for at in range(len(ends))]
    for flow, has_end in zip(flows, ends, strict=True):
        flow.end = end if has_end else None
    group = connection(*flows)
    group.state = state
    group.hosts[0].data_fin, group.hosts[1].data_fin = fins
    made = wire(half_count=[5, heard, 0, 0], halves=4)
    shake = SimpleNamespace(syn_row=syn, begun=begun)
    build: Any = SimpleNamespace(shakes={0: shake}, wire=made)
    plane: Any = None
    signals: Any = None
    monkeypatch.setattr(closing, "fallback_of", lambda *_: fell)
    closing._settle(build, signals, plane, group)
    return group.state, group.fallback, group.why, group.state_frame


def test_states(monkeypatch: pytest.MonkeyPatch) -> None:
    """Fast close, then both DATA_FINs acknowledged, then a fallback, then silence; else open."""

    def state(*fins: tuple[int, bool] | None, **settings: Any) -> tuple[Any, ...]:
        made = [fin and DataFin(frame=fin[0], dsn=1, acknowledged=fin[1]) for fin in fins]
        pair = (made[0], made[1]) if made else (None, None)
        return settled(pair, monkeypatch=monkeypatch, **settings)

    fell = ("synack", "because", 77)
    right = (5, True), (9, True)
    assert state(*right, state="fast_closed", fell=fell) == ("fast_closed", None, "", None)
    closed = ("closed", None, "DATA_FINs exchanged and acknowledged")
    assert state(*right, fell=fell) == (*closed, 9)
    assert state(*reversed(right), heard=0) == (*closed, 9)
    for fins in ((None, None), ((5, True), None), (None, (5, True)), ((5, True), (9, False)),
                 ((5, False), (9, True))):  # fmt: skip
        assert state(*fins, fell=fell, heard=0) == ("fallback", "synack", "because", 77)
    assert state(fell=("a", "b", None))[3] is None
    silent = ("timed_out", None, "the SYN was never answered", None)
    assert state(heard=0) == silent
    assert state(heard=0, syn=7) == silent
    for settings in (
        {"heard": 1}, {"heard": 0, "syn": None}, {"heard": 0, "begun": True},
        {"heard": 0, "ends": (False, False)}, {"heard": 0, "kind": "joined"},
    ):  # fmt: skip
        assert state(**settings) == ("open", None, "no DATA_FIN in the capture", None)


def test_why_a_connection_is_open(monkeypatch: pytest.MonkeyPatch) -> None:
    """What is missing: an acknowledgment, a DATA_FIN, or both while every subflow has ended."""

    def why(*fins: bool | None, ends: tuple[bool, ...] = (False,)) -> str:
        made = [None if fin is None else DataFin(frame=1, dsn=1, acknowledged=fin) for fin in fins]
        return settled((made[0], made[1]), monkeypatch=monkeypatch, ends=ends)[2]

    assert why(False, True) == why(True, False) == why(False, False, ends=(True,))
    assert why(False, True) == "a DATA_FIN is not acknowledged in the capture"
    assert why(True, None) == why(False, None) == "only the initiator has sent a DATA_FIN"
    assert why(None, True, ends=(True,)) == "only the listener has sent a DATA_FIN"
    assert why(None, None, ends=(True, True)) == "every subflow ended without a DATA_FIN exchange"
    assert why(None, None, ends=(True, False)) == "no DATA_FIN in the capture"
    assert why(None, None) == "no DATA_FIN in the capture"


def test_a_connection_is_closed_in_all_its_parts(monkeypatch: pytest.MonkeyPatch) -> None:
    """Each subflow gets its origins, and each role is looked at in its own direction."""
    asked: list[tuple[str, int, int]] = []
    monkeypatch.setattr(closing, "_data_fin", lambda *given: asked.append(("fin", *given[3:])))
    monkeypatch.setattr(
        closing, "_first_mapping", lambda *given: asked.append(("map", given[2], -1))
    )
    monkeypatch.setattr(closing, "_settle", lambda *given: asked.append(("settle", -1, -1)))
    plane: Any = SimpleNamespace(
        direction=array("i", [4, 5, 5, 4]), isn_from=array("B", [0, 1, 4, 2]), wire=None
    )
    group = connection(subflow(0), subflow(1))
    build: Any = None
    signals: Any = None
    closing.close(build, signals, plane, group)
    assert [flow.isn_from for flow in group.subflows] == [
        (None, "handshake"), ("mappings", "handshake"),
    ]  # fmt: skip
    assert asked == [
        ("fin", 0, 4),
        ("map", 0, -1),
        ("fin", 1, 5),
        ("map", 1, -1),
        ("settle", -1, -1),
    ]
    third: Any = SimpleNamespace(
        direction=array("i", [1, 0]), isn_from=array("B", [3, 3]), wire=None
    )
    asked.clear()
    alone = connection(subflow(0))
    closing.close(build, signals, third, alone)
    assert alone.subflows[0].isn_from == ("handshake", "handshake")
    assert asked[0] == ("fin", 0, 0)
