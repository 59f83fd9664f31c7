"""What becomes of a message that meets a running run, per release and queue mode."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import pytest

from openclaw_client.testing import Agent, BlockingEmbeddedGateway, Gate, Turn, scripts
from openclaw_client.testing.busy import SHUTTING_DOWN
from tests.gateways.raw import text_of
from tests.testing.helpers import chats, raw


@pytest.mark.parametrize("release", ["2026.2.17", "2026.4.15"])
def test_a_busy_session_answers_in_a_run_that_nobody_asked_for(release: str) -> None:
    agent = scripts.gated(["first", "!"])
    with BlockingEmbeddedGateway(agent, release=release) as gateway, raw(gateway) as client:
        first, second = client.chat_send("s", "one"), client.chat_send("s", "two")
        handed_over = client.follow(second)
        assert (handed_over.state, handed_over.events[-1].get("message")) == ("final", None)
        [third] = set(gateway.active_runs) - {first, second}
        gateway.release()
        assert client.follow(first).text == "first!"
        assert client.follow(third).text == "first!"


def test_a_busy_session_queues_on_2026_6_1() -> None:
    with BlockingEmbeddedGateway(scripts.gated(["x"]), release="2026.6.1") as gateway, raw(gateway) as client:
        first, second = client.chat_send("s", "one"), client.chat_send("s", "two")
        gateway.release()
        assert client.follow(first).text == "x"
        assert client.follow(second).text == "x"


def waits(gate: Gate) -> Agent:
    async def agent(turn: Turn) -> AsyncIterator[str]:
        if turn.message == "one":
            await gate.wait()
        yield f"re: {turn.message}"

    return agent


def said_in(client: Any, session: str = "s") -> list[tuple[str, str]]:
    rows = client.request("chat.history", {"sessionKey": session})["messages"]
    return [(row["role"], text_of(row).rpartition("] ")[2]) for row in rows]


@pytest.mark.parametrize(("release", "text"), [("2026.2.17", "re: two"), ("2026.4.15", "re: onere: two")])
def test_a_steered_message_ends_at_once_on_wire_v3(release: str, text: str) -> None:
    gate = Gate()
    with BlockingEmbeddedGateway(waits(gate), release=release, busy="steer") as gateway, raw(gateway) as client:
        first, second = client.chat_send("s", "one"), client.chat_send("s", "two")
        assert client.follow(second).events[-1].get("message") is None
        gate.open()
        assert client.follow(first).text == text
        rows = [("user", "one"), ("assistant", "re: one"), ("user", "two"), ("assistant", "re: two")]
        assert said_in(client) == rows


def test_a_steered_message_ends_when_the_run_takes_it_up_on_2026_9_6() -> None:
    gate = Gate()
    with BlockingEmbeddedGateway(waits(gate), release="2026.9.6") as gateway, raw(gateway) as client:
        first, second = client.chat_send("s", "one"), client.chat_send("s", "two")
        third = client.chat_send("s", "three")
        pending = client.request("chat.history", {"sessionKey": "s"})["pendingInputs"]
        assert [item["runId"] for item in pending["items"]] == [second, third]
        assert chats(client, second) == []
        gate.open()
        assert client.follow(second).events[-1].get("message") is None
        assert client.follow(first).text == "re: one\n\nre: two\n\nthree"
        rows = client.request("chat.history", {"sessionKey": "s"})["messages"]
        assert [row["role"] for row in rows] == ["user", "assistant", "user", "user", "assistant"]
        assert [row["__openclaw"].get("steerTargetRunId") for row in rows] == [None, None, first, first, None]


@pytest.mark.parametrize(
    ("release", "answers"),
    [("2026.4.15", ["re: two", "re: three"]), ("2026.9.6", ["re: [Queued while the agent was busy]"])],
)
def test_collected_messages(release: str, answers: list[str]) -> None:
    gate = Gate()
    with BlockingEmbeddedGateway(waits(gate), release=release) as gateway, raw(gateway) as client:
        assert "collect" in client.chat("s", "/queue collect").text
        runs = [client.chat_send("s", text) for text in ("one", "two", "three")]
        for run_id in runs[1:]:
            assert client.follow(run_id).events[-1].get("message") is None
        others = [run_id for run_id in gateway.active_runs if run_id not in runs]
        gate.open()
        assert client.follow(runs[0]).text == "re: one"
        found = [client.follow(run_id).text for run_id in others]
        assert [text.partition("\n")[0] for text in found] == answers
        assert all("three" in text for text in found[-1:])


@pytest.mark.parametrize(
    ("release", "first_states", "second"),
    [("2026.2.17", [], "re: two"), ("2026.4.15", [], None), ("2026.9.6", ["aborted"], "re: two")],
)
def test_an_interrupting_message(release: str, first_states: list[str], second: str | None) -> None:
    options = {"release": release, "busy": "interrupt"}
    gateway = BlockingEmbeddedGateway(waits(Gate()), **options)
    with gateway, raw(gateway) as client, raw(gateway) as watcher:
        first = client.chat_send("s", "one")
        while client.next_event("agent")["payload"]["data"].get("phase") != "start":
            pass
        answer = client.chat("s", "two")
        assert answer.text == (SHUTTING_DOWN if second is None else second)
        assert first not in gateway.active_runs
        watcher.request("health")  # everything that the interruption sent has come before this answer
        shown = [event["state"] for event in chats(watcher, first) if event["state"] != "status"]
        assert shown == first_states
        assert said_in(client)[0] == ("user", "one")


def test_the_queue_mode_of_one_message() -> None:
    with BlockingEmbeddedGateway(waits(Gate()), release="2026.9.6") as gateway, raw(gateway) as client:
        client.chat_send("s", "one")
        params = {"sessionKey": "s", "message": "two", "idempotencyKey": "k", "queueMode": "interrupt"}
        assert client.request("chat.send", params) == {"runId": "k", "status": "started", "interruptedActiveRun": True}
        assert client.follow("k").text == "re: two"
