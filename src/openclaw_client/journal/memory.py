"""A journal that dies with its process: for tests, and what every other journal is compared with."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Literal

from openclaw_client.journal.ages import (
    KEPT_DEAD,
    KEPT_DONE,
    KEPT_KEYS,
    KEPT_TEXTS,
    MAX_DEAD,
    MAX_PLACES,
    MAX_UNTAKEN,
    MAX_WAITING,
)
from openclaw_client.journal.delivery import Verdict, pause_after
from openclaw_client.journal.protocol import (
    OPEN,
    Change,
    Kept,
    KeptMessage,
    KeptPlace,
    PendingRun,
    RunChange,
    RunState,
)
from openclaw_client.journal.reports import report_given_up, report_untaken
from openclaw_client.runs.peer import SentRun
from openclaw_client.runs.proactive import ProactiveMessage

_LASTING = {"waiting": float("inf"), "dealt": float("inf"), "done": KEPT_DONE, "dead": KEPT_DEAD}


@dataclass(slots=True)
class _Run:
    run: PendingRun
    changed: float


@dataclass(slots=True)
class _Message:
    kept: KeptMessage
    changed: float


class MemoryJournal:
    """Keeps everything in dictionaries.

    Args:
        clock: The time, in seconds since 1970.
    """

    def __init__(self, *, clock: Callable[[], float] = time.time) -> None:
        self._clock = clock
        self._runs: dict[tuple[str, str], _Run] = {}
        self._places: dict[tuple[str, str], KeptPlace] = {}
        self._inbox: dict[tuple[str, str], _Message] = {}

    async def open(self, user: str) -> Kept:
        """What is kept of a user."""
        places = tuple(place for (owner, _), place in self._places.items() if owner == user)
        return Kept(await self.pending(user), places)

    async def begin(
        self,
        user: str,
        run: SentRun,
        *,
        state: Literal["queued", "sent"] = "sent",
        files: tuple[str, ...] = (),
        again: bool = False,
    ) -> PendingRun | None:
        """Write a message down before its first byte goes out; see `Journal.begin`."""
        known = self._runs.get((user, run.run_id))
        if known is not None and not again:
            return known.run
        # One that is there keeps its place among the others.
        self._runs[user, run.run_id] = _Run(PendingRun(user, run, state, files), self._clock())
        return None

    def note(self, user: str, change: Change) -> None:
        """Write this down."""
        if isinstance(change, KeptPlace):
            self._place(user, change)
            return
        known = self._runs.get((user, change.run_id))
        if known is None or known.run.state == "taken":
            return
        if change.unsent:
            del self._runs[user, change.run_id]
        else:
            known.run, known.changed = _changed(known.run, change.bounded()), self._clock()
            self._trim_untaken(user)

    async def receive(
        self, user: str, messages: Sequence[ProactiveMessage], place: KeptPlace | None = None
    ) -> tuple[ProactiveMessage, ...]:
        """Write messages down; see `Journal.receive`."""
        new = []
        for message in messages:
            if (user, message.id) not in self._inbox and not self._is_own(user, message.run_id):
                self._inbox[user, message.id] = _Message(KeptMessage(user, message), self._clock())
                new.append(message)
        if place is not None:
            self._place(user, place)
        if new:
            self._trim_waiting(user)
        return tuple(new)

    async def next(self, user: str) -> KeptMessage | None:
        """The first of the user's messages that is not over."""
        return next((one.kept for one in self._of(user) if one.kept.state in ("waiting", "dealt")), None)

    async def deliver(self, user: str, message_id: str) -> int:
        """Count a delivery before the handlers are called; see `Journal.deliver`."""
        one = self._waiting(user, message_id)
        if one is None:
            return 0
        one.kept = replace(one.kept, state="dealt", deliveries=one.kept.deliveries + 1)
        return one.kept.deliveries

    async def settle(self, user: str, message_id: str, verdict: Verdict) -> None:
        """Write down what became of a message that was delivered."""
        one = self._waiting(user, message_id)
        if one is None:
            return
        one.changed = self._clock()
        if verdict == "later":
            next_at = one.changed + pause_after(one.kept.deliveries)
            one.kept = replace(one.kept, state="waiting", next_at=next_at)
        else:
            one.kept = replace(one.kept, state=verdict)
            self._trim_dead(user)

    async def pending(self, user: str | None = None) -> tuple[PendingRun, ...]:
        """The runs of a user, or of all, that were not taken; oldest first."""
        runs = (one.run for one in self._runs.values() if one.run.state in OPEN and user in (None, one.run.user))
        return tuple(sorted(runs, key=lambda run: run.sent_at))

    async def users(self) -> tuple[str, ...]:
        """Those who have a run that was not taken, or a message that waits."""
        runs = {one.run.user for one in self._runs.values() if one.run.state in OPEN}
        return tuple(sorted(runs | {user for user, ident in self._inbox if self._waiting(user, ident) is not None}))

    async def dead(self) -> tuple[KeptMessage, ...]:
        """The messages that were given up, oldest first."""
        return tuple(one.kept for one in self._inbox.values() if one.kept.state == "dead")

    async def replay(self, message_id: str, *, user: str | None = None) -> int:
        """Let a message that is over wait once more, behind those that do."""
        over = [
            key
            for key, one in self._inbox.items()
            if key[1] == message_id and user in (None, key[0]) and one.kept.state in ("done", "dead")
        ]
        for key in over:
            kept = KeptMessage(key[0], self._inbox.pop(key).kept.message)
            self._inbox[key] = _Message(kept, self._clock())
        return len(over)

    async def forget(self, user: str, run_id: str) -> bool:
        """Take a run off the list, and its texts away."""
        known = self._runs.get((user, run_id))
        if known is None or known.run.state == "taken":
            return False
        if known.run.state == "queued":
            del self._runs[user, run_id]
        else:
            known.run, known.changed = _bare(known.run), self._clock()
        return True

    async def prune(self, now: float) -> int:
        """Drop what is older than `journal.ages` has it."""
        old = [key for key, one in self._runs.items() if _is_old(one, now, KEPT_KEYS)]
        for key in old:
            del self._runs[key]
        for one in self._runs.values():
            if _is_old(one, now, KEPT_TEXTS):
                one.run = _bare(one.run)
        over = [key for key, kept in self._inbox.items() if kept.changed <= now - _LASTING[kept.kept.state]]
        for key in over:
            del self._inbox[key]
        return len(old) + len(over)

    async def close(self) -> None:
        """Does nothing: everything stays as long as the object does."""

    def _of(self, user: str) -> list[_Message]:
        return [one for (owner, _), one in self._inbox.items() if owner == user]

    def _waiting(self, user: str, message_id: str) -> _Message | None:
        one = self._inbox.get((user, message_id))
        return one if one is not None and one.kept.state in ("waiting", "dealt") else None

    def _is_own(self, user: str, run_id: str) -> bool:
        runs = (one.run.sent_run for one in self._runs.values() if one.run.user == user)
        return any(run_id in (run.run_id, run.answered_run) for run in runs)

    def _place(self, user: str, place: KeptPlace) -> None:
        # The latest written stands last.
        self._places.pop((user, place.session_key), None)
        self._places[user, place.session_key] = place
        own = [key for key in self._places if key[0] == user]
        for key in own[:-MAX_PLACES]:
            del self._places[key]

    def _trim_untaken(self, user: str) -> None:
        over = [one for one in self._runs.values() if (one.run.user, one.run.state) == (user, "answered")]
        over.sort(key=lambda one: one.run.sent_at)
        for one in over[:-MAX_UNTAKEN]:
            one.run, one.changed = _bare(one.run), self._clock()
        report_untaken(None, len(over) - MAX_UNTAKEN)

    def _trim_waiting(self, user: str) -> None:
        waiting = [one for one in self._of(user) if one.kept.state == "waiting"]
        for one in waiting[:-MAX_WAITING]:
            one.kept, one.changed = replace(one.kept, state="dead"), self._clock()
        report_given_up(None, len(waiting) - MAX_WAITING)
        self._trim_dead(user)

    def _trim_dead(self, user: str) -> None:
        dead = [one for one in self._of(user) if one.kept.state == "dead"]
        for one in dead[:-MAX_DEAD]:
            del self._inbox[user, one.kept.message.id]


def _is_old(one: _Run, now: float, age: float) -> bool:
    return one.run.state == "taken" and one.changed <= now - age


def _changed(run: PendingRun, change: RunChange) -> PendingRun:
    sent = replace(
        run.sent_run,
        acknowledged=run.sent_run.acknowledged or change.acknowledged,
        answered_run=change.answered_run or run.sent_run.answered_run,
        session_id=change.session_id or run.sent_run.session_id,
    )
    state: RunState = run.state
    if change.taken:
        state = "taken"
    elif change.end is not None:
        state = "answered"
    elif change.acknowledged and state == "queued":
        state = "sent"
    end, text = (change.end, change.text) if change.end is not None else (run.end, run.text)
    return PendingRun(run.user, sent, state, run.files, end, text)


def _bare(run: PendingRun) -> PendingRun:
    return replace(run, sent_run=replace(run.sent_run, message="", system_prompt=None), state="taken", text=None)
