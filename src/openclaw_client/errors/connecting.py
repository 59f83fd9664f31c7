"""No connection came about, or it is gone."""

from __future__ import annotations

from dataclasses import dataclass

from openclaw_client.errors.base import GatewayError


@dataclass(eq=False, kw_only=True, repr=False)
class ConnectError(GatewayError):
    """No usable connection to the gateway came about.

    url has no credentials in it. stage is how far the attempt had come: "dns", "tcp", "proxy", "tls", "upgrade",
    "challenge", "connect" or "scopes". code and detail_code are the gateway's (`error.code`, `error.details.code`; for
    gateways of wire v3 the detail code is derived from the text); where the gateway said nothing, detail_code is this
    package's name for what happened. docs/troubleshooting.md has them all. retry_after is in seconds, None when not
    told.
    """

    url: str | None = None
    stage: str | None = None
    code: str | None = None
    detail_code: str | None = None
    retry_after: float | None = None

    def sentence(self) -> str:
        return super().sentence().rstrip(".") + (f" ({self.url})" if self.url else "")

    def tags(self) -> list[str]:
        code = self.detail_code or self.code
        return [*([code] if code else []), *super().tags()]


class Unreachable(ConnectError):
    """The gateway cannot be reached."""


class HandshakeTimeout(ConnectError):
    """The gateway did not complete the handshake in time."""


@dataclass(eq=False, kw_only=True, repr=False)
class ProtocolMismatch(ConnectError):
    """The gateway and this client have no protocol version in common.

    Or, with the detail code GATEWAY_TOO_OLD, the gateway is older than the oldest release that is supported.
    """

    client_min: int | None = None
    client_max: int | None = None
    expected: int | None = None

    def sentence(self) -> str:
        ours = f"; this client speaks {self.client_min} to {self.client_max}" if self.client_max is not None else ""
        theirs = f", the gateway wants {self.expected}" if self.expected is not None else ""
        return super().sentence() + ours + theirs


class AuthRejected(ConnectError):
    """The gateway refused the credentials."""


class RateLimited(ConnectError):
    """The gateway refuses connects for a while after too many failed attempts."""


@dataclass(eq=False, kw_only=True, repr=False)
class PairingRequired(ConnectError):
    """This device must be approved on the gateway before it may connect.

    reason: "not-paired", "scope-upgrade", "role-upgrade" or "metadata-upgrade". command approves the request on
    the gateway's machine.
    """

    request_id: str | None = None
    device_id: str | None = None
    reason: str | None = None
    requested_scopes: tuple[str, ...] = ()
    approved_scopes: tuple[str, ...] = ()

    @property
    def command(self) -> str:
        """The literal command for the gateway's machine."""
        return f"openclaw devices approve {self.request_id}" if self.request_id else "openclaw devices list"

    def sentence(self) -> str:
        why = f": {self.reason}" if self.reason else ""
        return f"{super().sentence()}{why}; approve it with `{self.command}`"


@dataclass(eq=False, kw_only=True, repr=False)
class TlsPinMismatch(ConnectError):
    """The certificate of the gateway is not the pinned one; no request was written.

    Both are SHA-256 fingerprints in lower-case hex.
    """

    expected: str | None = None
    actual: str | None = None

    def sentence(self) -> str:
        return f"{super().sentence()}: pinned {self.expected}, presented {self.actual}"


@dataclass(eq=False, kw_only=True, repr=False)
class ConnectionLost(GatewayError):
    """The connection to the gateway was lost.

    sent: whether the bytes of the request that this error ended had been given to the socket; None where no request is
    concerned.
    """

    sent: bool | None = None

    def sentence(self) -> str:
        sent = {True: "; the request had been sent", False: "; the request was not sent", None: ""}[self.sent]
        return super().sentence().rstrip(".") + sent


class ClientClosed(ConnectionLost):
    """The connection was closed by disconnect()."""
