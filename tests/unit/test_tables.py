"""The tables of recorded captures against a naive account, octet by octet."""

from __future__ import annotations

from collections.abc import Iterator
from functools import cache

import numpy as np
import pytest

from mptcp_oracle import Trace, analyze
from mptcp_oracle.analysis.mappings import MappingTable
from mptcp_oracle.analysis.tables import SegmentTable, Table
from mptcp_oracle.analysis.transmissions import TransmissionTable
from mptcp_oracle.facts import CLASSES, COPIES
from mptcp_oracle.options import Dss, MpCapable
from tests.common.checkout import ROOT
from tests.common.conversation import Conversation, Mapping
from tests.common.octets import Account, Declared, account_of, account_of_trace
from tests.common.tape import ACK, SYN

KERNEL = ROOT / "corpus" / "kernel"
GENERATED = ROOT / "tests" / "data" / "generated"
RECORDED = [
    "bulk-two-paths-no-offload.pcapng",
    "checksum-failure-two-subflows.pcapng",
    "concurrent-connections.pcapng",
    "fallback-mid-connection.pcapng",
    "infinite-mapping-oversized.pcapng",
    "joined-path-only.pcapng",
    "link-flap.pcapng",
    "loss-reinjection.pcapng",
    "options-cut.pcapng",
    "path-cut.pcapng",
    "router-any.pcapng",
    "router-any-offload.pcapng",
    "subflow-options-stripped.pcapng",
    "tcp-fast-open.pcapng",
    "zero-window.pcapng",
]
CAPTURES = RECORDED + sorted(path.name for path in GENERATED.glob("*.pcap*"))
TABLES = {"segments": SegmentTable, "mappings": MappingTable, "transmissions": TransmissionTable}


@cache
def traced(name: str) -> tuple[Trace, Account, list[Declared]]:
    """A recorded or generated capture: its trace, and the naive account of its octets."""
    folder = KERNEL if (KERNEL / name).exists() else GENERATED
    trace = analyze(folder / name)
    if folder is GENERATED and not trace.connections:
        pytest.skip("without any handshake, where mappings count from is an inference")
    declared, sent = account_of_trace(trace)
    return trace, account_of(declared, sent), declared


@pytest.mark.parametrize("name", CAPTURES)
def test_segments_agree_with_the_account(name: str) -> None:
    """First DSN, its run, mapping, announcement, nearest carrier and copies are all exact."""
    trace, account, declared = traced(name)
    table = trace.segments
    assert len(table) or name not in RECORDED
    for at, frame in enumerate(table.frame.tolist()):
        dsns = account.dsns.get(frame, [])
        mapped = [place for place, dsn in enumerate(dsns) if dsn is not None]
        assert table.mapped[at] == bool(mapped), frame
        if not mapped:
            assert (table.dsn[at], table.dsn_end[at], table.mapping[at]) == (-1, -1, -1)
            assert (table.announced[at], table.previous[at], table.copies[at]) == (0, 0, 0)
            continue
        dsn = dsns[mapped[0]]
        assert dsn is not None
        assert table.dsn[at] == dsn
        run = 0
        while mapped[0] + run < len(dsns) and dsns[mapped[0] + run] == dsn + run:
            run += 1
        assert table.dsn_end[at] == dsn + run, frame
        owner = account.owner[frame][mapped[0]]
        assert owner is not None
        assert table.mapping[at] == owner
        assert table.announced[at] == declared[owner].frame
        if not table.duplicate[at] and table.kind[at] != 1 << CLASSES.index("zero_window_probe"):
            earlier = account.earlier[frame]
            assert table.copies[at] == len(earlier), frame
            assert table.previous[at] == max(earlier, default=0), frame


@pytest.mark.parametrize("name", CAPTURES)
def test_contradicting_mappings_agree_with_the_account(name: str) -> None:
    """A mapping conflicts exactly if it gives an octet another DSN than an earlier one."""
    trace, account, _ = traced(name)
    assert set(np.flatnonzero(trace.mappings.conflict).tolist()) == account.conflicts


