"""Runs of the method `agent`: its two answers, whoever leaves, and what is sent again."""

from __future__ import annotations

import logging
import pickle
import time
from collections.abc import AsyncIterator, Callable
from dataclasses import asdict, replace
from typing import Any

import pytest

from openclaw_client import ConnectionManager, Credentials, SentRun, TextAppended
from openclaw_client.errors import OutcomeUnknown, RequestFailed, RunFailed, RunLost, RunTimeout, UsageError
from openclaw_client.runs.words import digest_of
from openclaw_client.testing import BlockingEmbeddedGateway, OutFrame, Turn
from tests.behaviour.test_attach import taken_up
from tests.behaviour.test_resume import gated
from tests.waiting import until

Make = Callable[..., Any]
Start = Callable[..., BlockingEmbeddedGateway]

RELEASES = pytest.mark.parametrize("release", ["2026.2.17", "2026.4.15", "2026.6.1", "2026.7.35", "2026.9.6"])
PROMPT = "canary words of a system prompt"


def accepted(frame: OutFrame) -> bool:
    return frame.field("status") == "accepted"


async def prompted(turn: Turn) -> AsyncIterator[str]:
    """Says how it was asked."""
    yield f"{turn.message}; {turn.system_prompt}; {turn.model}"


@RELEASES
async def test_what_the_agent_gets(make: Make, start_gateway: Start, release: str) -> None:
    gateway = start_gateway(prompted, release=release)
    async with make(gateway, scopes=["read", "write", "admin"]) as client:
        model = "embedded/embedded-2" if gateway.profile.agent_models else None
        how = {"system_prompt": PROMPT, "model": model}
        assert (await client.chat_send(session_key="main", message="x", **how)).text == f"x; {PROMPT}; {model}"
        level = "off" if gateway.profile.agent_levels else "low"
        assert (await client.chat_send(session_key="main", message="y", thinking="off")).text == "y; None; None"
        reply = await client.chat_send(session_key="main", message="z", thinking=level, system_prompt=PROMPT)
        assert reply.text == f"z; {PROMPT}; None"
    assert (gateway.seen.requests["agent"], gateway.seen.requests["chat.send"]) == (2, 1)


@pytest.mark.parametrize(
    ("how", "reason"),
    [
        ({"thinking": "low"}, 'Thinking level "low" is not supported'),
        ({"thinking": "x"}, "Invalid thinking"),
        ({"model": "no/such"}, "Unknown model: no/such"),
    ],
)
@RELEASES
async def test_a_run_that_fails_before_its_first_step_is_told_at_once(
    make: Make, start_gateway: Start, release: str, how: dict[str, str], reason: str
) -> None:
    gateway = start_gateway(prompted, release=release)
    if not gateway.profile.agent_models and "model" in how:
        return
    if how.get("thinking") == "low" and not gateway.profile.agent_levels:
        how = {"thinking": "y"}
        reason = "Invalid thinking"
    async with make(gateway, scopes=["read", "write", "admin"]) as client:
        with pytest.raises(RunFailed, match=reason) as caught:
            await client.chat_send(session_key="main", message="x", system_prompt=PROMPT, **how)
        assert PROMPT not in str(caught.value) + repr(caught.value)
        # Its turn is over.
        assert (await client.chat_send(session_key="main", message="y", timeout=5)).text == "y; None; None"


@RELEASES
async def test_a_last_event_that_is_lost_costs_nothing(make: Make, start_gateway: Start, release: str) -> None:
    gateway = start_gateway(gated, release=release)
    async with (
        make(gateway) as client,
        client.chat_stream(session_key="main", message="x", system_prompt=PROMPT) as run,
    ):
        assert await anext(run.text_stream) == "beginning"
        gateway.faults.drop("chat", times=None)
        gateway.faults.drop("agent", times=None)
        began = time.monotonic()
        gateway.release()
        reply = await run.result()
    assert (reply.text, reply.recovered) == ("beginning of x", True)
    # Not by the long silence, behind which every run is asked about.
    assert time.monotonic() - began < 15


async def test_a_run_that_is_left_keeps_its_turn_and_not_its_connection(make: Make, start_gateway: Start) -> None:
    gateway = start_gateway(gated)
    async with make(gateway) as client:
        async with client.chat_stream(session_key="main", message="x", system_prompt=PROMPT) as run:
            assert await anext(run.text_stream) == "beginning"
            assert client.busy
        await until(lambda: not client.busy)
        with pytest.raises(RunTimeout) as caught:
            await client.chat_send(session_key="main", message="y", timeout=0.3)
        assert not caught.value.sent
        assert not client.busy
        gateway.release()
        await until(lambda: not gateway.active_runs)
        async with client.chat_stream(session_key="main", message="y", timeout=5) as run:
            assert await anext(run.text_stream) == "beginning"


