"""The ledger: how instances add up to one outcome."""

from __future__ import annotations

import numpy as np
import pytest

from mptcp_oracle.rules.ledger import MOST_KEPT, Finding, Ledger
from mptcp_oracle.verdict import COUNTS, Outcome, Verdict, counted

ONE, TWO = "8684-3.6-tcprst-flags-zero", "8684-3.6-tcprst-length"


def ledger() -> Ledger:
    """A ledger of two requirements and two connections."""
    return Ledger((ONE, TWO), 4)


def test_nothing_said_is_not_exercised() -> None:
    """Without any instance a requirement is not exercised, for no direction."""
    book = ledger()
    assert {book.outcome(each, at) for each in (ONE, TWO) for at in range(4)} == {
        Outcome.NOT_EXERCISED
    }
    assert np.flatnonzero(book.exercised(ONE)).tolist() == []
    assert list(book.requirements()) == [ONE, TWO]


def test_an_outcome_is_the_gravest_of_its_instances() -> None:
    """What is wrong outweighs a doubt, a doubt what is right, what is right what is unseen."""
    book = ledger()
    steps = [
        (lambda: book.unseen(ONE, 1, "no keys"), Outcome.INCONCLUSIVE),
        (lambda: book.right(ONE, 1), Outcome.PASS),
        (lambda: book.unseen(ONE, 1, "cut"), Outcome.PASS),
        (lambda: book.doubt(ONE, 1, Finding((3,), "odd")), Outcome.INCONCLUSIVE),
        (lambda: book.right(ONE, 1), Outcome.INCONCLUSIVE),
        (lambda: book.wrong(ONE, 1, Finding((4,), "bad")), Outcome.FAIL),
        (lambda: book.right(ONE, 1, 5), Outcome.FAIL),
    ]
    for step, outcome in steps:
        step()
        assert book.outcome(ONE, 1) is outcome
    assert book.counts(ONE, 1) == (7, 2)
    assert np.flatnonzero(book.exercised(ONE)).tolist() == [1]
    assert book.outcome(ONE, 0) is book.outcome(TWO, 1) is Outcome.NOT_EXERCISED


def test_findings_are_those_that_decide() -> None:
    """Those that are wrong, else those in doubt, else the first reason why nothing was seen."""
    book = ledger()
    book.unseen(ONE, 0, "first reason", rows=(7,))
    book.unseen(ONE, 0, "second reason")
    assert book.findings(ONE, 0) == [Finding((7,), "first reason")]
    book.right(ONE, 0)
    assert book.findings(ONE, 0) == []
    doubt, wrong = Finding((1,), "odd"), Finding((2, 3), "bad", subflow=4)
    book.doubt(ONE, 0, doubt)
    assert book.findings(ONE, 0) == [doubt]
    book.wrong(ONE, 0, wrong)
    assert book.findings(ONE, 0) == [wrong]
    assert book.findings(ONE, 1) == []


def test_only_some_findings_are_kept() -> None:
    """More findings than the limit are dropped; the outcome stays."""
    book = ledger()
    for at in range(MOST_KEPT + 3):
        book.wrong(TWO, 2, Finding((at,), "bad"))
    assert [each.rows[0] for each in book.findings(TWO, 2)] == list(range(MOST_KEPT))


def test_the_gravest_finding_gives_the_severity() -> None:
    """Findings may be less grave than the requirement; one that is as grave decides."""
    book = ledger()
    assert book.severity(ONE, 0, "violation") == "violation"
    book.wrong(ONE, 0, Finding((1,), "mild", severity="note"))
    assert book.severity(ONE, 0, "violation") == "note"
    book.wrong(ONE, 0, Finding((1,), "less mild", severity="warning"))
    assert book.severity(ONE, 0, "violation") == "warning"
    book.wrong(ONE, 0, Finding((2,), "bad"))
    assert book.severity(ONE, 0, "violation") == "violation"
    assert book.severity(ONE, 0, "warning") == "warning"


def test_an_unknown_requirement_is_refused() -> None:
    """A rule that names a requirement which it does not declare is noticed at once."""
    book = ledger()
    for enter in (
        lambda: book.right("8684-3.6-03", 0),
        lambda: book.unseen("8684-3.6-03", 0, "why"),
        lambda: book.wrong("8684-3.6-03", 0, Finding((), "why")),
        lambda: book.doubt("8684-3.6-03", 0, Finding((), "why")),
    ):
        with pytest.raises(KeyError):
            enter()


def test_directions_are_in_order() -> None:
    """The directions of a requirement come in order, whatever was said of them."""
    book = ledger()
    book.wrong(ONE, 3, Finding((1,), "bad"))
    book.right(ONE, 2)
    book.unseen(ONE, 0, "why")
    book.doubt(ONE, 1, Finding((1,), "odd"))
    assert np.flatnonzero(book.exercised(ONE)).tolist() == [0, 1, 2, 3]


def test_verdicts_are_counted_by_what_they_amount_to() -> None:
    """Failures count by their severity; those that are expected are not counted."""

    def verdict(
        outcome: Outcome, severity: str = "violation", waived: str | None = None
    ) -> Verdict:
        return Verdict(
            requirement=ONE, outcome=outcome, severity=severity, host="listener", connection=0,
            waived=waived,
        )  # fmt: skip

    found = counted(
        [
            verdict(Outcome.PASS),
            verdict(Outcome.PASS, "note"),
            verdict(Outcome.FAIL),
            verdict(Outcome.FAIL, "warning"),
            verdict(Outcome.FAIL, "note"),
            verdict(Outcome.FAIL, waived="known"),
            verdict(Outcome.INCONCLUSIVE),
            verdict(Outcome.NOT_EXERCISED),
        ]
    )
    assert tuple(found) == COUNTS
    assert found == {
        "pass": 2, "fail": 1, "warn": 1, "note": 1, "inconclusive": 1, "not_exercised": 1,
    }  # fmt: skip
