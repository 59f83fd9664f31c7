"""`pin`: show the gateway's certificate, for pinning it."""

from __future__ import annotations

import argparse

from openclaw_client.cli.connect import described
from openclaw_client.cli.exit_codes import ExitCode
from openclaw_client.cli.options import Options
from openclaw_client.cli.output import json_line, write
from openclaw_client.errors.peer_text import one_line

HELP = """\
show the fingerprint of the gateway's certificate
For a certificate that no authority vouches for. Sends nothing but the greeting
of TLS: neither token nor request."""

_TEXT = """\
fingerprint  {fingerprint}
subject      {subject}
issuer       {issuer}
expires      {expires}

Whoever stands in between can show a certificate, too: compare the fingerprint with
that on the gateway's machine before you trust it,
  openssl x509 -noout -fingerprint -sha256 -in CERTIFICATE

and then give it with --tls-fingerprint, tls_fingerprint= in Python, or beside the URL:
  export OPENCLAW_GATEWAY_URL={url}
  export OPENCLAW_GATEWAY_TLS_FINGERPRINT={fingerprint}
"""


def configure(parser: argparse.ArgumentParser) -> None:
    # Under a name of its own: a positional that is not given would overwrite what --url says.
    parser.add_argument("gateway", nargs="?", metavar="URL", help="the gateway (default: that of --url)")


def run(options: Options) -> int:
    options.url = options.gateway or options.url
    # A pin that is wrong, or a file that is not there, is no reason not to look.
    options.tls_fingerprint = options.ca_file = None
    with described(options) as client:
        certificate = client.certificate()
        url = client.url
    expires = certificate.expires.isoformat() if certificate.expires is not None else None
    facts = {
        "fingerprint": certificate.fingerprint,
        "subject": certificate.subject,
        "issuer": certificate.issuer,
        "expires": expires,
    }
    if options.json:
        json_line("certificate", {"url": url, **facts})
    else:
        shown = {name: one_line(value) if value else "unknown" for name, value in facts.items()}
        write(_TEXT.format(url=url, **shown))
    return ExitCode.OK
