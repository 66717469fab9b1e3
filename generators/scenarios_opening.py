"""Scenarios of how connections begin."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from mptcp_oracle.generators.scenario import Play, Scenario, having
from mptcp_oracle.generators.script import QUIET, REST, Item, Script

from mptcp_oracle.model.choices import Choices
from mptcp_oracle.model.drawing import WRAPPING
from mptcp_oracle.model.events import Connect, Deliver, Retransmit
from mptcp_oracle.model.network import Network, Path
from mptcp_oracle.model.settings import Settings

__all__ = ["OPENING"]

MS = 1_000_000


def _request(pick: Choices, _: Settings) -> Sequence[Item]:
    return Play(pick).open().end().lines


def _silence(pick: Choices, _: Settings) -> Sequence[Item]:
    return Play(pick).do(Connect(), REST).end().lines


def _first_data(pick: Choices, settings: Settings) -> Sequence[Item]:
    play = Play(pick).do(Connect(), REST)
    play.next[0] += 0 if settings.version == 0 else FIRST
    play.say(1)
    return play.talk(4).end().lines


def _talk(pick: Choices, _: Settings) -> Sequence[Item]:
    return Play(pick).open().talk(6).end().lines


def _syn_lost(pick: Choices, _: Settings) -> Sequence[Item]:
    play = Play(pick).do(Connect(), REST).wait(1000)
    play.do(Retransmit(host=0, subflow=0), REST)
    play.say(0)
    play.say(1)
    return play.end().lines


def _synack_lost(pick: Choices, _: Settings) -> Sequence[Item]:
    play = Play(pick).do(Connect(), REST).wait(1000)
    play.do(Retransmit(host=1, subflow=0), REST)
    play.say(0)
    play.say(1)
    return play.end().lines


def _third_lost(pick: Choices, _: Settings) -> Sequence[Item]:
    play = Play(pick).do(Connect(), QUIET).wait(1000)
    play.do(Retransmit(host=1, subflow=0), REST)
    play.say(0)
    play.say(1)
    return play.end().lines


def _unanswered(pick: Choices, _: Settings) -> Sequence[Item]:
    play = Play(pick).do(Connect(), REST)
    for turn in range(3):
        play.wait(1000 << turn).do(Retransmit(host=0, subflow=0), REST)
    return play.lines


def _wrapping(settings: Settings, index: int) -> Settings:
    """A key whose IDSN is shortly before a multiple of 2^32; each is used once in a file."""
    first, second = settings.keys
    if index < 4:
        second = WRAPPING[settings.version][index]
    return replace(settings, keys=(first, second))


def _much(pick: Choices, _: Settings) -> Sequence[Item]:
    play = Play(pick).open().join()
    for turn in range(90):
        play.say(1, turn % 2, 1400, rest=turn % 6 == 5, dsn=4 if turn % 3 else 8, data_ack=4)
    play.do(REST)
    return play.end(0, 1).lines


def _sequence_wrap(settings: Settings, _: int) -> Settings:
    near = [(1 << 32) - 1 - (settings.seed >> at & 0x3FF) for at in (8, 18)]
    return replace(settings, isns=((near[0], near[1]), (near[1], near[0])))


def _crossing(pick: Choices, _: Settings) -> Sequence[Item]:
    return Play(pick).open().join().talk(16, 0, 1).end(0, 1).lines


FIRST = 300
OPENING = (
    Scenario(
        name="request",
        why="The smallest complete connection: MP_CAPABLE in three packets, one segment of data "
        "each way, DATA_FINs, FINs. What a decoder cannot do with this it can do with nothing; "
        "every number in it can be checked by hand.",
        behaviour=Script(write=_request),
    ),
    Scenario(
        name="no-data",
        why="A connection that is opened and closed without an octet of data. The DATA_FIN has "
        "the first DSN there is, and joins were never allowed: an off-by-one in the relation of "
        "IDSN and first DSN shows here and nowhere else.",
        behaviour=Script(write=_silence),
    ),
    Scenario(
        name="capable-with-data",
        why="The initiator's first data rides on the third packet's MP_CAPABLE, as Linux does "
        "(RFC 8684 section 3.1): the mapping has no DSN and no subflow sequence number, they "
        "follow from the key. Tools that look for DSS options miss these octets.",
        behaviour=Script(
            write=_first_data, answer=Deliver(number=0, data=FIRST, data_ack=8)
        ),
        versions=(1,),
    ),
    Scenario(
        name="checksums",
        why="Both hosts ask for DSS checksums. Every mapping carries one over its data and a "
        "pseudo-header with the 64-bit DSN, also where the option shows 32 bits of it; a tool "
        "that verifies checksums can be tried on data that is right.",
        behaviour=Script(write=_talk),
        settings=having(checksum=(True, True)),
    ),
    Scenario(
        name="checksum-asked-by-listener",
        why="Only the listener sets flag A. One request is enough: checksums are in use both "
        "ways, and a tool that reads the SYN alone gets every option's length wrong.",
        behaviour=Script(write=_talk),
        settings=having(checksum=(False, True)),
    ),
    Scenario(
        name="version-negotiated",
        why="The initiator offers version 1 and accepts a listener that answers with version 0, "
        "whose key then has another hash: tokens, IDSNs and HMACs are SHA-1's. What was offered "
        "is not what is spoken.",
        behaviour=Script(write=_crossing),
        settings=having(answers=0),
        versions=(1,),
    ),
    Scenario(
        name="syn-lost",
        why="The first SYN is lost beyond the tap and sent again after a second. Both have the "
        "same key: one connection, not two.",
        behaviour=Script(write=_syn_lost),
        network=Network(paths=(Path(delay=10 * MS, outages=((0, 500 * MS),)), Path())),
    ),
    Scenario(
        name="synack-lost",
        why="The SYN/ACK is lost and sent again by the listener. At the initiator's tap only the "
        "second one is there, at the listener's both.",
        behaviour=Script(write=_synack_lost),
        network=Network(
            paths=(Path(delay=10 * MS, outages=((5 * MS, 500 * MS),)), Path())
        ),
        vantage="listener",
    ),
    Scenario(
        name="third-lost",
        why="The third packet is lost. The listener repeats its SYN/ACK, the initiator answers "
        "with the keys once more, and only then data may flow: the listener cannot compute "
        "anything before that, nor can a tap beside it.",
        behaviour=Script(write=_third_lost),
        network=Network(paths=(Path(outages=((15 * MS, 500 * MS),)), Path())),
    ),
    Scenario(
        name="unanswered",
        why="Four SYNs, no answer: there is no connection, no token and no version to report, "
        "and a tool has to say so rather than guess from what was offered.",
        behaviour=Script(write=_unanswered),
        network=Network(paths=(Path(delay=10 * MS, loss=1000),)),
    ),
    Scenario(
        name="dsn-wrap",
        why="Enough data that the lower 32 bits of the listener's DSNs wrap, with 4-octet DSNs "
        "and DATA_ACKs on both sides of the wrap and on two subflows. Whoever extends them from "
        "the wrong reference is off by 2^32 octets from here on.",
        behaviour=Script(write=_much),
        settings=_wrapping,
        vantage="listener",
    ),
    Scenario(
        name="sequence-wrap",
        why="TCP sequence numbers of both subflows wrap within the first kilobyte, while DSNs "
        "go on. Relative sequence numbers, mappings and duplicate detection have to survive it.",
        behaviour=Script(write=_crossing),
        settings=_sequence_wrap,
    ),
)  # fmt: skip
"""How connections begin."""
