"""Faults of what keys give: tokens and initial data sequence numbers.

RFC 8684 and 6824, sections 3.1 and 3.2. All are deviations of the model: the other host answers
a token that it does not know, and counts DSNs from where its peer does.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

from mptcp_oracle import crypto
from mptcp_oracle.model.fault import Deviate, Fault, Find
from mptcp_oracle.model.faults_edit import Draft, Place
from mptcp_oracle.model.faults_places import connection_of, option_of, subflow_of
from mptcp_oracle.model.settings import Deviations, Settings
from mptcp_oracle.model.trace import ConnectionTruth, Sent, Trace
from mptcp_oracle.options import Dss, MpJoinSyn

__all__ = ["FAULTS", "spoken"]

Derive = Callable[[tuple[int, int], int, int], int]
"""Keys of both hosts, version and role of the host that derives: the number it comes to."""


def spoken(settings: Settings) -> int:
    """The version that the hosts agree on."""
    return settings.version if settings.answers is None else min(settings.version, settings.answers)


def _number(octets: bytes) -> int:
    return int.from_bytes(octets, "big")


def _reversed(key: int) -> int:
    return int.from_bytes(key.to_bytes(8, "big"), "little")


def _token_of_own_key(keys: tuple[int, int], version: int, host: int) -> int:
    return crypto.token(keys[host], version)


def _token_of_other_hash(keys: tuple[int, int], version: int, host: int) -> int:
    return crypto.token(keys[1 - host], 1 - version)


def _token_from_right(keys: tuple[int, int], version: int, host: int) -> int:
    return _number(crypto.key_digest(keys[1 - host], version)[-4:])


def _token_little_endian(keys: tuple[int, int], version: int, host: int) -> int:
    return int.from_bytes(crypto.key_digest(keys[1 - host], version)[:4], "little")


def _token_of_reversed_key(keys: tuple[int, int], version: int, host: int) -> int:
    return crypto.token(_reversed(keys[1 - host]), version)


def _idsn_of_other_hash(keys: tuple[int, int], version: int, host: int) -> int:
    return crypto.idsn(keys[host], 1 - version)


def _idsn_of_peer(keys: tuple[int, int], version: int, host: int) -> int:
    return crypto.idsn(keys[1 - host], version)


def _idsn_as_first(keys: tuple[int, int], version: int, host: int) -> int:
    return (crypto.idsn(keys[host], version) - 1) & (1 << 64) - 1


def _idsn_of_reversed_key(keys: tuple[int, int], version: int, host: int) -> int:
    return crypto.idsn(_reversed(keys[host]), version)


def _idsn_from_left(keys: tuple[int, int], version: int, host: int) -> int:
    return _number(crypto.key_digest(keys[host], version)[:8])


def _idsn_from_middle(keys: tuple[int, int], version: int, host: int) -> int:
    """Octets 12 to 19 of the digest: the last of SHA-1, and the habit of version 0 code."""
    digest = crypto.key_digest(keys[host], version)
    return _number(digest[12:20] if version else digest[8:16])


def _flipping(derive: Derive) -> Deviate:
    """A token that is derived wrongly."""

    def deviate(settings: Settings, host: int) -> Deviations:
        version = spoken(settings)
        right = crypto.token(settings.keys[1 - host], version)
        return Deviations(token_flip=right ^ derive(settings.keys, version, host))

    return deviate


def _keys(connection: ConnectionTruth) -> tuple[int, int]:
    return connection.hosts[0].key, connection.hosts[1].key


def _joins_with(derive: Derive) -> Find:
    """All SYNs of a host's joins, if their tokens are derived wrongly."""

    def find(trace: Trace) -> Iterator[Place]:
        wrong: dict[tuple[int, int], list[Sent]] = {}
        for sent in trace.segments:
            option = option_of(sent, MpJoinSyn)
            if option is None:
                continue
            connection = connection_of(trace, sent)
            value = derive(_keys(connection), connection.version, sent.host)
            right = crypto.token(connection.hosts[1 - sent.host].key, connection.version)
            if option.token == value != right:
                wrong.setdefault((connection.number, sent.host), []).append(sent)
        for (_, host), syns in wrong.items():
            if all(_near(trace, sent) for sent in syns):
                yield Place(host=host, segments=tuple(sent.number for sent in syns))

    return find


