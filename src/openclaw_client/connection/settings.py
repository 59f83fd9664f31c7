"""What a client was configured with, checked, in the form that the connection layer works with."""

from __future__ import annotations

import ssl
from collections.abc import Mapping
from dataclasses import dataclass, field, fields

from openclaw_client.identity.device import DeviceIdentity, default_platform
from openclaw_client.identity.store import IdentityStore
from openclaw_client.policy.backoff import ReconnectPolicy
from openclaw_client.policy.credentials import AuthInput
from openclaw_client.policy.scopes import DEFAULT_SCOPES, NEEDED_BY_DEFAULT
from openclaw_client.policy.texts import one_line
from openclaw_client.policy.timeouts import Timeouts
from openclaw_client.policy.urls import GatewayUrl, is_secret_name
from openclaw_client.transport.pin import parse_fingerprint
from openclaw_client.version import __version__
from openclaw_client.wire.handshake import ClientFields

__all__ = ["ClientInfo", "Settings", "parse_fingerprint"]

DEFAULT_CAPS = ("tool-events",)
"""Without this capability a gateway sends no live tool events, and says nothing about it."""

APPROVALS_CAP = "approvals"
QUESTIONS_SCOPE = "operator.questions"


@dataclass(frozen=True, slots=True)
class ClientInfo:
    """How the client introduces itself. id and mode are closed enumerations of the gateway.

    None takes the pair that gets most: with a device "cli"/"cli", because a gateway gives the device of a
    "gateway-client"/"backend" on its own machine no device token (observed on 2026.9.6); without a device
    "gateway-client"/"backend", because only that pair is given scopes then (2026.6.1). platform and device_family
    count only for a client without a device: a device's own are fixed when it is made, because a change of them needs
    a new approval.
    """

    id: str | None = None
    mode: str | None = None
    version: str = __version__
    display_name: str | None = None
    platform: str | None = None
    device_family: str | None = None
    instance_id: str | None = None

    def __post_init__(self) -> None:
        for entry in fields(self):
            value = getattr(self, entry.name)
            text = "" if value is None else one_line(f"ClientInfo.{entry.name}", value)
            object.__setattr__(self, entry.name, text or entry.default)

    def fields(self, device: DeviceIdentity | None) -> ClientFields:
        """`client` of connect for this device."""
        return ClientFields(
            id=self.id or ("cli" if device else "gateway-client"),
            mode=self.mode or ("cli" if device else "backend"),
            version=self.version,
            display_name=self.display_name,
            platform=device.platform if device else self.platform or default_platform(),
            device_family=device.device_family if device else self.device_family,
            instance_id=self.instance_id,
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """store is None for a client without a device; scopes is None for the default ones. answers: what of an agent's
    requests is answered, "approvals" and "questions". commands: what a node can be asked to do."""

    url: GatewayUrl
    credentials: AuthInput = field(default_factory=AuthInput)
    store: IdentityStore | None = None
    role: str = "operator"
    scopes: tuple[str, ...] | None = None
    caps: tuple[str, ...] = DEFAULT_CAPS
    answers: frozenset[str] = frozenset()
    commands: tuple[str, ...] = ()
    client: ClientInfo = ClientInfo()
    timeouts: Timeouts = field(default_factory=Timeouts)
    reconnect: ReconnectPolicy = field(default_factory=ReconnectPolicy)
    ssl_context: ssl.SSLContext | None = field(default=None, repr=False)
    headers: Mapping[str, str] | None = field(default=None, repr=False)
    proxy: str | None = field(default=None, repr=False)
    tls_fingerprint: str | None = None
    ca_file: str | None = None
    application: str | None = None

    @property
    def secrets(self) -> tuple[str, ...]:
        """What was configured and must never be shown, for a `Redactor`."""
        given = self.credentials
        headers = [value for name, value in (self.headers or {}).items() if is_secret_name(name)]
        # A header's value has a scheme before the secret ("Bearer …"), and may be quoted without it.
        words = [value.rpartition(" ")[2] for value in headers]
        known = (given.token, given.device_token, given.password, given.bootstrap_token)
        return tuple(one for one in (*known, *self.url.secrets, *headers, *words) if one)

    @property
    def requested_scopes(self) -> tuple[str, ...]:
        return DEFAULT_SCOPES if self.scopes is None else self.scopes

    @property
    def bonus_scopes(self) -> tuple[str, ...]:
        """Asked for beside those, and done without where the device may not have them yet."""
        return (QUESTIONS_SCOPE,) if "questions" in self.answers and self.scopes is None else ()

    @property
    def announced_caps(self) -> tuple[str, ...]:
        """What is said to be implemented: 2026.8.1 and later ask nobody who does not say that it answers."""
        answers = "approvals" in self.answers and APPROVALS_CAP not in self.caps
        return (*self.caps, APPROVALS_CAP) if answers else self.caps

    @property
    def needed_scopes(self) -> tuple[str, ...]:
        """Without which connect() raises: all that were asked for by name, else what chat needs."""
        return NEEDED_BY_DEFAULT if self.scopes is None else self.scopes
