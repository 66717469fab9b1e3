"""The report's page: agreement with the analysis, odd captures, and hostile names."""

from __future__ import annotations

import io
import json
import struct
from collections import defaultdict
from ipaddress import ip_address
from pathlib import Path
from typing import Any

import dpkt
import pytest
from click.testing import CliRunner

from benchmarks.synthetic import write_many
from mptcp_oracle.analysis.trace import analyze
from mptcp_oracle.cli import cli
from mptcp_oracle.pictures import dsn, page, report
from mptcp_oracle.report.json import write
from mptcp_oracle.report.rewriting import commented
from tests.common.checkout import ROOT
from tests.common.report_page import Parsed, points
from tests.common.report_page import report as page_of

KERNEL = ROOT / "corpus/kernel"
CAPTURES = [
    "loss-reinjection", "three-subflows", "fallback-mid-connection", "zero-window", "fullmesh",
    "concurrent-connections", "options-cut", "server-any",
]  # fmt: skip
HOSTILE = '"><img src=x onerror=alert(1)><script>alert(2)<!--&amp;\u2028\x1b[31m'


def told(source: Path) -> Any:
    """What ``analyze --json`` says of a capture."""
    with analyze(source) as trace:
        file = io.StringIO()
        write(trace, file)
    return json.loads(file.getvalue())


@pytest.mark.parametrize("slug", CAPTURES)
def test_page_data_agree_with_the_analysis(slug: str) -> None:
    """The page's sums, and the octets of the points it draws, are those of analyze --json."""
    source = KERNEL / f"{slug}.pcapng"
    parsed = Parsed(page_of(source))
    connections = {each["id"]: each for each in told(source)["connections"]}
    seen = [each for each in parsed.data if each["connection"] >= 0]
    assert {each["connection"] for each in seen} == set(connections)
    for data in seen:
        for role in ("initiator", "listener"):
            wanted = {
                name: octets
                for name, octets in connections[data["connection"]][role]["transmissions"].items()
                if octets
            }
            sums: defaultdict[str, int] = defaultdict(int)
            for octets in data["octets"][role].values():
                for name, count in octets.items():
                    sums[name] += count
            assert sums == wanted
        drawn: defaultdict[str, int] = defaultdict(int)
        for _, _, start, end, name in points(data):
            drawn[name] += end - start
        both = connections[data["connection"]]
        for name, count in drawn.items():
            sent = sum(both[role]["transmissions"][name] for role in ("initiator", "listener"))
            assert count == sent


@pytest.mark.parametrize("slug", ["loss-reinjection", "fullmesh"])
def test_points_are_the_segments_of_the_trace(slug: str) -> None:
    """Each point names a frame that carried these relative DSNs, and its time."""
    source = KERNEL / f"{slug}.pcapng"
    (data,) = Parsed(page_of(source)).data
    with analyze(source) as trace:
        table = trace.transmissions
        mapped = table.mapped
        wanted = sorted(
            zip(
                table.frame[mapped].tolist(), table.dsn[mapped].tolist(),
                table.dsn_end[mapped].tolist(), strict=True,
            )
        )  # fmt: skip
        times = dict(zip(trace.segments.frame.tolist(), trace.segments.time.tolist(), strict=True))
        first = min(flow.first_frame for flow in trace.subflows)
    found = points(data)
    assert [each[1:4] for each in found] == wanted
    for time, frame, *_ in found:
        assert time == pytest.approx((times[frame] - times[first]) * 1e-9, abs=1e-9)


def test_dsns_are_relative_and_exact_in_javascript() -> None:
    """No number in a page's data is beyond 2**53, though the capture's DSNs have 64 bits."""
    parsed = Parsed(page_of(KERNEL / "loss-reinjection.pcapng"))
    assert all(0 < each[2] < each[3] < 1 << 53 for each in points(parsed.data[0]))
    hosts = told(KERNEL / "loss-reinjection.pcapng")["connections"][0]
    assert int(hosts["initiator"]["idsn"]) > 1 << 53


