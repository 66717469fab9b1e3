"""Scenes with a backup subflow beside one that is none, before the rules of backups."""

from __future__ import annotations

from dataclasses import dataclass

from mptcp_oracle.rules import backups
from tests.common.conversation import Conversation, Flow
from tests.common.joinery import Said, said

__all__ = ["BY_JOIN", "BY_PRIO", "UNUSED", "Scene", "by_join", "by_prio"]

UNUSED = {1: "8684-3.3.8-01", 0: "6824-3.3.8-10"}
BY_JOIN = {1: "8684-3.2-08", 0: "6824-3.2-17"}
BY_PRIO = {1: "8684-3.3.8-05", 0: "6824-3.3.8-11"}


@dataclass
class Scene:
    """A host with data, a regular subflow that works, and a backup.

    Attributes:
        talk: The conversation. role: The host. regular, backup: Its subflows.
        asked: The frame in which its peer said that one of them is a backup.
    """

    talk: Conversation
    role: int
    regular: Flow
    backup: Flow
    asked: int

    @property
    def peer(self) -> int:
        """The other host."""
        return 1 - self.role

    def say(self, **claims) -> Said:
        """What the rules say, of a whole capture made at the host."""
        return said(self.talk, backups.RULES, **({"at": self.role} | claims))

    def outcome(self, **claims) -> str:
        """The outcome of the first requirement."""
        return self.say(**claims).outcome(UNUSED[self.talk.version], self.role)

    def wait(self, seconds: float) -> None:
        """Let so much time pass between the newest frame and the next one."""
        self.talk.tape.now -= self.talk.tape.step
        self.talk.tape.wait(seconds)


def by_join(role: int = 0, version: int = 1, *, opener: int = 0, own: bool = False) -> Scene:
    """The joined subflow is a backup from its MP_JOIN on."""
    talk = Conversation(version=version)
    first = talk.opened()
    for host in (0, 1):
        first.data(host, b"x" * 10)
        first.ack(1 - host)
    flags = (own or role == 1, own or role == 0)
    asked = talk.tape.last + (1 if opener != role else 2)
    second = talk.joined(backup=flags, opener=opener)
    scene = Scene(talk, role, first, second, asked)
    talk.tape.wait(0.1)
    first.ack(1 - role)
    return scene


def by_prio(role: int = 0, version: int = 1, *, gap: float = 0.1) -> Scene:
    """The initial subflow becomes a backup by MP_PRIO; the joined one is none."""
    talk = Conversation(version=version)
    first = talk.opened()
    for host in (0, 1):
        first.data(host, b"x" * 10)
        first.ack(1 - host)
    second = talk.joined()
    for host in (0, 1):
        second.ack(host)
    talk.tape.wait(0.1)
    asked = first.prio(1 - role, backup=True)
    scene = Scene(talk, role, second, first, asked)
    scene.wait(gap)
    return scene
