"""Each fact that tshark also states, in every recorded capture, against what tshark says."""

from __future__ import annotations

import dataclasses
import tomllib
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from functools import cache
from pathlib import Path

import pytest

from mptcp_oracle.analysis.trace import analyze
from mptcp_oracle.diff import Comparison, cases, compare
from mptcp_oracle.dissectors.case import Case
from mptcp_oracle.dissectors.dissector import Field, Value, Words
from mptcp_oracle.dissectors.explaining import explain
from mptcp_oracle.dissectors.known import catalogue
from mptcp_oracle.dissectors.rows import gathered
from mptcp_oracle.dissectors.tshark import TShark
from mptcp_oracle.dissectors.tshark_fields import FIELDS, NEVER, NO_COUNTERPART
from mptcp_oracle.dissectors.view import View
from mptcp_oracle.errors import AdapterError
from mptcp_oracle.facts import Fact
from tests.adapters.captures import captured
from tests.common.checkout import ROOT
from tests.common.machine import tool, unavailable

CORPUS = ROOT / "corpus"
#: Every recording of the corpus.
CAPTURES = [
    CORPUS / entry["file"]
    for entry in tomllib.loads((CORPUS / "index.toml").read_text())["entry"]
    if entry["family"] in ("kernel", "tester")
]
#: The tshark whose words the explanations are about.
SERIES = "4.0"
EXPLAINED = catalogue("tshark")
#: Frames of one field and capture in which a wrong value is planted.
PLANTED = 6
#: Fields whose one value says that something is there.
PRESENCE = (
    "mptcp.dss.infinite_mapping",
    "mptcp.dss.missing_mapping",
    "tcp.analysis.retransmission",
    "tcp.analysis.zero_window_probe",
)


@pytest.fixture(autouse=True, scope="module")
def right_tshark() -> None:
    """Skip without a tshark of the series that the explanations are about."""
    tool("tshark")
    found = TShark().version()
    if not found.startswith(f"{SERIES}."):
        unavailable(f"tshark is {found}, and its differences are explained for {SERIES}")


@cache
def words(capture: Path) -> Mapping[int, Words]:
    """What tshark says of a capture."""
    return dict(TShark().frames(capture))


@cache
def told(capture: Path) -> tuple[Fact, ...]:
    """What our analysis says of it."""
    with analyze(capture) as trace:
        return tuple(trace.facts())


@cache
def declared(capture: Path) -> Mapping[int | str, int | str]:
    """Which frames declare mappings first."""
    with analyze(capture) as trace:
        return gathered(trace).first_declaring()


@cache
def compared(capture: Path) -> Comparison:
    """The comparison of both."""
    ours = View(told(capture), first_declaring=declared(capture))
    return compare(FIELDS, words(capture), ours, EXPLAINED)


def complaint(result: Comparison) -> str:
    """The differences that nobody explained."""
    lines = [f"{each.first} ({each.count} times)" for each in result.new]
    return "\n".join([f"{len(lines)} differences that no row explains:", *lines[:40]])


@pytest.mark.parametrize("capture", CAPTURES, ids=lambda path: path.stem)
def test_every_difference_is_explained(capture: Path) -> None:
    """Every value that tshark states is the facts', or an argument says why it is not."""
    result = compared(capture)
    assert not result.new, complaint(result)
    subflows = [fact for fact in told(capture) if fact["fact"] == "subflow"]
    assert sum(result.equal.values()) > len(words(capture)) or not subflows


def test_every_field_is_compared_or_listed() -> None:
    """Every field has values in some recording, but for those listed with the reason."""
    equal: Counter[str] = Counter()
    different: Counter[str] = Counter()
    for capture in CAPTURES:
        equal += compared(capture).equal
        for group in compared(capture).explained:
            different[group.row.name] += group.count
    print(f"\n{len(CAPTURES)} captures: values that are equal, frames with explained differences")
    for row in FIELDS:
        print(f"{row.name:42} {equal[row.name]:7} {different[row.name]:6}")
    silent = {row.name for row in FIELDS if not equal[row.name] + different[row.name]}
    assert silent == set(NEVER)


def test_every_explanation_explains_something() -> None:
    """One without trigger and capture explains a difference in some recording: none is stale."""
    used: Counter[str] = Counter()
    for capture in CAPTURES:
        for group in compared(capture).explained:
            used[group.cause] += group.count
    slugs = captured()
    without = (row.id for row in EXPLAINED if not row.trigger)
    assert {each for each in without if f"tshark-{each}" not in slugs} <= set(used)


def test_every_mptcp_field_of_tshark_is_known() -> None:
    """Each MPTCP field of the installed tshark is compared, or listed with the reason."""
    names = [row.name for row in FIELDS]
    assert len(set(names)) == len(names)
    known = {name for name in names if "mptcp" in name}
    assert not known & set(NO_COUNTERPART)
    assert known | set(NO_COUNTERPART) == set(TShark().mptcp_fields)


def wrong(case: Case) -> Case:
    """The same case with a value of ours that nothing in the capture suggests."""
    first = case.ours[0]
    if isinstance(first, str):
        planted: int | str = first[::-1] if first != first[::-1] else f"{first}0"
    elif case.theirs in ((0,), (1,)):
        planted = 1 - first
    else:
        planted = first ^ 0x55555
    return dataclasses.replace(case, ours=(planted, *case.ours[1:]))


