"""Scenarios of joins, addresses and priorities."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from ipaddress import IPv6Address

from mptcp_oracle.generators.scenario import Play, Scenario, having
from mptcp_oracle.generators.script import REST, Item, Script

from mptcp_oracle.model.choices import Choices
from mptcp_oracle.model.events import (
    Announce,
    Deliver,
    Echo,
    Join,
    Prioritise,
    Reset,
    Retransmit,
    Withdraw,
)
from mptcp_oracle.model.network import Network, Path
from mptcp_oracle.model.settings import Settings

__all__ = ["JOINING"]

MS = 1_000_000


def _two(pick: Choices, _: Settings) -> Sequence[Item]:
    return Play(pick).open().join().talk(12, 0, 1).end(0, 1).lines


def _backup(pick: Choices, _: Settings) -> Sequence[Item]:
    play = Play(pick).open().join(backup=True).talk(6)
    play.do(Prioritise(host=0, subflow=1, backup=False), REST).talk(6, 0, 1)
    return play.end(0, 1).lines


def _echoed(play: Play, settings: Settings, host: int, subflow: int = 0) -> Play:
    return play.do(Echo(host=host, subflow=subflow), REST) if settings.version else play


def _announced(pick: Choices, settings: Settings) -> Sequence[Item]:
    play = Play(pick).open().do(Announce(host=1, subflow=0, address=1), REST)
    _echoed(play, settings, 0).join(1, 1)
    return play.talk(10, 0, 1).end(0, 1).lines


def _with_port(pick: Choices, settings: Settings) -> Sequence[Item]:
    port = settings.extra_ports[1][0]
    play = Play(pick).open().do(Announce(host=1, subflow=0, address=1, port=port), REST)
    _echoed(play, settings, 0).join(1, 1, port=port)
    return play.talk(10, 0, 1).end(0, 1).lines


def _from_listener(pick: Choices, settings: Settings) -> Sequence[Item]:
    play = Play(pick).open().do(Announce(host=0, subflow=0, address=1), REST)
    _echoed(play, settings, 1).join(1, 1, host=1)
    return play.talk(10, 0, 1).end(0, 1).lines


def _repeated(pick: Choices, settings: Settings) -> Sequence[Item]:
    announce = Announce(host=1, subflow=0, address=1)
    play = Play(pick).open().until(400).do(announce, REST).until(1400).do(announce, REST)
    return _echoed(play, settings, 0).join(1, 1).talk(6, 0, 1).end(0, 1).lines


def _closed_address(pick: Choices, settings: Settings) -> Sequence[Item]:
    play = Play(pick).open().do(Announce(host=1, subflow=0, address=1), REST)
    _echoed(play, settings, 0).join(1, 1)
    return play.talk(8, 1, 0).end(1, 0).lines


def _withdrawn(pick: Choices, _: Settings) -> Sequence[Item]:
    play = Play(pick).open().join().talk(6, 0, 1)
    play.do(Withdraw(host=0, subflow=0, addresses=(1,)), REST)
    play.do(Reset(host=1, subflow=1), REST)
    return play.talk(4).end(0).lines


def _refused(pick: Choices, _: Settings) -> Sequence[Item]:
    return Play(pick).open().join().join(2).talk(6, 0, 1).end(0, 1).lines


def _stripped(pick: Choices, _: Settings) -> Sequence[Item]:
    return Play(pick).open().join().talk(6).end(0).lines


def _third_lost(pick: Choices, _: Settings) -> Sequence[Item]:
    play = Play(pick).open().until(500)
    play.do(Join(host=0, local=1, remote=0), REST).until(1300)
    play.do(Retransmit(host=0, subflow=1), REST)
    return play.talk(8, 0, 1).end(0, 1).lines


def _eight(pick: Choices, settings: Settings) -> Sequence[Item]:
    play = Play(pick).open()
    flows = range(1, settings.subflows)
    for number in flows:
        play.join(number % len(settings.addresses[0]))
    for turn in range(3 * settings.subflows):
        play.say(turn & 1, turn % settings.subflows, rest=turn % 4 == 3)
    return play.do(REST).end(*range(settings.subflows)).lines


def _mixed(settings: Settings, _: int) -> Settings:
    """Second addresses of IPv6."""
    first, second = settings.addresses
    net = int(IPv6Address("2001:db8::")) + ((int(first[0]) & 0xFFFF00) << 8)
    return replace(
        settings,
        addresses=(
            (first[0], IPv6Address(net + 1), first[2]),
            (second[0], IPv6Address(net + 2), second[2]),
        ),
    )


def _ids(settings: Settings, _: int) -> Settings:
    return replace(settings, address_ids=((0, 255, 7), (0, 200, 3)))


def _same_address(pick: Choices, _: Settings) -> Sequence[Item]:
    return Play(pick).open().join(0).talk(12, 0, 1).end(0, 1).lines


JOINING = (
    Scenario(
        name="join",
        why="A second subflow from another address of the initiator: token, nonces and both "
        "HMACs, then data on both subflows in turn. The join has no key in it; only the hash of "
        "the listener's key says which connection it belongs to.",
        behaviour=Script(write=_two),
    ),
    Scenario(
        name="join-same-address",
        why="The second subflow differs from the first in the source port alone, as Linux makes "
        "with fullmesh off and a second local port, or behind a NAT. Address IDs are equal, "
        "subflows are not.",
        behaviour=Script(write=_same_address),
    ),
    Scenario(
        name="join-announced",
        why="The listener announces a second address by ADD_ADDR (with an HMAC and an echo in "
        "version 1), and the initiator joins it. Neither address of the join was in the first "
        "handshake; the Address ID ties it to the announcement.",
        behaviour=Script(write=_announced),
    ),
    Scenario(
        name="join-port",
        why="An ADD_ADDR with a port other than that of the connection, and a join to it: four "
        "lengths of one option, and a subflow whose port says nothing about the service.",
        behaviour=Script(write=_with_port),
    ),
    Scenario(
        name="join-by-listener",
        why="The listener opens the second subflow, to an address that the initiator announced. "
        "Who sends the SYN is not who opened the connection: the token is now that of the "
        "initiator's key, and client and server are the wrong way round for most tools.",
        behaviour=Script(write=_from_listener),
        vantage="listener",
    ),
    Scenario(
        name="join-refused",
        why="The listener takes two subflows and answers the SYN of a third by a RST, in version "
        "1 with MP_TCPRST and a reason. A valid token, and yet no subflow.",
        behaviour=Script(write=_refused),
        settings=having(accepts=2),
    ),
    Scenario(
        name="join-refused-late",
        why="The same, but the listener notices only when the third packet arrives, which is "
        "correct: the RST then ends a join whose HMACs were right.",
        behaviour=Script(write=_refused),
        settings=having(accepts=2, refuses_late=True),
    ),
    Scenario(
        name="join-answered-plainly",
        why="The SYN/ACK of a join has no MP_JOIN, as from a host behind a proxy that knows no "
        "MPTCP; the joiner resets the subflow (RFC 8684 section 3.2) and goes on with the other.",
        behaviour=Script(write=_stripped, answer=Deliver(number=0, plain=True, data_ack=8)),
    ),
    Scenario(
        name="join-third-lost",
        why="The third packet of a join is lost. The joiner may not send data before the fourth "
        "packet came and repeats the third; the listener holds a half-open subflow meanwhile.",
        behaviour=Script(write=_third_lost),
        network=Network(
            paths=(Path(), Path(delay=25 * MS, outages=((540 * MS, 900 * MS),)))
        ),
    ),
    Scenario(
        name="announcement-lost",
        why="The first ADD_ADDR is lost and sent again, since no echo came. Two frames, one "
        "announcement.",
        behaviour=Script(write=_repeated),
        network=Network(
            paths=(Path(outages=((390 * MS, 600 * MS),)), Path(delay=25 * MS))
        ),
        vantage="listener",
        versions=(1,),
    ),
    Scenario(
        name="initial-address-closed",
        why="The listener sets flag C: no further subflow may go to the address of the first one "
        "(a load balancer that hands on the first only). The initiator waits for an announcement "
        "and joins that.",
        behaviour=Script(write=_closed_address),
        settings=having(c_flag=(False, True)),
        versions=(1,),
    ),
    Scenario(
        name="address-withdrawn",
        why="An interface of the initiator goes down: REMOVE_ADDR on the remaining subflow, "
        "silence on the other, which the listener then resets. No FIN will ever come; tools that "
        "wait for one keep the subflow open.",
        behaviour=Script(write=_withdrawn),
    ),
    Scenario(
        name="priority",
        why="A subflow is opened as a backup and later made a regular one by MP_PRIO. Data on it "
        "before would have been against the peer's wish, afterwards it is not.",
        behaviour=Script(write=_backup),
    ),
    Scenario(
        name="eight-subflows",
        why="As many subflows as Linux allows at once, all in use. Colours, columns and colour "
        "maps of tools run out here; Address IDs repeat.",
        behaviour=Script(write=_eight),
    ),
    Scenario(
        name="join-other-family",
        why="The first subflow runs over IPv4, the second over IPv6. Address families are a "
        "matter of subflows, not of connections, and ADD_ADDR is longer.",
        behaviour=Script(write=_announced),
        settings=_mixed,
    ),
    Scenario(
        name="address-ids",
        why="Address IDs are not 1, 2, 3 but 255, 7, 200: any number is legal, 0 alone has a "
        "meaning. Whoever uses them as indexes falls over.",
        behaviour=Script(write=_announced),
        settings=_ids,
    ),
)  # fmt: skip
"""How subflows are added, announced and ranked."""
