"""Hands out what was said while the connection was away: asks for the history of the sessions in use, in order.

What a page holds that is news is decided in `runs.catchup`.
"""

from __future__ import annotations

import asyncio
import time
from collections import OrderedDict
from collections.abc import Callable
from functools import partial
from math import floor, inf
from typing import Protocol

from openclaw_client.chat.held import HeldMessages, size_of
from openclaw_client.chat.history_pages import completed, page_reaching
from openclaw_client.chat.methods import ChatMethods
from openclaw_client.connection.connection import Connection
from openclaw_client.errors import ConnectionLost, GatewayError, NotConnected, RequestFailed, RequestTimeout
from openclaw_client.logs import GuardedLogger
from openclaw_client.runs.application import Application
from openclaw_client.runs.catchup import missed
from openclaw_client.runs.place import Place
from openclaw_client.runs.proactive import ProactiveMessage
from openclaw_client.sessions.filter import SessionFilter
from openclaw_client.wire.history import HistoryPage
from openclaw_client.wire.limits import MAX_HISTORY_LIMIT

MAX_PLACES = 1024
"""Sessions that are caught up with; the one that was least lately used is given up beyond that."""
PAGE = 100
"""Messages that are asked for first: what an absence of minutes holds."""
TRIES = 6
"""How often a page is asked for again that a gateway cannot give now: behind its start it refuses for some seconds."""
PAUSE = 0.5
"""Seconds between these tries."""
LONGEST_PAUSE = 15.0
"""Seconds: a gateway that wants to be left alone for longer is asked again then, and nothing is held back meanwhile."""
CEILING = 3600.0
"""Seconds after which it is asked again in any case: a hint is no command."""
HELD_FOR = 30.0
"""Seconds that live messages wait behind those that are asked for: what a request may take by default."""
MAX_HELD = 1_000
"""Live messages that wait then, of all sessions; half a minute of a busy gateway has fewer."""
MAX_HELD_BYTES = 8 << 20
"""Of all that they hold."""

logger = GuardedLogger("openclaw_client.chat")


class KnownRuns(Protocol):
    """What the router knows of runs."""

    def is_known_run(self, run_id: str) -> bool: ...

    def has_open_run(self, run_id: str) -> bool: ...

    def open_sessions(self) -> list[str]: ...

    def handed_out(self, run_id: str) -> None: ...


class _LeftAlone(Exception):
    """The gateway refuses for so many seconds."""

    def __init__(self, seconds: float) -> None:
        super().__init__(seconds)
        self.seconds = seconds


