"""The benchmark's captures are what they claim to be: right, repeatable, made once."""

from __future__ import annotations

import hashlib
import json
import os
import struct
from collections.abc import Iterator
from dataclasses import replace
from itertools import pairwise
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from benchmarks import cache, recording
from benchmarks.pcap import COOKED_2, ETHERNET, FILE_HEADER, RECORD_HEADER, records
from benchmarks.repeat import MOST, repeat
from benchmarks.subjects import SUBJECTS
from benchmarks.synthetic import REQUESTS, RESPONSES, SEGMENTS_PER_CONNECTION, write_many
from mptcp_oracle import analyze
from mptcp_oracle.crypto import ones_sum
from mptcp_oracle.errors import AdapterError
from tests.common.checkout import ROOT

RECORDED = ROOT / "corpus/kernel/headers-only.pcap"
MANY = next(each for each in SUBJECTS if each.kind == "many")
REPEATED = next(each for each in SUBJECTS if each.kind == "repeat")


def frames(path: Path, linktype: int) -> Iterator[tuple[int, bytes]]:
    """Time in nanoseconds and octets of each frame."""
    data = path.read_bytes()
    for at in records(data, linktype, path):
        seconds, rest, captured, _ = RECORD_HEADER.unpack_from(data, at)
        yield seconds * 10**9 + rest, data[at + 16 : at + 16 + captured]


# --- synthetic --------------------------------------------------------------------------------


def test_synthetic_connections_are_right(tmp_path: Path) -> None:
    """Every synthetic connection joins validly, carries its octets, closes, and has no oddity."""
    path = tmp_path / "many.pcap"
    assert write_many(path, 30) == 30 * SEGMENTS_PER_CONNECTION
    with analyze(path) as trace:
        assert len(trace.connections) == 30
        assert not trace.unattached
        assert not trace.notes
        for connection in trace.connections:
            assert connection.state == "closed"
            assert not connection.mismatches
            assert [host.octets for host in connection.hosts] == [sum(REQUESTS), sum(RESPONSES)]
            (joined,) = connection.subflows[1:]
            assert joined.join is not None
            assert joined.join.result == "valid"


def test_synthetic_connections_overlap_in_order_of_time(tmp_path: Path) -> None:
    """The frames of several connections alternate, and times never go back."""
    path = tmp_path / "many.pcap"
    write_many(path, 60)
    found = list(frames(path, ETHERNET))
    times = [time for time, _ in found]
    assert times == sorted(times)
    ports = [max(struct.unpack_from(">HH", frame, 34)) for _, frame in found]
    changes = sum(a != b for a, b in pairwise(ports))
    assert changes > len(ports) / 2


def test_synthetic_checksums_are_right(tmp_path: Path) -> None:
    """IPv4 and TCP checksums hold, the payload being zeros."""
    path = tmp_path / "many.pcap"
    write_many(path, 3)
    for _, frame in frames(path, ETHERNET):
        header, total = frame[14:34], struct.unpack_from(">H", frame, 16)[0]
        segment = frame[34:]
        assert ones_sum(header) == 0xFFFF
        pseudo = header[12:20] + struct.pack(">HH", 6, total - 20)
        assert ones_sum(pseudo + segment + bytes(len(segment) % 2)) == 0xFFFF


def test_synthetic_octets_never_change(tmp_path: Path) -> None:
    """The generator writes the same octets on every machine and with every release."""
    path = tmp_path / "many.pcap"
    write_many(path, 5)
    assert hashlib.sha256(path.read_bytes()).hexdigest() == (
        "6493f7fb34d8a19447f5772a849e39593216e4e30d6e7bb444367c4403d3e7ed"
    )


# --- repetition -------------------------------------------------------------------------------


