"""Which sessions a gateway is asked about, over connections without a socket."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from typing import Any

import pytest

from openclaw_client.connection.connection import Connection
from openclaw_client.connection.settings import Settings
from openclaw_client.connection.supervisor import Supervisor
from openclaw_client.policy.credentials import AuthInput
from openclaw_client.policy.urls import parse_url
from openclaw_client.sessions.filter import MAX_LISTED, SessionFilter
from openclaw_client.sessions.subscription import (
    AT_ONCE,
    CAPABILITY,
    METHOD,
    QUICK,
    QUICK_TRIES,
    SETTLES_WITHIN,
    SLOW,
    SLOWEST,
    UNSUBSCRIBE,
    SessionSubscriptions,
)
from openclaw_client.wire.frames import ErrorShape
from tests.connection.served import Place, supervisor
from tests.moved_clock import run, turns

SETTINGS = Settings(url=parse_url("ws://127.0.0.1:1"), credentials=AuthInput(token="sesame"), caps=(CAPABILITY,))


class Room:
    """A private client's sessions, and the gateway that it is connected to."""

    def __init__(self, sessions: SessionFilter | None = None, settings: Settings = SETTINGS) -> None:
        self.place = Place()
        self.sessions = sessions if sessions is not None else SessionFilter(["web:ann"], private=True)
        self.subscriptions = SessionSubscriptions(self.sessions, settings)
        self.made: Supervisor

    @asynccontextmanager
    async def connected(self) -> AsyncIterator[Connection]:
        self.made, _ = supervisor(self.place)
        await self.made.connect()
        assert self.made.connection is not None
        try:
            yield self.made.connection
        finally:
            await self.made.disconnect()

    async def pass_time(self, seconds: float) -> None:
        """So many seconds, in which the gateway gives signs of life."""
        for _ in range(round(seconds / 10)):
            await asyncio.sleep(10)
            self.place.served[-1].tick()

    @property
    def asked(self) -> list[Any]:
        """The keys that were subscribed to."""
        return self._keys(METHOD)

    @property
    def given_up(self) -> list[Any]:
        """The keys whose subscriptions were ended."""
        return self._keys(UNSUBSCRIBE)

    def _keys(self, name: str) -> list[Any]:
        calls = zip(self.place.requests, self.place.params, strict=True)
        return [params["key"] for method, params in calls if method == name]


def test_what_is_the_user_s_is_subscribed_to_on_each_connection() -> None:
    async def main() -> None:
        room = Room()
        for count in (1, 2):
            async with room.connected() as connection:
                room.subscriptions.begin(connection)
                assert not room.subscriptions.covers("web:ann")
                await room.subscriptions.ensure("agent:main:web:ann")
                assert room.subscriptions.covers("Web:Ann")
                assert room.asked == count * ["web:ann"]

    run(main())


def test_a_session_that_is_named_later_is_subscribed_to_once() -> None:
    async def main() -> None:
        room = Room()
        async with room.connected() as connection:
            room.subscriptions.begin(connection)
            room.sessions.mark_used("new")
            await asyncio.gather(*(room.subscriptions.ensure("new") for _ in range(5)))
            room.subscriptions.catch_up()
            await turns(5)
            assert room.asked == ["web:ann", "new"]
            # Whoever forgets it has it asked for again.
            room.subscriptions.forget("New")
            assert not room.subscriptions.covers("new")
            room.subscriptions.catch_up()
            await room.subscriptions.ensure("new")
            assert room.asked == ["web:ann", "new", "new"]

    run(main())


def test_what_is_forgotten_while_it_is_asked_for_is_asked_for_again() -> None:
    async def main() -> None:
        room = Room()
        async with room.connected() as connection:
            room.subscriptions.begin(connection)
            waiting = asyncio.ensure_future(room.subscriptions.ensure("new"))
            await asyncio.sleep(0)
            room.subscriptions.forget("new")
            await waiting
            assert not room.subscriptions.covers("new")
            await room.subscriptions.ensure("new")
            assert room.asked == ["web:ann", "new", "new"]

    run(main())


def test_who_is_cancelled_takes_the_answer_from_nobody() -> None:
    async def main() -> None:
        room = Room()
        async with room.connected() as connection:
            room.subscriptions.begin(connection)
            first, second = [asyncio.ensure_future(room.subscriptions.ensure("new")) for _ in range(2)]
            await asyncio.sleep(0)
            first.cancel()
            await second
            assert room.subscriptions.covers("new")

    run(main())


