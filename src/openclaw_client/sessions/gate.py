"""Who may send in one session, and when: one message at a time, and none into a run that is known to go on.

A gateway that gets a message while a run is active merges it into that run, answers it in a later run, or queues it,
depending on its release and settings. The reply is found wherever it is (`runs.deferral`); waiting makes it quick and
keeps replies apart. Pure: the clock is an argument.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable
from dataclasses import dataclass
from math import inf
from typing import TypeAlias

STALE = 60.0
"""Seconds at the head of the line, without any event of another client's run, after which a message no longer waits for
others: what is said of them may be wrong, and the reply is found all the same."""
LOOKS = (0.05, 0.1, 0.2, 2.0)
"""Seconds between two questions whether the session is idle: releases that stay busy behind a final do so for 20 to
200 ms, and another client's run takes as long as it takes."""
MAX_OTHERS = 64
"""Runs of others whose end is awaited; a session has a few. Of more the oldest is given up: its end was lost."""


@dataclass(frozen=True, slots=True)
class Habits:
    """What a release does behind the end of a run.

    tells: whether its history says that a session is busy (wire v4 from 2026.6 on). lingers: whether it stays busy for
    a moment behind a final, and its history says so (2026.7). settling: seconds for which it does, and nothing tells.
    """

    tells: bool = False
    lingers: bool = False
    settling: float = 0.0


def habits_of(protocol: int, release: tuple[int, ...] | None) -> Habits:
    """The habits of a gateway; observed on ten releases of 2026. release: None where it does not say."""
    if protocol == 3:
        # 2026.4.15: up to 20 ms.
        return Habits(settling=0.05)
    if release is None:
        return Habits(tells=True, lingers=True)
    if release < (2026, 5, 28):
        # 2026.5.12: 8 of 10 messages are merged right behind a final, 0 of 10 after 0.2 s.
        return Habits(settling=0.25)
    return Habits(tells=True, lingers=(2026, 7) <= release < (2026, 8))


class Ticket:
    """A message's place in its session. others: whether it waits for a run of somebody else's."""

    __slots__ = ("admitted", "arrived", "others")

    def __init__(self, now: float) -> None:
        self.arrived = now
        self.admitted = False
        self.others = False


@dataclass(frozen=True, slots=True)
class Admit:
    """The message may go out."""

    ticket: Ticket


@dataclass(frozen=True, slots=True)
class AskActivity:
    """Ask whether the session is idle; the answer carries this number."""

    number: int


GateAction: TypeAlias = Admit | AskActivity


