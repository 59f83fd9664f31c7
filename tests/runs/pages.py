"""Rows and pages of a history, as the releases write them."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from openclaw_client.wire.history import HistoryMessage, HistoryPage, InFlightRun, PendingInput

SENT = 1_700_000_000_000.0
"""When the message was sent, in milliseconds of the gateway's clock."""

TOOL = {"role": "toolResult", "content": "ok"}


def user(text: str, run_id: str | None = None, at: float | None = SENT, **meta: Any) -> dict[str, Any]:
    meta |= {"idempotencyKey": f"{run_id}:user"} if run_id else {}
    row = {"role": "user", "content": text, **({} if at is None else {"timestamp": at})}
    return row | ({"__openclaw": meta} if meta else {})


def assistant(text: str, run_id: str | None = None, stop: str | None = None, **rest: Any) -> dict[str, Any]:
    meta = {"__openclaw": {"runId": run_id}} if run_id else {}
    stopped = {} if stop is None else {"stopReason": stop}
    return {"role": "assistant", "content": [{"type": "text", "text": text}], **meta, **stopped, **rest}


INJECTED = {**assistant("injected", stop="stop"), "provider": "openclaw", "model": "gateway-injected"}


def steered(run_id: str, into: str) -> dict[str, Any]:
    return user("x", run_id, None, steerTargetRunId=into)


def collected(*words: str, at: float | None = SENT) -> dict[str, Any]:
    """One row of several messages that waited."""
    text = "".join(f"\n---\nQueued #{number}\n{said}" for number, said in enumerate(words, 1))
    return user(text, None, at, idempotencyKey="followup-collect:x")


def pending(page: HistoryPage, *run_ids: str, state: str = "queued") -> HistoryPage:
    return replace(page, pending=tuple(PendingInput(run_id, state) for run_id in run_ids))


def page(
    *rows: dict[str, Any],
    flight: InFlightRun | None = None,
    active: tuple[str, ...] | None = None,
    busy: bool | None = None,
) -> HistoryPage:
    return HistoryPage([HistoryMessage(row) for row in rows], flight, active, busy)
