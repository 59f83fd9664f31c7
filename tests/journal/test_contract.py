"""What every journal does: one text, for the one in memory and the one in a file."""

from __future__ import annotations

import logging
import pickle
from dataclasses import replace

import pytest

from openclaw_client.journal import ages
from openclaw_client.journal.delivery import MOST_DELIVERIES, PAUSES
from openclaw_client.journal.protocol import Journal, Kept, KeptMessage, PendingRun, RunChange
from tests.journal.values import START, Clock, place, said, sent


async def one(journal: Journal, user: str = "u") -> PendingRun:
    (found,) = await journal.pending(user)
    return found


# Runs.


async def test_what_was_begun_is_known_with_every_fact(journal: Journal) -> None:
    run = sent("k")
    assert await journal.begin("u", run, files=("f1", "f2")) is None
    found = await one(journal)
    assert found == PendingRun("u", run, "sent", ("f1", "f2"))
    assert (found.run_id, found.session_key, found.message, found.sent_at) == ("k", "main", "Hello!", START)
    assert pickle.loads(pickle.dumps(found)) == found


async def test_a_key_that_is_known_is_told_and_nothing_is_changed(journal: Journal) -> None:
    first = sent("k", "one")
    await journal.begin("u", first)
    same, other = sent("k", "one", at=START + 9), sent("k", "two")
    known = await journal.begin("u", same)
    assert known == PendingRun("u", first, "sent")
    assert known.is_same(same)
    assert await journal.begin("u", other) == known
    assert not known.is_same(other)
    assert not known.is_same(replace(same, session_key="elsewhere"))
    assert (await one(journal)).sent_run == first


async def test_the_states_of_a_run(journal: Journal, clock: Clock) -> None:
    await journal.begin("u", sent("k"), state="queued")
    assert (await one(journal)).state == "queued"
    again = sent("k", at=START + 5, boot_id="another")
    assert await journal.begin("u", again, again=True) is None
    assert await one(journal) == PendingRun("u", again, "sent")
    journal.note("u", RunChange("k", acknowledged=True))
    journal.note("u", RunChange("k", answered_run="r2", session_id="s-2"))
    known = replace(again, acknowledged=True, answered_run="r2", session_id="s-2")
    assert await one(journal) == PendingRun("u", known, "sent")
    journal.note("u", RunChange("k", end="final", text="Hi!"))
    assert await one(journal) == PendingRun("u", known, "answered", (), "final", "Hi!")
    journal.note("u", RunChange("k", taken=True))
    assert await journal.pending("u") == ()
    assert await journal.begin("u", sent("k")) == PendingRun("u", known, "taken", (), "final", "Hi!")


async def test_a_later_end_counts_until_the_reply_is_taken(journal: Journal) -> None:
    await journal.begin("u", sent("k"))
    journal.note("u", RunChange("k", end="lost", text="Hal"))
    assert (await one(journal)).end == "lost"
    journal.note("u", RunChange("k", end="final"))
    assert ((await one(journal)).end, (await one(journal)).text) == ("final", None)
    # In one breath, and behind that.
    journal.note("u", RunChange("k", end="final", text="Hallo", taken=True))
    journal.note("u", RunChange("k", end="failed"))
    await journal.pending()
    journal.note("u", RunChange("k", end="aborted", acknowledged=True))
    known = await journal.begin("u", sent("k"))
    assert known is not None
    assert (known.state, known.end, known.text, known.sent_run.acknowledged) == ("taken", "final", "Hallo", False)


async def test_notes_in_one_breath_are_as_those_one_by_one(journal: Journal) -> None:
    changes = (
        RunChange("k", acknowledged=True),
        RunChange("k", end="final", text="one"),
        RunChange("k", answered_run="r"),
        RunChange("k", end="lost", text=None),
        RunChange("k", session_id="s-9"),
    )
    for user in ("joined", "apart"):
        await journal.begin(user, sent("k"))
        for change in changes:
            journal.note(user, change)
            if user == "apart":
                await journal.pending()
    joined, apart = await one(journal, "joined"), await one(journal, "apart")
    assert replace(joined, user="") == replace(apart, user="")
    assert (joined.end, joined.text, joined.state) == ("lost", None, "answered")


