"""Error codes, close codes, and the mapping of v3 error texts to codes.

Gateways up to 2026.2 send connect errors as text alone; `detail_code_of` gives them the code that later releases send,
so that every decision above this layer is made on one vocabulary.
"""

from __future__ import annotations

from typing import Final

from openclaw_client.wire.frames import ErrorShape

# Close codes. 4000 is the client's own: it never comes from a gateway.
CLOSE_NORMAL: Final = 1000
CLOSE_GOING_AWAY: Final = 1001
CLOSE_PROTOCOL: Final = 1002
CLOSE_NO_CODE: Final = 1005
CLOSE_ABNORMAL: Final = 1006
CLOSE_POLICY: Final = 1008
CLOSE_TOO_BIG: Final = 1009
CLOSE_FAILED: Final = 1011
CLOSE_RESTART: Final = 1012
CLOSE_TRY_LATER: Final = 1013
CLOSE_CLIENT_TIMEOUT: Final = 4000
CLOSE_REVOKED: Final = 4001

PROTOCOL_MISMATCH: Final = "PROTOCOL_MISMATCH"
CLIENT_VERSION_MISMATCH: Final = "CLIENT_VERSION_MISMATCH"
GATEWAY_TOO_OLD: Final = "GATEWAY_TOO_OLD"
"""Not a wire code: for a gateway that lets the client in and is older than what the client supports."""
PAIRING_REQUIRED: Final = "PAIRING_REQUIRED"
RATE_LIMITED: Final = "AUTH_RATE_LIMITED"
TOKEN_MISMATCH: Final = "AUTH_TOKEN_MISMATCH"  # noqa: S105 - a code
DEVICE_TOKEN_MISMATCH: Final = "AUTH_DEVICE_TOKEN_MISMATCH"  # noqa: S105 - a code
SCOPE_MISMATCH: Final = "AUTH_SCOPE_MISMATCH"
SIGNATURE_INVALID: Final = "DEVICE_AUTH_SIGNATURE_INVALID"
SIGNATURE_EXPIRED: Final = "DEVICE_AUTH_SIGNATURE_EXPIRED"
MISSING_SCOPE: Final = "MISSING_SCOPE"
INVALID_CONNECT: Final = "INVALID_CONNECT_PARAMS"
"""Not a wire code: the name that this package gives to a refused connect schema, which has none."""
UNKNOWN_METHOD: Final = "UNKNOWN_METHOD"
"""Not a wire code: for a method that the gateway does not have, which it tells in two ways."""
INVALID_ROLE: Final = "INVALID_ROLE"
"""Not a wire code either: for "invalid role"."""

UNCOUNTED: Final = frozenset({"AUTH_TOKEN_MISSING", "AUTH_PASSWORD_MISSING", "AUTH_REQUIRED"})
"""Refusals that a gateway's limiter does not count: nothing was guessed (rate-limiting docs)."""

# Ordered: the first text found in the lower-cased message decides. Texts of 2026.2.17 and 2026.4.15, observed.
_TEXTS: Final = (
    ("protocol mismatch", PROTOCOL_MISMATCH),
    ("device token mismatch", DEVICE_TOKEN_MISMATCH),
    ("too many failed", RATE_LIMITED),
    ("token missing", "AUTH_TOKEN_MISSING"),
    ("token mismatch", TOKEN_MISMATCH),
    ("password missing", "AUTH_PASSWORD_MISSING"),
    ("password mismatch", "AUTH_PASSWORD_MISMATCH"),
    ("token not configured", "AUTH_TOKEN_NOT_CONFIGURED"),
    ("password not configured", "AUTH_PASSWORD_NOT_CONFIGURED"),
    ("pairing required", PAIRING_REQUIRED),
    ("device identity required", "DEVICE_IDENTITY_REQUIRED"),
    ("device signature invalid", SIGNATURE_INVALID),
    ("device signature expired", SIGNATURE_EXPIRED),
    ("device nonce required", "DEVICE_AUTH_NONCE_REQUIRED"),
    ("device nonce mismatch", "DEVICE_AUTH_NONCE_MISMATCH"),
    ("device identity mismatch", "DEVICE_AUTH_DEVICE_ID_MISMATCH"),
    ("device public key invalid", "DEVICE_AUTH_PUBLIC_KEY_INVALID"),
    ("control ui requires", "CONTROL_UI_DEVICE_IDENTITY_REQUIRED"),
    ("origin not allowed", "CONTROL_UI_ORIGIN_NOT_ALLOWED"),
    ("missing scope", MISSING_SCOPE),
    ("invalid connect params", INVALID_CONNECT),
    ("invalid role", INVALID_ROLE),
    ("unauthorized", "AUTH_UNAUTHORIZED"),
)


def detail_code_of(error: ErrorShape) -> str | None:
    """The most telling code of an error: `details.code`, else the one that its text stands for, else None."""
    code = error.detail("code")
    if isinstance(code, str) and code:
        return code
    return code_of_text(error.message)


def code_of_text(text: str) -> str | None:
    """The detail code that a gateway without detail codes means by this text, or None."""
    lowered = text.lower()
    return next((code for part, code in _TEXTS if part in lowered), None)


def missing_scope_of(error: ErrorShape) -> str | None:
    """The scope that a refused request lacks, or None where the refusal has another reason."""
    scope = error.detail("missingScope")
    if isinstance(scope, str) and scope:
        return scope
    marker = "missing scope: "
    at = error.message.lower().find(marker)
    if at < 0:
        return None
    words = error.message[at + len(marker) :].split()
    return words[0].rstrip(".,;)") if words else None


def required_scopes_of(error: ErrorShape) -> tuple[str, ...]:
    """All scopes that a refused request needs, as far as the refusal tells; () where it has another reason."""
    missing, told = missing_scope_of(error), error.detail("requiredScopes")
    required = [scope for scope in told if isinstance(scope, str)] if isinstance(told, list) else []
    if missing is None:
        return ()
    return tuple(required) if missing in required else (missing, *required)


def startup_delay(reason: object, hint: float | None) -> float | None:
    """Seconds to wait before trying again where the gateway says that it is still starting, else None.

    reason: of the error's details. hint: its own, in seconds; clamped to 0.1 to 2 s as the reference client does: a
    starting gateway is ready at any moment.
    """
    if reason != "startup-sidecars":
        return None
    return min(max(0.5 if hint is None else hint, 0.1), 2.0)
