"""The search of a hunt: what is seen in captures, and what is left of one that was made small."""

from __future__ import annotations

from pathlib import Path

import pytest

from mptcp_oracle.analysis.trace import analyze
from mptcp_oracle.dissectors.dissector import CrashError
from mptcp_oracle.dissectors.known import Known
from mptcp_oracle.dissectors.rows import gathered
from mptcp_oracle.errors import AdapterError
from mptcp_oracle.facts import Fact
from mptcp_oracle.hunt.kind import Kind
from mptcp_oracle.hunt.quarry import Quarry, together
from mptcp_oracle.hunt.search import Search, Sighting
from tests.common.fake_dissectors import Change, Fake, breaking, higher

SEED = 5


def a_search(folder: Path, change: Change, known: tuple[Known, ...] = ()) -> Search:
    """A search with a dissector that has one mistake."""
    return Search(
        quarry=Quarry(SEED),
        dissector=Fake(change=change),
        version="1.0",
        known=known,
        catalogue=known,
        folder=folder,
    )


def best(sightings: list[Sighting], field: str) -> Sighting:
    """The sighting of a field that is seen earliest in its capture."""
    return min((each for each in sightings if each.kind.field == field), key=lambda e: e.depth)


def test_a_run_shows_what_each_capture_alone_shows(tmp_path: Path) -> None:
    """Captures of a run keep to themselves: kinds, captures and frames are those of each alone."""
    search = a_search(tmp_path, higher(0))
    together_seen, broken = search.run(range(4))
    assert not broken
    alone = [each for number in range(4) for each in search.run([number])[0]]
    assert {each.kind for each in together_seen} == {each.kind for each in alone}
    assert sum(each.count for each in together_seen) == sum(each.count for each in alone) > 10
    for each in together_seen:
        assert each.depth == min(other.depth for other in alone if other.kind == each.kind)


def test_captures_follow_from_their_numbers() -> None:
    """The same number gives the same octets, others give others; a run holds all frames."""
    quarry = Quarry(SEED)
    captures = [quarry.octets(number) for number in range(3)]
    assert captures == [Quarry(SEED).octets(number) for number in range(3)]
    assert len({*captures, Quarry(SEED + 1).octets(0)}) == 4
    frames = 0
    for octets in captures:
        with analyze(octets) as trace:
            frames += trace.capture.frames
    with analyze(together(captures)) as trace:
        assert trace.capture.frames == frames


def test_a_mistake_is_made_small(tmp_path: Path) -> None:
    """What is left shows the same values, and no frame can be left out."""
    search = a_search(tmp_path, higher(50))
    seen, _ = search.run(range(8))
    sighting = best(seen, "segment.data_ack")
    found = search.small(sighting.kind, sighting.number)
    assert found is not None
    assert found.frames <= 4 < sighting.depth
    assert found.theirs == (found.ours[0] + 1,)  # type: ignore[operator]
    assert int(found.ours[0]) >= 50
    assert sighting.kind in found.kinds
    again = search.compared(found.commented)
    shown = [case for _, case, _ in again.differences if case.frame == found.frame]
    assert (shown[0].theirs, shown[0].ours) == (found.theirs, found.ours)
    for left in range(1, found.frames + 1):
        assert not _shows(search, found.octets, left, found.frame, found.theirs)


def _shows(search: Search, octets: bytes, without: int, frame: int, theirs: object) -> bool:
    """Whether a capture without one of its frames still shows the value."""
    from mptcp_oracle.hunt.search import cut

    with analyze(octets) as trace:
        frames = [each for each in range(1, trace.capture.frames + 1) if each != without]
    if frame not in frames:
        return False
    part = search.compared(cut(octets, frames))
    at = frames.index(frame) + 1
    return any(
        case.frame == at and case.field == "segment.data_ack" and case.theirs == theirs
        for _, case, _ in part.differences
    )