@pytest.mark.parametrize("why", ["without the capability", "wire v3", "without the scope", "2026.7.35"])
def test_nothing_is_subscribed_to_where_everything_comes(why: str) -> None:
    async def main() -> None:
        sessions = SessionFilter(["web:ann"])
        room = Room(sessions, replace(SETTINGS, caps=()) if why == "without the capability" else SETTINGS)
        hello = room.place.hello
        if why == "wire v3":
            room.place.hello = {**hello, "protocol": 3}
        if why == "2026.7.35":
            room.place.hello = {**hello, "server": {"version": why}}
        async with room.connected() as connection:
            if why == "without the scope":
                connection.granted = ("operator.approvals",)
            room.subscriptions.begin(connection)
            room.subscriptions.catch_up()
            room.subscriptions.drop("web:ann")
            await room.subscriptions.settled()
            await room.subscriptions.ensure("web:ann")
            assert room.subscriptions.covers("web:ann")
            assert room.asked == []

    run(main())


@pytest.mark.parametrize("version", ["2026.8.1", "2027.1.1", "dev"])
@pytest.mark.parametrize("granted", [None, ("operator.write",)])
def test_a_shared_client_with_a_list_subscribes_where_it_may_help(
    version: str, granted: tuple[str, ...] | None
) -> None:
    async def main() -> None:
        room = Room(SessionFilter(["web:ann"]))
        room.place.hello = {**room.place.hello, "server": {"version": version}}
        async with room.connected() as connection:
            connection.granted = granted
            room.subscriptions.begin(connection)
            await room.subscriptions.settled()
            assert room.subscriptions.covers("web:ann")
            assert room.asked == ["web:ann"]

    run(main())


def test_a_manager_s_client_subscribes_on_older_releases_too() -> None:
    async def main() -> None:
        room = Room()
        room.place.hello = {**room.place.hello, "server": {"version": "2026.6.1"}}
        async with room.connected() as connection:
            room.subscriptions.begin(connection)
            await room.subscriptions.settled()
            assert room.asked == ["web:ann"]

    run(main())


def test_a_refusal_is_told_once_holds_nobody_up_and_is_tried_again(caplog: pytest.LogCaptureFixture) -> None:
    async def main() -> None:
        room, loop = Room(), asyncio.get_running_loop()
        room.place.errors[METHOD] = ErrorShape("INVALID_REQUEST", "no such session")
        async with room.connected() as connection:
            with caplog.at_level(logging.INFO, "openclaw_client.sessions"):
                room.subscriptions.begin(connection)
                began = loop.time()
                await room.subscriptions.ensure("web:ann")
                assert loop.time() - began < 0.1
                assert room.subscriptions.covers("web:ann")
                await room.pass_time(SLOW + 2 * SLOW + 4 * SLOW)
                assert 4 <= len(room.asked) <= 5
                room.place.errors.clear()
                await room.pass_time(SLOWEST)
                tries = len(room.asked)
                await room.pass_time(2 * SLOWEST)
                assert len(room.asked) == tries
        assert [record.getMessage() for record in caplog.records] == [
            "events of 'web:ann' cannot be subscribed to, its replies come late: no such session",
            "events of 'web:ann' are subscribed to after all",
        ]

    run(main())


@pytest.mark.parametrize(
    "refusal",
    [
        ErrorShape("UNAVAILABLE", "The server is busy", retryable=True),
        ErrorShape("UNAVAILABLE", "starting", details={"reason": "startup-sidecars"}),
    ],
)
def test_who_waits_goes_on_waiting_for_a_busy_gateway(refusal: ErrorShape, caplog: pytest.LogCaptureFixture) -> None:
    async def main() -> None:
        room, loop = Room(), asyncio.get_running_loop()
        room.place.errors[METHOD] = refusal
        async with room.connected() as connection:
            room.subscriptions.begin(connection)
            waiting = asyncio.ensure_future(room.subscriptions.ensure("web:ann"))
            await asyncio.sleep(QUICK)
            assert not waiting.done()
            room.place.errors.clear()
            await waiting
            assert (room.subscriptions.covers("web:ann"), caplog.records) == (True, [])
            # Not for ever.
            room.place.errors[METHOD] = refusal
            began, before = loop.time(), len(room.asked)
            await room.subscriptions.ensure("new")
            assert len(room.asked) - before == 1 + QUICK_TRIES
            assert loop.time() - began < QUICK * 2**QUICK_TRIES
        assert len(caplog.records) == 1

    run(main())


def test_what_was_refused_is_not_held_and_what_is_under_way_is() -> None:
    async def main() -> None:
        room = Room()
        async with room.connected() as connection:
            room.subscriptions.begin(connection)
            assert room.subscriptions.holds("Web:Ann")
            await room.subscriptions.ensure("web:ann")
            assert room.subscriptions.holds("web:ann")
            assert not room.subscriptions.holds("web:bob")
        room.place.errors[METHOD] = ErrorShape("INVALID_REQUEST", "no such session")
        async with room.connected() as connection:
            room.subscriptions.begin(connection)
            await room.subscriptions.ensure("web:ann")
            assert not room.subscriptions.holds("web:ann")

    run(main())


