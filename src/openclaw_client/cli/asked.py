"""What an agent asks of a person: in lines for a terminal, and what the person types, as an answer. Pure.

Words of the gateway are harmless here already. In what is to be allowed, what steers a terminal is written out instead
of left out: it is part of what will be done.
"""

from __future__ import annotations

import re
import time
from collections.abc import Sequence
from typing import Literal, NamedTuple

from openclaw_client.errors.peer_text import escaped, harmless, one_line
from openclaw_client.runs.events import ApprovalEvent, ApprovalRequested, ApprovalResolved, QuestionEvent
from openclaw_client.wire.approvals import Approval
from openclaw_client.wire.questions import Question, QuestionItem


class Line(NamedTuple):
    """A line for a terminal, and what it is."""

    role: Literal["title", "command", "warning", "text", "option", "detail"]
    text: str


KEYS: dict[str, tuple[str, str]] = {
    "allow-once": ("once", "allowed once"),
    "allow-always": ("always", "allowed from now on"),
    "deny": ("deny", "denied"),
}
"""The decisions that a person may take: the word, of which the first letter does, and what it did."""

ENDINGS: dict[str, str] = {
    "allowed": "answered elsewhere: allowed",
    "denied": "answered elsewhere: denied",
    "answered": "answered elsewhere",
    "skipped": "skipped elsewhere",
    "expired": "expired: the time for an answer is over",
    "cancelled": "no answer is needed any more",
    "gone": "it is over: answered elsewhere, expired, or no longer needed",
}
"""How one ends that the person here did not answer."""

_KINDS = {"exec": "run a command", "plugin": "use a plugin", "system-agent": "change the system"}
_BETWEEN = re.compile(r"[,\s]+")


def item_of(event: ApprovalEvent | QuestionEvent) -> Approval | Question:
    """What an event is about."""
    return event.approval if isinstance(event, ApprovalRequested | ApprovalResolved) else event.question


def approval_lines(approval: Approval, *, now: float | None = None) -> list[Line]:
    """What a person decides by; nothing of it is cut. now: seconds since 1970."""
    lines = [Line("title", f"the agent asks to {_KINDS.get(approval.kind, f'be allowed ({one_line(approval.kind)})')}")]
    if approval.title:
        lines.append(Line("text", f"  {one_line(approval.title)}"))
    # A line of a script that begins behind a comment is no part of the comment.
    for at, text in enumerate(escaped(approval.command).split("\n") if approval.command else ()):
        lines.append(Line("command", f"  {'$' if at == 0 else '>'} {text}"))
    lines += [Line("warning", f"  warning: {one_line(text)}") for text in approval.warnings]
    where = f"in {escaped(approval.cwd)}" if approval.cwd else ""
    host = f"on the {one_line(approval.host)}" if approval.host else ""
    return [*lines, *_details(" ".join(part for part in (where, host) if part), time_left(approval, now))]


def question_lines(question: Question, *, now: float | None = None) -> list[Line]:
    """What stands above all items of a question."""
    count = len(question.items)
    title = "the agent asks" if count == 1 else f"the agent asks {count} things"
    left = time_left(question, now)
    return [Line("title", f"{title} · {left}" if left else title)]


def item_lines(item: QuestionItem, place: str = "") -> list[Line]:
    """One item with its numbered options. place: such as "1/3"."""
    header = " ".join(part for part in (place, one_line(item.header)) if part)
    first, *rest = harmless(item.text).split("\n")
    lines = [Line("text", f"  {f'{header}: ' if header else ''}{first}"), *(Line("text", f"  {text}") for text in rest)]
    for number, option in enumerate(item.options, 1):
        about = f" - {one_line(option.description)}" if option.description else ""
        lines.append(Line("option", f"    {number}. {one_line(option.label)}{about}"))
    return lines


def time_left(item: Approval | Question, now: float | None = None) -> str:
    """How long an answer counts, in words; "" where that cannot be known."""
    if item.expires_at is None:
        return ""
    left = item.expires_at - (time.time() if now is None else now)
    created = item.raw.get("createdAtMs")
    if isinstance(created, int | float) and not isinstance(created, bool):
        # The times are the gateway's: by a clock that is behind it there would be more left than there ever was.
        left = min(left, item.expires_at - created / 1000)
    if left <= 0:
        return ""
    hours, minutes = left / 3600, left / 60
    amount = f"{hours:.0f} h" if hours >= 2 else f"{minutes:.0f} min" if minutes >= 1.5 else f"{max(1, round(left))} s"
    return f"{amount} left"


def decision_words(approval: Approval) -> list[str]:
    """The words for what may be answered, as far as it is known here."""
    return [KEYS[one][0] for one in approval.allowed_decisions if one in KEYS]


def choices(approval: Approval) -> str:
    """The prompt: what may be answered; "" where nothing is that is known here."""
    words = decision_words(approval)
    return " ".join(f"[{word[0]}]{word[1:]}" for word in words) + "? " if words else ""


def decision_of(typed: str, approval: Approval) -> str | None:
    """The decision that was typed, None where it is none of the allowed ones."""
    word = typed.strip().lower()
    for decision in approval.allowed_decisions:
        if decision in KEYS and word and word in (KEYS[decision][0], KEYS[decision][0][0]):
            return decision
    return None


def how_to_answer(item: QuestionItem, *, alone: bool = True) -> str:
    """The prompt of an item. alone: whether it is the only one; gateways take the answers to all items or none."""
    numbers = ("the numbers" if item.multiple else "a number") if item.options else ""
    free = ("text" if item.options else "your answer") if item.free_text or not item.options else ""
    hidden = ", which is not shown" if item.secret else ""
    return f"{' or '.join(part for part in (numbers, free) if part)}{hidden}; Enter skips {'it' if alone else 'all'}: "


def answers_of(typed: str, item: QuestionItem) -> list[str] | None:
    """The answers that were typed, None where they are none that the item takes."""
    text = typed.strip()
    labels = {option.label.strip().lower(): option.label for option in item.options}
    numbered = {str(number): option.label for number, option in enumerate(item.options, 1)}
    known = {**labels, **numbered}
    if text.lower() in known:
        return [known[text.lower()]]
    if item.multiple:
        several = _several([part.strip() for part in text.split(",")], known, free=item.free_text)
        several = several or _several(_BETWEEN.split(text), numbered, free=False)
        if several:
            return several
    return [text] if text and (item.free_text or not item.options) else None


def _several(parts: Sequence[str], known: dict[str, str], *, free: bool) -> list[str] | None:
    """Each part as an answer; None where there is none that is known, or one that is not and may not be given."""
    parts = [part for part in parts if part]
    found = [known.get(part.lower(), part) for part in parts]
    named = [part.lower() in known for part in parts]
    return list(dict.fromkeys(found)) if any(named) and (free or all(named)) else None


def _details(*parts: str) -> list[Line]:
    told = " · ".join(part for part in parts if part)
    return [Line("detail", f"  {told}")] if told else []
