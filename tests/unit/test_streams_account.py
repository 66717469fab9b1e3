"""The stream loop of the engine against a naive account, on segments of every kind."""

from __future__ import annotations

import random
from array import array
from dataclasses import replace
from types import SimpleNamespace
from typing import Any

import pytest

from tests.common.flows import ACK, FIN, NEAR, ON_A_SYN, RST, SYN, WINDOW, Flows, Segment
from tests.common.numbers import signed

COLUMNS = {
    "address": ("q", 4), "port": ("H", 2), "kind": ("B", 1), "realm": ("q", 1),
    "hash": ("I", 1), "base": ("I", 2), "top": ("q", 2), "seen": ("B", 2), "isn": ("I", 2),
    "isn_from": ("B", 2), "key": ("q", 1), "older": ("i", 1), "standing": ("B", 1),
}  # fmt: skip
SEED = 0xABCDEF
EDGES = (0, 0, 0, 1, -1, 2, 700, NEAR - 1, NEAR, NEAR + 1, -NEAR, 1 - NEAR, ON_A_SYN - 1, ON_A_SYN,
         WINDOW - 2, WINDOW - 1, WINDOW, 1 << 31)  # fmt: skip
KINDS = (ACK, ACK, ACK, ACK, ACK, SYN, SYN, SYN | ACK, SYN | ACK, FIN | ACK, RST, RST | ACK, 0)
KEYS = (None, None, None, None, 0, 7, 1 << 63, (1 << 64) - 1, 0x0123456789ABCDEF)
FOUR = (0x0A000001, 0x0A000002, 0xC0A80001)
SIX = (0x0A000001, 0x0A000002, (1 << 127) + 5, (5 << 96) + (1 << 63), (5 << 96) + (9 << 32))


def packed(segments: list[Segment]) -> tuple[bytes, dict[str, array[Any]]]:
    """The octets of segments one behind the other, and the columns of their batch."""
    data, columns = bytearray(b"\xa5" * 5), {
        name: array(code)
        for name, code in (("tcp", "q"), ("length", "I"), ("source", "q"), ("destination", "q"),
                           ("family", "B"), ("domain", "q"), ("head", "B"), ("marks", "B"),
                           ("capable", "q"))
    }  # fmt: skip
    for each in segments:
        size = 4 if each.family == 4 else 16
        for name, (address, _) in (("source", each.source), ("destination", each.destination)):
            columns[name].append(len(data))
            data += address.to_bytes(size, "big")
        columns["tcp"].append(len(data))
        data += each.source[1].to_bytes(2, "big") + each.destination[1].to_bytes(2, "big")
        data += each.seq.to_bytes(4, "big") + each.ack.to_bytes(4, "big")
        data += bytes([0x50, each.flags]) + b"\xff" * 6
        columns["capable"].append(-1 if each.key is None else len(data))
        if each.key is not None:
            data += bytes(4) + each.key.to_bytes(8, "big")
        data += b"\xa5" * 3
        columns["length"].append(40 + each.payload)
        columns["family"].append(each.family)
        columns["domain"].append(each.realm)
        columns["head"].append(40 if each.possible else 0)
        columns["marks"].append(0xFB | 4 * each.join)
    return bytes(data), columns


class Located:
    """What the loop makes of segments, with tables that begin with so much room.

    Attributes:
        halves, numbers: By segment. column: By stream or half. streams: How many.
    """

    def __init__(
        self, loops: SimpleNamespace, segments: list[Segment], *, room: int = 64, size: int = 256
    ) -> None:
        data, batch = packed(segments)
        n, done, self.streams = len(segments), 0, 0
        self.halves, self.numbers = array("i", [77] * n), array("q", [77] * n)
        self.column = {
            name: array(code, [99] * (per * room)) for name, (code, per) in COLUMNS.items()
        }
        slots = array("i", [-1] * size)
        self.stops: list[tuple[int, int, int]] = []
        while True:
            done, self.streams = loops.streams.locate(
                data, SEED, done, n, *batch.values(), self.halves, self.numbers, slots,
                self.streams, *self.column.values(),
            )  # fmt: skip
            if done == n:
                break
            self.stops.append((self.streams, room, len(slots)))
            if self.streams >= room:
                for name, (code, per) in COLUMNS.items():
                    self.column[name].extend(array(code, [99] * per))
                room += 1
            else:
                slots = array("i", [-1]) * (2 * len(slots))
                loops.streams.rehash(
                    self.streams, self.column["hash"], self.column["standing"], slots
                )

    def of(self, name: str) -> list[int]:
        """A column, as long as there are streams."""
        return [*self.column[name][: COLUMNS[name][1] * self.streams]]


