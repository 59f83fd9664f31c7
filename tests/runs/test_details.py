"""What a reply took, and which files came with it, by the rows of its run."""

from __future__ import annotations

from typing import Any

import pytest

from openclaw_client.runs.details import (
    MAX_LOOKS,
    MAX_RUN_FILES,
    DetailsSearch,
    HeardDetails,
    ReplyDetails,
    with_details,
)
from openclaw_client.runs.events import ChatReply
from openclaw_client.runs.rows import MessageQuery
from openclaw_client.wire.files import AgentFile
from openclaw_client.wire.history import HistoryMessage, HistoryPage
from openclaw_client.wire.usage import Usage

RUN = "run-1"
CALL = {"type": "toolCall", "id": "c1", "name": "read"}
TEXT = {"type": "text", "text": "Hello"}
FAILED = {"type": "attachment_error", "attachment": {"code": "file-not-found", "label": "gone.pdf"}}
UNNAMED = {"type": "image", "url": "/x", "alt": "t.png", "mimeType": "image/png"}
MIRROR = {"provider": "openclaw", "model": "delivery-mirror", "usage": {"input": 0, "output": 0}, "stopReason": "stop"}


def file(ident: str) -> AgentFile:
    return AgentFile(ident, f"{ident}.pdf", "application/pdf", 46, "main", RUN)


def block(ident: str) -> dict[str, Any]:
    told = {"artifactId": ident, "kind": "document", "label": f"{ident}.pdf", "mimeType": "application/pdf"}
    return {"type": "attachment", "attachment": {**told, "sizeBytes": 46}}


def row(place: int | None, *content: dict[str, Any], end: str | None = "stop", **more: Any) -> HistoryMessage:
    meta = {"runId": RUN} if place is None else {"runId": RUN, "seq": place}
    said = {"usage": {"input": 1, "output": 2}, "model": "large", "provider": "mock", "stopReason": end, **more}
    return HistoryMessage({"role": "assistant", "content": list(content), "__openclaw": meta, **said})


def question(place: int | None) -> HistoryMessage:
    meta = {} if place is None else {"seq": place}
    return HistoryMessage(
        {"role": "user", "content": "hi", "idempotencyKey": f"{RUN}:user", "timestamp": 1000, "__openclaw": meta}
    )


def result(place: int) -> HistoryMessage:
    return HistoryMessage({"role": "toolResult", "content": [], "__openclaw": {"runId": RUN, "seq": place}})


def heard(*rows: HistoryMessage, media: tuple[str, ...] = ()) -> HeardDetails:
    found = HeardDetails()
    found.media(media)
    for one in rows:
        found.row(one, "main")
    return found


# What events tell


def test_a_subscription_tells_all_of_a_run_with_a_tool() -> None:
    found = heard(question(4), row(5, CALL, end="toolUse"), row(7, TEXT, model="larger"))
    assert found.whole == ReplyDetails(Usage({"input": 2, "output": 4}), "larger", "mock", ())


@pytest.mark.parametrize(
    "rows",
    [
        [],
        [row(5, TEXT)],
        [question(4)],
        [question(4), row(5, CALL, end="toolUse")],
        [question(4), row(5, TEXT, end=None)],
        # One is missing, one has no number, one comes twice, and one before it should.
        [question(4), row(6, TEXT)],
        [question(None), row(5, TEXT)],
        [question(4), row(None, TEXT)],
        [question(4), row(5, TEXT), row(5, TEXT)],
        [question(4), row(6, CALL, end="toolUse"), row(5, TEXT)],
        # The last is what a tool sent.
        [question(4), row(5, TEXT, **MIRROR)],
    ],
)
def test_where_rows_are_missing_nothing_is_known(rows: list[HistoryMessage]) -> None:
    assert heard(*rows).whole is None


def test_a_file_that_a_tool_sent_is_new_once() -> None:
    found = heard(question(4), row(5, CALL, end="toolUse"))
    sent = row(6, TEXT, block("a"), block("b"), **MIRROR)
    assert found.row(sent, "main") == [file("a"), file("b")]
    assert found.row(sent, "main") == []
    assert found.row(result(7), "main") == []


def test_files_of_tools_are_part_of_what_is_known() -> None:
    rows = [question(4), row(5, CALL, end="toolUse"), row(6, block("a"), **MIRROR), row(8, TEXT)]
    assert heard(*rows).whole == ReplyDetails(Usage({"input": 2, "output": 4}), "large", "mock", (file("a"),))


