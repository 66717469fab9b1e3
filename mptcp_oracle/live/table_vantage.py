"""Scenarios that differ in where and how the capture is made."""

from __future__ import annotations

from mptcp_oracle.live.scenario import Plan, Scenario, Vantage
from mptcp_oracle.live.scripts import JOINED, JOINING, NO_OFFLOAD, UPLOAD, joined

__all__ = ["VANTAGES"]


VANTAGES: tuple[Scenario, ...] = (
    Scenario(
        name="router-any",
        why=(
            "Captured in the middle on all interfaces: every packet is there twice, on its way "
            "in and on its way out, and no copy is a retransmission."
        ),
        plan=NO_OFFLOAD,
        client=JOINING,
        vantage=Vantage(host="router"),
        script=joined(*UPLOAD),
        octets=90_000,
        expects=(JOINED,),
        flags=("join", "duplicate-frames", "no-offload", "full-payload"),
    ),
    Scenario(
        name="router-any-offload",
        why=(
            "In the middle with offloads on: the two copies of a packet may be cut "
            "differently, because the rate limiter segments what came in whole."
        ),
        client=JOINING,
        vantage=Vantage(host="router"),
        script=joined(*UPLOAD),
        octets=90_000,
        expects=(JOINED,),
        flags=("join", "duplicate-frames", "offload", "full-payload"),
    ),
    Scenario(
        name="server-any",
        why=(
            "Captured at the server: what the client sent is cut by the path and merged again "
            "by receive offload, so mappings and segments meet in other places."
        ),
        client=JOINING,
        vantage=Vantage(host="server"),
        script=joined(*UPLOAD),
        octets=100_000,
        expects=(JOINED,),
        flags=("join", "offload", "full-payload"),
    ),
    Scenario(
        name="server-ethernet",
        why=(
            "Both paths end on one Ethernet interface of the server: link type Ethernet, no "
            "direction in the frames, all subflows in one capture."
        ),
        plan=Plan(offloads=False, shared_server_link=True),
        client=JOINING,
        vantage=Vantage(host="server", interface="s1"),
        script=joined(*UPLOAD),
        octets=90_000,
        expects=(JOINED,),
        flags=("join", "no-offload", "full-payload"),
        shipped=True,
    ),
    Scenario(
        name="joined-path-only",
        why=(
            "Only the second path is captured: a joined subflow whose connection, keys and "
            "initial subflow are nowhere in the file."
        ),
        plan=NO_OFFLOAD,
        client=JOINING,
        vantage=Vantage(interface="c2"),
        script=joined(*UPLOAD),
        octets=140_000,
        expects=(JOINED,),
        flags=("join", "no-offload", "full-payload"),
    ),
    Scenario(
        name="initial-path-only",
        why=(
            "Only the first path is captured: data sequence numbers have holes which the other "
            "path filled."
        ),
        plan=NO_OFFLOAD,
        client=JOINING,
        vantage=Vantage(interface="c1"),
        script=joined(*UPLOAD),
        octets=140_000,
        expects=(JOINED,),
        flags=("join", "no-offload", "full-payload"),
    ),
    Scenario(
        name="cooked-v1",
        why="Linux cooked capture in its first version, kept as the capture program's pcap.",
        plan=NO_OFFLOAD,
        client=JOINING,
        vantage=Vantage(link="LINUX_SLL"),
        script=joined(*UPLOAD),
        octets=80_000,
        keep_pcap=True,
        expects=(JOINED,),
        flags=("join", "no-offload", "full-payload"),
    ),
    Scenario(
        name="headers-only",
        why=(
            "The usual snap length for long captures: headers and options are whole, payload "
            "is cut, so nothing that needs payload can be said."
        ),
        plan=NO_OFFLOAD,
        client=JOINING,
        vantage=Vantage(snaplen=120),
        script=joined(*UPLOAD),
        octets=300_000,
        keep_pcap=True,
        expects=(JOINED,),
        flags=("join", "no-offload", "truncated-frames"),
        shipped=True,
    ),
    Scenario(
        name="options-cut",
        why="A snap length that cuts inside the TCP options of most frames.",
        plan=NO_OFFLOAD,
        client=JOINING,
        vantage=Vantage(snaplen=80),
        script=joined(*UPLOAD),
        octets=90_000,
        expects=(JOINED,),
        flags=("join", "no-offload", "truncated-frames"),
    ),
)
