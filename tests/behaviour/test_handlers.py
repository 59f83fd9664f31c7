"""Handlers, event streams and sessions: what reaches the user beside the replies."""

from __future__ import annotations

import asyncio
import logging
import threading
from collections.abc import AsyncIterator, Callable
from typing import Any

import pytest

from openclaw_client import GatewayEvent, ProactiveMessage, StageReport
from openclaw_client.connection.fast_path import FastPath, Take
from openclaw_client.errors import ClientClosed, UsageError
from openclaw_client.testing import BlockingEmbeddedGateway, Turn
from tests.faces import Face, inner
from tests.waiting import until

Make = Callable[..., Any]


async def test_a_handler_that_raises_harms_nobody(
    make: Make, gateway: BlockingEmbeddedGateway, caplog: pytest.LogCaptureFixture
) -> None:
    heard: list[str] = []

    def bad(user: Any, message: ProactiveMessage) -> None:
        raise RuntimeError("a handler's own fault")

    client = make(gateway)
    client.on_proactive_message(bad)
    client.on_proactive_message(lambda user, message: heard.append(message.text))
    async with client:
        with caplog.at_level(logging.ERROR, logger="openclaw_client"):
            gateway.say("main", "one")
            gateway.say("main", "two")
            await until(lambda: len(heard) == 2)
        assert heard == ["one", "two"]
        assert (await client.chat_send(session_key="main", message="fine")).text.endswith("fine")
    assert "bad raised" in caplog.text


async def test_what_cannot_be_called_is_no_handler(make: Make, face: Face, gateway: BlockingEmbeddedGateway) -> None:
    client, manager = make(gateway), inner(face.manager(lambda user: None))
    for register in (
        client.on_proactive_message,
        client.on_fatal_close,
        client.on_state_change,
        client.on_slow_consumer,
        manager.on_proactive_message,
        manager.on_fatal_close,
        lambda handler: client.on("chat", handler),
    ):
        for wrong in ("a name", None):
            with pytest.raises(UsageError, match="the handler is no function but"):
                register(wrong)


async def test_what_is_no_name_of_an_event_is_refused(make: Make, gateway: BlockingEmbeddedGateway) -> None:
    client = make(gateway)
    for wrong in (["chat", "agent"], 5, ""):
        with pytest.raises(UsageError, match="is no name of an event"):
            client.events(wrong)
        with pytest.raises(UsageError, match="is no name of an event"):
            client.on(wrong, print)


@pytest.mark.parametrize("face", ["sync"], indirect=True)
async def test_a_blocking_client_refuses_handlers_that_nobody_would_await(
    make: Make, gateway: BlockingEmbeddedGateway
) -> None:
    async def handler(*_args: object) -> None: ...

    async with make(gateway) as client:
        with pytest.raises(UsageError, match="handler is an `async def`"):
            client.on_proactive_message(handler)
        with pytest.raises(UsageError, match=r"on_event .*handler is an `async def`"):
            await client.chat_send(session_key="main", message="x", on_event=handler)
        with pytest.raises(UsageError, match=r"on_pending .*handler is an `async def`"):
            await client.pair(on_pending=handler)
        with pytest.raises(UsageError, match=r"on_stage .*handler is an `async def`"):
            await client.diagnose(on_stage=handler)
    assert gateway.seen.requests["chat.send"] == 0


@pytest.mark.parametrize("face", ["async"], indirect=True)
async def test_the_steps_of_a_diagnosis_may_be_told_to_coroutines(make: Make, gateway: BlockingEmbeddedGateway) -> None:
    told: list[str] = []

    async def on_stage(report: StageReport) -> None:
        told.append(report.stage)

    reports = await make(gateway).diagnose(on_stage=on_stage)
    assert told == [report.stage for report in reports]


class Deadline(BaseException):
    """As gevent.Timeout and what pytest.fail() raises: no Exception."""


@pytest.mark.parametrize("raised", [asyncio.CancelledError, Deadline])
async def test_a_handler_that_raises_what_is_no_exception_harms_nobody(
    make: Make, gateway: BlockingEmbeddedGateway, caplog: pytest.LogCaptureFixture, raised: type[BaseException]
) -> None:
    heard: list[str] = []

    def bad(user: Any, message: ProactiveMessage) -> None:
        raise raised

    client = make(gateway)
    client.on_proactive_message(bad)
    client.on_proactive_message(lambda user, message: heard.append(message.text))
    async with client:
        gateway.say("main", "one")
        gateway.say("main", "two")
        await until(lambda: len(heard) == 2)
    assert heard == ["one", "two"]
    assert "bad raised" in caplog.text


