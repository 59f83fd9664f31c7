"""Which messages of a history page are news, by what is known of the session."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import pytest

from openclaw_client.runs.application import Application
from openclaw_client.runs.catchup import missed
from openclaw_client.runs.place import CUTS, MAX_FRESH, MAX_WORDS, Place
from openclaw_client.runs.proactive import ProactiveAssembler
from openclaw_client.wire.chat import ChatPayload
from openclaw_client.wire.history import HistoryMessage, HistoryPage, InFlightRun

SINCE = 1_000.0
KEY = "agent:main:main"


def user(text: str, at: float, run_id: str | None = None, **meta: Any) -> dict[str, Any]:
    if run_id is not None:
        meta["idempotencyKey"] = f"{run_id}:user"
    return {"role": "user", "content": text, "timestamp": at, "__openclaw": meta}


def assistant(
    text: str, at: float, run_id: str | None = None, stop: str | None = "stop", **more: Any
) -> dict[str, Any]:
    meta = {"id": f"row-{at:g}"} | ({} if run_id is None else {"runId": run_id})
    row = {"role": "assistant", "content": text, "timestamp": at, "stopReason": stop, "__openclaw": meta}
    return {**row, **more}


def injected(text: str, at: float, ident: str | None = None) -> dict[str, Any]:
    row = assistant(text, at, provider="openclaw", model="gateway-injected")
    row["__openclaw"] = {} if ident is None else {"id": ident}
    return row


TOOL = {"role": "toolResult", "content": "ok", "timestamp": 1_003.0}
TURN_2_17 = {"role": "user", "content": 'Info {"message_id": "r"} Hi', "timestamp": 1_001.0}


def page(*rows: dict[str, Any], **rest: Any) -> HistoryPage:
    return HistoryPage([HistoryMessage(row) for row in rows], **rest)


def news(
    found: HistoryPage, place: Place | None = None, *, known: Iterable[str] = (), open_runs: Iterable[str] = ()
) -> list[tuple[str, str, str]]:
    place = place or Place(SINCE)
    messages = missed(found, place, KEY, is_known=set(known).__contains__, is_open=set(open_runs).__contains__)
    return [(message.id, message.kind, message.text) for message in messages]


@pytest.mark.parametrize(
    ("found", "messages"),
    [
        (page(), []),
        # 2026.9.6 names the run in both rows, 2026.6.1 and 2026.2.17 in the user's, 2026.4.15 in none.
        (page(user("Hi", 1_001, "r"), assistant("Hello", 1_002, "r")), [("r", "run", "Hello")]),
        (page(user("Hi", 1_001, "r"), assistant("Hello", 1_002)), [("r", "run", "Hello")]),
        (page(TURN_2_17, assistant("Hello", 1_002)), [("r", "run", "Hello")]),
        (page(user("Hi", 1_001), assistant("Hello", 1_002)), [("row-1002", "run", "Hello")]),
        (page(injected("fyi", 1_001, "i")), [("i", "injected", "fyi")]),
        (page(injected("fyi", 1_001)), [("1001-d24b097ea9c58377", "injected", "fyi")]),
        # A run of several rows is one message; what was injected meanwhile is another.
        (
            page(
                user("Hi", 1_001, "r"),
                assistant("a", 1_002, "r", "toolUse"),
                TOOL,
                injected("fyi", 1_004, "i"),
                assistant("b", 1_005, "r"),
            ),
            [("i", "injected", "fyi"), ("r", "run", "a\n\nb")],
        ),
        # A whole answer, and what was said behind it without a question; rows that name no run.
        (
            page(user("Hi", 1_001), assistant("Hello", 1_002), assistant("By the way", 1_003)),
            [("row-1002", "run", "Hello"), ("row-1003", "run", "By the way")],
        ),
        (
            page(user("Hi", 1_001), assistant("a", 1_002, stop="toolUse"), assistant("b", 1_003)),
            [("row-1003", "run", "ab")],
        ),
        # Steered into a run, answered in it.
        (
            page(
                user("x", 1_001, "f"),
                assistant("a", 1_002, "f"),
                user("y", 1_003, "s", steerTargetRunId="f"),
                assistant("b", 1_004, "f"),
            ),
            [("f", "run", "a\n\nb")],
        ),
        # From before, without words, stopped, failed.
        (page(user("Hi", 1, "r"), assistant("Hello", 999, "r")), []),
        (page(user("Hi", 1_001, "r"), assistant("", 1_002, "r")), []),
        (page(user("Hi", 1_001, "r"), assistant("half", 1_002, "r", "aborted")), []),
        (page(user("Hi", 1_001, "r"), assistant("half", 1_002, "r", "error")), []),
        (page(user("Hi", 1_001, "r"), assistant("half", 1_002, "r", openclawAbort={"aborted": True})), []),
        # It goes on: its end will be heard.
        (page(user("Hi", 1_001, "r"), assistant("half", 1_002, "r", "toolUse")), []),
        (page(user("Hi", 1_001, "r"), assistant("half", 1_002, "r"), active_run_ids=("r",)), []),
        (page(user("Hi", 1_001, "r"), assistant("half", 1_002, "r"), in_flight_run=InFlightRun("r", "half")), []),
        (
            page(user("Hi", 1_001, "r"), assistant("Hello", 1_002, "r"), in_flight_run=InFlightRun("other", "")),
            [("r", "run", "Hello")],
        ),
        # Rows that have no time cannot be told from old ones.
        (page({**assistant("who knows when", 1_001, "r"), "timestamp": None}), []),
    ],
)
def test_what_is_news(found: HistoryPage, messages: list[tuple[str, str, str]]) -> None:
    assert news(found) == messages


IMAGE = {"type": "image", "artifactId": "a1", "mimeType": "image/png"}
CALL = {"type": "toolCall", "id": "c1", "name": "draw"}


@pytest.mark.parametrize(
    ("rows", "content"),
    [
        ([assistant("", 1_002, "r", content=[IMAGE])], (IMAGE,)),
        ([assistant("", 1_002, content=[IMAGE])], (IMAGE,)),
        (
            [assistant("", 1_002, "r", "toolUse", content=[CALL]), TOOL, assistant("", 1_004, "r", content=[IMAGE])],
            (CALL, IMAGE),
        ),
        ([assistant("", 1_002, "r", content=[{"type": "thinking", "thinking": "hm"}])], None),
        ([assistant("", 1_002, "r", "error", content=[IMAGE])], None),
    ],
)
def test_a_missed_message_may_be_an_image_alone(rows: list[dict[str, Any]], content: tuple[Any, ...] | None) -> None:
    found = page(user("draw", 1_001), *rows)
    messages = missed(found, Place(SINCE), "agent:main:cron:job", is_known=lambda _: False, is_open=lambda _: False)
    assert [(message.kind, message.text, message.content) for message in messages] == (
        [] if content is None else [("cron", "", content)]
    )


def test_a_missed_message_has_its_blocks() -> None:
    found = page(user("Hi", 1_001, "r"), assistant("", 1_002, "r", content=[{"type": "text", "text": "Hello"}, IMAGE]))
    (message,) = missed(found, Place(SINCE), KEY, is_known=lambda _: False, is_open=lambda _: False)
    assert (message.text, message.content) == ("Hello", ({"type": "text", "text": "Hello"}, IMAGE))


def test_an_image_that_was_heard_is_no_news_where_rows_name_no_run() -> None:
    found = page(user("draw", 1_001), assistant("", 1_002, content=[IMAGE]))
    place = Place(SINCE)
    place.heard("", 1_002)
    assert news(found, place) == []
    assert news(found) == [("row-1002", "run", "")]


def test_where_rows_have_no_ids_each_message_has_one_of_its_own_and_always_the_same() -> None:
    """Of 2026.2.17: a time is nobody's alone, in a burst or in two sessions."""
    rows = [{**assistant(text, 1_001), "__openclaw": {}} for text in ("one", "two")] + [injected("fyi", 1_001)]
    found = page(*rows)
    idents: set[str] = set()
    for key in (KEY, "agent:main:other"):
        told = [missed(found, Place(SINCE), key, is_known=lambda _: False, is_open=lambda _: False) for _ in range(2)]
        assert told[0] == told[1]
        idents |= {message.id for message in told[0]}
    assert len(idents) == 6


