"""Runs, turns and messages on the embedded gateway: what needs a gateway that does as it is told."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import pytest

from openclaw_client import (
    Attachment,
    RunAborted,
    RunErrored,
    RunStatus,
    TextReplaced,
    Timeouts,
    ToolFinished,
    ToolStarted,
)
from openclaw_client.errors import (
    NotConnected,
    PayloadTooLarge,
    RequestFailed,
    RunError,
    RunFailed,
    RunTimeout,
    UsageError,
)
from openclaw_client.testing import BlockingEmbeddedGateway, Turn
from openclaw_client.testing.faults import chat
from openclaw_client.wire.deltas import head_of
from tests.moved_clock import turns
from tests.waiting import until
from tests.wire.frames import delta

Make = Callable[..., Any]
Start = Callable[..., BlockingEmbeddedGateway]


async def gated(turn: Turn) -> AsyncIterator[str]:
    yield "beginning"
    await turn.gate.wait()
    yield f" of {turn.message}"


async def test_tools_status_and_rewritten_text_are_told(make: Make, start_gateway: Start) -> None:
    async def agent(turn: Turn) -> AsyncIterator[str]:
        turn.status("preparing_context")
        yield "a first try"
        turn.tool("calculator", {"sum": [1, 2]}, "3")
        turn.replace("the sum ")
        yield "is 3"

    async with make(start_gateway(agent)) as client:
        seen: list[Any] = []
        reply = await client.chat_send(session_key="main", message="1+2?", on_event=seen.append)
    kinds = [type(event) for event in seen]
    assert reply.text == "the sum is 3"
    assert RunStatus in kinds
    started = next(event for event in seen if isinstance(event, ToolStarted))
    finished = next(event for event in seen if isinstance(event, ToolFinished))
    assert (started.name, started.args, finished.call_id) == ("calculator", {"sum": [1, 2]}, started.call_id)
    assert TextReplaced in kinds


async def test_a_failed_run_raises_and_keeps_what_it_wrote(make: Make, start_gateway: Start) -> None:
    async def agent(turn: Turn) -> AsyncIterator[str]:
        yield "half an ans"
        await turn.gate.wait()
        turn.fail("the model is out", kind="rate_limit")

    gateway = start_gateway(agent)
    async with make(gateway) as client, client.chat_stream(session_key="main", message="x") as run:
        events: list[Any] = []
        async for event in run:
            events.append(event)
            gateway.release()
        assert isinstance(events[-1], RunErrored)
        with pytest.raises(RunFailed, match="the model is out") as caught:
            await run.result()
        assert caught.value.partial_text == "half an ans"
        assert caught.value.kind == "rate_limit"


async def test_text_stream_of_a_failed_run_raises(make: Make, start_gateway: Start) -> None:
    async def agent(turn: Turn) -> AsyncIterator[str]:
        yield "some"
        turn.fail("no more")

    async with make(start_gateway(agent)) as client, client.chat_stream(session_key="main", message="x") as run:
        with pytest.raises(RunFailed, match="no more"):
            [piece async for piece in run.text_stream]


async def test_messages_of_one_session_wait_for_each_other(make: Make, start_gateway: Start) -> None:
    gateway = start_gateway(gated)
    async with make(gateway) as client:
        sends = [
            asyncio.ensure_future(client.chat_send(session_key=key, message=f"{number}"))
            for number, key in enumerate(["main", "agent:main:main", "MAIN"])
        ]
        waiting = set(sends)
        while waiting:
            await until(lambda: gateway.active_runs)
            assert gateway.seen.requests["chat.send"] == 4 - len(waiting)
            gateway.release(gateway.active_runs[0])
            _, waiting = await asyncio.wait(waiting, return_when=asyncio.FIRST_COMPLETED)
        assert [send.result().text for send in sends] == [f"beginning of {number}" for number in range(3)]


async def test_a_run_that_could_not_be_sent_is_sent_when_it_is_asked_again(
    make: Make, gateway: BlockingEmbeddedGateway
) -> None:
    client = make(gateway)
    run = client.chat_stream(session_key="main", message="late")
    with pytest.raises(NotConnected):
        await run.result()
    async with client, run:
        assert (await run.result()).text == "echo: late"


@pytest.mark.parametrize("face", ["async"], indirect=True)
async def test_who_leaves_a_message_that_waits_takes_it_from_nobody(make: Make, start_gateway: Start) -> None:
    gateway = start_gateway(gated)
    async with make(gateway) as client, client.chat_stream(session_key="main", message="one") as first:
        second = client.chat_stream(session_key="main", message="two")
        leaving, staying = asyncio.ensure_future(second.result()), asyncio.ensure_future(second.result())
        await turns(3)
        leaving.cancel()
        await turns(3)
        assert leaving.cancelled()
        gateway.release()
        assert (await first.result()).text == "beginning of one"
        await until(lambda: gateway.active_runs)
        gateway.release()
        assert (await staying).text == "beginning of two"


@pytest.mark.parametrize("face", ["async"], indirect=True)
async def test_a_message_that_all_have_left_is_not_sent_until_it_is_asked_for_again(
    make: Make, start_gateway: Start
) -> None:
    gateway = start_gateway(gated)
    async with make(gateway) as client:
        async with client.chat_stream(session_key="main", message="one") as first:
            second = client.chat_stream(session_key="main", message="two")
            leaving = asyncio.ensure_future(second.result())
            await turns(3)
            leaving.cancel()
            await turns(3)
            assert leaving.cancelled()
            gateway.release()
            await first.result()
        assert (await client.chat_history(session_key="main")).messages[-1].text == "beginning of one"
        assert gateway.seen.requests["chat.send"] == 1
        again = asyncio.ensure_future(second.result())
        await until(lambda: gateway.active_runs)
        gateway.release()
        assert (await again).text == "beginning of two"
        assert gateway.seen.requests["chat.send"] == 2


async def test_who_does_not_wait_gets_what_the_gateway_makes_of_it(make: Make, start_gateway: Start) -> None:
    gateway = start_gateway(gated, busy="steer")
    async with make(gateway) as client:
        async with client.chat_stream(session_key="main", message="one") as first:
            assert await anext(first.text_stream) == "beginning"
            steered = asyncio.ensure_future(client.chat_send(session_key="main", message="two", when_busy="send"))
            await until(lambda: len(gateway.active_runs) == 2)
            gateway.release()
            reply, second = await first.result(), await steered
        assert (second.text, second.merged_into, second.state) == ("beginning of two", first.run_id, "final")
        assert reply.text == "beginning of one\n\nbeginning of two"


async def test_a_time_limit_does_not_end_the_run(make: Make, start_gateway: Start) -> None:
    gateway = start_gateway(gated)
    async with make(gateway) as client:
        with pytest.raises(RunTimeout, match="goes on at the gateway") as caught:
            await client.chat_send(session_key="main", message="x", timeout=0.3)
        assert caught.value.partial_text == "beginning"
        assert len(gateway.active_runs) == 1
    async with make(gateway, timeouts=Timeouts(idle=0.2)) as client:
        with pytest.raises(RunTimeout, match="idle"):
            await client.chat_send(session_key="other", message="x")


@pytest.mark.parametrize("face", ["async"], indirect=True)
async def test_every_delta_is_a_sign_of_life(make: Make, start_gateway: Start) -> None:
    """Also one that takes the fast path, where nobody but the text is told of it."""
    gateway = start_gateway(gated)
    async with make(gateway) as client, client.chat_stream(session_key="main", message="x") as run:
        pieces = run.text_stream
        assert await anext(pieces) == "beginning"
        connection, driver = client._engine.supervisor.connection, run._follower
        number, now = connection._core.next_seq, asyncio.get_running_loop().time() + 0.5
        like, head = delta("beginning and more", seq=number), driver._life._fold.reducer._head
        assert client._engine.fast_path.take(head + like.removeprefix(head_of(like) or b""), number, now)
        assert driver._life._clock.last_sign == now
        assert await anext(pieces) == " and more"
        gateway.release()


async def test_leaving_a_run_leaves_it_running(make: Make, start_gateway: Start) -> None:
    gateway = start_gateway(gated)
    async with make(gateway) as client:
        heard: list[Any] = []
        client.on_proactive_message(lambda user, message: heard.append(message))
        async with client.chat_stream(session_key="main", message="left") as run:
            assert await anext(run.text_stream) == "beginning"
        with pytest.raises(RunError, match="left before its end"):
            await run.result()
        assert gateway.active_runs == [run.run_id]
        gateway.release()
        await until(lambda: not gateway.active_runs)
        # One's own run never becomes a message that nobody asked for.
        await client.chat_history(session_key="main")
        assert heard == []


async def test_a_stop_word_aborts_the_active_run(make: Make, start_gateway: Start) -> None:
    gateway = start_gateway(gated)
    async with make(gateway) as client, client.chat_stream(session_key="main", message="long") as run:
        assert await anext(run.text_stream) == "beginning"
        stop = await client.chat_send(session_key="main", message="stop")
        assert stop.aborted_run_ids == (run.run_id,)
        reply = await run.result()
        assert (reply.state, reply.text) == ("aborted", "beginning")
        assert isinstance([event async for event in run][-1], RunAborted)


async def test_a_reply_that_comes_before_the_response_is_not_lost(make: Make, gateway: BlockingEmbeddedGateway) -> None:
    async with make(gateway) as client:
        # The response to chat.send is held back until the final has passed it.
        held = gateway.faults.hold(lambda frame: frame.field("status") == "started")
        final = asyncio.ensure_future(client.chat_send(session_key="main", message="quick"))
        await until(lambda: final.done())
        assert (await final).text.endswith("quick")
        held.release()


async def test_doubled_and_dropped_deltas_do_not_show(make: Make, gateway: BlockingEmbeddedGateway) -> None:
    async with make(gateway) as client:
        gateway.faults.double(chat("delta"), times=None)
        doubled = await client.chat_send(session_key="main", message="a b c d e f")
        gateway.faults.clear()
        gateway.faults.drop(chat("delta"), times=3)
        dropped = await client.chat_send(session_key="main", message="a b c d e f")
        assert doubled.text == dropped.text
        gateway.faults.clear()
        gateway.faults.double(chat("final"), times=None)
        messages: list[Any] = []
        client.on_proactive_message(lambda user, message: messages.append(message))
        assert (await client.chat_send(session_key="main", message="once")).text.endswith("once")
        await client.chat_history(session_key="main")
        assert messages == []


@pytest.mark.parametrize(
    ("content", "name", "kind"),
    [
        (b"x", "note.txt", "text/plain"),
        (b"\x89PNG\r\n\x1a\nx", "unnamed", "image/png"),
        (b"\xff\xd8\xffx", "unnamed", "image/jpeg"),
        (b"GIF89ax", "unnamed", "image/gif"),
        (b"RIFF\0\0\0\0WEBPx", "unnamed", "image/webp"),
        (b"%PDF-1.7", "unnamed", "application/pdf"),
        (b"x", "unnamed", "application/octet-stream"),
    ],
)
def test_the_type_of_a_file_is_guessed(content: bytes, name: str, kind: str) -> None:
    assert Attachment.from_bytes(content, file_name=name).mime_type == kind


@pytest.mark.parametrize("content", [b"PNG", bytearray(b"PNG"), memoryview(b"PNG")])
def test_bytes_of_any_kind_are_an_attachment(content: Any) -> None:
    assert Attachment.from_bytes(content, file_name="a.png") == Attachment(b"PNG", "a.png", "image/png")


def test_what_is_no_file_is_refused(tmp_path: Path) -> None:
    for content in ("text", 5, [1, 2], None):
        with pytest.raises(UsageError, match="must be bytes, not"):
            Attachment.from_bytes(content, file_name="a.txt")  # type: ignore[arg-type]
    with pytest.raises(UsageError, match="must be bytes, not str"):
        Attachment("text", "a.txt", "text/plain")  # type: ignore[arg-type]
    with pytest.raises(UsageError, match="file_name of an attachment must be text, not None"):
        Attachment.from_bytes(b"x", file_name=None)  # type: ignore[arg-type]
    with pytest.raises(UsageError, match="mime_type of an attachment must be text, not int"):
        Attachment.from_bytes(b"x", file_name="a", mime_type=5)  # type: ignore[arg-type]
    for path in (tmp_path, tmp_path / "none", "a\0b", None, 1.5):
        with pytest.raises(UsageError, match=r"the attachment .* cannot be read: "):
            Attachment.from_path(path)  # type: ignore[arg-type]


async def test_attachments_arrive_and_are_checked_first(make: Make, start_gateway: Start) -> None:
    got: list[Any] = []

    async def agent(turn: Turn) -> AsyncIterator[str]:
        got.extend(turn.attachments)
        yield "seen"

    gateway = start_gateway(agent)
    async with make(gateway) as client:
        picture = Attachment.from_bytes(b"\x89PNG\r\n\x1a\n" + b"\0" * 32, file_name="dot.png")
        await client.chat_send(session_key="main", message="", attachments=[picture])
        assert len(got) == 1
        big = Attachment.from_bytes(b"x" * 20_000_000, file_name="big.bin")
        with pytest.raises(PayloadTooLarge, match=r"big\.bin has 20000000 bytes"):
            await client.chat_send(session_key="main", message="look", attachments=[big])
        with pytest.raises(UsageError, match="no content"):
            await client.chat_send(session_key="main", message="look", attachments=[{"fileName": "empty.txt"}])
        assert gateway.seen.requests["chat.send"] == 1


@pytest.mark.parametrize("key", ["a key", "schlüssel", "k" * 3000, "1", "a/b:c?d=e", "🔑"])
async def test_what_a_key_may_be(make: Make, gateway: BlockingEmbeddedGateway, key: str) -> None:
    async with make(gateway) as client:
        reply = await client.chat_send(session_key="main", message="x", idempotency_key=key)
        assert (reply.run_id, reply.state) == (key, "final")


async def test_bad_arguments_never_reach_the_gateway(make: Make, gateway: BlockingEmbeddedGateway) -> None:
    async with make(gateway) as client:
        for arguments, words in (
            ({"session_key": "main", "message": "   "}, "message is empty"),
            ({"session_key": "main", "message": "a\0b"}, "NUL"),
            ({"session_key": "main", "message": 7}, "message must be text, not int"),
            ({"session_key": 7, "message": "x"}, "session key must be text, not int"),
            ({"session_key": "", "message": "x"}, "session key is empty"),
            ({"session_key": "k" * 513, "message": "x"}, "513 characters"),
            ({"session_key": "main", "message": "x", "idempotency_key": " "}, "idempotency key is empty"),
            ({"session_key": "main", "message": "x", "idempotency_key": "\ufeff\n"}, "idempotency key is empty"),
            *(
                ({"session_key": "main", "message": "x", "idempotency_key": key}, "white space at an end")
                # The first is what subprocess.check_output(["uuidgen"], text=True) gives.
                for key in ("8f0c1f2e-5b7a-4b39-9d2c-0a1b2c3d4e5f\n", " key", "key\u3000", "\ufeffkey", "\r\nkey")
            ),
            *(
                ({"session_key": "main", "message": "x", "idempotency_key": key}, "control character")
                for key in ("a\nb", "a\tb", "a\0b", "a\x1b[2Jb", "a\u2028b", "a\x85b", "a\x7fb")
            ),
            ({"session_key": "main", "message": "x", "idempotency_key": 7}, "idempotency key must be text, not int"),
            (
                {"session_key": "main", "message": "\ud800"},
                "another encoding, or halves of characters; nothing was sent",
            ),
            ({"session_key": "main", "message": "x", "when_busy": "perhaps"}, "when_busy"),
            ({"session_key": "main", "message": "x", "timeout": 0}, "timeout=0 is no time limit; nothing was sent"),
            ({"session_key": "main", "message": "x", "timeout": "5"}, "timeout='5' is no time limit"),
            ({"session_key": "main", "message": "x", "sessionKey": "other"}, "sessionKey cannot be given"),
            ({"session_key": "main", "message": "x", "idempotencyKey": "k"}, "idempotencyKey cannot be given"),
        ):
            with pytest.raises(UsageError, match=words):
                await client.chat_send(**arguments)
        with pytest.raises(PayloadTooLarge, match="the limit is 26214400"):
            await client.chat_send(session_key="main", message="x" * 26_300_000)
        with pytest.raises(UsageError, match="limit=0"):
            await client.chat_history(session_key="main", limit=0)
        with pytest.raises(UsageError, match="sessionKey cannot be given"):
            await client.chat_history(session_key="main", sessionKey="other")
        with pytest.raises(UsageError, match="label has 101"):
            await client.chat_inject(session_key="main", message="x", label="l" * 101)
        assert gateway.seen.requests["chat.send"] == 0
        assert client.connected


async def test_a_refused_message_says_why(make: Make, gateway: BlockingEmbeddedGateway) -> None:
    async with make(gateway) as client:
        with pytest.raises(RequestFailed, match="unexpected property") as caught:
            await client.chat_send(session_key="main", message="x", noSuchThing=1)
        assert caught.value.code == "INVALID_REQUEST"
        assert (await client.chat_send(session_key="main", message="fine")).text.endswith("fine")


async def test_a_run_says_what_it_is_doing(make: Make, start_gateway: Start) -> None:
    gateway = start_gateway(gated)
    async with make(gateway) as client:
        run = client.chat_stream(session_key="main", message="it")
        assert run.activity.kind == "queued"
        async with run:
            await until(lambda: run.activity.kind == "writing")
            gateway.faults.disconnect()
            await until(lambda: run.activity.kind == "reconnecting")
            await until(lambda: run.activity.kind == "writing")
            gateway.release()
            await run.result()
            assert run.activity.kind == "over"


async def test_whether_a_method_is_supported_is_known_unknown_or_learned(make: Make, start_gateway: Start) -> None:
    async with make(start_gateway(), scopes=["admin"]) as client:
        assert client.supports("chat.send") is True
        assert client.supports("chat.inject") is None
        assert client.supports("no.such.method") is None
        with pytest.raises(RequestFailed):
            await client.request("no.such.method")
        assert client.supports("no.such.method") is False
        assert client.supports("chat.inject") is None


@pytest.mark.parametrize("content", ["text", 5, None])
def test_an_attachment_that_is_no_bytes(content: Any) -> None:
    with pytest.raises(UsageError, match="must be bytes"):
        Attachment.from_bytes(content, file_name="a.txt")


@pytest.mark.parametrize("content", [bytearray(b"%PDF-x"), memoryview(b"%PDF-x")])
def test_an_attachment_of_other_bytes(content: Any) -> None:
    attachment = Attachment.from_bytes(content, file_name="a")
    assert (attachment.content, attachment.mime_type) == (b"%PDF-x", "application/pdf")


async def test_a_time_limit_that_passed_is_told_behind_the_block_too(make: Make, start_gateway: Start) -> None:
    gateway = start_gateway(gated)
    async with make(gateway) as client:
        run = client.chat_stream(session_key="main", message="x", timeout=0.2)
        with pytest.raises(RunTimeout):
            async with run:
                await run.result()
        # Answered behind the leaving, which is the loop's to do.
        await client.request("health")
        with pytest.raises(RunTimeout) as told:
            await run.result()
        assert told.value.sent_run == run.sent_run is not None
