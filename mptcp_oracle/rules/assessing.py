"""Assessing: what the forms and flags of a handshake's MP_CAPABLEs amount to by themselves.

RFC 8684 and 6824, section 3.1. Nothing here knows a capture; most handshakes look alike, and each
look is assessed once.
"""

from __future__ import annotations

from collections import Counter
from functools import lru_cache
from typing import NamedTuple

from mptcp_oracle.constants import CAPABLE_CHECKSUM, CAPABLE_EXTENSION, CAPABLE_HMAC
from mptcp_oracle.rules.greeting import Shape

__all__ = ["FIRST_ONLY", "OTHER_SYNACK", "REQUIREMENTS", "Assessment", "Objection", "assess"]

DATA_LENGTH = "8684-3.1-capable-data-length"
#: By version and form: the requirement, and the Lengths it allows.
LENGTHS: dict[tuple[int, str], tuple[str, tuple[int, ...]]] = {
    (1, "syn"): ("8684-3.1-capable-syn-length", (4,)),
    (1, "synack"): ("8684-3.1-capable-synack-length", (12,)),
    (1, "ack"): ("8684-3.1-capable-ack-length", (20,)),
    (1, "data"): (DATA_LENGTH, (22, 24)),
    (0, "syn"): ("6824-3.1-syn-capable-length", (12,)),
    (0, "synack"): ("6824-3.1-synack-capable-length", (12,)),
    (0, "ack"): ("6824-3.1-ack-capable-length", (20,)),
    (0, "data"): ("6824-3.1-ack-capable-length", (20,)),
}
#: Length of a third packet; receive offload may have put one together with the data behind it.
THIRD = 20
#: Length with Data-Level Length and checksum.
WITH_CHECKSUM = 24
#: Least Length of an MP_CAPABLE that has flags.
WITH_FLAGS = 4

#: By version: flag B is 0; no algorithm but H; some algorithm.
FLAGS = {
    1: ("8684-3.1-flag-b-zero", "8684-3.1-only-flag-h", "8684-3.1-crypto-flag-set"),
    0: (
        "6824-3.1-capable-flag-b-zero",
        "6824-3.1-capable-crypto-bits",
        "6824-3.1-capable-crypto-required",
    ),
}
#: Flags that name algorithms: D to H, in version 0 also C.
CRYPTO = {1: 0x1F, 0: 0x3F}
ONE_CHOSEN = "8684-3.1-one-algorithm-chosen"
CONFIRMED = "8684-3.1-ack-confirms-checksums"
NOT_HIGHER = "8684-3.1-synack-version-not-higher"
FIRST_ONLY = "8684-3.1-capable-first-subflow-only"

REQUIREMENTS = (
    *dict.fromkeys(requirement for requirement, _ in LENGTHS.values()),
    *FLAGS[1],
    *FLAGS[0],
    ONE_CHOSEN,
    CONFIRMED,
    NOT_HIGHER,
    FIRST_ONLY,
)

INITIATOR, LISTENER = 0, 1
ALTERED = "a middlebox may have changed it on the way, and the capture was not made at that host"
OTHER_SYN = "the SYN that this answers may have been another one"
OTHER_SYNACK = "the SYN/ACK that this answers may have been another one"
MERGED = "receive offload may have put the third packet and the data behind it into one"


class Objection(NamedTuple):
    """Something wrong.

    Attributes:
        requirement: What is broken. at: By which MP_CAPABLE. text: How.
        lacks: What a proof lacks; nothing, if what is wrong shows by itself.
        where: The role at whose host a capture lacks nothing; ``whole``: if it has no holes.
        beside: Another MP_CAPABLE that shows it.
    """

    requirement: str
    at: int
    text: str
    lacks: str = ""
    where: int | None = None
    whole: bool = False
    beside: int | None = None


class Assessment(NamedTuple):
    """What all shapes together amount to.

    Attributes:
        kept: Requirements that were kept, by which role, how often. objections: What is wrong.
        unseen: Requirements that could not be looked at, at which MP_CAPABLE, and why.
    """

    kept: tuple[tuple[str, int, int], ...]
    objections: tuple[Objection, ...]
    unseen: tuple[tuple[str, int, str], ...]


@lru_cache(maxsize=4096)
def assess(shapes: tuple[Shape, ...], version: int | None) -> Assessment:
    """What the MP_CAPABLEs of an initial subflow amount to, in capture order.

    Args:
        shapes: SYNs and SYN/ACKs of either host, and what else the initiator sent.
        version: That of the connection.
    """
    assessor = _Assessor(shapes, version)
    for at, shape in enumerate(shapes):
        assessor.kept[FIRST_ONLY, shape.role] += 1
        if shape.form == "synack" and version == 1:
            assessor.offered(at, shape)
        if shape.version != version:
            continue
        assessor.length(at, shape)
        assessor.flags(at, shape)
        if shape.form == "synack":
            assessor.chosen(at, shape)
        elif shape.form != "syn":
            assessor.confirmed(at, shape)
    kept = tuple((name, role, count) for (name, role), count in assessor.kept.items())
    return Assessment(kept, tuple(assessor.objections), tuple(assessor.unseen))


