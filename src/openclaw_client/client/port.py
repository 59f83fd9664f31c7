"""What a face has of a client's machinery, in this process or elsewhere. The only thing that faces touch."""

from __future__ import annotations

from collections.abc import Callable, Coroutine, Mapping
from pathlib import Path
from typing import Any, Protocol

from openclaw_client.chat.address import RunAddress
from openclaw_client.chat.arguments import AbortResult, ChatRequest
from openclaw_client.chat.consumer import RunConsumer
from openclaw_client.client.events import EventSink, GatewayEvent
from openclaw_client.client.slow_consumer import SlowConsumer
from openclaw_client.connection.supervisor import ConnectionState, StateChange
from openclaw_client.errors import GatewayError
from openclaw_client.files.saving import PathLike
from openclaw_client.interactions.events import InteractionSink
from openclaw_client.interactions.handling import InteractionHandler
from openclaw_client.journal.protocol import PendingRun
from openclaw_client.policy.timeouts import Timeouts
from openclaw_client.requests.requests import Answer
from openclaw_client.runs.activity import Activity
from openclaw_client.runs.answering import AnswerOutcome
from openclaw_client.runs.application import Application
from openclaw_client.runs.interactions import Interaction, Kind
from openclaw_client.runs.peer import SentRun
from openclaw_client.runs.proactive import ProactiveMessage
from openclaw_client.sessions.filter import Sessions
from openclaw_client.watching.session_list import SessionsChanged
from openclaw_client.watching.sinks import WatchSink
from openclaw_client.watching.watches import Begun
from openclaw_client.wire.approvals import Approval
from openclaw_client.wire.files import AgentFile
from openclaw_client.wire.handshake import Hello
from openclaw_client.wire.history import HistoryMessage, HistoryPage
from openclaw_client.wire.questions import Question

EventHandler = Callable[[GatewayEvent], object]


class Follower(Protocol):
    """One run as a face has it."""

    @property
    def sent(self) -> bool:
        """Whether the message went out."""
        ...

    @property
    def sent_run(self) -> SentRun | None: ...

    @property
    def text(self) -> str: ...

    @property
    def activity(self) -> Activity: ...

    @property
    def ended(self) -> bool: ...

    @property
    def recorded(self) -> bool:
        """Whether it is written down, and `taken` says something. From any thread."""
        ...

    async def begin(self) -> None: ...

    def leave(self) -> None: ...

    def taken(self) -> None:
        """The caller has the end of the run."""
        ...


class Handlers:
    """What users registered, by what it is for; one list each, which may be added to from any thread."""

    def __init__(self) -> None:
        self.message: list[Callable[[Any, ProactiveMessage], object]] = []
        self.fatal: list[Callable[[Any, GatewayError], object]] = []
        self.state: list[Callable[[StateChange], object]] = []
        self.slow: list[Callable[[SlowConsumer], object]] = []
        self.listening: Callable[[], bool] | None = None
        """Whether those who stand behind the handlers of messages want any; None where these are the listeners."""
        self.on_wanted: Callable[[], None] | None = None
        """Called when messages may be wanted from now on; from any thread."""

    @property
    def wanted(self) -> bool:
        """Whether anybody listens to messages."""
        return bool(self.message) and (self.listening is None or self.listening())

    def now_wanted(self) -> None:
        """A listener came; from any thread."""
        if self.on_wanted is not None:
            self.on_wanted()

    def adopt(self, other: Handlers) -> None:
        """Take over what was registered elsewhere."""
        self.message.extend(other.message)
        self.fatal.extend(other.fatal)
        self.state.extend(other.state)
        self.slow.extend(other.slow)


class InteractionPort(Protocol):
    """What agents wait for from people. On the loop's thread, but for `pending` and `handlers`."""

    pending: tuple[Interaction, ...]
    alive: bool
    """Whether there was a connection, and it was not given up."""
    handlers: list[tuple[Kind, InteractionHandler]]

    def listen(self, kind: Kind, sink: InteractionSink) -> None: ...

    def unlisten(self, sink: InteractionSink) -> None: ...

    def handle(self, kind: Kind, handler: InteractionHandler) -> None:
        """Hand what is pending to one more handler."""
        ...

    async def decide(self, target: Approval | str, decision: str, days: int | None = None) -> AnswerOutcome: ...

    async def answer(self, target: Question | str, answers: object) -> AnswerOutcome: ...


