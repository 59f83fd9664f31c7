"""`tools serve`, as a program: from the approval to the last call."""

from __future__ import annotations

import json
import shutil
import signal
import subprocess
import threading
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import pytest

from openclaw_client import ChatReply, DeviceIdentity, GatewayClient
from openclaw_client.cli.exit_codes import ExitCode
from openclaw_client.testing import BlockingEmbeddedGateway, Turn
from tests.cli.conftest import LOOKS, TOKEN, Open, Program, finish, read_until
from tests.waiting import wait_until

SHOP = '''
import asyncio
import pathlib
import time
from openclaw_client import AsyncToolHost, ToolError, ToolHost, tool


@tool
def stock(sku: str) -> str:
    """How many pieces of an article are in stock."""
    print("a print of the function")
    if sku == "none":
        raise ToolError("no such article")
    if sku == "bug":
        raise ValueError("inner words")
    return f"{sku}: canary-result"


@tool
def wait(folder: str) -> str:
    """Waits for a file."""
    (pathlib.Path(folder) / "begun").touch()
    while not (pathlib.Path(folder) / "go").exists():
        time.sleep(0.01)
    return "waited"


several = [stock, wait]
nothing = []
'''
ASYNC = '''
import asyncio
from openclaw_client import tool

@tool
async def later(sku: str) -> str:
    """Comes later."""
    await asyncio.sleep(0)
    return f"later {sku}"

@tool
def now(sku: str) -> str:
    """Comes now."""
    return f"now {sku}"
'''
ONCE = '''
import threading
from openclaw_client import ReconnectPolicy, ToolHost, tool

@tool
def fine() -> str:
    """Is fine."""
    return "fine"

@tool
def stops() -> str:
    """Closes the host."""
    threading.Thread(target=host.close).start()
    return "fine"

host = ToolHost(name="once", tools=[fine, stops], reconnect=ReconnectPolicy(enabled=False))
'''
LEAVES = '''
import sys
from openclaw_client import tool

@tool
async def leaves() -> str:
    """Ends the program."""
    sys.exit(3)

@tool
async def fine() -> str:
    """Is fine."""
    return "fine"
'''
HOST = '''
from openclaw_client import {kind}, tool

@tool
def beside() -> str:
    """Is not of the host."""

host = {kind}(name="house", tools=[])

@host.tool
def at_home(sku: str) -> str:
    """Is of the host."""
    return f"at home {{sku}}"
'''


async def caller(turn: Turn) -> AsyncIterator[str]:
    """Calls the tool that the message names."""
    name, _, arguments = turn.message.partition(" ")
    answer = await turn.call_tool(name, json.loads(arguments))
    yield f"{'error' if answer.is_error else 'ok'}: {answer.text}"


@pytest.fixture
def gateway(request: pytest.FixtureRequest) -> Iterator[BlockingEmbeddedGateway]:
    release = getattr(request, "param", None)
    with BlockingEmbeddedGateway(caller, token=TOKEN, throttle=0, release=release, tool_search=False) as gateway:
        yield gateway


