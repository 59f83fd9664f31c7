"""What both faces drive: one supervisor, one router, and the runs between them. On one event loop's thread."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from dataclasses import replace
from functools import cached_property
from math import inf
from time import monotonic
from typing import Any

from openclaw_client import telemetry
from openclaw_client.chat.address import RunAddress
from openclaw_client.chat.arguments import AbortResult, ChatRequest
from openclaw_client.chat.consumer import RunConsumer
from openclaw_client.chat.context import RunContext
from openclaw_client.chat.details import LookUps
from openclaw_client.chat.driver import RunDriver
from openclaw_client.chat.methods import ChatMethods, habits
from openclaw_client.chat.missed_messages import MissedMessages
from openclaw_client.chat.record import RunRecord
from openclaw_client.chat.recorded import RecordedDriver
from openclaw_client.chat.traced import TracedDriver, TracedRecordedDriver
from openclaw_client.client.callbacks import Callbacks
from openclaw_client.client.events import EventSink
from openclaw_client.client.inbox import Inbox
from openclaw_client.client.journalling import Journalling
from openclaw_client.client.options import kinds_of, with_answers
from openclaw_client.client.port import EventHandler, Handlers
from openclaw_client.client.router import Router
from openclaw_client.client.shared_journal import SharedJournal, journal_user
from openclaw_client.client.slow_consumer import SlowConsumer, loop_lag_monitor
from openclaw_client.connection.connection import Connection, Gap
from openclaw_client.connection.settings import Settings
from openclaw_client.connection.supervisor import ConnectionState, StateChange, Supervisor
from openclaw_client.errors import ClientClosed, ConnectionLost, GatewayError, UsageError
from openclaw_client.files.calls import FileCalls
from openclaw_client.interactions.handling import HandlerRunner
from openclaw_client.interactions.interactions import Interactions
from openclaw_client.journal.protocol import KeptPlace, PendingRun
from openclaw_client.logs import GuardedLogger
from openclaw_client.policy.redact import Redactor
from openclaw_client.policy.timeouts import Timeouts, check_time_limit
from openclaw_client.requests.requests import Requests
from openclaw_client.runs.application import application_of
from openclaw_client.runs.events import ChatReply
from openclaw_client.runs.interactions import Kind
from openclaw_client.runs.peer import SentRun
from openclaw_client.runs.phases import Outcome
from openclaw_client.runs.proactive import ProactiveMessage
from openclaw_client.sessions.filter import SessionFilter, Sessions
from openclaw_client.sessions.gates import SessionGates
from openclaw_client.sessions.subscription import SessionSubscriptions
from openclaw_client.watching.watches import Watches
from openclaw_client.wire.frames import ChatFrame, Event
from openclaw_client.wire.handshake import Hello

logger = GuardedLogger("openclaw_client.client")

MakeCallbacks = Callable[[Callable[[SlowConsumer], None]], Callbacks]


class Engine:
    """One client's machinery; a `Port`. owner: the client, handed to the handlers of a fatal close. callbacks makes the
    place where users' handlers run, away from the reader; runner runs those that wait for people. journal: where runs
    and messages are written down."""

    def __init__(
        self,
        settings: Settings,
        sessions: SessionFilter,
        *,
        owner: object,
        user: object,
        callbacks: MakeCallbacks,
        runner: HandlerRunner,
        journal: SharedJournal | None = None,
    ) -> None:
        self.settings = settings
        self.application = application_of(settings.application)
        self.user = user
        self.handlers = Handlers()
        self.hello: Hello | None = None
        self.closings = 0
        self._owner = owner
        self._last_use = -inf
        self._new_callbacks = callbacks
        self._callbacks = callbacks(self.on_slow)
        self._subscriptions = SessionSubscriptions(sessions, settings)
        self.supervisor = Supervisor(settings, self)
        self.requests = Requests(settings, self.supervisor, sessions, self._subscriptions)
        limit = settings.timeouts.request
        self._methods = ChatMethods(self.requests, sessions, limit, self._on_aborted)
        self._gates = SessionGates(self._methods.is_busy, self._open_runs)
        self.router: Router = Router(
            sessions,
            self._gates,
            on_message=lambda message: self._missed.deliver(message),
            on_event=self._callbacks.put_event,
            hold=lambda session_key: self._missed.hold(session_key),
            interactions=lambda: self.interactions,
            watches=lambda: self.watches,
            application=self.application,
        )
        self.interactions: Interactions = Interactions(
            self.requests, sessions, self.router, runner, with_device=settings.store is not None, limit=limit
        )
        self.interactions.wanted = kinds_of(settings.answers)
        self.files = FileCalls(settings, self.requests, sessions)
        self.watches: Watches = Watches(self._methods, sessions, self._subscriptions)
        self.requests.on_new_session = self.interactions.session_added
        self._missed: MissedMessages = MissedMessages(
            self._methods,
            sessions,
            self.router,
            self._on_message,
            self._is_listened_to,
            self.application,
            on_place=None if journal is None else lambda place: self._place(place),
        )
        # Past this object: one call less for every frame.
        self.on_frame: Callable[[ChatFrame | Event, float], None] = self.router.on_frame
        self.fast_path = self.router.fast_path
        self.is_known_run = self.router.is_known_run
        # As they are: nothing stands between a face and its request.
        facts = self.requests.facts
        self.supports, self.missing_scopes = facts.supports, facts.missing_scopes
        self.arguments, self.call, self.start = self.requests.arguments, self.requests.call, self.requests.start
        self.history = self._methods.page
        self._look_ups = LookUps()
        self._context = RunContext(
            self._methods, self._look_ups, self._gates, self.router, self._redactor, self._on_sent, self._on_ended
        )
        self._journalling = None if journal is None else self._new_journalling(journal)

    @cached_property
    def _reports(self) -> Callbacks:
        """Apart: whoever is slow holds up the other handlers of the client, and must not hold up the news of it."""
        return self._new_callbacks(_no_op)

    def _new_journalling(self, journal: SharedJournal) -> Journalling:
        record = RunRecord(journal.journal, journal_user(self.user))
        self._context = replace(self._context, record=record)
        inbox = Inbox(
            journal,
            record.user,
            self.handlers,
            self._callbacks,
            self.user,
            told=lambda: self._tell(lambda one: one.proactive_message()),
            emptied=self._on_wanted,
        )
        self.handlers.on_wanted = lambda: inbox.call_soon(self._on_wanted)
        return Journalling(journal, record, inbox, self.follower, self._on_adopted_ended, self.settings.timeouts)

    # Life.

    @property
    def url(self) -> str:
        """The gateway's URL, with the values of telling query parameters left out."""
        return self.settings.url.redacted

    @property
    def state(self) -> ConnectionState:
        return self.supervisor.state

    def touch(self) -> None:
        """The caller used the client, or something came for the caller."""
        self._last_use = monotonic()

    @property
    def idle_seconds(self) -> float:
        """Seconds since the last `touch`; inf before the first. From any thread."""
        return monotonic() - max(self._last_use, self.router.used_at, self.requests.used_at)

    @property
    def busy(self) -> bool:
        """Whether a run or a request is under way, or waits for its turn, the connection, or a person. From any
        thread."""
        connection = self.supervisor.connection
        pending = connection is not None and connection.pending > 0
        waiting = self.supervisor.awaited or self._gates.waiting or self.interactions.awaited
        fetching = self.files.active > 0 or self._look_ups.active > 0
        writing = self._journalling is not None and self._journalling.inbox.busy
        return pending or self.router.running or waiting or fetching or writing

    async def connect(self) -> None:
        if self._journalling is not None:
            await self._journalling.open(self.router, self._missed)
        await self.supervisor.connect()
        await self._subscriptions.settled()
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

    def disconnect(self) -> Coroutine[Any, Any, None]:
        """Close; runs and event streams end with ClientClosed. What it returns waits for the socket to end."""
        self.closings += 1
        closed = ClientClosed(message="disconnect() was called")
        self._gates.fail(closed)
        gone = self.supervisor.disconnect()
        self._subscriptions.stop()
        loop_lag_monitor().leave(self)
        self._missed.stop()
        self._gates.stop()
        self._runs_are_gone(closed)
        self.interactions.stop(closed)
        self.watches.stop(closed)
        self.files.stop()
        for stream in self.router.streams():
            stream.end(closed)
        if self._journalling is None:
            return gone
        self._journalling.stop()
        return self._journalling.closed(gone)

    async def pause(self, seconds: float) -> None:
        """Wait between two tries of a device that waits for its approval."""
        await self.supervisor.pause(seconds)

    def await_approval(self) -> Callable[[], None]:
        """See `Supervisor.await_approval`."""
        return self.supervisor.await_approval()

    def retry_now(self) -> None:
        """See `Supervisor.retry_now`."""
        self.supervisor.retry_now()

    def allow(self, sessions: Sessions) -> None:
        """Hand out these sessions from now on, beside those in use."""
        self.router.sessions.allow(sessions)
        self._subscriptions.catch_up()
        if self.supervisor.usable is not None:
            self.interactions.catch_up()
            self.watches.allowed()

    def after_fork(self) -> None:
        """In a forked child: end what waits, without touching the parent's loop and socket."""
        self.supervisor.after_fork()
        self._look_ups.after_fork()
        forked = ConnectionLost(message="this process was forked from the one that holds the connection")
        for run in self.router.runs():
            run.after_fork(forked)
        self.interactions.end_streams(forked)
        self.watches.end_streams(forked)
        for stream in self.router.streams():
            stream.end(forked)

    def adopt_handlers(self, other: Engine) -> None:
        """Take over what users registered with another engine."""
        self.handlers.adopt(other.handlers)
        self.router.adopt_handlers(other.router)
        self.interactions.handlers.extend(other.interactions.handlers)

    def answers(self, kind: Kind) -> None:
        """Somebody answers one kind of what agents wait for. Raises UsageError where the gateway cannot be told so
        any more, or the scopes do not do."""
        if kind in self.interactions.wanted:
            return
        settings = with_answers(self.settings, {kind})
        if not self.supervisor.reconfigure(settings):
            raise UsageError(
                message=f"{kind} are answered from now on, but the gateway was not told so when this client connected",
                remedy=f'Register the handler before connect(), or make the client with answers=["{kind}"]',
            )
        self.settings = settings
        self.interactions.wanted = kinds_of(settings.answers)

    # Runs and streams.

    def run_timeouts(self, total: float | None) -> Timeouts:
        """The time limits of one run: the client's, with the caller's own limit for the whole."""
        if total is None:
            return self.settings.timeouts
        check_time_limit(total)
        return replace(self.settings.timeouts, total=total)

    def follower(self, what: ChatRequest | RunAddress, consumer: RunConsumer, limits: Timeouts) -> RunDriver:
        """A run, not begun."""
        kind: type[RunDriver]
        if self._journalling is not None:
            kind = RecordedDriver if telemetry.current() is None else TracedRecordedDriver
        else:
            kind = RunDriver if telemetry.current() is None else TracedDriver
        return kind(self._context, what, consumer, limits)

    def add_stream(self, stream: EventSink) -> None:
        self.router.add_stream(stream)

    def remove_stream(self, stream: EventSink) -> None:
        self.router.remove_stream(stream)

    def add_handler(self, name: str, handler: EventHandler) -> Callable[[], None]:
        return self.router.add_handler(name, handler)

    def on_slow(self, report: SlowConsumer) -> None:
        """Something of the user's does not keep up; from any thread where handlers run on threads."""
        self._tell(lambda one: one.slow_consumer(report.kind))
        if report.kind != "loop":
            logger.warning("%s", report)
        for handler in tuple(self.handlers.slow):
            self._reports.put(handler, report)

    # What is written down.

    async def pending(self) -> tuple[PendingRun, ...]:
        return await self._written_down().pending()

    async def forget(self, run_id: str) -> bool:
        return await self._written_down().forget(run_id)

    def recorded_run(self, run_id: str) -> SentRun | None:
        return self._journalling.known(run_id) if self._journalling is not None else None

    def _written_down(self) -> Journalling:
        if self._journalling is None:
            raise UsageError(message="this client has no journal", remedy="Make it with journal=, a path")
        return self._journalling

    # Requests.

    @property
    def granted_scopes(self) -> tuple[str, ...] | None:
        return self.requests.facts.granted

    async def abort(self, session_key: str, run_id: str | None) -> AbortResult:
        """Stop a run, and with it the one that answers its message in its place."""
        followed = self.router.followed_by(run_id) if run_id is not None else None
        result = await self._methods.abort(session_key, run_id)
        if followed is None:
            return result
        other = await self._methods.abort(session_key, followed)
        return AbortResult(result.aborted or other.aborted, result.run_ids + other.run_ids)

    # The supervisor and the connection call these.

    def on_gap(self, gap: Gap) -> None:
        logger.debug("events %d to %d were not received", gap.expected, gap.received - 1)
        self._tell(lambda one: one.gap(certain=gap.certain))
        for run in self.router.runs():
            run.on_gap(certain=gap.certain)
        if gap.certain:
            self._missed.begin(in_doubt=True)
            self.interactions.catch_up()
            self.watches.in_doubt()

    def on_state(self, change: StateChange) -> None:
        logger.debug("%s -> %s", change.old.value, change.new.value)
        for handler in tuple(self.handlers.state):
            self._callbacks.put(handler, change)

    def on_connected(self, connection: Connection) -> None:
        loop_lag_monitor().join(self)
        self.hello = connection.hello
        self.requests.facts.on_connected(connection)
        if self.hello is not None:
            self.router.sessions.learn(self.hello)
        self._gates.connected(habits(self.hello))
        self._subscriptions.begin(connection)
        self._missed.on_connected(connection)
        self.interactions.on_connected(connection)

    def on_usable(self) -> None:
        for run in self.router.runs():
            run.on_back()
        if self._journalling is not None:
            self._journalling.adopt(self.router)
        self._missed.begin()
        self.interactions.catch_up()
        if self.supervisor.usable is not None:
            self.watches.on_usable(self.supervisor.usable)

    def on_lost(self, error: ConnectionLost, *, returning: bool) -> None:
        self._subscriptions.stop()
        self._missed.on_lost()
        self.watches.on_lost()
        if not returning:
            self._given_up(error)
            return
        for run in self.router.runs():
            run.on_lost(error)

    def on_parked(self, error: GatewayError) -> None:
        self._given_up(error)
        for stream in self.router.streams():
            stream.end(error)
        for handler in tuple(self.handlers.fatal):
            self._callbacks.put(handler, self._owner, error)

    def _given_up(self, error: GatewayError) -> None:
        """There will be no other connection."""
        loop_lag_monitor().leave(self)
        self._gates.stop()
        self._runs_are_gone(error)
        self.interactions.stop(error)
        self.watches.stop(error)

    def _redactor(self) -> Redactor:
        return Redactor(self.settings.secrets)

    def _on_sent(self, sent: SentRun) -> None:
        self._missed.sent(sent.session_key, sent.message, sent.run_id)

    def _on_ended(self, run_ids: tuple[str, ...], sent: SentRun | None, outcome: Outcome) -> Outcome:
        if sent is not None and isinstance(outcome, ChatReply):
            self._missed.answered(sent.session_key, outcome.text, run_ids)
        return self.interactions.run_ended(run_ids, outcome)

    def _on_aborted(self, run_ids: tuple[str, ...]) -> None:
        for run in self.router.runs():
            run.on_aborted(run_ids)

    def _tell(self, what: Callable[[telemetry.Instrumentation], None]) -> None:
        observers = telemetry.current()
        if observers is not None:
            observers.tell(what)

    def _open_runs(self, session: str) -> list[str]:
        """The runs of a session that go on and that nobody here asked for now."""
        runs, journalling = self.router.open_runs(session), self._journalling
        return runs if journalling is None else runs + journalling.adopted_in(session, self._methods.canonical)

    def _on_adopted_ended(self, session_key: str, run_id: str) -> None:
        self._gates.other_ended(self._methods.canonical(session_key), run_id, asyncio.get_running_loop().time())

    def _place(self, place: KeptPlace) -> None:
        assert self._journalling is not None
        self._journalling.inbox.place(place)

    def _is_listened_to(self) -> bool:
        """Whether what is said now is handed out; else it is asked for later."""
        full = self._journalling is not None and self._journalling.inbox.is_full
        return self.handlers.wanted and not full

    def _on_wanted(self) -> None:
        """Somebody listens to messages from now on: what was said before waits in the journal and in the history."""
        assert self._journalling is not None
        self._journalling.inbox.wake()
        if self.supervisor.usable is not None:
            self._missed.listened_to()

    def _on_message(self, message: ProactiveMessage) -> None:
        if self._journalling is not None:
            self._journalling.inbox.add(message)
            return
        self._tell(lambda one: one.proactive_message())
        for handler in tuple(self.handlers.message):
            self._callbacks.put(handler, self.user, message)

    def _runs_are_gone(self, error: GatewayError) -> None:
        for run in self.router.runs():
            run.on_gone(error)
        self._look_ups.stop()


def _no_op(*_args: object) -> None:
    """Reports about the report queue itself are dropped."""
