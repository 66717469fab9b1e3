"""Options as such: their layout, lengths and subtypes (RFC 8684 sections 3, 3.6 and 7)."""

from __future__ import annotations

from mptcp_oracle.options import Flaw, Malformed, MpTcprst, Unknown, notation
from mptcp_oracle.rules.case import Case
from mptcp_oracle.rules.rule import Rule

__all__ = ["RULES"]

#: Flaws of an option that no version and no place could have.
BROKEN = (Flaw.CUT_OFF, Flaw.LENGTH_OCTET)
LAYOUT = "8684-3-option-layout"
LENGTH = "8684-3-option-length-known"
SUBTYPE = {1: "8684-7.2-option-subtype-assigned", 0: "6824-8-subtypes-assigned"}
RESET_FLAGS = "8684-3.6-tcprst-flags-zero"


def layouts(case: Case) -> None:
    """Each option is a TCP option by itself, and has a length that its layout has."""
    for signal in case.signals:
        option = signal.option
        broken = isinstance(option, Malformed) and option.reason in BROKEN
        case.judge(LAYOUT, signal, not broken, notation(option))
        if not broken:
            wrong = isinstance(option, Malformed) and option.reason is Flaw.LAYOUT
            case.judge(LENGTH, signal, not wrong, f"no layout has this length: {notation(option)}")


def subtypes(case: Case) -> None:
    """Only subtypes that the registry has are used."""
    requirement = SUBTYPE[case.version or 0]
    for signal in case.signals:
        unknown = isinstance(signal.option, Unknown)
        case.judge(requirement, signal, not unknown, notation(signal.option))


def reset_flags(case: Case) -> None:
    """Flags U, V and W of an MP_TCPRST are 0."""
    for signal, option in case.of(MpTcprst):
        case.judge(RESET_FLAGS, signal, not option.flags & 0x0E, notation(option))


RULES = (
    Rule(requirements=(LAYOUT, LENGTH), judge=layouts),
    Rule(requirements=tuple(SUBTYPE.values()), judge=subtypes),
    Rule(requirements=(RESET_FLAGS,), judge=reset_flags, versions=(1,), on=(MpTcprst,)),
)
