"""The network of a scenario: veth lanes, addresses, source routes, rate limits, filters."""

from __future__ import annotations

from mptcp_oracle.live.namespaces import Namespace, Namespaces
from mptcp_oracle.live.offloads import set_offloads
from mptcp_oracle.live.scenario import Endpoint, Filter, Host, Plan

__all__ = ["PORT", "Topology", "address"]

# The port that the server listens on, in every scenario.
PORT = 5001
# Octets that a rate limiter may pass at once, and may hold back, on each router port.
BURST = "5kb"
QUEUE = "400kb"

COMMON_SYSCTLS = {
    "net.ipv4.conf.all.rp_filter": "0",
    "net.ipv4.conf.default.rp_filter": "0",
    "net.ipv6.conf.default.accept_dad": "0",
    "net.ipv6.conf.default.accept_ra": "0",
}
# Seconds: the defaults (120, 60, 3600) outlive a recording. Older kernels lack some of them.
TIMEOUTS = {
    "net.mptcp.add_addr_timeout": "1",
    "net.mptcp.close_timeout": "3",
    "net.mptcp.blackhole_timeout": "30",
}
FORWARDING = {"net.ipv4.ip_forward": "1", "net.ipv6.conf.all.forwarding": "1"}
NO_IPV6 = {
    "net.ipv6.conf.all.disable_ipv6": "1",
    "net.ipv6.conf.default.disable_ipv6": "1",
}


def address(side: str, lane: int, family: int) -> str:
    """The address of ``client`` or ``server`` on a lane."""
    number = 1 if side == "client" else 2
    return f"10.{number}.{lane}.1" if family == 4 else f"fd00:{number}:{lane}::1"


def gateway(side: str, lane: int, family: int) -> str:
    """The router's address on the client's or server's half of a lane."""
    number = 1 if side == "client" else 2
    return f"10.{number}.{lane}.254" if family == 4 else f"fd00:{number}:{lane}::fe"


def network(side: str, lane: int, family: int) -> str:
    """The network of one half of a lane."""
    number = 1 if side == "client" else 2
    return f"10.{number}.{lane}.0/24" if family == 4 else f"fd00:{number}:{lane}::/64"


def everything(side: str, family: int) -> str:
    """All networks of one side."""
    number = 1 if side == "client" else 2
    return f"10.{number}.0.0/16" if family == 4 else f"fd00:{number}::/32"


