"""Fresh captures, told to a dissector and to the oracle, counted as :mod:`tests.triggers.tally`."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from functools import cache
from multiprocessing import get_context
from pathlib import Path

from mptcp_oracle.generators.emit import emit
from mptcp_oracle.generators.generating import capture_case
from mptcp_oracle.generators.ordering import order

from mptcp_oracle.analysis.trace import analyze
from mptcp_oracle.dissectors.choice import chosen
from mptcp_oracle.dissectors.dissector import CrashError, Dissector, Words
from mptcp_oracle.dissectors.known import Known, catalogue, covering
from mptcp_oracle.dissectors.rows import gathered
from mptcp_oracle.errors import OracleError
from tests.triggers.tally import Tally, compare

__all__ = ["MALFORMED", "campaign", "entries", "examined", "written"]

MALFORMED = 8
"""Of so many captures one has malformed options."""
SHARE = 8


@cache
def entries(name: str, passes: int) -> tuple[Known, ...]:
    """A dissector's known differences of its version and so many passes, in order.

    Args:
        name: The dissector, as the command line calls it.
        passes: 2 for tshark's second pass.
    """
    found = _dissector(name, passes)
    return covering(catalogue(found.name), found.version(), passes)


@cache
def _dissector(name: str, passes: int) -> Dissector:
    return chosen(name, passes=passes)


def examined(name: str, passes: int, seed: int, number: int) -> Tally:
    """Make one capture, ask both sides about it, and count.

    Args:
        name: The dissector.
        passes: 1, or 2.
        seed: What the captures follow from.
        number: Which of them.
    """
    dissector = _dissector(name, passes)
    malformed = number % MALFORMED == MALFORMED - 1
    with tempfile.TemporaryDirectory() as folder:
        path = written(Path(folder), seed, number, malformed=malformed)
        called = f"seed {seed} case {number}{' malformed' if malformed else ''}"
        said: dict[int, Words] = {}
        until = None
        try:
            with analyze(path) as trace:
                view = gathered(trace, path)
            said.update(dissector.frames(path))
        except CrashError:
            until = max(said, default=0)
        except OracleError as error:
            return Tally(captures=1, failures=[f"{called}: {error}"])
        found = compare(dissector, said, view, entries(name, passes), called, until)
        found.crashes += until is not None
        return found


def written(folder: Path, seed: int, number: int, *, malformed: bool) -> Path:
    """The file of a generated capture.

    Args:
        folder: Where it goes.
        seed: What the captures follow from.
        number: Which of them.
        malformed: Whether it has malformed options.
    """
    capture = capture_case(order(seed=seed, malformed=malformed), number).capture
    path = folder / f"case.{capture.layout.file}"
    path.write_bytes(emit(capture))
    return path


def campaign(
    name: str, *, count: int, seed: int, jobs: int = 1, passes: int = 1
) -> Iterator[Tally]:
    """The tally of each capture in turn, by several processes if that is wanted."""
    work = [(name, passes, seed, number) for number in range(count)]
    if jobs == 1:
        yield from (examined(*each) for each in work)
        return
    with get_context("fork").Pool(jobs) as pool:
        yield from pool.imap_unordered(_examined, work, chunksize=SHARE)


def _examined(work: tuple[str, int, int, int]) -> Tally:
    return examined(*work)
