"""Who may connect: credentials, device signatures, pairing, scopes and the rate limit.

One decision from one connect request, as the release in question takes it. Refuses to know sockets.
"""

from __future__ import annotations

import hashlib
import hmac
from dataclasses import dataclass, field
from typing import Any, Final, Literal

from openclaw_client.testing.connect_schema import connect_rule, is_signed, raw_key, signed_payload
from openclaw_client.testing.pairing import Applicant, Device, PairedDevices, covers
from openclaw_client.testing.schema import complaint
from openclaw_client.testing.traits import Profile
from openclaw_client.wire import codes
from openclaw_client.wire.frames import ErrorShape

AuthMode = Literal["token", "password", "none"]

_ORIGIN_REFUSED: Final = (
    "origin not allowed (open the Control UI from the gateway host or allow it in gateway.controlUi.allowedOrigins)"
)
_UI_NEEDS_DEVICE: Final = "control ui requires device identity (use HTTPS or localhost secure context)"
_ORIGIN_CHECKED: Final = frozenset({"webchat", "webchat-ui", "openclaw-control-ui"})
_PAIRING_TEXTS: Final = {
    "not-paired": ("device is not approved yet", "Approve this device from the pending pairing requests."),
    "scope-upgrade": (
        "device is asking for more scopes than currently approved",
        "Review the requested scopes, then approve the pending upgrade.",
    ),
    "role-upgrade": (
        "device is asking for a higher role than currently approved",
        "Review the requested role upgrade, then approve the pending request.",
    ),
    "metadata-upgrade": (
        "device identity changed and must be re-approved",
        "Review the refreshed device details, then approve the pending request.",
    ),
}
_NEXT_STEPS: Final = {
    "AUTH_TOKEN_MISMATCH": "update_auth_credentials",
    "AUTH_DEVICE_TOKEN_MISMATCH": "update_auth_credentials",
    "AUTH_PASSWORD_MISMATCH": "update_auth_credentials",
    "AUTH_TOKEN_MISSING": "update_auth_configuration",
    "AUTH_PASSWORD_MISSING": "update_auth_configuration",
    "AUTH_SCOPE_MISMATCH": "review_auth_configuration",
    "AUTH_RATE_LIMITED": "wait_then_retry",
}


@dataclass(frozen=True, slots=True)
class Accepted:
    """The connection may go on. reported_scopes: what hello-ok says, which is not always what holds."""

    role: str
    scopes: tuple[str, ...]
    reported_scopes: tuple[str, ...]
    method: str
    device_id: str | None
    device: Device | None


@dataclass(frozen=True, slots=True)
class RefusedLogin:
    """The answer to connect, then the close. asked: a pairing request that is new."""

    error: ErrorShape
    code: int = codes.CLOSE_POLICY
    asked: str | None = None


@dataclass(frozen=True, slots=True)
class Secrets:
    mode: AuthMode
    token: str | None = field(default=None, repr=False)
    password: str | None = field(default=None, repr=False)


@dataclass(frozen=True, slots=True)
class Visit:
    """What is known of a connect request beside its parameters. local: from this machine, without a proxy."""

    nonce: str
    local: bool
    origin: str | None
    now_ms: int


@dataclass(slots=True)
class RateLimit:
    """Failed attempts of clients. max_attempts: None = unlimited, as loopback is by default; lockout in seconds."""

    max_attempts: int | None = None
    lockout: float = 300.0
    failures: int = 0
    locked_until: float = 0.0

    def wait(self, now: float) -> float:
        """Seconds until the next attempt is looked at."""
        return max(self.locked_until - now, 0.0)

    def failed(self, now: float) -> None:
        """Count a wrong credential."""
        self.failures += 1
        if self.max_attempts is not None and self.failures >= self.max_attempts:
            self.locked_until, self.failures = now + self.lockout, 0


