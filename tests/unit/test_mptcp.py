"""The decoder: every layout, every truncation, any octets."""

from __future__ import annotations

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from mptcp_oracle.encode import encode
from mptcp_oracle.options import (
    AddAddr,
    Dss,
    Experimental,
    Flaw,
    Malformed,
    MpCapable,
    MpJoinAck,
    MpJoinSyn,
    MpPrio,
    Option,
    RemoveAddr,
    Unknown,
    notation,
)
from mptcp_oracle.wire.mptcp import RawOption, decode_option, walk
from tests.common.layouts import ACK, DATA, LAYOUTS, SYN, SYNACK, Layout, Segment

SEGMENTS = (SYN, SYNACK, ACK, DATA)
KEY = "0102030405060708"


def _decode(raw: bytes | str, segment: Segment = ACK, version: int | None = 1) -> Option:
    return decode_option(
        bytes.fromhex(raw) if isinstance(raw, str) else raw,
        syn=segment.syn,
        ack=segment.ack,
        payload=segment.payload,
        version=version,
    )


def _lawful(raw: bytes, segment: Segment, version: int | None) -> bool:
    """Whether the table of layouts has this Length, said once more and differently."""
    size, nibble = len(raw), raw[2] & 15
    match raw[2] >> 4:
        case 0 if nibble > 1:
            return True
        case 0 if nibble == 0:
            return size == (12 if segment.syn else 20)
        case 0:
            return size in {SYN: {4}, SYNACK: {12}, ACK: {20}, DATA: {22, 24}}[segment]
        case 1:
            return size == {SYN: 12, SYNACK: 16, ACK: 24, DATA: 24}[segment]
        case 2 if size > 3:
            ack = (0, 4, 0, 8)[raw[3] & 3]
            mapping = (0, 10, 0, 14)[raw[3] >> 2 & 3]
            return size - 4 - ack in ((mapping, mapping + 2) if mapping else (0,))
        case 3:
            old = (nibble, size) in ((4, 8), (4, 10), (6, 20), (6, 22))
            new = size in (8, 10, 20, 22) if nibble & 1 else size in (16, 18, 28, 30)
            return {0: old, 1: new, None: old or new}[version]
        case 4:
            return size > 3
        case 5:
            return size == 3 or (size == 4 and version != 1)
        case 6 | 7:
            return size == 12
        case 8:
            return size == 4
        case subtype:
            return subtype > 8


@pytest.mark.parametrize("layout", LAYOUTS, ids=lambda layout: layout.name)
def test_each_layout_decodes(layout: Layout) -> None:
    """The hand-written octets of each layout decode to its value and keep their octets."""
    octets = bytes.fromhex(layout.octets)
    for version in (layout.version, None):
        option = _decode(octets, layout.segment, version)
        assert option == layout.option
        assert option.raw == octets


@pytest.mark.parametrize("layout", LAYOUTS, ids=lambda layout: layout.name)
def test_a_cut_option_is_malformed(layout: Layout) -> None:
    """Every proper prefix of an option that keeps its Length is malformed and keeps its octets."""
    octets = bytes.fromhex(layout.octets)
    for size in range(len(octets)):
        option = _decode(octets[:size], layout.segment, layout.version)
        assert isinstance(option, Malformed)
        assert option.reason is (Flaw.CUT_OFF if size else Flaw.NOT_MPTCP)
        assert option.subtype == (octets[2] >> 4 if size > 2 else None)
        assert option.raw == octets[:size]


@pytest.mark.parametrize("layout", LAYOUTS, ids=lambda layout: layout.name)
def test_a_shortened_option_is_malformed_unless_the_shorter_one_exists(layout: Layout) -> None:
    """Every prefix with its Length set right is read as the layout table says, or malformed."""
    octets = bytes.fromhex(layout.octets)
    for size in range(3, len(octets)):
        shorter = bytes([30, size]) + octets[2:size]
        option = _decode(shorter, layout.segment, layout.version)
        lawful = _lawful(shorter, layout.segment, layout.version)
        assert isinstance(option, Malformed) is not lawful, size
        assert encode(option) == shorter


