"""The outside vectors: values computed elsewhere or seen on real wires."""

from __future__ import annotations

from typing import Any

import pytest

from mptcp_oracle import crypto
from mptcp_oracle.encode import encode
from mptcp_oracle.options import (
    AddAddr,
    Dss,
    Malformed,
    MpCapable,
    MpJoinAck,
    MpJoinSyn,
    MpJoinSynAck,
)
from mptcp_oracle.wire.mptcp import decode_option
from tests.common.layouts import ACK, DATA, SYN, SYNACK, Segment
from tests.common.vectors import VECTORS, address, number, octets

REAL = VECTORS["wire_verified"]
PLACES = {"syn": SYN, "synack": SYNACK, "ack_data": DATA, "ack_data_csum": DATA}
CHECKSUMS = VECTORS["dss_checksum"] + REAL["v0_capture_2013"]["dss"]


def _decode(text: str, segment: Segment, version: int) -> Any:
    return decode_option(
        octets(text),
        syn=segment.syn,
        ack=segment.ack,
        payload=segment.payload,
        version=version,
    )


@pytest.mark.parametrize("row", VECTORS["key_token_idsn"], ids=lambda row: row["key"])
@pytest.mark.parametrize(("version", "name"), [(0, "sha1"), (1, "sha256")])
def test_token_and_idsn(row: dict[str, str], version: int, name: str) -> None:
    """Digest, token and IDSN of each key are as computed elsewhere."""
    key = number(row["key"])
    assert crypto.key_digest(key, version) == octets(row[name])
    assert crypto.token(key, version) == number(row[f"v{version}_token"])
    assert crypto.idsn(key, version) == number(row[f"v{version}_idsn"])


@pytest.mark.parametrize("version", [0, 1])
def test_token_collision(version: int) -> None:
    """Two different keys can have one token and still different IDSNs."""
    row = VECTORS["token_collision"][f"v{version}"]
    for which in "12":
        key = number(row[f"key{which}"])
        assert crypto.token(key, version) == number(row["token"])
        assert crypto.idsn(key, version) == number(row[f"idsn{which}"])


@pytest.mark.parametrize("version", [0, 1])
def test_idsn_near_the_32_bit_wrap(version: int) -> None:
    """The keys chosen for it have IDSNs whose low half wraps after the stated octets."""
    row = VECTORS["idsn_near_32bit_wrap"][f"v{version}"]
    start = crypto.idsn(number(row["key"]), version)
    assert start == number(row["idsn"])
    last = start + row["octets_before_low32_wraps"]
    assert (last & 0xFFFFFFFF, last + 1 & 0xFFFFFFFF) == (0xFFFFFFFF, 0)


def test_token_and_idsn_of_a_kernel_log() -> None:
    """A real kernel made the same token and IDSN from its key."""
    row = REAL["kernel_log_v1"]
    key = number(row["key"])
    assert (crypto.token(key, 1), crypto.idsn(key, 1)) == (row["token"], row["idsn"])


@pytest.mark.parametrize("row", VECTORS["mp_join"], ids=lambda row: f"v{row['version']}")
def test_join(row: dict[str, Any]) -> None:
    """Token, both HMACs and the three options of a join are as computed elsewhere."""
    version = row["version"]
    key_a, key_b = number(row["keyA"]), number(row["keyB"])
    nonce_a, nonce_b = number(row["nonceA"]), number(row["nonceB"])
    from_a: dict[str, int] = {
        "version": version,
        "sender_key": key_a,
        "receiver_key": key_b,
        "sender_nonce": nonce_a,
        "receiver_nonce": nonce_b,
    }
    from_b: dict[str, int] = {
        "version": version,
        "sender_key": key_b,
        "receiver_key": key_a,
        "sender_nonce": nonce_b,
        "receiver_nonce": nonce_a,
    }
    assert crypto.token(key_b, version) == number(row["tokenB"])
    assert crypto.join_digest(**from_b) == octets(row["hmacB_full"])
    assert crypto.join_digest(**from_a) == octets(row["hmacA_full"])
    assert crypto.join_synack_hmac(**from_b) == octets(row["synack_hmac"])
    assert crypto.join_ack_hmac(**from_a) == octets(row["ack_hmac"])
    syn = MpJoinSyn(address_id=2, token=crypto.token(key_b, version), nonce=nonce_a)
    synack = MpJoinSynAck(address_id=0, hmac=crypto.join_synack_hmac(**from_b), nonce=nonce_b)
    ack = MpJoinAck(hmac=crypto.join_ack_hmac(**from_a))
    for option, name, segment in ((syn, "syn", SYN), (synack, "synack", SYNACK), (ack, "ack", ACK)):
        assert encode(option) == octets(row[f"{name}_option"])
        assert _decode(row[f"{name}_option"], segment, version) == option