@pytest.mark.parametrize("name", CAPTURES)
def test_transmissions_divide_the_payload(name: str) -> None:
    """The transmissions of a segment are its payload, in order, with the account's DSNs."""
    trace, account, _ = traced(name)
    moves = trace.transmissions
    found: dict[int, list[int | None]] = {}
    starts: dict[int, int] = {}
    columns = (moves.frame, moves.sequence, moves.octets, moves.mapped, moves.dsn, moves.dsn_end)
    for frame, start, octets, mapped, dsn, end in zip(*(c.tolist() for c in columns), strict=True):
        dsns = found.setdefault(frame, [])
        assert starts.setdefault(frame, start) + len(dsns) == start
        assert end - dsn == octets if mapped else (dsn, end) == (-1, -1)
        dsns += range(dsn, end) if mapped else [None] * octets
    segments = trace.segments
    expected = {
        int(segments.frame[at]): account.dsns[int(segments.frame[at])]
        for at in np.flatnonzero((segments.payload > 0) & ~segments.duplicate)
    }
    assert found == expected


@pytest.mark.parametrize("name", CAPTURES)
def test_transmissions_add_up_to_what_each_host_sent(name: str) -> None:
    """Octets by class, summed over a host's transmissions, are those of the host."""
    trace, _, _ = traced(name)
    moves = trace.transmissions
    for group in trace.groups():
        for role, host in enumerate(group.hosts):
            roles = {flow.id: role == flow.source_role for flow in group.subflows}
            mine = np.array(
                [
                    subflow in roles and roles[subflow] == from_source
                    for subflow, from_source in zip(
                        moves.subflow.tolist(), moves.from_source.tolist(), strict=True
                    )
                ],
                dtype=bool,
            )
            for kind, expected in enumerate(host.transmissions.values()):
                assert moves.octets[mine & (moves.kind == kind)].sum() == expected


@pytest.mark.parametrize("name", CAPTURES)
def test_classes_of_octets_agree_with_the_account(name: str) -> None:
    """First seen, retransmitted, and copied octets are told apart as octet counting does."""
    trace, account, _ = traced(name)
    moves = trace.transmissions
    half_of = dict(zip(trace.wire.segments["frame"], trace.wire.segments["half"], strict=True))
    sent: set[tuple[int, int]] = set()
    carried: dict[tuple[int, int], set[int]] = {}
    columns = (moves.frame, moves.sequence, moves.octets, moves.kind)
    for frame, start, octets, kind in zip(*(c.tolist() for c in columns), strict=True):
        if CLASSES[kind] == "zero_window_probe":
            continue
        half = half_of[frame]
        first = int(moves.sequence[np.flatnonzero(moves.frame == frame)[0]])
        for octet in range(start, start + octets):
            again = (half, octet) in sent
            sent.add((half, octet))
            dsn = account.dsns[frame][octet - first]
            before: set[int] = set()
            if dsn is not None:
                halves = carried.setdefault((trace.plane.direction[half], dsn), set())
                before = set(halves)
                halves.add(half)
            if again:
                expected = {"tcp_retransmission"}
            elif dsn is None:
                expected = {"unmapped"}
            elif not before:
                expected = {"first_seen"}
            elif before == {half}:
                expected = {"remap"}
            else:
                expected = set(COPIES) - {"remap"}
            assert CLASSES[kind] in expected, (frame, octet)


def judged(trace: Trace, account: Account) -> Iterator[tuple[int, int, int, int]]:
    """Frame, octets, naive verdict and the table's, for each copy."""
    moves, rows = trace.transmissions, trace.wire.segments
    row_of = {frame: row for row, frame in enumerate(rows["frame"])}
    acked: dict[int, int] = {}
    for row in trace.ground.rows.tolist():
        ack = int(trace.ground.relative_ack[row])
        half = rows["half"][row] ^ 1
        if not rows["flags"][row] & 0x200 and ack > 0:
            acked[half] = max(acked.get(half, 0), ack)
    for at in np.flatnonzero(np.isin(moves.kind, [CLASSES.index(name) for name in COPIES])):
        frame = int(moves.frame[at])
        row = row_of[frame]
        direction = trace.plane.direction[rows["half"][row]]
        dsns = range(int(moves.dsn[at]), int(moves.dsn_end[at]))
        acks = [
            (other, rows["data_ack"][other])
            for other in trace.ground.rows.tolist()
            if rows["dss"][other] & 1
            and not rows["flags"][other] & 0x200
            and trace.plane.direction[rows["half"][other]] == direction ^ 1
        ]
        before = max((ack for other, ack in acks if other < row), default=1)
        finally_ = max((ack for _, ack in acks), default=1)
        flow = trace.subflows[int(moves.subflow[at])]
        here = flow.captured_at(flow.halves.index(rows["half"][row]))
        firsts = [account.first[direction, dsn] for dsn in dsns]
        arrived = all(
            octet < acked.get(half, 0) and (half, octet) not in account.again
            for half, octet in firsts
        )
        silent = all(0 < acked.get(half, 0) <= octet for half, octet in firsts)
        late = before >= dsns.stop
        verdict = -1
        if (late and here) or arrived:
            verdict = 0
        elif silent and not late and finally_ >= dsns.stop:
            verdict = 1
        yield frame, len(dsns), verdict, int(moves.needed[at])


