"""What the embedded gateway serves beside chat: bounds and ends that no real gateway shows in a test's time."""

from __future__ import annotations

import datetime
import time
from collections.abc import AsyncIterator

import pytest

from openclaw_client.testing import PROFILES, BlockingEmbeddedGateway, Turn, presence, usage
from openclaw_client.testing.families import tasks, upgrades
from openclaw_client.testing.presence import KEPT_MS, Presence
from openclaw_client.testing.scripts import says
from openclaw_client.testing.transcripts import Row, Transcript, assistant_extra, new_row
from tests.gateways.raw import RawClient, RawDevice, RawError
from tests.testing.helpers import CLI, connected

DAY = 86_400_000
"""Milliseconds."""
BROWSER = {"id": "webchat-ui", "version": "1", "platform": "linux", "mode": "webchat"}


# Who is there


def test_who_left_is_forgotten(monkeypatch: pytest.MonkeyPatch) -> None:
    now = 0
    monkeypatch.setattr(presence, "now_ms", lambda: now)
    rows = Presence(PROFILES["2026.9.6"])
    rows.entering("a", BROWSER, None, ())
    rows.left("a")
    now = KEPT_MS
    assert [row["reason"] for row in rows.rows()] == ["self", "disconnect"]
    now += 1
    assert [row["reason"] for row in rows.rows()] == ["self"]


def test_a_client_that_stays_is_listed_however_long(monkeypatch: pytest.MonkeyPatch) -> None:
    now = 0
    monkeypatch.setattr(presence, "now_ms", lambda: now)
    rows = Presence(PROFILES["2026.9.6"])
    rows.entering("a", BROWSER, None, ())
    now = 100 * KEPT_MS
    assert [row["reason"] for row in rows.rows()] == ["self", "connect"]


