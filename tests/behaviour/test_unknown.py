"""A gateway that talks of what nobody knows: runs, sessions, events and answers without end, within docs/limits.md.

`UNKNOWN` in the environment says how many of each; `make soak` takes a million.
"""

from __future__ import annotations

import asyncio
import gc
import os
import sys
import time
import types
from collections import deque
from collections.abc import AsyncIterator, Callable, Iterable, Iterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from openclaw_client import AsyncGatewayClient
from openclaw_client.chat.places import MAX_PLACES
from openclaw_client.client.callbacks import MAX_CALLS, CallbackQueue
from openclaw_client.client.events import MAX_WAITING, GatewayEvent
from openclaw_client.connection import supervisor
from openclaw_client.connection.dialer import Dialer
from openclaw_client.connection.settings import Settings
from openclaw_client.errors import MethodUnavailable
from openclaw_client.policy.scopes import MAX_NEEDS
from openclaw_client.requests.gateway_facts import MAX_UNKNOWN
from openclaw_client.runs.proactive import MAX_FINISHED, MAX_OPEN
from openclaw_client.sessions import filter as session_filter
from openclaw_client.sessions.filter import MAX_USED, SessionFilter
from openclaw_client.sessions.gates import MAX_GATES
from openclaw_client.sync.events import BlockingEventStream
from openclaw_client.wire.frames import ErrorShape
from tests.connection.served import Place
from tests.waiting import PATIENCE, until

COUNT = int(os.environ.get("UNKNOWN", "100000"))
"""Of each kind; more than any table holds, and in the suite a few seconds' worth."""
CALLS = COUNT // 50
"""Of what takes an answer, which takes fifty times as long; twice what the tables of the caller's own hold."""
AT_ONCE = 500
"""Frames in one turn of the loop, as one read of a socket has them."""
LARGEST = max(MAX_WAITING, MAX_CALLS) + AT_ONCE
"""Entries of the largest table that a client has, and what comes in one turn."""
BLOCKS = 80_000
"""Python's blocks that the tables of one client may take when they are full: 10,000 events that wait for readers, of
five each, are most of them; the rest are 4,096 runs, 1,024 places and 256 open runs of 20 each. One block left of each
thing would be more."""
ROOM = 48.0
"""MiB by which the process may grow meanwhile: four times what full tables take, since Python keeps what it once had.
100 bytes left of each of a million things would be twice as much."""

assert 1.5 * max(MAX_USED, MAX_GATES, MAX_PLACES, MAX_UNKNOWN, MAX_NEEDS) < CALLS, "too few to fill the tables"


class World:
    """A client that is ready, and what its gateway sends."""

    def __init__(self, client: AsyncGatewayClient, place: Place) -> None:
        self.client, self.place = client, place
        self.engine = client._engine
        connection = self.engine.supervisor.connection
        assert connection is not None
        self.connection = connection
        self.meter: Meter

    async def feed(self, frames: Iterable[bytes]) -> None:
        """Hand the frames to the connection as its transport does."""
        connection = self.connection
        for number, data in enumerate(frames):
            if not connection.try_fast_path(data):
                connection.on_message(data)
            if number % AT_ONCE == 0:
                await asyncio.sleep(0)
                self.meter.look()
        await asyncio.sleep(0)
        assert self.client.connected

    @property
    def tables(self) -> dict[str, int]:
        """What the client remembers of others, by name."""
        proactive, missed = self.engine.router._proactive, self.engine._missed
        return {
            "open": len(proactive._open),
            "finished": len(proactive._finished),
            "heartbeats": len(proactive._heartbeats),
            "places": len(missed._places),
            "gates": len(self.engine._gates._gates),
            "used": len(self.engine.router.sessions._used),
            "subscribed": len(self.engine._subscriptions._with),
        }


EMPTY = {"open": 0, "finished": 0, "heartbeats": 0, "places": 0, "gates": 0, "used": 0, "subscribed": 0}


