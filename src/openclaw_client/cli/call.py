"""`call`: any method of the gateway."""

from __future__ import annotations

import argparse
import json
from typing import Any

from openclaw_client.cli.connect import connected
from openclaw_client.cli.exit_codes import ExitCode
from openclaw_client.cli.input import read_stdin
from openclaw_client.cli.options import Options
from openclaw_client.cli.output import encode, json_line, write
from openclaw_client.errors import UsageError

HELP = """\
call any method of the gateway
Methods that need more than reading and writing want --scopes."""


def configure(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("method", metavar="METHOD", help="such as sessions.list")
    parser.add_argument(
        "params", nargs="?", metavar="JSON", help='the parameters as a JSON object; "-" reads it from stdin'
    )


def run(options: Options) -> int:
    params = _read_params(read_stdin() if options.params == "-" else options.params)
    with connected(options) as client:
        payload = client.request(options.method, params)
    if options.json:
        json_line("response", {"method": options.method, "payload": payload})
    else:
        write(encode(payload, indent=2) + "\n")
    return ExitCode.OK


def _read_params(text: str | None) -> dict[str, Any] | None:
    if text is None:
        return None
    try:
        params = json.loads(text)
    except ValueError as error:
        raise UsageError(
            message=f"the parameters are no JSON: {error}", remedy='Write them like {"limit": 5}'
        ) from None
    if not isinstance(params, dict):
        raise UsageError(message="the parameters are no JSON object", remedy='Write them like {"limit": 5}')
    return params
