"""Invariants: what holds of every world and of every step, whatever happens.

Each is a pure function of the world before a step and of the step's outcome, and gives a sentence
where it is violated. They are checked on every world that exhaustive exploration reaches
(:mod:`mptcp_oracle.model.exploration`) and on every generated trace in the tests. They state the
protocol, not the code: none of them calls what it judges.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

from mptcp_oracle import crypto
from mptcp_oracle.model.settings import content
from mptcp_oracle.model.step import Step
from mptcp_oracle.model.tables import TRANSITIONS
from mptcp_oracle.model.trace import SYN, Mapping, Range, Sent
from mptcp_oracle.model.world import DATA_OUT, LISTENS, MPTCP, PLAIN, Half, World, added
from mptcp_oracle.options import MpCapable, MpJoinSyn, MpTcprst

__all__ = ["INVARIANTS", "Invariant", "violations"]

ROLES = (0, 1)
#: States that only a finished exchange of DATA_FINs leads to, from those before it.
FINISHED = ("M_TIME_WAIT",)


@dataclass(frozen=True, slots=True, kw_only=True)
class Invariant:
    """One of them.

    Attributes:
        name: Its name. text: What holds. section: Of RFC 8684.
        broken: Gives a sentence for each violation.
    """

    name: str
    text: str
    section: str
    broken: Callable[[World, Step], Iterator[str]]


def violations(before: World, outcome: Step) -> list[str]:
    """Every violation of every invariant, as ``name: sentence``; empty for a right model."""
    return [
        f"{invariant.name}: {sentence}"
        for invariant in INVARIANTS
        for sentence in invariant.broken(before, outcome)
    ]


def _stream_bounds(before: World, outcome: Step) -> Iterator[str]:
    hosts = outcome.world.hosts
    for role in ROLES:
        sender, receiver = hosts[role], hosts[1 - role]
        if receiver.rcv_nxt > sender.snd_nxt:
            yield f"host {1 - role} received {receiver.rcv_nxt} of {sender.snd_nxt}"
        if sender.snd_una > receiver.rcv_nxt:
            yield f"host {role} takes {sender.snd_una} for acknowledged, {receiver.rcv_nxt} arrived"
        if receiver.said > receiver.rcv_nxt:
            yield f"host {1 - role} acknowledged {receiver.said} of {receiver.rcv_nxt}"


def _stream_kept(before: World, outcome: Step) -> Iterator[str]:
    for role in ROLES:
        host = outcome.world.hosts[role]
        low = host.rcv_nxt
        for first, last in host.received:
            if not low < first < last:
                yield f"host {role} keeps {host.received} beyond {host.rcv_nxt}"
            low = last
        if host.received and low > outcome.world.hosts[1 - role].snd_nxt:
            yield f"host {role} keeps {host.received}, which was never sent"


def _forward(before: World, outcome: Step) -> Iterator[str]:
    names = ("snd_una", "snd_nxt", "rcv_nxt", "said", "limit")
    for role in ROLES:
        old, new = before.hosts[role], outcome.world.hosts[role]
        for name in names:
            if getattr(new, name) < getattr(old, name):
                yield f"{name} of host {role} went back"
        for number, subflow in enumerate(before.subflows):
            was, now = subflow.halves[role], outcome.world.subflows[number].halves[role]
            for name in ("snd_una", "snd_nxt", "rcv_nxt"):
                if getattr(now, name) < getattr(was, name):
                    yield f"{name} of host {role} on subflow {number} went back"


def _subflow_bounds(before: World, outcome: Step) -> Iterator[str]:
    for number, subflow in enumerate(outcome.world.subflows):
        for role in ROLES:
            sender, receiver = subflow.halves[role], subflow.halves[1 - role]
            top = sender.snd_nxt
            if "LISTEN" not in (sender.state, receiver.state) and receiver.rcv_nxt > top:
                yield f"subflow {number}: {receiver.rcv_nxt} arrived of {top} from host {role}"
            if sender.snd_una > sender.snd_nxt:
                yield f"subflow {number}: host {role} sent {top}, {sender.snd_una} acknowledged"


def _data_fin(before: World, outcome: Step) -> Iterator[str]:
    hosts = outcome.world.hosts
    for role in ROLES:
        sender, receiver = hosts[role], hosts[1 - role]
        if receiver.fin_heard not in (None, sender.fin):
            yield f"host {role} ended at {sender.fin}, the peer heard {receiver.fin_heard}"
        if sender.fin is not None and sender.snd_nxt != sender.fin + 1:
            yield f"host {role} went on to {sender.snd_nxt} after its DATA_FIN {sender.fin}"
        was = before.hosts[role].fin
        if was is not None and sender.fin != was:
            yield f"the DATA_FIN of host {role} moved from {was} to {sender.fin}"


def _finished(before: World, outcome: Step) -> Iterator[str]:
    for role in ROLES:
        host = outcome.world.hosts[role]
        if host.state in FINISHED and before.hosts[role].state != host.state:
            sent = host.fin is not None and host.snd_una > host.fin
            heard = host.fin_heard is not None and host.rcv_nxt > host.fin_heard
            if not sent or not heard:
                yield f"host {role} is in {host.state} before both DATA_FINs were acknowledged"


def _agree(first: Mapping, second: Mapping) -> bool:
    """Whether two mappings give no octet two DSNs."""
    low = max(first.sequence, second.sequence)
    high = min(first.sequence + first.octets, second.sequence + second.octets)
    return low >= high or first.dsn - first.sequence == second.dsn - second.sequence


def _known(world: World, segment: Sent) -> Iterator[Mapping]:
    """Mappings of the segment's half that the world still knows."""
    if segment.subflow >= len(world.subflows):
        return
    halves = world.subflows[segment.subflow].halves
    yield from halves[1 - segment.host].maps
    half: Half = halves[segment.host]
    if half.ahead is not None:
        yield half.ahead
    for record in half.records:
        if record.mapping is not None:
            yield record.mapping


