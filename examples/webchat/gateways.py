"""A stand-in until the connection manager is here."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

from openclaw_client import AsyncGatewayClient


class OneEach:
    def __init__(self, make: Callable[[str], AsyncGatewayClient]) -> None:
        self._make = make
        self._clients: dict[str, AsyncGatewayClient] = {}
        self._handlers: list[Any] = []
        self._locks: dict[str, asyncio.Lock] = {}

    def on_proactive_message(self, handler: Any) -> None:
        self._handlers.append(handler)

    async def connection_for(self, user: str) -> AsyncGatewayClient:
        async with self._locks.setdefault(user, asyncio.Lock()):
            client = self._clients.get(user)
            if client is None:
                client = self._make(user)
                for handler in self._handlers:
                    client.on_proactive_message(handler)
                await client.connect()
                self._clients[user] = client
            return client

    @asynccontextmanager
    async def hold(self, user: str) -> AsyncIterator[AsyncGatewayClient]:
        yield await self.connection_for(user)

    async def close(self) -> None:
        for client in self._clients.values():
            await client.disconnect()
