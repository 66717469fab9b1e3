"""What rules say of checksums that were agreed on, and of where numbers begin."""

from __future__ import annotations

import pytest

from mptcp_oracle import crypto
from mptcp_oracle.options import Dss
from mptcp_oracle.rules import negotiated
from tests.common.conversation import KEYS, Conversation, Flow, Mapping
from tests.common.hello import A, H, form, hello
from tests.common.joinery import HOSTS, Said, said
from tests.common.tape import ACK, PSH

CHECKSUMS = {1: "8684-3.1-35", 0: "6824-3.1-13"}
COUNTED = {1: "8684-3.1-45", 0: "6824-3.1-30"}
NEAR = 1 << 16


def settled(talk: Conversation, **claims) -> Said:
    """What the rules of what was negotiated say."""
    return said(talk, negotiated.RULES, **claims)


# --------------------------------------------------------------------------- checksums


def asking(version: int, *names: str) -> tuple[Conversation, Flow]:
    """A handshake in which some packets have A = 1."""
    given = {name: form(name, version, A | H) for name in names}
    talk, flow = hello(version, **given)
    talk.next_dsn[0], flow.next[0] = (6, 6) if version else (1, 1)
    return talk, flow


@pytest.mark.parametrize("version", [0, 1])
@pytest.mark.parametrize("host", [0, 1])
def test_mapping_without_checksum(version, host):
    """A mapping without checksum is wrong, if its sender has A = 1 itself or the capture shows."""
    for names in (("syn",), ("synack",), ("syn", "ack"), ("syn", "synack", "ack", "data")):
        talk, flow = asking(version, *(names if version else names[:3]))
        frame = flow.data(host, b"unsummed")
        found = settled(talk, at=host, whole=False)
        assert (CHECKSUMS[version], HOSTS[host]) in found.failed()
        verdict = found.of(CHECKSUMS[version], host)
        assert (verdict.frames, verdict.subflow) == ((frame,), 0)
        assert "asked for checksums, and the mapping has none" in verdict.why
        sure = {"syn", "ack"} if host == 0 else {"synack"}
        elsewhere = settled(talk, at=1 - host)
        said_so = not sure.isdisjoint(names)
        assert elsewhere.outcome(CHECKSUMS[version], host) == (
            "fail" if said_so else "inconclusive"
        )
        assert ("middlebox" in elsewhere.of(CHECKSUMS[version], host).why) is not said_so


@pytest.mark.parametrize("version", [0, 1])
def test_mappings_with_checksums(version):
    """Every mapping with a checksum is right, on all subflows, a DATA_FIN's too."""
    talk = Conversation(version=version, checksum=True)
    flow = talk.opened()
    if version:
        flow.first_data(b"first")
    flow.data(0, b"second")
    second = talk.joined()
    second.data(1, b"other way")
    flow.data_fin(0)
    found = settled(talk, whole=False)
    assert found.outcomes(CHECKSUMS[version], host=0) == ["pass"]
    # The mapping of first data is left to the rule about its Length.
    assert [found.of(CHECKSUMS[version], host).seen for host in (0, 1)] == [2, 1]


def test_data_fin_without_checksum():
    """A DATA_FIN is a mapping with a checksum of its own."""
    talk, flow = asking(1, "syn", "synack", "ack", "data")
    frame = flow.data_fin(0)
    assert settled(talk).of(CHECKSUMS[1], 0).frames == (frame,)


def test_an_infinite_mapping_ends_it():
    """An infinite mapping has nothing to sum, and what follows is plain TCP."""
    talk, flow = asking(1, "syn", "synack", "ack", "data")
    flow.data(0, b"last", mapping=Mapping(dsn=6, ssn=6, dll=0))
    flow.data(0, b"later")
    assert settled(talk, at=0).outcome(CHECKSUMS[1], 0) == "not_exercised"


def test_nobody_asked():
    """Without A = 1 nobody has to send checksums."""
    talk, flow = asking(1)
    flow.data(0, b"unsummed")
    assert settled(talk, at=0).outcome(CHECKSUMS[1], 0) == "not_exercised"


def test_connections_that_did_not_ask():
    """Beside connections with checksums, others need none."""
    for version in (0, 1):
        talk, flow = asking(1, "syn", "ack", "data")
        flow.data(0, b"unsummed")
        other = Conversation(talk.tape, version=version, keys=(7, 8))
        other.opened(ports=(50_000, 80)).data(0, b"unsummed")
        assert settled(talk, connection=1).outcome(CHECKSUMS[version], 0) == "not_exercised"


