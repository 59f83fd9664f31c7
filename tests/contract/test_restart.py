"""The gateway goes away and comes back."""

from __future__ import annotations

import asyncio

from openclaw_client import ConnectionState, ReconnectPolicy
from openclaw_client.errors import ConnectionLost
from tests.contract.targets import PATIENT, Target, device_store
from tests.faces import Face

QUICK = ReconnectPolicy(initial=0.2, maximum=1.0)


async def test_the_client_comes_back_by_itself(face: Face, target: Target, session: str) -> None:
    changes: asyncio.Queue[ConnectionState] = asyncio.Queue()
    causes: list[object] = []
    loop = asyncio.get_running_loop()
    client = face.client(target.url, token=target.token, identity=device_store(), timeouts=PATIENT, reconnect=QUICK)

    def changed(change: object) -> None:
        causes.append(change.cause)  # type: ignore[attr-defined]
        loop.call_soon_threadsafe(changes.put_nowait, change.new)  # type: ignore[attr-defined]

    async def until(state: ConnectionState) -> None:
        while await changes.get() is not state:
            pass

    client.on_state_change(changed)
    async with client:
        await until(ConnectionState.CONNECTED)
        await client.chat_send(session_key=session, message="stub:echo before")
        await asyncio.to_thread(target.stop)
        await until(ConnectionState.RECONNECTING)
        lost = next(cause for cause in causes if cause is not None)
        assert isinstance(lost, ConnectionLost)
        assert lost.close_code == 1012
        await asyncio.to_thread(target.start)
        await until(ConnectionState.CONNECTED)
        reply = await client.chat_send(session_key=session, message="stub:echo after")
        assert reply.text == "echo: after"
