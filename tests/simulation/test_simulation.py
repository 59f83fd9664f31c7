"""Days in the life of many users, some of whom are broken, at gateways that break.

No user's success depends on another's fault, no state lies, everything ends, nothing is told twice or to somebody else,
and no gateway is brought to lock its clients out. Each of these is found broken where its cure is taken away.
"""

from __future__ import annotations

import asyncio
import logging
import os
import random
import time
from collections import Counter
from collections.abc import Callable, Coroutine, Iterator
from typing import Any, TypeAlias

import pytest

from openclaw_client import AsyncGatewayClient
from openclaw_client.chat import missed_messages
from openclaw_client.connection import admittance, breakers, supervisor
from openclaw_client.connection.dialer import Dialer
from openclaw_client.connection.settings import Settings
from openclaw_client.policy import breaker, turns
from openclaw_client.policy.urls import GatewayUrl
from openclaw_client.transport import lookups
from openclaw_client.transport.base import Listener
from openclaw_client.transport.lookups import AT_ONCE, PER_NAME, SPARE, Lookups
from tests.moved_clock import run
from tests.simulation.names import FAULTS, PATIENCE, Name, Names
from tests.simulation.users import Broken, Life
from tests.simulation.world import LOCKED, TICK, Gateway, now, wall

pytestmark = pytest.mark.timeout(300)  # twenty seconds for the longest, and several times that on a busy machine

HOURS = 6.0
SEEDS = range(10)
DAYS = range(int(os.environ.get("SIMULATION_SEEDS", "3")))
"""Three times 68 users for six hours: 1,200 hours of clients, in a minute. `make simulation` takes more seeds."""
Days: TypeAlias = Callable[[int, pytest.MonkeyPatch], Coroutine[Any, Any, Counter[str]]]

DEAD, HOURS_OF_DEATH = AT_ONCE - 1, 0.25
"""Names that may be dead at once without holding up the users of another (docs/many-users.md), and for how long."""


@pytest.fixture(autouse=True)
def moved(monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture) -> Iterator[None]:
    """The loop's clock is everybody's, and of tens of thousands of failed connects nothing is written down."""
    caplog.set_level(logging.ERROR, "openclaw_client")
    monkeypatch.setattr(time, "time", wall)
    breakers._breakers.clear()
    breakers._known.clear()
    yield
    breakers._breakers.clear()
    breakers._known.clear()


