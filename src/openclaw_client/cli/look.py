"""Which look a command gets: colours for a person with `rich`, plain text for everybody else."""

from __future__ import annotations

import os
import sys
from importlib.util import find_spec

from openclaw_client.cli.view import Look, PlainLook


def choose_look() -> Look:
    """Colours where stdout is a terminal that can move its cursor and `rich` is installed."""
    terminal = sys.stdout.isatty()
    if terminal and can_render() and os.environ.get("TERM", "") not in ("", "dumb", "unknown"):
        from openclaw_client.cli.render import RichLook, new_console

        return RichLook(new_console())
    return PlainLook(terminal=terminal)


def can_render() -> bool:
    """Whether the optional `rich` is installed."""
    return find_spec("rich") is not None
