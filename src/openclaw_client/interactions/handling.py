"""Where users' handlers for approvals and questions run: apart from all others, for they wait for people."""

from __future__ import annotations

import asyncio
import inspect
from collections.abc import Callable
from typing import Any, Protocol

from openclaw_client.logs import GuardedLogger, handler_name
from openclaw_client.runs.interactions import Interaction

logger = GuardedLogger("openclaw_client.interactions")

InteractionHandler = Callable[[Interaction], object]


class HandlerRunner(Protocol):
    """Runs one handler for one approval or question. On the loop's thread; must not block and must not raise."""

    def run(
        self, handler: InteractionHandler, item: Interaction, done: Callable[[object], None]
    ) -> Callable[[], object]:
        """Call handler(item) soon, and done(result) on the loop's thread; not where it raises, which is logged.

        Returns what tells it that its answer is no longer needed.
        """
        ...


class TaskRunner:
    """Each handler in a task of its own, which is cancelled when nobody needs its answer any more."""

    __slots__ = ("_tasks",)

    def __init__(self) -> None:
        self._tasks: dict[asyncio.Task[None], None] = {}

    def run(
        self, handler: InteractionHandler, item: Interaction, done: Callable[[object], None]
    ) -> Callable[[], object]:
        task = asyncio.get_running_loop().create_task(_call(handler, item, done), name="openclaw-interaction")
        self._tasks[task] = None
        task.add_done_callback(self._tasks.pop)

        def leave() -> None:
            # Whoever answers within the handler is not to be cut off by it.
            if task is not _current_task():
                task.cancel()

        return leave


def _current_task() -> asyncio.Task[Any] | None:
    try:
        return asyncio.current_task()
    except RuntimeError:
        # After a fork, or at the end of the loop.
        return None


async def _call(handler: InteractionHandler, item: Interaction, done: Callable[[object], None]) -> None:
    try:
        result = handler(item)
        if inspect.isawaitable(result):
            result = await result
    except asyncio.CancelledError:
        task = asyncio.current_task()
        if task is not None and task.cancelling():
            raise
        # Not this task was cancelled, but what the handler waited for.
        log_failure(handler)
    except (KeyboardInterrupt, SystemExit):
        raise
    except BaseException:  # noqa: BLE001 - logged with its traceback
        log_failure(handler)
    else:
        done(result)


def log_failure(handler: object) -> None:
    """A handler raised: neither a yes nor a no."""
    what = "the handler %s raised; what the agent asked for stays open"
    logger.error(what, handler_name(handler), exc_info=True)  # noqa: LOG014 - called where it was caught