@pytest.mark.parametrize("layout", LAYOUTS, ids=lambda layout: layout.name)
def test_a_lengthened_option_is_malformed_unless_the_longer_one_exists(layout: Layout) -> None:
    """Every continuation with its Length set right is read as the table says, or malformed."""
    octets = bytes.fromhex(layout.octets)
    for size in range(len(octets) + 1, 41):
        longer = bytes([30, size]) + octets[2:] + bytes(size - len(octets))
        option = _decode(longer, layout.segment, layout.version)
        lawful = _lawful(longer, layout.segment, layout.version)
        assert isinstance(option, Malformed) is not lawful, size
        assert encode(option) == longer


@st.composite
def _mptcp_octets(draw: st.DrawFn) -> bytes:
    """Octets with Kind 30, of a size that some layout has more often than not."""
    sizes = sorted({len(bytes.fromhex(layout.octets)) for layout in LAYOUTS})
    size = draw(st.sampled_from(sizes) | st.integers(2, 40))
    body = draw(st.binary(min_size=size - 2, max_size=size - 2))
    length = draw(st.just(size) | st.integers(0, 255))
    return bytes([30, length]) + body


versions = st.sampled_from((None, 0, 1))
segments = st.sampled_from(SEGMENTS)


@given(st.binary(max_size=45) | _mptcp_octets(), segments, versions)
@example(b"", ACK, None)
def test_any_octets_decode_and_none_is_lost(
    raw: bytes, segment: Segment, version: int | None
) -> None:
    """Decoding is total, has a text form, and encoding the result gives the octets again."""
    option = _decode(raw, segment, version)
    assert option.raw == raw
    assert encode(option) == raw
    assert notation(option)


@given(_mptcp_octets(), segments, versions)
def test_malformed_means_that_no_layout_fits(
    raw: bytes, segment: Segment, version: int | None
) -> None:
    """With Kind and Length in order, exactly what the layout table lacks is malformed."""
    whole = len(raw) > 2 and raw[1] == len(raw)
    option = _decode(raw, segment, version)
    lawful = whole and _lawful(raw, segment, version)
    assert isinstance(option, Malformed) is not lawful
    if isinstance(option, Malformed) and option.reading is not None:
        assert not isinstance(option.reading, Malformed)
        assert encode(option.reading) == raw


@given(_mptcp_octets(), segments)
def test_unknown_version_refuses_only_what_both_versions_refuse(
    raw: bytes, segment: Segment
) -> None:
    """Without a negotiated version an option is read as one of the versions would read it."""
    unsure = _decode(raw, segment, None)
    sure = [_decode(raw, segment, version) for version in (0, 1)]
    assert unsure in sure
    if isinstance(unsure, Malformed):
        assert all(isinstance(option, Malformed) for option in sure)


@pytest.mark.parametrize(
    ("octets", "reason"),
    [
        ("", Flaw.NOT_MPTCP),
        ("02", Flaw.NOT_MPTCP),
        ("1d0351", Flaw.NOT_MPTCP),
        ("1e", Flaw.CUT_OFF),
        ("1e03", Flaw.CUT_OFF),
        ("1e0451", Flaw.CUT_OFF),
        ("1e00", Flaw.LENGTH_OCTET),
        ("1e01", Flaw.LENGTH_OCTET),
        ("1e02", Flaw.LENGTH_OCTET),
        ("1e0251", Flaw.LENGTH_OCTET),
        ("1e035100", Flaw.LENGTH_OCTET),
        ("1e0320", Flaw.LAYOUT),
        ("1e0340", Flaw.LAYOUT),
    ],
)
def test_flaws_of_the_frame(octets: str, reason: Flaw) -> None:
    """Kind, octets and Length are looked at in this order, then the layout."""
    option = _decode(octets)
    assert isinstance(option, Malformed)
    assert option.reason is reason
    assert option.reading is None


