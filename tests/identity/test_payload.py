"""The bytes that a device signs, against vectors that two other implementations produced."""

from __future__ import annotations

import base64
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from hypothesis import given
from hypothesis import strategies as st

from openclaw_client.errors import ProtocolViolation, UsageError
from openclaw_client.identity import DeviceIdentity, prove, signature_payload
from openclaw_client.wire.handshake import AuthFields, Challenge, ClientFields, ConnectParams, connect_params

SEED = bytes(range(32))
DEVICE_ID = "56475aa75463474c0285df5dbf2bcab73da651358839e9b77481b2eab107708c"
BACKEND: dict[str, Any] = {
    "device_id": DEVICE_ID,
    "client_id": "gateway-client",
    "client_mode": "backend",
    "role": "operator",
    "scopes": ["operator.read", "operator.write"],
    "signed_at_ms": 1737264000000,
    "token": "tok123",
    "nonce": "nonce-1",
    "platform": " Linux ",
    "device_family": "ÄPC Desktop",
}
CLI = BACKEND | {
    "client_id": "cli",
    "client_mode": "cli",
    "scopes": [],
    "signed_at_ms": 1737264000000,
    "token": None,
    "nonce": "n",
    "platform": "linux",
    "device_family": None,
}
BACKEND_TEXT = f"|{DEVICE_ID}|gateway-client|backend|operator|operator.read,operator.write|1737264000000|tok123|nonce-1"
VECTORS: list[tuple[Any, dict[str, Any], str, str]] = [
    (
        2,
        BACKEND,
        f"v2{BACKEND_TEXT}",
        "tv9zer-olueXs4wscTOJrzx2EB6S8ps_VsLMfwx8pJNM3cloUfLpUVOZSYTvT4FOmTqV1EDe7VYjAwSO1URKDQ",
    ),
    (
        3,
        BACKEND,
        f"v3{BACKEND_TEXT}|linux|Äpc desktop",
        "TyT3lvNmeYrZr0HZvWgqFZ-y1gJLm1EENLqNNh-YT-qVW-DCqY_Urt_2x4bPUOSz0Q_RoHN8pprkLNjVQJrFCQ",
    ),
    (
        3,
        CLI,
        f"v3|{DEVICE_ID}|cli|cli|operator||1737264000000||n|linux|",
        "8eJ9NGOLyJOA_phWFXxn7b4ASC6WcPGyCphLjYsc8wfE1L3jYFgBz3JYQK2pvuQAnG6bwN-wxTYmI4ZfOovgAA",
    ),
]


def changed(**fields: Any) -> dict[str, Any]:
    return BACKEND | fields


@pytest.mark.parametrize(("version", "fields", "payload", "signature"), VECTORS)
def test_vectors(version: Any, fields: dict[str, Any], payload: str, signature: str) -> None:
    assert signature_payload(version, **fields) == payload
    assert DeviceIdentity.from_seed(SEED).sign(payload) == signature


def test_scopes_keep_their_order() -> None:
    assert "|b,a,c|" in signature_payload(2, **changed(scopes=("b", "a", "c")))


@pytest.mark.parametrize("version", [1, 4, "2"])
def test_other_versions_are_refused(version: Any) -> None:
    with pytest.raises(UsageError, match="signature of version"):
        signature_payload(version, **BACKEND)


@pytest.mark.parametrize(
    ("sent", "signed"),
    [
        (None, ""),
        ("", ""),
        ("  ", ""),
        ("WIN32", "win32"),
        ("ÄÖ İstanbul", "ÄÖ İstanbul"),
        ("ẞTRASSE", "ẞtrasse"),
        ("\ufeff\u00a0Linux\u3000\n", "linux"),
        ("\x1cLinux\x85", "\x1clinux\x85"),  # blanks to Python, none to JavaScript
    ],
)
def test_metadata_is_made_normal_as_the_gateway_does_it(sent: str | None, signed: str) -> None:
    payload = signature_payload(3, **changed(platform=sent, device_family=sent))
    assert payload.endswith(f"|nonce-1|{signed}|{signed}")


words = st.text(st.characters(exclude_characters="|", exclude_categories=["Cs"]), max_size=12)


@given(
    words, words, words, st.lists(words), st.integers(min_value=0), st.none() | words, words, words, st.none() | words
)
def test_version_3_is_version_2_with_two_normal_parts_more(
    client_id: str,
    mode: str,
    role: str,
    scopes: list[str],
    at: int,
    token: str | None,
    nonce: str,
    platform: str,
    family: str | None,
) -> None:
    fields: dict[str, Any] = {
        "device_id": DEVICE_ID,
        "client_id": client_id,
        "client_mode": mode,
        "role": role,
        "scopes": scopes,
        "signed_at_ms": at,
        "token": token,
        "nonce": nonce,
        "platform": platform,
        "device_family": family,
    }
    short, long = signature_payload(2, **fields), signature_payload(3, **fields)
    assert short.split("|") == ["v2", DEVICE_ID, client_id, mode, role, ",".join(scopes), str(at), token or "", nonce]
    head, normal_platform, normal_family = long.rsplit("|", 2)
    assert head == "v3" + short.removeprefix("v2")
    # Making it normal twice changes nothing, and so does the case of the ASCII letters.
    for value, normal in ((platform, normal_platform), (family or "", normal_family)):
        other: dict[str, Any] = {"platform": normal, "device_family": ascii_upper(value)}
        again = signature_payload(3, **fields | other)
        assert again.rsplit("|", 2)[1:] == [normal, normal]


def ascii_upper(text: str) -> str:
    return "".join(char.upper() if char.isascii() else char for char in text)


def params_with(auth: AuthFields | None) -> ConnectParams:
    client = ClientFields(id="cli", version="1", platform="Linux", mode="cli", device_family="Pi")
    return connect_params(client=client, role="operator", scopes=("b", "a"), caps=(), auth=auth)


@pytest.mark.parametrize(
    ("auth", "token"),
    [
        (AuthFields(token="shared"), "shared"),
        (AuthFields(token="dev", device_token="dev"), "dev"),
        (AuthFields(token="shared", device_token="dev"), "shared"),
        (AuthFields(device_token="dev"), "dev"),
        (AuthFields(bootstrap_token="boot"), "boot"),
        (AuthFields(password="pass"), None),
        (None, None),
    ],
)
@pytest.mark.parametrize("version", [2, 3])
def test_the_proof_covers_what_the_connect_says(auth: AuthFields | None, token: str | None, version: Any) -> None:
    identity = DeviceIdentity.from_seed(SEED)
    proof = prove(
        identity, version=version, params=params_with(auth), challenge=Challenge("nonce-9", 1700000000123), token=token
    )
    assert (proof.id, proof.public_key) == (identity.id, identity.public_key)
    assert (proof.nonce, proof.signed_at) == ("nonce-9", 1700000000123)
    tail = "|linux|pi" if version == 3 else ""
    signed = f"v{version}|{DEVICE_ID}|cli|cli|operator|b,a|1700000000123|{token or ''}|nonce-9{tail}"
    key = Ed25519PublicKey.from_public_bytes(base64.urlsafe_b64decode(proof.public_key + "="))
    key.verify(base64.urlsafe_b64decode(proof.signature + "=="), signed.encode())


def test_a_challenge_without_a_time_is_not_signed() -> None:
    with pytest.raises(ProtocolViolation, match="no usable time"):
        prove(
            DeviceIdentity.from_seed(SEED),
            version=2,
            params=params_with(None),
            challenge=Challenge("nonce-9"),
            token=None,
        )
