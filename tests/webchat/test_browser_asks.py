"""What an agent asks, in a real browser."""

from __future__ import annotations

from typing import Any

import pytest
from selenium.webdriver.common.keys import Keys

from openclaw_client.testing import BlockingEmbeddedGateway
from tests.webchat.browser import Browser, Page
from tests.webchat.conftest import OpenPage

pytestmark = [
    pytest.mark.timeout(120),  # a browser that starts on a busy machine
    pytest.mark.parametrize("gateway", ["2026.9.6"], indirect=True),
]

HOSTILE = "rm -rf <img src=x onerror=\"document.title='pwned'\"> \u202egnp"
PENDING = '.ask[data-state="pending"]'


def ask(page: Page, text: str) -> None:
    """Say something to which the agent answers with a request; its card is there."""
    page.say(text)
    page.wait(lambda: page.sees(PENDING))


def outcome(page: Page, words: str) -> None:
    """The last card says that it ended so."""
    page.wait(lambda: page.sees(".ask .outcome") and not page.sees(PENDING))
    page.wait(lambda: page.text(".ask:last-of-type .outcome") == words)


def reply(page: Page, text: str) -> None:
    page.wait(lambda: page.texts()[-1:] == [text])  # an empty list as long as the page shows nothing yet


def announced(page: Page) -> str:
    return page.find("#announcer").get_attribute("textContent") or ""


def focused(page: Page) -> str:
    return str(page.driver.execute_script("return document.activeElement.closest('.ask') ? 'card' : 'elsewhere'"))


def accessible(page: Page, roles: set[str]) -> list[tuple[str, str]]:
    """Role and name of everything of these roles within cards."""
    tree = page.driver.execute_cdp_cmd("Accessibility.getFullAXTree", {})["nodes"]
    found: list[Any] = [(node["role"]["value"], node["name"]["value"]) for node in tree if not node["ignored"]]
    return [(role, name) for role, name in found if role in roles]


def test_a_command_is_shown_as_it_is_and_allowed(open_page: OpenPage) -> None:
    ada, grace = open_page("ada"), open_page("grace")
    ask(ada, f"command {HOSTILE}")
    assert ada.text(".ask .command") == HOSTILE.replace("\u202e", "\\u{202E}")
    assert ada.text(".ask .facts").split("\n") == ["Folder", "/srv/<i>project</i>", "Runs on", "gateway"]
    assert ada.text(".ask .warnings") == "Deletes <b>files</b>."
    assert ada.count(".ask img") == ada.count(".ask b") == ada.count(".ask i") == 0
    assert ada.text(".ask .choices").split("\n") == ["Allow once", "Always allow", "Deny"]
    ada.wait(lambda: ada.text(".ask .left") == "30 minutes left")
    assert announced(ada).startswith("The assistant wants to run a command: rm -rf <img")
    assert ada.text(".assistant .status") == "Waiting for your answer"
    assert focused(ada) == "elsewhere"
    ada.find('.ask [data-decision="allow-once"]').click()
    outcome(ada, "Allowed once.")
    reply(ada, "decided: allow-once")
    assert ada.count(".ask button") == 0
    assert focused(ada) == "card"
    assert ada.text(".ask .command").startswith("rm -rf <img")
    assert ada.driver.title == "Webchat"
    assert grace.count(".ask") == 0
    assert grace.texts() == []


def test_a_command_is_denied_with_the_keyboard(open_page: OpenPage) -> None:
    page = open_page("ada")
    ask(page, "command ls")
    named = accessible(page, {"button", "region", "group", "timer"})
    assert {("region", "The assistant wants to run a command"), ("group", "Command"), ("button", "Deny")} <= set(named)
    reached = []
    while "Deny" not in reached and len(reached) < 20:
        page.driver.switch_to.active_element.send_keys(Keys.SHIFT + Keys.TAB)
        reached.append(page.driver.switch_to.active_element.text)
    page.driver.switch_to.active_element.send_keys(Keys.ENTER)
    outcome(page, "Denied.")
    reply(page, "decided: deny")


def test_a_question_takes_a_choice_a_text_and_several(open_page: OpenPage) -> None:
    page = open_page("ada")
    ask(page, "question")
    assert page.text(".ask legend").split("\n") == ["Drink", "Which <b>drink</b>?"]
    named = accessible(page, {"radio", "checkbox", "textbox", "group"})
    assert [name for role, name in named if role == "radio"] == ["Tea", "<i>Coffee</i>"]
    assert [name for role, name in named if role == "checkbox"] == ["Milk", "Sugar"]
    assert [name for role, name in named if role == "textbox"].count("Another answer") == 2
    assert ("group", "Drink Which <b>drink</b>?") in [(role, " ".join(name.split())) for role, name in named]
    tea, own = page.find('.ask [type="radio"]'), page.find('.ask [type="text"]')
    tea.click()
    page.find(".ask form .main").click()
    page.wait(lambda: page.text(".ask .problem") == "Answer everything, or skip it.")
    assert page.driver.switch_to.active_element.get_attribute("type") == "checkbox"
    own.send_keys("Water")
    assert not tea.is_selected()
    tea.click()
    assert own.get_attribute("value") == ""
    for box in page.driver.find_elements("css selector", '.ask [type="checkbox"]'):
        box.click()
    own.send_keys("Lemonade", Keys.ENTER)
    outcome(page, "Answered.")
    reply(page, "answered: [['Lemonade'], ['Milk', 'Sugar']]")
    assert page.count(".ask form") == 0
    assert page.text(".ask .asked").split("\n") == ["Which <b>drink</b>?", "With what?"]


