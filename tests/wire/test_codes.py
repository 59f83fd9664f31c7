"""Codes out of errors: the texts of gateways without codes, scopes, and the hint of a starting gateway."""

from __future__ import annotations

import pytest

from openclaw_client.wire import codes
from openclaw_client.wire.frames import ErrorShape

# What 2026.2.17 and 2026.4.15 answer to a connect, word for word where it matters.
TEXTS = [
    ("protocol mismatch", "PROTOCOL_MISMATCH"),
    ("unauthorized: gateway token missing (provide gateway auth token)", "AUTH_TOKEN_MISSING"),
    ("unauthorized: gateway token mismatch (provide gateway auth token)", "AUTH_TOKEN_MISMATCH"),
    ("unauthorized: gateway token not configured on gateway (set gateway.auth.token)", "AUTH_TOKEN_NOT_CONFIGURED"),
    ("unauthorized: gateway password missing (enter the password)", "AUTH_PASSWORD_MISSING"),
    ("unauthorized: gateway password mismatch", "AUTH_PASSWORD_MISMATCH"),
    ("unauthorized: gateway password not configured on gateway", "AUTH_PASSWORD_NOT_CONFIGURED"),
    ("unauthorized: device token mismatch (rotate/reissue device token)", "AUTH_DEVICE_TOKEN_MISMATCH"),
    ("unauthorized: too many failed authentication attempts (retry later)", "AUTH_RATE_LIMITED"),
    ("unauthorized", "AUTH_UNAUTHORIZED"),
    ("pairing required", "PAIRING_REQUIRED"),
    ("device identity required", "DEVICE_IDENTITY_REQUIRED"),
    ("device signature invalid", "DEVICE_AUTH_SIGNATURE_INVALID"),
    ("device signature expired", "DEVICE_AUTH_SIGNATURE_EXPIRED"),
    ("device nonce required", "DEVICE_AUTH_NONCE_REQUIRED"),
    ("device nonce mismatch", "DEVICE_AUTH_NONCE_MISMATCH"),
    ("device identity mismatch", "DEVICE_AUTH_DEVICE_ID_MISMATCH"),
    ("device public key invalid", "DEVICE_AUTH_PUBLIC_KEY_INVALID"),
    ("control ui requires HTTPS or localhost", "CONTROL_UI_DEVICE_IDENTITY_REQUIRED"),
    ("origin not allowed", "CONTROL_UI_ORIGIN_NOT_ALLOWED"),
    ("missing scope: operator.write", "MISSING_SCOPE"),
    ("invalid connect params: at /client/id: must be equal to constant", "INVALID_CONNECT_PARAMS"),
    ("invalid role", "INVALID_ROLE"),
    ("something else", None),
    ("", None),
]


@pytest.mark.parametrize(("text", "code"), TEXTS)
def test_texts_stand_for_codes_in_any_case(text: str, code: str | None) -> None:
    assert codes.code_of_text(text) == code
    assert codes.code_of_text(f"Error: {text.upper()}") == code
    assert codes.detail_code_of(ErrorShape(message=text)) == code


@pytest.mark.parametrize(
    ("details", "code"),
    [({"code": "BRAND_NEW"}, "BRAND_NEW"), ({"code": ""}, "PAIRING_REQUIRED"), ({"code": 5}, "PAIRING_REQUIRED")],
)
def test_the_code_of_the_details_comes_first(details: object, code: str) -> None:
    assert codes.detail_code_of(ErrorShape(message="pairing required", details=details)) == code


@pytest.mark.parametrize(
    ("message", "details", "scope"),
    [
        ("no", {"code": "MISSING_SCOPE", "missingScope": "operator.admin"}, "operator.admin"),
        ("missing scope: operator.write", None, "operator.write"),
        ("missing scope: operator.write", {"missingScope": 5}, "operator.write"),
        ("missing scope: operator.write", {"missingScope": ""}, "operator.write"),
        ("FORBIDDEN (Missing Scope: operator.Write).", None, "operator.Write"),
        ("missing scope: ", None, None),
        ("missing scope", None, None),
        ("scope", None, None),
    ],
)
def test_the_scope_that_is_missing(message: str, details: object, scope: str | None) -> None:
    assert codes.missing_scope_of(ErrorShape(message=message, details=details)) == scope


@pytest.mark.parametrize(
    ("message", "details", "scopes"),
    [
        ("missing scope: operator.write", None, ("operator.write",)),
        ("", {"missingScope": "b", "requiredScopes": ["a", "b"]}, ("a", "b")),
        ("", {"missingScope": "c", "requiredScopes": ["a", 5]}, ("c", "a")),
        ("", {"missingScope": "c", "requiredScopes": "a"}, ("c",)),
        ("", {"requiredScopes": ["a"]}, ()),
        ("no such session", None, ()),
    ],
)
def test_all_scopes_that_a_method_needs(message: str, details: object, scopes: tuple[str, ...]) -> None:
    assert codes.required_scopes_of(ErrorShape(message=message, details=details)) == scopes


@pytest.mark.parametrize(
    ("reason", "hint", "seconds"),
    [
        ("startup-sidecars", None, 0.5),
        ("startup-sidecars", 0.8, 0.8),
        ("startup-sidecars", 0.001, 0.1),
        ("startup-sidecars", 60, 2.0),
        ("gateway-restarting", 0.8, None),
        (None, 0.8, None),
    ],
)
def test_a_starting_gateway_is_asked_again_soon(reason: object, hint: float | None, seconds: float | None) -> None:
    assert codes.startup_delay(reason, hint) == seconds
