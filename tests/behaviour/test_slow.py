"""Whoever does not keep up: readers, handlers and the loop. The connection does, and nothing of a run is lost."""

from __future__ import annotations

import asyncio
import gc
import logging
import threading
from collections import deque
from collections.abc import AsyncIterator, Callable
from typing import Any

import pytest
from msgspec import Raw

from openclaw_client import ProactiveMessage, RunStarted, SlowConsumer, TextAppended
from openclaw_client.client import callbacks
from openclaw_client.client.callbacks import MAX_CALLS
from openclaw_client.client.events import MAX_BURST, MAX_WAITING, MAX_WAITING_BYTES, EventStream, GatewayEvent
from openclaw_client.errors import ClientClosed
from openclaw_client.runs.events import ToolFinished
from openclaw_client.runs.stream import BUFFER_EVENTS
from openclaw_client.sync.events import BlockingEventStream
from openclaw_client.testing import BlockingEmbeddedGateway, Turn
from openclaw_client.wire.frames import Event
from tests.behaviour.test_resume import MovedClock
from tests.faces import Face
from tests.waiting import until

Make = Callable[..., Any]
Start = Callable[..., BlockingEmbeddedGateway]

DELTAS = 50_000
PIECES = [f"{number} " for number in range(DELTAS)]
WHOLE = "".join(PIECES)


def told(reports: list[SlowConsumer]) -> list[SlowConsumer]:
    """Without those about the loop, which a busy machine may really hold up."""
    return [report for report in reports if report.kind != "loop"]


class Door:
    """What a handler of either face waits at."""

    def __init__(self, face: Face) -> None:
        self._thread, self._task = threading.Event(), asyncio.Event()
        self._is_async = face.name == "async"
        self.reached = threading.Event()

    def open(self) -> None:
        self._thread.set()
        self._task.set()

    def handler(self, first: type | None = None) -> Callable[..., Any]:
        """A handler that waits here; with `first`, at the first event of this type."""

        async def in_the_loop(*args: Any) -> None:
            if first is None or isinstance(args[0], first):
                self.reached.set()
                await self._task.wait()

        def in_a_thread(*args: Any) -> None:
            if first is None or isinstance(args[0], first):
                self.reached.set()
                self._thread.wait()

        return in_the_loop if self._is_async else in_a_thread


async def whole(turn: Turn) -> AsyncIterator[str]:
    await turn.gate.wait()
    yield WHOLE


def send_deltas(gateway: BlockingEmbeddedGateway, run_id: str) -> None:
    """50,000 deltas of a run, without the text so far, which would make them a gigabyte."""
    common = {"runId": run_id, "sessionKey": "agent:main:main", "state": "delta"}
    for start in range(0, DELTAS, 1000):
        gateway.call(
            lambda start=start: [  # type: ignore[misc]
                gateway.gateway.emit("chat", {**common, "seq": number, "deltaText": PIECES[number]})
                for number in range(start, start + 1000)
            ]
        )


async def is_alive(client: Any, gateway: BlockingEmbeddedGateway) -> None:
    """The connection takes what was sent so far, answers pings, and is still the first."""
    await client.request("health")
    gateway.ping()
    await until(lambda: gateway.unanswered_pings == 0)
    assert gateway.seen.opened == 1


@pytest.mark.parametrize("protocol", [3, 4])
async def test_a_reader_who_does_not_read_costs_little_and_loses_nothing(
    face: Face, make: Make, start_gateway: Start, protocol: int
) -> None:
    gateway, door, reports = start_gateway(whole, protocol=protocol), Door(face), list[SlowConsumer]()
    seen: list[Any] = []
    client = make(gateway)
    client.on_slow_consumer(reports.append)
    wait = door.handler(RunStarted)

    async def on_event(event: Any) -> None:
        seen.append(event)
        await wait(event)

    def on_event_in_thread(event: Any) -> None:
        seen.append(event)
        wait(event)

    async with client:
        sending = asyncio.ensure_future(
            client.chat_send(
                session_key="main",
                message="x",
                idempotency_key="flood",
                on_event=on_event if face.name == "async" else on_event_in_thread,
            )
        )
        await until(door.reached.is_set)
        await asyncio.to_thread(send_deltas, gateway, "flood")
        await is_alive(client, gateway)
        gateway.release()
        await until(lambda: not gateway.active_runs)
        await is_alive(client, gateway)
        # The collector does not know the events themselves, but the queues that hold them; those of earlier tests that
        # it has yet to free are none of this one's.
        gc.collect()
        queues = [thing for thing in gc.get_objects() if type(thing) in (list, deque)]
        waiting = sum(isinstance(thing, TextAppended) for queue in queues for thing in queue)
        await until(lambda: told(reports))
        door.open()
        reply = await sending
    assert reply.text == WHOLE
    assert "".join(event.text for event in seen if isinstance(event, TextAppended)) == WHOLE
    assert BUFFER_EVENTS // 2 < waiting <= 2 * BUFFER_EVENTS + 100
    assert [(report.kind, report.name) for report in told(reports)] == [("run", "flood")]


