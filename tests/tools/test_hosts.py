"""Tool hosts on both faces: published, called, refused, and what the agent is told. Also beside others."""

from __future__ import annotations

import asyncio
import logging
import threading
from decimal import Decimal
from typing import Any

import pytest

from openclaw_client import (
    HostState,
    HostStateChange,
    SessionKey,
    Timeouts,
    ToolCall,
    ToolError,
    ToolFinished,
    ToolResult,
    tool,
)
from openclaw_client.errors import (
    ClientClosed,
    GatewayError,
    MethodUnavailable,
    NotConnected,
    PairingRequired,
    RequestFailed,
    Unreachable,
    UsageError,
)
from openclaw_client.testing import BlockingEmbeddedGateway, OutFrame
from openclaw_client.tools import publication
from tests.faces import Face, inner
from tests.tools.conftest import Make, Start, ask, serving
from tests.waiting import until

RELEASES = ("2026.8.1", "2026.9.6")


@tool
def stock(call: ToolCall, sku: str, count: int = 1) -> dict[str, Any]:
    """How many pieces of an article are in stock."""
    return {"sku": sku, "count": count, "user": call.user, "session": call.session_key}


@tool
def echo(text: str) -> str:
    """Says it again."""
    return text


@tool
def fails(text: str, deliberately: bool = False) -> str:
    """Raises."""
    raise ToolError(text) if deliberately else ValueError(text)


@tool
def priced(price: Decimal) -> str:
    """Has a price."""
    return f"{price}"


@tool
def picture() -> ToolResult:
    """Shows a picture."""
    return ToolResult("see", [(b"PNG", "image/png")])


@tool(approve=lambda call: call.arguments["text"] == "please")
def asks(text: str) -> str:
    """Has to be approved."""
    return "done"


@pytest.mark.parametrize("release", RELEASES)
async def test_a_function_is_called_by_the_agent(
    make: Make, make_client: Make, start_gateway: Start, release: str
) -> None:
    gateway = start_gateway(release=release)
    changes: list[HostStateChange] = []
    host = make(gateway, stock, user_of=lambda key: key.rpartition(":")[2])
    host.on_state_change(changes.append)
    assert (host.state, host.published, host.waiting_for) == (HostState.DISCONNECTED, (), None)
    async with host, make_client(gateway) as client:
        assert host.state is HostState.WAITING_FOR_APPROVAL
        assert "openclaw nodes approve" in host.waiting_for
        # The function is published and does not count.
        assert (await ask(client, 'stock {"sku": "7"}')).endswith("Tool stock not found")
        await asyncio.to_thread(gateway.approve)
        # 2026.8.1 tells the node nothing; that it is called does.
        text = await ask(client, 'stock {"sku": "7", "count": "3"}')
        assert text == '{"sku":"7","count":3,"user":"s","session":"agent:main:s"}'
        assert await host.wait_published(10)
        assert (host.published, host.waiting_for) == (("stock",), None)
        assert host.device_id is not None
    assert host.state is HostState.DISCONNECTED
    await until(lambda: len(changes) == 4)
    assert [change.new.value for change in changes] == [
        "connecting",
        "waiting_for_approval",
        "published",
        "disconnected",
    ]
    assert changes[1].waiting_for is not None
    assert [change.cause for change in changes] == [None] * 4


