"""What becomes of a message that meets a running run, per release and queue mode."""

from __future__ import annotations

import asyncio
import threading
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from dataclasses import replace
from typing import Any

import pytest

from openclaw_client import AsyncGatewayClient
from openclaw_client.testing import PROFILES, Agent, BlockingEmbeddedGateway, EmbeddedGateway, Gate, Turn, scripts
from openclaw_client.testing.busy import SHUTTING_DOWN
from tests.gateways.raw import RawError, text_of
from tests.testing.helpers import chats, raw
from tests.waiting import until


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


@pytest.mark.parametrize("release", PROFILES)
async def test_a_message_that_comes_when_the_run_before_it_ends_runs_once(release: str) -> None:
    """Within 40 rounds of three, some message comes in the very turn of the loop in which a run ends."""
    asked: Counter[str] = Counter()

    async def agent(turn: Turn) -> AsyncIterator[str]:
        asked[turn.message] += 1
        yield "said"

    async with EmbeddedGateway(agent, release=release, settle_time=0.0) as gateway, AsyncExitStack() as stack:
        clients = [AsyncGatewayClient(gateway.url, token=gateway.token) for _ in range(3)]
        for client in clients:
            await stack.enter_async_context(client)
        for number in range(40):
            texts = [f"{number} of {one}" for one in range(3)]
            sends = [
                client.chat_send(session_key="s", message=text) for client, text in zip(clients, texts, strict=True)
            ]
            await asyncio.gather(*sends)
        await until(lambda: not gateway.active_runs)
    assert max(asked.values()) == 1


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


def begun(client: Any, session: str, text: str) -> str:
    """Send a message and wait until its run works."""
    run_id: str = client.chat_send(session, text)
    while True:
        payload = client.next_event("agent")["payload"]
        if payload["runId"] == run_id and payload["data"].get("phase") == "start":
            return run_id


@pytest.mark.parametrize(
    ("release", "first_text"),
    [
        ("2026.5.12", "re: onere: two\n\nthree"),
        ("2026.8.1", "re: onere: two\n\nthree"),
        ("2026.9.6", "re: one\n\nre: two\n\nthree"),
    ],
)
def test_steered_messages_are_answered_together_within_the_first_run(release: str, first_text: str) -> None:
    gate = Gate()
    with BlockingEmbeddedGateway(waits(gate), release=release, busy="steer") as gateway, raw(gateway) as client:
        first = begun(client, "s", "one")
        second, third = client.chat_send("s", "two"), client.chat_send("s", "three")
        late = gateway.profile.steering == "late"
        if not late:
            assert [client.follow(one).events[-1].get("message") for one in (second, third)] == [None, None]
        gate.open()
        if late:
            assert [client.follow(one).events[-1].get("message") for one in (second, third)] == [None, None]
        assert client.follow(first).text == first_text
        rows = client.request("chat.history", {"sessionKey": "s"})["messages"]
        assert [row["role"] for row in rows] == ["user", "assistant", "user", "user", "assistant"]
        metas = [row["__openclaw"] for row in rows]
        if release == "2026.5.12":
            # Nothing but the words tells whose these rows are.
            assert ["senderLabel" in row for row in rows if row["role"] == "user"] == [True, False, False]
            assert all("runId" not in meta for meta in metas)
        else:
            assert [row.get("idempotencyKey") for row in rows[2:4]] == [f"{second}:user", f"{third}:user"]
            assert [meta.get("steerTargetRunId") for meta in metas] == [None, None, first, first, None]
            assert [meta.get("runId") for meta in metas] == [None, first, None, None, first]


def test_a_steered_message_breaks_the_run_on_2026_7_35() -> None:
    gate = Gate()
    with BlockingEmbeddedGateway(waits(gate), release="2026.7.35") as gateway, raw(gateway) as client:
        first = begun(client, "s", "one")
        second = client.chat("s", "two")
        assert second.events[-1].get("message") is None
        # Written down at once, with its key, and never answered.
        gate.open()
        ended = client.follow(first)
        assert (ended.state, "changed" in ended.events[-1]["errorMessage"]) == ("error", True)
        assert chats(client, second.run_id) == []
        assert said_in(client) == [("user", "one"), ("user", "two")]


