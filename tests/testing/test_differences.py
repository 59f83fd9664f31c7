"""Small things that releases do differently, one test for each."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import pytest

from openclaw_client.testing import PROFILES, BlockingEmbeddedGateway, Turn, scripts
from tests.gateways.raw import RawClient
from tests.testing.helpers import RELEASES, chats, raw, refused, text_of


def history(client: RawClient, **params: Any) -> dict[str, Any]:
    return client.request("chat.history", {"sessionKey": "s", **params})


@pytest.mark.parametrize("release", RELEASES)
@pytest.mark.parametrize("key", ["line-end\n", " before"])
def test_a_key_with_white_space_at_an_end(release: str, key: str) -> None:
    """From 2026.8 on the message is written down, the model is asked, and the run breaks."""
    asked: list[str] = []

    async def agent(turn: Turn) -> AsyncIterator[str]:
        asked.append(turn.message)
        yield f"echo: {turn.message}"

    with BlockingEmbeddedGateway(agent, release=release) as gateway, raw(gateway) as client:
        params = {"sessionKey": "s", "message": "hi", "idempotencyKey": key}
        assert client.request("chat.send", params) == {"runId": key, "status": "started"}
        run = client.follow(key)
        roles = [message["role"] for message in history(client)["messages"]]
        if gateway.profile.strict_keys:
            assert (run.state, roles) == ("error", ["user"])
        else:
            assert (run.text, roles) == ("echo: hi", ["user", "assistant"])
        assert asked == ["hi"]
        assert gateway.profile.strict_keys is (release in ("2026.8.1", "2026.9.6"))
        assert client.chat("t", "a key like this", idempotencyKey="a b\nc").text == "echo: a key like this"


@pytest.mark.parametrize("release", RELEASES)
def test_when_history_says_where_the_next_page_begins(release: str) -> None:
    with BlockingEmbeddedGateway(release=release, settle_time=0) as gateway, raw(gateway) as client:
        client.chat("s", "one")
        client.chat("s", "two")
        assert ("hasMore" in history(client, limit=1)) is (gateway.profile.pages == "always")
        if gateway.profile.pages != "never":
            page = history(client, limit=1, offset=1)
            found = [text_of(message).removeprefix("echo: ") for message in page["messages"]]
            assert (found, page["hasMore"], page["nextOffset"], page["offset"]) == (["two"], True, 2, 1)


@pytest.mark.parametrize("release", RELEASES)
def test_an_aborted_run(release: str) -> None:
    """What agent events, agent.wait and the history tell of it."""
    with BlockingEmbeddedGateway(scripts.endless, release=release) as gateway, raw(gateway) as client:
        run_id = client.chat_send("agent:main:s", "go")
        client.follow(run_id, until=lambda events: events[-1]["state"] == "delta")
        client.request("chat.abort", {"sessionKey": "agent:main:s", "runId": run_id})
        ends = [
            event["payload"]["data"]
            for event in client.events
            if event["event"] == "agent" and event["payload"]["data"].get("phase") == "end"
        ]
        told = [(one["status"], one["aborted"], one["stopReason"]) for one in ends]
        assert told == ([("cancelled", True, "rpc")] if gateway.profile.protocol == 4 else [])
        waited = client.request("agent.wait", {"runId": run_id, "timeoutMs": 1})["status"]
        expected = {"2026.4.15": "ok", "2026.6.1": "ok", "2026.2.17": "timeout", "2026.5.12": "timeout"}
        assert waited == expected.get(release, "error")
        kept = [
            ("partial" if "openclawAbort" in row else row["stopReason"], text_of(row))
            for row in history(client)["messages"]
            if row["role"] == "assistant"
        ]
        partial, stopped = ("partial", "working"), ("aborted", "working")
        assert (
            kept
            == {
                "2026.2.17": [partial, stopped],
                "2026.4.15": [partial, stopped],
                "2026.5.12": [stopped, partial],
                "2026.6.1": [stopped],
                "2026.7.35": [partial],
                "2026.8.1": [partial, ("aborted", "")],
                "2026.9.6": [partial],
            }[release]
        )


@pytest.mark.parametrize("release", RELEASES)
def test_whether_a_command_is_written_down(release: str) -> None:
    with BlockingEmbeddedGateway(release=release) as gateway, raw(gateway) as client:
        client.chat("s", "/status")
        roles = [message["role"] for message in history(client)["messages"]]
        old = release in ("2026.2.17", "2026.4.15", "2026.5.12")
        assert roles == (["assistant"] if old else ["user", "assistant"])


@pytest.mark.parametrize("release", RELEASES)
def test_a_model_that_says_that_it_has_nothing_to_say(release: str) -> None:
    with BlockingEmbeddedGateway(scripts.says("NO_REPLY"), release=release) as gateway, raw(gateway) as client:
        run = client.chat("s", "hi")
        assert run.state == ("aborted" if release == "2026.9.6" else "final")
        assert "message" not in run.events[-1]
        # 2026.2.17 shows what the model said.
        rows = [(message["role"], text_of(message)) for message in history(client)["messages"]]
        assert rows[1:] == ([("assistant", "NO_REPLY")] if release == "2026.2.17" else [])


@pytest.mark.parametrize("release", [release for release in RELEASES if PROFILES[release].session_methods])
def test_the_row_of_a_silent_answer_is_told_on_2026_4_15(release: str) -> None:
    with BlockingEmbeddedGateway(scripts.says("NO_REPLY"), release=release) as gateway, raw(gateway) as client:
        client.request("sessions.messages.subscribe", {"key": "s"})
        client.request("agent.wait", {"runId": client.chat_send("s", "hi")})
        told = [event["payload"]["message"] for event in client.events if event["event"] == "session.message"]
        said = [text_of(message) for message in told if message["role"] == "assistant"]
        assert said == (["NO_REPLY"] if release == "2026.4.15" else [])


@pytest.mark.parametrize("release", RELEASES)
@pytest.mark.parametrize("answer", ["NO_REPLY", ""])
def test_a_model_without_an_answer_is_asked_once_more(release: str, answer: str) -> None:
    """Where that is no answer: on 2026.9.6, and on 2026.7.35 and 2026.8.1 if it said nothing at all."""
    again = release == "2026.9.6" or (release in ("2026.7.35", "2026.8.1") and not answer)
    answers = iter([answer, answer, answer, "at last"])

    async def agent(_turn: Turn) -> AsyncIterator[str]:
        yield next(answers)

    with BlockingEmbeddedGateway(agent, release=release, settle_time=0) as gateway, raw(gateway) as client:
        client.request("agent.wait", {"runId": client.chat_send("s", "hi")})
        data = [event["payload"]["data"] for event in client.events if event["event"] == "agent"]
        assert [one.get("phase") for one in data].count("start") == (2 if again else 1)
        assert client.chat("s", "again").text == ("at last" if again else "")


@pytest.mark.parametrize("release", RELEASES)
def test_the_kind_of_an_answer(release: str) -> None:
    with BlockingEmbeddedGateway(release=release) as gateway, raw(gateway) as client:
        run_id = client.chat_send("s", "hi")
        client.request("agent.wait", {"runId": run_id})
        data = [event["payload"]["data"] for event in client.events if event["event"] == "agent"]
        replies = [one["terminalReply"] for one in data if "terminalReply" in one]
        visible = {"disposition": "visible", "text": "echo: hi"}
        assert replies == ([visible] if release in ("2026.8.1", "2026.9.6") else [])


@pytest.mark.parametrize("release", RELEASES)
def test_the_end_of_the_agent_is_announced_from_2026_7_on(release: str) -> None:
    with BlockingEmbeddedGateway(release=release) as gateway, raw(gateway) as client:
        run_id = client.chat_send("s", "hi")
        client.request("agent.wait", {"runId": run_id})
        data = [event["payload"]["data"] for event in client.events if event["event"] == "agent"]
        ends = [one for one in data if one.get("phase") in ("finishing", "end")]
        if gateway.profile.lifecycle_details:
            assert [(one["phase"], one["aborted"]) for one in ends] == [("finishing", False), ("end", False)]
        else:
            assert [(one["phase"], "aborted" in one) for one in ends] == [("end", False)]


@pytest.mark.parametrize("release", [release for release in RELEASES if PROFILES[release].protocol == 4])
def test_agent_events_of_the_text(release: str) -> None:
    """Each piece of the model, or what is shown, and before the end what was not."""

    async def agent(_turn: Turn) -> AsyncIterator[str]:
        for piece in "abcd":
            yield piece

    with BlockingEmbeddedGateway(agent, release=release, throttle=60) as gateway, raw(gateway) as client:
        run_id = client.chat_send("s", "hi")
        client.request("agent.wait", {"runId": run_id})
        agents = [event for event in client.events if event["event"] == "agent"]
        told = [event["payload"]["data"]["delta"] for event in agents if event["payload"]["stream"] == "assistant"]
        assert told == (list("abcd") if release in ("2026.5.12", "2026.7.35") else ["a", "bcd"])
        assert [one["deltaText"] for one in chats(client, run_id) if one["state"] == "delta"] == ["a", "bcd"]


def test_the_details_of_a_protocol_mismatch() -> None:
    details = {}
    for release in ("2026.4.15", "2026.5.12", "2026.6.1", "2026.7.35"):
        with BlockingEmbeddedGateway(release=release) as gateway:
            details[release] = refused(gateway, protocols=(5, 5)).error["details"]
    code = {"code": "PROTOCOL_MISMATCH", "clientMinProtocol": 5, "clientMaxProtocol": 5}
    assert details == {
        "2026.4.15": {"expectedProtocol": 3},
        "2026.5.12": {"expectedProtocol": 4, "minimumProbeProtocol": 4},
        "2026.6.1": {**code, "expectedProtocol": 4, "minimumProbeProtocol": 4},
        "2026.7.35": {**code, "expectedProtocol": 4, "minimumProbeProtocol": 3},
    }


@pytest.mark.parametrize("release", RELEASES)
def test_what_the_list_of_sessions_counts(release: str) -> None:
    with BlockingEmbeddedGateway(release=release, settle_time=0) as gateway, raw(gateway) as client:
        client.chat("a", "hi")
        client.chat("b", "hi")
        listed = client.request("sessions.list", {"limit": 1})
        assert len(listed["sessions"]) == 1
        new = gateway.profile.protocol == 4
        assert (listed.get("totalCount"), listed["sessions"][0].get("hasActiveRun")) == (
            (2, False) if new else (None, None)
        )