@asynccontextmanager
async def world(monkeypatch: pytest.MonkeyPatch, *, private: bool = False) -> AsyncIterator[World]:
    place = Place()
    place.hello = {**place.hello, "server": {"version": "2026.9.6", "connId": "c", "bootId": "b"}}

    def dialer(settings: Settings) -> Dialer:
        return Dialer(settings, opener=place.open, clock=asyncio.get_running_loop().time)

    monkeypatch.setattr(supervisor, "Dialer", dialer)
    settings = AsyncGatewayClient("ws://127.0.0.1:1", token="sesame", identity=False, sessions=[])._settings
    # As a manager makes the client of a user.
    async with AsyncGatewayClient._from_settings(settings, SessionFilter(private=private), "ann") as client:
        yield World(client, place)


class Meter:
    """What this process has more than when it was made. peak: of the looks that were taken."""

    def __init__(self) -> None:
        gc.collect()
        self._resident, self._blocks = resident(), sys.getallocatedblocks()
        self.peak = 0.0

    def look(self) -> None:
        self.peak = max(self.peak, self.resident)

    @property
    def resident(self) -> float:
        """MiB."""
        return (resident() - self._resident) / 2**20

    @property
    def blocks(self) -> int:
        """Blocks that Python has allocated, garbage left out."""
        gc.collect()
        return sys.getallocatedblocks() - self._blocks


def resident() -> int:
    return int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")


@asynccontextmanager
async def measured(what: str, count: int, here: World) -> AsyncIterator[None]:
    """Fails where more is kept than the tables may take, or a container is longer than any table."""
    meter = here.meter = Meter()
    began = time.perf_counter()
    yield
    took = time.perf_counter() - began
    meter.look()
    blocks, now = meter.blocks, meter.resident
    print(f"{what}: {count:,} in {took:.1f} s; {now:.1f} MiB and {blocks:,} blocks more, at most {meter.peak:.1f} MiB")
    assert blocks < BLOCKS
    assert meter.peak < ROOM
    assert longest(here.client) <= LARGEST


def longest(root: object) -> int:
    """Entries of the longest container that can be reached from an object, modules and the loop left out."""
    seen = {id(vars(module)) for module in gc.get_objects() if isinstance(module, types.ModuleType)}
    left_out = (types.ModuleType, type, asyncio.AbstractEventLoop, asyncio.Task, types.FrameType)
    waiting, found = deque([root]), 0
    while waiting:
        one = waiting.popleft()
        if id(one) in seen or isinstance(one, left_out):
            continue
        seen.add(id(one))
        if isinstance(one, dict | list | set | frozenset | deque | tuple):
            found = max(found, len(one))
        waiting.extend(gc.get_referents(one))
    return found


def chat(number: int, state: str) -> bytes:
    return (
        b'{"type":"event","event":"chat","payload":{"runId":"00000000-0000-4000-8000-%012d","sessionKey":'
        b'"agent:main:s-%d","seq":1,"state":"%s","deltaText":"some text","message":{"role":"assistant","content":'
        b'[{"type":"text","text":"some text"}],"timestamp":1}},"seq":%d}'
    ) % (number, number, state.encode(), number)


def frames(make: Callable[[int], bytes]) -> Iterator[bytes]:
    return map(make, range(COUNT))


async def test_runs_that_never_end(monkeypatch: pytest.MonkeyPatch) -> None:
    async with world(monkeypatch) as here, measured("unknown runs", COUNT, here):
        await here.feed(frames(lambda number: chat(number, "delta")))
        assert here.tables == {**EMPTY, "open": MAX_OPEN}


async def test_messages_in_sessions_that_nobody_has_used(monkeypatch: pytest.MonkeyPatch) -> None:
    heard = 0

    def hear(_user: object, _message: object) -> None:
        nonlocal heard
        heard += 1

    async with world(monkeypatch) as here, measured("messages in unknown sessions", COUNT, here):
        here.client.on_proactive_message(hear)
        await here.feed(frames(lambda number: chat(number, "final")))
        await until(lambda: heard == COUNT)
        assert here.tables == {**EMPTY, "finished": MAX_FINISHED, "places": MAX_PLACES}


