"""Opening a connection: MP_CAPABLE on SYN, SYN/ACK, third packet (RFC 8684 and 6824, 3.1)."""

from __future__ import annotations

from mptcp_oracle import crypto
from mptcp_oracle.model.events import Connect, Deliver
from mptcp_oracle.model.sending import first_data
from mptcp_oracle.model.settings import Settings
from mptcp_oracle.model.trace import ACK, SYN, Endpoint, Sent
from mptcp_oracle.model.turn import IllegalEvent, Turn
from mptcp_oracle.model.world import MPTCP, Half, Path
from mptcp_oracle.options import MpCapable

__all__ = [
    "base",
    "capable_of",
    "connect",
    "syn",
    "syn_arrives",
    "synack",
    "synack_arrives",
    "third",
    "third_arrives",
]  # fmt: skip


def base(settings: Settings, role: int, version: int) -> int:
    """What a host's relative DSNs count from: the IDSN of its key (RFC 8684 section 3.1)."""
    given = settings.deviations[role].base
    return crypto.idsn(settings.keys[role], version) if given is None else given


def capable_of(segment: Sent) -> MpCapable | None:
    """The MP_CAPABLE of a segment."""
    for option in segment.options:
        if isinstance(option, MpCapable):
            return option
    return None


def connect(turn: Turn, event: Connect) -> None:
    """The initiator sends its first SYN."""
    if turn.paths:
        raise IllegalEvent("the connection was opened before")
    settings = turn.settings
    ends = tuple(
        Endpoint(address=settings.addresses[role][0], port=settings.ports[role]) for role in (0, 1)
    )
    turn.paths.append(Path(opener=0, ends=(ends[0], ends[1])))
    turn.halves.append([Half(state="SYN_SENT", snd_nxt=1), Half(state="LISTEN")])
    turn.host(0, state="M_SYN_SENT", base=base(settings, 0, turn.version))
    syn(turn)
    turn.took("C01", "S01")


def syn(turn: Turn) -> None:
    """The SYN, for the first time or again."""
    turn.send(0, 0, SYN, turn.capable(0, "syn"), sequence=0)


def syn_arrives(turn: Turn, segment: Sent) -> None:
    """The listener answers a SYN of the initial subflow."""
    option, answers = capable_of(segment), turn.settings.answers
    assert option is not None
    assert answers is not None
    turn.version = min(option.version, answers)
    turn.checksum = option.checksum_required or turn.settings.checksum[1]
    turn.host(
        1,
        state="M_SYN_RCVD",
        base=base(turn.settings, 1, turn.version),
        limit=1 + segment.window,
    )
    turn.half(0, 1, state="SYN_RCVD", snd_nxt=1, rcv_nxt=1, limit=1 + segment.window)
    turn.took("C02", "S19")
    synack(turn)


def synack(turn: Turn) -> None:
    """The SYN/ACK, for the first time or again."""
    turn.send(0, 1, SYN | ACK, turn.capable(1, "synack"), sequence=0)


def synack_arrives(turn: Turn, segment: Sent, event: Deliver) -> None:
    """The initiator gets the SYN/ACK and sends the third packet."""
    option = capable_of(segment)
    assert option is not None
    assert segment.ack is not None
    turn.version = option.version
    turn.host(
        0,
        state="M_ESTAB_NEW",
        base=base(turn.settings, 0, turn.version),
        limit=1 + segment.window,
    )
    turn.half(
        0, 0, state="ESTABLISHED", snd_una=segment.ack, rcv_nxt=1,
        limit=segment.ack + segment.window,
    )  # fmt: skip
    turn.path(0, outcome="established")
    turn.took("C04")
    if event.data and turn.version == 1:
        first_data(turn, event.data)
    else:
        third(turn)


def third(turn: Turn) -> None:
    """The third packet without data, for the first time or again."""
    turn.send(0, 0, ACK, turn.capable(0, "ack"))


def third_arrives(turn: Turn, segment: Sent) -> bool:
    """The listener gets the first segment after its SYN/ACK; whether it goes on with it.

    One that has MPTCP options but no MP_CAPABLE overtook the third packet, or that was lost; it
    is dropped, for the keys have yet to come.
    """
    if segment.ack != 1:
        return False
    if capable_of(segment) is None:
        return False
    turn.half(0, 1, state="ESTABLISHED", snd_una=1)
    turn.host(1, state="M_ESTAB_NEW")
    turn.took("C06", "S20")
    return True


def synack_again(turn: Turn) -> None:
    """A SYN/ACK came again: the third packet was lost."""
    host = turn.hosts[0]
    if host.state in MPTCP and not host.peer_knows:
        third(turn)
    else:
        turn.ack(0, 0)
