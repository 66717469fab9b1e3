"""Opening a connection: MP_CAPABLE on SYN, SYN/ACK, third packet (RFC 8684 and 6824, 3.1)."""

from __future__ import annotations

from mptcp_oracle import crypto
from mptcp_oracle.model.events import Connect, Deliver
from mptcp_oracle.model.sending import first_data
from mptcp_oracle.model.settings import Settings, syn_octets
from mptcp_oracle.model.trace import ACK, SYN, Endpoint, Range, Sent
from mptcp_oracle.model.turn import IllegalEvent, Turn
from mptcp_oracle.model.world import MPTCP, Half, Path
from mptcp_oracle.options import MpCapable

__all__ = [
    "base",
    "capable_of",
    "connect",
    "give_up",
    "syn",
    "syn_again",
    "syn_arrives",
    "synack",
    "synack_again",
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
    if not 0 <= event.data <= settings.largest:
        raise IllegalEvent("the SYN cannot carry so much")
    ends = tuple(
        Endpoint(address=settings.addresses[role][0], port=settings.ports[role]) for role in (0, 1)
    )
    turn.paths.append(Path(opener=0, ends=(ends[0], ends[1]), offered=event.data))
    counted = min(event.data, settings.fast_open)  # what is not accepted is sent anew
    turn.halves.append([Half(state="SYN_SENT", snd_nxt=1 + counted), Half(state="LISTEN")])
    turn.host(0, state="M_SYN_SENT", base=base(settings, 0, turn.version))
    syn(turn)
    turn.took("C01", "S01")


def syn(turn: Turn) -> None:
    """The SYN, for the first time or again."""
    octets, plain = turn.paths[0].offered, turn.hosts[0].state == "TCP"
    segment = turn.send(
        0,
        0,
        SYN,
        None if plain else turn.capable(0, "syn"),
        sequence=0,
        payload=syn_octets(turn.settings, octets) if octets else b"",
        ranges=(Range(sequence=1, octets=octets, dsn=None, cause="unmapped"),) if octets else (),
    )
    turn.shows("plain_syn" if plain else "syn", segment.number)


def give_up(turn: Turn) -> None:
    """The initiator tries without MP_CAPABLE (RFC 8684 section 3.9.3)."""
    turn.host(0, state="TCP")
    turn.took("C39")


def syn_arrives(turn: Turn, segment: Sent) -> None:
    """The listener answers a SYN of the initial subflow."""
    option, answers = capable_of(segment), turn.settings.answers
    accepted = min(len(segment.payload), turn.settings.fast_open)
    if accepted:
        turn.path(0, syn_data=(accepted, 0))
        turn.took("S31")
    turn.half(0, 1, state="SYN_RCVD", snd_nxt=1, rcv_nxt=1 + accepted, limit=1 + segment.window)
    turn.took("S19")
    if option is None or answers is None or option.extension or not option.crypto:
        turn.host(1, state="TCP")
        turn.took("C03")
        synack(turn)
        return
    turn.version = min(option.version, answers)
    turn.checksum = option.checksum_required or turn.settings.checksum[1]
    turn.host(
        1,
        state="M_SYN_RCVD",
        base=base(turn.settings, 1, turn.version),
        limit=1 + segment.window,
    )
    turn.took("C02")
    synack(turn)


def synack(turn: Turn) -> None:
    """The SYN/ACK, for the first time or again."""
    plain = turn.hosts[1].state == "TCP"
    option = None if plain else turn.capable(1, "synack")
    segment = turn.send(0, 1, SYN | ACK, option, sequence=0)
    turn.shows("plain_synack" if plain else "synack", segment.number)


def synack_arrives(turn: Turn, segment: Sent, event: Deliver) -> None:
    """The initiator gets the SYN/ACK and sends the third packet."""
    option = capable_of(segment)
    assert segment.ack is not None
    accepted = segment.ack - 1
    turn.half(
        0, 0, state="ESTABLISHED", snd_una=1 + accepted, snd_nxt=1 + accepted, rcv_nxt=1,
        limit=segment.ack + segment.window,
    )  # fmt: skip
    turn.path(0, outcome="established")
    turn.took("S29")
    given_up = turn.hosts[0].state == "TCP"
    if given_up or option is None or option.version < turn.settings.lowest:
        turn.host(0, state="TCP")
        turn.took("C05")
        plain = turn.send(0, 0, ACK)
        if option is not None:
            turn.shows("plain_third", plain.number)
        return
    turn.version = option.version
    turn.host(
        0,
        state="M_ESTAB_NEW",
        base=base(turn.settings, 0, turn.version),
        limit=1 + segment.window,
    )
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
    if segment.ack is None or not 1 <= segment.ack <= turn.halves[0][1].snd_nxt:
        return False
    fallen = turn.hosts[1].state == "TCP"
    if not fallen and capable_of(segment) is None:
        if segment.options:
            return False
        turn.host(1, state="TCP")
        turn.took("C07")
        turn.shows("plain_third", segment.number)
        fallen = True
    turn.half(0, 1, state="ESTABLISHED", snd_una=1)
    turn.took("S20")
    if not fallen:
        turn.host(1, state="M_ESTAB_NEW")
        turn.took("C06")
    return True


def syn_again(turn: Turn, segment: Sent) -> None:
    """A SYN came again: the SYN/ACK was lost, or not needed.

    One without MP_CAPABLE must not be answered by a SYN/ACK with it (RFC 8684 section 3.1), and
    what the host agreed to stands; so it is dropped, and the SYN/ACK's own timer goes on.
    """
    if segment.options or turn.hosts[1].state == "TCP":
        synack(turn)


def synack_again(turn: Turn) -> None:
    """A SYN/ACK came again: the third packet was lost."""
    host = turn.hosts[0]
    if host.state in MPTCP and not host.peer_knows:
        third(turn)
    else:
        turn.ack(0, 0)
