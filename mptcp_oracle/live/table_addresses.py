"""Scenarios of endpoints that come, go and come back, and of announcements that are lost."""

from __future__ import annotations

from mptcp_oracle.live.scenario import (
    AddEndpoint,
    Await,
    Drain,
    Endpoint,
    Expect,
    Filter,
    FlushEndpoints,
    Host,
    Plan,
    RemoveEndpoint,
    Scenario,
    Send,
    SetBackup,
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
    NO_OFFLOAD,
    UPLOAD,
    joined,
    seen_from,
)
from mptcp_oracle.live.table_paths import PATHS

__all__ = ["ADDRESSES"]

ANNOUNCING = Host(endpoints=(Endpoint(lane=2, flags=("signal",)),))
TWICE = Expect(host="server", counter="MPJoinAckRx", least=2)
ADDING = {item.name: item for item in PATHS}

ADDRESSES: tuple[Scenario, ...] = (
    Scenario(
        name="two-announced-addresses",
        why=(
            "The server announces two addresses, one after the other is echoed, and the client "
            "joins both."
        ),
        plan=Plan(lanes=3, offloads=False),
        client=Host(add_addr_accepted=2),
        server=Host(
            endpoints=(Endpoint(lane=2, flags=("signal",)), Endpoint(lane=3, flags=("signal",)))
        ),
        script=joined(*UPLOAD, subflows=3),
        octets=100_000,
        expects=(TWICE, Expect(host="client", counter="AddAddr", least=2)),
        flags=("join", "add-address", "no-offload", "full-payload"),
    ),
    Scenario(
        name="announcement-lost",
        why=(
            "The first ADD_ADDR is lost on its way and sent again after the time-out, which is a "
            "second here: the same announcement twice, echoed once."
        ),
        plan=NO_OFFLOAD,
        client=Host(add_addr_accepted=1),
        server=ANNOUNCING,
        filters=(
            Filter(
                name="lose-announcements",
                rules=('iifname "rs*" tcp option mptcp subtype 3 drop',),
            ),
        ),
        script=(
            *HELLO,
            Settle(0.3),
            SwitchFilter("lose-announcements", on=False),
            Await("client", "ANNOUNCED"),
            Subflows(2),
            *UPLOAD,
            *DATA_FIN,
        ),
        octets=70_000,
        expects=(JOINED, Expect(host="server", counter="AddAddrTx", least=2)),
        flags=("join", "add-address", "loss", "no-offload", "full-payload"),
    ),
    Scenario(
        name="echo-lost",
        why=(
            "The echo of an ADD_ADDR is lost, so the announcement comes again though the client "
            "has joined already: a repetition, not a second address."
        ),
        plan=NO_OFFLOAD,
        client=Host(add_addr_accepted=1),
        server=ANNOUNCING,
        filters=(
            Filter(
                name="lose-echoes",
                rules=('iifname "rc*" tcp option mptcp subtype 3 drop',),
            ),
        ),
        script=(
            *HELLO,
            Subflows(2),
            Settle(0.3),
            SwitchFilter("lose-echoes", on=False),
            Settle(1.5),
            *UPLOAD,
            *DATA_FIN,
        ),
        octets=70_000,
        expects=(JOINED, Expect(host="client", counter="AddAddr", least=2)),
        flags=("join", "add-address", "loss", "no-offload", "full-payload"),
    ),
    Scenario(
        name="announcement-stripped",
        why=(
            "A middlebox removes ADD_ADDR from the segments that carry it and passes them on: "
            "announcements that nobody ever hears, and no joins."
        ),
        plan=NO_OFFLOAD,
        client=Host(add_addr_accepted=1),
        filters=(
            Filter(
                name="strip-announcements",
                rules=('iifname "rs*" tcp option mptcp subtype 3 reset tcp option mptcp',),
            ),
        ),
        script=(
            *HELLO,
            *BOTH_WAYS,
            AddEndpoint("server", Endpoint(lane=2, flags=("signal",))),
            Settle(1.3),
            *BOTH_WAYS,
            *DATA_FIN,
        ),
        octets=10_000,
        expects=(Expect(host="server", counter="AddAddrTx", least=2),),
        flags=("add-address", "stripped-options", "no-offload", "full-payload"),
    ),
    Scenario(
        name="endpoint-returns",
        why=(
            "The client deletes the endpoint of its joined subflow and adds it again: REMOVE_ADDR, "
            "and later a new join from the same address with the same Address ID."
        ),
        plan=NO_OFFLOAD,
        client=Host(endpoints=(Endpoint(lane=2, flags=("subflow",), address_id=7),)),
        script=joined(
            *AFTERWARDS,
            RemoveEndpoint("client", 7),
            Subflows(1),
            *AFTERWARDS,
            AddEndpoint("client", Endpoint(lane=2, flags=("subflow",), address_id=7)),
            Subflows(2),
            *UPLOAD,
        ),
        octets=75_000,
        expects=(TWICE, Expect(host="server", counter="RmAddr")),
        flags=("join", "remove-address", "no-offload", "full-payload"),
    ),
    Scenario(
        name="announcement-returns",
        why=(
            "The server withdraws an announced address and announces it again: ADD_ADDR, "
            "REMOVE_ADDR and ADD_ADDR of one Address ID, with a join after each announcement."
        ),
        plan=NO_OFFLOAD,
        client=Host(add_addr_accepted=2),
        server=Host(endpoints=(Endpoint(lane=2, flags=("signal",), address_id=9),)),
        script=joined(
            *AFTERWARDS,
            RemoveEndpoint("server", 9),
            Subflows(1),
            *AFTERWARDS,
            AddEndpoint("server", Endpoint(lane=2, flags=("signal",), address_id=9)),
            Subflows(2),
            *UPLOAD,
        ),
        octets=75_000,
        expects=(
            TWICE,
            Expect(host="client", counter="AddAddr", least=2),
            Expect(host="client", counter="RmAddr"),
        ),
        flags=("join", "add-address", "remove-address", "no-offload", "full-payload"),
    ),
    Scenario(
        name="endpoints-flushed",
        why=(
            "The client flushes all its endpoints at once: both joined subflows are closed, with "
            "FINs alone, because nothing was announced that could be withdrawn."
        ),
        plan=Plan(lanes=3, offloads=False),
        client=Host(
            endpoints=(Endpoint(lane=2, flags=("subflow",)), Endpoint(lane=3, flags=("subflow",)))
        ),
        script=joined(*UPLOAD, FlushEndpoints("client"), Subflows(1), *AFTERWARDS, subflows=3),
        octets=75_000,
        expects=(TWICE, Expect(host="client", counter="RmSubflow", least=2)),
        flags=("join", "no-offload", "full-payload"),
    ),
    Scenario(
        name="announcements-flushed",
        why=(
            "The server flushes two announced addresses at once: one REMOVE_ADDR lists two Address "
            "IDs, and both joined subflows are closed."
        ),
        plan=Plan(lanes=3, offloads=False),
        client=Host(add_addr_accepted=2),
        server=Host(
            endpoints=(Endpoint(lane=2, flags=("signal",)), Endpoint(lane=3, flags=("signal",)))
        ),
        script=joined(*UPLOAD, FlushEndpoints("server"), Subflows(1), *AFTERWARDS, subflows=3),
        octets=75_000,
        expects=(TWICE, Expect(host="client", counter="RmAddr", least=2)),
        flags=("join", "add-address", "remove-address", "no-offload", "full-payload"),
    ),
    Scenario(
        name="eight-subflows",
        why=(
            "The most that Linux allows: one initial and seven joined subflows, all with data in "
            "both directions."
        ),
        plan=Plan(lanes=8, offloads=False, rate_mbit=5),
        client=Host(
            endpoints=tuple(Endpoint(lane=lane, flags=("subflow",)) for lane in range(2, 9)),
            subflows=8,
        ),
        server=Host(subflows=8),
        script=joined(*BOTH_WAYS, subflows=8),
        octets=500_000,
        expects=(Expect(host="server", counter="MPJoinAckRx", least=7),),
        flags=("join", "no-offload", "full-payload"),
    ),
    Scenario(
        name="join-to-initial-address-forbidden",
        why=(
            "The server sets flag C (no joins to its initial address) and announces another one: "
            "the client, which has an endpoint, joins to the announced address alone."
        ),
        plan=NO_OFFLOAD,
        client=Host(endpoints=(Endpoint(lane=2, flags=("subflow",)),), add_addr_accepted=1),
        server=Host(
            endpoints=(Endpoint(lane=2, flags=("signal",)),),
            sysctls=(("net.mptcp.allow_join_initial_addr_port", "0"),),
        ),
        script=(*HELLO, Subflows(2), *UPLOAD, *DATA_FIN),
        octets=75_000,
        expects=(JOINED, Expect(host="client", counter="AddAddr")),
        flags=("join", "add-address", "no-offload", "full-payload"),
    ),
    Scenario(
        name="backup-takes-over",
        why=(
            "The joined subflow is backup until the initial one loses everything in the middle of "
            "a transfer: then the backup carries the data, and what was under way is sent again."
        ),
        plan=Plan(offloads=False),
        client=Host(endpoints=(Endpoint(lane=2, flags=("subflow", "backup")),)),
        filters=(
            Filter(
                name="cut-lane-1",
                rules=('iifname "rc1" drop', 'oifname "rc1" drop'),
                active=False,
            ),
        ),
        script=joined(
            Send("client"),
            Drain("client", 0.3),
            SwitchFilter("cut-lane-1"),
            Drain("client"),
            SwitchFilter("cut-lane-1", on=False),
            Send("server", 0.1),
            Drain("server"),
        ),
        octets=100_000,
        expects=(JOINED, Expect(host="server", counter="MPJoinSynBackupRx")),
        flags=("join", "backup", "loss", "reinjection", "no-offload", "full-payload"),
    ),
    Scenario(
        name="priority-change-by-server",
        why=(
            "The server makes the subflow to its announced address backup, and regular again: "
            "MP_PRIO from the listener, both times with data around it."
        ),
        plan=NO_OFFLOAD,
        client=Host(add_addr_accepted=1),
        server=Host(endpoints=(Endpoint(lane=2, flags=("signal",), address_id=9),)),
        script=joined(
            *UPLOAD,
            SetBackup("server", 9, backup=True),
            Settle(0.05),
            *AFTERWARDS,
            SetBackup("server", 9, backup=False),
            Settle(0.05),
            *AFTERWARDS,
        ),
        octets=90_000,
        expects=(JOINED, Expect(host="server", counter="MPPrioTx", least=2)),
        flags=("join", "backup", "add-address", "no-offload", "full-payload"),
    ),
    seen_from(
        ADDING["add-address"],
        "server",
        "The announcement where it is made: what the server sent, and the echo as it came.",
    ),
    seen_from(
        ADDING["priority-change"],
        "server",
        "MP_PRIO where it takes effect: the server stops using the subflow after it came.",
    ),
    seen_from(
        ADDING["remove-address"],
        "server",
        "REMOVE_ADDR where it arrives, and what the server still sends on the subflow.",
    ),
)
