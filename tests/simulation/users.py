"""The users of the simulation: real clients, whose lives are drawn by lot, and what is always true of them."""

from __future__ import annotations

import asyncio
import random
from collections import Counter
from dataclasses import dataclass, field
from math import inf

from openclaw_client import AsyncGatewayClient
from openclaw_client.errors import GatewayError
from tests.simulation.names import Name
from tests.simulation.world import Gateway, now

LIMIT = 10.0
"""Seconds of a connect, by default."""
FAIR = 2.0
"""Seconds within which nineteen in twenty connects succeed whatever is wrong with others (docs/many-users.md), and all
succeed within their limit; a handshake takes a fiftieth of a second."""
HEARD = 35.0
"""Seconds within which a message that was said to a connected client is handed out: 30 behind a refused history."""


class Broken(AssertionError):
    """A promise that did not hold."""


@dataclass
class Life:
    """One user's life, and what came of it. kind: "good", "wrong" (a refused token) or "silent" (sockets that nobody
    answers). host: the name in its URL, where that is no address. stay, pause: seconds at most of a connection, and
    until the next. said: when. awaited: what of it was said to a connected client and is not heard yet. first: when it
    was let in first; what was said before is nobody's to hear."""

    name: str
    kind: str
    gateway: Gateway
    url: str
    rand: random.Random
    counts: Counter[str]
    host: Name | None = None
    pause: float = 120.0
    stay: float = 1_800.0
    told: set[str] = field(default_factory=set)
    wrong: list[str] = field(default_factory=list)
    said: dict[str, float] = field(default_factory=dict)
    awaited: dict[str, float] = field(default_factory=dict)
    client: AsyncGatewayClient | None = None
    first: float = inf

    @property
    def session(self) -> str:
        return f"agent:main:{self.name}"

    @property
    def token(self) -> str:
        # A gateway has one token for all; the wrong ones are wrong each in its own way.
        return f"wrong-token-of-{self.name}" if self.kind == "wrong" else "good-token"

    async def live(self, until: float) -> None:
        client = self.client = AsyncGatewayClient(
            self.url, token=self.token, identity=False, sessions=[self.session], headers={"X-Kind": self.kind}
        )
        client.on_proactive_message(lambda _, message: self._hear(message.text))
        while now() < until:
            if await self._connects(client):
                await asyncio.sleep(self.rand.uniform(30, self.stay))
                await self._leaves(client)
            await asyncio.sleep(self.rand.uniform(1, self.pause))
        if self.kind == "good" and await self._connects(client):
            await self._hears_all()
        await client.disconnect()

    async def _hears_all(self) -> None:
        """What was said while it was away is heard in the end, where it can be."""
        begun = now()
        await asyncio.sleep(2 * HEARD)
        missing = [text for text, at in self.said.items() if self.first < at < begun and text not in self.told]
        if self._fair(begun) and self.gateway.history_refused_until < begun and missing:
            raise Broken(f"{self.name} never heard {len(missing)} messages, such as {missing[0]!r}")
        self.counts["heard"] += len(self.told)

    def _hear(self, text: str) -> None:
        # Handlers may raise what they like, and so it is looked at from outside.
        if text in self.told:
            self.wrong.append(f"{self.name} was told {text!r} twice")
        if text not in self.said:
            self.wrong.append(f"{self.name} was told {text!r}, which was said to somebody else")
        self.told.add(text)
        self.awaited.pop(text, None)

    async def _connects(self, client: AsyncGatewayClient) -> bool:
        begun = now()
        try:
            await client.connect()
        except GatewayError as error:
            self._failed(error, begun)
            return False
        if self.kind != "good":
            raise Broken(f"{self.name} was let in with {self.token}")
        if not client.connected or client.state.value != "connected":
            raise Broken(f"connect() returned, and the state is {client.state.value}")
        took = now() - begun
        if self._fair(begun):
            self.counts["fair"] += 1
            self.counts["slow"] += took > FAIR
        self.counts["connected"] += 1
        self.first = min(self.first, now())
        return True

    def _failed(self, error: GatewayError, begun: float) -> None:
        self.counts[type(error).__name__] += 1
        if now() - begun > LIMIT + 0.5:
            raise Broken(f"connect() of {self.name} took {now() - begun:.1f} s to fail")
        if self.kind == "good" and self._fair(begun):
            raise Broken(f"{self.name} was kept out of a gateway that was well: {error}")

    def _fair(self, begun: float) -> bool:
        """Whether the gateway and its name were well all the time."""
        well = [self.gateway.healthy_since, begun if self.host is None else self.host.well_since]
        return all(since is not None and since <= begun for since in well)

    async def _leaves(self, client: AsyncGatewayClient) -> None:
        leaving = asyncio.ensure_future(client.disconnect())
        if self.rand.random() < 0.5:
            # Cancelled in its first turns; it has begun.
            for _ in range(self.rand.randint(1, 4)):
                await asyncio.sleep(0)
            leaving.cancel()
        await asyncio.wait({leaving})
        if client.connected or client.state.value != "disconnected":
            raise Broken(f"disconnect() is over, and the state is {client.state.value}")

    def say(self) -> None:
        """Somebody says something to this user."""
        text = self.gateway.say(self.session)
        self.said[text] = now()
        if self.client is not None and self.client.connected:
            self.awaited[text] = now()

    def look(self) -> None:
        """Raise Broken for what was told wrongly, or long ago to a connected client and is not handed out."""
        if self.wrong:
            raise Broken(self.wrong[0])
        for text, at in tuple(self.awaited.items()):
            if now() - at <= HEARD:
                return
            if self._fair(at):
                raise Broken(f"{self.name} has not heard {text!r} for {now() - at:.0f} s, and is {self.state}")
            # Whatever was ill then excuses it for good.
            del self.awaited[text]

    @property
    def state(self) -> str:
        return "nowhere" if self.client is None else self.client.state.value
