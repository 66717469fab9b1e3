"""Connections and their hosts as facts, out of the truth and of what survived of it."""

from __future__ import annotations

from collections.abc import Iterable

from mptcp_oracle import crypto
from mptcp_oracle.facts import CLASSES, ROLES, Fact
from mptcp_oracle.model.observed_checksums import count_checksums
from mptcp_oracle.model.observed_fallback import fallback_of
from mptcp_oracle.model.observed_frames import Seen
from mptcp_oracle.model.observed_groups import Group
from mptcp_oracle.model.observed_handshakes import Handshake, syn_data
from mptcp_oracle.model.observed_mismatches import mismatches
from mptcp_oracle.model.observed_payload import Payload
from mptcp_oracle.model.trace import FIN, RST, SYN
from mptcp_oracle.options import AddAddr, Dss, Malformed, MpFastclose, RemoveAddr

__all__ = ["View", "connection", "seconds", "unknown"]


class View:
    """One group with all that is known of it, for whoever writes facts.

    Attributes:
        group: The group. shakes: Handshakes by flow id. payload: Its payload.
        fresh: Its frames in order, without copies made by the capture.
        fins: By true role: the frame of its first DATA_FIN, if any.
        state, state_frame, fallback: As in the facts.
    """

    def __init__(self, group: Group, shakes: dict[int, Handshake], frames: list[Seen]) -> None:
        self.group = group
        self.shakes = shakes
        self.fresh = [seen for seen in frames if not seen.again]
        self.payload = Payload(group, frames, shakes)
        self.fins: list[Seen | None] = [None, None]
        for seen in self.fresh:
            host = seen.segment.host
            if self.fins[host] is None and seen.mapping is not None and seen.mapping.fin:
                self.fins[host] = seen
        self.fallback: str | None = None
        self.state, self.state_frame = self._state()

    def role(self, host: int) -> int:
        """The role that the facts give to a host of this true role."""
        return host ^ self.group.swap

    def named(self, host: int, seen: Seen) -> str | None:
        """The role of a sender, if anything tells who is who."""
        if self.group.id < 0 and self.shakes[seen.flow.id].opener is None:
            return None
        return ROLES[self.role(host)]

    def fin_dsn(self, host: int) -> int:
        """The label of the DSN that a host's DATA_FIN occupies."""
        seen = self.fins[host]
        assert seen is not None
        assert seen.mapping is not None
        return seen.mapping.dsn + seen.mapping.octets

    def fin_acknowledged(self, host: int) -> bool:
        """Whether a host's DATA_FIN is in the capture, and a DATA_ACK beyond it."""
        return self.fins[host] is not None and self.payload.acknowledged[host] > self.fin_dsn(host)

    def _state(self) -> tuple[str, int | None]:
        for seen in self.fresh:
            for option in seen.whole:
                if isinstance(option, MpFastclose):
                    host = 1 - seen.segment.host
                    key = self.group.truth.hosts[host].key
                    if not self.group.keys[host] or option.key == key:
                        return "fast_closed", seen.number
        first, second = self.fins
        if first and second and self.fin_acknowledged(0) and self.fin_acknowledged(1):
            return "closed", max(first.number, second.number)
        fell = fallback_of(self.group, self.shakes, self.fresh, self.payload)
        if fell is not None:
            self.fallback = fell[0]
            return "fallback", fell[1]
        initial = self.group.initial
        if initial is not None and all(
            seen.flow is initial and seen.segment.host == 0 and seen.segment.flags & (SYN | RST)
            for seen in self.fresh
        ):
            return "timed_out", None
        return "open", None


def connection(view: View) -> Fact:
    """A connection, or what stands for the connection of a lone subflow."""
    group = view.group
    fact: Fact = {
        "fact": "connection",
        "connection": group.id,
        "version": group.version,
        "checksum": _checksum(view),
        "state": view.state,
        "state_frame": view.state_frame,
        "why": "",
        "fallback": view.fallback,
        "initiator": _host(view, group.swap),
        "listener": _host(view, 1 - group.swap),
        "subflows": [flow.id for flow in group.flows],
        "checksums": {},
        "events": list(_events(view)),
        "addresses": list(_addresses(view)),
        "mismatches": mismatches(group, view.shakes, view.fresh),
        "notes": list(_notes(view)),
    }
    fact["checksums"], wrong = count_checksums(
        group, view.payload, view.fresh, in_use=fact["checksum"] is not False
    )
    if wrong is not None:
        fact["notes"].append(wrong)
    return unknown(fact, "version", "checksum")


def _checksum(view: View) -> bool | None:
    """Flag A of either host; the third packet repeats what was agreed."""
    shake = view.shakes[view.group.initial.id] if view.group.initial is not None else None
    if shake is None:
        return None
    shown = [option for _, option in view.group.capables(view.shakes)]
    if any(option.checksum_required for option in shown):
        return True
    both = shake.syn is not None and shake.synack is not None
    return False if both or shake.ack is not None else None


