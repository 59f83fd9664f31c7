"""Following the list of sessions: told when it changes, on every release that knows how."""

from __future__ import annotations

import asyncio

import pytest

from openclaw_client import GatewayEvent
from openclaw_client.errors import RequestFailed
from tests.contract.targets import PATIENT, Target, device_store
from tests.faces import Face
from tests.waiting import until


async def test_a_change_of_the_list_is_told_to_who_subscribed(face: Face, target: Target, session: str) -> None:
    told: list[GatewayEvent] = []
    async with face.client(target.url, token=target.token, identity=device_store(), timeouts=PATIENT) as client:
        client.on("sessions.changed", told.append)
        if not target.profile.session_methods:
            # Unknown there, and so nobody has the scope for it.
            with pytest.raises(RequestFailed):
                await client.request("sessions.subscribe", {})
            return
        await client.request("sessions.subscribe", {})
        await client.chat_send(session_key=session, message="stub:hello")
        key = f"agent:main:{session}".lower()
        await until(lambda: any(event.payload.get("sessionKey") == key for event in told))
        # Equal ones at the same time, too, know of it.
        pages = await asyncio.gather(*(client.request("sessions.list", {"limit": 50}) for _ in range(3)))
        assert all(key in {row["key"] for row in page["sessions"]} for page in pages)
