"""A gateway, and clients that come back quickly."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Iterator

import pytest

from openclaw_client import ReconnectPolicy
from openclaw_client.telemetry import Instrumentation, instrument
from openclaw_client.testing import EmbeddedGateway, Turn

QUICK = ReconnectPolicy(initial=0.01, maximum=0.05)
SECRET = "the-users-secret"


async def agent(turn: Turn) -> AsyncIterator[str]:
    """Echoes in two pieces, with a gate between them for who asks for it."""
    if turn.message == "fail":
        turn.fail("it broke")
    yield "echo: "
    if turn.message == "gated":
        await turn.gate.wait()
    yield turn.message


@pytest.fixture
async def gateway() -> AsyncIterator[EmbeddedGateway]:
    async with EmbeddedGateway(agent, token=SECRET, throttle=0) as gateway:
        yield gateway


@pytest.fixture
def instrumented() -> Iterator[Callable[[Instrumentation], None]]:
    """Tell an instrumentation, until the test is over."""
    ends: list[Callable[[], None]] = []
    yield lambda one: ends.append(instrument(one))
    for end in ends:
        end()