def _near(trace: Trace, syn: Sent) -> bool:
    """Whether a join has an address of the initial subflow, so that it can be attributed."""
    truth = subflow_of(trace, syn)
    return any(
        each.ends[role].address == truth.ends[role].address
        for each in trace.subflows
        if each.initial and each.connection == truth.connection
        for role in (0, 1)
    )


def _based(derive: Derive) -> Deviate:
    """DSNs that count from a number that is derived wrongly."""
    return lambda settings, host: Deviations(base=derive(settings.keys, spoken(settings), host))


def _counted_from(derive: Derive, *, syn_data: bool = False) -> Find:
    """The first data of each host whose numbers count from the wrong one.

    It is on the initial subflow and shows its whole DSN; under an MP_CAPABLE there is none.
    """

    def find(trace: Trace) -> Iterator[Place]:
        for connection in trace.connections:
            for host, truth in enumerate(connection.hosts):
                wrong = derive(_keys(connection), connection.version, host)
                if truth.base != wrong or wrong == crypto.idsn(truth.key, connection.version):
                    continue
                first = next(
                    (
                        sent
                        for sent in trace.segments
                        if sent.host == host
                        and sent.mapping is not None
                        and connection_of(trace, sent) is connection
                    ),
                    None,
                )
                if first is None or first.mapping is None or not subflow_of(trace, first).initial:
                    continue
                if subflow_of(trace, first).syn_data[host] and not syn_data:
                    # What subflow sequence numbers count from is not settled then.
                    continue
                if first.mapping.octets < 2:
                    # One octet right before the first could be a probe of the window.
                    continue
                option = option_of(first, Dss)
                wide = option is not None and option.dsn_size == 8
                if wide and first.mapping.dsn == 1 and first.mapping.octets:
                    yield Place(host=host, segments=(first.number,))

    return find


def _counting_syn_data(trace: Trace) -> Iterator[Place]:
    """The first data of initiators whose numbers count from after the data of their SYN."""
    accepted = {
        idsn: truth.syn_data[0]
        for truth in trace.subflows
        if truth.initial and truth.syn_data[0]
        for connection in (trace.connections[truth.connection],)
        for idsn in (crypto.idsn(connection.hosts[0].key, connection.version),)
    }

    def derive(keys: tuple[int, int], version: int, host: int) -> int:
        idsn = crypto.idsn(keys[host], version)
        return (idsn + accepted.get(idsn, 0)) & (1 << 64) - 1

    for place in _counted_from(derive, syn_data=True)(trace):
        early = trace.segments[: place.segments[0]]
        if place.host == 0 and len({sent.subflow for sent in early}) == 1:
            yield place


def _recounted(draft: Draft, place: Place) -> None:
    """Count the DSNs of the host from its IDSN, as its peer does."""
    connection = draft.connection_of(place.segments[0])
    key = connection.hosts[place.host].key
    draft.recount(connection.number, place.host, crypto.idsn(key, connection.version))


def _first_is_0(draft: Draft, place: Place) -> None:
    """The first octet has DSN 0; before it came, the peer had asked for 1."""
    _recounted(draft, place)
    _ask_for_1(draft, place, lambda asked: asked < 1)
    draft.blame(*place.segments)


def _first_is_late(draft: Draft, place: Place) -> None:
    """The first octet comes after those of the SYN; the peer goes on to ask for 1.

    There the trace ends, for the connection has got stuck.
    """
    draft.cut(place.segments[0])
    _recounted(draft, place)
    _ask_for_1(draft, place, lambda asked: asked > 1)
    draft.blame(*place.segments)


