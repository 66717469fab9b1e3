"""How subflows and connections end, and what certainly came before what on several subflows."""

from __future__ import annotations

from typing import NamedTuple

from mptcp_oracle.analysis.closing import LATE
from mptcp_oracle.analysis.dataplane import signed64
from mptcp_oracle.analysis.entities import Subflow
from mptcp_oracle.analysis.signals import FIN, RST, SYN
from mptcp_oracle.options import Dss
from mptcp_oracle.rules.case import Case, Signal
from mptcp_oracle.rules.context import JITTER

__all__ = ["MOMENT", "DataFin", "End", "Signs", "both_acked", "counted", "ends_of",
           "follows", "nothing_hidden", "remaining", "signs_of", "started", "usable"]  # fmt: skip

MOMENT = 1_000_000
"""Nanoseconds within which what one machine captures on several interfaces has no order."""

#: Link types of captures of all interfaces at once (Linux cooked mode).
COOKED = (113, 276)
#: How the data plane knows an initial sequence number: from the subflow's handshake.
FROM_HANDSHAKE = (1, 2, 3)


class End(NamedTuple):
    """How one host ended its half of a subflow.

    Attributes:
        fin, rst: Row of its first FIN, and of its first RST that had an effect.
    """

    fin: int | None
    rst: int | None

    @property
    def first(self) -> int | None:
        """The row from which on it sends no new data."""
        if self.fin is None or self.rst is None:
            return self.rst if self.fin is None else self.fin
        return min(self.fin, self.rst)


def ends_of(case: Case, subflow: Subflow) -> tuple[End, End]:
    """How either host ended a subflow."""
    fins: list[int | None] = [None, None]
    rsts: list[int | None] = [None, None]
    first = subflow.halves[0]
    for raw in case.events(subflow):
        role = int(raw.half != first)
        if raw.flags & RST:
            if rsts[role] is None and not _without_effect(case, raw.half, raw.row):
                rsts[role] = raw.row
        elif raw.flags & FIN and not raw.flags & SYN and fins[role] is None:
            fins[role] = raw.row
    return End(fins[0], rsts[0]), End(fins[1], rsts[1])


def _without_effect(case: Case, half: int, row: int) -> bool:
    """Whether the sender of a RST went on long after it: somebody else forged that."""
    last = case.context.trace.wire.halves["last_row"][half]
    if last <= row or case.columns["flags"][last] & RST:
        return False
    return case.time(last) - case.time(row) > LATE


def usable(case: Case, subflow: Subflow) -> int | None:
    """The row from which on both hosts are known to have a subflow; ``None`` if never.

    Each of them has sent something but SYNs by then; a join must not have failed.
    """
    if not subflow.established:
        return None
    rows = case.context.trace.plane.first_rows()
    first, second = (rows[half] for half in subflow.halves)
    return None if min(first, second) < 0 else max(first, second)


class DataFin(NamedTuple):
    """A DATA_FIN where it stands.

    Attributes:
        signal: The option's place. option: Its value. dsn: Its own relative DSN, if that is known.
    """

    signal: Signal
    option: Dss
    dsn: int | None


class Signs(NamedTuple):
    """What DSS options say of the end of a connection.

    Attributes:
        plain: The row from which on it may be plain TCP: of its fallback, if there is one.
        fins: All DATA_FINs in capture order. placed: By role, those of which the DSN is known.
    """

    plain: int | None
    fins: list[DataFin]
    placed: tuple[list[DataFin], list[DataFin]]


def signs_of(case: Case) -> Signs:
    """The DATA_FINs and the first infinite mapping of a connection."""
    plain, fins = case.over, list[DataFin]()
    placed: tuple[list[DataFin], list[DataFin]] = ([], [])
    for signal, option in case.of(Dss):
        if option.data_fin:
            if not signal.flags & (SYN | RST):
                found = DataFin(signal, option, _place(case, signal, option))
                fins.append(found)
                if found.dsn is not None:
                    placed[signal.role].append(found)
        elif option.dll == 0 and (plain is None or signal.row < plain):
            plain = signal.row
    return Signs(plain, fins, placed)


def _place(case: Case, signal: Signal, option: Dss) -> int | None:
    """The relative DSN of a DATA_FIN itself, as the data plane reads it."""
    if option.dsn is None:
        return None
    last = max(option.dll or 1, 1) - 1
    trace = case.context.trace
    maps, at = trace.wire.mappings, case.columns["mapping"][signal.row]
    if at >= 0 and maps["ssn"][at] == option.ssn and maps["length"][at] == option.dll:
        return int(maps["dsn"][at]) + last
    if option.dsn_size < 8:
        return None
    return signed64(option.dsn - trace.plane.base[2 * case.number + signal.role]) + last


def both_acked(case: Case, placed: tuple[list[DataFin], list[DataFin]]) -> tuple[int, int] | None:
    """The rows of the first DATA_ACKs of both hosts' DATA_FINs, if all are in the capture."""
    found = []
    for role in (0, 1):
        dsn = placed[role][0].dsn if placed[role] else None
        if dsn is not None:
            found.append(case.context.progress.ack_of(2 * case.number + role, dsn))
    if len(found) < 2 or found[0] is None or found[1] is None:
        return None
    return found[0], found[1]


def follows(case: Case, first: int, second: int) -> bool:
    """Whether a row certainly passed the tap after another.

    As :meth:`Case.before`; but what one machine captured has one clock, and what it captured on
    one interface is in order.
    """
    half = case.columns["half"]
    if half[first] >> 1 == half[second] >> 1 or first >= second:
        return first < second
    if case.tapped_at is None:
        return case.time(first) + JITTER < case.time(second)
    places = case.context.trace.capture.interfaces
    one = len(places) == 1 and places[0].linktype not in COOKED
    return one or case.time(first) + MOMENT < case.time(second)


def remaining(case: Case, row: int) -> int:
    """Nanoseconds for which the capture goes on after a row."""
    columns = case.columns
    return columns["time"][columns.rows - 1] - columns["time"][row]


def started(case: Case) -> bool:
    """Whether the capture has all subflows from their SYNs on, the initial one among them."""
    shakes = (case.shake(subflow).syn_row for subflow in case.subflows)
    return case.connection.initial is not None and all(row is not None for row in shakes)


def counted(case: Case, row: int) -> bool:
    """Whether the place of a segment's data is known for sure, not from mappings alone."""
    half = case.columns["half"][row]
    plane = case.context.trace.plane
    return plane.isn_from[half] in FROM_HANDSHAKE and bool(plane.placed[half])


def nothing_hidden(case: Case, role: int) -> bool:
    """Whether all subflows of a host seem to be captured, from their beginnings on.

    The data that it sent is there without gaps, neither host acknowledges more than is there, and
    where it belongs is known.
    """
    progress, plane = case.context.progress, case.context.trace.plane
    own, peers = 2 * case.number + role, 2 * case.number + 1 - role
    halves = [half for each in case.subflows if any(each.octets) for half in each.halves]
    return (
        started(case)
        and all(plane.placed[half] for half in halves)
        and progress.solid(own) >= plane.dsn_top[own]
        and plane.dack_top[own] <= plane.dsn_top[own] + 1
        and plane.dack_top[peers] <= progress.solid(peers) + 1
    )