def test_connections_of_both_versions():
    """Connections of one capture are each judged by their own version."""
    talk, flow = asking(1, "syn", "ack", "data")
    flow.data(0, b"unsummed")
    old = Conversation(talk.tape, version=0, keys=(7, 8), checksum=True)
    other = old.opened(ports=(50_000, 80))
    other.data(0, b"summed")
    assert settled(talk).failed() == {(CHECKSUMS[1], "initiator")}
    assert settled(talk, connection=1).outcome(CHECKSUMS[0], 0) == "pass"


# --------------------------------------------------------------------------- numbers


@pytest.mark.parametrize("version", [0, 1])
@pytest.mark.parametrize("host", [0, 1])
@pytest.mark.parametrize("wide", [True, False])
def test_numbers_from_the_first_octet_on(version, host, wide):
    """Data begins with IDSN + 1, and so do DATA_ACKs."""
    talk = Conversation(version=version, wide=(wide, wide))
    flow = talk.opened()
    flow.data(host, b"data")
    flow.ack(1 - host)
    found = settled(talk, whole=False)
    assert [found.of(COUNTED[version], each).seen for each in (host, 1 - host)] == [2, 1]
    assert not found.failed()


@pytest.mark.parametrize("version", [0, 1])
@pytest.mark.parametrize("host", [0, 1])
@pytest.mark.parametrize("dack", [0, -1, 1 - NEAR])
def test_data_ack_of_the_syn(version, host, dack):
    """A DATA_ACK of the IDSN, or below it, is wrong wherever it is seen."""
    talk = Conversation(version=version)
    flow = talk.opened()
    frame = flow.ack(host, dack=dack)
    found = settled(talk, whole=False)
    assert found.failed() == {(COUNTED[version], HOSTS[host])}
    verdict = found.of(COUNTED[version], host)
    assert (verdict.frames, verdict.subflow) == ((frame,), 0)
    assert f"DATA_ACK of IDSN + {dack}, and the SYN has the IDSN" in verdict.why


def test_numbers_far_away():
    """A number far below the IDSN was counted from something else, which is another matter."""
    talk = Conversation()
    flow = talk.opened()
    flow.ack(0, dack=-NEAR)
    assert settled(talk).outcome(COUNTED[1], 0) == "not_exercised"
    flow.data(0, b"data", dsn=-NEAR, dack=None)
    assert settled(talk).outcome(COUNTED[1], 0) == "not_exercised"


@pytest.mark.parametrize("version", [0, 1])
@pytest.mark.parametrize("dsn", [0, -5, 1 - NEAR])
def test_data_of_the_syn(version, dsn):
    """A mapping from the IDSN on, or from below it, is wrong wherever it is seen."""
    talk = Conversation(version=version)
    flow = talk.opened()
    frame = flow.data(1, b"data", dsn=dsn)
    found = settled(talk, whole=False)
    assert found.failed() == {(COUNTED[version], "listener")}
    assert found.of(COUNTED[version], 1).frames == (frame,)
    assert f"a mapping from IDSN + {dsn} on" in found.of(COUNTED[version], 1).why


def test_a_probe_of_a_closed_window():
    """One octet at the IDSN into a closed window is a probe, and carries no data."""
    for window, outcome in ((0, "not_exercised"), (500, "fail")):
        talk = Conversation()
        flow = talk.opened()
        flow.segment(0, ACK, window=window)
        flow.data(1, b"x", dsn=0, dack=None)
        assert settled(talk).outcome(COUNTED[1], 1) == outcome


def test_numbers_of_an_unknown_key():
    """Without the key of a host nobody knows its IDSN."""
    talk = Conversation()
    flow = talk.flow()
    flow.handshake(missing="third")
    flow.data(0, b"data", dsn=0)
    flow.ack(1, dack=0)
    found = settled(talk)
    assert not found.failed()
    assert found.outcome(COUNTED[1], 1) == "not_exercised"


def test_numbers_from_another_base():
    """Where data counts from another number than the IDSN, that is another matter."""
    talk = Conversation(idsn=(1 << 50, None))
    flow = talk.opened()
    flow.data(0, b"data", dsn=0, dack=None)
    flow.ack(1, dack=0)
    assert crypto.idsn(KEYS[0], 1) != 1 << 50
    assert not settled(talk).failed()


def test_nothing_counts_after_a_fallback():
    """What has an option after an infinite mapping is not looked at."""
    talk = Conversation()
    flow = talk.opened()
    flow.data(0, b"last", mapping=Mapping(dsn=1, ssn=1, dll=0), dack=None)
    flow.segment(0, ACK | PSH, Dss.of(data_ack=talk.absolute(1, 0)), payload=b"more")
    assert settled(talk).outcome(COUNTED[1], 0) == "not_exercised"
