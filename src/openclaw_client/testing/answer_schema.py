"""What each release serves of approvals and questions: methods, their scopes and closed parameters, and events."""

from __future__ import annotations

from typing import Final

from openclaw_client.testing.schema import Fields, Flag, Rule, Text, Whole
from openclaw_client.testing.traits import Profile

_FILLED = Text(low=1)
_APPROVAL_METHODS: Final = (
    "approval.get",
    "approval.resolve",
    "exec.approval.get",
    "exec.approval.list",
    "exec.approval.resolve",
)

_QUESTION_METHODS: Final = ("question.get", "question.list", "question.resolve")

ANSWER_SCOPES: Final = {
    **dict.fromkeys(_APPROVAL_METHODS, "operator.approvals"),
    **dict.fromkeys(_QUESTION_METHODS, "operator.questions"),
}


def answer_rules(profile: Profile) -> dict[str, Fields | None]:
    """The rule of each method; None where parameters are not looked at, or by the method itself."""
    resolve: dict[str, Rule] = {"id": _FILLED, "decision": _FILLED}
    if profile.approval_kinds:
        resolve["grantExpiresInDays"] = Whole(low=1, high=3650)
    rules: dict[str, Fields | None] = {"exec.approval.resolve": Fields(resolve, ("id", "decision"))}
    if profile.approval_list:
        rules["exec.approval.list"] = None
        rules["exec.approval.get"] = Fields({"id": _FILLED}, ("id",))
    if profile.approval_kinds:
        rules["approval.get"] = rules["approval.resolve"] = None
    if profile.questions:
        rules["question.list"] = Fields()
        rules["question.get"] = Fields({"id": _FILLED}, ("id",))
        answers = Fields({"answers": Fields(open=True)}, ("answers",))
        known: dict[str, Rule] = {"id": _FILLED, "answers": answers, "cancel": Flag(), "resolvedBy": _FILLED}
        rules["question.resolve"] = Fields(known, ("id",))
    return rules


def answer_events(profile: Profile) -> tuple[str, ...]:
    """The events that hello names."""
    asked = ("question.requested", "question.resolved") if profile.questions else ()
    return ("exec.approval.requested", "exec.approval.resolved", *asked)