@pytest.mark.parametrize(
    ("octets", "segment", "version", "reason", "kind"),
    [
        (f"1e0c0101{KEY}", SYN, 1, Flaw.MISPLACED, MpCapable),
        ("1e040101", SYNACK, 1, Flaw.MISPLACED, MpCapable),
        ("1e040101", ACK, 1, Flaw.MISPLACED, MpCapable),
        (f"1e140101{KEY}{KEY}", DATA, 1, Flaw.MISPLACED, MpCapable),
        (f"1e160101{KEY}{KEY}0005", ACK, 1, Flaw.MISPLACED, MpCapable),
        (f"1e140001{KEY}{KEY}", SYNACK, 0, Flaw.MISPLACED, MpCapable),
        ("1e040001", SYN, 0, Flaw.LAYOUT, MpCapable),
        (f"1e160001{KEY}{KEY}0005", DATA, 0, Flaw.LAYOUT, MpCapable),
        ("1e0c10020000000100000002", SYNACK, 1, Flaw.MISPLACED, MpJoinSyn),
        ("1e0c10020000000100000002", ACK, 1, Flaw.MISPLACED, MpJoinSyn),
        ("1e181000" + "00" * 20, SYN, 1, Flaw.MISPLACED, MpJoinAck),
        ("1e083405c000020a", ACK, 1, Flaw.WRONG_VERSION, AddAddr),
        ("1e083105c000020a", ACK, 0, Flaw.WRONG_VERSION, AddAddr),
        ("1e103005c000020a" + "00" * 8, ACK, 0, Flaw.WRONG_VERSION, AddAddr),
        ("1e083005c000020a", ACK, 1, Flaw.LAYOUT, AddAddr),
        ("1e103105c000020a" + "00" * 8, ACK, 1, Flaw.LAYOUT, AddAddr),
        ("1e045105", ACK, 1, Flaw.WRONG_VERSION, MpPrio),
    ],
)
def test_readings_in_spite_of_a_flaw(
    octets: str, segment: Segment, version: int, reason: Flaw, kind: type
) -> None:
    """What stands in the wrong place or version is malformed, but can still be read."""
    option = _decode(octets, segment, version)
    assert isinstance(option, Malformed)
    assert option.reason is reason
    assert isinstance(option.reading, kind)
    assert option.subtype == int(octets[4], 16)


def test_v0_third_ack_may_carry_data() -> None:
    """Version 0 has one layout for segments without SYN, whatever their payload."""
    octets = f"1e140001{KEY}{KEY}"
    assert isinstance(_decode(octets, DATA, 0), MpCapable)
    assert isinstance(_decode(octets, ACK, 0), MpCapable)


def test_later_versions_are_not_judged() -> None:
    """A version above 1 may have layouts of its own; those that we know are still read."""
    assert isinstance(_decode("1e0502010a", SYN, None), Unknown)
    assert _decode("1e040201", ACK, None) == MpCapable(version=2)


@pytest.mark.parametrize(
    ("octets", "version"),
    [
        ("1e083405c000020a", 0),
        ("1e083105c000020a", 1),
        ("1e083505c000020a", 1),
        ("1e103405c000020a" + "00" * 8, 1),
        ("1e143605" + "00" * 16, 0),
    ],
)
def test_add_addr_tells_its_version(octets: str, version: int) -> None:
    """Without a negotiated version, nibble and Length tell the two ADD_ADDRs apart."""
    option = _decode(octets, ACK, None)
    assert isinstance(option, AddAddr)
    assert option.version == version


def test_add_addr_nibble_must_match_its_address() -> None:
    """IPVer 4 with a 16-octet address, or 6 with a 4-octet one, is no layout and no reading."""
    for octets in ("1e143405" + "00" * 16, "1e083605c000020a"):
        for version in (0, 1, None):
            assert _decode(octets, ACK, version) == Malformed(
                reason=Flaw.LAYOUT, subtype=3, raw=bytes.fromhex(octets)
            )


