"""From what the caller of a host says to checked settings. No I/O, no network."""

from __future__ import annotations

import inspect
import os
import re
import ssl
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any, Final

from openclaw_client.client.options import CaFile, Identity, Proxy, build_settings
from openclaw_client.connection.settings import ClientInfo, Settings
from openclaw_client.errors import UsageError
from openclaw_client.identity.files import FileIdentityStore, default_identity_path
from openclaw_client.policy.backoff import ReconnectPolicy
from openclaw_client.policy.timeouts import Timeouts
from openclaw_client.tools.stages import UserOf
from openclaw_client.wire.nodes import TOOL_COMMAND

MAX_CONCURRENCY: Final = 16
"""Calls at once where the caller does not say: tools mostly wait for a database or a network, and each may take a
thread."""
MOST_CONCURRENCY: Final = 1_024
"""Calls at once that may be asked for: beyond that a machine has no threads."""
MAX_RESULT: Final = 262_144
"""Bytes of a result where the caller does not say: more than a model can use of one answer."""
MOST_RESULT: Final = 16_777_216
"""Bytes of a result that may be asked for: with what stands around it, a frame has 25 MiB."""
MAX_HOST_NAME: Final = 64
"""Characters of a host's name: it is shown to models behind each description."""

_NAME: Final = re.compile(rf"[A-Za-z0-9](?:[A-Za-z0-9 _-]{{0,{MAX_HOST_NAME - 2}}}[A-Za-z0-9_-])?")
"""What every file system takes. Without dots, so that no file of one host is that of another's tokens."""


@dataclass(frozen=True, slots=True, kw_only=True)
class HostOptions:
    """What a host was made with, checked."""

    name: str
    settings: Settings
    user_of: UserOf | None
    max_concurrency: int
    max_result: int


def build_options(
    url: str | None,
    *,
    name: str,
    user_of: UserOf | None,
    max_concurrency: int,
    max_result: int,
    coroutines: bool,
    token: str | None,
    password: str | None,
    device_token: str | None,
    identity: Identity,
    timeouts: Timeouts,
    reconnect: ReconnectPolicy,
    tls_fingerprint: str | None,
    ssl_context: ssl.SSLContext | None,
    proxy: Proxy,
    headers: Mapping[str, str] | None,
    ca_file: CaFile,
) -> HostOptions:
    """Checked settings of a host; raises UsageError. coroutines: whether user_of may be `async def`."""
    _check_name(name)
    _check_user_of(user_of, coroutines=coroutines)
    if identity is False:
        raise UsageError(message="a tool host needs a device", remedy="Leave identity= out")
    settings = build_settings(
        url,
        token=token,
        password=password,
        device_token=device_token,
        identity=_own_device(name) if identity is None or identity is True else identity,
        role="node",
        scopes=(),
        caps=(),
        timeouts=timeouts,
        reconnect=reconnect,
        tls_fingerprint=tls_fingerprint,
        ssl_context=ssl_context,
        proxy=proxy,
        headers=headers,
        client_info=ClientInfo(id="node-host", mode="node", display_name=name),
        ca_file=ca_file,
    )
    return HostOptions(
        name=name,
        settings=replace(settings, caps=(), commands=(TOOL_COMMAND,)),
        user_of=user_of,
        max_concurrency=_number("max_concurrency", max_concurrency, MOST_CONCURRENCY),
        max_result=_number("max_result", max_result, MOST_RESULT),
    )


def _own_device(name: str) -> FileIdentityStore:
    """A device of this host's own, beside the operator's: that one would need a further role approved."""
    state = default_identity_path(os.environ).parent.parent
    return FileIdentityStore(state / "nodes" / f"{name}.json")


def _check_name(name: object) -> None:
    if not isinstance(name, str) or not _NAME.fullmatch(name):
        raise UsageError(
            message=f"name={name!r} is no name of a host",
            remedy=f"Use letters, digits, spaces, _ and -, {MAX_HOST_NAME} characters at most",
        )


def _check_user_of(user_of: object, *, coroutines: bool) -> None:
    if user_of is not None and not callable(user_of):
        raise UsageError(message="user_of= cannot be called", remedy="Pass a function: user_of(session_key) -> user")
    if not coroutines and inspect.iscoroutinefunction(user_of):
        raise UsageError(
            message="user_of= is an `async def`, which a blocking host cannot run",
            remedy="Pass a plain function, or use AsyncToolHost",
        )


def _number(what: str, value: Any, most: int) -> int:
    if not isinstance(value, int) or isinstance(value, bool) or not 1 <= value <= most:
        raise UsageError(message=f"{what}={value!r} is not possible", remedy=f"Give a whole number from 1 to {most:,}")
    return value
