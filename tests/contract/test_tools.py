"""Python functions as tools of agents: published by a host, called in chats, by many at once and over restarts.

Each test has a host, a device and names of its own: two hosts with the same names take them from each other.
"""

from __future__ import annotations

import asyncio
import base64
import logging
import threading
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

import pytest

from openclaw_client import HostState, SessionKey, ToolCall, ToolError, ToolFinished, ToolResult, tool
from openclaw_client.errors import MethodUnavailable
from tests.contract.nodes import new_name
from tests.contract.targets import FORWARDED, PATIENT, Target, device_store
from tests.faces import Face

TOOLS = ("2026.8.1", "2026.9.6")
"""Releases on which a host may publish tools."""

CANCELS = ("2026.9.6",)
"""Releases that tell a host that a run was stopped."""

OPERATOR = ("operator.read", "operator.write", "operator.pairing", "operator.admin")
PIXEL = base64.b64decode(
    "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg=="
)
PATIENCE = 60.0
"""Seconds: a busy machine takes some for a first turn."""

pytestmark = pytest.mark.release(*TOOLS)


async def soon(condition: Callable[[], object]) -> None:
    async with asyncio.timeout(PATIENCE):
        while not condition():  # noqa: ASYNC110 - as `tests.waiting.until`, with more patience
            await asyncio.sleep(0.02)


async def approve(client: Any, host: Any) -> None:
    """Let a host that waits publish its tools."""
    async with asyncio.timeout(PATIENCE):
        while True:
            pending = (await client.request("node.pair.list"))["pending"]
            found = [one["requestId"] for one in pending if one["nodeId"] == host.device_id]
            if found:
                break
            await asyncio.sleep(0.1)
    await client.request("node.pair.approve", {"requestId": found[0]})
    # 2026.8.1 tells the host nothing.
    host.retry_now()
    assert await host.wait_published(PATIENCE)


class Shop:
    """A host and a client of one face at one gateway."""

    def __init__(self, face: Face, target: Target) -> None:
        self.face, self.target = face, target
        self.name = new_name("shop")

    def client(self) -> Any:
        return self.face.client(
            self.target.url, token=self.target.token, identity=device_store(), scopes=OPERATOR, timeouts=PATIENT
        )

    def host(self, *tools: Any, **options: Any) -> Any:
        given = {"name": self.name, "identity": device_store(), "timeouts": PATIENT, "tools": tools, **options}
        return self.face.host(self.target.url, token=self.target.token, **given)

    @asynccontextmanager
    async def open(self, *tools: Any, **options: Any) -> AsyncIterator[tuple[Any, Any]]:
        async with self.client() as client, self.host(*tools, **options) as host:
            await approve(client, host)
            yield client, host


@pytest.fixture
def shop(face: Face, target: Target) -> Shop:
    return Shop(face, target)


async def call(client: Any, session: str, name: str, arguments: str = "{}") -> tuple[str, list[bool]]:
    """What the agent says behind the call, and whether its results were errors."""
    async with client.chat_stream(session_key=session, message=f"stub:call {name} {arguments}") as run:
        ends = [event.is_error async for event in run if isinstance(event, ToolFinished)]
        return (await run.result()).text, ends


async def test_a_function_is_called_and_its_result_is_in_the_reply(shop: Shop, session: str) -> None:
    stock, book, seen = new_name("stock"), new_name("book"), list[ToolCall]()

    @tool(name=stock)
    def in_stock(call: ToolCall, sku: str, warehouse: str = "main") -> dict[str, Any]:
        """How many pieces of an article are in stock."""
        seen.append(call)
        return {"sku": sku, "warehouse": warehouse, "pieces": 7}

    @tool(name=book)
    def booked(day: str) -> str:
        """Books a day."""
        raise ToolError(f"{day} is taken; choose another day")

    async with shop.open(in_stock, booked, user_of=lambda key: SessionKey.parse(key)) as (client, host):
        assert set(host.published) == {stock, book}
        text, errors = await call(client, session, stock, '{"sku": "7"}')
        assert (text, errors) == ('{"sku":"7","warehouse":"main","pieces":7}', [False])
        assert seen[0].session_key == f"agent:main:{session}"
        assert seen[0].user == ("main", (session,))
        assert 0 < seen[0].seconds_left < 120
        text, errors = await call(client, session, book, '{"day": "Monday"}')
        assert (text, errors) == ("Monday is taken; choose another day", [True])
        listed = (await client.request("tools.effective", {"sessionKey": session}))["groups"]
        described = {one["id"]: one["description"] for group in listed for one in group["tools"]}
        assert described[stock] == f"How many pieces of an article are in stock. (node: {shop.name})"


