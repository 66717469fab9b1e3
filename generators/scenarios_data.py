"""Scenarios of data: mappings of all shapes, copies, windows, schedulers."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from functools import partial

from mptcp_oracle.generators.scenario import Play, Scenario, calm, having
from mptcp_oracle.generators.script import QUIET, REST, Item, Script

from mptcp_oracle.model.choices import Choices
from mptcp_oracle.model.driver import Limits
from mptcp_oracle.model.events import (
    Acknowledge,
    Copy,
    Event,
    KeepAlive,
    Probe,
    Read,
    Remap,
    Retransmit,
    Send,
    Stall,
)
from mptcp_oracle.model.network import Network, Path
from mptcp_oracle.model.policies_schedulers import SCHEDULERS
from mptcp_oracle.model.settings import Settings
from mptcp_oracle.model.world import World

__all__ = ["DATA"]

MS = 1_000_000


def _long_mappings(pick: Choices, _: Settings) -> Sequence[Item]:
    play = Play(pick).open().join()
    for turn in range(3):
        flow = turn & 1
        play.say(0, flow, 500, ahead=1500, rest=False)
        for part in (False, True, False):
            play.do(Send(host=0, subflow=flow, octets=500, repeat=part))
        play.do(REST)
    return play.end(0, 1).lines


def _two_mappings(pick: Choices, _: Settings) -> Sequence[Item]:
    play = Play(pick).open()
    for _turn in range(3):
        play.say(0, 0, 600, ahead=200)
        # The next segment begins under the old mapping and announces the one that follows it.
        play.next[0] += 400
        play.do(Send(host=0, subflow=0, octets=600), REST)
    return play.end().lines


def _in_advance(pick: Choices, _: Settings) -> Sequence[Item]:
    play = Play(pick).open()
    for _turn in range(3):
        play.next[0] += 900
        play.do(Acknowledge(host=0, subflow=0, announce=900), REST)
        for _part in range(3):
            play.do(Send(host=0, subflow=0, octets=300, repeat=False), REST)
    return play.end().lines


def _widths(pick: Choices, _: Settings) -> Sequence[Item]:
    play = Play(pick).open().join()
    shapes = [(dsn, ack) for dsn in (8, 4) for ack in (8, 4, 0)]
    for turn in range(12):
        dsn, ack = shapes[turn % len(shapes)]
        play.say(turn & 1, turn // 2 % 2, dsn=dsn, data_ack=ack)
    return play.end(0, 1).lines


def _reinjected(pick: Choices, _: Settings) -> Sequence[Item]:
    play = Play(pick).open().join().talk(4, 0, 1).until(700)
    firsts = [play.say(0, 1, 1000, rest=False) for _turn in range(4)]
    play.do(QUIET).wait(250)
    for first in firsts:
        play.do(Copy(host=0, subflow=0, at=first, octets=1000, trigger="timeout"))
    return play.do(REST).talk(4).end(0).lines


def _redundant(pick: Choices, _: Settings) -> Sequence[Item]:
    play = Play(pick).open().join()
    for _turn in range(10):
        octets = play.size(400)
        first = play.say(0, 0, octets, rest=False)
        play.do(Copy(host=0, subflow=1, at=first, octets=octets), REST)
    return play.end(0, 1).lines


def _remapped(pick: Choices, _: Settings) -> Sequence[Item]:
    play = Play(pick).open().join().until(700)
    first = play.say(0, 0, 800, rest=False)
    play.do(QUIET).wait(250)
    play.do(Remap(host=0, subflow=0, at=first, octets=800), QUIET).wait(50)
    play.do(lambda world: _again(world, 0, 0), REST)
    return play.talk(4, 0, 1).end(0, 1).lines


def _again(world: World, host: int, subflow: int, octets: int | None = None) -> Event:
    """TCP's retransmission of the first payload that was not acknowledged."""
    half = world.subflows[subflow].halves[host]
    record = next(one for one in half.records if one.end > half.snd_una)
    sequence = max(record.sequence, half.snd_una)
    return Retransmit(host=host, subflow=subflow, sequence=sequence, octets=octets)


def _retransmitted(pick: Choices, _: Settings) -> Sequence[Item]:
    play = Play(pick).open().until(700)
    play.say(0, 0, 700, ahead=700, rest=False)
    play.do(Send(host=0, subflow=0, octets=700))
    play.say(0, 0, 900, rest=False)
    play.do(QUIET).wait(250)
    play.do(lambda world: _again(world, 0, 0, 1400), REST)
    play.do(lambda world: _again(world, 0, 0, 400), REST)
    play.do(lambda world: _again(world, 0, 0, 500), REST)
    return play.talk(4).end().lines


def _fill(world: World, subflow: int) -> Event | None:
    """As much data as the windows of connection and subflow allow, if any."""
    host, half = world.hosts[0], world.subflows[subflow].halves[0]
    octets = min(1400, host.limit - host.snd_nxt, half.limit - half.snd_nxt)
    return Send(host=0, subflow=subflow, octets=octets) if octets > 0 else None


def _closed_window(pick: Choices, _: Settings) -> Sequence[Item]:
    play = Play(pick).open().join().do(Stall(host=1))
    for turn in range(20):
        play.do(partial(_fill, subflow=turn & 1), REST)
    for milliseconds in (200, 400, 800):
        play.wait(milliseconds).do(Probe(host=0, subflow=0), REST)
    return play.do(Read(host=1, subflow=0), REST).talk(4).end(0, 1).lines


def _half_duplex(pick: Choices, _: Settings) -> Sequence[Item]:
    play = Play(pick).open().join().wait(15_000)
    for flow in (0, 1):
        play.do(KeepAlive(host=0, subflow=flow), REST)
    return play.wait(15_000).talk(4, 0, 1).end(0, 1).lines


