"""Approvals out of the payloads of all releases."""

from __future__ import annotations

import pickle
from typing import Any

import pytest

from openclaw_client.wire.approvals import (
    DECISIONS,
    Approval,
    ApprovalEnd,
    approval_end_from,
    approval_from,
    approvals_from,
    recorded_end,
)

OLD = {
    "id": "a",
    "request": {"command": "ls", "cwd": None, "host": "gateway", "agentId": "main", "sessionKey": "agent:main:s"},
    "createdAtMs": 1000,
    "expiresAtMs": 121_000,
}
NEW = {
    "approvalKind": "exec",
    "id": "b",
    "request": {
        "command": "rm -r build",
        "cwd": "/srv",
        "host": "gateway",
        "warningText": "deletes",
        "commandAnalysis": {"riskKinds": [], "warningLines": ["deletes", "recursive", 5]},
        "allowedDecisions": ["allow-once", "deny", 7],
        "agentId": "main",
        "sessionKey": "agent:main:s",
        "runId": "r",
        "toolCallId": "call-1",
    },
    "expiresAtMs": 1_800_000,
}


def test_one_of_the_oldest_release() -> None:
    approval = approval_from(OLD)
    assert approval == Approval(
        "a", "exec", "ls", host="gateway", agent_id="main", session_key="agent:main:s", expires_at=121.0
    )
    assert approval is not None
    assert approval.allowed_decisions == DECISIONS
    assert approval.raw == OLD


def test_one_of_the_newest_release() -> None:
    approval = approval_from(NEW)
    assert approval is not None
    assert approval.warnings == ("deletes", "recursive")
    assert approval.allowed_decisions == ("allow-once", "deny")
    assert (approval.run_id, approval.tool_call_id, approval.cwd) == ("r", "call-1", "/srv")
    assert pickle.loads(pickle.dumps(approval)) == approval
    assert hash(approval) == hash(approval_from(NEW))
    assert "deletes" in repr(approval)


def test_one_of_a_plugin_has_a_title() -> None:
    approval = approval_from({"id": "p", "request": {"title": "Send mail", "description": "to all"}}, "plugin")
    assert approval is not None
    assert (approval.kind, approval.command, approval.title) == ("plugin", "", "Send mail")
    argv = approval_from({"id": "p", "request": {"commandArgv": ["ls", "-l"]}})
    assert argv is not None
    assert argv.command == "ls -l"


@pytest.mark.parametrize(
    "payload",
    [
        None,
        [],
        {},
        {"id": "a"},
        {"id": "", "request": {"command": "ls"}},
        {"id": 5, "request": {"command": "ls"}},
        {"id": "a", "request": []},
        {"id": "a", "request": {}},
        {"id": "a", "request": {"command": ["ls"]}},
    ],
)
def test_what_cannot_be_judged_is_none(payload: Any) -> None:
    assert approval_from(payload) is None


@pytest.mark.parametrize(
    ("payload", "verdict"),
    [
        ({"id": "a", "decision": "allow-once", "resolvedBy": "cli"}, ApprovalEnd("a", "allowed", "allow-once")),
        ({"id": "a", "decision": "allow-always", "resolvedBy": "cli"}, ApprovalEnd("a", "allowed", "allow-always")),
        ({"id": "a", "decision": "deny", "resolvedBy": "cli"}, ApprovalEnd("a", "denied", "deny")),
        ({"id": "a", "decision": "deny", "resolvedBy": None}, ApprovalEnd("a", "expired", "deny")),
        ({"id": "a", "decision": "deny", "resolvedBy": "approval-scope-closed"}, ApprovalEnd("a", "cancelled", "deny")),
        ({"id": "a"}, ApprovalEnd("a", "gone")),
        ({"id": "a", "decision": "of-a-later-release"}, ApprovalEnd("a", "gone", "of-a-later-release")),
        ({"decision": "deny"}, None),
        (None, None),
    ],
)
def test_how_one_ended(payload: Any, verdict: ApprovalEnd | None) -> None:
    assert approval_end_from(payload) == verdict


@pytest.mark.parametrize(
    ("payload", "verdict"),
    [
        ({"approval": {"status": "pending"}}, None),
        (
            {"applied": True, "approval": {"status": "allowed", "decision": "allow-once"}},
            ApprovalEnd("a", "allowed", "allow-once"),
        ),
        ({"status": "denied", "decision": "deny"}, ApprovalEnd("a", "denied", "deny")),
        ({"approval": {"status": "cancelled"}}, ApprovalEnd("a", "cancelled")),
        ({"approval": {"status": "of-a-later-release"}}, ApprovalEnd("a", "gone")),
        ({"approval": 5}, ApprovalEnd("a", "gone")),
        (None, ApprovalEnd("a", "gone")),
    ],
)
def test_what_is_recorded_of_one(payload: Any, verdict: ApprovalEnd | None) -> None:
    assert recorded_end("a", payload) == verdict


@pytest.mark.parametrize("number", [True, "5", None, float("inf"), float("nan"), 10**400, -(10**400)])
def test_what_is_no_time(number: Any) -> None:
    approval = approval_from({**OLD, "expiresAtMs": number})
    assert approval is not None
    assert approval.expires_at is None


def test_who_says_what_may_be_answered() -> None:
    old, new = approval_from(OLD), approval_from(NEW)
    assert old is not None
    assert new is not None
    assert not old.states_decisions
    assert new.states_decisions
    assert not Approval("a").states_decisions


@pytest.mark.parametrize("payload", [[OLD, {}, NEW], {"count": 3, "approvals": [OLD, 5, NEW]}])
def test_a_list_wherever_a_release_has_it(payload: Any) -> None:
    assert [one.id for one in approvals_from(payload, "plugin")] == ["a", "b"]
    assert [one.kind for one in approvals_from(payload, "plugin")] == ["plugin", "exec"]
    assert approvals_from({"count": 0}) == approvals_from(None) == []
