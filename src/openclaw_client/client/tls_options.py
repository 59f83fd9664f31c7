"""The TLS options of a client, out of what the caller and the environment say."""

from __future__ import annotations

import os
import ssl
from collections.abc import Mapping

from openclaw_client.connection.settings import parse_fingerprint
from openclaw_client.errors import UsageError
from openclaw_client.policy.urls import GatewayUrl

PIN_VARIABLE = "OPENCLAW_GATEWAY_TLS_FINGERPRINT"
CA_VARIABLE = "OPENCLAW_GATEWAY_CA_FILE"

CaFile = str | os.PathLike[str] | None


def choose_tls_options(
    url: GatewayUrl,
    *,
    tls_fingerprint: str | None,
    ca_file: CaFile,
    ssl_context: ssl.SSLContext | None,
    proxied: bool,
    env: Mapping[str, str],
    env_speaks_of_it: bool,
) -> tuple[str | None, str | None]:
    """The pin and the file of authorities, at most one of them; raises UsageError. Reads no file.

    proxied: whether the caller named a proxy. The environment's pin counts for the environment's gateway only, its
    authorities for every wss:// URL, and neither where the caller says whom to trust.
    """
    given = {"tls_fingerprint": tls_fingerprint, "ca_file": ca_file, "ssl_context": ssl_context}
    named = [name for name, value in given.items() if value is not None]
    if len(named) > 1:
        raise UsageError(message=f"{named[0]} does not go with {named[1]}", remedy="Give the one that you need")
    if not named and url.secure:
        tls_fingerprint = (env.get(PIN_VARIABLE) or None) if env_speaks_of_it else None
        ca_file = (env.get(CA_VARIABLE) or None) if tls_fingerprint is None else None
    if ssl_context is not None and not isinstance(ssl_context, ssl.SSLContext):
        raise UsageError(
            message=f"ssl_context= must be an ssl.SSLContext, not {type(ssl_context).__name__}",
            remedy="Make one with ssl.create_default_context()",
        )
    for name, value in (("tls_fingerprint", tls_fingerprint), ("ca_file", ca_file), ("ssl_context", ssl_context)):
        if value is not None and not url.secure:
            raise UsageError(message=f"{name} needs a wss:// URL", remedy="Use wss://, or leave it out")
    if tls_fingerprint is not None and proxied:
        raise UsageError(
            message="tls_fingerprint does not go with proxy: a pin is checked on a direct connection",
            remedy="Leave one of them out, or use ca_file=",
        )
    pin = None if tls_fingerprint is None else parse_fingerprint(tls_fingerprint)
    return pin, None if ca_file is None else os.fspath(ca_file)
