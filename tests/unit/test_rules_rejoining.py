"""What rules say of joins that are tried again after they failed."""

from __future__ import annotations

from dataclasses import replace

import pytest

from mptcp_oracle.options import MpFail, MpFastclose, MpTcprst
from mptcp_oracle.rules.context import JITTER
from mptcp_oracle.rules.rejoining import RULES
from tests.common.conversation import KEYS, Conversation, Flow
from tests.common.joinery import HOSTS, said
from tests.common.tape import ACK, RST, Tape

AGAIN = {1: "8684-3.4.1-14", 0: "6824-3.4.1-14"}
PERMANENT = "8684-3.6-06"
TRANSIENT = MpTcprst(flags=1, reason=3)
GONE = MpTcprst(reason=3)


def attempt(talk: Conversation, *, opener: int = 0, **settings) -> Flow:
    """A subflow of which the SYN is sent; by default between one pair of addresses."""
    number = len(talk.flows)
    ports = (50_000 + number, 80) if opener == 0 else (40_000, 50_000 + number)
    flow = talk.flow(
        opener=opener,
        **{"addresses": ("10.0.1.1", "10.0.1.2"), "ports": ports, "nonces": (number, number)}
        | settings,
    )
    flow.join_syn()
    return flow


def twice(*options, version: int = 1, opener: int = 0, **later) -> tuple[Conversation, list[int]]:
    """A join that is refused, and another one; the frames of SYN, RST and SYN."""
    talk = Conversation(version=version)
    talk.opened()
    flow = attempt(talk, opener=opener)
    frames = [talk.tape.last, flow.segment(1 - opener, RST | ACK, *options)]
    attempt(talk, opener=opener, **later)
    return talk, [*frames, talk.tape.last]


# --------------------------------------------------------------- where a join failed


@pytest.mark.parametrize("opener", [0, 1])
@pytest.mark.parametrize("version", [0, 1])
def test_refused_again(version, opener):
    """Another join to where one was refused is proven where the joiner captured all."""
    talk, frames = twice(version=version, opener=opener)
    found = said(talk, RULES, at=opener)
    assert found.failed() == {(AGAIN[version], HOSTS[opener])}
    verdict = found.of(AGAIN[version], opener)
    assert (verdict.frames, verdict.subflow, verdict.severity) == (tuple(frames), 2, "warning")
    assert f"frame {frames[1]} ended the one before" in verdict.why
    assert ("10.0.1.2:80" if opener == 0 else "10.0.1.1:40000") in verdict.why


def test_a_single_failure():
    """A host that does not try again is right, once for each join that failed."""
    talk = Conversation()
    talk.opened()
    for port in (80, 81):
        attempt(talk, ports=(50_000, port)).rst(1, 3)
    found = said(talk, RULES, at=0)
    assert found.outcome(AGAIN[1], 0) == "pass"
    assert found.of(AGAIN[1], 0).seen == 2
    assert found.outcome(AGAIN[1], 1) == "not_exercised"


@pytest.mark.parametrize(
    ("later", "outcome"),
    [
        ({"addresses": ("10.0.1.1", "10.0.2.2")}, "pass"),
        ({"ports": (50_009, 81)}, "pass"),
        ({"addresses": ("10.0.2.1", "10.0.1.2")}, "inconclusive"),
    ],
)
def test_join_to_elsewhere_or_from_elsewhere(later, outcome):
    """Another address or port of the peer's is free to try; of another own one there is a doubt."""
    talk, frames = twice(**later)
    found = said(talk, RULES, at=0)
    assert found.outcome(AGAIN[1], 0) == outcome
    if outcome != "pass":
        assert "not from 10.0.1.1" in found.of(AGAIN[1], 0).why
        assert found.of(AGAIN[1], 0).frames == tuple(frames)


def test_failures_from_two_addresses():
    """The failure from the same address counts, though one from another came after it."""
    talk = Conversation()
    talk.opened()
    frames = []
    for own in ("10.0.1.1", "10.0.2.1"):
        flow = attempt(talk, addresses=(own, "10.0.1.2"))
        frames.append((talk.tape.last, flow.rst(1, 3)))
    attempt(talk)
    found = said(talk, RULES, at=0)
    assert found.outcome(AGAIN[1], 0) == "fail"
    assert found.of(AGAIN[1], 0).frames == (*frames[0], talk.tape.last)


