"""`@tool`: what is refused, what is kept, and that the function stays what it was."""

from __future__ import annotations

import asyncio
import functools
import inspect
import math
from collections.abc import AsyncIterator, Iterator
from typing import Any

import pytest

from openclaw_client import Tool, ToolCall, tool
from openclaw_client.errors import UsageError


@tool
def stock(sku: str, warehouse: str = "main") -> str:
    """How many pieces of an article are in stock.

    Returns:
        A text.
    """
    return f"{sku} in {warehouse}: 3"


def test_the_function_is_what_it_was() -> None:
    assert stock("a", warehouse="north") == "a in north: 3"
    assert (stock.__name__, stock.__module__) == ("stock", __name__)
    assert str(inspect.signature(stock)) == "(sku: 'str', warehouse: 'str' = 'main') -> 'str'"
    assert stock.function("a") == "a in main: 3"
    assert repr(stock) == "<Tool stock(sku, warehouse)>"


def test_what_is_not_said_is_taken_from_the_function() -> None:
    assert (stock.name, stock.description) == ("stock", "How many pieces of an article are in stock.")
    assert (stock.timeout, stock.approve, stock.is_coroutine) == (None, None, False)


def test_what_is_said_counts() -> None:
    def ask(call: ToolCall) -> bool:
        return True

    @tool(name="shop_stock", description="  Stock of the shop. ", timeout=60, approve=ask)
    def other(sku: str) -> str:
        return sku

    assert isinstance(other, Tool)
    assert (other.name, other.description) == ("shop_stock", "Stock of the shop.")
    assert (other.timeout, other.approve) == (60.0, ask)


def test_attributes_of_the_function_do_not_take_the_tool_s_places() -> None:
    def one(sku: str) -> str:
        """One."""
        return sku

    vars(one).update(name="bad name", parameters=5, colour="red")
    made: Any = tool(one)
    assert (made.name, made.colour) == ("one", "red")
    assert list(made.parameters["properties"]) == ["sku"]


class Shop:
    """A shop."""

    async def book(self, sku: str) -> str:
        """Book an article."""
        return sku

    def __call__(self, sku: str) -> str:
        return sku


class AsyncShop:
    async def __call__(self, sku: str) -> str:
        """Ask the shop."""
        return sku


async def fetch(sku: str) -> str:
    """Fetch an article."""
    return sku


@functools.wraps(fetch)
def waits(sku: str) -> str:
    return asyncio.run(fetch(sku))


@pytest.mark.parametrize(
    ("function", "name", "description", "is_coroutine"),
    [
        (fetch, None, "Fetch an article.", True),
        (functools.partial(fetch, sku="x"), None, "Fetch an article.", True),
        (functools.partial(functools.partial(fetch), "x"), None, "Fetch an article.", True),
        (Shop().book, None, "Book an article.", True),
        (Shop(), "shop", "A shop.", False),
        (AsyncShop(), "shop", "Ask the shop.", True),
        (functools.partial(AsyncShop()), "shop", "Ask the shop.", True),
        (waits, None, "Fetch an article.", False),
        (stock, None, stock.description, False),
        (tool(fetch), None, "Fetch an article.", True),
    ],
)
def test_what_may_be_a_tool(function: Any, name: str | None, description: str, is_coroutine: bool) -> None:
    made = tool(function, name=name)
    assert (made.description, made.is_coroutine) == (description, is_coroutine)
    assert made.name == name or made.name in ("fetch", "book", "stock")


def yields() -> Iterator[int]:
    """Yields."""
    yield 1


async def yields_later() -> AsyncIterator[int]:
    """Yields."""
    yield 1


def plain() -> None:
    """Plain."""


def silent() -> None: ...


def sections_only() -> None:
    """
    Returns:
        Nothing.
    """


@pytest.mark.parametrize(
    ("function", "fields", "said"),
    [
        (5, {}, "5 is no function"),
        (Shop, {}, "is no function"),
        (yields, {}, "the result of a tool is one value. Return a list"),
        (yields_later, {}, "the result of a tool is one value"),
        (functools.partial(yields), {}, "the result of a tool is one value"),
        (Shop(), {}, "'__call__' is no name of a tool"),
        (lambda: None, {}, "'<lambda>' is no name of a tool"),
        (plain, {"name": ""}, "'' is no name of a tool"),
        (plain, {"name": "read"}, "'read' is a tool of the gateway's own"),
        (silent, {}, "nothing says what silent does. Write a docstring"),
        (sections_only, {}, "nothing says what sections_only does"),
        (plain, {"description": " "}, "nothing says what plain does"),
        (plain, {"description": 5}, "nothing says what plain does"),
        (plain, {"description": "x" * 1025}, "has 1025 characters; a gateway cuts it at 1024"),
        (plain, {"timeout": 0}, "timeout=0 of plain is no time"),
        (plain, {"timeout": -1}, "timeout=-1 of plain is no time"),
        (plain, {"timeout": True}, "timeout=True of plain is no time"),
        (plain, {"timeout": "5"}, "timeout='5' of plain is no time"),
        (plain, {"timeout": math.inf}, "timeout=inf of plain is no time"),
        (plain, {"timeout": math.nan}, "timeout=nan of plain is no time"),
        (plain, {"approve": True}, "approve= of plain cannot be called"),
    ],
)
def test_what_is_wrong_is_refused_at_once(function: Any, fields: dict[str, Any], said: str) -> None:
    with pytest.raises(UsageError, match=said):
        tool(function, **fields)


def test_a_function_without_parameters_has_a_schema() -> None:
    assert tool(plain).parameters == {"type": "object", "properties": {}, "required": [], "additionalProperties": False}
    assert tool(plain).bind(ToolCall(tool="plain", arguments={})) == ((), {})
