"""Joins to announced and withdrawn addresses, and what withdrawal is for (section 3.4)."""

from __future__ import annotations

from itertools import pairwise
from typing import NamedTuple

from mptcp_oracle.analysis.entities import ROLES, Subflow
from mptcp_oracle.analysis.signals import FIN, RST
from mptcp_oracle.options import AddAddr, Address, MpJoinSyn, RemoveAddr, notation
from mptcp_oracle.rules.case import INCOMPLETE, Case
from mptcp_oracle.rules.lives import grace, heard_all
from mptcp_oracle.rules.naming import Book, Naming, Removal, end_of
from mptcp_oracle.rules.rule import Rule

__all__ = ["RULES"]

PORT = "8684-3.4.1-add-addr-default-port"
NOT_USED = "8684-3.4.2-removed-address-not-used"
BY_FIN = "8684-3.4.2-working-subflow-fin"

UNHEARD = "nothing shows that all that the joiner received was captured"


class Attempt(NamedTuple):
    """One MP_JOIN SYN: its row, its subflow, who sent it, and where it went."""

    row: int
    subflow: Subflow
    role: int
    address: Address
    port: int


def attempts(case: Case) -> list[Attempt]:
    """The joins of both hosts, each with its first SYN, while the connection is MPTCP."""
    found = []
    for subflow in case.subflows:
        shake = case.shake(subflow)
        row, role = shake.syn_row, subflow.opener
        if row is None or role is None or shake.syn is None:
            continue
        if isinstance(shake.syn[1], MpJoinSyn) and (case.over is None or row < case.over):
            found.append(Attempt(row, subflow, role, *end_of(subflow, 1 - role)))
    return found


def joins(case: Case) -> None:
    """A join goes to the port that was announced or is in use, and to no withdrawn address."""
    book = Book.of(case)
    for attempt in attempts(case):
        _port(case, book, attempt)
        if case.version == 1:
            _withdrawn(case, book, attempt)


def _port(case: Case, book: Book, attempt: Attempt) -> None:
    """Without a port in the ADD_ADDR, that of the subflow that carried it (section 3.4.1)."""
    role = attempt.role
    told = [
        naming
        for naming in book.namings[1 - role]
        if naming.announced
        and naming.address == attempt.address
        and not case.before(attempt.row, naming.row)
    ]
    # An address that was announced to a host is known to it from there, also if the join follows
    # at once.
    portless = [naming for naming in told if naming.port is None and naming.row < attempt.row]
    if not portless:
        return
    right = {naming.port or end_of(naming.signal.subflow, 1 - role)[1] for naming in told}
    right |= {
        end_of(subflow, 1 - role)[1]
        for subflow in case.subflows
        if subflow.kind == "initial" or subflow.opener == 1 - role
    }
    if attempt.port in right:
        case.right(PORT, role)
        return
    naming = portless[-1]
    why = (
        f"a join to port {attempt.port} of {attempt.address}; {notation(naming.signal.option)} has "
        f"no port, and came on a subflow with port {end_of(naming.signal.subflow, 1 - role)[1]}"
    )
    rows = (naming.row, attempt.row)
    if heard_all(case, role):
        case.wrong(PORT, role, *rows, why=why, subflow=attempt.subflow)
    else:
        case.doubt(PORT, role, *rows, why=f"{why}; {UNHEARD}", subflow=attempt.subflow)


def _withdrawn(case: Case, book: Book, attempt: Attempt) -> None:
    """No join to an address after its REMOVE_ADDR, until it is heard of again (section 3.4.2)."""
    role, peer = attempt.role, 1 - attempt.role
    removals = [each for each in book.removals[peer] if each.row < attempt.row]
    if not removals:
        return
    removal = _removal_of(case, book, attempt, removals)
    if removal is None:
        case.right(NOT_USED, role)
        return
    rows = (removal.row, attempt.row)
    why = (
        f"a join to {attempt.address}, which {notation(removal.signal.option)} of the "
        f"{ROLES[peer]} withdrew"
    )
    if not case.before(*rows) or _renewed(case, book, attempt, removal):
        case.unseen(
            NOT_USED, role, *rows, why=f"{why}; what came first, the times do not show for certain"
        )
    elif heard_all(case, role):
        case.wrong(NOT_USED, role, *rows, why=why, subflow=attempt.subflow)
    else:
        case.doubt(NOT_USED, role, *rows, why=f"{why}; {UNHEARD}", subflow=attempt.subflow)


