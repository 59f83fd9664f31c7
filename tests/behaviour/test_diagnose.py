"""`diagnose()` of both faces: its steps, and that it disturbs nothing. What it finds: tests/cli/test_doctor.py."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

import pytest

from openclaw_client import ConnectionState, StageReport
from openclaw_client.errors import AuthRejected, MissingScope
from openclaw_client.testing import BlockingEmbeddedGateway
from tests.waiting import until

Make = Callable[..., Any]
STAGES = ["dns", "tcp", "tls", "upgrade", "challenge", "connect", "scopes", "call"]


async def test_every_stage_is_told_as_it_is_done(make: Make, gateway: BlockingEmbeddedGateway, no_leaks: None) -> None:
    heard: list[StageReport] = []
    reports = await make(gateway).diagnose(chat="hi", on_stage=heard.append)
    assert list(reports) == heard
    assert [report.stage for report in reports] == [*STAGES, "chat"]
    assert {report.result for report in reports if report.stage != "tls"} == {"ok"}
    assert all(report.seconds is not None and report.seconds >= 0 for report in reports if report.result == "ok")
    assert "echo: hi" in reports[-1].detail
    assert gateway.transcript("agent:main:main") == []
    await until(lambda: gateway.open_connections == 0)


async def test_the_last_report_is_the_one_that_failed(make: Make, gateway: BlockingEmbeddedGateway) -> None:
    reports = await make(gateway, token="wrong").diagnose(chat="hi")
    assert [report.stage for report in reports] == STAGES[:6]
    assert isinstance(reports[-1].error, AuthRejected)
    assert (reports[-1].result, reports[-1].error.stage) == ("failed", "connect")


async def test_a_call_that_is_refused(make: Make, gateway: BlockingEmbeddedGateway) -> None:
    gateway.faults.rewrite(
        "health",
        lambda frame: {**frame, "ok": False, "error": {"code": "FORBIDDEN", "message": "missing scope: operator.read"}},
    )
    reports = await make(gateway).diagnose()
    assert isinstance(reports[-1].error, MissingScope)
    assert (reports[-1].stage, reports[-1].error.remedy != "") == ("call", True)


async def test_a_client_that_is_connected_stays_so(make: Make, gateway: BlockingEmbeddedGateway) -> None:
    changes: list[Any] = []
    async with make(gateway) as client:
        client.on_state_change(changes.append)
        assert (await client.diagnose())[-1].result == "ok"
        gateway.faults.refuse("unauthorized", details={"code": "AUTH_PASSWORD_MISMATCH"})
        assert (await client.diagnose())[-1].result == "failed"
        assert client.state is ConnectionState.CONNECTED
        assert await client.request("health")
    assert [change.new for change in changes if change.new is not ConnectionState.DISCONNECTED] == []


async def test_what_a_listener_raises_ends_it(make: Make, gateway: BlockingEmbeddedGateway, no_leaks: None) -> None:
    def enough(report: StageReport) -> None:
        if report.stage == "scopes":
            raise ArithmeticError("enough")

    with pytest.raises(ArithmeticError):
        await make(gateway).diagnose(on_stage=enough)
    await until(lambda: gateway.open_connections == 0)


@pytest.mark.parametrize("face", ["async"], indirect=True)  # a thread cannot be cancelled
async def test_cancelling_leaves_no_socket_behind(make: Make, gateway: BlockingEmbeddedGateway, no_leaks: None) -> None:
    gateway.faults.withhold_challenge()
    task = asyncio.create_task(make(gateway).diagnose())
    await until(lambda: gateway.open_connections == 1)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    await until(lambda: gateway.open_connections == 0)


async def test_the_clocks_are_compared(make: Make, gateway: BlockingEmbeddedGateway) -> None:
    def late(frame: dict[str, Any]) -> dict[str, Any]:
        return {**frame, "payload": {**frame["payload"], "ts": frame["payload"]["ts"] + 90_000}}

    gateway.faults.rewrite("connect.challenge", late, times=None)
    reports = {report.stage: report for report in await make(gateway).diagnose()}
    assert reports["connect"].result == "ok"
    assert "s ahead of this machine's" in reports["challenge"].detail
