"""What a run's caller gets at its end: the reply, or the error that says what is known."""

from __future__ import annotations

from typing import TYPE_CHECKING

from openclaw_client.errors import ConnectionLost, GatewayError, OutcomeUnknown, RunFailed, RunLost, RunTimeout
from openclaw_client.policy.redact import Redactor
from openclaw_client.runs.events import ChatReply, RunAborted, RunCompleted, RunErrored, Terminal
from openclaw_client.runs.recovery import Answered

if TYPE_CHECKING:
    from openclaw_client.client.driver import RunDriver
    from openclaw_client.connection.connection import Known


def outcome(run: RunDriver, answer: Answered) -> Terminal:
    """The end of a run whose answer was found."""
    run_id = run.fold.run_id
    if answer.stop_reason == "aborted" or run.ended_before == "aborted":
        # Before the error, which such a row has as well.
        return RunAborted(run_id, answer.text or run.fold.text, answer.stop_reason)
    if answer.error is not None:
        return RunErrored(run_id, answer.error, answer.text or run.fold.text)
    return RunCompleted(run_id, answer.text, answer.stop_reason)


def reply(run: RunDriver, outcome: RunCompleted | RunAborted) -> ChatReply:
    completed = isinstance(outcome, RunCompleted)
    return ChatReply(
        text=outcome.text,
        run_id=run.run_ids[-1],
        state="final" if completed else "aborted",
        session_key=run.request.session_key,
        stop_reason=outcome.stop_reason,
        usage=outcome.usage if isinstance(outcome, RunCompleted) else None,
        recovered=run.recovered,
        merged_into=run.merged_into,
        aborted_run_ids=run.stopped,
        side_results=tuple(run.fold.side_results),
    )


def failed(run: RunDriver, outcome: RunErrored, redactor: Redactor, known: Known) -> RunFailed:
    """The gateway says that the run failed."""
    return RunFailed(
        message=redactor.text(outcome.message),
        run_id=run.fold.run_id,
        session_key=run.request.session_key,
        partial_text=outcome.text,
        kind=outcome.kind,
        detail=redactor.value(outcome.detail),
        connection_id=known["connection_id"],
        gateway_version=known["gateway_version"],
    )


def lost(run: RunDriver, what: str, cause: GatewayError | None, known: Known, *, forgotten: bool = False) -> RunLost:
    """How the run ended cannot be found out. forgotten: the gateway was restarted, and knows the key no more."""
    again = "runs it again" if forgotten else "doesn't run it twice"
    error = RunLost(
        message=what,
        remedy=f"Look into chat_history(); chat_send() with the same idempotency_key {again}",
        run_id=run.fold.run_id,
        session_key=run.request.session_key,
        partial_text=run.fold.text,
        **known,
    )
    if cause is not None:
        error.__cause__, error.close_code, error.close_reason = cause, cause.close_code, cause.close_reason
    return error


def unknown(run: RunDriver, away: ConnectionLost | None, cause: GatewayError | None, known: Known) -> OutcomeUnknown:
    """Whether the message ran cannot be found out. away: how the connection went on which it was sent."""
    error = OutcomeUnknown(
        method="chat.send",
        message="the connection was lost before the gateway took the message",
        remedy="Look into chat_history() before sending it again",
        idempotency_key=run.request.run_id,
        close_code=away.close_code if away is not None else None,
        close_reason=away.close_reason if away is not None else None,
        sent=True,
        **known,
    )
    error.__cause__ = cause or away
    return error


def timed_out(run: RunDriver, limit: str, seconds: float, known: Known) -> RunTimeout:
    """A time limit of the caller passed; the run goes on."""
    return RunTimeout(
        limit=limit,
        timeout=seconds,
        remedy="The session's next message waits for it; chat_abort() ends it, chat_history() shows its reply later",
        run_id=run.fold.run_id,
        session_key=run.request.session_key,
        partial_text=run.fold.text,
        **known,
    )


def no_turn(run: RunDriver, seconds: float | None) -> RunTimeout:
    """Earlier messages of the session took the caller's whole time; nothing was sent."""
    return RunTimeout(
        limit="total",
        timeout=seconds,
        sent=False,
        remedy='The session was busy with an earlier message; allow more time, or pass when_busy="send"',
        run_id=run.fold.run_id,
        session_key=run.request.session_key,
    )
