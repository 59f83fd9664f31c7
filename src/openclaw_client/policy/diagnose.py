"""From what the gateway said to the error that the caller gets, and the sentence that says what to do.

One table for all of it: code → class of error → remedy.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any

from openclaw_client.errors import (
    AuthRejected,
    ConnectError,
    MissingScope,
    PairingRequired,
    ProtocolMismatch,
    RateLimited,
    RequestFailed,
    Unreachable,
)
from openclaw_client.policy.scopes import missing_scopes
from openclaw_client.wire import codes, limits
from openclaw_client.wire.frames import ErrorShape

_REQUEST_ID = re.compile(r"[A-Za-z0-9][A-Za-z0-9._:-]{0,127}")
"""Only an id of this form is put into a command that a person will paste into a shell."""

_REMEDIES: dict[str, str] = {
    codes.PROTOCOL_MISMATCH: "Upgrade whichever side is older",
    codes.CLIENT_VERSION_MISMATCH: "Upgrade openclaw-client",
    codes.TOKEN_MISMATCH: "Check the token: it must be the gateway's gateway.auth.token",
    codes.DEVICE_TOKEN_MISMATCH: "The stored device token counts no more: connect with the shared token, or pair again",
    codes.SCOPE_MISMATCH: "Ask for the approved scopes only, or connect with the shared token to have more approved",
    codes.RATE_LIMITED: "Wait until the lock-out ends, and correct the credentials before the next try",
    "AUTH_TOKEN_MISSING": "Pass token=, or set OPENCLAW_GATEWAY_TOKEN",
    "AUTH_PASSWORD_MISSING": "Pass password=, or set OPENCLAW_GATEWAY_PASSWORD",
    "AUTH_PASSWORD_MISMATCH": "Check the password: it must be the gateway's gateway.auth.password",
    "AUTH_TOKEN_NOT_CONFIGURED": "Set gateway.auth.token on the gateway, or use its password",
    "AUTH_PASSWORD_NOT_CONFIGURED": "Set gateway.auth.password on the gateway, or use its token",
    "AUTH_BOOTSTRAP_TOKEN_INVALID": "Ask for a new bootstrap token: each works once and not for long",
    "DEVICE_IDENTITY_REQUIRED": "Connect with a device identity (the default), or pass token= or password=",
    "CONTROL_UI_ORIGIN_NOT_ALLOWED": "Send no Origin header, or allow this origin on the gateway",
    codes.SIGNATURE_INVALID: "Check that the credentials are this gateway's and that the identity file is intact",
    codes.SIGNATURE_EXPIRED: "Something between client and gateway holds frames back: look for a slow proxy",
    codes.INVALID_CONNECT: "The gateway is older or newer than this client expects: report its version",
    codes.INVALID_ROLE: 'Use role="operator"',
    codes.MISSING_SCOPE: "Ask for the scope with scopes=, and connect with a device identity",
}
_AUTH_REMEDY = "Check the credentials and the identity file, and the auth settings of the gateway"
_OTHER_REMEDY = "Look into the gateway's log for the reason"
_UNREACHABLE_REMEDY = "Check the URL, and that the gateway is running"


@dataclass(frozen=True, slots=True)
class Attempt:
    """What is known about the attempt that failed. url is redacted."""

    url: str
    number: int = 1
    close_code: int | None = None
    close_reason: str = ""
    gateway_version: str | None = None
    last_frame_age: float | None = None
    requested_scopes: tuple[str, ...] = ()
    device_id: str | None = None

    def known(self) -> dict[str, Any]:
        """The fields of a `ConnectError` that this fills."""
        return {
            "url": self.url,
            "attempt": self.number,
            "close_code": self.close_code,
            "close_reason": self.close_reason or None,
            "gateway_version": self.gateway_version,
            "last_frame_age": self.last_frame_age,
        }


def remedy_for(code: str | None) -> str:
    """What to do about a code; "" for one that this package does not know."""
    return _REMEDIES.get(code or "", "")


def refusal(error: ErrorShape, attempt: Attempt) -> ConnectError:
    """The error for a refused connect."""
    code = codes.detail_code_of(error)
    fields: dict[str, Any] = {
        "message": f"the gateway refused the connect: {error.message or error.code}",
        "remedy": remedy_for(code),
        "code": error.code,
        "detail_code": code,
        "retry_after": error.retry_after,
        **attempt.known(),
    }
    if code == codes.PROTOCOL_MISMATCH:
        return ProtocolMismatch(**fields, **_versions(error))
    if code == codes.RATE_LIMITED:
        return RateLimited(**fields)
    if code == codes.PAIRING_REQUIRED:
        return PairingRequired(
            **{**fields, "message": "the gateway wants this device approved"}, **_pairing(error, attempt)
        )
    if code in (codes.MISSING_SCOPE, codes.SCOPE_MISMATCH):
        missing = codes.missing_scope_of(error)
        return MissingScope(**fields, requested=attempt.requested_scopes, missing=(missing,) if missing else ())
    if code is not None and (code.startswith(("AUTH_", "DEVICE_", "CONTROL_UI_")) or code == codes.INVALID_ROLE):
        fields["remedy"] = fields["remedy"] or _AUTH_REMEDY
        return AuthRejected(**fields)
    if error.code == "UNAVAILABLE":
        fields["remedy"] = fields["remedy"] or "Try again in a moment: the gateway is not ready"
        return Unreachable(**fields)
    fields["remedy"] = fields["remedy"] or _OTHER_REMEDY
    return ConnectError(**fields)


def closed_early(attempt: Attempt) -> ConnectError:
    """The error for a socket that ended before hello without an answer to connect."""
    shape = ErrorShape(message=attempt.close_reason)
    if attempt.close_code in (codes.CLOSE_POLICY, codes.CLOSE_PROTOCOL) and codes.detail_code_of(shape) is not None:
        return refusal(shape, attempt)
    return Unreachable(
        message="the gateway closed the connection before the handshake was complete",
        remedy="Look into the gateway's log; it may be starting or restarting",
        **attempt.known(),
    )


def unreachable(what: str, attempt: Attempt) -> Unreachable:
    """The error for a socket that never opened; what: the reason in words."""
    return Unreachable(
        message=f"the gateway cannot be reached: {what}",
        remedy=_UNREACHABLE_REMEDY,
        **attempt.known(),
    )


def request_failure(
    method: str,
    error: ErrorShape,
    payload: Any,
    *,
    requested: tuple[str, ...] = (),
    granted: tuple[str, ...] = (),
    connection_id: str | None = None,
    gateway_version: str | None = None,
) -> RequestFailed:
    """The error for a refused request; MissingScope where that is why."""
    code = codes.detail_code_of(error)
    fields: dict[str, Any] = {
        "method": method,
        "message": error.message or error.code,
        "code": error.code,
        "detail_code": error.detail("code") if isinstance(error.detail("code"), str) else None,
        "details": error.details if isinstance(error.details, dict) else None,
        "retryable": error.retryable is True,
        "retry_after": error.retry_after,
        "payload": payload,
        "connection_id": connection_id,
        "gateway_version": gateway_version,
    }
    required = codes.required_scopes_of(error)
    if required or code == codes.MISSING_SCOPE:
        scopes = missing_scopes(required, granted) or required
        fields["remedy"] = remedy_for(codes.MISSING_SCOPE)
        fields["detail_code"] = codes.MISSING_SCOPE
        return MissingScope(**fields, requested=requested, granted=granted, missing=scopes)
    return RequestFailed(**fields)


def _versions(error: ErrorShape) -> dict[str, Any]:
    expected = error.detail("expectedProtocol")
    return {
        "client_min": limits.PROTOCOL_MIN,
        "client_max": limits.PROTOCOL_MAX,
        "expected": expected if type(expected) is int else None,
    }


def _pairing(error: ErrorShape, attempt: Attempt) -> dict[str, Any]:
    ident, reason, device = (error.detail(name) for name in ("requestId", "reason", "deviceId"))
    return {
        "request_id": ident if isinstance(ident, str) and _REQUEST_ID.fullmatch(ident) else None,
        "device_id": device if isinstance(device, str) else attempt.device_id,
        "reason": reason if isinstance(reason, str) else None,
        "requested_scopes": _strings(error.detail("requestedScopes")) or attempt.requested_scopes,
        "approved_scopes": _strings(error.detail("approvedScopes")),
    }


def _strings(value: Any) -> tuple[str, ...]:
    return tuple(item for item in value if isinstance(item, str)) if isinstance(value, list) else ()
