"""What a connection may do is known when connect() returns."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from openclaw_client import ConnectionState, MemoryIdentityStore
from openclaw_client.client.options import ClientInfo
from openclaw_client.errors import AuthRejected, ConnectError, MissingScope
from openclaw_client.identity.device import DeviceIdentity
from openclaw_client.testing import BlockingEmbeddedGateway
from tests.waiting import until

Make = Callable[..., Any]
Start = Callable[..., BlockingEmbeddedGateway]

READ, WRITE, ADMIN = "operator.read", "operator.write", "operator.admin"
SILENT = {"release": "2026.4.15", "client_info": ClientInfo("gateway-client", "backend")}
"""A device to which hello-ok says nothing of scopes: one without a device token, on wire v3."""


@pytest.fixture
def silent(start_gateway: Start) -> BlockingEmbeddedGateway:
    return start_gateway(release=SILENT["release"])


def probes(gateway: BlockingEmbeddedGateway) -> int:
    return gateway.seen.requests["last-heartbeat"]


def refuse_reads(frame: dict[str, Any]) -> dict[str, Any]:
    return {**frame, "ok": False, "error": {"code": "INVALID_REQUEST", "message": f"missing scope: {READ}"}}


async def test_where_hello_says_nothing_one_request_tells(make: Make, silent: BlockingEmbeddedGateway) -> None:
    client = make(silent, client_info=SILENT["client_info"])
    async with client:
        assert client.hello.auth is None
        assert client.granted_scopes is None
        assert client.missing_scopes("chat.inject") == ()
        assert probes(silent) == 1
        assert (await client.chat_send(session_key="main", message="hi")).text


async def test_scopes_that_were_cleared_without_a_word_are_missing(make: Make, silent: BlockingEmbeddedGateway) -> None:
    silent.faults.rewrite("last-heartbeat", refuse_reads, times=None)
    client = make(silent, client_info=SILENT["client_info"], scopes=[WRITE])
    with pytest.raises(MissingScope) as caught:
        await client.connect()
    assert (caught.value.requested, caught.value.granted, caught.value.missing) == ((WRITE,), (), (WRITE,))
    assert "scopes" in caught.value.remedy
    assert client.state is ConnectionState.PAUSED
    await until(lambda: not silent.open_connections)
    await client.disconnect()


async def test_a_socket_that_ends_while_scopes_are_looked_at(make: Make, silent: BlockingEmbeddedGateway) -> None:
    silent.faults.cut(before=3)
    client = make(silent, client_info=SILENT["client_info"])
    with pytest.raises(ConnectError):
        await client.connect()
    await client.connect()
    assert client.connected
    await client.disconnect()


@pytest.mark.parametrize("release", ["2026.2.17", "2026.4.15", "2026.6.1", "2026.9.6"])
async def test_where_hello_tells_nothing_is_asked(make: Make, start_gateway: Start, release: str) -> None:
    gateway, store = start_gateway(release=release), MemoryIdentityStore(DeviceIdentity.generate())
    async with make(gateway, identity=store, scopes=[READ, WRITE]) as client:
        assert set(client.granted_scopes) == {READ, WRITE}
    # Gateways before 2026.9.6 tell the scopes of the device token; this connection has less.
    async with make(gateway, identity=store, scopes=[READ]) as client:
        assert client.granted_scopes == (READ,)
        assert client.missing_scopes("chat.send") == (WRITE,)
        with pytest.raises(MissingScope) as caught:
            await client.chat_send(session_key="main", message="hi")
        assert (caught.value.granted, caught.value.missing) == ((READ,), (WRITE,))
    assert probes(gateway) == 0


async def test_what_a_method_needs_is_learnt_from_its_refusal(make: Make, gateway: BlockingEmbeddedGateway) -> None:
    async with make(gateway, scopes=[READ]) as client:
        assert client.missing_scopes("config.openFile") == ()
        for _ in range(2):
            # Known, and sent all the same: the gateway decides.
            with pytest.raises(MissingScope):
                await client.request("config.openFile", {})
            assert client.missing_scopes("config.openFile") == (ADMIN,)
    assert gateway.seen.requests["config.openFile"] == 2


@pytest.mark.parametrize("release", ["2026.2.17", "2026.4.15"])
async def test_a_device_token_outlives_a_try_with_too_many_scopes(
    make: Make, start_gateway: Start, release: str
) -> None:
    gateway, store = start_gateway(release=release, auto_approve=False), MemoryIdentityStore(DeviceIdentity.generate())
    client = make(gateway, identity=store, scopes=[READ])
    await client.pair(on_pending=lambda error: gateway.approve(), poll=0.01)
    await client.disconnect()
    more = make(gateway, identity=store, token=None, scopes=[READ, WRITE])
    with pytest.raises(AuthRejected, match="more scopes than were approved"):
        await more.connect()
    await more.disconnect()
    async with make(gateway, identity=store, token=None, scopes=[READ]) as client:
        assert client.connected
