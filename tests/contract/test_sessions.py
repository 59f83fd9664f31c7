"""sessions.create, patch, delete, describe, resolve and preview, and who is told."""

from __future__ import annotations

import time
from collections.abc import Iterator
from typing import Any

import pytest

from tests.contract.targets import Target
from tests.gateways.raw import Frame, RawClient, RawError

pytestmark = pytest.mark.release("2026.9.6")
"""The release whose answers are known."""

WAIT = 30.0
"""Seconds for an event that a real gateway sends within one."""


@pytest.fixture
def client(target: Target) -> Iterator[RawClient]:
    with RawClient(url=target.url, token=target.token) as client:
        client.request("sessions.subscribe")
        yield client


def told(client: RawClient, key: str, reason: str) -> Frame:
    """The next event of this kind about a session."""
    deadline = time.monotonic() + WAIT
    while True:
        payload: Frame = client.next_event("sessions.changed", timeout=deadline - time.monotonic())["payload"]
        if (payload.get("sessionKey"), payload.get("reason")) == (key, reason):
            return payload


def refusal(client: RawClient, method: str, **params: Any) -> str:
    with pytest.raises(RawError) as refused:
        client.request(method, params)
    error = refused.value.response["error"]
    assert error["code"] == "INVALID_REQUEST"
    return str(error["message"])


def test_a_session_is_made_without_a_message(client: RawClient, session: str) -> None:
    key = f"agent:main:{session}"
    made = client.request("sessions.create", {"key": session, "label": f"label {session}"})
    assert (made["ok"], made["key"], made["runStarted"]) == (True, key, False)
    assert {"modelProvider", "model"} <= made["resolved"].keys()
    entry = made["entry"]
    assert (entry["sessionId"], entry["label"], entry["createdVia"]) == (
        made["sessionId"],
        f"label {session}",
        "operator",
    )
    event = told(client, key, "create")
    assert (event["sessionId"], event["session"]["label"]) == (made["sessionId"], f"label {session}")
    row = client.request("sessions.describe", {"key": session})["session"]
    expected = {"key": key, "sessionId": made["sessionId"], "displayName": f"label {session}", "agentId": "main"}
    expected |= {"kind": "direct", "isMain": False, "archived": False, "pinned": False, "unread": False}
    assert {name: row[name] for name in expected} == expected
    assert key in {one["key"] for one in client.request("sessions.list")["sessions"]}
    assert client.request("sessions.create", {"key": session})["sessionId"] == made["sessionId"]


def test_one_without_a_key_gets_one(client: RawClient) -> None:
    made = client.request("sessions.create")
    assert made["key"].startswith("agent:main:dashboard:")
    client.request("sessions.delete", {"key": made["key"]})


def test_one_with_a_message_starts_a_run(client: RawClient, session: str) -> None:
    made = client.request("sessions.create", {"key": session, "message": "stub:echo at once"})
    assert (made["runStarted"], made["status"]) == (True, "started")
    assert client.follow(made["runId"]).text == "echo: at once"


def test_settings_are_kept_until_they_are_taken_back(client: RawClient, session: str) -> None:
    key = f"agent:main:{session}"
    set_to = {"label": f"of {session}", "category": "work", "verboseLevel": "on", "fastMode": True}
    patched = client.request("sessions.patch", {"key": session, "pinned": True, "unread": True, **set_to})
    assert (patched["ok"], patched["key"]) == (True, key)
    assert {name: patched["entry"][name] for name in set_to} == set_to
    assert {"pinnedAt", "markedUnreadAt"} <= patched["entry"].keys()
    assert told(client, key, "patch")["session"]["pinned"] is True
    row = client.request("sessions.describe", {"key": session})["session"]
    assert (row["pinned"], row["unread"], row["effectiveFastMode"], row["category"]) == (True, True, True, "work")
    back = {"label": None, "category": None, "verboseLevel": None, "pinned": False, "unread": False}
    entry = client.request("sessions.patch", {"key": session, **back})["entry"]
    assert not {"label", "category", "verboseLevel", "pinnedAt", "markedUnreadAt"} & entry.keys()


def test_what_is_refused(client: RawClient, session: str) -> None:
    client.request("sessions.create", {"key": session, "label": f"mine {session}"})
    other = f"{session}-other"
    client.request("sessions.create", {"key": other})
    taken = f"label already in use: mine {session}"
    assert refusal(client, "sessions.create", key=f"{session}-third", label=f"mine {session}") == taken
    assert refusal(client, "sessions.patch", key=other, label=f"mine {session}") == taken
    assert refusal(client, "sessions.create", key=other, agentId="nobody") == 'Unknown agent id "nobody"'
    assert refusal(client, "sessions.create", parentSessionKey="no-parent") == "unknown parent session: no-parent"
    assert "Unknown provider" in refusal(client, "sessions.patch", key=other, model="no-such-provider/x")
    assert "is not supported for" in refusal(client, "sessions.patch", key=other, thinkingLevel="high")
    lifecycle = f"expectedSessionId required for session lifecycle patch: agent:main:{other}"
    assert refusal(client, "sessions.patch", key=other, archived=True) == lifecycle
    changed = f"Session {other} changed before patch. Retry."
    assert refusal(client, "sessions.patch", key=other, label="x", expectedSessionId="wrong") == changed
    changed = f"Session {other} changed before deletion. Retry."
    assert refusal(client, "sessions.delete", key=other, expectedSessionId="wrong") == changed
    main = "Cannot delete the main session (agent:main:main)."
    assert refusal(client, "sessions.delete", key="main") == main
    for method in ("sessions.patch", "sessions.delete", "sessions.describe"):
        assert refusal(client, method) == f"invalid {method} params: must have required property 'key'"
        unknown = f"invalid {method} params: at root: unexpected property 'nope'"
        assert refusal(client, method, key=other, nope=1) == unknown