def _bulk(name: str, octets: int = 60_000, **changes: object) -> object:
    return replace(SCHEDULERS[name], octets=octets, **changes)  # type: ignore[arg-type]


LONG = Limits(segments=2_000)
LOSSY = Network(paths=tuple(Path(delay=delay * MS, loss=30) for delay in (10, 25, 40)))
DATA = (
    Scenario(
        name="long-mappings",
        why="Each mapping covers four segments, and only some of them repeat it: legal, what "
        "segmentation offload produces all the time, and the reason why a tool has to remember "
        "mappings instead of reading them off the segment.",
        behaviour=Script(write=_long_mappings),
    ),
    Scenario(
        name="two-mappings-in-a-segment",
        why="Segments whose first octets are under an earlier mapping while their option maps "
        "the rest. Linux never sends this; RFC 8684 section 3.3.1 allows it.",
        behaviour=Script(write=_two_mappings),
    ),
    Scenario(
        name="mapping-in-advance",
        why="Mappings travel on ACKs without data, before the octets that they map, which then "
        "come without any option (version 0 only).",
        behaviour=Script(write=_in_advance),
        versions=(0,),
    ),
    Scenario(
        name="widths",
        why="Every mix of 8- and 4-octet DSNs and of 8- and 4-octet or absent DATA_ACKs, on two "
        "subflows. Ten layouts of one option, and the extension to 64 bits is up to the reader.",
        behaviour=Script(write=_widths),
    ),
    Scenario(
        name="path-cut",
        why="A path fails with data in flight. After a time-out of the data level the sender "
        "repeats that data on the other subflow: the frames on the dead path and the "
        "reinjections carry the same DSNs, and nothing else shows that they belong together.",
        behaviour=Script(write=_reinjected),
        network=Network(
            paths=(Path(), Path(delay=25 * MS, outages=((690 * MS, 1 << 62),)))
        ),
    ),
    Scenario(
        name="redundant-copies",
        why="Every segment leaves on both subflows at the same time, as a redundant scheduler "
        "sends it. Nothing was lost, so nothing of it is a retransmission.",
        behaviour=Script(write=_redundant),
    ),
    Scenario(
        name="remapped",
        why="Lost data goes once more over the same subflow, at new sequence numbers under a new "
        "mapping, and then TCP repeats the old ones too: one DSN range, two sequence ranges.",
        behaviour=Script(write=_remapped),
        network=Network(
            paths=(Path(outages=((690 * MS, 900 * MS),)), Path(delay=25 * MS))
        ),
    ),
    Scenario(
        name="retransmitted",
        why="TCP repeats three lost segments on their own subflow: two as one larger segment, one "
        "in two parts. To the data level nothing happened; who counts it as reinjection, or asks "
        "for equal segments, is wrong.",
        behaviour=Script(write=_retransmitted),
        network=Network(paths=(Path(outages=((690 * MS, 900 * MS),)),)),
    ),
    Scenario(
        name="closed-window",
        why="The receiving application stops reading until the data-level window is closed; the "
        "sender probes it with octets under an old DSN, as Linux does. The probes look like "
        "duplicates and are none.",
        behaviour=Script(write=_closed_window),
        settings=having(buffers=(65_535, 6_000)),
    ),
    Scenario(
        name="keep-alive",
        why="Half a minute of silence, interrupted by TCP keep-alives on both subflows: ACKs with "
        "an old sequence number and no payload, which are no retransmissions.",
        behaviour=Script(write=_half_duplex),
    ),
    Scenario(
        name="bulk",
        why="A download's mirror image: 60 kB over two calm paths by a scheduler that prefers "
        "the quicker one. The everyday case, and the base for --scheduler.",
        behaviour=_bulk("lowest_rtt"),  # type: ignore[arg-type]
        limits=LONG,
    ),
    Scenario(
        name="bulk-unequal",
        why="The same over paths whose delays are 1 : 50. Data arrives far out of order at the "
        "data level while both subflows are in perfect order; window and reinjection decisions "
        "show here.",
        behaviour=_bulk("round_robin"),  # type: ignore[arg-type]
        network=calm(4, 200),
        limits=LONG,
    ),
    Scenario(
        name="bulk-lossy",
        why="The same over three paths that lose three segments of a hundred: fast "
        "retransmissions, time-outs and what a scheduler makes of them.",
        behaviour=_bulk("after_loss", joins=(False, False)),  # type: ignore[arg-type]
        network=LOSSY,
        limits=LONG,
    ),
    Scenario(
        name="bulk-opportunistic",
        why="A small receive window and a slow path: the scheduler repeats on the quick path "
        "what the slow one holds up, without any loss. Neither a retransmission after loss nor "
        "a redundant copy.",
        behaviour=_bulk("opportunistic"),  # type: ignore[arg-type]
        settings=having(buffers=(65_535, 20_000)),
        network=calm(5, 120),
        limits=LONG,
    ),
    Scenario(
        name="bulk-redundant",
        why="All 60 kB on every path as fast as each goes, without what was acknowledged at the "
        "data level meanwhile: the slow path carries part of the copies only, and share-based "
        "detectors of redundancy are wrong about it.",
        behaviour=_bulk("redundant_unacked"),  # type: ignore[arg-type]
        network=calm(10, 60),
        limits=LONG,
    ),
    Scenario(
        name="bulk-backup",
        why="One of three subflows is a backup. It has to stay idle as long as a regular one "
        "works; the capture shows handshake and ACKs on it, no data.",
        behaviour=_bulk("backup_aware"),  # type: ignore[arg-type]
        limits=LONG,
    ),
)  # fmt: skip
"""What data looks like."""
