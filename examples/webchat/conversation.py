"""One user's conversation: the connection behind it, the runs in it, and the feed for that user's pages.

Sending does not depend on a page: the reply goes on when the page is closed, and is there when it is opened again.
"""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import logging
import time
import uuid
from collections.abc import AsyncIterator, Callable, Iterator
from typing import Any, Final

from examples.webchat import words
from examples.webchat.desk import Desk
from examples.webchat.entries import (
    Change,
    Entry,
    change,
    history_entries,
    merge,
    proactive_entry,
    reply_entries,
    settled,
    waits,
    with_files,
)
from examples.webchat.feed import Feed, Told
from openclaw_client import (
    AgentFile,
    AsyncChatRun,
    AsyncConnectionManager,
    AsyncGatewayClient,
    ConnectionState,
    GatewayError,
    ProactiveMessage,
    StateChange,
)
from openclaw_client.errors import RunFailed

logger = logging.getLogger("webchat")

KEPT: Final = 200
"""Entries of a conversation that are kept and shown; the gateway has the rest."""
WAITING: Final = 10
"""Messages of one user that may wait for a reply: nobody types ahead further than that."""

LOOK: Final = 0.2
"""Seconds between two looks whether a run waits for another: quicker than a person wonders."""

_ENDED = (ConnectionState.DISCONNECTED, ConnectionState.PAUSED)


class TooMany(Exception):
    """The user has enough messages waiting."""


