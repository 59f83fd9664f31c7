"""The commands that list and answer what agents wait for, and a chat that nobody can answer."""

from __future__ import annotations

import signal
from collections.abc import Iterator
from contextlib import contextmanager
from threading import Thread

import pytest

from openclaw_client import GatewayClient
from openclaw_client.testing import BlockingEmbeddedGateway
from tests.cli.conftest import TOKEN, Program, finish, read_until
from tests.waiting import wait_until


@contextmanager
def asked(gateway: BlockingEmbeddedGateway, message: str, said: list[str]) -> Iterator[str]:
    """Another program on this device asks for something; the id of what waits. said: gets the reply."""
    with GatewayClient(gateway.url, token=TOKEN, answers=["approvals", "questions"]) as client:
        run = client.chat_stream(session_key="main", message=message)
        with run:
            pending = wait_until(lambda: (*client.pending_approvals, *client.pending_questions))
            yield pending[0].id
            said.append(run.result().text)


def test_an_approval_is_listed_and_allowed_once(program: Program, gateway: BlockingEmbeddedGateway) -> None:
    said: list[str] = []
    assert program.run("approvals").out == "no agent waits for an answer\n"
    with asked(gateway, "command", said) as ident:
        ran = program.run("approvals")
        assert ran.code == 0
        first, *rest = ran.out.splitlines()
        assert first == f"{ident} agent main session agent:main:main"
        assert rest[:2] == ["  $ rm -r build", "  > # \\u001b[2Jthen"]
        assert rest[-2] == "  answers: once, deny"
        assert program.run("approvals", "--session", "other").out == "no agent waits for an answer\n"
        assert program.run("approvals", "--session", "main").out == ran.out
        listed = program.run("approvals", "--json").objects
        assert [item["type"] for item in listed] == ["approval", "approvals"]
        assert (listed[0]["id"], listed[0]["command"]) == (ident, "rm -r build\n# \x1b[2Jthen")
        always = program.run("approve", ident, "--always")
        assert (always.code, always.out) == (2, "")
        assert "nothing was sent. Allowed: allow-once, deny" in always.err
        allowed = program.run("approve", ident)
        assert (allowed.code, allowed.out, allowed.err) == (0, "allowed once\n", "")
    assert said == ["decided: allow-once"]
    late = program.run("deny", ident)
    assert (late.code, late.out) == (1, "")
    assert "answered before" in late.err


def test_an_approval_is_denied(program: Program, gateway: BlockingEmbeddedGateway) -> None:
    said: list[str] = []
    with asked(gateway, "command", said) as ident:
        [told] = program.run("deny", ident, "--json").objects
        assert told == {"type": "outcome", "id": ident, "status": "applied", "decision": "deny", "exit_code": 0}
    assert said == ["decided: deny"]


def test_always_is_allowed_where_it_may_be(program: Program, gateway: BlockingEmbeddedGateway) -> None:
    said: list[str] = []
    with asked(gateway, "on miss", said) as ident:
        assert program.run("approve", ident, "--always").out == "allowed from now on\n"
    assert said == ["decided: allow-always"]


@pytest.mark.parametrize("command", [("approve",), ("deny",), ("skip",), ("answer", "text")])
def test_what_is_not_pending_is_gone(program: Program, command: tuple[str, ...]) -> None:
    name, *rest = command
    ran = program.run(name, "nosuch", *rest, "--json")
    assert ran.code == 1
    assert ran.objects == [
        {"type": "outcome", "id": "nosuch", "status": "gone", "decision": None, "exit_code": 1},
    ]
    assert "nothing of this id waits for an answer" in ran.err


def test_questions_are_listed_and_answered_by_their_items(program: Program, gateway: BlockingEmbeddedGateway) -> None:
    said: list[str] = []
    with asked(gateway, "questions", said) as ident:
        listed = program.run("questions").out.splitlines()
        assert listed[0] == f"{ident} agent main session agent:main:main 15 min left"
        assert "  extras: Extras: And with it?" in listed
        assert "    1. Milk" in listed
        [question, count] = program.run("questions", "--json").objects
        assert [item["id"] for item in question["items"]] == ["drink", "extras", "code"]
        assert count == {"type": "questions", "count": 1}
        few = program.run("answer", ident, "drink=Tea", "code=s3cret")
        assert (few.code, few.out) == (2, "")
        assert "there is no answer to extras" in few.err
        assert "s3cret" not in few.err
        ran = program.run("answer", ident, "drink=Tea", "extras=Milk", "extras=Lemon", "code=a=b")
        assert (ran.code, ran.out, ran.err) == (0, "answered\n", "")
    assert "'drink': ['Tea'], 'extras': ['Milk', 'Lemon']" in said[0]
    assert program.run("answer", ident, "drink=Tea").code == 1


