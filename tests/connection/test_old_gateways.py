"""A gateway that is older than what is supported is told so, and not tried again."""

from __future__ import annotations

from typing import Any

import pytest

from openclaw_client import AsyncGatewayClient, ConnectionState, GatewayError, MemoryIdentityStore
from openclaw_client.errors import ProtocolMismatch
from openclaw_client.identity.device import DeviceIdentity
from openclaw_client.testing import DEFAULT_TOKEN, EmbeddedGateway
from openclaw_client.wire.limits import OLDEST_RELEASE
from tests.gateways.install import RELEASES, release_key
from tests.waiting import until


def report(gateway: EmbeddedGateway, version: str) -> None:
    """The gateway gives this for its version in every hello."""

    def change(frame: dict[str, Any]) -> dict[str, Any]:
        if frame.get("ok"):
            frame["payload"]["server"]["version"] = version
        return frame

    gateway.faults.rewrite("connect", change, times=None)


async def test_a_gateway_that_is_too_old_is_refused_for_good_before_anything_is_kept_of_it() -> None:
    device = DeviceIdentity.generate()
    store, told = MemoryIdentityStore(device), list[GatewayError]()
    async with EmbeddedGateway(release="2026.4.15") as gateway:
        report(gateway, "2026.2.9")
        client = AsyncGatewayClient(gateway.url, token=DEFAULT_TOKEN, identity=store)
        client.on_fatal_close(lambda _client, error: told.append(error))
        with pytest.raises(ProtocolMismatch, match=r"the gateway is OpenClaw 2026\.2\.9") as caught:
            await client.connect()
        error = caught.value
        assert "2026.2.17" in str(error)
        assert error.remedy == "Upgrade the gateway to 2026.2.17 or later"
        assert (error.detail_code, error.gateway_version, error.stage) == ("GATEWAY_TOO_OLD", "2026.2.9", "connect")
        assert error.connection_id
        assert client.state is ConnectionState.PAUSED
        await until(lambda: [type(one) for one in told] == [ProtocolMismatch])
        await until(lambda: not gateway.open_connections)
        assert len(gateway.seen.connects) == 1
        assert store.load_token(gateway.url, device.id, "operator") is None
        await client.disconnect()


async def test_a_gateway_that_came_back_older_parks_the_client() -> None:
    store = MemoryIdentityStore(DeviceIdentity.generate())
    async with EmbeddedGateway(release="2026.4.15") as gateway:
        async with AsyncGatewayClient(gateway.url, token=DEFAULT_TOKEN, identity=store) as client:
            report(gateway, "2026.1.30")
            gateway.faults.disconnect()
            await until(lambda: client.state is ConnectionState.PAUSED)
            with pytest.raises(ProtocolMismatch, match=r"2026\.1\.30"):
                await client.chat_send(session_key="main", message="hello")
        assert len(gateway.seen.connects) == 2


@pytest.mark.parametrize("version", ["2026.2.17", "2026.10.1", "dev", "a fork of ours"])
async def test_a_gateway_that_is_not_older_or_does_not_say_so_is_taken(version: str) -> None:
    device = DeviceIdentity.generate()
    store = MemoryIdentityStore(device)
    async with EmbeddedGateway(release="2026.4.15") as gateway:
        report(gateway, version)
        async with AsyncGatewayClient(gateway.url, token=DEFAULT_TOKEN, identity=store) as client:
            assert client.hello is not None
            assert client.hello.server.version == version
            assert store.load_token(gateway.url, device.id, "operator") is not None


def test_the_oldest_release_that_is_supported_is_the_oldest_on_which_the_tests_run() -> None:
    assert min(map(release_key, RELEASES)) == OLDEST_RELEASE
