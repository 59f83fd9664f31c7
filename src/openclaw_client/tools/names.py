"""What a gateway takes as a tool's name and description."""

from __future__ import annotations

import re
from typing import Final

from openclaw_client.errors import UsageError

MAX_NAME: Final = 64
"""Characters of a tool's name (the packages of 2026.8.1 and 2026.9.6)."""
MAX_DESCRIPTION: Final = 1024
"""Characters of a description: gateways cut what is longer, and nobody would see that (the same packages)."""
MAX_TOOLS: Final = 128
"""Tools of one host: gateways refuse a longer list (the same packages)."""

_NAME: Final = re.compile(rf"[A-Za-z][A-Za-z0-9_-]{{0,{MAX_NAME - 1}}}")

CORE_TOOLS: Final = frozenset(
    (
        "agents_list apply_patch ask_user bash browser canvas code_execution create_goal cron edit exec gateway "
        "get_goal heartbeat_respond image image_generate memory_get memory_search message music_generate nodes pdf "
        "process read session_status sessions_history sessions_list sessions_search sessions_send sessions_spawn "
        "sessions_yield skill_workshop subagents tool_call tool_describe tool_search tool_search_code tts update_goal "
        "update_plan video_generate web_fetch web_search write x_search"
    ).split()
)
"""The gateway's own tools. A tool of the same name takes the place of one (observed on 2026.8.1 and 2026.9.6)."""


def check_name(name: object) -> str:
    """The name of a tool, or UsageError."""
    if not isinstance(name, str) or not _NAME.fullmatch(name):
        raise UsageError(
            message=f"{name!r} is no name of a tool",
            remedy=f"Give one with name=: a letter, then letters, digits, _ and -, {MAX_NAME} characters at most",
        )
    if name.lower() in CORE_TOOLS:
        raise UsageError(
            message=f"{name!r} is a tool of the gateway's own, whose place it would take",
            remedy='Give another name, such as name="shop_…"',
        )
    return name


def check_description(description: object, tool: str) -> str:
    """What a model is told of a tool, or UsageError. A gateway counts as JavaScript does: UTF-16."""
    text = description.strip() if isinstance(description, str) else ""
    if not text:
        raise UsageError(
            message=f"nothing says what {tool} does",
            remedy="Write a docstring, or pass description=: a model chooses tools by it",
        )
    size = len(text.encode("utf-16-le", "surrogatepass")) // 2
    if size > MAX_DESCRIPTION:
        raise UsageError(
            message=f"the description of {tool} has {size} characters; a gateway cuts it at {MAX_DESCRIPTION}",
            remedy="Shorten the docstring, or pass a shorter description=",
        )
    return text
