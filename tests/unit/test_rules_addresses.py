"""What rules say of the forms of ADD_ADDR and REMOVE_ADDR, and of echoes."""

from __future__ import annotations

from ipaddress import ip_address

import pytest

from mptcp_oracle import crypto
from mptcp_oracle.encode import encode
from mptcp_oracle.options import AddAddr, MpFastclose, RemoveAddr
from mptcp_oracle.rules import addresses
from tests.common.conversation import KEYS, Conversation, Flow
from tests.common.joinery import HOSTS, Said, cut, damaged, said

ADD_LENGTH = {1: "8684-3.4.1-02", 0: "6824-3.4.1-01"}
REMOVE_LENGTH = {1: "8684-3.4.2-02", 0: "6824-3.4.2-10"}
FLAGS = "8684-3.4.1-09"
ECHO, NOT_ECHOED = "8684-3.4.1-11", "8684-3.4.1-12"
SHOWN = "192.0.2.9"


def found(talk: Conversation, **claims) -> Said:
    """What the rules say."""
    return said(talk, addresses.RULES, **claims)


def opened(version: int = 1) -> tuple[Conversation, Flow]:
    """A conversation with its initial subflow."""
    talk = Conversation(version=version)
    return talk, talk.opened()


def signed(address: str = SHOWN, *, role: int = 1, port: int | None = None, **fields) -> AddAddr:
    """A right ADD_ADDR of version 1."""
    where = ip_address(address)
    hmac = crypto.add_addr_hmac(
        sender_key=KEYS[role], receiver_key=KEYS[1 - role], address_id=5, address=where, port=port
    )
    return AddAddr(address_id=5, address=where, port=port, hmac=hmac, **fields)


# --------------------------------------------------------------------------- forms


@pytest.mark.parametrize("port", [None, 8080])
@pytest.mark.parametrize("address", [SHOWN, "2001:db8::9"])
@pytest.mark.parametrize("version", [0, 1])
def test_right_forms(version, address, port):
    """Every form of a version is right, wherever it is seen, an echo too."""
    talk, flow = opened(version)
    flow.add_addr(1, address, port=port)
    if version:
        flow.add_addr(0, address, port=port, echo=True)
    flow.remove_addr(0, 1, 2, 3)
    flow.remove_addr(1, 7)
    what = found(talk, whole=False)
    assert what.failed() == set()
    assert what.outcome(ADD_LENGTH[version], 1) == "pass"
    assert what.outcome(ADD_LENGTH[version], 0) == ("pass" if version else "not_exercised")
    assert what.outcomes(REMOVE_LENGTH[version], host=0) == ["pass"]
    assert what.outcomes(REMOVE_LENGTH[version], host=1) == ["pass"]
    assert what.outcome(FLAGS, 1) == ("pass" if version else "not_exercised")


UNSIGNED = bytes([30, 8, 0x30, 5, 192, 0, 2, 9])
SIGNED_ECHO = bytes([30, 16, 0x31, 5, 192, 0, 2, 9]) + bytes(8)


@pytest.mark.parametrize(
    ("version", "option"),
    [
        (1, UNSIGNED),
        (1, SIGNED_ECHO),
        (1, bytes([30, 9, 0x30, 5]) + bytes(5)),
        (1, encode(AddAddr(version=0, address_id=5, address=ip_address(SHOWN)))),
        (0, encode(signed())),
        (0, bytes([30, 8, 0x36, 5, 192, 0, 2, 9])),
        (0, bytes([30, 20, 0x34, 5]) + bytes(16)),
    ],
)
def test_wrong_form_of_add_addr(version, option):
    """A Length that E or IPVer does not go with is wrong, also anywhere on the way."""
    talk, flow = opened(version)
    frame = flow.ack(1, option, dack=None)
    what = found(talk, whole=False)
    assert (ADD_LENGTH[version], HOSTS[1]) in what.failed()
    verdict = what.of(ADD_LENGTH[version], 1)
    assert (verdict.severity, verdict.frames, verdict.subflow) == ("violation", (frame,), 0)
    assert option.hex() in verdict.why
    assert f"has {len(option)}" in verdict.why
    assert what.outcome(REMOVE_LENGTH[version], 1) == "not_exercised"


