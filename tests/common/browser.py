"""Headless Chromium, driven as a person would: pages from files, what they log and ask for."""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

from selenium import webdriver
from selenium.webdriver.chrome.options import Options
from selenium.webdriver.chrome.service import Service
from selenium.webdriver.common.action_chains import ActionChains
from selenium.webdriver.common.by import By
from selenium.webdriver.remote.webelement import WebElement

from tests.common.machine import tool

__all__ = ["Browser"]

Found = TypeVar("Found")
#: Seconds after which what does not happen is taken for never; machines may be busy.
PATIENCE = 60


class Browser:
    """One browser window. Close it after use.

    Attributes:
        driver: Selenium's.
    """

    def __init__(self, width: int = 1300, height: int = 1000, *more: str) -> None:
        options = Options()
        options.binary_location = tool("chromium")
        for each in (
            "--headless=new", "--no-sandbox", "--disable-dev-shm-usage", "--hide-scrollbars",
            "--enable-unsafe-swiftshader", "--force-device-scale-factor=1",
            f"--window-size={width},{height}", *more,
        ):  # fmt: skip
            options.add_argument(each)
        options.set_capability("goog:loggingPrefs", {"browser": "ALL", "performance": "ALL"})
        self.driver = webdriver.Chrome(options=options, service=Service(tool("chromedriver")))

    def close(self) -> None:
        """End the browser."""
        self.driver.quit()

    def open(self, page: Path) -> None:
        """Open a page, scroll to its first picture, if it has any, and wait until it is drawn."""
        self.driver.get_log("performance")
        self.driver.get_log("browser")
        self.driver.get(page.as_uri())
        if self.js("return document.querySelector('details[open] figure') !== null"):
            self.show("details[open] figure")
            self.wait(lambda: self.count("figure[data-state=drawn]"), "a picture")

    def js(self, script: str, *arguments: Any) -> Any:
        """Run a script in the page."""
        return self.driver.execute_script(script, *arguments)

    def count(self, selector: str) -> int:
        """How many elements there are."""
        return len(self.all(selector))

    def all(self, selector: str) -> list[WebElement]:
        """The elements of a selector."""
        return self.driver.find_elements(By.CSS_SELECTOR, selector)

    def one(self, selector: str) -> WebElement:
        """The first element of a selector."""
        return self.driver.find_element(By.CSS_SELECTOR, selector)

    def show(self, selector: str) -> None:
        """Scroll to an element."""
        self.js("document.querySelector(arguments[0]).scrollIntoView({block: 'center'})", selector)

    def act(self) -> ActionChains:
        """What a person does with mouse and keys."""
        return ActionChains(self.driver, duration=50)

    def wait(self, happened: Callable[[], Found], what: str) -> Found:
        """Wait until something is true, and give it."""
        deadline = time.monotonic() + PATIENCE
        while time.monotonic() < deadline:
            found = happened()
            if found:
                return found
            time.sleep(0.02)
        raise AssertionError(f"{what} did not come; the browser says {self.errors()}")

    def errors(self) -> list[str]:
        """What the console complained of since the page was opened."""
        return [
            entry["message"]
            for entry in self.driver.get_log("browser")
            if entry["level"] == "SEVERE"
        ]

    def requests(self) -> list[str]:
        """What the page asked for since it was opened."""
        found = []
        for entry in self.driver.get_log("performance"):
            message = json.loads(entry["message"])["message"]
            if message["method"] == "Network.requestWillBeSent":
                found.append(message["params"]["request"]["url"])
        return found
