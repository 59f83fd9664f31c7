"""What both managers share: the table under its lock, and the way from asking for a connection to having it.

What takes time is handed to the face as an effect, which it carries out in its own way and outside the lock. What runs
by itself (idle close, drain, the end) runs on the event loop of the clients.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Coroutine, Generator, Hashable, Iterable
from dataclasses import replace
from math import inf
from time import monotonic
from typing import Any, Generic

from openclaw_client.client.options import ConnectionState, Settings
from openclaw_client.client.shared_journal import SharedJournal
from openclaw_client.errors import GatewayError, ManagerError, UsageError
from openclaw_client.journal.protocol import Journal
from openclaw_client.logs import GuardedLogger
from openclaw_client.manager.answering import ManagerAnswers
from openclaw_client.manager.credentials import ClientOptions, Credentials, checked
from openclaw_client.manager.effects import AskFor, C, CloseIdle, Connect, Effect, Effects, LetGo, Managed, WaitAt
from openclaw_client.manager.messages import MessageFilter
from openclaw_client.manager.status import ManagerCounters, ManagerStatus, UserConnection
from openclaw_client.manager.table import (
    AskCredentials,
    ClientSnapshot,
    ConnectGate,
    Limits,
    MakeRoom,
    Slot,
    SlotState,
    Table,
    Use,
    WaitAtGate,
    gone,
)
from openclaw_client.sync import unpatched

logger = GuardedLogger("openclaw_client.manager")

MAX_CONNECTIONS = 10_000
"""Users at once by default. An idle connection costs some 28 KiB here and a descriptor; a process that needs more of
them has raised its descriptor limit, and can raise this one as well."""
IDLE_TIMEOUT = 1800.0
"""Seconds; half an hour without a message is a user who has left the page."""
SWEEP_SHARE = 0.02
"""Of the idle time-out: so much later than due a connection may be closed, and as many ends share one look."""
LINGER_LOOK = 1.0
"""Seconds between two looks whether a replaced connection's last run is over."""
DRAIN_LOOK = 0.05
"""Seconds between two looks of drain(); the end of a run is seen within it."""


