"""Known differences: what dissectors are known to say otherwise, each with its argument.

``known/<dissector>.toml`` has them in order; the first that holds explains a difference. An entry
names its fields (patterns as in :mod:`fnmatch`) and its condition, a function of the dissector's
``..._conditions`` module, as narrow as the argument. It may name a trigger, a function of the
``..._triggers`` module, which says from the facts alone where the difference has to occur; then
both must hold, and ``python -m tests.triggers`` measures how often the trigger is right.
"""

from __future__ import annotations

import os
import re
import tomllib
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from importlib.resources import files
from types import ModuleType
from typing import Any

from mptcp_oracle.dissectors import (
    tcpdump_conditions,
    tcpdump_triggers,
    tshark_conditions,
    tshark_triggers,
    with_dpkt_conditions,
    with_dpkt_triggers,
)
from mptcp_oracle.dissectors.case import KINDS, Case, Place
from mptcp_oracle.errors import UsageError

__all__ = ["RIGHT", "Known", "catalogue", "covering", "read_known"]

RIGHT = ("facts", "both")
"""Who is right: the oracle's facts, or both sides, which mean different things."""

CONDITIONS = {
    "tshark": tshark_conditions,
    "tcpdump": tcpdump_conditions,
    "dpkt": with_dpkt_conditions,
}
"""Where the conditions of a dissector's catalogue are."""

TRIGGERS = {
    "tshark": tshark_triggers,
    "tcpdump": tcpdump_triggers,
    "dpkt": with_dpkt_triggers,
}
"""Where the triggers of a dissector's catalogue are, if it has any."""

PASSES = {"1": frozenset({1}), "2": frozenset({2}), "1, 2": frozenset({1, 2})}
"""With how many passes a difference is seen."""

_NEEDED = {"id", "title", "fields", "condition", "right", "section", "why"}
_KEYS = _NEEDED | {"since", "fixed_by", "capture", "upstream", "trigger", "cause", "passes"}
_NUMBERS = re.compile(r"\d+(\.\d+)*")


@dataclass(frozen=True, slots=True, kw_only=True)
class Known:
    """One kind of difference.

    Attributes:
        id: Short and stable. title: A few words. fields: Patterns of the fields that it is about.
        condition: The name of what ``holds`` asks. holds: Whether it explains a difference.
        right: One of :data:`RIGHT`. section: Section of RFC 8684, or another RFC and section.
        why: The argument. since: First version that differs, fixed_by: first that does not; empty
            if that is not known, or there is none.
        capture: A capture of the corpus that shows it. upstream: Where it was reported.
        trigger: The name of what ``foresees`` asks, or empty. foresees: Whether it has to occur at
            a place; without a trigger it may anywhere.
        cause: What it comes from; entries that one change in the dissector would mend share it.
        passes: With how many passes it is seen, one of :data:`PASSES`.
    """

    id: str
    title: str
    fields: tuple[str, ...]
    condition: str
    holds: Callable[[Case], bool] = field(compare=False)
    right: str
    section: str
    why: str
    since: str = ""
    fixed_by: str = ""
    capture: str = ""
    upstream: str = ""
    trigger: str = ""
    foresees: Callable[[Place], bool] = field(compare=False, default=lambda place: True)
    cause: str = ""
    passes: str = "1, 2"

    def explains(self, case: Case) -> bool:
        """Whether it explains a difference: it has to occur there, and looks like this."""
        return self.about(case.field) and self.foresees(case) and self.holds(case)

    def about(self, name: str) -> bool:
        """Whether it is about a field."""
        return any(fnmatchcase(name, pattern) for pattern in self.fields)

    def covers(self, version: str, passes: int = 1) -> bool:
        """Whether it is about a version and so many passes; without a number it may be any."""
        if passes not in PASSES[self.passes]:
            return False
        number = _numbers(version)
        if not number:
            return True
        return (not self.since or _numbers(self.since) <= number) and (
            not self.fixed_by or number < _numbers(self.fixed_by)
        )


def catalogue(name: str) -> tuple[Known, ...]:
    """The known differences of a dissector; none if it has no catalogue."""
    path = files(__package__).joinpath("known", f"{name}.toml")
    if not path.is_file():
        return ()
    return _entries(path.read_text("utf-8"), f"known/{name}.toml")


