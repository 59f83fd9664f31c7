"""The decisions of a manager, with a moved clock and without a connection."""

from __future__ import annotations

from dataclasses import dataclass, field
from math import inf

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from openclaw_client.errors import AuthRejected, ManagerError, RateLimited, Unreachable
from openclaw_client.identity.device import DeviceIdentity
from openclaw_client.manager.credentials import Credentials
from openclaw_client.manager.table import (
    REFUSAL_MEMORY,
    REMEMBERED,
    AskCredentials,
    ClientSnapshot,
    Limits,
    MakeRoom,
    Open,
    Slot,
    SlotState,
    Table,
    Use,
    WaitAtGate,
)

GIVEN = Credentials("ws://127.0.0.1:1", token="t")
OTHER = Credentials("ws://127.0.0.1:1", token="u")


@dataclass(eq=False)
class Client:
    alive: bool = True
    busy: bool = False
    idle: float = inf


@dataclass(eq=False)
class Door:
    opened: bool = False

    def set(self) -> None:
        self.opened = True


@dataclass
class World:
    """A table, and what a face would do with its decisions."""

    limit: int = 10
    timeout: float | None = 100.0
    ttl: float = inf
    table: Table[Client] = field(init=False)

    def __post_init__(self) -> None:
        limits = Limits(self.limit, self.timeout, self.ttl)
        self.table = Table(limits, lambda one: ClientSnapshot(one.alive, one.alive, one.busy, one.idle), Door)

    def open(self, user: str, now: float = 0.0, given: Credentials = GIVEN) -> Slot[Client]:
        decision = self.table.acquire(user, now)
        assert isinstance(decision, Open)
        assert self.table.opened(decision.slot, Client(), given, now)
        return decision.slot


def client_of(slot: Slot[Client]) -> Client:
    assert slot.client is not None
    return slot.client


def test_the_first_caller_opens_and_the_others_wait() -> None:
    table = World().table
    first = table.acquire("ann", 0.0)
    assert isinstance(first, Open)
    second = table.acquire("ann", 0.0)
    assert isinstance(second, WaitAtGate)
    assert second.slot is first.slot
    assert isinstance(table.acquire("bob", 0.0), Open)
    client = Client()
    assert table.opened(first.slot, client, GIVEN, 1.0)
    assert second.gate.opened  # type: ignore[attr-defined]
    assert table.acquire("ann", 1.0) == Use(first.slot)


def test_a_failure_is_told_to_who_waited_and_the_next_caller_tries_again() -> None:
    table = World().table
    opening = table.acquire("ann", 0.0)
    waiting = table.acquire("ann", 0.0)
    assert isinstance(opening, Open)
    assert isinstance(waiting, WaitAtGate)
    error = Unreachable(url="ws://x")
    table.failed(opening.slot, error, GIVEN, 0.0)
    assert waiting.gate.opened  # type: ignore[attr-defined]
    assert waiting.slot.failure is error
    again = table.acquire("ann", 0.0)
    assert isinstance(again, Open)
    # What is none of the client's errors is the opener's own.
    table.failed(again.slot, KeyboardInterrupt(), None, 0.0)
    assert again.slot.failure is None


def test_the_word_of_an_earlier_client_changes_nothing() -> None:
    world = World()
    first = world.open("ann")
    early = client_of(first)
    early.alive = False
    second = world.table.acquire("ann", 1.0)
    assert isinstance(second, Open)
    assert second.slot is not first
    assert second.slot.stale is early
    late = Client()
    assert world.table.opened(second.slot, late, GIVEN, 1.0)
    assert not world.table.died("ann", early, AuthRejected(), 2.0)
    assert world.table.acquire("ann", 2.0) == Use(second.slot)
    assert world.table.refusal("ann", GIVEN, 2.0) is None
    assert world.table.died("ann", late, Unreachable(), 3.0)
    assert isinstance(world.table.acquire("ann", 3.0), Open)


def test_a_connection_nobody_wants_any_more_is_not_taken_in() -> None:
    table = World().table
    opening = table.acquire("ann", 0.0)
    waiting = table.acquire("ann", 0.0)
    assert isinstance(opening, Open)
    assert isinstance(waiting, WaitAtGate)
    assert table.remove("ann") is None
    assert waiting.gate.opened  # type: ignore[attr-defined]
    assert isinstance(waiting.slot.failure, ManagerError)
    follower = table.acquire("ann", 1.0)
    assert isinstance(follower, Open)
    assert not table.opened(opening.slot, Client(), GIVEN, 1.0)
    assert table.opened(follower.slot, Client(), GIVEN, 1.0)


