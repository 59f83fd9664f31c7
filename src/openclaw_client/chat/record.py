"""The runs of one user in a journal: what is written down of them before, while and after they go on.

Knows which runs are on the list. Refuses to know connections, and what a run's events say. On the loop's thread.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterable
from dataclasses import replace
from typing import Final, Literal

from openclaw_client.journal.ages import MAX_UNTAKEN
from openclaw_client.journal.protocol import Journal, PendingRun, RunChange
from openclaw_client.runs.peer import SentRun

TAKEN_AFTER: Final = 1.0
"""Seconds from when a caller has a reply until that is written down: a reply that its caller had no time to store is
listed again."""


class RunRecord:
    """The open runs of one user.

    Attributes:
        journal: Where they are written down.
        user: Whose they are.
        open: The runs on the list, by their ids, as far as they are known here; from any thread.
    """

    def __init__(self, journal: Journal, user: str) -> None:
        self.journal = journal
        self.user = user
        self.open: dict[str, PendingRun] = {}
        self._taken: dict[str, asyncio.TimerHandle] = {}

    def restore(self, runs: Iterable[PendingRun]) -> None:
        """What stood in the journal when it was opened."""
        self.open = {run.run_id: run for run in runs}

    async def begin(
        self,
        run: SentRun,
        *,
        state: Literal["queued", "sent"] = "sent",
        files: tuple[str, ...] = (),
        again: bool = False,
    ) -> PendingRun | None:
        """Write a message down before its first byte; see `Journal.begin`. Raises JournalError."""
        known = await self.journal.begin(self.user, run, state=state, files=files, again=again)
        if known is None:
            self._not_taken(run.run_id)
            self.open[run.run_id] = PendingRun(self.user, run, state, files)
        return known

    def note(self, change: RunChange) -> None:
        """Write down soon what became known of a run."""
        if change.unsent or change.taken:
            self.open.pop(change.run_id, None)
        elif change.end is not None and (known := self.open.get(change.run_id)) is not None:
            self.open[change.run_id] = replace(known, state="answered", end=change.end)
            self._trim()
        self.journal.note(self.user, change)

    def take(self, run_id: str) -> None:
        """The caller has the end of a run: it leaves the list in a moment."""
        if run_id not in self._taken:
            loop = asyncio.get_running_loop()
            self._taken[run_id] = loop.call_later(TAKEN_AFTER, self._take, run_id)

    def flush(self) -> None:
        """Nobody else will use this: what was taken leaves the list now."""
        for run_id in tuple(self._taken):
            self._take(run_id)

    def drop(self, run_id: str) -> None:
        """A run was taken off the list."""
        self._not_taken(run_id)
        self.open.pop(run_id, None)

    def _take(self, run_id: str) -> None:
        self._not_taken(run_id)
        self.note(RunChange(run_id, taken=True))

    def _trim(self) -> None:
        """Of replies that nobody takes only the latest are known by their id alone."""
        if len(self.open) > MAX_UNTAKEN:
            over = next((run_id for run_id, run in self.open.items() if run.state == "answered"), None)
            if over is not None:
                del self.open[over]

    def _not_taken(self, run_id: str) -> None:
        timer = self._taken.pop(run_id, None)
        if timer is not None:
            timer.cancel()
