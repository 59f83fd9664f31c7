"""What type checkers make of `@tool`: `make check` reads this file, and nothing runs it.

Each `type: ignore` stands where a mistake must be found: one that is not needed is an error itself.
"""
# pyright: reportUnnecessaryTypeIgnoreComment=true

from __future__ import annotations

import asyncio
from functools import partial
from typing import Any, assert_type

from openclaw_client import Tool, ToolCall, tool


def ask(call: ToolCall) -> bool:
    return call.seconds_left > 5


async def ask_later(call: ToolCall) -> bool:
    return call.seconds_left > 5


@tool
def stock(sku: str, count: int = 1) -> float:
    """In stock."""
    return 1.5


@tool(name="shop_book", timeout=60, approve=ask)
def book(call: ToolCall, day: str) -> str:
    """Book."""
    return day


@tool(approve=ask_later)
async def fetch(sku: str) -> bytes:
    """Fetch."""
    return b""


assert_type(stock("x", count=2), float)
assert_type(book(ToolCall(tool="book", arguments={}), day="now"), str)
assert_type(asyncio.run(fetch("x")), bytes)
assert_type(tool(partial(len, "x"), name="length", description="Length.")(), int)
assert_type(stock.name, str)

tools: list[Tool[..., Any]] = [stock, book, fetch]

stock(5)  # type: ignore[arg-type]
stock()  # type: ignore[call-arg]
stock("x", pieces=1)  # type: ignore[call-arg]
stock("x").upper()  # type: ignore[attr-defined]
tool(5)  # type: ignore[call-overload]
tool(stock, timeout="soon")  # type: ignore[call-overload]
tool(stock, approve=len)  # type: ignore[arg-type]
