"""A run that waits for a person: what it shows, and which of its clocks stand still."""

from __future__ import annotations

from math import inf

import pytest

from openclaw_client.runs.activity import Activity
from openclaw_client.runs.clock import SILENCE, RunLimits
from openclaw_client.runs.events import (
    ApprovalRequested,
    ApprovalResolved,
    QuestionAsked,
    QuestionClosed,
    RunCompleted,
)
from openclaw_client.runs.phases import Tell
from openclaw_client.wire.approvals import Approval
from openclaw_client.wire.questions import Question, QuestionItem
from tests.runs.lives import Run, delta, final, lifecycle
from tests.runs.test_activity import agent

APPROVAL = Approval("a", command="rm -r build")
QUESTION = Question("q", (QuestionItem("drink", "Drink", "What?"),))
ASKED, ALLOWED = ApprovalRequested("r", APPROVAL), ApprovalResolved("r", APPROVAL, "allowed", "allow-once")
WANTED, ANSWERED = QuestionAsked("r", QUESTION), QuestionClosed("r", QUESTION, "answered")


def test_it_says_what_it_waits_for() -> None:
    run = Run().taken()
    run.life.chat(delta("Well"), 1.0)
    run.life.interaction(ASKED, 2.0, patient=True)
    assert run.life.activity == Activity("awaiting_approval", "rm -r build")
    run.life.interaction(WANTED, 3.0, patient=True)
    assert run.life.activity == Activity("awaiting_answer", "Drink")
    run.life.interaction(ANSWERED, 4.0, patient=True)
    assert run.life.activity == Activity("awaiting_approval", "rm -r build")
    run.life.interaction(ALLOWED, 5.0, patient=True)
    assert run.life.activity.kind == "writing"
    assert run.events[-4:] == [ASKED, WANTED, ANSWERED, ALLOWED]


def test_silence_and_idleness_stand_still_and_the_whole_goes_on() -> None:
    run = Run(RunLimits(total=100.0, idle=10.0)).taken()
    run.life.interaction(ASKED, 2.0, patient=True)
    assert run.life.deadline() == 100.0
    run.life.interaction(ALLOWED, 50.0, patient=True)
    assert run.life.deadline() == 60.0
    run.life.handle_deadline(60.0)
    assert run.actions() == [Tell("idle", 10.0)]


def test_without_anybody_who_answers_nothing_waits_longer() -> None:
    run = Run(RunLimits(idle=10.0)).taken()
    run.life.interaction(ASKED, 2.0, patient=False)
    assert run.life.deadline() == 10.0
    assert run.life.activity.kind == "awaiting_approval"


def test_behind_its_end_nothing_is_told() -> None:
    run = Run().taken()
    run.life.interaction(ASKED, 2.0, patient=True)
    run.life.chat(final("Hello"), 3.0)
    run.life.interaction(ALLOWED, 4.0, patient=True)
    assert isinstance(run.events[-1], RunCompleted)
    assert run.life.deadline() == inf
    unsent = Run()
    unsent.life.interaction(ASKED, 0.0, patient=True)
    assert unsent.events == []


def test_the_lifecycle_tells_who_may_not_answer() -> None:
    run = Run().taken()
    assert run.life.command is None
    started = agent("tool", toolCallId="1", phase="start", name="exec", args={"command": "make"})
    run.life.agent(started, 1.0)
    assert run.life.command == "make"
    run.life.agent(lifecycle(phase="waiting-approval", approvalId="a", toolCallId="1"), 2.0)
    assert run.life.activity == Activity("awaiting_approval", "make")
    run.life.agent(lifecycle(phase="approval-resolved", approvalId="a", toolCallId="1"), 3.0)
    assert run.life.activity == Activity("tool", "exec")


@pytest.mark.parametrize("args", [None, "make", {"command": 5}, {}])
def test_a_tool_without_a_command_has_none(args: object) -> None:
    run = Run().taken()
    run.life.agent(agent("tool", toolCallId="1", phase="start", name="look", args=args), 1.0)
    assert run.life.command is None


def test_the_fold_is_over_when_it_has_ended() -> None:
    run = Run().taken()
    run.life.chat(final("Hello"), 1.0)
    assert run.life._fold.interaction(ASKED) == ()


def test_the_silence_is_asked_about_again_behind_the_answer() -> None:
    run = Run().taken()
    run.life.interaction(ASKED, 2.0, patient=True)
    assert run.life.deadline() == inf
    run.life.interaction(ALLOWED, 40.0, patient=True)
    assert run.life.deadline() == 40.0 + SILENCE


def test_titles_of_plugins_and_texts_of_questions_stand_in() -> None:
    run = Run().taken()
    run.life.interaction(ApprovalRequested("r", Approval("p", "plugin", title="Send mail")), 1.0, patient=True)
    assert run.life.activity.detail == "Send mail"
    bare = Question("b", (QuestionItem("x", "", "Which one?"),))
    run.life.interaction(QuestionAsked("r", bare), 2.0, patient=True)
    assert run.life.activity.detail == "Which one?"
