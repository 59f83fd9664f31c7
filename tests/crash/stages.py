"""The gateways that an application is killed at: what they were asked, and how they are ended and come back."""

from __future__ import annotations

import asyncio
import threading
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Protocol

from openclaw_client.testing import BlockingEmbeddedGateway, Turn
from tests.crash.words import asked_in, reply_to
from tests.gateways.launch import RealGateway
from tests.gateways.model import StubModel
from tests.gateways.shared import MANY_AT_ONCE


class Stage(Protocol):
    """A gateway that runs. patience: how many times longer than on an embedded one everything takes."""

    release: str
    url: str
    token: str
    patience: float

    def asked(self) -> Counter[str]:
        """How often the model was asked what."""
        ...

    async def restart(self, *, hard: bool) -> None:
        """End it, by SIGKILL or as a service manager does, and bring it back with all that it has on disk."""
        ...


class Embedded:
    """On a thread of this process."""

    patience = 1.0

    def __init__(self, release: str) -> None:
        self.release = release
        self._lock, self._asked = threading.Lock(), Counter[str]()
        self.gateway = BlockingEmbeddedGateway(self._agent, release=release)

    async def _agent(self, turn: Turn) -> AsyncIterator[str]:
        with self._lock:
            self._asked.update(asked_in([turn.message]))
        _, pace, _ = turn.message.split(" ", 2)
        for at, word in enumerate(reply_to(turn.message).split(" ")):
            yield f" {word}" if at else word
            await asyncio.sleep(int(pace) / 1000)

    @property
    def url(self) -> str:
        return self.gateway.url

    @property
    def token(self) -> str:
        return self.gateway.token or ""

    def asked(self) -> Counter[str]:
        with self._lock:
            return self._asked.copy()

    async def restart(self, *, hard: bool) -> None:
        if hard:
            await asyncio.to_thread(self.gateway.crash)
            await asyncio.to_thread(self.gateway.start)
        else:
            await asyncio.to_thread(self.gateway.restart)


class Real:
    """A process, with a stub model behind it."""

    patience = 10.0

    def __init__(self, gateway: RealGateway, model: StubModel) -> None:
        self.release = gateway.version
        self.url, self.token = gateway.url, gateway.token or ""
        self._gateway, self._model = gateway, model

    def asked(self) -> Counter[str]:
        return Counter(asked_in(one.directive for one in self._model.requests() if not one.after_tool))

    async def restart(self, *, hard: bool) -> None:
        await asyncio.to_thread(self._gateway.kill if hard else self._gateway.stop)
        await asyncio.to_thread(self._gateway.start)
        await asyncio.to_thread(self._gateway.wait_ready)


@asynccontextmanager
async def embedded(release: str) -> AsyncIterator[Stage]:
    """An embedded gateway with the profile of a release."""
    stage = Embedded(release)
    await asyncio.to_thread(stage.gateway.start)
    try:
        yield stage
    finally:
        await asyncio.to_thread(stage.gateway.close)


@asynccontextmanager
async def real(release: str) -> AsyncIterator[Stage]:
    """A real gateway of a release, warm."""
    with StubModel() as model:
        gateway = RealGateway(release, model_url=model.url, config=MANY_AT_ONCE)
        try:
            await asyncio.to_thread(gateway.__enter__)
            await asyncio.to_thread(gateway.warm_up)
            yield Real(gateway, model)
        finally:
            await asyncio.to_thread(gateway.close)
