"""Approvals and questions of many users, under a manager, on both faces."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from typing import Any

import pytest

from openclaw_client import Credentials, MemoryIdentityStore, ReconnectPolicy
from openclaw_client.errors import UsageError
from openclaw_client.identity.device import DeviceIdentity
from openclaw_client.testing import BlockingEmbeddedGateway, Turn
from tests.faces import Face
from tests.waiting import until

Start = Callable[..., BlockingEmbeddedGateway]
QUICK = ReconnectPolicy(initial=0.05, maximum=0.2)
USERS = 20


async def asks(turn: Turn) -> AsyncIterator[str]:
    """Runs a command that names its session."""
    yield f"{turn.session_key}: {await turn.ask_approval(f'rm {turn.session_key}')}"


@pytest.fixture
async def manage(face: Face) -> AsyncIterator[Callable[..., Any]]:
    made: list[Any] = []

    def manage(gateway: BlockingEmbeddedGateway, **options: Any) -> Any:
        devices: dict[Any, MemoryIdentityStore] = {}

        def credentials(user: Any) -> Credentials:
            device = devices.setdefault(user, MemoryIdentityStore(DeviceIdentity.generate()))
            return Credentials(gateway.url, token=gateway.token, identity=device)

        made.append(face.manager(credentials, reconnect=QUICK, **options))
        return made[-1]

    yield manage
    for manager in made:
        await manager.close()


@pytest.mark.parametrize("release", ["2026.4.15", "2026.5.12", "2026.7.35", "2026.9.6"])
async def test_nobody_is_handed_or_answers_what_another_is_asked(
    manage: Callable[..., Any], start_gateway: Start, release: str
) -> None:
    gateway = start_gateway(asks, release=release)
    manager = manage(gateway)
    handed: list[tuple[int, str]] = []

    def decide(user: int, approval: Any) -> str:
        handed.append((user, approval.command))
        return "allow-once"

    manager.on_approval(decide)
    clients = [await manager.connection_for(user) for user in range(USERS)]
    replies = await asyncio.gather(
        *(client.chat_send(session_key=f"user-{user}", message="clean up") for user, client in enumerate(clients))
    )
    await until(lambda: len(handed) == USERS)
    assert sorted(handed) == [(user, f"rm agent:main:user-{user}") for user in range(USERS)]
    if release not in ("2026.4.15", "2026.5.12"):
        assert [reply.text for reply in replies] == [f"agent:main:user-{user}: allow-once" for user in range(USERS)]
    else:
        await until(lambda: not gateway.pending_approvals)


@pytest.mark.parametrize("release", ["2026.5.12", "2026.9.6"])
async def test_an_id_of_another_user_is_gone_and_nothing_is_sent(
    manage: Callable[..., Any], start_gateway: Start, release: str
) -> None:
    gateway = start_gateway(asks, release=release)
    manager = manage(gateway, answers=["approvals"])
    mine, theirs = await manager.connection_for("me"), await manager.connection_for("them")
    sent = asyncio.ensure_future(mine.chat_send(session_key="mine", message="clean up"))
    await until(lambda: mine.pending_approvals)
    [approval] = mine.pending_approvals
    assert theirs.pending_approvals == ()
    assert (await theirs.approve(approval)).status == "gone"
    assert (await theirs.deny(approval.id)).status == "gone"
    assert not [name for name in gateway.seen.requests if name.endswith("approval.resolve")]
    assert (await mine.deny(approval)).status == "applied"
    await sent


async def test_behind_the_first_connection_it_is_too_late(manage: Callable[..., Any], start_gateway: Start) -> None:
    gateway = start_gateway(asks)
    manager = manage(gateway)
    await manager.connection_for("me")
    with pytest.raises(UsageError, match="before the first connection_for"):
        manager.on_approval(print)
    with pytest.raises(UsageError, match="answers="):
        manage(gateway, answers="approvals")


async def test_a_connection_that_waits_for_its_user_is_not_idle(
    manage: Callable[..., Any], start_gateway: Start
) -> None:
    gateway = start_gateway(asks)
    manager = manage(gateway, answers=["approvals"], idle_timeout=0.2)
    client = await manager.connection_for("me")
    run = client.chat_stream(session_key="mine", message="clean up")
    async with run:
        await until(lambda: client.pending_approvals)
    assert client.busy
    await manager.close_idle()
    assert client.connected
    assert (await client.deny(client.pending_approvals[0])).status == "applied"


async def test_what_was_asked_in_a_session_is_there_when_its_user_comes_back(
    manage: Callable[..., Any], face: Face, start_gateway: Start
) -> None:
    gateway = start_gateway(asks)
    device = MemoryIdentityStore(DeviceIdentity.generate())
    plain = face.client(gateway.url, token=gateway.token, identity=device, answers=["approvals"], reconnect=QUICK)
    async with plain:
        sent = asyncio.ensure_future(plain.chat_send(session_key="mine", message="clean up"))
        await until(lambda: plain.pending_approvals)
        manager = face.manager(
            lambda user: Credentials(gateway.url, token=gateway.token, identity=device), answers=["approvals"]
        )
        client = await manager.connection_for("me")
        assert client.pending_approvals == ()
        await client.chat_history(session_key="mine")
        await until(lambda: client.pending_approvals == plain.pending_approvals)
        assert (await client.approve(client.pending_approvals[0])).status == "applied"
        await sent
        await manager.close()


async def test_a_connection_that_was_given_up_leaves_its_questions_to_the_next(
    manage: Callable[..., Any], face: Face, start_gateway: Start
) -> None:
    gateway = start_gateway(asks)
    manager = manage(gateway)
    asked: list[str] = []

    def decide(user: str, approval: Any) -> str | None:
        asked.append(approval.id)
        return "allow-once" if len(asked) > 1 else None

    manager.on_approval(decide)
    client = await manager.connection_for("me")
    run = client.chat_stream(session_key="mine", message="clean up")
    async with run:
        await until(lambda: asked)
    await manager.disconnect("me")
    again = await manager.connection_for("me")
    await again.chat_history(session_key="mine")
    await until(lambda: len(asked) == 2 and not gateway.pending_approvals)
    assert asked[0] == asked[1]
