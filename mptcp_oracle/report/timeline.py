"""A connection's events in capture order, long stretches folded."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from mptcp_oracle.analysis.entities import Connection, Event
from mptcp_oracle.report.layout import Cell, Page, Table, plural

__all__ = ["Fold", "fold", "timeline"]

#: A folded time line has at most this many lines of events: the first ones and the last ones.
HEAD, TAIL = 40, 20
#: So many events of one shape in a row are told one by one; of more, the first and the last.
ALIKE = 4
_ARROWS = {"initiator": "->", "listener": "<-", None: "--"}


@dataclass(frozen=True, slots=True)
class Fold:
    """Events that are left out.

    Attributes:
        count: How many. first, last: Frames of the first and the last of them.
    """

    count: int
    first: int
    last: int


def fold(events: Sequence[Event]) -> list[Event | Fold]:
    """The events worth showing, with folds where others were left out.

    First runs of events of one shape (same sender, subflow, flags and kinds of options) are
    folded to their ends, then the middle of what is left.
    """
    runs: list[list[Event]] = []
    for event in events:
        if runs and _shape(runs[-1][-1]) == _shape(event):
            runs[-1].append(event)
        else:
            runs.append([event])
    found: list[Event | Fold] = []
    for run in runs:
        if len(run) <= ALIKE:
            found += run
        else:
            found += [run[0], Fold(len(run) - 2, run[1].frame, run[-2].frame), run[-1]]
    if len(found) <= HEAD + TAIL:
        return found
    middle = found[HEAD:-TAIL]
    count = sum(item.count if isinstance(item, Fold) else 1 for item in middle)
    first, last = middle[0], middle[-1]
    return [
        *found[:HEAD],
        Fold(
            count,
            first.first if isinstance(first, Fold) else first.frame,
            last.last if isinstance(last, Fold) else last.frame,
        ),
        *found[-TAIL:],
    ]


def _shape(event: Event) -> tuple[object, ...]:
    """What makes events look alike."""
    flags = event.what.partition(",")[0] if event.what[:1].isupper() else ""
    return (event.subflow, event.host, flags, *(type(option) for option in event.options))


def timeline(connection: Connection, page: Page, *, whole: bool = False) -> Iterator[str]:
    """The time line as lines.

    Args:
        connection: Whose.
        page: Where it goes.
        whole: Do not fold it.
    """
    events = connection.events
    if not events:
        yield "no events in the capture"
        return
    start = events[0].time
    legend = f"time line, in seconds since frame {events[0].frame}; -> is sent by the initiator"
    yield from page.wrapped(legend)
    heads = (Cell("frame", "dim", right=True), Cell("seconds", "dim", right=True))
    table = Table([*heads, *(Cell(head, "dim") for head in ("subflow", "event"))])
    for item in events if whole else fold(events):
        if isinstance(item, Fold):
            alike = f"... {plural(item.count, 'event')} in frames {item.first} to {item.last}"
            table.rows.append(page.styled(f"  {alike}; --all-events shows them", "dim"))
            continue
        table.rows.append(
            [
                Cell(str(item.frame), right=True),
                Cell(_seconds(item.time - start), right=True),
                Cell(f"{item.subflow} {_ARROWS[item.host]}"),
                Cell(item.what, "bad" if "RST" in item.what else None),
            ]
        )
    yield from table.lines(page)


def _seconds(nanoseconds: int) -> str:
    sign, rest = ("-", -nanoseconds) if nanoseconds < 0 else ("", nanoseconds)
    return f"{sign}{rest // 1_000_000_000}.{rest % 1_000_000_000 // 1000:06d}"