@pytest.mark.parametrize("version", [0, 1])
def test_empty_remove_addr(version):
    """A REMOVE_ADDR names one Address ID at least."""
    talk, flow = opened(version)
    frame = flow.ack(0, bytes([30, 3, 0x40]), dack=None)
    what = found(talk, whole=False)
    assert what.failed() == {(REMOVE_LENGTH[version], HOSTS[0])}
    verdict = what.of(REMOVE_LENGTH[version], 0)
    assert (verdict.severity, verdict.frames) == ("violation", (frame,))
    assert what.outcome(ADD_LENGTH[version], 0) == "not_exercised"


@pytest.mark.parametrize(
    "option",
    [bytes([30, 40, 0x30, 5]), bytes([30, 40, 0x40, 5]), bytes([30, 13, 0x60]) + bytes(10)],
)
def test_other_broken_options(option):
    """What is cut off, or has another subtype, is no ADD_ADDR or REMOVE_ADDR of a wrong Length."""
    talk, flow = opened()
    flow.ack(0, option, dack=None)
    assert found(talk) == {}


@pytest.mark.parametrize("bits", [1, 2, 4])
@pytest.mark.parametrize("echo", [False, True])
def test_flags_before_e(bits, echo):
    """No flag but E may be set, in an echo neither."""
    talk, flow = opened()
    first = flow.add_addr(1, SHOWN)
    option = signed(reserved=bits)
    if echo:
        option = AddAddr(echo=True, address_id=5, address=option.address, reserved=bits)
    frame = flow.ack(0, option, dack=None)
    what = found(talk, whole=False)
    assert what.outcome(FLAGS, 0) == "fail"
    assert what.of(FLAGS, 0).frames == (frame,) != (first,)
    assert what.outcome(FLAGS, 1) == "pass"


def test_damage_is_no_proof():
    """Flags in a segment whose TCP checksum is wrong may have been set on the way."""
    talk, flow = opened()
    frame = flow.ack(0, signed(reserved=1), dack=None)
    damaged(talk, frame)
    assert found(talk).outcome(FLAGS, 0) == "inconclusive"


def test_nothing_after_fallback():
    """Nothing is judged once the connection is plain TCP."""
    talk = Conversation()
    flow = talk.flow()
    flow.syn()
    flow.synack(b"")
    flow.third(b"")
    flow.ack(0, UNSIGNED, dack=None)
    flow.ack(0, signed(reserved=1), dack=None)
    flow.add_addr(1, SHOWN, echo=True)
    assert found(talk, at=1) == {}


# --------------------------------------------------------------------------- echoes


@pytest.mark.parametrize("port", [None, 8080])
@pytest.mark.parametrize("host", [0, 1])
def test_right_echo(host, port):
    """An echo of what was announced, on any subflow, is right; who gets it keeps it."""
    talk, flow = opened()
    other = talk.joined()
    flow.add_addr(1 - host, SHOWN, port=port)
    other.add_addr(host, SHOWN, port=port, echo=True)
    what = found(talk, whole=False)
    assert what.outcomes(ECHO, NOT_ECHOED, host=host) == ["pass", "not_exercised"]
    assert what.outcomes(ECHO, NOT_ECHOED, host=1 - host) == ["not_exercised", "pass"]


@pytest.mark.parametrize("port", [None, 0])
def test_port_zero_is_no_port(port):
    """A port of 0 is none, as it is for the HMAC."""
    talk, flow = opened()
    flow.add_addr(1, SHOWN, port=port)
    flow.add_addr(0, SHOWN, port=None if port == 0 else 0, echo=True)
    assert found(talk, at=0).outcome(ECHO, 0) == "pass"


def test_mapped_address_is_the_same():
    """An IPv4 address in the form of IPv6 is still the one that was announced."""
    talk, flow = opened()
    flow.add_addr(1, SHOWN)
    flow.add_addr(0, f"::ffff:{SHOWN}", echo=True)
    assert found(talk, at=0).outcome(ECHO, 0) == "pass"


OTHERS = [{"port": 80}, {"address_id": 6}, {"address": "192.0.2.8"}]


@pytest.mark.parametrize("other", OTHERS)
@pytest.mark.parametrize("host", [0, 1])
def test_echo_of_nothing(host, other):
    """An echo with another ID, address or port than what came is of nothing."""
    talk, flow = opened()
    told = flow.add_addr(1 - host, SHOWN)
    frame = flow.add_addr(host, **({"address": SHOWN} | other), echo=True)
    what = found(talk, at=host)
    assert what.failed() == {(ECHO, HOSTS[host])}
    verdict = what.of(ECHO, host)
    assert (verdict.severity, verdict.frames, verdict.subflow) == ("violation", (told, frame), 0)
    assert HOSTS[1 - host] in verdict.why
    for claims in ({"at": host, "whole": False}, {"at": 1 - host}, {}):
        what = found(talk, **claims)
        assert what.outcome(ECHO, host) == "inconclusive"
        assert what.of(ECHO, host).frames == (told, frame)


