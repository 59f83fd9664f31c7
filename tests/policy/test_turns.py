"""Turns of many handshakes with one host, some of which are never answered."""

from __future__ import annotations

from itertools import count

import pytest
from hypothesis import given
from hypothesis import strategies as st

from openclaw_client.policy.turns import (
    ASIDE,
    HANDSHAKES,
    LONGEST_PAUSE,
    PAUSE,
    QUICKEST,
    SILENCE,
    SPARE,
    TIMES,
    Turns,
    pause_after,
)

GATEWAY = "wss://gateway.example"
FAR = 100.0


def full(at_once: int = HANDSHAKES, *, line: int = 100) -> Turns[str]:
    """All turns taken by the silent, and a line behind them."""
    turns: Turns[str] = Turns(lambda: 0.0, at_once=at_once)
    for number in range(at_once):
        assert turns.enter(f"silent-{number}", GATEWAY, 0.0)
    for number in range(line):
        assert not turns.enter(f"next-{number}", GATEWAY, 0.0)
    return turns


def test_turns_pass_in_order_and_nothing_is_left() -> None:
    turns = full(2, line=3)
    assert turns.waiting
    assert turns.leave("next-1", 0.1, answered=False) == []
    assert turns.leave("silent-0", 0.1, answered=True) == ["next-0"]
    assert turns.leave("silent-1", 0.2, answered=False) == ["next-2"]
    assert not turns.waiting
    for who in ("next-0", "next-2"):
        assert not turns.unused
        turns.leave(who, 0.3, answered=True)
    assert turns.unused


def test_a_host_that_answers_nobody_gets_a_few_more_and_no_others() -> None:
    turns = full()
    assert turns.look(SILENCE - 0.01) == ([], [])
    begun, given_up = turns.look(SILENCE)
    assert begun == [f"next-{number}" for number in range(SPARE)]
    assert given_up == []
    assert turns.look(FAR) == ([], []), "it may be slow, and more sockets would make it slower"


def test_who_is_silent_while_others_are_answered_gives_up_its_turn() -> None:
    turns = full(2)
    assert turns.leave("silent-1", 0.01, answered=True) == ["next-0"]
    assert turns.leave("next-0", 0.02, answered=True) == ["next-1"]
    assert turns.look(QUICKEST - 0.01) == ([], [])
    assert turns.look(QUICKEST) == (["next-2"], [])
    # It goes on, and its end passes no turn on.
    assert turns.leave("silent-0", 5.0, answered=True) == []


def test_a_slow_host_is_not_taken_for_a_silent_one() -> None:
    turns = full(2)
    for who, now in (("silent-1", 1.0), ("next-0", 2.0), ("next-1", 3.0), ("next-2", 3.9)):
        turns.leave(who, now, answered=True)
    assert turns.look(TIMES - 0.01) == ([], [])
    begun, given_up = turns.look(TIMES)
    assert (len(begun), given_up) == (1, [])


def test_of_many_silent_ones_at_one_gateway_the_oldest_is_given_up() -> None:
    turns = full(SPARE + 2)
    turns.leave(f"silent-{SPARE + 1}", 0.01, answered=True)
    assert turns.leave("next-0", 0.02, answered=True) == ["next-1"]
    begun, given_up = turns.look(QUICKEST)
    assert len(begun) == SPARE + 1
    assert given_up == ["silent-0"]
    assert turns.leave("silent-0", QUICKEST, answered=False) == []


def test_gateways_behind_one_host_are_counted_apart_up_to_a_bound() -> None:
    turns: Turns[str] = Turns(lambda: 0.0, at_once=ASIDE + 3)
    for number in range(ASIDE + 2):
        turns.enter(f"silent-{number}", f"{GATEWAY}/{number}", 0.0)
    turns.enter("good", GATEWAY, 0.0)
    for number in range(2 * ASIDE):
        turns.enter(f"next-{number}", GATEWAY, 0.0)
    turns.leave("good", 0.01, answered=True)
    begun, given_up = turns.look(QUICKEST)
    assert len(begun) == ASIDE + 2
    # Each is alone at its gateway: beyond the bound the latest itself goes.
    assert given_up == [f"silent-{ASIDE}", f"silent-{ASIDE + 1}"]


@given(st.floats(0, 1))
def test_whoever_follows_a_silent_one_is_any_of_the_line(chance: float) -> None:
    turns: Turns[str] = Turns(lambda: chance, at_once=1)
    turns.enter("silent", GATEWAY, 0.0)
    line = [f"next-{number}" for number in range(7)]
    for who in line:
        turns.enter(who, GATEWAY, 0.0)
    begun, _ = turns.look(SILENCE)
    assert begun == [line[min(int(chance * 7), 6)]]


@pytest.mark.parametrize("order", ["first", "spread"])
def test_a_hundred_silent_ones_of_five_hundred_cost_the_others_less_than_two_seconds(order: str) -> None:
    """Each answered one takes 10 ms. A silent one that is given up comes again."""
    draws = count()
    turns: Turns[int] = Turns(lambda: (next(draws) * 0.618) % 1)
    silent = set(range(100)) if order == "first" else set(range(0, 500, 5))
    ends: dict[int, float] = {}
    done: dict[int, float] = {}
    again: dict[int, float] = {}
    now = 0.0

    def begin(who: int) -> None:
        if who not in silent:
            ends[who] = now + 0.01

    for who in range(500):
        if turns.enter(who, GATEWAY, now):
            begin(who)
    while len(done) < 400 and now < 10:
        now = round(now + 0.01, 2)
        begun: list[int] = []
        for who in [who for who, end in ends.items() if end <= now]:
            del ends[who]
            done[who] = now
            begun += turns.leave(who, now, answered=True)
        if round(now * 100) % 5 == 0:
            looked, given_up = turns.look(now)
            begun += looked
            for who in given_up:
                begun += turns.leave(who, now, answered=False)
                again[who] = now + PAUSE
        for who in [who for who, when in again.items() if when <= now]:
            del again[who]
            if turns.enter(who, GATEWAY, now):
                begun.append(who)
        for who in begun:
            begin(who)
    undisturbed = 500 / HANDSHAKES * 0.01
    assert len(done) == 400
    assert max(done.values()) <= undisturbed + 2


def test_pauses_between_the_tries_of_one_connect() -> None:
    assert [pause_after(number) for number in (1, 2, 3, 4, 1000)] == [PAUSE, 2 * PAUSE, *[LONGEST_PAUSE] * 3]