def test_what_is_known_is_no_news() -> None:
    found = page(user("Hi", 1_001, "r"), assistant("Hello", 1_002, "r"), injected("fyi", 1_003, "i"))
    assert news(found, known=["r"]) == [("i", "injected", "fyi")]
    assert news(found, known=["inject-i"]) == [("r", "run", "Hello")]


def test_a_run_that_was_heard_to_begin_is_news_whenever_it_began() -> None:
    found = page(user("Hi", 1, "r"), assistant("Hello", 2, "r"))
    assert news(found, open_runs=["r"]) == [("r", "run", "Hello")]


def test_without_run_ids_words_tell_what_was_heard_or_is_ones_own() -> None:
    found = page(
        user("[Mon] theirs", 1_001),
        assistant("Hello", 1_002),
        user("[Mon] mine", 1_003),
        assistant("Hello", 1_004),
        user("[Mon] theirs", 1_005),
        assistant("with a tool", 1_006),
        user("[Mon] theirs again", 1_007),
        assistant("Hello", 1_008),
    )
    place = Place(SINCE)
    place.note_sent("mine")
    place.heard("Hello", 1_002.5)
    place.heard("with  a tool", 1_006.5)
    # One "Hello" was heard; the other two are another client's and one's own.
    assert news(found, place) == [("row-1008", "run", "Hello")]