async def test_a_handler_may_be_a_coroutine_function_or_call_the_client(
    face: Face, make: Make, gateway: BlockingEmbeddedGateway
) -> None:
    answered = threading.Event()
    client = make(gateway)

    if face.name == "async":

        @client.on_proactive_message
        async def answer(user: Any, message: ProactiveMessage) -> None:
            await client.chat_send(session_key="other", message=message.text)
            answered.set()

    else:

        @client.on_proactive_message
        def answer_in_thread(user: Any, message: ProactiveMessage) -> None:
            client.inner.chat_send(session_key="other", message=message.text)
            answered.set()

    async with client:
        gateway.say("main", "please repeat")
        await until(answered.is_set)
    assert [row["text"] for row in gateway.transcript("agent:main:other")] == ["please repeat", "echo: please repeat"]


async def test_events_are_handed_out_by_name(make: Make, gateway: BlockingEmbeddedGateway) -> None:
    async with make(gateway) as client:
        ticks: list[GatewayEvent] = []
        stop = client.on("tick", ticks.append)
        stream = client.events("tick")
        gateway.tick()
        event = await anext(stream)
        assert event.name == "tick"
        assert "ts" in event.payload
        await until(lambda: len(ticks) == 1)
        stop()
        gateway.tick()
        await anext(stream)
        await client.request("health")
        assert len(ticks) == 1


async def two_halves(turn: Turn) -> AsyncIterator[str]:
    for piece in ("one ", "two ", "three "):
        yield piece
    await turn.gate.wait()
    for piece in ("four ", "five ", "six"):
        yield piece


@pytest.mark.parametrize("how", ["stream", "handler"])
async def test_who_begins_to_listen_in_mid_run_hears_every_event_from_there_on(
    make: Make, start_gateway: Callable[..., BlockingEmbeddedGateway], how: str
) -> None:
    gateway = start_gateway(two_halves, throttle=0)
    heard: list[GatewayEvent] = []
    async with make(gateway) as client:
        async with client.chat_stream(session_key="main", message="x") as run:
            pieces = run.text_stream
            assert [await anext(pieces) for _ in range(3)] == ["one ", "two ", "three "]
            if how == "stream":
                stream = client.events("chat")
            else:
                client.on("chat", heard.append)
            gateway.release()
            assert [piece async for piece in pieces] == ["four ", "five ", "six"]
        if how == "stream":
            heard = [await anext(stream) for _ in range(4)]
        await until(lambda: len(heard) >= 4)
    assert [event.payload.get("deltaText") for event in heard[:3]] == ["four ", "five ", "six"]
    assert heard[-1].payload["state"] == "final"


class Crossed(FastPath):
    """Somebody else's thread does something just before a fast path is opened."""

    def __init__(self, crossing: Callable[[], object]) -> None:
        super().__init__()
        self.crossing = crossing

    def enable(self, data: bytes, take: Take) -> None:
        self.crossing()
        super().enable(data, take)


@pytest.mark.parametrize("how", ["stream", "handler"])
async def test_who_begins_to_listen_while_the_fast_path_is_opened_hears_every_event(
    make: Make, start_gateway: Callable[..., BlockingEmbeddedGateway], how: str
) -> None:
    gateway = start_gateway(two_halves, throttle=0)
    heard: list[GatewayEvent] = []
    client = make(gateway)
    streams: list[Any] = []

    def listen() -> None:
        if not streams:
            streams.append(client.events("chat") if how == "stream" else client.on("chat", heard.append))

    engine = inner(client)._engine
    engine.fast_path = engine.router.fast_path = Crossed(listen)
    async with client:
        async with client.chat_stream(session_key="main", message="x") as run:
            pieces = run.text_stream
            assert await anext(pieces) == "one "
            gateway.release()
            assert "".join([piece async for piece in pieces]).endswith("six")
        while how == "stream" and not (heard and heard[-1].payload["state"] == "final"):
            heard.append(await anext(streams[0]))
        await until(lambda: heard and heard[-1].payload["state"] == "final")
    told = [event.payload["deltaText"] for event in heard if event.payload["state"] == "delta"]
    assert told[-5:] == ["two ", "three ", "four ", "five ", "six"]


class Counting(FastPath):
    """Knows how often it was opened."""

    opened = 0

    def enable(self, data: bytes, take: Take) -> None:
        self.opened += 1
        super().enable(data, take)


