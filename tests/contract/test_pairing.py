"""A device from elsewhere: refused, approved by somebody who may, let in."""

from __future__ import annotations

import asyncio

from openclaw_client import ConnectionState
from openclaw_client.errors import PairingRequired
from tests.contract.targets import FORWARDED, PATIENT, Target, device_store
from tests.faces import Face

POLL = 0.5
"""Seconds between two tries: the approval is given at once."""

APPROVER = ["operator.read", "operator.write", "operator.approvals", "operator.pairing"]
"""Pairing, and what the other device asks for: nobody may approve more than they have."""


async def test_a_device_waits_until_it_is_approved_and_then_needs_no_shared_token(target: Target) -> None:
    # On one face: how to wait is one piece of code, and a second gateway costs half a minute.
    face, store = Face("async"), device_store()
    with target.behind_proxy() as (url, token):
        client = face.client(url, token=token, identity=store, headers=FORWARDED, timeouts=PATIENT)
        requests: asyncio.Queue[PairingRequired] = asyncio.Queue()
        pairing = asyncio.ensure_future(client.pair(on_pending=requests.put_nowait, poll=POLL))
        pending = await requests.get()
        assert pending.request_id is not None
        assert pending.device_id == store.load().id
        assert pending.reason in ("not-paired", None)
        assert client.state is not ConnectionState.CONNECTED
        assert store.load_token(client_origin(url), store.load().id, "operator") is None
        async with face.client(url, token=token, identity=device_store(), scopes=APPROVER, timeouts=PATIENT) as admin:
            listed = await admin.request("device.pair.list", {})
            assert [one["deviceId"] for one in listed["pending"] if one["requestId"] == pending.request_id] == [
                pending.device_id
            ]
            await admin.request("device.pair.approve", {"requestId": pending.request_id})
        await pairing
        assert client.connected
        assert requests.empty()
        assert store.load_token(client_origin(url), store.load().id, "operator") is not None
        await client.disconnect()
        async with face.client(url, identity=store, headers=FORWARDED, timeouts=PATIENT) as again:
            assert isinstance((await again.chat_history(session_key="main")).messages, list)


def client_origin(url: str) -> str:
    """What tokens are kept under."""
    return url.rstrip("/")
