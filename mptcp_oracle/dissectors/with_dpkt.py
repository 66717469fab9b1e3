"""dpkt as a witness of a capture: TCP headers and raw options, as its users get them.

dpkt is a library, so a small program stands between: ``python -m mptcp_oracle.dissectors.with_dpkt
CAPTURE`` prints one line of JSON a frame, its number and what dpkt says of it. A crash or an
endless loop of the library is one of that program. dpkt does not number frames: they are counted.
"""

from __future__ import annotations

import json
import os
import shlex
import struct
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from importlib.util import find_spec
from itertools import count
from pathlib import Path
from typing import Any, BinaryIO

from mptcp_oracle.dissectors.dissector import Field, Words
from mptcp_oracle.dissectors.program import PATIENCE, Program
from mptcp_oracle.dissectors.with_dpkt_fields import ERROR, FIELDS, MPTCP, OPTIONS
from mptcp_oracle.errors import AdapterError

__all__ = ["Dpkt", "said"]

#: Link types by their numbers in files: those for which dpkt has a class, and raw IP.
ETHERNET, COOKED, COOKED_V2, NULL, LOOP = 1, 113, 276, 0, 108
RAW, RAW_IPV4, RAW_IPV6 = (12, 14, 101), 228, 229
#: What is said of every frame that dpkt reads.
SAID = tuple(each.name for each in FIELDS if each.name != ERROR)
#: Types of pcapng blocks that dpkt gives and of those that count as frames, as in Wireshark, and
#: how a section in little-endian order begins.
GIVEN, COUNTED, LITTLE = (2, 6), (2, 3, 6, 9, 0xBAD, 0x40000BAD), b"\x4d\x3c\x2b\x1a"


@dataclass(frozen=True, kw_only=True)
class Dpkt:
    """How to run it.

    Attributes:
        patience: Seconds until a run is given up.
        name: What the command line calls it. fields: What is compared.
        mixed: Whether it reads several link types in one file.
        silent: Whether its silence speaks. Of a frame that it reads every field is said, one of
            which there is none as empty; of other frames it says nothing.
    """

    patience: float = PATIENCE
    name: str = "dpkt"
    fields: tuple[Field, ...] = FIELDS
    silent: bool = False
    mixed: bool = False

    @cached_property
    def program(self) -> Program:
        """The program that asks dpkt, run by the same interpreter.

        Raises:
            AdapterError: dpkt is not installed.
        """
        if find_spec("dpkt") is None:
            raise AdapterError("dpkt is not there", hint="pip install dpkt")
        # -P: no module in the current folder takes dpkt's place.
        command = (sys.executable, "-P", "-W", "ignore", "-m", __name__)
        return Program(command=command, patience=self.patience, called="dpkt")

    def version(self) -> str:
        """Its version, such as ``1.9.8``."""
        return self.program.version()

    def claims(self) -> frozenset[str]:
        """All fields of the table."""
        return frozenset(each.name for each in self.fields)

    def reproduce(self, capture: str, field: str) -> str:
        """How a person sees what dpkt says of a capture."""
        return shlex.join(["python", "-m", __name__, capture])

    def frames(self, capture: Path) -> Iterator[tuple[int, Words]]:
        """What it says of each frame."""
        for line in self.program.lines(str(capture)):
            try:
                frame, words = json.loads(line)
                found = {name: tuple(values) for name, values in words.items()}
            except (ValueError, TypeError, AttributeError) as error:
                raise AdapterError("dpkt printed a line", cause=repr(line[:200])) from error
            yield frame, found


# ---- the program in between -----------------------------------------------------------------


