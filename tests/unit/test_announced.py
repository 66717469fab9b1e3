"""Announced windows: their scales, and how far they let the peer send, against naive accounts."""

from __future__ import annotations

import pytest

from mptcp_oracle.analysis.announced import scales, windows
from mptcp_oracle.analysis.integrity import Integrity
from mptcp_oracle.analysis.trace import analyze
from tests.common.conversation import Conversation

#: Options of a SYN beside MP_CAPABLE, before or behind it.
OPTIONS = (
    b"",
    b"\x03\x03\x07\x01",
    b"\x01\x03\x03\x00",
    b"\x03\x03\x0e\x00",
    b"\x03\x03\xff\x01",
    b"\x00\x03\x03\x07",
    b"\x02\x04\x05\xb4\x01\x03\x03\x05",
    b"\x03\x04\x05\x05",
    b"\x03\x02\x01\x01\x01\x03\x03\x02",
    b"\x01\x01\x03\x01",
    b"\x01\x01\x01\x03",
    b"\x08\x0a" + bytes(8) + b"\x03\x03\x04\x01",
    b"\x05\x28\x01\x01",
    b"\x03\x03\x06\x03\x03\x09\x01\x01",
)


def shaken(first: bytes, second: bytes, *, missing: str = "", before: bool = False) -> Conversation:
    """A conversation whose SYNs have these options, too."""
    talk = Conversation()
    flow = talk.flow()
    pairs = [(flow.capable("syn"), first), (flow.capable("synack"), second)]
    for role, (option, more) in enumerate(pairs):
        shown = (more, option) if before else (option, more)
        if ("syn", "synack")[role] in missing.split():
            with talk.lost():
                flow.segment(role, (0x02, 0x12)[role], *shown, seq=0)
        else:
            flow.segment(role, (0x02, 0x12)[role], *shown, seq=0)
    flow.third()
    return talk


@pytest.mark.parametrize("before", [False, True])
@pytest.mark.parametrize("first", OPTIONS)
def test_scales(first, before):
    """Every half's scale is what the walk over its SYN's options finds."""
    for second in (b"", b"\x01\x03\x03\x08", first):
        with analyze(shaken(first, second, before=before).tape.pcap()) as trace:
            one_by_one = Integrity(trace)
            expected = [one_by_one.window_scale(half) for half in (0, 1)]
            assert scales(trace).tolist() == [-1 if each is None else each for each in expected]


@pytest.mark.parametrize("missing", ["syn", "synack", "syn synack"])
def test_scales_without_a_syn(missing):
    """Both SYNs must be there."""
    talk = shaken(b"\x01\x03\x03\x05", b"\x01\x03\x03\x06", missing=missing)
    with analyze(talk.tape.pcap()) as trace:
        assert scales(trace).tolist() == [-1, -1]


def test_scales_of_a_cut_syn():
    """Of a SYN that the snap length cut nobody knows the options."""
    talk = shaken(b"\x01\x03\x03\x05", b"\x01\x03\x03\x06")
    with analyze(talk.tape.pcap(snap_length=60)) as trace:
        assert scales(trace).tolist() == [-1, -1]


def test_first_syn_counts():
    """A SYN that is sent again changes nothing."""
    talk = Conversation()
    flow = talk.flow()
    for shift in (5, 7):
        flow.segment(0, 0x02, flow.capable("syn"), bytes([1, 3, 3, shift]), seq=0)
    flow.segment(1, 0x12, flow.capable("synack"), b"\x01\x03\x03\x06", seq=0, window=3)
    flow.segment(0, 0x10, flow.capable("ack"), window=3)
    with analyze(talk.tape.pcap()) as trace:
        found = scales(trace)
        assert sorted(found.tolist()) == [5, 6]
        assert scales(trace) is found
        assert windows(trace).tolist() == [502, 502, 3, 3 << 5]
        assert windows(trace) is windows(trace)


def test_windows_of_unknown_scale():
    """Without both SYNs a window is what the field says."""
    talk = shaken(b"\x01\x03\x03\x05", b"\x01\x03\x03\x06", missing="synack")
    with analyze(talk.tape.pcap()) as trace:
        assert windows(trace).tolist() == trace.ground.column("window").tolist()


def test_windows_of_the_largest_scale():
    """The largest window with the largest scale has room in the column."""
    talk = Conversation()
    flow = talk.flow()
    flow.segment(0, 0x02, flow.capable("syn"), b"\x01\x03\x03\x0e", seq=0)
    flow.segment(1, 0x12, flow.capable("synack"), b"\x01\x03\x03\x0f", seq=0)
    flow.segment(0, 0x10, flow.capable("ack"), window=65_535)
    with analyze(talk.tape.pcap()) as trace:
        assert windows(trace).tolist()[-1] == 65_535 << 14
