"""The oracle: one call from a capture to a judgement."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from ipaddress import ip_address
from types import TracebackType
from typing import TYPE_CHECKING, Self

from mptcp_oracle.analysis.entities import ROLES, Connection
from mptcp_oracle.analysis.trace import Trace, analyze, at_full_speed
from mptcp_oracle.errors import UsageError
from mptcp_oracle.rules.judging import judge as apply
from mptcp_oracle.rules.judging import passed, unexercised, verdicts
from mptcp_oracle.rules.ledger import Ledger
from mptcp_oracle.rules.waivers import Waivers
from mptcp_oracle.verdict import Outcome, Verdict, counted
from mptcp_oracle.wire.capture import Source
from mptcp_oracle.wire.segments import Progress

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

__all__ = ["Judgement", "NonconformingError", "Waivers", "judge"]


class NonconformingError(AssertionError):
    """A capture shows violations; :meth:`Judgement.raise_on_fail` raises it.

    Attributes:
        verdicts: The failures.
    """

    def __init__(self, message: str, verdicts: list[Verdict]) -> None:
        super().__init__(message)
        self.verdicts = verdicts


class Judgement:
    """What the oracle says of a capture. Close it, or use it as a context manager.

    Attributes:
        trace: The trace, open until :meth:`close`. ledger: What the rules found.
        waivers: Known failures of known hosts.
        host: The only role that is judged, or an address of the only host; ``None``: both are.
    """

    def __init__(
        self,
        trace: Trace,
        ledger: Ledger,
        waivers: Waivers | None = None,
        host: str | None = None,
    ) -> None:
        self.trace = trace
        self.ledger = ledger
        self.waivers = waivers or Waivers()
        self.host = host

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        where: TracebackType | None,
    ) -> None:
        self.close()

    def close(self) -> None:
        """Let go of the capture."""
        self.trace.close()

    def verdicts(
        self, *, everything: bool = False, passes: bool = True, only: Sequence[str] = ()
    ) -> Iterator[Verdict]:
        """The verdicts, connection by connection, in the order of the RFCs.

        Args:
            everything: Whether requirements that are not exercised are there, too.
            passes: Whether those that were kept are; without them thousands of connections are
                told of much sooner.
            only: Prefixes of requirement ids, such as ``8684-3.2``; by default all.
        """
        found = verdicts(
            self.trace,
            self.ledger,
            everything=everything,
            passes=passes,
            only=only,
            among=self._hosts(),
        )
        for verdict in found:
            failed = verdict.outcome is Outcome.FAIL
            yield self.waivers.applied(verdict, self.addresses(verdict)) if failed else verdict

    def passed(self, *, only: Sequence[str] = ()) -> Counter[str]:
        """How many hosts kept each requirement, by its id; one for each connection.

        Args:
            only: As for :meth:`verdicts`.
        """
        return passed(self.trace, self.ledger, only=only, among=self._hosts())

    def _hosts(self) -> NDArray[np.bool_] | None:
        """By direction: whether its host is one that is judged; ``None`` if all are."""
        if self.host is None:
            return None
        import numpy as np

        groups = self.trace.groups()
        return np.array([self._named(group, role) for group in groups for role in (0, 1)], np.bool_)

    def _named(self, group: Connection, role: int) -> bool:
        """Whether a host is the only one that is judged."""
        return self.host == ROLES[role] or self.host in _addresses(group, role)

    def addresses(self, verdict: Verdict) -> set[str]:
        """The addresses of the host that a verdict is about."""
        return _addresses(self.trace.group(verdict.connection), ROLES.index(verdict.host))

    @property
    def counts(self) -> dict[str, int]:
        """How many verdicts of each kind there are, see :data:`mptcp_oracle.verdict.COUNTS`."""
        return self.summary(list(self.verdicts(passes=False)), self.passed())

    def summary(
        self, verdicts: Iterable[Verdict], passed: Counter[str], *, only: Sequence[str] = ()
    ) -> dict[str, int]:
        """Counts as :attr:`counts`.

        Passes, and what is not exercised, among the verdicts do not count: they are all counted
        from the columns.

        Args:
            verdicts: All other verdicts.
            passed: How many hosts kept each requirement.
            only: As for :meth:`verdicts`.
        """
        found = counted(verdicts)
        found["pass"] = passed.total()
        found["not_exercised"] = self.unexercised(only=only)
        return found

    def unexercised(self, *, only: Sequence[str] = ()) -> int:
        """How many verdicts are left out because nothing they are about is in the capture."""
        return unexercised(self.trace, self.ledger, only=only, among=self._hosts())

    def failures(self, *, should: bool = False) -> list[Verdict]:
        """The verdicts that count against a host: violations, with ``should`` also warnings."""
        grave = ("violation", "warning") if should else ("violation",)
        return [
            verdict
            for verdict in self.verdicts(passes=False)
            if verdict.outcome is Outcome.FAIL
            and verdict.severity in grave
            and verdict.waived is None
        ]

    def raise_on_fail(self, *, should: bool = False) -> None:
        """Raise unless all is well.

        Raises:
            NonconformingError: There are failures. Its ``data`` have ``verdicts``.
        """
        found = self.failures(should=should)
        if found:
            lines = [
                f"{each.requirement}, {each.host} of connection {each.connection}, "
                f"frame {', '.join(map(str, each.frames))}: {each.why}"
                for each in found
            ]
            raise NonconformingError(
                f"{self.trace.capture.name}: {len(found)} failures\n" + "\n".join(lines), found
            )


def _addresses(group: Connection, role: int) -> set[str]:
    """The addresses of a host."""
    return {
        (flow.source if flow.source_role == role else flow.destination).address
        for flow in group.subflows
    }


def judge(
    source: Source,
    *,
    local: Sequence[str] = (),
    whole: bool | None = None,
    waivers: Waivers | None = None,
    host: str | None = None,
    linktype: int | None = None,
    name: str | None = None,
    progress: Progress | None = None,
) -> Judgement:
    """Judge a capture by every requirement of the RFCs that a capture can decide.

    Args:
        source: As :func:`mptcp_oracle.analyze`.
        local: Addresses or networks (``10.1.1.1``, ``2001:db8::/64``) of the host at which it was
            made. Without them, and without packet types or directions in the file, nobody knows
            that what a host sent is what the capture shows of it.
        whole: Whether the capture lacks no frame that passed its tap; by default what its
            interface statistics state.
        waivers: Known failures, and the hosts that they are known of.
        host: Judge this host only: ``initiator``, ``listener`` or an address.
        linktype: As :func:`mptcp_oracle.analyze`.
        name: Likewise.
        progress: Likewise.

    Raises:
        CaptureError: The source is no capture that can be read.
        UsageError: The arguments contradict each other, or ``host`` names none.
    """
    if host is not None and host not in ROLES:
        _address(host)
    trace = analyze(source, linktype=linktype, name=name, progress=progress)
    try:
        with at_full_speed():
            ledger = apply(trace, local=local, whole=whole)
        return Judgement(trace, ledger, waivers, host)
    except BaseException:
        trace.close()
        raise


def _address(host: str) -> None:
    """Refuse what is no address."""
    try:
        ip_address(host)
    except ValueError as error:
        hint = f"choose {', '.join(ROLES)}, or an address"
        raise UsageError(f"{host!r} is no host", hint=hint) from error
