"""Where the implementation is in the model's table of connection states, and how it got there."""

from __future__ import annotations

from collections import Counter

from mptcp_oracle.model.tables import CONNECTION, TRANSITIONS

__all__ = ["Tracker", "pairs"]

_ENDED = frozenset(("M_CLOSED", "TCP"))


class Tracker:
    """The state of one connection at the implementation, by the model's names.

    Attributes:
        state: Its state. taken: How often each transition was taken from each state.
    """

    def __init__(self, state: str) -> None:
        self.state = state
        self.taken: Counter[tuple[str, str]] = Counter()

    @property
    def ended(self) -> bool:
        """Whether MPTCP is over."""
        return self.state in _ENDED and bool(self.taken)

    def may(self, name: str) -> bool:
        """Whether a transition starts from the present state."""
        states = TRANSITIONS[name].states
        return not self.ended and (not states or name[0] != "C" or self.state in states)

    def take(self, name: str, state: str = "") -> None:
        """Take a transition.

        Args:
            name: Its id in the model's tables.
            state: Where it leads, if the table leaves a choice.

        Raises:
            ValueError: The table has no such step from here.
        """
        transition = TRANSITIONS[name]
        if not self.may(name):
            raise ValueError(f"{name} ({transition.event}) does not start from {self.state}")
        self.taken[name, self.state] += 1
        if name[0] == "C" and transition.state:
            self.state = state or transition.state

    def leave(self, name: str) -> None:
        """Leave MPTCP by a transition, from states that the table does not list, too."""
        self.taken[name, self.state] += 1
        self.state = "TCP"


def pairs() -> set[tuple[str, str]]:
    """Every transition of a connection with every state that the table has it start from."""
    return {(each.id, state) for each in CONNECTION for state in each.states}
