"""The manager for threads."""

from __future__ import annotations

import os
import ssl
import weakref
from collections.abc import Callable, Hashable, Iterable, Iterator
from contextlib import contextmanager
from typing import Any, Self

from openclaw_client.client.callbacks import HandlersFailed, check_handler
from openclaw_client.client.options import ClientInfo, Proxy, ReconnectPolicy, Timeouts, check_kinds
from openclaw_client.client.shared_journal import JournalLike, shared_journal
from openclaw_client.errors import GatewayError
from openclaw_client.errors.frames import without_frames
from openclaw_client.journal.protocol import PendingRun
from openclaw_client.logs import GuardedLogger, handler_name
from openclaw_client.manager.core import IDLE_TIMEOUT, MAX_CONNECTIONS, ManagerCore
from openclaw_client.manager.credentials import ClientOptions, Credentials
from openclaw_client.manager.effects import AskFor, CloseIdle, Connect, Effect, Effects, LetGo
from openclaw_client.manager.status import ManagerStatus
from openclaw_client.manager.table import Limits, Slot
from openclaw_client.runs.application import Application
from openclaw_client.sync import threads
from openclaw_client.sync.client import GatewayClient
from openclaw_client.sync.loop_thread import LoopThread, check_caller, loop_thread
from openclaw_client.wire.approvals import Approval
from openclaw_client.wire.questions import Question

logger = GuardedLogger("openclaw_client.manager")

_managers: weakref.WeakSet[ConnectionManager] = weakref.WeakSet()


