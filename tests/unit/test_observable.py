"""The observable truth: each fact is known exactly if frames survived that suffice to know it."""

from __future__ import annotations

from dataclasses import replace
from ipaddress import ip_address
from typing import Any

import pytest
from mptcp_oracle.generators.emit import emit

from mptcp_oracle import crypto, facts
from mptcp_oracle.analysis.trace import analyze
from mptcp_oracle.facts import Fact
from mptcp_oracle.model.capture import Capture, Layout
from mptcp_oracle.model.observable import observable
from mptcp_oracle.model.trace import ACK, FIN, SYN, Endpoint
from mptcp_oracle.options import AddAddr, MpCapable, RemoveAddr
from tests.common.labelled import KEYS, Script
from tests.unit.test_facts_vocabulary import wrong_object


def conversation() -> Script:
    """Two subflows, data both ways, a copy, a retransmission, and the whole end.

    Segments: 0-2 handshake, 3 data, 4 ack, 5 data back, 6-9 join, 10 data on it, 11 copy of 3 on
    it, 12 retransmission of 3, 13-16 DATA_FINs and their acknowledgments, 17-19 FINs.
    """
    script = Script()
    first = script.flow()
    script.handshake(first)
    script.data(first, 0, 40)
    script.ack(first, 1)
    script.data(first, 1, 25)
    second = script.flow()
    script.join(second)
    script.data(second, 0, 30)
    script.data(second, 0, 40, dsn=1, cause="reinjection")
    script.data(first, 0, 40, dsn=1, sequence=1, cause="retransmission")
    script.data(first, 0, 0, fin=True)
    script.ack(first, 1)
    script.data(first, 1, 0, fin=True)
    script.ack(first, 0)
    script.send(first, 0, FIN | ACK)
    script.send(first, 1, FIN | ACK)
    script.send(first, 0)
    return script


def told(capture: Capture) -> dict[str, list[Fact]]:
    """The facts by kind."""
    found: dict[str, list[Fact]] = {kind: [] for kind in facts.KINDS}
    for fact in observable(capture):
        found[fact["fact"]].append(fact)
    return found


def test_everything_is_known_of_a_whole_capture() -> None:
    """Nothing but who captured is unknown where every frame and every octet is there."""
    script = conversation()
    found = told(script.capture())
    (connection,) = found["connection"]
    assert connection["unknown"] == {}
    assert (connection["state"], connection["state_frame"]) == ("closed", 16)
    assert [connection[role]["octets"] for role in facts.ROLES] == [70, 25]
    assert connection["initiator"]["key"] == f"{KEYS[0]:016x}"
    assert connection["listener"]["token"] == f"{crypto.token(KEYS[1], 1):08x}"
    assert connection["initiator"]["data_fin"] == {"frame": 14, "dsn": 71, "acknowledged": True}
    first, second = found["subflow"]
    assert (first["kind"], second["kind"]) == ("initial", "joined")
    assert (first["end"]["how"], second["end"]) == ("fin", None)
    assert second["join"]["result"] == "valid"
    assert len(found["segment"]) == 20
    assert all(set(fact["unknown"]) == {"outgoing"} for fact in found["segment"])


def test_every_fact_keeps_to_the_vocabulary() -> None:
    """The truth has the keys and forms of the vocabulary, whatever frames are missing."""
    script = conversation()
    for gone in [(), *((at,) for at in range(20)), tuple(range(10)), tuple(range(3, 20))]:
        for fact in observable(script.capture(without=gone)):
            found = dict(fact)
            if found["fact"] == "transmission":
                found["unknown"] = dict(found["unknown"])
            problems = [
                each
                for each in wrong_object(found, found["fact"], found["fact"])
                if not each.endswith("needed: null")
            ]
            assert problems == []


