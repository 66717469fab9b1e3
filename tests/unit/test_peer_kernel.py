"""The raw peer and the local kernel: they understand each other, and nothing is left behind."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

import mptcp_oracle
from mptcp_oracle.errors import AdapterError
from mptcp_oracle.live.active.command import own_waivers
from mptcp_oracle.live.active.probing import probe, rules
from mptcp_oracle.live.namespaces import PREFIX
from mptcp_oracle.live.peer import Peer, kernel
from mptcp_oracle.live.peer.kernel import KernelTarget
from mptcp_oracle.live.peer.peer import own_address
from mptcp_oracle.live.peer.segment import ACK, FIN
from mptcp_oracle.live.peer.target import Settings
from mptcp_oracle.verdict import Outcome
from tests.common.machine import unavailable

EVERYWHERE = [(medium, family) for medium in ("tun", "veth") for family in (4, 6)]


def needs() -> None:
    """Skip the test where the kernel cannot be probed."""
    for error in kernel.missing():
        unavailable(error.message)


def left(pid: int | None = None) -> list[str]:
    """The namespaces that a process has made and not removed."""
    start = f"{PREFIX}{os.getpid() if pid is None else pid}-"
    folder = Path("/run/netns")
    return [each.name for each in folder.glob(f"{start}*")] if folder.is_dir() else []


@pytest.fixture(params=EVERYWHERE, ids=lambda param: f"{param[0]}-{param[1]}")
def target(request: pytest.FixtureRequest) -> Iterator[KernelTarget]:
    """The kernel behind each medium, in each family."""
    needs()
    medium, family = request.param
    with KernelTarget(Settings(family=family), medium) as made:
        yield made


def test_the_kernel_listens(target: KernelTarget, tmp_path: Path) -> None:
    """Handshake, data over three subflows, data back, DATA_FIN both ways: all are understood."""
    peer = Peer(target.link, target.settings.family)
    target.listen()
    connection = peer.connect()
    peer.first_data(connection)
    application = target.accept()
    assert application is not None
    for number in (2, 3):
        peer.data(connection, peer.join(connection, number))
    assert application.read() == peer.octets(1, 300)
    application.write(b"abc" * 1_000)
    peer.need("its data", lambda _: connection.got == 3_001)
    assert bytes(connection.content) == b"abc" * 1_000
    first = connection.flows[0]
    peer.ack(connection, first)
    peer.send(first.segment(ACK, connection.dss(first, b"", fin=True)))
    connection.sent += 1
    peer.until_acked(connection)
    application.finish()
    peer.need("its DATA_FIN", lambda _: connection.fin is not None)
    peer.ack(connection, first)
    for flow in connection.flows:
        if flow.finished is None:
            peer.need("its FIN", lambda each, flow=flow: flow.is_mine(each) and each.fin)  # type: ignore[misc]
        peer.send(flow.segment(FIN | ACK))
    assert application.read() == b""
    assert application.eof
    capture = tmp_path / "all.pcap"
    capture.write_bytes(peer.log.pcap())
    with mptcp_oracle.analyze(capture) as trace:
        (found,) = trace.connections
        assert found.state == "closed"
        assert len(found.subflows) == 3


def test_the_kernel_connects(target: KernelTarget) -> None:
    """The peer as listener: data both ways, and a join by the kernel to an announced address."""
    family = target.settings.family
    peer = Peer(target.link, family)
    application = target.connect(own_address(family, 1), 6_000)
    connection = peer.connection()
    peer.answer(connection)
    application.write(b"x" * 100)
    peer.need("its data", lambda _: connection.got == 101)
    peer.ack(connection, connection.flows[0])
    peer.data(connection, connection.flows[0])
    option = connection.add_addr(5, own_address(family, 3))
    peer.send(connection.flows[0].segment(ACK, option))
    joined = peer.accept_join(connection, address_id=5)
    peer.data(connection, joined)
    assert application.read() == peer.octets(1, 200)


@pytest.mark.parametrize("medium", ["tun", "veth"])
def test_rules_are_played_to_the_kernel(medium: str) -> None:
    """Some rules pass on every kernel with MPTCP, over both media, and show their packets."""
    needs()
    for number in ("8684-3.1-26", "8684-3.2-10", "8684-3.5-08"):
        found = probe(
            rules(number)[0], lambda it: KernelTarget(it, medium), own_waivers(KernelTarget())
        )
        assert found.verdict.outcome is Outcome.PASS, "\n".join(found.log.lines)
        assert found.log.frames
    assert left() == []


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_leaves_nothing(number: signal.Signals) -> None:
    """SIGTERM and Ctrl-C in the middle of a run remove the namespace."""
    needs()
    script = (
        "import signal, sys; signal.signal(signal.SIGINT, signal.default_int_handler);"
        "from mptcp_oracle.cli import main; main(['probe', '--requirement', '8684-3.9.3'])"
    )
    with subprocess.Popen(
        [sys.executable, "-c", script], stdout=subprocess.PIPE, stderr=subprocess.PIPE
    ) as process:
        try:
            while not left(process.pid):
                assert process.poll() is None
            process.send_signal(number)
            process.communicate(timeout=20)
        finally:
            process.kill()
    assert process.returncode not in (0, None)
    assert left(process.pid) == []


def test_a_failing_script_leaves_nothing() -> None:
    """An exception within the target removes the namespace."""
    needs()
    inside = []
    with pytest.raises(ZeroDivisionError), KernelTarget():
        _ = inside.append(left()) or 1 / 0  # type: ignore[func-returns-value]
    assert len(inside[0]) == 1
    assert left() == []


def test_what_is_missing_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    """Without root, and without TUN, the complaint says what to do."""
    monkeypatch.setattr(os, "geteuid", lambda: 1_000)
    assert any("root" in each.message for each in kernel.missing())
    monkeypatch.setattr(kernel, "missing_needs", list[AdapterError])
    monkeypatch.setattr(kernel, "TUN", Path("/nowhere/tun"))
    (error,) = kernel.missing()
    assert error.message == "there is no TUN device"
    assert "veth" in (error.hint or "")
    assert kernel.missing("veth") == []
