"""What a rule is: requirements that it judges, and how."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from mptcp_oracle.rules.case import Case
    from mptcp_oracle.rules.context import Context

__all__ = ["Rule"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Rule:
    """One rule.

    A rule has a *judge*, which is called for each connection, or a *sweep*, which is called once
    and goes over all segments at once, in NumPy's columns.

    Attributes:
        requirements: Ids of the requirements that it says anything of.
        judge: For one connection. sweep: For the whole capture.
        versions: MPTCP versions of the connections that it is for.
        strays: Whether it judges also handshakes that made no connection of a version that is
            judged: nobody answered, or an option was not valid.
        on: What a connection must have at least one of for the judge to be called: types of option
            values, and the words ``join`` (a joined subflow), ``fin``, ``rst``, ``data_fin``;
            empty: always.
    """

    requirements: tuple[str, ...]
    judge: Callable[[Case], None] | None = None
    sweep: Callable[[Context], None] | None = None
    versions: tuple[int, ...] = (0, 1)
    strays: bool = False
    on: tuple[type | str, ...] = ()
