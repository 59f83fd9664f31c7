"""What is done to a session and what it took, by raw frames: compaction, usage, tasks, and who hears of them."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from uuid import uuid4

import pytest

from tests.contract.filing import refused
from tests.contract.targets import Target
from tests.gateways.raw import Frame, RawClient

pytestmark = pytest.mark.release("2026.9.6")
"""The release whose answers are known."""

PATIENCE = 30.0
"""Seconds for what a real gateway does in a few."""


class Follower:
    """A connection that follows the list of sessions, and every event that it got."""

    def __init__(self, target: Target) -> None:
        self.heard: list[tuple[str, Frame]] = []
        self.client = RawClient(url=target.url, token=target.token, on_frame=self._saw)

    def _saw(self, way: str, frame: Frame) -> None:
        if way == "received" and frame["type"] == "event":
            self.heard.append((frame["event"], frame["payload"]))

    def call(self, method: str, **params: object) -> Frame:
        return self.client.request(method, params)

    def until(self, event: str, fits: Callable[[Frame], bool], count: int = 1) -> list[Frame]:
        """The payloads of the first so many events of this name that fit."""
        deadline = time.monotonic() + PATIENCE
        while len(found := [payload for name, payload in self.heard if name == event and fits(payload)]) < count:
            self.client._receive(deadline)
        return found


@pytest.fixture
def follower(target: Target) -> Iterator[Follower]:
    follower = Follower(target)
    with follower.client:
        follower.call("sessions.subscribe")
        yield follower


# sessions.compact


def test_a_compaction_leaves_a_mark_and_is_told(follower: Follower, session: str) -> None:
    key = f"agent:main:{session}"
    follower.client.chat(session, "stub:echo hello there")
    answer = follower.call("sessions.compact", key=session)
    assert (answer["ok"], answer["key"], answer["compacted"]) == (True, key, True)
    assert answer["result"].keys() == {"summary", "firstKeptEntryId", "tokensBefore", "details"}
    rows = follower.call("chat.history", sessionKey=session)["messages"]
    assert [row["role"] for row in rows] == ["user", "assistant", "system"]
    mark = rows[-1]["__openclaw"]
    assert (rows[-1]["content"][0]["text"], mark["kind"]) == ("Compaction", "compaction")
    assert {"tokensBefore", "tokensAfter", "itemId", "runId"} <= mark.keys()
    start, end = follower.until("session.operation", lambda payload: payload["sessionKey"] == key, count=2)
    assert (start["operation"], start["phase"], end["phase"], end["completed"]) == ("compact", "start", "end", True)
    assert start["operationId"] == end["operationId"]
    (changed,) = follower.until("sessions.changed", lambda one: one.get("reason") == "compact")
    assert (changed["sessionKey"], changed["compacted"]) == (key, True)


def test_what_is_compacted_is_not_compacted_again(follower: Follower, session: str) -> None:
    follower.client.chat(session, "stub:echo hello there")
    follower.call("sessions.compact", key=session)
    again = follower.call("sessions.compact", key=session)
    refusal = {"ok": False, "key": f"agent:main:{session}", "compacted": False, "reason": "Already compacted"}
    assert again == refusal


def test_cutting_to_the_last_lines(follower: Follower, session: str) -> None:
    for word in ("one", "two", "three"):
        follower.client.chat(session, f"stub:echo {word}")
        time.sleep(0.3)
    answer = follower.call("sessions.compact", key=session, maxLines=3)
    assert answer == {"ok": True, "key": f"agent:main:{session}", "compacted": True, "kept": 3}
    rows = follower.call("chat.history", sessionKey=session)["messages"]
    assert [row["role"] for row in rows] == ["user", "assistant"]
    assert rows[-1]["content"][0]["text"] == "echo: three"
    enough = follower.call("sessions.compact", key=session, maxLines=1000)
    assert (enough["ok"], enough["compacted"], type(enough["kept"])) == (True, False, int)


def test_a_session_that_is_not_there_is_not_compacted(follower: Follower, session: str) -> None:
    answer = follower.call("sessions.compact", key=session)
    assert answer == {"ok": True, "key": f"agent:main:{session}", "compacted": False, "reason": "no sessionId"}


def test_a_session_in_which_nothing_was_said_is_too_small(follower: Follower, session: str) -> None:
    run_id = follower.client.chat_send(session, "stub:slow 10 300")
    follower.until("chat", lambda one: one["runId"] == run_id and one["state"] == "delta")
    answer = follower.call("sessions.compact", key=session)
    assert (answer["ok"], answer["reason"]) == (False, "Nothing to compact (session too small)")
    error = refused(follower.client, "sessions.compact", {"key": session, "maxLines": 1})
    assert error["message"] == f"Session {session} has an active run; retry after it finishes."
    follower.call("chat.abort", sessionKey=session, runId=run_id)


@pytest.mark.parametrize(
    ("params", "message"),
    [
        ({}, "must have required property 'key'"),
        ({"key": "s", "maxLines": 0}, "at /maxLines: must be >= 1"),
        ({"key": "s", "x": 1}, "at root: unexpected property 'x'"),
    ],
)
def test_parameters_of_a_compaction(follower: Follower, params: Frame, message: str) -> None:
    error = refused(follower.client, "sessions.compact", params)
    assert (error["code"], error["message"]) == ("INVALID_REQUEST", f"invalid sessions.compact params: {message}")


# usage


def test_what_a_session_took(follower: Follower, session: str) -> None:
    key = f"agent:main:{session}"
    follower.client.chat(session, "stub:echo hello there")
    deadline = time.monotonic() + PATIENCE
    # Counted behind the first question.
    while not (answer := follower.call("sessions.usage", key=key))["sessions"][0]["usage"]:
        assert time.monotonic() < deadline
        time.sleep(0.3)
    (entry,) = answer["sessions"]
    assert (entry["key"], entry["agentId"], entry["scope"]) == (key, "main", "instance")
    used = entry["usage"]
    assert (used["input"], used["output"], used["totalTokens"], used["totalCost"]) == (1, 1, 2, 0)
    counts = {"total": 2, "user": 1, "assistant": 1, "toolCalls": 0, "toolResults": 0, "errors": 0}
    assert used["messageCounts"] == counts == answer["aggregates"]["messages"]
    assert [(one["count"], one["totals"]["totalTokens"]) for one in used["modelUsage"]] == [(1, 2)]
    assert (answer["totals"]["totalTokens"], answer["aggregates"]["sessionCount"]) == (2, 1)
    names = ("byModel", "byProvider", "byAgent", "byCreator", "costDaily", "modelDaily", "daily")
    assert [len(answer["aggregates"][name]) for name in names] == [1] * len(names)
    assert answer["startDate"] < answer["endDate"]


def test_a_session_over_time_and_word_by_word(follower: Follower, session: str) -> None:
    key = f"agent:main:{session}"
    follower.client.chat(session, "stub:echo hello there")
    series = follower.call("sessions.usage.timeseries", key=key)
    (point,) = series["points"]
    assert (point["totalTokens"], point["cumulativeTokens"], point["cost"]) == (2, 2, 0)
    asked, said = follower.call("sessions.usage.logs", key=key)["logs"]
    assert (asked["role"], asked["content"]) == ("user", "stub:echo hello there")
    assert (said["content"], said["tokens"], said["cost"]) == ("echo: hello there", 2, 0)


def test_usage_of_what_is_not_there(follower: Follower, session: str) -> None:
    assert follower.call("sessions.usage", key=session)["sessions"] == []
    assert follower.call("sessions.usage.logs", key=session) == {"logs": []}
    error = refused(follower.client, "sessions.usage.timeseries", {"key": session})
    assert error["message"] == f"No transcript found for session: {session}"
    for what in ("timeseries", "logs"):
        error = refused(follower.client, f"sessions.usage.{what}", {})
        assert (error["code"], error["message"]) == ("INVALID_REQUEST", f"key is required for {what}")


# tasks


def test_a_run_of_the_method_agent_is_a_task(follower: Follower, session: str) -> None:
    ident, key = uuid4().hex, f"agent:main:{session}"
    params = {"message": "stub:echo hello", "sessionKey": session, "idempotencyKey": ident}
    follower.client.send({"type": "req", "id": "a", "method": "agent", "params": params})
    mine = follower.until("task", lambda one: one["task"]["runId"] == ident and one["task"]["status"] == "completed")[
        -1
    ]
    assert mine["action"] == "upserted"
    first = follower.until("task", lambda one: one["task"]["runId"] == ident)[0]["task"]
    assert (first["status"], first["title"], first["sessionKey"]) == ("running", "stub:echo hello", key)
    listed = follower.call("tasks.list", sessionKey=key)["tasks"]
    assert follower.call("tasks.list", sessionKey=session) == {"tasks": []}
    assert [one["id"] for one in listed] == [first["id"]]
    expected: Frame = {"kind": "cli", "runtime": "cli", "status": "completed", "execution": {"state": "finished"}}
    expected |= {"agentId": "main", "childSessionKey": key, "ownerKey": key, "runId": ident, "sourceId": ident}
    expected |= {"terminalSummary": "completed", "deliveryStatus": "not_applicable", "hasTranscript": True}
    assert expected.items() <= listed[0].items()
    got = follower.call("tasks.get", taskId=first["id"])["task"]
    assert {**got, **listed[0]} == got


@pytest.mark.parametrize(("message", "status"), [("stub:fail 400", "failed"), ("stub:slow 40 300", "cancelled")])
def test_how_a_task_ends_that_does_not_end_well(follower: Follower, session: str, message: str, status: str) -> None:
    ident = uuid4().hex
    params = {"message": message, "sessionKey": session, "idempotencyKey": ident}
    follower.client.send({"type": "req", "id": "a", "method": "agent", "params": params})
    if status == "cancelled":
        follower.until("chat", lambda one: one["runId"] == ident and one["state"] == "delta")
        follower.call("chat.abort", sessionKey=session, runId=ident)
    ended = follower.until("task", lambda one: one["task"]["runId"] == ident and "endedAt" in one["task"])[-1]["task"]
    assert ended["status"] == status


def test_a_task_that_is_not_there(follower: Follower) -> None:
    error = refused(follower.client, "tasks.get", {"taskId": "nobody's"})
    assert (error["code"], error["message"]) == ("INVALID_REQUEST", "task not found: nobody's")


# sessions.changed


def test_a_run_is_told_to_who_follows_the_list_with_its_row(follower: Follower, session: str) -> None:
    key = f"agent:main:{session}"
    run_id = follower.client.chat_send(session, "stub:echo hello there")
    for name, value in (("reason", "agent.input.settled"), ("phase", "end")):
        follower.until("sessions.changed", lambda one, n=name, v=value: (one["sessionKey"], one.get(n)) == (key, v))  # type: ignore[misc]
    mine = [one for name, one in follower.heard if name == "sessions.changed" and one["sessionKey"] == key]
    # What comes at the same time is told in any order.
    reasons = {one["reason"] for one in mine if "reason" in one}
    assert reasons == {"participants", "agent.run.started", "agent.input.settled"}
    assert mine[0]["reason"] == "participants"
    phases = [one for one in mine if one.get("phase") in ("start", "end")]
    assert [(one["phase"], one["runId"]) for one in phases] == [("start", run_id), ("end", run_id)]
    for one in mine:
        assert (one["agentId"], one["session"]["key"], one["session"]["sessionId"]) == ("main", key, one["sessionId"])
    assert (mine[-1]["hasActiveRun"], mine[-1]["activeRunIds"], mine[-1]["status"]) == (False, [], "done")
