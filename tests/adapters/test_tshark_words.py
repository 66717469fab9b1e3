"""What the adapter makes of tshark's words, without running it."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import pytest

from mptcp_oracle.dissectors.case import Case
from mptcp_oracle.dissectors.program import Program
from mptcp_oracle.dissectors.proofs import number_shown
from mptcp_oracle.dissectors.tshark import HARMLESS
from mptcp_oracle.dissectors.tshark_conditions import options_cut
from mptcp_oracle.dissectors.tshark_fields import FIELDS
from mptcp_oracle.dissectors.tshark_words import innermost
from mptcp_oracle.dissectors.view import View
from mptcp_oracle.errors import AdapterError
from tests.common.checkout import ROOT

FAKES = Path(__file__).with_name("fakes.py")
SMALL = str(ROOT / "corpus" / "kernel" / "close-without-data.pcapng")
ROWS = {row.name: row for row in FIELDS}


def test_a_dissectors_bug_on_a_frame_is_no_failure() -> None:
    """What tshark reports of one frame does not end the run; of a program it would."""
    command = (sys.executable, str(FAKES), "grumbles")
    assert len(list(Program(command=command, harmless=HARMLESS).lines(SMALL))) > 10
    with pytest.raises(AdapterError, match="Dissector bug"):
        list(Program(command=command).lines(SMALL))


OUTER, INNER = ("198.18.0.1",), ("10.0.0.1",)


@pytest.mark.parametrize(
    ("layers", "said", "expected"),
    [
        ("eth:ip:tcp", {"ip.src": INNER}, {"ip.src": INNER}),
        ("eth:ip:gre:ip:tcp", {"ip.src": OUTER + INNER}, {"ip.src": INNER}),
        ("ip:ip:tcp:mptcp", {"ip.dst": OUTER + INNER}, {"ip.dst": INNER}),
        ("eth:ip:udp:vxlan:eth:ipv6:tcp", {"ip.src": OUTER, "ipv6.src": ("::1",)},
         {"ipv6.src": ("::1",)}),
        ("eth:arp", {"tcp.len": ("1",)}, {"tcp.len": ("1",)}),
        ("ip:gre:ipv6:tcp", {"ip.src": OUTER}, {}),
    ],
)  # fmt: skip
def test_addresses_are_those_inside_a_tunnel(
    layers: str, said: dict[str, Any], expected: dict[str, Any]
) -> None:
    """Of several network layers the last one's addresses are a segment's."""
    words = innermost({"frame.protocols": (layers,), **said})
    assert dict(words) == {"frame.protocols": (layers,), **expected}


KEY = "12345678000a6fb1"


def view(options: list[dict[str, Any]], **more: object) -> View:
    """Facts of one segment of the initiator with these options."""
    end = {"syn_data": 0, "address": "10.0.0.1", "port": 1}
    return View(
        [
            {"fact": "connection", "connection": 0, "version": 1, "mismatches": []},
            {"fact": "subflow", "subflow": 0, "source": end, "destination": end},
            {
                "fact": "segment", "frame": 1, "connection": 0, "subflow": 0, "from": "source",
                "sender": "initiator", "flags": 16, "payload": 0, "ranges": [], "options": options,
                "options_cut": False, "time": "0.5", "window": 0, "sequence_raw": 1,
                "ack_raw": None, **more,
            },
        ]
    )  # fmt: skip


def ours(name: str, made: View) -> list[object]:
    """Our values of a field."""
    return list(ROWS[f"tcp.options.mptcp.{name}"].ours(made, made.segments[1]))


@pytest.mark.parametrize(("version", "more", "reserved"), [(0, [], [0x1F]), (1, [1], [0xF])])
def test_flag_c_is_of_version_1(version: int, more: list[int], reserved: list[int]) -> None:
    """In version 0 it is one of those that choose an algorithm (RFC 6824 section 3.1)."""
    option = {"option": "mp_capable", "version": version, "flags": 0x3F, "raw": "1e04003f"}
    made = view([option])
    assert ours("nomoresubflows.flag", made) == more
    assert ours("reserved.flag", made) == reserved


@pytest.mark.parametrize(("raw", "expected"), [("1e0320", [2]), ("1e0a20", []), ("1e0220", [])])
def test_only_an_option_as_long_as_it_says_has_a_subtype(raw: str, expected: list[int]) -> None:
    """RFC 9293 section 3.1: what goes beyond the header, or ends before it begins, is none."""
    assert ours("subtype", view([{"option": "malformed", "raw": raw}])) == expected


@pytest.mark.parametrize(("flags", "expected"), [(0x10, [1]), (0x02, [])])
def test_data_of_a_syn_need_no_mapping(flags: int, expected: list[int]) -> None:
    """RFC 8684 appendix B.2: they are outside the data sequence space."""
    made = view([], flags=flags, payload=5)
    row = ROWS["mptcp.dss.missing_mapping"]
    assert list(row.ours(made, made.segments[1])) == expected


def case(made: View, name: str, theirs: tuple[int, ...], own: tuple[int, ...]) -> Case:
    """A difference in the one segment."""
    return Case(
        frame=1, field=name, theirs=theirs, ours=own, segment=made.segments[1], view=made,
        said={1: {}},
    )  # fmt: skip


def test_a_number_without_a_known_sequence_is_not_shown() -> None:
    """Where the subflow's numbers are not known, no DSN follows from the options."""
    option = {"option": "mp_capable", "version": 1, "sender_key": KEY}
    unknown = {"dsn": 1, "dsn_end": 2, "sequence": None, "announced": 1, "absolute": None}
    made = view([option], ranges=[unknown])
    assert not number_shown(case(made, "mptcp.dsn", (), (1,)))
    assert number_shown(case(made, "mptcp.dsn", (1,), ()))


@pytest.mark.parametrize(
    ("theirs", "own", "cut", "expected"),
    [
        ((2, 5), (5,), True, True),
        ((2,), (), True, True),
        ((2, 5), (5,), False, False),
        ((5,), (2,), True, False),
        ((5, 2), (2, 5), True, False),
    ],
)
def test_behind_a_cut_facts_have_no_more_than_tshark(
    theirs: tuple[int, ...], own: tuple[int, ...], cut: bool, expected: bool
) -> None:
    """An option that facts have and tshark has not is a difference of its own."""
    made = view([], options_cut=cut)
    assert options_cut(case(made, "tcp.options.mptcp.subtype", theirs, own)) is expected
