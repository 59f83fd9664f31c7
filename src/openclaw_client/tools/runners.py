"""Where the functions of a host run: in threads, or in coroutines and threads."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from contextlib import suppress
from functools import partial
from typing import Any, Protocol

from openclaw_client.logs import GuardedLogger, ends_more_than_a_callback
from openclaw_client.os_threads import Workers
from openclaw_client.tools.call import ToolCall
from openclaw_client.tools.calls import CallAnswer, words
from openclaw_client.tools.stages import Steps, UserOf, answer_for, failure, go_on, run_blocking, steps_of
from openclaw_client.tools.tool import Tool

logger = GuardedLogger("openclaw_client.tools")

_DROPPED = CallAnswer()
"""Of a call that nobody waits for any more."""

Done = Callable[[CallAnswer], None]


class Submit(Protocol):
    """Runs a job that raises nothing in another thread, soon. Raises RuntimeError where there is no thread for it."""

    def __call__(self, job: Callable[[], None], /) -> object: ...


class WorkerPool:
    """Threads of one host, made when they are needed and gone some time after `end`."""

    def __init__(self, most: int) -> None:
        self._most = most
        self._workers: Workers | None = None

    def submit(self, job: Callable[[], None], /) -> None:
        """See `Submit`. On the loop's thread."""
        if self._workers is None:
            self._workers = Workers("openclaw-tools", self._most)
        self._workers.submit(job)

    def end(self) -> None:
        """Threads that wait for a job end; others with their job."""
        workers, self._workers = self._workers, None
        if workers is not None:
            workers.end()


class ThreadCallRunner:
    """Each call in a thread. A `CallRunner`."""

    def __init__(self, submit: Submit, *, host: str, user_of: UserOf | None, max_result: int) -> None:
        self._submit = submit
        self._host = host
        self._user_of = user_of
        self._finish = partial(answer_for, max_bytes=max_result)

    def run(self, tool: Tool[..., Any], call: ToolCall, done: Done) -> Callable[[], object]:
        loop = asyncio.get_running_loop()

        def job() -> None:
            answer = self._answer(tool, call)
            with suppress(RuntimeError):  # the loop is gone, and the process with it
                # Not as an argument: asyncio's debug log shows those of slow callbacks.
                loop.call_soon_threadsafe(lambda: done(answer))

        try:
            self._submit(job)
        except RuntimeError:
            logger.warning("%s was not called: there is no thread to be had", tool.name)
            loop.call_soon(done, words(f"{tool.name} was not called: {self._host} is busy. Try again later."))
        return _nothing

    def _answer(self, tool: Tool[..., Any], call: ToolCall) -> CallAnswer:
        if call.cancelled:
            return _DROPPED
        try:
            answer: CallAnswer = run_blocking(steps_of(tool, call, self._user_of, self._finish))
        except BaseException as error:  # noqa: BLE001 - logged with its traceback
            # SystemExit, a gevent.Timeout: nothing ends a program from here.
            return failure(tool, error, self._host)
        return answer


class TaskCallRunner:
    """Each call in a task; what is no coroutine in a thread, for a tool is work. A `CallRunner`."""

    def __init__(self, submit: Submit, *, host: str, user_of: UserOf | None, max_result: int) -> None:
        self._submit = submit
        self._host = host
        self._user_of = user_of
        self._finish = partial(answer_for, max_bytes=max_result)
        self._tasks: dict[asyncio.Task[CallAnswer], None] = {}

    def run(self, tool: Tool[..., Any], call: ToolCall, done: Done) -> Callable[[], object]:
        steps = steps_of(tool, call, self._user_of, self._finish)
        lane = None if tool.is_coroutine else Lane(self._submit)
        task = asyncio.get_running_loop().create_task(self._answer(tool, steps, lane), name="openclaw-tool")
        # The loop itself keeps only a weak reference to a task.
        self._tasks[task] = None

        def over(task: asyncio.Task[CallAnswer]) -> None:
            self._tasks.pop(task, None)
            failed = task.cancelled() or task.exception() is not None
            # Somebody may wait for it all the same: anything can cancel a task.
            ended = words(f"{tool.name} was cancelled and has no result.", asyncio.CancelledError.__name__)
            if lane is not None and lane.busy is not None:
                # A thread cannot be ended, and is counted as long as it runs.
                lane.busy.add_done_callback(lambda _: done(ended))
            else:
                done(ended if failed else task.result())

        task.add_done_callback(over)
        return task.cancel

    async def _answer(self, tool: Tool[..., Any], steps: Steps, lane: Lane | None) -> CallAnswer:
        try:
            answer: CallAnswer = await run_steps(steps, lane)
        except asyncio.CancelledError as error:
            task = asyncio.current_task()
            if task is not None and task.cancelling():
                raise
            # Not this task was cancelled, but what the function waited for.
            return failure(tool, error, self._host)
        except BaseException as error:
            if tool.is_coroutine and ends_more_than_a_callback(error):
                raise
            # In a thread, or on a loop in one, nothing ends a program: it would end the loop alone.
            return failure(tool, error, self._host)
        return answer


async def run_steps(steps: Steps, lane: Lane | None) -> Any:
    """Run the steps, and await in the loop what they give to await. lane: where they run; None for here."""
    step = partial(go_on, steps)
    while True:
        over, result = step() if lane is None else await lane.run(step)
        if over:
            return result
        try:
            step = partial(go_on, steps, await result)
        except BaseException as error:  # noqa: BLE001 - raised where the step was asked for
            step = partial(go_on, steps, None, error)


class Lane:
    """Where the steps of one call run, one after the other, in other threads. busy: done when the one that runs has
    come to its end; None where none runs."""

    def __init__(self, submit: Submit) -> None:
        self.busy: asyncio.Future[None] | None = None
        self._submit = submit

    async def run(self, work: Callable[[], Any]) -> Any:
        """What work gives. When cancelled, it goes on."""
        loop = asyncio.get_running_loop()
        over: asyncio.Future[None] = loop.create_future()
        ends: list[tuple[Any, BaseException | None]] = []

        def job() -> None:
            try:
                ends.append((work(), None))
            except BaseException as error:  # noqa: BLE001 - raised in the task
                ends.append((None, error))
            with suppress(RuntimeError):  # the loop is gone
                loop.call_soon_threadsafe(self._end, over)

        self._submit(job)
        self.busy = over
        await asyncio.wait((over,))
        [(result, failed)] = ends
        if failed is not None:
            raise failed
        return result

    def _end(self, over: asyncio.Future[None]) -> None:
        self.busy = None
        over.set_result(None)


def _nothing() -> None:
    """A thread cannot be told; the function may look at `ToolCall.cancelled`."""
