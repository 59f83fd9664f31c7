"""Runs that are taken up from what is stored of them: by another client, at any place, and when nothing is left."""

from __future__ import annotations

import asyncio
import pickle
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import replace
from typing import Any

import pytest

from openclaw_client import Credentials, SentRun, TextAppended, TextReplaced, Timeouts
from openclaw_client.errors import GatewayError, OutcomeUnknown, RunError, RunLost, RunTimeout, RunUnknown, UsageError
from openclaw_client.runs.words import digest_of
from openclaw_client.testing import BlockingEmbeddedGateway, Turn
from tests.behaviour.test_inquiry import goes
from tests.behaviour.test_resume import MovedClock, gated
from tests.faces import Face
from tests.moved_clock import turns
from tests.waiting import until

Make = Callable[..., Any]
Start = Callable[..., BlockingEmbeddedGateway]

ALL = ["2026.2.17", "2026.4.15", "2026.5.12", "2026.6.1", "2026.7.35", "2026.8.1", "2026.9.6"]
EVERY = pytest.mark.parametrize("release", ALL)
ASYNC = pytest.mark.parametrize("face", ["async"], indirect=True)
WHOLE = "beginning of x"


def stored(run: Any) -> SentRun:
    """What a run leaves to whoever takes it up, as it comes out of a database."""
    sent: SentRun = pickle.loads(pickle.dumps(run.sent_run))
    assert (sent.run_id, sent.session_key) == (run.run_id, run.session_key)
    return sent


async def begun(client: Any, message: str = "x") -> Any:
    """A run that has said its first word, and goes on without its reader."""
    async with client.chat_stream(session_key="main", message=message) as run:
        assert await anext(run.text_stream) == "beginning"
    return run


async def read(run: Any) -> tuple[str, Any]:
    """What the text events of a run make of nothing, and its reply."""
    text = ""
    async with run:
        async for event in run:
            if isinstance(event, TextAppended):
                text += event.text
            elif isinstance(event, TextReplaced):
                text = event.text
        return text, await run.result()


@asynccontextmanager
async def taken_up(gateway: BlockingEmbeddedGateway, client: Any, run: Any, **options: Any) -> AsyncIterator[Any]:
    """A run that was taken up, and about which the gateway has answered."""
    pages = gateway.seen.requests["chat.history"]
    async with client.chat_attach(run, **options) as attached:
        await until(lambda: gateway.seen.requests["chat.history"] > pages)
        await client.request("health")
        yield attached


def asked(gateway: BlockingEmbeddedGateway, message: str = "x") -> int:
    """How often a message stands in the session."""
    rows = gateway.transcript("agent:main:main")
    return sum(row["role"] == "user" and row["text"] == message for row in rows)


def never_sent(message: str = "x", **known: Any) -> SentRun:
    """The facts of a message that was to go out a second ago."""
    sent = SentRun("key", "main", digest_of(message), message, sent_at=time.time() - 1, protocol=4)
    return replace(sent, **known)


# Runs that go on, and that are over.


@EVERY
@pytest.mark.parametrize("known", ["facts", "id"])
async def test_a_run_that_goes_on(make: Make, start_gateway: Start, release: str, known: str) -> None:
    gateway = start_gateway(gated, release=release)
    async with make(gateway) as sender, make(gateway) as other:
        run = await begun(sender)
        what, options = (stored(run), {}) if known == "facts" else (run.run_id, {"session_key": "main"})
        async with taken_up(gateway, other, what, **options) as attached:
            assert attached.run_id == run.run_id
            # A gateway that shows the text so far is asked for it; of the others it comes with the next delta.
            assert attached.text == ("beginning" if gateway.profile.in_flight_run else "")
            gateway.release()
            reply = await attached.result()
            text, _ = await read(attached)
        assert (reply.text, reply.state, text) == (WHOLE, "final", WHOLE)
        assert reply.run_id == run.run_id
        assert asked(gateway) == 1
        # It is over for everybody.
        await until(lambda: not gateway.active_runs)
    assert gateway.seen.requests["chat.send"] <= 2


@EVERY
@pytest.mark.parametrize("offset", [0, 9, len(WHOLE), 1_000])
async def test_a_run_that_has_ended(make: Make, start_gateway: Start, release: str, offset: int) -> None:
    gateway = start_gateway(gated, release=release)
    async with make(gateway) as sender, make(gateway) as other:
        run = await begun(sender)
        sent = stored(run)
        gateway.release()
        await until(lambda: not gateway.active_runs)
        # Its end was heard, before anybody wanted to hear of it.
        await other.request("health")
        async with other.chat_attach(sent, offset=offset) as attached:
            events = [event async for event in attached]
            reply = await attached.result()
    assert (reply.text, reply.state, reply.recovered) == (WHOLE, "final", True)
    appended = "".join(event.text for event in events if isinstance(event, TextAppended))
    replaced = [event.text for event in events if isinstance(event, TextReplaced)]
    assert appended == WHOLE[offset:]
    # A reader with more than there is gets the whole.
    assert replaced == ([WHOLE] if offset > len(WHOLE) else [])
    assert events[-1].text == WHOLE
    assert asked(gateway) == 1