def test_classes_previous_and_copies_follow_from_the_labels() -> None:
    """What carried octets before, and how often, is that of the frames in the capture."""
    script = conversation()
    found = told(script.capture())
    classes = {fact["frame"]: fact["class"] for fact in found["transmission"]}
    assert classes == {
        4: "first_seen", 6: "first_seen", 11: "first_seen", 12: "reinjection",
        13: "tcp_retransmission",
    }  # fmt: skip
    carried = {fact["frame"]: (fact["previous"], fact["copies"]) for fact in found["segment"]}
    assert (carried[12], carried[13]) == ((4, 1), (12, 2))
    without = {fact["frame"]: fact for fact in told(script.capture(without=(3,)))["transmission"]}
    assert (without[11]["class"], without[12]["class"]) == ("first_seen", "unclassified")


KNOWN: list[tuple[str, tuple[int, ...], Any]] = [
    ("connection 0 initiator key", (2,), f"{KEYS[0]:016x}"),
    ("connection 0 initiator key", (1, 3), None),
    ("connection 0 listener key", (1,), f"{KEYS[1]:016x}"),
    ("connection 0 listener key", (2,), f"{KEYS[1]:016x}"),
    ("connection 0 version", (1,), 1),
    ("connection 0 version", (0, 3), None),
    ("connection 0 checksum", (0, 1), False),
    ("connection 0 checksum", (1, 3), None),
    ("connection 0 initiator c_flag", (1, 3), None),
    ("connection 0 initiator c_flag", (0,), False),
    ("subflow 0 source isn", (0,), 1_000),
    ("subflow 0 source isn", (1,), 1_000),
    ("subflow 0 source isn", (2,), None),
    ("subflow 0 destination isn", (2,), 0xFFFF_FFF0),
    ("subflow 0 destination isn", (0, 3), None),
    ("subflow 0 opened_by", (2, 3), "initiator"),
    ("subflow 0 opened_by", (3, 4), None),
    ("subflow 0 kind", (3, 4), None),
    ("subflow 0 round_trip", (0, 1, 2), 0.002),
    ("subflow 0 round_trip", (0, 2), None),
    ("subflow 1 connection", (0, 1, 2, 6), 0),
    ("subflow 1 connection", (0, 2, 8, 10), 0),
    ("subflow 1 connection", (0, 1, 6), 0),
    ("subflow 0 connection", (6, 10), -1),
    ("subflow 1 join result", (0, 1, 2, 6, 7), "unknown"),
    ("subflow 1 join synack_hmac", (0, 1, 2, 6, 7), True),
    ("subflow 1 join ack_hmac", (0, 1, 2, 6, 8), None),
    ("subflow 1 source address_id", (0, 1, 2, 6), 1),
    ("subflow 1 destination address_id", (0, 1, 2, 6), None),
    ("segment 1 ack", (0, 4), 41),
    ("segment 1 sequence", (0, 4), None),
    ("segment 1 sequence", (3, 4), None),
    ("segment 0 previous", (12, 13), None),
]


@pytest.mark.parametrize(("path", "only", "value"), KNOWN)
def test_each_fact_needs_its_frames(path: str, only: tuple[int, ...], value: Any) -> None:
    """A fact is known with these frames alone, or it is not and says so."""
    kind, at, *keys = path.split()
    found: Any = told(conversation().capture(only=only))[kind][int(at)]
    for key in keys[:-1]:
        found = found[key]
    assert found[keys[-1]] == value
    optional = keys[-1] in ("ack_hmac", "previous")
    if value is None and not optional:
        assert keys[-1] in found["unknown"]


def test_a_subflow_without_connection_stands_for_itself() -> None:
    """With the initial subflow missing, its source is the initiator of a group of its own."""
    script = Script()
    script.handshake(script.flow())
    join = script.flow(opener=1)
    script.join(join)
    script.data(join, 1, 30)
    found = told(script.capture(only=(3, 4, 5, 6, 7)))
    (connection,) = found["connection"]
    assert (connection["connection"], connection["subflows"]) == (-1, [0])
    assert connection["initiator"]["octets"] == 30
    assert {fact["sender"] for fact in found["segment"]} == {"initiator", "listener"}
    assert found["transmission"][0]["dsn"] == 1
    assert found["transmission"][0]["absolute"] == str(script.absolute(1, 1))


