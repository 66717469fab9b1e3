"""The catalogue: requirements read from ``rfc8684.toml`` and ``rfc6824.toml``.

Each row has a stable id with a slug (``8684-3.2-join-ack-hmac``), a number from the inventory it
came from (``8684-3.2-13``), which stays valid as another name, the RFC's own words, and a *fate*:
what becomes of it here. No row of the inventory is without one.
"""

from __future__ import annotations

import tomllib
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from types import MappingProxyType

from mptcp_oracle.errors import UsageError

__all__ = [
    "CHECKS",
    "FATES",
    "LEVELS",
    "NEEDS",
    "Requirement",
    "by_id",
    "catalogue",
    "counterpart",
    "matching",
]

LEVELS = ("MUST", "MUST NOT", "SHOULD", "SHOULD NOT", "RECOMMENDED", "MAY", "decl")
"""BCP 14 keywords, and ``decl`` for what an RFC states as a fact without one."""

CHECKS = MappingProxyType(
    {
        "P": "one capture of both directions decides it",
        "P-A": "as P, if the keys of the hosts are in the capture",
        "V": "needs captures at both ends, or knowledge that no capture holds",
        "A": "only a peer that misbehaves on purpose brings it out",
        "N": "cannot be observed, or is a permission that nothing breaks",
    }
)
"""Classes of requirements by what it takes to decide them."""

FATES = MappingProxyType(
    {
        "judged": "a rule judges captures by it",
        "alias": "the rule of another requirement judges it, in connections of its version",
        "probed": "an active rule brings it out with a peer that misbehaves",
        "active": "waits for an implementation of its version to probe",
        "not_observable": "no capture can decide it",
        "excepted": "a capture could decide it, and there is a reason why none is judged",
    }
)
"""What becomes of a requirement."""

NEEDS = MappingProxyType(
    {
        "keys": "the keys of both hosts",
        "payload": "the octets of the payload",
        "both_directions": "what both hosts sent",
        "handshake": "the SYN of the subflow",
        "complete": "a capture without holes, because absence counts",
        "all_subflows": "all subflows, captured with one clock",
        "vantage": "knowledge of where the capture was made",
    }
)
"""What a capture must have for a requirement to be decided."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Requirement:
    """One requirement of an RFC.

    Attributes:
        id: Stable id: RFC, section, slug. number: Its number in the inventory; another name.
        section: Where the RFC states it. level: One of :data:`LEVELS`.
        severity: What breaking it is: ``violation``, ``warning`` or ``note``.
        host: Who is bound by it. check: One of :data:`CHECKS`. needs: Keys of :data:`NEEDS`.
        fate: One of :data:`FATES`. reason: For fates that need one. alias_of: The id of the
            requirement that it is an alias of.
        summary: What it says, in one sentence of ours. quotes: In the RFC's words.
        figure: Whether quotes are captions of figures or tables that show it.
    """

    id: str
    number: str
    section: str
    level: str
    severity: str
    host: str
    check: str
    needs: tuple[str, ...]
    fate: str
    summary: str
    quotes: tuple[str, ...]
    reason: str = ""
    alias_of: str = ""
    figure: bool = False

    @property
    def rfc(self) -> str:
        """The RFC's number."""
        return self.id[:4]

    @property
    def version(self) -> int:
        """The MPTCP version that it is about."""
        return 0 if self.rfc == "6824" else 1


@cache
def catalogue() -> MappingProxyType[str, Requirement]:
    """Every requirement by its id, in the order of the RFCs."""
    rows = [
        row
        for name in ("rfc8684.toml", "rfc6824.toml")
        for row in tomllib.loads(files(__package__).joinpath(name).read_text("utf-8"))[
            "requirement"
        ]
    ]
    ids = {row["number"]: row["id"] for row in rows}
    found = {}
    for row in rows:
        lists = {key: tuple(row[key]) for key in ("needs", "quotes")}
        alias = {"alias_of": ids[row["alias_of"]]} if "alias_of" in row else {}
        found[row["id"]] = Requirement(**{**row, **lists, **alias})
    return MappingProxyType(found)


@cache
def _numbers() -> dict[str, str]:
    return {each.number: each.id for each in catalogue().values()}


@cache
def _counterparts() -> dict[str, str]:
    return {each.alias_of: each.id for each in catalogue().values() if each.alias_of}


def by_id(name: str) -> Requirement:
    """The requirement of an id or a number.

    Raises:
        UsageError: There is none.
    """
    found = catalogue().get(_numbers().get(name, name))
    if found is None:
        near = [each for each in catalogue() if each.startswith(name.rpartition("-")[0])]
        hint = "perhaps: " + ", ".join(near[:5]) if near else "see the catalogue of requirements"
        raise UsageError(f"there is no requirement {name!r}", hint=hint)
    return found


def counterpart(requirement: str, version: int) -> str | None:
    """The id under which a rule's finding is reported in a connection of a version.

    Args:
        requirement: Id of a requirement that a rule judges.
        version: 0 or 1.

    Returns:
        The id itself in its own version, in version 0 its alias; ``None`` if there is none.
    """
    if catalogue()[requirement].version == version:
        return requirement
    return _counterparts().get(requirement) if version == 0 else None


def matching(prefix: str) -> Iterator[Requirement]:
    """The requirements whose id or number begins with ``prefix``, in order."""
    return (
        each
        for each in catalogue().values()
        if each.id.startswith(prefix) or each.number.startswith(prefix)
    )