@pytest.mark.parametrize("subtype", range(9, 16))
def test_unassigned_subtypes_keep_their_octets(subtype: int) -> None:
    """Unassigned subtypes are unknown and 0xF is an experiment, of any Length."""
    for size in (3, 4, 40):
        raw = bytes([30, size, subtype << 4]) + bytes(size - 3)
        expected = Experimental(raw=raw) if subtype == 15 else Unknown(subtype=subtype, raw=raw)
        assert _decode(raw) == expected


def test_one_length_several_layouts() -> None:
    """Where the Length of a DSS is ambiguous, its flags decide what is there."""
    alone = _decode("1e12200cf5a101d3d29d6f73000000010005")
    both = _decode("1e122005f5a101d3d29d6f73000000010005")
    assert isinstance(alone, Dss)
    assert isinstance(both, Dss)
    assert (alone.data_ack, alone.dsn) == (None, 0xF5A101D3D29D6F73)
    assert (both.data_ack, both.dsn) == (0xF5A101D3, 0xD29D6F73)
    assert alone.checksum is None
    assert both.checksum is None


def test_long_address_lists() -> None:
    """A REMOVE_ADDR can fill the whole option space."""
    raw = bytes([30, 40, 0x40, *range(37)])
    assert _decode(raw) == RemoveAddr(address_ids=tuple(range(37)))


@given(st.binary(max_size=45))
@example(b"\x1e\x00\x01\x02")
@example(b"\x1e\x01\x01\x02")
@example(b"\x01\x01\x1e\x29")
@example(b"\x01\x1e")
@example(b"\x00\x1e\x03\x51")
def test_walk_is_total_and_loses_nothing(options: bytes) -> None:
    """The raw options of any octets join to those octets, at the offsets that they name."""
    found = walk(options)
    assert b"".join(option.raw for option in found) == options
    offset = 0
    for option in found:
        assert option.offset == offset
        assert option.kind == option.raw[0]
        offset += len(option.raw)
    assert not any(option.malformed or option.kind == 0 for option in found[:-1])


@given(st.lists(st.sampled_from(LAYOUTS), max_size=5), st.integers(0, 3))
def test_walk_finds_whole_options(layouts: list[Layout], end: int) -> None:
    """Well-formed options are found one by one, up to the End of Option List."""
    octets = [bytes.fromhex(layout.octets) for layout in layouts]
    found = walk(b"\1".join(octets) + bytes(end))
    assert [option.raw for option in found if option.kind == 30] == octets
    assert [option.kind for option in found if option.kind != 30] == (
        [1] * (len(octets) - 1) + [0] * (end > 0)
    )
    assert not any(option.malformed for option in found)


@pytest.mark.parametrize(
    ("octets", "expected"),
    [
        ("0101", [(0, 1, "01", False), (1, 1, "01", False)]),
        ("0204", [(0, 2, "0204", True)]),
        ("011e", [(0, 1, "01", False), (1, 30, "1e", True)]),
        ("1e000101", [(0, 30, "1e000101", True)]),
        ("1e01", [(0, 30, "1e01", True)]),
        ("0402001e", [(0, 4, "0402", False), (2, 0, "001e", False)]),
        ("1e03511e04", [(0, 30, "1e0351", False), (3, 30, "1e04", True)]),
    ],
)
def test_walk_keeps_malformed_tails(
    octets: str, expected: list[tuple[int, int, str, bool]]
) -> None:
    """A missing, too small or too large Length ends the walk, and the rest stays together."""
    found = walk(bytes.fromhex(octets))
    assert [(*each[:2], each.raw.hex(), each.malformed) for each in found] == expected
    assert all(isinstance(each, RawOption) for each in found)
