"""A place as it is stored: another process decides by it as the one that stored it would have."""

from __future__ import annotations

import struct
from collections.abc import Callable
from copy import deepcopy
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from openclaw_client.chat.history_pages import MAX_CHARS
from openclaw_client.journal.protocol import KeptPlace
from openclaw_client.runs.catchup import missed
from openclaw_client.runs.place import CUTS, FORMAT, MAX_FRESH, MAX_IDS, MAX_WORDS, PackedPlace, Place
from openclaw_client.runs.words import as_written_down, ends_with
from openclaw_client.wire.history import HistoryPage
from tests.runs.test_catchup import KEY, assistant, burst, injected, page, user

WORDS = st.sampled_from(["go", "Let it go", "cafe\u0301", "x y", "", "z" * 9_000, "\U0001f600" * 7_000])
RUNS = st.sampled_from(["r1", "r2", "r3", "inject-row-5"])
Step = Callable[[Place], object]


@st.composite
def pages(draw: st.DrawFn) -> HistoryPage:
    """Rows of every release, in the order of their times; some cut, some of runs that go on."""
    rows: list[dict[str, Any]] = []
    at = draw(st.integers(0, 20))
    for _ in range(draw(st.integers(0, 8))):
        at += draw(st.integers(0, 3))
        text, run = draw(WORDS), draw(st.none() | RUNS)
        if len(text) > 8_000 and draw(st.booleans()):
            text = f"{text[:8_000]}\n...(truncated)..."
        kind = draw(st.sampled_from(["user", "stamped", "run", "goes on", "injected"]))
        if kind in ("user", "stamped"):
            rows.append(user(f"[Mon] {text}" if kind == "stamped" else text, at, run))
        elif kind == "injected":
            rows.append(injected(text, at, draw(st.none() | st.just(f"row-{at}"))))
        else:
            rows.append(assistant(text, at, run, "stop" if kind == "run" else "toolUse"))
    return page(*rows, session_id=draw(st.none() | st.just("one")))


def looked(found: HistoryPage, place: Place, known: set[str] = frozenset()) -> list[Any]:  # type: ignore[assignment]
    return missed(deepcopy(found), place, KEY, is_known=known.__contains__, is_open=lambda _: False)


def burst_of(place: Place, at: float) -> None:
    # Of what is heard while a page is asked for, no more than so many are stored.
    place.settle()
    for number in range(MAX_WORDS):
        place.heard(f"w{number}", at)


def steps() -> st.SearchStrategy[Step]:
    times = st.integers(0, 40).map(float)
    return st.one_of(
        st.builds(lambda text: lambda place: place.note_sent(text), WORDS),
        st.builds(lambda text, at: lambda place: place.heard(text, at), WORDS, times),
        st.builds(lambda at: lambda place: burst_of(place, at), times),
        st.builds(lambda run: lambda place: place.note_known(run), RUNS),
        st.builds(lambda found: lambda place: looked(found, place), pages()),
        st.just(lambda place: place.ask()),
        st.just(lambda place: place.settle()),
    )


def again(place: Place, *open_runs: str) -> Place:
    """Stored as a journal does it, and read by another process."""
    kept = KeptPlace(KEY, *place.packed(open_runs))
    fields = kept.since_ms, kept.row_id, kept.session_id, kept.ids, kept.sent, kept.said
    return Place.unpacked(PackedPlace(*fields))


@given(st.lists(steps(), max_size=8), st.lists(pages(), max_size=3), st.sets(RUNS))
def test_a_place_that_was_stored_decides_as_the_original_does(
    past: list[Step], later: list[HistoryPage], known: set[str]
) -> None:
    place = Place(10.0)
    for step in past:
        step(place)
    stored = again(place)
    assert stored.packed() == place.packed()
    for found in later:
        assert looked(found, stored, known) == looked(found, place, known)
        assert again(stored).packed() == place.packed()
        place.settle()
        stored.settle()


@given(st.binary(max_size=200), st.integers(0, 6))
@example(b"", 0)
def test_what_cannot_be_read_counts_as_no_digests(noise: bytes, cut: int) -> None:
    place = Place(10.0, "row")
    for number in range(4):
        place.note_sent(f"{number}")
        place.heard(f"{number}", 11.0)
        place.note_known(f"{number}")
    packed = place.packed(["open"])
    whole = {"ids": packed.ids, "sent": packed.sent, "said": packed.said}
    for broken in (
        {name: data[: len(data) - 1 - cut] for name, data in whole.items()},
        {name: data + noise[:1] + b"x" for name, data in whole.items()},
        {name: bytes((FORMAT + 1,)) + data[1:] for name, data in whole.items()},
        {name: bytes((FORMAT,)) + b"\xff\xff" + data[3:] for name, data in whole.items()},
    ):
        assert Place.unpacked(packed._replace(**broken)) == Place(10.0, "row")
    # Whatever it is, it is read, or it is not.
    for name in whole:
        read = Place.unpacked(packed._replace(**{name: noise}))
        Place.unpacked(packed._replace(**{name: bytes((FORMAT,)) + noise}))
        looked(page(*burst(0, 3)), read)
    # One that is broken leaves the others alone.
    assert Place.unpacked(packed._replace(sent=b"?")).said == place.said


def test_a_time_that_is_none_is_not_taken() -> None:
    place = Place(10.0)
    place.heard("x", float("nan"))
    assert not Place.unpacked(place.packed()).said


def test_the_bytes_are_the_same_in_every_process() -> None:
    place = Place(10.0, "row", "one")
    place.note_sent("Hi")
    place.heard("Hello", 11.0)
    place.note_known("run")
    place.note_looked_at(["row"])
    assert [data.hex() for data in place.packed(["open"])[3:]] == [IDS, SENT, SAID]


