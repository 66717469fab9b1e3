"""Captures that allow more than one reading: the analyzer says what they show, and no more.

Each was found by the equation of facts and observable truth, and is in ``corpus/regression`` with
its truth; :mod:`tests.regression.cases` says how it was made, and how to renew it.
"""

from __future__ import annotations

from copy import deepcopy

import pytest
from mptcp_oracle.generators import corpus

from mptcp_oracle.analysis import fallback
from mptcp_oracle.analysis.trace import analyze
from mptcp_oracle.facts import Fact, read
from mptcp_oracle.model.observable import observable
from tests.common.agreement import differences
from tests.common.checkout import ROOT
from tests.common.hostile import engine_form
from tests.regression.cases import CASES

FOLDER = ROOT / "corpus"
ENTRIES = {item.slug: item for item in corpus.read_index(FOLDER) if item.family == "regression"}


def agreed(slug: str) -> list[Fact]:
    """The facts of a capture, which are those of its truth in both forms of the engine."""
    entry = ENTRIES[slug]
    truth = read(FOLDER / entry.sidecar).facts
    facts: list[Fact] = []
    for form in ("plain", ""):
        with engine_form(form), analyze(FOLDER / entry.file) as trace:
            facts = list(trace.facts())
        assert differences(facts, truth) == [], form or "usual engine"
    return facts


def of(facts: list[Fact], kind: str, at: int = 0) -> Fact:
    """One fact of a kind, by its place."""
    return [fact for fact in facts if fact["fact"] == kind][at]


def test_third_packet_of_a_join_shows_both_initial_sequence_numbers() -> None:
    """Nothing but the third packet of a join is needed, for it comes before any data."""
    subflow = of(agreed("third-packet-of-a-join"), "subflow", 1)
    assert [subflow[end]["isn_from"] for end in ("source", "destination")] == ["handshake"] * 2


def test_third_packet_sent_again_after_data_shows_no_initial_sequence_number() -> None:
    """An initiator may repeat MP_CAPABLE until data comes back, at a later sequence number."""
    facts = agreed("third-packet-sent-again")
    assert of(facts, "subflow")["source"]["isn"] is None
    assert of(facts, "subflow")["destination"]["isn_from"] == "handshake"


def test_mapping_that_begins_inside_its_segment_places_nothing() -> None:
    """The segment ends one mapping and carries the next: it does not begin where that does."""
    facts = agreed("mapping-inside-its-segment")
    assert of(facts, "subflow")["source"]["isn"] is None
    assert of(facts, "segment")["unknown"]["dsn"]
    whole = agreed("mapping-inside-after-handshake")
    assert of(whole, "segment", 4)["ranges"][1]["dsn"] == 61


def test_two_filled_mappings_show_the_initial_sequence_number() -> None:
    """One mapping as long as its segment may be chance, two that agree are not."""
    alone = of(agreed("one-filled-mapping"), "subflow")["source"]
    both = of(agreed("two-filled-mappings"), "subflow")["source"]
    assert (alone["isn"], both["isn"], both["isn_from"]) == (None, 1_000, "mappings")


def test_first_data_on_the_initial_subflow_need_not_be_the_first_of_all() -> None:
    """What a joined subflow carried before is no wrong IDSN."""
    facts = agreed("first-data-on-a-join")
    assert of(facts, "connection")["mismatches"] == []
    assert of(facts, "connection")["notes"] == []


def test_join_that_carried_data_was_not_refused() -> None:
    """A RST at the end refuses nothing, though no other frame of its sender is there."""
    facts = agreed("join-reset-after-data")
    assert of(facts, "subflow", 1)["join"]["result"] == "valid"
    assert of(facts, "subflow", 1)["established"]


def test_syn_alone_only_offers_a_version() -> None:
    """Where the answer is missing the version may be the one offered or a lower one."""
    assert of(agreed("syn-and-data-without-answer"), "connection")["version"] is None
    assert of(agreed("syn-alone"), "connection")["version"] == 1


def test_equal_acks_of_two_taps_are_told_apart_by_their_packets() -> None:
    """Two packets with one header, each captured at both ends, are two and two duplicates."""
    facts = agreed("equal-acks-at-two-taps")
    found = [fact["duplicate"] for fact in facts if fact["fact"] == "segment"]
    assert found == [False] * 6 + [True] * 2


def test_capture_at_both_ends_has_no_vantage() -> None:
    """Frames that say that they were sent, and others that they were received, at each end."""
    subflow = of(agreed("taps-at-both-ends"), "subflow")
    assert (subflow["vantage"], subflow["vantage_known"]) == (None, False)


def test_plain_acks_are_no_fallback_at_the_third_packet() -> None:
    """The third packet may be missing, and so may everything else with an option."""
    assert of(agreed("plain-acks-only"), "connection")["fallback"] is None


def test_reset_that_acknowledges_plain_data_is_no_fallback() -> None:
    """A host may acknowledge payload without mapping in the RST by which it refuses it."""
    facts = agreed("reset-acknowledges-plain-data")
    connection = of(facts, "connection")
    assert (connection["state"], connection["fallback"]) == ("open", None)
    assert of(facts, "segment", 3)["unknown"]["dsn"]


