"""``python -m tests.pictures``: make the pictures of the documents anew.

Screenshots need chromium and chromedriver, which ``apt install chromium chromium-driver`` brings.
Names of files may follow, to make only these.
"""

from __future__ import annotations

import io
import json
import sys
import tempfile
import time
from pathlib import Path

from PIL import Image

from mptcp_oracle.oracle import judge
from mptcp_oracle.pictures.library import plotly_js
from mptcp_oracle.pictures.report import Report
from tests.common.browser import Browser
from tests.common.checkout import ROOT
from tests.common.command_line import run, said
from tests.pictures import FOLDER, MADE, PICTURES, Picture, digests

WIDTH = 1100
#: Colours of a screenshot's palette: enough for text and marks, and small.
COLOURS = 96


def main() -> int:
    """Make them, and write down what they were made from."""
    wanted = [each for each in PICTURES if len(sys.argv) == 1 or each.file in sys.argv[1:]]
    made = json.loads(MADE.read_text()) if MADE.exists() else {}
    current = digests()
    for each in wanted:
        (_plot if each.kind else _screenshot)(each)
        made[each.file] = current[each.file]
        print(f"{each.file}: {(FOLDER / each.file).stat().st_size:,} octets")
    names = [each.file for each in PICTURES]
    MADE.write_text(json.dumps({name: made[name] for name in names}, indent=1) + "\n")
    return 0


def _plot(picture: Picture) -> None:
    source = ROOT / "corpus" / picture.capture
    result = run("plot", source, "--kind", picture.kind, "-o", FOLDER / picture.file)
    assert result.exit_code == 0, said(result)


def _screenshot(picture: Picture) -> None:
    report = Report(plotly_js())
    with judge(ROOT / "corpus" / picture.capture, name=picture.capture) as judgement:
        report.add(judgement)
    with tempfile.TemporaryDirectory() as folder:
        page = Path(folder) / "report.html"
        page.write_text(report.html())
        browser = Browser(WIDTH, picture.height)
        try:
            browser.open(page)
            if picture.dark:
                browser.one("button.theme").click()
            browser.js(picture.before or "return 0")
            browser.js("document.querySelector(arguments[0]).scrollIntoView()", picture.show)
            browser.wait(lambda: not browser.js(_EMPTY), "the pictures in sight")
            time.sleep(1)  # what is drawn last, and scrolling, settle
            shot = Image.open(io.BytesIO(browser.driver.get_screenshot_as_png()))
        finally:
            browser.close()
    small = shot.convert("RGB").quantize(COLOURS, dither=Image.Dither.NONE)
    small.save(FOLDER / picture.file, optimize=True)


#: Whether a picture is in sight and not drawn.
_EMPTY = """
return [...document.querySelectorAll('details[open] figure:not([data-state=drawn])')].some((each) =>
  each.getBoundingClientRect().top < innerHeight && each.getBoundingClientRect().bottom > 0)
"""

if __name__ == "__main__":
    sys.exit(main())
