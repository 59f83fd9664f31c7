"""Runs that another client takes over: while they go on, when they have ended, after a restart and after a reset.

The reply is whole and comes once, or the error says what is known. Nothing is sent that may have run.
"""

from __future__ import annotations

import asyncio
import pickle
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from openclaw_client import ReconnectPolicy, SentRun, Timeouts
from openclaw_client.errors import OutcomeUnknown, RunLost, RunUnknown
from tests.contract.rooms import ADMIN, begun, echo
from tests.contract.senders import sent_by_one_who_is_killed
from tests.contract.targets import PATIENT, Target, device_store, minutes_in_seconds
from tests.faces import Face
from tests.gateways.model import slow_text
from tests.waiting import PATIENCE

PIECES = 20
PACE = {True: 150, False: 30}
"""Milliseconds between two pieces, of a real gateway and of the embedded one: the run takes three seconds there, less
than one here."""

HURRIED = ("2026.2.17", "2026.4.15")
"""Of the three releases on which nothing tells whether a session is busy, those whose two minutes of silence are short.
2026.5.12 has its time."""
MOVED = Timeouts(connect=600.0, request=600.0)
"""A request on the moved clock has a true minute, too."""

TEXT = slow_text(PIECES)
QUICK = ReconnectPolicy(initial=0.2, maximum=1.0)


def connect(face: Face, target: Target, **options: Any) -> Any:
    settings: dict[str, Any] = {"identity": device_store(), "timeouts": PATIENT, "reconnect": QUICK, **options}
    return face.client(target.url, token=target.token, **settings)


def slow(target: Target, session: str) -> str:
    return f"stub:slow {PIECES} {PACE[target.real]} {session}"


def handed_over(run: Any) -> SentRun:
    """What a run leaves to whoever takes it over, as it comes out of a database."""
    sent: SentRun = pickle.loads(pickle.dumps(run.sent_run))
    assert sent.run_id == run.run_id
    return sent


async def taken(run: Any) -> tuple[str, Any]:
    """What a run's stream gives, joined, and its reply."""
    async with run:
        pieces = [piece async for piece in run.text_stream]
        return "".join(pieces), await run.result()


async def outcome_of(run: Any) -> Any:
    """A run's reply, or the error of one of which nothing more is known."""
    try:
        return (await taken(run))[1]
    except (RunLost, OutcomeUnknown) as error:
        return error


async def user_rows(client: Any, session: str, words: str) -> int:
    page = await client.chat_history(session_key=session, limit=50)
    return sum(row.role == "user" and words in row.text for row in page.messages)


async def answered(client: Any, session: str) -> None:
    """Wait until the whole text stands in the history."""
    async with asyncio.timeout(PATIENCE):
        while True:
            page = await client.chat_history(session_key=session, limit=50)
            if TEXT in [row.text for row in page.messages]:
                return
            await asyncio.sleep(0.1)


@pytest.mark.parametrize("known", ["facts", "id"])
@pytest.mark.parametrize("offset", ["beginning", "middle"])
async def test_a_run_that_goes_on(face: Face, target: Target, session: str, known: str, offset: str) -> None:
    message = slow(target, session)
    async with connect(face, target) as sender, connect(face, target) as other:
        async with sender.chat_stream(session_key=session, message=message) as run:
            await begun(run)
            read = 0 if offset == "beginning" else len(run.text)
            if known == "facts":
                attached = other.chat_attach(handed_over(run), offset=read)
            else:
                attached = other.chat_attach(run.run_id, session_key=session, offset=read)
            text, reply = await taken(attached)
            own = await run.result()
        assert await user_rows(other, session, session) == 1
    assert (reply.text, reply.state, reply.run_id) == (TEXT, "final", own.run_id)
    assert text == TEXT[read:]
    # Who had the run first loses nothing.
    assert own.text == TEXT
    assert target.asked(message) == 1


@pytest.mark.parametrize("read", [0, 9, None], ids=["beginning", "middle", "end"])
async def test_a_run_that_has_ended(face: Face, target: Target, session: str, read: int | None) -> None:
    message, answer = echo(f"ended {session}")
    async with connect(face, target) as sender, connect(face, target) as other:
        async with sender.chat_stream(session_key=session, message=message) as run:
            await run.result()
        offset = len(answer) if read is None else read
        text, reply = await taken(other.chat_attach(handed_over(run), offset=offset))
    assert (reply.text, reply.state) == (answer, "final")
    assert text == answer[offset:]
    assert target.asked(message) == 1


