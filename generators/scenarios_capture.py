"""Scenarios of captures: anything at all, rough networks, and what taps do to packets."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

from mptcp_oracle.generators.scenario import PLAIN, Play, Scenario
from mptcp_oracle.generators.script import Item, Script

from mptcp_oracle.model.capture import Layout
from mptcp_oracle.model.choices import Choices
from mptcp_oracle.model.driver import Limits
from mptcp_oracle.model.network import Network, Path
from mptcp_oracle.model.policies import DATA, ENDING, Profile, Wanderer
from mptcp_oracle.model.settings import Settings

__all__ = ["CAPTURES"]

MS = 1_000_000
ROUGH = Network(
    paths=tuple(
        Path(delay=delay * MS, jitter=delay * MS, loss=40, duplication=30, reordering=60)
        for delay in (10, 20, 5)
    )
)
WANDERING = Limits(segments=110)


def _weighted(length: tuple[int, int] = (36, 90), **weights: int) -> Wanderer:
    """Random behaviour in which these events are more or less frequent than usual."""
    data: Mapping[str, int] = {**DATA, **weights}
    return Wanderer(profile=Profile(length=length, data=data))


def _talk(pick: Choices, _: Settings) -> Sequence[Item]:
    return Play(pick).open().join().talk(16, 0, 1).end(0, 1).lines


CAPTURES = (
    Scenario(
        name="anything",
        why="Random legal behaviour of both hosts, any network, any tap, any file layout, with or "
        "without defects of the capture. What a fuzzer and a regression corpus want: it visits "
        "whatever the model can do, far beyond what one stack does.",
        behaviour=Wanderer(),
        settings=None,
        network=None,
        vantage="",
        layout=None,
        defects=None,
        others=None,
        connections=(6, 2, 1),
        limits=WANDERING,
    ),
    Scenario(
        name="rough-network",
        why="Loss, jitter, reordering and duplication by the network on three paths at once, seen "
        "from the listener. Everything arrives wrongly; the hosts repair it.",
        behaviour=Wanderer(),
        settings=None,
        network=ROUGH,
        vantage="listener",
        limits=WANDERING,
    ),
    Scenario(
        name="signals",
        why="Addresses are announced and withdrawn, priorities change, subflows come and go all "
        "the time; data is rare. Path-manager views of tools are tried with more than happens "
        "in a year.",
        behaviour=_weighted(
            Announce=30, Withdraw=12, Prioritise=20, Join=40, Reset=12, Close=8, Send=20
        ),
        settings=None,
        limits=WANDERING,
    ),
    Scenario(
        name="copies",
        why="Reinjections, redundant copies, remaps and retransmissions of the same octets in any "
        "mix. Each octet has a history, and every tool that draws sequence graphs has to show it.",
        behaviour=_weighted(Copy=60, Remap=25, Retransmit=15, Join=30),
        settings=None,
        limits=WANDERING,
    ),
    Scenario(
        name="endings",
        why="Connections that end soon after they began, in every way and order: DATA_FINs, fast "
        "closes, FINs and RSTs cross each other.",
        behaviour=Wanderer(
            profile=Profile(
                length=(8, 24), ends=((2, "close"), (1, "abort")), ending={**ENDING, "Reset": 12}
            )
        ),
        settings=None,
        limits=WANDERING,
    ),
    Scenario(
        name="any-interface",
        why="A capture on a pseudo-device for all interfaces (Linux cooked, version 2): packets "
        "appear once for each interface they cross, so duplicates are the tap's, not the "
        "network's. Who counts frames counts wrong.",
        behaviour=Script(write=_talk),
        layout=replace(PLAIN, link="sll2"),
        defects=("second_interface",),
    ),
    Scenario(
        name="headers-only",
        why="A snap length of 120 octets: every option is there, payload is not. DSS checksums "
        "cannot be verified, everything else can.",
        behaviour=Script(write=_talk),
        layout=replace(PLAIN, snap_length=120, file="pcap"),
    ),
    Scenario(
        name="options-cut",
        why="A snap length of 80 octets cuts some options in half. What is cut has to be reported "
        "as cut, not as malformed.",
        behaviour=Script(write=_talk),
        layout=replace(PLAIN, snap_length=80),
    ),
    Scenario(
        name="offload",
        why="The tap sees segments that offload merged: larger than any packet, with the option "
        "of their first piece. Mappings end in the middle of what looks like one segment.",
        behaviour=Script(write=_talk),
        defects=("merge",),
    ),
    Scenario(
        name="late-start",
        why="The capture begins when the connection is running. Keys are unknown for good, so "
        "tokens and relative DSNs cannot be told; a join that follows has no parent to be "
        "proved.",
        behaviour=Script(write=_talk),
        defects=("late_start",),
    ),
    Scenario(
        name="holes",
        why="Frames are missing from the capture though they reached the hosts. ACKs for what "
        "nobody saw are no protocol errors.",
        behaviour=Script(write=_talk),
        defects=("single_holes", "burst"),
    ),
    Scenario(
        name="both-hosts",
        why="Taps at both hosts into one file, as from a laboratory: each packet is there when it "
        "was sent and when it arrived, lost ones once.",
        behaviour=Script(write=_talk),
        vantage="both",
    ),
    Scenario(
        name="vxlan",
        why="The subflows run through a VXLAN tunnel behind a VLAN tag, as between two hosts of a "
        "cloud. Addresses and ports of the outside say nothing.",
        behaviour=Script(write=_talk),
        layout=Layout(vlans=(7,), tunnel="vxlan", timestamps=True),
        vantage="middle",
    ),
    Scenario(
        name="old-file",
        why="A big-endian pcap file with microseconds and BSD's loopback link type, no timestamps "
        "in the packets: the format as it was, which readers still have to take.",
        behaviour=Script(write=_talk),
        layout=Layout(file="pcap", link="null", nanoseconds=False, big_endian=True),
        vantage="middle",
    ),
)  # fmt: skip
"""What captures are like."""
