"""From what the caller and the environment say to checked settings. No I/O, no network."""

from __future__ import annotations

import os
import ssl
from collections.abc import Iterable, Mapping
from dataclasses import replace
from typing import Literal

from openclaw_client.client.tls_options import PIN_VARIABLE, CaFile, choose_tls_options
from openclaw_client.connection.breakers import forgive
from openclaw_client.connection.settings import DEFAULT_CAPS, ClientInfo, Settings
from openclaw_client.connection.supervisor import ConnectionState, StateChange
from openclaw_client.errors import GatewayError, UsageError
from openclaw_client.identity.device import DeviceIdentity
from openclaw_client.identity.files import FileIdentityStore, default_identity_path
from openclaw_client.identity.store import IdentityStore, MemoryIdentityStore
from openclaw_client.policy.backoff import ReconnectPolicy
from openclaw_client.policy.credentials import AuthInput
from openclaw_client.policy.headers import checked_headers
from openclaw_client.policy.scopes import covers, normalise_scopes
from openclaw_client.policy.timeouts import Timeouts
from openclaw_client.policy.urls import DEFAULT_URL, GatewayUrl, is_proxy, parse_url
from openclaw_client.runs.application import Application
from openclaw_client.runs.interactions import KINDS, Kind

__all__ = [
    "CREDENTIAL_VARIABLES",
    "DEFAULT_CAPS",
    "CaFile",
    "ClientInfo",
    "ConnectionState",
    "DeviceIdentity",
    "Identity",
    "MemoryIdentityStore",
    "Proxy",
    "ReconnectPolicy",
    "Settings",
    "StateChange",
    "Timeouts",
    "build_settings",
    "forgive_refusals",
]

URL_VARIABLE = "OPENCLAW_GATEWAY_URL"
TOKEN_VARIABLE = "OPENCLAW_GATEWAY_TOKEN"  # noqa: S105 - the name of a variable
PASSWORD_VARIABLE = "OPENCLAW_GATEWAY_PASSWORD"  # noqa: S105 - the name of a variable
PORT_VARIABLE = "OPENCLAW_GATEWAY_PORT"
CREDENTIAL_VARIABLES = frozenset({URL_VARIABLE, TOKEN_VARIABLE, PASSWORD_VARIABLE, PORT_VARIABLE, PIN_VARIABLE})
"""What the environment says of one gateway and of the credentials for it."""
INSECURE_VARIABLE = "OPENCLAW_ALLOW_INSECURE_PRIVATE_WS"

# How a proxy's URL may begin, and how the transport calls that; names are looked up by the proxy in any case.
_PROXY_SCHEMES = {
    "http": "http",
    "https": "https",
    "socks4": "socks4",
    "socks4a": "socks4",
    "socks5": "socks5",
    "socks5h": "socks5",
}

_KINDS: dict[str, type] = {"timeouts": Timeouts, "reconnect": ReconnectPolicy, "client_info": ClientInfo}
_STORE_METHODS = ("load", "load_token", "save_token", "clear_token")

Identity = IdentityStore | DeviceIdentity | bool | None
Proxy = str | Literal[False] | None
"""A URL, None for what the environment says, "" or False for no proxy."""


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
    proxy: Proxy,
    headers: Mapping[str, str] | None,
    client_info: ClientInfo,
    ca_file: CaFile = None,
    answers: Iterable[str] = (),
    application: str | None = None,
    environ: Mapping[str, str] | None = None,
) -> Settings:
    """Checked settings; raises UsageError. Explicit values win over the environment."""
    env = os.environ if environ is None else environ
    try:
        _check_kinds(timeouts=timeouts, reconnect=reconnect, client_info=client_info)
        parsed = parse_url(_env_url(env) if url is None else url, allow_insecure=env.get(INSECURE_VARIABLE) == "1")
        credentials = AuthInput(token=token, password=password, device_token=device_token)
        if credentials == AuthInput() and _env_speaks_of(parsed, url, env):
            credentials = AuthInput(token=env.get(TOKEN_VARIABLE), password=env.get(PASSWORD_VARIABLE))
        pin, authorities = choose_tls_options(
            parsed,
            tls_fingerprint=tls_fingerprint,
            ca_file=ca_file,
            ssl_context=ssl_context,
            proxied=bool(proxy),
            env=env,
            env_speaks_of_it=_env_speaks_of(parsed, url, env),
        )
        settings = Settings(
            url=parsed,
            credentials=credentials,
            store=_store(identity, env),
            role=_role(role),
            scopes=normalise_scopes(scopes),
            client=client_info,
            timeouts=timeouts,
            reconnect=reconnect,
            ssl_context=ssl_context,
            headers=checked_headers(headers),
            proxy=_proxy(proxy, parsed, pinned=pin is not None),
            tls_fingerprint=pin,
            ca_file=authorities,
            caps=DEFAULT_CAPS if caps is None else _caps(caps),
            application=None if application is None else Application(application).name,
        )
        return with_answers(settings, answers)
    except GatewayError as error:
        # Without the frames below, and without what this one was given: crash reporters show variables.
        url = token = password = device_token = proxy = headers = environ = None
        env = {}
        raise error.with_traceback(None) from None


