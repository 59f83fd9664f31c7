"""A gateway that locks out whoever fails too often, and the users who share the address with one who does."""

from __future__ import annotations

import asyncio
import secrets
import time
from typing import Any

import pytest

from openclaw_client import AsyncGatewayClient, ConnectionState, Timeouts
from openclaw_client.connection.breakers import breaker_for
from openclaw_client.errors import AuthRejected, RateLimited
from openclaw_client.policy.urls import parse_url
from openclaw_client.policy.verdict import LOCKOUT
from tests.contract.targets import Target, device_store
from tests.gateways.raw import RawClient, RawRefused
from tests.relay import Relay
from tests.waiting import until

ATTEMPTS = 3
LOCKED = 4.0
"""Seconds: long enough to be seen by a client that did not cause it, on a slow machine."""

PATIENT = Timeouts(connect=120.0)
"""A real gateway beside another one took 35 s to take 300 clients on two cores, and more than 50 s on busy ones."""


def users_of(target: Target) -> int:
    """On wire v3 every user needs a device, and a real gateway writes its list of devices for each new one."""
    return 300 if target.protocol == 4 or not target.real else 40


def fail_elsewhere(url: str) -> None:
    """What another process behind the same address does: it is not held back by this one's breaker."""
    for _ in range(ATTEMPTS):
        with pytest.raises(RawRefused):
            RawClient(url=url, token=secrets.token_hex(8), device=None).connect()


async def test_one_bad_token_among_many_users_then_a_lock_out(target: Target) -> None:
    with target.with_limiter(ATTEMPTS, LOCKED) as (url, token):
        async with Relay(url) as relay:

            def user(token: str = token) -> Any:
                identity = False if target.protocol == 4 else device_store()
                return AsyncGatewayClient(relay.url, token=token, identity=identity, timeouts=PATIENT)

            await one_bad_among(users_of(target), user, relay)
            await asyncio.to_thread(fail_elsewhere, url)
            await meet_the_lock_out(user, relay, tells=target.profile.retry_after)


async def one_bad_among(count: int, user: Any, relay: Relay) -> None:
    users = [user("wrong") if number == 17 else user() for number in range(count)]
    results = await asyncio.gather(*(one.connect() for one in users), return_exceptions=True)
    failures = [(number, type(result)) for number, result in enumerate(results) if result is not None]
    assert failures == [(17, AuthRejected)]
    assert users[17].state is ConnectionState.PAUSED
    assert sum(one.connected for one in users) == count - 1
    # The limiter has not tripped: whoever comes now is let in.
    async with user() as late:
        assert late.connected
    await asyncio.gather(*(one.disconnect() for one in users))


async def meet_the_lock_out(user: Any, relay: Relay, *, tells: bool) -> None:
    """The first who meets it learns how long it lasts; nobody of this process tries before."""
    before = len(relay.taken_at)
    if not tells:
        with pytest.raises(RateLimited) as caught:
            await user().connect()
        # Not told, so the default of all releases is assumed.
        assert caught.value.retry_after is None
        with pytest.raises(RateLimited, match="no connect is tried for") as held:
            await user().connect()
        assert LOCKOUT - 60 < held.value.retry_after <= LOCKOUT
        # One attempt, with what belongs to it: the older signature on 2026.2.17.
        assert len(relay.taken_at) - before <= 2
        return
    waiting = [asyncio.ensure_future(user().connect())]
    breaker = breaker_for(parse_url(relay.url), time.monotonic())
    await until(lambda: breaker.locked(time.monotonic()))
    ends, known = time.monotonic() + breaker.delay(time.monotonic()), len(relay.taken_at)
    assert known == before + 1
    waiting += [asyncio.ensure_future(user().connect()) for _ in range(5)]
    await asyncio.gather(*waiting)
    later = relay.taken_at[known:]
    assert len(later) == len(waiting)
    assert min(later) >= ends
