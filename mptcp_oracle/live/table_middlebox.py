"""Scenarios with a middlebox in the way: options stripped, payload changed, addresses rewritten."""

from __future__ import annotations

from mptcp_oracle.live.scenario import (
    Connect,
    Drain,
    Expect,
    Filter,
    Host,
    Plan,
    Scenario,
    Send,
    Settle,
    SwitchFilter,
    Vantage,
)
from mptcp_oracle.live.scripts import (
    AFTERWARDS,
    BOTH_WAYS,
    CHECKSUMS,
    DATA_FIN,
    HELLO,
    JOINING,
    NO_OFFLOAD,
    ONE_LANE,
    STRIP,
    TALK,
    UPLOAD,
    joined,
)

__all__ = ["MIDDLEBOXES"]

# The fourth long segment from the client gets four other octets; TCP's checksum is still to be
# filled in by the (virtual) hardware, so only the DSS checksum notices.
CORRUPT = "meta length > 1000 numgen inc mod 1000000 == 3 @ih,800,32 set 0x21212121"
CHECKING_CLIENT = Host(endpoints=JOINING.endpoints, sysctls=CHECKSUMS)
CHECKING = Host(sysctls=CHECKSUMS)

MIDDLEBOXES: tuple[Scenario, ...] = (
    Scenario(
        name="fallback-syn-stripped",
        why="MP_CAPABLE is removed from the SYN: the server answers plain TCP.",
        plan=ONE_LANE,
        filters=(
            Filter(
                name="strip-syn",
                rules=(f'iifname "rc1" tcp flags & (syn | ack) == syn {STRIP}',),
            ),
        ),
        script=TALK,
        octets=10_000,
        expects=(Expect(host="client", counter="MPCapableFallbackSYNACK"),),
        flags=("fallback", "stripped-options", "no-offload", "full-payload"),
        shipped=True,
    ),
    Scenario(
        name="fallback-syn-stripped-server-view",
        why="The same, seen where the SYN has no MPTCP option any more: nothing but plain TCP.",
        plan=ONE_LANE,
        filters=(
            Filter(
                name="strip-syn",
                rules=(f'iifname "rc1" tcp flags & (syn | ack) == syn {STRIP}',),
            ),
        ),
        vantage=Vantage(host="server"),
        script=TALK,
        octets=5_000,
        expects=(Expect(host="client", counter="MPCapableFallbackSYNACK"),),
        flags=("fallback", "stripped-options", "no-offload", "full-payload"),
    ),
    Scenario(
        name="fallback-synack-stripped",
        why=(
            "MP_CAPABLE is removed from the SYN/ACK: the client goes on as plain TCP, and the "
            "server, which had agreed, has to follow."
        ),
        plan=ONE_LANE,
        filters=(
            Filter(
                name="strip-synack",
                rules=(f'oifname "rc1" tcp flags & (syn | ack) == (syn | ack) {STRIP}',),
            ),
        ),
        script=TALK,
        octets=10_000,
        expects=(Expect(host="client", counter="MPCapableFallbackSYNACK"),),
        flags=("fallback", "stripped-options", "no-offload", "full-payload"),
        shipped=True,
    ),
    Scenario(
        name="fallback-synack-stripped-server-view",
        why="The same at the server, which sent MP_CAPABLE and gets a third ACK without it.",
        plan=ONE_LANE,
        filters=(
            Filter(
                name="strip-synack",
                rules=(f'oifname "rc1" tcp flags & (syn | ack) == (syn | ack) {STRIP}',),
            ),
        ),
        vantage=Vantage(host="server"),
        script=TALK,
        octets=5_000,
        expects=(Expect(host="server", counter="MPCapableFallbackACK"),),
        flags=("fallback", "stripped-options", "no-offload", "full-payload"),
    ),
    Scenario(
        name="fallback-third-ack-stripped",
        why=(
            "MP_CAPABLE is removed from the third ACK and from the first data: the server "
            "falls back, the client learns it from the server's first data."
        ),
        plan=ONE_LANE,
        filters=(
            Filter(
                name="strip-third",
                rules=(f'iifname "rc1" tcp flags & syn == 0 tcp option mptcp subtype 0 {STRIP}',),
            ),
        ),
        script=TALK,
        octets=10_000,
        expects=(Expect(host="server", counter="MPCapableFallbackACK"),),
        flags=("fallback", "stripped-options", "no-offload", "full-payload"),
    ),
    Scenario(
        name="fallback-mid-connection",
        why=(
            "Options disappear both ways in the middle of a connection with one subflow: both "
            "ends fall back without a word and the stream stays whole."
        ),
        plan=ONE_LANE,
        filters=(Filter(name="strip-all", rules=(STRIP,), active=False),),
        script=(
            *HELLO,
            *BOTH_WAYS,
            SwitchFilter("strip-all"),
            *BOTH_WAYS,
            *DATA_FIN,
        ),
        octets=10_000,
        expects=(Expect(host="server", counter="DssFallback"),),
        flags=("fallback", "stripped-options", "no-offload", "full-payload"),
        shipped=True,
    ),
    Scenario(
        name="fallback-mid-connection-router-view",
        why=(
            "The same seen in the middle, where each packet is seen with its options on one "
            "side and without them on the other."
        ),
        plan=ONE_LANE,
        filters=(Filter(name="strip-all", rules=(STRIP,), active=False),),
        vantage=Vantage(host="router"),
        script=(
            *HELLO,
            *BOTH_WAYS,
            SwitchFilter("strip-all"),
            *BOTH_WAYS,
            *DATA_FIN,
        ),
        octets=4_000,
        expects=(Expect(host="server", counter="DssFallback"),),
        flags=(
            "fallback",
            "stripped-options",
            "duplicate-frames",
            "no-offload",
            "full-payload",
        ),
        shipped=True,
    ),
    Scenario(
        name="subflow-options-stripped",
        why=(
            "Options disappear from what the client sends on one of two subflows: the server "
            "resets that subflow with MP_TCPRST and its data is sent again on the other."
        ),
        plan=NO_OFFLOAD,
        client=JOINING,
        filters=(
            Filter(
                name="strip-lane-2",
                rules=(f'iifname "rc2" {STRIP}',),
                active=False,
            ),
        ),
        script=joined(
            *AFTERWARDS,
            SwitchFilter("strip-lane-2"),
            *UPLOAD,
        ),
        octets=100_000,
        expects=(Expect(host="server", counter="MPRstTx"),),
        flags=("join", "stripped-options", "reset-reason", "no-offload", "full-payload"),
    ),
    Scenario(
        name="join-syn-stripped",
        why=(
            "MP_JOIN is removed from the join's SYN: the server takes it for a plain "
            "connection, the client resets it."
        ),
        plan=NO_OFFLOAD,
        client=JOINING,
        filters=(
            Filter(
                name="strip-join",
                rules=(f'iifname "rc2" tcp flags & (syn | ack) == syn {STRIP}',),
            ),
        ),
        script=(*HELLO, Settle(0.3), *BOTH_WAYS, *DATA_FIN),
        octets=10_000,
        expects=(Expect(host="client", counter="MPJoinSynTx"),),
        flags=(
            "join-refused",
            "stripped-options",
            "reset-reason",
            "no-offload",
            "full-payload",
        ),
    ),
    Scenario(
        name="syn-black-hole",
        why=(
            "A middlebox swallows every SYN with MP_CAPABLE: two retransmissions with the "
            "option, then a plain SYN that gets through."
        ),
        plan=ONE_LANE,
        filters=(
            Filter(
                name="swallow",
                rules=(
                    'iifname "rc1" tcp flags & (syn | ack) == syn tcp option mptcp exists drop',
                ),
            ),
        ),
        script=TALK,
        octets=5_000,
        expects=(Expect(host="client", counter="MPCapableSYNTXDrop"),),
        flags=("fallback", "loss", "no-offload", "full-payload"),
    ),
    Scenario(
        name="checksum-failure-one-subflow",
        why=(
            "Payload is changed on the only subflow while checksums are on: MP_FAIL, an "
            "infinite mapping, then plain TCP; the changed octets are delivered."
        ),
        plan=ONE_LANE,
        client=CHECKING,
        server=CHECKING,
        filters=(Filter(name="corrupt", rules=(f'iifname "rc1" {CORRUPT}',)),),
        script=(
            *HELLO,
            *BOTH_WAYS,
            Settle(0.05),
            Send("client", 0.05),
            Drain("client"),
            *BOTH_WAYS,
            *DATA_FIN,
        ),
        octets=20_000,
        expects=(
            Expect(host="server", counter="MPFailTx"),
            Expect(host="client", counter="InfiniteMapTx"),
        ),
        streams="changed",
        flags=("checksum", "checksum-failure", "fallback", "no-offload", "full-payload"),
        shipped=True,
    ),
    Scenario(
        name="checksum-failure-server-view",
        why="The same at the server, where the capture has the changed octets.",
        plan=ONE_LANE,
        client=CHECKING,
        server=CHECKING,
        filters=(Filter(name="corrupt", rules=(f'iifname "rc1" {CORRUPT}',)),),
        vantage=Vantage(host="server"),
        script=(
            *HELLO,
            *BOTH_WAYS,
            Settle(0.05),
            Send("client", 0.05),
            Drain("client"),
            *BOTH_WAYS,
            *DATA_FIN,
        ),
        octets=20_000,
        expects=(Expect(host="server", counter="MPFailTx"),),
        streams="changed",
        flags=("checksum", "checksum-failure", "fallback", "no-offload", "full-payload"),
    ),
    Scenario(
        name="infinite-mapping-oversized",
        why=(
            "As above, but the first write after the failure is long: Linux puts the infinite "
            "mapping on full-size segments that then exceed the MTU, and quotes its own TCP "
            "headers in ICMP errors, for ever. Quoted headers are no traffic; the capture ends "
            "with a stuck connection."
        ),
        plan=ONE_LANE,
        client=CHECKING,
        server=CHECKING,
        filters=(Filter(name="corrupt", rules=(f'iifname "rc1" {CORRUPT}',)),),
        script=(*HELLO, *BOTH_WAYS, Settle(0.05), Send("client"), Settle(1.0)),
        octets=20_000,
        expects=(
            Expect(host="server", counter="MPFailTx"),
            Expect(host="client", counter="InfiniteMapTx"),
        ),
        streams="changed",
        flags=("checksum", "checksum-failure", "fallback", "no-offload", "full-payload"),
    ),
    Scenario(
        name="checksum-failure-two-subflows",
        why=(
            "Payload is changed on one of two subflows: it is reset with MP_FAIL and "
            "MP_TCPRST, its data is sent again on the other, and the stream stays whole."
        ),
        plan=NO_OFFLOAD,
        client=CHECKING_CLIENT,
        server=CHECKING,
        filters=(Filter(name="corrupt", rules=(f'iifname "rc2" {CORRUPT}',)),),
        script=joined(*UPLOAD),
        octets=120_000,
        expects=(
            Expect(host="server", counter="MPFailTx"),
            Expect(host="server", counter="MPRstTx"),
        ),
        flags=(
            "join",
            "checksum",
            "checksum-failure",
            "reinjection",
            "reset-reason",
            "no-offload",
            "full-payload",
        ),
    ),
    Scenario(
        name="address-translation",
        why=(
            "The router rewrites the client's addresses and ports: at the server the visible "
            "sources are not those that the client knows, and joins still belong."
        ),
        plan=NO_OFFLOAD,
        client=JOINING,
        filters=(
            Filter(
                name="masquerade",
                chain="type nat hook postrouting priority 100",
                rules=('oifname { "rs1", "rs2" } masquerade random',),
            ),
        ),
        vantage=Vantage(host="router"),
        script=joined(*UPLOAD),
        octets=80_000,
        expects=(Expect(host="server", counter="MPJoinAckRx"),),
        flags=("join", "duplicate-frames", "no-offload", "full-payload"),
    ),
    Scenario(
        name="server-never-acknowledges-close",
        why=(
            "The path dies before the connection is closed: DATA_FIN is repeated and never "
            "acknowledged, and the capture ends in the middle."
        ),
        plan=Plan(lanes=1, offloads=False),
        filters=(Filter(name="cut", rules=("drop",), active=False),),
        script=(
            Connect(),
            Send("client"),
            Drain("client"),
            Send("server"),
            Drain("server"),
            SwitchFilter("cut"),
            Send("client", 0.2),
            Settle(1.5),
        ),
        octets=8_000,
        expects=(Expect(host="server", counter="MPCapableACKRX"),),
        streams="cut",
        flags=("loss", "no-offload", "full-payload"),
    ),
)
