"""Drawing: settings, networks, layouts, taps and defects from choices.

What is drawn is legal, and the simplest choice is always the plainest: version 1, IPv4, a network
that loses nothing, a capture without defects.
"""

from __future__ import annotations

from ipaddress import IPv4Address, IPv6Address

from mptcp_oracle.model.capture import Layout
from mptcp_oracle.model.choices import Choices
from mptcp_oracle.model.network import Network, Path
from mptcp_oracle.model.settings import Settings, drawn
from mptcp_oracle.model.trace import Address
from mptcp_oracle.model.vantage import Tap

__all__ = ["defect_names", "layout_of", "network_of", "settings_of", "tap_of"]

#: Keys whose IDSN is so close to a multiple of 2^32 that the lower half of DSNs soon wraps.
WRAPPING = {
    0: (0x1234567800082D98, 0x12345678001F3331, 0x12345678002C5CA3, 0x123456780054589A),
    1: (0x12345678000A6FB1, 0x123456780021AA49, 0x123456780028325F, 0x1234567800290D40),
}
MS = 1_000_000
EPOCH = 1_700_000_000_000_000_000
#: Weights of link types, tunnels and snap lengths; the first is the simplest.
LINKS = ((6, "ethernet"), (2, "raw"), (2, "sll"), (2, "sll2"), (1, "null"), (1, "loop"))
TUNNELS = ((12, ""), (1, "gre"), (1, "vxlan"), (1, "ipip"))
SNAPS = ((12, 262_144), (1, 160), (1, 120), (1, 96), (1, 80))
#: What middleboxes do: alteration, whose segments (``None``: both), after how many of them.
BOXES: tuple[tuple[str, int | None, int], ...] = (
    ("strip", None, 2),
    ("corrupt", None, 1),
    ("strip", 0, 2),
    ("strip", 1, 1),
    ("corrupt", 0, 1),
    ("strip", 0, 1),
    ("strip", 1, 0),
    ("strip", 0, 0),
    ("strip", None, 8),
    ("corrupt", None, 1),
    ("corrupt", 1, 1),
)
#: Weights of defects, those of offload apart.
DAMAGES = (
    (4, "single_holes"),
    (2, "burst"),
    (1, "deaf"),
    (1, "blind"),
    (1, "unplugged"),
    (2, "no_handshake"),
    (2, "late_start"),
    (2, "early_end"),
    (2, "second_interface"),
    (2, "router_hop"),
    (2, "disorder"),
    (2, "coarse_clock"),
)


def settings_of(
    choices: Choices,
    index: int = 0,
    versions: tuple[int, ...] = (1, 0),
    place: int | None = None,
) -> Settings:
    """Settings of one connection.

    Args:
        choices: Where they come from.
        index: Its place among the connections of the trace, which keeps their addresses, ports
            and keys apart.
        versions: Versions to offer; the first one twice as often.
        place: What keeps its addresses and ports apart, if not its index.
    """
    place = index if place is None else place
    seed = choices.bits(32) << 8 | index
    version = choices.weighted(((2, versions[0]), *((1, each) for each in versions[1:])))
    answers: int | None = version
    # One number for what is rare, so that a plain connection takes few draws.
    rare = choices.integer(0, 63)
    if rare == 63:
        answers = None
    elif rare in (61, 62):
        answers = 0
    keys = [drawn(seed, f"key {host}", 64) for host in (0, 1)]
    if rare in range(50, 56) and index < 4:
        keys[rare % 2] = WRAPPING[version][index]
    isns: tuple[tuple[int, int], ...] = ()
    if rare in range(40, 50):
        isns = tuple(
            (-drawn(seed, f"wrap {flow}", 8) - 1 & 0xFFFFFFFF, -20 * (rare - 39) & 0xFFFFFFFF)
            for flow in range(4)
        )
    ids: tuple[tuple[int, ...], tuple[int, ...]] = ((), ())
    if rare in range(30, 40):
        ids = ((0, 255, 7, 9), (0, 3, 128, 1))
    flags = choices.integer(0, 15)
    largest = choices.pick((1400, 100, 536, 1220))
    buffers = choices.weighted(((5, 65_535), (1, 4 * largest), (1, 2 * largest)))
    return Settings(
        version=version,
        answers=answers,
        keys=(keys[0], keys[1]),
        checksum=((flags & 12) == 12, (flags & 6) == 6),
        c_flag=(version == 1 and rare in (20, 21), version == 1 and rare in (21, 22)),
        addresses=_addresses(choices, place),
        address_ids=ids,
        ports=(40_000 + 50 * place, 80),
        isns=isns,
        seed=seed,
        buffers=(65_535, buffers) if rare % 2 else (buffers, buffers),
        unit=largest,
        largest=largest,
        subflows=choices.pick((8, 4, 6, 8)),
        accepts=choices.weighted(((9, 8), (1, 2))),
        fast_open=(10, 100, 300)[rare % 3] if rare in range(12, 18) else 0,
        ssn_after_fast_open=rare % 2 == 0,
    )


