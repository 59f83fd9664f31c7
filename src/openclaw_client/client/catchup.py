"""Hands out what was said while the connection was away: asks for the history of the sessions in use, in order.

What a page holds that is news is decided in `runs.catchup`.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections import OrderedDict
from collections.abc import Callable
from math import floor
from typing import TYPE_CHECKING

from openclaw_client.client.pages import completed, page_reaching
from openclaw_client.connection.connection import Connection
from openclaw_client.errors import ConnectionLost, GatewayError, NotConnected, RequestFailed, RequestTimeout
from openclaw_client.runs.catchup import Place, missed
from openclaw_client.runs.proactive import ProactiveMessage
from openclaw_client.wire.history import HistoryPage
from openclaw_client.wire.limits import MAX_HISTORY_LIMIT

if TYPE_CHECKING:
    from openclaw_client.client.engine import Engine

MAX_PLACES = 1024
"""Sessions that are caught up with; the one that was least lately used is given up beyond that."""
PAGE = 100
"""Messages that are asked for first: what an absence of minutes holds."""
TRIES = 6
"""How often a page is asked for again that a gateway cannot give now: behind its start it refuses for some seconds."""
PAUSE = 0.5
"""Seconds between these tries."""

logger = logging.getLogger("openclaw_client.client")


class CatchUp:
    """The places of one client's sessions; on the loop's thread. hand_out gets every message once, in order."""

    def __init__(self, engine: Engine, hand_out: Callable[[ProactiveMessage], None]) -> None:
        self._engine = engine
        self._hand_out = hand_out
        self._places: OrderedDict[str, Place] = OrderedDict()
        self._held: dict[str, list[ProactiveMessage]] = {}
        self._offset: float | None = None
        self._since: float | None = None
        self._task: asyncio.Task[None] | None = None
        self._again = False

    # What is known of the sessions.

    def on_ready(self, connection: Connection) -> None:
        """From now on everything is heard."""
        self._offset = connection.clock_offset
        now = self._now()
        # Gateways date their rows in whole milliseconds: one of this very millisecond is not from before.
        self._since = None if now is None else floor(now)
        for key in self._engine.router.sessions.given:
            self._place(key)

    def on_lost(self) -> None:
        """What was being said goes on unheard."""
        for key in self._engine.router.open_sessions():
            self._place(key)

    def sent(self, session_key: str, message: str) -> None:
        """A message of this client's own is on its way."""
        place = self._place(session_key)
        if place is not None:
            place.note_sent(message)

    def answered(self, session_key: str, message: str, text: str, *, wordless: bool) -> None:
        """A run of this client's own is over. wordless: its answer comes as somebody else's run."""
        place = self._place(session_key)
        if place is None:
            return
        if not wordless:
            place.heard(text, self._now() or 0.0)
        else:
            place.forget_sent(message)

    def deliver(self, message: ProactiveMessage) -> None:
        """A message was heard: hand it out, behind those that are being asked for."""
        place = self._place(message.session_key)
        if place is not None:
            place.heard(message.text, self._now() or 0.0)
        held = self._held.get(self._canonical(message.session_key))
        if held is None:
            self._hand_out(message)
        else:
            held.append(message)

    # Asking.

    def begin(self, *, in_doubt: bool = False) -> None:
        """Ask for what was missed: after a reconnect, or, in_doubt, when events were lost."""
        if in_doubt and self._task is not None and not self._task.done():
            self._again = True
            return
        self.stop()
        # Before this connection there is nothing to be missed by a session that was first met on it.
        keys = [key for key, place in self._places.items() if in_doubt or place.since_ms != self._since]
        keys = [key for key in keys if self._engine.router.sessions.accepts(key)]
        if keys and self._engine.message_handlers:
            self._held = {key: [] for key in keys}
            for key in keys:
                self._places[key].ask()
            self._task = asyncio.get_running_loop().create_task(self._ask(keys), name="openclaw-catch-up")

    def stop(self) -> None:
        """End the asking; what is held is handed out."""
        if self._task is not None:
            self._task.cancel()
            self._task = None
        # What the answers would have been in doubt about is asked for by whoever begins next.
        self._again = False
        for key in tuple(self._held):
            self._release(key)

    async def _ask(self, keys: list[str]) -> None:
        for key in keys:
            place = self._places.get(key)
            try:
                page = await self._page(key, place) if place is not None else None
            except (ConnectionLost, NotConnected):
                # Asked again after the next reconnect, from the same places.
                break
            except GatewayError as error:
                logger.debug("the history of %s cannot be read: %s", key, error)
                page = None
            if page is not None and place is not None:
                self._catch_up(key, page, place)
            self._release(key)
        for key in tuple(self._held):
            self._release(key)
        if self._again:
            self._again, self._task = False, None
            self.begin(in_doubt=True)

    async def _page(self, key: str, place: Place) -> HistoryPage:
        for _ in range(TRIES):
            try:
                return await self._ask_for(key, place)
            except RequestTimeout:
                pass
            except RequestFailed as error:
                if not error.retryable:
                    raise
                await asyncio.sleep(PAUSE if error.retry_after is None else error.retry_after)
        return await self._ask_for(key, place)

    async def _ask_for(self, key: str, place: Place) -> HistoryPage:
        page = await page_reaching(self._engine, key, PAGE, place.reached_by)
        if not place.reached_by(page) and len(page.messages) >= MAX_HISTORY_LIMIT:
            logger.warning("%s: only the last %d messages could be caught up with", key, MAX_HISTORY_LIMIT)
        page = await completed(self._engine, key, page, place.cut_rows)
        if place.cut_rows(page):
            logger.warning("%s: the gateway gives only a part of a message that was missed", key)
        return page

    def _catch_up(self, key: str, page: HistoryPage, place: Place) -> None:
        router = self._engine.router
        for message in missed(page, place, key, is_known=router.knows, is_open=router.hears):
            router.handed_out(message.run_id)
            self._engine.touch()
            self._hand_out(message)

    def _release(self, key: str) -> None:
        place = self._places.get(key)
        if place is not None:
            place.settle()
        for message in self._held.pop(key, ()):
            self._hand_out(message)

    # Inside.

    def _place(self, session_key: str) -> Place | None:
        """The place of a session; None where the gateway's clock is not known."""
        key = self._canonical(session_key)
        place = self._places.get(key)
        if place is None and self._since is not None:
            place = self._places[key] = Place(self._since)
            if len(self._places) > MAX_PLACES:
                self._places.popitem(last=False)
        elif place is not None:
            self._places.move_to_end(key)
        return place

    def _canonical(self, session_key: str) -> str:
        return self._engine.router.sessions.canonical(session_key)

    def _now(self) -> float | None:
        return None if self._offset is None else (time.time() + self._offset) * 1000
