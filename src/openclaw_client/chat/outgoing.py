"""How a message gets to the gateway: in its turn, over whatever connection is ready, and perhaps once more.

Decides when a message may be sent, remembers that it was; does not interpret the response. On the loop's thread.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from functools import partial
from math import inf
from typing import Any

from openclaw_client.chat.arguments import ChatRequest
from openclaw_client.chat.context import RunContext
from openclaw_client.chat.outcomes import no_turn
from openclaw_client.chat.sending import method_of, params_of, sending_of
from openclaw_client.connection.connection import Connection
from openclaw_client.errors import GatewayError, RequestFailed
from openclaw_client.policy.timeouts import Timeouts
from openclaw_client.policy.verdict import starting_delay
from openclaw_client.runs.peer import AGENT, Delivery
from openclaw_client.sessions.gate import Ticket
from openclaw_client.wire.commands import jumps_the_queue

OnAnswer = Callable[[Any, GatewayError | None], None]
OnEnd = Callable[[Any, RequestFailed | None], None]


class Outgoing:
    """on_written is told of each writing and its way, on_answer of what came of it: the payload or the error; on_end of
    the second answer that `agent` gives when its run is over.

    method: the one by which the message was sent before, for it is not told from a new one by another; None for a
    message that is new. sent: whether the message went out.
    """

    def __init__(
        self,
        context: RunContext,
        request: ChatRequest,
        limits: Timeouts,
        on_written: Callable[[Connection, Delivery], None],
        on_answer: OnAnswer,
        on_end: OnEnd,
        method: str | None = None,
    ) -> None:
        self.sent = False
        self._context = context
        self._request = request
        self._limits = limits
        self._on_written = on_written
        self._on_answer = on_answer
        self._on_end = on_end
        self._method = method
        self._awaited: tuple[Connection, str] | None = None
        self._accepted = False
        self._try_until = inf
        self._ticket: Ticket | None = None
        self._session = ""
        self._stopped = False

    @property
    def holds_turn(self) -> bool:
        """Whether the session's next message waits for this one."""
        return self.sent and self._ticket is not None

    @property
    def waits_for_others(self) -> bool:
        """Whether the message waits for somebody else's run of its session."""
        return self._ticket is not None and self._ticket.others

    async def begin(self, register: Callable[[], None], unregister: Callable[[], None]) -> None:
        """Send it in its turn. Raises what keeps it from being sent, and nothing was then.

        register: called before the first byte is written, since events can come before the response.
        """
        begun, request = asyncio.get_running_loop().time(), self._request
        hello = self._context.methods.hello
        version = hello.server.version if hello is not None else None
        if request.when_busy == "wait" and not jumps_the_queue(request.message, version):
            await self._take_turn()
        try:
            connection = await self._ready(begun)
            if self._limits.request is not None:
                self._try_until = asyncio.get_running_loop().time() + self._limits.request
            register()
            try:
                self.write(connection)
            except BaseException:
                unregister()
                raise
        except BaseException:
            self.give_turn_back()
            raise
        self.sent = True

    def write(self, connection: Connection) -> None:
        """Write the message, with its key. Raises GatewayError, and nothing was sent then."""
        self._on_written(connection, sending_of(self._request, self._write(connection)))

    def stop(self) -> None:
        """The run is over: nothing is sent any more."""
        self._stopped = True
        self.stop_listening()
        self.give_turn_back()

    def stop_listening(self) -> None:
        """Nobody waits for the second answer: a run that nobody reads must not keep its connection busy with it."""
        awaited, self._awaited = self._awaited, None
        if awaited is not None and self._accepted:
            awaited[0].forget(awaited[1])

    def give_turn_back(self) -> None:
        ticket, self._ticket = self._ticket, None
        if ticket is not None:
            self._context.gates.leave(self._session, ticket)

    async def _ready(self, begun: float) -> Connection:
        """The connection over which the message may be written now."""
        return await self._context.methods.requests.ready_in(self._request.session_key, self._time_to_connect(begun))

    def _time_to_connect(self, begun: float) -> float | None:
        """Seconds to wait for a connection: the limit of a request, within what is left of the caller's."""
        limits = [] if self._limits.request is None else [self._limits.request]
        if self._limits.total is not None:
            limits.append(max(0.0, begun + self._limits.total - asyncio.get_running_loop().time()))
        return min(limits, default=None)

    async def _take_turn(self) -> None:
        """Wait for the runs of this session that this client began before, and for those of others."""
        self._session = self._context.methods.canonical(self._request.session_key)
        ticket = self._ticket = Ticket(asyncio.get_running_loop().time())
        try:
            async with asyncio.timeout(self._limits.total):
                await self._context.gates.enter(self._session, ticket)
        except BaseException as error:
            self._ticket = None
            if isinstance(error, TimeoutError):
                raise no_turn(self._request, self._limits.total, others=ticket.others) from None
            raise

    def _write(self, connection: Connection) -> str:
        """The method by which it was written."""
        hello = connection.hello
        assert hello is not None
        method = self._method_for(hello.server.version)
        params = params_of(self._request, method, hello)
        done = self._context.methods.requests.outcome(partial(self._answered, connection))
        both = method == AGENT
        self._accepted = False
        self._awaited = connection, connection.request(method, params, self._limits.request, done, both=both)
        self._method = method
        return method

    def _method_for(self, version: str | None) -> str:
        return self._method or method_of(self._request, version)

    def _answered(self, connection: Connection, payload: Any, error: GatewayError | None) -> None:
        if self._accepted:
            # What becomes of the connection is told elsewhere.
            if error is None or isinstance(error, RequestFailed):
                self._on_end(payload, error)
            return
        self._accepted = self._method == AGENT and error is None
        delay = starting_delay(error)
        if delay is None or asyncio.get_running_loop().time() + delay > self._try_until:
            self._on_answer(payload, error)
        else:
            asyncio.get_running_loop().call_later(delay, self._retry, connection)

    def _retry(self, connection: Connection) -> None:
        """Once more, behind a refusal that took nothing."""
        if self._stopped or connection.end is not None:
            # Behind a reconnect the gateway is asked what it has, and given what it has not.
            return
        try:
            self._write(connection)
        except GatewayError as failure:
            self._on_answer(None, failure)
