"""Address IDs of joins: each has one address, and ID 0 the initial one (RFC 8684 section 3.2)."""

from __future__ import annotations

from typing import NamedTuple

from mptcp_oracle.options import AddAddr, MpJoinSyn, MpJoinSynAck, RemoveAddr, notation
from mptcp_oracle.rules.attempts import View, between, end_of, late, plain
from mptcp_oracle.rules.case import INCOMPLETE, Case, Signal
from mptcp_oracle.rules.rule import Rule

__all__ = ["RULES"]

UNIQUE = "8684-3.2-address-id-unique"
ZERO = "8684-3.2-initial-address-id-zero"


class Claim(NamedTuple):
    """A host says which Address ID one of its addresses has.

    Attributes:
        signal: Where. role: Who. name: The ID. address: Its address.
        port: The port it is about; ``None`` for all.
    """

    signal: Signal
    role: int
    name: int
    address: str
    port: int | None


def _claims(case: Case) -> list[Claim]:
    """All claims, in capture order."""
    found = []
    for signal in case.signals:
        role, flow, option = signal.role, signal.subflow, signal.option
        if isinstance(option, AddAddr):
            if not option.echo:
                address = plain(str(option.address))
                found.append(Claim(signal, role, option.address_id, address, option.port))
        elif isinstance(option, MpJoinSyn | MpJoinSynAck) and flow.kind == "joined":
            end = end_of(flow, role)
            found.append(Claim(signal, role, option.address_id, plain(end.address), end.port))
    return [claim for claim in found if not late(case, claim.signal)]


def identities(case: Case) -> None:
    """An Address ID is of one address only, and ID 0 of the initial one (section 3.2)."""
    removed: dict[tuple[int, int], list[int]] = {}
    for signal, option in case.of(RemoveAddr):
        for name in option.address_ids:
            removed.setdefault((signal.role, name), []).append(signal.row)
    view = View(case)
    known: dict[tuple[int, int], Claim] = {}
    used: dict[tuple[int, int], Claim] = {}
    for claim in _claims(case):
        key = claim.role, claim.name
        if claim.name == 0 or _initial(case, claim.role) == claim.address:
            _zero(case, claim, view, removed=(claim.role, 0) in removed)
        if claim.name == 0:
            continue
        # Two ADD_ADDRs that contradict each other are a matter of section 3.4.1.
        announces = isinstance(claim.signal.option, AddAddr)
        earlier, known[key] = (used if announces else known).get(key), claim
        if not announces:
            used[key] = claim
        if earlier is None or earlier.address == claim.address:
            case.right(UNIQUE, claim.role)
            continue
        first, row = earlier.signal.row, claim.signal.row
        if between(case, removed.get(key, []), first, row):
            case.right(UNIQUE, claim.role)
            continue
        why = (
            f"{notation(claim.signal.option)}: Address ID {claim.name} is of {claim.address} here "
            f"and of {earlier.address} in frame {case.frame(first)}, and was not removed between"
        )
        _conclude(case, UNIQUE, claim, why, view, earlier)


def _initial(case: Case, role: int) -> str | None:
    """A host's address of the initial subflow."""
    endpoint = case.hosts[role].endpoint
    return None if endpoint is None else plain(endpoint.address)


def _zero(case: Case, claim: Claim, view: View, *, removed: bool) -> None:
    """A claim about ID 0, or about the initial address."""
    initial, endpoint = _initial(case, claim.role), case.hosts[claim.role].endpoint
    if initial is None or endpoint is None or removed:
        return
    option = claim.signal.option
    if claim.name == 0:
        if claim.address == initial:
            case.right(ZERO, claim.role)
        else:
            why = f"{notation(option)}: ID 0 is of {initial}, and this is {claim.address}"
            _conclude(case, ZERO, claim, why, view)
    elif claim.port in (None, endpoint.port):
        why = f"{notation(option)}: {initial} has ID 0, as the initial address"
        _conclude(case, ZERO, claim, why, view)
    elif isinstance(option, MpJoinSyn):
        why = f"{notation(option)}: {initial} has ID 0; but another port may have an ID of its own"
        row, subflow = claim.signal.row, claim.signal.subflow
        case.doubt(ZERO, claim.role, row, why=why, subflow=subflow)


def _conclude(
    case: Case, requirement: str, claim: Claim, why: str, view: View, earlier: Claim | None = None
) -> None:
    """A claim that contradicts another: proven where the host's own addresses are seen."""
    role, subflow = claim.role, claim.signal.subflow
    claims = [claim] if earlier is None else [earlier, claim]
    rows = [each.signal.row for each in claims]
    announced = any(isinstance(each.signal.option, AddAddr) for each in claims)
    if view.witnessed(role) and not (announced and view.renamed):
        case.wrong(requirement, role, *rows, why=why, subflow=subflow)
    elif view.witnessed(role):
        why += "; addresses in headers may have been changed, for none of them was announced"
        case.doubt(requirement, role, *rows, why=why, subflow=subflow)
    elif case.sent_here(subflow, role):
        case.doubt(requirement, role, *rows, why=f"{why}; {INCOMPLETE}", subflow=subflow)
    else:
        why += "; addresses may have been translated before the capture"
        case.doubt(requirement, role, *rows, why=why, subflow=subflow)


RULES: tuple[Rule, ...] = (
    Rule(requirements=(UNIQUE, ZERO), judge=identities, on=(MpJoinSyn, MpJoinSynAck, AddAddr)),
)