class ManagerCore(Generic[C]):
    """make(credentials, user) gives a client that is not connected; adapt(client, sessions) shows it other sessions.

    close(client) and close_if_idle(client, seconds) are called on the loop. What close returns waits for the end.
    knows(client, run_id): see `MessageFilter`; from any thread. soon(call, client) runs call(client) on the loop, soon.
    """

    def __init__(
        self,
        limits: Limits,
        options: ClientOptions,
        *,
        gate: Callable[[], ConnectGate],
        make: Callable[[Credentials, Hashable], C],
        adapt: Callable[[C, Any], None],
        close: Callable[[C], Awaitable[object]],
        close_if_idle: Callable[[C, float], Awaitable[bool]],
        knows: Callable[[C, str], bool],
        soon: Callable[[Callable[[C], None], C], None],
    ) -> None:
        _check(limits)
        self.options = options
        self.answers = ManagerAnswers(options.answers)
        self.clock: Callable[[], float] = monotonic
        self.counters = ManagerCounters()
        self.message_handlers: list[Callable[..., object]] = []
        self.fatal_handlers: list[Callable[..., object]] = []
        self.table: Table[C] = Table(limits, observe, gate)
        self._lock = unpatched.lock()
        self._make, self._adapt = make, adapt
        self._close, self._close_if_idle = close, close_if_idle
        self._soon = soon
        self._messages = MessageFilter(knows)
        self.journal: SharedJournal | None = None
        self._lingering: set[C] = set()
        self._leaving: set[asyncio.Task[None]] = set()
        self._timer: asyncio.TimerHandle | None = None
        self._sweeping: asyncio.Task[None] | None = None

    def settings(self, given: Credentials) -> Settings:
        """The checked settings of one user's client; raises UsageError."""
        return self.options.settings(given, self.answers.kinds)

    def obtain(self, user: Hashable, *, hold: bool = False) -> Effects[C]:
        """The user's slot, open. hold: keep it from being closed until `release`."""
        settled: Slot[C] | None = None
        opened = False
        while True:
            with self._lock:
                try:
                    decision = self.table.acquire(user, self.clock(), settled, hold=hold)
                except ManagerError:
                    self._count("refused")
                    raise
                if isinstance(decision, Use):
                    self._count("reused", not opened)
                    return decision.slot
            if isinstance(decision, WaitAtGate):
                yield WaitAt(decision.gate)
                if decision.slot.failure is not None:
                    raise decision.slot.failure.again()
                settled = decision.slot
            elif isinstance(decision, AskCredentials):
                settled = yield from self._ask(decision.slot)
            elif isinstance(decision, MakeRoom):
                yield from self._make_room(decision.slot)
            else:
                settled, opened = (yield from self._open(decision.slot, None)), True

    def release(self, slot: Slot[C]) -> None:
        """The end of a hold."""
        with self._lock:
            self.table.release(slot, self.clock())

    def _ask(self, slot: Slot[C]) -> Effects[C]:
        given, before = checked((yield AskFor(slot.user))), slot.credentials
        with self._lock:
            opening = self.table.asked(slot, given, self.clock())
            if opening is not None:
                self._count("replaced")
        if opening is not None:
            return (yield from self._open(opening.slot, given))
        assert before is not None
        if slot.client is not None and before.sessions != given.sessions:
            self._adapt(slot.client, given.sessions)
        return slot

    def _open(self, slot: Slot[C], given: Credentials | None) -> Effects[C]:
        client: C | None = None
        try:
            if slot.stale is not None:
                yield from self._part_with(slot.stale)
            if given is None:
                given = checked((yield AskFor(slot.user)))
            with self._lock:
                self._forgive(slot.user, given)
                refusal = self.table.refusal(slot.user, given, self.clock())
                self._count("spared", refusal is not None)
                self.table.claim_device(slot, given)
            if refusal is not None:
                raise refusal.again()
            client = self._make(given, slot.user)
            yield Connect(client)
        except BaseException as error:
            with self._lock:
                self.table.failed(slot, error, given, self.clock())
                self._count("failed")
            if client is not None and observe(client).alive:
                # It had just become ready when its caller went away, and nobody knows of it.
                self._soon(self._drop, client)
            raise
        finally:
            slot.stale = None
        with self._lock:
            wanted = self.table.opened(slot, client, given, self.clock())
            self._count("opened", wanted)
        if not wanted:
            yield from self._part_with(client)
            raise gone()
        return slot

    def _part_with(self, client: C) -> Generator[Effect[C], Any, None]:
        # First noted, so that it is closed also where the caller goes away meanwhile.
        with self._lock:
            self._lingering.add(client)
        yield LetGo(client)

    def _make_room(self, slot: Slot[C]) -> Generator[Effect[C], Any, None]:
        assert slot.client is not None
        closed = False
        try:
            closed = yield CloseIdle(slot.client)
        finally:
            self._settle(slot, closed, "evicted")

    # From here on: on the event loop of the clients.

    def _drop(self, client: C) -> None:
        """Close a client that never had a caller. Nobody waits for the end of its socket."""
        leaving = asyncio.get_running_loop().create_task(self.disconnect([client]), name="openclaw-manager")
        self._leaving.add(leaving)
        leaving.add_done_callback(self._leaving.discard)

    def arm(self) -> None:
        """See to it that somebody looks when the next connection may be idle for too long."""
        if self._sweeping is not None or (self._timer is not None and not self._lingering):
            # Who comes later can be idle no sooner than those who are here.
            return
        loop, delay = asyncio.get_running_loop(), self._next_look()
        if self._timer is not None:
            if self._timer.when() <= loop.time() + delay:
                return
            self._timer.cancel()
            self._timer = None
        if delay != inf:
            self._timer = loop.call_later(delay, self._look)

    async def let_go(self, client: C) -> None:
        """Close a client that has no slot any more, now or when its run is over: that is not cut."""
        try:
            await self._close_lingering(client)
        finally:
            self.arm()

    async def sweep(self) -> int:
        """Close what is idle for too long now; how many were closed."""
        with self._lock:
            due = self.table.idle(self.clock())
            lingering = tuple(self._lingering)
        timeout = self.table.limits.idle_timeout or 0.0
        closings = [self._close_idle_slot(slot, timeout, "idle_closed") for slot in due]
        closed = await asyncio.gather(*closings, *(self._close_lingering(client) for client in lingering))
        return sum(closed[: len(due)])

    async def drain(self, timeout: float | None) -> bool:
        """Close each connection when nothing is under way on it; whether all are closed."""
        loop = asyncio.get_running_loop()
        deadline = inf if timeout is None else loop.time() + timeout
        while True:
            with self._lock:
                free = self.table.free()
                lingering = tuple(self._lingering)
            closings = [self._close_idle_slot(slot, 0.0, None) for slot in free]
            await asyncio.gather(*closings, *(self._close_lingering(client) for client in lingering))
            if not self.table.slots and not self._lingering:
                return True
            if loop.time() >= deadline:
                return False
            await asyncio.sleep(DRAIN_LOOK)

    def close(self, clients: Iterable[C]) -> Coroutine[Any, Any, None]:
        """Disconnect these, and stop looking where nobody is left."""
        if not self.table.slots and self._timer is not None:
            self._timer.cancel()
            self._timer = None
        return self.disconnect(clients)

    def disconnect(self, clients: Iterable[C]) -> Coroutine[Any, Any, None]:
        """Disconnect these. All are when this returns, whoever is cancelled then; what it returns waits for the end."""
        return _all([self._close(client) for client in clients])

    # From here on: from any thread.

    def refuse(self) -> None:
        """Take no caller any more; those who have a connection keep it."""
        with self._lock:
            if self.table.phase == "open":
                self.table.phase = "draining"

    def pop(self, user: Hashable) -> list[C]:
        """Forget a user; the clients to close."""
        with self._lock:
            clients = [client for client in self._lingering if client.user == user]
            self._lingering.difference_update(clients)
            self._forgive(user, None)
            current = self.table.remove(user)
            return clients if current is None else [current, *clients]

    def pop_all(self, *, close: bool) -> list[C]:
        """Forget everybody; the clients to close. close: for good."""
        with self._lock:
            clients = [*self.table.clear("closed" if close else None), *self._lingering]
            self._lingering.clear()
            return clients

    def died(self, client: C, error: GatewayError) -> None:
        """A client was given up for good."""
        with self._lock:
            self._count("fatal", self.table.died(client.user, client, error, self.clock()))

    def tells(self, client: C, run_id: str) -> bool:
        """Whether the message of a run that a client hands out is to be told: not where another client of the user has
        told it, or will, or where it is the reply to a call of the user there."""
        with self._lock:
            slot = self.table.slots.get(client.user)
            current = None if slot is None else slot.client
            if self.journal is not None:
                # It has told them apart, and what was handed out is written down.
                self._count("messages")
                return True
            clients = [*self._lingering] if current is None else [current, *self._lingering]
            others = [one for one in clients if one is not client and one.user == client.user]
            told = self._messages.passes(client, others, run_id, current=client is current)
            self._count("messages", told)
            return told

    def connected(self, user: Hashable) -> bool:
        with self._lock:
            slot = self.table.slots.get(user)
            return slot is not None and slot.client is not None and observe(slot.client).connected

    @property
    def connected_count(self) -> int:
        with self._lock:
            return sum(observe(client).connected for _, client in self.table.clients())

    def status(self) -> ManagerStatus:
        with self._lock:
            users = tuple(_user_connection(slot) for slot in self.table.slots.values())
            limits = self.table.limits
            return ManagerStatus(
                phase=self.table.phase,
                max_connections=limits.max_connections,
                idle_timeout=limits.idle_timeout,
                connected=sum(user.state == ConnectionState.CONNECTED.value for user in users),
                busy=sum(user.busy for user in users),
                users=users,
                counters=self.counters,
            )

    def clients(self) -> list[C]:
        """Those who have a slot."""
        with self._lock:
            return [client for _, client in self.table.clients()]

    def written_down(self) -> Journal:
        """The journal. Raises UsageError where there is none."""
        if self.journal is None:
            raise UsageError(message="this manager has no journal", remedy="Make it with journal=, a path")
        return self.journal.journal

    def count(self, name: str) -> None:
        with self._lock:
            self._count(name)

    def after_fork(self) -> None:
        """A forked child starts with nobody: the connections belong to the parent, as do those who wait for them."""
        self._lock = unpatched.lock()
        self._timer = self._sweeping = None
        self._lingering, self._leaving = set(), set()
        self._messages.forget()
        self.table.forget()
        self.journal = self.journal.after_fork() if self.journal is not None else None

    def _count(self, name: str, happened: bool = True) -> None:
        if happened:
            self.counters = replace(self.counters, **{name: getattr(self.counters, name) + 1})

    def _forgive(self, user: Hashable, given: Credentials | None) -> None:
        withdrawn = self.table.withdrawn(user, given)
        if withdrawn is not None:
            self.options.forgive(withdrawn)

    def _settle(self, slot: Slot[C], closed: bool, counter: str | None) -> None:
        with self._lock:
            if closed:
                self.table.closed(slot)
            else:
                self.table.kept(slot)
            if counter is not None:
                self._count(counter, closed)

    async def _close_idle_slot(self, slot: Slot[C], seconds: float, counter: str | None) -> bool:
        assert slot.client is not None
        closed = False
        try:
            closed = await self._close_if_idle(slot.client, seconds)
        finally:
            self._settle(slot, closed, counter)
        return closed

    async def _close_lingering(self, client: C) -> bool:
        if not await self._close_if_idle(client, 0.0):
            return False
        self._lingering.discard(client)
        return True

    def _next_look(self) -> float:
        with self._lock:
            delay = self.table.next_idle(self.clock())
        if delay != inf:
            delay = max(delay, (self.table.limits.idle_timeout or 0.0) * SWEEP_SHARE)
        return min(delay, LINGER_LOOK) if self._lingering else delay

    def _look(self) -> None:
        self._timer = None
        self._sweeping = asyncio.get_running_loop().create_task(self._sweep_and_arm(), name="openclaw-manager")

    async def _sweep_and_arm(self) -> None:
        try:
            await self.sweep()
        finally:
            self._sweeping = None
        self.arm()