@EVERY
@pytest.mark.parametrize("offset", [4, len("beginning")])
async def test_a_reader_who_has_a_part_gets_the_rest(
    make: Make, start_gateway: Start, release: str, offset: int
) -> None:
    gateway = start_gateway(gated, release=release)
    async with make(gateway) as sender, make(gateway) as other:
        sent = stored(await begun(sender))
        async with taken_up(gateway, other, sent, offset=offset) as attached:
            gateway.release()
            events = [event async for event in attached]
            assert (await attached.result()).text == WHOLE
    assert "".join(event.text for event in events if isinstance(event, TextAppended)) == WHOLE[offset:]
    assert not any(isinstance(event, TextReplaced) for event in events)


@pytest.mark.parametrize("release", ["2026.6.1", "2026.9.6"])
async def test_a_text_that_was_rewritten_comes_whole(make: Make, start_gateway: Start, release: str) -> None:
    async def rewrites(turn: Turn) -> AsyncIterator[str]:
        yield "beginning"
        await turn.gate.wait()
        turn.replace("anew: ")
        yield turn.message

    gateway = start_gateway(rewrites, release=release)
    async with make(gateway) as sender, make(gateway) as other:
        sent = stored(await begun(sender))
        async with taken_up(gateway, other, sent, offset=len("beginning")) as attached:
            gateway.release()
            events = [event async for event in attached]
            assert (await attached.result()).text == "anew: x"
    assert any(isinstance(event, TextReplaced) for event in events)
    text = "beginning"
    for event in events:
        if isinstance(event, TextReplaced):
            text = event.text
        elif isinstance(event, TextAppended):
            text += event.text
    assert text == "anew: x"


@EVERY
async def test_two_who_take_the_same_run_up(make: Make, start_gateway: Start, release: str) -> None:
    gateway = start_gateway(gated, release=release)
    async with make(gateway) as sender, make(gateway) as other:
        sent = stored(await begun(sender))
        async with taken_up(gateway, other, sent) as first, taken_up(gateway, other, sent, offset=3) as second:
            gateway.release()
            replies = await asyncio.gather(first.result(), second.result())
    assert [reply.text for reply in replies] == [WHOLE, WHOLE]
    assert asked(gateway) == 1


@EVERY
async def test_a_run_that_was_taken_up_survives_the_socket(make: Make, start_gateway: Start, release: str) -> None:
    gateway = start_gateway(gated, release=release)
    messages: list[str] = []
    async with make(gateway) as sender, make(gateway) as other:
        other.on_proactive_message(lambda user, message: messages.append(message.text))
        sent = stored(await begun(sender))
        async with taken_up(gateway, other, sent) as attached:
            gateway.faults.refuse_upgrade(503, times=1_000)
            gateway.faults.disconnect()
            await until(lambda: attached.activity.kind == "reconnecting")
            gateway.release()
            await until(lambda: not gateway.active_runs)
            gateway.faults.upgrades.clear()
            reply = await attached.result()
        # What is behind it is heard: nothing of the run became a message.
        gateway.say("main", "the mark")
        await until(lambda: "the mark" in messages)
    assert (reply.text, reply.recovered) == (WHOLE, True)
    assert messages == ["the mark"]
    assert asked(gateway) == 1


# Runs that nobody knows, or of which nothing is left.


@EVERY
async def test_an_id_that_nobody_knows(make: Make, start_gateway: Start, release: str) -> None:
    gateway = start_gateway(release=release)
    async with make(gateway) as client:
        await client.chat_send(session_key="main", message="something else")
        with pytest.raises(RunUnknown, match="knows no run of this id") as caught:
            await client.chat_attach("nobody's", session_key="main").result()
        assert gateway.seen.requests["chat.send"] == 1
    error: Any = pickle.loads(pickle.dumps(caught.value))
    assert (error.run_id, error.session_key, error.sent_run) == ("nobody's", "main", None)


@EVERY
async def test_a_message_that_never_reached_its_gateway_is_sent_once(
    make: Make, start_gateway: Start, release: str
) -> None:
    gateway = start_gateway(release=release)
    async with make(gateway) as client:
        sent = never_sent(
            protocol=gateway.profile.protocol, boot_id=client.hello.server.boot_id or None, sent_at=time.time()
        )
        assert (await client.chat_attach(sent).result()).text == "echo: x"
        # And again: now it is known.
        assert (await client.chat_attach(sent).result()).text == "echo: x"
    assert asked(gateway) == 1


