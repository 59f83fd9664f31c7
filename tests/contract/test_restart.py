"""The gateway goes away and comes back."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from typing import Any

import pytest

from openclaw_client import ConnectionState, ReconnectPolicy
from openclaw_client.errors import ConnectionLost
from tests.contract.targets import PATIENT, Target, device_store
from tests.faces import Face

QUICK = ReconnectPolicy(initial=0.2, maximum=1.0)


class Watched:
    """A client, and the states that it told."""

    def __init__(self, face: Face, target: Target) -> None:
        self.client: Any = face.client(
            target.url, token=target.token, identity=device_store(), timeouts=PATIENT, reconnect=QUICK
        )
        self.causes: list[object] = []
        self._changes: asyncio.Queue[ConnectionState] = asyncio.Queue()
        self._loop = asyncio.get_running_loop()
        self.client.on_state_change(self._changed)

    def _changed(self, change: Any) -> None:
        self.causes.append(change.cause)
        self._loop.call_soon_threadsafe(self._changes.put_nowait, change.new)

    async def until(self, state: ConnectionState) -> None:
        while await self._changes.get() is not state:
            pass


@pytest.fixture
def faces() -> Iterator[tuple[Face, Face]]:
    """Both at once: they may share a restart, which takes a real gateway up to half a minute."""
    faces = Face("async"), Face("sync")
    yield faces
    for face in faces:
        face.close()


async def test_the_clients_come_back_by_themselves(faces: tuple[Face, Face], target: Target, session: str) -> None:
    one, other = (Watched(face, target) for face in faces)
    async with one.client, other.client:
        for number, each in enumerate((one, other)):
            await each.until(ConnectionState.CONNECTED)
            await each.client.chat_send(session_key=f"{session}-{number}", message="stub:echo before")
        await asyncio.to_thread(target.stop)
        for each in (one, other):
            await each.until(ConnectionState.RECONNECTING)
            lost = next(cause for cause in each.causes if cause is not None)
            assert isinstance(lost, ConnectionLost)
            assert lost.close_code == 1012
        await asyncio.to_thread(target.start)
        for number, each in enumerate((one, other)):
            await each.until(ConnectionState.CONNECTED)
            reply = await each.client.chat_send(session_key=f"{session}-{number}", message="stub:echo after")
            assert reply.text == "echo: after"
