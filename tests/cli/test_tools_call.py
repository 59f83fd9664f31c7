"""`tools call`, and how the tools of a module are found."""

from __future__ import annotations

import json
import re
import shlex
import signal
from pathlib import Path

import pytest

import openclaw_client
from openclaw_client.cli.exit_codes import ExitCode
from tests.cli.conftest import Program, finish

SHOP = '''
"""A shop."""
import asyncio
import dataclasses
import datetime
import sys
from typing import Annotated

from openclaw_client import ToolCall, ToolError, ToolResult, tool
from words import GREETING

print("loading the shop")


@dataclasses.dataclass
class Stock:
    sku: str
    pieces: int


@tool
def stock(sku: Annotated[str, "the article's number"], least: int = 0) -> Stock:
    """How many pieces of an article are in stock."""
    print("looking it up")
    if sku == "unknown":
        raise ToolError("there is no such article: try b-2\\x1b[2J")
    if sku == "bug":
        raise ValueError("canary of the inside")
    return Stock(sku, max(7, least))


@tool(name="say_hello", description="Greets.")
def hello(call: ToolCall, day: datetime.date) -> str:
    return f"{GREETING} on {day:%d.%m.} in {call.session_key}\\n**bold**"


@tool
async def slow(seconds: float) -> None:
    """Sleeps."""
    print("asleep", file=sys.stderr, flush=True)
    await asyncio.sleep(seconds)


@tool
def draw() -> ToolResult:
    """Draws."""
    return ToolResult("two of them", images=[(b"1", "image/png"), (b"2", "image/png")])


@tool
def much() -> str:
    """Says much."""
    return "x" * 300_000


@tool(timeout=0.001)
async def late() -> str:
    """Is late."""
    await asyncio.sleep(0.05)
    return "at last"


def plain() -> None:
    """No tool."""
'''


