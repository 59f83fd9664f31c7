"""The connection manager, on both faces."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import AsyncIterator, Callable
from typing import Any

import pytest

from openclaw_client import (
    AsyncGatewayClient,
    Credentials,
    GatewayClient,
    MemoryIdentityStore,
    ProactiveMessage,
    ReconnectPolicy,
    Timeouts,
)
from openclaw_client.errors import AuthRejected, ManagerError, NotConnected, RateLimited, RunLost, UsageError
from openclaw_client.identity.device import DeviceIdentity
from openclaw_client.policy.breaker import BUDGET
from openclaw_client.testing import BlockingEmbeddedGateway, Turn
from tests.faces import Face, inner
from tests.waiting import until

Start = Callable[..., BlockingEmbeddedGateway]
Manage = Callable[..., Any]
QUICK = ReconnectPolicy(initial=0.05, maximum=0.2)


@pytest.fixture
async def manage(face: Face, gateway: BlockingEmbeddedGateway) -> AsyncIterator[Manage]:
    """Managers of this face, by default for users of one gateway; closed with the test."""
    made: list[Any] = []

    def manage(credentials: Callable[[Any], Any] | None = None, **options: Any) -> Any:
        options.setdefault("reconnect", QUICK)
        manager = face.manager(credentials or (lambda user: Credentials(gateway.url, token=gateway.token)), **options)
        made.append(manager)
        return manager

    yield manage
    for manager in made:
        await manager.close()


class Clock:
    """Seconds added to the clocks of the manager and of its clients."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        from time import monotonic

        self.ahead = 0.0
        for module in ("client.engine", "client.router", "manager.core"):
            monkeypatch.setattr(f"openclaw_client.{module}.monotonic", lambda: monotonic() + self.ahead)


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    return Clock(monkeypatch)


async def gated(turn: Turn) -> AsyncIterator[str]:
    yield "begun "
    await turn.gate.wait()
    yield "ended"


# Who is connected.


async def test_a_user_is_connected_at_first_use_and_once(manage: Manage, gateway: BlockingEmbeddedGateway) -> None:
    asked: list[str] = []

    def credentials(user: str) -> Credentials:
        asked.append(user)
        return Credentials(gateway.url, token=gateway.token)

    manager = manage(credentials)
    assert manager.connected_count == 0
    assert asked == []
    clients = await asyncio.gather(*(manager.connection_for(user) for user in ("ann", "bob") * 20))
    assert len({id(inner(client)) for client in clients}) == 2
    assert [client.user for client in clients[:2]] == ["ann", "bob"]
    assert len(gateway.seen.connects) == 2
    assert set(asked) == {"ann", "bob"}
    assert manager.connected_count == 2
    assert manager.user_connected("ann")
    assert not manager.user_connected("eve")
    assert (await clients[0].chat_send(session_key="main", message="hi")).text.endswith("hi")


async def test_a_failing_user_holds_up_nobody(manage: Manage, gateway: BlockingEmbeddedGateway) -> None:
    def credentials(user: str) -> Credentials:
        if user == "unknown":
            raise LookupError(user)
        return Credentials(gateway.url, token="wrong" if user == "bad" else gateway.token)

    manager = manage(credentials)
    results = await asyncio.gather(
        *(manager.connection_for(user) for user in ("bad", "good", "unknown", "bad", "unknown")), return_exceptions=True
    )
    assert [type(result) for index, result in enumerate(results) if index != 1] == [
        AuthRejected,
        LookupError,
        AuthRejected,
        LookupError,
    ]
    assert manager.user_connected("good")
    assert manager.status().connected == 1
    # What the gateway refused is not shown to it again.
    refused = len(gateway.seen.connects)
    with pytest.raises(AuthRejected):
        await manager.connection_for("bad")
    assert len(gateway.seen.connects) == refused
    assert manager.status().counters.spared >= 1


async def test_credentials_that_change_mean_a_fresh_connection(
    manage: Manage, gateway: BlockingEmbeddedGateway, start_gateway: Start
) -> None:
    other = start_gateway(token="another token")
    known = {"ann": Credentials(gateway.url, token="wrong")}
    manager = manage(known.__getitem__)
    with pytest.raises(AuthRejected):
        await manager.connection_for("ann")
    known["ann"] = Credentials(gateway.url, token=gateway.token)
    first = await manager.connection_for("ann")
    assert inner(await manager.connection_for("ann")) is inner(first)
    known["ann"] = Credentials(other.url, token=other.token)
    second = await manager.connection_for("ann")
    assert inner(second) is not inner(first)
    assert not first.connected
    # The other end sees it when its own thread has its turn.
    await until(lambda: [gateway.open_connections, other.open_connections] == [0, 1])
    assert manager.status().counters.replaced == 1


