"""The search for the connection of a joined subflow, step by step, over hand-made connections.

HMACs are right or wrong as a test says; what makes them so has tests of its own.
"""

from __future__ import annotations

from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import pytest

from mptcp_oracle import crypto
from mptcp_oracle.analysis import owners
from mptcp_oracle.analysis.entities import Connection, Host, Subflow
from mptcp_oracle.analysis.owners import Found, Owners, syn_token
from mptcp_oracle.analysis.subflows import Handshake
from mptcp_oracle.options import MpCapable, MpJoinSyn
from mptcp_oracle.wire.segments import Endpoint
from tests.common.columns import wire

WIDE = 1 << 64
NEAR = 1 << 36


def flow(
    source: str = "a", destination: str = "b", *, frame: int = 1, last: int | None = None,
    stream: int = 0,
) -> Subflow:  # fmt: skip
    """A subflow between two addresses."""
    return Subflow(
        id=frame, stream=stream, kind=None, source=Endpoint(source, 1),
        destination=Endpoint(destination, 2), halves=(2 * stream, 2 * stream + 1),
        first_frame=frame, last_frame=frame if last is None else last,
    )  # fmt: skip


class Place:
    """A capture with connections to find owners among.

    Attributes:
        owners: The search. right: Whether HMACs fit, by connection id and role of the opener;
            ``None`` where they cannot be checked. asked: What was asked, in order.
    """

    def __init__(self, monkeypatch: pytest.MonkeyPatch, halves: int = 64) -> None:
        self.wire = wire(halves=halves)
        self.owners = Owners(self.wire)
        self.right: dict[tuple[int, int], bool | None] = {}
        self.asked: list[tuple[int, int]] = []
        monkeypatch.setattr(owners, "owner_by_hmac", self._by_hmac)

    def _by_hmac(self, _: Handshake, connection: Connection, opener: int) -> bool | None:
        self.asked.append((connection.id, opener))
        return self.right.get((connection.id, opener))

    def add(
        self, number: int, source: str = "a", destination: str = "b", *, frame: int = 1,
        last: int = 1000, tokens: tuple[int | None, int | None] = (None, None),
        keys: tuple[int | None, int | None] = (None, None), version: int | None = 1,
        idsns: tuple[int | None, int | None] = (None, None), realm: int = 0,
    ) -> Connection:  # fmt: skip
        """A connection with its initial subflow."""
        hosts = tuple(
            Host(role=role, key=keys[at], token=tokens[at], idsn=idsns[at])
            for at, role in enumerate(("initiator", "listener"))
        )
        connection = Connection(id=number, version=version, hosts=(hosts[0], hosts[1]))
        connection.subflows.append(flow(source, destination, frame=frame, last=last, stream=number))
        # A subflow that joined later, of which nothing here speaks.
        connection.subflows.append(flow("else", "where", frame=70_000 - number, stream=number + 1))
        self.wire.streams["realm"][number] = realm
        self.owners.add(connection)
        self.owners.place(connection, source, destination, 0)
        return connection


def join(
    source: str = "c", destination: str = "b", *, token: int | None = 5, nonce: int = 1,
    answered: bool = True, frame: int = 50, stream: int = 31,
) -> Handshake:  # fmt: skip
    """A join, or what is left of one without SYN."""
    shake = Handshake(flow(source, destination, frame=frame, stream=stream))
    if token is not None:
        option = MpJoinSyn(address_id=1, token=token, nonce=nonce)
        shake.syn = (SimpleNamespace(row=0), option)  # type: ignore[assignment]
    if answered:
        shake.synack = (SimpleNamespace(row=1), None)  # type: ignore[assignment]
    return shake


@pytest.fixture
def place(monkeypatch: pytest.MonkeyPatch) -> Place:
    """A capture without connections."""
    return Place(monkeypatch)


