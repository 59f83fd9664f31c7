"""What is told of connects, requests and runs; on both faces."""

from __future__ import annotations

import asyncio
import logging
import sys
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import pytest

from openclaw_client.errors import GatewayError, RequestFailed, RequestTimeout, RunFailed, RunTimeout, Unreachable
from openclaw_client.telemetry import Instrumentation, Span, current, instrument
from openclaw_client.testing import EmbeddedGateway
from tests.faces import Face
from tests.telemetry.conftest import QUICK, SECRET, agent
from tests.waiting import until

Instrumented = Callable[[Instrumentation], None]


class Recorder(Instrumentation):
    """Writes everything down."""

    def __init__(self, traceparent: str | None = None) -> None:
        self.ended: list[tuple[str, str]] = []
        self.begun: list[str] = []
        self.told: list[tuple[str, object]] = []
        self.traceparent = traceparent

    def connect(self, *, reconnect: bool) -> Span:
        return _Recorded(self, "reconnect" if reconnect else "connect")

    def request(self, method: str) -> Span:
        return _Recorded(self, method)

    def run(self) -> Span:
        return _Recorded(self, "run")

    def connection_ended(self, cause: str) -> None:
        self.told.append(("ended", cause))

    def gap(self, *, certain: bool) -> None:
        self.told.append(("gap", certain))

    def slow_consumer(self, kind: str) -> None:
        self.told.append(("slow", kind))

    def proactive_message(self) -> None:
        self.told.append(("message", None))


class _Recorded(Span):
    def __init__(self, recorder: Recorder, name: str) -> None:
        recorder.begun.append(name)
        self._recorder = recorder
        self._name = name
        self.traceparent = recorder.traceparent

    def first_text(self, seconds: float) -> None:
        assert 0 <= seconds < 60
        self._recorder.ended.append((self._name, "first text"))

    def end(self, outcome: str, seconds: float) -> None:
        assert 0 <= seconds < 60
        self._recorder.ended.append((self._name, outcome))


@pytest.fixture
def recorder(instrumented: Instrumented) -> Recorder:
    recorder = Recorder()
    instrumented(recorder)
    return recorder


async def test_a_life(face: Face, gateway: EmbeddedGateway, recorder: Recorder) -> None:
    async with face.client(gateway.url, token=SECRET, reconnect=QUICK) as client:
        await client.chat_send(session_key="main", message="hello")
        await client.request("health")
        gateway.say("main", "by the way")
        await until(lambda: ("message", None) in recorder.told)
        await gateway.restart()
        await until(lambda: ("reconnect", "ok") in recorder.ended)
    done = [entry for entry in recorder.ended if entry[0] != "reconnect"]
    # Before the first message in a session it is asked whether another run goes on there.
    assert done[:2] == [("connect", "ok"), ("chat.history", "ok")]
    # The response and the first events of a run may come in either order.
    assert sorted(done[2:5]) == [("chat.send", "ok"), ("run", "final"), ("run", "first text")]
    assert done[5:] == [("health", "ok")]
    await until(lambda: ("ended", "asked") in recorder.told)
    assert [told for told in recorder.told if told[0] == "ended"] == [("ended", "peer_closed"), ("ended", "asked")]


async def test_failures_are_told_by_the_error_that_the_caller_gets(
    face: Face, gateway: EmbeddedGateway, recorder: Recorder
) -> None:
    async with face.client(gateway.url, token=SECRET) as client:
        with pytest.raises(RequestFailed):
            await client.request(f"no.such.method.{SECRET}")
        gateway.faults.swallow("health")
        with pytest.raises(RequestTimeout):
            await client.request("health", timeout=0.05)
        with pytest.raises(RunFailed):
            await client.chat_send(session_key="main", message="fail")
        with pytest.raises(RunTimeout):
            await client.chat_send(session_key="other", message="gated", timeout=0.1)
        with pytest.raises(GatewayError, match="JSON"):
            await client.request("health", {"a": object()})
        async with client.chat_stream(session_key="third", message="gated"):
            pass
        await until(lambda: ("run", "left") in recorder.ended)
    wanted = {
        ("other", "RequestFailed"),
        ("health", "RequestTimeout"),
        ("run", "RunFailed"),
        ("run", "RunTimeout"),
        ("health", "UsageError"),
        ("run", "left"),
    }
    assert wanted <= set(recorder.ended)
    assert SECRET not in repr(recorder.begun)


async def test_a_connect_that_fails(face: Face, gateway: EmbeddedGateway, recorder: Recorder) -> None:
    await gateway.stop()
    with pytest.raises(Unreachable):
        await face.client(gateway.url, token=SECRET).connect()
    assert recorder.ended == [("connect", "Unreachable")]


async def test_what_is_cancelled(gateway: EmbeddedGateway, recorder: Recorder) -> None:
    async with Face("async").client(gateway.url, token=SECRET) as client:
        gateway.faults.swallow("health")
        asking = asyncio.create_task(client.request("health"))
        await until(lambda: "health" in recorder.begun)
        asking.cancel()
        await asyncio.wait([asking])
        # The second waits for its turn behind the first.
        first = asyncio.create_task(client.chat_send(session_key="main", message="gated"))
        await until(lambda: gateway.active_runs)
        second = asyncio.create_task(client.chat_send(session_key="main", message="never sent"))
        await until(lambda: recorder.begun.count("run") == 2)
        second.cancel()
        await asyncio.wait([second])
        assert recorder.ended[-1] == ("run", "cancelled")
        gateway.release()
        await first
    assert ("health", "cancelled") in recorder.ended


