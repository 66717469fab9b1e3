"""What set-up messages mean: versions, keys, HMACs, and how joins went, message by message.

RFC 8684 sections 3.1 (MP_CAPABLE) and 3.2 (MP_JOIN). Expected HMACs are made with the standard
library.
"""

from __future__ import annotations

import hmac
from types import SimpleNamespace
from typing import Any

import pytest

from mptcp_oracle import crypto
from mptcp_oracle.analysis import connections, joins
from mptcp_oracle.analysis.connections import Assembly, assemble
from mptcp_oracle.analysis.entities import Connection, Host, Subflow
from mptcp_oracle.analysis.joins import check_join, hmac_checks, owner_by_hmac
from mptcp_oracle.analysis.owners import Found
from mptcp_oracle.analysis.subflows import Handshake
from mptcp_oracle.options import MpCapable, MpJoinAck, MpJoinSyn, MpJoinSynAck
from mptcp_oracle.wire.segments import Endpoint
from tests.common.columns import wire

A, B = 0x0102030405060708, 0xDEADBEEFCAFEBABE
NAMES = {0: "sha1", 1: "sha256"}


def raw(row: int) -> Any:
    """Where an option stands; row 0 is in frame 100."""
    return SimpleNamespace(row=row)


def columns(rows: int = 20, **more: Any) -> Any:
    """A capture whose frames count from 100."""
    return wire(halves=8, rows=rows, frame=list(range(100, 100 + rows)), **more)


def flow(stream: int = 0, *, kind: str | None = "joined", opener: int | None = 0) -> Subflow:
    """A subflow of a stream."""
    return Subflow(
        id=stream, stream=stream, kind=kind, source=Endpoint("a", 1), opener=opener,
        destination=Endpoint("b", 2), halves=(2 * stream, 2 * stream + 1), first_frame=stream + 1,
    )  # fmt: skip


def pair(
    version: int | None = 1, keys: tuple[int | None, int | None] = (A, B), number: int = 0
) -> Connection:
    """A connection of two hosts with keys."""
    hosts = []
    for role, key in zip(("initiator", "listener"), keys, strict=True):
        host = Host(role=role, key=key)
        if key is not None and version in (0, 1):
            host.token = crypto.token(key, version)
        hosts.append(host)
    return Connection(id=number, version=version, hosts=(hosts[0], hosts[1]))


def digest(sender: int, first: int, second: int, version: int = 1) -> bytes:
    """The HMAC of a host (0 has key A) with its own nonce first."""
    keys = (A, B) if sender == 0 else (B, A)
    secret = b"".join(key.to_bytes(8, "big") for key in keys)
    message = first.to_bytes(4, "big") + second.to_bytes(4, "big")
    return hmac.digest(secret, message, NAMES[version])


def syn(nonce: int, token: int = 7) -> MpJoinSyn:
    """MP_JOIN on a SYN."""
    return MpJoinSyn(address_id=1, token=token, nonce=nonce)


def synack(nonce: int, hmac: bytes) -> MpJoinSynAck:
    """MP_JOIN on a SYN/ACK."""
    return MpJoinSynAck(address_id=1, hmac=hmac, nonce=nonce)


def shaken(
    syns: list[MpJoinSyn], synacks: list[tuple[int, MpJoinSynAck]],
    third: tuple[int, bytes] | None = None, **fields: Any,
) -> Handshake:  # fmt: skip
    """The messages of a join, each with its row."""
    shake = Handshake(fields.pop("subflow", None) or flow())
    shake.syns = list(syns)
    shake.syn = (raw(0), syns[-1]) if syns else None
    shake.synacks = [(raw(row), option) for row, option in synacks]
    shake.synack = shake.synacks[-1] if synacks else None
    shake.ack = None if third is None else (raw(third[0]), MpJoinAck(hmac=third[1]))
    for name, value in fields.items():
        setattr(shake, name, value)
    return shake


def proofs(shake: Handshake, connection: Connection | None = None, opener: int = 0) -> list[Any]:
    """Row, expected and seen HMAC of SYN/ACK and third packet, as far as they are checked."""
    found = hmac_checks(shake, connection or pair(), opener)
    return [each and (each.row, each.expected, each.seen, each.right) for each in found]


