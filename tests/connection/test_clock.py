"""What a connection and its supervisor do with time: hours pass, and nobody waits."""

from __future__ import annotations

import asyncio
from itertools import pairwise

import pytest

from openclaw_client.connection.connection import CLOSE_GRACE
from openclaw_client.connection.supervisor import ConnectionState
from openclaw_client.errors import AuthRejected, ConnectionLost, HandshakeTimeout, RateLimited, Unreachable
from openclaw_client.policy.backoff import ReconnectPolicy
from openclaw_client.policy.timeouts import Timeouts
from openclaw_client.protocol.client import REFUSAL_GRACE
from openclaw_client.wire.frames import ErrorShape
from tests.connection.served import TICK, Place, supervisor
from tests.moved_clock import run, turns


def now() -> float:
    return asyncio.get_running_loop().time()


async def pass_time(seconds: float) -> None:
    await asyncio.sleep(seconds)


def test_silence_is_noticed_within_two_tick_intervals_although_requests_are_sent() -> None:
    async def main() -> None:
        place = Place()
        made, log = supervisor(place)
        await made.connect()
        place.served[0].tick()
        began = now()
        assert place.served[0].transport is not None
        place.served[0].transport.pause()  # a black hole: nothing arrives and nothing comes back
        while made.state is ConnectionState.CONNECTED:
            assert made.connection is not None
            made.connection.request("health", None, None, lambda outcome: None)
            await pass_time(1.0)
        assert TICK < now() - began <= 2 * TICK + 1
        assert [returning for _, returning in log.lost] == [True]
        assert isinstance(log.lost[0][0], ConnectionLost)
        await made.disconnect()

    run(main())


def test_ticks_alone_keep_a_connection_for_days() -> None:
    async def main() -> None:
        place = Place()
        made, log = supervisor(place)
        await made.connect()
        for _ in range(2 * 24 * 120):
            await pass_time(TICK)
            place.served[0].tick()
        assert log.states == ["connecting", "connected"]
        await made.disconnect()

    run(main())


@pytest.mark.parametrize(
    ("lasted", "next_delays"),
    [(29.0, [8.0, 16.0]), (31.0, [1.0, 2.0])],
    ids=["dropped at once: it goes on waiting longer", "held: it begins anew"],
)
def test_only_a_connection_that_held_starts_the_delays_again(lasted: float, next_delays: list[float]) -> None:
    async def main() -> None:
        place = Place()
        made, log = supervisor(place, reconnect=ReconnectPolicy(initial=1.0, maximum=60.0, stable_after=30.0))
        await made.connect()
        await pass_time(31.0)
        place.reachable = False
        place.served[0].cut()
        await pass_time(4.0)  # after 1, and after 2 more
        place.reachable = True
        await made.ready(60.0)
        await pass_time(lasted)
        place.reachable = False
        place.served[-1].cut()
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        cut_at, before = now(), len(place.opened_at)
        await pass_time(sum(next_delays) + 0.5)
        delays = [later - earlier for earlier, later in pairwise([cut_at, *place.opened_at[before:]])]
        assert delays == pytest.approx(next_delays)
        assert log.lost[-1][1] is True
        await made.disconnect()

    run(main())


def test_the_time_that_a_refusal_names_is_kept_to_the_letter() -> None:
    starting = ErrorShape(code="UNAVAILABLE", message="starting", retryable=True, retry_after_ms=2500)

    async def main() -> None:
        place = Place()
        place.refusals = [(starting, 1013, "gateway starting")]
        made, _ = supervisor(place)
        began = now()
        await made.connect()
        assert [at - began for at in place.opened_at] == pytest.approx([0.0, 2.5])
        await made.disconnect()

    run(main())


def test_a_lock_out_is_not_tried_before_it_ends() -> None:
    locked = ErrorShape(
        code="INVALID_REQUEST",
        message="unauthorized: too many failed authentication attempts (retry later)",
        details={"code": "AUTH_RATE_LIMITED"},
        retry_after_ms=90_000,
    )

    async def main() -> None:
        place = Place()
        made, log = supervisor(place)
        await made.connect()
        place.refusals = [(locked, 1008, "locked")]
        place.served[0].cut()
        await pass_time(5.0)
        refused_at = place.opened_at[1]
        await pass_time(84.0)
        assert len(place.opened_at) == 2
        assert isinstance(log.changes[-1].cause, ConnectionLost)
        await made.ready(120.0)
        # The time that was named and a second of jitter at most.
        assert refused_at + 90.0 <= place.opened_at[2] <= refused_at + 91.0
        await made.disconnect()

    run(main())


