"""Faults of what secures a join: HMACs and nonces (RFC 8684 and 6824, sections 3.2 and 5)."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from mptcp_oracle import crypto
from mptcp_oracle.model.fault import Deviate, Edit, Fault, Find
from mptcp_oracle.model.faults_edit import Draft, Place
from mptcp_oracle.model.faults_joining import join_before, second_joins, syns
from mptcp_oracle.model.faults_places import (
    connection_of,
    gathered,
    octets_of,
    rewrite,
    subflow_of,
)
from mptcp_oracle.model.settings import Deviations, Settings
from mptcp_oracle.model.trace import ConnectionTruth, Sent, Trace
from mptcp_oracle.options import (
    Malformed,
    MpJoinAck,
    MpJoinSyn,
    MpJoinSynAck,
    Option,
)

__all__ = ["FAULTS"]

FLIP = 0x5A5A_5A5A_5A5A_5A5A
"""What makes an HMAC wrong while the trace is made."""

Digest = Callable[[ConnectionTruth, int, tuple[int, int]], bytes]
"""Connection, role of the sender, its nonce and its peer's: a whole HMAC."""


def _digest(connection: ConnectionTruth, host: int, nonces: tuple[int, int]) -> bytes:
    own, peer = connection.hosts[host], connection.hosts[1 - host]
    return crypto.join_digest(
        version=connection.version,
        sender_key=own.key,
        receiver_key=peer.key,
        sender_nonce=nonces[0],
        receiver_nonce=nonces[1],
    )


def _keys_swapped(connection: ConnectionTruth, host: int, nonces: tuple[int, int]) -> bytes:
    own, peer = connection.hosts[host], connection.hosts[1 - host]
    return crypto.join_digest(
        version=connection.version,
        sender_key=peer.key,
        receiver_key=own.key,
        sender_nonce=nonces[0],
        receiver_nonce=nonces[1],
    )


def _nonces_swapped(connection: ConnectionTruth, host: int, nonces: tuple[int, int]) -> bytes:
    return _digest(connection, host, (nonces[1], nonces[0]))


def _roles_swapped(connection: ConnectionTruth, host: int, nonces: tuple[int, int]) -> bytes:
    return _digest(connection, 1 - host, (nonces[1], nonces[0]))


def _other_hash(connection: ConnectionTruth, host: int, nonces: tuple[int, int]) -> bytes:
    other = replace(connection, version=1 - connection.version)
    return _digest(other, host, nonces) + bytes(12)


def _from_right(size: int) -> Digest:
    """The right octets of the HMAC, where the left ones are due."""
    return lambda connection, host, nonces: _digest(connection, host, nonces)[-size:]


def _zeros(_connection: ConnectionTruth, _host: int, _nonces: tuple[int, int]) -> bytes:
    return bytes(32)


def _wrong_hmac(kind: type[Option]) -> Find:
    """All segments of a host that carry a wrong HMAC in an option of a kind."""

    def wrong(trace: Trace, sent: Sent) -> bool:
        option = next(each for each in sent.options if isinstance(each, kind))
        flow = subflow_of(trace, sent)
        nonces = flow.nonces[sent.host], flow.nonces[1 - sent.host]
        hmac = getattr(option, "hmac", b"")
        right = _digest(connection_of(trace, sent), sent.host, nonces)
        return bool(hmac) and hmac != right[: len(hmac)]

    return gathered(kind, where=wrong, wide=True)


def _with_hmac(*derivations: Digest, size: int) -> Edit:
    """Put wrong HMACs of one of these derivations in the place of those that there are."""

    def edit(draft: Draft, place: Place) -> None:
        derive = draft.choices.pick(derivations)
        for key in place.segments:
            sent = draft.sent(key)
            nonces = draft.subflows[sent.subflow].nonces
            both = nonces[sent.host], nonces[1 - sent.host]
            hmac = derive(draft.connection_of(key), sent.host, both)[:size]
            draft.options(key, _carrying(hmac))
            draft.blame(key)

    return edit


def _carrying(hmac: bytes) -> Callable[[Option], Option]:
    def change(option: Option) -> Option:
        if isinstance(option, MpJoinSynAck | MpJoinAck):
            return replace(option, hmac=hmac)
        return option

    return change


def _bad_synack(_settings: Settings, _host: int) -> Deviations:
    return Deviations(synack_hmac_flip=FLIP)


def _bad_ack(_settings: Settings, _host: int) -> Deviations:
    return Deviations(ack_hmac_flip=FLIP)


def _short_ack(option: MpJoinAck, _draft: Draft) -> Malformed:
    """The option with 128 bits of HMAC, where it must have 160."""
    return octets_of(bytes([30, 20, 0x10, 0]) + option.hmac[:16])


