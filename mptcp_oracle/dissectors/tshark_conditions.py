"""When an explanation holds: conditions on one difference, as narrow as the argument allows."""

from __future__ import annotations

from mptcp_oracle import crypto
from mptcp_oracle.dissectors.case import Case
from mptcp_oracle.dissectors.proofs import (
    acknowledged_before,
    data_ack_shown,
    dsn_shown,
    earlier,
    idsn_shown,
    key_shown,
    keys_of,
    later_first_data,
    mapping_shown,
    same_mappings,
    sent_before,
    under_infinite_mapping,
)

__all__ = [
    "after_cut",
    "before_any_key",
    "captured_twice",
    "checksum_left_out",
    "control_sent_again",
    "data_level_probe",
    "infinite",
    "neighbours",
    "no_key_at_all",
    "no_syn",
    "options_cut",
    "out_of_order",
    "plain_tcp",
    "quoted",
    "repeated_announcement",
    "repeated_first_data",
    "repeated_join",
    "seen_twice",
    "seen_twice_data",
    "seen_twice_initial",
    "seen_twice_keys",
    "seen_twice_membership",
    "seen_twice_numbers",
    "without_option",
    "without_payload",
]

WIDE = (1 << 64) - 1
PLACES = frozenset({"mptcp.dsn", "mptcp.rawdsn64"})


def quoted(case: Case) -> bool:
    """In tshark there is a TCP header in an ICMP error, and facts no segment."""
    said = case.said[case.frame]
    return case.segment is None and bool({"icmp.type", "icmpv6.type"} & said.keys())


def plain_tcp(case: Case) -> bool:
    """No segment of the stream has an MPTCP option."""
    if case.segment is not None:
        return False
    stream = case.said[case.frame].get("tcp.stream")
    return not any(
        said.get("tcp.stream") == stream and "tcp.options.mptcp.subtype" in said
        for said in case.said.values()
    )


def options_cut(case: Case) -> bool:
    """The snap length cuts the options, and facts have none of them."""
    return case.segment is not None and bool(case.segment.fact["options_cut"]) and not case.ours


def before_any_key(case: Case) -> bool:
    """Nothing is said by tshark, and no key of the connection was seen yet."""
    if case.theirs or case.segment is None or key_shown(case):
        return False
    if case.field == "mptcp.dss.missing_mapping":
        return not any(option["dsn"] for _, option in earlier(case.view, case, "dss"))
    return case.field not in PLACES or idsn_shown(case)


def without_option(case: Case) -> bool:
    """Nothing is said by tshark, and the segment has no MPTCP option."""
    segment = case.segment
    if case.theirs or segment is None or segment.fact["options"]:
        return False
    return case.field not in PLACES or dsn_shown(case)


def without_payload(case: Case) -> bool:
    """Facts say nothing, and the segment has no payload."""
    segment = case.segment
    if case.ours or segment is None or segment.fact["payload"]:
        return False
    # The SYN of the connection has a place, that of a join has not.
    return case.field not in PLACES or not (segment.syn and any(segment.options("mp_capable")))


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


def _shown(case: Case) -> bool:
    if case.field == "mptcp.ack":
        return data_ack_shown(case)
    if case.field == "mptcp.dss.dsn":
        return mapping_shown(case)
    return dsn_shown(case)


def repeated_join(case: Case) -> bool:
    """The subflow's MP_JOIN SYN came twice, and the octets show our number."""
    joins = [item for _, item in earlier(case.view, case, "mp_join_syn")]
    return len(joins) > 1 and _shown(case)


def seen_twice(case: Case) -> bool:
    """Another connection of the capture has the same keys."""
    if case.segment is None:
        return False
    mine = keys_of(case.view, case.segment.fact["connection"])
    return bool(mine) and any(
        keys_of(case.view, number) == mine
        for number in case.view.connections
        if number != case.segment.fact["connection"]
    )


def seen_twice_membership(case: Case) -> bool:
    """Another connection has the same keys, and only segments of the one are ours."""
    segment, ours = case.segment, [case.view.segments.get(int(frame)) for frame in case.ours]
    return (
        segment is not None
        and seen_twice(case)
        and bool(ours)
        and all(
            other is not None and other.fact["connection"] == segment.fact["connection"]
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
            case.view.segments[int(frame)].fact["connection"] != case.segment.fact["connection"]
            for frame in added
        )
    )


def seen_twice_keys(case: Case) -> bool:
    """Another connection has the same keys, and what we say follows from the option's own."""
    if not seen_twice(case) or case.segment is None:
        return False
    follows = crypto.token if case.field == "mptcp.expected_token" else crypto.idsn
    version = case.segment.connection["version"]
    keys = [int(item["sender_key"], 16) for item in case.segment.options("mp_capable")]
    return case.ours == tuple(follows(key, version) for key in keys)