async def test_a_run_of_which_nobody_kept_the_words(target: Target, session: str) -> None:
    """The digest stands for them where no row names its run."""
    face = Face("async")
    message, answer = echo(f"unkept {session}")
    async with connect(face, target) as sender, connect(face, target) as other:
        await sender.chat_send(session_key=session, message="stub:echo before")
        async with sender.chat_stream(session_key=session, message=message) as run:
            await run.result()
        await sender.chat_send(session_key=session, message="stub:echo behind")
        text, reply = await taken(other.chat_attach(replace(handed_over(run), message="")))
    assert (reply.text, reply.state, text) == (answer, "final", answer)
    assert target.asked(message) == 1


async def test_an_id_that_nobody_knows(face: Face, target: Target, session: str) -> None:
    async with connect(face, target) as client:
        await client.chat_send(session_key=session, message="stub:echo something else")
        with pytest.raises(RunUnknown) as caught:
            await taken(client.chat_attach("no-such-run", session_key=session, timeout=60))
    assert caught.value.run_id == "no-such-run"


async def test_what_was_in_the_session_before_a_reset(target: Target, session: str) -> None:
    face = Face("async")
    message, answer = echo(f"before the reset {session}")
    clients = [connect(face, target, timeouts=MOVED, **more) for more in ({"scopes": ADMIN}, {})]
    async with clients[0] as client, clients[1] as other:
        async with client.chat_stream(session_key=session, message=message) as run:
            await run.result()
        sent = handed_over(run)
        await client.request("sessions.reset", {"key": f"agent:main:{session}"})
        # Where nothing tells whether a session is busy, two minutes of silence do.
        async with minutes_in_seconds(target, client, HURRIED):
            outcome = await outcome_of(other.chat_attach(sent, timeout=240))
        # A gateway may keep what it put away.
        assert isinstance(outcome, RunLost | OutcomeUnknown) or (outcome.text, outcome.state) == (answer, "final")
        # Nothing ran again, and the new session is empty but for what is said now. 2026.4.15 itself shows the model
        # what was said, for a name of what it puts away.
        assert target.asked(message) == 1 or (target.real and target.release == "2026.4.15")
        assert (await client.chat_send(session_key=session, message="stub:echo anew")).text == "echo: anew"
        assert await user_rows(client, session, session) == 0


async def test_runs_over_a_restart(target: Target, session: str) -> None:
    """One that ended before it, and one that it met."""
    face = Face("async")
    (ended, answer), met = echo(f"ended before {session}"), slow(target, f"{session}-met")
    async with connect(face, target) as sender:
        async with sender.chat_stream(session_key=session, message=ended) as first:
            await first.result()
        async with sender.chat_stream(session_key=f"{session}-met", message=met) as second:
            await begun(second)
            facts = [handed_over(first), handed_over(second)]
            await asyncio.to_thread(target.stop)
    await asyncio.to_thread(target.start)
    async with connect(face, target) as other:
        await connected(other)
        _, reply = await taken(other.chat_attach(facts[0], timeout=120))
        assert (reply.text, reply.state) == (answer, "final")
        outcome = await outcome_of(other.chat_attach(facts[1], timeout=200))
        if isinstance(outcome, RunLost | OutcomeUnknown):
            assert TEXT.startswith(getattr(outcome, "partial_text", ""))
        else:
            # Newer gateways let their runs end before they stop.
            assert (outcome.text, outcome.state) == (TEXT, "final")
        assert await user_rows(other, f"{session}-met", session) <= 1
    assert target.asked(ended) == 1
    if not target.real:
        # A real one may go on by itself with a run that was cut, and gives the model the same words again.
        assert target.asked(met) == 1


async def connected(client: Any) -> None:
    """Wait until a gateway that is starting takes requests."""
    await client.request("health", timeout=120)


@pytest.mark.parametrize("late", [False, True], ids=["at once", "when it has ended"])
async def test_the_sender_is_killed_at_its_first_words(
    target: Target, session: str, tmp_path: Path, late: bool
) -> None:
    message = slow(target, session)
    sent = await sent_by_one_who_is_killed(target.url, target.token, tmp_path, session, message)
    async with connect(Face("async"), target) as other:
        if late:
            await answered(other, session)
        text, reply = await taken(other.chat_attach(sent, timeout=120))
        assert (text, reply.text, reply.state) == (TEXT, TEXT, "final")
        assert await user_rows(other, session, session) == 1
    assert target.asked(message) == 1
