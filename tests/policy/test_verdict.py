"""Retry, wait or park: one row per thing that a gateway is known to say."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from openclaw_client.errors import ConnectionLost, GatewayError, RequestFailed
from openclaw_client.policy.verdict import (
    LOCKOUT,
    LONGEST,
    PARK,
    RETRY,
    SHORTEST,
    Action,
    Verdict,
    judge_close,
    judge_refusal,
    starting_delay,
)
from openclaw_client.wire.frames import ErrorShape
from tests.wire.test_codes import TEXTS


def wait(seconds: float) -> Verdict:
    return Verdict(Action.WAIT, seconds)


STARTING = {"reason": "startup-sidecars"}
RESTARTING = {"reason": "gateway-restarting"}
PAIRING = "PAIRING_REQUIRED"

ROWS: list[tuple[str | None, dict[str, object], float | None, Verdict]] = [
    # A gateway that starts, restarts or is busy.
    (None, STARTING, None, wait(0.5)),
    (None, STARTING, 1000, wait(1.0)),
    (None, STARTING, 60_000, wait(2.0)),
    (None, RESTARTING, 1000, wait(1.0)),
    (None, RESTARTING, None, RETRY),
    (None, {}, None, RETRY),
    (None, {}, -5, RETRY),
    (None, {}, 0, wait(SHORTEST)),
    (None, {}, 1, wait(SHORTEST)),
    ("AUTH_RATE_LIMITED", {}, 0, wait(SHORTEST)),
    ("AUTHENTICATED_PROFILE_UNAVAILABLE", {}, 2000, wait(2.0)),
    ("AUTHENTICATED_PROFILE_UNAVAILABLE", {}, None, RETRY),
    ("AUTH_TAILSCALE_WHOIS_FAILED", {}, None, RETRY),
    ("BRAND_NEW_CODE", {}, None, RETRY),
    ("DEVICE_AUTH_NONCE_MISMATCH", {}, None, RETRY),
    # A lock-out ends by itself.
    ("AUTH_RATE_LIMITED", {}, None, wait(LOCKOUT)),
    ("AUTH_RATE_LIMITED", {}, 4000, wait(4.0)),
    # A hint is no sentence for life.
    ("AUTH_RATE_LIMITED", {}, 1e15, wait(LONGEST)),
    (None, {}, 1e15, wait(LONGEST)),
    # Pairing waits for a person, unless the gateway says otherwise.
    (PAIRING, {}, None, PARK),
    (PAIRING, {"pauseReconnect": True}, 1000, PARK),
    (PAIRING, {"pauseReconnect": False}, None, RETRY),
    (PAIRING, {"recommendedNextStep": "wait_then_retry"}, None, RETRY),
    (PAIRING, {"recommendedNextStep": "review_auth_configuration"}, None, PARK),
    # Nothing but a person changes these; a hint does not either.
    *[
        (code, {}, hint, PARK)
        for hint in (None, 1000)
        for code in (
            "AUTH_REQUIRED",
            "AUTH_UNAUTHORIZED",
            "AUTH_TOKEN_MISSING",
            "AUTH_TOKEN_MISMATCH",
            "AUTH_TOKEN_NOT_CONFIGURED",
            "AUTH_PASSWORD_MISSING",
            "AUTH_PASSWORD_MISMATCH",
            "AUTH_PASSWORD_NOT_CONFIGURED",
            "AUTH_BOOTSTRAP_TOKEN_INVALID",
            "AUTH_DEVICE_TOKEN_MISMATCH",
            "AUTH_SCOPE_MISMATCH",
            "AUTH_IDENTITY_HEADER_REQUIRED",
            "AUTH_VERIFIED_USER_REQUIRED",
            "CONTROL_UI_BUILD_MISMATCH",
            "CONTROL_UI_ORIGIN_NOT_ALLOWED",
            "CONTROL_UI_DEVICE_IDENTITY_REQUIRED",
            "PROTOCOL_MISMATCH",
            "CLIENT_VERSION_MISMATCH",
            "DEVICE_IDENTITY_REQUIRED",
            "DEVICE_AUTH_INVALID",
            "DEVICE_AUTH_DEVICE_ID_MISMATCH",
            "DEVICE_AUTH_PUBLIC_KEY_INVALID",
            "DEVICE_AUTH_SIGNATURE_INVALID",
            "DEVICE_AUTH_SIGNATURE_EXPIRED",
            "MISSING_SCOPE",
            "INVALID_CONNECT_PARAMS",
            "INVALID_ROLE",
        )
    ],
]


@pytest.mark.parametrize(("code", "details", "hint", "verdict"), ROWS)
def test_a_refused_connect(code: str | None, details: dict[str, object], hint: float | None, verdict: Verdict) -> None:
    shape = ErrorShape(details={**details, **({"code": code} if code else {})}, retry_after_ms=hint)
    assert judge_refusal(shape) == verdict


@pytest.mark.parametrize(("text", "code"), TEXTS)
def test_a_text_is_judged_as_the_code_that_it_stands_for(text: str, code: str | None) -> None:
    by_code = judge_refusal(ErrorShape(details={"code": code}))
    assert judge_refusal(ErrorShape(message=text)) == by_code
    # 1008 with a telling reason says the same; with any other reason it passes.
    assert judge_close(1008, text) == (by_code if code is not None else RETRY)


@pytest.mark.parametrize(
    ("code", "reason", "verdict"),
    [
        (None, "", RETRY),
        (1000, "", RETRY),
        (1001, "", RETRY),
        (1002, "Protocol Mismatch", PARK),
        (1002, "", RETRY),
        (1006, "", RETRY),
        (1008, "slow consumer", RETRY),
        (1008, "gateway message handler loading", RETRY),
        (1008, "connect failed", RETRY),
        (1009, "", RETRY),
        (1012, "service restart", RETRY),
        (1013, "gateway starting", RETRY),
        (4000, "tick timeout", RETRY),
        (4001, "gateway auth changed", RETRY),
        (4999, "pairing required", RETRY),
    ],
)
def test_a_close_without_an_answer(code: int | None, reason: str, verdict: Verdict) -> None:
    assert judge_close(code, reason) == verdict


@given(
    code=st.none() | st.sampled_from([row[0] for row in ROWS]) | st.text(),
    hint=st.none() | st.floats(allow_nan=False, allow_infinity=False),
)
def test_a_delay_goes_with_waiting_and_is_never_negative(code: str | None, hint: float | None) -> None:
    verdict = judge_refusal(ErrorShape(details={"code": code}, retry_after_ms=hint))
    assert (verdict.delay is not None) is (verdict.action is Action.WAIT)
    assert verdict.delay is None or verdict.delay >= 0


@pytest.mark.parametrize(
    ("error", "delay"),
    [
        (RequestFailed(details=STARTING, retry_after=0.8), 0.8),
        (RequestFailed(details=STARTING), 0.5),
        (RequestFailed(details=RESTARTING, retry_after=1.0, retryable=True), None),
        (RequestFailed(retry_after=0.8, retryable=True), None),
        (ConnectionLost(message="gone"), None),
        (None, None),
    ],
)
def test_a_request_is_worth_another_try_where_the_gateway_is_still_starting(
    error: GatewayError | None, delay: float | None
) -> None:
    assert starting_delay(error) == delay
