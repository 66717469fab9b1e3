"""What rules say of short data sequence numbers at high rates."""

from __future__ import annotations

import numpy as np
import pytest

from mptcp_oracle.rules import rating
from tests.common.conversation import Conversation
from tests.common.joinery import Said, said

LONG = {1: "8684-3.3.1-17", 0: "6824-3.3.1-21"}
LIFETIME = 120_000_000_000
DATA = bytes(100)


def grown(*mappings: tuple[int, int, int]) -> list[int]:
    """New octets by the time of each mapping: time, DSN, octets."""
    columns = (np.array(each, np.int64) for each in zip(*mappings, strict=True))
    return rating.grown(*columns).tolist()


def test_octets_in_a_lifetime():
    """What is older than a segment lives is not counted, what is just as old is."""
    assert rating.LIFETIME == LIFETIME
    assert grown((0, 1, 10), (5, 11, 20), (LIFETIME, 31, 30)) == [10, 30, 60]
    assert grown((0, 1, 10), (5, 11, 20), (LIFETIME + 1, 31, 30)) == [10, 30, 50]
    assert grown((0, 1, 10), (5, 11, 20), (LIFETIME + 6, 31, 30)) == [10, 30, 30]


def test_only_new_octets_count():
    """Octets that were mapped before are not new, those of a mapping far ahead are its own."""
    assert grown((0, 1, 10), (1, 1, 10), (2, 6, 10), (3, 1_000, 10), (4, 16, 10)) == [
        10, 10, 15, 25, 25,
    ]  # fmt: skip


def test_clock_that_goes_back():
    """A clock that goes back a little changes nothing."""
    assert grown((LIFETIME, 1, 10), (0, 11, 10), (LIFETIME + 1, 21, 10)) == [10, 20, 30]


def fast(monkeypatch, *, most: int, wide: bool, version: int = 1, host: int = 0) -> Said:
    """What the rule says of three mappings of 100 octets within milliseconds, and a DATA_FIN."""
    monkeypatch.setattr(rating, "MOST", most)
    talk = Conversation(version=version, wide=(wide, wide))
    flow = talk.opened()
    for _ in range(3):
        flow.data(host, DATA)
    flow.data_fin(host)
    return said(talk, rating.RULES, whole=False)


@pytest.mark.parametrize(("most", "frames"), [(299, (6,)), (199, (5,)), (300, None)])
def test_short_numbers_at_high_rate(monkeypatch, most, frames):
    """A short number after too many octets is noted, at every tap."""
    found = fast(monkeypatch, most=most, wide=False)
    if frames is None:
        assert found == {}
        return
    assert found.failed() == {(LONG[1], "initiator")}
    assert found.of(LONG[1], 0).frames == frames
    assert found.of(LONG[1], 0).severity == "note"
    assert f"after {most + 1} octets" in found.of(LONG[1], 0).why


@pytest.mark.parametrize("host", [0, 1])
@pytest.mark.parametrize("version", [0, 1])
def test_long_numbers_at_high_rate(monkeypatch, version, host):
    """Long numbers are right at every rate, and counted where the rate is high."""
    found = fast(monkeypatch, most=150, wide=True, version=version, host=host)
    assert found.failed() == set()
    assert found.of(LONG[version], host).seen == 2
    assert found.outcome(LONG[version], 1 - host) == "not_exercised"


def test_most_octets():
    """Half of the numbers that 32 bits have may be new within a lifetime."""
    assert rating.MOST == 2**31
