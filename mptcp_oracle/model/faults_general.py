"""Faults of the general part: the form of options, reserved bits, duplicate ACKs.

RFC 8684 sections 3, 3.3, 3.3.8, 3.6 and 7.2, as far as octets are wrong and not their meaning.
"""

from __future__ import annotations

from dataclasses import replace

from mptcp_oracle.encode import encode
from mptcp_oracle.model.fault import Fault
from mptcp_oracle.model.faults_edit import Draft, Place
from mptcp_oracle.model.faults_places import (
    ack_only,
    again,
    carriers,
    extra,
    flawed,
    lacks,
    octets_of,
    quiet,
    rewrite,
    standing,
    subflow_of,
)
from mptcp_oracle.model.trace import RST, Sent, Trace
from mptcp_oracle.options import (
    Dss,
    Flaw,
    MpFail,
    MpPrio,
    MpTcprst,
    Option,
    Unknown,
)

__all__ = ["FAULTS"]

UNASSIGNED = range(0x9, 0xF)
"""Subtypes that neither RFC defines."""


def _three_duplicates(draft: Draft, place: Place) -> None:
    """Three more of a pure ACK, each with an MP_PRIO that says nothing new.

    Packets of equal octets could be one that was captured several times.
    """
    number = place.segments[0]
    prio = MpPrio(backup=standing(draft.trace, number))
    dss = draft.sent(number).options
    draft.blame(again(draft, place, prio))
    draft.blame(again(draft, place, prio, plain=True))
    last = again(draft, place)
    draft.set(last, options=(prio, *dss))
    draft.blame(last)


def _unassigned(draft: Draft, place: Place) -> None:
    subtype = draft.choices.pick(UNASSIGNED)
    raw = bytes([30, 4, subtype << 4 | draft.choices.bits(4), draft.choices.bits(8)])
    draft.blame(again(draft, place, Unknown(subtype=subtype, raw=raw)))


def _long_dss(draft: Draft, place: Place) -> None:
    """A pure ACK once more, with a DSS that has a DATA_ACK alone and 2 octets too many."""
    dss = next(each for each in draft.sent(place.segments[0]).options if isinstance(each, Dss))
    raw = encode(dss) + bytes(2)
    raw = bytes([raw[0], raw[1] + 2]) + raw[2:]
    draft.blame(again(draft, place, octets_of(raw), plain=True))


def _v0_prio(draft: Draft, place: Place) -> None:
    number = place.segments[0]
    prio = MpPrio(backup=standing(draft.trace, number), address_id=draft.choices.integer(0, 255))
    draft.blame(again(draft, place, flawed(prio, Flaw.WRONG_VERSION)))


def _reserved_prio(draft: Draft, place: Place) -> None:
    backup = standing(draft.trace, place.segments[0])
    prio = MpPrio(backup=backup, reserved=draft.choices.integer(1, 7))
    draft.blame(again(draft, place, prio))


def _ack_without_prio(trace: Trace, sent: Sent) -> bool:
    return ack_only(trace, sent) and lacks(trace, sent, MpPrio)


def _reset(trace: Trace, sent: Sent) -> bool:
    """Whether a segment is a RST, and not the end of a join, which may have one reason only."""
    return bool(sent.flags & RST) and subflow_of(trace, sent).outcome == "established"


def _unregistered(option: MpTcprst, draft: Draft) -> Option:
    return replace(option, reason=draft.choices.integer(7, 255))


def _long_reset(option: MpTcprst, _draft: Draft) -> Option:
    raw = encode(option)
    return octets_of(bytes([raw[0], raw[1] + 1]) + raw[2:] + bytes(1))