def test_the_longest_idle_makes_room_and_nobody_in_use() -> None:
    world = World(limit=3)
    ann, bob, eve = (world.open(user, now) for now, user in enumerate(("ann", "bob", "eve")))
    client_of(ann).idle = 1.0
    client_of(eve).busy = True
    decision = world.table.acquire("new", 10.0)
    assert decision == MakeRoom(bob)
    # Who comes meanwhile waits for the same place.
    assert world.table.acquire("another", 10.0) == MakeRoom(ann)
    waiting = world.table.acquire("third", 10.0)
    assert isinstance(waiting, WaitAtGate)
    assert isinstance(world.table.acquire("bob", 10.0), WaitAtGate)
    world.table.closed(bob)
    assert isinstance(world.table.acquire("new", 10.0), Open)
    world.table.kept(ann)
    assert world.table.acquire("ann", 11.0) == Use(ann)
    client_of(ann).busy = True
    with pytest.raises(ManagerError, match="in use"):
        world.table.acquire("another", 11.0)


def test_a_held_connection_is_in_use() -> None:
    world = World(limit=1)
    slot = world.open("ann")
    assert world.table.acquire("ann", 0.0, hold=True) == Use(slot)
    with pytest.raises(ManagerError):
        world.table.acquire("bob", 1000.0)
    assert world.table.idle(1000.0) == []
    world.table.release(slot, 1000.0)
    assert world.table.idle(1050.0) == []
    assert world.table.idle(1100.0) == [slot]


def test_idle_is_what_neither_the_caller_nor_the_client_used() -> None:
    world = World()
    ann, bob, eve = (world.open(user) for user in ("ann", "bob", "eve"))
    client_of(bob).idle = 30.0
    client_of(eve).busy = True
    assert world.table.next_idle(40.0) == 60.0
    assert world.table.idle(99.0) == []
    assert world.table.idle(100.0) == [ann]
    assert isinstance(world.table.acquire("ann", 100.0), WaitAtGate)
    world.table.closed(ann)
    assert isinstance(world.table.acquire("ann", 100.0), Open)
    assert World(timeout=None).table.idle(1e9) == []
    assert World(timeout=None).table.next_idle(0.0) == inf


def test_credentials_are_asked_for_when_they_are_old() -> None:
    world = World(ttl=60.0)
    slot = world.open("ann")
    assert world.table.acquire("ann", 59.0) == Use(slot)
    assert world.table.acquire("ann", 60.0) == AskCredentials(slot)
    # The caller who has just connected or asked is not sent to ask again.
    assert world.table.acquire("ann", 60.0, slot) == Use(slot)
    assert world.table.asked(slot, GIVEN, 61.0) is None
    assert world.table.acquire("ann", 62.0) == Use(slot)
    following = world.table.asked(slot, OTHER, 130.0)
    assert following is not None
    assert following.slot.stale is slot.client
    # Somebody else who asked at the same time finds that it is decided.
    assert world.table.asked(slot, OTHER, 130.0) is None
    assert isinstance(world.table.acquire("ann", 130.0), WaitAtGate)


def test_refused_credentials_are_remembered_for_a_while() -> None:
    table = World().table
    opening = table.acquire("ann", 0.0)
    assert isinstance(opening, Open)
    refused = AuthRejected()
    table.failed(opening.slot, refused, GIVEN, 0.0)
    assert table.refusal("ann", GIVEN, REFUSAL_MEMORY - 1) is refused
    assert table.refusal("bob", GIVEN, 1.0) is None
    assert table.refusal("ann", OTHER, 1.0) is None
    assert table.refusal("ann", GIVEN, 1.0) is None, "others have been tried since"
    for number in range(REMEMBERED + 1):
        again = table.acquire(number, 0.0)
        assert isinstance(again, Open)
        table.failed(again.slot, refused, GIVEN, 0.0)
    assert table.refusal(0, GIVEN, 1.0) is None
    assert table.refusal(1, GIVEN, 1.0) is refused
    assert table.refusal(2, GIVEN, REFUSAL_MEMORY) is None
    table.remove(3)
    assert table.refusal(3, GIVEN, 1.0) is None


def test_refused_credentials_are_withdrawn_by_others_and_by_the_end() -> None:
    table = World().table
    for number, error in enumerate((AuthRejected(), RateLimited(), Unreachable())):
        opening = table.acquire(number, 0.0)
        assert isinstance(opening, Open)
        table.failed(opening.slot, error, GIVEN, 0.0)
    assert [table.withdrawn(number, None) for number in range(3)] == [GIVEN, GIVEN, None]
    assert [table.withdrawn(number, OTHER) for number in range(3)] == [GIVEN, GIVEN, None]
    assert [table.withdrawn(number, GIVEN) for number in range(3)] == [None] * 3
    # A lock-out is no reason to give the same answer again.
    assert table.refusal(1, GIVEN, 0.0) is None


