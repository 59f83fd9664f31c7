"""The manager for coroutines."""

from __future__ import annotations

import asyncio
import inspect
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable, Hashable, Iterable
from contextlib import asynccontextmanager
from typing import Any, Self

from openclaw_client.client.async_client import AsyncGatewayClient
from openclaw_client.client.callbacks import HandlersFailed, check_handler
from openclaw_client.client.options import ClientInfo, Proxy, ReconnectPolicy, Timeouts, check_kinds
from openclaw_client.client.shared_journal import JournalLike, shared_journal
from openclaw_client.errors import GatewayError, UsageError
from openclaw_client.errors.frames import without_frames
from openclaw_client.journal.protocol import PendingRun
from openclaw_client.logs import GuardedLogger, handler_name
from openclaw_client.manager.core import IDLE_TIMEOUT, MAX_CONNECTIONS, ManagerCore
from openclaw_client.manager.credentials import ClientOptions, Credentials
from openclaw_client.manager.effects import AskFor, CloseIdle, Connect, Effect, Effects, LetGo
from openclaw_client.manager.status import ManagerStatus
from openclaw_client.manager.table import Limits, Slot
from openclaw_client.runs.application import Application
from openclaw_client.wire.approvals import Approval
from openclaw_client.wire.questions import Question

logger = GuardedLogger("openclaw_client.manager")


