"""Faults of the MP_CAPABLE handshake: forms, flags, keys (RFC 8684 and 6824, section 3.1)."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace

from mptcp_oracle import crypto
from mptcp_oracle.constants import (
    CAPABLE_CHECKSUM,
    CAPABLE_EXTENSION,
)
from mptcp_oracle.model.fault import Fault
from mptcp_oracle.model.faults_edit import Draft, Place
from mptcp_oracle.model.faults_flow import early
from mptcp_oracle.model.faults_places import (
    alongside,
    connection_of,
    flawed,
    gathered,
    has,
    option_of,
    plain,
    rewrite,
    unheard_third,
)
from mptcp_oracle.model.trace import ACK, SYN, Sent, Trace
from mptcp_oracle.options import Flaw, MpCapable, MpPrio, Option

__all__ = ["FAULTS", "after_synack", "flagged", "going_on", "on_syn", "on_synack", "other_key"]

UNKNOWN_CRYPTO = (0x02, 0x04, 0x08, 0x10)
"""Flags D to G, of algorithms that do not exist."""

Change = Callable[[MpCapable, Draft], Option | None]


def on_synack(_trace: Trace, sent: Sent) -> bool:
    """Whether a segment is a SYN/ACK."""
    return sent.flags & (SYN | ACK) == SYN | ACK


def after_synack(_trace: Trace, sent: Sent) -> bool:
    """Whether a segment is a third packet, or the first data under an MP_CAPABLE."""
    return not sent.flags & SYN


def on_syn(_trace: Trace, sent: Sent) -> bool:
    """Whether a segment is a SYN, not a SYN/ACK."""
    return sent.flags & (SYN | ACK) == SYN


def _swapped(key: int) -> int:
    return int.from_bytes(key.to_bytes(8, "big"), "little")


def _dropped(_option: MpCapable, _draft: Draft) -> None:
    return None


def _other_version(option: MpCapable, draft: Draft) -> Option:
    return replace(option, version=draft.choices.pick((0, *range(2, 16))))


def _refused(draft: Draft, place: Place) -> None:
    """Of a SYN/ACK that now has an MP_CAPABLE, the initiator's plain answer shows the refusal."""
    subflow = draft.sent(place.segments[0]).subflow
    connection = draft.connection_of(place.segments[0])
    thirds = [
        frozenset({sent.number})
        for sent in draft.trace.segments
        if sent.subflow == subflow and sent.host == 0 and not sent.flags & SYN
    ]
    draft.connection(connection.number, fallback="third_packet", fallback_shown=tuple(thirds))
    for role, host in enumerate(connection.hosts):
        draft.host(connection.number, role, base=crypto.idsn(host.key, connection.version))


def _version_raised(draft: Draft, place: Place) -> None:
    version = draft.choices.integer(2, 15)
    for key in place.segments:
        own, _ = draft.hosts_of(key)
        draft.add(key, MpCapable(version=version, sender_key=own.key))
        draft.blame(key)
    _refused(draft, place)


def _key_on_syn(option: MpCapable, draft: Draft) -> Option:
    return flawed(replace(option, sender_key=1 + draft.choices.bits(63)), Flaw.MISPLACED)


def _keyless_syn(option: MpCapable, _draft: Draft) -> Option:
    return flawed(replace(option, sender_key=None), Flaw.LAYOUT)


def _keyless_synack(draft: Draft, key: int) -> Option:
    version = draft.connection_of(key).version
    flaw = Flaw.MISPLACED if version else Flaw.LAYOUT
    return flawed(MpCapable(version=version), flaw)


def _one_key(option: MpCapable, _draft: Draft) -> Option:
    return flawed(replace(option, receiver_key=None), Flaw.MISPLACED)


def _with_length(option: MpCapable, draft: Draft) -> Option:
    return flawed(replace(option, data_length=draft.choices.integer(1, 1400)), Flaw.LAYOUT)


def _wrong_echo(draft: Draft, place: Place) -> None:
    """The same wrong key in the place of the listener's, from the third packet on."""
    own, peer = draft.hosts_of(place.segments[0])
    right = peer.key
    wrong = (own.key, _swapped(right), right ^ 1 << draft.choices.integer(0, 63), 0)
    echo = draft.choices.pick([key for key in wrong if key != right])
    rewrite(MpCapable, lambda option, _draft: replace(option, receiver_key=echo))(draft, place)


def other_key(option: MpCapable, draft: Draft) -> Option:
    """Another key of the sender's, one bit away."""
    right = option.sender_key or 0
    return replace(option, sender_key=right ^ 1 << draft.choices.integer(0, 63))


def flagged(mask: int) -> Change:
    """Set a flag."""
    return lambda option, _draft: replace(option, flags=option.flags | mask)


