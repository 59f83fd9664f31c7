"""What a gateway should never send harms nothing else on the connection."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable
from typing import Any

import pytest

from openclaw_client import ConnectionState, StateChange
from openclaw_client.errors import ConnectionLost
from openclaw_client.testing import BlockingEmbeddedGateway

Make = Callable[..., Any]

RUBBISH = [
    b"",
    b"not json",
    b"[1, 2, 3]",
    b"null",
    b'"text"',
    b'{"type":"event"}',
    b'{"type":"event","event":7,"payload":{}}',
    b'{"type":"event","event":"chat"}',
    b'{"type":"event","event":"chat","payload":null}',
    b'{"type":"event","event":"chat","payload":{"runId":5,"state":[],"message":{"content":{"a":1}}}}',
    b'{"type":"event","event":"agent","payload":"nothing"}',
    b'{"type":"event","event":"tick","payload":{"ts":"soon"},"seq":-3}',
    b'{"type":"event","event":"from.the.future","payload":{"x":1},"seq":"one"}',
    b'{"type":"res","id":"nobody asked","ok":true}',
    b'{"type":"res","ok":true}',
    b'{"type":"req","id":"1","method":"connect"}',
    b'{"type":"event","event":"connect.challenge","payload":{"nonce":"again","ts":1}}',
    b'{"type":"event","event":"chat","payload":{"runId":"x","state":"delta","message":"\xff\xfe"}}',
    b'{"type":"event","event":"odd","payload":{"text":"\xff\xfe"}}',
    b"[" * 100_000,
    json.dumps({"type": "event", "event": "chat", "payload": {"runId": "r", "state": "exploded"}}).encode(),
]


async def test_frames_that_are_none(make: Make, gateway: BlockingEmbeddedGateway) -> None:
    async with make(gateway) as client:
        events = client.events("from.the.future", "odd")
        for frame in RUBBISH:
            gateway.faults.send(frame)
        gateway.faults.send(b'{"type":"tick"}', binary=True)
        gateway.faults.send(b"\x00\x01\x02", binary=True)
        reply = await client.chat_send(session_key="main", message="still here")
        assert reply.text.endswith("still here")
        assert client.connected
        future = await anext(events)
        assert (future.name, future.payload, future.seq) == ("from.the.future", {"x": 1}, None)
        assert (await anext(events)).payload == {}
    assert len(gateway.seen.connects) == 1


async def test_a_message_in_fragments_is_joined(make: Make, gateway: BlockingEmbeddedGateway) -> None:
    async with make(gateway) as client:
        events = client.events("big")
        text = "x" * 300_000
        frame = json.dumps({"type": "event", "event": "big", "payload": {"text": text}}).encode()
        gateway.faults.send_fragments(frame, 1000)
        assert (await anext(events)).payload == {"text": text}


@pytest.mark.parametrize("fragments", [False, True], ids=["whole", "in fragments"])
async def test_a_frame_over_the_limit_ends_the_connection_with_its_reason(
    make: Make, gateway: BlockingEmbeddedGateway, fragments: bool
) -> None:
    changes: asyncio.Queue[StateChange] = asyncio.Queue()
    loop = asyncio.get_running_loop()
    client = make(gateway)
    client.on_state_change(lambda change: loop.call_soon_threadsafe(changes.put_nowait, change))
    async with client:
        huge = b'{"type":"event","event":"huge","payload":"' + b"x" * 26_300_000 + b'"}'
        if fragments:
            gateway.faults.send_fragments(huge, 1_000_000, finish=False)
        else:
            gateway.faults.send(huge)
        while (change := await changes.get()).new is not ConnectionState.RECONNECTING:
            pass
        assert isinstance(change.cause, ConnectionLost)
        assert change.cause.close_code == 1009
        assert "the gateway sent what no WebSocket client may take" in str(change.cause)
        # The client comes back; what was too big is not asked for again.
        assert (await client.request("health"))["ok"] is True
