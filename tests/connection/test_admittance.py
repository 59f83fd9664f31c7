"""Many clients of one gateway, some with credentials that it refuses; without sockets, and with a moved clock."""

from __future__ import annotations

import asyncio
from collections import Counter
from typing import Any

import pytest

from openclaw_client.connection.admittance import _lines
from openclaw_client.connection.connection import Connection, Opener
from openclaw_client.connection.dialer import Dialer
from openclaw_client.connection.settings import Settings
from openclaw_client.connection.supervisor import Supervisor
from openclaw_client.errors import AuthRejected, HandshakeTimeout, RateLimited
from openclaw_client.policy.admission import UNHEARD
from openclaw_client.policy.breaker import BUDGET, CROWD, HELD_BY_KNOWN, LONGEST_LOCK, MOST, RESERVE, WINDOW
from openclaw_client.policy.credentials import AuthInput
from openclaw_client.policy.timeouts import Timeouts
from openclaw_client.policy.urls import parse_url
from openclaw_client.transport.base import Listener
from openclaw_client.wire.frames import ErrorShape
from tests.connection.served import Log, Place
from tests.moved_clock import run, turns

REFUSED = ErrorShape(code="INVALID_REQUEST", message="gateway token mismatch", details={"code": "AUTH_TOKEN_MISMATCH"})
LOCKED = ErrorShape(message="too many failed", details={"code": "AUTH_RATE_LIMITED"}, retry_after_ms=1e15)


class Gateway(Place):
    """Lets in one token; how often it was asked, and how often it refused another one, is counted."""

    def __init__(self) -> None:
        super().__init__()
        self.right = "good"
        self.asked = self.refused = 0
        self.wrong = self.judge

    def judge(self, params: Any) -> ErrorShape | None:
        self.asked += 1
        if self.mute or params["auth"]["token"] == self.right:
            return None
        self.refused += 1
        return REFUSED

    def user(self, token: str, path: str = "", opener: Opener | None = None, **settings: Any) -> Supervisor:
        url = parse_url(f"ws://127.0.0.1:1{path}")
        made = Settings(url=url, credentials=AuthInput(token=token), **settings)
        clock = asyncio.get_running_loop().time
        return Supervisor(made, Log(), dialer=Dialer(made, opener=opener or self.open, clock=clock), rand=lambda: 0.0)


async def connect(users: list[Supervisor]) -> list[Any]:
    return await asyncio.gather(*(user.connect() for user in users), return_exceptions=True)


async def leave(users: list[Supervisor]) -> None:
    await asyncio.gather(*(user.disconnect() for user in users))
    assert not _lines[asyncio.get_running_loop()]


async def spoil(gateway: Gateway, path: str = "") -> None:
    """Use up what this process may fail."""
    for number in range(BUDGET):
        assert isinstance((await connect([gateway.user(f"wrong-{number}", path)]))[0], AuthRejected)


def test_credentials_that_worked_are_not_held_up_by_refusals() -> None:
    async def main() -> None:
        gateway = Gateway()
        ann = gateway.user("good")
        await ann.connect()
        await spoil(gateway)
        began = asyncio.get_running_loop().time()
        # The same ones of another client, too.
        users = [gateway.user("good") for _ in range(10)]
        assert all(isinstance(one, Connection) for one in await connect(users))
        assert asyncio.get_running_loop().time() == began
        await leave([ann, *users])

    run(main())


def test_others_wait_their_turn_within_their_time() -> None:
    async def main() -> None:
        gateway = Gateway()
        await spoil(gateway)
        loop = asyncio.get_running_loop()
        began = loop.time()
        patient, hurried = gateway.user("good", timeouts=Timeouts(connect=100.0)), gateway.user("good")
        outcomes = await connect([hurried, patient])
        assert isinstance(outcomes[0], RateLimited)
        assert 0 < outcomes[0].retry_after <= WINDOW
        assert outcomes[0].attempt == 1
        assert isinstance(outcomes[1], Connection)
        assert WINDOW - 1 <= loop.time() - began <= WINDOW + 1
        await leave([hurried, patient])

    run(main())


def test_what_many_have_in_common_is_let_in_behind_refusals() -> None:
    async def main() -> None:
        gateway = Gateway()
        await spoil(gateway)
        users = [gateway.user("good") for _ in range(CROWD)]
        assert all(isinstance(one, Connection) for one in await connect(users))
        await leave(users)

    run(main())


