"""Faults of address signalling: ADD_ADDR and REMOVE_ADDR (RFC 8684 and 6824, section 3.4)."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from ipaddress import IPv4Address, IPv6Address

from mptcp_oracle import crypto
from mptcp_oracle.encode import encode
from mptcp_oracle.model.fault import Edit, Fault, Find
from mptcp_oracle.model.faults_edit import Draft, Place
from mptcp_oracle.model.faults_places import (
    ack_only,
    again,
    arrivals,
    carriers,
    connection_of,
    extra,
    flawed,
    gathered,
    lacks,
    octets_of,
    option_of,
    quiet,
    rewrite,
)
from mptcp_oracle.model.settings import Deviations, Settings
from mptcp_oracle.model.trace import ACK, Sent, Trace
from mptcp_oracle.options import (
    AddAddr,
    Address,
    Dss,
    Flaw,
    Option,
    RemoveAddr,
)

__all__ = ["FAULTS", "LONG", "fresh_address", "fresh_id"]

LONG = 10_000_000_000
"""Nanoseconds after which nothing more of an occasion is to come."""
FLIP = 0x5A5A_5A5A_5A5A_5A5A


def _announces(_trace: Trace, sent: Sent) -> bool:
    return any(isinstance(option, AddAddr) and not option.echo for option in sent.options)


def _echoes(_trace: Trace, sent: Sent) -> bool:
    return any(isinstance(option, AddAddr) and option.echo for option in sent.options)


def _signed(draft: Draft, key: int, option: AddAddr) -> AddAddr:
    """An ADD_ADDR of the sender of a segment, with its HMAC if its version has one."""
    if option.version == 0:
        return replace(option, hmac=None)
    own, peer = draft.hosts_of(key)
    hmac = crypto.add_addr_hmac(
        sender_key=own.key,
        receiver_key=peer.key,
        address_id=option.address_id,
        address=option.address,
        port=option.port,
    )
    return replace(option, hmac=hmac)


def named(trace: Trace, connection: int, host: int) -> dict[int, set[Address]]:
    """The addresses that each Address ID of a host has had, by any option or implicitly."""
    found: dict[int, set[Address]] = {}
    for truth in trace.subflows:
        if truth.connection == connection:
            address = truth.ends[host].address
            found.setdefault(truth.address_ids[host], set()).add(address)
    for sent in trace.segments:
        if sent.host == host and trace.subflows[sent.subflow].connection == connection:
            for option in sent.options:
                if isinstance(option, AddAddr) and not option.echo:
                    found.setdefault(option.address_id, set()).add(option.address)
    return found


def fresh_id(draft: Draft, key: int) -> int:
    """An Address ID that the sender of a segment never used."""
    sent = draft.sent(key)
    taken = named(draft.trace, draft.connection_of(key).number, sent.host)
    return next(name for name in range(200, 456) if name % 256 not in taken) % 256


def fresh_address(draft: Draft) -> Address:
    """An address that no option and no subflow has."""
    if draft.choices.chance(1, 2):
        return IPv6Address((0x20010DB8_00FA << 80) + draft.choices.bits(32))
    return IPv4Address((203 << 24) + (113 << 8) + draft.choices.integer(1, 254))


def _echoed(draft: Draft, key: int, option: AddAddr) -> None:
    """The peer echoes an ADD_ADDR in the next pure ACK that it sends on the subflow, if any."""
    arrived = draft.arrived(key)
    sent = draft.sent(key)
    if arrived is None or option.version == 0:
        return
    echo = replace(option, echo=True, hmac=None)
    for other in draft.order:
        each = draft.sent(other)
        if (
            each.time > arrived
            and each.subflow == sent.subflow
            and each.host != sent.host
            and each.flags == ACK
            and not each.payload
        ):
            plain = replace(each, options=(echo,), data_ack=None)
            draft.insert(other, plain)
            return


def _bad_hmac(_settings: Settings, _host: int) -> Deviations:
    return Deviations(add_addr_hmac_flip=FLIP)


def _wrong_hmac(trace: Trace, sent: Sent) -> bool:
    option = option_of(sent, AddAddr)
    if option is None or option.echo or option.hmac is None:
        return False
    return option.hmac != _digest(trace, sent, option)[-8:]


def _digest(
    trace: Trace,
    sent: Sent,
    option: AddAddr,
    *,
    swapped: bool = False,
    port: int | None = None,
) -> bytes:
    hosts = connection_of(trace, sent).hosts
    own, peer = hosts[sent.host], hosts[1 - sent.host]
    if swapped:
        own, peer = peer, own
    return crypto.add_addr_digest(
        sender_key=own.key,
        receiver_key=peer.key,
        address_id=option.address_id,
        address=option.address,
        port=option.port if port is None else port,
    )


def _resigned(sign: Callable[[Trace, Sent, AddAddr], bytes]) -> Edit:
    """Put a wrong HMAC in the place of the one that there is."""

    def edit(draft: Draft, place: Place) -> None:
        for key in place.segments:
            sent = draft.sent(key)

            def changed(option: Option, sent: Sent = sent) -> Option:
                if not isinstance(option, AddAddr) or option.echo:
                    return option
                return replace(option, hmac=sign(draft.trace, sent, option))

            draft.options(key, changed)
            draft.blame(key)

    return edit


def _with_port(trace: Trace, sent: Sent) -> bool:
    option = option_of(sent, AddAddr)
    return _wrong_hmac(trace, sent) and option is not None and bool(option.port)


def _turned(port: int) -> int:
    return (port & 0xFF) << 8 | port >> 8


SIGNATURES: tuple[tuple[str, str, bool, Callable[[Trace, Sent, AddAddr], bytes]], ...] = (
    (
        "from-left",
        "is the left 64 bits instead of the right",
        False,
        lambda trace, sent, option: _digest(trace, sent, option)[:8],
    ),
    (
        "keys-swapped",
        "has the keys in the wrong order",
        False,
        lambda trace, sent, option: _digest(trace, sent, option, swapped=True)[-8:],
    ),
    (
        "without-port",
        "leaves out the port",
        True,
        lambda trace, sent, option: _digest(trace, sent, option, port=0)[-8:],
    ),
    (
        "port-little-endian",
        "has the octets of the port in the wrong order",
        True,
        lambda trace, sent, option: _digest(trace, sent, option, port=_turned(option.port or 0))[
            -8:
        ],
    ),
    ("zero", "is nothing but zeros", False, lambda _trace, _sent, _option: bytes(8)),
)
"""Wrong HMACs: name, what is wrong, whether a port is needed, derivation."""


def _unsigned(draft: Draft, place: Place) -> None:
    """An ADD_ADDR once more, without its HMAC."""
    option = option_of(draft.sent(place.segments[0]), AddAddr)
    if option is not None:
        bad = flawed(replace(option, hmac=None), Flaw.LAYOUT)
        draft.blame(again(draft, place, bad, plain=True))


def _signed_echo(draft: Draft, place: Place) -> None:
    """An echo once more, with an HMAC."""
    key = place.segments[0]
    option = option_of(draft.sent(key), AddAddr)
    if option is not None:
        bad = flawed(_signed(draft, key, option), Flaw.LAYOUT)
        draft.blame(again(draft, place, bad, plain=True))


def _other_family(draft: Draft, place: Place) -> None:
    """A version 0 ADD_ADDR once more, with the IPVer of the other family."""
    option = option_of(draft.sent(place.segments[0]), AddAddr)
    if option is not None:
        raw = bytearray(encode(option))
        raw[2] ^= 0x04 ^ 0x06
        draft.blame(again(draft, place, octets_of(bytes(raw)), plain=True))


def _alone(where: Callable[[Trace, Sent], bool]) -> Find:
    """Pure ACKs with one ADD_ADDR and at most a DSS."""

    def plain(trace: Trace, sent: Sent) -> bool:
        others = [each for each in sent.options if not isinstance(each, AddAddr | Dss)]
        return sent.flags == ACK and not sent.payload and not others and where(trace, sent)

    return carriers(AddAddr, where=plain)


def _not_joined(trace: Trace, sent: Sent) -> bool:
    """Whether a segment announces an address under an Address ID that its host uses for no more.

    No join has that ID, and no REMOVE_ADDR takes it back, of which nobody could tell on another
    subflow whether it came before.
    """
    option, of = option_of(sent, AddAddr), connection_of(trace, sent)
    flows = [truth for truth in trace.subflows if truth.connection == of.number]
    joined = {truth.address_ids[sent.host] for truth in flows}
    if option is None or option.echo or option.address_id in joined | _withdrawn(trace, sent):
        return False
    # In version 0 an address should be told on all subflows, and not again.
    told = [
        each.address_id
        for late in trace.segments
        if late.host == sent.host and connection_of(trace, late) is of
        for each in late.options
        if isinstance(each, AddAddr)
    ]
    alone = len(flows) == 1 and len(set(told)) == len(told) and lacks(trace, sent, RemoveAddr)
    return of.version == 1 or alone


def _withdrawn(trace: Trace, sent: Sent) -> set[int]:
    """The Address IDs that the sender of a segment ever takes back in its connection."""
    return {
        name
        for each in trace.segments
        if each.host == sent.host and connection_of(trace, each) is connection_of(trace, sent)
        for option in each.options
        if isinstance(option, RemoveAddr)
        for name in option.address_ids
    }


def _other_address(draft: Draft, place: Place) -> None:
    """An ADD_ADDR for another address under an Address ID that one had before."""
    draft.blame(place.segments[0], _renamed(draft, place)[0])


def _withdrawn_first(draft: Draft, place: Place) -> None:
    """The same after a REMOVE_ADDR for what the Address ID was."""
    draft.pause(draft.sent(place.segments[0]).time, LONG)
    late, name = _renamed(draft, place)
    draft.blame(again(draft, place, RemoveAddr(address_ids=(name,)), plain=True), late)


def _renamed(draft: Draft, place: Place) -> tuple[int, int]:
    """Announce another address under the Address ID of an ADD_ADDR: the key, and the ID."""
    key = place.segments[0]
    option = option_of(draft.sent(key), AddAddr)
    assert option is not None
    changed = _signed(draft, key, replace(option, address=fresh_address(draft)))
    late = again(draft, place, changed, plain=True)
    _echoed(draft, late, changed)
    return late, option.address_id


def _echo_of_nothing(option: AddAddr, draft: Draft) -> Option:
    """An echo with a port where the ADD_ADDR has none, or the other way round."""
    port = None if option.port is not None else draft.choices.integer(1, 65_535)
    return replace(option, port=port)


def _lone_echo(trace: Trace, sent: Sent) -> bool:
    """Whether a segment carries an echo, and its peer announced the address in one form only."""
    echo = option_of(sent, AddAddr)
    if echo is None or not echo.echo:
        return False
    forms = {
        (option.address_id, option.port)
        for each in trace.segments
        if each.host != sent.host and connection_of(trace, each) is connection_of(trace, sent)
        for option in each.options
        if isinstance(option, AddAddr) and option.address == echo.address
    }
    return len(forms) == 1


def _after_echo(trace: Trace) -> Iterator[Place]:
    """The echo of an ADD_ADDR, and the announcer's next pure ACK after it arrived."""
    arrived = arrivals(trace)
    calm = {place.segments[0] for place in quiet(ack_only)(trace)}
    for sent in trace.segments:
        if not _echoes(trace, sent) or sent.number not in arrived:
            continue
        for each in trace.segments[sent.number :]:
            if (
                each.number in calm
                and each.subflow == sent.subflow
                and each.host != sent.host
                and each.time > arrived[sent.number]
            ):
                yield Place(host=each.host, segments=(each.number, sent.number))
                break