@pytest.mark.parametrize("gone", [True, False])
async def test_handlers_that_are_gone_keep_nobody_from_the_fast_path(
    make: Make, start_gateway: Callable[..., BlockingEmbeddedGateway], gone: bool
) -> None:
    gateway = start_gateway(two_halves, throttle=0)
    async with make(gateway) as client:
        engine, fast_path = inner(client)._engine, Counting()
        engine.fast_path = engine.router.fast_path = fast_path
        ends = [client.on(name, print) for name in ("chat.unheard", "presence", "presence")]
        for end in ends:
            end()
            end()
        if not gone:
            client.on("presence", print)
        async with client.chat_stream(session_key="main", message="x") as run:
            assert await anext(run.text_stream) == "one "
            gateway.release()
            await run.result()
        assert (fast_path.opened > 0) is gone


async def test_runs_that_take_turns_frame_by_frame_keep_their_words(
    make: Make, start_gateway: Callable[..., BlockingEmbeddedGateway]
) -> None:
    async def words(turn: Turn) -> AsyncIterator[str]:
        await turn.gate.wait()
        for number in range(50):
            yield f"{turn.message}{number} "

    gateway = start_gateway(words, throttle=0)
    async with make(gateway) as client:
        runs = [client.chat_stream(session_key=f"s{number}", message=f"{number}-") for number in range(5)]
        for run in runs:
            await anext(aiter(run))
        gateway.release()
        replies = [await run.result() for run in runs]
    assert [reply.text for reply in replies] == ["".join(f"{r}-{n} " for n in range(50)) for r in range(5)]


async def test_an_event_stream_ends_with_the_client(make: Make, gateway: BlockingEmbeddedGateway) -> None:
    client = make(gateway)
    await client.connect()
    stream = client.events("never")
    await client.disconnect()
    with pytest.raises(ClientClosed):
        await anext(stream)
    with pytest.raises(StopAsyncIteration):
        await anext(stream)


async def test_only_the_sessions_asked_for_are_handed_out(make: Make, gateway: BlockingEmbeddedGateway) -> None:
    heard: list[tuple[str, str]] = []
    client = make(gateway, sessions=["Mine"], user="u1")
    client.on_proactive_message(lambda user, message: heard.append((user, message.text)))
    async with client:
        stream = client.events("chat")
        gateway.say("agent:main:theirs", "not for u1")
        gateway.say("agent:main:mine", "for u1")
        await until(lambda: heard)
        assert heard == [("u1", "for u1")]
        assert (await anext(stream)).payload["sessionKey"] == "agent:main:mine"


async def test_sessions_by_predicate(make: Make, gateway: BlockingEmbeddedGateway) -> None:
    heard: list[str] = []
    client = make(gateway, sessions=lambda key: key.startswith("agent:main:web-"))
    client.on_proactive_message(lambda user, message: heard.append(message.text))
    async with client:
        gateway.say("cli-1", "no")
        gateway.say("web-1", "yes")
        await until(lambda: heard)
        assert heard == ["yes"]


async def test_a_predicate_that_raises_says_no_and_harms_nothing(
    make: Make, gateway: BlockingEmbeddedGateway, caplog: pytest.LogCaptureFixture
) -> None:
    heard: list[str] = []

    def mine(key: str) -> bool:
        return {"agent:main:mine": True}[key]

    client = make(gateway, sessions=mine)
    client.on_proactive_message(lambda user, message: heard.append(message.text))
    async with client:
        gateway.say("other", "not mine")
        gateway.say("other", "nor this")
        gateway.say("mine", "mine")
        await until(lambda: heard)
        assert (await client.chat_send(session_key="other", message="fine")).text == "echo: fine"
        assert heard == ["mine"]
    assert len(gateway.seen.connects) == 1
    assert caplog.text.count("the predicate sessions= raised") == 1


async def test_sessions_must_be_a_list(make: Make, gateway: BlockingEmbeddedGateway) -> None:
    with pytest.raises(UsageError, match="list"):
        make(gateway, sessions="main")


async def test_ticks_are_no_use(make: Make, gateway: BlockingEmbeddedGateway) -> None:
    async with make(gateway) as client:
        stream = client.events("tick")
        await client.request("health")
        before = client.idle_seconds
        gateway.tick()
        await anext(stream)
        assert client.idle_seconds >= before


async def test_two_iterations_at_once_are_refused(make: Make, gateway: BlockingEmbeddedGateway, face: Face) -> None:
    async with make(gateway) as client:
        stream = client.events("never")
        first = asyncio.ensure_future(anext(stream))
        if face.name == "async":
            await asyncio.sleep(0)
            with pytest.raises(UsageError, match="two tasks"):
                await anext(stream)
            stream.close()
        else:
            await stream.close()
        with pytest.raises(StopAsyncIteration):
            await first
