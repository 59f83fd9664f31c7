"""Equal reads at the same time: few requests, and no answer that is older than its question."""

from __future__ import annotations

import asyncio
import gc
from collections.abc import Callable, Mapping
from contextlib import suppress
from typing import Any

import msgspec
import pytest

from openclaw_client import Timeouts
from openclaw_client.connection.connection import Outcome, Responded
from openclaw_client.errors import (
    ClientClosed,
    NotConnected,
    OutcomeUnknown,
    RequestFailed,
    RequestTimeout,
    UsageError,
)
from openclaw_client.requests.coalescing import RequestCoalescer
from openclaw_client.requests.reads import AT_ONCE, READS_AGAIN
from openclaw_client.testing import BlockingEmbeddedGateway
from openclaw_client.wire.frames import ErrorShape
from tests.behaviour.test_unknown import forget, world
from tests.moved_clock import run, turns
from tests.waiting import until

Make = Callable[..., Any]
Start = Callable[..., BlockingEmbeddedGateway]
CROWD = 30
SCOPES = ["operator.read", "operator.write", "operator.admin"]


async def test_a_crowd_that_asks_for_one_history_is_two_requests(make: Make, gateway: BlockingEmbeddedGateway) -> None:
    async with make(gateway) as client:
        await client.chat_send(session_key="main", message="hi")
        held = gateway.faults.hold("chat.history")
        asked = [asyncio.ensure_future(client.chat_history(session_key="main")) for _ in range(CROWD)]
        other = asyncio.ensure_future(client.chat_history(session_key="main", limit=1))
        await until(lambda: len(held.frames) == 2)
        held.release()
        pages = await asyncio.gather(*asked)
        assert len((await other).messages) == 1
        # Threads may come one by one, so that some ask when the second is under way already.
        assert gateway.seen.requests["chat.history"] <= 5
        assert {page.messages[-1].text for page in pages} == {"echo: hi"}
        # Each has its own: what one caller does to it is not the others' matter.
        pages[0].raw.clear()
        assert all(page.raw for page in pages[1:])


async def test_a_read_that_cannot_be_written_says_so(make: Make, gateway: BlockingEmbeddedGateway) -> None:
    nested: list[Any] = []
    for _ in range(100_000):
        nested = [nested]
    async with make(gateway) as client:
        for wrong in (nested, object(), "\ud800"):
            with pytest.raises(UsageError, match="cannot be written as JSON"):
                await client.chat_history(session_key="main", cursor=wrong)
        assert (await client.chat_history(session_key="main")).messages == []


async def test_a_list_is_shared_also_as_a_request(make: Make, gateway: BlockingEmbeddedGateway) -> None:
    async with make(gateway) as client:
        await client.chat_send(session_key="main", message="hi")
        held = gateway.faults.hold("sessions.list")
        first = asyncio.ensure_future(client.request("sessions.list", {"limit": 5, "includeGlobal": True}))
        await until(lambda: held.frames)
        # The order of the parameters makes no difference.
        rest = [client.request("sessions.list", {"includeGlobal": True, "limit": 5}) for _ in range(CROWD)]
        waiting = asyncio.gather(first, *rest)
        await client.request("health")
        held.release()
        answers = await waiting
        # Threads may come one by one, so that some ask when the second is under way already.
        assert 2 <= gateway.seen.requests["sessions.list"] <= 4
        assert len({id(answer) for answer in answers}) == CROWD + 1
        # Rows say when they were read, and two requests read them.
        keys = [[row["key"] for row in answer["sessions"]] for answer in answers]
        assert all(one == ["agent:main:main"] for one in keys)


async def test_a_read_knows_of_what_was_written_before_it(make: Make, gateway: BlockingEmbeddedGateway) -> None:
    async with make(gateway, scopes=SCOPES) as client:
        await client.chat_send(session_key="main", message="hi")
        held = gateway.faults.hold("chat.history")
        before = asyncio.ensure_future(client.chat_history(session_key="main"))
        await until(lambda: held.frames)
        await client.chat_inject(session_key="main", message="news")
        after = asyncio.ensure_future(client.chat_history(session_key="main"))
        await client.request("health")
        held.release()
        assert [message.text for message in (await before).messages] == ["hi", "echo: hi"]
        assert [message.text for message in (await after).messages] == ["hi", "echo: hi", "news"]


async def test_each_caller_gets_a_refusal_of_its_own(make: Make, gateway: BlockingEmbeddedGateway) -> None:
    async with make(gateway) as client:
        asked = [client.request("sessions.list", {"limit": "many"}) for _ in range(5)]
        errors = await asyncio.gather(*asked, return_exceptions=True)
        assert {type(error) for error in errors} == {RequestFailed}
        assert len({id(error) for error in errors}) == 5


