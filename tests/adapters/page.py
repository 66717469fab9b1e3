"""The page about differences for people who know Wireshark, made from the tables.

``python -m tests.adapters.page`` writes it.
"""

from __future__ import annotations

import textwrap
from collections.abc import Iterator

from mptcp_oracle.dissectors.known import catalogue
from mptcp_oracle.dissectors.tshark_fields import FIELDS, NEVER, NO_COUNTERPART
from tests.common.checkout import ROOT

__all__ = ["PAGE", "render"]

PAGE = ROOT / "docs" / "tshark-differences.md"

_TOP = """\
# Where tshark and mptcp-oracle differ

<!-- Made by `python -m tests.adapters.page` from the tables in mptcp_oracle/dissectors. -->

Every recorded capture of the corpus is read by tshark 4.0, in one pass with every MPTCP analysis
switched on, and by this project; each value that both state is compared, frame by frame. They
agree, but for the differences below, and so they do on generated captures, with malformed options,
defects of the capture and numbers that wrap. Each is an entry of a catalogue, with the condition
under which it may occur; most have a trigger, which says from the facts alone where it must:
tshark's state is replayed, and the entry names the first thing that goes wrong in it. A difference
that no entry explains fails the tests, and so does an entry that nothing shows.
`mptcp-oracle diff FILE --with tshark` makes the same comparison of any capture,
`python -m tests.triggers` measures the triggers on fresh ones.

Sections are those of RFC 8684 where nothing else is said. *Facts* are the output of
`mptcp-oracle facts`.

## The differences
"""
_FIELDS = """\
## What is compared

| Wireshark's field | fact | section |
| --- | --- | --- |
"""
_REST = """\
## What is not

These fields of Wireshark's have no counterpart:
"""
_NEVER = """\
These are compared, but no recorded capture has a value for them:
"""


def _wrapped(text: str) -> str:
    return textwrap.fill(text, 99, break_long_words=False, break_on_hyphens=False)


def _lines() -> Iterator[str]:
    yield _TOP
    for row in catalogue("tshark"):
        verdict = {"facts": "The facts are right.", "both": "Both are right."}[row.right]
        names = [field.name for field in FIELDS if row.about(field.name)]
        if len(names) == len(FIELDS):
            where = "every field"
        elif len(names) > 12:
            where = "the fields " + _prefixes(names)
        else:
            where = ", ".join(f"`{name}`" for name in names)
        yield f"### {row.title[0].upper()}{row.title[1:]}\n"
        yield _wrapped(row.why) + "\n"
        yield _wrapped(f"{verdict} Section: {row.section}. Seen in: {where}.") + "\n"
        cause = f", one cause with others: `{row.cause}`" if row.cause != row.id else ""
        yield f"`{row.id}`{cause}\n"
    yield _FIELDS + "\n".join(
        f"| `{field.name}` | {field.fact} | {field.section} |" for field in FIELDS
    )
    yield "\n" + _REST
    for name, why in NO_COUNTERPART.items():
        yield textwrap.indent(_wrapped(f"`{name}`: {why}."), "  ").replace("  ", "- ", 1)
    yield "\n" + _NEVER
    for name, why in NEVER.items():
        yield textwrap.indent(_wrapped(f"`{name}`: {why}."), "  ").replace("  ", "- ", 1)


def _prefixes(names: list[str]) -> str:
    """Many fields by what they have in common."""
    if all(name.startswith("tcp.options.mptcp.") for name in names):
        return "`tcp.options.mptcp.*`"
    return "of TCP and IP in the table below"


def render() -> str:
    """The page's text."""
    return "\n".join(_lines()) + "\n"


if __name__ == "__main__":
    PAGE.write_text(render())
