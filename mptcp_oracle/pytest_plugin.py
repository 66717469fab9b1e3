"""The pytest plugin: ``pytest conformance/ --pcap trace.pcapng``.

It adds the options of the conformance suite and, for the modules of that suite alone, makes one
test of each requirement and capture. Nothing heavy is imported until such a module is collected.
"""

from __future__ import annotations

from argparse import ArgumentError
from collections.abc import Iterable
from contextlib import suppress
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from mptcp_oracle.conformance.session import Check, Finding, Session

__all__ = ["OPTIONS"]

OPTIONS: tuple[tuple[str, dict[str, Any]], ...] = (
    ("--pcap", {
        "action": "append", "metavar": "FILE", "help":
        "judge this capture, the captures in this folder, or those of this pattern; repeatable",
    }),
    ("--live", {
        "action": "store_true", "help":
        "record scenarios on the local kernel (root needed) and judge these, "
        "also beside what the kernel knows",
    }),
    ("--scenario", {
        "action": "append", "metavar": "PATTERN", "help":
        "with --live: only scenarios of this pattern, such as 'fast-close-*'; repeatable",
    }),
    ("--live-folder", {
        "metavar": "DIR", "help":
        "with --live: keep the recordings here, not only if something fails",
    }),
    ("--requirement", {
        "action": "append", "metavar": "PREFIX", "help":
        "only requirements whose id or number begins so, such as 8684-3.2; repeatable",
    }),
    ("--should", {"action": "store_true", "help": "let broken SHOULDs fail, too"}),
    ("--waivers", {
        "action": "append", "metavar": "FILE", "help":
        "known failures; repeatable. The suite's own are always read",
    }),
    ("--target", {
        "action": "append", "metavar": "NAME[@VERSION][=ADDRESS,...]", "help":
        "which hosts waivers are for, such as linux@6.12=10.1.1.1; repeatable",
    }),
    ("--strict-waivers", {
        "action": "store_true", "help": "fail if a waiver of a target applies to nothing any more",
    }),
    ("--fail-not-exercised", {
        "action": "store_true", "help": "fail requirements that no capture exercises",
    }),
    ("--allow-empty", {
        "action": "store_true", "help": "let a capture pass in which nothing could be judged",
    }),
    ("--local", {
        "action": "append", "metavar": "ADDRESS[/LEN]", "help":
        "captures were made at the host with this address; repeatable",
    }),
    ("--whole", {
        "action": "store_true", "help":
        "captures lack no frame that passed there, though the files do not say so",
    }),
    ("--host", {
        "metavar": "initiator|listener|ADDRESS", "help":
        "judge this end only: the other may be somebody else's stack or a test tool",
    }),
    ("--by-connection", {
        "action": "store_true", "help": "one test a connection, not one a capture",
    }),
)  # fmt: skip
"""The options of the suite."""

ARGUMENTS = ("check", "finding")
"""What the tests of the suite are given, each test one."""

PREFIX = "--mptcp-"
_SESSION = pytest.StashKey["Session | None"]()


def pytest_addoption(parser: pytest.Parser) -> None:
    """Add the options; one whose name another plugin has is there with the prefix --mptcp-."""
    group = parser.getgroup("mptcp", "conformance of Multipath TCP captures (mptcp-oracle)")
    for name, settings in OPTIONS:
        where = {"dest": "mptcp_" + name[2:].replace("-", "_")}
        with suppress(ValueError, ArgumentError):
            group.addoption(name, **settings, **where)
            continue
        group.addoption(PREFIX + name[2:], **settings, **where)


def _is_suite(module: object) -> bool:
    """Whether a module is one of the conformance suite, however it was imported."""
    from pathlib import Path

    import mptcp_oracle.conformance as suite

    file = getattr(module, "__file__", None)
    return file is not None and Path(file).resolve().parent in {
        Path(each).resolve() for each in suite.__path__
    }


def _session(config: pytest.Config) -> Session:
    from mptcp_oracle.conformance.session import Session

    found = config.stash.get(_SESSION, None)
    if found is None:
        found = config.stash[_SESSION] = Session(config)
    return found


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """One test of the suite for each capture, and each requirement that it exercises."""
    wanted = [each for each in ARGUMENTS if each in metafunc.fixturenames]
    if not wanted or not _is_suite(metafunc.module):
        return
    session, (argument,) = _session(metafunc.config), wanted
    found: list[Check] | list[Finding]
    module = metafunc.module.__name__.rpartition(".")[2]
    if argument == "check" and module == "test_live":
        found = session.live_checks(metafunc.function.__name__)
    elif argument == "check":
        found = list(session.checks())
    else:
        found = list(session.findings(module))
    # A module that has nothing to test gets a placeholder, which goes before anything runs.
    metafunc.parametrize(argument, found or [None], ids=[each.name for each in found] or ["none"])


