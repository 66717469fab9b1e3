"""Network namespaces of a run's own: made, entered, read, and always removed.

A socket belongs for ever to the namespace in which it was made. One process can therefore hold
all sockets of an experiment: a short-lived thread enters the namespace (``setns`` acts on one
thread only), makes the socket, and ends; whoever holds the socket then uses it from anywhere.
"""

from __future__ import annotations

import ctypes
import os
import secrets
import signal
import socket
import threading
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from types import TracebackType
from typing import Self, TypeVar

from mptcp_oracle.errors import AdapterError
from mptcp_oracle.live.tools import Commands

__all__ = ["PREFIX", "Namespace", "Namespaces"]

T = TypeVar("T")

# Every namespace made here begins with this, so that a person can find one left by a SIGKILL.
PREFIX = "mptcp-oracle-"
RUN_FOLDER = Path("/run/netns")
CLONE_NEWNET = 0x40000000


def _enter(path: Path) -> None:
    """Move the calling thread into the namespace whose file is ``path``."""
    libc = ctypes.CDLL(None, use_errno=True)
    descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        if libc.setns(descriptor, CLONE_NEWNET) != 0:
            number = ctypes.get_errno()
            raise OSError(number, os.strerror(number), str(path))
    finally:
        os.close(descriptor)


class Namespace:
    """One network namespace, known to ``ip netns`` by its name.

    Attributes:
        role: What it is in the experiment: ``client``, ``router`` or ``server``.
        name: Its unique name.
    """

    def __init__(self, role: str, name: str, commands: Commands) -> None:
        self.role = role
        self.name = name
        self._commands = commands

    @property
    def path(self) -> Path:
        """The file that keeps the namespace alive."""
        return RUN_FOLDER / self.name

    def call(self, work: Callable[[], T]) -> T:
        """Run ``work`` in a fresh thread inside the namespace and return its result.

        Raises:
            AdapterError: The namespace cannot be entered.
        """
        results: list[T] = []
        errors: list[BaseException] = []

        def body() -> None:
            try:
                _enter(self.path)
            except OSError as error:
                errors.append(
                    AdapterError(f"namespace {self.name} cannot be entered", cause=str(error))
                )
                return
            try:
                results.append(work())
            except BaseException as error:
                errors.append(error)

        thread = threading.Thread(target=body, name=f"in-{self.role}")
        thread.start()
        thread.join()
        if errors:
            raise errors[0]
        return results[0]

    def socket(self, family: int, kind: int, protocol: int = 0) -> socket.socket:
        """A new socket that lives in this namespace."""
        return self.call(lambda: socket.socket(family, kind, protocol))

    def ip(self, *arguments: str) -> str:
        """Run ``ip`` inside the namespace."""
        return self._commands.run("ip", "-n", self.name, *arguments)

    def ip_batch(self, lines: Iterable[str], family: int | None = None) -> None:
        """Run several ``ip`` lines with one process, all of one IP version if it is given."""
        version = () if family is None else (f"-{family}",)
        self._commands.run(
            *("ip", "-n", self.name, *version, "-batch", "-"),
            text="".join(f"{line}\n" for line in lines),
        )

    def tc(self, *arguments: str) -> str:
        """Run ``tc`` inside the namespace."""
        return self._commands.run("tc", "-n", self.name, *arguments)

    def execute(self, *argv: str, text: str | None = None) -> str:
        """Run any program inside the namespace."""
        return self._commands.run("ip", "netns", "exec", self.name, *argv, text=text)

    def set_sysctls(self, values: dict[str, str]) -> None:
        """Write kernel parameters, names dotted as ``sysctl`` has them."""
        self._commands.note(
            ["ip", "netns", "exec", self.name, "sysctl", "-w"]
            + [f"{name}={value}" for name, value in values.items()]
        )

        def write() -> None:
            for name, value in values.items():
                path = _sysctl_path(name)
                try:
                    path.write_text(value)
                except OSError as error:
                    raise AdapterError(
                        f"sysctl {name} cannot be set to {value}", cause=str(error)
                    ) from error

        self.call(write)

    def sysctls(self, names: Iterable[str]) -> dict[str, str | None]:
        """Read kernel parameters; one that this kernel has not is ``None``."""

        def read() -> dict[str, str | None]:
            found: dict[str, str | None] = {}
            for name in names:
                try:
                    found[name] = " ".join(_sysctl_path(name).read_text().split())
                except OSError:
                    found[name] = None
            return found

        return self.call(read)

    def mptcp_sysctl_names(self) -> list[str]:
        """Every ``net.mptcp`` parameter that this kernel has, sorted."""
        folder = _sysctl_path("net.mptcp")
        return self.call(lambda: sorted(f"net.mptcp.{entry.name}" for entry in folder.iterdir()))

    def counters(self) -> dict[str, dict[str, int]]:
        """The namespace's protocol counters, group -> name -> value, as ``nstat`` reads them."""

        def read() -> dict[str, dict[str, int]]:
            groups: dict[str, dict[str, int]] = {}
            for file in ("netstat", "snmp"):
                lines = Path(f"/proc/thread-self/net/{file}").read_text().splitlines()
                for head, body in zip(lines[::2], lines[1::2], strict=True):
                    group, names = head.split(":", 1)
                    values = (int(value) for value in body.split(":", 1)[1].split())
                    groups[group] = dict(zip(names.split(), values, strict=True))
            return groups

        return self.call(read)


class Namespaces:
    """The namespaces of one experiment; a context manager that removes them whatever happens."""

    def __init__(self, roles: Iterable[str], commands: Commands) -> None:
        self._commands = commands
        self.tag = f"{os.getpid()}-{secrets.token_hex(4)}"
        self._members = {
            role: Namespace(role, f"{PREFIX}{self.tag}-{role}", commands) for role in roles
        }

    def __getitem__(self, role: str) -> Namespace:
        return self._members[role]

    def __enter__(self) -> Self:
        try:
            for member in self._members.values():
                # A signal between the start of `ip` and our knowing of it would leave its work.
                with _undisturbed():
                    self._commands.run("ip", "netns", "add", member.name)
                member.ip("link", "set", "lo", "up")
        except BaseException:
            self.remove()
            raise
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        value: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.remove()

    def remove(self) -> None:
        """Remove every namespace that still exists.

        Ctrl-C and SIGTERM wait until it is done, which takes some tens of milliseconds.

        Raises:
            AdapterError: A namespace could not be removed; the others are.
        """
        errors: list[AdapterError] = []
        with _undisturbed():
            for member in self._members.values():
                if member.path.exists():
                    try:
                        self._commands.run("ip", "netns", "delete", member.name, quiet=True)
                    except AdapterError as error:
                        errors.append(error)
        if errors:
            raise errors[0]


@contextmanager
def _undisturbed() -> Iterator[None]:
    """Let Ctrl-C and SIGTERM wait until the block is done."""
    stops = {signal.SIGINT, signal.SIGTERM}
    before = signal.pthread_sigmask(signal.SIG_BLOCK, stops)
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def _sysctl_path(name: str) -> Path:
    return Path("/proc/sys", *name.split("."))
