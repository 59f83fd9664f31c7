"""Where a device's key and tokens are kept: the protocol that stores fulfil, and the stores in memory.

Knows which token belongs to which gateway and when one is worth keeping. Does not know how a connection chooses
among credentials.
"""

from __future__ import annotations

import os
import threading
from dataclasses import dataclass, field
from typing import Final, Protocol, Self
from urllib.parse import urlsplit

from openclaw_client.errors import IdentityError, UsageError
from openclaw_client.identity.device import DeviceIdentity
from openclaw_client.wire.handshake import HelloAuth

_SCHEMES: Final = {"ws": "ws", "http": "ws", "wss": "wss", "https": "wss"}
_DEFAULT_PORTS: Final = {"ws": 80, "wss": 443}


@dataclass(frozen=True, slots=True)
class DeviceToken:
    """A token that a gateway issued to this device. token is a secret and not in the repr.

    scopes: what the gateway approved for it. issued_at_ms: the gateway's clock; None where it didn't say.
    """

    token: str = field(repr=False)
    role: str
    scopes: tuple[str, ...] = ()
    issued_at_ms: int | None = None


class IdentityStore(Protocol):
    """Keeps one device identity and the tokens that gateways issued to it.

    For a row per user in a database: one store object per user, each with that user's identity. Methods may block;
    the client calls them from worker threads, never from the event loop, and may call them from several at once.
    They raise IdentityError where the store cannot be read or written. A store never replaces what it cannot read:
    a new key has to be approved by every gateway again, and a token is bound to its key.

    A token belongs to (gateway, device_id, role). gateway is what `gateway_scope` makes of the URL: a token must
    never be offered to another gateway.
    """

    def load(self) -> DeviceIdentity:
        """The identity, the same on every call, also in other processes."""
        ...

    def load_token(self, gateway: str, device_id: str, role: str) -> DeviceToken | None:
        """The token, or None where there is none."""
        ...

    def save_token(self, gateway: str, device_id: str, token: DeviceToken) -> None:
        """Keep token under (gateway, device_id, token.role), durable when this returns."""
        ...

    def clear_token(self, gateway: str, device_id: str, role: str, token: str) -> bool:
        """Forget the token if it still is this one; whether it was.

        Compare and clear must be one step: another process may have stored a fresh token since this one was refused.
        The key stays.
        """
        ...


class MemoryIdentityStore:
    """An IdentityStore that forgets all tokens with the process. Any thread may use it."""

    def __init__(self, identity: DeviceIdentity) -> None:
        self._identity = identity
        self._tokens: dict[tuple[str, str, str], DeviceToken] = {}
        self._lock = threading.Lock()

    def load(self) -> DeviceIdentity:
        return self._identity

    def load_token(self, gateway: str, device_id: str, role: str) -> DeviceToken | None:
        with self._lock:
            return self._tokens.get((gateway, device_id, role))

    def save_token(self, gateway: str, device_id: str, token: DeviceToken) -> None:
        with self._lock:
            self._tokens[gateway, device_id, token.role] = token

    def clear_token(self, gateway: str, device_id: str, role: str, token: str) -> bool:
        key = (gateway, device_id, role)
        with self._lock:
            stored = self._tokens.get(key)
            if stored is None or stored.token != token:
                return False
            del self._tokens[key]
            return True

    def __repr__(self) -> str:
        # A dump of variables meets it in the middle of a failed construction, too.
        return f"{type(self).__name__}({getattr(self, '_identity', 'not made')!r})"


class SecretIdentityStore(MemoryIdentityStore):
    """An IdentityStore around a line that `DeviceIdentity.secret()` made, as secret managers keep it.

    Never makes an identity. Tokens are forgotten with the process, so that a shared token or device_token= is needed
    at each start. Any thread may use it.

    Raises IdentityError, without the line in it, for one that is no such line.
    """

    def __init__(self, secret: str) -> None:
        try:
            super().__init__(DeviceIdentity.from_secret(secret))
        finally:
            # Crash reporters show the variables of the frames that an error came through.
            del secret

    @classmethod
    def from_env(cls, name: str) -> Self:
        """The store around the line in an environment variable. Raises IdentityError also where it is not set."""
        line = os.environ.get(name, "").strip()
        try:
            if not line:
                raise IdentityError(
                    message=f"the environment variable {name} is not set, and no identity is made in its place",
                    remedy="Set it to the line that DeviceIdentity.generate().secret() gives, always to the same",
                )
            return cls(line)
        finally:
            del line


def gateway_scope(url: str) -> str:
    """The part of a gateway's URL that tells it from another: `wss://host[:port]/path`.

    http(s) counts as ws(s); host in lower case without a final dot; default port, trailing slashes, query, fragment
    and credentials left out. Raises UsageError, without the URL in it (it may hold credentials), for one without
    scheme or host.
    """
    try:
        parts = urlsplit(url.strip())
        host, port = (parts.hostname or "").rstrip("."), parts.port
        scheme = _SCHEMES[parts.scheme]
        if not host:
            raise ValueError("no host")
    except (ValueError, KeyError):
        raise UsageError(
            message="the gateway's URL is not of the form ws://host:port/path or wss://host:port/path",
            remedy="Correct the URL",
        ) from None
    name = f"[{host}]" if ":" in host else host
    suffix = "" if port is None or port == _DEFAULT_PORTS[scheme] else f":{port}"
    return f"{scheme}://{name}{suffix}{parts.path.rstrip('/')}"


def token_to_store(stored: DeviceToken | None, hello_auth: HelloAuth | None, requested_role: str) -> DeviceToken | None:
    """What a successful connect with a device gives to keep, or None where the store need not be touched.

    stored: the token held for that gateway, device and role. A gateway hands out the same token again and names the
    scopes of this one session beside it: the stored scopes stay then, or a session that asked for less would shrink
    all later ones.
    """
    token = (hello_auth.device_token or "").strip() if hello_auth else ""
    if hello_auth is None or not token:
        return None
    role = hello_auth.role or requested_role
    if stored is not None and stored.token == token and stored.role == role:
        return None
    issued = hello_auth.issued_at_ms
    return DeviceToken(token, role, tuple(hello_auth.scopes or ()), None if issued is None else int(issued))