def test_one_question_is_answered_out_of_a_file_or_skipped(program: Program, gateway: BlockingEmbeddedGateway) -> None:
    said: list[str] = []
    with asked(gateway, "question", said) as ident:
        assert program.run("answer", ident, "-", given="a strong coffee\n").code == 0
    with asked(gateway, "question", said) as ident:
        assert program.run("skip", ident).out == "skipped\n"
    assert said == ["answers: {'drink': ['a strong coffee']}", "answers: None"]


def test_a_list_that_is_watched_lets_a_chat_in_a_pipe_be_asked(
    program: Program, gateway: BlockingEmbeddedGateway
) -> None:
    replies = []
    with program.start("approvals", "--watch", "--json") as watching:
        read_until(watching, "listening")
        chat = Thread(target=lambda: replies.append(program.run("chat", "--json", "command")))
        chat.start()
        asked = read_until(watching, "approval_requested")[-1]["approval"]
        assert program.run("approve", asked["id"]).code == 0
        resolved = read_until(watching, "approval_resolved")[-1]
        assert (resolved["status"], resolved["approval"]["id"]) == ("allowed", asked["id"])
        chat.join()
        watching.send_signal(signal.SIGINT)
        out, err = finish(watching)
        assert (watching.returncode, out, err) == (0, "", "")
    [ran] = replies
    assert ran.objects[-1]["text"] == "decided: allow-once"
    assert ran.err == ""


@pytest.mark.parametrize("gateway", ["2026.7.35"], indirect=True)
def test_json_has_what_is_asked_where_the_gateway_shows_it_to_a_chat_that_does_not_answer(
    program: Program, gateway: BlockingEmbeddedGateway
) -> None:
    with program.start("chat", "--json", "command") as chat:
        requested = read_until(chat, "approval_requested")[-1]
        ident = requested["approval"]["id"]
        assert requested["approval"]["command"] == "rm -r build\n# \x1b[2Jthen"
        assert program.run("approve", ident).out == "allowed once\n"
        resolved = read_until(chat, "approval_resolved")[-1]
        assert (resolved["approval"]["id"], resolved["status"]) == (ident, "allowed")
        assert read_until(chat, "reply")[-1]["text"] == "decided: allow-once"
        err = finish(chat)[1]
    assert "nobody here answers: `openclaw-client chat` asks on a terminal only" in err


def test_json_has_the_questions_of_a_chat_that_may_see_them(program: Program, gateway: BlockingEmbeddedGateway) -> None:
    with program.start("chat", "--json", "question", "--scopes", "read,write,questions") as chat:
        question = read_until(chat, "question_asked")[-1]["question"]
        assert program.run("answer", question["id"], "Tea").out == "answered\n"
        closed = read_until(chat, "question_closed")[-1]
        assert (closed["question"]["id"], closed["status"]) == (question["id"], "answered")
        assert read_until(chat, "reply")[-1]["text"] == "answers: {'drink': ['Tea']}"
        finish(chat)


@pytest.mark.parametrize("options", [(), ("--json",)])
def test_a_chat_in_a_pipe_says_once_why_a_command_was_refused(
    program: Program, gateway: BlockingEmbeddedGateway, options: tuple[str, ...]
) -> None:
    ran = program.run("chat", *options, "two commands")
    assert ran.code == 0
    assert "deny, deny" in ran.out
    [line] = ran.err.splitlines()
    assert line.startswith("openclaw-client: a command of the agent's was refused because nobody can be asked")
    assert "on_approval" not in line
    assert "`openclaw-client approvals --watch`" in line
    assert gateway.seen.connects[-1].params.get("caps", []).count("approvals") == 0


@pytest.mark.parametrize("gateway", ["2026.2.17"], indirect=True)
def test_a_release_without_lists_says_what_there_is_instead(program: Program) -> None:
    ran = program.run("approvals")
    assert ran.code == 1
    assert "`openclaw-client approvals --watch` shows what comes" in ran.err
    assert "from 2026.8.1 on" in program.run("questions").err
