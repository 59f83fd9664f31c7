"""What both faces drive: one supervisor, one router, and the runs between them. On one event loop's thread."""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import replace
from functools import cached_property
from math import inf
from time import monotonic
from typing import Any

from openclaw_client import telemetry
from openclaw_client.client.callbacks import Callbacks
from openclaw_client.client.catchup import CatchUp
from openclaw_client.client.chat import ChatRequest
from openclaw_client.client.driver import RunDriver
from openclaw_client.client.events import EventStream
from openclaw_client.client.requests import Requests
from openclaw_client.client.router import EventHandler, Router, SessionFilter, Sessions
from openclaw_client.client.sink import RunSink
from openclaw_client.client.slow import SlowConsumer, loop_watch
from openclaw_client.client.turns import SessionTurns
from openclaw_client.client.watch import SessionWatch
from openclaw_client.client.watched import WatchedDriver
from openclaw_client.connection.connection import Connection, Gap
from openclaw_client.connection.settings import Settings
from openclaw_client.connection.supervisor import ConnectionState, StateChange, Supervisor
from openclaw_client.errors import (
    ClientClosed,
    ConnectionLost,
    GatewayError,
)
from openclaw_client.policy.timeouts import Timeouts, check_time_limit
from openclaw_client.runs.proactive import ProactiveMessage
from openclaw_client.wire.frames import ChatFrame, Event
from openclaw_client.wire.handshake import Hello

logger = logging.getLogger("openclaw_client.client")

MakeCallbacks = Callable[[Callable[[SlowConsumer], None]], Callbacks]


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
        self.on_frame: Callable[[ChatFrame | Event, float], None] = self.router.on_frame
        self.shortcuts = self.router.shortcuts
        self.supervisor = Supervisor(settings, self)
        self.requests = Requests(settings, self.supervisor, sessions, self.watch)
        self.turns = SessionTurns()
        self.message_handlers: list[Callable[[Any, ProactiveMessage], object]] = []
        self.fatal_handlers: list[Callable[[Any, GatewayError], object]] = []
        self.state_handlers: list[Callable[[StateChange], object]] = []
        self.slow_handlers: list[Callable[[SlowConsumer], object]] = []
        self.hello: Hello | None = None
        self.closings = 0
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
        return monotonic() - max(self._last_use, self.router.used_at, self.requests.used_at)

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

    # Runs and streams.

    def run_timeouts(self, total: float | None) -> Timeouts:
        """The time limits of one run: the client's, with the caller's own limit for the whole."""
        if total is None:
            return self.settings.timeouts
        check_time_limit(total)
        return replace(self.settings.timeouts, total=total)

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
        self.hello = connection.hello
        self.requests.on_ready(connection)
        if self.hello is not None:
            self.router.sessions.learn(self.hello)
        self.watch.begin(connection)
        self.catch_up.on_ready(connection)

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

    def _runs_are_gone(self, error: GatewayError) -> None:
        for run in self.router.runs():
            run.on_gone(error)


def _nothing(*_args: object) -> None:
    """What a slow report of a slow report is worth."""
