"""Scenarios of ordinary and of troubled transfers."""

from __future__ import annotations

from mptcp_oracle.live.scenario import (
    Connect,
    Drain,
    Endpoint,
    Expect,
    Filter,
    Host,
    Link,
    Pause,
    Plan,
    Resume,
    Scenario,
    Send,
    Settle,
    SwitchFilter,
)
from mptcp_oracle.live.scripts import (
    BOTH_WAYS,
    CHECKSUMS,
    DATA_FIN,
    JOINED,
    JOINING,
    NO_OFFLOAD,
    ONE_LANE,
    TALK,
    UPLOAD,
    joined,
)

__all__ = ["TRANSFERS"]


TRANSFERS: tuple[Scenario, ...] = (
    Scenario(
        name="bulk-two-paths",
        why=(
            "The everyday case: one connection, one joined subflow, bulk data both ways at "
            "once, closed by DATA_FIN. Captured at the client on all interfaces with offloads "
            "on, so captured segments are far longer than any frame on a wire."
        ),
        client=JOINING,
        script=joined(*BOTH_WAYS),
        octets=100_000,
        expects=(JOINED,),
        flags=("join", "offload", "full-payload"),
        shipped=True,
    ),
    Scenario(
        name="bulk-two-paths-no-offload",
        why=(
            "The same with segmentation and receive offloads off everywhere: segments as a "
            "wire carries them, each repeating the mapping that it is a part of."
        ),
        plan=NO_OFFLOAD,
        client=JOINING,
        script=joined(*BOTH_WAYS),
        octets=80_000,
        expects=(JOINED,),
        flags=("join", "no-offload", "full-payload"),
        shipped=True,
    ),
    Scenario(
        name="ipv6-two-paths",
        why="Both subflows over IPv6: 16-octet addresses, a longer header, the same protocol.",
        plan=Plan(families=(6,)),
        client=JOINING,
        script=joined(*UPLOAD),
        octets=90_000,
        expects=(JOINED,),
        flags=("join", "ipv6", "offload", "full-payload"),
        shipped=True,
    ),
    Scenario(
        name="mixed-families",
        why=(
            "The initial subflow runs over IPv6 and the joined one over IPv4, after the server "
            "announced an IPv4 address: one connection whose subflows share no address family."
        ),
        plan=Plan(families=(6, 4), offloads=False),
        client=Host(add_addr_accepted=1),
        server=Host(endpoints=(Endpoint(lane=2, family=4, flags=("signal",)),)),
        script=joined(*UPLOAD),
        octets=90_000,
        expects=(JOINED, Expect(host="client", counter="AddAddr")),
        flags=("join", "ipv6", "add-address", "no-offload", "full-payload"),
    ),
    Scenario(
        name="checksums-two-paths",
        why=(
            "DSS checksums in use on both subflows and in both directions: every mapping can "
            "be verified against the payload."
        ),
        plan=NO_OFFLOAD,
        client=Host(endpoints=JOINING.endpoints, sysctls=CHECKSUMS),
        server=Host(sysctls=CHECKSUMS),
        script=joined(*UPLOAD),
        octets=90_000,
        expects=(JOINED,),
        flags=("join", "checksum", "no-offload", "full-payload"),
    ),
    Scenario(
        name="checksums-offload",
        why=(
            "DSS checksums with offloads on: a mapping's octets are spread over segments that "
            "a host-side capture shows merged, so the checksum is of the mapping, not of one "
            "captured segment."
        ),
        client=Host(endpoints=JOINING.endpoints, sysctls=CHECKSUMS),
        script=joined(*UPLOAD),
        octets=90_000,
        expects=(JOINED,),
        flags=("join", "checksum", "offload", "full-payload"),
    ),
    Scenario(
        name="no-timestamps",
        why="Without TCP timestamps the options have 12 octets more room.",
        plan=NO_OFFLOAD,
        client=Host(endpoints=JOINING.endpoints, sysctls=(("net.ipv4.tcp_timestamps", "0"),)),
        script=joined(*UPLOAD),
        octets=80_000,
        expects=(JOINED,),
        flags=("join", "no-offload", "full-payload"),
    ),
    Scenario(
        name="three-subflows",
        why=(
            "One initial and two joined subflows carry data at the same time, so neighbouring "
            "data sequence numbers are on three paths."
        ),
        plan=Plan(lanes=3, offloads=False),
        client=Host(
            endpoints=(
                Endpoint(lane=2, flags=("subflow",)),
                Endpoint(lane=3, flags=("subflow",)),
            )
        ),
        script=joined(*BOTH_WAYS, subflows=3),
        octets=100_000,
        expects=(Expect(host="server", counter="MPJoinAckRx", least=2),),
        flags=("join", "no-offload", "full-payload"),
    ),
    Scenario(
        name="server-speaks-first",
        why=(
            "The listener sends before the initiator has sent anything: its first data is a "
            "DSS that crosses the handshake, and the initiator's first data then needs no "
            "MP_CAPABLE."
        ),
        plan=ONE_LANE,
        script=(
            Connect(),
            Send("server", 0.5),
            Drain("server"),
            Send("client"),
            Drain("client"),
            *DATA_FIN,
        ),
        octets=20_000,
        expects=(Expect(host="server", counter="MPCapableACKRX"),),
        flags=("no-offload", "full-payload"),
    ),
    Scenario(
        name="loss-reinjection",
        why=(
            "Random loss on both paths: TCP retransmissions, selective acknowledgements, data "
            "reordered at the connection level, and data of one subflow sent again on the "
            "other."
        ),
        plan=Plan(offloads=False),
        client=JOINING,
        filters=(
            Filter(
                name="loss",
                rules=(
                    'iifname "rc1" numgen random mod 100 < 25 drop',
                    'iifname "rc2" numgen random mod 100 < 10 drop',
                ),
                active=False,
            ),
        ),
        script=joined(SwitchFilter("loss"), *BOTH_WAYS, SwitchFilter("loss", on=False)),
        octets=80_000,
        expects=(JOINED, Expect(host="client", counter="MPTCPRetrans")),
        flags=("join", "loss", "reinjection", "no-offload", "full-payload"),
        shipped=True,
    ),
    Scenario(
        name="path-cut",
        why=(
            "One path loses everything in the middle of a transfer. What was in flight there "
            "is reinjected on the other path, and the stream arrives whole."
        ),
        plan=Plan(offloads=False),
        client=JOINING,
        filters=(
            Filter(
                name="cut-lane-2",
                rules=('iifname "rc2" drop', 'oifname "rc2" drop'),
                active=False,
            ),
        ),
        script=joined(
            Send("client"),
            Send("server", 0.2),
            Drain("client", 0.3),
            SwitchFilter("cut-lane-2"),
            Drain("client"),
            Drain("server"),
        ),
        octets=150_000,
        expects=(JOINED, Expect(host="client", counter="MPTCPRetrans")),
        flags=("join", "loss", "reinjection", "no-offload", "full-payload"),
    ),
    Scenario(
        name="link-flap",
        why=(
            "The client's second interface goes down in the middle of a transfer and comes "
            "back: data is reinjected on the first path, and the subflow goes on later."
        ),
        plan=Plan(),
        client=JOINING,
        script=joined(
            Send("client"),
            Send("server", 0.2),
            Drain("client", 0.4),
            Link(2, up=False),
            Drain("client"),
            Drain("server"),
            Link(2, up=True),
            Settle(0.5),
        ),
        octets=400_000,
        expects=(JOINED, Expect(host="client", counter="MPTCPRetrans")),
        flags=("join", "loss", "reinjection", "offload", "full-payload"),
    ),
    Scenario(
        name="zero-window",
        why=(
            "The server stops reading until its window is closed, then reads on: zero-window "
            "probes map an octet at a data sequence number that was used before."
        ),
        plan=ONE_LANE,
        server=Host(sysctls=(("net.ipv4.tcp_rmem", "4096 16384 32768"),)),
        script=(
            Connect(),
            Pause("server"),
            Send("client"),
            Settle(1.5),
            Resume("server"),
            Drain("client"),
            *DATA_FIN,
        ),
        octets=120_000,
        expects=(Expect(host="client", counter="WinProbe"),),
        flags=("zero-window", "no-offload", "full-payload"),
    ),
    Scenario(
        name="short-connections",
        why=(
            "Many short connections one after another, each with its own keys and a few "
            "hundred octets each way: bookkeeping must not confuse them."
        ),
        plan=ONE_LANE,
        script=TALK,
        octets=400,
        connections=30,
        expects=(Expect(host="server", counter="MPCapableACKRX", least=30),),
        flags=("many-connections", "no-offload", "full-payload"),
    ),
    Scenario(
        name="concurrent-connections",
        why=(
            "Two connections between the same addresses at the same time, each with a joined "
            "subflow: only the tokens tell which subflow belongs to which connection."
        ),
        plan=NO_OFFLOAD,
        client=JOINING,
        script=joined(*UPLOAD),
        octets=75_000,
        connections=2,
        interleaved=True,
        expects=(Expect(host="server", counter="MPJoinAckRx", least=2),),
        flags=("join", "many-connections", "no-offload", "full-payload"),
    ),
    Scenario(
        name="tcp-fast-open",
        why=(
            "The first connection asks for a TCP Fast Open cookie, the others send data inside "
            "the SYN: those octets lie outside the data sequence space."
        ),
        plan=ONE_LANE,
        client=Host(sysctls=(("net.ipv4.tcp_fastopen", "3"),)),
        server=Host(sysctls=(("net.ipv4.tcp_fastopen", "3"),)),
        script=(Connect(fast_open=300), *BOTH_WAYS, *DATA_FIN),
        octets=5_000,
        connections=3,
        expects=(Expect(host="server", counter="MPCapableACKRX", least=3),),
        flags=("tcp-fast-open", "many-connections", "no-offload", "full-payload"),
    ),
    Scenario(
        name="tuple-reuse",
        why=(
            "The same four addresses and ports serve three connections with new keys, one "
            "after another: a 4-tuple is not the identity of a connection."
        ),
        plan=ONE_LANE,
        client=Host(sysctls=(("net.ipv4.tcp_max_tw_buckets", "0"),)),
        server=Host(sysctls=(("net.ipv4.tcp_max_tw_buckets", "0"),)),
        script=(Connect(source_port=40_001), *TALK[1:], Settle(0.05)),
        octets=3_000,
        connections=3,
        expects=(Expect(host="server", counter="MPCapableACKRX", least=3),),
        flags=("tuple-reuse", "many-connections", "no-offload", "full-payload"),
        shipped=True,
    ),
)