@pytest.fixture(autouse=True)
def shop(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with modules of tools, and the current one."""
    (tmp_path / "shop.py").write_text(SHOP)
    monkeypatch.chdir(tmp_path)
    return tmp_path


def published(process: subprocess.Popen[str]) -> list[str]:
    """What is served, as soon as it is."""
    while (said := read_until(process, "host_state")[-1])["state"] != "published":
        pass
    tools: list[str] = said["tools"]
    return tools


def ask(client: GatewayClient, name: str, **arguments: Any) -> str:
    return client.chat_send(session_key="main", message=f"{name} {json.dumps(arguments)}").text


def test_from_the_approval_to_the_last_call(
    program: Program, gateway: BlockingEmbeddedGateway, other: GatewayClient
) -> None:
    with program.start("tools", "serve", "shop.py", "--json") as process:
        waiting = read_until(process, "host_state")
        while waiting[-1]["waiting_for"] is None:
            waiting += read_until(process, "host_state")
        assert waiting[0] == {"type": "host", "name": "shop", "url": gateway.url, "tools": ["stock", "wait"]}
        assert waiting[-1]["state"] == "waiting_for_approval"
        assert "`openclaw nodes pending`" in waiting[-1]["waiting_for"]
        (request,) = gateway.pending_nodes
        assert program.run("devices", "approve", request.id).out == f"approved node {request.node_id}\n"
        assert published(process) == ["stock", "wait"]
        assert ask(other, "stock", sku="canary-argument") == "ok: canary-argument: canary-result"
        assert ask(other, "stock", sku="none") == "error: no such article"
        assert "ValueError" in ask(other, "stock", sku="bug")
        calls = [read_until(process, "call")[-1] for _ in range(3)]
        process.send_signal(signal.SIGINT)
        rest, err = finish(process)
    assert process.returncode == ExitCode.OK
    assert [(call["tool"], call["outcome"], call["cause"]) for call in calls] == [
        ("stock", "ok", None),
        ("stock", "error", None),
        ("stock", "failed", "ValueError"),
    ]
    assert all(call["session_key"] == "agent:main:main" and call["seconds"] < 5 for call in calls)
    # Neither what was called with nor what came of it; and stdout has nothing but objects.
    assert "canary" not in json.dumps(calls) + rest + err
    assert "a print of the function" in err
    assert "openclaw-client: the tool stock raised: ValueError: inner words" in err
    assert [json.loads(line)["type"] for line in rest.splitlines()] == ["leaving", "host_state"]
    wait_until(lambda: not gateway.nodes)


def test_approve_does_it_by_itself_and_once(program: Program, gateway: BlockingEmbeddedGateway) -> None:
    for approved in ("--approve", "-v"):
        with program.start("tools", "serve", "shop", approved, "--json") as process:
            assert published(process) == ["stock", "wait"]
            assert not gateway.pending_nodes
            process.send_signal(signal.SIGTERM)
            finish(process)
        assert process.returncode == ExitCode.OK


def test_approve_lets_the_device_in_too_and_nobody_else(own_home: Path) -> None:
    with BlockingEmbeddedGateway(caller, token=TOKEN, auto_approve=False) as gateway:
        program = Program(own_home, {"OPENCLAW_GATEWAY_URL": gateway.url, "OPENCLAW_GATEWAY_TOKEN": TOKEN})
        assert program.run("pair", "--no-wait", "--scopes", "read,write,approvals,pairing").code == 5
        gateway.approve()
        with program.start("tools", "serve", "shop.py", "--name", "stranger", "--json") as stranger:
            while read_until(stranger, "host_state")[-1]["state"] != "waiting_for_device":
                pass
            with program.start("tools", "serve", "shop.py:stock", "--approve", "--json") as process:
                assert published(process) == ["stock"]
                process.send_signal(signal.SIGINT)
                finish(process)
            stranger.send_signal(signal.SIGINT)
            finish(stranger)
        (pending,) = gateway.pending
        assert pending.role == "node"


def test_a_device_that_was_let_in_has_lost_no_connection(own_home: Path) -> None:
    with BlockingEmbeddedGateway(caller, token=TOKEN, auto_approve=False) as gateway:
        program = Program(own_home, {"OPENCLAW_GATEWAY_URL": gateway.url, "OPENCLAW_GATEWAY_TOKEN": TOKEN})
        assert program.run("pair", "--no-wait", "--scopes", "read,write,approvals,pairing").code == 5
        gateway.approve()
        with program.start("tools", "serve", "shop.py", "--approve") as process:
            said = read_lines(process, "serves stock")
            process.send_signal(signal.SIGINT)
            finish(process)
    assert not [line for line in said if "lost" in line]
    assert len([line for line in said if "waits for its approval" in line]) == 2


def test_what_an_operator_is_not_shown_it_cannot_approve(
    program: Program, gateway: BlockingEmbeddedGateway, shop: Path
) -> None:
    assert program.run("devices", "list").code == 0
    # From now on its device token does, and with that a device sees its own requests alone.
    del program.environment["OPENCLAW_GATEWAY_TOKEN"]
    (shop / "host.py").write_text(HOST.format(kind="ToolHost").replace("tools=[]", f"token={TOKEN!r}"))
    with program.start("tools", "serve", "host.py", "--approve") as process:
        said = read_lines(process, "this operator is shown no request of this host")
        assert TOKEN not in "".join(said)
        (request,) = gateway.pending_nodes
        assert request.id not in program.run("devices", "list").out
        gateway.approve()
        read_lines(process, "house serves at_home")
        process.send_signal(signal.SIGINT)
        finish(process)
    assert process.returncode == ExitCode.OK


@pytest.mark.parametrize("where", ["shop.py", "shop.py:several"])
def test_ctrl_c_lets_running_calls_come_to_their_end(
    program: Program, gateway: BlockingEmbeddedGateway, other: GatewayClient, shop: Path, where: str
) -> None:
    replies: list[str] = []
    with program.start("tools", "serve", where, "--approve", "--json") as process:
        published(process)
        asking = threading.Thread(target=lambda: replies.append(ask(other, "wait", folder=str(shop))))
        asking.start()
        wait_until((shop / "begun").exists)
        process.send_signal(signal.SIGINT)
        assert read_until(process, "leaving")[-1]["active_calls"] == 1
        wait_until(lambda: not gateway.nodes[0].tools)
        (shop / "go").touch()
        call = read_until(process, "call")[-1]
        finish(process)
        asking.join()
    assert (process.returncode, call["outcome"], replies) == (ExitCode.OK, "ok", ["ok: waited"])


def test_a_second_ctrl_c_leaves_at_once(program: Program, other: GatewayClient, shop: Path) -> None:
    replies: list[ChatReply | str] = []
    with program.start("tools", "serve", "shop.py", "--approve", "--json") as process:
        published(process)
        asking = threading.Thread(target=lambda: replies.append(ask(other, "wait", folder=str(shop))))
        asking.start()
        wait_until((shop / "begun").exists)
        process.send_signal(signal.SIGINT)
        read_until(process, "leaving")
        process.send_signal(signal.SIGINT)
        _, err = finish(process)
        asking.join()
    assert process.returncode == ExitCode.INTERRUPTED
    assert "Traceback" not in err
    assert str(replies[0]).startswith("error: ")


@pytest.mark.parametrize(
    ("text", "where", "tools", "call"),
    [
        (SHOP, "mod:stock", ["stock"], ("stock", "a: canary-result")),
        (ASYNC, "mod.py", ["later", "now"], ("later", "later a")),
        (ASYNC, "mod.py:now", ["now"], ("now", "now a")),
        (HOST.format(kind="ToolHost"), "mod.py", ["at_home"], ("at_home", "at home a")),
        (HOST.format(kind="AsyncToolHost"), "mod:host", ["at_home"], ("at_home", "at home a")),
    ],
)
def test_what_can_be_served(
    program: Program, other: GatewayClient, shop: Path, text: str, where: str, tools: list[str], call: tuple[str, str]
) -> None:
    (shop / "mod.py").write_text(text)
    with program.start("tools", "serve", where, "--approve", "--json") as process:
        assert published(process) == tools
        assert ask(other, call[0], sku="a") == f"ok: {call[1]}"
        assert read_until(process, "call")[-1]["outcome"] == "ok"
        process.send_signal(signal.SIGINT)
        finish(process)
    assert process.returncode == ExitCode.OK


def test_a_coroutine_that_would_end_the_program_ends_nothing(
    program: Program, other: GatewayClient, shop: Path
) -> None:
    (shop / "mod.py").write_text(LEAVES)
    with program.start("tools", "serve", "mod.py", "--approve", "--json") as process:
        published(process)
        assert ask(other, "leaves").startswith("error: leaves failed (SystemExit)")
        assert ask(other, "fine") == "ok: fine"
        process.send_signal(signal.SIGINT)
        finish(process)
    assert process.returncode == ExitCode.OK


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("none.py",), "there is no none.py"),
        (("shop.py:none",), "shop.py has no none"),
        (("shop.py:nothing",), "nothing of shop.py is neither a tool nor a host, nor a list of tools"),
        (("shop.py:pathlib",), "pathlib of shop.py is neither"),
        (("bare.py",), "bare.py has no tools. "),
        (("two.py",), "two.py has more than one host. Name one: two.py:host, "),
        (("host.py", "--name", "x"), "host.py has a host, which has a name. Leave --name out"),
        (("host.py", "--token", "x"), "host.py has a host, which knows its gateway. Leave --token out"),
        (("shop.py", "--name", "a/b"), "'a/b' is no name of a host"),
        (("shop.py", "--embedded"), "--embedded has no agent"),
        (("shop.py", "--no-device"), "leave --no-device out"),
        (("shop.py", "--scopes", "read"), "a host of tools has no scopes"),
    ],
)
def test_what_cannot_be_served_is_a_mistake_of_use(
    program: Program, gateway: BlockingEmbeddedGateway, shop: Path, arguments: tuple[str, ...], said: str
) -> None:
    (shop / "bare.py").write_text("def f(): ...")
    (shop / "host.py").write_text(HOST.format(kind="ToolHost"))
    (shop / "two.py").write_text(HOST.format(kind="ToolHost") + '\nanother = ToolHost(name="b")\nagain = another\n')
    ran = program.run("tools", "serve", *arguments)
    assert (ran.code, ran.out) == (ExitCode.USAGE, ""), ran.err
    assert said in ran.err
    assert ran.err.count("\n") == 1
    assert gateway.seen.opened == 0


def test_errors_are_those_of_the_other_commands(program: Program, gateway: BlockingEmbeddedGateway) -> None:
    program.environment["OPENCLAW_GATEWAY_TOKEN"] = "canary-wrong"
    ran = program.run("tools", "serve", "shop.py", "--json")
    assert (ran.code, ran.objects[-1]["error"]) == (ExitCode.AUTH, "AuthRejected")
    assert ran.err == f"openclaw-client: {ran.objects[-1]['message']}\n"
    assert "canary" not in ran.out + ran.err
    gateway.stop()
    ran = program.run("tools", "serve", "shop.py")
    assert (ran.code, ran.out) == (ExitCode.UNREACHABLE, "")


@pytest.mark.parametrize("gateway", ["2026.6.1"], indirect=True)
def test_a_gateway_that_takes_no_tools_is_told(program: Program, gateway: BlockingEmbeddedGateway) -> None:
    ran = program.run("tools", "serve", "shop.py")
    assert ran.code == ExitCode.FAILED
    assert "needs gateway 2026.8; this is 2026.6.1" in ran.err.splitlines()[-1]
    assert len(ran.err.splitlines()) == 2


def test_a_lost_connection_is_told_and_made_again(program: Program, gateway: BlockingEmbeddedGateway) -> None:
    with program.start("tools", "serve", "shop.py", "--approve") as process:
        assert process.stderr is not None
        said = read_lines(process, "serves stock, wait")
        gateway.faults.disconnect()
        said += read_lines(process, "serves stock, wait")
        process.send_signal(signal.SIGINT)
        finish(process)
    assert f"openclaw-client: shop: connecting to {gateway.url}; Ctrl-C ends this" in said
    assert "openclaw-client: shop waits for its approval, which --approve gives" in said
    assert "openclaw-client: shop: the connection was lost; connecting again" in said
    assert process.returncode == ExitCode.OK


def test_what_parks_the_host_ends_the_program(program: Program, gateway: BlockingEmbeddedGateway) -> None:
    with program.start("tools", "serve", "shop.py", "--approve", "--json") as process:
        published(process)
        details = {"code": "AUTH_TOKEN_MISMATCH"}
        gateway.faults.refuse("unauthorized", code="UNAUTHORIZED", details=details, close_code=1008, times=9)
        gateway.faults.disconnect()
        error = read_until(process, "error")[-1]
        rest, err = finish(process)
    assert (process.returncode, error["error"], rest) == (ExitCode.AUTH, "AuthRejected", "")
    assert err == f"openclaw-client: {error['message']}\n"


@pytest.mark.parametrize(("tool", "code"), [("fine", ExitCode.UNREACHABLE), ("stops", ExitCode.OK)])
def test_a_host_that_serves_no_more_ends_the_program(
    program: Program, gateway: BlockingEmbeddedGateway, other: GatewayClient, shop: Path, tool: str, code: ExitCode
) -> None:
    (shop / "once.py").write_text(ONCE)
    with program.start("tools", "serve", "once.py", "--approve", "--json") as process:
        published(process)
        assert ask(other, tool) == "ok: fine"
        if tool == "fine":
            gateway.faults.disconnect()
        rest, err = finish(process)
    assert process.returncode == code
    assert err.startswith("openclaw-client: the connection was lost") if code else not err
    assert '"state": "disconnected"' in rest


def read_lines(process: subprocess.Popen[str], last: str) -> list[str]:
    """The lines of stderr up to the first that has this text; ends with the program."""
    assert process.stderr is not None
    seen = []
    for line in process.stderr:
        seen.append(line.rstrip("\n"))
        if last in line:
            return seen
    pytest.fail(f"the program ended without {last!r}: {seen}")


def test_a_reader_that_leaves_ends_it(program: Program, other: GatewayClient) -> None:
    with program.start("tools", "serve", "shop.py", "--approve") as process:
        read_lines(process, "serves stock")
        assert process.stdout is not None
        process.stdout.close()
        assert ask(other, "stock", sku="a").startswith("ok")
        assert process.stderr is not None
        err = process.stderr.read()
    assert process.returncode == ExitCode.BROKEN_PIPE
    assert err == "a print of the function\n"


@pytest.mark.skipif(shutil.which("tmux") is None, reason="tmux is not installed")
@LOOKS
def test_a_person_sees_what_to_do_and_what_is_called(
    open_terminal: Open, gateway: BlockingEmbeddedGateway, other: GatewayClient, look: tuple[str, ...]
) -> None:
    terminal = open_terminal("tools", "serve", "shop.py", look=look)
    screen = terminal.wait_for("waiting for the approval; Ctrl-C ends this")
    assert "\n  openclaw nodes pending\n  openclaw nodes approve REQUEST\n" in screen
    gateway.approve()
    terminal.wait_for("shop serves stock, wait; Ctrl-C ends this")
    ask(other, "stock", sku="a")
    ask(other, "stock", sku="none")
    screen = terminal.wait_for("told what was wrong")
    calls = [line for line in screen.splitlines() if "agent:main:main" in line]
    assert [line.split()[-1] for line in calls] == ["ok", "wrong"]
    assert [line.startswith(("✓", "✗")) for line in calls] == ["rich" not in str(look)] * 2
    assert max(map(len, calls)) <= 80
    terminal.press("C-c")
    assert terminal.wait_for_end() == ExitCode.OK


def test_a_device_of_its_own_is_kept(program: Program, gateway: BlockingEmbeddedGateway, tmp_path: Path) -> None:
    with program.start("tools", "serve", "shop.py", "--json", "--identity", str(tmp_path / "own.json")) as process:
        read_until(process, "host_state")
        wait_until(lambda: gateway.pending_nodes)
        process.send_signal(signal.SIGINT)
        finish(process)
    assert json.loads((tmp_path / "own.json").read_text())["deviceId"] == gateway.pending_nodes[0].node_id
    assert DeviceIdentity.generate().id != gateway.pending_nodes[0].node_id