def _immutable(before: World, outcome: Step) -> Iterator[str]:
    for segment in outcome.sent:
        mapping = segment.mapping
        if mapping is None or not mapping.octets:
            continue
        for other in _known(before, segment):
            if not _agree(mapping, other):
                yield f"segment {segment.number} maps octets again, to other DSNs"


def _probes(before: World, segment: Sent, piece: Range) -> bool:
    """Whether a range is a window probe, sent first or again: its octet is the next one's."""
    if piece.cause == "probe":
        return True
    if piece.cause != "retransmission" or segment.subflow >= len(before.subflows):
        return False
    records = before.subflows[segment.subflow].halves[segment.host].records
    return any(
        each.cause == "probe" and each.sequence == piece.sequence
        for record in records
        for each in record.ranges
    )


def _labels(before: World, outcome: Step) -> Iterator[str]:
    seed = before.settings.seed
    for segment in outcome.sent:
        at = segment.sequence + bool(segment.flags & SYN)
        octets = b""
        for piece in segment.ranges:
            if piece.sequence != at or piece.octets < 1:
                yield f"the ranges of segment {segment.number} have gaps"
            at += piece.octets
            if piece.dsn is not None and not _probes(before, segment, piece):
                octets += content(seed, segment.host, piece.dsn, piece.octets)
            else:
                start = len(octets)
                octets += segment.payload[start : start + piece.octets]
        if octets != segment.payload:
            yield f"the payload of segment {segment.number} is not the stream's"


def _mapped(before: World, outcome: Step) -> Iterator[str]:
    for segment in outcome.sent:
        mapping = segment.mapping
        if mapping is None or not mapping.octets:
            continue
        for piece in segment.ranges:
            low = max(piece.sequence, mapping.sequence)
            high = min(piece.sequence + piece.octets, mapping.sequence + mapping.octets)
            if low < high and (
                piece.dsn is None or piece.dsn - piece.sequence != mapping.dsn - mapping.sequence
            ):
                yield f"segment {segment.number} is labelled otherwise than it is mapped"


