"""The MP_CAPABLE options themselves: forms, flags and keys (RFC 8684 and 6824 section 3.1)."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TypeAlias

from mptcp_oracle.analysis.entities import Subflow
from mptcp_oracle.analysis.signals import ACK, SYN
from mptcp_oracle.rules import uniqueness
from mptcp_oracle.rules.assessing import FIRST_ONLY, OTHER_SYNACK, REQUIREMENTS, Objection, assess
from mptcp_oracle.rules.case import INCOMPLETE, Case
from mptcp_oracle.rules.greeting import Greeting, greetings
from mptcp_oracle.rules.rule import Rule

__all__ = ["RULES"]

VERSION_KEPT = "8684-3.1-version-kept-after-synack"
ECHO = {1: "8684-3.1-echoed-key-same", 0: "6824-3.1-ack-keys-repeated"}
OWN_KEY = "8684-3.1-initiator-key-same"

#: Forms of the packets that ask for MPTCP and agree to it.
OPENING = ("syn", "synack")
#: An MP_CAPABLE, and the key of its sender.
Shown: TypeAlias = tuple[Greeting, int]

OTHER_CONNECTION = "it may belong to another connection with the same addresses and ports"


def options(case: Case) -> None:
    """What the MP_CAPABLEs of a connection show."""
    initial = [each for each in greetings(case) if _begins(case, each)]
    shapes = tuple(each.shape for each in initial)
    kept, objections, unseen = assess(shapes, case.version)
    for requirement, role, count in kept:
        case.right(requirement, role, count)
    for objection in objections:
        _enter(case, initial, objection)
    for requirement, at, why in unseen:
        case.unseen(requirement, shapes[at].role, initial[at].signal.row, why=why)
    shown = [each for each in initial if each.shape.form in OPENING]
    later = [each for each in initial if each.shape.form not in OPENING]
    if later:
        _keys(case, shown, later)
        if case.version == 1:
            synacks = [each for each in shown if each.shape.form == "synack"]
            for each in later:
                _same_version(case, each, synacks)


def _begins(case: Case, each: Greeting) -> bool:
    """Whether an MP_CAPABLE stands where it belongs: at the beginning of the initial subflow.

    Nothing is said of what comes after a fallback.
    """
    signal = each.signal
    if signal.subflow.kind == "joined":
        _on_joined(case, each)
        return False
    if each.shape.form in OPENING:
        return True
    if case.over is not None and signal.row >= case.over:
        return False
    if signal.role == 1:
        _by_listener(case, each)
    return signal.role == 0


def _enter(case: Case, found: Sequence[Greeting], objection: Objection) -> None:
    """An objection is a proof, or a doubt where the capture was not made where it is one."""
    each = found[objection.at]
    signal, why = each.signal, f"{objection.text}: {each.text}"
    beside = () if objection.beside is None else (found[objection.beside],)
    rows = [one.signal.row for one in (*beside, each)]
    proven = not objection.lacks
    if objection.where is not None:
        proven = (case.witnessed if objection.whole else case.sent_here)(
            signal.subflow, objection.where
        )
    if proven:
        case.wrong(objection.requirement, signal.role, *rows, why=why, subflow=signal.subflow)
    else:
        why = f"{why}; {objection.lacks}"
        case.doubt(objection.requirement, signal.role, *rows, why=why, subflow=signal.subflow)


def _same_version(case: Case, each: Greeting, synacks: list[Greeting]) -> None:
    """What follows the SYN/ACK has the version that it chose.

    The key that it echoes shows which SYN/ACK it answers.
    """
    signal, version = each.signal, each.shape.version
    if not synacks:
        case.unseen(VERSION_KEPT, 0, signal.row, why="the SYN/ACK is not in the capture")
        return
    if any(version == other.shape.version for other in synacks):
        case.right(VERSION_KEPT, 0)
        return
    echo = each.value.receiver_key if each.value else None
    answered = [
        other for other in synacks if other.value and None is not other.value.sender_key == echo
    ]
    last = (answered or synacks)[-1]
    why = f"version {version}, and the SYN/ACK chose {last.shape.version}: {each.text}"
    rows = (last.signal.row, signal.row)
    if answered or _from_start(case, signal.subflow):
        case.wrong(VERSION_KEPT, 0, *rows, why=why, subflow=signal.subflow)
    else:
        why = f"{why}; {OTHER_SYNACK}"
        case.doubt(VERSION_KEPT, 0, *rows, why=why, subflow=signal.subflow)


def _keys(case: Case, shown: list[Greeting], later: list[Greeting]) -> None:
    """The third packet and first data have the keys of SYN and SYN/ACK, and always the same."""
    sent: dict[str, list[Shown]] = {"syn": [], "synack": []}
    for each in shown:
        if each.value and each.value.sender_key is not None:
            sent[each.shape.form].append((each, each.value.sender_key))
    first: Shown | None = None
    for each in later:
        value = each.value
        if value is None or each.shape.version != case.version:
            continue
        own, echo = value.sender_key, value.receiver_key
        if own is None or echo is None:
            continue
        known = [(echo, own, sent["synack"])]
        if case.version == 0:
            known.append((own, echo, sent["syn"]))
        _repeated(case, ECHO[case.version], each, known)
        if case.version == 1:
            first = first or (each, own)
            _same_key(case, first, (each, own))


def _repeated(
    case: Case, requirement: str, each: Greeting, known: list[tuple[int, int, list[Shown]]]
) -> None:
    """Each key is one that was shown before; a hole may hide another packet that showed it.

    It is not the key in the other place of the same option, nor any of these reversed.
    """
    signal = each.signal
    if not any(others for _, _, others in known):
        why = "no packet with the keys to repeat is in the capture"
        case.unseen(requirement, 0, signal.row, why=why)
        return
    kept = True
    for key, neighbour, others in known:
        keys = dict.fromkeys(other for _, other in others)
        if not keys or key in keys:
            continue
        kept = False
        expected = " or ".join(f"{other:016x}" for other in keys)
        why = f"key {key:016x}, not {expected}: {each.text}"
        rows = (others[-1][0].signal.row, signal.row)
        if _from_start(case, signal.subflow) or _derived(key, (*keys, neighbour)):
            case.wrong(requirement, 0, *rows, why=why, subflow=signal.subflow)
        else:
            why = f"{why}; {INCOMPLETE}"
            case.doubt(requirement, 0, *rows, why=why, subflow=signal.subflow)
    if kept:
        case.right(requirement, 0)


def _from_start(case: Case, subflow: Subflow) -> bool:
    """Whether the capture has everything of a subflow from its SYN on."""
    return case.context.whole and case.shake(subflow).syn_row is not None


def _derived(key: int, keys: Iterable[int]) -> bool:
    """Whether a key can be no other host's choice: it is one of these, misplaced or reversed."""
    return not {key, int.from_bytes(key.to_bytes(8, "big"), "little")}.isdisjoint(keys)


