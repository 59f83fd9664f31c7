"""A journal as the clients of one process share it: who made it, when it is pruned, and who hands out whose messages.

Knows nothing of what is written in it.
"""

from __future__ import annotations

import asyncio
import os
import time
from typing import Any, Final, Protocol, TypeGuard
from weakref import WeakKeyDictionary

from openclaw_client import os_threads
from openclaw_client.errors import JournalError, UsageError
from openclaw_client.journal.protocol import Journal

PRUNE_EVERY: Final = 3600.0
"""Seconds: what is pruned is days old, and an hour's worth of it is soon done."""

JournalLike = str | os.PathLike[str] | Journal | None
"""A path, a journal, or None for none."""

_CALLS: Final = ("open", "begin", "note", "receive", "next", "deliver", "settle", "pending", "forget", "prune", "close")


class Dealer(Protocol):
    """Who hands out the messages of a user."""

    def wake_soon(self) -> None:
        """It may be this one's turn; from any thread."""
        ...


class _Dealers:
    """One dealer of a user at a time, in the whole process: two would hand out the same message."""

    def __init__(self) -> None:
        self._lock = os_threads.lock()
        self._lines: dict[str, list[Dealer]] = {}

    def enter(self, user: str, dealer: Dealer) -> bool:
        """Whether it is this one's turn; else it is woken when it may be."""
        with self._lock:
            line = self._lines.setdefault(user, [])
            if dealer not in line:
                line.append(dealer)
            return line[0] is dealer

    def leave(self, user: str, dealer: Dealer) -> None:
        """It has nothing more to hand out."""
        with self._lock:
            line = self._lines.get(user, [])
            if dealer in line:
                line.remove(dealer)
            if not line:
                self._lines.pop(user, None)
            others = tuple(line)
        for other in others:
            other.wake_soon()


_dealers: WeakKeyDictionary[Any, _Dealers] = WeakKeyDictionary()
_lock = os_threads.lock()


def _after_fork_in_child() -> None:
    global _lock
    # Somebody else may have held it; the clients that stood in line are the parent's.
    _lock = os_threads.lock()
    _dealers.clear()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_after_fork_in_child)


class SharedJournal:
    """On one loop's thread, but for the constructor.

    owned: it was made here from a path, and is closed here. alone: it is one client's, and closed with it; else a
    manager's.
    """

    def __init__(self, journal: Journal, *, owned: bool, alone: bool) -> None:
        self.journal = journal
        self.owned = owned
        self.alone = alone
        self._pruned_at = 0.0
        self._pruning: asyncio.Task[None] | None = None

    def after_fork(self) -> SharedJournal:
        """The same for a forked child, which has none of the parent's tasks. The journal itself sees to its file."""
        return SharedJournal(self.journal, owned=self.owned, alone=self.alone)

    @property
    def dealers(self) -> _Dealers:
        """Who hands out messages of this journal, whoever shares it."""
        with _lock:
            return _dealers.setdefault(self.journal, _Dealers())

    def used(self) -> None:
        """Somebody uses it: prune it, where that is due."""
        now = time.time()
        if abs(now - self._pruned_at) < PRUNE_EVERY:
            return
        self._pruned_at = now
        self._pruning = asyncio.get_running_loop().create_task(self._prune(now), name="openclaw-journal")

    async def close(self) -> None:
        """Let others have the journal, where it was made here."""
        if self._pruning is not None:
            self._pruning.cancel()
            self._pruning, self._pruned_at = None, 0.0
        if self.owned:
            # What could not be written down was told by the journal.
            try:
                await self.journal.close()
            except JournalError:
                return

    async def _prune(self, now: float) -> None:
        try:
            await self.journal.prune(now)
        except JournalError:
            # Whoever writes next is told of it.
            return


def shared_journal(journal: JournalLike, *, alone: bool = True) -> SharedJournal | None:
    """What `journal=` says. Opens nothing. Raises UsageError."""
    if journal is None:
        return None
    if isinstance(journal, str | os.PathLike):
        # Here because few need it: it brings the database along.
        from openclaw_client.journal.sqlite import SqliteJournal

        return SharedJournal(SqliteJournal(journal), owned=True, alone=alone)
    if not _is_journal(journal):
        raise UsageError(
            message=f"journal= must be a path or a journal, not {type(journal).__name__}",
            remedy="Pass the path of a file, or SqliteJournal(path)",
        )
    return SharedJournal(journal, owned=False, alone=alone)


def journal_user(user: object) -> str:
    """The user as a journal has it. Raises UsageError."""
    if user is None:
        return ""
    if isinstance(user, str):
        return user
    raise UsageError(
        message=f"with a journal a user is a str, not {type(user).__name__}",
        remedy="Pass user=str(…), the same in every process",
    )


def _is_journal(journal: object) -> TypeGuard[Journal]:
    return not isinstance(journal, type) and all(callable(getattr(journal, name, None)) for name in _CALLS)
