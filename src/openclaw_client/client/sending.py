"""How a message gets to the gateway: in its turn, over whatever connection is ready, and perhaps once more.

Knows when it may go out and what went out; refuses to know what comes back. On the loop's thread.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from functools import partial
from math import inf
from typing import TYPE_CHECKING, Any

from openclaw_client.client import endings
from openclaw_client.client.turns import Turn, jumps_the_queue
from openclaw_client.connection.connection import Connection
from openclaw_client.errors import GatewayError
from openclaw_client.policy.timeouts import Timeouts
from openclaw_client.policy.verdict import starting_delay

if TYPE_CHECKING:
    from openclaw_client.client.driver import RunDriver
    from openclaw_client.client.engine import Engine


class Sending:
    """on_answer gets the payload or the error of each sending. sent: whether it went out; repeated: more than once."""

    def __init__(
        self, engine: Engine, run: RunDriver, limits: Timeouts, on_answer: Callable[[Any, GatewayError | None], None]
    ) -> None:
        self.sent = self.repeated = False
        self._try_until = inf
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
        begun, request = asyncio.get_running_loop().time(), self._run.request
        if request.when_busy == "wait" and not jumps_the_queue(request.message):
            await self._take_turn()
        try:
            connection = await self._engine.requests.ready_in(request.session_key, self._time_to_connect(begun))
            # Events can come before the response, so the run is known before its first byte is written.
            self._engine.router.add(self._run)
            if self._limits.request is not None:
                self._try_until = asyncio.get_running_loop().time() + self._limits.request
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
        self.repeated = True
        self._write(connection)

    def give_turn_back(self) -> None:
        hello = self._engine.hello
        self._turn.give_back(settling=hello is not None and hello.protocol == 3)

    def _time_to_connect(self, begun: float) -> float | None:
        """Seconds to wait for a connection: the limit of a request, within what is left of the caller's."""
        limits = [] if self._limits.request is None else [self._limits.request]
        if self._limits.total is not None:
            limits.append(max(0.0, begun + self._limits.total - asyncio.get_running_loop().time()))
        return min(limits, default=None)

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
        done = self._engine.requests.outcome(partial(self._answered, connection))
        connection.request("chat.send", params, self._limits.request, done)

    def _answered(self, connection: Connection, payload: Any, error: GatewayError | None) -> None:
        delay = starting_delay(error)
        if delay is None or asyncio.get_running_loop().time() + delay > self._try_until:
            self._on_answer(payload, error)
        else:
            asyncio.get_running_loop().call_later(delay, self._retry, connection)

    def _retry(self, connection: Connection) -> None:
        """Once more, behind a refusal that took nothing."""
        if self._run.ended or connection.end is not None:
            # Behind a reconnect the gateway is asked what it has, and given what it has not.
            return
        try:
            self._write(connection)
        except GatewayError as failure:
            self._on_answer(None, failure)
