"""What a person may answer to an agent, checked before anything is sent. Pure; no answer stands in an error."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import Enum
from typing import Final, Literal, TypeAlias

from openclaw_client.errors import UsageError
from openclaw_client.wire.approvals import DECISIONS, Approval
from openclaw_client.wire.questions import Question, QuestionItem

MAX_GRANT_DAYS = 3650
"""Days for which a gateway takes "allow-always"; what is more it takes for a no (the package of 2026.9.6)."""


class Skip(Enum):
    """Its one member says that a question is left without an answer: the agent goes on without it."""

    SKIP = "skip"


SKIP: Final = Skip.SKIP

Answers: TypeAlias = str | Sequence[str] | Mapping[str, str | Sequence[str]] | Skip
"""A text, for several choices a list of them; where more than one thing is asked, by the id of each item."""


@dataclass(frozen=True, slots=True)
class AnswerOutcome:
    """What became of an answer. Losing the race to somebody else is one of the outcomes.

    Attributes:
        status: "applied": the answer counts. "already": another one came first. "gone": it is over (expired, its run
            has ended), or is not this client's.
        decision: For an approval, the decision that counts, where it is known.
    """

    status: Literal["applied", "already", "gone"]
    decision: str | None = None


def check_decision(decision: object, approval: Approval | None) -> str:
    """The decision, where it may be taken; approval is None where nothing is known of it. Raises UsageError."""
    allowed = DECISIONS if approval is None else approval.allowed_decisions
    if isinstance(decision, str) and decision in allowed:
        return decision
    raise UsageError(
        message=f"{decision!r} is no decision that this approval takes; nothing was sent",
        remedy=f"Allowed: {', '.join(allowed) or 'nothing'}",
    )


def check_grant_days(days: object, decision: str) -> int | None:
    """For how many days "allow-always" is to hold; None for good. Raises UsageError."""
    if days is None:
        return None
    if decision != "allow-always":
        raise UsageError(message="grant_days= is for always=True only", remedy="Leave it out, or pass always=True")
    if not isinstance(days, int) or isinstance(days, bool) or not 1 <= days <= MAX_GRANT_DAYS:
        raise UsageError(
            message=f"grant_days={days!r} is no number of days; nothing was sent",
            remedy=f"Pass a whole number from 1 to {MAX_GRANT_DAYS}",
        )
    return days


def check_answers(answers: object, question: Question | None) -> dict[str, list[str]]:
    """The answers by the items' ids, as the gateway takes them. Raises UsageError, which quotes none of them."""
    if question is None:
        if not isinstance(answers, Mapping):
            raise UsageError(
                message="nothing is known of this question here, so its items must be named; nothing was sent",
                remedy='Pass {"id of the item": "the answer"}',
            )
        return {_item_id(key): _texts(value, str(key)) for key, value in answers.items()}
    if not isinstance(answers, Mapping):
        if len(question.items) > 1:
            raise UsageError(
                message=f"{len(question.items)} things are asked at a time; nothing was sent",
                remedy=f"Pass a dict with the keys {', '.join(item.id for item in question.items)}",
            )
        answers = {item.id: answers for item in question.items}
    items = {item.id: item for item in question.items}
    if unknown := [str(key) for key in answers if key not in items]:
        raise UsageError(
            message=f"the question has no item {', '.join(unknown)}; nothing was sent",
            remedy=f"Its items are {', '.join(items)}",
        )
    if left := [ident for ident in items if ident not in answers]:
        raise UsageError(
            message=f"there is no answer to {', '.join(left)}; nothing was sent",
            remedy="Answer all items at once, or skip the question",
        )
    return {ident: _for_item(answers[ident], item) for ident, item in items.items()}


def _for_item(answer: object, item: QuestionItem) -> list[str]:
    texts = _texts(answer, item.id)
    if len(texts) > 1 and not item.multiple:
        raise UsageError(message=f"{item.id} takes one answer; nothing was sent", remedy="Pass a text")
    return texts


def _texts(answer: object, what: str) -> list[str]:
    texts = [answer] if isinstance(answer, str) else list(answer) if isinstance(answer, Sequence) else []
    if not texts or not all(isinstance(one, str) and one.strip() for one in texts):
        raise UsageError(
            message=f"the answer to {what} is neither a text nor a list of texts; nothing was sent",
            remedy="Pass what was chosen or written, and skip(…) for no answer",
        )
    return texts


def _item_id(key: object) -> str:
    if isinstance(key, str) and key:
        return key
    raise UsageError(
        message=f"{key!r} is no id of an item; nothing was sent", remedy="Pass ids as the question has them"
    )
