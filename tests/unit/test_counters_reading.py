"""Files of kernel counters: every form is read alike, and what is none is refused."""

from __future__ import annotations

import json
from contextlib import suppress
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mptcp_oracle.counters.reading import changes, parse, read
from mptcp_oracle.counters.table import TABLE
from mptcp_oracle.errors import UsageError

TEXT = """\
#kernel
IpInReceives                    12                 0.0
MPTcpExtMPCapableSYNRX          2                  0.0
MPTcpExtMPJoinSynRx             0                  0.0
"""
PROC = """\
TcpExt: SyncookiesSent SyncookiesRecv
TcpExt: 0 0
MPTcpExt: MPCapableSYNRX MPJoinSynRx
MPTcpExt: 2 0
"""
JSON = json.dumps(
    {"kernel": {"IpInReceives": 12, "MPTcpExtMPCapableSYNRX": 2, "MPTcpExtMPJoinSynRx": 0}}
)


@pytest.mark.parametrize("text", [TEXT, PROC, JSON], ids=["text", "proc", "json"])
def test_every_form_gives_the_same_counters(text: str) -> None:
    """Text and JSON of nstat and the kernel's own file hold the same two counters."""
    assert parse(text) == {"MPCapableSYNRX": 2, "MPJoinSynRx": 0}


def test_what_is_left_out_is_zero_where_zeros_are_left_out() -> None:
    """A list without a zero has only what moved: the other counters of the table are 0."""
    found = parse(TEXT.replace("MPTcpExtMPJoinSynRx             0                  0.0\n", ""))
    assert found == {row.counter: 0 for row in TABLE} | {"MPCapableSYNRX": 2}
    assert not any(parse("#kernel\n").values())
    assert not any(parse('{"kernel": {}}').values())


@pytest.mark.parametrize(
    "text",
    [
        "",
        "root:x:0:0:root:/root:/bin/sh\n",
        "MPTcpExtAddAddr many 0.0\n",
        "MPTcpExtAddAddr -1 0.0\n",
        "{",
        '{"kernel": 1}',
        "IpInReceives 0 0.0\n",
        "one two three four\n",
    ],
)
def test_what_is_no_list_of_counters_is_refused(text: str) -> None:
    """Anything else is an error that says what is understood."""
    with pytest.raises(UsageError) as caught:
        parse(text)
    assert "nstat" in str(caught.value)


def test_a_file_that_cannot_be_read_is_named(tmp_path: Path) -> None:
    """A missing file, a folder, octets that are no text: the error begins with the path."""
    binary = tmp_path / "binary"
    binary.write_bytes(b"\xff\xfe\x00")
    for path in (tmp_path / "missing", tmp_path, binary):
        with pytest.raises(UsageError, match=str(path)):
            read(path)


@given(st.text(max_size=200))
def test_any_text_is_read_or_refused(text: str) -> None:
    """No text makes the reader fail otherwise than by its own error."""
    with suppress(UsageError):
        assert all(value >= 0 for value in parse(text).values())


def test_two_readings_give_the_changes() -> None:
    """The later one less the earlier one; a counter that went back is no second reading."""
    assert changes({"AddAddr": 1}, {"AddAddr": 4, "RmAddr": 2}) == {"AddAddr": 3, "RmAddr": 2}
    assert changes({"MPCurrEstab": 3}, {"MPCurrEstab": 1}) == {"MPCurrEstab": -2}
    with pytest.raises(UsageError, match="AddAddr went back"):
        changes({"AddAddr": 4}, {"AddAddr": 1})
