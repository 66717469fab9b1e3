"""Outside programs: found, run under a time limit, and remembered word for word.

Everything that a recording needs from other programs goes through :class:`Commands`, which
keeps the exact argument lists, so that a sidecar can say how a capture was made.
"""

from __future__ import annotations

import os
import platform
import shlex
import shutil
import subprocess
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from mptcp_oracle.errors import AdapterError

__all__ = [
    "TOOLS",
    "Commands",
    "Tool",
    "environment",
    "missing_needs",
    "require_needs",
    "tool_versions",
]

# Seconds that one configuration command may take before it is given up.
COMMAND_LIMIT = 20.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Tool:
    """One outside program: its name, what it is for, and how a user gets it."""

    name: str
    purpose: str
    package: str
    version: tuple[str, ...]


TOOLS: tuple[Tool, ...] = (
    Tool(
        name="ip",
        purpose="makes namespaces, links, addresses and MPTCP endpoints",
        package="iproute2",
        version=("ip", "-V"),
    ),
    Tool(
        name="tc",
        purpose="limits the rate of the paths",
        package="iproute2",
        version=("tc", "-V"),
    ),
    Tool(
        name="nft",
        purpose="loses, strips and changes packets on the router",
        package="nftables",
        version=("nft", "--version"),
    ),
    Tool(
        name="tcpdump",
        purpose="captures",
        package="tcpdump",
        version=("tcpdump", "--version"),
    ),
)
NFT = TOOLS[2]


@dataclass(slots=True, kw_only=True)
class Commands:
    """Runs programs and keeps what was run.

    Attributes:
        lines: Each command as a shell would take it, in order; standard input is appended as a
            here-document.
    """

    lines: list[str] = field(default_factory=list)

    def note(self, argv: Sequence[str], text: str | None = None) -> None:
        """Remember a command that somebody else starts (a capture in the background)."""
        line = shlex.join(argv)
        self.lines.append(line if text is None else f"{line} <<'END'\n{text.rstrip()}\nEND")

    def run(self, *argv: str, text: str | None = None, quiet: bool = False) -> str:
        """Run one command to its end and return its standard output.

        Args:
            argv: Program and arguments.
            text: Standard input, or ``None`` for none.
            quiet: Do not keep the command (used for reading and for cleaning up).

        Raises:
            AdapterError: The program is missing, failed, or took longer than 20 seconds.
        """
        if not quiet:
            self.note(argv, text)
        try:
            done = subprocess.run(
                argv,
                input=text if text is not None else "",
                capture_output=True,
                text=True,
                timeout=COMMAND_LIMIT,
                check=False,
                env=environment(),
                # A terminal's Ctrl-C is for us: half-done commands are harder to undo.
                start_new_session=True,
            )
        except FileNotFoundError as error:
            raise AdapterError(
                f"{argv[0]} cannot be started", cause=str(error), hint=_install_hint(argv[0])
            ) from error
        except subprocess.TimeoutExpired as error:
            raise AdapterError(
                f"{shlex.join(argv)} did not end", cause=f"limit of {COMMAND_LIMIT:.0f} s"
            ) from error
        if done.returncode != 0:
            raise AdapterError(
                f"{shlex.join(argv)} failed with exit status {done.returncode}",
                cause=" ".join((done.stderr or done.stdout).split()) or None,
                input=text,
            )
        return done.stdout


def _install_hint(name: str) -> str | None:
    for tool in TOOLS:
        if tool.name == name:
            return f"install the package {tool.package}: {name} {tool.purpose}"
    return None


def tool_versions() -> dict[str, str]:
    """First line of each tool's version output."""
    versions: dict[str, str] = {}
    for tool in TOOLS:
        try:
            done = subprocess.run(
                tool.version,
                capture_output=True,
                text=True,
                timeout=COMMAND_LIMIT,
                check=False,
                env=environment(),
            )
        except FileNotFoundError:
            versions[tool.name] = "not installed"
            continue
        lines = (done.stdout + done.stderr).splitlines()
        versions[tool.name] = lines[0].strip() if lines else "unknown"
    return versions


def missing_needs(search_path: str | None = None, *, filters: bool = True) -> list[AdapterError]:
    """What keeps this machine from recording, as errors that were not raised; empty if nothing.

    Args:
        filters: Whether packets are to be lost, stripped or changed on their way, for which alone
            ``nft`` is needed.
        search_path: Folders to look for programs in, as in ``PATH``; by default the
            environment's, with the system folders added.
    """
    found: list[AdapterError] = []
    if platform.system() != "Linux":
        return [
            AdapterError(
                "recording needs a Linux kernel",
                cause=f"this is {platform.system()}",
                hint="record on Linux; captures that are there can be judged on any system",
            )
        ]
    if os.geteuid() != 0:
        found.append(
            AdapterError(
                "recording needs root",
                cause="network namespaces and captures are made",
                hint="run it with sudo: all traffic stays inside namespaces of its own; captures "
                "that are there can be judged without root",
            )
        )
    enabled = Path("/proc/sys/net/mptcp/enabled")
    if not enabled.exists():
        found.append(
            AdapterError(
                "this kernel has no MPTCP",
                cause=f"{enabled} does not exist",
                hint="use a kernel built with CONFIG_MPTCP and CONFIG_MPTCP_IPV6 (5.6 or later); "
                "captures that are there can be judged on any system",
            )
        )
    where = search_path if search_path is not None else _system_path()
    found += [
        AdapterError(
            f"the program {tool.name} is missing",
            cause=f"it {tool.purpose}",
            hint=f"install the package {tool.package} (apt-get install {tool.package})"
            + ("; scenarios without packet filters are recorded without" * (tool is NFT)),
        )
        for tool in TOOLS
        if (filters or tool is not NFT) and shutil.which(tool.name, path=where) is None
    ]
    return found


def require_needs(*, filters: bool = True) -> None:
    """Raise the first of :func:`missing_needs`, if any.

    Raises:
        AdapterError: A tool is missing, the user is not root, or the kernel has no MPTCP.
    """
    for error in missing_needs(filters=filters):
        raise error


def environment() -> dict[str, str]:
    """The environment that outside programs get: untranslated, and with ``_system_path``."""
    return {**os.environ, "LC_ALL": "C", "PATH": _system_path()}


def _system_path() -> str:
    """``PATH`` with the folders where Debian and others keep administrator's programs."""
    folders = os.environ.get("PATH", os.defpath).split(os.pathsep)
    extra = [folder for folder in ("/usr/sbin", "/sbin") if folder not in folders]
    return os.pathsep.join([*folders, *extra])
