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
from openclaw_client.sessions.filter import SessionFilter
from openclaw_client.sessions.subscription import CAPABILITY, METHOD, SessionSubscriptions
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

    @property
    def asked(self) -> list[Any]:
        """The keys that were subscribed to."""
        return [
            params["key"]
            for method, params in zip(self.place.requests, self.place.params, strict=True)
            if method == METHOD
        ]


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


@pytest.mark.parametrize("why", ["shared", "without the capability", "wire v3"])
def test_nothing_is_subscribed_to_where_everything_comes(why: str) -> None:
    async def main() -> None:
        sessions = SessionFilter(["web:ann"]) if why == "shared" else None
        room = Room(sessions, replace(SETTINGS, caps=()) if why == "without the capability" else SETTINGS)
        if why == "wire v3":
            room.place.hello = {**room.place.hello, "protocol": 3}
        async with room.connected() as connection:
            room.subscriptions.begin(connection)
            room.subscriptions.catch_up()
            await room.subscriptions.ensure("web:ann")
            assert room.subscriptions.covers("web:ann")
            assert room.asked == []

    run(main())


def test_a_refusal_is_told_and_holds_nobody_up(caplog: pytest.LogCaptureFixture) -> None:
    async def main() -> None:
        room = Room()
        room.place.errors[METHOD] = ErrorShape("INVALID_REQUEST", "no such session")
        async with room.connected() as connection:
            room.subscriptions.begin(connection)
            with caplog.at_level(logging.WARNING, "openclaw_client.client"):
                await room.subscriptions.ensure("web:ann")
            assert room.subscriptions.covers("web:ann")
        assert [record.getMessage() for record in caplog.records] == [
            "events of 'web:ann' cannot be subscribed to: no such session"
        ]

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
