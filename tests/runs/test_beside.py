"""What is told of a run beside its chat events: files that its answer names, and rows that were written."""

from __future__ import annotations

import msgspec
import pytest

from openclaw_client.runs.events import FileSent
from openclaw_client.runs.usage import from_row
from openclaw_client.wire.agent import AgentPayload
from tests.runs.lives import OLD, PEER, Run, final, lifecycle
from tests.runs.test_details import block, file, question, row

NAMED = msgspec.Raw(msgspec.json.encode({"text": "here", "mediaUrls": ["./a.pdf", "./b.pdf"]}))


def wanting() -> Run:
    """A run whose reply is to have details."""
    run = Run(details=True)
    run.sent().life.answered({"runId": "r", "status": "started"}, 0.0)
    return run


def rows_of(run: Run) -> Run:
    run.life.row(question(4))
    run.life.row(row(5, block("a")))
    return run


def test_what_a_row_says_is_the_reply_s_and_a_file_in_it_is_told() -> None:
    run = rows_of(wanting())
    assert [event for event in run.events if isinstance(event, FileSent)] == [FileSent("r", file("a"))]
    run.life.chat(final("said"), 2.0)
    reply = run.outcome()
    told = from_row(row(5, block("a")))
    assert (reply.usage, reply.model) == (told.usage, told.model)
    assert run.life.details is not None
    assert run.life.details.files == (file("a"),)


def test_a_row_behind_the_end_tells_nothing() -> None:
    run = wanting()
    run.life.chat(final("said"), 1.0)
    rows_of(run)
    assert not any(isinstance(event, FileSent) for event in run.events)


@pytest.mark.parametrize("wanted", [False, True])
def test_files_that_the_answer_names_are_looked_for_where_they_are_wanted(wanted: bool) -> None:
    run = Run(details=wanted).taken()
    run.life.agent(AgentPayload("r", stream="assistant", data=NAMED), 1.0)
    assert run.life.details_search(PEER).media == (2 if wanted else 0)


def test_an_answer_that_names_no_file_has_none_to_look_for() -> None:
    run = wanting()
    run.life.agent(lifecycle(phase="model", provider="mock", model="large"), 1.0)
    search = run.life.details_search(PEER)
    assert (search.media, search.names_files, search.session_key) == (0, True, "main")
    assert not run.life.details_search(OLD).names_files


def test_events_that_were_missed_may_have_named_files() -> None:
    run = rows_of(wanting())
    assert run.life.details is not None
    run.life.gap(1.5, certain=True)
    assert run.life.details is None
    assert run.life.details_search(PEER).media is None