class Topology:
    """Builds the lanes of a plan between three namespaces and changes them on request."""

    def __init__(self, plan: Plan, spaces: Namespaces) -> None:
        self.plan = plan
        self.client = spaces["client"]
        self.router = spaces["router"]
        self.server = spaces["server"]

    @property
    def family(self) -> int:
        """IP version of the initial subflow."""
        return self.plan.families[0]

    def build(self, client: Host, server: Host) -> None:
        """Set up everything that is there before the first connection."""
        ipv6 = {} if 6 in self.plan.families else NO_IPV6
        self.client.set_sysctls({**COMMON_SYSCTLS, **ipv6, **dict(client.sysctls)})
        self.router.set_sysctls({**COMMON_SYSCTLS, **ipv6, **FORWARDING})
        self.server.set_sysctls({**COMMON_SYSCTLS, **ipv6, **dict(server.sysctls)})
        for space, host in ((self.client, client), (self.server, server)):
            known = space.mptcp_sysctl_names()
            own = dict(host.sysctls)
            space.set_sysctls(
                {key: own.get(key, value) for key, value in TIMEOUTS.items() if key in known}
            )
        self._links()
        self._offloads()
        self._addresses()
        self._routes()
        self._rates()
        for space, host in ((self.client, client), (self.server, server)):
            space.ip(
                "mptcp",
                "limits",
                "set",
                "subflows",
                str(host.subflows),
                "add_addr_accepted",
                str(host.add_addr_accepted),
            )
            for endpoint in host.endpoints:
                self.add_endpoint(space, endpoint)

    def server_port(self, lane: int) -> int:
        """The number of the router-server link that a lane uses."""
        return 1 if self.plan.shared_server_link else lane

    def _lanes(self) -> range:
        return range(1, self.plan.lanes + 1)

    def _links(self) -> None:
        lines: list[str] = []
        for lane in self._lanes():
            for near, far, space in (
                (f"rc{lane}", f"c{lane}", self.client),
                (f"rs{lane}", f"s{lane}", self.server),
            ):
                lines.append(f"link add {near} type veth peer name {far} netns {space.name}")
                lines.append(f"link set {near} up")
        self.router.ip_batch(lines)
        self.client.ip_batch(f"link set c{lane} up" for lane in self._lanes())
        self.server.ip_batch(f"link set s{lane} up" for lane in self._lanes())

    def _offloads(self) -> None:
        if self.plan.offloads:
            return
        for space, names in (
            (self.client, ("c",)),
            (self.router, ("rc", "rs")),
            (self.server, ("s",)),
        ):
            for lane in self._lanes():
                for name in names:
                    set_offloads(space, f"{name}{lane}", {"tso": False, "gso": False, "gro": False})

    def _addresses(self) -> None:
        for side, space in (("client", self.client), ("server", self.server)):
            own: list[str] = []
            far: list[str] = []
            for lane in self._lanes():
                for family in self.plan.families:
                    length = 24 if family == 4 else 64
                    extra = "" if family == 4 else " nodad"
                    own.append(
                        f"address add {address(side, lane, family)}/{length} "
                        f"dev {side[0]}{lane}{extra}"
                    )
                    far.append(
                        f"address add {gateway(side, lane, family)}/{length} "
                        f"dev r{side[0]}{lane}{extra}"
                    )
            space.ip_batch(own)
            self.router.ip_batch(far)

    def _routes(self) -> None:
        for family in self.plan.families:
            client: list[str] = []
            router: list[str] = []
            server: list[str] = []
            for lane in self._lanes():
                link = self.server_port(lane)
                via = gateway("client", lane, family)
                client += [
                    f"rule add from {address('client', lane, family)} table {lane}",
                    f"route add default via {via} dev c{lane} table {lane}",
                    f"route add {network('server', lane, family)} via {via} dev c{lane}",
                ]
                router += [
                    f"rule add iif rc{lane} table {100 + lane}",
                    f"route add {everything('server', family)} "
                    f"via {address('server', link, family)} dev rs{link} table {100 + lane}",
                ]
                server.append(
                    f"route add {network('client', lane, family)} "
                    f"via {gateway('server', link, family)} dev s{link}"
                )
            self.client.ip_batch(client, family)
            self.router.ip_batch(router, family)
            self.server.ip_batch(server, family)

    def _rates(self) -> None:
        for lane in self._lanes():
            for name in (f"rc{lane}", f"rs{lane}"):
                self.router.tc(
                    *("qdisc", "add", "dev", name, "root", "tbf"),
                    *("rate", f"{self.plan.rate_mbit}mbit", "burst", BURST, "limit", QUEUE),
                )

    def add_endpoint(self, space: Namespace, endpoint: Endpoint) -> None:
        """Add an MPTCP endpoint to a host."""
        family = endpoint.family or self.family
        words = [address(space.role, endpoint.lane, family)]
        if endpoint.port is not None:
            words += ["port", str(endpoint.port)]
        if endpoint.address_id is not None:
            words += ["id", str(endpoint.address_id)]
        space.ip("mptcp", "endpoint", "add", *words, *endpoint.flags)

    def remove_endpoint(self, space: Namespace, address_id: int) -> None:
        """Delete the endpoint with this id from a host (id 0 names the initial address)."""
        extra = [address(space.role, 1, self.family)] if address_id == 0 else []
        space.ip("mptcp", "endpoint", "delete", "id", str(address_id), *extra)

    def flush_endpoints(self, space: Namespace) -> None:
        """Delete all endpoints of a host."""
        space.ip("mptcp", "endpoint", "flush")

    def kill(self, space: Namespace, lane: int) -> None:
        """Abort a host's end of the subflow that uses the client's address of a lane."""
        peer = address("client", lane, self.family)
        side = "src" if space.role == "client" else "dst"
        shown = peer if self.family == 4 else f"[{peer}]"
        space.execute("ss", "-K", "-t", "-n", "state", "established", side, shown)

    def set_backup(self, space: Namespace, address_id: int, backup: bool) -> None:
        """Make an endpoint backup or regular, in running connections too (MP_PRIO)."""
        word = "backup" if backup else "nobackup"
        space.ip("mptcp", "endpoint", "change", "id", str(address_id), word)

    def set_link(self, lane: int, up: bool) -> None:
        """Take the client's interface of a lane down or up."""
        self.client.ip("link", "set", f"c{lane}", "up" if up else "down")

    def switch_filter(self, packet_filter: Filter, on: bool) -> None:
        """Put a packet filter on the router in place, or take it away."""
        table = f"oracle_{packet_filter.name.replace('-', '_')}"
        if not on:
            self.router.execute("nft", "delete", "table", "inet", table)
            return
        rules = "\n".join(f"    {rule}" for rule in packet_filter.rules)
        self.router.execute(
            "nft",
            "-f",
            "-",
            text=(
                f"table inet {table} {{\n  chain filter {{\n"
                f"    {packet_filter.chain};\n{rules}\n  }}\n}}\n"
            ),
        )
