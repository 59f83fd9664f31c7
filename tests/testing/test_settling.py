"""A session that stays busy behind the final of a run: what becomes of a message that comes in that time."""

from __future__ import annotations

from typing import Any

import pytest

from openclaw_client.testing import PROFILES, BlockingEmbeddedGateway, scripts
from tests.gateways.raw import RawClient
from tests.testing.helpers import RELEASES, raw, text_of

SETTLING = [release for release in RELEASES if PROFILES[release].settle_time]
AT_ONCE = [release for release in RELEASES if not PROFILES[release].settle_time]
LONG = 600.0
"""Seconds: longer than any test, so that what is seen is seen while the session settles."""


def history(client: RawClient, **params: Any) -> dict[str, Any]:
    return client.request("chat.history", {"sessionKey": "s", **params})


def phases(client: RawClient, until: str) -> dict[str, list[str]]:
    """The lifecycle phases that were told of each run until one of them has a final with this text."""
    told: dict[str, list[str]] = {}
    while True:
        event = client.next_event()
        payload = event["payload"]
        if event["event"] == "agent" and payload["stream"] == "lifecycle":
            told.setdefault(payload["runId"], []).append(payload["data"]["phase"])
        if event["event"] == "chat" and payload["state"] == "final" and text_of(payload.get("message")) == until:
            return told


def test_the_releases_that_do() -> None:
    assert SETTLING == ["2026.5.12", "2026.7.35"]


@pytest.mark.parametrize("release", SETTLING)
def test_a_message_right_behind_a_final_is_answered_later(release: str) -> None:
    with BlockingEmbeddedGateway(release=release) as gateway, raw(gateway) as client:
        assert client.chat("s", "one").text == "echo: one"
        second = client.chat("s", "two")
        assert (second.state, "message" in second.events[-1]) == ("final", False)
        told = phases(client, "echo: two")
        # The message itself never began; what answers it did.
        assert second.run_id not in told
        [answering] = told
        assert (told[answering][0], told[answering][-1]) == ("start", "end")
        *_, user, answer = history(client)["messages"]
        assert (text_of(user), text_of(answer)) == ("two", "echo: two")
        keyed = release == "2026.7.35"
        assert user.get("idempotencyKey") == (f"{second.run_id}:user" if keyed else None)
        assert "runId" not in answer["__openclaw"]


@pytest.mark.parametrize("release", AT_ONCE)
def test_the_others_answer_at_once(release: str) -> None:
    with BlockingEmbeddedGateway(release=release) as gateway, raw(gateway) as client:
        assert [client.chat("s", text).text for text in "abc"] == ["echo: a", "echo: b", "echo: c"]


def test_the_time_is_an_option_and_may_be_changed() -> None:
    with BlockingEmbeddedGateway(release="2026.5.12", settle_time=0) as gateway, raw(gateway) as client:
        assert [client.chat("s", text).text for text in "abc"] == ["echo: a", "echo: b", "echo: c"]
        gateway.settle_time = LONG
        assert gateway.settle_time == LONG
        assert client.chat("s", "d").text == "echo: d"
        assert client.chat("s", "e").text == ""
        assert client.chat("other", "f").text == "echo: f"


def test_the_time_outlives_a_restart() -> None:
    with BlockingEmbeddedGateway(release="2026.5.12", settle_time=LONG) as gateway:
        gateway.restart()
        with raw(gateway) as client:
            assert [client.chat("s", text).text for text in "ab"] == ["echo: a", ""]


@pytest.mark.parametrize("mode", ["steer", "followup", "collect", "interrupt"])
@pytest.mark.parametrize("release", ["2026.5.12", "2026.7.35", "2026.8.1", "2026.9.6"])
def test_no_message_is_lost_whatever_the_mode(release: str, mode: Any) -> None:
    options: dict[str, Any] = {"release": release, "busy": mode, "settle_time": 0.05}
    with BlockingEmbeddedGateway(**options) as gateway, raw(gateway) as client:
        client.chat("s", "one")
        assert [client.chat("s", text).text for text in ("two", "three")] == ["", ""]
        while gateway.active_runs:
            client.request("health")
        answers = " ".join(text_of(row) for row in history(client)["messages"] if row["role"] == "assistant")
        assert "two" in answers
        assert "three" in answers


def test_what_chat_history_says_meanwhile() -> None:
    said: dict[str, Any] = {}
    for release in ("2026.5.12", "2026.7.35", "2026.8.1", "2026.9.6"):
        with BlockingEmbeddedGateway(release=release, settle_time=LONG) as gateway, raw(gateway) as client:
            client.chat("s", "one")
            client.chat("s", "two")
            page = history(client)
            info = page.get("sessionInfo", {})
            waiting = [
                (item["state"], item["message"]["content"]) for item in page.get("pendingInputs", {}).get("items", [])
            ]
            said[release] = (info.get("hasActiveRun"), info.get("activeRunIds"), waiting, "inFlightRun" in page)
    assert said == {
        "2026.5.12": (None, None, [], False),
        "2026.7.35": (True, [], [], False),
        "2026.8.1": (True, None, [], False),
        "2026.9.6": (True, None, [("queued", "two")], False),
    }


