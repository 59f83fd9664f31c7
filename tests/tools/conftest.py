"""Hosts of either face at an embedded gateway whose agent calls tools as the user's message says."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import ExitStack
from typing import Any

import pytest

from openclaw_client import MemoryIdentityStore, ReconnectPolicy, Timeouts
from openclaw_client.identity.device import DeviceIdentity
from openclaw_client.testing import BlockingEmbeddedGateway, Turn
from tests.faces import Face

QUICK = ReconnectPolicy(initial=0.05, maximum=0.2)

Make = Callable[..., Any]
Start = Callable[..., BlockingEmbeddedGateway]


async def caller(turn: Turn) -> AsyncIterator[str]:
    """`NAME {"argument": …}` calls a tool; the answer is what it said, with an asterisk before an error."""
    name, _, arguments = turn.message.partition(" ")
    answer = await turn.call_tool(name, json.loads(arguments or "{}"))
    yield "*" * answer.is_error + answer.text


@pytest.fixture
def start_gateway() -> Iterator[Start]:
    """Start gateways with the given parameters; all end with the test."""
    with ExitStack() as stack:
        yield lambda agent=caller, **options: stack.enter_context(
            BlockingEmbeddedGateway(agent, **{"tool_search": False, **options})
        )


@pytest.fixture
def gateway(start_gateway: Start) -> BlockingEmbeddedGateway:
    return start_gateway()


def options_for(gateway: BlockingEmbeddedGateway, options: dict[str, Any]) -> dict[str, Any]:
    return {
        "token": gateway.token,
        "identity": MemoryIdentityStore(DeviceIdentity.generate()),
        "reconnect": QUICK,
        "timeouts": Timeouts(connect=10, request=10),
        **options,
    }


@pytest.fixture
def make(face: Face) -> Make:
    """A host of this face for a gateway, with a device of its own, quick to reconnect."""

    def host(gateway: BlockingEmbeddedGateway, *tools: Any, **options: Any) -> Any:
        return face.host(gateway.url, **options_for(gateway, {"name": "shop", "tools": tools, **options}))

    return host


@pytest.fixture
def make_client(face: Face) -> Make:
    """A client of this face for a gateway."""

    def client(gateway: BlockingEmbeddedGateway, **options: Any) -> Any:
        return face.client(gateway.url, **options_for(gateway, options))

    return client


async def serving(host: Any, gateway: BlockingEmbeddedGateway) -> None:
    """Connect a host and approve it."""
    await host.connect()
    await asyncio.to_thread(gateway.approve)
    assert await host.wait_published(10)


async def ask(client: Any, message: str, session: str = "s") -> str:
    """What the agent says."""
    text: str = (await client.chat_send(session_key=session, message=message)).text
    return text
