"""Files of ``mptcp-oracle generate``: captures, truths and the index fit each other."""

from __future__ import annotations

import gc
import json
from collections.abc import Mapping
from hashlib import sha256
from pathlib import Path
from typing import Any

import pytest
from mptcp_oracle.generators import eras
from mptcp_oracle.generators.batch import INDEX, generate, prepare
from mptcp_oracle.generators.generating import capture_case
from mptcp_oracle.generators.moving import Shift, moved
from mptcp_oracle.generators.ordering import order
from mptcp_oracle.generators.summary import Tally, show, to_json

import mptcp_oracle
from mptcp_oracle.errors import UsageError
from mptcp_oracle.facts import KEYS, read
from mptcp_oracle.model.capture import Capture, Layout
from mptcp_oracle.model.trace import Trace
from tests.common.agreement import differences

SETTLED = ["join", "join-refused", "copies", "fast-close", "late-start", "bulk"]
"""Scenarios that reach most kinds of facts."""


def index(folder: Path) -> list[dict[str, Any]]:
    """The lines of the index."""
    return [json.loads(line) for line in (folder / INDEX).read_text().splitlines()]


def made(folder: Path, count: int, wish: Mapping[str, Any], **how: Any) -> Tally:
    """Generate into a folder that is made."""
    prepare(folder, force=False)
    return generate(wish, count, folder, **how)


def octets(folder: Path) -> dict[str, bytes]:
    """All files by name."""
    return {path.name: path.read_bytes() for path in folder.iterdir()}


def test_each_case_has_a_capture_and_its_truth(tmp_path: Path) -> None:
    """The index names a capture and a truth for each case, whose header and digest fit."""
    made(tmp_path / "a", 7, {"seed": 3, "scenarios": ["join", "anything"]})
    lines = index(tmp_path / "a")
    assert [line["case"] for line in lines] == list(range(7))
    assert [line["scenario"] for line in lines] == ["join", "anything"] * 3 + ["join"]
    names = {INDEX}
    for line in lines:
        capture, truth = tmp_path / "a" / line["capture"], tmp_path / "a" / line["truth"]
        names |= {capture.name, truth.name}
        assert capture.stem == truth.name.removesuffix(".truth.jsonl")
        digest = sha256(capture.read_bytes()).hexdigest()
        document = read(truth)
        assert document.footer["sha256"] == line["sha256"] == digest
        assert document.header["capture"] == capture.name
        origin = document.header["generated"]
        assert origin["seed"] == 3
        assert origin["license"] == "CC0-1.0"
        assert origin == {key: line[key] for key in origin}
    assert {path.name for path in (tmp_path / "a").iterdir()} == names


def test_truth_is_what_the_analyzer_finds(tmp_path: Path) -> None:
    """Of captures without surprises, the facts of the analyzer are those of the truth file."""
    made(tmp_path / "a", len(SETTLED), {"scenarios": SETTLED, "seed": 1})
    for line in index(tmp_path / "a"):
        document = read(tmp_path / "a" / line["truth"])
        with mptcp_oracle.analyze(tmp_path / "a" / line["capture"]) as trace:
            assert not list(differences(list(trace.facts()), document.facts))


def test_planted_faults_are_told_with_their_frames(tmp_path: Path) -> None:
    """The truth's header names a fault, the requirements, the host to blame and the frames."""
    made(tmp_path / "a", 1, {"faults": ["dss-reserved-bits"], "versions": [1]})
    (line,) = index(tmp_path / "a")
    (told,) = line["planted"]
    assert line["fault"] == told["fault"] == "dss-reserved-bits"
    assert line["capture"].startswith("dss-reserved-bits-0.")
    assert told["requirements"]
    assert told["host"] in ("initiator", "listener")
    with mptcp_oracle.analyze(tmp_path / "a" / line["capture"]) as trace:
        guilty = [fact for fact in trace.facts() if fact.get("frame") in told["frames"]]
    assert any(
        option.get("reserved")
        for fact in guilty
        if fact["fact"] == "segment"
        for option in fact["options"]
    )