@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Give each test what reports say of it, and take out the placeholders."""
    if config.stash.get(_SESSION, None) is None:
        return
    kept = []
    for item in items:
        params = getattr(getattr(item, "callspec", None), "params", {})
        ours = params.keys() & set(ARGUMENTS) and _is_suite(getattr(item, "module", None))
        if ours and None in params.values():
            continue
        kept.append(item)
        if ours and "finding" in params:
            item.user_properties.extend(params["finding"].properties())
    items[:] = kept


def pytest_report_header(config: pytest.Config) -> str | None:
    """What is judged, if captures are named."""
    named = config.getoption("mptcp_pcap")
    if config.getoption("mptcp_live"):
        return "mptcp-oracle: recording scenarios on the local kernel, and judging them"
    return f"mptcp-oracle: judging {', '.join(named)}" if named else None


def pytest_configure(config: pytest.Config) -> None:
    """Listen to what the tests of the suite report."""
    config.pluginmanager.register(_Reporter(config), "mptcp_oracle.reporter")


class _Reporter:
    """What a run has to say at its end, gathered here or from the workers of pytest-xdist."""

    def __init__(self, config: pytest.Config) -> None:
        self.config = config
        self.reports: list[dict[str, str]] = []
        self.complaints: list[str] = []
        self.exercised: list[str] = []
        self.where: str | None = None

    @pytest.hookimpl(tryfirst=True)
    def pytest_collection(self) -> None:
        """Refuse options that make no sense, once, before any module is collected."""
        names = ("pcap", "live", "scenario", "live_folder", "requirement", "waivers", "target",
                 "local")  # fmt: skip
        if any(self.config.getoption(f"mptcp_{name}") for name in names):
            _session(self.config).check()

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        """Keep the properties of a test of the suite."""
        found = dict(report.user_properties)
        told = report.when == "call" or report.outcome != "passed"
        if told and "requirement" in found and "severity" in found:
            self.reports.append({key: str(value) for key, value in found.items()})

    @pytest.hookimpl(tryfirst=True)
    def pytest_sessionfinish(self, session: pytest.Session) -> None:
        """Fail a run whose captures show nothing, or whose waivers are not needed any more."""
        found = self.config.stash.get(_SESSION, None)
        well = (pytest.ExitCode.OK, pytest.ExitCode.NO_TESTS_COLLECTED)
        # Who was refused, or has interrupted the run, does not wait for captures to be judged.
        ended = session.exitstatus in (*well, pytest.ExitCode.TESTS_FAILED)
        if found is not None and ended:
            self._hear(found.complaints(), found.exercised())
        output = getattr(self.config, "workeroutput", None)
        if output is not None:
            output["mptcp_oracle"] = [self.complaints, self.exercised]
        if self.complaints and session.exitstatus in well:
            session.exitstatus = pytest.ExitCode.TESTS_FAILED
        if found is not None:
            self.where = found.end(failed=session.exitstatus not in well)

    @pytest.hookimpl(optionalhook=True)
    def pytest_testnodedown(self, node: Any) -> None:
        """Hear what a worker says when it ends; all of them judged the same captures."""
        self._hear(*getattr(node, "workeroutput", {}).get("mptcp_oracle", ((), ())))

    def _hear(self, complaints: Iterable[str], exercised: Iterable[str]) -> None:
        self.complaints += [each for each in complaints if each not in self.complaints]
        self.exercised += [each for each in exercised if each not in self.exercised]

    def pytest_terminal_summary(self, terminalreporter: Any) -> None:
        """Violations first, then warnings, doubts with their reasons, how much was exercised."""
        if not (self.reports or self.complaints or self.exercised):
            return
        from mptcp_oracle.conformance.summary import lines

        terminalreporter.section("conformance of Multipath TCP")
        for line in lines(self.reports, self.complaints, self.exercised):
            terminalreporter.write_line(line)
        if self.where is not None:
            terminalreporter.write_line(self.where)
