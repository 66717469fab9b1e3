"""One run of the suite: captures judged once, and the findings that become its tests."""

from __future__ import annotations

import glob
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import cached_property
from importlib.resources import files
from pathlib import Path
from typing import NoReturn

import pytest
from mptcp_oracle.conformance.contents import requirements_of
from mptcp_oracle.conformance.live import Live, Result, chosen, make
from mptcp_oracle.conformance.sidecars import sidecar_of

from mptcp_oracle.errors import OracleError, UsageError
from mptcp_oracle.oracle import judge
from mptcp_oracle.report.inputs import captures
from mptcp_oracle.report.verdicts import grave, place, worst
from mptcp_oracle.rules.context import networks
from mptcp_oracle.rules.waivers import Target, Waiver, Waivers, read_waivers, target_of
from mptcp_oracle.spec import Requirement, by_id, catalogue, matching
from mptcp_oracle.verdict import Outcome, Verdict

__all__ = ["Check", "Finding", "Judged", "Session", "bundled"]

WAIVERS = Path(__file__).parent / "waivers"


def bundled() -> list[str]:
    """The recordings of the Linux kernel that come with the package, by name."""
    folder = files("mptcp_oracle.corpus") / "kernel"
    return sorted(str(each) for each in folder.iterdir() if each.name.endswith(".pcapng"))


@dataclass(frozen=True, slots=True, kw_only=True)
class Judged:
    """One capture and all verdicts on it.

    Attributes:
        path: The file. label: Its name in test ids. verdicts: Those exercised.
        error: Why it could not be read, if it could not.
    """

    path: str
    label: str
    verdicts: tuple[Verdict, ...] = ()
    error: str | None = None

    @property
    def decided(self) -> bool:
        """Whether anything passed or failed."""
        return any(each.outcome in (Outcome.PASS, Outcome.FAIL) for each in self.verdicts)


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """One test: a requirement and what a capture, or one of its connections, shows of it.

    Attributes:
        requirement: What is judged. capture: Where. connection: The only one, with
            ``--by-connection``.
        verdicts: The verdicts, one a host and connection; none if it is not exercised.
        should: Whether warnings count.
    """

    requirement: Requirement
    capture: Judged | None
    verdicts: tuple[Verdict, ...]
    connection: int | None = None
    should: bool = False

    @property
    def name(self) -> str:
        """The test's id in brackets."""
        words = [self.requirement.id]
        if self.capture is not None:
            words.append(self.capture.label)
        if self.connection is not None:
            kind = "connection" if self.connection >= 0 else "unattached"
            words.append(f"{kind}-{abs(self.connection)}")
        return "-".join(words)

    @property
    def outcome(self) -> Outcome:
        """What the verdicts amount to."""
        return worst(each.outcome for each in self.verdicts)

    def properties(self) -> Iterator[tuple[str, object]]:
        """What reports say of the test, as JUnit XML has it."""
        frames = sorted({frame for each in self._shown() for frame in each.frames})
        yield "requirement", self.requirement.id
        yield "number", self.requirement.number
        yield "level", self.requirement.level
        yield "section", f"RFC {self.requirement.rfc} section {self.requirement.section}"
        yield "outcome", str(self.outcome)
        yield "severity", self._severity()
        yield "capture", "" if self.capture is None else self.capture.path
        yield "frames", " ".join(map(str, frames))
        yield "why", self._why()

    def _shown(self) -> list[Verdict]:
        return [each for each in self.verdicts if each.outcome is self.outcome]

    def _severity(self) -> str:
        counts = [each.count for each in self._shown() if each.waived is None]
        for word in ("fail", "warn", "note"):
            if word in counts:
                return word
        return "expected" if self.outcome is Outcome.FAIL else ""

    def _why(self) -> str:
        return "; ".join(dict.fromkeys(each.why for each in self._shown() if each.why))

    def settle(self) -> None:
        """End the test: return if all is well, else fail, skip or fail expectedly.

        Raises:
            pytest.fail.Exception: A host broke the requirement.
        """
        if not self.verdicts:
            pytest.fail("no capture exercises it", pytrace=False)
        found = grave(self.verdicts, should=self.should)
        if found:
            pytest.fail("\n".join(self._argument(found)), pytrace=False)
        if self.outcome is Outcome.FAIL:
            worse = [each for each in self._shown() if each.waived or each.severity == "warning"]
            for first in worse[:1]:
                word = f"expected, {first.waived}" if first.waived else first.severity
                pytest.xfail(f"{word}: {place(first)}: {first.why}")
            return  # a note counts for nothing
        if self.outcome is not Outcome.PASS:
            pytest.skip(f"{str(self.outcome).replace('_', ' ')}: {self._why()}")

    def _argument(self, found: list[Verdict]) -> Iterator[str]:
        row, capture = self.requirement, "" if self.capture is None else self.capture.path
        yield f"{row.id} ({row.level}, RFC {row.rfc} section {row.section})"
        yield row.summary
        for each in found:
            yield f"  {capture}: {place(each)}: {each.why}"
        yield f"more: mptcp-oracle explain {capture} {row.id}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Check:
    """One test of the run itself: of a capture that it judges, or of all its waivers.

    Attributes:
        name: The test's id in brackets. complaints: Why it fails, if it does.
        skipped: Why it cannot be made, if so.
    """

    name: str
    complaints: tuple[str, ...] = ()
    skipped: str | None = None

    def settle(self) -> None:
        """End the test.

        Raises:
            pytest.fail.Exception: There are complaints.
            pytest.skip.Exception: It cannot be made here.
        """
        if self.skipped is not None:
            pytest.skip(self.skipped)
        if self.complaints:
            pytest.fail("\n".join(self.complaints), pytrace=False)