def test_the_other_host_joins():
    """What failed for one host does not bind the other."""
    talk = Conversation()
    talk.opened()
    attempt(talk).rst(1)
    attempt(talk, opener=1, ports=(50_001, 80))
    assert said(talk, RULES, at=1).failed() == set()


@pytest.mark.parametrize(("options", "outcome"), [((TRANSIENT,), "pass"), ((GONE,), "fail")])
def test_failure_that_may_pass(options, outcome):
    """After a transient error it may be tried again."""
    talk, _ = twice(*options)
    assert said(talk, RULES, at=0).outcome(AGAIN[1], 0) == outcome
    assert said(talk, RULES, at=0).outcome(PERMANENT, 0) == (
        "fail" if outcome == "fail" else "not_exercised"
    )


@pytest.mark.parametrize(("at", "whole"), [(0, False), (1, True), (None, True)])
def test_joiner_that_may_not_have_heard(at, whole):
    """Elsewhere it is not known what the joiner had heard: a doubt, if the order is certain."""
    talk, frames = twice(GONE)
    time, octets = talk.tape.frames[-1]
    reset = talk.tape.frames[frames[1] - 1][0]
    for more, outcome in ((0, "pass"), (1, "inconclusive")):
        talk.tape.frames[-1] = (reset + JITTER + more, octets)
        found = said(talk, RULES, at=at, whole=whole)
        assert found.outcome(AGAIN[1], 0) == outcome
        assert found.outcome(PERMANENT, 0) == outcome
    assert found.of(AGAIN[1], 0).frames == tuple(frames)
    assert found.of(PERMANENT, 0).frames == tuple(frames[1:])
    for each in (AGAIN[1], PERMANENT):
        assert "whether the host had received it" in found.of(each, 0).why
    assert time < reset + JITTER


def test_attempts_at_the_same_time():
    """A join that began before the other one failed is none that is tried again."""
    talk = Conversation()
    talk.opened()
    first = attempt(talk)
    attempt(talk)
    first.rst(1, 3)
    found = said(talk, RULES, at=0)
    assert found.failed() == set()
    assert found.outcome(AGAIN[1], 0) == "pass"


def refreshed(*, host: int = 1, when: str = "between", **announced) -> Conversation:
    """A join that is refused, another one, and an ADD_ADDR before, between or after them."""
    talk = Conversation()
    first = talk.opened()

    def announce(now: str) -> None:
        if now == when:
            talk.tape.wait(1)
            first.add_addr(host, announced.get("address", "10.0.1.2"), port=announced.get("port"),
                           echo=announced.get("echo", False))  # fmt: skip
            talk.tape.wait(1)

    announce("before")
    attempt(talk).segment(1, RST | ACK, GONE)
    announce("between")
    talk.tape.wait(1)
    attempt(talk)
    announce("after")
    return talk


@pytest.mark.parametrize(
    ("announced", "outcome"),
    [
        ({}, "pass"),
        ({"port": 80}, "pass"),
        ({"address": "::ffff:10.0.1.2"}, "pass"),
        ({"port": 81}, "fail"),
        ({"address": "10.0.2.2"}, "fail"),
        ({"host": 0}, "fail"),
        ({"echo": True}, "fail"),
        ({"when": "before"}, "fail"),
        ({"when": "after"}, "fail"),
    ],
)
def test_refreshed_address(announced, outcome):
    """An ADD_ADDR of the peer's for that address, between the two, allows it."""
    talk = refreshed(**announced)
    found = said(talk, RULES, at=0)
    assert found.outcome(AGAIN[1], 0) == outcome
    assert found.outcome(PERMANENT, 0) == outcome
    # Elsewhere, where it is clearly before or after, there is a doubt.
    doubt = "inconclusive" if outcome == "fail" else "pass"
    assert said(talk, RULES, at=1).outcome(AGAIN[1], 0) == doubt


