"""tcpdump as a witness of a capture: what its lines say of TCP headers and MPTCP options.

tcpdump is stateless: it says what stands in a segment, and nothing of connections.
"""

from __future__ import annotations

import re
import shlex
import struct
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from tempfile import TemporaryDirectory

from mptcp_oracle.dissectors.dissector import Field, Words
from mptcp_oracle.dissectors.packets import Packet, packets
from mptcp_oracle.dissectors.program import PATIENCE, Program, located
from mptcp_oracle.dissectors.tcpdump_fields import FIELDS
from mptcp_oracle.errors import AdapterError

__all__ = ["TcpDump", "words"]

#: What tcpdump says on stderr without meaning that anything went wrong.
HARMLESS = re.compile(
    r"reading from file .*|Warning: interface names might be incorrect|dropped privs to .*|"
    r"tcpdump: pcap_loop: truncated dump file; .*"
)
#: What it says when it refuses a capture, or the rest of one.
REFUSED = "different from the type of the first interface"
#: Its lines, with the numbers of their frames.
LINE = re.compile(r" *(\d+)  ?(.*)")
ARGUMENTS = ("-nn", "-S", "-t", "-#", "-r")
#: A TCP header, also in packets in packets.
TCP = re.compile(r".*?: Flags \[([^\]]*)\]")
NUMBERS = {
    "tcp.seq": re.compile(r", seq (\d+)"),
    "tcp.ack": re.compile(r", ack (\d+)"),
    "tcp.win": re.compile(r", win (\d+)"),
    "tcp.length": re.compile(r", length (\d+)"),
}
#: The options: up to the length of the payload, or up to where tcpdump gave up.
OPTIONS = re.compile(r"(?:, (?:seq|ack|win|urg) [\d:]+)*(, options \[(.*?)(?=\], length \d|$))")
#: An MPTCP option from its length up to the next option or the end.
OPTION = re.compile(r"mptcp (\d+) ([a-z-]+|\S+?)(?=[ ,\[]|$)((?:\{[^}]*\}|\[[^\]]*\]|[^,\[{])*)")
WORDS: dict[str, re.Pattern[str]] = {
    name: re.compile(pattern)
    for name, pattern in {
        "mptcp.version": r" v(\d+)",
        "mptcp.csum": r" (csum)(?! 0x)",
        "mptcp.key": r"\{(0x[0-9a-f]+)",
        "mptcp.peer_key": r"\{0x[0-9a-f]+,(0x[0-9a-f]+)",
        "mptcp.id": r" id (\d+(?: \d+)*)(?=[ ,\[]|$)",
        "mptcp.token": r" token (0x[0-9a-f]+)",
        "mptcp.nonce": r" nonce (0x[0-9a-f]+)",
        "mptcp.hmac": r" hmac (0x[0-9a-f]+)",
        "mptcp.fin": r" (fin)",
        "mptcp.ack": r" ack (\d+)",
        "mptcp.seq": r" seq (\d+)",
        "mptcp.subseq": r" subseq (\d+)",
        "mptcp.len": r" len (\d+)",
        "mptcp.checksum": r" csum (0x[0-9a-f]+)",
        "mptcp.backup": r" (?:\[)?((?:non-)?backup)",
        "mptcp.echo": r"-(echo)",
        "mptcp.address": r" id \d+ ([0-9a-f]*[.:][0-9a-f.:]+)",
        "mptcp.fast_close_key": r" key (0x[0-9a-f]+)",
    }.items()
}
BAD = re.compile(r"\[(bad) opt\]")