def test_a_lock_out_longer_than_the_callers_patience_is_an_error_with_its_length() -> None:
    locked = ErrorShape(
        code="INVALID_REQUEST",
        message="locked",
        details={"code": "AUTH_RATE_LIMITED"},
        retry_after_ms=90_000,
    )

    async def main() -> None:
        place = Place()
        place.refusals = [(locked, 1008, "locked")]
        made, _ = supervisor(place)
        with pytest.raises(RateLimited) as caught:
            await made.connect()
        assert caught.value.retry_after == 90.0
        assert len(place.opened_at) == 1

    run(main())


def test_a_bad_token_parks_and_is_tried_again_only_when_asked() -> None:
    refused = ErrorShape(code="INVALID_REQUEST", message="unauthorized", details={"code": "AUTH_TOKEN_MISMATCH"})

    async def main() -> None:
        place = Place()
        made, log = supervisor(place)
        await made.connect()
        place.refusals = [(refused, 1008, "unauthorized")] * 2
        place.served[0].cut()
        await pass_time(3600.0)
        assert (made.state, len(place.opened_at)) == (ConnectionState.PAUSED, 2)
        assert isinstance(log.parked[0], AuthRejected)
        made.retry_now()
        await pass_time(3600.0)
        assert (made.state, len(place.opened_at)) == (ConnectionState.PAUSED, 3)
        made.retry_now()
        await made.ready(1.0)
        await made.disconnect()

    run(main())


def test_a_refusal_counts_also_where_the_socket_stays_open() -> None:
    refused = ErrorShape(code="INVALID_REQUEST", message="unauthorized", details={"code": "AUTH_TOKEN_MISMATCH"})

    async def main() -> None:
        place = Place()
        place.refusals, place.lingers = [(refused, 1008, "unauthorized")], True
        made, _ = supervisor(place, timeouts=Timeouts(connect=60.0))
        began = now()
        with pytest.raises(AuthRejected) as caught:
            await made.connect()
        assert caught.value.detail_code == "AUTH_TOKEN_MISMATCH"
        assert now() - began <= REFUSAL_GRACE + CLOSE_GRACE
        assert made.state is ConnectionState.PAUSED

    run(main())


@pytest.mark.parametrize(("told", "waited"), [(20_000, 20.0), (1e15, 3600.0)], ids=["20 s", "an hour at most"])
def test_the_time_that_a_restart_takes_is_waited_for(told: float, waited: float) -> None:
    async def main() -> None:
        place = Place()
        made, _ = supervisor(place, reconnect=ReconnectPolicy(initial=1.0))
        await made.connect()
        served = place.served[0]
        assert served.core is not None
        served.core.emit("shutdown", {"reason": "gateway restarting", "restartExpectedMs": told})
        served.flush()
        await turns(2)
        served.close(1012, "service restart")
        await turns(2)
        assert made.state is ConnectionState.RECONNECTING
        ended = now()
        await made.ready(2 * 3600.0)
        # The second attempt since the beginning: two seconds of backoff on top, without luck.
        assert place.opened_at[1] - ended == pytest.approx(waited + 2.0)
        await made.disconnect()

    run(main())


def test_a_gateway_that_never_answers_connect_is_a_handshake_timeout() -> None:
    async def main() -> None:
        place = Place()
        place.mute = True
        made, _ = supervisor(place, timeouts=Timeouts(connect=7.0))
        began = now()
        with pytest.raises(HandshakeTimeout):
            await made.connect()
        assert now() - began == pytest.approx(7.0)
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        assert place.open_ends == []

    run(main())


def test_a_gateway_that_is_gone_for_a_day_is_found_again() -> None:
    async def main() -> None:
        place = Place()
        made, log = supervisor(place)
        await made.connect()
        place.reachable = False
        place.served[0].cut()
        await pass_time(24 * 3600.0)
        assert made.state is ConnectionState.RECONNECTING
        # Full jitter is at its longest here: every thirty seconds, after the five that double.
        assert len(place.opened_at) == pytest.approx(24 * 120, abs=5)
        place.reachable = True
        await made.ready(31.0)
        assert log.states[-1] == "connected"
        await made.disconnect()

    run(main())


def test_without_reconnect_the_first_loss_is_the_end() -> None:
    async def main() -> None:
        place = Place()
        made, log = supervisor(place, reconnect=ReconnectPolicy(enabled=False))
        await made.connect()
        place.served[0].cut()
        await pass_time(60.0)
        assert (made.state, len(place.opened_at)) == (ConnectionState.DISCONNECTED, 1)
        assert [returning for _, returning in log.lost] == [False]

    run(main())


def test_an_unreachable_gateway_fails_the_first_connect_at_once() -> None:
    async def main() -> None:
        place = Place()
        place.reachable = False
        made, _ = supervisor(place)
        began = now()
        with pytest.raises(Unreachable):
            await made.connect()
        assert now() == began

    run(main())