def test_echo_of_nothing_at_all():
    """An echo without any ADD_ADDR near it shows by itself."""
    talk, flow = opened()
    frame = flow.add_addr(0, SHOWN, echo=True)
    flow.add_addr(1, "192.0.2.7", address_id=7)
    what = found(talk, at=0)
    assert what.of(ECHO, 0).frames == (frame,)


@pytest.mark.parametrize(("gap", "outcome"), [(0.019, "pass"), (0.021, "fail")])
def test_echo_before_its_announcement(gap, outcome):
    """An echo clearly before the ADD_ADDR on another subflow is of nothing; not one near it."""
    talk, flow = opened()
    other = talk.joined()
    other.add_addr(0, SHOWN, echo=True)
    talk.tape.now -= talk.tape.step
    talk.tape.wait(gap)
    flow.add_addr(1, SHOWN)
    assert found(talk, at=0).outcome(ECHO, 0) == outcome


def test_late_capture_shows_no_echo_of_nothing():
    """What was announced before the capture began may be echoed in it."""
    talk = Conversation()
    flow = talk.flow()
    flow.handshake(missing="syn")
    flow.add_addr(0, SHOWN, echo=True)
    assert found(talk, at=0).outcome(ECHO, 0) == "inconclusive"


def test_cut_options_show_no_echo_of_nothing():
    """Where options were not captured, an ADD_ADDR may be among them."""
    talk, flow = opened()
    frame = flow.add_addr(1, SHOWN, port=8080)
    flow.add_addr(0, SHOWN, port=8080, echo=True)
    assert found(talk, at=0, octets=cut(talk, frame, 4)).outcome(ECHO, 0) == "inconclusive"
    assert found(talk, at=0).outcome(ECHO, 0) == "pass"


def test_flawed_announcement_may_be_echoed():
    """An ADD_ADDR without HMAC is flawed, and its echo is of something."""
    talk, flow = opened()
    flow.ack(1, UNSIGNED, dack=None)
    flow.add_addr(0, SHOWN, echo=True)
    assert found(talk, at=0).outcome(ECHO, 0) == "pass"


@pytest.mark.parametrize("host", [0, 1])
def test_echo_echoed(host):
    """Who gets an echo of its own ADD_ADDR and sends it back breaks two requirements."""
    talk, flow = opened()
    flow.add_addr(host, SHOWN)
    first = flow.add_addr(1 - host, SHOWN, echo=True)
    second = flow.add_addr(host, SHOWN, echo=True)
    what = found(talk, at=host)
    assert what.failed() == {(ECHO, HOSTS[host]), (NOT_ECHOED, HOSTS[host])}
    verdict = what.of(NOT_ECHOED, host)
    assert (verdict.severity, verdict.frames) == ("warning", (first, second))
    assert second in what.of(ECHO, host).frames
    assert what.outcomes(ECHO, host=1 - host) == ["pass"]
    what = found(talk, at=1 - host)
    assert what.outcomes(ECHO, NOT_ECHOED, host=host) == ["inconclusive"] * 2


def test_both_announce_the_same():
    """Two hosts that announce one address each echo the other's."""
    talk, flow = opened()
    for host in (0, 1):
        flow.add_addr(host, SHOWN)
    for host in (0, 1):
        flow.add_addr(host, SHOWN, echo=True)
    for at in (0, 1):
        what = found(talk, at=at)
        assert what.failed() == set()
        assert what.outcomes(ECHO, NOT_ECHOED, host=at) == ["pass"] * 2


# --------------------------------------------------------------------------- no echo


def silent(times: int, seconds: float, *, role: int = 1, address: str = SHOWN, **fields):
    """A conversation in which an ADD_ADDR is sent so often and never echoed, and its frames."""
    talk, flow = opened()
    frames = [flow.add_addr(role, address, **fields) for _ in range(times)]
    talk.tape.now -= talk.tape.step
    talk.tape.wait(seconds)
    flow.ack(1 - role)
    return talk, flow, frames


