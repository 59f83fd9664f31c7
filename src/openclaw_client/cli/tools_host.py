"""The host of `tools serve`: the user's own, or one that is made of the command line; seen from the main thread.

Knows both kinds of hosts. Refuses to know what is shown of them.
"""

from __future__ import annotations

import inspect
import re
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Protocol, cast

from openclaw_client.cli.connect import access_to
from openclaw_client.cli.options import Options
from openclaw_client.cli.tool_file import load_served
from openclaw_client.errors import GatewayError, UsageError
from openclaw_client.sync.loop_thread import loop_thread

if TYPE_CHECKING:
    from openclaw_client.tools.async_host import AsyncToolHost
    from openclaw_client.tools.calls import CallEnd
    from openclaw_client.tools.changes import HostStateChange
    from openclaw_client.tools.publication import HostState
    from openclaw_client.tools.tool import Tool

_UNNAMEABLE = re.compile(r"[^A-Za-z0-9_-]+")
"""What a file may be called and a host may not."""


class Served(Protocol):
    """What this command needs of a host: the names of `ToolHost`."""

    @property
    def name(self) -> str: ...

    @property
    def url(self) -> str: ...

    @property
    def tools(self) -> tuple[Tool[..., Any], ...]: ...

    @property
    def state(self) -> HostState: ...

    @property
    def published(self) -> tuple[str, ...]: ...

    @property
    def device_id(self) -> str | None: ...

    @property
    def active_calls(self) -> int: ...

    def on_state_change(self, handler: Callable[[HostStateChange], object], /) -> Any: ...

    def on_fatal_close(self, handler: Callable[[Any, GatewayError], object], /) -> Any: ...

    def _on_call_end(self, handler: Callable[[CallEnd], object], /) -> None: ...

    def connect(self) -> None: ...

    def wait_published(self, timeout: float | None = None) -> bool: ...

    def retry_now(self) -> None: ...

    def close(self, drain: float = ...) -> None: ...


def served_host(options: Options) -> Served:
    """The host, not connected. Raises UsageError."""
    from openclaw_client.tools.async_host import AsyncToolHost
    from openclaw_client.tools.blocking_host import ToolHost

    found = load_served(options.module)
    if isinstance(found, list):
        kind = AsyncToolHost if any(map(_needs_loop, found)) else ToolHost
        name = options.host_name or _name_of(options.module)
        found = kind(options.url, name=name, tools=found, **access_to(options))
    else:
        _check_own(options)
    return cast("Served", _OnLoop(found)) if isinstance(found, AsyncToolHost) else found


def _needs_loop(tool: Tool[..., Any]) -> bool:
    return tool.is_coroutine or inspect.iscoroutinefunction(tool.approve)


def _name_of(module: str) -> str:
    """The last part of a module's name, without what is no part of a host's."""
    place = module if module.endswith(".py") else module.rpartition(":")[0] or module
    last = re.split(r"[/\\]", place)[-1].removesuffix(".py") if place.endswith(".py") else place.rpartition(".")[2]
    return _UNNAMEABLE.sub("-", last).strip("-_") or "tools"


def _check_own(options: Options) -> None:
    """A host of the user's was made with a name and a gateway; with --approve the rest is the operator's."""
    if options.host_name is not None:
        raise UsageError(message=f"{options.module} has a host, which has a name", remedy="Leave --name out")
    ways = {
        "--url": options.url,
        "--token": options.token,
        "--token-file": options.token_file,
        "--password": options.password,
        "--identity": options.identity,
        "--tls-fingerprint": options.tls_fingerprint,
        "--ca-file": options.ca_file,
        "--header": options.headers,
    }
    given = [name for name, value in ways.items() if value]
    if given and not options.approve:
        raise UsageError(
            message=f"{options.module} has a host, which knows its gateway", remedy=f"Leave {given[0]} out"
        )


class _OnLoop:
    """An AsyncToolHost on the loop of the blocking clients."""

    def __init__(self, host: AsyncToolHost) -> None:
        self._host = host

    def __getattr__(self, name: str) -> Any:
        return getattr(self._host, name)

    def connect(self) -> None:
        loop_thread().call(self._host.connect, "connect")

    def wait_published(self, timeout: float | None = None) -> bool:
        return loop_thread().call(lambda: self._host.wait_published(timeout), "wait_published")

    def retry_now(self) -> None:
        loop_thread().soon("retry_now", self._host.retry_now)

    def close(self, drain: float) -> None:
        loop_thread().call(lambda: self._host.close(drain), "close")
