"""What rules say of the forms of MP_PRIO."""

from __future__ import annotations

import pytest

from mptcp_oracle.options import MpPrio
from mptcp_oracle.rules import priority
from tests.common.conversation import Conversation
from tests.common.joinery import HOSTS, Said, damaged, said

FORMAT = {1: "8684-3.3.8-02", 0: "6824-3.3.8-01"}
RESERVED = "8684-3.3.8-04"


def found(talk: Conversation, **claims) -> Said:
    """What the rules say."""
    return said(talk, priority.RULES, **claims)


@pytest.mark.parametrize("version", [0, 1])
def test_right_forms(version):
    """An MP_PRIO of 3 octets is right, and in version 0 one with an Address ID."""
    talk = Conversation(version=version)
    flow = talk.opened()
    flow.prio(1, backup=False)
    if not version:
        flow.prio(1, backup=True, address_id=3)
    what = found(talk, whole=False)
    assert what.failed() == set()
    assert what.of(FORMAT[version], 1).seen == 2 - version
    assert what.outcome(RESERVED, 1) == ("pass" if version else "not_exercised")
    assert what.outcome(FORMAT[version], 0) == "not_exercised"


@pytest.mark.parametrize(
    ("version", "option"),
    [
        (1, bytes([30, 4, 0x51, 3])),
        (1, bytes([30, 5, 0x50, 1, 2])),
        (0, bytes([30, 5, 0x50, 1, 2])),
    ],
)
def test_wrong_form(version, option):
    """Any other Length is wrong wherever it is seen, in version 1 that with an Address ID, too."""
    talk = Conversation(version=version)
    frame = talk.opened().ack(0, option)
    what = found(talk, whole=False)
    assert what.failed() == {(FORMAT[version], HOSTS[0])}
    verdict = what.of(FORMAT[version], 0)
    assert (verdict.severity, verdict.frames, verdict.subflow) == ("violation", (frame,), 0)
    assert f"has {len(option)}" in verdict.why
    assert option.hex() in verdict.why


@pytest.mark.parametrize("option", [bytes([30, 40, 0x50]), bytes([30, 13, 0x60]) + bytes(10)])
def test_other_broken_options(option):
    """What is cut off, or has another subtype, is no MP_PRIO of a wrong Length."""
    talk = Conversation()
    talk.opened().ack(0, option)
    assert found(talk) == {}


@pytest.mark.parametrize("bits", [1, 2, 4])
def test_reserved_bits(bits):
    """Bits that only the figure calls reserved make a note if they are set."""
    talk = Conversation()
    flow = talk.opened()
    frame = flow.ack(1, MpPrio(backup=True, reserved=bits))
    what = found(talk, whole=False)
    assert what.failed() == {(RESERVED, HOSTS[1])}
    verdict = what.of(RESERVED, 1)
    assert (verdict.severity, verdict.frames) == ("note", (frame,))
    damaged(talk, frame)
    assert found(talk).outcome(RESERVED, 1) == "inconclusive"


def test_nothing_after_fallback():
    """Nothing is judged once the connection is plain TCP."""
    talk = Conversation()
    flow = talk.flow()
    flow.syn()
    flow.synack(b"")
    flow.third(b"")
    flow.ack(0, MpPrio(backup=True, reserved=1), dack=None)
    flow.ack(0, bytes([30, 5, 0x50, 1, 2]), dack=None)
    assert found(talk) == {}
