"""Rules of MP_TCPRST: its place, length, flags and reason."""

from __future__ import annotations

import pytest

from mptcp_oracle.options import MpTcprst
from mptcp_oracle.rules.aborting import (
    RESET_FLAGS,
    RESET_LENGTH,
    RESET_PLACE,
    RESET_REASON,
    RULES,
)
from tests.common.ruling import FAIL, PASS, begun, ruling, told
from tests.common.tape import ACK, FIN, PSH, RST


@pytest.mark.parametrize(
    ("flags", "reason", "on_rst", "broken"),
    [
        (0, 0, True, None),
        (1, 6, True, None),
        (0, 7, True, RESET_REASON),
        (0, 255, True, RESET_REASON),
        (2, 0, True, RESET_FLAGS),
        (4, 0, True, RESET_FLAGS),
        (8, 0, True, RESET_FLAGS),
        (0, 3, False, RESET_PLACE),
    ],
)
def test_reasons_for_resets(flags: int, reason: int, on_rst: bool, broken: str | None) -> None:
    """MP_TCPRST is on a RST, its undefined flags are 0, and its reason is registered."""
    talk, flow = begun()
    frame = flow.segment(1, (RST if on_rst else PSH) | ACK, MpTcprst(flags=flags, reason=reason))
    found = ruling(talk, RULES, whole=False)
    for each in (RESET_PLACE, RESET_LENGTH, RESET_FLAGS, RESET_REASON):
        verdict = found[each, 1]
        assert verdict.outcome == (FAIL if each == broken else PASS)
        assert verdict.frames == ((frame,) if each == broken else ())
        assert (each, 0) not in found


@pytest.mark.parametrize(
    ("octets", "outcome"), [("1e058000 00", FAIL), ("1e0380", FAIL), ("1e0490 00", None)]
)
def test_the_length_of_a_reason(octets: str, outcome: str | None) -> None:
    """MP_TCPRST has 4 octets; what is of another subtype is none."""
    talk, flow = begun()
    frame = flow.segment(0, RST | ACK, bytes.fromhex(octets))
    found = ruling(talk, RULES)
    assert told(found, RESET_LENGTH, 0) == outcome
    assert told(found, RESET_REASON, 0) is None
    if outcome:
        assert found[RESET_LENGTH, 0].frames == (frame,)
        assert f"this has {len(bytes.fromhex(octets))}" in found[RESET_LENGTH, 0].why


def test_version_0_has_no_reasons() -> None:
    """Nothing is said of MP_TCPRST in version 0."""
    talk, flow = begun(version=0)
    flow.segment(0, FIN | ACK, MpTcprst(flags=14, reason=99))
    assert ruling(talk, RULES) == {}