# -------------------------------------------------------------------- HMACs


@pytest.mark.parametrize("version", [0, 1])
@pytest.mark.parametrize("opener", [0, 1])
def test_both_hmacs_of_a_join(version: int, opener: int) -> None:
    """64 bits on the SYN/ACK, 160 in the third packet, each with its sender's key first."""
    first = digest(1 - opener, 22, 11, version)[:8]
    second = digest(opener, 11, 22, version)[:20]
    shake = shaken([syn(11)], [(3, synack(22, first))], (5, second))
    assert proofs(shake, pair(version), opener) == [
        (3, first, first, True), (5, second, second, True),
    ]  # fmt: skip
    wrong = proofs(shake, pair(version), 1 - opener)
    assert [each[3] for each in wrong] == [False, False]
    assert wrong[0][1] == digest(opener, 22, 11, version)[:8]
    assert owner_by_hmac(shake, pair(version), opener) is True
    assert owner_by_hmac(shake, pair(version), 1 - opener) is False


@pytest.mark.parametrize(
    "connection",
    [pair(2), pair(None), pair(-1), pair(1, (None, B)), pair(1, (A, None)), pair(0, (None, None))],
    ids=range(6),
)
def test_without_keys_or_hash_nothing_is_checked(connection: Connection) -> None:
    """Neither can be computed."""
    shake = shaken([syn(1)], [(3, synack(2, digest(1, 2, 1)[:8]))], (5, digest(0, 1, 2)[:20]))
    assert proofs(shake, connection) == [None, None]
    assert owner_by_hmac(shake, connection, 0) is None


def test_without_messages_nothing_is_checked() -> None:
    """Both nonces are needed for either HMAC."""
    right = synack(2, digest(1, 2, 1)[:8])
    third = (5, digest(0, 1, 2)[:20])
    assert proofs(shaken([], [(3, right)], third)) == [None, None]
    assert proofs(shaken([syn(1)], [], third)) == [None, None]
    assert proofs(shaken([syn(1)], [(3, right)])) == [(3, right.hmac, right.hmac, True), None]
    other: Any = shaken([syn(1)], [(3, right)])
    other.ack = (raw(9), MpCapable(version=1))
    assert proofs(other)[1] is None
    other.syns = [MpCapable(version=1)]
    assert proofs(other) == [None, None]
    other.syns, other.synacks = [syn(1)], [(raw(3), MpCapable(version=1))]
    assert proofs(other) == [None, None]


def test_the_pair_of_nonces_that_fits_counts() -> None:
    """Whichever of the SYNs and SYN/ACKs it is; with the third packet under the same nonces."""
    for ours in (11, 12, 13):
        for theirs in (21, 22, 23):
            right = digest(1, theirs, ours)[:8]
            third = digest(0, ours, theirs)[:20]
            answers = [(at, synack(at, right if at == theirs else bytes(8))) for at in (21, 22, 23)]
            shake = shaken([syn(11), syn(12), syn(13)], answers, (5, third))
            assert proofs(shake) == [(theirs, right, right, True), (5, third, third, True)]


def test_without_a_pair_that_fits_the_latest_counts() -> None:
    """Unless a pair makes the third packet right."""
    answers = [(3, synack(21, bytes(8))), (4, synack(22, bytes(8)))]
    bad = bytes(20)
    for third in (None, (5, bad)):
        found = proofs(shaken([syn(11), syn(12)], answers, third))
        assert found[0] == (4, digest(1, 22, 12)[:8], bytes(8), False)
        assert found[1] == (third and (5, digest(0, 12, 22)[:20], bad, False))
    for ours, theirs, row in ((11, 21, 3), (12, 21, 3), (11, 22, 4), (12, 22, 4)):
        right = digest(0, ours, theirs)[:20]
        found = proofs(shaken([syn(11), syn(12)], answers, (5, right)))
        assert found == [
            (row, digest(1, theirs, ours)[:8], bytes(8), False), (5, right, right, True),
        ]  # fmt: skip


