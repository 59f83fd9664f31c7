"""No user sees another's events: what a private client is given, and what the gateway is asked to keep back."""

from __future__ import annotations

import asyncio
import random
from collections import defaultdict
from collections.abc import AsyncIterator, Callable
from typing import Any

import pytest

from openclaw_client import (
    ALL_SESSIONS,
    Credentials,
    DeviceIdentity,
    MemoryIdentityStore,
    ReconnectPolicy,
    SessionKey,
)
from openclaw_client.testing import BlockingEmbeddedGateway, Turn
from tests.faces import Face
from tests.waiting import until

Start = Callable[..., BlockingEmbeddedGateway]
QUICK = ReconnectPolicy(initial=0.05, maximum=0.2)
SCOPED, PLAIN = "2026.9.6", "2026.6.1"
USERS = ("Ann", "bob")
EVENTS = 10_000
CUT_EVERY = 2_500


@pytest.fixture
async def manage(face: Face) -> AsyncIterator[Callable[..., Any]]:
    made: list[Any] = []

    def manage(gateway: BlockingEmbeddedGateway, sessions: Callable[[Any], Any] = lambda user: None) -> Any:
        known = {
            user: Credentials(
                gateway.url,
                token=gateway.token,
                sessions=sessions(user),
                # Without a device 2026.4.15 gives nothing.
                identity=MemoryIdentityStore(DeviceIdentity.generate()),
            )
            for user in (*USERS, "op")
        }
        made.append(face.manager(known.__getitem__, reconnect=QUICK))
        return made[-1]

    yield manage
    for manager in made:
        await manager.close()


def spelled(key: str, draw: random.Random) -> str:
    """The key in some other letter case, as releases of wire v3 pass it on."""
    return "".join(char.upper() if draw.random() < 0.5 else char for char in key)


