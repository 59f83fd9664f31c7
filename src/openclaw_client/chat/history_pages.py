"""Pages of the history that hold what is looked for, whole.

A gateway gives the last rows only, and of a long text its beginning (8,000 characters; 12,000 on 2026.2.17): what was
said is asked for in full where it matters, and only there, because such pages cost a gateway much.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from openclaw_client.chat.methods import ChatMethods
from openclaw_client.errors import RequestFailed
from openclaw_client.wire.history import HistoryMessage, HistoryPage
from openclaw_client.wire.limits import MAX_HISTORY_LIMIT

RUN_PAGE = 50
"""Messages of history that are looked through first for a reply; a run with its tools is rarely above twenty rows."""
MAX_CHARS = 100_000
"""Characters of one text that are asked for: a row of over 128 KiB would be left out altogether."""


async def page_reaching(
    methods: ChatMethods, session_key: str, first: int, reaches: Callable[[HistoryPage], bool], **extra: Any
) -> HistoryPage:
    """The last rows of a session: so many, or all that the gateway gives where those do not go back far enough.

    extra: further parameters of chat.history.
    """
    page = await methods.history(session_key, first, **extra)
    if len(page.messages) < first or reaches(page):
        return page
    return await methods.history(session_key, MAX_HISTORY_LIMIT, **extra)


async def completed(
    methods: ChatMethods,
    session_key: str,
    page: HistoryPage,
    cut: Callable[[HistoryPage], list[HistoryMessage]],
    **extra: Any,
) -> HistoryPage:
    """The page with the texts of the rows that `cut` gives in full, as far as the gateway has them."""
    if not cut(page):
        return page
    limit = max(len(page.messages), 1)
    try:
        page = await methods.history(session_key, limit, maxChars=MAX_CHARS, **extra)
    except RequestFailed as error:
        # 2026.2.17 does not know the parameter.
        if error.retryable:
            raise
        return page
    for row in cut(page):
        await _fetch(methods, session_key, row)
    return page


async def _fetch(methods: ChatMethods, session_key: str, row: HistoryMessage) -> None:
    """Get one row by itself, which gateways of wire v4 do not cut."""
    if row.id is None or methods.hello is None or methods.hello.protocol == 3:
        return
    params = {"sessionKey": session_key, "messageId": row.id}
    try:
        result = await methods.requests.request("chat.message.get", params, methods.request_limit)
    except RequestFailed as error:
        if error.retryable:
            raise
        return
    message = result.get("message") if isinstance(result, dict) else None
    if isinstance(message, dict) and message.get("content"):
        row["content"] = message["content"]