def test_order_at_the_joiner():
    """Where the joiner captured, the order of frames tells whether it had heard."""
    for first in (True, False):
        talk = Conversation()
        initial = talk.opened()
        attempt(talk).segment(1, RST | ACK, GONE)
        if first:
            initial.add_addr(1, "10.0.1.2")
        attempt(talk)
        if not first:
            initial.add_addr(1, "10.0.1.2")
        outcome = "pass" if first else "fail"
        assert said(talk, RULES, at=0).outcome(AGAIN[1], 0) == outcome


@pytest.mark.parametrize("when", ["before", "after"])
@pytest.mark.parametrize(("more", "outcome"), [(0, "pass"), (1, "inconclusive")])
def test_order_elsewhere(when, more, outcome):
    """Elsewhere an ADD_ADDR that is nearly between may have been heard between."""
    talk = Conversation()
    first = talk.opened()
    flow = attempt(talk)
    if when == "before":
        first.add_addr(1, "10.0.1.2")
        talk.tape.now += JITTER - talk.tape.step + more
    flow.segment(1, RST | ACK, GONE)
    talk.tape.wait(1)
    attempt(talk)
    if when == "after":
        talk.tape.now += JITTER - talk.tape.step + more
        first.add_addr(1, "10.0.1.2")
    assert said(talk, RULES, at=1).outcome(AGAIN[1], 0) == outcome


def anonymised(*, between: bool) -> Conversation:
    """A cooked capture of the initiator; the listener announces an address in no header."""
    talk = Conversation(Tape("sll"), captured_at=0)
    first = talk.opened()
    if not between:
        first.add_addr(1, "192.168.1.5")
    attempt(talk).segment(1, RST | ACK, GONE)
    if between:
        first.add_addr(1, "192.168.1.5")
    attempt(talk)
    return talk


def test_headers_of_which_addresses_were_changed():
    """Where no announced address is in any header, each may be that of the join."""
    for between, outcome in ((True, "pass"), (False, "fail")):
        found = said(anonymised(between=between), RULES)
        assert found.outcome(AGAIN[1], 0) == outcome
        assert found.outcome(PERMANENT, 0) == outcome
    # Unless somebody says which addresses there are.
    assert said(anonymised(between=True), RULES, at=0).outcome(AGAIN[1], 0) == "fail"


# ------------------------------------------------------------------ reset for good


def reset(*options, by: int = 1, initial: bool = False) -> tuple[Conversation, Flow, int]:
    """An established subflow beside the initial one that is reset, or the initial one."""
    talk = Conversation()
    first = talk.opened(addresses=("10.0.1.1", "10.0.1.2")) if initial else talk.opened()
    flow = talk.flow(addresses=("10.0.1.1", "10.0.1.2"), ports=(40_001, 80))
    flow.join()
    gone = first if initial else flow
    return talk, gone, gone.segment(by, RST | ACK, *options)


@pytest.mark.parametrize("initial", [False, True])
@pytest.mark.parametrize("by", [0, 1])
def test_joined_again_after_a_reset_for_good(by, initial):
    """The receiver of the RST may not join between the same addresses; its sender may."""
    talk, _, frame = reset(GONE, by=by, initial=initial)
    flow = attempt(talk, opener=1 - by, ports=(50_002, 80) if by else (40_000, 50_002))
    syn = talk.tape.last
    found = said(talk, RULES, at=1 - by)
    assert found.failed() == {(PERMANENT, HOSTS[1 - by])}
    verdict = found.of(PERMANENT, 1 - by)
    assert (verdict.frames, verdict.severity) == ((frame, syn), "warning")
    assert verdict.subflow == len(talk.flows) - 1
    assert "T=0" in verdict.why
    assert flow.opener == 1 - by
    talk, _, _ = reset(GONE, by=by, initial=initial)
    attempt(talk, opener=by, ports=(50_002, 80) if by == 0 else (40_000, 50_002))
    found = said(talk, RULES, at=by)
    assert found.failed() == set()
    assert found.outcome(PERMANENT, by) == "not_exercised"
    assert found.outcome(PERMANENT, 1 - by) == "pass"