def test_a_page_asks_nobody_for_anything() -> None:
    """No element of the page loads anything, and its policy forbids what a script might try."""
    parsed = Parsed(page_of(KERNEL / "loss-reinjection.pcapng"))
    assert parsed.open == []
    size = f"{len(parsed.html.encode()) / 1e6:.2f} MB"
    assert f"This file has {size}" in parsed.text
    assert parsed.names() <= {
        "html", "head", "meta", "title", "style", "body", "header", "div", "h1", "h2", "h3", "h4",
        "p", "button", "main", "section", "dl", "dt", "dd", "ul", "ol", "li", "b", "table",
        "thead", "tbody", "tr", "th", "td", "a", "span", "i", "code", "details", "summary",
        "fieldset", "legend", "label", "input", "figure", "figcaption", "script", "footer",
        "blockquote",
    }  # fmt: skip
    for name, attributes in parsed.elements:
        assert not set(attributes) & {"src", "style", "onclick", "onerror"}, name
        if "href" in attributes:
            assert attributes["href"].startswith(("#", "https://www.rfc-editor.org/rfc/rfc"))  # type: ignore[union-attr]
    (policy,) = [
        attributes["content"]
        for _, attributes in parsed.elements
        if attributes.get("http-equiv") == "Content-Security-Policy"
    ]
    assert policy is not None
    assert policy.startswith("default-src 'none'; script-src 'sha256-")
    assert "http" not in policy.replace("http-equiv", "")


def test_a_hostile_name_stays_text(tmp_path: Path) -> None:
    """A capture's name, however it is spelled, is shown as it is and becomes no element."""
    capture = tmp_path / HOSTILE.replace("/", "")
    capture.write_bytes((KERNEL / "loss-reinjection.pcapng").read_bytes())
    plain, hostile = Parsed(page_of(KERNEL / "loss-reinjection.pcapng")), Parsed(page_of(capture))
    assert [name for name, _ in hostile.elements] == [name for name, _ in plain.elements]
    assert "<img src=x onerror=alert(1)>" in hostile.text
    assert "\x1b" not in hostile.html


def test_hostile_comments_stay_out(tmp_path: Path) -> None:
    """Comments on the file and on every frame, whatever they say, change nothing on the page."""
    source = KERNEL / "loss-reinjection.pcapng"
    capture = tmp_path / source.name
    data = memoryview(source.read_bytes())
    capture.write_bytes(b"".join(commented(data, dict.fromkeys(range(1, 322), HOSTILE), HOSTILE)))
    plain, hostile = Parsed(page_of(source)), Parsed(page_of(capture))
    assert b"alert(1)" in capture.read_bytes()
    assert "alert(1)" not in hostile.text
    assert [name for name, _ in hostile.elements] == [name for name, _ in plain.elements]
    assert hostile.data == plain.data


def test_a_hostile_waiver_stays_text(tmp_path: Path) -> None:
    """The reason of a waiver is text from a file: it becomes no element either."""
    from mptcp_oracle.rules.waivers import Waivers

    source = KERNEL / "loss-reinjection.pcapng"
    waivers = tmp_path / "w.toml"
    reason = json.dumps(HOSTILE)
    waivers.write_text(
        "schema = 1\ntarget = 'w'\n[[waiver]]\nrequirement = '8684-3.9.1-join-source-port'\n"
        f"kind = 'deviation'\nreason = {reason}\nreference = 'none'\n"
    )
    known = Waivers.read([str(waivers)], ["w"])
    parsed = Parsed(page_of(source, waivers=known))
    assert "Expected: deviation: " + HOSTILE.partition("\u2028")[0] in parsed.text
    assert "img" not in parsed.names()


def empty(path: Path) -> Path:
    """A capture without a frame."""
    path.write_bytes(struct.pack("<IHHiIII", 0xA1B2C3D4, 2, 4, 0, 0, 65535, 1))
    return path


def test_captures_without_mptcp_give_a_page(tmp_path: Path) -> None:
    """An empty capture and one of plain TCP say that there is no MPTCP, without a picture."""
    plain = KERNEL / "fallback-syn-stripped-server-view.pcapng"
    parsed = Parsed(page_of(empty(tmp_path / "empty.pcap"), plain))
    assert parsed.text.count("There is no MPTCP in this capture.") == 2
    assert parsed.data == []
    assert "figure" not in parsed.names()