def test_a_place_moves_behind_what_was_looked_at() -> None:
    place = Place(SINCE)
    first = page(user("Hi", 1_001, "r"), assistant("Hello", 1_002, "r"))
    assert news(first, place) == [("r", "run", "Hello")]
    assert news(first, place) == []
    assert place.row_id == "row-1002"
    # By the row, whatever its time is.
    later = page(*first.messages, user("Next", 5, "s"), assistant("more", 6, "s"))
    assert news(later, place) == [("s", "run", "more")]


def test_a_place_stays_before_what_goes_on() -> None:
    place = Place(SINCE)
    rows = [
        user("Hi", 1_001, "r"),
        assistant("a", 1_002, "r"),
        user("x", 1_003, "s"),
        assistant("b", 1_004, "s", "toolUse"),
    ]
    assert news(page(*rows), place) == [("r", "run", "a")]
    assert news(page(*rows, TOOL, assistant("c", 1_006, "s")), place) == [("s", "run", "b\n\nc")]
    begun = Place(SINCE)
    assert news(page(assistant("b", 1_004, "s", "toolUse")), begun) == []
    assert begun == Place(SINCE)


def test_what_was_heard_behind_the_place_is_kept() -> None:
    place = Place(SINCE)
    place.heard("gone by", 900)
    place.heard("heard while the page was made", 2_000)
    assert news(page(assistant("Hello", 1_002, "r")), place) == [("r", "run", "Hello")]
    assert [heard.at_ms for heard in place.said] == [2_000]
    assert place.consume("heard while the page was made")


def test_many_words_move_the_place_forward() -> None:
    place = Place(SINCE)
    for number in range(MAX_WORDS + 2):
        place.heard(str(number), 2_000.0 + number)
    assert place.since_ms == 2_001.0
    assert len(place.said) == MAX_WORDS


@pytest.mark.parametrize(
    ("found", "row_id", "reached"),
    [
        (page(assistant("old", 999)), None, True),
        (page(assistant("new", 1_001)), None, False),
        (page(assistant("new", 1_001)), "row-1001", True),
        (page(assistant("new", 1_001), has_more=False), None, True),
        (page({"role": "assistant", "content": "when?"}), None, False),
        (page(), None, False),
    ],
)
def test_whether_a_page_goes_back_far_enough(found: HistoryPage, row_id: str | None, reached: bool) -> None:
    assert Place(SINCE, row_id).reached_by(found) is reached


@pytest.mark.parametrize(
    ("key", "kind"),
    [(KEY, "run"), ("agent:main:cron:daily", "cron"), ("agent:main:subagent:1", "subagent")],
)
def test_the_kind_by_the_session(key: str, kind: str) -> None:
    found = page(assistant("Hello", 1_002, "r"))
    [message] = missed(found, Place(SINCE), key, is_known=set[str]().__contains__, is_open=set[str]().__contains__)
    assert (message.kind, message.session_key, message.run_id) == (kind, key, "r")


def test_an_assembler_tells_what_it_knows_and_hears() -> None:
    assembler = ProactiveAssembler()
    assembler.receive(ChatPayload(run_id="r", session_key=KEY, state="delta", message="Hel"))
    assert (assembler.has_open("r"), assembler.is_known("r"), assembler.open_sessions()) == (True, False, [KEY])
    assembler.finished("r")
    assert (assembler.has_open("r"), assembler.is_known("r"), assembler.open_sessions()) == (False, True, [])


def burst(first: int, count: int) -> list[dict[str, Any]]:
    """Messages of one millisecond, without a question and without the name of a run."""
    return [assistant(f"word {number}", 2_000) for number in range(first, first + count)]


