"""The list of sessions and the rows of one, followed by both faces: what is refused, what is lost, how it ends."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

import pytest

from openclaw_client import Credentials, SlowConsumer, Timeouts
from openclaw_client.errors import (
    ClientClosed,
    MethodUnavailable,
    MissingScope,
    ProtocolViolation,
    RequestFailed,
    UsageError,
)
from openclaw_client.testing import BlockingEmbeddedGateway, Refusal, Turn
from openclaw_client.watching import list_watch, transcript_watch
from tests.faces import Face
from tests.waiting import until

Start = Callable[..., BlockingEmbeddedGateway]
KEY = "agent:main:s"


def row_event(ident: str, seq: int, text: str, key: str = KEY) -> dict[str, Any]:
    meta = {"id": ident, "seq": seq}
    message = {"role": "assistant", "content": text, "timestamp": 1, "__openclaw": meta}
    return {"sessionKey": key, "message": message, "messageId": ident, "messageSeq": seq}


def change(name: str, at: int, **more: Any) -> dict[str, Any]:
    key = f"agent:main:{name}"
    return {"sessionKey": key, "session": {"key": key, "sessionId": name, "snapshotAt": at, "updatedAt": at, **more}}


def methods(gateway: BlockingEmbeddedGateway) -> list[str]:
    return list(gateway.seen.requests.elements())


async def read_all(stream: Any) -> None:
    async for _ in stream:
        pass


async def test_what_cannot_be_followed(make: Callable[..., Any], gateway: BlockingEmbeddedGateway) -> None:
    client = make(gateway, sessions=["mine"])
    for limit in (0, True, 1_001, "5"):
        with pytest.raises(UsageError, match="number of sessions"):
            client.watch_sessions(limit)
    for history in (-1, True, 1_001, "5"):
        with pytest.raises(UsageError, match="number of rows"):
            client.watch_session(session_key="mine", history=history)
    with pytest.raises(UsageError, match="none of this client"):
        client.watch_session(session_key="theirs")


async def test_watches_begin_with_the_connection(make: Callable[..., Any], gateway: BlockingEmbeddedGateway) -> None:
    client = make(gateway)
    lists, rows = client.watch_sessions(), client.watch_session(session_key="s")
    async with client:
        assert (await anext(lists)).sessions == ()
        await client.chat_send(session_key="s", message="hi")
        assert (await anext(rows)).text == "hi"
        assert (await anext(lists)).sessions[0].key == KEY
    for stream in (lists, rows):
        with pytest.raises(ClientClosed):
            await read_all(stream)


async def test_a_release_that_tells_of_no_changes(make: Callable[..., Any], start_gateway: Start) -> None:
    async with make(start_gateway(release="2026.2.17")) as client, client.watch_sessions() as stream:
        with pytest.raises(MethodUnavailable):
            await anext(stream)


async def test_without_the_scope(make: Callable[..., Any], gateway: BlockingEmbeddedGateway) -> None:
    async with make(gateway, scopes=["operator.approvals"]) as client:
        for stream in (client.watch_sessions(), client.watch_session(session_key="s")):
            with pytest.raises(MissingScope):
                await anext(stream)


async def test_an_answer_that_is_none(make: Callable[..., Any], gateway: BlockingEmbeddedGateway) -> None:
    gateway.method("sessions.list", lambda params, caller: {})
    async with make(gateway) as client, client.watch_sessions() as stream:
        with pytest.raises(ProtocolViolation):
            await anext(stream)


async def test_a_gateway_that_cannot_answer_yet_is_asked_again(
    make: Callable[..., Any], gateway: BlockingEmbeddedGateway
) -> None:
    gateway.faults.not_ready("sessions.subscribe", retry_after_ms=10)
    gateway.faults.swallow("sessions.messages.subscribe")
    async with make(gateway, timeouts=Timeouts(request=0.5)) as client:
        lists, rows = client.watch_sessions(), client.watch_session(session_key="s")
        assert (await anext(lists)).sessions == ()
        async with rows:
            await client.chat_send(session_key="s", message="hi")
            assert (await anext(rows)).text == "hi"


async def test_a_late_reader_gets_the_latest_list(make: Callable[..., Any], gateway: BlockingEmbeddedGateway) -> None:
    told: list[SlowConsumer] = []
    async with make(gateway) as client, client.watch_sessions(2) as stream:
        # A busy machine is told of, too.
        client.on_slow_consumer(lambda report: told.append(report) if report.kind == "events" else None)
        assert (await anext(stream)).sessions == ()
        for number in range(1, 2_003):
            gateway.emit("sessions.changed", change(f"s{number % 2}", number, label=f"l{number}"))
        await until(lambda: len(told) == 2)
        assert [report.dropped for report in told] == [1_000, 2_000]
        latest = await anext(stream)
        while latest.sessions[0].label != "l2002":
            latest = await anext(stream)
        assert {one.label for one in latest.sessions} == {"l2001", "l2002"}


async def test_what_events_do_not_tell_is_read_again(
    make: Callable[..., Any], gateway: BlockingEmbeddedGateway, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(list_watch, "READ_EVERY", 0.01)
    rows: list[dict[str, Any]] = []
    gateway.method("sessions.list", lambda params, caller: {"sessions": rows})
    async with make(gateway) as client, client.watch_sessions() as stream:
        assert (await anext(stream)).sessions == ()
        rows.append({"key": KEY, "sessionId": "s"})
        gateway.emit("sessions.changed", {"reason": "delete"})
        assert [one.key for one in (await anext(stream)).sessions] == [KEY]
        # Events that were lost count as such.
        rows.clear()
        lost = gateway.faults.drop("noise")
        gateway.emit("noise", {})
        await until(lambda: lost.used_up)
        gateway.emit("noise", {})
        assert (await anext(stream)).sessions == ()


async def test_a_run_that_ended_before_it_was_listened_to_does_not_go_on_for_ever(
    make: Callable[..., Any], gateway: BlockingEmbeddedGateway, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(list_watch, "CHECKED_AFTER", (0.01, 0.01))
    # As 2026.4.15 has it: the end was told before, and is written down behind the first reading.
    running, done = ({"key": KEY, "sessionId": "s", "updatedAt": 1, "status": status} for status in ("running", "done"))
    answers = [running, running, done]
    gateway.method("sessions.list", lambda params, caller: {"sessions": [answers.pop(0)]})
    async with make(gateway) as client, client.watch_sessions() as stream:
        assert [one.active for one in (await anext(stream)).sessions] == [True]
        assert [one.active for one in (await anext(stream)).sessions] == [False]
    assert answers == []


async def test_a_user_of_a_manager_sees_nothing_of_another(face: Face, gateway: BlockingEmbeddedGateway) -> None:
    known = {user: Credentials(gateway.url, token=gateway.token, sessions=[user], identity=False) for user in "ab"}
    manager = face.manager(known.__getitem__)
    ann, bob = await manager.connection_for("a"), await manager.connection_for("b")
    lists, rows = ann.watch_sessions(), ann.watch_session(session_key="a")
    assert (await anext(lists)).sessions == ()
    await bob.chat_send(session_key="b", message="secret")
    gateway.emit("sessions.changed", {"reason": "delete"})
    await ann.chat_send(session_key="a", message="open")
    while (told := await anext(lists)).sessions[0].status != "done":
        assert {one.key for one in told.sessions} == {"agent:main:a"}
    assert [(await anext(rows)).text for _ in range(2)] == ["open", "echo: open"]
    assert "sessions.list" not in methods(gateway)
    # What the manager needs is not cut with the iterator.
    (rows.inner if hasattr(rows, "inner") else rows).close()
    assert (await ann.chat_send(session_key="a", message="again")).text == "echo: again"
    assert "sessions.messages.unsubscribe" not in methods(gateway)
    await manager.close()


async def test_a_client_with_a_list_has_subscribed_already(
    make: Callable[..., Any], gateway: BlockingEmbeddedGateway
) -> None:
    async with make(gateway, sessions=["s"]) as client:
        async with client.watch_session(session_key="s") as rows:
            assert (await client.chat_send(session_key="s", message="hi")).text == "echo: hi"
            assert [(await anext(rows)).text for _ in range(2)] == ["hi", "echo: hi"]
        assert (await client.chat_send(session_key="s", message="ho")).text == "echo: ho"
    assert methods(gateway).count("sessions.messages.subscribe") == 1
    assert "sessions.messages.unsubscribe" not in methods(gateway)


async def test_what_the_client_was_refused_the_watch_asks_for_itself(
    make: Callable[..., Any], gateway: BlockingEmbeddedGateway
) -> None:
    asked: list[Any] = []

    def refuse(params: Any, caller: Any) -> Any:
        asked.append(params)
        raise Refusal("INVALID_REQUEST", "not this one")

    gateway.method("sessions.messages.subscribe", refuse)
    async with make(gateway, sessions=["s"]) as client:
        assert len(asked) == 1
        with pytest.raises(RequestFailed, match="not this one"):
            await read_all(client.watch_session(session_key="s"))
        assert len(asked) == 2


async def test_sessions_that_a_client_with_a_list_used_are_not_asked_for(
    make: Callable[..., Any], gateway: BlockingEmbeddedGateway
) -> None:
    asked: set[str] = set()
    gateway.method("sessions.describe", lambda params, caller: asked.add(params["key"]) or {"session": None})
    async with make(gateway, sessions=["s"]) as client:
        for key in ("s", "other"):
            await client.chat_send(session_key=key, message="hi")
        # A message asks whether its session is busy.
        asked.clear()
        async with client.watch_sessions() as stream:
            assert (await anext(stream)).sessions == ()
    assert "s" in asked
    assert not any("other" in key for key in asked)


async def test_of_many_listed_sessions_the_list_is_read(
    make: Callable[..., Any], gateway: BlockingEmbeddedGateway
) -> None:
    keys = [f"s{number}" for number in range(list_watch.MAX_ASKED_BY_KEY + 1)]
    async with make(gateway, sessions=keys) as client, client.watch_sessions() as stream:
        await anext(stream)
        assert methods(gateway).count("sessions.list") == 1


async def test_a_release_that_describes_no_session(make: Callable[..., Any], start_gateway: Start) -> None:
    gateway = start_gateway(release="2026.4.15")
    async with make(gateway, sessions=["s"]) as client, client.watch_sessions() as stream:
        await anext(stream)
        assert methods(gateway).count("sessions.list") == 1


async def test_a_subscription_ends_with_its_last_reader(make: Callable[..., Any], start_gateway: Start) -> None:
    gateway = start_gateway(release="2026.7.35")
    async with make(gateway) as client:
        async with client.watch_session(session_key="s"), client.watch_sessions():
            async with client.watch_session(session_key="S"), client.watch_sessions():
                pass
            await client.request("health")
            assert not {"sessions.messages.unsubscribe", "sessions.unsubscribe"} & set(methods(gateway))
        await until(lambda: {"sessions.messages.unsubscribe", "sessions.unsubscribe"} <= set(methods(gateway)))


async def test_rows_behind_a_gap_wait_for_those_before_them(
    make: Callable[..., Any], gateway: BlockingEmbeddedGateway
) -> None:
    async with make(gateway) as client, client.watch_session(session_key="s") as stream:
        await client.chat_send(session_key="s", message="hi")
        assert [(await anext(stream)).text for _ in range(2)] == ["hi", "echo: hi"]
        gateway.faults.drop("session.message")
        await client.chat_send(session_key="s", message="more")
        assert [(await anext(stream)).text for _ in range(2)] == ["more", "echo: more"]
        # What is no row, and what is of another session, is not told.
        gateway.emit("session.message", {"sessionKey": KEY, "message": 3})
        gateway.emit("session.message", {"message": {"role": "user", "content": "nowhere"}})
        gateway.emit("session.message", [])
        gateway.emit("session.message", row_event("x", 5, "theirs", "agent:main:t"))
        gateway.emit("session.message", row_event("y", 5, "mine"))
        assert (await anext(stream)).text == "mine"


async def test_too_much_that_waits_is_read_again(
    make: Callable[..., Any], gateway: BlockingEmbeddedGateway, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(transcript_watch, "MAX_HELD", 1)
    async with make(gateway) as client, client.watch_session(session_key="s") as stream:
        held = gateway.faults.hold("chat.history")
        gateway.emit("session.message", row_event("far", 9, "not in the history"))
        await client.chat_send(session_key="s", message="hi", when_busy="send")
        held.release()
        assert [(await anext(stream)).text for _ in range(2)] == ["hi", "echo: hi"]


async def test_what_a_stopped_run_leaves_is_told(make: Callable[..., Any], start_gateway: Start) -> None:
    async def agent(turn: Turn) -> Any:
        yield "some words"
        await turn.gate.wait()

    async with make(start_gateway(agent)) as client, client.watch_session(session_key="s") as stream:
        async with client.chat_stream(session_key="s", message="go") as run:
            await anext(aiter(run.text_stream))
            await client.chat_abort(session_key="s", run_id=run.run_id)
        assert [(await anext(stream)).text for _ in range(2)] == ["go", "some words"]


async def test_long_texts_come_whole(make: Callable[..., Any], gateway: BlockingEmbeddedGateway) -> None:
    long = "x" * 20_000
    async with make(gateway) as client:
        await client.chat_send(session_key="s", message=long)
        async with client.watch_session(session_key="s", history=2) as stream:
            assert (await anext(stream)).text == long
            assert (await anext(stream)).text == f"echo: {long}"
            gateway.faults.drop("session.message", times=2)
            await client.chat_send(session_key="s", message=f"2{long}")
            gateway.emit("session.message", row_event("y", 5, "last"))
            assert [len((await anext(stream)).text) for _ in range(3)] == [20_001, 20_007, 4]


async def test_a_refusal_within_a_method_ends_the_watch(
    make: Callable[..., Any], gateway: BlockingEmbeddedGateway
) -> None:
    def refuse(params: Any, caller: Any) -> Any:
        raise Refusal("INVALID_REQUEST", "no")

    gateway.method("chat.history", refuse)
    async with make(gateway) as client, client.watch_session(session_key="s") as stream:
        with pytest.raises(Exception, match="no"):
            await anext(stream)


@pytest.mark.parametrize("face", ["async"], indirect=True)
async def test_entering_may_be_given_up(make: Callable[..., Any], gateway: BlockingEmbeddedGateway) -> None:
    """A thread that waits is interrupted by signals alone."""
    async with make(gateway) as client:
        held = gateway.faults.hold("sessions.subscribe")
        stream = client.watch_sessions()
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.05):
                await stream.__aenter__()
        with pytest.raises(StopAsyncIteration):
            await anext(stream)
        held.release()


async def test_what_changes_before_the_list_is_there(
    make: Callable[..., Any], gateway: BlockingEmbeddedGateway
) -> None:
    async with make(gateway) as client:
        held = gateway.faults.hold("sessions.list")
        async with client.watch_sessions() as stream:
            gateway.emit("sessions.changed", change("s", 1, label="early"))
            await client.request("health")
            held.release()
            assert [one.label for one in (await anext(stream)).sessions] == ["early"]


async def test_what_names_no_session_is_nothing_to_a_client_of_listed_ones(
    make: Callable[..., Any], gateway: BlockingEmbeddedGateway
) -> None:
    async with make(gateway, sessions=["s"]) as client, client.watch_sessions() as stream:
        await anext(stream)
        gateway.emit("sessions.changed", {"reason": "delete"})
        gateway.emit("sessions.changed", change("s", 1))
        await anext(stream)
        assert methods(gateway).count("sessions.describe") == 1


async def test_a_run_that_leaves_nothing(
    make: Callable[..., Any], start_gateway: Start, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def agent(turn: Turn) -> Any:
        await turn.gate.wait()
        yield ""

    monkeypatch.setattr(transcript_watch, "WRITTEN_AFTER", (0.01, 0.01))
    gateway = start_gateway(agent)
    async with make(gateway) as client, client.watch_session(session_key="s") as stream:
        async with client.chat_stream(session_key="s", message="go") as run:
            assert (await anext(stream)).text == "go"
            reads = methods(gateway).count("chat.history")
            await client.chat_abort(session_key="s", run_id=run.run_id)
        await until(lambda: methods(gateway).count("chat.history") >= reads + 2)
        # What ends elsewhere is no reason to read.
        gateway.say("agent:main:t", "there")
        # Behind this answer the last page has come.
        await client.request("health")
        gateway.emit("session.message", row_event("y", 2, "later"))
        assert (await anext(stream)).text == "later"


async def test_more_than_a_page_was_missed(
    make: Callable[..., Any],
    start_gateway: Start,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    gateway = start_gateway(release="2026.6.1")
    async with make(gateway, scopes=["operator.read", "operator.write", "operator.admin"]) as client:
        await client.chat_send(session_key="s", message="old")
        monkeypatch.setattr(transcript_watch, "MAX_HISTORY_LIMIT", 2)
        async with client.watch_session(session_key="s") as stream:
            gateway.faults.drop("session.message", times=None)
            await client.request("sessions.reset", {"key": "s"})
            await client.chat_send(session_key="s", message="new")
            gateway.faults.disconnect()
            assert [(await anext(stream)).text for _ in range(2)] == ["new", "echo: new"]
    assert "only the last 2 rows" in caplog.text


async def test_where_rows_are_not_told_the_history_is_read_when_a_run_ends(
    make: Callable[..., Any], start_gateway: Start
) -> None:
    gateway = start_gateway(release="2026.4.15")
    async with make(gateway) as client, client.watch_session(session_key="s") as stream:
        await client.chat_send(session_key="s", message="hi")
        assert [(await anext(stream)).role for _ in range(2)] == ["user", "assistant"]
        assert "sessions.messages.subscribe" not in methods(gateway)
