"""One run, cut at one place: what came of it, held against the run that nobody disturbed.

Knows what the caller of a run may expect. Refuses to know which gateway it is.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Iterable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any, Protocol
from uuid import uuid4

from openclaw_client import (
    AsyncGatewayClient,
    MemoryIdentityStore,
    ReconnectPolicy,
    Resumed,
    TextAppended,
    Timeouts,
    ToolFinished,
    ToolStarted,
)
from openclaw_client.errors import ConnectError, ConnectionLost, GatewayError, OutcomeUnknown, RunLost
from tests.chaos.frames import Unit
from tests.chaos.proxy import Cut, FaultProxy, Side, Where

QUICK = ReconnectPolicy(initial=0.05, maximum=0.5)
INSIDE_EVERY = 10
"""Every tenth frame is also cut inside: a frame that is not whole is one case, wherever its bytes end."""


CONNECT_TRIES = 5


class Gateway(Protocol):
    """What a run is sent to."""

    release: str
    url: str
    token: str

    def asked(self, text: str) -> int: ...


@dataclass(frozen=True, slots=True)
class Job:
    """The message whose run is cut. patience: seconds after which a run counts as hung."""

    directive: str
    patience: float
    timeouts: Timeouts

    def message(self, key: str) -> str:
        return f"{self.directive} {key}"


@dataclass(frozen=True, slots=True)
class Case:
    """Where to cut. connection: 1 for that of the run, 2 for the one that the client makes after a first cut."""

    side: Side
    number: int
    where: Where
    connection: int = 1

    def __str__(self) -> str:
        which = "" if self.connection == 1 else f" of connection {self.connection}"
        return f"cut {self.where} frame {self.number} {self.side}{which}"


@dataclass(frozen=True, slots=True)
class Recording:
    """The undisturbed run. frames: how many frames in each direction are about it."""

    text: str
    frames: dict[Side, int]
    seconds: float


@dataclass(slots=True)
class Figures:
    """What came of many cases."""

    tried: int = 0
    passed_by: int = 0
    """The run was over before the frame came: real gateways do not send the same number of frames each time."""
    undisturbed: int = 0
    """Cut after the last word."""
    resumed: int = 0
    from_history: int = 0
    unknown: int = 0
    lost: int = 0
    doubled: int = 0
    hung: int = 0
    wrong: int = 0
    slowest: float = 0.0
    slowest_case: str = ""
    faults: list[str] = field(default_factory=list)

    def count(self, name: str, fault: str | None = None) -> None:
        setattr(self, name, getattr(self, name) + 1)
        if fault is not None:
            self.faults.append(fault)


def every_boundary(recording: Recording, spread: int | None = None) -> list[Case]:
    """Every place between two frames of the run, and the inside of every tenth frame; or about `spread` of them."""
    cases: list[Case] = []
    for side, count in recording.frames.items():
        cases.append(Case(side, 0, "before"))
        for number in range(count):
            if number % INSIDE_EVERY == 0:
                cases.append(Case(side, number, "inside"))
            cases.append(Case(side, number, "after"))
    return cases if spread is None else cases[:: max(1, len(cases) // spread)]


RETURN_FRAMES: dict[Side, int] = {"down": 5, "up": 3}
"""The head, challenge, hello-ok, and what follows; the head, connect and the question about the run."""


def every_return() -> list[Case]:
    """The same for the connection that the client makes when the run's own was cut."""
    places: Sequence[Where] = ("before", "inside", "after")
    return [
        Case(side, number, where, connection=2)
        for side, count in RETURN_FRAMES.items()
        for number in range(count)
        for where in places
    ]


