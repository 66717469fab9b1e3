"""What the octets alone say: conditions of explanations, recomputed without the analysis.

An explanation that gives our side right has to show it from what the hosts sent: the options of
the announcing frame, the keys of the handshake, sequence numbers. Facts are used here only for
options, flags and sequence numbers.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator

from mptcp_oracle import crypto, seq
from mptcp_oracle.dissectors.case import Case
from mptcp_oracle.dissectors.dissector import Value
from mptcp_oracle.dissectors.view import Segment, View
from mptcp_oracle.facts import Fact

__all__ = [
    "acknowledged_before",
    "data_ack_shown",
    "dsn_shown",
    "earlier",
    "idsn_shown",
    "key_shown",
    "keys_of",
    "later_first_data",
    "mapping_shown",
    "same_mappings",
    "sent_before",
    "under_infinite_mapping",
]

WIDE = (1 << 64) - 1


def earlier(view: View, case: Case, *names: str) -> Iterator[tuple[Segment, Fact]]:
    """Options with these names of the case's subflow, up to and with its frame."""
    if case.segment is None:
        return
    for frame, segment in view.segments.items():
        if frame > case.frame:
            return
        if segment.subflow["subflow"] == case.segment.subflow["subflow"]:
            for item in segment.options(*names):
                yield segment, item


def keys_of(view: View, connection: int) -> dict[str, int]:
    """By role: the key that the MP_CAPABLEs of a connection show."""
    found: dict[str, int] = {}
    for segment in view.segments.values():
        if segment.fact["connection"] != connection or segment.fact["sender"] is None:
            continue
        for item in segment.options("mp_capable"):
            if item["sender_key"] is not None:
                found[segment.fact["sender"]] = int(item["sender_key"], 16)
    return found


def key_shown(case: Case) -> bool:
    """Whether a key of the connection stands in this frame or an earlier one."""
    segment = case.segment
    return segment is not None and any(
        item["sender_key"] is not None
        for frame, other in case.view.segments.items()
        if frame <= case.frame and other.fact["connection"] == segment.fact["connection"]
        for item in other.options("mp_capable")
    )


def _idsn(case: Case, other: bool = False) -> int | None:
    """The IDSN that follows from the key of the sender, or of the other host."""
    segment = case.segment
    if segment is None or segment.fact["sender"] is None:
        return None
    roles = ("initiator", "listener")
    role = roles[roles.index(segment.fact["sender"]) ^ other]
    key = keys_of(case.view, segment.fact["connection"]).get(role)
    return None if key is None else crypto.idsn(key, segment.connection["version"])


def idsn_shown(case: Case) -> bool:
    """Whether our DSN of a SYN with MP_CAPABLE is the IDSN: the SYN comes before the data."""
    segment, idsn = case.segment, _idsn(case)
    if segment is None or not segment.syn or not any(segment.options("mp_capable")):
        return False
    return case.ours == ((idsn if case.field == "mptcp.rawdsn64" else 0),)


def dsn_shown(case: Case) -> bool:
    """Whether our DSN of the first mapped octet follows from the option that maps it.

    RFC 8684 section 3.3.1: the DSN at subflow sequence number ``ssn`` is ``dsn``, and both count
    on from there; the first octet of a connection has DSN IDSN + 1.
    """
    segment, idsn = case.segment, _idsn(case)
    if segment is None or idsn is None:
        return False
    item = next(segment.mapped(), None)
    if item is None:
        return False
    place = item["sequence"] - segment.end["syn_data"]
    for option in case.view.segments[item["announced"]].options("dss", "mp_capable"):
        if option["option"] == "mp_capable":
            absolute = idsn + place
        elif option["dsn"] is None:
            continue
        else:
            dsn = int(option["dsn"])
            if option["dsn_size"] == 4:
                dsn = seq.extend(dsn, 32, idsn)
            absolute = dsn + place - option["ssn"]
        wanted = absolute if case.field == "mptcp.rawdsn64" else absolute - idsn
        if case.ours == (wanted & WIDE,):
            return True
    return False


