"""The local Linux kernel as the implementation: a namespace, a link into it, and its sockets."""

from __future__ import annotations

import errno
import fcntl
import os
import re
import select
import socket
import struct
import time
from collections import Counter
from pathlib import Path
from types import TracebackType
from typing import Self

from mptcp_oracle.errors import AdapterError
from mptcp_oracle.live.namespaces import Namespace, Namespaces
from mptcp_oracle.live.offloads import SWITCHES, set_offloads
from mptcp_oracle.live.peer.peer import PATIENCE, PORT, own_address, target_address
from mptcp_oracle.live.peer.target import Settings
from mptcp_oracle.live.sockets import make_socket
from mptcp_oracle.live.tools import Commands, missing_needs
from mptcp_oracle.options import Address

__all__ = ["KernelTarget", "PacketLink", "TunLink", "missing"]

TUNSETIFF, IFF_TUN, IFF_NO_PI = 0x400454CA, 0x0001, 0x1000
TUN = Path("/dev/net/tun")
DEVICE = "probe0"
PREFIX = {4: 16, 6: 64}
ETHERTYPE = {4: 0x0800, 6: 0x86DD}
MOST_BYTES = 1 << 16
#: How many addresses the raw peer has; on a veth each needs a neighbour entry.
NEIGHBOURS = 9


class TunLink:
    """A TUN device in a namespace: what the kernel routes there we read, what we write it gets."""

    def __init__(self, namespace: Namespace) -> None:
        self._file = namespace.call(_open_tun)

    def send(self, packet: bytes) -> None:
        """Give the kernel a packet; it handles it before this returns."""
        os.write(self._file, packet)

    def receive(self, within: float) -> bytes | None:
        """The kernel's next packet."""
        ready, _, _ = select.select([self._file], [], [], within)
        return os.read(self._file, MOST_BYTES) if ready else None

    def now(self) -> float:
        """Seconds of the monotonic clock."""
        return time.monotonic()

    def close(self) -> None:
        """Remove the device."""
        os.close(self._file)


class PacketLink:
    """The far end of a veth, by a packet socket; its address belongs to nobody."""

    def __init__(self, namespace: Namespace, family: int) -> None:
        self._socket = namespace.socket(
            socket.AF_PACKET, socket.SOCK_RAW, socket.htons(ETHERTYPE[family])
        )
        try:
            self._socket.bind(("far0", ETHERTYPE[family]))
            mine = self._socket.getsockname()[4]
            near = namespace.call(lambda: _hardware_address(DEVICE))
        except BaseException:
            self._socket.close()
            raise
        self._head = near + mine + struct.pack("!H", ETHERTYPE[family])

    def send(self, packet: bytes) -> None:
        """Send a packet to the kernel's end."""
        self._socket.send(self._head + packet)

    def receive(self, within: float) -> bytes | None:
        """The next packet that the kernel sent, not our own."""
        until = time.monotonic() + within
        while True:
            ready, _, _ = select.select([self._socket], [], [], max(0.0, until - time.monotonic()))
            if not ready:
                return None
            frame, (_, _, kind, *_) = self._socket.recvfrom(MOST_BYTES)
            if kind != socket.PACKET_OUTGOING:
                return frame[14:]

    def now(self) -> float:
        """Seconds of the monotonic clock."""
        return time.monotonic()

    def close(self) -> None:
        """Release the socket."""
        self._socket.close()


class KernelApplication:
    """The application's side of a connection: a socket of the kernel."""

    def __init__(self, handle: socket.socket) -> None:
        self.handle = handle
        self.eof = False
        self.error = ""

    def write(self, octets: bytes) -> int:
        """Write as much as the socket takes at once."""
        try:
            return self.handle.send(octets)
        except BlockingIOError:
            return 0
        except OSError as error:
            self.error = errno.errorcode.get(error.errno or 0, str(error))
            return 0

    def read(self) -> bytes:
        """All that is there to be read."""
        pieces = []
        while not self.eof and not self.error:
            try:
                piece = self.handle.recv(MOST_BYTES)
            except BlockingIOError:
                break
            except OSError as error:
                self.error = errno.errorcode.get(error.errno or 0, str(error))
                break
            if piece:
                pieces.append(piece)
            else:
                self.eof = True
        return b"".join(pieces)

    def finish(self) -> None:
        """End the own direction: a DATA_FIN."""
        try:
            self.handle.shutdown(socket.SHUT_WR)
        except OSError as error:
            self.error = errno.errorcode.get(error.errno or 0, str(error))

    def abort(self) -> None:
        """Close at once, whatever was not sent or read: an MP_FASTCLOSE."""
        self.handle.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.handle.close()

    def close(self) -> None:
        """Close both directions."""
        self.handle.close()


