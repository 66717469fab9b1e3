"""The text report: what it says, in which order, and what it leaves out."""

from __future__ import annotations

import pytest

from mptcp_oracle.analysis.entities import Connection, Event, Host
from mptcp_oracle.analysis.trace import analyze
from mptcp_oracle.report.detail import detail
from mptcp_oracle.report.layout import Cell, Page, Table, plural, printable
from mptcp_oracle.report.text import overview
from mptcp_oracle.report.timeline import ALIKE, HEAD, TAIL, Fold, fold, timeline
from tests.common.conversation import Conversation
from tests.common.tape import RST


def lines(talk: Conversation, *, limit: int = 0, width: int = 140) -> list[str]:
    """The overview of a conversation."""
    with analyze(talk.tape.pcap(), name="talk") as trace:
        return list(overview(trace, Page(width=width), limit))


def about(talk: Conversation, number: int = 0) -> str:
    """The detail of one connection."""
    with analyze(talk.tape.pcap(), name="talk") as trace:
        return "\n".join(detail(trace, trace.connection(number), Page()))


def many(count: int) -> Conversation:
    """A tape with this many connections."""
    talk = Conversation()
    for number in range(count):
        one = Conversation(talk.tape, keys=(2 * number + 1, 2 * number + 2))
        one.opened(ports=(20_000 + number, 80)).data(0, b"x")
    return talk


def event(frame: int, what: str = "FIN", subflow: int = 0) -> Event:
    """An event of the initiator."""
    return Event(frame=frame, time=frame * 1_000_000, subflow=subflow, host="initiator", what=what)


def test_the_heading_counts() -> None:
    """The first line names the capture and counts frames, segments and connections."""
    assert lines(many(2))[0] == "talk: 8 frames, 8 TCP segments, 2 MPTCP connections (2 open)"


def test_subflows_stand_below_their_connection() -> None:
    """A connection's row is followed by its subflows, the initial one marked with a star."""
    talk = Conversation()
    talk.opened().data(0, b"abc")
    talk.joined(backup=(True, False)).data(1, b"defgh")
    talk.flow(opener=1).join()
    shown = lines(talk, width=200)
    (start,) = (at for at, line in enumerate(shown) if line.startswith("0 v1, 3 subflows"))
    rows = [line.split() for line in shown[start : start + 4]]
    assert rows[0][4:9] == ["10.0.0.1:40000", "->", "10.0.0.2:80", "3", "5"]
    assert rows[1][:2] == ["*0", "initial"]
    assert rows[2][:3] == ["1", "joined", "(valid)"]
    assert "backup, asked by initiator" in " ".join(" ".join(shown).split())
    assert any(line.strip().startswith("2 joined by listener (valid)") for line in shown)


def test_a_mismatch_has_both_values_and_its_frame() -> None:
    """A join HMAC that is wrong is named with frame, sent value, expected value and section."""
    talk = Conversation()
    talk.opened()
    flow = talk.flow()
    flow.join_syn(token=talk.token[0])
    flow.join_synack()
    flow.join_ack()
    text = " ".join(" ".join(lines(talk)).split())
    assert f"token of the initiator is {talk.token[0]:08x}, expected {talk.token[1]:08x}" in text
    assert "frame 4" in text
    assert "RFC 8684 section 3.2" in text


def test_wrong_idsn_is_named() -> None:
    """A first mapping that does not follow from the key is shown with both numbers."""
    talk = Conversation(idsn=(12345, None))
    talk.opened().data(0, b"abc")
    text = " ".join(" ".join(lines(talk)).split())
    assert "initial data sequence number of the initiator is 0000000000003039" in text


def test_the_limit_leaves_out_and_says_so() -> None:
    """Beyond the limit connections are counted, and the odd ones among them are named."""
    talk = many(7)
    odd = Conversation(talk.tape, idsn=(5, None))
    odd.opened().data(0, b"abc")
    shown = lines(talk, limit=3)
    assert sum(line.startswith(("0 v1", "1 v1", "2 v1", "3 v1")) for line in shown) == 3
    assert "... 5 more connections; --limit 0 shows all" in shown
    assert "  ! 1 of them odd: 7" in shown
    assert not any("more connection" in line for line in lines(talk))


def test_few_connections_have_filter_and_tokens_many_a_hint() -> None:
    """Up to five connections are told with tokens and filter; else a hint says how to get them."""
    few, crowd = lines(many(5)), lines(many(6))
    assert sum("filter: ip.addr ==" in line for line in few) == 5
    assert sum("tokens: initiator" in line for line in few) == 5
    assert not any("filter:" in line for line in crowd)
    assert crowd[-1].startswith("--connection N")


def test_the_report_is_ascii() -> None:
    """No locale can break it."""
    talk = many(6)
    assert "\n".join(lines(talk)).isascii()
    assert about(talk).isascii()


def test_detail_tells_keys_numbers_addresses_and_checksums() -> None:
    """One connection in detail has keys, IDSNs, DATA_FINs, announced addresses and checksums."""
    talk = Conversation(checksum=True)
    first = talk.opened()
    first.data(0, b"abc")
    first.add_addr(1, "10.0.9.2", port=4711)
    first.remove_addr(1, 5)
    first.data_fin(0)
    first.data_fin(1)
    text = about(talk)
    for key, idsn, token in zip(talk.keys, talk.idsn, talk.token, strict=True):
        assert f"{key:016x}" in text
        assert str(idsn) in text
        assert f"{token:08x}" in text
    assert "announces 10.0.9.2 port 4711, HMAC right" in text
    assert "removed" in text
    assert "checksums: in use; of the mappings" in text
    assert "0 wrong" in text
    assert "frame 7" in text