def test_whether_copies_were_needed_agrees_with_the_account() -> None:
    """Each copy is needed, spurious or unknown as counting octets and acknowledgments says."""
    met = set()
    for name in RECORDED:
        trace, account, _ = traced(name)
        for frame, _, expected, found in judged(trace, account):
            assert found == expected, (name, frame)
            met.add(expected)
    assert met == {-1, 0, 1}


@pytest.mark.parametrize("name", CAPTURES)
def test_only_copies_are_judged(name: str) -> None:
    """What is no copy is marked so, whatever became of it; a copy as counting says."""
    trace, account, _ = traced(name)
    moves = trace.transmissions
    copies = np.isin(moves.kind, [CLASSES.index(kind) for kind in COPIES])
    assert (moves.needed[~copies] == -2).all()
    assert (moves.needed[copies] != -2).all()
    if name not in RECORDED:
        for frame, _, expected, found in judged(trace, account):
            assert found == expected, frame


@pytest.mark.parametrize("name", CAPTURES)
def test_absolute_numbers_are_those_on_the_wire(name: str) -> None:
    """Absolute DSNs and DATA_ACKs are what the options say, in as many bits as they have."""
    trace, _, _ = traced(name)
    table, maps = trace.segments, trace.mappings
    acks, starts = table.absolute_data_ack().tolist(), maps.absolute_dsn().tolist()
    checked = 0
    for at, frame in enumerate(table.frame.tolist()):
        segment = trace.frame(frame)
        options = [option for option in segment.options if isinstance(option, Dss)]
        if options and options[0].data_ack is not None:
            mask = (1 << 8 * options[0].data_ack_size) - 1
            assert acks[at] & mask == options[0].data_ack
            checked += 1
        if options and options[0].dsn is not None:
            assert segment.declares is not None
            mask = (1 << 8 * options[0].dsn_size) - 1
            assert starts[segment.declares] & mask == options[0].dsn
            assert maps.ssn[segment.declares] == options[0].ssn
            assert maps.length[segment.declares] == options[0].dll
            assert maps.data_fin[segment.declares] == options[0].data_fin
            assert maps.dsn_size[segment.declares] == options[0].dsn_size
        if any(isinstance(option, MpCapable) and option.data_length for option in segment.options):
            assert segment.declares is not None
            assert maps.dsn_size[segment.declares] == 0
    assert checked or name == "options-cut.pcapng" or name not in RECORDED


def test_absolute_dsns_of_segments_follow_from_their_mappings() -> None:
    """A segment's absolute DSN is that of its mapping, moved by its place in it."""
    trace, _, _ = traced("loss-reinjection.pcapng")
    table, maps = trace.segments, trace.mappings
    starts = maps.absolute_dsn()
    for at in np.flatnonzero(table.mapped):
        mapping = table.mapping[at]
        place = max(int(table.sequence[at]), int(maps.start[mapping])) - int(maps.start[mapping])
        assert int(table.absolute_dsn()[at]) == (int(starts[mapping]) + place) % 2**64
    assert not table.absolute_dsn()[~table.mapped].any()
    moves = trace.transmissions
    first = np.flatnonzero(moves.mapped)[0]
    by_frame = np.flatnonzero(table.frame == moves.frame[first])[0]
    assert moves.absolute_dsn()[first] == table.absolute_dsn()[by_frame]