def _unknown_crypto(option: MpCapable, draft: Draft) -> Option:
    return replace(option, flags=option.flags | draft.choices.pick(UNKNOWN_CRYPTO))


def _no_crypto(option: MpCapable, _draft: Draft) -> Option:
    return replace(option, flags=option.flags & (0xC0 if option.version == 0 else 0xE0))


def _lone_signal(_draft: Draft, _key: int) -> Option:
    return MpPrio(backup=False)


def _unoffered(draft: Draft, place: Place) -> None:
    """The SYN loses its MP_CAPABLE, and the SYN/ACK has one."""
    first = draft.sent(place.segments[0]).subflow
    for sent in draft.trace.segments:
        if sent.subflow == first and on_syn(draft.trace, sent):
            draft.options(sent.number, lambda _option: None)
    for key in place.segments:
        own, _ = draft.hosts_of(key)
        version = draft.connection_of(key).version
        draft.add(key, MpCapable(version=version, sender_key=own.key))
        draft.blame(key)
    _refused(draft, place)


def _listener_later(trace: Trace) -> Iterator[Place]:
    """Segments of a listener that fell back because of the third packet; no data was on the SYN."""
    for place in plain("third_packet", "third")(trace):
        third = trace.segments[place.segments[0]]
        arrived = [each.time for each in trace.deliveries if each.segment.number == third.number]
        for sent in trace.segments:
            if (
                arrived
                and not early(trace, third)
                and sent.subflow == third.subflow
                and sent.host == 1
                and sent.time > arrived[0]
                and sent.flags & (SYN | ACK) == ACK
            ):
                yield Place(host=1, segments=(sent.number,))
                break


def _lower_flag_a(option: MpCapable, _draft: Draft) -> Option:
    return replace(option, flags=option.flags & ~CAPABLE_CHECKSUM)


def _wants_checksum(trace: Trace, sent: Sent) -> bool:
    option = option_of(sent, MpCapable)
    return option is not None and option.checksum_required and after_synack(trace, sent)


def _syn_of_mptcp(trace: Trace, sent: Sent) -> bool:
    return on_syn(trace, sent) and _of_mptcp(trace, sent)


def _of_mptcp(trace: Trace, sent: Sent) -> bool:
    """Whether a segment's connection got going with MPTCP."""
    return connection_of(trace, sent).fallback is None


def _changed_since_syn(draft: Draft, place: Place) -> None:
    """Another key in the SYNs of a connection; the third packet, which changes it, is to blame."""
    rewrite(MpCapable, other_key)(draft, place)
    first = draft.sent(place.segments[0]).subflow
    for sent in draft.trace.segments:
        if sent.subflow == first and has(sent, MpCapable) and after_synack(draft.trace, sent):
            draft.blame(sent.number)
            break


def going_on(trace: Trace, sent: Sent) -> bool:
    """Whether a SYN/ACK with MP_CAPABLE got its connection going."""
    return on_synack(trace, sent) and connection_of(trace, sent).fallback is None


