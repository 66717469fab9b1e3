"""The project speaks of itself: its subject and its users, not of where or by whom it is written.

The patterns are spelled so that they do not match themselves; this file is scanned too.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

import pytest

from tests.common.checkout import ROOT, tracked

FOREIGN = re.compile(
    r"""
      /wor[k]/ | /tmp/pla[n] | /opt/(?:whee[l]s|pyp[i]) | /root/(?:ven[v]|\.pyen[v])
    | \bfar[m]\b | \bsub-?agen[t] | \bclaud[e]\b | \banthropi[c]\b | \bLL[M]s?\b
    | \blanguage[ ]mode[l] | \bissu[e][ ]\#?\d{1,2}\b
    | \b(?:desig[n]|requirement[s]|kernel-note[s]|contrac[t])\.md\b
    | files\.pythonhoste[d]\.org | pypi\.or[g] | proxy\.golan[g]\.org | npmj[s]\.org
    """,
    re.VERBOSE | re.IGNORECASE,
)
#: What others wrote, kept as it is.
OTHERS = {"tests/data/rfc", "mptcp_oracle/pictures/plotly-gl2d.min.js"}
ADDRESS = re.compile(r"[\w.+-]+@(?!example\.)[\w-]+\.(?:com|org|net|io|dev)\b")


def foreign(text: str) -> Iterator[tuple[int, str]]:
    """Line (1-based) and words of everything that does not belong into the project."""
    for number, line in enumerate(text.splitlines(), start=1):
        for pattern in (FOREIGN, ADDRESS):
            yield from ((number, match[0]) for match in pattern.finditer(line))


def test_the_project_speaks_of_itself() -> None:
    """No tracked text names a workplace, a person, a package registry or a task list."""
    found = []
    for path in tracked():
        if any(path.is_relative_to(other) for other in OTHERS):
            continue
        try:
            text = (ROOT / path).read_text()
        except UnicodeDecodeError:
            continue  # a capture
        found += [f"{path}:{number}: {words}" for number, words in foreign(text)]
    assert not found, "\n".join(found)


@pytest.mark.parametrize(
    "words",
    ["see /wor" + "k/main", "the fa" + "rm", "issu" + "e 2 asks", "a@b" + ".org", "desi" + "gn.md"],
)
def test_foreign_words_are_found(words: str) -> None:
    """The check can fail: each of these words is reported."""
    assert list(foreign(words))
