"""A connection through which nothing comes any more: noticed, whatever the user does meanwhile."""

from __future__ import annotations

import asyncio
import contextlib

import pytest

from openclaw_client import AsyncGatewayClient, ConnectionState, StateChange
from openclaw_client.errors import GatewayError, OutcomeUnknown
from openclaw_client.testing import EmbeddedGateway
from tests.chaos import report
from tests.chaos.cuts import QUICK
from tests.chaos.proxy import FaultProxy
from tests.chaos.real import RealStage
from tests.contract.targets import PATIENT, device_store

TICK = 1.0
REAL_TICK = 30.0
"""What every release sets; there is no setting for it."""


async def time_to_notice(url: str, token: str) -> float:
    """Seconds from the black hole until the client says that it is reconnecting, while it goes on sending."""
    loop = asyncio.get_running_loop()
    async with FaultProxy(url) as proxy:
        client = AsyncGatewayClient(proxy.url, token=token, identity=device_store(), timeouts=PATIENT, reconnect=QUICK)
        noticed: asyncio.Future[float] = loop.create_future()

        def changed(change: StateChange) -> None:
            if change.new is ConnectionState.RECONNECTING and not noticed.done():
                noticed.set_result(loop.time())

        async def ask() -> None:
            with contextlib.suppress(GatewayError):
                await client.request("health", timeout=None)

        client.on_state_change(changed)
        async with client, asyncio.TaskGroup() as group:
            await client.request("health")
            proxy.black_hole()
            began = loop.time()
            # What only reads would be asked again.
            unanswered = asyncio.ensure_future(client.request("chat.abort", {"sessionKey": "main"}, timeout=None))
            while not noticed.done():
                # What the user sends is no sign of life of the gateway.
                group.create_task(ask())
                await asyncio.wait((noticed,), timeout=0.1)
            with pytest.raises(OutcomeUnknown):
                await unanswered
            proxy.heal()
            assert (await client.request("health"))["ok"] is True
        return noticed.result() - began


@pytest.mark.only(gateways="embedded")
async def test_a_black_hole_is_noticed() -> None:
    async with EmbeddedGateway(tick_interval=TICK) as gateway:
        seconds = await time_to_notice(gateway.url, gateway.token or "")
    report.add("black hole, embedded", {"tick": TICK, "noticed_after": seconds})
    # Two ticks, and one more where this machine was the one that slept.
    assert seconds <= 3 * TICK + 1.0


@pytest.mark.timeout(300)
@pytest.mark.only(gateways="real", chaos="full")
@pytest.mark.release("2026.9.6")
async def test_a_black_hole_before_a_real_gateway(real: RealStage) -> None:
    """Takes a minute: two of the gateway's ticks."""
    seconds = await time_to_notice(real.url, real.token)
    report.add(f"black hole, {real.release}", {"tick": REAL_TICK, "noticed_after": seconds})
    assert seconds <= 2 * REAL_TICK + 2.0
