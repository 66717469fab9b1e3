"""The suite's table of contents: every judged requirement is in one module."""

from __future__ import annotations

from mptcp_oracle.conformance.contents import MODULES, module_of, requirements_of

from mptcp_oracle.rules.judging import RULES
from mptcp_oracle.spec import catalogue, counterpart
from tests.common.checkout import ROOT


def judged() -> set[str]:
    """The ids of all requirements that rules judge, in both versions."""
    names = {each for rule in RULES for each in rule.requirements}
    return {found for each in names for v in (0, 1) if (found := counterpart(each, v)) is not None}


def test_each_requirement_is_in_one_module() -> None:
    """The modules' requirements are exactly those that rules judge, each in one module."""
    listed = [each.id for name in MODULES for each in requirements_of(name)]
    assert len(listed) == len(set(listed))
    assert set(listed) == judged()


def test_the_modules_are_there() -> None:
    """The table's modules are files of the suite; beside them are those of captures and peers."""
    files = {path.stem for path in (ROOT / "conformance").glob("test_*.py")}
    assert files == {*MODULES, "test_active", "test_captures", "test_live"}


def test_a_requirement_outside_the_table_is_noticed() -> None:
    """An id that no module has gives no module."""
    assert module_of("8684-3.6-tcprst-length") == "test_s3_6_reset"
    assert module_of("6824-3.6-fallback") == "test_s3_7_fallback"
    assert module_of("9999-1-nothing") == ""


def test_every_judged_row_has_a_rule() -> None:
    """What the catalogue calls judged is judged by a rule; beside it only what is excepted is."""
    fates = {
        each.id: (catalogue()[each.alias_of] if each.alias_of else each).fate
        for each in catalogue().values()
    }
    assert judged() >= {each for each, fate in fates.items() if fate == "judged"}
    assert {fates[each] for each in judged()} <= {"judged", "excepted"}
