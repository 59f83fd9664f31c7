"""From what the gateway said to the error that a caller gets."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from openclaw_client.errors import (
    AuthRejected,
    ConnectError,
    HandshakeTimeout,
    MissingScope,
    PairingRequired,
    ProtocolMismatch,
    RateLimited,
    RequestFailed,
    Unreachable,
)
from openclaw_client.policy.diagnose import (
    Attempt,
    closed_early,
    done_without,
    not_understood,
    refusal,
    remedy_for,
    request_failure,
    too_old,
    too_slow,
    unreachable,
)
from openclaw_client.wire.frames import ErrorShape
from openclaw_client.wire.handshake import Hello, ServerInfo
from tests.wire.test_codes import TEXTS
from tests.wire.test_frames import values

ATTEMPT = Attempt(
    url="ws://127.0.0.1:18789",
    number=3,
    close_code=1008,
    close_reason="no",
    gateway_version="2026.9.6",
    requested_scopes=("operator.read",),
    device_id="dev",
)


def refused(code: str | None, **details: Any) -> ConnectError:
    return refusal(ErrorShape("INVALID_REQUEST", "no", {"code": code, **details}, None, 1500), ATTEMPT)


@pytest.mark.parametrize(
    ("code", "kind"),
    [
        ("PROTOCOL_MISMATCH", ProtocolMismatch),
        ("AUTH_RATE_LIMITED", RateLimited),
        ("PAIRING_REQUIRED", PairingRequired),
        ("MISSING_SCOPE", MissingScope),
        ("AUTH_SCOPE_MISMATCH", MissingScope),
        ("AUTH_TOKEN_MISMATCH", AuthRejected),
        ("AUTH_BRAND_NEW", AuthRejected),
        ("DEVICE_AUTH_SIGNATURE_INVALID", AuthRejected),
        ("DEVICE_IDENTITY_REQUIRED", AuthRejected),
        ("CONTROL_UI_ORIGIN_NOT_ALLOWED", AuthRejected),
        ("INVALID_ROLE", AuthRejected),
        ("INVALID_CONNECT_PARAMS", ConnectError),
        ("CLIENT_VERSION_MISMATCH", ConnectError),
        ("BRAND_NEW", ConnectError),
        (None, ConnectError),
    ],
)
def test_a_code_decides_the_class_and_every_field_is_filled(code: str | None, kind: type[ConnectError]) -> None:
    error = refused(code)
    assert type(error) is kind
    assert (error.url, error.code, error.detail_code) == (ATTEMPT.url, "INVALID_REQUEST", code)
    assert (error.close_code, error.close_reason, error.attempt) == (1008, "no", 3)
    assert (error.retry_after, error.gateway_version) == (1.5, "2026.9.6")


@pytest.mark.parametrize(("text", "code"), [row for row in TEXTS if row[1] is not None])
def test_a_text_without_a_code_gives_the_same_class_as_the_code(text: str, code: str) -> None:
    error = refusal(ErrorShape("INVALID_REQUEST", text), ATTEMPT)
    assert (type(error), error.detail_code) == (type(refused(code)), code)


@pytest.mark.parametrize("code", [*{code: None for _, code in TEXTS}, "AUTH_BRAND_NEW", "BRAND_NEW"])
def test_every_refusal_says_what_to_do_once(code: str | None) -> None:
    error = refused(code)
    if isinstance(error, PairingRequired):
        assert str(error).count("approve it with `openclaw devices") == 1
    else:
        assert error.remedy
        assert str(error).count(error.remedy) == 1


def test_an_unknown_code_has_no_remedy_of_its_own() -> None:
    assert remedy_for("AUTH_TOKEN_MISSING")
    assert remedy_for("BRAND_NEW") == remedy_for(None) == ""


@pytest.mark.parametrize(("expected", "told"), [(4, 4), ("4", None), (True, None), (None, None)])
def test_a_mismatch_tells_both_sides(expected: object, told: int | None) -> None:
    error = refused("PROTOCOL_MISMATCH", expectedProtocol=expected)
    assert isinstance(error, ProtocolMismatch)
    assert (error.client_min, error.client_max, error.expected) == (3, 4, told)


def test_pairing_tells_whom_to_approve() -> None:
    error = refused(
        "PAIRING_REQUIRED",
        requestId="abc-1",
        reason="not-paired",
        deviceId="other",
        requestedScopes=["operator.admin", 5],
        approvedScopes=["operator.read"],
    )
    assert isinstance(error, PairingRequired)
    assert (error.request_id, error.reason, error.device_id) == ("abc-1", "not-paired", "other")
    assert (error.requested_scopes, error.approved_scopes) == (("operator.admin",), ("operator.read",))
    assert error.command == "openclaw devices approve abc-1"
    assert error.command in str(error)


def test_pairing_without_details_tells_what_this_side_knows() -> None:
    error = refused("PAIRING_REQUIRED")
    assert isinstance(error, PairingRequired)
    assert (error.request_id, error.reason, error.device_id) == (None, None, "dev")
    assert (error.requested_scopes, error.approved_scopes) == (("operator.read",), ())
    assert error.command == "openclaw devices list"


@pytest.mark.parametrize("ident", ["", "-rf", "a b", "a;rm -rf /", "$(x)", "a\n", "a" * 129, 5, None, ["a"], "x`y`"])
def test_an_id_that_is_unsafe_in_a_shell_never_reaches_the_command(ident: object) -> None:
    error = refused("PAIRING_REQUIRED", requestId=ident)
    assert isinstance(error, PairingRequired)
    assert error.command == "openclaw devices list"


def test_a_missing_scope_is_named() -> None:
    error = refusal(ErrorShape("INVALID_REQUEST", "missing scope: operator.admin"), ATTEMPT)
    assert isinstance(error, MissingScope)
    assert (error.requested, error.missing) == (("operator.read",), ("operator.admin",))
    unnamed = refused("AUTH_SCOPE_MISMATCH")
    assert isinstance(unnamed, MissingScope)
    assert unnamed.missing == ()


def test_a_gateway_that_is_not_ready_is_unreachable() -> None:
    error = refusal(ErrorShape("UNAVAILABLE", "gateway starting", {"reason": "startup-sidecars"}), ATTEMPT)
    assert type(error) is Unreachable
    assert "not ready" in error.remedy


def test_a_refusal_without_words_shows_its_code() -> None:
    assert "INVALID_REQUEST" in str(refusal(ErrorShape("INVALID_REQUEST"), Attempt(url="ws://h")))


@pytest.mark.parametrize(
    ("code", "reason", "kind"),
    [
        (1008, "pairing required", PairingRequired),
        (1008, "unauthorized: gateway token mismatch", AuthRejected),
        (1002, "protocol mismatch", ProtocolMismatch),
        (1008, "slow consumer", Unreachable),
        (1000, "", Unreachable),
        (1012, "pairing required", Unreachable),
        (None, "", Unreachable),
    ],
)
def test_a_socket_that_ended_before_hello(code: int | None, reason: str, kind: type[ConnectError]) -> None:
    error = closed_early(Attempt(url="ws://h", number=2, close_code=code, close_reason=reason))
    assert type(error) is kind
    assert (error.url, error.close_code, error.close_reason, error.attempt) == ("ws://h", code, reason or None, 2)
    assert error.remedy or kind is PairingRequired


def test_a_socket_that_never_opened() -> None:
    error = unreachable("connection refused", ATTEMPT)
    assert (type(error), error.url, error.attempt) == (Unreachable, ATTEMPT.url, 3)
    assert "connection refused" in str(error)
    assert error.remedy


def test_a_refused_request() -> None:
    shape = ErrorShape("UNAVAILABLE", "busy", {"code": "BUSY", "x": 1}, True, 250)
    error = request_failure("chat.send", shape, {"status": "error"})
    assert type(error) is RequestFailed
    assert (error.method, error.message, error.code, error.detail_code) == ("chat.send", "busy", "UNAVAILABLE", "BUSY")
    assert (error.details, error.retryable, error.retry_after) == ({"code": "BUSY", "x": 1}, True, 0.25)
    assert error.payload == {"status": "error"}


@pytest.mark.parametrize("details", [None, "text", [1], {"code": 5}, {}])
def test_a_refused_request_with_poor_details(details: object) -> None:
    error = request_failure("m", ErrorShape("X", "", details), None)
    assert type(error) is RequestFailed
    assert (error.message, error.detail_code, error.retryable, error.retry_after) == ("X", None, False, None)
    assert error.details == (details if isinstance(details, dict) else None)


@pytest.mark.parametrize(
    ("shape", "missing"),
    [
        (ErrorShape("INVALID_REQUEST", "missing scope: operator.admin"), ("operator.admin",)),
        (ErrorShape("FORBIDDEN", "no", {"code": "MISSING_SCOPE", "missingScope": "operator.x"}), ("operator.x",)),
        (ErrorShape("FORBIDDEN", "no", {"code": "MISSING_SCOPE"}), ()),
        (ErrorShape("FORBIDDEN", "", {"missingScope": "a", "requiredScopes": ["a", "b", "c"]}), ("a", "c")),
        (ErrorShape("FORBIDDEN", "missing scope: b"), ("b",)),
    ],
)
def test_a_request_that_lacks_a_scope(shape: ErrorShape, missing: tuple[str, ...]) -> None:
    error = request_failure("chat.inject", shape, None, requested=("a",), granted=("b",))
    assert isinstance(error, MissingScope)
    assert (error.missing, error.requested, error.granted) == (missing, ("a",), ("b",))
    assert (error.detail_code, error.method) == ("MISSING_SCOPE", "chat.inject")
    assert error.remedy


shapes = st.builds(
    ErrorShape,
    code=st.text(max_size=8) | st.sampled_from(["UNAVAILABLE", "FORBIDDEN"]),
    message=st.text(max_size=20) | st.sampled_from([text for text, _ in TEXTS]),
    details=values | st.fixed_dictionaries({"code": st.sampled_from([code for _, code in TEXTS]), "requestId": values}),
    retryable=st.none() | st.booleans(),
    retry_after_ms=st.none() | st.floats(allow_nan=False, allow_infinity=False),
)


@given(shape=shapes)
def test_whatever_a_gateway_answers_becomes_an_error_with_a_sentence(shape: ErrorShape) -> None:
    for error in (refusal(shape, ATTEMPT), request_failure("m", shape, None)):
        assert str(error).strip()
        assert error.retry_after is None or error.retry_after >= 0


@pytest.mark.parametrize(
    ("make", "code", "kind", "stage"),
    [
        (too_slow, "NO_CHALLENGE", HandshakeTimeout, "challenge"),
        (too_slow, "NO_HELLO", HandshakeTimeout, "connect"),
        (too_slow, "OWN_QUEUE", HandshakeTimeout, None),
        (not_understood, "BAD_CHALLENGE", ConnectError, "challenge"),
        (not_understood, "BAD_HELLO", ConnectError, "connect"),
    ],
)
def test_a_handshake_that_came_to_nothing_is_explained(
    make: Callable[..., ConnectError], code: str, kind: type[ConnectError], stage: str | None
) -> None:
    error = make("why", code, ATTEMPT)
    assert (type(error), error.detail_code, error.stage, error.attempt) == (kind, code, stage, 3)
    assert "why" in str(error)
    assert error.remedy
    known = make("why", code, Attempt(url="ws://h", stage="upgrade"))
    assert known.stage == "upgrade"


def test_a_refusal_is_of_its_step_however_far_the_attempt_had_come() -> None:
    late = Attempt(url="ws://h", stage="challenge", last_frame_age=0.5)
    assert refusal(ErrorShape("X", "brand new"), late).stage == "connect"
    assert refusal(ErrorShape("X", "missing scope: operator.read"), late).stage == "scopes"
    assert closed_early(late).stage == "challenge"
    assert closed_early(Attempt(url="ws://h", close_code=4999)).remedy
    assert closed_early(late).last_frame_age == 0.5


@pytest.mark.parametrize("version", ["2026.2.16", "2026.2.9", "2026.1.30", "2025.12.31", "2026.2.1-beta.1"])
def test_a_gateway_that_says_that_it_is_older_than_what_is_supported(version: str) -> None:
    error = too_old(Hello(protocol=3, server=ServerInfo(version=version)), ATTEMPT)
    assert isinstance(error, ProtocolMismatch)
    assert (error.stage, error.detail_code, error.url) == ("connect", "GATEWAY_TOO_OLD", ATTEMPT.url)
    assert version.partition("-")[0] in error.message
    assert "2026.2.17" in error.message
    assert error.remedy == "Upgrade the gateway to 2026.2.17 or later"


@pytest.mark.parametrize(
    "version", ["2026.2.17", "2026.2.17-1", "2026.2.20", "2026.10.1", "2027.1.1", "dev", "", "2026"]
)
def test_a_gateway_that_is_not_older_or_does_not_say_so(version: str) -> None:
    assert too_old(Hello(protocol=3, server=ServerInfo(version=version)), ATTEMPT) is None


@pytest.mark.parametrize(
    ("ident", "command"),
    [
        ("7a1c-2", "openclaw devices approve 7a1c-2"),
        ("$(reboot)", "openclaw devices list"),
        (5, "openclaw devices list"),
    ],
)
def test_what_a_connect_without_bonus_scopes_says(ident: Any, command: str) -> None:
    shape = ErrorShape(code="NOT_PAIRED", message="no", details={"code": "PAIRING_REQUIRED", "requestId": ident})
    said = done_without(shape, ("operator.questions",))
    assert said.endswith(f"approve it with `{command}`")
    assert "operator.questions" in said
    mismatch = ErrorShape(code="X", message="no", details={"code": "AUTH_SCOPE_MISMATCH"})
    assert "connect once with the shared token" in done_without(mismatch, ("operator.questions",))
