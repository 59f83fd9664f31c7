"""A device that must be approved first."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable
from typing import Any

import pytest

from openclaw_client import ConnectionState, MemoryIdentityStore, StateChange
from openclaw_client.client.pairing import GROWTH, LONGEST, POLL, Pairing
from openclaw_client.errors import (
    AuthRejected,
    ClientClosed,
    GatewayError,
    HandshakeTimeout,
    PairingRequired,
    RateLimited,
    Unreachable,
    UsageError,
)
from openclaw_client.identity.device import DeviceIdentity
from openclaw_client.testing import BlockingEmbeddedGateway
from tests.faces import Face
from tests.waiting import PATIENCE, until

Make = Callable[..., Any]
Start = Callable[..., BlockingEmbeddedGateway]

TINY = 0.01
READ, WRITE, ADMIN = "operator.read", "operator.write", "operator.admin"


@pytest.fixture
def strict(start_gateway: Start) -> BlockingEmbeddedGateway:
    """A gateway that lets nobody in by itself."""
    return start_gateway(auto_approve=False)


@pytest.mark.parametrize("release", ["2026.2.17", "2026.4.15", "2026.6.1", "2026.9.6"])
async def test_the_call_returns_when_the_device_is_approved(make: Make, start_gateway: Start, release: str) -> None:
    gateway = start_gateway(auto_approve=False, release=release)
    store = MemoryIdentityStore(DeviceIdentity.generate())
    told: list[PairingRequired] = []
    client = make(gateway, identity=store)
    pairing = asyncio.ensure_future(client.pair(on_pending=told.append, poll=TINY))
    # Several tries, and still one request.
    await until(lambda: len(gateway.seen.connects) >= 3)
    assert [error.request_id for error in told] == [request.id for request in gateway.pending]
    assert told[0].device_id == store.load().id
    assert {READ, WRITE} <= set(told[0].requested_scopes)
    assert told[0].command == f"openclaw devices approve {told[0].request_id}"
    assert told[0].reason in ("not-paired", None)
    gateway.approve(told[0].request_id)
    await pairing
    assert client.connected
    assert len(told) == 1
    assert {connect.params["device"]["id"] for connect in gateway.seen.connects} == {store.load().id}
    await client.disconnect()
    async with make(gateway, identity=store, token=None) as again:
        assert again.connected


async def test_more_scopes_are_a_request_of_their_own(make: Make, strict: BlockingEmbeddedGateway) -> None:
    store = MemoryIdentityStore(DeviceIdentity.generate())
    client = make(strict, identity=store, scopes=[READ])
    await client.pair(on_pending=lambda error: strict.approve(), poll=TINY)
    await client.disconnect()
    told: list[PairingRequired] = []

    def approve(error: PairingRequired) -> None:
        told.append(error)
        strict.approve(error.request_id)

    client = make(strict, identity=store, scopes=[READ, ADMIN])
    await client.pair(on_pending=approve, poll=TINY)
    assert [error.reason for error in told] == ["scope-upgrade"]
    assert told[0].requested_scopes == (READ, ADMIN)
    assert told[0].approved_scopes == (READ,)
    assert set(client.hello.granted_scopes) >= {READ, ADMIN}
    await client.disconnect()


async def test_a_rejected_request_is_told_anew(make: Make, strict: BlockingEmbeddedGateway) -> None:
    told: list[str | None] = []

    def decide(error: PairingRequired) -> None:
        told.append(error.request_id)
        if len(told) == 1:
            strict.call(lambda: strict.gateway._memory.pairing.reject(str(error.request_id)))
        else:
            strict.approve(error.request_id)

    client = make(strict)
    await client.pair(on_pending=decide, poll=TINY)
    assert len(set(told)) == len(told) == 2
    await client.disconnect()


async def test_without_waiting_the_refusal_is_raised(make: Make, strict: BlockingEmbeddedGateway) -> None:
    told: list[PairingRequired] = []
    client = make(strict)
    with pytest.raises(PairingRequired, match="openclaw devices approve") as caught:
        await client.pair(wait=False, on_pending=told.append)
    assert [error.request_id for error in told] == [caught.value.request_id]
    assert len(strict.seen.connects) == 1
    strict.approve()
    await client.pair(wait=False)
    assert client.connected
    await client.disconnect()


async def test_a_device_that_is_known_is_connected_at_once(make: Make, gateway: BlockingEmbeddedGateway) -> None:
    told: list[PairingRequired] = []
    client = make(gateway)
    await client.pair(on_pending=told.append)
    await client.pair(on_pending=told.append)
    assert client.connected
    assert told == []
    assert len(gateway.seen.connects) == 1
    await client.disconnect()


async def test_another_error_ends_the_wait(make: Make, strict: BlockingEmbeddedGateway) -> None:
    def spoil(error: PairingRequired) -> None:
        strict.faults.refuse("gateway token mismatch", details={"code": "AUTH_TOKEN_MISMATCH"}, times=9)

    with pytest.raises(AuthRejected):
        await make(strict).pair(on_pending=spoil, poll=TINY)


async def test_what_the_callback_raises_ends_the_call(make: Make, strict: BlockingEmbeddedGateway) -> None:
    def fail(error: PairingRequired) -> None:
        raise LookupError("mine")

    with pytest.raises(LookupError, match="mine"):
        await make(strict).pair(on_pending=fail, poll=TINY)
    assert len(strict.seen.connects) == 1


async def test_disconnect_ends_the_wait_while_it_connects_again(make: Make, strict: BlockingEmbeddedGateway) -> None:
    client, told = make(strict), asyncio.Event()
    loop = asyncio.get_running_loop()
    # The second connect hangs; a third would come in an hour.
    pairing = asyncio.ensure_future(
        client.pair(on_pending=lambda error: loop.call_soon_threadsafe(told.set), poll=3600.0)
    )
    await told.wait()
    strict.faults.withhold_challenge()
    while strict.faults.withheld_challenges:
        # The pause begins a moment after on_pending.
        client.retry_now()
        await asyncio.sleep(0)
    await client.disconnect()
    with pytest.raises(ClientClosed, match="disconnect"):
        await asyncio.wait_for(pairing, PATIENCE)


async def test_disconnect_ends_the_wait(make: Make, strict: BlockingEmbeddedGateway) -> None:
    client = make(strict)
    pairing = asyncio.ensure_future(client.pair(poll=TINY))
    await until(lambda: strict.pending)
    await client.disconnect()
    with pytest.raises(ClientClosed, match="disconnect"):
        await pairing
    assert client.state is ConnectionState.DISCONNECTED


@pytest.mark.parametrize("poll", [0, -1, float("nan"), float("inf"), "5"])
async def test_a_poll_that_is_no_time(make: Make, strict: BlockingEmbeddedGateway, poll: float) -> None:
    with pytest.raises(UsageError, match="poll"):
        await make(strict).pair(poll=poll)
    assert strict.seen.opened == 0


@pytest.mark.parametrize("face", ["async"], indirect=True)
async def test_the_callback_may_be_a_coroutine(make: Make, strict: BlockingEmbeddedGateway) -> None:
    caller = asyncio.current_task()

    async def approve(error: PairingRequired) -> None:
        assert asyncio.current_task() is caller
        strict.approve(error.request_id)

    client = make(strict)
    await client.pair(on_pending=approve, poll=TINY)
    assert client.connected
    await client.disconnect()


@pytest.mark.parametrize("face", ["async"], indirect=True)
async def test_cancelling_ends_the_wait_and_keeps_the_request(
    make: Make, strict: BlockingEmbeddedGateway, no_leaks: None
) -> None:
    client = make(strict)
    told = asyncio.Event()
    pairing = asyncio.ensure_future(client.pair(on_pending=lambda error: told.set()))
    await told.wait()
    pairing.cancel()
    with pytest.raises(asyncio.CancelledError):
        await pairing
    assert not client.connected
    assert len(strict.pending) == 1
    await client.disconnect()


async def test_the_callback_of_a_blocking_client_runs_in_the_caller_s_thread(strict: BlockingEmbeddedGateway) -> None:
    face = Face("sync")
    threads: list[int] = []
    client = face.client(strict.url, token=strict.token, identity=DeviceIdentity.generate()).inner

    def approve(error: PairingRequired) -> None:
        threads.append(threading.get_ident())
        strict.approve(error.request_id)

    def pair() -> int:
        client.pair(on_pending=approve, poll=TINY)
        client.disconnect()
        return threading.get_ident()

    assert [await asyncio.to_thread(pair)] == threads
    face.close()


class Refusing:
    """Refuses every connect with the same request, up to the last; remembers the pauses."""

    closings = 0

    def __init__(self, *errors: GatewayError) -> None:
        self.errors = list(errors)
        self.pauses: list[float] = []
        self.awaited = 0

    async def connect(self) -> None:
        if self.errors:
            raise self.errors.pop(0)

    async def pause(self, seconds: float) -> None:
        self.pauses.append(seconds)

    def await_approval(self) -> Callable[[], None]:
        self.awaited += 1

        def end() -> None:
            self.awaited -= 1

        return end


REFUSED = PairingRequired(message="not yet", request_id="one")


@pytest.mark.parametrize("poll", [POLL, 2 * LONGEST])
async def test_the_tries_become_rare(poll: float) -> None:
    refusing = Refusing(*[REFUSED] * 12)
    pairing = Pairing(refusing, wait=True, poll=poll)
    assert await pairing.next_request() is REFUSED
    assert (refusing.pauses, refusing.awaited) == ([], 1)
    assert await pairing.next_request() is None
    await pairing.close()
    slept = refusing.pauses
    assert slept[0] == poll
    assert slept[1] == min(max(poll, LONGEST), poll * GROWTH)
    assert slept == sorted(slept)
    assert slept[-1] == max(poll, LONGEST)
    assert (len(slept), refusing.awaited) == (12, 0)


@pytest.mark.parametrize(("told", "waited"), [(300.0, 300.0), (1e12, 3600.0)], ids=["300 s", "an hour at most"])
async def test_what_passes_is_waited_for_as_long_as_it_says(told: float, waited: float) -> None:
    locked = RateLimited(message="locked", retry_after=told)
    refusing = Refusing(REFUSED, Unreachable(message="restarting"), locked, HandshakeTimeout(), REFUSED)
    pairing = Pairing(refusing, wait=True, poll=1.0)
    await pairing.next_request()
    assert await pairing.next_request() is None
    assert refusing.pauses == [1.0, 1.5, waited, 1.0 * GROWTH**3, 1.0 * GROWTH**4]
    fresh = Pairing(Refusing(Unreachable(message="nobody there")), wait=True, poll=1.0)
    with pytest.raises(Unreachable):
        await fresh.next_request()


async def test_waiting_is_quiet(make: Make, strict: BlockingEmbeddedGateway) -> None:
    client = make(strict)
    states: list[StateChange] = []
    fatal: list[GatewayError] = []
    client.on_state_change(states.append)
    client.on_fatal_close(lambda _client, error: fatal.append(error))
    pairing = asyncio.ensure_future(client.pair(poll=TINY))
    await until(lambda: len(strict.seen.connects) >= 4)
    # Who needs the connection meanwhile is told at once what is missing.
    with pytest.raises(PairingRequired):
        await client.request("health")
    strict.faults.refuse_upgrade(503, b"")
    await until(lambda: strict.seen.upgrades_refused)
    strict.approve()
    await pairing
    await until(lambda: len(states) == 3)
    assert [change.new.value for change in states] == ["connecting", "paused", "connected"]
    assert isinstance(states[1].cause, PairingRequired)
    assert (await client.request("health"))["ok"] is True
    await client.disconnect()
    assert fatal == []


async def test_a_wait_that_is_given_up_is_a_fatal_close(make: Make, strict: BlockingEmbeddedGateway) -> None:
    client = make(strict)
    fatal: list[GatewayError] = []
    client.on_fatal_close(lambda _client, error: fatal.append(error))

    def give_up(error: PairingRequired) -> None:
        assert fatal == []
        raise LookupError("mine")

    with pytest.raises(LookupError):
        await client.pair(on_pending=give_up)
    await until(lambda: fatal)
    assert isinstance(fatal[0], PairingRequired)
    assert client.state is ConnectionState.PAUSED
    await client.disconnect()
    assert len(fatal) == 1


async def test_retry_now_ends_the_pause(make: Make, strict: BlockingEmbeddedGateway) -> None:
    client, told = make(strict), asyncio.Event()
    loop = asyncio.get_running_loop()
    pairing = asyncio.ensure_future(client.pair(on_pending=lambda error: loop.call_soon_threadsafe(told.set)))
    await told.wait()
    strict.approve()
    while not pairing.done():
        # The pause begins a moment after on_pending.
        client.retry_now()
        await asyncio.sleep(0)
    await pairing
    assert client.connected
    await client.disconnect()
