"""Two runs of ``mptcp-oracle check --json`` compared: what a change fixed, and what it broke."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from mptcp_oracle.errors import UsageError
from mptcp_oracle.report.verdicts import worst
from mptcp_oracle.verdict import Outcome

__all__ = ["Change", "changes", "failing", "read_baseline"]

#: Capture, requirement, host.
Key = tuple[str, str, str]


@dataclass(frozen=True, slots=True, kw_only=True)
class Change:
    """Failures of a run beside those of an earlier one, each by capture, requirement, host.

    Attributes:
        new: Not in the earlier run. fixed: No longer there. same: In both.
    """

    new: tuple[Key, ...]
    fixed: tuple[Key, ...]
    same: tuple[Key, ...]

    def lines(self) -> Iterator[str]:
        """The comparison for people."""
        for word, keys in (("new", self.new), ("fixed", self.fixed)):
            for capture, requirement, host in keys:
                yield f"{word:6} {requirement} {host} ({capture})"
        yield f"{len(self.new)} new, {len(self.fixed)} fixed, {len(self.same)} unchanged"


def read_baseline(path: str, key: str = "verdicts", command: str = "check") -> list[dict[str, Any]]:
    """The captures of an earlier run, one JSON object a line.

    Args:
        path: What ``mptcp-oracle COMMAND --json`` printed.
        key: What each object has.
        command: The command.

    Raises:
        UsageError: The file cannot be read or is not of that command.
    """
    found = []
    try:
        with open(path, encoding="utf-8") as file:
            for number, line in enumerate(file, start=1):
                body = json.loads(line)
                if not isinstance(body, dict) or key not in body or body.get("schema") != 1:
                    raise UsageError(
                        f"line {number} is not what `mptcp-oracle {command} --json` prints",
                        file=path,
                    )
                found.append(body)
    except (OSError, UnicodeDecodeError, json.JSONDecodeError) as error:
        cause = getattr(error, "strerror", None) or str(error)
        raise UsageError("the baseline cannot be read", cause=cause, file=path) from error
    return found


def failing(bodies: Iterable[Mapping[str, Any]], *, should: bool) -> dict[Key, bool]:
    """By capture, requirement and host: whether it fails; only what was decided is there.

    Captures are known by the last part of their names, connections by none: two kernels number them
    alike only by chance.
    """
    outcomes: dict[Key, list[Outcome]] = {}
    grave = ("violation", "warning") if should else ("violation",)
    for body in bodies:
        name = str(body["capture"]["name"]).rpartition("/")[2]
        for each in body["verdicts"]:
            outcome = Outcome(each["outcome"])
            if outcome is Outcome.FAIL and (each["waived"] or each["severity"] not in grave):
                outcome = Outcome.PASS
            key = (name, str(each["requirement"]), str(each["host"]))
            outcomes.setdefault(key, []).append(outcome)
    decided = {key: worst(each) for key, each in outcomes.items()}
    return {
        key: outcome is Outcome.FAIL
        for key, outcome in decided.items()
        if outcome in (Outcome.PASS, Outcome.FAIL)
    }


def changes(before: Mapping[Key, bool], after: Mapping[Key, bool]) -> Change:
    """What differs; a failure whose requirement is no longer decided is not called fixed."""
    return Change(
        new=tuple(key for key, failed in after.items() if failed and not before.get(key)),
        fixed=tuple(key for key, failed in before.items() if failed and after.get(key) is False),
        same=tuple(key for key, failed in after.items() if failed and before.get(key)),
    )