def check(located: Located, segments: list[Segment]) -> Flows:
    """Halves, numbers and all columns are those of the account."""
    flows = Flows()
    expected = [flows.put(each) for each in segments]
    assert [*zip(located.halves, located.numbers, strict=True)] == expected
    assert located.streams == len(flows.all)
    words = [
        signed(word, 64)
        for flow in flows.all for address, _ in flow.ends
        for word in (address >> 64, address % (1 << 64))
    ]  # fmt: skip
    assert located.of("address") == words
    assert located.of("port") == [port for flow in flows.all for _, port in flow.ends]
    assert located.of("kind") == [flow.family for flow in flows.all]
    assert located.of("realm") == [flow.realm for flow in flows.all]
    for name in ("base", "top", "seen", "isn_from", "isn"):
        assert located.of(name) == [each for flow in flows.all for each in getattr(flow, name)]
    assert located.of("key") == [signed(flow.key, 64) for flow in flows.all]
    olders = [flow.older for flow in flows.all]
    assert located.of("older") == [-1 if each is None else each.number for each in olders]
    assert located.of("standing") == [flow.stands + 2 * flow.replaced for flow in flows.all]
    return flows


def some(generator: random.Random, count: int, most: int) -> list[Segment]:
    """Segments of a few flows, whose numbers are near what the account knows, or at its bounds."""
    flows, made = Flows(), []
    pairs = []
    for _ in range(most):
        family = generator.choice((4, 4, 6))
        addresses = FOUR if family == 4 else SIX
        ends = tuple(
            (generator.choice(addresses), generator.choice((80, 80, 443, 65535))) for _ in (0, 1)
        )
        pairs.append((family, generator.choice((0, 0, 7, (5 << 40) + 7)), ends))
    for _ in range(count):
        family, realm, ends = generator.choice(pairs)
        side = generator.randrange(2)
        name = (tuple(sorted(ends)), family, realm)
        newest, near, there = flows.newest.get(name), [generator.choice((5, 2**32 - 9))], [9]
        for flow in (newest, newest and newest.older):
            if flow:
                half = int(ends[side] > ends[1 - side])
                near += [flow.base[half] + flow.top[half], flow.isn[half], flow.base[half]]
                near += [flow.base[half] + flow.top[half]] * 3
                there += [flow.isn[1 - half] + 1, flow.base[1 - half] + 1]
        flags = generator.choice(KINDS)
        made.append(
            Segment(
                source=ends[side], destination=ends[1 - side], family=family, realm=realm,
                flags=flags,
                seq=(generator.choice(near) + generator.choice(EDGES)) % 2**32,
                ack=(generator.choice(there) + generator.choice(EDGES)) % 2**32,
                payload=generator.choice((0, 0, 0, 1, 9, 1400, 65535)),
                key=generator.choice(KEYS), join=generator.random() < 0.2,
                possible=generator.random() < 0.97,
            )
        )  # fmt: skip
        flows.put(made[-1])
    return made


@pytest.mark.parametrize("seed", range(16))
def test_streams_and_numbers_are_those_of_the_account(loops: SimpleNamespace, seed: int) -> None:
    """Whatever comes in which order, each segment has the stream and number of the account."""
    generator = random.Random(seed)
    for _ in range(4):
        segments = some(generator, 60, generator.choice((1, 1, 2, 4)))
        check(Located(loops, segments), segments)


@pytest.mark.parametrize("ahead", [-2, -1, 0, 1, 65534, 65535, 65536])
def test_only_an_answer_to_the_syn_confirms_it(loops: SimpleNamespace, ahead: int) -> None:
    """A SYN stands once a SYN/ACK took it and nothing, some or all of what may be on it."""
    client, server = (FOUR[0], 40_000), (FOUR[1], 80)
    answer = Segment(source=server, destination=client, flags=SYN | ACK, seq=700, ack=51)
    segments = [
        answer,
        Segment(source=client, destination=server, flags=SYN, seq=50),
        replace(answer, ack=51 + ahead),
    ]
    flows = check(Located(loops, segments), segments)
    assert [flow.stands for flow in flows.all] == [0 <= ahead < 65536]


