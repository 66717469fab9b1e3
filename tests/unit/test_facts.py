"""Documents of facts: written, read back, and refused when they are not what they say."""

from __future__ import annotations

import io
import json
from dataclasses import fields
from pathlib import Path

import pytest

from mptcp_oracle import TruthError, analyze, facts
from mptcp_oracle.analysis import dataplane, entities
from mptcp_oracle.engine import transmissions
from mptcp_oracle.options import Dss, Flaw, Malformed, MpCapable, Option
from mptcp_oracle.wire.mptcp import decode_option
from tests.common.layouts import LAYOUTS
from tests.common.tiny import SYN_PCAP

SOME = [
    {"fact": "connection", "connection": 0, "why": "„why“"},
    {"fact": "segment", "frame": 1},
    {"fact": "segment", "frame": 2},
]


def written(some: list[dict[str, object]] = SOME) -> list[str]:
    """The lines of a small document."""
    file = io.StringIO()
    facts.write(file, some, capture="a.pcap", sha256="00ff", version="1.2")
    return file.getvalue().splitlines(keepends=True)


def test_what_is_written_can_be_read() -> None:
    """A document comes back as it was, with header and footer."""
    document = facts.read(written())
    assert document.facts == SOME
    assert document.header == {
        "fact": "header", "schema": 1, "tool": "mptcp-oracle", "version": "1.2",
        "capture": "a.pcap",
    }  # fmt: skip
    assert document.footer["sha256"] == "00ff"
    assert document.footer["counts"] == {
        "connection": 1, "subflow": 0, "segment": 2, "transmission": 0, "observation": 0,
    }  # fmt: skip
    assert [fact["frame"] for fact in document.of("segment")] == [1, 2]


def test_the_digest_is_asked_for_last() -> None:
    """The SHA-256 may be a function; it is called once, after the last fact."""
    seen: list[str] = []

    def some() -> object:
        for fact in SOME:
            seen.append("fact")
            yield fact

    def digest() -> str:
        seen.append("digest")
        return "ab"

    file = io.StringIO()
    counts = facts.write(file, some(), capture="x", sha256=digest, version="1")  # type: ignore[arg-type]
    assert seen == ["fact"] * 3 + ["digest"]
    assert counts["segment"] == 2
    assert facts.read(file.getvalue().splitlines()).footer["sha256"] == "ab"


def test_a_file_is_read_from_its_path(tmp_path: Path) -> None:
    """A path may be given, and names the file in errors."""
    path = tmp_path / "a.truth.jsonl"
    path.write_text("".join(written()), encoding="utf-8")
    assert facts.read(path).facts == SOME
    path.write_text("".join(written()[:-1]), encoding="utf-8")
    with pytest.raises(TruthError) as caught:
        facts.read(path)
    assert caught.value.data == {"file": str(path), "line": 4}
    path.write_bytes(b"\xff\xfe")
    with pytest.raises(TruthError, match="cannot be read"):
        facts.read(path)
    with pytest.raises(TruthError, match="No such file"):
        facts.read(tmp_path / "missing")


def test_an_unknown_kind_is_not_written() -> None:
    """Facts of a kind that readers would refuse are refused by the writer."""
    with pytest.raises(TruthError, match="no fact of kind 'verdict'"):
        written([{"fact": "verdict"}])


HEADER, ONE, TWO, THREE, FOOTER = written()


def changed(line: str, **values: object) -> str:
    """A line with some of its values replaced."""
    return json.dumps(json.loads(line) | values)