class KernelTarget:
    """The local kernel, in a namespace of its own; a context manager.

    Args:
        settings: How it is to be set up.
        medium: ``tun`` or ``veth``.
    """

    name = "linux"

    def __init__(self, settings: Settings | None = None, medium: str = "tun") -> None:
        self.settings = settings or Settings()
        self.medium = medium
        self.lacks = _lacking(self.settings)
        self.link: TunLink | PacketLink
        self._commands = Commands()
        self._spaces = Namespaces(("target",), self._commands)
        self._open: list[socket.socket] = []
        self._listener: socket.socket | None = None

    @property
    def version(self) -> str:
        """The numbers of the kernel's release, without what a builder added."""
        found = re.match(r"\d+(\.\d+)*", os.uname().release)
        return found[0] if found else "0"

    @property
    def address(self) -> Address:
        """Its address."""
        return target_address(self.settings.family)

    def __enter__(self) -> Self:
        self._spaces.__enter__()
        try:
            self._set_up(self._spaces["target"])
        except BaseException:
            self._spaces.remove()
            raise
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        value: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        try:
            for each in self._open:
                each.close()
            self.link.close()
        finally:
            self._spaces.remove()

    def _set_up(self, space: Namespace) -> None:
        family = self.settings.family
        if self.medium == "tun":
            self.link = TunLink(space)
        else:
            space.ip("link", "add", DEVICE, "type", "veth", "peer", "name", "far0")
        quiet = {f"net.ipv6.conf.{each}.disable_ipv6": "1" for each in ("all", "default")}
        if family == 4:
            space.set_sysctls(quiet)
        else:
            space.set_sysctls({
                "net.ipv6.conf.all.accept_dad": "0",
                f"net.ipv6.conf.{DEVICE}.accept_dad": "0",
                f"net.ipv6.conf.{DEVICE}.router_solicitations": "0",
            })  # fmt: skip
        space.set_sysctls(_sysctls(self.settings, space))
        lines = [f"link set {DEVICE} up"]
        if self.medium == "veth":
            lines.append("link set far0 up")
        lines.append(f"addr add {self.address}/{PREFIX[family]} dev {DEVICE}")
        space.ip_batch(lines)
        limits = str(self.settings.subflows)
        space.ip("mptcp", "limits", "set", "subflows", limits, "add_addr_accepted", limits)
        if self.medium == "veth":
            self._neighbours(space)
            self.link = PacketLink(space, family)

    def _neighbours(self, space: Namespace) -> None:
        set_offloads(space, DEVICE, dict.fromkeys(SWITCHES, False))
        far = space.call(lambda: _hardware_address("far0")).hex(":")
        for number in range(1, NEIGHBOURS + 1):
            where = str(own_address(self.settings.family, number))
            space.ip("neigh", "replace", where, "lladdr", far, "dev", DEVICE, "nud", "permanent")

    def sockets(self) -> Counter[str]:
        """How many sockets of each MPTCP protocol there are in the namespace."""

        def read() -> Counter[str]:
            lines = Path("/proc/thread-self/net/protocols").read_text().splitlines()
            rows = [each.split() for each in lines[1:]]
            return Counter({row[0]: int(row[2]) for row in rows if row[0].startswith("MPTCP")})

        return self._spaces["target"].call(read)

    # --- the application -------------------------------------------------------------------

    def listen(self) -> None:
        """Listen on every address, at :data:`PORT`."""
        made = self._socket()
        made.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        made.bind(("0.0.0.0" if self.settings.family == 4 else "::", PORT))
        made.listen(16)
        self._listener = made

    def accept(self) -> KernelApplication | None:
        """The next accepted connection, or ``None`` if there is none soon."""
        assert self._listener is not None
        ready, _, _ = select.select([self._listener], [], [], PATIENCE)
        if not ready:
            return None
        taken, _ = self._listener.accept()
        taken.setblocking(False)
        self._open.append(taken)
        return KernelApplication(taken)

    def connect(self, address: Address, port: int) -> KernelApplication:
        """Begin to connect; the SYN is on the link when this returns."""
        made = self._socket()
        number = made.connect_ex((str(address), port))
        if number not in (0, errno.EINPROGRESS):
            raise AdapterError(
                "the kernel does not connect", cause=errno.errorcode.get(number, str(number))
            )
        return KernelApplication(made)

    def _socket(self) -> socket.socket:
        family = socket.AF_INET if self.settings.family == 4 else socket.AF_INET6
        made = make_socket(self._spaces["target"], family)
        self._open.append(made)
        return made


def missing(medium: str = "tun") -> list[AdapterError]:
    """What keeps this machine from probing its kernel, as errors that were not raised.

    Args:
        medium: ``tun`` or ``veth``.
    """
    found = [
        each
        for each in missing_needs()
        if "program" not in each.message or "program ip " in each.message
    ]
    if not found and medium == "tun" and not TUN.exists():
        found.append(
            AdapterError(
                "there is no TUN device",
                cause=f"{TUN} does not exist",
                hint="modprobe tun, or take --target veth; in a container give it the device",
            )
        )
    return found


def _lacking(settings: Settings) -> str:
    """Which setting the kernel does not have; nothing if it has all."""
    return "it takes checksums whenever the peer wants them" if settings.checksum == "never" else ""


def _sysctls(settings: Settings, space: Namespace) -> dict[str, str]:
    known = set(space.mptcp_sysctl_names())
    wanted = {
        "net.mptcp.enabled": "1",
        "net.mptcp.checksum_enabled": str(int(settings.checksum == "required")),
        "net.mptcp.blackhole_timeout": "0",
        "net.mptcp.syn_retrans_before_tcp_fallback": "0",
        "net.mptcp.add_addr_timeout": "1",
    }
    return {name: value for name, value in wanted.items() if name in known}


def _open_tun() -> int:
    try:
        made = os.open(TUN, os.O_RDWR | os.O_CLOEXEC)
    except OSError as error:
        raise AdapterError(
            "the TUN device cannot be opened", cause=str(error), hint="modprobe tun"
        ) from error
    try:
        fcntl.ioctl(made, TUNSETIFF, struct.pack("16sH22x", DEVICE.encode(), IFF_TUN | IFF_NO_PI))
    except OSError as error:
        os.close(made)
        raise AdapterError("no TUN device can be made", cause=str(error)) from error
    return made


def _hardware_address(interface: str) -> bytes:
    with socket.socket(socket.AF_PACKET, socket.SOCK_RAW, 0) as made:
        made.bind((interface, 0))
        address: bytes = made.getsockname()[4]
        return address
