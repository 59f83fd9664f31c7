"""The page in a real browser."""

from __future__ import annotations

import threading
from typing import Any

import pytest
from selenium.webdriver.common.keys import Keys

from examples.webchat.server import session_key
from openclaw_client import GatewayClient
from openclaw_client.testing import BlockingEmbeddedGateway
from tests.webchat.agent import HOSTILE
from tests.webchat.browser import Browser, Page
from tests.webchat.conftest import OpenPage
from tests.webchat.site import Site

pytestmark = pytest.mark.timeout(120)  # a browser that starts on a busy machine


def test_two_users_chat_at_once_and_see_only_their_own(open_page: OpenPage, gateway: BlockingEmbeddedGateway) -> None:
    ada, grace = open_page("ada"), open_page("grace")
    ada.say("gated by Ada")
    grace.say("gated by Grace")
    ada.wait_for("gated by Ada", "gated by Ada: first half, ")
    grace.wait_for("gated by Grace", "gated by Grace: first half, ")
    gateway.release()
    ada.wait_for("gated by Ada", "gated by Ada: first half, second half.")
    grace.wait_for("gated by Grace", "gated by Grace: first half, second half.")
    ada.wait(lambda: ada.entries()[1].state == "final")
    assert (ada.text("#user"), grace.text("#user")) == ("Ada", "Grace")


def test_messages_that_nobody_asked_for_arrive_by_themselves(
    open_page: OpenPage, gateway: BlockingEmbeddedGateway, site: Site
) -> None:
    ada, grace = open_page("ada"), open_page("grace")
    ada.say("hi")
    ada.wait_for("hi", "echo: hi")
    ada.mark()
    site.say("ada", "For Ada alone.")
    ada.wait_for("hi", "echo: hi", "For Ada alone.")
    with GatewayClient(gateway.url, token=gateway.token, scopes=["read", "write", "admin"]) as operator:
        operator.chat_inject(session_key=session_key("ada"), message="From an operator.", label="Desk")
    ada.wait(lambda: len(ada.entries()) == 4)
    assert [(entry.source, entry.text) for entry in ada.entries()[2:]] == [
        ("run", "For Ada alone."),
        ("injected", "[Desk]From an operator."),
    ]
    assert ada.marked()
    assert ada.find("#announcer").get_attribute("textContent").startswith("New message: [Desk]")
    assert grace.texts() == []


def test_a_message_that_is_no_text_is_no_empty_bubble(
    open_page: OpenPage, gateway: BlockingEmbeddedGateway, site: Site
) -> None:
    page = open_page("ada")
    page.say("hi")
    page.wait_for("hi", "echo: hi")
    page.wait(lambda: page.entries()[1].state == "final")

    def two_images(frame: dict[str, Any]) -> dict[str, Any]:
        frame["payload"]["message"]["content"] = [{"type": "image", "data": "iVBORw0KGgo="}] * 2
        return frame

    gateway.faults.rewrite("chat", two_images)
    site.say("ada", "an image")
    page.wait(lambda: len(page.entries()) == 3)
    assert page.text(".entry:last-child .body").endswith("Not shown here: 2 images.")
    assert page.find("#announcer").get_attribute("textContent") == "New message: Not shown here: 2 images."
    assert not page.sees(".entry:nth-child(2) .note")


def test_a_message_that_waits_for_the_run_of_another_program(
    open_page: OpenPage, gateway: BlockingEmbeddedGateway, other: GatewayClient
) -> None:
    page = open_page("ada")
    with other.chat_stream(session_key=session_key("ada"), message="gated") as theirs:
        assert next(theirs.text_stream).startswith("gated")
        page.say("mine")
        page.wait(lambda: page.sees(".status") and page.text(".assistant .status") == "Waiting for another run")
        gateway.release()
        page.wait_for("mine", "echo: mine", "gated: first half, second half.")
    page.wait(lambda: not page.sees(".status"))


def test_two_tabs_of_one_user(open_page: OpenPage, gateway: BlockingEmbeddedGateway, site: Site) -> None:
    first = open_page("ada")
    tab = first.driver.current_window_handle
    first.driver.switch_to.new_window("tab")
    other_tab = first.driver.current_window_handle
    try:
        first.driver.get(site.url)
        second = Page(first.browser)
        second.say("gated by the second")
        first.driver.switch_to.window(tab)
        first.say("from the first")
        both = [
            "gated by the second",
            "gated by the second: first half, second half.",
            "from the first",
            "echo: from the first",
        ]
        first.wait(lambda: first.texts() == [both[0], "gated by the second: first half, ", both[2], ""])
        gateway.release()
        first.wait_for(*both)
        first.driver.switch_to.window(other_tab)
        second.wait_for(*both)
    finally:
        first.driver.switch_to.window(other_tab)
        first.driver.close()
        first.driver.switch_to.window(tab)


