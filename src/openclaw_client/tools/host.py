"""One host put together: its connection, what it publishes, and the calls that come. On one event loop's thread."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Coroutine
from typing import Any, Final

from openclaw_client.client.callbacks import Callbacks
from openclaw_client.client.slow_consumer import SlowConsumer
from openclaw_client.connection.connection import Abandoned, Connection, Gap, Outcome, Responded
from openclaw_client.connection.fast_path import FastPath
from openclaw_client.connection.supervisor import ConnectionState, StateChange, Supervisor
from openclaw_client.errors import ClientClosed, ConnectionLost, GatewayError, NotConnected, PairingRequired
from openclaw_client.logs import GuardedLogger
from openclaw_client.tools.answers import Results, error_of
from openclaw_client.tools.calls import CallEnd, CallRunner, Calls
from openclaw_client.tools.changes import OVER, SETTLED, HostHandlers, HostStateChange, StateWaiters
from openclaw_client.tools.door import Door
from openclaw_client.tools.options import HostOptions
from openclaw_client.tools.publication import HostAction, HostState, Publication
from openclaw_client.tools.registry import Registry
from openclaw_client.wire.frames import ChatFrame, Event, decode_payload
from openclaw_client.wire.nodes import (
    INVOKE_CANCEL,
    INVOKE_REQUEST,
    PAIR_RESOLVED,
    UPDATE_TOOLS,
    cancelled_id,
    counted_tools,
    decision_from,
    invocation_from,
)

ANSWER_LIMIT: Final = 30.0
"""Seconds for the gateway's answer to a publication where `Timeouts.request` sets no limit: every wait has an end."""

logger = GuardedLogger("openclaw_client.tools")

MakeCallbacks = Callable[[Callable[[SlowConsumer], None]], Callbacks]


