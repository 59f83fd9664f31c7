"""Whose credentials are tried next at a gateway that counts the wrong ones."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from openclaw_client.policy.admission import UNHEARD, Admission
from openclaw_client.policy.breaker import (
    BUDGET,
    CROWD,
    HELD_BY_KNOWN,
    MOST,
    RESERVE,
    STREAK,
    UNANSWERED,
    WINDOW,
    AuthBreaker,
)


class World:
    """A gateway that lets in whoever has the right token. It answers when it is asked to."""

    def __init__(self, right: set[str], known: set[str] | None = None) -> None:
        self.right, self.known = right, known if known is not None else set()
        self.breaker = AuthBreaker()
        self.admission: Admission[int] = Admission(self.breaker, lambda who: who in self.known, lambda: 0.0)
        self.tokens: dict[int, str | None] = {}
        self.trying: list[int] = []
        self.let_in: list[int] = []
        self.refused: list[int] = []

    def come(self, tokens: list[str | None], now: float = 0.0) -> None:
        for token in tokens:
            client = len(self.tokens)
            self.tokens[client] = token
            if self.admission.enter(client, token, now):
                self.begin(client, now)

    def begin(self, client: int, now: float) -> None:
        self.admission.begun(client, now)
        self.trying.append(client)

    def answer(self, now: float = 0.0) -> None:
        """All answers, in the order of the attempts, until nobody may try any more."""
        while self.trying:
            self.judge(self.trying.pop(0), now)
            self.look(now)

    def judge(self, client: int, now: float) -> None:
        token = self.tokens[client]
        if token is None or token in self.right:
            self.let_in.append(client)
            if token is not None and token not in self.known:
                self.known.add(token)
                self.breaker.welcomed(token)
        else:
            self.refused.append(client)
            self.known.discard(token or "")
            self.breaker.failed(now, token)
        self.admission.leave(client, token)

    def look(self, now: float) -> None:
        for client in self.admission.admit(now):
            self.begin(client, now)


GOOD: list[str | None] = ["good"] * 177
SAME: list[str | None] = ["stale"] * 23
OWN: list[str | None] = [f"wrong-{number}" for number in range(23)]


@pytest.mark.parametrize("bad", [SAME, OWN], ids=["one wrong token", "a wrong token each"])
@pytest.mark.parametrize("order", ["bad first", "good first", "mixed"])
def test_wrong_tokens_hold_up_nobody_with_the_right_one(bad: list[str | None], order: str) -> None:
    world = World({"good"})
    mixed = [token for index in range(177) for token in (*GOOD[index : index + 1], *bad[index : index + 1])]
    world.come({"bad first": [*bad, *GOOD], "good first": [*GOOD, *bad], "mixed": mixed}[order])
    world.answer()
    assert len(world.let_in) == 177
    assert len(world.refused) <= BUDGET + 2
    assert world.admission.waiting, "the wrong ones wait their turn"
    assert not world.admission.unused
    world.look(WINDOW + 1)
    world.answer(WINDOW + 1)
    assert len(world.refused) > BUDGET


def test_one_goes_first_and_lets_in_all_who_have_the_same() -> None:
    world = World({"good"})
    world.come(["good"] * 50)
    assert world.trying == [0]
    world.answer()
    assert len(world.let_in) == 50
    assert world.admission.unused


def test_an_attempt_that_is_not_answered_holds_up_the_others_for_a_moment() -> None:
    world = World({"good"})
    world.come(["good"] * 3)
    world.look(UNHEARD - 0.01)
    assert world.trying == [0]
    world.look(UNHEARD)
    assert world.trying == [0, 1]


def test_the_attempts_at_once_grow_while_none_fails() -> None:
    world = World({f"own-{number}" for number in range(100)})
    world.come([f"own-{number}" for number in range(50)])
    assert len(world.trying) == BUDGET
    world.answer()
    assert len(world.let_in) == 50
    world.come([f"own-{number}" for number in range(50, 100)])
    assert len(world.trying) == BUDGET + STREAK


def test_who_has_nothing_to_be_refused_waits_for_no_one_but_a_lock_out() -> None:
    world = World(set(), {"known"})
    for _ in range(BUDGET):
        world.breaker.failed(0.0, "wrong")
    world.come([None, "known", "wrong", "other"])
    assert world.trying == [0, 1, 3]
    world.breaker.rate_limited(0.0, 10.0)
    world.come([None, "known", *["new"] * CROWD])
    assert world.trying == [0, 1, 3]
    world.look(9.9)
    assert world.trying == [0, 1, 3]
    world.look(10.0)
    assert world.trying[3:5] == [4, 5]


def test_who_leaves_the_line_is_not_let_in() -> None:
    world = World({"good"})
    world.come(["good", "good", "good"])
    world.admission.leave(1, "good")
    world.answer()
    assert world.let_in == [0, 2]
    world.admission.begun(7, 0.0)
    world.admission.leave(7, "unheard of")
    assert world.admission.unused


@given(st.lists(st.sampled_from(["good", "stale", *[f"wrong-{number}" for number in range(30)], None])))
def test_the_gateway_is_never_brought_near_its_limit(tokens: list[str | None]) -> None:
    world = World({"good"})
    world.come(tokens)
    world.answer()
    assert len(world.refused) <= BUDGET + 2 < MOST
    assert {client for client, token in world.tokens.items() if token is None} <= set(world.let_in)


class SlowWorld(World):
    """The gateway takes its time before it asks for credentials, and again before it answers."""

    def __init__(self) -> None:
        super().__init__({"good"})
        self.shown: list[int] = []
        self.unheard: list[int] = []
        self.now = 0.0

    def ask(self, index: int) -> None:
        """One that is trying is asked for its credentials, and enters again where it may not show them."""
        if not self.trying:
            return
        client = self.trying.pop(index % len(self.trying))
        token = self.tokens[client]
        if self.admission.show(client, self.now):
            self.shown.append(client)
            return
        if self.admission.soon(client, self.now):
            self.trying.append(client)
            return
        self.admission.leave(client, token)
        if self.admission.enter(client, token, self.now):
            self.begin(client, self.now)

    def reply(self, index: int) -> None:
        if self.shown:
            self.judge(self.shown.pop(index % len(self.shown)), self.now)
            self.look(self.now)

    def wait(self, index: int) -> None:
        self.now += UNHEARD
        self.look(self.now)

    def give_up(self, index: int) -> None:
        """The client's time is over before the gateway has answered; it will yet."""
        if self.shown:
            client = self.shown.pop(index % len(self.shown))
            self.admission.leave(client, self.tokens[client], answered=False)
            self.unheard.append(client)
            self.look(self.now)