@EVERY
@pytest.mark.parametrize("lacking", [{"complete": False}, {"message": ""}])
@ASYNC
async def test_a_message_that_is_not_known_as_a_whole_is_never_sent(
    make: Make, start_gateway: Start, release: str, lacking: dict[str, Any]
) -> None:
    gateway = start_gateway(release=release, tick_interval=3600)
    clock = MovedClock()
    async with make(gateway) as client:
        sent = never_sent(protocol=gateway.profile.protocol, boot_id=client.hello.server.boot_id or None, **lacking)
        waiting = asyncio.ensure_future(client.chat_attach(sent).result())
        while not waiting.done():
            # Releases that write a turn down late are asked for an hour.
            await client.request("health")
            clock.move(31)
        with pytest.raises(OutcomeUnknown) as caught:
            await waiting
    assert caught.value.sent_run.run_id == "key"
    assert gateway.seen.requests["chat.send"] == 0


@EVERY
async def test_a_gateway_that_has_lost_its_memory(make: Make, start_gateway: Start, release: str) -> None:
    counted: list[str] = []

    async def counting(turn: Turn) -> AsyncIterator[str]:
        counted.append(turn.message)
        yield "beginning"
        await turn.gate.wait()

    gateway = start_gateway(counting, release=release)
    async with make(gateway) as sender:
        sent = stored(await begun(sender))
    gateway.restart(keep_memory=False)
    async with make(gateway) as other:
        with pytest.raises((RunLost, OutcomeUnknown)) as caught:
            await other.chat_attach(sent, timeout=60).result()
        assert pickle.loads(pickle.dumps(caught.value)).sent_run.run_id == sent.run_id
    assert counted == ["x"]


# Arguments.


@pytest.mark.parametrize(
    ("arguments", "options", "what"),
    [
        (["key"], {}, "session of the run is not given"),
        ([""], {"session_key": "main"}, "names no run"),
        ([5], {"session_key": "main"}, "names no run"),
        ([None], {"session_key": "main"}, "names no run"),
        (["key"], {"session_key": ""}, "session"),
        (["key"], {"session_key": "main", "offset": -1}, "no number of characters"),
        (["key"], {"session_key": "main", "offset": True}, "no number of characters"),
        (["key"], {"session_key": "main", "offset": 1.5}, "no number of characters"),
        (["key"], {"session_key": "main", "timeout": 0}, "no time limit"),
        ([never_sent()], {"session_key": "other"}, "sent in the session 'main'"),
    ],
)
async def test_arguments_that_name_no_run(
    make: Make, gateway: BlockingEmbeddedGateway, arguments: list[Any], options: dict[str, Any], what: str
) -> None:
    async with make(gateway) as client:
        with pytest.raises(UsageError, match=what):
            await client.chat_attach(*arguments, **options).result()
        assert gateway.seen.requests["chat.history"] == 0
        assert gateway.seen.requests["chat.send"] == 0


# Leaving, stopping, and time.


@EVERY
async def test_leaving_and_coming_back(make: Make, start_gateway: Start, release: str) -> None:
    gateway = start_gateway(gated, release=release)
    async with make(gateway) as sender, make(gateway) as other:
        sent = stored(await begun(sender))
        async with taken_up(gateway, other, sent) as attached:
            assert attached.activity.kind != "over"
        with pytest.raises(RunError, match="left before its end"):
            await attached.result()
        assert attached.activity.kind == "over"
        # It keeps nobody busy, and no turn of the session.
        await until(lambda: not other.busy)
        async with taken_up(gateway, other, sent) as again:
            gateway.release()
            assert (await again.result()).text == WHOLE
    assert asked(gateway) == 1


@EVERY
async def test_stopping_a_run_that_was_taken_up(make: Make, start_gateway: Start, release: str) -> None:
    gateway = start_gateway(gated, release=release)
    async with make(gateway) as sender:
        sent = stored(await begun(sender))
        async with taken_up(gateway, sender, sent) as attached:
            assert (await attached.abort()).aborted
            reply = await attached.result()
    assert (reply.text, reply.state) == ("beginning", "aborted")