def test_who_was_disconnected_while_connecting_keeps_no_device() -> None:
    world = World()
    mine = Credentials("ws://127.0.0.1:1", identity=DeviceIdentity.generate())
    ann, bob = (world.table.acquire(user, 0).slot for user in ("ann", "bob"))
    world.table.remove("ann")
    with pytest.raises(ManagerError, match="disconnected while connecting"):
        world.table.claim_device(ann, mine)
    world.table.claim_device(bob, mine)


def test_two_users_have_two_devices() -> None:
    mine = Credentials("ws://127.0.0.1:1", identity=DeviceIdentity.generate())
    world = World()
    slots = [world.open(user) for user in ("ann", "bob")]
    world.table.claim_device(slots[0], mine)
    with pytest.raises(ManagerError, match="one device"):
        world.table.claim_device(slots[1], mine)
    world.table.remove("ann")
    world.table.claim_device(slots[1], mine)


def test_who_is_closed_takes_nobody() -> None:
    world = World()
    slot = world.open("ann")
    assert world.table.clear("draining") == [slot.client]
    for phase in ("draining", "closed"):
        world.table.clear(phase)
        with pytest.raises(ManagerError, match=phase):
            world.table.acquire("ann", 0.0)


class AnyOrder(RuleBasedStateMachine):
    """Whatever callers, clients and the clock do: one slot per user, the limit holds, and nobody waits for ever."""

    users = st.sampled_from("abcdef")

    def __init__(self) -> None:
        super().__init__()
        self.world = World(limit=3, timeout=50.0, ttl=20.0)
        self.now = 0.0
        self.opening: list[Slot[Client]] = []
        self.closing: list[Slot[Client]] = []
        self.waiting: list[WaitAtGate[Client]] = []

    @rule(user=users)
    def ask(self, user: str) -> None:
        try:
            decision = self.world.table.acquire(user, self.now)
        except ManagerError:
            assert all(
                slot.state is SlotState.OPENING or client_of(slot).busy for slot in self.world.table.slots.values()
            )
            return
        if isinstance(decision, Open):
            self.opening.append(decision.slot)
        elif isinstance(decision, MakeRoom):
            assert not client_of(decision.slot).busy
            self.closing.append(decision.slot)
        elif isinstance(decision, WaitAtGate):
            self.waiting.append(decision)
        elif isinstance(decision, AskCredentials):
            following = self.world.table.asked(decision.slot, OTHER if self.now % 3 else GIVEN, self.now)
            if following is not None:
                self.opening.append(following.slot)

    @precondition(lambda self: self.opening)
    @rule(works=st.booleans())
    def opened(self, works: bool) -> None:
        slot = self.opening.pop(0)
        if works:
            self.world.table.opened(slot, Client(idle=0.0), GIVEN, self.now)
        else:
            self.world.table.failed(slot, Unreachable(), GIVEN, self.now)

    @precondition(lambda self: self.closing)
    @rule(spared=st.booleans())
    def closed(self, spared: bool) -> None:
        slot = self.closing.pop(0)
        (self.world.table.kept if spared else self.world.table.closed)(slot)

    @rule(user=users, busy=st.booleans(), alive=st.booleans())
    def client_changes(self, user: str, busy: bool, alive: bool) -> None:
        slot = self.world.table.slots.get(user)
        if slot is not None and slot.client is not None:
            slot.client.busy, slot.client.alive = busy and alive, alive

    @rule(user=users)
    def disconnect(self, user: str) -> None:
        self.world.table.remove(user)

    @rule(seconds=st.integers(0, 60))
    def time_passes(self, seconds: int) -> None:
        self.now += seconds
        for _, client in self.world.table.clients():
            client.idle += seconds
        self.closing += self.world.table.idle(self.now)

    @invariant()
    def the_limit_holds(self) -> None:
        assert len(self.world.table.slots) <= 3

    @invariant()
    def nobody_waits_for_what_is_decided(self) -> None:
        pending = {id(slot) for slot in (*self.opening, *self.closing)}
        for wait in self.waiting:
            assert wait.gate.opened or id(wait.slot) in pending  # type: ignore[attr-defined]
        for slot in self.world.table.slots.values():
            assert slot.state is SlotState.OPEN or id(slot) in pending


TestAnyOrder = AnyOrder.TestCase
TestAnyOrder.settings = settings(max_examples=200, stateful_step_count=40, deadline=None)