@pytest.mark.parametrize("release", ["2026.4.15", "2026.8.1"])
async def test_a_message_that_is_answered_behind_another_run_is_one_run(
    face: Face, recorder: Recorder, release: str
) -> None:
    async with (
        EmbeddedGateway(agent, throttle=0, release=release, busy="followup") as gateway,
        face.client(gateway.url, token=gateway.token) as one,
        face.client(gateway.url, token=gateway.token) as other,
    ):
        first = asyncio.create_task(one.chat_send(session_key="main", message="gated"))
        await until(lambda: gateway.active_runs)
        run = other.chat_stream(session_key="main", message="mine", when_busy="send")
        second = asyncio.create_task(run.result())
        await until(lambda: run.activity.kind == "waiting")
        # Its own run has ended at the gateway, without words: that is not its end.
        assert ends(recorder) == []
        gateway.release()
        assert (await first).text == "echo: gated"
        assert (await second).text == "echo: mine"
    assert ends(recorder) == ["final", "final"]
    assert recorder.begun.count("run") == 2


async def test_a_message_that_waits_and_is_not_sent_is_one_run(
    face: Face, gateway: EmbeddedGateway, recorder: Recorder
) -> None:
    async with face.client(gateway.url, token=SECRET) as one, face.client(gateway.url, token=SECRET) as other:
        first = asyncio.create_task(one.chat_send(session_key="main", message="gated"))
        await until(lambda: gateway.active_runs)
        with pytest.raises(RunTimeout, match="the message was not sent"):
            await other.chat_send(session_key="main", message="mine", timeout=0.2)
        assert ends(recorder) == ["RunTimeout"]
        gateway.release()
        await first
    assert ends(recorder) == ["RunTimeout", "final"]


def ends(recorder: Recorder) -> list[str]:
    """How the runs ended so far."""
    return [outcome for name, outcome in recorder.ended if name == "run" and outcome != "first text"]


@pytest.mark.parametrize(("release", "sent"), [("2026.9.6", True), ("2026.6.1", False), ("2026.2.17", False)])
@pytest.mark.parametrize("traceparent", ["00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01", "t" * 129])
async def test_the_trace_context_goes_to_gateways_that_take_it(
    release: str, sent: bool, traceparent: str, instrumented: Instrumented
) -> None:
    instrumented(Recorder(traceparent))
    async with (
        EmbeddedGateway(release=release) as gateway,
        Face("async").client(gateway.url, token=gateway.token) as client,
    ):
        reply = await client.chat_send(session_key="main", message="hello")
    assert reply.text == "echo: hello"
    methods = ("chat.history", "chat.send") if sent and len(traceparent) <= 128 else ()
    expected = [(method, traceparent) for method in methods]
    assert list(gateway.seen.traceparents) == expected


async def test_unused_nothing_is_sent(gateway: EmbeddedGateway) -> None:
    async with Face("async").client(gateway.url, token=SECRET) as client:
        await client.chat_send(session_key="main", message="hello")
    assert not gateway.seen.traceparents


class Broken(Instrumentation):
    def request(self, method: str) -> Span:
        raise ValueError("broken")

    def run(self) -> Span:
        return _BrokenRun()


class _BrokenRun(Span):
    def inside(self) -> Recorder:  # type: ignore[override]
        return Recorder()  # no context manager

    def end(self, outcome: str, seconds: float) -> None:
        raise ValueError("broken")


async def test_one_that_raises_harms_nobody(
    gateway: EmbeddedGateway, instrumented: Instrumented, recorder: Recorder, caplog: pytest.LogCaptureFixture
) -> None:
    instrumented(Broken())
    with caplog.at_level(logging.ERROR, "openclaw_client.telemetry"):
        async with Face("async").client(gateway.url, token=SECRET) as client:
            assert (await client.chat_send(session_key="main", message="hello")).text == "echo: hello"
    assert ("chat.send", "ok") in recorder.ended
    assert ("run", "final") in recorder.ended
    # Connect, run and two requests.
    assert len(caplog.records) == 4


async def test_it_ends_when_it_is_taken_back(gateway: EmbeddedGateway) -> None:
    recorder = Recorder()
    end = instrument(recorder)
    end()
    async with Face("async").client(gateway.url, token=SECRET) as client:
        await client.chat_send(session_key="main", message="hello")
    assert recorder.begun == []


def test_who_is_told_is_changed_by_many_threads_at_once() -> None:
    def come_and_go(_: int) -> None:
        for _ in range(20_000):
            instrument(Instrumentation())()

    patience, stays = sys.getswitchinterval(), Instrumentation()
    sys.setswitchinterval(1e-6)
    try:
        with ThreadPoolExecutor(8) as threads:
            leave = instrument(stays)
            list(threads.map(come_and_go, range(8)))
    finally:
        sys.setswitchinterval(patience)
    observers = current()
    assert observers is not None
    assert observers.observers == (stays,)
    leave()
    assert current() is None
