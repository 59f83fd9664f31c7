"""The code blocks of the README and of pages in docs/ do what they show."""

from __future__ import annotations

import asyncio
import json
import logging
import os
import re
import signal
import subprocess
import sys
import textwrap
import threading
from pathlib import Path
from typing import Any

import httpx
import pytest

from examples import report_page
from openclaw_client import AsyncGatewayClient, GatewayClient, SessionKey, ToolError, ToolHost
from openclaw_client.testing import BlockingEmbeddedGateway, EmbeddedGateway, Turn
from tests.test_layers import MAY_IMPORT
from tests.testing.node_clients import Node, approved
from tests.testing.people import User
from tests.waiting import PATIENCE, wait_until

ROOT = Path(__file__).parent.parent


def blocks(name: str) -> list[str]:
    return re.findall(r"^```python\n(.*?)^```", (ROOT / name).read_text(), re.DOTALL | re.MULTILINE)


def run(code: str, namespace: dict[str, Any]) -> dict[str, Any]:
    """Execute a block; one that awaits outside a function is put into one."""
    if re.search(r"^(async with|\w+ = await)", code, re.MULTILINE):
        imports = "\n".join(line for line in code.splitlines() if line.startswith(("from ", "import ")))
        body = "\n".join(line for line in code.splitlines() if not line.startswith(("from ", "import ")))
        code = f"{imports}\nasync def block():\n{textwrap.indent(body, '    ')}\n    return locals()\n"
        exec(code, namespace)
        return asyncio.run(namespace["block"]())
    exec(code, namespace)
    return namespace


def test_the_readme_s_blocking_example(capsys: pytest.CaptureFixture[str]) -> None:
    with BlockingEmbeddedGateway() as gateway:
        code = blocks("README.md")[0].replace("ws://127.0.0.1:18789", gateway.url).replace("…", str(gateway.token))
        names = run(code, {})
    assert capsys.readouterr().out == "echo: Hello final\necho: Tell me more"
    assert [message.role for message in names["page"].messages] == ["user", "assistant"] * 2


