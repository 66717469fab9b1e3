"""The property of damaged captures can fail: an engine that lacks one bound is found out.

Each plant takes the source of one engine loop, removes one check that keeps the loop inside what
it may read, and puts the result in the place of the plain form. The compiled form stays right.
"""

from __future__ import annotations

from dataclasses import dataclass
from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path
from types import ModuleType

import pytest

from mptcp_oracle import engine
from tests.common import captures as c
from tests.common import hostile
from tests.common.machine import unavailable
from tests.fuzz.worker import try_case

SEED = 1
CASES = 400
#: Seconds for a case here, where some never end.
LIMIT = 3.0


@dataclass(frozen=True)
class Plant:
    """A bound to remove: the loop's module, its source before, its source after."""

    module: str
    before: str
    after: str


PLANTS = {
    "an option ends within the TCP header": Plant(
        "options", "if size < 2 or at + size > end:", "if size < 2:"
    ),
    "an option has at least two octets": Plant(
        "options", "if size < 2 or at + size > end:", "if at + size > end:"
    ),
    "the fixed TCP header was captured": Plant(
        "packets", "return FOUND if self.limit - at >= 20 else TCP_CUT", "return FOUND"
    ),
    "a mapping's piece belongs to the half": Plant("transmissions", "p >= last or ", ""),
}


def planted(plant: Plant, folder: Path) -> ModuleType:
    """The loop's module without its bound."""
    source = Path(engine.__file__).with_name(f"{plant.module}.py").read_text()
    assert source.count(plant.before) == 1, "the bound moved: let the plant follow it"
    path = folder / f"{plant.module}.py"
    path.write_text(source.replace(plant.before, plant.after))
    spec = spec_from_file_location(f"planted_{plant.module}", path)
    assert spec is not None
    assert spec.loader is not None
    module = module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def first_failure() -> tuple[int, str] | None:
    """The first case that fails, and how."""
    for index in range(CASES):
        result = try_case(SEED, index)
        if result.failure:
            return index, result.failure
    return None


@pytest.mark.parametrize("bound", PLANTS)
def test_a_missing_bound_is_caught(
    bound: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Within a few hundred cases an engine without this bound differs, raises or hangs."""
    if not engine.available():
        unavailable("the compiled engine is not installed")
    plant = PLANTS[bound]
    monkeypatch.setattr(engine.loops("plain"), plant.module, planted(plant, tmp_path))
    monkeypatch.setattr(hostile, "LIMIT", LIMIT)
    found = first_failure()
    assert found is not None, f"{CASES} cases do not show that nothing checks that {bound}"
    print(f"{bound}: case {found[0]}: {found[1].splitlines()[-1]}")


def test_a_loop_that_never_ends_is_caught(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """An option of no octets holds an engine without that bound for ever: it is stopped."""
    segment = c.tcp(options=b"\x08\x00\x00\x00")
    octets = c.pcap(c.records(c.ipv4(segment)), linktype=c.RAW)
    assert not hostile.examine(octets, "plain").error
    plant = PLANTS["an option has at least two octets"]
    monkeypatch.setattr(engine.loops("plain"), plant.module, planted(plant, tmp_path))
    monkeypatch.setattr(hostile, "LIMIT", 0.5)
    with pytest.raises(hostile.TooSlow):
        hostile.examine(octets, "plain")


def test_nothing_is_caught_where_no_bound_is_missing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A copy of the source that only moved gives no failure: it is the bound that is caught."""
    if not engine.available():
        unavailable("the compiled engine is not installed")
    same = Plant("options", "if size < 2 or at + size > end:", "if at + size > end or size < 2:")
    monkeypatch.setattr(engine.loops("plain"), "options", planted(same, tmp_path))
    assert all(not try_case(SEED, index).failure for index in range(60))