@pytest.mark.parametrize(
    ("heard", "told"),
    [
        (range(200), []),
        (range(190), [f"word {number}" for number in range(190, 200)]),
        # Nothing of what was heard is on the page any more.
        (range(-100, 0), [f"word {number}" for number in range(200)]),
    ],
    ids=["all of it", "not the end", "none of it"],
)
def test_after_a_burst_the_order_of_the_words_tells_what_was_heard(heard: range, told: list[str]) -> None:
    place = Place(SINCE)
    for number in heard:
        # The clock of the gateway is known to a few milliseconds only.
        place.heard(f"word {number}", 1_995.0)
    assert [text for _, _, text in news(page(*burst(0, 200)), place)] == told


@pytest.mark.parametrize("missed_since", [0, 3])
def test_what_was_heard_since_the_row_of_the_last_look_is_no_news(missed_since: int) -> None:
    """On a busy machine the gateway's clock seems to be behind, so that all of a burst is dated behind the place."""
    rows = [row | {"__openclaw": {"id": f"i{number}"}} for number, row in enumerate(burst(0, 1_000))]
    place = Place(SINCE)
    assert len(news(page(*rows[:50]), place)) == 50
    assert place.row_id == "i49"
    for number in range(50, 1_000 - missed_since):
        place.heard(f"word {number}", 1_001.0)
    told = [text for _, _, text in news(page(*rows), place)]
    assert told == [f"word {number}" for number in range(1_000 - missed_since, 1_000)]


@pytest.mark.parametrize("on_the_page", [0, 6, 100])
@pytest.mark.parametrize("while_asked", [6, 100])
def test_what_is_heard_while_a_page_is_asked_for_hides_nothing_that_was_heard_before_or_missed(
    while_asked: int, on_the_page: int
) -> None:
    """A burst, three messages missed, and another burst, of which the page has a part or nothing."""
    place = Place(SINCE)
    for number in range(200):
        place.heard(f"word {number}", 1_995.0)
    place.ask()
    for number in range(203, 203 + while_asked):
        place.heard(f"word {number}", 1_995.0)
    rows = burst(0, 203 + min(while_asked, on_the_page))
    assert [text for _, _, text in news(page(*rows), place)] == ["word 200", "word 201", "word 202"]
    place.settle()
    # What the page had not will be on the next one.
    assert len(place.said) == min(MAX_WORDS, max(0, while_asked - on_the_page))


def test_what_is_heard_while_no_page_comes_does_not_move_the_place() -> None:
    """A gateway may refuse its history for an hour, in which hundreds of messages are heard."""
    place = Place(SINCE)
    place.ask()
    rows = [assistant(f"word {number}", 1_001.0 + number) for number in range(3 * MAX_WORDS)]
    for number in range(1, 3 * MAX_WORDS):
        place.heard(f"word {number}", 1_001.0 + number)
        # Asked for again, and again in vain.
        place.ask()
    assert [text for _, _, text in news(page(*rows), place)] == ["word 0"]
    place.settle()
    assert place.since_ms > 1_001.0 + 3 * MAX_WORDS - 2


def test_what_is_heard_meanwhile_is_bounded() -> None:
    place = Place(SINCE)
    place.ask()
    for number in range(MAX_FRESH + 5):
        place.heard(f"word {number}", 1_001.0)
    assert place.fresh is not None
    assert len(place.fresh) == MAX_FRESH
    assert not place.consume("word 4")
    assert place.consume("word 5")
    assert len(place.fresh) == MAX_FRESH - 1


def test_a_page_that_is_asked_for_again_hides_nothing_heard_since_the_first_asking() -> None:
    place = Place(SINCE)
    place.ask()
    place.heard("word 0", 1_995.0)
    place.ask()
    assert [text for _, _, text in news(page(*burst(0, 2)), place)] == ["word 1"]


CUT = "begin\n...(truncated)..."


def cut_text(text: str, cut: int) -> str:
    """As a gateway cuts it, which counts halves of some characters and leaves one at the end."""
    units = text.encode("utf-16-le")
    return units[: 2 * cut].decode("utf-16-le", "replace") + "\n...(truncated)..."


