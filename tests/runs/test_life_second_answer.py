"""The second answer of the method `agent`, which says that the run is over."""

from __future__ import annotations

from openclaw_client.errors import RequestFailed
from openclaw_client.runs.clock import SILENCE_AFTER_GAP
from openclaw_client.runs.events import RunErrored
from openclaw_client.runs.phases import Ask, End
from tests.runs.lives import MINE, Run, final
from tests.runs.pages import page

ENDED = {"runId": "r", "status": "ok", "summary": "completed"}
ACCEPTED = {"runId": "r", "status": "accepted"}


def test_a_second_answer_that_says_why_it_failed_is_the_end() -> None:
    for payload, error, why in (
        ({"status": "error", "summary": "no such model"}, RequestFailed(message="no such model"), "no such model"),
        ({"runId": "r", "status": "error", "summary": "failed"}, None, "failed"),
        ({"status": "error"}, None, "it failed"),
    ):
        run = Run().sent(method="agent")
        run.life.answered(ACCEPTED, 0.0)
        run.life.concluded(payload, error, 1.0)
        assert run.actions() == [End(RunErrored("r", why, ""))]


def test_a_second_answer_behind_the_end_changes_nothing() -> None:
    run = Run().sent(method="agent")
    run.life.answered(ACCEPTED, 0.0)
    run.life.chat(final("said"), 1.0)
    assert len(run.actions()) == 1
    run.life.concluded({"status": "error"}, RequestFailed(message="no"), 1.0)
    assert run.actions() == []


def test_a_second_answer_without_the_last_event_makes_it_ask_soon() -> None:
    run = Run().sent(method="agent")
    run.life.answered(ACCEPTED, 0.0)
    run.life.concluded(ENDED, None, 1.0)
    assert run.actions() == []
    assert run.life.deadline() == 1.0 + SILENCE_AFTER_GAP
    run.life.handle_deadline(1.0 + SILENCE_AFTER_GAP)
    assert isinstance(run.actions()[0], Ask)


def test_a_second_answer_to_a_message_that_is_answered_elsewhere_makes_it_look() -> None:
    run = Run().deferred()
    run.page(1, page(MINE, active=("other",)), 1.5)
    run.actions()
    before = run.life.deadline()
    run.life.concluded(ENDED, None, 2.0)
    assert run.life.deadline() <= before
    assert run.actions() == []