def test_shrinking_does_not_slip_to_another_mistake(tmp_path: Path) -> None:
    """Another mistake of the same field, which fewer frames show, is not taken for it."""

    def change(fact: Fact) -> Fact:
        # Wrong by one above 50; wrong by seven whenever nothing tells the IDSN.
        if fact.get("data_ack") is None:
            return fact
        if fact["data_ack_absolute"] is None:
            return {**fact, "data_ack": fact["data_ack"] + 7}
        return {**fact, "data_ack": fact["data_ack"] + (fact["data_ack"] > 50)}

    search = a_search(tmp_path, change)
    seen, _ = search.run(range(12))
    kind = best([each for each in seen if each.kind.around.startswith("v1")], "segment.data_ack")
    found = search.small(kind.kind, kind.number)
    assert found is not None
    assert found.theirs == (found.ours[0] + 1,)  # type: ignore[operator]


def test_what_is_known_is_passed_over(tmp_path: Path) -> None:
    """An entry of the catalogue that explains a kind keeps it out."""
    entry = Known(
        id="too-high",
        title="too high",
        fields=("segment.data_ack",),
        condition="other",
        holds=lambda case: case.kind == "other",
        right="facts",
        section="3.3.2",
        why="Because.",
    )
    search = a_search(tmp_path, higher(0), (entry,))
    seen, _ = search.run(range(4))
    assert not [each for each in seen if each.kind.field == "segment.data_ack"]


def test_a_crash_is_made_small_and_private(tmp_path: Path) -> None:
    """One frame with the option is left; other captures of the run are compared all the same."""
    search = a_search(tmp_path, breaking("mp_fastclose"))
    seen, broken = search.run(range(12))
    assert not seen
    assert broken
    for each in broken:
        assert each.private
        assert each.broken
        assert each.frames == 1
        with analyze(each.octets) as trace:
            view = gathered(trace)
        options = [item["option"] for one in view.segments.values() for item in one.fact["options"]]
        assert "mp_fastclose" in options
    assert "0x1" not in broken[0].outline


def test_a_run_without_end_is_private_too(tmp_path: Path) -> None:
    """What takes too long is a breakdown of its own kind."""
    _, broken = a_search(tmp_path, breaking("mp_fastclose", late=True)).run(range(12))
    assert broken
    assert {each.kind.how for each in broken} == {"hang"}
    assert all(each.private for each in broken)


def test_another_crash_does_not_count_as_the_same(tmp_path: Path) -> None:
    """While a crash is made small, another one is not taken for it."""

    def change(fact: Fact) -> Fact:
        options = [each["option"] for each in fact.get("options", ())]
        if "add_addr" in options:
            raise CrashError("fake crashed", cause="SIGABRT", status=-6, said="")
        if "mp_prio" in options or "remove_addr" in options:
            raise CrashError("fake crashed", cause="SIGSEGV", status=-11, said="")
        return fact

    _, broken = a_search(tmp_path, change).run(range(12))
    assert {each.kind.around for each in broken} == {"SIGABRT", "SIGSEGV"}
    assert all(each.frames == 1 for each in broken)


def test_a_dissector_that_always_fails_ends_the_search(tmp_path: Path) -> None:
    """An adapter that does not work at all is no finding."""

    def change(fact: Fact) -> Fact:
        raise AdapterError("fake failed", cause="exit status 1")

    with pytest.raises(AdapterError, match="fake failed"):
        a_search(tmp_path, change).run(range(3))


def test_one_that_fails_on_some_captures_is_a_finding(tmp_path: Path) -> None:
    """That it refuses some captures is one, and nothing to hide."""

    def change(fact: Fact) -> Fact:
        if any(each["option"] == "mp_fastclose" for each in fact.get("options", ())):
            raise AdapterError("fake failed", cause="exit status 1; what is this?")
        return fact

    _, broken = a_search(tmp_path, change).run(range(12))
    assert broken
    assert broken[0].kind == Kind("", "fails", "exit status 1; what is this?")
    assert not broken[0].private
