"""What waits for the thread that writes: bounded, in order, put in by any thread and taken out by one.

Knows event loops, whose coroutines wait for room and for results. Does not know what is written.
"""

from __future__ import annotations

import asyncio
import contextlib
from _queue import Empty, SimpleQueue  # where gevent does not put its own
from collections import deque
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, Final

from openclaw_client import os_threads
from openclaw_client.journal.delivery import Verdict
from openclaw_client.journal.protocol import KeptPlace, RunChange

if TYPE_CHECKING:
    import sqlite3

MOST_QUEUED: Final = 1_000
"""Calls that wait for the file, a second's work for a slow disk; the next ones wait for room before them."""
MAX_QUEUED: Final = 16 << 20
"""Bytes of what these write. A single call that is larger waits until it is alone."""
MOST_NOTES: Final = 100_000
"""Notes that wait, one for each run, place and message: more than a process has. The next ones are lost, and told."""
MAX_NOTED: Final = 16 << 20
"""Characters of the replies in them. Beyond that a reply's text is not kept; the gateway has it in its history."""
MOST_JOINED: Final = 256
"""Calls that are written in one transaction: more save nothing, and all of them wait for the last."""
JOINED_FOR: Final = 0.02
"""Seconds that notes wait for others where nobody waits for anything: those of many runs become one transaction."""

_NOTE_SIZE: Final = 200


@dataclass(frozen=True, slots=True)
class Settled:
    """What became of a delivery."""

    message_id: str
    verdict: Verdict


Note = RunChange | KeptPlace | Settled


@dataclass(slots=True, eq=False)
class Notes:
    """Changes that nobody waits for, joined by what they are about, each with its time."""

    changes: dict[tuple[str, str, str], tuple[Note, float]] = field(default_factory=dict)
    characters: int = 0

    def add(self, user: str, note: Note, at: float) -> None:
        """Join a change to what is there."""
        if isinstance(note, Settled):
            over = any((verdict, user, note.message_id) in self.changes for verdict in ("done", "dead"))
            if not over:
                self.changes[note.verdict, user, note.message_id] = (note, at)
            return
        if isinstance(note, KeptPlace):
            # The latest written stands last.
            self.changes.pop(("place", user, note.session_key), None)
            self.changes["place", user, note.session_key] = (note, at)
            return
        key = ("run", user, note.run_id)
        known, since = self.changes.get(key, (None, 0.0))
        if isinstance(known, RunChange):
            self.characters -= len(known.text or "")
            note, at = known.joined(note), since if known.taken else at
        self.characters += len(note.text or "")
        self.changes[key] = (note, at)


@dataclass(slots=True, eq=False)
class Job:
    """A call. work: None for the one that closes the file. left: whoever called has gone, so that it need not be begun.
    reserved: it has room that must be given back."""

    work: Callable[[sqlite3.Connection], Any] | None
    size: int = 0
    loop: asyncio.AbstractEventLoop | None = None
    future: asyncio.Future[Any] | None = None
    left: bool = False
    reserved: bool = False
    result: Any = None
    error: Exception | None = None


Item = Job | Notes


