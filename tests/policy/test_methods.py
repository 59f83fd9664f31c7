"""A method that the gateway does not have is told as that, and the one that was meant is named."""

from __future__ import annotations

import pytest

from openclaw_client.errors import MethodUnavailable, MissingScope, RequestFailed
from openclaw_client.policy.diagnose import request_failure
from openclaw_client.policy.methods import nearest
from openclaw_client.wire.frames import ErrorShape

ADVERTISED = ("sessions.list", "sessions.patch", "chat.send", "chat.history", "config.set", "health")
HIDDEN = ErrorShape("FORBIDDEN", "missing scope: operator.admin", {"missingScope": "operator.admin"})
"""What everybody without operator.admin gets for a name that the gateway does not have."""


def failure(
    method: str, shape: ErrorShape, advertised: tuple[str, ...] = ADVERTISED, version: str | None = "2026.9.6"
) -> RequestFailed:
    return request_failure(method, shape, None, gateway_version=version, advertised=advertised)


@pytest.mark.parametrize(
    ("method", "meant"),
    [
        ("session.list", "sessions.list"),
        ("Sessions.List", "sessions.list"),
        ("chat.sent", "chat.send"),
        ("sessions.usag", "sessions.usage"),
        ("zzz", None),
    ],
)
@pytest.mark.parametrize("shape", [HIDDEN, None])
def test_a_name_that_nobody_has(method: str, meant: str | None, shape: ErrorShape | None) -> None:
    error = failure(method, shape or ErrorShape("INVALID_REQUEST", f"unknown method: {method}"))
    assert isinstance(error, MethodUnavailable)
    assert (error.suggestion, error.detail_code, error.method) == (meant, "UNKNOWN_METHOD", method)
    did = f"; did you mean {meant}?" if meant else ""
    assert str(error).startswith(f"2026.9.6 has no method {method}{did}")
    assert ("operator.admin" in error.remedy) is (shape is not None)


@pytest.mark.parametrize(
    ("method", "shape", "advertised"),
    [
        ("config.set", HIDDEN, ADVERTISED),
        ("chat.inject", HIDDEN, ADVERTISED),
        ("session.list", HIDDEN, ()),
        ("session.list", ErrorShape("FORBIDDEN", "missing scope: operator.pairing"), ADVERTISED),
    ],
)
def test_a_method_that_may_be_there_lacks_a_scope(method: str, shape: ErrorShape, advertised: tuple[str, ...]) -> None:
    assert type(failure(method, shape, advertised)) is MissingScope


def test_a_gateway_that_does_not_tell_its_version() -> None:
    error = failure("zzz", ErrorShape("INVALID_REQUEST", "unknown method: zzz"), (), None)
    assert str(error) == "the gateway has no method zzz [UNKNOWN_METHOD]. Check the name and the gateway's release."


def test_no_method_is_proposed_for_itself() -> None:
    assert nearest("chat.send", ADVERTISED) is None