def _ask_for_1(draft: Draft, place: Place, wrong: Callable[[int], bool]) -> None:
    number = draft.connection_of(place.segments[0]).number
    for key in draft.order:
        sent = draft.sent(key)
        if (
            sent.host != place.host
            and sent.data_ack is not None
            and draft.connection_of(key).number == number
            and wrong(sent.data_ack)
        ):
            draft.acknowledge(key, 1)


TOKENS: tuple[tuple[str, str, Derive, tuple[str, ...], tuple[str, ...]], ...] = (
    ("token-of-own-key", "the joiner's own key", _token_of_own_key, (), ()),
    ("token-of-other-hash", "the hash of the other version", _token_of_other_hash, (), ()),
    ("token-from-right", "the right 32 bits of the hash", _token_from_right, (), ()),
    (
        "token-little-endian",
        "the hash read as a little-endian number",
        _token_little_endian,
        (),
        (),
    ),
    (
        "token-of-reversed-key",
        "the key in the byte order of a little-endian machine",
        _token_of_reversed_key,
        ("8684-3.1-33",),
        ("6824-3.1-32",),
    ),
)
"""Wrong tokens: name, what they come from, derivation, further requirements of both versions."""

IDSNS: tuple[tuple[str, str, Derive, tuple[str, ...], tuple[str, ...]], ...] = (
    ("idsn-of-other-hash", "the hash of the other version", _idsn_of_other_hash, (), ()),
    ("idsn-of-peer", "the peer's key", _idsn_of_peer, (), ()),
    (
        "idsn-of-reversed-key",
        "the key in the byte order of a little-endian machine",
        _idsn_of_reversed_key,
        ("8684-3.1-33",),
        ("6824-3.1-32",),
    ),
    (
        "idsn-from-left",
        "the left 64 bits of the hash",
        _idsn_from_left,
        ("8684-3.1-34",),
        ("6824-3.1-33",),
    ),
    (
        "idsn-from-middle",
        "64 bits from the middle of the hash",
        _idsn_from_middle,
        ("8684-3.1-34",),
        ("6824-3.1-33",),
    ),
    (
        "idsn-on-first-octet",
        "the hash, but give it to the first octet of data instead of the SYN",
        _idsn_as_first,
        ("8684-3.1-45",),
        ("6824-3.1-30",),
    ),
)
"""Wrong IDSNs, likewise."""

FAULTS = (
    *(
        Fault(
            name=name,
            meaning=f"The token of a join comes from {what}.",
            v1=("8684-3.1-31", *more),
            v0=("6824-3.1-11", *old),
            needs=("join",),
            find=_joins_with(derive),
            deviate=_flipping(derive),
        )
        for name, what, derive, more, old in TOKENS
    ),
    *(
        Fault(
            name=name,
            meaning=f"The DSNs of a host count from {what}.",
            v1=("8684-3.1-32", "8684-3.3.1-23", *more),
            v0=("6824-3.1-12", "6824-3.1-23", *old),
            needs=("data",),
            find=_counted_from(derive),
            edit=_first_is_0 if derive is _idsn_as_first else None,
            arranges=derive is _idsn_as_first,
            deviate=_based(derive),
        )
        for name, what, derive, more, old in IDSNS
    ),
    Fault(
        name="syn-data-counted",
        meaning="The DSNs of the initiator count the data of its SYN, too.",
        v1=("8684-B-01", "8684-3.1-32", "8684-3.3.1-23"),
        needs=("syn_data",),
        find=_counting_syn_data,
        edit=_first_is_late,
        arranges=True,
        deviate=lambda settings, host: Deviations(
            base=(crypto.idsn(settings.keys[host], spoken(settings)) + settings.fast_open)
            & (1 << 64) - 1
        ),
        hosts=(0,),
    ),
)