def test_repetitions_are_valid_connections(tmp_path: Path) -> None:
    """Each repetition is a connection of its own that does exactly what the recorded one did."""
    path = tmp_path / "repeated.pcap"
    with analyze(RECORDED) as trace:
        count, (original,) = trace.wire.frames, trace.connections
    assert repeat(RECORDED, path, 4) == 4 * count
    with analyze(path) as trace:
        assert not trace.unattached
        assert len(trace.connections) == 4
        for connection in trace.connections:
            assert connection.state == original.state
            assert not connection.mismatches
            for host, before in zip(connection.hosts, original.hosts, strict=True):
                assert host.octets == before.octets
                assert host.acknowledged == before.acknowledged
                assert host.transmissions == before.transmissions
            joins = [flow.join for flow in connection.subflows if flow.join is not None]
            assert [join.result for join in joins] == ["valid"]
        for role in (0, 1):
            assert len({each.hosts[role].key for each in trace.connections}) == 4
        assert len({each.hosts[0].endpoint for each in trace.connections}) == 4


def test_repetitions_follow_each_other(tmp_path: Path) -> None:
    """The recording comes first, unchanged; each repetition begins after the one before."""
    path = tmp_path / "repeated.pcap"
    repeat(RECORDED, path, 3)
    assert path.read_bytes()[: RECORDED.stat().st_size] == RECORDED.read_bytes()
    times = [time for time, _ in frames(path, COOKED_2)]
    third = len(times) // 3
    assert max(times[:third]) < min(times[third : 2 * third])
    assert max(times[third : 2 * third]) < min(times[2 * third :])


def test_repetitions_keep_ip_checksums_right(tmp_path: Path) -> None:
    """Every IPv4 header checksum fits the renumbered addresses."""
    path = tmp_path / "repeated.pcap"
    repeat(RECORDED, path, 3)
    assert all(ones_sum(frame[20:40]) == 0xFFFF for _, frame in frames(path, COOKED_2))


@pytest.mark.parametrize("times", [0, MOST + 1])
def test_a_capture_has_only_so_many_clients(tmp_path: Path, times: int) -> None:
    """More repetitions than there are client addresses, or none, are refused."""
    with pytest.raises(ValueError, match="can be repeated"):
        repeat(RECORDED, tmp_path / "x.pcap", times)


def changed(octets: bytes, how: str) -> bytes:
    """The recorded capture, made unfit for repetition."""
    first = FILE_HEADER.size + RECORD_HEADER.size
    if how == "short":
        return octets[:10]
    if how == "cut":
        return octets[:-1]
    if how == "link type":
        return octets[:20] + struct.pack("<I", ETHERNET) + octets[24:]
    if how == "IPv6":
        return octets[:first] + b"\x86\xdd" + octets[first + 2 :]
    if how == "client":
        return octets.replace(bytes([10, 1, 1, 1]), bytes([10, 9, 1, 1]))
    if how == "keys":
        return octets[: FILE_HEADER.size]
    # A DSS whose Length has room for a checksum, in place of one without.
    without, like = bytes([30, 26, 0x20, 0x0F]), bytes([30, 28, 0x20, 0x0F])
    return octets.replace(without, like)


@pytest.mark.parametrize("how", ["short", "cut", "link type", "IPv6", "client", "keys", "checksum"])
def test_what_cannot_be_renumbered_is_refused(tmp_path: Path, how: str) -> None:
    """A capture that a repetition could falsify is an error, and never a wrong capture."""
    source = tmp_path / "source.pcap"
    octets = changed(RECORDED.read_bytes(), how)
    assert octets != RECORDED.read_bytes()
    source.write_bytes(octets)
    with pytest.raises(ValueError, match=str(source)):
        repeat(source, tmp_path / "x.pcap", 2)


# --- cache ------------------------------------------------------------------------------------


def test_a_capture_is_made_once(tmp_path: Path) -> None:
    """A capture whose description fits is reused; a damaged or other one is made again."""
    said: list[str] = []
    small = replace(MANY, connections=2)
    made = cache.obtain(small, tmp_path, said.append)
    assert made.segments == 2 * SEGMENTS_PER_CONNECTION
    assert made.octets == made.path.stat().st_size
    assert len(said) == 1
    assert cache.obtain(small, tmp_path, said.append) == made
    assert len(said) == 1
    os.truncate(made.path, 100)
    assert cache.obtain(small, tmp_path, said.append) == made
    assert len(said) == 2
    other = cache.obtain(replace(MANY, connections=3), tmp_path, said.append)
    assert other.segments == 3 * SEGMENTS_PER_CONNECTION
    assert len(said) == 3
    other.path.with_suffix(".json").write_text("[]")
    assert cache.obtain(replace(MANY, connections=3), tmp_path, said.append) == other
    assert len(said) == 4
    assert sorted(path.name for path in tmp_path.iterdir()) == ["many-20k.json", "many-20k.pcap"]


