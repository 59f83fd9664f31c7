"""Hundreds of users of one process, some of them broken: who connects is counted, not how long it takes."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from typing import Any

import pytest

from openclaw_client import AsyncGatewayClient
from openclaw_client.errors import AuthRejected, RateLimited
from openclaw_client.policy.breaker import MOST
from openclaw_client.testing import BlockingEmbeddedGateway
from tests.relay import Relay, Streams

Start = Callable[..., BlockingEmbeddedGateway]
USERS = 200
SILENT = b"x-user: silent\r\n"


class HalfDeaf(Relay):
    """Passes on what comes, but for connections whose upgrade says that they are never answered."""

    async def _serve(self, client: Streams, gateway: Streams) -> None:
        try:
            head = await client[0].readuntil(b"\r\n\r\n")
            if SILENT in head.lower():
                await client[0].read()
                return
            gateway[1].write(head)
            await super()._serve(client, gateway)
        except (asyncio.IncompleteReadError, ConnectionError):
            # The client has left.
            return
        finally:
            gateway[1].transport.abort()


@pytest.fixture
async def relay(start_gateway: Start) -> AsyncIterator[tuple[HalfDeaf, str]]:
    gateway = start_gateway()
    async with HalfDeaf(gateway.url) as relay:
        yield relay, gateway.token


async def connect(users: list[Any]) -> list[Any]:
    return await asyncio.gather(*(user.connect() for user in users), return_exceptions=True)


@pytest.mark.parametrize("order", ["first", "spread"])
async def test_users_whose_sockets_are_never_answered(relay: tuple[HalfDeaf, str], order: str) -> None:
    line, token = relay
    silent = set(range(USERS // 5)) if order == "first" else set(range(0, USERS, 5))
    users = [
        AsyncGatewayClient(
            line.url, token=token, identity=False, headers={"X-User": "silent" if number in silent else "good"}
        )
        for number in range(USERS)
    ]
    outcomes = await connect(users)
    good = [outcome for number, outcome in enumerate(outcomes) if number not in silent]
    # All of them, where 95 of 100 would do: a slow machine may cost one or the other its time limit.
    assert sum(outcome is None for outcome in good) >= 0.95 * len(good)
    await asyncio.gather(*(user.disconnect() for user in users))


@pytest.mark.parametrize("own", [False, True], ids=["one wrong token", "a wrong token each"])
@pytest.mark.parametrize("order", ["first", "spread"])
async def test_users_whose_token_is_refused(start_gateway: Start, order: str, own: bool) -> None:
    gateway = start_gateway(max_attempts=10)
    wrong = range(23) if order == "first" else range(0, 184, 8)
    users = [
        AsyncGatewayClient(
            gateway.url,
            token=(f"wrong-{number}" if own else "wrong") if number in wrong else gateway.token,
            identity=False,
        )
        for number in range(USERS)
    ]
    outcomes = await connect(users)
    assert [number for number, outcome in enumerate(outcomes) if outcome is not None] == list(wrong)
    assert {type(outcomes[number]) for number in wrong} == {AuthRejected, RateLimited}
    assert sum(one.refused is not None for one in gateway.seen.connects) <= MOST
    await asyncio.gather(*(user.disconnect() for user in users))
