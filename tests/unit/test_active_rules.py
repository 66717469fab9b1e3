"""Active rules: each passes on a right implementation and fails on one with its fault."""

from __future__ import annotations

import json
from collections import Counter
from dataclasses import replace
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

import mptcp_oracle
from mptcp_oracle.errors import UsageError
from mptcp_oracle.live.active import page
from mptcp_oracle.live.active.command import make_target, own_waivers, probe_command
from mptcp_oracle.live.active.probing import Probe, probe, rules
from mptcp_oracle.live.active.results import body, status, write_capture
from mptcp_oracle.live.active.rule import ActiveRule, seen
from mptcp_oracle.live.active.stage import Stage
from mptcp_oracle.live.peer.target import Settings
from mptcp_oracle.live.stack import FAULTS, StackTarget
from mptcp_oracle.rules.waivers import Target, Waiver, Waivers
from mptcp_oracle.spec import catalogue
from mptcp_oracle.verdict import Outcome
from tests.common.checkout import ROOT

RULES = rules()
PAGE = ROOT / "docs" / "probing.md"


def played(rule: ActiveRule, *faults: str, family: int = 4) -> Probe:
    """A rule played to our own stack."""
    settings = replace(rule.settings, family=family)
    return probe(replace(rule, settings=settings), lambda it: StackTarget(it, frozenset(faults)))


@pytest.mark.parametrize("family", [4, 6])
@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule.name)
def test_a_right_implementation_passes(rule: ActiveRule, family: int) -> None:
    """The reaction of a stack without fault is one that the rule allows, in both families."""
    found = played(rule, family=family)
    assert found.verdict.outcome is Outcome.PASS, "\n".join([found.reaction, *found.log.lines])
    assert found.verdict.frames == ()


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule.name)
def test_a_wrong_implementation_fails(rule: ActiveRule) -> None:
    """The stack with the fault that the rule is about fails, and frames show it."""
    found = played(rule, rule.fault)
    assert found.verdict.outcome is Outcome.FAIL, "\n".join([found.reaction, *found.log.lines])
    assert found.verdict.requirement == rule.requirement.id
    assert found.verdict.frames
    assert max(found.verdict.frames) <= len(found.log.frames)


def test_every_class_a_requirement_has_a_rule() -> None:
    """All of RFC 8684 that only a peer brings out is probed, and nothing else is."""
    wanted = {each.number for each in catalogue().values() if each.fate == "probed"}
    assert {rule.number for rule in RULES} == wanted
    assert len(wanted) == 72


def test_every_fault_is_somebodys() -> None:
    """The stack has no fault that no rule is about, and no rule an unknown one."""
    assert {rule.fault for rule in RULES} == set(FAULTS)


def test_names_and_reactions_are_told_apart() -> None:
    """No two rules have one name, and no reaction is both allowed and not."""
    assert max(Counter(rule.name for rule in RULES).values()) == 1
    for rule in RULES:
        words = [*rule.allowed, *rule.wrong, *rule.aside]
        assert len(words) == len(set(words))


def test_an_unknown_reaction_is_an_error() -> None:
    """A script cannot say what its rule does not know."""
    with pytest.raises(ValueError, match="knows no reaction 'a song'"):
        RULES[0].outcome(seen("a song"))


def test_a_hung_implementation_is_no_failure() -> None:
    """If nothing answers where a script has not got to its stimulus, the verdict is open."""

    class Deaf(StackTarget):
        def send(self, packet: bytes) -> None:
            del packet

    rule = next(each for each in RULES if each.number == "8684-3.2-22")
    found = probe(rule, Deaf)
    assert found.verdict.outcome is Outcome.INCONCLUSIVE
    assert "does not answer" in found.reaction
    assert found.verdict.frames == (1,)
    assert status([found], should=True) == 4


def test_a_setting_that_a_target_lacks_is_not_exercised() -> None:
    """Nothing is played to a target that cannot be set up as the rule wants."""

    class Plain(StackTarget):
        lacks = "it has no switch"

    found = probe(RULES[0], Plain)
    assert found.verdict.outcome is Outcome.NOT_EXERCISED
    assert found.log.frames == []


