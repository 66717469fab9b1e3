"""The table as a page: ``docs/counters.md`` is what :func:`render` says."""

from __future__ import annotations

from collections.abc import Iterator

from mptcp_oracle.counters.table import TABLE, Row, relation
from mptcp_oracle.counters.tally import meaning

__all__ = ["render"]

_TOP = """\
# What the kernel counts, and what a capture shows of it

<!-- Made by `python -m tests.corpus.counters_page` from mptcp_oracle/counters/table.py. -->

Linux counts what its MPTCP does in the group `MPTcpExt` (`nstat -asz`, `/proc/net/netstat`), for
each network namespace. For each counter, the table has what a capture made at the same host says
it must be:

- *equal*: the counter is the fact; any difference is a contradiction;
- *lower bound*: the counter is at most the fact, *upper bound*: at least the fact, *between*: both,
  with a fact for each side;
- *not comparable*: no packet tells.

```sh
nstat -asz > before; tcpdump -i any -w trace.pcap tcp    # ... stop it when all is over
nstat -asz > after
mptcp-oracle check --whole --nstat before --nstat after trace.pcap   # 1 on a contradiction
```

With one `--nstat` the file has the changes themselves: of a fresh namespace, or of plain `nstat`,
which tells what has changed since it was last asked. JSON (`nstat -aszj`) and `/proc/net/netstat`
are understood, too. With `-z` the file has all counters of its kernel, and those that the kernel
does not have are not looked at.

The host is the one at which the capture was made, as its packet types say, or `--local`. That a
counter is too small, frames prove by themselves. That it is too big, proves something only if the
capture has *all* MPTCP packets of that host between the two readings; that is taken for granted
if the capture is of all interfaces and states that nothing was dropped, or with `--whole`. What
may go wrong between MPTCP and the capture (a firewall on the host itself, no route) makes a
contradiction, too, and rightly so: the packet was counted and never sent.

Every recording with a [sidecar](recording.md) is checked so, for both of its hosts; of the host at
the other end of the path, only what holds whatever the path lost.

"""
_HEAD = """\
| counter | relation | fact | when it is counted, and why it is so |
| --- | --- | --- | --- |
"""


def render() -> str:
    """The page, in Markdown."""
    return _TOP + _HEAD + "".join(f"| {' | '.join(_cells(row))} |\n" for row in TABLE)


def _cells(row: Row) -> Iterator[str]:
    yield f"`{row.counter}`"
    yield relation(row)
    yield _facts(row)
    yield row.why


def _facts(row: Row) -> str:
    if row.least is not None and row.least == row.most:
        return meaning(row.least)
    sides = (("at least", row.least), ("at most", row.most))
    return "; ".join(f"{words}: {meaning(fact)}" for words, fact in sides if fact is not None)
