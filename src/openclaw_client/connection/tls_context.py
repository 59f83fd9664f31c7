"""The TLS context of one client's settings."""

from __future__ import annotations

import ssl
from functools import partial

from openclaw_client.connection.file_calls import call_blocking
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
        # A file on a network drive that is gone is never read: it takes no thread that others wait for.
        return await call_blocking(partial(ca_bundle_context, settings.ca_file))
    return settings.ssl_context
