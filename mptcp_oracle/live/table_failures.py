"""Scenarios of paths and subflows that fail while the connection goes on."""

from __future__ import annotations

from mptcp_oracle.live.scenario import (
    Await,
    Close,
    Drain,
    Endpoint,
    Expect,
    Filter,
    Host,
    Kill,
    Link,
    Plan,
    Scenario,
    Send,
    Settle,
    Subflows,
    SwitchFilter,
)
from mptcp_oracle.live.scripts import (
    AFTERWARDS,
    BOTH_WAYS,
    DATA_FIN,
    HELLO,
    JOINED,
    JOINING,
    NO_OFFLOAD,
    STRIP,
    UPLOAD,
    joined,
    seen_from,
)
from mptcp_oracle.live.table_middlebox import MIDDLEBOXES
from mptcp_oracle.live.table_transfer import TRANSFERS

__all__ = ["FAILURES"]

OTHERS = {item.name: item for item in (*TRANSFERS, *MIDDLEBOXES)}

FAILURES: tuple[Scenario, ...] = (
    Scenario(
        name="joined-subflow-killed",
        why=(
            "The client's kernel is told to abort the joined subflow: a RST in the middle of a "
            "connection that goes on with the initial one."
        ),
        plan=NO_OFFLOAD,
        client=JOINING,
        script=joined(*UPLOAD, Kill("client", 2), Subflows(1), *AFTERWARDS),
        octets=75_000,
        expects=(JOINED,),
        flags=("join", "no-offload", "full-payload"),
    ),
    Scenario(
        name="initial-subflow-killed",
        why=(
            "The client's kernel is told to abort the initial subflow: the connection lives on "
            "with the joined one alone, and is closed there."
        ),
        plan=NO_OFFLOAD,
        client=JOINING,
        script=joined(*UPLOAD, Kill("client", 1), Subflows(1), *AFTERWARDS),
        octets=75_000,
        expects=(JOINED,),
        flags=("join", "no-offload", "full-payload"),
    ),
    Scenario(
        name="subflow-killed-mid-transfer",
        why=(
            "The server's kernel aborts the joined subflow while it carries data, which has to be "
            "sent again on the other."
        ),
        plan=Plan(offloads=False),
        client=JOINING,
        script=joined(
            Send("client"),
            Send("server", 0.2),
            Drain("client", 0.4),
            Kill("server", 2),
            Drain("client"),
            Drain("server"),
        ),
        octets=200_000,
        expects=(JOINED, Expect(host="server", counter="MPRstTx")),
        flags=("join", "reinjection", "reset-reason", "no-offload", "full-payload"),
    ),
    Scenario(
        name="initial-link-down",
        why=(
            "The client's first interface goes down in the middle of a transfer: the initial "
            "subflow falls silent, and its data is sent again on the joined one."
        ),
        plan=Plan(offloads=False),
        client=JOINING,
        script=joined(
            Send("client"),
            Send("server", 0.1),
            Drain("client", 0.4),
            Link(1, up=False),
            Drain("client"),
            Drain("server"),
            Link(1, up=True),
            Settle(0.5),
        ),
        octets=150_000,
        expects=(JOINED, Expect(host="client", counter="MPTCPRetrans")),
        flags=("join", "loss", "reinjection", "no-offload", "full-payload"),
    ),
    Scenario(
        name="all-paths-silent",
        why=(
            "Both paths lose everything for a while: nothing but retransmissions, then all goes "
            "on where it stopped."
        ),
        plan=Plan(offloads=False),
        client=JOINING,
        filters=(Filter(name="cut", rules=("drop",), active=False),),
        script=joined(
            Send("client"),
            Drain("client", 0.3),
            SwitchFilter("cut"),
            Settle(0.8),
            SwitchFilter("cut", on=False),
            Drain("client"),
            Send("server", 0.1),
            Drain("server"),
        ),
        octets=100_000,
        expects=(JOINED,),
        flags=("join", "loss", "no-offload", "full-payload"),
    ),
    Scenario(
        name="one-way-loss",
        why=(
            "What the server sends on the second path is lost, acknowledgements too: the client's "
            "data arrives there and nobody tells it so, except by DATA_ACKs on the other path."
        ),
        plan=Plan(offloads=False),
        client=JOINING,
        filters=(Filter(name="deaf", rules=('oifname "rc2" drop',), active=False),),
        script=joined(
            Send("client"),
            Drain("client", 0.3),
            SwitchFilter("deaf"),
            Drain("client"),
            SwitchFilter("deaf", on=False),
            *AFTERWARDS,
        ),
        octets=150_000,
        expects=(JOINED,),
        flags=("join", "loss", "no-offload", "full-payload"),
    ),
    Scenario(
        name="join-synack-stripped",
        why=(
            "MP_JOIN is removed from the SYN/ACK of a join: the client resets what looks like a "
            "plain connection, and the first subflow is not touched."
        ),
        plan=NO_OFFLOAD,
        client=JOINING,
        filters=(
            Filter(
                name="strip-join",
                rules=(f'oifname "rc2" tcp flags & (syn | ack) == (syn | ack) {STRIP}',),
            ),
        ),
        script=(*HELLO, Settle(0.3), *BOTH_WAYS, *DATA_FIN),
        octets=10_000,
        expects=(
            Expect(host="server", counter="MPJoinSynRx"),
            Expect(host="client", counter="MPJoinSynTx"),
        ),
        flags=("join-refused", "stripped-options", "reset-reason", "no-offload", "full-payload"),
    ),
    Scenario(
        name="join-third-packet-stripped",
        why=(
            "MP_JOIN is removed from the third packet of a join: the server cannot check the "
            "client's HMAC, and the subflow never comes to be."
        ),
        plan=NO_OFFLOAD,
        client=JOINING,
        filters=(
            Filter(
                name="strip-third",
                rules=(f'iifname "rc2" tcp flags & syn == 0 {STRIP}',),
            ),
        ),
        script=(*HELLO, Settle(0.3), *BOTH_WAYS, *DATA_FIN),
        octets=10_000,
        expects=(Expect(host="server", counter="MPJoinSynRx"),),
        flags=("join-refused", "stripped-options", "no-offload", "full-payload"),
    ),
    Scenario(
        name="join-synack-lost",
        why=(
            "The SYN/ACK of a join is lost once: SYN and SYN/ACK come again with the same nonces, "
            "and it is one join all the same."
        ),
        plan=NO_OFFLOAD,
        client=JOINING,
        filters=(
            Filter(
                name="lose-synack",
                rules=('oifname "rc2" tcp flags & (syn | ack) == (syn | ack) drop',),
            ),
        ),
        script=(
            *HELLO,
            Settle(0.4),
            SwitchFilter("lose-synack", on=False),
            Await("client", "SF_ESTABLISHED"),
            Subflows(2),
            *UPLOAD,
            *DATA_FIN,
        ),
        octets=75_000,
        expects=(JOINED,),
        flags=("join", "loss", "no-offload", "full-payload"),
    ),
    Scenario(
        name="join-without-route",
        why=(
            "The client joins from an address whose path is dead: SYNs with MP_JOIN that nobody "
            "answers, beside a connection that works."
        ),
        plan=NO_OFFLOAD,
        client=Host(endpoints=(Endpoint(lane=2, flags=("subflow",)),)),
        filters=(Filter(name="cut-lane-2", rules=('iifname "rc2" drop',)),),
        script=(*HELLO, *BOTH_WAYS, Settle(1.2), *DATA_FIN),
        octets=10_000,
        expects=(Expect(host="client", counter="MPJoinSynTx"),),
        flags=("loss", "no-offload", "full-payload"),
    ),
    Scenario(
        name="fallback-from-the-server",
        why=(
            "Options disappear only from what the server sends, in the middle of a connection: the "
            "client falls back first. How such a connection closes is not waited for: the server "
            "may not know, and repeat a DATA_FIN that never arrives."
        ),
        plan=Plan(lanes=1, offloads=False),
        filters=(Filter(name="strip", rules=(f'iifname "rs1" {STRIP}',), active=False),),
        script=(
            *HELLO,
            *BOTH_WAYS,
            SwitchFilter("strip"),
            *BOTH_WAYS,
            Close("client"),
            Settle(0.3),
            Close("server"),
        ),
        octets=8_000,
        expects=(Expect(host="client", counter="DssFallback"),),
        flags=("fallback", "stripped-options", "no-offload", "full-payload"),
    ),
    seen_from(
        OTHERS["path-cut"],
        "server",
        "The cut path where data is missed: what comes again, comes on the other subflow.",
        octets=300_000,
    ),
    seen_from(
        OTHERS["loss-reinjection"],
        "router",
        "Loss seen in the middle: frames before the loss and behind it, each twice or once.",
    ),
    seen_from(
        OTHERS["subflow-options-stripped"],
        "server",
        "The stripped subflow where it is noticed: data without a mapping, and the RST for it.",
    ),
    seen_from(
        OTHERS["checksum-failure-two-subflows"],
        "server",
        "The changed payload where the checksum fails, and MP_FAIL with MP_TCPRST in one RST.",
    ),
)
