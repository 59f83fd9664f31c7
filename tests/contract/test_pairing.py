"""A device from elsewhere: refused, approved by somebody who may, let in; and what happens when that is taken back.

On one face: how to wait is one piece of code, and a paired device is a device on both.
"""

from __future__ import annotations

import asyncio
import stat
import sys
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from openclaw_client import AsyncGatewayClient, ConnectionState, FileIdentityStore, MemoryIdentityStore, ReconnectPolicy
from openclaw_client.client.options import ClientInfo
from openclaw_client.errors import AuthRejected, PairingRequired, RequestFailed
from openclaw_client.identity.device import DeviceIdentity
from openclaw_client.identity.store import DeviceToken
from openclaw_client.policy.urls import parse_url
from openclaw_client.testing.profiles import PROFILES
from tests.contract.targets import FORWARDED, PATIENT, RELEASES, Target, device_store
from tests.relay import Relay
from tests.waiting import until

POLL = 0.5
"""Seconds between two tries: the approval is given at once."""

APPROVER = ["operator.read", "operator.write", "operator.approvals", "operator.pairing"]
"""Pairing, and what the other device asks for: nobody may approve more than they have."""

ADMIN = [*APPROVER, "operator.admin"]
"""2026.4.15 wants an admin for what concerns another device."""

READ, WRITE = "operator.read", "operator.write"
QUICK = ReconnectPolicy(initial=0.05, maximum=0.2)

SECOND_PROCESS = """
import asyncio, json, sys
from openclaw_client import AsyncGatewayClient, FileIdentityStore, Timeouts

async def main(url, path, headers):
    store = FileIdentityStore(path, create=False)
    async with AsyncGatewayClient(url, identity=store, headers=headers, timeouts=Timeouts(connect=30)) as client:
        print(type((await client.chat_history(session_key="main")).messages).__name__)

asyncio.run(main(sys.argv[1], sys.argv[2], json.loads(sys.argv[3])))
"""


class Door:
    """A gateway behind a relay that counts connects, and somebody who may approve devices."""

    def __init__(self, relay: Relay, token: str, admin: Any) -> None:
        self.relay, self.token, self.admin = relay, token, admin

    @property
    def connects(self) -> int:
        return len(self.relay.taken_at)

    def client(self, store: Any, *, shared: bool = True, **options: Any) -> Any:
        token = self.token if shared else None
        options = {"headers": FORWARDED, "timeouts": PATIENT, "reconnect": QUICK, **options}
        return AsyncGatewayClient(self.relay.url, token=token, identity=store, **options)

    async def approve(self, error: PairingRequired) -> None:
        await self.admin.request("device.pair.approve", {"requestId": error.request_id})

    def stored(self, store: Any) -> DeviceToken | None:
        found: DeviceToken | None = store.load_token(parse_url(self.relay.url).origin, store.load().id, "operator")
        return found

    async def paired(self, store: Any, scopes: list[str]) -> None:
        client = self.client(store, scopes=scopes)
        await client.pair(on_pending=self.approve, poll=POLL)
        await client.disconnect()


@pytest.fixture
async def door(proxied: tuple[str, str]) -> AsyncIterator[Door]:
    url, token = proxied
    admin = AsyncGatewayClient(url, token=token, identity=device_store(), scopes=ADMIN, timeouts=PATIENT)
    async with Relay(url) as relay, admin:
        yield Door(relay, token, admin)


async def test_a_device_waits_until_it_is_approved_and_then_needs_no_shared_token(door: Door, tmp_path: Path) -> None:
    store = FileIdentityStore(tmp_path / "device.json")
    client = door.client(store)
    requests: asyncio.Queue[PairingRequired] = asyncio.Queue()
    pairing = asyncio.ensure_future(client.pair(on_pending=requests.put_nowait, poll=POLL))
    pending = await requests.get()
    assert pending.request_id is not None
    assert pending.device_id == store.load().id
    assert pending.reason in ("not-paired", None)
    assert client.state is ConnectionState.PAUSED
    assert door.stored(store) is None
    listed = await door.admin.request("device.pair.list", {})
    assert [one["deviceId"] for one in listed["pending"] if one["requestId"] == pending.request_id] == [
        pending.device_id
    ]
    await door.approve(pending)
    await pairing
    assert client.connected
    assert requests.empty()
    assert door.stored(store) is not None
    for path in (store.path, store.tokens_path):
        assert stat.S_IMODE(path.stat().st_mode) == 0o600
    await client.disconnect()
    headers = '{"X-Forwarded-For": "203.0.113.7"}'
    second = await asyncio.create_subprocess_exec(
        sys.executable, "-c", SECOND_PROCESS, door.relay.url, str(store.path), headers, stdout=asyncio.subprocess.PIPE
    )
    output, _ = await second.communicate()
    assert (output, second.returncode) == (b"list\n", 0)