def forgive_refusals(url: str, *, token: str | None, password: str | None, device_token: str | None) -> None:
    """Whoever had these credentials refused uses them no more: the breaker forgets what became of them.

    They are such that `build_settings` took them.
    """
    given = AuthInput(token=token, password=password, device_token=device_token)
    forgive(parse_url(url, allow_insecure=True), given)


def _proxy(proxy: Proxy, url: GatewayUrl, *, pinned: bool) -> str | None:
    """The proxy to use. That of the environment is none of a private host's, nor of a pin's, which is checked first."""
    if proxy is None:
        return None if url.private or pinned else _env_proxy(url)
    return _proxy_url(proxy, "proxy=") if proxy else None


def _env_proxy(url: GatewayUrl) -> str | None:
    # Here because few need it and it brings the whole HTTP client along.
    from urllib.request import getproxies_environment, proxy_bypass

    proxies = getproxies_environment()
    if proxy_bypass(f"{url.host}:{url.port}", proxies):
        return None
    name = "https" if url.secure else "http"
    found = proxies.get(name) or proxies.get("all")
    return _proxy_url(found, f"{name}_proxy or all_proxy in the environment") if found else None


def _proxy_url(text: object, where: str) -> str:
    """With a scheme that the transport knows; never quoted in an error, since it may hold a password."""
    if isinstance(text, str):
        scheme, mark, rest = text.strip().rpartition("://")
        scheme = _PROXY_SCHEMES.get(scheme.lower() if mark else "http", "")
        if scheme and is_proxy(f"{scheme}://{rest}"):
            return f"{scheme}://{rest}"
    raise UsageError(
        message=f"{where} is no URL of a proxy",
        remedy="Use http://, https://, socks4:// or socks5:// with host and port, and %2F for a slash in a password; "
        'or proxy="" for none',
    )


def _env_url(env: Mapping[str, str]) -> str:
    url, port = env.get(URL_VARIABLE, "").strip(), env.get(PORT_VARIABLE, "").strip()
    if url:
        return url
    return f"ws://127.0.0.1:{port}" if port else DEFAULT_URL


def is_environments_gateway(url: str | None, env: Mapping[str, str]) -> bool:
    """Whether a URL, None for the default one, names the gateway of the environment. False for one that is unusable."""
    try:
        return url is None or _env_speaks_of(parse_url(url, allow_insecure=True), url, env)
    except UsageError:
        return False


def _env_speaks_of(parsed: GatewayUrl, url: str | None, env: Mapping[str, str]) -> bool:
    """Whether the environment's credentials belong to this URL: they never go to a gateway that was named otherwise."""
    if url is None:
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
    if isinstance(identity, type) or not all(callable(getattr(identity, name, None)) for name in _STORE_METHODS):
        raise UsageError(
            message=f"identity= must be an identity store or a DeviceIdentity, not {_kind(identity)}",
            remedy="For a file pass FileIdentityStore(path), for no device identity=False",
        )
    return identity


def _check_kinds(**given: object) -> None:
    """A wrong one would only be met in the middle of a connect, as a fault of the client's."""
    for name, value in given.items():
        kind = _KINDS[name]
        if not isinstance(value, kind):
            raise UsageError(
                message=f"{name}= must be {kind.__name__}, not {_kind(value)}", remedy=f"Pass {kind.__name__}(…)"
            )


def _kind(value: object) -> str:
    return f"the class {value.__name__}" if isinstance(value, type) else type(value).__name__


def _role(role: object) -> str:
    if not isinstance(role, str) or not role.strip():
        raise UsageError(message=f"role={role!r} is no role", remedy='Leave it out, or use "operator"')
    return role


def with_answers(settings: Settings, answers: Iterable[str]) -> Settings:
    """The settings of a client whose caller answers these kinds, too. Raises UsageError."""
    kinds = check_kinds(answers)
    for kind in kinds:
        if settings.scopes is not None and not covers(settings.scopes, f"operator.{kind}"):
            raise UsageError(
                message=f"{kind} are to be answered, and scopes= lacks operator.{kind}",
                remedy=f'Add "{kind}" to scopes=, or leave scopes= out',
            )
    return replace(settings, answers=settings.answers.union(kinds))


def check_kinds(answers: Iterable[str]) -> tuple[Kind, ...]:
    """What of an agent's requests is answered. Raises UsageError for what is no list of such kinds."""
    listed = isinstance(answers, Iterable) and not isinstance(answers, str)
    given = tuple(answers) if listed else ()
    if not listed or not all(kind in KINDS for kind in given):
        raise UsageError(
            message=f"answers={answers!r} is no list of {' and '.join(KINDS)}",
            remedy='Pass a list, such as ["approvals"]',
        )
    return tuple(kind for kind in KINDS if kind in given)


def kinds_of(answers: Iterable[str]) -> frozenset[Kind]:
    """What of an agent's requests is answered."""
    return frozenset(kind for kind in KINDS if kind in answers)


def _caps(caps: Iterable[str]) -> tuple[str, ...]:
    """Those of this package, and the given ones."""
    listed = isinstance(caps, Iterable) and not isinstance(caps, str)
    names = tuple(caps) if listed else ()
    if not listed or not all(isinstance(name, str) for name in names):
        raise UsageError(message=f"caps={caps!r} is no list of names", remedy='Pass a list, such as ["tool-events"]')
    return tuple(dict.fromkeys((*DEFAULT_CAPS, *names)))
