"""Each entry of tshark's catalogue with a trigger, shown by one small generated capture."""

from __future__ import annotations

from pathlib import Path

import pytest

from mptcp_oracle.analysis.trace import analyze
from mptcp_oracle.diff import cases
from mptcp_oracle.dissectors.known import Known, catalogue
from mptcp_oracle.dissectors.rows import gathered
from mptcp_oracle.dissectors.tshark import TShark
from tests.common.machine import tool
from tests.triggers.campaign import written

#: Captures by entry: number of the case, and whether it is of those with malformed options.
WELL, MALFORMED = False, True
EXAMPLES = {
    "no-flag-ack": (125, WELL),
    "no-syn-of-that-end": (65, MALFORMED),
    "segment-captured-twice": (156, WELL),
    "syn-or-fin-without-payload-sent-again": (5, WELL),
    "called-out-of-order": (285, WELL),
    "called-a-keep-alive": (362, WELL),
    "late-but-new": (35, MALFORMED),
    "analysis-lost-behind-a-cut-header": (125, WELL),
    "probe-at-the-data-level": (112, WELL),
    "probe-sent-again": (112, WELL),
    "mp-join-syn-is-given-a-dsn": (31, WELL),
    "no-payload-so-no-dsn": (31, WELL),
    "before-a-key-was-seen": (85, WELL),
    "no-mptcp-option-in-the-segment": (65, MALFORMED),
    "dss-checksum-not-shown": (40, MALFORMED),
    "mp-join-syn-captured-or-sent-twice": (104, MALFORMED),
    "directions-of-a-join-exchanged": (40, MALFORMED),
    "no-key-in-the-capture": (125, WELL),
    "key-passed-over": (60, MALFORMED),
    "mp-capable-with-data-on-several-segments": (156, WELL),
    "infinite-mapping": (242, WELL),
    "dsn-as-wide-as-the-data-ack": (31, WELL),
    "upper-half-never-advances": (42, WELL),
    "syn-not-seen-first": (65, MALFORMED),
    "assertion-on-two-mappings": (156, WELL),
    "data-fin-counted-as-an-octet-of-the-subflow": (55, MALFORMED),
    "data-in-the-syn": (23, WELL),
    "stream-missing-from-its-own-connection": (125, WELL),
    "called-no-master-without-knowing": (125, WELL),
    "subflow-kept-apart": (141, WELL),
    "several-subflows-of-one-token": (362, WELL),
    "carrier-of-the-same-dsn-replaced": (36, WELL),
    "one-range-for-several-mappings": (395, WELL),
    "mapping-comes-later": (119, MALFORMED),
    "next-number-zero": (98, WELL),
    "passed-over-in-the-tree": (337, WELL),
    "malformed-option-read": (65, MALFORMED),
    "layout-of-the-other-version-read": (35, MALFORMED),
    "dissection-ends-at-a-malformed-option": (9, MALFORMED),
    "assertion-on-a-second-handshake": (65, MALFORMED),
    "master-of-the-latest-mp-capable": (23, MALFORMED),
    "key-out-of-place": (42, MALFORMED),
}
SEEDS = {WELL: 77, MALFORMED: 5}
ENTRIES = [each for each in catalogue("tshark") if each.trigger]


def test_every_entry_has_an_example() -> None:
    """No entry with a trigger is without a capture that shows it."""
    assert {each.id for each in ENTRIES} == set(EXAMPLES)


@pytest.mark.parametrize("entry", ENTRIES, ids=lambda entry: entry.id)
def test_an_entry_is_shown_by_its_example(entry: Known, tmp_path: Path) -> None:
    """What the trigger foresees is there and explained by the entry, and there is nothing else."""
    tool("tshark")
    number, malformed = EXAMPLES[entry.id]
    path = written(tmp_path, SEEDS[malformed], number, malformed=malformed)
    with analyze(path) as trace:
        view = gathered(trace)
    dissector = TShark()
    said = dict(dissector.frames(path))
    claims = dissector.claims()
    different = [
        case
        for row in dissector.fields
        if row.name in claims and entry.about(row.name)
        for case in cases(row, said, view)
        if case.theirs != case.ours
    ]
    foreseen = [case for case in different if entry.foresees(case)]
    assert foreseen
    assert all(entry.explains(case) for case in foreseen)
    alike = {(case.field, case.kind) for case in foreseen}
    rest = [case for case in different if case not in foreseen and (case.field, case.kind) in alike]
    known = catalogue("tshark")
    assert all(any(each.explains(case) for each in known) for case in rest)
