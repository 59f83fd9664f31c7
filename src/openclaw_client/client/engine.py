"""What both faces drive: one supervisor, one router, and requests with their errors. On one event loop's thread."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Mapping
from dataclasses import replace
from functools import cached_property
from math import inf
from time import monotonic
from typing import Any

from openclaw_client import telemetry
from openclaw_client.client.callbacks import Callbacks
from openclaw_client.client.catchup import CatchUp
from openclaw_client.client.chat import AbortResult, ChatRequest, abort_result, history_params
from openclaw_client.client.driver import RunDriver, RunSink
from openclaw_client.client.events import EventStream
from openclaw_client.client.router import EventHandler, Router, SessionFilter, Sessions
from openclaw_client.client.slow import SlowConsumer, loop_watch
from openclaw_client.client.turns import SessionTurns
from openclaw_client.client.watch import SessionWatch
from openclaw_client.client.watched import WatchedDriver
from openclaw_client.connection.connection import Cause, Connection, Expired, Gap, Known, Outcome, Responded
from openclaw_client.connection.settings import Settings
from openclaw_client.connection.supervisor import ConnectionState, StateChange, Supervisor, lost_error
from openclaw_client.errors import (
    ClientClosed,
    ConnectionLost,
    GatewayError,
    OutcomeUnknown,
    RequestFailed,
    RequestTimeout,
)
from openclaw_client.policy import diagnose
from openclaw_client.policy.scopes import MethodScopes
from openclaw_client.policy.timeouts import Timeouts
from openclaw_client.runs.proactive import ProactiveMessage
from openclaw_client.wire import codes
from openclaw_client.wire.frames import ChatFrame, Event, decode_payload
from openclaw_client.wire.handshake import Hello
from openclaw_client.wire.history import HistoryPage, history_page
from openclaw_client.wire.sessions import check_session_key

logger = logging.getLogger("openclaw_client.client")

Answer = Callable[[Any, GatewayError | None], None]
MakeCallbacks = Callable[[Callable[[SlowConsumer], None]], Callbacks]


_later: set[asyncio.Task[None]] = set()
"""Requests of other threads that wait for a connection; a loop itself keeps only a weak reference to a task."""


class Engine:
    """One client's machinery. callbacks makes the place where users' handlers run, away from the reader."""

    def __init__(
        self, settings: Settings, sessions: SessionFilter, *, owner: Any, user: Any, callbacks: MakeCallbacks
    ) -> None:
        self.settings = settings
        self.owner = owner
        self.user = user
        self._new_callbacks = callbacks
        self._callbacks = callbacks(self.on_slow)
        self.router = Router(
            sessions,
            on_message=lambda message: self.catch_up.deliver(message),
            on_event=self._callbacks.put_event,
        )
        self.watch = SessionWatch(sessions, settings)
        self.catch_up = CatchUp(self, self._on_message)
        # Past this object: one call less for every frame.
        self.on_frame: Callable[[ChatFrame | Event], None] = self.router.on_frame
        self.supervisor = Supervisor(settings, self)
        self.turns = SessionTurns()
        self.message_handlers: list[Callable[[Any, ProactiveMessage], object]] = []
        self.fatal_handlers: list[Callable[[Any, GatewayError], object]] = []
        self.state_handlers: list[Callable[[StateChange], object]] = []
        self.slow_handlers: list[Callable[[SlowConsumer], object]] = []
        self.hello: Hello | None = None
        self.granted: tuple[str, ...] | None = None
        self.closings = 0
        self._latest: Connection | None = None
        self._method_scopes = MethodScopes()
        self._unknown_methods: frozenset[str] = frozenset()
        self._last_use = -inf

    @cached_property
    def _reports(self) -> Callbacks:
        """Apart: whoever is slow holds up the other handlers of the client, and must not hold up the news of it."""
        return self._new_callbacks(_nothing)

    # Life.

    def touch(self) -> None:
        """The caller used the client, or something came for the caller."""
        self._last_use = monotonic()

    @property
    def idle_seconds(self) -> float:
        """Seconds since the last `touch`; inf before the first. From any thread."""
        return monotonic() - max(self._last_use, self.router.used_at)

    @property
    def busy(self) -> bool:
        """Whether a run or a request is under way, or waits for the connection. From any thread."""
        connection = self.supervisor.connection
        return self.router.running or self.supervisor.awaited or (connection is not None and connection.pending > 0)

    async def connect(self) -> None:
        await self.supervisor.connect()
        self.touch()

    async def disconnect_if_idle(self, seconds: float) -> bool:
        """Close, unless something is under way or the last use is younger than so many seconds; whether it closed.

        Looks and closes in one turn of the loop: a run that begins in this moment is spared, or finds the client closed
        before anything of it is sent.
        """
        if self.busy or self.idle_seconds < seconds:
            return False
        await self.disconnect()
        return True

    async def disconnect(self) -> None:
        """Close; runs and event streams end with ClientClosed."""
        self.closings += 1
        closed = ClientClosed(message="disconnect() was called")
        self.turns.fail(closed)
        await self.supervisor.disconnect()
        loop_watch().leave(self)
        self.catch_up.stop()
        self._runs_are_gone(closed)
        for stream in self.router.streams():
            stream.end(closed)

    async def pause(self, seconds: float) -> None:
        """Wait between two tries of a device that waits for its approval."""
        await self.supervisor.pause(seconds)

    def await_approval(self) -> Callable[[], None]:
        """See `Supervisor.await_approval`."""
        return self.supervisor.await_approval()

    async def ready(self, timeout: float | None) -> Connection:
        """A ready connection, waited for while it is being made again."""
        return await self.supervisor.ready(timeout)

    async def ready_in(self, session: str | None, timeout: float | None) -> Connection:
        """A ready connection, on which the events of a session come if a private client names one."""
        while True:
            connection = await self.ready(timeout)
            if session is None or not self.router.sessions.private:
                return connection
            self.router.sessions.use(session)
            if self.watch.covers(session):
                return connection
            await self.watch.ensure(session)

    def give(self, sessions: Sessions) -> None:
        """Hand out these sessions from now on, beside those in use."""
        self.router.sessions.give(sessions)
        self.watch.catch_up()

    def forsake(self) -> None:
        """In a forked child: end what waits, without touching the parent's loop and socket."""
        self.supervisor.forsake()
        forked = ConnectionLost(message="this process was forked from the one that holds the connection")
        for run in self.router.runs():
            run.forsake(forked)
        for stream in self.router.streams():
            stream.end(forked)

    def adopt_handlers(self, other: Engine) -> None:
        """Take over what users registered with another engine."""
        self.message_handlers.extend(other.message_handlers)
        self.fatal_handlers.extend(other.fatal_handlers)
        self.state_handlers.extend(other.state_handlers)
        self.slow_handlers.extend(other.slow_handlers)
        self.router.adopt_handlers(other.router)

    # Requests.

    async def request(
        self,
        method: str,
        params: Mapping[str, Any] | None,
        timeout: float | None,
        *,
        expect_final: bool = False,
    ) -> Any:
        """Send and wait for the payload. When cancelled, the answer is dropped; the gateway acts on it all the same."""
        connection = await self.ready_in(self._session_of(method, params), timeout)
        self.touch()
        waiter: asyncio.Future[Any] = asyncio.get_running_loop().create_future()

        def answer(payload: Any, error: GatewayError | None) -> None:
            if waiter.done():
                return
            if error is None:
                waiter.set_result(payload)
            else:
                waiter.set_exception(error)

        ident = connection.request(method, params, timeout, self.outcome(answer), final=expect_final)
        try:
            return await waiter
        finally:
            connection.forget(ident)

    def start_request(
        self,
        method: str,
        params: Mapping[str, Any] | None,
        timeout: float | None,
        answer: Answer,
        *,
        expect_final: bool = False,
    ) -> Callable[[], object]:
        """`request` without a coroutine, for callers in other threads: answer is called once. Returns what drops it."""
        connection = self.supervisor.connection
        if connection is None or self.state is not ConnectionState.CONNECTED:
            return self._request_later(method, params, timeout, answer, expect_final)
        session = self._session_of(method, params)
        if session is not None and not self.watch.covers(session):
            return self._request_later(method, params, timeout, answer, expect_final)
        self.touch()
        try:
            ident = connection.request(method, params, timeout, self.outcome(answer), final=expect_final)
        except GatewayError as error:
            answer(None, error)
            return _nothing
        return lambda: connection.forget(ident)

    def _request_later(
        self, method: str, params: Mapping[str, Any] | None, timeout: float | None, answer: Answer, expect_final: bool
    ) -> Callable[[], object]:
        async def wait() -> None:
            try:
                payload = await self.request(method, params, timeout, expect_final=expect_final)
            except GatewayError as error:
                answer(None, error)
            else:
                answer(payload, None)

        task = asyncio.get_running_loop().create_task(wait())
        _later.add(task)
        task.add_done_callback(_later.discard)
        return task.cancel

    async def call(
        self,
        method: str,
        params: Mapping[str, Any] | None,
        *,
        timeout: float | None,
        idempotency_key: str | None,
        expect_final: bool = False,
    ) -> Any:
        """`request` for users: the default time limit, the idempotency key, and the key in the errors."""
        limit, params = self.request_arguments(params, timeout, idempotency_key)
        try:
            return await self.request(method, params, limit, expect_final=expect_final)
        except (RequestTimeout, OutcomeUnknown) as error:
            error.idempotency_key = idempotency_key
            raise

    def request_arguments(
        self, params: Mapping[str, Any] | None, timeout: float | None, idempotency_key: str | None
    ) -> tuple[float | None, Mapping[str, Any] | None]:
        """The time limit that counts, and the parameters with the idempotency key."""
        limit = self.settings.timeouts.request if timeout is not None and timeout < 0 else timeout
        if idempotency_key is not None:
            params = {**(params or {}), "idempotencyKey": idempotency_key}
        return limit, params

    def outcome(self, answer: Answer) -> Callable[[Outcome], None]:
        """Turn what the connection tells about a request into a payload or an error for `answer`."""

        def done(outcome: Outcome) -> None:
            if isinstance(outcome, Responded) and outcome.error is None:
                answer(decode_payload(outcome.payload), None)
            else:
                answer(None, self._request_error(outcome))

        return done

    def supports(self, method: str) -> bool | None:
        if self.hello is not None and method in self.hello.features.methods:
            return True
        return False if method in self._unknown_methods else None

    def missing_scopes(self, method: str) -> tuple[str, ...]:
        """The scopes that a method is known to need and the latest connection does not have. From any thread."""
        return self._method_scopes.missing(method, self.granted)

    async def history(self, session_key: str, limit: int | None, **extra: Any) -> HistoryPage:
        params = history_params(session_key, limit, extra)
        return history_page(await self.request("chat.history", params, self.settings.timeouts.request))

    async def abort(self, session_key: str, run_id: str | None) -> AbortResult:
        """Stop a run, or all of a session; tries the canonical key where the gateway wants another spelling.

        2026.2.17 and 2026.4.15 want the key as it was in chat.send, 2026.6.1 the canonical one when there is no run id.
        """
        canonical = self.router.sessions.canonical(check_session_key(session_key))
        timeout = self.settings.timeouts.request
        params = {"sessionKey": session_key} if run_id is None else {"sessionKey": session_key, "runId": run_id}
        try:
            result = abort_result(await self.request("chat.abort", params, timeout))
        except RequestFailed as error:
            if canonical == session_key or "does not match" not in error.message:
                raise
            result = AbortResult(False)
        if result.aborted or canonical == session_key:
            return result
        return abort_result(await self.request("chat.abort", {**params, "sessionKey": canonical}, timeout))

    # Runs and streams.

    def run_timeouts(self, total: float | None) -> Timeouts:
        """The time limits of one run: the client's, with the caller's own limit for the whole."""
        return self.settings.timeouts if total is None else replace(self.settings.timeouts, total=total)

    def driver(self, request: ChatRequest, sink: RunSink, timeouts: Timeouts) -> RunDriver:
        kind = RunDriver if telemetry.current() is None else WatchedDriver
        return kind(self, request, sink, timeouts)

    def open_stream(self, names: tuple[str, ...]) -> EventStream:
        stream = EventStream(names, self.router.remove_stream, self.on_slow)
        self.router.add_stream(stream)
        return stream

    def add_handler(self, name: str, handler: EventHandler) -> Callable[[], None]:
        return self.router.add_handler(name, handler)

    def on_slow(self, report: SlowConsumer) -> None:
        """Something of the user's does not keep up; from any thread where handlers run on threads."""
        self._tell(lambda one: one.slow_consumer(report.kind))
        if report.kind != "loop":
            logger.warning("%s", report)
        for handler in tuple(self.slow_handlers):
            self._reports.put(handler, report)

    # The supervisor and the connection call these.

    def on_gap(self, gap: Gap) -> None:
        logger.debug("events %d to %d were not received", gap.expected, gap.received - 1)
        self._tell(lambda one: one.gap(certain=gap.certain))
        for run in self.router.runs():
            run.on_gap(certain=gap.certain)
        if gap.certain:
            self.catch_up.begin(in_doubt=True)

    def on_state(self, change: StateChange) -> None:
        logger.debug("%s -> %s", change.old.value, change.new.value)
        for handler in tuple(self.state_handlers):
            self._callbacks.put(handler, change)

    def on_ready(self, connection: Connection) -> None:
        loop_watch().join(self)
        self._latest, self.hello, self.granted = connection, connection.hello, connection.granted
        if self.hello is not None:
            self.router.sessions.learn(self.hello)
        self.watch.begin(connection)
        self.catch_up.on_ready(connection)
        # Perhaps of a newer release.
        self._unknown_methods = frozenset()

    def on_back(self) -> None:
        for run in self.router.runs():
            run.on_return()
        self.catch_up.begin()

    def on_lost(self, error: ConnectionLost, *, returning: bool) -> None:
        self.catch_up.on_lost()
        if not returning:
            loop_watch().leave(self)
            self._runs_are_gone(error)
            return
        for run in self.router.runs():
            run.on_lost(error)

    def on_parked(self, error: GatewayError) -> None:
        loop_watch().leave(self)
        self._runs_are_gone(error)
        for stream in self.router.streams():
            stream.end(error)
        for handler in tuple(self.fatal_handlers):
            self._callbacks.put(handler, self.owner, error)

    @property
    def known(self) -> Known:
        """What an error can tell about the latest connection, also when it has ended."""
        if self._latest is None:
            return {"connection_id": None, "gateway_version": None, "last_frame_age": None}
        return self._latest.known

    # Inside.

    @property
    def state(self) -> ConnectionState:
        return self.supervisor.state

    def _tell(self, what: Callable[[telemetry.Instrumentation], None]) -> None:
        observers = telemetry.current()
        if observers is not None:
            observers.tell(what)

    def _on_message(self, message: ProactiveMessage) -> None:
        self._tell(lambda one: one.proactive_message())
        for handler in tuple(self.message_handlers):
            self._callbacks.put(handler, self.user, message)

    def _session_of(self, method: str, params: Mapping[str, Any] | None) -> str | None:
        """The session that a request of a private client is about, which is one of its user's then."""
        if params is None or not self.router.sessions.private:
            return None
        session = params.get("sessionKey") or (params.get("key") if method.startswith("sessions.") else None)
        if not isinstance(session, str):
            return None
        if method.startswith("sessions.messages."):
            # The caller's own subscription; what it leaves behind is not known here.
            self.router.sessions.use(session)
            self.watch.forget(session)
            return None
        return session

    def _runs_are_gone(self, error: GatewayError) -> None:
        for run in self.router.runs():
            run.on_gone(error)

    def _request_error(self, outcome: Outcome) -> GatewayError:
        method, known = outcome.method, self.known
        if isinstance(outcome, Responded):
            assert outcome.error is not None
            self._method_scopes.learn(method, codes.required_scopes_of(outcome.error))
            if outcome.error.message == f"unknown method: {method}":
                self._unknown_methods |= {method}
            return diagnose.request_failure(
                method,
                outcome.error,
                decode_payload(outcome.payload),
                requested=self.settings.requested_scopes,
                granted=self.granted or (),
                connection_id=known["connection_id"],
                gateway_version=known["gateway_version"],
            )
        if isinstance(outcome, Expired):
            remedy = "Ask the gateway before trying again"
            return RequestTimeout(method=method, timeout=outcome.timeout, remedy=remedy, **known)
        end = outcome.end
        if end.cause is Cause.ASKED:
            return lost_error(end, known, sent=True)
        return OutcomeUnknown(
            message=f"the connection was lost before the answer came: {end.cause.value}",
            remedy="Ask the gateway before trying again",
            method=method,
            close_code=end.code,
            close_reason=end.reason or None,
            sent=True,
            **known,
        )


def _nothing(*_args: object) -> None:
    """What drops a request that was never sent, and what a slow report of a slow report is worth."""
