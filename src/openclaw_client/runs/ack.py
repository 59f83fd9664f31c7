"""What the response to a message (chat.send, agent) says about the run.

Observed on four releases: a new run, a run that is under way already, a run with this key that ended within the last
minutes (no event will follow), and, for a message that is a stop word, no run at all.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, slots=True)
class Running:
    """Events follow under run_id, which on 2026.6.1 can be another run's: the same text was under way already."""

    run_id: str
    status: str


@dataclass(frozen=True, slots=True)
class EndedBefore:
    """The run with this key is over; no event follows. status: "ok", "timeout" (aborted) or "error"."""

    run_id: str
    status: str
    message: str | None = None


@dataclass(frozen=True, slots=True)
class Stopped:
    """The message was a stop word: there is no run. run_ids: the runs that it stopped."""

    run_ids: tuple[str, ...]


Ack = Running | EndedBefore | Stopped


def read_ack(payload: Any, run_id: str) -> Ack:
    """The meaning of a payload of chat.send or agent; what is not understood counts as a run that goes on."""
    fields: Mapping[str, Any] = payload if isinstance(payload, dict) else {}
    actual, status = fields.get("runId"), fields.get("status")
    actual = actual if isinstance(actual, str) and actual else run_id
    if status is None and ("aborted" in fields or "runIds" in fields):
        stopped = fields.get("runIds")
        return Stopped(tuple(item for item in stopped if isinstance(item, str)) if isinstance(stopped, list) else ())
    if status == "error" and fields.get("stopReason") == "aborted":
        # What 2026.8.1 says of an aborted run of the method `agent`.
        status = "timeout"
    if status in ("ok", "timeout", "error"):
        return EndedBefore(actual, str(status), _words_of(fields))
    return Running(actual, status if isinstance(status, str) else "started")


def _words_of(fields: Mapping[str, Any]) -> str | None:
    """What the gateway says of the end. Where the model said nothing, 2026.9.6 has the reason among the texts of the
    answer, and "failed" for the summary."""
    result = fields.get("result")
    said = result.get("payloads") if isinstance(result, dict) else None
    errors = (
        [one.get("text") for one in said if isinstance(one, dict) and one.get("isError")]
        if isinstance(said, list)
        else []
    )
    return next((one for one in (*errors, fields.get("summary")) if isinstance(one, str)), None)