async def test_long_messages_in_many_sessions(monkeypatch: pytest.MonkeyPatch) -> None:
    """By their words known messages are told from news, where rows name no run; nothing of the words is kept."""
    long, count = b"x" * 50_000, 2_000
    async with world(monkeypatch) as here, measured("messages of 50,000 characters", count, here):
        await here.feed(chat(number, "final").replace(b"some text", long) for number in range(count))
        places = here.engine._missed._places
        assert len(places) == MAX_PLACES
        # What a gateway cuts is known by its beginning, too: three digests each, and when it was heard.
        assert {len(place.packed().said) for _, place in places.items()} == {5 + 9 + 3 * 8}


async def test_runs_beside_their_chat_events(monkeypatch: pytest.MonkeyPatch) -> None:
    """Heartbeats, tools, side results and rows of runs that nobody knows."""
    texts = (
        b'{"type":"event","event":"agent","payload":{"runId":"heart-%d","stream":"lifecycle","isHeartbeat":true},"seq":%d}',
        b'{"type":"event","event":"agent","payload":{"runId":"tool-%d","stream":"tool","data":{"phase":"start"}},"seq":%d}',
        b'{"type":"event","event":"chat.side_result","payload":{"runId":"side-%d","text":"x"},"seq":%d}',
        b'{"type":"event","event":"session.message","payload":{"sessionKey":"s-%d","message":{"role":"user"}},"seq":%d}',
    )
    async with world(monkeypatch) as here, measured("other events of unknown runs", COUNT, here):
        await here.feed(frames(lambda number: texts[number % 4] % (number, number)))
        assert here.tables == {**EMPTY, "heartbeats": MAX_OPEN}


def named(number: int) -> bytes:
    return b'{"type":"event","event":"name-%d","payload":{"text":"some text"},"seq":%d}' % (number, number)


async def test_events_of_unknown_names_that_nobody_listens_to(monkeypatch: pytest.MonkeyPatch) -> None:
    async with world(monkeypatch) as here, measured("unknown events", COUNT, here):
        await here.feed(frames(named))
        assert here.tables == EMPTY


async def test_events_of_unknown_names_before_readers_that_do_not_read(monkeypatch: pytest.MonkeyPatch) -> None:
    async with world(monkeypatch) as here, measured("unknown events, two streams, a handler", COUNT, here):
        engine, heard, stuck = here.engine, list[GatewayEvent](), asyncio.Event()

        async def hold_up(event: GatewayEvent) -> None:
            heard.append(event)
            await stuck.wait()

        here.client.on("name-1", hold_up)
        stream = here.client.events()
        blocking = BlockingEventStream((), engine.remove_stream, engine.on_slow)
        engine.add_stream(blocking)
        await here.feed(frames(named))
        assert (len(stream._events), stream.dropped) == (MAX_WAITING, COUNT - MAX_WAITING)
        assert (blocking._events.qsize(), blocking.dropped) == (MAX_WAITING, COUNT - MAX_WAITING)
        assert [event.name for event in heard] == ["name-1"]
        assert (await anext(stream)).name == f"name-{COUNT - MAX_WAITING}"
        stuck.set()
        stream.close()
        blocking.close()
        assert here.tables == EMPTY


async def test_events_for_a_handler_that_does_not_return(monkeypatch: pytest.MonkeyPatch) -> None:
    async with world(monkeypatch) as here, measured("unknown runs, a handler that is held up", COUNT, here):
        stuck, callbacks = asyncio.Event(), here.engine._callbacks
        assert isinstance(callbacks, CallbackQueue)
        here.client.on("chat", lambda _event: stuck.wait())
        await here.feed(frames(lambda number: chat(number, "delta")))
        assert len(callbacks._backlog._calls) == MAX_CALLS
        stuck.set()
        await until(lambda: not callbacks._backlog._calls)


async def test_handlers_for_names_that_come_and_go(monkeypatch: pytest.MonkeyPatch) -> None:
    async with world(monkeypatch) as here, measured("names that were listened for", COUNT, here):
        for number in range(COUNT):
            here.client.on(f"name-{number}", print)()
        assert here.engine.router._handlers == []


