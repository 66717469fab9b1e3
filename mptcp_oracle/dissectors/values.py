"""What our facts say for a field: functions from a segment's fact to values.

Each gives the values that the field should have in a frame if our facts are right, in the order
of the octets; nothing, if by our facts there is no such value.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from ipaddress import ip_address

from mptcp_oracle import seq
from mptcp_oracle.dissectors.dissector import OfOptions, Ours, Value
from mptcp_oracle.dissectors.view import Segment, View
from mptcp_oracle.facts import Fact

__all__ = [
    "address_ids",
    "addresses",
    "announcers",
    "base16",
    "bit",
    "connection_of",
    "crypto_bit",
    "data_ack",
    "end",
    "expected",
    "first_declaring",
    "flag_octets",
    "hexadecimal",
    "infinite",
    "is_initial",
    "mapping_dsns",
    "named_mismatch",
    "no_more_subflows",
    "nothing",
    "octets",
    "option",
    "own_dsn",
    "received_keys",
    "reinjection",
    "segment_fact",
    "sent_as",
    "subflows_so_far",
    "subtypes",
    "unmapped",
    "wide",
]

WIDE = (1 << 64) - 1
#: Keys of a segment's fact that can be had without the fact.
LIGHT = {
    "ack_raw": "ack",
    "flags": "flags",
    "payload": "payload",
    "sequence_raw": "number",
    "window": "window",
}


# ---- values of options ---------------------------------------------------------------------


def hexadecimal(digits: str | None) -> int | None:
    """A key, token or nonce of a fact as a number."""
    return None if digits is None else int(digits, 16)


def option(*names: str) -> Callable[[Callable[[Fact], Value | None]], OfOptions]:
    """Make a row's function of one that reads a value off an option with one of these names."""

    def make(value: Callable[[Fact], Value | None]) -> OfOptions:
        def ours(_: View, segment: Segment) -> Iterable[Value]:
            found = (value(item) for item in segment.options(*names))
            return [each for each in found if each is not None]

        return OfOptions(names, ours, value)

    return make


def having(*names: str) -> Callable[[Ours], OfOptions]:
    """Say that a row's function has no values unless a segment has one of these options."""
    return lambda ours: OfOptions(names, ours)


def bit(name: str, mask: int) -> Ours:
    """A flag of the options of one name."""
    return option(name)(lambda item: int(bool(item["flags"] & mask)))


def subtypes(_: View, segment: Segment) -> Iterable[Value]:
    """The subtype of every option that is as long as it says, also of those that mean nothing."""
    return [raw[2] >> 4 for raw in segment.raws() if len(raw) > 2 and raw[1] == len(raw)]


def flag_octets(_: View, segment: Segment) -> Iterable[Value]:
    """Tshark's ``flags``: the octet that holds them, with the subtype where they share it."""
    for item in segment.options():
        match item["option"]:
            case "mp_capable":
                yield item["flags"]
            case "dss":
                yield (item["reserved"] & 0x07) << 5 | item["flags"]
            case "mp_join_syn" | "mp_join_synack":
                yield 0x10 | item["reserved"] << 1 | item["backup"]
            case "mp_prio":
                yield 0x50 | item["reserved"] << 1 | item["backup"]
            case "mp_tcprst":
                yield 0x80 | item["flags"]


def address_ids(_: View, segment: Segment) -> Iterable[Value]:
    """The Address IDs, of REMOVE_ADDR all that it lists."""
    for item in segment.options():
        if item["option"] == "remove_addr":
            yield from item["address_ids"]
        elif item.get("address_id") is not None:
            yield item["address_id"]


def received_keys(item: Fact) -> Value | None:
    """The receiver's key: echoed by MP_CAPABLE, or proof of an MP_FASTCLOSE."""
    name = "key" if item["option"] == "mp_fastclose" else "receiver_key"
    return hexadecimal(item[name])


def wide(name: str) -> Callable[[Fact], Value | None]:
    """A sequence number of an option as it stands on the wire."""
    return lambda item: None if item[name] is None else int(item[name])


def addresses(family: int) -> Ours:
    """The advertised addresses of one family."""
    return option("add_addr")(
        lambda item: item["address"] if ip_address(item["address"]).version == family else None
    )


def crypto_bit(version: int) -> Ours:
    """Flag H: HMAC-SHA1 in version 0, HMAC-SHA256 in version 1."""
    return option("mp_capable")(
        lambda item: item["flags"] & 1 if item["version"] == version else None
    )


@having("mp_capable")
def no_more_subflows(_: View, segment: Segment) -> Iterable[Value]:
    """Flag C, which version 0 has among those that choose an algorithm (RFC 6824 section 3.1)."""
    for item in segment.options("mp_capable"):
        if item["version"] == 1:
            yield int(bool(item["flags"] & 0x20))


def nothing(view: View, segment: Segment) -> Iterable[Value]:
    """What no segment has."""
    return ()