def test_a_known_failure_is_waived() -> None:
    """A waiver of the target makes a failure expected, and is used."""
    rule = next(each for each in RULES if each.number == "8684-3.2-10")
    waiver = Waiver(
        target="stack", requirement=rule.requirement.id, kind="deviation", reason="so be it",
        reference="here",
    )  # fmt: skip
    waivers = Waivers(waivers=(waiver,), targets=(Target(name="stack"),))
    found = probe(rule, lambda it: StackTarget(it, frozenset({rule.fault})), waivers)
    assert found.verdict.waived == "deviation: so be it"
    assert waivers.used == {waiver}
    assert status([found], should=True) == 0


def test_the_capture_of_a_probe_is_one(tmp_path: Path) -> None:
    """What is written is read by the analyzer: the connection, and the frames of the evidence."""
    rule = next(each for each in RULES if each.number == "8684-3.7-15")
    found = played(rule, rule.fault)
    path = write_capture(found, tmp_path, StackTarget())
    assert path.name == "8684-3.7-15.pcapng"
    with mptcp_oracle.analyze(path) as trace:
        assert trace.capture.frames == len(found.log.frames)
        assert len(trace.connections) == 1
        assert len(trace.connections[0].subflows) == 2


def run(*arguments: str) -> Result:
    """The command."""
    return CliRunner().invoke(probe_command, arguments)


def test_the_command_probes_the_stack() -> None:
    """All pass on the right stack, and the status is 0."""
    done = run("--target", "stack")
    assert done.exit_code == 0, done.output
    assert done.output.splitlines()[-1] == f"{len(RULES)} pass"


def test_the_command_fails_where_the_target_does() -> None:
    """A violation gives status 1; --packets shows each packet."""
    done = run(
        "--target", "stack:unknown-token-answered", "--requirement", "8684-3.2-10", "--packets"
    )
    assert done.exit_code == 1
    assert done.output.startswith("fail          8684-3.2-join-refused-by-reset: SYN/ACK")
    assert "    < 6: subflow 1: S 0:1(0) win 65535 <mp_join syn" in done.output


def test_a_broken_should_counts_if_it_is_told_to() -> None:
    """A warning alone gives status 0, with --should 1."""
    arguments = ("--target", "stack:later-data-wins", "--requirement", "8684-3.3.1-03")
    assert run(*arguments).exit_code == 0
    assert run(*arguments, "--should").exit_code == 1


def test_json_has_everything(tmp_path: Path) -> None:
    """One document: target, counts, and for each rule the reaction and its packets."""
    done = run("--target", "stack", "--requirement", "8684-3.4", "--json", "-o", str(tmp_path))
    told = json.loads(done.output)
    assert told["target"]["name"] == "stack"
    assert told["counts"]["pass"] == len(told["probes"]) == len(rules("8684-3.4"))
    first = told["probes"][0]
    assert first["outcome"] == "pass"
    assert first["reaction"] in first["allowed"]
    assert first["packets"][0].startswith("< 1: subflow 0: S. 0:1(0)") or first["packets"]
    assert {path.name for path in tmp_path.iterdir()} == {
        f"{each.number}.pcapng" for each in rules("8684-3.4")
    }


def test_the_list_names_each_rule() -> None:
    """--list plays nothing and tells stimulus and allowed reactions."""
    done = run("--list", "--requirement", "8684-3.6")
    assert done.exit_code == 0
    assert done.output.splitlines()[0] == "8684-3.6-04 8684-3.6-tcprst-flags-ignored (MUST)"
    assert len(done.output.splitlines()) == 3


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("--target", "moon"), "there is no target 'moon'"),
        (("--target", "stack:nonsense"), "the stack has no fault nonsense"),
        (("--target", "no_such_module:Thing"), "cannot be imported"),
        (("--target", "stack", "--write", "x.md", "--requirement", "8684-3.6"), "all rules"),
    ],
)
def test_wrong_usage_is_told(arguments: tuple[str, ...], words: str) -> None:
    """What makes no sense is refused with status 2."""
    done = run(*arguments)
    assert done.exit_code == 2
    assert words in done.output