@pytest.mark.parametrize(
    ("lines", "line", "message"),
    [
        ([], 0, "without a footer"),
        ([HEADER], 1, "without a footer"),
        ([HEADER, ONE, TWO], 3, "without a footer"),
        ([HEADER, ONE, TWO, THREE, FOOTER[:20]], 5, "no JSON"),
        ([ONE, TWO, THREE, FOOTER], 1, "the first line, and no other"),
        ([FOOTER], 1, "the first line, and no other"),
        ([HEADER, ONE, HEADER, FOOTER], 3, "the first line, and no other"),
        ([HEADER, ONE, TWO, FOOTER], 4, "counts are wrong"),
        ([HEADER, ONE, TWO, THREE, THREE, FOOTER], 6, "counts are wrong"),
        ([HEADER, ONE, TWO, THREE, FOOTER, ONE], 6, "follows the footer"),
        ([HEADER, ONE, TWO, THREE, FOOTER, FOOTER], 6, "follows the footer"),
        ([HEADER, ONE, TWO, THREE, changed(FOOTER, counts=None)], 5, "counts are wrong"),
        ([HEADER, ONE, TWO, THREE, changed(FOOTER, sha256=None)], 5, "no SHA-256"),
        ([changed(HEADER, schema=2), FOOTER], 1, "unknown schema 2"),
        ([changed(HEADER, schema=True), FOOTER], 1, "unknown schema True"),
        ([changed(HEADER, schema=None), FOOTER], 1, "unknown schema None"),
        ([HEADER, changed(ONE, fact="verdict"), FOOTER], 2, "no fact of kind 'verdict'"),
        ([HEADER, changed(ONE, fact=None), FOOTER], 2, "no fact of kind None"),
        ([HEADER, changed(ONE, fact=["segment"]), FOOTER], 2, "no fact of kind"),
        ([HEADER, "[1]\n", FOOTER], 2, "no JSON object"),
        ([HEADER, "\n", FOOTER], 2, "no JSON"),
        ([HEADER, "[" * 100_000 + "\n", FOOTER], 2, "no JSON"),
    ],
)
def test_a_wrong_document_is_refused(lines: list[str], line: int, message: str) -> None:
    """What is cut, miscounted or of an unknown schema is a truth error that names the line."""
    with pytest.raises(TruthError, match=message) as caught:
        facts.read(lines, name="x.jsonl")
    assert caught.value.data == {"file": "x.jsonl", "line": line}
    assert str(caught.value).startswith(f"x.jsonl: line {line}: ")


def test_the_vocabulary_is_the_analyzers() -> None:
    """Roles and classes are those that analysis and engine use."""
    assert facts.ROLES == entities.ROLES
    assert facts.CLASSES == dataplane.CLASSES == transmissions.CLASSES
    assert set(facts.COPIES) < set(facts.CLASSES)


def test_facts_come_in_order() -> None:
    """The facts of a capture name every kind of thing that it shows, in order."""
    with analyze(SYN_PCAP) as trace:
        kinds = [fact["fact"] for fact in trace.facts()]
    assert kinds == ["connection", "subflow", "segment", *["observation"] * 8]


@pytest.mark.parametrize("layout", LAYOUTS, ids=lambda layout: layout.name)
def test_every_option_becomes_a_fact(layout: object) -> None:
    """An option's fact has each field of its value, as JSON, with wide numbers as text."""
    option: Option = layout.option  # type: ignore[attr-defined]
    fact = facts.of_option(option)
    assert json.loads(json.dumps(fact)) == fact
    assert {field.name for field in fields(option)} <= fact.keys()
    for name, value in fact.items():
        assert not isinstance(value, int) or value < 1 << 32, name


def test_the_option_facts_of_known_values() -> None:
    """Keys have 16 digits, data sequence numbers are decimal, and readings are facts too."""
    option = MpCapable(version=1, flags=1, sender_key=0xAB, raw=b"\x1e")
    assert facts.of_option(option) == {
        "option": "mp_capable", "version": 1, "flags": 1, "sender_key": "00000000000000ab",
        "receiver_key": None, "data_length": None, "checksum": None, "raw": "1e",
    }  # fmt: skip
    dss = facts.of_option(Dss.of(data_ack=2**64 - 1, dsn=7, dsn_size=4, ssn=1, dll=2))
    assert (dss["data_ack"], dss["dsn"]) == (str(2**64 - 1), "7")
    assert (dss["data_ack_size"], dss["dsn_size"], dss["data_fin"]) == (8, 4, False)
    broken = decode_option(bytes.fromhex("1e040181"), syn=False, ack=True, payload=0, version=1)
    assert isinstance(broken, Malformed)
    fact = facts.of_option(broken)
    assert fact["reason"] == Flaw.MISPLACED
    assert fact["reading"]["option"] == "mp_capable"
