"""What an agent asks the person at a real terminal."""

from __future__ import annotations

import shutil

import pytest

from openclaw_client.testing import BlockingEmbeddedGateway
from tests.cli.conftest import LOOKS, Open
from tests.cli.terminal import Terminal
from tests.waiting import wait_until

pytestmark = pytest.mark.skipif(shutil.which("tmux") is None, reason="tmux is not installed")

WAITS = pytest.mark.parametrize("gateway", ["2026.9.6"], indirect=True)
ENDS_EARLY = pytest.mark.parametrize("gateway", ["2026.4.15"], indirect=True)

QUESTION = "a number or text; Enter skips it:"


def reply(terminal: Terminal, prompt: str, typed: str, *, shown: bool = True) -> None:
    """Type an answer, as soon as it is asked for."""
    terminal.wait_for(prompt)
    terminal.type(typed)
    if shown:
        terminal.wait_for(f"{prompt} {typed}".rstrip())
    terminal.press("Enter")


def type_ahead(terminal: Terminal, text: str) -> None:
    """Type it until it is seen: the line that shows what goes on is drawn over the terminal's echo."""

    def seen() -> bool:
        terminal.type(text)
        return text in terminal.screen()

    wait_until(seen)


@LOOKS
@WAITS
@pytest.mark.parametrize(("typed", "told"), [("o", "allowed once"), ("deny", "denied")])
def test_a_command_is_shown_whole_and_decided_on(
    open_terminal: Open, gateway: BlockingEmbeddedGateway, look: tuple[str, ...], typed: str, told: str
) -> None:
    chat = open_terminal("chat", look=look)
    chat.wait_for_prompt()
    chat.say("command")
    screen = chat.wait_for("[o]nce [d]eny?")
    assert "[a]lways" not in screen
    for line in ("$ rm -r build", "> # \\u001b[2Jthen", "warning: it removes files", "in /srv/app on the gateway · 30"):
        assert f"\n  {line}" in screen
    reply(chat, "[o]nce [d]eny?", "a")
    wait_until(lambda: chat.screen().count("[o]nce [d]eny?") == 2)
    chat.type(typed)
    chat.press("Enter")
    screen = chat.wait_for_prompt()
    assert told in screen
    assert "elsewhere" not in screen
    assert f"decided: {'deny' if typed == 'deny' else 'allow-once'}" in screen
    assert not gateway.pending_approvals


@LOOKS
@WAITS
def test_always_is_offered_where_it_is_allowed(open_terminal: Open, look: tuple[str, ...]) -> None:
    terminal = open_terminal("chat", "on miss", look=look)
    reply(terminal, "[o]nce [a]lways [d]eny?", "a")
    assert terminal.wait_for_end() == 0
    assert "decided: allow-always" in terminal.screen()


@LOOKS
@WAITS
def test_several_questions_come_one_after_the_other(open_terminal: Open, look: tuple[str, ...]) -> None:
    chat = open_terminal("chat", look=look)
    chat.wait_for_prompt()
    chat.say("questions")
    screen = chat.wait_for("the agent asks 3 things · 15 min left", "1/3 Drink: What may it be?", "2. Coffee - from")
    assert "2/3" not in screen
    reply(chat, "a number or text; Enter skips all:", "Rum")
    chat.wait_for("2/3 Extras", "3. Lemon")
    reply(chat, "the numbers or text; Enter skips all:", "1,3")
    chat.wait_for("3/3 Code: The code of the machine?")
    reply(chat, "your answer, which is not shown; Enter skips all:", "s3cret", shown=False)
    screen = chat.wait_for_prompt()
    assert "'drink': ['Rum'], 'extras': ['Milk', 'Lemon']" in screen
    assert "s3cret" not in screen
    # What is typed is shown again.
    chat.say("echo?")
    assert "you> echo?" in chat.wait_for_prompt()


@LOOKS
@WAITS
def test_enter_skips_a_question(open_terminal: Open, look: tuple[str, ...]) -> None:
    terminal = open_terminal("chat", "question", look=look)
    reply(terminal, QUESTION, "")
    assert terminal.wait_for_end() == 0
    assert "skipped" in terminal.screen()
    assert "answers: None" in terminal.screen()


@LOOKS
@WAITS
def test_ctrl_c_ends_the_run_that_asks(
    open_terminal: Open, gateway: BlockingEmbeddedGateway, look: tuple[str, ...]
) -> None:
    terminal = open_terminal("chat", "questions", look=look)
    terminal.wait_for("1/3 Drink")
    terminal.press("C-c")
    assert terminal.wait_for_end() == 8
    assert "aborted" in terminal.screen()
    assert "Traceback" not in terminal.screen()
    assert gateway.active_runs == []


