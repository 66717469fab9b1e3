"""Where tshark has to differ: triggers of its known differences, from our facts alone.

But for the two that an option shows, each says that tshark's state, replayed, foresees a difference
there, and that its cause is this one (:mod:`~mptcp_oracle.dissectors.tshark_causes`).
"""

from __future__ import annotations

from mptcp_oracle.dissectors.case import Caused, Place
from mptcp_oracle.dissectors.tshark_causes import foretold

__all__ = [
    "ack_without_flag",
    "assertion_fails",
    "base_is_guessed",
    "captured_twice",
    "carrier_replaced",
    "control_sent_again",
    "counts_data_fin",
    "dss_with_checksum",
    "empty_segment",
    "first_data_elsewhere",
    "header_cut",
    "infinite_mapping",
    "join_syn",
    "joined_again",
    "joined_by_other_host",
    "key_after_wide_number",
    "key_comes_later",
    "key_out_of_place",
    "late_data",
    "layout_ignored",
    "malformed_option",
    "mapping_comes_later",
    "master_moves",
    "next_number_zero",
    "no_key",
    "no_option",
    "one_octet_again",
    "one_range_for_two",
    "other_versions_layout",
    "out_of_order_again",
    "passed_over",
    "probe_again",
    "probe_of_data",
    "same_token",
    "second_token",
    "stream_apart",
    "stream_not_listed",
    "syn_not_first",
    "syn_with_data",
    "unknown_master",
    "width_of_other_number",
    "wrapped",
]


def ack_without_flag(place: Place) -> bool:
    """The segment has no flag ACK."""
    segment = place.segment
    return segment is not None and not segment.flags & 0x10


def dss_with_checksum(place: Place) -> bool:
    """A DSS of the segment has a checksum."""
    segment = place.segment
    return segment is not None and any(
        option["checksum"] is not None for option in segment.options("dss")
    )


def _cause(place: Place) -> str | None:
    """Why tshark has to differ, if it has to."""
    found = foretold(place.view, place.field, place.frame)
    return None if found is None else found.cause


def _because(cause: str) -> Caused:
    return Caused(cause, _cause)


assertion_fails = _because("assertion")
base_is_guessed = _because("guessed")
captured_twice = _because("captured-twice")
carrier_replaced = _because("carrier")
control_sent_again = _because("control")
counts_data_fin = _because("data-fin")
empty_segment = _because("empty")
first_data_elsewhere = _because("capable")
header_cut = _because("cut")
infinite_mapping = _because("infinite")
join_syn = _because("join-syn")
joined_again = _because("joined-again")
joined_by_other_host = _because("joined-by-other")
key_after_wide_number = _because("half")
key_comes_later = _because("keyless")
key_out_of_place = _because("out-of-place")
late_data = _because("late")
layout_ignored = _because("layout")
malformed_option = _because("malformed")
mapping_comes_later = _because("later")
master_moves = _because("master")
next_number_zero = _because("zero")
no_key = _because("no-key")
no_option = _because("plain")
one_octet_again = _because("keep-alive")
one_range_for_two = _because("contiguous")
other_versions_layout = _because("wrong-version")
out_of_order_again = _because("early")
passed_over = _because("passed-over")
probe_again = _because("probed-again")
probe_of_data = _because("probed-data")
same_token = _because("same-token")
second_token = _because("token")
stream_apart = _because("orphan")
stream_not_listed = _because("unlisted")
syn_not_first = _because("lost")
syn_with_data = _because("syn-data")
unknown_master = _because("unknown-master")
width_of_other_number = _because("width")
wrapped = _because("wrap")