def _same_key(case: Case, first: Shown, each: Shown) -> None:
    """The initiator's key is the one that it sent first.

    Its place in the subflow shows that it is not of another connection with the same addresses.
    """
    if first[1] == each[1]:
        case.right(OWN_KEY, 0)
        return
    subflow, sequence = each[0].signal.subflow, case.columns["sequence"]
    rows = (first[0].signal.row, each[0].signal.row)
    why = f"the initiator's key is {each[1]:016x}, and was {first[1]:016x}"
    if sequence[rows[0]] == sequence[rows[1]]:
        case.wrong(OWN_KEY, 0, *rows, why=why, subflow=subflow)
    else:
        case.doubt(OWN_KEY, 0, *rows, why=f"{why}; {OTHER_CONNECTION}", subflow=subflow)


def _on_joined(case: Case, each: Greeting) -> None:
    """A joined subflow has no MP_CAPABLE; one with the connection's keys is surely part of it."""
    signal, keys = each.signal, {host.key for host in case.hosts} - {None}
    why = f"{each.text} on a subflow that began with MP_JOIN"
    if case.context.whole or (each.value is not None and each.value.sender_key in keys):
        case.judge(FIRST_ONLY, signal, False, why)
    else:
        why = f"{why}; {OTHER_CONNECTION}"
        case.doubt(FIRST_ONLY, signal.role, signal.row, why=why, subflow=signal.subflow)


def _by_listener(case: Case, each: Greeting) -> None:
    """Of the listener's packets only the SYN/ACK has an MP_CAPABLE."""
    signal = each.signal
    opened = {raw.half for raw in case.events(signal.subflow) if raw.flags & (SYN | ACK) == SYN}
    why = f"the listener sends {each.text} after its SYN/ACK"
    if opened == {signal.subflow.halves[0]}:
        case.judge(FIRST_ONLY, signal, False, why)
    else:
        why = f"{why}; which host opened the subflow is not certain"
        case.doubt(FIRST_ONLY, 1, signal.row, why=why, subflow=signal.subflow)


RULES = (
    Rule(
        requirements=(*REQUIREMENTS, VERSION_KEPT, *ECHO.values(), OWN_KEY),
        judge=options,
        strays=True,
    ),
    *uniqueness.RULES,
)
