"""A client with listed sessions asks its gateway to keep the rest back, and misses nothing of its own."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Callable
from typing import Any

import pytest

from openclaw_client import ALL_SESSIONS, Credentials
from openclaw_client.errors import UsageError
from openclaw_client.sessions import filter as session_filter
from openclaw_client.testing import BlockingEmbeddedGateway, Refusal, Turn
from tests.behaviour.test_inquiry import time_passes
from tests.behaviour.test_resume import MovedClock
from tests.faces import Face
from tests.waiting import until

Make = Callable[..., Any]
Start = Callable[..., BlockingEmbeddedGateway]
CAPABILITY = "session-scoped-events"
SUBSCRIBE, UNSUBSCRIBE = "sessions.messages.subscribe", "sessions.messages.unsubscribe"
LONG_LIST = [f"web:{number}" for number in range(session_filter.MAX_LISTED + 1)]


async def in_pieces(turn: Turn) -> AsyncIterator[str]:
    for piece in ("one", " two", " three"):
        yield piece


def announced(gateway: BlockingEmbeddedGateway) -> bool:
    return CAPABILITY in gateway.seen.connects[-1].params["caps"]


async def pieces_of(client: Any, session: str) -> list[str]:
    async with client.chat_stream(session_key=session, message="go") as run:
        return [piece async for piece in run.text_stream]


@pytest.mark.parametrize(
    ("sessions", "expected"),
    [(["main"], True), ((), True), (None, False), (lambda key: True, False), (LONG_LIST, False)],
    ids=["a list", "an empty one", "all", "a predicate", "a very long list"],
)
async def test_it_is_announced_where_sessions_are_listed(
    make: Make, gateway: BlockingEmbeddedGateway, sessions: Any, expected: bool
) -> None:
    async with make(gateway, sessions=sessions):
        assert announced(gateway) is expected
        listed = list(sessions) if isinstance(sessions, list | tuple) and expected else []
        assert gateway.seen.requests[SUBSCRIBE] == len(listed)


@pytest.mark.parametrize("face", ["async"], indirect=True)
@pytest.mark.parametrize(("role", "expected"), [("operator", True), ("node", False)])
async def test_only_an_operator_announces_it(face: Face, role: str, expected: bool) -> None:
    client = face.client("ws://127.0.0.1:1", token="x", sessions=["main"], role=role)
    assert (CAPABILITY in client._settings.caps) is expected


@pytest.mark.parametrize("sessions", [None, lambda key: True, LONG_LIST], ids=["all", "a predicate", "a long list"])
async def test_to_ask_for_it_without_a_list_is_refused(
    face: Face, make: Make, gateway: BlockingEmbeddedGateway, sessions: Any
) -> None:
    with pytest.raises(UsageError, match=r"replies would come late, and in one piece. Leave it out of caps=") as caught:
        make(gateway, sessions=sessions, caps=[CAPABILITY])
    assert gateway.token not in str(caught.value)
    # Said twice it is announced once.
    async with make(gateway, sessions=["main"], caps=[CAPABILITY]):
        assert gateway.seen.connects[-1].params["caps"].count(CAPABILITY) == 1


async def test_a_manager_refuses_it_for_the_user_for_whom_it_cannot_work(
    face: Face, gateway: BlockingEmbeddedGateway
) -> None:
    feeds: dict[str, Any] = {"ann": ["main"], "op": ALL_SESSIONS}
    manager = face.manager(
        lambda user: Credentials(gateway.url, token=gateway.token, sessions=feeds[user]), caps=[CAPABILITY]
    )
    async with manager:
        await manager.connection_for("ann")
        with pytest.raises(UsageError, match="sessions= is no list"):
            await manager.connection_for("op")


async def test_a_user_whose_list_grows_too_long_connects_anew_without_it(
    face: Face, gateway: BlockingEmbeddedGateway
) -> None:
    sessions = ["main"]
    manager = face.manager(lambda user: Credentials(gateway.url, token=gateway.token, sessions=sessions))
    async with manager:
        await manager.connection_for("ann")
        assert announced(gateway)
        sessions.extend(LONG_LIST)
        await manager.connection_for("ann")
        assert not announced(gateway)


async def test_what_is_said_right_behind_the_connect_is_heard(make: Make, gateway: BlockingEmbeddedGateway) -> None:
    heard: list[str] = []
    keys = [f"web:{number}" for number in range(40)]
    client = make(gateway, sessions=keys)
    client.on_proactive_message(lambda user, message: heard.append(message.text))
    held = gateway.faults.hold(SUBSCRIBE)
    connecting = asyncio.ensure_future(client.connect())
    await until(lambda: gateway.seen.requests[SUBSCRIBE] == 16)
    assert not connecting.done()
    held.release()
    await connecting
    assert gateway.seen.requests[SUBSCRIBE] == len(keys)
    gateway.say("agent:main:web:39", "hello")
    await until(lambda: heard == ["hello"])
    await client.disconnect()


@pytest.mark.parametrize("release", ["2026.4.15", "2026.6.1", "2026.7.35"])
async def test_releases_that_send_everything_are_asked_for_nothing(
    make: Make, start_gateway: Start, release: str
) -> None:
    gateway = start_gateway(in_pieces, throttle=0, release=release)
    heard: list[str] = []
    client = make(gateway, sessions=["mine"])
    client.on_proactive_message(lambda user, message: heard.append(message.text))
    async with client:
        assert len(await pieces_of(client, "mine")) > 1
        gateway.say("agent:main:theirs", "not for you")
        gateway.say("agent:main:mine", "for you")
        await until(lambda: heard == ["for you"])
        assert gateway.seen.requests[SUBSCRIBE] == 0


@pytest.mark.parametrize("release", ["2026.8.1", "2026.9.6"])
async def test_sessions_beside_the_list_are_asked_for_where_a_run_needs_it(
    make: Make, start_gateway: Start, release: str
) -> None:
    gateway = start_gateway(in_pieces, throttle=0, release=release)
    heard: list[str] = []
    client = make(gateway, sessions=["mine"])
    client.on_proactive_message(lambda user, message: heard.append(message.text))
    async with client:
        assert gateway.seen.requests[SUBSCRIBE] == 1
        # A look is no reason.
        await client.chat_history(session_key="theirs")
        assert gateway.seen.requests[SUBSCRIBE] == 1
        assert len(await pieces_of(client, "theirs")) > 1
        assert gateway.seen.requests[SUBSCRIBE] == 2
        # What others say there is not handed out all the same.
        gateway.say("agent:main:theirs", "not for you")
        gateway.faults.disconnect()
        assert len(await pieces_of(client, "THEIRS")) > 1
        assert gateway.seen.requests[SUBSCRIBE] == 4
        gateway.say("agent:main:mine", "for you")
        await until(lambda: heard == ["for you"])


async def test_a_gateway_that_was_restarted_is_asked_again(make: Make, start_gateway: Start) -> None:
    gateway = start_gateway(in_pieces, throttle=0)
    heard: list[str] = []
    client = make(gateway, sessions=["mine"])
    client.on_proactive_message(lambda user, message: heard.append(message.text))
    async with client:
        gateway.restart()
        await until(lambda: gateway.seen.requests[SUBSCRIBE] == 2)
        await client.request("health")
        gateway.say("agent:main:mine", "hello")
        await until(lambda: heard == ["hello"])
        assert len(await pieces_of(client, "mine")) > 1


async def test_the_caller_s_own_subscription_is_no_hindrance(make: Make, start_gateway: Start) -> None:
    gateway = start_gateway(in_pieces, throttle=0)
    async with make(gateway, sessions=["mine"]) as client:
        await client.request(UNSUBSCRIBE, {"key": "mine"})
        assert len(await pieces_of(client, "mine")) > 1


@pytest.mark.parametrize("face", ["async"], indirect=True)
async def test_a_refused_subscription_is_told_and_the_reply_is_whole(
    make: Make, start_gateway: Start, caplog: pytest.LogCaptureFixture
) -> None:
    gateway = start_gateway(in_pieces, throttle=0, tick_interval=3600)
    clock = MovedClock()

    def refuse(params: Any, caller: Any) -> Any:
        raise Refusal("INVALID_REQUEST", "not this one")

    gateway.method(SUBSCRIBE, refuse)
    with caplog.at_level(logging.WARNING, "openclaw_client.sessions"):
        async with make(gateway, sessions=["mine"]) as client:
            sent = client.chat_send(session_key="mine", message="go")
            reply = await time_passes(clock, client, sent)
    assert (reply.text, reply.state) == ("one two three", "final")
    assert [record.getMessage() for record in caplog.records if record.name == "openclaw_client.sessions"] == [
        "events of 'mine' cannot be subscribed to, its replies come late: not this one"
    ]


async def test_a_gateway_that_is_busy_is_asked_again_before_the_message_goes(make: Make, start_gateway: Start) -> None:
    gateway = start_gateway(in_pieces, throttle=0)
    gateway.faults.not_ready(SUBSCRIBE, times=2, retry_after_ms=100)
    async with make(gateway, sessions=["mine"]) as client:
        assert len(await pieces_of(client, "mine")) > 1
        assert (gateway.faults.outstanding, gateway.seen.requests[SUBSCRIBE]) == (0, 1)


async def test_of_many_used_sessions_the_longest_unused_is_given_up(
    make: Make, start_gateway: Start, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(session_filter, "MAX_USED", 2)
    gateway = start_gateway(in_pieces, throttle=0)
    async with make(gateway, sessions=["mine"]) as client:
        for session in ("mine", "a", "b", "mine", "c"):
            assert len(await pieces_of(client, session)) > 1
        assert gateway.seen.requests[UNSUBSCRIBE] == 2
        assert len(await pieces_of(client, "mine")) > 1
        assert gateway.seen.requests[SUBSCRIBE] == 4
        assert len(await pieces_of(client, "a")) > 1
        assert gateway.seen.requests[SUBSCRIBE] == 5