def said(found: Found | None) -> tuple[int, int, bool] | None:
    """Connection, role of the source, and whether the token was called wrong."""
    if found is None:
        return None
    return found.connection.id, found.source, found.wrong_token is not None


def test_the_token_of_a_syn() -> None:
    """Only an MP_JOIN on a SYN has one."""
    assert syn_token(join(token=0)) == 0
    assert syn_token(join(token=7)) == 7
    assert syn_token(join(token=None)) is None
    shake = join(token=None)
    shake.syn = (SimpleNamespace(row=0), MpCapable(version=1))  # type: ignore[assignment]
    assert syn_token(shake) is None


# -------------------------------------------------------------------- by token


@pytest.mark.parametrize("owner", [0, 1])
def test_the_owner_of_the_token_is_who_the_syn_goes_to(place: Place, owner: int) -> None:
    """The source of the join is the other host."""
    place.add(0, tokens=(5, 6) if owner == 0 else (6, 5))
    place.add(1, tokens=(7, None))
    shake = join(destination="ab"[owner])
    assert said(place.owners.by_token(shake)) == (0, 1 - owner, False)
    assert said(place.owners.by_token(join(token=8))) is None
    assert said(place.owners.by_token(join(token=None))) is None
    assert place.asked == [(0, 1 - owner), (0, owner)]


@pytest.mark.parametrize(
    ("judged", "expected"),
    [
        ((True, False), 0), ((False, True), 1), ((True, None), 0), ((None, True), 1),
        ((None, False), 0), ((False, None), 1), ((None, None), None), ((False, False), None),
        ((False,), 0), ((None,), 0), ((True,), 0),
    ],
)  # fmt: skip
def test_hmacs_decide_between_owners_of_one_token(
    place: Place, judged: tuple[bool | None, ...], expected: int | None
) -> None:
    """A right one proves it, a wrong one excludes it, and without either nothing is decided."""
    for number, right in enumerate(judged):
        place.add(number, f"x{number}", f"y{number}", tokens=(None, 5), keys=(number, number))
        place.right[number, 0] = right
    found = place.owners.by_token(join("q", "r"))
    assert said(found) == (None if expected is None else (expected, 0, False))


def test_equal_keys_are_asked_once(place: Place) -> None:
    """Owners with one version, role and pair of keys give one answer."""
    for number in range(3):
        place.add(number, tokens=(5, 5), keys=(1, 2))
    place.add(3, tokens=(5, 5), keys=(1, 2), version=0)
    place.right = dict.fromkeys([(0, 0), (0, 1), (3, 0), (3, 1)], True)
    place.owners.by_token(join())
    assert place.asked == [(0, 1), (0, 0), (3, 1), (3, 0)]


@pytest.mark.parametrize(
    ("source", "destination", "backwards", "forwards"),
    [
        # From the owner's address, to where it is not.
        ("o", "p", True, False), ("o", "x", True, False), ("x", "p", True, False),
        # To the owner's address.
        ("p", "o", False, True), ("x", "o", False, True), ("o", "o", False, False),
        # Between strangers, or from the peer to one.
        ("x", "y", False, False), ("p", "x", False, False),
    ],
)  # fmt: skip
@pytest.mark.parametrize("role", [0, 1])
def test_whether_a_syn_went_to_the_owner_of_its_token(
    place: Place, source: str, destination: str, backwards: bool, forwards: bool, role: int
) -> None:
    """Addresses of the owner (``o``) and of its peer (``p``) tell, if those of the SYN do."""
    one = place.add(0, *("op" if role == 0 else "po"))
    shake = join(source, destination)
    assert place.owners._backwards(shake, one, role) is backwards
    assert place.owners._forwards(shake, one, role) is forwards


