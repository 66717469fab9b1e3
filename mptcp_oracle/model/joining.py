"""Joining: MP_JOIN on SYN, SYN/ACK, third packet, and the fourth (RFC 8684 and 6824, 3.2)."""

from __future__ import annotations

from mptcp_oracle import crypto
from mptcp_oracle.constants import JOIN_ACK_HMAC_SIZE, JOIN_SYNACK_HMAC_SIZE
from mptcp_oracle.model.events import Deliver, Join
from mptcp_oracle.model.trace import ACK, RST, SYN, Endpoint, Sent
from mptcp_oracle.model.turn import IllegalEvent, Turn
from mptcp_oracle.model.world import ALIVE, LISTENS, Half, Path, World
from mptcp_oracle.options import MpJoinAck, MpJoinSyn, MpJoinSynAck, MpTcprst

__all__ = [
    "join",
    "reset",
    "syn",
    "syn_arrives",
    "synack",
    "synack_arrives",
    "targets",
    "third",
    "third_arrives",
]  # fmt: skip


BUSY = ALIVE | {"SYN_SENT", "SYN_RCVD"}
"""States of halves that count as open subflows."""


def targets(world: World | Turn, role: int) -> list[tuple[int, int | None]]:
    """The peer's addresses (index, port) that a host may open a subflow to.

    The initial address unless the peer set flag C, and those that the peer announced or used.
    """
    settings = world.settings
    version = world.version
    host = world.hosts[role]
    closed = (settings.c_flag[1 - role] and version == 1) or 0 in host.lost
    return [*host.known] if closed else [(0, None), *host.known]


def join(turn: Turn, event: Join) -> None:
    """A host opens another subflow."""
    role, settings, host = event.host, turn.settings, turn.hosts[event.host]
    number = len(turn.paths)
    if host.state not in LISTENS or not host.heard or not host.peer_knows:
        raise IllegalEvent("no DSS has crossed the initial path, or the connection is closing")
    if number >= settings.subflows:
        raise IllegalEvent("the settings allow no more subflows")
    if (event.remote, event.port) not in targets(turn, role):
        raise IllegalEvent("the host knows no such address of the peer, or may not join it")
    here, there = settings.addresses[role][event.local], settings.addresses[1 - role][event.remote]
    if here.version != there.version:
        raise IllegalEvent("the addresses are of different families")
    port = settings.ports[1 - role] if event.port is None else event.port
    source = 50_000 + number if event.source_port is None else event.source_port
    own, other = Endpoint(address=here, port=source), Endpoint(address=there, port=port)
    ends = (own, other) if role == 0 else (other, own)
    if any(path.ends == ends for path in turn.paths):
        raise IllegalEvent("a subflow with these addresses and ports exists")
    local = (event.local, event.remote) if role == 0 else (event.remote, event.local)
    turn.paths.append(Path(opener=role, ends=ends, local=local))
    halves = [Half(state="LISTEN"), Half(state="LISTEN")]
    halves[role] = Half(state="SYN_SENT", snd_nxt=1, backup=event.backup)
    turn.halves.append(halves)
    turn.took("S01")
    syn(turn, number)


def syn(turn: Turn, subflow: int) -> None:
    """The SYN of a join, for the first time or again."""
    path, settings = turn.paths[subflow], turn.settings
    role = path.opener
    token = crypto.token(settings.keys[1 - role], turn.version)
    option = MpJoinSyn(
        backup=turn.halves[subflow][role].backup,
        address_id=settings.address_id(role, path.local[role]),
        token=token ^ settings.deviations[role].token_flip,
        nonce=settings.nonce(subflow, role),
    )
    turn.send(subflow, role, SYN, option, sequence=0)


def syn_arrives(turn: Turn, segment: Sent, event: Deliver) -> None:
    """The other host answers the SYN of a join, or refuses it (S02, S03)."""
    subflow, role = segment.subflow, 1 - segment.host
    option = next((each for each in segment.options if isinstance(each, MpJoinSyn)), None)
    if option is None:
        turn.took("S28")
        turn.half(subflow, role, state="SYN_RCVD", snd_nxt=1, rcv_nxt=1, plain=True)
        synack(turn, subflow)
        return
    host, settings = turn.hosts[role], turn.settings
    known = option.token == crypto.token(settings.keys[role], turn.version)
    alive = sum(halves[role].state in BUSY for halves in turn.halves)
    turn.half(subflow, role, rcv_nxt=1)
    full = alive >= settings.accepts and not settings.refuses_late
    if not known or host.state not in LISTENS or full:
        turn.half(subflow, role, state="CLOSED")
        turn.path(subflow, outcome="invalid" if not known else "refused")
        turn.took("S03")
        reset(turn, subflow, role, 3 if known else 1, sequence=0)
        return
    turn.half(
        subflow, role, state="SYN_RCVD", snd_nxt=1, limit=1 + segment.window,
        backup=event.backup, backup_heard=option.backup,
    )  # fmt: skip
    index = turn.paths[subflow].local[1 - role]
    if (index and (index, None) not in host.known) or index in host.lost:
        joinable = host.known if index == 0 else (*host.known, (index, None))
        turn.host(role, known=joinable, lost=tuple(each for each in host.lost if each != index))
    if event.plain:
        turn.took("S28")
        turn.half(subflow, role, plain=True)
    else:
        turn.took("S02")
    synack(turn, subflow)