def _host(view: View, host: int) -> Fact:
    group, payload = view.group, view.payload
    truth, role = group.truth.hosts[host], view.role(host)
    flow = group.initial or group.flows[0]
    key = truth.key if group.keys[host] else None
    hashed = key is not None and group.version in (0, 1)
    assert not hashed or group.version is not None
    octets = dict.fromkeys(CLASSES, 0)
    for (_, sender), half in payload.halves.items():
        if sender == host:
            for name, count in half.octets.items():
                octets[name] += count
    fact: Fact = {
        "role": ROLES[role],
        "address": str(flow.truth.ends[host].address),
        "port": flow.truth.ends[host].port,
        "key": None if key is None else f"{key:016x}",
        "token": f"{crypto.token(key, group.version or 0):08x}" if key and hashed else None,
        "idsn": str(crypto.idsn(key, group.version or 0)) if key and hashed else None,
        "base": str(group.base(host)) if group.absolute[host] else None,
        "c_flag": _c_flag(view, host),
        "octets": octets["first_seen"] + (octets["unmapped"] if view.state == "fallback" else 0),
        "transmissions": octets,
        "data_fin": None,
        "acknowledged": None,
    }
    fin = view.fins[host]
    if fin is not None:
        fact["data_fin"] = {
            "frame": fin.number,
            "dsn": group.shown(host, view.fin_dsn(host)),
            "acknowledged": view.fin_acknowledged(host),
        }
    if any(seen.data_ack is not None and seen.segment.host != host for seen in view.fresh):
        fact["acknowledged"] = group.shown(host, payload.acknowledged[host])
    fact = unknown(fact, "key", "token", "idsn", "base", "acknowledged")
    if fact["c_flag"] is None and group.version != 0:
        fact["unknown"]["c_flag"] = "no MP_CAPABLE of this host in the capture"
    return fact


def _c_flag(view: View, host: int) -> bool | None:
    """Flag C as a host said it; version 0 has none."""
    said = [option for sender, option in view.group.capables(view.shakes) if sender == host]
    return said[-1].address_closed if said and said[-1].version > 0 else None


def _events(view: View) -> Iterable[Fact]:
    """Frames with SYN, FIN, RST, or an option that says more than DATA_ACK and mapping."""
    ended: set[tuple[int, int]] = set()
    for seen in view.fresh:
        segment = seen.segment
        tells = bool(segment.flags & (SYN | FIN | RST))
        for option in seen.whole:
            if not isinstance(option, Dss):
                tells = True
            elif option.data_fin:
                half = seen.flow.id, segment.host
                tells = tells or half not in ended
                ended.add(half)
            elif option.dll == 0:
                tells = True
        if tells:
            yield {
                "frame": seen.number,
                "time": seconds(seen.time),
                "subflow": seen.flow.id,
                "host": view.named(segment.host, seen),
                "what": "",
            }


def _addresses(view: View) -> Iterable[Fact]:
    """Announcements, echoes and withdrawals, each address by itself."""
    for seen in view.fresh:
        host = seen.segment.host
        for option in seen.whole:
            fact: Fact = {
                "frame": seen.number,
                "subflow": seen.flow.id,
                "host": ROLES[view.role(host)],
            }
            if isinstance(option, AddAddr):
                right = None
                if option.hmac is not None and all(view.group.keys):
                    keys = [each.key for each in view.group.truth.hosts]
                    right = option.hmac == crypto.add_addr_hmac(
                        sender_key=keys[host],
                        receiver_key=keys[1 - host],
                        address_id=option.address_id,
                        address=option.address,
                        port=option.port,
                    )
                yield fact | {
                    "what": "echo" if option.echo else "add",
                    "address_id": option.address_id,
                    "address": str(option.address),
                    "port": option.port,
                    "hmac": right,
                }
            elif isinstance(option, RemoveAddr):
                for address_id in option.address_ids:
                    none = dict.fromkeys(("address", "port", "hmac"))
                    yield fact | {"what": "remove", "address_id": address_id} | none


def _notes(view: View) -> Iterable[Fact]:
    """Oddities: malformed options, an MP_FASTCLOSE with another key, a late first octet."""
    flawed: dict[str, list[int]] = {}
    for seen in view.fresh:
        other = 1 - seen.segment.host
        for option in seen.whole:
            if isinstance(option, Malformed):
                flawed.setdefault(f"malformed-option-{option.reason}", []).append(seen.number)
            elif (
                isinstance(option, MpFastclose)
                and view.group.keys[other]
                and option.key != view.group.truth.hosts[other].key
            ):
                flawed.setdefault("fastclose-key", []).append(seen.number)
    for code, frames in flawed.items():
        yield {"code": code, "text": "", "count": len(frames), "frame": frames[0]}
    flow = view.group.initial
    if flow is None or len(view.group.flows) > 1:
        return
    late: list[int] = []
    for host in (0, 1):
        half, shake = view.payload.halves[flow.id, host], view.shakes[flow.id]
        first = 1 + syn_data(shake, host)
        ((_, _, under),) = half.maps.parts(first, first + 1)
        known = view.group.keys[host] and shake.origin_from[host] == "handshake"
        if known and under is not None and first + under.delta > 1:
            late.append(under.frame)
    if late:
        yield {"code": "late-first-dsn", "text": "", "count": len(late), "frame": late[0]}


def seconds(time: int) -> str:
    """Nanoseconds as seconds with nine decimals."""
    return f"{time // 1_000_000_000}.{time % 1_000_000_000:09d}"


def unknown(fact: Fact, *keys: str) -> Fact:
    """Say of those keys that are ``None`` that they are not known, and give the fact."""
    reason = "no frame that shows it is in the capture"
    fact["unknown"] = {key: reason for key in keys if fact[key] is None}
    return fact
