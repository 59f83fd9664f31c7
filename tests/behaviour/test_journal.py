"""Clients with a journal: what is under way, said or half handled when their process dies is there for the next one.

A process dies by being forgotten: the next client gets the journal's file as it is at that moment.
"""

from __future__ import annotations

import asyncio
import shutil
import sqlite3
from collections.abc import Callable
from contextlib import closing
from itertools import count
from pathlib import Path
from typing import Any

import pytest

from openclaw_client import ProactiveMessage, RunCompleted
from openclaw_client.errors import JournalError, NotConnected, RequestFailed, UsageError
from openclaw_client.journal.memory import MemoryJournal
from openclaw_client.journal.sqlite import SqliteJournal
from openclaw_client.testing import BlockingEmbeddedGateway
from tests.behaviour.test_attach import WHOLE, asked, begun, never_sent, read
from tests.behaviour.test_resume import gated
from tests.faces import Face, inner
from tests.waiting import PATIENCE, until

Make = Callable[..., Any]
Start = Callable[..., BlockingEmbeddedGateway]

RELEASES = pytest.mark.parametrize("release", ["2026.2.17", "2026.4.15", "2026.6.1", "2026.9.6"])


class Process:
    """The journal of one application, and the clients of its processes, one after the other."""

    def __init__(self, make: Make, folder: Path) -> None:
        self._make = make
        self._folder = folder
        self._numbers = count()
        self.path = folder / "journal-0.db"

    def client(self, gateway: BlockingEmbeddedGateway, **options: Any) -> Any:
        """A client of the process that lives."""
        return self._make(gateway, journal=self.path, **options)

    def dies(self) -> None:
        """What the process does from now on no other one will ever know."""
        before, self.path = self.path, self._folder / f"journal-{next(self._numbers) + 1}.db"
        for end in ("", "-wal"):
            if Path(f"{before}{end}").exists():
                shutil.copy(f"{before}{end}", f"{self.path}{end}")


@pytest.fixture
def process(make: Make, tmp_path: Path) -> Process:
    return Process(make, tmp_path)


async def listed(client: Any) -> list[tuple[str, str]]:
    """State and message of the runs on the list."""
    return [(run.state, run.message) for run in await client.pending()]


async def until_listed(client: Any, *expected: tuple[str, str]) -> None:
    async with asyncio.timeout(PATIENCE):
        # Each look waits for the file.
        while await listed(client) != list(expected):
            pass


# Runs.


@RELEASES
@pytest.mark.parametrize("how", ["what is listed", "its facts", "its id", "its message again"])
async def test_a_run_outlives_its_process(process: Process, start_gateway: Start, release: str, how: str) -> None:
    gateway = start_gateway(gated, release=release)
    async with process.client(gateway) as first:
        run = await begun(first)
        await until_listed(first, ("sent", "x"))
        process.dies()
        heard: list[str] = []
        second = process.client(gateway)
        second.on_proactive_message(lambda user, message: heard.append(message.text))
        (pending,) = await second.pending()
        assert (pending.run_id, pending.session_key, pending.user) == (run.run_id, "main", "")
        async with second:
            if how == "its message again":
                again = second.chat_stream(session_key="main", message="x", idempotency_key=run.run_id)
            else:
                what = {"what is listed": pending, "its facts": pending.sent_run, "its id": run.run_id}[how]
                again = second.chat_attach(what)
            async with again:
                gateway.release()
                assert (await again.result()).text == WHOLE
            assert asked(gateway) == 1
            await until_listed(second)
            assert heard == [], "its own reply is nobody's message"


@RELEASES
async def test_a_reply_that_came_while_nobody_waited_for_it(
    process: Process, start_gateway: Start, release: str
) -> None:
    gateway = start_gateway(gated, release=release)
    async with process.client(gateway) as first:
        await begun(first)
        process.dies()
        gateway.release()
        await until(lambda: not gateway.active_runs)
    heard: list[str] = []
    async with process.client(gateway) as second:
        second.on_proactive_message(lambda user, message: heard.append(message.text))
        # Nobody asks for it, and its end is looked for.
        await until_listed(second, ("answered", "x"))
        (pending,) = await second.pending()
        assert (pending.end, pending.text) == ("final", WHOLE)
        pages = gateway.seen.requests["chat.history"]
        async with second.chat_attach(pending, offset=4) as run:
            events = [event async for event in run]
            reply = await run.result()
        assert (reply.text, reply.recovered, type(events[-1])) == (WHOLE, True, RunCompleted)
        assert events[0].text == WHOLE[4:]
        assert gateway.seen.requests["chat.history"] == pages, "it was written down"
        await until_listed(second)
    assert (heard, asked(gateway)) == ([], 1)


