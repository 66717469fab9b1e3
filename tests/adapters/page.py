"""The pages about differences, made from the tables: one for each dissector with a catalogue.

``python -m tests.adapters.page`` writes them.
"""

from __future__ import annotations

import textwrap
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from mptcp_oracle.dissectors import tcpdump_fields, tshark_fields, with_dpkt_fields
from mptcp_oracle.dissectors.dissector import Field
from mptcp_oracle.dissectors.known import Known, catalogue
from tests.adapters.captures import captured
from tests.common.checkout import ROOT

__all__ = ["PAGES", "Page"]

_TOP = """\
# Where {name} and mptcp-oracle differ

<!-- Made by `python -m tests.adapters.page` from the tables in mptcp_oracle/dissectors. -->

{made}
{more}
Sections are those of RFC 8684 where nothing else is said. *Facts* are the output of
`mptcp-oracle facts`.

## The differences
"""
_MADE = """
Every recorded capture of the corpus is read by {read}, and by this project; each value that both
state is compared, frame by frame. They agree, but for the differences below. Each is an entry of a
catalogue, with the condition under which it may occur: a difference that no entry explains fails
the tests, and so does an entry that explains nothing. `mptcp-oracle diff FILE --with {name}` makes
the same comparison of any capture.
"""
_FIELDS = """\
## What is compared

| {field} | fact | section |
| --- | --- | --- |
"""
_REST = """\
## What is not

These fields of Wireshark's have no counterpart:
"""
_NEVER = """\
These are compared, but no recorded capture has a value for them:
"""
_TRIGGERED = """
*Foreseen* is a difference that follows from facts and octets alone:
`python -m tests.triggers --with {name}` looks for it in fresh generated captures wherever it has to
be, and nowhere else.
"""
CAPTURED = captured()
_VERDICTS = {"facts": "The facts are right.", "both": "Both are right."}


@dataclass(frozen=True, kw_only=True)
class Page:
    """The page of one dissector.

    Attributes:
        name: The dissector. read: Its version, and how it reads captures.
        fields: What is compared. field: What they are to its users.
        common: What many fields begin with, and how the page calls these.
        without: Fields of its own that are not compared, never: fields without a value, each with
            the reason.
    """

    name: str
    read: str
    fields: Sequence[Field]
    field: str
    common: Mapping[tuple[str, ...], str]
    without: Mapping[str, str] = field(default_factory=dict)
    never: Mapping[str, str] = field(default_factory=dict)

    @property
    def path(self) -> Path:
        """Where it lies."""
        return ROOT / "docs" / f"{self.name}-differences.md"

    def render(self) -> str:
        """Its text."""
        return "\n".join(self._lines()) + "\n"

    def _lines(self) -> Iterator[str]:
        rows = catalogue(self.name)
        made = _wrapped(_MADE.format(name=self.name, read=self.read))
        more = f"\n{_wrapped(_TRIGGERED.format(name=self.name))}\n"
        yield _TOP.format(
            name=self.name, made=made, more=more if any(row.trigger for row in rows) else ""
        )
        for row in rows:
            yield f"### {row.title[0].upper()}{row.title[1:]}\n"
            yield _wrapped(row.why) + "\n"
            verdict = _VERDICTS[row.right] + (" Foreseen." if row.trigger else "")
            yield _wrapped(f"{verdict} Section: {row.section}. Seen in: {self._where(row)}.") + "\n"
            cause = f", one cause with others: `{row.cause}`" if row.cause != row.id else ""
            slug = f"{self.name}-{row.id}"
            capture = f"[capture](../corpus/dissectors/{slug}.pcapng)" if slug in CAPTURED else ""
            yield f"`{row.id}`{cause}{capture and ', ' + capture}\n"
        yield _FIELDS.format(field=self.field) + "\n".join(
            f"| `{each.name}` | {each.fact} | {each.section} |" for each in self.fields
        )
        for head, reasons in ((_REST, self.without), (_NEVER, self.never)):
            if reasons:
                yield "\n" + head
            for name, why in reasons.items():
                yield textwrap.indent(_wrapped(f"`{name}`: {why}."), "  ").replace("  ", "- ", 1)

    def _where(self, row: Known) -> str:
        """The fields that an entry is about."""
        names = [each.name for each in self.fields if row.about(each.name)]
        if len(names) == len(self.fields):
            return "every field"
        if len(names) <= 12:
            return ", ".join(f"`{name}`" for name in names)
        for prefixes, called in self.common.items():
            if all(name.startswith(prefixes) for name in names):
                return f"the fields {called}"
        return f"{len(names)} fields"


def _wrapped(text: str) -> str:
    return textwrap.fill(text.strip(), 99, break_long_words=False, break_on_hyphens=False)


PAGES = (
    Page(
        name="tshark",
        read="tshark 4.0, in one pass with every MPTCP analysis switched on",
        fields=tshark_fields.FIELDS,
        field="Wireshark's field",
        common={
            ("tcp.options.mptcp.",): "`tcp.options.mptcp.*`",
            ("",): "of TCP and IP in the table below",
        },
        without=tshark_fields.NO_COUNTERPART,
        never=tshark_fields.NEVER,
    ),
    Page(
        name="tcpdump",
        read="tcpdump 4.99.3 (`-S`)",
        fields=tcpdump_fields.FIELDS,
        field="word of a line",
        common={("mptcp.",): "`mptcp.*`"},
    ),
    Page(
        name="dpkt",
        read="dpkt 1.9.8",
        fields=with_dpkt_fields.FIELDS,
        field="attribute",
        common={},
    ),
)


if __name__ == "__main__":
    for page in PAGES:
        page.path.write_text(page.render())