def test_a_deleted_session_is_gone_and_told_of(client: RawClient, session: str) -> None:
    key = f"agent:main:{session}"
    client.chat(session, "stub:echo something")
    deleted = client.request("sessions.delete", {"key": session})
    assert (deleted["ok"], deleted["key"], deleted["deleted"], len(deleted["archived"])) == (True, key, True, 1)
    assert "session" not in told(client, key, "delete")
    assert client.request("chat.history", {"sessionKey": session})["messages"] == []
    assert client.request("sessions.describe", {"key": session}) == {"session": None}
    again = client.request("sessions.delete", {"key": session})
    assert again == {"ok": True, "key": key, "deleted": False, "archived": []}


def test_a_run_of_a_deleted_session_ends_without_an_event(client: RawClient, session: str) -> None:
    run_id = client.chat_send(session, "stub:slow 40 100")
    client.follow(run_id, until=lambda seen: seen[-1]["state"] == "delta")
    assert client.request("sessions.delete", {"key": session}, timeout=WAIT)["deleted"] is True
    client.chat(f"{session}-next", "stub:echo later")
    ends = [event["payload"] for event in client.events if event["event"] == "chat"]
    assert [end["state"] for end in ends if end["runId"] == run_id and end["state"] != "delta"] == []
    assert client.request("agent.wait", {"runId": run_id, "timeoutMs": 1000})["status"] == "error"


def test_a_session_is_found_by_each_of_its_names(client: RawClient, session: str) -> None:
    key, label = f"agent:main:{session}", f"found {session}"
    made = client.request("sessions.create", {"key": session, "label": label})
    found = {"ok": True, "key": key, "agentId": "main"}
    for way in ({"key": session}, {"key": key}, {"label": label}, {"sessionId": made["sessionId"]}):
        assert client.request("sessions.resolve", way) == found
    assert refusal(client, "sessions.resolve", key="never-was") == "No session found: never-was"
    assert refusal(client, "sessions.resolve", label="never") == "No session found with label: never"
    assert client.request("sessions.resolve", {"key": "never-was", "allowMissing": True}) == {"ok": False}
    ways = "key, sessionId, label, shortId, or reference"
    assert refusal(client, "sessions.resolve") == f"Either {ways} is required"
    assert refusal(client, "sessions.resolve", key=session, label=label) == f"Provide either {ways} (not multiple)"


def test_previews_show_the_last_words(client: RawClient, session: str) -> None:
    client.request("sessions.create", {"key": f"{session}-empty"})
    client.chat(session, "stub:echo one")
    client.chat(session, "stub:echo two")
    keys = [session, f"{session}-empty", "never-was"]
    previews = client.request("sessions.preview", {"keys": keys, "limit": 3})["previews"]
    assert [(one["key"], one["status"]) for one in previews] == list(zip(keys, ("ok", "empty", "missing"), strict=True))
    assert previews[0]["items"] == [
        {"role": "assistant", "text": "echo: one"},
        {"role": "user", "text": "stub:echo two"},
        {"role": "assistant", "text": "echo: two"},
    ]
    few = "invalid sessions.preview params: at /keys: must not have fewer than 1 items"
    assert refusal(client, "sessions.preview", keys=[]) == few
    assert refusal(client, "sessions.preview", keys=[session], maxChars=5).endswith("at /maxChars: must be >= 20")


def test_a_row_tells_of_its_last_run(client: RawClient, session: str) -> None:
    run = client.chat(session, "stub:echo here")
    asked = {"key": session, "includeDerivedTitles": True, "includeLastMessage": True}
    deadline = time.monotonic() + WAIT
    row = client.request("sessions.describe", asked)["session"]
    # Written behind the final, and read from the disk.
    while (row.get("lastRunId"), row["lastMessagePreview"]) != (
        run.run_id,
        "echo: here",
    ) and time.monotonic() < deadline:
        row = client.request("sessions.describe", asked)["session"]
    assert (row["status"], row["lastRunId"], row["lastMessagePreview"]) == ("done", run.run_id, "echo: here")
    assert row["endedAt"] - row["startedAt"] == row["runtimeMs"]
