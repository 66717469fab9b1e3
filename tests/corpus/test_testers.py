"""Recordings in which one end is a tester that breaks rules: that end is accused, and no other."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any

import pytest
from mptcp_oracle.conformance.sidecars import sidecar_of

import mptcp_oracle
from mptcp_oracle.rules.waivers import Waivers, read_waivers
from tests.common.checkout import ROOT

FOLDER = ROOT / "corpus" / "tester"
SLUGS = sorted(path.stem for path in FOLDER.glob("*.pcapng"))

#: What the tester of each recording breaks, and what is said of it: its kind, and the number of
#: the first frame that shows it.
BROKEN = {
    "tester-wrong-hmacs": {
        "8684-3.2-join-ack-hmac": ("fail", 8),
        "8684-3.4.1-add-addr-hmac": ("fail", 10),
        "8684-3.4.1-no-join-after-failure": ("warn", 6),
        "8684-3.6-permanent-error-no-retry": ("warn", 9),
        "8684-3.9.1-join-source-port": ("note", 6),
    },
    "tester-beyond-window": {
        "8684-3.3.5-connection-window-obeyed": ("warn", 14),
        "8684-3.9.1-join-source-port": ("note", 6),
    },
    "tester-acks-unsent": {
        "8684-3.3.1-unmapped-never-data-acked": ("fail", 14),
        "8684-3.3.2-data-ack-cumulative": ("fail", 14),
        "8684-3.3.2-data-ack-never-decreases": ("warn", 14),
        "8684-3.3.4-right-edge-never-shrinks": ("fail", 14),
        "8684-3.9.1-join-source-port": ("note", 6),
    },
    "tester-wrong-key": {"8684-3.5-fastclose-receiver-key": ("fail", 10)},
}
KINDS = {"violation": "fail", "warning": "warn", "note": "note"}


def capture(slug: str) -> Path:
    """The recording of a slug."""
    return FOLDER / f"{slug}.pcapng"


def sidecar(slug: str) -> dict[str, Any]:
    """What was recorded beside it."""
    found: dict[str, Any] = json.loads((FOLDER / f"{slug}.json").read_text())
    return found


def test_every_tester_is_told_of() -> None:
    """No recording is left out here."""
    assert sorted(BROKEN) == SLUGS


@pytest.mark.parametrize("slug", SLUGS)
def test_only_the_tester_is_accused(slug: str) -> None:
    """Exactly what it breaks is found, at its frame, and nothing of the kernel is even in doubt."""
    with mptcp_oracle.judge(capture(slug), whole=sidecar_of(capture(slug)).whole) as judgement:
        verdicts = list(judgement.verdicts())
    failed = [each for each in verdicts if each.outcome == "fail"]
    assert {each.host for each in failed} == {"initiator"}
    assert {each.requirement: (KINDS[each.severity], each.frames[0]) for each in failed} == BROKEN[
        slug
    ]
    of_kernel = {str(each.outcome) for each in verdicts if each.host == "listener"}
    assert of_kernel == {"pass"}


@pytest.mark.parametrize("slug", SLUGS)
def test_the_kernel_alone_conforms(slug: str) -> None:
    """Whoever asks for the kernel's end only hears of no failure; the other end has them all."""
    with mptcp_oracle.judge(capture(slug), whole=True, host="listener") as judgement:
        judgement.raise_on_fail(should=True)
    with (
        mptcp_oracle.judge(capture(slug), whole=True, host="initiator") as judgement,
        pytest.raises(mptcp_oracle.NonconformingError),
    ):
        judgement.raise_on_fail(should=True)


@pytest.mark.parametrize("slug", SLUGS)
def test_waivers_for_kernels_are_not_for_testers(slug: str) -> None:
    """The sidecar says whose addresses are the kernel's; a tester's failures stay failures."""
    said = sidecar(slug)["connections"][0]
    (target,) = sidecar_of(capture(slug)).targets
    assert target.name == "linux"
    assert said["listener"]["address"] in target.addresses
    assert said["initiator"]["address"] not in target.addresses
    known = read_waivers([str(ROOT / "conformance" / "waivers" / "linux.toml")])
    waivers = Waivers(waivers=known, targets=(target,))
    with mptcp_oracle.judge(capture(slug), whole=True, waivers=waivers) as judgement:
        assert not any(each.waived for each in judgement.verdicts())


@pytest.mark.parametrize("slug", SLUGS)
def test_the_kernels_view_agrees(slug: str) -> None:
    """Tokens are those of keys in the capture, and the kernel's application read what was sent."""
    said = sidecar(slug)["connections"][0]
    with mptcp_oracle.analyze(capture(slug)) as trace:
        (connection,) = trace.connections
        tokens = [f"{host.token:08x}" for host in connection.hosts]
        octets = b"".join(trace.stream(connection, "initiator"))
    assert tokens == [said["initiator"]["token"], said["listener"]["token"]]
    read = said["listener"]["read"]
    assert hashlib.sha256(octets[: read["octets"]]).hexdigest() == read["sha256"]
    assert said["initiator"]["tester"] is True
    assert said["initiator"]["written"] == read
