"""What a run hands out while it goes on. Values: frozen, comparable, picklable.

Every event has `type`, a literal that names it, and `run_id`. An event that this release of the package does not know
comes as `RawEvent` and is never an error: a `match` over the events keeps a last case for it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal, TypeAlias

import msgspec

from openclaw_client.wire.approvals import Approval
from openclaw_client.wire.files import AgentFile
from openclaw_client.wire.questions import Question
from openclaw_client.wire.usage import Usage

__all__ = [
    "ApprovalRequested",
    "ApprovalResolved",
    "ChatReply",
    "FileSent",
    "QuestionAsked",
    "QuestionClosed",
    "RawEvent",
    "Reconnecting",
    "Resumed",
    "RunAborted",
    "RunCompleted",
    "RunDeferred",
    "RunErrored",
    "RunEvent",
    "RunStarted",
    "RunStatus",
    "SideResult",
    "TextAppended",
    "TextReplaced",
    "ThinkingAppended",
    "ToolFinished",
    "ToolStarted",
    "ToolUpdated",
]


@dataclass(frozen=True, slots=True)
class RunStarted:
    """The gateway took the message. status: "started", or "in_flight" where the run was going on already."""

    run_id: str
    status: str = "started"
    type: Literal["run_started"] = field(default="run_started", init=False)


@dataclass(frozen=True, slots=True)
class RunStatus:
    """What the run is busy with before its text. retry: the gateway's mapping about a retried model call."""

    run_id: str
    phase: str
    retry: Mapping[str, Any] | None = None
    type: Literal["run_status"] = field(default="run_status", init=False)


# Nearly every event is one of these two, and a frozen dataclass takes ten times longer to make than this, which is one
# in all that can be seen of it (fields, replace, asdict). They hold only strings: the collector need not look at them.
@dataclass(frozen=True, init=False, repr=False, eq=False, match_args=False)
class TextAppended(msgspec.Struct, frozen=True, gc=False):
    """text extends what the run had so far."""

    run_id: str
    text: str
    type: Literal["text_appended"] = "text_appended"


@dataclass(frozen=True, init=False, repr=False, eq=False, match_args=False)
class TextReplaced(msgspec.Struct, frozen=True, gc=False):
    """The text so far is void; text is the whole text now."""

    run_id: str
    text: str
    type: Literal["text_replaced"] = "text_replaced"


TextAppended.__dataclass_fields__["type"].init = False
TextReplaced.__dataclass_fields__["type"].init = False


@dataclass(frozen=True, slots=True)
class ThinkingAppended:
    """A piece of the model's reasoning, where the gateway hands it out."""

    run_id: str
    text: str
    type: Literal["thinking_appended"] = field(default="thinking_appended", init=False)


@dataclass(frozen=True, slots=True)
class ToolStarted:
    run_id: str
    call_id: str
    name: str
    args: Any = None
    type: Literal["tool_started"] = field(default="tool_started", init=False)


@dataclass(frozen=True, slots=True)
class ToolUpdated:
    run_id: str
    call_id: str
    name: str
    data: Any = None
    type: Literal["tool_updated"] = field(default="tool_updated", init=False)


@dataclass(frozen=True, slots=True)
class ToolFinished:
    run_id: str
    call_id: str
    name: str
    result: Any = None
    is_error: bool = False
    type: Literal["tool_finished"] = field(default="tool_finished", init=False)


@dataclass(frozen=True, slots=True)
class SideResult:
    """The answer to a `/btw` question, which is not part of the conversation."""

    run_id: str
    text: str
    question: str | None = None
    is_error: bool = False
    type: Literal["side_result"] = field(default="side_result", init=False)


@dataclass(frozen=True, slots=True)
class Reconnecting:
    """The socket is gone; the run goes on at the gateway and the client tries to reach it again."""

    run_id: str
    type: Literal["reconnecting"] = field(default="reconnecting", init=False)


@dataclass(frozen=True, slots=True)
class Resumed:
    """The connection is back and the run's state is known again."""

    run_id: str
    type: Literal["resumed"] = field(default="resumed", init=False)


@dataclass(frozen=True, slots=True)
class RunDeferred:
    """The message met another run of its session and is answered within that run or after it. Comes once.

    The client waits for the answer, whose text comes as that of any run.

    Attributes:
        run_id: The message's own run.
    """

    run_id: str
    type: Literal["run_deferred"] = field(default="run_deferred", init=False)


@dataclass(frozen=True, slots=True)
class ApprovalRequested:
    """The agent wants to be allowed something: answer with `approve` or `deny`. Nobody has, so far.

    Attributes:
        run_id: The run that asks; "" where no run of this client is known to.
        approval: What it asks for.
    """

    run_id: str
    approval: Approval
    type: Literal["approval_requested"] = field(default="approval_requested", init=False)


@dataclass(frozen=True, slots=True)
class ApprovalResolved:
    """An approval is over, whoever answered it.

    Attributes:
        run_id: As in `ApprovalRequested`.
        approval: What was asked for.
        status: "allowed", "denied", "expired", "cancelled" (its run has ended), or "gone" where nobody can tell.
        decision: What was decided, where somebody did.
    """

    run_id: str
    approval: Approval
    status: Literal["allowed", "denied", "expired", "cancelled", "gone"]
    decision: str | None = None
    type: Literal["approval_resolved"] = field(default="approval_resolved", init=False)


@dataclass(frozen=True, slots=True)
class QuestionAsked:
    """The agent asks something: answer with `answer` or `skip`. Its run waits.

    Attributes:
        run_id: The run that asks; "" where no run of this client is known to.
        question: What it asks.
    """

    run_id: str
    question: Question
    type: Literal["question_asked"] = field(default="question_asked", init=False)