def test_tools_and_thoughts_are_shown_as_they_happen(open_page: OpenPage, gateway: BlockingEmbeddedGateway) -> None:
    page = open_page("ada")
    page.say("tool")
    page.wait(lambda: page.sees('.tool[data-state="running"]'))
    assert page.text(".tool summary").split("\n") == ["weather", "Lisbon", ", running"]
    assert page.find(".assistant .thinking p").get_attribute("textContent") == "which one?"
    assert page.sees("#stop")
    gateway.release()
    page.wait_for("tool", "It is warm.")
    page.wait(lambda: page.sees('.tool[data-state="done"]'))
    page.find(".tool summary").click()
    page.wait(lambda: page.text(".tool").endswith("22 degrees"))
    page.wait(lambda: not page.sees("#stop"))


@pytest.mark.parametrize("by_key", [False, True], ids=["button", "escape"])
def test_a_reply_can_be_stopped(open_page: OpenPage, gateway: BlockingEmbeddedGateway, by_key: bool) -> None:
    page = open_page("ada")
    page.say("endless")
    page.wait_for("endless", "working")
    page.say("after it")
    page.wait(lambda: [entry.state for entry in page.entries()] == ["final", "running", "final", "waiting"])
    if by_key:
        page.find("#text").send_keys(Keys.ESCAPE)
    else:
        page.find("#stop").click()
    page.wait(lambda: [entry.state for entry in page.entries()] == ["final", "aborted", "final", "aborted"])
    assert page.texts() == ["endless", "working", "after it", ""]
    page.wait(lambda: not page.sees("#stop"))
    assert gateway.active_runs == []
    assert gateway.seen.requests["chat.send"] == 1


def test_a_gateway_that_restarts_in_mid_reply(open_page: OpenPage, gateway: BlockingEmbeddedGateway) -> None:
    page = open_page("ada")
    page.mark()
    page.say("gated")
    page.wait_for("gated", "gated: first half, ")
    restart = threading.Thread(target=gateway.restart, kwargs={"drain": 30})
    restart.start()
    # While it finishes what it has begun, it lets nobody in: the rest of the reply is heard by nobody.
    gateway.faults.disconnect(1012, "service restart")
    page.wait(lambda: page.sees("#banner"))
    assert page.text("#banner").startswith("The gateway is away.")
    assert page.text("#link-text") == "Reconnecting"
    gateway.release()
    restart.join()
    page.wait_for("gated", "gated: first half, second half.")
    page.wait(lambda: not page.sees("#banner") and page.text("#link-text") == "Connected")
    page.say("still there?")
    page.wait_for("gated", "gated: first half, second half.", "still there?", "echo: still there?")
    assert page.marked()


def test_a_gateway_that_dies_in_mid_reply(open_page: OpenPage, gateway: BlockingEmbeddedGateway) -> None:
    page = open_page("ada")
    page.say("gated")
    page.wait_for("gated", "gated: first half, ")
    gateway.restart()
    page.wait(lambda: page.entries()[1].state == "failed")
    assert page.text(".entry.assistant .problem").startswith("The gateway was lost in the middle of this reply.")
    assert page.texts() == ["gated", "gated: first half, "]


def test_a_failed_reply_can_be_asked_for_again(open_page: OpenPage, gateway: BlockingEmbeddedGateway) -> None:
    page = open_page("ada")
    page.say("fail")
    page.wait(lambda: page.sees(".problem button"))
    assert page.text(".entry.assistant .problem").split("\n")[0] == "The assistant failed: the model is gone"
    page.find(".problem button").click()
    page.wait(lambda: gateway.seen.requests["chat.send"] == 2 and not gateway.active_runs)
    page.wait(lambda: page.sees(".problem button") and page.texts() == ["fail", "so far so good"])


def test_a_web_server_that_restarts_in_mid_reply(
    open_page: OpenPage, gateway: BlockingEmbeddedGateway, site: Site
) -> None:
    page = open_page("ada")
    page.mark()
    page.say("gated")
    page.wait_for("gated", "gated: first half, ")
    site.stop()
    page.wait(lambda: page.sees("#banner"))
    assert page.text("#banner").startswith("The connection to this site is lost.")
    site.start()
    page.wait(lambda: not page.sees("#banner"))
    gateway.release()
    page.wait(lambda: page.texts() == ["gated", "gated: first half, second half."])
    assert page.marked()


def test_a_page_that_is_opened_again_shows_the_conversation(open_page: OpenPage, site: Site) -> None:
    page = open_page("ada")
    page.say("one")
    page.wait_for("one", "echo: one")
    page.driver.refresh()
    page.wait_for("one", "echo: one")
    site.stop()
    site.start()
    page.driver.refresh()
    page.wait_for("one", "echo: one")


