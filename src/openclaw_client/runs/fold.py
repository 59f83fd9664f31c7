"""One run as a fold: chat and agent events in, typed events out, and one outcome.

The first terminal event wins: gateways send a second one for failed and aborted runs (observed on 2026.4.15, 2026.6.1
and 2026.9.6), and it says less than the first.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from openclaw_client.runs.activity import OVER, Activity, ActivityTracker
from openclaw_client.runs.events import (
    ApprovalEvent,
    QuestionEvent,
    RawEvent,
    RunAborted,
    RunCompleted,
    RunErrored,
    RunEvent,
    RunStatus,
    SideResult,
    Terminal,
)
from openclaw_client.runs.text import TextReducer
from openclaw_client.runs.tools import ToolTracker
from openclaw_client.runs.usage import added
from openclaw_client.wire.agent import AgentPayload
from openclaw_client.wire.chat import ChatMessage, ChatPayload, MessageDetails, message_text, shows_anything
from openclaw_client.wire.usage import Usage

_NOTHING: tuple[RunEvent, ...] = ()


class RunFold:
    """State of one run. Every method returns the events that its argument stands for, in order.

    After the terminal event nothing is returned any more. `text` is the text so far, `outcome` the terminal event,
    `wordless` whether a final without words came of a run that had said nothing, which is no outcome: the message may
    be answered elsewhere. Until the end `reducer` may be given deltas past this object, which adds nothing to them.
    """

    __slots__ = (
        "_activity",
        "_last_status",
        "_told",
        "_tools",
        "outcome",
        "reducer",
        "run_id",
        "side_results",
        "wordless",
    )

    def __init__(self, run_id: str) -> None:
        self.run_id = run_id
        self.outcome: Terminal | None = None
        self.side_results: list[SideResult] = []
        self.wordless = False
        self.reducer = TextReducer(run_id)
        self._tools = ToolTracker()
        self._last_status: RunStatus | None = None
        self._activity = ActivityTracker()
        # Which model answers and what that took, told beside the chat events.
        self._told = MessageDetails()

    @property
    def text(self) -> str:
        return self.reducer.text

    @property
    def activity(self) -> Activity:
        return OVER if self.outcome is not None else self._activity.now(len(self.text))

    def delta(self, payload: ChatPayload) -> RunEvent | None:
        """A chat event whose state is "delta": nearly every event, and never more than one out of it."""
        return self.reducer.delta(payload) if self.outcome is None else None

    def chat(self, payload: ChatPayload) -> tuple[RunEvent, ...]:
        """A chat event of this run."""
        if self.outcome is not None:
            return _NOTHING
        state = payload.state
        if state == "delta":
            event = self.reducer.delta(payload)
            return (event,) if event is not None else _NOTHING
        if state == "final":
            return self._final(payload)
        if state == "aborted":
            return self._aborted(payload)
        if state == "error":
            return self._failed(payload)
        if state == "status":
            status = RunStatus(self.run_id, payload.phase or "", payload.retry)
            self._activity.note(status, len(self.text))
            return self._status(status)
        return (RawEvent(self.run_id, f"chat.{state}"),)

    def agent(self, payload: AgentPayload) -> tuple[RunEvent, ...]:
        """An agent event of this run."""
        if self.outcome is not None:
            return _NOTHING
        event = self._tools.receive(self.run_id, payload)
        if event is None:
            return _NOTHING
        self._activity.note(event, len(self.text))
        return self._status(event) if isinstance(event, RunStatus) else (event,)

    def interaction(self, event: ApprovalEvent | QuestionEvent) -> tuple[RunEvent, ...]:
        """The run waits for a person, or no longer does."""
        if self.outcome is not None:
            return _NOTHING
        self._activity.note_interaction(event)
        return (event,)

    def wait_for_approval(self, data: Mapping[str, Any]) -> None:
        """The run waits for an approval, or no longer does: told to whoever hears the run, whoever may answer."""
        self._activity.note_approval(data)

    @property
    def waits_for_a_person(self) -> bool:
        return self._activity.waits_for_a_person

    @property
    def command(self) -> str | None:
        """The command of the latest tool that has one."""
        return self._activity.command

    def side_result(self, payload: Mapping[str, Any]) -> tuple[RunEvent, ...]:
        """A chat.side_result of this run: the answer to a `/btw` question, before an empty final."""
        if self.outcome is not None:
            return _NOTHING
        text, question = payload.get("text"), payload.get("question")
        event = SideResult(
            self.run_id,
            text if isinstance(text, str) else "",
            question if isinstance(question, str) else None,
            payload.get("isError") is True,
        )
        self.side_results.append(event)
        return (event,)

    def note(self, details: MessageDetails) -> None:
        """A row of the answer was written, or the model was named: for the end of a run that does not tell itself."""
        told = self._told
        self._told = MessageDetails(
            usage=added((told.usage, details.usage)),
            model=details.model or told.model,
            provider=details.provider or told.provider,
        )

    def finish(self, outcome: Terminal) -> tuple[RunEvent, ...]:
        """End the run with an outcome known from elsewhere (an acknowledgement, the history)."""
        if self.outcome is not None:
            return _NOTHING
        tail = self.reducer.become(outcome.text)
        self.outcome = outcome
        return (tail, outcome) if tail is not None else (outcome,)

    def follow(self) -> None:
        """From now on the events of another run are taken for this one's."""
        self.reducer = TextReducer(self.run_id, self.text)
        self.wordless = False

    def resume(self, text: str) -> tuple[RunEvent, ...]:
        """Adopt the text of a run that went on while this side was away."""
        if self.outcome is not None:
            return _NOTHING
        # The page may be older than what has come live since.
        event = None if self.text.startswith(text) else self.reducer.become(text)
        self.reducer = TextReducer(self.run_id, self.reducer.text, resumed=True)
        return (event,) if event is not None else _NOTHING

    def _status(self, event: RunStatus) -> tuple[RunEvent, ...]:
        """2026.9.6 tells each phase twice, as a chat event and as an agent event."""
        if event == self._last_status:
            return _NOTHING
        self._last_status = event
        return (event,)

    def _final(self, payload: ChatPayload) -> tuple[RunEvent, ...]:
        text = message_text(payload.message)
        details, told = payload.details(), self._told
        # A media reply has only its media; what was streamed before stands.
        self.wordless = not (text or self.text or self.side_results or shows_anything(details.content))
        if self.wordless:
            return _NOTHING
        return self.finish(
            RunCompleted(
                self.run_id,
                text or self.text,
                _stop_reason(payload),
                Usage(payload.usage) if payload.usage is not None else details.usage or told.usage,
                content=details.content,
                model=details.model or told.model,
                provider=details.provider or told.provider,
            )
        )

    def _aborted(self, payload: ChatPayload) -> tuple[RunEvent, ...]:
        text = message_text(payload.message)
        # A partial message may lag behind what was streamed; the longer of the two was really written.
        partial = self.text if text is None or self.text.startswith(text) else text
        content = payload.details().content
        return self.finish(RunAborted(self.run_id, partial, _stop_reason(payload), content=content))

    def _failed(self, payload: ChatPayload) -> tuple[RunEvent, ...]:
        text = message_text(payload.message)
        return self.finish(
            RunErrored(
                self.run_id,
                payload.error_message or "the gateway gave no reason",
                self.text if not text or self.text.startswith(text) else text,
                payload.error_kind,
                payload.error_detail,
            )
        )


def _stop_reason(payload: ChatPayload) -> str | None:
    if payload.stop_reason is not None:
        return payload.stop_reason
    return payload.message.stop_reason if isinstance(payload.message, ChatMessage) else None
