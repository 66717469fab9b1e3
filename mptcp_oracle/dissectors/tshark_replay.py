"""What tshark 4.0 makes of MPTCP: its state, replayed from our facts, segment by segment.

tshark keeps a connection for each token that it meets and, of every connection, two *sides*: what
data sequence numbers count from. A stream's flows point to sides, hold the mappings by subflow
sequence number, and which frame carried which data. Where that goes wrong follows from the segments
alone; :func:`replay` gives what tshark then says, and the state that it said it in.
"""

from __future__ import annotations

from mptcp_oracle import crypto
from mptcp_oracle.dissectors.blocks import Blocks
from mptcp_oracle.dissectors.sides import Names
from mptcp_oracle.dissectors.tshark_flows import Flow, Stream, Streams, based, sent_again, timed
from mptcp_oracle.dissectors.tshark_octets import Octets, OutOfBoundsError
from mptcp_oracle.dissectors.tshark_options import shown
from mptcp_oracle.dissectors.tshark_state import (
    Connection,
    Mapping,
    Note,
    Replay,
    Said,
    Side,
    Subflow,
)
from mptcp_oracle.dissectors.view import Segment, View

__all__ = ["replay", "spoken"]

WIDE, SHORT = (1 << 64) - 1, (1 << 32) - 1
JOIN = 1
#: Lengths of an MP_CAPABLE with a key; what is longer echoes the other one too, and maps data.
KEYED, ECHOING, MAPPING = (12, 20, 22, 24), 20, 22
#: Fields that are not shown when an assertion fails after so many octets: of a token, or of a key.
BEHIND = {
    8: {"sendrand"},
    12: {"recvkey", "datalvllen", "checksum"},
    20: {"datalvllen", "checksum"},
}


class AssertionFailedError(Exception):
    """tshark gives up on the frame: one of its assertions fails."""


def spoken(view: View, frame: int) -> Said:
    """All that tshark says of a segment by its replayed state, and by its options."""
    played = replay(view)
    words, note = dict(played.said[frame]), played.notes[frame]
    options = view.segments[frame].raws()[: note.options]
    last = len(options) - 1
    for at, option in enumerate(options):
        for name, value in shown(option):
            if at < last or name.rpartition(".")[2] not in note.hidden:
                words[name] = (*words.get(name, ()), str(value))
    return words


def replay(view: View) -> Replay:
    """Tshark's words for all segments of a capture but those of options, found once for a view."""
    return view.derived("tshark", lambda: _Dissection(view).run())


