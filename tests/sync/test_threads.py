"""The blocking client: many threads, the loop's own thread, foreign loops, forks, and the end of the process."""

from __future__ import annotations

import asyncio
import logging
import os
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from openclaw_client import AsyncGatewayClient, GatewayClient, MemoryIdentityStore
from openclaw_client.errors import ClientClosed, GatewayError, Unreachable, UsageError
from openclaw_client.identity.device import DeviceIdentity
from openclaw_client.sync.events import BlockingEventStream
from openclaw_client.sync.loop_thread import loop_thread
from openclaw_client.testing import BlockingEmbeddedGateway
from tests.waiting import PATIENCE

THREADS, MESSAGES, SESSIONS = 200, 2000, 50


@pytest.fixture
def gateway() -> Iterator[BlockingEmbeddedGateway]:
    with BlockingEmbeddedGateway() as gateway:
        yield gateway


def client_for(gateway: BlockingEmbeddedGateway) -> GatewayClient:
    store = MemoryIdentityStore(DeviceIdentity.generate())
    return GatewayClient(gateway.url, token=gateway.token, identity=store)


def test_many_threads_share_one_client(gateway: BlockingEmbeddedGateway) -> None:
    with client_for(gateway) as client, ThreadPoolExecutor(THREADS) as pool:

        def send(number: int) -> bool:
            text = f"message number {number}"
            reply = client.chat_send(session_key=f"session-{number % SESSIONS}", message=text)
            return reply.text == f"echo: {text}" and reply.state == "final"

        right = list(pool.map(send, range(MESSAGES)))
        assert right.count(True) == MESSAGES
        page = client.chat_history(session_key="session-7", limit=1000)
        assert sum(message.role == "user" for message in page.messages) == MESSAGES // SESSIONS
    assert len(gateway.seen.connects) == 1


def test_threads_ask_at_once(gateway: BlockingEmbeddedGateway) -> None:
    with client_for(gateway) as client, ThreadPoolExecutor(32) as pool:
        answers = pool.map(lambda _: client.request("health")["ok"], range(500))
        assert all(answers)


def test_clients_share_one_loop_thread(gateway: BlockingEmbeddedGateway) -> None:
    with client_for(gateway), client_for(gateway):
        assert sum(thread.name == "openclaw-loop" for thread in threading.enumerate()) == 1


def test_the_loop_s_own_thread_is_refused(gateway: BlockingEmbeddedGateway) -> None:
    with client_for(gateway) as client:

        async def on_the_loop() -> str:
            with pytest.raises(UsageError) as caught:
                client.request("health")
            return str(caught.value)

        sentence = asyncio.run_coroutine_threadsafe(on_the_loop(), loop_thread().loop).result(10)
    assert "await request" in sentence
    assert "AsyncGatewayClient" in sentence


def test_every_wait_is_refused_on_the_loop_s_own_thread(gateway: BlockingEmbeddedGateway) -> None:
    with client_for(gateway) as client, client.chat_stream(session_key="main", message="hi") as run:
        stream = client.events()
        waits = {
            "connect": client.connect,
            "disconnect": client.disconnect,
            "chat_history": lambda: client.chat_history(session_key="main"),
            "result": run.result,
            "next": lambda: next(run),
            "next event": lambda: next(stream),
        }

        async def on_the_loop() -> list[str]:
            refused = []
            for name, wait in waits.items():
                with pytest.raises(UsageError, match="own event-loop thread"):
                    wait()
                refused.append(name)
            return refused

        assert asyncio.run_coroutine_threadsafe(on_the_loop(), loop_thread().loop).result(10) == list(waits)
        assert run.result().text == "echo: hi"


class Reader(threading.Thread):
    """Reads events to their end."""

    def __init__(self, stream: BlockingEventStream) -> None:
        super().__init__(daemon=True)
        self.seen = 0
        self.error: GatewayError | None = None
        self._stream = stream
        self.start()

    def run(self) -> None:
        try:
            for _ in self._stream:
                self.seen += 1
        except GatewayError as error:
            self.error = error

    def ended(self) -> bool:
        self.join(PATIENCE)
        return not self.is_alive()


def test_closing_a_stream_ends_all_who_read_it(gateway: BlockingEmbeddedGateway) -> None:
    with client_for(gateway) as client:
        stream = client.events("note")
        readers = [Reader(stream) for _ in range(3)]
        for number in range(5):
            gateway.emit("note", {"number": number})
        # The answer comes behind them.
        client.request("health")
        stream.close()
        stream.close()
        assert all(reader.ended() for reader in readers)
        assert sum(reader.seen for reader in readers) == 5
        assert list(stream) == []