def said(packet: bytes, link: int) -> Mapping[str, list[str]]:
    """What dpkt says of one frame; nothing, if it refuses it or knows no such link type.

    A frame that it reads and has no segment in is said to have none.
    An exception that is not one of its own is what a user of the library gets instead.
    """
    import dpkt

    try:
        frame = _link(packet, link)
        ip, tcp = _segment(frame)
        if tcp is None:
            return {} if frame is None else {each: [] for each in SAID}
        options = dpkt.tcp.parse_opts(tcp.opts)
    except dpkt.Error:
        return {}
    except Exception as error:
        return {ERROR: [type(error).__name__]}
    return {
        "ip.src": [dpkt.utils.inet_to_str(ip.src)],
        "ip.dst": [dpkt.utils.inet_to_str(ip.dst)],
        "tcp.sport": [str(tcp.sport)],
        "tcp.dport": [str(tcp.dport)],
        "tcp.flags": [str(tcp.flags)],
        "tcp.seq": [str(tcp.seq)],
        "tcp.ack": [str(tcp.ack)],
        "tcp.win": [str(tcp.win)],
        "tcp.length": [str(len(tcp.data))],
        OPTIONS: [tcp.opts.hex()],
        # None stands for an option without a Length.
        "tcp.option30": [each[1].hex() for each in options if each and each[0] == MPTCP],
    }


def _link(packet: bytes, link: int) -> Any:
    """A frame as a packet of dpkt's, or ``None``."""
    import dpkt

    if link in RAW and packet:
        link = RAW_IPV6 if packet[0] >> 4 == 6 else RAW_IPV4
    makers = {
        ETHERNET: dpkt.ethernet.Ethernet,
        COOKED: dpkt.sll.SLL,
        COOKED_V2: dpkt.sll2.SLL2,
        NULL: dpkt.loopback.Loopback,
        LOOP: dpkt.loopback.Loopback,
        RAW_IPV4: dpkt.ip.IP,
        RAW_IPV6: dpkt.ip6.IP6,
    }
    return makers[link](packet) if link in makers else None


def _segment(packet: Any) -> tuple[Any, Any]:
    """The first TCP segment inside, and its IP packet; what an ICMP message quotes is none."""
    import dpkt

    ip = None
    while isinstance(packet, dpkt.Packet):
        if isinstance(packet, dpkt.icmp.ICMP | dpkt.icmp6.ICMP6):
            break
        if isinstance(packet, dpkt.tcp.TCP) and ip is not None:
            return ip, packet
        if isinstance(packet, dpkt.ip.IP | dpkt.ip6.IP6):
            ip = packet
        packet = packet.data
    return None, None


def _frames(path: str) -> Iterator[tuple[int, Mapping[str, list[str]]]]:
    """Number of each frame that dpkt gives, and what it says of it; no more after a bad one."""
    import dpkt

    with open(path, "rb") as file, open(path, "rb") as again:
        reader = dpkt.pcap.UniversalReader(file)
        packets, link = iter(reader), reader.datalink()
        blocks = isinstance(reader, dpkt.pcapng.Reader)
        for frame in _numbers(again) if blocks else count(1):
            try:
                _, packet = next(packets)
            except (StopIteration, dpkt.Error):
                return
            except Exception as error:
                yield frame, {ERROR: [type(error).__name__]}
                return
            yield frame, said(packet, link)


def _numbers(file: BinaryIO) -> Iterator[int]:
    """The numbers of the frames of a pcapng file that dpkt gives: it passes over some blocks."""
    order = "<" if file.read(12)[8:] == LITTLE else ">"
    file.seek(0)
    number = 0
    while len(head := file.read(8)) == 8:
        kind, size = struct.unpack(f"{order}II", head)
        number += kind in COUNTED
        if kind in GIVEN:
            yield number
        file.seek(max(0, size - 8), os.SEEK_CUR)


def _main(argument: str) -> None:
    """Print what dpkt says of each frame of a capture, or with ``--version`` its version."""
    import dpkt

    if argument == "--version":
        print("dpkt", dpkt.__version__)
        return
    try:
        for line in _frames(argument):
            print(json.dumps(line))
    except (ValueError, dpkt.Error) as error:
        sys.exit(f"dpkt does not open it: {type(error).__name__}: {error}")


if __name__ == "__main__":
    _main(sys.argv[1])
