"""A real gateway is killed in the middle of runs and started again, over and over."""

from __future__ import annotations

import asyncio
import random
from collections import Counter
from uuid import uuid4

import pytest

from openclaw_client import AsyncGatewayClient, HistoryMessage, TextAppended
from openclaw_client.errors import GatewayError, OutcomeUnknown, RunLost
from tests.chaos import report
from tests.chaos.cuts import QUICK
from tests.chaos.real import RealStage
from tests.contract.targets import PATIENT, device_store
from tests.gateways.model import work_texts

KILLS = {False: 2, True: 20}
AT_ONCE = 6
PIECES = 20
MODEL = f"stub:work {PIECES} 100"
"""Two seconds of words, a tool call in the middle."""
SPAN = 5.0
"""Seconds over which the messages are sent, and within which the gateway is killed: before, in and after runs."""
PATIENCE = 300.0
TEXT = "\n\n".join(work_texts(PIECES))


class Witness:
    """What the gateway and its model say about a message afterwards."""

    def __init__(self, key: str, rows: list[HistoryMessage], asked: int) -> None:
        # After a crash the gateway goes on in a run of its own, with a user row and an answer that are nobody's here.
        mine = [row for row in rows if row.run_id == key]
        self.turns = sum(row.role == "user" for row in mine)
        self.whole = any(row.role == "assistant" and row.stop_reason == "stop" for row in mine)
        self.asked = asked

    def __str__(self) -> str:
        return f"{self.turns} user turns, whole answer: {self.whole}, model asked {self.asked} times"


async def one_run(client: AsyncGatewayClient, key: str, delay: float) -> tuple[str, str | None]:
    """Send a message after a while; what its caller got, and what is wrong with that by itself."""
    await asyncio.sleep(delay)
    pieces: list[str] = []
    try:
        async with (
            asyncio.timeout(PATIENCE),
            client.chat_stream(session_key=key, message=f"{MODEL} {key}", idempotency_key=key) as run,
        ):
            async for event in run:
                if isinstance(event, TextAppended):
                    pieces.append(event.text)  # noqa: PERF401 - what came before an error counts
            reply = await run.result()
    except TimeoutError:
        return "hung", f"no end within {PATIENCE:g} s"
    except OutcomeUnknown:
        return "unknown", None
    except RunLost:
        return "lost_truly", None
    except GatewayError as error:
        sent = getattr(error, "sent", None)
        return ("not_sent", None) if sent is False else ("wrong", f"{type(error).__name__}: {error}")
    if reply.text != TEXT or "".join(pieces) != TEXT:
        return "wrong", f"reply {reply.text!r}, events {''.join(pieces)!r}"
    return ("from_history" if reply.recovered else "whole"), None


def contradicted(verdict: str, witness: Witness) -> str | None:
    """What the gateway's own record says against it."""
    if witness.turns > 1:
        return "doubled"
    if verdict == "lost_truly" and witness.whole:
        return "lost, although the history has the answer"
    if verdict == "unknown" and witness.turns:
        return "unknown, although the history has the message"
    if verdict == "not_sent" and (witness.turns or witness.asked):
        return "not sent, although it came"
    return None


@pytest.mark.timeout(3600)
@pytest.mark.only(gateways="real")
@pytest.mark.release("2026.9.6")
async def test_killed_in_mid_run(real: RealStage, full: bool, chaos_seed: int) -> None:
    rng, counted, faults = random.Random(chaos_seed), Counter[str](), list[str]()
    client = AsyncGatewayClient(real.url, token=real.token, identity=device_store(), timeouts=PATIENT, reconnect=QUICK)
    async with client:
        for _ in range(KILLS[full]):
            keys = [f"kill-{uuid4().hex[:12]}" for _ in range(AT_ONCE)]
            runs = [asyncio.ensure_future(one_run(client, key, rng.uniform(0, SPAN))) for key in keys]
            await asyncio.sleep(rng.uniform(0.2, SPAN))
            await asyncio.to_thread(real.kill)
            await asyncio.to_thread(real.begin_again)
            outcomes = await asyncio.gather(*runs)
            for key, (verdict, fault) in zip(keys, outcomes, strict=True):
                page = await client.chat_history(session_key=key, limit=50)
                witness = Witness(key, page.messages, real.asked(f"{MODEL} {key}"))
                fault = fault or contradicted(verdict, witness)
                counted[verdict] += 1
                counted["taken_up_by_the_gateway"] += any("gateway restart" in row.text for row in page.messages)
                if fault is not None:
                    faults.append(f"{key}: {verdict}: {fault} ({witness})")
    report.add(
        f"kills, {real.release}, seed {chaos_seed}", {"kills": KILLS[full], "sent": KILLS[full] * AT_ONCE, **counted}
    )
    assert not faults, f"--chaos-seed={chaos_seed}, {len(faults)}:\n" + "\n".join(faults)