async def test_reads_that_are_never_answered_end_in_time(make: Make, gateway: BlockingEmbeddedGateway) -> None:
    async with make(gateway) as client:
        gateway.faults.swallow("sessions.list", times=1_000)
        asked = [client.request("sessions.list", timeout=0.2) for _ in range(3)]
        errors = await asyncio.gather(*asked, return_exceptions=True)
        assert {type(error) for error in errors} == {RequestTimeout}
        gateway.faults.intercepted.clear()
        assert "sessions" in await client.request("sessions.list")


class Gateway:
    """Answers when it is told to."""

    def __init__(self) -> None:
        self.asked: list[asyncio.Future[Outcome]] = []
        self.left = 0

    async def ask(self, method: str, params: Mapping[str, Any] | None, timeout: float | None) -> Outcome:
        answer: asyncio.Future[Outcome] = asyncio.get_running_loop().create_future()
        self.asked.append(answer)
        try:
            return await answer
        except asyncio.CancelledError:
            self.left += 1
            raise


def test_who_leaves_takes_nothing_from_the_others_and_the_last_ends_the_request() -> None:
    async def main() -> None:
        gateway = Gateway()
        reads = RequestCoalescer(gateway.ask)
        calls = [asyncio.ensure_future(reads.read("sessions.list", {}, 30.0)) for _ in range(4)]
        await turns(3)
        calls[0].cancel()
        calls[1].cancel()
        await turns(5)
        # The first was alone with its request; the one behind it is for those who stay.
        assert (len(gateway.asked), gateway.left) == (2, 1)
        answer = Responded("1", "sessions.list", msgspec.Raw(b"{}"), None)
        gateway.asked[1].set_result(answer)
        assert await calls[2] is await calls[3] is answer
        last = asyncio.ensure_future(reads.read("sessions.list", {}, 30.0))
        behind = asyncio.ensure_future(reads.read("sessions.list", {}, 30.0))
        await turns(3)
        behind.cancel()
        last.cancel()
        await asyncio.wait([last, behind])
        await turns(5)
        assert (len(gateway.asked), gateway.left) == (3, 2)
        assert not reads._lines

    run(main())


@pytest.mark.parametrize("crowd", [1, 4])
def test_the_turn_counts_for_the_time_limit(crowd: int) -> None:
    async def main() -> None:
        gateway, loop = Gateway(), asyncio.get_running_loop()
        reads = RequestCoalescer(gateway.ask)
        stuck = asyncio.ensure_future(reads.read("sessions.list", {}, 5.0))
        await turns(3)
        began = loop.time()
        behind = [reads.read("sessions.list", {}, 5.0) for _ in range(crowd)]
        outcomes = await asyncio.gather(*behind, return_exceptions=True)
        assert {type(outcome) for outcome in outcomes} == {TimeoutError}
        assert loop.time() - began == pytest.approx(5.0)
        assert len(gateway.asked) == 1
        stuck.cancel()
        await asyncio.wait([stuck])
        await turns(3)
        assert not reads._lines

    run(main())


def test_what_keeps_a_read_from_being_sent_is_told_to_each() -> None:
    async def main() -> None:
        async def ask(*_: object) -> Outcome:
            await asyncio.sleep(1)
            raise NotConnected(message="the client is not connected")

        reads = RequestCoalescer(ask)
        calls = [reads.read("sessions.list", {}, 30.0) for _ in range(3)]
        errors = await asyncio.gather(*calls, return_exceptions=True)
        assert {type(error) for error in errors} == {NotConnected}
        assert len({id(error) for error in errors}) == 3
        assert not reads._lines

    run(main())


Read = Callable[[Any], Any]
READS: dict[str, Read] = {
    "chat.history": lambda client: client.chat_history(session_key="main"),
    "sessions.list": lambda client: client.request("sessions.list", {"limit": 5}),
    "health": lambda client: client.request("health"),
}


@pytest.mark.parametrize("method", READS)
async def test_a_read_whose_connection_is_cut_is_asked_again(
    make: Make, gateway: BlockingEmbeddedGateway, method: str
) -> None:
    async with make(gateway) as client:
        await client.chat_send(session_key="main", message="hi")
        gateway.faults.swallow(method)
        asked = [asyncio.ensure_future(READS[method](client)) for _ in range(2)]
        await until(lambda: not gateway.faults.outstanding)
        gateway.faults.disconnect()
        assert all(await asyncio.gather(*asked))


@pytest.mark.parametrize("method", READS)
async def test_a_read_that_was_asked_for_without_a_connection_is_asked_again_too(
    make: Make, gateway: BlockingEmbeddedGateway, method: str
) -> None:
    async with make(gateway) as client:
        await client.chat_send(session_key="main", message="hi")
        gateway.faults.swallow(method)
        gateway.faults.disconnect()
        await until(lambda: not client.connected)
        asked = asyncio.ensure_future(READS[method](client))
        await until(lambda: not gateway.faults.outstanding)
        gateway.faults.disconnect()
        assert await asked