class SessionGate:
    """The messages of one client in one session. Tickets are served in order; one is under way at a time.

    heard_at: when an event of another client's run of the session came last.
    """

    __slots__ = (
        "_actions",
        "_ask_at",
        "_asking",
        "_due",
        "_ended_at",
        "_habits",
        "_holder",
        "_known",
        "_looks",
        "_number",
        "_others",
        "_queue",
        "_told_busy",
        "_untold",
        "heard_at",
    )

    def __init__(self) -> None:
        self.heard_at = -inf
        self._habits = Habits()
        self._holder: Ticket | None = None
        self._queue: deque[Ticket] = deque()
        # A dict for its order.
        self._others: dict[str, None] = {}
        self._actions: list[GateAction] = []
        self._ended_at = -inf
        # Whether anything is known of the session on this connection, and what the gateway said last.
        self._known = self._told_busy = self._untold = self._asking = False
        self._ask_at = -inf
        self._number = 0
        self._looks = 0
        self._due = inf

    @property
    def unused(self) -> bool:
        """Whether nobody sends or waits."""
        return self._holder is None and not self._queue

    def actions(self) -> list[GateAction]:
        """What is to be done since the last call, in order."""
        actions, self._actions = self._actions, []
        return actions

    def deadline(self) -> float:
        """When `handle_deadline` is to be called; inf: not yet."""
        return self._due if self._holder is None and self._queue else inf

    def handle_deadline(self, now: float) -> None:
        if now >= self.deadline():
            self._look(now)

    # Messages.

    def arrive(self, ticket: Ticket, now: float) -> None:
        """A message wants to go out."""
        self._queue.append(ticket)
        self._look(now)

    def leave(self, ticket: Ticket, now: float) -> None:
        """A message is over, or its sender gave up."""
        if ticket is self._holder:
            self._holder = None
            self._ended(now, busy=bool(self._others))
        elif ticket in self._queue:
            self._queue.remove(ticket)
        self._look(now)

    # What is known of the session.

    def connected(self, habits: Habits, now: float) -> None:
        """There is a connection, perhaps to another release; what was known counts no more."""
        self._habits = habits
        self._known = self._told_busy = self._untold = self._asking = False
        self._others.clear()
        self._number += 1
        self._look(now)

    def other_began(self, run_id: str, now: float) -> None:
        """An event of a run that is not this client's."""
        self.heard_at = now
        if run_id not in self._others:
            self._others[run_id] = None
            if len(self._others) > MAX_OTHERS:
                del self._others[next(iter(self._others))]
            # Its end may have been lost: where the gateway tells, it is asked.
            self._told_busy, self._ask_at = True, now

    def others_open(self, run_ids: Iterable[str], now: float) -> None:
        """Runs that were heard while nobody listened for this gate; of those that it knows this says nothing new."""
        for run_id in run_ids:
            if run_id not in self._others:
                self.other_began(run_id, now)

    def other_ended(self, run_id: str, now: float) -> None:
        """A run of the session that is not this client's is over."""
        self.heard_at = now
        self._others.pop(run_id, None)
        # Another one may go on, heard or only told of: where the gateway tells, it is asked.
        self._ended(now, busy=bool(self._others) or (self._told_busy and not self._untold))
        self._look(now)

    def activity(self, number: int, busy: bool | None, now: float) -> None:
        """The answer to `AskActivity`; None where the gateway does not tell, or gave no answer."""
        if not self._asking or number != self._number:
            return
        self._asking = False
        self._known, self._told_busy, self._untold = True, bool(busy), busy is None
        if busy is False:
            self._others.clear()
        if busy:
            self._ask_at = now + LOOKS[min(self._looks, len(LOOKS) - 1)]
            self._looks += 1
        self._look(now)

    # Inside.

    def _ended(self, now: float, *, busy: bool) -> None:
        self._ended_at, self._looks = now, 0
        self._told_busy, self._ask_at = busy, now
        if self._habits.lingers:
            self._known = False

    def _look(self, now: float) -> None:
        """Serve the first in line: the first row that fits."""
        if self._holder is not None or not self._queue:
            return
        ticket = self._queue[0]
        # While a run of this client's own goes on, nobody waits for others.
        stale_at = max(self.heard_at, ticket.arrived, self._ended_at) + STALE
        settled_at = self._ended_at + self._habits.settling
        if now >= stale_at:
            self._admit(ticket)
        elif self._others and (self._untold or not self._habits.tells):
            ticket.others, self._due = True, stale_at
        elif self._told_busy and now < self._ask_at:
            ticket.others, self._due = True, min(self._ask_at, stale_at)
        elif self._habits.tells and (self._told_busy or not self._known):
            ticket.others = ticket.others or self._told_busy
            self._due = stale_at
            self._ask()
        elif now < settled_at:
            self._due = settled_at
        else:
            self._admit(ticket)

    def _ask(self) -> None:
        if not self._asking:
            self._asking = True
            self._number += 1
            self._actions.append(AskActivity(self._number))

    def _admit(self, ticket: Ticket) -> None:
        self._queue.popleft()
        self._holder, self._due = ticket, inf
        ticket.admitted, ticket.others = True, False
        self._actions.append(Admit(ticket))
