"""Addresses announced and echoed: ADD_ADDR and its forms (RFC 8684 and 6824, section 3.4)."""

from __future__ import annotations

from collections.abc import Iterator

from mptcp_oracle import crypto
from mptcp_oracle.analysis.entities import ROLES
from mptcp_oracle.constants import Subtype
from mptcp_oracle.options import (
    AddAddr,
    Address,
    Dss,
    Flaw,
    Malformed,
    MpFastclose,
    RemoveAddr,
    notation,
)
from mptcp_oracle.rules import naming, spreading, withdrawing
from mptcp_oracle.rules.case import INCOMPLETE, Case, Signal
from mptcp_oracle.rules.lives import grace, heard_all, while_mptcp
from mptcp_oracle.rules.naming import Book, plain_address
from mptcp_oracle.rules.rule import Rule

__all__ = ["RULES"]

ADD_LENGTH = {1: "8684-3.4.1-add-addr-length", 0: "6824-3.4.1-add-addr-length"}
ADD_FLAGS = "8684-3.4.1-add-addr-flags-zero"
REMOVE_LENGTH = "8684-3.4.2-remove-addr-length"
ECHO = "8684-3.4.1-add-addr-echo"
NOT_ECHOED = "8684-3.4.1-echo-not-echoed"

#: Flaws that say that a form does not exist, or not in this version.
NO_FORM = (Flaw.LAYOUT, Flaw.WRONG_VERSION)
#: Forms of ADD_ADDR by version, in words.
FORMS = {
    1: "an ADD_ADDR has 16, 18, 28 or 30 octets, and 8, 10, 20 or 22 if it is an echo",
    0: "an ADD_ADDR has IPVer 4 and 8 or 10 octets, or IPVer 6 and 20 or 22",
}

Key = tuple[int, Address, int | None]


def lengths(case: Case) -> None:
    """ADD_ADDR and REMOVE_ADDR have a form of their version (sections 3.4.1 and 3.4.2)."""
    version = case.version or 0
    for signal in while_mptcp(case):
        option = signal.option
        if isinstance(option, AddAddr):
            case.right(ADD_LENGTH[version], signal.role)
        elif isinstance(option, RemoveAddr):
            case.right(REMOVE_LENGTH, signal.role)
        elif not isinstance(option, Malformed) or option.reason not in NO_FORM:
            continue
        elif option.subtype == Subtype.ADD_ADDR:
            why = f"{FORMS[version]}, this has {len(option.raw)}: {notation(option)}"
            case.judge(ADD_LENGTH[version], signal, False, why)
        elif option.subtype == Subtype.REMOVE_ADDR:
            why = f"a REMOVE_ADDR names one Address ID or more: {notation(option)}"
            case.judge(REMOVE_LENGTH, signal, False, why)


def flags(case: Case) -> None:
    """The flags of ADD_ADDR but E are 0."""
    for signal in while_mptcp(case):
        if not isinstance(signal.option, AddAddr):
            continue
        if signal.option.reserved:
            case.judge(ADD_FLAGS, signal, False, notation(signal.option))
        else:
            case.right(ADD_FLAGS, signal.role)


def echoes(case: Case) -> None:
    """An ADD_ADDR comes back as it was sent, and an echo does not (section 3.4.1)."""
    told, heard = _told(case)
    book = Book.of(case)
    for role in (0, 1):
        for key, signals in heard[role].items():
            for signal in signals:
                _echo(case, book, key, signal, told, heard)
        for key, signals in told[1 - role].items():
            if key not in heard[role]:
                _missing(case, book, role, key, signals)


def _told(case: Case) -> tuple[list[dict[Key, list[Signal]]], list[dict[Key, list[Signal]]]]:
    """By role: the ADD_ADDRs, flawed ones too, and the echoes, by what they name."""
    told: list[dict[Key, list[Signal]]] = [{}, {}]
    heard: list[dict[Key, list[Signal]]] = [{}, {}]
    for signal, option in _additions(case):
        into = heard if option.echo and isinstance(signal.option, AddAddr) else told
        # No port and port 0 are the same to the HMAC.
        key = option.address_id, plain_address(option.address), option.port or None
        into[signal.role].setdefault(key, []).append(signal)
    return told, heard


def _additions(case: Case) -> Iterator[tuple[Signal, AddAddr]]:
    """Whatever can be read as ADD_ADDR."""
    for signal in while_mptcp(case):
        option = signal.option
        if isinstance(option, Malformed) and option.reading is not None:
            option = option.reading
        if isinstance(option, AddAddr):
            yield signal, option