def test_right_behind_a_final_a_settling_session_says_that_it_is_busy() -> None:
    with BlockingEmbeddedGateway(release="2026.7.35", settle_time=LONG) as gateway, raw(gateway) as client:
        client.request("sessions.subscribe")
        client.chat("s", "one")
        info = history(client)["sessionInfo"]
        assert (info["hasActiveRun"], info["activeRunIds"]) == (True, [])
        assert client.request("sessions.list")["sessions"][0]["hasActiveRun"] is True
        while (changed := client.next_event("sessions.changed")["payload"])["phase"] != "end":
            pass
        assert (changed["hasActiveRun"], changed["activeRunIds"]) == (True, [])


def test_an_idle_session_says_so() -> None:
    for release in ("2026.7.35", "2026.8.1", "2026.9.6"):
        with BlockingEmbeddedGateway(release=release, settle_time=0) as gateway, raw(gateway) as client:
            client.chat("s", "one")
            info = history(client)["sessionInfo"]
            assert (info["hasActiveRun"], info["activeRunIds"]) == (False, [])


@pytest.mark.parametrize("release", RELEASES)
def test_the_order_at_the_end_of_a_run(release: str) -> None:
    """The row of the answer, the end of the agent, the final, the change of the session."""
    with (
        BlockingEmbeddedGateway(scripts.says("one"), release=release, settle_time=0) as gateway,
        raw(gateway) as client,
    ):
        if gateway.profile.session_methods:
            client.request("sessions.subscribe")
            client.request("sessions.messages.subscribe", {"key": "s"})
        run_id = client.chat_send("s", "go")
        client.request("agent.wait", {"runId": run_id})
        client.request("health")
        order = []
        for event in client.events:
            payload = event["payload"]
            if event["event"] == "session.message" and payload["message"]["role"] == "assistant":
                order.append("row")
            elif event["event"] == "agent" and payload["data"].get("phase") in ("start", "end"):
                order.append(payload["data"]["phase"])
            elif event["event"] == "chat" and payload["state"] == "final":
                order.append("final")
            elif event["event"] == "sessions.changed" and "phase" in payload:
                order.append(f"changed: {payload['phase']}")
        whole = ["start", "changed: start", "row", "end", "final", "changed: end"]
        assert order == (whole if gateway.profile.session_methods else ["start", "end", "final"])


@pytest.mark.parametrize("release", [release for release in RELEASES if PROFILES[release].session_methods])
def test_the_row_of_an_answer_tells_what_it_cost(release: str) -> None:
    with BlockingEmbeddedGateway(release=release) as gateway, raw(gateway) as client:
        client.request("sessions.messages.subscribe", {"key": "s"})
        run = client.chat_send("s", "hi")
        while (row := client.next_event("session.message")["payload"]["message"])["role"] != "assistant":
            pass
        assert (row["provider"], row["model"], row["stopReason"]) == ("embedded", "embedded-1", "stop")
        assert row["usage"]["totalTokens"] == 2
        assert row["usage"]["cost"] == {"total": 0}
        named = {"runId": run} if gateway.profile.rows_name_runs else {}
        assert {**row["__openclaw"], "id": ""} == {**named, "id": "", "seq": 2}
        final = client.follow(run).events[-1]
        assert "usage" not in final["message"]


@pytest.mark.parametrize("release", RELEASES)
def test_when_rows_are_written(release: str) -> None:
    """The first run of a session is written down when the model has answered, on releases before 2026.8; a later one as
    it comes."""
    agent = scripts.gated(["a", "b"])
    with BlockingEmbeddedGateway(agent, release=release, throttle=0, settle_time=0) as gateway, raw(gateway) as client:
        seen = []
        for text in ("one", "two"):
            run_id = client.chat_send("s", text)
            client.follow(run_id, until=lambda events: events[-1]["state"] == "delta")
            seen.append(len(history(client)["messages"]))
            gateway.release(run_id)
            client.follow(run_id)
        assert seen == [1 if gateway.profile.rows_at_once else 0, 3]


@pytest.mark.parametrize("release", RELEASES)
def test_a_silent_answer_begins_and_ends(release: str) -> None:
    with BlockingEmbeddedGateway(scripts.silent, release=release) as gateway, raw(gateway) as client:
        run_id = client.chat_send("s", "hi")
        told = phases(client, "")
        assert (told[run_id][0], told[run_id][-1]) == ("start", "end")
        # The model has spoken, and said nothing: what it was asked is written down.
        assert [message["role"] for message in history(client)["messages"]] == ["user"]
