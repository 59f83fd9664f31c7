"""A gateway that takes its users from a proxy's header: the advice names the header, or the setting that does."""

from __future__ import annotations

import pytest

from openclaw_client.errors import AuthRejected
from openclaw_client.policy.diagnose import Attempt, refusal
from openclaw_client.wire.frames import ErrorShape


def remedy(reason: object, code: str = "AUTH_UNAUTHORIZED") -> str:
    shape = ErrorShape("INVALID_REQUEST", "unauthorized", {"code": code, "authReason": reason})
    error = refusal(shape, Attempt(url="ws://h"))
    assert type(error) is AuthRejected
    assert error.detail_code == code
    return error.remedy


@pytest.mark.parametrize(
    ("reason", "named"),
    [
        ("trusted_proxy_missing_header_X-Forwarded-Proto", "The header X-Forwarded-Proto is missing"),
        ("trusted_proxy_user_missing", "gateway.auth.trustedProxy.userHeader"),
        ("trusted_proxy_user_not_allowed", "allowUsers"),
        ("trusted_proxy_untrusted_source", "gateway.trustedProxies"),
        ("trusted_proxy_loopback_source", "allowLoopback"),
        ("trusted_proxy_brand_new", "gateway.auth.trustedProxy"),
        ("trusted_proxy_missing_header_a b`c", "gateway.auth.trustedProxy"),
    ],
)
def test_what_is_missing_is_named(reason: str, named: str) -> None:
    told = remedy(reason)
    assert named in told
    assert "`" not in told


@pytest.mark.parametrize("reason", [None, 5, "token_missing", ["trusted_proxy_user_missing"]])
def test_other_reasons_keep_the_advice_of_their_code(reason: object) -> None:
    assert remedy(reason).startswith("Check token and password")
