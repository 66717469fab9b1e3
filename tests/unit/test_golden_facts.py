"""The facts of recordings, fact by fact, against those that were found right.

The expectations are digests of what the analysis said when it agreed with everything that is
known of these recordings from elsewhere: the kernel's events, MPTCP_INFO and the applications'
own accounts (``tests/corpus``), tshark's fields (``tests/adapters``), and the naive account of
every octet (``test_tables``). A digest that changes is a change of what the analysis says; once
those tests agree with it, write the new digests with

    MPTCP_ORACLE_RENEW=1 python -m pytest tests/unit/test_golden_facts.py
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Iterator

import pytest

from mptcp_oracle import Trace, analyze
from tests.common.checkout import ROOT

KERNEL = ROOT / "corpus" / "kernel"
DIGESTS = ROOT / "tests" / "data" / "golden-facts.json"
#: Recordings up to this size, in octets, are small enough for a test of milliseconds.
SMALL = 170_000
RECORDINGS = sorted(path.name for path in KERNEL.glob("*.pcap*") if path.stat().st_size <= SMALL)
RENEW = bool(os.environ.get("MPTCP_ORACLE_RENEW"))


def digests(trace: Trace) -> dict[str, str]:
    """A digest of the values of each key of each kind of facts, and of the octets of streams."""
    kinds: dict[str, hashlib._Hash] = {}
    for fact in trace.facts():
        for key, value in flat(fact["fact"], fact):
            text = json.dumps(value, sort_keys=True)
            kinds.setdefault(key, hashlib.sha256()).update(f"{text}\n".encode())
    for connection in trace.connections:
        for role in ("initiator", "listener"):
            stream = kinds.setdefault("streams", hashlib.sha256())
            stream.update(f"{connection.id} {role}\n".encode())
            for octets in trace.stream(connection, role):
                stream.update(octets)
    return {kind: kinds[kind].hexdigest()[:8] for kind in sorted(kinds)}


def flat(path: str, value: dict[str, object]) -> Iterator[tuple[str, object]]:
    """The values in an object and in the objects in it, by path."""
    for key, held in value.items():
        if isinstance(held, dict) and key not in ("unknown", "options"):
            yield from flat(f"{path}.{key}", held)
        else:
            yield f"{path}.{key}", held


@pytest.mark.parametrize("name", RECORDINGS)
def test_a_recording_has_the_facts_that_were_found_right(name: str) -> None:
    """What was known of connections, subflows, segments, transmissions and streams still is."""
    with analyze(KERNEL / name) as trace:
        found = digests(trace)
    known = json.loads(DIGESTS.read_text()) if DIGESTS.exists() else {}
    if RENEW:
        DIGESTS.write_text(json.dumps(known | {name: found}, indent=0, sort_keys=True) + "\n")
        return
    # Keys that were added since have no digest yet.
    assert {key: found.get(key) for key in known[name]} == known[name]


def test_no_digest_is_left_over() -> None:
    """Every digest belongs to a recording."""
    assert sorted(json.loads(DIGESTS.read_text())) == RECORDINGS
