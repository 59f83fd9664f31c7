"""The agent of `gateway --agent`: a function in a file or in a module.

Knows how Python loads one. Refuses to know gateways.
"""

from __future__ import annotations

import inspect
import os
import sys
from importlib.machinery import ModuleSpec
from importlib.util import find_spec, module_from_spec, spec_from_file_location
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING, cast

from openclaw_client.errors import UsageError

if TYPE_CHECKING:
    from openclaw_client.testing import Agent

_REMEDY = 'Write "async def agent(turn): yield ..." and name it as my.py:agent or my.module:agent'


def load_agent(where: str) -> Agent:
    """The function that `my.py:agent` or `my.module:agent` names. Raises UsageError where there is none."""
    place, _, name = where.rpartition(":")
    if not place or not name:
        raise UsageError(message=f"--agent {where} names no function", remedy=_REMEDY)
    function = getattr(_loaded(place), name, None)
    if not callable(function):
        raise UsageError(message=f"{place} has no function {name}", remedy=_REMEDY)
    if inspect.iscoroutinefunction(function) or inspect.isgeneratorfunction(function):
        raise UsageError(message=f"{name} of {place} is no async generator", remedy=_REMEDY)
    return cast("Agent", function)


def _loaded(place: str) -> ModuleType:
    spec = _spec(place)
    if spec is None or spec.loader is None:
        raise UsageError(message=f"there is no {place}", remedy=_REMEDY)
    module = module_from_spec(spec)
    sys.modules[spec.name] = module
    try:
        spec.loader.exec_module(module)
    except Exception as error:  # a file of the user's: whatever it raises is told in one line
        raise UsageError(message=f"{place} cannot be loaded: {type(error).__name__}: {error}") from error
    return module


def _spec(place: str) -> ModuleSpec | None:
    # A program that pip installs does not look into the current folder by itself.
    sys.path.insert(0, os.getcwd())
    if not place.endswith(".py"):
        try:
            return find_spec(place)
        except (ImportError, ValueError):
            return None
    path = Path(place).resolve()
    sys.path.insert(0, str(path.parent))
    return spec_from_file_location(path.stem, path) if path.is_file() else None
