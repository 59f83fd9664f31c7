"""What may be answered, before anything is sent."""

from __future__ import annotations

import pickle
from typing import Any

import pytest

from openclaw_client.errors import UsageError
from openclaw_client.runs.answering import SKIP, AnswerOutcome, check_answers, check_decision, check_grant_days
from openclaw_client.wire.approvals import Approval
from openclaw_client.wire.questions import Question, QuestionItem

ONE = Question("q", (QuestionItem("drink", "Drink", "What?"),))
MANY = Question("q", (QuestionItem("drink", "Drink", "What?"), QuestionItem("with", "With", "With?", multiple=True)))


def test_a_decision_is_one_of_those_that_are_allowed() -> None:
    approval = Approval("a", command="ls", allowed_decisions=("allow-once", "deny"))
    assert check_decision("deny", approval) == "deny"
    assert check_decision("allow-always", None) == "allow-always"
    for wrong in ("allow-always", "yes", "", None, 5):
        with pytest.raises(UsageError, match="Allowed: allow-once, deny"):
            check_decision(wrong, approval)


def test_days_belong_to_always() -> None:
    assert check_grant_days(None, "deny") is None
    assert check_grant_days(30, "allow-always") == 30
    wrong = [(3, "allow-once"), *((days, "allow-always") for days in (0, 3651, True, 1.5))]
    for days, decision in wrong:
        with pytest.raises(UsageError, match="grant_days"):
            check_grant_days(days, decision)


@pytest.mark.parametrize(
    ("given", "question", "sent"),
    [
        ("Tea", ONE, {"drink": ["Tea"]}),
        (["Tea"], ONE, {"drink": ["Tea"]}),
        ({"drink": "Tea"}, ONE, {"drink": ["Tea"]}),
        ({"drink": "Tea", "with": ["milk", "sugar"]}, MANY, {"drink": ["Tea"], "with": ["milk", "sugar"]}),
        ({"drink": "Tea"}, None, {"drink": ["Tea"]}),
    ],
)
def test_what_is_sent(given: Any, question: Question | None, sent: dict[str, list[str]]) -> None:
    assert check_answers(given, question) == sent


@pytest.mark.parametrize(
    ("given", "question", "match"),
    [
        ("secret-4711", MANY, "2 things are asked"),
        ("secret-4711", None, "its items must be named"),
        ({"drink": "secret-4711"}, MANY, "no answer to with"),
        ({"drink": "secret-4711", "colour": "x"}, ONE, "no item colour"),
        (["secret-4711", "b"], ONE, "drink takes one answer"),
        ("  ", ONE, "neither a text nor a list"),
        ([], ONE, "neither a text nor a list"),
        (5, ONE, "neither a text nor a list"),
        (["secret-4711", 5], ONE, "neither a text nor a list"),
        ({"": "secret-4711"}, None, "no id of an item"),
    ],
)
def test_what_does_not_fit_is_refused_and_not_quoted(given: Any, question: Question | None, match: str) -> None:
    with pytest.raises(UsageError, match=match) as caught:
        check_answers(given, question)
    assert "secret-4711" not in str(caught.value)


def test_values_travel() -> None:
    assert pickle.loads(pickle.dumps(SKIP)) is SKIP
    outcome = AnswerOutcome("already", "deny")
    assert pickle.loads(pickle.dumps(outcome)) == outcome
