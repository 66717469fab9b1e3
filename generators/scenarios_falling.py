"""Scenarios of fallback to plain TCP, and of damage by middleboxes."""

from __future__ import annotations

from collections.abc import Sequence

from mptcp_oracle.generators.scenario import Play, Scenario, having
from mptcp_oracle.generators.script import QUIET, REST, Item, Script

from mptcp_oracle.model.choices import Choices
from mptcp_oracle.model.events import Alter, Connect, Copy, Event, Reset, Send
from mptcp_oracle.model.network import Network, Path
from mptcp_oracle.model.settings import Settings
from mptcp_oracle.model.world import World

__all__ = ["FALLING"]

MS = 1_000_000
BYTES = 60


def _plain(pick: Choices, _: Settings) -> Sequence[Item]:
    return Play(pick).open().talk(4).leave(0).lines


def _damaged(world: World) -> Event | None:
    """A middlebox rewrites an octet of the last payload in flight."""
    flying = [segment for segment in world.flight if segment.payload]
    if not flying:
        return None
    last = flying[-1]
    return Alter(number=last.number, octet=len(last.payload) // 2, flip=0x20)


def _infinite(pick: Choices, _: Settings) -> Sequence[Item]:
    play = Play(pick).open().talk(2)
    play.say(0, rest=False)
    play.do(_damaged, REST)
    return play.talk(4).leave(0).lines


def _reset(pick: Choices, _: Settings) -> Sequence[Item]:
    play = Play(pick).open().join().talk(4, 0, 1)
    octets = play.size()
    first = play.say(0, 1, octets, rest=False)
    play.do(_damaged, REST)
    play.do(Copy(host=0, subflow=0, at=first, octets=octets, trigger="subflow_end"), REST)
    return play.talk(4).end(0).lines


def _last_reset(pick: Choices, _: Settings) -> Sequence[Item]:
    play = Play(pick).open().join().talk(2, 0, 1).until(700)
    first = play.say(0, 1, 900, rest=False)
    play.do(QUIET).wait(100).do(Reset(host=0, subflow=1), REST)
    second = play.say(0, 0, 800, rest=False)
    play.do(_damaged, REST).wait(500).join()
    play.do(Copy(host=0, subflow=2, at=first, octets=900, trigger="subflow_end"), REST)
    play.do(Copy(host=0, subflow=2, at=second, octets=800, trigger="subflow_end"), REST)
    return play.talk(4, 2).end(2).lines


def _unmapped(pick: Choices, _: Settings) -> Sequence[Item]:
    play = Play(pick).do(Connect(), REST)
    for turn in range(6):
        play.do(Send(host=turn & 1, subflow=0, octets=play.size()), REST)
    return play.leave(0).lines


def _join_stripped(pick: Choices, _: Settings) -> Sequence[Item]:
    return Play(pick).open().join().talk(4).end(0).lines


def _fast_open(pick: Choices, _: Settings) -> Sequence[Item]:
    play = Play(pick).do(Connect(data=BYTES), REST)
    play.say(0)
    play.say(1)
    return play.talk(4).end(0).lines


def _stripping(way: int | None, after: int) -> Network:
    """A path on which a middlebox strips all MPTCP options from some segment on."""
    path = Path(middlebox="strip", one_way=way, from_segment=after)
    return Network(paths=(path, Path(delay=25 * MS)))


JOIN_STRIPPED = Network(paths=(Path(), Path(delay=25 * MS, middlebox="strip")))
FALLING = (
    Scenario(
        name="fallback-plain-listener",
        why="The listener knows no MPTCP and answers MP_CAPABLE by a plain SYN/ACK. What follows "
        "is TCP; a tool that goes by the SYN alone counts an MPTCP connection that never was.",
        behaviour=Script(write=_plain),
        settings=having(answers=None),
    ),
    Scenario(
        name="fallback-syn-stripped",
        why="A middlebox strips the option from the SYN. At the initiator's tap MPTCP was offered "
        "and ignored, at the listener's it was never offered: one connection, two truths.",
        behaviour=Script(write=_plain),
        network=_stripping(0, 0),
    ),
    Scenario(
        name="fallback-synack-stripped",
        why="The listener agrees to MPTCP, but its SYN/ACK arrives without the option. The third "
        "packet is plain and tells it (RFC 8684 section 3.7).",
        behaviour=Script(write=_plain),
        network=_stripping(1, 0),
        vantage="listener",
    ),
    Scenario(
        name="fallback-third-stripped",
        why="SYN and SYN/ACK pass, the third packet and all that follows from the initiator lose "
        "their options. The listener falls back when the keys do not come; the initiator learns "
        "it from data without mapping.",
        behaviour=Script(write=_unmapped),
        network=_stripping(0, 1),
        vantage="listener",
    ),
    Scenario(
        name="fallback-unmapped-data",
        why="Options pass during the handshake and never again, in both directions. The first data "
        "has no mapping, which is the last moment at which a host may still go on as TCP.",
        behaviour=Script(write=_unmapped),
        network=_stripping(None, 2),
        vantage="listener",
    ),
    Scenario(
        name="checksum-infinite-mapping",
        why="A middlebox rewrites an octet of payload, as an application-level gateway does. The "
        "DSS checksum is wrong, the receiver says MP_FAIL, the sender an infinite mapping: the "
        "connection lives on as TCP, with the changed octet in it.",
        behaviour=Script(write=_infinite),
        settings=having(checksum=(True, True)),
        vantage="listener",
    ),
    Scenario(
        name="checksum-subflow-reset",
        why="The same with a second subflow: now the damaged one is reset with MP_FAIL, and its "
        "data goes over the other. No fallback.",
        behaviour=Script(write=_reset),
        settings=having(checksum=(True, True)),
        vantage="listener",
    ),
    Scenario(
        name="checksum-last-subflow-reset",
        why="Data of a subflow that was reset is still missing when a checksum fails on the last "
        "one. No fallback is possible then (RFC 8684 section 3.7): MP_FAIL goes on a RST, nothing "
        "is left for half a second, and a new subflow carries all of it again.",
        behaviour=Script(write=_last_reset),
        settings=having(checksum=(True, True)),
        network=Network(
            paths=(Path(), Path(delay=25 * MS, outages=((690 * MS, 750 * MS),)), Path())
        ),
        vantage="listener",
    ),
    Scenario(
        name="join-stripped",
        why="The path of the second subflow strips MPTCP options. The SYN of the join arrives as "
        "that of a new plain TCP connection; there is nothing to join.",
        behaviour=Script(write=_join_stripped),
        network=JOIN_STRIPPED,
    ),
    Scenario(
        name="fast-open",
        why="Data in the SYN (TCP Fast Open, appendix B of RFC 8684), accepted by the listener. "
        "It lies outside the data sequence space: the first mapped octet is not the first octet.",
        behaviour=Script(write=_fast_open),
        settings=having(fast_open=BYTES),
    ),
)  # fmt: skip
"""How connections fall back."""
