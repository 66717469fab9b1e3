"""The committed corpus: whole, explained, and true to itself."""

from __future__ import annotations

import hashlib
import json
import re
from typing import Any

import pytest
from mptcp_oracle.generators import corpus

from mptcp_oracle import crypto
from mptcp_oracle.live.peers import Stream
from mptcp_oracle.live.scenario import to_json
from mptcp_oracle.live.scenarios import SCENARIOS
from tests.common.checkout import ROOT

CORPUS = ROOT / "corpus"
ENTRIES = corpus.read_index(CORPUS)
RECORDED = {item.slug: item for item in ENTRIES if item.family in ("kernel", "tester")}

# Recordings that do not hold the handshake of the connection: another path, or cut options.
NO_KEYS = {"joined-path-only", "options-cut"}
# Scenarios with more data now than when they were recorded, so that chance is asked less often.
MORE_DATA = {"link-flap"}
# What a scenario says about a recording, not how it is played.
WORDS = ("why", "flags", "shipped", "expects", "streams")
MP_CAPABLE = re.compile(rb"\x1e[\x14\x16\x18]\x01[\x01\x81](.{8})(.{8})", re.DOTALL)


def truth(slug: str) -> dict[str, Any]:
    """A recording's sidecar."""
    found: dict[str, Any] = json.loads((CORPUS / RECORDED[slug].sidecar).read_bytes())
    return found


def test_the_corpus_is_in_order() -> None:
    """The tool's own check finds nothing: files, digests, index and sidecars agree."""
    assert corpus.check(CORPUS) == []


def test_the_corpus_is_small() -> None:
    """Recordings are well below 8 MB, the shipped ones at most 2 MB with their sidecars."""
    assert sum(item.size for item in RECORDED.values()) < 7_500_000
    shipped = [
        CORPUS / name for item in corpus.shipped(CORPUS) for name in (item.file, item.sidecar)
    ]
    assert 0 < sum(path.stat().st_size for path in shipped) <= 2_000_000


def test_every_recording_is_of_a_scenario() -> None:
    """No recording is of a scenario that is gone; the others are recorded on demand."""
    assert set(RECORDED) <= set(SCENARIOS)
    assert len(RECORDED) >= 66


@pytest.mark.parametrize("slug", sorted(RECORDED))
def test_a_recording_is_of_the_scenario_as_it_is_now(slug: str) -> None:
    """What the sidecar says was played is what the table plays today; words may have changed."""
    played, row = truth(slug)["scenario"], json.loads(json.dumps(to_json(SCENARIOS[slug])))
    for body in (played, row):
        for words in WORDS:
            body.pop(words, None)
        # Recordings that are older than these say nothing of them.
        body["vantage"].setdefault("late", False)
        for step in body["script"]:
            if step["step"] == "Send":
                step.setdefault("piece", None)
        if slug in MORE_DATA:
            del body["octets"]
    assert played == row


@pytest.mark.parametrize("slug", sorted(RECORDED))
def test_a_recording_shows_its_scenario(slug: str) -> None:
    """Nothing that the scenario expects is missing, and the capture lost no frame."""
    body = truth(slug)
    assert body["missing"] == []
    assert body["capture"]["dropped"] == 0
    assert body["capture"]["captured"] == body["capture"]["frames"]


@pytest.mark.parametrize("slug", sorted(RECORDED))
def test_streams_are_whole_unless_a_reason_is_known(slug: str) -> None:
    """Readers got exactly what was written, except where the scenario is about the contrary."""
    whole = all(
        stream["complete"]
        for connection in truth(slug)["connections"]
        for stream in connection["streams"].values()
    )
    assert whole == (SCENARIOS[slug].streams == "whole")


@pytest.mark.parametrize("slug", sorted(RECORDED))
def test_streams_are_those_that_the_seed_gives(slug: str) -> None:
    """What each application wrote can be made again from seed, ordinal and role."""
    body = truth(slug)
    for connection in body["connections"]:
        for end, role in (("initiator", "client"), ("listener", "server")):
            written = connection[end]["written"]
            stream = Stream(f"{body['seed']}/{connection['ordinal']}/{role}")
            octets = stream.take(written["octets"])
            assert hashlib.sha256(octets).hexdigest() == written["sha256"]


@pytest.mark.parametrize("slug", sorted(RECORDED))
def test_tokens_are_hashes_of_keys_in_the_capture(slug: str) -> None:
    """The kernel's own tokens are those of MP_CAPABLE keys, found here by a search for octets."""
    keys = {
        int.from_bytes(octets, "big")
        for found in MP_CAPABLE.findall((CORPUS / RECORDED[slug].file).read_bytes())
        for octets in found
    }
    idsns = {crypto.token(key, 1): crypto.idsn(key, 1) for key in keys}
    for connection in truth(slug)["connections"]:
        for end in (connection["initiator"], connection["listener"]):
            info = end["mptcp_info"]
            if info is None or slug in NO_KEYS:
                continue
            idsn = idsns[int(end["token"], 16)]
            octets = end["written"]["octets"] - end["syn_octets"]
            assert int(info["write_seq"]) == (idsn + 1 + octets) % 2**64


@pytest.mark.parametrize("slug", sorted(RECORDED))
def test_both_ends_tell_the_same_story(slug: str) -> None:
    """Addresses mirror each other, and so do the subflows that both ends report established."""
    translated = slug == "address-translation"
    for connection in truth(slug)["connections"]:
        initiator, listener = connection["initiator"], connection["listener"]
        assert initiator["token"] is None or initiator["token"] != listener["token"]
        near = {_ends(item, "local", "remote") for item in _alive(connection, "initiator")}
        far = {_ends(item, "remote", "local") for item in _alive(connection, "listener")}
        if not translated and "tester" not in initiator:  # a tester has no path manager
            assert far <= near


def _alive(connection: dict[str, Any], end: str) -> list[dict[str, Any]]:
    return [item for item in connection["subflows"][end] if item["established_ns"] is not None]


def _ends(item: dict[str, Any], first: str, second: str) -> tuple[object, ...]:
    return tuple(item[side][key] for side in (first, second) for key in ("address", "port"))
