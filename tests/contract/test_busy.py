"""Messages that meet a running run, in every queue mode: what each becomes is told, and nobody gets another's words."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from openclaw_client import ChatReply, ProactiveMessage
from tests.contract.targets import PATIENT, Target, device_store
from tests.faces import Face

PIECES = 10
SLOW_TEXT = " ".join(f"piece-{number}" for number in range(1, PIECES + 1))
ECHO = "echo: the second"

MODES = pytest.mark.parametrize("mode", ["steer", "followup", "collect", "interrupt"])


def queues_always(target: Target) -> bool:
    """2026.6.1 takes `/queue`, and answers every message in a run of its own all the same."""
    return target.release == "2026.6.1"


async def two_at_once(client: Any, session: str, mode: str) -> tuple[ChatReply, ChatReply]:
    """The replies to a slow message and to one that is sent while it is answered."""
    await client.chat_send(session_key=session, message=f"/queue {mode}")
    async with client.chat_stream(session_key=session, message=f"stub:slow {PIECES}") as first:
        assert (await anext(first.text_stream)).startswith("piece-1")
        second = await client.chat_send(session_key=session, message="stub:echo the second", when_busy="send")
        return await first.result(), second


@MODES
async def test_a_message_to_a_busy_session(face: Face, target: Target, session: str, mode: str) -> None:
    heard: asyncio.Queue[ProactiveMessage] = asyncio.Queue()
    loop = asyncio.get_running_loop()
    client = face.client(target.url, token=target.token, identity=device_store(), timeouts=PATIENT, sessions=[session])
    client.on_proactive_message(lambda user, message: loop.call_soon_threadsafe(heard.put_nowait, message))
    async with client:
        first, second = await two_at_once(client, session, mode)
        if queues_always(target):
            assert (first.text, second.text) == (SLOW_TEXT, ECHO)
        elif mode == "steer":
            check_steered(target, first, second)
        elif mode == "interrupt":
            check_interrupted(target, first, second)
        else:
            assert (first.text, second.text, second.merged_into) == (SLOW_TEXT, "", None)
            # Answered later, in a run that nobody asked for.
            answer = await heard.get()
            assert (answer.text, answer.kind) == (ECHO, "run")
            assert answer.run_id not in (first.run_id, second.run_id)
        after = await client.chat_send(session_key=session, message="stub:echo after")
        # Right after a run that the gateway chose, wire v3 may still count the session as busy, and answers later.
        late = target.protocol == 3 and mode in ("followup", "collect") and not after.text
        assert (await heard.get() if late else after).text == "echo: after"
        assert heard.empty()


def check_steered(target: Target, first: ChatReply, second: ChatReply) -> None:
    """Both are answered within the first run."""
    assert (second.text, second.state) == ("", "final")
    if target.release == "2026.2.17":
        # What it said before is in the history alone.
        assert first.text == ECHO
    else:
        assert first.text == SLOW_TEXT + ("\n\n" if target.protocol == 4 else "") + ECHO
    assert second.merged_into == (first.run_id if target.protocol == 4 else None)


def check_interrupted(target: Target, first: ChatReply, second: ChatReply) -> None:
    """The first run makes way for the second."""
    assert first.state == "aborted"
    assert first.text.startswith("piece-1")
    assert not first.text.endswith(f"piece-{PIECES}")
    assert second.state == "final"
    if target.release == "2026.4.15":
        # The gateway itself says that the message came too soon.
        assert second.text
        assert "echo" not in second.text
    else:
        assert second.text == ECHO


async def test_a_message_that_meets_another_clients_run(face: Face, target: Target, session: str) -> None:
    """On its own settings. This client waits for its own runs only."""
    options = {"token": target.token, "timeouts": PATIENT}
    one = face.client(target.url, identity=device_store(), **options)
    other = face.client(target.url, identity=device_store(), **options)
    async with one, other, other.chat_stream(session_key=session, message=f"stub:slow {PIECES}") as theirs:
        assert (await anext(theirs.text_stream)).startswith("piece-1")
        mine = await one.chat_send(session_key=session, message="stub:echo the second")
        reply = await theirs.result()
    assert mine.state == reply.state == "final"
    if queues_always(target):
        assert (reply.text, mine.text) == (SLOW_TEXT, ECHO)
    elif target.protocol == 4:
        assert (mine.text, mine.merged_into) == ("", reply.run_id)
        assert reply.text == f"{SLOW_TEXT}\n\n{ECHO}"
    else:
        assert (mine.text, reply.text) == ("", SLOW_TEXT)