def test_plain_first_payload_that_is_acknowledged_is_a_fallback() -> None:
    """Both hosts go on in plain TCP from the first octet."""
    connection = of(agreed("plain-first-payload"), "connection")
    assert (connection["fallback"], connection["state_frame"]) == ("no_mapping", 4)
    assert connection["initiator"]["octets"] == 10


@pytest.mark.parametrize("slug", ["syn-data-counted", "syn-data-not-counted"])
def test_sequence_numbers_may_or_may_not_count_data_on_the_syn(slug: str) -> None:
    """Mappings that fill their segments tell which (RFC 8684 section 3.3.1, appendix B)."""
    ranges = of(agreed(slug), "segment", 3)["ranges"]
    assert [(each["sequence"], each["dsn"]) for each in ranges] == [(6, 1)]


def test_priority_of_a_withdrawn_address_still_counts() -> None:
    """A version 0 MP_PRIO may reach the tap after the REMOVE_ADDR of the address that it names."""
    facts = agreed("priority-of-a-withdrawn-address")
    assert of(facts, "subflow", 1)["source"]["backup"] is True


def test_plain_payload_after_data_on_the_syn_is_a_fallback() -> None:
    """The first payload that a mapping could cover is the one behind the accepted SYN data."""
    connection = of(agreed("plain-payload-after-syn-data"), "connection")
    assert (connection["fallback"], connection["state_frame"]) == ("third_packet", 3)


def test_syn_data_that_was_refused_is_the_first_payload_when_sent_again() -> None:
    """Octets that a SYN carried in vain are nothing new to the capture, but to the other host."""
    connection = of(agreed("refused-syn-data-sent-again"), "connection")
    assert (connection["fallback"], connection["state_frame"]) == ("third_packet", 3)


def test_third_packet_may_be_far_behind_its_syn(monkeypatch: pytest.MonkeyPatch) -> None:
    """Segments of many other connections may lie between, more than are looked at one by one."""
    monkeypatch.setattr(fallback, "MOST_LOOKED_AT", 1)
    for slug in ("plain-payload-after-syn-data", "refused-syn-data-sent-again"):
        connection = of(agreed(slug), "connection")
        assert (connection["fallback"], connection["state_frame"]) == ("third_packet", 3)


def test_first_mapping_after_unknown_syn_data_has_no_place() -> None:
    """Numbers that count SYN data do not say how much of it was accepted."""
    facts = agreed("first-mapping-after-unknown-syn-data")
    assert of(facts, "segment", 1)["ranges"][0]["dsn"] is None
    assert of(facts, "segment", 1)["unknown"]["dsn"]


def test_first_mapping_without_its_syn_has_no_place() -> None:
    """The SYN may have had data, behind which the mapping of MP_CAPABLE begins."""
    facts = agreed("first-mapping-without-its-syn")
    assert of(facts, "subflow")["source"]["isn_from"] == "mappings"
    assert of(facts, "segment")["ranges"][0]["dsn"] is None


def test_infinite_mapping_in_a_cut_header_hides_the_fallback() -> None:
    """Later payload without a mapping may fall under one that the snap length cut away."""
    facts = agreed("infinite-mapping-in-a-cut-header")
    assert of(facts, "connection")["fallback"] is None
    assert of(facts, "segment", 5)["unknown"]["dsn"]


def test_fallback_behind_data_of_a_missing_syn() -> None:
    """The first payload behind what the SYN/ACK acknowledges is plain TCP, and shows it."""
    connection = of(agreed("fallback-behind-data-of-a-missing-syn"), "connection")
    assert (connection["fallback"], connection["state_frame"]) == ("no_mapping", 3)


def test_every_regression_is_read_by_a_test() -> None:
    """Index, cases and the tests of this module are about the same captures."""
    text = (ROOT / "tests/regression/test_doubtful_captures.py").read_text(encoding="utf-8")
    assert set(ENTRIES) == set(CASES)
    assert [slug for slug in CASES if f'"{slug}"' not in text] == []


@pytest.mark.parametrize("slug", CASES)
def test_truth_is_what_the_model_says_today(slug: str) -> None:
    """Else ``python -m tests.regression`` renews it."""
    assert differences(observable(CASES[slug]()), read(FOLDER / ENTRIES[slug].sidecar).facts) == []


def test_another_truth_is_noticed() -> None:
    """One octet more in a truth, or one fact less, is a difference."""
    truth = read(FOLDER / ENTRIES["plain-first-payload"].sidecar).facts
    wrong = deepcopy(truth)
    of(wrong, "connection")["initiator"]["octets"] += 1
    assert differences(agreed("plain-first-payload"), wrong) != []
    assert differences(agreed("plain-first-payload"), truth[:-1]) != []


def test_refusal_with_numbers_near_those_before_is_of_the_new_join() -> None:
    """A RST that acknowledges a new SYN, and nothing sent before it, refuses that SYN."""
    facts = agreed("refusal-with-numbers-near-those-before")
    before, refused = (of(facts, "subflow", at) for at in (1, 2))
    assert (before["join"]["result"], refused["join"]["result"]) == ("valid", "refused")
    assert refused["frames"] == 2


def test_fallback_shows_in_data_of_a_syn_that_is_sent_again() -> None:
    """What a SYN had and nobody accepted is payload like other: without a mapping it is plain."""
    connection = of(agreed("fallback-in-data-of-a-syn"), "connection")
    assert (connection["state"], connection["state_frame"]) == ("fallback", 4)
