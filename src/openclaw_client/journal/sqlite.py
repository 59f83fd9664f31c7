"""A journal in a file of SQLite's.

Knows coroutines, and that one thread has the file. Does not know what a row or a transaction is.
"""

from __future__ import annotations

import asyncio
import os
import time
import weakref
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, Literal, TypeVar

from openclaw_client.errors import JournalError, UsageError
from openclaw_client.journal import tables
from openclaw_client.journal.backlog import Job, Settled
from openclaw_client.journal.delivery import Verdict
from openclaw_client.journal.lock import checked_path
from openclaw_client.journal.protocol import Change, Kept, KeptMessage, KeptPlace, PendingRun
from openclaw_client.journal.reports import report_given_up
from openclaw_client.journal.writer import NO_TEXT, Writer
from openclaw_client.runs.peer import SentRun
from openclaw_client.runs.proactive import ProactiveMessage

if TYPE_CHECKING:
    import sqlite3

_T = TypeVar("_T")


class SqliteJournal:
    """Keeps what must survive the process in one file, which belongs to one process at a time.

    Nothing is opened before the first call. Calls may come from any event loop and any thread that has one. After
    `close()` the next call opens the file again. In a forked child the object starts anew, and is told "in_use" where
    its parent had the file open.

    Args:
        path: The file, of mode 0600 and this user's; SQLite and the lock have others beside it. Its folder must exist.
            Network file systems are not supported.
        power_safe: Whether a message is on the disk before it is sent, so that it also survives the machine's death;
            each then costs a write of the disk.
        wait: Seconds to wait for another process to end, as at a restart; the first time only.
        clock: The time, in seconds since 1970.

    Raises:
        UsageError: The path can never be one of a journal, or this system has no flock().
    """

    def __init__(
        self,
        path: str | os.PathLike[str],
        *,
        power_safe: bool = False,
        wait: float = 10.0,
        clock: Callable[[], float] = time.time,
    ) -> None:
        if not wait >= 0:
            raise UsageError(message=f"wait={wait!r} is no number of seconds")
        self.path = checked_path(path)
        self._power_safe = power_safe
        self._wait = wait
        self._clock = clock
        self._writers: dict[int, Writer] = {}

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self.path!r})"

    async def open(self, user: str) -> Kept:
        """What is kept of a user.

        Args:
            user: Whose.

        Returns:
            The runs that were not taken, and the places.

        Raises:
            JournalError: The file cannot be used.
        """
        return await self._ask(lambda db: tables.open_user(db, user))

    async def begin(
        self,
        user: str,
        run: SentRun,
        *,
        state: Literal["queued", "sent"] = "sent",
        files: tuple[str, ...] = (),
        again: bool = False,
    ) -> PendingRun | None:
        """Write a message down before its first byte goes out; durable when this returns, see `Journal.begin`.

        Args:
            user: Whose it is.
            run: Its facts, with the gateway that gets it.
            state: "queued" where it has to wait, and nothing goes out yet.
            files: Digests of its attachments.
            again: The caller knows of the run, and sends it.

        Returns:
            None where it is written down, else what is known under the key.

        Raises:
            JournalError: It is not written down. Cancelling this leaves nothing behind.
        """
        made = False
        run_id = run.run_id

        def work(db: sqlite3.Connection) -> PendingRun | None:
            nonlocal made
            known = tables.begin(db, user, run, state, files, again, self._clock())
            made = known is None and not again
            return known

        def undo(db: sqlite3.Connection) -> None:
            if made:
                tables.undo(db, user, run_id)

        return await self._ask(work, len(run.message) + len(run.system_prompt or ""), undo)

    def note(self, user: str, change: Change) -> None:
        """Write this down soon; see `Journal.note`.

        Args:
            user: Whose it is.
            change: Of a run or a place.
        """
        self._writer().note(user, change, self._clock())

    async def receive(
        self, user: str, messages: Sequence[ProactiveMessage], place: KeptPlace | None = None
    ) -> tuple[ProactiveMessage, ...]:
        """Write messages down, with how far their session is known; durable when this returns, see `Journal.receive`.

        Args:
            user: Whose they are.
            messages: In their order.
            place: Behind them.

        Returns:
            Those that are new.

        Raises:
            JournalError: None of this is written down.
            UsageError: The same; something in a message is no text.
        """
        try:
            encoded = [(message, tables.encode_message(message)) for message in messages]
        except (TypeError, ValueError):
            # Its own words would show the text.
            raise UsageError(message=NO_TEXT) from None
        size = sum(len(payload) for _, payload in encoded)
        new, given_up = await self._ask(lambda db: tables.receive(db, user, encoded, place, self._clock()), size)
        report_given_up(self.path, given_up)
        return new

    async def next(self, user: str) -> KeptMessage | None:
        """The first of the user's messages that is not over.

        Args:
            user: Whose.

        Returns:
            The message; None where there is none.

        Raises:
            JournalError: The file cannot be used.
        """
        return await self._ask(lambda db: tables.next_message(db, user))

    async def deliver(self, user: str, message_id: str) -> int:
        """Count a delivery before the handlers are called; durable when this returns.

        Args:
            user: Whose.
            message_id: Of the message.

        Returns:
            Which one it is, from 1; 0 where no such message waits.

        Raises:
            JournalError: It is not counted; the handlers must not be called.
        """
        return await self._ask(lambda db: tables.deliver(db, user, message_id))

    async def settle(self, user: str, message_id: str, verdict: Verdict) -> None:
        """Write down what became of a message that was delivered: soon, as a note is.

        Args:
            user: Whose.
            message_id: Of the message.
            verdict: "done", "later" or "dead".
        """
        self._writer().note(user, Settled(message_id, verdict), self._clock())

    async def pending(self, user: str | None = None) -> tuple[PendingRun, ...]:
        """The runs that were not taken, oldest first.

        Args:
            user: Whose; None for all users.

        Returns:
            The runs.

        Raises:
            JournalError: The file cannot be used.
        """
        return await self._ask(lambda db: tables.pending(db, user))

    async def users(self) -> tuple[str, ...]:
        """Those who have a run that was not taken, or a message that waits.

        Returns:
            The users, sorted.

        Raises:
            JournalError: The file cannot be used.
        """
        return await self._ask(tables.users)

    async def dead(self) -> tuple[KeptMessage, ...]:
        """The messages that were given up.

        Returns:
            Those of all users, oldest first.

        Raises:
            JournalError: The file cannot be used.
        """
        return await self._ask(tables.dead)

    async def replay(self, message_id: str, *, user: str | None = None) -> int:
        """Let a message that is over wait once more, behind those that do.

        Args:
            message_id: Of the message.
            user: Whose; None for whoever has one of this id.

        Returns:
            How many wait now.

        Raises:
            JournalError: The file cannot be used.
        """
        return await self._ask(lambda db: tables.replay(db, message_id, user, self._clock()))

    async def forget(self, user: str, run_id: str) -> bool:
        """Take a run off the list. Aborts nothing; its key stays known.

        Args:
            user: Whose.
            run_id: The run.

        Returns:
            Whether it was on the list.

        Raises:
            JournalError: It is still on the list.
        """
        return await self._ask(lambda db: tables.forget(db, user, run_id, self._clock()))

    async def prune(self, now: float) -> int:
        """Drop what is older than `journal.ages` has it, in pieces, so that nobody waits for long.

        Args:
            now: The time, in seconds since 1970.

        Returns:
            How many runs and messages are gone.

        Raises:
            JournalError: Some may be left.
        """
        total, touched = 0, 1
        while touched:
            gone, touched = await self._ask(lambda db: tables.prune(db, now))
            total += gone
        return total

    async def close(self) -> None:
        """Write down what is noted and let others have the file.

        Raises:
            JournalError: It is closed, and something that was noted could not be written down.
        """
        writer = self._writer()
        if not writer.in_use:
            return
        loop = asyncio.get_running_loop()
        job = Job(None, loop=loop, future=loop.create_future())
        writer.close(job)
        assert job.future is not None
        await job.future

    def _writer(self) -> Writer:
        """The writer of this process: a forked child has neither its parent's thread nor its callers."""
        pid = os.getpid()
        found = self._writers.get(pid)
        if found is None:
            made = Writer(self.path, power_safe=self._power_safe, wait=self._wait)
            # Several threads may come first; a lock might be held for ever in a child.
            found = self._writers.setdefault(pid, made)
            if found is made:
                weakref.finalize(self, made.leave).atexit = False
        return found

    async def _ask(
        self,
        work: Callable[[sqlite3.Connection], _T],
        size: int = 0,
        undo: Callable[[sqlite3.Connection], None] | None = None,
    ) -> _T:
        writer = self._writer()
        job = await writer.backlog.room(size)
        job.work = work
        future: asyncio.Future[Any] | None = job.future
        assert future is not None
        try:
            writer.put(job)
            result: _T = await future
        except asyncio.CancelledError:
            # It may be under way. What it holds is let go.
            job.left, job.work = True, _nothing
            if undo is not None:
                writer.put(Job(undo))
            raise
        except JournalError:
            job.left = True
            raise
        return result


def _nothing(_db: sqlite3.Connection) -> None:
    """What is left to do for who has gone."""
