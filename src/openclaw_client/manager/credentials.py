"""What one user of a manager connects with."""

from __future__ import annotations

import os
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field, fields
from functools import partial
from typing import Any

from openclaw_client.client.options import (
    CREDENTIAL_VARIABLES,
    CaFile,
    ClientInfo,
    DeviceIdentity,
    Identity,
    Proxy,
    ReconnectPolicy,
    Settings,
    Timeouts,
    build_settings,
    forgive_refusals,
)
from openclaw_client.client.scope import with_scope
from openclaw_client.errors import GatewayError, UsageError
from openclaw_client.errors.frames import forget_frames, without_frames
from openclaw_client.identity.files import FileIdentityStore
from openclaw_client.policy.urls import parse_url
from openclaw_client.sessions.filter import MAX_LISTED, SessionFilter, Sessions


class AllSessions:
    """The type of `ALL_SESSIONS`."""

    def __repr__(self) -> str:
        return "ALL_SESSIONS"


ALL_SESSIONS = AllSessions()
"""For `Credentials.sessions`: this user is an administrator, who is shown the sessions and events of all users."""

_SECRET = {"token", "password", "device_token", "headers"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Credentials:
    """Where a user's gateway is, and what the user shows there. The repr shows no secret.

    url is required (and may be given by position). No URL, credential or pin is taken from the environment; what that
    says of proxies, authorities and private networks counts for all users. token, password, device_token: as for
    `GatewayClient`. identity: this user's own device: an `IdentityStore`, such as
    `FileIdentityStore(folder / f"{user_id}.json")`, or a `DeviceIdentity`; None for no device. sessions: what the user
    is shown beside the sessions that the connection itself has used: keys, a predicate on the canonical key, or
    `ALL_SESSIONS`. scopes, role, tls_fingerprint, ca_file, headers: as for `GatewayClient`.
    """

    url: str = field(kw_only=False)
    token: str | None = None
    password: str | None = None
    device_token: str | None = None
    identity: Identity = None
    sessions: Sessions | AllSessions = None
    role: str = "operator"
    scopes: Iterable[str] | None = None
    tls_fingerprint: str | None = None
    ca_file: CaFile = None
    headers: Mapping[str, str] | None = None

    def __post_init__(self) -> None:
        if not isinstance(self.url, str) or not self.url.strip():
            raise UsageError(message="Credentials without a URL", remedy="Name the gateway of this user")
        # Iterators would be empty at the second look.
        if isinstance(self.scopes, Iterable) and not isinstance(self.scopes, str):
            object.__setattr__(self, "scopes", tuple(self.scopes))
        if isinstance(self.sessions, Iterable) and not isinstance(self.sessions, str):
            object.__setattr__(self, "sessions", tuple(self.sessions))
        # Raises now what is wrong with the sessions, and not where nobody can catch it.
        self.filter()

    def __repr__(self) -> str:
        given = [(one.name, getattr(self, one.name)) for one in fields(self)[1:] if getattr(self, one.name) is not None]
        shown = [f"{name}=…" if name in _SECRET else f"{name}={value!r}" for name, value in given if name != "role"]
        return f"Credentials({', '.join([_shown(self.url), *shown])})"

    def same_connection(self, other: Credentials) -> bool:
        """Whether a connection made with the others serves these as well. Sessions don't count, see `filter`."""
        return self._connection() == other._connection()

    def device_key(self) -> object:
        """What two users must not have in common; None without a device."""
        identity = self.identity
        if isinstance(identity, DeviceIdentity):
            return identity.id
        if isinstance(identity, FileIdentityStore):
            return str(identity.path)
        if identity is True:
            return "the default file"
        return None if identity is None or identity is False else id(identity)

    def filter(self) -> SessionFilter:
        """What this user is shown."""
        if isinstance(self.sessions, AllSessions):
            return SessionFilter(None)
        return SessionFilter(self.sessions, private=True)

    def _connection(self) -> tuple[Any, ...]:
        # Two store objects may be one device: a function that makes a new one each time must not mean a new connection.
        device = self.device_key()
        device = "a store" if isinstance(device, int) else device
        headers = dict(self.headers) if self.headers is not None else None
        secrets = self.token, self.password, self.device_token
        # What the gateway is asked to keep back is settled when connecting.
        listed = len(self.sessions) if isinstance(self.sessions, tuple) else 0
        feed = isinstance(self.sessions, AllSessions), callable(self.sessions), listed > MAX_LISTED
        trust = self.tls_fingerprint, None if self.ca_file is None else os.fspath(self.ca_file)
        return self.url, *secrets, device, feed, self.role, self.scopes, *trust, headers


# A dataclass makes its constructor itself, and in its variables stand the arguments.
Credentials.__init__ = without_frames(Credentials.__init__)  # type: ignore[method-assign]


@dataclass(frozen=True, slots=True, kw_only=True)
class ClientOptions:
    """What all clients of a manager have in common; nothing in it belongs to a user."""

    timeouts: Timeouts
    reconnect: ReconnectPolicy
    caps: Iterable[str] | None
    ssl_context: Any
    proxy: Proxy
    client_info: ClientInfo
    answers: Collection[str] = ()
    application: str | None = None

    def settings(self, given: Credentials, answers: Collection[str]) -> Settings:
        """The checked settings of one user's client, for whom these kinds are answered; raises UsageError."""
        # A user without a token must not connect with the token that the process happens to have.
        environ = {name: value for name, value in os.environ.items() if name not in CREDENTIAL_VARIABLES}
        make = partial(
            build_settings,
            given.url,
            token=given.token,
            password=given.password,
            device_token=given.device_token,
            identity=False if given.identity is None else given.identity,
            role=given.role,
            scopes=given.scopes,
            caps=self.caps,
            timeouts=self.timeouts,
            reconnect=self.reconnect,
            tls_fingerprint=given.tls_fingerprint,
            ca_file=given.ca_file,
            ssl_context=self.ssl_context,
            proxy=self.proxy,
            headers=given.headers,
            client_info=self.client_info,
            answers=answers,
            application=self.application,
            environ=environ,
        )
        try:
            return with_scope(make(), given.filter())
        except GatewayError as failed:
            error = failed
        # In these variables stand the whole environment and the proxy.
        del self, environ, make
        forget_frames(error)
        raise error

    def forgive(self, given: Credentials) -> None:
        """These were refused, and nobody uses them any more: their gateway need not be spared for them."""
        forgive_refusals(given.url, token=given.token, password=given.password, device_token=given.device_token)


def _shown(url: str) -> str:
    """The URL without what may be secret in it."""
    try:
        return repr(parse_url(url, allow_insecure=True).redacted)
    except UsageError:
        return "(no URL)"


def checked(given: object) -> Credentials:
    """What credentials() returned; UsageError for what is none."""
    if isinstance(given, Credentials):
        return given
    raise UsageError(
        message=f"credentials() returned a {type(given).__name__}",
        remedy="Return openclaw_client.Credentials, or raise what your caller should see",
    )
