"""What `Dialer` does at once, taken apart: each step alone, to see which one fails and why."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable
from typing import TypeVar
from urllib.parse import urlsplit

from openclaw_client.connection.settings import Settings
from openclaw_client.connection.tls_context import tls_context
from openclaw_client.errors import ConnectError, Unreachable
from openclaw_client.policy.diagnose import explain
from openclaw_client.transport import probe
from openclaw_client.transport.failures import tls_timeout, unreachable

_T = TypeVar("_T")

_PROXY_PORTS = {"http": 80, "https": 443, "socks4": 1080, "socks5": 1080}
_MAYBE_TLS = frozenset({"UPGRADE_CUT", "UPGRADE_TIMEOUT", "NO_ANSWER", "NOT_WEBSOCKET", "HTTP_400"})
"""What a TLS server's answer to plain text looks like."""
_MAYBE_PLAIN = frozenset({"TLS_CUT", "TLS_TIMEOUT", "TLS_FAILED"})


class Probe:
    """The steps before the WebSocket. Each returns what it found, in a few words, and raises ConnectError.

    Nothing is sent but the greeting of TLS. With a proxy, name and port are the proxy's.
    """

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._shown = settings.url.redacted
        self._limit = settings.timeouts.connect
        self._host, self._port = settings.url.host, settings.url.port
        if settings.proxy is not None:
            parts = urlsplit(settings.proxy)
            self._host, self._port = parts.hostname or "", parts.port or _PROXY_PORTS.get(parts.scheme, 80)

    @property
    def proxied(self) -> bool:
        return self._settings.proxy is not None

    async def dns(self) -> str:
        found = await self._told(probe.look_up(self._host, self._port, self._shown, self._limit))
        return ("the proxy: " if self.proxied else "") + ", ".join(found)

    async def tcp(self) -> str:
        address = await self._told(probe.knock(self._host, self._port, self._shown, self._limit))
        return f"{'the proxy: ' if self.proxied else ''}{address} port {self._port}"

    async def tls(self) -> str:
        """Only for wss:// without a proxy."""
        settings = self._settings
        try:
            async with asyncio.timeout(self._limit):
                context = await tls_context(settings)
        except TimeoutError as error:
            raise explain(tls_timeout(self._limit, self._shown)) from error
        except ConnectError as error:
            raise await self.suspect(explain(error)) from error.__cause__
        try:
            agreed = await probe.shake_hands(self._host, self._port, context, self._shown, self._limit)
        except Unreachable as error:
            raise await self.suspect(explain(error)) from error.__cause__
        return f"{agreed}, as pinned" if settings.tls_fingerprint is not None else agreed

    async def suspect(self, error: ConnectError) -> ConnectError:
        """A better error where the server turns out to speak TLS and the URL does not, or the other way round."""
        url, code = self._settings.url, error.detail_code
        if self.proxied:
            return error
        if not url.secure and code in _MAYBE_TLS and await probe.speaks_tls(url.host, url.port):
            return explain(unreachable("TLS_EXPECTED", "the server speaks TLS", self._shown))
        if url.secure and code in _MAYBE_PLAIN and await probe.speaks_http(url.host, url.port):
            return explain(unreachable("NOT_TLS", "the server speaks plain HTTP", self._shown))
        if code == "NO_ANSWER":
            # Name, TCP and TLS have been tried before.
            what = f"the WebSocket upgrade was not answered within {self._limit:g} s"
            return explain(unreachable("UPGRADE_TIMEOUT", what, self._shown))
        return error

    async def _told(self, step: Awaitable[_T]) -> _T:
        """The step; its failure is the proxy's where there is one."""
        try:
            return await step
        except Unreachable as error:
            if self.proxied:
                error.detail_code, error.stage = "PROXY_UNREACHABLE", "proxy"
                error.message = error.message.replace("the gateway cannot", "the proxy cannot", 1)
            raise explain(error) from error.__cause__