def _removal_of(
    case: Case, book: Book, attempt: Attempt, removals: list[Removal]
) -> Removal | None:
    """The REMOVE_ADDR after which a host had no way left to know the address of its join."""
    peer = 1 - attempt.role
    ids: dict[int, Removal | None] = {}
    initial = case.connection.initial
    if initial is not None and end_of(initial, peer)[0] == attempt.address:
        ids[0] = None
    entries: list[Naming | Removal] = [*book.namings[peer], *removals]
    for entry in sorted(entries, key=lambda each: each.row):
        if isinstance(entry, Removal):
            ids |= dict.fromkeys(ids.keys() & entry.address_ids, entry)
        elif entry.signal.subflow is attempt.subflow or entry.row > attempt.row:
            continue
        elif entry.address == attempt.address:
            ids[entry.address_id] = None
        else:
            ids.pop(entry.address_id, None)
    gone = [each for each in ids.values() if each is not None]
    if not gone or len(gone) < len(ids):
        return None
    return max(gone, key=lambda each: each.row)


def _renewed(case: Case, book: Book, attempt: Attempt, removal: Removal) -> bool:
    """Whether an address may have been heard of after its withdrawal, by the times."""
    return any(
        naming.address == attempt.address
        and naming.signal.subflow is not attempt.subflow
        and not case.before(naming.row, removal.row)
        and not case.before(attempt.row, naming.row)
        for naming in book.namings[1 - attempt.role]
    )


def removals(case: Case) -> None:
    """A subflow that works is ended by FINs; REMOVE_ADDR does not stand in for them."""
    book = Book.of(case)
    for role in (0, 1):
        for subflow in case.subflows:
            for removal in book.removals[role]:
                if _uses(case, book, subflow, role, removal):
                    _closed(case, subflow, role, removal)
                    break


def _uses(case: Case, book: Book, subflow: Subflow, role: int, removal: Removal) -> bool:
    """Whether a REMOVE_ADDR is about an established subflow that had begun.

    It is not for certain if the Address ID had another address, or is soon heard of again.
    """
    address_id, address = subflow.address_ids[role], end_of(subflow, role)[0]
    if not subflow.established or address_id not in removal.address_ids:
        return False
    if subflow.first_frame > case.frame(removal.row):
        return False
    soon = case.time(removal.row) + grace(case, subflow)
    return not any(
        naming.address != address or (removal.row < naming.row and case.time(naming.row) < soon)
        for naming in book.namings[role]
        if naming.address_id == address_id
    )


def _closed(case: Case, subflow: Subflow, role: int, removal: Removal) -> None:
    """What became of a subflow whose address its host withdrew."""
    half, row = subflow.halves[role], removal.row
    events = case.events(subflow)
    if any(raw.half == half and raw.flags & (FIN | RST) for raw in events):
        case.right(BY_FIN, role)
        return
    own, peers = ([case.time(each) for each in rows] for rows in _later(case, subflow, role, row))
    wait = grace(case, subflow)
    # After a rest there is no data left that would have to go before the FIN.
    rested = any(second - first >= wait for first, second in pairwise([case.time(row), *own]))
    if any(raw.flags & RST for raw in events) or not own or not peers:
        # The address may be gone, as REMOVE_ADDR is meant for.
        case.unseen(
            BY_FIN, role, row,
            why=f"whether the subflow still worked after {notation(removal.signal.option)}",
        )  # fmt: skip
        return
    why = (
        f"{notation(removal.signal.option)} withdraws the address of this subflow, and no FIN of "
        f"the {ROLES[role]} follows; it still sends on it {(own[-1] - case.time(row)) / 1e9:.1f} s "
        f"later, and the peer {(peers[-1] - case.time(row)) / 1e9:.1f} s"
    )
    if not rested or peers[-1] < case.time(row) + wait:
        case.unseen(BY_FIN, role, row, why=f"{why}: a FIN may still follow")
    elif case.witnessed(subflow, role):
        case.wrong(BY_FIN, role, row, why=why, subflow=subflow)
    else:
        case.doubt(BY_FIN, role, row, why=f"{why}; {INCOMPLETE}", subflow=subflow)


def _later(case: Case, subflow: Subflow, role: int, row: int) -> tuple[list[int], list[int]]:
    """Rows of what a host, and its peer, sent on a subflow after a row."""
    found = []
    for half in (subflow.halves[role], subflow.halves[1 - role]):
        rows = case.context.sent(half)
        found.append(rows[rows.searchsorted(row, side="right") :].tolist())
    return found[0], found[1]


RULES = (
    Rule(requirements=(PORT, NOT_USED), judge=joins, on=(AddAddr, RemoveAddr)),
    Rule(requirements=(BY_FIN,), judge=removals, on=(RemoveAddr,)),
)
