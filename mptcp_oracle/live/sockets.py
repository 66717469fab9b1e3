"""MPTCP sockets and what the kernel tells about them through ``getsockopt``."""

from __future__ import annotations

import ctypes
import errno
import ipaddress
import os
import socket
import struct
from dataclasses import dataclass

from mptcp_oracle.errors import AdapterError
from mptcp_oracle.live.namespaces import Namespace

__all__ = [
    "IPPROTO_MPTCP",
    "MptcpInfo",
    "OctetCounts",
    "SubflowView",
    "make_socket",
    "parse_address",
    "parse_info",
    "parse_tcp_info",
    "plain_address",
    "read_info",
    "read_subflows",
]

IPPROTO_MPTCP = 262
SOL_MPTCP = 284
MPTCP_INFO = 1
MPTCP_TCPINFO = 2
MPTCP_SUBFLOW_ADDRS = 3
# Subflows that are asked for at most: one initial and eight joined ones.
MOST_SUBFLOWS = 9
# Octets of struct tcp_info that are read, and where its fields are: tcpi_state, segments under way,
# then octets acknowledged, received in order, sent, and sent again.
TCP_INFO_SIZE = 216
TCP_INFO = {
    "state": ("B", 0),
    "unacked": ("I", 24),
    "acknowledged": ("Q", 120),
    "received": ("Q", 128),
    "sent": ("Q", 200),
    "again": ("Q", 208),
}
ESTABLISHED = 1

# Fields of struct mptcp_info in <linux/mptcp.h>, in order: name, struct code. The kernel grows
# the struct at its end, so an older one simply fills fewer fields.
_FIELDS: tuple[tuple[str, str], ...] = (
    ("subflows", "B"),
    ("add_addr_signal", "B"),
    ("add_addr_accepted", "B"),
    ("subflows_max", "B"),
    ("add_addr_signal_max", "B"),
    ("add_addr_accepted_max", "B"),
    ("flags", "I"),
    ("token", "I"),
    ("write_seq", "Q"),
    ("snd_una", "Q"),
    ("rcv_nxt", "Q"),
    ("local_addr_used", "B"),
    ("local_addr_max", "B"),
    ("csum_enabled", "B"),
    ("retransmits", "I"),
    ("bytes_retrans", "Q"),
    ("bytes_sent", "Q"),
    ("bytes_received", "Q"),
    ("bytes_acked", "Q"),
    ("subflows_total", "B"),
)
_FLAGS = {0x1: "fallback", 0x2: "remote_key_received"}
# Octets that leave as DSNs beyond what JSON readers keep exactly are written as strings.
_SEQUENCES = frozenset({"write_seq", "snd_una", "rcv_nxt"})


@dataclass(frozen=True, slots=True, kw_only=True)
class MptcpInfo:
    """``MPTCP_INFO`` of one socket at one moment.

    Attributes:
        token: The token that names the connection at this host, i.e. the digest of its own key.
        values: The kernel's fields by name; DSNs are absolute, 64 bit.
        flags: Names of the set flags: ``fallback``, ``remote_key_received``.
    """

    token: int
    values: dict[str, int]
    flags: tuple[str, ...]

    def to_json(self) -> dict[str, object]:
        """JSON form: DSNs as decimal strings, token as 8 hex digits."""
        body: dict[str, object] = {
            name: str(value) if name in _SEQUENCES else value
            for name, value in self.values.items()
            if name not in ("token", "flags")
        }
        return {"token": f"{self.token:08x}", "flags": list(self.flags), **body}


def make_socket(namespace: Namespace, family: int) -> socket.socket:
    """A new non-blocking MPTCP stream socket in a namespace.

    Raises:
        AdapterError: The kernel refuses protocol 262.
    """
    try:
        made = namespace.socket(family, socket.SOCK_STREAM, IPPROTO_MPTCP)
    except OSError as error:
        raise AdapterError(
            "the kernel gives no MPTCP socket",
            cause=str(error),
            hint="switch MPTCP on: sysctl -w net.mptcp.enabled=1",
        ) from error
    made.setblocking(False)
    return made


def parse_info(octets: bytes) -> MptcpInfo:
    """Decode a ``struct mptcp_info`` as far as the kernel filled it (host byte order)."""
    values: dict[str, int] = {}
    offset = 0
    for name, code in _FIELDS:
        size = struct.calcsize(code)
        offset += -offset % size
        if offset + size > len(octets):
            break
        (values[name],) = struct.unpack_from(f"={code}", octets, offset)
        offset += size
    flags = tuple(name for bit, name in _FLAGS.items() if values.get("flags", 0) & bit)
    return MptcpInfo(token=values.get("token", 0), values=values, flags=flags)


def read_info(endpoint: socket.socket) -> tuple[MptcpInfo | None, str | None]:
    """``MPTCP_INFO`` of a socket, or the reason why there is none.

    A socket that accepted a SYN without MP_CAPABLE is plain TCP (``EOPNOTSUPP``).
    """
    try:
        return parse_info(endpoint.getsockopt(SOL_MPTCP, MPTCP_INFO, 256)), None
    except OSError as error:
        if error.errno == errno.EOPNOTSUPP:  # the same number as ENOTSUP, the name in manuals
            return None, "EOPNOTSUPP"
        return None, errno.errorcode.get(error.errno or 0, str(error))