@dataclass(frozen=True, slots=True)
class QuestionClosed:
    """A question is over, whoever answered it. The answers are not told.

    Attributes:
        run_id: As in `QuestionAsked`.
        question: What was asked.
        status: "answered", "skipped", "expired", "cancelled" (its run has ended, or somebody skipped it elsewhere), or
            "gone" where nobody can tell.
    """

    run_id: str
    question: Question
    status: Literal["answered", "skipped", "expired", "cancelled", "gone"]
    type: Literal["question_closed"] = field(default="question_closed", init=False)


@dataclass(frozen=True, slots=True)
class FileSent:
    """The agent sent a file, and its run goes on. Comes once for each file, and only to clients that are told of rows:
    those with listed sessions, from 2026.8.1 on.

    Attributes:
        run_id: The run that was asked for.
        file: What `download` takes. A file that stands in the answer itself comes behind the end of its run, and is
            in `ChatReply.files` alone.
    """

    run_id: str
    file: AgentFile
    type: Literal["file_sent"] = field(default="file_sent", init=False)


@dataclass(frozen=True, slots=True)
class RunCompleted:
    """The run ended with this text, which is authoritative.

    Attributes:
        run_id: The run.
        text: All that it said.
        stop_reason: Why the model stopped, in the gateway's words.
        usage: What the run took; None where its last event does not tell.
        content: The blocks of the last message as the gateway sent them: texts, images, … .
        model: The model that answered; None where the last event does not tell.
        provider: Whose model that is.
    """

    run_id: str
    text: str
    stop_reason: str | None = None
    usage: Usage | None = None
    type: Literal["run_completed"] = field(default="run_completed", init=False)
    content: tuple[Mapping[str, Any], ...] = ()
    model: str | None = None
    provider: str | None = None


@dataclass(frozen=True, slots=True)
class RunAborted:
    """The run was stopped; text is what it had written, content the blocks of its last message."""

    run_id: str
    text: str
    stop_reason: str | None = None
    type: Literal["run_aborted"] = field(default="run_aborted", init=False)
    content: tuple[Mapping[str, Any], ...] = ()


@dataclass(frozen=True, slots=True)
class RunErrored:
    """The run failed. kind and detail are the gateway's (see `RunFailed`)."""

    run_id: str
    message: str
    text: str = ""
    kind: str | None = None
    detail: Mapping[str, Any] | None = None
    type: Literal["run_errored"] = field(default="run_errored", init=False)


@dataclass(frozen=True, slots=True)
class RawEvent:
    """Something about the run that this release does not know: an event name and its payload."""

    run_id: str
    name: str
    payload: Any = None
    type: Literal["raw"] = field(default="raw", init=False)


Terminal: TypeAlias = RunCompleted | RunAborted | RunErrored
ApprovalEvent: TypeAlias = ApprovalRequested | ApprovalResolved
QuestionEvent: TypeAlias = QuestionAsked | QuestionClosed
RunEvent: TypeAlias = (
    RunStarted
    | RunStatus
    | TextAppended
    | TextReplaced
    | ThinkingAppended
    | ToolStarted
    | ToolUpdated
    | ToolFinished
    | SideResult
    | Reconnecting
    | Resumed
    | RunDeferred
    | ApprovalEvent
    | QuestionEvent
    | FileSent
    | RunCompleted
    | RunAborted
    | RunErrored
    | RawEvent
)


@dataclass(frozen=True, slots=True)
class ChatReply:
    """How a run ended, for those who ask for the result. A failed run is an exception instead.

    Attributes:
        text: The whole text for "final", what had been written for "aborted". Empty with "final" only where the model
            had nothing to say, or the message was a command or a stop word.
        run_id: The message's own run; on 2026.6.1 the one that answered the same words, where that was another.
        state: "final" or "aborted".
        session_key: The session, as it was given.
        stop_reason: Why the model stopped, in the gateway's words.
        usage: What the answer took, all model calls of its run together; None where that is not known. Certain with
            `details=True` only: else it is what the events told.
        recovered: Whether the text comes from the history because events were missed.
        merged_into: The run that answered this message and another one: its text holds these words beside others. None
            where there is none, or the gateway does not tell.
        aborted_run_ids: For a message that is a stop word, the runs that it stopped.
        side_results: The answers to `/btw` questions.
        content: The blocks of the answer as the gateway sent them, images among them.
        model: Who answered; None where that is not known.
        provider: Whose model that is.
        answered_by: The run whose words these are, where the message met another run and the answering one is named
            (2026.8.1 and later).
        pending_approval: The approval that is still waited for, where the run ended without it (2026.4.15 and
            2026.5.12): what comes of it comes as a message of its own. 2026.2.17 asks behind the end, and says so in
            the text.
        files: What the agent sent with it, for `download`; () where it sent none. None: not asked for (`details=True`
            does), or not known, as on releases before 2026.8.1, whose rows do not say how a file is got.
    """

    text: str
    run_id: str
    state: Literal["final", "aborted"]
    session_key: str
    stop_reason: str | None = None
    usage: Usage | None = None
    recovered: bool = False
    merged_into: str | None = None
    aborted_run_ids: tuple[str, ...] = ()
    side_results: tuple[SideResult, ...] = ()
    content: tuple[Mapping[str, Any], ...] = ()
    model: str | None = None
    provider: str | None = None
    answered_by: str | None = None
    pending_approval: Approval | None = None
    files: tuple[AgentFile, ...] | None = None
