"""Hands out what was said while the connection was away: asks for the history of the sessions in use, in order.

What a page holds that is news is decided in `runs.catchup`.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Iterable
from functools import partial
from math import floor
from typing import Protocol

from openclaw_client.chat.held import HeldMessages, size_of
from openclaw_client.chat.history_pages import completed, page_reaching
from openclaw_client.chat.methods import ChatMethods
from openclaw_client.chat.places import OnPlace, Places
from openclaw_client.connection.connection import Connection
from openclaw_client.errors import ConnectionLost, GatewayError, NotConnected, RequestFailed, RequestTimeout
from openclaw_client.journal.protocol import KeptPlace
from openclaw_client.logs import GuardedLogger
from openclaw_client.runs.application import Application
from openclaw_client.runs.catchup import missed
from openclaw_client.runs.peer import SentRun
from openclaw_client.runs.place import Place
from openclaw_client.runs.proactive import MAX_FINISHED, BoundedSet, ProactiveMessage
from openclaw_client.sessions.filter import SessionFilter
from openclaw_client.wire.history import HistoryPage
from openclaw_client.wire.limits import MAX_HISTORY_LIMIT

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

    def open_runs(self, session: str) -> list[str]: ...

    def handed_out(self, run_id: str) -> None: ...


class _LeftAlone(Exception):
    """The gateway refuses for so many seconds."""

    def __init__(self, seconds: float) -> None:
        super().__init__(seconds)
        self.seconds = seconds


class MissedMessages:
    """The places of one client's sessions; on the loop's thread.

    hand_out gets every message once, in order. wanted: whether anybody listens to messages. on_place is told of a
    session's place when it changed, behind the messages that it covers; while nobody listens, what others say moves no
    place, and is handed out by whoever goes on from there.
    """

    def __init__(
        self,
        methods: ChatMethods,
        sessions: SessionFilter,
        runs: KnownRuns,
        hand_out: Callable[[ProactiveMessage], None],
        wanted: Callable[[], bool],
        application: Application | None = None,
        on_place: OnPlace | None = None,
    ) -> None:
        self._application = application
        self._methods = methods
        self._sessions = sessions
        self._runs = runs
        self._hand_out = hand_out
        self._wanted = wanted
        self._holds: dict[str, HeldMessages] = {}
        self._recorded = on_place is not None
        self._places = Places(on_place, self._is_held_back, runs.open_runs)
        # Heard while nobody listened, where places are told.
        self._unlistened = BoundedSet(MAX_FINISHED)
        # Sessions whose history is asked for, and the one whose missed messages are being handed out.
        self._asked: set[str] = set()
        self._catching_up: str | None = None
        self._held: dict[str, list[ProactiveMessage]] = {}
        self._offset: float | None = None
        self._since: float | None = None
        self._task: asyncio.Task[None] | None = None
        self._again = False
        self._held_count = self._held_bytes = 0
        self._deadline: asyncio.TimerHandle | None = None
        self._later: asyncio.TimerHandle | None = None

    # What is known of the sessions.

    def restore(self, places: Iterable[KeptPlace], sent: Iterable[SentRun] = ()) -> None:
        """Go on from places that were told, before connecting: what was said since is asked for then.

        sent: one's own messages that are open. They were written down before their places were.
        """
        self._places.restore(places)
        for run in sent:
            key = self._canonical(run.session_key)
            place = self._places.get(key)
            if place is None and run.clock_ms is not None:
                place = self._places.use(key, floor(run.clock_ms), None)
            if place is not None:
                place.note_open(run.message)

    def on_connected(self, connection: Connection) -> None:
        """From now on everything is heard."""
        self._offset = connection.clock_offset
        now = self._now()
        # Gateways date their rows in whole milliseconds: one of this very millisecond is not from before.
        self._since = None if now is None else floor(now)
        for key in self._sessions.given:
            self._place(self._canonical(key))

    def on_lost(self) -> None:
        """What was being said goes on unheard."""
        for key in self._runs.open_sessions():
            self._place(self._canonical(key))

    def sent(self, session_key: str, message: str, run_id: str | None = None) -> None:
        """A message of this client's own is on its way."""
        key = self._canonical(session_key)
        place = self._place(key)
        if place is not None:
            place.note_sent(message)
            self._note(key, place, *(() if run_id is None else (run_id,)))
            self._places.tell_soon()

    def answered(self, session_key: str, text: str, run_ids: tuple[str, ...] = ()) -> None:
        """A run of this client's own is over."""
        key = self._canonical(session_key)
        place = self._place(key)
        if place is not None:
            if not self._is_listened_to:
                place.ask()
            place.heard(text, self._now() or 0.0)
            self._note(key, place, *run_ids)
            self._places.tell_soon()

    def deliver(self, message: ProactiveMessage) -> None:
        """A message was heard: hand it out, behind those that are being asked for."""
        key = self._canonical(message.session_key)
        place = self._place(key)
        if place is not None:
            if not self._is_listened_to:
                # Whoever listens later is handed it out of the history. It may be the answer to one's own message.
                place.ask()
                place.note_unheard(message.run_id)
                self._unlistened.add(message.run_id)
                if (holds := self._holds.get(key)) is not None:
                    holds.add(message, wanted=False)
                return
            self._hear(key, place, message)
        held = self._held.get(key)
        if held is None:
            self._pass_on(key, message)
            self._places.tell(key)
            return
        held.append(message)
        self._held_count += 1
        self._held_bytes += size_of(message)
        if self._held_count > MAX_HELD or self._held_bytes > MAX_HELD_BYTES:
            self._no_longer(f"{self._held_count} messages of {self._held_bytes} bytes wait")

    def listened_to(self) -> None:
        """Somebody listens from now on: ask for what was said while nobody did."""
        if self._recorded and self._since is not None:
            self._ask_for_the_unheard()

    def _hear(self, key: str, place: Place, message: ProactiveMessage) -> None:
        if self._recorded and place.fresh is not None and key not in self._asked:
            self._ask_for_the_unheard()
        place.heard(message.text, self._now() or 0.0)
        self._note(key, place, message.run_id)

    def _note(self, key: str, place: Place, *run_ids: str) -> None:
        """A place changed. Runs are noted for another process; this one knows them."""
        if self._recorded:
            place.note_known(*run_ids)
            self._places.changed(key)

    def hold(self, session_key: str) -> HeldMessages:
        """Keep messages of a session back until it is known whether one of them answers a message of one's own."""
        key = self._canonical(session_key)
        held = self._holds.get(key)
        if held is None:
            hand_out = partial(self._hand_out_held, key) if self._recorded else self._hand_out
            closed = partial(self._hold_is_over, key)
            held = self._holds[key] = HeldMessages(hand_out, self._runs.handed_out, closed)
        held.holders += 1
        return held

    def _hand_out_held(self, key: str, message: ProactiveMessage) -> None:
        self._hand_out(message)
        self._places.tell(key)

    def _hold_is_over(self, key: str) -> None:
        self._holds.pop(key, None)
        self._places.tell(key)

    # Asking.

    def begin(self, *, in_doubt: bool = False) -> None:
        """Ask for what was missed: after a reconnect, or, in_doubt, when events were lost."""
        if in_doubt and self._task is not None and not self._task.done():
            self._again = True
            self._stand_still(self._accepted())
            return
        if in_doubt and self._later is not None:
            # The gateway wants to be left alone until then.
            self._stand_still(self._accepted())
            return
        self.stop()
        # Before this connection there is nothing to be missed by a session that was first met on it.
        self._start([key for key, place in self._places.items() if in_doubt or self._may_have_missed(place)])

    def _may_have_missed(self, place: Place) -> bool:
        return place.since_ms != self._since or place.fresh is not None

    def _ask_for_the_unheard(self) -> None:
        """Ask for what was said while nobody listened, in a session that was met on this connection, too."""
        if self._task is not None and not self._task.done():
            self._again = True
        elif self._later is None:
            self._start([key for key, place in self._places.items() if place.fresh is not None])

    def _accepted(self) -> list[str]:
        return [key for key, _ in self._places.items() if self._sessions.accepts(key)]

    def _stand_still(self, keys: list[str]) -> None:
        """No place moves past what may have been missed before a page was looked at."""
        for key in keys:
            self._places.ask(key)

    def _start(self, keys: list[str]) -> None:
        keys = [key for key in keys if self._sessions.accepts(key)]
        asking = bool(keys) and self._wanted()
        if asking or self._recorded:
            # Also where nobody listens yet.
            self._stand_still(keys)
        if asking:
            loop = asyncio.get_running_loop()
            self._held = {key: [] for key in keys}
            self._asked = set(keys)
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
        self._no_longer_asked()

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
                if not self._again:
                    place.settle()
                self._places.changed(key)
            self._asked.discard(key)
            self._release(key)
        self._no_longer_asked()
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

    def _no_longer_asked(self) -> None:
        """The asking is over; places that were not looked at stand where they stood."""
        self._asked.clear()
        self._release_all()
        self._places.tell_all()

    def _catch_up(self, key: str, page: HistoryPage, place: Place) -> None:
        self._catching_up = key
        is_known, is_open = self._is_handed_out, self._runs.has_open_run
        for message in missed(page, place, key, is_known=is_known, is_open=is_open, application=self._application):
            self._unlistened.discard(message.run_id)
            self._runs.handed_out(message.run_id)
            self._pass_on(key, message)
        self._catching_up = None

    def _is_handed_out(self, run_id: str) -> bool:
        return self._runs.is_known_run(run_id) and run_id not in self._unlistened

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
        for message in self._held.get(key, ()):
            self._held_count -= 1
            self._held_bytes -= size_of(message)
            self._pass_on(key, message)
        self._held.pop(key, None)
        self._places.tell(key)

    def _pass_on(self, key: str, message: ProactiveMessage) -> None:
        """Hand it out, but not before those that may be the answer to a message of one's own."""
        holds = self._holds.get(key)
        if holds is not None:
            holds.add(message)
        else:
            self._hand_out(message)

    @property
    def _is_listened_to(self) -> bool:
        """Whether what is heard counts as known. Where no places are told, it does in any case."""
        return not self._recorded or self._wanted()

    def _is_held_back(self, key: str) -> bool:
        """Whether something of a session is still to be handed out."""
        holds = self._holds.get(key)
        waits = holds is not None and holds.waits
        return waits or key in self._held or key in self._asked or key == self._catching_up

    def _place(self, key: str) -> Place | None:
        """The place of a session; None where the gateway's clock is not known."""
        return self._places.use(key, self._since, self._now())

    def _canonical(self, session_key: str) -> str:
        return self._sessions.canonical(session_key)

    def _now(self) -> float | None:
        return None if self._offset is None else (time.time() + self._offset) * 1000
