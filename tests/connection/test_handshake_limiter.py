"""Many clients and one gateway: never more handshakes at once than a gateway allows an address."""

from __future__ import annotations

import asyncio

import pytest

from openclaw_client import AsyncGatewayClient
from openclaw_client.connection import handshake_limiter as module
from openclaw_client.connection.handshake_limiter import HANDSHAKES, _limiters, limited_handshake
from openclaw_client.connection.supervisor import ConnectionState, Supervisor
from openclaw_client.errors import HandshakeTimeout
from openclaw_client.policy.timeouts import Timeouts
from openclaw_client.policy.turns import SPARE
from openclaw_client.policy.urls import parse_url
from openclaw_client.testing import EmbeddedGateway
from tests.connection.served import Place, supervisor
from tests.moved_clock import run, turns

CROWD = 500


async def a_crowd(place: Place) -> list[Supervisor]:
    return [supervisor(place)[0] for _ in range(CROWD)]


async def disperse(crowd: list[Supervisor]) -> None:
    await asyncio.gather(*(made.disconnect() for made in crowd))
    assert not _limiters[asyncio.get_running_loop()]


def test_a_crowd_connects_in_turns_and_comes_back_in_turns() -> None:
    async def main() -> None:
        place = Place()
        crowd = await a_crowd(place)
        await asyncio.gather(*(made.connect() for made in crowd))
        assert place.most_strangers == HANDSHAKES
        for served in place.open_ends:
            served.close(1012, "service restart")
        await turns(3)
        assert {made.state for made in crowd} == {ConnectionState.RECONNECTING}
        await asyncio.gather(*(made.ready(60.0) for made in crowd))
        assert place.most_strangers == HANDSHAKES
        assert len(place.opened_at) == 2 * CROWD
        await disperse(crowd)

    run(main())


@pytest.mark.parametrize("after", range(1, 60, 3))
def test_those_who_leave_the_line_do_not_take_a_turn_with_them(after: int) -> None:
    async def main() -> None:
        place = Place()
        crowd = await a_crowd(place)
        calls = [asyncio.create_task(made.connect()) for made in crowd]
        await turns(after)
        for call in calls[::2]:
            call.cancel()
        await asyncio.gather(*calls[1::2])
        # Some may go in the place of those who were cut off in the middle and are not heard of any more.
        assert place.most_strangers <= HANDSHAKES + SPARE
        await asyncio.wait(calls)
        await disperse(crowd)

    run(main())


def test_a_turn_that_is_given_up_in_the_moment_in_which_it_was_given_leaves_nothing_behind() -> None:
    async def main() -> None:
        url, leave = parse_url("wss://gateway.example"), asyncio.Event()

        async def pass_through() -> None:
            async with limited_handshake(url):
                await leave.wait()

        inside = [asyncio.create_task(pass_through()) for _ in range(HANDSHAKES)]
        await turns(1)
        last = asyncio.create_task(pass_through())
        await turns(1)
        leave.set()
        # Those inside leave in the next turn, and the last one is told in the same turn that it may enter.
        await turns(1)
        last.cancel()
        await asyncio.wait([*inside, last])
        assert last.cancelled()
        assert not _limiters[asyncio.get_running_loop()]

    run(main())


def test_a_gateway_that_does_not_answer_holds_up_nobody_for_longer_than_asked() -> None:
    async def main() -> None:
        place = Place()
        place.mute = True
        crowd = [supervisor(place, timeouts=Timeouts(connect=5.0))[0] for _ in range(3 * HANDSHAKES)]
        began = asyncio.get_running_loop().time()
        outcomes = await asyncio.gather(*(made.connect() for made in crowd), return_exceptions=True)
        assert asyncio.get_running_loop().time() - began == pytest.approx(5.0)
        assert {type(outcome) for outcome in outcomes} == {HandshakeTimeout}
        assert len(place.served) <= HANDSHAKES + SPARE
        waited = [outcome for outcome in outcomes if "other clients" in str(outcome)]
        assert len(waited) == len(crowd) - len(place.served)
        await disperse(crowd)

    run(main())


@pytest.mark.parametrize("every", [20, 5], ids=["5 %", "20 %"])
def test_sockets_that_are_never_answered_keep_nobody_from_connecting(every: int) -> None:
    """Not even their own clients, who are given others."""

    async def main() -> None:
        place = Place()
        place.silent = lambda number: number % every == 0
        crowd = await a_crowd(place)
        began = asyncio.get_running_loop().time()
        outcomes = await asyncio.gather(*(made.connect() for made in crowd), return_exceptions=True)
        good = [outcome for outcome in outcomes if not isinstance(outcome, Exception)]
        assert asyncio.get_running_loop().time() - began <= 10.0
        assert len(good) >= 0.95 * CROWD
        assert len(place.strangers) <= HANDSHAKES + SPARE
        await disperse(crowd)

    run(main())


def test_a_client_whose_sockets_are_never_answered_says_so() -> None:
    async def main() -> None:
        place = Place()
        quiet = Place()
        quiet.silent = lambda _: True
        lost = [supervisor(quiet)[0] for _ in range(4 * HANDSHAKES)]
        crowd = [supervisor(place)[0] for _ in range(100)]
        calls = [asyncio.create_task(made.connect()) for made in lost]
        assert not [one for one in await asyncio.gather(*(made.connect() for made in crowd)) if one.end is not None]
        await asyncio.wait(calls)
        told = [str(call.exception()) for call in calls]
        assert all("[NO_HELLO]" in one or "[NO_CHALLENGE" in one for one in told)
        assert any("it answered others, and none of the" in one for one in told)
        await disperse([*lost, *crowd])

    run(main())


@pytest.mark.parametrize("limited", [True, False], ids=["in turns", "all at once"])
async def test_a_gateway_refuses_a_crowd_that_comes_all_at_once(limited: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    if not limited:
        monkeypatch.setattr(module, "HANDSHAKES", CROWD)
    async with EmbeddedGateway() as gateway:
        crowd = [AsyncGatewayClient(gateway.url, token=gateway.token, identity=False) for _ in range(100)]
        outcomes = await asyncio.gather(*(client.connect() for client in crowd), return_exceptions=True)
        assert (gateway.seen.upgrades_refused > 0) is not limited
        assert any(isinstance(outcome, Exception) for outcome in outcomes) is not limited
        await asyncio.gather(*(client.disconnect() for client in crowd))
