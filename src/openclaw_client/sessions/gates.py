"""The gates of one client's sessions on its event loop: who waits, the timers, and the questions."""

from __future__ import annotations

import asyncio
from collections import OrderedDict
from collections.abc import Callable, Coroutine, Iterable
from functools import partial
from math import inf

from openclaw_client.errors import GatewayError
from openclaw_client.sessions.gate import Admit, AskActivity, Habits, SessionGate, Ticket

MAX_GATES = 1024
"""Sessions of which it is remembered when a run ended last. The one that was least lately used is forgotten first; more
are kept only while messages are under way in all of them."""

AskSession = Callable[[str], Coroutine[object, object, bool | None]]


class SessionGates:
    """By canonical session key. On the loop's thread.

    ask: whether a session is busy, None where the gateway does not tell; must not raise GatewayError. open_runs: the
    runs of a session that are somebody else's, heard and not over.
    """

    def __init__(self, ask: AskSession, open_runs: Callable[[str], Iterable[str]]) -> None:
        # Whether anybody wants to hear of every event of a session.
        self.attentive = 0
        self._ask = ask
        self._open_runs = open_runs
        self._gates: dict[str, SessionGate] = {}
        # Those in which nobody sends or waits, the least lately used first.
        self._unused: OrderedDict[str, None] = OrderedDict()
        self._waiting: dict[Ticket, asyncio.Future[None]] = {}
        self._timers: dict[str, asyncio.TimerHandle] = {}
        self._questions: set[asyncio.Task[None]] = set()
        # None while there is no connection, and none will come by itself.
        self._habits: Habits | None = None

    @property
    def waiting(self) -> bool:
        """Whether a message waits for its turn, or is just being told of it. From any thread."""
        return bool(self._waiting)

    def is_free(self, session: str) -> bool:
        """Whether nobody is known to be in the way of a message: nobody here waits or sends, and no run is heard."""
        gate = self._gates.get(session)
        return (gate is None or gate.unused) and not any(True for _ in self._open_runs(session))

    async def enter(self, session: str, ticket: Ticket) -> None:
        """Wait until the message of this ticket may go out. Cancelling gives the place up. Raises what `fail` got."""
        gate = self._gate(session)
        loop = asyncio.get_running_loop()
        waiter = self._waiting[ticket] = loop.create_future()
        self.attentive += 1
        now = loop.time()
        if self._habits is not None:
            gate.others_open(self._open_runs(session), now)
        gate.arrive(ticket, now)
        self._act(session, gate)
        try:
            await waiter
        except BaseException:
            self.leave(session, ticket)
            raise
        finally:
            self.attentive -= 1
            self._waiting.pop(ticket, None)

    def leave(self, session: str, ticket: Ticket) -> None:
        """The message is over, or its sender gave up: the next in line has its turn."""
        gate = self._gates.get(session)
        if gate is not None:
            gate.leave(ticket, asyncio.get_running_loop().time())
            self._act(session, gate)

    def fail(self, error: GatewayError) -> None:
        """Everybody who waits gets this error; messages under way are not touched."""
        for waiter in tuple(self._waiting.values()):
            if not waiter.done():
                waiter.set_exception(error.again())

    def connected(self, habits: Habits) -> None:
        """There is a new connection."""
        self._habits, now = habits, asyncio.get_running_loop().time()
        for session, gate in tuple(self._gates.items()):
            gate.connected(habits, now)
            self._act(session, gate)

    def stop(self) -> None:
        """There is no connection, and none will come by itself: ask nothing more.

        A message waits for this client's own ones alone, and whoever sends it learns that it cannot be sent.
        """
        self.connected(Habits())
        self._habits = None
        for task in self._questions:
            task.cancel()

    # What is heard of the session.

    def other_began(self, session: str, run_id: str, now: float) -> None:
        """An event of a run that is not this client's."""
        gate = self._gates.get(session)
        if gate is not None:
            gate.other_began(run_id, now)

    def other_ended(self, session: str, run_id: str, now: float) -> None:
        """The end of a run that is not this client's."""
        gate = self._gates.get(session)
        if gate is not None:
            gate.other_ended(run_id, now)
            self._act(session, gate)

    # Inside.

    def _gate(self, session: str) -> SessionGate:
        """The gate of a session, which is now used."""
        self._unused.pop(session, None)
        gate = self._gates.get(session)
        if gate is not None:
            return gate
        gate = self._gates[session] = SessionGate()
        gate.connected(self._habits or Habits(), asyncio.get_running_loop().time())
        self._forget()
        return gate

    def _forget(self) -> None:
        while len(self._gates) > MAX_GATES and self._unused:
            del self._gates[self._unused.popitem(last=False)[0]]

    def _act(self, session: str, gate: SessionGate) -> None:
        """Carry out what a gate asks for, until it asks for nothing more."""
        if self._gates.get(session) is not gate:
            # It was forgotten, and there may be another one.
            return
        while actions := gate.actions():
            for action in actions:
                if isinstance(action, AskActivity):
                    self._question(session, gate, action)
                else:
                    self._let_go(gate, action)
        self._arm(session, gate)
        if gate.unused and session not in self._unused:
            self._unused[session] = None
            self._forget()

    def _let_go(self, gate: SessionGate, action: Admit) -> None:
        waiter = self._waiting.get(action.ticket)
        if waiter is None or waiter.done():
            # Its sender left in this very turn.
            gate.leave(action.ticket, asyncio.get_running_loop().time())
        else:
            waiter.set_result(None)

    def _question(self, session: str, gate: SessionGate, action: AskActivity) -> None:
        async def ask() -> None:
            busy = await self._ask(session)
            gate.activity(action.number, busy, asyncio.get_running_loop().time())
            self._act(session, gate)

        task = asyncio.get_running_loop().create_task(ask(), name="openclaw-gate")
        self._questions.add(task)
        task.add_done_callback(self._questions.discard)

    def _arm(self, session: str, gate: SessionGate) -> None:
        timer = self._timers.pop(session, None)
        if timer is not None:
            timer.cancel()
        due = gate.deadline()
        if due != inf:
            loop = asyncio.get_running_loop()
            self._timers[session] = loop.call_at(due, partial(self._on_timer, session, gate))

    def _on_timer(self, session: str, gate: SessionGate) -> None:
        self._timers.pop(session, None)
        gate.handle_deadline(asyncio.get_running_loop().time())
        self._act(session, gate)
