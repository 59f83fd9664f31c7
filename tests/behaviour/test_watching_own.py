"""The list of a client that is shown some of a gateway's sessions: which of them it finds, and which are its own."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

import pytest

from openclaw_client import Credentials
from openclaw_client.errors import UsageError
from openclaw_client.testing import BlockingEmbeddedGateway
from openclaw_client.watching import list_watch
from tests.faces import Face

Start = Callable[..., BlockingEmbeddedGateway]


def is_mine(key: str) -> bool:
    return ":mine" in key


def names(told: Any) -> list[str]:
    return [one.key.rpartition(":")[2] for one in told.sessions]


@pytest.mark.parametrize(("release", "sessions"), [("2026.9.6", is_mine), ("2026.4.15", ["mine1", "mine2"])])
async def test_own_sessions_behind_those_of_others(
    make: Callable[..., Any], start_gateway: Start, release: str, sessions: Any
) -> None:
    gateway = start_gateway(release=release)
    async with make(gateway) as client:
        for name in ("mine1", "mine2", "x", "y", "z"):
            await client.chat_send(session_key=name, message="hi")
    async with make(gateway, sessions=sessions) as client, client.watch_sessions(2) as stream:
        assert sorted(names(await anext(stream))) == ["mine1", "mine2"]


async def test_the_list_follows_what_the_user_may_see(
    face: Face, make: Callable[..., Any], gateway: BlockingEmbeddedGateway, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(list_watch, "READ_EVERY", 0.01)
    async with make(gateway) as client:
        for name in ("a", "b"):
            await client.chat_send(session_key=name, message="hi")
    given = ["a"]
    manager = face.manager(
        lambda user: Credentials(gateway.url, token=gateway.token, sessions=given, identity=False), credentials_ttl=0
    )
    async with manager:
        stream = (await manager.connection_for("u")).watch_sessions()
        assert names(await anext(stream)) == ["a"]
        given = ["b"]
        await manager.connection_for("u")
        while (shown := names(await asyncio.wait_for(anext(stream), 5))) != ["b"]:
            assert shown == []


async def test_what_makes_a_session_ones_own(
    face: Face, make: Callable[..., Any], gateway: BlockingEmbeddedGateway
) -> None:
    async with make(gateway, sessions=["mine"]) as client:
        await client.chat_send(session_key="other", message="hi")
        with pytest.raises(UsageError) as refused:
            client.watch_session(session_key="other")
        assert refused.value.remedy == "Name it in sessions="
    manager = face.manager(lambda user: Credentials(gateway.url, token=gateway.token, identity=False))
    client = await manager.connection_for("u")
    with pytest.raises(UsageError, match="use it first"):
        client.watch_session(session_key="other")
    await client.chat_send(session_key="other", message="hi")
    async with client.watch_session(session_key="other"):
        pass
    await manager.close()