def test_relative_numbers_count_from_the_lowest_first_one_without_a_key() -> None:
    """Of 8-octet numbers the absolute ones are known, of 4-octet numbers only the relative."""
    for wide in (True, False):
        script = Script()
        flow = script.flow()
        script.handshake(flow)
        script.data(flow, 0, 30)
        script.data(flow, 0, 20, wide=wide)
        script.data(flow, 0, 10, wide=wide)
        found = told(script.capture(only=(4, 5)))
        assert [fact["dsn"] for fact in found["transmission"]] == [1, 21]
        base = str(script.absolute(0, 30)) if wide else None
        assert found["connection"][0]["initiator"]["base"] == base


def test_addresses_are_listed_with_the_check_of_their_hmac() -> None:
    """An announcement is right by the keys, or nothing is known of it without them."""
    script = Script()
    flow = script.flow()
    script.handshake(flow)
    hmac = crypto.add_addr_hmac(
        sender_key=KEYS[1], receiver_key=KEYS[0], address_id=7, address=ip_address("10.9.9.9")
    )
    script.ack(flow, 1, AddAddr(address_id=7, address=ip_address("10.9.9.9"), hmac=hmac))
    script.ack(flow, 1, RemoveAddr(address_ids=(7, 8)))
    for only, right in (((0, 1, 2, 3, 4), True), ((0, 1, 3, 4), None)):
        addresses = told(script.capture(only=only))["connection"][0]["addresses"]
        assert [(each["what"], each["address_id"]) for each in addresses] == [
            ("add", 7), ("remove", 7), ("remove", 8),
        ]  # fmt: skip
        assert addresses[0]["hmac"] is right


@pytest.mark.parametrize("snap", range(53, 130))
def test_a_snap_length_leaves_what_is_whole(snap: int) -> None:
    """Options and octets count as far as they are kept, and a header below 20 octets not at all."""
    layout = Layout(snap_length=snap, timestamps=True)
    found = told(conversation().capture(layout=layout))
    segments = {fact["frame"]: fact for fact in found["segment"]}
    kept = snap - 14 - 20
    # It takes the Kind and the Length of an option, behind a timestamp, to see that it is one.
    assert (4 in segments) == (kept >= 20 + 12 + 2)
    if 4 in segments:
        data = segments[4]
        # Twenty octets of header, twelve of timestamp, twenty-eight of DSS.
        assert data["options_cut"] == (kept < 20 + 12 + 20 + 8)
        assert data["captured"] == max(0, min(40, kept - 60))


def test_ends_of_unknown_addresses_are_never_mixed_up() -> None:
    """Hosts keep their addresses and ports, whoever opened the subflow."""
    script = Script()
    script.handshake(script.flow())
    ends = tuple(Endpoint(address=ip_address(f"2001:db8::{host}"), port=9) for host in (1, 2))
    join = script.flow(opener=1, ends=ends)
    script.join(join)
    subflow = told(script.capture())["subflow"][1]
    assert (subflow["source"]["address"], subflow["source"]["role"]) == ("2001:db8::2", "listener")


def test_fallback_after_data_on_a_syn_that_is_missing() -> None:
    """Numbers count from what the SYN/ACK acknowledges; the first plain payload is there."""
    script = Script()
    flow = script.flow()
    script.send(flow, 0, SYN, payload=bytes(10), options=(MpCapable(version=1, flags=1),))
    answer = MpCapable(version=1, flags=1, sender_key=KEYS[1])
    script.send(flow, 1, SYN | ACK, options=(answer,))
    script.send(flow, 0, options=(replace(answer, sender_key=KEYS[0], receiver_key=KEYS[1]),))
    begin = script.plain(flow, 0, 40)
    script.plain(flow, 1, 30)
    script.send(flow, 0)
    script.connection = replace(
        script.connection, fallback="no_mapping", fallback_shown=(frozenset({begin}),)
    )
    capture = script.capture(without=(0,))
    (connection,) = told(capture)["connection"]
    assert (connection["fallback"], connection["state_frame"]) == ("no_mapping", begin)
    with analyze(emit(capture)) as trace:
        (found,) = trace.connections
        assert (found.fallback, found.state_frame) == ("no_mapping", begin)
