"""The JSON of an analysis: its schema, what ``null`` means, and what its filters select."""

from __future__ import annotations

import io
import json
from collections.abc import Iterator
from itertools import product
from pathlib import Path
from typing import Any

import pytest
from mptcp_oracle.generators.schema import schema_errors

from mptcp_oracle.analysis.trace import analyze
from mptcp_oracle.dissectors.tshark import TShark
from mptcp_oracle.report.filters import Filters
from mptcp_oracle.report.json import write
from mptcp_oracle.report.schema import ANALYZE
from tests.common.checkout import ROOT
from tests.common.conversation import Conversation
from tests.common.machine import tool

KERNEL = ROOT / "corpus/kernel"
CAPTURES = sorted(path.stem for path in KERNEL.glob("*.pcap*"))

#: Keys whose ``null`` may say that there is no such thing.
NOTHING = {
    "acknowledged", "address", "c_flag", "data_fin", "end", "fallback", "frame", "hmac", "host",
    "initiator", "join", "listener", "port", "reason", "state_frame",
}  # fmt: skip


def told(source: Path | bytes, *, events: bool = False) -> Any:
    """What is written about a capture, parsed; with the time lines if they are wanted."""
    with analyze(source) as trace:
        file = io.StringIO()
        write(trace, file, *((trace.connections, trace.unattached) if events else ()))
    text = file.getvalue()
    assert text.endswith("\n")
    assert text.count("\n") == 1
    return json.loads(text)


def capture(slug: str) -> Path:
    """A recording by its slug."""
    (path,) = KERNEL.glob(f"{slug}.pcap*")
    return path


def objects(value: Any) -> Iterator[dict[str, Any]]:
    """Every JSON object inside a value."""
    if isinstance(value, dict):
        yield value
    for item in value.values() if isinstance(value, dict) else value:
        if isinstance(item, dict | list):
            yield from objects(item)


def unexplained(value: Any) -> Iterator[str]:
    """What breaks the rule of ``null`` and ``unknown``, in words."""
    for item in objects(value):
        for key, reason in item.get("unknown", {}).items():
            if item.get(key, "") is not None:
                yield f"{key} has a reason ({reason}) and a value ({item.get(key)!r})"
        for key, held in item.items():
            if held is None and key not in NOTHING and key not in item.get("unknown", {}):
                yield f"{key} is null without a reason"


def life() -> Conversation:
    """A connection with a join, data both ways, addresses, priority and a close."""
    talk = Conversation()
    first = talk.opened()
    first.data(0, b"request")
    second = talk.joined(backup=(True, False))
    second.data(1, b"response")
    first.add_addr(1, "10.0.3.2")
    first.remove_addr(1, 5)
    second.prio(0, backup=False)
    first.data_fin(0)
    first.data_fin(1)
    second.rst(1, 3)
    first.fin(0)
    first.fin(1)
    return talk


@pytest.mark.parametrize("slug", CAPTURES)
def test_recordings_fit_the_schema(slug: str) -> None:
    """What is written about every recording is what the published schema says."""
    for events in (False, True):
        found = told(capture(slug), events=events)
        assert schema_errors(found, ANALYZE) == []
        assert list(unexplained(found)) == []


def test_every_hole_leaves_sense() -> None:
    """Whatever stretch of a capture is missing, the schema and the rule of ``null`` hold."""
    talk = life()
    frames = list(talk.tape.frames)
    for start, size in product(range(0, len(frames), 2), (1, 3, 9)):
        talk.tape.frames = frames[:start] + frames[start + size :]
        found = told(talk.tape.pcap(), events=True)
        assert schema_errors(found, ANALYZE) == []
        assert list(unexplained(found)) == []