FAULTS = (
    Fault(
        name="third-ack-without-capable",
        meaning="The third packet has neither data nor MP_CAPABLE, and MPTCP goes on.",
        v1=("8684-3.1-01", "8684-3.1-16"),
        needs=("third_ack", "capable_data"),
        find=unheard_third,
        edit=rewrite(MpCapable, _dropped, lost=True),
        hosts=(0,),
        at_sender=True,
    ),
    Fault(
        name="version-raised",
        meaning="The SYN/ACK says a higher version than the SYN offered.",
        v1=("8684-3.1-03",),
        needs=("fallback_synack",),
        find=plain("synack", "synack"),
        edit=_version_raised,
    ),
    Fault(
        name="version-changed",
        meaning="The third packet says another version than the SYN/ACK.",
        v1=("8684-3.1-04",),
        needs=("third_ack", "capable_data"),
        find=unheard_third,
        edit=rewrite(MpCapable, _other_version, lost=True),
        at_sender=True,
    ),
    Fault(
        name="key-on-syn",
        meaning="A version 1 SYN has a key, as in version 0.",
        v1=("8684-3.1-06", "8684-3-02"),
        needs=("fallback_synack",),
        find=plain("synack", "syn"),
        edit=rewrite(MpCapable, _key_on_syn),
    ),
    Fault(
        name="syn-without-key",
        meaning="A version 0 SYN has no key, as in version 1.",
        v0=("6824-3.1-01", "6824-3-02"),
        needs=("fallback_synack",),
        find=plain("synack", "syn"),
        edit=rewrite(MpCapable, _keyless_syn),
    ),
    Fault(
        name="synack-without-key",
        meaning="The MP_CAPABLE of the SYN/ACK has no key.",
        v1=("8684-3.1-07", "8684-3-02"),
        v0=("6824-3.1-02", "6824-3-02"),
        needs=("fallback_synack",),
        find=plain("synack", "synack"),
        edit=alongside(_keyless_synack),
    ),
    Fault(
        name="third-ack-with-one-key",
        meaning="The MP_CAPABLE of the third packet lacks the listener's key.",
        v1=("8684-3.1-08", "8684-3-02"),
        v0=("6824-3.1-03", "6824-3-02"),
        needs=("third_ack", "capable_data"),
        find=unheard_third,
        edit=rewrite(MpCapable, _one_key, lost=True),
        at_sender=True,
    ),
    Fault(
        name="third-ack-with-length",
        meaning="A version 0 MP_CAPABLE has a Data-Level Length, as in version 1.",
        v0=("6824-3.1-03", "6824-3-02"),
        needs=("third_ack", "retransmission"),
        find=unheard_third,
        edit=rewrite(MpCapable, _with_length, lost=True),
        at_sender=True,
    ),
    Fault(
        name="echoed-key",
        meaning="The initiator echoes another key than the listener's.",
        v1=("8684-3.1-10",),
        v0=("6824-3.1-04",),
        needs=("third_ack",),
        find=gathered(MpCapable, where=after_synack),
        edit=_wrong_echo,
    ),
    Fault(
        name="key-changed-since-syn",
        meaning="The third packet has another key of the initiator's than the SYN.",
        v0=("6824-3.1-04",),
        needs=("third_ack",),
        find=gathered(MpCapable, where=_syn_of_mptcp),
        edit=_changed_since_syn,
    ),
    Fault(
        name="extension-flag",
        meaning="A host sets flag B in its MP_CAPABLEs.",
        v1=("8684-3.1-25",),
        v0=("6824-3.1-07",),
        find=gathered(MpCapable, where=_of_mptcp),
        edit=rewrite(MpCapable, flagged(CAPABLE_EXTENSION)),
    ),
    Fault(
        name="crypto-unknown",
        meaning="The SYN offers algorithms that do not exist, beside the one that does.",
        v1=("8684-3.1-28",),
        v0=("6824-3.1-09",),
        find=gathered(MpCapable, where=_syn_of_mptcp),
        edit=rewrite(MpCapable, _unknown_crypto),
    ),
    Fault(
        name="crypto-none",
        meaning="The SYN offers no algorithm.",
        v1=("8684-3.1-29", "8684-3.1-28"),
        v0=("6824-3.1-10", "6824-3.1-09"),
        needs=("fallback_synack",),
        find=plain("synack", "syn"),
        edit=rewrite(MpCapable, _no_crypto),
    ),
    Fault(
        name="checksum-flag-lost",
        meaning="The third packet has no flag A although a SYN had it.",
        v1=("8684-3.1-36",),
        v0=("6824-3.1-24",),
        needs=("checksum",),
        find=gathered(MpCapable, where=_wants_checksum),
        edit=rewrite(MpCapable, _lower_flag_a),
    ),
    Fault(
        name="crypto-several",
        meaning="The SYN/ACK chooses more than one algorithm.",
        v1=("8684-3.1-38", "8684-3.1-28"),
        v0=("6824-3.1-25", "6824-3.1-09"),
        find=gathered(MpCapable, where=going_on),
        edit=rewrite(MpCapable, _unknown_crypto),
    ),
    Fault(
        name="signal-after-plain-synack",
        meaning="The initiator sends an MPTCP option after a SYN/ACK without MP_CAPABLE.",
        v1=("8684-3.1-41", "8684-3.7-01"),
        v0=("6824-3.1-27", "6824-3.6-10"),
        needs=("fallback_synack",),
        find=plain("synack", "third"),
        edit=alongside(_lone_signal),
    ),
    Fault(
        name="capable-not-offered",
        meaning="The SYN/ACK has an MP_CAPABLE although the SYN had none.",
        v1=("8684-3.1-42", "8684-3.7-01"),
        v0=("6824-3.1-28", "6824-3.6-10"),
        needs=("fallback_synack",),
        find=plain("synack", "synack"),
        edit=_unoffered,
        arranges=True,
    ),
    Fault(
        name="signal-after-plain-third-ack",
        meaning="The listener sends an MPTCP option although the third packet had no MP_CAPABLE.",
        v1=("8684-3.1-43", "8684-3.7-01"),
        v0=("6824-3.1-29", "6824-3.6-10"),
        needs=("fallback_third",),
        find=_listener_later,
        edit=alongside(_lone_signal),
    ),
)
