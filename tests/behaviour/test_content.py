"""Messages that hold more than text, or text in another form: what a caller gets of them."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

import pytest

from openclaw_client import ProactiveMessage, RunCompleted
from openclaw_client.testing import BlockingEmbeddedGateway
from tests.behaviour.test_resume import gated
from tests.waiting import until

Make = Callable[..., Any]
Start = Callable[..., BlockingEmbeddedGateway]

IMAGE = {"type": "image", "data": "iVBORw0KGgo=", "mimeType": "image/png"}
AUDIO = {"type": "audio", "url": "/media/1.mp3"}
CALL = {"type": "toolCall", "id": "c1", "name": "read", "arguments": {}}
CRON = "agent:main:cron:job"


def words(text: str, kind: str = "text") -> dict[str, Any]:
    return {"type": kind, "text": text}


@pytest.mark.parametrize(
    ("message", "text"),
    [
        ({"content": []}, "beginning"),
        ({"content": [AUDIO]}, "beginning"),
        ({"content": IMAGE}, "beginning"),
        ({"content": [IMAGE], "text": "Hello world"}, "Hello world"),
        ({"content": [words("Hello world", "output_text")]}, "Hello world"),
        ({"content": words("Hello world")}, "Hello world"),
        ({"content": [{"type": "thinking"}, words("I'll check."), CALL, words("Done.")]}, "I'll check.\n\nDone."),
    ],
)
async def test_the_text_of_a_final(make: Make, start_gateway: Start, message: dict[str, Any], text: str) -> None:
    gateway = start_gateway(gated)
    events: list[Any] = []
    async with make(gateway) as client:
        sending = asyncio.ensure_future(client.chat_send(session_key="main", message="x", on_event=events.append))
        await until(lambda: any(event.type == "text_appended" for event in events))
        (run_id,) = {event.run_id for event in events}
        final = {"runId": run_id, "sessionKey": "agent:main:main", "state": "final", "seq": 99}
        gateway.emit("chat", {**final, "message": {"role": "assistant", **message}})
        assert (await sending).text == text
        end = events[-1]
        assert isinstance(end, RunCompleted)
        content = message["content"]
        assert (end.text, end.content) == (text, tuple(content) if isinstance(content, list) else (content,))


async def test_a_message_that_is_only_an_image(make: Make, start_gateway: Start) -> None:
    gateway = start_gateway(gated)
    messages: list[ProactiveMessage] = []
    async with make(gateway) as client:
        client.on_proactive_message(lambda user, message: messages.append(message))
        final = {"runId": "job-1", "sessionKey": CRON, "state": "final", "seq": 1}
        gateway.emit("chat", {**final, "message": {"role": "assistant", "content": [IMAGE]}})
        await until(lambda: messages)
    assert messages == [ProactiveMessage("job-1", "", CRON, "job-1", "cron", None, (IMAGE,))]
