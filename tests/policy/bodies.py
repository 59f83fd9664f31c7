"""Error bodies as no gateway should send them: `fuzzed_body`."""

from __future__ import annotations

import random
from typing import Any

from tests.policy.test_verdict import ROWS
from tests.wire.test_codes import TEXTS

BODIES = 5000

_WORDS = [text for text, _ in TEXTS] + ["", " ", "secret", "\x00", "…", "🙂" * 50, "x" * 3000, "{}", "%s %d", "\u2028"]
_CODES = [code for code, *_ in ROWS if code] + ["INVALID_REQUEST", "UNAVAILABLE", "NOT_PAIRED", "FORBIDDEN", "NEW_CODE"]
_KEYS = [
    "code", "message", "details", "retryable", "retryAfterMs", "reason", "requestId", "deviceId", "requestedScopes",
    "approvedScopes", "missingScope", "requiredScopes", "expectedProtocol", "canRetryWithDeviceToken",
    "recommendedNextStep", "pauseReconnect", "remediationHint", "authReason", "phase", "nested",
]  # fmt: skip
_NUMBERS = [0, -1, 1, 3, 4, 0.5, -0.0, 1e308, -1e308, 2**63, -(2**70), 10**30, 300_000, 1e-9]


def fuzzed_body(source: random.Random) -> Any:
    """What may stand in the place of `error`: mostly a mapping with known keys and any values in them."""
    if source.random() < 0.05:
        return _value(source, 2)
    body: dict[str, Any] = {"code": source.choice(_CODES), "message": source.choice(_WORDS)}
    body["details"] = {"code": source.choice(_CODES)} if source.random() < 0.7 else _value(source, 2)
    for _ in range(source.randrange(4)):
        body[source.choice(_KEYS)] = _value(source, 3)
    if isinstance(body["details"], dict):
        for _ in range(source.randrange(5)):
            body["details"][source.choice(_KEYS)] = _value(source, 3)
    for key in [key for key in body if source.random() < 0.1]:
        del body[key]
    return body


def _value(source: random.Random, depth: int) -> Any:
    kind = source.randrange(9 if depth else 6)
    match kind:
        case 0:
            return source.choice(_WORDS)
        case 1:
            return source.choice(_CODES)
        case 2:
            return source.choice(_NUMBERS)
        case 3:
            return source.choice([None, True, False])
        case 4:
            return source.choice(["operator.read", "startup-sidecars", "wait_then_retry", "a-request-id"])
        case 5:
            return "".join(chr(source.randrange(32, 0xD7FF)) for _ in range(source.randrange(20)))
        case 6 | 7:
            return [_value(source, depth - 1) for _ in range(source.randrange(4))]
        case _:
            return {source.choice(_KEYS): _value(source, depth - 1) for _ in range(source.randrange(4))}
