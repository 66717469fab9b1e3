"""The application side: one thread that plays both ends of every connection, by the script.

Everything is non-blocking under one ``select``; a step either acts at once or pumps data until
its condition holds, under a time limit, so that a recording can never hang.
"""

from __future__ import annotations

import errno
import select
import socket
import time
from collections.abc import Callable
from typing import Any

from mptcp_oracle.errors import AdapterError
from mptcp_oracle.live import scenario as steps
from mptcp_oracle.live.events import EventLog
from mptcp_oracle.live.peers import Conversation, Side
from mptcp_oracle.live.scenario import Scenario, Step
from mptcp_oracle.live.sockets import make_socket
from mptcp_oracle.live.tester import ACTS, Tester
from mptcp_oracle.live.topology import PORT, Topology, address

__all__ = ["STEP_LIMIT", "Dialogue"]

# Seconds that one step may take, that all closing may take after the script, and that a whole
# scenario may take; to the first and the last comes the time that its data needs on the paths.
STEP_LIMIT = 20.0
CLOSING_LIMIT = 2.0
SCENARIO_LIMIT = 120.0
# How much slower than one path's rate a transfer may be: loss, dead paths, a busy machine.
SLOWNESS = 5.0
TCP_FASTOPEN = 23
MSG_FASTOPEN = 0x2000_0000
# Seconds after an act of a tester in which the kernel may answer.
ACT_PAUSE = 0.03
BACKLOG = 64


