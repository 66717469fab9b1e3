"""The report in a browser: pictures are drawn, answer, and are linked; nothing leaves the file."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
from selenium.webdriver.common.keys import Keys

from mptcp_oracle.analysis.trace import analyze
from mptcp_oracle.pictures import dsn
from tests.common.browser import Browser
from tests.common.checkout import ROOT
from tests.common.command_line import run, said
from tests.common.report_page import Parsed, points, report

pytestmark = pytest.mark.slow

REINJECTED = ROOT / "corpus/kernel/loss-reinjection.pcapng"
ALL = "return [...document.querySelectorAll('figure[data-state=drawn] .plot')]"


@pytest.fixture(scope="module")
def page(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The report of a kernel's capture with reinjections."""
    path = tmp_path_factory.mktemp("report") / "report.html"
    path.write_text(report(REINJECTED))
    return path


@pytest.fixture(scope="module")
def redundant(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A generated transfer over three subflows, each of which carries everything."""
    folder = tmp_path_factory.mktemp("generated") / "bulk"
    options = ["--scheduler", "redundant", "--subflows", 3, "--vantage", "initiator"]
    result = run("generate", "-q", "--seed", 3, *options, "-o", folder)
    assert result.exit_code == 0, said(result)
    (found,) = folder.glob("*.pcapng")
    return found


def draw_all(browser: Browser) -> None:
    """Scroll to every picture of what is open, and wait until it is drawn."""
    for name in ("delays", "rates", "dsn"):
        selector = f"details[open] figure[data-figure={name}]"
        browser.show(selector)
        browser.wait(lambda: browser.count(f"{selector}[data-state=drawn]"), name)  # noqa: B023


def ranges(browser: Browser) -> list[list[float]]:
    """The time axes of all pictures that are drawn."""
    return browser.js(f"{ALL}.map((each) => each.layout.xaxis.range.map(Number))")


def settled(browser: Browser, was: list[list[float]]) -> list[list[float]]:
    """Wait until every time axis changed and all are the same, and give them."""

    def happened() -> list[list[float]] | None:
        found = ranges(browser)
        same = all(abs(a - b) < 1e-9 for each in found for a, b in zip(each, found[0], strict=True))
        return found if same and found != was else None

    return browser.wait(happened, "a change of the time axes")


def marks(browser: Browser, name: str) -> list[Any]:
    """The elements of the marks of one class in the picture of DSNs."""
    found: list[Any] = browser.js(
        "const plot = document.querySelector('figure[data-figure=dsn] .plot');"
        "return [...plot.querySelectorAll('.scatterlayer .trace')]"
        ".filter((each) => each.__data__[0].trace.meta?.mark === arguments[0])"
        ".flatMap((each) => [...each.querySelectorAll('.points path')]);",
        name,
    )
    return found


def hover(browser: Browser, element: Any) -> str:
    """Move the mouse to an element, and give the text that appears."""
    browser.act().move_by_offset(1, 1).move_to_element(element).perform()
    found: str = browser.wait(
        lambda: browser.js(
            "return [...document.querySelectorAll('.hoverlayer .hovertext')]"
            ".map((each) => each.textContent).join(' ')"
        ),
        "the text of a point",
    )
    return found


def test_pictures_are_drawn_without_a_request_or_an_error(browser: Browser, page: Path) -> None:
    """Every transmission has its mark, each picture its lines; only the file itself was read."""
    browser.open(page)
    draw_all(browser)
    (data,) = Parsed(page.read_text()).data
    drawn = browser.js(
        "const plot = document.querySelector('figure[data-figure=dsn] .plot');"
        "return [...plot.querySelectorAll('.scatterlayer .trace')].map((each) => ["
        "each.__data__[0].trace.meta.mark, each.querySelectorAll('.points path').length])"
    )
    for name in {each[4] for each in points(data)}:
        assert sum(n for mark, n in drawn if mark == name) == len(points(data, name))
    for name in ("rates", "delays"):
        assert browser.count(f"figure[data-figure={name}] .scatterlayer .trace") >= 4
    asked = [url for url in browser.requests() if not url.startswith(("data:", "blob:"))]
    assert asked == [page.as_uri()]
    assert browser.errors() == []


def test_hovering_shows_frame_and_dsn(browser: Browser, page: Path) -> None:
    """The text of a reinjection names its frame and DSNs, which are those of the trace."""
    browser.open(page)
    browser.show("figure[data-figure=dsn]")
    (data,) = Parsed(page.read_text()).data
    for box in browser.all(".legend input[value^='mark ']:not([value='mark reinjection'])"):
        box.send_keys(Keys.SPACE)
    browser.wait(lambda: not marks(browser, "first_seen"), "hidden marks")
    # What lies under the mouse may be the mark of a neighbour.
    last = marks(browser, "reinjection")[-1]
    shown = re.match(
        r"frame (\d+): reinjection, subflow (\d+)DSN (\d+) to (\d+),", hover(browser, last)
    )
    assert shown is not None
    frame, subflow, start, end = map(int, shown.groups())
    assert (frame, start, end) in [each[1:4] for each in points(data, "reinjection")]
    with analyze(REINJECTED) as trace:
        segment = trace.frame(frame)
    assert segment.subflow == subflow
    assert (start, end) in [(each.dsn, each.dsn_end) for each in segment.ranges]
    status = browser.one("figure[data-figure=dsn] .status").text
    assert f"frame.number == {frame}" in status


def test_zoom_and_links(browser: Browser, page: Path) -> None:
    """Zooming one picture zooms the others to the same time; a double click shows all again."""
    browser.open(page)
    draw_all(browser)
    before = ranges(browser)
    assert len(before) == 3
    plane = browser.all("figure[data-figure=dsn] .nsewdrag")[1]
    browser.act().move_to_element_with_offset(plane, -100, -20).click_and_hold().move_by_offset(
        150, 3
    ).release().perform()
    zoomed = settled(browser, before)
    assert zoomed[0][1] - zoomed[0][0] < 0.5 * (before[0][1] - before[0][0])
    browser.act().double_click(plane).perform()
    again = settled(browser, zoomed)
    assert again[0] == pytest.approx(before[0])


def test_keys_move_zoom_and_step(browser: Browser, page: Path) -> None:
    """Without a mouse: + zooms, arrows move, n steps to the first event, 0 shows all."""
    browser.open(page)
    draw_all(browser)
    before = ranges(browser)
    plot = browser.one("figure[data-figure=dsn] .plot")
    plot.send_keys("+")
    zoomed = settled(browser, before)
    assert zoomed[0][1] - zoomed[0][0] == pytest.approx((before[0][1] - before[0][0]) / 2)
    plot.send_keys(Keys.ARROW_RIGHT)
    moved = settled(browser, zoomed)
    assert moved[0][0] > zoomed[0][0]
    plot.send_keys("n")
    status = "figure[data-figure=dsn] .status"
    assert browser.wait(lambda: browser.one(status).text, "a frame").startswith("frame 1: SYN")
    plot.send_keys("n")
    browser.wait(lambda: browser.one(status).text.startswith("frame 2: SYN/ACK"), "the next one")
    plot.send_keys("0")
    assert settled(browser, moved)[0] == pytest.approx(before[0])


def test_a_verdict_leads_to_its_place(browser: Browser, page: Path) -> None:
    """The frame of a verdict shows where it is: every picture zooms to its time."""
    browser.open(page)
    draw_all(browser)
    before = ranges(browser)
    browser.js("document.querySelectorAll('.findings details').forEach((each) => {each.open = 1})")
    button = browser.one("button.goto")
    time = float(button.get_attribute("data-time"))  # type: ignore[arg-type]
    browser.show("button.goto")
    button.click()
    found = settled(browser, before)
    assert all(low < time < high for low, high in found)
    assert found[0][1] - found[0][0] < (before[0][1] - before[0][0]) / 5
    link = browser.one(".findings a[href^='#r-']")
    target = link.get_attribute("href").partition("#")[2]  # type: ignore[union-attr]
    assert "port" in browser.js("return document.getElementById(arguments[0]).nextSibling"
                                ".textContent", target)  # fmt: skip


def test_boxes_hide_subflows_and_marks(browser: Browser, page: Path) -> None:
    """Unticking a subflow or a mark in the legend takes its marks out of the picture."""
    browser.open(page)
    path = "figure[data-figure=dsn] .scatterlayer .trace"
    before = browser.count(path)
    box = browser.one(".legend input[value='subflow 1']")
    box.send_keys(Keys.SPACE)
    fewer = browser.wait(lambda: browser.count(path) < before and browser.count(path), "fewer")
    box.send_keys(Keys.SPACE)
    browser.wait(lambda: browser.count(path) == before, "all marks")
    browser.one(".legend input[value='mark reinjection']").send_keys(Keys.SPACE)
    browser.wait(lambda: browser.count(path) < before, "no reinjections")
    assert fewer < before


def test_the_sequence_diagram_is_drawn_when_it_is_opened(browser: Browser, page: Path) -> None:
    """It has no row before, then one for each event, in packetdrill's notation."""
    browser.open(page)
    assert browser.count(".sequence tr") == 0
    browser.js("document.querySelector('details.sequence').open = true")
    browser.wait(lambda: browser.count(".sequence tbody tr"), "the rows")
    with analyze(REINJECTED) as trace:
        events = trace.connections[0].events
    assert browser.count(".sequence tbody tr") == len(events)
    words = [each.text for each in browser.all(".sequence tbody td.used code")]
    assert words == [each.what for each in events]
    before = ranges(browser)
    browser.all(".sequence tbody button")[-1].click()
    settled(browser, before)


def test_light_dark_and_print(browser: Browser, page: Path) -> None:
    """The button changes the colours of page and pictures; what is printed is light."""
    browser.open(page)
    script = (
        "const plot = document.querySelector('figure .plot');"
        "return [getComputedStyle(document.body).backgroundColor, plot.layout.paper_bgcolor,"
        "plot.data.find((each) => each.meta?.subflow === 0).marker.color]"
    )
    light = browser.js(script)
    browser.one("button.theme").click()
    browser.wait(lambda: browser.js(script)[1] != light[1], "another ground")
    dark = browser.js(script)
    assert all(one != other for one, other in zip(light, dark, strict=True))
    width = "return document.querySelector('figure .plot svg').getBoundingClientRect().width"
    wide = browser.js(width)
    browser.js("dispatchEvent(new Event('beforeprint'))")
    assert browser.js(script)[1:] == light[1:]
    assert browser.js(width) < 700
    assert browser.js(f"{ALL.replace('[data-state=drawn]', '')}.every((each) => each.data)")
    browser.js("dispatchEvent(new Event('afterprint'))")
    browser.wait(lambda: browser.js(script)[1:] == dark[1:], "dark pictures")
    browser.wait(lambda: browser.js(width) == wide, "the whole width")


def test_a_redundant_transfer_in_webgl(
    browser: Browser, redundant: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A generated redundant transfer, drawn as one with very many points is: marks answer too."""
    monkeypatch.setattr(dsn, "MOST_VECTORS", 10)
    path = tmp_path / "redundant.html"
    path.write_text(report(redundant))
    browser.open(path)
    (data,) = Parsed(path.read_text()).data
    assert data["octets"]["initiator"] or data["octets"]["listener"]
    copies = points(data, "redundant")
    assert copies
    plot = "document.querySelector('figure[data-figure=dsn] .plot')"
    for box in browser.all(".legend input[value^='mark ']:not([value='mark redundant'])"):
        box.send_keys(Keys.SPACE)
    browser.wait(
        lambda: browser.js(
            f"const canvas = {plot}.querySelector('.gl-canvas-context');"
            "const all = document.createElement('canvas');"
            "all.width = canvas.width; all.height = canvas.height;"
            "const brush = all.getContext('2d'); brush.drawImage(canvas, 0, 0);"
            "return brush.getImageData(0, 0, all.width, all.height).data.some((each) => each > 0)"
        ),
        "points in WebGL",
    )
    browser.show("figure[data-figure=dsn]")
    place = browser.js(
        f"const plot = {plot}, box = plot.getBoundingClientRect(), l = plot._fullLayout;"
        "const trace = plot._fullData.find((each) => each.meta?.mark === 'redundant');"
        "const y = l[trace._input.yaxis.replace('y', 'yaxis')];"
        "return [l.xaxis.l2p(arguments[0]) + l.xaxis._offset + box.left,"
        "y.l2p(arguments[1]) + y._offset + box.top]",
        copies[0][0],
        copies[0][2],
    )
    act = browser.act()
    act.w3c_actions.pointer_action.move_to_location(round(place[0]) - 3, round(place[1]) - 3)
    act.w3c_actions.pointer_action.move_to_location(round(place[0]), round(place[1]))
    act.perform()
    text = browser.wait(
        lambda: browser.js("return document.querySelector('.hoverlayer .hovertext')?.textContent"),
        "the text of a point",
    )
    assert "frame " in text
    assert "redundant copy" in text
    assert "DSN " in text
    assert browser.errors() == []


def test_without_webgl_the_same_points_are_drawn(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """In a browser without WebGL, a picture that wants it is drawn as vectors."""
    monkeypatch.setattr(dsn, "MOST_VECTORS", 10)
    path = tmp_path / "report.html"
    path.write_text(report(REINJECTED))
    (data,) = Parsed(path.read_text()).data
    plain = Browser(1300, 1000, "--disable-3d-apis")
    try:
        plain.open(path)
        assert len(marks(plain, "reinjection")) == len(points(data, "reinjection"))
        assert plain.errors() == []
    finally:
        plain.close()


def test_a_hostile_name_does_nothing(browser: Browser, tmp_path: Path) -> None:
    """A capture named like a script runs none and adds no element; it is shown as it is."""
    name = '"><img src=x onerror="window.hacked=1"><script>window.hacked=1<!--.pcapng'
    capture = tmp_path / name
    capture.write_bytes(REINJECTED.read_bytes())
    path = tmp_path / "hostile.html"
    path.write_text(report(capture))
    browser.open(path)
    draw_all(browser)
    assert browser.js("return window.hacked") is None
    assert browser.count("img") == 0
    assert name in browser.one("h2").text
    assert browser.errors() == []


def test_an_injected_script_would_not_run(browser: Browser, page: Path, tmp_path: Path) -> None:
    """The policy is a second wall: scripts and pictures put into the file by hand do nothing."""
    planted = (
        "<script>window.hacked = 1</script><p onclick='window.hacked = 1'>"
        "<img src='http://127.0.0.1:9/x.png' onerror='window.hacked = 1'>"
    )
    path = tmp_path / "planted.html"
    path.write_text(page.read_text().replace("<main>", f"<main>{planted}", 1))
    browser.open(path)
    assert browser.js("return window.hacked") is None
    assert any("Content Security Policy" in each for each in browser.errors())
