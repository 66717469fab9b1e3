"""Subflows, their ends and their joins as facts, out of the truth and of what survived of it."""

from __future__ import annotations

from mptcp_oracle.facts import ROLES, Fact
from mptcp_oracle.model.observed_connections import View, unknown
from mptcp_oracle.model.observed_frames import Flow, Seen
from mptcp_oracle.model.observed_handshakes import Handshake, syn_data
from mptcp_oracle.model.observed_joins import established, join_of
from mptcp_oracle.model.trace import FIN, RST
from mptcp_oracle.options import MpJoinSyn, MpJoinSynAck, MpPrio, MpTcprst

__all__ = ["subflow"]

#: Payload that an end sent again, or that probes, is no payload that it carried.
NOT_CARRIED = ("tcp_retransmission", "zero_window_probe")


def subflow(view: View, flow: Flow) -> Fact:
    """One subflow."""
    group, shake = view.group, view.shakes[flow.id]
    source = flow.seen[0].segment.host if shake.opener is None else shake.opener
    joined = group.id >= 0 and flow is not group.initial
    join = join_of(group, flow, shake)
    place, known = _vantage(flow, source)
    fact: Fact = {
        "fact": "subflow",
        "subflow": flow.id,
        "connection": group.id,
        "stream": flow.stream,
        "kind": "joined" if joined else shake.kind,
        "version": group.version,
        "opened_by": None if shake.opener is None else ROLES[view.role(shake.opener)],
        "source": _end(view, flow, source),
        "destination": _end(view, flow, 1 - source),
        "first_frame": flow.seen[0].number,
        "last_frame": flow.seen[-1].number,
        "frames": len(flow.fresh),
        "round_trip": _round_trip(shake),
        "vantage": place,
        "vantage_known": known,
        "established": established(group, flow, shake),
        "join": join,
        "end": _subflow_end(view, flow),
        "notes": [],
    }
    return unknown(fact, "kind", "version", "opened_by", "round_trip", "vantage")


def _end(view: View, flow: Flow, host: int) -> Fact:
    group, shake = view.group, view.shakes[flow.id]
    truth, role = flow.truth, view.role(host)
    origin = shake.origin[host]
    half = view.payload.halves[flow.id, host]
    known = group.id >= 0 or shake.opener is not None
    fact: Fact = {
        "role": ROLES[role] if known else None,
        "address": str(truth.ends[host].address),
        "port": truth.ends[host].port,
        "address_id": _address_id(shake, host),
        "backup": _backup(view, flow, host),
        "isn": None if origin is None else (truth.isns[host] + origin) & 0xFFFFFFFF,
        "isn_from": shake.origin_from[host],
        "syn_data": syn_data(shake, host),
        "octets": sum(count for name, count in half.octets.items() if name not in NOT_CARRIED),
    }
    return unknown(fact, "role", "address_id", "backup", "isn")


def _address_id(shake: Handshake, host: int) -> int | None:
    """0 at both ends of the initial subflow; else as the SYN or SYN/ACK of the host says."""
    if shake.kind == "initial":
        return 0
    said = _joining(shake, host)
    return None if said is None else said.address_id


def _joining(shake: Handshake, host: int) -> MpJoinSyn | MpJoinSynAck | None:
    """What a host said on its SYN or SYN/ACK of a join."""
    for message in (shake.syn, shake.synack):
        if message is not None and message[0].segment.host == host:
            option = message[1]
            return option if isinstance(option, MpJoinSyn | MpJoinSynAck) else None
    return None


def _backup(view: View, flow: Flow, host: int) -> bool | None:
    """The last flag B that a host sent for a subflow, on it or (version 0) on another one."""
    shake = view.shakes[flow.id]
    joining = _joining(shake, host)
    said = None if joining is None else joining.backup
    for seen in view.fresh:
        for option in seen.whole:
            if not isinstance(option, MpPrio) or seen.segment.host != host:
                continue
            if option.address_id is None or view.group.version != 0:
                touched = seen.flow is flow
            else:
                mine = _address_id(shake, host)
                touched = mine == option.address_id and flow.seen[0].number <= seen.number
            said = option.backup if touched else said
    return said


def _round_trip(shake: Handshake) -> float | None:
    """From the first SYN to the third packet, if all three are there, in their order."""
    syn, synack, ack = shake.first_syn, shake.first_synack, shake.ack
    if syn is None or synack is None or ack is None:
        return None
    if not syn.number < synack.number < ack[0].number:
        return None
    took = ack[0].time - syn.time
    return took / 1e9 if took > 0 else None


def _vantage(flow: Flow, source: int) -> tuple[str | None, bool]:
    """At which end the capture was made, if its frames say so and all say the same."""
    hosts = {
        seen.segment.host if seen.outgoing else 1 - seen.segment.host
        for seen in flow.seen
        if seen.outgoing is not None
    }
    if len(hosts) != 1:
        return None, False
    return ("source" if hosts == {source} else "destination"), True


def _subflow_end(view: View, flow: Flow) -> Fact | None:
    """The first FIN or RST; a RST counts unless both FINs are there before it."""
    fins: dict[int, Seen] = {}
    for seen in flow.fresh:
        flags, host = seen.segment.flags, seen.segment.host
        if flags & RST and len(fins) < 2:
            reasons = [option for option in seen.whole if isinstance(option, MpTcprst)]
            return {
                "how": "reset",
                "by": view.named(host, seen),
                "reason": reasons[-1].reason if reasons else None,
                "frame": seen.number,
            }
        if flags & FIN:
            fins.setdefault(host, seen)
    if not fins:
        return None
    host, first = next(iter(fins.items()))
    return {
        "how": "fin" if len(fins) == 2 else "half_fin",
        "by": view.named(host, first),
        "reason": None,
        "frame": first.number,
    }
