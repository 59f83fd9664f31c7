"""Cards for what an agent asks, and the answers that fit them."""

from __future__ import annotations

from typing import Any

import pytest

from examples.webchat import words
from examples.webchat.asks import Ask, BadAnswer, answers_in, approval_ask, decision_in, question_ask, visible
from openclaw_client import SKIP, Approval, GatewayError, Question, QuestionItem, QuestionOption
from openclaw_client.errors import ConnectionLost, NotConnected, OutcomeUnknown, RequestFailed, Unreachable, UsageError

APPROVAL = Approval("a", command="ls", allowed_decisions=("deny", "allow-once"), expires_at=12.5)
QUESTION = Question(
    "q",
    (
        QuestionItem("drink", "Drink", "Which?", (QuestionOption("Tea"), QuestionOption("Coffee"))),
        QuestionItem("extras", "", "With what?", (QuestionOption("Milk"), QuestionOption("Sugar")), multiple=True),
    ),
)


def test_a_card_of_an_approval_has_all_that_it_is_judged_by() -> None:
    long = "x" * 100_000
    approval = Approval("a", command=long, cwd="/srv", host="node", warnings=("one", "two"), raw={"secret": 1})
    shown = approval_ask("r", approval).shown()
    assert (shown["command"], shown["cwd"], shown["host"], shown["warnings"]) == (long, "/srv", "node", ["one", "two"])
    assert [decision for decision, _ in shown["choices"]] == ["allow-once", "allow-always", "deny"]
    assert (shown["run_id"], shown["state"], shown["expires"]) == ("r", "pending", None)
    assert "secret" not in str(shown)


def test_only_what_is_allowed_and_what_a_page_knows_becomes_a_button() -> None:
    assert [one for one, _ in approval_ask("", APPROVAL).choices] == ["allow-once", "deny"]
    assert approval_ask("", APPROVAL).expires == 12_500
    assert approval_ask("", Approval("a", command="ls", allowed_decisions=("allow-forever",))).choices == []


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("rm -rf 'a b'\n\tnext", "rm -rf 'a b'\n\tnext"),
        ("grüße 日本 €", "grüße 日本 €"),
        ("ls \u202egnp.exe", "ls \\u{202E}gnp.exe"),
        ("a\u200bb\u00a0c\rd\x1b[2K", "a\\u{200B}b\\u{00A0}c\\u{000D}d\\u{001B}[2K"),
        ("tag \U000e0041", "tag \\u{E0041}"),
        ("line\u2028two", "line\\u{2028}two"),
    ],
)
def test_what_cannot_be_seen_in_a_command_is_spelled_out(text: str, shown: str) -> None:
    assert visible(text) == shown
    assert approval_ask("", Approval("a", command=text)).command == shown


def test_decisions_that_fit() -> None:
    ask = approval_ask("", APPROVAL)
    assert decision_in(ask, {"decision": "deny"}) == "deny"
    for body in (None, [], {}, {"decision": "allow-always"}, {"decision": ["deny"]}, {"decision": "maybe"}, "deny"):
        with pytest.raises(BadAnswer, match="takes a decision: allow-once, deny"):
            decision_in(ask, body)


def test_answers_that_fit() -> None:
    ask = question_ask("", QUESTION)
    whole = {"drink": ["Tea"], "extras": ["Milk", "Sugar"]}
    assert answers_in(ask, {"answers": whole}) == whole
    assert answers_in(ask, {"skip": True}) is SKIP


@pytest.mark.parametrize(
    "body",
    [
        None,
        {},
        {"skip": 1},
        {"skip": True, "answers": {}},
        {"answers": None},
        {"answers": {"drink": ["Tea"]}},
        {"answers": {"drink": ["Tea"], "extras": ["Milk"], "more": ["x"]}},
        {"answers": {"drink": "Tea", "extras": ["Milk"]}},
        {"answers": {"drink": ["Tea", "Coffee"], "extras": ["Milk"]}},
        {"answers": {"drink": [], "extras": ["Milk"]}},
        {"answers": {"drink": [" \n"], "extras": ["Milk"]}},
        {"answers": {"drink": [5], "extras": ["Milk"]}},
        {"answers": {"drink": ["a\0hush"], "extras": ["Milk"]}},
        {"answers": {"drink": ["\ud800hush"], "extras": ["Milk"]}},
    ],
)
def test_answers_that_do_not_fit(body: Any) -> None:
    with pytest.raises(BadAnswer) as caught:
        answers_in(question_ask("", QUESTION), body)
    assert "hush" not in str(caught.value)


@pytest.mark.parametrize(
    ("kind", "state", "decision", "here", "outcome"),
    [
        ("approval", "allowed", "allow-once", True, "Allowed once."),
        ("approval", "allowed", "allow-always", True, "Allowed from now on."),
        ("approval", "denied", "deny", False, "Answered elsewhere: denied."),
        ("approval", "expired", "deny", False, "Expired: nobody answered in time."),
        ("approval", "cancelled", "deny", False, "Closed without an answer: the assistant needs it no longer."),
        ("approval", "gone", None, False, "Over. How it ended is not known."),
        ("question", "answered", None, True, "Answered."),
        ("question", "answered", None, False, "Answered elsewhere."),
        ("question", "skipped", None, True, "Skipped."),
    ],
)
def test_how_it_ended(kind: Any, state: Any, decision: str | None, here: bool, outcome: str) -> None:
    ask = Ask("i", kind)
    ask.close(state, decision, here=here)
    assert (ask.state, ask.outcome) == (state, outcome)


@pytest.mark.parametrize(
    ("error", "says"),
    [
        (OutcomeUnknown, "lost before it said whether it has the answer"),
        (ConnectionLost, "lost before it said whether it has the answer"),
        (Unreachable, "was not sent"),
        (NotConnected, "was not sent"),
        (UsageError, "Nothing was sent"),
        (RequestFailed, "refused"),
        (GatewayError, "log has more"),
    ],
)
def test_errors_tell_what_is_known_of_the_answer(error: type[GatewayError], says: str) -> None:
    made = error(message="hush")
    assert says in words.explain_answer(made)
    assert "hush" not in words.explain_answer(made)
