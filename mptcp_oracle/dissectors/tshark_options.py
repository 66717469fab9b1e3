"""What tshark shows of the octets of one option, whatever the segment and the connection."""

from __future__ import annotations

from collections.abc import Callable
from ipaddress import IPv4Address, IPv6Address

from mptcp_oracle.dissectors.tshark_octets import Octets, OutOfBoundsError

__all__ = ["shown"]

Say = Callable[[str, object], None]


def shown(raw: bytes) -> list[tuple[str, int | str]]:
    """The fields of an option, in order, up to where it ends before its reader does."""
    found: list[tuple[str, int | str]] = []

    def say(name: str, value: object) -> None:
        name = name if name.startswith("mptcp") else f"tcp.options.mptcp.{name}"
        found.append((name, value if isinstance(value, int) else str(value)))

    octets = Octets(raw)
    octets.skip(2)
    try:
        first = octets.number(1)
        say("subtype", first >> 4)
        reader = READERS.get(first >> 4)
        if reader is not None:
            reader(octets, first, say)
    except OutOfBoundsError:
        pass
    return found


def _flags(octets: int, say: Say, **bits: int) -> None:
    """An octet of flags, and some of its bits."""
    say("flags", hex(octets))
    for name, mask in bits.items():
        value = (octets & mask) // (mask & -mask)
        say(BITS.get(name, f"{name}.flag"), hex(value) if name == "reserved" else value)


BITS = {"checksumreq": "checksumreq.flags"}


def _capable(octets: Octets, first: int, say: Say) -> None:
    version = first & 0x0F
    say("version", version)
    flags = octets.number(1)
    if version == 1:
        _flags(flags, say, checksumreq=0x80, extensibility=0x40, nomoresubflows=0x20,
               sha256=0x01, reserved=0x1E)  # fmt: skip
    else:
        _flags(flags, say, checksumreq=0x80, extensibility=0x40, sha1=0x01, reserved=0x3E)
    if octets.size in (12, 20, 22, 24):
        say("sendkey", octets.number(8))
    if octets.size in (20, 22, 24):
        say("recvkey", octets.number(8))
    if octets.size in (22, 24):
        say("datalvllen", octets.number(2))
    if octets.size == 24:
        say("checksum", hex(octets.number(2)))


def _join(octets: Octets, first: int, say: Say) -> None:
    if octets.size in (12, 16):
        _flags(first, say, backup=0x01)
        say("addrid", octets.number(1))
        if octets.size == 12:
            say("recvtok", octets.number(4))
        else:
            say("sendtrunchmac", octets.number(8))
        say("sendrand", octets.number(4))
    elif octets.size == 24:
        say("reserved", hex((first << 8 | octets.number(1)) & 0x0FFF))
        say("sendhmac", f"{octets.number(20):040x}")


def _dss(octets: Octets, first: int, say: Say) -> None:
    flags = octets.number(1)
    _flags(flags, say, datafin=0x10, dseqn8=0x08, dseqnpresent=0x04, dataack8=0x02,
           dataackpresent=0x01)  # fmt: skip
    if flags & 0x01:
        say("rawdataack", octets.number(8 if flags & 0x02 else 4))
    if not flags & 0x04:
        return
    say("rawdataseqno", octets.number(8 if flags & 0x08 else 4))
    say("subflowseqno", octets.number(4))
    say("datalvllen", octets.number(2))
    if octets.left >= 4:
        say("checksum", hex(octets.number(2)))


def _add(octets: Octets, first: int, say: Say) -> None:
    if first & 0x0F in (4, 6):
        say("ipver", first & 0x0F)
    else:
        say("echo", first & 0x01)
    say("addrid", octets.number(1))
    size = octets.size
    if size in (8, 10, 16, 18):
        say("ipv4", IPv4Address(octets.number(4)))
    if size in (20, 22, 28, 30):
        say("ipv6", IPv6Address(octets.number(16)))
    if size in (10, 18, 22, 30):
        say("port", octets.number(2))
    if size in (16, 18, 28, 30):
        say("addaddrtrunchmac", octets.number(8))


def _remove(octets: Octets, first: int, say: Say) -> None:
    say("mptcp.rm_addr.count", octets.size - 3)
    while octets.left:
        say("addrid", octets.number(1))


def _prio(octets: Octets, first: int, say: Say) -> None:
    _flags(first, say, backup=0x01)
    if octets.size == 4:
        say("addrid", octets.number(1))


def _fail(octets: Octets, first: int, say: Say) -> None:
    say("reserved", hex((first << 8 | octets.number(1)) & 0x0FFF))
    say("rawdataseqno", octets.number(8))


def _fastclose(octets: Octets, first: int, say: Say) -> None:
    say("reserved", hex((first << 8 | octets.number(1)) & 0x0FFF))
    say("recvkey", octets.number(8))


def _reset(octets: Octets, first: int, say: Say) -> None:
    _flags(first, say, flag_U=0x08, flag_V=0x04, flag_W=0x02, flag_T=0x01)
    say("rst_reason", hex(octets.number(1)))


READERS: dict[int, Callable[[Octets, int, Say], None]] = {
    0: _capable,
    1: _join,
    2: _dss,
    3: _add,
    4: _remove,
    5: _prio,
    6: _fail,
    7: _fastclose,
    8: _reset,
}
"""By subtype."""
