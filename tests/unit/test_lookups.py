"""Lookups: what a frame holds, and who announced and carried given octets."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from mptcp_oracle import Carrier, Trace, UsageError, analyze
from mptcp_oracle.options import Dss, MpCapable, MpJoinSyn
from tests.common.checkout import ROOT
from tests.common.conversation import Conversation, Mapping
from tests.common.octets import account_of, account_of_trace
from tests.common.tape import ACK, SYN, Tape

KERNEL = ROOT / "corpus" / "kernel"


@pytest.fixture(scope="module")
def loss() -> Iterator[Trace]:
    """A recording with loss, retransmissions and reinjections."""
    with analyze(KERNEL / "loss-reinjection.pcapng") as trace:
        yield trace


@pytest.mark.parametrize(
    "name", ["loss-reinjection", "router-any", "checksum-failure-two-subflows"]
)
def test_octets_of_a_recording_have_the_carriers_that_counting_finds(name: str) -> None:
    """At every edge of a mapping or segment, an octet's announcers and carriers are exact."""
    with analyze(KERNEL / f"{name}.pcapng") as trace:
        declared, sent = account_of_trace(trace)
        account = account_of(declared, sent)
        edges: dict[int, set[int]] = {}
        for each in declared:
            edges.setdefault(each.direction, set()).update(
                {each.dsn - 1, each.dsn, each.dsn + (each.octets or 0)}
            )
        for direction, dsns in edges.items():
            role = ("initiator", "listener")[direction & 1]
            for dsn in sorted(dsns):
                octet = trace.octet(direction >> 1, role, dsn)
                carried = [each for each in octet.carried if not each.duplicate]
                assert [each.frame for each in carried] == account.carried.get((direction, dsn), [])
                assert all(each.dsn <= dsn < each.dsn_end for each in octet.carried)
                assert [each.frame for each in octet.announced] == [
                    each.frame
                    for each in declared
                    if each.direction == direction
                    and each.octets is not None
                    and each.dsn <= dsn < each.dsn + each.octets
                ]
                base = trace.plane.base[direction]
                assert octet.absolute == (base + dsn) % 2**64


def test_earlier_carriers_of_every_frame_agree_with_the_table(loss: Trace) -> None:
    """The list of earlier carriers is as long as the table says and ends with the nearest."""
    table = loss.segments
    assert table.copies.any()
    for at, frame in enumerate(table.frame.tolist()):
        view = loss.frame(frame)
        frames = [carrier.frame for carrier in view.previous]
        assert frames == sorted(frames)
        assert len(set(frames)) == view.copies == table.copies[at]
        assert max(frames, default=0) == table.previous[at]


def test_a_frame_tells_all_that_the_tables_do(loss: Trace) -> None:
    """Every attribute of a frame's segment is its row of the segment table."""
    table = loss.segments
    for at, frame in enumerate(table.frame.tolist()):
        view = loss.frame(frame)
        assert view.frame == frame
        for name in ("time", "connection", "subflow", "flags", "window", "sequence", "payload",
                     "captured", "duplicate", "from_source"):  # fmt: skip
            assert getattr(view, name) == getattr(table, name)[at], name
        assert view.sender == ("initiator", "listener", None)[table.sender[at]]
        assert (-1 if view.ack is None else view.ack) == table.ack[at]
        assert (-1 if view.declares is None else view.declares) == table.declares[at]
        assert (view.data_ack is not None) == table.has_data_ack[at]
        assert sum(part.octets for part in view.ranges) == view.payload
        mapped = [part for part in view.ranges if part.dsn is not None]
        if mapped:
            assert mapped[0].dsn == table.dsn[at]
            assert mapped[0].mapping == table.mapping[at]
            assert mapped[0].announced == table.announced[at]
            assert mapped[0].absolute == int(table.absolute_dsn()[at])


def test_a_reinjected_octet_shows_both_subflows(loss: Trace) -> None:
    """Data that was reinjected lists the original and the copy with their classes."""
    moves = loss.transmissions
    at = moves.kind.tolist().index(3)
    octet = loss.octet(0, "initiator", int(moves.dsn[at]))
    kinds = {carrier.kind: carrier for carrier in octet.carried}
    assert kinds["first_seen"].frame < kinds["reinjection"].frame == moves.frame[at]
    assert kinds["first_seen"].subflow != kinds["reinjection"].subflow
    assert {each.subflow for each in octet.announced} == {0, 1}


