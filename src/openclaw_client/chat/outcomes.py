"""What a run's caller gets at its end: the reply, or the error that says what is known."""

from __future__ import annotations

from openclaw_client.chat.arguments import ChatRequest
from openclaw_client.connection.connection import ErrorContext
from openclaw_client.errors import (
    ClientClosed,
    ConnectionLost,
    GatewayError,
    OutcomeUnknown,
    RequestTimeout,
    RunError,
    RunFailed,
    RunLost,
    RunTimeout,
    RunUnknown,
)
from openclaw_client.policy.redact import Redactor
from openclaw_client.runs.events import ChatReply, RunErrored
from openclaw_client.runs.peer import CHAT_SEND
from openclaw_client.runs.phases import NotFound, Outcome, OutOfReach, Refused, Unknown
from openclaw_client.runs.state import RunState


def told(
    run: RunState, outcome: Outcome, redactor: Redactor, known: ErrorContext, *, recorded: bool = False
) -> tuple[ChatReply | None, GatewayError | None]:
    """An outcome as the caller gets it: a reply or an error. recorded: its key is known, and is not sent again."""
    if isinstance(outcome, ChatReply):
        return outcome, None
    if isinstance(outcome, RunErrored):
        return None, failed(run, outcome, redactor, known)
    if isinstance(outcome, Refused):
        if isinstance(outcome.error, RequestTimeout):
            outcome.error.idempotency_key = run.run_id
            outcome.error.remedy = "chat_send() again with this idempotency_key doesn't run it twice"
        return None, outcome.error
    if isinstance(outcome, OutOfReach):
        return None, lost(run, outcome, known, recorded=recorded)
    if isinstance(outcome, Unknown):
        return None, unknown(run, outcome.cause, known)
    assert isinstance(outcome, NotFound)
    return None, not_found(run, known)


def failed(run: RunState, outcome: RunErrored, redactor: Redactor, known: ErrorContext) -> RunFailed:
    """The gateway says that the run failed."""
    return RunFailed(
        message=redactor.text(outcome.message),
        run_id=run.run_id,
        session_key=run.session_key,
        partial_text=outcome.text,
        kind=redactor.identifier(outcome.kind),
        detail=redactor.value(outcome.detail),
        connection_id=known["connection_id"],
        gateway_version=known["gateway_version"],
    )


def lost(run: RunState, outcome: OutOfReach, known: ErrorContext, *, recorded: bool = False) -> RunLost:
    """How the run ended cannot be found out."""
    again = "runs it again" if outcome.forgotten and not recorded else "doesn't run it twice"
    error = RunLost(
        message=outcome.what,
        remedy=f"Look into chat_history(); chat_send() with the same idempotency_key {again}",
        run_id=run.run_id,
        session_key=run.session_key,
        partial_text=run.text,
        sent_run=run.sent_run,
        **known,
    )
    cause = outcome.cause
    if cause is not None:
        error.__cause__, error.close_code, error.close_reason = cause, cause.close_code, cause.close_reason
    return error


def unknown(run: RunState, cause: GatewayError | None, known: ErrorContext) -> GatewayError:
    """Whether the message ran cannot be found out."""
    if isinstance(cause, ClientClosed):
        return ClientClosed(message="disconnect() was called", sent=True)
    lost_by = cause if isinstance(cause, ConnectionLost) else run.away_error
    error = OutcomeUnknown(
        method=run.sent_run.method if run.sent_run is not None else CHAT_SEND,
        message="the connection was lost before the gateway took the message",
        remedy="Look into chat_history() before sending it again",
        idempotency_key=run.run_id,
        close_code=lost_by.close_code if lost_by is not None else None,
        close_reason=lost_by.close_reason if lost_by is not None else None,
        sent=True,
        sent_run=run.sent_run,
        **known,
    )
    error.__cause__ = cause or lost_by
    return error


def not_found(run: RunState, known: ErrorContext) -> RunUnknown:
    """The gateway knows no run of this id."""
    return RunUnknown(
        message="the gateway knows no run of this id in the session",
        remedy="Look into chat_history(); a run that ended longer ago can only be found by its SentRun",
        run_id=run.run_id,
        session_key=run.session_key,
        connection_id=known["connection_id"],
        gateway_version=known["gateway_version"],
    )


def timed_out(run: RunState, limit: str, seconds: float, known: ErrorContext) -> RunTimeout:
    """A time limit of the caller passed; the run goes on."""
    return RunTimeout(
        limit=limit,
        timeout=seconds,
        remedy="The session's next message waits for it; chat_abort() ends it, chat_history() shows its reply later",
        run_id=run.run_id,
        session_key=run.session_key,
        partial_text=run.text,
        sent_run=run.sent_run,
        **known,
    )


def no_turn(request: ChatRequest, seconds: float | None, *, others: bool) -> RunTimeout:
    """Other runs of the session took the caller's whole time; nothing was sent."""
    busy = "a run of another client" if others else "an earlier message"
    return RunTimeout(
        limit="total",
        timeout=seconds,
        sent=False,
        remedy=f'The session was busy with {busy}; allow more time, or pass when_busy="send"',
        run_id=request.run_id,
        session_key=request.session_key,
    )


def left(run_id: str, session_key: str, text: str) -> RunError:
    """The reader left the run, which goes on."""
    return RunError(
        message="the run was left before its end; it goes on at the gateway",
        remedy="Ask for result() inside the block, or abort() before leaving it",
        run_id=run_id,
        session_key=session_key,
        partial_text=text,
    )
