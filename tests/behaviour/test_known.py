"""What errors tell about the connection they came from."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from openclaw_client import ReconnectPolicy, Timeouts
from openclaw_client.errors import (
    AuthRejected,
    ConnectionLost,
    GatewayError,
    HandshakeTimeout,
    OutcomeUnknown,
    RequestFailed,
    RequestTimeout,
    RunFailed,
    RunLost,
)
from openclaw_client.testing import BlockingEmbeddedGateway
from tests.cli.agents import agent
from tests.waiting import until

Make = Callable[..., Any]


def known_of(error: GatewayError) -> tuple[str | None, str | None]:
    return error.connection_id, error.gateway_version


async def test_a_request_that_failed(make: Make, gateway: BlockingEmbeddedGateway) -> None:
    async with make(gateway) as client:
        known = (client.hello.server.conn_id, client.hello.server.version)
        assert all(known)
        with pytest.raises(RequestFailed) as refused:
            await client.request("no.such.method")
        assert known_of(refused.value) == known
        gateway.faults.swallow("health")
        with pytest.raises(RequestTimeout) as late:
            await client.request("health", timeout=0.2)
        assert known_of(late.value) == known
        assert late.value.last_frame_age is not None
        assert late.value.last_frame_age >= 0.1
        assert f"connection {known[0][:8]}" in str(late.value)


async def test_a_connection_that_was_lost(make: Make, gateway: BlockingEmbeddedGateway) -> None:
    causes: list[Any] = []
    client = make(gateway, reconnect=ReconnectPolicy(enabled=False))
    client.on_state_change(lambda change: causes.append(change.cause))
    async with client:
        known = (client.hello.server.conn_id, client.hello.server.version)
        gateway.faults.cut(where="status", before=0)
        with pytest.raises(OutcomeUnknown) as unknown:
            await client.request("status")
        await until(lambda: any(isinstance(cause, ConnectionLost) for cause in causes))
    lost = next(cause for cause in causes if isinstance(cause, ConnectionLost))
    for error in (unknown.value, lost):
        assert known_of(error) == known
        assert (error.close_code, error.last_frame_age is not None) == (1006, True)


async def test_a_refused_connect(make: Make, gateway: BlockingEmbeddedGateway) -> None:
    with pytest.raises(AuthRejected) as refused:
        await make(gateway, token="wrong").connect()
    error = refused.value
    assert (error.attempt, error.close_code, error.detail_code) == (1, 1008, "AUTH_TOKEN_MISMATCH")
    assert error.last_frame_age is not None


async def test_a_refused_reconnect_tells_which_gateway_it_was(make: Make, gateway: BlockingEmbeddedGateway) -> None:
    fatal: list[Any] = []
    client = make(gateway, reconnect=ReconnectPolicy(initial=0.01, maximum=0.02))
    client.on_fatal_close(lambda _client, error: fatal.append(error))
    async with client:
        version = client.hello.server.version
        details = {"code": "AUTH_PASSWORD_MISMATCH"}
        gateway.faults.refuse_upgrade(503)
        gateway.faults.refuse("no", details=details)
        gateway.faults.disconnect()
        await until(lambda: fatal)
    # The first attempt of the two met a gateway that was starting.
    assert (fatal[0].gateway_version, fatal[0].attempt) == (version, 3)
    assert f"attempt 3, gateway {version}" in str(fatal[0])


async def test_a_gateway_that_never_spoke_has_no_age(make: Make, gateway: BlockingEmbeddedGateway) -> None:
    gateway.faults.withhold_challenge()
    with pytest.raises(HandshakeTimeout) as silent:
        await make(gateway, timeouts=Timeouts(connect=1)).connect()
    assert (silent.value.last_frame_age, silent.value.gateway_version) == (None, None)


async def test_a_run_that_failed_or_was_lost(make: Make, start_gateway: Callable[..., Any]) -> None:
    gateway = start_gateway(agent)
    async with make(gateway) as client:
        known = (client.hello.server.conn_id, client.hello.server.version)
        with pytest.raises(RunFailed) as failed:
            await client.chat_send(session_key="main", message="fail")
        assert known_of(failed.value) == known
        async with client.chat_stream(session_key="main", message="endless") as run:
            async for _event in run:
                if run.text:
                    break
            await client.disconnect()
            with pytest.raises(RunLost) as lost:
                await run.result()
    assert known_of(lost.value) == known