class Doorman:
    """Decides about connect requests."""

    def __init__(self, profile: Profile, secret: Secrets, pairing: PairedDevices, limit: RateLimit) -> None:
        self._profile = profile
        self._secrets = secret
        self._pairing = pairing
        self._limit = limit
        self._rule = connect_rule(profile)

    def decide(self, params: Any, visit: Visit) -> Accepted | RefusedLogin:
        """The verdict; the checks stand in the order of the real gateways."""
        wrong = complaint(self._rule, params, verbose=self._profile.verbose_schema)
        if wrong:
            return _refused(f"invalid connect params: {wrong}")
        for check in (self._protocol, self._role, self._origin):
            refusal = check(params, visit)
            if refusal is not None:
                return refusal
        device = params.get("device")
        credentials = self._credentials(params, visit)
        if device is None:
            return self._without_device(params, visit, credentials)
        return self._proof(params, device, visit) or self._with_device(params, visit, credentials)

    # The checks.

    def _protocol(self, params: dict[str, Any], _visit: Visit) -> RefusedLogin | None:
        low, high, ours = params["minProtocol"], params["maxProtocol"], self._profile.protocol
        if low <= ours <= high:
            return None
        probe = self._profile.probe_protocol
        if probe is not None and params["client"]["mode"] == "probe" and high >= probe:
            return None
        details: dict[str, Any] = {"expectedProtocol": ours}
        if probe is not None:
            details["minimumProbeProtocol"] = probe
        if self._profile.mismatch_code:
            ends = {"clientMinProtocol": low, "clientMaxProtocol": high}
            details = {"code": codes.PROTOCOL_MISMATCH, **ends, **details}
        error = ErrorShape(code="INVALID_REQUEST", message="protocol mismatch", details=details)
        return RefusedLogin(error, codes.CLOSE_PROTOCOL)

    def _role(self, params: dict[str, Any], _visit: Visit) -> RefusedLogin | None:
        return None if params.get("role", "operator") in ("operator", "node") else _refused("invalid role")

    def _origin(self, params: dict[str, Any], visit: Visit) -> RefusedLogin | None:
        browser = params["client"]["id"] in _ORIGIN_CHECKED
        if not browser and (visit.origin is None or not self._profile.checks_every_origin):
            return None
        host = (visit.origin or "").partition("://")[2].partition(":")[0]
        if host in ("127.0.0.1", "localhost", "[::1]"):
            return None
        reason = "origin not allowed" if visit.origin else "origin missing or invalid"
        return self._coded(_ORIGIN_REFUSED, "CONTROL_UI_ORIGIN_NOT_ALLOWED", reason=reason)

    def _credentials(self, params: dict[str, Any], visit: Visit) -> str | RefusedLogin:
        """How the client proved itself ("token", "device-token", …), or why it did not; "" without any credential."""
        wait = self._limit.wait(visit.now_ms / 1000)
        if wait:
            return self._rate_limited(wait)
        auth = params.get("auth") or {}
        if self._secrets.mode == "none":
            return "none"
        token, password, device_token = auth.get("token"), auth.get("password"), auth.get("deviceToken")
        if not token and not password and not device_token:
            return ""
        if self._fits(token, password):
            self._limit.failures = 0
            return self._secrets.mode
        device_id = (params.get("device") or {}).get("id")
        candidate = device_token or token
        if device_id and candidate and self._pairing.token_fits(device_id, candidate, params.get("role", "operator")):
            return self._device_token(device_id, params, used=bool(device_token))
        self._limit.failed(visit.now_ms / 1000)
        return self._mismatch(params, token, password, device_token)

    def _fits(self, token: str | None, password: str | None) -> bool:
        mode = self._secrets.mode
        secret = self._secrets.password if mode == "password" else self._secrets.token
        given = [password if mode == "password" else token]
        if self._profile.secret_in_any_field:
            given = [token, password]
        return any(hmac.compare_digest((secret or "").encode(), one.encode()) for one in given if one)

    def _device_token(self, device_id: str, params: dict[str, Any], *, used: bool) -> str | RefusedLogin:
        device = self._pairing.devices[device_id]
        if covers(device.scopes, params.get("scopes", ())):
            return "device-token"
        if self._profile.pairing_hints:
            text = "device token scope mismatch (re-pair or approve scope upgrade)"
            return self._unauthorized(text, "AUTH_SCOPE_MISMATCH", params)
        if not self._profile.detail_codes or used:
            text = "device token mismatch (rotate/reissue device token)"
            return self._unauthorized(text, "AUTH_DEVICE_TOKEN_MISMATCH", params)
        return self._mismatch(params, "…", None, None)

    def _mismatch(
        self, params: dict[str, Any], token: str | None, password: str | None, device_token: str | None
    ) -> RefusedLogin:
        with_device = params.get("device") is not None
        explicit = device_token and (with_device or not token)
        if explicit or (token and with_device and not self._profile.detail_codes):
            text = "device token mismatch (rotate/reissue device token)"
            return self._unauthorized(text, "AUTH_DEVICE_TOKEN_MISMATCH", params)
        mode = self._secrets.mode
        given = token or password if self._profile.secret_in_any_field else (password if mode == "password" else token)
        return self._shared_secret(params, "mismatch" if given else "missing")

    def _shared_secret(self, params: dict[str, Any], what: Literal["mismatch", "missing"]) -> RefusedLogin:
        mode = self._secrets.mode
        cli = params["client"]["mode"] == "cli"
        if mode == "token":
            hint = "set gateway.remote.token to match gateway.auth.token" if cli else "provide gateway auth token"
            if cli and what == "mismatch":
                hint = self._profile.cli_mismatch_hint
        else:
            hint = "set gateway.remote.password to match gateway.auth.password" if cli else "enter the password"
        code = f"AUTH_{mode.upper()}_{what.upper()}"
        return self._unauthorized(f"gateway {mode} {what} ({hint})", code, params)

    def _proof(self, params: dict[str, Any], device: dict[str, Any], visit: Visit) -> RefusedLogin | None:
        key = raw_key(device["publicKey"])
        if key is None or hashlib.sha256(key).hexdigest() != device["id"]:
            return self._coded(
                "device identity mismatch", "DEVICE_AUTH_DEVICE_ID_MISMATCH", reason="device-id-mismatch"
            )
        if abs(visit.now_ms - device["signedAt"]) > self._profile.signature_window * 1000:
            return self._coded("device signature expired", codes.SIGNATURE_EXPIRED, reason="device-signature-stale")
        nonce = device.get("nonce", "")
        if not nonce.strip() and not self._profile.nonce_optional:
            return self._coded("device nonce required", "DEVICE_AUTH_NONCE_REQUIRED", reason="device-nonce-missing")
        if nonce.strip() and nonce.strip() != visit.nonce:
            return self._coded("device nonce mismatch", "DEVICE_AUTH_NONCE_MISMATCH", reason="device-nonce-mismatch")
        for version in self._profile.signatures:
            # v1 has no nonce to sign; the one release that knows it takes it from this machine only.
            if version == "v1" and (nonce or not visit.local):
                continue
            if is_signed(key, device["signature"], signed_payload(version, params, device)):
                return None
        return self._coded("device signature invalid", codes.SIGNATURE_INVALID, reason="device-signature")

    # The verdicts.

    def _without_device(
        self, params: dict[str, Any], visit: Visit, credentials: str | RefusedLogin
    ) -> Accepted | RefusedLogin:
        client = params["client"]
        if isinstance(credentials, RefusedLogin):
            return credentials
        needs_device = credentials == "none" and (client["id"], client["mode"]) != ("gateway-client", "backend")
        needs_device = needs_device or params.get("role") == "node"
        if not credentials or needs_device:
            return self._coded("device identity required", "DEVICE_IDENTITY_REQUIRED", code="NOT_PAIRED")
        if client["id"] in ("openclaw-tui", "openclaw-control-ui"):
            return self._coded(_UI_NEEDS_DEVICE, "CONTROL_UI_DEVICE_IDENTITY_REQUIRED")
        keeps = visit.local and (client["id"], client["mode"]) in self._profile.keeps_scopes
        scopes = tuple(params.get("scopes", ())) if keeps else ()
        return Accepted(params.get("role", "operator"), scopes, scopes, credentials, None, None)

    def _with_device(
        self, params: dict[str, Any], visit: Visit, credentials: str | RefusedLogin
    ) -> Accepted | RefusedLogin:
        if isinstance(credentials, RefusedLogin):
            return credentials
        if not credentials:
            return self._shared_secret(params, "missing")
        who = _applicant(params)
        standing = self._pairing.standing(who, checks_metadata=self._profile.checks_metadata)
        backend = (who.client_id, who.client_mode) == ("gateway-client", "backend")
        trusted = backend and visit.local and self._profile.trusts_backend and credentials != "device-token"
        if standing is not None and not trusted:
            refusal = self._needs_approval(who, visit, standing)
            if refusal is not None:
                return refusal
        device = self._pairing.devices.get(who.device_id)
        if device is not None and (device.token is None or not covers(device.scopes, who.scopes)):
            device = None
        reported = who.scopes
        if device is not None and device.token is not None and not self._profile.reports_own_scopes:
            reported = tuple(device.token.scopes)
        return Accepted(who.role, who.scopes, reported, credentials, who.device_id, device)

    def _needs_approval(self, who: Applicant, visit: Visit, standing: str) -> RefusedLogin | None:
        waiting = self._pairing.request_of(who.device_id)
        # A node has no scopes: one that asks for some is looked at by a person.
        plain = who.role == "operator" or not who.scopes
        silent = visit.local and plain and waiting is None and standing in self._silent_reasons()
        if silent:
            self._pairing.pair(who, silent=True)
            return None
        if standing == "role-upgrade" and self._profile.reissues_tokens:
            self._pairing.reissue(who.device_id, who.scopes)
            return None
        request, new = self._pairing.ask(who, widens=self._profile.widens_requests)
        text, hint = _PAIRING_TEXTS[standing]
        profile = self._profile
        details: dict[str, Any] = {"requestId": request.id}
        if profile.detail_codes:
            details = {"code": codes.PAIRING_REQUIRED, "reason": standing, **details}
        if profile.pairing_hints:
            details |= {"remediationHint": hint, "deviceId": who.device_id}
            details["requestedRole"] = who.role
            if who.role == "operator" or who.scopes:
                details["requestedScopes"] = list(who.scopes)
            known = self._pairing.devices.get(who.device_id)
            if known is not None:
                details |= {"approvedRoles": [known.role], "approvedScopes": list(known.scopes)}
        message = f"pairing required: {text}" if profile.pairing_hints else "pairing required"
        error = ErrorShape(code="NOT_PAIRED", message=message, details=details)
        return RefusedLogin(error, asked=request.id if new else None)

    def _silent_reasons(self) -> tuple[str, ...]:
        return ("not-paired", "scope-upgrade") if self._profile.upgrades_scopes else ("not-paired",)

    def _rate_limited(self, wait: float) -> RefusedLogin:
        text = "unauthorized: too many failed authentication attempts (retry later)"
        if not self._profile.detail_codes:
            return _refused(text)
        details = {
            "code": codes.RATE_LIMITED,
            "authReason": "rate_limited",
            "canRetryWithDeviceToken": False,
            "recommendedNextStep": "wait_then_retry",
        }
        error = ErrorShape(code="INVALID_REQUEST", message=text, details=details)
        if self._profile.retry_after:
            retry_after = round(wait * 1000)
            error = ErrorShape(error.code, text, details, retryable=True, retry_after_ms=retry_after)
        return RefusedLogin(error)

    def _unauthorized(self, text: str, code: str, params: dict[str, Any]) -> RefusedLogin:
        message = f"unauthorized: {text}"
        if not self._profile.detail_codes:
            return _refused(message)
        sent_device_token = bool((params.get("auth") or {}).get("deviceToken"))
        retry = code == codes.TOKEN_MISMATCH and params.get("device") is not None and not sent_device_token
        details = {
            "code": code,
            "authReason": code.removeprefix("AUTH_").lower(),
            "canRetryWithDeviceToken": retry,
            "recommendedNextStep": "retry_with_device_token" if retry else _NEXT_STEPS[code],
        }
        return RefusedLogin(ErrorShape(code="INVALID_REQUEST", message=message, details=details))

    def _coded(
        self, message: str, detail: str, *, code: str = "INVALID_REQUEST", reason: str | None = None
    ) -> RefusedLogin:
        if not self._profile.detail_codes:
            return RefusedLogin(ErrorShape(code=code, message=message))
        details = {"code": detail} if reason is None else {"code": detail, "reason": reason}
        return RefusedLogin(ErrorShape(code=code, message=message, details=details))


def _refused(message: str) -> RefusedLogin:
    return RefusedLogin(ErrorShape(code="INVALID_REQUEST", message=message))


def _applicant(params: dict[str, Any]) -> Applicant:
    client, device = params["client"], params["device"]
    return Applicant(
        device_id=device["id"],
        public_key=device["publicKey"],
        platform=client["platform"],
        client_id=client["id"],
        client_mode=client["mode"],
        role=params.get("role", "operator"),
        scopes=tuple(params.get("scopes", ())),
        device_family=client.get("deviceFamily"),
    )