def _addresses(choices: Choices, place: int) -> tuple[tuple[Address, ...], tuple[Address, ...]]:
    """Three or four addresses for each host: IPv4, IPv6, or the initial subflow over one only."""
    kinds = choices.pick(((4, 4, 4, 4), (6, 6, 6, 6), (4, 4, 6, 6), (6, 4, 6, 4)))

    def address(kind: int, path: int, host: int) -> Address:
        if kind == 4:
            return IPv4Address((10 << 24) + (place << 16) + (path << 8) + 1 + host)
        return IPv6Address((0x20010DB8 << 96) + (place << 64) + (path << 32) + 1 + host)

    first, second = (
        tuple(address(kind, path, host) for path, kind in enumerate(kinds)) for host in (0, 1)
    )
    return first, second


def network_of(choices: Choices, *, boxes: bool = True) -> Network:
    """A path for each of the first four subflows.

    Args:
        choices: Where they come from.
        boxes: Whether middleboxes may alter segments.
    """
    kind = choices.weighted(((4, "clean"), (4, "lossy"), (2, "rough"), (3, "boxed")))
    unit = choices.pick((10, 1, 3, 30)) * MS
    boxed, at = -1, 0
    if kind == "boxed" and boxes:
        boxed, at = choices.pick((0, 0, 1, 2)), choices.integer(0, len(BOXES) - 1)
    paths = []
    for number in range(4):
        loss = choices.pick((10, 50, 150)) if kind in ("lossy", "rough") else 0
        rough = kind == "rough"
        box, way, after = BOXES[at] if number == boxed else ("", None, 0)
        paths.append(
            Path(
                delay=unit * choices.pick((1, 2, 5)) + number * 10_007,
                jitter=unit if rough else 0,
                loss=loss,
                duplication=30 if rough else 0,
                reordering=50 if rough else 0,
                rate=0 if number % 2 else 10_000_000,
                middlebox=box,
                altered=150 if box == "corrupt" else 1000,
                one_way=way,
                from_segment=after,
            )
        )
    return Network(paths=tuple(paths))


def tap_of(choices: Choices, vantages: tuple[tuple[int, str], ...]) -> Tap:
    """A tap: its vantage point and what else there is to it."""
    vantage = choices.weighted(vantages)
    way = choices.integer(0, 15)
    return Tap(
        vantage=vantage,
        epoch=EPOCH,
        position=(500, 100, 900, 350)[way & 3],
        box_first=bool(way & 4),
        hops=2 + (way & 3),
        ids=((1, 30_000), (1, 30_000), (None, None), (65_000, None))[way >> 2],
        apart=way & 3 == 3,
    )


def layout_of(choices: Choices) -> Layout:
    """How a capture is written."""
    link = choices.weighted(LINKS)
    look = choices.bits(7)
    tunnel = choices.weighted(TUNNELS)
    return Layout(
        file="pcap" if look & 3 == 3 else "pcapng",
        link=link,
        nanoseconds=not look & 4,
        big_endian=look & 24 == 24,
        snap_length=choices.weighted(SNAPS),
        vlans=((), (7,), (7, 9))[min(2, look >> 5)]
        if look & 96 != 96 and link in ("ethernet", "sll", "sll2")
        else (),
        tunnel=tunnel,
        timestamps=bool(look & 8),
        directions=bool(look & 16),
        timestamp_first=not look & 1,
    )


def defect_names(choices: Choices, vantage: str) -> tuple[str, ...]:
    """Names of defects: none for about four captures of ten, up to three for the others."""
    names = []
    if vantage != "both":
        offload = choices.weighted(((5, ""), (1, "merge"), (1, "cut")))
        if offload:
            names.append(offload)
    count = choices.weighted(((5, 0), (5, 1), (2, 2), (1, 3)))
    names += [choices.weighted(DAMAGES) for _ in range(count)]
    return tuple(dict.fromkeys(names))
