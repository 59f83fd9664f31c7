"""Every command, as a program with pipes."""

from __future__ import annotations

import json
import shutil
import signal
import socket
import subprocess
import sys
from contextlib import ExitStack
from dataclasses import fields
from pathlib import Path
from typing import Any

import pytest

from openclaw_client import ChatReply, GatewayClient
from openclaw_client.cli.exit_codes import ExitCode
from openclaw_client.cli.gateway import STANDARD_PORT
from openclaw_client.cli.parser import COMMANDS
from openclaw_client.policy.urls import DEFAULT_URL
from openclaw_client.testing import BlockingEmbeddedGateway
from tests.cli.agents import SNOW
from tests.cli.conftest import TOKEN, WITHOUT_RICH, Program, finish, held, read_until
from tests.waiting import wait_until

IMAGE = {"type": "image", "data": "x" * 5000, "mimeType": "image/png"}


def test_the_reply_is_all_that_stdout_gets(program: Program) -> None:
    ran = program.run("chat", "hello there")
    assert (ran.code, ran.out, ran.err) == (0, "echo: hello there\n", "")


def test_options_may_stand_on_either_side_of_the_command(program: Program, gateway: BlockingEmbeddedGateway) -> None:
    assert program.run("--session", "agent:main:before", "chat", "one").code == 0
    assert program.run("chat", "two", "--session", "agent:main:behind").code == 0
    assert [row["text"] for row in gateway.transcript("agent:main:before")] == ["one", "echo: one"]
    assert [row["text"] for row in gateway.transcript("agent:main:behind")] == ["two", "echo: two"]


def test_a_prompt_and_a_model_go_with_a_message(program: Program, gateway: BlockingEmbeddedGateway) -> None:
    asked = program.run("chat", "wishes", "--system-prompt", "Be brief.", "--thinking", "off")
    assert (asked.code, asked.out) == (0, "prompt: Be brief., model: None\n")
    model = ("--model", "embedded/embedded-1")
    refused = program.run("chat", "wishes", *model)
    assert refused.code == 1
    assert "operator.admin" in refused.err
    allowed = program.run("--scopes", "read,write,admin", "chat", "wishes", *model)
    assert (allowed.code, allowed.out) == (0, "prompt: None, model: embedded/embedded-1\n")
    assert program.run("chat", "wishes").out == "prompt: None, model: None\n"
    wrong = program.run("chat", "x", "--thinking", "low", "--system-prompt", " ")
    assert "system_prompt= is empty" in wrong.err
    assert wrong.code == ExitCode.USAGE


@pytest.mark.parametrize("arguments", [("chat",), ("chat", "-")])
def test_a_message_comes_from_stdin(program: Program, arguments: tuple[str, ...]) -> None:
    assert program.run(*arguments, given="two\nlines\n").out == "echo: two\nlines\n"


def test_markdown_is_left_alone_in_a_pipe(program: Program) -> None:
    assert program.run("chat", "**bold** `code`").out == "echo: **bold** `code`\n"


def test_json_has_every_event_and_ends_with_the_reply(program: Program) -> None:
    ran = program.run("chat", "--json", "hello")
    assert ran.code == 0
    assert ran.types[0] == "run_started"
    assert ran.types[-2:] == ["run_completed", "reply"]
    assert "".join(item["text"] for item in ran.objects if item["type"] == "text_appended") == "echo: hello"
    reply = ran.objects[-1]
    assert reply["text"] == "echo: hello"
    assert reply["state"] == "final"
    assert {item["run_id"] for item in ran.objects} == {reply["run_id"]}