def test_join_of_a_real_v0_capture() -> None:
    """Token and HMACs of a join captured in 2013 come out the same."""
    row = REAL["v0_capture_2013"]
    key_a, key_b = number(row["keyA"]), number(row["keyB"])
    nonce_a, nonce_b = number(row["nonceA"]), number(row["nonceB"])
    assert crypto.token(key_b, 0) == number(row["tokenB"])
    synack = crypto.join_synack_hmac(
        version=0,
        sender_key=key_b,
        receiver_key=key_a,
        sender_nonce=nonce_b,
        receiver_nonce=nonce_a,
    )
    ack = crypto.join_ack_hmac(
        version=0,
        sender_key=key_a,
        receiver_key=key_b,
        sender_nonce=nonce_a,
        receiver_nonce=nonce_b,
    )
    assert (synack, ack) == (octets(row["synack_hmac"]), octets(row["ack_hmac"]))


@pytest.mark.parametrize("row", REAL["hmac_kunit"], ids=lambda row: row["msg_ascii"])
def test_hmac_of_the_kernel_unit_test(row: dict[str, str]) -> None:
    """The kernel's own unit test of its HMAC agrees with ours."""
    key, message = row["key_ascii"].encode(), row["msg_ascii"].encode()
    digest = crypto.join_digest(
        version=1,
        sender_key=int.from_bytes(key[:8]),
        receiver_key=int.from_bytes(key[8:]),
        sender_nonce=int.from_bytes(message[:4]),
        receiver_nonce=int.from_bytes(message[4:]),
    )
    assert digest == octets(row["hmac_sha256"])


@pytest.mark.parametrize("row", VECTORS["add_addr_v1"], ids=lambda row: row["option"])
def test_add_addr(row: dict[str, Any]) -> None:
    """HMAC, advertisement and echo of each address are as computed elsewhere."""
    join = VECTORS["mp_join"][1]
    keys = [number(join["keyA"]), number(join["keyB"])]
    sender, receiver = keys if row["sender"] == "A" else keys[::-1]
    host = address(row["addr"])
    digest = crypto.add_addr_digest(
        sender_key=sender,
        receiver_key=receiver,
        address_id=row["id"],
        address=host,
        port=row["port"],
    )
    assert digest == octets(row["hmac_full"])
    mac = crypto.add_addr_hmac(
        sender_key=sender,
        receiver_key=receiver,
        address_id=row["id"],
        address=host,
        port=row["port"],
    )
    assert mac == octets(row["trunc_right64"]) != octets(row["WRONG_left64"])
    for name, echo in (("option", False), ("echo", True)):
        option = AddAddr(
            echo=echo,
            address_id=row["id"],
            address=host,
            port=row["port"],
            hmac=None if echo else mac,
        )
        assert encode(option) == octets(row[name])
        assert _decode(row[name], ACK, 1) == option


@pytest.mark.parametrize(
    ("name", "sender", "side"),
    [
        ("add_addr_right64_linux618", "B", slice(-8, None)),
        ("add_addr_LEFT64_early_linux", None, slice(0, 8)),
    ],
)
def test_add_addr_of_real_kernels(name: str, sender: str | None, side: slice) -> None:
    """A current kernel sends the right 64 bits of the HMAC; an early one sent the left ones."""
    row = REAL[name]
    option = _decode(row["option"], ACK, 1)
    assert isinstance(option, AddAddr)
    keys = {"A": number(row["keyA"]), "B": number(row["keyB"])}
    matching = [
        host
        for host, other in ("AB", "BA")
        if crypto.add_addr_digest(
            sender_key=keys[host],
            receiver_key=keys[other],
            address_id=option.address_id,
            address=option.address,
            port=option.port,
        )[side]
        == option.hmac
    ]
    assert len(matching) == 1
    assert sender in (None, matching[0])


@pytest.mark.parametrize("row", CHECKSUMS, ids=lambda row: row["dsn64"] + "-" + row["checksum"])
def test_dss_checksum(row: dict[str, Any]) -> None:
    """Each checksum is as computed elsewhere or seen on the wire, and holds."""
    mapping = (number(row["dsn64"]), row["ssn"], row["dll"])
    payload = octets(row["payload"])
    assert crypto.dss_checksum(*mapping, payload) == number(row["checksum"])
    if any(mapping) or any(payload):
        assert crypto.dss_checksum_holds(*mapping, number(row["checksum"]), payload)


@pytest.mark.parametrize("version", [0, 1])
def test_whole_options(version: int) -> None:
    """Each whole option decodes to no malformed value and encodes to its octets again."""
    for name, text in VECTORS[f"options_v{version}"].items():
        segment = PLACES.get(name, ACK)
        dialect = 0 if name.startswith("prio_v0") else version
        option = _decode(text, segment, dialect)
        assert not isinstance(option, Malformed), name
        assert encode(option) == octets(text), name


def test_first_data_of_the_whole_options() -> None:
    """MP_CAPABLE with data carries the checksum of the mapping that it implies."""
    option = _decode(VECTORS["options_v1"]["ack_data_csum"], DATA, 1)
    assert isinstance(option, MpCapable)
    assert option.data_length == 5
    assert option.sender_key is not None
    assert option.checksum is not None
    first = crypto.idsn(option.sender_key, 1) + 1
    assert crypto.dss_checksum_holds(first, 1, 5, option.checksum, b"hello")
    full = _decode(VECTORS["options_v1"]["dss_full_csum"], DATA, 1)
    assert isinstance(full, Dss)
    assert (full.dsn, full.ssn, full.dll, full.checksum) == (first, 1, 5, option.checksum)