async def _all(closings: list[Awaitable[object]]) -> None:
    """Wait for all of them; each goes on to its end where this is cancelled."""
    if closings:
        await asyncio.wait([asyncio.ensure_future(closing) for closing in closings])


def observe(client: Managed) -> ClientSnapshot:
    """What a client is doing."""
    state = client.state
    alive = state not in (ConnectionState.DISCONNECTED, ConnectionState.PAUSED)
    return ClientSnapshot(alive, state is ConnectionState.CONNECTED, client.busy, client.idle_seconds)


def _user_connection(slot: Slot[Any]) -> UserConnection:
    client = slot.client
    if client is None:
        return UserConnection(slot.user, slot.state.value, inf, True, slot.holds)
    seen = observe(client)
    state = client.state.value if slot.state is SlotState.OPEN else slot.state.value
    return UserConnection(slot.user, state, seen.idle, seen.busy, slot.holds)


def _check(limits: Limits) -> None:
    timeout, ttl = limits.idle_timeout, limits.ttl
    if limits.max_connections < 1 or (timeout is not None and timeout <= 0) or ttl < 0:
        raise UsageError(
            message="the limits of the manager make no sense",
            remedy="max_connections >= 1, idle_timeout > 0 or None, credentials_ttl >= 0; times in seconds",
        )
