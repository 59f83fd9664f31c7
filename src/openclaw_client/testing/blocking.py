"""The embedded gateway on a loop and a thread of its own, for sync tests and for programs without a loop.

Adds nothing but waiting: every call is the async gateway's, made on its loop.
"""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable, Coroutine, Mapping, Sequence
from types import TracebackType
from typing import Any, Self, TypeVar

from openclaw_client.errors import UsageError
from openclaw_client.errors.frames import without_frames
from openclaw_client.testing.approvals import ApprovalRequest
from openclaw_client.testing.custom import MethodHandler
from openclaw_client.testing.faults import Faults
from openclaw_client.testing.hub import Seen
from openclaw_client.testing.nodes import ConnectedNode
from openclaw_client.testing.offers import OfferedTool
from openclaw_client.testing.pairing import Device, PairingRequest
from openclaw_client.testing.questions import QuestionRequest
from openclaw_client.testing.registry import READ
from openclaw_client.testing.server import GatewayServer
from openclaw_client.testing.surfaces import NodeRequest
from openclaw_client.testing.traits import Profile
from openclaw_client.testing.turn import Agent, Decision

T = TypeVar("T")

ENDING = 1.0
"""Seconds that the tasks of a gateway's loop get to end when it is closed."""


class BlockingEmbeddedGateway:
    """`EmbeddedGateway` with the same parameters, from any thread.

        with BlockingEmbeddedGateway() as gateway:
            gateway.url, gateway.token

    Every method may be called from every thread but the gateway's own. `gateway` is the async one inside.
    """

    @without_frames
    def __init__(self, agent: Agent | None = None, **options: Any) -> None:
        self.gateway = GatewayServer(agent, **options)
        self._prepare()

    @classmethod
    def around(cls, gateway: GatewayServer) -> Self:
        """The blocking form of a gateway that was not started yet."""
        twin = cls.__new__(cls)
        twin.gateway = gateway
        twin._prepare()
        return twin

    def _prepare(self) -> None:
        self._loop: asyncio.AbstractEventLoop | None = None
        self._thread: threading.Thread | None = None

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self.close()

    def __repr__(self) -> str:
        return f"<Blocking{repr(self.gateway)[1:]}"

    def start(self) -> None:
        """Start the thread, unless it runs, and the gateway. Returns when connections are accepted."""
        if self._loop is None:
            loop = self._loop = asyncio.new_event_loop()
            self._thread = threading.Thread(target=self._serve, args=(loop,), name="embedded-gateway", daemon=True)
            self._thread.start()
        try:
            self._wait(self.gateway.start())
        except BaseException:
            if not self.gateway.running:
                self.close()
            raise

    def stop(self, *, drain: float = 0.0) -> None:
        """As `EmbeddedGateway.stop`; `start` brings it back."""
        self._wait(self.gateway.stop(drain=drain))

    def restart(self, *, keep_memory: bool = True, drain: float = 0.0) -> None:
        """As `EmbeddedGateway.restart`."""
        self._wait(self.gateway.restart(keep_memory=keep_memory, drain=drain))

    def crash(self) -> None:
        """As `EmbeddedGateway.crash`."""
        self._wait(self.gateway.crash())

    def close(self) -> None:
        """Stop the gateway and end its thread. Harmless when done already."""
        loop, thread = self._loop, self._thread
        if loop is None or thread is None:
            return
        try:
            self._wait(self.gateway.stop())
        finally:
            self._loop = self._thread = None
            loop.call_soon_threadsafe(loop.stop)
            thread.join()

    # What is known of it.

    @property
    def url(self) -> str:
        return self.gateway.url

    @property
    def token(self) -> str | None:
        return self.gateway.token

    @property
    def password(self) -> str | None:
        return self.gateway.password

    @property
    def port(self) -> int:
        return self.gateway.port

    @property
    def profile(self) -> Profile:
        return self.gateway.profile

    @property
    def settle_time(self) -> float:
        return self.gateway.settle_time

    @settle_time.setter
    def settle_time(self, seconds: float) -> None:
        self.gateway.settle_time = seconds

    @property
    def running(self) -> bool:
        return self.gateway.running

    @property
    def faults(self) -> Faults:
        return self.gateway.faults

    @property
    def seen(self) -> Seen:
        return self.gateway.seen

    @property
    def open_connections(self) -> int:
        return self.gateway.open_connections

    @property
    def active_runs(self) -> list[str]:
        return self.call(lambda: self.gateway.active_runs)

    @property
    def pending(self) -> list[PairingRequest]:
        return self.call(lambda: self.gateway.pending)

    @property
    def devices(self) -> list[Device]:
        return self.call(lambda: self.gateway.devices)

    @property
    def pending_nodes(self) -> list[NodeRequest]:
        return self.call(lambda: self.gateway.pending_nodes)

    @property
    def nodes(self) -> list[ConnectedNode]:
        return self.call(lambda: self.gateway.nodes)

    @property
    def tools(self) -> dict[str, OfferedTool]:
        return self.call(lambda: self.gateway.tools)

    # What tests do to it.

    def transcript(self, session_key: str) -> list[dict[str, str]]:
        """As `EmbeddedGateway.transcript`."""
        return self.call(lambda: self.gateway.transcript(session_key))

    def emit(self, event: str, payload: dict[str, Any]) -> None:
        """As `EmbeddedGateway.emit`."""
        self.call(lambda: self.gateway.emit(event, payload))

    def say(self, session_key: str, text: str, *, run_id: str | None = None) -> str:
        """As `EmbeddedGateway.say`."""
        return self.call(lambda: self.gateway.say(session_key, text, run_id=run_id))

    def method(self, name: str, handler: MethodHandler, scope: str | None = READ) -> None:
        """As `EmbeddedGateway.method`; may be called before `start`. The handler runs on the gateway's thread."""
        self.gateway.method(name, handler, scope)

    def tick(self) -> None:
        """As `EmbeddedGateway.tick`."""
        self.call(self.gateway.tick)

    def ping(self) -> None:
        """As `EmbeddedGateway.ping`."""
        self.call(self.gateway.ping)

    @property
    def unanswered_pings(self) -> int:
        return self.call(lambda: self.gateway.unanswered_pings)

    def release(self, run_id: str | None = None) -> None:
        """As `EmbeddedGateway.release`."""
        self.call(lambda: self.gateway.release(run_id))

    def approve(self, request_id: str | None = None) -> None:
        """As `EmbeddedGateway.approve`."""
        self.call(lambda: self.gateway.approve(request_id))

    @property
    def pending_approvals(self) -> list[ApprovalRequest]:
        return self.call(lambda: self.gateway.pending_approvals)

    def resolve(self, approval_id: str, decision: Decision, *, by: str = "another-client") -> None:
        """As `EmbeddedGateway.resolve`."""
        self.call(lambda: self.gateway.resolve(approval_id, decision, by=by))

    @property
    def pending_questions(self) -> list[QuestionRequest]:
        return self.call(lambda: self.gateway.pending_questions)

    def answer(self, question_id: str, answers: Mapping[str, Sequence[str]] | None) -> None:
        """As `EmbeddedGateway.answer`."""
        self.call(lambda: self.gateway.answer(question_id, answers))

    def call(self, action: Callable[[], T]) -> T:
        """Do something on the gateway's loop and return what it returns."""

        async def on_loop() -> T:
            return action()

        return self._wait(on_loop())

    def _wait(self, coroutine: Coroutine[Any, Any, T]) -> T:
        if self._loop is None:
            coroutine.close()
            raise UsageError(message="the gateway is closed", remedy="Call start() first")
        return asyncio.run_coroutine_threadsafe(coroutine, self._loop).result()

    @staticmethod
    def _serve(loop: asyncio.AbstractEventLoop) -> None:
        asyncio.set_event_loop(loop)
        try:
            loop.run_forever()
        finally:
            loop.run_until_complete(_end_tasks())
            loop.run_until_complete(loop.shutdown_asyncgens())
            loop.close()


async def _end_tasks() -> None:
    """A socket that came in at the last moment is in the hands of a task, which closes it when it is cancelled."""
    tasks = asyncio.all_tasks() - {asyncio.current_task()}
    for task in tasks:
        task.cancel()
    if tasks:
        # An agent may not heed it.
        await asyncio.wait(tasks, timeout=ENDING)
