"""The columns of tshark's table, by our facts, as tshark writes them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

from mptcp_oracle.constants import DSS_ACK, DSS_DATA_FIN, DSS_DSN8, DSS_MAP
from mptcp_oracle.dissectors.columns import UNSURE, Chunk, Column, written

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from mptcp_oracle.facts import Fact

    Array = NDArray[Any]

__all__ = [
    "acknowledged",
    "address_id",
    "again",
    "checksum",
    "connection",
    "data_ack",
    "declared",
    "dsn",
    "dss_flag",
    "dss_flags",
    "dss_number",
    "end",
    "infinite",
    "initial",
    "mismatch",
    "missing",
    "nothing",
    "number",
    "raw_number",
    "reinjected",
    "related",
    "relative",
    "subflow",
    "subflows",
    "subtype",
    "tcp_flags",
    "time",
]

SYN, ACK = 0x02, 0x10
NO_DSS = 0x100


# ---- options: what an ordinary DSS says ----------------------------------------------------


def _of_flags(text: Callable[[int], str]) -> Column:
    """A column that follows from the flags of the DSS."""
    table = {flags: text(flags) for flags in range(0x20)} | {NO_DSS: ""}

    def column(chunk: Chunk) -> list[str]:
        return [table[flags] for flags in chunk.dss.tolist()]

    return column


def dss_flag(mask: int) -> Column:
    """A flag of the DSS."""
    return _of_flags(lambda flags: str(int(bool(flags & mask))))


def subtype(chunk: Chunk) -> list[str]:
    """The subtype of the one option that is a DSS."""
    return _unless_special(chunk, _SUBTYPE)


def dss_flags(chunk: Chunk) -> list[str]:
    """The octet with the flags of the DSS."""
    return _unless_special(chunk, _FLAGS)


def address_id(chunk: Chunk) -> list[str]:
    """None in a DSS."""
    return _unless_special(chunk, nothing)


_SUBTYPE, _FLAGS = _of_flags(lambda _: "2"), _of_flags(lambda flags: f"0x{flags:02x}")


def _unless_special(chunk: Chunk, column: Column) -> list[str]:
    """A column that says nothing of other options."""
    return _unsure_where(column(chunk), chunk.special)


def _unsure_where(texts: list[str], where: Array) -> list[str]:
    for at in where.nonzero()[0].tolist():
        texts[at] = UNSURE
    return texts


def dss_number(name: str) -> Column:
    """A number of the DSS."""
    present = DSS_ACK if name == "data_ack" else DSS_MAP

    def column(chunk: Chunk) -> list[str]:
        return written(getattr(chunk, name), chunk.has(present))

    return column


def checksum(chunk: Chunk) -> list[str]:
    """The checksum of the DSS."""
    found = chunk.checksum
    return written(found, found >= 0, "0x{:04x}".format)


def infinite(chunk: Chunk) -> list[str]:
    """A mapping without end."""
    some = chunk.has(DSS_MAP) & (chunk.length == 0) & ~chunk.has(DSS_DATA_FIN)
    return written(some.astype("u1"), some)


def declared(chunk: Chunk) -> list[str]:
    """The relative DSN of the mapping."""
    import numpy as np

    plane = chunk.trace.plane
    based = chunk.view.derived("column based", lambda: np.array([*map(bool, plane.base_from)], "?"))
    known = based[chunk.direction] & _sure(chunk) & (chunk.of("sender") >= 0) & chunk.has(DSS_MAP)
    texts = written(chunk.dsn - chunk.base, known)
    return _unsure_where(texts, chunk.has(DSS_MAP) & ~chunk.has(DSS_DSN8))


# ---- what tables say of every segment ------------------------------------------------------


def number(name: str) -> Column:
    """A number of the table of segments."""
    return lambda chunk: written(chunk.of(name))


def data_ack(chunk: Chunk) -> list[str]:
    """The relative DATA_ACK."""
    return written(chunk.of("data_ack"), chunk.of("has_data_ack"))


def raw_number(chunk: Chunk) -> list[str]:
    """The sequence number on the wire."""
    return written(chunk.number(chunk.tcp + 4, 4))


def acknowledged(chunk: Chunk) -> list[str]:
    """The acknowledgment number on the wire."""
    return written(chunk.raw("ack"), chunk.of("flags") & ACK != 0)


def relative(name: str) -> Column:
    """A relative sequence or acknowledgment number, where the ISN that it counts from is known."""

    def column(chunk: Chunk) -> list[str]:
        import numpy as np

        whole = chunk.view.derived(
            "column ISNs", lambda: np.array(chunk.trace.plane.isn_from, "u1") != 0
        )
        known = whole[chunk.half ^ (name == "ack")]
        if name == "ack":
            known = known & (chunk.of("flags") & ACK != 0)
        return written(chunk.of(name), known)

    return column


def time(chunk: Chunk) -> list[str]:
    """The time of capture in seconds."""
    whole, part = divmod(chunk.of("time"), 10**9)
    pairs = zip(whole.tolist(), part.tolist(), strict=True)
    return [f"{seconds}.{rest:09d}" for seconds, rest in pairs]


def tcp_flags(chunk: Chunk) -> list[str]:
    """The flags of the TCP header."""
    return written(chunk.of("flags"), None, "0x{:04x}".format)


def end(name: str, *, sender: bool, family: int | None = None) -> Column:
    """Address or port of the end that sent the segment, or of the other one."""

    def text(subflow: Fact, role: str) -> str:
        one = subflow[role]
        fits = family is None or (":" in one["address"]) == (family == 6)
        return str(one[name]) if fits else ""

    def column(chunk: Chunk) -> list[str]:
        view = chunk.view
        table = view.derived(
            f"column {name} {sender} {family}",
            lambda: {
                number: tuple(text(each, role) for role in ("destination", "source"))
                for number, each in view.subflows.items()
            },
        )
        source = chunk.of("from_source")
        pairs = zip(chunk.of("subflow").tolist(), (source == sender).tolist(), strict=True)
        return [table[number][at] for number, at in pairs]

    return column


def dsn(*, absolute: bool) -> Column:
    """The DSN of the first mapped octet; what a SYN has instead is not said."""

    def column(chunk: Chunk) -> list[str]:
        import numpy as np

        mapped = chunk.of("mapped")
        values = chunk.of("dsn")
        if absolute:
            mapped = mapped & _sure(chunk)
            values = values.astype(np.uint64) + chunk.base
        return _unsure_where(written(values, mapped), chunk.of("flags") & SYN != 0)

    return column


def missing(chunk: Chunk) -> list[str]:
    """Payload without a mapping."""
    bare = (chunk.of("payload") > 0) & ~chunk.of("mapped") & (chunk.of("flags") & SYN == 0)
    return written(bare.astype("u1"), bare)


def initial(chunk: Chunk) -> list[str]:
    """Whether the subflow is the initial one."""
    view, words = chunk.view, {"initial": "1", None: ""}
    table = view.derived(
        "column initial",
        lambda: {number: words.get(each["kind"], "0") for number, each in view.subflows.items()},
    )
    return [table[number] for number in chunk.of("subflow").tolist()]


def again(name: str) -> Column:
    """Whether any octets are of a class of transmissions."""

    def column(chunk: Chunk) -> list[str]:
        frames = chunk.view.again.get(name, ())
        return ["1" if frame in frames else "" for frame in chunk.frames]

    return column


def reinjected(chunk: Chunk) -> list[str]:
    """That nothing was carried before; what was, and where, is not said."""
    frames = chunk.view.derived(
        "column again", lambda: set[int]().union(*chunk.view.again.values())
    )
    return [UNSURE if frame in frames else "" for frame in chunk.frames]


def related(chunk: Chunk) -> list[str]:
    """The segment itself, where the mapping of all its octets is the one that it declares."""
    mapping, declares = chunk.of("mapping"), chunk.of("declares")
    own = (mapping >= 0) & (declares >= 0) & ~chunk.view.several[chunk.low : chunk.high]
    first = chunk.view.firsts
    own[own] = first[mapping[own]] == first[declares[own]]
    return _unsure_where(written(chunk.of("frame"), own), (mapping >= 0) & ~own)


def nothing(chunk: Chunk) -> list[str]:
    """That there is nothing."""
    return [""] * len(chunk)


def mismatch(chunk: Chunk) -> list[str]:
    """Nothing in connections without a mismatch of keys."""
    view = chunk.view
    found = view.derived(
        "column mismatched",
        lambda: {number for number, each in view.connections.items() if each["mismatches"]},
    )
    return [UNSURE if number in found else "" for number in chunk.of("connection").tolist()]


# ---- what values follow from ---------------------------------------------------------------


def connection(chunk: Chunk) -> Sequence[int]:
    """The connection."""
    found: list[int] = chunk.of("connection").tolist()
    return found


def subflow(chunk: Chunk) -> Sequence[int]:
    """The subflow."""
    found: list[int] = chunk.of("subflow").tolist()
    return found


def subflows(chunk: Chunk) -> Sequence[tuple[int, int]]:
    """The connection, and how many of its subflows have begun."""
    import numpy as np

    frames, numbers = chunk.of("frame"), chunk.of("connection")
    begun = np.zeros(len(chunk), np.int64)
    for number in np.unique(numbers).tolist():
        mine = numbers == number
        members = chunk.view.connections[number]["subflows"]
        firsts = sorted(chunk.view.subflows[each]["first_frame"] for each in members)
        begun[mine] = np.array(firsts).searchsorted(frames[mine], "right")
    return list(zip(numbers.tolist(), begun.tolist(), strict=True))


def _sure(chunk: Chunk) -> Array:
    """Where the upper half of its sender's DSNs is known."""
    import numpy as np

    known = chunk.view.derived(
        "column high", lambda: np.array(chunk.trace.plane.high_known, np.bool_)
    )
    found: Array = known[chunk.direction]
    return found