async def test_a_handler_that_blocks_holds_up_neither_the_reader_nor_a_run(
    face: Face, make: Make, gateway: BlockingEmbeddedGateway, caplog: pytest.LogCaptureFixture
) -> None:
    door, reports, heard = Door(face), list[SlowConsumer](), list[str]()
    client = make(gateway)
    client.on("noise", door.handler())
    client.on_proactive_message(lambda user, message: heard.append(message.text))
    client.on_slow_consumer(reports.append)
    async with client:
        gateway.say("main", "one")
        await until(lambda: heard)
        with caplog.at_level(logging.WARNING, logger="openclaw_client"):
            gateway.emit("noise", {})
            await until(door.reached.is_set)
            gateway.say("main", "two")
            gateway.call(lambda: [gateway.gateway.emit("noise", {}) for _ in range(MAX_CALLS + 10)])
            gateway.say("main", "three")
            await is_alive(client, gateway)
            assert (await client.chat_send(session_key="main", message="fine")).text == "echo: fine"
            await until(lambda: told(reports))
        assert heard == ["one"]
        door.open()
        # Events went, messages did not.
        await until(lambda: len(heard) == 3)
    assert heard == ["one", "two", "three"]
    report = told(reports)[0]
    assert (report.kind, report.dropped, report.waiting) == ("handler", 1, MAX_CALLS)
    assert "handler" in report.name
    assert f"the handler {report.name} has been running" in caplog.text


