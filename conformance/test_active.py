"""What only a peer brings out: the active rules, played to the local kernel with ``--live``."""

from __future__ import annotations

import os
from collections.abc import Callable

import pytest

from mptcp_oracle.live.active.command import own_waivers
from mptcp_oracle.live.active.probing import Probe, probe, rules
from mptcp_oracle.live.active.rule import ActiveRule
from mptcp_oracle.rules.waivers import Waivers
from mptcp_oracle.verdict import Outcome


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """One test a rule, of the requirements that were asked for; none without ``--live``."""
    if "rule" not in metafunc.fixturenames:
        return
    config = metafunc.config
    if not config.getoption("mptcp_live", False):
        mark = pytest.mark.skip(reason="the kernel is probed with --live")
        metafunc.parametrize("rule", [pytest.param(None, id="none", marks=mark)])
        return
    prefixes = config.getoption("mptcp_requirement", None) or [""]
    wanted = {each.name for prefix in prefixes for each in rules(prefix)}
    chosen = [each for each in rules() if each.name in wanted]
    metafunc.parametrize("rule", chosen, ids=[each.name for each in chosen])


@pytest.fixture(scope="module")
def waivers() -> Waivers:
    """The known failures of the local kernel."""
    from mptcp_oracle.live.peer.kernel import KernelTarget, missing

    wanting = missing()
    if wanting:
        complaint = "; ".join(each.message for each in wanting)
        if os.environ.get("CI") == "true":
            pytest.fail(complaint, pytrace=False)
        pytest.skip(complaint)
    return own_waivers(KernelTarget())


def test_reaction(
    rule: ActiveRule,
    waivers: Waivers,
    request: pytest.FixtureRequest,
    record_property: Callable[[str, object], None],
) -> None:
    """The kernel's reaction to the stimulus is one that the RFC allows."""
    from mptcp_oracle.live.peer.kernel import KernelTarget

    found = probe(rule, KernelTarget, waivers)
    for name, value in properties(found):
        record_property(name, value)
    settle(found, should=bool(request.config.getoption("mptcp_should", False)))


def properties(found: Probe) -> list[tuple[str, object]]:
    """What reports say of the test."""
    row, verdict = found.rule.requirement, found.verdict
    counted = verdict.count if verdict.count in ("fail", "warn", "note") else ""
    return [
        ("requirement", row.id),
        ("number", row.number),
        ("level", row.level),
        ("section", f"RFC {row.rfc} section {row.section}"),
        ("outcome", str(verdict.outcome)),
        ("severity", "expected" if verdict.waived else counted),
        ("capture", ""),
        ("frames", " ".join(map(str, verdict.frames))),
        ("why", verdict.why),
    ]


def settle(found: Probe, *, should: bool) -> None:
    """End the test: return if all is well, else fail, skip or fail expectedly.

    Raises:
        pytest.fail.Exception: The reaction is not allowed.
    """
    verdict = found.verdict
    if verdict.waived:
        pytest.xfail(f"expected, {verdict.waived}: {verdict.why}")
    if verdict.count == "fail" or (should and verdict.count == "warn"):
        pytest.fail("\n".join([verdict.why, *found.log.lines]), pytrace=False)
    if verdict.outcome is Outcome.FAIL and verdict.count == "warn":
        pytest.xfail(f"{verdict.severity}: {verdict.why}")
    if verdict.outcome is not Outcome.PASS:
        pytest.skip(f"{str(verdict.outcome).replace('_', ' ')}: {verdict.why}")
