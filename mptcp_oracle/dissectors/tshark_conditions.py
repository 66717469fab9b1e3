"""When an explanation holds: conditions on one difference, as narrow as the argument allows."""

from __future__ import annotations

from collections.abc import Mapping

from mptcp_oracle import crypto
from mptcp_oracle.dissectors.case import Case
from mptcp_oracle.dissectors.dissector import Words
from mptcp_oracle.dissectors.proofs import earlier, number_shown
from mptcp_oracle.dissectors.tshark_causes import foretold, replayed
from mptcp_oracle.dissectors.tshark_spots import twice
from mptcp_oracle.dissectors.view import View

__all__ = [
    "as_foretold",
    "as_replayed",
    "behind_cut",
    "checksum_left_out",
    "options_cut",
    "plain_tcp",
    "quoted",
    "seen_twice",
    "seen_twice_data",
    "seen_twice_initial",
    "seen_twice_keys",
    "seen_twice_membership",
    "seen_twice_numbers",
]


def quoted(case: Case) -> bool:
    """In tshark there is a TCP header in an ICMP error, and facts no segment."""
    return case.segment is None and bool(
        {"icmp.type", "icmpv6.type"} & case.said.get(case.frame, {}).keys()
    )


def plain_tcp(case: Case) -> bool:
    """No segment of the stream has an MPTCP option."""
    if case.segment is not None:
        return False
    streams = case.view.derived(f"streams {id(case.said)}", lambda: _streams(case.said))
    return case.said.get(case.frame, {}).get("tcp.stream") not in streams


def _streams(said: Mapping[int, Words]) -> set[tuple[str, ...] | None]:
    """The streams of which a segment has an MPTCP option."""
    return {
        words.get("tcp.stream") for words in said.values() if "tcp.options.mptcp.subtype" in words
    }


def as_foretold(case: Case) -> bool:
    """What tshark says is what its replayed state gives, and the octets show our number."""
    found = foretold(case.view, case.field, case.frame)
    return found is not None and case.theirs == found.theirs and number_shown(case)


def as_replayed(case: Case) -> bool:
    """What tshark says is what its replayed state gives; keys contradict each other."""
    found = foretold(case.view, case.field, case.frame)
    return found is not None and case.theirs == found.theirs


def options_cut(case: Case) -> bool:
    """The snap length cuts the options, and facts have no more of them than tshark."""
    theirs = iter(case.theirs)
    return (
        case.segment is not None
        and bool(case.segment.options_cut)
        and all(any(value == each for each in theirs) for value in case.ours)
    )


def behind_cut(case: Case) -> bool:
    """Options of the connection are cut, here or before, and the octets show our number."""
    segment = case.segment
    if segment is None:
        return False
    first = case.view.derived("cut", lambda: _first_cuts(case.view))
    begin = first.get(segment.connection["connection"])
    if begin is None or begin > case.frame or not number_shown(case):
        return False
    # Where tshark says what the rest of the options gives, the cut ones have no part in it.
    if foretold(case.view, case.field, case.frame) is not None:
        return True
    return case.theirs != replayed(case.view, case.field, case.frame)


def _first_cuts(view: View) -> dict[int, int]:
    """By connection: the first frame whose options are cut."""
    found: dict[int, int] = {}
    for frame, segment in view.segments.items():
        if segment.options_cut:
            number = segment.connection["connection"]
            found[number] = min(frame, found.get(number, frame))
    return found


def checksum_left_out(case: Case) -> bool:
    """Nothing is said by tshark, and the last two octets of each DSS are left over."""
    if case.segment is None or case.theirs:
        return False
    options = [item for item in case.segment.options("dss") if item["checksum"] is not None]
    raws = [bytes.fromhex(item["raw"]) for item in options]
    return case.ours == tuple(int.from_bytes(raw[-2:], "big") for raw in raws) and all(
        raw[1] == 4 + item["data_ack_size"] + item["dsn_size"] + 8
        for raw, item in zip(raws, options, strict=True)
    )


def seen_twice(case: Case) -> bool:
    """Another connection of the capture has the same keys."""
    return case.segment is not None and twice(case.view, case.segment)


def seen_twice_membership(case: Case) -> bool:
    """Another connection has the same keys, and only segments of the one are ours."""
    segment, ours = case.segment, [case.view.segments.get(int(frame)) for frame in case.ours]
    return (
        segment is not None
        and seen_twice(case)
        and bool(ours)
        and all(
            other is not None and other.connection["connection"] == segment.connection["connection"]
            for other in ours
        )
    )


def seen_twice_data(case: Case) -> bool:
    """What tshark adds are frames of another connection with the same keys."""
    added = set(case.theirs) - set(case.ours)
    return (
        case.segment is not None
        and seen_twice(case)
        and set(case.ours) <= set(case.theirs)
        and all(
            case.view.segments[int(frame)].connection["connection"]
            != case.segment.connection["connection"]
            for frame in added
        )
    )


def seen_twice_keys(case: Case) -> bool:
    """Another connection has the same keys, and what we say follows from the option's own."""
    segment = case.segment
    if segment is None or segment.connection["version"] not in (0, 1) or not seen_twice(case):
        return False
    follows = crypto.token if case.field == "mptcp.expected_token" else crypto.idsn
    keys = [int(item["sender_key"], 16) for item in segment.options("mp_capable")]
    return case.ours == tuple(follows(key, segment.connection["version"]) for key in keys)


def seen_twice_initial(case: Case) -> bool:
    """Another connection has the same keys, and MP_CAPABLE or MP_JOIN show the subflow's kind."""
    if not seen_twice(case):
        return False
    kinds = {item["option"] for _, item in earlier(case.view, case, "mp_capable", "mp_join_syn")}
    return case.ours == {("mp_capable",): (1,), ("mp_join_syn",): (0,)}.get(tuple(kinds))


def seen_twice_numbers(case: Case) -> bool:
    """Another connection has the same keys, and the octets show our number."""
    return bool(case.ours) and seen_twice(case) and number_shown(case)