@RELEASES
async def test_what_was_never_sent_is_sent_by_who_asks_for_it(
    process: Process, start_gateway: Start, release: str
) -> None:
    gateway = start_gateway(gated, release=release)
    async with process.client(gateway) as first:
        await begun(first)
        waits = asyncio.create_task(first.chat_send(session_key="main", message="waits", idempotency_key="later"))
        await until_listed(first, ("sent", "x"), ("queued", "waits"))
        process.dies()
    await asyncio.gather(waits, return_exceptions=True)
    gateway.release()
    async with process.client(gateway) as second:
        await until_listed(second, ("answered", "x"), ("queued", "waits"))
        assert asked(gateway, "waits") == 0, "nothing is sent by itself"
        run = second.chat_attach("later")
        async with run:
            await until(lambda: gateway.active_runs)
            gateway.release()
            assert (await run.result()).text == "beginning of waits"
        await until_listed(second, ("answered", "x"))
    assert asked(gateway, "waits") == 1


async def test_a_message_that_was_refused_leaves_nothing(process: Process, start_gateway: Start) -> None:
    gateway = start_gateway()
    async with process.client(gateway) as client:
        with pytest.raises(RequestFailed, match="unexpected property"):
            await client.chat_send(session_key="main", message="x", idempotency_key="key", unheard_of=1)
        assert await listed(client) == []
        assert (await client.chat_send(session_key="main", message="y", idempotency_key="key")).text
    with pytest.raises(NotConnected):
        await client.chat_send(session_key="main", message="z")
    assert [run.message for run in await client.pending()] == []
    await client.disconnect()


async def test_a_key_belongs_to_one_message(process: Process, start_gateway: Start) -> None:
    gateway = start_gateway()
    async with process.client(gateway) as client:
        reply = await client.chat_send(session_key="main", message="x", idempotency_key="key")
        again = await client.chat_send(session_key="agent:main:main", message="x", idempotency_key="key")
        assert again.text == reply.text
        for other in ({"message": "y"}, {"session_key": "other"}, {"attachments": [{"content": "aGk="}]}):
            arguments: dict[str, Any] = {"session_key": "main", "message": "x", **other}
            with pytest.raises(UsageError, match="another message was sent with this idempotency_key"):
                await client.chat_send(idempotency_key="key", **arguments)
    assert asked(gateway) == 1


async def test_a_reply_is_taken_when_its_caller_has_it(process: Process, start_gateway: Start) -> None:
    gateway = start_gateway()
    async with process.client(gateway) as client:
        async with client.chat_stream(session_key="main", message="left") as left:
            pass
        await until_listed(client, ("answered", "left"))
        await client.chat_send(session_key="main", message="waited for")
        await read(client.chat_stream(session_key="main", message="read"))
        await until_listed(client, ("answered", "left"))
        assert await client.forget(left.run_id) is True
        assert await client.forget(left.run_id) is False
        await client.chat_send(session_key="main", message="the last one")
    # Who disconnects has had time to store it.
    assert await listed(process.client(gateway)) == []


@pytest.mark.parametrize("attached", ["fresh", "restored"])
async def test_a_message_with_files_needs_them_once_more(process: Process, start_gateway: Start, attached: str) -> None:
    gateway = start_gateway(gated)
    files = [{"type": "image", "mimeType": "image/png", "fileName": "a.png", "content": "aGk="}]
    async with process.client(gateway) as first:
        await begun(first)
        waits = asyncio.create_task(
            first.chat_send(session_key="main", message="waits", idempotency_key="later", attachments=files)
        )
        await until_listed(first, ("sent", "x"), ("queued", "waits"))
        process.dies()
    await asyncio.gather(waits, return_exceptions=True)
    gateway.release()
    async with process.client(gateway) as second:
        if attached == "restored":
            with pytest.raises(UsageError, match="are not kept"):
                await second.chat_attach("later").result()
            assert ("queued", "waits") in await listed(second)
        else:
            sending = second.chat_stream(
                session_key="main", message="waits", idempotency_key="later", attachments=files
            )
            async with sending:
                await until(lambda: gateway.active_runs)
                gateway.release()
                assert (await sending.result()).text == "beginning of waits"


async def test_a_run_that_others_sent_is_followed_as_without(process: Process, start_gateway: Start) -> None:
    gateway = start_gateway(gated)
    async with process.client(gateway) as client:
        run = client.chat_attach(never_sent())
        async with run:
            await until(lambda: gateway.active_runs)
            # From now on it is this user's own.
            assert await listed(client) == [("sent", "x")]
            gateway.release()
            assert (await run.result()).text == WHOLE