async def test_an_acknowledgement_shows_that_a_queued_message_went_out(journal: Journal) -> None:
    await journal.begin("u", sent("k"), state="queued")
    journal.note("u", RunChange("k", answered_run="r"))
    assert (await one(journal)).state == "queued"
    journal.note("u", RunChange("k", acknowledged=True))
    assert (await one(journal)).state == "sent"


async def test_sending_once_more_opens_a_run_that_was_over(journal: Journal) -> None:
    await journal.begin("u", sent("k"))
    journal.note("u", RunChange("k", acknowledged=True, end="aborted", text="Hal", taken=True))
    assert await journal.pending() == ()
    await journal.begin("u", sent("k", at=START + 9), again=True)
    assert await one(journal) == PendingRun("u", sent("k", at=START + 9), "sent")


async def test_a_run_that_was_dropped_can_be_sent_once_more(journal: Journal) -> None:
    assert await journal.begin("u", sent("k"), again=True) is None
    assert (await one(journal)).state == "sent"


async def test_a_note_of_a_run_that_is_not_known_changes_nothing(journal: Journal) -> None:
    journal.note("u", RunChange("k", end="final"))
    assert await journal.pending() == ()
    assert await journal.begin("u", sent("k")) is None


async def test_a_reply_that_is_too_long_is_not_kept(journal: Journal) -> None:
    for key, length in (("fits", ages.MAX_TEXT), ("long", ages.MAX_TEXT + 1)):
        await journal.begin("u", sent(key))
        journal.note("u", RunChange(key, end="final", text="x" * length))
    fits, long = await journal.pending("u")
    assert (fits.text, long.text) == ("x" * ages.MAX_TEXT, None)
    assert long.end == "final"


async def test_runs_are_listed_oldest_first_whatever_became_of_them(journal: Journal) -> None:
    for key, at in (("c", 3.0), ("a", 1.0), ("b1", 2.0), ("b2", 2.0)):
        await journal.begin("u", sent(key, at=at))
    await journal.begin("v", sent("a", at=1.5))
    await journal.begin("u", sent("b1", at=2.0), again=True)
    journal.note("u", RunChange("b2", end="final"))
    assert [run.run_id for run in await journal.pending("u")] == ["a", "b1", "b2", "c"]
    assert [(run.user, run.run_id) for run in await journal.pending()] == [
        ("u", "a"),
        ("v", "a"),
        ("u", "b1"),
        ("u", "b2"),
        ("u", "c"),
    ]


async def test_forgetting_takes_a_run_off_the_list_and_its_texts_away(journal: Journal) -> None:
    await journal.begin("u", sent("k"))
    journal.note("u", RunChange("k", end="final", text="Hi!"))
    assert await journal.forget("u", "k") is True
    assert await journal.forget("u", "k") is False
    assert await journal.forget("u", "other") is False
    assert await journal.pending() == ()
    known = await journal.begin("u", sent("k"))
    assert known is not None
    assert (known.state, known.message, known.text, known.sent_run.system_prompt) == ("taken", "", None, None)
    assert known.is_same(sent("k")), "its digest is known"


async def test_of_what_was_never_sent_nothing_stays(journal: Journal) -> None:
    await journal.begin("u", sent("waits"), state="queued")
    await journal.begin("u", sent("refused"))
    journal.note("u", RunChange("refused", unsent=True))
    assert await journal.forget("u", "waits") is True
    assert await journal.pending("u") == ()
    assert await journal.begin("u", sent("waits", "other words")) is None
    assert await journal.begin("u", sent("refused", "other words")) is None


async def test_a_reply_that_was_taken_is_no_unsent_message(journal: Journal) -> None:
    await journal.begin("u", sent("k"))
    journal.note("u", RunChange("k", end="final", text="Hi!", taken=True))
    journal.note("u", RunChange("k", unsent=True))
    assert (await journal.begin("u", sent("k"))) is not None


