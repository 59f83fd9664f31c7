"""The conversation, and one message, on a real terminal."""

from __future__ import annotations

import shutil

import pytest

from openclaw_client import GatewayClient
from openclaw_client.testing import BlockingEmbeddedGateway
from tests.cli.conftest import LOOKS, WITHOUT_RICH, Open, Program, held
from tests.cli.terminal import Terminal
from tests.waiting import wait_until

pytestmark = pytest.mark.skipif(shutil.which("tmux") is None, reason="tmux is not installed")


@pytest.fixture
def chat(open_terminal: Open) -> Terminal:
    """A conversation in colours, at its prompt."""
    terminal = open_terminal("chat")
    terminal.wait_for_prompt()
    return terminal


@LOOKS
def test_a_conversation(open_terminal: Open, gateway: BlockingEmbeddedGateway, look: tuple[str, ...]) -> None:
    chat = open_terminal("chat", look=look)
    assert ":help" in chat.wait_for_prompt()
    chat.say("gated")
    chat.wait_for("before the gate")
    gateway.release()
    assert "before the gate, behind the gate" in chat.wait_for_prompt()
    chat.say("and again")
    assert "\necho: and again\n" in chat.wait_for_prompt()
    chat.press("C-d")
    assert chat.wait_for_end() == 0


@LOOKS
def test_ctrl_c_stops_the_run_and_not_the_chat(
    open_terminal: Open, gateway: BlockingEmbeddedGateway, look: tuple[str, ...]
) -> None:
    chat = open_terminal("chat", look=look)
    chat.wait_for_prompt()
    chat.say("endless")
    chat.wait_for("working")
    chat.press("C-c")
    screen = chat.wait_for_prompt()
    assert "working" in screen
    assert "aborted" in screen
    assert "Traceback" not in screen
    assert gateway.active_runs == []
    chat.say("still there?")
    assert "echo: still there?" in chat.wait_for_prompt()


def test_a_prompt_goes_with_every_message_of_a_conversation(open_terminal: Open) -> None:
    chat = open_terminal("chat", "--system-prompt", "Be brief.")
    chat.wait_for_prompt()
    chat.say("wishes")
    assert "prompt: Be brief., model: None" in chat.wait_for_prompt()
    chat.say("/status")
    assert "Embedded gateway" in chat.wait_for_prompt()


@LOOKS
def test_a_message_waits_for_another_run_of_its_session(
    open_terminal: Open, gateway: BlockingEmbeddedGateway, other: GatewayClient, look: tuple[str, ...]
) -> None:
    chat = open_terminal("chat", look=look)
    chat.wait_for_prompt()
    with held(other, gateway, "gated") as theirs:
        chat.say("tool")
        chat.wait_for("waiting for another run of this session", "Ctrl-C takes the message back")
        gateway.release()
        assert theirs.result().text == "before the gate, behind the gate"
    # What the other client was answered comes as soon as it is there, and not behind the reply.
    chat.wait_for("before the gate, behind the gate", "using web_search")
    gateway.release()
    screen = chat.wait_for_prompt()
    assert screen.index("behind the gate") < screen.index("the reply to your message:") < screen.index("sunny")


@LOOKS
def test_ctrl_c_takes_a_message_back_that_waits(
    open_terminal: Open, gateway: BlockingEmbeddedGateway, other: GatewayClient, look: tuple[str, ...]
) -> None:
    chat = open_terminal("chat", look=look)
    chat.wait_for_prompt()
    with held(other, gateway, "gated") as theirs:
        chat.say("never mind")
        chat.wait_for("Ctrl-C takes the message back")
        chat.press("C-c")
        screen = chat.wait_for_prompt()
        assert "the message was not sent" in screen
        assert ":abort stops" not in screen
        assert "Traceback" not in screen
        assert gateway.active_runs == [theirs.run_id]
        gateway.release()
    chat.wait_for("behind the gate")
    chat.say("still there?")
    assert "echo: still there?" in chat.wait_for_prompt()
    said = [row["text"] for row in gateway.transcript("agent:main:main") if row["role"] == "user"]
    assert said == ["gated", "still there?"]


@LOOKS
@pytest.mark.parametrize("gateway", ["2026.4.15"], indirect=True)
def test_a_message_that_met_another_run_is_waited_for(
    open_terminal: Open, gateway: BlockingEmbeddedGateway, other: GatewayClient, look: tuple[str, ...]
) -> None:
    # Nothing is heard of the other run, and this release does not tell: the message goes out into it.
    with held(other, gateway, "quiet"):
        terminal = open_terminal("chat", "mine", look=look)
        terminal.wait_for("waiting for another run of this session")
        gateway.release()
        assert terminal.wait_for_end() == 0
    assert "echo: mine" in terminal.screen()
    assert "no text" not in terminal.screen()