def _acknowledged(before: World, outcome: Step) -> Iterator[str]:
    for segment in outcome.sent:
        host = outcome.world.hosts[segment.host]
        if segment.data_ack is not None and segment.data_ack > host.rcv_nxt:
            yield f"segment {segment.number} acknowledges {segment.data_ack} of {host.rcv_nxt}"
        half = outcome.world.subflows[segment.subflow].halves[segment.host]
        if segment.ack is not None and segment.ack > max(half.rcv_nxt, 1):
            yield f"segment {segment.number} acknowledges {segment.ack} of {half.rcv_nxt}"


def _new_data(before: World, outcome: Step) -> Iterator[str]:
    for segment in outcome.sent:
        host = outcome.world.hosts[segment.host]
        plain = host.state in PLAIN
        half = outcome.world.subflows[segment.subflow].halves[segment.host]
        new = any(piece.cause == "new" for piece in segment.ranges)
        if plain and new and half.limit < segment.sequence + len(segment.payload):
            yield f"segment {segment.number} goes beyond the window of its subflow"
        for piece in segment.ranges:
            if piece.cause != "new" or piece.dsn is None:
                continue
            end = piece.dsn + piece.octets
            if end > host.limit and not plain:
                yield f"segment {segment.number} goes beyond the window, to {end} of {host.limit}"
            if end > host.snd_nxt:
                yield f"segment {segment.number} carries {end}, yet only {host.snd_nxt} is taken"
            if host.fin is not None and end > host.fin:
                yield f"segment {segment.number} carries data after the DATA_FIN"


def _once(before: World, outcome: Step) -> Iterator[str]:
    """New octets lie above all that was sent, unless a mapping had announced them."""
    for segment in outcome.sent:
        old = before.hosts[segment.host]
        if old.state in PLAIN:
            # What was announced and not sent before the fallback goes on its only subflow now.
            start = before.subflows[segment.subflow].halves[segment.host].snd_nxt
            if any(each.cause == "new" and each.sequence < start for each in segment.ranges):
                yield f"segment {segment.number} calls old octets of its subflow new"
            continue
        promised = added(old.orphans, old.snd_nxt, outcome.world.hosts[segment.host].snd_nxt)
        for subflow in before.subflows:
            half = subflow.halves[segment.host]
            if half.ahead is not None:
                shift = half.ahead.dsn - half.ahead.sequence
                promised = added(promised, half.snd_nxt + shift, half.ahead.dsn + half.ahead.octets)
        for piece in segment.ranges:
            if piece.cause != "new" or piece.dsn is None:
                continue
            first, last = piece.dsn, piece.dsn + piece.octets
            if not any(low <= first and last <= high for low, high in promised):
                yield f"segment {segment.number} calls old data {first} new"


def _established(before: World, outcome: Step) -> Iterator[str]:
    for segment in outcome.sent:
        if segment.payload and not segment.flags & SYN and segment.subflow < len(before.subflows):
            state = before.subflows[segment.subflow].halves[segment.host].state
            if state == "PRE_ESTABLISHED":
                yield f"segment {segment.number} has payload before the fourth packet came"


def _joins(before: World, outcome: Step) -> Iterator[str]:
    for segment in outcome.sent:
        for option in segment.options:
            if not isinstance(option, MpJoinSyn):
                continue
            host, settings = before.hosts[segment.host], before.settings
            if segment.subflow >= len(before.subflows) and (
                not host.heard or host.state not in LISTENS
            ):
                yield f"segment {segment.number} joins too early, or too late"
            flip = settings.deviations[segment.host].token_flip
            right = crypto.token(settings.keys[1 - segment.host], outcome.world.version)
            if option.token != right ^ flip:
                yield f"segment {segment.number} has the token of another connection"


def _silent(before: World, outcome: Step) -> Iterator[str]:
    for segment in outcome.sent:
        if before.hosts[segment.host].state != "TCP":
            continue
        if segment.mapping is not None and segment.mapping.infinite:
            continue  # TCP sends the segment that carried it again
        if any(not isinstance(each, MpCapable | MpTcprst) for each in segment.options):
            yield f"segment {segment.number} has MPTCP options after the fallback"


