"""Both faces behind one: what a test says once, in coroutines, runs on the async client and on the blocking one.

The blocking client is called from worker threads, as its users do.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from concurrent.futures import ThreadPoolExecutor
from contextvars import copy_context
from functools import partial
from typing import Any, Self

from openclaw_client import (
    AsyncConnectionManager,
    AsyncGatewayClient,
    AsyncToolHost,
    ConnectionManager,
    GatewayClient,
    ToolHost,
)

_END = object()


class Face:
    """One of the two: `client(...)` gives something with the names of AsyncGatewayClient."""

    def __init__(self, name: str) -> None:
        self.name = name
        self._pool = ThreadPoolExecutor(64, thread_name_prefix="face") if name == "sync" else None

    def client(self, *args: Any, **options: Any) -> Any:
        if self._pool is None:
            return AsyncGatewayClient(*args, **options)
        return _Threaded(GatewayClient(*args, **options), self._pool)

    def manager(self, credentials: Callable[[Any], Any], **options: Any) -> Any:
        """A manager of this face, with the names of AsyncConnectionManager; credentials is a plain function."""
        if self._pool is None:
            return AsyncConnectionManager(credentials, **options)
        return _Threaded(ConnectionManager(credentials, **options), self._pool)

    def host(self, *args: Any, **options: Any) -> Any:
        """A tool host of this face, with the names of AsyncToolHost."""
        if self._pool is None:
            return AsyncToolHost(*args, **options)
        return _Threaded(ToolHost(*args, **options), self._pool)

    def close(self) -> None:
        if self._pool is not None:
            self._pool.shutdown(wait=True, cancel_futures=True)


class _Threaded:
    """A blocking object whose calls are made in threads and awaited."""

    def __init__(self, inner: Any, pool: ThreadPoolExecutor) -> None:
        self.inner = inner
        self._pool = pool

    async def _call(self, function: Callable[..., Any], *args: Any, **options: Any) -> Any:
        call = partial(copy_context().run, function, *args, **options)
        return await asyncio.get_running_loop().run_in_executor(self._pool, call)

    def __getattr__(self, name: str) -> Any:
        value = getattr(self.inner, name)
        if name in _PLAIN or not callable(value):
            return value
        if name == "connection_for":
            return lambda user: self._connection_for(user)
        if name == "hold":
            return lambda user: _ThreadedBlock(self, self.inner.hold(user))
        if name in (
            "approvals",
            "chat_attach",
            "chat_stream",
            "events",
            "questions",
            "watch_session",
            "watch_sessions",
        ):
            return lambda *args, **options: _Threaded(value(*args, **options), self._pool)
        return lambda *args, **options: self._call(value, *args, **options)

    async def _connection_for(self, user: Any) -> Any:
        return self._face_of(await self._call(self.inner.connection_for, user))

    def _face_of(self, client: Any) -> Any:
        return _Threaded(client, self._pool)

    @property
    def text_stream(self) -> AsyncIterator[str]:
        return self._iterate(self.inner.text_stream)

    def __aiter__(self) -> AsyncIterator[Any]:
        return self._iterate(iter(self.inner))

    async def _iterate(self, iterator: Any) -> AsyncIterator[Any]:
        while (item := await self._call(next, iterator, _END)) is not _END:
            yield item

    async def __anext__(self) -> Any:
        item = await self._call(next, self.inner, _END)
        if item is _END:
            raise StopAsyncIteration
        return item

    async def __aenter__(self) -> Self:
        await self._call(self.inner.__enter__)
        return self

    async def __aexit__(self, *exc: object) -> None:
        await self._call(self.inner.__exit__, *exc)


class _ThreadedBlock:
    """A `with` block entered and left in threads."""

    def __init__(self, owner: _Threaded, block: Any) -> None:
        self._owner, self._block = owner, block

    async def __aenter__(self) -> Any:
        return self._owner._face_of(await self._owner._call(self._block.__enter__))

    async def __aexit__(self, *exc: object) -> None:
        await self._owner._call(self._block.__exit__, *exc)


def inner(client: Any) -> Any:
    """The client itself, without what makes the two faces alike."""
    return client.inner if isinstance(client, _Threaded) else client


_PLAIN = frozenset(
    {
        "add",
        "missing_scopes",
        "supports",
        "on",
        "on_approval",
        "on_fatal_close",
        "on_proactive_message",
        "on_question",
        "on_slow_consumer",
        "on_state_change",
        "remove",
        "retry_now",
        "status",
        "tool",
        "user_connected",
    }
)
