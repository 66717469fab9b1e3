"""Sequences as packetdrill scripts, in the notation of its MPTCP branch.

Only what one scripted peer with one subflow can say: the raw peer opens the connection, and nothing
joins it. Keys become packetdrill's variables, DSNs and DATA_ACKs are relative as it has them.
"""

from __future__ import annotations

from collections.abc import Iterator

from mptcp_oracle import crypto
from mptcp_oracle.encode import encode
from mptcp_oracle.live.peer.segment import MASK_32, Segment, parsed
from mptcp_oracle.live.stateful.sequence import Played
from mptcp_oracle.options import Dss, MpCapable, MpFail, MpFastclose, MpPrio, MpTcprst, Option

__all__ = ["script"]

MASK_64 = (1 << 64) - 1
OPENING = """\
 0 socket(..., SOCK_STREAM, IPPROTO_MPTCP) = 3
+0 setsockopt(3, SOL_SOCKET, SO_REUSEADDR, [1], 4) = 0
+0 bind(3, ..., ...) = 0
+0 listen(3, 1) = 0
"""
LETTERS = ((0x80, "flag_a"), (0x40, "flag_b"), (0x20, "flag_c"), (0x01, "flag_h"))


def script(played: Played) -> str | None:
    """The script of a sequence; ``None`` if it needs more than one scripted peer can say."""
    if played.plan.calls:
        return None
    found = [
        (each.outgoing, parsed(each.packet, number))
        for number, each in enumerate(played.log.frames, start=1)
    ]
    segments = [(outgoing, each) for outgoing, each in found if each is not None]
    ports = {frozenset((each.source_port, each.destination_port)) for _, each in segments}
    if len(ports) != 1 or not segments[0][1].syn:
        return None
    try:
        return "\n".join(_lines(played, segments)) + "\n"
    except LookupError:
        return None


def _lines(played: Played, segments: list[tuple[bool, Segment]]) -> Iterator[str]:
    yield f"// {played.finding or 'a sequence that is right'}"
    yield "// " + ", ".join(f"{name} {number}" for name, number in played.plan.steps)
    yield "--tolerance_usecs=100000"
    yield "`../common/defaults.sh`"
    yield ""
    yield from OPENING.splitlines()
    view = _View(segments)
    calls = sorted(played.calls, key=lambda call: call[0])
    for outgoing, segment in segments:
        while calls and calls[0][0] < segment.frame:
            yield f"+0 {calls.pop(0)[1]}"
        yield view.line(outgoing, segment)
    for _, call in calls:
        yield f"+0 {call}"


class _View:
    """Numbers as packetdrill counts them: each side's from its own SYN, or its IDSN."""

    def __init__(self, segments: list[tuple[bool, Segment]]) -> None:
        self.first = {
            outgoing: next(each.sequence for out, each in segments if out is outgoing)
            for outgoing in (True, False)
        }
        keys = {
            outgoing: next(
                option.sender_key
                for out, each in segments
                for option in each.options
                if out is outgoing and isinstance(option, MpCapable) and option.sender_key
            )
            for outgoing in (True, False)
        }
        self.key = keys
        self.base = {outgoing: crypto.idsn(key, 1) for outgoing, key in keys.items()}
        self.named = False

    def line(self, outgoing: bool, segment: Segment) -> str:
        """One packet."""
        start = (segment.sequence - self.first[outgoing]) & MASK_32
        words = [f"+0 {'<' if outgoing else '>'} {segment.letters}"]
        words.append(f"{start}:{start + segment.space - segment.syn}({len(segment.payload)})")
        if segment.ack:
            words.append(f"ack {(segment.acknowledgment - self.first[not outgoing]) & MASK_32}")
        if outgoing:
            words.append(f"win {segment.window}")
        options = ["mss 1400"] if segment.syn and outgoing else []
        options += ["mss 1460"] if segment.syn and not outgoing else []
        for each in segment.options:
            options.append(self.option(outgoing, segment, each))
            options += ["nop"] * (-len(encode(each)) % 4)
        return " ".join(words) + (f" <{', '.join(options)}>" if options else "")

    def option(self, outgoing: bool, segment: Segment, option: Option) -> str:
        """One option.

        Raises:
            LookupError: packetdrill has no word for it.
        """
        match option:
            case MpCapable():
                return self._capable(outgoing, segment, option)
            case Dss():
                return self._dss(outgoing, option)
            case MpFail():
                return f"mp_fail dsn8={(option.dsn - self.base[not outgoing]) & MASK_64}"
            case MpPrio(address_id=None):
                return f"mp_prio backup={option.backup:d}"
            case MpTcprst(flags=0):
                return f"mp_reset {option.reason}"
            case MpFastclose() if option.key == self.key[not outgoing]:
                return "mp_fastclose"
        raise LookupError(option)

    def _capable(self, outgoing: bool, segment: Segment, option: MpCapable) -> str:
        flags = ",".join(word for bit, word in LETTERS if option.flags & bit)
        words = [f"mpcapable v1 flags[{flags}]"]
        if option.sender_key is None:
            words.append("nokey")
        elif option.receiver_key is None:
            words.append("key[skey]")
        else:
            words.append("key[ckey, skey]" if self.named else f"key[ckey={self.key[True]}, skey]")
            self.named = True
        if option.data_length is not None:
            words[1:] = ["key[skey, ckey]", f"mpcdatalen {option.data_length}"]
        return " ".join(words)

    def _dss(self, outgoing: bool, option: Dss) -> str:
        words = ["dss"]
        if option.data_ack is not None:
            words.append(self._number("dack", option.data_ack, option.data_ack_size, not outgoing))
        if option.dsn is not None:
            words.append(self._number("dsn", option.dsn, option.dsn_size, outgoing))
            words += [f"ssn={option.ssn}", f"dll={option.dll}"]
        words.append("nocs" if option.checksum is None else f"cs={option.checksum}")
        words += ["fin"] if option.data_fin else []
        return " ".join(words)

    def _number(self, word: str, value: int, size: int, outgoing: bool) -> str:
        return f"{word}{size}={(value - self.base[outgoing]) & ((1 << 8 * size) - 1)}"
