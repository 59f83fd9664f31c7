"""The text that a device signs to prove itself, and the proof for one connect.

Pure. The gateway builds the same text from the connect request that it receives, so everything signed here comes from
that request.
"""

from __future__ import annotations

import string
from collections.abc import Iterable
from typing import Final, Literal

from openclaw_client.errors import ProtocolViolation, UsageError
from openclaw_client.identity.device import DeviceIdentity
from openclaw_client.wire.handshake import Challenge, ConnectParams, DeviceProof
from openclaw_client.wire.limits import OLDEST_RELEASE_NAME

PayloadVersion = Literal[2, 3]
"""3 binds platform and device family as well; 2 is the only one that every release takes (2026.2.17 knows no 3)."""

# What JavaScript's trim() removes; str.strip() removes U+001C to U+001F and U+0085 too, and leaves U+FEFF.
_JS_BLANKS: Final = (
    "\t\n\v\f\r \xa0\u1680" + "".join(map(chr, range(0x2000, 0x200B))) + "\u2028\u2029\u202f\u205f\u3000\ufeff"
)
_ASCII_LOWER: Final = str.maketrans(string.ascii_uppercase, string.ascii_lowercase)


def signature_payload(
    version: PayloadVersion,
    *,
    device_id: str,
    client_id: str,
    client_mode: str,
    role: str,
    scopes: Iterable[str],
    signed_at_ms: int,
    token: str | None,
    nonce: str,
    platform: str | None,
    device_family: str | None,
) -> str:
    """The text to sign. scopes in the order in which they are sent; token None = no token is sent.

    platform and device_family as they are sent; version 2 leaves them out. Raises UsageError for another version.
    """
    if version not in (2, 3):
        raise UsageError(message=f"there is no device signature of version {version!r}", remedy="Use 2 or 3")
    parts = [
        f"v{version}",
        device_id,
        client_id,
        client_mode,
        role,
        ",".join(scopes),
        str(signed_at_ms),
        token or "",
        nonce,
    ]
    if version == 3:
        parts += [_normal(platform), _normal(device_family)]
    return "|".join(parts)


def prove(
    identity: DeviceIdentity,
    *,
    version: PayloadVersion,
    params: ConnectParams,
    challenge: Challenge,
    token: str | None,
) -> DeviceProof:
    """The `device` of a connect with these params.

    token: the credential that params.auth presents: its token, else device token, else bootstrap token, never the
    password. Raises ProtocolViolation where the challenge has no time: the gateway's clock alone counts, and a
    signature over ours could be refused as too old or be replayed.
    """
    if challenge.ts is None:
        raise ProtocolViolation(
            message="the gateway's challenge has no usable time, so nothing was signed",
            remedy=f"Check that the URL leads to an OpenClaw Gateway of {OLDEST_RELEASE_NAME} or later",
        )
    payload = signature_payload(
        version,
        device_id=identity.id,
        client_id=params.client.id,
        client_mode=params.client.mode,
        role=params.role,
        scopes=params.scopes,
        signed_at_ms=challenge.ts,
        token=token,
        nonce=challenge.nonce,
        platform=params.client.platform,
        device_family=params.client.device_family,
    )
    return DeviceProof(
        id=identity.id,
        public_key=identity.public_key,
        signature=identity.sign(payload),
        signed_at=challenge.ts,
        nonce=challenge.nonce,
    )


def _normal(value: str | None) -> str:
    """As the gateway does it: trimmed, and only A to Z made lower case ("ÄPC" becomes "Äpc")."""
    return (value or "").strip(_JS_BLANKS).translate(_ASCII_LOWER)
