"""Keeps one client connected: one task, one connection at a time, and the only place where the state changes."""

from __future__ import annotations

import asyncio
import logging
import random
from collections.abc import Callable, Coroutine
from dataclasses import dataclass
from enum import Enum
from functools import partial
from typing import Any, Final, Protocol

from openclaw_client.connection.approval import ApprovalWait
from openclaw_client.connection.connection import Connection, ErrorContext, FrameSink
from openclaw_client.connection.dialer import Dialer, DialFailed
from openclaw_client.connection.settings import Settings
from openclaw_client.connection.watched import attempt, watch_end
from openclaw_client.errors import ClientClosed, ConnectionLost, GatewayError, NotConnected, PairingRequired
from openclaw_client.errors.frames import forget_frames
from openclaw_client.logs import GuardedLogger
from openclaw_client.policy.advice import advice_for_close
from openclaw_client.policy.verdict import LONGEST, PARK, RETRY, Action, Verdict, judge_close
from openclaw_client.protocol.events import Cause, ConnectionEnd

logger = GuardedLogger("openclaw_client.connection")

CLOSE_WAIT = 2.0
"""Seconds that disconnect() waits for the socket to end; the connection itself gives up after one."""


class ConnectionState(Enum):
    """What a client's `state` is. CONNECTED means hello-ok with usable scopes, nothing less."""

    DISCONNECTED = "disconnected"
    CONNECTING = "connecting"
    CONNECTED = "connected"
    RECONNECTING = "reconnecting"
    PAUSED = "paused"


_CONNECTED: Final = ConnectionState.CONNECTED
"""Looked at with every request: on Python 3.11 a look-up of a member in its class costs more than a call."""


@dataclass(frozen=True, slots=True)
class StateChange:
    """cause: why, None for a change that the caller asked for."""

    old: ConnectionState
    new: ConnectionState
    cause: GatewayError | None = None


class Watcher(FrameSink, Protocol):
    """Who hears about the connection. On the loop's thread; must not block and must not raise."""

    def on_state(self, change: StateChange) -> None: ...

    def on_connected(self, connection: Connection) -> None: ...

    def on_usable(self) -> None:
        """Called after `on_connected`, once `state` is CONNECTED: requests may be sent."""

    def on_lost(self, error: ConnectionLost, *, returning: bool) -> None:
        """The connection is gone. returning: whether it is tried again."""

    def on_parked(self, error: GatewayError) -> None: ...