class Conversation:
    """For one user, on one event loop."""

    def __init__(self, user: str, session_key: str, manager: AsyncConnectionManager) -> None:
        self.user = user
        self.session_key = session_key
        self.feed = Feed(self._snapshot)
        self.desk = Desk(self.feed.publish)
        self.entries: list[Entry] = []
        self._manager = manager
        self._client: AsyncGatewayClient | None = None
        self._connection = {"state": ConnectionState.DISCONNECTED.value, "problem": ""}
        self._loaded = False
        self._stale = True
        # Rows of the last absence that name no run: the client hands the same messages out, under ids of its own.
        self._nameless: list[Entry] = []
        self._pages = 0
        self._poke = asyncio.Event()
        self._attendant: asyncio.Task[None] | None = None
        self._tasks: dict[str, asyncio.Task[None]] = {}
        self._runs: dict[str, AsyncChatRun] = {}

    # Pages.

    async def follow(self, last_id: str | None) -> AsyncIterator[Told]:
        """The feed for one page. While there is a page, the user's connection is kept up."""
        self._pages += 1
        if self._attendant is None:
            self._attendant = asyncio.create_task(self._attend(), name=f"webchat {self.user}")
        try:
            async with contextlib.aclosing(self.feed.follow(last_id)) as told:
                async for event in told:
                    yield event
        finally:
            self._pages -= 1
            self._poke.set()

    async def close(self) -> None:
        """End all that goes on here; runs go on at the gateway."""
        self.feed.close()
        tasks = [*self._tasks.values(), *([self._attendant] if self._attendant is not None else [])]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        await self.desk.close()

    # Messages.

    def send(self, text: str, key: str) -> str:
        """Begin to send; returns the id of the reply's entry. The same key again is the same message."""
        # A gateway knows a message by its key, whoever sent it: one user's key must never be another's.
        run_id = str(uuid.uuid5(uuid.NAMESPACE_URL, f"{self.session_key}#{key}"))
        if self._find(run_id) is None:
            if len(self._tasks) >= WAITING:
                raise TooMany
            for entry in reply_entries(run_id, text, _now()):
                self._add(entry)
            self._start(run_id, text)
        return run_id

    def again(self, ident: str) -> bool:
        """Send a message again whose reply failed; False where there is nothing to repeat."""
        entry, question = self._find(ident), self._find(f"{ident}:user")
        if entry is None or question is None or not entry.retry or ident in self._tasks:
            return False
        entry.begin_again()
        self._tell(("entry", entry.shown()))
        self._start(ident, question.text)
        return True

    async def abort(self, ident: str) -> bool:
        """Stop a reply, or take back a message that still waits for its turn. Raises GatewayError."""
        entry, task, run = self._find(ident), self._tasks.get(ident), self._runs.get(ident)
        if entry is None or task is None:
            return False
        if run is not None:
            return (await run.abort()).aborted
        task.cancel()
        entry.state, entry.status, entry.problem = "aborted", "", "Taken back."
        self._tell(("entry", entry.shown()))
        if self._client is not None and self._client.connected:
            # It may be on its way already.
            await self._client.chat_abort(session_key=self.session_key, run_id=entry.run_id)
        return True

    def receive(self, message: ProactiveMessage) -> None:
        """A message that nobody here asked for."""
        if self._find(message.id) is not None:
            return
        entry = proactive_entry(message, _now())
        row = next((row for row in self._nameless if row.reads_as(entry)), None)
        if row is None:
            self._add(entry)
        else:
            self._nameless.remove(row)
            row.source, row.run_id = message.kind, message.run_id
            self._tell(("entry", row.shown()))

    async def file(self, ident: str) -> tuple[AgentFile, bytes]:
        """A file that was sent in this conversation. KeyError where none of this id was. Raises GatewayError."""
        client = await self._manager.connection_for(self.user)
        for file in await client.files(session_key=self.session_key):
            if file.artifact_id == ident:
                return file, await client.download(file)
        raise KeyError(ident)

    async def retry_now(self) -> None:
        """Try to reach the gateway at once."""
        if self._client is not None and self._client.state is ConnectionState.RECONNECTING:
            self._client.retry_now()
        elif not self._manager.user_connected(self.user):
            # The manager remembers a refusal for a while; somebody says that things have changed.
            await self._manager.disconnect(self.user)
        self._poke.set()

    # One run.

    def _start(self, ident: str, text: str) -> None:
        task = asyncio.create_task(self._converse(ident, text), name=f"webchat run {ident}")
        self._tasks[ident] = task
        task.add_done_callback(lambda _: self._ended(ident))

    def _ended(self, ident: str) -> None:
        self._tasks.pop(ident, None)
        # A history that was read during the run lacks its end.
        self._poke.set()

    async def _converse(self, ident: str, text: str) -> None:
        entry = self._find(ident)
        assert entry is not None
        try:
            client = await self._manager.connection_for(self.user)
            self._watch(client)
            run = client.chat_stream(
                session_key=self.session_key, message=text, idempotency_key=entry.run_id, details=True
            )
            async with self._waits_told(entry, run), run:
                self._runs[ident] = run
                async for event in run:
                    self._tell(change(entry, event))
                reply = await run.result()
            self._tell(with_files(entry, reply.files or ()))
            if reply.merged_into:
                entry.problem = "Answered together with the message before it."
                self._tell(("entry", entry.shown()))
            if reply.pending_approval is not None and not entry.text:
                entry.note = words.LATER
                self._tell(("entry", entry.shown()))
        except GatewayError as error:
            logger.warning("%s: %s", self.user, error)
            self._fail(entry, error)
        finally:
            self._runs.pop(ident, None)

    @contextlib.asynccontextmanager
    async def _waits_told(self, entry: Entry, run: AsyncChatRun) -> AsyncIterator[None]:
        """Show in the entry when the run waits for another one: no event tells of that before the message is sent."""

        async def look() -> None:
            while True:
                self._tell(waits(entry, run.activity.kind == "waiting"))
                await asyncio.sleep(LOOK)

        looking = asyncio.create_task(look(), name=f"webchat look {entry.id}")
        try:
            yield
        finally:
            looking.cancel()

    def _fail(self, entry: Entry, error: GatewayError) -> None:
        entry.state, entry.status, entry.problem, entry.retry = "failed", "", words.explain(error), True
        if isinstance(error, RunFailed):
            # The gateway answers a key that it knows with the failure that it knows. In every other case the same key
            # is what keeps the message from being run twice.
            entry.run_id = str(uuid.uuid4())
        self._tell(("entry", entry.shown()))

    # The connection.

    async def _attend(self) -> None:
        """While somebody looks: hold the connection, so that what nobody asked for arrives."""
        delays = _delays()
        while self._pages:
            wait: float | None = next(delays)
            self._poke.clear()
            try:
                async with self._manager.hold(self.user) as client:
                    delays = _delays()
                    self._watch(client)
                    await self._listen(client)
            except words.FINAL as error:
                self._show_problem(error)
                wait = None
            except GatewayError as error:
                self._show_problem(error)
            await self._nap(wait)
        self._attendant = None

    async def _listen(self, client: AsyncGatewayClient) -> None:
        """Read the history after every time in which nobody listened, until the client or the last page is gone."""
        while self._pages and client.state not in _ENDED:
            self._poke.clear()
            if self._stale and client.connected:
                await self._read_history(client)
            await self._nap(None)

    async def _nap(self, seconds: float | None) -> None:
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                await self._poke.wait()

    def _watch(self, client: AsyncGatewayClient) -> None:
        if client is self._client:
            return
        self._client = client
        self._stale = True
        client.on_state_change(lambda changed: self._on_state(client, changed))
        self.desk.watch(client)
        self._show_connection(client.state)

    def _on_state(self, client: AsyncGatewayClient, changed: StateChange) -> None:
        if client is not self._client:
            return
        self._show_connection(changed.new)
        self._stale = self._stale or changed.old is ConnectionState.CONNECTED
        self._poke.set()

    async def _read_history(self, client: AsyncGatewayClient) -> None:
        self._stale = False
        try:
            page = await client.chat_history(session_key=self.session_key, limit=KEPT)
        except GatewayError:
            self._stale = True
            raise
        self._stale = self._stale or bool(self._tasks)
        merged = merge(self.entries, settled(history_entries(page.messages), self.entries))[-KEPT:]
        if merged != self.entries or not self._loaded:
            if self._loaded:
                self._nameless = [
                    row for row in merged if not row.run_id and row.role != "user" and row not in self.entries
                ]
            self.entries, self._loaded = merged, True
            self.feed.publish("snapshot", self._snapshot())

    def _show_problem(self, error: GatewayError) -> None:
        logger.warning("%s: %s", self.user, error)
        state = self._client.state if self._client is not None else ConnectionState.DISCONNECTED
        self._show_connection(state, words.connection_problem(error))

    def _show_connection(self, state: ConnectionState, problem: str = "") -> None:
        shown = {"state": state.value, "problem": problem or words.CONNECTION[state]}
        if shown != self._connection:
            self._connection = shown
            self.feed.publish("connection", shown)

    # What is shown.

    def _snapshot(self) -> dict[str, Any]:
        return {
            "user": self.user,
            "connection": self._connection,
            "loaded": self._loaded,
            "entries": [entry.shown() for entry in self.entries],
            "asks": self.desk.shown(),
            "now": _now(),
        }

    def _find(self, ident: str) -> Entry | None:
        return next((entry for entry in self.entries if entry.id == ident), None)

    def _add(self, entry: Entry) -> None:
        self.entries = [*self.entries[1 - KEPT :], entry]
        self._tell(("entry", entry.shown()))

    def _tell(self, change: Change | None) -> None:
        if change is not None:
            self.feed.publish(*change)


class Conversations:
    """Every user's, made when first asked for. make_key: the session key of a user."""

    def __init__(self, manager: AsyncConnectionManager, make_key: Callable[[str], str]) -> None:
        self._manager = manager
        self._make_key = make_key
        self._all: dict[str, Conversation] = {}

    def of(self, user: str) -> Conversation:
        found = self._all.get(user)
        if found is None:
            found = self._all[user] = Conversation(user, self._make_key(user), self._manager)
        return found

    def receive(self, user: str, message: ProactiveMessage) -> None:
        """Hand a message to the one whose connection it came over."""
        self.of(user).receive(message)

    def end_feeds(self) -> None:
        """Let every page go, so that a server that stops need not wait for them."""
        for conversation in self._all.values():
            conversation.feed.close()

    async def close(self) -> None:
        await asyncio.gather(*(conversation.close() for conversation in self._all.values()))


def _delays() -> Iterator[float]:
    return itertools.chain((1.0, 2.0, 5.0), itertools.repeat(10.0))


def _now() -> float:
    return time.time() * 1000
