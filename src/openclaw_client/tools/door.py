"""The way of a host to its gateway, also where a person has to approve its device first."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Protocol

from openclaw_client.client.pairing import POLL, Pairing
from openclaw_client.connection.supervisor import Supervisor
from openclaw_client.errors import GatewayError, PairingRequired


class Enters(Protocol):
    """Who wants in. On the loop's thread; must not block and must not raise."""

    closings: int
    """How often close() was called."""

    def on_request(self, error: PairingRequired) -> None:
        """A person has to approve the device."""

    def on_failed(self, error: GatewayError) -> None:
        """There is no way in; it is not tried again."""


class Door:
    """Of one host."""

    def __init__(self, supervisor: Supervisor, host: Enters) -> None:
        self._supervisor = supervisor
        self._host = host
        self._task: asyncio.Task[None] | None = None

    def go(self, known: PairingRequired | None = None) -> None:
        """Connect, unless that goes on already. known: the refusal that the supervisor has just met."""
        if self._task is None:
            self._task = asyncio.get_running_loop().create_task(self._go(known), name="openclaw-host")

    def stop(self) -> None:
        task, self._task = self._task, None
        if task is not None:
            task.cancel()

    async def _go(self, known: PairingRequired | None) -> None:
        pairing = Pairing(_Attempts(self._supervisor, self._host, known), wait=True, poll=POLL)
        try:
            while (request := await pairing.next_request()) is not None:
                self._host.on_request(request)
        except GatewayError as error:
            self._host.on_failed(error)
        finally:
            await pairing.close()
            if self._task is asyncio.current_task():
                self._task = None


class _Attempts:
    """What `Pairing` tries again and again."""

    def __init__(self, supervisor: Supervisor, host: Enters, known: PairingRequired | None) -> None:
        self._supervisor = supervisor
        self._host = host
        self._known = known

    @property
    def closings(self) -> int:
        return self._host.closings

    async def connect(self) -> None:
        known, self._known = self._known, None
        if known is not None:
            raise known
        await self._supervisor.connect()

    async def pause(self, seconds: float) -> None:
        await self._supervisor.pause(seconds)

    def await_approval(self) -> Callable[[], None]:
        return self._supervisor.await_approval()