class World:
    """Gateways by URL, users, and the lot that is drawn for all of them."""

    def __init__(self, seed: int, monkeypatch: pytest.MonkeyPatch) -> None:
        self.rand = random.Random(seed)
        # The clients' jitter is drawn from here.
        random.seed(seed)
        self.counts: Counter[str] = Counter()
        self.gateways: dict[str, Gateway] = {}
        self.names = Names(self.rand, monkeypatch)
        self.lives: list[Life] = []
        monkeypatch.setattr(supervisor, "Dialer", self._dialer)

    def _dialer(self, settings: Settings) -> Dialer:
        gateway, kind = self.gateways[settings.url.text.rstrip("/")], dict(settings.headers or {})["X-Kind"]

        async def opener(listener: Listener) -> None:
            await self.names.reach(settings.url)
            await gateway.open(listener, silent=kind == "silent")

        return Dialer(settings, opener=opener, clock=asyncio.get_running_loop().time)

    def gateway(self, url: str) -> Gateway:
        if url not in self.gateways:
            self.gateways[url] = Gateway(self.rand, lambda token: token.startswith("good"))
        return self.gateways[url]

    def user(self, kind: str, url: str, **more: Any) -> Life:
        name, host = f"user-{len(self.lives)}", self.names.of(url)
        life = Life(name, kind, self.gateway(url), url, self.rand, self.counts, host, **more)
        self.lives.append(life)
        return life

    async def until_the_end(self, hours: float, *others: Any) -> None:
        lives = asyncio.gather(*(life.live(now() + hours * 3600) for life in self.lives))
        around = [asyncio.ensure_future(one) for one in (self._tick(), *others)]
        try:
            # The longest stay, pause and farewell of a user take less than an hour.
            done, _ = await asyncio.wait(
                {lives, *around}, return_when=asyncio.FIRST_COMPLETED, timeout=(hours + 1) * 3600
            )
            for future in done:
                future.result()
            if not lives.done():
                raise Broken("somebody waits for ever")
        finally:
            for future in (lives, *around):
                future.cancel()
            await asyncio.gather(lives, *around, return_exceptions=True)
        for url, gateway in self.gateways.items():
            if gateway.lockouts:
                raise Broken(f"{url} locked its clients out {gateway.lockouts} times")
        await self._names_end()

    async def _names_end(self) -> None:
        await asyncio.sleep(max(PATIENCE) + 1)
        if not self.names.over:
            raise Broken("a name is looked up for ever")
        if self.names.most_of_one > PER_NAME or self.names.most > AT_ONCE + SPARE:
            raise Broken(f"{self.names.most_of_one} lookups of one name and {self.names.most} of all were under way")

    async def _tick(self) -> None:
        while True:
            await asyncio.sleep(TICK)
            for gateway in self.gateways.values():
                gateway.tick()

    async def talk(self) -> None:
        """Messages to users; of those said to a connected one it is looked whether they were handed out."""
        while True:
            await asyncio.sleep(self.rand.uniform(0.5, 60))
            life = self.rand.choice([one for one in self.lives if one.kind == "good"])
            for _ in range(self.rand.choice([1, 1, 1, 3, 40])):
                life.say()

    async def look(self) -> None:
        """Whether all promises hold."""
        while True:
            await asyncio.sleep(5)
            for life in self.lives:
                life.look()

    async def fault(self, gateway: Gateway) -> None:
        """What happens to a gateway, again and again."""
        while True:
            await asyncio.sleep(self.rand.uniform(60, 2_400))
            kind = self.rand.choice(["restart", "death", "stall", "history", "lock"])
            self.counts[kind] += 1
            if kind == "history":
                gateway.history_refused_until = now() + self.rand.uniform(10, 900)
            elif kind == "lock":
                gateway.lock()
                await asyncio.sleep(LOCKED)
            elif kind == "stall":
                gateway.stall()
                await asyncio.sleep(self.rand.uniform(1, 40))
                gateway.go_on()
            else:
                gateway.die()
                await asyncio.sleep(self.rand.uniform(1, 20) if kind == "restart" else self.rand.uniform(20, 600))
                gateway.come_back()

    async def name_fault(self, name: Name) -> None:
        """What happens to a name server, again and again."""
        while True:
            await asyncio.sleep(self.rand.uniform(60, 2_400))
            kind = self.rand.choice(FAULTS)
            self.counts[f"name {kind}"] += 1
            name.fail(kind)
            await asyncio.sleep(self.rand.uniform(20, 600))
            name.mend()

    def look_at_connects(self) -> None:
        fair, slow = self.counts["fair"], self.counts["slow"]
        if slow > fair / 20:
            raise Broken(f"{slow} of {fair} connects took long at gateways that were well")


async def days(seed: int, monkeypatch: pytest.MonkeyPatch, hours: float = HOURS) -> Counter[str]:
    """Two gateways behind one host, a good one and one whose users err; a third with silent sockets, and a fourth whose
    name is looked up in vain at times."""
    world = World(seed, monkeypatch)
    ann, bob = "ws://127.0.0.1:18789/ann", "ws://127.0.0.1:18789/bob"
    ops, far = "wss://ops.example", "wss://far.example"
    world.names.add("ops.example", "192.0.2.2")
    lost = world.names.add("far.example", "192.0.2.3")
    gateways = [world.gateway(url) for url in (ann, bob, ops, far)]
    for url, kinds in (
        (ann, {"good": 10}),
        (bob, {"good": 6, "wrong": 8}),
        (ops, {"good": 12, "silent": 24}),
        (far, {"good": 8}),
    ):
        for kind, count in kinds.items():
            for _ in range(count):
                # The turns are never free of those whose sockets are never answered.
                world.user(kind, url, pause=15.0 if kind == "silent" else 120.0)
    world.rand.shuffle(world.lives)
    faults = [*(world.fault(one) for one in gateways), world.name_fault(lost)]
    await world.until_the_end(hours, world.talk(), world.look(), *faults)
    world.look_at_connects()
    return world.counts


async def talkative(seed: int, monkeypatch: pytest.MonkeyPatch) -> Counter[str]:
    """Four users, to each of whom so much is said that hundreds of messages come while the history is refused."""
    world = World(seed, monkeypatch)
    for _ in range(4):
        world.user("good", "ws://127.0.0.1:18789")
    faults = [world.fault(gateway) for gateway in world.gateways.values()]
    await world.until_the_end(HOURS, world.talk(), world.look(), *faults)
    return world.counts