def account(segments: list[Segment]) -> Flows:
    """The account of segments."""
    flows = Flows()
    for each in segments:
        flows.put(each)
    return flows


@pytest.mark.parametrize("seed", range(4))
def test_small_tables_do_not_show(loops: SimpleNamespace, seed: int) -> None:
    """Tables that are grown by one stream, or doubled, whenever the loop asks, change nothing."""
    generator = random.Random(100 + seed)
    for _ in range(6):
        segments = some(generator, 40, 12)
        located = Located(loops, segments, room=1, size=4)
        if account(segments).passed_over:
            continue
        check(located, segments)
        assert located.stops
        for streams, room, size in located.stops:
            assert streams == room or 2 * streams >= size - 1
            assert 2 * (streams - 1) < size - 1


def step(hashed: int, word: int) -> int:
    """FNV-1a for a word of 32 bits, with the high half folded into the low one."""
    product = (hashed ^ word) * 16777619 % 2**32
    return product ^ product // 2**15


def solving(hashed: int, wanted: int) -> int:
    """The word that leads from one state of the hash to another."""
    product = wanted ^ wanted >> 15 ^ wanted >> 30
    word = hashed ^ product * pow(16777619, -1, 2**32) % 2**32
    assert step(hashed, word) == wanted
    return word


def hashed(family: int, ends: tuple[tuple[int, int], tuple[int, int]], realm: int) -> int:
    """The hash of a flow: ports, words of both addresses in turn, and the network."""
    (one, low), (two, high) = sorted(ends)
    found = step(SEED, low * 65536 + high)
    for bit in range(0 if family == 4 else 96, -1, -32):
        found = step(step(found, one >> bit & 0xFFFFFFFF), two >> bit & 0xFFFFFFFF)
    for word in (realm & 0xFFFFFFFF, realm >> 32)[: 2 * (realm != 0)]:
        found = step(found, word)
    return found


ONE, TWO = (1 << 127) + (3 << 64) + 5, (1 << 127) + (4 << 64) + 6
ENDS = ((ONE, 80), (TWO, 443))
TWINS: dict[str, tuple[int, tuple[tuple[int, int], tuple[int, int]]]] = {
    "network": (6, ENDS),
    "lower port": (6, ((ONE, 81), (TWO, 443))),
    "higher port": (6, ((ONE, 80), (TWO, 444))),
    "lower address, low half": (6, ((ONE + 1, 80), (TWO, 443))),
    "lower address, high half": (6, ((ONE - (1 << 64), 80), (TWO, 443))),
    "higher address, low half": (6, ((ONE, 80), (TWO + 1, 443))),
    "higher address, high half": (6, ((ONE, 80), (TWO + (1 << 64), 443))),
    "addresses": (6, ((ONE + 1, 80), (TWO + 1, 443))),
    "ports": (6, ((ONE, 81), (TWO, 444))),
}


@pytest.mark.parametrize("name", [*TWINS, "version"])
@pytest.mark.parametrize("size", [8, 256])
def test_flows_of_one_hash_are_kept_apart(loops: SimpleNamespace, name: str, size: int) -> None:
    """Of two flows whose hashes are equal each has its stream, whatever they differ in."""
    first = (6, ENDS, (9 << 32) + 8)
    family, ends = TWINS.get(name, (4, ((5, 80), (6, 443))))
    if name == "version":
        first = (6, ends, first[2])
    wanted = hashed(*first)
    words = ((low, solving(step(hashed(family, ends, 0), low), wanted)) for low in range(9, 999))
    low, high = next(pair for pair in words if pair[1] < 1 << 31)
    second = (family, ends, (high << 32) + low)
    assert hashed(*second) == wanted
    segments = [
        Segment(source=its[side], destination=its[1 - side], family=kind, realm=realm,
                seq=100 * turn + 7, payload=9, ack=1)
        for turn in range(3) for kind, its, realm in (first, second) for side in (0, 1)
    ]  # fmt: skip
    located = Located(loops, segments, size=size)
    assert len(check(located, segments).all) == 2
    assert located.of("hash") == [wanted, wanted]