@pytest.mark.parametrize(
    ("addresses", "wrong", "own"),
    [
        # HMACs that fit the owner as joiner prove it, unless the SYN plainly went to the owner.
        (("x", "y"), True, True), (("o", "p"), True, True), (("p", "o"), True, False),
        # Without HMACs only addresses can tell.
        (("o", "p"), None, True), (("x", "y"), None, False), (("p", "o"), None, False),
        # Wrong ones exclude it.
        (("o", "p"), False, False), (("x", "y"), False, False),
    ],
)  # fmt: skip
def test_a_joiner_may_put_in_its_own_token(
    place: Place, addresses: tuple[str, str], wrong: bool | None, own: bool
) -> None:
    """Then the source of the SYN is the owner of the token, and the token is called wrong."""
    place.add(0, "o", "p", tokens=(5, 6))
    place.right = {(0, 0): wrong}
    found = place.owners.by_token(join(*addresses))
    assert said(found) == ((0, 0, True) if own else (0, 1, False))


def test_a_join_that_is_proved_is_not_asked_twice(place: Place) -> None:
    """HMACs that fit as they should leave no doubt about the token."""
    place.add(0, "o", "p", tokens=(5, 6))
    place.right = {(0, 1): True, (0, 0): True}
    assert said(place.owners.by_token(join("o", "p"))) == (0, 1, False)
    assert place.asked == [(0, 1)]


def test_copies_of_a_connection_take_their_joins_in_turn(place: Place) -> None:
    """A join that is captured on both sides of a translator belongs to each copy once."""
    for number in (0, 1, 2):
        place.add(number, tokens=(None, 5), keys=(1, 2))
        place.right[number, 0] = True
    found = [said(place.owners.by_token(join(nonce=nonce))) for nonce in (1, 1, 1, 1, 2, 2)]
    assert [each and each[0] for each in found] == [0, 1, 2, 2, 0, 1]


def test_addresses_decide_where_hmacs_do_not(place: Place) -> None:
    """Two owners of one token, of which one is where the SYN goes."""
    for number in (0, 1):
        place.add(number, f"x{number}", f"y{number}", tokens=(None, 5), keys=(number, number))
    for rights in (None, False, True):
        place.right = {(0, 0): rights, (1, 0): rights}
        assert said(place.owners.by_token(join("q", "y1"))) == (1, 0, False)
        assert said(place.owners.by_token(join("x0", "q"))) == (0, 0, False)


# -------------------------------------------------------------------- several owners


def owner(place: Place, number: int, **settings: Any) -> tuple[Connection, int]:
    """An owner of token 5, as listener at ``d<number>``."""
    one = place.add(number, f"s{number}", f"d{number}", tokens=(None, 5), **settings)
    return one, 1


def narrowed(place: Place, shake: Handshake, same: bool) -> list[int]:
    """The connections that are left of all owners of token 5."""
    chosen = place.owners._by_token[5]
    return [own[0].id for own in place.owners._narrow(shake, chosen, same=same)]


@pytest.mark.parametrize("same", [False, True])
@pytest.mark.parametrize(
    ("addresses", "left"),
    [(("x", "d1"), [1]), (("s2", "x"), [2]), (("s0", "d1"), [1]), (("x", "y"), [0, 1, 2]),
     (("d1", "s1"), [0, 1, 2])],
)  # fmt: skip
def test_addresses_choose_among_owners(
    place: Place, addresses: tuple[str, str], left: list[int], same: bool
) -> None:
    """The destination of the SYN first, then its source; where neither says anything, all stay."""
    for number in range(3):
        owner(place, number)
    assert narrowed(place, join(*addresses), same) == left


@pytest.mark.parametrize("same", [False, True])
def test_times_choose_among_owners(place: Place, same: bool) -> None:
    """A connection has begun at the join, and has not ended; at its first and last frame, too."""
    for number, (frame, last) in enumerate([(10, 20), (30, 40), (35, 60)]):
        owner(place, number, frame=frame, last=last)
    found = [narrowed(place, join("x", "y", frame=frame), same) for frame in (
        10, 15, 20, 30, 34, 35, 40, 41, 60,
    )]  # fmt: skip
    assert found == [[0], [0], [0], [1], [1], [1, 2], [1, 2], [2], [2]]
    # Behind the end of all of them: among copies the last one, else all that have begun.
    assert narrowed(place, join("x", "y", frame=61), same) == ([2] if same else [0, 1, 2])
    # Before all of them nothing is excluded by the begin.
    assert narrowed(place, join("x", "y", frame=9), same) == [0, 1, 2]