async def test_more_scopes_and_other_metadata_are_told_apart(door: Door, target: Target) -> None:
    identity = DeviceIdentity.generate(platform="linux")
    store = MemoryIdentityStore(identity)
    await door.paired(store, [READ])
    tells = target.profile.detail_codes
    more = door.client(store, scopes=[READ, WRITE])
    with pytest.raises(PairingRequired) as caught:
        await more.connect()
    assert caught.value.reason == ("scope-upgrade" if tells else None)
    assert caught.value.requested_scopes == (READ, WRITE)
    assert caught.value.approved_scopes == ((READ,) if target.protocol == 4 else ())
    await more.disconnect()
    other = door.client(MemoryIdentityStore(DeviceIdentity.from_seed(identity.seed, platform="darwin")), scopes=[READ])
    if target.profile.checks_metadata:
        with pytest.raises(PairingRequired) as caught:
            await other.connect()
        assert caught.value.reason == "metadata-upgrade"
    else:
        # It does not look at the platform.
        await other.connect()
        assert other.connected
    await other.disconnect()


async def test_whatever_client_info_says_the_device_stays_the_same(door: Door) -> None:
    store = device_store()
    await door.paired(store, [READ])
    info = ClientInfo(platform="beos", device_family="toaster")
    async with door.client(store, scopes=[READ], client_info=info, shared=False) as client:
        assert client.connected


SHARED = pytest.mark.parametrize("shared", [False, True], ids=["device token", "shared token"])


@pytest.mark.parametrize("what", ["rotated", "revoked"])
@SHARED
async def test_a_token_that_is_taken_back_costs_one_connect(
    door: Door, target: Target, what: str, shared: bool
) -> None:
    await meet_what_is_taken_back(door, target, what, shared)


@SHARED
@pytest.mark.release(*(release for release in RELEASES if PROFILES[release].removes_devices))
async def test_a_device_that_is_removed_costs_one_connect(door: Door, target: Target, shared: bool) -> None:
    await meet_what_is_taken_back(door, target, "removed", shared)


@pytest.mark.release(*(release for release in RELEASES if not PROFILES[release].removes_devices))
async def test_the_oldest_release_removes_no_device(door: Door, target: Target) -> None:
    store = device_store()
    await door.paired(store, [READ])
    async with door.client(store, shared=False, scopes=[READ]) as client:
        with pytest.raises(RequestFailed, match=r"has no method device\.pair\.remove"):
            await door.admin.request("device.pair.remove", {"deviceId": store.load().id})
        assert (await client.request("health"))["ok"] is True


async def meet_what_is_taken_back(door: Door, target: Target, what: str, shared: bool) -> None:
    old = not target.profile.rotation_closes
    store = device_store()
    await door.paired(store, [READ])
    client = door.client(store, shared=shared, scopes=[READ])
    await client.connect()
    before, kept = door.connects, door.stored(store)
    device = {"deviceId": store.load().id}
    method, params = {
        "rotated": ("device.token.rotate", {**device, "role": "operator"}),
        "revoked": ("device.token.revoke", {**device, "role": "operator"}),
        "removed": ("device.pair.remove", device),
    }[what]
    lost = asyncio.Event()
    client.on_state_change(lambda change: lost.set())
    await door.admin.request(method, params)
    if old:
        # That release leaves the connection alone.
        door.relay.cut()
    await lost.wait()
    gets_another = shared and (what == "rotated" or old)
    settled = ConnectionState.CONNECTED if gets_another else ConnectionState.PAUSED
    await until(lambda: client.state is settled)
    assert door.connects == before + 1
    if gets_another:
        assert door.stored(store) not in (None, kept)
    else:
        with pytest.raises(PairingRequired if shared else AuthRejected) as caught:
            await client.request("health")
        if shared:
            assert caught.value.reason == {"removed": "not-paired", "revoked": "role-upgrade"}[what]
        else:
            assert caught.value.detail_code == "AUTH_DEVICE_TOKEN_MISMATCH"
            assert door.stored(store) is None
            # Parked, and one connect more when the caller wants it.
            client.retry_now()
            await until(lambda: door.connects == before + 2 and client.state is ConnectionState.PAUSED)
    await client.disconnect()


async def test_who_may_approve_may_not_always_take_back(proxied: tuple[str, str], target: Target) -> None:
    url, token = proxied
    other = device_store()
    async with AsyncGatewayClient(url, token=token, identity=other, scopes=[READ], timeouts=PATIENT):
        pass
    approver = AsyncGatewayClient(url, token=token, identity=device_store(), scopes=APPROVER, timeouts=PATIENT)
    params = {"deviceId": other.load().id, "role": "operator"}
    async with approver:
        if target.profile.admin_for_others:
            with pytest.raises(RequestFailed, match="rotation denied"):
                await approver.request("device.token.rotate", params)
        else:
            await approver.request("device.token.rotate", params)
