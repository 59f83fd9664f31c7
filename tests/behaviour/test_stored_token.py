"""A refused shared token and the device token beside it: one retry, whatever the gateway goes on to advise."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from openclaw_client import ConnectionState, DeviceToken, MemoryIdentityStore
from openclaw_client.errors import AuthRejected, IdentityError
from openclaw_client.identity.device import DeviceIdentity
from openclaw_client.testing import BlockingEmbeddedGateway
from tests.waiting import until

Make = Callable[..., Any]
Start = Callable[..., BlockingEmbeddedGateway]

RELEASES = ["2026.2.17", "2026.4.15", "2026.6.1", "2026.9.6"]
LEARNING = {"2026.2.17": 2}
"""Connects in which a client learns what an old release takes: another signature, no `deviceToken`."""


def stored(gateway: BlockingEmbeddedGateway, store: MemoryIdentityStore) -> DeviceToken | None:
    return store.load_token(gateway.url, store.load().id, "operator")


@pytest.mark.parametrize("release", RELEASES)
async def test_the_stored_token_stands_in_for_a_refused_shared_one(
    make: Make, start_gateway: Start, release: str
) -> None:
    gateway, store = start_gateway(release=release), MemoryIdentityStore(DeviceIdentity.generate())
    async with make(gateway, identity=store):
        assert stored(gateway, store) is not None
    before = len(gateway.seen.connects)
    async with make(gateway, identity=store, token="no more the right one") as client:
        assert client.connected
    assert len(gateway.seen.connects) - before == 2 + LEARNING.get(release, 0)


@pytest.mark.parametrize("release", RELEASES)
async def test_where_both_are_refused_it_ends(make: Make, start_gateway: Start, release: str) -> None:
    gateway, store = start_gateway(release=release), MemoryIdentityStore(DeviceIdentity.generate())
    store.save_token(gateway.url, store.load().id, DeviceToken("stale", "operator", ("operator.read",)))
    client = make(gateway, identity=store, token="wrong")
    with pytest.raises(AuthRejected):
        await client.connect()
    assert client.state is ConnectionState.PAUSED
    assert len(gateway.seen.connects) == 2 + LEARNING.get(release, 0)
    # The key stays what it was; the stale token is not offered again.
    assert stored(gateway, store) is None
    with pytest.raises(AuthRejected):
        await client.connect()
    assert len(gateway.seen.connects) == 3 + LEARNING.get(release, 0)
    await client.disconnect()


async def test_advice_to_try_again_is_followed_once(make: Make, gateway: BlockingEmbeddedGateway) -> None:
    store = MemoryIdentityStore(DeviceIdentity.generate())
    async with make(gateway, identity=store):
        pass
    before = len(gateway.seen.connects)
    advice = {"canRetryWithDeviceToken": True, "recommendedNextStep": "retry_with_device_token"}
    gateway.faults.refuse("no", details={"code": "AUTH_TOKEN_MISMATCH", **advice}, times=9)
    client = make(gateway, identity=store)
    for expected in (2, 3):
        with pytest.raises(AuthRejected):
            await client.connect()
        assert len(gateway.seen.connects) - before == expected
    await client.disconnect()


class Failing(MemoryIdentityStore):
    """One of a user's, whose database says more than anybody should read."""

    def __init__(self, method: str) -> None:
        super().__init__(DeviceIdentity.generate())
        setattr(self, method, self.fail)

    def fail(self, *values: object) -> None:
        raise LookupError("UPDATE device SET token='canary-token'")


@pytest.mark.parametrize("method", ["load", "load_token", "save_token"])
async def test_what_a_store_raises_is_told_as_its_own(
    make: Make, gateway: BlockingEmbeddedGateway, caplog: pytest.LogCaptureFixture, method: str
) -> None:
    with pytest.raises(IdentityError, match="the identity store raised LookupError") as caught:
        await make(gateway, identity=Failing(method)).connect()
    assert isinstance(caught.value.__cause__, LookupError)
    assert "canary" not in str(caught.value) + caplog.text
    await until(lambda: not gateway.open_connections)


async def test_a_store_without_an_identity_is_told(make: Make, gateway: BlockingEmbeddedGateway) -> None:
    store = MemoryIdentityStore(DeviceIdentity.generate())
    store.load = lambda: None  # type: ignore[assignment,method-assign,return-value]
    with pytest.raises(IdentityError, match="gave NoneType for a device identity"):
        await make(gateway, identity=store).connect()
