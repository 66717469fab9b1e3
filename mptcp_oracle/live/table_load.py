"""Scenarios of much, little and slow traffic."""

from __future__ import annotations

from mptcp_oracle.live.scenario import (
    BeginCapture,
    Connect,
    Drain,
    Expect,
    Host,
    Pause,
    Plan,
    Resume,
    Scenario,
    Send,
    Settle,
    Step,
    Vantage,
)
from mptcp_oracle.live.scripts import (
    BOTH_WAYS,
    CHECKSUMS,
    DATA_FIN,
    HELLO,
    JOINED,
    JOINING,
    NO_OFFLOAD,
    ONE_LANE,
    TALK,
    UPLOAD,
    joined,
)

__all__ = ["LOADS"]

# A reader that looks away again and again.
LOOKS_AWAY: tuple[Step, ...] = (Pause("server"), Settle(0.25), Resume("server"), Settle(0.01))

LOADS: tuple[Scenario, ...] = (
    Scenario(
        name="bulk-both-ways",
        why=(
            "A larger transfer in both directions at once, over two paths: DATA_ACKs ride on data, "
            "and both hosts reorder."
        ),
        plan=Plan(offloads=False, rate_mbit=40),
        client=JOINING,
        script=joined(*BOTH_WAYS),
        octets=1_000_000,
        expects=(JOINED, Expect(host="client", counter="MPJoinSynTx")),
        flags=("join", "no-offload", "full-payload"),
    ),
    Scenario(
        name="tiny-writes",
        why=(
            "Hundreds of writes of seven octets, each sent at once: many short mappings, on two "
            "subflows."
        ),
        plan=NO_OFFLOAD,
        client=JOINING,
        script=joined(
            Send("client", 1.0, 7),
            Send("server", 1.0, 7),
            Drain("client"),
            Drain("server"),
        ),
        octets=3_500,
        expects=(JOINED,),
        flags=("join", "no-offload", "full-payload"),
    ),
    Scenario(
        name="tiny-writes-checksums",
        why="Writes of three octets under DSS checksums: odd lengths, and sums over few octets.",
        plan=ONE_LANE,
        client=Host(sysctls=CHECKSUMS),
        script=(*HELLO, Send("client", 1.0, 3), Drain("client"), *DATA_FIN),
        octets=600,
        expects=(Expect(host="server", counter="MPCapableACKRX"),),
        flags=("checksum", "no-offload", "full-payload"),
    ),
    Scenario(
        name="slow-reader",
        why=(
            "The server reads now and then, with a small receive buffer: windows close and open "
            "again, and the sender waits for updates."
        ),
        plan=NO_OFFLOAD,
        client=JOINING,
        server=Host(sysctls=(("net.ipv4.tcp_rmem", "4096 16384 32768"),)),
        script=joined(Send("client"), *(LOOKS_AWAY * 4), Drain("client")),
        octets=150_000,
        expects=(JOINED,),
        flags=("join", "no-offload", "full-payload"),
    ),
    Scenario(
        name="two-hundred-connections",
        why="Two hundred connections at the same time: keys, tokens and ports by the hundred.",
        plan=Plan(lanes=1, offloads=False, rate_mbit=100),
        script=TALK,
        octets=300,
        connections=200,
        interleaved=True,
        expects=(Expect(host="server", counter="MPCapableACKRX", least=200),),
        flags=("many-connections", "no-offload", "full-payload"),
    ),
    Scenario(
        name="late-capture",
        why=(
            "The capture begins in the middle of a connection with two subflows: no handshake, no "
            "keys, no initial sequence numbers; the second connection is there from its SYN on."
        ),
        plan=NO_OFFLOAD,
        client=JOINING,
        vantage=Vantage(late=True),
        script=joined(*UPLOAD, BeginCapture(), *UPLOAD),
        octets=75_000,
        connections=2,
        expects=(Expect(host="server", counter="MPJoinAckRx", least=2),),
        flags=("join", "many-connections", "no-offload", "full-payload"),
    ),
    Scenario(
        name="checksums-by-server",
        why=(
            "Only the server wants checksums: flag A is clear in the SYN and set in the SYN/ACK, "
            "and both directions have them."
        ),
        plan=NO_OFFLOAD,
        client=JOINING,
        server=Host(sysctls=CHECKSUMS),
        script=joined(*UPLOAD),
        octets=75_000,
        expects=(JOINED,),
        flags=("join", "checksum", "no-offload", "full-payload"),
    ),
    Scenario(
        name="ipv6-checksums",
        why="DSS checksums over IPv6, whose pseudo-header they do not have.",
        plan=Plan(families=(6,), offloads=False),
        client=Host(endpoints=JOINING.endpoints, sysctls=CHECKSUMS),
        script=joined(*UPLOAD),
        octets=75_000,
        expects=(JOINED,),
        flags=("join", "ipv6", "checksum", "no-offload", "full-payload"),
    ),
    Scenario(
        name="tcp-fast-open-joined",
        why=(
            "Data inside the SYN, and a joined subflow afterwards: the octets of the SYN lie "
            "outside the data sequence space, those of both subflows inside."
        ),
        plan=NO_OFFLOAD,
        client=Host(endpoints=JOINING.endpoints, sysctls=(("net.ipv4.tcp_fastopen", "3"),)),
        server=Host(sysctls=(("net.ipv4.tcp_fastopen", "3"),)),
        script=(Connect(fast_open=200), *BOTH_WAYS, Settle(0.2), *BOTH_WAYS, *DATA_FIN),
        octets=60_000,
        connections=2,
        expects=(Expect(host="server", counter="MPJoinAckRx", least=1),),
        flags=("tcp-fast-open", "join", "many-connections", "no-offload", "full-payload"),
    ),
)
