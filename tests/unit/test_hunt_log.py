"""The log of a hunt and the exchange between hunts: what is kept, taken up and shared."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis.database import DirectoryBasedExampleDatabase, InMemoryExampleDatabase

from mptcp_oracle.errors import AdapterError, UsageError
from mptcp_oracle.hunt.exchange import Exchange, database
from mptcp_oracle.hunt.finding import Finding
from mptcp_oracle.hunt.kind import Kind
from mptcp_oracle.hunt.log import Log
from mptcp_oracle.hunt.search import Sighting
from tests.common.checkout import ROOT

SETTINGS = {"subject": "fake 1.0 passes 1", "seed": 0, "catalogue": True}
ACK = Kind("mptcp.ack", "other", "v1 dss(ack8 )")
DSN = Kind("mptcp.dsn", "missing", "v1 data")


def a_finding(kind: Kind = ACK, outline: str = "s0> v1", kinds: Sequence[Kind] = ()) -> Finding:
    """A finding."""
    return Finding(
        kind=kind,
        kinds=(kind, *kinds),
        frame=2,
        frames=3,
        theirs=(7,),
        ours=(8,),
        section="3.3.2",
        fact="segment.data_ack",
        options=("dss 1e0c2001",),
        known=None,
        why="",
        outline=outline,
        dissector="fake",
        version="1.0",
        reproduce="fake minimal.pcapng mptcp.ack",
        seed=0,
        number=4,
        octets=next(iter((ROOT / "corpus" / "kernel").glob("*.pcapng"))).read_bytes(),
    )


def a_sighting(kind: Kind, depth: int = 9, number: int = 1) -> Sighting:
    """A sighting."""
    return Sighting(kind=kind, number=number, depth=depth)


def test_a_log_goes_on_where_it_was(tmp_path: Path) -> None:
    """Captures, findings, kinds and what waits are there again."""
    log = Log.opened(tmp_path / "hunt", SETTINGS)
    log.captures = 24
    log.see(a_sighting(DSN))
    log.give_up(Kind("mptcp.dsn", "other", "v0"))
    name = log.add(a_finding())
    log.save()
    again = Log.opened(tmp_path / "hunt", SETTINGS)
    assert (again.captures, again.names, again.kinds) == (24, log.names, {ACK: name})
    assert again.waiting == {DSN: a_sighting(DSN)}
    assert again.given_up == log.given_up
    again.see(a_sighting(ACK))
    again.see(a_sighting(Kind("mptcp.dsn", "other", "v0")))
    assert list(again.waiting) == [DSN]


def test_a_folder_of_another_hunt_is_refused(tmp_path: Path) -> None:
    """Other settings, other files, and broken logs are told apart, with a hint."""
    log = Log.opened(tmp_path, SETTINGS)
    log.save()
    with pytest.raises(UsageError, match="another hunt: seed 0"):
        Log.opened(tmp_path, {**SETTINGS, "seed": 1})
    (tmp_path / "hunt.json").write_text("{")
    with pytest.raises(UsageError, match="no log of a hunt"):
        Log.opened(tmp_path, SETTINGS)
    (tmp_path / "hunt.json").write_text("[]")
    with pytest.raises(UsageError, match="no log of a hunt"):
        Log.opened(tmp_path, SETTINGS)
    other = tmp_path / "other"
    other.mkdir()
    (other / "thesis.tex").write_text("")
    with pytest.raises(UsageError, match="something else than a hunt"):
        Log.opened(other, SETTINGS)


def test_findings_of_one_outline_are_one(tmp_path: Path) -> None:
    """The second shows the same in another field: it is no new finding, but its kind is known."""
    log = Log.opened(tmp_path, SETTINGS)
    log.see(a_sighting(DSN))
    assert log.add(a_finding()) == "001-mptcp-ack-other"
    assert log.add(a_finding(DSN)) is None
    assert log.kinds[DSN] == "001-mptcp-ack-other"
    assert not log.waiting
    assert log.add(a_finding(DSN, outline="s0> v0")) == "002-mptcp-dsn-missing"


def test_what_was_seen_least_comes_first(tmp_path: Path) -> None:
    """A field that no finding has comes before one that has, then what is seen early."""
    log = Log.opened(tmp_path, SETTINGS)
    log.add(a_finding())
    known, early, late = (
        Kind("mptcp.ack", "other", "v0"),
        Kind("mptcp.dsn", "other", "v0 data"),
        Kind("mptcp.dsn", "other", "v0 SYN"),
    )
    for kind, depth in ((known, 1), (late, 9), (early, 3), (late, 12)):
        log.see(a_sighting(kind, depth))
    assert [each.kind for each in log.promising(8)] == [early, known]
    assert log.waiting[late].count == 2
    assert log.waiting[late].depth == 9


def test_a_report_has_what_its_reader_needs(tmp_path: Path) -> None:
    """Versions, command, both values, octets and a sentence of the RFC; comments in the capture."""
    log = Log.opened(tmp_path, SETTINGS)
    name = log.add(a_finding(kinds=[DSN]))
    assert name is not None
    text = (tmp_path / name / "finding.md").read_text()
    for words in (
        "fake 1.0",
        "fake minimal.pcapng mptcp.ack",
        "Of frame 2, in `mptcp.ack`: 7.",
        "8.",
        "dss 1e0c2001",
        "> The Data ACK specifies the next data sequence number it expects to receive.",
        "(RFC 8684 section 3.3.2)",
        "`mptcp.dsn`: fake says nothing",
    ):
        assert words in text
    record = json.loads((tmp_path / name / "finding.json").read_text())
    assert (record["dissector_says"], record["oracle_says"], record["frame"]) == ([7], [8], 2)
    octets = (tmp_path / name / "minimal.pcapng").read_bytes()
    assert b"mptcp.ack: fake 1.0 says 7, the oracle 8" in octets


def test_what_may_be_dangerous_is_private_until_it_was_reported(tmp_path: Path) -> None:
    """A crash lies in a folder that git ignores, and is in no list, until it is published."""
    log = Log.opened(tmp_path, SETTINGS)
    crash = replace(
        a_finding(Kind("", "crash", "SIGSEGV"), outline="crash 12ab"), frame=0, theirs=("at 0x1",)
    )
    name = log.add(crash)
    assert name == "001-crash"
    assert not (tmp_path / name).exists()
    assert (tmp_path / "private" / ".gitignore").read_text().endswith("*\n")
    assert "at 0x1" in (tmp_path / "private" / name / "finding.md").read_text()
    log.save()
    assert "0x1" not in (tmp_path / "hunt.json").read_text()
    assert log.records() == []
    assert log.publish(name) == tmp_path / name
    assert [each["kind"]["how"] for each in log.records()] == ["crash"]
    with pytest.raises(UsageError, match="no private finding"):
        log.publish(name)


def test_findings_are_shared(tmp_path: Path) -> None:
    """What one hunt shares another of the same subject fetches, whole; others do not."""
    held = InMemoryExampleDatabase()
    one, other = Exchange(held, "fake 1.0 passes 1"), Exchange(held, "fake 2.0 passes 1")
    one.share(a_finding())
    assert list(one.fetch()) == [a_finding()]
    assert list(other.fetch()) == []
    held.save(one.key, b"nonsense")
    held.save(one.key, b'{"kind": 3}\n')
    assert list(one.fetch()) == [a_finding()]


def test_a_folder_is_a_database(tmp_path: Path) -> None:
    """A path names a folder, and a server that is not there is named with its address."""
    held = database(str(tmp_path / "shared"))
    assert isinstance(held, DirectoryBasedExampleDatabase)
    Exchange(held, "x").share(a_finding())
    assert list(Exchange(database(str(tmp_path / "shared")), "x").fetch()) == [a_finding()]
    with pytest.raises((AdapterError, UsageError), match="Redis"):
        database("redis://127.0.0.1:1/0")