def reset(turn: Turn, subflow: int, role: int, reason: int, sequence: int | None = None) -> None:
    """A RST, which says why in version 1."""
    why = MpTcprst(reason=reason) if turn.version else None
    turn.send(subflow, role, RST | ACK, why, sequence=sequence)


def _digest(turn: Turn, subflow: int, role: int) -> bytes:
    settings = turn.settings
    return crypto.join_digest(
        version=turn.version,
        sender_key=settings.keys[role],
        receiver_key=settings.keys[1 - role],
        sender_nonce=settings.nonce(subflow, role),
        receiver_nonce=settings.nonce(subflow, 1 - role),
    )


def _flipped(octets: bytes, flip: int) -> bytes:
    if not flip:
        return octets
    return (int.from_bytes(octets[:8]) ^ flip).to_bytes(8) + octets[8:]


def synack(turn: Turn, subflow: int) -> None:
    """The SYN/ACK of a join, for the first time or again."""
    path, settings = turn.paths[subflow], turn.settings
    role = 1 - path.opener
    if turn.halves[subflow][role].plain:
        turn.send(subflow, role, SYN | ACK, sequence=0)
        return
    flip = settings.deviations[role].synack_hmac_flip
    option = MpJoinSynAck(
        backup=turn.halves[subflow][role].backup,
        address_id=settings.address_id(role, path.local[role]),
        hmac=_flipped(_digest(turn, subflow, role)[:JOIN_SYNACK_HMAC_SIZE], flip),
        nonce=settings.nonce(subflow, role),
    )
    turn.send(subflow, role, SYN | ACK, option, sequence=0)


def synack_arrives(turn: Turn, segment: Sent) -> None:
    """The joiner checks the SYN/ACK (S04, S05)."""
    subflow, role = segment.subflow, 1 - segment.host
    option = next((each for each in segment.options if isinstance(each, MpJoinSynAck)), None)
    turn.half(subflow, role, rcv_nxt=1, snd_una=1)
    right = _digest(turn, subflow, 1 - role)[:JOIN_SYNACK_HMAC_SIZE]
    if option is None or option.hmac != right or turn.hosts[role].state not in LISTENS:
        turn.half(subflow, role, state="CLOSED")
        turn.path(subflow, outcome="invalid" if option and option.hmac != right else "refused")
        turn.took("S05")
        reset(turn, subflow, role, 1)
        return
    turn.half(
        subflow, role, state="PRE_ESTABLISHED", limit=1 + segment.window,
        backup_heard=option.backup,
    )  # fmt: skip
    turn.path(subflow, outcome="established")
    turn.took("S04")
    third(turn, subflow)


def third(turn: Turn, subflow: int) -> None:
    """The third packet of a join, for the first time or again."""
    role = turn.paths[subflow].opener
    flip = turn.settings.deviations[role].ack_hmac_flip
    octets = _digest(turn, subflow, role)[:JOIN_ACK_HMAC_SIZE]
    turn.send(subflow, role, ACK, MpJoinAck(hmac=_flipped(octets, flip)))


def third_arrives(turn: Turn, segment: Sent, event: Deliver) -> bool:
    """The answering host checks the third packet (S06, S07); whether the subflow goes on."""
    subflow, role = segment.subflow, 1 - segment.host
    if segment.ack != 1:
        return False
    option = next((each for each in segment.options if isinstance(each, MpJoinAck)), None)
    right = _digest(turn, subflow, 1 - role)[:JOIN_ACK_HMAC_SIZE]
    turn.half(subflow, role, snd_una=1)
    settings = turn.settings
    alive = sum(halves[role].state in ALIVE for halves in turn.halves)
    full = alive >= settings.accepts and settings.refuses_late
    if option is None or option.hmac != right or turn.hosts[role].state not in LISTENS or full:
        turn.half(subflow, role, state="CLOSED")
        turn.path(subflow, outcome="invalid" if option and option.hmac != right else "refused")
        turn.took("S07")
        reset(turn, subflow, role, 3 if full else 1)
        return False
    turn.half(subflow, role, state="ESTABLISHED")
    turn.took("S06")
    turn.ack(subflow, role, width=event.data_ack)
    return True