def _tabled(before: World, outcome: Step) -> Iterator[str]:
    ids = outcome.transitions
    for name in ids:
        if name not in TRANSITIONS:
            yield f"{name} is in no table"
        elif outcome.world.version not in TRANSITIONS[name].versions:
            yield f"{name} is no transition of version {outcome.world.version}"
    lines = [TRANSITIONS[name] for name in ids if name in TRANSITIONS]
    for role in ROLES:
        state, after = before.hosts[role].state, outcome.world.hosts[role].state
        if state == after:
            continue
        for line in lines:
            if line.id[0] == "C" and line.state and (not line.states or state in line.states):
                state = after if after in line.state.split() else line.state.split()[0]
        if state != after:
            was = before.hosts[role].state
            yield f"host {role} went from {was} to {after} by {', '.join(ids) or 'nothing'}"
    for number, subflow in enumerate(before.subflows):
        for role in ROLES:
            old, new = subflow.halves[role].state, outcome.world.subflows[number].halves[role].state
            if old != new and not _leads(old, new, ids):
                yield (
                    f"subflow {number} of host {role} went from {old} to {new} by "
                    f"{', '.join(ids) or 'nothing'}"
                )


def _leads(old: str, new: str, ids: tuple[str, ...]) -> bool:
    """Whether taken transitions lead a half from one state to another, perhaps by several."""
    reached = {old}
    for _ in ids:
        for name in ids:
            line = TRANSITIONS.get(name)
            if line is not None and line.state and (reached & set(line.states) or not line.states):
                reached |= set(line.state.split())
    return new in reached


def _sendable(before: World, outcome: Step) -> Iterator[str]:
    for role in ROLES:
        old, new = before.hosts[role], outcome.world.hosts[role]
        if new.snd_nxt > old.snd_nxt and old.state not in DATA_OUT and old.state in MPTCP:
            yield f"host {role} took new DSNs in {old.state}"


INVARIANTS: tuple[Invariant, ...] = tuple(
    Invariant(name=name, text=text, section=section, broken=broken)
    for name, text, section, broken in (
        ("stream", "nothing arrives that was not sent, and nothing is acknowledged that did not "
         "arrive", "3.3.2", _stream_bounds),
        ("kept data", "data beyond a gap is kept in order, apart, and was sent", "3.3.2",
         _stream_kept),
        ("forward", "no number that counts what was sent, received, acknowledged or allowed goes "
         "back, so every octet is handed on once and in order", "3.3.4", _forward),
        ("subflow", "the same holds of the octets of every subflow", "3.3.1", _subflow_bounds),
        ("DATA_FIN", "a host's DATA_FIN has one DSN, the one after its last octet, and its peer "
         "hears no other", "3.3.3", _data_fin),
        ("finished", "no host takes a connection for closed before both DATA_FINs were "
         "acknowledged", "3.3.3", _finished),
        ("immutable", "no mapping gives a subflow octet another DSN than an earlier one", "3.3.1",
         _immutable),
        ("content", "payload is the part of the stream that its labels say, without gaps",
         "3.3.6", _labels),
        ("mapped", "the DSN of every octet is the one that its mapping says", "3.3.1", _mapped),
        ("acknowledgments", "ACK and DATA_ACK cover only what was received", "3.3.2",
         _acknowledged),
        ("window", "new data stays within the peer's window and before the DATA_FIN", "3.3.4",
         _new_data),
        ("new once", "no octet is new twice", "3.3.1", _once),
        ("DSNs", "only a host that may still send takes new DSNs", "3.3.3", _sendable),
        ("fourth packet", "no payload goes on a joined subflow before its fourth packet", "3.2",
         _established),
        ("joins", "a join comes after a DSS on the initial path, with the receiver's token", "3.2",
         _joins),
        ("plain TCP", "after a fallback there are no MPTCP options", "3.7", _silent),
        ("tables", "every change of state is a line of the tables", "appendix D", _tabled),
    )
)  # fmt: skip
"""All of them."""