@EVERY
@pytest.mark.parametrize("limit", ["total", "idle"])
@ASYNC
async def test_a_time_limit(make: Make, start_gateway: Start, release: str, limit: str) -> None:
    gateway = start_gateway(gated, release=release, tick_interval=3600)
    clock = MovedClock()
    timeouts = Timeouts(request=600, idle=50 if limit == "idle" else None)
    async with make(gateway) as sender, make(gateway, timeouts=timeouts) as other:
        sent = stored(await begun(sender))
        async with taken_up(gateway, other, sent, timeout=50 if limit == "total" else None) as attached:
            clock.move(51)
            with pytest.raises(RunTimeout, match="goes on at the gateway") as caught:
                await attached.result()
        error: Any = pickle.loads(pickle.dumps(caught.value))
        assert (error.limit, error.timeout, error.sent) == (limit, 50, True)
        # Whoever has the error can go on from there.
        async with taken_up(gateway, other, error.sent_run) as again:
            gateway.release()
            assert (await again.result()).text == WHOLE
    assert asked(gateway) == 1


@EVERY
@ASYNC
async def test_a_gateway_that_never_comes_back_ends_the_run(make: Make, start_gateway: Start, release: str) -> None:
    gateway = start_gateway(gated, release=release)
    clock = MovedClock()
    async with make(gateway) as client:
        async with client.chat_stream(session_key="main", message="x") as run:
            assert await anext(run.text_stream) == "beginning"
            await goes(gateway, client)
            clock.move(599)
            await turns(5)
            assert run.activity.kind == "reconnecting"
            clock.move(2)
            with pytest.raises(RunLost, match="could not be reached again in time") as caught:
                await run.result()
        error: Any = pickle.loads(pickle.dumps(caught.value))
        assert (error.partial_text, error.sent_run) == ("beginning", run.sent_run)
        # It does come back, and the run went on.
        gateway.faults.upgrades.clear()
        client.retry_now()
        await until(lambda: client.connected)
        async with taken_up(gateway, client, error.sent_run, offset=len(error.partial_text)) as again:
            gateway.release()
            assert (await again.result()).text == WHOLE
    assert asked(gateway) == 1


@EVERY
@ASYNC
async def test_a_gateway_that_never_comes_back_before_it_took_the_message(
    make: Make, start_gateway: Start, release: str
) -> None:
    gateway = start_gateway(gated, release=release)
    clock = MovedClock()
    async with make(gateway, timeouts=Timeouts(request=600, away=20)) as client:
        gateway.faults.swallow("chat.send")
        sending = asyncio.ensure_future(client.chat_send(session_key="main", message="x"))
        await until(lambda: not gateway.faults.outstanding)
        await goes(gateway, client)
        clock.move(21)
        with pytest.raises(OutcomeUnknown) as caught:
            await sending
    error: Any = pickle.loads(pickle.dumps(caught.value))
    assert error.sent_run.run_id == error.idempotency_key
    assert asked(gateway) == 0


@ASYNC
async def test_without_a_limit_a_run_waits_for_its_gateway(make: Make, start_gateway: Start) -> None:
    gateway = start_gateway(gated)
    clock = MovedClock()
    limits = Timeouts(away=None)
    async with make(gateway, timeouts=limits) as client, client.chat_stream(session_key="main", message="x") as run:
        assert await anext(run.text_stream) == "beginning"
        await goes(gateway, client)
        clock.move(100_000)
        await turns(5)
        assert run.activity.kind == "reconnecting"
        gateway.faults.upgrades.clear()
        client.retry_now()
        await until(lambda: run.activity.kind != "reconnecting")
        gateway.release()
        assert (await run.result()).text == WHOLE


# Many users.


@pytest.mark.parametrize("release", ["2026.6.1", "2026.9.6"])
async def test_a_user_of_a_manager(face: Face, make: Make, start_gateway: Start, release: str) -> None:
    """A private client hears nothing of a session that it has not used: the gateway is told of it first."""
    gateway = start_gateway(gated, release=release)
    async with make(gateway) as sender:
        sent = stored(await begun(sender))
        manager = face.manager(lambda user: Credentials(gateway.url, token=gateway.token))
        async with manager:
            client = await manager.connection_for("Ann")
            async with taken_up(gateway, client, sent) as attached:
                gateway.release()
                text, reply = await read(attached)
    assert (text, reply.text, reply.recovered) == (WHOLE, WHOLE, False)
    if release == "2026.9.6":
        assert gateway.seen.requests["sessions.messages.subscribe"] == 1


def test_every_error_of_a_run_is_picklable_with_its_facts() -> None:
    sent = never_sent()
    for kind in (RunLost, RunTimeout, RunUnknown, OutcomeUnknown):
        error: GatewayError = kind(message="it went so", sent_run=sent)
        assert pickle.loads(pickle.dumps(error)).sent_run == sent
    # The message is nothing for a log.
    assert "x" not in repr(replace(sent, message="x", run_id="k", session_key="s", digest="d"))
