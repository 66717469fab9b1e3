"""Known differences: what dissectors are known to say otherwise, each with its argument.

``known/<dissector>.toml`` has them in order; the first that holds explains a difference. An entry
names its fields (patterns as in :mod:`fnmatch`) and its condition, a function of the dissector's
``..._conditions`` module, as narrow as the argument.
"""

from __future__ import annotations

import os
import re
import tomllib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from importlib.resources import files

from mptcp_oracle.dissectors import (
    tcpdump_conditions,
    tshark_conditions,
    with_dpkt_conditions,
)
from mptcp_oracle.dissectors.case import KINDS, Case
from mptcp_oracle.errors import UsageError

__all__ = ["RIGHT", "Known", "catalogue", "read_known"]

RIGHT = ("facts", "both")
"""Who is right: the oracle's facts, or both sides, which mean different things."""

CONDITIONS = {
    "tshark": tshark_conditions,
    "tcpdump": tcpdump_conditions,
    "dpkt": with_dpkt_conditions,
}
"""Where the conditions of a dissector's catalogue are."""

_NEEDED = {"id", "title", "fields", "condition", "right", "section", "why"}
_KEYS = _NEEDED | {"since", "fixed_by", "capture", "upstream"}
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

    def about(self, name: str) -> bool:
        """Whether it is about a field."""
        return any(fnmatchcase(name, pattern) for pattern in self.fields)

    def covers(self, version: str) -> bool:
        """Whether it is about a version; one that has no number may be any."""
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


def _entries(text: str, path: str) -> tuple[Known, ...]:
    try:
        document = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise UsageError("the catalogue is no TOML", cause=str(error), file=path) from error
    name = document.get("dissector")
    if document.get("schema") != 1 or not isinstance(name, str):
        cause = 'no `schema = 1` and `dissector = "..."` in it'
        raise UsageError("this is no catalogue of differences", cause=cause, file=path)
    conditions = _conditions(name)
    found: dict[str, Known] = {}
    for number, entry in enumerate(document.get("known", ()), start=1):
        place = f"entry {number}"
        wrong = (entry.keys() - _KEYS) | (_NEEDED - entry.keys())
        fields = entry.get("fields")
        texts = [value for key, value in entry.items() if key != "fields"]
        if not isinstance(fields, list) or not all(
            isinstance(each, str) for each in (*fields, *texts)
        ):
            wrong |= {"values that are no text"}
        if wrong:
            raise UsageError(
                f"{place} is not as it should be",
                cause=f"look at {', '.join(sorted(wrong))}",
                hint=f"needed: {', '.join(sorted(_NEEDED))}; allowed: {', '.join(sorted(_KEYS))}",
                file=path,
            )
        if entry["condition"] not in conditions:
            raise UsageError(
                f"{place} has the condition {entry['condition']!r}, which does not exist",
                hint=f"choose one of {', '.join(sorted(conditions))}",
                file=path,
            )
        if entry["right"] not in RIGHT or entry["id"] in found:
            raise UsageError(
                f"{place} is not as it should be",
                cause=f"right is {' or '.join(RIGHT)}, and each id stands once",
                file=path,
            )
        values = {**entry, "fields": tuple(fields or ())}
        found[entry["id"]] = Known(**values, holds=conditions[entry["condition"]])
    return tuple(found.values())


def _conditions(name: str) -> Mapping[str, Callable[[Case], bool]]:
    """What a catalogue of a dissector may ask, by name."""
    conditions: dict[str, Callable[[Case], bool]] = {"always": lambda case: True}
    for kind in KINDS:
        conditions[kind] = _of_kind(kind)
    own = CONDITIONS.get(name)
    return conditions | {each: getattr(own, each) for each in getattr(own, "__all__", ())}


def _of_kind(kind: str) -> Callable[[Case], bool]:
    return lambda case: case.kind == kind


def _numbers(version: str) -> tuple[int, ...]:
    """The numbers at the start of a version."""
    found = _NUMBERS.match(version)
    return tuple(map(int, found[0].split("."))) if found else ()