@pytest.fixture(autouse=True)
def shop(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with a module of tools, and the current one."""
    (tmp_path / "shop.py").write_text(SHOP)
    (tmp_path / "words.py").write_text('GREETING = "hello"')
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.mark.parametrize("where", ["shop.py:stock", "shop:stock", "{folder}/shop.py:stock"])
def test_a_tool_is_run_and_its_result_printed(
    alone: Program, shop: Path, monkeypatch: pytest.MonkeyPatch, where: str
) -> None:
    if "{" in where:
        monkeypatch.chdir(shop.parent)
    ran = alone.run("tools", "call", where.format(folder=shop), '{"sku": "a-1"}')
    assert (ran.code, json.loads(ran.out)) == (0, {"sku": "a-1", "pieces": 7}), ran.err
    assert ran.out.startswith("{\n")
    # What the module prints goes beside the result.
    assert ran.err == "loading the shop\nlooking it up\n"


def test_arguments_are_converted_as_those_of_an_agent(alone: Program) -> None:
    assert '"pieces": 12' in alone.run("tools", "call", "shop.py:stock", '{"sku": "a-1", "least": "12"}').out
    ran = alone.run("tools", "call", "shop.py:say_hello", "-", "--session", "work", given='{"day": "2026-02-03"}')
    assert (ran.code, ran.out) == (0, "hello on 03.02. in work\n**bold**\n")
    # As the module calls it, too.
    assert alone.run("tools", "call", "shop.py:hello", '{"day": "2026-02-03"}').out.startswith("hello on")


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("shop.py:stock", "{}"), "stock does not take these arguments"),
        (("shop.py:stock",), "sku"),
        (("shop.py:stock", '{"sku": "a", "least": "many"}'), "$.least"),
        (("shop.py:stock", '{"sku": "a", "colour": "red"}'), "colour"),
        (("shop.py:stock", "[1]"), "the arguments are no JSON object"),
        (("shop.py:stock", "{"), "the arguments are no JSON"),
        (("shop.py", "{}"), "shop.py names no tool"),
        (("shop.py:none",), "shop.py has no none"),
        (("shop.py:plain",), "plain of shop.py is no tool"),
        (("none.py:stock",), "there is no none.py"),
        (("no.such.module:stock",), "there is no no.such.module"),
        (("broken.py:stock",), "broken.py cannot be loaded: ZeroDivisionError: division by zero (line 2)"),
        (("bad.py:read",), "bad.py cannot be loaded: UsageError"),
    ],
)
def test_what_cannot_be_called_is_a_mistake_of_use(
    alone: Program, shop: Path, arguments: tuple[str, ...], said: str
) -> None:
    (shop / "broken.py").write_text("a = 1\n1 / 0\n")
    (shop / "bad.py").write_text('from openclaw_client import tool\n@tool\ndef read():\n    "Reads."\n')
    ran = alone.run("tools", "call", *arguments)
    assert (ran.code, ran.out) == (ExitCode.USAGE, "")
    assert said in ran.err
    assert ran.err.splitlines()[-1].startswith("openclaw-client: ")


def test_a_tool_error_is_the_word_of_the_tool(alone: Program) -> None:
    ran = alone.run("tools", "call", "shop.py:stock", '{"sku": "unknown"}')
    assert (ran.code, ran.out) == (ExitCode.FAILED, "")
    assert ran.err.splitlines()[-1] == "openclaw-client: stock: there is no such article: try b-2[2J"
    ran = alone.run("tools", "call", "shop.py:stock", '{"sku": "unknown"}', "--json")
    (result,) = ran.objects
    text = "there is no such article: try b-2\x1b[2J"
    assert (ran.code, result["is_error"], result["content"]) == (1, True, [{"type": "text", "text": text}])
    assert "too large" not in ran.err
    assert "300,000 bytes" in alone.run("tools", "call", "shop.py:much").err


def test_any_other_exception_is_told_to_the_person(alone: Program) -> None:
    ran = alone.run("tools", "call", "shop.py:stock", '{"sku": "bug"}', "--json")
    assert (ran.code, ran.objects[-1]["type"], ran.objects[-1]["error"]) == (ExitCode.FAILED, "error", "ValueError")
    assert "ValueError: canary of the inside" in ran.err
    assert "Traceback" not in ran.err
    ran = alone.run("tools", "call", "shop.py:stock", '{"sku": "bug"}', "-vv")
    assert 'shop.py", line ' in ran.err


def test_json_has_the_content_as_the_agent_gets_it(alone: Program) -> None:
    ran = alone.run("tools", "call", "shop.py:draw", "--json")
    (result,) = ran.objects
    assert (result["type"], result["tool"], result["is_error"]) == ("result", "draw", False)
    assert [block["type"] for block in result["content"]] == ["text", "image", "image"]
    assert result["seconds"] < 5
    ran = alone.run("tools", "call", "shop.py:draw")
    assert (ran.out, ran.err.splitlines()[-1]) == ("two of them\n", "[2 images]")


def test_nothing_is_printed_of_a_tool_that_returns_nothing(alone: Program) -> None:
    ran = alone.run("tools", "call", "shop.py:slow", '{"seconds": 0}')
    assert (ran.code, ran.out) == (0, "")


def test_a_tool_that_takes_too_long_is_told_of(alone: Program) -> None:
    ran = alone.run("tools", "call", "shop.py:late")
    assert (ran.code, ran.out) == (0, "at last\n")
    assert "after 0.001 s an agent would have been told" in ran.err


def test_ctrl_c_ends_the_call(alone: Program) -> None:
    with alone.start("tools", "call", "shop.py:slow", '{"seconds": 60}') as process:
        assert process.stderr is not None
        while "asleep" not in process.stderr.readline():
            pass
        process.send_signal(signal.SIGINT)
        out, err = finish(process)
    assert (process.returncode, out, err) == (ExitCode.INTERRUPTED, "", "")


def test_nothing_is_connected_to(alone: Program) -> None:
    for option in (("--url", "ws://127.0.0.1:1"), ("--embedded",), ("--no-device",)):
        ran = alone.run("tools", "call", "shop.py:draw", *option)
        assert (ran.code, ran.out) == (2, "")
        assert f"{option[0]} says where to connect to" in ran.err
    assert list(alone.home.iterdir()) == []


def test_the_document_s_example(alone: Program, shop: Path) -> None:
    document = (Path(openclaw_client.__file__).parents[2] / "docs" / "cli.md").read_text(encoding="utf-8")
    (code,) = re.findall(r"```python\n(# shop\.py\n.*?)```", document, re.DOTALL)
    (shop / "shop.py").write_text(code)
    command, output = re.findall(r"\$ openclaw-client (tools call .*?)\n(.*?)\n\$", document, re.DOTALL)[0]
    assert alone.run(*shlex.split(command)).out == f"{output}\n"
    assert alone.run("tools", "call", "shop.py:stock", '{"sku": "b"}').err.endswith("article numbers begin with a-\n")
