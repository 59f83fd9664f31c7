"""The closed parameters of `connect`, and the device payloads that are signed.

What each release knows: observed, and the published schema for the enumerations.
"""

from __future__ import annotations

import base64
import binascii
from typing import Any, Final

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

from openclaw_client.testing.schema import Fields, Items, Rule, Text, Whole
from openclaw_client.testing.traits import Profile

_OLD_IDS: Final = frozenset(
    {
        "webchat-ui",
        "openclaw-control-ui",
        "webchat",
        "cli",
        "gateway-client",
        "openclaw-macos",
        "openclaw-ios",
        "openclaw-android",
        "node-host",
        "test",
        "fingerprint",
        "openclaw-probe",
    }
)
_NEW_IDS: Final = _OLD_IDS | {"openclaw-tui"}
_MODES: Final = frozenset({"webchat", "cli", "ui", "backend", "node", "probe", "test"})

_FILLED: Final = Text(low=1)


def connect_rule(profile: Profile) -> Fields:
    """The rule for this release's connect parameters."""
    client: dict[str, Rule] = {
        "id": Text(choices=_OLD_IDS if profile.narrow_client_ids else _NEW_IDS),
        "displayName": _FILLED,
        "version": _FILLED,
        "platform": _FILLED,
        "deviceFamily": _FILLED,
        "modelIdentifier": _FILLED,
        "mode": Text(choices=_MODES),
        "instanceId": _FILLED,
        **{key: Text(low=1, high=96) for key in profile.client_keys},
    }
    device: dict[str, Rule] = {
        "id": _FILLED,
        "publicKey": _FILLED,
        "signature": _FILLED,
        "signedAt": Whole(low=0),
        "nonce": _FILLED,
    }
    proof = ("id", "publicKey", "signature", "signedAt")
    return Fields(
        {
            "minProtocol": Whole(low=1),
            "maxProtocol": Whole(low=1),
            "client": Fields(client, required=("id", "version", "platform", "mode")),
            "caps": Items(_FILLED),
            "commands": Items(_FILLED),
            "permissions": Fields(open=True),
            "pathEnv": Text(),
            "role": _FILLED,
            "scopes": Items(_FILLED),
            "device": Fields(device, required=proof if profile.nonce_optional else (*proof, "nonce")),
            "auth": Fields({key: Text() for key in sorted(profile.auth_keys)}),
            "locale": Text(),
            "userAgent": Text(),
        },
        required=("minProtocol", "maxProtocol", "client"),
    )


def raw_key(encoded: str) -> bytes | None:
    """The 32 bytes of a public key in base64url; None where it is none."""
    try:
        key = base64.urlsafe_b64decode(encoded + "=" * (-len(encoded) % 4))
    except (ValueError, binascii.Error):
        return None
    return key if len(key) == 32 else None


def is_signed(key: bytes, signature: str, payload: str) -> bool:
    """Whether the signature, in base64url, is this key's for the payload."""
    try:
        raw = base64.urlsafe_b64decode(signature + "=" * (-len(signature) % 4))
        Ed25519PublicKey.from_public_bytes(key).verify(raw, payload.encode())
    except (InvalidSignature, ValueError, binascii.Error):
        return False
    return True


def signed_payload(version: str, params: dict[str, Any], device: dict[str, Any]) -> str:
    """The text that a device signs, in the given version of the payload."""
    client, auth = params["client"], params.get("auth") or {}
    token = next((auth[key] for key in ("token", "deviceToken", "bootstrapToken") if auth.get(key) is not None), "")
    parts = [
        version,
        device["id"],
        client["id"],
        client["mode"],
        params.get("role", "operator"),
        ",".join(params.get("scopes", ())),
        str(device["signedAt"]),
        token,
    ]
    if version != "v1":
        parts.append(device.get("nonce", "").strip())
    if version == "v3":
        parts += [_ascii_lower(client.get("platform")), _ascii_lower(client.get("deviceFamily"))]
    return "|".join(parts)


def _ascii_lower(value: Any) -> str:
    """As the gateways normalise metadata: only A to Z become small."""
    text = value.strip() if isinstance(value, str) else ""
    return "".join(chr(ord(char) + 32) if "A" <= char <= "Z" else char for char in text)