def test_json_is_utf8_in_any_locale(program: Program) -> None:
    program.environment |= {"LC_ALL": "C", "PYTHONIOENCODING": "ascii", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"}
    assert program.run("chat", "--json", "snow").objects[-1]["text"] == SNOW
    assert program.run("chat", "snow").out == "snow ? ?\n"
    ran = program.run("chat", "-", given=SNOW)
    assert (ran.code, ran.err.startswith("openclaw-client: stdin is not text")) == (2, True)


def test_the_fields_of_a_reply(program: Program) -> None:
    reply = program.run("chat", "--json", "hello").objects[-1]
    assert set(reply) == {"type", *(field.name for field in fields(ChatReply))}
    assert (reply["content"], reply["answered_by"]) == ([{"type": "text", "text": "echo: hello"}], None)


@pytest.mark.parametrize("gateway", ["2026.4.15"], indirect=True)
def test_a_message_that_is_answered_behind_another_run(
    program: Program, gateway: BlockingEmbeddedGateway, other: GatewayClient
) -> None:
    # Nothing is heard of the other run, and this release does not tell: the message goes out into it.
    with held(other, gateway, "quiet"), program.start("chat", "--json", "mine") as process:
        deferred = read_until(process, "run_deferred")[-1]
        gateway.release()
        rest = read_until(process, "reply")
    assert deferred == {"type": "run_deferred", "run_id": deferred["run_id"]}
    assert [item["type"] for item in rest[-2:]] == ["run_completed", "reply"]
    assert (rest[-1]["text"], rest[-1]["run_id"]) == ("echo: mine", deferred["run_id"])


def test_a_reply_without_text_is_told_as_what_it_is(program: Program, gateway: BlockingEmbeddedGateway) -> None:
    ran = program.run("chat", "silent")
    assert (ran.code, ran.out, ran.err) == (0, "", "[the reply has no text]\n")
    with program.start("chat", "quiet") as process:
        (run_id,) = wait_until(lambda: gateway.active_runs)
        gateway.emit("chat", final(run_id, [IMAGE, IMAGE, {"type": "audio"}]))
        out, err = finish(process)
    assert (process.returncode, out, err) == (0, "", "[2 images, audio]\n")


def test_events_say_what_is_no_text_and_leave_its_data_out(program: Program, gateway: BlockingEmbeddedGateway) -> None:
    with program.start("events", "chat") as process:
        assert process.stderr is not None
        assert "listening" in process.stderr.readline()
        gateway.emit("chat", final("r1", [IMAGE]))
        gateway.emit("chat", final("r2", [{"type": "text", "text": "t" * 500}, IMAGE]))
        assert process.stdout is not None
        first, second = process.stdout.readline(), process.stdout.readline()
        process.send_signal(signal.SIGINT)
        finish(process)
    assert first.endswith("} [image]\n")
    assert f'"data": "{"x" * 200}… (5000 characters)"' in first
    assert "t" * 500 in second
    assert second.endswith("}\n")


def final(run_id: str, content: list[dict[str, Any]]) -> dict[str, Any]:
    """The last event of a run whose message holds these blocks."""
    message = {"role": "assistant", "content": content}
    return {"runId": run_id, "sessionKey": "agent:main:main", "state": "final", "seq": 99, "message": message}


def test_tools_are_events_and_no_text(program: Program, gateway: BlockingEmbeddedGateway) -> None:
    with program.start("chat", "--json", "tool") as process:
        before = read_until(process, "tool_started")
        gateway.release()
        after = read_until(process, "reply")
    started, finished = before[-1], next(item for item in after if item["type"] == "tool_finished")
    assert (started["name"], started["args"]) == ("web_search", {"query": "weather"})
    assert (finished["call_id"], finished["is_error"]) == (started["call_id"], False)
    assert after[-1]["text"] == "sunny"


def test_a_rewritten_reply_is_printed_whole_at_the_end(program: Program, gateway: BlockingEmbeddedGateway) -> None:
    with program.start("chat", "rewrite") as process:
        assert process.stdout is not None
        first = process.stdout.read(len("a first draft"))
        gateway.release()
        rest, err = finish(process)
    assert first == "a first draft"
    assert rest == "\nthe better answer\n"
    assert "rewrote the reply" in err


def test_history_shows_what_was_said(program: Program) -> None:
    assert "nothing has been said" in program.run("history").err
    program.run("chat", "-", given="first line\nsecond line")
    assert program.run("history").out == (
        "user: first line\n  second line\nassistant: echo: first line\n  second line\n"
    )
    ran = program.run("history", "--json", "--limit", "1")
    assert ran.types == ["message", "history"]
    assert (ran.objects[0]["role"], ran.objects[0]["text"]) == ("assistant", "echo: first line\nsecond line")
    assert ran.objects[1]["messages"] == 1


def test_history_names_what_is_no_text(program: Program, gateway: BlockingEmbeddedGateway) -> None:
    program.run("chat", "hello")

    def with_images(frame: dict[str, Any]) -> dict[str, Any]:
        asked, answer = frame["payload"]["messages"]
        asked["content"], answer["content"] = [{"type": "text", "text": "look"}, IMAGE], [{"type": "thinking"}, IMAGE]
        return frame

    gateway.faults.rewrite("chat.history", with_images)
    assert program.run("history").out == "user: look\n  [image]\nassistant: [image]\n"


def test_abort_stops_the_run_of_another_process(program: Program) -> None:
    assert program.run("abort").out == "nothing was running\n"
    with program.start("chat", "--json", "endless") as process:
        run_id = read_until(process, "text_appended")[-1]["run_id"]
        ran = program.run("abort", "--run", run_id, "--json")
        reply = read_until(process, "reply")[-1]
    assert ran.objects == [{"type": "abort", "aborted": True, "run_ids": [run_id]}]
    assert (reply["state"], reply["text"], process.returncode) == ("aborted", "working", 8)


def test_inject_asks_for_the_scope_that_it_needs(program: Program, gateway: BlockingEmbeddedGateway) -> None:
    program.run("chat", "hello")
    ran = program.run("inject", "a note", "--label", "crm", "--json")
    assert ran.code == 0, ran.err
    assert ran.objects[0]["message_id"]
    assert "a note" in gateway.transcript("agent:main:main")[-1]["text"]
    assert "operator.admin" in gateway.seen.connects[-1].params["scopes"]


def test_call_prints_the_payload(program: Program) -> None:
    program.run("chat", "hello")
    plain = program.run("call", "sessions.list", '{"limit": 1}')
    assert len(json.loads(plain.out)["sessions"]) == 1
    (response,) = program.run("call", "sessions.list", "-", "--json", given='{"limit": 1}').objects
    assert (response["type"], response["method"]) == ("response", "sessions.list")
    assert len(response["payload"]["sessions"]) == 1


def test_events_are_printed_as_they_come(program: Program, gateway: BlockingEmbeddedGateway) -> None:
    with program.start("events", "--json", "weather") as process:
        assert read_until(process, "listening")[-1]["names"] == ["weather"]
        gateway.emit("other", {"is": "not asked for"})
        gateway.emit("weather", {"sky": "blue"})
        event = read_until(process, "event")[-1]
        process.send_signal(signal.SIGINT)
        rest, err = finish(process)
    assert (event["name"], event["payload"]) == ("weather", {"sky": "blue"})
    assert (process.returncode, rest, err) == (0, "", "")


def test_events_of_one_session_only(program: Program, gateway: BlockingEmbeddedGateway) -> None:
    with program.start("events", "--json", "chat", "--session", "mine") as process:
        read_until(process, "listening")
        gateway.say("agent:main:other", "for somebody else")
        gateway.say("agent:main:mine", "for me")
        event = read_until(process, "event")[-1]
        process.send_signal(signal.SIGINT)
        finish(process)
    assert event["payload"]["sessionKey"] == "agent:main:mine"


@pytest.mark.parametrize("protocol", [3, 4])
def test_the_gateway_command_serves_a_gateway(alone: Program, protocol: int) -> None:
    with alone.start("gateway", "--port", "0", "--json", "--protocol", str(protocol)) as process:
        told = read_until(process, "gateway")[-1]
        with GatewayClient(told["url"], token=told["token"]) as client:
            assert client.negotiated_protocol == protocol
            assert client.chat_send(session_key="main", message="hi").text == "echo: hi"
        process.send_signal(signal.SIGINT)
        rest, err = finish(process)
    assert (process.returncode, rest, err) == (0, "", "")


@pytest.mark.parametrize("taken", [False, True])
def test_the_gateway_command_listens_where_clients_look_for_it(alone: Program, taken: bool) -> None:
    with ExitStack() as stack:
        try:
            standard = stack.enter_context(socket.create_server(("127.0.0.1", STANDARD_PORT)))
        except OSError:
            if not taken:
                pytest.skip(f"port {STANDARD_PORT} is somebody else's here")
        else:
            if not taken:
                standard.close()
        with alone.start("gateway", "--json") as process:
            told = read_until(process, "gateway")[-1]
            process.send_signal(signal.SIGINT)
            _, err = finish(process)
    assert (told["url"] == DEFAULT_URL) is not taken
    assert err == ("[port 18789 is taken: this gateway has another]\n" if taken else "")


@pytest.mark.parametrize("where", ["{folder}/mine.py:speaks", "mine:speaks"])
def test_the_gateway_command_serves_an_agent_of_the_user(
    alone: Program, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, where: str
) -> None:
    (tmp_path / "words.py").write_text('WORD = "mine"')
    (tmp_path / "mine.py").write_text(
        "import words\n\nasync def speaks(turn):\n    yield f'{words.WORD}: {turn.message}'\n"
    )
    monkeypatch.chdir(tmp_path if where.startswith("mine") else tmp_path.parent)
    with alone.start("gateway", "--port", "0", "--json", "--agent", where.format(folder=tmp_path)) as process:
        told = read_until(process, "gateway")[-1]
        with GatewayClient(told["url"], token=told["token"], identity=False) as client:
            assert client.chat_send(session_key="main", message="hello").text == "mine: hello"
        process.send_signal(signal.SIGINT)
        finish(process)


@pytest.mark.parametrize(
    ("where", "said"),
    [
        ("mine.py", "names no function"),
        ("none.py:speaks", "there is no none.py"),
        ("no.such.module:speaks", "there is no no.such.module"),
        ("mine.py:missing", "mine.py has no function missing"),
        ("mine.py:returns", "returns of mine.py is no async generator"),
        ("broken.py:speaks", "broken.py cannot be loaded: ZeroDivisionError"),
    ],
)
def test_an_agent_that_cannot_be_had_is_a_mistake_of_use(
    alone: Program, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, where: str, said: str
) -> None:
    (tmp_path / "mine.py").write_text("async def returns(turn):\n    return 'words'\n")
    (tmp_path / "broken.py").write_text("1 / 0")
    monkeypatch.chdir(tmp_path)
    ran = alone.run("gateway", "--port", "0", "--agent", where)
    assert (ran.code, ran.out) == (ExitCode.USAGE, "")
    assert said in ran.err


def test_the_gateway_command_keeps_a_given_token_to_itself(alone: Program) -> None:
    with alone.start("gateway", "--port", "0", "--token", TOKEN) as process:
        assert process.stdout is not None
        url = process.stdout.readline().split()[1]
        with GatewayClient(url, token=TOKEN, identity=False) as client:
            assert client.connected
        process.send_signal(signal.SIGINT)
        rest, _ = finish(process)
    assert "(the one you gave)" in rest
    assert TOKEN not in rest


def test_embedded_needs_nothing_and_leaves_nothing(alone: Program) -> None:
    # A gateway that the environment names is not asked.
    alone.environment["OPENCLAW_GATEWAY_URL"] = "ws://127.0.0.1:1"
    ran = alone.run("chat", "--embedded", "hello")
    assert (ran.code, ran.out, ran.err) == (0, "echo: hello\n", "")
    assert list(alone.home.iterdir()) == []


def test_without_rich_everything_is_plain(program: Program) -> None:
    ran = program.run("chat", "hello", program=WITHOUT_RICH)
    assert (ran.code, ran.out, ran.err) == (0, "echo: hello\n", "")


def test_help_tells_all_commands_and_warns_of_tokens(alone: Program) -> None:
    ran = alone.run("--help")
    assert ran.code == 0
    for command in COMMANDS:
        assert f"\n    {command} " in ran.out
    for command in ("chat", "approvals", "answer", "devices"):
        assert alone.run(command, "--help").out.startswith(f"usage: openclaw-client {command}")
    for group, actions in {"tools": ("serve", "list", "call"), "journal": ("show", "replay", "prune")}.items():
        listed = alone.run(group, "--help").out
        for action in actions:
            assert f"\n    {action} " in listed
            shown = alone.run(group, action, "--help").out
            assert shown.startswith(f"usage: openclaw-client {group} {action}")
            assert max(map(len, shown.splitlines())) <= 80
    assert "can be seen by every\nuser of this machine" in ran.out
    assert "exit codes:" in ran.out
    assert max(map(len, ran.out.splitlines())) <= 80


def test_the_version_is_quick(alone: Program) -> None:
    # Slow to load and of no use to most commands.
    check = (
        "import sys; from openclaw_client.cli import main\n"
        "try: main(['--version'])\n"
        "except SystemExit: pass\n"
        "print(sorted(name for name in sys.modules if name in "
        "('rich', 'markdown_it', 'openclaw_client.testing', 'openclaw_client.tools')))"
    )
    ran = alone.run(program=(sys.executable, "-c", check))
    assert ran.out.splitlines() == ["openclaw-client 0.1.0", "[]"]


@pytest.mark.skipif(shutil.which("make") is None, reason="this machine has no make")
@pytest.mark.parametrize("message", ["""Say "hi" to $HOME, it's `true` $$x $(CURDIR)""", "--version"])
def test_make_chat_sends_the_message_as_it_is_written(alone: Program, message: str) -> None:
    folder = Path(sys.executable).parent
    # What it would install is there: this interpreter has it.
    make = ["make", "--silent", "--old-file=.venv/.base", f"BIN={folder}", "chat", f"MESSAGE={message}"]
    root = Path(__file__).parents[2]
    # The tests themselves may have been started by make.
    environ = {name: value for name, value in alone.environ().items() if not name.startswith("MAKE")}
    done = subprocess.run(make, cwd=root, env=environ, capture_output=True, encoding="utf-8", timeout=50)
    assert (done.returncode, done.stdout) == (0, f"echo: {message}\n"), done.stderr
