"""A client with listed sessions: what a gateway keeps back from it, and what goes on reaching it."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from openclaw_client import ReconnectPolicy, Timeouts
from tests.contract.targets import PATIENT, Target, device_store
from tests.contract.test_answering import ASK, command
from tests.faces import Face
from tests.gateways.model import slow_text
from tests.relay import Tap
from tests.waiting import until

QUICK = ReconnectPolicy(initial=0.05, maximum=0.2)
PIECES = 30
PACE = {True: (100, 200), False: (30, 30)}
"""Milliseconds between two pieces of an own and of a foreign run, on real gateways and on the embedded one, which
needs no time to begin."""
SCOPED = ("2026.8.1", "2026.9.6")
ADMIN = ("read", "write", "approvals", "admin")


def connect(face: Face, target: Target, **options: Any) -> Any:
    settings = {"identity": device_store(), "timeouts": PATIENT, "reconnect": QUICK, **options}
    return face.client(settings.pop("url", target.url), token=target.token, **settings)


def listener(face: Face, target: Target, url: str, session: str, heard: list[str], **options: Any) -> Any:
    client = connect(face, target, url=url, sessions=[session], **options)
    client.on_proactive_message(lambda user, message: heard.append(message.text))
    return client


async def test_of_a_reply_in_another_session_not_a_byte_comes(face: Face, target: Target, session: str) -> None:
    theirs, heard = f"{session}-theirs", list[str]()
    async with Tap(target.url) as narrow, Tap(target.url) as wide:
        mine = listener(face, target, narrow.url, session, heard)
        async with mine, connect(face, target, url=wide.url) as everybody, connect(face, target) as other:
            for client in (mine, everybody):
                await client.request("health")
            begin = len(narrow.said), len(wide.said)
            reply = await other.chat_send(session_key=theirs, message=f"stub:slow {PIECES}")
            assert reply.text == slow_text(PIECES)
            # A message for both, behind all of it.
            await other.chat_send(session_key=session, message="stub:echo the mark")
            await until(lambda: heard == ["echo: the mark"])
            await until(lambda: b"echo: the mark" in wide.said)
            assert wide.said.count(theirs.encode(), begin[1]) >= PIECES
            assert wide.events(begin[1]) > PIECES
            if target.release in SCOPED:
                assert theirs.encode() not in narrow.said[begin[0] :]
            else:
                assert narrow.said.count(theirs.encode(), begin[0]) >= PIECES


async def test_replies_come_in_pieces_wherever_they_are_asked_for(face: Face, target: Target, session: str) -> None:
    """In the listed session and in others, first used and again, over a cut, and when the session begins anew."""
    async with Tap(target.url) as line, connect(face, target, url=line.url, sessions=[session]) as client:
        for turn in ("first", "again", "behind a cut", "anew"):
            if turn == "behind a cut":
                line.cut()
                await until(lambda: not client.connected)
            if turn == "anew" and target.release in SCOPED:
                # Others are busy with it for a moment longer than they tell.
                await client.chat_send(session_key=session, message="/new")
            for key in (session.upper(), f"{session}-other"):
                message = f"stub:slow 12 {PACE[target.real][0]} {turn}"
                async with client.chat_stream(session_key=key, message=message) as run:
                    pieces = [piece async for piece in run.text_stream]
                assert "".join(pieces) == slow_text(12), (turn, key)
                assert len(pieces) >= 3, (turn, key)


async def test_what_is_said_in_the_session_is_heard_over_a_cut(face: Face, target: Target, session: str) -> None:
    heard, seen = list[str](), list[str]()
    async with Tap(target.url) as line, connect(face, target, scopes=ADMIN) as other:
        mine = listener(face, target, line.url, session, heard)
        mine.on("chat", lambda event: seen.append(event.payload["sessionKey"]))
        async with mine:
            # At once: connect() returned, so nothing is missed.
            await other.chat_send(session_key=session, message="stub:echo one")
            await other.chat_inject(session_key=session, message="two")
            await until(lambda: len(heard) == 2)
            line.cut()
            await until(lambda: not mine.connected)
            await other.chat_send(session_key=session, message="stub:echo three")
            await until(lambda: len(heard) == 3)
            await until(lambda: mine.connected)
            await other.chat_send(session_key=session.upper(), message="stub:echo four")
            await until(lambda: len(heard) == 4)
    assert heard == ["echo: one", "two", "echo: three", "echo: four"]
    assert {key.lower().removeprefix("agent:main:") for key in seen} == {session}


async def test_a_run_of_another_client_is_taken_up_in_pieces(face: Face, target: Target, session: str) -> None:
    async with connect(face, target) as other, connect(face, target, sessions=["elsewhere"]) as client:
        async with other.chat_stream(session_key=session, message=f"stub:slow {PIECES} {PACE[target.real][1]}") as run:
            assert await anext(run.text_stream)
            async with client.chat_attach(run.sent_run) as attached:
                pieces = [piece async for piece in attached.text_stream]
                assert (await attached.result()).text == slow_text(PIECES)
        assert "".join(pieces) == slow_text(PIECES)
        assert len(pieces) >= 5


@pytest.mark.release(*SCOPED)
async def test_a_command_and_a_question_of_the_session_reach_it(face: Face, target: Target, session: str) -> None:
    options = {"on_approval": lambda _: "allow-once", "on_question": lambda _: "Tea"}
    async with Tap(target.url) as line, connect(face, target, url=line.url, sessions=[session], **options) as client:
        for cut in (False, True):
            if cut:
                line.cut()
                await until(lambda: not client.connected)
            message, word = command()
            async with client.chat_stream(session_key=session, message=message) as run:
                kinds = [event.type async for event in run]
                assert word in (await run.result()).text
            assert {"approval_requested", "approval_resolved", "tool_started"} <= set(kinds)
            assert "Tea" in (await client.chat_send(session_key=session, message=ASK)).text


@pytest.mark.parametrize("face", ["async"], indirect=True)
async def test_very_many_sessions_are_subscribed_to(face: Face, target: Target, session: str) -> None:
    """More at once than a gateway takes, by several clients."""
    heard = list[str]()
    keys = [f"{session}-{number}" for number in range(300)]
    clients = [connect(face, target, sessions=keys, timeouts=Timeouts(request=60)) for _ in range(4)]
    for client in clients:
        client.on_proactive_message(lambda user, message: heard.append(message.text))
    try:
        await asyncio.gather(*(client.connect() for client in clients))
        async with connect(face, target) as other:
            for key in (keys[0], keys[150], keys[-1]):
                await other.chat_send(session_key=key, message="stub:echo hello")
        await until(lambda: len(heard) == 12)
    finally:
        await asyncio.gather(*(client.disconnect() for client in clients))
