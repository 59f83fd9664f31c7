"""Which sessions a gateway is asked to send the events of, where it sends only those that were asked for.

With the capability `session-scoped-events` 2026.9.6 sends a connection the chat and agent events of the sessions whose
messages it subscribed to, and of no others: another user's events then never leave the gateway. Releases that don't
know the capability send everything, and the filter of this side does the work alone.
"""

from __future__ import annotations

import asyncio

from openclaw_client.connection.connection import Connection, Outcome, Responded
from openclaw_client.connection.settings import Settings
from openclaw_client.errors import GatewayError
from openclaw_client.logs import GuardedLogger
from openclaw_client.sessions.filter import SessionFilter

logger = GuardedLogger("openclaw_client.sessions")

CAPABILITY = "session-scoped-events"
METHOD = "sessions.messages.subscribe"


class SessionSubscriptions:
    """Subscribes one client to its user's sessions, anew on each connection. On the loop's thread."""

    __slots__ = ("_asked", "_connection", "_sessions", "_timeout", "_wanted")

    def __init__(self, sessions: SessionFilter, settings: Settings) -> None:
        self._sessions = sessions
        self._timeout = settings.timeouts.request
        self._wanted = sessions.private and CAPABILITY in settings.caps
        self._connection: Connection | None = None
        # By canonical key: what waits for the answer, None when it is there.
        self._asked: dict[str, asyncio.Future[None] | None] = {}

    def begin(self, connection: Connection) -> None:
        """A connection is ready: subscribe to what is the user's so far."""
        hello = connection.hello
        self._connection, self._asked = None, {}
        # Wire v3 knows the method from 2026.4.15 on, and never the capability.
        if not self._wanted or hello is None or hello.protocol == 3:
            return
        self._connection = connection
        self.catch_up()

    def catch_up(self) -> None:
        """Subscribe to the sessions that were named since."""
        connection = self._connection
        if connection is None or connection.end is not None:
            return
        for key in self._sessions.named():
            if self._sessions.canonical(key) not in self._asked:
                self._ask(connection, key)

    def covers(self, key: str) -> bool:
        """Whether nothing needs to be waited for before something happens in this session."""
        if self._connection is None:
            return True
        canonical = self._sessions.canonical(key)
        return canonical in self._asked and self._asked[canonical] is None

    def forget(self, key: str) -> None:
        """Ask again when the session is named the next time."""
        self._asked.pop(self._sessions.canonical(key), None)

    async def ensure(self, key: str) -> None:
        """Return when the gateway has been told of a session, or the connection is gone. Cancelling is safe."""
        canonical = self._sessions.canonical(key)
        if self._connection is not None and canonical not in self._asked:
            self._ask(self._connection, key)
        waiter = self._asked.get(canonical)
        if waiter is not None:
            await asyncio.shield(waiter)

    def _ask(self, connection: Connection, key: str) -> None:
        canonical, asked = self._sessions.canonical(key), self._asked
        waiter: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        asked[canonical] = waiter

        def done(outcome: Outcome) -> None:
            if asked.get(canonical) is waiter:
                asked[canonical] = None
            waiter.set_result(None)
            if isinstance(outcome, Responded) and outcome.error is not None:
                # The run is then followed by asking, and its text comes late instead of never.
                logger.warning("events of %r cannot be subscribed to: %s", key, outcome.error.message)

        try:
            connection.request(METHOD, {"key": key}, self._timeout, done)
        except GatewayError:
            # The connection has just ended; the next one begins anew.
            asked[canonical] = None
            waiter.set_result(None)