FAULTS = (
    Fault(
        name="option-of-two-octets",
        meaning="An option of Kind 30 says that it has 2 octets, so that it has no subtype.",
        v1=("8684-3-01",),
        v0=("6824-3-01",),
        needs=("pure_ack",),
        find=quiet(ack_only),
        edit=extra(bytes([30, 2])),
    ),
    Fault(
        name="fail-too-short",
        meaning="An MP_FAIL has a DSN of 4 octets where it must have 8.",
        v1=("8684-3-02",),
        v0=("6824-3-02",),
        needs=("pure_ack",),
        find=quiet(ack_only),
        edit=extra(encode(MpFail(dsn=0))[:1] + bytes([8, 0x60]) + bytes(5)),
    ),
    Fault(
        name="signals-in-duplicate-acks",
        meaning="Three duplicate ACKs in a row are sent, only to repeat an MP_PRIO.",
        v1=("8684-3-04",),
        v0=("6824-3-04",),
        needs=("pure_ack",),
        find=quiet(_ack_without_prio),
        edit=_three_duplicates,
    ),
    Fault(
        name="subtype-unassigned",
        meaning="An option has a subtype between 0x9 and 0xE, which no RFC assigns.",
        v1=("8684-7-01",),
        v0=("6824-8-01",),
        needs=("pure_ack",),
        find=quiet(ack_only),
        edit=_unassigned,
    ),
    Fault(
        name="dss-reserved-bits",
        meaning="A DSS has reserved bits set.",
        v1=("8684-3.3-03",),
        v0=("6824-3.3-03",),
        needs=("data",),
        find=carriers(Dss),
        edit=rewrite(
            Dss, lambda option, draft: replace(option, reserved=draft.choices.integer(1, 127))
        ),
    ),
    Fault(
        name="dss-too-long",
        meaning="A DSS with nothing but a DATA_ACK is 2 octets longer than its flags say.",
        v1=("8684-3.3-01", "8684-3-02"),
        v0=("6824-3.3-10", "6824-3-02"),
        needs=("pure_ack",),
        find=quiet(ack_only),
        edit=_long_dss,
    ),
    Fault(
        name="prio-names-address",
        meaning="A version 1 MP_PRIO names an Address ID, as version 0 could.",
        v1=("8684-3.3.8-02", "8684-3-02"),
        needs=("pure_ack",),
        find=quiet(ack_only),
        edit=_v0_prio,
    ),
    Fault(
        name="prio-too-long",
        meaning="An MP_PRIO has 5 octets.",
        v1=("8684-3.3.8-02", "8684-3-02"),
        v0=("6824-3.3.8-01", "6824-3-02"),
        needs=("pure_ack",),
        find=quiet(ack_only),
        edit=extra(bytes([30, 5, 0x50, 1, 2])),
    ),
    Fault(
        name="prio-reserved-bits",
        meaning="An MP_PRIO has bits set that its figure leaves empty.",
        v1=("8684-3.3.8-04",),
        needs=("pure_ack",),
        find=quiet(ack_only),
        edit=_reserved_prio,
    ),
    Fault(
        name="reset-option-on-ack",
        meaning="MP_TCPRST stands on a segment that is no RST.",
        v1=("8684-3.6-01",),
        needs=("pure_ack",),
        find=quiet(ack_only),
        edit=extra(*(MpTcprst(reason=reason) for reason in range(7))),
    ),
    Fault(
        name="reset-option-too-long",
        meaning="An MP_TCPRST has 5 octets.",
        v1=("8684-3.6-02", "8684-3-02"),
        needs=("tcprst",),
        find=carriers(MpTcprst, where=_reset),
        edit=rewrite(MpTcprst, _long_reset),
    ),
    Fault(
        name="reset-flags",
        meaning="An MP_TCPRST has one of its flags U, V and W set.",
        v1=("8684-3.6-03",),
        needs=("tcprst",),
        find=carriers(MpTcprst, where=_reset),
        edit=rewrite(
            MpTcprst,
            lambda option, draft: replace(
                option, flags=option.flags & 1 | draft.choices.integer(1, 7) << 1
            ),
        ),
    ),
    Fault(
        name="reset-reason-unregistered",
        meaning="An MP_TCPRST has a reason code that is not registered.",
        v1=("8684-3.6-05",),
        needs=("tcprst",),
        find=carriers(MpTcprst, where=_reset),
        edit=rewrite(MpTcprst, _unregistered),
    ),
)
