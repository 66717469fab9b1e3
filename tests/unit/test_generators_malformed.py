"""Malformed options are what they say, to a decoder that shares nothing with their makers."""

from __future__ import annotations

import pytest
from mptcp_oracle.generators.emit import emit
from mptcp_oracle.generators.malformed import FLAWS, PLACES, malform, malformed_option

from mptcp_oracle.analysis.trace import analyze
from mptcp_oracle.encode import encode
from mptcp_oracle.model.capture import Capture, Frame, Layout
from mptcp_oracle.model.choices import Choices, Counted
from mptcp_oracle.options import Flaw, Malformed
from mptcp_oracle.wire.mptcp import decode_option
from tests.common.plain_captures import capture_of
from tests.common.script import story


class Simplest(Choices):
    """The first of everything."""

    def integer(self, low: int, high: int) -> int:
        return low


def decoded(option: Malformed, version: int, place: str) -> object:
    """What the decoder says of an option's octets."""
    return decode_option(
        option.raw,
        syn=place.startswith("syn"),
        ack=place != "syn",
        payload=10 if place == "data" else 0,
        version=version,
    )


@pytest.mark.parametrize("flaw", FLAWS)
@pytest.mark.parametrize("place", PLACES)
@pytest.mark.parametrize("version", [0, 1])
def test_an_option_has_the_flaw_that_it_names(flaw: Flaw, place: str, version: int) -> None:
    """The decoder finds this flaw, and no other, in two hundred options of each kind."""
    for number in range(200):
        choices = Counted(7, f"{flaw} {place} {version} {number}")
        room = choices.integer(16, 40)
        option = malformed_option(choices, flaws=[flaw], version=version, place=place, room=room)
        found = decoded(option, version, place)
        assert isinstance(found, Malformed)
        assert (found.reason, found.subtype) == (option.reason, option.subtype)
        assert encode(option) == option.raw
        assert 0 < len(option.raw) <= room


def test_little_room_is_enough_for_a_malformed_option() -> None:
    """Four octets hold one, whatever the version and the place."""
    for number in range(300):
        choices = Counted(8, str(number))
        version, place = choices.integer(0, 1), choices.pick(PLACES)
        option = malformed_option(choices, version=version, place=place, room=4)
        assert isinstance(decoded(option, version, place), Malformed)
        assert len(option.raw) <= 4


def test_the_simplest_malformed_option_is_short() -> None:
    """Choices that shrink end at a few octets."""
    assert len(malformed_option(Simplest()).raw) <= 4


def capture(version: int = 1) -> Capture:
    """A small capture with DSS checksums."""
    return capture_of(story(version, checksum=True), Layout(timestamps=True))


@pytest.mark.parametrize("version", [0, 1])
def test_a_malformed_capture_is_read_and_its_options_are_noted(version: int) -> None:
    """Some segments carry a malformed option; the analysis goes on and says so of most."""
    whole = capture(version)
    noted = 0
    for number in range(100):
        changed = malform(whole, Counted(9, str(number)))
        assert len(changed.frames) == len(whole.frames)
        carried = sum(
            isinstance(option, Malformed)
            for frame in changed.frames
            if isinstance(frame, Frame)
            for option in frame.segment.options
        )
        assert 1 <= carried <= 3
        with analyze(emit(changed)) as trace:
            facts = list(trace.facts())
        noted += any(
            option["option"] == "malformed"
            for fact in facts
            if fact["fact"] == "segment"
            for option in fact["options"]
        )
    assert noted > 90


def test_an_empty_capture_stays_empty() -> None:
    """Without frames there is nothing to change."""
    whole = capture()
    empty = Capture(trace=whole.trace, frames=(), layout=whole.layout)
    assert malform(empty, Counted(1)) == empty