@pytest.mark.parametrize(("method", "said"), [("agent", f"x; {PROMPT}; None"), ("chat.send", "x; None; None")])
async def test_it_is_sent_again_by_its_own_method(make: Make, start_gateway: Start, method: str, said: str) -> None:
    gateway = start_gateway(prompted)
    sent = SentRun("key", "main", digest_of("x"), "x", sent_at=time.time() - 1, protocol=4)
    # A stop word that was sent with a prompt went by chat.send.
    wish = replace(sent, method=method, system_prompt=PROMPT)
    # 2026.9.6 shows that it never ran.
    wish = pickle.loads(pickle.dumps(wish))
    async with make(gateway) as client, taken_up(gateway, client, wish) as attached:
        assert (await attached.result()).text == said
    assert gateway.seen.requests[method] == 1
    assert gateway.seen.requests["agent"] + gateway.seen.requests["chat.send"] == 1


@RELEASES
@pytest.mark.parametrize("lost", ["answer", "request"])
async def test_a_cut_around_the_first_answer_runs_it_once(
    make: Make, start_gateway: Start, release: str, lost: str
) -> None:
    gateway = start_gateway(prompted, release=release)
    if lost == "answer":
        gateway.faults.cut(where=accepted, before=0)
    else:
        gateway.faults.not_ready("agent")
    async with make(gateway) as client:
        reply = await client.chat_send(session_key="main", message="x", system_prompt=PROMPT)
        assert reply.text == f"x; {PROMPT}; None"
    assert [row["text"] for row in gateway.transcript("agent:main:main") if row["role"] == "user"] == ["x"]


async def test_nobody_knows_of_a_message_whose_gateway_was_replaced(make: Make, start_gateway: Start) -> None:
    gateway = start_gateway(gated, release="2026.8.1")
    gateway.faults.swallow("agent")
    async with (
        make(gateway) as client,
        client.chat_stream(session_key="main", message="x", system_prompt=PROMPT) as run,
    ):
        await until(lambda: gateway.faults.outstanding == 0)
        gateway.crash()
        gateway.start()
        with pytest.raises(OutcomeUnknown) as caught:
            await run.result()
    assert (caught.value.method, caught.value.sent_run.method) == ("agent", "agent")
    assert PROMPT not in str(caught.value) + repr(caught.value)


async def test_facts_of_another_method_are_no_run(make: Make, start_gateway: Start) -> None:
    gateway = start_gateway(prompted)
    async with make(gateway) as client:
        for method in ("sessions.delete", 5):
            sent = SentRun("key", "main", digest_of("x"), "x", sent_at=time.time(), protocol=4)
            with pytest.raises(UsageError, match="method"):
                client.chat_attach(SentRun(**{**asdict(sent), "method": method}))


async def test_the_prompt_is_in_no_log_repr_or_error(
    make: Make, start_gateway: Start, caplog: pytest.LogCaptureFixture
) -> None:
    gateway = start_gateway(gated)
    caplog.set_level(logging.DEBUG)
    # The log of all frames shows the words of users.
    caplog.set_level(logging.INFO, "openclaw_client.wire")
    async with make(gateway) as client:
        run = client.chat_stream(session_key="main", message="x", system_prompt=PROMPT)
        async with run:
            assert await anext(run.text_stream) == "beginning"
            shown = repr(run) + repr(run.sent_run) + repr(client)
            await client.disconnect()
            with pytest.raises(RunLost) as lost:
                await run.result()
    assert lost.value.sent_run.system_prompt == PROMPT
    assert PROMPT not in shown + str(lost.value) + repr(lost.value) + caplog.text


async def test_a_refused_field_is_told_with_what_to_do(make: Make, start_gateway: Start) -> None:
    gateway = start_gateway(prompted)
    async with make(gateway) as client:
        with pytest.raises(RequestFailed, match="unexpected property 'nope'") as unknown:
            await client.chat_send(session_key="main", message="x", system_prompt=PROMPT, nope=1)
        with pytest.raises(RequestFailed, match="overrides are not authorized") as refused:
            await client.chat_send(session_key="main", message="x", model="embedded/embedded-1")
        assert (await client.chat_send(session_key="main", message="x", timeout=5)).text == "x; None; None"
    assert "Leave out what the message names" in unknown.value.remedy
    assert "sessions.patch" in refused.value.remedy


async def test_managers_offer_it(start_gateway: Start) -> None:
    gateway = start_gateway(prompted)
    with ConnectionManager(lambda user: Credentials(gateway.url, token=gateway.token, sessions=["main"])) as manager:
        heard: list[str] = []
        manager.on_proactive_message(lambda user, message: heard.append(message.text))
        client = manager.connection_for("ann")
        with client.chat_stream(session_key="main", message="x", system_prompt=PROMPT) as run:
            pieces = [event.text for event in run if isinstance(event, TextAppended)]
        assert "".join(pieces) == run.result().text == f"x; {PROMPT}; None"
        assert client.chat_send(session_key="main", message="y").text == "y; None; None"
        assert heard == []