@LOOKS
def test_what_is_no_text_is_named(open_terminal: Open, gateway: BlockingEmbeddedGateway, look: tuple[str, ...]) -> None:
    image = {"type": "image", "data": "iVBORw0KGgo="}
    final = {"sessionKey": "agent:main:main", "state": "final", "seq": 99}
    chat = open_terminal("chat", look=look)
    chat.wait_for_prompt()
    gateway.emit("chat", {**final, "runId": "r1", "message": {"role": "assistant", "content": [image]}})
    assert chat.wait_for("[image]").count("assistant:") == 1
    chat.wait_for_prompt()
    chat.say("quiet")
    (run_id,) = wait_until(lambda: gateway.active_runs)
    gateway.emit("chat", {**final, "runId": run_id, "message": {"role": "assistant", "content": [image, image]}})
    chat.wait_for("[2 images]")
    assert "no text" not in chat.wait_for_prompt()


def test_the_status_line_is_there_while_the_run_is(chat: Terminal, gateway: BlockingEmbeddedGateway) -> None:
    chat.say("tool")
    chat.wait_for("using web_search", "Ctrl-C stops it")
    gateway.release()
    screen = chat.wait_for_prompt()
    assert '✓ web_search {"query": "weather"} (' in screen
    assert "\nsunny\n" in screen
    assert "Ctrl-C stops it" not in screen


def test_markdown_is_rendered(chat: Terminal) -> None:
    chat.say("markdown")
    screen = chat.wait_for_prompt()
    assert "Some bold words.\n" in screen
    assert " • one\n • two\n" in screen
    assert "\nThe end\nof it.\n" in screen
    assert "**" not in screen


def test_a_rewritten_reply_takes_the_place_of_the_first(chat: Terminal, gateway: BlockingEmbeddedGateway) -> None:
    chat.say("rewrite")
    chat.wait_for("a first draft")
    gateway.release()
    screen = chat.wait_for_prompt()
    assert "\nthe better answer\n" in screen
    assert "a first draft" not in screen


def test_a_long_reply_stays_on_the_screen_once_and_whole(chat: Terminal) -> None:
    chat.say("long")
    chat.wait_for("line 99")
    chat.wait_for_prompt()
    lines = [line.strip() for line in chat.screen(above=True).splitlines()]
    assert [line for line in lines if line.startswith("line ")] == [f"line {number}" for number in range(100)]


def test_a_message_that_nobody_asked_for_comes_above_the_prompt(
    chat: Terminal, gateway: BlockingEmbeddedGateway
) -> None:
    chat.type("half a line")
    chat.wait_for_prompt("half a line")
    gateway.say("agent:main:main", "remember the milk")
    gateway.say("agent:main:other", "not for this session")
    chat.wait_for("remember the milk")
    screen = chat.wait_for_prompt("half a line")
    assert screen.count("half a line") == 1
    assert "not for this session" not in screen
    chat.press("Enter")
    chat.wait_for("echo: half a line")


def test_a_message_that_nobody_asked_for_waits_for_the_end_of_a_run(
    chat: Terminal, gateway: BlockingEmbeddedGateway
) -> None:
    chat.say("gated")
    chat.wait_for("before the gate")
    gateway.say("agent:main:main", "remember the milk")
    gateway.release()
    screen = chat.wait_for("remember the milk")
    assert screen.index("behind the gate") < screen.index("remember the milk")
    chat.wait_for_prompt()


@LOOKS
def test_a_failed_run_leaves_the_chat_open(open_terminal: Open, look: tuple[str, ...]) -> None:
    chat = open_terminal("chat", look=look)
    chat.wait_for_prompt()
    chat.say("fail")
    assert "openclaw-client: the run failed: the model is gone\n" in chat.wait_for_prompt()
    chat.say("go on")
    assert "echo: go on" in chat.wait_for_prompt()


def test_a_lost_connection_is_told_and_made_again(chat: Terminal, gateway: BlockingEmbeddedGateway) -> None:
    gateway.restart()
    chat.wait_for("connection lost (service restart), reconnecting", "connected again")
    chat.wait_for_prompt()
    chat.say("hello again")
    assert "echo: hello again" in chat.wait_for_prompt()