@dataclass(frozen=True, kw_only=True)
class TcpDump:
    """How to run it.

    Attributes:
        path: The program; by default the one on the search path.
        patience: Seconds until a run is given up.
        name: What the command line calls it. fields: What is compared. silent: Its silence speaks.
    """

    path: str | None = None
    patience: float = PATIENCE
    name: str = "tcpdump"
    fields: tuple[Field, ...] = FIELDS
    silent: bool = True

    @cached_property
    def program(self) -> Program:
        """The program.

        Raises:
            AdapterError: It is not installed.
        """
        return Program(
            command=(located("tcpdump", self.path),), patience=self.patience, harmless=HARMLESS
        )

    def version(self) -> str:
        """Its version, such as ``4.99.3``."""
        return self.program.version()

    def claims(self) -> frozenset[str]:
        """All fields of the table."""
        return frozenset(each.name for each in self.fields)

    def reproduce(self, capture: str, field: str) -> str:
        """How a person sees a capture; tcpdump shows all of its fields at once."""
        return shlex.join([self.path or "tcpdump", *ARGUMENTS, capture])

    def frames(self, capture: Path) -> Iterator[tuple[int, Words]]:
        """What it says of each frame.

        libpcap takes a second interface in a pcapng file for one of another link type if it has
        another one, or raw IP. Of such a file tcpdump gets the frames of each link type by
        themselves.
        """
        last = 0
        frames = (each.frame for each in packets(capture) if each.link >= 0)
        try:
            for told, last in zip(self._said(capture), frames, strict=False):
                yield last, told
        except AdapterError as error:
            if REFUSED not in (error.cause or ""):
                raise
            yield from (each for each in self._apart(capture) if each[0] > last)

    def _apart(self, capture: Path) -> Iterator[tuple[int, Words]]:
        """What it says of each frame, asked about one link type after the other."""
        links: dict[int, list[Packet]] = {}
        for packet in packets(capture):
            links.setdefault(packet.link, []).append(packet)
        found: dict[int, Words] = {}
        with TemporaryDirectory(prefix="mptcp-oracle-") as folder:
            for link, own in links.items():
                if link < 0:
                    continue
                part = Path(folder, f"{link}.pcap")
                part.write_bytes(b"".join(_pcap(link, own)))
                frames = (each.frame for each in own)
                found |= zip(frames, self._said(part), strict=False)
        yield from sorted(found.items())

    def _said(self, capture: Path) -> Iterator[Words]:
        """What it says of each packet of a file that it reads: it does not number other frames."""
        for number, line in enumerate(self._lines(capture), start=1):
            match = LINE.fullmatch(line)
            if match is None:
                raise AdapterError("tcpdump printed no numbered line", cause=repr(line[:200]))
            if int(match[1]) != number:
                cause = repr(line[:200])
                raise AdapterError(
                    f"tcpdump numbers a frame {match[1]} after frame {number - 1}", cause=cause
                )
            yield words(match[2])

    def _lines(self, capture: Path) -> Iterator[str]:
        """Its lines without octets; a frame in a frame (VXLAN) has one of its own."""
        last = ""
        for line in self.program.lines(*ARGUMENTS, str(capture)):
            if line.startswith("\t") or not line:
                continue
            if LINE.fullmatch(line) or not last:
                if last:
                    yield last
                last = line
            else:
                last = f"{last} {line}"
        if last:
            yield last


def _pcap(link: int, own: Sequence[Packet]) -> Iterator[bytes]:
    """A pcap file of some frames: without times, which tcpdump is not asked for."""
    most = max(len(each.octets) for each in own)
    yield struct.pack("<IHHiIII", 0xA1B2C3D4, 2, 4, 0, 0, most, link)
    for each in own:
        yield struct.pack("<IIII", 0, 0, len(each.octets), each.wire) + each.octets


def words(text: str) -> Words:
    """What a line says, by field; nothing if it is about no TCP header."""
    begin = TCP.match(text)
    if begin is None:
        return {}
    rest = text[begin.end() :]
    found: dict[str, tuple[str, ...]] = {"tcp.flags": (begin[1],)}
    told = OPTIONS.match(rest)
    plain = rest if told is None else rest[: told.start(1)] + rest[told.end() :]
    for name, pattern in NUMBERS.items():
        match = pattern.search(plain)
        if match:
            found[name] = (match[1],)
    if told is None:
        return found
    options: dict[str, list[str]] = {}
    for length, name, more in OPTION.findall(told[2]):
        options.setdefault("mptcp.option", []).append(name)
        options.setdefault("mptcp.length", []).append(length)
        for field, pattern in WORDS.items():
            match = pattern.search(more)
            if match:
                options.setdefault(field, []).extend(match[1].split())
    if bad := BAD.findall(told[2]):
        options["mptcp.bad"] = bad
    return found | {name: tuple(each) for name, each in options.items()}