class ConnectionManager:
    """One connection per user, for any number of threads; opened at first use, closed when idle.

    credentials(user) returns the `Credentials` of a user, any hashable object; it runs in the thread of the caller and
    outside every lock, and what it raises goes to that caller. max_connections: users at once; the one who was idle the
    longest makes room. idle_timeout: seconds without use after which a connection is closed, None for never; ticks are
    no use, and a run in flight is never cut. credentials_ttl: seconds for which an answer of credentials() holds; by
    default it is asked at every `connection_for`, and newer credentials mean a fresh connection. share_devices: allow
    users to have one device identity in common. journal: one for all users, who are `str` then (docs/durable.md); one
    that is made here from a path is closed with the manager. The rest is as for `GatewayClient`, for all users.

    Nothing is opened and no thread is started before the first `connection_for`. Raises UsageError for arguments that
    cannot work. A forked child starts with nobody connected.
    """

    @without_frames
    def __init__(
        self,
        credentials: Callable[[Any], Credentials],
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
        self._thread: LoopThread | None = None
        self._core: ManagerCore[GatewayClient] = ManagerCore(
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
            gate=threads.latch,
            make=self._make,
            adapt=lambda client, sessions: client._soon(client._port.allow, sessions),
            close=lambda client: client._port.disconnect(),
            close_if_idle=lambda client, seconds: client._port.disconnect_if_idle(seconds),
            knows=lambda client, run_id: client._port.is_known_run(run_id),
            soon=self._soon,
        )
        self._core.journal = shared_journal(journal, alone=False)
        _managers.add(self)

    def connection_for(self, user: Hashable) -> GatewayClient:
        """The user's client, connected; callers at once share one connect, and nobody waits for another user's.

        The client is the manager's: neither `with` it nor disconnect it. Ask again instead of keeping it for long:
        after an idle close it raises NotConnected, see `hold`. Raises what credentials() raises and what `connect()`
        of a client raises; ManagerError when the manager is full of connections in use, draining or closed; UsageError.
        Credentials that the gateway refused are not tried again for five minutes: the same error comes at once, until
        they change or `disconnect(user)` is called. Ctrl-C leaves the connect to those who wait for it, too.
        """
        return self._obtained(user, hold=False).client  # type: ignore[return-value]

    @contextmanager
    def hold(self, user: Hashable) -> Iterator[GatewayClient]:
        """`connection_for(user)` for the length of a `with` block, in which it is neither evicted nor idle.

        For a page that stays open, or a worker that listens. Raises what `connection_for` raises.
        """
        slot = self._obtained(user, hold=True)
        try:
            yield slot.client  # type: ignore[misc]
        finally:
            self._core.release(slot)

    def disconnect(self, user: Hashable) -> None:
        """Close the user's connection and forget refusals. Runs end with RunLost; a user who is unknown is fine."""
        clients = self._core.pop(user)
        if clients and self._thread is not None and not self._thread.closing:
            self._thread.call(lambda: self._core.disconnect(clients), "disconnect")

    def disconnect_all(self) -> None:
        """`disconnect` for every user. The manager can be used as before."""
        self._close(self._core.pop_all(close=False))

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

        Handlers run on worker threads, in order per user; one that blocks delays its own user, and what one raises is
        logged and counted. With a journal a message is done when all have returned, as for a client.
        """
        check_handler(handler, coroutines=False)
        self._core.message_handlers.append(handler)
        for client in self._core.clients():
            client._port.handlers.now_wanted()
        return handler

    def on_approval(self, handler: Callable[[Any, Approval], object]) -> Any:
        """Call handler(user, approval) for everything that an agent of any user asks to be allowed. Also a decorator.

        As `on_approval` of a client. Users without a device identity are asked with operator.admin only (2026.8.1 and
        later). Raises UsageError behind the first `connection_for`.
        """
        check_handler(handler, coroutines=False)
        self._core.answers.add("approvals", handler)
        return handler

    def on_question(self, handler: Callable[[Any, Question], object]) -> Any:
        """Call handler(user, question) for everything that an agent of any user asks; as `on_approval`."""
        check_handler(handler, coroutines=False)
        self._core.answers.add("questions", handler)
        return handler

    def on_fatal_close(self, handler: Callable[[Any, GatewayError], object]) -> Any:
        """Call handler(client, error) when a user's connection was given up for good; `client.user` is the user.

        The next `connection_for` of the user connects anew. Also a decorator.
        """
        check_handler(handler, coroutines=False)
        self._core.fatal_handlers.append(handler)
        return handler

    def close_idle(self) -> int:
        """Close now what is idle for longer than idle_timeout, as happens by itself; how many were closed."""
        return self._thread.call(self._core.sweep, "close_idle") if self._thread is not None else 0

    def drain(self, timeout: float | None = None) -> bool:
        """Refuse new callers, and close each connection when its runs are over; whether all were closed in time.

        timeout: seconds, None for as long as it takes. Follow it with `close()`.
        """
        self._core.refuse()
        if self._thread is None:
            return True
        return self._thread.call(lambda: self._core.drain(timeout), "drain")

    def close(self) -> None:
        """Close every connection, for good. Runs in flight end with RunLost. May be called twice."""
        self._close(self._core.pop_all(close=True))
        if self._core.journal is not None and self._thread is not None and not self._thread.closing:
            self._thread.call(self._core.journal.close, "close")

    def pending(self, user: str | None = None) -> tuple[PendingRun, ...]:
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
        journal = self._core.written_down()
        if self._thread is None:
            self._thread = loop_thread()
        return self._thread.call(lambda: journal.pending(user), "pending")

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc: object) -> None:
        self.close()

    def __repr__(self) -> str:
        return f"ConnectionManager({len(self._core.table.slots)} users, {self._core.table.phase})"

    def _close(self, clients: list[GatewayClient]) -> None:
        if self._thread is not None and not self._thread.closing:
            self._thread.call(lambda: self._core.close(clients), "close")

    def _soon(self, call: Callable[[GatewayClient], None], client: GatewayClient) -> None:
        if self._thread is not None and not self._thread.closing:
            self._thread.soon("connection_for", call, client)

    def _obtained(self, user: Hashable, *, hold: bool) -> Slot[GatewayClient]:
        """Carry out the effects in this thread."""
        effects: Effects[GatewayClient] = self._core.obtain(user, hold=hold)
        try:
            effect = next(effects)
            while True:
                try:
                    answer = self._perform(effect)
                except BaseException as error:  # noqa: BLE001 - the effects decide
                    effect = effects.throw(error)
                else:
                    effect = effects.send(answer)
        except StopIteration as end:
            slot: Slot[GatewayClient] = end.value
            return slot
        finally:
            # What interrupts this thread may come between two effects.
            effects.close()

    def _perform(self, effect: Effect[GatewayClient]) -> object:
        if isinstance(effect, AskFor):
            return self._credentials(effect.user)
        if self._thread is None:
            self._thread = loop_thread()
        # Waiting on the loop's thread for what that thread has to do would never end.
        check_caller("connection_for")
        if isinstance(effect, Connect):
            effect.client.connect()
            self._thread.soon("connection_for", self._core.arm)
            return None
        if isinstance(effect, CloseIdle):
            return effect.client.close_if_idle()
        if isinstance(effect, LetGo):
            self._thread.call(lambda: self._core.let_go(effect.client), "connection_for")
            return None
        return effect.gate.wait()

    def _make(self, given: Credentials, user: Hashable) -> GatewayClient:
        client = GatewayClient._from_settings(self._core.settings(given), given.filter(), user, self._core.journal)
        client._port.handlers.listening = lambda: bool(self._core.message_handlers)
        client.on_proactive_message(lambda _user, message: self._on_message(client, message))
        client.on_fatal_close(self._on_fatal)
        self._core.answers.attach(client._port, user)
        return client

    def _on_message(self, client: GatewayClient, message: Any) -> None:
        """On a worker thread."""
        if self._core.tells(client, message.run_id):
            whole = self._call(self._core.message_handlers, client.user, message)
            if not whole and self._core.journal is not None:
                raise HandlersFailed

    def _on_fatal(self, client: GatewayClient, error: GatewayError) -> None:
        """On a worker thread."""
        self._core.died(client, error)
        # So that nobody can bring it back beside the one that follows.
        client.disconnect()
        self._call(self._core.fatal_handlers, client, error)

    def _call(self, handlers: list[Callable[..., object]], *args: Any) -> bool:
        """Whether all of them returned."""
        whole = True
        for handler in tuple(handlers):
            try:
                handler(*args)
            except Exception:
                self._core.count("handler_errors")
                logger.exception("the handler %s raised", handler_name(handler))
                whole = False
        return whole

    def _after_fork(self) -> None:
        self._thread = None
        self._core.after_fork()


def _after_fork_in_child() -> None:
    for manager in tuple(_managers):
        manager._after_fork()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_after_fork_in_child)