def test_what_a_model_writes_becomes_no_markup_of_the_page(open_page: OpenPage) -> None:
    page = open_page("ada")
    page.say("hostile")
    page.wait(lambda: page.entries()[-1:] and page.entries()[-1].state == "final")
    page.say(HOSTILE.split("\n")[0])
    page.wait(lambda: len(page.entries()) == 4)
    assert page.count("#log img") == page.count("#log script") == page.count("#log b") == 0
    assert page.driver.title == "Webchat"
    links = page.driver.execute_script("return [...document.querySelectorAll('#log a')].map((a) => [a.href, a.rel])")
    assert links == [["https://example.org/?a=1&b=2", "noopener noreferrer nofollow"]]
    assert HOSTILE.split("\n")[0] in page.texts()[1]
    assert page.texts()[2] == HOSTILE.split("\n")[0]


def test_markdown_is_laid_out(open_page: OpenPage) -> None:
    page = open_page("ada")
    page.say("markdown")
    page.wait(lambda: page.count("td") == 2)
    for selector, text in {"h4": "Heading", "strong": "bold", "em": "slanted", ".text p code": "plain"}.items():
        assert page.find(f"#log {selector}").text == text
    assert [item.text for item in page.driver.find_elements("css selector", ".text li")] == ["one", "two"]


def test_lines_and_empty_messages(open_page: OpenPage) -> None:
    page = open_page("ada")
    page.say("   ")
    assert not page.find("#send").is_enabled()
    page.find("#text").send_keys("one", Keys.SHIFT + Keys.ENTER, Keys.NULL, "two", Keys.ENTER)
    page.wait(lambda: len(page.entries()) == 2)
    assert page.entries()[0].text == "   one\ntwo"


@pytest.mark.parametrize("how", ["isComposing: true", "keyCode: 229"])
def test_the_enter_that_ends_a_composition_sends_nothing(open_page: OpenPage, how: str) -> None:
    page = open_page("ada")
    page.find("#text").send_keys("日本")
    # Input methods are none of a headless browser's: the event is made as Chromium and Safari make it.
    event = f'new KeyboardEvent("keydown", {{key: "Enter", bubbles: true, cancelable: true, {how}}})'
    taken = page.driver.execute_script(f'return !document.getElementById("text").dispatchEvent({event})')
    assert not taken
    assert page.find("#text").get_attribute("value") == "日本"
    page.find("#text").send_keys("語", Keys.ENTER)
    page.wait_for("日本語", "echo: 日本語")


def test_a_message_that_met_no_server_is_given_back(
    open_page: OpenPage, gateway: BlockingEmbeddedGateway, site: Site
) -> None:
    page = open_page("ada")
    site.stop()
    page.say("hello")
    page.wait(lambda: page.sees("#notice") and "nothing is sent twice" in page.text("#notice"))
    assert page.find("#text").get_attribute("value") == "hello"
    site.start()
    page.wait(lambda: page.text("#link-text") == "Connected")
    page.find("#text").send_keys(Keys.ENTER)
    page.wait_for("hello", "echo: hello")
    assert not page.text("#notice")


def test_the_keyboard_is_enough_and_everything_has_a_name(open_page: OpenPage) -> None:
    page = open_page("ada")
    page.say("markdown")
    page.wait(lambda: page.count("td") == 2)
    controls = {"button", "textbox", "link", "main", "log"}
    tree = page.driver.execute_cdp_cmd("Accessibility.getFullAXTree", {})["nodes"]
    found = [(node["role"]["value"], node["name"]["value"]) for node in tree if not node["ignored"]]
    named = [(role, name) for role, name in found if role in controls]
    assert {role for role, _ in named} == controls
    assert all(name for _, name in named)
    reached = []
    for _ in range(6):
        reached.append(page.driver.switch_to.active_element.get_attribute("id"))
        page.driver.switch_to.active_element.send_keys(Keys.TAB)
    assert reached[0] == "text"
    assert "scroll" in reached


def test_nothing_is_wider_than_a_phone(open_page: OpenPage, browsers: dict[str, Browser]) -> None:
    page = open_page("ada")
    browsers["ada"].look((390, 844), "light")
    try:
        page.say("x" * 500)
        page.say("markdown")
        page.wait(lambda: page.count("td") == 2)
        width = (
            "return [...document.querySelectorAll('body, #scroll')].map((node) => node.scrollWidth - node.clientWidth)"
        )
        assert page.driver.execute_script(width) == [0, 0]
    finally:
        page.driver.execute_cdp_cmd("Emulation.clearDeviceMetricsOverride", {})
