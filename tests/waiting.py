"""Waiting for what happens in another thread and gives no sign of its own."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from typing import TypeVar

T = TypeVar("T")

PATIENCE = 20.0
"""Seconds; far above what anything here takes, so that only a hang fails."""


PAUSE = 0.002
"""Seconds between two looks: a wait must not take a whole core."""


async def until(condition: Callable[[], object]) -> None:
    """Return when the condition holds; TimeoutError when it never does."""
    async with asyncio.timeout(PATIENCE):
        while not condition():  # noqa: ASYNC110 - the point of this module
            # A loop that only spins takes the interpreter's lock back before a thread that waits for it has woken up.
            await asyncio.sleep(PAUSE)


def wait_until(condition: Callable[[], T], *, patience: float = PATIENCE) -> T:
    """For threads: what the condition gives as soon as that is true; fails when it never is, within so many seconds."""
    deadline = time.monotonic() + patience
    while not (found := condition()):
        assert time.monotonic() < deadline, "what was waited for never came"
        time.sleep(PAUSE)
    return found
