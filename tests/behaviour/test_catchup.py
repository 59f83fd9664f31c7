"""Messages that were said while the connection was away: each handed out once, whole and in order."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Callable
from typing import Any

import pytest

from openclaw_client import MemoryIdentityStore, ProactiveMessage, Timeouts
from openclaw_client.chat import missed_messages, places
from openclaw_client.identity.device import DeviceIdentity
from openclaw_client.runs import proactive
from openclaw_client.testing import BlockingEmbeddedGateway, OutFrame, Turn
from openclaw_client.testing.faults import chat
from tests.behaviour.test_inquiry import refuse
from tests.waiting import until

Make = Callable[..., Any]
Start = Callable[..., BlockingEmbeddedGateway]

EVERY = pytest.mark.parametrize("release", ["2026.2.17", "2026.4.15", "2026.6.1", "2026.9.6"])
SCOPES = ["operator.read", "operator.write", "operator.admin"]


async def gated(turn: Turn) -> AsyncIterator[str]:
    if turn.message == "linger":
        yield "beginning"
        await turn.gate.wait()
        yield " and end"
    else:
        yield f"re: {turn.message}"


class Listener:
    """A client and the messages that it was given."""

    def __init__(self, make: Make, gateway: BlockingEmbeddedGateway, **options: Any) -> None:
        self.gateway = gateway
        self.heard: list[ProactiveMessage] = []
        self.client = make(gateway, **options)
        self.client.on_proactive_message(lambda user, message: self.heard.append(message))

    @property
    def texts(self) -> list[str]:
        return [message.text for message in self.heard]

    async def goes(self) -> None:
        """Cut, and kept away."""
        self.gateway.faults.refuse_upgrade(503, times=1_000)
        self.gateway.faults.disconnect()
        await until(lambda: not self.client.connected)

    async def returns(self) -> None:
        self.gateway.faults.upgrades.clear()
        await until(lambda: self.client.connected)


@pytest.fixture
async def other(make: Make) -> AsyncIterator[Callable[[BlockingEmbeddedGateway], Any]]:
    """Another client of a gateway, which is not kept away with the first: it is connected when it is needed."""
    clients: list[Any] = []

    async def connect(gateway: BlockingEmbeddedGateway) -> Any:
        upgrades, gateway.faults.upgrades = gateway.faults.upgrades, []
        client = make(gateway, scopes=SCOPES, identity=MemoryIdentityStore(DeviceIdentity.generate()))
        clients.append(client)
        await client.connect()
        gateway.faults.upgrades = upgrades
        return client

    yield connect
    for client in clients:
        await client.disconnect()


@EVERY
async def test_what_was_said_meanwhile_is_handed_out_once_and_in_order(
    make: Make, start_gateway: Start, other: Any, release: str
) -> None:
    gateway = start_gateway(gated, release=release)
    listener = Listener(make, gateway, sessions=["main"])
    async with listener.client as client:
        theirs = await other(gateway)
        await theirs.chat_send(session_key="main", message="before")
        assert (await client.chat_send(session_key="main", message="mine")).text == "re: mine"
        await until(lambda: listener.texts == ["re: before"])
        await listener.goes()
        theirs = await other(gateway)
        await theirs.chat_send(session_key="main", message="one")
        injected = await theirs.chat_inject(session_key="main", message="two")
        await theirs.chat_send(session_key="main", message="three")
        await listener.returns()
        await theirs.chat_send(session_key="main", message="four")
        await until(lambda: len(listener.heard) >= 5)
        # Whatever would come twice has come before this one.
        await theirs.chat_send(session_key="main", message="five")
        await until(lambda: listener.texts[-1] == "re: five")
        # A second absence does not bring back what the first did.
        await listener.goes()
        await listener.returns()
        theirs = await other(gateway)
        await theirs.chat_send(session_key="main", message="six")
        await until(lambda: listener.texts[-1] == "re: six")
    numbers = ["one", "two", "three", "four", "five", "six"]
    assert listener.texts == ["re: before", *(text if text == "two" else f"re: {text}" for text in numbers)]
    assert [message.kind for message in listener.heard[1:4]] == ["run", "injected", "run"]
    if release != "2026.2.17":
        assert listener.heard[2].id == injected.message_id
    assert len({message.id for message in listener.heard}) == 7


@pytest.mark.parametrize("release", ["2026.2.17", "2026.6.1", "2026.9.6"])
async def test_a_message_has_one_id_live_and_from_the_history(
    make: Make, start_gateway: Start, other: Any, release: str
) -> None:
    gateway = start_gateway(gated, release=release)
    present, absent = Listener(make, gateway, sessions=["main"]), Listener(make, gateway, sessions=["main"])
    async with present.client, absent.client:
        await absent.goes()
        gateway.faults.upgrades.clear()
        await until(lambda: present.client.connected and absent.client.connected)
        present.heard.clear()
        absent.heard.clear()
        theirs = await other(gateway)
        ids = []
        for number in range(2):
            reply = await theirs.chat_send(
                session_key="main", message=f"live {number}", idempotency_key=f"key-{number}"
            )
            ids.append(reply.run_id)
        await until(lambda: len(present.heard) == 2)
        await absent.goes()
        await theirs.disconnect()
        theirs = await other(gateway)
        await theirs.chat_send(session_key="main", message="away", idempotency_key="key-away")
        await absent.returns()
        await until(lambda: len(absent.heard) == 3)
    assert [message.id for message in absent.heard] == [*ids, "key-away"]


@EVERY
async def test_ones_own_replies_never_become_messages(
    make: Make, start_gateway: Start, other: Any, release: str
) -> None:
    gateway = start_gateway(gated, release=release)
    listener = Listener(make, gateway)
    async with listener.client as client:
        for number in range(3):
            await client.chat_send(session_key="main", message=f"own {number}")
        async with client.chat_stream(session_key="main", message="linger") as run:
            assert await anext(run.text_stream) == "beginning"
            await listener.goes()
            gateway.release()
            await until(lambda: not gateway.active_runs)
            theirs = await other(gateway)
            await theirs.chat_send(session_key="main", message="theirs")
            await listener.returns()
            assert (await run.result()).text == "beginning and end"
        await until(lambda: listener.heard)
        await listener.goes()
        await listener.returns()
        await client.chat_send(session_key="main", message="own again")
        gateway.say("agent:main:main", "the end")
        await until(lambda: listener.texts[-1:] == ["the end"])
    assert listener.texts == ["re: theirs", "the end"]


@EVERY
async def test_a_run_that_was_heard_to_begin_is_caught_up_with(
    make: Make, start_gateway: Start, other: Any, release: str
) -> None:
    gateway = start_gateway(gated, release=release, throttle=0)
    listener = Listener(make, gateway)
    async with listener.client:
        stream = listener.client.events("chat")
        theirs = await other(gateway)
        sending = asyncio.ensure_future(theirs.chat_send(session_key="main", message="linger"))
        while (await anext(stream)).payload["state"] != "delta":
            pass
        await listener.goes()
        gateway.release()
        await until(lambda: not gateway.active_runs)
        await listener.returns()
        await until(lambda: listener.heard)
        assert (await sending).text == "beginning and end"
        gateway.say("agent:main:main", "the end")
        await until(lambda: listener.texts[-1] == "the end")
    assert listener.texts == ["beginning and end", "the end"]


async def test_several_sessions_and_only_those_in_use(make: Make, start_gateway: Start) -> None:
    gateway = start_gateway(gated)
    listener = Listener(make, gateway)
    async with listener.client as client:
        await client.chat_send(session_key="used", message="x")
        gateway.say("agent:main:heard", "hello")
        await until(lambda: listener.heard)
        await listener.goes()
        for session in ("used", "heard", "strange"):
            gateway.call(lambda session=session: write(gateway, session, f"in {session}"))  # type: ignore[misc]
        asked = gateway.seen.requests["chat.history"]
        await listener.returns()
        await until(lambda: len(listener.heard) == 3)
        gateway.say("agent:main:heard", "the end")
        await until(lambda: listener.texts[-1] == "the end")
    assert listener.texts == ["hello", "in used", "in heard", "the end"]
    assert gateway.seen.requests["chat.history"] == asked + 2


@EVERY
async def test_a_long_absence(make: Make, start_gateway: Start, release: str) -> None:
    gateway = start_gateway(gated, release=release)
    listener = Listener(make, gateway, sessions=["main"])
    async with listener.client:
        await listener.goes()
        gateway.call(lambda: [write(gateway, "main", f"message {number}") for number in range(250)])
        await listener.returns()
        await until(lambda: len(listener.heard) >= 250)
        gateway.say("agent:main:main", "the end")
        await until(lambda: listener.texts[-1] == "the end")
    assert listener.texts == [f"message {number}" for number in range(250)] + ["the end"]


async def test_a_client_that_nobody_listens_to_does_not_ask(make: Make, start_gateway: Start) -> None:
    gateway = start_gateway(gated)
    async with make(gateway, sessions=["main"]) as client:
        await client.chat_send(session_key="main", message="x")
        gateway.faults.disconnect()
        await until(lambda: gateway.seen.opened == 2 and client.connected)
        assert (await client.chat_send(session_key="main", message="y")).text == "re: y"
    # Once on each connection it is asked whether the session is busy.
    assert gateway.seen.requests["chat.history"] == 2


@pytest.mark.parametrize("release", ["2026.6.1", "2026.9.6"])
async def test_a_lost_final_of_somebody_elses_run_is_made_good(
    make: Make, start_gateway: Start, other: Any, release: str
) -> None:
    gateway = start_gateway(gated, release=release)
    listener = Listener(make, gateway, sessions=["main"])

    def final_for_listener(frame: OutFrame) -> bool:
        return chat("final")(frame) and frame.port is port

    async with listener.client:
        [port] = gateway.call(lambda: list(gateway.gateway._hub.connections.values()))  # type: ignore[union-attr]
        theirs = await other(gateway)
        lost = gateway.faults.drop(final_for_listener)
        await theirs.chat_send(session_key="main", message="one")
        await until(lambda: lost.used_up)
        gateway.tick()
        await until(lambda: listener.heard)
        await theirs.chat_send(session_key="main", message="two")
        await until(lambda: len(listener.heard) > 1)
    assert listener.texts == ["re: one", "re: two"]


def write(gateway: BlockingEmbeddedGateway, session: str, text: str) -> None:
    """A message of the assistant that nobody hears of."""
    from openclaw_client.testing.hub import now_ms
    from openclaw_client.testing.transcripts import assistant_extra, new_row

    row = new_row("assistant", text, now_ms(), **assistant_extra(injected=True))
    gateway.gateway._memory.transcripts.open(f"agent:main:{session}").add(row)


@EVERY
async def test_a_burst_while_the_history_is_asked_for_is_told_once_and_hides_nothing(
    make: Make, start_gateway: Start, release: str
) -> None:
    """More is heard meanwhile than is remembered of what was heard before, by whose words the history is read."""
    gateway = start_gateway(release=release)
    listener = Listener(make, gateway, sessions=["main"])
    words = [f"word {number}" for number in range(200)]

    def say(first: int, last: int) -> None:
        for word in words[first:last]:
            gateway.say("agent:main:main", word)

    async with listener.client:
        await asyncio.to_thread(say, 0, 90)
        await until(lambda: listener.texts == words[:90])
        await listener.goes()
        await asyncio.to_thread(say, 90, 95)
        answer = gateway.faults.hold("chat.history")
        await listener.returns()
        await until(lambda: answer.frames)
        await asyncio.to_thread(say, 95, 200)
        await listener.client.request("health")
        answer.release()
        await until(lambda: len(listener.heard) >= len(words))
        assert listener.texts == words


@EVERY
@pytest.mark.parametrize("fault", ["refused", "swallowed"])
async def test_a_history_that_cannot_be_had_at_once_is_asked_for_again(
    make: Make, start_gateway: Start, release: str, fault: str
) -> None:
    """As behind the start of a gateway that has not loaded everything."""
    gateway = start_gateway(gated, release=release)
    listener = Listener(make, gateway, sessions=["main"], timeouts=Timeouts(request=0.3))
    async with listener.client:
        await listener.goes()
        gateway.call(lambda: write(gateway, "main", "missed"))
        if fault == "refused":
            refuse(gateway, "chat.history", times=2, retryable=True)
        else:
            gateway.faults.swallow("chat.history")
        await listener.returns()
        await until(lambda: listener.heard)
        gateway.say("agent:main:main", "the end")
        await until(lambda: listener.texts[-1] == "the end")
    assert listener.texts == ["missed", "the end"]


@pytest.mark.parametrize(
    ("release", "size"), [("2026.2.17", 11_000), ("2026.4.15", 90_000), ("2026.6.1", 200_000), ("2026.9.6", 200_000)]
)
async def test_a_long_message_is_whole(make: Make, start_gateway: Start, release: str, size: int) -> None:
    gateway = start_gateway(gated, release=release)
    listener = Listener(make, gateway, sessions=["main"])
    async with listener.client:
        await listener.goes()
        gateway.call(lambda: write(gateway, "main", "a" * size))
        await listener.returns()
        await until(lambda: listener.heard)
    assert listener.texts == ["a" * size]


async def missed_one(make: Make, gateway: BlockingEmbeddedGateway, other: Any, listener: Listener) -> Any:
    """Another client, which said "missed" while the listener was away, whose history is not told yet."""
    theirs = await other(gateway)
    await theirs.chat_send(session_key="main", message="before")
    await until(lambda: listener.texts == ["echo: before"])
    await listener.goes()
    theirs = await other(gateway)
    await theirs.chat_send(session_key="main", message="missed")
    return theirs


async def test_live_messages_do_not_wait_for_a_gateway_that_refuses_for_long(
    make: Make, gateway: BlockingEmbeddedGateway, other: Any, monkeypatch: pytest.MonkeyPatch, caplog: Any
) -> None:
    monkeypatch.setattr(missed_messages, "CEILING", 0.5)
    listener = Listener(make, gateway, sessions=["main"])
    async with listener.client:
        theirs = await missed_one(make, gateway, other, listener)
        error = {"code": "UNAVAILABLE", "message": "not now", "retryable": True, "retryAfterMs": 600_000}
        gateway.faults.rewrite(
            "chat.history", lambda frame: {"type": "res", "id": frame["id"], "ok": False, "error": error}, times=1
        )
        await listener.returns()
        await theirs.chat_send(session_key="main", message="live")
        await until(lambda: "echo: live" in listener.texts)
        # Later than told it is asked for all the same, in place of never.
        await until(lambda: "echo: missed" in listener.texts)
    assert sorted(listener.texts) == ["echo: before", "echo: live", "echo: missed"]
    assert "the history is refused for 600 s" in caplog.text


@pytest.mark.parametrize(
    ("name", "value", "said"),
    [("HELD_FOR", 0.1, "no answer within"), ("MAX_HELD", 2, "3 messages"), ("MAX_HELD_BYTES", 15, "messages of 18")],
)
async def test_live_messages_wait_within_bounds(
    make: Make,
    gateway: BlockingEmbeddedGateway,
    other: Any,
    monkeypatch: pytest.MonkeyPatch,
    caplog: Any,
    name: str,
    value: float,
    said: str,
) -> None:
    monkeypatch.setattr(missed_messages, name, value)
    listener = Listener(make, gateway, sessions=["main"])
    async with listener.client:
        theirs = await missed_one(make, gateway, other, listener)
        held = gateway.faults.hold("chat.history")
        await listener.returns()
        await until(lambda: held.frames)
        for number in range(3):
            gateway.say("agent:main:main", f"live {number}")
        await until(lambda: len(listener.texts) == 4)
        assert listener.texts[1:] == ["live 0", "live 1", "live 2"]
        held.release()
        await until(lambda: len(listener.texts) == 5)
        # From now on nothing waits.
        await theirs.chat_send(session_key="main", message="last")
        await until(lambda: len(listener.texts) == 6)
    assert listener.texts[4:] == ["echo: missed", "echo: last"]
    assert said in caplog.text
    assert "may come behind them" in caplog.text


@EVERY
async def test_a_session_that_was_given_up_is_known_from_then_on(
    make: Make, start_gateway: Start, monkeypatch: pytest.MonkeyPatch, release: str
) -> None:
    """Of very many sessions: what was heard in one before is not told again, however much is forgotten of it."""
    monkeypatch.setattr(places, "MAX_PLACES", 2)
    monkeypatch.setattr(proactive, "MAX_FINISHED", 4)
    gateway = start_gateway(gated, release=release)
    listener = Listener(make, gateway)
    async with listener.client as client:
        assert (await client.chat_send(session_key="main", message="mine")).text == "re: mine"
        gateway.say("agent:main:main", "early")
        await until(lambda: listener.heard)
        # Rows are dated in whole milliseconds, and the gateway's clock is known to within one more.
        heard_at = time.time()
        await until(lambda: time.time() > heard_at + 0.01)
        for number in range(6):
            gateway.say(f"agent:main:other-{number}", f"other {number}")
        await until(lambda: len(listener.heard) == 7)
        gateway.say("agent:main:main", "late")
        await until(lambda: len(listener.heard) == 8)
        await listener.goes()
        gateway.say("agent:main:main", "missed")
        await listener.returns()
        await until(lambda: "missed" in listener.texts)
        gateway.say("agent:main:main", "the end")
        await until(lambda: listener.texts[-1] == "the end")
    assert listener.texts == ["early", *(f"other {number}" for number in range(6)), "late", "missed", "the end"]
