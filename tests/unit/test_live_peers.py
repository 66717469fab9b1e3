"""Both ends of a scripted connection, over an ordinary socket pair."""

from __future__ import annotations

import hashlib
import socket
from collections.abc import Iterator

import pytest

from mptcp_oracle.live.peers import BLOCK, Conversation, Digest, Side, Stream
from mptcp_oracle.live.sidecar import stream_faults


@pytest.fixture
def talk() -> Iterator[Conversation]:
    """A conversation whose ends are connected over loopback TCP."""
    found = Conversation.begin(0, 7)
    with socket.create_server(("127.0.0.1", 0)) as listener:
        near = socket.create_connection(listener.getsockname())
        far, _ = listener.accept()
    for side, made in ((found.client, near), (found.server, far)):
        made.setblocking(False)
        side.adopt(made)
    yield found
    found.client.close()
    found.server.close()


def pump(talk: Conversation) -> None:
    """Move data until nothing moves any more."""
    before = -1
    while before != (before := talk.client.read.octets + talk.server.read.octets):
        for side in (talk.client, talk.server):
            side.on_writable()
        for side in (talk.client, talk.server):
            side.on_readable()


def test_a_stream_does_not_depend_on_how_it_is_asked_for() -> None:
    """The same seed gives the same octets in pieces of any size, across block borders."""
    whole = Stream("seed").take(3 * BLOCK)
    piecemeal = Stream("seed")
    assert b"".join(piecemeal.take(size) for size in (0, 1, 999, 2 * BLOCK, BLOCK - 1000)) == whole
    assert Stream("another seed").take(8) != whole[:8]


def test_counts_and_digests_agree(talk: Conversation) -> None:
    """What one end wrote is what the other read, by count and SHA-256, both ways."""
    talk.client.tell(3 * BLOCK + 5)
    talk.server.tell(10)
    pump(talk)
    assert talk.server.read.to_json() == talk.client.written.to_json()
    assert talk.client.read.to_json() == talk.server.written.to_json()
    assert talk.client.written.octets == 3 * BLOCK + 5
    expected = Stream("7/0/client").take(3 * BLOCK + 5)
    assert talk.server.read.to_json()["sha256"] == hashlib.sha256(expected).hexdigest()


def test_finishing_waits_for_the_queue(talk: Conversation) -> None:
    """A shutdown is made after the last octet that was told, and the peer reads it all."""
    talk.client.tell(2 * BLOCK)
    talk.client.finish()
    pump(talk)
    assert talk.server.eof
    assert talk.server.read.octets == 2 * BLOCK
    assert [action["call"] for action in talk.client.actions] == ["shutdown(SHUT_WR)"]


def test_a_paused_end_does_not_read(talk: Conversation) -> None:
    """Data waits for an end that was told to pause, and its close says how much was unread."""
    talk.server.paused = True
    talk.client.tell(100)
    pump(talk)
    assert talk.server.read.octets == 0
    talk.server.close()
    assert talk.server.actions[-1]["unread"] == 100


def test_an_abort_is_an_error_for_the_other_end(talk: Conversation) -> None:
    """SO_LINGER 0 resets the connection, and the error's name is kept."""
    talk.client.close(abort=True)
    pump(talk)
    assert talk.server.error == "ECONNRESET"
    assert [action["call"] for action in talk.client.actions] == ["SO_LINGER 0", "close()"]


def test_a_plain_tcp_socket_has_no_mptcp_info(talk: Conversation) -> None:
    """What the kernel does not tell is null, with the reason beside it."""
    talk.client.snapshot()
    body = talk.client.to_json()
    assert body["mptcp_info"] is None
    assert isinstance(body["unknown"], dict)
    assert set(body["unknown"]) == {"mptcp_info", "token"}


def test_pieces_are_written_one_by_one(talk: Conversation, monkeypatch: pytest.MonkeyPatch) -> None:
    """A write takes no more than a piece, and the stream is the same."""
    taken: list[int] = []
    talk.client.cut_into(7)
    made = talk.client.handle
    assert made is not None
    assert made.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY)
    note = Side.note_written
    monkeypatch.setattr(Side, "note_written", lambda side, n: (taken.append(n), note(side, n))[1])
    talk.client.tell(20)
    pump(talk)
    assert taken == [7, 7, 6]
    assert talk.server.read.to_json() == talk.client.written.to_json()


@pytest.mark.parametrize("wanted", ["whole", "cut", "changed"])
def test_streams_are_what_the_scenario_wants(talk: Conversation, wanted: str) -> None:
    """Whole, cut and changed streams are each right for one kind of scenario, wrong for others."""
    talk.client.tell(1_000)
    talk.server.tell(10)
    pump(talk)
    assert bool(stream_faults(wanted, [talk])) == (wanted != "whole")
    read, talk.server.read = talk.server.read, Digest()
    talk.server.read.add(Stream("7/0/client").take(600))
    assert bool(stream_faults(wanted, [talk])) == (wanted != "cut")
    talk.server.read = Digest()
    talk.server.read.add(b"?" * read.octets)
    assert bool(stream_faults(wanted, [talk])) == (wanted != "changed")
