"""Priorities: MP_PRIO, and who sends data on a backup subflow (RFC 8684 section 3.3.8)."""

from __future__ import annotations

from mptcp_oracle.constants import Subtype
from mptcp_oracle.options import Flaw, Malformed, MpPrio, notation
from mptcp_oracle.rules import backups
from mptcp_oracle.rules.case import Case
from mptcp_oracle.rules.lives import while_mptcp
from mptcp_oracle.rules.rule import Rule

__all__ = ["RULES"]

FORMAT = {1: "8684-3.3.8-mp-prio-format", 0: "6824-3.3.8-prio-length"}
RESERVED = "8684-3.3.8-mp-prio-reserved-zero"

#: Flaws that say that a form does not exist, or not in this version.
NO_FORM = (Flaw.LAYOUT, Flaw.WRONG_VERSION)
#: Forms of MP_PRIO by version, in words.
FORMS = {
    1: "an MP_PRIO has 3 octets and is about its own subflow",
    0: "an MP_PRIO has 3 octets, or 4 with an Address ID",
}


def formats(case: Case) -> None:
    """MP_PRIO has the form of its version."""
    version = case.version or 0
    for signal in while_mptcp(case):
        option = signal.option
        if isinstance(option, MpPrio):
            case.right(FORMAT[version], signal.role)
        elif (
            isinstance(option, Malformed)
            and option.subtype == Subtype.MP_PRIO
            and option.reason in NO_FORM
        ):
            why = f"{FORMS[version]}, this has {len(option.raw)}: {notation(option)}"
            case.judge(FORMAT[version], signal, False, why)


def reserved(case: Case) -> None:
    """The bits before B, which only the figure calls reserved, are 0."""
    for signal in while_mptcp(case):
        if isinstance(signal.option, MpPrio):
            case.judge(RESERVED, signal, not signal.option.reserved, notation(signal.option))


RULES = (
    Rule(requirements=tuple(FORMAT.values()), judge=formats, on=(MpPrio, Malformed)),
    Rule(requirements=(RESERVED,), judge=reserved, versions=(1,), on=(MpPrio,)),
    *backups.RULES,
)
