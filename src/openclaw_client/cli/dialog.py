"""Asks the person at the terminal what an agent asks, and brings the answers back. On the main thread."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable
from contextlib import AbstractContextManager
from typing import Protocol

from openclaw_client.cli.asked import (
    ENDINGS,
    KEYS,
    Line,
    answers_of,
    approval_lines,
    choices,
    decision_of,
    how_to_answer,
    item_lines,
    item_of,
    question_lines,
)
from openclaw_client.cli.options import Options
from openclaw_client.cli.typed import NotNeeded, TooLong, can_type, forget_typed, read_line
from openclaw_client.errors import GatewayError
from openclaw_client.runs.answering import AnswerOutcome
from openclaw_client.runs.events import ApprovalRequested, ApprovalResolved, QuestionAsked, QuestionClosed, RunEvent
from openclaw_client.runs.interactions import KINDS
from openclaw_client.sync.client import GatewayClient
from openclaw_client.wire.approvals import Approval
from openclaw_client.wire.questions import Question, QuestionItem

MAX_SETTLED = 64
"""Requests of which it is remembered that the person here has dealt with them: few wait at a time."""

_NO_INTERRUPT = threading.Event()


class Page(Protocol):
    """Where it is shown."""

    def request(self, lines: list[Line]) -> None: ...

    def note(self, text: str) -> None: ...

    def error(self, text: str) -> None: ...


def answerable(options: Options) -> tuple[str, ...]:
    """What the person at this terminal can be asked; () in a pipe, with --json, and without a terminal's means."""
    if options.json or not can_type():
        return ()
    names = None if options.scopes is None else {name.strip().removeprefix("operator.") for name in options.scopes}
    if options.no_device and "admin" not in (names or ()):
        # Gateways ask no client without a device that is not an admin.
        return ()
    # Scopes that were named are the most that is asked for.
    return tuple(kind for kind in KINDS if names is None or names & {kind, "admin"})


class Dialog:
    """One conversation's, over one client. has_allowed: whether the person allowed anything, and it counts."""

    def __init__(self, client: GatewayClient, page: Page) -> None:
        self._client = client
        self._page = page
        self._settled: deque[str] = deque(maxlen=MAX_SETTLED)
        self._left: deque[str] = deque(maxlen=MAX_SETTLED)
        self.has_allowed = False

    def event(
        self, event: RunEvent, screen: Callable[[], AbstractContextManager[object]], interrupted: threading.Event
    ) -> str:
        """What a run did. Asks where it waits for a person; returns a note for that person, or "".

        screen: makes a context manager within which the terminal is this dialog's. interrupted: set where the person
        wants the run to end instead.
        """
        if isinstance(event, ApprovalRequested | QuestionAsked):
            item = item_of(event)
            if self.waits(item.id):
                with screen():
                    self.ask(item, interrupted)
        elif isinstance(event, ApprovalResolved | QuestionClosed):
            elsewhere = item_of(event).id not in self._settled and not interrupted.is_set()
            return ENDINGS[event.status] if elsewhere else ""
        return ""

    def waits(self, ident: str) -> bool:
        """Whether one still waits, and the person has not seen it yet."""
        return ident not in self._left and ident not in self._settled and self._is_pending(ident)

    def ask_pending(self, *, again: bool = False) -> bool:
        """Ask all that waits, outside of any run; False where nothing does. again: also what was left open before."""
        if again:
            self._left.clear()
        found = False
        for item in self._pending():
            if self.waits(item.id):
                found = True
                if not self.ask(item, _NO_INTERRUPT):
                    self._page.note(ENDINGS["gone"])
        return found

    def ask(self, item: Approval | Question, interrupted: threading.Event) -> bool:
        """Ask one, until it is answered, left open or over. False where it was over before there was an answer."""

        def over() -> bool:
            return interrupted.is_set() or not self._is_pending(item.id)

        forget_typed()
        self._page.request(approval_lines(item) if isinstance(item, Approval) else question_lines(item))
        if isinstance(item, Approval) and not choices(item):
            self._left.append(item.id)
            self._page.note("left open: this program knows none of the answers that are allowed")
            return True
        while True:
            try:
                if isinstance(item, Approval):
                    self._decide(item, over)
                else:
                    self._answer(item, over)
            except NotNeeded:
                return False
            except (EOFError, KeyboardInterrupt) as error:
                self._left.append(item.id)
                self._page.note("left open: others may still answer it")
                if isinstance(error, KeyboardInterrupt):
                    raise
            except GatewayError as error:
                self._page.error(f"the answer was not taken: {error.message}")
                continue
            return True

    def _decide(self, approval: Approval, over: Callable[[], bool]) -> None:
        prompt = choices(approval)
        while True:
            decision = decision_of(_typed(self._page, prompt, over), approval)
            if decision is not None:
                break
        if decision == "deny":
            outcome = self._client.deny(approval)
        else:
            outcome = self._client.approve(approval, always=decision == "allow-always")
        self.has_allowed |= outcome.status == "applied" and decision != "deny"
        self._tell(approval.id, outcome, KEYS[decision][1])

    def _answer(self, question: Question, over: Callable[[], bool]) -> None:
        given: dict[str, list[str]] = {}
        for number, item in enumerate(question.items, 1):
            self._page.request(item_lines(item, f"{number}/{len(question.items)}" if len(question.items) > 1 else ""))
            answers = self._ask_item(item, over, alone=len(question.items) == 1)
            if answers is None:
                # Gateways take all answers or none.
                self._tell(question.id, self._client.skip(question), "skipped")
                return
            given[item.id] = answers
        self._tell(question.id, self._client.answer(question, given), "")

    def _ask_item(self, item: QuestionItem, over: Callable[[], bool], *, alone: bool) -> list[str] | None:
        prompt = how_to_answer(item, alone=alone)
        while True:
            typed = _typed(self._page, prompt, over, hidden=item.secret)
            if not typed.strip():
                return None
            answers = answers_of(typed, item)
            if answers is not None:
                return answers

    def _tell(self, ident: str, outcome: AnswerOutcome, done: str) -> None:
        self._settled.append(ident)
        if outcome.status == "already":
            ended = {None: "answered", "deny": "denied"}.get(outcome.decision, "allowed")
            self._page.note(ENDINGS[ended])
        elif outcome.status == "gone":
            self._page.note(ENDINGS["gone"])
        elif done:
            self._page.note(done)

    def _is_pending(self, ident: str) -> bool:
        return any(item.id == ident for item in self._pending())

    def _pending(self) -> list[Approval | Question]:
        return [*self._client.pending_approvals, *self._client.pending_questions]


def _typed(page: Page, prompt: str, over: Callable[[], bool], *, hidden: bool = False) -> str:
    while True:
        try:
            return read_line(f"  {prompt}", over, hidden=hidden)
        except TooLong:
            page.error("a terminal takes no line that long: `openclaw-client answer ID - < FILE` does")
