"""What rules say of receive windows: that they do not shrink, and that nothing goes beyond them."""

from __future__ import annotations

import pytest

from mptcp_oracle.rules import windows
from mptcp_oracle.rules.case import INCOMPLETE
from mptcp_oracle.rules.receding import NO_SCALE, REORDERED
from mptcp_oracle.rules.weighing import ELSEWHERE, LATE
from tests.common.conversation import Conversation, Flow, Mapping
from tests.common.joinery import HOSTS, Said, said
from tests.common.tape import ACK, RST, Tape

SHRINKS = {1: "8684-3.3.4-02", 0: "6824-3.3.4-11"}
SUBFLOW = {1: "8684-3.3.5-03", 0: "6824-3.3.5-12"}
CONNECTION = {1: "8684-3.3.5-04", 0: "6824-3.3.5-13"}
DATA = bytes(range(40))


def says(talk: Conversation, **claims) -> Said:
    """What the rules of windows say."""
    return said(talk, windows.RULES, **claims)


def scale(shift: int) -> bytes:
    """The window scale option."""
    return bytes([1, 3, 3, shift])


def opened(
    shifts: tuple[int | None, int | None] = (None, None),
    *,
    version: int = 1,
    window: int = 1_000,
    talk: Conversation | None = None,
) -> tuple[Conversation, Flow]:
    """A conversation whose SYNs have some window scales, and announce some window."""
    talk = Conversation(version=version) if talk is None else talk
    flow = talk.flow()
    options = [[] if shift is None else [scale(shift)] for shift in shifts]
    flow.segment(0, 0x02, flow.capable("syn"), *options[0], seq=0, window=window)
    flow.segment(1, 0x12, flow.capable("synack"), *options[1], seq=0, window=window)
    flow.segment(0, ACK, flow.capable("ack"), window=window)
    return talk, flow


# -------------------------------------------------------------------------------------- shrinking


@pytest.mark.parametrize(("shift", "host"), [(0, 0), (0, 1), (7, 1), (14, 0)])
@pytest.mark.parametrize("version", [0, 1])
def test_right_edge_moves_left(version, shift, host):
    """The edge may move back by one unit of the scale, for rounding, and no more."""
    talk, flow = opened((shift, shift), version=version)
    flow.ack(host, window=500)
    flow.ack(host, window=499)
    assert says(talk, at=host).failed() == set()
    assert says(talk, at=host).of(SHRINKS[version], host).seen == 2
    frame = flow.ack(host, window=498)
    found = says(talk, at=host, whole=False)
    assert found.failed() == {(SHRINKS[version], HOSTS[host])}
    verdict = found.of(SHRINKS[version], host)
    assert (verdict.frames, verdict.severity) == ((frame - 2, frame), "violation")
    assert verdict.why == (
        f"the right edge moves from DSN {1 + (500 << shift)} (relative) back to "
        f"{1 + (498 << shift)}, by more than one unit of the window scale ({1 << shift})"
    )
    for elsewhere in (says(talk), says(talk, at=1 - host)):
        assert elsewhere.outcome(SHRINKS[version], host) == "inconclusive"
        assert elsewhere.of(SHRINKS[version], host).why.endswith(f"; {REORDERED}")


def test_right_edge_by_parts_of_a_unit():
    """An octet more than the unit is too much, also if the DATA_ACK has grown."""
    talk, flow = opened((3, 3))
    flow.ack(1, window=10)
    flow.data(0, DATA[:7])
    flow.ack(1, window=8)
    flow.data(0, DATA[:1])
    flow.ack(1, window=8)
    assert says(talk, at=1).outcome(SHRINKS[1], 1) == "fail"
    talk, flow = opened((3, 3))
    flow.ack(1, window=10)
    flow.data(0, DATA[:8])
    flow.ack(1, window=8)
    assert says(talk, at=1).failed() == set()


def test_right_edge_is_data_ack_plus_window():
    """A smaller window beside a larger DATA_ACK is the same edge, and the reverse."""
    talk, flow = opened()
    flow.ack(1, window=500)
    flow.data(0, DATA)
    flow.ack(1, window=460)
    flow.ack(1, window=500, dack=1)
    found = says(talk, at=1)
    assert found.failed() == set()
    assert found.of(SHRINKS[1], 1).seen == 3


