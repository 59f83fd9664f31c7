"""Talking: streams, history, abort, inject, tools, errors."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from openclaw_client import HistoryMessage, ProactiveMessage, RunAborted, RunCompleted, TextAppended, ToolFinished
from openclaw_client.errors import RequestFailed
from tests.contract.targets import PATIENT, Target, device_store
from tests.faces import Face

PIECES = 6
SLOW_TEXT = " ".join(f"piece-{number}" for number in range(1, PIECES + 1))


def connect(face: Face, target: Target, **options: Any) -> Any:
    options.setdefault("identity", device_store())
    return face.client(target.url, token=target.token, timeouts=PATIENT, **options)


def texts(messages: list[HistoryMessage], role: str) -> list[str]:
    return [message.text for message in messages if message.role == role]


async def test_a_reply_is_whole(face: Face, target: Target, session: str) -> None:
    async with connect(face, target) as client:
        seen: list[Any] = []
        reply = await client.chat_send(session_key=session, message="stub:echo one two", on_event=seen.append)
        assert reply.text == "echo: one two"
        assert reply.state == "final"
        assert "".join(event.text for event in seen if isinstance(event, TextAppended)) == reply.text
        assert isinstance(seen[-1], RunCompleted)
        assert {event.run_id for event in seen} == {reply.run_id}
        assert client.idle_seconds < 60


async def test_a_slow_reply_comes_in_pieces(face: Face, target: Target, session: str) -> None:
    async with connect(face, target) as client:
        async with client.chat_stream(session_key=session, message=f"stub:slow {PIECES}") as run:
            pieces = [piece async for piece in run.text_stream]
            reply = await run.result()
        assert len(pieces) >= 3
        assert "".join(pieces) == reply.text == SLOW_TEXT
        assert run.text == SLOW_TEXT


async def test_the_history_has_both_turns(face: Face, target: Target, session: str) -> None:
    async with connect(face, target) as client:
        before = await client.chat_history(session_key=session)
        assert before.messages == []
        reply = await client.chat_send(session_key=session, message="stub:echo remember")
        page = await client.chat_history(session_key=session, limit=10)
        assert len(texts(page.messages, "user")) == 1
        assert "stub:echo remember" in texts(page.messages, "user")[0]
        assert texts(page.messages, "assistant") == [reply.text]


async def test_an_abort_keeps_the_text_so_far(face: Face, target: Target, session: str) -> None:
    async with connect(face, target) as client:
        async with client.chat_stream(session_key=session, message="stub:slow 60") as run:
            async for event in run:
                if isinstance(event, TextAppended):
                    break
            result = await run.abort()
            reply = await run.result()
            rest = [event async for event in run]
        assert result.aborted
        assert result.run_ids == (run.run_id,)
        assert reply.state == "aborted"
        assert reply.text.startswith("piece-1")
        assert not reply.text.endswith("piece-60")
        assert isinstance(rest[-1], RunAborted)
        again = await client.chat_abort(session_key=session, run_id=run.run_id)
        assert not again.aborted


async def test_an_injected_message_reaches_the_other_client_once(face: Face, target: Target, session: str) -> None:
    arrived: asyncio.Queue[tuple[Any, ProactiveMessage]] = asyncio.Queue()
    loop = asyncio.get_running_loop()
    admin = connect(face, target, scopes=["operator.read", "operator.write", "operator.admin"])
    listener = connect(face, target, user="the listener", sessions=[session])
    listener.on_proactive_message(lambda user, message: loop.call_soon_threadsafe(arrived.put_nowait, (user, message)))
    async with admin, listener:
        await admin.chat_send(session_key=session, message="stub:echo first")
        # The listener hears of the other client's run as well; it is a message that it did not ask for.
        user, foreign = await arrived.get()
        assert (user, foreign.kind, foreign.text) == ("the listener", "run", "echo: first")
        injected = await admin.chat_inject(session_key=session, message="for your information", label="crm")
        user, message = await arrived.get()
        assert user == "the listener"
        assert message.kind == "injected"
        assert message.text == "[crm]\n\nfor your information"
        assert message.id == injected.message_id
        # A second reply proves that nothing else came in between.
        await admin.chat_send(session_key=session, message="stub:echo second")
        assert (await arrived.get())[1].text == "echo: second"
        assert arrived.empty()


async def test_an_inject_needs_a_session_and_the_admin_scope(face: Face, target: Target, session: str) -> None:
    async with connect(face, target, scopes=["read", "write", "admin"]) as admin:
        with pytest.raises(RequestFailed, match="not found"):
            await admin.chat_inject(session_key=session, message="nobody is here")
    async with connect(face, target) as client:
        with pytest.raises(RequestFailed) as caught:
            await client.chat_inject(session_key=session, message="not allowed")
        assert caught.value.detail_code == "MISSING_SCOPE"


async def test_two_runs_at_once_are_not_mixed(face: Face, target: Target, session: str) -> None:
    async with connect(face, target) as client:
        slow, quick = await asyncio.gather(
            client.chat_send(session_key=f"{session}-a", message=f"stub:slow {PIECES}"),
            client.chat_send(session_key=f"{session}-b", message="stub:echo from the other session"),
        )
        assert slow.text == SLOW_TEXT
        assert quick.text == "echo: from the other session"
        assert slow.run_id != quick.run_id


async def test_the_same_key_runs_once(face: Face, target: Target, session: str) -> None:
    async with connect(face, target) as client:
        key, text = f"key-{session}", f"stub:echo {session} once"
        first = await client.chat_send(session_key=session, message=text, idempotency_key=key)
        second = await client.chat_send(session_key=session, message=text, idempotency_key=key)
        assert first.run_id == second.run_id == key
        assert first.text == second.text == f"echo: {session} once"
        assert second.recovered
        assert target.asked(text) == 1


async def test_a_stop_word_ends_without_a_run(face: Face, target: Target, session: str) -> None:
    async with connect(face, target) as client:
        reply = await client.chat_send(session_key=session, message="/stop")
        assert reply.state == "final"
        assert reply.text == ""
        assert reply.aborted_run_ids == ()


async def test_tools_are_told(face: Face, target: Target, session: str) -> None:
    async with connect(face, target) as client:
        seen: list[Any] = []
        reply = await client.chat_send(session_key=session, message="stub:tool done", on_event=seen.append)
        assert reply.text.endswith("tool answered: done")
        finished = [event for event in seen if isinstance(event, ToolFinished)]
        assert [event.name for event in finished] == ["process"]


async def test_what_the_gateway_refuses_harms_nothing_else(face: Face, target: Target, session: str) -> None:
    async with connect(face, target) as client:
        with pytest.raises(RequestFailed) as caught:
            await client.request("chat.history", {"sessionKey": session, "no-such-parameter": 1})
        assert caught.value.code == "INVALID_REQUEST"
        assert caught.value.method == "chat.history"
        assert (await client.chat_send(session_key=session, message="stub:echo still here")).text == "echo: still here"