STEPS = st.tuples(
    st.sampled_from([SlowWorld.ask, SlowWorld.reply, SlowWorld.wait, SlowWorld.give_up]), st.integers(0, 40)
)


@given(
    st.lists(st.sampled_from(["good", "was good", *OWN]), min_size=10, max_size=40),
    st.lists(STEPS, max_size=59),
)
def test_a_slow_gateway_is_not_brought_to_its_limit_either(
    tokens: list[str | None], steps: list[tuple[Callable[[SlowWorld, int], None], int]]
) -> None:
    world = SlowWorld()
    world.known.add("was good")
    world.come(tokens)
    for step, index in steps:
        step(world, index)
        counted = [*world.refused, *world.shown, *world.unheard]
        # Less than the time for which what nobody answered counts has passed.
        assert world.now < UNANSWERED
        assert sum(world.tokens[one] != "good" for one in counted) <= MOST


def test_what_the_gateway_never_answered_is_forgotten_in_the_end() -> None:
    world = SlowWorld()
    world.come(OWN)
    while len(world.shown) < MOST - RESERVE:
        world.wait(0)
        world.ask(0)
    world.ask(0)
    for _ in range(MOST - RESERVE):
        world.give_up(0)
    world.now += UNANSWERED
    world.look(world.now)
    world.ask(0)
    assert world.shown


def test_the_rest_of_them_waits_until_the_slow_gateway_has_answered() -> None:
    world = SlowWorld()
    world.come(OWN)
    for _ in range(10):
        world.wait(0)
    assert len(world.trying) == len(OWN), "their sockets may be silent"
    for _ in OWN:
        world.ask(0)
    assert len(world.shown) == MOST - RESERVE
    world.come(["good"] * CROWD)
    world.wait(0)
    world.ask(0)
    assert world.tokens[world.shown[-1]] == "good", "the rest is for the many"
    world.right = {str(token) for token in [*OWN, "good"]}
    while world.shown:
        world.reply(0)
    assert world.trying, "none of them was refused"


def test_what_was_let_in_before_and_is_refused_now_is_shown_no_more_than_the_gateway_bears() -> None:
    world = SlowWorld()
    world.known.add("was good")
    world.come(["was good"] * 100)
    assert len(world.trying) == 100, "a silent socket shows nothing"
    for client in world.trying:
        if world.admission.show(client, 0.0):
            world.shown.append(client)
        else:
            assert world.admission.soon(client, 0.0)
    assert len(world.shown) == MOST
    rest = world.trying[MOST]
    world.reply(0)
    assert not world.admission.show(rest, 0.0)
    assert not world.admission.soon(rest, 0.0), "it is wrong now, and stands in line behind the others"
    while world.shown:
        world.reply(0)
    assert len(world.refused) == MOST


def test_known_ones_are_held_up_for_a_second_by_connects_that_nobody_answers() -> None:
    world = SlowWorld()
    world.known |= {"good", "another"}
    world.come(["good"] * (MOST + 1) + ["another"])
    assert [world.admission.show(client, 0.0) for client in range(MOST + 1)] == [True] * MOST + [False]
    assert world.admission.show(MOST + 1, 0.0), "one with other credentials passes"
    assert not world.admission.show(MOST, HELD_BY_KNOWN - 0.01)
    assert world.admission.show(MOST, HELD_BY_KNOWN)


def test_known_ones_go_one_by_one_where_others_were_refused() -> None:
    world = SlowWorld()
    world.known.add("good")
    for _ in range(MOST):
        world.breaker.failed(0.0, "wrong")
    world.come(["good"] * 2)
    assert [world.admission.show(client, 0.0) for client in range(2)] == [True, False]
    world.shown.append(0)
    world.reply(0)
    assert world.admission.show(1, 0.0)


def test_nothing_is_shown_in_a_lock_out() -> None:
    world = World({"good"}, {"good"})
    world.come(["good", None])
    world.breaker.rate_limited(0.0, 10.0)
    assert not world.admission.show(0, 9.0)
    assert not world.admission.show(1, 9.0)
    assert world.admission.show(0, 10.0)
    assert world.admission.show(1, 10.0)