@pytest.mark.parametrize(("same", "left"), [(True, [0]), (False, [1])])
def test_what_comes_first_among_owners(place: Place, same: bool, left: list[int]) -> None:
    """Time among copies of one connection, addresses among different ones."""
    owner(place, 0, frame=10, last=20)
    owner(place, 1, frame=30, last=40)
    assert narrowed(place, join("x", "d1", frame=15), same) == left


@pytest.mark.parametrize("same", [False, True])
def test_the_realm_comes_before_all(place: Place, same: bool) -> None:
    """A join on a VLAN belongs to an owner there, whatever addresses and times say."""
    owner(place, 0, realm=7)
    owner(place, 1, realm=8)
    place.wire.streams["realm"][31] = 8
    assert narrowed(place, join("x", "d0"), same) == [1]
    place.wire.streams["realm"][31] = 9
    assert narrowed(place, join("x", "d0"), same) == [0]


def test_addresses_of_joined_subflows_count(place: Place) -> None:
    """Where a host was seen as an end of any subflow, it is at home."""
    one, _ = owner(place, 0)
    owner(place, 1)
    place.owners.place(one, "far", "near", 1)
    assert narrowed(place, join("x", "far"), False) == [0]
    assert narrowed(place, join("near", "x"), False) == [0]
    assert narrowed(place, join("far", "near"), False) == [0, 1]


def test_a_single_owner_is_not_judged(place: Place) -> None:
    """However far away it is."""
    owner(place, 0, frame=900, realm=3)
    assert narrowed(place, join("x", "y"), True) == [0]


@pytest.mark.parametrize(
    ("count", "most", "frame", "expected"),
    [
        (6, 8, 35, [0, 1, 2, 3, 4, 5]),
        (8, 8, 35, [0, 1, 2, 3, 4, 5, 6, 7]),
        (9, 8, 85, [1, 2, 3, 4, 5, 6, 7, 8]),
        (9, 8, 0, [0, 1, 2, 3, 4, 5, 6, 7]),
        (9, 8, 79, [0, 1, 2, 3, 4, 5, 6, 7]),
        (9, 8, 80, [1, 2, 3, 4, 5, 6, 7, 8]),
        (40, 4, 205, [17, 18, 19, 20]),
        (40, 4, 209, [17, 18, 19, 20]),
        (40, 4, 210, [18, 19, 20, 21]),
        (40, 4, 999, [36, 37, 38, 39]),
    ],
)
def test_of_many_owners_the_nearest_before_the_join(
    place: Place, monkeypatch: pytest.MonkeyPatch, count: int, most: int, frame: int,
    expected: list[int],
) -> None:  # fmt: skip
    """So many are looked at, up to those that began at its frame."""
    monkeypatch.setattr(owners, "MOST_TRIED", most)
    place.wire = wire(halves=2 * count + 4)
    for number in range(count):
        owner(place, number, frame=10 * number)
    found = place.owners._candidates(5, join("x", "y", frame=frame))
    assert [own[0].id for own in found] == expected
    assert place.owners.equal == min(count, most) - 1


