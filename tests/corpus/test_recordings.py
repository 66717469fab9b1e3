"""Every recording against what its sidecar knows from elsewhere than packets.

Tokens and subflows come from the path manager's events, streams from the applications, write_seq
from MPTCP_INFO; the analysis has only the packets.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from mptcp_oracle.analysis.entities import ROLES, Connection
from mptcp_oracle.analysis.trace import Trace, analyze
from tests.common.checkout import ROOT

KERNEL = ROOT / "corpus" / "kernel"
RECORDINGS = sorted(KERNEL.glob("*.json"))
MASK = (1 << 64) - 1

#: Recordings whose capture lacks what a comparison needs, and why.
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
INCOMPLETE_STREAM = {
    "headers-only": "the snap length cuts the payload",
    "initial-path-only": "what the joined subflow carried was not captured",
}
CHANGED_AFTER_CAPTURE = {
    "checksum-failure-one-subflow": "the router corrupts payload behind the capture point",
    "infinite-mapping-oversized": "the router corrupts payload behind the capture point",
}


def capture_of(sidecar: Path) -> Path:
    """The capture that a sidecar describes."""
    return next(path for path in sidecar.parent.glob(sidecar.stem + ".pcap*"))


@pytest.fixture(params=RECORDINGS, ids=lambda path: path.stem, scope="module")
def recording(request: pytest.FixtureRequest) -> Iterator[tuple[str, dict[str, Any], Trace]]:
    """Slug, sidecar and analysis of each recording."""
    path: Path = request.param
    with analyze(capture_of(path)) as trace:
        yield path.stem, json.loads(path.read_text()), trace


def found(slug: str, said: dict[str, Any], trace: Trace) -> Connection:
    """The analysed connection that a sidecar's connection is."""
    tokens = {int(said[role]["token"], 16) for role in ROLES if said[role]["token"]}
    ends = [(said[role]["address"], said[role]["port"]) for role in ROLES]
    for connection in trace.connections:
        if tokens and slug not in NO_TOKENS:
            if {host.token for host in connection.hosts} == tokens:
                return connection
        elif any(
            host.endpoint is not None and [host.endpoint.address, host.endpoint.port] == list(end)
            for host, end in zip(connection.hosts, ends, strict=True)
        ):
            return connection
    pytest.fail(f"{slug}: connection {said['ordinal']} was not found by {tokens or ends}")


def ends_of(said: dict[str, Any], view: str) -> set[tuple[Any, ...]]:
    """One end's established subflows: initiator's end, listener's end, whether initial."""
    ends = set()
    for flow in said["subflows"][view]:
        if flow["established_ns"] is None:
            continue
        local = (flow["local"]["address"], flow["local"]["port"])
        remote = (flow["remote"]["address"], flow["remote"]["port"])
        pair = (local, remote) if view == "initiator" else (remote, local)
        ends.add((*pair, flow["initial"]))
    return ends


def test_connections_and_tokens_are_the_kernels(
    recording: tuple[str, dict[str, Any], Trace],
) -> None:
    """Each connection of the sidecar is found by its tokens, and there is no other one."""
    slug, sidecar, trace = recording
    if slug in NO_CONNECTION:
        assert not trace.connections
        return
    matched = {found(slug, said, trace).id for said in sidecar["connections"]}
    copies = 2 if slug == "address-translation" else 1
    assert len(trace.connections) == copies * len(sidecar["connections"])
    assert len(matched) == len(sidecar["connections"])
    for said in sidecar["connections"]:
        connection = found(slug, said, trace)
        if slug in NO_TOKENS:
            assert connection.state == "fallback"
            continue
        for role, host in zip(ROLES, connection.hosts, strict=True):
            assert f"{host.token:08x}" == said[role]["token"]
    assert not any(
        mismatch.what in ("token", "idsn", "echoed_key", "join_hmac")
        for connection in trace.connections
        for mismatch in connection.mismatches
    )


def test_subflows_are_the_path_managers(recording: tuple[str, dict[str, Any], Trace]) -> None:
    """Established subflows, their ends, the initial one and Address IDs are the events'."""
    slug, sidecar, trace = recording
    if slug in NO_CONNECTION or slug in NO_TOKENS:
        return
    for said in sidecar["connections"]:
        connection = found(slug, said, trace)
        expected = ends_of(said, "initiator")
        if slug != "address-translation":  # there each end has its own view of the addresses
            expected &= ends_of(said, "listener")
        if slug == "initial-path-only":
            expected = {flow for flow in expected if flow[2]}
        shown = set()
        for subflow in connection.subflows:
            if subflow.join is not None and subflow.join.result != "valid":
                continue
            source = (subflow.source.address, subflow.source.port)
            destination = (subflow.destination.address, subflow.destination.port)
            ends = (source, destination) if subflow.opener == 0 else (destination, source)
            shown.add((*ends, subflow.kind == "initial"))
        assert shown == expected


def test_streams_begin_with_what_the_reader_got(
    recording: tuple[str, dict[str, Any], Trace],
) -> None:
    """The octets by DSN start with the reader's, and are the writer's if DATA_FIN closed it."""
    slug, sidecar, trace = recording
    if slug in NO_CONNECTION or slug in INCOMPLETE_STREAM:
        return
    for said in sidecar["connections"]:
        connection = found(slug, said, trace)
        for index, role in enumerate(ROLES):
            got, sent = said[ROLES[1 - index]]["read"], said[role]["written"]
            prefix, whole, count = hashlib.sha256(), hashlib.sha256(), 0
            for octets in trace.stream(connection, role):
                prefix.update(octets[: max(0, got["octets"] - count)])
                whole.update(octets)
                count += len(octets)
            if slug in CHANGED_AFTER_CAPTURE and role == "initiator":
                assert prefix.hexdigest() != got["sha256"]
                if count == sent["octets"]:
                    assert whole.hexdigest() == sent["sha256"]
                continue
            assert count >= got["octets"]
            assert prefix.hexdigest() == got["sha256"]
            if connection.state == "closed":
                assert (count, whole.hexdigest()) == (sent["octets"], sent["sha256"])


def test_write_seq_is_idsn_and_what_was_written(
    recording: tuple[str, dict[str, Any], Trace],
) -> None:
    """MPTCP_INFO's write_seq is IDSN + 1 + octets, and the DATA_FIN stands where it says."""
    slug, sidecar, trace = recording
    if slug in NO_CONNECTION or slug in NO_TOKENS:
        return
    for said in sidecar["connections"]:
        connection = found(slug, said, trace)
        for role, host in zip(ROLES, connection.hosts, strict=True):
            info = said[role]["mptcp_info"]
            if not info or connection.state != "closed" or host.idsn is None:
                continue
            octets = said[role]["written"]["octets"] - said[role]["syn_octets"]
            assert int(info["write_seq"]) == (host.idsn + 1 + octets) & MASK
            if host.data_fin is not None:
                assert host.data_fin.dsn == 1 + octets
            if slug not in INCOMPLETE_STREAM:
                assert host.octets == octets
