"""Equal reads at the same time: one is under way, and one behind it is shared by all who asked meanwhile.

Lists, usage and histories cost a gateway up to seconds in which it does nothing else, so a crowd that asks for the same
must not make it do the same many times. A read is never answered out of one that was sent before it was asked for: its
caller may know of something that happened since, such as a message of its own.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable, Coroutine, Mapping
from contextvars import copy_context
from functools import partial
from typing import Any

import msgspec

from openclaw_client.connection.connection import Outcome
from openclaw_client.errors import GatewayError

COALESCED_METHODS = frozenset({"chat.history", "sessions.list", "sessions.usage", "usage.status", "usage.cost"})
"""Reads without an effect that grow with the number or the length of sessions."""

Ask = Callable[[str, Mapping[str, Any] | None, float | None], Coroutine[Any, Any, Outcome]]
_Key = tuple[str, bytes, float | None]


class RequestCoalescer:
    """The reads of one client; on the loop's thread. ask sends one and returns what became of it."""

    __slots__ = ("_ask", "_lines")

    def __init__(self, ask: Ask) -> None:
        self._ask = ask
        # Of each line the first is under way and the second, if there is one, waits.
        self._lines: dict[_Key, deque[_Read]] = {}

    async def read(self, method: str, params: Mapping[str, Any] | None, timeout: float | None) -> Outcome:
        """What became of the read, which is sent now or behind the equal one that is under way.

        timeout: seconds for the answer and, before that, for the turn. Raises TimeoutError when the turn has not come,
        and what ask raises. Cancelling ends the request when nobody else waits for it.
        """
        try:
            key = (method, msgspec.json.encode(params, order="deterministic"), timeout)
        except (TypeError, ValueError, RecursionError):
            # Refused with the reason where it would be sent.
            return await self._ask(method, params, timeout)
        line = self._lines.setdefault(key, deque())
        if len(line) < 2:
            line.append(_Read(partial(self._ask, method, params, timeout)))
        read = line[-1]
        if len(line) == 1:
            self._begin(key, read)
        read.waiting += 1
        try:
            async with asyncio.timeout(timeout) as turn:
                await asyncio.shield(read.begun)
                # From now on the request has a time limit of its own.
                turn.reschedule(None)
                return await asyncio.shield(read.answer)
        except GatewayError as error:
            raise error.again() from error.__cause__
        finally:
            read.waiting -= 1
            if not read.waiting and read.task is not None:
                read.task.cancel()

    def _begin(self, key: _Key, read: _Read) -> None:
        loop = asyncio.get_running_loop()
        read.task = loop.create_task(read.ask(), context=read.context)
        read.task.add_done_callback(partial(self._end, key, read))
        read.begun.set_result(None)

    def _end(self, key: _Key, read: _Read, task: asyncio.Task[Outcome]) -> None:
        if task.cancelled():
            read.answer.cancel()
        elif (error := task.exception()) is not None:
            read.answer.set_exception(error)
            # Whoever waited may have left in this very turn.
            read.answer.exception()
        else:
            read.answer.set_result(task.result())
        line = self._lines[key]
        line.popleft()
        if line and not line[0].waiting:
            line.popleft()
        if line:
            self._begin(key, line[0])
        else:
            del self._lines[key]


class _Read:
    """One request and who waits for it. The context is that of the first who asked."""

    __slots__ = ("answer", "ask", "begun", "context", "task", "waiting")

    def __init__(self, ask: Callable[[], Coroutine[Any, Any, Outcome]]) -> None:
        loop = asyncio.get_running_loop()
        self.ask = ask
        self.context = copy_context()
        self.waiting = 0
        self.task: asyncio.Task[Outcome] | None = None
        self.begun: asyncio.Future[None] = loop.create_future()
        self.answer: asyncio.Future[Outcome] = loop.create_future()