def test_a_thousand_sessions_are_subscribed_to_some_at_a_time_the_wanted_one_first() -> None:
    async def main() -> None:
        keys = [f"web:{number}" for number in range(MAX_LISTED)]
        room = Room(SessionFilter(keys))
        room.place.unanswered.add(METHOD)
        async with room.connected() as connection:
            room.subscriptions.begin(connection)
            await turns(5)
            assert room.asked == keys[:AT_ONCE]
            waiting = asyncio.ensure_future(room.subscriptions.ensure("web:900"))
            await turns(5)
            assert len(room.asked) == AT_ONCE
            room.place.unanswered.clear()
            await waiting
            assert room.asked[AT_ONCE] == "web:900"
            await room.subscriptions.settled()
            await asyncio.sleep(1)
            assert sorted(set(room.asked)) == sorted(keys)

    run(main())


def test_the_end_of_the_connection_ends_all_waits_and_tries() -> None:
    async def main() -> None:
        room = Room(SessionFilter([f"web:{number}" for number in range(AT_ONCE + 5)]))
        room.place.unanswered.add(METHOD)
        async with room.connected() as connection:
            room.subscriptions.begin(connection)
            waiting = asyncio.ensure_future(room.subscriptions.settled())
            await turns(5)
            assert not waiting.done()
            room.subscriptions.stop()
            await waiting
            assert room.subscriptions.covers("web:0")
        room.place.unanswered.clear()
        room.place.errors[METHOD] = ErrorShape("INVALID_REQUEST", "no")
        async with room.connected() as connection:
            room.subscriptions.begin(connection)
            await room.subscriptions.settled()
            room.subscriptions.stop()
            tries = len(room.asked)
            await room.pass_time(2 * SLOW)
            assert len(room.asked) == tries

    run(main())


def test_connect_does_not_wait_for_long() -> None:
    async def main() -> None:
        room, loop = Room(), asyncio.get_running_loop()
        room.place.unanswered.add(METHOD)
        async with room.connected() as connection:
            room.subscriptions.begin(connection)
            began = loop.time()
            await room.subscriptions.settled()
            assert loop.time() - began == pytest.approx(SETTLES_WITHIN)
            await room.subscriptions.ensure("web:ann", 2)
            assert loop.time() - began == pytest.approx(SETTLES_WITHIN + 2)

    run(main())


def test_what_is_no_more_the_client_s_is_given_up() -> None:
    async def main() -> None:
        room = Room(SessionFilter(["Web:Ann", "kept"], private=True))
        async with room.connected() as connection:
            room.subscriptions.begin(connection)
            await room.subscriptions.settled()
            room.sessions.allow(["kept", "new"])
            room.subscriptions.catch_up()
            await room.subscriptions.settled()
            assert (room.asked, room.given_up) == (["Web:Ann", "kept", "new"], ["Web:Ann"])
            room.subscriptions.drop("never heard of")
            connection.close()
            room.subscriptions.drop("kept")
            assert room.given_up == ["Web:Ann"]

    run(main())


def test_the_end_of_the_connection_ends_the_wait() -> None:
    async def main() -> None:
        room = Room()
        room.place.unanswered.add(METHOD)
        async with room.connected() as connection:
            room.subscriptions.begin(connection)
            waiting = asyncio.ensure_future(room.subscriptions.ensure("web:ann"))
            await turns(5)
            assert not waiting.done()
            room.place.served[-1].cut()
            await waiting

    run(main())


def test_a_gateway_without_an_answer_is_waited_for_as_for_any_request() -> None:
    async def main() -> None:
        room = Room()
        room.place.unanswered.add(METHOD)
        loop = asyncio.get_running_loop()
        async with room.connected() as connection:
            began = loop.time()
            room.subscriptions.begin(connection)
            await room.subscriptions.ensure("web:ann")
            assert loop.time() - began == pytest.approx(SETTINGS.timeouts.request)

    run(main())


def test_a_connection_that_has_just_ended_is_asked_nothing() -> None:
    async def main() -> None:
        room = Room()
        async with room.connected() as connection:
            room.subscriptions.begin(connection)
            await room.subscriptions.ensure("web:ann")
            connection.close()
            room.sessions.mark_used("new")
            room.subscriptions.catch_up()
            await room.subscriptions.ensure("newer")
            assert room.asked == ["web:ann"]

    run(main())
