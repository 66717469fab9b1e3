"""The report: captures and their connections as the body of a page."""

from __future__ import annotations

from collections import defaultdict

from mptcp_oracle.analysis.entities import Connection
from mptcp_oracle.oracle import Judgement
from mptcp_oracle.pictures.findings import appendix, findings, summary
from mptcp_oracle.pictures.markup import Markup, tag
from mptcp_oracle.pictures.overview import (
    capture_facts,
    connection_facts,
    connection_table,
    strays,
)
from mptcp_oracle.pictures.page import MOST_OCTETS, page
from mptcp_oracle.pictures.section import pictures, title
from mptcp_oracle.pictures.series import Readings
from mptcp_oracle.pictures.view import View
from mptcp_oracle.report.filters import Filters
from mptcp_oracle.report.layout import number, plural
from mptcp_oracle.verdict import Verdict

__all__ = ["Report"]

#: Connections that are open when the page opens.
OPEN = 1
#: Octets kept for what stands around connections: tables, the RFC's words, scripts.
MARGIN = 900_000


class Report:
    """A page about captures while it is made.

    Attributes:
        limit: Connections of a capture that are told of in detail; 0 tells of all.
        only: Ids of connections to tell of instead, or none.
    """

    def __init__(self, library: str, *, limit: int = 50, only: tuple[int, ...] = ()) -> None:
        self.limit = limit
        self.only = only
        self._library = library
        self._parts: list[Markup] = []
        self._used: set[str] = set()
        self._names: list[str] = []
        self._room = MOST_OCTETS - len(library) - MARGIN
        self._opened = 0

    def add(self, judgement: Judgement) -> None:
        """Tell of a capture.

        Args:
            judgement: Its judgement, still open; nothing of it is kept.
        """
        number_, trace = len(self._names), judgement.trace
        self._names.append(trace.capture.name)
        verdicts = list(judgement.verdicts(passes=False))
        counts = judgement.summary(verdicts, judgement.passed())
        waived = sum(each.waived is not None for each in verdicts)
        by_group: defaultdict[int, list[Verdict]] = defaultdict(list)
        for each in verdicts:
            by_group[each.connection].append(each)
        failed = {
            group: sum(each.count == "fail" and each.waived is None for each in mine)
            for group, mine in by_group.items()
        }
        filters, readings = Filters(trace), Readings(trace)
        body: list[Markup | None] = [tag("h2", trace.capture.name), capture_facts(trace)]
        if not trace.connections and not trace.unattached:
            body.append(tag("p", "There is no MPTCP in this capture.", class_="none"))
        else:
            body.append(summary(counts, waived))
        sections = {}
        for group in self._chosen(judgement, failed):
            anchor = f"c{number_}-{group.id}"
            part = self._section(View(readings, group, by_group[group.id]), filters, anchor)
            if part is None:
                break
            sections[group.id] = (anchor, part)
        if trace.connections:
            anchors = {key: anchor for key, (anchor, _) in sections.items()}
            body.append(connection_table(trace, failed, anchors))
        body.append(strays(trace, filters))
        groups = len(trace.connections) + len(trace.unattached)
        if len(sections) < groups:
            body.append(
                tag(
                    "p", f"{number(len(sections))} of {number(groups)} are told of below: those "
                    "with violations and those with the most octets. --limit or --connection "
                    "choose others.", class_="dim",
                )
            )  # fmt: skip
        body += [part for _, (_, part) in sorted(sections.items(), key=_place)]
        self._append(tag("section", *body, class_="capture"))

    def fail(self, name: str, why: str) -> None:
        """Tell that a capture could not be read."""
        self._names.append(name)
        text = tag("p", f"This capture cannot be read: {why}", class_="badge fail")
        self._append(tag("section", tag("h2", name), text, class_="capture"))

    def html(self) -> str:
        """The page."""
        name = "MPTCP report"
        if len(self._names) == 1:
            name += f": {self._names[0]}"
        top = tag(
            "header",
            tag("div", tag("h1", "MPTCP report"), tag("p", plural(len(self._names), "capture"))),
            tag("button", "light / dark", type="button", class_="theme"),
        )
        body = [top, tag("main", *self._parts)]
        if self._used:
            head = tag("h2", "The requirements in the RFC's words", id="words")
            body.append(tag("section", head, appendix(self._used)))
        return page(name, body, self._library)

    def _append(self, part: Markup) -> None:
        self._parts.append(part)

    def _chosen(self, judgement: Judgement, failed: dict[int, int]) -> list[Connection]:
        """The connections, and what stands for those of unattached subflows, to tell of.

        Those with the most violations come first, then those with the most octets: where there is
        not enough room, the last ones are left out.
        """
        trace = judgement.trace
        if self.only:
            return [trace.group(each) for each in dict.fromkeys(self.only)]

        def weight(group: Connection) -> tuple[int, int]:
            octets = (sum(host.transmissions.values()) for host in group.hosts)
            return failed.get(group.id, 0), sum(octets)

        ranked = sorted(trace.groups(), key=weight, reverse=True)
        return ranked[: self.limit or None]

    def _section(self, view: View, filters: Filters, anchor: str) -> Markup | None:
        """A connection: all of it, or without pictures, or nothing, as far as there is room."""
        used: set[str] = set()
        facts = [connection_facts(view, filters), tag("h4", "Verdicts"), findings(view, used)]
        none = tag("p", "No room is left for its pictures; --connection shows them.", class_="dim")
        for parts in (list(pictures(view)), [none]):
            found = tag(
                "details", tag("summary", *title(view)), *facts, *parts, class_="connection",
                id=anchor, open=self._opened < OPEN, data_connection=view.group.id,
            )  # fmt: skip
            if len(found) <= self._room:
                self._room -= len(found)
                self._opened += 1
                self._used |= used
                return found
        return None


def _place(item: tuple[int, object]) -> tuple[bool, int]:
    """Connections in order, then what stands for those of unattached subflows (-1, -2, ...)."""
    return item[0] < 0, abs(item[0])
