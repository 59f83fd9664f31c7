"""When what waits is over by itself: never before the gateway says so, whatever the clocks are."""

from __future__ import annotations

import asyncio
import time
from typing import Any

import pytest

from openclaw_client.interactions.expiry import LONGEST_WAIT, UNDATED, Expiry
from openclaw_client.wire.approvals import Approval
from tests.moved_clock import run

HALF_AN_HOUR = 1800.0


def asked(at: float, life: float | None = HALF_AN_HOUR, *, dated: bool = True) -> Approval:
    """An approval that was asked for at this time of the gateway."""
    raw = {"createdAtMs": at * 1000} if dated else {}
    return Approval("a", command="ls", expires_at=None if life is None else at + life, raw=raw)


def left(item: Approval, offset: float | None) -> float:
    """Seconds for which it is kept, with a gateway whose clock is ahead by so much."""

    async def main() -> float:
        expiry = Expiry(lambda: None)
        expiry.set_clock(offset)
        return expiry.over_at(item) - asyncio.get_running_loop().time()

    return run(main())


@pytest.mark.parametrize("offset", [0.0, 3600.0, -86_400.0])
def test_it_is_kept_until_the_gateway_s_clock_says_so(offset: float) -> None:
    now = time.time() + offset
    assert left(asked(now), offset) == pytest.approx(HALF_AN_HOUR, abs=5)
    assert left(asked(now - 1200), offset) == pytest.approx(600, abs=5)


@pytest.mark.parametrize("told", [None, 0.0])
@pytest.mark.parametrize("truly", [-86_400.0, 86_400.0])
def test_a_clock_that_is_wrong_or_not_told_ends_nothing_early(told: float | None, truly: float) -> None:
    assert left(asked(time.time() + truly), told) == pytest.approx(HALF_AN_HOUR)


def test_what_does_not_say_when() -> None:
    assert left(asked(time.time(), None), 0.0) == UNDATED
    assert left(asked(time.time(), dated=False), None) == UNDATED
    assert left(asked(time.time(), -5.0), None) == 0.0


def test_it_is_looked_when_it_is_due_and_not_when_nobody_waits() -> None:
    async def main() -> list[float]:
        loop, looks = asyncio.get_running_loop(), list[float]()
        begun = loop.time()
        expiry = Expiry(lambda: looks.append(loop.time() - begun))
        expiry.arm(begun + 10)
        expiry.arm(begun + 20)
        await asyncio.sleep(30)
        expiry.arm(begun - 5)
        await asyncio.sleep(1)
        expiry.arm(begun + 10 * LONGEST_WAIT)
        await asyncio.sleep(LONGEST_WAIT)
        for stop in (expiry.stop, lambda: expiry.arm(float("inf"))):
            expiry.arm(loop.time() + 5)
            stop()
        await asyncio.sleep(10)
        return looks

    assert run(main()) == pytest.approx([20, 30, 31 + LONGEST_WAIT])


def test_setting_this_machine_s_clock_changes_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    async def main() -> float:
        expiry, item = Expiry(lambda: None), asked(time.time())
        expiry.set_clock(0.0)
        set_forward: Any = lambda now=time.time: now() + 7200.0  # noqa: E731
        monkeypatch.setattr("openclaw_client.interactions.expiry.time.time", set_forward)
        return expiry.over_at(item) - asyncio.get_running_loop().time()

    assert run(main()) == pytest.approx(HALF_AN_HOUR, abs=5)
