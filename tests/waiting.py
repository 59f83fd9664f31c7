"""Waiting for what happens in another thread and gives no sign of its own."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

PATIENCE = 20.0
"""Seconds; far above what anything here takes, so that only a hang fails."""


async def until(condition: Callable[[], object]) -> None:
    """Return when the condition holds; TimeoutError when it never does."""
    async with asyncio.timeout(PATIENCE):
        while not condition():  # noqa: ASYNC110 - the point of this module
            await asyncio.sleep(0)
