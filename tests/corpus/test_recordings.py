"""Every recording against what its sidecar knows from elsewhere than packets.

Tokens and subflows come from the path manager's events, streams from the applications, octets of
subflows and write_seq from ``getsockopt``, counters from ``/proc``; the analysis has only packets.
"""

from __future__ import annotations

import copy
import dataclasses
import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from mptcp_oracle.errors import UsageError
from mptcp_oracle.live.agreement import CHECKS, Recorded, disagreements, recorded
from tests.common.checkout import ROOT

KERNEL = ROOT / "corpus" / "kernel"
RECORDINGS = sorted(
    path for name in ("kernel", "tester") for path in (ROOT / "corpus" / name).glob("*.json")
)

#: Recordings of which a capture point cannot show everything, and why.
NO_CONNECTION = {
    "joined-path-only": "only the joined subflow's path was captured: its keys are not there",
    "options-cut": "the snap length cuts every SYN's options: no token, no key",
    "fallback-syn-stripped-server-view": "MP_CAPABLE was stripped before the capture point",
}
NO_TOKENS = {
    "fallback-syn-stripped": "the kernel made no MPTCP connection, and gave no token",
    "fallback-syn-stripped-server-view": "the kernel made no MPTCP connection",
    "fallback-third-ack-stripped": "the listener fell back and gave no token",
    "fallback-synack-stripped": "the client fell back before it showed its key",
    "fallback-synack-stripped-server-view": "the client fell back before it showed its key",
    "syn-black-hole": "the SYNs with MP_CAPABLE were lost, the connection is plain TCP",
}
CHANGED_AFTER_CAPTURE = {
    "checksum-failure-one-subflow": "the router corrupts payload behind the capture point",
    "checksum-failure-two-subflows": "the same",
    "infinite-mapping-oversized": "the same",
}


@pytest.fixture(params=RECORDINGS, ids=lambda path: path.stem, scope="module")
def case(request: pytest.FixtureRequest) -> Iterator[Recorded]:
    """Sidecar and analysis of each recording."""
    with recorded(request.param) as found:
        yield found


@pytest.mark.parametrize("check", CHECKS)
def test_the_oracle_agrees_with_the_kernel(case: Recorded, check: str) -> None:
    """What packets tell is what the kernel and the applications know, check by check."""
    assert list(CHECKS[check](case)) == []


def test_what_is_not_asked_of_a_recording_is_known(case: Recorded) -> None:
    """Only these recordings are spared a comparison, each for its own reason."""
    name = case.sidecar["scenario"]["name"]
    assert all(map(case.expected, case.connections)) == (name not in NO_CONNECTION)
    assert all(map(case.has_tokens, case.connections)) == (name not in NO_TOKENS)
    assert case.corrupted == (name in CHANGED_AFTER_CAPTURE)


def _wrong_token(said: dict[str, Any]) -> None:
    said["listener"]["token"] = "00c0ffee"


def _missing_subflow(said: dict[str, Any]) -> None:
    for view in said["subflows"].values():
        view.pop()


def _other_stream(said: dict[str, Any]) -> None:
    said["listener"]["read"]["sha256"] = "0" * 64


def _shorter_stream(said: dict[str, Any]) -> None:
    said["initiator"]["written"]["octets"] -= 1


def _octets_lost(said: dict[str, Any]) -> None:
    for each in said["listener"]["subflows_before_close"]:
        each["octets_received"] = 1 << 30


def _octets_sent(said: dict[str, Any]) -> None:
    for each in said["initiator"]["subflows_before_close"]:
        each["octets_sent"] = 1 << 30


def _octets_acknowledged(said: dict[str, Any]) -> None:
    for each in said["initiator"]["subflows_before_close"]:
        each["octets_acknowledged"] = 1


PLANTED: dict[str, tuple[str, Callable[[dict[str, Any]], None]]] = {
    "a token": ("connections", _wrong_token),
    "a subflow": ("subflows", _missing_subflow),
    "what was read": ("streams", _other_stream),
    "what was written": ("numbers", _shorter_stream),
    "octets received": ("octets", _octets_lost),
    "octets sent": ("octets", _octets_sent),
    "octets acknowledged": ("octets", _octets_acknowledged),
}


@pytest.mark.parametrize("name", PLANTED)
def test_a_planted_disagreement_is_found(name: str) -> None:
    """The comparison can fail: each of these wrong values is complained of."""
    check, plant = PLANTED[name]
    with recorded(KERNEL / "bulk-two-paths.json") as case:
        sidecar = copy.deepcopy(case.sidecar)
        plant(sidecar["connections"][0])
        assert list(CHECKS[check](dataclasses.replace(case, sidecar=sidecar)))


def test_what_is_no_sidecar_is_refused(tmp_path: Path) -> None:
    """A file that describes no capture is an error with its name."""
    path = tmp_path / "other.json"
    for text in ("{", "[]", json.dumps({"capture": {}})):
        path.write_text(text)
        with pytest.raises(UsageError, match=r"other\.json"):
            disagreements(path)