def test_one_right_hmac_proves_the_connection() -> None:
    """Though the other one is wrong."""
    right, third = digest(1, 2, 1)[:8], digest(0, 1, 2)[:20]
    assert owner_by_hmac(shaken([syn(1)], [(3, synack(2, right))]), pair(), 0) is True
    assert owner_by_hmac(shaken([syn(1)], [(3, synack(2, right))], (5, bytes(20))), pair(), 0)
    assert owner_by_hmac(shaken([syn(1)], [(3, synack(2, bytes(8)))], (5, third)), pair(), 0)
    assert owner_by_hmac(shaken([syn(1)], [(3, synack(2, bytes(8)))]), pair(), 0) is False
    assert owner_by_hmac(shaken([syn(1)], []), pair(), 0) is None


# -------------------------------------------------------------------- how a join went


@pytest.mark.parametrize(
    ("fields", "refused"),
    [
        ({}, False), ({"refused": 0}, True), ({"refused": 9}, True),
        ({"refused": 9, "answered": True}, False), ({"refused": 9, "begun": True}, False),
        ({"plain_synack": 0}, True), ({"plain_synack": 4, "answers": 1}, False),
        ({"answered": True, "begun": True}, False),
    ],
)  # fmt: skip
def test_what_refuses_a_join(fields: dict[str, Any], refused: bool) -> None:
    """A RST before anything but set-up, or a SYN/ACK without MP_JOIN and none with it."""
    answers = [(3, synack(2, bytes(8)))] * fields.pop("answers", 0)
    assert joins._refused(shaken([], answers, **fields)) is refused


def checked(
    *, token: int | None = None, first: bool | None = True, third: bool | None = True,
    opener: int | None = 0, number: int = 0, keys: tuple[int | None, int | None] = (A, B),
    **fields: Any,
) -> tuple[Any, ...]:  # fmt: skip
    """Token, the three checks and the result of a join; and host and frame of its mismatches."""
    nonce = {True: digest(1 - (opener or 0), 2, 1)[:8], False: bytes(8)}
    proof = {True: digest(opener or 0, 1, 2)[:20], False: bytes(20)}
    shake = shaken(
        [syn(1, crypto.token((A, B)[1 - (opener or 0)], 1) if token is None else token)],
        [] if first is None else [(3, synack(2, nonce[first]))],
        None if third is None else (5, proof[third]),
        subflow=flow(opener=opener), **fields,
    )  # fmt: skip
    connection = pair(keys=keys, number=number)
    made = check_join(columns(), shake, connection)
    right = f"{crypto.token((A, B)[1 - (opener or 0)], 1)}"
    named = [(each.what, each.host, each.frame, each.section) for each in connection.mismatches]
    return (
        "right" if str(made.token) == right else made.token, made.token_right, made.synack_hmac,
        made.ack_hmac, made.result, named,
    )  # fmt: skip


@pytest.mark.parametrize("opener", [0, 1])
def test_how_a_join_went(opener: int) -> None:
    """Valid with all three right, invalid with one wrong, refused by a RST, else unknown."""
    us, them = ("initiator", "listener")[opener], ("listener", "initiator")[opener]
    wrong_first = ("join_hmac", them, 103, "3.2")
    wrong_third = ("join_hmac", us, 105, "3.2")
    given: dict[str, Any] = {"opener": opener}
    assert checked(**given) == ("right", True, True, True, "valid", [])
    assert checked(third=None, **given) == ("right", True, True, None, "unknown", [])
    assert checked(first=None, third=None, **given) == ("right", True, None, None, "unknown", [])
    assert checked(token=9, **given) == (9, False, True, True, "invalid", [])
    assert checked(first=False, **given) == ("right", True, False, True, "invalid", [wrong_first])
    assert checked(third=False, **given) == ("right", True, True, False, "invalid", [wrong_third])
    assert checked(first=False, third=False, **given)[-2:] == (
        "invalid", [wrong_first, wrong_third],
    )  # fmt: skip
    assert checked(refused=6, **given) == ("right", True, True, True, "refused", [])
    assert checked(refused=6, third=None, **given)[4] == "refused"
    assert checked(refused=6, first=False, **given)[4] == "invalid"
    assert checked(refused=6, answered=True, **given)[4] == "valid"


