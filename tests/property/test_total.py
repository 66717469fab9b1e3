"""Any octets give facts or a clean error: damaged, malformed and cut captures of the model."""

from __future__ import annotations

import zlib
from collections.abc import Callable

import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis.strategies import DrawFn, composite
from mptcp_oracle.generators import Drawn, Sample
from mptcp_oracle.generators.damage import damaged
from mptcp_oracle.generators.malformed import malform

from mptcp_oracle import engine
from mptcp_oracle.errors import CaptureError
from mptcp_oracle.model.capture import Capture
from mptcp_oracle.model.choices import Choices, Counted
from mptcp_oracle.model.compose import SMALL, Plan, compose
from tests.common.hostile import compare
from tests.common.profiles import examples, shares
from tests.proof import equal

#: One file of so many is used in every way that the package offers, under both engines.
WHOLE_SHARE = 16
#: What an octet of a file is overwritten with.
VALUES = (0, 1, 2, 4, 0x7F, 0x80, 0xFF)


def cut(octets: bytes, choices: Choices) -> bytes:
    """A file that ends anywhere."""
    return octets[: choices.integer(0, len(octets))]


def overwritten(octets: bytes, choices: Choices) -> bytes:
    """A file with up to eight other octets, anywhere."""
    changed = bytearray(octets)
    for _ in range(choices.integer(1, 8)):
        changed[choices.integer(0, len(octets) - 1)] ^= choices.pick(VALUES)
    return bytes(changed)


def without(octets: bytes, choices: Choices) -> bytes:
    """A file that lacks some octets in the middle."""
    begin = choices.integer(0, len(octets))
    return octets[:begin] + octets[begin + choices.integer(1, 64) :]


def wrong_checksums(capture: Capture, choices: Choices) -> Capture:
    """Damage with checksums right or wrong."""
    way = choices.integer(0, 3)
    return damaged(capture, choices, tcp_checksums=not way & 1, dss_checksums=not way & 2, most=8)


CAPTURES: tuple[Callable[[Capture, Choices], Capture], ...] = (
    lambda capture, choices: capture,
    malform,
    wrong_checksums,
    lambda capture, choices: wrong_checksums(malform(capture, choices), choices),
)
FILES: tuple[Callable[[bytes, Choices], bytes], ...] = (
    lambda octets, choices: octets,
    cut,
    overwritten,
    without,
)


def spoilt(choices: Choices, plan: Plan) -> bytes:
    """A capture file with something wrong in its segments, in its octets, or in both."""
    how = choices.integer(1, len(CAPTURES) * len(FILES) - 1)
    in_frames, in_file = CAPTURES[how % len(CAPTURES)], FILES[how // len(CAPTURES)]
    capture = in_frames(compose(choices, plan), choices)
    return in_file(Sample(capture).octets, choices)


class File(bytes):
    """The octets of a file, shown by their number; a failing one is kept."""

    def __repr__(self) -> str:
        return f"<{len(self)} octets>"


@composite
def files(draw: DrawFn, plan: Plan) -> File:
    """Spoilt capture files."""
    return File(spoilt(Drawn(draw), plan))


def outcome(octets: bytes, kind: str) -> object:
    """Facts, or the text of a clean error; whatever else is raised is a defect."""
    try:
        return equal.facts_of(octets, kind)
    except CaptureError as error:
        return str(error)


def check_total(octets: bytes) -> object:
    """Facts or an error, the same under both engines; of some files everything is used.

    A file that fails is written beside the failures of the other properties.
    """
    try:
        found = outcome(octets, "plain")
        if engine.available():
            assert outcome(octets, "compiled") == found
            if zlib.crc32(octets) % WHOLE_SHARE == 0:
                _, different = compare(octets)
                assert not different
    except BaseException as error:
        folder = equal.failures()
        folder.mkdir(parents=True, exist_ok=True)
        (folder / "total.capture").write_bytes(octets)
        error.add_note(f"the file is {folder / 'total.capture'}")
        raise
    return found


@pytest.mark.parametrize("share", shares("total"))
@settings(max_examples=examples("total"), suppress_health_check=list(HealthCheck))
@given(octets=files(SMALL))
def test_spoilt_captures_give_facts_or_a_clean_error(share: int, octets: bytes) -> None:
    """Whatever was done to a capture, there are facts or a CaptureError, in both engines alike."""
    check_total(octets)


def test_spoilt_captures_are_mostly_read() -> None:
    """The damage is no wall: most files still have segments with MPTCP; a bare start is refused."""
    read = 0
    for number in range(100):
        found = check_total(spoilt(Counted(31, str(number)), SMALL))
        read += isinstance(found, list) and any(fact["fact"] == "segment" for fact in found)
    assert read >= 80
    assert isinstance(check_total(Sample(compose(Counted(1), SMALL)).octets[:7]), str)


def test_what_escapes_is_noticed(
    monkeypatch: pytest.MonkeyPatch, tmp_path_factory: pytest.TempPathFactory
) -> None:
    """The property can fail: an analyzer that raises on one kind of option is found out."""
    folder = tmp_path_factory.mktemp("failures")
    monkeypatch.setenv("MPTCP_ORACLE_FAILURES", str(folder))
    right = equal.facts_of

    def fragile(octets: bytes, kind: str = "") -> list[dict[str, object]]:
        found = right(octets, kind)
        for fact in found:
            for option in fact.get("options", ()):
                if option["option"] == "malformed":
                    raise IndexError("list index out of range")
        return found

    monkeypatch.setattr(equal, "facts_of", fragile)

    @settings(
        max_examples=100, database=None, derandomize=True, phases=[Phase.generate],
        suppress_health_check=list(HealthCheck),
    )  # fmt: skip
    @given(octets=files(SMALL))
    def holds(octets: bytes) -> None:
        check_total(octets)

    with pytest.raises(IndexError) as caught:
        holds()
    kept = folder / "total.capture"
    assert f"the file is {kept}" in caught.value.__notes__
    with pytest.raises(IndexError):
        check_total(kept.read_bytes())