def test_malformed_captures_have_no_truth(tmp_path: Path) -> None:
    """With malformed options no truth is written, and the index says so."""
    made(tmp_path / "a", 2, {"malformed": True})
    made(tmp_path / "b", 2, {"malformed": True}, one_file=True)
    for folder in (tmp_path / "a", tmp_path / "b"):
        assert not list(folder.glob("*.truth.jsonl"))
        assert all(line["truth"] is None and line["malformed"] for line in index(folder))


@pytest.mark.slow
@pytest.mark.parametrize("one_file", [False, True])
def test_processes_change_nothing(tmp_path: Path, one_file: bool) -> None:
    """Two processes write the same octets as one."""
    wish = {"seed": 9, "scenarios": ["anything", "endings"]}
    count = 70 if one_file else 20
    alone = made(tmp_path / "a", count, wish, one_file=one_file)
    spread = made(tmp_path / "b", count, wish, one_file=one_file, jobs=2)
    assert octets(tmp_path / "a") == octets(tmp_path / "b")
    assert show(alone) == show(spread)


def test_more_cases_begin_with_the_fewer(tmp_path: Path) -> None:
    """The files of ten cases begin with those of five."""
    made(tmp_path / "a", 5, {"seed": 2})
    made(tmp_path / "b", 10, {"seed": 2})
    fewer, more = octets(tmp_path / "a"), octets(tmp_path / "b")
    assert more.pop(INDEX).startswith(fewer.pop(INDEX))
    assert all(more[name] == fewer[name] for name in fewer)


