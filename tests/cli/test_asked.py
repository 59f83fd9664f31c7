"""What an agent asks, as lines, and what a person types, as an answer."""

from __future__ import annotations

import pytest

from openclaw_client.cli.answer import answers_by_item
from openclaw_client.cli.asked import (
    answers_of,
    approval_lines,
    choices,
    decision_of,
    how_to_answer,
    item_lines,
    question_lines,
    time_left,
)
from openclaw_client.errors import UsageError
from openclaw_client.wire.approvals import Approval
from openclaw_client.wire.questions import Question, QuestionItem, QuestionOption

ONCE_OR_NOT = Approval("a", command="ls", allowed_decisions=("allow-once", "deny"))
ALL = Approval("a", command="ls")
TEA = (QuestionOption("Tea"), QuestionOption("Coffee", "black"), QuestionOption("Hot milk"))
ONE = QuestionItem("drink", "Drink", "Which?", TEA)
FREE = QuestionItem("drink", "Drink", "Which?", TEA, free_text=True)
SEVERAL = QuestionItem("drink", "Drink", "Which?", TEA, multiple=True)
BOTH = QuestionItem("drink", "Drink", "Which?", TEA, multiple=True, free_text=True)
TEXT = QuestionItem("name", "", "Your name?")


@pytest.mark.parametrize(
    ("approval", "typed", "decision"),
    [
        (ALL, "o", "allow-once"),
        (ALL, " Once ", "allow-once"),
        (ALL, "a", "allow-always"),
        (ALL, "d", "deny"),
        (ONCE_OR_NOT, "a", None),
        (ONCE_OR_NOT, "always", None),
        (ALL, "", None),
        (ALL, "y", None),
        (ALL, "on", None),
        (Approval("a", command="ls", allowed_decisions=("", "else")), "", None),
    ],
)
def test_a_decision_is_a_word_or_its_letter(approval: Approval, typed: str, decision: str | None) -> None:
    assert decision_of(typed, approval) == decision


def test_only_what_is_allowed_is_offered() -> None:
    assert choices(ALL) == "[o]nce [a]lways [d]eny? "
    assert choices(ONCE_OR_NOT) == "[o]nce [d]eny? "
    assert choices(Approval("a", command="ls", allowed_decisions=("maybe",))) == ""


@pytest.mark.parametrize(
    ("item", "typed", "answers"),
    [
        (ONE, "1", ["Tea"]),
        (ONE, " coffee ", ["Coffee"]),
        (ONE, "4", None),
        (ONE, "Rum", None),
        (ONE, "1,2", None),
        (FREE, "2", ["Coffee"]),
        (FREE, "Rum, and Tea", ["Rum, and Tea"]),
        (FREE, " ", None),
        (SEVERAL, "1, 3", ["Tea", "Hot milk"]),
        (SEVERAL, "3 1 3", ["Hot milk", "Tea"]),
        (SEVERAL, "hot milk,tea", ["Hot milk", "Tea"]),
        (SEVERAL, "1,Rum", None),
        (BOTH, "1, Rum", ["Tea", "Rum"]),
        (BOTH, "Rum, of the best", ["Rum, of the best"]),
        (BOTH, "2 of them", ["2 of them"]),
        (TEXT, "Ada, Countess", ["Ada, Countess"]),
    ],
)
def test_an_answer_is_a_number_a_label_or_a_text(item: QuestionItem, typed: str, answers: list[str] | None) -> None:
    assert answers_of(typed, item) == answers


def test_the_whole_command_is_shown_line_by_line_and_steers_nothing() -> None:
    command = "# tidy up \x1b[2J\u202e\r\n" + "x" * 5000 + "\nrm -r /"
    approval = Approval(
        "a", command=command, cwd="/srv/\x1b[1mapp", host="gate\nway", warnings=("it\nremoves \x1b[2Jfiles",)
    )
    lines = [line.text for line in approval_lines(approval)]
    assert lines == [
        "the agent asks to run a command",
        "  $ # tidy up \\u001b[2J\\u202e\\u000d",
        "  > " + "x" * 5000,
        "  > rm -r /",
        "  warning: it removes [2Jfiles",
        "  in /srv/\\u001b[1mapp on the gate way",
    ]


