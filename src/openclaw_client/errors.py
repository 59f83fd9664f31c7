"""Every error that this package raises on purpose.

::

    GatewayError
    ├── UsageError (also a ValueError)    the call cannot work as written; nothing was sent
    │   └── NotConnected                  no connect() before the call, or after disconnect()
    ├── IdentityError                     the device key or token store cannot be used
    ├── ConnectError                      no usable connection came about
    │   ├── Unreachable                   DNS, TCP, TLS or the WebSocket upgrade failed
    │   ├── HandshakeTimeout              the gateway accepted the socket and then said nothing
    │   ├── ProtocolMismatch              no wire version in common
    │   ├── AuthRejected                  token, password or device signature refused
    │   ├── RateLimited                   too many failed attempts; see `retry_after`
    │   ├── PairingRequired               the device waits for approval
    │   ├── MissingScope                  the connection may not do what was asked of it
    │   └── TlsPinMismatch                the certificate is not the pinned one
    ├── ConnectionLost                    the socket is gone
    │   ├── ClientClosed                  … because disconnect() was called
    │   └── OutcomeUnknown                … between sending a request and its answer
    ├── ProtocolViolation                 the gateway sent something that cannot be understood
    ├── RequestError                      one request failed
    │   ├── RequestFailed                 the gateway answered with an error
    │   │   └── MissingScope
    │   ├── RequestTimeout                no answer in time; the outcome is unknown
    │   ├── OutcomeUnknown                the socket died between sending and the answer
    │   └── PayloadTooLarge               over a limit; nothing was sent
    ├── RunError                          a chat run did not end with a reply
    │   ├── RunFailed                     the gateway says that it failed
    │   ├── RunTimeout                    the caller's own time limit passed; the run goes on
    │   └── RunLost                       how it ended is not known
    └── ManagerError                      the connection manager cannot serve this user

Errors carry fields; the sentence is made from the fields. They can be pickled and copied. No field that is shown
in `str()` or `repr()` holds a token, a password, a key or a signature.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Self

__all__ = [
    "AuthRejected",
    "ClientClosed",
    "ConnectError",
    "ConnectionLost",
    "GatewayError",
    "HandshakeTimeout",
    "IdentityError",
    "ManagerError",
    "MissingScope",
    "NotConnected",
    "OutcomeUnknown",
    "PairingRequired",
    "PayloadTooLarge",
    "ProtocolMismatch",
    "ProtocolViolation",
    "RateLimited",
    "RequestError",
    "RequestFailed",
    "RequestTimeout",
    "RunError",
    "RunFailed",
    "RunLost",
    "RunTimeout",
    "TlsPinMismatch",
    "Unreachable",
    "UsageError",
]


def _rebuild(cls: type[GatewayError], fields: dict[str, Any]) -> GatewayError:
    error = cls.__new__(cls)
    error.__dict__.update(fields)
    return error


def _join(*parts: str) -> str:
    """Sentences with one full stop each, empty ones left out."""
    return " ".join(part.rstrip(". ") + "." for part in parts if part.strip(". "))


@dataclass(eq=False, kw_only=True, repr=False)
class GatewayError(Exception):
    """Root of all errors of this package.

    message: what happened. remedy: what to do next; may be empty.
    """

    message: str = ""
    remedy: str = ""

    def sentence(self) -> str:
        """What happened, made from the fields; subclasses add what they know."""
        return self.message or (type(self).__doc__ or "").split("\n", 1)[0]

    def __str__(self) -> str:
        return _join(self.sentence(), self.remedy)

    def __repr__(self) -> str:
        return f"{type(self).__name__}({str(self)!r})"

    def __reduce__(self) -> tuple[Any, ...]:
        return _rebuild, (type(self), dict(self.__dict__))

    def again(self) -> Self:
        """A copy to raise elsewhere: one exception object raised in several tasks mixes their tracebacks."""
        twin: Self = _rebuild(type(self), dict(self.__dict__))  # type: ignore[assignment]
        twin.__cause__ = self.__cause__
        return twin


class UsageError(GatewayError, ValueError):
    """The call cannot work as written; nothing was sent."""


class NotConnected(UsageError):
    """The client is not connected: call connect() first, or use it as a context manager."""


@dataclass(eq=False, kw_only=True, repr=False)
class IdentityError(GatewayError):
    """The device identity cannot be read or written; nothing was overwritten."""

    path: str | None = None

    def sentence(self) -> str:
        where = f" ({self.path})" if self.path else ""
        return (super().sentence().rstrip(".")) + where


@dataclass(eq=False, kw_only=True, repr=False)
class ConnectError(GatewayError):
    """No usable connection to the gateway came about.

    url has no credentials in it. code and detail_code are the gateway's (`error.code`, `error.details.code`; for
    gateways of wire v3 the detail code is derived from the text). retry_after is in seconds, None when not told.
    attempt counts from 1 since the client last was connected.
    """

    url: str | None = None
    code: str | None = None
    detail_code: str | None = None
    close_code: int | None = None
    close_reason: str | None = None
    retry_after: float | None = None
    attempt: int | None = None
    gateway_version: str | None = None

    def sentence(self) -> str:
        where = f" ({self.url})" if self.url else ""
        tags = [tag for tag in (self.detail_code or self.code, self._close()) if tag]
        return super().sentence().rstrip(".") + where + (f" [{', '.join(tags)}]" if tags else "")

    def _close(self) -> str:
        return f"close {self.close_code}" if self.close_code is not None else ""


class Unreachable(ConnectError):
    """The gateway cannot be reached."""


class HandshakeTimeout(ConnectError):
    """The gateway did not complete the handshake in time."""


@dataclass(eq=False, kw_only=True, repr=False)
class ProtocolMismatch(ConnectError):
    """The gateway and this client have no protocol version in common."""

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

    close_code is the WebSocket close code (1006: the socket ended without one). last_frame_age: seconds since the
    last frame from the gateway, None when there was none. sent: whether the bytes of the request that this error
    ended had been given to the socket; None where no request is concerned.
    """

    close_code: int | None = None
    close_reason: str | None = None
    last_frame_age: float | None = None
    sent: bool | None = None

    def sentence(self) -> str:
        code = f" [close {self.close_code}{f' {self.close_reason!r}' if self.close_reason else ''}]"
        age = f", last frame {self.last_frame_age:.1f} s ago" if self.last_frame_age is not None else ""
        sent = {True: "; the request had been sent", False: "; the request was not sent", None: ""}[self.sent]
        return super().sentence().rstrip(".") + (code if self.close_code is not None else "") + age + sent


