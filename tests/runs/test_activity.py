"""What a run is doing, after every event of a whole one."""

from __future__ import annotations

import json
from typing import Any

import msgspec
import pytest

from openclaw_client.runs.activity import OVER, QUEUED, THINKING, WRITING, Activity
from openclaw_client.runs.events import RunErrored
from openclaw_client.runs.fold import RunFold
from openclaw_client.wire.agent import AgentPayload
from openclaw_client.wire.chat import ChatPayload


def chat(state: str, message: str | None = None, **rest: Any) -> ChatPayload:
    return ChatPayload(run_id="r", state=state, message=message, **rest)


def agent(stream: str, **data: Any) -> AgentPayload:
    return AgentPayload(run_id="r", stream=stream, data=msgspec.Raw(json.dumps(data).encode()))


def tool(call_id: str, phase: str, name: str = "look") -> AgentPayload:
    return agent("tool", toolCallId=call_id, phase=phase, name=name)


def approval(phase: str, status: str, call_id: str = "1", title: Any = "Run make?") -> AgentPayload:
    return agent("approval", phase=phase, status=status, toolCallId=call_id, title=title)


LOOKING, ASKING = Activity("tool", "look"), Activity("awaiting_approval", "Run make?")


@pytest.mark.parametrize(
    "steps",
    [
        [
            (agent("lifecycle", phase="start"), QUEUED),
            (chat("delta", "Hi", seq=1), WRITING),
            (chat("final", "Hi"), OVER),
        ],
        [
            (chat("status", phase="starting_model"), Activity("starting", "starting_model")),
            (agent("thinking", delta="hm"), THINKING),
            (chat("delta", "Hello", seq=1), WRITING),
            (tool("1", "start"), LOOKING),
            (tool("2", "start", "read"), Activity("tool", "read")),
            (tool("2", "update", "read"), Activity("tool", "read")),
            (tool("2", "result", "read"), LOOKING),
            (tool("1", "result"), THINKING),
            (chat("delta", "Hello again", seq=2), WRITING),
            (chat("aborted", "Hello again"), OVER),
        ],
        [
            (tool("1", "start"), LOOKING),
            (approval("requested", "pending"), ASKING),
            (agent("notice", text="?"), ASKING),
            (approval("resolved", "allowed"), LOOKING),
            (approval("requested", "pending", title=7), Activity("awaiting_approval", "approval")),
            (tool("1", "result"), THINKING),
            (approval("requested", "unavailable"), THINKING),
            (agent("approval"), THINKING),
            (chat("error"), OVER),
        ],
        [
            # The tool's end was lost.
            (tool("1", "start"), LOOKING),
            (chat("delta", "Hello", seq=1), WRITING),
            (tool("1", "update"), LOOKING),
        ],
        [
            (approval("requested", "pending", call_id=""), ASKING),
            (approval("resolved", "denied", call_id=""), THINKING),
        ],
    ],
)
def test_after_every_event(steps: list[tuple[Any, Activity]]) -> None:
    fold = RunFold("r")
    assert fold.activity == QUEUED
    for payload, activity in steps:
        (fold.agent if isinstance(payload, AgentPayload) else fold.chat)(payload)
        assert fold.activity == activity


def test_an_approval_without_data_is_no_approval() -> None:
    fold = RunFold("r")
    fold.agent(AgentPayload(run_id="r", stream="approval"))
    assert fold.activity in (QUEUED, THINKING)


def test_an_end_that_is_known_from_elsewhere_is_an_end() -> None:
    fold = RunFold("r")
    fold.agent(tool("1", "start"))
    fold.finish(RunErrored("r", "failed"))
    assert fold.activity == OVER
