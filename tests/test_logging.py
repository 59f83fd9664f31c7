"""What is logged, and under which name."""

from __future__ import annotations

import asyncio
import logging
import re
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

import openclaw_client
from openclaw_client import ReconnectPolicy
from openclaw_client.errors import RequestFailed
from openclaw_client.logs import GuardedLogger, ends_more_than_a_callback
from openclaw_client.telemetry import Instrumentation, Span, instrument
from openclaw_client.testing import BlockingEmbeddedGateway
from tests.faces import Face
from tests.test_layers import MAY_IMPORT
from tests.waiting import until

PACKAGE = Path(openclaw_client.__file__).parent
ALSO = {"connection": {"wire", "protocol"}}
"""The pure layers don't log: who feeds them does, under their names."""


def test_each_layer_logs_under_its_own_name() -> None:
    found: set[str] = set()
    for path in PACKAGE.rglob("*.py"):
        layer = path.relative_to(PACKAGE).parts[0]
        for name in re.findall(r'GuardedLogger\("openclaw_client\.([\w.]+)"\)', path.read_text()):
            assert name in {layer, *ALSO.get(layer, ())}, f"{path.name} logs as {name}"
            found.add(name)
        # What a handler raises would come out of any other logger.
        assert layer in ("cli", "logs.py", "__init__.py", "transport") or "getLogger(" not in path.read_text(), path
    assert {"wire", "protocol", "connection", "client", "identity", "sync"} <= found <= set(MAY_IMPORT)


async def test_frames_are_logged_when_somebody_wants_them(face: Face, caplog: pytest.LogCaptureFixture) -> None:
    def frames() -> list[str]:
        return [record.getMessage() for record in caplog.records if record.name == "openclaw_client.wire"]

    with BlockingEmbeddedGateway() as gateway:
        caplog.set_level(logging.INFO, logger="openclaw_client")
        async with face.client(gateway.url, token=gateway.token) as client:
            await client.chat_send(session_key="main", message="quiet")
            assert frames() == []
            # Also in a connection that is up.
            caplog.set_level(logging.DEBUG, logger="openclaw_client.wire")
            await client.chat_send(session_key="main", message="loud")
    assert any(" sent " in line and "loud" in line for line in frames())
    assert any(" received " in line and '"state":"final"' in line for line in frames())
    assert not any("quiet" in line for line in frames())


class Beyond(BaseException):
    """No Exception, like what `pytest.fail` raises."""


RAISED = [RuntimeError("no"), OSError(32, "Broken pipe"), asyncio.CancelledError(), Beyond("no")]


@pytest.fixture(params=RAISED, ids=lambda error: type(error).__name__)
def trouble(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[..., Any]]:
    """What every log handler raises while the test runs; on what runs no loop it is an Exception."""
    error = request.param
    monkeypatch.setattr(logging, "raiseExceptions", False)

    def raise_it(*_: object, **__: object) -> Any:
        try:
            asyncio.get_running_loop()
        except RuntimeError:
            raise RuntimeError("no") from None
        raise type(error)(*error.args)

    handler, logger = logging.Handler(), logging.getLogger()
    monkeypatch.setattr(handler, "emit", raise_it)
    before = logger.level
    logger.addHandler(handler)
    logging.getLogger("openclaw_client").setLevel(logging.DEBUG)
    logger.setLevel(logging.INFO)
    yield raise_it
    logger.removeHandler(handler)
    logger.setLevel(before)
    logging.getLogger("openclaw_client").setLevel(logging.NOTSET)


class Raising(Instrumentation):
    """Raises from every method, at its beginning and its end."""

    def __init__(self, raise_it: Callable[..., Any], inside: Any) -> None:
        for name in ("connection_ended", "gap", "slow_consumer", "proactive_message"):
            setattr(self, name, raise_it)
        span = Span()
        for name in ("first_text", "end"):
            setattr(span, name, raise_it)
        span.inside = inside  # type: ignore[method-assign]
        self.connect = self.request = self.run = lambda **_: span  # type: ignore[assignment, method-assign]
        self.request = lambda _: span  # type: ignore[method-assign]


