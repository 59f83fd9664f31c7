"""Rows of a page: where a message stands, and how far back a page goes."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from openclaw_client.runs.rows import MessageQuery, is_pending, reaches, turn_of, was_reset, was_shared
from openclaw_client.runs.words import digest_of
from openclaw_client.wire.history import HistoryPage, InputReceipt
from tests.runs.pages import SENT, assistant, collected, page, pending, steered, user

QUESTION = MessageQuery("r", "Hi", SENT)


def test_how_far_back_a_page_goes() -> None:
    assert reaches(page(user("Hi", "r")), QUESTION)
    assert reaches(page(user("Hi")), QUESTION)
    assert reaches(replace(page(), has_more=False), QUESTION)
    assert reaches(page(user("No", at=SENT - 1_000)), QUESTION)
    assert not reaches(page(user("No", at=SENT - 1_000)), replace(QUESTION, before=True))
    assert not reaches(page(user("No"), user("No", at=None)), QUESTION)
    assert not reaches(page(), QUESTION)


@pytest.mark.parametrize(
    ("found", "index"),
    [
        (page(user("x", "s"), user("Hi", "r")), 1),
        # A receipt names the row that holds the words (2026.9.6).
        (
            replace(
                page(user("all", id="e1"), user("x", "s", id="e2")), receipts=(InputReceipt("r", "consumed", "e1"),)
            ),
            0,
        ),
        (replace(page(user("x", id="e1")), receipts=(InputReceipt("r", "pending"),)), None),
        (replace(page(user("x", id="e1")), receipts=(InputReceipt("s", "consumed", "e1"),)), None),
        # One row of several messages is known by their words.
        (page(collected("One", "Hi"), assistant("a")), 0),
        (page(collected("Hi", "Two"), collected("Hi", "Three")), 1),
        (page(collected("One", "Two")), None),
        (page(collected("Hi", at=SENT - 1_000)), None),
        (page(user("---\nHi")), 0),
        (page({**assistant("Hi"), "timestamp": SENT}), None),
    ],
)
def test_where_a_message_stands(found: HistoryPage, index: int | None) -> None:
    assert turn_of(found, QUESTION) == index


@pytest.mark.parametrize(
    ("texts", "index"),
    [
        # Another message that only ends with the words.
        (["Go to Chicago", "go"], 1),
        (["Go to Chicago"], None),
        (["Let it go"], None),
        (["Please\ngo", "go"], 1),
        # What gateways put in front.
        (["Let it go", "[Sun 2026-11-22 17:12 UTC] go"], 1),
        (["Sender:\n{}\n\ng o\n"], 0),
        (["[x] Let it go"], None),
        (["go", "go"], 0),
    ],
)
def test_a_message_is_known_by_its_words_and_not_by_their_end(texts: list[str], index: int | None) -> None:
    assert turn_of(page(*map(user, texts)), MessageQuery("r", "go", SENT)) == index


def test_words_that_may_be_two_messages_tell_nothing_where_the_time_is_not_known() -> None:
    question = MessageQuery("r", "go", SENT, before=True)
    assert turn_of(page(user("Let it go"), user("go")), question) == 1
    assert turn_of(page(user("[Sun 2026-11-22 17:12 UTC] go"), user("go")), question) is None


def test_a_collected_row_holds_a_message_and_not_the_end_of_one() -> None:
    assert turn_of(page(collected("Let it go", "x")), MessageQuery("r", "go", SENT)) is None
    assert turn_of(page(collected("Let it go", "go")), MessageQuery("r", "go", SENT)) == 0


def test_a_collected_row_is_not_found_without_words() -> None:
    assert turn_of(page(collected("Hi")), MessageQuery("r", "", SENT)) is None


@pytest.mark.parametrize(
    ("rows", "shared"),
    [
        ([user("Hi", "r"), assistant("a")], False),
        ([assistant("a"), user("Hi", "r"), assistant("b")], False),
        ([user("Hi", "r"), user("x", "s"), assistant("a")], True),
        ([user("x", "s"), user("Hi", "r"), assistant("a")], True),
        ([assistant("a"), steered("r", "f"), assistant("b")], True),
        ([collected("Hi", "x"), assistant("a")], True),
    ],
)
def test_whether_an_answer_is_for_others_too(rows: list[dict[str, Any]], shared: bool) -> None:
    found = page(*rows)
    start = turn_of(found, QUESTION)
    assert start is not None
    assert was_shared(found.messages, start) is shared


def test_what_waits() -> None:
    assert is_pending(pending(page(), "s", "r"), "r")
    assert not is_pending(pending(page(), "s"), "r")
    assert not is_pending(pending(page(), "r", state="cancelled"), "r")


def test_a_reset_leaves_one_system_row() -> None:
    reset = {"role": "system", "content": "reset", "timestamp": SENT + 1_000}
    assert was_reset(page(reset), QUESTION)
    assert not was_reset(page(reset | {"timestamp": SENT - 1_000}), QUESTION)
    assert not was_reset(page(user("Hi", "r")), QUESTION)
    assert not was_reset(page(reset), replace(QUESTION, before=True))


def test_a_message_of_which_only_the_digest_was_stored_is_known_by_it() -> None:
    question = MessageQuery("r", "", SENT, digest=digest_of("Caf\u00e9 Hi"))
    assert turn_of(page(user("other"), user("Cafe\u0301  Hi\x07"), user("later")), question) == 1
    assert turn_of(page(user("Caf\u00e9 Hi!")), question) is None
    assert turn_of(page(user("Hi")), MessageQuery("r", "", SENT)) is None
