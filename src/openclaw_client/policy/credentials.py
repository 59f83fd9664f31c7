"""Which of the credentials at hand a connect presents, what it signs, and which scopes it asks for.

Knows the gateway's rules of precedence. Refuses to know where credentials come from and what a refusal leads to,
except for the one retry that belongs to the choice itself.
"""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import Final, Protocol

import msgspec

from openclaw_client.policy.scopes import missing_scopes
from openclaw_client.policy.texts import one_line
from openclaw_client.wire import codes
from openclaw_client.wire.frames import ErrorShape
from openclaw_client.wire.handshake import AuthFields

_RETRY_STEP: Final = "retry_with_device_token"
_SCOPE_UPGRADE: Final = "scope-upgrade"


class StoredToken(Protocol):
    """What is kept of an earlier connect: a device token, and the scopes approved for it."""

    @property
    def token(self) -> str: ...
    @property
    def scopes(self) -> tuple[str, ...]: ...


@dataclass(frozen=True, kw_only=True, repr=False, slots=True)
class AuthInput:
    """What the caller configured. Values are trimmed; an empty one counts as absent.

    token and password: the gateway's shared secrets. device_token: one issued to this device, which the caller
    keeps. bootstrap_token: for a first pairing. All are secrets and not in the repr.

    Raises UsageError, naming the field and never its value, for what is not text or has a newline or another
    control character in it: what a mangled secret file gives, and no gateway accepts.
    """

    token: str | None = None
    device_token: str | None = None
    password: str | None = None
    bootstrap_token: str | None = None

    def __post_init__(self) -> None:
        for entry in fields(self):
            object.__setattr__(self, entry.name, _clean(entry.name, getattr(self, entry.name)))

    def __repr__(self) -> str:
        names = [entry.name for entry in fields(self) if getattr(self, entry.name) is not None]
        return f"AuthInput({', '.join(f'{name}=…' for name in names)})"


@dataclass(frozen=True, slots=True, repr=False)
class Selection:
    """What one connect presents. auth: None where there is nothing. signed_token: what the device signature covers.

    uses_stored: whether the stored device token is presented, so that its refusal means to forget it.
    uses_device_token: whether any device token is, stored or configured. exceeds_stored: whether more scopes are asked
    for than were approved for the stored token that is presented.
    """

    auth: AuthFields | None
    signed_token: str | None
    scopes: tuple[str, ...]
    uses_stored: bool
    uses_device_token: bool
    exceeds_stored: bool = False

    def __repr__(self) -> str:
        return f"Selection(auth={self.auth!r}, scopes={self.scopes!r}, uses_stored={self.uses_stored})"


def select(
    credentials: AuthInput,
    stored: StoredToken | None,
    *,
    scopes: tuple[str, ...] | None,
    default_scopes: tuple[str, ...],
    bonus_scopes: tuple[str, ...] = (),
    retry_with_stored: bool = False,
    trusted_endpoint: bool = False,
    compat: bool = False,
) -> Selection:
    """The credentials of one connect.

    A shared token beats everything else; the stored device token comes in where neither token nor password is
    configured, or beside a refused shared token (retry_with_stored, see `may_retry_with_stored`) on a trusted endpoint.
    scopes: the caller's, also when empty; None takes those of the stored token if that is presented and has any,
    else default_scopes; with bonus_scopes beside them.

    compat: for gateways that refuse the key `deviceToken` (2026.2.17). A device token is then sent as `token`
    alone, which every release takes; in the retry it takes the place of the shared token that was refused.
    """
    kept = _token_of(stored)
    retrying = (
        retry_with_stored and trusted_endpoint and not credentials.device_token and bool(credentials.token and kept)
    )
    shared = credentials.token or credentials.password
    device_token = credentials.device_token or (kept if retrying or not shared else None)
    uses_stored = device_token is not None and credentials.device_token is None
    token = credentials.token or device_token
    if compat and retrying:
        token = device_token
    auth = AuthFields(
        token=token,
        device_token=None if compat else device_token,
        bootstrap_token=None if token or credentials.password else credentials.bootstrap_token,
        password=credentials.password,
    )
    approved = stored.scopes if stored is not None and uses_stored else ()
    if scopes is None:
        scopes = approved or default_scopes
        scopes = (*scopes, *missing_scopes(bonus_scopes, scopes))
    return Selection(
        auth=auth if auth != AuthFields() else None,
        signed_token=auth.token or auth.bootstrap_token,
        scopes=scopes,
        uses_stored=uses_stored,
        uses_device_token=device_token is not None and device_token in (auth.token, auth.device_token),
        exceeds_stored=bool(approved and missing_scopes(scopes, approved)),
    )