class AsyncConnectionManager:
    """One connection per user, for coroutines of one event loop; opened at first use, closed when idle.

    credentials(user) returns the `Credentials` of a user, any hashable object; it may be `async def`, runs in the task
    of the caller, and what it raises goes to that caller. max_connections: users at once; the one who was idle the
    longest makes room. idle_timeout: seconds without use after which a connection is closed, None for never; ticks are
    no use, and a run in flight is never cut. credentials_ttl: seconds for which an answer of credentials() holds; by
    default it is asked at every `connection_for`, and newer credentials mean a fresh connection. share_devices: allow
    users to have one device identity in common. journal: one for all users, who are `str` then (docs/durable.md); one
    that is made here from a path is closed with the manager. The rest is as for `GatewayClient`, for all users.

    Nothing is opened before the first `connection_for`, which binds the manager to the running loop. Raises UsageError
    for arguments that cannot work.
    """

    @without_frames
    def __init__(
        self,
        credentials: Callable[[Any], Credentials | Awaitable[Credentials]],
        *,
        max_connections: int = MAX_CONNECTIONS,
        idle_timeout: float | None = IDLE_TIMEOUT,
        credentials_ttl: float = 0.0,
        share_devices: bool = False,
        timeouts: Timeouts = Timeouts(),  # noqa: B008 - frozen
        reconnect: ReconnectPolicy = ReconnectPolicy(),  # noqa: B008 - frozen
        caps: Iterable[str] | None = None,
        ssl_context: ssl.SSLContext | None = None,
        proxy: Proxy = None,
        client_info: ClientInfo = ClientInfo(),  # noqa: B008 - frozen
        answers: Iterable[str] = (),
        application: str | None = None,
        journal: JournalLike = None,
    ) -> None:
        self._credentials = credentials
        self._loop: asyncio.AbstractEventLoop | None = None
        self._core: ManagerCore[AsyncGatewayClient] = ManagerCore(
            Limits(max_connections, idle_timeout, credentials_ttl, share_devices),
            ClientOptions(
                timeouts=timeouts,
                reconnect=reconnect,
                caps=caps,
                ssl_context=ssl_context,
                proxy=proxy,
                client_info=client_info,
                answers=check_kinds(answers),
                application=None if application is None else Application(application).name,
            ),
            gate=asyncio.Event,
            make=self._make,
            adapt=lambda client, sessions: client._port.allow(sessions),
            close=lambda client: client._port.disconnect(),
            close_if_idle=AsyncGatewayClient.close_if_idle,
            knows=lambda client, run_id: client._port.is_known_run(run_id),
            soon=self._soon,
        )
        self._core.journal = shared_journal(journal, alone=False)

    async def connection_for(self, user: Hashable) -> AsyncGatewayClient:
        """The user's client, connected; callers at once share one connect, and nobody waits for another user's.

        The client is the manager's: neither `async with` it nor disconnect it. Ask again instead of keeping it for
        long: after an idle close it raises NotConnected, see `hold`. Raises what credentials() raises and what
        `connect()` of a client raises; ManagerError when the manager is full of connections in use, draining or closed;
        UsageError.
        Credentials that the gateway refused are not tried again for five minutes: the same error comes at once, until
        they change or `disconnect(user)` is called. Cancelling leaves the connect to those who wait for it, too.
        """
        return (await self._obtained(user, hold=False)).client  # type: ignore[return-value]

    @asynccontextmanager
    async def hold(self, user: Hashable) -> AsyncIterator[AsyncGatewayClient]:
        """`connection_for(user)` for the length of an `async with` block, in which it is neither evicted nor idle.

        For a page that stays open, or a worker that listens. Raises what `connection_for` raises.
        """
        slot = await self._obtained(user, hold=True)
        try:
            yield slot.client  # type: ignore[misc]
        finally:
            self._core.release(slot)

    async def disconnect(self, user: Hashable) -> None:
        """Close the user's connection and forget refusals. Runs end with RunLost; a user who is unknown is fine."""
        self._bind()
        await self._core.disconnect(self._core.pop(user))

    async def disconnect_all(self) -> None:
        """`disconnect` for every user. The manager can be used as before."""
        await self._close(self._core.pop_all(close=False))

    def user_connected(self, user: Hashable) -> bool:
        """Whether the user's connection can be used now."""
        return self._core.connected(user)

    @property
    def connected_count(self) -> int:
        """Connections that can be used now."""
        return self._core.connected_count

    def status(self) -> ManagerStatus:
        """Everything that is known, as values of this moment."""
        return self._core.status()

    def on_proactive_message(self, handler: Callable[[Any, Any], object]) -> Any:
        """Call handler(user, message) for every `ProactiveMessage` of any user. Also a decorator.

        Handlers run in the loop, in order per user, and may be `async def`; one that waits delays its own user, and
        what one raises is logged and counted. With a journal a message is done when all have returned, as for a client.
        """
        check_handler(handler, coroutines=True)
        self._core.message_handlers.append(handler)
        for client in self._core.clients():
            client._port.handlers.now_wanted()
        return handler

    def on_approval(self, handler: Callable[[Any, Approval], object]) -> Any:
        """Call handler(user, approval) for everything that an agent of any user asks to be allowed. Also a decorator.

        As `on_approval` of a client. Users without a device identity are asked with operator.admin only (2026.8.1 and
        later). Raises UsageError behind the first `connection_for`.
        """
        check_handler(handler, coroutines=True)
        self._core.answers.add("approvals", handler)
        return handler

    def on_question(self, handler: Callable[[Any, Question], object]) -> Any:
        """Call handler(user, question) for everything that an agent of any user asks; as `on_approval`."""
        check_handler(handler, coroutines=True)
        self._core.answers.add("questions", handler)
        return handler

    def on_fatal_close(self, handler: Callable[[Any, GatewayError], object]) -> Any:
        """Call handler(client, error) when a user's connection was given up for good; `client.user` is the user.

        The next `connection_for` of the user connects anew. Also a decorator.
        """
        check_handler(handler, coroutines=True)
        self._core.fatal_handlers.append(handler)
        return handler

    async def close_idle(self) -> int:
        """Close now what is idle for longer than idle_timeout, as happens by itself; how many were closed."""
        self._bind()
        return await self._core.sweep()

    async def drain(self, timeout: float | None = None) -> bool:
        """Refuse new callers, and close each connection when its runs are over; whether all were closed in time.

        timeout: seconds, None for as long as it takes. Follow it with `close()`.
        """
        self._core.refuse()
        self._bind()
        return await self._core.drain(timeout)

    async def close(self) -> None:
        """Close every connection, for good. Runs in flight end with RunLost. May be called twice."""
        await self._close(self._core.pop_all(close=True))
        if self._core.journal is not None:
            await self._core.journal.close()

    async def pending(self, user: str | None = None) -> tuple[PendingRun, ...]:
        """The messages of a user, or of all, whose replies nobody has taken, oldest first; connects nobody.

        Each is followed, taken, or sent where it certainly never was, by `chat_attach` of its user's client. Nothing is
        sent again by itself.

        Args:
            user: Whose; None for all.

        Returns:
            Each with its user and its state: "queued" (never sent), "sent" (may have run) or "answered" (over).

        Raises:
            UsageError: The manager has no journal.
            JournalError: It cannot be read, or belongs to another process.
        """
        self._bind()
        return await self._core.written_down().pending(user)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *exc: object) -> None:
        await self.close()

    def __repr__(self) -> str:
        return f"AsyncConnectionManager({len(self._core.table.slots)} users, {self._core.table.phase})"

    async def _close(self, clients: list[AsyncGatewayClient]) -> None:
        self._bind()
        await self._core.close(clients)

    def _soon(self, call: Callable[[AsyncGatewayClient], None], client: AsyncGatewayClient) -> None:
        if self._loop is not None and not self._loop.is_closed():
            self._loop.call_soon(call, client)

    async def _obtained(self, user: Hashable, *, hold: bool) -> Slot[AsyncGatewayClient]:
        """Carry out the effects in this task."""
        effects: Effects[AsyncGatewayClient] = self._core.obtain(user, hold=hold)
        try:
            effect = next(effects)
            while True:
                try:
                    answer = await self._perform(effect)
                except BaseException as error:  # noqa: BLE001 - the effects decide
                    effect = effects.throw(error)
                else:
                    effect = effects.send(answer)
        except StopIteration as end:
            slot: Slot[AsyncGatewayClient] = end.value
            return slot

    async def _perform(self, effect: Effect[AsyncGatewayClient]) -> object:
        if isinstance(effect, AskFor):
            given = self._credentials(effect.user)
            return await given if inspect.isawaitable(given) else given
        self._bind()
        if isinstance(effect, Connect):
            await effect.client.connect()
            self._core.arm()
            return None
        if isinstance(effect, CloseIdle):
            return await effect.client.close_if_idle()
        if isinstance(effect, LetGo):
            await self._core.let_go(effect.client)
            return None
        return await effect.gate.wait()

    def _make(self, given: Credentials, user: Hashable) -> AsyncGatewayClient:
        client = AsyncGatewayClient._from_settings(self._core.settings(given), given.filter(), user, self._core.journal)
        client._port.handlers.listening = lambda: bool(self._core.message_handlers)
        client.on_proactive_message(lambda _user, message: self._on_message(client, message))
        client.on_fatal_close(self._on_fatal)
        self._core.answers.attach(client._port, user)
        return client

    async def _on_message(self, client: AsyncGatewayClient, message: Any) -> None:
        """In the client's task for handlers."""
        if self._core.tells(client, message.run_id):
            whole = await self._call(self._core.message_handlers, client.user, message)
            if not whole and self._core.journal is not None:
                raise HandlersFailed

    async def _on_fatal(self, client: AsyncGatewayClient, error: GatewayError) -> None:
        """In the client's task for handlers."""
        self._core.died(client, error)
        # So that nobody can bring it back beside the one that follows.
        await client.disconnect()
        await self._call(self._core.fatal_handlers, client, error)

    async def _call(self, handlers: list[Callable[..., object]], *args: Any) -> bool:
        """Whether all of them returned."""
        whole = True
        for handler in tuple(handlers):
            try:
                result = handler(*args)
                if inspect.isawaitable(result):
                    await result
            except Exception:
                self._core.count("handler_errors")
                logger.exception("the handler %s raised", handler_name(handler))
                whole = False
        return whole

    def _bind(self) -> None:
        loop = asyncio.get_running_loop()
        if self._loop is None or (self._loop.is_closed() and not self._core.table.slots):
            self._loop = loop
        elif self._loop is not loop:
            raise UsageError(
                message="this manager belongs to another event loop",
                remedy="Make one manager per loop, or use ConnectionManager, which has a loop of its own",
            )
