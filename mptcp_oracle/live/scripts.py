"""Pieces of scripts, hosts and filters that many scenarios share."""

from __future__ import annotations

import dataclasses

from mptcp_oracle.live.scenario import (
    Connect,
    Drain,
    Endpoint,
    Eof,
    Expect,
    Finish,
    Host,
    Plan,
    Role,
    Scenario,
    Send,
    Step,
    Subflows,
)

__all__ = [
    "AFTERWARDS",
    "BOTH_WAYS",
    "CHECKSUMS",
    "DATA_FIN",
    "HELLO",
    "JOINED",
    "JOINING",
    "NO_OFFLOAD",
    "ONE_LANE",
    "PLAIN",
    "STRIP",
    "TALK",
    "UPLOAD",
    "joined",
    "seen_from",
]

# Sysctl that makes a host ask for DSS checksums.
CHECKSUMS: tuple[tuple[str, str], ...] = (("net.mptcp.checksum_enabled", "1"),)

PLAIN = Host()
# A client that joins from its address on lane 2.
JOINING = Host(endpoints=(Endpoint(lane=2, flags=("subflow",)),))

# That a client did: the server counts the third packet.
JOINED = Expect(host="server", counter="MPJoinAckRx")
# What a packet filter does to take all MPTCP options away.
STRIP = "reset tcp option mptcp"

NO_OFFLOAD = Plan(offloads=False)
ONE_LANE = Plan(lanes=1, offloads=False)

# A few octets make the first DATA_ACK, without which the client does not join.
HELLO: tuple[Step, ...] = (Connect(), Send("client", 0.01), Drain("client"))
BOTH_WAYS: tuple[Step, ...] = (
    Send("client"),
    Send("server"),
    Drain("client"),
    Drain("server"),
)
# The kernel's scheduler gives each subflow 64 KB at a time: only longer transfers use several.
UPLOAD: tuple[Step, ...] = (
    Send("client"),
    Send("server", 0.1),
    Drain("client"),
    Drain("server"),
)
# A little more in both directions, after something has happened.
AFTERWARDS: tuple[Step, ...] = (
    Send("client", 0.2),
    Send("server", 0.1),
    Drain("client"),
    Drain("server"),
)
DATA_FIN: tuple[Step, ...] = (Finish("client"), Finish("server"), Eof("client"), Eof("server"))
# A whole connection on one path.
TALK: tuple[Step, ...] = (*HELLO, *BOTH_WAYS, *DATA_FIN)


def joined(*middle: Step, subflows: int = 2) -> tuple[Step, ...]:
    """A connection that waits for its joins, does ``middle``, and closes by DATA_FIN."""
    return (*HELLO, Subflows(subflows), *middle, *DATA_FIN)


def seen_from(item: Scenario, host: Role, why: str, *, octets: int | None = None) -> Scenario:
    """The same scenario captured at another host, with its own amount of data or another."""
    flags = item.flags
    if host == "router" and "duplicate-frames" not in flags:
        flags = (*flags, "duplicate-frames")
    return dataclasses.replace(
        item,
        name=f"{item.name}-{host}-view",
        why=why,
        vantage=dataclasses.replace(item.vantage, host=host),
        octets=item.octets if octets is None else octets,
        flags=flags,
        shipped=False,
    )
