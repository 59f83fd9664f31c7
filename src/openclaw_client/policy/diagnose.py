"""From what the gateway said, or did not, to the error that the caller gets.

Code → class of error; what to do about it comes from the one table, in `policy.advice`.
"""

from __future__ import annotations

import re
from collections.abc import Collection
from dataclasses import dataclass
from typing import Any, TypeVar

from openclaw_client.errors import (
    AuthRejected,
    ConnectError,
    HandshakeTimeout,
    MethodUnavailable,
    MissingScope,
    PairingRequired,
    ProtocolMismatch,
    RateLimited,
    RequestFailed,
    Unreachable,
)
from openclaw_client.policy import methods
from openclaw_client.policy.advice import Advice, advice_for, advice_for_close, remedy_for_message
from openclaw_client.policy.scopes import missing_scopes
from openclaw_client.policy.trusted_proxy import trusted_proxy_remedy
from openclaw_client.wire import codes, limits
from openclaw_client.wire.frames import ErrorShape
from openclaw_client.wire.handshake import Hello

_REQUEST_ID = re.compile(r"[A-Za-z0-9][A-Za-z0-9._:-]{0,127}")
"""Only an id of this form is put into a command that a person will paste into a shell."""

_CONNECT = Advice("connect", "the gateway refused the connect request", "Look into the gateway's log for the reason")
_MAYBE_HIDDEN = "; one that it has and does not name wants the scope operator.admin"
_AUTH_REMEDY = "Check the credentials and the identity file, and the auth settings of the gateway"


@dataclass(frozen=True, slots=True)
class Attempt:
    """What is known about the attempt that failed. url is redacted; stage is how far it had come."""

    url: str
    number: int = 1
    stage: str | None = None
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
            "stage": self.stage,
            "attempt": self.number,
            "close_code": self.close_code,
            "close_reason": self.close_reason or None,
            "gateway_version": self.gateway_version,
            "last_frame_age": self.last_frame_age,
        }


def remedy_for(code: str | None) -> str:
    """What to do about a code; "" for one that this package does not know."""
    advice = advice_for(code)
    return advice.remedy if advice is not None else ""


_E = TypeVar("_E", bound=ConnectError)


def explain(error: _E) -> _E:
    """The error with its stage and its remedy, where its code is known and it has none yet."""
    advice = advice_for(error.detail_code)
    if advice is not None:
        error.stage = error.stage or advice.stage
        error.remedy = error.remedy or advice.remedy
    return error


def refusal(error: ErrorShape, attempt: Attempt) -> ConnectError:
    """The error for a refused connect."""
    code = codes.detail_code_of(error)
    fields: dict[str, Any] = {
        **attempt.known(),
        "stage": (advice_for(code) or _CONNECT).stage,
        "message": f"the gateway refused the connect: {error.message or error.code}",
        "remedy": trusted_proxy_remedy(error.detail("authReason")) or remedy_for(code),
        "code": error.code,
        "detail_code": code,
        "retry_after": error.retry_after,
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
    fields["remedy"] = fields["remedy"] or _CONNECT.remedy
    return ConnectError(**fields)


def done_without(error: ErrorShape, scopes: tuple[str, ...]) -> str:
    """What a log line says where a connect was refused for these scopes, and is made without them."""
    what = f"this device may not have {', '.join(scopes)} yet, and connects without"
    if codes.detail_code_of(error) != codes.PAIRING_REQUIRED:
        return f"{what}; connect once with the shared token to have more approved"
    ident = error.detail("requestId")
    known = isinstance(ident, str) and _REQUEST_ID.fullmatch(ident)
    command = f"openclaw devices approve {ident}" if known else "openclaw devices list"
    return f"{what}; approve it with `{command}`"


def closed_early(attempt: Attempt) -> ConnectError:
    """The error for a socket that ended before hello without an answer to connect."""
    shape = ErrorShape(message=attempt.close_reason)
    if attempt.close_code in (codes.CLOSE_POLICY, codes.CLOSE_PROTOCOL) and codes.detail_code_of(shape) is not None:
        return refusal(shape, attempt)
    advice = advice_for_close(attempt.close_code)
    return Unreachable(
        message="the gateway closed the connection before the handshake was complete",
        remedy=advice.remedy if advice is not None else _CONNECT.remedy,
        **attempt.known(),
    )


def too_old(hello: Hello, attempt: Attempt) -> ProtocolMismatch | None:
    """The error for a gateway that is older than what is supported; None for one that is not, or does not say so."""
    if hello.release is None or hello.release >= limits.OLDEST_RELEASE:
        return None
    return explain(
        ProtocolMismatch(
            message=f"the gateway is OpenClaw {'.'.join(map(str, hello.release))}, and the oldest release that this "
            f"client supports is {limits.OLDEST_RELEASE_NAME}",
            detail_code=codes.GATEWAY_TOO_OLD,
            connection_id=hello.server.conn_id or None,
            **attempt.known(),
        )
    )


def too_slow(what: str, code: str, attempt: Attempt) -> HandshakeTimeout:
    """The error for a handshake that did not complete in time; code: which step of it."""
    error = HandshakeTimeout(
        message=f"the gateway did not complete the handshake: {what}", detail_code=code, **attempt.known()
    )
    return explain(error)


def not_understood(what: str, code: str, attempt: Attempt) -> ConnectError:
    """The error for a handshake in which the other side said what no gateway says."""
    return explain(ConnectError(message=what, detail_code=code, **attempt.known()))


def unreachable(what: str, attempt: Attempt) -> Unreachable:
    """The error for a socket that was not open in time; what: the reason in words."""
    error = Unreachable(message=f"the gateway cannot be reached: {what}", detail_code="NO_ANSWER", **attempt.known())
    return explain(error)


def request_failure(
    method: str,
    error: ErrorShape,
    payload: Any,
    *,
    requested: tuple[str, ...] = (),
    granted: tuple[str, ...] = (),
    connection_id: str | None = None,
    gateway_version: str | None = None,
    advertised: Collection[str] = (),
) -> RequestFailed:
    """The error for a refused request; MissingScope or MethodUnavailable where that is why.

    advertised: the methods that the gateway names.
    """
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
    if methods.is_absent(method, error, advertised):
        sure = methods.says_unknown(method, error)
        fields["remedy"] = "Check the name and the gateway's release" + ("" if sure else _MAYBE_HIDDEN)
        fields["detail_code"] = codes.UNKNOWN_METHOD
        return MethodUnavailable(**fields, suggestion=methods.nearest(method, advertised))
    required = codes.required_scopes_of(error)
    if required or code == codes.MISSING_SCOPE:
        scopes = missing_scopes(required, granted) or required
        fields["remedy"] = remedy_for(codes.MISSING_SCOPE)
        fields["detail_code"] = codes.MISSING_SCOPE
        return MissingScope(**fields, requested=requested, granted=granted, missing=scopes)
    return RequestFailed(**fields, remedy=remedy_for_message(method, error.message))


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
