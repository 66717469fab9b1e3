"""Facts that are made when asked for are those of a document; expected texts say nothing else."""

from __future__ import annotations

import io
from collections.abc import Iterator
from pathlib import Path

import pytest

from mptcp_oracle.analysis.trace import Trace, analyze
from mptcp_oracle.diff import compare
from mptcp_oracle.dissectors import rows as rows_module
from mptcp_oracle.dissectors.columns import UNSURE
from mptcp_oracle.dissectors.dissector import OfOptions, Words
from mptcp_oracle.dissectors.known import catalogue
from mptcp_oracle.dissectors.lines import Line
from mptcp_oracle.dissectors.rows import TraceView, gathered
from mptcp_oracle.dissectors.sides import Stretch, beginnings
from mptcp_oracle.dissectors.tshark_fields import FIELDS
from mptcp_oracle.hunt.quarry import Quarry
from tests.adapters.test_sides import results
from tests.common.checkout import ROOT

RECORDED = sorted((ROOT / "corpus").glob("*/*.pcap*"))
#: Seeds and numbers; those of the second have mappings declared in several ways, and cut options.
GENERATED = [(20, number) for number in range(30)]
GENERATED += [(501, number) for number in (56, 70, 91, 93, 101, 109, 129)]
LIGHT = (
    "frame", "time", "flags", "number", "ack", "window", "payload", "sender", "origin", "subflow",
    "options_cut",
)  # fmt: skip


def traces() -> Iterator[tuple[str, Trace]]:
    """The recordings, and generated captures, some with malformed options and defects."""
    for path in RECORDED:
        with analyze(path) as trace:
            yield path.name, trace
    for seed, number in GENERATED:
        with analyze(io.BytesIO(Quarry(seed).octets(number))) as trace:
            yield f"generated {seed} {number}", trace


def test_rows_are_the_facts() -> None:
    """Segments, what they carried before, signals and declared mappings are the same."""
    for name, trace in traces():
        told, made = gathered(trace), TraceView(trace)
        eventless = {key: each | {"events": []} for key, each in told.connections.items()}
        assert (made.connections, made.subflows) == (eventless, told.subflows), name
        assert made.again == told.again, name
        assert {key: set(each) for key, each in made.signals.items()} == {
            key: set(each) for key, each in told.signals.items()
        }, name
        assert made.first_declaring() == told.first_declaring(), name
        assert list(made.facts()) == list(told.facts()), name
        assert len(made.segments) == len(told.segments)
        for (frame, mine), (other, theirs) in zip(
            made.segments.items(), told.segments.items(), strict=True
        ):
            where = (name, frame)
            assert frame == other, where
            for key in LIGHT:
                assert getattr(mine, key) == getattr(theirs, key), (*where, key)
            assert mine.raws() == theirs.raws(), where
            assert list(mine.options()) == list(theirs.options()), where
            assert mine.ranges == (theirs.fact["ranges"] or ()), where
            assert mine.fact == theirs.fact, where
            assert made.copies_elsewhere(mine) == told.copies_elsewhere(theirs), where


def test_expected_texts_are_the_facts() -> None:
    """Where a column says something, it is the value of the facts, and no more; so are keys."""
    said = set()
    for name, trace in traces():
        view = TraceView(trace)
        for number in sorted(view.segments.numbers):
            chunk, part = view.chunk(number)
            stretch = Stretch({}, view.segments.block(number), view, (chunk, part))
            for row in FIELDS:
                ours = stretch.ours(row)
                frames = chunk.frames[part]
                if row.key is not None:
                    found: dict[object, object] = {}
                    for frame, key in zip(frames, chunk.keys(row.key)[part], strict=True):
                        assert found.setdefault(key, ours.get(frame)) == ours.get(frame)
                    continue
                if row.column is None:
                    assert isinstance(row.ours, OfOptions), row.name
                    assert "dss" not in row.ours.options, row.name
                    assert ours.keys() <= set(stretch._holders(row)), (name, row.name)
                    continue
                held = set(stretch._holders(row))
                for frame, text in zip(frames, chunk.texts(row.column)[part], strict=True):
                    if text == UNSURE or frame in held:
                        continue
                    values = (row.read(text),) if text else ()
                    if row.same is not None:
                        same = row.same(view)
                        values = tuple(same.get(each, each) for each in values)
                    assert values == ours.get(frame, ()), (name, frame, row.name)
                    said |= {row.name} if text else set()
    named = {row.name for row in FIELDS if row.column is not None}
    # These have a column that only ever says that there is nothing.
    silent = {"tcp.options.mptcp.addrid", "mptcp.reinjection_of", "_ws.malformed.dissector_bug"}
    silent |= {"mptcp.connection.echoed_key_mismatch"}
    assert said == named - silent


@pytest.mark.parametrize("path", RECORDED[::9], ids=lambda path: path.stem)
def test_quick_comparisons_find_the_same(path: Path) -> None:
    """A table that is right but for some cells is compared alike, with columns and without."""
    names = tuple(row.name for row in FIELDS)
    with analyze(path) as trace:
        told, made = gathered(trace, path), TraceView(trace, path)
        said: dict[int, Words] = {}
        for number in sorted(made.segments.numbers):
            chunk, part = made.chunk(number)
            table = [
                ["?"] * len(chunk.frames[part]) if row.column is None
                else chunk.texts(row.column)[part] for row in FIELDS
            ]  # fmt: skip
            for frame, cells in zip(chunk.frames[part], zip(*table, strict=True), strict=True):
                texts = ["" if cell in ("?", UNSURE) else cell for cell in cells]
                texts[names.index("tcp.stream")] = str(frame % 2)
                texts[frame % len(texts)] = "7" if frame % 3 else ""
                said[frame + frame % 5 // 4] = Line(names, "\t".join(texts))
        known = catalogue("tshark")
        found = [results(compare(FIELDS, said, each, known)) for each in (told, made)]
    assert found[0] == found[1]
    assert found[0][2]
    assert beginnings(said)


def test_blocks_that_are_long_ago_are_made_again(monkeypatch: pytest.MonkeyPatch) -> None:
    """Few blocks are kept; all segments can be had in any order."""
    monkeypatch.setattr(rows_module, "LIVE", 1)
    path = ROOT / "corpus" / "kernel" / "bulk-two-paths.pcapng"
    with analyze(path) as trace:
        view = TraceView(trace)
        frames = list(view.segments)
        assert [view.segments[frame].frame for frame in reversed(frames)] == frames[::-1]
        assert view.segments.get(frames[-1] + 1) is None
        assert frames[-1] + 1 not in view.segments
        for beyond in (-1, (1 << 32) - 1, 1 << 32, 1 << 40):
            assert view.segments.get(beyond) is None
            assert not view.segments.block(beyond >> 8)
        assert "frame" not in view.segments


def test_what_stands_for_no_text_is_none() -> None:
    """No cell of a line can be what a column has where it expects nothing in particular."""
    line = Line(("one", "two"), f"{UNSURE}7")
    assert UNSURE not in line.words.get("one", ())
    with pytest.raises(ValueError, match="zip"):
        _ = Line(("one",), f"{UNSURE}7").words


def test_a_mapping_is_the_same_however_it_is_declared() -> None:
    """With DSNs of 4 and of 8 octets, and where the header was cut behind it."""
    with analyze(io.BytesIO(Quarry(501).octets(93))) as trace:
        assert gathered(trace).first_declaring()[39] == 8
    with analyze(io.BytesIO(Quarry(501).octets(70))) as trace:
        assert gathered(trace).first_declaring()[18] == 17