async def test_a_slow_handler_is_reported_while_it_runs(
    face: Face, make: Make, gateway: BlockingEmbeddedGateway, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(callbacks, "SLOW", 0.0)
    door, reports = Door(face), list[SlowConsumer]()
    client = make(gateway)
    client.on_proactive_message(door.handler())
    client.on_slow_consumer(reports.append)
    async with client:
        gateway.say("main", "one")
        await until(door.reached.is_set)
        assert told(reports) == []
        gateway.say("main", "two")
        await until(lambda: told(reports))
        gateway.say("main", "three")
        await is_alive(client, gateway)
        # Once for one call.
        assert [(report.kind, report.waiting, report.dropped) for report in told(reports)] == [("handler", 1, 0)]
        door.open()


async def test_a_stream_that_is_not_read_drops_its_oldest_events(make: Make, gateway: BlockingEmbeddedGateway) -> None:
    reports = list[SlowConsumer]()
    client = make(gateway)
    client.on_slow_consumer(reports.append)
    async with client:
        stream = client.events("noise")
        gateway.call(lambda: [gateway.gateway.emit("noise", {"n": n}) for n in range(MAX_WAITING + 3)])
        await is_alive(client, gateway)
        assert stream.dropped == 3
        assert (await anext(stream)).payload == {"n": 3}
        await until(lambda: told(reports))
    assert [(report.kind, report.name, report.dropped) for report in told(reports)] == [("events", "noise", 1)]


async def test_what_comes_in_one_turn_of_the_loop_waits_for_its_reader() -> None:
    """However much it is; what is left of it behind that turn is a slow reader's."""
    reports: list[tuple[str, int]] = []
    stream = EventStream(("x",), lambda _: None, lambda slow: reports.append((slow.kind, slow.dropped)))
    events = [GatewayEvent(Event("x", seq=number)) for number in range(2 * MAX_WAITING + 1)]
    reader = asyncio.ensure_future(anext(stream))
    await asyncio.sleep(0)
    for event in events[:-1]:
        stream.put(event)
    assert (await reader).seq == 0
    assert [(await anext(stream)).seq for _ in range(MAX_WAITING)] == list(range(1, MAX_WAITING + 1))
    assert stream.dropped == 0
    # A reader that takes nothing keeps the bound that all have, from the next turn on.
    for event in events:
        stream.put(event)
    assert (stream.dropped, len(reports)) == (2 * MAX_WAITING, 2)
    assert (await anext(stream)).seq == MAX_WAITING + 1


async def test_one_turn_of_the_loop_is_bounded_too() -> None:
    stream = EventStream((), lambda _: None, lambda slow: None)
    event = GatewayEvent(Event("x"))
    for _ in range(MAX_BURST + 1):
        stream.put(event)
    assert stream.dropped == 1


@pytest.mark.parametrize("face", ["async"], indirect=True)
async def test_a_loop_that_is_held_up_is_reported(
    make: Make, gateway: BlockingEmbeddedGateway, caplog: pytest.LogCaptureFixture
) -> None:
    clock, reports = MovedClock(), list[SlowConsumer]()
    client = make(gateway)
    client.on_slow_consumer(reports.append)
    async with client:
        with caplog.at_level(logging.WARNING, logger="openclaw_client"):
            clock.move(7)
            await until(lambda: reports)
    assert reports[0].kind == "loop"
    assert 5 < reports[0].seconds < 8
    assert "the event loop was held up for" in caplog.text


@pytest.mark.parametrize("face", ["async"], indirect=True)
async def test_a_handler_that_holds_up_the_loop_is_named(
    make: Make, gateway: BlockingEmbeddedGateway, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(callbacks, "LAGGING", 0.0)
    reports = list[SlowConsumer]()

    def blocking(user: Any, message: ProactiveMessage) -> None:
        pass

    client = make(gateway)
    client.on_proactive_message(blocking)
    client.on_slow_consumer(reports.append)
    async with client:
        gateway.say("main", "one")
        await until(lambda: told(reports))
    assert told(reports)[0].kind == "handler"
    assert told(reports)[0].name.endswith("blocking")


async def test_events_that_nobody_reads_are_not_kept(make: Make, start_gateway: Start) -> None:
    go = threading.Event()

    async def agent(turn: Turn) -> AsyncIterator[str]:
        for number in range(50):
            turn.tool("search", {"number": number}, "x" * 1000)
        yield "done"
        await asyncio.to_thread(go.wait)

    gateway = start_gateway(agent=agent)
    seen: list[str] = []
    client = make(gateway, caps=("tool-events",))
    client.on("agent", lambda event: seen.append(event.payload.get("stream")))
    async with client:
        sending = asyncio.ensure_future(client.chat_send(session_key="main", message="go"))
        await until(lambda: seen.count("tool") >= 100)
        await client.request("health")
        kept = sum(isinstance(one, ToolFinished) for one in gc.get_objects())
        go.set()
        assert (await sending).text == "done"
        # One or two may be on their way; of other tests some may be left.
        assert kept <= 10
        heard: list[Any] = []
        await client.chat_send(session_key="main", message="again", on_event=heard.append)
        assert sum(isinstance(one, ToolFinished) for one in heard) == 50


def padded(size: int, number: int = 0) -> GatewayEvent:
    """An event of so many bytes."""
    return GatewayEvent(Event("x", Raw(b'"' + b"x" * (size - 2) + b'"'), number))


async def test_what_waits_for_a_reader_is_bounded_in_bytes_too(face: Face) -> None:
    slow: list[SlowConsumer] = []
    kind = EventStream if face.name == "async" else BlockingEventStream
    stream = kind(("x",), lambda _: None, slow.append)
    quarter = MAX_WAITING_BYTES // 4
    for number in range(6):
        stream.put(padded(quarter, number))
    assert stream.dropped == 2
    assert [(report.kind, report.name, report.waiting, report.dropped) for report in slow] == [("events", "x", 4, 1)]
    # What was read counts no longer.
    assert [(await take(stream)).seq for _ in range(3)] == [2, 3, 4]
    stream.put(padded(3 * quarter, 6))
    assert stream.dropped == 2
    assert [(await take(stream)).seq for _ in range(2)] == [5, 6]
    # One that is longer than all of it takes the place of what waits.
    stream.put(padded(quarter, 7))
    stream.put(padded(MAX_WAITING_BYTES + 1, 8))
    assert stream.dropped == 3
    assert (await take(stream)).seq == 8


async def take(stream: EventStream | BlockingEventStream) -> GatewayEvent:
    return await anext(stream) if isinstance(stream, EventStream) else await asyncio.to_thread(next, stream)


def test_the_end_of_a_blocking_stream_is_never_dropped() -> None:
    stream = BlockingEventStream((), lambda _: None, lambda _: None)
    stream.end(ClientClosed(message="over"))
    stream.put(padded(MAX_WAITING_BYTES + 1))
    with pytest.raises(ClientClosed):
        next(stream)


def test_calls_that_wait_for_handlers_are_bounded_in_bytes_too(caplog: pytest.LogCaptureFixture) -> None:
    slow: list[SlowConsumer] = []
    backlog = callbacks.Backlog(slow.append)
    third = callbacks.MAX_CALL_BYTES // 3
    message = ProactiveMessage("id", "x" * third, "main", "run", "run")
    backlog.add(callbacks.Call(print, ("user", message), is_event=False))
    for number in range(3):
        backlog.add(callbacks.Call(print, (padded(third, number),), is_event=True))
    # Events go before messages, the oldest first.
    assert (len(slow), slow[0].dropped, slow[0].waiting) == (1, 1, 3)
    for _ in range(3):
        backlog.add(callbacks.Call(print, ("user", message), is_event=False))
    assert "4 calls wait for handlers; one of print was given up" in caplog.text
    left = [backlog.pop() for _ in range(3)]
    assert [call.is_event for call in left if call is not None] == [False] * 3
    assert backlog.pop() is None
    backlog.add(callbacks.Call(print, (padded(4 * third),), is_event=True))
    assert backlog.pop() is not None
    # What has been handed out takes no room.
    for number in range(2):
        backlog.add(callbacks.Call(print, (padded(third, number),), is_event=True))
    assert None not in [backlog.pop() for _ in range(2)]
