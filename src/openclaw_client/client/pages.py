"""Pages of the history that hold what is looked for, whole.

A gateway gives the last rows only, and of a long text its beginning (8,000 characters; 12,000 on 2026.2.17): what was
said is asked for in full where it matters, and only there, because such pages cost a gateway much.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from openclaw_client.errors import RequestFailed
from openclaw_client.wire.history import HistoryMessage, HistoryPage
from openclaw_client.wire.limits import MAX_HISTORY_LIMIT

if TYPE_CHECKING:
    from openclaw_client.client.engine import Engine

MAX_CHARS = 100_000
"""Characters of one text that are asked for: a row of over 128 KiB would be left out altogether."""


async def page_reaching(
    engine: Engine, session_key: str, first: int, reaches: Callable[[HistoryPage], bool]
) -> HistoryPage:
    """The last rows of a session: so many, or all that the gateway gives where those do not go back far enough."""
    page = await engine.requests.history(session_key, first)
    if len(page.messages) < first or reaches(page):
        return page
    return await engine.requests.history(session_key, MAX_HISTORY_LIMIT)


async def completed(
    engine: Engine, session_key: str, page: HistoryPage, cut: Callable[[HistoryPage], list[HistoryMessage]]
) -> HistoryPage:
    """The page with the texts of the rows that `cut` gives in full, as far as the gateway has them."""
    if not cut(page):
        return page
    limit = max(len(page.messages), 1)
    try:
        page = await engine.requests.history(session_key, limit, maxChars=MAX_CHARS)
    except RequestFailed as error:
        # 2026.2.17 does not know the parameter.
        if error.retryable:
            raise
        return page
    for row in cut(page):
        await _fetch(engine, session_key, row)
    return page


async def _fetch(engine: Engine, session_key: str, row: HistoryMessage) -> None:
    """Get one row by itself, which gateways of wire v4 do not cut."""
    if row.id is None or engine.hello is None or engine.hello.protocol == 3:
        return
    params = {"sessionKey": session_key, "messageId": row.id}
    try:
        result = await engine.requests.request("chat.message.get", params, engine.settings.timeouts.request)
    except RequestFailed as error:
        if error.retryable:
            raise
        return
    message = result.get("message") if isinstance(result, dict) else None
    if isinstance(message, dict) and message.get("content"):
        row["content"] = message["content"]
