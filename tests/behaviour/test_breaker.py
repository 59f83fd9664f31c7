"""One user's bad credentials are not the others' lock-out."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

import pytest

from openclaw_client import AsyncGatewayClient, ConnectionState
from openclaw_client.errors import AuthRejected, GatewayError, RateLimited
from openclaw_client.policy.breaker import BUDGET
from openclaw_client.testing import BlockingEmbeddedGateway
from tests.waiting import until

Start = Callable[..., BlockingEmbeddedGateway]


def client(gateway: BlockingEmbeddedGateway, **options: Any) -> AsyncGatewayClient:
    options.setdefault("token", gateway.token)
    return AsyncGatewayClient(gateway.url, identity=False, **options)


def refused(gateway: BlockingEmbeddedGateway) -> int:
    return sum(connect.refused is not None for connect in gateway.seen.connects)


async def test_one_bad_token_among_three_hundred(start_gateway: Start) -> None:
    gateway = start_gateway(max_attempts=3)
    users = [client(gateway, token="wrong" if number == 17 else gateway.token) for number in range(300)]
    results = await asyncio.gather(*(user.connect() for user in users), return_exceptions=True)
    failures = [(number, result) for number, result in enumerate(results) if result is not None]
    assert [(number, type(result)) for number, result in failures] == [(17, AuthRejected)]
    assert users[17].state is ConnectionState.PAUSED
    assert refused(gateway) == 1
    await asyncio.gather(*(user.disconnect() for user in users))
    await until(lambda: not gateway.open_connections)


async def test_many_bad_tokens_stay_below_the_gateway_s_limit(start_gateway: Start) -> None:
    gateway = start_gateway(max_attempts=10)
    outcomes: list[type[GatewayError]] = []
    for _ in range(12):
        with pytest.raises((AuthRejected, RateLimited)) as caught:
            await client(gateway, token="wrong").connect()
        outcomes.append(caught.type)
    assert outcomes == [AuthRejected] * BUDGET + [RateLimited] * (12 - BUDGET)
    assert refused(gateway) == BUDGET


async def test_nothing_is_tried_while_a_lock_out_runs(start_gateway: Start) -> None:
    gateway = start_gateway(max_attempts=1, lockout=300.0)
    up = client(gateway)
    await up.connect()
    with pytest.raises(AuthRejected):
        await client(gateway, token="wrong").connect()
    with pytest.raises(RateLimited) as told:
        await client(gateway).connect()
    seen = len(gateway.seen.connects)
    for _ in range(3):
        with pytest.raises(RateLimited, match="no connect is tried for") as caught:
            await client(gateway).connect()
        assert told.value.retry_after is not None
        assert 0 < caught.value.retry_after <= told.value.retry_after  # type: ignore[operator]
    assert len(gateway.seen.connects) == seen
    # A connection that is up is not touched.
    assert (await up.request("health"))["ok"] is True
    await up.disconnect()
