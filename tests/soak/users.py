"""The users of a soak: what each does with its client, and whether what it gets is true.

Each text is said once, for both faces. Knows the account that the gateways give of a message; keeps counts, and the
latest of what it must not hear twice.
"""

from __future__ import annotations

import asyncio
import random
import time
from collections import Counter, deque
from contextlib import suppress
from typing import Any

from openclaw_client import (
    ConnectionState,
    Credentials,
    MemoryIdentityStore,
    ReconnectPolicy,
    StateChange,
    TextAppended,
    TextReplaced,
    Timeouts,
)
from openclaw_client.errors import GatewayError
from openclaw_client.identity.device import DeviceIdentity
from tests.chaos.storm import Errand, Record, Sent, judge
from tests.faces import Face, inner
from tests.soak.company import GatewayProcess

PAUSE = 5.0
"""Seconds between two messages of a user, on average: 280 of 32 users in a minute, and a fifth of one core for all."""
PATIENCE = 150.0
"""Seconds after which a message hangs; as in `chaos.test_storm`."""
STAY = 10
"""Messages of a user in one session: histories are then of the same length from the first minutes on."""
TRIES = 5
"""Of a client that connects for the first or the last time."""
LATE = 5.0
"""Seconds by which a handler may hear of a connection after it was made."""
MOST_FAULTS = 20
"""Faults that are told in words; more are counted."""

KINDS = ("plain", "listening", "choosy", "managed")
"""plain: nothing but its runs, so that their deltas take the fast path. listening: handlers, and an event stream that
is read now and then. choosy: `sessions=` with its own. managed: of a connection manager, closed when idle."""

COUNTED = (
    *("sent", "right", "from_history", "failed", "lost_truly", "unknown", "unanswered", "not_sent"),
    *("wrong", "doubled", "hung", "lost", "parked", "left", "attached", "not_attached", "aborted", "kept_out"),
    *("told", "told_twice", "events", "slow", "histories", "reads", "reads_failed", "renewed"),
)
TRUE = ("right", "from_history")
TRUE_FAILURES = ("failed", "lost_truly", "unknown", "unanswered", "not_sent")
"""The outcomes of `judge` that are no reply, and what happened, as the gateway's own account says."""


