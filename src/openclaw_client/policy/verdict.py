"""Which failures pass by themselves, which must be waited for, and which need a person.

The detail code of the refused connect decides; the close code is looked at only where there was no answer, because
one close code (1008) stands for bad credentials, pairing and a slow reader alike.
The codes are those of the gateway's protocol documentation; when they come was observed on four releases.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum

from openclaw_client.errors import GatewayError, RequestFailed
from openclaw_client.wire import codes
from openclaw_client.wire.frames import ErrorShape

LOCKOUT = 300.0
"""Seconds that the gateway's default lock-out lasts; for gateways that send no hint (observed: all but 2026.9.6)."""


SHORTEST = 0.1
"""Seconds; a gateway that names no time at all, again and again, must not be met by a loop of connects."""


LONGEST = 3600.0
"""Seconds that a gateway's hint is followed at most: one that names a year would be the end of the client."""


class Action(Enum):
    RETRY = "try again with backoff"
    WAIT = "try again after the stated delay"
    PARK = "stop until somebody changes something"


@dataclass(frozen=True, slots=True)
class Verdict:
    """delay is in seconds and set for WAIT only."""

    action: Action
    delay: float | None = None


RETRY = Verdict(Action.RETRY)
PARK = Verdict(Action.PARK)

_PARKED = frozenset(
    {
        codes.PROTOCOL_MISMATCH,
        codes.CLIENT_VERSION_MISMATCH,
        codes.INVALID_CONNECT,
        codes.INVALID_ROLE,
        codes.MISSING_SCOPE,
        codes.SIGNATURE_INVALID,
        codes.SIGNATURE_EXPIRED,
        "CONTROL_UI_BUILD_MISMATCH",
        "CONTROL_UI_ORIGIN_NOT_ALLOWED",
        "CONTROL_UI_DEVICE_IDENTITY_REQUIRED",
        "DEVICE_IDENTITY_REQUIRED",
        "DEVICE_AUTH_INVALID",
        "DEVICE_AUTH_DEVICE_ID_MISMATCH",
        "DEVICE_AUTH_PUBLIC_KEY_INVALID",
    }
)
_TRANSIENT_AUTH = "AUTH_TAILSCALE_WHOIS_FAILED"
"""A lookup that failed on the gateway's side says nothing about the credentials."""


def judge_refusal(error: ErrorShape) -> Verdict:
    """What a refused connect asks for, once the retries that belong to one attempt are used up."""
    code = codes.detail_code_of(error)
    hinted = min(max(error.retry_after, SHORTEST), LONGEST) if error.retry_after is not None else None
    starting = codes.startup_delay(error.detail("reason"), error.retry_after)
    if starting is not None:
        return Verdict(Action.WAIT, starting)
    if code == codes.RATE_LIMITED:
        return Verdict(Action.WAIT, hinted if hinted is not None else LOCKOUT)
    if code == codes.PAIRING_REQUIRED:
        keep_on = error.detail("pauseReconnect") is False or error.detail("recommendedNextStep") == "wait_then_retry"
        return RETRY if keep_on else PARK
    if code in _PARKED or (code is not None and code.startswith("AUTH_") and code != _TRANSIENT_AUTH):
        return PARK
    return Verdict(Action.WAIT, hinted) if hinted is not None else RETRY


def starting_delay(error: GatewayError | None) -> float | None:
    """Seconds after which a request is worth another try that a gateway refused as it is still starting, else None.

    Nothing was done for it (protocol docs: `UNAVAILABLE` with the reason "startup-sidecars", also of methods).
    """
    if not isinstance(error, RequestFailed) or error.details is None:
        return None
    return codes.startup_delay(error.details.get("reason"), error.retry_after)


def judge_close(code: int | None, reason: str) -> Verdict:
    """What a close without an answer to connect asks for. Unknown codes are transient."""
    if code == codes.CLOSE_PROTOCOL and "protocol mismatch" in reason.lower():
        return PARK
    if code == codes.CLOSE_POLICY:
        meaning = codes.code_of_text(reason)
        return judge_refusal(ErrorShape(message=reason)) if meaning is not None else RETRY
    return RETRY
