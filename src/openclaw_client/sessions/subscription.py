"""Which sessions a gateway is asked to send the events of, where it sends only those that were asked for.

With the capability `session-scoped-events` 2026.8.1 and 2026.9.6 send a connection the chat and agent events of the
sessions whose messages it subscribed to, and of no others: another user's events then never leave the gateway. Releases
that don't know the capability send everything, and the filter of this side does the work alone.
"""

from __future__ import annotations

import asyncio
from contextlib import suppress
from random import uniform

from openclaw_client.connection.connection import Abandoned, Connection, Outcome, Responded
from openclaw_client.connection.settings import Settings
from openclaw_client.errors import GatewayError
from openclaw_client.logs import GuardedLogger
from openclaw_client.policy.scopes import covers
from openclaw_client.sessions.filter import SessionFilter
from openclaw_client.wire import codes
from openclaw_client.wire.frames import ErrorShape

logger = GuardedLogger("openclaw_client.sessions")

CAPABILITY = "session-scoped-events"
METHOD = "sessions.messages.subscribe"
UNSUBSCRIBE = "sessions.messages.unsubscribe"
SCOPE = "operator.read"
"""Without it there are no events, and the method is refused."""
FIRST_RELEASE = (2026, 8)
"""Older ones send everything (2026.7.35)."""

AT_ONCE = 16
"""Subscriptions of a client under way. 2026.9.6 lets 256 requests of all its clients wait, and refuses the next."""
QUICK_TRIES = 4
"""How often who waits for a subscription goes on waiting when the gateway is busy or starting."""
QUICK = 0.2
"""Seconds to the second of these tries, twice as many to each further one."""
SLOW = 30.0
"""Seconds until a subscription that failed otherwise is tried again, twice as many each time."""
SLOWEST = 600.0
SETTLES_WITHIN = 5.0
"""Seconds that connect() waits for the first answers. A connection is usable without them."""


class _Subscription:
    """To one session. waiter: done when nobody need wait any more; None from then on. fails: how often it failed."""

    __slots__ = ("fails", "key", "timer", "waiter")

    def __init__(self, key: str) -> None:
        self.key = key
        self.fails = 0
        self.timer: asyncio.TimerHandle | None = None
        self.waiter: asyncio.Future[None] | None = asyncio.get_running_loop().create_future()

    def release(self) -> None:
        """Keep nobody waiting."""
        waiter, self.waiter = self.waiter, None
        if waiter is not None:
            waiter.set_result(None)

    def end(self) -> None:
        if self.timer is not None:
            self.timer.cancel()
        self.release()


