"""One client and its journal: what was kept is known before the first event, and runs that nobody follows are followed.

Knows when a journal is asked. Refuses to know what is in it. On the loop's thread.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from dataclasses import replace
from functools import partial
from typing import Any, Final, Protocol

from openclaw_client.chat.address import RunAddress
from openclaw_client.chat.consumer import RunConsumer, Unheard
from openclaw_client.chat.driver import RunDriver
from openclaw_client.chat.missed_messages import MissedMessages
from openclaw_client.chat.record import RunRecord
from openclaw_client.client.inbox import Inbox
from openclaw_client.client.router import Router
from openclaw_client.client.shared_journal import SharedJournal
from openclaw_client.errors import GatewayError
from openclaw_client.journal.protocol import PendingRun
from openclaw_client.logs import GuardedLogger
from openclaw_client.policy.timeouts import Timeouts
from openclaw_client.runs.peer import SentRun

MAX_ADOPTED: Final = 64
"""Runs that nobody asks for and whose end is looked for at once, the newest; each may cost a page of the history. The
others stay on the list, and are followed by who attaches to them."""

LAST_HANDLER: Final = 1.0
"""Seconds that a disconnect waits for the handler of a message: one whose end is not noted gets it again. Not longer,
as the handler may be who disconnects."""

logger = GuardedLogger("openclaw_client.client")


class MakeFollower(Protocol):
    def __call__(self, what: RunAddress, consumer: RunConsumer, limits: Timeouts) -> RunDriver: ...


class Journalling:
    """follower makes a driver. ended: a run that nobody asked for, in this session, is followed no more."""

    def __init__(
        self,
        shared: SharedJournal,
        record: RunRecord,
        inbox: Inbox,
        follower: MakeFollower,
        ended: Callable[[str, str], None],
        timeouts: Timeouts,
    ) -> None:
        self.record = record
        self.inbox = inbox
        self._shared = shared
        self._follower, self._ended = follower, ended
        # Nobody waits for these runs.
        self._timeouts = replace(timeouts, idle=None, total=None)
        self._opening: asyncio.Task[None] | None = None
        self._adopting: asyncio.Task[None] | None = None
        self._adopted: dict[str, str] = {}
        self._closing: asyncio.Task[None] | None = None

    def adopted_in(self, session: str, canonical: Callable[[str], str]) -> list[str]:
        """The runs of a session that nobody asks for, and that go on as far as is known."""
        return [run_id for run_id, key in self._adopted.items() if canonical(key) == session]

    # The beginning and the end.

    async def open(self, router: Router, missed: MissedMessages) -> None:
        """Read what is kept, before there is a connection. Raises JournalError."""
        if self._opening is None or (self._opening.done() and not _succeeded(self._opening)):
            self._opening = asyncio.get_running_loop().create_task(self._open(router, missed), name="openclaw-journal")
        await asyncio.shield(self._opening)

    async def _open(self, router: Router, missed: MissedMessages) -> None:
        kept = await self._shared.journal.open(self.record.user)
        self.record.restore(kept.runs)
        for run in kept.runs:
            router.known(run.run_id)
            if run.sent_run.answered_run is not None:
                router.known(run.sent_run.answered_run)
        missed.restore(kept.places, [run.sent_run for run in kept.runs if run.state != "queued"])
        self._shared.used()

    def stop(self) -> None:
        """The client is disconnected: nothing is adopted or handed out any more."""
        self._opening = None
        if self._adopting is not None:
            self._adopting.cancel()
            self._adopting = None
        self._adopted.clear()
        self.record.flush()

    async def closed(self, gone: Coroutine[Any, Any, None]) -> None:
        """Wait for the socket, and let others have the journal."""
        try:
            await gone
        finally:
            await self.inbox.stop()
            await self.inbox.done(LAST_HANDLER)
            if self._opening is None and self._shared.alone:
                if self.inbox.busy:
                    # Its handler may be who disconnects.
                    self._closing = asyncio.get_running_loop().create_task(self._close_later(), name="openclaw-journal")
                else:
                    await self._shared.close()

    async def _close_later(self) -> None:
        await self.inbox.done()
        if self._opening is None:
            await self._shared.close()

    # Runs.

    def adopt(self, router: Router) -> None:
        """There is a connection: look for the end of the runs that nobody follows, and hand out what waits.

        Not before: handlers may want to send something.
        """
        self._shared.used()
        self.inbox.start()
        if self._adopting is None or self._adopting.done():
            self._adopting = asyncio.get_running_loop().create_task(self._adopt(router), name="openclaw-adopt")

    async def _adopt(self, router: Router) -> None:
        runs = [run for run in self.record.open.values() if run.state == "sent" and not router.runs_of(run.run_id)]
        if len(runs) > MAX_ADOPTED:
            logger.info("%d runs are open; the newest %d are looked for", len(runs), MAX_ADOPTED)
        for run in sorted(runs, key=lambda one: one.sent_at)[-MAX_ADOPTED:]:
            sent = run.sent_run
            address = RunAddress(sent.run_id, sent.session_key, sent, adopted=True)
            self._adopted[sent.run_id] = sent.session_key
            ended = partial(self._on_ended, sent.run_id)
            try:
                await self._follower(address, Unheard(ended), self._timeouts).begin()
            except GatewayError as error:
                # It is looked for again on the next connection.
                ended()
                logger.debug("the run %s cannot be followed: %s", sent.run_id, error)

    def _on_ended(self, run_id: str, *_told: object) -> None:
        session_key = self._adopted.pop(run_id, None)
        if session_key is not None:
            self._ended(session_key, run_id)

    async def pending(self) -> tuple[PendingRun, ...]:
        """The runs on the list, oldest first."""
        return await self._shared.journal.pending(self.record.user)

    async def forget(self, run_id: str) -> bool:
        """Take a run off the list."""
        self.record.drop(run_id)
        return await self._shared.journal.forget(self.record.user, run_id)

    def known(self, run_id: str) -> SentRun | None:
        """The facts of an open run. From any thread."""
        found = self.record.open.get(run_id)
        return found.sent_run if found is not None else None


def _succeeded(task: asyncio.Task[None]) -> bool:
    return not task.cancelled() and task.exception() is None