@dataclass(frozen=True, slots=True, kw_only=True)
class OctetCounts:
    """What the TCP of one established subflow counted so far.

    Attributes:
        sent: Payload octets sent, less those of TCP retransmissions, also of some that never left:
            not more than were sent.
        acknowledged: Payload octets acknowledged, and the SYN if the host sent the first one;
            ``None`` while any are under way.
        received: Payload octets received in order.
    """

    sent: int
    acknowledged: int | None
    received: int


@dataclass(frozen=True, slots=True, kw_only=True)
class SubflowView:
    """One live subflow as its socket knows it.

    Attributes:
        local, remote: Addresses and ports.
        counts: What its TCP counted; ``None`` if the kernel does not tell.
    """

    local: tuple[str, int]
    remote: tuple[str, int]
    counts: OctetCounts | None = None

    def to_json(self) -> dict[str, object]:
        """JSON form."""
        return {
            "local": {"address": self.local[0], "port": self.local[1]},
            "remote": {"address": self.remote[0], "port": self.remote[1]},
            "octets_sent": self.counts and self.counts.sent,
            "octets_acknowledged": self.counts and self.counts.acknowledged,
            "octets_received": self.counts and self.counts.received,
        }


def read_subflows(endpoint: socket.socket) -> list[SubflowView] | None:
    """The live subflows of a socket; ``None`` if it has none to tell of."""
    pair = 256  # struct mptcp_subflow_addrs: two sockaddr_storage
    try:
        addresses = _getsockopt_array(endpoint, MPTCP_SUBFLOW_ADDRS, pair)
    except OSError:
        return None
    try:
        infos = _getsockopt_array(endpoint, MPTCP_TCPINFO, 2 * TCP_INFO_SIZE)
    except OSError:
        infos = []
    if len(infos) != len(addresses):  # one came or went between the two calls
        infos = [b""] * len(addresses)
    found: list[SubflowView] = []
    for octets, info in zip(addresses, infos, strict=True):
        local, remote = parse_address(octets[:128]), parse_address(octets[128:])
        if local is not None and remote is not None:
            found.append(SubflowView(local=local, remote=remote, counts=parse_tcp_info(info)))
    return found


def parse_tcp_info(octets: bytes) -> OctetCounts | None:
    """The counts in a ``struct tcp_info`` (host byte order).

    ``None`` if it is too short, of an old kernel, or of a subflow that is not established: FINs
    count as octets, too.
    """
    if len(octets) < TCP_INFO_SIZE:
        return None
    read: dict[str, int] = {
        name: struct.unpack_from(f"={code}", octets, at)[0] for name, (code, at) in TCP_INFO.items()
    }
    if read["state"] != ESTABLISHED:
        return None
    return OctetCounts(
        sent=read["sent"] - read["again"],
        acknowledged=None if read["unacked"] else read["acknowledged"],
        received=read["received"],
    )


def _getsockopt_array(endpoint: socket.socket, option: int, size: int) -> list[bytes]:
    """An option that answers with one struct a subflow, each of at most ``size`` octets."""
    head = struct.Struct("=IIII")
    request = head.pack(head.size, 0, 0, size)
    answer = _getsockopt_with_input(endpoint, option, request, head.size + MOST_SUBFLOWS * size)
    _, count, size_kernel, _ = head.unpack_from(answer)
    step = min(size, size_kernel) if size_kernel else size
    starts = [head.size + index * step for index in range(min(count, MOST_SUBFLOWS))]
    return [answer[start : start + step] for start in starts]


def _getsockopt_with_input(
    endpoint: socket.socket, option: int, request: bytes, size: int
) -> bytes:
    """``getsockopt`` whose buffer also carries a request; Python's own clears the buffer."""
    buffer = ctypes.create_string_buffer(request, size)
    length = ctypes.c_uint32(size)
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.getsockopt(endpoint.fileno(), SOL_MPTCP, option, buffer, ctypes.byref(length)):
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number))
    return buffer.raw[: length.value]


def parse_address(octets: bytes) -> tuple[str, int] | None:
    """A ``sockaddr_in`` or ``sockaddr_in6`` as text and port; ``None`` for anything else."""
    (family,) = struct.unpack_from("=H", octets)
    (port,) = struct.unpack_from("!H", octets, 2)
    if family == socket.AF_INET:
        return str(ipaddress.IPv4Address(octets[4:8])), port
    if family == socket.AF_INET6:
        return plain_address(str(ipaddress.IPv6Address(octets[8:24]))), port
    return None


def plain_address(text: str) -> str:
    """An address as packets have it: an IPv4-mapped IPv6 address is written as IPv4."""
    address = ipaddress.ip_address(text)
    mapped = address.ipv4_mapped if isinstance(address, ipaddress.IPv6Address) else None
    return str(mapped or address)
