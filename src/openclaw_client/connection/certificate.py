"""The certificate that a gateway presents, looked at without trusting it."""

from __future__ import annotations

import asyncio
import hashlib
from dataclasses import dataclass
from datetime import datetime

from openclaw_client.connection.settings import Settings
from openclaw_client.errors import Unreachable, UsageError
from openclaw_client.policy.diagnose import explain
from openclaw_client.transport.failures import tls_timeout
from openclaw_client.transport.pin import fetch_certificate


@dataclass(frozen=True, slots=True)
class Certificate:
    """fingerprint: SHA-256 in lower-case hex, as `tls_fingerprint=` takes it.

    subject, issuer and expires stand in the certificate, whose maker may have written anything; None where it cannot be
    read. der: the certificate itself.
    """

    fingerprint: str
    subject: str | None
    issuer: str | None
    expires: datetime | None
    der: bytes


async def look_at_certificate(settings: Settings) -> Certificate:
    """The leaf certificate of the gateway's TLS server; nothing is sent but the greeting of TLS.

    Goes without a proxy. Raises Unreachable, and UsageError for a ws:// URL.
    """
    url, limit = settings.url, settings.timeouts.connect
    if not url.secure:
        raise UsageError(message=f"{url.redacted} has no certificate", remedy="Use the gateway's wss:// URL")
    try:
        async with asyncio.timeout(limit):
            der = await fetch_certificate(url.host, url.port, url.redacted)
    except Unreachable as error:
        raise explain(error) from error.__cause__
    except TimeoutError as error:
        raise explain(tls_timeout(limit, url.redacted)) from error
    return _read(der)


def _read(der: bytes) -> Certificate:
    # Here because it takes its time to load, and a client without a device needs none of it.
    from cryptography import x509

    fingerprint = hashlib.sha256(der).hexdigest()
    try:
        read = x509.load_der_x509_certificate(der)
        subject, issuer = read.subject.rfc4514_string(), read.issuer.rfc4514_string()
        return Certificate(fingerprint, subject, issuer, read.not_valid_after_utc, der)
    except ValueError:
        return Certificate(fingerprint, None, None, None, der)