async def test_newer_credentials_do_not_cut_a_run(manage: Manage, start_gateway: Start) -> None:
    gateway = start_gateway(agent=gated)
    known = {"ann": Credentials(gateway.url, token=gateway.token)}
    manager = manage(known.__getitem__)
    first = await manager.connection_for("ann")
    async with first.chat_stream(session_key="main", message="hi") as run:
        await until(lambda: run.text)
        known["ann"] = Credentials(gateway.url, token=gateway.token, headers={"X-New": "1"})
        second = await manager.connection_for("ann")
        assert inner(second) is not inner(first)
        gateway.release()
        assert (await run.result()).text == "begun ended"
    await until(lambda: gateway.open_connections == 1)


async def test_a_replaced_connection_goes_when_its_run_is_over_also_where_none_follows(
    manage: Manage, start_gateway: Start
) -> None:
    gateway = start_gateway(agent=gated)
    known = {"ann": Credentials(gateway.url, token=gateway.token)}
    manager = manage(known.__getitem__, idle_timeout=None)
    client = await manager.connection_for("ann")
    async with client.chat_stream(session_key="main", message="hi") as run:
        await until(lambda: run.text)
        known["ann"] = Credentials(gateway.url, token="revoked")
        with pytest.raises(AuthRejected):
            await manager.connection_for("ann")
        gateway.release()
        assert (await run.result()).text == "begun ended"
    await until(lambda: gateway.open_connections == 0)


async def test_disconnect_closes_a_replaced_connection_too(manage: Manage, start_gateway: Start) -> None:
    gateway = start_gateway(agent=gated)
    known = {user: Credentials(gateway.url, token=gateway.token) for user in ("ann", "bob")}
    manager = manage(known.__getitem__)
    await manager.connection_for("bob")
    client = await manager.connection_for("ann")
    async with client.chat_stream(session_key="main", message="hi") as run:
        await until(lambda: run.text)
        known["ann"] = Credentials(gateway.url, token=gateway.token, headers={"X-New": "1"})
        await manager.connection_for("ann")
        await manager.disconnect("ann")
        with pytest.raises(RunLost):
            await run.result()
    await until(lambda: gateway.open_connections == 1)
    assert manager.user_connected("bob")


@pytest.mark.parametrize("release", ["2026.9.6", "2026.4.15"])
async def test_what_two_connections_of_a_user_hear_is_told_once(
    manage: Manage, start_gateway: Start, release: str
) -> None:
    gateway = start_gateway(agent=gated, release=release)
    store = MemoryIdentityStore(DeviceIdentity.generate())

    def given(number: int) -> Credentials:
        sessions, headers = ["main", "two", "kept"], {"X-Number": str(number)}
        return Credentials(gateway.url, token=gateway.token, identity=store, sessions=sessions, headers=headers)

    known, told, heard = {"ann": given(0)}, list[tuple[str, str]](), [list[str]() for _ in range(3)]
    manager = manage(known.__getitem__)
    manager.on_proactive_message(lambda user, message: told.append((user, message.text)))
    clients, runs = [], []
    # One more than two: whoever leaves a message to another is not the only one who does.
    for number, session in enumerate(("kept", "main", "two")):
        known["ann"] = given(number)
        client = await manager.connection_for("ann")
        # Called behind the manager's own.
        client.on_proactive_message(lambda user, message, number=number: heard[number].append(message.text))
        # Subscribed to, where that is asked for.
        await asyncio.gather(*(client.chat_history(session_key=key) for key in ("main", "two", "kept")))
        run = client.chat_stream(session_key=session, message=session)
        await run.__aenter__()
        clients.append(client)
        runs.append(run)
    assert len({inner(client) for client in clients}) == 3
    gateway.say("main", "a reminder")
    await until(lambda: all(heard))
    for run in runs[1:]:
        gateway.release(run.run_id)
        assert (await run.result()).text == "begun ended"
    await until(lambda: heard[0] == ["a reminder", "begun ended", "begun ended"])
    gateway.say("main", "the last")
    await until(lambda: heard[0][-1] == heard[2][-1] == "the last")
    assert told == [("ann", "a reminder"), ("ann", "the last")]
    assert manager.status().counters.messages == 2
    gateway.release()
    assert (await runs[0].result()).text == "begun ended"