class FilePort(Protocol):
    """Files that agents sent. timeout: -1 for the client's own limit. On the loop's thread."""

    async def files(self, session_key: str, timeout: float | None) -> tuple[AgentFile, ...]: ...

    async def fetch(self, file: AgentFile, max_bytes: int, timeout: float | None) -> bytes: ...

    async def save(self, file: AgentFile, to: PathLike, max_bytes: int, timeout: float | None) -> Path: ...


class WatchPort(Protocol):
    """What is followed. On the loop's thread, but where there is no connection yet."""

    def check_session(self, session_key: object) -> str:
        """The key of a session that may be followed; UsageError for others. From any thread."""
        ...

    def follow_list(self, sink: WatchSink[SessionsChanged], size: int) -> Begun:
        """Returns what waits until it has begun."""
        ...

    def follow_session(self, sink: WatchSink[HistoryMessage], session_key: str, history: int) -> Begun: ...

    def leave(self, sink: object) -> None: ...


class Port(Protocol):
    """A client's machinery. On its loop's thread, but where it says otherwise."""

    handlers: Handlers

    # From any thread.

    @property
    def interactions(self) -> InteractionPort: ...

    @property
    def files(self) -> FilePort: ...

    @property
    def watches(self) -> WatchPort: ...

    def answers(self, kind: Kind) -> None:
        """Somebody answers this kind from now on. Raises UsageError where it is too late to say so."""

    @property
    def url(self) -> str:
        """Without the values of telling query parameters."""
        ...

    @property
    def user(self) -> object: ...

    @property
    def application(self) -> Application | None: ...

    @property
    def state(self) -> ConnectionState: ...

    @property
    def hello(self) -> Hello | None: ...

    @property
    def busy(self) -> bool: ...

    @property
    def idle_seconds(self) -> float: ...

    @property
    def granted_scopes(self) -> tuple[str, ...] | None: ...

    def supports(self, method: str) -> bool | None: ...

    def missing_scopes(self, method: str) -> tuple[str, ...]: ...

    def add_handler(self, name: str, handler: EventHandler) -> Callable[[], None]: ...

    def add_stream(self, stream: EventSink) -> None: ...

    def on_slow(self, report: SlowConsumer) -> None: ...

    def is_known_run(self, run_id: str) -> bool:
        """Whether a run is this client's own, or its message was heard."""
        ...

    def touch(self) -> None: ...

    # Life.

    async def connect(self) -> None: ...

    def disconnect(self) -> Coroutine[Any, Any, None]:
        """Close. State, runs and streams have ended when this returns; what it returns waits for the socket to end."""
        ...

    async def disconnect_if_idle(self, seconds: float) -> bool: ...

    def retry_now(self) -> None: ...

    def allow(self, sessions: Sessions) -> None: ...

    def after_fork(self) -> None: ...

    # What is written down. Raises UsageError where there is no journal.

    async def pending(self) -> tuple[PendingRun, ...]: ...

    async def forget(self, run_id: str) -> bool: ...

    def recorded_run(self, run_id: str) -> SentRun | None:
        """The facts of a run on the list; None where it is not known. From any thread."""
        ...

    # Requests and runs.

    def remove_stream(self, stream: EventSink) -> None: ...

    def run_timeouts(self, total: float | None) -> Timeouts:
        """The time limits of one run. From any thread."""
        ...

    def arguments(
        self, method: str, params: Mapping[str, Any] | None, timeout: float | None, idempotency_key: str | None
    ) -> tuple[float | None, Mapping[str, Any] | None]:
        """The time limit that counts, and the parameters with the idempotency key. From any thread."""
        ...

    def call(
        self,
        method: str,
        params: Mapping[str, Any] | None,
        timeout: float | None,
        idempotency_key: str | None,
        expect_final: bool,
    ) -> Coroutine[Any, Any, Any]: ...

    def start(
        self,
        method: str,
        params: Mapping[str, Any] | None,
        timeout: float | None,
        answer: Answer,
        *,
        expect_final: bool = False,
    ) -> Callable[[], object]: ...

    async def history(self, session_key: str, limit: int | None, **extra: Any) -> HistoryPage: ...

    async def abort(self, session_key: str, run_id: str | None) -> AbortResult: ...

    def follower(self, what: ChatRequest | RunAddress, consumer: RunConsumer, limits: Timeouts) -> Follower:
        """A run, not begun. From any thread."""
        ...
