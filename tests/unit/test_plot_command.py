"""Plots as files: agreement with the analysis, formats, hostile names, what goes wrong."""

from __future__ import annotations

import io
import json
import re
import struct
from collections import defaultdict
from pathlib import Path
from typing import Any
from xml.etree import ElementTree as ET

import pytest
from click.testing import Result

from mptcp_oracle.analysis.trace import analyze
from mptcp_oracle.pictures import files, library, moments, palette, xplot
from mptcp_oracle.pictures.plot_command import FORMS, KINDS
from mptcp_oracle.report.json import write
from tests.common.checkout import ROOT
from tests.common.command_line import run, said

KERNEL = ROOT / "corpus/kernel"
REINJECTED = KERNEL / "loss-reinjection.pcapng"
NUMBER, TIME = r"-?\d+(?:\.\d+)?(?:e[+-]?\d+)?", r"\d+\.\d{6}"
#: What xplot's parser takes, a line each; a text follows some of them.
GRAMMAR = [
    re.compile(f"line {TIME} {NUMBER} {TIME} {NUMBER}"),
    re.compile(f"(?:x|dot|plus|box|diamond|[udlrvh]tick|[udlr]arrow) {TIME} {NUMBER}"),
    re.compile("white|green|red|blue|yellow|purple|orange|magenta|pink"),
    re.compile("go"),
]
TEXTS = re.compile(f"title|xlabel|ylabel|[abclr]text {TIME} {NUMBER}")


def plot(source: Path, output: Path, *arguments: str | int) -> Result:
    """Draw a picture."""
    return run("plot", source, "-o", output, *arguments)


def told(source: Path) -> Any:
    """What ``analyze --json`` says of the first connection of a capture."""
    with analyze(source) as trace:
        file = io.StringIO()
        write(trace, file)
    return json.loads(file.getvalue())["connections"][0]


def drawn(lines: list[str]) -> dict[str, int]:
    """Octets by class in an xplot file of DSNs, from its bars and the marks that follow them."""
    names = {mark.xplot: name for name, mark in palette.MARKS.items()}
    found: defaultdict[str, int] = defaultdict(int)
    for at, line in enumerate(lines):
        if line.startswith("uarrow"):
            _, begin, low, end, high = lines[at + 1].split()
            assert begin == end
            assert lines[at - 1] == f"darrow {begin} {low}"
            name = names.get(lines[at + 2].split()[0], "first_seen")
            found[name] += int(high) - int(low)
    return dict(found)


@pytest.mark.parametrize("role", ["initiator", "listener"])
@pytest.mark.parametrize("slug", ["loss-reinjection", "bulk-two-paths", "zero-window"])
def test_xplot_files_agree_with_the_analysis(slug: str, role: str, tmp_path: Path) -> None:
    """The octets that an xplot file draws are, class by class, those of analyze --json."""
    source, output = KERNEL / f"{slug}.pcapng", tmp_path / "x.xpl"
    result = plot(source, output, "--direction", role, "--kind", "dsn")
    assert result.exit_code == 0, said(result)
    sums = told(source)[role]["transmissions"]
    wanted = {name: octets for name, octets in sums.items() if octets and name != "unmapped"}
    assert drawn(output.read_text().splitlines()) == wanted


@pytest.mark.parametrize("kind", sorted(xplot.KINDS))
def test_xplot_files_are_what_xplot_reads(kind: str, tmp_path: Path) -> None:
    """Every line is one that xplot knows, and times are those of the capture."""
    output = tmp_path / "x.xpl"
    assert plot(REINJECTED, output, "--kind", kind).exit_code == 0
    lines = iter(output.read_text().splitlines())
    assert next(lines) == "timeval double"
    count = 0
    for line in lines:
        count += 1
        if TEXTS.fullmatch(line):
            assert next(lines)
        else:
            assert any(each.fullmatch(line) for each in GRAMMAR), line
    assert count > 50
    with analyze(REINJECTED) as trace:
        first, last = int(trace.segments.time.min()), int(trace.segments.time.max())
    seconds = [float(each) for each in re.findall(rf"arrow ({TIME})", output.read_text())]
    assert all(first * 1e-9 - 1e-5 <= each <= last * 1e-9 + 1e-5 for each in seconds)


