"""The TLS context of one client's settings."""

from __future__ import annotations

import asyncio
import ssl

from openclaw_client.connection.settings import Settings
from openclaw_client.transport.ca_bundle import ca_bundle_context
from openclaw_client.transport.pin import pinned_context


async def tls_context(settings: Settings) -> ssl.SSLContext | None:
    """What the connection's TLS is to trust; None for the system's authorities.

    A pin costs a handshake of its own. Raises TlsPinMismatch, Unreachable, UsageError.
    """
    url = settings.url
    if settings.tls_fingerprint is not None:
        return await pinned_context(url.host, url.port, settings.tls_fingerprint, url.redacted)
    if settings.ca_file is not None and url.secure:
        return await asyncio.get_running_loop().run_in_executor(None, ca_bundle_context, settings.ca_file)
    return settings.ssl_context