def may_retry_with_stored(
    error: ErrorShape,
    *,
    credentials: AuthInput,
    stored: StoredToken | None,
    refused: Selection,
    trusted_endpoint: bool,
    retried: bool,
) -> bool:
    """Whether a connect refused for its shared token is worth one more with the stored device token beside it.

    refused: what the refused connect presented. retried: whether such a retry has been made since the last hello-ok;
    gateways advise the same again after a refused retry, and a client that follows them loops.
    """
    if retried or refused.uses_device_token or not trusted_endpoint:
        return False
    if not credentials.token or credentials.device_token or not _token_of(stored):
        return False
    return (
        codes.detail_code_of(error) == codes.TOKEN_MISMATCH
        or error.detail("canRetryWithDeviceToken") is True
        or error.detail("recommendedNextStep") == _RETRY_STEP
    )


def wants_too_much(error: ErrorShape, refused: Selection, bonus_scopes: tuple[str, ...]) -> bool:
    """Whether a connect was refused for scopes that the device has not, and may be tried without the bonus ones.

    Newer releases say so. 2026.2.17 and 2026.4.15 call the device token, which is good, a wrong one; 2026.2.17 gives no
    reason where an approval is needed.
    """
    if not bonus_scopes or not set(bonus_scopes).issubset(refused.scopes):
        return False
    code = codes.detail_code_of(error)
    if code == codes.DEVICE_TOKEN_MISMATCH:
        return refused.uses_device_token and refused.exceeds_stored
    if code == codes.SCOPE_MISMATCH:
        return refused.uses_device_token
    return code == codes.PAIRING_REQUIRED and error.detail("reason") in (None, _SCOPE_UPGRADE)


def clarify(error: ErrorShape, refused: Selection) -> ErrorShape:
    """The refusal with the code and the words that fit what was presented.

    2026.2.17 tries a refused shared token as a device token as well, and reports the second failure: a device token
    mismatch for a connect that presented none. 2026.2.17 and 2026.4.15 report the same for a good device token with
    which more scopes are asked for than were approved for it (all observed).
    """
    if codes.detail_code_of(error) != codes.DEVICE_TOKEN_MISMATCH:
        return error
    if refused.uses_device_token:
        more = " (it was presented with more scopes than were approved for it)" if refused.exceeds_stored else ""
        return msgspec.structs.replace(error, message=error.message + more) if more else error
    details = error.details if isinstance(error.details, dict) else {}
    return msgspec.structs.replace(error, details={**details, "code": codes.TOKEN_MISMATCH})


def trusted_endpoint(*, loopback: bool, tls: bool, pinned: bool) -> bool:
    """Whether the stored device token may be shown to a peer that has just refused the shared token.

    loopback: the host is this machine. pinned: the certificate's fingerprint is configured. A certificate that any
    authority may issue does not do, nor does plain text in a private network.
    """
    return loopback or (tls and pinned)


def _token_of(stored: StoredToken | None) -> str | None:
    return (stored.token.strip() or None) if stored is not None else None


def _clean(name: str, value: object) -> str | None:
    return None if value is None else one_line(name, value) or None
