"""Many sockets from one address at once."""

from __future__ import annotations

import asyncio
import contextlib

import pytest
from websockets.asyncio.client import connect
from websockets.exceptions import InvalidStatus

from openclaw_client import AsyncGatewayClient
from tests.contract.targets import PATIENT, Target

STRANGERS = 32
"""Sockets without hello-ok that an address may have open, on every release that counts them (`max_strangers`)."""


async def test_an_address_may_have_so_many_sockets_that_did_not_connect(target: Target) -> None:
    async with contextlib.AsyncExitStack() as sockets:
        for _ in range(STRANGERS):
            socket = await sockets.enter_async_context(connect(target.url, proxy=None))
            await socket.recv()
        if target.profile.max_strangers is None:
            another = await sockets.enter_async_context(connect(target.url, proxy=None))
            assert "connect.challenge" in str(await another.recv())
        else:
            with pytest.raises(InvalidStatus) as caught:
                await sockets.enter_async_context(connect(target.url, proxy=None))
            assert caught.value.response.status_code == 503
            assert caught.value.response.body == b"Too many unauthenticated sockets"


async def test_twice_as_many_clients_as_an_address_may_have_connect_all_at_once(target: Target) -> None:
    clients = [
        AsyncGatewayClient(target.url, token=target.token, identity=False, scopes=[], timeouts=PATIENT)
        for _ in range(2 * STRANGERS)
    ]
    await asyncio.gather(*(client.connect() for client in clients))
    assert all(client.connected for client in clients)
    await asyncio.gather(*(client.disconnect() for client in clients))
