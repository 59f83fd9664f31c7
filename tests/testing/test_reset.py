"""sessions.reset: what is left of a session, and how the run ends that it meets."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import pytest

from openclaw_client.testing import BlockingEmbeddedGateway, Turn
from tests.gateways.raw import RawError, text_of
from tests.testing.helpers import RELEASES, chats, connected, raw

KEY = "agent:main:s"


def history(client: Any) -> Any:
    return client.request("chat.history", {"sessionKey": "s"})


@pytest.mark.parametrize("release", RELEASES)
def test_a_session_that_is_begun_anew(release: str) -> None:
    asked: list[str] = []

    async def agent(turn: Turn) -> AsyncIterator[str]:
        asked.append(turn.message)
        yield "said"

    with BlockingEmbeddedGateway(agent, release=release) as gateway, raw(gateway) as client:
        run_id = client.chat_send("s", "hi", idempotencyKey="key")
        client.follow(run_id)
        before = history(client)
        reset = client.request("sessions.reset", {"key": KEY})
        after = history(client)
        keeps = release in ("2026.8.1", "2026.9.6")
        assert (reset["ok"], reset["key"], reset["entry"]["sessionId"]) == (True, KEY, after["sessionId"])
        assert (after["sessionId"] == before["sessionId"]) is keeps
        rows = [(row["role"], text_of(row)) for row in after["messages"]]
        assert rows == ([("system", "Reset")] if keeps else [])
        # Its keys are still known.
        assert (
            client.request("chat.send", {"sessionKey": "s", "message": "hi", "idempotencyKey": "key"})["status"] == "ok"
        )
        assert asked == ["hi"]
        assert "sessions.reset" in client.hello["features"]["methods"]


@pytest.mark.parametrize("release", RELEASES)
def test_only_administrators_begin_a_session_anew(release: str) -> None:
    scopes = ["operator.read", "operator.write"]
    with BlockingEmbeddedGateway(release=release) as gateway:
        client = connected(gateway, scopes=scopes)
        with pytest.raises(RawError, match=r"missing scope: operator\.admin"):
            client.request("sessions.reset", {"key": KEY})
        client.close()


ENDS = {
    "2026.2.17": [],
    "2026.4.15": [],
    "2026.5.12": [("final", "so far")],
    "2026.6.1": [("final", "so far")],
    "2026.7.35": [("aborted", "so far")],
    "2026.8.1": [("aborted", "so far")],
    "2026.9.6": [("aborted", "so far")],
}
"""The last chat event of a run that a reset meets."""


@pytest.mark.parametrize("release", RELEASES)
def test_a_run_whose_session_is_begun_anew(release: str) -> None:
    async def agent(turn: Turn) -> AsyncIterator[str]:
        yield "so far" if turn.message == "one" else "anew"
        if turn.message == "one":
            await turn.gate.wait()

    gateway = BlockingEmbeddedGateway(agent, release=release, throttle=0)
    with gateway, raw(gateway) as client:
        first = client.chat_send("s", "one")
        while client.next_event("chat")["payload"]["state"] != "delta":
            pass
        client.chat_send("s", "two")
        client.request("health")
        client.events.clear()
        client.request("sessions.reset", {"key": KEY})
        assert gateway.active_runs == []
        ends = [event for event in chats(client, first) if event["state"] != "delta"]
        assert [(event["state"], text_of(event["message"])) for event in ends] == ENDS[release]
        lifecycle = [event["payload"]["data"] for event in client.events if event["event"] == "agent"]
        told = [one for one in lifecycle if one.get("phase") == "end"]
        assert len(told) == (1 if ENDS[release] else 0)
        assert all(one.get("aborted", False) is (release != "2026.6.1") for one in told)
        # What waited for it is gone, too, and the session is none the worse.
        assert client.chat("s", "three").text == "anew"
        rows = [text_of(row) for row in history(client)["messages"] if row["role"] == "assistant"]
        assert rows == ["anew"]