async def dead_names(seed: int, monkeypatch: pytest.MonkeyPatch) -> Counter[str]:
    """Ten users of a good name, and as many dead ones as may be without holding them up. One of these has 40 users, at
    two gateways, and its server comes back."""
    world = World(seed, monkeypatch)
    users = {"good.example": 10, "lost.example": 40} | {f"dead-{number}.example": 1 for number in range(DEAD - 1)}
    names = {host: world.names.add(host, f"192.0.2.{number}") for number, host in enumerate(users, 2)}
    for host, count in users.items():
        for number in range(count):
            world.user("good", f"wss://{host}:{8443 + number % 2}", stay=60.0, pause=30.0)
        if host != "good.example":
            names[host].fail("dead")
    world.rand.shuffle(world.lives)
    asyncio.get_running_loop().call_later(600, names["lost.example"].mend)
    await world.until_the_end(HOURS_OF_DEATH, world.look())
    world.look_at_connects()
    return world.counts


@pytest.mark.parametrize(
    ("world", "connected", "heard", "seed"),
    [
        *((days, 20 * HOURS, 20 * HOURS, seed) for seed in DAYS),
        *((talkative, 10 * HOURS, 400 * HOURS, seed) for seed in SEEDS),
        *((dead_names, 200, 0, seed) for seed in SEEDS),
    ],
)
def test_no_one_pays_for_another(
    world: Days, connected: float, heard: float, seed: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    counts = run(world(seed, monkeypatch))
    assert counts["connected"] > connected
    assert counts["heard"] >= heard


def _silent_ones_keep_their_turn(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(turns.Turns, "look", lambda self, now: ([], []))


def _nobody_is_known(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(admittance, "is_known", lambda who: False)
    monkeypatch.setattr(breaker, "RESERVE", 0)
    monkeypatch.setattr(breaker, "STREAK", 0)


def _one_host_is_one_gateway(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(GatewayUrl, "origin", property(lambda url: f"{url.host}:{url.port}"))


def _a_disconnect_begins_late(monkeypatch: pytest.MonkeyPatch) -> None:
    disconnect = AsyncGatewayClient.disconnect

    async def late(client: AsyncGatewayClient) -> None:
        await asyncio.sleep(0)
        await disconnect(client)

    monkeypatch.setattr(AsyncGatewayClient, "disconnect", late)


def _live_messages_wait_as_long_as_it_takes(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("HELD_FOR", "MAX_HELD", "MAX_HELD_BYTES", "LONGEST_PAUSE"):
        monkeypatch.setattr(missed_messages, name, 1e9)


def _a_place_moves_while_the_history_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    release = missed_messages.MissedMessages._release

    def early(made: missed_messages.MissedMessages, key: str) -> None:
        if (place := made._places.get(key)) is not None:
            place.settle()
        release(made, key)

    monkeypatch.setattr(missed_messages.MissedMessages, "_release", early)


def _four_threads_for_all_lookups(monkeypatch: pytest.MonkeyPatch) -> None:
    def join(made: Lookups, host: str) -> lookups._Lookup:
        lookup = lookups._Lookup(host, asyncio.get_running_loop().create_future(), again=False)
        made._by_name.setdefault(host, []).append(lookup)
        if made._running < lookups.AT_ONCE:
            made._start(lookup)
        else:
            made._waiting[lookup] = None
        return lookup

    monkeypatch.setattr(lookups, "AT_ONCE", 4)
    monkeypatch.setattr(Lookups, "_join", join)


def _second_lookups_take_the_others_room(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lookups._Lookup, "again", property(lambda one: False, lambda one, value: None))


def _a_name_has_as_many_lookups_as_users(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("PER_NAME", "SPARE"):
        monkeypatch.setattr(lookups, name, 1e9)


@pytest.mark.parametrize(
    ("world", "take_away", "said"),
    [
        (days, _silent_ones_keep_their_turn, "kept out|took long"),
        (days, _nobody_is_known, "kept out|took long"),
        (days, _one_host_is_one_gateway, "kept out|took long"),
        (days, _a_disconnect_begins_late, "disconnect.. is over"),
        (days, _live_messages_wait_as_long_as_it_takes, "has not heard"),
        (talkative, _a_place_moves_while_the_history_is_refused, "never heard"),
        (dead_names, _four_threads_for_all_lookups, "kept out|took long"),
        (dead_names, _second_lookups_take_the_others_room, "kept out|took long"),
        (dead_names, _a_name_has_as_many_lookups_as_users, "were under way"),
    ],
)
def test_it_sees_a_cure_that_is_taken_away(
    world: Days,
    take_away: Callable[[pytest.MonkeyPatch], None],
    said: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    take_away(monkeypatch)

    async def all_seeds() -> None:
        for seed in SEEDS:
            await world(seed, monkeypatch)

    with pytest.raises(Broken, match=said):
        run(all_seeds())
