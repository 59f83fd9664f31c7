"""What a reply took and which files came with it, by both faces, from events and from the history."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Callable
from typing import Any

import pytest

from openclaw_client import Credentials, FileSent, MemoryIdentityStore, ReconnectPolicy, Timeouts, Usage
from openclaw_client.errors import RunError
from openclaw_client.identity.device import DeviceIdentity
from openclaw_client.testing import BlockingEmbeddedGateway, Turn
from tests.behaviour.test_inquiry import refuse
from tests.behaviour.test_resume import gated
from tests.faces import Face
from tests.waiting import until

Make = Callable[..., Any]
Start = Callable[..., BlockingEmbeddedGateway]
Manage = Callable[[BlockingEmbeddedGateway], Any]

PDF = b"%PDF-1.4\n" + bytes(range(256))
SESSION = "agent:main:web:ada"


async def agent(turn: Turn) -> AsyncIterator[str]:
    """Does what the words of the message say, then speaks."""
    words = turn.message.split()
    if "tool" in words:
        turn.tool("read", {"path": "x"}, "found")
    for way in ("message", "reply"):
        if way in words:
            turn.send_file(f"{way}.pdf", PDF, "application/pdf", way=way)  # type: ignore[arg-type]
    if "wait" in words:
        await turn.gate.wait()
    if "mute" not in words:
        yield "here"


@pytest.fixture
async def manage(face: Face) -> AsyncIterator[Manage]:
    """The client of a user under a manager: it is told of rows."""
    made: list[Any] = []

    async def client(gateway: BlockingEmbeddedGateway) -> Any:
        given = Credentials(
            gateway.url,
            token=gateway.token,
            identity=MemoryIdentityStore(DeviceIdentity.generate()),
            sessions=[SESSION],
        )
        manager = face.manager(lambda user: given, reconnect=ReconnectPolicy(initial=0.05, maximum=0.2))
        made.append(manager)
        return await manager.connection_for("ada")

    yield client
    for manager in made:
        await manager.close()


async def ask(client: Any, message: str, *, session: str = "main", details: bool = True, **options: Any) -> Any:
    """A reply; without the question whether the session is idle, which asks the history, too."""
    return await client.chat_send(session_key=session, message=message, when_busy="send", details=details, **options)


# What is asked for


async def test_two_model_calls_are_added(make: Make, start_gateway: Start) -> None:
    gateway = start_gateway(agent)
    async with make(gateway) as client:
        reply = await ask(client, "tool")
        rows = (await client.chat_history(session_key="main")).messages
    spoken = [row for row in rows if row.role == "assistant"]
    assert len(spoken) == 2
    assert isinstance(reply.usage, Usage)
    assert (reply.usage.input, reply.usage.total, reply.usage.cost) == (2, 4, 0.0)
    assert reply.usage.input == sum(row.usage.input for row in spoken)
    assert (reply.model, reply.provider, reply.files) == ("embedded-1", "embedded", ())
    assert gateway.seen.requests["chat.history"] == 2


async def test_nothing_is_asked_where_nobody_wants_to_know(make: Make, start_gateway: Start) -> None:
    gateway = start_gateway(agent)
    async with make(gateway) as client:
        reply = await ask(client, "reply", details=False)
    assert (reply.usage, reply.files) == (None, None)
    assert not gateway.seen.requests["chat.history"]


@pytest.mark.parametrize("release", ["2026.8.1", "2026.9.6"])
@pytest.mark.parametrize("message", ["reply", "message", "message reply", "reply mute"])
async def test_files_of_a_reply_can_be_downloaded(make: Make, start_gateway: Start, release: str, message: str) -> None:
    async with make(start_gateway(agent, release=release)) as client:
        reply = await ask(client, message)
        names = [f"{way}.pdf" for way in ("message", "reply") if way in message.split()]
        assert [file.name for file in reply.files] == names
        assert set(reply.files) == set(await client.files(session_key="main"))
        for file in reply.files:
            assert (file.size, file.mime_type, file.session_key) == (len(PDF), "application/pdf", "main")
            assert await client.download(file) == PDF


@pytest.mark.parametrize("release", ["2026.2.17", "2026.4.15", "2026.6.1", "2026.7.35"])
async def test_older_releases_tell_what_it_took(make: Make, start_gateway: Start, release: str) -> None:
    async with make(start_gateway(agent, release=release)) as client:
        reply = await ask(client, "tool")
    # The rows of 2026.2.17 do not say what they took.
    total = None if reply.usage is None else reply.usage.total
    assert (total, reply.model, reply.files) == (None if release == "2026.2.17" else 4, "embedded-1", None)


async def test_a_run_that_is_followed_from_elsewhere(make: Make, start_gateway: Start) -> None:
    gateway = start_gateway(agent)
    async with make(gateway) as client, make(gateway) as other:
        async with client.chat_stream(session_key="main", message="tool reply wait") as run:
            await until(lambda: gateway.active_runs)
            async with other.chat_attach(run.sent_run, details=True) as attached:
                gateway.release()
                reply = await attached.result()
        # Over since: its rows are all there is.
        async with other.chat_attach(run.sent_run, details=True) as attached:
            again = await attached.result()
    for one in (reply, again):
        assert (one.usage.total, [file.name for file in one.files]) == (4, ["reply.pdf"])
    assert again.recovered


async def test_a_reply_that_was_missed(make: Make, start_gateway: Start) -> None:
    gateway = start_gateway(agent)
    async with make(gateway) as client:
        run = client.chat_stream(session_key="main", message="tool reply wait", details=True)
        async with run:
            await until(lambda: gateway.active_runs)
            gateway.faults.refuse_upgrade(times=1000)
            gateway.faults.disconnect()
            await until(lambda: not client.connected)
            gateway.release()
            await until(lambda: not gateway.active_runs)
            gateway.faults.upgrades.clear()
            reply = await run.result()
    assert (reply.recovered, reply.usage.total) == (True, 4)
    assert [file.name for file in reply.files] == ["reply.pdf"]


# Rows that a subscription brings


async def test_rows_that_came_are_not_asked_for(manage: Manage, start_gateway: Start) -> None:
    gateway = start_gateway(agent)
    client = await manage(gateway)
    events: list[Any] = []
    reply = await ask(client, "tool message", session=SESSION, on_event=events.append)
    assert (reply.usage.total, [file.name for file in reply.files]) == (6, ["message.pdf"])
    assert not gateway.seen.requests["chat.history"]
    assert [event for event in events if event.type == "file_sent"] == [FileSent(reply.run_id, reply.files[0])]
    assert await client.download(reply.files[0]) == PDF


async def test_a_client_with_a_list_is_told_of_rows_too(make: Make, start_gateway: Start) -> None:
    gateway = start_gateway(agent)
    async with make(gateway, sessions=[SESSION]) as client:
        events: list[Any] = []
        reply = await ask(client, "tool message", session=SESSION, on_event=events.append)
    assert (reply.usage.total, [file.name for file in reply.files]) == (6, ["message.pdf"])
    assert not gateway.seen.requests["chat.history"]
    assert [event.file for event in events if event.type == "file_sent"] == list(reply.files)


@pytest.mark.parametrize("release", ["2026.2.17", "2026.4.15", "2026.6.1", "2026.7.35", "2026.8.1", "2026.9.6"])
async def test_a_run_with_a_system_prompt_has_them(make: Make, start_gateway: Start, release: str) -> None:
    gateway = start_gateway(agent, release=release)
    names = ["message.pdf", "reply.pdf"] if release in ("2026.8.1", "2026.9.6") else None
    message = "tool" if names is None else "tool message reply"
    async with make(gateway) as client:
        prompted = await ask(client, message, system_prompt="Be brief.")
        plain = await ask(client, message)
    assert gateway.seen.requests["agent"] == 1
    assert (prompted.usage is None) == (release == "2026.2.17")
    for reply in (prompted, plain):
        assert (reply.text, reply.usage, reply.model) == ("here", plain.usage, plain.model)
        assert reply.files is None if names is None else [file.name for file in reply.files] == names


async def test_a_file_of_the_answer_is_asked_for_all_the_same(manage: Manage, start_gateway: Start) -> None:
    gateway = start_gateway(agent)
    client = await manage(gateway)
    events: list[Any] = []
    reply = await ask(client, "message reply", session=SESSION, on_event=events.append)
    assert [file.name for file in reply.files] == ["message.pdf", "reply.pdf"]
    assert [event.file.name for event in events if event.type == "file_sent"] == ["message.pdf"]


async def test_a_file_is_told_once_over_a_reconnect(manage: Manage, start_gateway: Start) -> None:
    gateway = start_gateway(agent)
    client = await manage(gateway)
    sent: list[Any] = []
    async with client.chat_stream(session_key=SESSION, message="message wait", details=True) as run:
        async for event in run:
            if event.type == "file_sent":
                sent.append(event)
                frame = {"file": event.file, "run": event.run_id}
                gateway.faults.disconnect()
            elif event.type == "resumed":
                # The row is told once more, as gateways may.
                gateway.emit("session.message", row_again(gateway, frame))
                gateway.release()
        reply = await run.result()
    assert [event.file for event in sent] == list(reply.files)


async def test_a_row_that_nobody_understands_costs_nothing(manage: Manage, start_gateway: Start) -> None:
    gateway = start_gateway(agent)
    client = await manage(gateway)
    async with client.chat_stream(session_key=SESSION, message="message wait", details=True) as run:
        await until(lambda: gateway.active_runs)
        content = [{"type": ["image"]}, {"type": {"of": "image"}}, {"type": None}, {}]
        meta = {"runId": run.run_id, "seq": 3}
        message = {"role": "assistant", "content": content, "__openclaw": meta}
        gateway.emit("session.message", {"sessionKey": SESSION, "message": message})
        await client.request("health")
        gateway.release()
        reply = await run.result()
    assert (reply.text, [file.name for file in reply.files]) == ("here", ["message.pdf"])
    assert len(gateway.seen.connects) == 1


def row_again(gateway: BlockingEmbeddedGateway, told: dict[str, Any]) -> dict[str, Any]:
    file = told["file"]
    attachment = {"artifactId": file.artifact_id, "label": file.name, "mimeType": file.mime_type}
    message = {
        "role": "assistant",
        "content": [{"type": "attachment", "attachment": attachment}],
        "__openclaw": {"runId": told["run"], "seq": 3},
    }
    return {"sessionKey": SESSION, "message": message}


# Where it cannot be known


async def test_a_history_that_fails_leaves_the_reply_whole(make: Make, start_gateway: Start) -> None:
    gateway = start_gateway(agent)
    refuse(gateway, "chat.history", times=None)
    async with make(gateway) as client:
        reply = await ask(client, "tool reply")
    assert (reply.text, reply.state, reply.usage, reply.files) == ("here", "final", None, None)


async def test_a_history_that_does_not_show_the_rows(make: Make, start_gateway: Start) -> None:
    gateway = start_gateway(agent)
    gateway.faults.rewrite("chat.history", lambda frame: {**frame, "payload": {"messages": []}}, times=None)
    async with make(gateway) as client:
        reply = await ask(client, "tool")
    assert (reply.text, reply.usage, reply.files) == ("here", None, None)
    assert gateway.seen.requests["chat.history"] == 1


async def test_it_takes_no_longer_than_the_caller_has(make: Make, start_gateway: Start) -> None:
    gateway = start_gateway(agent)
    gateway.faults.swallow("chat.history", times=1000)
    async with make(gateway) as client:
        begun = time.monotonic()
        reply = await ask(client, "tool", timeout=1.0)
        assert time.monotonic() - begun < 5
    assert (reply.text, reply.usage, reply.files) == ("here", None, None)


async def test_it_takes_no_longer_than_a_request(make: Make, start_gateway: Start) -> None:
    gateway = start_gateway(agent)
    gateway.faults.swallow("chat.history", times=1000)
    async with make(gateway, timeouts=Timeouts(connect=10, request=0.5)) as client:
        assert (await ask(client, "tool")).usage is None


async def test_a_file_that_never_comes(make: Make, start_gateway: Start) -> None:
    async def names_a_file(turn: Turn) -> AsyncIterator[str]:
        turn.agent_event("assistant", {"text": "", "delta": "", "mediaUrls": ["./never.pdf", 3]})
        turn.agent_event("assistant", {"text": "", "delta": "", "mediaUrls": 3})
        yield "here"

    async with make(start_gateway(names_a_file)) as client:
        reply = await ask(client, "x", timeout=1.0)
    assert (reply.text, reply.usage.total, reply.files) == ("here", 2, None)


async def test_a_long_run_is_found_in_a_long_page(make: Make, start_gateway: Start) -> None:
    async def many_calls(turn: Turn) -> AsyncIterator[str]:
        for number in range(30):
            turn.tool("read", {"path": str(number)}, "found")
        yield "here"

    async with make(start_gateway(many_calls)) as client:
        assert (await ask(client, "x")).usage.total == 62


# Beside others


async def test_the_next_message_does_not_wait_for_it(make: Make, start_gateway: Start) -> None:
    gateway = start_gateway(agent)
    held = gateway.faults.hold("chat.history")
    async with make(gateway) as client:
        asking = asyncio.ensure_future(ask(client, "tool"))
        await until(lambda: gateway.seen.requests["chat.history"])
        assert (await ask(client, "x", details=False)).text == "here"
        assert not asking.done()
        assert client.busy
        assert not await client.close_if_idle()
        held.release()
        assert (await asking).usage.total == 4
        await until(lambda: not client.busy)


async def test_whoever_leaves_behind_the_end_has_the_reply_at_once(make: Make, start_gateway: Start) -> None:
    gateway = start_gateway(agent)
    gateway.faults.swallow("chat.history")
    async with make(gateway) as client:
        run = client.chat_stream(session_key="main", message="tool", when_busy="send", details=True)
        async with run:
            async for event in run:
                if event.type == "run_completed":
                    break
            await until(lambda: not gateway.faults.outstanding)
        reply = await run.result()
        assert (reply.text, reply.state, reply.usage, reply.files) == ("here", "final", None, None)
        assert [event async for event in run] == []
        await until(lambda: not client.busy)


async def test_a_client_that_is_closed_has_the_reply_at_once(make: Make, start_gateway: Start) -> None:
    gateway = start_gateway(agent)
    gateway.faults.swallow("chat.history")
    async with make(gateway) as client:
        asking = asyncio.ensure_future(ask(client, "tool"))
        await until(lambda: not gateway.faults.outstanding)
        await client.disconnect()
        reply = await asking
    assert (reply.text, reply.usage) == ("here", None)


async def test_a_connection_that_is_lost_is_waited_for(make: Make, start_gateway: Start) -> None:
    gateway = start_gateway(agent)
    gateway.faults.swallow("chat.history")
    async with make(gateway) as client:
        asking = asyncio.ensure_future(ask(client, "tool"))
        await until(lambda: not gateway.faults.outstanding)
        gateway.faults.disconnect()
        assert (await asking).usage.total == 4


async def test_a_run_without_a_reply_asks_nothing(make: Make, start_gateway: Start) -> None:
    async def fails(turn: Turn) -> AsyncIterator[str]:
        yield "begun"
        turn.fail("no")

    gateway = start_gateway(fails)
    async with make(gateway) as client:
        with pytest.raises(RunError):
            await ask(client, "x")
    assert not gateway.seen.requests["chat.history"]


async def test_a_run_that_was_stopped(make: Make, start_gateway: Start) -> None:
    gateway = start_gateway(gated)
    async with make(gateway) as client, client.chat_stream(session_key="main", message="x", details=True) as run:
        assert await anext(run.text_stream) == "beginning"
        await run.abort()
        reply = await run.result()
    assert (reply.state, reply.text, reply.files) == ("aborted", "beginning", ())
