"""Others at the same gateway: they inject messages and have runs of their own, also while the application is dead."""

from __future__ import annotations

import asyncio
import itertools
import random
from dataclasses import dataclass

from openclaw_client import AsyncGatewayClient, ReconnectPolicy, Timeouts
from openclaw_client.errors import GatewayError
from tests.contract.targets import device_store
from tests.crash.log import now
from tests.crash.stages import Stage
from tests.crash.words import ALL, INJECTED, NEWS, OTHERS, message_of, text_of

SCOPES = ("operator.read", "operator.write", "operator.admin")
PAUSE = {False: 0.5, True: 2.0}
"""Seconds between two things that are said, at most: embedded gateways, real ones."""
RUNS = 0.3
"""Of what is said, as a run."""


@dataclass(slots=True)
class Said:
    """One message that the application has to be told of. certain: the gateway said that it has it."""

    name: str
    text: str
    session: str
    at: float
    certain: bool = False


class Crowd:
    """One client. Its runs go on one after the other, in a session of their own."""

    def __init__(self, stage: Stage, rng: random.Random) -> None:
        self._rng = rng
        self._pause = PAUSE[stage.patience > 1]
        self._numbers = itertools.count(1)
        self.said: list[Said] = []
        self.client = AsyncGatewayClient(
            stage.url,
            token=stage.token,
            identity=device_store(),
            scopes=SCOPES,
            sessions=(),
            timeouts=Timeouts(connect=30, request=60),
            reconnect=ReconnectPolicy(initial=0.05, maximum=0.5),
        )

    async def talk(self, over: asyncio.Event) -> None:
        """Say things until told to end; what was begun then comes to its end."""
        async with asyncio.TaskGroup() as group:
            while not over.is_set():
                group.create_task(self._run() if self._rng.random() < RUNS else self._inject())
                try:
                    await asyncio.wait_for(over.wait(), self._rng.uniform(0, self._pause))
                except TimeoutError:
                    continue

    async def _inject(self) -> None:
        name = f"{INJECTED}{next(self._numbers)}"
        said = self._begin(name, self._rng.choice(ALL))
        try:
            await self.client.chat_inject(session_key=said.session, message=said.text)
        except GatewayError:
            return
        said.certain = True

    async def _run(self) -> None:
        name = f"{OTHERS}{next(self._numbers)}"
        said = self._begin(name, NEWS)
        try:
            reply = await self.client.chat_send(session_key=NEWS, message=message_of(name, len(said.text.split()), 20))
        except GatewayError:
            return
        said.certain = (reply.state, reply.text) == ("final", said.text)

    def _begin(self, name: str, session: str) -> Said:
        said = Said(name, text_of(name, self._rng.randint(2, 12)), session, now())
        self.said.append(said)
        return said

    async def histories(self) -> list[str]:
        """All that the gateway still has of the sessions."""
        pages = [await self.client.chat_history(session_key=key, limit=1000) for key in ALL]
        return [row.text for page in pages for row in page.messages]