def _echo(
    case: Case,
    book: Book,
    key: Key,
    signal: Signal,
    told: list[dict[Key, list[Signal]]],
    heard: list[dict[Key, list[Signal]]],
) -> None:
    """One echo, its sender being judged."""
    role, before = signal.role, case.before
    # Whoever gets an echo keeps it to himself, unless found otherwise.
    case.right(NOT_ECHOED, 1 - role)
    if any(not before(signal.row, each.row) for each in told[1 - role].get(key, ())):
        case.right(ECHO, role)
        return
    findings = [(ECHO, _near(key, signal, told[1 - role]))]
    if key in told[role]:
        answered = [each for each in heard[1 - role].get(key, ()) if before(each.row, signal.row)]
        if answered:
            findings.append((NOT_ECHOED, answered[:1]))
    for requirement, others in findings:
        rows = (*(each.row for each in others), signal.row)
        why = f"{notation(signal.option)}: "
        if requirement == ECHO:
            why += f"the {ROLES[1 - role]} announced no such address"
            why += f", but {notation(others[0].option)}" if others else ""
        else:
            why += f"frame {case.frame(others[0].row)} is an echo itself, of its own ADD_ADDR"
        if heard_all(case, role):
            case.wrong(requirement, role, *rows, why=why, subflow=signal.subflow)
        else:
            case.doubt(
                requirement, role, *rows, subflow=signal.subflow,
                why=f"{why}; nothing shows that all that this host received was captured",
            )  # fmt: skip


def _near(key: Key, signal: Signal, told: dict[Key, list[Signal]]) -> list[Signal]:
    """The last announcement before an echo that is nearly the one it is of."""
    near = [
        each
        for (address_id, address, _), signals in told.items()
        if address_id == key[0] or address == key[1]
        for each in signals
        if each.row < signal.row
    ]
    return [max(near, key=lambda each: each.row)] if near else []


def _missing(case: Case, book: Book, role: int, key: Key, signals: list[Signal]) -> None:
    """A host did not echo what was announced to it, once or more.

    It may drop an announcement, so that one that came again has to have gone unanswered, too.
    """
    if any(key[0] in removal.address_ids for removal in book.removals[1 - role]):
        return
    last = _lived(case, role)
    due = [
        each
        for each in signals
        if _signed(case, each) and case.time(each.row) + grace(case, each.subflow) < last
    ]
    if not due:
        return
    signal = due[min(1, len(due) - 1)]
    rows = tuple(each.row for each in due[:2])
    why = (
        f"{notation(signal.option)} came {len(due)} times; the {ROLES[role]} echoed none of them, "
        f"though it was there for {(last - case.time(signal.row)) / 1e9:.1f} s more"
    )
    if not heard_all(case, role):
        case.unseen(ECHO, role, *rows, why=f"no echo of {notation(signal.option)}; {INCOMPLETE}")
    elif len(due) > 1:
        case.wrong(ECHO, role, *rows, why=why, subflow=signal.subflow, severity="warning")
    else:
        case.unseen(ECHO, role, *rows, why=f"{why}; a host may drop an announcement")


def _signed(case: Case, signal: Signal) -> bool:
    """Whether an ADD_ADDR is known to have the right HMAC."""
    option, hosts = signal.option, case.hosts
    own, peer = hosts[signal.role].key, hosts[1 - signal.role].key
    if not isinstance(option, AddAddr) or own is None or peer is None:
        return False
    return option.hmac == crypto.add_addr_hmac(
        sender_key=own,
        receiver_key=peer,
        address_id=option.address_id,
        address=option.address,
        port=option.port,
    )


def _lived(case: Case, role: int) -> int:
    """When a host last sent anything on a subflow that was established, before any end; or 0."""
    end = _end(case)
    found = 0
    for subflow in case.subflows:
        if subflow.established:
            rows = case.context.sent(subflow.halves[role])
            at = int(rows.searchsorted(end))
            found = max(found, case.time(int(rows[at - 1])) if at else 0)
    return found


def _end(case: Case) -> int:
    """The row from which on new addresses are of no use: of a DATA_FIN, or of MPTCP's end."""
    rows = case.context.trace.wire.segments.rows
    end = rows if case.over is None else case.over
    for signal in case.signals:
        option = signal.option
        if isinstance(option, MpFastclose) or (isinstance(option, Dss) and option.data_fin):
            return min(end, signal.row)
    return end


RULES = (
    Rule(
        requirements=(*ADD_LENGTH.values(), REMOVE_LENGTH),
        judge=lengths,
        on=(AddAddr, RemoveAddr, Malformed),
    ),
    Rule(requirements=(ADD_FLAGS,), judge=flags, versions=(1,), on=(AddAddr,)),
    Rule(requirements=(ECHO, NOT_ECHOED), judge=echoes, versions=(1,), on=(AddAddr,)),
    *naming.RULES,
    *withdrawing.RULES,
    *spreading.RULES,
)
