"""Address IDs: what each of them stands for, and when that changes (RFC 8684 section 3.4.1)."""

from __future__ import annotations

from collections.abc import Iterator
from functools import lru_cache
from ipaddress import IPv6Address, ip_address
from typing import NamedTuple

from mptcp_oracle.analysis.entities import ROLES, Subflow
from mptcp_oracle.facts import CLASSES
from mptcp_oracle.options import AddAddr, Address, MpJoinSyn, MpJoinSynAck, RemoveAddr, notation
from mptcp_oracle.rules.case import INCOMPLETE, Case, Signal
from mptcp_oracle.rules.lives import while_mptcp
from mptcp_oracle.rules.rule import Rule

__all__ = ["RULES", "Book", "Naming", "Removal", "end_of", "plain_address"]

UNIQUE = "8684-3.4.1-address-id-unique"
SAME = {1: "8684-3.4.1-repeated-id-same-address", 0: "6824-3.4.1-add-addr-same-address"}
REASSIGNED = "8684-3.4.1-remove-before-reassign"

#: Bit of the ``kind`` column: some of the payload is a TCP retransmission.
RESENT = 1 << CLASSES.index("tcp_retransmission")


class Naming(NamedTuple):
    """One option that says which address an Address ID of its sender stands for.

    Attributes:
        signal: Where it is. address_id: The ID. address: What it stands for: of a join the end
            of its sender. port: The port that an ADD_ADDR gives. announced: Whether this is an
            ADD_ADDR.
    """

    signal: Signal
    address_id: int
    address: Address
    port: int | None
    announced: bool

    @property
    def row(self) -> int:
        """Row of its segment."""
        return self.signal.row


class Removal(NamedTuple):
    """One REMOVE_ADDR, with the IDs that it lists."""

    signal: Signal
    address_ids: tuple[int, ...]

    @property
    def row(self) -> int:
        """Row of its segment."""
        return self.signal.row


def plain_address(address: Address) -> Address:
    """An IPv4 address that is written as IPv6 (``::ffff:…``), as what it is."""
    mapped = address.ipv4_mapped if isinstance(address, IPv6Address) else None
    return address if mapped is None else mapped


@lru_cache(maxsize=1024)
def _read(text: str) -> Address:
    found: Address = ip_address(text)
    return plain_address(found)


def end_of(subflow: Subflow, role: int) -> tuple[Address, int]:
    """Address and port of a host's end of a subflow, as the capture shows them."""
    end = subflow.source if role == subflow.source_role else subflow.destination
    return _read(end.address), end.port


class Book:
    """What the hosts of a connection say about their addresses, while it is MPTCP.

    What TCP only sends again, with a segment of data, is left out.

    Attributes:
        case: The connection.
        namings: ADD_ADDRs that are no echoes, and MP_JOINs with an Address ID, by role.
        removals: REMOVE_ADDRs by role.
    """

    def __init__(self, case: Case) -> None:
        self.case = case
        self.namings: tuple[list[Naming], list[Naming]] = ([], [])
        self.removals: tuple[list[Removal], list[Removal]] = ([], [])
        kinds = case.columns["kind"]
        for signal in while_mptcp(case):
            option = signal.option
            if signal.payload and kinds[signal.row] & RESENT:
                continue
            role = signal.role
            if isinstance(option, RemoveAddr):
                self.removals[role].append(Removal(signal, option.address_ids))
            elif isinstance(option, AddAddr):
                if not option.echo:
                    named = Naming(
                        signal, option.address_id, plain_address(option.address), option.port, True
                    )
                    self.namings[role].append(named)
            elif isinstance(option, MpJoinSyn | MpJoinSynAck):
                address, _ = end_of(signal.subflow, role)
                named = Naming(signal, option.address_id, address, None, False)
                self.namings[role].append(named)

    @classmethod
    def of(cls, case: Case) -> Book:
        """That of a connection, written once."""
        found = case.kept.get(cls)
        if not isinstance(found, cls):
            found = case.kept[cls] = cls(case)
        return found

    def removed_between(self, first: Naming, last: Naming) -> bool | None:
        """Whether an ID was withdrawn between two namings; ``None`` if the order is not certain."""
        before, maybe = self.case.before, False
        for removal in self.removals[first.signal.role]:
            if first.address_id not in removal.address_ids:
                continue
            if first.row < removal.row <= last.row:
                return True
            early, late = before(removal.row, first.row), before(last.row, removal.row)
            maybe = maybe or not (early or late)
        return None if maybe else False

    def changes(self, role: int) -> Iterator[tuple[Naming, Naming | None]]:
        """Each naming of a host, with the last one before it that had the same ID.

        Joins under ID 0 are left out: it belongs to the initial address without being sent.
        """
        last: dict[int, Naming] = {}
        for naming in self.namings[role]:
            if naming.address_id or naming.announced:
                yield naming, last.get(naming.address_id)
                last[naming.address_id] = naming


