"""Faults of when and where version 0 announces addresses (RFC 6824 section 3.4.1)."""

from __future__ import annotations

from ipaddress import IPv4Address, IPv6Address

from mptcp_oracle.model.fault import Fault, Find
from mptcp_oracle.model.faults_addresses import LONG, fresh_address, fresh_id
from mptcp_oracle.model.faults_edit import Draft, Place, fits
from mptcp_oracle.model.faults_flow import living
from mptcp_oracle.model.faults_places import ack_only, again, lacks, quiet
from mptcp_oracle.model.trace import Sent, Trace
from mptcp_oracle.options import AddAddr, MpFastclose, RemoveAddr

__all__ = ["FAULTS"]


def _announced_to(several: bool) -> Find:
    """Pure ACKs of a host with several established subflows, or with one, and room for ADD_ADDR."""

    def where(trace: Trace, sent: Sent) -> bool:
        ids = AddAddr(version=0, address_id=1, address=IPv6Address(0))
        if not ack_only(trace, sent) or not fits(sent, ids):
            return False
        if not lacks(trace, sent, AddAddr, RemoveAddr, MpFastclose):
            return False
        of = trace.subflows[sent.subflow].connection
        count = sum(each.connection == of for each in trace.subflows)
        begun = living(trace, of, sent.host, sent.number)
        return len(begun) > 1 if several else count == 1

    return quiet(where)


def _lone_announcement(draft: Draft, place: Place) -> None:
    key = place.segments[0]
    option = AddAddr(version=0, address_id=fresh_id(draft, key), address=fresh_address(draft))
    late = again(draft, place, option)
    # What goes out on another subflow much later would be no copy of it.
    draft.pause(draft.sent(late).time, LONG)
    draft.blame(late)


def _hasty_announcements(draft: Draft, place: Place) -> None:
    key = place.segments[0]
    for turn in range(2):
        address = IPv4Address((203 << 24) + (113 << 8) + 10 + turn)
        name = (fresh_id(draft, key) + turn) % 256
        late = again(draft, place, AddAddr(version=0, address_id=name, address=address))
        draft.blame(late)


FAULTS = (
    Fault(
        name="announced-on-one-subflow",
        meaning="A version 0 ADD_ADDR goes out on one of several subflows only.",
        v0=("6824-3.4.1-03",),
        needs=("join", "pure_ack", "silent"),
        find=_announced_to(several=True),
        edit=_lone_announcement,
    ),
    Fault(
        name="announced-in-haste",
        meaning="Two version 0 ADD_ADDRs go out within a round trip.",
        v0=("6824-3.4.1-04",),
        needs=("pure_ack", "silent"),
        find=_announced_to(several=False),
        edit=_hasty_announcements,
    ),
)