async def test_replies_that_nobody_takes_do_not_pile_up(
    journal: Journal, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    most = 5
    for module in ("memory", "tables"):
        monkeypatch.setattr(f"openclaw_client.journal.{module}.MAX_UNTAKEN", most)
    for number in range(most + 2):
        await journal.begin("u", sent(f"{number}", "secret", at=float(number)))
    await journal.begin("v", sent("0", at=0.0))
    journal.note("v", RunChange("0", end="final"))
    for number in reversed(range(most + 2)):
        journal.note("u", RunChange(f"{number}", end="final"))
        if number == 1:
            assert len(await journal.pending("u")) == most + 1
    assert [run.run_id for run in await journal.pending("u")] == [f"{number}" for number in range(2, most + 2)]
    assert len(await journal.pending("v")) == 1
    known = await journal.begin("u", sent("0", "secret"))
    assert known is not None
    assert (known.state, known.message) == ("taken", "")
    errors = [record for record in caplog.records if record.levelno == logging.ERROR]
    assert len(errors) == 2, caplog.text
    assert "secret" not in caplog.text


# Places.


async def test_places_are_kept_with_the_runs(journal: Journal) -> None:
    await journal.begin("u", sent("k"))
    journal.note("u", place("a"))
    journal.note("u", place("b"))
    await journal.receive("u", (), place("c", 7.0))
    journal.note("u", place("a", 9.0))
    kept = await journal.open("u")
    assert kept == Kept((PendingRun("u", sent("k")),), (place("b"), place("c", 7.0), place("a", 9.0)))
    assert await journal.open("v") == Kept()


async def test_the_places_of_a_user_are_bounded(journal: Journal, monkeypatch: pytest.MonkeyPatch) -> None:
    for module in ("memory", "tables"):
        monkeypatch.setattr(f"openclaw_client.journal.{module}.MAX_PLACES", 3)
    journal.note("v", place("0"))
    for number in range(5):
        journal.note("u", place(f"{number}"))
        journal.note("u", place("0", float(number)))
    assert [one.session_key for one in (await journal.open("u")).places] == ["3", "4", "0"]
    assert len((await journal.open("v")).places) == 1


# Messages.


async def test_messages_come_in_their_order_each_once(journal: Journal) -> None:
    first, second, third = said("1"), said("2"), said("3")
    assert await journal.receive("u", [second, first], place()) == (second, first)
    assert await journal.receive("u", [first, third, third], place(since=2.0)) == (third,)
    assert await journal.receive("v", [first]) == (first,)
    order = []
    while (head := await journal.next("u")) is not None:
        assert head == KeptMessage("u", head.message)
        order.append(head.message)
        assert await journal.deliver("u", head.message.id) == 1
        await journal.settle("u", head.message.id, "done")
    assert order == [second, first, third]
    assert await journal.receive("u", [first, second, third]) == ()
    assert (await journal.open("u")).places == (place(since=2.0),)


async def test_what_an_own_run_says_is_no_message(journal: Journal) -> None:
    await journal.begin("u", sent("mine"))
    await journal.begin("u", sent("other", answered_run="there"))
    journal.note("u", RunChange("mine", end="final", taken=True))
    foreign = said("x")
    messages = [said("a", run_id="mine"), foreign, said("b", run_id="there")]
    assert await journal.receive("u", messages) == (foreign,)
    assert await journal.receive("v", messages) == tuple(messages)


async def test_a_delivery_is_counted_before_its_end_is_known(journal: Journal) -> None:
    await journal.receive("u", [said("1"), said("2")])
    assert await journal.deliver("u", "1") == 1
    assert await journal.next("u") == KeptMessage("u", said("1"), "dealt", 1)
    assert await journal.deliver("u", "1") == 2
    assert await journal.next("u") == KeptMessage("u", said("1"), "dealt", 2)
    assert await journal.deliver("u", "none") == 0
    assert await journal.deliver("v", "1") == 0


async def test_later_waits_with_growing_pauses_and_holds_up_the_others(journal: Journal, clock: Clock) -> None:
    await journal.receive("u", [said("1"), said("2")])
    for number, pause in enumerate(PAUSES, start=1):
        clock.now += 1000.25
        assert await journal.deliver("u", "1") == number
        await journal.settle("u", "1", "later")
        assert await journal.next("u") == KeptMessage("u", said("1"), "waiting", number, clock.now + pause)
    assert await journal.deliver("u", "1") == MOST_DELIVERIES
    await journal.settle("u", "1", "dead")
    assert await journal.next("u") == KeptMessage("u", said("2"))
    (dead,) = await journal.dead()
    assert (dead.user, dead.message, dead.state, dead.deliveries) == ("u", said("1"), "dead", MOST_DELIVERIES)


async def test_what_is_over_is_over(journal: Journal) -> None:
    await journal.receive("u", [said("1")])
    await journal.deliver("u", "1")
    await journal.settle("u", "1", "done")
    await journal.settle("u", "1", "later")
    await journal.settle("u", "1", "dead")
    assert await journal.deliver("u", "1") == 0
    assert await journal.next("u") is None
    assert await journal.dead() == ()


async def test_a_message_that_is_over_can_wait_once_more(journal: Journal) -> None:
    for user in ("u", "v"):
        await journal.receive(user, [said("1"), said("2"), said("3")])
        await journal.deliver(user, "1")
        await journal.settle(user, "1", "dead")
    await journal.deliver("u", "2")
    await journal.settle("u", "2", "done")
    assert await journal.replay("1", user="u") == 1
    assert await journal.replay("1", user="u") == 0, "it waits already"
    assert [one.user for one in await journal.dead()] == ["v"]
    for expected in ("3", "1"):
        head = await journal.next("u")
        assert head is not None
        assert (head.message.id, head.deliveries, head.next_at) == (expected, 0, 0.0)
        await journal.deliver("u", expected)
        await journal.settle("u", expected, "done")
    assert await journal.replay("1") == 2
    assert await journal.replay("2") == 1
    assert await journal.replay("none") == 0


async def test_of_too_many_messages_the_oldest_are_given_up(
    journal: Journal, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    for module in ("memory", "tables"):
        monkeypatch.setattr(f"openclaw_client.journal.{module}.MAX_WAITING", 3)
        monkeypatch.setattr(f"openclaw_client.journal.{module}.MAX_DEAD", 2)
    await journal.receive("v", [said("0")])
    await journal.receive("u", [said("0", "secret")])
    await journal.deliver("u", "0")
    assert not [record for record in caplog.records if record.levelno == logging.ERROR]
    await journal.receive("u", [said(f"{number}", "secret") for number in range(1, 7)])
    assert [one.message.id for one in await journal.dead()] == ["2", "3"], "1 is gone, 0 is with its handlers"
    (error,) = (record for record in caplog.records if record.levelno == logging.ERROR)
    assert "3 message(s)" in error.getMessage()
    assert "secret" not in caplog.text
    waiting = []
    while (head := await journal.next("u")) is not None:
        waiting.append(head.message.id)
        await journal.settle("u", head.message.id, "dead")
    assert waiting == ["0", "4", "5", "6"]
    assert [one.message.id for one in await journal.dead()] == ["5", "6"]
    assert await journal.next("v") is not None


# All of it.


async def test_users_who_have_something_open(journal: Journal) -> None:
    assert await journal.users() == ()
    await journal.begin("z", sent("k"))
    await journal.begin("done", sent("k"))
    journal.note("done", RunChange("k", taken=True))
    journal.note("placed", place())
    await journal.receive("", [said("1")])
    await journal.receive("told", [said("1")])
    await journal.settle("told", "1", "done")
    assert await journal.users() == ("", "z")


async def test_two_users_with_the_same_ids_are_never_mixed(journal: Journal) -> None:
    for user in ("u", "v"):
        await journal.begin(user, sent("k", f"of {user}"))
        await journal.receive(user, [said("1", f"to {user}")], place(user))
    journal.note("u", RunChange("k", end="final", text="for u"))
    await journal.deliver("u", "1")
    await journal.settle("u", "1", "done")
    assert await journal.open("v") == Kept((PendingRun("v", sent("k", "of v")),), (place("v"),))
    assert await journal.next("v") == KeptMessage("v", said("1", "to v"))
    assert await journal.forget("u", "k")
    assert len(await journal.pending("v")) == 1


async def test_what_is_too_old_goes(journal: Journal, clock: Clock) -> None:
    await journal.begin("u", sent("open"))
    await journal.begin("u", sent("over"))
    journal.note("u", RunChange("over", end="final", text="kept"))
    await journal.begin("u", sent("taken"))
    journal.note("u", RunChange("taken", end="final", text="Hi!", taken=True))
    await journal.receive("u", [said("done"), said("dead"), said("waits")], place())
    await journal.settle("u", "done", "done")
    await journal.settle("u", "dead", "dead")
    assert await journal.prune(START + ages.KEPT_TEXTS - 1) == 0
    known = await journal.begin("u", sent("taken"))
    assert known is not None
    assert known.text == "Hi!"
    assert await journal.prune(START + ages.KEPT_TEXTS) == 1, "the message that was handled"
    known = await journal.begin("u", sent("taken"))
    assert known is not None
    assert (known.state, known.text, known.message, known.end) == ("taken", None, "", "final")
    assert await journal.prune(START + ages.KEPT_KEYS - 1) == 0
    assert len(await journal.dead()) == 1
    assert await journal.prune(START + ages.KEPT_KEYS) == 2
    assert await journal.dead() == ()
    assert await journal.prune(START + 100 * ages.KEPT_KEYS) == 0
    assert await journal.begin("u", sent("taken")) is None, "nobody knows the key any more"
    assert [run.run_id for run in await journal.pending()] == ["open", "over", "taken"]
    assert (await journal.open("u")).places == (place(),)
    assert (await journal.next("u")) == KeptMessage("u", said("waits"))
    assert await journal.receive("u", [said("done")]) == (said("done"),)


async def test_the_age_of_a_run_counts_from_its_last_change(journal: Journal, clock: Clock) -> None:
    await journal.begin("u", sent("k"))
    clock.now += 500_000
    journal.note("u", RunChange("k", end="final", text="Hi!", taken=True))
    journal.note("u", RunChange("k", acknowledged=True))
    await journal.pending()
    clock.now += 1000
    journal.note("u", RunChange("k", acknowledged=True))
    await journal.prune(START + 500_000 + ages.KEPT_TEXTS - 1)
    known = await journal.begin("u", sent("k"))
    assert known is not None
    assert known.text == "Hi!"
    await journal.prune(START + 500_000 + ages.KEPT_TEXTS)
    known = await journal.begin("u", sent("k"))
    assert known is not None
    assert known.text is None


@pytest.mark.parametrize("value", ["", "é€😀", "a\0b", "'; DROP TABLE run; --", "x" * 5000])
async def test_any_text_is_kept_as_it_is(journal: Journal, value: str) -> None:
    run = sent(f"k{value}", value, session=value)
    await journal.begin(value, run, files=(value,))
    await journal.receive(value, [said(f"i{value}", value)], place(value))
    assert (await journal.open(value)) == Kept((PendingRun(value, run, "sent", (value,)),), (place(value),))
    assert await journal.next(value) == KeptMessage(value, said(f"i{value}", value))
    assert await journal.users() == (value,)


async def test_no_words_are_shown(journal: Journal) -> None:
    await journal.begin("u", sent("k", "secret words"))
    await journal.receive("u", [said("1", "secret words")])
    journal.note("u", RunChange("k", end="final", text="secret words"))
    shown = [await journal.open("u"), await journal.next("u"), journal, RunChange("k", text="secret words"), place()]
    assert "secret" not in repr(shown)


async def test_closing_twice_and_using_it_again(journal: Journal) -> None:
    await journal.close()
    await journal.begin("u", sent("k"))
    journal.note("u", RunChange("k", end="final"))
    await journal.close()
    await journal.close()
    assert (await one(journal)).state == "answered"