def test_a_join_of_which_too_little_is_known() -> None:
    """Without opener or connection nothing is checked; without the key the token is not."""
    assert checked(opener=None) == ("right", None, None, None, "unknown", [])
    assert checked(number=-1) == ("right", None, None, None, "unknown", [])
    assert checked(keys=(A, None))[1:5] == (None, None, None, "unknown")
    assert checked(keys=(None, B))[1:5] == (True, None, None, "unknown")
    assert checked(keys=(None, B), token=9)[1:5] == (False, None, None, "invalid")
    assert checked(keys=(A, None), refused=3)[4] == "refused"
    shake = shaken([], [])
    assert check_join(columns(), shake, pair()).token is None
    shake.syn = (raw(0), MpCapable(version=1))
    found = check_join(columns(), shake, pair())
    assert (found.token, found.token_right, found.result) == (None, None, "unknown")


def test_a_wrong_hmac_is_shown_with_the_right_one() -> None:
    """Both as hexadecimal text."""
    connection = pair()
    check_join(columns(), shaken([syn(1)], [(3, synack(2, b"01234567"))]), connection)
    (found,) = connection.mismatches
    assert found.expected == digest(1, 2, 1)[:8].hex()
    assert found.seen == "3031323334353637"


# -------------------------------------------------------------------- MP_CAPABLE

OFFER, ANSWER = MpCapable(version=1), MpCapable(version=1, sender_key=B)
THIRD = MpCapable(version=1, sender_key=A, receiver_key=B)


def opened(
    *, offer: MpCapable | None = OFFER, answer: MpCapable | None = ANSWER,
    third: MpCapable | None = THIRD, changed: MpCapable | None = None,
    answers: list[MpCapable] | None = None, **fields: Any,
) -> Handshake:  # fmt: skip
    """The handshake of an initial subflow: SYN, SYN/ACK, third packet in rows 1, 2, 3."""
    shake = Handshake(flow(kind="initial"))
    shake.syn = None if offer is None else (raw(1), offer)
    shake.synack = None if answer is None else (raw(2), answer)
    shake.ack = None if third is None else (raw(3), third)
    shake.changed = None if changed is None else (raw(4), changed)
    held = [answer] if answers is None and answer is not None else answers or []
    shake.synacks = [(raw(2), each) for each in held]
    for name, value in fields.items():
        setattr(shake, name, value)
    return shake


def begun(shake: Handshake, heard: int = 1) -> Connection:
    """The connection that a handshake begins."""
    build = Assembly(columns(half_count=[3, heard] + [0] * 6))
    connections._begin(build, shake)
    (connection,) = build.connections
    assert connection.subflows == [shake.subflow]
    assert shake.subflow.connection is connection
    return connection


V0 = MpCapable(version=0, sender_key=A)


@pytest.mark.parametrize(
    ("messages", "heard", "version"),
    [
        ({}, 1, 1),
        # The answer counts, or the third packet; the offer only if nothing was answered.
        ({"offer": MpCapable(version=3)}, 1, 1),
        ({"answer": MpCapable(version=0, sender_key=B)}, 1, 0),
        ({"answer": None}, 1, 1),
        ({"answer": None, "third": MpCapable(version=0, sender_key=A, receiver_key=B)}, 1, 0),
        ({"answer": None, "third": None}, 1, None),
        ({"answer": None, "third": None}, 0, 1),
        ({"answer": None, "third": None, "begun": True}, 0, None),
        ({"answer": None, "third": None, "plain_synack": 0}, 1, 1),
        ({"answer": None, "third": None, "plain_synack": 0, "begun": True}, 1, 1),
        # Version 0 cannot be answered with a lower one.
        ({"offer": V0, "answer": None, "third": None}, 1, 0),
        ({"offer": V0, "answer": None, "third": None, "begun": True}, 1, 0),
        ({"offer": None, "answer": None, "third": None}, 0, None),
        ({"offer": MpCapable(version=2), "answer": None, "third": None}, 0, 2),
    ],
)  # fmt: skip
def test_the_version_that_a_handshake_shows(
    messages: dict[str, Any], heard: int, version: int | None
) -> None:
    """A SYN offers a version, and its answer may have a lower one (RFC 8684 section 3.1)."""
    assert begun(opened(**messages), heard).version == version


def test_the_version_of_a_joined_subflow_is_its_connections() -> None:
    """An MP_JOIN shows none."""
    shake = shaken([syn(1)], [(3, synack(2, bytes(8)))], (5, bytes(20)))
    assert connections._own_version(columns(), shake) is None


