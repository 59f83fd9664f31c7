"""Questions: what an agent wants to know from a person (2026.8.1 and later), out of the gateway's payloads."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal, NamedTuple

from openclaw_client.wire.approvals import rows_of, seconds, text


@dataclass(frozen=True, slots=True)
class QuestionOption:
    """One of the answers that an agent offers. label is what is answered; description is for whoever chooses."""

    label: str
    description: str | None = None


@dataclass(frozen=True, slots=True)
class QuestionItem:
    """One question of those that an agent asks at a time.

    Attributes:
        id: Its name among them: a key of the answers.
        header: What it is about, in a word or two.
        text: The question.
        options: What may be chosen.
        multiple: Whether more than one may be.
        free_text: Whether the agent says that any text will do. Gateways take one in any case.
        secret: Whether the answer must not be shown, nor written down.
    """

    id: str
    header: str
    text: str
    options: tuple[QuestionOption, ...] = ()
    multiple: bool = False
    free_text: bool = False
    secret: bool = False


@dataclass(frozen=True, slots=True)
class Question:
    """What an agent wants to know; its run waits for the answers.

    Attributes:
        id: The gateway's name for it: what `answer` and `skip` need, and all that a web page has to send back.
        items: One to three questions that are answered together.
        agent_id: The agent that asks.
        session_key: The session in which it asks.
        run_id: The run that waits.
        expires_at: When nobody's answer counts any more, in seconds since 1970 by the gateway's clock.
        raw: The payload as it came.
    """

    id: str
    items: tuple[QuestionItem, ...]
    agent_id: str | None = None
    session_key: str | None = None
    run_id: str | None = None
    expires_at: float | None = None
    raw: Mapping[str, Any] = field(default_factory=dict, compare=False, repr=False)

    @property
    def header(self) -> str:
        """What the first question is about."""
        return self.items[0].header

    @property
    def text(self) -> str:
        """The questions, one a line."""
        return "\n".join(item.text for item in self.items)

    @property
    def options(self) -> tuple[QuestionOption, ...]:
        """What may be chosen for the first question."""
        return self.items[0].options

    @property
    def secret(self) -> bool:
        """Whether an answer must not be shown."""
        return any(item.secret for item in self.items)


class QuestionEnd(NamedTuple):
    """How a question ended."""

    id: str
    status: Literal["answered", "skipped", "expired", "cancelled", "gone"]


def question_from(payload: Any) -> Question | None:
    """The question of an event `question.requested`, or of a list of them; None where it is none."""
    if not isinstance(payload, Mapping):
        return None
    ident, given = text(payload.get("id")), payload.get("questions")
    items = tuple(item for item in map(_item, given) if item is not None) if isinstance(given, list) else ()
    if ident is None or not items or len(items) != len(given or ()):
        # One that cannot be read could not be answered, and the gateway takes them together.
        return None
    return Question(
        ident,
        items,
        text(payload.get("agentId")),
        text(payload.get("sessionKey")),
        text(payload.get("runId")),
        seconds(payload.get("expiresAtMs")),
        payload,
    )


def questions_from(payload: Any) -> list[Question]:
    """The questions of a list of them."""
    return [question for question in map(question_from, rows_of(payload)) if question is not None]


def question_end_from(payload: Any) -> QuestionEnd | None:
    """How a question ended, out of an event `question.resolved` or a record of it; None while it is pending."""
    ident = text(payload.get("id")) if isinstance(payload, Mapping) else None
    if ident is None:
        return None
    status = text(payload.get("status"))
    if status == "pending":
        return None
    return QuestionEnd(ident, status if status in ("answered", "expired", "cancelled") else "gone")  # type: ignore[arg-type]


def _item(value: Any) -> QuestionItem | None:
    if not isinstance(value, Mapping):
        return None
    ident, asked = text(value.get("questionId")) or text(value.get("id")), text(value.get("question"))
    if ident is None or asked is None:
        return None
    given = value.get("options")
    options = tuple(map(_option, given)) if isinstance(given, list) else ()
    return QuestionItem(
        ident,
        text(value.get("header")) or "",
        asked,
        tuple(option for option in options if option is not None),
        value.get("multiSelect") is True,
        value.get("isOther") is True or not options,
        value.get("isSecret") is True,
    )


def _option(value: Any) -> QuestionOption | None:
    label = text(value.get("label")) if isinstance(value, Mapping) else text(value)
    if label is None:
        return None
    return QuestionOption(label, text(value.get("description")) if isinstance(value, Mapping) else None)
