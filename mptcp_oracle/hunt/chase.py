"""The chase: runs of captures and differences made small, by several processes, in order."""

from __future__ import annotations

import signal
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager
from dataclasses import dataclass, field
from itertools import cycle
from multiprocessing import get_context
from pathlib import Path
from tempfile import TemporaryDirectory, mkdtemp
from typing import Any, TypeAlias

from mptcp_oracle.dissectors.choice import chosen
from mptcp_oracle.dissectors.known import catalogue, covering, read_known
from mptcp_oracle.errors import OracleError
from mptcp_oracle.hunt.exchange import Exchange
from mptcp_oracle.hunt.finding import Finding
from mptcp_oracle.hunt.log import Log
from mptcp_oracle.hunt.quarry import RUN, Quarry
from mptcp_oracle.hunt.search import Search

__all__ = ["Budget", "Chase", "Orders", "search"]

ROUND = 12
"""Runs of captures of one round."""

AT_ONCE, SHARE = 8, 96
"""Kinds that are made small before it is looked anew which are left, and in one round."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Orders:
    """What a process is told: plain values.

    Attributes:
        name: The dissector, as the command line names it. passes, patience: How it is run.
        seed: Of the captures. known: Catalogues beside ours. catalogued: Pass over what our
            catalogue has.
    """

    name: str
    seed: int
    passes: int = 1
    patience: float = 60.0
    known: tuple[str, ...] = ()
    catalogued: bool = True


@dataclass(frozen=True, slots=True, kw_only=True)
class Budget:
    """When to stop: after seconds, captures or findings, whichever comes first; ``None``: never."""

    seconds: float | None = None
    captures: int | None = None
    findings: int | None = None


def search(orders: Orders, folder: Path) -> Search:
    """The search that orders ask for.

    Raises:
        AdapterError: The dissector does not run. UsageError: There is none, or no catalogue.
    """
    dissector = chosen(orders.name, passes=orders.passes, patience=orders.patience)
    version = dissector.version()
    ours = covering(catalogue(dissector.name), version, orders.passes)
    more = covering(read_known(orders.known), version, orders.passes)
    return Search(
        quarry=Quarry(orders.seed),
        dissector=dissector,
        version=version,
        known=(*more, *(ours if orders.catalogued else ())),
        catalogue=(*more, *ours),
        folder=folder,
    )


@dataclass(kw_only=True)
class Chase:
    """A hunt.

    Attributes:
        orders: What is hunted. log: What was found. budget: When to stop. jobs: Processes.
        exchange: Where findings are shared with other hunts. watch: Told how far it is.
        clock: Seconds.
    """

    orders: Orders
    log: Log
    budget: Budget
    jobs: int = 1
    exchange: Exchange | None = None
    watch: Callable[[Chase], None] = lambda chase: None
    clock: Callable[[], float] = time.monotonic
    _began: float = field(default=0.0, init=False)
    _heard: set[str] = field(default_factory=set, init=False)

    @property
    def seconds(self) -> float:
        """Since the hunt began."""
        return self.clock() - self._began

    def go(self) -> Iterator[tuple[str, Finding]]:
        """Hunt until the budget is spent; name and finding of all that no earlier one shows.

        Once enough captures were looked at, what waits is made small all the same. Results are
        taken in the order of their tasks, so that the findings of a seed do not depend
        on the number of processes, as long as captures, and not seconds, are the budget and nothing
        is shared with others.
        """
        self._began = self.clock()
        with _workers(self.orders, self.jobs) as spread:
            try:
                for step in cycle((self._learn, self._look, self._shrink)):
                    if self._spent():
                        break
                    yield from step(spread)
            finally:
                self.log.save()

    def _spent(self) -> bool:
        """Whether the budget is: of time or findings, or of captures, and nothing waits."""
        self.watch(self)
        limits = (
            (self.seconds, self.budget.seconds),
            (len(self.log.names), self.budget.findings),
        )
        if any(limit is not None and value >= limit for value, limit in limits):
            return True
        most = self.budget.captures
        return most is not None and self.log.captures >= most and not self.log.waiting

    def _look(self, spread: Spread) -> Iterator[tuple[str, Finding]]:
        """Compare the captures of one round."""
        first, last = self.log.captures, self.log.captures + ROUND * RUN
        if self.budget.captures is not None:
            last = max(first, min(last, self.budget.captures))
        runs = [tuple(range(at, min(at + RUN, last))) for at in range(first, last, RUN)]
        for sightings, crashes in spread("run", [(each,) for each in runs], self._spent):
            self.log.captures += len(runs.pop(0))
            for each in sightings:
                self.log.see(each)
            yield from self._kept(crashes)
            self.log.save()

    def _shrink(self, spread: Spread) -> Iterator[tuple[str, Finding]]:
        """Make some of the kinds small that were seen, the most promising first."""
        made = 0
        while made < SHARE and (next_ := self.log.promising(AT_ONCE)) and not self._spent():
            tasks = [(each.kind, each.number) for each in next_]
            for finding in spread("small", tasks, self._spent):
                kind = tasks.pop(0)[0]
                made += 1
                if finding is None:
                    self.log.give_up(kind)
                else:
                    yield from self._kept([finding])
            self.log.save()

    def _learn(self, spread: Spread) -> Iterator[tuple[str, Finding]]:
        """Take over what other hunts have found, if it shows here too."""
        if self.exchange is not None:
            known = {*self.log.names.values(), *self._heard}
            others = [each for each in self.exchange.fetch() if each.outline not in known]
            tasks = [(each,) for each in others]
            for finding, other in zip(spread("again", tasks, self._spent), others, strict=False):
                self._heard.add(other.outline)
                if finding is not None:
                    yield from self._kept([finding], share=False)

    def _kept(
        self, findings: Iterable[Finding], *, share: bool = True
    ) -> Iterator[tuple[str, Finding]]:
        for finding in findings:
            name = self.log.add(finding)
            if name is None:
                continue
            if share and self.exchange is not None and not finding.private:
                self.exchange.share(finding)
            yield name, finding


Spread: TypeAlias = Callable[[str, Sequence[tuple[Any, ...]], Callable[[], bool]], Iterator[Any]]
_SEARCH: list[Search] = []


def _begin(orders: Orders, folder: str) -> None:
    """What a process does first."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    _SEARCH[:] = [search(orders, Path(mkdtemp(dir=folder)))]