async def test_the_approval_is_asked_for_where_nobody_tells_of_it(
    make: Make, start_gateway: Start, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(publication, "ASK_FIRST", 0.05)
    gateway = start_gateway(release="2026.8.1")
    async with make(gateway, echo) as host:
        assert not await host.wait_published(0.2)
        await asyncio.to_thread(gateway.approve)
        assert await host.wait_published(10)


async def test_a_request_that_was_rejected_is_made_again(
    make: Make, make_client: Make, gateway: BlockingEmbeddedGateway
) -> None:
    async with make(gateway, echo) as host, make_client(gateway, scopes=["admin"]) as client:
        [request] = gateway.pending_nodes
        await client.request("node.pair.reject", {"requestId": request.id})
        assert gateway.pending_nodes == []
        host.retry_now()
        await until(lambda: gateway.pending_nodes)
        await asyncio.to_thread(gateway.approve)
        assert await host.wait_published(10)


async def test_another_request_of_the_device_is_told(
    make: Make, make_client: Make, start_gateway: Start, caplog: pytest.LogCaptureFixture
) -> None:
    gateway = start_gateway(auto_approve=False)
    changes: list[HostStateChange] = []
    client = make_client(gateway, scopes=["admin"])
    with pytest.raises(PairingRequired):
        await client.connect()
    await asyncio.to_thread(gateway.approve)
    host = make(gateway, echo)
    host.on_state_change(changes.append)
    async with host, client:
        [first] = gateway.pending
        # As one that nobody approved in time.
        await client.request("device.pair.reject", {"requestId": first.id})
        host.retry_now()
        await until(lambda: first.id not in (host.waiting_for or ""))
        [second] = gateway.pending
        assert second.id in host.waiting_for
        await until(lambda: len(changes) == 3)
    assert (changes[2].old, changes[2].new) == (HostState.WAITING_FOR_DEVICE, HostState.WAITING_FOR_DEVICE)
    assert f"openclaw devices approve {second.id}" in (changes[2].waiting_for or "")
    waits = [line for line in caplog.messages if line.startswith("shop waits")]
    assert [one.id in line for one, line in zip((first, second), waits, strict=True)] == [True, True]


async def test_a_device_that_waits_goes_on_when_it_is_approved(make: Make, start_gateway: Start) -> None:
    gateway = start_gateway(auto_approve=False)
    host, fatal = make(gateway, echo), []
    host.on_fatal_close(lambda *args: fatal.append(args))
    await host.connect()
    assert host.state is HostState.WAITING_FOR_DEVICE
    [request] = gateway.pending
    assert f"openclaw devices approve {request.id}" in host.waiting_for
    # Known already: whoever asks again is told at once.
    await host.connect()
    assert not await host.wait_published(0.05)
    # The wait survives the gateway.
    await asyncio.to_thread(gateway.crash)
    host.retry_now()
    await asyncio.to_thread(gateway.start)
    await asyncio.to_thread(gateway.approve)
    host.retry_now()
    await until(lambda: host.state is HostState.WAITING_FOR_APPROVAL)
    await asyncio.to_thread(gateway.restart)
    await until(lambda: host.state is HostState.CONNECTING)
    await until(lambda: host.state is HostState.WAITING_FOR_APPROVAL)
    await asyncio.to_thread(gateway.approve)
    assert await host.wait_published(10)
    await host.close()
    assert fatal == []


@pytest.mark.parametrize(
    ("message", "answer"),
    [
        ('echo {"text": "fine"}', "fine"),
        # What the schema refuses the gateway refuses itself.
        ("echo {}", "*Validation failed"),
        ('priced {"price": "cheap"}', "*Invalid decimal string - at `$.price`"),
        ('fails {"text": "choose another day", "deliberately": true}', "*choose another day"),
        ('fails {"text": "password 4711"}', "*fails failed (ValueError); see the log of shop"),
        ('asks {"text": "please"}', "done"),
        ('asks {"text": "now"}', "*asks was not approved and not called."),
        ('echo {"text": "%s"}' % ("x" * 1001), "*The result has 1,001 bytes, and 1,000 are allowed: ask for less"),
        ("picture", "see"),
    ],
)
async def test_what_the_agent_is_told(
    make: Make,
    make_client: Make,
    gateway: BlockingEmbeddedGateway,
    caplog: pytest.LogCaptureFixture,
    message: str,
    answer: str,
) -> None:
    caplog.set_level(logging.INFO)
    host = make(gateway, echo, fails, picture, asks, priced, max_result=1000)
    async with host, make_client(gateway) as client:
        await serving(host, gateway)
        async with client.chat_stream(session_key="s", message=message) as run:
            finished = [event async for event in run if isinstance(event, ToolFinished)]
            reply = await run.result()
    assert reply.text.startswith(answer)
    assert [event.is_error for event in finished] == [answer.startswith("*")]
    told = [record for record in caplog.records if record.name == "openclaw_client.tools" and record.exc_info]
    assert bool(told) == ("ValueError" in answer)
    # Neither what was asked nor what was answered, but for an exception with its traceback.
    words = [record.getMessage() for record in caplog.records if record.name.startswith("openclaw_client")]
    assert not [line for line in words if "4711" in line or "another day" in line or gateway.token in line]


def nobody(_: str) -> None:
    return None


def broken(_: str) -> str:
    raise OSError("database 4711")


@pytest.mark.parametrize(
    ("user_of", "answer"),
    [
        (nobody, "FORBIDDEN: stock is not for this session"),
        (broken, "stock failed (OSError); see the log of shop"),
    ],
)
async def test_a_call_of_nobody_is_refused(
    make: Make, make_client: Make, gateway: BlockingEmbeddedGateway, user_of: Any, answer: str
) -> None:
    called: list[ToolCall] = []

    @tool(name="stock")
    def looks(call: ToolCall) -> None:
        """Must not be called."""
        called.append(call)

    host = make(gateway, looks, user_of=user_of)
    async with host, make_client(gateway) as client:
        await serving(host, gateway)
        assert answer in await ask(client, "stock")
    assert called == []


async def test_a_call_without_a_session_is_nobodys(
    make: Make, make_client: Make, gateway: BlockingEmbeddedGateway
) -> None:
    def without(frame: dict[str, Any]) -> dict[str, Any]:
        del frame["payload"]["sessionKey"]
        return frame

    asked: list[str] = []
    host = make(gateway, stock, user_of=asked.append)
    async with host, make_client(gateway) as client:
        await serving(host, gateway)
        gateway.faults.rewrite("node.invoke.request", without)
        assert "FORBIDDEN: stock is not for this session" in await ask(client, 'stock {"sku": "7"}')
    assert asked == []


async def test_users_with_equal_call_ids_get_their_own(
    make: Make, make_client: Make, gateway: BlockingEmbeddedGateway
) -> None:
    users = [f"user-{number}" for number in range(10)]
    keys = {user: SessionKey.agent("main", "web", user) for user in users}
    host = make(gateway, stock, user_of=lambda key: SessionKey.parse(key)[1][1])
    async with host, make_client(gateway) as client:
        await serving(host, gateway)
        for _ in range(3):
            texts = await asyncio.gather(*(ask(client, 'stock {"sku": "7"}', keys[user]) for user in users))
            assert [f'"user":"{user}"' in text for user, text in zip(users, texts, strict=True)] == [True] * 10


async def test_tools_come_and_go_while_it_is_connected(
    make: Make, make_client: Make, gateway: BlockingEmbeddedGateway
) -> None:
    async with make(gateway, echo) as host, make_client(gateway) as client:
        await serving(host, gateway)
        held = gateway.faults.hold(_answers_publication)
        before = gateway.seen.requests["node.pluginTools.update"]

        @host.tool
        def first(text: str) -> str:
            """Comes while another list is under way."""
            return text

        @host.tool(name="second_one", timeout=5)
        def second(text: str) -> str:
            """Comes, too."""
            return text

        host.remove("echo")
        assert first("x") == second("x") == "x"
        await until(lambda: held.frames)
        held.release()
        # One list at a time, and the newest behind it, also where the first was made when all had come.
        await until(lambda: gateway.seen.requests["node.pluginTools.update"] >= before + 2)
        await until(lambda: host.published == ("first", "second_one"))
        assert gateway.seen.requests["node.pluginTools.update"] == before + 2
        assert await ask(client, 'second_one {"text": "fine"}') == "fine"
        assert (await ask(client, 'echo {"text": "x"}')).endswith("Tool echo not found")
        for wrong in (first, echo.function, "first"):
            with pytest.raises(UsageError):
                host.add(wrong)
        with pytest.raises(UsageError):
            host.remove("echo")
        assert [one.name for one in host.tools] == ["first", "second_one"]


async def test_a_function_may_add_and_remove_tools(
    make: Make, make_client: Make, gateway: BlockingEmbeddedGateway
) -> None:
    host = make(gateway, echo)

    @host.tool
    def learns() -> str:
        """Runs in a thread, on either face."""
        inner(host).add(fails)
        inner(host).remove("echo")
        return "learned"

    async with host, make_client(gateway) as client:
        await serving(host, gateway)
        assert await ask(client, "learns") == "learned"
        await until(lambda: host.published == ("learns", "fails"))


def _answers_publication(frame: OutFrame) -> bool:
    payload = frame.field("tools")
    return frame.fields["type"] == "res" and isinstance(payload, list)


async def test_what_does_not_count_is_told_once(
    make: Make, gateway: BlockingEmbeddedGateway, caplog: pytest.LogCaptureFixture
) -> None:
    def less(frame: dict[str, Any]) -> dict[str, Any]:
        frame["payload"]["tools"] = frame["payload"]["tools"][:1]
        return frame

    async with make(gateway, echo, fails) as host:
        await serving(host, gateway)
        gateway.faults.rewrite(_answers_publication, less, times=None)
        for _ in range(2):
            before = gateway.seen.requests["node.pluginTools.update"]
            host.retry_now()
            await until(lambda before=before: gateway.seen.requests["node.pluginTools.update"] > before)
        await until(lambda: host.published == ("echo",))
        assert host.state is HostState.PUBLISHED
    lines = [record.getMessage() for record in caplog.records if "does not offer" in record.getMessage()]
    assert lines == ["the gateway does not offer these tools of shop: fails"]


async def test_an_old_gateway_is_told_from_a_new_one(make: Make, start_gateway: Start) -> None:
    gateway = start_gateway(release="2026.7.35")
    host, fatal = make(gateway, echo), []
    host.on_fatal_close(lambda one, error: fatal.append((one, error)))
    with pytest.raises(MethodUnavailable, match=r"needs gateway 2026\.8; this is 2026\.7\.35"):
        await host.connect()
    assert host.state is HostState.PAUSED
    with pytest.raises(MethodUnavailable):
        await host.wait_published()
    with pytest.raises(MethodUnavailable):
        await host.run_forever()
    assert host.state is HostState.DISCONNECTED
    await until(lambda: len(fatal) == 2)


async def test_of_two_processes_one_serves_and_the_other_says_that_it_was_replaced(
    make: Make, make_client: Make, gateway: BlockingEmbeddedGateway, monkeypatch: pytest.MonkeyPatch
) -> None:
    from openclaw_client import MemoryIdentityStore
    from openclaw_client.identity.device import DeviceIdentity

    device = MemoryIdentityStore(DeviceIdentity.generate())
    first, second = make(gateway, echo, identity=device), make(gateway, echo, identity=device)
    fatal: list[Any] = []
    first.on_fatal_close(lambda *args: fatal.append(args))
    second.on_fatal_close(lambda *args: fatal.append(args))
    await serving(first, gateway)
    monkeypatch.setattr(publication, "PUBLISH_EVERY", 0.1)
    stays = asyncio.ensure_future(first.run_forever())
    await second.connect()
    first.retry_now()
    await until(lambda: HostState.REPLACED in (first.state, second.state) or stays.done())
    replaced, serves = (second, first) if second.state is HostState.REPLACED else (first, second)
    await until(lambda: serves.state is HostState.PUBLISHED)
    async with make_client(gateway) as client:
        assert await ask(client, 'echo {"text": "fine"}') == "fine"
    if replaced is first:
        with pytest.raises(RequestFailed, match="another process serves"):
            await stays
    await until(lambda: fatal)
    # Whoever was replaced takes the place back when told to.
    await asyncio.sleep(0)
    await replaced.connect()
    await until(lambda: replaced.state is HostState.PUBLISHED)
    for host in (first, second):
        await host.close()
    await asyncio.gather(stays, return_exceptions=True)
    assert len(fatal) >= 1


async def test_two_hosts_beside_clients(make: Make, make_client: Make, gateway: BlockingEmbeddedGateway) -> None:
    @tool
    def other(text: str) -> str:
        """Of another host."""
        return f"other {text}"

    async with make(gateway, echo) as one, make(gateway, other, name="other") as two, make_client(gateway) as client:
        await asyncio.to_thread(gateway.approve)
        assert await one.wait_published(10)
        assert await two.wait_published(10)
        texts = await asyncio.gather(ask(client, 'echo {"text": "a"}', "a"), ask(client, 'other {"text": "b"}', "b"))
        assert texts == ["a", "other b"]
        await one.close()
        assert await ask(client, 'other {"text": "c"}') == "other c"


async def test_before_and_after(make: Make, gateway: BlockingEmbeddedGateway) -> None:
    host = make(gateway, echo)
    await host.close()
    for drain in (None, "10"):
        with pytest.raises(UsageError, match="drain="):
            await host.close(drain)
    with pytest.raises(NotConnected):
        await host.wait_published()
    host.retry_now()
    assert host.state is HostState.DISCONNECTED
    await host.connect()
    await host.close()
    await host.close()
    assert host.state is HostState.DISCONNECTED
    await host.connect()
    assert host.state is HostState.WAITING_FOR_APPROVAL
    waits = asyncio.ensure_future(host.wait_published())
    await until(host._core._waiters.any)
    await host.close()
    with pytest.raises(ClientClosed):
        await waits


async def test_a_gateway_that_is_not_there(make: Make, start_gateway: Start) -> None:
    gateway = start_gateway()
    await asyncio.to_thread(gateway.stop)
    host = make(gateway, echo)
    for call in (host.connect, host.run_forever):
        with pytest.raises(Unreachable):
            await call()
        assert host.state is HostState.DISCONNECTED
    await asyncio.to_thread(gateway.start)
    await serving(host, gateway)
    await host.close()


async def test_a_gateway_that_does_not_answer_the_publication(make: Make, gateway: BlockingEmbeddedGateway) -> None:
    gateway.faults.swallow("node.pluginTools.update", times=100)
    host = make(gateway, echo, timeouts=Timeouts(connect=0.3, request=0.3))
    with pytest.raises(GatewayError, match="which tools count"):
        await host.connect()
    assert host.state is HostState.DISCONNECTED


async def test_a_gateway_that_takes_no_publication_for_now(make: Make, gateway: BlockingEmbeddedGateway) -> None:
    gateway.faults.not_ready("node.pluginTools.update", times=100)
    host = make(gateway, echo, timeouts=Timeouts(connect=0.3, request=0.3))
    with pytest.raises(GatewayError, match="which tools count") as caught:
        await host.connect()
    assert isinstance(caught.value.__cause__, RequestFailed)
    assert caught.value.__cause__.code == "UNAVAILABLE"
    await host.close()


async def test_a_list_that_is_not_taken_beside_one_that_counts_is_told_once(
    make: Make, gateway: BlockingEmbeddedGateway, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(publication, "PUBLISH_EVERY", 0.01)
    async with make(gateway, echo) as host:
        await serving(host, gateway)
        gateway.faults.not_ready("node.pluginTools.update", times=3)
        host.add(fails)
        await until(lambda: not gateway.faults.outstanding)
        await until(lambda: host.published == ("echo", "fails"))
    told = [line for line in caplog.messages if line.startswith("the gateway did not take the list of tools of shop: ")]
    assert len([record for record in caplog.records if record.getMessage() in told]) == 1


async def test_credentials_that_are_refused(make: Make, gateway: BlockingEmbeddedGateway) -> None:
    host, fatal = make(gateway, echo, token="wrong"), []
    host.on_fatal_close(lambda *args: fatal.append(args))
    with pytest.raises(GatewayError, match="token"):
        await host.connect()
    assert host.state is HostState.PAUSED
    await until(lambda: fatal)
    await host.close()


async def test_a_call_without_a_gateway(make: Make, gateway: BlockingEmbeddedGateway) -> None:
    host = make(gateway, stock, echo, fails, asks, user_of=lambda key: key or None, max_result=100)
    result = await host.call("stock", {"sku": "7"}, session_key="agent:main:s")
    assert result == {"sku": "7", "count": 1, "user": "agent:main:s", "session": "agent:main:s"}
    assert await host.call("echo", {"text": "x"}, session_key="k") == "x"
    for arguments, key in (
        ({"text": "x"}, None),
        ({"text": "x"}, ""),
        ({"word": "x"}, "k"),
        ({"text": "x" * 101}, "k"),
    ):
        with pytest.raises(ToolError):
            await host.call("echo", arguments, session_key=key)
    with pytest.raises(ToolError, match="not approved"):
        await host.call("asks", {"text": "now"}, session_key="k")
    with pytest.raises(ValueError, match="as it is"):
        await host.call("fails", {"text": "as it is"}, session_key="k")
    with pytest.raises(UsageError):
        await host.call("sell", {})


@tool
async def awaits(text: str) -> str:
    """A coroutine."""
    return text


@pytest.mark.parametrize(
    "options",
    [
        {"name": ""},
        {"name": "a.tokens"},
        {"name": "../up"},
        {"name": "x" * 65},
        {"name": 7},
        {"max_concurrency": 0},
        {"max_concurrency": True},
        {"max_concurrency": 1025},
        {"max_result": 2**25},
        {"identity": False},
        {"user_of": "nobody"},
        {"tools": [echo, echo]},
        {"tools": 7},
        {"tools": [len]},
        {"tools": [tool(lambda: None, name="Echo", description="x"), echo]},
        {"tools": [tool(lambda: None, name=f"t{number}", description="x") for number in range(129)]},
    ],
)
def test_what_cannot_work(face: Face, options: dict[str, Any]) -> None:
    with pytest.raises(UsageError):
        face.host("ws://127.0.0.1:1", **{"name": "shop", **options})


@pytest.mark.parametrize("face", ["sync"], indirect=True)
@pytest.mark.parametrize(
    "options",
    [
        {"tools": [awaits]},
        {"tools": [tool(echo.function, approve=awaits.function)]},
        {"user_of": awaits.function},
    ],
)
def test_a_blocking_host_takes_no_coroutines(face: Face, options: dict[str, Any]) -> None:
    with pytest.raises(UsageError, match="AsyncToolHost"):
        face.host("ws://127.0.0.1:1", name="shop", **options)


async def test_the_device_is_the_hosts_own(face: Face, own_home: Any, gateway: BlockingEmbeddedGateway) -> None:
    host = face.host(gateway.url, token=gateway.token, name="stock service", tools=[echo])
    async with host:
        assert host.device_id in {node.id for node in gateway.nodes}
    assert sorted(path.name for path in (own_home / "state").rglob("*.json")) == [
        "stock service.json",
        "stock service.tokens.json",
    ]
    again = face.host(gateway.url, token=gateway.token, name="stock service", tools=[echo])
    async with again:
        assert again.device_id == host.device_id
    assert "stock service" in repr(inner(host))
    assert gateway.token not in repr(inner(host))


async def test_functions_run_in_threads_of_the_host_which_end_with_it(
    make: Make, make_client: Make, gateway: BlockingEmbeddedGateway
) -> None:
    seen: set[str] = set()

    @tool
    def where() -> str:
        """Where it runs."""
        seen.add(threading.current_thread().name)
        return ""

    async with make(gateway, where) as host, make_client(gateway) as client:
        await serving(host, gateway)
        await asyncio.gather(*(ask(client, "where", f"s{number}") for number in range(5)))
    assert seen
    assert all(name.startswith("openclaw-tools") for name in seen)
    await until(lambda: not [one for one in threading.enumerate() if one.name.startswith("openclaw-tools")])
