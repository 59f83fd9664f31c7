"""Many clients, random faults, and the gateway's own account of every message."""

from __future__ import annotations

import asyncio
import gc
import os
import threading
from collections import Counter
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest

from openclaw_client import AsyncGatewayClient, ConnectionState, StateChange, TextAppended, TextReplaced, Timeouts
from openclaw_client.errors import GatewayError
from tests.chaos import report
from tests.chaos.cuts import QUICK
from tests.chaos.proxy import FaultProxy
from tests.chaos.storm import (
    GATEWAY_FAULTS,
    LINE_FAULTS,
    Errand,
    Mishap,
    Sent,
    Stage,
    judge,
    plan_errands,
    plan_mishaps,
    upset,
)
from tests.contract.targets import device_store

CLIENTS = 20
RELEASES = ("2026.4.15", "2026.9.6")
SENDS = {False: 140, True: 1000}
DURATION = {False: 30.0, True: 600.0}
PATIENCE = 150.0
"""Seconds after which a message hangs: the longest stall, the silence after which a run is asked about (30 s), the time
that a request has (30 s), and as much again for a loaded machine."""
SETTLED = 20.0
"""Seconds after which what still stands is taken for left behind; far above what the end of a connection takes."""
LEFT_BEHIND = ("tasks", "threads", "fds")


class Client:
    """One user: a client behind a line of its own, in a session of its own."""

    def __init__(self, stage: Stage, line: FaultProxy) -> None:
        self.stage, self.line = stage, line
        self.session = f"storm-{uuid4().hex[:8]}"
        self.client = AsyncGatewayClient(
            line.url,
            token=stage.gateway.token,
            identity=device_store(),
            timeouts=Timeouts(connect=5, request=30),
            reconnect=QUICK,
        )
        self.met = stage.ledger.life
        self.client.on_state_change(self._changed)
        self.heard: list[str] = []
        self.client.on_proactive_message(lambda _user, message: self.heard.append(message.text))
        self.got: list[str] = []

    def _changed(self, change: StateChange) -> None:
        if change.new is ConnectionState.CONNECTED:
            self.met = self.stage.ledger.life

    async def work_off(self, errands: list[Errand], counted: Counter[str], faults: list[str]) -> None:
        """Send one message after the other, and count what came of them."""
        for errand in errands:
            await asyncio.sleep(errand.after)
            counted["sent"] += 1
            try:
                sent = await self.send(errand)
            except TimeoutError:
                verdict, fault = "hung", f"no end within {PATIENCE:g} s"
            else:
                verdict, fault = judge(sent, self.stage.ledger.records.get(sent.key), self.stage.joint)
            counted[verdict] += 1
            if fault is not None:
                faults.append(f"{self.stage.gateway.profile.release}, {errand.message!r}: {verdict}: {fault}")

    async def send(self, errand: Errand) -> Sent:
        """One message, to its end. TimeoutError when there is none."""
        key, ledger = f"{self.session}-{errand.number}", self.stage.ledger
        # What is sent through a line that stalls still goes to the process that the client met last.
        before, pieces, got = (min(self.met, ledger.life), ledger.memory), [], {}
        try:
            async with (
                asyncio.timeout(PATIENCE),
                self.client.chat_stream(
                    session_key=self.session,
                    message=errand.message,
                    idempotency_key=key,
                    system_prompt=errand.system_prompt,
                ) as run,
            ):
                async for event in run:
                    if isinstance(event, TextReplaced):
                        pieces.clear()
                    if isinstance(event, TextAppended | TextReplaced):
                        pieces.append(event.text)
                reply = await run.result()
                got = {"text": reply.text, "recovered": reply.recovered}
                self.got.append(reply.text)
        except GatewayError as error:
            got = {"error": error}
        lives, memories = (before[0], ledger.life), (before[1], ledger.memory)
        return Sent(errand, key, lives, memories, pieces="".join(pieces), **got)  # type: ignore[arg-type]


def standing() -> dict[str, int]:
    """What must not grow."""
    gc.collect()
    resident = int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")
    return {
        "tasks": len(asyncio.all_tasks()),
        "threads": threading.active_count(),
        "fds": len(os.listdir("/proc/self/fd")),
        "rss_mb": resident // 2**20,
    }