def test_a_script_of_remaps_probes_and_duplicates() -> None:
    """Late and repeated mappings, split segments and duplicates are all told apart."""
    talk = Conversation(Tape("sll"))
    one, two = talk.opened(), talk.joined()
    early = one.segment(0, ACK, payload=b"abcdef", seq=1)
    late = one.segment(0, ACK, talk.dss(0, Mapping(dsn=1, ssn=1, dll=4)), payload=b"", seq=7)
    again = talk.tape.again(hops=1)
    split = one.data(
        0, b"ghij", talk.dss(0, Mapping(dsn=30, ssn=9, dll=2)),
        mapping=Mapping(dsn=20, ssn=7, dll=2), seq=7, dack=None,
    )  # fmt: skip
    copy = two.data(0, b"cdXX", dsn=3, dack=None)
    repeat = one.segment(0, ACK, talk.dss(0, Mapping(dsn=1, ssn=1, dll=4)), payload=b"ab", seq=1)
    with analyze(talk.tape.pcap()) as trace:
        first = trace.frame(early)
        assert [(part.dsn, part.dsn_end, part.announced) for part in first.ranges] == [
            (1, 5, late),
            (None, None, None),
        ]
        assert [part.kind for part in first.ranges] == ["first_seen", "unmapped"]
        assert trace.frame(again).duplicate
        assert trace.frame(again).declares == trace.frame(late).declares
        parts = trace.frame(split).ranges
        assert [(part.dsn, part.dsn_end) for part in parts] == [(20, 22), (30, 32)]
        assert [part.announced for part in parts] == [split, split]
        assert [len(option.raw) for option in trace.frame(split).options] == [18, 18]
        octet = trace.octet(0, "initiator", 3)
        assert [(each.frame, each.repeats) for each in octet.announced] == [
            (late, ()), (copy, ()), (repeat, ()),
        ]  # fmt: skip
        assert [(each.frame, each.subflow) for each in octet.carried] == [(early, 0), (copy, 1)]
        assert octet.carried[0] == Carrier(
            frame=early, subflow=0, sequence=1, dsn=1, dsn_end=5, kind="first_seen",
            duplicate=False,
        )  # fmt: skip
        view = trace.frame(copy)
        assert view.copies == 1
        assert [carrier.frame for carrier in view.previous] == [early]
        assert view.sender == "initiator"
        assert trace.carriers(0, "initiator", 1, 40) == tuple(
            part
            for frame in (early, split, copy, repeat)
            for part in trace.carriers(0, "initiator", 1, 40)
            if part.frame == frame
        )
        assert [(part.frame, part.dsn) for part in trace.carriers(0, "initiator", 4, 21)] == [
            (early, 1), (split, 20), (copy, 3), (copy, 5),
        ]  # fmt: skip
        assert trace.carriers(0, "listener", 1, 40) == ()


def test_consecutive_repetitions_of_a_mapping_are_listed() -> None:
    """Segments that repeat the mapping of the one before, as offload makes them, are repeats."""
    talk = Conversation()
    flow = talk.opened()
    mapping = Mapping(dsn=1, ssn=1, dll=12)
    frames = [
        flow.data(0, bytes([at]) * 4, mapping=mapping, seq=1 + 4 * at, dack=None) for at in range(3)
    ]
    with analyze(talk.tape.pcap()) as trace:
        (announced,) = trace.octet(0, "initiator", 9).announced
        assert (announced.frame, announced.repeats) == (frames[0], tuple(frames[1:]))
        assert (announced.dsn, announced.dsn_end) == (1, 13)
        (carried,) = trace.octet(0, "initiator", 9).carried
        assert (carried.frame, carried.dsn, carried.dsn_end) == (frames[2], 9, 13)


def test_duplicates_are_listed_as_carriers_and_counted_as_none() -> None:
    """A segment that the capture holds twice carries once; its copy is marked."""
    talk = Conversation(Tape("sll"))
    flow = talk.opened()
    frame = flow.data(0, b"hello")
    again = talk.tape.again(hops=1)
    with analyze(talk.tape.pcap()) as trace:
        carried = trace.octet(0, "initiator", 1).carried
        assert [(each.frame, each.duplicate, each.kind) for each in carried] == [
            (frame, False, "first_seen"),
            (again, True, None),
        ]
        assert trace.frame(again).previous == ()
        assert trace.frame(again).ranges[0].dsn == 1


def test_an_infinite_mapping_has_no_end() -> None:
    """After a fallback the infinite mapping covers every octet from its first one on."""
    talk = Conversation()
    flow = talk.opened()
    flow.data(0, b"mapped")
    frame = flow.data(0, b"more", mapping=Mapping(dsn=7, ssn=7, dll=0))
    later = flow.data(0, b"and more", mapping=None, dack=None)
    with analyze(talk.tape.pcap()) as trace:
        octet = trace.octet(0, "initiator", 15)
        assert [(each.frame, each.dsn_end) for each in octet.announced] == [(frame, None)]
        assert [each.frame for each in octet.carried] == [later]
        assert [each.frame for each in trace.octet(0, "initiator", 10**12).announced] == [frame]
        assert trace.octet(0, "initiator", 10**12).carried == ()


