"""What a scenario is made of: values only, so that the scenario table reads as a table.

A scenario is a small world (:class:`Plan`), two hosts' MPTCP settings (:class:`Host`), packet
filters on the router (:class:`Filter`), a capture point (:class:`Vantage`), and a script: a
sequence of steps that the application side performs in order. Amounts of data are shares of
the scenario's ``octets``, so that one table serves small and large recordings.
"""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass, field
from typing import Literal

__all__ = [
    "Abort",
    "Act",
    "AddEndpoint",
    "Await",
    "BeginCapture",
    "Close",
    "Connect",
    "Drain",
    "Endpoint",
    "Eof",
    "Expect",
    "Filter",
    "Finish",
    "FlushEndpoints",
    "Host",
    "Kill",
    "Link",
    "Pause",
    "Plan",
    "RemoveEndpoint",
    "Resume",
    "Role",
    "Scenario",
    "Send",
    "SetBackup",
    "Settle",
    "Step",
    "Subflows",
    "SwitchFilter",
    "Vantage",
    "to_json",
]

Role = Literal["client", "router", "server"]
End = Literal["client", "server"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """The network: ``lanes`` parallel paths client - router - server.

    Lane ``i`` (from 1) is the veth pair ``c<i>``-``rc<i>``, the router, and ``rs<i>``-``s<i>``.
    What the client sends from its address on lane ``i`` stays on lane ``i``, whatever the
    destination address; what the server sends to that address comes back on it.

    Attributes:
        lanes: Number of paths.
        families: IP versions configured; the first one carries the initial subflow.
        rate_mbit: Token-bucket rate of each router port, each way, in Mbit/s.
        offloads: Segmentation and receive offloads (TSO, GSO, GRO) on every interface.
        shared_server_link: All lanes reach the server through ``rs1``-``s1``, so that one
            Ethernet interface sees all subflows.
    """

    lanes: int = 2
    families: tuple[int, ...] = (4,)
    rate_mbit: int = 10
    offloads: bool = True
    shared_server_link: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Endpoint:
    """An MPTCP endpoint, as ``ip mptcp endpoint add`` takes it.

    Attributes:
        lane: The lane whose address (of this host) it names.
        flags: ``subflow``, ``signal``, ``backup``, ``fullmesh``.
        family: IP version, or ``None`` for the plan's first.
        port: Port to announce, or ``None``.
        address_id: The id to give it, or ``None`` for the kernel's choice.
    """

    lane: int
    flags: tuple[str, ...]
    family: int | None = None
    port: int | None = None
    address_id: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Host:
    """MPTCP settings of one end.

    Attributes:
        endpoints: Configured before the first connection.
        subflows: Limit of joined subflows.
        add_addr_accepted: Limit of accepted ADD_ADDR.
        sysctls: Kernel parameters beyond the plan's own, as (name, value).
    """

    endpoints: tuple[Endpoint, ...] = ()
    subflows: int = 2
    add_addr_accepted: int = 0
    sysctls: tuple[tuple[str, str], ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Filter:
    """A packet filter on the router, in nft's own words.

    Attributes:
        name: How steps refer to it.
        rules: Rule lines; the router's interfaces are ``rc<i>`` and ``rs<i>``.
        active: In place from the start, not only once a step switches it on.
        chain: Type, hook and priority of the chain.
    """

    name: str
    rules: tuple[str, ...]
    active: bool = True
    chain: str = "type filter hook forward priority 0"


@dataclass(frozen=True, slots=True, kw_only=True)
class Vantage:
    """Where the capture is made: a host and one of its interfaces, or ``any``.

    Attributes:
        late: It begins with the step :class:`BeginCapture`, not before the first connection.
    """

    host: Role = "client"
    interface: str = "any"
    snaplen: int = 65_600
    link: str | None = None
    late: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Expect:
    """What must have happened for the recording to show what it claims.

    Attributes:
        host: The namespace whose counter is read.
        counter: A name of the kernel's MPTcpExt group.
        least: The smallest increase that counts.
    """

    host: End
    counter: str
    least: int = 1


# --- steps -----------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True, kw_only=True)
class Connect:
    """The client connects and the server accepts.

    Attributes:
        source_port: Bind the client to this port first, or ``None``.
        fast_open: Octets to send inside the SYN (TCP Fast Open).
    """

    source_port: int | None = None
    fast_open: int = 0


@dataclass(frozen=True, slots=True)
class Send:
    """``end`` begins to write ``share`` of the scenario's octets; does not wait.

    Attributes:
        piece: Octets of each write from now on, each sent at once (TCP_NODELAY); ``None`` leaves
            it to the kernel.
    """

    end: End
    share: float = 1.0
    piece: int | None = None


@dataclass(frozen=True, slots=True)
class Drain:
    """Wait until the other end has read ``share`` of all that ``end`` was told to write."""

    end: End
    share: float = 1.0


@dataclass(frozen=True, slots=True)
class Subflows:
    """Wait until both ends have reported ``count`` established subflows that are alive."""

    count: int


@dataclass(frozen=True, slots=True)
class Await:
    """Wait until ``host`` has reported ``count`` events of one kind (:mod:`.events`)."""

    host: End
    event: str
    count: int = 1


@dataclass(frozen=True, slots=True)
class Settle:
    """Let traffic go on for some seconds."""

    seconds: float


@dataclass(frozen=True, slots=True)
class Pause:
    """``end`` stops reading."""

    end: End


@dataclass(frozen=True, slots=True)
class Resume:
    """``end`` reads again."""

    end: End


@dataclass(frozen=True, slots=True)
class Finish:
    """``end`` calls ``shutdown(SHUT_WR)`` once everything queued is written."""

    end: End


@dataclass(frozen=True, slots=True)
class Eof:
    """Wait until ``end`` has read the end of the stream (or an error)."""

    end: End


@dataclass(frozen=True, slots=True)
class Close:
    """``end`` calls ``close()``, whatever is unread or unsent."""

    end: End


@dataclass(frozen=True, slots=True)
class Abort:
    """``end`` sets SO_LINGER to zero seconds and calls ``close()``."""

    end: End


@dataclass(frozen=True, slots=True)
class Act:
    """A tester plays the client and does one thing, which :data:`.tester.ACTS` has by its name."""

    name: str


@dataclass(frozen=True, slots=True)
class SwitchFilter:
    """Put the named router filter in place, or take it away."""

    name: str
    on: bool = True


@dataclass(frozen=True, slots=True)
class Link:
    """The client's interface of a lane goes down or up."""

    lane: int
    up: bool


@dataclass(frozen=True, slots=True)
class AddEndpoint:
    """``ip mptcp endpoint add`` on a host in the middle of a connection."""

    host: End
    endpoint: Endpoint


@dataclass(frozen=True, slots=True)
class RemoveEndpoint:
    """``ip mptcp endpoint delete`` of the endpoint with this id."""

    host: End
    address_id: int


@dataclass(frozen=True, slots=True)
class FlushEndpoints:
    """``ip mptcp endpoint flush``: every endpoint of a host goes."""

    host: End


@dataclass(frozen=True, slots=True)
class Kill:
    """``ss -K``: the kernel of a host aborts its subflow on a lane of the client."""

    host: End
    lane: int


@dataclass(frozen=True, slots=True)
class BeginCapture:
    """The capture of a late vantage begins, in the script of the first connection."""


@dataclass(frozen=True, slots=True)
class SetBackup:
    """``ip mptcp endpoint change``: the endpoint becomes backup, or regular."""

    host: End
    address_id: int
    backup: bool


Step = (
    Connect
    | Send
    | Drain
    | Subflows
    | Await
    | Settle
    | Pause
    | Resume
    | Finish
    | Eof
    | Close
    | Abort
    | Act
    | SwitchFilter
    | Link
    | AddEndpoint
    | RemoveEndpoint
    | FlushEndpoints
    | Kill
    | BeginCapture
    | SetBackup
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Scenario:
    """One recording.

    Attributes:
        name: Slug, lower case with hyphens.
        why: A paragraph: what the capture shows and why an analyzer needs it.
        script: What the application side does, for each connection.
        plan, client, server, filters, vantage: The world around it.
        octets: What a share of 1.0 means, in octets.
        connections: How often the script runs.
        interleaved: All connections take each step of the script before any takes the next;
            else one connection after another.
        keep_pcap: The recording stays the capture program's own pcap file.
        expects: Counters without which the recording does not show what it claims.
        streams: What must have become of both streams: ``whole`` (read as they were written),
            ``cut`` (what was read is a beginning of what was written, and one is shorter) or
            ``changed`` (one was read with other octets).
        flags: What the corpus says about it (:data:`mptcp_oracle.generators.corpus.FLAGS`).
        shipped: Belongs to the selection that is part of the installed package.
    """

    name: str
    why: str
    script: tuple[Step, ...]
    plan: Plan = field(default_factory=Plan)
    client: Host = field(default_factory=Host)
    server: Host = field(default_factory=Host)
    filters: tuple[Filter, ...] = ()
    vantage: Vantage = field(default_factory=Vantage)
    octets: int = 60_000
    connections: int = 1
    interleaved: bool = False
    keep_pcap: bool = False
    expects: tuple[Expect, ...] = ()
    streams: Literal["whole", "cut", "changed"] = "whole"
    flags: tuple[str, ...] = ()
    shipped: bool = False


def to_json(value: object) -> object:
    """A scenario, or any part of one, as JSON; a step is an object with its kind first."""
    if isinstance(value, tuple | list):
        return [to_json(item) for item in value]
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        body: dict[str, object] = {}
        if isinstance(value, Step):
            body["step"] = type(value).__name__
        for item in dataclasses.fields(value):
            body[item.name] = to_json(getattr(value, item.name))
        return body
    return value