@pytest.mark.parametrize("slug", ["joined-path-only", "options-cut"])
def test_subflows_without_their_connection_have_pictures_too(slug: str) -> None:
    """A capture that lacks the handshake shows each subflow by itself, its ends by their place."""
    source = KERNEL / f"{slug}.pcapng"
    parsed = Parsed(page_of(source))
    strays = told(source)["unattached"]
    assert len(parsed.data) == len(strays) > 0
    for data, flow in zip(parsed.data, strays, strict=True):
        assert set(data["octets"]) == {"source", "destination"}
        for end, octets in data["octets"].items():
            counts = octets.get(str(flow["id"]), {})
            wanted = {name: count for name, count in flow["transmissions"][end].items() if count}
            assert counts == wanted


def frames(slug: str) -> tuple[int, list[tuple[float, bytes]]]:
    """Link type, times and octets of a recording's frames, as dpkt reads them."""
    with (KERNEL / f"{slug}.pcapng").open("rb") as file:
        reader = dpkt.pcapng.Reader(file)
        return reader.datalink(), [(float(time), bytes(octets)) for time, octets in reader]


def _from(octets: bytes, source: bytes) -> bool:
    """Whether an address of a frame is its source: 10.1.x.x, the destination, follows it."""
    return octets[octets.index(source) + 4 :].startswith(b"\x0a\x01")


def test_one_side_alone_has_pictures_of_what_it_sent() -> None:
    """A capture of one direction shows what that host sent, and says what nobody can know."""
    linktype, every = frames("loss-reinjection")
    listener = ip_address("10.2.1.1").packed
    other = [each for each in every if _from(each[1], listener)]
    one = [each for each in every if each not in other]
    assert one
    assert other
    for side in (one, other):
        for data in Parsed(page_of(side, linktype=linktype, name="side")).data:
            sums = [
                sum(sum(flow.values()) for flow in of.values()) for of in data["octets"].values()
            ]
            assert sorted(sums)[0] == 0
            assert len(data["figures"]["dsn"]["points"]) <= 1


@pytest.mark.parametrize("cut", ["start", "middle", "end", "snap"])
def test_cut_captures_have_a_page(cut: str) -> None:
    """Without its beginning, its middle, its end, or most octets of a frame a capture has one."""
    linktype, every = frames("loss-reinjection")
    kept = {
        "start": every[150:],
        "middle": every[:100] + every[200:],
        "end": every[:160],
        "snap": [(time, octets[:80]) for time, octets in every],
    }[cut]
    parsed = Parsed(page_of(kept, linktype=linktype, name=cut))
    assert parsed.open == []
    assert parsed.data
    assert any(points(data) for data in parsed.data) or cut == "snap"


@pytest.mark.slow
def test_a_thousand_connections_fit_on_a_page(tmp_path: Path) -> None:
    """All are listed, fifty are told of, and with no limit as many as there is room for."""
    source = tmp_path / "many.pcap"
    write_many(source, 1_000)
    for limit, least in ((50, 50), (0, 100)):
        html = page_of(source, limit=limit)
        assert len(html.encode()) < 10_000_000
        parsed = Parsed(html)
        told_of = len(parsed.data)
        assert told_of == 50 if limit else told_of >= least
        assert f"{told_of} of 1,000 are told of below" in parsed.text or told_of < 1_000
        assert sum(name == "tr" for name, _ in parsed.elements) > 1_000
        opened = [each for name, each in parsed.elements if name == "details" and "open" in each]
        assert len(opened) == 1


def test_an_unreadable_capture_is_told_of(tmp_path: Path) -> None:
    """What cannot be read is an error, exit status 3, and the page tells of the rest and of it."""
    broken, output = tmp_path / "broken.pcap", tmp_path / "report.html"
    broken.write_bytes(b"no capture")
    good = KERNEL / "loss-reinjection.pcapng"
    result = CliRunner().invoke(cli, ["report", str(broken), str(good), "-o", str(output)])
    assert result.exit_code == 3
    assert "broken.pcap" in result.output
    parsed = Parsed(output.read_text())
    assert "cannot be read" in parsed.text
    assert len(parsed.data) == 1