def test_more_mappings_and_classes_than_are_noted() -> None:
    """Of a segment under 300 mappings 256 count; of its ranges 63 have a class, the rest none."""
    talk = Conversation(wide=(False, False))
    flow = talk.opened()
    pairs = [Mapping(dsn=1000 - 2 * at, ssn=1 + 2 * at, dll=2) for at in range(300)]
    for first, second in zip(pairs[::2], pairs[1::2], strict=True):
        flow.segment(0, ACK, talk.dss(0, first), talk.dss(0, second), seq=1)
    big = flow.segment(0, ACK, payload=bytes(range(200)) * 3, seq=1)
    with analyze(talk.tape.pcap()) as trace:
        ranges = trace.frame(big).ranges
        mapped = [part for part in ranges if part.dsn is not None]
        assert len(mapped) == 256
        assert [part.dsn for part in mapped] == [each.dsn for each in pairs[:256]]
        assert {part.kind for part in ranges[:63]} == {"first_seen"}
        assert {part.kind for part in ranges[63:]} == {None}
        assert sum(part.octets for part in ranges) == 600
        assert trace.transmissions.octets.sum() == 126
        assert [note.code for note in trace.notes] == ["too-many-mappings"]


def test_options_come_decoded_with_the_frame(loss: Trace) -> None:
    """A frame's options are values, with the octets that they were."""
    syn = loss.frame(loss.subflows[0].first_frame)
    (option,) = syn.options
    assert isinstance(option, MpCapable)
    assert option.raw[0] == 30
    join = loss.frame(loss.subflows[1].first_frame)
    assert isinstance(join.options[0], MpJoinSyn)
    assert join.options[0].token == loss.connections[0].listener.token
    data = loss.frame(int(loss.mappings.frame[1]))
    assert isinstance(data.options[0], Dss)


def test_cut_options_are_not_read_beyond_the_snap_length() -> None:
    """Where the header is cut, what stands behind it in the file is not taken for options."""
    talk = Conversation()
    flow = talk.opened()
    flow.data(0, b"data")
    flow.ack(1)
    with analyze(talk.tape.pcap(snap_length=14 + 20 + 20 + 8)) as trace:
        for frame in trace.segments.frame.tolist():
            view = trace.frame(frame)
            whole = all(option.raw[1] == len(option.raw) for option in view.options)
            assert whole
            assert view.options_cut or view.options
            assert all(len(option.raw) <= 8 for option in view.options)


@pytest.mark.parametrize(
    ("frame", "cause"),
    [(0, "frames 1 to"), (10**6, "frames 1 to"), (-3, "frames 1 to"), (4, "no MPTCP option")],
)
def test_frames_without_mptcp_are_refused(frame: int, cause: str) -> None:
    """Asking for a frame that holds no MPTCP segment says why there is nothing to tell."""
    talk = Conversation()
    talk.opened()
    Conversation(talk.tape).flow(ports=(1, 2)).segment(0, SYN, seq=0)
    with analyze(talk.tape.pcap()) as trace, pytest.raises(UsageError, match=cause):
        trace.frame(frame)


def test_a_frame_without_tcp_is_refused() -> None:
    """A frame that is no TCP segment is refused with that reason."""
    talk = Conversation(Tape("raw"))
    talk.opened()
    talk.tape.frames.append((talk.tape.now, b"\x45" + bytes(30)))
    with (
        analyze(talk.tape.pcap()) as trace,
        pytest.raises(UsageError, match="no TCP segment"),
    ):
        trace.frame(talk.tape.last)


def test_wrong_connections_and_directions_are_refused(loss: Trace) -> None:
    """A connection or direction that does not exist is a usage error in every lookup."""
    with pytest.raises(UsageError, match="no connection 7"):
        loss.octet(7, "initiator", 1)
    with pytest.raises(UsageError, match="no direction 'client'"):
        loss.octet(0, "client", 1)
    with pytest.raises(UsageError, match="no direction 'up'"):
        loss.carriers(0, "up", 1, 2)


def test_octets_of_a_stray_subflow_can_be_looked_up() -> None:
    """A subflow whose connection is not in the capture stands for one, and lookups take it."""
    with analyze(KERNEL / "joined-path-only.pcapng") as trace:
        (stray,) = [group for group in trace.groups() if group.id < 0]
        dsn = int(trace.segments.dsn[trace.segments.mapped][0])
        octet = trace.octet(stray, "initiator", dsn)
        assert octet.connection == -1
        assert octet.carried
        assert trace.frame(octet.carried[0].frame).connection == -1
