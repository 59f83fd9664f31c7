"""Events of gateways that are about approvals and questions, and what readers are told of them."""

from __future__ import annotations

from typing import Protocol

import msgspec

from openclaw_client.errors import GatewayError, UsageError
from openclaw_client.runs.answering import AnswerOutcome
from openclaw_client.runs.events import (
    ApprovalEvent,
    ApprovalRequested,
    ApprovalResolved,
    QuestionAsked,
    QuestionClosed,
    QuestionEvent,
)
from openclaw_client.runs.interactions import InteractionEnd, Pending
from openclaw_client.wire.approvals import FAMILIES, Approval
from openclaw_client.wire.frames import Event, decode_payload
from openclaw_client.wire.questions import Question

InteractionEvent = ApprovalEvent | QuestionEvent

REQUESTED = {f"{family}.approval.requested": kind for family, kind in FAMILIES.items()}
RESOLVED = frozenset(f"{family}.approval.resolved" for family in FAMILIES)
ENDINGS = RESOLVED | {"question.resolved"}
"""Events that say how one ended, with the answer in clear; most name no session."""
EVENTS = ENDINGS | REQUESTED.keys() | {"question.requested"}
"""All events of gateways that are about approvals and questions."""


class InteractionSink(Protocol):
    """Who is told of one kind. On the loop's thread; must not block and must not raise."""

    def put(self, event: InteractionEvent) -> None: ...

    def end(self, error: GatewayError) -> None:
        """The connection ended for good; nothing follows."""


def without_answers(frame: Event) -> Event:
    """An event `question.resolved` as it may be shown: what was answered is for the agent alone."""
    payload = decode_payload(frame.payload)
    if not isinstance(payload, dict) or "answers" not in payload:
        return frame
    left = {name: value for name, value in payload.items() if name != "answers"}
    return msgspec.structs.replace(frame, payload=msgspec.Raw(msgspec.json.encode(left)))


def id_of(target: object, kind: type[Approval | Question]) -> str:
    ident = target.id if isinstance(target, kind) else target
    if isinstance(ident, str) and ident:
        return ident
    what = kind.__name__
    raise UsageError(
        message=f"{type(target).__name__} is no {what}; nothing was sent", remedy=f"Pass the {what} or its id"
    )


def outcome_of(ended: InteractionEnd) -> AnswerOutcome:
    """What somebody learns who answers what is over."""
    answered = ended.status in ("allowed", "denied", "answered", "skipped")
    return AnswerOutcome("already" if answered else "gone", ended.decision if answered else None)


def asked_event(entry: Pending) -> InteractionEvent:
    run_id, item = entry.run_id or "", entry.item
    return ApprovalRequested(run_id, item) if isinstance(item, Approval) else QuestionAsked(run_id, item)


def ended_event(entry: Pending, ended: InteractionEnd) -> InteractionEvent:
    run_id, item, status = entry.run_id or "", entry.item, ended.status
    if isinstance(item, Approval):
        return ApprovalResolved(run_id, item, status, ended.decision)  # type: ignore[arg-type]
    return QuestionClosed(run_id, item, status)  # type: ignore[arg-type]
