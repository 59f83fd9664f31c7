"""The tools of `tools serve` and `tools call`: functions in a file or in a module, or a host that has them.

Knows what a tool looks like. Refuses to know gateways.
"""

from __future__ import annotations

from collections.abc import Iterable
from types import ModuleType
from typing import TYPE_CHECKING, Any, TypeGuard

from openclaw_client.cli.user_module import load_module
from openclaw_client.errors import UsageError

if TYPE_CHECKING:
    from openclaw_client.tools.async_host import AsyncToolHost
    from openclaw_client.tools.blocking_host import ToolHost
    from openclaw_client.tools.tool import Tool

_SERVE = "Name it as my.py or my.module, or one thing in it as my.py:stock"
_CALL = "Name it as my.py:stock or my.module:stock"
_MARK = 'Write "@tool" above a function that has a docstring (from openclaw_client import tool)'


def load_served(where: str) -> ToolHost | AsyncToolHost | list[Tool[..., Any]]:
    """What `my.py` or `my.py:name` gives to serve: the module's host, else all its tools; or what has that name.

    Raises UsageError where there is none, or several hosts to choose from.
    """
    place, name = _split(where)
    module = load_module(place, _SERVE)
    if name:
        return _named(place, name, _attribute(module, place, name, _SERVE))
    hosts = {key: value for key, value in vars(module).items() if _is_host(value)}
    if len(set(map(id, hosts.values()))) > 1:
        names = ", ".join(f"{place}:{key}" for key in hosts)
        raise UsageError(message=f"{place} has more than one host", remedy=f"Name one: {names}")
    if hosts:
        return next(iter(hosts.values()))
    # A tool that has two names is one tool.
    tools = list({id(value): value for value in vars(module).values() if _is_tool(value)}.values())
    if not tools:
        raise UsageError(message=f"{place} has no tools", remedy=_MARK)
    return tools


def load_tool(where: str) -> Tool[..., Any]:
    """The one that `my.py:name` names, as the module or as the agent calls it. Raises UsageError."""
    place, name = _split(where)
    if not name:
        raise UsageError(message=f"{where} names no tool", remedy=_CALL)
    module = load_module(place, _CALL)
    for value in vars(module).values():
        if name not in vars(module) and _is_tool(value) and value.name == name:
            return value
    found = _attribute(module, place, name, _CALL)
    if not _is_tool(found):
        raise UsageError(message=f"{name} of {place} is no tool", remedy=_MARK)
    return found


def _split(where: str) -> tuple[str, str]:
    """A colon in the name of a folder is none that divides."""
    place, colon, name = where.rpartition(":")
    return (place, name) if colon and not where.endswith(".py") else (where, "")


def _attribute(module: ModuleType, place: str, name: str, remedy: str) -> object:
    try:
        return getattr(module, name)
    except AttributeError:
        raise UsageError(message=f"{place} has no {name}", remedy=remedy) from None


def _named(place: str, name: str, found: Any) -> ToolHost | AsyncToolHost | list[Tool[..., Any]]:
    if _is_host(found):
        return found
    if _is_tool(found):
        return [found]
    tools = list(found) if isinstance(found, Iterable) and not isinstance(found, str | bytes) else []
    if not tools or not all(map(_is_tool, tools)):
        raise UsageError(message=f"{name} of {place} is neither a tool nor a host, nor a list of tools", remedy=_MARK)
    return tools


def _is_tool(value: object) -> TypeGuard[Tool[..., Any]]:
    from openclaw_client.tools.tool import Tool

    return isinstance(value, Tool)


def _is_host(value: object) -> TypeGuard[ToolHost | AsyncToolHost]:
    from openclaw_client.tools.async_host import AsyncToolHost
    from openclaw_client.tools.blocking_host import ToolHost

    return isinstance(value, ToolHost | AsyncToolHost)
