"""Batches: all cases of an order, one after the other or by several processes."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ProcessPoolExecutor
from contextlib import contextmanager
from functools import partial
from multiprocessing import get_context
from pathlib import Path
from typing import Any, TypeVar

from mptcp_oracle.generators import eras
from mptcp_oracle.generators.case_files import Written, write_case
from mptcp_oracle.generators.ordering import Order, order
from mptcp_oracle.generators.summary import Tally

from mptcp_oracle.errors import UsageError

__all__ = ["INDEX", "generate", "prepare"]

T = TypeVar("T")
Watch = Callable[[int, int], None]

INDEX = "index.jsonl"
#: Cases that a process gets at a time.
SHARE = 8


def prepare(folder: Path, *, force: bool) -> None:
    """Make the folder for an order's files.

    Raises:
        UsageError: It is not empty, unless it is to be overwritten; or it cannot be made.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
        used = next(folder.iterdir(), None)
    except OSError as error:
        raise UsageError("the folder cannot be used", cause=error.strerror, file=folder) from error
    if used is not None and not force:
        raise UsageError(
            f"the folder is not empty: there is {used.name}",
            hint="choose another one with -o, or say --force to replace files of the same name",
            file=folder,
        )


def generate(
    wish: Mapping[str, Any],
    count: int,
    folder: Path,
    *,
    one_file: bool = False,
    jobs: int = 1,
    watch: Watch = lambda done, total: None,
) -> Tally:
    """Make all cases and write their files and the index.

    Args:
        wish: Arguments of :func:`~mptcp_oracle.generators.generating.order`; plain values, so
            that processes can be told.
        count: How many cases.
        folder: Where to.
        one_file: Whether all connections go into one capture.
        jobs: Processes; the files do not depend on it.
        watch: Told how many cases are done, and of how many.

    Returns:
        What was made.

    Raises:
        UsageError: The order makes no sense, or a fault finds no place.
        OSError: A file cannot be written.
    """
    wanted, tally = order(**wish), Tally()
    with (folder / INDEX).open("w", encoding="utf-8", newline="\n") as index:
        if one_file:
            eras.vantage(wanted)
            played = []
            numbers = eras.eras(count)
            try:
                with _workers(wish, jobs, len(numbers)) as spread:
                    for era in spread(_era, numbers, (count, folder)):
                        played.append(era)
                        watch(min(count, len(played) * eras.ERA), count)
                written = eras.join(wanted, played, folder)
            finally:
                eras.sweep(folder, numbers)
            index.write(_line(written))
            return written.tally
        with _workers(wish, jobs, count) as spread:
            for done, written in enumerate(spread(_case, range(count), (folder,)), 1):
                index.write(_line(written))
                tally.add(written.tally)
                watch(done, count)
    return tally


def _line(written: Written) -> str:
    return json.dumps(dict(written.line), ensure_ascii=False, separators=(",", ":")) + "\n"


def _case(wanted: Order, number: int, folder: Path) -> Written:
    return write_case(wanted, number, folder)


def _era(wanted: Order, number: int, count: int, folder: Path) -> eras.Era:
    return eras.play_era(wanted, number, count, folder)


_ORDER: list[Order] = []


def _learn(wish: Mapping[str, Any]) -> None:
    """What a process is told when it starts."""
    _ORDER[:] = [order(**wish)]


def _do(work: Callable[..., T], more: tuple[Any, ...], number: int) -> T:
    return work(_ORDER[0], number, *more)


Spread = Callable[[Callable[..., Any], range, tuple[Any, ...]], Iterator[Any]]


@contextmanager
def _workers(wish: Mapping[str, Any], jobs: int, count: int) -> Iterator[Spread]:
    """What does work for each number, in order; by several processes if that is worth it."""
    if min(jobs, count) <= 1:
        _learn(wish)
        yield lambda work, numbers, more: (_do(work, more, number) for number in numbers)
        return
    context = get_context("spawn")
    with ProcessPoolExecutor(
        min(jobs, count), mp_context=context, initializer=_learn, initargs=(dict(wish),)
    ) as pool:
        try:
            yield lambda work, numbers, more: pool.map(
                partial(_do, work, more), numbers, chunksize=SHARE if len(numbers) > 99 else 1
            )
        finally:
            pool.shutdown(cancel_futures=True)