@pytest.mark.parametrize(
    "arguments",
    [
        ["report", "FILE"],
        ["report", "FILE", "-o", "FOLDER"],
        ["report", "FILE", "-o", "FOLDER/none/report.html"],
        ["report", "FILE", "FILE", "--connection", "0", "-o", "OUTPUT"],
        ["report", "FILE", "--connection", "7", "-o", "OUTPUT"],
        ["report", "FILE", "--host", "nobody", "-o", "OUTPUT"],
    ],
)
def test_what_cannot_be_written_or_asked_is_an_error(arguments: list[str], tmp_path: Path) -> None:
    """Wrong usage, and a place where nothing can be written, give a sentence and no page."""
    names = {"FILE": str(KERNEL / "loss-reinjection.pcapng"), "FOLDER": str(tmp_path)}
    names["OUTPUT"] = str(tmp_path / "report.html")
    given = [names.get(each, each.replace("FOLDER", str(tmp_path))) for each in arguments]
    result = CliRunner().invoke(cli, given)
    assert result.exit_code != 0
    assert not list(tmp_path.iterdir())


def test_what_has_no_room_is_left_out_and_said(monkeypatch: pytest.MonkeyPatch) -> None:
    """With less room than connections want the page stays below the limit, and says so."""
    source = KERNEL / "short-connections.pcapng"
    whole = Parsed(page_of(source))
    assert len(whole.data) == 30
    room = len(whole.html) - sum(len(json.dumps(each)) for each in whole.data[10:])
    monkeypatch.setattr(report, "MARGIN", 0)
    monkeypatch.setattr(report, "MOST_OCTETS", room)
    less = Parsed(page_of(source))
    assert 0 < len(less.data) < len(whole.data)
    assert "No room is left for its pictures" in less.text or "are told of below" in less.text
    assert len(less.html) < page.MOST_OCTETS
    monkeypatch.setattr(report, "MOST_OCTETS", 0)
    none = Parsed(page_of(source))
    assert none.data == []
    assert "0 of" in none.text


def test_the_limit_chooses_the_busiest(tmp_path: Path) -> None:
    """With --limit the page tells of so many connections, and lists them all."""
    source = KERNEL / "concurrent-connections.pcapng"
    output = tmp_path / "report.html"
    result = CliRunner().invoke(cli, ["report", str(source), "--limit", "1", "-o", str(output)])
    assert result.exit_code == 0, result.output
    parsed = Parsed(output.read_text())
    octets = {
        each["id"]: sum(
            sum(each[role]["transmissions"].values()) for role in ("initiator", "listener")
        )
        for each in told(source)["connections"]
    }
    assert [each["connection"] for each in parsed.data] == [max(octets, key=octets.__getitem__)]
    assert all(f"connection {number}" in parsed.text for number in octets)


def test_thinning_is_said_and_keeps_what_is_exceptional(monkeypatch: pytest.MonkeyPatch) -> None:
    """Where first transmissions are thinned the picture says how many are drawn, and all copies
    are still there.
    """
    source = KERNEL / "loss-reinjection.pcapng"
    (whole,) = Parsed(page_of(source)).data
    monkeypatch.setattr(dsn, "MOST_ORDINARY", 3)
    monkeypatch.setattr("mptcp_oracle.pictures.thinning.kept.__kwdefaults__", {"slots": 4})
    (thin,) = Parsed(page_of(source)).data
    figure = thin["figures"]["dsn"]
    counts = figure["points"]
    drawn = sum(each["drawn"] for each in counts.values())
    every = sum(each["all"] for each in counts.values())
    assert (len(points(thin)), len(points(whole))) == (drawn, every)
    assert drawn < every
    assert figure["layout"]["annotations"][-1]["text"].startswith(f"{drawn:,} of {every:,} ")
    for each in points(whole):
        if each[4] != "first_seen":
            assert each in points(thin)
    assert whole["figures"]["dsn"]["layout"]["annotations"][-1]["text"] != "undefined"
    assert set(points(thin)) < set(points(whole))