def named(connection: Connection) -> list[tuple[str, str | None, int, str, str]]:
    """The mismatches of a connection."""
    return [
        (each.what, each.host, each.frame, each.expected, each.seen)
        for each in connection.mismatches
    ]


@pytest.mark.parametrize(
    ("messages", "keys"),
    [
        ({}, (A, B)),
        ({"third": None}, (None, B)),
        ({"third": None, "offer": V0}, (A, B)),
        ({"answer": None}, (A, B)),
        ({"offer": None, "answer": None}, (A, B)),
        ({"answer": None, "third": None}, (None, None)),
        ({"offer": V0, "answer": None, "third": None}, (A, None)),
        ({"offer": None, "third": None}, (None, B)),
        # Of several SYN/ACKs the one that the third packet echoes.
        ({"answers": [MpCapable(version=1, sender_key=7), ANSWER],
          "third": MpCapable(version=1, sender_key=A, receiver_key=7)}, (A, 7)),
    ],
)  # fmt: skip
def test_keys_of_a_handshake(messages: dict[str, Any], keys: tuple[int | None, int | None]) -> None:
    """Each host's own message tells its key, or the third packet both."""
    connection = begun(opened(**messages))
    assert tuple(host.key for host in connection.hosts) == keys
    assert connection.mismatches == []
    version = connection.version
    for host, key in zip(connection.hosts, keys, strict=True):
        if key is None:
            reason = "no key in the capture"
            assert host.unknown == {"key": reason, "token": reason, "idsn": reason}
            assert (host.token, host.idsn) == (None, None)
        else:
            assert version is not None
            assert host.unknown == {}
            assert host.token == crypto.token(key, version)
            assert host.idsn == crypto.idsn(key, version)


def test_keys_of_a_version_without_a_known_hash() -> None:
    """They are told; what would follow from them is not."""
    later = MpCapable(version=2, sender_key=B)
    connection = begun(opened(answer=later, third=None))
    assert connection.version == 2
    assert connection.hosts[1].key == B
    assert connection.hosts[1].unknown == {"token": "version 2", "idsn": "version 2"}
    assert "key" in connection.hosts[0].unknown


def test_a_third_packet_that_echoes_another_key() -> None:
    """The listener's own word counts, and the initiator is named."""
    wrong = MpCapable(version=1, sender_key=A, receiver_key=0xBAD)
    connection = begun(opened(third=wrong))
    assert connection.hosts[1].key == B
    assert named(connection) == [
        ("echoed_key", "initiator", 103, f"{B:016x}", "0000000000000bad"),
    ]  # fmt: skip
    without = MpCapable(version=1, sender_key=A)
    assert begun(opened(third=without)).mismatches == []


@pytest.mark.parametrize(
    ("messages", "expected"),
    [
        ({"offer": V0}, []),
        ({"offer": MpCapable(version=0, sender_key=5)}, [(103, 5, A)]),
        ({"changed": THIRD}, []),
        ({"changed": MpCapable(version=1, sender_key=5, receiver_key=B)}, [(104, A, 5)]),
        ({"changed": MpCapable(version=1, sender_key=A, receiver_key=6)}, [(104, B, 6)]),
        ({"changed": MpCapable(version=1, sender_key=5, receiver_key=6)},
         [(104, A, 5), (104, B, 6)]),
        ({"offer": V0, "third": None, "changed": MpCapable(version=1, sender_key=5)},
         [(104, A, 5)]),
        ({"third": None, "changed": MpCapable(version=1, sender_key=5, receiver_key=6)}, []),
        ({"offer": MpCapable(version=0, sender_key=5), "changed": THIRD}, [(103, 5, A)]),
        ({"offer": V0, "third": MpCapable(version=1, receiver_key=B),
          "changed": MpCapable(version=1, sender_key=5, receiver_key=B)}, [(104, A, 5)]),
    ],
)  # fmt: skip
def test_keys_that_change(messages: dict[str, Any], expected: list[tuple[int, int, int]]) -> None:
    """Each change of the initiator's key, or of the one it echoes, is named with both."""
    connection = begun(opened(**messages))
    assert named(connection) == [
        ("echoed_key", "initiator", frame, f"{before:016x}", f"{after:016x}")
        for frame, before, after in expected
    ]
    assert all(each.section == "3.1" for each in connection.mismatches)