@pytest.mark.parametrize("release", [SCOPED, PLAIN])
async def test_ten_thousand_events_of_two_users_never_cross(
    manage: Callable[..., Any], start_gateway: Start, release: str
) -> None:
    gateway = start_gateway(release=release)
    keys = {user: f"agent:main:web:{user}" for user in USERS}
    manager = manage(gateway, lambda user: [keys[user]] if user in keys else None)
    messages: dict[str, list[str]] = defaultdict(list)
    events: dict[str, list[str]] = defaultdict(list)
    manager.on_proactive_message(lambda user, message: messages[user].append(message.text))
    for user in USERS:
        client = await manager.connection_for(user)
        client.on("chat", lambda event, user=user: events[user].append(event.payload["message"]["content"][0]["text"]))
        client.on("agent", lambda event, user=user: events[user].append(event.payload["data"]["text"]))
    draw = random.Random(5)
    sent: dict[str, int] = defaultdict(int)

    def burst() -> None:
        for number in range(CUT_EVERY):
            user = draw.choice(USERS)
            key = spelled(keys[user], draw) if release == PLAIN else keys[user].lower()
            if number % 5 == 4:
                payload = {"runId": "foreign", "stream": "assistant", "sessionKey": key, "data": {"text": user}}
                gateway.emit("agent", payload)
            else:
                sent[user] += 1
                gateway.say(key, f"{user}: {sent[user]}")
        # In order after all of them, so that hearing it means that all was heard.
        for user in USERS:
            sent[user] += 1
            gateway.say(keys[user].lower(), f"{user}: {sent[user]}")

    for round_number in range(EVENTS // CUT_EVERY):
        if round_number:
            gateway.faults.disconnect()
            await until(lambda: manager.connected_count == 0)
            await until(lambda: manager.connected_count == len(USERS))
            # A request behind the subscriptions: when it is answered they are there.
            await asyncio.gather(*[(await manager.connection_for(user)).request("health") for user in USERS])
        await asyncio.to_thread(burst)
        await until(lambda: all(len(messages[user]) >= sent[user] for user in USERS))
    for user in USERS:
        assert messages[user] == [f"{user}: {number + 1}" for number in range(sent[user])]
        assert {text.partition(":")[0] for text in events[user]} == {user}


async def test_a_session_belongs_to_whoever_uses_it(manage: Callable[..., Any], start_gateway: Start) -> None:
    gateway = start_gateway(release=PLAIN)
    manager = manage(gateway)
    heard: list[tuple[str, str]] = []
    manager.on_proactive_message(lambda user, message: heard.append((user, message.text)))
    ann, bob = [await manager.connection_for(user) for user in USERS]
    gateway.say("agent:main:one", "before anybody used it")
    # An answer behind the message: it has been received.
    await asyncio.gather(ann.request("health"), bob.request("health"))
    await ann.chat_send(session_key="One", message="hi")
    await bob.chat_history(session_key="two")
    gateway.say("agent:main:one", "for Ann")
    gateway.say("agent:main:two", "for bob")
    gateway.say("agent:main:three", "for nobody")
    await until(lambda: len(heard) == 2)
    assert set(heard) == {("Ann", "for Ann"), ("bob", "for bob")}


async def test_a_reply_in_a_session_that_was_never_named_before(
    manage: Callable[..., Any], start_gateway: Start
) -> None:
    gateway = start_gateway(release=SCOPED)
    client = await manage(gateway).connection_for("Ann")
    key = SessionKey.agent("main", "web", "Ann")
    async with client.chat_stream(session_key=key, message="hi there") as run:
        pieces = [piece async for piece in run.text_stream]
        assert (await run.result()).text == "".join(pieces) == "echo: hi there"
    assert gateway.seen.requests["sessions.messages.subscribe"] == 1
    # Again after a reconnect, unasked, and in mid-run.
    gateway.faults.disconnect()
    assert (await client.chat_send(session_key=key, message="again")).text == "echo: again"
    assert gateway.seen.requests["sessions.messages.subscribe"] == 2


async def test_the_gateway_is_asked_to_keep_other_sessions_back(
    manage: Callable[..., Any], start_gateway: Start
) -> None:
    gateway = start_gateway(release=SCOPED)
    for sessions, asked in ((None, True), (["main"], True), (lambda key: True, False), (ALL_SESSIONS, False)):
        manager = manage(gateway, lambda user, sessions=sessions: sessions)
        await manager.connection_for("Ann")
        assert ("session-scoped-events" in gateway.seen.connects[-1].params["caps"]) is asked
        await manager.close()


async def test_sessions_that_are_given_later(face: Face, start_gateway: Start) -> None:
    gateway = start_gateway(release=SCOPED)
    sessions: list[str] = []
    heard: list[str] = []
    manager = face.manager(lambda user: Credentials(gateway.url, token=gateway.token, sessions=sessions))
    async with manager:
        manager.on_proactive_message(lambda user, message: heard.append(message.text))
        client = await manager.connection_for("Ann")
        gateway.say("agent:main:new", "too early")
        await client.request("health")
        sessions.append("New")
        await manager.connection_for("Ann")
        await client.request("health")
        gateway.say("agent:main:new", "in time")
        await until(lambda: heard)
        assert heard == ["in time"]
        assert manager.status().counters.opened == 1


async def test_only_the_administrator_s_feed_has_everything(manage: Callable[..., Any], start_gateway: Start) -> None:
    gateway = start_gateway(release=PLAIN)
    manager = manage(gateway, lambda user: ALL_SESSIONS if user == "op" else ["main"])
    seen: dict[str, list[str]] = defaultdict(list)
    for user in ("Ann", "op"):
        client = await manager.connection_for(user)
        for name in ("presence", "exec.approval.requested", "sessions.changed", "health", "tick"):
            client.on(name, lambda event, user=user: seen[user].append(event.name))
    gateway.emit("presence", {"presence": [{"host": "another user's"}]})
    gateway.emit("health", {"sessions": {"recent": [{"key": "agent:main:theirs"}]}})
    gateway.emit("exec.approval.requested", {"id": "1", "request": {"sessionKey": "agent:main:theirs"}})
    gateway.emit("exec.approval.requested", {"id": "2", "request": {"sessionKey": "agent:main:main"}})
    gateway.emit("sessions.changed", {"sessionKey": "agent:main:theirs"})
    gateway.emit("sessions.changed", {"sessionKey": "agent:main:main", "session": {"key": "agent:main:theirs"}})
    gateway.tick()
    await until(lambda: "tick" in seen["op"] and "tick" in seen["Ann"])
    assert seen["Ann"] == ["exec.approval.requested", "tick"]
    assert len(seen["op"]) == 7


@pytest.mark.parametrize(
    "naming",
    [
        {"targetSessionKey": "agent:main:web:bob"},
        {"targetSessionKey": "web:bob"},
        {"watcher": {"requesterSessionKeys": ["main", "web:bob"]}},
        {"session": {"key": "agent:main:main", "parentSessionKey": "web:bob"}},
        {"ancestorSessions": [{"key": "web:bob"}]},
        {"spawnedBy": "web:bob"},
        {"peer": "agent:main:web:bob"},
        {"byKey": {"agent:main:web:bob": 1}},
        {"targetSession": "agent:main:web:bob", "many": list(range(20_000))},
    ],
    ids=lambda naming: ",".join(naming),
)
@pytest.mark.parametrize("name", ["session.operation", "chat"])
async def test_an_event_that_also_names_the_session_of_another_is_kept_back(
    manage: Callable[..., Any], start_gateway: Start, name: str, naming: dict[str, Any]
) -> None:
    gateway = start_gateway(release=PLAIN)
    manager = manage(gateway, lambda user: ["main"])
    client = await manager.connection_for("Ann")
    seen: list[Any] = []
    client.on(name, lambda event: seen.append(event.payload.get("runId")))
    own = {"sessionKey": "agent:main:main", "state": "status", "childSessionKeys": ["agent:main:subagent:1"]}
    gateway.emit(name, {**own, "runId": "hidden", **naming})
    gateway.emit(name, {**own, "runId": "shown", "message": {"content": [{"type": "text", "text": "agent:main:bob"}]}})
    gateway.emit(name, {**own, "runId": ["no", "id"]})
    gateway.emit(name, {**own, "runId": "last"})
    await until(lambda: "last" in seen)
    assert [one for one in seen if isinstance(one, str)] == ["shown", "last"]


async def test_a_sub_agent_of_one_s_own_session(manage: Callable[..., Any], start_gateway: Start) -> None:
    gateway = start_gateway(release=PLAIN)
    manager = manage(gateway, lambda user: [f"web:{user}"])
    heard: list[tuple[str, str]] = []
    manager.on_proactive_message(lambda user, message: heard.append((user, message.kind)))
    for user in USERS:
        await manager.connection_for(user)
    gateway.emit(
        "chat",
        {
            "runId": "r1",
            "sessionKey": "agent:main:subagent:1",
            "spawnedBy": "agent:main:web:bob",
            "state": "final",
            "message": {"role": "assistant", "content": [{"type": "text", "text": "done"}]},
        },
    )
    gateway.say("agent:main:web:ann", "the mark")
    await until(lambda: len(heard) == 2)
    assert set(heard) == {("bob", "subagent"), ("Ann", "run")}


@pytest.mark.parametrize("release", ["2026.4.15", SCOPED])
async def test_a_session_that_a_request_names_is_the_user_s_from_then_on(
    manage: Callable[..., Any], start_gateway: Start, release: str
) -> None:
    gateway = start_gateway(release=release)
    manager = manage(gateway)
    heard: list[str] = []
    manager.on_proactive_message(lambda user, message: heard.append(message.text))
    client = await manager.connection_for("Ann")
    await client.request("chat.abort", {"sessionKey": "web:1"})
    gateway.say("agent:main:web:1", "hello Ann")
    await until(lambda: heard)
    assert heard == ["hello Ann"]


async def gated(turn: Turn) -> AsyncIterator[str]:
    yield "begun "
    await turn.gate.wait()
    yield "ended"


@pytest.mark.parametrize("release", [PLAIN, "2026.4.15"])
@pytest.mark.parametrize("how", ["taken up", "an equal key"])
async def test_a_run_of_the_same_id_in_the_session_of_another_shows_nothing(
    manage: Callable[..., Any], start_gateway: Start, release: str, how: str
) -> None:
    gateway = start_gateway(gated, release=release)
    manager = manage(gateway, lambda user: [f"web:{user}"])
    seen: list[Any] = []
    ann, bob = [await manager.connection_for(user) for user in USERS]
    for name in ("chat", "agent", "chat.side_result"):
        bob.on(name, lambda event: seen.append(event.payload.get("sessionKey")))
    key, theirs = "order-0001", "agent:main:web:ann"
    answer = asyncio.ensure_future(ann.chat_send(session_key="web:Ann", message="hi", idempotency_key=key))
    await until(lambda: gateway.active_runs)
    if how == "taken up":
        run = bob.chat_attach(key, session_key="web:bob")
    else:
        run = bob.chat_stream(session_key="web:bob", message="hi", idempotency_key=key)
    async with run:
        gateway.emit("agent", {"runId": key, "stream": "assistant", "sessionKey": theirs, "data": {"text": "secret"}})
        gateway.emit("chat.side_result", {"runId": key, "sessionKey": theirs, "question": "q", "text": "secret"})
        gateway.release()
        assert (await answer).text == "begun ended"
        gateway.say("agent:main:web:bob", "the mark")
        await until(lambda: seen)
        assert (run.text, run.activity.kind != "over") == ("", True)
    # What was emitted before it would have come before it.
    assert {str(one).lower() for one in seen} == {"agent:main:web:bob"}


@pytest.mark.parametrize("named_late", [False, True], ids=["as gateways do", "behind the number"])
async def test_a_run_in_full_stream_takes_nothing_of_another_session(
    manage: Callable[..., Any], start_gateway: Start, named_late: bool
) -> None:
    gateway = start_gateway(gated, release=PLAIN)
    bob = await manage(gateway, lambda user: [f"web:{user}"]).connection_for("bob")

    def emit(run_id: str, user: str, number: int, text: str) -> None:
        begins = {"runId": run_id, "sessionKey": f"agent:main:web:{user}", "seq": number}
        if named_late:
            begins = {"runId": run_id, "seq": number, "sessionKey": f"agent:main:web:{user}"}
        message = {"role": "assistant", "content": [{"type": "text", "text": text}]}
        gateway.emit("chat", {**begins, "state": "delta", "message": message})

    async with bob.chat_stream(session_key="web:bob", message="hi") as run:
        await until(lambda: run.text)
        for number, text in enumerate(["begun a", "begun a b", "begun a b c"]):
            emit(run.run_id, "bob", 50 + number, text)
        emit(run.run_id, "ann", 60, "begun a b c secret")
        emit(run.run_id, "bob", 61, "begun a b c d")
        await until(lambda: run.text.endswith("d"))
        gateway.release()
        events = [event async for event in run]
    assert "secret" not in repr(events)


@pytest.mark.parametrize("release", ["2026.4.15", PLAIN, SCOPED])
@pytest.mark.parametrize("listening", [False, True], ids=["alone", "with a handler"])
async def test_a_run_is_heard_however_its_session_is_spelled(
    manage: Callable[..., Any], start_gateway: Start, release: str, listening: bool
) -> None:
    gateway = start_gateway(gated, release=release)
    ann = await manage(gateway, lambda user: ["Agent:Main:main"]).connection_for("Ann")
    other = await manage(gateway, lambda user: ["main"]).connection_for("Ann")
    seen: list[Any] = []
    if listening:
        ann.on("chat", lambda event: seen.append(event.payload["runId"]))
    async with ann.chat_stream(session_key="MAIN", message="hi") as run:
        assert await anext(run.text_stream) == "begun "
        async with other.chat_attach(run.run_id, session_key="agent:MAIN:main") as attached:
            await other.request("health")
            gateway.release()
            replies = [await run.result(), await attached.result()]
    assert [(reply.text, reply.recovered) for reply in replies] == [("begun ended", False)] * 2
    if listening:
        await until(lambda: seen)
    assert set(seen) <= {run.run_id}
