"""Whether another gateway process answers than the one that got a message."""

from __future__ import annotations

import json
import pickle
from copy import copy
from dataclasses import asdict, replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from openclaw_client.runs.peer import Delivery, Peer, SentRun, restarted, sent_run
from openclaw_client.runs.words import digest_of

SENT = SentRun("r", "main", digest_of("Hi"), "Hi", sent_at=100.0)
# The hello was made between 110 and 114, by a process of 4 s: it was born between 106 and 110.
PEER = Peer(3, uptime=4.0, challenged_at=110.0, greeted_at=114.0)


@pytest.mark.parametrize(
    ("sent_at", "uptime", "answer"),
    [
        (100.0, 4.0, True),
        (105.9, 4.0, True),
        # Within the interval nobody knows.
        (106.0, 4.0, None),
        (108.0, 4.0, None),
        (110.0, 4.0, None),
        (110.1, 4.0, False),
        (100.0, 3600.0, False),
        # A gateway that tells nothing.
        (100.0, None, None),
    ],
)
def test_without_boot_ids_the_uptime_tells(sent_at: float, uptime: float | None, answer: bool | None) -> None:
    sent, peer = replace(SENT, sent_at=sent_at), replace(PEER, uptime=uptime)
    assert restarted(sent, peer) is answer
    # The id of one side alone says nothing.
    assert restarted(replace(sent, boot_id="a"), peer) is answer
    assert restarted(sent, replace(peer, boot_id="a")) is answer


@pytest.mark.parametrize("uptime", [None, 0.0, 3600.0])
def test_boot_ids_tell_where_both_sides_have_one(uptime: float | None) -> None:
    sent, peer = replace(SENT, boot_id="a"), replace(PEER, uptime=uptime)
    assert restarted(sent, replace(peer, boot_id="a")) is False
    assert restarted(sent, replace(peer, boot_id="b")) is True


def test_a_new_process_whose_hello_comes_late_is_not_the_old_one() -> None:
    """A crash right behind the sending, and a handshake that takes as long as the process is old."""
    sent = replace(SENT, sent_at=100.0)
    # Born at 100.1, challenge at 100.2, hello made at 100.4.
    peer = Peer(3, uptime=0.3, challenged_at=100.2, greeted_at=100.4)
    assert restarted(sent, peer) is not False


moments = st.floats(0, 1000)


@given(sent_at=moments, born=moments, waits=st.tuples(moments, moments, moments))
def test_no_answer_is_wrong(sent_at: float, born: float, waits: tuple[float, float, float]) -> None:
    challenged = born + waits[0]
    made = challenged + waits[1]
    peer = Peer(3, uptime=made - born, challenged_at=challenged, greeted_at=made + waits[2])
    answer = restarted(replace(SENT, sent_at=sent_at), peer)
    # A float's width from the moment itself.
    if abs(sent_at - born) > 1e-6:
        assert answer in (None, sent_at < born)


@pytest.mark.parametrize(
    ("version", "early"),
    [
        ("2026.9.6", True),
        ("2026.10.1", True),
        ("2027.1.1-beta", True),
        ("2026.8.2", False),
        ("dev", False),
        ("", False),
    ],
)
def test_which_releases_write_a_turn_down_when_it_begins(version: str, early: bool) -> None:
    assert Peer(4, version).writes_early is early


def test_what_is_stored_can_be_taken_elsewhere() -> None:
    assert pickle.loads(pickle.dumps(SENT)) == SENT
    assert digest_of("cafe\u0301\r\nHi") == digest_of("caf\u00e9 Hi\n")
    assert digest_of("Hi") != digest_of("Ho")
    assert "Hi" not in repr(SENT)


def as_stored_before(sent: SentRun, count: int) -> SentRun:
    """What a pickle of an earlier version makes, which had the first so many fields."""
    _, _, state = sent.__reduce_ex__(2)[:3]
    made: SentRun = SentRun.__new__(SentRun)
    made.__setstate__(list(state)[:count])
    return made


@pytest.mark.parametrize("count", [11, 12, 16])
def test_facts_that_an_earlier_version_stored_are_of_chat_send(count: int) -> None:
    made = as_stored_before(replace(SENT, acknowledged=True), count)
    assert made == replace(SENT, acknowledged=True)
    assert (made.method, made.system_prompt, made.model, made.thinking) == ("chat.send", None, None, None)


def test_facts_survive_a_pickle_and_a_row() -> None:
    sent = replace(SENT, method="agent", system_prompt="secret words", model="a/b", thinking="low")
    assert pickle.loads(pickle.dumps(sent)) == sent == copy(sent)
    assert SentRun(**json.loads(json.dumps(asdict(sent)))) == sent
    earlier = {
        name: value
        for name, value in asdict(SENT).items()
        if name not in ("method", "system_prompt", "model", "thinking")
    }
    assert SentRun(**earlier) == SENT
    assert "secret words" not in repr(sent)


def test_the_first_facts_hold_the_way_in_which_the_message_goes() -> None:
    sending = Delivery("agent", "secret words", "a/b", "low", complete=False)
    sent = sent_run("r", "main", "Hi", sending, replace(PEER, clock_offset=2.0), 100.0)
    assert sent == SentRun(
        "r",
        "main",
        digest_of("Hi"),
        "Hi",
        100.0,
        102_000.0,
        complete=False,
        method="agent",
        system_prompt="secret words",
        model="a/b",
        thinking="low",
    )
    assert sent_run("r", "main", "Hi", Delivery(), PEER, 100.0).clock_ms is None
    assert "secret words" not in repr(sending)


@pytest.mark.parametrize(
    ("version", "named"),
    [("2026.7.35", False), ("2026.8.1", True), ("2026.9.6", True), ("dev", False)],
)
def test_from_which_release_on_rows_say_how_a_file_is_got(version: str, named: bool) -> None:
    assert replace(PEER, version=version).names_files is named
