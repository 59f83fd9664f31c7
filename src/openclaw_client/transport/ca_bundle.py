"""TLS contexts that trust a file of authorities beside the system's; or that check nothing, for a look alone."""

from __future__ import annotations

import os
import ssl
import stat
from functools import lru_cache

from openclaw_client.errors import UsageError

KEPT = 8
"""Contexts that are kept: each holds all authorities of the system, some hundred kilobytes, and a process rarely has
more than one file."""


def ca_bundle_context(ca_file: str) -> ssl.SSLContext:
    """A context that also trusts the authorities of a PEM file; shared, and read anew when the file has changed.

    Reads files: not for the loop's thread. Raises UsageError.
    """
    try:
        found = os.stat(ca_file)
        if not stat.S_ISREG(found.st_mode):
            # A pipe is waited for without an end.
            raise ValueError("it is no regular file")
        return _context(ca_file, found.st_mtime_ns, found.st_size)
    except (OSError, ValueError) as error:
        # SSLError, which OpenSSL raises for what is no certificate, is an OSError.
        told = getattr(error, "strerror", None) or error
        why = "it holds no certificate" if isinstance(error, ssl.SSLError) else told
        raise UsageError(
            message=f"ca_file {ca_file} cannot be used: {why}",
            remedy="Give a PEM file with the certificate of the authority, or of the gateway itself",
        ) from error


def unverified() -> ssl.SSLContext:
    """A context that takes any certificate: for handshakes that carry no data, never for a connection."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    return context


@lru_cache(maxsize=KEPT)
def _context(ca_file: str, _changed: int, _size: int) -> ssl.SSLContext:
    # The system's authorities are those of OpenSSL, which SSL_CERT_FILE and SSL_CERT_DIR replace.
    context = ssl.create_default_context()
    context.load_verify_locations(cafile=ca_file)
    return context
