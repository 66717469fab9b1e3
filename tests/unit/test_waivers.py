"""Waivers: known failures, for hosts that are known to be of some implementation."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from mptcp_oracle.errors import UsageError
from mptcp_oracle.rules.waivers import Target, Waiver, Waivers, read_waivers, target_of
from mptcp_oracle.verdict import Outcome, Verdict

VERDICT = Verdict(
    requirement="8684-3.6-tcprst-flags-zero",
    outcome=Outcome.FAIL,
    severity="violation",
    host="initiator",
    connection=0,
    why="mp_tcprst U reason=1",
)
WAIVER = Waiver(
    target="linux",
    requirement=VERDICT.requirement,
    kind="deviation",
    reason="it always did",
    reference="net/mptcp/options.c",
)
ENTRY = """
[[waiver]]
requirement = "8684-3.6-03"
kind = "deviation"
reason = "it always did"
reference = "net/mptcp/options.c"
"""


def written(folder: Path, text: str) -> Path:
    """A file of waivers."""
    path = folder / "waivers.toml"
    path.write_text('schema = 1\ntarget = "linux"\n' + text)
    return path


def applied(waiver: Waiver, target: Target, *addresses: str) -> str | None:
    """Why the failure is expected under one waiver, of a host with these addresses."""
    waivers = Waivers(waivers=(waiver,), targets=(target,))
    return waivers.applied(VERDICT, addresses or ("10.0.0.1",)).waived


def test_a_waiver_is_for_its_target_alone() -> None:
    """A failure is expected of a host with an address of the target, and of no other."""
    linux = Target(name="linux", addresses=frozenset({"10.0.0.1"}))
    assert applied(WAIVER, linux) == "deviation: it always did"
    assert applied(WAIVER, linux, "10.0.0.2") is None
    assert applied(WAIVER, linux, "10.0.0.2", "10.0.0.1") is not None
    assert applied(WAIVER, Target(name="linux")) is not None
    assert applied(WAIVER, Target(name="freebsd")) is None


def test_a_waiver_is_for_its_requirement_alone() -> None:
    """Another requirement's failure is not expected, nor is what is no failure."""
    other = replace(WAIVER, requirement="8684-3.6-tcprst-length")
    assert applied(other, Target(name="linux")) is None
    waivers = Waivers(waivers=(WAIVER,), targets=(Target(name="linux"),))
    for outcome in Outcome:
        verdict = replace(VERDICT, outcome=outcome)
        waived = waivers.applied(verdict, ("10.0.0.1",)).waived
        assert (waived is not None) == (outcome is Outcome.FAIL)


@pytest.mark.parametrize(
    ("version", "expected"),
    [
        ("5.15", False),
        ("5.16", True),
        ("5.16.3-rc1", True),
        ("6.18.44", True),
        ("6.99", True),
        ("7.0", False),
        ("7.0.1", False),
        (None, True),
    ],
)
def test_a_waiver_is_for_its_versions(version: str | None, expected: bool) -> None:
    """It covers versions from the first that fails on, up to the first that does not."""
    waiver = replace(WAIVER, since="5.16", fixed_by="7.0")
    assert waiver.covers(version) is expected
    assert (applied(waiver, Target(name="linux", version=version)) is not None) is expected


def test_a_waiver_may_ask_for_words_of_the_argument() -> None:
    """With a pattern it applies only to failures whose argument matches."""
    target = Target(name="linux")
    assert applied(replace(WAIVER, matches="U reason=[0-3]"), target) is not None
    assert applied(replace(WAIVER, matches="V reason"), target) is None


def test_what_no_longer_applies_is_named() -> None:
    """A waiver of a known target that applied to nothing is unused, one of another is not."""
    later = replace(WAIVER, requirement="8684-3.6-tcprst-length")
    foreign = replace(WAIVER, target="freebsd")
    future = replace(later, since="9.0")
    waivers = Waivers(
        waivers=(WAIVER, later, foreign, future), targets=(Target(name="linux", version="6.18"),)
    )
    assert set(waivers.unused()) == {WAIVER, later}
    waivers.applied(VERDICT, ("10.0.0.1",))
    assert list(waivers.unused()) == [later]