IDS = "010001fb4b0d4947c68395000157bd6a3704dd935b00011e71f1693fb2e8f7"
SENT = "01000100000002cd410cebb45ccbcd"
SAID = "0100014026000000000000013c5c8a1fdb2068860000"


def test_what_is_stored_holds_no_words_and_is_bounded() -> None:
    place = Place(10.0)
    place.heard("looked at", 11.0)
    place.ask()
    for number in range(MAX_FRESH + MAX_IDS):
        text = f"secret {number} " * 20_000 if number < 5 else f"secret {number}"
        place.note_sent(text)
        place.heard(text, 11.0)
        place.note_known(f"secret {number}")
    packed = place.packed(f"secret run {number}" for number in range(2 * MAX_IDS))
    assert b"secret" not in packed.ids + packed.sent + packed.said
    place.settle()
    packed = place.packed()
    assert len(packed.ids) <= 7 + 8 * MAX_IDS
    assert len(packed.sent) == 3 + 12 * MAX_WORDS
    assert len(packed.said) == 5 + 17 * MAX_WORDS
    assert len(place.ids) == MAX_IDS


def test_what_was_heard_while_a_page_was_asked_for_stays_apart() -> None:
    """Among what was heard before, it would hide what was missed in between."""
    place = Place(1_000.0)
    for number in range(200):
        place.heard(f"word {number}", 1_995.0)
    place.ask()
    for number in range(203, 303):
        place.heard(f"word {number}", 1_995.0)
    stored = again(place)
    told = [message.text for message in looked(page(*burst(0, 303)), stored)]
    # Of those beyond the bound another process knows nothing: told twice, and none lost.
    assert told[:3] == ["word 200", "word 201", "word 202"]
    assert told[3:] == [f"word {number}" for number in range(203, 303 - MAX_WORDS)]


@pytest.mark.parametrize(
    "rows",
    [
        [user("Hi", 11, "r"), assistant("Hello", 12, "r")],
        [user("Hi", 11, "r"), assistant("Hello", 12)],
        [{"role": "user", "content": 'Info {"message_id": "r"} Hi', "timestamp": 11}, assistant("Hello", 12)],
    ],
    ids=["2026.9.6", "2026.6.1", "2026.2.17"],
)
def test_a_run_that_another_process_knew_is_no_news(rows: list[dict[str, Any]]) -> None:
    place = Place(10.0)
    place.note_known("r")
    assert looked(page(*rows), again(place)) == []
    assert len(looked(page(*rows), Place(10.0))) == 1


def test_an_injected_message_that_another_process_handed_out_is_no_news() -> None:
    place = Place(10.0)
    place.note_known("inject-i")
    assert looked(page(injected("fyi", 11, "i")), again(place)) == []


@pytest.mark.parametrize("with_ids", [True, False])
def test_what_was_looked_at_behind_a_run_without_an_end_is_no_news_elsewhere(with_ids: bool) -> None:
    stuck = (user("x", 11), assistant("", 12, stop="toolUse"))
    rows = [*stuck, user("y", 13), assistant("one", 14), user("z", 15), assistant("two", 16)]
    if not with_ids:
        rows = [{**row, "__openclaw": {}} for row in rows]
    place = Place(10.0)
    assert [message.text for message in looked(page(*rows), place)] == ["one", "two"]
    assert looked(page(*rows), again(place)) == []


def test_a_run_of_which_another_process_heard_the_beginning_is_news_whenever_it_began() -> None:
    found = page(user("Hi", 1, "r"), assistant("Hello", 2, "r"))
    place = again(Place(10.0), "r")
    assert [message.id for message in looked(found, again(place))] == ["r"]
    assert looked(found, place) != []
    # Once.
    assert looked(found, place) == []


def test_a_run_that_ended_while_nobody_listened_is_news_whenever_it_began() -> None:
    place = Place(10.0)
    place.note_unheard("r")
    found = page(user("Hi", 1, "r"), assistant("Hello", 2, "r"))
    assert [message.id for message in looked(found, again(place))] == ["r"]


def test_the_conversation_is_the_page_s() -> None:
    place = Place(10.0)
    looked(page(session_id="one"), place)
    looked(page(), place)
    assert again(place).session_id == "one"


def test_rows_are_cut_where_this_client_asks_for_it() -> None:
    assert MAX_CHARS in CUTS


@given(st.text(alphabet="ab ]\n[e\u0301\x07", max_size=12), st.text(alphabet="ab e\u0301", min_size=1, max_size=4))
@example("[Mon] a", "a")
@example("let it a", "a")
def test_the_end_of_a_row_is_compared_as_its_words_would_be(text: str, sent: str) -> None:
    place = Place(10.0)
    place.note_sent(sent)
    words = as_written_down(sent)
    assert place.consume_sent(text) == (bool(words) and (as_written_down(text) == words or ends_with(text, words)))


def test_an_open_message_is_noted_once_by_its_words() -> None:
    place = Place(1.0)
    place.note_sent("known  already")
    for message in ("known already", "new", "new", " ", ""):
        place.note_open(message)
    assert len(place.sent) == 2
    assert place.consume_sent("[Mon 10:00] new")
    assert not place.consume_sent("new")


def test_a_message_that_was_heard_without_a_digest_counts_as_broken() -> None:
    said = bytes((FORMAT,)) + struct.pack(">HdBH", 1, 5.0, 0, 0)
    assert Place.unpacked(PackedPlace(1.0, said=said)) == Place(1.0)


def test_of_many_runs_that_nobody_heard_the_first_are_noted() -> None:
    place = Place(1.0)
    for number in range(MAX_IDS + 1):
        place.note_unheard(f"r{number}")
    assert len(place.opened) == MAX_IDS