class MissedMessages:
    """The places of one client's sessions; on the loop's thread.

    hand_out gets every message once, in order. wanted: whether anybody listens to messages.
    """

    def __init__(
        self,
        methods: ChatMethods,
        sessions: SessionFilter,
        runs: KnownRuns,
        hand_out: Callable[[ProactiveMessage], None],
        wanted: Callable[[], bool],
        application: Application | None = None,
    ) -> None:
        self._application = application
        self._methods = methods
        self._sessions = sessions
        self._runs = runs
        self._hand_out = hand_out
        self._wanted = wanted
        self._holds: dict[str, HeldMessages] = {}
        self._places: OrderedDict[str, Place] = OrderedDict()
        self._held: dict[str, list[ProactiveMessage]] = {}
        self._offset: float | None = None
        self._since: float | None = None
        # When the last place was given up, by the gateway's clock. Nobody knows any more what was heard before in a
        # session that comes back: it would be told again.
        self._given_up = -inf
        self._task: asyncio.Task[None] | None = None
        self._again = False
        self._held_count = self._held_bytes = 0
        self._deadline: asyncio.TimerHandle | None = None
        self._later: asyncio.TimerHandle | None = None

    # What is known of the sessions.

    def on_connected(self, connection: Connection) -> None:
        """From now on everything is heard."""
        self._offset = connection.clock_offset
        now = self._now()
        # Gateways date their rows in whole milliseconds: one of this very millisecond is not from before.
        self._since = None if now is None else floor(now)
        for key in self._sessions.given:
            self._place(key)

    def on_lost(self) -> None:
        """What was being said goes on unheard."""
        for key in self._runs.open_sessions():
            self._place(key)

    def sent(self, session_key: str, message: str) -> None:
        """A message of this client's own is on its way."""
        place = self._place(session_key)
        if place is not None:
            place.note_sent(message)

    def answered(self, session_key: str, text: str) -> None:
        """A run of this client's own is over."""
        place = self._place(session_key)
        if place is not None:
            place.heard(text, self._now() or 0.0)

    def deliver(self, message: ProactiveMessage) -> None:
        """A message was heard: hand it out, behind those that are being asked for."""
        place = self._place(message.session_key)
        if place is not None:
            place.heard(message.text, self._now() or 0.0)
        key = self._canonical(message.session_key)
        held = self._held.get(key)
        if held is None:
            self._pass_on(key, message)
            return
        held.append(message)
        self._held_count += 1
        self._held_bytes += size_of(message)
        if self._held_count > MAX_HELD or self._held_bytes > MAX_HELD_BYTES:
            self._no_longer(f"{self._held_count} messages of {self._held_bytes} bytes wait")

    def hold(self, session_key: str) -> HeldMessages:
        """Keep messages of a session back until it is known whether one of them answers a message of one's own."""
        key = self._canonical(session_key)
        held = self._holds.get(key)
        if held is None:
            closed = partial(self._holds.pop, key, None)
            held = self._holds[key] = HeldMessages(self._hand_out, self._runs.handed_out, closed)
        held.holders += 1
        return held

    # Asking.

    def begin(self, *, in_doubt: bool = False) -> None:
        """Ask for what was missed: after a reconnect, or, in_doubt, when events were lost."""
        if in_doubt and self._task is not None and not self._task.done():
            self._again = True
            return
        if in_doubt and self._later is not None:
            # The gateway wants to be left alone until then.
            return
        self.stop()
        # Before this connection there is nothing to be missed by a session that was first met on it.
        keys = [key for key, place in self._places.items() if in_doubt or place.since_ms != self._since]
        keys = [key for key in keys if self._sessions.accepts(key)]
        if keys and self._wanted():
            loop = asyncio.get_running_loop()
            self._held = {key: [] for key in keys}
            for key in keys:
                self._places[key].ask()
            self._deadline = loop.call_later(HELD_FOR, self._no_longer, f"no answer within {HELD_FOR:g} s")
            self._task = loop.create_task(self._ask(keys), name="openclaw-catch-up")

    def stop(self) -> None:
        """End the asking; what is held is handed out."""
        if self._task is not None:
            self._task.cancel()
            self._task = None
        if self._later is not None:
            self._later.cancel()
            self._later = None
        # What the answers would have been in doubt about is asked for by whoever begins next.
        self._again = False
        self._release_all()

    async def _ask(self, keys: list[str]) -> None:
        for key in keys:
            place = self._places.get(key)
            try:
                page = await self._page(key, place) if place is not None else None
            except (ConnectionLost, NotConnected):
                # Asked again after the next reconnect, from the same places.
                break
            except _LeftAlone as refused:
                self._ask_later(refused.seconds)
                break
            except GatewayError as error:
                logger.debug("the history of %r cannot be read: %s", key, error)
                page = None
            if place is not None:
                if page is not None:
                    self._catch_up(key, page, place)
                place.settle()
            self._release(key)
        self._release_all()
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
                pause = PAUSE if error.retry_after is None else error.retry_after
                if pause > LONGEST_PAUSE:
                    raise _LeftAlone(pause) from error
                await asyncio.sleep(pause)
        return await self._ask_for(key, place)

    async def _ask_for(self, key: str, place: Place) -> HistoryPage:
        page = await page_reaching(self._methods, key, PAGE, place.reached_by)
        if not place.reached_by(page) and len(page.messages) >= MAX_HISTORY_LIMIT:
            logger.warning("%r: only the last %d messages could be caught up with", key, MAX_HISTORY_LIMIT)
        page = await completed(self._methods, key, page, place.cut_rows)
        if place.cut_rows(page):
            logger.warning("%r: the gateway gives only a part of a message that was missed", key)
        return page

    def _catch_up(self, key: str, page: HistoryPage, place: Place) -> None:
        runs = self._runs
        is_known, is_open = runs.is_known_run, runs.has_open_run
        for message in missed(page, place, key, is_known=is_known, is_open=is_open, application=self._application):
            runs.handed_out(message.run_id)
            self._pass_on(key, message)

    def _ask_later(self, seconds: float) -> None:
        """The gateway refuses for so long that nobody can be kept waiting."""
        logger.warning("the history is refused for %g s: what was said meanwhile comes later, out of order", seconds)

        def again() -> None:
            self._later = None
            self.begin(in_doubt=True)

        self._task = None
        self._later = asyncio.get_running_loop().call_later(min(seconds, CEILING), again)

    def _no_longer(self, why: str) -> None:
        """Hold nothing back any more; what is asked for is handed out when it comes."""
        logger.warning("live messages no longer wait for the history (%s): what was missed may come behind them", why)
        self._release_all()

    def _release_all(self) -> None:
        if self._deadline is not None:
            self._deadline.cancel()
            self._deadline = None
        for key in tuple(self._held):
            self._release(key)
        self._held_count = self._held_bytes = 0

    def _release(self, key: str) -> None:
        for message in self._held.pop(key, ()):
            self._held_count -= 1
            self._held_bytes -= size_of(message)
            self._pass_on(key, message)

    def _pass_on(self, key: str, message: ProactiveMessage) -> None:
        """Hand it out, but not before those that may be the answer to a message of one's own."""
        holds = self._holds.get(key)
        if holds is not None:
            holds.add(message)
        else:
            self._hand_out(message)

    def _place(self, session_key: str) -> Place | None:
        """The place of a session; None where the gateway's clock is not known."""
        key = self._canonical(session_key)
        place = self._places.get(key)
        if place is None and self._since is not None:
            place = self._places[key] = Place(max(self._since, self._given_up))
            if len(self._places) > MAX_PLACES:
                self._give_up_one()
        elif place is not None:
            self._places.move_to_end(key)
        return place

    def _give_up_one(self) -> None:
        """Forget the session that was least lately used."""
        self._places.popitem(last=False)
        self._given_up = self._now() or self._given_up

    def _canonical(self, session_key: str) -> str:
        return self._sessions.canonical(session_key)

    def _now(self) -> float | None:
        return None if self._offset is None else (time.time() + self._offset) * 1000
