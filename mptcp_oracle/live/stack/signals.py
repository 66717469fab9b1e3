"""What the stack does with the MPTCP options of a segment."""

from __future__ import annotations

from typing import TYPE_CHECKING

from mptcp_oracle import crypto
from mptcp_oracle.live.peer.segment import ACK, Segment
from mptcp_oracle.options import (
    AddAddr,
    Dss,
    Malformed,
    MpCapable,
    MpFail,
    MpFastclose,
    MpPrio,
    RemoveAddr,
)

if TYPE_CHECKING:
    from mptcp_oracle.live.stack.session import Session
    from mptcp_oracle.live.stack.subflow import Subflow

__all__ = ["heed"]


def heed(session: Session, flow: Subflow, segment: Segment) -> None:
    """Act on each option in turn."""
    acked = False
    for option in segment.options:
        match option:
            case Dss():
                if option.data_ack is not None:
                    acked = True
                    session.acked(option.data_ack, option.data_ack_size, segment.window)
                session.incoming.map(flow, option, segment)
            case MpCapable() if not segment.syn:
                session.incoming.map_first(flow, option)
            case AddAddr() if not option.echo:
                _announced(session, flow, option)
            case RemoveAddr():
                _withdrawn(session, flow, option)
            case MpPrio():
                flow.backup = option.backup
            case Malformed(reading=MpPrio() as old):
                _old_priority(session, old)
            case MpFail() if not segment.rst:
                _failed(session, flow)
            case MpFastclose():
                _aborted(session, flow, option)
            case _:
                pass
        if flow.state == "CLOSED":
            return
    if not acked:
        session.opened(segment.window)


def _announced(session: Session, flow: Subflow, option: AddAddr) -> None:
    faults = session.faults
    right = crypto.add_addr_hmac(
        sender_key=session.peer_key,
        receiver_key=session.key,
        address_id=option.address_id,
        address=option.address,
        port=option.port,
    )
    if option.hmac != right and "add-addr-hmac-not-checked" not in faults:
        return
    if option.reserved and "add-addr-flags-heeded" in faults:
        return
    flow.transmit(
        ACK,
        AddAddr(echo=True, address_id=option.address_id, address=option.address, port=option.port),
    )
    where = (option.address, option.port or session.flows[0].remote[1])
    everybody = "addresses-of-all-connections" in faults
    for each in session.host.sessions if everybody else [session]:
        known = each.known.setdefault(option.address_id, set())
        address_known = option.address in {address for address, _ in known}
        skipped = address_known and "ports-of-known-addresses-ignored" in faults
        if where not in known and not skipped and each.peer_key and not each.over:
            stored = 255 if "announced-ids-forgotten" in faults else option.address_id
            session.host.join_to(each, where, stored)
        known.add(where)


def _withdrawn(session: Session, flow: Subflow, option: RemoveAddr) -> None:
    faults = session.faults
    for address_id in option.address_ids:
        session.known.pop(address_id, None)
        victims = [
            each
            for each in session.flows
            if each.state == "ESTABLISHED" and each.remote_id == address_id
        ]
        if "address-ids-forgotten" in faults:
            victims = []
        if not victims and "unknown-ids-close-all" in faults:
            for each in session.flows:
                if each.joined:
                    each.finish()
        for each in victims:
            if "removal-without-keepalive" in faults:
                each.finish()
            else:
                each.probe()


def _old_priority(session: Session, option: MpPrio) -> None:
    """MP_PRIO as version 0 has it, with an Address ID: only a fault heeds it."""
    if "old-priority-heeded" in session.faults:
        for each in session.flows:
            if each.remote_id == option.address_id:
                each.backup = option.backup


def _failed(session: Session, flow: Subflow) -> None:
    """MP_FAIL on an ACK of the only subflow: it is answered, and an infinite mapping follows."""
    alone = sum(each.state == "ESTABLISHED" for each in session.flows) == 1
    if alone and not session.failed:
        session.failed = True
        flow.acknowledge(MpFail(dsn=session.due()))


def _aborted(session: Session, flow: Subflow, option: MpFastclose) -> None:
    if option.key != session.key and "fastclose-key-not-checked" not in session.faults:
        return
    if session.aborting and "crossing-fastclose-ignored" in session.faults:
        return
    session.error = "ECONNRESET"
    session.over = True
    session.reset_all()