async def test_a_client_that_is_cut_off_leaves_its_run_on_the_list(process: Process, start_gateway: Start) -> None:
    gateway = start_gateway(gated)
    async with process.client(gateway) as client:
        await begun(client)
    assert await listed(process.client(gateway)) == [("sent", "x")]


@pytest.mark.parametrize("release", ["2026.2.17", "2026.4.15"])
async def test_a_reply_is_known_as_ones_own_by_what_was_written_before_the_first_byte(
    process: Process, start_gateway: Start, release: str
) -> None:
    gateway = start_gateway(gated, release=release)
    heard = Heard()
    async with process.client(gateway) as first:
        first.on_proactive_message(heard)
        await begun(first)
        process.dies()
    # Rows of these releases name no run, and what was noted behind the first byte is lost.
    with closing(sqlite3.connect(process.path)) as db:
        db.execute("UPDATE place SET sent = x''")
        db.commit()
    gateway.release()
    await until(lambda: not gateway.active_runs)
    gateway.say("main", "a mark")
    second = process.client(gateway)
    second.on_proactive_message(heard)
    async with second:
        await until(lambda: heard.told)
        await until_listed(second, ("answered", "x"))
    assert [text for text, _ in heard.told] == ["a mark"]


# Messages that nobody asked for.


class Heard:
    """A handler: raises as often as it is told to, and remembers."""

    def __init__(self, failures: int = 0) -> None:
        self.failures = failures
        self.told: list[tuple[str, int]] = []

    def __call__(self, user: Any, message: ProactiveMessage) -> None:
        self.told.append((message.text, message.delivery))
        if self.failures:
            self.failures -= 1
            raise RuntimeError("not now")


@pytest.fixture
def at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """No pauses between deliveries."""
    monkeypatch.setattr("openclaw_client.journal.delivery.PAUSES", (0.0, 0.0, 0.0, 0.0))


@pytest.mark.usefixtures("at_once")
async def test_a_handler_that_raises_gets_the_message_again(process: Process, start_gateway: Start) -> None:
    gateway = start_gateway()
    bad, good = Heard(failures=2), Heard()
    async with process.client(gateway) as client:
        client.on_proactive_message(bad)
        client.on_proactive_message(good)
        gateway.say("main", "one")
        gateway.say("main", "two")
        await until(lambda: bad.told[-1:] == [("two", 1)])
    assert bad.told == [("one", 1), ("one", 2), ("one", 3), ("two", 1)], "the later one waits"
    assert good.told == bad.told


@pytest.mark.usefixtures("at_once")
async def test_a_message_that_no_handler_can_take_is_given_up(
    process: Process, start_gateway: Start, caplog: pytest.LogCaptureFixture
) -> None:
    gateway = start_gateway()
    heard = Heard(failures=5)
    async with process.client(gateway) as client:
        client.on_proactive_message(heard)
        gateway.say("main", "one")
        gateway.say("main", "two")
        await until(lambda: heard.told[-1:] == [("two", 1)])
    assert heard.told == [("one", number) for number in range(1, 6)] + [("two", 1)]
    assert "is given up" in caplog.text
    assert [kept.message.text for kept in await SqliteJournal(process.path).dead()] == ["one"]


async def test_a_message_whose_handler_died_comes_again(process: Process, start_gateway: Start) -> None:
    gateway = start_gateway()
    heard = Heard()
    # A handler whose process dies is one that comes to no end.
    journal = MemoryJournal()
    async with process.client(gateway) as first:
        first.on_proactive_message(heard)
        gateway.say("main", "one")
        await until(lambda: heard.told)
    again = Heard()
    message = ProactiveMessage("1", "half handled", "main", "r", "run")
    await journal.receive("", [message])
    await journal.deliver("", "1")
    async with process._make(gateway, journal=journal) as second:
        second.on_proactive_message(again)
        await until(lambda: again.told)
    assert again.told == [("half handled", 2)]


@RELEASES
async def test_what_was_said_while_no_process_lived_comes_first(
    process: Process, start_gateway: Start, release: str
) -> None:
    gateway = start_gateway(release=release)
    heard = Heard()
    async with process.client(gateway) as first:
        first.on_proactive_message(heard)
        await first.chat_send(session_key="main", message="own")
        gateway.say("main", "one")
        await until(lambda: heard.told)
    process.dies()
    gateway.say("main", "two")
    gateway.say("main", "three")
    later = Heard()
    second = process.client(gateway)
    second.on_proactive_message(later)
    async with second:
        gateway.say("main", "four")
        await until(lambda: len(later.told) >= 3)
        gateway.say("main", "five")
        await until(lambda: len(later.told) >= 4)
    assert [text for text, _ in later.told] == ["two", "three", "four", "five"]


