"""This process's end of the one with the gateways."""

from __future__ import annotations

import asyncio
import json
import sys
from dataclasses import dataclass
from types import TracebackType
from typing import Any, Self

ANSWER = 60.0
"""Seconds within which the other process answers: the end of the weather takes a stall and a restart."""


@dataclass(frozen=True, slots=True)
class Place:
    """Where a client connects. joint: see `storm.Errand.text`."""

    url: str
    token: str
    release: str
    joint: str


class GatewayProcess:
    """Starts the gateways and asks them; on one event loop."""

    def __init__(self, seed: int, clients: int, seconds: float) -> None:
        self._arguments = (str(seed), str(clients), str(seconds))
        self._waiting: dict[int, asyncio.Future[dict[str, Any]]] = {}
        self._number = 0
        self.places: list[Place] = []

    async def __aenter__(self) -> Self:
        command = (sys.executable, "-m", "tests.soak.gateways", *self._arguments)
        pipe = asyncio.subprocess.PIPE
        # The places of all clients stand in one line.
        self._process = await asyncio.create_subprocess_exec(*command, stdin=pipe, stdout=pipe, limit=1 << 20)
        try:
            first = json.loads(await asyncio.wait_for(self._out.readline(), ANSWER))
        except BaseException:
            self._process.kill()
            await self._process.wait()
            raise
        self.places = [Place(**place) for place in first["places"]]
        self._reading = asyncio.create_task(self._read())
        return self

    async def __aexit__(self, kind: type[BaseException] | None, error: object, at: TracebackType | None) -> None:
        assert self._process.stdin is not None
        self._process.stdin.close()
        try:
            await asyncio.wait_for(self._process.wait(), ANSWER)
        finally:
            if self._process.returncode is None:
                self._process.kill()
                await self._process.wait()
            self._reading.cancel()
            await asyncio.wait((self._reading,))

    async def ask(self, what: str, **details: Any) -> dict[str, Any]:
        """The answer to a question; TimeoutError where there is none, ConnectionError where the process has ended."""
        assert self._process.stdin is not None
        self._number += 1
        number, waiter = self._number, asyncio.get_running_loop().create_future()
        self._waiting[number] = waiter
        try:
            self._process.stdin.write(json.dumps({"id": number, "ask": what, **details}).encode() + b"\n")
            return await asyncio.wait_for(waiter, ANSWER)
        finally:
            del self._waiting[number]

    @property
    def _out(self) -> asyncio.StreamReader:
        assert self._process.stdout is not None
        return self._process.stdout

    async def _read(self) -> None:
        while line := await self._out.readline():
            answer = json.loads(line)
            waiter = self._waiting.get(answer.pop("id"))
            if waiter is not None and not waiter.done():
                waiter.set_result(answer)
        for waiter in self._waiting.values():
            if not waiter.done():
                waiter.set_exception(ConnectionError("the process of the gateways has ended"))