def test_the_commands_of_the_chat(chat: Terminal, gateway: BlockingEmbeddedGateway) -> None:
    chat.say(":help")
    chat.wait_for(":history [N]", ":quit")
    chat.wait_for_prompt()
    chat.say(":history")
    chat.wait_for("nothing has been said in this session")
    chat.say(":-) and /slash are for the gateway")
    chat.wait_for("echo: :-) and /slash")
    chat.wait_for_prompt()
    chat.say(":history 1")
    assert chat.wait_for("assistant:").count("user:") == 0
    chat.say(":abort")
    chat.wait_for("nothing was running")
    chat.say(":quit")
    assert chat.wait_for_end() == 0
    assert [row["text"] for row in gateway.transcript("agent:main:main") if row["role"] == "user"] == [
        ":-) and /slash are for the gateway"
    ]


def test_ctrl_c_at_the_prompt_empties_the_line_then_leaves(chat: Terminal) -> None:
    chat.type("never mind")
    chat.wait_for_prompt("never mind")
    chat.press("C-c")
    chat.wait_for_prompt()
    chat.press("C-c")
    assert chat.wait_for_end() == 0


def test_the_arrow_brings_back_the_last_line(chat: Terminal, program: Program) -> None:
    chat.say("once more")
    chat.wait_for_prompt()
    chat.press("Up")
    chat.wait_for_prompt("once more")
    chat.press("C-c")
    chat.wait_for_prompt()
    chat.press("C-d")
    assert chat.wait_for_end() == 0
    assert [path.name for path in program.home.iterdir()] == ["state"]


def test_pasted_lines_are_one_message(chat: Terminal, gateway: BlockingEmbeddedGateway) -> None:
    # What a terminal sends around pasted text when the program asked for it.
    chat.type("\x1b[200~first\nsecond\x1b[201~")
    chat.wait_for("first", "second")
    chat.press("Enter")
    chat.wait_for("echo: first")
    chat.wait_for_prompt()
    assert gateway.transcript("agent:main:main")[0]["text"] == "first\nsecond"


def test_the_hint_for_rich_comes_once_and_only_in_a_conversation(open_terminal: Open) -> None:
    chat = open_terminal("chat", look=WITHOUT_RICH)
    chat.wait_for_prompt()
    chat.say("one")
    chat.wait_for("echo: one")
    assert chat.wait_for_prompt().count("openclaw-client[cli]") == 1
    single = open_terminal("chat", "one", look=WITHOUT_RICH)
    assert single.wait_for_end() == 0
    assert "openclaw-client[cli]" not in single.screen()


@LOOKS
def test_a_model_cannot_steer_the_terminal(open_terminal: Open, look: tuple[str, ...]) -> None:
    terminal = open_terminal("chat", "escape sequences", look=look)
    assert terminal.wait_for_end() == 0
    assert "harm]0;titleless [2Jtext" in terminal.screen()
    assert "title" not in terminal.show("pane_title")


@LOOKS
def test_ctrl_c_ends_one_message_with_its_code(
    open_terminal: Open, gateway: BlockingEmbeddedGateway, look: tuple[str, ...]
) -> None:
    terminal = open_terminal("chat", "endless", look=look)
    terminal.wait_for("working")
    terminal.press("C-c")
    assert terminal.wait_for_end() == 8
    assert "aborted" in terminal.screen()
    assert gateway.active_runs == []


def test_a_second_ctrl_c_gives_the_prompt_back(chat: Terminal, gateway: BlockingEmbeddedGateway) -> None:
    gateway.faults.swallow("chat.abort")
    chat.say("endless")
    chat.wait_for("working")
    chat.press("C-c")
    wait_until(lambda: not gateway.faults.outstanding)
    chat.press("C-c")
    chat.wait_for(":abort stops what still runs")
    chat.wait_for_prompt()
    chat.say(":abort")
    chat.wait_for("\nstopped\n")
    assert gateway.active_runs == []


def test_a_dumb_terminal_gets_plain_text(open_terminal: Open) -> None:
    terminal = open_terminal("chat", "markdown", term="dumb")
    assert terminal.wait_for_end() == 0
    assert "Some **bold** words." in terminal.screen()


def test_a_gateway_that_cannot_be_reached_ends_the_chat(open_terminal: Open, gateway: BlockingEmbeddedGateway) -> None:
    gateway.stop()
    terminal = open_terminal("chat")
    assert terminal.wait_for_end() == 3
    assert "openclaw-client: the gateway cannot be reached" in terminal.screen()
