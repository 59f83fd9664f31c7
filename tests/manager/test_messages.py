"""Which of a user's connections tells a message, in every order in which they may hear it."""

from __future__ import annotations

from dataclasses import dataclass, field
from itertools import permutations

import pytest

from openclaw_client.client.options import ConnectionState
from openclaw_client.manager.messages import MAX_HEARD, MessageFilter


@dataclass(eq=False)
class Client:
    user: str = "ann"
    known: set[str] = field(default_factory=set)
    state: ConnectionState = ConnectionState.CONNECTED
    busy: bool = True
    idle_seconds: float = 0.0


class World:
    """Clients of one user, the last of which is the current one."""

    def __init__(self, count: int) -> None:
        self.filter = MessageFilter[Client](lambda client, run_id: run_id in client.known)
        self.clients = [Client() for _ in range(count)]

    def hands_out(self, client: Client, run_id: str = "r") -> bool:
        client.known.add(run_id)
        others = [one for one in self.clients if one is not client]
        return self.filter.passes(client, others, run_id, current=client is self.clients[-1])


@pytest.mark.parametrize("count", [1, 2, 3])
@pytest.mark.parametrize("heard_before", [False, True], ids=["as it comes", "all hear it first"])
def test_a_message_is_told_once_in_any_order(count: int, heard_before: bool) -> None:
    for order in permutations(range(count)):
        world = World(count)
        if heard_before:
            for client in world.clients:
                client.known.add("r")
        assert sum(world.hands_out(world.clients[index]) for index in order) == 1


@pytest.mark.parametrize("count", [2, 3])
def test_a_reply_to_a_call_on_one_is_told_by_none(count: int) -> None:
    for owner in range(count):
        for order in permutations(set(range(count)) - {owner}):
            world = World(count)
            world.clients[owner].known.add("r")
            assert not any(world.hands_out(world.clients[index]) for index in order)


def test_what_a_client_that_is_gone_has_told_is_not_told_again() -> None:
    world = World(2)
    assert world.hands_out(world.clients[0])
    world.clients.pop(0)
    assert not world.hands_out(world.clients[0])


def test_what_is_remembered_is_bounded() -> None:
    world = World(2)
    for number in range(2 * MAX_HEARD):
        assert world.hands_out(world.clients[0], str(number))
    assert len(world.filter._heard) == MAX_HEARD
    # Where there is one connection, nothing is.
    alone = World(1)
    assert alone.hands_out(alone.clients[0])
    assert not alone.filter._heard