class _Dissection:
    """One pass of tshark."""

    def __init__(self, view: View) -> None:
        self._view = view
        self._streams = Streams()
        self._tokens: dict[int, Connection] = {}
        self._count = 0
        self._blurred: set[Stream] = set()
        self._frame = 0
        self._words: Said = {}

    def run(self) -> Replay:
        """All segments, in the order of their frames."""
        said: Blocks[Said] = Blocks()
        notes: dict[int, Note] = {}
        begins: dict[str, int] = {}
        names = Names()
        for frame, segment in self._view.segments.items():
            stream, own, other = self._streams.take(segment)
            note = notes[frame] = Note(stream, own, other, blurred=stream in self._blurred)
            based(segment, own, other)
            self._frame, self._words = frame, _numbers(segment, stream, own, other)
            note.zero = own.seen and not own.next
            found = sent_again(segment, stream, own, other)
            timed(segment, stream)
            note.silent = self._options(segment, note)
            if found and note.silent not in ("cut", "malformed", "option bug"):
                for name in sorted(found):
                    self._say(f"tcp.analysis.{name}", 1)
            if not note.silent:
                note.silent = self._analysis(segment, note)
            if "bug" in note.silent:
                self._say("_ws.malformed.dissector_bug", 1)
            said.put(frame, self._words)
            if stream.number == len(begins):
                begins[str(stream.number)] = frame
            if note.connection is not None:
                called = (note.connection.number,)
                names.learn((frame, called, (segment.connection["connection"],)))
        return Replay(said, notes, begins, names)

    def _say(self, name: str, value: int) -> None:
        words = self._words
        words[name] = (*words[name], str(value)) if name in words else (str(value),)

    # ---- options ---------------------------------------------------------------------------

    def _options(self, segment: Segment, note: Note) -> str:
        """Read the options and note the sides; returns why there is no analysis, or nothing."""
        silent = self._read(segment, note)
        own, other = note.own, note.other
        note.joins = note.stream.joins
        note.side = own.subflow.side if own.subflow else None
        note.saw = None if note.side is None else note.side.seen()
        peer = other.subflow.side if other.subflow else None
        note.peer = None if peer is None else peer.seen()
        return silent

    def _read(self, segment: Segment, note: Note) -> str:
        stream, own, other = note.stream, note.own, note.other
        silent = "plain"
        cut = segment.options_cut
        if cut:
            self._blurred.add(stream)
            note.blurred = True
        for raw in segment.raws():
            if len(raw) < 2 or raw[1] < 2 or raw[1] != len(raw):
                break
            silent = ""
            note.options += 1
            octets = Octets(raw)
            for flow in (own, other):
                flow.subflow = flow.subflow or Subflow()
            try:
                self._option(octets, segment, note)
            except OutOfBoundsError:
                return "malformed"
            except AssertionFailedError:
                stream.failed = True
                note.hidden = BEHIND[octets.size - octets.left]
                return "option bug"
        return "cut" if cut else silent

    def _option(self, octets: Octets, segment: Segment, note: Note) -> None:
        octets.skip(2)
        first = octets.number(1)
        subtype, nibble = first >> 4, first & 0x0F
        stream = note.stream
        if stream.mptcp is None and subtype > JOIN:
            self._begin(note, "option")
        match subtype:
            case 0:
                self._capable(octets, segment, note, nibble)
            case 1:
                self._join(octets, note)
            case 2:
                self._dss(octets, segment, note)
            case 3:
                octets.skip(1)
                width = {8: 4, 10: 6, 16: 12, 18: 14, 20: 16, 22: 18, 28: 24, 30: 26}
                octets.skip(width.get(octets.size, 0))
            case 6 | 7:
                octets.skip(9)
            case 8:
                octets.skip(1)
        if stream.mptcp is not None and subtype < 8:
            note.stream.mptcp.operations |= 1 << subtype

    def _begin(self, note: Note, why: str) -> Connection:
        """A connection of its own for a stream; the sides are given to its flows as they come."""
        made = Connection(self._count, (self._frame, why))
        self._count += 1
        note.stream.mptcp = made
        note.own.subflow.side, note.other.subflow.side = made.sides
        return made

    def _attach(self, connection: Connection, stream: Stream) -> None:
        if stream not in connection.streams:
            connection.streams.insert(0, stream)
        stream.mptcp = connection

    def _by_token(self, note: Note, flow: Flow, token: int, why: str) -> Connection:
        """The connection of a token that stands for what is sent in a flow."""
        stream = note.stream
        side = flow.subflow.side
        connection: Connection | None = stream.mptcp
        if side is not None and side.token is not None:
            assert connection is not None
            return connection
        found = self._tokens.get(token)
        if found is not None:
            connection = found
            self._attach(connection, stream)
        else:
            if connection is None:
                connection = self._begin(note, why)
                self._attach(connection, stream)
            elif connection.sides[0].token is not None:
                flow.subflow.side = connection.sides[1]
            elif connection.sides[1].token is not None:
                flow.subflow.side = connection.sides[0]
            else:
                raise AssertionFailedError
            flow.subflow.side.learn(token=token)
            self._tokens[token] = connection
        at = 0 if flow.subflow.side is connection.sides[0] else 1
        at ^= flow is not note.own
        note.own.subflow.side = connection.sides[at]
        note.other.subflow.side = connection.sides[at ^ 1]
        return connection

    def _by_key(self, note: Note, flow: Flow, version: int, key: int) -> Connection:
        """The connection of a host that has shown its key."""
        side = flow.subflow.side
        if side is not None and side.wide:
            side.learn(refused=side.key is None)
            found: Connection = note.stream.mptcp
            return found
        known = version in (0, 1)
        token = crypto.token(key, version) if known else 0
        connection = self._by_token(note, flow, int(token), "key")
        side = flow.subflow.side
        base = int(crypto.idsn(key, version)) if known else 0
        side.learn(version=version, key=key, wide=True, base=base)
        return connection

    def _capable(self, octets: Octets, segment: Segment, note: Note, version: int) -> None:
        octets.skip(1)
        if octets.size not in KEYED:
            return
        own, other = note.own, note.other
        connection = self._by_key(note, own, version, octets.number(8))
        connection.master = note.stream
        self._say("mptcp.expected_token", own.subflow.side.token or 0)
        self._say("mptcp.expected_idsn", own.subflow.side.base)
        if octets.size >= ECHOING:
            key, side = octets.number(8), other.subflow.side
            if side is None or not side.wide:
                self._by_key(note, other, version, key)
            elif (side.key or 0) != key:
                self._say("mptcp.connection.echoed_key_mismatch", 1)
        if octets.size >= MAPPING:
            length = octets.number(2)
            if not length:
                self._say("mptcp.dss.infinite_mapping", 1)
            begin = (segment.number - (own.base or 0)) & SHORT
            self._map(own, begin, length, (own.subflow.side.base + 1) & WIDE, True, "mp_capable")

    def _join(self, octets: Octets, note: Note) -> None:
        if octets.size != 12:
            if note.stream.mptcp is None:
                self._begin(note, "option")
            return
        octets.skip(1)
        note.stream.joins += 1
        own, other = note.own.subflow, note.other.subflow
        self._by_token(note, note.other, octets.number(4), "token")
        if own.side.version == 1:
            own.side, other.side = other.side, own.side

    def _dss(self, octets: Octets, segment: Segment, note: Note) -> None:
        flags = octets.number(1)
        long = bool(flags & 0x02)
        own, other = note.own.subflow, note.other.subflow
        if flags & 0x01:
            ack = octets.number(8 if long else 4)
            self._relative("mptcp.ack", ack, other.side, extended=long)
        if not flags & 0x04:
            return
        dsn = octets.number(8 if flags & 0x08 else 4)
        if flags & 0x08 and not own.side.wide:
            own.side.learn(wide=True)
        begin, length = octets.number(4), octets.number(2)
        if not length:
            self._say("mptcp.dss.infinite_mapping", 1)
        self._relative("mptcp.dss.dsn", dsn, own.side, extended=long)
        self._map(note.own, begin, length, dsn, long, "dss")

    def _relative(self, name: str, number: int, side: Side, *, extended: bool) -> None:
        if side.wide:
            wide = number if extended else side.base & ~SHORT | number
            self._say(name, (wide - side.base) & WIDE)

    def _map(
        self, own: Flow, begin: int, length: int, dsn: int, extended: bool, option: str
    ) -> None:
        if length:
            end = begin + length - 1
            mapping = Mapping(begin, end, dsn, extended, self._frame, option)
            own.subflow.mappings.insert(begin, end, mapping)

    # ---- analysis --------------------------------------------------------------------------

    def _analysis(self, segment: Segment, note: Note) -> str:
        """The analysis of a frame; returns why there is none, or none to the end."""
        connection = note.connection = note.stream.mptcp
        if connection is None:
            return "keyless"
        self._say("mptcp.master", int(connection.master is note.stream))
        self._say("mptcp.stream", connection.number)
        self._words["mptcp.analysis.subflows"] = connection.listed()
        if not note.own.syn:
            note.lost = True
            return ""
        try:
            dsn = self._dsn(segment, note)
        except AssertionFailedError:
            return "bug"
        if dsn is not None:
            self._place(segment, note, connection, dsn)
        return ""

    def _dsn(self, segment: Segment, note: Note) -> int | None:
        """The 64-bit number of a segment's first octet."""
        own = note.own.subflow
        begin = (segment.number - (note.own.base or 0)) & SHORT
        length = int(segment.payload)
        if segment.syn:
            return int(own.side.base)
        if begin == 1 and not length:
            return int(own.side.base + 1) & WIDE
        end = (begin + length - 1) & SHORT if length else begin
        before = own.mappings.lost
        found = note.every = tuple(own.mappings.within(begin, end))
        note.passed = (own.mappings.lost > before, False)
        if not found:
            self._say("mptcp.dss.missing_mapping", 1)
            return None
        mapping = note.mapping = found[0] if length else found[-1]
        for each in found if length else ():
            self._say("mptcp.related_mapping", each.frame)
        if not mapping.low <= begin <= mapping.high:
            raise AssertionFailedError
        dsn = (mapping.dsn + begin - mapping.low) & WIDE
        if mapping.extended:
            return dsn
        return int(own.side.base & ~SHORT | dsn) & WIDE if own.side.wide else None

    def _place(self, segment: Segment, note: Note, connection: Connection, dsn: int) -> None:
        """Say where in the data a segment is, and which frames had the same data."""
        side, length = note.own.subflow.side, segment.payload
        self._say("mptcp.rawdsn64", dsn)
        if side.wide:
            self._say("mptcp.dsn", (dsn - side.base) & WIDE)
        if not length:
            return
        end = dsn + length - 1
        note.own.subflow.carried.insert(dsn, end, self._frame)
        for stream in connection.streams:
            flow = _sided(stream, side)
            if flow is not None and flow is not note.own.subflow:
                before = flow.carried.lost
                for frame in flow.carried.within(dsn, end):
                    if frame < self._frame:
                        self._say("mptcp.reinjection_of", frame)
                if flow.carried.lost > before:
                    note.passed = (note.passed[0], True)


def _numbers(segment: Segment, stream: Stream, own: Flow, other: Flow) -> Said:
    """What is said of every segment."""
    assert own.base is not None
    said: Said = {
        "tcp.stream": (str(stream.number),),
        "tcp.seq": (str((segment.number - own.base) & SHORT),),
    }
    if segment.ack is not None:
        assert other.base is not None
        said["tcp.ack"] = (str((segment.ack - other.base) & SHORT),)
    return said


def _sided(stream: Stream, side: Side) -> Subflow | None:
    """The flow of a stream that counts from a side, else the one with the lower address."""
    flows = stream.by_address()
    if len(flows) < 2:
        return None
    first: Subflow | None = flows[0].subflow
    second: Subflow | None = flows[1].subflow
    return first if first is not None and first.side is side else second
