"""What a recording's sidecar says about it: where it was made, that it is whole, whose hosts.

``mptcp-oracle record`` writes ``X.json`` beside ``X.pcapng``. What it states is taken for true; a
capture without one is only what it says of itself.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from mptcp_oracle.rules.waivers import Target

__all__ = ["Sidecar", "sidecar_of"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Sidecar:
    """What is known of a recording beside its packets.

    Attributes:
        whole: Whether the capturing program dropped nothing; ``None`` if that is not stated.
        targets: The implementations of its hosts.
        kernel: The role of the only end that is a kernel, if the other one is a tester, which
            breaks rules on purpose.
        scenario: What was played.
    """

    whole: bool | None = None
    targets: tuple[Target, ...] = ()
    kernel: str | None = None
    scenario: str | None = None


def sidecar_of(capture: str | Path) -> Sidecar:
    """The sidecar of a capture; one that says nothing if there is none that belongs to it."""
    path = Path(capture)
    if path.suffix not in (".pcapng", ".pcap"):
        return Sidecar()
    try:
        body = json.loads(path.with_suffix(".json").read_text("utf-8"))
    except (OSError, ValueError):
        return Sidecar()
    if not isinstance(body, dict) or (body.get("tool") or {}).get("name") != "mptcp-oracle":
        return Sidecar()
    capture_of = body.get("capture") or {}
    if capture_of.get("file") != path.name:
        return Sidecar()
    dropped = capture_of.get("dropped")
    kernel = body.get("kernel") or {}
    targets: tuple[Target, ...] = ()
    if kernel.get("system") == "Linux" and isinstance(kernel.get("release"), str):
        targets = (Target(name="linux", version=kernel["release"], addresses=_kernels(body)),)
    return Sidecar(
        whole=None if dropped is None else dropped == 0,
        targets=targets,
        kernel=_only_kernel(body),
        scenario=(body.get("scenario") or {}).get("name"),
    )


def _only_kernel(body: dict[str, Any]) -> str | None:
    """The role that no tester plays, if there is one in every connection."""
    roles = {
        role
        for connection in body.get("connections") or ()
        for role in ("initiator", "listener")
        if not connection[role].get("tester")
    }
    return roles.pop() if len(roles) == 1 else None


def _kernels(body: dict[str, Any]) -> frozenset[str]:
    """The addresses of the hosts that are kernels; none stands for all, if no host is a tester."""
    addresses: set[str] = set()
    testers = False
    for connection in body.get("connections") or ():
        for role in ("initiator", "listener"):
            if connection[role].get("tester"):
                testers = True
                continue
            addresses.add(connection[role]["address"])
            addresses |= {each["local"]["address"] for each in connection["subflows"][role]}
    return frozenset(addresses) if testers else frozenset()