async def settled(clients: list[Client], before: dict[str, int] | None = None) -> dict[str, int]:
    """What stands when everybody is connected and nothing is under way. With what stood before: when no more does, or
    at the latest SETTLED seconds later, with what is too much."""
    for one in clients:
        await one.client.request("health")
    now, ends = standing(), asyncio.get_running_loop().time() + SETTLED
    while before is not None and grown(before, now) and asyncio.get_running_loop().time() < ends:
        # Gateways close what was cut, and their tasks end, in turns of their own, of which nothing tells.
        await asyncio.sleep(0.1)
        now = standing()
    return now


def grown(before: dict[str, int], after: dict[str, int]) -> list[str]:
    """What there is more of than before. Memory is judged apart: transcripts make it grow."""
    return [f"{what}: {before[what]} -> {after[what]}" for what in LEFT_BEHIND if after[what] > before[what]]


async def weather(mishaps: list[Mishap], clients: list[Client], stages: list[Stage]) -> None:
    """Let everything happen at its time."""
    loop = asyncio.get_running_loop()
    began = loop.time()
    async with asyncio.TaskGroup() as group:
        for mishap in mishaps:
            await asyncio.sleep(max(0.0, began + mishap.at - loop.time()))
            if mishap.kind in LINE_FAULTS:
                group.create_task(upset(clients[mishap.whom].line, mishap))
            else:
                group.create_task(stages[mishap.whom].suffer(mishap))


@pytest.mark.timeout(1200)
@pytest.mark.skipif(not Path("/proc/self/statm").exists(), reason="reads /proc")
@pytest.mark.only(gateways="embedded")
async def test_storm(full: bool, chaos_seed: int) -> None:
    errands = plan_errands(chaos_seed, CLIENTS, SENDS[full], DURATION[full])
    mishaps = plan_mishaps(chaos_seed, CLIENTS, len(RELEASES), DURATION[full])
    counted: Counter[str] = Counter()
    faults: list[str] = []
    async with AsyncExitStack() as stack:
        stages = [Stage(release) for release in RELEASES]
        for stage in stages:
            await stack.enter_async_context(stage.gateway)
        clients = []
        for number in range(CLIENTS):
            stage = stages[number % len(stages)]
            line = await stack.enter_async_context(FaultProxy(stage.gateway.url))
            client = Client(stage, line)
            await stack.enter_async_context(client.client)
            clients.append(client)

        before = await settled(clients)
        storm = asyncio.create_task(weather(mishaps, clients, stages))
        async with asyncio.TaskGroup() as group:
            for client, mine in zip(clients, errands, strict=True):
                group.create_task(client.work_off(mine, counted, faults))
        await storm
        for client in clients:
            client.line.heal()
        for stage in stages:
            stage.gateway.faults.clear()
        after = await settled(clients, before)
        twice = doubled_turns(clients)
        again = [text for client in clients for text in client.got if text and text in client.heard]
    happened = Counter(mishap.kind for mishap in mishaps)
    report.add(f"storm, seed {chaos_seed}", {**counted, "mishaps": len(mishaps), "before": before, "after": after})
    assert not faults, f"--chaos-seed={chaos_seed}, {len(faults)} of {counted['sent']}:\n" + "\n".join(faults)
    assert not twice, f"--chaos-seed={chaos_seed}: {twice}"
    assert not again, f"--chaos-seed={chaos_seed}, replies that were told as messages, too: {again}"
    assert set(happened) == {*LINE_FAULTS, *GATEWAY_FAULTS}
    assert counted["right"] > counted["sent"] / 2
    assert not grown(before, after), f"--chaos-seed={chaos_seed}: {grown(before, after)} of {before} -> {after}"
    # Transcripts and the account of this test grow by some kilobytes per message.
    assert after["rss_mb"] - before["rss_mb"] <= 40, f"--chaos-seed={chaos_seed}: {before} -> {after}"


def doubled_turns(clients: list[Client]) -> list[str]:
    """Messages that stand in a history more than once."""
    twice: list[str] = []
    for client in clients:
        rows: list[Any] = client.stage.gateway.transcript(f"agent:main:{client.session}")
        said = Counter(row["text"] for row in rows if row["role"] == "user")
        twice += [text for text, count in said.items() if count > 1]
    return twice


def test_a_seed_makes_the_same_storm() -> None:
    assert plan_mishaps(7, 20, 2, 30.0) == plan_mishaps(7, 20, 2, 30.0) != plan_mishaps(8, 20, 2, 30.0)
    assert plan_errands(7, 20, 100, 30.0) == plan_errands(7, 20, 100, 30.0) != plan_errands(8, 20, 100, 30.0)