class Session:
    """The captures of a run and what was asked for.

    Attributes:
        config: Pytest's configuration, with the plugin's options.
    """

    def __init__(self, config: pytest.Config) -> None:
        self.config = config

    def _option(self, name: str) -> list[str]:
        return list(self.config.getoption(f"mptcp_{name}") or ())

    def _flag(self, name: str) -> bool:
        return bool(self.config.getoption(f"mptcp_{name}"))

    @property
    def given(self) -> bool:
        """Whether captures were named, or the bundled ones are judged."""
        return bool(self._option("pcap"))

    @property
    def wants_live(self) -> bool:
        """Whether scenarios are to be recorded on the local kernel."""
        return self._flag("live")

    @cached_property
    def live(self) -> Live | None:
        """The recordings made for this run, if any are."""
        if not self.wants_live:
            return None
        folder: str | None = self.config.getoption("mptcp_live_folder")
        try:
            names = chosen(self._option("scenario"))
            where = None if folder is None else str(self.config.invocation_params.dir / folder)
            return make(names, where, self._tell)
        except OracleError as error:
            _refuse(error)

    def _tell(self, words: str) -> None:
        """A line of progress, where a person watches."""
        reporter = self.config.pluginmanager.get_plugin("terminalreporter")
        if reporter is not None and reporter.isatty:
            reporter.rewrite(f"mptcp-oracle: {words}", erase=True)

    @cached_property
    def paths(self) -> list[str]:
        """The captures to judge, sorted within folders and patterns."""
        if self.live is not None:
            return self.live.captures
        try:
            named = [path for each in self._option("pcap") for path in self._matched(each)]
            return captures(named) if named else bundled()
        except OracleError as error:
            _refuse(error)

    def _matched(self, pattern: str) -> list[str]:
        """The files of a pattern; a name without wildcards is itself."""
        root = self.config.invocation_params.dir
        found = sorted(glob.glob(pattern, root_dir=root)) if glob.has_magic(pattern) else [pattern]
        if not found:
            raise UsageError(f"no file matches {pattern!r}")
        return [each if each == "-" else str(root / each) for each in found]

    @cached_property
    def prefixes(self) -> list[str]:
        """The requirements asked for."""
        found = self._option("requirement")
        try:
            for prefix in found:
                if next(matching(prefix), None) is None:
                    by_id(prefix)
        except OracleError as error:
            _refuse(error)
        return found

    @cached_property
    def known(self) -> tuple[tuple[Waiver, ...], tuple[Target, ...]]:
        """The suite's own waivers and those that were named, and the targets that were."""
        try:
            own = sorted(WAIVERS.glob("*.toml"))
            waivers = read_waivers([*own, *self._option("waivers")])
            targets = tuple(map(target_of, self._option("target")))
            names = {each.target for each in waivers}
            for each in targets:
                if each.name not in names:
                    hint = f"there are some for {', '.join(sorted(names))}"
                    raise UsageError(f"there are no waivers for {each.name!r}", hint=hint)
            if self._option("waivers") and not targets and self.given:
                known = [sidecar_of(path).targets for path in self.paths]
                if not any(known):
                    raise UsageError(
                        "waivers apply only to hosts that are said to be their target",
                        hint="for example --target linux=10.1.1.1",
                    )
            return waivers, targets
        except OracleError as error:
            _refuse(error)

    def check(self) -> None:
        """Refuse options that contradict each other or name what is not there.

        Raises:
            pytest.UsageError: They do.
        """
        live = [
            name for name in ("scenario", "live_folder") if self.config.getoption(f"mptcp_{name}")
        ]
        try:
            networks(self._option("local"))
            if live and not self.wants_live:
                raise UsageError(f"--{live[0].replace('_', '-')} needs --live")
            for name in ("pcap", "local", "host", "whole") if self.wants_live else ():
                if self.config.getoption(f"mptcp_{name}"):
                    raise UsageError(f"--live and --{name} exclude each other")
            several = getattr(self.config.option, "numprocesses", None)
            if self.wants_live and (several or hasattr(self.config, "workerinput")):
                hint = "leave out -n: --live records two scenarios at a time by itself"
                raise UsageError("--live does not work under pytest-xdist", hint=hint)
        except OracleError as error:
            _refuse(error)
        for name in ("paths", "prefixes", "known"):
            getattr(self, name)

    @cached_property
    def judged(self) -> list[Judged]:
        """Every capture, judged; each with the waivers of its own targets."""
        names = [Path(path).name.partition(".")[0] for path in self.paths]
        labels = names if len(set(names)) == len(names) else self.paths
        return [self._judge(path, label) for path, label in zip(self.paths, labels, strict=True)]

    @cached_property
    def unused(self) -> list[Waiver]:
        """The waivers that applied to nothing in any capture of their targets."""
        list(self.judged)
        played = {name for name in map(_scenario, self.paths) if name is not None}
        used = {each for one in self._applied for each in one.used}
        able = {each for one in self._applied for each in one.unused(played)}
        return sorted(able - used, key=lambda each: (each.place, each.requirement))

    @cached_property
    def _applied(self) -> list[Waivers]:
        return []

    def _judge(self, path: str, label: str) -> Judged:
        waivers, targets = self.known
        sidecar = sidecar_of(path)
        own = Waivers(waivers=waivers, targets=targets or sidecar.targets)
        self._applied.append(own)
        try:
            with judge(
                path,
                local=self._option("local"),
                whole=True if self._flag("whole") else sidecar.whole,
                waivers=own,
                host=sidecar.kernel if self.live else self.config.getoption("mptcp_host"),
            ) as judgement:
                return Judged(path=path, label=label, verdicts=tuple(judgement.verdicts()))
        except UsageError as error:
            _refuse(error)
        except (OracleError, OSError) as error:
            return Judged(path=path, label=label, error=str(error))

    def findings(self, module: str) -> Iterator[Finding]:
        """The tests of a module: requirement by requirement, capture by capture."""
        split, should = self._flag("by_connection"), self._flag("should")
        for row in requirements_of(module):
            if self.prefixes and not any(row in matching(prefix) for prefix in self.prefixes):
                continue
            exercised = False
            for capture in self.judged:
                found = tuple(each for each in capture.verdicts if each.requirement == row.id)
                numbers = _in_order(each.connection for each in found) if split else [None]
                for number in numbers if found else ():
                    exercised = True
                    yield Finding(
                        requirement=row,
                        capture=capture,
                        verdicts=tuple(each for each in found if number in (None, each.connection)),
                        connection=number,
                        should=should,
                    )
            if not exercised and self._flag("fail_not_exercised"):
                yield Finding(requirement=row, capture=None, verdicts=(), should=should)

    def live_checks(self, name: str) -> list[Check]:
        """The tests of what was recorded: ``test_recording`` or ``test_agreement``."""
        if self.live is None:
            return []
        found = self.live.recordings() if name == "test_recording" else self._agreements
        return [
            Check(name=each.name, complaints=each.complaints, skipped=each.skipped)
            for each in found
        ]

    @cached_property
    def _agreements(self) -> list[Result]:
        return [] if self.live is None else list(self.live.agreements())

    def checks(self) -> Iterator[Check]:
        """The tests of each capture, and one of the waivers if none may be left over."""
        for each in self.judged:
            if each.error is not None:
                yield Check(name=each.label, complaints=(each.error,))
            elif self.given:
                empty = not (each.decided or self._flag("allow_empty"))
                why = f"{each.path}: nothing could be judged: no requirement passed or failed"
                yield Check(name=each.label, complaints=(why,) if empty else ())
        if self._flag("strict_waivers"):
            left = (f"{each.place} ({each.requirement}) applies to nothing" for each in self.unused)
            yield Check(name="waivers", complaints=tuple(left))

    def complaints(self) -> list[str]:
        """What fails a run without being a requirement, whichever tests are selected."""
        found = [*self.checks(), *self.live_checks("test_recording")]
        return [complaint for each in found for complaint in each.complaints]

    def end(self, *, failed: bool) -> str | None:
        """Let go of what was recorded for the run; where it is, if it is kept.

        Args:
            failed: Whether anything went wrong, so that somebody will want to look at it.
        """
        live = self.__dict__.get("live")
        return live.close(failed=failed) if live is not None else None

    def exercised(self) -> list[str]:
        """How much of the RFCs the captures decided, and which captures these were."""
        decided = {
            each.requirement
            for capture in self.judged
            for each in capture.verdicts
            if each.outcome in (Outcome.PASS, Outcome.FAIL)
        }
        words = []
        for rfc in ("8684", "6824"):
            every = [
                each
                for each in catalogue().values()
                if each.rfc == rfc and each.check in ("P", "P-A")
            ]
            words.append(
                f"RFC {rfc}: {sum(each.id in decided for each in every)} of {len(every)} "
                "requirements that a capture can decide were decided"
            )
        if self.live is not None:
            words.append(f"{len(self.live.captures)} scenarios were recorded on the local kernel")
        elif not self.given:
            words.append("no --pcap was given: these were the bundled recordings of Linux")
        return words


def _scenario(path: str) -> str | None:
    """The scenario that a capture is a recording of."""
    return sidecar_of(path).scenario


def _in_order(numbers: Iterable[int]) -> list[int]:
    """Ids of connections, those of unattached subflows last."""
    return sorted(set(numbers), key=lambda number: (number < 0, abs(number)))


def _refuse(error: OracleError) -> NoReturn:
    """End the run as pytest does for wrong usage."""
    raise pytest.UsageError(str(error)) from error