def test_so_many_are_listed_and_no_more(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(presence, "MAX_ROWS", 2)
    rows = Presence(PROFILES["2026.9.6"])
    for name in ("a", "b", "c"):
        rows.entering(name, {**BROWSER, "displayName": name}, None, ())
    assert [row["host"] for row in rows.rows()][1:] == ["c", "b"]


@pytest.mark.parametrize("release", PROFILES)
def test_each_release_leaves_out_its_own(release: str) -> None:
    rows = Presence(PROFILES[release])
    for mode in ("cli", "backend", "probe", "webchat"):
        rows.entering(mode, {**BROWSER, "mode": mode}, None, ())
    listed = [row["mode"] for row in reversed(rows.rows()[1:])]
    assert listed == ["webchat"] if release in ("2026.8.1", "2026.9.6") else ["backend", "probe", "webchat"]


# Usage


def said(role: str, at: int) -> Row:
    return new_row(role, "words", at, **(assistant_extra() if role == "assistant" else {}))


def test_days_are_counted_apart() -> None:
    rows = [said("user", 0), said("assistant", DAY - 1), said("user", DAY), said("assistant", DAY)]
    session = Transcript("s", "id", 0, 0, rows=rows)
    used = usage.session_usage(session, rows)
    assert used is not None
    assert used["activityDates"] == ["1970-01-01", "1970-01-02"]
    assert [(one["date"], one["totalTokens"]) for one in used["dailyBreakdown"]] == [
        ("1970-01-01", 2),
        ("1970-01-02", 2),
    ]
    assert (used["durationMs"], used["messageCounts"]["total"]) == (DAY, 4)


def test_a_tool_call_is_a_message_and_a_call() -> None:
    call = new_row("assistant", "", 0, **{**assistant_extra(), "stopReason": "toolUse"})
    failed = new_row("assistant", "", 0, **{**assistant_extra(), "stopReason": "error"})
    counts = usage.messages([said("user", 0), call, said("toolResult", 0), failed])
    assert counts == {"total": 3, "user": 1, "assistant": 2, "toolCalls": 1, "toolResults": 1, "errors": 1}


def test_only_the_days_that_are_asked_for_count() -> None:
    with BlockingEmbeddedGateway(says("one")) as gateway, connected(gateway) as client:
        client.chat("s", "x")
        before = {"startDate": "2020-01-01", "endDate": "2020-01-31"}
        answer = client.request("sessions.usage", before)
        assert (answer["startDate"], answer["endDate"]) == ("2020-01-01", "2020-01-31")
        assert ([one["usage"] for one in answer["sessions"]], answer["totals"]["totalTokens"]) == ([None], 0)
        assert client.request("sessions.usage", {"range": "7d"})["totals"]["totalTokens"] == 2
        today = datetime.datetime.now(datetime.UTC).date().isoformat()
        cost = client.request("usage.cost", {"days": 2})
        assert (len(cost["daily"]), cost["daily"][-1]["date"], cost["totals"]["totalTokens"]) == (2, today, 2)
        with pytest.raises(RawError, match="Invalid isoformat string"):
            client.request("sessions.usage", {"startDate": "yesterday"})


def test_no_answer_is_longer_than_ten_years() -> None:
    with BlockingEmbeddedGateway() as gateway, connected(gateway) as client:
        assert len(client.request("usage.cost", {"days": 10_000_000})["daily"]) == 3_660


# Tasks


def agent_runs(client: RawClient, *idents: str) -> None:
    """Ask for runs, and wait for their ends."""
    for ident in idents:
        params = {"message": "x", "sessionKey": ident, "idempotencyKey": ident}
        client.send({"type": "req", "id": ident, "method": "agent", "params": params})
        while client.next_event("task")["payload"]["task"]["status"] == "running":
            pass


def test_the_oldest_tasks_are_forgotten(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tasks, "KEPT_TASKS", 2)
    with BlockingEmbeddedGateway(says("one")) as gateway, connected(gateway) as client:
        agent_runs(client, "a", "b", "c")
        assert [one["runId"] for one in client.request("tasks.list")["tasks"]] == ["c", "b"]
        assert [one["runId"] for one in client.request("tasks.list", {"limit": 1})["tasks"]] == ["c"]
        assert client.request("tasks.list", {"status": "running"}) == {"tasks": []}


# Scope upgrades


def test_a_request_that_is_forgotten_is_told_so(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(upgrades, "MAX_UPGRADES", 1)
    reader = {**CLI, "scopes": ("operator.read",)}
    wanted = {"scopes": ["operator.write"]}
    ask = "device.scopes.requestUpgrade"
    with BlockingEmbeddedGateway() as gateway, connected(gateway, device=RawDevice(), **reader) as first:
        ident = first.request(ask, wanted)["requestId"]
        params = {"requestId": ident}
        first.send({"type": "req", "id": "wait", "method": "device.scopes.waitUpgrade", "params": params})
        first.request("health")
        with connected(gateway, device=RawDevice(), **reader) as second:
            second.request(ask, wanted)
        answer = None
        while answer is None or answer["id"] != "wait":
            answer = first._receive(time.monotonic() + 10)
        assert answer["error"]["message"] == "scope upgrade expired or not found"
        with pytest.raises(RawError, match="expired or not found"):
            first.request("device.scopes.waitUpgrade", params)


def test_the_gateway_of_a_test_decides_as_well() -> None:
    reader = {**CLI, "scopes": ("operator.read",)}
    with BlockingEmbeddedGateway() as gateway, connected(gateway, device=RawDevice(), **reader) as client:
        ident = client.request("device.scopes.requestUpgrade", {"scopes": ["operator.admin"]})["requestId"]
        params = {"requestId": ident}
        client.send({"type": "req", "id": "wait", "method": "device.scopes.waitUpgrade", "params": params})
        client.request("health")
        gateway.approve()
        answer = None
        while answer is None or answer["id"] != "wait":
            answer = client._receive(time.monotonic() + 10)
        assert answer["payload"]["status"] == "approved"


def test_without_a_device_there_is_nothing_to_widen() -> None:
    with (
        BlockingEmbeddedGateway() as gateway,
        connected(gateway, device=None) as client,
        pytest.raises(RawError, match="requires a paired browser identity"),
    ):
        client.request("device.scopes.requestUpgrade", {"scopes": ["operator.admin"]})


# Compaction


def test_a_session_goes_on_behind_a_compaction() -> None:
    heard: list[list[dict[str, str]]] = []

    async def agent(turn: Turn) -> AsyncIterator[str]:
        heard.append(turn.history)
        yield "one"

    with BlockingEmbeddedGateway(agent) as gateway, connected(gateway) as client:
        client.chat("s", "first")
        assert client.request("sessions.compact", {"key": "s"})["compacted"]
        client.chat("s", "second")
        rows = client.request("chat.history", {"sessionKey": "s"})["messages"]
        assert [row["role"] for row in rows] == ["user", "assistant", "system", "user", "assistant"]
        assert client.request("sessions.compact", {"key": "s"})["compacted"]
    assert [one["text"] for one in heard[-1]] == ["first", "one", "Compaction", "second"]
