"""The agent of `gateway --agent`: a function in a file or in a module.

Knows what an agent looks like. Refuses to know gateways.
"""

from __future__ import annotations

import inspect
from typing import TYPE_CHECKING, cast

from openclaw_client.cli.user_module import load_module
from openclaw_client.errors import UsageError

if TYPE_CHECKING:
    from openclaw_client.testing import Agent

_REMEDY = 'Write "async def agent(turn): yield ..." and name it as my.py:agent or my.module:agent'


def load_agent(where: str) -> Agent:
    """The function that `my.py:agent` or `my.module:agent` names. Raises UsageError where there is none."""
    place, _, name = where.rpartition(":")
    if not place or not name:
        raise UsageError(message=f"--agent {where} names no function", remedy=_REMEDY)
    function = getattr(load_module(place, _REMEDY), name, None)
    if not callable(function):
        raise UsageError(message=f"{place} has no function {name}", remedy=_REMEDY)
    if inspect.iscoroutinefunction(function) or inspect.isgeneratorfunction(function):
        raise UsageError(message=f"{name} of {place} is no async generator", remedy=_REMEDY)
    return cast("Agent", function)
