"""What a gateway takes as a tool's name and description."""

from __future__ import annotations

import re
from typing import Final

from openclaw_client.errors import UsageError

MAX_NAME: Final = 64
"""Characters of a tool's name (the package of 2026.8.1)."""
MAX_DESCRIPTION: Final = 1024
"""Characters of a description, in UTF-16: gateways cut what is longer, and nobody would see that (the same package)."""
MAX_TOOLS: Final = 128
"""Tools of one host: gateways drop those beyond, and log it on their side (the same package)."""

_NAME: Final = re.compile(rf"[A-Za-z][A-Za-z0-9_-]{{0,{MAX_NAME - 1}}}")

_CORE_TOOLS = """
    agents_list agents_wait apply-patch apply_patch ask_user automations bash browser canvas code_execution computer
    conversations_list conversations_send conversations_turn create_goal cron dashboard dir_fetch dir_list
    dismiss_task edit exec file_fetch file_write gateway get_goal github_identity_status heartbeat_respond
    image_generate intent ls memory_get memory_search message mobile_ui music_generate node_inference nodes openclaw
    pdf plugins portal process progress_card read screen secrets session_status sessions sessions_history
    sessions_list sessions_search sessions_send sessions_spawn sessions_yield show_widget skill_workshop subagents
    suggest_task talk_voice terminal theme tool_call tool_describe tool_search tool_search_code transcripts tts
    update_goal video_generate view_image web_fetch web_search write x_search
"""
CORE_TOOLS: Final = frozenset(_CORE_TOOLS.split())
"""The gateway's own tools, whose place one of the same name would take. Observed on 2026.8.1 and 2026.9.6:
`tools.catalog`, what a model was offered, Tool Search; and what the packages call some of them beside."""


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
    """What a model is told of a tool, or UsageError."""
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
