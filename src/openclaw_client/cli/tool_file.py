"""The tools of `tools serve` and `tools call`: functions in a file or in a module.

Knows what a tool looks like. Refuses to know gateways.
"""

from __future__ import annotations

from types import ModuleType
from typing import TYPE_CHECKING, Any

from openclaw_client.cli.user_module import load_module
from openclaw_client.errors import UsageError

if TYPE_CHECKING:
    from openclaw_client.tools.tool import Tool

_CALL = "Name it as my.py:stock or my.module:stock"
_MARK = 'Write "@tool" above a function that has a docstring (from openclaw_client import tool)'


def load_tool(where: str) -> Tool[..., Any]:
    """The one that `my.py:name` names, as the module or as the agent calls it. Raises UsageError."""
    place, name = _split(where)
    if not name:
        raise UsageError(message=f"{where} names no tool", remedy=_CALL)
    module = load_module(place, _CALL)
    for value in vars(module).values():
        if name not in vars(module) and _is_tool(value) and value.name == name:
            return value  # type: ignore[no-any-return]
    found: Any = _attribute(module, place, name, _CALL)
    if not _is_tool(found):
        raise UsageError(message=f"{name} of {place} is no tool", remedy=_MARK)
    return found  # type: ignore[no-any-return]


def _split(where: str) -> tuple[str, str]:
    """A colon in the name of a folder is none that divides."""
    place, colon, name = where.rpartition(":")
    return (place, name) if colon and not where.endswith(".py") else (where, "")


def _attribute(module: ModuleType, place: str, name: str, remedy: str) -> object:
    try:
        return getattr(module, name)
    except AttributeError:
        raise UsageError(message=f"{place} has no {name}", remedy=remedy) from None


def _is_tool(value: object) -> bool:
    from openclaw_client.tools.tool import Tool

    return isinstance(value, Tool)
