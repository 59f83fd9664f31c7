"""What a client fetches from its gateway over plain HTTP, as its connection goes there: trust, headers and proxy."""

from __future__ import annotations

from openclaw_client.connection.settings import Settings
from openclaw_client.connection.tls_context import tls_context
from openclaw_client.errors import ConnectError
from openclaw_client.policy.diagnose import explain
from openclaw_client.transport.fetching import BodyTooLong, BrokenAnswer, HttpAnswer, fetch
from openclaw_client.transport.opening import Target

__all__ = ["BodyTooLong", "BrokenAnswer", "HttpAnswer", "fetch_from_gateway"]


async def fetch_from_gateway(settings: Settings, path: str, max_bytes: int) -> HttpAnswer:
    """The answer to a GET. Raises Unreachable, TlsPinMismatch, UsageError, BodyTooLong, BrokenAnswer.

    When cancelled, the socket is closed.
    """
    try:
        target = Target(
            url=settings.url.text,
            shown=settings.url.redacted,
            ssl_context=await tls_context(settings),
            headers=settings.headers,
            proxy=settings.proxy,
        )
        return await fetch(target, path, max_bytes)
    except ConnectError as error:
        raise explain(error) from error.__cause__
