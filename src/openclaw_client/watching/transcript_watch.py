"""The rows of one session, subscribed to and read for one reader."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from typing import Any, Final

from openclaw_client.chat.history_pages import completed, page_reaching
from openclaw_client.chat.methods import ChatMethods
from openclaw_client.connection.connection import Connection
from openclaw_client.errors import GatewayError
from openclaw_client.logs import GuardedLogger
from openclaw_client.sessions.filter import SessionFilter
from openclaw_client.sessions.subscription import SessionSubscriptions
from openclaw_client.watching.sinks import WatchSink
from openclaw_client.watching.transcript import ToldRows
from openclaw_client.watching.watch import LiveView
from openclaw_client.wire.handshake import Hello
from openclaw_client.wire.history import HistoryMessage, HistoryPage
from openclaw_client.wire.limits import MAX_HISTORY_LIMIT
from openclaw_client.wire.session_info import size_of_json

SUBSCRIBE: Final = "sessions.messages.subscribe"
UNSUBSCRIBE: Final = "sessions.messages.unsubscribe"

PAGE: Final = 100
"""Rows that are asked for first behind a reconnect: what an absence of minutes holds."""
ANCHOR: Final = 20
"""The same where only a row or two are looked for."""
MAX_HELD: Final = 1_000
"""Rows that come while the history is read, and wait for it; of more the history is read again."""
MAX_HELD_BYTES: Final = 8_388_608
"""Of these together."""
WRITTEN_AFTER: Final = (0.3, 2.0)
"""Seconds behind the end of a run after which its rows stand in the history; the second time where there were none."""

logger = GuardedLogger("openclaw_client.watching")


class TranscriptWatch(LiveView):
    """One session, in any spelling. history: how many rows from before the reader is told first."""

    def __init__(
        self,
        sink: WatchSink[HistoryMessage],
        session_key: str,
        history: int,
        methods: ChatMethods,
        sessions: SessionFilter,
        subscriptions: SessionSubscriptions,
    ) -> None:
        super().__init__(methods.requests, methods.request_limit)
        self.sink = sink
        self.session_key = session_key
        self.what = f"the session {session_key!r}"
        self._history = history
        self._methods = methods
        self._sessions = sessions
        self._subscriptions = subscriptions
        self._transcript = ToldRows()
        self._rows_are_told = False
        self._reading = False
        self._held: list[HistoryMessage] = []
        self._held_bytes = 0
        # How many of them came before the history was asked for.
        self._waited = 0
        # Whether runs ended whose rows may not be written yet.
        self._ended = False

    def is_about(self, session_key: object) -> bool:
        """Whether this session is meant, and still shown to this client."""
        if not isinstance(session_key, str) or not session_key:
            return False
        same = self._sessions.canonical(session_key) == self._sessions.canonical(self.session_key)
        return same and self._sessions.accepts(self.session_key)

    def on_row(self, payload: Mapping[str, Any]) -> None:
        """A row was written."""
        message = payload.get("message")
        if not self._rows_are_told or not isinstance(message, dict):
            return
        row = HistoryMessage(message)
        if self._reading or self._held or self._transcript.is_gap(row):
            self._hold(row)
            self._wake.set()
        else:
            self._tell([row])

    def on_end(self, state: str) -> None:
        """A run of the session is over."""
        if not self._rows_are_told or state != "final":
            # What is kept of a run that did not succeed is told by no release in full.
            self._ended = True
            self._wake.set()

    def in_doubt(self) -> None:
        """Events were lost."""
        self._wake.set()

    def lost(self) -> None:
        super().lost()
        self._rows_are_told = self._reading = self._ended = False
        self._let_go()

    async def _follow(self, connection: Connection) -> None:
        self._reading = True
        await self._subscribe(connection)
        await self._catch_up(PAGE)
        self._began.set()
        while True:
            while self._ended:
                # Another one may end while what the last one left behind is read.
                await self._read_what_ended()
            await self._wake.wait()
            if not self._ended:
                await self._catch_up(ANCHOR)

    async def _read_what_ended(self) -> None:
        """Read what ended runs leave behind, which is written a moment later."""
        self._ended = False
        for pause in WRITTEN_AFTER:
            await asyncio.sleep(pause)
            if await self._catch_up(ANCHOR):
                return

    async def _subscribe(self, connection: Connection) -> None:
        """Rows are told from now on, on releases that do."""
        # Before it is answered: what comes meanwhile is news.
        self._rows_are_told = tells_rows(connection.hello)
        if self._rows_are_told:
            # Where the client subscribes for itself, the history is read behind the answer to that.
            await self._subscriptions.ensure(self.session_key)
            if not self._subscriptions.holds(self.session_key):
                await self._ask(connection, SUBSCRIBE, {"key": self.session_key})

    async def _catch_up(self, size: int) -> bool:
        """Read the history, and tell what is missing and what was held back meanwhile; whether there was any."""
        self._wake.clear()
        self._reading = True
        self._waited = len(self._held)
        transcript, key = self._transcript, self.session_key
        if not transcript.begun:
            page = await self._methods.history(key, min(max(self._history, ANCHOR), MAX_HISTORY_LIMIT))
            page = await completed(self._methods, key, page, self._cut_before)
            rows = transcript.begin(page, self._history, self._held)
        else:
            page = await page_reaching(self._methods, key, size, transcript.reached_by)
            if not transcript.reached_by(page) and len(page.messages) >= MAX_HISTORY_LIMIT:
                logger.warning("%r: only the last %d rows could be caught up with", key, MAX_HISTORY_LIMIT)
            page = await completed(self._methods, key, page, self._cut_missing)
            rows = transcript.take(transcript.missing(page))
        for row in rows:
            self.sink.put(row)
        self._reading = False
        return bool(self._tell_held() or rows)

    def _cut_before(self, page: HistoryPage) -> list[HistoryMessage]:
        return [row for row in page.messages[-self._history :] if row.is_cut] if self._history else []

    def _cut_missing(self, page: HistoryPage) -> list[HistoryMessage]:
        return [row for row in self._transcript.missing(page) if row.is_cut]

    def _tell(self, rows: list[HistoryMessage]) -> list[HistoryMessage]:
        new = self._transcript.take(rows)
        for row in new:
            self.sink.put(row)
        return new

    def _tell_held(self) -> int:
        """Tell what was held back; how many rows. Of those that came after the reading began, the history may not have
        what stands before them."""
        told, held, waited = 0, list(self._held), self._waited
        self._let_go()
        for place, row in enumerate(held):
            if place >= waited and self._transcript.is_gap(row):
                for late in held[place:]:
                    self._hold(late)
                self._wake.set()
                break
            told += len(self._tell([row]))
        return told

    def _hold(self, row: HistoryMessage) -> None:
        self._held.append(row)
        self._held_bytes += size_of_row(row)
        if len(self._held) > MAX_HELD or self._held_bytes > MAX_HELD_BYTES:
            # They stand in the history, which is read again.
            self._let_go()

    def _let_go(self) -> None:
        self._held, self._held_bytes, self._waited = [], 0, 0

    def _end(self, error: GatewayError) -> None:
        self.sink.end(error)


def tells_rows(hello: Hello | None) -> bool:
    """Whether a gateway tells of the rows as it writes them down: 2026.4 and 2026.5 tell of them under other ids than
    the history has, and of users' rows twice."""
    return hello is not None and hello.protocol > 3 and (hello.release is None or hello.release >= (2026, 6))


def size_of_row(row: HistoryMessage) -> int:
    """Bytes of a row."""
    return size_of_json(row)
