"""A headless Chromium, and the page in it as a person sees it."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from selenium import webdriver
from selenium.webdriver.chrome.service import Service
from selenium.webdriver.common.by import By
from selenium.webdriver.common.keys import Keys
from selenium.webdriver.remote.webelement import WebElement

from tests.waiting import wait_until

FLAGS = (
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-dev-shm-usage",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--lang=en-GB",
)
_SHOWN = """return [...document.querySelectorAll(".entry")].map((entry) => ({
    role: entry.classList.contains("user") ? "user" : "assistant", state: entry.dataset.state,
    source: entry.dataset.source, text: entry.querySelector(".text").textContent}))"""


def missing_browser() -> str | None:
    """Why no browser can be started here; None where one can."""
    missing = [name for name in ("chromium", "chromedriver") if shutil.which(name) is None]
    return f"{' and '.join(missing)} not installed (Debian: chromium, chromium-driver)" if missing else None


@dataclass(frozen=True)
class Shown:
    """One entry of the conversation."""

    role: str
    state: str
    source: str
    text: str


class Browser:
    """A Chromium with a profile of its own."""

    def __init__(self, *, width: int = 1280, height: int = 800) -> None:
        self._profile = tempfile.TemporaryDirectory(prefix="oc-chromium-", ignore_cleanup_errors=True)
        options = webdriver.ChromeOptions()
        options.binary_location = str(shutil.which("chromium"))
        for flag in (*FLAGS, f"--user-data-dir={self._profile.name}", f"--window-size={width},{height}"):
            options.add_argument(flag)
        options.set_capability("goog:loggingPrefs", {"browser": "ALL"})
        self.driver = webdriver.Chrome(options=options, service=Service(shutil.which("chromedriver")))

    def sign_in(self, url: str, user: str) -> Page:
        self.driver.get(url)
        self.driver.find_element(By.CSS_SELECTOR, f'button[value="{user}"]').click()
        return Page(self)

    def look(self, size: tuple[int, int], scheme: str) -> None:
        """Be a screen of this size in CSS pixels, of somebody who likes it "light" or "dark"."""
        metrics = {"width": size[0], "height": size[1], "deviceScaleFactor": 1, "mobile": size[0] < 600}
        self.driver.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", metrics)
        features = [{"name": "prefers-color-scheme", "value": scheme}]
        self.driver.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": features})

    def leave(self) -> None:
        """Forget the site."""
        self.driver.get("about:blank")
        self.driver.execute_cdp_cmd("Network.clearBrowserCookies", {})

    def complaints(self) -> list[str]:
        """What the console says is wrong: scripts that fail, and whatever the content policy forbids."""
        return [
            entry["message"]
            for entry in self.driver.get_log("browser")
            # A server that goes away, and one that refuses, are part of the tests.
            if entry["level"] == "SEVERE" and entry["source"] != "network"
        ]

    def quit(self) -> None:
        self.driver.quit()
        self._profile.cleanup()


class Page:
    """One user's page, loaded."""

    def __init__(self, browser: Browser) -> None:
        self.browser = browser
        self.driver = browser.driver
        self.wait(lambda: self.driver.find_elements(By.CSS_SELECTOR, 'body.chat[data-loaded="true"]'))

    def say(self, text: str, *, key: str = Keys.ENTER) -> None:
        self.find("#text").send_keys(text, key)

    def entries(self) -> list[Shown]:
        return [Shown(**entry) for entry in self.driver.execute_script(_SHOWN)]

    def texts(self) -> list[str]:
        return [entry.text for entry in self.entries()]

    def wait_for(self, *texts: str) -> None:
        """The conversation is exactly this."""
        self.wait(lambda: self.texts() == list(texts))

    def find(self, selector: str) -> WebElement:
        return self.driver.find_element(By.CSS_SELECTOR, selector)

    def count(self, selector: str) -> int:
        return len(self.driver.find_elements(By.CSS_SELECTOR, selector))

    def sees(self, selector: str) -> bool:
        """Whether one of these is shown. Asked within the page, where an element cannot be replaced meanwhile."""
        script = "return [...document.querySelectorAll(arguments[0])].some((node) => node.checkVisibility())"
        return bool(self.driver.execute_script(script, selector))

    def text(self, selector: str) -> str:
        """What the first of these shows."""
        return str(self.driver.execute_script("return document.querySelector(arguments[0]).innerText", selector))

    def mark(self) -> None:
        """Leave something that a reload would take away."""
        self.driver.execute_script("window.mark = true")

    def marked(self) -> Any:
        return self.driver.execute_script("return window.mark === true")

    def wait(self, condition: Callable[[], object]) -> None:
        try:
            wait_until(condition)
        except AssertionError as error:
            body = self.driver.execute_script("return document.body.innerText")
            raise AssertionError(f"{error}; the page:\n{body}") from None
