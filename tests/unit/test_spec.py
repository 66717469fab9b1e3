"""The catalogue of requirements: nothing is lost, and the RFCs really say it."""

from __future__ import annotations

import hashlib
import re
from collections import Counter

import pytest

from mptcp_oracle.errors import UsageError
from mptcp_oracle.spec import (
    CHECKS,
    FATES,
    LEVELS,
    NEEDS,
    Requirement,
    by_id,
    catalogue,
    counterpart,
    matching,
)
from mptcp_oracle.verdict import SEVERITIES
from tests.common.checkout import ROOT
from tests.common.rfcs import folded, sections

HOSTS = {"initiator", "listener", "joiner", "answerer", "sender", "receiver", "both"}
ID = re.compile(r"(8684|6824)-[A-Z0-9.]+(-[a-z0-9]+){2,6}")
#: SHA-256 of the RFCs as the RFC Editor publishes them.
TEXTS = {
    "8684": "3b662f8dab803cd447f3e0a1b83967ac526852ac02447c37f2d4b4dc6beae64c",
    "6824": "6b54b4031378c330a1e7250ee8cff3ad49422c4ea814bfb88bccfcc6e7075f5f",
}
EVERY = list(catalogue().values())


def rows() -> list[list[str]]:
    """The inventory's rows: number, check, level, section."""
    lines = (ROOT / "tests" / "data" / "requirements.tsv").read_text(encoding="utf-8").splitlines()
    return [line.split("\t") for line in lines[1:]]


def test_no_row_of_the_inventory_is_lost() -> None:
    """Each of the 401 rows is there, in order, with its class, and no other."""
    assert [(each.number, each.check) for each in sorted(EVERY, key=_place)] == [
        (row[0], row[1]) for row in rows()
    ]
    assert len(EVERY) == 401


def _place(each: Requirement) -> int:
    return [row[0] for row in rows()].index(each.number)


@pytest.mark.parametrize("each", EVERY, ids=lambda each: each.number)
def test_a_row_is_complete(each: Requirement) -> None:
    """Each row speaks the catalogue's vocabulary, and says why if nothing judges it."""
    assert ID.fullmatch(each.id)
    assert each.id.startswith(each.rfc)
    assert each.number.startswith(each.rfc)
    assert each.level in LEVELS
    assert each.severity in SEVERITIES
    assert each.host in HOSTS
    assert each.check in CHECKS
    assert set(each.needs) <= set(NEEDS)
    assert each.fate in FATES
    assert bool(each.reason) == (each.fate in ("active", "not_observable", "excepted"))
    assert bool(each.alias_of) == (each.fate == "alias")
    assert each.summary.endswith(".")
    assert 20 < len(each.summary) <= 240
    assert each.quotes


@pytest.mark.parametrize("each", EVERY, ids=lambda each: each.number)
def test_the_rfc_says_so(each: Requirement) -> None:
    """Each quote is in the RFC word for word, the first of them in the section that is given."""
    for quote in each.quotes:
        assert quote in folded(each.rfc)
        assert len(quote.split()) >= 6 or each.figure
    assert each.quotes[0] in sections(each.rfc)[each.section]


def test_a_misquotation_is_noticed() -> None:
    """The comparison can fail: a quote with one word changed is in no RFC."""
    quote = by_id("8684-3.2-13").quotes[0]
    assert quote in folded("8684")
    assert quote.replace("the", "a", 1) not in folded("8684")


@pytest.mark.parametrize("rfc", TEXTS)
def test_the_texts_are_as_published(rfc: str) -> None:
    """The RFCs in the repository are unmodified."""
    octets = (ROOT / "tests" / "data" / "rfc" / f"rfc{rfc}.txt").read_bytes()
    assert hashlib.sha256(octets).hexdigest() == TEXTS[rfc]


def test_a_capture_decides_what_its_class_says() -> None:
    """What a capture can decide is judged or excepted; what it cannot decide is neither."""
    for each in EVERY:
        decidable = each.check in ("P", "P-A")
        fate = by_id(each.alias_of).fate if each.alias_of else each.fate
        assert decidable == (fate in ("judged", "excepted"))
        assert (each.check == "A") == (fate in ("probed", "active"))
        if each.check == "A":
            assert (each.version == 1) == (fate == "probed")


def test_aliases_are_of_the_other_version() -> None:
    """An alias is a row of RFC 6824 that is the same as one of RFC 8684, and no two are of one."""
    aliases = [each for each in EVERY if each.alias_of]
    assert {each.version for each in aliases} == {0}
    assert len({each.alias_of for each in aliases}) == len(aliases) == 81
    for each in aliases:
        target = by_id(each.alias_of)
        assert (target.version, target.check, target.level) == (1, each.check, each.level)
        assert counterpart(target.id, 0) == each.id
        assert counterpart(target.id, 1) == target.id


def test_a_requirement_has_two_names() -> None:
    """A requirement is found by its id and by its number; an unknown one is refused with a hint."""
    each = by_id("8684-3.2-13")
    assert by_id(each.id) is each
    assert counterpart("6824-3.1-syn-capable-length", 1) is None
    with pytest.raises(UsageError, match="no requirement") as caught:
        by_id("8684-3.2-99")
    assert "8684-3.2-" in str(caught.value.hint)
    with pytest.raises(UsageError, match="see the catalogue"):
        by_id("nothing-of-the-kind")


def test_prefixes_choose_by_both_names() -> None:
    """A prefix chooses by id or number, in the order of the RFCs."""
    found = [each.number for each in matching("8684-3.6-0")]
    assert found == [f"8684-3.6-0{at}" for at in range(1, 8)]
    assert [each.number for each in matching("8684-3.6-tcprst-f")] == ["8684-3.6-03", "8684-3.6-04"]
    assert list(matching("8685")) == []


def test_levels_have_their_severity() -> None:
    """A MUST is a violation unless capture or text leave it open, a SHOULD never is, nor a MAY."""
    for each in EVERY:
        if each.level in ("SHOULD", "SHOULD NOT", "RECOMMENDED"):
            assert each.severity in ("warning", "note"), each.id
        if each.level == "MAY":
            assert each.severity == "note", each.id
    counts = Counter(each.severity for each in EVERY if each.level in ("MUST", "MUST NOT"))
    assert counts["warning"] == 0