@pytest.mark.parametrize(
    ("kind", "title"), [("plugin", "the agent asks to use a plugin"), ("n\x1bew", "the agent asks to be allowed (new)")]
)
def test_what_is_no_command_has_a_title(kind: str, title: str) -> None:
    assert [line.text for line in approval_lines(Approval("a", kind=kind, title="Send\na mail"))] == [
        title,
        "  Send a mail",
    ]


def test_a_question_has_numbered_options() -> None:
    assert [line.text for line in item_lines(FREE, "1/2")] == [
        "  1/2 Drink: Which?",
        "    1. Tea",
        "    2. Coffee - black",
        "    3. Hot milk",
    ]
    hostile = QuestionItem("i", "H\x1b[2J\n", "Q\x1b[2J\nmore", (QuestionOption("L\x1b\n", "d\x07"),))
    assert [line.text for line in item_lines(hostile)] == ["  H[2J: Q[2J", "  more", "    1. L - d"]


@pytest.mark.parametrize(
    ("item", "alone", "prompt"),
    [
        (ONE, True, "a number; Enter skips it: "),
        (BOTH, False, "the numbers or text; Enter skips all: "),
        (TEXT, True, "your answer; Enter skips it: "),
        (QuestionItem("i", "", "?", secret=True), True, "your answer, which is not shown; Enter skips it: "),
    ],
)
def test_how_to_answer(item: QuestionItem, alone: bool, prompt: str) -> None:
    assert how_to_answer(item, alone=alone) == prompt


@pytest.mark.parametrize(
    ("expires", "created", "left"),
    [
        (None, None, ""),
        (1000.0, None, ""),
        (999.0, 900.0, ""),
        (1000.2, None, "1 s left"),
        (1060.0, None, "60 s left"),
        (2800.0, 1000.0, "30 min left"),
        (8200.0, None, "2 h left"),
        (6400.0, 4600.0, "30 min left"),
    ],
    ids=["unknown", "now", "over", "soon", "a minute", "half an hour", "hours", "this clock is behind"],
)
def test_the_time_that_is_left(expires: float | None, created: float | None, left: str) -> None:
    raw = {} if created is None else {"createdAtMs": created * 1000}
    question = Question("q", (ONE,), expires_at=expires, raw=raw)
    assert time_left(question, 1000.0) == left
    assert question_lines(question, now=1000.0)[0].text == f"the agent asks{f' · {left}' if left else ''}"


PAIR = Question("q", (ONE, TEXT))


@pytest.mark.parametrize(
    ("texts", "question", "answers"),
    [
        (["Tea"], Question("q", (ONE,)), {"drink": ["Tea"]}),
        (["Tea", "Rum"], Question("q", (SEVERAL,)), {"drink": ["Tea", "Rum"]}),
        (["drink=Tea"], Question("q", (ONE,)), {"drink": ["Tea"]}),
        (["a=b"], Question("q", (ONE,)), {"drink": ["a=b"]}),
        (["name=A=B", "drink=Tea", "drink=Rum"], PAIR, {"name": ["A=B"], "drink": ["Tea", "Rum"]}),
        (["Tea"], None, {"answer": ["Tea"]}),
        (["drink=Tea"], None, {"drink": ["Tea"]}),
    ],
)
def test_answers_on_a_command_line(texts: list[str], question: Question | None, answers: dict[str, list[str]]) -> None:
    assert answers_by_item(texts, question) == answers


@pytest.mark.parametrize("texts", [["s3cret"], ["drink=s3cret"], ["drink=a", "name=b", "x=s3cret"]])
def test_answers_that_do_not_fit_are_refused_and_not_quoted(texts: list[str]) -> None:
    with pytest.raises(UsageError, match="nothing was sent") as caught:
        answers_by_item(texts, PAIR)
    assert "s3cret" not in str(caught.value)