def test_the_readme_s_coroutine_example(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    with BlockingEmbeddedGateway() as gateway:
        monkeypatch.setenv("OPENCLAW_GATEWAY_URL", gateway.url)
        monkeypatch.setenv("OPENCLAW_GATEWAY_TOKEN", str(gateway.token))
        run(blocks("README.md")[1], {})
    assert capsys.readouterr().out == "echo: What's new?"


def test_the_readme_s_example_of_many_users(capsys: pytest.CaptureFixture[str]) -> None:
    with BlockingEmbeddedGateway() as gateway:
        run(blocks("README.md")[2].replace("ws://127.0.0.1:18789", gateway.url).replace("…", str(gateway.token)), {})
    assert capsys.readouterr().out == "echo: Hello\n1\n"


def test_the_readme_s_test_example() -> None:
    async def my_agent(turn: Turn) -> Any:
        yield "hello"

    names = {"EmbeddedGateway": EmbeddedGateway, "AsyncGatewayClient": AsyncGatewayClient, "my_agent": my_agent}
    exec(blocks("README.md")[3], names)
    asyncio.run(names["test_my_bot"]())  # type: ignore[operator]


def test_the_example_of_the_embedded_gateway() -> None:
    assert run(blocks("docs/testing.md")[0], {})["reply"].text == "The sum is 3."


def test_the_example_of_a_tool_of_a_node() -> None:
    [code] = [block for block in blocks("docs/testing.md") if "call_tool" in block]
    gateway = BlockingEmbeddedGateway.around(run(code, {})["gateway"])
    with gateway, User(gateway) as user, Node(gateway) as node:
        assert user.answer(user.send()).text == "I cannot look."
        approved(gateway, node)
        run_id = user.send("again")
        node.answer(node.invoked(), "7")
        assert user.answer(run_id).text == "There are 7."
        run_id = user.send("and again")
        node.invoked()
        node.client.close()
        assert user.answer(run_id).text == "It failed."


async def asks(turn: Turn) -> Any:
    """An agent that wants to run a command, and on newer releases asks a question, too."""
    yield f"It was: {await turn.ask_approval('git status --short', cwd='/srv/site')}"


@pytest.mark.parametrize("number", [0, 1, 2])
def test_the_examples_of_approvals(
    number: int, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    with BlockingEmbeddedGateway(asks) as gateway:
        monkeypatch.setenv("OPENCLAW_GATEWAY_URL", gateway.url)
        monkeypatch.setenv("OPENCLAW_GATEWAY_TOKEN", str(gateway.token))
        run(blocks("docs/approvals.md")[number], {"url": gateway.url, "token": gateway.token})
    expected = ["", "applied\n", "ada git status --short\n"][number]
    assert capsys.readouterr().out == f"{expected}It was: allow-once\n"


@pytest.mark.parametrize(("answer", "decision"), [("perhaps\nYes\n", "allow-once"), ("no\n", "deny"), ("", "deny")])
def test_the_bot_that_asks_first(answer: str, decision: str, tmp_path: Path) -> None:
    with BlockingEmbeddedGateway(asks) as gateway:
        environment = {
            **os.environ,
            "HOME": str(tmp_path),
            "OPENCLAW_GATEWAY_URL": gateway.url,
            "OPENCLAW_GATEWAY_TOKEN": str(gateway.token),
        }
        bot = subprocess.run(
            [sys.executable, "-m", "examples.ask_first", "tidy up"],
            input=answer,
            capture_output=True,
            text=True,
            cwd=ROOT,
            env=environment,
            timeout=PATIENCE,
            check=False,
        )
    assert bot.stdout.splitlines()[:2] == ["The agent wants to run, in /srv/site:", "    git status --short"]
    assert bot.stdout.splitlines()[-1] == f"It was: {decision}"
    assert (bot.stderr, bot.returncode) == ("", 0)


async def calls(turn: Turn) -> Any:
    """An agent that calls the tool that the message names, `stock {"sku": "A-1"}`, and says what it gave."""
    name, _, arguments = turn.message.partition(" ")
    yield (await turn.call_tool(name, json.loads(arguments))).text


def test_the_example_of_a_tool(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPENCLAW_STATE_DIR", str(tmp_path))
    with BlockingEmbeddedGateway(calls) as gateway:
        names: dict[str, Any] = {"url": gateway.url, "token": gateway.token}
        serving = threading.Thread(target=run, args=(blocks("docs/tools.md")[0], names))
        serving.start()
        try:
            wait_until(lambda: bool(gateway.pending_nodes))
            gateway.approve()
            wait_until(lambda: "stock" in gateway.tools)
            with GatewayClient(gateway.url, token=gateway.token, identity=False) as client:
                said = client.chat_send(session_key="main", message='stock {"sku": "A-1"}').text
                refused = client.chat_send(session_key="main", message='stock {"sku": "A-1", "warehouse": "moon"}').text
        finally:
            wait_until(lambda: "host" in names)
            names["host"].close()
            serving.join(PATIENCE)
    assert json.loads(said) == {"sku": "A-1", "pieces": 12}
    assert "moon" in refused
    assert (tmp_path / "nodes" / "stock-service.json").is_file()


def test_the_example_of_an_error_of_a_tool() -> None:
    shelf = run(blocks("docs/tools.md")[1], {})["shelf"]
    assert shelf("A-1") == 12
    with pytest.raises(ToolError, match="There is no article x"):
        shelf("x")


def test_the_example_of_users_of_a_tool() -> None:
    names = run(blocks("docs/tools.md")[2], {})
    host = ToolHost(name="shop", tools=[names["orders"]], user_of=names["user_of"])
    assert host.call("orders", {}, session_key=SessionKey.agent("ops", "web", "Ann")) == ["order 1 of Ann"]
    for key in (SessionKey.agent("ops", "telegram", "Ann"), "main", None):
        with pytest.raises(ToolError, match="not for this session"):
            host.call("orders", {}, session_key=key)


def test_the_example_of_a_test_of_a_tool(capsys: pytest.CaptureFixture[str]) -> None:
    run(blocks("docs/tools.md")[3], {})
    assert capsys.readouterr().out == "Expected `int`, got `str` - at `$.number`\n"


def test_the_host_of_a_shop_s_stock(tmp_path: Path) -> None:
    with BlockingEmbeddedGateway(calls) as gateway:
        environment = {
            **os.environ,
            "HOME": str(tmp_path),
            "OPENCLAW_STATE_DIR": str(tmp_path),
            "OPENCLAW_GATEWAY_URL": gateway.url,
            "OPENCLAW_GATEWAY_TOKEN": str(gateway.token),
        }
        shop = subprocess.Popen(
            [sys.executable, "-m", "examples.stock_tools"],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            cwd=ROOT,
            env=environment,
        )
        try:
            assert shop.stdout is not None
            assert "openclaw nodes approve" in shop.stdout.readline()
            gateway.approve()
            with GatewayClient(gateway.url, token=gateway.token, identity=False) as client:

                def ask(whose: str, message: str) -> str:
                    key = SessionKey.agent("main", *whose.split())
                    return client.chat_send(session_key=key, message=message).text

                assert json.loads(ask("shop ann", 'stock {"sku": "B-7"}'))["pieces"] == 3
                assert ask("shop ann", 'reserve {"sku": "B-7", "pieces": 2}') == "Reserved: 2 of B-7"
                assert ask("shop bob", 'reserve {"sku": "B-7", "pieces": 2}') == "Pieces of B-7 left: 1."
                assert "There is no article C-1 in main" in ask("shop bob", 'stock {"sku": "C-1"}')
                assert ">= 1" in ask("shop bob", 'reserve {"sku": "B-7", "pieces": 0}')
                assert "not for this session" in ask("other ann", 'reserve {"sku": "B-7", "pieces": 1}')
            shop.send_signal(signal.SIGINT)
            assert (shop.wait(PATIENCE), shop.communicate()) == (0, ("", ""))
        finally:
            shop.kill()
            shop.communicate()


async def reports(turn: Turn) -> Any:
    """An agent that makes a report, a note, and a page with a script."""
    turn.send_file("note.txt", b"<b>fine</b>", "text/plain")
    turn.send_file("p\u00e4ge.csv", b"a,b", "text/csv")
    turn.send_file("report.pdf", b"%PDF-1.4", "application/pdf")
    yield "done"


@pytest.mark.parametrize("number", [0, 1, 2, 3])
def test_the_examples_of_files(
    number: int, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.chdir(tmp_path)
    with BlockingEmbeddedGateway(reports, release="2026.9.6") as gateway:
        monkeypatch.setenv("OPENCLAW_GATEWAY_URL", gateway.url)
        monkeypatch.setenv("OPENCLAW_GATEWAY_TOKEN", str(gateway.token))
        if number:
            with GatewayClient() as client:
                client.chat_send(session_key="agent:main:reports", message="make the report")
        run(blocks("docs/files.md")[number], {"url": gateway.url, "token": gateway.token})
    expected = [
        "note.txt text/plain 11\n11\np\u00e4ge.csv text/csv 3\n3\nreport.pdf application/pdf 8\n8\n",
        "note.txt 11\np\u00e4ge.csv 3\nreport.pdf 8\nembedded-1 4 4 8 0.0\n",
        "reports/report.pdf\nreports/report (1).pdf\nreports/latest.pdf\n",
        "8\nName it in sessions=, or use it first, as chat_send and chat_history do\n",
    ][number]
    assert capsys.readouterr().out == expected


async def test_the_page_with_reports(monkeypatch: pytest.MonkeyPatch) -> None:
    with BlockingEmbeddedGateway(reports, release="2026.9.6") as gateway:
        monkeypatch.setenv("OPENCLAW_GATEWAY_URL", gateway.url)
        monkeypatch.setenv("OPENCLAW_GATEWAY_TOKEN", str(gateway.token))
        async with AsyncGatewayClient() as client:
            await client.chat_send(session_key="agent:main:reports", message="make the report")
            await client.chat_send(session_key="another", message="make the report")
            foreign = (await client.files(session_key="another"))[0].artifact_id
        app = report_page.app
        transport = httpx.ASGITransport(app)
        async with (
            app.router.lifespan_context(app),
            httpx.AsyncClient(transport=transport, base_url="http://reports") as browser,
        ):
            page = await browser.get("/")
            # Chromium saves nothing for a page in a sandbox: "Download is disallowed".
            assert page.headers["Content-Security-Policy"] == "default-src 'none'"
            links = re.findall(r'href="(/reports/[^"]+)">([^<]+)<', page.text)
            assert [name for _, name in links] == ["note.txt", "p\u00e4ge.csv", "report.pdf"]
            note, _, report = [await browser.get(link) for link, _ in links]
            assert (note.text, note.headers["Content-Type"]) == ("<b>fine</b>", "text/plain; charset=utf-8")
            assert (report.content, report.headers["Content-Type"]) == (b"%PDF-1.4", "application/octet-stream")
            assert report.headers["Content-Disposition"] == "attachment; filename*=UTF-8''report.pdf"
            assert {answer.headers["X-Content-Type-Options"] for answer in (note, report)} == {"nosniff"}
            assert {answer.headers["Content-Security-Policy"] for answer in (note, report)} == {"sandbox"}
            assert (await browser.get(f"/reports/{foreign}")).status_code == 404
        # The module stays, and its client would with it.
        del app.state.client


def test_a_device_in_a_secret(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    run(blocks("docs/identity.md")[0], {})
    monkeypatch.setenv("OPENCLAW_DEVICE", capsys.readouterr().out)
    with BlockingEmbeddedGateway() as gateway:
        code = blocks("docs/identity.md")[1]
        code = code.replace("ws://127.0.0.1:18789", gateway.url).replace("…", str(gateway.token))
        with run(code, {})["client"] as client:
            assert client.connected
        assert gateway.seen.connects[0].params["client"]["platform"] == "linux"


def test_the_logging_example() -> None:
    wire, root = logging.getLogger("openclaw_client.wire"), logging.getLogger()
    before = wire.level, root.level, root.handlers[:]
    try:
        run(blocks("docs/logging.md")[0], {})
        assert wire.isEnabledFor(logging.DEBUG)
    finally:
        wire.setLevel(before[0])
        root.setLevel(before[1])
        root.handlers[:] = before[2]


def test_what_the_docs_link_to_is_there() -> None:
    for name in ("README.md", "CONTRIBUTING.md", *(f"docs/{path.name}" for path in (ROOT / "docs").glob("*.md"))):
        for target in re.findall(r"\]\(([^)#:]+)\)", (ROOT / name).read_text()):
            assert ((ROOT / name).parent / target).exists(), f"{name} links to {target}"


def test_the_list_of_sessions_that_is_asked_for_when_it_has_changed(monkeypatch: pytest.MonkeyPatch) -> None:
    [code] = [block for block in blocks("docs/many-users.md") if "next_list" in block]
    with BlockingEmbeddedGateway() as gateway:
        monkeypatch.setenv("OPENCLAW_GATEWAY_URL", gateway.url)
        monkeypatch.setenv("OPENCLAW_GATEWAY_TOKEN", str(gateway.token))
        names = run(code, {})
        client, next_list = names["client"], names["next_list"]
        with client:
            assert next_list(0) == []
            client.chat_send(session_key="one", message="hi")
            assert [session["key"] for session in next_list(0)] == ["agent:main:one"]
            gateway.faults.disconnect()
            # Again on the next connection.
            wait_until(lambda: gateway.seen.requests["sessions.subscribe"] == 2)
            client.chat_send(session_key="two", message="hi")
            wait_until(lambda: {session["key"] for session in next_list(0)} >= {"agent:main:one", "agent:main:two"})


def test_a_run_whose_sender_is_killed_is_taken_up(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    sender, taker = blocks("docs/recovery.md")
    (tmp_path / "sender.py").write_text(sender)
    (tmp_path / "taker.py").write_text(taker)
    go_on = threading.Event()

    async def agent(_turn: Turn) -> Any:
        yield "The first words, "
        await asyncio.to_thread(go_on.wait, PATIENCE)
        yield "and the others."

    with BlockingEmbeddedGateway(agent=agent) as gateway:
        monkeypatch.setenv("OPENCLAW_GATEWAY_URL", gateway.url)
        monkeypatch.setenv("OPENCLAW_GATEWAY_TOKEN", str(gateway.token))
        monkeypatch.setenv("OPENCLAW_STATE_DIR", str(tmp_path))
        with subprocess.Popen([sys.executable, "sender.py"], cwd=tmp_path, stdout=subprocess.PIPE) as sending:
            assert sending.stdout is not None
            assert sending.stdout.read(len("The first words, ")) == b"The first words, "
            sending.kill()
        with subprocess.Popen([sys.executable, "taker.py"], cwd=tmp_path, stdout=subprocess.PIPE, text=True) as taking:
            wait_until(lambda: len(gateway.seen.connects) == 2)
            go_on.set()
            assert taking.communicate()[0] == "The first words, and the others.\n"
        assert gateway.seen.requests["chat.send"] == 1
        assert [row["role"] for row in gateway.transcript("agent:main:main")] == ["user", "assistant"]
        # Nothing is left to be taken up.
        assert subprocess.check_output([sys.executable, "taker.py"], cwd=tmp_path) == b""


def test_the_table_of_imports_is_the_one_that_is_tested() -> None:
    page = (ROOT / "docs/architecture.md").read_text().partition("## Imports")[2].partition("\n## ")[0]
    printed: dict[str, set[str]] = {}
    for layers, imports in re.findall(r"^\| (`.*?`) \| (.*?) \|$", page, re.MULTILINE):
        for layer in re.findall(r"`(\w+)`", layers):
            printed[layer] = set(imports.split(", ")) - {"\u2013"}
    assert printed == MAY_IMPORT
