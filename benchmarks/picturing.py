"""What a report costs: ``report`` beside ``check``, its size, and how soon a browser shows it."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

from benchmarks.cache import Made
from benchmarks.judging import JUDGED
from benchmarks.measure import Run, run
from benchmarks.programs import judging
from benchmarks.report import table
from mptcp_oracle.errors import AdapterError

__all__ = ["BUDGET", "LARGEST", "LATEST", "Cost", "costs", "show"]

BUDGET = 2.0
"""A report may take twice the processor time of ``check``."""
LARGEST = 10_000_000
"""Octets that it may have."""
LATEST = 3.0
"""Seconds after which a browser that just started must have drawn its first picture."""

#: When the first picture was drawn, in milliseconds since the navigation began; null until then.
_DRAWN = """
const figure = document.querySelector('details[open] figure');
figure?.scrollIntoView();
return Number(document.querySelector('figure[data-state=drawn]')?.dataset.after ?? 0)
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Cost:
    """The shortest runs on one capture.

    Attributes:
        name: The capture. segments: How many it has. check, report: The runs.
        octets: Of the report. opened: Seconds until a browser drew the first picture.
    """

    name: str
    segments: int
    check: Run
    report: Run
    octets: int
    opened: float

    @property
    def ratio(self) -> float:
        """Processor time of ``report`` by that of ``check``."""
        return self.report.processor / self.check.processor

    @property
    def met(self) -> bool:
        """Whether it keeps to all budgets."""
        return self.ratio <= BUDGET and self.octets < LARGEST and self.opened < LATEST


def costs(
    program: str,
    captures: Sequence[tuple[str, Made]],
    rounds: int,
    progress: Callable[[str], None],
) -> list[Cost]:
    """Run both commands in turn on each capture, then open each report in a new browser.

    Raises:
        AdapterError: A command failed, or there is no browser.
    """
    found = []
    for name, made in captures:
        with TemporaryDirectory(prefix="mptcp-oracle-benchmark-") as folder:
            page = Path(folder, "report.html")
            report = [program, "report", str(made.path), "-o", str(page)]
            commands, runs = (judging(program, made.path), report), ([], [])
            for turn in range(rounds + 1):
                for command, held in zip(commands, runs, strict=True):
                    took = run(command, fine=JUDGED)
                    if turn:  # the first round warms the page cache
                        held.append(took)
                progress(f"{name}: round {turn} of {rounds}")
            check, drawn = (min(held, key=lambda each: each.processor) for held in runs)
            opened = min(_opened(page) for _ in range(rounds))
            found.append(
                Cost(
                    name=name, segments=made.segments, check=check, report=drawn,
                    octets=page.stat().st_size, opened=opened,
                )
            )  # fmt: skip
    return found


def _opened(page: Path) -> float:
    """Seconds until a browser that just started has drawn the first picture of a page."""
    from selenium import webdriver
    from selenium.webdriver.support.wait import WebDriverWait

    chromium, chromedriver = shutil.which("chromium"), shutil.which("chromedriver")
    if chromium is None or chromedriver is None:
        raise AdapterError(
            "chromium or chromedriver is not installed", hint="apt install chromium chromium-driver"
        )
    options = webdriver.ChromeOptions()
    options.binary_location = chromium
    for each in ("--headless=new", "--no-sandbox", "--enable-unsafe-swiftshader"):
        options.add_argument(each)
    driver = webdriver.Chrome(options=options, service=webdriver.ChromeService(chromedriver))
    try:
        driver.get("about:blank")
        driver.get(page.as_uri())
        after = WebDriverWait(driver, 60, 0.05).until(lambda it: it.execute_script(_DRAWN))
        return float(after) / 1000
    finally:
        driver.quit()


def show(found: Sequence[Cost]) -> str:
    """The table."""
    head = (
        "capture", "segments", "check s", "report s", "CPU ratio", "report MB", "memory MB",
        "opens in s", f"<= {BUDGET:g} x, < {LARGEST / 1e6:g} MB, < {LATEST:g} s",
    )  # fmt: skip
    rows = [
        (
            each.name,
            f"{each.segments:,}",
            f"{each.check.seconds:.2f}",
            f"{each.report.seconds:.2f}",
            f"{each.ratio:.2f}",
            f"{each.octets / 1e6:.1f}",
            f"{each.report.peak / 1e6:.0f}",
            f"{each.opened:.2f}",
            "yes" if each.met else "NO",
        )
        for each in found
    ]
    return "\n".join(table([head, *rows]))
