"""Scenarios of how subflows and connections end."""

from __future__ import annotations

from collections.abc import Sequence

from mptcp_oracle.generators.scenario import Play, Scenario
from mptcp_oracle.generators.script import QUIET, REST, Item, Script

from mptcp_oracle.model.choices import Choices
from mptcp_oracle.model.events import Close, FastClose, Finish, Reset
from mptcp_oracle.model.network import Network, Path
from mptcp_oracle.model.settings import Settings

__all__ = ["CLOSING"]

MS = 1_000_000


def _half(pick: Choices, _: Settings) -> Sequence[Item]:
    play = Play(pick).open().join().do(Finish(host=0, subflow=0), REST)
    for turn in range(6):
        play.say(1, turn & 1)
    return play.do(Finish(host=1, subflow=1), REST).leave(0, 1).lines


def _both(pick: Choices, _: Settings) -> Sequence[Item]:
    play = Play(pick).open().join().talk(4, 0, 1)
    play.do(Finish(host=0, subflow=0), Finish(host=1, subflow=1), REST)
    for number in (0, 1):
        play.do(Close(host=0, subflow=number), Close(host=1, subflow=number), REST)
    return play.lines


def _with_data(pick: Choices, _: Settings) -> Sequence[Item]:
    play = Play(pick).open().join().talk(4, 0, 1)
    play.say(0, 1, fin=True)
    play.say(1, 0, fin=True)
    return play.leave(0, 1).lines


def _repeated(pick: Choices, _: Settings) -> Sequence[Item]:
    play = Play(pick).open().join().join(2).talk(6, 0, 1, 2).until(1000)
    play.do(Finish(host=0, subflow=0), QUIET).wait(250)
    play.do(*(Finish(host=0, subflow=number) for number in (1, 2)), REST)
    play.do(Finish(host=1, subflow=1), REST)
    return play.leave(1, 2, 0).lines


def _at_once(pick: Choices, _: Settings) -> Sequence[Item]:
    play = Play(pick).open().talk(4)
    play.do(Finish(host=0, subflow=0), REST, Finish(host=1, subflow=0, fin=True), REST)
    return play.do(Close(host=0, subflow=0), REST).lines


def _fast(pick: Choices, _: Settings) -> Sequence[Item]:
    play = Play(pick).open().join().talk(6, 0, 1)
    return play.do(FastClose(host=0, subflow=0), REST).lines


def _fast_reset(pick: Choices, _: Settings) -> Sequence[Item]:
    play = Play(pick).open().join().talk(6, 0, 1)
    return play.do(FastClose(host=0, subflow=0, reset=True, reason=0), REST).lines


def _one_ends(pick: Choices, _: Settings) -> Sequence[Item]:
    play = Play(pick).open().join().talk(6, 0, 1).leave(0).talk(6, 1)
    return play.end(1).lines


def _one_reset(pick: Choices, settings: Settings) -> Sequence[Item]:
    play = Play(pick).open().join().talk(6, 0, 1)
    reason = 4 if settings.version else None
    play.do(Reset(host=1, subflow=1, reason=reason, transient=reason is not None), REST)
    return play.talk(4).end().lines


def _break_first(pick: Choices, _: Settings) -> Sequence[Item]:
    play = Play(pick).open().talk(4).leave(0).wait(2_000).join().talk(6, 1)
    return play.end(1).lines


def _abandoned(pick: Choices, _: Settings) -> Sequence[Item]:
    return Play(pick).open().join().talk(6, 0, 1).lines


def _silent(pick: Choices, _: Settings) -> Sequence[Item]:
    return Play(pick).open().join().talk(4, 0, 1).leave(1, 0).lines


CLOSING = (
    Scenario(
        name="half-closed",
        why="The initiator says DATA_FIN and the listener goes on sending on both subflows. The "
        "connection is neither open nor closed for a while, and DATA_ACKs count the DATA_FIN.",
        behaviour=Script(write=_half),
    ),
    Scenario(
        name="closed-at-once",
        why="Both hosts send DATA_FINs that cross on different subflows, then FINs that cross "
        "too: M_CLOSING, a state that hand-made captures never reach.",
        behaviour=Script(write=_both),
    ),
    Scenario(
        name="data-fin-with-data",
        why="The DATA_FIN ends the mapping of the last data: the data-level length is one more "
        "than the payload. Octet counts that forget it are off by one on each side.",
        behaviour=Script(write=_with_data),
    ),
    Scenario(
        name="data-fin-repeated",
        why="The DATA_FIN is lost and repeated on the other subflows. One DSN, three frames, no "
        "retransmission that TCP would know of.",
        behaviour=Script(write=_repeated),
        network=Network(
            paths=(Path(outages=((990 * MS, 1200 * MS),)), Path(delay=25 * MS), Path())
        ),
    ),
    Scenario(
        name="data-fin-on-fin",
        why="On the only subflow the listener's DATA_FIN and FIN go together in one segment (RFC "
        "8684 section 3.3.3). Two ends in one frame.",
        behaviour=Script(write=_at_once),
    ),
    Scenario(
        name="fast-close",
        why="The initiator aborts: MP_FASTCLOSE on an ACK with the listener's key, RSTs on the "
        "other subflow, a RST in answer (option A of RFC 8684 section 3.5).",
        behaviour=Script(write=_fast),
    ),
    Scenario(
        name="fast-close-reset",
        why="The same by RSTs that carry the MP_FASTCLOSE on all subflows (option R), as Linux "
        "does it when an application closes with unread data; MP_TCPRST beside it.",
        behaviour=Script(write=_fast_reset),
        versions=(1,),
    ),
    Scenario(
        name="first-subflow-ends",
        why="The initial subflow is closed by FINs half way and the connection lives on without "
        "it. Tools that hang connections on their first TCP stream lose it here.",
        behaviour=Script(write=_one_ends),
    ),
    Scenario(
        name="subflow-reset",
        why="The listener resets the second subflow, in version 1 with a reason and the flag that "
        "it may be tried again. The connection does not mind.",
        behaviour=Script(write=_one_reset),
    ),
    Scenario(
        name="break-before-make",
        why="The only subflow ends, two seconds nothing is there, then a join revives the "
        "connection (RFC 8684 section 3.3.3 asks hosts to wait for that). The gap is no end.",
        behaviour=Script(write=_break_first),
    ),
    Scenario(
        name="subflows-end-without-data-fin",
        why="All subflows are closed by FINs, but nobody ever said DATA_FIN: at the data level "
        "the connection is still open when the capture ends.",
        behaviour=Script(write=_silent),
    ),
    Scenario(
        name="left-open",
        why="The capture stops in the middle. An honest tool says open, not closed, and does not "
        "call the missing end an error.",
        behaviour=Script(write=_abandoned),
    ),
)  # fmt: skip
"""How it ends."""
