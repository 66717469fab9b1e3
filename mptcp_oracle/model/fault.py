"""A fault: one named deviation of one host from the RFCs, and how to plant it.

There are two kinds. An *edit* changes a finished trace where the other host does not notice, or
would do on the wire what it did anyway. A *deviation* is a setting of the model under which the
host goes wrong while the trace is made, so that the other host reacts; planting it then finds the
evidence, and may put one wrong value in the place of another that gets the same reaction.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace

from mptcp_oracle.errors import UsageError
from mptcp_oracle.model.capture import VANTAGES
from mptcp_oracle.model.choices import Choices
from mptcp_oracle.model.faults_edit import Draft, Place
from mptcp_oracle.model.settings import Deviations, Settings
from mptcp_oracle.model.trace import Trace

__all__ = ["NEEDS", "Deviate", "Edit", "Fault", "Find", "Pair", "is_shown", "lawful_of"]

Find = Callable[[Trace], Iterable[Place]]
Edit = Callable[[Draft, Place], None]
Deviate = Callable[[Settings, int], Deviations]
Pair = Callable[[Settings, Settings, int], tuple[Settings, Settings]]

NEEDS = {
    "data": "data from both hosts, DATA_ACKed",
    "capable_data": "first data of the initiator under an MP_CAPABLE, before any DSS it received",
    "third_ack": "a third packet without data",
    "checksum": "DSS checksums",
    "no_checksum": "no DSS checksums",
    "pure_ack": "a segment without data on an established subflow",
    "join": "an established joined subflow",
    "join_initial": "a joined subflow to the peer's address and port of the initial one",
    "two_joins": "two joined subflows",
    "join_data": "data on a joined subflow from the host that opened it",
    "open": "subflows that nobody ends",
    "unannounced": "neither ADD_ADDR nor REMOVE_ADDR",
    "silent": "neither ADD_ADDR, REMOVE_ADDR, MP_PRIO nor MP_FASTCLOSE",
    "refused_syn": "a join that is answered by a RST",
    "refused_ack": "a join whose third packet is answered by a RST",
    "refused_join_reset": "a RST with MP_TCPRST that ends a join before it is established",
    "add_addr": "an ADD_ADDR",
    "add_addr_port": "an ADD_ADDR with a port",
    "echo": "an echo of an ADD_ADDR (version 1)",
    "join_announced": "a joined subflow to an address that ADD_ADDR announced",
    "remove_addr": "a REMOVE_ADDR",
    "prio": "an MP_PRIO",
    "data_fin": "a DATA_FIN, acknowledged",
    "data_fin_on_data": "a DATA_FIN that ends the mapping of data",
    "closed": "DATA_FINs of both hosts, acknowledged, and the end of all subflows",
    "fastclose": "an MP_FASTCLOSE on an ACK",
    "fastclose_reset": "an MP_FASTCLOSE on RSTs (version 1)",
    "fail": "an MP_FAIL",
    "fail_reset": "an MP_FAIL on the RST of the only subflow",
    "infinite": "an infinite mapping",
    "tcprst": "a RST with MP_TCPRST",
    "fallback_syn": "a SYN whose MP_CAPABLE was left out, so that the connection is plain TCP",
    "fallback_synack": "a SYN/ACK without MP_CAPABLE in answer to a SYN with one",
    "fallback_third": "a third packet without MP_CAPABLE, so that the connection is plain TCP",
    "no_mapping": "a fallback because data came without mapping",
    "two_connections": "two connections of one host",
    "syn_data": "data in the SYN of the initial subflow, accepted",
    "reinjection": "data that is mapped on a second subflow",
    "short_dsn": "a DSN of 4 octets",
    "shared_mapping": "two segments under one mapping that stands on both",
    "plain_first": "first data of the initiator under a DSS, since a DATA_ACK came before it",
    "window": "a receive window that is nearly full",
    "lost": "data that was lost",
    "ahead": "data under a mapping that only an earlier segment has",
    "retransmission": "a retransmission by TCP",
    "backup": "a subflow with flag B",
}
"""What a trace may have to contain for a fault to have a place, for whoever composes one."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Fault:
    """One deviation.

    Attributes:
        name: Its name, in words with hyphens.
        meaning: What the host does wrong, in one sentence.
        v1, v0: Ids of the requirements that it must trip in a connection of that version, at
            most three; none if it does not apply there.
        needs: What a trace must contain: keys of :data:`NEEDS`.
        find: Gives the places in a trace where it can be planted; for a deviation, where it
            shows.
        edit: Plants it at a place, naming the evidence. Without one the place is the evidence.
        deviate: For a deviation: what a host (by role) does wrong under some settings.
        hosts: Roles that can be to blame.
        pair: For a deviation between two connections of one host: the settings of both, from
            those that they would have and the role to blame.
        lawful: An edit at the same place that makes a trace in which the requirements matter and
            nothing is wrong, where traces without an edit never have that.
        lawful_pair: For a deviation between two connections, likewise.
        arranges: Whether it also changes segments that are lawful by themselves.
        at_sender: Whether only a tap at the host to blame is sure to see the evidence, because
            it is lost on its way.
    """

    name: str
    meaning: str
    v1: tuple[str, ...] = ()
    v0: tuple[str, ...] = ()
    needs: tuple[str, ...] = ()
    find: Find
    edit: Edit | None = None
    deviate: Deviate | None = None
    hosts: tuple[int, ...] = (0, 1)
    pair: Pair | None = None
    lawful: Edit | None = None
    lawful_pair: Pair | None = None
    arranges: bool = False
    at_sender: bool = False

    @property
    def kind(self) -> str:
        """``edit`` or ``deviation``."""
        return "edit" if self.deviate is None and self.pair is None else "deviation"

    @property
    def vantages(self) -> dict[int, tuple[str, ...]]:
        """For each role to blame, the vantages from which the evidence is sure to be seen."""
        sides = (("initiator", "both"), ("listener", "both"))
        return {host: sides[host] if self.at_sender else VANTAGES for host in self.hosts}

    @property
    def versions(self) -> tuple[int, ...]:
        """The versions that it applies to."""
        return (*((1,) if self.v1 else ()), *((0,) if self.v0 else ()))

    def requirements(self, version: int) -> tuple[str, ...]:
        """Ids of the requirements that it must trip in a connection of ``version``."""
        return self.v1 if version == 1 else self.v0 if version == 0 else ()

    def deviant(self, settings: Settings, host: int) -> Settings:
        """The settings under which a host deviates; an edit leaves them as they are."""
        if self.deviate is None:
            return settings
        first, second = settings.deviations
        wrong = self.deviate(settings, host)
        return replace(settings, deviations=(wrong, second) if host == 0 else (first, wrong))

    def places(self, trace: Trace) -> tuple[Place, ...]:
        """Where in a trace it can be planted (a deviation: where it shows), in order.

        Something at each place arrives, unless a tap at the host to blame is asked for anyway.
        """
        places = tuple(
            place
            for place in self.find(trace)
            if place.host in self.hosts and self.requirements(_version(trace, place))
        )
        if self.at_sender or not places:
            return places
        arrived = {each.segment.number for each in trace.deliveries}
        return tuple(place for place in places if not arrived.isdisjoint(place.segments))

    def plant(self, trace: Trace, choices: Choices, *, place: Place | None = None) -> Trace:
        """The trace with the fault in it, at a place that ``choices`` pick if none is given.

        Raises:
            UsageError: The trace has no place for it.
        """
        if place is None:
            places = self.places(trace)
            if not places:
                raise UsageError(
                    f"the trace has no place for the fault {self.name}",
                    hint="it needs: " + "; ".join(NEEDS[need] for need in self.needs),
                )
            place = choices.pick(places)
        draft = Draft(trace, choices)
        if self.edit is None:
            draft.blame(*place.segments)
        else:
            self.edit(draft, place)
        requirements = self.requirements(_version(trace, place))
        return draft.finish(name=self.name, requirements=requirements, host=place.host)


def is_shown(fault: Fault) -> bool:
    """Whether a fault says what a lawful trace is like in which its requirements matter."""
    return fault.lawful is not None or fault.lawful_pair is not None


def lawful_of(fault: Fault) -> Fault:
    """What makes a lawful trace where a fault has its place; its requirements are to be kept."""
    return replace(fault, edit=fault.lawful, pair=fault.lawful_pair, deviate=None)


def _version(trace: Trace, place: Place) -> int:
    """The version of the connection that a place is in."""
    subflow = trace.subflows[trace.segments[place.segments[0]].subflow]
    return trace.connections[subflow.connection].version