class Dialogue:
    """Plays a scenario's script in a built topology.

    Attributes:
        conversations: One per connection, in order.
        client_events, server_events: The path-manager events of both hosts.
    """

    def __init__(
        self,
        scenario: Scenario,
        topology: Topology,
        octets: int,
        seed: int,
        begin_capture: Callable[[], object] = lambda: None,
    ) -> None:
        self.scenario = scenario
        self.topology = topology
        self.octets = octets
        self.seed = seed
        self.conversations: list[Conversation] = []
        self._begin_capture = begin_capture
        self.client_events = EventLog(topology.client)
        self.server_events = EventLog(topology.server)
        self._filters = {item.name: item for item in scenario.filters}
        self._listener: socket.socket | None = None
        self._testers: dict[int, Tester] = {}
        transfers = sum(isinstance(step, steps.Send) for step in scenario.script)
        self._limit = SCENARIO_LIMIT + scenario.connections * transfers * self._duration(octets)
        self._end = time.monotonic() + self._limit

    def close(self) -> None:
        """Release every socket; for the end and for failures."""
        for conversation in self.conversations:
            for side in (conversation.client, conversation.server):
                if side.handle is not None:
                    side.handle.close()
                    side.handle = None
        for tester in self._testers.values():
            tester.close()
        if self._listener is not None:
            self._listener.close()
        self.client_events.close()
        self.server_events.close()

    def play(self, progress: Callable[[str], None]) -> None:
        """Run the script for each connection.

        Raises:
            AdapterError: A step took longer than its limit, or the kernel refused a call.
        """
        self._listen()
        count, script = self.scenario.connections, self.scenario.script
        if self.scenario.interleaved:
            talks = [self._begin(ordinal) for ordinal in range(count)]
            for step in script:
                for talk in talks:
                    self._perform(talk, step, progress)
            for talk in talks:
                self._wind_up(talk)
            return
        for ordinal in range(count):
            talk = self._begin(ordinal)
            for step in script:
                self._perform(talk, step, progress)
            self._wind_up(talk)

    def _begin(self, ordinal: int) -> Conversation:
        talk = Conversation.begin(ordinal, self.seed)
        self.conversations.append(talk)
        return talk

    def _duration(self, octets: int) -> float:
        """Seconds that may pass until so many octets have arrived."""
        return max(0, octets) * 8 / (self.scenario.plan.rate_mbit * 1e6) * SLOWNESS

    # --- the pump ----------------------------------------------------------------------------

    def _pump(self, done: Callable[[], bool], limit: float, what: str | None) -> bool:
        """Move data until ``done()``; a timeout is an error unless ``what`` is ``None``."""
        until = time.monotonic() + limit
        while True:
            self.client_events.read()
            self.server_events.read()
            if done():
                return True
            left = until - time.monotonic()
            if left <= 0 or time.monotonic() > self._end:
                if what is None:
                    return False
                raise AdapterError(
                    f"scenario {self.scenario.name}: {what} did not happen",
                    cause=f"limit of {limit:.0f} s",
                    hint="is the machine overloaded? try again",
                )
            self._turn(min(left, 0.05))

    def _turn(self, patience: float) -> None:
        sides = [
            side
            for talk in self.conversations
            for side in (talk.client, talk.server)
            if side.handle is not None
        ]
        readers: list[Any] = [self.client_events, self.server_events]
        readers += [side.handle for side in sides if side.wants_read]
        writers: list[Any] = [side.handle for side in sides if side.wants_write]
        readable, writable, _ = select.select(readers, writers, [], patience)
        for side in sides:
            if side.handle in readable:
                side.on_readable()
            if side.handle in writable:
                side.on_writable()

    # --- steps -------------------------------------------------------------------------------

    def _perform(self, talk: Conversation, step: Step, progress: Callable[[str], None]) -> None:
        progress(f"connection {talk.ordinal + 1}: {type(step).__name__}")
        if time.monotonic() > self._end:
            raise AdapterError(
                f"scenario {self.scenario.name} did not come to its end",
                cause=f"limit of {self._limit:.0f} s",
                hint="fewer octets, or a faster machine",
            )
        space = {"client": self.topology.client, "server": self.topology.server}
        match step:
            case steps.Connect():
                self._connect(talk, step)
            case steps.Send(end, share, piece):
                talk.side(end).cut_into(piece)
                talk.side(end).tell(round(share * self.octets))
                talk.side(end).on_writable()
            case steps.Drain(end, share):
                writer, reader = talk.side(end), talk.other(end)
                goal = int(share * writer.queued)
                self._pump(
                    lambda: reader.read.octets >= goal or reader.error is not None,
                    STEP_LIMIT + self._duration(goal - reader.read.octets),
                    f"reading {goal} octets of the {end}",
                )
            case steps.Subflows(count):
                self._pump(
                    lambda: self._alive(talk.client) == self._alive(talk.server) == count,
                    STEP_LIMIT,
                    f"{count} subflows",
                )
            case steps.Await(host, event, count):
                log = self.client_events if host == "client" else self.server_events
                self._pump(
                    lambda: sum(item.kind == event for item in log.events) >= count,
                    STEP_LIMIT,
                    f"{count} {event} at the {host}",
                )
            case steps.Settle(seconds):
                self._pump(lambda: False, seconds, None)
            case steps.Pause(end):
                talk.side(end).paused = True
            case steps.Resume(end):
                talk.side(end).paused = False
            case steps.Finish(end):
                talk.side(end).finish()
            case steps.Eof(end):
                side = talk.side(end)
                self._pump(
                    lambda: side.eof or side.error is not None,
                    STEP_LIMIT,
                    f"the end of the stream at the {end}",
                )
            case steps.Close(end):
                self._freeze(talk)
                talk.side(end).close()
            case steps.Abort(end):
                self._freeze(talk)
                talk.side(end).close(abort=True)
            case steps.Act(name):
                self._act(talk, name)
            case steps.SwitchFilter(name, on):
                self.topology.switch_filter(self._filters[name], on)
            case steps.Link(lane, up):
                self.topology.set_link(lane, up)
            case steps.AddEndpoint(host, endpoint):
                self.topology.add_endpoint(space[host], endpoint)
            case steps.RemoveEndpoint(host, address_id):
                self.topology.remove_endpoint(space[host], address_id)
            case steps.FlushEndpoints(host):
                self.topology.flush_endpoints(space[host])
            case steps.Kill(host, lane):
                self.topology.kill(space[host], lane)
            case steps.BeginCapture():
                if talk.ordinal == 0:
                    self._begin_capture()
            case steps.SetBackup(host, address_id, backup):
                self.topology.set_backup(space[host], address_id, backup)
        talk.client.snapshot()
        talk.server.snapshot()

    def _freeze(self, talk: Conversation) -> None:
        """One end's close changes what the other end's kernel can still tell."""
        talk.client.freeze()
        talk.server.freeze()

    def _alive(self, side: Side) -> int:
        log = self.client_events if side.role == "client" else self.server_events
        return log.alive(side.token_text) if side.token_text is not None else 0

    def _listen(self) -> None:
        kind = socket.AF_INET if self.topology.family == 4 else socket.AF_INET6
        self._listener = make_socket(self.topology.server, kind)
        self._listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if any(isinstance(step, steps.Connect) and step.fast_open for step in self.scenario.script):
            self._listener.setsockopt(socket.IPPROTO_TCP, TCP_FASTOPEN, BACKLOG)
        # The wildcard address: a join to another address of the server needs it.
        self._listener.bind(("0.0.0.0" if kind == socket.AF_INET else "::", PORT))
        self._listener.listen(BACKLOG)

    def _connect(self, talk: Conversation, step: steps.Connect) -> None:
        family = self.topology.family
        kind = socket.AF_INET if family == 4 else socket.AF_INET6
        target = (address("server", 1, family), PORT)
        made = make_socket(self.topology.client, kind)
        client = talk.client
        try:
            if step.source_port is not None:
                made.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
                made.bind((address("client", 1, family), step.source_port))
            if step.fast_open:
                client.tell(step.fast_open)
                try:
                    client.syn_octets = made.sendto(client.queue, MSG_FASTOPEN, target)
                except BlockingIOError:
                    client.syn_octets = 0
                client.note_written(client.syn_octets)
            else:
                number = made.connect_ex(target)
                if number not in (0, errno.EINPROGRESS):
                    raise OSError(number, errno.errorcode.get(number, str(number)))
            accepted = self._accept(made)
        except BaseException:
            made.close()
            raise
        client.adopt(made)
        talk.server.adopt(accepted)

    def _act(self, talk: Conversation, name: str) -> None:
        """Let the connection's tester do something; its first act connects it."""
        tester = self._testers.get(talk.ordinal)
        if tester is None:
            tester = Tester(self.topology, talk.client, f"{self.seed}/{talk.ordinal}")
            self._testers[talk.ordinal] = tester
        ACTS[name](tester)
        if talk.server.local is None:
            talk.server.adopt(self._accept(None))
        self._pump(lambda: False, ACT_PAUSE, None)

    def _accept(self, made: socket.socket | None) -> socket.socket:
        """Wait until the client is connected and the server has accepted; the server's socket."""
        assert self._listener is not None
        accepted: list[socket.socket] = []

        def ready() -> bool:
            assert self._listener is not None
            if not accepted:
                try:
                    taken, _ = self._listener.accept()
                    taken.setblocking(False)
                    accepted.append(taken)
                except BlockingIOError:
                    return False
            if made is None:
                return True
            _, writable, _ = select.select([], [made], [], 0)
            if not writable:
                return False
            number = made.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR)
            if number:
                raise AdapterError(
                    f"scenario {self.scenario.name}: the connection failed",
                    cause=errno.errorcode.get(number, str(number)),
                )
            return True

        try:
            until = time.monotonic() + STEP_LIMIT
            while not ready():
                if time.monotonic() > until:
                    raise AdapterError(f"scenario {self.scenario.name}: no connection")
                select.select([self._listener], [made] if accepted and made else [], [], 0.02)
                self._turn(0.0)
        except BaseException:
            for taken in accepted:
                taken.close()
            raise
        return accepted[0]

    def _wind_up(self, talk: Conversation) -> None:
        """Close what the script left open and wait until both kernels have let go."""
        self._freeze(talk)
        talk.client.close()
        talk.server.close()

        def gone() -> bool:
            for side, log in (
                (talk.client, self.client_events),
                (talk.server, self.server_events),
            ):
                # A host that was aborted by its peer reports nothing more.
                if side.token_text is None or side.error is not None:
                    continue
                events = log.of(side.token_text)
                if events and not any(event.kind == "CLOSED" for event in events):
                    return False
            return True

        self._pump(gone, CLOSING_LIMIT, None)