@pytest.mark.parametrize("kind", KINDS)
def test_svg_is_well_formed_and_reproducible(kind: str, tmp_path: Path) -> None:
    """Each kind gives an SVG without scripts or references, the same each time."""
    one, other = tmp_path / "one.svg", tmp_path / "other.svg"
    for output in (one, other):
        result = plot(REINJECTED, output, "--kind", kind)
        assert result.exit_code == 0, said(result)
    assert one.read_bytes() == other.read_bytes()
    tree = ET.parse(one)
    names = {element.tag.rpartition("}")[2] for element in tree.iter()}
    assert {"svg", "path", "g"} <= names
    assert "script" not in names
    for element in tree.iter():
        for key, value in element.attrib.items():
            if key.endswith("href"):
                assert value.startswith("#")


def test_png_has_a_size(tmp_path: Path) -> None:
    """A PNG is one, and as wide as is said."""
    output = tmp_path / "x.png"
    assert plot(REINJECTED, output, "--kind", "share").exit_code == 0
    data = output.read_bytes()
    assert data[:8] == b"\x89PNG\r\n\x1a\n"
    assert struct.unpack(">I", data[16:20]) == (int(files.WIDTH * files.DOTS),)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("slug", ["joined-path-only", "close-without-data", "tcp-fast-open"])
def test_odd_captures_can_be_drawn(slug: str, kind: str, tmp_path: Path) -> None:
    """No handshake, no data, nothing mapped: there is a picture all the same."""
    result = plot(KERNEL / f"{slug}.pcapng", tmp_path / "x.svg", "--kind", kind)
    assert result.exit_code == 0, said(result)


@pytest.mark.parametrize("form", FORMS)
def test_a_hostile_name_is_drawn_as_it_is(form: str, tmp_path: Path) -> None:
    """A name that looks like a formula, an element or a command of xplot is only a text."""
    name = "$\\frac{$_<g><script>\ngo\nx.pcapng"
    capture, output = tmp_path / name, tmp_path / f"x.{form}"
    capture.write_bytes(REINJECTED.read_bytes())
    result = plot(capture, output)
    assert result.exit_code == 0, said(result)
    if form == "svg":
        ET.parse(output)
    if form == "xpl":
        lines = output.read_text().splitlines()
        assert lines.count("go") == 1
        assert "\\ngo\\n" in lines[2]


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["-o", "x.pdf"], ".svg, .png, .xpl"),
        (["-o", "x"], "which format"),
        (["-o", "x.xpl", "--kind", "sequence"], "dsn, share, reinjection"),
        (["-o", "x.svg", "--direction", "listener"], "xplot"),
        (["-o", "x.svg", "--connection", "5"], "no connection 5"),
        (["-o", "x.svg", "--kind", "pie"], "pie"),
        (["-o", "none/x.svg"], "No such file"),
        ([], "--output"),
    ],
)
def test_wrong_usage_is_a_sentence(
    arguments: list[str], words: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What cannot be drawn is an error that says what can be, and writes nothing."""
    monkeypatch.chdir(tmp_path)
    result = run("plot", REINJECTED, *arguments)
    assert result.exit_code != 0
    assert words in said(result)
    assert not list(tmp_path.iterdir())


def test_no_mptcp_and_no_capture_are_errors(tmp_path: Path) -> None:
    """Where there is nothing to draw, or nothing to read, nothing is written."""
    plain, broken = KERNEL / "fallback-syn-stripped-server-view.pcapng", tmp_path / "broken.pcap"
    broken.write_bytes(b"no capture")
    assert "no MPTCP" in said(plot(plain, tmp_path / "x.svg"))
    assert plot(broken, tmp_path / "x.svg").exit_code == 3
    assert "folder" in said(plot(tmp_path, tmp_path / "x.svg"))
    assert [each.name for each in tmp_path.iterdir()] == ["broken.pcap"]


def test_without_matplotlib_it_says_what_to_install(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Without the package the error names it and the extra; xplot files need neither."""
    monkeypatch.setattr(library, "find_spec", lambda name: None)
    result = plot(REINJECTED, tmp_path / "x.svg")
    assert result.exit_code != 0
    assert "matplotlib" in said(result)
    assert "mptcp-oracle[plots]" in said(result)
    assert plot(REINJECTED, tmp_path / "x.xpl").exit_code == 0


def test_long_sequences_are_cut_and_say_so(monkeypatch: pytest.MonkeyPatch) -> None:
    """Of many events the first and the last are kept, and the rest is counted."""
    assert moments.ends([], 4) == ([], 0, [])
    every: Any = list(range(10))
    assert moments.ends(every, 10) == (every, 0, [])
    assert moments.ends(every, 4) == ([0, 1], 6, [8, 9])
