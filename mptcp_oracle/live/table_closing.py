"""Scenarios of the ways in which connections end."""

from __future__ import annotations

from mptcp_oracle.live.scenario import (
    Abort,
    Close,
    Connect,
    Drain,
    Eof,
    Expect,
    Finish,
    Pause,
    Plan,
    Scenario,
    Send,
    Settle,
    Subflows,
)
from mptcp_oracle.live.scripts import HELLO, JOINING, NO_OFFLOAD, ONE_LANE, seen_from

__all__ = ["CLOSINGS"]

FAST_CLOSE = Scenario(
    name="fast-close-by-client",
    why=(
        "The client aborts (SO_LINGER 0) with two subflows: every subflow ends by a reset "
        "that carries MP_FASTCLOSE."
    ),
    plan=NO_OFFLOAD,
    client=JOINING,
    script=(
        *HELLO,
        Subflows(2),
        Send("client"),
        Send("server", 0.1),
        Drain("client"),
        Drain("server"),
        Abort("client"),
        Eof("server"),
    ),
    octets=80_000,
    expects=(
        Expect(host="client", counter="MPFastcloseTx"),
        Expect(host="server", counter="MPFastcloseRx"),
    ),
    flags=("join", "fastclose", "reset-reason", "no-offload", "full-payload"),
    shipped=True,
)

CLOSINGS: tuple[Scenario, ...] = (
    Scenario(
        name="half-close",
        why=(
            "The client ends its direction by DATA_FIN and then still receives data for a "
            "while: one direction is closed, the other is not."
        ),
        plan=NO_OFFLOAD,
        client=JOINING,
        script=(
            *HELLO,
            Subflows(2),
            Send("client", 0.2),
            Finish("client"),
            Eof("server"),
            Send("server"),
            Drain("server"),
            Settle(0.05),
            Send("server", 0.1),
            Drain("server"),
            Finish("server"),
            Eof("client"),
        ),
        octets=40_000,
        expects=(Expect(host="server", counter="MPJoinAckRx"),),
        flags=("join", "half-close", "no-offload", "full-payload"),
    ),
    Scenario(
        name="server-closes-first",
        why="The listener sends a reply and closes at once; its DATA_FIN rides near the data.",
        plan=ONE_LANE,
        script=(
            *HELLO,
            Send("server"),
            Finish("server"),
            Eof("client"),
            Finish("client"),
            Eof("server"),
        ),
        octets=10_000,
        expects=(Expect(host="server", counter="MPCapableACKRX"),),
        flags=("half-close", "no-offload", "full-payload"),
    ),
    Scenario(
        name="close-without-data",
        why="A connection that is opened and closed: DATA_FIN is all that it ever carries.",
        plan=ONE_LANE,
        script=(Connect(), Close("client"), Eof("server"), Close("server")),
        octets=0,
        expects=(Expect(host="server", counter="MPCapableACKRX"),),
        flags=("no-offload", "full-payload"),
        shipped=True,
    ),
    FAST_CLOSE,
    Scenario(
        name="fast-close-unread",
        why=(
            "The server closes while data waits unread in its receive queue, which the kernel "
            "turns into an abort by MP_FASTCLOSE: the reader got less than was acknowledged."
        ),
        plan=NO_OFFLOAD,
        client=JOINING,
        script=(
            *HELLO,
            Subflows(2),
            Pause("server"),
            Send("client"),
            Settle(0.1),
            Close("server"),
            Eof("client"),
        ),
        octets=20_000,
        expects=(Expect(host="server", counter="MPFastcloseTx"),),
        streams="cut",
        flags=("join", "fastclose", "reset-reason", "no-offload", "full-payload"),
    ),
    Scenario(
        name="fast-close-mid-transfer",
        why="The server aborts in the middle of a transfer: data in flight is never read.",
        client=JOINING,
        script=(
            *HELLO,
            Subflows(2),
            Send("client"),
            Drain("client", 0.4),
            Abort("server"),
            Eof("client"),
        ),
        octets=150_000,
        expects=(Expect(host="server", counter="MPFastcloseTx"),),
        streams="cut",
        flags=("join", "fastclose", "reset-reason", "offload", "full-payload"),
    ),
    Scenario(
        name="client-closes-first",
        why="The initiator sends a request, ends its direction at once, and gets the reply then.",
        plan=ONE_LANE,
        script=(
            *HELLO,
            Send("client"),
            Finish("client"),
            Eof("server"),
            Send("server"),
            Finish("server"),
            Eof("client"),
        ),
        octets=10_000,
        expects=(Expect(host="server", counter="MPCapableACKRX"),),
        flags=("half-close", "no-offload", "full-payload"),
    ),
    Scenario(
        name="simultaneous-close",
        why=(
            "Both ends close behind queued data, so that their DATA_FINs cross: each is sent "
            "before the other one came, on two subflows."
        ),
        plan=Plan(offloads=False, rate_mbit=5),
        client=JOINING,
        script=(
            *HELLO,
            Subflows(2),
            Send("client"),
            Send("server"),
            Finish("client"),
            Finish("server"),
            Eof("client"),
            Eof("server"),
        ),
        octets=60_000,
        expects=(Expect(host="server", counter="MPJoinAckRx"),),
        flags=("join", "no-offload", "full-payload"),
    ),
    Scenario(
        name="close-behind-data",
        why="close() right behind a write: the DATA_FIN shares a mapping with the last octets.",
        plan=ONE_LANE,
        script=(*HELLO, Send("client"), Close("client"), Eof("server"), Close("server")),
        octets=4_000,
        expects=(Expect(host="server", counter="MPCapableACKRX"),),
        flags=("no-offload", "full-payload"),
    ),
    Scenario(
        name="server-closes-abruptly",
        why=(
            "The listener calls close() while the initiator still has data to come: what arrives "
            "later is answered by an abort."
        ),
        plan=ONE_LANE,
        script=(
            *HELLO,
            Close("server"),
            Eof("client"),
            Send("client"),
            Settle(0.3),
            Close("client"),
            Settle(0.2),
        ),
        octets=10_000,
        expects=(Expect(host="server", counter="MPCapableACKRX"),),
        streams="cut",
        flags=("fastclose", "reset-reason", "no-offload", "full-payload"),
    ),
    seen_from(
        FAST_CLOSE,
        "server",
        "The abort where it arrives: a RST with MP_FASTCLOSE on each subflow.",
    ),
)