@pytest.mark.parametrize(
    ("flags", "expected"),
    [
        ((0x01, 0x01, 0x01), False), ((0x81, 0x01, 0x01), True), ((0x01, 0x81, 0x01), True),
        ((0x01, 0x01, 0x81), True), ((None, 0x01, 0x01), False), ((0x01, None, 0x01), False),
        ((0x01, 0x01, None), False), ((0x01, None, None), None), ((None, 0x01, None), None),
        ((None, None, 0x01), False), ((None, None, 0x81), True), ((None, 0x81, None), True),
        ((0x81, None, None), True), ((None, None, None), None),
    ],
)  # fmt: skip
def test_whether_checksums_are_used(flags: tuple[int | None, ...], expected: bool | None) -> None:
    """If either host asks for them; that neither does shows when both have spoken."""
    messages = [
        None if flag is None else MpCapable(version=1, flags=flag, sender_key=B) for flag in flags
    ]
    third = messages[2] and MpCapable(
        version=1, flags=messages[2].flags, sender_key=A, receiver_key=B
    )
    connection = begun(opened(offer=messages[0], answer=messages[1], third=third))
    assert connection.checksum is expected
    assert ("checksum" in connection.unknown) == (expected is None)


def test_flag_c_of_each_host() -> None:
    """The initiator's last word, and the listener's; version 0 has no such flag."""
    yes, no = 0x21, 0x01

    def flags(*given: int | None, version: int = 1) -> tuple[bool | None, ...]:
        offer, answer, third = (
            None if each is None else MpCapable(version=version, flags=each, sender_key=B)
            for each in given
        )
        connection = begun(opened(offer=offer, answer=answer, third=third))
        return tuple(host.c_flag for host in connection.hosts)

    assert flags(no, yes, no) == (False, True)
    assert flags(yes, no, yes) == (True, False)
    assert flags(yes, None, None) == (True, None)
    assert flags(yes, None, no) == (False, None)
    assert flags(None, yes, None) == (None, True)
    assert flags(yes, yes, yes, version=0) == (None, None)


# -------------------------------------------------------------------- attaching joins


def attached(
    *, token: int = 0, wrong: str | None = None, source: int = 0, kind: str | None = "joined",
    keys: tuple[int | None, int | None] = (A, B), **fields: Any,
) -> tuple[Connection, Subflow]:  # fmt: skip
    """A join attached to a connection, its token that of the listener's key by default."""
    build = Assembly(columns())
    connection = pair(keys=keys)
    answers = fields.pop("synacks", [])
    shake = shaken(
        [syn(1, token or crypto.token(B, 1))], answers, fields.pop("third", None),
        subflow=flow(1, kind=kind), **fields,
    )  # fmt: skip
    connections._join(build, shake, Found(connection, source, wrong))
    return connection, shake.subflow


def test_a_join_with_a_wrong_token_is_named() -> None:
    """With the cause, if it is known; at the host that sent it."""
    connection, _ = attached(token=5, wrong="because")
    assert [(each.what, each.host, each.frame, each.expected, each.seen, each.why)
            for each in connection.mismatches] == [
        ("token", "initiator", 100, f"{crypto.token(B, 1):08x}", "00000005", "because"),
    ]  # fmt: skip
    connection, _ = attached(token=5, source=1)
    assert [(each.host, each.expected) for each in connection.mismatches] == [
        ("listener", f"{crypto.token(A, 1):08x}")
    ]
    assert attached()[0].mismatches == []
    assert attached(token=5, keys=(A, None))[0].mismatches == []
    connection, found = attached(token=crypto.token(A, 1), source=1)
    assert connection.mismatches == []
    assert (found.opener, found.source_role) == (None, 1)