class Supervisor:
    """`connect` and `disconnect` may be called again and again; all calls on the loop's thread."""

    def __init__(
        self,
        settings: Settings,
        watcher: Watcher,
        *,
        dialer: Dialer | None = None,
        rand: Callable[[], float] = random.random,
    ) -> None:
        self.state = ConnectionState.DISCONNECTED
        self.connection: Connection | None = None
        self.attempts = 0
        self._settings = settings
        self._watcher = watcher
        self._dialer = dialer or Dialer(settings)
        self._rand = rand
        self._task: asyncio.Task[None] | None = None
        # A dict, as an empty set takes three times its room, in each of many connections at rest.
        self._waiters: dict[asyncio.Future[Connection], None] = {}
        self._parked: GatewayError | None = None
        self._nap: asyncio.Future[None] | None = None
        self._approval = ApprovalWait()
        self._last_error: GatewayError | None = None

    @property
    def moments(self) -> dict[str, float]:
        """What the latest attempt reached and when, by the loop's clock; see `Connection.moments`."""
        return self._dialer.moments

    @property
    def device_id(self) -> str | None:
        """The device's; None before the first attempt, and without one."""
        return self._dialer.device_id

    @property
    def usable(self) -> Connection | None:
        """The connection where it is ready now."""
        return self.connection if self.state is _CONNECTED else None

    @property
    def awaited(self) -> bool:
        """Whether somebody waits for the connection."""
        return bool(self._waiters)

    async def connect(self) -> Connection:
        """A ready connection; callers at the same time share one handshake.

        Raises what the attempt failed with. When cancelled the attempt goes on for the others, and ends when the last
        caller has left.
        """
        if (connection := self.usable) is not None:
            return connection
        if self._task is None:
            # Whoever waits for an approval stays paused until it is there: nothing has changed before.
            self._begin(ConnectionState.PAUSED if self._approval_pending else ConnectionState.CONNECTING)
        try:
            # The first attempt ends by itself within the time limit, and knows better than a timer here why it failed.
            first = self.state is not ConnectionState.RECONNECTING
            return await self._wait(None if first else self._settings.timeouts.connect)
        except asyncio.CancelledError:
            if not self._waiters and self.state in (ConnectionState.CONNECTING, ConnectionState.PAUSED):
                task = self._cancel()
                if self.state is ConnectionState.CONNECTING:
                    self._set_state(ConnectionState.DISCONNECTED)
                await _over(task)
            raise

    async def ready(self, timeout: float | None) -> Connection:
        """The connection, waited for while it is being made or made again; timeout in seconds.

        Raises NotConnected before connect() and after disconnect(), the parking error while paused, and
        ConnectionLost with sent=False where the connection is not back in time.
        """
        if (connection := self.usable) is not None:
            return connection
        if self._parked is not None:
            raise self._parked.again()
        if self._task is None:
            raise NotConnected(
                message="the client is not connected; nothing was sent",
                remedy="Call connect() first, or use the client as a context manager",
            )
        return await self._wait(timeout)

    def disconnect(self) -> Coroutine[Any, Any, None]:
        """Close for good; every waiter ends with ClientClosed. Safe to call at any time, also twice.

        All of it is done when this returns, so that whoever is cancelled leaves the truth behind. What it returns waits
        for the socket to end, and drops the socket when it is cancelled.
        """
        connection, self.connection = self.connection, None
        task = self._cancel()
        if connection is not None:
            connection.close()
        self._parked = self._approval.suppressed_error = None
        self._approval.wake()
        self._fail_waiters(ClientClosed(message="disconnect() was called"))
        self._set_state(ConnectionState.DISCONNECTED)
        return _closed(task, connection)

    def reconfigure(self, settings: Settings) -> bool:
        """Take other settings, which differ in what is announced; False where a connection is there or being made."""
        if self.state is not ConnectionState.DISCONNECTED or self._task is not None:
            return False
        self._settings = settings
        self._dialer.reconfigure(settings)
        return True

    def retry_now(self) -> None:
        """Try at once instead of waiting; also when parked. Does nothing while connected or not asked to connect."""
        self._dialer.ask_again()
        if self._approval.wake():
            return
        if self._nap is not None and not self._nap.done():
            self._nap.set_result(None)
        elif self.state is ConnectionState.PAUSED and self._task is None:
            self._begin(ConnectionState.RECONNECTING)

    def await_approval(self) -> Callable[[], None]:
        """From now on being unapproved is no end, until the function that this returns is called.

        Until then `connect` is to be called again and again, with `pause` in between.
        """
        self._dialer.ask_again()
        self._approval.waiters += 1

        def end() -> None:
            self._approval.waiters -= 1
            error = self._approval.suppressed_error
            if not self._approval.waiters and error is not None and self._parked is error:
                self._approval.suppressed_error = None
                self._watcher.on_parked(error)

        return end

    async def pause(self, seconds: float) -> None:
        """Wait; `retry_now`, `disconnect` and a connection that is ready end it."""
        await self._approval.pause(seconds)

    def after_fork(self) -> None:
        """Forget sockets and tasks without touching them: they belong to the parent of this forked process."""
        if self.connection is not None:
            self.connection.after_fork()
        self.connection, self._task, self._waiters = None, None, {}
        self._parked, self._nap, self._approval = None, None, ApprovalWait()
        self.state = ConnectionState.DISCONNECTED

    @property
    def _approval_pending(self) -> bool:
        """Whether somebody waits for the approval that is missing."""
        return self._approval.waiters > 0 and isinstance(self._parked, PairingRequired)

    def _begin(self, state: ConnectionState) -> None:
        if state is not ConnectionState.PAUSED:
            self._parked = None
        self._set_state(state)
        self._task = asyncio.get_running_loop().create_task(self._run(), name="openclaw-supervisor")

    async def _rest(self, seconds: float) -> None:
        """Wait, unless `retry_now` ends it."""
        self._nap = asyncio.get_running_loop().create_future()
        try:
            await asyncio.wait((self._nap,), timeout=seconds)
        finally:
            self._nap = None

    async def _wait(self, timeout: float | None) -> Connection:
        waiter: asyncio.Future[Connection] = asyncio.get_running_loop().create_future()
        self._waiters[waiter] = None
        try:
            async with asyncio.timeout(timeout):
                return await waiter
        except TimeoutError:
            raise self._not_back(timeout) from self._last_error
        finally:
            self._waiters.pop(waiter, None)

    def _not_back(self, timeout: float | None) -> GatewayError:
        return ConnectionLost(
            message=f"the connection to the gateway was not back within {timeout:g} s",
            remedy="It is still being tried; call again, or look at the cause",
            sent=False,
            attempt=self.attempts,
        )

    async def _run(self) -> None:
        """Connect, wait for the end, and again, until parked or told to stop."""
        try:
            while True:
                connection = await self._establish()
                if connection is None:
                    return
                began = asyncio.get_running_loop().time()
                self._become_ready(connection)
                await self._outlive(connection)
                lasted = asyncio.get_running_loop().time() - began
                if lasted >= self._settings.reconnect.stable_after:
                    self.attempts = 0
                if self.state is not ConnectionState.RECONNECTING:
                    return
                await self._rest(self._first_delay(connection))
        except asyncio.CancelledError:
            raise
        except Exception as error:
            logger.exception("the supervisor failed")
            self._task = None
            connection, self.connection = self.connection, None
            if connection is not None:
                connection.abort()
            # Its words may quote anything.
            what = f"the client failed: {type(error).__name__}"
            failure = ConnectionLost(message=what, remedy="Report this as a bug, with what the log has of it")
            # Runs that wait for the connection must not wait for ever.
            self._watcher.on_lost(failure, returning=False)
            self._give_up(failure)

    async def _outlive(self, connection: Connection) -> None:
        """Wait until a connection's socket is gone; when cancelled, do not leave a dying one behind."""
        try:
            await connection.over()
        except asyncio.CancelledError:
            # One that disconnect() closes is waited for there.
            if connection.end is not None and connection.end.cause is not Cause.ASKED:
                connection.abort()
            raise

    async def _establish(self) -> Connection | None:
        """The next connection; None when parked or when the first attempt failed."""
        first = self.state is not ConnectionState.RECONNECTING
        loop = asyncio.get_running_loop()
        deadline = loop.time() + self._settings.timeouts.connect
        while True:
            self.attempts += 1
            limit = deadline if first else loop.time() + self._settings.timeouts.connect
            with attempt(reconnect=not first) as seen:
                outcome = await self._attempt(limit)
                if isinstance(outcome, Connection):
                    seen.outcome = "ok"
                    return outcome
                error, verdict = outcome
                seen.outcome = type(error).__name__
            self._last_error = error
            new = self.attempts == 1 and self.state is not ConnectionState.PAUSED
            logger.log(logging.WARNING if new else logging.DEBUG, "connect %d failed: %s", self.attempts, error)
            delay = self._delay_after(verdict, first, deadline)
            if delay is None:
                self._task = None
                self._give_up(error, park=verdict.action is Action.PARK)
                return None
            await self._rest(delay)

    async def _attempt(self, limit: float) -> Connection | tuple[GatewayError, Verdict]:
        """One attempt until this time of the loop: a connection, or why there is none and what to do."""
        try:
            async with asyncio.timeout_at(limit):
                return await self._dialer.dial(self._watcher, self.attempts)
        except DialFailed as failed:
            forget_frames(failed.error)
            return failed.error, failed.verdict
        except TimeoutError:
            return self._dialer.out_of_time(self.attempts), RETRY
        except GatewayError as failure:
            # Crash reporters show the variables of frames, and below are those that sign and send the credentials.
            forget_frames(failure)
            return failure, PARK

    def _delay_after(self, verdict: Verdict, first: bool, deadline: float) -> float | None:
        """Seconds until the next attempt, None for none."""
        if verdict.action is Action.PARK:
            return None
        if verdict.action is Action.WAIT and verdict.delay is not None:
            # A gateway that is starting says so; within the caller's time limit that is no failure.
            if first:
                return verdict.delay if asyncio.get_running_loop().time() + verdict.delay < deadline else None
            # Never before the time that was named, and not with everybody else who was told the same.
            return verdict.delay + self._rand()
        if first or not self._settings.reconnect.enabled:
            return None
        return self._settings.reconnect.delay(self.attempts + 1, self._rand)

    def _become_ready(self, connection: Connection) -> None:
        self.connection = connection
        connection.on_end = partial(self._on_end, connection)
        watch_end(connection.ended)
        self._last_error = self._parked = self._approval.suppressed_error = None
        self._approval.wake()
        self._watcher.on_connected(connection)
        self._set_state(ConnectionState.CONNECTED)
        self._watcher.on_usable()
        for waiter in self._waiters:
            if not waiter.done():
                waiter.set_result(connection)

    def _on_end(self, connection: Connection, end: ConnectionEnd) -> None:
        """The connection can no longer be used: say so before anybody tries."""
        if self.connection is not connection:
            return
        self.connection = None
        error = lost_error(end, connection.known)
        self._last_error = error
        logger.info("%s", error)
        verdict = judge_close(end.code, end.reason)
        if verdict.action is Action.PARK or not self._settings.reconnect.enabled:
            self._task = None
            self._watcher.on_lost(error, returning=False)
            self._give_up(error, park=verdict.action is Action.PARK)
            return
        self._set_state(ConnectionState.RECONNECTING, error)
        self._watcher.on_lost(error, returning=True)

    def _first_delay(self, connection: Connection) -> float:
        policy, notice = self._settings.reconnect, connection.shutdown
        jittered = policy.delay(self.attempts + 1, self._rand)
        if notice is not None and notice.restart_expected is not None:
            return min(notice.restart_expected, LONGEST) + jittered
        return jittered

    def _give_up(self, error: GatewayError, *, park: bool = False) -> None:
        self.attempts = 0
        self._fail_waiters(error)
        if self._approval.waiters and isinstance(error, PairingRequired):
            self._parked = self._approval.suppressed_error = error
            self._set_state(ConnectionState.PAUSED, error)
        elif park:
            self._parked, self._approval.suppressed_error = error, None
            self._set_state(ConnectionState.PAUSED, error)
            self._watcher.on_parked(error)
        elif not self._approval_pending:
            self._set_state(ConnectionState.DISCONNECTED, error)

    def _fail_waiters(self, error: GatewayError) -> None:
        for waiter in self._waiters:
            if not waiter.done():
                waiter.set_exception(error.again())
                # A waiter that was cancelled in this very turn must not be reported as never retrieved.
                waiter.exception()

    def _cancel(self) -> asyncio.Task[None] | None:
        """Stop what goes on; the task that is ending then, if there is one."""
        task, self._task = self._task, None
        if task is None or task is asyncio.current_task():
            return None
        task.cancel()
        return task

    def _set_state(self, new: ConnectionState, cause: GatewayError | None = None) -> None:
        old, self.state = self.state, new
        if old is not new:
            self._watcher.on_state(StateChange(old, new, cause))


async def _over(task: asyncio.Task[None] | None) -> None:
    """Wait for the end of a task, whatever it is; cancelling ends the waiting alone."""
    if task is not None:
        await asyncio.wait((task,))


async def _closed(task: asyncio.Task[None] | None, connection: Connection | None) -> None:
    """Wait until what was closed is gone."""
    try:
        await _over(task)
        if connection is not None:
            await asyncio.wait((connection.ended,), timeout=CLOSE_WAIT)
    except asyncio.CancelledError:
        if connection is not None:
            connection.abort()
        raise


def lost_error(end: ConnectionEnd, known: ErrorContext, *, sent: bool | None = None) -> ConnectionLost:
    """The error for a connection that had been ready."""
    if end.cause is Cause.ASKED:
        return ClientClosed(message="disconnect() was called", sent=sent)
    advice = advice_for_close(end.code)
    return ConnectionLost(
        remedy=advice.remedy if advice is not None else "",
        message=f"the connection was lost: {end.cause.value}",
        close_code=end.code,
        close_reason=end.reason or None,
        sent=sent,
        **known,
    )
