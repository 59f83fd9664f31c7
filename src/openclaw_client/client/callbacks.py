"""Runs users' handlers away from the reader: in order, one at a time, none able to harm another or the connection."""

from __future__ import annotations

import asyncio
import inspect
import logging
from collections import deque
from collections.abc import Callable
from typing import Any

logger = logging.getLogger("openclaw_client.callbacks")


def handler_name(handler: object) -> str:
    """What a log line calls a handler."""
    return getattr(handler, "__qualname__", None) or type(handler).__qualname__


class CallbackQueue:
    """Handlers of one client, plain or `async def`, in one task that lives while there is something to run."""

    def __init__(self) -> None:
        self._calls: deque[tuple[Callable[..., object], tuple[Any, ...]]] = deque()
        self._task: asyncio.Task[None] | None = None

    def put(self, handler: Callable[..., object], *args: Any) -> None:
        """Run handler(*args) soon; on the loop's thread."""
        self._calls.append((handler, args))
        if self._task is None:
            self._task = asyncio.get_running_loop().create_task(self._work(), name="openclaw-callbacks")

    async def _work(self) -> None:
        try:
            while self._calls:
                handler, args = self._calls.popleft()
                try:
                    result = handler(*args)
                    if inspect.isawaitable(result):
                        await result
                except Exception:
                    logger.exception("the handler %s raised", handler_name(handler))
        finally:
            self._task = None
