"""What a run has of its client: requests, its session's gate, the place where its events come in. Nothing else."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

from openclaw_client.chat.details import LookUps
from openclaw_client.chat.held import HeldMessages
from openclaw_client.chat.methods import ChatMethods
from openclaw_client.chat.record import RunRecord
from openclaw_client.connection.fast_path import Take
from openclaw_client.errors import ConnectionLost, GatewayError
from openclaw_client.policy.redact import Redactor
from openclaw_client.runs.events import ApprovalEvent, QuestionEvent
from openclaw_client.runs.peer import SentRun
from openclaw_client.runs.phases import Outcome
from openclaw_client.sessions.gates import SessionGates
from openclaw_client.wire.agent import AgentPayload
from openclaw_client.wire.chat import ChatPayload
from openclaw_client.wire.history import HistoryMessage


class RunListener(Protocol):
    """A run as the router knows it. Everything on the loop's thread; `now` is the loop's clock."""

    session_key: str
    on_delta: Callable[[ChatPayload, float], None]
    """Gets the chat events whose state is "delta": the machine's own method, past the driver."""

    @property
    def run_ids(self) -> list[str]: ...

    @property
    def heard_at(self) -> float:
        """When something of the run came last, by the loop's clock."""
        ...

    @property
    def left(self) -> bool:
        """Whether nobody listens any more."""
        ...

    @property
    def deferred(self) -> bool:
        """Whether the message is answered elsewhere."""
        ...

    @property
    def followed(self) -> str | None:
        """The run whose events are taken for this one's; None for its own."""
        ...

    def on_chat(self, payload: ChatPayload, now: float) -> None: ...

    def on_agent(self, payload: AgentPayload, now: float) -> None: ...

    def on_side_result(self, payload: dict[str, object], now: float) -> None: ...

    def on_row(self, row: HistoryMessage) -> None:
        """A row of the run was written down."""

    def on_interaction(self, event: ApprovalEvent | QuestionEvent, *, patient: bool) -> None:
        """The run waits for a person, or no longer does; see `RunLife.interaction`."""

    @property
    def command(self) -> str | None:
        """The command of the run's latest tool that has one."""
        ...

    def on_gap(self, *, certain: bool) -> None: ...

    def on_other_ended(self, now: float) -> None:
        """Another run of the session ended."""

    def on_aborted(self, run_ids: tuple[str, ...]) -> None:
        """A call of this client stopped these runs."""

    def on_lost(self, error: ConnectionLost) -> None: ...

    def on_back(self) -> None: ...

    def on_gone(self, error: GatewayError) -> None: ...

    def after_fork(self, error: ConnectionLost) -> None:
        """In a forked child: the run is the parent's."""

    def fast_path(self, data: bytes, until: float) -> Take | None:
        """Who takes the deltas that begin like this one, up to a time of the loop's clock; None where nobody can."""
        ...


class RunRegistry(Protocol):
    """Where runs are found by their ids."""

    def add(self, run: RunListener) -> None: ...

    def remove(self, run: RunListener) -> None: ...

    def is_busy(self, run: RunListener) -> bool:
        """Whether another run of the session is heard and not over."""
        ...

    def heard_at(self, run: RunListener) -> float:
        """When something of another run of the session came last, by the loop's clock; -inf where none is heard."""
        ...

    def hold(self, session_key: str) -> HeldMessages: ...


@dataclass(frozen=True, slots=True)
class RunContext:
    """on_sent: a message is on its way. on_ended: a run is over, all of whose ids are given; of one that was sent, with
    what is known of it. Returns the outcome, with what is still waited for. record: where runs are written down; None
    where they are not."""

    methods: ChatMethods
    look_ups: LookUps
    gates: SessionGates
    registry: RunRegistry
    redactor: Callable[[], Redactor]
    on_sent: Callable[[SentRun], None]
    on_ended: Callable[[tuple[str, ...], SentRun | None, Outcome], Outcome]
    record: RunRecord | None = None