def test_what_only_a_probe_brings_out_no_capture_uses() -> None:
    """A waiver of such a requirement is unused after probing alone, and no other is."""
    active = replace(WAIVER, requirement="8684-3.2-join-refused-by-reset")
    waivers = Waivers(waivers=(WAIVER, active), targets=(Target(name="linux"),))
    assert list(waivers.unused()) == [WAIVER]
    assert list(waivers.unused(probed=True)) == [active]


def test_a_waiver_of_a_scenario_is_missed_only_where_that_was_judged() -> None:
    """What only a recording on demand shows is not unused beside other captures."""
    own = replace(WAIVER, scenario="slow-reader")
    waivers = Waivers(waivers=(own,), targets=(Target(name=own.target),))
    assert list(waivers.unused()) == list(waivers.unused({"bulk"})) == []
    assert list(waivers.unused({"slow-reader"})) == [own]


def test_a_target_is_written_in_one_word() -> None:
    """NAME, NAME@VERSION and NAME=ADDRESS,... are targets."""
    assert target_of("linux") == Target(name="linux")
    assert target_of("linux@6.12") == Target(name="linux", version="6.12")
    assert target_of("linux@6.12-rc3=10.0.0.1, 2001:db8::1") == Target(
        name="linux", version="6.12-rc3", addresses=frozenset({"10.0.0.1", "2001:db8::1"})
    )


def test_networks_are_targets() -> None:
    """An address may be one of a network of a target's."""
    target = target_of("linux=10.0.0.0/16,2001:db8::/32")
    assert target.has(["192.0.2.1", "10.0.7.1"])
    assert target.has(["2001:db8::1"])
    assert not target.has(["10.1.0.1", "::1"])


@pytest.mark.parametrize(
    "text", ["", "=10.0.0.1", "@6.12", "linux@six", "linux=10.1.1", "linux=a,10.0.0.1"]
)
def test_what_is_no_target_is_refused(text: str) -> None:
    """A target without a name, or with a version that is none, is wrong usage."""
    with pytest.raises(UsageError, match=r"is no (target|address of a target)"):
        target_of(text)


def test_a_file_of_waivers_is_read(tmp_path: Path) -> None:
    """Requirements are named by number or id; what is optional may be left out."""
    more = ENTRY + 'since = "5.6"\nfixed_by = "7.1"\ncondition = "always"\nmatches = "U"\n'
    one, two = read_waivers([written(tmp_path, ENTRY + more)])
    assert one == replace(WAIVER, place=one.place)
    assert (two.since, two.fixed_by, two.condition, two.matches) == ("5.6", "7.1", "always", "U")
    assert "waiver 2" in two.place


@pytest.mark.parametrize(
    ("text", "says"),
    [
        (ENTRY.replace("deviation", "habit"), "neither deviation nor interpretation"),
        (ENTRY.replace("reason", "excuse"), "excuse, reason"),
        (ENTRY.replace('"it always did"', "3"), "no text"),
        (ENTRY.replace("8684-3.6-03", "8684-3.6-99"), "no requirement"),
        (ENTRY + 'since = "never"', "no version"),
        (ENTRY + 'matches = "("', "no pattern"),
        ("[[", "cannot be read"),
        (ENTRY.replace("[[waiver]]", "[waiver]"), "begins with [[waiver]]"),
        (ENTRY.replace("[[waiver]]", "[[waivers]]"), "there is waivers in it"),
        (ENTRY.replace("8684-3.6-03", "8684-3.6-99"), "waiver 1"),
    ],
)
def test_a_wrong_entry_is_refused(tmp_path: Path, text: str, says: str) -> None:
    """Each mistake in a file is wrong usage, and the error says where it is."""
    with pytest.raises(UsageError) as caught:
        read_waivers([written(tmp_path, text)])
    assert says in str(caught.value)


def test_a_file_that_is_something_else_is_refused(tmp_path: Path) -> None:
    """A file without schema and target, or none at all, is wrong usage."""
    path = tmp_path / "other.toml"
    with pytest.raises(UsageError, match="cannot be read"):
        read_waivers([path])
    path.write_text("a = 1\n")
    with pytest.raises(UsageError, match="these are no waivers"):
        read_waivers([path])
