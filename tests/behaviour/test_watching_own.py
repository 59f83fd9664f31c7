"""The list of a client that is shown some of a gateway's sessions: which of them it finds, and which are its own."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from openclaw_client.testing import BlockingEmbeddedGateway

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
