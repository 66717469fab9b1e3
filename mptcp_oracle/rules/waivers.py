"""Waivers: failures that are known and expected of an implementation, each with its reason.

A waiver is for one requirement of one target. It applies only to hosts that are said to be that
target, in versions in its range, and, if it has a pattern, only to failures whose argument
matches. One that applies to nothing is *unused*: what it excused is gone, or never was.
"""

from __future__ import annotations

import os
import re
import tomllib
from collections.abc import Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from ipaddress import ip_address, ip_network
from typing import Self

from mptcp_oracle.errors import UsageError
from mptcp_oracle.spec import by_id
from mptcp_oracle.verdict import Outcome, Verdict

__all__ = ["KINDS", "Target", "Waiver", "Waivers", "read_waivers", "target_of"]

KINDS = ("deviation", "interpretation")
"""A deviation breaks the RFC's words; an interpretation reads them in another way than we do."""

_KEYS = {
    "requirement", "kind", "since", "fixed_by", "condition", "matches", "scenario", "reason",
    "reference",
}  # fmt: skip
_NEEDED = {"requirement", "kind", "reason", "reference"}
_VERSION = re.compile(r"\d+(\.\d+)*")


@dataclass(frozen=True, slots=True, kw_only=True)
class Target:
    """A host that is known to be some implementation.

    Attributes:
        name: The implementation, such as ``linux``. version: Its version, if known.
        addresses: The addresses and networks that are its; empty stands for every host.
    """

    name: str
    version: str | None = None
    addresses: frozenset[str] = frozenset()

    def has(self, addresses: Iterable[str]) -> bool:
        """Whether one of some addresses is its."""
        networks = [ip_network(each, strict=False) for each in self.addresses]
        return any(ip_address(each) in network for each in addresses for network in networks)


@dataclass(frozen=True, slots=True, kw_only=True)
class Waiver:
    """One known failure.

    Attributes:
        target: The implementation. requirement: Id of the requirement.
        kind: One of :data:`KINDS`. since: First version that fails, fixed_by: first that does
            not, both ``None`` if it is not known or there is none.
        condition: When it fails, in words. matches: What the argument of the failure contains, as a
            regular expression. reason: Why it is expected. reference: Where to read more.
        scenario: The scenario of ``mptcp-oracle record`` that shows it, if no capture of the
            corpus does; then it is missed only where that scenario was judged.
        place: File and entry, for messages.
    """

    target: str
    requirement: str
    kind: str
    reason: str
    reference: str
    since: str | None = None
    fixed_by: str | None = None
    condition: str = ""
    matches: str = ""
    scenario: str = ""
    place: str = ""

    def covers(self, version: str | None) -> bool:
        """Whether it is for a version of its target; an unknown version may be any."""
        if version is None:
            return True
        number = _numbers(version)
        return (self.since is None or _numbers(self.since) <= number) and (
            self.fixed_by is None or number < _numbers(self.fixed_by)
        )


@dataclass(slots=True)
class Waivers:
    """Waivers and the hosts that they are for.

    Attributes:
        waivers: All of them. targets: The known hosts. used: Those that applied to something.
    """

    waivers: tuple[Waiver, ...] = ()
    targets: tuple[Target, ...] = ()
    used: set[Waiver] = field(default_factory=set)

    @classmethod
    def read(cls, files: Sequence[str | os.PathLike[str]], targets: Sequence[str]) -> Self:
        """The waivers of some files, for some hosts.

        Args:
            files: Paths of waiver files, see docs/waivers.md.
            targets: ``NAME[@VERSION][=ADDRESS,...]``, such as ``linux@6.12=10.1.1.1``.

        Raises:
            UsageError: A file is not as it should be, or waivers have no target or the other way
                round.
        """
        known = tuple(map(target_of, targets))
        waivers = read_waivers(files)
        names = {each.target for each in waivers}
        if waivers and not known:
            raise UsageError(
                "waivers apply only to hosts that are said to be their target",
                hint=f"for example --target {sorted(names)[0]}=10.1.1.1",
            )
        for each in known:
            if each.name not in names:
                raise UsageError(
                    f"there are no waivers for {each.name!r}",
                    hint=f"the files have: {', '.join(sorted(names)) or 'none'}",
                )
        return cls(waivers=waivers, targets=known)

    def applied(self, verdict: Verdict, addresses: Iterable[str]) -> Verdict:
        """A verdict, waived if it is a failure that is expected of its host.

        Args:
            verdict: The verdict.
            addresses: The addresses of the host that it is about.
        """
        if verdict.outcome is not Outcome.FAIL:
            return verdict
        of_host = frozenset(addresses)
        for target in self.targets:
            if target.addresses and not target.has(of_host):
                continue
            for waiver in self.waivers:
                if (
                    waiver.target == target.name
                    and waiver.requirement == verdict.requirement
                    and waiver.covers(target.version)
                    and re.search(waiver.matches, verdict.why)
                ):
                    self.used.add(waiver)
                    return replace(verdict, waived=f"{waiver.kind}: {waiver.reason}")
        return verdict

    def unused(self, scenarios: Collection[str] = (), *, probed: bool = False) -> Iterator[Waiver]:
        """The waivers of the known targets that applied to nothing.

        Args:
            scenarios: The scenarios whose recordings were judged.
            probed: Whether the target was probed. What only a probe brings out no capture can use
                a waiver for, and the other way round.
        """
        names = {target.name: target.version for target in self.targets}
        return (
            each
            for each in self.waivers
            if each.target in names
            and each.covers(names[each.target])
            and each not in self.used
            and (by_id(each.requirement).check == "A") == probed
            and (not each.scenario or each.scenario in scenarios)
        )


