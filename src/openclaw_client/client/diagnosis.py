"""Going to the gateway step by step, and telling how far it came: `diagnose()` of both faces.

The steps before the WebSocket are tried one by one; from there on it is the client itself that connects, so that what
is told here is what happens to `connect()`.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Awaitable, Callable
from dataclasses import dataclass, replace
from typing import Literal

from openclaw_client.chat.arguments import chat_request
from openclaw_client.client.async_run import AsyncChatRun
from openclaw_client.client.callbacks import CallbackQueue
from openclaw_client.client.engine import Engine
from openclaw_client.connection.certificate import Certificate, look_at_certificate
from openclaw_client.connection.connection import Connection
from openclaw_client.connection.probe import Probe
from openclaw_client.connection.settings import Settings
from openclaw_client.errors import ConnectError, GatewayError
from openclaw_client.interactions.handling import TaskRunner
from openclaw_client.policy.advice import WHERE_IT_IS
from openclaw_client.policy.backoff import ReconnectPolicy
from openclaw_client.sessions.filter import SessionFilter

__all__ = ["WHERE_IT_IS", "Certificate", "Diagnosis", "OnStage", "StageReport", "look_at_certificate"]

CHEAP_CALL = "health"
"""A read that every release answers."""
SKEW = 30.0
"""Seconds by which the clocks may differ without a word: gateways take a signature for two minutes."""
TEST_SESSION = "openclaw-client-doctor"
"""Where the test chat is held: no conversation of the user's gets a message that is none."""
SHOWN = 60
"""Characters of the test chat's reply that are shown."""

_REACHED = (
    ("upgrade", "begun", "opened"),
    ("challenge", "opened", "challenged"),
    ("connect", "challenged", "welcomed"),
)
"""The steps of a handshake, with the moments at which they begin and end."""


@dataclass(frozen=True, slots=True)
class StageReport:
    """One step.

    stage: "dns", "tcp", "proxy", "tls", "upgrade", "challenge", "connect", "scopes", "call" or "chat". seconds: None
    where nothing was timed. detail: what was found, in a few words. error: why it failed, with what to do about it.
    """

    stage: str
    result: Literal["ok", "skipped", "failed"]
    seconds: float | None = None
    detail: str = ""
    error: GatewayError | None = None


OnStage = Callable[[StageReport], object]


class Diagnosis:
    """One walk to the gateway and back. On one event loop's thread; `close` must follow.

    chat: a message for a test chat, None for none.
    """

    def __init__(self, settings: Settings, chat: str | None) -> None:
        self._settings = replace(settings, reconnect=ReconnectPolicy(enabled=False))
        self._chat = chat
        self._probe = Probe(self._settings)
        self._engine: Engine | None = None
        self._reports = self._walk()

    async def next_report(self) -> StageReport | None:
        """The next step, when it is done; None behind the last one, and behind one that failed."""
        return await anext(self._reports, None)

    async def close(self) -> None:
        """Disconnect. Never raises."""
        await self._reports.aclose()
        if self._engine is not None:
            await self._engine.disconnect()

    # Inside.

    async def _walk(self) -> AsyncGenerator[StageReport, None]:
        async for report in self._steps():
            yield report
            if report.result == "failed":
                return

    async def _steps(self) -> AsyncGenerator[StageReport, None]:
        yield await _timed("dns", self._probe.dns)
        yield await _timed("tcp", self._probe.tcp)
        if not self._settings.url.secure:
            yield StageReport("tls", "skipped", detail="a ws:// URL")
        elif self._probe.proxied:
            yield StageReport("tls", "skipped", detail="behind the proxy, as a part of the upgrade")
        else:
            yield await _timed("tls", self._probe.tls)
        engine = self._engine = Engine(
            self._settings, SessionFilter(()), owner=None, user=None, callbacks=CallbackQueue, runner=TaskRunner()
        )
        async for report in self._handshake(engine):
            yield report
        yield await _timed("call", lambda: self._call(engine))
        if self._chat is not None:
            message = self._chat
            yield await _timed("chat", lambda: self._converse(engine, message))

    async def _handshake(self, engine: Engine) -> AsyncGenerator[StageReport, None]:
        loop = asyncio.get_running_loop()
        began, failure = loop.time(), None
        try:
            await engine.connect()
        except GatewayError as error:
            failure = await self._blame(error, engine)
        ended, moments = loop.time(), engine.supervisor.moments
        failed = failure.stage if failure is not None else ""
        details = _details(engine.supervisor.connection)
        for stage, start, end in _REACHED:
            if stage == failed:
                break
            if end in moments:
                yield StageReport(stage, "ok", moments[end] - moments[start], details.get(stage, ""))
        if failure is not None:
            last = max((moment for moment in moments.values() if moment >= began), default=began)
            yield replace(failure, seconds=ended - last)
        else:
            yield StageReport("scopes", "ok", ended - moments["welcomed"], details["scopes"])

    async def _blame(self, error: GatewayError, engine: Engine) -> StageReport:
        """The step that failed, and why."""
        if isinstance(error, ConnectError):
            error = await self._probe.suspect(error)
        stage = error.stage if isinstance(error, ConnectError) else "connect"
        if stage is None:
            stage = "connect" if "challenged" in engine.supervisor.moments else "upgrade"
        return StageReport(stage, "failed", error=error)

    async def _call(self, engine: Engine) -> str:
        await engine.requests.request(CHEAP_CALL, {}, self._settings.timeouts.request)
        return f"{CHEAP_CALL} was answered"

    async def _converse(self, engine: Engine, message: str) -> str:
        request = chat_request(TEST_SESSION, message, None, None, "wait", {})
        async with AsyncChatRun(engine, request, engine.run_timeouts(None)) as run:
            text = " ".join((await run.result()).text.split())
        return f"the reply: {text[:SHOWN]}{'…' if len(text) > SHOWN else ''}" if text else "a reply without text"


async def _timed(stage: str, step: Callable[[], Awaitable[str]]) -> StageReport:
    loop = asyncio.get_running_loop()
    began = loop.time()
    try:
        detail = await step()
    except GatewayError as error:
        named = error.stage if isinstance(error, ConnectError) and error.stage == "proxy" else stage
        return StageReport(named, "failed", loop.time() - began, error=error)
    return StageReport(stage, "ok", loop.time() - began, detail)


def _details(connection: Connection | None) -> dict[str, str]:
    """What a connection that is ready tells about each step."""
    if connection is None or connection.hello is None:
        return {}
    hello, skew, granted = connection.hello, connection.clock_offset, connection.granted
    told = "the gateway does not tell; nothing that is needed was refused"
    return {
        "challenge": f"the gateway's clock is {abs(skew):.0f} s {'ahead of' if skew > 0 else 'behind'} this machine's"
        if skew is not None and abs(skew) > SKEW
        else "",
        "connect": f"gateway {hello.server.version or 'of an unknown version'}, wire v{hello.protocol}",
        "scopes": told if granted is None else ", ".join(granted) or "none",
    }