async def test_a_read_with_a_key_of_its_own_is_shared_with_nobody(make: Make, gateway: BlockingEmbeddedGateway) -> None:
    async with make(gateway) as client:
        held = gateway.faults.hold("chat.history")
        params = {"sessionKey": "main"}
        asked = [
            asyncio.ensure_future(client.request("chat.history", params, idempotency_key="mine")) for _ in range(3)
        ]
        await until(lambda: len(held.frames) == 3)
        held.release()
        await asyncio.gather(*asked, return_exceptions=True)


async def test_many_reads_are_not_asked_again_all_at_once(make: Make, gateway: BlockingEmbeddedGateway) -> None:
    async with make(gateway) as client:
        held = gateway.faults.hold("health")
        asked = [asyncio.ensure_future(client.request("health")) for _ in range(3 * AT_ONCE)]
        await until(lambda: len(held.frames) == 3 * AT_ONCE)
        gateway.faults.disconnect()
        await until(lambda: len(held.frames) == 4 * AT_ONCE)
        # Behind all that was sent.
        await client.request("sessions.list")
        assert len(held.frames) == 4 * AT_ONCE
        held.release()
        assert all(answer["ok"] for answer in await asyncio.gather(*asked))


async def test_a_read_that_waits_its_turn_keeps_its_limit(make: Make, gateway: BlockingEmbeddedGateway) -> None:
    async with make(gateway) as client:
        held = gateway.faults.hold("health")
        asked = [asyncio.ensure_future(client.request("health")) for _ in range(AT_ONCE)]
        late = asyncio.ensure_future(client.request("health", timeout=2))
        await until(lambda: len(held.frames) == AT_ONCE + 1)
        gateway.faults.disconnect()
        with pytest.raises(OutcomeUnknown):
            await late
        held.release()
        await asyncio.gather(*asked)


async def test_what_may_have_an_effect_is_not_asked_again(make: Make, gateway: BlockingEmbeddedGateway) -> None:
    async with make(gateway) as client:
        gateway.faults.swallow("sessions.patch")
        asked = asyncio.ensure_future(client.request("sessions.patch", {"key": "main"}))
        await until(lambda: not gateway.faults.outstanding)
        gateway.faults.disconnect()
        with pytest.raises(OutcomeUnknown):
            await asked


@pytest.mark.parametrize("method", READS)
async def test_a_read_that_costs_the_connection_every_time_ends(
    make: Make, gateway: BlockingEmbeddedGateway, method: str
) -> None:
    async with make(gateway) as client:
        gateway.faults.swallow(method, times=1 + READS_AGAIN)
        asked = asyncio.ensure_future(READS[method](client))
        for left in reversed(range(1 + READS_AGAIN)):
            await until(lambda: gateway.faults.outstanding == left)  # noqa: B023 - awaited here
            gateway.faults.disconnect()
        with pytest.raises(OutcomeUnknown):
            await asked


@pytest.mark.parametrize("method", READS)
async def test_a_read_ends_with_the_client_and_with_the_gateway(
    make: Make, gateway: BlockingEmbeddedGateway, method: str
) -> None:
    async with make(gateway, timeouts=Timeouts(connect=1, request=1)) as client:
        gateway.faults.swallow(method)
        asked = asyncio.ensure_future(READS[method](client))
        await until(lambda: not gateway.faults.outstanding)
        gateway.crash()
        # No connection is there in time: what is known is that the one was lost.
        with pytest.raises(OutcomeUnknown):
            await asked
        asked = asyncio.ensure_future(READS[method](client))
        await asyncio.sleep(0)
        await client.disconnect()
        with pytest.raises((ClientClosed, NotConnected)):
            await asked


@pytest.mark.parametrize("method", ["status", "chat.history", "chat.abort"])
@pytest.mark.parametrize("outcome", ["answered", "refused", "late"])
async def test_what_was_asked_for_leaves_nothing_behind(
    monkeypatch: pytest.MonkeyPatch, method: str, outcome: str
) -> None:
    """A page of a history may be megabytes: once answered it is gone, also where Python does not look for circles."""
    async with world(monkeypatch) as here:
        if outcome == "refused":
            here.place.errors[method] = ErrorShape("INVALID_REQUEST", "no")
        elif outcome == "late":
            here.place.unanswered.add(method)

        async def ask(times: int) -> None:
            for _ in range(times):
                with suppress(RequestFailed, RequestTimeout):
                    await here.client.request(method, {}, timeout=0.001 if outcome == "late" else 30)
                forget(here)
            if outcome != "answered":
                # Exceptions go in circles by themselves.
                gc.collect()

        await ask(10)
        gc.collect()
        gc.disable()
        try:
            before = len(gc.get_objects())
            await ask(100)
            grown = len(gc.get_objects()) - before
        finally:
            gc.enable()
    assert grown < 50
