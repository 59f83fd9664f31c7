"""Runs that end in a moment in which a watch does something else, on a release that does not tell of rows."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

import pytest

from openclaw_client import Timeouts
from openclaw_client.testing import BlockingEmbeddedGateway
from openclaw_client.watching import transcript_watch, watch
from tests.waiting import until

KEY = "agent:main:s"


class Writing:
    """The history of a session, which has a row when the test says so. asked: how often it was read."""

    def __init__(self, gateway: BlockingEmbeddedGateway) -> None:
        self.rows: list[dict[str, Any]] = []
        self.asked = 0
        self._gateway = gateway
        gateway.method("chat.history", self._history)

    def write(self, text: str) -> None:
        number = len(self.rows) + 1
        self.rows.append({"role": "assistant", "content": text, "timestamp": number, "__openclaw": {"id": text}})

    def end(self, run_id: str) -> None:
        message = {"role": "assistant", "content": [{"type": "text", "text": run_id}]}
        final = {"runId": run_id, "sessionKey": KEY, "seq": 1, "state": "final", "message": message}
        self._gateway.emit("chat", final)

    def _history(self, _params: Any, _caller: Any) -> dict[str, Any]:
        self.asked += 1
        return {"sessionKey": KEY, "sessionId": "s", "messages": list(self.rows)}


@pytest.fixture
def writing(start_gateway: Callable[..., BlockingEmbeddedGateway]) -> tuple[BlockingEmbeddedGateway, Writing]:
    gateway = start_gateway(release="2026.4.15")
    return gateway, Writing(gateway)


async def test_a_run_that_ends_while_the_rows_of_the_last_one_are_waited_for(
    make: Callable[..., Any], writing: tuple[BlockingEmbeddedGateway, Writing], monkeypatch: pytest.MonkeyPatch
) -> None:
    # Long enough for both ends to come within it.
    monkeypatch.setattr(transcript_watch, "WRITTEN_AFTER", (1.0, 2.0))
    gateway, history = writing
    heard: list[Any] = []
    async with make(gateway) as client, client.watch_session(session_key="s") as stream:
        client.on("chat", heard.append)
        asked = history.asked
        history.write("one")
        history.end("one")
        await until(lambda: len(heard) == 1)
        history.end("two")
        await until(lambda: len(heard) == 2)
        assert history.asked == asked
        assert (await anext(stream)).text == "one"
        history.write("two")
        assert (await asyncio.wait_for(anext(stream), 5)).text == "two"


async def test_a_run_that_ends_before_the_history_is_asked_for_again(
    make: Callable[..., Any], writing: tuple[BlockingEmbeddedGateway, Writing], monkeypatch: pytest.MonkeyPatch
) -> None:
    gateway, history = writing
    monkeypatch.setattr(watch, "FIRST_PAUSE", 0.3)
    async with make(gateway, timeouts=Timeouts(request=0.5)) as client:
        gateway.faults.swallow("chat.history")
        stream = client.watch_session(session_key="s")
        await until(lambda: not gateway.faults.intercepted)
        history.end("one")
        await until(lambda: history.asked == 1)
        history.write("one")
        assert (await asyncio.wait_for(anext(stream), 5)).text == "one"