def test_of_many_owners_a_few_later_ones_too(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    """One in 32 of those that are looked at may have begun after the join."""
    monkeypatch.setattr(owners, "MOST_TRIED", 63)
    place.wire = wire(halves=406)
    for number in range(200):
        owner(place, number, frame=10 * number)
    for frame, last in ((1000, 101), (0, 62), (1985, 199), (1975, 198), (1965, 197)):
        found = [own[0].id for own in place.owners._candidates(5, join("x", "y", frame=frame))]
        assert found == list(range(last - 62, last + 1))


def test_of_many_owners_those_at_an_address_of_the_join(
    place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its destination first, then its source; among them the nearest again."""
    monkeypatch.setattr(owners, "MOST_TRIED", 3)
    for number in range(12):
        place.add(number, "s", f"d{number % 2}", tokens=(None, 5), frame=10 * number)
    here = place.owners._candidates
    assert [own[0].id for own in here(5, join("d0", "d1", frame=75))] == [3, 5, 7]
    assert [own[0].id for own in here(5, join("d0", "x", frame=75))] == [2, 4, 6]
    assert [own[0].id for own in here(5, join("x", "y", frame=75))] == [5, 6, 7]
    assert here(6, join()) == []
    assert place.owners.equal == 6


def test_where_many_were_looked_at_only_the_nearest_are(
    place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    """From so many owners of equal tokens on, eight have to do."""
    monkeypatch.setattr(owners, "MOST_EQUAL", 11)
    for number in range(12):
        owner(place, number, frame=10 * number)
    assert len(place.owners._candidates(5, join("x", "y", frame=999))) == 12
    assert place.owners.equal == 11
    assert [own[0].id for own in place.owners._candidates(5, join("x", "y", frame=999))] == list(
        range(4, 12)
    )
    assert place.owners.equal == 18


# -------------------------------------------------------------------- by slip or HMAC


def slips(key: int, version: int) -> list[int]:
    """The tokens of the usual mistakes, by hand."""
    digest = crypto.key_digest(key, version)
    swapped = int.from_bytes(key.to_bytes(8, "big")[::-1], "big")
    return [
        int.from_bytes(crypto.key_digest(key, 1 - version)[:4], "big"),
        int.from_bytes(digest[len(digest) - 4 :], "big"),
        int.from_bytes(digest[3::-1], "big"),
        int.from_bytes(crypto.key_digest(swapped, version)[:4], "big"),
    ]


@pytest.mark.parametrize("version", [0, 1])
@pytest.mark.parametrize("role", [0, 1])
def test_a_token_made_in_a_wrong_way(place: Place, version: int, role: int) -> None:
    """Of the receiver's key; its owner is the destination, and the cause is named."""
    keys = (0x0102030405060708, None) if role == 0 else (None, 0x0102030405060708)
    place.add(0, keys=keys, version=version)
    causes = set()
    for token in slips(0x0102030405060708, version):
        for ends in (("a", "x"), ("x", "b"), ("b", "a")):
            found = place.owners.by_proof(join(*ends, token=token, answered=False))
            assert said(found) == (0, 1 - role, True)
            causes.add(found and found.wrong_token)
    assert len(causes) == 4
    assert (
        place.owners.by_proof(join("x", "y", token=slips(0x0102030405060708, version)[0])) is None
    )
    assert place.owners.by_proof(join(token=crypto.token(0x0102030405060708, version))) is None


def test_connections_of_unknown_versions_make_no_tokens(place: Place) -> None:
    """Without a hash there is no token, right or wrong; without a key there is none either."""
    place.add(0, keys=(1, 2), version=2)
    place.add(1, keys=(1, 2), version=None)
    place.add(2, keys=(None, None))
    assert place.owners._slips_at("a") == {}
    assert place.owners._slips_at("nowhere") == {}
    assert place.owners.by_proof(join(token=slips(1, 1)[0], answered=False)) is None


def test_hmacs_decide_between_slips(place: Place) -> None:
    """Two connections with one key: the proved one, or none unless all slips are of one."""
    token = slips(9, 1)[0]
    for number in (0, 1):
        place.add(number, keys=(None, 9))
    assert place.owners.by_proof(join(token=token, answered=False)) is None
    place.right = {(1, 0): True}
    assert said(place.owners.by_proof(join(token=token, answered=False))) == (1, 0, True)
    place.right = {(0, 0): True}
    assert said(place.owners.by_proof(join(token=token, answered=False))) == (0, 0, True)


def test_slips_at_both_addresses_of_one_connection_are_one(place: Place) -> None:
    """A connection is found at either end of the subflow, and counted once."""
    token = slips(9, 1)[2]
    place.add(0, "a", "b", keys=(None, 9))
    assert said(place.owners.by_proof(join("a", "b", token=token, answered=False))) == (0, 0, True)
    place.add(1, "c", "d", keys=(9, None))
    assert said(place.owners.by_proof(join("a", "b", token=token, answered=False))) == (0, 0, True)
    assert place.owners.by_proof(join("a", "d", token=token, answered=False)) is None


def test_of_many_slips_only_the_first_are_tried(
    place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Captures may be made to cost time."""
    token = slips(9, 1)[0]
    for number in range(5):
        place.add(number, keys=(None, 9))
    place.right = {(3, 0): True}
    monkeypatch.setattr(owners, "MOST_TRIED", 3)
    assert place.owners.by_proof(join(token=token, answered=False)) is None
    assert place.asked == [(0, 0), (1, 0), (2, 0)]
    monkeypatch.setattr(owners, "MOST_TRIED", 4)
    assert said(place.owners.by_proof(join(token=token, answered=False))) == (3, 0, True)


def test_hmacs_prove_a_join_with_any_token(place: Place) -> None:
    """Of the connections at its addresses, in either role, if there is a SYN/ACK to check."""
    place.add(0, "a", "b", frame=1)
    place.add(1, "c", "d", frame=45)
    place.add(2, "e", "f", frame=48)
    place.right = {(1, 1): True}
    assert said(place.owners.by_proof(join("c", "b"))) == (1, 1, True)
    assert place.asked == [(1, 0), (1, 1)]
    assert place.owners.trials == 1
    assert place.owners.by_proof(join("c", "b", answered=False)) is None
    assert place.owners.by_proof(join("c", "b", token=None)) is None
    assert place.owners.by_proof(join("e", "f")) is None
    assert place.owners.trials == 2
    place.right = {(0, 0): True, (1, 0): False}
    place.asked.clear()
    assert said(place.owners.by_proof(join("c", "b"))) == (0, 0, True)
    assert place.asked == [(1, 0), (1, 1), (0, 0)]


def test_trials_of_all_joins_together_are_bounded(
    place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    """When so many connections have been tried, no more are."""
    monkeypatch.setattr(owners, "MOST_TRIALS", 3)
    for number in range(2):
        place.add(number, frame=40 + number)
    assert place.owners.by_proof(join()) is None
    assert place.owners.by_proof(join()) is None
    assert [number for number, opener in place.asked if opener == 0] == [1, 0, 1]
    place.right = {(1, 0): True}
    assert place.owners.by_proof(join()) is None
    assert place.owners.trials == 3


def test_neighbours_are_the_nearest_in_time_first(
    place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Connections with an address of the join, before or after it; of very many some."""
    for number, frame in enumerate((10, 52, 49, 91, 48)):
        place.add(number, "a", "b" if number % 2 else "d", frame=frame)
    place.add(5, "x", "y", frame=50)

    def neighbours(source: str, destination: str) -> list[int]:
        return [each.id for each in place.owners._neighbours(join(source, destination))]

    assert neighbours("a", "b") == [2, 1, 4, 0, 3]
    assert neighbours("q", "a") == [2, 1, 4, 0, 3]
    assert neighbours("b", "q") == [1, 3]
    assert neighbours("q", "d") == [2, 4, 0]
    assert neighbours("b", "d") == [2, 1, 4, 0, 3]
    assert neighbours("q", "r") == []
    monkeypatch.setattr(owners, "MOST_TRIED", 5)
    assert neighbours("a", "q") == [2, 1, 4, 0, 3]
    # Of five at one address the last two, with the one of another address.
    monkeypatch.setattr(owners, "MOST_TRIED", 2)
    assert neighbours("a", "q") == [4, 3]
    assert neighbours("a", "y") == [5, 4]
    assert neighbours("b", "q") == [1, 3]
    assert neighbours("b", "y") == [5, 1]
    monkeypatch.setattr(owners, "MOST_TRIED", 1)
    assert neighbours("a", "q") == [4]


# -------------------------------------------------------------------- by numbers

FIRST, SECOND = 0x1000_0000_0000_0000, 0x8000_0000_0000_0000


def numbers(
    place: Place, *, source: str = "x", destination: str = "y", stream: int = 31, **shown: int
) -> tuple[int, int, bool] | None:
    """What a subflow with such first numbers is found to belong to.

    ``dsn0`` and ``ack0`` are what its source sent, ``dsn1`` and ``ack1`` its destination.
    """
    halves = place.wire.halves
    for side in (0, 1):
        half = 2 * stream + side
        dsn, ack = shown.get(f"dsn{side}"), shown.get(f"ack{side}")
        halves["mptcp"][half] = 2 * (dsn is not None) | 4 * (ack is not None) | 0x19
        for name, value in (("first_dsn", dsn), ("first_data_ack", ack)):
            value = (value or 0) % WIDE
            halves[name][half] = value - WIDE if value >> 63 else value
    return said(place.owners.by_numbers(join(source, destination, token=None, stream=stream)))


def test_two_numbers_prove_a_connection(place: Place) -> None:
    """Each host's numbers fit its IDSN, whichever host the source is; mapped or acknowledged."""
    place.add(0, idsns=(FIRST, SECOND))
    place.add(1, idsns=(FIRST + 2 * NEAR, SECOND - 2 * NEAR))
    assert numbers(place, dsn0=FIRST + 1, dsn1=SECOND + 9) == (0, 0, False)
    assert numbers(place, dsn1=FIRST + 1, dsn0=SECOND + 9) == (0, 1, False)
    assert numbers(place, ack1=FIRST, ack0=SECOND) == (0, 0, False)
    assert numbers(place, ack0=FIRST, ack1=SECOND) == (0, 1, False)
    assert numbers(place, dsn0=FIRST + 1, ack0=SECOND) == (0, 0, False)
    assert numbers(place, dsn0=FIRST + 1, ack1=FIRST + 7) == (0, 0, False)
    assert numbers(place, dsn0=FIRST + 1, dsn1=SECOND - 5) is None
    assert numbers(place, dsn0=FIRST + 1, dsn1=SECOND - 2 * NEAR) is None
    assert numbers(place, dsn0=77, dsn1=88) is None
    assert numbers(place) is None


def test_one_number_proves_it_at_a_known_address(place: Place) -> None:
    """Of either host, at either end of the subflow; a stranger's number may be a chance."""
    place.add(0, "a", "b", idsns=(FIRST, SECOND))
    place.add(1, "a", "b", idsns=(2 * FIRST, None))
    assert numbers(place, dsn0=FIRST + 1) is None
    for ends in (("a", "y"), ("y", "a"), ("b", "y"), ("y", "b")):
        assert numbers(place, source=ends[0], destination=ends[1], dsn0=FIRST + 1) == (0, 0, False)
        assert numbers(place, source=ends[0], destination=ends[1], dsn0=SECOND) == (0, 1, False)
    # A number that nothing is known of does not contradict.
    assert numbers(place, dsn0=2 * FIRST, dsn1=99) is None
    assert numbers(place, source="a", dsn0=2 * FIRST, dsn1=99) == (1, 0, False)


def test_the_best_proof_counts_and_two_equal_ones_are_none(place: Place) -> None:
    """More fitting numbers first, then more known addresses."""
    place.add(0, "a", "b", idsns=(FIRST, SECOND))
    place.add(1, "c", "d", idsns=(FIRST, SECOND))
    place.add(2, "a", "d", idsns=(FIRST, None))
    both = {"dsn0": FIRST + 1, "dsn1": SECOND + 1}
    assert numbers(place, **both) is None
    assert numbers(place, source="a", **both) == (0, 0, False)
    assert numbers(place, destination="d", **both) == (1, 0, False)
    assert numbers(place, source="a", destination="b", **both) == (0, 0, False)
    assert numbers(place, source="a", destination="d", **both) is None
    # One number, three connections: those with both addresses.
    assert numbers(place, source="a", destination="d", dsn0=FIRST + 1) == (2, 0, False)
    assert numbers(place, source="a", destination="q", dsn0=FIRST + 1) is None
    assert numbers(place, source="c", destination="d", dsn0=FIRST + 1) == (1, 0, False)


def test_a_join_with_its_syn_is_not_sought_by_numbers(place: Place) -> None:
    """Its token was looked for already."""
    place.add(0, "a", "b", idsns=(FIRST, SECOND))
    place.wire.halves["mptcp"][62] = 2
    place.wire.halves["first_dsn"][62] = FIRST + 1
    assert said(place.owners.by_numbers(join("a", "b", token=None))) == (0, 0, False)
    assert place.owners.by_numbers(join("a", "b", token=3)) is None


@pytest.mark.parametrize(
    ("distance", "fits"),
    [(-1, False), (0, True), (1, True), (NEAR - 1, True), (NEAR, False), (WIDE - 1, False)],
)
@pytest.mark.parametrize("idsn", [0, 5, FIRST, WIDE - 1, WIDE - NEAR, WIDE - NEAR + 7])
def test_how_far_a_number_may_be_above_the_idsn(
    place: Place, idsn: int, distance: int, fits: bool
) -> None:
    """Less than 2**36 octets, across the end of the numbers, too."""
    one = place.add(0, idsns=(idsn, None))
    number = (idsn + distance) % WIDE
    assert place.owners._near((number, 0)) == ([(one, 0)] if fits else [])
    assert place.owners._near((number, 1)) == ([(one, 1)] if fits else [])
    assert owners._fitting([(number, 0)], one, 0) == int(fits)
    assert owners._fitting([(number, 1)], one, 1) == int(fits)
    assert owners._fitting([(number, 1)], one, 0) == 0


def test_a_contradiction_outweighs_what_fits(place: Place) -> None:
    """Every number has to fit the IDSN of its host, if that is known."""
    one = place.add(0, idsns=(FIRST, SECOND))
    fits: Callable[..., int] = owners._fitting
    assert fits([], one, 0) == 0
    assert fits([(FIRST, 0), (SECOND, 1), (FIRST + 5, 0)], one, 0) == 3
    assert fits([(FIRST, 0), (SECOND - 1, 1), (FIRST + 5, 0)], one, 0) == 0
    assert fits([(FIRST, 1), (SECOND, 0)], one, 1) == 2
    half_known = place.add(1, idsns=(None, SECOND))
    assert fits([(1, 0), (SECOND, 1)], half_known, 0) == 1


def test_of_many_hosts_below_a_number_the_nearest(
    place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Those with the highest IDSNs; at the end of the numbers, of either side as many."""
    monkeypatch.setattr(owners, "MOST_NUMBERS", 3)
    for number, idsn in enumerate((4, 1, 3, 2, 9, WIDE - 3, WIDE - 2, WIDE - 5, WIDE - 4)):
        place.add(number, idsns=(None, idsn))
    found = place.owners._near((5, 0))
    assert [(each.id, role) for each, role in found] == [
        (3, 1), (2, 1), (0, 1), (8, 1), (5, 1), (6, 1),
    ]  # fmt: skip
    assert [each.id for each, _ in place.owners._near((9, 0))] == [2, 0, 4, 8, 5, 6]
    assert [each.id for each, _ in place.owners._near((WIDE - 3, 0))] == [7, 8, 5]
