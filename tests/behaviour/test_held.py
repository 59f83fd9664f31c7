"""Unasked messages while a message of one's own is answered elsewhere: each comes once, in order, and none is one's own
answer."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

import pytest

from openclaw_client.testing import BlockingEmbeddedGateway, OutFrame
from openclaw_client.testing.faults import chat
from tests.behaviour.test_resume import gated
from tests.waiting import until

Make = Callable[..., Any]
Start = Callable[..., BlockingEmbeddedGateway]

DEFERS = pytest.mark.parametrize(
    "release", ["2026.2.17", "2026.4.15", "2026.5.12", "2026.7.35", "2026.8.1", "2026.9.6"]
)
"""2026.6.1 answers every message in a run of its own."""


class Room:
    """Two clients of one session: `other` has a run that goes on, and `client` sends into it."""

    def __init__(self, gateway: BlockingEmbeddedGateway, client: Any, other: Any) -> None:
        self.gateway, self.client, self.other = gateway, client, other
        self.messages: list[str] = []
        client.on_proactive_message(lambda user, message: self.messages.append(message.text))

    async def others_run(self) -> asyncio.Future[Any]:
        running = asyncio.ensure_future(self.other.chat_send(session_key="main", message="theirs"))
        await until(lambda: self.gateway.active_runs)
        return running

    async def deferred(self, *messages: str) -> list[asyncio.Future[Any]]:
        """Send these into the run; returns when the client knows that they are answered elsewhere."""
        told: list[str] = []

        def on_event(event: Any) -> None:
            if event.type == "run_deferred":
                told.append(event.run_id)

        sendings = []
        for message in messages:
            sendings.append(
                asyncio.ensure_future(
                    self.client.chat_send(
                        session_key="main", message=message, when_busy="send", on_event=on_event, timeout=60
                    )
                )
            )
            count = len(sendings)
            await until(lambda count=count: len(told) == count)
        return sendings

    async def finish(self, *sendings: asyncio.Future[Any]) -> list[Any]:
        """Let every run go on to its end."""
        replies = asyncio.gather(*sendings)
        while not replies.done():
            self.gateway.release()
            await asyncio.sleep(0.01)
        return await replies

    async def all_runs_end(self, theirs: asyncio.Future[Any]) -> None:
        """Let their run go on to its end, and whatever the gateway begins behind it."""
        while not theirs.done() or self.gateway.active_runs:
            self.gateway.release()
            await asyncio.sleep(0.01)

    async def everything_heard(self) -> None:
        """What was said before this is heard."""
        self.gateway.say("main", "the mark")
        await until(lambda: "the mark" in self.messages)


@DEFERS
async def test_messages_of_others_come_once_and_in_order(make: Make, start_gateway: Start, release: str) -> None:
    gateway = start_gateway(gated, release=release, busy="followup")
    async with make(gateway) as client, make(gateway) as other:
        room = Room(gateway, client, other)
        running = await room.others_run()
        [ours] = await room.deferred("ours")
        gateway.say("main", "one")
        await client.request("health")
        # Nobody can know yet whose it is.
        assert room.messages == []
        gateway.say("main", "two")
        theirs, reply = await room.finish(running, ours)
        await room.everything_heard()
    assert (theirs.text, reply.text, reply.state) == ("beginning of theirs", "beginning of ours", "final")
    assert room.messages == ["one", "two", "beginning of theirs", "the mark"]


@DEFERS
async def test_two_messages_that_are_answered_elsewhere(make: Make, start_gateway: Start, release: str) -> None:
    gateway = start_gateway(gated, release=release, busy="followup")
    async with make(gateway) as client, make(gateway) as other:
        room = Room(gateway, client, other)
        running = await room.others_run()
        ours = await room.deferred("first", "second")
        gateway.say("main", "one")
        _, first, second = await room.finish(running, *ours)
        await room.everything_heard()
    assert (first.text, second.text) == ("beginning of first", "beginning of second")
    assert room.messages == ["one", "beginning of theirs", "the mark"]


@DEFERS
async def test_messages_that_were_heard_before_are_not_held(make: Make, start_gateway: Start, release: str) -> None:
    gateway = start_gateway(gated, release=release, busy="followup")
    async with make(gateway) as client, make(gateway) as other:
        room = Room(gateway, client, other)
        running = await room.others_run()
        gateway.say("main", "before")
        await until(lambda: room.messages == ["before"])
        [ours] = await room.deferred("ours")
        # Another session's are not held either.
        gateway.say("agent:main:other", "elsewhere")
        await until(lambda: room.messages == ["before", "elsewhere"])
        await room.finish(running, ours)
        await room.everything_heard()
    assert room.messages[:2] == ["before", "elsewhere"]


@DEFERS
async def test_a_lost_event_meanwhile_doubles_nothing(make: Make, start_gateway: Start, release: str) -> None:
    """The catch-up reads the history in which the answer stands, too."""
    gateway = start_gateway(gated, release=release, busy="followup")
    async with make(gateway) as client, make(gateway) as other:
        room = Room(gateway, client, other)
        running = await room.others_run()
        [ours] = await room.deferred("ours")
        gateway.say("main", "one")
        page = gateway.faults.hold("chat.history")
        gateway.faults.drop("tick", times=2)
        gateway.tick()
        gateway.say("main", "two")
        await client.request("health")
        await room.all_runs_end(running)
        page.release()
        _, reply = await room.finish(running, ours)
        await room.everything_heard()
    assert reply.text == "beginning of ours"
    assert room.messages == ["one", "two", "beginning of theirs", "the mark"]


V4_DEFERS = pytest.mark.parametrize("release", ["2026.5.12", "2026.7.35", "2026.8.1", "2026.9.6"])


@V4_DEFERS
async def test_what_a_lost_event_said_comes_behind_what_was_said_before(
    make: Make, start_gateway: Start, release: str
) -> None:
    def is_lost(frame: OutFrame) -> bool:
        return chat("final")(frame) and "lost" in str(frame.payload)

    gateway = start_gateway(gated, release=release, busy="followup")
    async with make(gateway) as client, make(gateway) as other:
        room = Room(gateway, client, other)
        running = await room.others_run()
        [ours] = await room.deferred("ours")
        gateway.say("main", "one")
        lost = gateway.faults.drop(is_lost, times=None)
        gateway.say("main", "lost")
        asked = gateway.seen.requests["chat.history"]
        gateway.tick()
        await until(lambda: lost.hits and gateway.seen.requests["chat.history"] > asked)
        gateway.say("main", "two")
        await client.request("health")
        await room.finish(running, ours)
        await room.everything_heard()
    assert room.messages == ["one", "lost", "two", "beginning of theirs", "the mark"]


async def test_a_receipt_tells_which_row_holds_the_words(make: Make, start_gateway: Start) -> None:
    """A row of several messages that were collected names none of them; 2026.9.6 tells when it is asked."""
    gateway = start_gateway(gated, release="2026.9.6", busy="collect")
    receipts: list[Any] = []

    def note(frame: dict[str, Any]) -> dict[str, Any]:
        receipts.extend(frame["payload"].get("inputReceipts", []))
        return frame

    async with make(gateway) as client, make(gateway) as other:
        room = Room(gateway, client, other)
        running = await room.others_run()
        ours = await room.deferred("first", "second")
        gateway.faults.rewrite("chat.history", note, times=None)
        _, first, second = await room.finish(running, *ours)
    assert {one["runId"] for one in receipts if one["state"] == "consumed"} >= {first.run_id, second.run_id}
    assert first.text == second.text
    assert first.merged_into == second.merged_into == first.answered_by
