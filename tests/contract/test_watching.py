"""The list of sessions and the rows of one session, followed on every release that tells of them."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

import pytest

from openclaw_client import HistoryMessage, ReconnectPolicy, SessionInfo, SessionsChanged
from openclaw_client.errors import MethodUnavailable, RequestFailed
from openclaw_client.testing import PROFILES
from tests.contract.rooms import ADMIN
from tests.contract.targets import PATIENT, RELEASES, Target, device_store
from tests.faces import Face
from tests.relay import Relay

QUICK = ReconnectPolicy(initial=0.05, maximum=0.2)
CHANGING = [release for release in RELEASES if PROFILES[release].session_methods]
DESCRIBING = [release for release in RELEASES if PROFILES[release].describes]
NEAR = 60.0
"""Seconds in which a gateway tells of a change, however busy the machine is."""


def canonical(session: str) -> str:
    return f"agent:main:{session}"


class Reader:
    """Reads one stream, and remembers what it gave."""

    def __init__(self, stream: Any) -> None:
        self._stream = stream
        self.told: list[Any] = []

    async def until(self, wanted: Callable[[Any], bool]) -> Any:
        """The first from now on for which this is true."""
        before = len(self.told)
        try:
            async with asyncio.timeout(NEAR):
                while True:
                    self.told.append(await anext(self._stream))
                    if wanted(self.told[-1]):
                        return self.told[-1]
        except TimeoutError:
            raise AssertionError(f"not told within {NEAR:.0f} s; meanwhile came {self.told[before:]!r}") from None


@asynccontextmanager
async def two(face: Face, target: Target, url: str | None = None, **options: Any) -> AsyncIterator[tuple[Any, Any]]:
    """A client that watches, and another one, which may do anything."""
    given = {"token": target.token, "timeouts": PATIENT}
    mine = face.client(url or target.url, identity=device_store(), reconnect=QUICK, **given, **options)
    theirs = face.client(target.url, identity=device_store(), scopes=ADMIN, **given)
    async with mine, theirs:
        yield mine, theirs


def found(session: str, **wanted: Any) -> Callable[[SessionsChanged], bool]:
    """Whether a list has this session, with these values."""

    def matches(one: SessionInfo) -> bool:
        return one.key == canonical(session) and all(getattr(one, name) == value for name, value in wanted.items())

    return lambda told: any(map(matches, told.sessions))


def absent(session: str) -> Callable[[SessionsChanged], bool]:
    return lambda told: all(one.key != canonical(session) for one in told.sessions)


async def test_the_list_follows_a_run_of_another_client(face: Face, target: Target, session: str) -> None:
    async with two(face, target) as (mine, theirs), mine.watch_sessions() as stream:
        reader = Reader(stream)
        if not target.profile.session_methods:
            with pytest.raises(MethodUnavailable):
                await reader.until(lambda _: True)
            return
        first = await reader.until(lambda _: True)
        assert sorted(first.changed) == sorted(one.key for one in first.sessions)
        assert absent(session)(first)
        run = asyncio.create_task(theirs.chat_send(session_key=session, message="stub:slow 20 50"))
        await reader.until(found(session, active=True))
        done = await reader.until(found(session, active=False, status="done"))
        assert (await run).state == "final"
        info = next(one for one in done.sessions if one.key == canonical(session))
        assert done.sessions[0] == info
        assert info.model
        assert info.provider
        assert info.updated_at
        assert info.session_id


@pytest.mark.release(*CHANGING)
async def test_the_list_follows_what_is_done_to_a_session(face: Face, target: Target, session: str) -> None:
    async with two(face, target) as (mine, theirs), mine.watch_sessions() as stream:
        if not target.real and not target.profile.more_methods:
            with pytest.raises(RequestFailed, match="does not serve"):
                await theirs.request("sessions.create", {"key": canonical(session)})
            return
        reader = Reader(stream)
        await reader.until(lambda _: True)
        await theirs.request("sessions.create", {"key": canonical(session)})
        made = await reader.until(found(session))
        assert canonical(session) in made.changed
        label = f"label of {session}"
        await theirs.request("sessions.patch", {"key": session, "label": label})
        await reader.until(found(session, label=label, title=label))
        await theirs.request("sessions.patch", {"key": session, "label": None})
        await reader.until(found(session, label=None))
        await theirs.request("sessions.delete", {"key": session})
        gone = await reader.until(absent(session))
        assert canonical(session) in gone.changed
        await theirs.request("sessions.create", {"key": canonical(session)})
        again = await reader.until(found(session))
        ids = [one.session_id for told in (made, again) for one in told.sessions if one.key == canonical(session)]
        assert len(set(ids)) == 2


@pytest.mark.release(*CHANGING)
async def test_the_list_is_right_again_behind_a_cut(face: Face, target: Target, session: str) -> None:
    async with (
        Relay(target.url) as relay,
        two(face, target, relay.url) as (mine, theirs),
        mine.watch_sessions(limit=50) as stream,
    ):
        reader = Reader(stream)
        await reader.until(lambda _: True)
        relay.away = True
        relay.cut()
        await theirs.chat_send(session_key=session, message="stub:echo meanwhile")
        relay.away = False
        told = await reader.until(found(session, active=False))
        assert canonical(session) in told.changed
        await theirs.chat_send(session_key=f"{session}-2", message="stub:echo live")
        await reader.until(found(f"{session}-2", status="done"))


@pytest.mark.release(*DESCRIBING)
async def test_one_session_is_asked_for_by_its_key(face: Face, target: Target, session: str) -> None:
    async with two(face, target) as (_, theirs):
        assert await theirs.request("sessions.describe", {"key": session}) == {"session": None}
        await theirs.chat_send(session_key=session, message="stub:echo here")
        row = (await theirs.request("sessions.describe", {"key": session}))["session"]
        assert (row["key"], bool(row["sessionId"])) == (canonical(session), True)


@pytest.mark.release(*CHANGING)
async def test_nobody_sees_the_session_of_another(face: Face, target: Target, session: str) -> None:
    own = f"{session}-own"
    async with two(face, target, sessions=[own]) as (mine, theirs), mine.watch_sessions() as stream:
        reader = Reader(stream)
        assert (await reader.until(lambda _: True)).sessions == ()
        await theirs.chat_send(session_key=session, message="stub:echo secret")
        await theirs.chat_send(session_key=own, message="stub:echo open")
        await reader.until(found(own, status="done"))
        assert {one.key for told in reader.told for one in told.sessions} == {canonical(own)}
        assert session not in "".join(str(told) for told in reader.told).replace(own, "")
        # Another reader of the same client is told what is there at once.
        async with mine.watch_sessions() as second:
            assert [one.key for one in (await Reader(second).until(lambda _: True)).sessions] == [canonical(own)]


def texts(rows: list[HistoryMessage]) -> list[str]:
    """What was said, without the metadata that old releases write before a user's words."""
    return [row.text.rpartition("] ")[2] for row in rows if row.role in ("user", "assistant") and row.text]