def kind_of(number: int) -> str:
    return KINDS[number // 2 % len(KINDS)]


class User:
    """number: decides what kind of client it has, and of which face. manager: of the managed ones of its face."""

    def __init__(self, number: int, seed: int, gateways: GatewayProcess, face: Face, manager: Any) -> None:
        self.number, self.kind = number, kind_of(number)
        self.counted: Counter[str] = Counter(dict.fromkeys(COUNTED, 0))
        self.faults: list[str] = []
        self._place = gateways.places[number]
        self._rng = random.Random(f"soak {seed} {number}")
        self._gateways, self._face, self._manager = gateways, face, manager
        self._identity = MemoryIdentityStore(DeviceIdentity.generate())
        self._client: Any = None
        self._events: Any = None
        self._sent = 0
        self._recent: deque[str] = deque(maxlen=64)
        self._met = time.monotonic()
        self._session = ""
        self._move()

    @property
    def credentials(self) -> Credentials:
        return Credentials(self._place.url, token=self._place.token, identity=self._identity)

    # Its life.

    async def live(self, until: float) -> None:
        """Until then, by the loop's clock, and to the end of the message that is under way."""
        loop = asyncio.get_running_loop()
        while (left := until - loop.time()) > 0:
            pause = self._rng.uniform(0, 2 * PAUSE)
            await asyncio.sleep(min(pause, left))
            if pause >= left:
                break
            await self._message()
            if self._rng.random() < 0.5:
                await self._aside()

    async def settle(self) -> None:
        """Return when the client works, while nothing goes wrong; a loaded machine may need several tries."""
        for left in range(TRIES - 1, -1, -1):
            try:
                await (await self._connected()).request("health")
                return
            except GatewayError:
                if not left:
                    raise

    async def leave(self) -> None:
        """Give everything back."""
        self._close_events()
        if self._client is not None and self.kind != "managed":
            await self._client.disconnect()
        self._client = None

    async def _connected(self) -> Any:
        if self.kind == "managed":
            client = await self._manager.connection_for(self.number)
            if self._client is None or inner(client) is not inner(self._client):
                self._client, self._met = client, time.monotonic()
                client.on_state_change(self._changed)
        elif self._client is None:
            client = self._made()
            await client.connect()
            self._client = client
        elif self._client.state is ConnectionState.DISCONNECTED:
            await self._client.connect()
        if self.kind == "listening" and self._events is None:
            self._events = self._client.events()
        return self._client

    def _made(self) -> Any:
        client = self._face.client(
            self._place.url,
            token=self._place.token,
            identity=self._identity,
            sessions=self._is_own if self.kind == "choosy" else None,
            timeouts=TIMEOUTS,
            reconnect=RECONNECT,
        )
        client.on_state_change(self._changed)
        client.on_fatal_close(self._parked)
        client.on_slow_consumer(self._slow)
        if self.kind != "plain":
            client.on_proactive_message(self.hear)
        if self.kind == "listening":
            client.on("chat", self._heard_event)
        return client

    def _is_own(self, session: str) -> bool:
        return session.startswith(f"agent:main:soak-{self.number}-")

    async def _renew(self) -> None:
        """Leave, and come back as somebody new does, or as the same."""
        if self._client is None or self.kind == "managed":
            return
        self.counted["renewed"] += 1
        self._close_events()
        await self._client.disconnect()
        if self._rng.random() < 0.5:
            await self.leave()

    # What its client tells.

    def _changed(self, change: StateChange) -> None:
        if change.new is ConnectionState.CONNECTED:
            self._met = time.monotonic()

    def _parked(self, _client: object, error: GatewayError) -> None:
        self._fault("parked", f"{type(error).__name__}: {error}")

    def _slow(self, _report: object) -> None:
        self.counted["slow"] += 1

    def hear(self, _user: object, message: Any) -> None:
        self.counted["told"] += 1
        if message.run_id in self._recent:
            self._fault("told_twice", message.run_id)
        self._recent.append(message.run_id)

    def _heard_event(self, _event: object) -> None:
        self.counted["events"] += 1

    def _fault(self, what: str, words: str) -> None:
        self.counted[what] += 1
        if len(self.faults) < MOST_FAULTS:
            who = f"user {self.number} ({self._face.name}, {self.kind}, {self._place.release})"
            self.faults.append(f"{who}: {what}: {words}")

    # Messages.

    async def _message(self) -> None:
        rng = self._rng
        pieces, pace = rng.randint(1, 25), rng.randint(0, 120)
        errand = Errand(self._sent, 0.0, pieces, pace, rng.random() < 0.4, rng.random() < 0.05, prompted=False)
        self._sent += 1
        key = f"{self._session}-{errand.number}"
        ways = (self._stream, self._read_slowly, self._send, self._send_with_events, self._leave_run, self._abort_run)
        way = rng.choices(ways, (10, 2, 3, 2, 2, 1))[0]
        try:
            client = await self._connected()
        except GatewayError:
            self.counted["kept_out"] += 1
            return
        self.counted["sent"] += 1
        began, met = time.monotonic(), self._met - LATE
        try:
            async with asyncio.timeout(PATIENCE):
                got = await way(client, errand, key)
        except TimeoutError:
            self._fault("hung", f"{errand.message!r} has no end within {PATIENCE:g} s, by {way.__name__}")
            self._move()
            return
        except GatewayError as error:
            got = {"error": error}
        await self._judge(errand, key, got, met, began)
        if "verdict" in got or self._sent % STAY == 0:
            self._move()

    async def _judge(self, errand: Errand, key: str, got: dict[str, Any], met: float, began: float) -> None:
        who = {"user": self.number, "session": f"agent:main:{self._session}", "key": key}
        told = await self._gateways.ask("account", **who, met=met, began=began, ended=time.monotonic())
        record = Record(0, 0, Counter({0: told["begun"]}), told["ended"]) if told["begun"] else None
        if "verdict" in got:
            self.counted[got["verdict"]] += 1
            if told["begun"] > 1:
                self._fault("doubled", f"{errand.message!r} ran {told['begun']} times")
            return
        sent = Sent(errand, key, (0, int(told["restarted"])), (0, int(told["forgot"])), **got)
        verdict, fault = judge(sent, record, self._place.joint)
        if fault is None:
            self.counted[verdict] += 1
        else:
            self._fault(verdict, f"{errand.message!r}: {fault}")

    def _move(self) -> None:
        """To a session that nobody has used."""
        self._session = f"soak-{self.number}-{self._sent}"

    def _run(self, client: Any, errand: Errand, key: str) -> Any:
        return client.chat_stream(session_key=self._session, message=errand.message, idempotency_key=key)

    async def _stream(self, client: Any, errand: Errand, key: str, pause: float = 0.0) -> dict[str, Any]:
        async with self._run(client, errand, key) as run:
            return await _followed(run, pause)

    async def _read_slowly(self, client: Any, errand: Errand, key: str) -> dict[str, Any]:
        return await self._stream(client, errand, key, 0.2)

    async def _send(self, client: Any, errand: Errand, key: str, **more: Any) -> dict[str, Any]:
        reply = await client.chat_send(session_key=self._session, message=errand.message, idempotency_key=key, **more)
        return {"text": reply.text, "pieces": reply.text, "recovered": reply.recovered}

    async def _send_with_events(self, client: Any, errand: Errand, key: str) -> dict[str, Any]:
        pieces = Pieces()
        return {**await self._send(client, errand, key, on_event=pieces.add), "pieces": pieces.text}

    async def _leave_run(self, client: Any, errand: Errand, key: str) -> dict[str, Any]:
        """Leave a run early; of two one is taken up again."""
        async with self._run(client, errand, key) as run:
            async for _ in run:
                break
            sent = run.sent_run
        if sent is None or self._rng.random() < 0.5:
            return {"verdict": "left"}
        try:
            async with client.chat_attach(sent) as again:
                got = await _followed(again)
        except GatewayError:
            # What it says of a run whose gateway was restarted meanwhile is another test's.
            return {"verdict": "not_attached"}
        if not errand.fails and got["text"] == got["pieces"] == errand.text(self._place.joint):
            return {"verdict": "attached"}
        return got

    async def _abort_run(self, client: Any, errand: Errand, key: str) -> dict[str, Any]:
        with suppress(GatewayError):
            async with self._run(client, errand, key) as run:
                async for _ in run:
                    break
                await client.chat_abort(session_key=self._session, run_id=key)
                await run.result()
        return {"verdict": "aborted"}

    # Beside them.

    async def _aside(self) -> None:
        asides = (self._history, self._read, self._unknown_method, self._handler, self._read_events, self._renew)
        aside = self._rng.choices(asides, (6, 3, 2, 2, 3, 1))[0]
        try:
            async with asyncio.timeout(PATIENCE):
                await aside()
        except TimeoutError:
            self._fault("hung", f"{aside.__name__} has no end within {PATIENCE:g} s")
        except GatewayError:
            self.counted["reads_failed"] += 1

    async def _history(self) -> None:
        page = await (await self._connected()).chat_history(session_key=self._session, limit=50)
        self.counted["histories"] += 1
        said = Counter(message.text for message in page.messages if message.role == "user")
        for text, count in said.items():
            if count > 1:
                self._fault("doubled", f"{text!r} stands {count} times in the history")

    async def _read(self) -> None:
        client = await self._connected()
        await asyncio.gather(*(client.request("sessions.list", {"limit": 20}) for _ in range(3)))
        self.counted["reads"] += 3

    async def _unknown_method(self) -> None:
        await (await self._connected()).request(f"no.such.method.{self._sent}")

    async def _handler(self) -> None:
        """A handler for a name that nobody had, for as long as a request takes."""
        client = await self._connected()
        remove = client.on(f"soak.{self._sent}", self._heard_event)
        try:
            await client.request("health")
        finally:
            remove()
        self.counted["reads"] += 1

    async def _read_events(self) -> None:
        """Some of what waits, or a stream of its own for a moment."""
        if self._events is None:
            inner((await self._connected()).events("chat", "presence")).close()
            return
        with suppress(TimeoutError):
            async with asyncio.timeout(1):
                for _ in range(50):
                    await anext(self._events)
                    self.counted["events"] += 1

    def _close_events(self) -> None:
        if self._events is not None:
            inner(self._events).close()
            self._events = None


class Pieces:
    """The text that events make."""

    def __init__(self) -> None:
        self._pieces: list[str] = []

    def add(self, event: object) -> None:
        if isinstance(event, TextReplaced):
            self._pieces.clear()
        if isinstance(event, TextAppended | TextReplaced):
            self._pieces.append(event.text)

    @property
    def text(self) -> str:
        return "".join(self._pieces)


async def _followed(run: Any, pause: float = 0.0) -> dict[str, Any]:
    """What a run comes to, read with so many seconds between two events."""
    pieces = Pieces()
    async for event in run:
        pieces.add(event)
        if pause:
            await asyncio.sleep(pause)
    reply = await run.result()
    return {"text": reply.text, "pieces": pieces.text, "recovered": reply.recovered}


TIMEOUTS = Timeouts(connect=5, request=30)
RECONNECT = ReconnectPolicy(initial=0.05, maximum=0.5)