#: A second and three round trips of the handshake, of two milliseconds each.
GRACE = 1.006


@pytest.mark.parametrize("host", [0, 1])
def test_two_without_echo(host):
    """An ADD_ADDR that came twice and was not echoed in time makes a warning, at its receiver."""
    talk, _, frames = silent(2, GRACE + 0.001, role=1 - host)
    what = found(talk, at=host)
    verdict = what.of(ECHO, host)
    assert (str(verdict.outcome), verdict.severity) == ("fail", "warning")
    assert verdict.frames == tuple(frames)
    assert "came 2 times" in verdict.why
    assert "for 1.0 s more" in verdict.why
    assert what.outcome(ECHO, 1 - host) == "not_exercised"
    for claims in ({"at": 1 - host}, {"at": host, "whole": False}):
        assert found(talk, **claims).outcome(ECHO, host) == "inconclusive"


def test_echo_has_time():
    """Until a second and three round trips have passed nothing is missing."""
    assert (ECHO, HOSTS[0]) not in found(silent(1, GRACE)[0], at=0)
    assert found(silent(1, GRACE + 0.000_001)[0], at=0).outcome(ECHO, 0) == "inconclusive"
    assert found(silent(2, GRACE)[0], at=0).outcome(ECHO, 0) == "inconclusive"
    assert found(silent(2, GRACE + 0.000_001)[0], at=0).outcome(ECHO, 0) == "fail"


def test_one_may_be_dropped():
    """A host may drop one announcement."""
    verdict = found(silent(1, 9)[0], at=0).of(ECHO, 0)
    assert str(verdict.outcome) == "inconclusive"
    assert "may drop" in verdict.why


def test_wrong_hmac_needs_no_echo():
    """What has a wrong HMAC is to be ignored."""
    assert (ECHO, HOSTS[0]) not in found(silent(3, 9, hmac=bytes(8))[0], at=0)


def test_hmac_that_cannot_be_checked_needs_no_echo():
    """Without both keys nobody knows whether an ADD_ADDR was to be echoed."""
    talk = Conversation()
    flow = talk.flow()
    flow.handshake(missing="third")
    for _ in range(3):
        flow.add_addr(1, SHOWN)
    talk.tape.wait(9)
    flow.ack(0)
    assert (ECHO, HOSTS[0]) not in found(talk, at=0)


def test_any_echo_will_do():
    """One echo is enough, however late."""
    talk, flow, _ = silent(3, 9)
    flow.add_addr(0, SHOWN, echo=True)
    assert found(talk, at=0).outcome(ECHO, 0) == "pass"


def test_withdrawn_address_needs_no_echo():
    """Nor does what was withdrawn meanwhile; another ID does not matter."""
    talk, flow, _ = silent(2, 9)
    flow.remove_addr(1, 6)
    assert found(talk, at=0).outcome(ECHO, 0) == "fail"
    flow.remove_addr(1, 4, 5)
    assert (ECHO, HOSTS[0]) not in found(talk, at=0)


@pytest.mark.parametrize("end", ["data_fin", "fastclose"])
def test_no_echo_at_the_end(end):
    """A connection that ends has no use for addresses."""
    talk, flow = opened()
    for _ in range(2):
        flow.add_addr(1, SHOWN)
    if end == "data_fin":
        flow.data_fin(0)
    else:
        flow.ack(0, MpFastclose(key=KEYS[1]), dack=None)
    talk.tape.wait(9)
    flow.ack(0)
    assert (ECHO, HOSTS[0]) not in found(talk, at=0)


def test_host_that_is_silent_may_be_gone():
    """Of a host that sends nothing more no echo is expected, nor if only a failed join does."""
    talk, flow = opened()
    for _ in range(2):
        flow.add_addr(1, SHOWN)
    talk.tape.wait(9)
    flow.ack(1)
    assert (ECHO, HOSTS[0]) not in found(talk, at=0)
    talk.joined().ack(0)
    assert found(talk, at=0).outcome(ECHO, 0) == "fail"


def test_version_0_has_no_echo():
    """Version 0 has neither echoes nor flags before them."""
    talk, flow = opened(0)
    for _ in range(2):
        flow.add_addr(1, SHOWN)
    talk.tape.wait(9)
    flow.ack(0, RemoveAddr(address_ids=(1,)))
    what = found(talk, at=0)
    assert not {"8684-3.4.1-11", "8684-3.4.1-12", FLAGS} & {number for number, _ in what}
