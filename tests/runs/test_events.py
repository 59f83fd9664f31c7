"""Events are values: named, frozen, comparable, and the same after pickling."""

from __future__ import annotations

import copy
import dataclasses
import pickle
import re
from typing import Any, get_args

import pytest

from openclaw_client.runs import events
from openclaw_client.runs.events import ChatReply, RunAborted, RunCompleted, RunEvent, SideResult, Terminal
from openclaw_client.wire.approvals import Approval
from openclaw_client.wire.files import AgentFile
from openclaw_client.wire.usage import Usage

EXAMPLES: dict[str, Any] = {
    "run_id": "r",
    "status": "started",
    "phase": "starting_model",
    "retry": {"attempt": 1},
    "text": "t",
    "call_id": "c",
    "name": "n",
    "args": {"a": 1},
    "data": [1],
    "result": None,
    "is_error": True,
    "question": "q",
    "stop_reason": "rpc",
    "usage": Usage({"input": 1}),
    "content": ({"type": "image", "data": "aa"},),
    "model": "mock-1",
    "provider": "mock",
    "message": "m",
    "kind": "timeout",
    "detail": {"d": 1},
    "payload": {"p": 1},
    "approval": Approval("a", command="ls", raw={"id": "a"}),
    "decision": "deny",
    "file": AgentFile("a", "report.pdf", "application/pdf", 46, "main", "r"),
}
KINDS: tuple[type[Any], ...] = get_args(RunEvent)


def example(kind: type[Any]) -> Any:
    return kind(**{field.name: EXAMPLES[field.name] for field in dataclasses.fields(kind) if field.init})


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.__name__)
def test_an_event_is_a_value(kind: type[Any]) -> None:
    event = example(kind)
    assert event == example(kind)
    for twin in (pickle.loads(pickle.dumps(event)), copy.copy(event), copy.deepcopy(event)):
        assert (type(twin), twin) == (kind, event)
    with pytest.raises(dataclasses.FrozenInstanceError):
        event.run_id = "other"


def test_every_event_names_itself_in_its_own_way() -> None:
    # "RawEvent" is "raw"; all others are their class in snake case.
    types = {kind: example(kind).type for kind in KINDS}
    assert types == {
        kind: re.sub(r"(?<!^)(?=[A-Z])", "_", kind.__name__).lower().removesuffix("_event") for kind in KINDS
    }
    assert len(set(types.values())) == len(KINDS)


def test_all_events_and_the_reply_are_exported() -> None:
    assert {kind.__name__ for kind in KINDS} | {"ChatReply", "RunEvent"} == set(events.__all__)
    assert set(get_args(Terminal)) < set(KINDS)


def test_a_reply_is_a_value() -> None:
    reply = ChatReply(
        "t", "r", "final", "agent:main:main", usage=Usage({"input": 1}), side_results=(SideResult("r", "s"),)
    )
    assert pickle.loads(pickle.dumps(reply)) == reply
    assert (reply.recovered, reply.merged_into, reply.aborted_run_ids) == (False, None, ())
    assert (reply.content, reply.model, reply.provider) == ((), None, None)


def test_what_was_added_later_stands_last() -> None:
    # Whoever gives the arguments by their place, or matches by it, goes on as before.
    assert RunCompleted.__match_args__ == ("run_id", "text", "stop_reason", "usage", "content", "model", "provider")
    assert RunAborted.__match_args__ == ("run_id", "text", "stop_reason", "content")
    assert ChatReply.__match_args__[-5:] == ("model", "provider", "answered_by", "pending_approval", "files")