def names(case: Case) -> None:
    """An Address ID stands for one address until it is withdrawn (section 3.4.1)."""
    book = Book.of(case)
    for role in (0, 1):
        for naming, before in book.changes(role):
            _name(case, book, naming, before)
        if case.version == 0:
            _ports(case, book, role)


def _name(case: Case, book: Book, naming: Naming, before: Naming | None) -> None:
    """One use of an Address ID after another."""
    role = naming.signal.role
    if before is None or before.address == naming.address:
        if naming.announced:
            case.right(UNIQUE, role)
            if before is not None:
                case.right(SAME[case.version or 0], role)
        return
    removed = book.removed_between(before, naming)
    mine = [REASSIGNED]
    if naming.announced or before.announced:
        mine.append(UNIQUE)
    if naming.announced and not removed:
        mine.append(SAME[case.version or 0])
    rows = (before.row, naming.row)
    place = "" if naming.announced else f" from {naming.address}"
    why = (
        f"{notation(naming.signal.option)}{place}: ID {naming.address_id} of the {ROLES[role]} "
        f"stands for {before.address} since frame {case.frame(before.row)}, and no REMOVE_ADDR "
        "withdrew it"
    )
    for requirement in mine:
        if removed:
            case.right(requirement, role)
        elif removed is None:
            case.unseen(
                requirement, role, *rows,
                why="whether a REMOVE_ADDR on another subflow came first, their times do not show",
            )  # fmt: skip
        elif case.witnessed_all(role):
            case.wrong(requirement, role, *rows, why=why, subflow=naming.signal.subflow)
        else:
            case.doubt(
                requirement, role, *rows, subflow=naming.signal.subflow,
                why=f"{why}; {INCOMPLETE}, nor that no translator changed an address",
            )  # fmt: skip


def _ports(case: Case, book: Book, role: int) -> None:
    """A repeat on the same subflow should bring a new port (RFC 6824 section 3.4.1).

    The same section permits to refresh what was announced; therefore it is a note.
    """
    told: dict[tuple[int, Address, int | None, int], Naming] = {}
    for naming in book.namings[role]:
        key = naming.address_id, naming.address, naming.port, naming.signal.subflow.id
        before = told.get(key) if naming.announced else None
        again = before is not None and book.removed_between(before, naming) is False
        if before is not None and again and case.witnessed_all(role):
            case.wrong(
                SAME[0], role, before.row, naming.row, subflow=naming.signal.subflow,
                severity="note",
                why=f"{notation(naming.signal.option)}, as in frame {case.frame(before.row)}: the "
                "port must be another than one in use for this ID, though to refresh what was "
                "announced is permitted",
            )  # fmt: skip
        if naming.announced:
            told[key] = naming


RULES = (
    Rule(
        requirements=(UNIQUE, *SAME.values(), REASSIGNED),
        judge=names,
        on=(AddAddr, MpJoinSyn, MpJoinSynAck),
    ),
)
