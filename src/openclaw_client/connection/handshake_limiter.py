"""How many handshakes this process has under way with one host; `policy.turns` decides."""

from __future__ import annotations

import asyncio
import random
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from weakref import WeakKeyDictionary

from openclaw_client.connection.outcomes import HandshakeRefused
from openclaw_client.policy.turns import HANDSHAKES, Turns
from openclaw_client.policy.urls import GatewayUrl

LOOK = 0.05
"""Seconds between two looks for silent handshakes while others wait: half of what the quickest of them are given."""


class TurnLost(Exception):
    """The handshake would hold up others, and its socket was given up; it is to be tried again behind them."""


class _Turn:
    """begins: done when the handshake may begin. patience: ends it, while it is under way."""

    __slots__ = ("begins", "patience")

    def __init__(self) -> None:
        self.begins: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self.patience = asyncio.timeout(None)


class _Limiter:
    """The handshakes with one host on one event loop, in the order in which they came."""

    __slots__ = ("loop", "timer", "turns")

    def __init__(self) -> None:
        self.loop = asyncio.get_running_loop()
        self.turns: Turns[_Turn] = Turns(random.random, at_once=HANDSHAKES)
        self.timer: asyncio.TimerHandle | None = None

    async def enter(self, turn: _Turn, gateway: str) -> None:
        """Wait for the turn; cancelling gives it up."""
        if self.turns.enter(turn, gateway, self.loop.time()):
            return
        self._arm()
        try:
            await turn.begins
        except asyncio.CancelledError:
            self.leave(turn, answered=False)
            raise

    def leave(self, turn: _Turn, *, answered: bool) -> None:
        self._let_in(self.turns.leave(turn, self.loop.time(), answered=answered))

    def _let_in(self, begun: list[_Turn]) -> None:
        for turn in begun:
            # One that was cancelled in this very moment leaves in its next turn of the loop.
            if not turn.begins.done():
                turn.begins.set_result(None)
        if not self.turns.waiting and self.timer is not None:
            self.timer.cancel()
            self.timer = None

    def _arm(self) -> None:
        if self.timer is None:
            self.timer = self.loop.call_later(LOOK, self._look)

    def _look(self) -> None:
        self.timer = None
        begun, given_up = self.turns.look(self.loop.time())
        for turn in given_up:
            turn.patience.reschedule(self.loop.time())
        self._let_in(begun)
        if self.turns.waiting:
            self._arm()


# Per loop, because a future belongs to one; a process rarely has more than two.
_limiters: WeakKeyDictionary[asyncio.AbstractEventLoop, dict[tuple[str, int], _Limiter]] = WeakKeyDictionary()


@asynccontextmanager
async def limited_handshake(url: GatewayUrl) -> AsyncIterator[None]:
    """Wait until this process may begin a handshake with the host of this URL. Cancelling gives the turn up.

    Raises TurnLost, after the block was cancelled, where others should not wait for it any longer.
    """
    limiters = _limiters.setdefault(asyncio.get_running_loop(), {})
    key = (url.host.lower(), url.port)
    limiter = limiters.setdefault(key, _Limiter())
    turn = _Turn()
    try:
        await limiter.enter(turn, url.origin)
        answered = False
        try:
            async with turn.patience:
                yield
            answered = True
        except HandshakeRefused as refused:
            answered = refused.end.error is not None
            raise
        except TimeoutError:
            if turn.patience.expired():
                raise TurnLost from None
            raise
        finally:
            limiter.leave(turn, answered=answered)
    finally:
        if limiter.turns.unused:
            limiters.pop(key, None)
