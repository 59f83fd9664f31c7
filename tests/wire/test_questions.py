"""Questions out of the gateway's payloads."""

from __future__ import annotations

import pickle
from typing import Any

import pytest

from openclaw_client.wire.questions import (
    QuestionEnd,
    QuestionItem,
    QuestionOption,
    question_end_from,
    question_from,
    questions_from,
)

ASKED = {
    "id": "ask_1",
    "questions": [
        {
            "questionId": "drink",
            "header": "Drink",
            "question": "What do you drink?",
            "options": [{"label": "Tea", "description": "hot"}, "Water", 5],
            "isOther": True,
        },
        {"id": "pw", "question": "Password?", "isSecret": True, "multiSelect": True},
    ],
    "agentId": "main",
    "sessionKey": "agent:main:s",
    "runId": "r",
    "expiresAtMs": 900_000,
    "status": "pending",
}


def test_a_question() -> None:
    question = question_from(ASKED)
    assert question is not None
    assert question.items == (
        QuestionItem(
            "drink",
            "Drink",
            "What do you drink?",
            (QuestionOption("Tea", "hot"), QuestionOption("Water")),
            free_text=True,
        ),
        QuestionItem("pw", "", "Password?", multiple=True, free_text=True, secret=True),
    )
    assert (question.header, question.text) == ("Drink", "What do you drink?\nPassword?")
    assert question.options == question.items[0].options
    assert question.secret
    assert (question.run_id, question.session_key, question.expires_at) == ("r", "agent:main:s", 900.0)
    assert pickle.loads(pickle.dumps(question)) == question


@pytest.mark.parametrize(
    "payload",
    [
        None,
        {},
        {"id": "q", "questions": []},
        {"id": "q", "questions": "Tea?"},
        {"questions": ASKED["questions"]},
        # One that cannot be read could not be answered, and they are answered together.
        {"id": "q", "questions": [ASKED["questions"][0], {"questionId": "x"}]},  # type: ignore[index]
        {"id": "q", "questions": [5]},
    ],
)
def test_what_cannot_be_answered_is_none(payload: Any) -> None:
    assert question_from(payload) is None


@pytest.mark.parametrize(
    ("payload", "closing"),
    [
        ({"id": "q", "status": "answered", "answers": {}}, QuestionEnd("q", "answered")),
        ({"id": "q", "status": "cancelled"}, QuestionEnd("q", "cancelled")),
        ({"id": "q", "status": "expired"}, QuestionEnd("q", "expired")),
        ({"id": "q", "status": "of-a-later-release"}, QuestionEnd("q", "gone")),
        ({"id": "q"}, QuestionEnd("q", "gone")),
        ({"id": "q", "status": "pending"}, None),
        ({"status": "answered"}, None),
        (None, None),
    ],
)
def test_how_one_ended(payload: Any, closing: QuestionEnd | None) -> None:
    assert question_end_from(payload) == closing


def test_a_list() -> None:
    assert [one.id for one in questions_from({"questions": [ASKED, {}]})] == ["ask_1"]
    assert questions_from("?") == []