def _echo_echoed(draft: Draft, place: Place) -> None:
    echo = option_of(draft.sent(place.segments[1]), AddAddr)
    if echo is not None:
        draft.blame(again(draft, place, echo, plain=True))


FAULTS = (
    *(
        Fault(
            name=f"add-addr-hmac-{name}",
            meaning=f"The HMAC of an ADD_ADDR {what}.",
            v1=("8684-3.4.1-07",),
            needs=("add_addr_port",) if port else ("add_addr",),
            find=gathered(AddAddr, where=_with_port if port else _wrong_hmac, wide=True),
            edit=_resigned(sign),
            deviate=_bad_hmac,
        )
        for name, what, port, sign in SIGNATURES
    ),
    Fault(
        name="add-addr-unsigned",
        meaning="A version 1 ADD_ADDR has no HMAC.",
        v1=("8684-3.4.1-02", "8684-3-02"),
        needs=("add_addr",),
        find=_alone(_announces),
        edit=_unsigned,
    ),
    Fault(
        name="echo-signed",
        meaning="An echo of an ADD_ADDR has an HMAC.",
        v1=("8684-3.4.1-02", "8684-3-02"),
        needs=("echo",),
        find=_alone(_echoes),
        edit=_signed_echo,
    ),
    Fault(
        name="add-addr-of-other-family",
        meaning="The IPVer of an ADD_ADDR does not go with the length of its address.",
        v0=("6824-3.4.1-01", "6824-3-02"),
        needs=("add_addr",),
        find=_alone(_announces),
        edit=_other_family,
    ),
    Fault(
        name="address-id-for-another",
        meaning="An ADD_ADDR gives another address to an Address ID that is in use.",
        v1=("8684-3.4.1-15", "8684-3.4.1-03", "8684-3.4.1-17"),
        v0=("6824-3.4.1-05", "6824-3.4.1-11", "6824-3.4.1-15"),
        needs=("add_addr",),
        find=_alone(_not_joined),
        edit=_other_address,
        lawful=_withdrawn_first,
        arranges=True,
    ),
    Fault(
        name="add-addr-reserved-flags",
        meaning="An ADD_ADDR has unassigned flags set.",
        v1=("8684-3.4.1-09",),
        needs=("add_addr",),
        find=gathered(AddAddr, where=_announces),
        edit=rewrite(
            AddAddr, lambda option, draft: replace(option, reserved=draft.choices.integer(1, 7))
        ),
    ),
    Fault(
        name="echo-of-nothing",
        meaning="An echo has another port than the ADD_ADDR, or none where that has one.",
        v1=("8684-3.4.1-11",),
        needs=("echo",),
        find=carriers(AddAddr, where=_lone_echo),
        edit=rewrite(AddAddr, _echo_of_nothing),
    ),
    Fault(
        name="echo-echoed",
        meaning="A host echoes the echo of its ADD_ADDR.",
        v1=("8684-3.4.1-12", "8684-3.4.1-11"),
        needs=("echo", "pure_ack"),
        find=_after_echo,
        edit=_echo_echoed,
    ),
    Fault(
        name="remove-addr-empty",
        meaning="A REMOVE_ADDR names no Address ID.",
        v1=("8684-3.4.2-02", "8684-3-02"),
        v0=("6824-3.4.2-10", "6824-3-02"),
        needs=("pure_ack",),
        find=quiet(ack_only),
        edit=extra(bytes([30, 3, 0x40])),
    ),
)