def _renonced(draft: Draft, subflow: int, nonces: tuple[int, int]) -> None:
    """Put other nonces into a join; its HMACs follow."""
    truth = draft.subflows[subflow]
    connection = draft.connections[truth.connection]
    draft.subflow(subflow, nonces=nonces)

    def changed(host: int) -> Callable[[Option], Option]:
        digest = _digest(connection, host, (nonces[host], nonces[1 - host]))

        def change(option: Option) -> Option:
            if isinstance(option, MpJoinSyn):
                return replace(option, nonce=nonces[host])
            if isinstance(option, MpJoinSynAck):
                return replace(option, nonce=nonces[host], hmac=digest[:8])
            return replace(option, hmac=digest[:20]) if isinstance(option, MpJoinAck) else option

        return change

    for key in draft.order:
        if draft.sent(key).subflow == subflow:
            draft.options(key, changed(draft.sent(key).host))


def _nonce_again(*, both: bool) -> Edit:
    """The joiner's nonce is that of its join before; ``both``: the answering host's, too."""

    def edit(draft: Draft, place: Place) -> None:
        subflow = draft.sent(place.segments[0]).subflow
        earlier = join_before(draft.trace, subflow)
        old, new = draft.subflows[earlier].nonces, draft.subflows[subflow].nonces
        nonces = old if both or place.host == 0 else (new[0], old[1])
        if not both and place.host == 0:
            nonces = (old[0], new[1])
        _renonced(draft, subflow, nonces)
        draft.blame(*place.segments, *syns(draft.trace, earlier))

    return edit


FORMS: tuple[
    tuple[str, str, type[MpJoinSynAck | MpJoinAck], int, Deviate, tuple[str, str]], ...
] = (
    ("synack", "SYN/ACK", MpJoinSynAck, 8, _bad_synack, ("8684-3.2-12", "6824-3.2-02")),
    ("ack", "third packet", MpJoinAck, 20, _bad_ack, ("8684-3.2-13", "6824-3.2-01")),
)
"""Messages with an HMAC: name, place, option, octets, deviation, requirement of each version."""

WRONG: tuple[tuple[str, str, Callable[[int], tuple[Digest, ...]]], ...] = (
    ("keys-swapped", "has the keys in the wrong order", lambda _size: (_keys_swapped,)),
    ("nonces-swapped", "has the nonces in the wrong order", lambda _size: (_nonces_swapped,)),
    ("roles-swapped", "is the one that the peer has to send", lambda _size: (_roles_swapped,)),
    ("from-right", "is cut on its left", lambda size: (_from_right(size),)),
    ("of-other-hash", "is made with the other version's hash", lambda _size: (_other_hash,)),
    ("zero", "is nothing but zeros", lambda _size: (_zeros,)),
)
"""Wrong HMACs: name, what is wrong, derivations by the octets that are sent."""

FAULTS = (
    Fault(
        name="join-ack-too-short",
        meaning="The MP_JOIN of the third packet has 128 bits of HMAC.",
        v1=("8684-3.2-01", "8684-3-02"),
        v0=("6824-3.2-10", "6824-3-02"),
        needs=("join",),
        find=_wrong_hmac(MpJoinAck),
        edit=rewrite(MpJoinAck, _short_ack),
        deviate=_bad_ack,
    ),
    Fault(
        name="join-nonce-again",
        meaning="A host joins twice with the same nonce.",
        v1=("8684-3.2-02",),
        v0=("6824-3.2-11",),
        needs=("two_joins",),
        find=second_joins,
        edit=_nonce_again(both=False),
        arranges=True,
    ),
    Fault(
        name="join-nonces-again",
        meaning="Two joins have the same pair of nonces, and so the same HMACs.",
        v1=("8684-5-01", "8684-3.2-02"),
        v0=("6824-5-10", "6824-3.2-11"),
        needs=("two_joins",),
        find=second_joins,
        edit=_nonce_again(both=True),
        arranges=True,
    ),
    *(
        Fault(
            name=f"{form}-hmac-{name}",
            meaning=f"The HMAC of a join's {where} {what}.",
            v1=(ids[0],),
            # All of a version 0 HMAC is sent in the third packet: nothing is cut.
            v0=() if (form, name) == ("ack", "from-right") else (ids[1],),
            needs=("join",),
            find=_wrong_hmac(kind),
            edit=_with_hmac(*derivations(size), size=size),
            deviate=deviate,
        )
        for form, where, kind, size, deviate, ids in FORMS
        for name, what, derivations in WRONG
    ),
)