@pytest.mark.parametrize("release", ["2026.7.35", "2026.8.1", "2026.9.6"])
def test_the_row_of_collected_messages(release: str) -> None:
    gate = Gate()
    with BlockingEmbeddedGateway(waits(gate), release=release, busy="collect") as gateway, raw(gateway) as client:
        first = begun(client, "s", "one")
        runs = [client.chat("s", text).run_id for text in ("two", "three")]
        [collecting] = set(gateway.active_runs) - {first, *runs}
        gate.open()
        assert client.follow(first).text == "re: one"
        answer = client.follow(collecting).text
        assert answer.startswith("re: [Queued")
        page = client.request("chat.history", {"sessionKey": "s"})
        *_, user, assistant = page["messages"]
        assert user["idempotencyKey"].startswith("followup-collect:")
        assert not user["idempotencyKey"].endswith(":user")
        assert all(text in text_of(user) for text in ("two", "three"))
        assert text_of(assistant) == answer
        if release == "2026.9.6":
            asked = client.request("chat.history", {"sessionKey": "s", "inputRunIds": [*runs, first]})
            row = user["__openclaw"]["id"]
            assert asked["inputReceipts"] == [
                {"runId": one, "consumedByEventId": row, "state": "consumed"} for one in runs
            ]
            assert asked["inputConsumptions"] == [{"runId": one, "consumedByEventId": row} for one in runs]
        else:
            with pytest.raises(RawError, match="unexpected property 'inputRunIds'"):
                client.request("chat.history", {"sessionKey": "s", "inputRunIds": runs})


@pytest.mark.parametrize("release", ["2026.8.1", "2026.9.6"])
def test_the_answering_run_is_the_one_in_flight(release: str) -> None:
    second_gate = Gate()

    async def agent(turn: Turn) -> AsyncIterator[str]:
        yield turn.message
        await (turn.gate if turn.message == "one" else second_gate).wait()

    options: dict[str, Any] = {"release": release, "busy": "followup", "throttle": 0}
    with BlockingEmbeddedGateway(agent, **options) as gateway, raw(gateway) as client:
        first = begun(client, "s", "one")
        second = client.chat("s", "two").run_id
        [answering] = set(gateway.active_runs) - {first, second}
        gateway.release(first)
        client.follow(answering, until=lambda events: events[-1]["state"] == "delta")
        page = client.request("chat.history", {"sessionKey": "s"})
        assert page["inFlightRun"] == {"runId": answering, "text": "two"}
        assert page["messages"][-1]["idempotencyKey"] == f"{second}:user"
        assert page["sessionInfo"]["hasActiveRun"] is True
        second_gate.open()
        finals = [client.follow(answering).events[-1]]
        client.request("health")
        finals += chats(client, answering)
        marks = [("text" in one["message"], one["seq"] == 1) for one in finals]
        assert marks == ([(False, False), (True, True)] if release == "2026.8.1" else [(True, False)])
        rows = client.request("chat.history", {"sessionKey": "s"})["messages"]
        assert rows[-1]["__openclaw"]["runId"] == answering


def test_the_newest_message_is_the_one_in_flight_on_2026_6_1() -> None:
    gate = Gate()
    with BlockingEmbeddedGateway(waits(gate), release="2026.6.1") as gateway, raw(gateway) as client:
        begun(client, "s", "one")
        second = client.chat_send("s", "two")
        page = client.request("chat.history", {"sessionKey": "s"})
        assert page["inFlightRun"] == {"runId": second, "text": ""}
        gate.open()
        assert client.follow(second).text == "re: two"


@pytest.mark.parametrize(
    ("release", "found"),
    [("2026.4.15", False), ("2026.5.12", False), ("2026.7.35", True), ("2026.8.1", True), ("2026.9.6", True)],
)
def test_the_abort_of_a_message_that_waits(release: str, found: bool) -> None:
    gate = Gate()
    with BlockingEmbeddedGateway(waits(gate), release=release, busy="followup") as gateway, raw(gateway) as client:
        first = begun(client, "s", "one")
        second = client.chat("s", "two").run_id
        with raw(gateway, scopes=["operator.read", "operator.write"]) as stranger:
            params = {"sessionKey": "s", "runId": second}
            if found:
                with pytest.raises(RawError, match="unauthorized"):
                    stranger.request("chat.abort", params)
        result = client.request("chat.abort", {"sessionKey": "s", "runId": second})
        assert (result["aborted"], result["runIds"]) == (found, [second] if found else [])
        waiting = set(gateway.active_runs) - {first}
        assert len(waiting) == (0 if found else 1)
        if release == "2026.9.6":
            page = client.request("chat.history", {"sessionKey": "s", "inputRunIds": [second]})
            [item] = page["pendingInputs"]["items"]
            assert (item["runId"], item["state"]) == (second, "cancelled")
            assert page["inputReceipts"] == [{"runId": second, "state": "pending"}]
        gate.open()
        client.follow(first)
        for run_id in waiting:
            assert client.follow(run_id).text == "re: two"
        assert chats(client, second) == []
        assert [text for role, text in said_in(client) if role == "assistant"][1:] == ["re: two"] * len(waiting)


def test_one_of_several_collected_messages_may_be_aborted() -> None:
    gate = Gate()
    with BlockingEmbeddedGateway(waits(gate), release="2026.9.6", busy="collect") as gateway, raw(gateway) as client:
        first = begun(client, "s", "one")
        second, third = (client.chat("s", text).run_id for text in ("two", "three"))
        [collecting] = set(gateway.active_runs) - {first, second, third}
        assert client.request("chat.abort", {"sessionKey": "s", "runId": second})["aborted"] is True
        assert client.request("chat.abort", {"sessionKey": "s", "runId": second})["aborted"] is False
        gate.open()
        answer = client.follow(collecting).text
        assert ("two" in answer, "three" in answer) == (False, True)