async def test_what_a_function_gives_and_raises(shop: Shop, session: str, caplog: pytest.LogCaptureFixture) -> None:
    names = {word: new_name(word) for word in ("nothing", "image", "long", "raises")}

    @tool(name=names["nothing"])
    def nothing() -> None:
        """Gives nothing."""

    @tool(name=names["image"])
    def image() -> ToolResult:
        """Shows a picture."""
        return ToolResult("a picture", [(PIXEL, "image/png")])

    @tool(name=names["long"])
    def long() -> str:
        """Gives more than may be sent."""
        return "x" * 2000

    @tool(name=names["raises"])
    def raises() -> str:
        """Raises."""
        raise OSError("password 4711")

    async with shop.open(nothing, image, long, raises, max_result=1000) as (client, _):
        assert await call(client, session, names["nothing"]) == (
            "MCP tool completed without returning content.",
            [False],
        )
        assert (await call(client, session, names["image"]))[1] == [False]
        text, errors = await call(client, session, names["long"])
        assert "1,000 are allowed" in text
        assert errors == [True]
        text, errors = await call(client, session, names["raises"])
        assert text == f"{names['raises']} failed (OSError); see the log of {shop.name}"
        assert errors == [True]
    assert [record for record in caplog.records if record.exc_info and record.name == "openclaw_client.tools"]


async def test_a_hundred_calls_of_ten_users_at_once(shop: Shop, session: str) -> None:
    whose = new_name("whose")

    @tool(name=whose)
    def of_user(call: ToolCall, number: int) -> str:
        """Whose call it is."""
        return f"{call.user}-{number}"

    keys = {user: SessionKey.agent("main", session, f"user-{user}") for user in range(10)}
    async with shop.open(of_user, user_of=lambda key: SessionKey.parse(key)[1][-1]) as (client, _):

        async def of(user: int) -> list[str]:
            # The model numbers its calls anew in each answer: those of all users have the same ids.
            wanted = ", ".join(f'{{"number": {number}}}' for number in range(10))
            text, _ = await call(client, keys[user], whose, f"[{wanted}]")
            return text.splitlines()

        found = await asyncio.gather(*(of(user) for user in keys))
    assert found == [[f"user-{user}-{number}" for number in range(10)] for user in keys]


async def test_the_host_is_killed_in_mid_call_and_comes_back(shop: Shop, session: str) -> None:
    name, calls, go = new_name("slow"), list[ToolCall](), threading.Event()

    @tool(name=name)
    def slow(call: ToolCall, word: str) -> str:
        """Takes its time."""
        calls.append(call)
        if word == "first":
            go.wait(PATIENCE)
        return f"done {word}"

    device = device_store()
    try:
        async with shop.client() as client:
            host = shop.host(slow, identity=device)
            await host.connect()
            await approve(client, host)
            lost = asyncio.ensure_future(call(client, session, name, '{"word": "first"}'))
            await soon(lambda: calls)
            await host.close(0)
            assert (await lost)[1] == [True]
            assert calls[0].cancelled
            again = shop.host(slow, identity=device)
            # Approved once and for all.
            await again.connect()
            assert again.state is HostState.PUBLISHED
            assert (await call(client, f"{session}-more", name, '{"word": "second"}'))[0] == "done second"
            await again.close()
    finally:
        go.set()
    assert [one.arguments["word"] for one in calls] == ["first", "second"]


async def test_the_gateway_restarts_and_the_tools_are_there_again(shop: Shop, session: str) -> None:
    name = new_name("stock")

    @tool(name=name)
    def stock(sku: str) -> str:
        """How many."""
        return f"7 of {sku}"

    states: list[str] = []
    async with shop.open(stock) as (client, host):
        host.on_state_change(lambda change: states.append(change.new.value))
        await asyncio.to_thread(shop.target.stop)
        await soon(lambda: host.state is HostState.CONNECTING)
        assert host.published == ()
        await asyncio.to_thread(shop.target.start)
        await soon(lambda: host.state is HostState.PUBLISHED)
        await soon(lambda: client.connected)
        assert (await call(client, session, name, '{"sku": "a"}'))[0] == "7 of a"
    assert states[:2] == ["connecting", "published"]


async def test_a_result_behind_its_time_limit_is_dropped(
    shop: Shop, session: str, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO, "openclaw_client.tools")
    name, go = new_name("hasty"), threading.Event()

    @tool(name=name, timeout=1)
    def hasty() -> str:
        """Has a second."""
        go.wait(PATIENCE)
        return "too late"

    try:
        async with shop.open(hasty) as (client, host):
            assert await call(client, session, name) == (f"{name} took longer than 1 s and was given up.", [True])
            assert host.active_calls == 1
            go.set()
            await soon(lambda: host.active_calls == 0)
    finally:
        go.set()
    assert [line for line in caplog.messages if f"a result of {name} came" in line and "was dropped" in line]


