"""What a page of the history says about a run whose events were missed."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from openclaw_client.runs.recovery import Answered, Finding, StillRunning, Unanswered, look_up
from openclaw_client.wire.history import HistoryMessage, HistoryPage, InFlightRun, history_page


def user(text: str, run_id: str | None = None) -> dict[str, Any]:
    meta = {"__openclaw": {"idempotencyKey": f"{run_id}:user"}} if run_id else {}
    return {"role": "user", "content": text, **meta}


def assistant(text: str, run_id: str | None = None, **rest: Any) -> dict[str, Any]:
    meta = {"__openclaw": {"runId": run_id}} if run_id else {}
    return {"role": "assistant", "content": [{"type": "text", "text": text}], **meta, **rest}


TOOL = {"role": "toolResult", "content": "ok"}


def page(
    *rows: dict[str, Any], flight: InFlightRun | None = None, active: tuple[str, ...] | None = None
) -> HistoryPage:
    return HistoryPage([HistoryMessage(row) for row in rows], flight, active)


@pytest.mark.parametrize(
    ("found", "finding"),
    [
        # It goes on.
        (page(flight=InFlightRun("r", "so far")), StillRunning("so far")),
        (page(flight=InFlightRun("r", "")), StillRunning("")),
        (page(flight=InFlightRun("other", "x"), active=("other", "r")), StillRunning(None)),
        (page(assistant("early", "r"), active=("r",)), StillRunning(None)),
        # 2026.9.6: rows name their runs.
        (page(user("Hi", "r"), assistant("Hello", "r", stopReason="end_turn")), Answered("Hello", "end_turn")),
        (page(assistant("a", "r"), TOOL, assistant("b", "r")), Answered("a\n\nb")),
        (page(assistant("a", "r"), assistant("", "r", stopReason="stop")), Answered("a", "stop")),
        (page(user("Hi", "r"), assistant("", "r", errorMessage="boom")), Answered("", None, "boom")),
        (page(user("Hi", "r"), assistant("Hello")), Answered("Hello")),
        (
            page(user("Hi", "r"), TOOL, assistant("a"), assistant("b"), user("Next", "s"), assistant("c")),
            Answered("a\n\nb"),
        ),
        (page(user("Hi", "r"), assistant("Hello", "r"), user("Hi", "s"), assistant("No", "s")), Answered("Hello")),
        (page(user("Hi", "r")), Unanswered(sent=True)),
        (page(user("Hi", "r"), user("Hi", "s"), assistant("No")), Unanswered(sent=True)),
        # Before 2026.9: by the words of the last turn.
        (page(user("Hi"), assistant("Hello")), Answered("Hello")),
        (page(user("[Mon 10:00] Hi "), assistant("Hello")), Answered("Hello")),
        (page(user("Hi")), Unanswered(sent=True)),
        (page(user("Hi"), assistant("old"), user("Other"), assistant("no")), Unanswered(sent=False)),
        (page(user("Hi", "other"), assistant("no")), Unanswered(sent=False)),
        (page(user("Hi", "other"), assistant("no"), user("Hi"), assistant("yes")), Answered("yes")),
        # No trace.
        (page(), Unanswered(sent=False)),
        (page(assistant("proactive")), Unanswered(sent=False)),
        (page(flight=InFlightRun("other", "x"), active=()), Unanswered(sent=False)),
    ],
)
def test_findings(found: HistoryPage, finding: Finding) -> None:
    assert look_up(found, "r", message="Hi") == finding


@pytest.mark.parametrize("message", [None, ""])
def test_without_the_words_only_names_count(message: str | None) -> None:
    assert look_up(page(user("Hi"), assistant("no")), "r", message=message) == Unanswered(sent=False)
    assert look_up(page(user("Hi", "r"), assistant("Hello")), "r", message=message) == Answered("Hello")


rows = st.builds(
    lambda role, text, run_id: {"role": role, "content": text, **({"runId": run_id} if run_id else {})},
    st.sampled_from(["user", "assistant", "toolResult", ""]),
    st.sampled_from(["Hi", "Hello", ""]),
    st.sampled_from([None, "r", "s"]),
)


@given(messages=st.lists(rows, max_size=8))
def test_an_answer_is_made_of_rows_that_are_there_and_never_of_another_runs(messages: list[dict[str, Any]]) -> None:
    finding = look_up(history_page({"messages": messages}), "r", message="Hi")
    foreign = {"role": "assistant", "content": "FOREIGN", "runId": "s"}
    turn = {"role": "user", "content": "later", "runId": "s"}
    assert look_up(history_page({"messages": [*messages, turn, foreign]}), "r", message="Hi") == finding
    if any(row["role"] == "assistant" and row.get("runId") == "r" for row in messages):
        assert isinstance(finding, Answered)