def test_a_secret_is_not_shown_and_does_not_stay(open_page: OpenPage) -> None:
    page = open_page("ada")
    ask(page, "secret")
    field = page.find('.ask input[type="password"]')
    assert ("textbox", "Your PIN?") in accessible(page, {"textbox"})
    field.send_keys("hush-4711", Keys.ENTER)
    outcome(page, "Answered.")
    reply(page, "got it: True")
    assert "hush-4711" not in page.driver.page_source
    assert page.count("input") == 0


def test_a_question_is_skipped(open_page: OpenPage) -> None:
    page = open_page("ada")
    ask(page, "question")
    page.find(".ask form .quiet").click()
    outcome(page, "Skipped.")
    reply(page, "answered: None")


def test_somebody_else_was_quicker(open_page: OpenPage, gateway: BlockingEmbeddedGateway) -> None:
    page = open_page("ada")
    ask(page, "command ls")
    button = page.find('.ask [data-decision="deny"]')
    page.driver.execute_script("arguments[0].focus()", button)
    gateway.resolve(gateway.pending_approvals[0].id, "allow-once")
    outcome(page, "Answered elsewhere: allowed once.")
    assert focused(page) == "card"
    reply(page, "decided: allow-once")


def test_time_goes_by(open_page: OpenPage) -> None:
    page = open_page("ada")
    page.say("brief")
    reply(page, "decided: None")
    outcome(page, "Expired: nobody answered in time.")


def test_a_page_that_is_opened_again_shows_what_is_pending(open_page: OpenPage) -> None:
    page = open_page("ada")
    ask(page, "command first")
    page.driver.refresh()
    page.wait(lambda: page.sees(PENDING))
    assert page.text(".ask .command") == "first"
    # Behind the reply that waits for it.
    order = "return [...document.querySelectorAll('#log > li')].map((node) => node.className)"
    page.wait(lambda: page.driver.execute_script(order) == ["entry user", "entry assistant", "ask approval"])
    page.find('.ask [data-decision="deny"]').click()
    outcome(page, "Denied.")
    reply(page, "decided: deny")


def test_what_was_typed_outlives_a_cut_connection(open_page: OpenPage, gateway: BlockingEmbeddedGateway) -> None:
    page = open_page("ada")
    ask(page, "secret")
    page.find(".ask input").send_keys("47")
    gateway.faults.disconnect(1012, "service restart")
    page.wait(lambda: gateway.seen.requests["question.list"] >= 2 and page.text("#link-text") == "Connected")
    page.driver.switch_to.active_element.send_keys("11", Keys.ENTER)
    outcome(page, "Answered.")
    reply(page, "got it: True")


def test_an_answer_that_met_no_server_can_be_given_again(open_page: OpenPage, gateway: BlockingEmbeddedGateway) -> None:
    page = open_page("ada")
    ask(page, "command ls")
    page.driver.execute_script("window.fetching = window.fetch; window.fetch = () => Promise.reject(new TypeError())")
    page.find('.ask [data-decision="deny"]').click()
    page.wait(lambda: page.text(".ask .problem").startswith("This site cannot be reached."))
    assert len(gateway.pending_approvals) == 1
    page.driver.execute_script("window.fetch = window.fetching")
    page.find('.ask [data-decision="deny"]').click()
    outcome(page, "Denied.")


def test_cards_are_no_wider_than_a_phone(open_page: OpenPage, browsers: dict[str, Browser]) -> None:
    page = open_page("ada")
    browsers["ada"].look((390, 844), "light")
    try:
        ask(page, f"command {'x' * 500}")
        page.find('.ask [data-decision="deny"]').click()
        outcome(page, "Denied.")
        reply(page, "decided: deny")
        ask(page, "question")
        boxes = "[...document.querySelectorAll('body, #scroll, .card')]"
        width = f"return {boxes}.map((node) => node.scrollWidth - node.clientWidth)"
        assert page.driver.execute_script(width) == [0, 0, 0, 0]
    finally:
        page.driver.execute_cdp_cmd("Emulation.clearDeviceMetricsOverride", {})