async def test_without_a_handler_messages_wait(process: Process, start_gateway: Start) -> None:
    gateway = start_gateway()
    heard = Heard()
    async with process.client(gateway) as client:
        await client.chat_send(session_key="main", message="own")
        gateway.say("main", "one")
        await client.request("health")
        client.on_proactive_message(heard)
        await until(lambda: heard.told)
        gateway.say("main", "two")
        await until(lambda: len(heard.told) >= 2)
    assert heard.told == [("one", 1), ("two", 1)]


class Full(MemoryJournal):
    """A journal on a disk that is full for a while."""

    is_full = True

    async def receive(self, user: str, messages: Any, place: Any = None) -> Any:
        if self.is_full:
            raise JournalError(message="the disk is full", path="journal.db", reason="full")
        return await super().receive(user, messages, place)


@RELEASES
@pytest.mark.parametrize("room", [2, 100])
async def test_what_cannot_be_written_down_is_handed_out_when_it_can_be(
    make: Make, start_gateway: Start, monkeypatch: pytest.MonkeyPatch, release: str, room: int
) -> None:
    monkeypatch.setattr("openclaw_client.client.inbox.MAX_UNWRITTEN", room)
    monkeypatch.setattr("openclaw_client.client.inbox.PAUSES", (0.01,))
    gateway, journal, heard = start_gateway(release=release), Full(), Heard()
    client = make(gateway, journal=journal)
    client.on_proactive_message(heard)
    async with client:
        await client.chat_send(session_key="main", message="own")
        said = [f"message {number}" for number in range(5)]
        for text in said:
            gateway.say("main", text)
        # Behind the last of them.
        await client.request("health")
        assert heard.told == [], "it is not handed out yet"
        journal.is_full = False
        gateway.say("main", "the mark")
        await until(lambda: len(heard.told) >= 6)
    assert sorted(heard.told) == [*((text, 1) for text in said), ("the mark", 1)]


# Around it.


async def test_a_journal_has_one_owner(process: Process, start_gateway: Start, tmp_path: Path) -> None:
    gateway = start_gateway()
    async with process.client(gateway):
        other = process._make(gateway, journal=SqliteJournal(process.path, wait=0.0))
        with pytest.raises(JournalError) as caught:
            await other.connect()
        assert (caught.value.reason, caught.value.path) == ("in_use", str(process.path))
    # The file is free again.
    async with process.client(gateway):
        pass


async def test_without_a_journal_nothing_is_written_down(make: Make, gateway: BlockingEmbeddedGateway) -> None:
    client = make(gateway)
    for call in (client.pending, lambda: client.forget("x")):
        with pytest.raises(UsageError, match="has no journal"):
            await call()


async def test_what_is_no_journal_or_no_user_of_one(make: Make, gateway: BlockingEmbeddedGateway) -> None:
    for wrong in (5, SqliteJournal):
        with pytest.raises(UsageError, match="journal= must be a path or a journal"):
            make(gateway, journal=wrong)
    with pytest.raises(UsageError, match="with a journal a user is a str, not int"):
        make(gateway, journal=MemoryJournal(), user=5)


async def test_the_users_of_a_manager(
    face: Face, process: Process, start_gateway: Start, make: Make, tmp_path: Path
) -> None:
    from openclaw_client import Credentials

    gateway = start_gateway(gated)
    heard: list[tuple[str, str]] = []

    def credentials(user: str) -> Credentials:
        return Credentials(gateway.url, token=gateway.token, sessions=[user])

    async with face.manager(credentials, journal=process.path) as manager:
        for user in ("ann", "bob"):
            client = await manager.connection_for(user)
            async with client.chat_stream(session_key=user, message=f"from {user}") as run:
                assert await anext(run.text_stream) == "beginning"
        process.dies()
    async with face.manager(credentials, journal=process.path) as manager:
        manager.on_proactive_message(lambda user, message: heard.append((user, message.text)))
        assert [run.message for run in await manager.pending("ann")] == ["from ann"]
        assert [(run.user, run.state) for run in await manager.pending()] == [("ann", "sent"), ("bob", "sent")]
        for pending in await manager.pending():
            client = await manager.connection_for(pending.user)
            async with client.chat_attach(pending) as run:
                gateway.release(pending.run_id)
                assert (await run.result()).text == f"beginning of from {pending.user}"
        gateway.say("ann", "for ann")
        await until(lambda: heard)
    assert heard == [("ann", "for ann")]
    with pytest.raises(UsageError, match="has no journal"):
        await inner_pending(face, credentials)


async def inner_pending(face: Face, credentials: Any) -> None:
    async with face.manager(credentials) as manager:
        assert inner(manager) is not None
        await manager.pending()
