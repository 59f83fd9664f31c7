"""From what the caller and the environment say to checked settings. No I/O, no network."""

from __future__ import annotations

import os
import ssl
from collections.abc import Iterable, Mapping

from openclaw_client.connection.settings import ClientInfo, Settings, parse_fingerprint
from openclaw_client.connection.supervisor import ConnectionState, StateChange
from openclaw_client.errors import UsageError
from openclaw_client.identity.device import DeviceIdentity
from openclaw_client.identity.files import FileIdentityStore, default_identity_path
from openclaw_client.identity.store import IdentityStore, MemoryIdentityStore
from openclaw_client.policy.backoff import ReconnectPolicy
from openclaw_client.policy.credentials import Credentials
from openclaw_client.policy.scopes import normalise_scopes
from openclaw_client.policy.timeouts import Timeouts
from openclaw_client.policy.urls import DEFAULT_URL, GatewayUrl, parse_url

__all__ = [
    "ClientInfo",
    "ConnectionState",
    "DeviceIdentity",
    "Identity",
    "MemoryIdentityStore",
    "ReconnectPolicy",
    "Settings",
    "StateChange",
    "Timeouts",
    "build_settings",
]

URL_VARIABLE = "OPENCLAW_GATEWAY_URL"
TOKEN_VARIABLE = "OPENCLAW_GATEWAY_TOKEN"  # noqa: S105 - the name of a variable
PASSWORD_VARIABLE = "OPENCLAW_GATEWAY_PASSWORD"  # noqa: S105 - the name of a variable
PORT_VARIABLE = "OPENCLAW_GATEWAY_PORT"
INSECURE_VARIABLE = "OPENCLAW_ALLOW_INSECURE_PRIVATE_WS"

Identity = IdentityStore | DeviceIdentity | bool | None


def build_settings(
    url: str | None,
    *,
    token: str | None,
    password: str | None,
    device_token: str | None,
    identity: Identity,
    role: str,
    scopes: Iterable[str] | None,
    caps: Iterable[str] | None,
    timeouts: Timeouts,
    reconnect: ReconnectPolicy,
    tls_fingerprint: str | None,
    ssl_context: ssl.SSLContext | None,
    proxy: str | None,
    headers: Mapping[str, str] | None,
    client_info: ClientInfo,
    environ: Mapping[str, str] | None = None,
) -> Settings:
    """Checked settings; raises UsageError. Explicit values win over the environment."""
    env = os.environ if environ is None else environ
    parsed = parse_url(url or _env_url(env), allow_insecure=env.get(INSECURE_VARIABLE) == "1")
    credentials = Credentials(token=token, password=password, device_token=device_token)
    if credentials == Credentials() and _env_speaks_of(parsed, url, env):
        credentials = Credentials(token=env.get(TOKEN_VARIABLE), password=env.get(PASSWORD_VARIABLE))
    fields = {} if caps is None else {"caps": tuple(caps)}
    return Settings(
        url=parsed,
        credentials=credentials,
        store=_store(identity, env),
        role=role,
        scopes=normalise_scopes(scopes),
        client=client_info,
        timeouts=timeouts,
        reconnect=reconnect,
        ssl_context=ssl_context,
        headers=headers,
        proxy=proxy,
        tls_fingerprint=_pin(tls_fingerprint, parsed, proxy, ssl_context),
        **fields,
    )


def _pin(fingerprint: str | None, url: GatewayUrl, proxy: str | None, ssl_context: ssl.SSLContext | None) -> str | None:
    if fingerprint is None:
        return None
    if not url.secure:
        raise UsageError(message="tls_fingerprint needs a wss:// URL", remedy="Use wss://, or leave the pin out")
    if proxy is not None or ssl_context is not None:
        raise UsageError(
            message="tls_fingerprint goes with neither proxy nor ssl_context", remedy="Give the one that you need"
        )
    return parse_fingerprint(fingerprint)


def _env_url(env: Mapping[str, str]) -> str:
    url, port = env.get(URL_VARIABLE, "").strip(), env.get(PORT_VARIABLE, "").strip()
    if url:
        return url
    return f"ws://127.0.0.1:{port}" if port else DEFAULT_URL


def _env_speaks_of(parsed: GatewayUrl, url: str | None, env: Mapping[str, str]) -> bool:
    """Whether the environment's credentials belong to this URL: they never go to a gateway that was named otherwise."""
    if not url:
        return True
    try:
        return parse_url(_env_url(env), allow_insecure=True).origin == parsed.origin
    except UsageError:
        return False


def _store(identity: Identity, env: Mapping[str, str]) -> IdentityStore | None:
    if identity is None or identity is True:
        return FileIdentityStore(default_identity_path(env))
    if identity is False:
        return None
    if isinstance(identity, DeviceIdentity):
        return MemoryIdentityStore(identity)
    return identity