class SessionSubscriptions:
    """Subscribes one client to its sessions, anew on each connection. On the loop's thread."""

    __slots__ = ("_connection", "_line", "_sessions", "_timeout", "_under_way", "_wanted", "_with")

    def __init__(self, sessions: SessionFilter, settings: Settings) -> None:
        self._sessions = sessions
        self._timeout = settings.timeouts.request
        self._wanted = CAPABILITY in settings.caps
        self._connection: Connection | None = None
        # By canonical key, and those of them that wait to be sent.
        self._with: dict[str, _Subscription] = {}
        self._line: dict[str, _Subscription] = {}
        self._under_way = 0

    def begin(self, connection: Connection) -> None:
        """A connection is ready: subscribe to what is known so far."""
        self.stop()
        if self._wanted and self._helps(connection):
            self._connection = connection
            self.catch_up()

    def _helps(self, connection: Connection) -> bool:
        """Whether the gateway keeps back what is not subscribed to."""
        hello, granted = connection.hello, connection.granted
        # Wire v3 knows the method from 2026.4.15 on, and never the capability.
        if hello is None or hello.protocol == 3 or (granted is not None and not covers(granted, SCOPE)):
            return False
        # A manager's clients are told by these subscriptions what a reply took, on older releases, too.
        return self._sessions.private or hello.release is None or hello.release >= FIRST_RELEASE

    def stop(self) -> None:
        """The connection is gone: nobody waits for it."""
        self._connection = None
        for one in self._with.values():
            one.end()
        self._with, self._line, self._under_way = {}, {}, 0

    def catch_up(self) -> None:
        """Subscribe to the sessions that were named since, and to none that is the client's no more."""
        connection = self._connection
        if connection is None or connection.end is not None:
            return
        named = {self._sessions.canonical(key): key for key in self._sessions.named()}
        for gone in self._with.keys() - named.keys():
            self.drop(gone)
        for canonical, key in named.items():
            if canonical not in self._with:
                self._with[canonical] = self._line[canonical] = _Subscription(key)
        self._send()

    def covers(self, key: str) -> bool:
        """Whether nothing needs to be waited for before something happens in this session."""
        if self._connection is None:
            return True
        one = self._with.get(self._sessions.canonical(key))
        return one is not None and one.waiter is None

    def holds(self, key: str) -> bool:
        """Whether this client subscribes to a session for itself, and needs what is sent of it. What was refused,
        and is tried again later, does not count."""
        one = self._with.get(self._sessions.canonical(key))
        return one is not None and (one.waiter is not None or not one.fails)

    def forget(self, key: str) -> None:
        """Subscribe again when the session is named the next time."""
        canonical = self._sessions.canonical(key)
        one = self._with.pop(canonical, None)
        self._line.pop(canonical, None)
        if one is not None:
            one.end()

    def drop(self, key: str) -> None:
        """A session is the client's no more: have its events kept back."""
        one = self._with.get(self._sessions.canonical(key))
        self.forget(key)
        if one is not None and self._connection is not None:
            # Behind the subscription: a gateway takes the requests of a connection in their order. One that has just
            # ended has none left.
            with suppress(GatewayError):
                self._connection.request(UNSUBSCRIBE, {"key": one.key}, self._timeout, _ignore)

    async def ensure(self, key: str, timeout: float | None = None) -> None:
        """Return when the gateway has been told of a session, the connection is gone, or after so many seconds.
        Cancelling is safe."""
        if self._connection is None:
            return
        canonical = self._sessions.canonical(key)
        one = self._with.get(canonical)
        if one is None:
            one = self._with[canonical] = self._line[canonical] = _Subscription(key)
        if canonical in self._line:
            # Somebody waits for it, and for the others nobody.
            self._line = {canonical: one, **self._line}
            self._send()
        if one.waiter is not None:
            await asyncio.wait({one.waiter}, timeout=timeout)

    async def settled(self) -> None:
        """Return when the gateway has been told of all sessions that are known, or after `SETTLES_WITHIN`."""
        waiters = [one.waiter for one in self._with.values() if one.waiter is not None]
        if waiters:
            await asyncio.wait(waiters, timeout=SETTLES_WITHIN)

    def _send(self) -> None:
        while (connection := self._connection) is not None and self._line and self._under_way < AT_ONCE:
            canonical = next(iter(self._line))
            self._request(connection, canonical, self._line.pop(canonical))

    def _request(self, connection: Connection, canonical: str, one: _Subscription) -> None:
        def done(outcome: Outcome) -> None:
            if self._connection is not connection:
                return
            self._under_way -= 1
            if isinstance(outcome, Abandoned):
                self.stop()
            elif self._with.get(canonical) is one:
                self._answered(canonical, one, outcome)
            self._send()

        self._under_way += 1
        try:
            connection.request(METHOD, {"key": one.key}, self._timeout, done)
        except GatewayError:
            # The connection has just ended; the next one begins anew.
            self.stop()

    def _answered(self, canonical: str, one: _Subscription, outcome: Outcome) -> None:
        error = outcome.error if isinstance(outcome, Responded) else None
        if isinstance(outcome, Responded) and error is None:
            if one.waiter is None:
                logger.info("events of %r are subscribed to after all", one.key)
            one.fails = 0
            one.release()
            return
        one.fails += 1
        if error is not None and _passes(error) and one.waiter is not None and one.fails <= QUICK_TRIES:
            pause = QUICK * 2 ** (one.fails - 1)
        else:
            if one.waiter is not None:
                # Runs are then followed by asking, and their text comes late instead of never.
                why = error.message if error is not None else "no answer"
                logger.warning("events of %r cannot be subscribed to, its replies come late: %s", one.key, why)
                one.release()
                one.fails = 1
            pause = min(SLOW * 2 ** min(one.fails - 1, 10), SLOWEST)
        # Not all at once: whoever refused one was busy with many.
        pause *= uniform(0.5, 1.0)
        one.timer = asyncio.get_running_loop().call_later(pause, self._again, canonical, one)

    def _again(self, canonical: str, one: _Subscription) -> None:
        self._line[canonical] = one
        self._send()


def _passes(error: ErrorShape) -> bool:
    """Whether a gateway refuses for a moment only."""
    return error.retryable is True or codes.startup_delay(error.detail("reason"), error.retry_after) is not None


def _ignore(_outcome: Outcome) -> None:
    """Whatever becomes of it, nobody is told."""