class WriteQueue:
    """Calls and notes, in the order in which they came."""

    def __init__(self) -> None:
        self._lock = os_threads.lock()
        self._items: deque[Item] = deque()
        self._queued = 0
        self._bytes = 0
        self._notes = 0
        self._characters = 0
        self._for_room: deque[Job] = deque()
        self._wake: SimpleQueue[None] = SimpleQueue()
        self._signalled = False

    async def room(self, size: int) -> Job:
        """Wait until there is room for a call, and have it. Must be put in, or given back (`done`)."""
        loop = asyncio.get_running_loop()
        job = Job(None, size, loop, loop.create_future())
        with self._lock:
            if not self._for_room and self._fits(size):
                self._reserve(job)
                return job
            self._for_room.append(job)
        assert job.future is not None
        try:
            await job.future
        except asyncio.CancelledError:
            with self._lock:
                waited = job in self._for_room
                if waited:
                    self._for_room.remove(job)
            if not waited:
                self.done([job])
            raise
        job.future = loop.create_future()
        return job

    def put(self, job: Job) -> None:
        """A call with room, or one that nobody waits for."""
        with self._lock:
            self._items.append(job)
            self._signal()

    def note(self, user: str, note: Note, at: float) -> bool:
        """Something that nobody waits for; False where there are too many to take it."""
        with self._lock:
            last = self._items[-1] if self._items else None
            notes = last if isinstance(last, Notes) else Notes()
            if self._notes >= MOST_NOTES:
                return False
            if isinstance(note, RunChange):
                note = self._within(note)
            before, characters = len(notes.changes), notes.characters
            notes.add(user, note, at)
            self._notes += len(notes.changes) - before
            self._characters += notes.characters - characters
            if notes is not last:
                self._items.append(notes)
            if last is None:
                self._signal()
        return True

    def take(self, timeout: float | None) -> list[Item]:
        """What is to be written next, after the first thing that comes, or after so many seconds."""
        self._sleep(timeout)
        if self._only_notes():
            self._sleep(JOINED_FOR)
        taken: list[Item] = []
        with self._lock:
            while self._items and len(taken) < MOST_JOINED:
                item = self._items.popleft()
                taken.append(item)
                if isinstance(item, Job) and item.work is None:
                    break
            if self._items:
                self._signal()
        return taken

    def put_back(self, notes: Iterable[Notes]) -> None:
        """Notes that could not be written, before all others. Nobody is woken: they wait for the next try."""
        with self._lock:
            self._items.extendleft(reversed(list(notes)))

    def done(self, items: Iterable[Item]) -> None:
        """These need no room any more; whoever waits for it has it."""
        with self._lock:
            for item in items:
                if isinstance(item, Notes):
                    self._notes -= len(item.changes)
                    self._characters -= item.characters
                elif item.reserved:
                    item.reserved = False
                    self._queued -= 1
                    self._bytes -= item.size
            ready = []
            while self._for_room and self._fits(self._for_room[0].size):
                job = self._for_room.popleft()
                self._reserve(job)
                ready.append(job)
        # Their loops may have ended, and what they had is given back by nobody else.
        gone = [job for job in ready if not resolve([job])]
        if gone:
            self.done(gone)

    def has_jobs(self) -> bool:
        """Whether calls wait."""
        with self._lock:
            return any(isinstance(item, Job) for item in self._items)

    def has_any(self) -> bool:
        """Whether calls or notes wait."""
        with self._lock:
            return bool(self._items)

    def _signal(self) -> None:
        if not self._signalled:
            self._signalled = True
            self._wake.put(None)

    def _sleep(self, timeout: float | None) -> None:
        with contextlib.suppress(Empty):
            self._wake.get(timeout=timeout)
        with self._lock:
            self._signalled = False

    def _only_notes(self) -> bool:
        with self._lock:
            return bool(self._items) and all(isinstance(item, Notes) for item in self._items)

    def _within(self, change: RunChange) -> RunChange:
        change = change.bounded()
        if change.text is None or self._characters + len(change.text) <= MAX_NOTED:
            return change
        return replace(change, text=None)

    def _fits(self, size: int) -> bool:
        return self._queued == 0 or (self._queued < MOST_QUEUED and self._bytes + size <= MAX_QUEUED)

    def _reserve(self, job: Job) -> None:
        job.reserved = True
        self._queued += 1
        self._bytes += job.size


def resolve(jobs: list[Job]) -> bool:
    """Tell those who wait for these, all of one loop; False where that loop has ended."""
    loop = jobs[0].loop
    if loop is None:
        return True
    try:
        loop.call_soon_threadsafe(_tell, [(job.future, job.result, job.error) for job in jobs])
    except RuntimeError:
        return False
    return True


def _tell(results: list[tuple[asyncio.Future[Any] | None, Any, Exception | None]]) -> None:
    for future, result, error in results:
        if future is None or future.done():
            continue
        if error is not None:
            future.set_exception(error)
        else:
            future.set_result(result)