@pytest.mark.parametrize("cut", CUTS)
@pytest.mark.parametrize("word", ["word ", "w\n\n", "\U0001f600", "a\U0001f600"], ids=["word", "lines", "face", "odd"])
def test_a_long_text_that_the_gateway_cuts_is_known_by_its_beginning(cut: int, word: str) -> None:
    text = word * (cut // len(word) + 10)
    shown = assistant(cut_text(text, cut), 1_002)
    other = f"{text[:3_000]}!{text[3_001:]}"
    for heard, told in ((text, 0), (text + "and more", 0), (text[:9], 1), (f"x{text}", 1), (other, 1)):
        place = Place(SINCE)
        place.heard(heard, 1_001)
        assert len(news(page(user("Hi", 1_001), shown), place)) == told
    # For one row each.
    place = Place(SINCE)
    place.heard(text, 1_001)
    found = page(user("Hi", 1_001), shown, user("Again", 1_003), {**shown, "timestamp": 1_004, "__openclaw": {}})
    assert len(news(found, place)) == 1


def test_of_a_message_that_is_left_out_any_words_may_be_those_heard() -> None:
    left_out = assistant("[chat.history omitted: message too large]", 1_002)
    place = Place(SINCE)
    place.heard("however long it was", 1_001)
    assert news(page(user("Hi", 1_001), left_out), place) == []
    assert len(news(page(user("Hi", 1_003), {**left_out, "timestamp": 1_004, "__openclaw": {}}), place)) == 1


def test_what_is_cut_behind_the_place() -> None:
    rows = [assistant(CUT, 999), user(CUT, 1_001), assistant("whole", 1_002), assistant(CUT, 1_003)]
    assert [row["timestamp"] for row in Place(SINCE).cut_rows(page(*rows))] == [1_003]
    assert Place(SINCE, row_id="row-1003").cut_rows(page(*rows)) == []


def test_ones_own_words_are_known_however_the_gateway_writes_them_down() -> None:
    place = Place(SINCE)
    place.note_sent("cafe\u0301\x07 Hi")
    assert news(page(user("caf\u00e9 Hi", 1_001), assistant("Hello", 1_002)), place) == []


def test_a_message_that_only_ends_with_ones_own_words_is_news() -> None:
    place = Place(SINCE)
    place.note_sent("go")
    foreign = page(user("Let it go", 1_001), assistant("Foreign", 1_002))
    assert [text for _, _, text in news(foreign, place)] == ["Foreign"]
    assert news(page(user("[Mon] go", 1_003), assistant("Own", 1_004)), place) == []


def test_a_message_without_words_is_not_known_by_them() -> None:
    place = Place(SINCE)
    for message in ("mine", " \x07 "):
        place.note_sent(message)
    assert [words.length for words in place.sent] == [4]


def test_the_word_for_silence_is_no_message() -> None:
    place = Place(0.0)
    found = page(user("Go", 1.0, "r"), assistant("NO_REPLY", 2.0, "r", stop="stop"))
    assert missed(found, place, "s", is_known=lambda _: False, is_open=lambda _: False) == []


def test_behind_a_run_without_an_end_each_message_is_looked_at_once() -> None:
    """The run of a gateway that crashed behind a tool call has none, and stays on the page."""
    place = Place(SINCE)
    place.note_sent("mine")
    place.heard("live", 1_006.0)
    stuck = (user("x", 1_001), assistant("", 1_002, stop="toolUse", content=[CALL]))
    mine, live = (user("mine", 1_003), assistant("own", 1_004)), (user("y", 1_005), assistant("live", 1_006))
    other = user("z", 1_007), assistant("missed", 1_008)
    found = page(*stuck, *mine, *live, *other)
    assert news(found, place) == [("row-1008", "run", "missed")]
    assert news(found, place) == []
    later = user("z", 1_009), assistant("live", 1_010)
    assert news(page(*stuck, *mine, *live, *other, *later), place) == [("row-1010", "run", "live")]
    over = assistant("now", 1_002.5)
    assert news(page(*stuck, over, *mine, *live, *other, *later), place) == [("row-1002.5", "run", "now")]
    assert place.looked == frozenset()


@pytest.mark.parametrize(
    ("found", "kind"),
    [
        (page(user("Hi", 1_001, "shop-1"), assistant("Hello", 1_002, "shop-1")), "reply"),
        # The user's row alone has the key; or the message met another run, which answers it.
        (page(user("Hi", 1_001, "shop-1"), assistant("Hello", 1_002)), "reply"),
        (page(user("Hi", 1_001, "shop-1"), assistant("Hello", 1_002, "other")), "reply"),
        (page(user("Hi", 1_001, "r"), assistant("Hello", 1_002, "r")), "run"),
        (page(user("Hi", 1_001), assistant("Hello", 1_002)), "run"),
        (page(injected("fyi", 1_001, "shop-1")), "injected"),
    ],
)
def test_a_missed_run_of_another_process_of_this_application_is_a_reply(found: HistoryPage, kind: str) -> None:
    application = Application("shop")
    (message,) = missed(
        found, Place(SINCE), KEY, is_known=lambda _: False, is_open=lambda _: False, application=application
    )
    assert message.kind == kind
