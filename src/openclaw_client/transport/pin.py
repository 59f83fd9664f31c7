"""Certificate pins: trust in one certificate, whoever signed it.

The certificate is fetched with a TLS handshake that carries no data, compared with the pin, and then made the only one
that the real connection's TLS accepts. So no byte of a request ever reaches a peer with another certificate, and
OpenSSL itself does the checking on the connection that counts.
"""

from __future__ import annotations

import contextlib
import hashlib
import hmac
import re
import ssl

from openclaw_client.errors import TlsPinMismatch, UsageError
from openclaw_client.transport.ca_bundle import unverified
from openclaw_client.transport.failures import failure_of, unreachable
from openclaw_client.transport.sockets import open_streams

_HEX = re.compile(r"[0-9a-f]{64}")
_PREFIX = re.compile(r"^sha-?256(:| fingerprint=)")
# X509_V_FLAG_PARTIAL_CHAIN and X509_V_FLAG_NO_CHECK_TIME: the pinned certificate is trusted by itself, also after its
# date, because a pin names one certificate and not an authority's promise about it.
_VERIFY_FLAGS = 0x80000 | 0x200000


def parse_fingerprint(text: str) -> str:
    """A SHA-256 fingerprint as 64 lower-case hex digits; takes colons, the prefix `sha256:` and openssl's whole line.

    Raises UsageError.
    """
    plain = _PREFIX.sub("", text.strip().lower()).replace(":", "")
    if not _HEX.fullmatch(plain):
        raise UsageError(
            message="tls_fingerprint is no SHA-256 fingerprint (64 hex digits)",
            remedy="Use the output of: openssl x509 -noout -fingerprint -sha256",
        )
    return plain


async def fetch_certificate(host: str, port: int, shown: str) -> bytes:
    """The leaf certificate (DER) of a TLS server, without sending it anything. Raises Unreachable."""
    try:
        _, writer = await open_streams(host, port, unverified())
    except OSError as error:
        raise unreachable(*failure_of(error, secure=True), shown) from error
    try:
        certificate = writer.get_extra_info("ssl_object").getpeercert(True)
    finally:
        # Without the closing alert of TLS: some servers never answer it, and nothing was said that it could protect.
        writer.transport.abort()
        with contextlib.suppress(OSError):
            await writer.wait_closed()
    if not certificate:
        raise unreachable("TLS_FAILED", "the TLS server presented no certificate", shown)
    return bytes(certificate)


async def pinned_context(host: str, port: int, fingerprint: str, shown: str) -> ssl.SSLContext:
    """A context that accepts the pinned certificate and no other. Raises TlsPinMismatch or Unreachable."""
    certificate = await fetch_certificate(host, port, shown)
    actual = hashlib.sha256(certificate).hexdigest()
    if not hmac.compare_digest(actual, fingerprint):
        raise TlsPinMismatch(
            message="the gateway's certificate is not the pinned one; nothing was sent",
            detail_code="PIN_MISMATCH",
            url=shown,
            expected=fingerprint,
            actual=actual,
        )
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_REQUIRED
    context.verify_flags |= _VERIFY_FLAGS
    context.load_verify_locations(cadata=ssl.DER_cert_to_PEM_cert(certificate))
    return context
