"""What an agent asks of its user, as a page shows it, and what a page may answer. Pure.

A card has everything that a person must judge by, and nothing that was answered.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any, Final, Literal, cast

from examples.webchat import words
from openclaw_client import SKIP, Answers, Approval, Question

LABELS: Final = {"allow-once": "Allow once", "allow-always": "Always allow", "deny": "Deny"}
"""The decisions that a page can take, in the order of its buttons."""

State = Literal["pending", "allowed", "denied", "answered", "skipped", "expired", "cancelled", "gone"]

UNANSWERED: Final[frozenset[State]] = frozenset({"cancelled", "gone"})
"""Ends that say no more than that this connection hears of it no longer: it may be pending at the gateway."""
GONE: Final[frozenset[State]] = frozenset({*UNANSWERED, "expired"})
"""Ends at which nobody had answered."""


class BadAnswer(ValueError):
    """The answer does not fit what was asked. Quotes nothing of it."""


@dataclass(slots=True)
class Ask:
    """A request of an agent. expires: milliseconds; None for never. run_id: "" where nobody knows which run asks.

    choices: decision and label of each button. outcome: how it ended, in words; "" while it is pending.
    """

    id: str
    kind: Literal["approval", "question"]
    run_id: str = ""
    title: str = ""
    command: str = ""
    cwd: str = ""
    host: str = ""
    warnings: list[str] = field(default_factory=list)
    choices: list[tuple[str, str]] = field(default_factory=list)
    items: list[dict[str, Any]] = field(default_factory=list)
    expires: float | None = None
    state: State = "pending"
    outcome: str = ""

    def close(self, state: State, decision: str | None, *, here: bool) -> None:
        """It is over. here: whether this user's own answer counts."""
        self.state, self.outcome = state, words.closed(self.kind, state, decision, here=here)

    def shown(self) -> dict[str, Any]:
        """As the page gets it."""
        return asdict(self)


def approval_ask(run_id: str, approval: Approval) -> Ask:
    return Ask(
        approval.id,
        "approval",
        run_id,
        title=visible(approval.title or ""),
        command=visible(approval.command),
        cwd=visible(approval.cwd or ""),
        host=visible(approval.host or ""),
        warnings=[visible(warning) for warning in approval.warnings],
        choices=[(one, label) for one, label in LABELS.items() if one in approval.allowed_decisions],
        expires=_milliseconds(approval.expires_at),
    )


def question_ask(run_id: str, question: Question) -> Ask:
    # The gateway's own payload stays here: it is told to pages item by item.
    items = [asdict(item) for item in question.items]
    return Ask(question.id, "question", run_id, items=items, expires=_milliseconds(question.expires_at))


def visible(text: str) -> str:
    """The text with everything spelled out that cannot be seen or makes a line look like another one.

    Whoever allows a command must see the one that runs: U+202E alone turns the rest of a line round.
    """
    return "".join(f"\\u{{{ord(char):04X}}}" if _unseen(char) else char for char in text)


def _unseen(char: str) -> bool:
    # Controls, spaces and separators, format characters (directions, no width), and what has no glyph.
    return char not in " \n\t" and unicodedata.category(char)[0] in "CZ"


def decision_in(ask: Ask, body: Any) -> str:
    """The decision of a request about an approval. Raises BadAnswer."""
    decision = body.get("decision") if isinstance(body, dict) else None
    if not isinstance(decision, str) or decision not in dict(ask.choices):
        allowed = ", ".join(one for one, _ in ask.choices) or "nothing"
        raise BadAnswer(f"An approval takes a decision: {allowed}.")
    return decision


def answers_in(ask: Ask, body: Any) -> Answers:
    """The answers of a request about a question, or SKIP. Raises BadAnswer."""
    if isinstance(body, dict) and body.get("skip") is True and "answers" not in body:
        return SKIP
    answers = body.get("answers") if isinstance(body, dict) else None
    items = {item["id"]: item for item in ask.items}
    if not isinstance(answers, dict) or answers.keys() != items.keys():
        raise BadAnswer("A question takes an answer to each of its items, or is skipped.")
    for ident, given in answers.items():
        if not isinstance(given, list) or not given or not all(isinstance(one, str) and one.strip() for one in given):
            raise BadAnswer("Each answer is a list of texts that are not empty.")
        if len(given) > 1 and not items[ident]["multiple"]:
            raise BadAnswer("This question takes one answer.")
        # As for messages: a NUL is refused by gateways, and half a surrogate pair is no text at all.
        if any(char == "\0" or "\ud800" <= char <= "\udfff" for one in given for char in one):
            raise BadAnswer("The answer holds a character that is no text.")
    return cast(Mapping[str, list[str]], answers)


def _milliseconds(seconds: float | None) -> float | None:
    return None if seconds is None else seconds * 1000