def test_windows_that_are_not_the_connections():
    """Without DATA_ACK, on a RST or a SYN, and on other subflows a window is another matter."""
    talk, flow = opened(window=9_000)
    other = talk.joined()
    flow.ack(1, window=500)
    flow.ack(1, window=100, dack=None)
    other.ack(1, window=502)
    flow.segment(1, ACK | RST, talk.dss(1, dack=1), window=0)
    found = says(talk, at=1)
    assert found.failed() == set()
    assert found.of(SHRINKS[1], 1).seen == 3


@pytest.mark.parametrize("missing", ["syn", "synack"])
def test_window_scale_that_is_not_known(missing):
    """Both SYNs must be there."""
    talk = Conversation()
    flow = talk.flow()
    flow.handshake(missing=missing)
    flow.data(1, DATA)
    flow.ack(1, window=100)
    found = says(talk, at=1)
    assert found.failed() == set()
    verdict = found.of(SHRINKS[1], 1)
    assert (verdict.seen, verdict.unseen, verdict.why) == (0, 2, NO_SCALE)


@pytest.mark.parametrize("shifts", [(7, None), (None, 7), (None, None)])
def test_window_scale_of_one_host_alone(shifts):
    """Windows are shifted only if both SYNs have the option."""
    talk, flow = opened(shifts)
    flow.ack(1, window=100)
    flow.ack(1, window=98)
    assert "one unit of the window scale (1)" in says(talk, at=1).of(SHRINKS[1], 1).why


# --------------------------------------------------------------------------- windows of subflows


@pytest.mark.parametrize("host", [0, 1])
@pytest.mark.parametrize("version", [0, 1])
def test_window_of_a_subflow(version, host):
    """Payload up to the edge is right; beyond it, either end's whole capture proves it."""
    talk, flow = opened(version=version, window=80)
    flow.data(host, DATA)
    flow.data(host, DATA)
    found = says(talk, at=host)
    assert found.failed() == set()
    assert found.of(SUBFLOW[version], host).seen == 2
    frame = flow.data(host, DATA[:2])
    for at in (0, 1):
        found = says(talk, at=at)
        assert (SUBFLOW[version], HOSTS[host]) in found.failed()
        verdict = found.of(SUBFLOW[version], host)
        assert (verdict.frames, verdict.severity) == ((frame,), "violation")
        assert verdict.why == (
            "payload up to subflow sequence number 83, while the windows that the peer had "
            "announced on the subflow end at 81"
        )
    for claims in ({}, {"at": 0, "whole": False}):
        found = says(talk, **claims)
        assert found.outcome(SUBFLOW[version], host) == "inconclusive"
        assert found.of(SUBFLOW[version], host).why.endswith(f"; {INCOMPLETE}")


@pytest.mark.parametrize(("octets", "fails"), [(1, False), (2, True)])
def test_probe_beyond_a_window(octets, fails):
    """One octet alone may probe a window."""
    talk, flow = opened(window=40)
    flow.data(0, DATA)
    flow.data(0, DATA[:octets])
    assert ((SUBFLOW[1], "initiator") in says(talk, at=0).failed()) is fails
    assert ((CONNECTION[1], "initiator") in says(talk, at=0).failed()) is fails


def test_largest_window_so_far():
    """An edge that was announced once stays, whatever is announced later."""
    talk, flow = opened((2, 2), window=40)
    flow.ack(1, window=25)
    flow.ack(1, window=5)
    flow.data(0, DATA)
    flow.data(0, DATA)
    flow.data(0, DATA[:20])
    assert says(talk, at=0).failed() == set()
    flow.data(0, DATA[:2])
    assert (SUBFLOW[1], "initiator") in says(talk, at=0).failed()


def test_scaled_window_and_that_of_a_syn():
    """Windows of SYNs are not shifted."""
    talk, flow = opened((7, 7), window=40)
    flow.data(0, DATA)
    flow.data(0, DATA[:2])
    assert (SUBFLOW[1], "initiator") in says(talk, at=0).failed()
    assert says(talk, at=0).of(SUBFLOW[1], 0).frames == (5,)


