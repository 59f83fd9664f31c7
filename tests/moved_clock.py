"""An event loop whose clock the tests move: when nothing is ready, the next timer is due at once.

An hour passes in a millisecond, and in the same way on every machine. For code without sockets and threads: what waits
for neither a timer nor a ready callback would wait for ever, and fails instead.
"""

from __future__ import annotations

import asyncio
import selectors
from collections.abc import Coroutine
from typing import Any, TypeVar

T = TypeVar("T")


class _MovingSelector(selectors.SelectSelector):
    """Instead of waiting it moves the clock."""

    def __init__(self) -> None:
        super().__init__()
        self.now = 1_000.0

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        if timeout is None:
            raise AssertionError("everything waits, and nothing will ever happen")
        self.now += max(timeout, 0)
        return []


class MovedClockLoop(asyncio.SelectorEventLoop):
    """Begins at 1,000 seconds."""

    def __init__(self) -> None:
        self._moving = _MovingSelector()
        super().__init__(self._moving)

    def time(self) -> float:
        return self._moving.now


def run(main: Coroutine[Any, Any, T]) -> T:
    """Run to the end on a loop with a moved clock."""
    with asyncio.Runner(loop_factory=MovedClockLoop) as runner:
        return runner.run(main)


async def turns(count: int) -> None:
    """Let the loop turn this often."""
    for _ in range(count):
        await asyncio.sleep(0)