def read_known(paths: Sequence[str | os.PathLike[str]]) -> tuple[Known, ...]:
    """The known differences of a user's own catalogues.

    Raises:
        UsageError: One cannot be read, or an entry is not as it should be.
    """
    found: list[Known] = []
    for path in (os.fspath(each) for each in paths):
        try:
            with open(path, encoding="utf-8") as file:
                found += _entries(file.read(), path)
        except (OSError, UnicodeDecodeError) as error:
            cause = getattr(error, "strerror", None) or str(error)
            raise UsageError("the catalogue cannot be read", cause=cause, file=path) from error
    return tuple(found)


def covering(known: Iterable[Known], version: str, passes: int = 1) -> tuple[Known, ...]:
    """Those of some known differences that are about a version and so many passes."""
    return tuple(each for each in known if each.covers(version, passes))


def _entries(text: str, path: str) -> tuple[Known, ...]:
    try:
        document = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise UsageError("the catalogue is no TOML", cause=str(error), file=path) from error
    name = document.get("dissector")
    if document.get("schema") != 1 or not isinstance(name, str):
        cause = 'no `schema = 1` and `dissector = "..."` in it'
        raise UsageError("this is no catalogue of differences", cause=cause, file=path)
    conditions, triggers = _conditions(name), _own(TRIGGERS.get(name))
    found: dict[str, Known] = {}
    for number, entry in enumerate(document.get("known", ()), start=1):
        known = _entry(entry, number, conditions, triggers, path)
        if known.id in found:
            raise UsageError(
                f"entry {number} is not as it should be",
                cause=f"the id {known.id!r} stands twice",
                file=path,
            )
        found[known.id] = known
    return tuple(found.values())


def _entry(
    entry: Mapping[str, Any],
    number: int,
    conditions: Mapping[str, Callable[[Case], bool]],
    triggers: Mapping[str, Callable[[Place], bool]],
    path: str,
) -> Known:
    """One entry, checked."""
    wrong = (entry.keys() - _KEYS) | (_NEEDED - entry.keys())
    fields = entry.get("fields")
    texts = [value for key, value in entry.items() if key != "fields"]
    if not isinstance(fields, list) or not all(isinstance(each, str) for each in (*fields, *texts)):
        wrong |= {"values that are no text"}
    if wrong:
        raise UsageError(
            f"entry {number} is not as it should be",
            cause=f"look at {', '.join(sorted(wrong))}",
            hint=f"needed: {', '.join(sorted(_NEEDED))}; allowed: {', '.join(sorted(_KEYS))}",
            file=path,
        )
    choices: dict[str, Collection[str]] = {"condition": conditions, "right": RIGHT}
    if "trigger" in entry:
        choices["trigger"] = triggers
    if "passes" in entry:
        choices["passes"] = PASSES
    for key, allowed in choices.items():
        if entry[key] not in allowed:
            raise UsageError(
                f"entry {number} has the {key} {entry[key]!r}, which does not exist",
                hint=f"choose one of {', '.join(sorted(allowed)) or 'none: there are none'}",
                file=path,
            )
    values: dict[str, Any] = {"cause": entry["id"], **entry, "fields": tuple(fields or ())}
    if "trigger" in entry:
        values["foresees"] = triggers[entry["trigger"]]
    return Known(**values, holds=conditions[entry["condition"]])


def _conditions(name: str) -> Mapping[str, Callable[[Case], bool]]:
    """What a catalogue of a dissector may ask, by name."""
    conditions: dict[str, Callable[[Case], bool]] = {"always": lambda case: True}
    for kind in KINDS:
        conditions[kind] = _of_kind(kind)
    return conditions | _own(CONDITIONS.get(name))


def _own(module: ModuleType | None) -> dict[str, Any]:
    """The public functions of a module, by name."""
    return {each: getattr(module, each) for each in getattr(module, "__all__", ())}


def _of_kind(kind: str) -> Callable[[Case], bool]:
    return lambda case: case.kind == kind


def _numbers(version: str) -> tuple[int, ...]:
    """The numbers at the start of a version."""
    found = _NUMBERS.match(version)
    return tuple(map(int, found[0].split("."))) if found else ()
