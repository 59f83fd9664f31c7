"""The test of promises sees what it is there to see: faults that are planted in the machine.

Each is seen by the test of promises within few scripts, which are the same in every run and pass without a fault; or by
the example that stands beside it. Those of which both see something are in both tables.
"""

from __future__ import annotations

import random
from collections.abc import Callable

import pytest

from tests.runs import test_inquiry, test_life_answers, test_life_connection, test_life_events
from tests.runs.faults import FAULTS
from tests.runs.life_script import play, some_script

SCRIPTS = 800
STEPS = 40
RARE = {
    "a question from a silence stays one",
    "a message is unanswered after a silence without a connection",
    # A run is followed where two pages name it.
    "the steered message follows the run it was steered into",
    "a run is followed that one page names",
    # A run has to start again while it is followed, and events to be lost behind it.
    "the start of a run that is followed is the message's own",
    # The process has to die within the moment in which the rows are not yet there.
    "what died before it was written down is taken for silence",
}
"""Of these the scripts see one in a thousand."""
BY_SCRIPTS = [name for name in FAULTS if name not in RARE]
BY_EXAMPLES: dict[str, Callable[[], None]] = {
    # It takes a page that comes late, wire v3, and a silence at the right moment.
    "a question from a silence stays one": test_inquiry.test_a_question_that_came_of_a_silence,
    "no second question after a gap during one": test_life_connection.test_a_gap_while_a_page_is_read_asks_once_more,
    "an older page is followed": test_life_connection.test_a_page_from_before_a_cut_does_nothing,
    "a run is followed that one page names": (
        test_life_answers.test_a_run_in_flight_of_which_only_one_page_tells_is_not_followed
    ),
    "what died before it was written down is taken for silence": (
        test_life_events.test_what_died_before_it_was_written_down_is_no_silence
    ),
    "a second end": lambda: test_life_connection.test_every_input_once_more_behind_every_other_input_that_ends(5),
    "a page that shows nothing is a sign of life": (
        test_life_answers.test_a_key_that_may_be_forgotten_is_not_sent_again
    ),
    "the start of a run that is followed is the message's own": (
        test_life_answers.test_a_followed_run_that_starts_is_followed_on
    ),
    "that a run was stopped is forgotten": (
        test_life_events.test_a_run_that_was_stopped_ends_so_whatever_its_final_says
    ),
    "the steered message follows the run it was steered into": (
        test_life_answers.test_a_steered_message_has_what_stands_behind_its_row
    ),
    "a message is unanswered after a silence without a connection": (
        test_life_connection.test_nothing_is_unanswered_while_nothing_can_be_heard
    ),
    "a loss is told twice": test_life_connection.test_a_loss_and_a_return_are_told_once,
    "a return is told twice": test_life_connection.test_a_loss_and_a_return_are_told_once,
}


def first_failure() -> Exception | None:
    for seed in range(SCRIPTS):
        style, script = some_script(random.Random(seed), STEPS)
        try:
            play(style, script)
        except Exception as error:  # noqa: BLE001 - whatever the fault does
            return error
    return None


def test_without_a_fault_nothing_is_seen() -> None:
    assert first_failure() is None


@pytest.mark.parametrize("name", BY_SCRIPTS)
def test_a_planted_fault_is_seen(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    FAULTS[name](monkeypatch)
    assert first_failure() is not None


@pytest.mark.parametrize("name", BY_EXAMPLES)
def test_a_planted_fault_is_seen_by_its_example(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    example = BY_EXAMPLES[name]
    example()
    FAULTS[name](monkeypatch)
    with pytest.raises((AssertionError, KeyError, ValueError)):
        example()
