"""Tools, thinking and status out of agent events."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from openclaw_client.runs.events import (
    RawEvent,
    RunEvent,
    RunStatus,
    ThinkingAppended,
    ToolFinished,
    ToolStarted,
    ToolUpdated,
)
from openclaw_client.runs.tools import ToolTracker
from openclaw_client.wire.agent import AgentPayload


def agent(stream: str, data: object) -> AgentPayload:
    return AgentPayload("r", stream=stream, data=msgspec.Raw(msgspec.json.encode(data)))


def tool(phase: object, call_id: object = "c", **rest: Any) -> AgentPayload:
    return agent("tool", {"phase": phase, "toolCallId": call_id, **rest})


@pytest.mark.parametrize("stream", ["assistant", "usage", "lifecycle"])
def test_what_chat_events_say_too_is_silent(stream: str) -> None:
    assert ToolTracker().receive("r", agent(stream, {"delta": "x", "phase": "end"})) is None


@pytest.mark.parametrize(
    ("payload", "event"),
    [
        (agent("thinking", {"delta": "hm", "text": "hm"}), ThinkingAppended("r", "hm")),
        (agent("thinking", {"delta": ""}), None),
        (agent("thinking", {"delta": 5}), None),
        (agent("thinking", None), None),
        (agent("run_status", {"phase": "retrying"}), RunStatus("r", "retrying")),
        (agent("run_status", {"phase": 5}), None),
        (agent("brand_new", {"a": 1}), RawEvent("r", "agent.brand_new", {"a": 1})),
        (agent("brand_new", [1]), RawEvent("r", "agent.brand_new", {})),
        (
            tool("start", call_id=None, name="x"),
            RawEvent("r", "agent.tool", {"phase": "start", "toolCallId": None, "name": "x"}),
        ),
        (tool("start", call_id=""), RawEvent("r", "agent.tool", {"phase": "start", "toolCallId": ""})),
    ],
)
def test_one_event_each(payload: AgentPayload, event: RunEvent | None) -> None:
    assert ToolTracker().receive("r", payload) == event


def test_a_tool_from_start_to_result() -> None:
    tracker = ToolTracker()
    told = [
        tracker.receive("r", payload)
        for payload in (
            tool("start", name="exec", args={"cmd": "ls"}),
            tool("update", partialResult="a"),
            tool("result", result="ab"),
        )
    ]
    assert told == [
        ToolStarted("r", "c", "exec", {"cmd": "ls"}),
        ToolUpdated("r", "c", "exec", {"phase": "update", "toolCallId": "c", "partialResult": "a"}),
        ToolFinished("r", "c", "exec", "ab", False),
    ]


def test_repeated_phases_are_told_once() -> None:
    tracker = ToolTracker()
    frames = [
        tool("start", name="x"),
        tool("start", name="x"),
        tool("result", isError=True),
        tool("result"),
        tool("update"),
    ]
    assert [tracker.receive("r", frame) for frame in frames] == [
        ToolStarted("r", "c", "x"),
        None,
        ToolFinished("r", "c", "x", None, True),
        None,
        None,
    ]


def test_a_result_without_a_start_is_told_and_a_start_after_it_is_late() -> None:
    tracker = ToolTracker()
    assert tracker.receive("r", tool("result", isError="yes")) == ToolFinished("r", "c", "tool", None, False)
    assert tracker.receive("r", tool("start", name="x")) is None


@pytest.mark.parametrize("phase", ["update", "brand_new", None, 5, ["start"]])
def test_an_unknown_phase_is_an_update(phase: object) -> None:
    event = ToolTracker().receive("r", tool(phase, name="x"))
    assert event == ToolUpdated("r", "c", "x", {"phase": phase, "toolCallId": "c", "name": "x"})


def test_tools_side_by_side_keep_their_names() -> None:
    tracker = ToolTracker()
    tracker.receive("r", tool("start", "a", name="first"))
    tracker.receive("r", tool("start", "b", name="second"))
    assert tracker.receive("r", tool("result", "b")) == ToolFinished("r", "b", "second")
    assert tracker.receive("r", tool("result", "a")) == ToolFinished("r", "a", "first")
