"""What a host's users hear of it: handlers, and calls that wait for a state."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final

from openclaw_client.errors import GatewayError
from openclaw_client.tools.calls import CallEnd
from openclaw_client.tools.publication import HostState

OVER: Final = frozenset({HostState.DISCONNECTED, HostState.PAUSED, HostState.REPLACED})
"""States in which nothing goes on."""
SETTLED: Final = frozenset({HostState.PUBLISHED, HostState.WAITING_FOR_APPROVAL, HostState.WAITING_FOR_DEVICE})
"""States in which there is nothing more to come without a person."""


@dataclass(frozen=True, slots=True)
class HostStateChange:
    """Something happened to a host.

    Attributes:
        old: What its state was.
        new: What it is now; the same where a request was not approved in time, and another one takes its place.
        cause: Why; None for a change that the caller asked for, or that is what was hoped for.
        waiting_for: What a person has to do now, with the command; None where nobody has to.
    """

    old: HostState
    new: HostState
    cause: GatewayError | None = None
    waiting_for: str | None = None


class HostHandlers:
    """What users registered."""

    def __init__(self) -> None:
        self.state: list[Callable[[HostStateChange], object]] = []
        self.fatal: list[Callable[[Any, GatewayError], object]] = []
        self.call: list[Callable[[CallEnd], object]] = []


class StateWaiters:
    """Calls that wait for one of some states. On the loop's thread."""

    def __init__(self) -> None:
        self._waiting: dict[asyncio.Future[None], frozenset[HostState]] = {}

    def any(self) -> bool:
        """Whether somebody waits."""
        return bool(self._waiting)

    async def wait(self, wanted: frozenset[HostState], timeout: float | None) -> None:
        """Return in one of these states. Raises what ends the host before, and TimeoutError."""
        waiter: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._waiting[waiter] = wanted
        try:
            async with asyncio.timeout(timeout):
                await waiter
        finally:
            self._waiting.pop(waiter, None)

    def tell(self, state: HostState, over: Callable[[], GatewayError]) -> None:
        """There is a new state; over gives why there is nothing more to wait for."""
        for waiter, wanted in tuple(self._waiting.items()):
            if waiter.done():
                continue
            if state in wanted:
                waiter.set_result(None)
            elif state in OVER:
                waiter.set_exception(over().again())
                # One that was cancelled in this very turn must not be reported as never retrieved.
                waiter.exception()