def test_an_unknown_requirement_is_refused() -> None:
    """A prefix that no rule has is wrong usage."""
    with pytest.raises(UsageError, match="no active rule for 9999"):
        CliRunner().invoke(
            probe_command, ["--requirement", "9999", "--list"], catch_exceptions=False
        )


def test_a_target_of_ones_own_is_imported() -> None:
    """MODULE:NAME is whatever makes a target."""
    assert make_target("mptcp_oracle.live.stack:StackTarget") is StackTarget
    assert own_waivers(StackTarget()).targets == (
        Target(name="stack", version=mptcp_oracle.__version__),
    )


def test_the_stack_has_only_its_faults() -> None:
    """A fault that is not in the table is refused."""
    with pytest.raises(UsageError, match="the stack has no fault nonsense"):
        StackTarget(Settings(), frozenset({"nonsense"}))


def test_the_page_is_what_was_found() -> None:
    """The page of the rules is written from the table and from what probing gave, word for word."""
    found = json.loads((PAGE.parent / "probing" / "found.json").read_text("utf-8"))
    text = PAGE.read_text("utf-8")
    assert page.page(text.partition(page.MARK)[0], found) == text, (
        "run mptcp-oracle probe --write docs/probing.md"
    )


def test_the_page_has_what_the_rules_say() -> None:
    """What was found is of the rules as they are, and each failure has its capture."""
    found = json.loads((PAGE.parent / "probing" / "found.json").read_text("utf-8"))
    rows = {(each["number"], each["variant"] or ""): each for each in found["probes"]}
    assert rows.keys() == {(rule.number, rule.variant) for rule in RULES}
    captures = set()
    for rule in RULES:
        row = rows[rule.number, rule.variant]
        if row["reaction"].startswith("not to be set up so"):
            assert row["outcome"] == "not_exercised"
        else:
            assert row["outcome"] == rule.outcome(seen(row["reaction"]))
        if row["outcome"] == "fail":
            name = f"{rule.number}-{rule.variant}" if rule.variant else rule.number
            captures.add(f"{name}.pcapng")
    assert {path.name for path in (PAGE.parent / "probing").glob("*.pcapng")} == captures


def test_a_stale_page_is_noticed() -> None:
    """The page changes with a reaction."""
    found = body([played(rule) for rule in RULES], StackTarget())
    first = page.page("", found)
    found["probes"][0]["reaction"] = "another"
    assert page.page("", found) != first


def test_a_stage_without_application_is_told() -> None:
    """A script that needs the application before there is one gets an open verdict."""

    def script(stage: Stage) -> object:
        stage.write(1)
        return None

    rule = replace(RULES[0], script=script)  # type: ignore[arg-type]
    assert probe(rule, StackTarget).verdict.outcome is Outcome.INCONCLUSIVE


def table_of_packetdrill() -> list[list[str]]:
    """The cells of docs/packetdrill.md: feature, what is asserted, numbers of both kinds."""
    lines = (ROOT / "docs" / "packetdrill.md").read_text("utf-8").splitlines()
    rows = [
        [cell.strip() for cell in line.strip("|").split("|")] for line in lines if line[:1] == "|"
    ]
    return rows[2:]


def test_packetdrills_features_have_rules() -> None:
    """Each feature has a rule, of captures or of probes, and each number is one of that kind."""
    fates = {each.number: each.fate for each in catalogue().values()}
    for feature, what, captures, probes in table_of_packetdrill():
        assert captures or probes, what
        for number in captures.split(", ") if captures else ():
            assert fates[number] == "judged", f"{feature}: {number}"
        for number in probes.split(", ") if probes else ():
            assert fates[number] == "probed", f"{feature}: {number}"
