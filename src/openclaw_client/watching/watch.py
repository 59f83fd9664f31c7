"""What everything that is followed has in common: it begins anew on each connection, and tries again what failed."""

from __future__ import annotations

import asyncio
from abc import ABC, abstractmethod
from collections.abc import Mapping
from time import monotonic
from typing import Any, Final

from openclaw_client.connection.connection import Connection
from openclaw_client.errors import (
    ConnectionLost,
    GatewayError,
    NotConnected,
    ProtocolViolation,
    RequestFailed,
    RequestTimeout,
)
from openclaw_client.logs import GuardedLogger
from openclaw_client.requests.requests import Requests

logger = GuardedLogger("openclaw_client.watching")

FIRST_PAUSE: Final = 0.5
"""Seconds until it is tried again what a gateway could not answer: behind its start it refuses for some seconds."""
LONGEST_PAUSE: Final = 30.0
"""Seconds; each pause is twice the one before. A gateway's own hint counts up to ten times that."""


class LiveView(ABC):
    """Something that is followed for one reader. On the loop's thread, but for its making."""

    what = ""

    def __init__(self, requests: Requests, limit: float | None) -> None:
        self._requests = requests
        self._limit = limit
        self._task: asyncio.Task[None] | None = None
        self._wake = asyncio.Event()
        self._began = asyncio.Event()

    async def begun(self) -> None:
        """Return when what comes is told, or it is clear that nothing does now. Cancelling is safe."""
        task = self._task
        if task is None or self._began.is_set():
            return
        waiting = asyncio.ensure_future(self._began.wait())
        try:
            await asyncio.wait({task, waiting}, return_when=asyncio.FIRST_COMPLETED)
        finally:
            waiting.cancel()

    def connected(self, connection: Connection) -> None:
        """Requests may be sent over this connection."""
        self.lost()
        self._task = asyncio.get_running_loop().create_task(self._work(connection), name="openclaw-watch")

    def lost(self) -> None:
        """The connection is gone, or nobody reads any more."""
        if self._task is not None:
            self._task.cancel()
            self._task = None

    def end(self, error: GatewayError) -> None:
        """Nothing follows, for this reason."""
        self.lost()
        self._end(error)

    @abstractmethod
    async def _follow(self, connection: Connection) -> None:
        """Follow it as long as the connection lasts; what it raises is tried again where that may help."""

    @abstractmethod
    def _end(self, error: GatewayError) -> None:
        """Tell the reader."""

    async def _ask(self, connection: Connection, method: str, params: Mapping[str, Any]) -> Any:
        """A request on this very connection."""
        waiter: asyncio.Future[Any] = connection.new_future()

        def answer(payload: Any, error: GatewayError | None) -> None:
            if waiter.done():
                return
            if error is None:
                waiter.set_result(payload)
            else:
                waiter.set_exception(error)

        ident = connection.request(method, params, self._limit, self._requests.outcome(answer))
        try:
            return await waiter
        except BaseException:
            connection.forget(ident)
            raise

    async def _work(self, connection: Connection) -> None:
        pause = FIRST_PAUSE
        while True:
            begun = monotonic()
            try:
                await self._follow(connection)
            except (RequestTimeout, RequestFailed, ConnectionLost, NotConnected) as error:
                if isinstance(error, RequestFailed) and not error.retryable:
                    self._refused(error)
                    return
                if monotonic() - begun > LONGEST_PAUSE:
                    # It went well meanwhile.
                    pause = FIRST_PAUSE
                hint = error.retry_after if isinstance(error, RequestFailed) else None
                delay = min(max(pause, hint or 0.0), 10 * LONGEST_PAUSE)
                logger.warning("%s is tried again in %g s: %s", self.what, delay, error)
                await asyncio.sleep(delay)
                pause = min(2 * pause, LONGEST_PAUSE)
            except GatewayError as error:
                self._refused(error)
                return
            except Exception as error:
                # A mistake of ours, or something of the gateway's that nobody thought of: the reader is told.
                logger.exception("%s cannot be followed", self.what)
                self._refused(ProtocolViolation(message=f"{self.what} cannot be followed: {type(error).__name__}"))
                return

    def _refused(self, error: GatewayError) -> None:
        self._task = None
        self._end(error)