class _Assessor:
    """An assessment being made."""

    def __init__(self, shapes: tuple[Shape, ...], version: int | None) -> None:
        self.shapes = shapes
        self.version = version
        self.kept: Counter[tuple[str, int]] = Counter()
        self.objections: list[Objection] = []
        self.unseen: list[tuple[str, int, str]] = []
        self.checksums = self.asked(CAPABLE_CHECKSUM)

    def asked(self, mask: int) -> bool | None:
        """Whether a SYN or SYN/ACK has a flag; ``None`` if one was not seen, the other has none."""
        first = [each for each in self.shapes if each.form in ("syn", "synack") and each.readable]
        if any(each.flags & mask for each in first):
            return True
        return False if len({each.form for each in first}) == 2 else None

    def object(self, requirement: str, at: int, text: str, **proof: object) -> None:
        """Something is wrong."""
        self.objections.append(Objection(requirement, at, text, **proof))  # type: ignore[arg-type]

    def length(self, at: int, shape: Shape) -> None:
        """The Length is the one for this kind of packet."""
        requirement, sizes = LENGTHS[shape.version, shape.form]
        if shape.size not in sizes:
            text = f"its Length is {shape.size}, not {' or '.join(map(str, sizes))}"
            merged = shape.form == "data" and shape.size == THIRD
            proof = {"lacks": MERGED, "where": INITIATOR} if merged else {}
            self.object(requirement, at, text, **proof)
            return
        own = bool(shape.flags & CAPABLE_CHECKSUM)
        wanted = own if self.checksums is None else self.checksums
        if requirement != DATA_LENGTH or wanted == (shape.size == WITH_CHECKSUM):
            self.kept[requirement, shape.role] += 1
            return
        text = f"its Length is {shape.size}, and checksums are {'' if wanted else 'not '}in use"
        if self.checksums is None:
            self.object(requirement, at, text, lacks=OTHER_SYNACK)
        elif own != wanted:
            self.object(requirement, at, text, lacks=ALTERED, where=INITIATOR)
        else:
            self.object(requirement, at, text)

    def flags(self, at: int, shape: Shape) -> None:
        """Flag B is 0, and the algorithm is the only one that there is.

        With B = 1 the other flags mean what nobody knows yet.
        """
        flag_b, only_h, some = FLAGS[shape.version]
        if shape.flags & CAPABLE_EXTENSION:
            self.object(flag_b, at, "flag B is 1")
            return
        self.kept[flag_b, shape.role] += 1
        crypto = shape.flags & CRYPTO[shape.version]
        if crypto == CAPABLE_HMAC:
            self.kept[only_h, shape.role] += 1
        else:
            self.object(only_h, at, f"its algorithm flags are {crypto:#04x}, not H alone")
        if crypto:
            self.kept[some, shape.role] += 1
        else:
            self.object(some, at, "it names no algorithm")

    def chosen(self, at: int, shape: Shape) -> None:
        """The SYN/ACK names one algorithm, which the SYN offered."""
        if not shape.readable or shape.flags & CAPABLE_EXTENSION:
            return
        crypto = shape.flags & CRYPTO[shape.version]
        offers = [
            place
            for place, each in enumerate(self.shapes)
            if each.form == "syn" and each.version == shape.version and each.size >= WITH_FLAGS
        ]
        if crypto.bit_count() != 1:
            self.object(ONE_CHOSEN, at, f"it chooses {crypto.bit_count()} algorithms")
        elif not offers:
            self.unseen.append((ONE_CHOSEN, at, "no SYN that it answers is in the capture"))
        elif any(self.shapes[place].flags & crypto for place in offers):
            self.kept[ONE_CHOSEN, LISTENER] += 1
        else:
            text = "it chooses an algorithm that the SYN does not offer"
            self.against_syn(ONE_CHOSEN, at, text, offers[-1])

    def offered(self, at: int, shape: Shape) -> None:
        """The SYN/ACK chooses a version up to the one that was offered."""
        offers = [place for place, each in enumerate(self.shapes) if each.form == "syn"]
        if not offers:
            self.unseen.append((NOT_HIGHER, at, "no SYN that it answers is in the capture"))
            return
        highest = max(offers, key=lambda place: self.shapes[place].version)
        if shape.version <= self.shapes[highest].version:
            self.kept[NOT_HIGHER, LISTENER] += 1
        else:
            text = f"it says version {shape.version}, the SYN {self.shapes[highest].version}"
            self.against_syn(NOT_HIGHER, at, text, highest)

    def against_syn(self, requirement: str, at: int, text: str, syn: int) -> None:
        """What the listener got may be another SYN, unless the capture has all that came there."""
        proof = {"where": LISTENER, "whole": True, "beside": syn}
        self.object(requirement, at, text, lacks=f"{OTHER_SYN}; or {ALTERED}", **proof)

    def confirmed(self, at: int, shape: Shape) -> None:
        """Flag A after the SYN/ACK says whether either SYN or SYN/ACK had it."""
        if not shape.readable:
            return
        own = bool(shape.flags & CAPABLE_CHECKSUM)
        if self.checksums is None:
            self.unseen.append((CONFIRMED, at, "SYN or SYN/ACK is not in the capture"))
        elif own == self.checksums:
            self.kept[CONFIRMED, shape.role] += 1
        else:
            said = "the SYN or the SYN/ACK" if self.checksums else "neither SYN nor SYN/ACK"
            text = f"its flag A is {int(own)}, and {said} has A = 1"
            self.object(CONFIRMED, at, text, lacks=ALTERED, where=INITIATOR)