def seen_twice_initial(case: Case) -> bool:
    """Another connection has the same keys, and MP_CAPABLE or MP_JOIN show the subflow's kind."""
    kinds = {item["option"] for _, item in earlier(case.view, case, "mp_capable", "mp_join_syn")}
    shown = {("mp_capable",): (1,), ("mp_join_syn",): (0,)}.get(tuple(kinds))
    return seen_twice(case) and case.ours == shown


def seen_twice_numbers(case: Case) -> bool:
    """Another connection has the same keys, and the octets show our number."""
    return seen_twice(case) and _shown(case)


def no_key_at_all(case: Case) -> bool:
    """No key of the connection is there; tshark says nothing, or ours plus our base."""
    segment = case.segment
    if segment is None or keys_of(case.view, segment.fact["connection"]):
        return False
    base = segment.base(other=case.field == "mptcp.ack")
    absolute = () if base is None else tuple((int(value) + base) & WIDE for value in case.ours)
    return case.theirs in ((), absolute)


def captured_twice(case: Case) -> bool:
    """By our facts the capture holds the segment twice."""
    return case.segment is not None and bool(case.segment.fact["duplicate"]) and not case.ours


def control_sent_again(case: Case) -> bool:
    """A SYN or FIN without payload."""
    segment = case.segment
    return (
        segment is not None
        and not case.ours
        and bool(segment.fact["flags"] & 0x03)
        and (segment.fact["payload"] == 0)
    )


def out_of_order(case: Case) -> bool:
    """It is out of order for tshark, and every octet was sent before."""
    named = "tcp.analysis.out_of_order" in case.said[case.frame]
    return named and not case.theirs and sent_before(case)


def after_cut(case: Case) -> bool:
    """The snap length cuts the options, and every octet was sent before."""
    segment = case.segment
    return (
        not case.theirs
        and segment is not None
        and bool(segment.fact["options_cut"])
        and sent_before(case)
    )


def data_level_probe(case: Case) -> bool:
    """One octet, new to the subflow, that was DATA_ACKed before."""
    segment = case.segment
    return (
        not case.theirs
        and segment is not None
        and segment.fact["payload"] == 1
        and not sent_before(case)
        and acknowledged_before(case)
    )


def no_syn(case: Case) -> bool:
    """Neither end that the number counts from has sent a SYN."""
    segment = case.segment
    if segment is None or case.ours:
        return False
    wanted = segment.fact["from"] if case.field == "tcp.seq" else segment.other
    return not any(
        other.syn and other.fact["from"] == wanted
        for other in case.view.segments.values()
        if other.subflow["subflow"] == segment.subflow["subflow"]
    )


def repeated_announcement(case: Case) -> bool:
    """Both sides name frames that declare the same mappings."""
    return same_mappings(case)


def repeated_first_data(case: Case) -> bool:
    """An MP_CAPABLE with data stands on several segments of these data."""
    misplaced = later_first_data(case)
    if case.field == "mptcp.related_mapping":
        return bool(misplaced & set(case.theirs)) and same_mappings(case, without=misplaced)
    return bool(misplaced) and dsn_shown(case)


def infinite(case: Case) -> bool:
    """The payload lies under an infinite mapping, for which tshark finds none."""
    if not under_infinite_mapping(case):
        return False
    if case.field == "mptcp.dss.missing_mapping":
        return case.theirs == (1,)
    return not case.theirs and (case.field not in PLACES or dsn_shown(case))


def neighbours(case: Case) -> bool:
    """Tshark's extra frames only touch the DSNs; those it leaves out were sent again later."""
    segment = case.segment
    if segment is None:
        return False
    mine = [(item["dsn"], item["dsn_end"]) for item in segment.mapped()]
    carried = {
        int(frame): [(item["dsn"], item["dsn_end"]) for item in other.mapped()]
        for frame, other in case.view.segments.items()
        if frame < case.frame and case.view.same_direction(other, segment)
    }
    for frame in set(case.theirs) - set(case.ours):
        ranges = carried.get(int(frame), [])
        if not any(end == low for _, end in ranges for low, _ in mine) and not any(
            start == high for start, _ in ranges for _, high in mine
        ):
            return False
    for frame in set(case.ours) - set(case.theirs):
        starts = {start for start, _ in carried[int(frame)]}
        if not any(
            later > int(frame) and starts & {start for start, _ in ranges}
            for later, ranges in carried.items()
        ):
            return False
    return True