class Swallowing:
    """Raises when it is left, or takes the errors of the work away."""

    def __init__(self, leave: Callable[..., Any]) -> None:
        self._leave = leave

    def __enter__(self) -> None: ...

    def __exit__(self, *_: object) -> Any:
        return self._leave()


async def whole_life(face: Face, gateway: BlockingEmbeddedGateway) -> list[object]:
    """What a client does in every situation, as values."""
    quick = ReconnectPolicy(initial=0.01, maximum=0.05)
    client = face.client(gateway.url, token=gateway.token, identity=False, reconnect=quick)
    seen: list[object] = []
    heard: list[str] = []
    client.on_proactive_message(lambda _, message: heard.append(message.text))

    @client.on_state_change
    def fail(change: object) -> None:
        seen.append(change.new.value)  # type: ignore[attr-defined]
        raise RuntimeError("a handler")

    await client.connect()
    reply = await client.chat_send(session_key="main", message="hi")
    with pytest.raises(RequestFailed):
        await client.request("no.such.method")
    gateway.say("agent:main:main", "by myself")
    await until(lambda: heard)
    gateway.faults.disconnect()
    await until(lambda: seen.count("connected") == 2)
    again = await client.chat_send(session_key="main", message="again")
    await client.disconnect()
    await until(lambda: seen[-1] == "disconnected")
    return [reply.text, again.text, *heard, *seen]


SAID = ["echo: hi", "echo: again", "by myself"]
LIFE = [*SAID, "connecting", "connected", "reconnecting", "connected", "disconnected"]


async def test_a_log_handler_that_raises_changes_nothing(face: Face, trouble: Callable[..., Any]) -> None:
    async with asyncio.timeout(30):
        with BlockingEmbeddedGateway() as gateway:
            assert await whole_life(face, gateway) == LIFE


@pytest.mark.parametrize("left", ["raises", "says that there was no error"])
async def test_telemetry_that_raises_changes_nothing(face: Face, trouble: Callable[..., Any], left: str) -> None:
    leave: Callable[..., Any] = trouble if left == "raises" else lambda: True
    remove = instrument(Raising(trouble, lambda: Swallowing(leave)))
    try:
        async with asyncio.timeout(30):
            with BlockingEmbeddedGateway() as gateway:
                assert await whole_life(face, gateway) == LIFE
    finally:
        remove()


def test_what_a_handler_raised_is_shown(capsys: pytest.CaptureFixture[str]) -> None:
    log = GuardedLogger("openclaw_client.test")

    def refuse(record: logging.LogRecord) -> bool:
        raise ValueError("a filter of mine")

    log.logger.addFilter(refuse)
    log.error("something")
    assert "a filter of mine" in capsys.readouterr().err


def test_a_record_names_the_line_that_wrote_it(caplog: pytest.LogCaptureFixture) -> None:
    GuardedLogger("openclaw_client.test2").warning("here")
    assert caplog.records[-1].filename == Path(__file__).name


@pytest.mark.parametrize(
    ("error", "in_a_loop", "in_the_main_thread", "goes_on"),
    [
        (RuntimeError(), True, True, False),
        (RuntimeError(), False, True, False),
        (KeyboardInterrupt(), True, True, True),
        (SystemExit(), True, True, True),
        (SystemExit(), True, False, False),
        (asyncio.CancelledError(), True, True, False),
        (Beyond(), True, False, False),
        (Beyond(), False, False, True),
        (KeyboardInterrupt(), False, True, True),
    ],
)
def test_what_goes_on_to_who_runs_the_program(
    error: BaseException, in_a_loop: bool, in_the_main_thread: bool, goes_on: bool
) -> None:
    found: list[bool] = []

    async def look() -> None:
        found.append(ends_more_than_a_callback(error))

    def run() -> None:
        asyncio.run(look()) if in_a_loop else found.append(ends_more_than_a_callback(error))

    if in_the_main_thread:
        run()
    else:
        thread = threading.Thread(target=run)
        thread.start()
        thread.join()
    assert found == [goes_on]