async def test_what_only_a_replaced_connection_hears_is_told(manage: Manage, start_gateway: Start) -> None:
    gateway = start_gateway(agent=gated)
    known = {"ann": Credentials(gateway.url, token=gateway.token, sessions=["main"])}
    manager, told = manage(known.__getitem__), list[str]()
    manager.on_proactive_message(lambda user, message: told.append(message.text))
    client = await manager.connection_for("ann")
    async with client.chat_stream(session_key="main", message="hi") as run:
        await until(lambda: run.text)
        known["ann"] = Credentials(gateway.url, token="revoked", sessions=["main"])
        with pytest.raises(AuthRejected):
            await manager.connection_for("ann")
        gateway.say("main", "a reminder")
        await until(lambda: told)
        gateway.release()
        await run.result()
    assert told == ["a reminder"]


async def test_credentials_hold_for_as_long_as_asked(
    manage: Manage, gateway: BlockingEmbeddedGateway, clock: Clock
) -> None:
    asked: list[str] = []

    def credentials(user: str) -> Credentials:
        asked.append(user)
        return Credentials(gateway.url, token=gateway.token)

    manager = manage(credentials, credentials_ttl=60)
    for ahead in (0, 30, 70, 100):
        clock.ahead = ahead
        await manager.connection_for("ann")
    assert len(asked) == 2


async def test_two_users_do_not_share_a_device(manage: Manage, gateway: BlockingEmbeddedGateway) -> None:
    device = DeviceIdentity.generate()
    manager = manage(lambda user: Credentials(gateway.url, token=gateway.token, identity=device))
    await manager.connection_for("ann")
    with pytest.raises(ManagerError, match="one device identity"):
        await manager.connection_for("bob")
    await manager.disconnect("ann")
    await manager.connection_for("bob")
    sharing = manage(
        lambda user: Credentials(gateway.url, token=gateway.token, identity=MemoryIdentityStore(device)),
        share_devices=True,
    )
    await asyncio.gather(*(sharing.connection_for(user) for user in ("ann", "bob")))