# ---- derived values ------------------------------------------------------------------------


@having("dss")
def mapping_dsns(view: View, segment: Segment) -> Iterable[Value]:
    """The relative DSN of each mapping that the segment's own DSS declares."""
    base, found = segment.base(), []
    for item in segment.options("dss"):
        if item["dsn"] is None or base is None:
            continue
        dsn = int(item["dsn"])
        if item["dsn_size"] == 4:
            near = next((part["dsn"] for part in segment.mapped()), 1)
            dsn = seq.extend(dsn, 32, base + near)
        found.append((dsn - base) & WIDE)
    return found


def own_dsn(*, absolute: bool) -> Ours:
    """The DSN of the first mapped octet; of the SYN that opens a connection the IDSN."""

    def ours(_: View, segment: Segment) -> Iterable[Value]:
        if segment.syn and any(segment.options("mp_capable")):
            base = segment.base()
            return () if base is None else (base if absolute else 0,)
        for item in segment.ranges:
            if item["dsn"] is not None:
                if not absolute:
                    return (item["dsn"],)
                return () if item["absolute"] is None else (int(item["absolute"]),)
        return ()

    return ours


def expected(name: str) -> Ours:
    """What follows from the sender's key, wherever an option shows it."""

    @having("mp_capable")
    def ours(_: View, segment: Segment) -> Iterable[Value]:
        host = segment.host()
        for item in segment.options("mp_capable"):
            if item["sender_key"] is not None and host is not None and host[name] is not None:
                yield int(host[name], 16) if name == "token" else int(host[name])

    return ours


def announcers(_: View, segment: Segment) -> Iterable[Value]:
    """The first frame that announced each mapping under which the payload lies."""
    return [item["announced"] for item in segment.ranges if item["dsn"] is not None]


def first_declaring(view: View) -> Mapping[Value, Value]:
    """By frame that repeats a mapping: the first frame that declares it."""
    return view.derived("first declaring", view.first_declaring)


def connection_of(_: View, segment: Segment) -> Iterable[Value]:
    """The connection, or what stands for that of an unattached subflow."""
    return (segment.connection["connection"],)


def subflows_so_far(view: View, segment: Segment) -> Iterable[Value]:
    """First frames of the connection's subflows that have begun."""
    for number in segment.connection["subflows"]:
        first = view.subflows[number]["first_frame"]
        if first <= segment.frame:
            yield first


def is_initial(_: View, segment: Segment) -> Iterable[Value]:
    """Whether the subflow is the initial one, where that is known."""
    kind = segment.subflow["kind"]
    return () if kind is None else (int(kind == "initial"),)


def named_mismatch(view: View, segment: Segment) -> Iterable[Value]:
    """Whether the connection names a wrong echoed key in this frame."""
    for mismatch in segment.connection["mismatches"]:
        if mismatch["what"] == "echoed_key" and mismatch["frame"] == segment.frame:
            return (1,)
    return ()


@having("dss")
def infinite(_: View, segment: Segment) -> Iterable[Value]:
    """Whether the segment declares an infinite mapping."""
    for item in segment.options("dss"):
        if item["dll"] == 0 and not item["data_fin"]:
            yield 1


def unmapped(_: View, segment: Segment) -> Iterable[Value]:
    """Whether payload lies under no mapping at all; that of a SYN needs none (appendix B)."""
    bare = segment.payload and not segment.syn and not any(segment.mapped())
    return (1,) if bare else ()


def reinjection(view: View, segment: Segment) -> Iterable[Value]:
    """The earlier frames that carried any of the octets on another subflow."""
    return view.copies_elsewhere(segment)


def data_ack(_: View, segment: Segment) -> Iterable[Value]:
    """The relative DATA_ACK."""
    number = segment.fact["data_ack"]
    return () if number is None else (number,)


def segment_fact(name: str) -> Ours:
    """A value of the segment's own fact."""
    light = LIGHT.get(name)

    def ours(_: View, segment: Segment) -> Iterable[Value]:
        value = segment.fact[name] if light is None else getattr(segment, light)
        return () if value is None else (value,)

    return ours


def end(name: str, *, sender: bool, family: int | None = None) -> Ours:
    """Address or port of the end that sent the segment, or of the other one."""

    def ours(_: View, segment: Segment) -> Iterable[Value]:
        own = segment.end if sender else segment.other_end
        fits = family is None or (":" in own["address"]) == (family == 6)
        return (own[name],) if fits else ()

    return ours


def sent_as(name: str) -> Ours:
    """Whether any octets of the segment are of a class of transmissions."""

    def ours(view: View, segment: Segment) -> Iterable[Value]:
        return (1,) if segment.frame in view.again.get(name, ()) else ()

    return ours


def base16(text: str) -> Value:
    """Tshark's hexadecimal numbers."""
    return int(text, 16)


def octets(text: str) -> Value:
    """Tshark's octets."""
    return text.replace(":", "")
