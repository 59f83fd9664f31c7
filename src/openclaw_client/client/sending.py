"""How a message gets to the gateway: in its turn, over whatever connection is ready, and perhaps once more.

Knows when it may go out and what went out; refuses to know what comes back. On the loop's thread.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from openclaw_client.client import endings
from openclaw_client.client.turns import Turn, jumps_the_queue
from openclaw_client.connection.connection import Connection
from openclaw_client.errors import GatewayError
from openclaw_client.policy.timeouts import Timeouts

if TYPE_CHECKING:
    from openclaw_client.client.driver import RunDriver
    from openclaw_client.client.engine import Engine


class Sending:
    """on_answer gets the payload or the error of each sending. sent: whether it went out; again: more than once."""

    def __init__(
        self, engine: Engine, run: RunDriver, limits: Timeouts, on_answer: Callable[[Any, GatewayError | None], None]
    ) -> None:
        self.sent = self.again = False
        self._engine = engine
        self._run = run
        self._limits = limits
        self._on_answer = on_answer
        self._turn = Turn(engine.turns)

    @property
    def holds_turn(self) -> bool:
        """Whether the session's next message waits for this one."""
        return self.sent and self._turn.taken

    async def begin(self) -> Connection:
        """Send it in its turn; over which connection. Raises what keeps it from being sent, and nothing was then."""
        request = self._run.request
        if request.when_busy == "wait" and not jumps_the_queue(request.message):
            await self._take_turn()
        try:
            connection = await self._engine.requests.ready_in(request.session_key, self._limits.request)
            # Events can come before the response, so the run is known before its first byte is written.
            self._engine.router.add(self._run)
            try:
                self._write(connection)
            except BaseException:
                self._engine.router.remove(self._run)
                raise
        except BaseException:
            self.give_turn_back()
            raise
        self.sent = True
        self._engine.catch_up.sent(request.session_key, request.message)
        return connection

    def repeat(self, connection: Connection) -> None:
        """Send it once more with the same key. Raises GatewayError, and nothing was sent then."""
        self.again = True
        self._write(connection)

    def give_turn_back(self) -> None:
        hello = self._engine.hello
        self._turn.give_back(settling=hello is not None and hello.protocol == 3)

    async def _take_turn(self) -> None:
        """Wait for the runs of this session that this client began before."""
        session = self._engine.router.sessions.canonical(self._run.request.session_key)
        try:
            await self._turn.take(session, self._limits.total)
        except TimeoutError:
            raise endings.no_turn(self._run, self._limits.total) from None

    def _write(self, connection: Connection) -> None:
        assert connection.hello is not None
        params = self._run.request.params(connection.hello)
        done = self._engine.requests.outcome(self._on_answer)
        connection.request("chat.send", params, self._limits.request, done)