def test_one_file_is_true_across_eras(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Eras that were moved to their places are what the analyzer finds in the whole file."""
    monkeypatch.setattr(eras, "ERA", 4)
    tally = made(tmp_path / "a", 18, {"scenarios": SETTLED, "seed": 4}, one_file=True)
    made(tmp_path / "b", 9, {"scenarios": ["late-start"], "seed": 4}, one_file=True)
    for folder, cases in ((tmp_path / "a", 18), (tmp_path / "b", 9)):
        (line,) = index(folder)
        document = read(folder / line["truth"])
        assert line["cases"] == document.header["generated"]["cases"] == cases
        with mptcp_oracle.analyze(folder / line["capture"]) as trace:
            found = list(trace.facts())
        assert not list(differences(found, document.facts))
        order_of = [
            (fact["fact"], fact["connection"]) for fact in found if fact["fact"] == "connection"
        ]
        assert order_of == [
            (fact["fact"], fact["connection"]) for fact in document.of("connection")
        ]
        assert sha256((folder / line["capture"]).read_bytes()).hexdigest() == line["sha256"]
    assert tally.cases == tally.connections == 18
    assert tally.octets == (tmp_path / "a" / index(tmp_path / "a")[0]["capture"]).stat().st_size


def test_evidence_moves_with_its_era(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """In one file the guilty frames are counted from the beginning of the file."""
    monkeypatch.setattr(eras, "ERA", 3)
    wish = {"faults": ["dss-reserved-bits"], "versions": [1]}
    made(tmp_path / "a", 7, wish, one_file=True)
    (line,) = index(tmp_path / "a")
    assert len(line["planted"]) == 7
    with mptcp_oracle.analyze(tmp_path / "a" / line["capture"]) as trace:
        flawed = {
            fact["frame"]
            for fact in trace.facts()
            if fact["fact"] == "segment"
            for option in fact["options"]
            if option["option"] == "dss" and option["reserved"]
        }
    told = {frame for each in line["planted"] for frame in each["frames"]}
    assert flawed
    assert flawed <= told


def test_one_file_has_one_vantage(tmp_path: Path) -> None:
    """Several vantage points in one file are refused, and nothing is left behind."""
    with pytest.raises(UsageError, match="one vantage"):
        made(tmp_path / "a", 4, {"vantages": ["initiator", "listener"]}, one_file=True)
    assert [path.name for path in (tmp_path / "a").iterdir()] == [INDEX]


def test_nothing_hidden_is_left_after_an_error(tmp_path: Path) -> None:
    """If a case cannot be made, the parts of the file that were written go away."""
    wish = {"faults": ["join-syn-reserved-bits"], "scenarios": ["request"]}
    with pytest.raises(UsageError, match="has a place for"):
        made(tmp_path / "a", 4, wish, one_file=True)
    assert [path.name for path in (tmp_path / "a").iterdir()] == [INDEX]


def test_every_frame_and_ordinal_is_moved() -> None:
    """Moving changes all keys of the forms ``frame`` and ``id``, in every object, and no other."""

    def filled(name: str) -> dict[str, Any]:
        return {key: value(form.rstrip("?*")) for key, form in KEYS[name].items()}

    def value(form: str) -> Any:
        if form.startswith("["):
            return [value(form[1:-1]), value(form[1:-1])]
        if form in KEYS:
            return filled(form)
        return 0 if form in ("frame", "id") else None

    def leaves(value: Any) -> list[Any]:
        if isinstance(value, dict):
            return [leaf for each in value.values() for leaf in leaves(each)]
        if isinstance(value, list):
            return [leaf for each in value for leaf in leaves(each)]
        return [value]

    shift = Shift(frames=100, streams=200, subflows=300, connections=400, unattached=500)
    for kind in ("connection", "subflow", "segment", "transmission"):
        before = filled(kind) | {"fact": kind}
        zeros = leaves(before).count(0)
        after = leaves(moved(before, shift))
        assert zeros
        assert 0 not in after
        assert sum(leaf in (100, 200, 300, 400) for leaf in after) == zeros
    lone = {**filled("transmission"), "fact": "transmission", "connection": -2}
    assert moved(lone, shift)["connection"] == -502


@pytest.mark.parametrize("one_file", [False, True])
def test_memory_does_not_grow_with_the_cases(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, one_file: bool
) -> None:
    """After three hundred cases no more objects are alive than after seventy-five."""
    monkeypatch.setattr(eras, "ERA", 25)
    alive: dict[int, int] = {}

    def watch(done: int, _total: int) -> None:
        if done % 75 == 0:
            gc.collect()
            alive[done] = len(gc.get_objects())

    made(tmp_path / "a", 300, {"scenarios": ["request"]}, one_file=one_file, watch=watch)
    assert list(alive) == [75, 150, 225, 300]
    # One connection that stayed would leave some hundred objects.
    assert alive[300] < alive[75] + 2_000


def test_growth_is_seen() -> None:
    """The check can fail: connections that are kept are more objects than it allows for."""
    wanted = order(scenarios=["request"])
    gc.collect()
    before = len(gc.get_objects())
    kept = [capture_case(wanted, number) for number in range(30)]
    assert len(gc.get_objects()) > before + 2_000
    assert kept


def test_a_used_folder_is_refused(tmp_path: Path) -> None:
    """A folder with files is not written into unless forced, and a file is no folder."""
    (tmp_path / "notes").write_text("mine")
    with pytest.raises(UsageError, match="not empty"):
        prepare(tmp_path, force=False)
    prepare(tmp_path, force=True)
    with pytest.raises(UsageError, match="cannot be used"):
        prepare(tmp_path / "notes", force=False)


def test_the_summary_names_what_was_not_met(tmp_path: Path) -> None:
    """The table counts what was made and lists transitions, options and states that are missing."""
    tally = made(tmp_path / "a", 2, {"scenarios": ["request"]})
    text = show(tally, 100)
    assert text.startswith("2 cases: 2 connections, 2 subflows, 30 frames")
    assert "request 2" in text
    assert all(len(line) <= 100 for line in text.splitlines())
    values = to_json(tally)
    missing = values["missing"]
    assert isinstance(missing, dict)
    assert "mp_join_syn" in missing["options"]
    assert "C01" not in missing["transitions"]
    assert "C25" in missing["transitions"]
    assert json.loads(json.dumps(values)) == values


def test_an_empty_summary_is_short() -> None:
    """Nothing made is one line, and all is missing."""
    assert show(Tally()) == "0 cases: 0 connections, 0 subflows, 0 frames, 0 octets"
    empty = Capture(
        trace=Trace(connections=(), subflows=(), segments=(), deliveries=()),
        frames=(),
        layout=Layout(),
    )
    from mptcp_oracle.generators.summary import of_capture

    assert not of_capture(empty, 24).counts["options"]


def test_orders_can_be_told_to_processes() -> None:
    """An order follows from plain values alone."""
    wish = {"seed": 1, "scenarios": ["all"], "file": "pcap"}
    assert order(**json.loads(json.dumps(wish))) == order(**wish)  # type: ignore[arg-type]