class Laboratory:
    """Runs cases against one gateway, one at a time; several may work on the same gateway."""

    def __init__(self, gateway: Gateway, job: Job, identity: MemoryIdentityStore) -> None:
        self.gateway = gateway
        self._job = job
        self._identity = identity

    def client(self, url: str, **options: Any) -> AsyncGatewayClient:
        return AsyncGatewayClient(
            url,
            token=self.gateway.token,
            identity=self._identity,
            timeouts=self._job.timeouts,
            reconnect=QUICK,
            **options,
        )

    @asynccontextmanager
    async def connected(self, url: str) -> AsyncIterator[AsyncGatewayClient]:
        """A client that is connected: a loaded gateway may need several tries, which are not what is tried here."""
        client = self.client(url)
        for left in range(CONNECT_TRIES - 1, -1, -1):
            try:
                await client.connect()
                break
            except ConnectError:
                if not left:
                    raise
        try:
            yield client
        finally:
            await client.disconnect()

    async def record(self) -> Recording:
        """An undisturbed run."""
        key, frames = f"chaos-{uuid4().hex[:12]}", {"up": 0, "down": 0}
        about = _about(key)

        def watch(side: Side, unit: Unit) -> None:
            frames[side] += about(side, unit)

        loop = asyncio.get_running_loop()
        async with FaultProxy(self.gateway.url) as proxy, self.connected(proxy.url) as client:
            proxy.watch = watch
            began = loop.time()
            async with client.chat_stream(session_key=key, message=self._job.message(key), idempotency_key=key) as run:
                pieces = "".join([piece async for piece in run.text_stream])
                reply = await run.result()
        assert pieces == reply.text, "the gateway's own deltas do not add up"
        return Recording(reply.text, frames, loop.time() - began)  # type: ignore[arg-type]

    async def try_case(self, case: Case, recording: Recording, figures: Figures) -> None:
        """Cut a run at this place, and count what came of it."""
        key = f"chaos-{uuid4().hex[:12]}"
        figures.tried += 1
        loop = asyncio.get_running_loop()
        began = loop.time()
        try:
            async with asyncio.timeout(self._job.patience):
                verdict, fault = await self._one(case, key, recording)
        except TimeoutError:
            verdict, fault = "hung", f"no end within {self._job.patience:g} s"
        if loop.time() - began > figures.slowest:
            figures.slowest, figures.slowest_case = loop.time() - began, str(case)
        figures.count(verdict, f"{self.gateway.release}, {case} ({key}): {fault}" if fault else None)

    async def _one(self, case: Case, key: str, recording: Recording) -> tuple[str, str | None]:
        seen: list[Any] = []
        async with FaultProxy(self.gateway.url) as proxy, self.connected(proxy.url) as client:
            cuts = self._arrange(proxy, case, key, recording)
            message = self._job.message(key)
            try:
                async with client.chat_stream(session_key=key, message=message, idempotency_key=key) as run:
                    async for event in run:
                        seen.append(event)  # noqa: PERF401 - what came before an error counts
                    reply = await run.result()
            except OutcomeUnknown as error:
                return "unknown", f"nothing was unknown here: {error}"
            except RunLost as error:
                return "lost", str(error)
            except GatewayError as error:
                return "wrong", f"{type(error).__name__}: {error}"
            proxy.heal()
            doubled = await self._doubled(client, key, seen)
        if doubled is not None:
            return "doubled", doubled
        texts = "".join(event.text for event in seen if isinstance(event, TextAppended))
        if reply.text != recording.text:
            return "wrong", f"the reply is {_shown(reply.text, recording.text)}"
        if texts != recording.text:
            return "wrong", f"the events make {_shown(texts, recording.text)}"
        if not all(cut.done for cut in cuts):
            return "passed_by", None
        if reply.recovered:
            return "from_history", None
        return "resumed" if any(isinstance(event, Resumed) for event in seen) else "undisturbed", None

    def _arrange(self, proxy: FaultProxy, case: Case, key: str, recording: Recording) -> list[Cut]:
        if case.connection == 1:
            return [proxy.cut_at(Cut(case.side, case.number, case.where, _about(key)))]
        before = len(proxy.taken_at)
        middle = Cut("down", recording.frames["down"] // 3, "after", _about(key))
        second = Cut(
            case.side, case.number, case.where, lambda _side, _unit: len(proxy.taken_at) == before + case.connection - 1
        )
        return [proxy.cut_at(middle), proxy.cut_at(second)]

    async def _doubled(self, client: AsyncGatewayClient, key: str, seen: list[Any]) -> str | None:
        """What there is more than one of, None where everything is there once."""
        try:
            page = await client.chat_history(session_key=key, limit=50)
        except ConnectionLost:
            # A cut behind the last word came under way; nothing is cut any more.
            page = await client.chat_history(session_key=key, limit=50)
        users = sum(message.role == "user" for message in page.messages)
        if users != 1:
            return f"{users} user turns in the history"
        asked = self.gateway.asked(self._job.message(key))
        if asked != 1:
            return f"the model was asked {asked} times"
        for kind in (ToolStarted, ToolFinished):
            calls = [event.call_id for event in seen if isinstance(event, kind)]
            if len(calls) != len(set(calls)):
                return f"{kind.__name__} was told twice"
        return None


async def work_off(laboratories: Iterable[Laboratory], cases: Iterable[Case], recording: Recording) -> Figures:
    """Try all cases, as many at the same time as there are laboratories."""
    figures, waiting = Figures(), iter(list(cases))

    async def work(laboratory: Laboratory) -> None:
        for case in waiting:
            await laboratory.try_case(case, recording, figures)

    async with asyncio.TaskGroup() as group:
        for laboratory in laboratories:
            group.create_task(work(laboratory))
    return figures


def _about(key: str) -> Callable[[Side, Unit], bool]:
    """Frames that name the run: its message, the response, and its events."""
    name = key.encode()
    return lambda _side, unit: unit.number > 0 and name in unit.payload


def _shown(text: str, expected: str) -> str:
    same = next((at for at, (a, b) in enumerate(zip(text, expected, strict=False)) if a != b), None)
    at = min(len(text), len(expected)) if same is None else same
    return f"{len(text)} characters, expected {len(expected)}; they part at {at}: {text[at - 15 : at + 30]!r}"
