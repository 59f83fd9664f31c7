"""The pictures of docs/webchat.md: `python -m tests.webchat.screenshots`. Looks best where the font Inter is there."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from examples.webchat.server import Setup, build_app, make_server
from tests.webchat.browser import Browser, Page, missing_browser
from tests.webchat.site import SECRET, serving

FOLDER = Path(__file__).parent.parent.parent / "docs" / "images"
PHONE, DESK = (390, 844), (1280, 800)


def conversation(page: Page) -> None:
    """A tool, a message that nobody asked for, and a reply that grows."""
    page.say("Remind me in 4 seconds")
    finished(page, 2)
    page.say("Look up the weather in Lisbon")
    finished(page, 4)
    page.wait(lambda: page.entries()[-1].source == "run")
    page.say("Tell me a long story")
    page.wait(lambda: len(page.texts()[-1]) > 90)


def away(page: Page) -> None:
    """The gateway, gone in the middle of a reply."""
    page.say("What can you do?")
    finished(page, 2)
    page.say("Restart the gateway")
    page.wait(lambda: page.sees("#banner"))


def approval(page: Page) -> None:
    """A command that waits for a person."""
    page.say("Delete the build folder")
    page.wait(lambda: page.sees('.ask[data-state="pending"] .choices'))


def question(page: Page) -> None:
    """A question, half answered."""
    page.say("Ask me something")
    page.wait(lambda: page.sees('.ask[data-state="pending"] form'))
    page.find('.ask input[type="radio"]').click()


def finished(page: Page, entries: int) -> None:
    page.wait(lambda: len(page.entries()) >= entries and page.entries()[entries - 1].state == "final")


def take(name: str, size: tuple[int, int], scheme: str, user: str, play: Callable[[Page], None] | None) -> None:
    """One picture of one user's page, with a server of its own."""
    app = build_app(Setup(("ada", "grace", "alan"), secret=SECRET))
    with serving(make_server(app, host="127.0.0.1", port=0)) as url:
        browser = Browser(width=size[0], height=size[1])
        try:
            browser.look(size, scheme)
            if play is None:
                browser.driver.get(url)
            else:
                play(browser.sign_in(url, user))
            browser.driver.save_screenshot(str(FOLDER / f"webchat-{name}.png"))
        finally:
            browser.quit()


def main() -> None:
    if reason := missing_browser():
        raise SystemExit(reason)
    FOLDER.mkdir(exist_ok=True)
    take("desk", DESK, "light", "ada", conversation)
    take("desk-dark", DESK, "dark", "grace", away)
    take("approval", DESK, "light", "ada", approval)
    take("question", PHONE, "dark", "grace", question)
    take("phone", PHONE, "light", "ada", conversation)
    take("phone-dark", PHONE, "dark", "grace", conversation)
    take("sign-in", PHONE, "light", "ada", None)


if __name__ == "__main__":
    main()
