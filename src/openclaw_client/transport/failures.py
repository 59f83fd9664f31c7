"""Why no socket came about: a name for it, and words of the system's own rather than asyncio's.

The names are this package's; what each means and what to do about it stands in `policy.advice`.
"""

from __future__ import annotations

import errno
import os
import socket
import ssl

from openclaw_client.errors import Unreachable

# X509_V_ERR_*: what OpenSSL says of a certificate.
_CERTIFICATES = {
    9: "CERTIFICATE_NOT_YET_VALID",
    10: "CERTIFICATE_EXPIRED",
    62: "CERTIFICATE_WRONG_NAME",
    64: "CERTIFICATE_WRONG_NAME",
}
_STRICT = range(79, 95)
"""What OpenSSL refuses with X509_STRICT alone, which Python 3.13 and later set: what RFC 5280 wants and many private
authorities leave out. From X509_V_ERR_INVALID_CA to X509_V_ERR_EC_KEY_EXPLICIT_PARAMS."""
_NO_TLS = frozenset({"WRONG_VERSION_NUMBER", "HTTP_REQUEST", "UNKNOWN_PROTOCOL", "RECORD_LAYER_FAILURE"})
"""What OpenSSL makes of an answer that is no TLS."""
NO_CONNECTION = frozenset({"NAME_UNKNOWN", "CONNECTION_REFUSED", "NO_ROUTE", "TCP_TIMEOUT", "TCP_FAILED"})
"""The names of what fails before there is a connection."""
_NO_ROUTE = frozenset({errno.EHOSTUNREACH, errno.ENETUNREACH, errno.EHOSTDOWN, errno.ENETDOWN})


def unreachable(code: str, what: str, shown: str) -> Unreachable:
    """The error for a socket that did not come about. shown: the URL as it may be told."""
    return Unreachable(message=f"the gateway cannot be reached: {what}", detail_code=code, url=shown)


def tls_timeout(limit: float, shown: str) -> Unreachable:
    """The error for a TLS handshake that took longer than so many seconds."""
    return unreachable("TLS_TIMEOUT", f"no TLS handshake within {limit:g} s", shown)


def failure_of(error: OSError, *, secure: bool) -> tuple[str, str]:
    """A failure's name, and what happened in words. secure: whether TLS was to be spoken."""
    if isinstance(error, ssl.SSLCertVerificationError):
        known = "CERTIFICATE_NOT_STANDARD" if error.verify_code in _STRICT else "CERTIFICATE_UNTRUSTED"
        code = _CERTIFICATES.get(error.verify_code, known)
        return code, f"TLS failed: the certificate is not trusted ({error.verify_message})"
    if isinstance(error, ssl.SSLError):
        return _tls_failure(error)
    if isinstance(error, socket.gaierror):
        return "NAME_UNKNOWN", f"the host name cannot be looked up ({error.strerror or error})"
    if isinstance(error, ConnectionRefusedError):
        return "CONNECTION_REFUSED", os.strerror(errno.ECONNREFUSED).lower()
    if isinstance(error, ConnectionResetError | ConnectionAbortedError | BrokenPipeError):
        code, during = ("TLS_CUT", "TLS handshake") if secure else ("UPGRADE_CUT", "WebSocket upgrade")
        return code, f"the peer cut the connection during the {during}"
    if error.errno in _NO_ROUTE:
        return "NO_ROUTE", os.strerror(error.errno).lower()
    if error.errno == errno.ETIMEDOUT:
        return "TCP_TIMEOUT", os.strerror(errno.ETIMEDOUT).lower()
    words = os.strerror(error.errno).lower() if error.errno else str(error) or type(error).__name__
    return "TCP_FAILED", words


def _tls_failure(error: ssl.SSLError) -> tuple[str, str]:
    reason = getattr(error, "reason", None) or ""
    if reason in _NO_TLS:
        return "NOT_TLS", "TLS failed: the server answered with something that is no TLS"
    if isinstance(error, ssl.SSLEOFError | ssl.SSLZeroReturnError) or "EOF" in reason:
        return "TLS_CUT", "TLS failed: the peer cut the connection during the TLS handshake"
    return "TLS_FAILED", f"TLS failed: {(reason or str(error)).replace('_', ' ').lower()}"
