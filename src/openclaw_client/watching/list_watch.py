"""The list of sessions, subscribed to and read for one reader."""

from __future__ import annotations

import asyncio
import contextlib
from typing import Any, Final

from openclaw_client.connection.connection import Connection
from openclaw_client.errors import GatewayError, MethodUnavailable, ProtocolViolation
from openclaw_client.requests.requests import Requests
from openclaw_client.sessions.filter import SessionFilter
from openclaw_client.watching.session_list import MAX_SESSIONS, SessionList, SessionsChanged
from openclaw_client.watching.sinks import WatchSink
from openclaw_client.watching.visible import VisibleRows
from openclaw_client.watching.watch import LiveView
from openclaw_client.wire.session_info import SessionChange, SessionPage, session_rows

SUBSCRIBE: Final = "sessions.subscribe"
UNSUBSCRIBE: Final = "sessions.unsubscribe"
LIST: Final = "sessions.list"
DESCRIBE: Final = "sessions.describe"

MAX_ASKED_BY_KEY: Final = 32
"""Sessions of a client of listed ones that are asked for one by one. Of more the whole list is read, which holds
everybody's, up to 2 MB."""
READ_EVERY: Final = 1.0
"""Seconds between two readings, however often the list changes in a way that events do not tell: a gateway that deletes
a thousand sessions says a thousand times that something was deleted."""
CHECKED_AFTER: Final = (2.0, 10.0)
"""Seconds from a reading to the next ones, while it is in doubt whether a run of the list goes on. 2026.4.15 writes an
end down within a fraction of a second, on two busy cores within a few."""


class SessionListWatch(LiveView):
    """The latest sessions that a client may see."""

    what = "the list of sessions"

    def __init__(
        self,
        sink: WatchSink[SessionsChanged],
        size: int,
        requests: Requests,
        sessions: SessionFilter,
        limit: float | None,
    ) -> None:
        super().__init__(requests, limit)
        self.sink = sink
        self._size = size
        self._sessions = sessions
        self._list = SessionList(size, VisibleRows(sessions))
        self._told = False

    def on_change(self, change: SessionChange) -> None:
        """An event came."""
        if self._task is None or (change.key is None and self._sessions.restricted):
            # Of a session of one's own the event beside it tells, too; and everybody else's are many.
            return
        self._list.apply(change)
        if self._told:
            self._tell()
        self.look()

    def in_doubt(self) -> None:
        """Events were lost."""
        self._list.needs_reading = True
        self.look()

    def allowed(self) -> None:
        """The client may see other sessions than before."""
        self._list.shown_anew()
        if self._told:
            self._tell()
        self.look()

    def look(self) -> None:
        """Read the list again where that is needed."""
        if self._list.needs_reading:
            self._wake.set()

    async def _follow(self, connection: Connection) -> None:
        await self._ask(connection, SUBSCRIBE, {})
        self._began.set()
        while True:
            await self._read(connection)
            await self._check(connection)
            await asyncio.sleep(READ_EVERY)
            await self._wake.wait()

    async def _check(self, connection: Connection) -> None:
        """Read the list again while it is in doubt, unless it is to be read anyway."""
        for seconds in CHECKED_AFTER:
            if not self._list.doubtful:
                return
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._wake.wait(), seconds)
                return
            if self._list.doubtful:
                await self._read(connection)

    async def _read(self, connection: Connection) -> None:
        self._wake.clear()
        self._list.reading()
        try:
            page = await self._page(connection)
        except BaseException:
            self._list.read_failed()
            raise
        self._list.read(page)
        if self._told:
            self._tell()
        else:
            self._told = True
            self.sink.put(self._list.take_changed() or SessionsChanged((), ()))

    async def _page(self, connection: Connection) -> SessionPage:
        sessions = self._sessions
        keys = [key for key in sessions.named() if sessions.accepts(key)] if sessions.by_name else None
        if keys is not None and len(keys) <= MAX_ASKED_BY_KEY:
            try:
                return await self._described(connection, keys)
            except MethodUnavailable:
                # 2026.4.15 has the list alone.
                pass
        # Everybody's, of whom a client of some sessions picks its own: those may be far behind.
        size = MAX_SESSIONS if sessions.restricted else self._size
        page = session_rows(await self._ask(connection, LIST, {"limit": size}))
        if page is None:
            raise ProtocolViolation(message=f"{LIST}: the gateway's answer holds no list of sessions")
        return page

    async def _described(self, connection: Connection, keys: list[str]) -> SessionPage:
        """The rows of these sessions, as far as there are such."""
        rows: list[Any] = []
        for key in keys:
            answer = await self._ask(connection, DESCRIBE, {"key": key})
            rows.append(answer.get("session") if isinstance(answer, dict) else None)
        return session_rows({"sessions": rows}) or SessionPage((), False)

    def _tell(self) -> None:
        changed = self._list.take_changed()
        if changed is not None:
            self.sink.put(changed)

    def _end(self, error: GatewayError) -> None:
        self.sink.end(error)