async def test_each_row_is_told_once_over_a_cut_between_two(face: Face, target: Target, session: str) -> None:
    last = "echo: after"
    async with Relay(target.url) as relay, two(face, target, relay.url) as (mine, theirs):
        await theirs.chat_send(session_key=session, message="stub:echo before")
        async with mine.watch_session(session_key=session) as stream:
            reader = Reader(stream)
            await theirs.chat_send(session_key=session, message="stub:echo live")
            await reader.until(lambda row: row.text == "echo: live")
            relay.away = True
            relay.cut()
            await theirs.chat_send(session_key=session, message="stub:tool missed")
            await theirs.chat_inject(session_key=session, message="injected")
            relay.away = False
            await reader.until(lambda row: row.text == "injected")
            await theirs.chat_send(session_key=session, message="stub:echo after")
            await reader.until(lambda row: row.text == last)
    assert texts(reader.told) == [
        "stub:echo live",
        "echo: live",
        "stub:tool missed",
        "tool answered: missed",
        "injected",
        "stub:echo after",
        last,
    ]
    ids = [row.id for row in reader.told if row.id is not None]
    assert len(ids) == len(set(ids))
    assert [row.role for row in reader.told].count("toolResult") == 1


async def test_a_watch_goes_on_in_a_session_that_is_begun_anew(face: Face, target: Target, session: str) -> None:
    async with two(face, target) as (mine, theirs):
        await theirs.chat_send(session_key=session, message="stub:echo one")
        await theirs.chat_send(session_key=session, message="stub:echo two")
        async with mine.watch_session(session_key=session, history=2) as stream:
            reader = Reader(stream)
            await reader.until(lambda row: row.text == "echo: two")
            assert texts(reader.told) == ["stub:echo two", "echo: two"]
            await theirs.chat_send(session_key=session, message="/new")
            await theirs.chat_send(session_key=session, message="stub:echo three")
            await reader.until(lambda row: row.text == "echo: three")
            said = texts(reader.told)
            assert said[-2:] == ["stub:echo three", "echo: three"]
            assert len(said) == len(set(said))


async def test_what_a_tool_gave_is_told_in_its_place(face: Face, target: Target, session: str) -> None:
    async with two(face, target) as (mine, theirs), mine.watch_session(session_key=session) as stream:
        reader = Reader(stream)
        await theirs.chat_send(session_key=session, message="stub:tool live")
        await reader.until(lambda row: row.text == "tool answered: live")
    assert [row.role for row in reader.told] == ["user", "assistant", "toolResult", "assistant"]