class HostCore:
    """owner: the host, handed to the handlers of a fatal close. callbacks makes the place where users' handlers run,
    runner runs their functions."""

    def __init__(
        self,
        options: HostOptions,
        registry: Registry,
        runner: CallRunner,
        *,
        owner: object,
        callbacks: MakeCallbacks,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.fast_path = FastPath()
        self.handlers = HostHandlers()
        self.state = HostState.DISCONNECTED
        self.waiting_for: str | None = None
        self.closings = 0
        self.options = options
        self.registry = registry
        self.publication = Publication()
        self.supervisor = Supervisor(options.settings, self)
        limit = options.settings.timeouts.request
        self._limit = ANSWER_LIMIT if limit is None else limit
        self._results = Results(lambda: self.supervisor.usable, self._limit)
        self.calls = Calls(
            runner, self._results.send, registry.find, name=options.name, most=options.max_concurrency, clock=clock
        )
        self.calls.on_end, self.calls.on_idle = self._on_call_end, self._on_idle
        self._owner = owner
        self._clock = clock
        self._callbacks = callbacks(_log_slow)
        self._door = Door(self.supervisor, self)
        self._renewed: Connection | None = None
        self._parting: asyncio.Task[None] | None = None
        self._timer: asyncio.TimerHandle | None = None
        self._waiters = StateWaiters()
        self._drains: dict[asyncio.Future[None], None] = {}
        self._starting = False
        self._closers = 0
        self._withdrawn = False

    # Life.

    async def connect(self) -> None:
        """Return when the tools are published, or when only a person can go on."""
        if self._closers:
            raise ClientClosed(message="close() is under way", remedy="Wait for its end, then connect again")
        if self.state in OVER:
            self._begin()
        limit = self.options.settings.timeouts.connect + self._limit
        try:
            await self._until(SETTLED, limit)
        except (TimeoutError, asyncio.CancelledError) as error:
            refusal = self.publication.error
            if self._starting and not self._waiters.any():
                await self._shut()
            if isinstance(error, TimeoutError):
                raise self._not_published(limit) from refusal
            raise

    async def wait_published(self, timeout: float | None) -> bool:
        """Return when the tools are published; False where that took longer than timeout seconds.

        Raises NotConnected before connect() and after close(), and what the host is paused for.
        """
        if self.state in OVER:
            raise self._why_over()
        try:
            await self._until(frozenset({HostState.PUBLISHED}), timeout)
        except TimeoutError:
            return False
        return True

    async def serve(self) -> None:
        """Connect, and return at close(). Raises what connect() raises, and what the host is paused for."""
        closings = self.closings
        try:
            await self.connect()
            if self.state not in OVER:
                await self._until(frozenset(), None)
            elif self.closings == closings:
                raise self._why_over()
        except ClientClosed:
            if self.closings == closings:
                raise

    async def close(self, drain: float) -> None:
        """Withdraw the tools, let running calls end within drain seconds, and disconnect. Safe at any time, also
        twice."""
        self.closings += 1
        self._closers += 1
        try:
            if self.calls.unanswered and drain > 0:
                self.calls.leave()
                self._withdrawn = True
                self.publication.changed()
                self._act()
                await self._drained(drain)
        except asyncio.CancelledError:
            connection = self.supervisor.connection
            # Nobody waits for the socket: it is dropped.
            self._shut().close()
            if connection is not None:
                connection.abort()
            raise
        finally:
            self._closers -= 1
        await self._shut()

    def changed(self) -> None:
        """The host has other tools."""
        self.publication.changed()
        self._act()

    def retry_now(self) -> None:
        """Try at once instead of waiting; also where the host is paused or was replaced."""
        if self.state in (HostState.PAUSED, HostState.REPLACED):
            if self.supervisor.state is ConnectionState.PAUSED:
                self.publication.begin()
                self.supervisor.retry_now()
                self._act()
            else:
                self._begin()
        elif self.state is HostState.WAITING_FOR_APPROVAL:
            # A gateway tells nobody that a request was rejected, and makes another one of the next connect (observed).
            self._renew()
        elif self.state is not HostState.DISCONNECTED:
            self.supervisor.retry_now()
            self.changed()

    def after_fork(self) -> None:
        """In a forked child: forget the parent's loop and socket without touching them."""
        self.supervisor.after_fork()
        self.state = HostState.DISCONNECTED

    # The supervisor and the connection call these.

    def on_frame(self, frame: ChatFrame | Event, _now: float) -> None:
        if type(frame) is not Event:
            return
        if frame.event == INVOKE_REQUEST:
            invocation = invocation_from(decode_payload(frame.payload))
            if invocation is None:
                logger.warning(
                    "the gateway asks for something that cannot be answered: its frame has no id, or no node"
                )
                return
            self.calls.take(invocation)
            if self.state is HostState.WAITING_FOR_APPROVAL:
                # So it is approved: what was published before counts from then on (observed).
                self.publication.changed()
            self._act()
        elif frame.event == INVOKE_CANCEL:
            ident = cancelled_id(decode_payload(frame.payload))
            if ident is not None:
                self.calls.cancel(ident)
        elif frame.event == PAIR_RESOLVED:
            decision = decision_from(decode_payload(frame.payload))
            logger.info("the gateway says of the approval of %s: %s", self.options.name, decision)
            self.changed()

    def on_gap(self, gap: Gap) -> None:
        if gap.certain:
            # What was not received may have been the approval.
            self.changed()

    def on_state(self, change: StateChange) -> None:
        if change.new is ConnectionState.DISCONNECTED and change.cause is not None:
            self.on_failed(change.cause)

    def on_connected(self, connection: Connection) -> None:
        self._results.begin(connection)

    def on_usable(self) -> None:
        if not self._closers:
            self.calls.admit()
            self._withdrawn = False
        self.publication.ready()
        self._act()

    def on_lost(self, error: ConnectionLost, *, returning: bool) -> None:  # noqa: ARG002 - of `Watcher`
        self.calls.lost()
        self.publication.lost()
        self._act(error)

    def on_parked(self, error: GatewayError) -> None:
        if isinstance(error, PairingRequired) and self.state not in OVER:
            self.publication.needs_device(error)
            self._door.go(error)
        else:
            self.publication.stopped(error)
            self._tell_fatal(error)
        self._act(error)

    # The way to the gateway.

    def _begin(self) -> None:
        self.publication.begin()
        self._starting = True
        self._door.go()
        self._act()

    def on_request(self, error: PairingRequired) -> None:
        self.publication.needs_device(error)
        self._act(error)

    def on_failed(self, error: GatewayError) -> None:
        """There is no connection, and none is being made."""
        if self.publication.state not in OVER:
            self.calls.lost()
            self.publication.off()
            self._act(error)

    def _renew(self) -> None:
        """Take another connection."""
        if (connection := self.supervisor.usable) is not None:
            self._renewed = connection
            connection.close()

    def _shut(self) -> Coroutine[Any, Any, None]:
        """Disconnect; what this returns waits for the socket to end."""
        gone = self.supervisor.disconnect()
        if self._renewed is not None and not self._renewed.ended.done():
            # It is none of the supervisor's any more, so that nobody would wait for its end.
            self._renewed.abort()
        self._renewed = None
        self._door.stop()
        self.calls.lost()
        self._starting = False
        self.publication.off()
        self._act(ClientClosed(message="close() was called"))
        return gone

    # What the machines want.

    def _on_call_end(self, end: CallEnd) -> None:
        for handler in tuple(self.handlers.call):
            self._callbacks.put_event(handler, end)

    def _act(self, cause: GatewayError | None = None) -> None:
        for action in self.publication.actions():
            if action is HostAction.PUBLISH:
                self._publish()
            elif action is HostAction.RECONNECT:
                logger.warning(
                    "another process took the place of %s at the gateway; it is taken back", self.options.name
                )
                self._renew()
            else:
                self._stop()
        self._tell(cause)
        self._arm()

    def _publish(self) -> None:
        connection = self.supervisor.usable
        if connection is None:
            return
        entries = [] if self._withdrawn else self.registry.entries(self.options.name)
        asked = tuple(entry["name"] for entry in entries)

        def done(outcome: Outcome) -> None:
            if self.supervisor.connection is not connection or isinstance(outcome, Abandoned):
                # The list is published on the next connection.
                return
            error = error_of(outcome, connection)
            if isinstance(outcome, Responded) and error is None:
                self._counted(counted_tools(decode_payload(outcome.payload)), asked)
            elif error is not None:
                log = logger.warning if self.publication.refused(error, self._clock()) else logger.debug
                log("the gateway did not take the list of tools of %s: %s", self.options.name, error)
            self._act(error)

        try:
            connection.request(UPDATE_TOOLS, {"tools": entries}, self._limit, done)
        except NotConnected:
            # It is gone, and that will be told.
            return
        except GatewayError as error:
            self.publication.refused(error, self._clock())
            # Not within the actions that are being done.
            asyncio.get_running_loop().call_soon(self._act, error)

    def _counted(self, counted: tuple[str, ...], asked: tuple[str, ...]) -> None:
        missing = self.publication.answered(counted, asked, self._clock())
        if missing:
            logger.warning("the gateway does not offer these tools of %s: %s", self.options.name, ", ".join(missing))

    def _stop(self) -> None:
        """Leave the gateway: it takes nothing from this host."""
        error = self.publication.error
        self._parting = asyncio.get_running_loop().create_task(self.supervisor.disconnect(), name="openclaw-parting")
        self.calls.lost()
        if error is not None:
            self._tell_fatal(error)

    def _tell_fatal(self, error: GatewayError) -> None:
        logger.error("%s serves no more: %s", self.options.name, error)
        for handler in tuple(self.handlers.fatal):
            self._callbacks.put(handler, self._owner, error)

    def _tell(self, cause: GatewayError | None) -> None:
        """Tell of the state and of what a person has to do, where either is another one."""
        old, new, publication = self.state, self.publication.state, self.publication
        waiting_for = publication.waiting_for
        if old is new and waiting_for == self.waiting_for:
            return
        # Read in other threads, as it was at one moment.
        self.waiting_for, self.state = waiting_for, new
        if new in SETTLED:
            self._starting = False
        wanted_by_us = new is HostState.PUBLISHED or isinstance(cause, ClientClosed)
        change = HostStateChange(old, new, None if wanted_by_us else cause, waiting_for)
        if waiting_for is not None:
            logger.warning("%s waits: %s", self.options.name, waiting_for)
        else:
            logger.info("%s: %s -> %s", self.options.name, old, new)
        for handler in tuple(self.handlers.state):
            self._callbacks.put(handler, change)
        self._waiters.tell(new, lambda: publication.error or cause or self._why_over())

    async def _until(self, wanted: frozenset[HostState], timeout: float | None) -> None:
        if self.state not in wanted:
            await self._waiters.wait(wanted, timeout)

    async def _drained(self, seconds: float) -> None:
        over: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._drains[over] = None
        try:
            if self.calls.unanswered:
                await asyncio.wait((over,), timeout=seconds)
        finally:
            del self._drains[over]

    def _on_idle(self) -> None:
        for over in self._drains:
            if not over.done():
                over.set_result(None)

    def _arm(self) -> None:
        due = min(self.publication.deadline(), self.calls.deadline())
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        if due < float("inf"):
            self._timer = asyncio.get_running_loop().call_later(max(due - self._clock(), 0.0), self._on_timer)

    def _on_timer(self) -> None:
        self._timer = None
        self.publication.handle_deadline(self._clock())
        self.calls.handle_deadline()
        self._act()

    def _why_over(self) -> GatewayError:
        if self.publication.error is not None:
            return self.publication.error.again()
        return NotConnected(
            message="the host is not connected", remedy="Call connect() first, or use the host as a context manager"
        )

    def _not_published(self, limit: float) -> GatewayError:
        return ConnectionLost(
            message=f"the gateway did not say within {limit:g} s which tools count",
            remedy="Look into the gateway's log; Timeouts(connect=…, request=…) sets the limit",
        )


def _log_slow(report: SlowConsumer) -> None:
    logger.warning("%s", report)