@pytest.mark.parametrize("release", ["2026.5.12", "2026.7.35", "2026.8.1"])
def test_how_an_interrupted_run_ends(release: str, monkeypatch: pytest.MonkeyPatch) -> None:
    profile = replace(PROFILES[release], abort_delay=0.01)
    monkeypatch.setitem(PROFILES, release, profile)
    agent = scripts.gated(["piece", " more"])
    options: dict[str, Any] = {"release": release, "busy": "interrupt", "throttle": 0}
    with BlockingEmbeddedGateway(agent, **options) as gateway, raw(gateway) as client, raw(gateway) as watcher:
        first = client.chat_send("s", "one")
        client.follow(first, until=lambda events: events[-1]["state"] == "delta")
        second = client.chat_send("s", "two")
        seen: list[tuple[str, str, Any]] = []
        while ("chat", "final") not in {one[:2] for one in seen} or ("chat", "aborted") not in {
            one[:2] for one in seen
        }:
            event = watcher.next_event()
            payload, name = event["payload"], event["event"]
            if payload.get("runId") == first and name == "agent" and payload["data"].get("aborted"):
                seen.append(("agent", payload["data"]["phase"], True))
            if payload.get("runId") == first and name == "chat" and payload["state"] in ("final", "aborted"):
                seen.append((name, payload["state"], text_of(payload.get("message"))))
            if payload.get("runId") == second and name == "chat" and payload["state"] in ("delta", "final"):
                seen.append((name, payload["state"], text_of(payload.get("message"))))
            if release == "2026.5.12" and seen[-1:] == [("chat", "final", "piece")]:
                break
            gateway.release(second)
        rows = said_in(client)
    if release == "2026.5.12":
        # A final as if what it said were all, behind the end of an agent that says that it was aborted.
        assert seen == [("chat", "final", SHUTTING_DOWN), ("agent", "end", True), ("chat", "final", "piece")]
        assert rows == [("user", "one"), ("assistant", "piece"), ("assistant", SHUTTING_DOWN)]
    elif release == "2026.7.35":
        assert seen == [("agent", "error", True), ("chat", "final", ""), ("chat", "aborted", "")]
        assert rows == []  # the model has not completed a message in this session
    else:
        assert seen[0] == ("agent", "error", True)
        assert {("chat", "aborted", ""), ("chat", "final", "piece more")} <= set(seen)
        assert rows[:3] == [("user", "one"), ("assistant", ""), ("user", "two")]


def test_a_message_that_waited_when_the_gateway_was_killed() -> None:
    with BlockingEmbeddedGateway(waits(Gate()), release="2026.9.6", busy="followup") as gateway:
        with raw(gateway) as client:
            begun(client, "s", "one")
            second = client.chat("s", "two").run_id
        gateway.crash()
        gateway.start()
        with raw(gateway) as client:
            [item] = client.request("chat.history", {"sessionKey": "s"})["pendingInputs"]["items"]
            assert (item["runId"], item["state"], item["message"]["content"]) == (second, "interrupted", "two")
            params = {"sessionKey": "s", "message": "two", "idempotencyKey": second}
            with pytest.raises(RawError) as error:
                client.request("chat.send", params)
            assert error.value.response["error"]["code"] == "UNAVAILABLE"
            assert [one["state"] for one in chats(client, second)] == ["error"]


@pytest.mark.parametrize("release", list(PROFILES))
def test_messages_that_come_in_the_moment_in_which_a_run_ends_are_performed_once(release: str) -> None:
    """Two are taken in one step of the gateway, and the run ends in the next, before they are dealt with."""
    asked: list[str] = []
    begun, sent = threading.Event(), threading.Event()

    async def agent(turn: Turn) -> AsyncIterator[str]:
        asked.append(turn.message)
        if turn.message == "one":
            begun.set()
            # The whole gateway stands still, so that it finds both messages at once.
            assert sent.wait(10)
            while gateway.seen.requests["chat.send"] < 3:  # noqa: ASYNC110 - to be there in the very next step
                await asyncio.sleep(0)
        yield f"re: {turn.message}"

    gateway = BlockingEmbeddedGateway(agent, release=release, settle_time=0)
    with gateway, raw(gateway) as client:
        client.chat_send("s", "one")
        assert begun.wait(10)
        for text in ("two", "three"):
            params = {"sessionKey": "s", "message": text, "idempotencyKey": text}
            client.send({"type": "req", "id": text, "method": "chat.send", "params": params})
        sent.set()
        for text in ("two", "three"):
            client.follow(text)
        while gateway.active_runs:
            client.request("health")
    assert sorted(asked) == ["one", "three", "two"]
