"""The device key: Ed25519, its id, its signatures, and its one-line portable form.

Knows nothing of gateways, files or tokens. `cryptography` is loaded when a key is first used, never at import.
"""

from __future__ import annotations

import base64
import hashlib
import secrets
import sys
import unicodedata
from dataclasses import dataclass, fields, replace
from functools import cached_property
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import quote, unquote

from openclaw_client.errors import IdentityError, UsageError
from openclaw_client.errors.frames import without_frames
from openclaw_client.forks import late_import

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

SEED_BYTES: Final = 32
"""An Ed25519 private key is a seed of 32 bytes."""


def default_platform(name: str = sys.platform) -> str:
    """This operating system as the gateway should know it: "linux", "darwin", "win32", "freebsd".

    Without any version (`sys.platform` has one on some systems): gateways pin the platform of a paired device, and
    a new version would be a new device to them that waits for approval.
    """
    return name if name == "win32" else name.rstrip("0123456789.")


def encode_base64url(data: bytes) -> str:
    """Base64 for URLs, without padding."""
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode("ascii")


def decode_base64url(text: str) -> bytes:
    """The inverse of `encode_base64url`; ValueError for everything that it does not produce."""
    data = base64.b64decode(text + "=" * (-len(text) % 4), altchars=b"-_", validate=True)
    if encode_base64url(data) != text:
        raise ValueError("not base64url without padding")
    return data


@dataclass(frozen=True, repr=False)
class DeviceIdentity:
    """The key of one device, and what the gateway pins to it. Immutable; any thread may use it.

    seed: the 32 bytes of the private key; a secret. platform and device_family: fixed when the identity is made and
    sent the same on every connect, since gateways ask for a new approval when either changes; device_family is None
    where there is none.

    `repr` shows the public id alone. Pickling carries the seed: store and send a pickle as you would the key itself.

    Raises UsageError for a seed of another length and for a platform or device family that is no printable text.
    """

    seed: bytes
    platform: str
    device_family: str | None = None

    def __post_init__(self) -> None:
        if not isinstance(self.seed, bytes) or len(self.seed) != SEED_BYTES:
            raise UsageError(
                message=f"the seed of a device identity is {SEED_BYTES} bytes, not what was given",
                remedy="Use DeviceIdentity.generate() for a new one",
            )
        platform = _label("platform", self.platform)
        if platform is None:
            raise UsageError(message="the platform of a device identity is empty")
        object.__setattr__(self, "platform", platform)
        object.__setattr__(self, "device_family", _label("device_family", self.device_family))

    @classmethod
    def generate(cls, *, platform: str | None = None, device_family: str | None = None) -> DeviceIdentity:
        """A new identity from the system's random source; every gateway has to approve it once."""
        return cls.from_seed(secrets.token_bytes(SEED_BYTES), platform=platform, device_family=device_family)

    @classmethod
    @without_frames
    def from_seed(cls, seed: bytes, *, platform: str | None = None, device_family: str | None = None) -> DeviceIdentity:
        """The identity of a private key that is kept elsewhere. platform: this system's when None.

        Raises UsageError where seed is not 32 bytes.
        """
        return cls(seed, default_platform() if platform is None else platform, device_family)

    @classmethod
    def from_secret(
        cls, secret: str, *, platform: str | None = None, device_family: str | None = None
    ) -> DeviceIdentity:
        """The identity of a line that `secret()` made, or of the base64url of a seed alone.

        platform and device_family win over those in the line; where neither says, platform is this system's.
        Raises IdentityError, without the secret in it, for anything else.
        """
        identity = _read_secret(secret)
        if identity is None:
            # Crash reporters show the variables of the frames that an error came through.
            del secret
            raise IdentityError(
                message="the device secret is not one that DeviceIdentity.secret() made",
                remedy="Check that it was copied whole; a new identity must be approved by the gateway again",
            )
        return replace(
            identity,
            platform=identity.platform if platform is None else platform,
            device_family=identity.device_family if device_family is None else device_family,
        )

    def secret(self) -> str:
        """The whole identity as one line for a secret manager or an environment variable. It is the private key.

        `<seed as base64url without padding>:<platform>` and, where there is one, `:<device family>`, both
        percent-encoded; the platform goes along so that the device stays the same one on another machine.
        """
        labels = [self.platform, self.device_family] if self.device_family else [self.platform]
        return ":".join([encode_base64url(self.seed), *(quote(label or "", safe="") for label in labels)])

    @cached_property
    def id(self) -> str:
        """SHA-256 of the raw public key, 64 lower-case hex digits. Public."""
        return hashlib.sha256(self._raw_public_key).hexdigest()

    @cached_property
    def public_key(self) -> str:
        """The raw public key as base64url without padding, 43 characters. Public."""
        return encode_base64url(self._raw_public_key)

    def sign(self, payload: str) -> str:
        """The signature over the UTF-8 bytes of payload as base64url without padding, 86 characters."""
        try:
            data = payload.encode()
        except UnicodeEncodeError:
            # From None: the cause carries the payload, and the payload carries the token.
            raise UsageError(message="what is to be signed cannot be encoded as UTF-8") from None
        return encode_base64url(self._key.sign(data))

    @cached_property
    def _key(self) -> Ed25519PrivateKey:
        with late_import():
            from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

            # Loads more of it.
            return Ed25519PrivateKey.from_private_bytes(self.seed)

    @cached_property
    def _raw_public_key(self) -> bytes:
        return self._key.public_key().public_bytes_raw()

    def __repr__(self) -> str:
        # A dump of variables meets it in the middle of a failed construction, too.
        whole = isinstance(self.seed, bytes) and len(self.seed) == SEED_BYTES
        return f"DeviceIdentity(id={self.id!r})" if whole else "DeviceIdentity(not made)"

    def __getstate__(self) -> dict[str, Any]:
        # Without the cached key object, which cannot be pickled.
        return {field.name: getattr(self, field.name) for field in fields(self)}


# A dataclass makes its constructor itself, and in its variables stand the arguments.
DeviceIdentity.__init__ = without_frames(DeviceIdentity.__init__)  # type: ignore[method-assign]


def _read_secret(secret: str) -> DeviceIdentity | None:
    """The identity of a line; None for what is none, so that no error carries a piece of it along."""
    try:
        seed, platform, family, *rest = (*secret.strip().split(":"), "", "")
        if any(rest):
            return None
        return DeviceIdentity.from_seed(
            decode_base64url(seed), platform=unquote(platform) or None, device_family=unquote(family) or None
        )
    except ValueError:
        return None


def _label(name: str, value: str | None) -> str | None:
    """value without outer blanks, None where nothing remains."""
    if value is None:
        return None
    if not isinstance(value, str) or any(unicodedata.category(char) in ("Cc", "Cs") for char in value.strip()):
        raise UsageError(message=f"the {name} of a device identity must be text without control characters")
    return value.strip() or None