async def test_nothing_is_taken_from_the_environment(
    manage: Manage, gateway: BlockingEmbeddedGateway, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OPENCLAW_GATEWAY_URL", gateway.url)
    monkeypatch.setenv("OPENCLAW_GATEWAY_TOKEN", str(gateway.token))
    manager = manage(lambda user: Credentials(gateway.url))
    with pytest.raises(AuthRejected):
        await manager.connection_for("nobody's token")


@pytest.mark.parametrize("scopes", [5, "operator.read"])
async def test_scopes_that_are_no_list_are_refused(
    manage: Manage, gateway: BlockingEmbeddedGateway, scopes: Any
) -> None:
    manager = manage(lambda user: Credentials(gateway.url, token=gateway.token, scopes=scopes))
    with pytest.raises(UsageError, match="scopes="):
        await manager.connection_for("ann")


async def test_credentials_must_be_credentials(manage: Manage) -> None:
    with pytest.raises(UsageError, match="returned a str"):
        await manage(lambda user: "token").connection_for("ann")


# Limits and idle close.


async def test_the_longest_idle_user_makes_room(manage: Manage, gateway: BlockingEmbeddedGateway) -> None:
    manager = manage(max_connections=2)
    ann = await manager.connection_for("ann")
    await manager.connection_for("bob")
    await ann.request("health")
    await manager.connection_for("ann")
    await manager.connection_for("eve")
    assert [manager.user_connected(user) for user in ("ann", "bob", "eve")] == [True, False, True]
    assert manager.connected_count == 2
    assert manager.status().counters.evicted == 1


async def test_a_manager_full_of_runs_says_so(manage: Manage, start_gateway: Start) -> None:
    gateway = start_gateway(agent=gated)
    manager = manage(lambda user: Credentials(gateway.url, token=gateway.token), max_connections=2)
    ann = await manager.connection_for("ann")
    async with ann.chat_stream(session_key="main", message="hi") as run, manager.hold("bob"):
        await until(lambda: run.text)
        with pytest.raises(ManagerError, match="in use"):
            await manager.connection_for("eve")
        gateway.release()
        assert (await run.result()).text == "begun ended"
        await manager.connection_for("eve")
        assert [manager.user_connected(user) for user in ("ann", "bob", "eve")] == [False, True, True]


async def test_many_users_through_a_narrow_door(manage: Manage, gateway: BlockingEmbeddedGateway) -> None:
    manager = manage(max_connections=3)
    for number in range(20):
        await (await manager.connection_for(number)).request("health")
    assert manager.status().counters.opened == 20
    assert manager.connected_count == 3
    # Each of those that are asked for at once is in use, so that there is no room for a fourth.
    results = await asyncio.gather(
        *(manager.connection_for(number) for number in range(20, 40)), return_exceptions=True
    )
    assert {type(result) for result in results if isinstance(result, Exception)} <= {ManagerError}
    assert manager.connected_count <= 3


async def test_who_is_only_ticked_is_closed(manage: Manage, gateway: BlockingEmbeddedGateway, clock: Clock) -> None:
    manager = manage(idle_timeout=1800)
    client = await manager.connection_for("ann")
    await client.chat_send(session_key="main", message="hi")
    for _ in range(3):
        clock.ahead += 590
        ticks = client.events("tick")
        gateway.tick()
        await anext(ticks)
        assert await manager.close_idle() == 0
    clock.ahead += 60
    assert await manager.close_idle() == 1
    assert not manager.user_connected("ann")
    await until(lambda: gateway.open_connections == 0)
    with pytest.raises(NotConnected):
        await client.request("health")
    again = await manager.connection_for("ann")
    assert (await again.chat_send(session_key="main", message="back")).text.endswith("back")


async def test_a_run_in_flight_is_not_idle(manage: Manage, start_gateway: Start, clock: Clock) -> None:
    gateway = start_gateway(agent=gated)
    manager = manage(lambda user: Credentials(gateway.url, token=gateway.token), idle_timeout=1800)
    client = await manager.connection_for("ann")
    async with client.chat_stream(session_key="main", message="hi") as run:
        await until(lambda: run.text)
        clock.ahead += 36_000
        assert await manager.close_idle() == 0
        gateway.release()
        assert (await run.result()).text == "begun ended"
    clock.ahead += 1790
    assert await manager.close_idle() == 0
    clock.ahead += 20
    assert await manager.close_idle() == 1


async def test_a_message_is_use_and_a_hold_is_too(
    manage: Manage, gateway: BlockingEmbeddedGateway, clock: Clock
) -> None:
    heard: list[str] = []
    manager = manage(lambda user: Credentials(gateway.url, token=gateway.token, sessions=["main"]), idle_timeout=1800)
    manager.on_proactive_message(lambda user, message: heard.append(message.text))
    async with manager.hold("bob"):
        await manager.connection_for("ann")
        clock.ahead += 1790
        gateway.say("main", "news")
        await until(lambda: len(heard) == 2)
        clock.ahead += 20
        assert await manager.close_idle() == 0
        clock.ahead += 1790
        assert await manager.close_idle() == 1
        assert manager.user_connected("bob")
    clock.ahead += 1810
    assert await manager.close_idle() == 1


async def test_idle_connections_are_closed_without_anybody_asking(
    manage: Manage, gateway: BlockingEmbeddedGateway
) -> None:
    manager = manage(idle_timeout=0.2)
    await asyncio.gather(*(manager.connection_for(number) for number in range(5)))
    await until(lambda: manager.status().counters.idle_closed == 5)
    await until(lambda: gateway.open_connections == 0)


@pytest.mark.parametrize("end", ["idle", "drained", "replaced", "evicted"])
async def test_a_message_that_waits_for_its_turn_is_under_way(
    face: Face, manage: Manage, start_gateway: Start, end: str
) -> None:
    gateway = start_gateway(agent=gated)
    known = {user: Credentials(gateway.url, token=gateway.token, sessions=["main"]) for user in ("ann", "eve")}
    manager = manage(known.__getitem__, max_connections=1)
    async with face.client(gateway.url, token=gateway.token, identity=False) as other:
        async with other.chat_stream(session_key="main", message="other") as run:
            await until(lambda: run.text)
            client = await manager.connection_for("ann")
            # The other client has asked, too.
            asked = gateway.seen.requests["chat.history"]
            mine = asyncio.ensure_future(client.chat_send(session_key="main", message="mine"))
            await until(lambda: gateway.seen.requests["chat.history"] > asked)
            # Behind the answer that the session is busy.
            await client.request("health")
            if end == "idle":
                assert not await client.close_if_idle()
            elif end == "drained":
                assert not await manager.drain(0)
            elif end == "replaced":
                known["ann"] = Credentials(gateway.url, token=gateway.token, sessions=["main"], headers={"X-New": "1"})
                assert inner(await manager.connection_for("ann")) is not inner(client)
            else:
                with pytest.raises(ManagerError, match="in use"):
                    await manager.connection_for("eve")
            assert client.busy
            gateway.release()
            await run.result()
        await until(lambda: gateway.seen.requests["chat.send"] == 2 and gateway.active_runs)
        gateway.release()
        assert (await mine).text == "begun ended"


# The end of a connection.


async def test_a_connection_that_was_given_up_makes_way(manage: Manage, gateway: BlockingEmbeddedGateway) -> None:
    told: list[tuple[Any, type]] = []
    known = {"ann": Credentials(gateway.url, token=gateway.token)}
    manager = manage(known.__getitem__)
    manager.on_fatal_close(lambda client, error: told.append((client.user, type(error))))
    first = await manager.connection_for("ann")
    gateway.faults.refuse(details={"code": "AUTH_TOKEN_MISMATCH"})
    gateway.faults.disconnect()
    await until(lambda: told)
    assert told == [("ann", AuthRejected)]
    assert manager.status().users == ()
    assert manager.status().counters.fatal == 1
    with pytest.raises(AuthRejected):
        await manager.connection_for("ann")
    known["ann"] = Credentials(gateway.url, token=gateway.token, headers={"X-New": "1"})
    second = await manager.connection_for("ann")
    assert inner(second) is not inner(first)
    assert second.connected


async def test_all_are_back_after_a_restart(manage: Manage, gateway: BlockingEmbeddedGateway) -> None:
    manager = manage()
    clients = await asyncio.gather(*(manager.connection_for(number) for number in range(20)))
    await asyncio.to_thread(gateway.restart)
    # Before that they may not have noticed yet.
    await until(lambda: len(gateway.seen.connects) == 40)
    await until(lambda: manager.connected_count == 20)
    assert [inner(await manager.connection_for(number)) for number in range(20)] == [inner(one) for one in clients]


class Interrupt(BaseException):
    """What ends a wait from outside: a cancel, Ctrl-C, gevent.Timeout."""


async def test_a_caller_who_is_interrupted_in_the_moment_of_hello_leaves_no_connection(
    face: Face, manage: Manage, gateway: BlockingEmbeddedGateway, monkeypatch: pytest.MonkeyPatch
) -> None:
    left = [Interrupt()]
    connect_async, connect = AsyncGatewayClient.connect, GatewayClient.connect

    async def interrupted_async(client: AsyncGatewayClient) -> None:
        await connect_async(client)
        if left:
            raise left.pop()

    def interrupted(client: GatewayClient) -> None:
        connect(client)
        if left:
            raise left.pop()

    monkeypatch.setattr(AsyncGatewayClient, "connect", interrupted_async)
    monkeypatch.setattr(GatewayClient, "connect", interrupted)
    manager = manage()
    with pytest.raises(Interrupt):
        await manager.connection_for("ann")
    assert manager.status().users == ()
    await until(lambda: gateway.open_connections == 0)
    assert (await manager.connection_for("ann")).connected
    assert gateway.open_connections == 1


async def test_disconnect_and_come_again(manage: Manage, gateway: BlockingEmbeddedGateway) -> None:
    manager = manage()
    await asyncio.gather(*(manager.connection_for(user) for user in ("ann", "bob")))
    await manager.disconnect("ann")
    await manager.disconnect("nobody")
    assert [manager.user_connected(user) for user in ("ann", "bob")] == [False, True]
    await manager.disconnect_all()
    assert manager.connected_count == 0
    await until(lambda: gateway.open_connections == 0)
    assert (await manager.connection_for("ann")).connected


async def refuse(manager: Any, users: range) -> None:
    for user in users:
        with pytest.raises(AuthRejected):
            await manager.connection_for(user)


@pytest.mark.parametrize("end", ["disconnect", "new credentials"])
async def test_refusals_of_users_who_left_or_changed_hold_up_nobody(
    end: str, manage: Manage, gateway: BlockingEmbeddedGateway
) -> None:
    tokens = {number: f"wrong-{number}" for number in range(BUDGET)}

    def credentials(user: Any) -> Credentials:
        return Credentials(gateway.url, token=tokens.get(user, gateway.token))

    manager = manage(credentials, timeouts=Timeouts(connect=2.0))
    await refuse(manager, range(BUDGET))
    with pytest.raises(RateLimited):
        await manager.connection_for("ann")
    if end == "disconnect":
        await manager.disconnect(0)
        assert (await manager.connection_for("ann")).connected
    else:
        tokens[0] = gateway.token
        assert (await manager.connection_for(0)).connected


async def test_drain_lets_runs_end_and_takes_nobody(manage: Manage, start_gateway: Start) -> None:
    gateway = start_gateway(agent=gated)
    manager = manage(lambda user: Credentials(gateway.url, token=gateway.token))
    ann, _ = await asyncio.gather(*(manager.connection_for(user) for user in ("ann", "bob")))
    async with ann.chat_stream(session_key="main", message="hi") as run:
        await until(lambda: run.text)
        draining = asyncio.ensure_future(manager.drain(30))
        await until(lambda: not manager.user_connected("bob"))
        assert manager.user_connected("ann")
        assert manager.status().phase == "draining"
        with pytest.raises(ManagerError, match="draining"):
            await manager.connection_for("bob")
        gateway.release()
        assert (await run.result()).text == "begun ended"
        assert await draining is True
    await manager.close()
    assert manager.status().phase == "closed"


async def test_close_after_a_drain_that_was_not_over_in_time(manage: Manage, start_gateway: Start) -> None:
    gateway = start_gateway(agent=gated)
    manager = manage(lambda user: Credentials(gateway.url, token=gateway.token))
    ann = await manager.connection_for("ann")
    async with ann.chat_stream(session_key="main", message="hi") as run:
        await until(lambda: run.text)
        assert await manager.drain(0.1) is False
        await manager.close()
        with pytest.raises(RunLost):
            await run.result()
    await manager.close()
    with pytest.raises(ManagerError, match="closed"):
        await manager.connection_for("ann")
    await until(lambda: gateway.open_connections == 0)


async def test_as_a_context_manager(face: Face, gateway: BlockingEmbeddedGateway, no_leaks: None) -> None:
    async with face.manager(lambda user: Credentials(gateway.url, token=gateway.token)) as manager:
        await manager.connection_for("ann")
    assert manager.connected_count == 0
    await until(lambda: gateway.open_connections == 0)


# Handlers.


async def test_handlers_of_all_users(
    manage: Manage, gateway: BlockingEmbeddedGateway, caplog: pytest.LogCaptureFixture
) -> None:
    heard: list[tuple[Any, str]] = []
    manager = manage(lambda user: Credentials(gateway.url, token=gateway.token, sessions=[f"web:{user}"]))

    @manager.on_proactive_message
    def bad(user: Any, message: ProactiveMessage) -> None:
        raise RuntimeError("a handler's own fault")

    manager.on_proactive_message(lambda user, message: heard.append((user, message.text)))
    await asyncio.gather(*(manager.connection_for(user) for user in ("ann", "bob")))
    for number in range(10):
        gateway.say("web:ann", f"a{number}")
        gateway.say("web:bob", f"b{number}")
    await until(lambda: len(heard) == 20)
    assert [text for user, text in heard if user == "ann"] == [f"a{number}" for number in range(10)]
    assert [text for user, text in heard if user == "bob"] == [f"b{number}" for number in range(10)]
    await until(lambda: manager.status().counters.handler_errors == 20)
    assert manager.status().counters.messages == 20
    assert "bad raised" in caplog.text


async def test_handlers_that_block_delay_their_own_users_only(
    manage: Manage, gateway: BlockingEmbeddedGateway, face: Face
) -> None:
    blocked = 20
    door, heard = threading.Event(), list[int]()
    task_door = asyncio.Event()
    manager = manage(lambda user: Credentials(gateway.url, token=gateway.token, sessions=[f"web:{user}"]))

    def block(user: int, message: ProactiveMessage) -> object:
        if user < blocked:
            return task_door.wait() if face.name == "async" else door.wait()
        heard.append(user)
        return None

    manager.on_proactive_message(block)
    await asyncio.gather(*(manager.connection_for(user) for user in range(blocked + 5)))
    for user in range(blocked + 5):
        gateway.say(f"web:{user}", "hello")
    await until(lambda: len(heard) == 5)
    assert sorted(heard) == list(range(blocked, blocked + 5))
    door.set()
    task_door.set()