@pytest.mark.parametrize(
    "addresses", [("10.0.1.1", "10.0.2.2"), ("10.0.2.1", "10.0.1.2"), ("10.0.2.1", "10.0.2.2")]
)
@pytest.mark.parametrize("host", [0, 1])
def test_another_path(addresses, host):
    """Any other pair of addresses is another path."""
    talk, _, _ = reset(GONE, by=1 - host)
    attempt(talk, opener=host, addresses=addresses)
    found = said(talk, RULES, at=host)
    assert found.outcome(PERMANENT, host) == "pass"
    assert found.of(PERMANENT, host).seen == 1


@pytest.mark.parametrize(
    "options",
    [(), (TRANSIENT,), (GONE, MpFail(dsn=1)), (MpFastclose(key=KEYS[0]), GONE)],
)
def test_resets_that_are_not_for_good(options):
    """A bare RST, a transient error, an MP_FAIL and an abort forbid no join."""
    talk, _, _ = reset(*options)
    attempt(talk)
    assert said(talk, RULES, at=0).outcome(PERMANENT, 0) == "not_exercised"


def test_reason_without_a_reset():
    """An MP_TCPRST on another segment says nothing."""
    talk = Conversation()
    talk.opened()
    flow = talk.joined(addresses=("10.0.1.1", "10.0.1.2"))
    flow.segment(1, ACK, GONE)
    attempt(talk)
    assert said(talk, RULES, at=0).outcome(PERMANENT, 0) == "not_exercised"


def test_answers_to_a_reset():
    """The RST with which a host answers a RST says nothing of the path."""
    talk, flow, _ = reset(TRANSIENT)
    flow.segment(0, RST | ACK, GONE)
    flow.segment(1, RST | ACK, GONE)
    attempt(talk, opener=1)
    attempt(talk)
    found = said(talk, RULES, at=0)
    assert found.outcomes(PERMANENT, PERMANENT, host=0) == ["not_exercised"] * 2
    assert said(talk, RULES, at=1).outcome(PERMANENT, 1) == "not_exercised"


@pytest.mark.parametrize(("flags", "outcome"), [(ACK, "inconclusive"), (RST | ACK, "fail")])
def test_reset_that_was_not_accepted(flags, outcome):
    """A host that goes on with the subflow may not have taken the RST; one that answers did."""
    talk, flow, frame = reset(GONE)
    flow.segment(0, flags)
    attempt(talk)
    found = said(talk, RULES, at=0)
    assert found.outcome(PERMANENT, 0) == outcome
    assert found.of(PERMANENT, 0).frames == (frame, talk.tape.last)
    assert ("went on" in found.of(PERMANENT, 0).why) == (outcome != "fail")


def test_reset_after_the_join():
    """A join that was sent before the RST is right."""
    talk = Conversation()
    talk.opened()
    flow = talk.joined(addresses=("10.0.1.1", "10.0.1.2"))
    attempt(talk)
    flow.segment(1, RST | ACK, GONE)
    assert said(talk, RULES, at=0).outcome(PERMANENT, 0) == "pass"


def test_the_newest_reset_counts():
    """Of two RSTs on a path the newer one is the evidence."""
    talk, _, _ = reset(GONE)
    flow = talk.flow(addresses=("10.0.1.1", "10.0.1.2"), ports=(40_005, 80), nonces=(7, 8))
    flow.join()
    frame = flow.segment(1, RST | ACK, replace(GONE, reason=1))
    attempt(talk)
    found = said(talk, RULES, at=0)
    assert found.of(PERMANENT, 0).seen == 2
    # The first accusation is of the join that was reset in its turn.
    assert found.of(PERMANENT, 0).frames[1] < frame


def test_version_0_has_no_reasons():
    """There nothing is permanent."""
    talk, _ = twice(GONE, version=0)
    assert said(talk, RULES, at=0).outcome("6824-3.6-06", 0) == "not_exercised"


def test_retransmitted_syn_is_no_new_attempt():
    """A SYN that is sent again after a RST is the same attempt."""
    talk = Conversation()
    talk.opened()
    flow = attempt(talk)
    flow.rst(1, 3)
    flow.join_syn()
    flow.rst(1, 3)
    found = said(talk, RULES, at=0)
    assert found.failed() == set()
    assert found.of(AGAIN[1], 0).seen == found.of(PERMANENT, 0).seen == 1