@pytest.mark.parametrize(
    ("fields", "established"),
    [
        # A SYN without any answer.
        ({"syn_row": 0}, False), ({"syn_row": 0, "answered": True}, True),
        ({"syn_row": 0, "begun": True}, True), ({"syn_row": 0, "synack_row": 0}, True),
        ({}, True),
        # Refused or invalid.
        ({"refused": 3, "synack_row": 2, "opener": 2}, False),
        ({"plain_synack": 2, "syn_row": 0, "synack_row": 2, "opener": 2}, False),
    ],
)  # fmt: skip
def test_which_joins_may_have_carried_data(fields: dict[str, Any], established: bool) -> None:
    """Those that were answered, and neither refused nor invalid."""
    assert attached(**fields)[1].established is established
    third = {"third": (5, bytes(20))}
    assert attached(**fields, **third)[1].established is (established or fields == {"syn_row": 0})


def test_an_invalid_join_carried_no_data() -> None:
    """A wrong HMAC makes it one."""
    answers = [(2, synack(2, bytes(8)))]
    _, found = attached(synacks=answers, syn_row=0, synack_row=2, opener=2)
    assert found.join is not None
    assert (found.join.result, found.established) == ("invalid", False)


def test_a_subflow_of_unknown_kind_that_is_found_is_a_joined_one() -> None:
    """What belongs to a connection without being its initial subflow was joined."""
    assert attached(kind=None)[1].kind == "joined"
    assert attached(kind="initial")[1].kind == "initial"


@pytest.mark.parametrize("role", [0, 1])
@pytest.mark.parametrize("number", [-1, 0])
def test_attaching_a_subflow(role: int, number: int) -> None:
    """Halves are in the order of roles; only whole connections remember addresses."""
    build = Assembly(columns())
    connection = pair(number=number, version=0)
    placed: list[Any] = []
    build.owners.place = lambda *given: placed.append(given)  # type: ignore[method-assign]
    shake = shaken([syn(1)], [], subflow=flow(2, opener=None), opener=4)
    build.attach(connection, shake, role)
    found = shake.subflow
    assert found.halves == ((4, 5) if role == 0 else (5, 4))
    assert (found.source_role, found.opener, found.version) == (role, role, 0)
    assert connection.subflows == [found]
    assert placed == ([(connection, "a", "b", role)] if number == 0 else [])
    shake = shaken([], [], subflow=flow(3, opener=None), opener=None)
    build.attach(connection, shake, role)
    assert shake.subflow.opener is None


def test_all_subflows_are_put_together() -> None:
    """Joins are sought in three ways, one after the other; what is left stands alone."""
    made = columns(half_count=[1] * 8)
    shakes = [opened(), *(shaken([syn(at)], [], subflow=flow(at, kind=kind), opener=2 * at)
                          for at, kind in ((1, "joined"), (2, "joined"), (3, None)))]  # fmt: skip
    asked: list[tuple[str, int]] = []

    def search(name: str, finds: int) -> Any:
        def find(owners: Any, shake: Handshake) -> Found | None:
            asked.append((name, shake.subflow.id))
            one = owners._connections[0]
            return Found(one, 0) if shake.subflow.id == finds else None

        return find

    with pytest.MonkeyPatch.context() as patch:
        for name, finds in (("by_token", 2), ("by_proof", 9), ("by_numbers", 9)):
            patch.setattr(connections.Owners, name, search(name, finds))
        build = assemble(made, [shakes[2], shakes[0], shakes[1], shakes[3]])
    assert asked == [
        ("by_token", 2), ("by_token", 1), ("by_token", 3), ("by_proof", 1), ("by_proof", 3),
        ("by_numbers", 1), ("by_numbers", 3),
    ]  # fmt: skip
    (connection,) = build.connections
    assert [flow.id for flow in connection.subflows] == [0, 2]
    strays = [(one.id, one.version, [flow.id for flow in one.subflows]) for one in build.unattached]
    assert strays == [(-1, None, [1]), (-2, None, [3])]
    assert [one.hosts[0].endpoint for one in build.unattached] == [Endpoint("a", 1)] * 2
    assert [one.hosts[1].endpoint for one in build.unattached] == [Endpoint("b", 2)] * 2
    first, second = (one.subflows[0] for one in build.unattached)
    assert first.join is not None
    assert (first.join.result, second.join) == ("unknown", None)
    assert [(one.source_role, one.opener, one.halves) for one in (first, second)] == [
        (0, 0, (2, 3)), (0, 0, (6, 7)),
    ]  # fmt: skip
    assert sorted(build.shakes) == [0, 1, 2, 3]
