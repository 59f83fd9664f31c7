"""Everything put together: accounts, connections, conversations, and a server that ends when it is told to."""

from __future__ import annotations

import secrets
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path

import uvicorn
from fastapi import FastAPI

from examples.webchat.accounts import Accounts
from examples.webchat.app import create_app
from examples.webchat.conversation import Conversations
from examples.webchat.demo import HINTS, demo_gateway
from openclaw_client import (
    AsyncConnectionManager,
    Credentials,
    DeviceIdentity,
    FileIdentityStore,
    IdentityStore,
    MemoryIdentityStore,
    ReconnectPolicy,
    SessionKey,
)

LOCAL_NAMES = ("127.0.0.1", "localhost", "[::1]")


@dataclass(frozen=True, slots=True)
class Setup:
    """What the command line says. url: None for the embedded gateway. state: a folder for the users' device keys.

    reconnect: quicker than the default, because people look at the page.
    """

    users: tuple[str, ...]
    url: str | None = None
    token: str | None = None
    state: Path | None = None
    hosts: tuple[str, ...] = ()
    secret: bytes | None = None
    reconnect: ReconnectPolicy = field(default_factory=lambda: ReconnectPolicy(maximum=10))


def session_key(user: str) -> str:
    """The one conversation of a user at the gateway."""
    return SessionKey.agent("main", "webchat", user)


def build_app(setup: Setup) -> FastAPI:
    """The application for this setup; raises ValueError for names that nobody can have."""
    accounts = Accounts(setup.users, setup.secret or secrets.token_bytes(32))

    @asynccontextmanager
    async def conversations() -> AsyncIterator[Conversations]:
        if setup.url is None:
            async with demo_gateway() as gateway, _conversations(setup, gateway.url, gateway.token) as them:
                yield them
        else:
            async with _conversations(setup, setup.url, setup.token) as them:
                yield them

    hints = HINTS if setup.url is None else ("What can you do?",)
    return create_app(conversations, accounts, hosts=(*LOCAL_NAMES, *setup.hosts), hints=hints)


@asynccontextmanager
async def _conversations(setup: Setup, url: str, token: str | None) -> AsyncIterator[Conversations]:
    # Every user has a device of their own, also where they share the gateway and its token.
    stores: dict[str, IdentityStore] = {
        user: FileIdentityStore(setup.state / f"{user}.json")
        if setup.state
        else MemoryIdentityStore(DeviceIdentity.generate())
        for user in setup.users
    }

    def credentials(user: str) -> Credentials:
        return Credentials(url, token=token, identity=stores[user], sessions=[session_key(user)])

    # Gateways ask only clients that say that somebody answers (2026.8.1 and later), and only those with a device.
    answers = ("approvals", "questions")
    async with AsyncConnectionManager(credentials, reconnect=setup.reconnect, answers=answers) as manager:
        conversations = Conversations(manager, session_key)
        manager.on_proactive_message(conversations.receive)
        try:
            yield conversations
        finally:
            await conversations.close()


class Server(uvicorn.Server):
    """Lets the pages go before it waits for their requests to end: a feed never ends by itself."""

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        app = self.config.app
        assert isinstance(app, FastAPI)
        conversations: Conversations | None = getattr(app.state, "conversations", None)
        if conversations is not None:  # else it was stopped before it had started
            conversations.end_feeds()
        await super().shutdown(sockets)


def make_server(app: FastAPI, *, host: str, port: int, log_level: str = "warning") -> Server:
    """A server that is not running yet; port 0 takes a free one."""
    return Server(uvicorn.Config(app, host=host, port=port, log_level=log_level, timeout_graceful_shutdown=5))