def test_sockets_that_open_late_show_no_more_credentials_than_the_gateway_bears() -> None:
    async def main() -> None:
        gateway = Gateway()

        async def late(listener: Listener) -> None:
            await asyncio.sleep(1.0)
            await gateway.open(listener)

        users = [gateway.user(f"wrong-{number}", opener=late) for number in range(23)]
        many = [gateway.user("good", opener=late) for _ in range(CROWD)]
        outcomes = await connect([*users, *many])
        assert {type(one) for one in outcomes[:-CROWD]} == {AuthRejected, RateLimited}
        assert all(isinstance(one, Connection) for one in outcomes[-CROWD:])
        assert gateway.refused == MOST - RESERVE
        await leave(many)

    run(main())


def test_a_token_that_many_have_and_that_the_gateway_takes_no_more_locks_nobody_out() -> None:
    async def main() -> None:
        gateway = Gateway()
        ann = gateway.user("good")
        await ann.connect()
        await leave([ann])
        gateway.right = "another"

        async def late(listener: Listener) -> None:
            await asyncio.sleep(0.02)
            await gateway.open(listener)

        outcomes = await connect([gateway.user("good", opener=late) for _ in range(100)])
        assert {type(one) for one in outcomes} == {AuthRejected, RateLimited}
        assert gateway.refused == MOST

    run(main())


def test_one_token_of_many_goes_to_a_slow_gateway_for_a_few_of_them_at_a_time() -> None:
    async def main() -> None:
        gateway = Gateway()
        ann = gateway.user("good")
        await ann.connect()
        gateway.mute = True
        users = [gateway.user("good", timeouts=Timeouts(connect=5.0)) for _ in range(MOST + 3)]
        calls = [asyncio.create_task(user.connect()) for user in users]
        await asyncio.sleep(HELD_BY_KNOWN - 0.1)
        assert gateway.asked == 1 + MOST
        # One of them leaves with its socket open and its credentials unsent.
        left = next(call for call, served in zip(calls, gateway.served[1:], strict=True) if not served.requested)
        left.cancel()
        await asyncio.sleep(0.1 + UNHEARD)
        assert gateway.asked == 1 + MOST + 2
        await asyncio.wait(calls)
        await leave([ann, *users])

    run(main())


def test_a_gateway_that_answers_no_connect_is_shown_no_more_than_it_bears() -> None:
    async def main() -> None:
        gateway = Gateway()
        gateway.mute = True
        users = [gateway.user(f"wrong-{number}", timeouts=Timeouts(connect=3.0)) for number in range(23)]
        outcomes = await connect(users)
        assert gateway.asked == MOST - RESERVE
        assert {type(one) for one in outcomes} == {HandshakeTimeout}
        codes = Counter(one.detail_code for one in outcomes)
        assert codes == {"NO_HELLO": MOST - RESERVE, "OWN_QUEUE": len(users) - (MOST - RESERVE)}
        assert {type(one) for one in await connect(users)} == {HandshakeTimeout}
        assert gateway.asked == MOST - RESERVE, "it may answer those yet"

    run(main())


def test_whoever_was_refused_is_told_at_once_instead_of_waiting() -> None:
    async def main() -> None:
        gateway = Gateway()
        await spoil(gateway)
        began = asyncio.get_running_loop().time()
        [outcome] = await connect([gateway.user("wrong-1")])
        assert isinstance(outcome, RateLimited)
        assert asyncio.get_running_loop().time() == began
        assert gateway.refused == BUDGET

    run(main())


def test_a_user_s_own_gateway_behind_a_path_is_locked_by_nobody_else() -> None:
    async def main() -> None:
        gateway = Gateway()
        await spoil(gateway, "/ann")
        bob = gateway.user("good", "/bob")
        assert isinstance((await connect([bob]))[0], Connection)
        await leave([bob])

    run(main())


def test_a_lock_out_of_a_thousand_years_is_over_in_an_hour() -> None:
    async def main() -> None:
        gateway = Gateway()
        gateway.refusals.append((LOCKED, 1008, "locked"))
        loop = asyncio.get_running_loop()
        [told] = await connect([gateway.user("good")])
        assert isinstance(told, RateLimited)
        began = loop.time()
        [held] = await connect([gateway.user("good")])
        assert isinstance(held, RateLimited)
        assert loop.time() == began
        user = gateway.user("good", timeouts=Timeouts(connect=2 * LONGEST_LOCK))
        assert isinstance((await connect([user]))[0], Connection)
        assert loop.time() - began <= LONGEST_LOCK + 1
        await leave([user])

    run(main())


@pytest.mark.parametrize("after", range(1, 40, 3))
def test_who_leaves_the_line_leaves_nothing_behind(after: int) -> None:
    async def main() -> None:
        gateway = Gateway()
        await spoil(gateway)
        users = [gateway.user("good") for _ in range(CROWD - 1)]
        calls = [asyncio.create_task(user.connect()) for user in users]
        await turns(after)
        for call in calls:
            call.cancel()
        await asyncio.wait(calls)
        await leave(users)

    run(main())