class ClientClosed(ConnectionLost):
    """The connection was closed by disconnect()."""


class ProtocolViolation(GatewayError):
    """The gateway sent something that cannot be understood."""


@dataclass(eq=False, kw_only=True, repr=False)
class RequestError(GatewayError):
    """A request to the gateway failed."""

    method: str | None = None

    def sentence(self) -> str:
        return f"{self.method}: {super().sentence()}" if self.method else super().sentence()


@dataclass(eq=False, kw_only=True, repr=False)
class RequestFailed(RequestError):
    """The gateway answered the request with an error.

    details and payload are the gateway's own (`error.details`, and the payload that some errors carry beside it).
    retry_after is in seconds.
    """

    code: str | None = None
    detail_code: str | None = None
    details: Mapping[str, Any] | None = None
    retryable: bool = False
    retry_after: float | None = None
    payload: Any = None

    def sentence(self) -> str:
        tag = self.detail_code or self.code
        return super().sentence().rstrip(".") + (f" [{tag}]" if tag else "")


@dataclass(eq=False, kw_only=True, repr=False)
class MissingScope(ConnectError, RequestFailed):
    """The connection lacks a scope.

    Raised by connect() when a requested scope was not granted, and by a request that the gateway refused for want
    of one. requested: what this client asked for, granted: what the gateway gave, missing: what is lacking.
    """

    requested: tuple[str, ...] = ()
    granted: tuple[str, ...] = ()
    missing: tuple[str, ...] = ()

    def sentence(self) -> str:
        got = ", ".join(self.granted) or "none"
        head = f"{self.method}: " if self.method else ""
        return f"{head}missing scope {', '.join(self.missing) or '(unknown)'}; granted: {got}"


@dataclass(eq=False, kw_only=True, repr=False)
class RequestTimeout(RequestError):
    """The gateway did not answer in time; whether it acted on the request is unknown.

    timeout is in seconds. idempotency_key: what a retry must carry so that nothing happens twice.
    """

    timeout: float | None = None
    idempotency_key: str | None = None

    def sentence(self) -> str:
        within = f" within {self.timeout:g} s" if self.timeout is not None else ""
        head = f"{self.method}: " if self.method else ""
        return f"{head}no answer{within}; whether the gateway acted on it is unknown"


@dataclass(eq=False, kw_only=True, repr=False)
class OutcomeUnknown(RequestError, ConnectionLost):
    """The connection died before the answer came; whether the gateway acted on the request is unknown.

    idempotency_key: what a retry must carry so that nothing happens twice.
    """

    idempotency_key: str | None = None


@dataclass(eq=False, kw_only=True, repr=False)
class PayloadTooLarge(RequestError):
    """The request is over a limit of the gateway; nothing was sent.

    size and limit are in `unit`.
    """

    size: int = 0
    limit: int = 0
    what: str = "the request"
    unit: str = "bytes"

    def sentence(self) -> str:
        head = f"{self.method}: " if self.method else ""
        return f"{head}{self.what} has {self.size} {self.unit}, the limit is {self.limit}; nothing was sent"


@dataclass(eq=False, kw_only=True, repr=False)
class RunError(GatewayError):
    """A chat run did not end with a reply. partial_text is what had arrived."""

    run_id: str | None = None
    session_key: str | None = None
    partial_text: str = ""

    def sentence(self) -> str:
        got = f" ({len(self.partial_text)} characters had arrived)" if self.partial_text else ""
        return f"run {self.run_id}: {super().sentence().rstrip('.')}{got}"


@dataclass(eq=False, kw_only=True, repr=False)
class RunFailed(RunError):
    """The gateway reports that the run failed.

    kind: "refusal", "timeout", "rate_limit", "context_length", "unknown", or None where the gateway doesn't tell.
    detail: the gateway's own mapping about the provider's failure.
    """

    kind: str | None = None
    detail: Mapping[str, Any] | None = None


@dataclass(eq=False, kw_only=True, repr=False)
class RunTimeout(RunError):
    """The caller's time limit passed; the run goes on at the gateway. chat_abort() ends it there.

    limit: "idle" or "total". timeout is in seconds. sent is False where the message was still waiting for its turn.
    """

    limit: str = "total"
    timeout: float | None = None
    sent: bool = True

    def sentence(self) -> str:
        within = f" of {self.timeout:g} s" if self.timeout is not None else ""
        state = "the run goes on at the gateway" if self.sent else "the message was not sent"
        return f"run {self.run_id}: the {self.limit} time limit{within} passed; {state}"


class RunLost(RunError):
    """How the run ended is not known."""


@dataclass(eq=False, kw_only=True, repr=False)
class ManagerError(GatewayError):
    """The connection manager cannot serve this user."""