@LOOKS
@WAITS
def test_what_is_answered_elsewhere_is_told_and_what_was_typed_is_forgotten(
    open_terminal: Open, gateway: BlockingEmbeddedGateway, look: tuple[str, ...]
) -> None:
    chat = open_terminal("chat", look=look)
    chat.wait_for_prompt()
    chat.say("command")
    chat.wait_for("[o]nce [d]eny?")
    chat.type("half a wo")
    chat.wait_for("half a wo")
    gateway.resolve(gateway.pending_approvals[0].id, "deny")
    screen = chat.wait_for("answered elsewhere: denied", "decided: deny")
    assert chat.wait_for_prompt().count("half a wo") == screen.count("half a wo") == 1
    chat.say("go on")
    assert "\necho: go on\n" in chat.wait_for_prompt()


@LOOKS
@WAITS
def test_a_question_that_expires_is_told(open_terminal: Open, look: tuple[str, ...]) -> None:
    terminal = open_terminal("chat", "question that expires", look=look)
    assert terminal.wait_for_end() == 0
    assert "expired: the time for an answer is over" in terminal.screen()
    assert "answers: None" in terminal.screen()


@LOOKS
@WAITS
def test_ctrl_d_leaves_it_to_others(
    open_terminal: Open, gateway: BlockingEmbeddedGateway, look: tuple[str, ...]
) -> None:
    terminal = open_terminal("chat", "question", look=look)
    terminal.wait_for(QUESTION)
    terminal.press("C-d")
    terminal.wait_for("left open")
    gateway.answer(gateway.pending_questions[0].id, {"drink": ["Rum"]})
    assert terminal.wait_for_end() == 0
    assert "answered elsewhere" in terminal.screen()


@LOOKS
@WAITS
def test_what_was_typed_before_it_was_asked_is_no_answer(
    open_terminal: Open, gateway: BlockingEmbeddedGateway, look: tuple[str, ...]
) -> None:
    terminal = open_terminal("chat", "command behind a gate", look=look)
    terminal.wait_for("before the gate")
    terminal.type("o")
    terminal.press("Enter")
    type_ahead(terminal, "typed")
    gateway.release()
    terminal.wait_for("[o]nce [d]eny?")
    reply(terminal, "[o]nce [d]eny?", "d")
    assert terminal.wait_for_end() == 0
    assert "decided: deny" in terminal.screen()


@WAITS
def test_a_line_that_the_terminal_cuts_is_no_answer(open_terminal: Open) -> None:
    terminal = open_terminal("chat", "question")
    terminal.wait_for(QUESTION)
    terminal.type("x" * 5000)
    terminal.press("Enter")
    terminal.wait_for("a terminal takes no line that long")
    reply(terminal, QUESTION, "1")
    assert terminal.wait_for_end() == 0
    assert "answers: {'drink': ['Tea']}" in terminal.screen()


@LOOKS
@ENDS_EARLY
def test_where_the_run_does_not_wait_its_command_is_decided_on_all_the_same(
    open_terminal: Open, look: tuple[str, ...]
) -> None:
    chat = open_terminal("chat", look=look)
    chat.wait_for_prompt()
    chat.say("command")
    reply(chat, "[o]nce [d]eny?", "o")
    chat.wait_for("allowed once", "An async command the user already approved has completed.")
    chat.wait_for_prompt()


@LOOKS
@pytest.mark.parametrize("gateway", ["2026.2.17"], indirect=True)
def test_what_is_asked_behind_the_end_of_a_run_is_asked_for_with_enter(
    open_terminal: Open, gateway: BlockingEmbeddedGateway, look: tuple[str, ...]
) -> None:
    chat = open_terminal("chat", look=look)
    chat.wait_for_prompt()
    # Of no run of this chat.
    gateway.emit("exec.approval.requested", LATE)
    chat.wait_for("Enter on an empty line shows what it asks")
    chat.wait_for_prompt()
    chat.press("Enter")
    chat.wait_for("$ make late", "[o]nce [a]lways [d]eny?")
    chat.press("C-c")
    chat.wait_for("left open")
    chat.wait_for_prompt()
    chat.press("Enter")
    wait_until(lambda: chat.screen().count("$ make late") == 2)
    chat.press("Enter")
    # Nothing typed is no decision.
    wait_until(lambda: chat.screen().count("[d]eny?") == 3)
    # The gateway never heard of it.
    reply(chat, "[o]nce [a]lways [d]eny?", "d")
    chat.wait_for("it is over")
    chat.wait_for_prompt()


LATE = {
    "id": "late-1",
    "request": {"command": "make late", "sessionKey": "agent:main:main", "host": "gateway"},
    "createdAtMs": 1,
    "expiresAtMs": 9_999_999_999_999,
}