def _do(task: str, arguments: tuple[Any, ...]) -> Any:
    return getattr(_SEARCH[0], task)(*arguments)


@contextmanager
def _workers(orders: Orders, jobs: int) -> Iterator[Spread]:
    """What does tasks, in order, until it is told to stop."""
    with TemporaryDirectory(prefix="mptcp-oracle-") as folder:
        if jobs == 1:
            alone = search(orders, Path(folder))

            def one(
                task: str, every: Sequence[tuple[Any, ...]], enough: Callable[[], bool]
            ) -> Iterator[Any]:
                for arguments in tuple(every):
                    yield getattr(alone, task)(*arguments)
                    if enough():
                        return

            try:
                yield one
            finally:
                alone.close()
            return
        context = get_context("spawn")
        with ProcessPoolExecutor(
            jobs, mp_context=context, initializer=_begin, initargs=(orders, folder)
        ) as pool:

            def many(
                task: str, every: Sequence[tuple[Any, ...]], enough: Callable[[], bool]
            ) -> Iterator[Any]:
                futures = [pool.submit(_do, task, arguments) for arguments in tuple(every)]
                try:
                    for future in futures:
                        yield future.result()
                        if enough():
                            return
                finally:
                    for future in futures:
                        future.cancel()

            try:
                yield many
            except BrokenProcessPool as error:
                raise OracleError(
                    "a process of the hunt was ended from outside",
                    cause="there may be too little memory for so many",
                    hint="the same command with fewer --jobs goes on",
                ) from error
            finally:
                pool.shutdown(cancel_futures=True)