def test_a_repetition_is_made_from_its_recording(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Asking for a repetition first makes the capture that it repeats."""

    def fake(target: Path, segments: int, *, full_payload: bool, progress: object) -> int:
        target.write_bytes(RECORDED.read_bytes())
        return len(list(frames(target, COOKED_2)))

    monkeypatch.setattr(recording, "record_bulk", fake)
    made = cache.obtain(REPEATED, tmp_path, lambda words: None)
    about = json.loads((tmp_path / "repeat-10m.json").read_text())
    assert (tmp_path / f"{REPEATED.source}.pcap").exists()
    assert made.segments == REPEATED.times * about["source"][0]


def test_the_cache_folder_is_the_users(monkeypatch: pytest.MonkeyPatch) -> None:
    """Captures go where the environment says that caches are, else to ~/.cache."""
    monkeypatch.setenv("XDG_CACHE_HOME", "/somewhere")
    assert cache.default_folder() == Path("/somewhere/mptcp-oracle/benchmarks")
    monkeypatch.delenv("XDG_CACHE_HOME")
    assert cache.default_folder() == Path.home() / ".cache/mptcp-oracle/benchmarks"


# --- recording --------------------------------------------------------------------------------


def recorder(counts: list[int], seen: list[Any], missing: tuple[str, ...] = ()) -> Any:
    """A recorder that makes captures of given sizes and notes the scenarios."""

    def fake(scenario: Any, folder: Path, **words: object) -> Any:
        seen.append(scenario)
        capture = folder / "x.pcap"
        capture.write_bytes(b"capture")
        return SimpleNamespace(capture=capture, frames=counts.pop(0), missing=missing)

    return fake


def test_recordings_are_fitted_to_the_number_of_segments(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A recording with too many or too few segments is repeated with other amounts of data."""
    seen: list[Any] = []
    monkeypatch.setattr(recording, "record", recorder([2_000, 900, 1_040], seen))
    target = tmp_path / "bulk.pcap"
    assert recording.record_bulk(target, 1_000, progress=lambda words: None) == 1_040
    assert target.read_bytes() == b"capture"
    amounts = [scenario.octets for scenario in seen]
    assert amounts[1] < amounts[0]
    assert amounts[2] > amounts[1]
    assert [path.name for path in tmp_path.iterdir()] == ["bulk.pcap"]


@pytest.mark.parametrize(("count", "missing"), [(500, ()), (1_000, ("3 frames",))])
def test_a_recording_that_never_fits_is_an_error(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, count: int, missing: tuple[str, ...]
) -> None:
    """Neither a wrong number of segments nor a capture that lost frames is taken."""
    monkeypatch.setattr(recording, "record", recorder([count] * 9, [], missing))
    with pytest.raises(AdapterError, match="no attempt"):
        recording.record_bulk(tmp_path / "bulk.pcap", 1_000, progress=lambda words: None)
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("full_payload", [False, True])
def test_recorded_scenarios_send_all_they_should(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, full_payload: bool
) -> None:
    """Whatever the number of rounds, each end writes one full share; payload needs checksums."""
    seen: list[Any] = []
    monkeypatch.setattr(recording, "record", recorder([1_000_000], seen))
    recording.record_bulk(
        tmp_path / "bulk.pcap",
        1_000_000,
        full_payload=full_payload,
        progress=lambda words: None,
    )
    (scenario,) = seen
    sends = [step for step in scenario.script if type(step).__name__ == "Send"]
    bulk = [step for step in sends if step is not sends[0]]
    assert len(bulk) > 2
    for end in ("client", "server"):
        assert sum(step.share for step in bulk if step.end == end) == pytest.approx(1.0)
    asks = ("net.mptcp.checksum_enabled", "1")
    for host in (scenario.client, scenario.server):
        assert (asks in host.sysctls) is full_payload
    assert (scenario.vantage.snaplen == 120) is not full_payload
    assert not scenario.plan.offloads
