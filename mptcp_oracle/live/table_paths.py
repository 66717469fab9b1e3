"""Scenarios of path management: addresses, priorities, joins that are not wanted."""

from __future__ import annotations

from mptcp_oracle.live.scenario import (
    AddEndpoint,
    Await,
    Connect,
    Drain,
    Endpoint,
    Expect,
    Host,
    Plan,
    RemoveEndpoint,
    Scenario,
    Send,
    SetBackup,
    Settle,
    Subflows,
)
from mptcp_oracle.live.scripts import (
    AFTERWARDS,
    BOTH_WAYS,
    DATA_FIN,
    HELLO,
    JOINED,
    JOINING,
    NO_OFFLOAD,
    UPLOAD,
    joined,
)

__all__ = ["PATHS"]

ANNOUNCING = Host(endpoints=(Endpoint(lane=2, flags=("signal",)),))

PATHS: tuple[Scenario, ...] = (
    Scenario(
        name="add-address",
        why=(
            "The server announces its second address (ADD_ADDR with its HMAC), the client "
            "echoes it and joins to that address."
        ),
        plan=NO_OFFLOAD,
        client=Host(add_addr_accepted=1),
        server=ANNOUNCING,
        script=joined(*UPLOAD),
        octets=90_000,
        expects=(JOINED, Expect(host="server", counter="EchoAdd")),
        flags=("join", "add-address", "no-offload", "full-payload"),
        shipped=True,
    ),
    Scenario(
        name="announced-before-data",
        why=(
            "The server announces its second address before the client has sent anything, which "
            "takes that for proof that the server has the keys: its first data has a DSS where "
            "RFC 8684 wants an MP_CAPABLE."
        ),
        plan=NO_OFFLOAD,
        server=ANNOUNCING,
        script=(Connect(), Await("client", "ANNOUNCED"), *BOTH_WAYS, *DATA_FIN),
        octets=10_000,
        expects=(Expect(host="client", counter="AddAddr"),),
        flags=("add-address", "no-offload", "full-payload"),
    ),
    Scenario(
        name="add-address-port",
        why="The announced address has a port of its own, and the join goes there.",
        plan=NO_OFFLOAD,
        client=Host(add_addr_accepted=1),
        server=Host(endpoints=(Endpoint(lane=2, flags=("signal",), port=5002),)),
        script=joined(*BOTH_WAYS),
        octets=20_000,
        expects=(JOINED, Expect(host="client", counter="PortAdd")),
        flags=("join", "add-address", "no-offload", "full-payload"),
    ),
    Scenario(
        name="add-address-ipv6-port",
        why=(
            "An announced IPv6 address with port takes 30 octets of options, which fit only "
            "because TCP timestamps are off."
        ),
        plan=Plan(families=(6,), offloads=False),
        client=Host(add_addr_accepted=1, sysctls=(("net.ipv4.tcp_timestamps", "0"),)),
        server=Host(
            endpoints=(Endpoint(lane=2, flags=("signal",), port=5002),),
            sysctls=(("net.ipv4.tcp_timestamps", "0"),),
        ),
        script=joined(*BOTH_WAYS),
        octets=20_000,
        expects=(JOINED, Expect(host="client", counter="PortAdd")),
        flags=("join", "ipv6", "add-address", "no-offload", "full-payload"),
    ),
    Scenario(
        name="add-address-late",
        why=(
            "The announcement comes in the middle of a running transfer, so ADD_ADDR stands "
            "between data segments."
        ),
        plan=NO_OFFLOAD,
        client=Host(add_addr_accepted=1),
        script=(
            *HELLO,
            Send("client"),
            Send("server", 0.2),
            Drain("client", 0.3),
            AddEndpoint("server", Endpoint(lane=2, flags=("signal",))),
            Drain("client"),
            Drain("server"),
            Subflows(2),
            Send("client", 0.2),
            Drain("client"),
            *DATA_FIN,
        ),
        octets=100_000,
        expects=(JOINED, Expect(host="client", counter="AddAddr")),
        flags=("join", "add-address", "no-offload", "full-payload"),
    ),
    Scenario(
        name="client-announces",
        why=(
            "The client announces an address and the server tries to join there, to the "
            "client's own port, where nobody listens: a join opened by the listener, refused."
        ),
        plan=NO_OFFLOAD,
        client=ANNOUNCING,
        server=Host(add_addr_accepted=1),
        script=(*HELLO, Await("server", "ANNOUNCED"), Settle(0.2), *BOTH_WAYS, *DATA_FIN),
        octets=10_000,
        expects=(Expect(host="server", counter="AddAddr"),),
        flags=("join-refused", "add-address", "no-offload", "full-payload"),
    ),
    Scenario(
        name="remove-address",
        why=(
            "The client deletes the endpoint of its joined subflow in the middle of a "
            "connection: REMOVE_ADDR, and the subflow is closed while the connection goes on."
        ),
        plan=NO_OFFLOAD,
        client=Host(endpoints=(Endpoint(lane=2, flags=("subflow",), address_id=7),)),
        script=joined(
            *UPLOAD,
            RemoveEndpoint("client", 7),
            Subflows(1),
            *AFTERWARDS,
        ),
        octets=75_000,
        expects=(JOINED, Expect(host="server", counter="RmAddr")),
        flags=("join", "remove-address", "no-offload", "full-payload"),
    ),
    Scenario(
        name="remove-address-mid-transfer",
        why=(
            "The endpoint is deleted while its subflow has data in flight, which must be sent "
            "again on the other subflow."
        ),
        plan=Plan(offloads=False),
        client=Host(endpoints=(Endpoint(lane=2, flags=("subflow",), address_id=7),)),
        script=joined(
            Send("client"),
            Send("server", 0.2),
            Drain("client", 0.3),
            RemoveEndpoint("client", 7),
            Drain("client"),
            Drain("server"),
        ),
        octets=100_000,
        expects=(JOINED, Expect(host="server", counter="RmAddr")),
        flags=("join", "remove-address", "reinjection", "no-offload", "full-payload"),
    ),
    Scenario(
        name="remove-announced-address",
        why="The server withdraws the address that it had announced and the client had joined.",
        plan=NO_OFFLOAD,
        client=Host(add_addr_accepted=1),
        server=Host(endpoints=(Endpoint(lane=2, flags=("signal",), address_id=9),)),
        script=joined(
            *UPLOAD,
            RemoveEndpoint("server", 9),
            Subflows(1),
            *AFTERWARDS,
        ),
        octets=75_000,
        expects=(JOINED, Expect(host="client", counter="RmAddr")),
        flags=("join", "add-address", "remove-address", "no-offload", "full-payload"),
    ),
    Scenario(
        name="remove-initial-address",
        why=(
            "The client withdraws the address of the initial subflow (Address ID 0): the "
            "connection lives on with the joined subflow alone."
        ),
        plan=NO_OFFLOAD,
        client=JOINING,
        script=joined(
            *UPLOAD,
            RemoveEndpoint("client", 0),
            Subflows(1),
            *AFTERWARDS,
        ),
        octets=80_000,
        expects=(JOINED, Expect(host="server", counter="RmAddr")),
        flags=("join", "remove-address", "no-offload", "full-payload"),
    ),
    Scenario(
        name="backup-subflow",
        why=(
            "The joined subflow is backup (B flag in MP_JOIN) and stays idle while the initial "
            "subflow carries the data."
        ),
        plan=NO_OFFLOAD,
        client=Host(endpoints=(Endpoint(lane=2, flags=("subflow", "backup")),)),
        script=joined(*UPLOAD),
        octets=90_000,
        expects=(JOINED,),
        flags=("join", "backup", "no-offload", "full-payload"),
    ),
    Scenario(
        name="priority-change",
        why=(
            "A regular subflow becomes backup in the middle of a connection and regular again: "
            "MP_PRIO both times, with data before, between and after."
        ),
        plan=NO_OFFLOAD,
        client=Host(endpoints=(Endpoint(lane=2, flags=("subflow",), address_id=5),)),
        script=joined(
            *UPLOAD,
            SetBackup("client", 5, backup=True),
            Settle(0.05),
            *AFTERWARDS,
            SetBackup("client", 5, backup=False),
            Settle(0.05),
            *AFTERWARDS,
        ),
        octets=90_000,
        expects=(JOINED, Expect(host="client", counter="MPPrioTx", least=2)),
        flags=("join", "backup", "no-offload", "full-payload"),
    ),
    Scenario(
        name="join-over-limit",
        why=(
            "The server allows one joined subflow and the client tries two: the second join "
            "completes its handshake and is then reset with MP_TCPRST."
        ),
        plan=Plan(lanes=3, offloads=False),
        client=Host(
            endpoints=(
                Endpoint(lane=2, flags=("subflow",)),
                Endpoint(lane=3, flags=("subflow",)),
            )
        ),
        server=Host(subflows=1),
        script=(*HELLO, Settle(0.3), *BOTH_WAYS, *DATA_FIN),
        octets=20_000,
        expects=(JOINED, Expect(host="server", counter="MPJoinRejected")),
        flags=("join", "join-refused", "reset-reason", "no-offload", "full-payload"),
        shipped=True,
    ),
    Scenario(
        name="fullmesh",
        why=(
            "Two addresses at each end, all four pairs joined: subflows that share addresses "
            "on either side, and Address IDs that repeat."
        ),
        plan=NO_OFFLOAD,
        client=Host(
            endpoints=(
                Endpoint(lane=1, flags=("subflow", "fullmesh")),
                Endpoint(lane=2, flags=("subflow", "fullmesh")),
            ),
            subflows=4,
            add_addr_accepted=2,
        ),
        server=Host(endpoints=(Endpoint(lane=2, flags=("signal",)),), subflows=4),
        script=joined(*UPLOAD, subflows=4),
        octets=150_000,
        expects=(Expect(host="server", counter="MPJoinAckRx", least=3),),
        flags=("join", "add-address", "no-offload", "full-payload"),
    ),
)
