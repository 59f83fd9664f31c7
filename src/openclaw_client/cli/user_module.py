"""A module of the user's, which a command line names as `my.py` or `my.module`.

Knows how Python loads one. Refuses to know what is in it.
"""

from __future__ import annotations

import os
import sys
import traceback
from importlib.machinery import ModuleSpec
from importlib.util import find_spec, module_from_spec, spec_from_file_location
from pathlib import Path
from types import ModuleType

from openclaw_client.errors import UsageError


def load_module(place: str, remedy: str) -> ModuleType:
    """The module, loaded. remedy: how it is to be named. Raises UsageError where there is none, or it cannot be
    loaded."""
    spec = _spec(place)
    if spec is None or spec.loader is None:
        raise UsageError(message=f"there is no {place}", remedy=remedy)
    module = module_from_spec(spec)
    sys.modules[spec.name] = module
    try:
        spec.loader.exec_module(module)
    except Exception as error:  # a file of the user's: whatever it raises is told in one line
        said = f"{place} cannot be loaded: {type(error).__name__}: {error}"
        raise UsageError(message=said + _line_of(error, spec.origin)) from error
    return module


def _line_of(error: Exception, file: str | None) -> str:
    """Where in the user's file it happened; a SyntaxError says so itself."""
    lines = [frame.lineno for frame in traceback.extract_tb(error.__traceback__) if frame.filename == file]
    return f" (line {lines[-1]})" if lines else ""


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