def test_windows_that_do_not_count():
    """Those of a RST, and of frames that came later."""
    talk, flow = opened(window=40)
    flow.segment(1, ACK | RST, talk.dss(1, dack=1), window=500)
    frame = flow.data(0, DATA + DATA)
    flow.ack(1, window=500)
    found = says(talk, at=0)
    assert found.of(SUBFLOW[1], 0).frames == (frame,)


def test_window_of_a_subflow_that_is_not_known():
    """Without scale or without any window there is nothing to compare with."""
    talk = Conversation()
    flow = talk.flow()
    flow.handshake(missing="synack")
    flow.data(0, bytes(600))
    found = says(talk, at=0)
    assert found.of(SUBFLOW[1], 0).why == NO_SCALE
    assert found.of(CONNECTION[1], 0).why == windows.NO_WINDOW
    talk = Conversation()
    flow = talk.flow()
    flow.handshake(missing="third")
    flow.data(1, bytes(600))
    found = says(talk, at=1)
    assert found.of(SUBFLOW[1], 1).why == windows.NO_WINDOW
    assert (found.of(SUBFLOW[1], 1).unseen, found.of(SUBFLOW[1], 1).seen) == (1, 0)


def test_data_on_a_syn():
    """Data on a SYN comes before any window."""
    talk = Conversation()
    flow = talk.flow()
    flow.syn(payload=bytes(600))
    flow.next[0] = 601
    flow.synack(ack=601)
    flow.third()
    flow.data(0, DATA)
    assert says(talk, at=0).of(SUBFLOW[1], 0).seen == 1


def test_windows_of_each_subflow():
    """A large window on one subflow is none on another."""
    talk, flow = opened(window=9_000)
    other = talk.joined()
    flow.ack(1, window=9_000)
    other.data(0, bytes(502))
    assert says(talk, at=0).failed() == set()
    frame = other.data(0, DATA[:2])
    found = says(talk, at=0)
    assert found.failed() == {(SUBFLOW[1], "initiator")}
    assert found.of(SUBFLOW[1], 0).frames == (frame,)
    assert found.of(SUBFLOW[1], 0).subflow == 1


# ---------------------------------------------------------------------- window of the connection


@pytest.mark.parametrize("version", [0, 1])
def test_window_of_the_connection(version):
    """New data up to the largest edge of any subflow is right, and more is not."""
    talk = Conversation(version=version)
    flow = talk.opened()
    other = talk.joined()
    flow.data(0, DATA)
    flow.ack(1, window=502, dack=1)
    other.ack(1, window=600, dack=1)
    flow.data(0, bytes(460))
    flow.ack(1, dack=1)
    other.data(0, bytes(100))
    found = says(talk, at=0)
    assert found.failed() == set()
    assert found.of(CONNECTION[version], 0).seen == 3
    talk.tape.wait(1)
    frame = other.data(0, DATA[:2])
    for at in (0, 1):
        found = says(talk, at=at)
        assert found.failed() == {(CONNECTION[version], "initiator")}
        verdict = found.of(CONNECTION[version], 0)
        assert (verdict.frames, verdict.severity) == ((frame,), "warning")
        assert (verdict.subflow, verdict.seen) == (1, 3)
        assert verdict.why == (
            "new data up to DSN 603 (relative), while the windows that the peer had announced end "
            "at 601"
        )
    found = says(talk)
    assert found.outcome(CONNECTION[version], 0) == "inconclusive"
    assert found.of(CONNECTION[version], 0).why.endswith(f"; {INCOMPLETE}")


def exceeded(window: int = 502) -> tuple[Conversation, Flow, Flow]:
    """A connection whose initiator has sent two octets too many on its second subflow."""
    talk = Conversation()
    flow = talk.opened()
    other = talk.joined()
    flow.data(0, bytes(400))
    other.data(0, bytes(102))
    other.data(0, bytes(2))
    flow.ack(1, dack=1, window=window)
    return talk, flow, other