def _numbers(version: str) -> tuple[int, ...]:
    """The numbers at the start of a version; ``6.18.44-rc1`` gives (6, 18, 44)."""
    found = _VERSION.match(version)
    return tuple(map(int, found[0].split("."))) if found else ()


def target_of(text: str) -> Target:
    """A target as users write it: ``linux``, ``linux@6.12``, ``linux=10.0.0.1``.

    Several addresses or networks are separated by commas. Without any every host is the target.

    Raises:
        UsageError: It has no name, a version that does not begin with a number, or an address that
            is none.
    """
    head, _, tail = text.partition("=")
    name, _, version = head.partition("@")
    if not name or (version and not _VERSION.match(version)):
        raise UsageError(
            f"{text!r} is no target", hint="for example linux, linux@6.12 or linux@6.12=10.0.0.1"
        )
    addresses = frozenset(each.strip() for each in tail.split(",") if each.strip())
    for each in addresses:
        try:
            ip_network(each, strict=False)
        except ValueError as error:
            hint = "several are separated by commas, for example linux=10.0.0.1,10.0.1.0/24"
            raise UsageError(f"{each!r} is no address of a target", hint=hint) from error
    return Target(name=name, version=version or None, addresses=addresses)


def read_waivers(paths: Sequence[str | os.PathLike[str]]) -> tuple[Waiver, ...]:
    """The waivers of some files.

    Raises:
        UsageError: A file cannot be read, or an entry is not as it should be.
    """
    return tuple(waiver for path in paths for waiver in _of_file(os.fspath(path)))


def _of_file(path: str) -> Iterator[Waiver]:
    try:
        with open(path, "rb") as file:
            document = tomllib.load(file)
    except (OSError, tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        cause = getattr(error, "strerror", None) or str(error)
        raise UsageError("the waivers cannot be read", cause=cause, file=path) from error
    target = document.get("target")
    if document.get("schema") != 1 or not isinstance(target, str):
        raise UsageError(
            "these are no waivers", cause='no `schema = 1` and `target = "..."` in it', file=path
        )
    entries, more = document.get("waiver", []), document.keys() - {"schema", "target", "waiver"}
    if more or not (isinstance(entries, list) and all(isinstance(each, dict) for each in entries)):
        cause = f"there is {', '.join(sorted(more))} in it" if more else "`waiver` is no list"
        raise UsageError("these are no waivers", cause=cause, hint="each begins with [[waiver]]",
                         file=path)  # fmt: skip
    for number, entry in enumerate(entries, start=1):
        place = f"waiver {number}"
        wrong = (entry.keys() - _KEYS) | (_NEEDED - entry.keys())
        if wrong or any(not isinstance(value, str) for value in entry.values()):
            raise UsageError(
                f"{place} is not as it should be",
                cause=f"look at {', '.join(sorted(wrong)) or 'values that are no text'}",
                hint=f"needed: {', '.join(sorted(_NEEDED))}; allowed: {', '.join(sorted(_KEYS))}",
                file=path,
            )
        if entry["kind"] not in KINDS:
            raise UsageError(f"{place} is neither {' nor '.join(KINDS)}", file=path)
        for key in ("since", "fixed_by"):
            if key in entry and not _VERSION.match(entry[key]):
                raise UsageError(f"{key} of {place} is no version", file=path)
        try:
            re.compile(entry.get("matches", ""))
        except re.error as error:
            raise UsageError(
                f"matches of {place} is no pattern", cause=str(error), file=path
            ) from error
        try:
            found = {**entry, "requirement": by_id(entry["requirement"]).id}
        except UsageError as error:
            message = f"{place}: {error.message}"
            raise UsageError(message, hint=error.hint, file=path) from error
        yield Waiver(target=target, place=f"{path}, {place}", **found)
