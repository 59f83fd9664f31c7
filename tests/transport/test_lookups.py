"""Name lookups: the users of a name whose server is dead hold up nobody but each other."""

from __future__ import annotations

import asyncio
import errno
import gc
import socket
import threading
import weakref
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from openclaw_client import FileIdentityStore, Timeouts
from openclaw_client.errors import ConnectError
from openclaw_client.testing import BlockingEmbeddedGateway
from openclaw_client.transport import lookups
from openclaw_client.transport.lookups import AT_ONCE, PER_NAME, SPARE, STUCK, Addresses, Lookups, OnFound, look_up
from tests.faces import Face
from tests.moved_clock import run
from tests.waiting import until

ADDRESS = (socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_TCP, "")


class NameServer:
    """What the system's lookup meets: names that end with dead.local are answered when the test ends."""

    def __init__(self) -> None:
        self.over = threading.Event()
        self.asked: list[str] = []

    def getaddrinfo(self, host: str, port: int | None, **_: Any) -> list[Any]:
        self.asked.append(host)
        if host.endswith("dead.local"):
            self.over.wait()
            raise socket.gaierror(socket.EAI_AGAIN, "Temporary failure in name resolution")
        return [(*ADDRESS, ("127.0.0.1", port or 0))]


@pytest.fixture
def names(monkeypatch: pytest.MonkeyPatch) -> Iterator[NameServer]:
    server = NameServer()
    monkeypatch.setattr(socket, "getaddrinfo", server.getaddrinfo)
    yield server
    server.over.set()


@pytest.mark.parametrize("own", [False, True], ids=["one name", "a name each"])
async def test_a_dead_name_does_not_keep_the_users_of_others_from_connecting(
    face: Face, own: bool, names: NameServer, tmp_path: Path
) -> None:
    with BlockingEmbeddedGateway() as gateway:

        def user(number: int, host: str, limit: float) -> Any:
            url, store = f"ws://{host}:{gateway.port}", FileIdentityStore(tmp_path / f"{number}.json")
            return face.client(url, token=gateway.token, identity=store, timeouts=Timeouts(connect=limit))

        dead = [user(number, f"{f'u{number}.' if own else ''}dead.local", 1.0) for number in range(40)]
        good = [user(number, "good.local", 20.0) for number in range(40, 50)]
        outcomes = await asyncio.gather(*(one.connect() for one in (*dead, *good)), return_exceptions=True)
        assert outcomes[40:] == [None] * 10
        assert all(isinstance(outcome, ConnectError) for outcome in outcomes[:40])
        assert sum(name == "dead.local" for name in names.asked) <= PER_NAME
        await asyncio.gather(*(one.disconnect() for one in good))


async def test_equal_lookups_are_one_and_outlive_those_who_leave(names: NameServer) -> None:
    made = Lookups()
    waiting = [asyncio.create_task(made.find("dead.local", 1)) for _ in range(5)]
    await until(lambda: names.asked)
    waiting[0].cancel()
    names.over.set()
    outcomes = await asyncio.gather(*waiting, return_exceptions=True)
    assert isinstance(outcomes[0], asyncio.CancelledError)
    assert [type(outcome) for outcome in outcomes[1:]] == [socket.gaierror] * 4
    assert names.asked == ["dead.local"]
    assert await made.find("good.local", 7) == [(*ADDRESS, ("127.0.0.1", 7))]