def test_what_is_not_known_has_its_reason() -> None:
    """Without the handshake's keys the detail says which values are missing, and why."""
    talk = Conversation()
    flow = talk.flow()
    flow.syn()
    text = about(talk)
    assert "not known" in text
    assert "not known of the initiator: key, token, idsn (no key in the capture)" in text


def test_a_reset_has_its_reason_in_words() -> None:
    """The MP_TCPRST code is shown with its meaning."""
    talk = Conversation()
    talk.opened()
    talk.joined().rst(1, 3)
    text = " ".join(" ".join(lines(talk)).split())
    assert "RST by listener (frame 8), reason 3: administratively prohibited" in text


@pytest.mark.parametrize(("joined", "words"), [(False, "as plain TCP"), (True, "under no mapping")])
def test_octets_without_a_mapping_are_told(joined: bool, words: str) -> None:
    """Octets that no column has are named; after a fallback they are plain TCP and nothing odd."""
    talk = Conversation()
    flow = talk.opened()
    flow.data(0, b"abcdef")
    if joined:
        talk.joined()
    flow.segment(0, 0x10, payload=b"plain")
    flow.segment(1, 0x10)
    text = " ".join(" ".join(lines(talk)).split())
    assert f"other octets by the initiator: 5 {words}" in text


def test_few_events_are_not_folded() -> None:
    """A short time line is told event by event."""
    events = [event(frame) for frame in range(1, ALIKE + 1)]
    assert fold(events) == events


def test_runs_of_like_events_are_folded() -> None:
    """Of many events of one shape in a row the first and the last are told."""
    events = [event(1, "SYN"), *(event(frame, "RST") for frame in range(2, 100)), event(100)]
    assert fold(events) == [
        event(1, "SYN"),
        event(2, "RST"),
        Fold(count=96, first=3, last=98),
        event(99, "RST"),
        event(100),
    ]


def test_long_time_lines_lose_their_middle() -> None:
    """Events of ever new shapes are told from the beginning and the end; none gets lost."""
    events = [event(frame, "FIN", subflow=frame % 2) for frame in range(1, 501)]
    found = fold(events)
    assert len(found) == HEAD + 1 + TAIL
    assert found[HEAD] == Fold(count=500 - HEAD - TAIL, first=HEAD + 1, last=500 - TAIL)
    counted = sum(item.count if isinstance(item, Fold) else 1 for item in found)
    assert counted == 500


def test_all_events_are_told_if_wanted() -> None:
    """``whole`` unfolds the time line; the folded one says how to get there."""
    hosts = (Host(role="initiator"), Host(role="listener"))
    events = [event(frame) for frame in range(1, 500)]
    connection = Connection(id=0, version=1, hosts=hosts, teller=lambda: events)
    folded = list(timeline(connection, Page()))
    assert any("497 events in frames 2 to 498; --all-events shows them" in line for line in folded)
    whole = list(timeline(connection, Page(), whole=True))
    assert len(whole) == 499 + 2
    assert whole[-1].split() == ["499", "0.498000", "0", "->", "FIN"]


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("plain name.pcap", "plain name.pcap"),
        ("é.pcap", "é.pcap"),
        ("a\x1b[31mb", "a\\x1b[31mb"),
        ("line\nbreak", "line\\nbreak"),
        ("\udcff", "\\udcff"),
    ],
)
def test_names_are_printable(text: str, shown: str) -> None:
    """Control characters and lone surrogates become escapes, letters stay."""
    assert printable(text) == shown
    shown.encode()


def test_counts_agree_with_their_noun() -> None:
    """One is singular, thousands have commas."""
    assert plural(1, "frame") == "1 frame"
    assert plural(0, "frame") == "0 frames"
    assert plural(12_345, "more mismatch", "more mismatches") == "12,345 more mismatches"


def test_tables_align_and_wrap() -> None:
    """Columns are as wide as their longest cell, numbers end together, the last column wraps."""
    table = Table([Cell("a"), Cell("n", right=True), Cell("words")])
    table.rows += [[Cell("first"), Cell("5", right=True), Cell("many words " * 4)], "  across"]
    found = list(table.lines(Page(width=34)))
    assert found == [
        "a      n  words",
        "first  5  many words many words",
        "          many words many words",
        "  across",
    ]
    assert not table.fits(34)
    assert table.fits(34, last=20)


def test_styles_are_codes_only_with_colour() -> None:
    """A styled cell keeps its width, and has codes only where colour is wanted."""
    table = Table([Cell("a"), Cell("b")], [[Cell("xx", "bad"), Cell("y")]])
    assert list(table.lines(Page(colour=True)))[1] == "\x1b[1;31mxx\x1b[0m  y"
    assert list(table.lines(Page()))[1] == "xx  y"


def test_a_flood_of_joins_stays_readable() -> None:
    """Thousands of refused joins are told in a time line of bounded length."""
    talk = Conversation()
    talk.opened()
    for number in range(300):
        flow = talk.flow(ports=(1_000 + number, 80), nonces=(number, number))
        flow.join_syn()
        flow.segment(1, RST, seq=0)
    with analyze(talk.tape.pcap()) as trace:
        shown = list(timeline(trace.connection(0), Page()))
    assert len(shown) <= HEAD + TAIL + 3