def test_a_connection_that_ends_is_told_to_one_reader_once(gateway: BlockingEmbeddedGateway) -> None:
    with client_for(gateway) as client:
        stream = client.events()
        readers = [Reader(stream) for _ in range(3)]
        client.disconnect()
        client.disconnect()
        assert all(reader.ended() for reader in readers)
        assert [type(reader.error) for reader in readers if reader.error is not None] == [ClientClosed]
        assert list(stream) == []


async def test_a_foreign_running_loop_is_stopped_and_told_so_once(
    gateway: BlockingEmbeddedGateway, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("openclaw_client.sync.loop_thread._warned", False)
    with client_for(gateway) as client:
        assert client.chat_send(session_key="main", message="from a coroutine").text == "echo: from a coroutine"
    said = [record.getMessage() for record in caplog.records if record.name == "openclaw_client.sync"]
    assert said == ["connect() stops the event loop of this thread while it waits; AsyncGatewayClient does not"]


def test_a_peer_that_ends_the_tls_handshake_is_an_error_and_nothing_in_the_log(
    caplog: pytest.LogCaptureFixture,
) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:

        def hang_up() -> None:
            peer, _ = server.accept()
            with peer:
                peer.recv(65_536)

        thread = threading.Thread(target=hang_up)
        thread.start()
        url = f"https://127.0.0.1:{server.getsockname()[1]}"
        with pytest.raises(Unreachable) as caught:
            GatewayClient(url, token="t", identity=False).connect()
        thread.join(10)
    assert caught.value.detail_code == "TLS_CUT"
    assert [record.getMessage() for record in caplog.records if record.levelno >= logging.ERROR] == []


def test_what_else_goes_wrong_on_the_loop_is_logged(
    gateway: BlockingEmbeddedGateway, caplog: pytest.LogCaptureFixture
) -> None:
    with client_for(gateway) as client:
        loop_thread().loop.call_soon_threadsafe(lambda: 1 // 0)
        assert client.request("health")["ok"]
    assert [record.exc_info[0] for record in caplog.records if record.exc_info] == [ZeroDivisionError]


def test_an_async_client_belongs_to_one_loop(gateway: BlockingEmbeddedGateway) -> None:
    client = AsyncGatewayClient(gateway.url, token=gateway.token, identity=False)

    async def left_open() -> None:
        await client.connect()

    loop = asyncio.new_event_loop()
    loop.run_until_complete(left_open())
    with pytest.raises(UsageError, match="another event loop"):
        asyncio.run(left_open())
    loop.run_until_complete(client.disconnect())
    loop.close()


@pytest.mark.skipif(not hasattr(os, "fork"), reason="this platform has no fork")
@pytest.mark.parametrize("loop", ["asyncio", "uvloop"])
def test_a_forked_child_has_a_connection_of_its_own(
    gateway: BlockingEmbeddedGateway, tmp_path: Path, loop: str
) -> None:
    script = tmp_path / "fork.py"
    script.write_text(FORK)
    # From 3.12 on Python warns of every fork beside a thread; the loop's thread is one.
    options = ["-W", "ignore:This process:DeprecationWarning"]
    arguments = [sys.executable, *options, str(script), gateway.url, str(gateway.token), loop]
    result = subprocess.run(arguments, capture_output=True, text=True, timeout=50)
    assert result.stderr == ""
    assert result.stdout.split() == ["child", "child", "parent", "0"]
    # The parent's connection was never closed: two children and the parent make three.
    assert len(gateway.seen.connects) == 3


FORK = """
import gc, os, sys
if sys.argv[3] == "asyncio":
    sys.modules["uvloop"] = None
from openclaw_client import GatewayClient

client = GatewayClient(sys.argv[1], token=sys.argv[2], identity=False)
client.connect()
connection = client.hello.server.conn_id
# Both ways of ending a child: without and with the interpreter's own clean-up, which collects what it inherited.
for leave in (os._exit, sys.exit):
    child = os.fork()
    if child == 0:
        ok = client.chat_send(session_key="child", message="hi").text == "echo: hi"
        ok = ok and client.hello.server.conn_id != connection
        print("child" if ok else "wrong", flush=True)
        gc.collect()
        leave(0)
    os.waitpid(child, 0)
ok = client.chat_send(session_key="parent", message="hi").text == "echo: hi"
print("parent" if ok and client.hello.server.conn_id == connection else "wrong", flush=True)
client.disconnect()
print(0)
"""
