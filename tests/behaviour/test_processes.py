"""Several processes of one application and of one user, on one gateway, without a hub."""

from __future__ import annotations

import asyncio
import json
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from queue import SimpleQueue
from typing import Any

import pytest
from msgspec import Raw

from openclaw_client import (
    AsyncConnectionManager,
    ConnectionManager,
    Credentials,
    DeviceIdentity,
    MemoryIdentityStore,
    ReconnectPolicy,
)
from openclaw_client.client.siblings import Siblings
from openclaw_client.errors import UsageError
from openclaw_client.runs.application import Application
from openclaw_client.testing import BlockingEmbeddedGateway
from openclaw_client.wire.agent import AgentPayload
from tests.faces import Face
from tests.relay import Relay
from tests.waiting import until

RELEASES = ["2026.2.17", "2026.4.15", "2026.6.1", "2026.9.6"]
PATIENCE = 30.0
"""Seconds in which a process says something, however busy the machine is."""

WORKER = """
import json
import logging
import sys

from openclaw_client import DeviceIdentity, GatewayClient, MemoryIdentityStore


class Warned(logging.Handler):
    def emit(self, record):
        say("warned", record.getMessage())


def say(what, *words):
    print(json.dumps([what, *words]), flush=True)


logging.getLogger("openclaw_client").addHandler(Warned(logging.WARNING))
url, token, application = sys.argv[1:]
identity = MemoryIdentityStore(DeviceIdentity.generate())
with GatewayClient(url, token=token, identity=identity, application=application or None) as client:
    client.on_proactive_message(lambda user, message: say("heard", message.text, message.kind, message.run_id))
    say("ready")
    for line in sys.stdin:
        run = client.chat_stream(session_key="main", message=line.strip())
        with run:
            say("reply", run.result().text, run.run_id)
"""


class Worker:
    """A process, and what it has said."""

    def __init__(self, process: subprocess.Popen[str]) -> None:
        self._process = process
        self._said: SimpleQueue[list[str]] = SimpleQueue()
        self.told: list[list[str]] = []
        assert process.stdin is not None
        self._stdin = process.stdin
        threading.Thread(target=self._read, daemon=True).start()

    def _read(self) -> None:
        assert self._process.stdout is not None
        for line in self._process.stdout:
            self._said.put(json.loads(line))

    def next(self, what: str) -> list[str]:
        """The next that it says of this kind."""
        while True:
            self.told.append(self._said.get(timeout=PATIENCE))
            if self.told[-1][0] == what:
                return self.told[-1][1:]

    def ask(self, message: str) -> str:
        """Have it send a message; returns the key of its run."""
        self._stdin.write(f"{message}\n")
        self._stdin.flush()
        text, key = self.next("reply")
        assert text == f"echo: {message}"
        return key

    def count(self, what: str) -> int:
        return sum(said[0] == what for said in self.told)


@contextmanager
def worker(gateway: BlockingEmbeddedGateway, application: str = "shop") -> Iterator[Worker]:
    command = [sys.executable, "-c", WORKER, gateway.url, gateway.token or "", application]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        made = Worker(process)
        try:
            made.next("ready")
            yield made
        finally:
            made._stdin.close()
            assert process.wait(PATIENCE) == 0


def connected(face: Face, gateway: BlockingEmbeddedGateway, url: str | None = None, **options: Any) -> Any:
    identity = MemoryIdentityStore(DeviceIdentity.generate())
    quick = ReconnectPolicy(initial=0.05, maximum=0.2)
    return face.client(
        url or gateway.url, token=gateway.token, identity=identity, application="shop", reconnect=quick, **options
    )


@pytest.mark.parametrize("release", RELEASES)
def test_what_one_process_is_told_is_no_message_of_somebody_else_s_to_the_others(release: str) -> None:
    with ExitStack() as stack:
        gateway = stack.enter_context(BlockingEmbeddedGateway(release=release))
        first, second, third = (stack.enter_context(worker(gateway)) for _ in range(3))
        stranger = stack.enter_context(worker(gateway, ""))
        for number, one in enumerate((first, second, first, third)):
            key = one.ask(f"message {number}")
            assert key.startswith("shop-")
            for other in {first, second, third} - {one}:
                assert other.next("heard") == [f"echo: message {number}", "reply", key]
            assert stranger.next("heard") == [f"echo: message {number}", "run", key]
        key = stranger.ask("from elsewhere")
        assert not key.startswith("shop-")
        for one in (first, second, third):
            assert one.next("heard") == ["echo: from elsewhere", "run", key]
            (warning,) = (said[1] for said in one.told if said[0] == "warned")
            assert warning.startswith(
                "another process of the application 'shop' sends messages, here in the session 'agent:main:main'"
            )
        assert stranger.count("warned") == 0


@pytest.mark.parametrize(("release", "kind"), [("2026.4.15", "run"), ("2026.6.1", "reply"), ("2026.9.6", "reply")])
async def test_what_was_said_while_it_was_away_is_known_by_its_key_where_rows_have_it(
    face: Face, release: str, kind: str
) -> None:
    heard: list[tuple[str, str]] = []
    with BlockingEmbeddedGateway(release=release) as gateway, worker(gateway) as sender:
        async with Relay(gateway.url) as relay, connected(face, gateway, relay.url, sessions=["main"]) as client:
            client.on_proactive_message(lambda user, message: heard.append((message.text, message.kind)))
            relay.away = True
            relay.cut()
            await asyncio.to_thread(sender.ask, "meanwhile")
            relay.away = False
            await until(lambda: heard)
    assert heard == [("echo: meanwhile", kind)]


async def test_two_clients_of_one_process_are_one(face: Face, caplog: pytest.LogCaptureFixture) -> None:
    heard: list[tuple[str, str]] = []
    with BlockingEmbeddedGateway() as gateway:
        async with connected(face, gateway) as first, connected(face, gateway) as second:
            second.on_proactive_message(lambda user, message: heard.append((message.text, message.kind)))
            await first.chat_send(session_key="main", message="hi")
            await until(lambda: heard == [("echo: hi", "reply")])
            # A key that a caller gives stays as it is.
            await first.chat_send(session_key="main", message="again", idempotency_key="other-1")
            await until(lambda: heard[1:] == [("echo: again", "run")])
            await first.chat_send(session_key="main", message="last", idempotency_key="shop-order-7")
            await until(lambda: heard[2:] == [("echo: last", "reply")])
    assert "another process" not in caplog.text


@pytest.mark.parametrize("name", ["", "Shop", "a-b", "ä", "x" * 33, 5, "shop\n"])
def test_a_name_that_is_none_is_refused_before_anything_is_opened(face: Face, name: Any) -> None:
    for make in (
        lambda: face.client("ws://127.0.0.1:1", identity=False, application=name),
        lambda: ConnectionManager(lambda user: Credentials("ws://127.0.0.1:1"), application=name),
        lambda: AsyncConnectionManager(lambda user: Credentials("ws://127.0.0.1:1"), application=name),
    ):
        with pytest.raises(UsageError, match="is no name of an application"):
            make()


def test_of_two_applications_in_a_process_each_is_told_of_once(caplog: pytest.LogCaptureFixture) -> None:
    one = Siblings()
    for number in range(3):
        for name in ("shop", "desk"):
            begun = AgentPayload(run_id=f"{name}-{number}", stream="lifecycle", data=Raw(b'{"phase":"start"}'))
            one.heard(Application(name), begun, lambda key: True)
    assert len(caplog.records) == 2
