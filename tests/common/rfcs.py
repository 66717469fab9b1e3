"""The texts of the RFCs, kept unmodified, and their sections with white space folded."""

from __future__ import annotations

import re
from functools import cache

from tests.common.checkout import ROOT

__all__ = ["folded", "sections"]

FOLDER = ROOT / "tests" / "data" / "rfc"
#: The foot of one page and the head of the next (RFC 6824; RFC 8684 has no pages).
PAGE = re.compile(r"\n*^[^\n]*\[Page \d+\]\s*\n\f?\n?^RFC \d+[^\n]*\n+", re.M)
HEADING = re.compile(r"^(?:Appendix )?((?:[A-Z]|\d+)(?:\.\d+)*)\.\s{1,3}\S", re.M)


def _fold(text: str) -> str:
    text = re.sub(r"(?<=\w)-\s*\n\s*(?=\w)", "-", text)
    return re.sub(r"\s+", " ", text)


@cache
def _text(rfc: str) -> str:
    text = (FOLDER / f"rfc{rfc}.txt").read_text(encoding="utf-8", errors="replace")
    return PAGE.sub("\n", text).replace("\f", "\n")


@cache
def folded(rfc: str) -> str:
    """The whole text of an RFC, page furniture removed, white space folded to single blanks."""
    return _fold(_text(rfc))


@cache
def sections(rfc: str) -> dict[str, str]:
    """Its sections and appendices by number, folded alike; the table of contents goes along."""
    text = _text(rfc)
    heads = list(HEADING.finditer(text))
    found: dict[str, str] = {}
    for at, head in enumerate(heads):
        end = heads[at + 1].start() if at + 1 < len(heads) else len(text)
        found[head[1]] = found.get(head[1], "") + _fold(text[head.start() : end])
    return found