def mapping_shown(case: Case) -> bool:
    """Whether our relative DSN of a declared mapping is the option's, less the IDSN."""
    segment, idsn = case.segment, _idsn(case)
    if segment is None or idsn is None:
        return False
    wide = [option for option in segment.options("dss") if option["dsn_size"] == 8]
    return case.ours == tuple((int(option["dsn"]) - idsn) & WIDE for option in wide)


def data_ack_shown(case: Case) -> bool:
    """Whether our relative DATA_ACK is the option's, less the other host's IDSN."""
    segment, idsn = case.segment, _idsn(case, other=True)
    if segment is None or idsn is None or len(case.ours) != 1:
        return False
    for option in segment.options("dss"):
        if option["data_ack"] is not None:
            bits = 8 * option["data_ack_size"]
            wanted = (int(case.ours[0]) + idsn) % (1 << bits)
            return bool(wanted == int(option["data_ack"]))
    return False


Mapping = tuple[object, ...]


def _mapping(view: View, frame: int) -> Mapping | None:
    """The mapping that a frame declares: whose, DSN, subflow sequence number, length.

    An MP_CAPABLE with data maps from subflow sequence number 1 and IDSN + 1 on (RFC 8684
    section 3.1), wherever in these data the segment is that carries it.
    """
    segment = view.segments.get(frame)
    if segment is None:
        return None
    whose = (segment.subflow["subflow"], segment.fact["from"])
    for option in segment.options("dss", "mp_capable"):
        if option["option"] == "dss" and option["dsn"] is not None:
            return (*whose, option["dsn"], option["ssn"], option["dll"])
        if option["option"] == "mp_capable" and option["data_length"] is not None:
            idsn = crypto.idsn(int(option["sender_key"], 16), segment.connection["version"])
            return (*whose, str((idsn + 1) & WIDE), 1, option["data_length"])
    return None


def same_mappings(case: Case, *, without: Collection[Value] = ()) -> bool:
    """Whether the frames of both sides declare the same mappings; some of tshark's left out."""
    theirs = {_mapping(case.view, int(frame)) for frame in case.theirs if frame not in without}
    ours = {_mapping(case.view, int(frame)) for frame in case.ours}
    return bool(ours) and None not in ours and theirs == ours


def later_first_data(case: Case) -> set[int]:
    """Frames that carry an MP_CAPABLE with data, but not the first octet of these data."""
    return {
        segment.frame
        for segment, option in earlier(case.view, case, "mp_capable")
        if option["data_length"] is not None
        and segment.fact["sequence"] != 1 + segment.end["syn_data"]
    }


def under_infinite_mapping(case: Case) -> bool:
    """Whether the payload lies under a mapping of length 0, without DATA_FIN."""
    item = None if case.segment is None else next(case.segment.mapped(), None)
    return item is not None and any(
        option["dll"] == 0 and not option["data_fin"]
        for option in case.view.segments[item["announced"]].options("dss")
    )


def sent_before(case: Case) -> bool:
    """Whether every octet of the segment's payload was in the subflow before."""
    segment = case.segment
    if segment is None:
        return False
    start = segment.fact["sequence"]
    missing = set(range(start, start + segment.fact["payload"]))
    for frame, other in case.view.segments.items():
        if frame >= case.frame:
            break
        same = other.subflow["subflow"] == segment.subflow["subflow"]
        if same and other.fact["from"] == segment.fact["from"]:
            first = other.fact["sequence"]
            missing -= set(range(first, first + other.fact["payload"]))
    return not missing


def acknowledged_before(case: Case) -> bool:
    """Whether a DATA_ACK in an earlier frame is beyond all of the segment's DSNs."""
    segment = case.segment
    if segment is None:
        return False
    ends = [item["dsn_end"] for item in segment.mapped()]
    acks = [
        other.fact["data_ack"]
        for frame, other in case.view.segments.items()
        if frame < case.frame
        and other.fact["data_ack"] is not None
        and other.fact["connection"] == segment.fact["connection"]
        and other.fact["sender"] != segment.fact["sender"]
    ]
    return bool(ends) and max(acks, default=0) >= max(ends)