@pytest.mark.parametrize(
    ("after", "window", "outcome"),
    [
        (20, 504, "inconclusive"),
        (20, 503, "fail"),
        (20.001, 504, "fail"),
    ],
)
def test_larger_window_at_about_the_same_time(after, window, outcome):
    """Which came first on different subflows is not certain, if both were near each other."""
    talk, _, _ = exceeded(window)
    octets = talk.tape.frames[-1][1]
    talk.tape.frames[-1] = (talk.tape.frames[-2][0] + round(after * 1_000_000), octets)
    found = says(talk, at=0)
    assert found.outcome(CONNECTION[1], 0) == outcome
    assert outcome == "fail" or found.of(CONNECTION[1], 0).why.endswith(f"; {windows.UNORDERED}")


def test_what_was_sent_again_beyond_the_window():
    """Only new data counts, and the same data over another subflow is not new."""
    talk, flow, other = exceeded()
    third = talk.joined()
    third.data(0, bytes(2), dsn=503)
    flow.data(0, bytes(2), dsn=1)
    other.data(0, bytes(2), dsn=503, seq=103)
    assert says(talk, at=0).of(CONNECTION[1], 0).seen == 2


def test_subflow_that_is_not_captured():
    """A larger window may have come where nobody looked."""
    talk, flow, _ = exceeded()
    flow.ack(1, dack=700)
    found = says(talk, at=0)
    assert found.outcome(CONNECTION[1], 0) == "inconclusive"
    assert found.of(CONNECTION[1], 0).why.endswith(f"; {ELSEWHERE}")


def test_capture_that_began_late():
    """An older window may have been larger: the first SYN is missing."""
    talk, _, _ = exceeded()
    del talk.tape.frames[0]
    talk.tape.frames.pop()
    found = says(talk, at=0)
    assert found.failed() == set()
    assert found.of(CONNECTION[1], 0).why.endswith(f"; {LATE}")


@pytest.mark.parametrize("silent", [False, True])
def test_subflow_whose_scale_is_not_known(silent):
    """It may have announced any window, unless it sent nothing but SYNs."""
    talk, _, _ = exceeded()
    third = talk.flow()
    third.join_syn()
    with talk.lost():
        third.join_synack()
        third.join_ack()
    if not silent:
        third.ack(1)
    # That SYN stands before the data in the file.
    talk.tape.frames.sort(key=lambda frame: frame[0])
    found = says(talk, at=0)
    verdict = found.of(CONNECTION[1], 0)
    assert (str(verdict.outcome), verdict.unseen) == (
        ("fail", 0) if silent else ("inconclusive", 3)
    )


def test_windows_before_the_first_data_ack():
    """They count from the first octet of data, and are the connection's too."""
    talk, flow = opened(window=100)
    flow.segment(1, ACK, window=600)
    other = talk.joined()
    other.data(0, bytes(500))
    flow.data(0, bytes(100))
    assert says(talk, at=0).failed() == set()
    frame = flow.data(0, bytes(2))
    found = says(talk, at=0)
    assert found.failed() == {(CONNECTION[1], "initiator")}
    assert found.of(CONNECTION[1], 0).frames == (frame,)


def test_connections_do_not_share_windows():
    """Each connection has its own windows, whatever its neighbours announce."""
    tape = Tape()
    flows = []
    for number in range(10):
        talk = Conversation(tape, keys=(1 + number, 101 + number))
        flow = talk.flow(ports=(50_000 + number, 80))
        flow.segment(0, 0x02, flow.capable("syn"), seq=0)
        flow.segment(1, 0x12, flow.capable("synack"), seq=0, window=40 + number)
        flow.third()
        flows.append(flow)
    frames = [flow.data(0, bytes(45)) for flow in flows]
    for number, flow in enumerate(flows):
        found = says(flow.talk, at=0, connection=number)
        fails = {(each[1], "initiator") for each in (SUBFLOW, CONNECTION)}
        assert found.failed() == (fails if number < 5 else set())
        assert number >= 5 or found.of(SUBFLOW[1], 0).frames == (frames[number],)
        assert number >= 5 or f"end at {41 + number}" in found.of(CONNECTION[1], 0).why


def test_connection_that_became_plain():
    """After an infinite mapping nothing is judged."""
    talk, flow = opened(window=80)
    flow.data(0, DATA)
    flow.data(0, bytes(100), mapping=Mapping(dsn=41, ssn=41, dll=0))
    found = says(talk, at=0)
    assert found.failed() == set()
    assert found.of(SUBFLOW[1], 0).seen == 1
    assert found.of(CONNECTION[1], 0).seen == 1
