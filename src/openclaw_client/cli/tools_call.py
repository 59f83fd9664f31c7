"""`tools call`: try a tool without a gateway."""

from __future__ import annotations

import argparse
import asyncio
import inspect
import json
import sys
import time
from collections.abc import Awaitable
from contextlib import redirect_stdout
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from openclaw_client.cli.blocks import mark
from openclaw_client.cli.exit_codes import ExitCode
from openclaw_client.cli.input import read_object
from openclaw_client.cli.options import Options
from openclaw_client.cli.output import encode, json_line, write
from openclaw_client.cli.report import complain, report_crash
from openclaw_client.cli.tool_file import load_tool
from openclaw_client.cli.view import remark
from openclaw_client.errors import GatewayError, UsageError

if TYPE_CHECKING:
    from openclaw_client.tools.tool import Tool

HELP = """\
run a tool here, without a gateway
Its arguments are checked and converted as those of an agent are, and what it
returns is printed. Whom it asks to approve a call is not asked. With --session
the call is one of that session."""

CALL_ID = "command-line"
"""What stands in the place of a model's id."""
LIMIT = 118.0
"""Seconds: what gateways wait (119.99), less what a host's answer needs on its way."""
MAX_RESULT = 262_144
"""Bytes of a result that a host sends unless it is told otherwise."""


@dataclass(slots=True)
class _Called:
    value: object
    content: list[dict[str, Any]]
    seconds: float
    refusal: str | None = None


def configure(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("module", metavar="MODULE:NAME", help="the tool, in a file (my.py:stock) or a module")
    parser.add_argument(
        "params", nargs="?", metavar="JSON", help='its arguments as a JSON object; "-" reads it from stdin'
    )


def run(options: Options) -> int:
    arguments = read_object(options.params, "arguments", '{"sku": "a-1"}') or {}
    try:
        # What the module prints is not the result.
        with redirect_stdout(sys.stderr):
            tool = load_tool(options.module)
            called = _called(tool, arguments, options.session)
    except GatewayError:
        raise
    except Exception as error:  # noqa: BLE001 - the function is the user's: whatever it raises is told
        return report_crash(error, options)
    _tell(tool, called, options)
    return ExitCode.OK if called.refusal is None else ExitCode.FAILED


def _called(tool: Tool[..., Any], arguments: dict[str, Any], session_key: str | None) -> _Called:
    """The function, run. Raises UsageError for arguments that it does not take, and what it raises."""
    from openclaw_client.tools.call import ToolCall
    from openclaw_client.tools.results import ToolError, content_of, error_text

    begun = time.monotonic()
    limit = LIMIT if tool.timeout is None else min(tool.timeout, LIMIT)
    call = ToolCall(
        tool=tool.name,
        arguments=arguments,
        session_key=session_key,
        user=None,
        call_id=CALL_ID,
        deadline=begun + limit,
        clock=time.monotonic,
    )
    try:
        positional, named = tool.bind(call)
    except ToolError as error:
        raise UsageError(message=f"{tool.name} does not take these arguments: {error}") from error
    value, content, refusal = None, [], None
    try:
        value = tool.function(*positional, **named)
        if inspect.isawaitable(value):
            value = asyncio.run(_awaited(value))
        content = content_of(value, max_bytes=MAX_RESULT)
    except ToolError as error:
        refusal = error_text(tool.name, error, host="")
    seconds = time.monotonic() - begun
    if seconds > limit:
        remark(f"it took {seconds:.1f} s: after {limit:g} s an agent would have been told that it takes too long")
    return _Called(value, content, seconds, refusal)


async def _awaited(value: Awaitable[Any]) -> Any:
    return await value


def _tell(tool: Tool[..., Any], called: _Called, options: Options) -> None:
    refused = called.refusal is not None
    if refused:
        complain(f"{tool.name}: {called.refusal}")
    if options.json:
        content = [{"type": "text", "text": called.refusal}] if refused else called.content
        fields = {"content": content, "is_error": refused, "seconds": round(called.seconds, 3)}
        json_line("result", {"tool": tool.name, **fields})
        return
    text = "\n".join(block["text"] for block in called.content if block.get("type") == "text")
    if text:
        write(f"{_readable(text, called.value)}\n")
    beside = mark(called.content)
    if beside:
        remark(beside[1:-1])


def _readable(text: str, value: object) -> str:
    """JSON over several lines; what the function wrote as text, as it wrote it."""
    from openclaw_client.tools.results import ToolResult

    if isinstance(value, str | ToolResult):
        return text
    return encode(json.loads(text), indent=2)