@pytest.mark.release(*CANCELS)
async def test_a_run_that_is_stopped_cancels_its_call(shop: Shop, session: str) -> None:
    name, calls, go = new_name("slow"), list[ToolCall](), threading.Event()

    @tool(name=name)
    def slow(call: ToolCall) -> None:
        """Takes its time."""
        calls.append(call)
        go.wait(PATIENCE)

    try:
        async with shop.open(slow) as (client, host):
            async with client.chat_stream(session_key=session, message=f"stub:call {name} {{}}") as run:
                await soon(lambda: calls)
                await run.abort()
            await soon(lambda: calls[0].cancelled)
            go.set()
            await soon(lambda: host.active_calls == 0)
            assert host.state is HostState.PUBLISHED
    finally:
        go.set()


async def test_whoever_leaves_lets_calls_end_and_others_know(shop: Shop, session: str) -> None:
    name, calls, go = new_name("slow"), list[ToolCall](), threading.Event()

    @tool(name=name)
    def slow(call: ToolCall) -> str:
        """Takes its time."""
        calls.append(call)
        go.wait(PATIENCE)
        return "done"

    try:
        async with shop.client() as client:
            host = shop.host(slow)
            await host.connect()
            await approve(client, host)
            reply = asyncio.ensure_future(call(client, session, name))
            await soon(lambda: calls)
            closes = asyncio.ensure_future(host.close(PATIENCE))
            await soon(lambda: host.published == ())
            go.set()
            assert await reply == ("done", [False])
            await closes
    finally:
        go.set()


async def test_tools_come_and_go(shop: Shop, session: str) -> None:
    first, second = new_name("first"), new_name("second")

    @tool(name=first)
    def one() -> str:
        """The first."""
        return "one"

    @tool(name=second)
    def two() -> str:
        """The second."""
        return "two"

    async with shop.open(one) as (client, host):
        host.add(two)
        host.remove(first)
        await soon(lambda: host.published == (second,))
        assert (await call(client, session, second))[0] == "two"


async def test_of_two_processes_one_serves(shop: Shop, session: str) -> None:
    name, served = new_name("stock"), list[int]()

    def make(number: int) -> Any:
        @tool(name=name)
        def stock() -> str:
            """How many."""
            served.append(number)
            return f"from {number}"

        return stock

    device = device_store()
    async with shop.client() as client:
        first, second = shop.host(make(1), identity=device), shop.host(make(2), identity=device)
        await first.connect()
        await approve(client, first)
        await second.connect()
        # What happens every minute by itself.
        async with asyncio.timeout(PATIENCE):
            while HostState.REPLACED not in (first.state, second.state):
                for host in (first, second):
                    host.retry_now()
                # Only a refused publication tells a host of the other one.
                await asyncio.sleep(0.1)
        await soon(lambda: HostState.PUBLISHED in (first.state, second.state))
        assert sorted((first.state.value, second.state.value)) == ["published", "replaced"]
        serves = 1 if first.state is HostState.PUBLISHED else 2
        assert (await call(client, session, name))[0] == f"from {serves}"
        await first.close()
        await second.close()


async def test_a_host_from_elsewhere_waits_for_its_device_and_then_for_its_tools(
    face: Face, proxied: tuple[str, str]
) -> None:
    url, token = proxied
    name = new_name("stock")
    far = face.host(
        url,
        token=token,
        name=new_name("far"),
        tools=[tool(lambda: "7", name=name, description="How many.")],
        identity=device_store(),
        headers=FORWARDED,
        timeouts=PATIENT,
    )
    async with face.client(url, token=token, identity=device_store(), scopes=OPERATOR, timeouts=PATIENT) as client:
        await far.connect()
        assert far.state is HostState.WAITING_FOR_DEVICE
        pending = (await client.request("device.pair.list"))["pending"]
        [request] = [one["requestId"] for one in pending if one["deviceId"] == far.device_id]
        assert f"openclaw devices approve {request}" in far.waiting_for
        await client.request("device.pair.approve", {"requestId": request})
        far.retry_now()
        await soon(lambda: far.state is HostState.WAITING_FOR_APPROVAL)
        await approve(client, far)
        assert far.published == (name,)
        await far.close()


@pytest.mark.release("2026.7.35")
async def test_a_gateway_that_takes_no_tools_says_so(shop: Shop) -> None:
    host = shop.host(tool(lambda: None, name="stock", description="How many."))
    with pytest.raises(MethodUnavailable, match=r"needs gateway 2026\.8; this is 2026\.7"):
        await host.connect()
    assert host.state is HostState.PAUSED
    await host.close()