@pytest.mark.parametrize("checksum", [False, True])
@pytest.mark.parametrize("version", [0, 1])
def test_versions_fit_the_schema(version: int, checksum: bool) -> None:
    """Both versions, with and without checksums, are told by one schema."""
    talk = Conversation(version=version, checksum=checksum)
    talk.opened().data(0, b"x")
    found = told(talk.tape.pcap())
    assert schema_errors(found, ANALYZE) == []
    assert list(unexplained(found)) == []
    (connection,) = found["connections"]
    assert (connection["version"], connection["checksum"]) == (version, checksum)
    assert connection["checksums"]["right"] == int(checksum)


def test_the_schema_can_fail() -> None:
    """A key too few, a wrong type and a null without reason are all found."""
    found = told(capture("bulk-two-paths"))
    del found["capture"]["frames"]
    found["connections"][0]["initiator"]["idsn"] = 12
    found["connections"][0]["initiator"]["token"] = None
    assert len(schema_errors(found, ANALYZE)) == 2
    assert list(unexplained(found)) == ["token is null without a reason"]


def test_numbers_of_64_bits_are_text() -> None:
    """Keys, tokens and IDSNs are written as they paste into ip, Wireshark and packetdrill."""
    talk = Conversation(keys=(1, 0xFFFFFFFFFFFFFFFF))
    talk.opened()
    (connection,) = told(talk.tape.pcap())["connections"]
    for role, index in (("initiator", 0), ("listener", 1)):
        host = connection[role]
        assert host["key"] == f"{talk.keys[index]:016x}"
        assert host["token"] == f"{talk.token[index]:08x}"
        assert host["idsn"] == str(talk.idsn[index])


def test_a_stray_subflow_has_ends_not_roles() -> None:
    """Of a join without its connection nobody knows who is the initiator, and nothing says so."""
    talk = Conversation()
    with talk.lost():
        talk.opened()
    talk.joined().data(1, b"abc", dsn=None)
    found = told(talk.tape.pcap())
    assert schema_errors(found, ANALYZE) == []
    (flow,) = found["unattached"]
    assert found["connections"] == []
    assert flow["opened_by"] == "source"
    assert flow["octets"] == {"source": 0, "destination": 3}
    assert flow["token"] == f"{talk.token[1]:08x}"
    assert "initiator" not in json.dumps(flow)


def test_a_digest_that_cannot_be_had_is_unknown() -> None:
    """Without the capture's digest the rest is still told."""
    with analyze(life().tape.pcap()) as trace:
        trace.capture.close()
        file = io.StringIO()
        write(trace, file)
    found = json.loads(file.getvalue())
    held = found["capture"]
    assert held["sha256"] is not None or held["unknown"]["sha256"]
    assert schema_errors(found, ANALYZE) == []


@pytest.mark.parametrize(
    "slug", ["bulk-two-paths", "ipv6-two-paths", "tuple-reuse", "server-any", "mixed-families"]
)
def test_filters_select_the_frames(slug: str) -> None:
    """Wireshark's own engine finds with each filter exactly the frames of that subflow."""
    tool("tshark")
    shark = TShark().program
    with analyze(capture(slug)) as trace:
        filters, rows = Filters(trace), trace.wire.segments
        for flow in trace.subflows:
            own = [
                frame
                for frame, half in zip(*rows.of("frame", "half"), strict=True)
                if half >> 1 == flow.stream
            ]
            shown = shark.lines(
                "-n", "-r", str(capture(slug)), "-Y", filters.subflow(flow),
                "-T", "fields", "-e", "frame.number",
            )  # fmt: skip
            assert [int(number) for number in shown] == own
        for connection in trace.connections:
            streams = {flow.stream for flow in connection.subflows}
            own = [
                frame
                for frame, half in zip(*rows.of("frame", "half"), strict=True)
                if half >> 1 in streams
            ]
            shown = shark.lines(
                "-n", "-r", str(capture(slug)), "-Y", filters.connection(connection),
                "-T", "fields", "-e", "frame.number",
            )  # fmt: skip
            assert [int(number) for number in shown] == own