def test_a_file_of_the_answer_is_waited_for_although_a_tool_sent_another() -> None:
    rows = [question(4), row(5, CALL, end="toolUse"), row(6, block("a"), **MIRROR), row(8, TEXT)]
    found = heard(*rows, media=("./t.pdf", "./t.pdf"))
    assert (found.expected, found.whole) == (1, None)


def test_what_is_told_of_one_run_is_bounded() -> None:
    found = heard(question(1), media=tuple(map(str, range(MAX_RUN_FILES + 1))))
    assert found.expected == MAX_RUN_FILES
    assert (
        len(found.row(row(2, *(block(f"f{number}") for number in range(MAX_RUN_FILES + 1))), "main")) == MAX_RUN_FILES
    )
    assert found.row(row(3, block("one-more")), "main") == []


# What the history tells


def search(media: int | None = 0, *, names_files: bool = True, run_id: str = RUN) -> DetailsSearch:
    return DetailsSearch(MessageQuery(run_id, "hi", 1000.0), "main", media, names_files)


def page(*rows: HistoryMessage) -> HistoryPage:
    return HistoryPage(list(rows))


ALL = ReplyDetails(Usage({"input": 2, "output": 4}), "large", "mock", (file("a"),))


def test_the_rows_of_a_run_are_added() -> None:
    rows = page(question(1), row(2, CALL, end="toolUse"), result(3), row(4, TEXT, block("a")), question_of_another(5))
    assert search().look(rows) == (ALL, True)
    assert search(1).look(rows) == (ALL, True)
    # What the agent did not send with its answer stands beside it.
    mirrored = page(question(1), row(2, CALL, end="toolUse"), row(3, block("a"), **MIRROR), row(5, TEXT))
    assert search(0).look(mirrored) == (ALL, True)
    assert search(1).look(mirrored) == (ReplyDetails(ALL.usage, "large", "mock"), False)


def question_of_another(place: int) -> HistoryMessage:
    return HistoryMessage(
        {"role": "user", "content": "yo", "idempotencyKey": "other:user", "__openclaw": {"seq": place}}
    )


def test_rows_that_name_no_run_are_those_up_to_the_next_message() -> None:
    plain = [HistoryMessage({**one, "__openclaw": {}}) for one in (row(2, CALL, end="toolUse"), row(3, TEXT))]
    foreign = row(4, TEXT)
    foreign["__openclaw"] = {"runId": "other"}
    rows = page(question(1), *plain, foreign, question_of_another(5), row(6, TEXT, usage={"input": 9}))
    rows.messages[-1]["__openclaw"] = {}
    assert search(names_files=False).look(rows) == (ReplyDetails(ALL.usage, "large", "mock"), True)


@pytest.mark.parametrize(
    "rows",
    [
        [],
        [question(1)],
        [question(1), row(2, CALL, end="toolUse")],
        [question(1), row(2, {"type": "text", "text": "[chat.history omitted: message too large]"})],
        [question_of_another(1), row(2, TEXT, __openclaw={"runId": "other"})],
    ],
)
def test_without_all_rows_nothing_is_known(rows: list[HistoryMessage]) -> None:
    assert search(run_id=RUN).look(page(*rows)) == (ReplyDetails(), False)


def test_a_file_that_was_not_sent_is_not_waited_for() -> None:
    nothing = (ReplyDetails(Usage({"input": 1, "output": 2}), "large", "mock", ()), True)
    assert search(1).look(page(question(1), row(2, TEXT, FAILED))) == nothing
    # One without an id cannot be downloaded, and is not among the files.
    assert search(1).look(page(question(1), row(2, TEXT, UNNAMED))) == nothing


def test_where_it_was_not_heard_whether_a_file_is_to_come_it_is_looked_once_more() -> None:
    found = search(None).look(page(question(1), row(2, TEXT)))
    assert (found.details.files, found.settled) == ((), False)
    assert search(None).look(page(question(1), row(2, TEXT, block("a")))).settled
    assert tuple(search(None).pauses()) == (1.0,)


def test_pauses() -> None:
    assert tuple(search(0).pauses()) == tuple(search(3, names_files=False).pauses()) == ()
    pauses = tuple(search(1).pauses())
    assert pauses == pytest.approx((0.1, 0.2, 0.4, 0.8, 1.6, 2.0))
    assert len(pauses) == MAX_LOOKS - 1


def test_a_reply_keeps_what_its_events_told() -> None:
    reply = ChatReply("t", "r", "final", "main", usage=Usage({"input": 1}), model="small", provider="mock")
    assert with_details(reply, ReplyDetails()) == reply
    more = with_details(reply, ALL)
    assert (more.usage, more.model, more.provider, more.files) == (ALL.usage, "large", "mock", (file("a"),))
