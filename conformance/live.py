"""Scenarios recorded on the local kernel for one run of the suite, and what is checked of them."""

from __future__ import annotations

import fnmatch
import shutil
import tempfile
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from mptcp_oracle.errors import AdapterError, OracleError, UsageError
from mptcp_oracle.live.agreement import CHECKS, disagreements
from mptcp_oracle.live.batch import Done, record_many
from mptcp_oracle.live.scenarios import SCENARIOS
from mptcp_oracle.live.stopping import terminable
from mptcp_oracle.live.tools import missing_needs, require_needs

__all__ = ["JOBS", "Live", "Result", "chosen", "make"]

#: Scenarios that are recorded at a time.
JOBS = 2


@dataclass(frozen=True, slots=True, kw_only=True)
class Result:
    """One test of a recording.

    Attributes:
        name: The test's id. complaints: Why it fails, if it does. skipped: Why it cannot be made.
    """

    name: str
    complaints: tuple[str, ...] = ()
    skipped: str | None = None


@dataclass(slots=True, kw_only=True)
class Live:
    """The recordings of a run.

    Attributes:
        folder: Where they are. kept: Whether the user named the folder, and keeps them.
        done: What came of each scenario, in the order of the table.
        skipped: Scenarios that cannot be recorded here, with the reason.
    """

    folder: Path
    kept: bool
    done: list[Done] = field(default_factory=list)
    skipped: dict[str, str] = field(default_factory=dict)

    @property
    def captures(self) -> list[str]:
        """The captures, in the order of the table."""
        return [str(each.capture) for each in self.done if each.capture is not None]

    def recordings(self) -> Iterator[Result]:
        """Whether each scenario was recorded and shows what it claims."""
        for name, why in self.skipped.items():
            yield Result(name=name, skipped=why)
        for each in self.done:
            complaints = [] if each.error is None else [each.error]
            if each.missing:
                complaints.append(
                    f"{each.name} does not show what it claims (missing in {each.attempts} "
                    f"attempts: {', '.join(each.missing)})"
                )
            yield Result(name=each.name, complaints=tuple(complaints))

    def agreements(self) -> Iterator[Result]:
        """Whether the oracle agrees with each sidecar, check by check."""
        for each in self.done:
            if each.sidecar is None:
                continue
            try:
                found = disagreements(each.sidecar)
            except OracleError as error:
                yield Result(name=each.name, complaints=(str(error),))
                continue
            for check in CHECKS:
                where = tuple(f"{each.capture}: {complaint}" for complaint in found[check])
                yield Result(name=f"{each.name}-{check}", complaints=where)

    def close(self, *, failed: bool) -> str | None:
        """Remove the recordings, unless somebody wants to look at them; then say where they are."""
        if self.kept or failed:
            return f"the recordings are in {self.folder}"
        shutil.rmtree(self.folder, ignore_errors=True)
        return None


def chosen(patterns: Sequence[str]) -> list[str]:
    """The scenarios of some patterns, or all, in the order of the table.

    Raises:
        UsageError: A pattern matches none.
    """
    for pattern in patterns:
        if not fnmatch.filter(SCENARIOS, pattern):
            raise UsageError(
                f"no scenario matches {pattern!r}", hint="mptcp-oracle record --list shows them"
            )
    wanted = patterns or ["*"]
    return [name for name in SCENARIOS if any(fnmatch.fnmatchcase(name, each) for each in wanted)]


def make(
    names: Sequence[str], folder: str | None, say: Callable[[str], None] | None = None
) -> Live:
    """Record scenarios, two at a time.

    Args:
        names: The scenarios.
        folder: Where to keep the recordings, or ``None`` for a temporary folder.
        say: Told how far it is.

    Raises:
        AdapterError: A need is not met, and none of the scenarios can be recorded.
    """
    require_needs(filters=False)
    lacking: list[AdapterError] = missing_needs()
    skipped = {name: str(lacking[0]) for name in names if lacking and SCENARIOS[name].filters}
    made = tempfile.mkdtemp(prefix="mptcp-oracle-live-") if folder is None else folder
    live = Live(folder=Path(made), kept=folder is not None, skipped=skipped)
    wanted = [name for name in names if name not in skipped]
    try:
        with terminable():
            for count, each in enumerate(
                record_many(wanted, live.folder, jobs=JOBS, attempts=5), 1
            ):
                live.done.append(each)
                if say is not None:
                    say(f"recorded {count} of {len(wanted)}: {each.name}")
    except BaseException:
        live.close(failed=False)
        raise
    live.done.sort(key=lambda each: wanted.index(each.name))
    return live