async def test_a_lookup_that_is_stuck_is_not_waited_for_by_those_who_come_later(
    names: NameServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    made, loop = Lookups(), asyncio.get_running_loop()
    now = [loop.time()]
    monkeypatch.setattr(loop, "time", lambda: now[0])
    tasks = []
    for passed in (0.0, STUCK - 0.1, STUCK, 2 * STUCK, 3 * STUCK):
        now[0] += passed
        tasks.append(asyncio.create_task(made.find("dead.local", 1)))
        await asyncio.sleep(0)
    monkeypatch.undo()
    await until(lambda: len(names.asked) >= PER_NAME)
    names.over.set()
    await asyncio.wait(tasks)
    assert len(names.asked) == PER_NAME


async def test_lookups_beyond_the_bound_wait_in_order_and_those_that_nobody_wants_are_left_out(
    names: NameServer,
) -> None:
    made = Lookups()
    dead = [asyncio.create_task(made.find(f"{number}.dead.local", 1)) for number in range(AT_ONCE)]
    await until(lambda: len(names.asked) == AT_ONCE)
    late = [asyncio.create_task(made.find(name, 1)) for name in ("left.local", "stays.local")]
    await asyncio.sleep(0)
    late[0].cancel()
    await asyncio.wait(late[:1])
    assert len(made._waiting) == 1
    names.over.set()
    await asyncio.wait([*dead, *late])
    assert names.asked[AT_ONCE:] == ["stays.local"]
    assert late[1].result()


class Unanswered:
    """Lookups that never end, but for those of good names."""

    def __init__(self) -> None:
        self.asked: list[str] = []

    def ask(self, host: str, answer: OnFound) -> None:
        self.asked.append(host)
        if host.startswith("good"):
            answer([(*ADDRESS, ("127.0.0.1", 0))])


def test_further_lookups_of_dead_names_take_no_others_room() -> None:
    async def main() -> Addresses:
        made = Lookups(unanswered.ask)
        asked: list[asyncio.Task[Addresses]] = []
        for _ in range(3):
            asked += [asyncio.create_task(made.find(f"dead-{number}.local", 1)) for number in range(AT_ONCE - 1)]
            await asyncio.sleep(STUCK)
        assert len(unanswered.asked) == AT_ONCE - 1 + SPARE
        found = await asyncio.wait_for(made.find("good.local", 1), STUCK)
        for task in asked:
            task.cancel()
        return found

    unanswered = Unanswered()
    assert run(main())


def test_a_dead_name_of_many_gateways_is_one_name() -> None:
    async def main() -> None:
        made = Lookups(unanswered.ask)
        for _ in range(3):
            tasks = [asyncio.create_task(made.find("dead.local", port)) for port in range(1, 41)]
            await asyncio.sleep(STUCK)
        for task in tasks:
            task.cancel()
        both = await asyncio.gather(made.find("good.local", 7), made.find("good.local", 8))
        assert [found[0][4][1] for found in both] == [7, 8]

    unanswered = Unanswered()
    run(main())
    assert unanswered.asked == ["dead.local"] * PER_NAME + ["good.local"]


def test_a_lookup_in_line_is_not_stuck() -> None:
    async def main() -> None:
        made = Lookups(unanswered.ask)
        for number in range(AT_ONCE):
            asyncio.create_task(made.find(f"dead-{number}.local", 1))  # noqa: RUF006 - waited for by nobody
        waiting = []
        for _ in range(3):
            waiting.append(asyncio.create_task(made.find("late.local", 1)))
            await asyncio.sleep(STUCK)
        assert len(made._waiting) == 1

    unanswered = Unanswered()
    run(main())
    assert "late.local" not in unanswered.asked


async def test_where_no_thread_can_be_started_it_fails_and_the_next_may_succeed(
    names: NameServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    def start(*_: object) -> None:
        raise RuntimeError("can't start new thread")

    made = Lookups()
    with monkeypatch.context() as patched:
        patched.setattr(lookups.os_threads, "start", start)
        outcomes = await asyncio.gather(*(made.find("good.local", 1) for _ in range(2)), return_exceptions=True)
    assert [str(outcome) for outcome in outcomes] == [
        f"[Errno {errno.EAGAIN}] the name lookup cannot begin: can't start new thread"
    ] * 2
    assert made.unused
    assert await made.find("good.local", 1)


def test_a_loop_that_is_over_is_not_kept(names: NameServer) -> None:
    async def main() -> weakref.ref[asyncio.AbstractEventLoop]:
        await look_up("good.local", 1)
        return weakref.ref(asyncio.get_running_loop())

    loop = asyncio.run(main())
    gc.collect()
    assert loop() is None


@pytest.mark.parametrize(
    ("host", "address"),
    [("127.0.0.1", ("127.0.0.1", 7)), ("::1", ("::1", 7, 0, 0))],
)
async def test_an_address_is_not_looked_up(host: str, address: tuple[Any, ...], names: NameServer) -> None:
    [found] = await look_up(host, 7)
    assert found[4] == address
    assert names.asked == []


async def test_a_loop_keeps_its_lookups(names: NameServer) -> None:
    await look_up("good.local", 1)
    kept = lookups._lookups[asyncio.get_running_loop()]
    await look_up("good.local", 1)
    assert lookups._lookups[asyncio.get_running_loop()] is kept