@pytest.mark.parametrize("kind", TABLES)
def test_columns_are_what_they_say(kind: str) -> None:
    """Every column is described, of its type, as long as the table, and read-only."""
    for name in ("loss-reinjection.pcapng", "options-cut.pcapng"):
        table: Table = getattr(traced(name)[0], kind)
        assert type(table) is TABLES[kind]
        columns = table.columns()
        assert list(columns) == [item.name for item in table.describe()]
        for item in table.describe():
            assert item.meaning
            assert columns[item.name].dtype == item.dtype
            assert len(columns[item.name]) == len(table)
            with pytest.raises(ValueError, match="read-only"):
                columns[item.name][:1] = 0


def test_a_capture_without_mptcp_has_empty_tables() -> None:
    """Where nothing is MPTCP, all columns exist and have no rows."""
    trace, _, _ = traced("fallback-syn-stripped-server-view.pcapng")
    for kind in TABLES:
        assert {len(column) for column in getattr(trace, kind).columns().values()} == {0}


def test_columns_of_the_engine_are_not_copied() -> None:
    """Where every segment is MPTCP, the table shares the engine's memory."""
    trace, _, _ = traced("loss-reinjection.pcapng")
    for name, source in (("frame", "frame"), ("time", "time"), ("payload", "length")):
        own = np.frombuffer(trace.wire.segments[source], dtype=getattr(trace.segments, name).dtype)
        assert np.shares_memory(getattr(trace.segments, name), own)
    assert np.shares_memory(
        trace.mappings.dsn, np.frombuffer(trace.wire.mappings["dsn"], dtype=np.int64)
    )


def test_tables_are_made_once() -> None:
    """Asking twice gives the same table and the same column."""
    trace, _, _ = traced("loss-reinjection.pcapng")
    assert trace.segments is trace.segments
    assert trace.segments.copies is trace.segments.copies


def test_segments_of_other_streams_are_left_out() -> None:
    """A stream without MPTCP beside an MPTCP one has no rows, and changes none."""
    talk = Conversation()
    flow = talk.opened()
    plain = Conversation(talk.tape).flow(ports=(1, 2))
    plain.segment(0, SYN, seq=0)
    flow.data(0, b"hello")
    plain.segment(0, ACK, payload=b"other")
    flow.ack(1)
    with analyze(talk.tape.pcap()) as trace:
        assert trace.segments.frame.tolist() == [1, 2, 3, 5, 7]
        assert trace.segments.payload.tolist() == [0, 0, 0, 5, 0]
        assert trace.segments.ack.tolist() == [-1, 1, 1, 1, 6]
        assert trace.segments.has_data_ack.tolist()[-1]
        assert trace.segments.data_ack.tolist()[-1] == 6
        assert trace.segments.sender.tolist() == [0, 1, 0, 0, 1]


def test_mapped_and_unmapped_octets_stay_apart_where_numbers_agree() -> None:
    """On the first subflow DSNs equal sequence numbers; what no mapping covers has none yet."""
    talk = Conversation()
    flow = talk.opened()
    mapping = Mapping(dsn=1, ssn=1, dll=4)
    for _ in range(2):
        flow.data(0, b"01234567", mapping=mapping, seq=1)
    with analyze(talk.tape.pcap()) as trace:
        data = trace.segments.payload > 0
        assert trace.segments.dsn[data].tolist() == [1, 1]
        assert trace.segments.dsn_end[data].tolist() == [5, 5]
        moves = trace.transmissions
        assert [CLASSES[kind] for kind in moves.kind] == [
            "first_seen", "unmapped", "tcp_retransmission", "tcp_retransmission",
        ]  # fmt: skip
        assert moves.octets.tolist() == [4, 4, 4, 4]
        assert moves.mapped.tolist() == [True, False, True, False]
        assert moves.dsn.tolist() == [1, -1, 1, -1]


@pytest.mark.parametrize("dsn", [2**61, -(2**61), 2**62, -(2**62)])
def test_octets_under_absurd_numbers_count_as_unmapped(dsn: int) -> None:
    """A DSN farther than 2**61 from the IDSN maps nothing, here as in the engine."""
    talk = Conversation()
    flow = talk.opened()
    flow.data(0, b"first")
    frame = flow.data(0, b"absurd", dsn=dsn)
    with analyze(talk.tape.pcap()) as trace:
        (part,) = trace.frame(frame).ranges
        assert (part.dsn, part.kind) == (None, "unmapped")
        assert trace.connections[0].initiator.transmissions["unmapped"] == 6