@pytest.mark.parametrize("good", [True, False])
async def test_answers_that_nobody_asked_for(monkeypatch: pytest.MonkeyPatch, good: bool) -> None:
    rest = b'"ok":true,"payload":{"text":"x"}' if good else b'"ok":false,"error":{"code":"X","message":"x"}'
    async with world(monkeypatch) as here, measured(f"unknown answers, ok={good}", COUNT, here):
        here.place.unanswered.add("asked")
        asked = asyncio.ensure_future(here.client.request("asked", timeout=None))
        await until(lambda: here.connection.pending == 1)
        await here.feed(frames(lambda number: b'{"type":"res","id":"%d:nobody",%s}' % (number, rest)))
        assert here.connection.pending == 1
        assert not asked.done()
        assert (here.connection._core._events, here.tables) == ([], EMPTY)
        asked.cancel()


async def test_frames_that_are_none(monkeypatch: pytest.MonkeyPatch) -> None:
    async with world(monkeypatch) as here, measured("unknown frames", COUNT, here):
        await here.feed(frames(lambda number: b'{"type":"kind-%d","id":"%d"}' % (number, number)))
        assert (here.connection._core.ignored, here.tables) == (COUNT, EMPTY)


# What the caller names.


@pytest.mark.parametrize("private", [False, True])
async def test_sessions_that_are_used_once(monkeypatch: pytest.MonkeyPatch, private: bool) -> None:
    async with world(monkeypatch, private=private) as here:
        served = here.place.served[0]
        async with measured(f"sessions that are used once, private={private}", CALLS, here):
            for number in range(CALLS):
                run = here.client.chat_stream(session_key=f"s-{number}", message="x", when_busy="wait")
                async with run:
                    final = {"runId": run.run_id, "sessionKey": f"agent:main:s-{number}", "seq": 1, "state": "final"}
                    message = {"role": "assistant", "content": [{"type": "text", "text": "some text"}]}
                    assert served.core is not None
                    served.core.emit("chat", {**final, "message": message})
                    served.flush()
                    assert (await run.result()).text == "some text"
                forget(here)
        full = {"finished": min(CALLS, MAX_FINISHED), "places": MAX_PLACES, "gates": MAX_GATES}
        own = {"used": MAX_USED, "subscribed": MAX_USED} if private else {}
        assert here.tables == {**EMPTY, **full, **own}


async def test_more_sessions_at_once_than_are_remembered(monkeypatch: pytest.MonkeyPatch) -> None:
    """Each is forgotten for another before the gateway has answered that it is subscribed to."""
    monkeypatch.setattr(session_filter, "MAX_USED", 5)
    async with world(monkeypatch, private=True) as here:
        asking = (here.client.request("status", {"sessionKey": f"s-{number}"}) for number in range(50))
        async with asyncio.timeout(PATIENCE):
            assert len(await asyncio.gather(*asking)) == 50
        assert here.tables == {**EMPTY, "used": 5, "subscribed": 5}


async def test_methods_that_the_gateway_does_not_know_or_allow(monkeypatch: pytest.MonkeyPatch) -> None:
    async with world(monkeypatch) as here, measured("unknown methods", 2 * CALLS, here):
        requests = here.engine.requests
        for number in range(CALLS):
            unknown, forbidden = f"unknown-{number}", f"forbidden-{number}"
            here.place.errors = {
                unknown: ErrorShape("INVALID_REQUEST", f"unknown method: {unknown}"),
                forbidden: ErrorShape("INVALID_REQUEST", "missing scope: operator.admin"),
            }
            with pytest.raises(MethodUnavailable):
                await here.client.request(unknown)
            with pytest.raises(Exception, match="missing scope"):
                await here.client.request(forbidden)
            forget(here)
        assert here.client.supports(unknown) is False
        assert here.client.missing_scopes(forbidden) == ("operator.admin",)
        assert 0 < len(requests.facts._unknown_methods) <= MAX_UNKNOWN
        assert 0 < len(requests.facts._method_scopes._needs) <= MAX_NEEDS
        assert here.connection.pending == 0


def forget(here: World) -> None:
    """What the gateway of this test remembers is no part of what is measured."""
    place = here.place
    place.requests.clear()
    place.params.clear()
    transport: Any = place.served[0].transport
    transport.sent.clear()
    transport.peer.sent.clear()