def absent(case: Case) -> Case:
    """The same case with nothing of ours."""
    return dataclasses.replace(case, ours=())


def agreed(row: Field) -> Iterator[Case]:
    """Frames, some of each capture, in which both sides say the same of a field."""
    for capture in CAPTURES:
        both = [
            case for case in cases(row, words(capture), view(capture)) if case.theirs == case.ours
        ]
        yield from both[:: max(1, len(both) // PLANTED)]


@cache
def view(capture: Path) -> View:
    """Our facts of a capture, by frame."""
    return View(told(capture), first_declaring=declared(capture))


@pytest.mark.parametrize("row", FIELDS, ids=lambda row: row.name)
@pytest.mark.parametrize("plant", [wrong, absent], ids=lambda plant: str(plant.__name__))
def test_a_planted_mistake_is_explained_by_nothing(
    row: Field, plant: Callable[[Case], Case]
) -> None:
    """A mistake of ours, planted where both agree, is a difference that no row explains."""
    excused = [
        f"{case}, planted {planted.ours}: {found.id}"
        for case in agreed(row)
        if (found := explain(planted := plant(case), EXPLAINED)) is not None
    ]
    assert not excused, "\n".join(excused)


@pytest.mark.parametrize("name", PRESENCE)
def test_an_invented_value_is_explained_by_nothing(name: str) -> None:
    """A finding of ours that is not there, on data with a mapping of their own, is unexplained."""
    excused, planted = [], 0
    for capture in CAPTURES:
        said, ours = words(capture), view(capture)
        silent = [
            segment
            for frame, segment in ours.segments.items()
            if any(option["dsn"] for option in segment.options("dss"))
            and segment.fact["payload"]
            and not {name, "tcp.analysis.out_of_order"} & said[frame].keys()
        ]
        for segment in silent[:: max(1, len(silent) // PLANTED)]:
            case = Case(
                frame=segment.frame, field=name, theirs=(), ours=(1,),
                segment=segment, view=ours, said=said,
            )  # fmt: skip
            planted += 1
            excused += [case] if explain(case, EXPLAINED) else []
    assert planted > len(CAPTURES)
    assert not excused


@pytest.mark.parametrize("capture", CAPTURES, ids=lambda path: path.stem)
def test_lookups_name_the_frames_that_tshark_names(capture: Path) -> None:
    """Lookups of a frame and of an octet give the carriers and announcements compared above."""
    rows = {row.name: row for row in FIELDS}
    ours = view(capture)
    with analyze(capture) as trace:
        for case in some(cases(rows["mptcp.reinjection_of"], words(capture), ours)):
            found = trace.frame(case.frame)
            elsewhere = {each.frame for each in found.previous if each.subflow != found.subflow}
            assert elsewhere == once(ours, case.ours), case
        for case in some(cases(rows["mptcp.related_mapping"], words(capture), ours)):
            segment = case.segment
            alike = case.theirs == case.ours
            if segment is None or segment.connection["connection"] < 0 or not alike:
                continue
            dsn = next(segment.mapped())["dsn"]
            octet = trace.octet(segment.fact["connection"], segment.fact["sender"], dsn)
            frames = {frame for each in octet.announced for frame in (each.frame, *each.repeats)}
            assert once(ours, (*case.theirs, *case.ours)) <= frames, case


def some(found: Iterator[Case]) -> list[Case]:
    """A few of many, in order, duplicates made by the capture aside."""
    every = [case for case in found if case.segment and not case.segment.fact["duplicate"]]
    return every[:: max(1, len(every) // PLANTED)]


def once(ours: View, frames: tuple[Value, ...]) -> set[Value]:
    """Frames without duplicates made by the capture."""
    return {frame for frame in frames if not ours.segments[int(frame)].fact["duplicate"]}


@pytest.mark.parametrize(
    ("slug", "frame", "change"),
    [
        ("loss-reinjection", 12, {"data_ack": 2}),
        ("loss-reinjection", 46, {"subflow": 0}),
        ("ipv6-two-paths", 12, {"sequence": 7}),
        ("router-any", 44, {"duplicate": False, "data_ack": 77}),
    ],
)
def test_a_wrong_fact_fails_the_comparison(
    slug: str, frame: int, change: dict[str, object], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The comparison fails for an analysis that says something wrong of one frame."""
    capture = CORPUS / "kernel" / f"{slug}.pcapng"
    right = told(capture)
    lies = tuple(
        {**fact, **change} if fact["fact"] == "segment" and fact["frame"] == frame else fact
        for fact in right
    )
    assert lies != right
    monkeypatch.setitem(globals(), "told", lambda _: lies)
    monkeypatch.setitem(globals(), "compared", compared.__wrapped__)
    with pytest.raises(AssertionError, match=f"frame {frame}: "):
        test_every_difference_is_explained(capture)


def test_what_tshark_complains_of_is_an_error(tmp_path: Path) -> None:
    """A file that is no capture, and a run that takes too long, are errors, not empty tables."""
    (tmp_path / "x.pcap").write_text("no capture")
    with pytest.raises(AdapterError, match="tshark failed"):
        list(TShark().dissect(tmp_path / "x.pcap", ["tcp.len"]))
    hasty = TShark(patience=0.001)
    with pytest.raises(AdapterError, match="took too long"):
        list(hasty.dissect(CAPTURES[0], ["tcp.len"]))
